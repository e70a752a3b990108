#include "http.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const unsigned char *p, size_t n);

/* What is let in has no name twice and nothing that the limits forbid. */
int LLVMFuzzerTestOneInput(const unsigned char *p, size_t n)
{
	struct arena *a = arena_new();
	struct params l;
	err e = params_read(a, (struct str){ (const char *)p, n }, &l);
	for (size_t i = 0; !e.kind && i < l.n; i++) {
		if (l.n > 64 || str_empty(l.v[i].name) || l.v[i].name.n > 128 || l.v[i].value.n > 16384 || !str_utf8(l.v[i].value))
			abort();
		for (size_t k = 0; k < i; k++)
			if (str_eq(l.v[i].name, l.v[k].name))
				abort();
	}
	arena_free(a);
	return 0;
}
