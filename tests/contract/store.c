#include "t.h"
#include <libpq-fe.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "clock.h"
#include "rand.h"
#include "sql.h"
#include "store.h"

/* One text for every engine: SQLite in a temporary file, PostgreSQL where MOTID_TEST_PG says (skipped when it does not).
 * Each test begins without a row. */

enum { NOW = 1800000000 };
struct w { struct arena *a; struct store *s; struct str where; };

static const char DROP_ALL[] = "SET client_min_messages = error; DROP SCHEMA public CASCADE; CREATE SCHEMA public";
static const char EMPTY_ALL[] =
	"DELETE FROM client; DELETE FROM person; DELETE FROM trust; DELETE FROM certificate; DELETE FROM binding; DELETE FROM session; DELETE FROM consent;"
	" DELETE FROM grants; DELETE FROM code; DELETE FROM refresh; DELETE FROM revoked_token; DELETE FROM once; DELETE FROM signing_key; DELETE FROM audit; DELETE FROM logout_delivery;"
	" DELETE FROM decoupled; DELETE FROM invite; DELETE FROM registration";

static void pg_say(const char *conninfo, const char *what)
{
	PGconn *c = PQconnectdb(conninfo);
	PGresult *r = PQexec(c, what);
	if (PQresultStatus(r) != PGRES_COMMAND_OK)
		fail_msg("%s", PQerrorMessage(c));
	PQclear(r);
	PQfinish(c);
}

static void with_store(struct str where, void (*test)(struct w *))
{
	struct w w = { arena_new(), NULL, where };
	int64_t applied;
	fine(store_open(w.a, where, &w.s));
	fine(store_migrate_up(w.s, w.a, &applied));
	test(&w);
	store_close(w.s);
	arena_free(w.a);
}

static void on_sqlite(void (*test)(struct w *))
{
	char dir[] = "/tmp/motid-store.XXXXXX", where[96], cmd[96];
	assert_non_null(mkdtemp(dir));
	snprintf(where, sizeof where, "sqlite:%s/motid.db", dir);
	with_store(str_of(where), test);
	static const char *const files[] = { "motid.db", "motid.db-wal", "motid.db-shm" };
	for (size_t i = 0; i < 3; i++) {
		snprintf(cmd, sizeof cmd, "%s/%s", dir, files[i]);
		unlink(cmd);
	}
	rmdir(dir);
}

static void on_postgres(void (*test)(struct w *))
{
	const char *conninfo = getenv("MOTID_TEST_PG");
	if (!conninfo)
		skip();
	static bool made;                     /* tables are made once: making them costs PostgreSQL a second */
	pg_say(conninfo, made ? EMPTY_ALL : DROP_ALL);
	made = true;
	char where[512];
	snprintf(where, sizeof where, "postgres:%s", conninfo);
	with_store(str_of(where), test);
}

#define EVERYWHERE(name) \
	static void name(struct w *w); \
	static void sqlite_##name([[maybe_unused]] void **state) { on_sqlite(name); } \
	static void postgres_##name([[maybe_unused]] void **state) { on_postgres(name); } \
	[[gnu::constructor]] static void add_##name(void) { t_add("sqlite: " #name, sqlite_##name); t_add("postgres: " #name, postgres_##name); } \
	static void name(struct w *w)

/* ---- things ------------------------------------------------------------------------------------------------------------------- */

#define VIET "Nguyễn Thị \"Út\" O'Ươn \\ ; -- $1 %s 𝄞 é\n\ttiếng"

static struct audit event(struct arena *a, const char *what)
{
	return (struct audit){ .id = rand_id(a, clock_ms()), .at_ms = (int64_t)NOW * 1000 + 7, .event = str_of(what), .outcome = S("ok"), .client_id = S("app"),
		.person_id = S(""), .sid = S(""), .request_id = S("r-1"), .peer = S("192.0.2.1"), .why = S(VIET), .detail = S("{\"a\":\"ư\"}") };
}

static size_t events(struct w *w, const char *what)
{
	struct audit *all;
	size_t n, found = 0;
	fine(store_audit_tail(w->s, w->a, S(""), 100000, &all, &n));
	for (size_t i = 0; i < n; i++)
		found += str_is(all[i].event, what);
	return found;
}

static struct audit last_event(struct w *w)
{
	struct audit *all;
	size_t n;
	fine(store_audit_tail(w->s, w->a, S(""), 1, &all, &n));
	assert_int_equal(n, 1);
	return all[0];
}

static struct audit event_of(struct w *w, const char *what)
{
	struct audit *all;
	size_t n, i = 0;
	fine(store_audit_tail(w->s, w->a, S(""), 100000, &all, &n));
	while (i < n && !str_is(all[i].event, what))
		i++;
	assert_true(i < n);
	return all[i];
}

static struct client_row a_client(const char *id)
{
	return (struct client_row){ .id = str_of(id), .name = S(VIET), .metadata = S("{\"redirect_uris\":[\"https://app.example/cb\"]}"), .created_at = NOW,
		.updated_at = NOW, .version = 1 };
}

static struct person_row a_person(struct arena *a, const char *id, const char *number)
{
	return (struct person_row){ .id = str_of(id), .kind = S("citizen"), .name = S(VIET), .search_key = S("nguyen thi ut"), .number_mac = str_fmt(a, "mac-%s", number),
		.number_sealed = S("sealed"), .phone_mac = S("phone"), .phone_sealed = S("sealed-phone"), .claims = S("{\"name\":\"Út\"}"), .created_at = NOW,
		.updated_at = NOW, .version = 1 };
}

static struct cert_row a_cert(struct arena *a, const char *id, const char *number)
{
	return (struct cert_row){ .id = str_of(id), .person_id = S(""), .issuer_id = S("issuer"), .serial = str_fmt(a, "serial-%s", id), .subject = S(VIET), .spki_sha256 = str_fmt(a, "spki-%s", id),
		.number_mac = str_fmt(a, "mac-%s", number), .method = S("sim"), .der = S("REVS"), .not_before = NOW - 10, .not_after = NOW + 1000, .first_seen = NOW,
		.last_seen = NOW, .revoked_why = S("") };
}

static struct session_row a_session(struct arena *a, const char *name)
{
	return (struct session_row){ .id_hash = str_fmt(a, "hash-%s", name), .sid = str_fmt(a, "sid-%s", name), .person_id = S(""), .acr = S("urn:x:high"), .amr = S("hwk mfa"),
		.method = S("sim"), .cert_id = S(""), .auth_time = NOW, .created_at = NOW, .expires_at = NOW + 3600 };
}

static struct login a_login(struct arena *a, const char *person, const char *number, const char *cert, const char *session)
{
	return (struct login){ a_person(a, person, number), a_cert(a, cert, number), a_session(a, session), S("") };
}

static void add_client(struct w *w, const char *id)
{
	struct client_row c = a_client(id);
	struct audit ev = event(w->a, "client.add");
	fine(store_client_add(w->s, w->a, &c, &ev));
}

static enum enrolment log_in(struct w *w, const struct login *l, struct person_row **who)
{
	struct audit ev = event(w->a, "login.certificate");
	enum enrolment outcome;
	ev.sid = l->session.sid;
	fine(store_login(w->s, w->a, l, &ev, &outcome, who));
	return outcome;
}

static struct grant_row a_grant(struct arena *a, const char *name, const char *person, const char *session)
{
	return (struct grant_row){ .id = str_fmt(a, "grant-%s", name), .client_id = S("app"), .person_id = str_of(person), .sid = *session ? str_fmt(a, "sid-%s", session) : S(""),
		.sub = S("sub-1"), .scope = S("openid profile"), .acr = S("urn:x:high"), .amr = S("hwk"), .nonce = S("n-0S6"), .claims = S("{}"), .auth_time = NOW - 5, .created_at = NOW,
		.resources = S("https://a.example/ https://b.example/"), .details = S("[{\"type\":\"x\"}]"), .act = S("{\"sub\":\"y\"}"),
		.auth_time_asked = true };
}

static struct code_row a_code(struct arena *a, const char *name)
{
	return (struct code_row){ .hash = str_fmt(a, "code-%s", name), .grant_id = str_fmt(a, "grant-%s", name), .redirect_uri = S("https://app.example/cb?a=b&c='d'"), .challenge = S("challenge"),
		.confirm = S("x5t#S256:abc"), .created_at = NOW, .expires_at = NOW + 60 };
}

static struct refresh_row a_refresh(struct arena *a, const char *name, const char *grant, const char *parent)
{
	return (struct refresh_row){ .hash = str_fmt(a, "refresh-%s", name), .grant_id = str_fmt(a, "grant-%s", grant), .scope = S("openid"), .confirm = S("x5t#S256:abc"),
		.parent = *parent ? str_fmt(a, "refresh-%s", parent) : S(""), .generation = *parent ? 1 : 0, .created_at = NOW, .expires_at = NOW + 1000 };
}

static void put_code(struct w *w, const struct code_row *c, const struct grant_row *g)
{
	struct audit ev = event(w->a, "code.put");
	fine(store_code_put(w->s, w->a, c, g, &ev));
}

static enum redeem redeem(struct w *w, const char *name, epoch now, const struct refresh_row *first)
{
	struct audit ev = event(w->a, "code.redeem");
	enum redeem outcome;
	fine(store_code_redeem(w->s, w->a, str_fmt(w->a, "code-%s", name), rand_id(w->a, clock_ms()), now, first, &ev, &outcome));
	return outcome;
}

static enum rotate rotate(struct w *w, const char *name, const struct refresh_row *next, epoch now, int64_t grace)
{
	struct audit ev = event(w->a, "refresh.rotate");
	enum rotate outcome;
	fine(store_refresh_rotate(w->s, w->a, str_fmt(w->a, "refresh-%s", name), next, now, grace, &ev, &outcome));
	return outcome;
}

static enum liveness alive(struct w *w, const char *jti, const char *grant, epoch now)
{
	enum liveness out;
	struct grant_row *g;
	fine(store_token_live(w->s, w->a, str_of(jti), str_of(grant), S("app"), now, &out, &g, NULL));
	assert_int_equal(out == TOKEN_LIVE && *grant, g != NULL);
	return out;
}

/* A client, a person with a session, and a code of theirs; and, when redeemed, its first refresh token. */
static void scene(struct w *w)
{
	struct person_row *who;
	struct login l = a_login(w->a, "p1", "1", "c1", "s1");
	add_client(w, "app");
	assert_int_equal(log_in(w, &l, &who), ENROLLED_NOW);
}

static void scene_with_code(struct w *w, const char *name)
{
	struct grant_row g = a_grant(w->a, name, "p1", "s1");
	struct code_row c = a_code(w->a, name);
	put_code(w, &c, &g);
}

static void scene_with_refresh(struct w *w)
{
	scene(w);
	scene_with_code(w, "1");
	struct refresh_row first = a_refresh(w->a, "0", "1", "");
	assert_int_equal(redeem(w, "1", NOW + 1, &first), CODE_REDEEMED);
}

static void disable_client(struct w *w)
{
	struct client_row *c;
	struct audit ev = event(w->a, "client.disable");
	fine(store_client(w->s, w->a, S("app"), &c));
	c->disabled_at = NOW;
	fine(store_client_change(w->s, w->a, c, &ev));
}

static void disable_person(struct w *w)
{
	struct person_row *p;
	struct audit ev = event(w->a, "person.disable");
	fine(store_person(w->s, w->a, S("p1"), &p));
	p->disabled_at = NOW;
	fine(store_person_change(w->s, w->a, p, &ev));
}

static void remove_client(struct w *w)
{
	struct audit ev = event(w->a, "client.remove");
	bool existed;
	fine(store_client_remove(w->s, w->a, S("app"), &existed, &ev));
	assert_true(existed);
}

static void end_session(struct w *w)
{
	struct audit ev = event(w->a, "session.end");
	fine(store_session_end(w->s, w->a, S("hash-s1"), NOW, &ev));
}

static void revoke_grant(struct w *w)
{
	struct audit ev = event(w->a, "grant.revoke");
	fine(store_grant_revoke(w->s, w->a, S("grant-1"), NOW, &ev));
}

static void withdraw_consent(struct w *w)
{
	struct audit ev = event(w->a, "consent.withdraw");
	fine(store_consent_withdraw(w->s, w->a, S("p1"), S("app"), NOW, &ev));
}

/* ---- the store itself ------------------------------------------------------------------------------------------------------ */

EVERYWHERE(a_store_that_was_brought_up_has_every_migration_and_a_second_time_changes_nothing)
{
	struct migration *list;
	int64_t applied, version;
	size_t n;
	fine(store_migrate_status(w->s, w->a, &list, &n));
	assert_true(n >= 14);
	for (size_t i = 0; i < n; i++) {
		assert_true(list[i].applied_at > 0);
		assert_int_equal(list[i].version, i + 1);
	}
	assert_str(list[0].name, "client");
	fine(store_migrate_up(w->s, w->a, &applied));
	assert_int_equal(applied, 0);
	fine(store_ready(w->s, w->a, &version));
	assert_int_equal(version, n);
}

static void nothing_there_yet(struct str where)
{
	struct arena *a = arena_new();
	struct store *s;
	struct migration *list;
	struct client_row *c;
	int64_t version;
	size_t n;
	fine(store_open(a, where, &s));
	fine(store_ready(s, a, &version));
	assert_int_equal(version, 0);
	fine(store_migrate_status(s, a, &list, &n));
	assert_true(n >= 14);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(list[i].applied_at, 0);
	fails(store_client(s, a, S("app"), &c), UNAVAILABLE);
	store_close(s);
	arena_free(a);
}

TEST(an_empty_postgres_says_that_nothing_was_applied_and_answers_nothing_else)
{
	const char *conninfo = getenv("MOTID_TEST_PG");
	char where[512];
	if (!conninfo)
		skip();
	pg_say(conninfo, DROP_ALL);
	snprintf(where, sizeof where, "postgres:%s", conninfo);
	nothing_there_yet(str_of(where));
	struct arena *a = arena_new();
	struct store *s;
	int64_t applied;
	fine(store_open(a, str_of(where), &s));
	fine(store_migrate_up(s, a, &applied));
	assert_true(applied >= 14);
	store_close(s);
	arena_free(a);
}

TEST(an_empty_sqlite_says_that_nothing_was_applied_and_its_file_is_for_its_owner_alone)
{
	char dir[] = "/tmp/motid-store.XXXXXX", where[128], path[96];
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof path, "%s/motid.db", dir);
	snprintf(where, sizeof where, "sqlite:%s", path);
	nothing_there_yet(str_of(where));
	struct stat st;
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	unlink(path);
	rmdir(dir);
}

