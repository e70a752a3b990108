#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include "clock.h"
#include "fake.h"
#include "net.h"
#include "t.h"

/* What came of one or many asks. done writes, the test waits. */
struct outcome {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	int called, busy, status;
	struct str type, body, why;
	struct arena *a;
	pthread_t thread;
};

static void on_done(void *ctx, const struct fetch_answer *an)
{
	struct outcome *o = ctx;
	pthread_mutex_lock(&o->lock);
	o->called++;
	o->status = an->status;
	o->busy += str_is(str_of(an->why), "busy");
	o->type = str_copy(o->a, an->content_type);
	o->body = str_dup(o->a, (const char *)an->body.p, an->body.n);
	o->why = str_copy(o->a, str_of(an->why));
	o->thread = pthread_self();
	pthread_cond_signal(&o->changed);
	pthread_mutex_unlock(&o->lock);
}

static void await(struct outcome *o, int n)
{
	struct timespec until;
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 20;
	pthread_mutex_lock(&o->lock);
	while (o->called < n)
		if (pthread_cond_timedwait(&o->changed, &o->lock, &until))
			break;
	int called = o->called;
	pthread_mutex_unlock(&o->lock);
	assert_int_equal(called, n);
}

struct world { struct arena *a; struct fetch *f; struct fake *s; struct outcome o; struct str base; };

static struct world *world(fake_serve *serve)
{
	struct arena *a = arena_new();
	struct world *w = make(a, struct world);
	w->a = a;
	w->o = (struct outcome){ .a = arena_new() };
	pthread_mutex_init(&w->o.lock, NULL);
	pthread_cond_init(&w->o.changed, NULL);
	fine(fetch_open(a, &w->f));
	w->s = serve ? fake_open(serve, w) : NULL;
	w->base = w->s ? str_fmt(a, "http://127.0.0.1:%d/", fake_port(w->s)) : S("");
	return w;
}

static void end(struct world *w)
{
	fetch_close(w->f);
	if (w->s)
		fake_close(w->s);
	arena_free(w->o.a);
	arena_free(w->a);
}

static struct fetch_ask to(struct str url) { return (struct fetch_ask){ .url = url, .method = S("GET"), .max = 10000, .timeout_ms = 5000 }; }

static void get(struct world *w, const struct fetch_ask *k)
{
	int n = w->o.called + 1;
	fetch_start(w->f, k, on_done, &w->o);
	await(&w->o, n);
}

/* What each path does. */
static bool hello(struct arena *, const struct fake_request *rq) { return fake_answer(rq->fd, 200, S("text/x"), S("hello")); }

static bool echo(struct arena *a, const struct fake_request *rq)
{
	return fake_answer(rq->fd, 201, S("text/plain"), str_fmt(a, "%s|%s", rq->head.p, rq->body.p));
}

TEST(an_answer_comes_with_its_status_type_and_body)
{
	struct world *w = world(hello);
	struct fetch_ask k = to(w->base);
	get(w, &k);
	assert_int_equal(w->o.status, 200);
	assert_str(w->o.type, "text/x");
	assert_str(w->o.body, "hello");
	assert_false(pthread_equal(w->o.thread, pthread_self()));
	end(w);
}

TEST(a_post_carries_its_body_and_headers)
{
	struct world *w = world(echo);
	struct fetch_ask k = to(w->base);
	k.method = S("POST"), k.content_type = S("application/soap+xml"), k.accept = S("a/b"), k.header = S("X-One: 1");
	k.body = str_bytes(S("<x/>"));
	get(w, &k);
	assert_int_equal(w->o.status, 201);
	assert_non_null(strstr(w->o.body.p, "POST / HTTP/1.1\r\n"));
	assert_non_null(strstr(w->o.body.p, "\r\nContent-Type: application/soap+xml\r\n"));
	assert_non_null(strstr(w->o.body.p, "\r\nAccept: a/b\r\n"));
	assert_non_null(strstr(w->o.body.p, "\r\nX-One: 1\r\n"));
	assert_null(strstr(w->o.body.p, "Expect"));
	assert_true(str_ends(w->o.body, S("|<x/>")));
	end(w);
}

