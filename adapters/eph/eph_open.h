#pragma once
#include "eph.h"

/* where: "memory"                          one node; lost when the process ends
 *        "redis:unix:/run/redis/redis.sock"
 *        "redis:HOST:PORT"                 either may end in ?user=NAME&password_file=PATH
 * BAD_CONFIG when where or the password file cannot be understood. A Redis that is not there yet is no error: calls answer
 * UNAVAILABLE until it is. Redis 6.2 or later, with maxmemory-policy noeviction: an evicted one-time value could be used twice. */
err eph_open(struct arena *a, struct str where, struct eph **out);
void eph_close(struct eph *);            /* when no call is under way; NULL is fine */

/* The memory engine with its own clock (milliseconds, never backwards) and its own bound on bytes held. */
err eph_open_memory(struct arena *a, int64_t (*now_ms)(void), size_t most, struct eph **out);