TEST(what_names_no_store_is_refused_and_what_cannot_be_reached_says_so)
{
	struct arena *a = arena_new();
	struct store *s;
	fails(store_open(a, S("mysql:host=x"), &s), BAD_CONFIG);
	fails(store_open(a, S(""), &s), BAD_CONFIG);
	fails(store_open(a, S("sqlite:/nonexistent/folder/motid.db"), &s), UNAVAILABLE);
	fails(store_open(a, S("postgres:host=/nonexistent user=nobody dbname=none"), &s), UNAVAILABLE);
	fails(store_open(a, S("postgresql://nobody@%2Fnonexistent/none"), &s), UNAVAILABLE);
	arena_free(a);
}

/* ---- clients ------------------------------------------------------------------------------------------------------------------ */

EVERYWHERE(a_client_comes_back_as_it_was_written_and_its_id_is_taken_once)
{
	struct client_row c = a_client("app"), *got;
	struct audit ev = event(w->a, "client.add"), ev2 = event(w->a, "client.add.again");
	c.disabled_at = 5;
	fine(store_client(w->s, w->a, S("app"), &got));
	assert_null(got);
	fine(store_client_add(w->s, w->a, &c, &ev));
	fine(store_client(w->s, w->a, S("app"), &got));
	assert_str(got->id, "app");
	assert_str(got->name, VIET);
	assert_str(got->metadata, c.metadata.p);
	assert_int_equal(got->created_at, NOW);
	assert_int_equal(got->updated_at, NOW);
	assert_int_equal(got->disabled_at, 5);
	assert_int_equal(got->version, 1);
	c.name = S("another");
	fails(store_client_add(w->s, w->a, &c, &ev2), CONFLICT);
	fine(store_client(w->s, w->a, S("app"), &got));
	assert_str(got->name, VIET);
	assert_int_equal(events(w, "client.add"), 1);
	assert_int_equal(events(w, "client.add.again"), 0);
}

EVERYWHERE(a_client_changes_only_from_the_version_that_was_read)
{
	add_client(w, "app");
	struct client_row c = a_client("app"), *got;
	struct audit ev = event(w->a, "client.change"), ev2 = event(w->a, "client.change");
	c.name = S("new");
	c.metadata = S("{}");
	c.disabled_at = NOW + 3;
	c.updated_at = NOW + 3;
	fine(store_client_change(w->s, w->a, &c, &ev));
	fails(store_client_change(w->s, w->a, &c, &ev2), CONFLICT);
	fine(store_client(w->s, w->a, S("app"), &got));
	assert_str(got->name, "new");
	assert_str(got->metadata, "{}");
	assert_int_equal(got->version, 2);
	assert_int_equal(got->disabled_at, NOW + 3);
	assert_int_equal(got->updated_at, NOW + 3);
	assert_int_equal(got->created_at, NOW);
	assert_int_equal(events(w, "client.change"), 1);
	c.id = S("nobody");
	fails(store_client_change(w->s, w->a, &c, &ev2), CONFLICT);
}

EVERYWHERE(a_client_is_removed_once)
{
	struct client_row *got;
	struct audit ev = event(w->a, "client.remove"), ev2 = event(w->a, "client.remove");
	bool existed;
	add_client(w, "app");
	fine(store_client_remove(w->s, w->a, S("app"), &existed, &ev));
	assert_true(existed);
	fine(store_client_remove(w->s, w->a, S("app"), &existed, &ev2));
	assert_false(existed);
	fine(store_client(w->s, w->a, S("app"), &got));
	assert_null(got);
	assert_int_equal(events(w, "client.remove"), 1);
}

EVERYWHERE(clients_are_listed_by_id_in_pages)
{
	static const char *const ids[] = { "b", "a", "Z", "é", "aa" }, *const sorted[] = { "Z", "a", "aa", "b", "é" };
	struct client_row *got;
	size_t n;
	fine(store_client_list(w->s, w->a, S(""), 10, &got, &n));
	assert_int_equal(n, 0);
	for (size_t i = 0; i < 5; i++)
		add_client(w, ids[i]);
	fine(store_client_list(w->s, w->a, S(""), 10, &got, &n));
	assert_int_equal(n, 5);
	for (size_t i = 0; i < 5; i++)
		assert_str(got[i].id, sorted[i]);
	fine(store_client_list(w->s, w->a, S("a"), 2, &got, &n));
	assert_int_equal(n, 2);
	assert_str(got[0].id, "aa");
	assert_str(got[1].id, "b");
}

EVERYWHERE(sixteen_kibibytes_come_back_whole)
{
	struct client_row c = a_client("big"), *got;
	struct audit ev = event(w->a, "client.add");
	char *text = make_n(w->a, char, 16385);
	for (size_t i = 0; i < 16384; i += 2)
		memcpy(text + i, "ư", 2);
	c.metadata = str_dup(w->a, text, 16384);
	fine(store_client_add(w->s, w->a, &c, &ev));
	fine(store_client(w->s, w->a, S("big"), &got));
	assert_true(str_eq(got->metadata, c.metadata));
}

/* ---- clients that register themselves ------------------------------------------------------------------------------------------ */

static struct invite_row an_invite(struct arena *a, const char *name, int64_t uses)
{
	return (struct invite_row){ .id = str_fmt(a, "invite-%s", name), .hash = str_fmt(a, "hash-%s", name), .name = S(VIET), .profile = S("oidc-basic-2026"), .scope = S("openid email"),
		.uses_left = uses, .created_at = NOW, .expires_at = NOW + 100 };
}

static void add_invite(struct w *w, const char *name, int64_t uses)
{
	struct invite_row v = an_invite(w->a, name, uses);
	struct audit ev = event(w->a, "invite.add");
	fine(store_invite_add(w->s, w->a, &v, &ev));
}

static err register_by(struct store *s, struct arena *a, const char *invite, const char *id, int64_t most, epoch now, enum registered *out)
{
	struct invite_row v = an_invite(a, invite, 0);
	struct registration r = { .client = a_client(id), .token_hash = str_fmt(a, "token-%s", id), .scope = S("openid email"), .invite = *invite ? &v : NULL };
	struct audit ev = event(a, "client.register");
	return store_register(s, a, &r, most, now, &ev, out);
}

static enum registered registers(struct w *w, const char *invite, const char *id, int64_t most, epoch now)
{
	enum registered out;
	fine(register_by(w->s, w->a, invite, id, most, now, &out));
	return out;
}

EVERYWHERE(an_invite_comes_back_as_it_was_written_and_is_revoked_once)
{
	struct invite_row *v;
	size_t n;
	bool existed;
	struct audit ev = event(w->a, "invite.revoke"), ev2 = event(w->a, "invite.revoke");
	add_invite(w, "a", 3);
	add_invite(w, "b", 1);
	fine(store_invite(w->s, w->a, S("hash-none"), &v));
	assert_null(v);
	fine(store_invite(w->s, w->a, S("hash-a"), &v));
	assert_str(v->id, "invite-a");
	assert_str(v->name, VIET);
	assert_str(v->profile, "oidc-basic-2026");
	assert_str(v->scope, "openid email");
	assert_int_equal(v->uses_left, 3);
	assert_int_equal(v->expires_at, NOW + 100);
	assert_int_equal(v->revoked_at, 0);
	fine(store_invite_list(w->s, w->a, S("invite-a"), 10, &v, &n));
	assert_int_equal(n, 1);
	assert_str(v[0].hash, "hash-b");
	fine(store_invite_revoke(w->s, w->a, S("invite-a"), NOW + 1, &existed, &ev));
	assert_true(existed);
	fine(store_invite_revoke(w->s, w->a, S("invite-a"), NOW + 1, &existed, &ev2));
	assert_false(existed);
	fine(store_invite(w->s, w->a, S("hash-a"), &v));
	assert_int_equal(v->revoked_at, NOW + 1);
	assert_int_equal(events(w, "invite.add"), 2);
	assert_int_equal(events(w, "invite.revoke"), 1);
}

EVERYWHERE(an_invite_registers_as_many_clients_as_it_has_uses_and_none_when_it_is_over)
{
	struct invite_row *v;
	struct client_row *c;
	struct str scope;
	bool existed;
	struct audit ev = event(w->a, "invite.revoke");
	add_invite(w, "a", 2);
	assert_int_equal(registers(w, "a", "one", 100, NOW), REGISTERED);
	assert_int_equal(registers(w, "a", "two", 100, NOW), REGISTERED);
	assert_int_equal(registers(w, "a", "three", 100, NOW), INVITE_SPENT);
	fine(store_invite(w->s, w->a, S("hash-a"), &v));
	assert_int_equal(v->uses_left, 0);
	fine(store_client(w->s, w->a, S("three"), &c));
	assert_null(c);
	add_invite(w, "late", 2);
	assert_int_equal(registers(w, "late", "four", 100, NOW + 100), INVITE_SPENT);
	add_invite(w, "gone", 2);
	fine(store_invite_revoke(w->s, w->a, S("invite-gone"), NOW, &existed, &ev));
	assert_int_equal(registers(w, "gone", "five", 100, NOW), INVITE_SPENT);
	assert_int_equal(registers(w, "never", "six", 100, NOW), INVITE_SPENT);
	assert_int_equal(events(w, "client.register"), 2);
	fine(store_registered(w->s, w->a, S("one"), S("token-one"), &c, &scope));
	assert_str(c->id, "one");
	assert_str(scope, "openid email");
}

EVERYWHERE(registrations_have_an_end)
{
	struct invite_row *v;
	add_invite(w, "a", 5);
	assert_int_equal(registers(w, "", "one", 2, NOW), REGISTERED);
	assert_int_equal(registers(w, "a", "two", 2, NOW), REGISTERED);
	assert_int_equal(registers(w, "a", "three", 2, NOW), REGISTRATIONS_FULL);
	assert_int_equal(registers(w, "", "three", 2, NOW), REGISTRATIONS_FULL);
	fine(store_invite(w->s, w->a, S("hash-a"), &v));
	assert_int_equal(v->uses_left, 4);                   /* nothing was given for it, so nothing was taken */
}

EVERYWHERE(a_registration_is_read_by_its_own_token_alone_and_goes_with_its_client)
{
	struct client_row *c;
	struct str scope;
	bool existed;
	struct audit ev = event(w->a, "client.remove");
	assert_int_equal(registers(w, "", "one", 9, NOW), REGISTERED);
	assert_int_equal(registers(w, "", "two", 9, NOW), REGISTERED);
	static const char *const WRONG[][2] = { { "one", "token-two" }, { "two", "token-one" }, { "one", "" }, { "", "token-one" }, { "three", "token-one" } };
	for (size_t i = 0; i < sizeof WRONG / sizeof *WRONG; i++) {
		fine(store_registered(w->s, w->a, str_of(WRONG[i][0]), str_of(WRONG[i][1]), &c, &scope));
		assert_null(c);
	}
	fine(store_registered(w->s, w->a, S("one"), S("token-one"), &c, &scope));
	assert_non_null(c);
	fine(store_client_remove(w->s, w->a, S("one"), &existed, &ev));
	add_client(w, "one");                                /* another of that name is not theirs */
	fine(store_registered(w->s, w->a, S("one"), S("token-one"), &c, &scope));
	assert_null(c);
	fine(store_client(w->s, w->a, S("two"), &c));
	struct audit off = event(w->a, "client.disable");
	c->disabled_at = NOW;
	fine(store_client_change(w->s, w->a, c, &off));
	fine(store_registered(w->s, w->a, S("two"), S("token-two"), &c, &scope));
	assert_null(c);
}

/* ---- people ------------------------------------------------------------------------------------------------------------------- */

static void same_person(const struct person_row *got, const struct person_row *p)
{
	const struct str *x = &got->id, *y = &p->id;
	for (size_t i = 0; i < 9; i++)
		assert_true(str_eq(x[i], y[i]));
	assert_int_equal(got->created_at, p->created_at);
	assert_int_equal(got->updated_at, p->updated_at);
	assert_int_equal(got->disabled_at, p->disabled_at);
	assert_int_equal(got->version, p->version);
}

EVERYWHERE(a_person_is_found_by_id_by_number_and_by_phone)
{
	struct person_row p = a_person(w->a, "p1", "1"), q = a_person(w->a, "p2", "2"), r = a_person(w->a, "p3", "3"), none = a_person(w->a, "p4", "4"), *got;
	struct audit ev[] = { event(w->a, "person.add"), event(w->a, "person.add"), event(w->a, "person.add"), event(w->a, "person.add") };
	size_t n;
	none.phone_mac = S("");
	fine(store_person_add(w->s, w->a, &p, &ev[0]));
	fine(store_person(w->s, w->a, S("p1"), &got));
	same_person(got, &p);
	fine(store_person_by_number(w->s, w->a, S("mac-1"), &got));
	same_person(got, &p);
	fine(store_person_by_phone(w->s, w->a, S("phone"), &got, &n));
	assert_int_equal(n, 1);
	same_person(got, &p);
	fine(store_person_add(w->s, w->a, &q, &ev[1]));
	fine(store_person_add(w->s, w->a, &r, &ev[2]));
	fine(store_person_add(w->s, w->a, &none, &ev[3]));
	fine(store_person_by_phone(w->s, w->a, S("phone"), &got, &n));
	assert_int_equal(n, 2);
	fine(store_person_by_phone(w->s, w->a, S(""), &got, &n));
	assert_int_equal(n, 0);
	fine(store_person(w->s, w->a, S("mac-1"), &got));
	assert_null(got);
	fine(store_person_by_number(w->s, w->a, S("p1"), &got));
	assert_null(got);
}

EVERYWHERE(a_number_belongs_to_one_person)
{
	struct person_row p = a_person(w->a, "p1", "1"), twin = a_person(w->a, "p2", "1"), *got;
	struct audit ev = event(w->a, "person.add"), ev2 = event(w->a, "person.add");
	fine(store_person_add(w->s, w->a, &p, &ev));
	fails(store_person_add(w->s, w->a, &twin, &ev2), CONFLICT);
	fine(store_person(w->s, w->a, S("p2"), &got));
	assert_null(got);
	assert_int_equal(events(w, "person.add"), 1);
}

EVERYWHERE(a_person_changes_by_version_and_never_to_the_number_of_another)
{
	struct person_row p = a_person(w->a, "p1", "1"), q = a_person(w->a, "p2", "2"), *got;
	struct audit ev[] = { event(w->a, "person.add"), event(w->a, "person.add"), event(w->a, "person.change"), event(w->a, "person.change"), event(w->a, "person.change") };
	fine(store_person_add(w->s, w->a, &p, &ev[0]));
	fine(store_person_add(w->s, w->a, &q, &ev[1]));
	p.name = S("Trần");
	p.search_key = S("tran");
	p.phone_mac = S("other");
	p.claims = S("{}");
	p.disabled_at = NOW;
	fine(store_person_change(w->s, w->a, &p, &ev[2]));
	fails(store_person_change(w->s, w->a, &p, &ev[3]), CONFLICT);
	p.version = 2;
	fine(store_person(w->s, w->a, S("p1"), &got));
	same_person(got, &p);
	p.number_mac = S("mac-2");
	fails(store_person_change(w->s, w->a, &p, &ev[4]), CONFLICT);
	assert_int_equal(events(w, "person.change"), 1);
}

