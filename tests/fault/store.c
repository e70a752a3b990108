#include "t.h"
#include <libpq-fe.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "ask.h"
#include "buf.h"
#include "clock.h"
#include "rand.h"

/* Between the verbs and a real engine: the nth statement that is asked is not the one that was written, but one that the engine
 * refuses, so that what is tried is the engine's own undoing. countdown: how many statements still go well; below 0, all do. */
static const struct sql_engine *real;
static _Atomic int countdown = -1;

enum { NOW = 1800000000 };
static const char NONSENSE[] = "SELECT broken FROM nowhere_at_all";

static enum ran spoilt_run(struct sql_conn *c, struct unit **u, size_t n, int64_t deadline, struct why *why)
{
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < u[i]->n; k++)
			if (countdown >= 0 && countdown-- == 0)
				u[i]->st[k] = (struct stmt){ .text = NONSENSE };
	return real->run(c, u, n, deadline, why);
}

struct w { struct arena *a; struct store *s; };

static void each_fault(const struct sql_engine *engine, struct str where, void (*test)(struct w *))
{
	struct sql_engine spoilt = *engine;
	struct w w = { .a = arena_new() };
	int64_t applied;
	real = engine;
	spoilt.run = spoilt_run;
	countdown = -1;
	fine(store_over(w.a, &spoilt, where, &w.s));
	fine(store_migrate_up(w.s, w.a, &applied));
	test(&w);
	store_close(w.s);
	arena_free(w.a);
}

static void pg_say(const char *what)
{
	PGconn *c = PQconnectdb(getenv("MOTID_TEST_PG"));
	PGresult *r = PQexec(c, what);
	if (PQresultStatus(r) != PGRES_COMMAND_OK && PQresultStatus(r) != PGRES_TUPLES_OK)
		fail_msg("%s", PQerrorMessage(c));
	PQclear(r);
	PQfinish(c);
}

static void on_postgres(void (*test)(struct w *))
{
	if (!getenv("MOTID_TEST_PG"))
		skip();
	pg_say("SET client_min_messages = error; DROP SCHEMA public CASCADE; CREATE SCHEMA public");
	each_fault(&engine_postgres, str_of(getenv("MOTID_TEST_PG")), test);
}

static void on_sqlite(void (*test)(struct w *))
{
	char dir[] = "/tmp/motid-fault.XXXXXX", path[96], side[128];
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof path, "%s/motid.db", dir);
	each_fault(&engine_sqlite, str_of(path), test);
	static const char *const ends[] = { "", "-wal", "-shm" };
	for (size_t i = 0; i < 3; i++) {
		snprintf(side, sizeof side, "%s%s", path, ends[i]);
		unlink(side);
	}
	rmdir(dir);
}

/* ---- every verb -------------------------------------------------------------------------------------------------------------------- */

static struct audit event(struct arena *a)
{
	return (struct audit){ .id = rand_id(a, clock_ms()), .at_ms = 1, .event = S("x.y"), .outcome = S("ok"), .client_id = S(""), .person_id = S(""), .sid = S(""),
		.request_id = S(""), .peer = S(""), .why = S(""), .detail = S("") };
}

static struct str id(struct arena *a, const char *kind, int round) { return str_fmt(a, "%s-%d", kind, round); }

static struct person_row person(struct arena *a, int r)
{
	return (struct person_row){ .id = id(a, "p", r), .number_mac = id(a, "mac", r), .version = 1 };
}

/* A verb in the rth round writes things of its own; what it needs stands since `ready`. */
#define VERB(name) static err name(struct store *s, struct arena *a, [[maybe_unused]] int r, [[maybe_unused]] const struct audit *ev)

