#include "sql.h"
#include "rand.h"
#include "t.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* A server and the `motid` tool share one SQLite file. The tool is this very program, started again. */

static struct audit event(struct arena *a)
{
	return (struct audit){ .id = rand_id(a, 1), .at_ms = 1, .event = S("test"), .outcome = S("ok"), .client_id = S(""), .person_id = S(""), .sid = S(""),
		.request_id = S(""), .peer = S(""), .why = S(""), .detail = S("") };
}

static void add_client(struct arena *a, struct store *s, const char *id)
{
	struct audit ev = event(a);
	fine(store_client_add(s, a, &(struct client_row){ .id = str_of(id), .name = S("n"), .metadata = S("{}"), .created_at = 1, .updated_at = 1, .version = 1 }, &ev));
}

static struct store *open_at(struct arena *a, const char *where)
{
	struct store *s;
	fine(store_open(a, str_of(where), &s));
	return s;
}

/* Run by the test below in a process of its own. */
TEST(tool_adds_a_client_and_closes)
{
	const char *where = getenv("MOTID_TEST_TOOL");
	if (!where)
		skip();
	struct arena *a = arena_new();
	struct store *s = open_at(a, where);
	add_client(a, s, "of-the-tool");
	store_close(s);
	arena_free(a);
}

static void run_tool(const char *where)
{
	int status = -1;
	pid_t pid = fork();
	if (pid == 0) {
		setenv("MOTID_TEST_TOOL", where, 1);
		execl("/proc/self/exe", "tool", "tool_adds_a_client_and_closes", NULL);
		_exit(127);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void *ask(void *store)
{
	struct arena *a = arena_new();
	struct client_row *row;
	for (int i = 0; i < 200; i++) {
		fine(store_client(store, a, S("of-the-server"), &row));
		assert_non_null(row);
		arena_reset(a);
	}
	arena_free(a);
	return NULL;
}

/* More who ask at once than there are connections for reading: all of them are opened. */
static void ask_all_at_once(struct store *s)
{
	enum { MANY = 16 };
	pthread_t t[MANY];
	for (int i = 0; i < MANY; i++)
		assert_int_equal(pthread_create(&t[i], NULL, ask, s), 0);
	for (int i = 0; i < MANY; i++)
		pthread_join(t[i], NULL);
}

/* What the writing connection decides by must be what the tool wrote: here, whether a code's client is there. */
TEST(a_tool_that_closes_an_open_sqlite_store_does_not_take_its_log_away)
{
	struct arena *a = arena_new();
	char dir[] = "/tmp/motid-two-XXXXXX";
	assert_non_null(mkdtemp(dir));
	struct str where = str_fmt(a, "sqlite:%s/motid.db", dir);
	struct store *s = open_at(a, where.p);
	int64_t applied;
	fine(store_migrate_up(s, a, &applied));
	add_client(a, s, "of-the-server");
	ask_all_at_once(s);
	run_tool(where.p);

	struct grant_row g = { .id = S("g"), .client_id = S("of-the-tool"), .person_id = S(""), .sid = S(""), .sub = S("s"), .scope = S("openid"), .acr = S(""),
		.amr = S(""), .nonce = S(""), .claims = S(""), .auth_time = 1, .created_at = 1 };
	struct code_row c = { .hash = S("h"), .grant_id = S("g"), .redirect_uri = S("r"), .challenge = S(""), .confirm = S(""), .created_at = 1, .expires_at = 60 };
	struct audit put = event(a), spend = event(a);
	enum redeem outcome;
	fine(store_code_put(s, a, &c, &g, &put));
	fine(store_code_redeem(s, a, S("h"), S("by"), 2, NULL, &spend, &outcome));
	assert_int_equal(outcome, CODE_REDEEMED);

	struct str log = str_fmt(a, "%s/motid.db-wal", dir);
	assert_int_equal(access(log.p, F_OK), 0);
	store_close(s);
	assert_int_equal(system(str_fmt(a, "rm -r %s", dir).p), 0);
	arena_free(a);
}
