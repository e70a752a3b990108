#pragma once
#include <semaphore.h>
#include "err.h"
#include "migrations.h"
#include "str.h"

/* A value crosses as what it is: text or an integer. */
struct val { enum { VAL_TEXT, VAL_INT } type; struct str s; int64_t i; };
static inline struct val txt(struct str s) { return (struct val){ VAL_TEXT, s.p ? s : S(""), 0 }; }
static inline struct val num(int64_t i) { return (struct val){ VAL_INT, { 0 }, i }; }

/* n rows of as many cells as the statement has columns, all as text; NULL is "". */
struct rows { size_t n, cols; struct str *cell; };

/* text is static: engines prepare each address once a connection. $1..$n bind v, whose types never vary for one text. */
struct stmt { const char *text; const struct val *v; size_t n; struct rows rows; };

enum { STMT_VALS = 32, UNIT_STMTS = 16 };

/* Statements that happen together or not at all, everything known beforehand. It lives on the stack of the thread that
 * waits for it; the engine fills in rows, in a. */
struct unit {
	struct arena *a;
	struct stmt *st;
	size_t n;
	struct str key;                      /* what it contends for: a batch goes in this order, so that two batches do not deadlock */
	int64_t deadline;                    /* clock_mono_ms() */
	err e;
	sem_t done;
	_Atomic bool answered;               /* what done says, in words that ThreadSanitizer knows (it is blind to sem_clockwait) */
	struct unit *next;
};

/* What became of units that were run together, in one transaction. */
enum ran {
	RAN,                                 /* it is done, and durable */
	RAN_BAD,                             /* a statement was refused: nothing happened, and nothing would when asked again */
	RAN_AGAIN,                           /* nothing happened; may well when asked again (40001, 40P01, busy) */
	RAN_STALE,                           /* nothing happened; may well on a new connection */
	RAN_LOST,                            /* the connection is gone; whether it happened is unknown */
};

struct why { char text[256]; };

enum lane_kind { LANE_READ, LANE_WRITE, LANES };

struct sql_conn;
struct sql_engine {
	const char *name;
	const char *has_schema;              /* one row when there is a table schema_version */
	const struct schema_step *schema;
	int readers;                         /* connections that read, each taken by the calling thread; 0: reads are batched like writes */
	/* Returns NULL, and why, when it cannot. */
	struct sql_conn *(*open)(struct str where, enum lane_kind kind, struct why *);
	/* n > 0 units, in order, in one transaction. By `deadline` it has returned, or soon after. Never says a parameter in why. */
	enum ran (*run)(struct sql_conn *, struct unit **u, size_t n, int64_t deadline, struct why *);
	void (*close)(struct sql_conn *);
};
extern const struct sql_engine engine_sqlite, engine_postgres;
