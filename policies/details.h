#pragma once
#include "err.h"
#include "str.h"
#include "json.h"

/* What an application may ask for in so many words (RFC 9396, authorization_details): the operator's kinds, and two pure functions over them.
 *
 *   [authorization_type land_record]
 *   text     = Xem và sửa hồ sơ đất đai
 *   text_en  = See and change land records
 *   fields   = actions locations parcel
 *   required = actions
 *   actions  = read change
 */
struct detail_type {
	struct str name;
	struct str text, text_en;            /* what the person reads above it; unsaid: the name */
	struct strs fields, required;        /* members beside type: those that it may have, those that it must */
	struct strs actions;                 /* what its `actions` may hold; none = anything */
};
const struct detail_type *detail_type_of(const struct detail_type *, size_t n, struct str name);    /* NULL: no such */
err detail_types_check(struct arena *a, const char *path, const struct detail_type *, size_t n);    /* BAD_CONFIG */

/* A request, read against the kinds that exist and those that the client may ask for; out: compact JSON. What is asked for at the token endpoint
 * out of what was granted: each one of it, as it was, or with fewer words in its lists. INVALID_AUTHORIZATION_DETAILS. */
enum { DETAILS_MOST = 8, DETAILS_SIZE = 4096 };
err details_check(struct arena *a, const struct detail_type *, size_t n, struct strs allowed, struct str text, struct str *out);
err details_narrow(struct arena *a, struct str granted, struct str asked, struct str *out);
