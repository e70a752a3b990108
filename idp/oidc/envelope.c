#include "oidc.h"
#include "jwe.h"
#include "jws.h"
#include "keys.h"
#include "remote.h"

err client_signer(struct req *rq, const struct client *c, struct str alg, struct signer **out)
{
	struct keyring *ring;
	TRY(keys_now(rq->house, rq->a, &ring));
	*out = keyring_signer(ring, alg, rq->now);
	return *out ? OK : fault(rq->a, &UNAVAILABLE, "no %s key signs now, as %s wants", alg.p, c->id.p);
}

err envelope_ready(struct req *rq, const struct client *c)
{
	const struct key_set *theirs;
	bool encrypted = c->id_token.alg.n || c->userinfo.alg.n || c->introspection.alg.n;
	return encrypted ? client_keys(rq, c, S(""), &theirs) : OK;
}

static err signed_for(struct req *rq, const struct client *c, const struct envelope *how, struct str typ, struct str claims, struct str *token)
{
	struct signer *signer;
	*token = claims;
	if (str_empty(how->sign))
		return OK;
	TRY(client_signer(rq, c, how->sign, &signer));
	return jws_sign(rq->a, signer, typ, claims, token);
}

err envelope(struct req *rq, const struct client *c, const struct envelope *how, struct str typ, struct str claims, struct str *token)
{
	const struct key_set *theirs;
	TRY(signed_for(rq, c, how, typ, claims, token));
	if (str_empty(how->alg))
		return OK;
	TRY(client_keys(rq, c, S(""), &theirs));
	const struct jwe_key *to = jwe_key_for(theirs, how->alg);
	if (!to)
		return fault(rq->a, &UNAVAILABLE, "%s wants its answers encrypted by %s and has no key for that", c->id.p, how->alg.p);
	/* RFC 7519 section 5.2: cty says that there is a JWT inside */
	return jwe_encrypt(rq->a, to, how->alg, how->enc, how->sign.n ? S("JWT") : S(""), *token, token);
}
