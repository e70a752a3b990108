#include "oidc.h"
#include "keys.h"
#include "settings.h"

/* A key is published for key_overlap, at the very least for half of that, before it signs (keys.c): no copy is kept for longer. */
static int64_t lives(const struct settings *c) { return c->key_overlap / 2 < JWKS_LIVES ? c->key_overlap / 2 : JWKS_LIVES; }

/* GET /.well-known/jwks.json: RFC 7517 section 5 */
err ep_jwks(struct req *rq, struct res *rs)
{
	struct str json;
	TRY(keys_jwks(rq->house, rq->a, &json));
	res_json(rs, 200, json);
	res_header(rq, rs, "Cache-Control", str_fmt(rq->a, "public, max-age=%lld", (long long)lives(rq->house->conf)));
	return OK;
}
