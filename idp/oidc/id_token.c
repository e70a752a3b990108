#include "oauth.h"
#include "oidc.h"
#include "settings.h"

enum { MAX_CLAIMS = 16 * 1024 };

/* section 2: auth_time "when a max_age request is made or when auth_time is requested as an Essential Claim"; or by registration */
static bool auth_time_wanted(struct req *rq, const struct tokens *t)
{
	json_t *claims;
	if (t->grant->auth_time_asked || t->client->require_auth_time)
		return true;
	if (str_empty(t->grant->claims) || json_read_object(rq->a, t->grant->claims, &claims).kind)
		return false;
	return json_object_get(json_object_get(claims, "id_token"), "auth_time") != NULL;
}

/* section 5.5: claims asked for by name of the ID token; their person is looked up for nobody else */
static err write_asked(struct req *rq, const struct tokens *t, struct jw *w)
{
	struct claims_ask ask = { .client = t->client, .scope = t->scope, .claims = t->grant->claims };
	struct person_row *p;
	if (str_empty(t->grant->claims) || !claims_for_id_token(rq->a, &ask))
		return OK;
	TRY(store_person(rq->house->store, rq->a, t->grant->person_id, &p));
	if (p)
		claims_write_id_token(rq, w, p, &ask);
	return OK;
}

static err claims_of(struct req *rq, const struct tokens *t, struct str *claims)
{
	const struct grant_row *g = t->grant;
	struct jw w = jw_new(rq->a, MAX_CLAIMS);
	jw_object(&w, NULL);
	jw_str(&w, "iss", rq->house->issuer);
	jw_str(&w, "sub", g->sub);
	jw_str(&w, "aud", t->client->id);
	jw_int(&w, "exp", rq->now + rq->house->conf->id_lives);
	jw_int(&w, "iat", rq->now);
	if (auth_time_wanted(rq, t))
		jw_int(&w, "auth_time", g->auth_time);
	if (t->first)
		jw_opt(&w, "nonce", g->nonce);         /* section 12.2: a refreshed one SHOULD NOT have it */
	jw_opt(&w, "acr", g->acr);
	if (g->amr.n)
		jw_strs(&w, "amr", str_words(rq->a, g->amr));
	jw_opt(&w, "sid", g->sid);
	jw_str(&w, "at_hash", alg_half_hash(rq->a, t->client->id_token.sign, t->access));
	TRY(write_asked(rq, t, &w));
	if (t->auth_req_id.n) {                /* CIBA Core section 10.3.1: what is pushed is tied to what was asked for */
		jw_str(&w, "urn:openid:params:jwt:claim:auth_req_id", t->auth_req_id);
		jw_str(&w, "urn:openid:params:jwt:claim:rt_hash", alg_half_hash(rq->a, t->client->id_token.sign, t->refresh));
	}
	jw_end(&w);
	return jw_done(&w, claims);
}

err id_token_mint(struct req *rq, struct tokens *t)
{
	struct str claims;
	TRY(claims_of(rq, t, &claims));
	return envelope(rq, t->client, &t->client->id_token, S("JWT"), claims, &t->id_token);
}