TEST(what_was_asked_is_copied)
{
	struct world *w = world(echo);
	char body[] = "<x/>";
	struct fetch_ask k = to(w->base);
	k.method = S("POST"), k.body = (struct bytes){ (unsigned char *)body, 4 };
	fetch_start(w->f, &k, on_done, &w->o);
	memset(body, '!', 4);
	await(&w->o, 1);
	assert_true(str_ends(w->o.body, S("|<x/>")));
	end(w);
}

TEST(a_connection_is_used_again)
{
	struct world *w = world(hello);
	struct fetch_ask k = to(w->base);
	for (int i = 0; i < 20; i++)
		get(w, &k);
	assert_int_equal(fake_connections(w->s), 1);
	end(w);
}

static void no_answer(struct world *w, const struct fetch_ask *k)
{
	get(w, k);
	assert_int_equal(w->o.status, 0);
	assert_int_equal(w->o.body.n, 0);
	assert_true(w->o.why.n > 0);
}

TEST(only_http_and_https_are_spoken)
{
	static const char *const WRONG[] = { "file:///etc/passwd", "ftp://127.0.0.1/", "gopher://127.0.0.1/", "dict://127.0.0.1/", "", "127.0.0.1",
	                                     "http://u:p@127.0.0.1/", "http://127.0.0.1/\r\nX: y", "http://[::1", "https://" };
	struct world *w = world(hello);
	for (size_t i = 0; i < sizeof WRONG / sizeof *WRONG; i++) {
		struct fetch_ask k = to(str_of(WRONG[i]));
		no_answer(w, &k);
	}
	struct fetch_ask k = to(w->base);
	k.header = S("X: 1\r\nHost: other");
	no_answer(w, &k);
	k = to(w->base), k.method = S("PUT");
	no_answer(w, &k);
	k = to(w->base), k.timeout_ms = 0;
	no_answer(w, &k);
	assert_int_equal(fake_connections(w->s), 0);
	end(w);
}

TEST(the_environments_proxy_is_not_asked)
{
	struct world *w = world(hello);
	setenv("http_proxy", "http://127.0.0.1:1", 1);
	setenv("ALL_PROXY", "http://127.0.0.1:1", 1);
	struct fetch_ask k = to(w->base);
	get(w, &k);
	unsetenv("http_proxy"), unsetenv("ALL_PROXY");
	assert_int_equal(w->o.status, 200);
	end(w);
}

static bool redirect(struct arena *, const struct fake_request *rq)
{
	static const char R[] = "HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n";
	return fake_say(rq->fd, R, sizeof R - 1) && !strstr(rq->head.p, "elsewhere");
}

TEST(a_redirect_is_an_answer_and_is_not_followed)
{
	struct world *w = world(redirect);
	struct fetch_ask k = to(w->base);
	get(w, &k);
	assert_int_equal(w->o.status, 302);
	end(w);
}

/* A server that cannot keep to its own words: each says the text and closes. */
static const char *_Atomic said;
static bool say_and_close(struct arena *, const struct fake_request *rq)
{
	const char *text = said;
	fake_say(rq->fd, text, strlen(text));
	return false;
}

/* SEC-29 */
TEST(an_address_that_a_stranger_named_is_not_asked_where_only_we_can_go)
{
	struct world *w = world(hello);
	struct str named = str_fmt(w->a, "http://localhost:%d/", fake_port(w->s));
	struct fetch_ask k = to(w->base);
	get(w, &k);
	assert_int_equal(w->o.status, 200);
	k.stranger = true;                   /* also not over the connection that is open to it */
	get(w, &k);
	assert_int_equal(w->o.status, 0);
	assert_str(w->o.why, "the address is not a public one");
	k.url = named;                       /* and not by a name */
	get(w, &k);
	assert_int_equal(w->o.status, 0);
	k.networks = S("10.0.0.0/8 192.168.0.0/16");
	get(w, &k);
	assert_int_equal(w->o.status, 0);
	k.networks = S("10.0.0.0/8 127.0.0.0/8");
	k.url = w->base;
	get(w, &k);
	assert_int_equal(w->o.status, 200);
	assert_int_equal(fake_connections(w->s), 2);
	end(w);
}

