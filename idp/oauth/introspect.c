#include "oauth.h"
#include "audit_of.h"
#include "hash.h"
#include "oidc.h"
#include "settings.h"
#include <stdlib.h>

/* RFC 7662. A resource server learns of a token only what concerns it; of every other, that it is not active. */

/* ---- how it is told ----------------------------------------------------------------------------------------------- */

/* RFC 9110 section 12.4.2: a weight of 0 means "not acceptable" */
static bool weighs_nothing(struct str range)
{
	const char *q = strstr(range.p, "q=");
	return q && strtod(q + 2, NULL) == 0;
}

/* section 12.5.1: the media type itself; a range with a star means JSON, which everybody reads */
static bool accepts(const struct req *rq, struct str type)
{
	struct str all = header(rq, "accept");
	for (const char *p = all.p, *end = all.p + all.n; p && p < end;) {
		size_t part = strcspn(p, ","), name = strcspn(p, ",; \t");
		if (str_eq_nocase((struct str){ p, name }, type) && !weighs_nothing(str_dup(rq->a, p, part)))
			return true;
		p += part + (p[part] == ',');
		p += strspn(p, " \t");
	}
	return false;
}

/* RFC 9701 section 5: iss, aud, iat and token_introspection; neither sub nor exp beside them, so that it is no access token. */
static err answer_jwt(struct req *rq, struct res *rs, const struct client *c, struct str json)
{
	struct str claims;
	struct jw w = jw_new(rq->a, 16 * 1024);
	jw_object(&w, NULL);
	jw_str(&w, "iss", rq->house->issuer);
	jw_str(&w, "aud", c->id);
	jw_int(&w, "iat", rq->now);
	jw_raw(&w, "token_introspection", json);
	jw_end(&w);
	TRY(jw_done(&w, &claims));
	rs->type = S("application/token-introspection+jwt");
	return envelope(rq, c, &c->introspection, S("token-introspection+jwt"), claims, &rs->body);
}

static err answer(struct req *rq, struct res *rs, const struct client *c, struct str json)
{
	res_json(rs, 200, json);
	return accepts(rq, S("application/token-introspection+jwt")) ? answer_jwt(rq, rs, c, json) : OK;
}

static err inactive(struct req *rq, struct res *rs, const struct client *c) { return answer(rq, rs, c, S("{\"active\":false}")); }

/* RFC 7662 section 4: a cached answer hides a revocation for as long as it is kept. So none is kept, unless the operator allows some seconds;
 * never longer than the token lives; and "inactive" never. Whatever a resource server does, the token's own life is the end of it. */
static err active(struct req *rq, struct res *rs, const struct client *c, struct str json, epoch exp)
{
	int64_t lives = rq->house->conf->introspection_lives, left = exp - rq->now;
	if (lives > 0)
		res_header(rq, rs, "Cache-Control", str_fmt(rq->a, "private, max-age=%lld", (long long)(lives < left ? lives : left)));
	return answer(rq, rs, c, json);
}

/* ---- what is told --------------------------------------------------------------------------------------------------- */

static bool is_at(const struct client *c, struct str audience)
{
	for (size_t i = 0; i < c->resources.n; i++)
		if (word_in(audience, c->resources.v[i]))
			return true;
	return false;
}

/* section 4: "the authorization server MUST determine whether or not the resource server making the request is the intended audience" */
static bool concerns(const struct client *c, const struct access *t)
{
	return str_eq(t->client_id, c->id) || word_in(t->audience, c->id) || is_at(c, t->audience);
}

/* section 2.2 */
static err answer_access(struct req *rq, struct res *rs, const struct client *c, const struct access *t)
{
	struct str json;
	struct jw w = jw_new(rq->a, 12 * 1024);
	struct strs audience = str_words(rq->a, t->audience);
	jw_object(&w, NULL);
	jw_bool(&w, "active", true);
	jw_opt(&w, "scope", t->scope);
	jw_str(&w, "client_id", t->client_id);
	jw_str(&w, "token_type", confirm_is_jkt(t->confirm) ? S("DPoP") : S("Bearer"));
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
	if (t->details.n)
		jw_raw(&w, "authorization_details", t->details);       /* RFC 9396 section 9.2 */
	confirm_write(&w, t->confirm);
	if (t->act.n)
		jw_raw(&w, "act", t->act);          /* RFC 8693 section 4.1 */
	if (t->may_act.n)
		jw_raw(&w, "may_act", t->may_act);
	jw_end(&w);
	TRY(jw_done(&w, &json));
	return active(rq, rs, c, json, t->exp);
}

static err of_access(struct req *rq, struct res *rs, const struct client *c, struct str token)
{
	struct access t;
	enum liveness live;
	struct grant_row *g;
	err e = access_read(rq, token, &t);
	if (e.kind)
		return e.kind == &INVALID_TOKEN ? inactive(rq, rs, c) : e;
	if (!concerns(c, &t))
		return inactive(rq, rs, c);
	TRY(access_live(rq, &t, &live, &g, NULL));
	return live == TOKEN_LIVE ? answer_access(rq, rs, c, &t) : inactive(rq, rs, c);
}

/* A refresh token concerns nobody but the client that holds it. */
static err of_refresh(struct req *rq, struct res *rs, const struct client *c, struct str token)
{
	struct refresh_row *r;
	struct grant_row *g, *again;
	enum liveness live;
	TRY(store_refresh_look(rq->house->store, rq->a, hash_of(rq->a, token), &r, &g));
	if (!r || !g || !str_eq(g->client_id, c->id) || r->used_at || r->expires_at <= rq->now)
		return inactive(rq, rs, c);
	TRY(store_token_live(rq->house->store, rq->a, S(""), g->id, c->id, rq->now, &live, &again, NULL));
	if (live != TOKEN_LIVE)
		return inactive(rq, rs, c);

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
	return active(rq, rs, c, json, r->expires_at);
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
