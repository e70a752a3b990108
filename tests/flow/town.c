#include "town.h"
#include "anchors.h"
#include "audit_of.h"
#include "code.h"
#include "errands.h"
#include "fake.h"
#include "net.h"
#include "oauth.h"
#include "rand.h"
#include "status_of.h"
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <openssl/ocsp.h>

enum { LEAVES = 64, PUSHES = 256 };

struct phone { struct push push; struct arena *a; bool told; struct str answer; };

static struct {
	struct town town;
	struct fake *responder, *operator;
	struct operator_conf conf;
	struct profile_conf profile;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct { const struct minted *leaf; enum says says; } leaf[LEAVES];
	size_t nleaf;
	int asked;
	struct phone phone[PUSHES];
	int npushes;
	bool closing;
} the = { .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };

static void lock(void) { pthread_mutex_lock(&the.lock); }
static void unlock(void) { pthread_mutex_unlock(&the.lock); }

/* Waits for `cond`, which is looked at under the lock, and fails the test when it does not come. */
static struct timespec soon(void)
{
	struct timespec until;
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 30;
	return until;
}

/* ---- the responder ------------------------------------------------------------------------------------------------------ */

static void free_request(void *p) { OCSP_REQUEST_free(p); }

static size_t leaf_asked(struct arena *a, struct str body)
{
	const unsigned char *p = (const unsigned char *)body.p;
	OCSP_REQUEST *rq = d2i_OCSP_REQUEST(NULL, &p, (long)body.n);
	ASN1_INTEGER *serial = NULL;
	if (!rq)
		return LEAVES;
	arena_defer(a, free_request, rq);
	OCSP_id_get0_info(NULL, NULL, NULL, &serial, OCSP_onereq_get0_id(OCSP_request_onereq_get0(rq, 0)));
	for (size_t i = 0; i < the.nleaf; i++)
		if (ASN1_INTEGER_cmp(serial, X509_get0_serialNumber(the.leaf[i].leaf->x)) == 0)
			return i;
	return LEAVES;
}

static bool respond(struct arena *a, const struct fake_request *rq)
{
	lock();
	the.asked++;
	size_t i = leaf_asked(a, rq->body);
	const struct minted *leaf = i < LEAVES ? the.leaf[i].leaf : NULL, *other = the.leaf[i == 0].leaf;
	enum says says = i < LEAVES ? the.leaf[i].says : SAYS_503;
	epoch now = the.town.w->now;
	unlock();
	struct mint_ocsp_wish w = { .this_update = -60, .next_update = 3600, .produced = -60 };
	switch (says) {
	case SAYS_GOOD: break;
	case SAYS_REVOKED: w.status = 1, w.reason = 1, w.revoked = -500; break;
	case SAYS_UNKNOWN: w.status = 2; break;
	case SAYS_NOTHING: return false;
	case SAYS_503: return fake_answer(rq->fd, 503, S("text/plain"), S("later"));
	case SAYS_RUBBISH: return fake_answer(rq->fd, 200, S("application/ocsp-response"), S("0\x03\x0a\x01\x00"));
	case SAYS_FOR_ANOTHER: w.about = other; break;
	}
	struct bytes der = mint_ocsp(a, leaf, now, &w);
	return fake_answer(rq->fd, 200, S("application/ocsp-response"), (struct str){ (const char *)der.p, der.n });
}

void responder_says(struct town *t, const struct minted *leaf, enum says what)
{
	(void)t;
	lock();
	for (size_t i = 0; i < the.nleaf; i++)
		if (the.leaf[i].leaf == leaf)
			the.leaf[i].says = what;
	unlock();
}

int responder_asked(struct town *t)
{
	(void)t;
	lock();
	int n = the.asked;
	unlock();
	return n;
}

/* ---- the operator ------------------------------------------------------------------------------------------------------- */

#define ENVELOPE(body) \
	"<env:Envelope xmlns:env=\"http://www.w3.org/2003/05/soap-envelope\" xmlns:mss=\"http://uri.etsi.org/TS102204/v1.1.2#\"><env:Body>" \
	"<MSS_SignatureResponse><mss:MSS_SignatureResp MSSP_TransID=\"T1\"><mss:AP_Info AP_ID=\"a\" AP_TransID=\"%s\" AP_PWD=\"-\" Instant=\"i\"/>" \
	"<mss:MobileUser><mss:MSISDN>%s</mss:MSISDN></mss:MobileUser>" body "</mss:MSS_SignatureResp></MSS_SignatureResponse></env:Body></env:Envelope>"
#define STATUS "<mss:Status><mss:StatusCode Value=\"%s\"/></mss:Status>"

static struct str between(struct arena *a, struct str s, const char *before, const char *after)
{
	const char *from = strstr(s.p, before), *to = from ? strstr(from + strlen(before), after) : NULL;
	return to ? str_dup(a, from + strlen(before), (size_t)(to - from) - strlen(before)) : S("");
}

