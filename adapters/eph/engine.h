#pragma once
#include "eph.h"

/* Between eph.c, which checks limits and composes keys, and an engine. An engine begins with its struct eph. */
struct eph {
	err (*put)(struct eph *, struct arena *, struct str key, struct str value, int64_t seconds);
	err (*get)(struct eph *, struct arena *, struct str key, bool take, struct str *value, bool *found);
	err (*once)(struct eph *, struct arena *, struct str key, struct str value, int64_t seconds, bool *first);
	err (*drop)(struct eph *, struct arena *, struct str key, struct str if_value);
	err (*count)(struct eph *, struct arena *, struct str key, int64_t add, int64_t seconds, int64_t *total);
	err (*ready)(struct eph *, struct arena *);
	void (*close)(struct eph *);
};

enum { EPH_ID_MAX = 1024, EPH_VALUE_MAX = 65536, EPH_BYTES = 64 << 20 };

err redis_open(struct arena *a, struct str where, struct eph **out);
