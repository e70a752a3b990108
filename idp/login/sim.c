#include "anchors.h"
#include "audit_of.h"
#include "code.h"
#include "errands.h"
#include "evidence.h"
#include "log.h"
#include "login.h"
#include "name.h"
#include "number.h"
#include "pages.h"
#include "rand.h"
#include "settings.h"
#include "signature.h"
#include <stdio.h>
#include <stdlib.h>

/* Login by a signature made on the SIM. The person gives phone and personal number (SIGNATURES.md 1.3: a phone number alone must
 * not start a push), sees the verification code, then has the phone asked, and waits on a page. Whatever the numbers are, known or
 * not, the pages and their timing are the same: an unknown pair waits until the time is up. */

enum { WINDOW = 600, AFTER = 15, ANSWER_KEPT = 600, NUMBER_PREFIX = sizeof "PNOVN-" - 1 };

static const char ANSWERS[] = "sim-answer", OPEN[] = "sim-open";

/* ---- what is signed ------------------------------------------------------------------------------------------------- */

static void add_field(struct buf *b, struct str s)
{
	buf_add(b, (unsigned char[]){ (unsigned char)(s.n >> 8), (unsigned char)s.n }, 2);
	buf_str(b, s);
}

/* SIGNATURES.md 1.2: a context string and a structured pre-image, so that a login can never be a contract and a signature made
 * for one login, site, person or time is none for another. */
static err hash_to_sign(struct req *rq, const struct interaction *i, struct str *hash)
{
	unsigned char nonce[32], d[SHA256_SIZE];
	struct buf b = buf_new(rq->a, 1024, 16384);
	struct str whole;
	rand_fill(nonce, sizeof nonce);
	buf_add(&b, "motid-sim-login/1", sizeof "motid-sim-login/1");
	add_field(&b, rq->house->issuer);
	add_field(&b, i->client_id);
	add_field(&b, i->browser);
	add_field(&b, b64url(rq->a, (struct bytes){ nonce, sizeof nonce }));
	add_field(&b, i->sim.msisdn);
	add_field(&b, S("login"));
	add_field(&b, str_fmt(rq->a, "%lld", (long long)rq->now));
	TRY(buf_done(&b, &whole));
	sha256(whole.p, whole.n, d);
	*hash = b64url(rq->a, (struct bytes){ d, sizeof d });
	return OK;
}

/* The phone shows plain letters: Vietnamese diacritics would halve what fits (SIGNATURES.md 1.1). */
static err what_phone_shows(struct req *rq, const struct interaction *i, struct str *out)
{
	const struct client *c = NULL;
	if (i->client_id.n)
		TRY(client_find(rq, i->client_id, &c));
	struct str name = name_plain(rq->a, c ? c->name : rq->house->conf->name);
	*out = str_fmt(rq->a, "%.60s: dang nhap. Ma {code}. Chi xac nhan neu dung ma nay.", name.p);
	return OK;
}

/* ---- limits ----------------------------------------------------------------------------------------------------------- */

/* SEC-32: for each address, person, number and application, in this order and no further than the first that is over: one who is refused
 * must not use up what is others'. Counted whether or not the person exists. */
static err over_limit(struct req *rq, const struct interaction *i, bool *over)
{
	const struct settings *c = rq->house->conf;
	const struct { const char *kind; struct str id; int64_t most; } LIMITS[] = {
		{ "sim-address", peer_net(rq),                                c->sim_per_address },
		{ "sim-person",  number_mac(rq->house, rq->a, i->sim.number), c->sim_per_person },
		{ "sim-number",  number_mac(rq->house, rq->a, i->sim.msisdn), c->sim_per_number },
		{ "sim-client",  i->client_id.n ? i->client_id : S("-"),      c->sim_per_client },
	};
	*over = false;
	for (size_t n = 0; n < sizeof LIMITS / sizeof *LIMITS && !*over; n++) {
		int64_t total = 0;
		TRY(eph_count(rq->house->eph, rq->a, LIMITS[n].kind, LIMITS[n].id, 1, WINDOW, &total));
		*over = total > LIMITS[n].most;
	}
	return OK;
}

/* ---- asking the phone ---------------------------------------------------------------------------------------------------- */

