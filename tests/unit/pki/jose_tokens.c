#include <stdio.h>
#include "jws.h"

/* Prints a JWK Set and tokens signed with its keys, one JSON value a line, for verifiers written by others. */
static void print(struct arena *a, const char *alg, int i)
{
	struct signer *s;
	struct str token, kid = str_fmt(a, "%s-%d", alg, i), claims = str_fmt(a, "{\"sub\":\"Nguy\xe1\xbb\x85n\",\"n\":%d}", i);
	if (signer_local_new(a, str_of(alg), kid, &s).kind || jws_sign(a, s, S("at+jwt"), claims, &token).kind)
		return;
	printf("{\"jwk\":%s,\"token\":\"%s\"}\n", signer_public_jwk(s).p, token.p);
	signer_free(s);
}

int main(void)
{
	static const struct { const char *alg; int times; } ROWS[] = { { "RS256", 2 }, { "PS256", 2 }, { "ES256", 64 }, { "EdDSA", 8 } };
	struct arena *a = arena_new();
	for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++)
		for (int k = 0; k < ROWS[i].times; k++)
			print(a, ROWS[i].alg, k);
	arena_free(a);
	return 0;
}
