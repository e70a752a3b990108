#pragma once
#include "err.h"
#include "str.h"

/* Short-lived values: what may be rebuilt or asked for again. Every value has its lifetime from birth. Losing all of
 * it costs people a click, never safety: what must not be lost or doubled is in store.h.
 * kind names the drawer (one word, a constant); an id of one kind is never found under another. Values are up to
 * 64 KiB. UNAVAILABLE when the engine cannot answer, or is full. Safe from any thread. */
struct eph;

/* Several in one journey. They are answered in this order, as if each was asked alone: what others do may come between. When one cannot be
 * answered none is, though what stands before it may have happened. */
enum { EPH_TOGETHER = 4 };
enum eph_verb { EPH_PUT, EPH_GET, EPH_TAKE, EPH_ONCE, EPH_DROP, EPH_COUNT };
struct eph_op {
	enum eph_verb verb;
	const char *kind;
	struct str id;
	struct str value;                    /* PUT, ONCE, DROP: what is given; GET, TAKE: what was found, or "" */
	int64_t seconds, add;
	int64_t total;                       /* COUNT */
	bool yes;                            /* GET, TAKE: found; ONCE: first */
	struct str key;                      /* the store's own */
};
err eph_do(struct eph *, struct arena *a, struct eph_op *ops, size_t n);

err eph_put(struct eph *, struct arena *a, const char *kind, struct str id, struct str value, int64_t seconds);
err eph_get(struct eph *, struct arena *a, const char *kind, struct str id, struct str *value, bool *found);
err eph_take(struct eph *, struct arena *a, const char *kind, struct str id, struct str *value, bool *found);   /* of many callers one finds it */
err eph_once(struct eph *, struct arena *a, const char *kind, struct str id, struct str value, int64_t seconds, bool *first); /* put unless there */
err eph_drop(struct eph *, struct arena *a, const char *kind, struct str id, struct str if_value);  /* only while it holds if_value */
err eph_count(struct eph *, struct arena *a, const char *kind, struct str id, int64_t add, int64_t seconds, int64_t *total); /* fixed window from the first add; add 0 reads */
err eph_ready(struct eph *, struct arena *a);