/* What outlives the request that asked: where to put the answer, and then the answer. */
struct asked { struct house *house; char txn[44], person[65], phone[65]; struct arena *a; struct str answer; bool over; };

/* What the phone gave holds a certificate, and so the person's number: it is kept sealed, under the transaction that it answers. */
static struct str answer_label(struct arena *a, struct str txn) { return str_fmt(a, "sim-answer:%s", txn.p); }

static err keep_answer(const struct asked *k)
{
	struct eph *eph = k->house->eph;
	struct str txn = str_of(k->txn);
	TRY(eph_put(eph, k->a, ANSWERS, txn, seal(k->a, k->house->secrets.seal, answer_label(k->a, txn), k->answer), ANSWER_KEPT));
	if (!k->over)
		return OK;
	TRY(eph_drop(eph, k->a, OPEN, str_of(k->person), txn));
	return eph_drop(eph, k->a, OPEN, str_of(k->phone), txn);
}

static void keep(void *ctx)
{
	struct asked *k = ctx;
	err e = keep_answer(k);
	if (e.kind)
		log_say(LOG_ERROR, "a phone's answer is lost", "why", e.why, NULL);
	arena_free(k->a);
	free(k);
}

/* On the thread that drives all conversations with operators: the store of short-lived values may make it wait, so that is left to another. */
static void phone_answered(void *ctx, const struct mobile_result *r)
{
	struct asked *k = ctx;
	k->a = arena_new();
	struct jw w = jw_new(k->a, 45000);     /* sealed it still fits */
	jw_object(&w, NULL);
	jw_int(&w, "state", r->state);
	jw_int(&w, "format", r->format);
	jw_str(&w, "signature", b64url(k->a, r->signature));
	jw_str(&w, "certificate", b64url(k->a, r->certificate));
	jw_str(&w, "code", r->code);
	err e = jw_done(&w, &k->answer);
	/* an unknown number stays "open" exactly as long as a silent phone: whoever asks twice must not learn the difference */
	k->over = r->state != MOBILE_UNKNOWN && r->state != MOBILE_TIMED_OUT;
	if (!e.kind) {
		errands_send(k->house->errands, keep, k);
		return;
	}
	log_say(LOG_ERROR, "a phone's answer is lost", "why", e.why, NULL);
	arena_free(k->a);
	free(k);
}

/* Not asked when it would tell the difference or do harm: a disabled person's phone stays silent, and the page waits all the same. */
static err may_ask(struct req *rq, const struct interaction *i, bool *may)
{
	struct person_row *p;
	TRY(store_person_by_number(rq->house->store, rq->a, number_mac(rq->house, rq->a, i->sim.number), &p));
	*may = rq->house->mobile && !(p && p->disabled_at);
	return OK;
}

static err ask_phone(struct req *rq, struct interaction *i)
{
	struct bytes hash;
	struct str display;
	bool may;
	TRY(what_phone_shows(rq, i, &display));
	TRY(may_ask(rq, i, &may));
	i->sim.sent_at = rq->now;
	i->sim.deadline = rq->now + rq->house->conf->sim_timeout;
	struct audit ev = audit_of(rq, "sim.asked");
	ev.client_id = i->client_id;
	ev.detail = str_fmt(rq->a, "{\"txn\":\"%s\",\"hash\":\"%s\"}", i->sim.txn.p, i->sim.hash.p);
	TRY(store_audit(rq->house->store, rq->a, &ev));
	TRY(interaction_put(rq, i));
	if (!may || !b64url_read(rq->a, i->sim.hash, &hash))
		return OK;
	struct asked *k = calloc(1, sizeof *k);
	if (!k)
		abort();
	k->house = rq->house;
	snprintf(k->txn, sizeof k->txn, "%s", i->sim.txn.p);
	snprintf(k->person, sizeof k->person, "%s", number_mac(rq->house, rq->a, i->sim.number).p);
	snprintf(k->phone, sizeof k->phone, "%s", number_mac(rq->house, rq->a, i->sim.msisdn).p);
	struct mobile_ask ask = { .msisdn = i->sim.msisdn, .hash = hash, .display = display, .code = i->sim.code, .timeout = rq->house->conf->sim_timeout };
	mobile_start(rq->house->mobile, &ask, phone_answered, k);
	return OK;
}

