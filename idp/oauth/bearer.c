#include "oauth.h"

/* RFC 6750 section 2: by the header or by a form, never by both; never from the query (section 2.3, RFC 9700 section 4.3.2) */
static err read_token(struct req *rq, struct str *token)
{
	struct str h = header(rq, "authorization"), posted = form(rq, "access_token");
	bool bearer = h.n > 7 && str_eq_nocase((struct str){ h.p, 7 }, S("Bearer "));
	if (bearer && posted.n)
		return fault(rq->a, &INVALID_REQUEST, "an access token both in the header and in the form");
	*token = bearer ? str_trim(rq->a, str_from(rq->a, h, 7)) : posted;
	return token->n ? OK : fault(rq->a, &INVALID_TOKEN, "no access token");
}

err bearer_read(struct req *rq, struct access *out, struct grant_row **grant, struct person_row **person)
{
	struct str token;
	enum liveness live;
	TRY(read_token(rq, &token));
	TRY(access_read(rq, token, out));
	/* RFC 9068 section 4: "The resource server MUST validate that the aud claim contains a resource indicator value corresponding to itself" */
	if (!word_in(out->audience, rq->house->issuer))
		return fault(rq->a, &INVALID_TOKEN, "token %s is not for us", out->jti.p);
	/* RFC 8705 section 3: "if they do not match, the resource server MUST reject" */
	if (out->confirm.n && !str_eq(out->confirm, confirm_of(rq)))
		return fault(rq->a, &INVALID_TOKEN, "token %s is bound to another certificate", out->jti.p);
	TRY(access_live(rq, out, &live, grant, person));
	return live == TOKEN_LIVE ? OK : fault(rq->a, &INVALID_TOKEN, "token %s was revoked, or what it rests on has ended", out->jti.p);
}
