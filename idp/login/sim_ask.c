#include "sim_ask.h"
#include "anchors.h"
#include "audit_of.h"
#include "code.h"
#include "errands.h"
#include "log.h"
#include "rand.h"
#include "settings.h"
#include "signature.h"
#include <stdio.h>
#include <stdlib.h>

enum { WINDOW = 600, AFTER = 15, ANSWER_KEPT = 600 };

static const char ANSWERS[] = "sim-answer", OPEN[] = "sim-open";

/* ---- what is signed ------------------------------------------------------------------------------------------------- */

static void add_field(struct buf *b, struct str s)
{
	buf_add(b, (unsigned char[]){ (unsigned char)(s.n >> 8), (unsigned char)s.n }, 2);
	buf_str(b, s);
}

err sim_hash(struct req *rq, struct sim *s, struct str context, const struct str *fields, size_t n)
{
	unsigned char nonce[32], d[SHA256_SIZE];
	struct buf b = buf_new(rq->a, 1024, 16384);
	struct str whole;
	rand_fill(nonce, sizeof nonce);
	buf_add(&b, context.p, context.n + 1);                        /* with its NUL: no context begins another */
	add_field(&b, rq->house->issuer);
	for (size_t i = 0; i < n; i++)
		add_field(&b, fields[i]);
	add_field(&b, b64url(rq->a, (struct bytes){ nonce, sizeof nonce }));
	add_field(&b, s->msisdn);
	add_field(&b, str_fmt(rq->a, "%lld", (long long)rq->now));
	TRY(buf_done(&b, &whole));
	sha256(whole.p, whole.n, d);
	s->hash = b64url(rq->a, (struct bytes){ d, sizeof d });
	return OK;
}

/* ---- limits ----------------------------------------------------------------------------------------------------------- */

static struct str person_of(struct req *rq, const struct sim *s) { return number_mac(rq->house, rq->a, s->number); }
static struct str phone_of(struct req *rq, const struct sim *s) { return number_mac(rq->house, rq->a, s->msisdn); }

err sim_over_limit(struct req *rq, const struct sim *s, struct str client_id, bool by_address, bool *over)
{
	const struct settings *c = rq->house->conf;
	const struct { const char *kind; struct str id; int64_t most; } LIMITS[] = {
		{ "sim-address", peer_net(rq),                       c->sim_per_address },
		{ "sim-person",  person_of(rq, s),                   c->sim_per_person },
		{ "sim-number",  phone_of(rq, s),                    c->sim_per_number },
		{ "sim-client",  client_id.n ? client_id : S("-"),   c->sim_per_client },
	};
	*over = false;
	for (size_t n = !by_address; n < sizeof LIMITS / sizeof *LIMITS && !*over; n++) {
		int64_t total = 0;
		TRY(eph_count(rq->house->eph, rq->a, LIMITS[n].kind, LIMITS[n].id, 1, WINDOW, &total));
		*over = total > LIMITS[n].most;
	}
	return OK;
}

static err open_one(struct req *rq, const struct sim *s, struct str whose, int64_t seconds, struct sim_open *o)
{
	bool there = false;
	o->other = S("");
	TRY(eph_once(rq->house->eph, rq->a, OPEN, whose, s->txn, seconds, &o->first));
	if (!o->first)
		TRY(eph_get(rq->house->eph, rq->a, OPEN, whose, &o->other, &there));
	o->mine = o->first || (there && str_same(o->other, s->txn));
	return OK;
}

/* A doubled click finds its own and is one. */
err sim_open(struct req *rq, const struct sim *s, int64_t seconds, struct sim_open *o)
{
	TRY(open_one(rq, s, person_of(rq, s), seconds, o));
	if (!o->first)
		return OK;
	TRY(open_one(rq, s, phone_of(rq, s), seconds, o));
	return o->first ? OK : eph_drop(rq->house->eph, rq->a, OPEN, person_of(rq, s), s->txn);
}

static err let_go(struct house *h, struct arena *a, struct str person, struct str phone, struct str txn)
{
	TRY(eph_drop(h->eph, a, OPEN, person, txn));
	return eph_drop(h->eph, a, OPEN, phone, txn);
}

err sim_let_go(struct req *rq, const struct sim *s) { return let_go(rq->house, rq->a, person_of(rq, s), phone_of(rq, s), s->txn); }

/* ---- asking ------------------------------------------------------------------------------------------------------------- */

static err may_ask(struct req *rq, const struct sim *s, bool *may)
{
	struct person_row *p;
	TRY(store_person_by_number(rq->house->store, rq->a, person_of(rq, s), &p));
	*may = rq->house->mobile && !(p && p->disabled_at);
	return OK;
}

err sim_prepare(struct req *rq, struct sim *s, struct str client_id, int64_t seconds, bool *may)
{
	TRY(may_ask(rq, s, may));
	s->sent_at = rq->now;
	s->deadline = rq->now + seconds;
	struct audit ev = audit_of(rq, "sim.asked");
	ev.client_id = client_id;
	ev.detail = str_fmt(rq->a, "{\"txn\":\"%s\",\"hash\":\"%s\"}", s->txn.p, s->hash.p);
	return store_audit(rq->house->store, rq->a, &ev);
}

/* What outlives the request that asked: where to put the answer, and then the answer. */
struct asked {
	struct house *house;
	char txn[44], person[65], phone[65];
	sim_told *told;
	void *ctx;
	struct arena *a;
	struct str answer;
	enum mobile_state state;
};

/* What the phone gave holds a certificate, and so the person's number: it is kept sealed, under the transaction that it answers. */
static struct str answer_label(struct arena *a, struct str txn) { return str_fmt(a, "sim-answer:%s", txn.p); }

