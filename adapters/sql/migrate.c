#include "ask.h"
#include <stdlib.h>
#include "clock.h"

enum { PATIENCE_MS = 3600 * 1000, TRIES = 10 };

static const char CREATE[] = "CREATE TABLE IF NOT EXISTS schema_version (version BIGINT PRIMARY KEY, name TEXT NOT NULL, applied_at BIGINT NOT NULL)";
static const char VERSIONS[] = "SELECT version, applied_at FROM schema_version ORDER BY version";

static err has_schema(struct store *s, struct arena *a, bool *has)
{
	struct stmt st[] = { { .text = s->engine->has_schema } };
	TRY(ask_read(s, a, st, 1));
	*has = st->rows.n;
	return OK;
}

static err versions(struct store *s, struct arena *a, struct rows *out)
{
	struct stmt st[] = { { .text = VERSIONS } };
	bool has;
	*out = (struct rows){ 0 };
	TRY(has_schema(s, a, &has));
	if (has)
		TRY(ask_read(s, a, st, 1));
	*out = st->rows;
	return OK;
}

static epoch applied_at(const struct rows *r, int64_t version)
{
	for (size_t i = 0; i < r->n; i++)
		if (strtoll(r->cell[i * r->cols].p, NULL, 10) == version)
			return strtoll(r->cell[i * r->cols + 1].p, NULL, 10);
	return 0;
}

err store_migrate_status(struct store *s, struct arena *a, struct migration **list, size_t *n)
{
	struct rows done;
	TRY(versions(s, a, &done));
	for (*n = 0; s->engine->schema[*n].version; ++*n)
		;
	*list = make_n(a, struct migration, *n + 1);
	for (size_t i = 0; i < *n; i++) {
		const struct schema_step *step = &s->engine->schema[i];
		(*list)[i] = (struct migration){ step->version, str_of(step->name), applied_at(&done, step->version) };
	}
	return OK;
}

/* Of two processes that create it at once, PostgreSQL refuses one in spite of IF NOT EXISTS. */
static err create(struct store *s, struct arena *a)
{
	struct stmt st[] = { { .text = CREATE } };
	bool has;
	err e = OK;
	for (int try = 0; try < TRIES; try++) {
		TRY(has_schema(s, a, &has));
		if (has)
			return OK;
		e = ask_patiently(s, a, st, 1, PATIENCE_MS);
	}
	return e;
}

/* The row comes first: a second process waits at it until the first has committed, and is then refused, by the row itself. */
static err apply(struct store *s, struct arena *a, const struct schema_step *step)
{
	struct stmt st[UNIT_STMTS] = {
		SQL("INSERT INTO schema_version (version, name, applied_at) VALUES ($1, $2, $3)", num(step->version), txt(str_of(step->name)), num(clock_ms() / 1000)),
	};
	size_t n = 1;
	for (const char *const *text = step->statements; *text; text++)
		st[n++].text = *text;
	return ask_patiently(s, a, st, n, PATIENCE_MS);
}

/* Whoever is at work on it already is waited for. */
static err up(struct store *s, struct arena *a, const struct schema_step *step, int64_t *applied)
{
	struct rows done;
	err e = OK;
	for (int try = 0; try < TRIES; try++) {
		TRY(versions(s, a, &done));
		if (applied_at(&done, step->version))
			return OK;
		e = apply(s, a, step);
		if (!e.kind) {
			++*applied;
			return OK;
		}
	}
	return e;
}

err store_migrate_up(struct store *s, struct arena *a, int64_t *applied)
{
	*applied = 0;
	TRY(create(s, a));
	for (const struct schema_step *step = s->engine->schema; step->version; step++)
		TRY(up(s, a, step, applied));
	return OK;
}

err store_ready(struct store *s, struct arena *a, int64_t *schema_version)
{
	struct rows done;
	TRY(versions(s, a, &done));
	*schema_version = done.n ? strtoll(done.cell[(done.n - 1) * done.cols].p, NULL, 10) : 0;
	return OK;
}
