/* Every request is a flow of answers and timers on the adapter's thread, and at each moment it waits for exactly one of them. So
 * nobody holds a thread, and done cannot be called twice: the one callback that ends a flow also frees it. */
#include <libxml/parser.h>
#include "clock.h"
#include "code.h"
#include "hash.h"
#include "log.h"
#include "net.h"
#include "operator.h"
#include "rand.h"
#include "signature.h"
#include "soap.h"

enum { GRACE_MS = 10000, ANSWER_MS = 15000, POLL_MS = 10000, POLLS_FAILED_MOST = 4 };

struct flow {
	struct flow *prev, *next;            /* of the same thread: only it walks and changes the ring */
	struct mobile *m;
	struct arena *a;
	struct operator *o;                  /* NULL: nobody serves the number */
	mobile_done *done;                   /* NULL: it was answered when the adapter closed */
	void *ctx;
	struct str msisdn, display, ap_trans, mssp_trans;
	unsigned char hash[SHA256_SIZE];
	int64_t timeout, until;
	enum soap_kind kind;                 /* what is asked at the moment */
	bool asked_again;
	int polls_failed;                    /* in a row */
	struct mobile_result result;
	const char *refused;                 /* why it was not even tried */
};

struct mobile {
	struct fetch *f;
	struct arena *a;
	struct operator *operators;
	size_t noperators;
	pthread_mutex_t lock;
	pthread_cond_t told;
	size_t users;                        /* flows, and the opener until mobile_close */
	bool abandoned;
	struct flow ring;
};

/* ---- what codes mean: SIGNATURES.md 1.1, status codes ---- */

static const struct meaning { const char *code; enum mobile_state state; bool good; } MEANINGS[] = {
	{ "104", MOBILE_DOWN, true }, { "105", MOBILE_UNKNOWN, true }, { "208", MOBILE_TIMED_OUT, true },
	{ "209", MOBILE_UNREACHABLE, true }, { "401", MOBILE_REFUSED, true }, { "402", MOBILE_BLOCKED, true },
	/* the operator's own sub-state of 402: the PIN was wrong and tries are left */
	{ "4021", MOBILE_WRONG_PIN, true },
	{ "403", MOBILE_BLOCKED, true }, { "404", MOBILE_UNKNOWN, true }, { "405", MOBILE_UNKNOWN, true },
	{ "406", MOBILE_BUSY, true }, { "422", MOBILE_UNKNOWN, true },
	{ "501", MOBILE_REVOKED, true },
	/* ours or the operator's fault, but the operator lives */
	{ "101", MOBILE_DOWN, true }, { "102", MOBILE_DOWN, true }, { "103", MOBILE_DOWN, true }, { "107", MOBILE_DOWN, true },
	{ "108", MOBILE_DOWN, true }, { "109", MOBILE_DOWN, true }, { "503", MOBILE_DOWN, true }, { "505", MOBILE_DOWN, true },
	{ "423", MOBILE_DOWN, true }, { "424", MOBILE_DOWN, true }, { "425", MOBILE_DOWN, true }, { "450", MOBILE_DOWN, true },
	{ NULL, MOBILE_DOWN, false },
};

static const struct meaning *meaning_of(struct str code)
{
	const struct meaning *m = MEANINGS;
	while (m->code && !str_is(code, m->code))
		m++;
	return m;
}

/* A sub-code refines; one that nobody wrote down means what its first three digits mean. */
static struct meaning means(const struct profile_conf *p, struct str code, struct str detail)
{
	const struct meaning *fine = meaning_of(detail);
	if (fine->code && detail.n == 4)
		return *fine;
	struct str three = { code.p, code.n > 3 ? 3 : code.n };
	if (strs_has(p->cancel_codes, three))
		return (struct meaning){ .state = MOBILE_REFUSED, .good = true };
	if (strs_has(p->timeout_codes, three))
		return (struct meaning){ .state = MOBILE_TIMED_OUT, .good = true };
	fine = meaning_of(code);
	return fine->code ? *fine : *meaning_of(three);
}

/* ---- the ends of a flow ---- */

static void release(struct mobile *m)
{
	pthread_mutex_lock(&m->lock);
	bool last = --m->users == 0;
	pthread_mutex_unlock(&m->lock);
	if (!last)
		return;
	for (size_t i = 0; i < m->noperators; i++)
		pthread_mutex_destroy(&m->operators[i].lock);
	pthread_mutex_destroy(&m->lock);
	pthread_cond_destroy(&m->told);
	arena_free(m->a);
}

