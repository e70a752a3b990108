#include "oauth.h"
#include "audit_of.h"
#include "hash.h"

/* RFC 7662. A resource server learns of a token only what concerns it; of every other, that it is not active. */

static err inactive(struct res *rs)
{
	res_json(rs, 200, S("{\"active\":false}"));
	return OK;
}

/* section 4: "the authorization server MUST determine whether or not the resource server making the request is the intended audience" */
static bool concerns(const struct client *c, const struct access *t)
{
	return str_eq(t->client_id, c->id) || word_in(t->audience, c->id);
}

static void write_confirm(struct jw *w, struct str confirm)
{
	static const struct str X5T = { "x5t#S256:", 9 };
	if (!str_starts(confirm, X5T))
		return;
	jw_object(w, "cnf");
	jw_str(w, "x5t#S256", (struct str){ confirm.p + X5T.n, confirm.n - X5T.n });
	jw_end(w);
}

/* section 2.2 */
static err answer_access(struct req *rq, struct res *rs, const struct access *t)
{
	struct str json;
	struct jw w = jw_new(rq->a, 8192);
	struct strs audience = str_words(rq->a, t->audience);
	jw_object(&w, NULL);
	jw_bool(&w, "active", true);
	jw_opt(&w, "scope", t->scope);
	jw_str(&w, "client_id", t->client_id);
	jw_str(&w, "token_type", S("Bearer"));
	jw_int(&w, "exp", t->exp);
	jw_int(&w, "iat", t->iat);
	jw_str(&w, "sub", t->sub);
	if (audience.n == 1)
		jw_str(&w, "aud", t->audience);
	else
		jw_strs(&w, "aud", audience);
	jw_str(&w, "iss", rq->house->issuer);
	jw_str(&w, "jti", t->jti);
	jw_opt(&w, "acr", t->acr);
	if (t->amr.n)
		jw_strs(&w, "amr", str_words(rq->a, t->amr));
	if (t->auth_time)
		jw_int(&w, "auth_time", t->auth_time);
	write_confirm(&w, t->confirm);
	jw_end(&w);
	TRY(jw_done(&w, &json));
	res_json(rs, 200, json);
	return OK;
}

static err of_access(struct req *rq, struct res *rs, const struct client *c, struct str token)
{
	struct access t;
	enum liveness live;
	struct grant_row *g;
	err e = access_read(rq, token, &t);
	if (e.kind)
		return e.kind == &INVALID_TOKEN ? inactive(rs) : e;
	if (!concerns(c, &t))
		return inactive(rs);
	TRY(store_token_live(rq->house->store, rq->a, t.jti, t.grant_id, t.client_id, rq->now, &live, &g, NULL));
	return live == TOKEN_LIVE ? answer_access(rq, rs, &t) : inactive(rs);
}

/* A refresh token concerns nobody but the client that holds it. */
static err of_refresh(struct req *rq, struct res *rs, const struct client *c, struct str token)
{
	struct refresh_row *r;
	struct grant_row *g, *again;
	enum liveness live;
	TRY(store_refresh_look(rq->house->store, rq->a, hash_of(rq->a, token), &r, &g));
	if (!r || !g || !str_eq(g->client_id, c->id) || r->used_at || r->expires_at <= rq->now)
		return inactive(rs);
	TRY(store_token_live(rq->house->store, rq->a, S(""), g->id, c->id, rq->now, &live, &again, NULL));
	if (live != TOKEN_LIVE)
		return inactive(rs);

	struct str json;
	struct jw w = jw_new(rq->a, 8192);
	jw_object(&w, NULL);
	jw_bool(&w, "active", true);
	jw_str(&w, "scope", r->scope);
	jw_str(&w, "client_id", c->id);
	jw_int(&w, "exp", r->expires_at);
	jw_int(&w, "iat", r->created_at);
	jw_str(&w, "sub", g->sub);
	jw_str(&w, "iss", rq->house->issuer);
	jw_end(&w);
	TRY(jw_done(&w, &json));
	res_json(rs, 200, json);
	return OK;
}

static err introspect(struct req *rq, struct res *rs, const struct client **c)
{
	struct str token = form(rq, "token");
	TRY(client_authenticate(rq, c));
	/* section 2.1: "to prevent token scanning attacks, the endpoint MUST also require some form of authorization": a name is none */
	if (str_is((*c)->auth_method, "none"))
		return fault(rq->a, &INVALID_CLIENT, "%s is public", (*c)->id.p);
	if (str_empty(token))
		return fault(rq->a, &INVALID_REQUEST, "no token from %s", (*c)->id.p);
	/* only one of our kinds has dots; token_type_hint is a hint that nothing needs */
	return memchr(token.p, '.', token.n) ? of_access(rq, rs, *c, token) : of_refresh(rq, rs, *c, token);
}

/* POST /introspect */
err ep_introspect(struct req *rq, struct res *rs)
{
	const struct client *c = NULL;
	err e = introspect(rq, rs, &c);
	return refusal_audited(rq, "introspection.refused", c, e);
}
