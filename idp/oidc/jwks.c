#include "oidc.h"
#include "keys.h"
#include "settings.h"

/* A key is published for key_overlap, at the very least for half of that, before it signs (keys.c), though another process may show the set
 * without it for a moment longer: no copy is kept for as long. */
static int64_t lives(const struct settings *c)
{
	int64_t least = c->key_overlap / 2 - 2 * KEYS_FRESH;
	return least < JWKS_LIVES ? least : JWKS_LIVES;
}

/* GET /.well-known/jwks.json: RFC 7517 section 5 */
err ep_jwks(struct req *rq, struct res *rs)
{
	struct str json;
	TRY(keys_jwks(rq->house, rq->a, &json));
	res_json(rs, 200, json);
	res_header(rq, rs, "Cache-Control", str_fmt(rq->a, "public, max-age=%lld", (long long)lives(rq->house->conf)));
	return OK;
}