static void flow_free(struct flow *w)
{
	struct mobile *m = w->m;
	w->prev->next = w->next, w->next->prev = w->prev;
	arena_free(w->a);
	release(m);
}

/* Gives the answer; the flow may still be waited on by a transfer. */
static void tell(struct flow *w, enum mobile_state state)
{
	mobile_done *done = w->done;
	if (!done)
		return;
	w->done = NULL;
	w->result.state = state;
	if (w->o && !w->refused)
		operator_leave(w->o);
	done(w->ctx, &w->result);
}

static void finish(struct flow *w, enum mobile_state state)
{
	tell(w, state);
	flow_free(w);
}

/* ---- asking ---- */

static struct str fresh_trans(struct arena *a)
{
	unsigned char r[16];
	rand_fill(r, sizeof r);
	/* TS 102 204: an NCName begins with a letter. Fresh for each message: an operator may take a known one for a PIN already
	 * entered (SIGNATURES.md 1.2) */
	return str_fmt(a, "A%s", hex(a, (struct bytes){ r, sizeof r }).p);
}

static struct str instant(struct arena *a)
{
	int64_t ms = clock_ms();
	struct str s = clock_text(a, ms / 1000);
	return str_fmt(a, "%.*s.%03dZ", (int)s.n - 1, s.p, (int)(ms % 1000));
}

static struct str msisdn_in(struct arena *a, const struct profile_conf *p, struct str e164)
{
	return str_is(p->msisdn, "bare") ? str_from(a, e164, 1) : e164;
}

/* What the SIM signs: the hash, or its DigestInfo. */
static struct bytes data_of(struct arena *a, const struct profile_conf *p, struct bytes hash)
{
	return p && str_is(p->data, "hash") ? bytes_copy(a, hash.p, hash.n) : digest_info(a, hash);
}

static void on_answer(void *ctx, const struct fetch_answer *an);
static void poll_now(void *ctx);

static struct str url_for(const struct flow *w)
{
	const struct operator_conf *c = w->o->conf;
	return w->kind == SOAP_SIGNATURE ? c->signature_url : w->kind == SOAP_STATUS ? c->status_url : c->registration_url;
}

static int64_t patience(const struct flow *w)
{
	int64_t left = w->until - clock_mono_ms();
	bool held = w->kind == SOAP_SIGNATURE && str_is(w->o->profile->messaging, "synch");
	int64_t most = held ? left : w->kind == SOAP_SIGNATURE ? ANSWER_MS : POLL_MS;
	return left < 1 ? 1 : left < most ? left : most;
}

static void ask(struct flow *w, enum soap_kind kind)
{
	const struct operator_conf *c = w->o->conf;
	struct arena *a = arena_new();
	struct str body;
	w->kind = kind;
	w->ap_trans = fresh_trans(w->a);
	struct soap_ask k = {
		.kind = kind, .ap_id = c->ap_id, .ap_password = w->o->password, .ap_trans = w->ap_trans, .instant = instant(a),
		.mssp_uri = c->mssp_uri, .msisdn = msisdn_in(a, w->o->profile, w->msisdn), .profile = w->o->profile,
		.data = data_of(a, w->o->profile, (struct bytes){ w->hash, sizeof w->hash }),
		.display = w->display, .timeout = w->timeout, .mssp_trans = w->mssp_trans,
	};
	err e = soap_write(a, &k, &body);
	if (e.kind) {
		log_say(LOG_ERROR, "operator: a request could not be written", "operator", c->name.p, "why", e.why, NULL);
		arena_free(a);
		finish(w, MOBILE_DOWN);
		return;
	}
	struct fetch_ask f = {
		.url = url_for(w), .method = S("POST"), .content_type = S("application/soap+xml; charset=utf-8"),
		.accept = S("application/soap+xml"), .body = str_bytes(body), .max = SOAP_MAX, .timeout_ms = patience(w),
		.ca_file = c->ca_file, .cert_file = c->cert_file, .key_file = c->key_file, .header = S(""),
	};
	fetch_start(w->m->f, &f, on_answer, w);
	arena_free(a);
}

/* ---- answers ---- */