/* ---- pages --------------------------------------------------------------------------------------------------------------- */

/* What was typed; on a page that is opened again, what was good before: nothing is to be typed twice (WCAG 2.2, 3.3.7). */
static void put_typed(struct req *rq, json_t *data, const struct interaction *i)
{
	struct str m = i->sim.msisdn, n = i->sim.number;
	bool typed = param_there(&rq->form, "phone");
	json_put_str(data, "phone", typed || m.n < 3 ? form(rq, "phone") : str_fmt(rq->a, "0%s", m.p + 3));
	json_put_str(data, "number", typed || n.n < NUMBER_PREFIX ? form(rq, "number") : str_of(n.p + NUMBER_PREFIX));
}

static err page_form(struct req *rq, struct res *rs, const struct interaction *i, const char *error, const char *phone_error, const char *number_error)
{
	json_t *data;
	TRY(interaction_page(rq, rs, i, "/login/sim", &data));
	json_put_str(data, "here", interaction_url(rq, i, "/login/sim"));
	if (error)
		json_put_str(data, "error", str_of(error));
	if (phone_error)
		json_put_str(data, "phone_error", str_of(phone_error));
	if (number_error)
		json_put_str(data, "number_error", str_of(number_error));
	put_typed(rq, data, i);
	return page(rq, rs, error || phone_error || number_error ? 400 : 200, &TPL_sim, data);
}

static void put_hint(struct req *rq, json_t *data, const struct interaction *i)
{
	struct str m = i->sim.msisdn;
	json_put_str(data, "phone_hint", str_fmt(rq->a, "%s%s", "••• ••• ", m.n > 3 ? m.p + m.n - 3 : ""));
	json_put_str(data, "code", i->sim.code);
}

/* GET /login/sim?i= */
static err ep_sim(struct req *rq, struct res *rs)
{
	struct interaction *i;
	TRY(interaction_get(rq, &i));
	return page_form(rq, rs, i, NULL, NULL, NULL);
}

/* POST /login/sim: phone and number; the code is made and shown, nothing is sent yet */
static err ep_sim_begin(struct req *rq, struct res *rs)
{
	struct interaction *i;
	struct str phone, number;
	struct bytes hash;
	TRY(interaction_post(rq, &i));
	TRY(login_offered(rq, i, "sim"));
	bool phone_good = phone_canonical(rq->a, form(rq, "phone"), &phone), number_good = person_number_canonical(rq->a, form(rq, "number"), &number);
	if (!phone_good || !number_good)
		return page_form(rq, rs, i, NULL, phone_good ? NULL : form(rq, "phone").n ? "phone" : "empty", number_good ? NULL : form(rq, "number").n ? "number" : "empty");

	i->sim = (struct sim){ .msisdn = phone, .number = number, .txn = rand_token(rq->a) };
	TRY(hash_to_sign(rq, i, &i->sim.hash));
	if (!b64url_read(rq->a, i->sim.hash, &hash))
		return fault(rq->a, &SERVER_ERROR, "our own hash does not read");
	i->sim.code = rq->house->mobile ? mobile_code(rq->house->mobile, rq->a, phone, hash) : code_vn(rq->a, digest_info(rq->a, hash));
	TRY(interaction_put(rq, i));
	res_redirect(rq, rs, interaction_url(rq, i, "/login/sim/code"));
	return OK;
}

/* POST /login/sim/again: a new try is a new request, with a code of its own, for the same numbers unless they are changed */
static err ep_sim_again(struct req *rq, struct res *rs)
{
	struct interaction *i;
	TRY(interaction_post(rq, &i));
	i->sim = (struct sim){ .msisdn = i->sim.msisdn, .number = i->sim.number };
	TRY(interaction_put(rq, i));
	res_redirect(rq, rs, interaction_url(rq, i, "/login/sim"));
	return OK;
}

static err with_open_request(struct req *rq, struct res *rs, struct interaction *i, bool *there)
{
	*there = i->sim.txn.n > 0;
	if (!*there)
		res_redirect(rq, rs, interaction_url(rq, i, "/login/sim"));
	return OK;
}