static bool operate(struct arena *a, const struct fake_request *rq)
{
	struct str trans = between(a, rq->body, "AP_TransID=\"", "\""), msisdn = between(a, rq->body, "<mss:MSISDN>", "<");
	lock();
	if (the.npushes == PUSHES) {
		unlock();
		return false;
	}
	struct phone *p = &the.phone[the.npushes];
	*p = (struct phone){ .a = arena_new() };
	p->push = (struct push){ .msisdn = str_copy(p->a, msisdn), .nth = ++the.npushes,
		.display = between(p->a, rq->body, "<mss:DataToBeDisplayed MimeType=\"text/plain\" Encoding=\"UTF-8\">", "<") };
	b64_read(p->a, between(p->a, rq->body, "MimeType=\"application/x-sha256\" Encoding=\"base64\">", "<"), &p->push.hash);
	p->push.code = between(p->a, p->push.display, "Ma ", ".");
	pthread_cond_broadcast(&the.changed);
	while (!p->told && !the.closing)
		pthread_cond_wait(&the.changed, &the.lock);
	struct str inside = p->told ? str_copy(a, p->answer) : S("");
	unlock();
	if (!inside.n)
		return false;
	return fake_answer(rq->fd, 200, S("application/soap+xml"), str_fmt(a, ENVELOPE("%s"), trans.p, msisdn.p, inside.p));
}

int pushes(struct town *t)
{
	(void)t;
	lock();
	int n = the.npushes;
	unlock();
	return n;
}

struct push *push(struct town *t, int nth)
{
	struct timespec until = soon();
	(void)t;
	lock();
	while (the.npushes < nth && pthread_cond_timedwait(&the.changed, &the.lock, &until) == 0) {}
	int n = the.npushes;
	unlock();
	if (n < nth)
		fail_msg("the operator was asked %d times, not %d", n, nth);
	return &the.phone[nth - 1].push;
}

static void tell(struct push *p, struct str (*made)(struct arena *, const void *), const void *of)
{
	struct phone *k = &the.phone[p->nth - 1];
	lock();
	k->answer = made(k->a, of);
	k->told = true;
	pthread_cond_broadcast(&the.changed);
	unlock();
}

struct signing { const struct minted *leaf; struct bytes hash; };

static struct str signature(struct arena *a, const void *of)
{
	const struct signing *k = of;
	return str_fmt(a, "<mss:MSS_Signature><mss:Base64Signature>%s</mss:Base64Signature></mss:MSS_Signature>" STATUS,
	               b64(a, mint_cms(a, k->leaf, k->hash, NULL)).p, "500");
}

static struct str status(struct arena *a, const void *code) { return str_fmt(a, STATUS, (const char *)code); }
static struct str nothing(struct arena *a, const void *of) { (void)a, (void)of; return S(""); }

void phone_signs_this(struct town *t, struct push *p, const struct minted *leaf, struct bytes hash)
{
	(void)t;
	tell(p, signature, &(struct signing){ leaf, hash });
}

void phone_signs(struct town *t, struct push *p, const struct minted *leaf) { phone_signs_this(t, p, leaf, p->hash); }
void phone_says(struct town *t, struct push *p, const char *code) { (void)t; tell(p, status, code); }
void operator_breaks(struct town *t, struct push *p) { (void)t; tell(p, nothing, NULL); }

/* The trail says which transaction the hash belongs to; the answer is kept under it. */
void answered(struct town *t, struct push *p)
{
	struct audit *l;
	size_t n;
	json_t *o;
	struct str txn = S(""), text;
	fine(store_audit_tail(t->w->house.store, t->a, S(""), 1000, &l, &n));
	for (size_t i = 0; i < n; i++)
		if (str_is(l[i].event, "sim.asked")) {
			fine(json_read_object(t->a, l[i].detail, &o));
			if (str_eq(json_text(o, "hash"), b64url(t->a, p->hash)))
				txn = json_text(o, "txn");
		}
	assert_true(txn.n > 0);
	for (time_t until = time(NULL) + 30; time(NULL) < until; sched_yield()) {
		bool found;
		fine(eph_get(t->w->house.eph, t->a, "sim-answer", txn, &text, &found));
		if (found)
			return;
	}
	fail_msg("the operator's answer did not come");
}

/* ---- people -------------------------------------------------------------------------------------------------------------- */

struct minted *citizen(struct town *t, const struct minted *ca, const char *number, const char *name, const struct mint_wish *more)
{
	struct mint_wish w = more ? *more : (struct mint_wish){ 0 };
	if (number)
		w.uid[0] = str_fmt(t->a, "CCCD:%s", number).p;
	w.cn = name;
	struct minted *leaf = mint_leaf(t->a, ca, &w);
	lock();
	assert_true(the.nleaf < LEAVES);
	the.leaf[the.nleaf].says = SAYS_GOOD;
	the.leaf[the.nleaf++].leaf = leaf;
	unlock();
	return leaf;
}

