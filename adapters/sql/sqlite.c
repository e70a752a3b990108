#include <sqlite3.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "clock.h"
#include "prepared.h"
#include "unit.h"

enum { BUSY_MS = 2000 };

struct lite_stmt { sqlite3_stmt *st; int at[STMT_VALS]; };      /* at: SQLite numbers $n by first appearance */
struct sql_conn { sqlite3 *db; bool reads; int64_t deadline; struct prepared_set set; };

/* SQLite's messages name tables, columns and files, never a value. */
static void because(struct why *w, const struct sql_conn *c, const char *doing)
{
	snprintf(w->text, sizeof w->text, "sqlite: %s (%d) in %.80s", sqlite3_errmsg(c->db), sqlite3_extended_errcode(c->db), doing);
}

static void finalize_all(struct prepared_set *set)
{
	for (size_t i = 0; i < set->cap; i++) {
		struct lite_stmt *l = set->v[i].what;
		if (l)
			sqlite3_finalize(l->st);
		free(l);
	}
	free(set->v);
}

static void lite_close(struct sql_conn *c)
{
	finalize_all(&c->set);
	sqlite3_close(c->db);
	free(c);
}

/* Nobody but the owner reads the file, nor its log, whose mode SQLite takes from it. Never opened when it is there already: closing any
 * descriptor of a file drops every POSIX lock that this process holds on it, SQLite's own among them. */
static void lite_touch(const char *path)
{
	static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;
	pthread_mutex_lock(&one_at_a_time);
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd >= 0)
		close(fd);
	pthread_mutex_unlock(&one_at_a_time);
}

static const char WRITER[] =
	"PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = OFF; PRAGMA cache_size = -4096;"
	" PRAGMA wal_autocheckpoint = 2000; PRAGMA journal_size_limit = 16777216; PRAGMA trusted_schema = OFF;";
static const char READER[] =
	"PRAGMA query_only = ON; PRAGMA foreign_keys = OFF; PRAGMA cache_size = -512; PRAGMA trusted_schema = OFF;";

static struct sql_conn *lite_open(struct str where, enum lane_kind kind, struct why *why)
{
	struct sql_conn *c = calloc(1, sizeof *c);
	if (!c) {
		snprintf(why->text, sizeof why->text, "sqlite: no memory");
		return NULL;
	}
	c->reads = kind == LANE_READ;
	lite_touch(where.p);
	int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX;
	if (sqlite3_open_v2(where.p, &c->db, flags, NULL) != SQLITE_OK || sqlite3_busy_timeout(c->db, BUSY_MS) != SQLITE_OK ||
	    sqlite3_exec(c->db, c->reads ? READER : WRITER, NULL, NULL, NULL) != SQLITE_OK) {
		because(why, c, where.p);
		lite_close(c);
		return NULL;
	}
	sqlite3_extended_result_codes(c->db, 1);
	return c;
}

static enum ran what_came(const struct sql_conn *c)
{
	switch (sqlite3_errcode(c->db) & 0xff) {
	case SQLITE_BUSY: case SQLITE_LOCKED: case SQLITE_SCHEMA: return RAN_AGAIN;
	case SQLITE_IOERR: case SQLITE_CORRUPT: case SQLITE_NOTADB: case SQLITE_CANTOPEN: return RAN_LOST;
	default: return RAN_BAD;
	}
}

static struct lite_stmt *prepare(struct sql_conn *c, const char *text)
{
	struct prepared *p = prepared_at(&c->set, text);
	if (!p || p->what)
		return p ? p->what : NULL;
	struct lite_stmt *l = calloc(1, sizeof *l);
	if (!l || sqlite3_prepare_v3(c->db, text, -1, SQLITE_PREPARE_PERSISTENT, &l->st, NULL) != SQLITE_OK) {
		free(l);
		return NULL;
	}
	for (int i = 0; i < STMT_VALS; i++) {
		char name[8];
		snprintf(name, sizeof name, "$%d", i + 1);
		l->at[i] = sqlite3_bind_parameter_index(l->st, name);
	}
	return p->what = l;
}