EVERYWHERE(people_are_searched_by_the_beginning_of_their_name_in_pages)
{
	static const char *const keys[] = { "tran b", "nguyen b", "nguyen a", "nguyen a", "nguye", "nguyeo", "nguyen%", "" };
	struct person_row *got;
	size_t n;
	for (size_t i = 0; i < 8; i++) {
		struct person_row p = a_person(w->a, str_fmt(w->a, "p%zu", i).p, str_fmt(w->a, "%zu", i).p);
		struct audit ev = event(w->a, "person.add");
		p.search_key = str_of(keys[i]);
		fine(store_person_add(w->s, w->a, &p, &ev));
	}
	fine(store_person_search(w->s, w->a, S("nguyen"), S(""), 10, &got, &n));
	assert_int_equal(n, 4);
	assert_str(got[0].id, "p2");
	assert_str(got[1].id, "p3");
	assert_str(got[2].id, "p1");
	assert_str(got[3].id, "p6");
	fine(store_person_search(w->s, w->a, S("nguyen"), S("p2"), 2, &got, &n));
	assert_int_equal(n, 2);
	assert_str(got[0].id, "p3");
	assert_str(got[1].id, "p1");
	fine(store_person_search(w->s, w->a, S("%"), S(""), 10, &got, &n));
	assert_int_equal(n, 0);
	fine(store_person_search(w->s, w->a, S(""), S(""), 10, &got, &n));
	assert_int_equal(n, 8);
}

/* ---- trust -------------------------------------------------------------------------------------------------------------------- */

EVERYWHERE(an_anchor_is_added_once_listed_and_disabled)
{
	struct trust_row t = { .id = S("aa"), .name = S(VIET), .kind = S("anchor"), .purposes = S("sim tls"), .settings = S("{}"), .der = S("MIIB"), .added_at = NOW }, *got;
	struct audit ev[] = { event(w->a, "trust.add"), event(w->a, "trust.add"), event(w->a, "trust.disable"), event(w->a, "trust.disable") };
	bool existed;
	size_t n;
	fine(store_trust_list(w->s, w->a, &got, &n));
	assert_int_equal(n, 0);
	fine(store_trust_add(w->s, w->a, &t, &ev[0]));
	fails(store_trust_add(w->s, w->a, &t, &ev[1]), CONFLICT);
	fine(store_trust_disable(w->s, w->a, S("aa"), NOW + 5, &existed, &ev[2]));
	assert_true(existed);
	fine(store_trust_disable(w->s, w->a, S("bb"), NOW + 5, &existed, &ev[3]));
	assert_false(existed);
	fine(store_trust_list(w->s, w->a, &got, &n));
	assert_int_equal(n, 1);
	assert_str(got->id, "aa");
	assert_str(got->name, VIET);
	assert_str(got->kind, "anchor");
	assert_str(got->purposes, "sim tls");
	assert_str(got->settings, "{}");
	assert_str(got->der, "MIIB");
	assert_int_equal(got->added_at, NOW);
	assert_int_equal(got->disabled_at, NOW + 5);
	assert_int_equal(events(w, "trust.add"), 1);
	assert_int_equal(events(w, "trust.disable"), 1);
}

/* ---- logins --------------------------------------------------------------------------------------------------------------------- */

EVERYWHERE(a_first_login_enrols_records_the_certificate_and_begins_a_session)
{
	struct login l = a_login(w->a, "p1", "1", "c1", "s1");
	struct person_row *who;
	struct cert_row *cert;
	struct session_row *session;
	assert_int_equal(log_in(w, &l, &who), ENROLLED_NOW);
	same_person(who, &l.person);
	fine(store_cert(w->s, w->a, S("c1"), &cert));
	assert_str(cert->person_id, "p1");
	assert_str(cert->issuer_id, "issuer");
	assert_str(cert->serial, "serial-c1");
	assert_str(cert->subject, VIET);
	assert_str(cert->spki_sha256, "spki-c1");
	assert_str(cert->number_mac, "mac-1");
	assert_str(cert->method, "sim");
	assert_str(cert->der, "REVS");
	assert_int_equal(cert->not_before, NOW - 10);
	assert_int_equal(cert->not_after, NOW + 1000);
	assert_int_equal(cert->first_seen, NOW);
	assert_int_equal(cert->last_seen, NOW);
	assert_int_equal(cert->revoked_at, 0);
	fine(store_session(w->s, w->a, S("hash-s1"), NOW + 1, &session));
	assert_str(session->person_id, "p1");
	assert_str(session->cert_id, "c1");
	assert_str(session->sid, "sid-s1");
	assert_str(session->acr, "urn:x:high");
	assert_str(session->amr, "hwk mfa");
	assert_str(session->method, "sim");
	assert_int_equal(session->auth_time, NOW);
	assert_int_equal(session->created_at, NOW);
	assert_int_equal(session->expires_at, NOW + 3600);
	struct audit ev = last_event(w);
	assert_str(ev.event, "login.certificate");
	assert_str(ev.person_id, "p1");
	assert_str(ev.outcome, "ok");
}

EVERYWHERE(a_second_login_finds_the_person_whoever_the_caller_took_them_for)
{
	struct login l = a_login(w->a, "p1", "1", "c1", "s1"), again = a_login(w->a, "p-other", "1", "c1", "s2"), other_card = a_login(w->a, "p-third", "1", "c2", "s3");
	struct person_row *who, *nobody;
	struct cert_row *cert;
	struct session_row *session;
	log_in(w, &l, &who);
	again.cert.last_seen = again.cert.first_seen = NOW + 50;
	assert_int_equal(log_in(w, &again, &who), KNOWN_BEFORE);
	assert_str(who->id, "p1");
	fine(store_person(w->s, w->a, S("p-other"), &nobody));
	assert_null(nobody);
	fine(store_cert(w->s, w->a, S("c1"), &cert));
	assert_int_equal(cert->first_seen, NOW);
	assert_int_equal(cert->last_seen, NOW + 50);
	assert_int_equal(log_in(w, &other_card, &who), KNOWN_BEFORE);
	assert_str(who->id, "p1");
	fine(store_session_by_sid(w->s, w->a, S("sid-s3"), &session));
	assert_str(session->person_id, "p1");
	assert_str(session->cert_id, "c2");
	assert_str(last_event(w).person_id, "p1");
}

EVERYWHERE(a_person_whom_an_administrator_added_logs_in_as_that_person)
{
	struct person_row p = a_person(w->a, "added", "1"), *who;
	struct login l = a_login(w->a, "p1", "1", "c1", "s1");
	struct audit ev = event(w->a, "person.add");
	fine(store_person_add(w->s, w->a, &p, &ev));
	assert_int_equal(log_in(w, &l, &who), KNOWN_BEFORE);
	assert_str(who->id, "added");
}

static void refused_login(struct w *w, struct login *l, const char *person, const char *session)
{
	struct person_row *who, *nobody;
	struct session_row *none;
	struct cert_row *all;
	size_t before, after, events_before = events(w, "login.certificate");
	fine(store_cert_list(w->s, w->a, S(""), S(""), 100, &all, &before));
	assert_int_equal(log_in(w, l, &who), NUMBER_OF_ANOTHER);
	assert_null(who);
	fine(store_person(w->s, w->a, str_of(person), &nobody));
	assert_null(nobody);
	fine(store_session_by_sid(w->s, w->a, str_of(session), &none));
	assert_null(none);
	fine(store_cert_list(w->s, w->a, S(""), S(""), 100, &all, &after));
	assert_int_equal(before, after);
	assert_int_equal(events(w, "login.certificate"), events_before + 1);
	assert_str(last_event(w).outcome, "login_refused");
}

EVERYWHERE(a_certificate_recorded_for_somebody_else_logs_nobody_in)
{
	struct login l = a_login(w->a, "p1", "1", "c1", "s1"), thief = a_login(w->a, "p2", "2", "c1", "s2"), same_serial = a_login(w->a, "p3", "3", "c3", "s3");
	struct person_row *who;
	struct cert_row *cert;
	log_in(w, &l, &who);
	refused_login(w, &thief, "p2", "sid-s2");
	same_serial.cert.serial = S("serial-c1");
	refused_login(w, &same_serial, "p3", "sid-s3");
	fine(store_cert(w->s, w->a, S("c1"), &cert));
	assert_str(cert->person_id, "p1");
	assert_str(cert->number_mac, "mac-1");
	/* the twin: the same serial number of another issuer is another certificate */
	same_serial.cert.issuer_id = S("another issuer");
	assert_int_equal(log_in(w, &same_serial, &who), ENROLLED_NOW);
}

EVERYWHERE(the_serial_number_of_a_recorded_certificate_with_another_key_logs_nobody_in)
{
	struct login l = a_login(w->a, "p1", "1", "c1", "s1"), forged = a_login(w->a, "p2", "1", "c9", "s2");
	struct person_row *who;
	log_in(w, &l, &who);
	forged.cert.serial = S("serial-c1");
	refused_login(w, &forged, "p2", "sid-s2");
	/* the twin: the same key in another encoding of the signature is the recorded certificate */
	forged.cert.spki_sha256 = S("spki-c1");
	assert_int_equal(log_in(w, &forged, &who), KNOWN_BEFORE);
	struct session_row *session;
	fine(store_session_by_sid(w->s, w->a, S("sid-s2"), &session));
	assert_str(session->cert_id, "c1");
}

EVERYWHERE(a_number_that_an_issuer_gave_to_one_person_does_not_become_anothers)
{
	struct login l = a_login(w->a, "p1", "1", "c1", "s1"), late = a_login(w->a, "p2", "1", "c2", "s2");
	struct person_row *who;
	struct audit ev = event(w->a, "person.change");
	log_in(w, &l, &who);
	who->number_mac = S("mac-corrected");
	fine(store_person_change(w->s, w->a, who, &ev));
	refused_login(w, &late, "p2", "sid-s2");
	/* the twin: another issuer has said nothing of this number yet */
	late.cert.issuer_id = S("another issuer");
	assert_int_equal(log_in(w, &late, &who), ENROLLED_NOW);
	assert_str(who->id, "p2");
}

EVERYWHERE(a_disabled_person_is_told_of_but_gets_no_session)
{
	struct login l = a_login(w->a, "p1", "1", "c1", "s1"), again = a_login(w->a, "p2", "1", "c1", "s2");
	struct person_row *who;
	struct session_row *none;
	log_in(w, &l, &who);
	disable_person(w);
	again.replaces = S("hash-s1");
	assert_int_equal(log_in(w, &again, &who), KNOWN_BEFORE);
	assert_int_equal(who->disabled_at, NOW);
	fine(store_session_by_sid(w->s, w->a, S("sid-s2"), &none));
	assert_null(none);
	fine(store_session(w->s, w->a, S("hash-s1"), NOW + 1, &none));
	assert_null(none);
	assert_str(last_event(w).outcome, "login_refused");
	assert_str(last_event(w).person_id, "p1");
}

EVERYWHERE(a_login_ends_the_session_that_it_replaces)
{
	struct login l = a_login(w->a, "p1", "1", "c1", "s1"), again = a_login(w->a, "p1", "1", "c1", "s2");
	struct person_row *who;
	struct session_row *old;
	add_client(w, "app");
	log_in(w, &l, &who);
	scene_with_code(w, "1");
	again.replaces = S("hash-s1");
	again.session.created_at = NOW + 9;
	log_in(w, &again, &who);
	fine(store_session(w->s, w->a, S("hash-s1"), NOW + 10, &old));
	assert_null(old);
	fine(store_session_by_sid(w->s, w->a, S("sid-s1"), &old));
	assert_int_equal(old->ended_at, NOW + 9);
	assert_int_equal(redeem(w, "1", NOW + 10, NULL), CODE_REVOKED);
	fine(store_session(w->s, w->a, S("hash-s2"), NOW + 10, &old));
	assert_non_null(old);
}

EVERYWHERE(certificates_are_listed_by_person_and_the_newest_of_a_method_is_found)
{
	struct login l[] = { a_login(w->a, "p1", "1", "c1", "s1"), a_login(w->a, "p1", "1", "c2", "s2"), a_login(w->a, "p1", "1", "c3", "s3"), a_login(w->a, "p2", "2", "c4", "s4") };
	struct person_row *who;
	struct cert_row *got;
	size_t n;
	l[0].cert.last_seen = NOW + 5;
	l[1].cert.last_seen = NOW + 9;
	l[2].cert.last_seen = NOW + 10;
	l[2].cert.method = S("token");
	for (size_t i = 0; i < 4; i++)
		log_in(w, &l[i], &who);
	fine(store_cert_list(w->s, w->a, S("p1"), S(""), 10, &got, &n));
	assert_int_equal(n, 3);
	fine(store_cert_list(w->s, w->a, S("p1"), S("c1"), 1, &got, &n));
	assert_int_equal(n, 1);
	assert_str(got[0].id, "c2");
	fine(store_cert_list(w->s, w->a, S(""), S("c1"), 10, &got, &n));
	assert_int_equal(n, 3);
	fine(store_cert_of(w->s, w->a, S("p1"), S("sim"), &got));
	assert_str(got->id, "c2");
	fine(store_cert_of(w->s, w->a, S("p1"), S("tls"), &got));
	assert_null(got);
	fine(store_cert(w->s, w->a, S("c9"), &got));
	assert_null(got);
}

/* ---- sessions --------------------------------------------------------------------------------------------------------------------- */

EVERYWHERE(a_session_is_there_until_it_expires_or_ends)
{
	struct session_row *s;
	scene(w);
	fine(store_session(w->s, w->a, S("hash-s1"), NOW + 3599, &s));
	assert_non_null(s);
	fine(store_session(w->s, w->a, S("hash-s1"), NOW + 3600, &s));
	assert_null(s);
	fine(store_session(w->s, w->a, S("sid-s1"), NOW, &s));
	assert_null(s);
	end_session(w);
	fine(store_session(w->s, w->a, S("hash-s1"), NOW, &s));
	assert_null(s);
	fine(store_session_by_sid(w->s, w->a, S("sid-s1"), &s));
	assert_int_equal(s->ended_at, NOW);
	fine(store_session_by_sid(w->s, w->a, S("hash-s1"), &s));
	assert_null(s);
	assert_int_equal(events(w, "session.end"), 1);
}