/* GET /login/sim/code?i=: the code before the phone is asked, so that the person has seen it first */
static err ep_sim_code(struct req *rq, struct res *rs)
{
	struct interaction *i;
	json_t *data;
	bool there;
	TRY(interaction_get(rq, &i));
	TRY(with_open_request(rq, rs, i, &there));
	if (!there)
		return OK;
	if (i->sim.sent_at) {
		res_redirect(rq, rs, interaction_url(rq, i, "/login/sim/wait"));
		return OK;
	}
	TRY(interaction_page(rq, rs, i, "/login/sim/send", &data));
	put_hint(rq, data, i);
	return page(rq, rs, 200, &TPL_sim_code, data);
}

static err open_one(struct req *rq, const struct interaction *i, struct str whose, bool *first, bool *mine)
{
	struct str txn;
	TRY(eph_once(rq->house->eph, rq->a, OPEN, whose, i->sim.txn, rq->house->conf->sim_timeout, first));
	if (!*first)
		TRY(eph_get(rq->house->eph, rq->a, OPEN, whose, &txn, mine));
	*mine = *first || (*mine && str_same(txn, i->sim.txn));
	return OK;
}

/* One open request a person and one a phone, whoever is said to have it, for as long as a phone may answer. A doubled click finds its
 * own and is one. */
static err open_request(struct req *rq, const struct interaction *i, bool *first, bool *mine)
{
	struct str person = number_mac(rq->house, rq->a, i->sim.number), phone = number_mac(rq->house, rq->a, i->sim.msisdn);
	TRY(open_one(rq, i, person, first, mine));
	if (!*first)
		return OK;
	TRY(open_one(rq, i, phone, first, mine));
	return *first ? OK : eph_drop(rq->house->eph, rq->a, OPEN, person, i->sim.txn);
}

/* When it was our fault that nobody was asked, the button may be pressed again. */
static err ask_or_let_go(struct req *rq, struct interaction *i)
{
	struct eph *eph = rq->house->eph;
	err e = ask_phone(rq, i);
	if (e.kind) {
		TRY(eph_drop(eph, rq->a, OPEN, number_mac(rq->house, rq->a, i->sim.number), i->sim.txn));
		TRY(eph_drop(eph, rq->a, OPEN, number_mac(rq->house, rq->a, i->sim.msisdn), i->sim.txn));
	}
	return e;
}

/* POST /login/sim/send: now the phone is asked, once */
static err ep_sim_send(struct req *rq, struct res *rs)
{
	struct interaction *i;
	bool there, over, first = false, mine = false;
	TRY(interaction_post(rq, &i));
	TRY(with_open_request(rq, rs, i, &there));
	if (!there)
		return OK;
	if (!i->sim.sent_at) {
		TRY(over_limit(rq, i, &over));
		if (over)
			return page_form(rq, rs, i, "too_many_requests", NULL, NULL);
		TRY(open_request(rq, i, &first, &mine));
		if (!mine)
			return page_form(rq, rs, i, "sim_open", NULL, NULL);
		if (first)
			TRY(ask_or_let_go(rq, i));
	}
	res_redirect(rq, rs, interaction_url(rq, i, "/login/sim/wait"));
	return OK;
}

/* ---- what came back ------------------------------------------------------------------------------------------------------- */

static err read_answer(struct req *rq, const struct interaction *i, struct mobile_result *r, bool *there)
{
	struct str sealed, text;
	json_t *o;
	int64_t state = 0, format = 0;
	*r = (struct mobile_result){ .state = MOBILE_PENDING };
	TRY(eph_get(rq->house->eph, rq->a, ANSWERS, i->sim.txn, &sealed, there));
	if (!*there)
		return OK;
	if (!seal_open(rq->a, rq->house->secrets.seal, answer_label(rq->a, i->sim.txn), sealed, &text))
		return fault(rq->a, &SIGNATURE_WRONG, "a kept answer does not open");
	TRY(json_read_object(rq->a, text, &o));
	json_int(o, "state", &state);
	json_int(o, "format", &format);
	r->state = (enum mobile_state)state;
	r->format = (enum mobile_format)format;
	r->code = json_text(o, "code");
	if (!b64url_read(rq->a, json_text(o, "signature"), &r->signature) || !b64url_read(rq->a, json_text(o, "certificate"), &r->certificate))
		return fault(rq->a, &SIGNATURE_WRONG, "a kept answer does not read");
	return OK;
}