static bool digits_same(struct str a, struct str b)
{
	if (a.n && a.p[0] == '+')
		a.p++, a.n--;
	if (b.n && b.p[0] == '+')
		b.p++, b.n--;
	return a.n && str_eq(a, b);
}

/* An answer that is not to this question is no answer: another person's, or an old one. */
static const char *not_ours(const struct flow *w, const struct soap_answer *an)
{
	if (an->fault)
		return NULL;
	if (!str_eq(an->ap_trans, w->ap_trans))
		return "it echoes another AP_TransID";
	if (w->kind != SOAP_REGISTRATION && !digits_same(an->msisdn, w->msisdn))
		return "it echoes another MSISDN";
	if (w->kind == SOAP_REGISTRATION && an->msisdn.n && !digits_same(an->msisdn, w->msisdn))
		return "it echoes another MSISDN";
	if (w->kind == SOAP_STATUS && an->mssp_trans.n && !str_eq(an->mssp_trans, w->mssp_trans))
		return "it is of another MSSP_TransID";
	return NULL;
}

static err read_answer(struct arena *a, const struct flow *w, const struct fetch_answer *an, struct soap_answer *out)
{
	if (!an->status)
		return fault(a, &UNAVAILABLE, "%s", an->why);
	if (an->status == 429)
		return fault(a, &UNAVAILABLE, "HTTP 429: too many requests");
	TRY(soap_read(a, an->body, w->kind, out));
	if (!out->fault && an->status != 200)
		return fault(a, &UNAVAILABLE, "HTTP %d with an answer that is no fault", an->status);
	const char *wrong = not_ours(w, out);
	return wrong ? fault(a, &UNAVAILABLE, "the operator's answer: %s", wrong) : OK;
}

/* An operator that may be right again in a moment: only a poll can wait for that. */
static bool passing(const struct fetch_answer *an)
{
	return an->status == 0 || an->status == 429 || an->status == 502 || an->status == 503 || an->status == 504;
}

static void say_down(const struct flow *w, const char *why)
{
	log_say(LOG_WARN, "operator: no good answer", "operator", w->o->conf->name.p, "why", why, "ap_trans_id", w->ap_trans.p, NULL);
}

/* The time is over: a person who did nothing, or an operator that we could not ask. */
static void give_up(struct flow *w)
{
	finish(w, w->polls_failed || fetch_closing(w->m->f) ? MOBILE_DOWN : MOBILE_TIMED_OUT);
}

static void poll_later(struct flow *w, int64_t seconds)
{
	int64_t left = w->until - clock_mono_ms();
	int64_t ms = seconds * 1000;
	if (left <= 0 || fetch_closing(w->m->f)) {
		give_up(w);
		return;
	}
	fetch_after(w->m->f, ms < left ? ms : left, poll_now, w);
}

static void poll_now(void *ctx)
{
	struct flow *w = ctx;
	if (!w->done)
		flow_free(w);
	else if (w->until - clock_mono_ms() <= 0 || fetch_closing(w->m->f))
		give_up(w);
	else
		ask(w, SOAP_STATUS);
}

static void on_pending(struct flow *w, const struct soap_answer *an)
{
	bool first = w->kind == SOAP_SIGNATURE;
	if (first) {
		if (!an->mssp_trans.n || !w->o->conf->status_url.n) {
			say_down(w, "the operator says wait, but there is nothing to ask for");
			finish(w, MOBILE_DOWN);
			return;
		}
		w->mssp_trans = str_copy(w->a, an->mssp_trans);
		w->result.trans_id = w->mssp_trans;
	}
	w->polls_failed = 0;
	poll_later(w, first ? w->o->profile->first_poll : w->o->profile->poll);
}

static void on_signed(struct flow *w, const struct soap_answer *an)
{
	if (!an->signature.n) {
		say_down(w, "success without a signature");
		finish(w, MOBILE_DOWN);
		return;
	}
	if (an->mssp_trans.n)
		w->result.trans_id = str_copy(w->a, an->mssp_trans);
	w->result.format = str_is(w->o->profile->format, "pkcs1") ? MOBILE_PKCS1 : MOBILE_CMS;
	w->result.signature = bytes_copy(w->a, an->signature.p, an->signature.n);
	w->result.certificate = bytes_copy(w->a, an->certificate.p, an->certificate.n);
	/* a bare signature needs its certificate from elsewhere: MSS_Registration answers with it */
	if (w->result.format == MOBILE_PKCS1 && !an->certificate.n && w->o->conf->registration_url.n && w->until > clock_mono_ms())
		ask(w, SOAP_REGISTRATION);
	else
		finish(w, MOBILE_SIGNED);
}