EVERYWHERE(the_end_of_a_session_takes_its_grants_but_the_offline_ones)
{
	struct grant_row online = a_grant(w->a, "1", "p1", "s1"), offline = a_grant(w->a, "2", "p1", "s1");
	struct code_row c1 = a_code(w->a, "1"), c2 = a_code(w->a, "2");
	scene(w);
	offline.offline = true;
	put_code(w, &c1, &online);
	put_code(w, &c2, &offline);
	assert_int_equal(alive(w, "j", "grant-1", NOW), TOKEN_LIVE);
	assert_int_equal(alive(w, "j", "grant-2", NOW), TOKEN_LIVE);
	end_session(w);
	assert_int_equal(alive(w, "j", "grant-1", NOW), TOKEN_DEAD);
	assert_int_equal(alive(w, "j", "grant-2", NOW), TOKEN_LIVE);
	struct code_row *c;
	struct grant_row *g;
	fine(store_code_look(w->s, w->a, S("code-1"), &c, &g));
	assert_int_equal(g->revoked_at, NOW);
	fine(store_code_look(w->s, w->a, S("code-2"), &c, &g));
	assert_int_equal(g->revoked_at, 0);
}

EVERYWHERE(the_clients_of_a_session_are_told_once_each)
{
	struct strs ids;
	static const char *const clients[] = { "app", "zed", "app" };
	scene(w);
	for (size_t i = 0; i < 3; i++) {
		struct grant_row g = a_grant(w->a, str_fmt(w->a, "%zu", i).p, "p1", "s1");
		struct code_row c = a_code(w->a, str_fmt(w->a, "%zu", i).p);
		g.client_id = str_of(clients[i]);
		put_code(w, &c, &g);
	}
	fine(store_session_clients(w->s, w->a, S("sid-s1"), &ids));
	assert_int_equal(ids.n, 2);
	assert_str(ids.v[0], "app");
	assert_str(ids.v[1], "zed");
	fine(store_session_clients(w->s, w->a, S("sid-other"), &ids));
	assert_int_equal(ids.n, 0);
}

/* ---- how sessions end, and who is told ---------------------------------------------------------------------------------------------- */

static void add_told(struct w *w, const char *id)
{
	struct client_row c = a_client(id);
	struct audit ev = event(w->a, "client.add");
	c.metadata = S("{\"backchannel_logout_uri\":\"https://app.example/out\"}");
	fine(store_client_add(w->s, w->a, &c, &ev));
}

static void signs_in_to(struct w *w, const char *client, const char *session, const char *name)
{
	struct grant_row g = a_grant(w->a, name, "p1", session);
	struct code_row c = a_code(w->a, name);
	g.client_id = str_of(client);
	put_code(w, &c, &g);
}

/* p1 has sessions s1 and s2, both by c1; "told" wants to know of their end, "app" does not. */
static void logout_scene(struct w *w)
{
	struct login again = a_login(w->a, "p1", "1", "c1", "s2");
	struct person_row *who;
	scene(w);
	add_told(w, "told");
	again.session.expires_at = NOW + 7200;
	log_in(w, &again, &who);
	signs_in_to(w, "told", "s1", "t1");
	signs_in_to(w, "told", "s1", "t1-again");
	signs_in_to(w, "app", "s1", "a1");
	signs_in_to(w, "told", "s2", "t2");
}

static struct delivery_row *deliveries(struct w *w, const char *state, size_t *n)
{
	struct delivery_row like = { .state = str_of(state) }, *l;
	fine(store_delivery_list(w->s, w->a, &like, &(struct delivery_row){ 0 }, 100, &l, n));
	return l;
}

static size_t count_of(struct w *w, const char *state)
{
	size_t n;
	deliveries(w, state, &n);
	return n;
}

static size_t sessions_end(struct w *w, enum sessions_of which, const char *id)
{
	struct audit ev = event(w->a, "session.ended");
	size_t n;
	fine(store_sessions_end(w->s, w->a, which, str_of(id), NOW + 5, &ev, &n));
	return n;
}

static void has_ended(struct w *w, const char *sid, epoch at)
{
	struct session_row *s;
	fine(store_session_by_sid(w->s, w->a, str_of(sid), &s));
	assert_int_equal(s->ended_at, at);
}

EVERYWHERE(the_end_of_a_session_is_queued_for_each_application_that_wants_to_know_of_it)
{
	size_t n;
	logout_scene(w);
	assert_int_equal(sessions_end(w, SESSION_BY_SID, "sid-s1"), 1);
	struct delivery_row *d = deliveries(w, "", &n);
	assert_int_equal(n, 1);
	assert_str(d->sid, "sid-s1");
	assert_str(d->client_id, "told");
	assert_str(d->sub, "sub-1");
	assert_str(d->state, "pending");
	assert_int_equal(d->queued_at, NOW + 5);
	assert_int_equal(d->due_at, NOW + 5);
	assert_int_equal(d->tries, 0);
	struct audit ev = event_of(w, "session.ended");
	assert_str(ev.sid, "sid-s1");
	assert_str(ev.person_id, "p1");
	assert_str(ev.why, VIET);
	has_ended(w, "sid-s1", NOW + 5);
	has_ended(w, "sid-s2", 0);
}

EVERYWHERE(a_session_ends_once_and_is_audited_once)
{
	logout_scene(w);
	assert_int_equal(sessions_end(w, SESSION_OF_COOKIE, "hash-s1"), 1);
	assert_int_equal(sessions_end(w, SESSION_OF_COOKIE, "hash-s1"), 0);
	assert_int_equal(sessions_end(w, SESSION_BY_SID, "sid-s1"), 0);
	assert_int_equal(sessions_end(w, SESSION_BY_SID, "hash-s2"), 0);
	assert_int_equal(sessions_end(w, SESSION_OF_COOKIE, "sid-s2"), 0);
	assert_int_equal(sessions_end(w, SESSIONS_OF_PERSON, ""), 0);
	assert_int_equal(events(w, "session.ended"), 1);
	assert_int_equal(count_of(w, ""), 1);
}

EVERYWHERE(sessions_end_by_person_and_by_certificate_each_with_its_row_of_the_trail)
{
	struct login other = a_login(w->a, "p2", "2", "c2", "s3");
	struct person_row *who;
	logout_scene(w);
	log_in(w, &other, &who);
	assert_int_equal(sessions_end(w, SESSIONS_OF_CERT, "c2"), 1);
	assert_int_equal(sessions_end(w, SESSIONS_OF_PERSON, "p1"), 2);
	assert_int_equal(events(w, "session.ended"), 3);
	assert_int_equal(count_of(w, "pending"), 2);
	assert_int_equal(alive(w, "j", "grant-t2", NOW + 6), TOKEN_DEAD);
}

EVERYWHERE(a_session_that_is_replaced_is_told_of_and_audited)
{
	struct login again = a_login(w->a, "p1", "1", "c1", "s9");
	struct person_row *who;
	logout_scene(w);
	again.replaces = S("hash-s1");
	log_in(w, &again, &who);
	assert_int_equal(count_of(w, "pending"), 1);
	assert_int_equal(events(w, "session.ended"), 1);
	assert_str(event_of(w, "session.ended").sid, "sid-s1");
	has_ended(w, "sid-s1", NOW);
}

EVERYWHERE(who_is_disabled_is_signed_out_and_a_change_that_failed_signs_nobody_out)
{
	struct person_row *p;
	struct audit ev = event(w->a, "person.disable");
	logout_scene(w);
	fine(store_person(w->s, w->a, S("p1"), &p));
	p->disabled_at = NOW;
	p->version = 7;
	fails(store_person_change(w->s, w->a, p, &ev), CONFLICT);
	assert_int_equal(count_of(w, ""), 0);
	disable_person(w);
	assert_int_equal(count_of(w, "pending"), 2);
	assert_int_equal(events(w, "session.ended"), 2);
}

/* SEC-08: a certificate that was stolen must not go on by what was granted for later. */
EVERYWHERE(what_was_granted_for_later_ends_with_the_certificate_that_it_began_with)
{
	size_t n;
	struct grant_row *g;
	struct code_row *k;
	struct audit ev = event(w->a, "cert.revoked"), out = event(w->a, "session.ended");
	scene(w);
	for (int i = 0; i < 2; i++) {
		struct grant_row row = a_grant(w->a, i ? "other" : "own", "p1", "s1");
		struct code_row code = a_code(w->a, i ? "other" : "own");
		row.offline = true;
		row.cert_id = i ? S("c-else") : S("c1");
		put_code(w, &code, &row);
	}
	fine(store_session_end(w->s, w->a, S("hash-s1"), NOW + 1, &out));     /* long gone when the certificate is revoked */
	fine(store_cert_revoked(w->s, w->a, S("c1"), S("keyCompromise"), NOW + 3, &ev, &n));
	fine(store_code_look(w->s, w->a, S("code-own"), &k, &g));
	assert_int_equal(g->revoked_at, NOW + 3);
	assert_str(g->cert_id, "c1");
	fine(store_code_look(w->s, w->a, S("code-other"), &k, &g));
	assert_int_equal(g->revoked_at, 0);
}

EVERYWHERE(an_application_that_registered_itself_is_told_of_a_logout)
{
	size_t n;
	struct person_row *who;
	enum registered done;
	struct login l = a_login(w->a, "p1", "1", "c1", "s1");
	struct registration r = { .client = a_client("self"), .token_hash = S("t"), .scope = S("openid") };
	struct audit ev = event(w->a, "client.register"), out = event(w->a, "session.ended");
	r.client.metadata = S("{\"backchannel_logout_uri\":\"https://self.example/out\"}");
	fine(store_register(w->s, w->a, &r, 10, NOW, &ev, &done));
	assert_int_equal(done, REGISTERED);
	log_in(w, &l, &who);
	signs_in_to(w, "self", "s1", "self");
	fine(store_session_end(w->s, w->a, l.session.id_hash, NOW + 1, &out));
	assert_str(deliveries(w, "pending", &n)->client_id, "self");
	assert_int_equal(n, 1);
}

EVERYWHERE(a_revoked_certificate_takes_its_sessions_along_and_is_good_again_when_its_issuer_says_so)
{
	struct audit ev = event(w->a, "cert.revoked"), again = event(w->a, "cert.revoked");
	struct login l = a_login(w->a, "p1", "1", "c1", "s5");
	struct person_row *who;
	struct cert_row *c;
	size_t n;
	logout_scene(w);
	fine(store_cert_revoked(w->s, w->a, S("c1"), S("keyCompromise"), NOW + 3, &ev, &n));
	assert_int_equal(n, 2);
	fine(store_cert(w->s, w->a, S("c1"), &c));
	assert_int_equal(c->revoked_at, NOW + 3);
	assert_str(c->revoked_why, "keyCompromise");
	fine(store_cert_revoked(w->s, w->a, S("c1"), S("again"), NOW + 4, &again, &n));
	assert_int_equal(n, 0);
	assert_int_equal(events(w, "cert.revoked"), 1);
	assert_int_equal(events(w, "session.ended"), 2);
	assert_int_equal(count_of(w, "pending"), 2);
	log_in(w, &l, &who);
	fine(store_cert(w->s, w->a, S("c1"), &c));
	assert_int_equal(c->revoked_at, 0);
}

EVERYWHERE(sessions_whose_time_is_up_end_some_at_a_time_and_no_others)
{
	struct audit ev[] = { event(w->a, "session.ended"), event(w->a, "session.ended"), event(w->a, "session.ended") };
	size_t n;
	logout_scene(w);
	fine(store_sessions_expire(w->s, w->a, NOW + 3599, 10, &ev[0], &n));
	assert_int_equal(n, 0);
	fine(store_sessions_expire(w->s, w->a, NOW + 7200, 1, &ev[0], &n));
	assert_int_equal(n, 1);
	has_ended(w, "sid-s1", NOW + 7200);
	has_ended(w, "sid-s2", 0);
	fine(store_sessions_expire(w->s, w->a, NOW + 7200, 10, &ev[1], &n));
	assert_int_equal(n, 1);
	fine(store_sessions_expire(w->s, w->a, NOW + 7200, 10, &ev[2], &n));
	assert_int_equal(n, 0);
	assert_int_equal(count_of(w, "pending"), 2);
	assert_int_equal(events(w, "session.ended"), 2);
}

EVERYWHERE(everybody_is_signed_out_of_one_client_and_their_sessions_go_on)
{
	struct audit ev = event(w->a, "client.signed_out");
	struct session_row *s;
	size_t n;
	logout_scene(w);
	fine(store_client_sign_out(w->s, w->a, S("told"), NOW + 5, &ev, &n));
	assert_int_equal(n, 2);
	assert_int_equal(count_of(w, "pending"), 2);
	assert_int_equal(alive(w, "j", "grant-t1", NOW + 5), TOKEN_DEAD);
	assert_int_equal(alive(w, "j", "grant-a1", NOW + 5), TOKEN_LIVE);
	fine(store_session(w->s, w->a, S("hash-s1"), NOW + 5, &s));
	assert_non_null(s);
	assert_int_equal(events(w, "client.signed_out"), 1);
}

EVERYWHERE(sessions_that_go_on_are_listed_by_person_and_by_certificate)
{
	struct login other = a_login(w->a, "p2", "2", "c2", "s3");
	struct person_row *who;
	struct session_row *l;
	size_t n;
	logout_scene(w);
	log_in(w, &other, &who);
	fine(store_session_list(w->s, w->a, &(struct session_row){ 0 }, NOW, S(""), 10, &l, &n));
	assert_int_equal(n, 3);
	fine(store_session_list(w->s, w->a, &(struct session_row){ .person_id = S("p1") }, NOW, S(""), 10, &l, &n));
	assert_int_equal(n, 2);
	fine(store_session_list(w->s, w->a, &(struct session_row){ .person_id = S("p1") }, NOW, S("sid-s1"), 10, &l, &n));
	assert_int_equal(n, 1);
	assert_str(l->sid, "sid-s2");
	fine(store_session_list(w->s, w->a, &(struct session_row){ .cert_id = S("c2") }, NOW, S(""), 10, &l, &n));
	assert_int_equal(n, 1);
	fine(store_session_list(w->s, w->a, &(struct session_row){ 0 }, NOW + 3600, S(""), 10, &l, &n));
	assert_int_equal(n, 1);
	end_session(w);
	fine(store_session_list(w->s, w->a, &(struct session_row){ 0 }, NOW, S(""), 1, &l, &n));
	assert_int_equal(n, 1);
	assert_str(l->sid, "sid-s2");
}

static struct delivery_row *claim(struct w *w, const char *by, epoch now, size_t *n)
{
	struct delivery_row *l;
	fine(store_delivery_claim(w->s, w->a, str_of(by), now, now + 20, 10, &l, n));
	return l;
}

