#include "name.h"
#include <stdlib.h>
#include <unicase.h>
#include <unictype.h>
#include <uninorm.h>
#include <unistr.h>

static const uint8_t *u8(struct str s) { return (const uint8_t *)s.p; }

/* What the library allocated, copied into the arena. */
static struct str taken(struct arena *a, uint8_t *p, size_t n)
{
	if (!p)
		abort();      /* the text was checked to be UTF-8: only memory can have run out */
	struct str s = str_dup(a, (const char *)p, n);
	free(p);
	return s;
}

static bool is_space(ucs4_t c) { return uc_is_general_category(c, UC_CATEGORY_Zs); }
static bool is_hidden(ucs4_t c) { return uc_is_general_category_withtable(c, UC_CATEGORY_MASK_C | UC_CATEGORY_MASK_Zl | UC_CATEGORY_MASK_Zp); }

/* Runs of spaces become one, those at the ends none; for a search key marks are left out and đ is d. */
static struct str folded(struct arena *a, struct str s, bool for_search)
{
	char *d = arena_alloc(a, s.n + 1), *o = d;
	bool gap = false;
	for (size_t i = 0; i < s.n;) {
		ucs4_t c;
		int n = u8_mbtoucr(&c, u8(s) + i, s.n - i);
		if (n <= 0)
			break;
		if (is_space(c)) {
			gap = o != d;
		} else if (!for_search || !uc_is_general_category(c, UC_CATEGORY_Mn)) {
			if (gap)
				*o++ = ' ';
			gap = false;
			if (for_search && (c == 0x111 || c == 0x110))
				*o++ = c == 0x111 ? 'd' : 'D';
			else
				memcpy(o, s.p + i, (size_t)n), o += n;
		}
		i += (size_t)n;
	}
	*o = 0;
	return (struct str){ d, (size_t)(o - d) };
}

static bool any_hidden(struct str s)
{
	for (size_t i = 0; i < s.n;) {
		ucs4_t c;
		int n = u8_mbtoucr(&c, u8(s) + i, s.n - i);
		if (n <= 0 || is_hidden(c))
			return true;
		i += (size_t)n;
	}
	return false;
}

err name_nfc(struct arena *a, struct str typed, struct str *out)
{
	if (typed.n > NAME_MOST)
		return fault(a, &INVALID_REQUEST, "a name of %zu bytes; at most %d", typed.n, NAME_MOST);
	if (!str_utf8(typed) || any_hidden(typed))
		return fault(a, &INVALID_REQUEST, "a name with control characters, or that is not UTF-8");
	size_t n;
	uint8_t *p = typed.n ? u8_normalize(UNINORM_NFC, u8(typed), typed.n, NULL, &n) : NULL;
	*out = p ? folded(a, taken(a, p, n), false) : S("");
	return str_empty(*out) ? fault(a, &INVALID_REQUEST, "a name without a letter") : OK;
}

struct str name_search_key(struct arena *a, struct str name)
{
	size_t n;
	if (!name.n || !str_utf8(name))
		return S("");
	uint8_t *p = u8_casefold(u8(name), name.n, NULL, UNINORM_NFD, NULL, &n);
	return folded(a, taken(a, p, n), true);
}

struct str name_plain(struct arena *a, struct str name)
{
	size_t n;
	if (!name.n || !str_utf8(name))
		return S("");
	uint8_t *p = u8_normalize(UNINORM_NFD, u8(name), name.n, NULL, &n);
	struct str s = folded(a, taken(a, p, n), true);
	char *d = arena_alloc(a, s.n + 1), *o = d;
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] >= ' ' && s.p[i] <= '~')
			*o++ = s.p[i];
		else if (((unsigned char)s.p[i] & 0xC0) != 0x80)
			*o++ = '?';
	*o = 0;
	return (struct str){ d, (size_t)(o - d) };
}
