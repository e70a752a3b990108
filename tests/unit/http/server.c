#include "wire.h"
#include "clock.h"
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- handlers ---- */

static err ep_hello(struct req *rq, struct res *rs)
{
	res_json(rs, 200, str_fmt(rq->a, "{\"path\":\"%s\"}", rq->path.p));
	return OK;
}

static err ep_echo(struct req *rq, struct res *rs)
{
	*rs = (struct res){ .status = 200, .type = S("text/plain"), .body = rq->body };
	return OK;
}

static err ep_field(struct req *rq, struct res *rs)
{
	res_json(rs, 200, str_fmt(rq->a, "form=%s query=%s cookie=%s", form(rq, "f").p, query(rq, "q").p, cookie(rq, "c").p));
	return OK;
}

static err ep_who(struct req *rq, struct res *rs)
{
	res_json(rs, 200, str_fmt(rq->a, "peer=%s cert=%s", rq->peer.p, rq->client_cert.p));
	return OK;
}

/* One gate for all: a handler that comes to it waits until the test opens it. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t moved = PTHREAD_COND_INITIALIZER;
static bool gate_open;
static int arrived;

static void gate(bool open)
{
	pthread_mutex_lock(&lock);
	gate_open = open;
	arrived = open ? arrived : 0;
	pthread_cond_broadcast(&moved);
	pthread_mutex_unlock(&lock);
}

static void await_arrivals(int n)
{
	pthread_mutex_lock(&lock);
	while (arrived < n)
		pthread_cond_wait(&moved, &lock);
	pthread_mutex_unlock(&lock);
}

static void arrive(void)
{
	arrived++;
	pthread_cond_broadcast(&moved);
}

static err ep_slow(struct req *rq, struct res *rs)
{
	pthread_mutex_lock(&lock);
	arrive();
	while (!gate_open)
		pthread_cond_wait(&moved, &lock);
	pthread_mutex_unlock(&lock);
	return ep_hello(rq, rs);
}

static void *tokens[4096];
static int parked;

static err ep_park(struct req *rq, struct res *rs)
{
	if (rq->parked_before) {
		res_json(rs, 200, str_fmt(rq->a, "woken with '%s'", form(rq, "f").p));
		return OK;
	}
	void *token;
	err e = request_park(rq, &token);
	pthread_mutex_lock(&lock);
	tokens[parked++] = token;
	arrive();
	pthread_mutex_unlock(&lock);
	return e;
}

static err ep_park_woken_early(struct req *rq, struct res *rs)
{
	if (rq->parked_before)
		return ep_hello(rq, rs);
	void *token;
	err e = request_park(rq, &token);
	request_wake(token);
	return e;
}

static const struct route ROUTES[] = {
	{ "GET", "/hello", ep_hello, FAULTS_JSON, 0 },
	{ "GET", "/inline", ep_hello, FAULTS_JSON, INLINE },
	{ "GET", "/inline-park", ep_park, FAULTS_JSON, INLINE },
	{ "POST", "/echo", ep_echo, FAULTS_JSON, 0 },
	{ "POST", "/field", ep_field, FAULTS_JSON, 0 },
	{ "GET", "/field", ep_field, FAULTS_PAGE, 0 },
	{ "GET", "/who", ep_who, FAULTS_JSON, 0 },
	{ "GET", "/slow", ep_slow, FAULTS_JSON, 0 },
	{ "POST", "/park", ep_park, FAULTS_JSON, 0 },
	{ "GET", "/early", ep_park_woken_early, FAULTS_JSON, 0 },
	{ 0 },
};
static const struct route *const TABLES[] = { ROUTES, NULL };

#define SERVER(...) \
	struct arena *a = arena_new(); \
	struct server_conf conf = { .tables = TABLES, __VA_ARGS__ }; \
	struct server *s = wire_server(a, &conf); \
	struct str at = server_where(s, a, 0)
#define SERVER_END() do { server_stop(s); arena_free(a); } while (0)
#define HOST "Host: x\r\n"

static struct str post(struct arena *a, const char *path, const char *more, struct str body)
{
	struct str head = str_fmt(a, "POST %s HTTP/1.1\r\n" HOST "%sContent-Length: %zu\r\n\r\n", path, more, body.n);
	char *p = arena_alloc(a, head.n + body.n + 1);
	memcpy(mempcpy(p, head.p, head.n), body.p, body.n);
	return (struct str){ p, head.n + body.n };
}

static struct str filled(struct arena *a, size_t n)
{
	char *p = arena_alloc(a, n + 1);
	memset(p, 'a', n);
	return (struct str){ p, n };
}

/* ---- the plain way ---- */

