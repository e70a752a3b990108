#include "buf.h"
#include <stdarg.h>
#include <stdio.h>

struct buf buf_new(struct arena *a, size_t first, size_t max)
{
	return (struct buf){ .a = a, .p = arena_alloc(a, first + 1), .cap = first, .max = max };
}

void buf_add(struct buf *b, const void *p, size_t n)
{
	if (n > b->max - b->n) {
		b->over = true;
		return;
	}
	if (b->n + n > b->cap) {
		size_t cap = b->cap * 2 > b->n + n ? b->cap * 2 : b->n + n;
		char *grown = arena_alloc(b->a, cap + 1);
		if (b->n)
			memcpy(grown, b->p, b->n);
		b->p = grown, b->cap = cap;
	}
	if (n)
		memcpy(b->p + b->n, p, n);
	b->n += n;
	b->p[b->n] = 0;
}

void buf_str(struct buf *b, struct str s) { buf_add(b, s.p, s.n); }
void buf_char(struct buf *b, char c) { buf_add(b, &c, 1); }

void buf_fmt(struct buf *b, const char *fmt, ...)
{
	va_list ap;
	char tmp[512];
	va_start(ap, fmt);
	int n = vsnprintf(tmp, sizeof tmp, fmt, ap);
	va_end(ap);
	if (n < 0 || n >= (int)sizeof tmp)
		b->over = true;
	else
		buf_add(b, tmp, (size_t)n);
}

err buf_done(struct buf *b, struct str *out)
{
	if (b->over)
		return fault(b->a, &TOO_LARGE, "a text outgrew its %zu bytes", b->max);
	*out = (struct str){ b->p, b->n };
	return OK;
}

void buf_html(struct buf *b, struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		switch (s.p[i]) {
		case '&': buf_str(b, S("&amp;")); break;
		case '<': buf_str(b, S("&lt;")); break;
		case '>': buf_str(b, S("&gt;")); break;
		case '"': buf_str(b, S("&quot;")); break;
		case '\'': buf_str(b, S("&#39;")); break;
		default: buf_char(b, s.p[i]);
		}
}

void buf_url(struct buf *b, struct str s)
{
	static const char HEX[] = "0123456789ABCDEF";
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];
		if ((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c && strchr("-._~", c)))
			buf_char(b, (char)c);
		else
			buf_add(b, (char[]){ '%', HEX[c >> 4], HEX[c & 15] }, 3);
	}
}

/* RFC 8259 section 7 */
void buf_json(struct buf *b, struct str s)
{
	static const char HEX[] = "0123456789abcdef";
	buf_char(b, '"');
	size_t from = 0;
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];
		if (c >= 0x20 && c != '"' && c != '\\')
			continue;
		buf_add(b, s.p + from, i - from);
		from = i + 1;
		if (c == '"' || c == '\\')
			buf_add(b, (char[]){ '\\', (char)c }, 2);
		else
			buf_add(b, (char[]){ '\\', 'u', '0', '0', HEX[c >> 4], HEX[c & 15] }, 6);
	}
	buf_add(b, s.p + from, s.n - from);
	buf_char(b, '"');
}
