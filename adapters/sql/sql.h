#pragma once
#include "err.h"
#include "store.h"
#include "str.h"

/* Opens port/store.h over SQLite or PostgreSQL: "sqlite:PATH", or "postgres:" followed by a libpq connection string
 * (key=value pairs; a URI postgres://… stands for itself). Connects at once: UNAVAILABLE when it cannot, BAD_CONFIG when
 * `where` names neither. Two connections to PostgreSQL, one that reads and one that writes, with prepared statements: a pooler
 * between must pool sessions. It writes as durably as the server's synchronous_commit says. The store lives until store_close,
 * which no other call may outlive. Safe from any thread. */
err store_open(struct arena *a, struct str where, struct store **out);
void store_close(struct store *);                     /* NULL is fine */

/* Migrations are additive, numbered, and applied each in one transaction; any number of processes may try at once. */
struct migration { int64_t version; struct str name; epoch applied_at; };
err store_migrate_status(struct store *, struct arena *a, struct migration **list, size_t *n);
err store_migrate_up(struct store *, struct arena *a, int64_t *applied);       /* how many this call applied */
