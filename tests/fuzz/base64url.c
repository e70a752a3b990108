#include "code.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const unsigned char *p, size_t n);

/* Whatever is read has one spelling: written again it is the same text. */
int LLVMFuzzerTestOneInput(const unsigned char *p, size_t n)
{
	struct arena *a = arena_new();
	struct str text = { (const char *)p, n };
	struct bytes b;
	if (b64url_read(a, text, &b) && !str_eq(b64url(a, b), text))
		abort();
	if (b64_read(a, text, &b) && !str_eq(b64(a, b), text))
		abort();
	arena_free(a);
	return 0;
}