TEST(a_small_request_is_answered_with_the_headers_that_every_answer_carries)
{
	SERVER();
	for (int i = 0; i < 2; i++) {
		struct str got = wire_ask(a, at, i ? S("GET /inline HTTP/1.1\r\n" HOST "\r\n") : S("GET /hello HTTP/1.1\r\n" HOST "\r\n"));
		assert_int_equal(wire_status(got), 200);
		assert_true(has_text(got, "\r\nDate: "));
		assert_true(has_text(got, "\r\nX-Content-Type-Options: nosniff\r\n"));
		assert_true(has_text(got, "\r\nReferrer-Policy: no-referrer\r\n"));
		assert_true(has_text(got, "\r\nCache-Control: no-store\r\n"));
		assert_true(has_text(got, "\r\nContent-Type: application/json\r\n"));
		assert_false(has_text(got, "Strict-Transport-Security"));
	}
	SERVER_END();
}

TEST(a_secure_house_says_so)
{
	struct house secure = *wire_house();
	secure.secure = true;
	SERVER(.house = &secure);
	assert_true(has_text(wire_ask(a, at, S("GET /hello HTTP/1.1\r\n" HOST "\r\n")), "\r\nStrict-Transport-Security: max-age="));
	SERVER_END();
}

TEST(one_connection_carries_many_requests)
{
	SERVER();
	int fd = wire_connect(at);
	for (int i = 0; i < 5; i++) {
		wire_send(fd, i % 2 ? S("GET /hello HTTP/1.1\r\n" HOST "\r\n") : post(a, "/echo", "", S("body")));
		struct str got = wire_answer(a, fd);
		assert_int_equal(wire_status(got), 200);
		assert_true(has_text(got, i % 2 ? "/hello" : "\r\n\r\nbody"));
	}
	close(fd);
	SERVER_END();
}

TEST(pipelined_requests_are_answered_in_order)
{
	SERVER();
	int fd = wire_connect(at);
	wire_send(fd, S("POST /echo HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nfirstGET /inline HTTP/1.1\r\n" HOST "\r\nGET /hello HTTP/1.1\r\n" HOST "\r\n"));
	assert_true(has_text(wire_answer(a, fd), "first"));
	assert_true(has_text(wire_answer(a, fd), "/inline"));
	assert_true(has_text(wire_answer(a, fd), "/hello"));
	close(fd);
	SERVER_END();
}

TEST(a_request_may_come_byte_by_byte)
{
	SERVER();
	int fd = wire_connect(at);
	struct str raw = post(a, "/echo", "Accept: */*\r\nX-One:  two \r\n", S("slow but whole"));
	for (size_t i = 0; i < raw.n; i++)
		wire_send(fd, (struct str){ raw.p + i, 1 });
	assert_true(has_text(wire_answer(a, fd), "\r\n\r\nslow but whole"));
	close(fd);
	SERVER_END();
}

TEST(head_is_get_without_the_body)
{
	SERVER();
	int fd = wire_connect(at);
	wire_send(fd, S("HEAD /hello HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n"));
	struct str got = wire_all(a, fd);
	assert_int_equal(wire_status(got), 200);
	assert_memory_equal(got.p + got.n - 4, "\r\n\r\n", 4);
	assert_true(has_text(got, "\r\nContent-Length: 17\r\n"));
	close(fd);
	SERVER_END();
}

TEST(fields_come_from_query_form_and_cookie)
{
	SERVER();
	const char *more = "Content-Type: application/x-www-form-urlencoded\r\nCookie: c=3\r\n";
	assert_true(has_text(wire_ask(a, at, post(a, "/field?q=2", more, S("f=1"))), "form=1 query=2 cookie=3"));
	assert_true(has_text(wire_ask(a, at, post(a, "/field?q=2", "Cookie: c=3\r\n", S("f=1"))), "form= query=2 cookie=3"));
	SERVER_END();
}

