#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include "arena.h"

/* Text: a pointer and a length, immutable, NUL after the last byte and none before it
 * (decoders refuse %00 and \u0000 at the door). Binary data is a struct bytes, not a str. */
struct str { const char *p; size_t n; };
struct bytes { const unsigned char *p; size_t n; };
struct strs { struct str *v; size_t n; };

typedef int64_t epoch;                     /* seconds since 1970, UTC; the only time we store */

#define S(lit) ((struct str){ "" lit, sizeof(lit) - 1 })
#define STR_FMT "%.*s"
#define STR_ARG(s) (int)(s).n, (s).p

struct str str_dup(struct arena *a, const char *p, size_t n);
struct str str_of(const char *z);                      /* borrows z; NULL gives the empty string */
struct str str_copy(struct arena *a, struct str s);
[[gnu::format(printf, 2, 3), gnu::nonnull(2)]] struct str str_fmt(struct arena *a, const char *fmt, ...);
struct bytes bytes_copy(struct arena *a, const void *p, size_t n);

bool str_same(struct str secret, struct str given);   /* constant time; for anything an attacker may guess at */
bool str_eq_nocase(struct str a, struct str b);       /* ASCII only: header names, schemes */
bool str_starts(struct str s, struct str prefix);
bool str_ends(struct str s, struct str suffix);
struct str str_from(struct arena *a, struct str s, size_t at);       /* the rest of s from at */
struct str str_trim(struct arena *a, struct str s);                  /* without spaces and tabs at its ends */
struct str str_lower(struct arena *a, struct str s);                 /* ASCII only */
bool str_int(struct str s, int64_t least, int64_t most, int64_t *n); /* decimal, no sign but '-', no leading zeros */
bool str_utf8(struct str s);                          /* well-formed UTF-8 without NUL (RFC 3629) */
bool str_printable(struct str s);                     /* U+0020..U+007E only */

/* Words separated by single spaces, as in scope and acr_values; empty words are dropped. */
struct strs str_words(struct arena *a, struct str s);
struct str strs_join(struct arena *a, struct strs l, struct str between);
bool strs_has(struct strs l, struct str s);
bool word_in(struct str words, struct str word);      /* str_words(words) has word, without allocating */

static inline bool str_eq(struct str a, struct str b) { return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0); }
static inline bool str_is(struct str a, const char *z) { return a.n == strlen(z) && memcmp(a.p, z, a.n) == 0; }
static inline bool str_empty(struct str s) { return s.n == 0; }
static inline struct bytes str_bytes(struct str s) { return (struct bytes){ (const unsigned char *)s.p, s.n }; }
