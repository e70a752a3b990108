#pragma once
#include "err.h"
#include "str.h"

/* Short-lived values: what may be rebuilt or asked for again. Every value has its lifetime from birth. Losing all of
 * it costs people a click, never safety: what must not be lost or doubled is in store.h.
 * kind names the drawer (one word, a constant); an id of one kind is never found under another. Values are up to
 * 64 KiB. UNAVAILABLE when the engine cannot answer, or is full. Safe from any thread. */
struct eph;

err eph_put(struct eph *, struct arena *a, const char *kind, struct str id, struct str value, int64_t seconds);
err eph_get(struct eph *, struct arena *a, const char *kind, struct str id, struct str *value, bool *found);
err eph_take(struct eph *, struct arena *a, const char *kind, struct str id, struct str *value, bool *found);   /* of many callers one finds it */
err eph_once(struct eph *, struct arena *a, const char *kind, struct str id, struct str value, int64_t seconds, bool *first); /* put unless there */
err eph_drop(struct eph *, struct arena *a, const char *kind, struct str id, struct str if_value);  /* only while it holds if_value */
err eph_count(struct eph *, struct arena *a, const char *kind, struct str id, int64_t add, int64_t seconds, int64_t *total); /* fixed window from the first add; add 0 reads */
err eph_ready(struct eph *, struct arena *a);
