#pragma once
#include "unit.h"

/* Where the statements of many threads meet: one connection, one thread, and whatever gathered while the last batch was on
 * its way goes out as the next, with one commit. An idle lane adds no delay. */
struct lane;
err lane_new(struct arena *a, const struct sql_engine *, struct str where, enum lane_kind, struct lane **out);
void lane_free(struct lane *);               /* NULL is fine */
err lane_ask(struct lane *, struct unit *);  /* blocks; UNAVAILABLE when the queue is full or the deadline passes */

/* Connections that the calling threads take in turn, for an engine that reads faster without travelling. */
struct pool;
err pool_new(struct arena *a, const struct sql_engine *, struct str where, int most, struct pool **out);
void pool_free(struct pool *);
err pool_ask(struct pool *, struct unit *);