/* Pending for the page: nothing came yet, or what came must look like nothing (an unknown number, a silent phone that the operator gave up
 * early) until the time is up. */
static err answer_for_page(struct req *rq, const struct interaction *i, struct mobile_result *r)
{
	bool there;
	TRY(read_answer(rq, i, r, &there));
	bool over = rq->now >= i->sim.deadline;
	if (r->state == MOBILE_UNKNOWN || r->state == MOBILE_TIMED_OUT || r->state == MOBILE_PENDING)
		r->state = over ? MOBILE_TIMED_OUT : MOBILE_PENDING;
	else if (r->state == MOBILE_SIGNED && rq->now > i->sim.deadline + AFTER)
		r->state = MOBILE_TIMED_OUT;     /* SIGNATURES.md 4.7: a late success is never used */
	return OK;
}

/* It counts only if it signs our hash; then whether the certificate is believed is evidence_check's question. */
static err signed_by(struct req *rq, const struct interaction *i, const struct mobile_result *r, struct evidence *e)
{
	enum { MOST = 8 };
	struct trust *trust;
	struct bytes hash, *extra = make_n(rq->a, struct bytes, MOST);
	if (!b64url_read(rq->a, i->sim.hash, &hash))
		return fault(rq->a, &SERVER_ERROR, "our own hash does not read");
	*e = (struct evidence){ .method = "sim", .expected = i->sim.number, .phone = i->sim.msisdn, .extra = extra };
	if (r->format == MOBILE_CMS)
		return signature_cms_of_hash(rq->a, r->signature, hash, &e->cert, extra, MOST, &e->nextra);
	if (!r->certificate.n)
		return fault(rq->a, &SIGNATURE_WRONG, "a bare signature without a certificate");
	TRY(anchors_now(rq->house, rq->a, rq->now, &trust));
	TRY(trust_cert(trust, rq->a, r->certificate, &e->cert));
	return signature_raw(rq->a, &e->cert, hash, r->signature);
}

static err finish(struct req *rq, struct res *rs, struct interaction *i, const struct mobile_result *r)
{
	struct evidence e;
	struct proved p;
	TRY(signed_by(rq, i, r, &e));
	TRY(evidence_check(rq, &e, &p));
	/* the answer is spent by one caller: two tabs do not make two sessions */
	struct str text;
	bool mine;
	TRY(eph_take(rq->house->eph, rq->a, ANSWERS, i->sim.txn, &text, &mine));
	if (!mine)
		return fault(rq->a, &INTERACTION_GONE, "the phone's answer was used already");
	i->sim = (struct sim){ 0 };
	return login_finish(rq, rs, i, &e, &p);
}

/* Each way it can end has its own words (UX.md 3.4). */
static const char *end_of_state(enum mobile_state s)
{
	switch (s) {
	case MOBILE_REFUSED: return "refused";
	case MOBILE_WRONG_PIN: return "wrong_pin";
	case MOBILE_BLOCKED: return "blocked";
	case MOBILE_UNREACHABLE: return "unreachable";
	case MOBILE_REVOKED: return "revoked";
	case MOBILE_BUSY: return "busy";
	case MOBILE_DOWN: return "operator_down";
	case MOBILE_TIMED_OUT: case MOBILE_UNKNOWN: case MOBILE_PENDING: case MOBILE_SIGNED: break;
	}
	return "timed_out";
}

static const char *end_of_fault(const struct err_kind *k)
{
	static const struct { const struct err_kind *kind; const char *end; } ENDS[] = {
		{ &CERT_REVOKED, "revoked" }, { &CERT_EXPIRED, "untrusted" }, { &CERT_UNTRUSTED, "untrusted" }, { &CERT_UNSUITABLE, "untrusted" },
		{ &STATUS_UNKNOWN, "status_unknown" }, { &INTERACTION_GONE, "timed_out" },
	};
	for (size_t n = 0; n < sizeof ENDS / sizeof *ENDS; n++)
		if (ENDS[n].kind == k)
			return ENDS[n].end;
	return "not_person";
}