TEST(a_field_that_comes_twice_is_refused_in_the_manner_of_its_route)
{
	SERVER();
	const char *more = "Content-Type: application/x-www-form-urlencoded\r\n";
	struct str got = wire_ask(a, at, post(a, "/field", more, S("f=1&f=1")));
	assert_int_equal(wire_status(got), 400);
	assert_true(has_text(got, "\"error\":\"invalid_request\""));
	assert_int_equal(wire_status(wire_ask(a, at, post(a, "/field?f=1", more, S("f=1")))), 400);
	got = wire_ask(a, at, S("GET /field?q=1&q=2 HTTP/1.1\r\n" HOST "\r\n"));
	assert_int_equal(wire_status(got), 400);
	assert_true(has_text(got, "<p>invalid_request"));
	SERVER_END();
}

/* ---- limits ---- */

TEST(a_body_may_have_64_kib_and_not_one_byte_more)
{
	SERVER();
	struct str got = wire_ask(a, at, post(a, "/echo", "", filled(a, 65536)));
	assert_int_equal(wire_status(got), 200);
	assert_true(got.n > 65536);
	assert_int_equal(wire_status(wire_ask(a, at, post(a, "/echo", "", filled(a, 65537)))), 413);
	SERVER_END();
}

TEST(a_head_may_have_16_kib_also_with_a_full_body_and_not_much_more)
{
	SERVER();
	struct str more = str_fmt(a, "X: %s\r\n", filled(a, 16200).p);
	assert_int_equal(wire_status(wire_ask(a, at, post(a, "/echo", more.p, filled(a, 65536)))), 200);
	more = str_fmt(a, "X: %s\r\n", filled(a, 16400).p);
	assert_int_equal(wire_status(wire_ask(a, at, post(a, "/echo", more.p, S("x")))), 431);
	SERVER_END();
}

TEST(a_body_with_nul_is_refused)
{
	SERVER();
	assert_int_equal(wire_status(wire_ask(a, at, S("POST /echo HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\na\0b"))), 400);
	SERVER_END();
}

TEST(more_connections_than_allowed_are_closed)
{
	SERVER(.connections = 2);
	int one = wire_connect(at), two = wire_connect(at);
	for (int i = 0; i < 2; i++) {
		wire_send(i ? two : one, S("GET /hello HTTP/1.1\r\n" HOST "\r\n"));
		assert_int_equal(wire_status(wire_answer(a, i ? two : one)), 200);
	}
	int64_t began = clock_mono_ms();
	assert_int_equal(wire_ask(a, at, S("GET /hello HTTP/1.1\r\n" HOST "\r\n")).n, 0);
	assert_true(clock_mono_ms() - began < 5000);
	close(one), close(two);
	SERVER_END();
}

/* ---- deadlines ---- */

TEST(a_head_that_drips_is_cut_off_at_the_deadline)
{
	SERVER(.deadline_ms = 300);
	int64_t began = clock_mono_ms();
	int fd = wire_connect(at);
	wire_send(fd, S("GET /hello HTTP/1.1\r\n" HOST));
	while (poll(&(struct pollfd){ .fd = fd, .events = POLLIN }, 1, 20) == 0 && clock_mono_ms() - began < 10000)
		wire_send(fd, S("X"));
	int64_t took = clock_mono_ms() - began;
	assert_true(took >= 250 && took < 5000);
	close(fd);
	SERVER_END();
}

TEST(a_connection_that_says_nothing_or_stops_within_its_body_is_cut_off)
{
	SERVER(.deadline_ms = 300);
	int fd = wire_connect(at);
	assert_int_equal(wire_all(a, fd).n, 0);
	close(fd);
	fd = wire_connect(at);
	wire_send(fd, S("POST /echo HTTP/1.1\r\n" HOST "Content-Length: 9\r\n\r\nshort"));
	assert_int_equal(wire_all(a, fd).n, 0);
	close(fd);
	SERVER_END();
}