/* The signature is there; the look-up can only add to it. */
static void on_registration(struct flow *w, const struct soap_answer *an)
{
	if (!an->fault && str_is(an->code, "408"))
		w->result.certificate = bytes_copy(w->a, an->certificate.p, an->certificate.n);
	finish(w, MOBILE_SIGNED);
}

static void on_final(struct flow *w, const struct soap_answer *an)
{
	struct meaning m = means(w->o->profile, an->code, an->detail);
	/* SIGNATURES.md 1.1: an internal error may be tried once more; ask() makes a new AP_TransID */
	if (str_starts(an->code, S("900")) && w->kind == SOAP_SIGNATURE && !w->asked_again && w->until > clock_mono_ms()) {
		w->asked_again = true;
		ask(w, SOAP_SIGNATURE);
		return;
	}
	if (m.state == MOBILE_DOWN)
		say_down(w, w->result.code.p);
	finish(w, m.state);
}

static void judge(struct flow *w, const struct soap_answer *an)
{
	const struct profile_conf *p = w->o->profile;
	bool pending = strs_has(p->pending_codes, an->code) && w->kind != SOAP_REGISTRATION && !an->fault;
	bool success = strs_has(p->success_codes, an->code) && !an->fault;
	operator_report(w->o, pending || success || means(p, an->code, an->detail).good, clock_mono_ms());
	if (w->kind == SOAP_REGISTRATION) {
		on_registration(w, an);
		return;
	}
	w->result.code = str_copy(w->a, an->detail.n ? an->detail : an->code);
	if (pending)
		on_pending(w, an);
	else if (success)
		on_signed(w, an);
	else
		on_final(w, an);
}

static void on_no_answer(struct flow *w, const struct fetch_answer *an, const char *why)
{
	operator_report(w->o, false, clock_mono_ms());
	say_down(w, why);
	w->polls_failed += w->kind == SOAP_STATUS;
	if (w->kind == SOAP_REGISTRATION)
		finish(w, MOBILE_SIGNED);
	else if (w->kind == SOAP_STATUS && passing(an) && w->polls_failed <= POLLS_FAILED_MOST)
		poll_later(w, w->o->profile->poll);
	else
		finish(w, MOBILE_DOWN);
}

static void on_answer(void *ctx, const struct fetch_answer *answer)
{
	struct flow *w = ctx;
	if (!w->done) {                      /* it comes too late for anybody */
		flow_free(w);
		return;
	}
	struct arena *a = arena_new();
	struct soap_answer an;
	err e = read_answer(a, w, answer, &an);
	if (e.kind)
		on_no_answer(w, answer, e.why);
	else
		judge(w, &an);
	arena_free(a);
}

/* ---- the door ---- */

static bool is_number(struct str s)
{
	if (s.n < 9 || s.n > 16 || s.p[0] != '+')
		return false;
	for (size_t i = 1; i < s.n; i++)
		if (s.p[i] < '0' || s.p[i] > '9')
			return false;
	return true;
}

static struct operator *serving(struct mobile *m, struct str msisdn)
{
	return is_number(msisdn) ? operator_for(m->operators, m->noperators, msisdn) : NULL;
}

struct str mobile_operator(struct mobile *m, struct str msisdn)
{
	struct operator *o = serving(m, msisdn);
	return o ? o->conf->name : S("");
}

struct str mobile_code(struct mobile *m, struct arena *a, struct str msisdn, struct bytes hash)
{
	struct operator *o = serving(m, msisdn);
	const struct profile_conf *p = o ? o->profile : NULL;
	return p && str_is(p->code, "mid") ? code_mid(a, hash) : code_vn(a, data_of(a, p, hash));
}

static struct str display_of(struct arena *a, const struct profile_conf *p, const struct mobile_ask *k)
{
	struct str code = p->code_by_applet ? S("%%VC%%") : k->code, mark = S("{code}");
	const char *at = memmem(k->display.p, k->display.n, mark.p, mark.n);
	if (!at)
		return str_copy(a, k->display);
	size_t before = (size_t)(at - k->display.p);
	return str_fmt(a, STR_FMT STR_FMT STR_FMT, (int)before, k->display.p, STR_ARG(code), (int)(k->display.n - before - mark.n), at + mark.n);
}

