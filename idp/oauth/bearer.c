#include "oauth.h"
#include "assurance.h"
#include "profile.h"

/* What came in the request, before anything of it is believed. */
struct shown { struct str token; bool dpop; };

static bool by_scheme(struct req *rq, struct str scheme, struct str *token)
{
	struct str h = header(rq, "authorization");
	if (h.n <= scheme.n || !str_eq_nocase((struct str){ h.p, scheme.n }, scheme))
		return false;
	*token = str_trim(rq->a, str_from(rq->a, h, scheme.n));
	return true;
}

/* RFC 6750 section 2, RFC 9449 section 7.1: by the header, or unbound by a form, never by both; never from the query (section 2.3,
 * RFC 9700 section 4.3.2) */
static err read_token(struct req *rq, struct shown *s)
{
	struct str posted = form(rq, "access_token");
	*s = (struct shown){ .token = posted };
	s->dpop = by_scheme(rq, S("DPoP "), &s->token);
	if ((s->dpop || by_scheme(rq, S("Bearer "), &s->token)) && posted.n)
		return fault(rq->a, &INVALID_REQUEST, "an access token both in the header and in the form");
	return s->token.n ? OK : fault(rq->a, &INVALID_TOKEN, "no access token");
}

static err prove_key(struct req *rq, const struct access *t, struct str token, struct str *confirm)
{
	const struct client *c;
	TRY(client_find(rq, t->client_id, &c));
	if (!c)
		return fault(rq->a, &INVALID_TOKEN, "client %s is gone", t->client_id.p);
	TRY(dpop_read(rq, c, token, confirm));
	return confirm->n ? OK : fault(rq->a, &INVALID_DPOP_PROOF, "token %s came without a proof", t->jti.p);
}

/* RFC 9449 section 7.2: a token that is bound to a key must not be taken as Bearer, nor another by the scheme DPoP.
 * RFC 8705 section 3: "if they do not match, the resource server MUST reject" */
static err check_confirm(struct req *rq, const struct access *t, const struct shown *s)
{
	struct str confirm;
	if (s->dpop != confirm_is_jkt(t->confirm))
		return fault(rq->a, &INVALID_TOKEN, "token %s came as %s, bound to '%s'", t->jti.p, s->dpop ? "DPoP" : "Bearer", t->confirm.p);
	if (s->dpop)
		TRY(prove_key(rq, t, s->token, &confirm));
	else
		confirm = confirm_of(rq);
	if (t->confirm.n && !str_eq(t->confirm, confirm))
		return fault(rq->a, &INVALID_TOKEN, "token %s is bound to another key or certificate", t->jti.p);
	return OK;
}

err bearer_read(struct req *rq, struct access *out, struct grant_row **grant, struct person_row **person)
{
	struct shown s;
	enum liveness live;
	rq->dpop_algs = strs_join(rq->a, profiles_words(rq->a, offsetof(struct profile, dpop_algs)), S(" "));
	TRY(read_token(rq, &s));
	TRY(access_read(rq, s.token, out));
	/* RFC 9068 section 4: "The resource server MUST validate that the aud claim contains a resource indicator value corresponding to itself" */
	if (!word_in(out->audience, rq->house->issuer))
		return fault(rq->a, &INVALID_TOKEN, "token %s is not for us", out->jti.p);
	TRY(check_confirm(rq, out, &s));
	TRY(access_live(rq, out, &live, grant, person));
	return live == TOKEN_LIVE ? OK : fault(rq->a, &INVALID_TOKEN, "token %s was revoked, or what it rests on has ended", out->jti.p);
}

/* RFC 9470 section 3 */
err bearer_sure(struct req *rq, const struct access *t, struct str acr, int64_t max_age)
{
	bool weak = !acr_meets(t->acr, acr), old = max_age > 0 && t->auth_time < rq->now - max_age;
	if (!weak && !old)
		return OK;
	if (weak)
		rq->challenge = str_fmt(rq->a, ", acr_values=\"%s\"", acr.p);
	if (old)
		rq->challenge = str_fmt(rq->a, "%s, max_age=\"%lld\"", weak ? rq->challenge.p : "", (long long)max_age);
	return fault(rq->a, &INSUFFICIENT_USER_AUTHENTICATION, "token %s has acr '%s' of %llds ago", t->jti.p, t->acr.p, (long long)(rq->now - t->auth_time));
}