static void result(struct w *w, struct delivery_row d, const char *by, const char *state, epoch due)
{
	struct audit ev = event(w->a, "logout.x");
	d.state = str_of(state), d.why = S("because"), d.due_at = due;
	fine(store_delivery_result(w->s, w->a, &d, str_of(by), NOW + 9, &ev));
}

EVERYWHERE(a_delivery_that_was_taken_and_never_answered_for_is_due_again)
{
	size_t n;
	logout_scene(w);
	sessions_end(w, SESSIONS_OF_PERSON, "p1");
	claim(w, "one", NOW + 4, &n);
	assert_int_equal(n, 0);
	struct delivery_row *d = claim(w, "one", NOW + 5, &n);
	assert_int_equal(n, 2);
	assert_int_equal(d->tries, 1);
	claim(w, "two", NOW + 24, &n);
	assert_int_equal(n, 0);
	d = claim(w, "two", NOW + 25, &n);                     /* whoever had it was killed */
	assert_int_equal(n, 2);
	assert_int_equal(d->tries, 2);
	result(w, d[0], "one", "delivered", 0);                /* it was not, and comes too late */
	assert_int_equal(count_of(w, "pending"), 2);
	assert_int_equal(events(w, "logout.x"), 0);
}

EVERYWHERE(what_came_of_a_delivery_is_kept_and_its_end_is_audited)
{
	size_t n;
	logout_scene(w);
	sessions_end(w, SESSIONS_OF_PERSON, "p1");
	struct delivery_row *d = claim(w, "one", NOW + 5, &n);
	result(w, d[0], "one", "delivered", 0);
	result(w, d[1], "one", "failed", 0);
	result(w, d[1], "one", "delivered", 0);                /* an end is an end */
	assert_int_equal(events(w, "logout.x"), 2);
	d = deliveries(w, "delivered", &n);
	assert_int_equal(n, 1);
	assert_int_equal(d->done_at, NOW + 9);
	d = deliveries(w, "failed", &n);
	assert_int_equal(n, 1);
	assert_str(d->why, "because");
	claim(w, "two", NOW + 100000, &n);
	assert_int_equal(n, 0);
}

EVERYWHERE(a_client_that_does_not_answer_is_left_alone_for_a_while_with_all_that_waits_for_it)
{
	struct delivery_row *d;
	size_t n;
	logout_scene(w);
	add_told(w, "other");
	signs_in_to(w, "other", "s2", "o2");
	sessions_end(w, SESSION_BY_SID, "sid-s1");
	d = claim(w, "one", NOW + 5, &n);
	assert_int_equal(n, 1);
	sessions_end(w, SESSION_BY_SID, "sid-s2");
	result(w, d[0], "one", "pending", NOW + 9 + 90);
	assert_int_equal(events(w, "logout.x"), 0);
	d = claim(w, "two", NOW + 9, &n);
	assert_int_equal(n, 1);
	assert_str(d->client_id, "other");
	d = claim(w, "three", NOW + 9 + 30, &n);
	assert_int_equal(n, 2);                                /* the newer one of "told", and the lease of "other" */
	d = claim(w, "four", NOW + 9 + 90, &n);
	assert_int_equal(n, 3);
}

EVERYWHERE(failed_deliveries_are_tried_again_when_an_administrator_says_so)
{
	struct audit ev = event(w->a, "logout.retried"), ev2 = event(w->a, "logout.retried");
	size_t n;
	logout_scene(w);
	sessions_end(w, SESSIONS_OF_PERSON, "p1");
	struct delivery_row *d = claim(w, "one", NOW + 5, &n);
	result(w, d[0], "one", "failed", 0);
	result(w, d[1], "one", "failed", 0);
	fine(store_delivery_retry(w->s, w->a, S("app"), S(""), NOW + 50, &ev, &n));
	assert_int_equal(n, 0);
	fine(store_delivery_retry(w->s, w->a, S("told"), S("sid-s2"), NOW + 50, &ev2, &n));
	assert_int_equal(n, 1);
	d = claim(w, "two", NOW + 50, &n);
	assert_int_equal(n, 1);
	assert_str(d->sid, "sid-s2");
	assert_int_equal(d->tries, 1);
	assert_int_equal(d->queued_at, NOW + 50);
}

EVERYWHERE(a_registration_that_changes_is_told_by_what_it_says_now)
{
	struct client_row *c;
	struct audit ev = event(w->a, "client.change");
	logout_scene(w);
	fine(store_client(w->s, w->a, S("told"), &c));
	c->metadata = S("{}");
	fine(store_client_change(w->s, w->a, c, &ev));
	sessions_end(w, SESSION_BY_SID, "sid-s1");
	assert_int_equal(count_of(w, ""), 0);
	ev = event(w->a, "client.change");
	fine(store_client(w->s, w->a, S("told"), &c));
	c->metadata = S("{\"backchannel_logout_uri\":\"https://app.example/out\"}");
	fine(store_client_change(w->s, w->a, c, &ev));
	sessions_end(w, SESSION_BY_SID, "sid-s2");
	assert_int_equal(count_of(w, ""), 1);
}

EVERYWHERE(deliveries_are_forgotten_a_month_after_they_were_queued)
{
	int64_t removed;
	logout_scene(w);
	sessions_end(w, SESSION_BY_SID, "sid-s1");
	fine(store_expire(w->s, w->a, NOW + 30 * 86400, &removed));
	assert_int_equal(count_of(w, ""), 1);
	fine(store_expire(w->s, w->a, NOW + 31 * 86400 + 5, &removed));
	assert_int_equal(count_of(w, ""), 0);
}

/* ---- consent ------------------------------------------------------------------------------------------------------------------------ */

EVERYWHERE(consent_is_remembered_added_to_and_withdrawn_with_its_grants)
{
	struct str scopes;
	struct audit ev = event(w->a, "consent.give"), ev2 = event(w->a, "consent.give");
	scene(w);
	scene_with_code(w, "1");
	fine(store_consent(w->s, w->a, S("p1"), S("app"), &scopes));
	assert_str(scopes, "");
	fine(store_consent_give(w->s, w->a, S("p1"), S("app"), S("openid"), NOW, &ev));
	fine(store_consent_give(w->s, w->a, S("p1"), S("app"), S("openid email"), NOW + 1, &ev2));
	fine(store_consent(w->s, w->a, S("p1"), S("app"), &scopes));
	assert_str(scopes, "openid email");
	fine(store_consent(w->s, w->a, S("app"), S("p1"), &scopes));
	assert_str(scopes, "");
	assert_int_equal(alive(w, "j", "grant-1", NOW), TOKEN_LIVE);
	withdraw_consent(w);
	fine(store_consent(w->s, w->a, S("p1"), S("app"), &scopes));
	assert_str(scopes, "");
	assert_int_equal(alive(w, "j", "grant-1", NOW), TOKEN_DEAD);
	assert_int_equal(events(w, "consent.give"), 2);
	assert_int_equal(events(w, "consent.withdraw"), 1);
}

static struct str consents_to(struct w *w, const char *client, struct str scopes)
{
	struct audit ev = event(w->a, "consent.give");
	struct str now;
	fine(store_consent_give(w->s, w->a, S("p1"), str_of(client), scopes, NOW, &ev));
	fine(store_consent(w->s, w->a, S("p1"), str_of(client), &now));
	return now;
}

EVERYWHERE(a_scope_is_added_to_a_consent_once_and_is_no_part_of_another)
{
	assert_str(consents_to(w, "app", S("openid docs:read")), "openid docs:read");
	assert_str(consents_to(w, "app", S("docs:read openid")), "openid docs:read");
	assert_str(consents_to(w, "app", S("docs")), "openid docs:read docs");
	assert_str(consents_to(w, "app", S("read Docs docs Docs")), "openid docs:read docs read Docs");
	assert_str(consents_to(w, "app", S("%")), "openid docs:read docs read Docs %");
	assert_str(consents_to(w, "app", S("")), "openid docs:read docs read Docs %");
	assert_str(consents_to(w, "other", S("a a")), "a");
}

EVERYWHERE(a_consent_may_name_more_scopes_than_one_statement_takes)
{
	struct str many = S("");
	for (int i = 0; i < 60; i++)
		many = str_fmt(w->a, "%s%ss%d", many.p, i ? " " : "", i);
	assert_str(consents_to(w, "app", S("s59 openid")), "s59 openid");
	struct strs all = str_words(w->a, consents_to(w, "app", many));
	assert_int_equal(all.n, 61);
	for (int i = 0; i < 60; i++)
		assert_true(strs_has(all, str_fmt(w->a, "s%d", i)));
	for (int i = 60; i < 200; i++)
		many = str_fmt(w->a, "%s s%d", many.p, i);
	struct audit ev = event(w->a, "consent.give");
	fails(store_consent_give(w->s, w->a, S("p1"), S("app"), many, NOW, &ev), TOO_LARGE);
}

/* ---- codes -------------------------------------------------------------------------------------------------------------------------- */

EVERYWHERE(a_code_and_its_grant_come_back_as_they_were_written)
{
	struct code_row *c;
	struct grant_row *g, given = a_grant(w->a, "1", "p1", "s1");
	scene(w);
	scene_with_code(w, "1");
	fine(store_code_look(w->s, w->a, S("code-1"), &c, &g));
	assert_str(c->hash, "code-1");
	assert_str(c->grant_id, "grant-1");
	assert_str(c->redirect_uri, "https://app.example/cb?a=b&c='d'");
	assert_str(c->challenge, "challenge");
	assert_str(c->confirm, "x5t#S256:abc");
	assert_int_equal(c->created_at, NOW);
	assert_int_equal(c->expires_at, NOW + 60);
	assert_int_equal(c->redeemed_at, 0);
	const struct str *x = &g->id, *y = &given.id;
	for (size_t i = 0; i < 13; i++)
		assert_true(str_eq(x[i], y[i]));
	assert_int_equal(g->auth_time, NOW - 5);
	assert_int_equal(g->created_at, NOW);
	assert_int_equal(g->revoked_at, 0);
	assert_false(g->offline);
	assert_true(g->auth_time_asked);
	fine(store_code_look(w->s, w->a, S("code-2"), &c, &g));
	assert_null(c);
	assert_null(g);
	assert_int_equal(events(w, "code.put"), 1);
}

EVERYWHERE(a_code_is_good_once_and_only_then_is_anything_written)
{
	struct refresh_row first = a_refresh(w->a, "0", "1", ""), second = a_refresh(w->a, "x", "1", ""), *r;
	struct grant_row *g;
	struct code_row *c;
	scene(w);
	scene_with_code(w, "1");
	assert_int_equal(redeem(w, "2", NOW + 1, &second), CODE_UNKNOWN);
	assert_int_equal(events(w, "code.redeem"), 0);
	assert_int_equal(redeem(w, "1", NOW + 1, &first), CODE_REDEEMED);
	assert_int_equal(events(w, "code.redeem"), 1);
	assert_int_equal(redeem(w, "1", NOW + 1, &second), CODE_REPLAYED);
	assert_int_equal(redeem(w, "1", NOW + 100, &second), CODE_REPLAYED);
	assert_int_equal(events(w, "code.redeem"), 1);
	fine(store_code_look(w->s, w->a, S("code-1"), &c, &g));
	assert_int_equal(c->redeemed_at, NOW + 1);
	fine(store_refresh_look(w->s, w->a, S("refresh-x"), &r, &g));
	assert_null(r);
	assert_null(g);
	fine(store_refresh_look(w->s, w->a, S("refresh-0"), &r, &g));
	assert_str(r->hash, "refresh-0");
	assert_str(r->grant_id, "grant-1");
	assert_str(r->scope, "openid");
	assert_str(r->confirm, "x5t#S256:abc");
	assert_str(r->parent, "");
	assert_int_equal(r->generation, 0);
	assert_int_equal(r->created_at, NOW);
	assert_int_equal(r->expires_at, NOW + 1000);
	assert_int_equal(r->used_at, 0);
	assert_str(g->id, "grant-1");
}

EVERYWHERE(a_code_expires_to_the_second)
{
	scene(w);
	scene_with_code(w, "1");
	assert_int_equal(redeem(w, "1", NOW + 60, NULL), CODE_EXPIRED);
	assert_int_equal(redeem(w, "1", NOW + 59, NULL), CODE_REDEEMED);
}

EVERYWHERE(a_code_ends_with_its_grant)      { scene(w); scene_with_code(w, "1"); revoke_grant(w); assert_int_equal(redeem(w, "1", NOW + 1, NULL), CODE_REVOKED); assert_int_equal(events(w, "code.redeem"), 0); }
EVERYWHERE(a_code_ends_with_its_session)    { scene(w); scene_with_code(w, "1"); end_session(w); assert_int_equal(redeem(w, "1", NOW + 1, NULL), CODE_REVOKED); }
EVERYWHERE(a_code_ends_with_its_person)     { scene(w); scene_with_code(w, "1"); disable_person(w); assert_int_equal(redeem(w, "1", NOW + 1, NULL), CODE_REVOKED); }
EVERYWHERE(a_code_ends_when_its_client_is_disabled) { scene(w); scene_with_code(w, "1"); disable_client(w); assert_int_equal(redeem(w, "1", NOW + 1, NULL), CODE_REVOKED); }
EVERYWHERE(a_code_ends_when_its_client_is_removed)  { scene(w); scene_with_code(w, "1"); remove_client(w); assert_int_equal(redeem(w, "1", NOW + 1, NULL), CODE_REVOKED); }
EVERYWHERE(a_code_ends_with_the_consent)    { scene(w); scene_with_code(w, "1"); withdraw_consent(w); assert_int_equal(redeem(w, "1", NOW + 1, NULL), CODE_REVOKED); }

EVERYWHERE(a_code_of_an_offline_grant_still_ends_with_its_session)
{
	struct grant_row g = a_grant(w->a, "1", "p1", "s1");
	struct code_row c = a_code(w->a, "1");
	scene(w);
	g.offline = true;
	put_code(w, &c, &g);
	end_session(w);
	assert_int_equal(redeem(w, "1", NOW + 1, NULL), CODE_REVOKED);
}

/* ---- refresh tokens ------------------------------------------------------------------------------------------------------------------- */

