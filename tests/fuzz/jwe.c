#include "jwe.h"
#include <stdlib.h>

/* Seeds are encrypted to these two, and say "hello": whatever else opens was not made by whoever made the seeds. RFC 7518 appendix C,
 * RFC 7748 section 6.1. */
static const char *const KEYS[] = {
	"{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"weNJy2HscCSM6AEDTDg04biOvhFhyyWvOHQfeF_PxMQ\",\"y\":\"e8lnCO-AlStT-NJVX-crhB7QRYhiix03illJOVAOyck\","
	"\"d\":\"VEmDZpDXXK8p8N0Cndsxs924q6nS1RXFASRl6BfUqdw\"}",
	"{\"kty\":\"OKP\",\"crv\":\"X25519\",\"x\":\"3p7bfXt9wbTTW2HC7OQ1Nz-DQ8hbeGdNrfx-FG-IK08\",\"d\":\"XasIfmJKikt54X-Lg4AO5m87sSkmGLb9HC-LJ_-I4Os\"}",
};
enum { KEYS_N = sizeof KEYS / sizeof *KEYS };

static struct jwe_key *own[KEYS_N];

static void must(bool so)
{
	if (!so)
		abort();
}

static void read_keys(void)
{
	static struct arena *a;
	json_t *jwk;
	if (a)
		return;
	a = arena_new();
	for (size_t i = 0; i < KEYS_N; i++)
		must(!json_read_object(a, str_of(KEYS[i]), &jwk).kind && !jwe_key_private(a, jwk, &own[i]).kind);
}

int LLVMFuzzerTestOneInput(const unsigned char *p, size_t n);

int LLVMFuzzerTestOneInput(const unsigned char *p, size_t n)
{
	struct arena *a = arena_new();
	struct str text = str_dup(a, (const char *)p, n);
	read_keys();
	for (size_t i = 0; i < KEYS_N; i++) {
		struct bytes plain;
		if (!jwe_decrypt(a, own[i], text, S("RSA-OAEP-256 ECDH-ES ECDH-ES+A256KW"), S("A128CBC-HS256 A256GCM"), &plain).kind)
			must(plain.n == 5 && memcmp(plain.p, "hello", 5) == 0);
	}
	arena_free(a);
	return 0;
}
