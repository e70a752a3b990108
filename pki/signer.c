#include "inside/own_signer.h"
#include "inside/jose.h"
#include <stdlib.h>

static struct str kept(struct str s)
{
	char *p = malloc(s.n + 1);
	if (!p)
		abort();
	memcpy(p, s.p, s.n);
	p[s.n] = 0;
	return (struct str){ p, s.n };
}

enum { KID_MOST = 64 };

err signer_fits(struct arena *a, struct str alg, struct str kid, const struct alg **g)
{
	if (!word_in(S("RS256 PS256 ES256 EdDSA"), alg))
		return fault(a, &INVALID_REQUEST, "keys that sign %.32s are not made here", alg.p);
	if (str_empty(kid) || kid.n > KID_MOST || !str_printable(kid))
		return fault(a, &INVALID_REQUEST, "a kid of 1 to %d printable characters", KID_MOST);
	*g = alg_find(alg);
	return OK;
}

void signer_name(struct signer *s, struct str alg, struct str kid, struct str jwk)
{
	memcpy(s->alg, alg.p, alg.n < sizeof s->alg ? alg.n : sizeof s->alg - 1);
	s->kid = kept(kid);
	s->jwk = kept(jwk);
}

struct str signer_kid(const struct signer *s) { return s->kid; }
struct str signer_alg(const struct signer *s) { return str_of(s->alg); }
struct str signer_public_jwk(const struct signer *s) { return s->jwk; }
err signer_sign(struct signer *s, struct arena *a, struct bytes input, unsigned char *sig, size_t *n) { return s->sign(s, a, input, sig, n); }

err signer_local_export(struct signer *s, struct arena *a, struct bytes *pkcs8)
{
	return s->export ? s->export(s, a, pkcs8) : fault(a, &SERVER_ERROR, "the key %s cannot leave its signer", s->kid.p);
}

void signer_free(struct signer *s)
{
	if (!s)
		return;
	free((char *)(uintptr_t)s->kid.p);
	free((char *)(uintptr_t)s->jwk.p);
	s->free(s);
}
