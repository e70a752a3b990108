/* One text for both engines of short-lived values. Redis: MOTID_TEST_REDIS=unix:/path, else a server of our own when this
 * machine has one; else those stories are skipped. */
#include <fcntl.h>
#include <hiredis/hiredis.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include "clock.h"
#include "eph_open.h"
#include "rand.h"
#include "t.h"

struct world {
	struct arena *a;
	struct eph *e;
	const char *redis;                   /* the socket's path; NULL in memory */
	struct str id;                       /* fresh in every story */
};

static _Atomic int64_t now_ms = 1000000;
static int64_t now(void) { return now_ms; }

/* ---- a Redis of our own ---- */

static char folder[] = "/tmp/motid-eph-XXXXXX", socket_path[64];
static pid_t redis_pid;

static bool redis_answers(const char *path)
{
	for (int i = 0; i < 500; i++) {
		redisContext *c = redisConnectUnix(path);
		redisReply *r = c && !c->err ? redisCommand(c, "PING") : NULL;
		bool pong = r && r->type == REDIS_REPLY_STATUS;
		if (r)
			freeReplyObject(r);
		if (c)
			redisFree(c);
		if (pong)
			return true;
		if (redis_pid && waitpid(redis_pid, NULL, WNOHANG) == redis_pid)
			return false;
		poll(NULL, 0, 10);
	}
	return false;
}

static bool redis_up(void)
{
	redis_pid = fork();
	if (redis_pid == 0) {
		int null = open("/dev/null", O_RDWR);
		dup2(null, 1), dup2(null, 2);
		execlp("redis-server", "redis-server", "--port", "0", "--unixsocket", socket_path, "--save", "", "--dir", folder,
		       "--daemonize", "no", (char *)NULL);
		_exit(127);
	}
	return redis_answers(socket_path);
}

static void redis_down(void)
{
	if (redis_pid > 0) {
		kill(redis_pid, SIGKILL);
		waitpid(redis_pid, NULL, 0);
	}
	redis_pid = 0;
	unlink(socket_path);
}

static void clean_up(void)
{
	redis_down();
	rmdir(folder);
}

static bool own_redis(void)
{
	static enum { UNTRIED, THERE, NOT_THERE } state;
	if (state == UNTRIED && mkdtemp(folder)) {
		snprintf(socket_path, sizeof socket_path, "%s/s", folder);
		atexit(clean_up);
		state = redis_up() ? THERE : NOT_THERE;
	}
	return state == THERE;
}

static const char *a_redis(void)
{
	const char *given = getenv("MOTID_TEST_REDIS");
	if (given && strncmp(given, "unix:", 5) == 0)
		return given + 5;
	return own_redis() ? socket_path : NULL;
}

/* ---- stories ---- */

static void tell(bool redis, void (*story)(struct world *))
{
	struct world w = { .a = arena_new(), .redis = redis ? a_redis() : NULL };
	if (redis && !w.redis) {
		arena_free(w.a);
		skip();
	}
	if (redis)
		fine(eph_open(w.a, str_fmt(w.a, "redis:unix:%s", w.redis), &w.e));
	else
		fine(eph_open_memory(w.a, now, 1 << 20, &w.e));
	w.id = rand_token(w.a);
	story(&w);
	eph_close(w.e);
	arena_free(w.a);
}