static void begin(void *ctx)
{
	struct flow *w = ctx;
	struct flow *ring = &w->m->ring;
	w->prev = ring->prev, w->next = ring;
	ring->prev->next = w, ring->prev = w;
	if (w->m->abandoned || fetch_closing(w->m->f)) {
		finish(w, MOBILE_DOWN);
	} else if (!w->o) {
		finish(w, MOBILE_UNKNOWN);
	} else if (w->refused) {
		log_say(LOG_WARN, "operator: not asked", "operator", w->o->conf->name.p, "why", w->refused, NULL);
		finish(w, MOBILE_DOWN);
	} else {
		ask(w, SOAP_SIGNATURE);
	}
}

void mobile_start(struct mobile *m, const struct mobile_ask *k, mobile_done *done, void *ctx)
{
	struct arena *a = arena_new();
	struct flow *w = make(a, struct flow);
	int64_t now = clock_mono_ms(), timeout = k->timeout < 1 ? 1 : k->timeout > 600 ? 600 : k->timeout;
	*w = (struct flow){
		.m = m, .a = a, .o = serving(m, k->msisdn), .done = done, .ctx = ctx, .msisdn = str_copy(a, k->msisdn), .display = S(""),
		.mssp_trans = S(""), .timeout = timeout, .until = now + timeout * 1000 + GRACE_MS,
		.result = { .trans_id = S(""), .code = S("") },
	};
	if (k->hash.n == sizeof w->hash)
		memcpy(w->hash, k->hash.p, sizeof w->hash);
	else
		w->o = NULL;
	if (w->o) {
		w->display = display_of(a, w->o->profile, k);
		w->refused = operator_enter(w->o, now);
	}
	pthread_mutex_lock(&m->lock);
	m->users++;
	pthread_mutex_unlock(&m->lock);
	fetch_after(m->f, 0, begin, w);
}

static err check_prefixes(struct arena *a, const struct operator *v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j < i; j++)
			for (size_t p = 0; p < v[i].conf->prefixes.n; p++)
				if (strs_has(v[j].conf->prefixes, v[i].conf->prefixes.v[p]))
					return fault(a, &BAD_CONFIG, "operator %s: operator %s serves %s too", v[i].conf->name.p, v[j].conf->name.p,
					             v[i].conf->prefixes.v[p].p);
	return OK;
}

err mobile_open(struct arena *a, struct fetch *f, const struct operator_conf *operators, size_t noperators, const struct profile_conf *profiles,
                size_t nprofiles, struct mobile **out)
{
	struct arena *own = arena_new();
	struct operator *v = make_n(own, struct operator, noperators + 1);
	err e = OK;
	for (size_t i = 0; i < noperators && !e.kind; i++)
		e = operator_init(own, &v[i], &operators[i], profiles, nprofiles);
	if (!e.kind)
		e = check_prefixes(own, v, noperators);
	if (e.kind) {
		e = fault(a, e.kind, "%s", e.why);
		arena_free(own);
		return e;
	}
	xmlInitParser();
	struct mobile *m = make(own, struct mobile);
	*m = (struct mobile){ .f = f, .a = own, .operators = v, .noperators = noperators, .users = 1 };
	m->ring.prev = m->ring.next = &m->ring;
	pthread_mutex_init(&m->lock, NULL);
	pthread_cond_init(&m->told, NULL);
	*out = m;
	return OK;
}

/* On the thread: everybody who still waits is told, and what was asked goes on without anybody. */
static void abandon(void *ctx)
{
	struct mobile *m = ctx;
	for (struct flow *w = m->ring.next; w != &m->ring; w = w->next)
		tell(w, MOBILE_DOWN);
	pthread_mutex_lock(&m->lock);
	m->abandoned = true;
	pthread_cond_signal(&m->told);
	pthread_mutex_unlock(&m->lock);
}

void mobile_close(struct mobile *m)
{
	if (!m)
		return;
	fetch_after(m->f, 0, abandon, m);
	pthread_mutex_lock(&m->lock);
	while (!m->abandoned)
		pthread_cond_wait(&m->told, &m->lock);
	pthread_mutex_unlock(&m->lock);
	release(m);
}
