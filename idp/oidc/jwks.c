#include "oidc.h"
#include "keys.h"

/* GET /.well-known/jwks.json: RFC 7517 section 5. The next key is in it long before it signs, so an hour in a cache does no harm. */
err ep_jwks(struct req *rq, struct res *rs)
{
	struct str json;
	TRY(keys_jwks(rq->house, rq->a, &json));
	res_json(rs, 200, json);
	res_header(rq, rs, "Cache-Control", S("public, max-age=3600"));
	return OK;
}