static void bind(struct lite_stmt *l, const struct stmt *s)
{
	for (size_t i = 0; i < s->n; i++) {
		if (!l->at[i])
			continue;
		if (s->v[i].type == VAL_INT)
			sqlite3_bind_int64(l->st, l->at[i], s->v[i].i);
		else
			sqlite3_bind_text(l->st, l->at[i], s->v[i].s.p, (int)s->v[i].s.n, SQLITE_STATIC);
	}
}

static void keep_row(struct arena *a, sqlite3_stmt *st, struct rows *r, size_t *cap)
{
	if (r->n == *cap) {
		*cap = *cap ? *cap * 4 : 1;
		struct str *grown = make_n(a, struct str, *cap * r->cols);
		if (r->n)
			memcpy(grown, r->cell, r->n * r->cols * sizeof *grown);
		r->cell = grown;
	}
	for (size_t i = 0; i < r->cols; i++) {
		const unsigned char *v = sqlite3_column_text(st, (int)i);
		r->cell[r->n * r->cols + i] = str_dup(a, (const char *)v, v ? (size_t)sqlite3_column_bytes(st, (int)i) : 0);
	}
	r->n++;
}

static bool step(struct sql_conn *c, struct arena *a, struct stmt *s)
{
	struct lite_stmt *l = prepare(c, s->text);
	size_t cap = 0;
	if (!l)
		return false;
	bind(l, s);
	int rc = sqlite3_step(l->st);          /* learns of a migration, which may change the columns of "*" */
	s->rows = (struct rows){ .cols = (size_t)sqlite3_column_count(l->st) };
	for (; rc == SQLITE_ROW; rc = sqlite3_step(l->st))
		keep_row(a, l->st, &s->rows, &cap);
	bool fine = rc == SQLITE_DONE;
	if (fine) {
		sqlite3_reset(l->st);
		sqlite3_clear_bindings(l->st);
	}
	return fine;
}

/* A statement that failed is reset only after its error was read. */
static void reset_all(struct sql_conn *c)
{
	for (size_t i = 0; i < c->set.cap; i++) {
		struct lite_stmt *l = c->set.v[i].what;
		if (l) {
			sqlite3_reset(l->st);
			sqlite3_clear_bindings(l->st);
		}
	}
}

static bool run_all(struct sql_conn *c, struct unit **u, size_t n, const char **doing)
{
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < u[i]->n; k++) {
			*doing = u[i]->st[k].text;
			if (!step(c, u[i]->a, &u[i]->st[k]))
				return false;
		}
	return true;
}

static bool say(struct sql_conn *c, const char *text, const char **doing)
{
	struct stmt s = { .text = *doing = text };
	return step(c, NULL, &s);
}

static enum ran give_up(struct sql_conn *c, const char *doing, struct why *why)
{
	enum ran ran = what_came(c);
	because(why, c, doing);
	reset_all(c);
	if (!sqlite3_get_autocommit(c->db) && sqlite3_exec(c->db, "ROLLBACK", NULL, NULL, NULL) != SQLITE_OK)
		return RAN_LOST;
	return ran;
}

static const char BEGIN_READ[] = "BEGIN", BEGIN_WRITE[] = "BEGIN IMMEDIATE", COMMIT[] = "COMMIT";

static enum ran lite_run(struct sql_conn *c, struct unit **u, size_t n, [[maybe_unused]] int64_t deadline, struct why *why)
{
	const char *doing = "";
	bool alone = c->reads && n == 1 && u[0]->n == 1;
	if (!alone && !say(c, c->reads ? BEGIN_READ : BEGIN_WRITE, &doing))
		return give_up(c, doing, why);
	if (!run_all(c, u, n, &doing))
		return give_up(c, doing, why);
	if (!alone && !say(c, COMMIT, &doing)) {
		enum ran ran = give_up(c, doing, why);
		return ran == RAN_AGAIN ? ran : RAN_LOST;
	}
	return RAN;
}

const struct sql_engine engine_sqlite = {
	.name = "sqlite", .has_schema = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'schema_version'",
	.schema = schema_sqlite, .readers = 8, .open = lite_open, .run = lite_run, .close = lite_close,
};
