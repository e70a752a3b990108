#include "oauth.h"
#include "audit_of.h"
#include "hash.h"

/* RFC 7009. 200 says: this token is good for nothing from now on. So it is only said when the store has said so. */

static err not_yours(struct req *rq, const struct client *c, struct str owner)
{
	/* section 2.1: whether "the token was issued to the client making the revocation request. If this validation fails, the request
	 * is refused and the client is informed of the error" */
	return fault(rq->a, &INVALID_GRANT, "token of %s, presented by %s", owner.p, c->id.p);
}

static err revoke_access(struct req *rq, const struct client *c, struct str token)
{
	struct access t;
	err e = access_read(rq, token, &t);
	if (e.kind)
		return e.kind == &INVALID_TOKEN ? OK : e;   /* section 2.2: an invalid token is no error */
	if (!str_eq(t.client_id, c->id))
		return not_yours(rq, c, t.client_id);
	struct audit ev = audit_of(rq, "token.revoked");
	ev.client_id = c->id;
	ev.detail = str_fmt(rq->a, "{\"jti\":\"%s\"}", t.jti.p);
	return store_token_revoke(rq->house->store, rq->a, t.jti, t.exp, rq->now, &ev);
}

/* section 2.1: with a refresh token, "the authorization server SHOULD also invalidate all access tokens based on the same grant" */
static err revoke_refresh(struct req *rq, const struct client *c, struct str token)
{
	struct refresh_row *r;
	struct grant_row *g;
	TRY(store_refresh_look(rq->house->store, rq->a, hash_of(rq->a, token), &r, &g));
	if (!r || !g)
		return OK;
	if (!str_eq(g->client_id, c->id))
		return not_yours(rq, c, g->client_id);
	struct audit ev = audit_of(rq, "grant.revoked");
	ev.client_id = c->id;
	ev.person_id = g->person_id;
	ev.sid = g->sid;
	ev.why = S("revoked by its client");
	ev.detail = str_fmt(rq->a, "{\"grant\":\"%s\"}", g->id.p);
	return store_grant_revoke(rq->house->store, rq->a, g->id, rq->now, &ev);
}

static err revoke(struct req *rq, struct res *rs, const struct client **c)
{
	struct str token = form(rq, "token");
	TRY(client_authenticate(rq, c));
	if (str_empty(token))
		return fault(rq->a, &INVALID_REQUEST, "no token from %s", (*c)->id.p);
	TRY(memchr(token.p, '.', token.n) ? revoke_access(rq, *c, token) : revoke_refresh(rq, *c, token));
	res_json(rs, 200, S("{}"));
	return OK;
}

/* POST /revoke */
err ep_revoke(struct req *rq, struct res *rs)
{
	const struct client *c = NULL;
	err e = revoke(rq, rs, &c);
	return refusal_audited(rq, "revocation.refused", c, e);
}