VERB(v_client) { struct client_row *o; return store_client(s, a, S("app"), &o); }
VERB(v_client_list) { struct client_row *o; size_t n; return store_client_list(s, a, S(""), 9, &o, &n); }
VERB(v_client_add) { struct client_row c = { .id = id(a, "c", r), .version = 1 }; return store_client_add(s, a, &c, ev); }
VERB(v_client_change) { struct client_row c = { .id = S("app"), .version = r + 1 }; return store_client_change(s, a, &c, ev); }
VERB(v_client_remove) { bool b; return store_client_remove(s, a, S("doomed"), &b, ev); }
VERB(v_person) { struct person_row *o; return store_person(s, a, S("p"), &o); }
VERB(v_person_by_number) { struct person_row *o; return store_person_by_number(s, a, S("p"), &o); }
VERB(v_person_by_phone) { struct person_row *o; size_t n; return store_person_by_phone(s, a, S("p"), &o, &n); }
VERB(v_person_search) { struct person_row *o; size_t n; return store_person_search(s, a, S("p"), S(""), 9, &o, &n); }
VERB(v_person_add) { struct person_row p = person(a, r); return store_person_add(s, a, &p, ev); }
VERB(v_person_change) { struct person_row p = person(a, -1); p.version = r + 1; return store_person_change(s, a, &p, ev); }
VERB(v_trust_list) { struct trust_row *o; size_t n; return store_trust_list(s, a, &o, &n); }
VERB(v_trust_add) { struct trust_row t = { .id = id(a, "t", r) }; return store_trust_add(s, a, &t, ev); }
VERB(v_trust_disable) { bool b; return store_trust_disable(s, a, S("anchor"), NOW, &b, ev); }
VERB(v_cert) { struct cert_row *o; return store_cert(s, a, S("c"), &o); }
VERB(v_cert_list) { struct cert_row *o; size_t n; return store_cert_list(s, a, S(""), S(""), 9, &o, &n); }
VERB(v_cert_of) { struct cert_row *o; return store_cert_of(s, a, S("p"), S("sim"), &o); }
VERB(v_session) { struct session_row *o; return store_session(s, a, S("s"), NOW, &o); }
VERB(v_session_end) { return store_session_end(s, a, S("h--1"), NOW, ev); }
VERB(v_sessions_end) { size_t n; return store_sessions_end(s, a, SESSIONS_OF_PERSON, S("p--1"), NOW, ev, &n); }
VERB(v_sessions_expire) { size_t n; return store_sessions_expire(s, a, NOW, 10, ev, &n); }
VERB(v_session_list) { struct session_row *o; size_t n; return store_session_list(s, a, &(struct session_row){ 0 }, NOW, S(""), 9, &o, &n); }
VERB(v_cert_revoked) { size_t n; return store_cert_revoked(s, a, S("cert--1"), S("why"), NOW, ev, &n); }
VERB(v_client_sign_out) { size_t n; return store_client_sign_out(s, a, S("app"), NOW, ev, &n); }
VERB(v_delivery_claim) { struct delivery_row *o; size_t n; return store_delivery_claim(s, a, ev->id, NOW, NOW + 9, 9, &o, &n); }
VERB(v_delivery_list) { struct delivery_row *o, none = { 0 }; size_t n; return store_delivery_list(s, a, &none, &none, 9, &o, &n); }
VERB(v_delivery_retry) { size_t n; return store_delivery_retry(s, a, S(""), S(""), NOW, ev, &n); }
VERB(v_delivery_later) { struct delivery_row d = { .state = S("pending") }; return store_delivery_result(s, a, &d, ev->id, NOW, ev); }
VERB(v_delivery_over) { struct delivery_row d = { .state = S("delivered") }; return store_delivery_result(s, a, &d, ev->id, NOW, ev); }
VERB(v_session_by_sid) { struct session_row *o; return store_session_by_sid(s, a, S("s"), &o); }
VERB(v_session_clients) { struct strs o; return store_session_clients(s, a, S("s"), &o); }
VERB(v_consent) { struct str o; return store_consent(s, a, S("p"), S("app"), &o); }
VERB(v_consent_give) { return store_consent_give(s, a, S("p--1"), S("app"), id(a, "scope", r), NOW, ev); }
VERB(v_consent_withdraw) { return store_consent_withdraw(s, a, S("p--1"), S("app"), NOW, ev); }
VERB(v_grant_revoke) { return store_grant_revoke(s, a, S("g-0"), NOW, ev); }
VERB(v_token_revoke) { return store_token_revoke(s, a, id(a, "j", r), NOW, NOW, ev); }
VERB(v_grant_put) { struct grant_row g = { .id = id(a, "gp", r), .client_id = S("app") }; return store_grant_put(s, a, &g, NOW + 300, ev); }
VERB(v_rests_live) { enum liveness o[2]; struct grant_row *g[2]; const struct rests two[] = { { S("j"), S("g-0"), S("app"), { 0 } }, { S("k"), S(""), S("app"), { 0 } } }; return store_rests_live(s, a, two, 2, NOW, o, g); }
VERB(v_login_live) { struct grant_row *g; return store_login_live(s, a, S("sid"), S("app"), S("sub"), NOW, &g); }
VERB(v_token_live) { enum liveness o; struct grant_row *g; struct person_row *p; return store_token_live(s, a, S("j"), S("g-0"), S("app"), NOW, &o, &g, &p); }
VERB(v_once) { bool b; return store_once(s, a, S("k"), id(a, "o", r), NOW, NOW - 1, &b); }
VERB(v_key_list) { struct key_row *o; size_t n; return store_key_list(s, a, &o, &n); }
VERB(v_key_add) { struct key_row k = { .kid = id(a, "k", r), .alg = S("ES256"), .active_at = r }; return store_key_add(s, a, &k, ev); }
VERB(v_key_set) { return store_key_set(s, a, S("key"), NOW + r, NOW, ev); }
VERB(v_audit) { return store_audit(s, a, ev); }
VERB(v_audit_tail) { struct audit *o; size_t n; return store_audit_tail(s, a, S(""), 9, &o, &n); }
VERB(v_ready) { int64_t o; return store_ready(s, a, &o); }
VERB(v_expire) { int64_t o; return store_expire(s, a, NOW, &o); }
VERB(v_status) { struct migration *o; size_t n; return store_migrate_status(s, a, &o, &n); }
VERB(v_code_look) { struct code_row *c; struct grant_row *g; return store_code_look(s, a, S("c-0"), &c, &g); }
VERB(v_refresh_look) { struct refresh_row *c; struct grant_row *g; return store_refresh_look(s, a, S("r-0"), &c, &g); }

