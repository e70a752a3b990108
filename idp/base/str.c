#include "str.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <openssl/crypto.h>

struct str str_dup(struct arena *a, const char *p, size_t n)
{
	char *d = arena_alloc(a, n + 1);
	if (n)
		memcpy(d, p, n);
	return (struct str){ d, n };
}

struct str str_of(const char *z) { return z ? (struct str){ z, strlen(z) } : S(""); }

struct str str_copy(struct arena *a, struct str s) { return str_dup(a, s.p, s.n); }

struct str str_fmt(struct arena *a, const char *fmt, ...)
{
	va_list ap, again;
	va_start(ap, fmt);
	va_copy(again, ap);
	int n = vsnprintf(NULL, 0, fmt, ap);
	if (n < 0)
		abort();
	char *d = arena_alloc(a, (size_t)n + 1);
	vsnprintf(d, (size_t)n + 1, fmt, again);
	va_end(again);
	va_end(ap);
	return (struct str){ d, (size_t)n };
}

struct bytes bytes_copy(struct arena *a, const void *p, size_t n)
{
	unsigned char *d = arena_alloc(a, n + 1);
	if (n)
		memcpy(d, p, n);
	return (struct bytes){ d, n };
}

bool str_same(struct str secret, struct str given)
{
	return secret.n == given.n && CRYPTO_memcmp(secret.p, given.p, secret.n) == 0;
}

static char lower(char c) { return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c; }

bool str_eq_nocase(struct str a, struct str b)
{
	if (a.n != b.n)
		return false;
	for (size_t i = 0; i < a.n; i++)
		if (lower(a.p[i]) != lower(b.p[i]))
			return false;
	return true;
}

bool str_starts(struct str s, struct str prefix)
{
	return s.n >= prefix.n && (prefix.n == 0 || memcmp(s.p, prefix.p, prefix.n) == 0);
}

bool str_ends(struct str s, struct str suffix)
{
	return s.n >= suffix.n && (suffix.n == 0 || memcmp(s.p + s.n - suffix.n, suffix.p, suffix.n) == 0);
}

struct str str_from(struct arena *a, struct str s, size_t at)
{
	return at >= s.n ? S("") : str_dup(a, s.p + at, s.n - at);
}

struct str str_trim(struct arena *a, struct str s)
{
	while (s.n && (*s.p == ' ' || *s.p == '\t'))
		s.p++, s.n--;
	while (s.n && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t'))
		s.n--;
	return str_copy(a, s);
}

struct str str_lower(struct arena *a, struct str s)
{
	char *d = arena_alloc(a, s.n + 1);
	for (size_t i = 0; i < s.n; i++)
		d[i] = lower(s.p[i]);
	return (struct str){ d, s.n };
}

bool str_int(struct str s, int64_t least, int64_t most, int64_t *n)
{
	size_t i = s.n && s.p[0] == '-';
	bool minus = i == 1;
	if (s.n == i || s.n - i > 18 || (s.p[i] == '0' && s.n - i > 1) || (minus && s.p[i] == '0'))
		return false;
	int64_t v = 0;
	for (; i < s.n; i++) {
		if (s.p[i] < '0' || s.p[i] > '9')
			return false;
		v = v * 10 + (s.p[i] - '0');
	}
	if (minus)
		v = -v;
	if (v < least || v > most)
		return false;
	*n = v;
	return true;
}

bool str_utf8(struct str s)
{
	const unsigned char *p = (const unsigned char *)s.p, *end = p + s.n;
	while (p < end) {
		unsigned c = *p++;
		if (c == 0)
			return false;
		if (c < 0x80)
			continue;
		int more = c >= 0xc2 && c <= 0xdf ? 1 : (c & 0xf0) == 0xe0 ? 2 : c >= 0xf0 && c <= 0xf4 ? 3 : 0;
		if (!more || end - p < more)
			return false;
		/* RFC 3629 section 4: no over-long forms, no surrogates, nothing above U+10FFFF */
		if ((c == 0xe0 && *p < 0xa0) || (c == 0xed && *p > 0x9f) || (c == 0xf0 && *p < 0x90) || (c == 0xf4 && *p > 0x8f))
			return false;
		while (more--)
			if ((*p++ & 0xc0) != 0x80)
				return false;
	}
	return true;
}

bool str_printable(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] < 0x20 || s.p[i] > 0x7e)
			return false;
	return true;
}

static bool next_word(struct str *rest, struct str *word)
{
	while (rest->n && *rest->p == ' ')
		rest->p++, rest->n--;
	if (!rest->n)
		return false;
	const char *sp = memchr(rest->p, ' ', rest->n);
	size_t n = sp ? (size_t)(sp - rest->p) : rest->n;
	*word = (struct str){ rest->p, n };
	rest->p += n, rest->n -= n;
	return true;
}

struct strs str_words(struct arena *a, struct str s)
{
	struct str rest = s, w;
	struct strs l = { 0 };
	while (next_word(&rest, &w))
		l.n++;
	l.v = make_n(a, struct str, l.n + 1);
	rest = s;
	for (size_t i = 0; next_word(&rest, &w); i++)
		l.v[i] = str_copy(a, w);
	return l;
}

bool word_in(struct str words, struct str word)
{
	struct str w;
	while (next_word(&words, &w))
		if (str_eq(w, word))
			return true;
	return false;
}

struct str strs_join(struct arena *a, struct strs l, struct str between)
{
	size_t n = 0;
	for (size_t i = 0; i < l.n; i++)
		n += l.v[i].n + (i ? between.n : 0);
	char *d = arena_alloc(a, n + 1), *p = d;
	for (size_t i = 0; i < l.n; i++) {
		if (i)
			p = mempcpy(p, between.p, between.n);
		p = mempcpy(p, l.v[i].p, l.v[i].n);
	}
	return (struct str){ d, n };
}

bool strs_has(struct strs l, struct str s)
{
	for (size_t i = 0; i < l.n; i++)
		if (str_eq(l.v[i], s))
			return true;
	return false;
}
