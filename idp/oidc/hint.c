#include "oidc.h"
#include "jws.h"
#include "keys.h"

static err refused(struct req *rq, const char *why) { return fault(rq->a, &INVALID_REQUEST, "ID token: %s", why); }

/* Access and logout tokens are signed by the same keys: what is not an ID token is none, whatever it claims (RFC 8725 section 3.11). */
static bool is_id_token(struct str typ) { return str_empty(typ) || str_eq_nocase(typ, S("JWT")); }

err id_token_read(struct req *rq, struct str token, json_t **claims)
{
	struct jws jws;
	struct keyring *ring;
	err e = jws_read(rq->a, token, &jws);
	if (e.kind)
		return refused(rq, e.why);
	if (!is_id_token(jws.typ))
		return refused(rq, "not an ID token");
	TRY(keys_seek(rq->house, rq->a, jws.kid, &ring));
	const struct key *key = keyring_key(ring, jws.kid, rq->now);
	if (!key)
		return refused(rq, "no key of ours");
	e = jws_verify(rq->a, token, key, jws.alg, S(""), claims);        /* the key is ours, and bound to its alg */
	if (e.kind)
		return refused(rq, e.why);
	if (json_object_get(*claims, "events"))      /* Back-Channel Logout section 2.4 */
		return refused(rq, "a logout token");
	return str_eq(json_text(*claims, "iss"), rq->house->issuer) ? OK : refused(rq, "issued by somebody else");
}

err id_hint_read(struct req *rq, struct str token, struct id_hint *out)
{
	json_t *claims;
	*out = (struct id_hint){ 0 };
	TRY(id_token_read(rq, token, &claims));
	*out = (struct id_hint){ .client_id = json_text(claims, "aud"), .sub = json_text(claims, "sub"), .sid = json_text(claims, "sid") };
	/* section 2 demands all of these; what userinfo signs for the same client has no exp */
	return out->client_id.n && out->sub.n && json_is_integer(json_object_get(claims, "exp")) ? OK : refused(rq, "without aud, sub or exp");
}
