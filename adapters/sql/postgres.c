#include <libpq-fe.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include "clock.h"
#include "prepared.h"
#include "unit.h"

enum { OID_INT8 = 20, OID_TEXT = 25, INT_SIZE = 24, COMMANDS_MOST = 256 * UNIT_STMTS * 2 };

/* state: what the server knows of it. ASKED is an answer that is still on its way. */
struct pg_stmt { enum { UNKNOWN, ASKED, KNOWN } state; char name[16]; };

/* What was sent, in the order in which it is answered: a statement prepared (st NULL), or run. */
struct command { struct pg_stmt *prepares; struct unit *u; struct stmt *st; const char *text; };

struct sql_conn {
	PGconn *pg;
	struct prepared_set set;
	struct command *sent;
	size_t n, cap;
};

/* ---- why --------------------------------------------------------------------------------------------------------------------- */

/* The server's message goes on, but for data errors (classes 22 and 23), which quote what was sent; details never do. */
static void because(struct why *w, const PGresult *r, const char *doing)
{
	const char *state = PQresultErrorField(r, PG_DIAG_SQLSTATE), *msg = PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY);
	const char *rule = PQresultErrorField(r, PG_DIAG_CONSTRAINT_NAME);
	if (!state)
		snprintf(w->text, sizeof w->text, "postgres: the connection ended in %.80s", doing);
	else if (!strncmp(state, "22", 2) || !strncmp(state, "23", 2))
		snprintf(w->text, sizeof w->text, "postgres: %s %s in %.80s", state, rule ? rule : "", doing);
	else
		snprintf(w->text, sizeof w->text, "postgres: %s %s in %.80s", state, msg ? msg : "", doing);
}

static enum ran lost(struct why *w, const char *what)
{
	snprintf(w->text, sizeof w->text, "postgres: %s", what);
	return RAN_LOST;
}

/* PostgreSQL appendix A. */
static const struct { const char *state; enum ran ran; } STATES[] = {
	{ "40001", RAN_AGAIN },              /* serialization_failure */
	{ "40P01", RAN_AGAIN },              /* deadlock_detected */
	{ "55P03", RAN_AGAIN },              /* lock_not_available: lock_timeout */
	{ "26000", RAN_STALE },              /* invalid_sql_statement_name: the session is another one (a pooler) */
	{ "0A000", RAN_STALE },              /* feature_not_supported: a cached plan whose result type a migration changed */
	{ "25006", RAN_STALE },              /* read_only_sql_transaction: this server is no longer the first */
	{ "08", RAN_LOST }, { "57P", RAN_LOST }, { "58", RAN_LOST }, { "XX", RAN_LOST }, { "25P", RAN_LOST },
};

static enum ran what_came(const PGresult *r)
{
	const char *state = PQresultErrorField(r, PG_DIAG_SQLSTATE);
	if (!state)
		return RAN_LOST;
	for (size_t i = 0; i < sizeof STATES / sizeof *STATES; i++)
		if (!strncmp(state, STATES[i].state, strlen(STATES[i].state)))
			return STATES[i].ran;
	return RAN_BAD;
}

/* ---- opening ------------------------------------------------------------------------------------------------------------------ */

static void pg_close(struct sql_conn *c)
{
	for (size_t i = 0; i < c->set.cap; i++)
		free(c->set.v[i].what);
	free(c->set.v);
	free(c->sent);
	PQfinish(c->pg);
	free(c);
}

static void quiet([[maybe_unused]] void *arg, [[maybe_unused]] const PGresult *r) { }

/* Whoever waits for what another process holds gives way before everybody's deadline, so that only it is hurt. */
static bool give_way(PGconn *pg)
{
	PGresult *r = PQexec(pg, "SET lock_timeout = 250");
	bool fine = PQresultStatus(r) == PGRES_COMMAND_OK;
	PQclear(r);
	return fine;
}

