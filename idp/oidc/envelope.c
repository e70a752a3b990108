#include "oidc.h"
#include "jws.h"
#include "keys.h"

err client_signer(struct req *rq, const struct client *c, struct str alg, struct signer **out)
{
	struct keyring *ring;
	TRY(keys_now(rq->house, rq->a, &ring));
	*out = keyring_signer(ring, alg, rq->now);
	return *out ? OK : fault(rq->a, &UNAVAILABLE, "no %s key signs now, as %s wants", alg.p, c->id.p);
}

err envelope(struct req *rq, const struct client *c, const struct envelope *how, struct str typ, struct str claims, struct str *token)
{
	struct signer *signer;
	TRY(client_signer(rq, c, how->sign, &signer));
	return jws_sign(rq->a, signer, typ, claims, token);
}