TEST(a_handler_that_takes_too_long_gives_503_and_later_requests_are_served)
{
	SERVER(.deadline_ms = 300, .workers = 1);
	gate(false);
	struct str got = wire_ask(a, at, S("GET /slow HTTP/1.1\r\n" HOST "\r\n"));
	assert_int_equal(wire_status(got), 503);
	assert_true(has_text(got, "\r\nRetry-After: "));
	assert_true(has_text(got, "temporarily_unavailable"));
	assert_int_equal(wire_status(wire_ask(a, at, S("GET /hello HTTP/1.1\r\n" HOST "\r\n"))), 503);   /* waits behind it in the queue */
	assert_int_equal(wire_status(wire_ask(a, at, S("GET /inline HTTP/1.1\r\n" HOST "\r\n"))), 200);
	gate(true);
	int status = 0;
	for (int i = 0; i < 50 && status != 200; i++)
		status = wire_status(wire_ask(a, at, S("GET /hello HTTP/1.1\r\n" HOST "\r\n")));
	assert_int_equal(status, 200);
	SERVER_END();
}

/* ---- parking ---- */

TEST(a_parked_request_is_run_again_with_all_that_it_had)
{
	SERVER();
	gate(false);
	parked = 0;
	int fd = wire_connect(at);
	wire_send(fd, post(a, "/park", "Content-Type: application/x-www-form-urlencoded\r\n", S("f=kept")));
	await_arrivals(1);
	request_wake(tokens[0]);
	assert_true(has_text(wire_answer(a, fd), "woken with 'kept'"));
	close(fd);
	SERVER_END();
}

TEST(a_wake_may_come_before_the_handler_has_returned)
{
	SERVER();
	for (int i = 0; i < 100; i++)
		assert_int_equal(wire_status(wire_ask(a, at, S("GET /early HTTP/1.1\r\n" HOST "\r\n"))), 200);
	SERVER_END();
}

TEST(a_thousand_requests_wait_on_two_threads_while_others_are_served)
{
	enum { MANY = 1000 };
	SERVER(.workers = 2, .connections = 2 * MANY);
	static int fds[MANY];
	gate(false);
	parked = 0;
	for (int i = 0; i < MANY; i++) {
		fds[i] = wire_connect(at);
		wire_send(fds[i], post(a, "/park", "", S("x")));
	}
	await_arrivals(MANY);
	assert_int_equal(wire_status(wire_ask(a, at, S("GET /hello HTTP/1.1\r\n" HOST "\r\n"))), 200);
	for (int i = 0; i < MANY; i++)
		request_wake(tokens[i]);
	for (int i = 0; i < MANY; i++) {
		assert_int_equal(wire_status(wire_answer(a, fds[i])), 200);
		close(fds[i]);
	}
	SERVER_END();
}

TEST(a_parked_request_that_nobody_wakes_gives_503_and_a_late_wake_does_no_harm)
{
	SERVER(.deadline_ms = 300);
	gate(false);
	parked = 0;
	assert_int_equal(wire_status(wire_ask(a, at, post(a, "/park", "", S("x")))), 503);
	request_wake(tokens[0]);
	assert_int_equal(wire_status(wire_ask(a, at, S("GET /hello HTTP/1.1\r\n" HOST "\r\n"))), 200);
	SERVER_END();
}

TEST(a_client_that_leaves_while_parked_costs_nothing_but_its_turn)
{
	SERVER();
	gate(false);
	parked = 0;
	int fd = wire_connect(at);
	wire_send(fd, post(a, "/park", "", S("x")));
	await_arrivals(1);
	close(fd);
	request_wake(tokens[0]);
	assert_int_equal(wire_status(wire_ask(a, at, S("GET /hello HTTP/1.1\r\n" HOST "\r\n"))), 200);
	SERVER_END();
}

TEST(a_request_cannot_wait_on_the_http_thread_nor_without_a_connection)
{
	SERVER();
	parked = 0;
	assert_int_equal(wire_status(wire_ask(a, at, S("GET /inline-park HTTP/1.1\r\n" HOST "\r\n"))), 503);
	struct req rq = { .a = a };
	void *token;
	fails(request_park(&rq, &token), UNAVAILABLE);
	SERVER_END();
}

/* ---- stopping ---- */

static void *stop_it(void *s) { server_stop(s); return NULL; }