static struct invite_row an_invite(const char *name) { return (struct invite_row){ .id = str_of(name), .hash = str_of(name), .uses_left = 1000, .expires_at = NOW + 60 }; }

VERB(v_invite) { struct invite_row *o; return store_invite(s, a, S("standing"), &o); }
VERB(v_invite_list) { struct invite_row *o; size_t n; return store_invite_list(s, a, S(""), 9, &o, &n); }
VERB(v_invite_add) { struct invite_row v = an_invite(id(a, "invite", r).p); return store_invite_add(s, a, &v, ev); }
VERB(v_invite_revoke) { bool b; return store_invite_revoke(s, a, S("doomed"), NOW, &b, ev); }
VERB(v_registered) { struct client_row *c; struct str scope; return store_registered(s, a, S("app"), S("token"), &c, &scope); }

VERB(v_register)
{
	struct invite_row v = an_invite("standing");
	struct registration g = { .client = { .id = id(a, "registered", r), .version = 1 }, .token_hash = id(a, "token", r), .scope = S(""), .invite = &v };
	enum registered o;
	return store_register(s, a, &g, 1000, NOW, ev, &o);
}

VERB(v_person_by_sub) { struct person_row *o; return store_person_by_sub(s, a, S("app"), S("sub"), &o); }
VERB(v_decoupled_look) { struct decoupled_row *d; struct grant_row *g; return store_decoupled_look(s, a, S("device"), S("d-open"), &d, &g); }
VERB(v_decoupled_find) { struct decoupled_row *d; return store_decoupled_find(s, a, S("device"), S("open"), &d); }

VERB(v_decoupled_put)
{
	struct decoupled_row d = { .hash = id(a, "d", r), .kind = S("device"), .handle = id(a, "handle", r), .client_id = S("app"), .expires_at = NOW + 60 };
	return store_decoupled_put(s, a, &d, ev);
}

VERB(v_decoupled_decide)
{
	struct grant_row g = { .id = id(a, "g-open", r), .client_id = S("app") };
	struct session_row n = { .id_hash = id(a, "h-open", r), .sid = id(a, "sid-open", r), .expires_at = NOW + 60 };
	bool decided;
	return store_decoupled_decide(s, a, S("device"), S("open"), NOW, &(struct decision){ .grant = &g, .session = &n }, ev, &decided);
}