EVERYWHERE(a_refresh_token_is_replaced_once_and_may_be_asked_for_again_within_the_grace)
{
	struct refresh_row next = a_refresh(w->a, "1", "1", "0"), *r;
	struct grant_row *g;
	scene_with_refresh(w);
	assert_int_equal(rotate(w, "none", &next, NOW + 10, 5), REFRESH_UNKNOWN);
	assert_int_equal(rotate(w, "0", &next, NOW + 10, 5), REFRESH_ROTATED);
	fine(store_refresh_look(w->s, w->a, S("refresh-0"), &r, &g));
	assert_int_equal(r->used_at, NOW + 10);
	fine(store_refresh_look(w->s, w->a, S("refresh-1"), &r, &g));
	assert_str(r->parent, "refresh-0");
	assert_str(r->grant_id, "grant-1");
	assert_str(r->confirm, "x5t#S256:abc");
	assert_int_equal(r->generation, 1);
	assert_int_equal(r->used_at, 0);
	assert_int_equal(rotate(w, "0", &next, NOW + 15, 5), REFRESH_AGAIN);
	assert_int_equal(events(w, "refresh.rotate"), 2);
	assert_int_equal(rotate(w, "0", &next, NOW + 16, 5), REFRESH_REPLAYED);
	assert_int_equal(events(w, "refresh.rotate"), 2);
}

EVERYWHERE(within_the_grace_a_used_successor_makes_it_a_replay)
{
	struct refresh_row next = a_refresh(w->a, "1", "1", "0"), third = a_refresh(w->a, "2", "1", "1"), other = a_refresh(w->a, "9", "1", "0");
	scene_with_refresh(w);
	assert_int_equal(rotate(w, "0", &next, NOW + 10, 5), REFRESH_ROTATED);
	assert_int_equal(rotate(w, "0", &other, NOW + 11, 5), REFRESH_REPLAYED);
	assert_int_equal(rotate(w, "1", &third, NOW + 11, 5), REFRESH_ROTATED);
	assert_int_equal(rotate(w, "0", &next, NOW + 12, 5), REFRESH_REPLAYED);
	assert_int_equal(rotate(w, "1", &third, NOW + 12, 5), REFRESH_AGAIN);
}

EVERYWHERE(without_a_successor_a_refresh_token_is_looked_at_and_stays_good)
{
	struct refresh_row *r, next = a_refresh(w->a, "1", "1", "0");
	struct grant_row *g;
	scene_with_refresh(w);
	assert_int_equal(rotate(w, "0", NULL, NOW + 10, 5), REFRESH_ROTATED);
	assert_int_equal(rotate(w, "0", NULL, NOW + 900, 5), REFRESH_ROTATED);
	assert_int_equal(events(w, "refresh.rotate"), 2);
	fine(store_refresh_look(w->s, w->a, S("refresh-0"), &r, &g));
	assert_int_equal(r->used_at, 0);
	assert_int_equal(rotate(w, "0", NULL, NOW + 1000, 5), REFRESH_EXPIRED);
	assert_int_equal(rotate(w, "none", NULL, NOW + 10, 5), REFRESH_UNKNOWN);
	assert_int_equal(rotate(w, "0", &next, NOW + 10, 5), REFRESH_ROTATED);
	assert_int_equal(rotate(w, "0", NULL, NOW + 100, 5), REFRESH_REPLAYED);
	assert_int_equal(events(w, "refresh.rotate"), 3);
}

EVERYWHERE(a_refresh_token_expires_to_the_second)
{
	struct refresh_row next = a_refresh(w->a, "1", "1", "0");
	scene_with_refresh(w);
	assert_int_equal(rotate(w, "0", &next, NOW + 1000, 5), REFRESH_EXPIRED);
	assert_int_equal(rotate(w, "0", &next, NOW + 999, 5), REFRESH_ROTATED);
}

static void rotation_ends(struct w *w, void (*with)(struct w *))
{
	struct refresh_row next = a_refresh(w->a, "1", "1", "0"), third = a_refresh(w->a, "2", "1", "1");
	scene_with_refresh(w);
	assert_int_equal(rotate(w, "0", &next, NOW + 10, 5), REFRESH_ROTATED);
	with(w);
	assert_int_equal(rotate(w, "1", &third, NOW + 11, 5), REFRESH_REVOKED);
	assert_int_equal(rotate(w, "1", NULL, NOW + 11, 5), REFRESH_REVOKED);
	enum rotate again = rotate(w, "0", &next, NOW + 11, 5);
	assert_true(again == REFRESH_REVOKED || again == REFRESH_REPLAYED);
	assert_int_equal(events(w, "refresh.rotate"), 1);
}
EVERYWHERE(a_refresh_token_ends_with_its_grant)   { rotation_ends(w, revoke_grant); }
EVERYWHERE(a_refresh_token_ends_with_its_session) { rotation_ends(w, end_session); }
EVERYWHERE(a_refresh_token_ends_with_its_person)  { rotation_ends(w, disable_person); }
EVERYWHERE(a_refresh_token_ends_when_its_client_is_disabled) { rotation_ends(w, disable_client); }
EVERYWHERE(a_refresh_token_ends_when_its_client_is_removed)  { rotation_ends(w, remove_client); }
EVERYWHERE(a_refresh_token_ends_with_the_consent) { rotation_ends(w, withdraw_consent); }

EVERYWHERE(an_offline_refresh_token_outlives_its_session)
{
	struct grant_row g = a_grant(w->a, "1", "p1", "s1");
	struct code_row c = a_code(w->a, "1");
	struct refresh_row first = a_refresh(w->a, "0", "1", ""), next = a_refresh(w->a, "1", "1", "0");
	scene(w);
	g.offline = true;
	put_code(w, &c, &g);
	assert_int_equal(redeem(w, "1", NOW + 1, &first), CODE_REDEEMED);
	end_session(w);
	assert_int_equal(rotate(w, "0", &next, NOW + 10, 5), REFRESH_ROTATED);
}

/* ---- whether a token lives ------------------------------------------------------------------------------------------------------------ */

EVERYWHERE(a_token_lives_and_brings_its_grant_and_person)
{
	enum liveness out;
	struct grant_row *g;
	struct person_row *p;
	scene(w);
	scene_with_code(w, "1");
	fine(store_token_live(w->s, w->a, S("j"), S("grant-1"), S("app"), NOW, &out, &g, &p));
	assert_int_equal(out, TOKEN_LIVE);
	assert_str(g->sub, "sub-1");
	assert_true(g->auth_time_asked);
	assert_str(p->id, "p1");
	assert_str(p->name, VIET);
	assert_int_equal(p->version, 1);
	fine(store_token_live(w->s, w->a, S("j"), S("grant-2"), S("app"), NOW, &out, &g, &p));
	assert_int_equal(out, TOKEN_DEAD);
	assert_null(g);
	assert_null(p);
	fine(store_token_live(w->s, w->a, S("j"), S("grant-1"), S("another"), NOW, &out, &g, &p));
	assert_int_equal(out, TOKEN_DEAD);
	assert_int_equal(alive(w, "j", "grant-1", NOW + 3600), TOKEN_DEAD);
}

static enum liveness rests(struct w *w, const char *jti, const char *grant, const char *client, const char *via)
{
	enum liveness out[2];
	struct grant_row *g[2];
	const struct rests r = { str_of(jti), str_of(grant), str_of(client), str_words(w->a, str_of(via)) };
	const struct rests two[] = { r, { S("own"), S(""), S("app"), { 0 } } };
	fine(store_rests_live(w->s, w->a, two, 2, NOW, out, g));
	assert_int_equal(out[0] == TOKEN_LIVE && *grant, g[0] != NULL);
	assert_null(g[1]);
	return out[0];
}

EVERYWHERE(an_exchanged_token_lives_with_every_token_and_client_that_it_came_of)
{
	struct audit ev = event(w->a, "token.revoked");
	scene(w);
	scene_with_code(w, "1");
	add_client(w, "desk");
	add_client(w, "land");
	assert_int_equal(rests(w, "j", "grant-1", "app", ""), TOKEN_LIVE);
	assert_int_equal(rests(w, "j", "grant-1", "desk", ""), TOKEN_DEAD);          /* the grant is another's, and nothing says how it came here */
	assert_int_equal(rests(w, "j", "grant-1", "desk", "i app"), TOKEN_LIVE);
	assert_int_equal(rests(w, "j", "grant-1", "app", "i desk"), TOKEN_DEAD);
	assert_int_equal(rests(w, "j", "grant-1", "land", "i desk h app"), TOKEN_LIVE);
	assert_int_equal(rests(w, "j", "grant-1", "land", "i desk h desk g app f app"), TOKEN_LIVE);
	assert_int_equal(rests(w, "j", "grant-2", "land", "i desk h app"), TOKEN_DEAD);
	assert_int_equal(rests(w, "j", "grant-1", "land", "i nobody h app"), TOKEN_DEAD);
	assert_int_equal(rests(w, "j", "", "desk", "i app"), TOKEN_LIVE);
	assert_int_equal(rests(w, "j", "", "desk", "i nobody"), TOKEN_DEAD);
	fine(store_token_revoke(w->s, w->a, S("h"), NOW + 300, NOW, &ev));
	assert_int_equal(rests(w, "j", "grant-1", "land", "i desk h app"), TOKEN_DEAD);
	assert_int_equal(rests(w, "j", "grant-1", "desk", "i app"), TOKEN_LIVE);
	disable_client(w);
	assert_int_equal(rests(w, "j", "grant-1", "desk", "i app"), TOKEN_DEAD);
	assert_int_equal(rests(w, "j", "", "desk", "i app"), TOKEN_DEAD);
}

EVERYWHERE(a_grant_that_nothing_hangs_on_lives_with_its_client_and_goes_a_day_after_its_end)
{
	struct audit ev = event(w->a, "token.issued");
	struct grant_row g = { .id = S("g"), .client_id = S("app"), .person_id = S(""), .sid = S(""), .sub = S("stranger"), .act = S("{}"), .created_at = NOW }, *back;
	enum liveness out;
	int64_t removed;
	scene(w);
	fine(store_grant_put(w->s, w->a, &g, NOW + 300, &ev));
	fails(store_grant_put(w->s, w->a, &g, NOW + 300, &ev), UNAVAILABLE);
	assert_int_equal(events(w, "token.issued"), 1);
	fine(store_token_live(w->s, w->a, S("j"), S("g"), S("app"), NOW, &out, &back, NULL));
	assert_int_equal(out, TOKEN_LIVE);
	assert_str(back->sub, "stranger");
	assert_str(back->act, "{}");
	fine(store_expire(w->s, w->a, NOW + 86400, &removed));
	assert_int_equal(alive(w, "j", "g", NOW), TOKEN_LIVE);
	fine(store_expire(w->s, w->a, NOW + 300 + 86400, &removed));
	assert_int_equal(alive(w, "j", "g", NOW), TOKEN_DEAD);
}

EVERYWHERE(a_login_is_found_by_its_session_client_and_subject_while_it_lasts)
{
	struct grant_row *g;
	scene(w);
	scene_with_code(w, "1");
	fine(store_token_live(w->s, w->a, S("j"), S("grant-1"), S("app"), NOW, &(enum liveness){ 0 }, &g, NULL));
	struct str sid = g->sid, sub = g->sub;
	fine(store_login_live(w->s, w->a, sid, S("app"), sub, NOW, &g));
	assert_str(g->id, "grant-1");
	fine(store_login_live(w->s, w->a, sid, S("another"), sub, NOW, &g));
	assert_null(g);
	fine(store_login_live(w->s, w->a, sid, S("app"), S("somebody"), NOW, &g));
	assert_null(g);
	fine(store_login_live(w->s, w->a, S("none"), S("app"), sub, NOW, &g));
	assert_null(g);
	end_session(w);
	fine(store_login_live(w->s, w->a, sid, S("app"), sub, NOW, &g));
	assert_null(g);
}

EVERYWHERE(a_token_of_a_client_alone_lives_with_its_client)
{
	scene(w);
	assert_int_equal(alive(w, "j", "", NOW), TOKEN_LIVE);
	disable_client(w);
	assert_int_equal(alive(w, "j", "", NOW), TOKEN_DEAD);
	remove_client(w);
	assert_int_equal(alive(w, "j", "", NOW), TOKEN_DEAD);
}

EVERYWHERE(a_revoked_token_is_dead_and_its_neighbour_lives)
{
	struct audit ev = event(w->a, "token.revoke"), ev2 = event(w->a, "token.revoke");
	scene(w);
	scene_with_code(w, "1");
	fine(store_token_revoke(w->s, w->a, S("j1"), NOW + 600, NOW, &ev));
	fine(store_token_revoke(w->s, w->a, S("j1"), NOW + 600, NOW, &ev2));
	assert_int_equal(alive(w, "j1", "grant-1", NOW), TOKEN_DEAD);
	assert_int_equal(alive(w, "j1", "", NOW), TOKEN_DEAD);
	assert_int_equal(alive(w, "j2", "grant-1", NOW), TOKEN_LIVE);
	assert_int_equal(events(w, "token.revoke"), 2);
}

static void token_ends(struct w *w, void (*with)(struct w *))
{
	scene(w);
	scene_with_code(w, "1");
	assert_int_equal(alive(w, "j", "grant-1", NOW), TOKEN_LIVE);
	with(w);
	assert_int_equal(alive(w, "j", "grant-1", NOW), TOKEN_DEAD);
}
EVERYWHERE(a_token_dies_with_its_grant)   { token_ends(w, revoke_grant); }
EVERYWHERE(a_token_dies_with_its_session) { token_ends(w, end_session); }
EVERYWHERE(a_token_dies_with_its_person)  { token_ends(w, disable_person); }
EVERYWHERE(a_token_dies_when_its_client_is_disabled) { token_ends(w, disable_client); }
EVERYWHERE(a_token_dies_when_its_client_is_removed)  { token_ends(w, remove_client); }
EVERYWHERE(a_token_dies_with_the_consent) { token_ends(w, withdraw_consent); }

/* ---- once, keys, audit, expiry -------------------------------------------------------------------------------------------------------- */

EVERYWHERE(once_is_once_until_it_expires_and_kinds_are_apart)
{
	bool first;
	fine(store_once(w->s, w->a, S("jti"), S("x"), NOW + 10, NOW, &first));
	assert_true(first);
	fine(store_once(w->s, w->a, S("jti"), S("x"), NOW + 99, NOW + 9, &first));
	assert_false(first);
	fine(store_once(w->s, w->a, S("nonce"), S("x"), NOW + 10, NOW, &first));
	assert_true(first);
	fine(store_once(w->s, w->a, S("jti"), S("x"), NOW + 20, NOW + 10, &first));
	assert_true(first);
	fine(store_once(w->s, w->a, S("jti"), S("x"), NOW + 30, NOW + 19, &first));
	assert_false(first);
}