static err keep_answer(const struct asked *k)
{
	struct str txn = str_of(k->txn);
	TRY(eph_put(k->house->eph, k->a, ANSWERS, txn, seal(k->a, k->house->secrets.seal, answer_label(k->a, txn), k->answer), ANSWER_KEPT));
	/* an unknown number stays "open" exactly as long as a silent phone: whoever asks twice must not learn the difference */
	bool over = k->state != MOBILE_UNKNOWN && k->state != MOBILE_TIMED_OUT;
	return over ? let_go(k->house, k->a, str_of(k->person), str_of(k->phone), txn) : OK;
}

static void lost(const char *why) { log_say(LOG_ERROR, "a phone's answer is lost", "why", why, NULL); }

static void keep(void *ctx)
{
	struct asked *k = ctx;
	err e = keep_answer(k);
	if (e.kind)
		lost(e.why);
	if (k->told)
		k->told(k->ctx, k->state);
	arena_free(k->a);
	free(k);
}

static err write_answer(const struct mobile_result *r, struct arena *a, struct str *text)
{
	struct jw w = jw_new(a, 45000);        /* sealed it still fits */
	jw_object(&w, NULL);
	jw_int(&w, "state", r->state);
	jw_int(&w, "format", r->format);
	jw_str(&w, "signature", b64url(a, r->signature));
	jw_str(&w, "certificate", b64url(a, r->certificate));
	jw_str(&w, "code", r->code);
	return jw_done(&w, text);
}

/* On the thread that drives all conversations with operators: the store of short-lived values may make it wait, so that is left to another. */
static void phone_answered(void *ctx, const struct mobile_result *r)
{
	struct asked *k = ctx;
	k->a = arena_new();
	k->state = r->state;
	err e = write_answer(r, k->a, &k->answer);
	if (e.kind) {                          /* larger than anything that is a signature: as if nothing had come */
		lost(e.why);
		k->state = MOBILE_TIMED_OUT;
		e = write_answer(&(struct mobile_result){ .state = MOBILE_TIMED_OUT }, k->a, &k->answer);
	}
	errands_send(k->house->errands, keep, k);
}

err sim_start(struct req *rq, const struct sim *s, struct str display, sim_told *told, void *ctx)
{
	struct bytes hash;
	if (!b64url_read(rq->a, s->hash, &hash))
		return fault(rq->a, &SERVER_ERROR, "our own hash does not read");
	struct asked *k = calloc(1, sizeof *k);
	if (!k)
		abort();
	k->house = rq->house, k->told = told, k->ctx = ctx;
	snprintf(k->txn, sizeof k->txn, "%s", s->txn.p);
	snprintf(k->person, sizeof k->person, "%s", person_of(rq, s).p);
	snprintf(k->phone, sizeof k->phone, "%s", phone_of(rq, s).p);
	struct mobile_ask ask = { .msisdn = s->msisdn, .hash = hash, .display = display, .code = s->code, .timeout = s->deadline - s->sent_at };
	mobile_start(rq->house->mobile, &ask, phone_answered, k);
	return OK;
}

/* ---- what came back ------------------------------------------------------------------------------------------------------- */

static err read_answer(struct req *rq, const struct sim *s, struct mobile_result *r, bool *there)
{
	struct str sealed, text;
	json_t *o;
	int64_t state = 0, format = 0;
	*r = (struct mobile_result){ .state = MOBILE_PENDING };
	TRY(eph_get(rq->house->eph, rq->a, ANSWERS, s->txn, &sealed, there));
	if (!*there)
		return OK;
	if (!seal_open(rq->a, rq->house->secrets.seal, answer_label(rq->a, s->txn), sealed, &text))
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

err sim_answer(struct req *rq, const struct sim *s, struct mobile_result *r)
{
	bool there;
	TRY(read_answer(rq, s, r, &there));
	bool over = rq->now >= s->deadline;
	if (r->state == MOBILE_UNKNOWN || r->state == MOBILE_TIMED_OUT || r->state == MOBILE_PENDING)
		r->state = over ? MOBILE_TIMED_OUT : MOBILE_PENDING;
	else if (r->state == MOBILE_SIGNED && rq->now > s->deadline + AFTER)
		r->state = MOBILE_TIMED_OUT;     /* SIGNATURES.md 4.7: a late success is never used */
	return OK;
}

static err signed_by(struct req *rq, const struct sim *s, const struct mobile_result *r, struct evidence *e)
{
	enum { MOST = 8 };
	struct trust *trust;
	struct bytes hash, *extra = make_n(rq->a, struct bytes, MOST);
	if (!b64url_read(rq->a, s->hash, &hash))
		return fault(rq->a, &SERVER_ERROR, "our own hash does not read");
	*e = (struct evidence){ .method = "sim", .expected = s->number, .phone = s->msisdn, .extra = extra };
	if (r->format == MOBILE_CMS)
		return signature_cms_of_hash(rq->a, r->signature, hash, &e->cert, extra, MOST, &e->nextra);
	if (!r->certificate.n)
		return fault(rq->a, &SIGNATURE_WRONG, "a bare signature without a certificate");
	TRY(anchors_now(rq->house, rq->a, rq->now, &trust));
	TRY(trust_cert(trust, rq->a, r->certificate, &e->cert));
	return signature_raw(rq->a, &e->cert, hash, r->signature);
}

err sim_proved(struct req *rq, const struct sim *s, const struct mobile_result *r, struct evidence *e, struct proved *p)
{
	TRY(signed_by(rq, s, r, e));
	return evidence_check(rq, e, p);
}

err sim_spend(struct req *rq, const struct sim *s, bool *mine)
{
	struct str text;
	return eph_take(rq->house->eph, rq->a, ANSWERS, s->txn, &text, mine);
}

const char *sim_end(enum mobile_state s)
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
