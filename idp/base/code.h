#pragma once
#include "err.h"
#include "str.h"

/* Encodings, strict: each value has one spelling, so what is compared or hashed cannot be re-spelled. */

struct str b64url(struct arena *a, struct bytes b);                 /* RFC 4648 section 5, no padding */
bool b64url_read(struct arena *a, struct str s, struct bytes *out); /* refuses padding, other letters, stray bits */
struct str b64(struct arena *a, struct bytes b);                    /* RFC 4648 section 4, padded */
bool b64_read(struct arena *a, struct str s, struct bytes *out);    /* padded, no white space, no stray bits */
struct str hex(struct arena *a, struct bytes b);                    /* lower case */
bool hex_read(struct arena *a, struct str s, struct bytes *out);    /* either case, even length */

/* application/x-www-form-urlencoded decoding of one name or value (WHATWG URL section 5.1).
 * Refuses a broken %XX, %00, control characters but TAB, CR and LF, and what is not UTF-8. */
bool url_read(struct arena *a, struct str s, bool plus_is_space, struct str *out);
