#include "oauth.h"
#include "oidc.h"
#include "audit_of.h"
#include "settings.h"

/* section 5.3.2: "If signed, the UserInfo Response MUST contain the Claims iss and aud as members." Never exp or nonce: it is no ID token. */
static void write_envelope(struct req *rq, struct jw *w, const struct client *c)
{
	jw_str(w, "iss", rq->house->issuer);
	jw_str(w, "aud", c->id);
	jw_int(w, "iat", rq->now);
}

static err userinfo(struct req *rq, struct res *rs, const struct client **c)
{
	struct access t;
	struct grant_row *g;
	struct person_row *p;
	struct str json;

	TRY(bearer_read(rq, &t, &g, &p));
	TRY(client_find(rq, t.client_id, c));
	if (!*c)
		return fault(rq->a, &INVALID_TOKEN, "client %s is gone", t.client_id.p);
	if (!word_in(t.scope, S("openid")))
		return fault(rq->a, &INSUFFICIENT_SCOPE, "token %s has no openid", t.jti.p);
	if (!g || !p)
		return fault(rq->a, &INVALID_TOKEN, "token %s stands for nobody", t.jti.p);
	TRY(bearer_sure(rq, &t, rq->house->conf->userinfo_acr, rq->house->conf->userinfo_max_age));
	TRY(bearer_sure(rq, &t, (*c)->userinfo_acr, 0));

	bool jwt = (*c)->userinfo.sign.n || (*c)->userinfo.alg.n;
	struct claims_ask ask = { .client = *c, .scope = t.scope, .claims = g->claims };
	struct jw w = jw_new(rq->a, 64 * 1024);
	jw_object(&w, NULL);
	if (jwt)
		write_envelope(rq, &w, *c);
	jw_str(&w, "sub", t.sub);
	claims_write(rq, &w, p, &ask);
	jw_end(&w);
	TRY(jw_done(&w, &json));
	res_json(rs, 200, json);
	if (!jwt)
		return OK;
	rs->type = S("application/jwt");
	return envelope(rq, *c, &(*c)->userinfo, S("JWT"), json, &rs->body);
}

/* GET and POST /userinfo: OpenID Connect Core section 5.3 */
err ep_userinfo(struct req *rq, struct res *rs)
{
	const struct client *c = NULL;
	err e = userinfo(rq, rs, &c);
	return refusal_audited(rq, "userinfo.refused", c, e);
}