#define STORY(name) \
	static void story_##name(struct world *); \
	TEST(name##_in_memory) { tell(false, story_##name); } \
	TEST(name##_in_redis) { tell(true, story_##name); } \
	static void story_##name(struct world *w)

/* Lets one second go by that kind:id was given to live. */
static void outlive(struct world *w, const char *kind)
{
	if (!w->redis) {
		now_ms += 1000;
		return;
	}
	redisContext *c = redisConnectUnix(w->redis);
	for (int64_t until = clock_mono_ms() + 5000; ; ) {
		redisReply *r = redisCommand(c, "PTTL motid:{%b}:%s", w->id.p, w->id.n, kind);
		assert_non_null(r);
		assert_int_equal(r->type, REDIS_REPLY_INTEGER);
		long long left = r->integer;
		freeReplyObject(r);
		if (left == -2)
			break;
		assert_true(left >= 0 && left <= 1000);
		assert_true(clock_mono_ms() < until);
		poll(NULL, 0, (int)left + 1);
	}
	redisFree(c);
}

static void holds(struct world *w, const char *kind, struct str id, const char *want)
{
	struct str v;
	bool found;
	fine(eph_get(w->e, w->a, kind, id, &v, &found));
	assert_int_equal(found, want != NULL);
	if (want)
		assert_str(v, want);
}

STORY(what_was_put_is_found_and_stays)
{
	holds(w, "code", w->id, NULL);
	fine(eph_put(w->e, w->a, "code", w->id, S("one"), 60));
	holds(w, "code", w->id, "one");
	holds(w, "code", w->id, "one");
	fine(eph_put(w->e, w->a, "code", w->id, S("two"), 60));
	holds(w, "code", w->id, "two");
}

STORY(any_bytes_come_back_as_they_went)
{
	char v[70];
	for (size_t i = 0; i < sizeof v; i++)
		v[i] = (char)(i * 37 % 256);
	struct str id = { "\0\r\n}:{ %s*", 11 }, back;
	bool found;
	fine(eph_put(w->e, w->a, "bytes", id, (struct str){ v, sizeof v }, 60));
	fine(eph_take(w->e, w->a, "bytes", id, &back, &found));
	assert_true(found);
	assert_true(str_eq(back, (struct str){ v, sizeof v }));
	fine(eph_put(w->e, w->a, "bytes", w->id, S(""), 60));
	holds(w, "bytes", w->id, "");
}

STORY(a_value_is_taken_once)
{
	struct str v;
	bool found;
	fine(eph_put(w->e, w->a, "code", w->id, S("one"), 60));
	fine(eph_take(w->e, w->a, "code", w->id, &v, &found));
	assert_true(found);
	assert_str(v, "one");
	fine(eph_take(w->e, w->a, "code", w->id, &v, &found));
	assert_false(found);
	assert_int_equal(v.n, 0);
	holds(w, "code", w->id, NULL);
}

STORY(only_the_first_is_first)
{
	bool first;
	fine(eph_once(w->e, w->a, "jti", w->id, S("mine"), 60, &first));
	assert_true(first);
	fine(eph_once(w->e, w->a, "jti", w->id, S("yours"), 60, &first));
	assert_false(first);
	holds(w, "jti", w->id, "mine");
}

STORY(a_value_is_dropped_only_by_who_knows_it)
{
	fine(eph_put(w->e, w->a, "lock", w->id, S("mine"), 60));
	fine(eph_drop(w->e, w->a, "lock", w->id, S("yours")));
	fine(eph_drop(w->e, w->a, "lock", w->id, S("")));
	fine(eph_drop(w->e, w->a, "lock", w->id, S("mine\0")));
	holds(w, "lock", w->id, "mine");
	fine(eph_drop(w->e, w->a, "lock", w->id, S("mine")));
	holds(w, "lock", w->id, NULL);
	fine(eph_drop(w->e, w->a, "lock", w->id, S("mine")));
}

STORY(several_in_one_journey_are_answered_as_if_each_was_asked_alone)
{
	struct eph_op ops[EPH_TOGETHER] = {
		{ .verb = EPH_PUT, .kind = "code", .id = w->id, .value = S("one"), .seconds = 60 }, { .verb = EPH_TAKE, .kind = "code", .id = w->id },
		{ .verb = EPH_GET, .kind = "code", .id = w->id }, { .verb = EPH_COUNT, .kind = "tries", .id = w->id, .add = 3, .seconds = 60 },
	};
	struct eph_op more[] = {
		{ .verb = EPH_COUNT, .kind = "tries", .id = w->id, .seconds = 60 }, { .verb = EPH_ONCE, .kind = "jti", .id = w->id, .value = S("mine"), .seconds = 60 },
		{ .verb = EPH_ONCE, .kind = "jti", .id = w->id, .value = S("yours"), .seconds = 60 }, { .verb = EPH_DROP, .kind = "jti", .id = w->id, .value = S("mine") },
	};
	fine(eph_do(w->e, w->a, ops, EPH_TOGETHER));
	assert_true(ops[1].yes);
	assert_str(ops[1].value, "one");
	assert_false(ops[2].yes);
	assert_int_equal(ops[2].value.n, 0);
	assert_int_equal(ops[3].total, 3);
	fine(eph_do(w->e, w->a, more, EPH_TOGETHER));
	assert_int_equal(more[0].total, 3);
	assert_true(more[1].yes);
	assert_false(more[2].yes);
	holds(w, "jti", w->id, NULL);
}

STORY(when_one_of_several_is_beyond_its_limit_none_of_them_happens)
{
	struct eph_op ops[EPH_TOGETHER + 1] = {
		{ .verb = EPH_PUT, .kind = "code", .id = w->id, .value = S("one"), .seconds = 60 }, { .verb = EPH_PUT, .kind = "code", .id = w->id, .value = S("two") },
	};
	fails(eph_do(w->e, w->a, ops, 2), SERVER_ERROR);
	ops[1] = (struct eph_op){ .verb = EPH_GET, .kind = "co}de", .id = w->id };
	fails(eph_do(w->e, w->a, ops, 2), SERVER_ERROR);
	fails(eph_do(w->e, w->a, ops, 0), SERVER_ERROR);
	fails(eph_do(w->e, w->a, ops, EPH_TOGETHER + 1), SERVER_ERROR);
	holds(w, "code", w->id, NULL);
}

STORY(a_count_adds_up_and_nought_only_reads)
{
	int64_t n;
	fine(eph_count(w->e, w->a, "tries", w->id, 0, 60, &n));
	assert_int_equal(n, 0);
	holds(w, "tries", w->id, NULL);
	fine(eph_count(w->e, w->a, "tries", w->id, 1, 60, &n));
	assert_int_equal(n, 1);
	fine(eph_count(w->e, w->a, "tries", w->id, 41, 60, &n));
	assert_int_equal(n, 42);
	fine(eph_count(w->e, w->a, "tries", w->id, 0, 60, &n));
	assert_int_equal(n, 42);
	holds(w, "tries", w->id, "42");
}

STORY(what_is_no_number_is_not_counted_on)
{
	int64_t n;
	fine(eph_put(w->e, w->a, "tries", w->id, S("many"), 60));
	fails(eph_count(w->e, w->a, "tries", w->id, 1, 60, &n), UNAVAILABLE);
	fails(eph_count(w->e, w->a, "tries", w->id, 0, 60, &n), UNAVAILABLE);
	holds(w, "tries", w->id, "many");
}

STORY(a_value_ends_with_its_lifetime)
{
	struct str v;
	bool found;
	fine(eph_put(w->e, w->a, "code", w->id, S("one"), 1));
	holds(w, "code", w->id, "one");
	outlive(w, "code");
	holds(w, "code", w->id, NULL);
	fine(eph_take(w->e, w->a, "code", w->id, &v, &found));
	assert_false(found);
}

STORY(once_the_first_has_ended_another_is_first)
{
	bool first;
	fine(eph_once(w->e, w->a, "jti", w->id, S("1"), 1, &first));
	outlive(w, "jti");
	fine(eph_once(w->e, w->a, "jti", w->id, S("2"), 60, &first));
	assert_true(first);
}

STORY(a_window_is_fixed_from_the_first_add)
{
	int64_t n;
	fine(eph_count(w->e, w->a, "tries", w->id, 5, 1, &n));
	fine(eph_count(w->e, w->a, "tries", w->id, 5, 3600, &n));
	assert_int_equal(n, 10);
	outlive(w, "tries");
	fine(eph_count(w->e, w->a, "tries", w->id, 0, 1, &n));
	assert_int_equal(n, 0);
	fine(eph_count(w->e, w->a, "tries", w->id, 1, 60, &n));
	assert_int_equal(n, 1);
}

STORY(no_kind_finds_an_id_of_another)
{
	static const char *const KINDS[] = { "code", "jti", "tries", "lock", "sim", "par" };
	enum { N = sizeof KINDS / sizeof *KINDS };
	struct str ids[] = { w->id, str_fmt(w->a, "%s}:code", w->id.p), str_fmt(w->a, "{%s}:jti", w->id.p), S("") };
	for (size_t i = 0; i < sizeof ids / sizeof *ids; i++)
		for (size_t put = 0; put < N; put++) {
			fine(eph_put(w->e, w->a, KINDS[put], ids[i], S("x"), 60));
			for (size_t other = 0; other < N; other++) {
				if (other == put)
					continue;
				int64_t n;
				bool first, found;
				struct str v;
				fine(eph_take(w->e, w->a, KINDS[other], ids[i], &v, &found));
				assert_false(found);
				fine(eph_drop(w->e, w->a, KINDS[other], ids[i], S("x")));
				fine(eph_count(w->e, w->a, KINDS[other], ids[i], 0, 60, &n));
				assert_int_equal(n, 0);
				fine(eph_once(w->e, w->a, KINDS[other], ids[i], S("y"), 60, &first));
				assert_true(first);
				fine(eph_take(w->e, w->a, KINDS[other], ids[i], &v, &found));
				assert_true(found);
			}
			holds(w, KINDS[put], ids[i], "x");
			fine(eph_drop(w->e, w->a, KINDS[put], ids[i], S("x")));
		}
}

STORY(what_is_too_long_is_refused_and_what_just_fits_is_not)
{
	char *big = arena_alloc(w->a, 65537);
	memset(big, 'v', 65537);
	struct str v;
	bool found;
	fine(eph_put(w->e, w->a, "code", w->id, (struct str){ big, 65536 }, 60));
	fine(eph_get(w->e, w->a, "code", w->id, &v, &found));
	assert_true(found);
	assert_int_equal(v.n, 65536);
	fails(eph_put(w->e, w->a, "code", w->id, (struct str){ big, 65537 }, 60), TOO_LARGE);
	fails(eph_get(w->e, w->a, "code", (struct str){ big, 1025 }, &v, &found), TOO_LARGE);
	fails(eph_put(w->e, w->a, "code", w->id, S("v"), 0), SERVER_ERROR);
	fails(eph_put(w->e, w->a, "no}:kind", w->id, S("v"), 1), SERVER_ERROR);
}

/* ---- eight at once ---- */

enum { RACERS = 8, ROUNDS = 100 };
struct race { struct world *w; char verb; pthread_barrier_t start; atomic_int won[ROUNDS]; atomic_int faults; };

static void *racer(void *p)
{
	struct race *r = p;
	struct arena *a = arena_new();
	pthread_barrier_wait(&r->start);
	for (int i = 0; i < ROUNDS; i++) {
		struct str id = str_fmt(a, "%s-%d", r->w->id.p, i), v;
		bool won = false;
		int64_t n;
		err e = r->verb == 't' ? eph_take(r->w->e, a, "race", id, &v, &won) :
		        r->verb == 'o' ? eph_once(r->w->e, a, "race", id, S("x"), 60, &won) :
		                         eph_count(r->w->e, a, "race", r->w->id, 1, 60, &n);
		r->faults += e.kind != NULL;
		r->won[i] += won;
	}
	arena_free(a);
	return NULL;
}

static struct race race(struct world *w, char verb)
{
	struct race r = { .w = w, .verb = verb };
	pthread_t t[RACERS];
	pthread_barrier_init(&r.start, NULL, RACERS);
	for (int i = 0; i < RACERS; i++)
		assert_int_equal(pthread_create(&t[i], NULL, racer, &r), 0);
	for (int i = 0; i < RACERS; i++)
		pthread_join(t[i], NULL);
	pthread_barrier_destroy(&r.start);
	assert_int_equal(r.faults, 0);
	return r;
}

STORY(of_eight_who_take_one_finds)
{
	for (int i = 0; i < ROUNDS; i++)
		fine(eph_put(w->e, w->a, "race", str_fmt(w->a, "%s-%d", w->id.p, i), S("x"), 60));
	struct race r = race(w, 't');
	for (int i = 0; i < ROUNDS; i++)
		assert_int_equal(r.won[i], 1);
}

STORY(of_eight_at_once_one_is_first)
{
	struct race r = race(w, 'o');
	for (int i = 0; i < ROUNDS; i++)
		assert_int_equal(r.won[i], 1);
}

STORY(what_eight_count_adds_up)
{
	race(w, 'c');
	int64_t n;
	fine(eph_count(w->e, w->a, "race", w->id, 0, 60, &n));
	assert_int_equal(n, RACERS * ROUNDS);
}

/* ---- memory alone ---- */

TEST(memory_that_is_full_refuses_and_forgets_nothing_that_lives)
{
	struct arena *a = arena_new();
	struct eph *e;
	bool first;
	fine(eph_open_memory(a, now, 20000, &e));
	fine(eph_once(e, a, "jti", S("the one"), S("1"), 3600, &first));
	char v[1000] = { 0 };
	err last = OK;
	int n = 0;
	for (; !last.kind && n < 100; n++)
		last = eph_put(e, a, "code", str_fmt(a, "%d", n), (struct str){ v, sizeof v }, 1);
	fails(last, UNAVAILABLE);
	assert_in_range(n, 10, 20);
	fails(eph_once(e, a, "jti", S("another"), (struct str){ v, sizeof v }, 3600, &first), UNAVAILABLE);
	assert_false(first);
	fine(eph_once(e, a, "jti", S("the one"), S("1"), 3600, &first));
	assert_false(first);
	now_ms += 1000;
	for (int i = 0; i < n - 2; i++)
		fine(eph_put(e, a, "code", str_fmt(a, "again %d", i), (struct str){ v, sizeof v }, 1));
	fine(eph_once(e, a, "jti", S("the one"), S("1"), 3600, &first));
	assert_false(first);
	eph_close(e);
	arena_free(a);
}

TEST(memory_gives_back_what_expired_though_nobody_asks_for_it)
{
	struct arena *a = arena_new();
	struct eph *e;
	fine(eph_open_memory(a, now, 1 << 20, &e));
	for (int i = 0; i < 100000; i++) {
		fine(eph_put(e, a, "code", str_fmt(a, "%d", i), S("value"), 1));
		now_ms += 1;
		if (i % 1000 == 0)
			arena_reset(a);
	}
	eph_close(e);
	arena_free(a);
}

TEST(where_values_live_is_said_in_one_of_three_ways)
{
	static const char *const WRONG[] = { "", "mem", "redis", "redis:", "redis:unix:", "redis:unix:relative", "redis:host", "redis:host:0",
	                                     "redis:host:65536", "redis::6379", "redis:unix:/s?pass=x", "redis:unix:/s?user=u", "redis:unix:/s?password_file=/nowhere" };
	struct arena *a = arena_new();
	struct eph *e;
	for (size_t i = 0; i < sizeof WRONG / sizeof *WRONG; i++)
		fails(eph_open(a, str_of(WRONG[i]), &e), BAD_CONFIG);
	fine(eph_open(a, S("memory"), &e));
	fine(eph_ready(e, a));
	eph_close(e);
	fine(eph_open(a, S("redis:[::1]:1"), &e));
	fails(eph_ready(e, a), UNAVAILABLE);
	eph_close(e);
	arena_free(a);
}

/* ---- Redis failing ---- */

static void back_within(struct eph *e, int64_t ms)
{
	struct arena *a = arena_new();
	for (int64_t until = clock_mono_ms() + ms; eph_ready(e, a).kind; poll(NULL, 0, 5))
		assert_true(clock_mono_ms() < until);
	arena_free(a);
}

TEST(a_redis_that_is_killed_is_unavailable_and_then_is_back)
{
	if (!own_redis())
		skip();
	struct arena *a = arena_new();
	struct eph *e;
	struct str v;
	bool found;
	fine(eph_open(a, str_fmt(a, "redis:unix:%s", socket_path), &e));
	back_within(e, 2000);
	fine(eph_put(e, a, "code", S("k"), S("v"), 60));
	redis_down();
	fails(eph_take(e, a, "code", S("k"), &v, &found), UNAVAILABLE);
	assert_false(found);
	fails(eph_put(e, a, "code", S("k"), S("v"), 60), UNAVAILABLE);
	assert_true(redis_up());
	back_within(e, 2000);
	fine(eph_put(e, a, "code", S("k"), S("v"), 60));
	fine(eph_take(e, a, "code", S("k"), &v, &found));
	assert_true(found);
	eph_close(e);
	arena_free(a);
}

/* A Redis of which each connection gets the same bytes, whatever it says; NULL says nothing. */
struct liar { char path[64]; int fd; const char *says; size_t repeat; pthread_t t; };

static void *lie(void *p)
{
	struct liar *l = p;
	for (int c; (c = accept(l->fd, NULL, NULL)) >= 0; close(c)) {
		char in[4096];
		if (recv(c, in, sizeof in, 0) <= 0)
			continue;
		for (size_t i = 0; l->says && i < (l->repeat ? l->repeat : 1); i++)
			if (send(c, l->says, strlen(l->says), MSG_NOSIGNAL) < 0)
				break;
		while (recv(c, in, sizeof in, 0) > 0)
			;
	}
	return NULL;
}

static struct eph *liar_open(struct liar *l, struct arena *a, const char *says, size_t repeat)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	struct eph *e;
	*l = (struct liar){ .says = says, .repeat = repeat };
	snprintf(l->path, sizeof l->path, "/tmp/motid-liar-%d", getpid());
	unlink(l->path);
	strcpy(at.sun_path, l->path);
	l->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(l->fd, (struct sockaddr *)&at, sizeof at), 0);
	assert_int_equal(listen(l->fd, 5), 0);
	pthread_create(&l->t, NULL, lie, l);
	fine(eph_open(a, str_fmt(a, "redis:unix:%s", l->path), &e));
	return e;
}

