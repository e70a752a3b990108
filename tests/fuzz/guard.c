#include "door.h"
#include "buf.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const unsigned char *p, size_t n);

static struct str cut(struct str *s, const char *end)
{
	const char *at = s->n ? memmem(s->p, s->n, end, strlen(end)) : NULL;
	struct str first = { s->p, at ? (size_t)(at - s->p) : s->n };
	*s = at ? (struct str){ at + strlen(end), s->n - first.n - strlen(end) } : (struct str){ s->p + s->n, 0 };
	return first;
}

/* Lines cut at CR LF, as a reader of the specification would: what the guard lets in can be read in one way. */
int LLVMFuzzerTestOneInput(const unsigned char *p, size_t n)
{
	struct arena *a = arena_new();
	struct str text = str_dup(a, (const char *)p, n), line = cut(&text, "\r\n");
	static struct param h[MAX_HEADERS + 1];
	struct raw raw = { .headers = h, .origin = S("https://id.example") };
	raw.method = cut(&line, " "), raw.target = cut(&line, " "), raw.version = line;
	while (text.n && raw.n <= MAX_HEADERS) {
		line = cut(&text, "\r\n");
		if (!line.n)
			break;
		h[raw.n].name = cut(&line, ":");
		h[raw.n++].value = line;
	}
	if (guard(&raw).status == 0) {
		if (guard_length(&raw) > MAX_BODY || memchr(raw.target.p, 0, raw.target.n) || !raw.target.n)
			abort();
		for (size_t i = 0; i < raw.n; i++)
			if (str_eq_nocase(h[i].name, S("transfer-encoding")) || memchr(h[i].value.p, '\n', h[i].value.n))
				abort();
	}
	arena_free(a);
	return 0;
}