static err page_end(struct req *rq, struct res *rs, struct interaction *i, const char *end)
{
	json_t *data;
	TRY(interaction_page(rq, rs, i, "/login/sim", &data));
	json_put_str(data, "state", str_of(end));
	if (strcmp(end, "blocked") && strcmp(end, "revoked"))
		json_put_str(data, "again", S("/login/sim/again"));
	return page(rq, rs, 200, &TPL_sim_end, data);
}

static err ended_by_phone(struct req *rq, struct res *rs, struct interaction *i, const struct mobile_result *r)
{
	const char *end = end_of_state(r->state);
	struct audit ev = audit_of(rq, "login.refused");
	ev.client_id = i->client_id;
	ev.outcome = str_of(end);
	ev.why = str_fmt(rq->a, "operator code '%.20s'", r->code.n ? r->code.p : "");
	ev.detail = str_fmt(rq->a, "{\"method\":\"sim\",\"txn\":\"%s\"}", i->sim.txn.p);
	TRY(refusal_write(rq, &ev));
	return page_end(rq, rs, i, end);
}

static err page_wait(struct req *rq, struct res *rs, const struct interaction *i)
{
	json_t *data;
	int64_t left = i->sim.deadline - rq->now;
	TRY(interaction_page(rq, rs, i, "/login/sim/wait", &data));
	put_hint(rq, data, i);
	json_put_str(data, "here", interaction_url(rq, i, "/login/sim/wait"));
	json_put_str(data, "poll", interaction_url(rq, i, "/login/sim/poll"));
	json_object_set_new(data, "seconds_left", json_integer(left > 0 ? left : 0));
	return page(rq, rs, 200, &TPL_sim_wait, data);
}

/* GET /login/sim/wait?i=: asked again and again, by the page's script or by its own refresh, until there is an end */
static err ep_sim_wait(struct req *rq, struct res *rs)
{
	struct interaction *i;
	struct mobile_result r;
	TRY(interaction_get(rq, &i));
	if (!i->sim.sent_at) {
		/* the page was asked twice, and the first time signed in */
		res_redirect(rq, rs, interaction_url(rq, i, i->login_at ? "/authorize/continue" : "/login/sim/code"));
		return OK;
	}
	TRY(answer_for_page(rq, i, &r));
	if (r.state == MOBILE_PENDING)
		return page_wait(rq, rs, i);
	if (r.state != MOBILE_SIGNED)
		return ended_by_phone(rq, rs, i, &r);

	err e = login_failed(rq, i, "sim", finish(rq, rs, i, &r));
	if (login_undecided(e))
		return e;
	log_say(LOG_INFO, "login by SIM refused", "req", rq->id.p, "code", e.kind->code, "why", e.why, NULL);
	return page_end(rq, rs, i, end_of_fault(e.kind));
}

/* GET /login/sim/poll?i=: {"state":"pending"|"done","seconds_left":n} */
static err ep_sim_poll(struct req *rq, struct res *rs)
{
	struct interaction *i;
	struct mobile_result r;
	TRY(interaction_get(rq, &i));
	TRY(answer_for_page(rq, i, &r));
	int64_t left = i->sim.deadline > rq->now ? i->sim.deadline - rq->now : 0;
	res_json(rs, 200, str_fmt(rq->a, "{\"state\":\"%s\",\"seconds_left\":%lld}", r.state == MOBILE_PENDING ? "pending" : "done", (long long)left));
	return OK;
}

const struct route SIM_ROUTES[] = {
	{ "GET",  "/login/sim",      ep_sim,       FAULTS_PAGE, 0 },
	{ "POST", "/login/sim",      ep_sim_begin, FAULTS_PAGE, 0 },
	{ "POST", "/login/sim/again", ep_sim_again, FAULTS_PAGE, 0 },
	{ "GET",  "/login/sim/code", ep_sim_code,  FAULTS_PAGE, 0 },
	{ "POST", "/login/sim/send", ep_sim_send,  FAULTS_PAGE, 0 },
	{ "GET",  "/login/sim/wait", ep_sim_wait,  FAULTS_PAGE, 0 },
	{ "GET",  "/login/sim/poll", ep_sim_poll,  FAULTS_JSON, 0 },
	{ 0 },
};