void trusts(struct town *t, const struct minted *ca, const char *kind, const char *purposes, const char *more)
{
	struct arena *a = t->a;
	struct cert c;
	fine(cert_read(a, ca->der, &c));
	struct audit ev = audit_of(world_req(t->w), "trust.added");
	struct trust_row row = {
		.id = c.id, .name = c.subject, .kind = str_of(kind), .purposes = str_of(purposes), .der = b64(a, ca->der), .added_at = t->w->now,
		.settings = str_fmt(a, "{\"ocsp\":\"http://127.0.0.1:%d/ocsp\"%s}", fake_port(the.responder), more),
	};
	fine(store_trust_add(t->w->house.store, a, &row, &ev));
	pass(t->w, 6);                       /* what is trusted is read again every five seconds */
}

/* ---- up and down ----------------------------------------------------------------------------------------------------------- */

static void take_down(void)
{
	if (!the.town.w)
		return;
	struct house *h = &the.town.w->house;
	lock();
	the.closing = true;
	pthread_cond_broadcast(&the.changed);
	unlock();
	mobile_close(h->mobile);
	errands_rest(h->errands);
	pushes_free(h->pushes);
	fetch_close(h->fetch);
	errands_free(h->errands);
	fake_close(the.operator);
	fake_close(the.responder);
	statuses_free(h->statuses);
	for (int i = 0; i < the.npushes; i++)
		arena_free(the.phone[i].a);
	the.town.w = NULL;
	the.closing = false;
	the.npushes = the.asked = 0, the.nleaf = 0;
}

static void open_operator(struct town *t)
{
	static struct str prefixes[] = { { "+849", 4 } }, success[] = { { "500", 3 } }, pending[] = { { "504", 3 } }, cancel[] = { { "401", 3 } }, late[] = { { "208", 3 } };
	the.profile = (struct profile_conf){
		.name = S("tested"), .messaging = S("synch"), .format = S("cms"), .data = S("hash"), .msisdn = S("plus"), .signature_profile = S("http://profile.example"),
		.format_uri = S("http://format.example"), .success_codes = { success, 1 }, .pending_codes = { pending, 1 }, .cancel_codes = { cancel, 1 },
		.timeout_codes = { late, 1 }, .code = S("vn"), .first_poll = 1, .poll = 1,
	};
	the.conf = (struct operator_conf){
		.name = S("one"), .profile = S("tested"), .signature_url = str_fmt(t->a, "http://127.0.0.1:%d/sign", fake_port(the.operator)), .status_url = S(""),
		.registration_url = S(""), .ap_id = S("http://ap.example.vn"), .ap_password_file = S(""), .mssp_uri = S("http://mssp.example.vn"), .ca_file = S(""),
		.cert_file = S(""), .key_file = S(""), .prefixes = { prefixes, 1 }, .open_limit = 1000, .per_minute = 100000, .break_after = 1000, .break_for = 1,
	};
	fine(mobile_open(t->a, t->w->house.fetch, &the.conf, 1, &the.profile, 1, &t->w->house.mobile));
}

struct town *town(void)
{
	static bool before;
	take_down();
	struct town *t = &the.town;
	*t = (struct town){ .w = world() };
	if (!before)
		atexit(take_down);           /* registered after OpenSSL's own, called before it */
	before = true;
	t->a = t->w->a;
	the.responder = fake_open(respond, NULL);
	the.operator = fake_open(operate, NULL);
	t->w->house.errands = errands_new();
	fine(fetch_open(t->a, &t->w->house.fetch));
	fine(statuses_new(t->a, &t->w->house.statuses));
	fine(pushes_new(&t->w->house, t->a, &t->w->house.pushes));
	open_operator(t);
	t->root = mint_root(t->a, NULL);
	t->ca = mint_ca(t->a, t->root, NULL);
	trusts(t, t->root, "anchor", "sim token tls", "");
	trusts(t, t->ca, "intermediate", "sim token tls", "");
	t->an = citizen(t, t->ca, AN, "Nguyễn Văn An", NULL);
	t->binh = citizen(t, t->ca, BINH, "Trần Thị Bình", NULL);
	return t;
}

/* ---- signing in by token ------------------------------------------------------------------------------------------------------ */

struct str token_for(struct browser *b, const struct minted *leaf, const char *origin, struct str nonce)
{
	struct str token = mint_webeid(b->a, leaf, "ES256", str_of(origin), nonce, NULL, 0), out;
	struct buf t = buf_new(b->a, 4096, 65536);
	buf_url(&t, token);
	fine(buf_done(&t, &out));
	return out;
}

struct str token_of(struct browser *b, const struct minted *leaf, struct str nonce) { return token_for(b, leaf, "https://id.example", nonce); }

struct res *present(struct browser *b, const struct res *page, struct str token)
{
	return submit(b, page, "/login/token", str_fmt(b->a, "token=%s", token.p).p);
}

struct res *sign_in(struct browser *b, struct res *rs, const struct minted *leaf)
{
	rs = follow(b, rs);
	if (str_starts(b->at, S("/login?")))
		rs = follow(b, submit(b, rs, "/login", "method=token"));
	is_at(b, rs, "/login/token");
	return follow(b, present(b, rs, token_of(b, leaf, data_of(b, rs, "nonce"))));
}
