#include "settings.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const unsigned char *p, size_t n);

/* Any bytes as a configuration file: refused with the file's name and a reason, or read whole within the limits of its table. */
int LLVMFuzzerTestOneInput(const unsigned char *p, size_t n)
{
	struct arena *a = arena_new();
	struct settings c = { 0 };
	err e = conf_read(a, "fuzz.conf", str_dup(a, (const char *)p, n), SETTINGS, &c);
	if (e.kind && (e.kind != &BAD_CONFIG || !str_starts(str_of(e.why), S("fuzz.conf"))))
		abort();
	if (!e.kind && (str_empty(c.issuer) || c.code_lives < 1 || c.code_lives > 60 || c.workers < 1 || c.workers > 512))
		abort();
	arena_free(a);
	return 0;
}