TEST(a_stop_lets_what_is_running_end)
{
	SERVER();
	gate(false);
	int fd = wire_connect(at);
	wire_send(fd, S("GET /slow HTTP/1.1\r\n" HOST "\r\n"));
	await_arrivals(1);
	pthread_t t;
	assert_int_equal(pthread_create(&t, NULL, stop_it, s), 0);
	gate(true);
	assert_int_equal(wire_status(wire_answer(a, fd)), 200);
	pthread_join(t, NULL);
	close(fd);
	arena_free(a);
}

/* ---- listeners ---- */

TEST(a_unix_socket_is_for_owner_and_group_and_goes_with_the_server)
{
	SERVER();
	struct stat st;
	assert_int_equal(stat(at.p + 5, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0660);
	struct server *second;
	fails(server_start(a, &conf, &second), BAD_CONFIG);
	struct str path = str_dup(a, at.p + 5, at.n - 5);
	server_stop(s);
	assert_int_not_equal(stat(path.p, &st), 0);
	arena_free(a);
}

TEST(what_cannot_be_listened_on_is_refused_at_start)
{
	static const struct listen BAD[] = {
		{ S("127.0.0.1"), false, false }, { S("localhost:80"), false, false }, { S("127.0.0.1:70000"), false, false }, { S("unix:"), false, false },
		{ S("unix:/nowhere/at/all"), false, false }, { S("0.0.0.0:0"), true, false }, { S("[::]:0"), true, true }, { S("[::1:0"), false, false },
	};
	struct arena *a = arena_new();
	struct server *s;
	for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
		struct server_conf conf = { .tables = TABLES, .house = wire_house(), .listens = { BAD[i] }, .n = 1, .workers = 1, .deadline_ms = 1000, .connections = 1 };
		fails(server_start(a, &conf, &s), BAD_CONFIG);
	}
	arena_free(a);
}

#define CERT ":MIIB:"
static struct str who(struct arena *a, struct str at, const char *headers)
{
	return wire_ask(a, at, str_fmt(a, "GET /who HTTP/1.1\r\n" HOST "%s\r\n", headers));
}

TEST(a_proxy_is_believed_about_the_peer_and_the_certificate)
{
	SERVER(.listens = { { S("127.0.0.1:0"), true, true } }, .n = 1);
	assert_true(has_text(who(a, at, ""), "peer=127.0.0.1 cert="));
	assert_true(has_text(who(a, at, "X-Forwarded-For: 6.6.6.6, 10.0.0.7\r\nClient-Cert: " CERT "\r\n"), "peer=10.0.0.7 cert=MIIB"));
	assert_true(has_text(who(a, at, "X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-For: 2001:db8::1\r\n"), "peer=2001:db8::1 "));
	static const char *const BAD[] = {
		"X-Forwarded-For: unknown\r\n", "X-Forwarded-For: 10.0.0.7,\r\n", "Client-Cert: MIIB\r\n", "Client-Cert: :MI B:\r\n", "Client-Cert: ::\r\n",
		"Client-Cert: " CERT "\r\nClient-Cert: " CERT "\r\n", "Client-Cert: " CERT ", " CERT "\r\n", "Client_Cert: " CERT "\r\n",
	};
	for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++)
		assert_int_equal(wire_status(who(a, at, BAD[i])), 400);
	SERVER_END();
}

TEST(a_certificate_is_believed_only_of_a_proxy_that_asks_for_one)
{
	SERVER(.listens = { { S("127.0.0.1:0"), true, false } }, .n = 1);
	struct str got = who(a, at, "X-Forwarded-For: 10.0.0.7\r\nClient-Cert: " CERT "\r\n");
	assert_true(str_ends(got, S("peer=10.0.0.7 cert=")));
	SERVER_END();
}

TEST(elsewhere_what_only_a_proxy_may_say_is_ignored)
{
	SERVER(.listens = { { S("127.0.0.1:0"), false, true } }, .n = 1);
	struct str got = who(a, at, "X-Forwarded-For: 10.0.0.7\r\nClient-Cert: " CERT "\r\n");
	assert_true(str_ends(got, S("peer=127.0.0.1 cert=")));
	SERVER_END();
}