/* What stands before dbname may be said otherwise in the connection string. */
static struct sql_conn *pg_open(struct str where, enum lane_kind kind, struct why *why)
{
	const char *const names[] = { "connect_timeout", "application_name", "tcp_user_timeout", "keepalives_idle", "dbname", "client_encoding", NULL };
	const char *const values[] = { "3", kind == LANE_WRITE ? "motid-write" : "motid-read", "5000", "10", where.p, "UTF8", NULL };
	struct sql_conn *c = calloc(1, sizeof *c);
	if (c)
		c->pg = PQconnectdbParams(names, values, 1);
	if (!c || PQstatus(c->pg) != CONNECTION_OK || !give_way(c->pg) || PQsetnonblocking(c->pg, 1) || !PQenterPipelineMode(c->pg)) {
		snprintf(why->text, sizeof why->text, "%s", c ? PQerrorMessage(c->pg) : "no memory");
		if (c)
			pg_close(c);
		return NULL;
	}
	PQsetNoticeReceiver(c->pg, quiet, NULL);
	return c;
}

/* ---- sending ------------------------------------------------------------------------------------------------------------------- */

static bool note(struct sql_conn *c, struct command cmd)
{
	if (c->n == c->cap) {
		size_t cap = c->cap ? c->cap * 2 : 512;
		struct command *grown = cap > COMMANDS_MOST ? NULL : realloc(c->sent, cap * sizeof *grown);
		if (!grown)
			return false;
		c->sent = grown;
		c->cap = cap;
	}
	c->sent[c->n++] = cmd;
	return true;
}

static struct pg_stmt *known(struct sql_conn *c, const char *text)
{
	struct prepared *p = prepared_at(&c->set, text);
	if (!p || p->what)
		return p ? p->what : NULL;
	struct pg_stmt *s = calloc(1, sizeof *s);
	if (s)
		snprintf(s->name, sizeof s->name, "m%zu", c->set.n);
	return p->what = s;
}

/* The types are said, so that the server need not infer them (INSERT … SELECT $1). */
static bool send_prepare(struct sql_conn *c, struct pg_stmt *p, const struct stmt *s)
{
	Oid types[STMT_VALS];
	for (size_t i = 0; i < s->n; i++)
		types[i] = s->v[i].type == VAL_INT ? OID_INT8 : OID_TEXT;
	p->state = ASKED;
	return PQsendPrepare(c->pg, p->name, s->text, (int)s->n, types) && note(c, (struct command){ .prepares = p, .text = s->text });
}

static bool send_stmt(struct sql_conn *c, struct unit *u, struct stmt *s)
{
	const char *v[STMT_VALS];
	char ints[STMT_VALS][INT_SIZE];
	struct pg_stmt *p = known(c, s->text);
	s->rows = (struct rows){ 0 };
	if (!p || s->n > STMT_VALS || (p->state == UNKNOWN && !send_prepare(c, p, s)))
		return false;
	for (size_t i = 0; i < s->n; i++) {
		v[i] = s->v[i].s.p;
		if (s->v[i].type == VAL_INT) {
			snprintf(ints[i], INT_SIZE, "%lld", (long long)s->v[i].i);
			v[i] = ints[i];
		}
	}
	return PQsendQueryPrepared(c->pg, p->name, (int)s->n, v, NULL, NULL, 0) && note(c, (struct command){ .u = u, .st = s, .text = s->text });
}

static bool send_all(struct sql_conn *c, struct unit **u, size_t n)
{
	c->n = 0;
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < u[i]->n; k++)
			if (!send_stmt(c, u[i], &u[i]->st[k]))
				return false;
	return PQpipelineSync(c->pg);
}

/* ---- receiving ------------------------------------------------------------------------------------------------------------------- */

/* Writes what is left and reads what has come, so that neither side waits for the other with full hands. */
static bool travel(struct sql_conn *c, int64_t deadline)
{
	int left = PQflush(c->pg);
	if (left < 0)
		return false;
	struct pollfd p = { .fd = PQsocket(c->pg), .events = (short)(POLLIN | (left ? POLLOUT : 0)) };
	int64_t ms = deadline - clock_mono_ms();
	int rc = poll(&p, 1, ms < 0 ? 0 : ms > 3600000 ? 3600000 : (int)ms);
	if (rc < 0 && errno == EINTR)
		return true;
	return rc > 0 && (!(p.revents & (POLLIN | POLLERR | POLLHUP)) || PQconsumeInput(c->pg));
}

