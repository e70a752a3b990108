#pragma once
#include "eph.h"

/* Between eph.c, which checks limits and composes keys, and an engine. An engine begins with its struct eph. */
struct eph {
	err (*run)(struct eph *, struct arena *, struct eph_op *, size_t n);     /* key is filled in; answers are not */
	err (*ready)(struct eph *, struct arena *);
	void (*close)(struct eph *);
};

enum { EPH_ID_MAX = 1024, EPH_VALUE_MAX = 65536, EPH_BYTES = 64 << 20 };

err redis_open(struct arena *a, struct str where, struct eph **out);