static void liar_close(struct liar *l, struct eph *e)
{
	eph_close(e);
	shutdown(l->fd, SHUT_RDWR);
	pthread_join(l->t, NULL);
	close(l->fd);
	unlink(l->path);
}

TEST(a_reply_of_the_wrong_kind_is_never_a_hit)
{
	static const char *const TAKE[] = { ":1\r\n", "+OK\r\n", "*1\r\n$1\r\nx\r\n", "-ERR no\r\n", "-WRONGTYPE x\r\n", "?\r\n", "$-7\r\n", "$x\r\n" };
	static const char *const ONCE[] = { ":1\r\n", "+QUEUED\r\n", "$2\r\nOK\r\n", "*0\r\n", "-OOM full\r\n", "\r\n" };
	static const char *const COUNT[] = { ":0\r\n", ":-5\r\n", "+1\r\n", "$1\r\n1\r\n", "$-1\r\n" };
	struct arena *a = arena_new();
	struct liar l;
	for (size_t i = 0; i < sizeof TAKE / sizeof *TAKE; i++) {
		struct str v;
		bool found;
		struct eph *e = liar_open(&l, a, TAKE[i], 1);
		fails(eph_take(e, a, "code", S("k"), &v, &found), UNAVAILABLE);
		assert_false(found);
		liar_close(&l, e);
	}
	for (size_t i = 0; i < sizeof ONCE / sizeof *ONCE; i++) {
		bool first;
		struct eph *e = liar_open(&l, a, ONCE[i], 1);
		fails(eph_once(e, a, "code", S("k"), S("v"), 1, &first), UNAVAILABLE);
		assert_false(first);
		liar_close(&l, e);
	}
	for (size_t i = 0; i < sizeof COUNT / sizeof *COUNT; i++) {
		int64_t n = 0;
		struct eph *e = liar_open(&l, a, COUNT[i], 1);
		fails(eph_count(e, a, "code", S("k"), 1, 1, &n), UNAVAILABLE);
		assert_true(n > 1000000);
		liar_close(&l, e);
	}
	arena_free(a);
}

