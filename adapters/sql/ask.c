#include "ask.h"
#include <stdlib.h>
#include "clock.h"

enum { PATIENCE_MS = 5000 };

static err ask(struct store *s, enum lane_kind kind, struct unit *u, int64_t patience_ms)
{
	u->deadline = clock_mono_ms() + patience_ms;
	if (kind == LANE_WRITE)
		return lane_ask(s->write, u);
	return s->read ? lane_ask(s->read, u) : pool_ask(s->pool, u);
}

err ask_read(struct store *s, struct arena *a, struct stmt *st, size_t n)
{
	return ask(s, LANE_READ, &(struct unit){ .a = a, .st = st, .n = n, .key = S("") }, PATIENCE_MS);
}

err ask_write(struct store *s, struct arena *a, struct str key, struct stmt *st, size_t n)
{
	return ask(s, LANE_WRITE, &(struct unit){ .a = a, .st = st, .n = n, .key = key.p ? key : S("") }, PATIENCE_MS);
}

err ask_patiently(struct store *s, struct arena *a, struct stmt *st, size_t n, int64_t patience_ms)
{
	return ask(s, LANE_WRITE, &(struct unit){ .a = a, .st = st, .n = n, .key = S("") }, patience_ms);
}

/* ---- rows into structs ---------------------------------------------------------------------------------------------- */

void *row_at(struct arena *a, const struct rows *r, size_t row, size_t first_col, const struct cols *cols)
{
	char *dest = arena_alloc(a, cols->size);
	const struct str *cell = r->cell + row * r->cols + first_col;
	for (size_t i = 0; i < cols->n; i++) {
		void *field = dest + cols->v[i].at;
		switch (cols->v[i].type) {
		case COL_STR: *(struct str *)field = cell[i]; break;
		case COL_INT: *(int64_t *)field = strtoll(cell[i].p, NULL, 10); break;
		case COL_BOOL: *(bool *)field = cell[i].p[0] == '1'; break;
		}
	}
	return dest;
}

void *row_only(struct arena *a, const struct rows *r, const struct cols *cols)
{
	return r->n ? row_at(a, r, 0, 0, cols) : NULL;
}

void *row_all(struct arena *a, const struct rows *r, const struct cols *cols, size_t *n)
{
	char *all = arena_alloc(a, r->n * cols->size);
	for (size_t i = 0; i < r->n; i++)
		memcpy(all + i * cols->size, row_at(a, r, i, 0, cols), cols->size);
	*n = r->n;
	return all;
}

/* ---- opening ----------------------------------------------------------------------------------------------------------- */

void store_close(struct store *s)
{
	if (!s)
		return;
	lane_free(s->read);
	lane_free(s->write);
	pool_free(s->pool);
	arena_free(s->own);
	free(s);
}

static err open_lanes(struct arena *a, struct store *s, const struct sql_engine *engine, struct str where)
{
	TRY(lane_new(a, engine, where, LANE_WRITE, &s->write));
	return engine->readers ? pool_new(a, engine, where, engine->readers, &s->pool) : lane_new(a, engine, where, LANE_READ, &s->read);
}

err store_over(struct arena *a, const struct sql_engine *engine, struct str where, struct store **out)
{
	struct store *s = calloc(1, sizeof *s);
	if (!s)
		return fault(a, &UNAVAILABLE, "no memory for the store");
	s->engine = engine;
	s->own = arena_new();
	err e = open_lanes(a, s, engine, str_copy(s->own, where));
	if (e.kind) {
		store_close(s);
		return e;
	}
	*out = s;
	return OK;
}

err store_open(struct arena *a, struct str where, struct store **out)
{
	if (str_starts(where, S("sqlite:")))
		return store_over(a, &engine_sqlite, str_from(a, where, 7), out);
	if (str_starts(where, S("postgres://")) || str_starts(where, S("postgresql://")))
		return store_over(a, &engine_postgres, where, out);
	if (str_starts(where, S("postgres:")))
		return store_over(a, &engine_postgres, str_from(a, where, 9), out);
	return fault(a, &BAD_CONFIG, "the store is sqlite:PATH or postgres:CONNECTION, not \"%s\"", where.p);
}
