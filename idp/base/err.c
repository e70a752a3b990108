#include "err.h"
#include <stdarg.h>
#include <stdio.h>

#define ERR(sym, code, status, told) const struct err_kind sym = { code, status, told };
#include "errors.def"
#undef ERR

err fault(struct arena *a, const struct err_kind *kind, const char *fmt, ...)
{
	char why[512];
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(why, sizeof why, fmt, ap);
	va_end(ap);
	if (n < 0)
		n = 0;
	if (n >= (int)sizeof why)
		n = (int)sizeof why - 1;
	char *p = arena_alloc(a, (size_t)n + 1);
	for (int i = 0; i < n; i++)
		p[i] = (unsigned char)why[i] < 0x20 || why[i] == 0x7f ? '?' : why[i];
	return (err){ kind, p };
}