VERB(v_decoupled_redeem)
{
	struct refresh_row first = { .hash = id(a, "of-device", r), .expires_at = NOW + 60 };
	enum redeem o;
	return store_decoupled_redeem(s, a, S("device"), S("d-granted"), ev->id, NOW, &first, ev, &o);
}

VERB(v_login)
{
	struct login l = { .person = person(a, r), .cert = { .id = id(a, "cert", r), .issuer_id = S("i"), .serial = id(a, "serial", r), .number_mac = id(a, "mac", r) },
		.session = { .id_hash = id(a, "h", r), .sid = id(a, "sid", r), .expires_at = NOW + 9999, .created_at = NOW }, .replaces = S("h-old") };
	struct person_row *who;
	enum enrolment o;
	return store_login(s, a, &l, ev, &o, &who);
}

VERB(v_code_put)
{
	struct grant_row g = { .id = id(a, "g", r), .client_id = S("app") };
	struct code_row c = { .hash = id(a, "c", r), .grant_id = g.id, .expires_at = NOW + 60 };
	return store_code_put(s, a, &c, &g, ev);
}

VERB(v_code_redeem)
{
	struct refresh_row first = { .hash = id(a, "first", r), .expires_at = NOW + 60 };
	enum redeem o;
	return store_code_redeem(s, a, S("c-code"), ev->id, NOW, &first, ev, &o);
}

VERB(v_refresh_rotate)
{
	struct refresh_row next = { .hash = id(a, "next", r), .expires_at = NOW + 60 };
	enum rotate o;
	return store_refresh_rotate(s, a, S("r-0"), &next, NOW, 5, ev, &o);
}

VERB(v_refresh_use) { enum rotate o; return store_refresh_rotate(s, a, S("r-0"), NULL, NOW, 5, ev, &o); }

static const struct verb { const char *name; err (*say)(struct store *, struct arena *, int, const struct audit *); } VERBS[] = {
#define V(n) { #n, v_##n }
	V(client), V(client_list), V(client_add), V(client_change), V(client_remove), V(person), V(person_by_number), V(person_by_phone), V(person_search), V(person_add),
	V(person_change), V(trust_list), V(trust_add), V(trust_disable), V(cert), V(cert_list), V(cert_of), V(login), V(session), V(session_end), V(session_by_sid),
	V(sessions_end), V(sessions_expire), V(session_list), V(cert_revoked), V(client_sign_out), V(delivery_claim), V(delivery_list), V(delivery_retry), V(delivery_later),
	V(delivery_over),
	V(session_clients), V(consent), V(consent_give), V(consent_withdraw), V(code_put), V(code_look), V(code_redeem), V(refresh_look), V(refresh_use), V(refresh_rotate),
	V(invite), V(invite_list), V(invite_add), V(invite_revoke), V(register), V(registered),
	V(person_by_sub), V(decoupled_put), V(decoupled_look), V(decoupled_find), V(decoupled_decide), V(decoupled_redeem),
	V(grant_put), V(grant_revoke), V(token_revoke), V(token_live), V(rests_live), V(login_live), V(once), V(key_list), V(key_add), V(key_set), V(audit), V(audit_tail), V(ready), V(status), V(expire),
};

