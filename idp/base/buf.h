#pragma once
#include "err.h"
#include "str.h"

/* Text that grows, with a maximum from birth. What would not fit is dropped and `over` stays set:
 * look once, at the end (buf_str does). Lives in its arena. */
struct buf { struct arena *a; char *p; size_t n, cap, max; bool over; };

struct buf buf_new(struct arena *a, size_t first, size_t max);
void buf_add(struct buf *b, const void *p, size_t n);
void buf_str(struct buf *b, struct str s);
void buf_char(struct buf *b, char c);
[[gnu::format(printf, 2, 3)]] void buf_fmt(struct buf *b, const char *fmt, ...);
err buf_done(struct buf *b, struct str *out);          /* TOO_LARGE when something was dropped */

/* Encodings that are applied while adding. */
void buf_html(struct buf *b, struct str s);            /* & < > " ' escaped: safe in text and in quoted attributes */
void buf_url(struct buf *b, struct str s);             /* RFC 3986 unreserved kept, the rest %XX */
void buf_json(struct buf *b, struct str s);            /* a JSON string with its quotes */