TEST(an_answer_that_breaks_off_is_no_answer)
{
	static const char *const BROKEN[] = {
		"", "HTTP/1.1", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello", "HTTP/1.1 200 OK\r\nContent-Length: 10000000000000\r\n\r\nhello",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nhello", "hello", "SSH-2.0-x\r\n",
	};
	struct world *w = world(say_and_close);
	for (size_t i = 0; i < sizeof BROKEN / sizeof *BROKEN; i++) {
		said = BROKEN[i];
		struct fetch_ask k = to(w->base);
		no_answer(w, &k);
	}
	said = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello and more";
	struct fetch_ask k = to(w->base);
	get(w, &k);
	assert_int_equal(w->o.status, 200);
	assert_str(w->o.body, "hello");
	end(w);
}

static atomic_size_t poured;
static bool pour(struct arena *a, const struct fake_request *rq)
{
	static const char HEAD[] = "HTTP/1.1 200 OK\r\n\r\n", LONG[] = "HTTP/1.1 200 OK\r\n";
	char *mb = arena_alloc(a, 1 << 20);
	memset(mb, 'x', 1 << 20);
	bool head = strstr(rq->head.p, "head");
	fake_say(rq->fd, head ? LONG : HEAD, head ? sizeof LONG - 1 : sizeof HEAD - 1);
	for (int i = 0; i < 1024; i++) {
		if (head)
			for (int j = 0; j < 1 << 20; j += 1024)
				memcpy(mb + j, "\r\nX: y", 6);
		if (!fake_say(rq->fd, mb, 1 << 20))
			return false;
		poured += 1 << 20;
	}
	return false;
}

TEST(a_gigabyte_is_cut_off_at_the_cap)
{
	struct world *w = world(pour);
	struct fetch_ask k = to(w->base);
	poured = 0;
	no_answer(w, &k);
	assert_non_null(strstr(w->o.why.p, "longer"));
	k = to(str_fmt(w->a, "%shead", w->base.p));
	no_answer(w, &k);
	end(w);
	assert_true(poured < 64 << 20);
}

TEST(an_answer_of_just_the_cap_is_accepted)
{
	struct world *w = world(hello);
	struct fetch_ask k = to(w->base);
	k.max = 5;
	get(w, &k);
	assert_int_equal(w->o.status, 200);
	k.max = 4;
	no_answer(w, &k);
	end(w);
}

static bool drip(struct arena *, const struct fake_request *rq)
{
	static const char HEAD[] = "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n";
	fake_say(rq->fd, HEAD, sizeof HEAD - 1);
	for (struct pollfd p = { .fd = rq->fd, .events = POLLIN }; poll(&p, 1, 20) == 0; )
		if (!fake_say(rq->fd, "x", 1))
			break;
	return false;
}

static bool silence(struct arena *, const struct fake_request *rq)
{
	char c;
	(void)!recv(rq->fd, &c, 1, 0);
	return false;
}

static void given_up_after(fake_serve *serve, int64_t ms)
{
	struct world *w = world(serve);
	struct fetch_ask k = to(w->base);
	k.timeout_ms = ms;
	int64_t from = clock_mono_ms();
	no_answer(w, &k);
	assert_in_range(clock_mono_ms() - from, ms - 20, ms + 1000);
	end(w);
}

TEST(a_drip_does_not_prolong_the_time) { given_up_after(drip, 300); }
TEST(silence_ends_with_the_time) { given_up_after(silence, 200); }

TEST(who_refuses_or_is_a_black_hole_gives_no_answer)
{
	/* a listener that never accepts, its backlog full */
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof at;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
	getsockname(fd, (struct sockaddr *)&at, &n);
	struct world *w = world(NULL);
	struct fetch_ask k = to(str_fmt(w->a, "http://127.0.0.1:%d/", ntohs(at.sin_port)));
	no_answer(w, &k);
	assert_int_equal(listen(fd, 0), 0);
	k.timeout_ms = 200;
	for (int i = 0; i < 3; i++)
		no_answer(w, &k);
	close(fd);
	end(w);
}