/* What the verbs find: each has something to change. */
static void ready(struct w *w)
{
	struct audit ev[13];
	for (size_t i = 0; i < COUNT(ev); i++)
		ev[i] = event(w->a);
	struct client_row app = { .id = S("app"), .version = 1 }, doomed = { .id = S("doomed"), .version = 1 };
	struct trust_row anchor = { .id = S("anchor") };
	struct key_row key = { .kid = S("key"), .alg = S("ES256"), .active_at = -1 };
	struct grant_row g0 = { .id = S("g-r"), .client_id = S("app") }, g1 = { .id = S("g-code"), .client_id = S("app") };
	struct code_row c0 = { .hash = S("c-r"), .expires_at = NOW + 60 }, c1 = { .hash = S("c-code"), .expires_at = NOW + 60 };
	struct refresh_row first = { .hash = S("r-0"), .expires_at = NOW + 60 };
	enum redeem o;
	bool b;
	fine(store_client_add(w->s, w->a, &app, &ev[0]));
	fine(store_client_add(w->s, w->a, &doomed, &ev[1]));
	fine(store_trust_add(w->s, w->a, &anchor, &ev[2]));
	fine(store_key_add(w->s, w->a, &key, &ev[3]));
	fine(store_code_put(w->s, w->a, &c0, &g0, &ev[4]));
	fine(store_code_put(w->s, w->a, &c1, &g1, &ev[5]));
	fine(store_code_redeem(w->s, w->a, S("c-r"), S("by"), NOW, &first, &ev[6], &o));
	fine(store_once(w->s, w->a, S("k"), S("old"), NOW - 90000, NOW - 99999, &b));
	fine(v_person_add(w->s, w->a, -1, &ev[7]));
	struct decoupled_row open = { .hash = S("d-open"), .kind = S("device"), .handle = S("open"), .client_id = S("app"), .expires_at = NOW + 60 };
	struct decoupled_row granted = { .hash = S("d-granted"), .kind = S("device"), .handle = S("granted"), .client_id = S("app"), .expires_at = NOW + 60 };
	struct grant_row g2 = { .id = S("g-device"), .client_id = S("app") };
	fine(store_decoupled_put(w->s, w->a, &open, &ev[8]));
	fine(store_decoupled_put(w->s, w->a, &granted, &ev[9]));
	fine(store_decoupled_decide(w->s, w->a, S("device"), S("granted"), NOW, &(struct decision){ .grant = &g2 }, &ev[10], &b));
	struct invite_row standing = an_invite("standing"), doomed_invite = an_invite("doomed");
	fine(store_invite_add(w->s, w->a, &standing, &ev[11]));
	fine(store_invite_add(w->s, w->a, &doomed_invite, &ev[12]));
}

#define ALL_OF(table) "SELECT * FROM " table " ORDER BY 1, 2"
static const char *const TABLES[] = {
	ALL_OF("client"), ALL_OF("person"), ALL_OF("trust"), ALL_OF("certificate"), ALL_OF("binding"), ALL_OF("session"), ALL_OF("consent"), ALL_OF("grants"), ALL_OF("code"),
	ALL_OF("refresh"), ALL_OF("revoked_token"), ALL_OF("once"), ALL_OF("signing_key"), ALL_OF("audit"), ALL_OF("logout_delivery"), ALL_OF("decoupled"), ALL_OF("invite"),
	ALL_OF("registration"),
};

/* All that is stored, as one text: rows of every table, in order. */
static struct str everything(struct w *w)
{
	struct buf b = buf_new(w->a, 4096, 1 << 20);
	struct str all;
	for (size_t i = 0; i < COUNT(TABLES); i++) {
		struct stmt st[] = { { .text = TABLES[i] } };
		fine(ask_read(w->s, w->a, st, 1));
		for (size_t k = 0; k < st->rows.n * st->rows.cols; k++)
			buf_fmt(&b, "%s|", st->rows.cell[k].p);
		buf_char(&b, '\n');
	}
	fine(buf_done(&b, &all));
	return all;
}

static void each_question(struct w *w)
{
	ready(w);
	for (size_t v = 0; v < COUNT(VERBS); v++) {
		struct str before = everything(w);
		int nth;
		for (nth = 0; nth < 64; nth++) {
			struct audit ev = event(w->a);
			countdown = nth;
			err e = VERBS[v].say(w->s, w->a, 0, &ev);
			bool asked = countdown == -1;
			countdown = -1;
			if (!asked) {
				if (e.kind)
					fail_msg("%s: %s without a fault", VERBS[v].name, e.why);
				break;
			}
			if (e.kind != &UNAVAILABLE)
				fail_msg("%s: its statement %d failed, and it said %s", VERBS[v].name, nth, e.kind ? e.kind->code : "success");
			if (!str_eq(before, everything(w)))
				fail_msg("%s: its statement %d failed, and something was written", VERBS[v].name, nth);
		}
		assert_in_range(nth, 1, 63);
	}
}

