#include "pki_scene.h"
#include "signature.h"

/* A seed may be a good signature over TEXT; whatever else is taken must be by its very signer. */
#define TEXT "what was asked to be signed"
#define OTHER "something else that was asked"

int LLVMFuzzerTestOneInput(const unsigned char *p, size_t n)
{
	struct arena *a = arena_new();
	struct cert c;
	struct bytes extra[8], in = { p, n };
	size_t count;
	if (!signature_cms(a, in, str_bytes(S(TEXT)), &c, extra, 8, &count).kind)
		must(count <= 8 && c.der.n && memmem(p, n, c.der.p, c.der.n));
	must(signature_cms(a, in, str_bytes(S(OTHER)), &c, extra, 8, &count).kind && c.der.n == 0);
	arena_free(a);
	return 0;
}