EVERYWHERE(one_alg_has_one_key_for_one_moment)
{
	struct key_row k = { S("k1"), S("ES256"), S("{\"kty\":\"EC\"}"), S("sealed"), NOW, NOW + 10, 0 }, *got;
	struct audit ev[] = { event(w->a, "key.add"), event(w->a, "key.add"), event(w->a, "key.add"), event(w->a, "key.set"), event(w->a, "key.set") };
	size_t n;
	fine(store_key_add(w->s, w->a, &k, &ev[0]));
	k.kid = S("k2");
	fails(store_key_add(w->s, w->a, &k, &ev[1]), CONFLICT);
	k.alg = S("RS256");
	fine(store_key_add(w->s, w->a, &k, &ev[2]));
	fine(store_key_set(w->s, w->a, S("k1"), NOW + 20, NOW + 30, &ev[3]));
	fine(store_key_set(w->s, w->a, S("none"), NOW, NOW, &ev[4]));
	fine(store_key_list(w->s, w->a, &got, &n));
	assert_int_equal(n, 2);
	assert_str(got[0].kid, "k2");
	assert_str(got[1].kid, "k1");
	assert_str(got[1].alg, "ES256");
	assert_str(got[1].public_jwk, "{\"kty\":\"EC\"}");
	assert_str(got[1].sealed, "sealed");
	assert_int_equal(got[1].created_at, NOW);
	assert_int_equal(got[1].active_at, NOW + 20);
	assert_int_equal(got[1].retire_at, NOW + 30);
	assert_int_equal(events(w, "key.add"), 2);
	assert_int_equal(events(w, "key.set"), 1);
}

EVERYWHERE(the_trail_is_told_in_order_from_the_end_or_onwards)
{
	struct audit ev[5], *got;
	size_t n;
	fine(store_audit_tail(w->s, w->a, S(""), 10, &got, &n));
	assert_int_equal(n, 0);
	for (size_t i = 0; i < 5; i++) {
		ev[i] = event(w->a, "x.y");
		ev[i].id = str_fmt(w->a, "id-%zu", i);
		fine(store_audit(w->s, w->a, &ev[i]));
	}
	fine(store_audit_tail(w->s, w->a, S(""), 2, &got, &n));
	assert_int_equal(n, 2);
	assert_str(got[0].id, "id-3");
	assert_str(got[1].id, "id-4");
	fine(store_audit_tail(w->s, w->a, S("id-1"), 2, &got, &n));
	assert_int_equal(n, 2);
	assert_str(got[0].id, "id-2");
	assert_str(got[1].id, "id-3");
	assert_int_equal(got[0].at_ms, (int64_t)NOW * 1000 + 7);
	const struct str *x = &got[0].event, *y = &ev[2].event;
	for (size_t i = 0; i < 9; i++)
		assert_true(str_eq(x[i], y[i]));
	fails(store_audit(w->s, w->a, &ev[0]), UNAVAILABLE);
}

EVERYWHERE(what_expired_over_a_day_ago_goes_and_what_is_needed_stays)
{
	enum { DAY = 86400 };
	struct refresh_row first = a_refresh(w->a, "0", "1", ""), *r;
	struct code_row *c;
	struct grant_row *g;
	struct session_row *s;
	struct audit ev = event(w->a, "token.revoke");
	int64_t removed;
	bool once;
	scene(w);
	scene_with_code(w, "1");
	scene_with_code(w, "2");
	first.expires_at = NOW + 10 * DAY;
	assert_int_equal(redeem(w, "1", NOW + 1, &first), CODE_REDEEMED);
	fine(store_token_revoke(w->s, w->a, S("j1"), NOW + 600, NOW, &ev));
	fine(store_once(w->s, w->a, S("jti"), S("x"), NOW + 10, NOW, &once));
	fine(store_expire(w->s, w->a, NOW + DAY, &removed));
	assert_int_equal(removed, 0);
	fine(store_expire(w->s, w->a, NOW + DAY + 60, &removed));
	assert_int_equal(removed, 3);                          /* two codes, one once */
	fine(store_code_look(w->s, w->a, S("code-1"), &c, &g));
	assert_null(c);
	assert_int_equal(alive(w, "j1", "grant-1", NOW), TOKEN_DEAD);
	assert_int_equal(alive(w, "j", "grant-1", NOW), TOKEN_LIVE);
	assert_int_equal(alive(w, "j", "grant-2", NOW), TOKEN_LIVE);
	fine(store_expire(w->s, w->a, NOW + DAY + 3600, &removed));
	assert_int_equal(removed, 2);                          /* the session, the revoked token */
	fine(store_session_by_sid(w->s, w->a, S("sid-s1"), &s));
	assert_null(s);
	fine(store_refresh_look(w->s, w->a, S("refresh-0"), &r, &g));
	assert_non_null(r);
	struct strs clients;
	fine(store_session_clients(w->s, w->a, S("sid-s1"), &clients));
	assert_int_equal(clients.n, 1);                        /* grant-1 hangs on its refresh token, grant-2 is gone */
	fine(store_expire(w->s, w->a, NOW + 11 * DAY, &removed));
	assert_int_equal(removed, 1);
	fine(store_session_clients(w->s, w->a, S("sid-s1"), &clients));
	assert_int_equal(clients.n, 0);
	assert_int_equal(events(w, "code.redeem"), 1);         /* the trail stays */
}

EVERYWHERE(more_than_one_step_of_expired_things_goes_in_one_call)
{
	int64_t removed;
	bool first;
	for (size_t i = 0; i < 1001; i++)
		fine(store_once(w->s, w->a, S("jti"), str_fmt(w->a, "%zu", i), NOW, NOW - 1, &first));
	fine(store_expire(w->s, w->a, NOW + 86400, &removed));
	assert_int_equal(removed, 1001);
}

EVERYWHERE(a_person_is_found_by_the_subject_that_one_client_knows_them_by)
{
	struct person_row *p;
	scene(w);
	scene_with_code(w, "1");
	scene_with_code(w, "2");
	fine(store_person_by_sub(w->s, w->a, S("app"), S("sub-1"), &p));
	assert_str(p->id, "p1");
	static const struct { const char *client, *sub; } NOBODY[] = { { "other", "sub-1" }, { "app", "sub-2" }, { "app", "" }, { "", "sub-1" }, { "app", "p1" } };
	for (size_t i = 0; i < sizeof NOBODY / sizeof *NOBODY; i++) {
		fine(store_person_by_sub(w->s, w->a, str_of(NOBODY[i].client), str_of(NOBODY[i].sub), &p));
		assert_null(p);
	}
}

/* ---- what is asked for on one device and decided on another ----------------------------------------------------------------------------- */

static struct decoupled_row a_request(struct arena *a, const char *name)
{
	return (struct decoupled_row){ .hash = str_fmt(a, "request-%s", name), .kind = S("device"), .handle = str_fmt(a, "handle-%s", name), .client_id = S("app"),
		.scope = S("openid profile"), .acr_values = S("high"), .sealed = S("sealed"), .created_at = NOW, .expires_at = NOW + 600 };
}

static void put_request(struct w *w, const char *name)
{
	struct decoupled_row d = a_request(w->a, name);
	struct audit ev = event(w->a, "device.asked");
	fine(store_decoupled_put(w->s, w->a, &d, &ev));
}

static err decide_by(struct store *s, struct arena *a, const char *name, const char *grant, epoch now, bool *decided)
{
	struct grant_row g = a_grant(a, grant, "p1", "own");
	struct session_row n = a_session(a, "own");
	struct audit ev = event(a, "device.decided");
	g.sid = n.sid = str_fmt(a, "sid-%s", grant), n.id_hash = str_fmt(a, "hash-%s", grant), n.person_id = S("p1");
	return store_decoupled_decide(s, a, S("device"), str_fmt(a, "handle-%s", name), now, &(struct decision){ S(""), &g, &n }, &ev, decided);
}

static bool decide(struct w *w, const char *name, epoch now)
{
	bool decided;
	fine(decide_by(w->s, w->a, name, str_fmt(w->a, "of-%s", name).p, now, &decided));
	return decided;
}

static enum redeem fetch(struct w *w, const char *name, epoch now, const struct refresh_row *first)
{
	struct audit ev = event(w->a, "token.issued");
	enum redeem outcome;
	fine(store_decoupled_redeem(w->s, w->a, S("device"), str_fmt(w->a, "request-%s", name), rand_id(w->a, clock_ms()), now, first, &ev, &outcome));
	return outcome;
}

EVERYWHERE(what_is_asked_for_is_found_by_either_side_and_only_as_its_kind)
{
	struct decoupled_row *d, twin = a_request(w->a, "1");
	struct grant_row *g;
	struct audit ev = event(w->a, "device.asked");
	put_request(w, "1");
	fine(store_decoupled_look(w->s, w->a, S("device"), S("request-1"), &d, &g));
	assert_null(g);
	assert_str(d->handle, "handle-1");
	assert_str(d->client_id, "app");
	assert_str(d->scope, "openid profile");
	assert_str(d->acr_values, "high");
	assert_str(d->sealed, "sealed");
	assert_int_equal(d->expires_at, NOW + 600);
	assert_int_equal(d->decided_at + d->redeemed_at, 0);
	fine(store_decoupled_find(w->s, w->a, S("device"), S("handle-1"), &d));
	assert_str(d->hash, "request-1");
	fine(store_decoupled_look(w->s, w->a, S("ciba"), S("request-1"), &d, &g));
	assert_null(d);
	fine(store_decoupled_find(w->s, w->a, S("ciba"), S("handle-1"), &d));
	assert_null(d);
	fine(store_decoupled_find(w->s, w->a, S("device"), S("request-1"), &d));
	assert_null(d);
	/* the handle is one's own */
	twin.hash = S("request-2");
	assert_ptr_equal(store_decoupled_put(w->s, w->a, &twin, &ev).kind, &CONFLICT);
	assert_int_equal(events(w, "device.asked"), 1);
}

EVERYWHERE(what_is_granted_is_redeemed_once_and_has_a_session_of_its_own)
{
	struct refresh_row first = a_refresh(w->a, "d", "of-1", ""), *r;
	struct decoupled_row *d;
	struct session_row *n;
	struct grant_row *g;
	scene(w);
	put_request(w, "1");
	assert_int_equal(fetch(w, "1", NOW + 1, NULL), CODE_REVOKED);     /* nobody has decided */
	assert_true(decide(w, "1", NOW + 2));
	assert_false(decide(w, "1", NOW + 3));
	assert_int_equal(events(w, "device.decided"), 1);
	fine(store_decoupled_look(w->s, w->a, S("device"), S("request-1"), &d, &g));
	assert_int_equal(d->decided_at, NOW + 2);
	assert_str(g->id, "grant-of-1");
	assert_str(g->scope, "openid profile");
	fine(store_session_by_sid(w->s, w->a, g->sid, &n));
	assert_str(n->person_id, "p1");
	assert_int_equal(n->ended_at, 0);
	assert_int_equal(fetch(w, "1", NOW + 4, &first), CODE_REDEEMED);
	assert_int_equal(fetch(w, "1", NOW + 5, &first), CODE_REPLAYED);
	fine(store_refresh_look(w->s, w->a, S("refresh-d"), &r, &g));
	assert_str(g->id, "grant-of-1");
	assert_int_equal(events(w, "token.issued"), 1);
	assert_int_equal(fetch(w, "2", NOW + 5, NULL), CODE_UNKNOWN);
}

EVERYWHERE(what_is_refused_gives_nothing_and_stays_so)
{
	struct audit ev = event(w->a, "device.decided");
	struct decoupled_row *d;
	struct grant_row *g;
	bool decided;
	scene(w);
	put_request(w, "1");
	fine(store_decoupled_decide(w->s, w->a, S("ciba"), S("handle-1"), NOW + 1, &(struct decision){ .refusal = S("no") }, &ev, &decided));
	assert_false(decided);
	fine(store_decoupled_decide(w->s, w->a, S("device"), S("handle-1"), NOW + 1, &(struct decision){ .refusal = S("no") }, &ev, &decided));
	assert_true(decided);
	assert_false(decide(w, "1", NOW + 2));
	fine(store_decoupled_look(w->s, w->a, S("device"), S("request-1"), &d, &g));
	assert_null(g);
	assert_str(d->refusal, "no");
	assert_int_equal(fetch(w, "1", NOW + 3, NULL), CODE_REVOKED);
}

EVERYWHERE(what_was_asked_for_has_its_time)
{
	int64_t removed;
	scene(w);
	put_request(w, "1");
	assert_false(decide(w, "1", NOW + 600));
	assert_true(decide(w, "1", NOW + 599));
	assert_int_equal(fetch(w, "1", NOW + 600, NULL), CODE_EXPIRED);
	fine(store_expire(w->s, w->a, NOW + 600 + 86399, &removed));
	assert_int_equal(fetch(w, "1", NOW + 600, NULL), CODE_EXPIRED);
	fine(store_expire(w->s, w->a, NOW + 600 + 86400, &removed));
	assert_int_equal(fetch(w, "1", NOW + 600, NULL), CODE_UNKNOWN);
}

static void granted_and_then(struct w *w, void (*with)(struct w *))
{
	scene(w);
	put_request(w, "1");
	assert_true(decide(w, "1", NOW + 1));
	with(w);
	assert_int_equal(fetch(w, "1", NOW + 2, NULL), CODE_REVOKED);
	assert_int_equal(events(w, "token.issued"), 0);
}

EVERYWHERE(what_was_granted_ends_with_its_client) { granted_and_then(w, disable_client); }
EVERYWHERE(what_was_granted_ends_with_its_person) { granted_and_then(w, disable_person); }

/* ---- races: eight threads over two openings of one store; exactly one wins, two hundred times ------------------------------------------ */

enum { RACERS = 8, ROUNDS = 200, BROKEN = -1000 };
struct race { struct store *s[2]; pthread_barrier_t start, end; _Atomic int wins; int round; int (*run)(struct store *, struct arena *, int round, int racer); };
struct racer { struct race *race; int i; pthread_t thread; };

/* Asserts belong to the main thread: a racer says 1 when it won, 0 when not, BROKEN when the store could not answer. */
static void *race_run(void *p)
{
	struct racer *me = p;
	struct race *r = me->race;
	struct arena *a = arena_new();
	for (int round = 0; round < ROUNDS; round++) {
		pthread_barrier_wait(&r->start);
		r->wins += r->run(r->s[me->i & 1], a, round, me->i);
		arena_reset(a);
		pthread_barrier_wait(&r->end);
	}
	arena_free(a);
	return NULL;
}