TEST(a_reply_too_many_is_not_the_next_commands)
{
	struct arena *a = arena_new();
	struct liar l;
	struct str v;
	bool found;
	struct eph *e = liar_open(&l, a, "$1\r\nx\r\n$1\r\ny\r\n", 1);
	for (int i = 0; i < 3; i++) {
		fine(eph_take(e, a, "code", S("k"), &v, &found));
		assert_str(v, "x");
	}
	liar_close(&l, e);
	arena_free(a);
}

TEST(a_reply_that_never_ends_is_cut_off)
{
	struct arena *a = arena_new();
	struct liar l;
	struct str v;
	bool found;
	struct eph *e = liar_open(&l, a, "$400000000\r\n", 1 << 20);
	fails(eph_get(e, a, "code", S("k"), &v, &found), UNAVAILABLE);
	liar_close(&l, e);
	char *long_value = arena_alloc(a, 65560);
	memcpy(mempcpy(long_value, "$65537\r\n", 8), memset(arena_alloc(a, 65537), 'v', 65537), 65537);
	memcpy(long_value + 8 + 65537, "\r\n", 3);
	e = liar_open(&l, a, long_value, 1);
	fails(eph_get(e, a, "code", S("k"), &v, &found), UNAVAILABLE);
	assert_false(found);
	liar_close(&l, e);
	arena_free(a);
}

TEST(a_redis_that_says_nothing_is_waited_for_two_seconds)
{
	struct arena *a = arena_new();
	struct liar l;
	struct str v;
	bool found;
	struct eph *e = liar_open(&l, a, NULL, 0);
	int64_t from = clock_mono_ms();
	fails(eph_take(e, a, "code", S("k"), &v, &found), UNAVAILABLE);
	assert_in_range(clock_mono_ms() - from, 1900, 3000);
	liar_close(&l, e);
	arena_free(a);
}
