#include "ciba.h"
#include "assurance.h"
#include "audit_of.h"
#include "oidc.h"
#include "rand.h"
#include "session.h"
#include "settings.h"

enum { SETTLING = 10 };

const struct decoupled_kind CIBA = { S("ciba"), "urn:openid:params:grant-type:ciba", "auth_req_id", ciba_settle };

/* ---- what is kept ---------------------------------------------------------------------------------------------------- */

static const struct { const char *name; size_t at; } TEXTS[] = {
#define T(f) { #f, offsetof(struct sim, f) }
	T(txn), T(msisdn), T(number), T(hash), T(code),
#undef T
};
enum { TEXTS_N = sizeof TEXTS / sizeof *TEXTS };

static struct str label(struct arena *a, struct str hash) { return str_fmt(a, "ciba:%s", hash.p); }

err ciba_seal(struct req *rq, struct str hash, const struct sim *s, struct str *sealed)
{
	struct str text;
	struct jw w = jw_new(rq->a, 4096);
	jw_object(&w, NULL);
	for (size_t i = 0; i < TEXTS_N; i++)
		jw_str(&w, TEXTS[i].name, *(const struct str *)(const void *)((const char *)s + TEXTS[i].at));
	jw_int(&w, "sent_at", s->sent_at);
	jw_int(&w, "deadline", s->deadline);
	TRY(jw_done(&w, &text));
	*sealed = seal(rq->a, rq->house->secrets.seal, label(rq->a, hash), text);
	return OK;
}

err ciba_open(struct req *rq, const struct decoupled_row *d, struct sim *s)
{
	struct str text;
	json_t *o;
	*s = (struct sim){ 0 };
	if (!seal_open(rq->a, rq->house->secrets.seal, label(rq->a, d->hash), d->sealed, &text))
		return fault(rq->a, &SERVER_ERROR, "a kept request does not open");
	TRY(json_read_object(rq->a, text, &o));
	for (size_t i = 0; i < TEXTS_N; i++)
		*(struct str *)(void *)((char *)s + TEXTS[i].at) = json_text(o, TEXTS[i].name);
	json_int(o, "sent_at", &s->sent_at);
	json_int(o, "deadline", &s->deadline);
	return OK;
}

/* ---- deciding ----------------------------------------------------------------------------------------------------------- */

static err refuse(struct req *rq, const struct decoupled_row *d, const char *outcome, struct str why)
{
	bool decided;
	struct audit ev = audit_of(rq, "ciba.decided");
	ev.client_id = d->client_id;
	ev.outcome = str_of(outcome);
	ev.why = why;
	return store_decoupled_decide(rq->house->store, rq->a, CIBA.name, d->handle, rq->now, &(struct decision){ .refusal = ev.outcome }, &ev, &decided);
}

static err grant(struct req *rq, const struct client *c, const struct decoupled_row *d, const struct proved *p, const struct session_row *s, const struct person_row *who)
{
	bool decided;
	struct grant_row g = {
		.id = rand_id(rq->a, rq->now_ms), .client_id = c->id, .person_id = who->id, .sid = s->sid, .sub = subject_for(rq->house, rq->a, c, who->id),
		.scope = d->scope, .acr = acr_answer(p->acr, d->acr_values), .amr = p->amr, .auth_time = s->auth_time, .created_at = rq->now,
		.offline = word_in(d->scope, S("offline_access")), .cert_id = p->cert.id,
	};
	struct audit ev = audit_of(rq, "ciba.decided");
	ev.client_id = c->id;
	ev.person_id = who->id;
	ev.sid = s->sid;
	ev.detail = str_fmt(rq->a, "{\"grant\":\"%s\",\"cert\":\"%s\"}", g.id.p, p->cert.id.p);
	return store_decoupled_decide(rq->house->store, rq->a, CIBA.name, d->handle, rq->now, &(struct decision){ .refusal = S(""), .grant = &g }, &ev, &decided);
}

/* The login that the signature is: recorded as any, with a session that no browser has. */
static err log_in(struct req *rq, const struct client *c, const struct decoupled_row *d, const struct evidence *e, const struct proved *p)
{
	struct session_row s;
	struct person_row *who;
	struct str nobodys;
	if (!acr_meets(p->acr, c->minimum_acr))
		return fault(rq->a, &LOGIN_REFUSED, "acr %s does not reach the floor '%s' of %s", p->acr.p, c->minimum_acr.p, c->id.p);
	TRY(login_record(rq, e, p, c->id, S(""), &s, &nobodys, &who));
	return grant(rq, c, d, p, &s, who);
}

/* Of two who ask at once one logs in and the other waits; when the store fails, whoever asks next may try again. */
static err approve(struct req *rq, const struct client *c, const struct decoupled_row *d, const struct sim *s, const struct mobile_result *r, bool *decided)
{
	struct evidence e;
	struct proved p;
	TRY(sim_proved(rq, s, r, &e, &p));
	TRY(eph_once(rq->house->eph, rq->a, "ciba-settling", s->txn, S("1"), SETTLING, decided));
	if (!*decided)
		return OK;
	err why = log_in(rq, c, d, &e, &p);
	if (why.kind)
		TRY(eph_drop(rq->house->eph, rq->a, "ciba-settling", s->txn, S("1")));
	return why;
}

err ciba_settle(struct req *rq, const struct client *c, const struct decoupled_row *d, bool *decided)
{
	struct sim s;
	struct mobile_result r;
	TRY(ciba_open(rq, d, &s));
	TRY(sim_answer(rq, &s, &r));
	*decided = r.state != MOBILE_PENDING && r.state != MOBILE_TIMED_OUT;   /* a phone that is silent is waited for until the request is over */
	if (!*decided)
		return OK;
	if (r.state != MOBILE_SIGNED)
		return refuse(rq, d, sim_end(r.state), str_fmt(rq->a, "operator code '%.20s'", r.code.n ? r.code.p : ""));
	err e = approve(rq, c, d, &s, &r, decided);
	if (login_undecided(e))
		return e;
	*decided = true;
	return refuse(rq, d, e.kind->code, str_of(e.why));
}

/* grant_type=urn:openid:params:grant-type:ciba: CIBA Core section 10.1 */
err grant_ciba(struct req *rq, struct res *rs, const struct client *c)
{
	/* section 11: "the Client is not authorized as it is configured in Push Mode" */
	if (str_is(c->ciba_mode, "push"))
		return fault(rq->a, &UNAUTHORIZED_CLIENT, "%s is sent its tokens", c->id.p);
	return decoupled_tokens(rq, rs, c, &CIBA);
}