static void race(struct w *w, void (*ready)(struct w *, int), int (*run)(struct store *, struct arena *, int, int), void (*after)(struct w *, int))
{
	struct race r = { .s = { w->s, NULL }, .run = run };
	struct racer racers[RACERS];
	int wins[ROUNDS];
	fine(store_open(w->a, w->where, &r.s[1]));
	pthread_barrier_init(&r.start, NULL, RACERS + 1);
	pthread_barrier_init(&r.end, NULL, RACERS + 1);
	for (int i = 0; i < RACERS; i++) {
		racers[i] = (struct racer){ .race = &r, .i = i };
		assert_int_equal(pthread_create(&racers[i].thread, NULL, race_run, &racers[i]), 0);
	}
	for (int round = 0; round < ROUNDS; round++) {
		r.wins = 0;
		if (ready)
			ready(w, round);
		pthread_barrier_wait(&r.start);
		pthread_barrier_wait(&r.end);
		wins[round] = r.wins;
	}
	for (int i = 0; i < RACERS; i++)
		pthread_join(racers[i].thread, NULL);
	store_close(r.s[1]);
	for (int round = 0; round < ROUNDS; round++) {
		assert_int_equal(wins[round], 1);
		if (after)
			after(w, round);
	}
}

static int race_outcome(err e, bool won) { return e.kind == &CONFLICT ? 0 : e.kind ? BROKEN : won; }
static const char *nth(struct arena *a, int n) { return str_fmt(a, "%d", n).p; }

static void code_ready(struct w *w, int round)
{
	if (round == 0)
		scene(w);
	scene_with_code(w, nth(w->a, round));
}

static int code_race(struct store *s, struct arena *a, int round, int racer)
{
	struct refresh_row first = a_refresh(a, str_fmt(a, "%d-%d", round, racer).p, nth(a, round), "");
	struct audit ev = event(a, "code.redeem");
	enum redeem outcome;
	err e = store_code_redeem(s, a, str_fmt(a, "code-%d", round), rand_id(a, clock_ms()), NOW + 1, &first, &ev, &outcome);
	return race_outcome(e, outcome == CODE_REDEEMED) + (!e.kind && outcome != CODE_REDEEMED && outcome != CODE_REPLAYED ? BROKEN : 0);
}

EVERYWHERE(of_eight_who_redeem_a_code_one_does)
{
	struct refresh_row *r;
	struct grant_row *g;
	size_t tokens = 0;
	race(w, code_ready, code_race, NULL);
	assert_int_equal(events(w, "code.redeem"), ROUNDS);
	for (int i = 0; i < ROUNDS * RACERS; i++) {
		fine(store_refresh_look(w->s, w->a, str_fmt(w->a, "refresh-%d-%d", i / RACERS, i % RACERS), &r, &g));
		tokens += r != NULL;
	}
	assert_int_equal(tokens, ROUNDS);
}

static void request_ready(struct w *w, int round)
{
	if (round == 0)
		scene(w);
	put_request(w, nth(w->a, round));
}

static int decide_race(struct store *s, struct arena *a, int round, int racer)
{
	bool decided = false;
	err e = decide_by(s, a, nth(a, round), str_fmt(a, "%d-%d", round, racer).p, NOW + 1, &decided);
	return race_outcome(e, decided);
}

EVERYWHERE(of_eight_who_decide_one_does)
{
	struct session_row *n;
	size_t sessions = 0;
	race(w, request_ready, decide_race, NULL);
	assert_int_equal(events(w, "device.decided"), ROUNDS);
	for (int i = 0; i < ROUNDS * RACERS; i++) {
		fine(store_session_by_sid(w->s, w->a, str_fmt(w->a, "sid-%d-%d", i / RACERS, i % RACERS), &n));
		sessions += n != NULL;
	}
	assert_int_equal(sessions, ROUNDS);
}

static void granted_ready(struct w *w, int round)
{
	request_ready(w, round);
	assert_true(decide(w, nth(w->a, round), NOW + 1));
}

static int fetch_race(struct store *s, struct arena *a, int round, int racer)
{
	struct refresh_row first = a_refresh(a, str_fmt(a, "%d-%d", round, racer).p, nth(a, round), "");
	struct audit ev = event(a, "token.issued");
	enum redeem outcome;
	err e = store_decoupled_redeem(s, a, S("device"), str_fmt(a, "request-%d", round), rand_id(a, clock_ms()), NOW + 2, &first, &ev, &outcome);
	return race_outcome(e, outcome == CODE_REDEEMED) + (!e.kind && outcome != CODE_REDEEMED && outcome != CODE_REPLAYED ? BROKEN : 0);
}

EVERYWHERE(of_eight_who_fetch_what_was_granted_one_does)
{
	struct refresh_row *r;
	struct grant_row *g;
	size_t tokens = 0;
	race(w, granted_ready, fetch_race, NULL);
	assert_int_equal(events(w, "token.issued"), ROUNDS);
	for (int i = 0; i < ROUNDS * RACERS; i++) {
		fine(store_refresh_look(w->s, w->a, str_fmt(w->a, "refresh-%d-%d", i / RACERS, i % RACERS), &r, &g));
		tokens += r != NULL;
	}
	assert_int_equal(tokens, ROUNDS);
}

static void invite_ready(struct w *w, int round) { add_invite(w, nth(w->a, round), 1); }

static int invite_race(struct store *s, struct arena *a, int round, int racer)
{
	enum registered outcome;
	err e = register_by(s, a, nth(a, round), str_fmt(a, "client-%d-%d", round, racer).p, 1000, NOW, &outcome);
	return race_outcome(e, outcome == REGISTERED) + (!e.kind && outcome == REGISTRATIONS_FULL ? BROKEN : 0);
}

EVERYWHERE(of_eight_who_register_by_one_use_of_an_invite_one_does)
{
	race(w, invite_ready, invite_race, NULL);
	assert_int_equal(events(w, "client.register"), ROUNDS);
}

static void refresh_ready(struct w *w, int round)
{
	if (round == 0)
		scene_with_refresh(w);
}

static int refresh_race(struct store *s, struct arena *a, int round, [[maybe_unused]] int racer)
{
	struct refresh_row next = a_refresh(a, nth(a, round + 1), "1", nth(a, round));
	struct audit ev = event(a, "refresh.rotate");
	enum rotate outcome;
	err e = store_refresh_rotate(s, a, str_fmt(a, "refresh-%d", round), &next, NOW + 1, 5, &ev, &outcome);
	return race_outcome(e, outcome == REFRESH_ROTATED) + (!e.kind && outcome != REFRESH_ROTATED && outcome != REFRESH_AGAIN ? BROKEN : 0);
}

EVERYWHERE(of_eight_who_rotate_a_refresh_token_one_does_and_the_others_may_have_the_same_again)
{
	race(w, refresh_ready, refresh_race, NULL);
	assert_int_equal(events(w, "refresh.rotate"), ROUNDS * RACERS);
}

static int once_race(struct store *s, struct arena *a, int round, [[maybe_unused]] int racer)
{
	bool first = false;
	err e = store_once(s, a, S("jti"), str_of(nth(a, round)), NOW + 10, NOW, &first);
	return race_outcome(e, first);
}

EVERYWHERE(of_eight_who_say_once_one_is_first) { race(w, NULL, once_race, NULL); }

static int consent_race(struct store *s, struct arena *a, int round, int racer)
{
	struct audit ev = event(a, "consent.give");
	err e = store_consent_give(s, a, str_of(nth(a, round)), S("app"), str_fmt(a, "openid s%d", racer), NOW, &ev);
	return e.kind ? BROKEN : racer == 0;
}

static void all_agreed(struct w *w, int round)
{
	struct str scopes;
	fine(store_consent(w->s, w->a, str_of(nth(w->a, round)), S("app"), &scopes));
	assert_int_equal(str_words(w->a, scopes).n, 1 + RACERS);
}

EVERYWHERE(of_eight_who_agree_to_something_else_at_once_all_are_heard) { race(w, NULL, consent_race, all_agreed); }

static int login_race(struct store *s, struct arena *a, int round, int racer)
{
	struct login l = a_login(a, str_fmt(a, "p-%d-%d", round, racer).p, nth(a, round), nth(a, round), str_fmt(a, "%d-%d", round, racer).p);
	struct audit ev = event(a, "login.certificate");
	struct person_row *who = NULL;
	enum enrolment outcome;
	err e = store_login(s, a, &l, &ev, &outcome, &who);
	return race_outcome(e, outcome == ENROLLED_NOW) + (!e.kind && !who ? BROKEN : 0);
}

static void one_person(struct w *w, int round)
{
	struct person_row *p;
	struct session_row *s;
	fine(store_person_by_number(w->s, w->a, str_fmt(w->a, "mac-%d", round), &p));
	for (int i = 0; i < RACERS; i++) {
		fine(store_session(w->s, w->a, str_fmt(w->a, "hash-%d-%d", round, i), NOW + 1, &s));
		assert_true(str_eq(s->person_id, p->id));
	}
}

EVERYWHERE(of_eight_first_logins_of_a_number_one_enrols_and_all_are_that_person)
{
	race(w, NULL, login_race, one_person);
	assert_int_equal(events(w, "login.certificate"), ROUNDS * RACERS);
}

static int client_race(struct store *s, struct arena *a, int round, [[maybe_unused]] int racer)
{
	struct client_row c = a_client(nth(a, round));
	struct audit ev = event(a, "client.add");
	return race_outcome(store_client_add(s, a, &c, &ev), true);
}

EVERYWHERE(of_eight_who_add_a_client_one_does)
{
	race(w, NULL, client_race, NULL);
	assert_int_equal(events(w, "client.add"), ROUNDS);
}

static int change_race(struct store *s, struct arena *a, int round, int racer)
{
	struct client_row c = a_client("app");
	struct audit ev = event(a, "client.change");
	c.version = round + 1;
	c.name = str_of(nth(a, racer));
	return race_outcome(store_client_change(s, a, &c, &ev), true);
}

static void change_ready(struct w *w, int round)
{
	if (round == 0)
		add_client(w, "app");
}

EVERYWHERE(of_eight_who_change_a_client_one_does)
{
	race(w, change_ready, change_race, NULL);
	assert_int_equal(events(w, "client.change"), ROUNDS);
}

static int key_race(struct store *s, struct arena *a, int round, int racer)
{
	struct key_row k = { .kid = str_fmt(a, "k-%d-%d", round, racer), .alg = S("ES256"), .public_jwk = S("{}"), .sealed = S("s"), .created_at = NOW, .active_at = NOW + round };
	struct audit ev = event(a, "key.add");
	return race_outcome(store_key_add(s, a, &k, &ev), true);
}

EVERYWHERE(of_eight_who_make_the_key_of_a_moment_one_does)
{
	race(w, NULL, key_race, NULL);
	assert_int_equal(events(w, "key.add"), ROUNDS);
}

static void delivery_ready(struct w *w, int round)
{
	struct login l = a_login(w->a, "p1", "1", "c1", nth(w->a, round));
	struct person_row *who;
	if (round == 0)
		add_told(w, "told");
	log_in(w, &l, &who);
	signs_in_to(w, "told", nth(w->a, round), nth(w->a, round));
}

static int ending_race(struct store *s, struct arena *a, int round, [[maybe_unused]] int racer)
{
	struct audit ev = event(a, "session.ended");
	size_t n;
	err e = store_sessions_end(s, a, SESSION_BY_SID, str_fmt(a, "sid-%d", round), NOW, &ev, &n);
	return race_outcome(e, !e.kind && n == 1);
}

EVERYWHERE(of_eight_who_end_a_session_one_does)
{
	race(w, delivery_ready, ending_race, NULL);
	assert_int_equal(events(w, "session.ended"), ROUNDS);
	assert_int_equal(count_of(w, "pending"), 100);         /* as many as are listed */
}

static void delivery_due(struct w *w, int round)
{
	delivery_ready(w, round);
	struct audit ev = event(w->a, "session.ended");
	size_t n;
	fine(store_sessions_end(w->s, w->a, SESSION_BY_SID, str_fmt(w->a, "sid-%d", round), NOW, &ev, &n));
}

static int claim_race(struct store *s, struct arena *a, int round, int racer)
{
	struct delivery_row *l;
	struct audit ev = event(a, "logout.x");
	struct str by = str_fmt(a, "by-%d-%d", round, racer);
	size_t n;
	err e = store_delivery_claim(s, a, by, NOW, NOW + 20, 10, &l, &n);
	if (!e.kind && n == 1) {
		l->state = S("delivered");
		e = store_delivery_result(s, a, l, by, NOW, &ev);
	}
	return race_outcome(e, !e.kind && n == 1);
}

EVERYWHERE(of_eight_who_claim_a_delivery_one_gets_it)
{
	race(w, delivery_due, claim_race, NULL);
	assert_int_equal(events(w, "logout.x"), ROUNDS);
	assert_int_equal(count_of(w, "pending"), 0);
}

/* ---- two who bring an empty store up at once -------------------------------------------------------------------------------------------- */

struct upper { struct str where; pthread_t thread; bool fine; int64_t applied; pthread_barrier_t *start; };

static void *bring_up(void *p)
{
	struct upper *u = p;
	struct arena *a = arena_new();
	struct store *s = NULL;
	bool open = !store_open(a, u->where, &s).kind;
	pthread_barrier_wait(u->start);
	u->fine = open && !store_migrate_up(s, a, &u->applied).kind;
	store_close(s);
	arena_free(a);
	return NULL;
}

static void both_end_well(struct str where)
{
	enum { UPPERS = 4 };
	struct upper u[UPPERS];
	pthread_barrier_t start;
	int64_t applied = 0;
	pthread_barrier_init(&start, NULL, UPPERS);
	for (size_t i = 0; i < UPPERS; i++) {
		u[i] = (struct upper){ .where = where, .start = &start };
		assert_int_equal(pthread_create(&u[i].thread, NULL, bring_up, &u[i]), 0);
	}
	for (size_t i = 0; i < UPPERS; i++) {
		pthread_join(u[i].thread, NULL);
		assert_true(u[i].fine);
		applied += u[i].applied;
	}
	assert_int_equal(applied, 21);
}

TEST(four_who_bring_an_empty_postgres_up_at_once_all_end_well)
{
	const char *conninfo = getenv("MOTID_TEST_PG");
	char where[512];
	if (!conninfo)
		skip();
	snprintf(where, sizeof where, "postgres:%s", conninfo);
	pg_say(conninfo, DROP_ALL);
	both_end_well(str_of(where));
}

TEST(four_who_bring_an_empty_sqlite_up_at_once_all_end_well)
{
	char dir[] = "/tmp/motid-store.XXXXXX", where[128], file[128];
	assert_non_null(mkdtemp(dir));
	snprintf(where, sizeof where, "sqlite:%s/motid.db", dir);
	both_end_well(str_of(where));
	static const char *const files[] = { "motid.db", "motid.db-wal", "motid.db-shm" };
	for (size_t i = 0; i < 3; i++) {
		snprintf(file, sizeof file, "%s/%s", dir, files[i]);
		unlink(file);
	}
	rmdir(dir);
}
