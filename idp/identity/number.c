#include "number.h"
#include "buf.h"
#include "x509.h"

enum { TYPED_MOST = 40 };

/* Without the separators that people write for the eye. */
static struct str without(struct arena *a, struct str s, const char *separators)
{
	char *d = arena_alloc(a, s.n + 1);
	size_t n = 0;
	for (size_t i = 0; i < s.n; i++)
		if (!s.p[i] || !strchr(separators, s.p[i]))
			d[n++] = s.p[i];
	return (struct str){ d, n };
}

static bool digits_only(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] < '0' || s.p[i] > '9')
			return false;
	return s.n > 0;
}

static struct str prefix_cut(struct arena *a, struct str s, struct str prefix, bool *had)
{
	*had = s.n > prefix.n && str_eq_nocase((struct str){ s.p, prefix.n }, prefix);
	return *had ? str_from(a, s, prefix.n) : s;
}

/* A branch that is written with spaces for its hyphen, or with 13 digits, has its hyphen again. */
static struct str tax_code(struct arena *a, struct str s)
{
	return s.n == 13 && digits_only(s) ? str_fmt(a, "%.10s-%.3s", s.p, s.p + 10) : s;
}

bool person_number_canonical(struct arena *a, struct str typed, struct str *out)
{
	bool pno = false, vat = false;
	if (typed.n > TYPED_MOST)
		return false;
	struct str s = without(a, typed, " .");
	s = prefix_cut(a, s, S("PNOVN-"), &pno);
	if (!pno)
		s = prefix_cut(a, s, S("VATVN-"), &vat);
	if (!vat && cccd_valid(s)) {
		*out = str_fmt(a, "PNOVN-%s", s.p);
		return true;
	}
	s = tax_code(a, s);
	if (pno || !mst_valid(s))
		return false;
	*out = str_fmt(a, "VATVN-%s", s.p);
	return true;
}

bool phone_canonical(struct arena *a, struct str typed, struct str *out)
{
	static const struct str BEFORE[] = { S("+84"), S("0084"), S("84"), S("0") };
	struct str s = without(a, typed, " .-()");
	for (size_t i = 0; typed.n <= TYPED_MOST && i < sizeof BEFORE / sizeof *BEFORE; i++) {
		if (!str_starts(s, BEFORE[i]) || s.n != BEFORE[i].n + 9)
			continue;
		struct str rest = str_from(a, s, BEFORE[i].n);
		/* mobile numbers since the plan of 2018: 3, 5, 7, 8 or 9, and eight digits */
		if (!digits_only(rest) || !strchr("35789", rest.p[0]))
			return false;
		*out = str_fmt(a, "+84%s", rest.p);
		return true;
	}
	return false;
}

static struct str masked(struct arena *a, struct str s, size_t keep_first, size_t keep_last)
{
	struct buf b = buf_new(a, s.n * 3, 256);
	if (s.n <= keep_first + keep_last)
		keep_first = keep_last = 0;
	for (size_t i = 0; i < s.n; i++)
		if (i < keep_first || i >= s.n - keep_last)
			buf_char(&b, s.p[i]);
		else
			buf_str(&b, S("\xe2\x80\xa2"));
	return (struct str){ b.p, b.n };
}

struct str number_masked(struct arena *a, struct str canonical)
{
	size_t prefix = str_starts(canonical, S("PNOVN-")) || str_starts(canonical, S("VATVN-")) ? 6 : 0;
	return masked(a, str_from(a, canonical, prefix), 3, 2);
}

struct str phone_masked(struct arena *a, struct str canonical) { return masked(a, canonical, 3, 2); }