TEST(sqlite_whichever_question_fails_the_verb_fails_and_nothing_is_half_written) { on_sqlite(each_question); }
TEST(postgres_whichever_question_fails_the_verb_fails_and_nothing_is_half_written) { on_postgres(each_question); }

/* ---- neighbours in a batch ------------------------------------------------------------------------------------------------------------ */

enum { NEIGHBOURS = 16, TIMES = 40 };
struct neighbour { struct store *s; int i; pthread_t thread; int told[TIMES]; };

/* Every fourth asks for a row that is there already, which its engine refuses. */
static void *neighbour_work(void *p)
{
	struct neighbour *n = p;
	struct arena *a = arena_new();
	for (int k = 0; k < TIMES; k++) {
		struct audit ev = event(a);
		ev.id = n->i % 4 ? str_fmt(a, "n-%d-%d", n->i, k) : S("taken");
		n->told[k] = !store_audit(n->s, a, &ev).kind;
		arena_reset(a);
	}
	arena_free(a);
	return NULL;
}

static void one_bad_neighbour(struct w *w)
{
	struct neighbour n[NEIGHBOURS];
	struct audit ev = event(w->a), *all;
	size_t rows;
	ev.id = S("taken");
	fine(store_audit(w->s, w->a, &ev));
	for (int i = 0; i < NEIGHBOURS; i++) {
		n[i] = (struct neighbour){ .s = w->s, .i = i };
		assert_int_equal(pthread_create(&n[i].thread, NULL, neighbour_work, &n[i]), 0);
	}
	for (int i = 0; i < NEIGHBOURS; i++)
		pthread_join(n[i].thread, NULL);
	for (int i = 0; i < NEIGHBOURS; i++)
		for (int k = 0; k < TIMES; k++)
			assert_int_equal(n[i].told[k], i % 4 != 0);
	fine(store_audit_tail(w->s, w->a, S(""), 100000, &all, &rows));
	assert_int_equal(rows, NEIGHBOURS * 3 / 4 * TIMES + 1);
}

TEST(sqlite_a_unit_that_is_refused_does_not_hurt_its_neighbours) { on_sqlite(one_bad_neighbour); }
TEST(postgres_a_unit_that_is_refused_does_not_hurt_its_neighbours) { on_postgres(one_bad_neighbour); }

/* ---- PostgreSQL goes away under load ------------------------------------------------------------------------------------------------------ */

struct load { struct store *s; _Atomic bool stop; _Atomic int said, refused; };
struct loader { struct load *load; int i, n; bool *ok; pthread_t thread; };
enum { LOADERS = 8, LOAD_MOST = 20000 };

static void *load_run(void *p)
{
	struct loader *l = p;
	struct arena *a = arena_new();
	for (l->n = 0; !l->load->stop && l->n < LOAD_MOST; l->n++) {
		struct audit ev = event(a);
		ev.id = str_fmt(a, "l-%d-%d", l->i, l->n);
		l->ok[l->n] = !store_audit(l->load->s, a, &ev).kind;
		atomic_fetch_add(l->ok[l->n] ? &l->load->said : &l->load->refused, 1);
		if (!l->ok[l->n])
			usleep(1000);                  /* a refused caller goes away; the next comes a moment later */
		arena_reset(a);
	}
	arena_free(a);
	return NULL;
}

static void until(_Atomic int *n, int least)
{
	for (int64_t end = clock_mono_ms() + 30000; *n < least && clock_mono_ms() < end;)
		usleep(1000);
	assert_true(*n >= least);
}

static bool row_there(struct w *w, struct str id)
{
	struct stmt st[] = { SQL("SELECT 1 FROM audit WHERE id = $1", txt(id)) };
	fine(ask_read(w->s, w->a, st, 1));
	return st->rows.n;
}