TEST(pinned_trust_that_cannot_be_read_is_no_answer)
{
	struct world *w = world(hello);
	struct fetch_ask k = to(str_fmt(w->a, "https://127.0.0.1:%d/", fake_port(w->s)));
	k.ca_file = S("/nowhere/ca.pem");
	no_answer(w, &k);
	end(w);
}

static bool hello_later(struct arena *, const struct fake_request *rq)
{
	struct pollfd p = { .fd = rq->fd, .events = POLLIN };
	poll(&p, 1, 100);
	return fake_answer(rq->fd, 200, S("text/x"), S("hello"));
}

TEST(many_wait_at_once_and_hold_no_thread_each)
{
	struct world *w = world(hello_later);
	struct fetch_ask k = to(w->base);
	int64_t from = clock_mono_ms();
	for (int i = 0; i < 200; i++)
		fetch_start(w->f, &k, on_done, &w->o);
	await(&w->o, 200);
	assert_int_equal(w->o.status, 200);
	assert_true(clock_mono_ms() - from < 5000);
	end(w);
}

TEST(beyond_the_bound_the_answer_is_busy)
{
	struct world *w = world(NULL);
	struct fetch_ask k = to(S("http://127.0.0.1:1/"));
	k.timeout_ms = 60000;
	/* the first callback waits for our lock, so at most one is answered while we ask */
	pthread_mutex_lock(&w->o.lock);
	for (int i = 0; i < FETCH_OPEN_MAX + 10; i++)
		fetch_start(w->f, &k, on_done, &w->o);
	pthread_mutex_unlock(&w->o.lock);
	await(&w->o, FETCH_OPEN_MAX + 10);
	assert_in_range(w->o.busy, 9, 10);
	end(w);
}

TEST(closing_answers_everything_that_is_open)
{
	struct world *w = world(silence);
	struct fetch_ask k = to(w->base);
	for (int i = 0; i < 50; i++)
		fetch_start(w->f, &k, on_done, &w->o);
	fetch_close(w->f);
	w->f = NULL;
	assert_int_equal(w->o.called, 50);
	assert_int_equal(w->o.status, 0);
	assert_str(w->o.why, "closing");
	end(w);
}

/* ---- timers ---- */

struct ring { struct world *w; int nth[8]; int n; int64_t at[8]; struct fetch *again; };
struct bell { struct ring *r; int nth; };

static void ring(void *p)
{
	struct bell *b = p;
	pthread_mutex_lock(&b->r->w->o.lock);
	b->r->at[b->r->n] = clock_mono_ms();
	b->r->nth[b->r->n++] = b->nth;
	b->r->w->o.called++;
	pthread_cond_signal(&b->r->w->o.changed);
	pthread_mutex_unlock(&b->r->w->o.lock);
}

TEST(timers_come_in_their_order_and_not_before_their_time)
{
	static const int MS[] = { 120, 0, 60, 30, 90, 60 }, ORDER[] = { 1, 3, 2, 5, 4, 0 };
	struct world *w = world(NULL);
	struct ring r = { .w = w };
	struct bell b[6];
	int64_t from = clock_mono_ms();
	for (int i = 0; i < 6; i++) {
		b[i] = (struct bell){ &r, i };
		fetch_after(w->f, MS[i], ring, &b[i]);
	}
	await(&w->o, 6);
	for (int i = 0; i < 6; i++) {
		assert_int_equal(r.nth[i], ORDER[i]);
		assert_true(r.at[i] - from >= MS[ORDER[i]]);
	}
	assert_true(r.at[5] - from < 2000);
	end(w);
}

static void ask_again(void *p)
{
	struct world *w = p;
	struct fetch_ask k = to(S("http://127.0.0.1:1/"));
	assert_true(fetch_closing(w->f));
	fetch_start(w->f, &k, on_done, &w->o);
}

TEST(closing_lets_timers_come_and_answers_what_they_ask)
{
	struct world *w = world(NULL);
	fetch_after(w->f, 3600 * 1000, ask_again, w);
	fetch_close(w->f);
	w->f = NULL;
	assert_int_equal(w->o.called, 1);
	assert_str(w->o.why, "closing");
	end(w);
}