static bool next_result(struct sql_conn *c, int64_t deadline, PGresult **r)
{
	while (PQisBusy(c->pg))
		if (!travel(c, deadline))
			return false;
	*r = PQgetResult(c->pg);
	return true;
}

static void keep_rows(struct arena *a, const PGresult *r, struct rows *out)
{
	*out = (struct rows){ .n = (size_t)PQntuples(r), .cols = (size_t)PQnfields(r) };
	out->cell = make_n(a, struct str, out->n * out->cols);
	for (size_t i = 0; i < out->n; i++)
		for (size_t k = 0; k < out->cols; k++)
			out->cell[i * out->cols + k] = str_dup(a, PQgetvalue(r, (int)i, (int)k), (size_t)PQgetlength(r, (int)i, (int)k));
}

static enum ran take(struct sql_conn *c, size_t at, const PGresult *r, struct why *why)
{
	struct command *cmd = at < c->n ? &c->sent[at] : NULL;
	ExecStatusType got = PQresultStatus(r);
	if (!cmd || (got != PGRES_COMMAND_OK && got != PGRES_TUPLES_OK)) {
		because(why, r, cmd ? cmd->text : "COMMIT");
		return what_came(r);
	}
	if (cmd->prepares)
		cmd->prepares->state = KNOWN;
	else if (got == PGRES_TUPLES_OK)
		keep_rows(cmd->u->a, r, &cmd->st->rows);
	return RAN;
}

/* Answers come in order, each followed by NULL, then the mark that ends the transaction. The commit itself can fail, too:
 * only the mark without any error before it says that all is done and durable. */
static enum ran receive(struct sql_conn *c, int64_t deadline, struct why *why)
{
	enum ran ran = RAN;
	PGresult *r;
	for (size_t at = 0, nulls = 0; nulls < 3;) {
		if (!next_result(c, deadline, &r))
			return lost(why, PQstatus(c->pg) == CONNECTION_OK ? "no answer in time" : "the connection ended");
		if (!r) {
			at += nulls++ == 0;
			continue;
		}
		ExecStatusType got = PQresultStatus(r);
		nulls = 0;
		if (got == PGRES_PIPELINE_SYNC)
			at = c->n + 1;
		else if (got != PGRES_PIPELINE_ABORTED && ran == RAN)
			ran = take(c, at, r, why);
		PQclear(r);
		if (at > c->n)
			return ran;
		if (PQstatus(c->pg) != CONNECTION_OK)
			return RAN_LOST;
	}
	return lost(why, "the answer made no sense");
}

static void forget_unanswered(struct sql_conn *c)
{
	for (size_t i = 0; i < c->n; i++)
		if (c->sent[i].prepares && c->sent[i].prepares->state == ASKED)
			c->sent[i].prepares->state = UNKNOWN;
}

/* A server that went away while nothing was asked of it has nothing of ours. Its farewell is read first, the end after it. */
static bool still_there(struct sql_conn *c)
{
	struct pollfd p = { .fd = PQsocket(c->pg), .events = POLLIN };
	while (PQstatus(c->pg) == CONNECTION_OK && poll(&p, 1, 0) > 0)
		if (!PQconsumeInput(c->pg))
			return false;
	return PQstatus(c->pg) == CONNECTION_OK;
}

/* Everything up to the Sync is one implicit transaction (PostgreSQL 55.2.4 "Pipelining"); its end is its commit. */
static enum ran pg_run(struct sql_conn *c, struct unit **u, size_t n, int64_t deadline, struct why *why)
{
	if (!still_there(c)) {
		lost(why, "the connection had ended");
		return RAN_STALE;
	}
	enum ran ran = send_all(c, u, n) ? receive(c, deadline, why) : lost(why, "nothing could be sent");
	forget_unanswered(c);
	return ran;
}

const struct sql_engine engine_postgres = {
	.name = "postgres", .has_schema = "SELECT 1 FROM pg_catalog.pg_class WHERE relname = 'schema_version' AND pg_catalog.pg_table_is_visible(oid)",
	.schema = schema_postgres, .readers = 0, .open = pg_open, .run = pg_run, .close = pg_close,
};