static void under_load(struct w *w, void (*blow)(int))
{
	struct load load = { .s = w->s };
	struct loader l[LOADERS];
	for (int i = 0; i < LOADERS; i++) {
		l[i] = (struct loader){ .load = &load, .i = i, .ok = calloc(LOAD_MOST, sizeof(bool)) };
		assert_int_equal(pthread_create(&l[i].thread, NULL, load_run, &l[i]), 0);
	}
	for (int k = 0; k < 3; k++) {
		until(&load.said, load.said + 100);
		blow(k);
		until(&load.said, load.said + 100);
	}
	load.stop = true;
	for (int i = 0; i < LOADERS; i++)
		pthread_join(l[i].thread, NULL);
	for (int i = 0; i < LOADERS; i++) {
		for (int k = 0; k < l[i].n; k++)
			if (l[i].ok[k] && !row_there(w, str_fmt(w->a, "l-%d-%d", i, k)))
				fail_msg("row %d of thread %d was acknowledged, and is lost", k, i);
		free(l[i].ok);
	}
	assert_true(load.said >= 300);
}

static void kill_backends([[maybe_unused]] int k) { pg_say("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'motid-%'"); }

static void restart(int k)
{
	char cmd[512];
	snprintf(cmd, sizeof cmd, "%s -m %s restart >/dev/null 2>&1", getenv("MOTID_TEST_PG_CTL"), k == 1 ? "immediate" : "fast");
	assert_int_equal(system(cmd), 0);
}

static void killed(struct w *w) { under_load(w, kill_backends); }
static void restarted(struct w *w) { under_load(w, restart); }

TEST(postgres_when_its_backends_are_killed_no_acknowledged_row_is_lost_and_work_goes_on) { on_postgres(killed); }

TEST(postgres_when_it_restarts_or_crashes_under_load_no_acknowledged_row_is_lost)
{
	if (!getenv("MOTID_TEST_PG_CTL"))
		skip();
	on_postgres(restarted);
}

static void until_nobody(void)
{
	PGconn *c = PQconnectdb(getenv("MOTID_TEST_PG"));
	bool nobody = false;
	for (int64_t end = clock_mono_ms() + 10000; !nobody && clock_mono_ms() < end; usleep(1000)) {
		PGresult *r = PQexec(c, "SELECT 1 FROM pg_stat_activity WHERE application_name LIKE 'motid-%'");
		nobody = PQntuples(r) == 0;
		PQclear(r);
	}
	PQfinish(c);
	assert_true(nobody);
}

static void reads_and_writes(struct w *w)
{
	struct audit ev = event(w->a), ev2 = event(w->a), *all;
	size_t n;
	fine(store_audit(w->s, w->a, &ev));
	kill_backends(0);
	until_nobody();
	fine(store_audit_tail(w->s, w->a, S(""), 9, &all, &n));
	fine(store_audit(w->s, w->a, &ev2));
}

TEST(postgres_a_connection_that_ended_while_idle_is_made_anew_and_nobody_notices) { on_postgres(reads_and_writes); }

/* ---- locks ------------------------------------------------------------------------------------------------------------------------------------ */

static PGconn *other_process(const char *says)
{
	PGconn *c = PQconnectdb(getenv("MOTID_TEST_PG"));
	PGresult *r = PQexec(c, says);
	assert_int_equal(PQresultStatus(r), PGRES_COMMAND_OK);
	PQclear(r);
	return c;
}

static void until_waiting(PGconn *c)
{
	bool waits = false;
	for (int64_t end = clock_mono_ms() + 10000; !waits && clock_mono_ms() < end; usleep(1000)) {
		PGresult *r = PQexec(c, "SELECT 1 FROM pg_stat_activity WHERE application_name = 'motid-write' AND wait_event_type = 'Lock'");
		waits = PQntuples(r) > 0;
		PQclear(r);
	}
	assert_true(waits);
}

struct withdrawal { struct store *s; bool fine; pthread_t thread; };

static void *withdraw(void *p)
{
	struct withdrawal *m = p;
	struct arena *a = arena_new();
	struct audit ev = event(a);
	m->fine = !store_consent_withdraw(m->s, a, S("p--1"), S("app"), NOW, &ev).kind;
	arena_free(a);
	return NULL;
}

/* We hold the consent and want the grant; another process holds the grant and wants the consent. PostgreSQL undoes whoever
 * waited first, us (40P01); we ask again. */
static void deadlocked(struct w *w)
{
	struct audit ev = event(w->a), ev2 = event(w->a);
	struct grant_row g = { .id = S("g"), .client_id = S("app"), .person_id = S("p--1") }, *got;
	struct code_row c = { .hash = S("c"), .expires_at = NOW + 60 }, *code;
	struct withdrawal m = { .s = w->s };
	struct str scopes;
	fine(store_consent_give(w->s, w->a, S("p--1"), S("app"), S("openid"), NOW, &ev));
	fine(store_code_put(w->s, w->a, &c, &g, &ev2));
	PGconn *other = other_process("BEGIN; UPDATE grants SET nonce = 'theirs' WHERE id = 'g'"), *watch = other_process("SET lock_timeout = 0");
	assert_int_equal(pthread_create(&m.thread, NULL, withdraw, &m), 0);
	until_waiting(watch);
	PGresult *r = PQexec(other, "UPDATE consent SET scopes = 'theirs'; COMMIT");
	assert_int_equal(PQresultStatus(r), PGRES_COMMAND_OK);
	PQclear(r);
	pthread_join(m.thread, NULL);
	PQfinish(other);
	PQfinish(watch);
	assert_true(m.fine);
	fine(store_consent(w->s, w->a, S("p--1"), S("app"), &scopes));
	assert_str(scopes, "");
	fine(store_code_look(w->s, w->a, S("c"), &code, &got));
	assert_int_equal(got->revoked_at, NOW);
	assert_str(got->nonce, "theirs");
}

TEST(postgres_a_deadlock_with_another_process_is_asked_again) { on_postgres(deadlocked); }

/* Whoever wants what another process keeps is told so in time; its neighbours, in the same batch, are not hurt. */
static void *change_app(void *p)
{
	struct withdrawal *m = p;
	struct arena *a = arena_new();
	struct audit ev = event(a);
	struct client_row app = { .id = S("app"), .version = 1 };
	m->fine = !store_client_change(m->s, a, &app, &ev).kind;
	arena_free(a);
	return NULL;
}

static void locked_out(struct w *w)
{
	struct load load = { .s = w->s };
	struct loader l[LOADERS];
	struct withdrawal m = { .s = w->s };
	ready(w);
	PGconn *other = other_process("BEGIN; UPDATE client SET name = 'theirs' WHERE id = 'app'");
	assert_int_equal(pthread_create(&m.thread, NULL, change_app, &m), 0);
	for (int i = 0; i < LOADERS; i++) {
		l[i] = (struct loader){ .load = &load, .i = i, .ok = calloc(LOAD_MOST, sizeof(bool)) };
		assert_int_equal(pthread_create(&l[i].thread, NULL, load_run, &l[i]), 0);
	}
	pthread_join(m.thread, NULL);
	until(&load.said, load.said + 100);
	load.stop = true;
	for (int i = 0; i < LOADERS; i++) {
		pthread_join(l[i].thread, NULL);
		free(l[i].ok);
	}
	assert_false(m.fine);
	assert_int_equal(load.refused, 0);
	PQfinish(other);
}

TEST(postgres_a_lock_that_another_process_keeps_hurts_only_those_who_want_it) { on_postgres(locked_out); }

/* ---- SQLite ------------------------------------------------------------------------------------------------------------------------------------ */

/* Another process (a tool, a backup) writes for longer than anybody waits. */
static void kept_by_another(struct w *w)
{
	struct stmt st[] = { SQL_ALONE("SELECT file FROM pragma_database_list") };
	struct audit ev = event(w->a), ev2 = event(w->a), *all;
	size_t n;
	sqlite3 *other;
	fine(ask_read(w->s, w->a, st, 1));
	assert_int_equal(sqlite3_open(st->rows.cell[0].p, &other), SQLITE_OK);
	assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
	fails(store_audit(w->s, w->a, &ev), UNAVAILABLE);
	fine(store_audit_tail(w->s, w->a, S(""), 9, &all, &n));
	assert_int_equal(n, 0);
	assert_int_equal(sqlite3_exec(other, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(other);
	fine(store_audit(w->s, w->a, &ev2));
}

TEST(sqlite_while_another_process_writes_nothing_is_written_but_all_is_read) { on_sqlite(kept_by_another); }
