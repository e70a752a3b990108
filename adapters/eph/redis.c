/* Short-lived values in Redis. Callers hand their command to one thread, which appends all that gathered, writes once and
 * reads all replies; the next batch forms while this one is on its way. A command is sent at most once: whether a lost
 * reply belonged to a done deed cannot be known, so the answer is UNAVAILABLE and never a second try. */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <hiredis/hiredis.h>
#include "clock.h"
#include "engine.h"
#include "eph_open.h"
#include "file.h"
#include "log.h"

enum { DEADLINE_MS = 2000, CONNECT_MS = 1000, BACKOFF_FIRST_MS = 50, BACKOFF_MOST_MS = 1000, BATCH = 512, QUEUE = 16384,
       REPLY_MAX = 4 * EPH_VALUE_MAX };

enum ask_state { WAITING, SENT, ANSWERED, LEFT };    /* LEFT: nobody waits any more, the thread frees it */

struct ask {
	struct ask *next;
	char *command;
	int length;
	int64_t until;
	enum ask_state state;
	redisReply *reply;                   /* NULL when ANSWERED: could not be had */
	pthread_cond_t answered;
};

struct redis {
	struct eph eph;
	struct arena *a;                     /* what was configured */
	const char *path, *host;             /* one of the two */
	int port;
	struct str user, password;
	pthread_t thread;
	pthread_mutex_t lock;                /* guards what follows */
	pthread_cond_t work;
	struct ask *first, **last;
	size_t waiting;
	bool stop;
	/* the thread's own */
	redisContext *link;
	int64_t not_before, backoff;
};

static struct redis *of(struct eph *e) { return (struct redis *)e; }

static void ask_free(struct ask *k)
{
	if (k->command)
		redisFreeCommand(k->command);
	if (k->reply)
		freeReplyObject(k->reply);
	pthread_cond_destroy(&k->answered);
	free(k);
}

/* ---- the thread ---- */

static void hang_up(struct redis *r, const char *why)
{
	if (!r->link)
		return;
	log_say(LOG_WARN, "redis: connection dropped", "why", why, NULL);
	redisFree(r->link);
	r->link = NULL;
}

static bool read_more(struct redis *r, int64_t until)
{
	int64_t left = until - clock_mono_ms();
	struct pollfd p = { .fd = r->link->fd, .events = POLLIN };
	int n = left > 0 ? poll(&p, 1, (int)left) : 0;
	if (n < 0 && errno == EINTR)
		return true;
	if (n == 0) {
		hang_up(r, "no reply in time");
		return false;
	}
	if (n < 0 || redisBufferRead(r->link) != REDIS_OK) {
		hang_up(r, r->link->err ? r->link->errstr : "poll failed");
		return false;
	}
	return true;
}

/* NULL when the connection is lost, and then it is closed. */
static redisReply *read_reply(struct redis *r, int64_t until)
{
	for (void *reply = NULL; r->link; ) {
		if (redisGetReplyFromReader(r->link, &reply) != REDIS_OK) {
			hang_up(r, r->link->errstr);
			break;
		}
		if (reply)
			return reply;
		/* whole replies were taken out: what is left over is one that has not ended */
		if (r->link->reader->len - r->link->reader->pos > REPLY_MAX) {
			hang_up(r, "a reply beyond every value that was put");
			break;
		}
		if (!read_more(r, until))
			break;
	}
	return NULL;
}

static bool write_all(struct redis *r)
{
	for (int done = 0; !done; )
		if (redisBufferWrite(r->link, &done) != REDIS_OK) {
			hang_up(r, r->link->errstr);
			return false;
		}
	return true;
}

static bool greet(struct redis *r)
{
	if (!r->password.n)
		return true;
	const char *with_user[] = { "AUTH", r->user.p, r->password.p }, *without[] = { "AUTH", r->password.p };
	if (r->user.n)
		redisAppendCommandArgv(r->link, 3, with_user, (size_t[]){ 4, r->user.n, r->password.n });
	else
		redisAppendCommandArgv(r->link, 2, without, (size_t[]){ 4, r->password.n });
	redisReply *reply = write_all(r) ? read_reply(r, clock_mono_ms() + CONNECT_MS) : NULL;
	bool in = reply && reply->type == REDIS_REPLY_STATUS;
	if (reply)
		freeReplyObject(reply);
	if (!in)
		hang_up(r, "the password was not accepted");
	return in;
}

static bool dial(struct redis *r)
{
	struct timeval t = { CONNECT_MS / 1000, CONNECT_MS % 1000 * 1000 };
	r->link = r->path ? redisConnectUnixWithTimeout(r->path, t) : redisConnectWithTimeout(r->host, r->port, t);
	if (!r->link)
		return false;
	if (r->link->err) {
		hang_up(r, r->link->errstr);
		return false;
	}
	redisSetTimeout(r->link, t);
	if (!r->path)
		redisEnableKeepAlive(r->link);
	return greet(r);
}

static bool linked(struct redis *r)
{
	if (r->link)
		return true;
	if (clock_mono_ms() < r->not_before)
		return false;
	if (dial(r)) {
		r->backoff = 0;
		return true;
	}
	r->backoff = r->backoff ? r->backoff * 2 : BACKOFF_FIRST_MS;
	if (r->backoff > BACKOFF_MOST_MS)
		r->backoff = BACKOFF_MOST_MS;
	r->not_before = clock_mono_ms() + r->backoff;
	return false;
}

/* Redis closed an idle connection, or went and came back: learn it before anything is sent, when asking again is still safe. */
static void notice_hang_up(struct redis *r)
{
	if (!r->link)
		return;
	struct pollfd p = { .fd = r->link->fd, .events = POLLIN };
	if (poll(&p, 1, 0) > 0)
		hang_up(r, "closed by the other side, or it spoke unasked");
}

static size_t take_batch(struct redis *r, struct ask *batch[BATCH])
{
	size_t n = 0;
	pthread_mutex_lock(&r->lock);
	while (!r->first && !r->stop)
		pthread_cond_wait(&r->work, &r->lock);
	int64_t now = clock_mono_ms();
	while (r->first && n < BATCH) {
		struct ask *k = r->first;
		if (!(r->first = k->next))
			r->last = &r->first;
		r->waiting--;
		if (k->state == LEFT || k->until <= now) {
			if (k->state == LEFT) {
				ask_free(k);
			} else {
				k->state = ANSWERED;
				pthread_cond_signal(&k->answered);
			}
			continue;
		}
		k->state = SENT;
		batch[n++] = k;
	}
	pthread_mutex_unlock(&r->lock);
	return n;
}

static void hand_out(struct redis *r, struct ask *batch[], redisReply *replies[], size_t n)
{
	pthread_mutex_lock(&r->lock);
	for (size_t i = 0; i < n; i++) {
		struct ask *k = batch[i];
		k->reply = replies[i];
		if (k->state == LEFT) {
			ask_free(k);
			continue;
		}
		k->state = ANSWERED;
		pthread_cond_signal(&k->answered);
	}
	pthread_mutex_unlock(&r->lock);
}

/* After one of these the node that we reached is not the one to ask: a new connection may find the right one. */
static bool wrong_node(const redisReply *reply)
{
	static const char *const WORDS[] = { "READONLY", "LOADING", "MASTERDOWN", "NOAUTH" };
	for (size_t i = 0; reply && reply->type == REDIS_REPLY_ERROR && i < sizeof WORDS / sizeof *WORDS; i++)
		if (strncmp(reply->str, WORDS[i], strlen(WORDS[i])) == 0)
			return true;
	return false;
}

static void send_batch(struct redis *r, struct ask *batch[], size_t n)
{
	redisReply *replies[BATCH] = { 0 };
	bool leave = false;
	notice_hang_up(r);
	if (linked(r)) {
		for (size_t i = 0; i < n; i++)
			redisAppendFormattedCommand(r->link, batch[i]->command, (size_t)batch[i]->length);
		if (write_all(r)) {
			int64_t until = clock_mono_ms() + DEADLINE_MS;
			for (size_t i = 0; i < n && (replies[i] = read_reply(r, until)); i++)
				leave = leave || wrong_node(replies[i]);
		}
		if (leave)
			hang_up(r, "this node does not take commands");
		/* a reply too many would be taken for the next command's */
		if (r->link && r->link->reader->pos < r->link->reader->len)
			hang_up(r, "more replies than commands");
	}
	hand_out(r, batch, replies, n);
}

static void *run(void *p)
{
	struct redis *r = p;
	struct ask *batch[BATCH];
	for (bool stop = false; !stop; ) {
		size_t n = take_batch(r, batch);
		if (n)
			send_batch(r, batch, n);
		pthread_mutex_lock(&r->lock);
		stop = r->stop && !r->first;
		pthread_mutex_unlock(&r->lock);
	}
	if (r->link)
		redisFree(r->link);
	return NULL;
}

/* ---- the callers ---- */

static struct ask *ask_new(int argc, const struct str *argv)
{
	const char *v[8];
	size_t n[8];
	for (int i = 0; i < argc; i++)
		v[i] = argv[i].n ? argv[i].p : "", n[i] = argv[i].n;
	struct ask *k = calloc(1, sizeof *k);
	if (!k)
		return NULL;
	pthread_condattr_t attr;
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&k->answered, &attr);
	pthread_condattr_destroy(&attr);
	k->until = clock_mono_ms() + DEADLINE_MS;
	k->length = redisFormatCommandArgv(&k->command, argc, v, n);
	if (k->length > 0)
		return k;
	k->command = NULL;
	ask_free(k);
	return NULL;
}

static bool enqueue(struct redis *r, struct ask *k)
{
	if (r->waiting >= QUEUE || r->stop)
		return false;
	*r->last = k;
	r->last = &k->next;
	r->waiting++;
	pthread_cond_signal(&r->work);
	return true;
}

/* What the server answered, adopted by the arena; an error reply is UNAVAILABLE like no reply. */
static err answer(struct redis *r, struct arena *a, int argc, const struct str *argv, const redisReply **out)
{
	struct ask *k = ask_new(argc, argv);
	if (!k)
		return fault(a, &UNAVAILABLE, "no memory to ask redis");
	struct timespec until = { k->until / 1000, k->until % 1000 * 1000000 };
	pthread_mutex_lock(&r->lock);
	if (!enqueue(r, k)) {
		pthread_mutex_unlock(&r->lock);
		ask_free(k);
		return fault(a, &UNAVAILABLE, "redis: %d commands are waiting already", QUEUE);
	}
	while (k->state != ANSWERED)
		if (pthread_cond_timedwait(&k->answered, &r->lock, &until) == ETIMEDOUT && k->state != ANSWERED)
			break;
	bool answered = k->state == ANSWERED;
	if (!answered)
		k->state = LEFT;
	pthread_mutex_unlock(&r->lock);
	if (!answered)
		return fault(a, &UNAVAILABLE, "redis did not answer in %d ms", DEADLINE_MS);
	redisReply *reply = k->reply;
	k->reply = NULL;
	ask_free(k);
	if (!reply)
		return fault(a, &UNAVAILABLE, "redis cannot be reached");
	arena_defer(a, freeReplyObject, reply);
	*out = reply;
	return reply->type == REDIS_REPLY_ERROR ? fault(a, &UNAVAILABLE, "redis: %s", reply->str) : OK;
}

#define ask(r, a, out, ...) \
	answer((r), (a), (int)(sizeof (struct str[]){ __VA_ARGS__ } / sizeof(struct str)), (struct str[]){ __VA_ARGS__ }, (out))

static err unexpected(struct arena *a, const char *command, const redisReply *reply)
{
	return fault(a, &UNAVAILABLE, "redis answered %s with a reply of type %d", command, reply->type);
}

static struct str number(struct arena *a, int64_t n) { return str_fmt(a, "%lld", (long long)n); }

static bool is_ok(const redisReply *reply)
{
	return reply->type == REDIS_REPLY_STATUS && strcmp(reply->str, "OK") == 0;
}

static err redis_put(struct eph *e, struct arena *a, struct str key, struct str value, int64_t seconds)
{
	const redisReply *reply;
	TRY(ask(of(e), a, &reply, S("SET"), key, value, S("EX"), number(a, seconds)));
	return is_ok(reply) ? OK : unexpected(a, "SET", reply);
}

static err redis_get(struct eph *e, struct arena *a, struct str key, bool take, struct str *value, bool *found)
{
	const redisReply *reply;
	TRY(ask(of(e), a, &reply, take ? S("GETDEL") : S("GET"), key));
	if (reply->type == REDIS_REPLY_NIL)
		return OK;
	if (reply->type != REDIS_REPLY_STRING || reply->len > EPH_VALUE_MAX)
		return unexpected(a, take ? "GETDEL" : "GET", reply);
	*value = str_dup(a, reply->str, reply->len);
	*found = true;
	return OK;
}

static err redis_once(struct eph *e, struct arena *a, struct str key, struct str value, int64_t seconds, bool *first)
{
	const redisReply *reply;
	TRY(ask(of(e), a, &reply, S("SET"), key, value, S("EX"), number(a, seconds), S("NX")));
	if (reply->type != REDIS_REPLY_NIL && !is_ok(reply))
		return unexpected(a, "SET NX", reply);
	*first = is_ok(reply);
	return OK;
}

static err redis_drop(struct eph *e, struct arena *a, struct str key, struct str if_value)
{
	static const char SAME_THEN_DEL[] = "if redis.call('GET',KEYS[1])==ARGV[1] then return redis.call('DEL',KEYS[1]) end return 0";
	const redisReply *reply;
	TRY(ask(of(e), a, &reply, S("EVAL"), str_of(SAME_THEN_DEL), S("1"), key, if_value));
	return reply->type == REDIS_REPLY_INTEGER ? OK : unexpected(a, "EVAL", reply);
}

static err redis_total(struct redis *r, struct arena *a, struct str key, int64_t *total)
{
	const redisReply *reply;
	TRY(ask(r, a, &reply, S("GET"), key));
	if (reply->type == REDIS_REPLY_NIL) {
		*total = 0;
		return OK;
	}
	int64_t n;
	if (reply->type != REDIS_REPLY_STRING || !str_int((struct str){ reply->str, reply->len }, 0, INT64_MAX, &n))
		return unexpected(a, "GET of a count", reply);
	*total = n;
	return OK;
}

/* One script, so that the key cannot expire between the two halves and be born again without a lifetime. */
static err redis_count(struct eph *e, struct arena *a, struct str key, int64_t add, int64_t seconds, int64_t *total)
{
	static const char COUNT[] = "local n=redis.call('INCRBY',KEYS[1],ARGV[1]) "
		"if redis.call('TTL',KEYS[1])<0 then redis.call('EXPIRE',KEYS[1],ARGV[2]) end return n";
	if (!add)
		return redis_total(of(e), a, key, total);
	const redisReply *reply;
	TRY(ask(of(e), a, &reply, S("EVAL"), str_of(COUNT), S("1"), key, number(a, add), number(a, seconds)));
	if (reply->type != REDIS_REPLY_INTEGER || reply->integer < add)
		return unexpected(a, "INCRBY", reply);
	*total = reply->integer;
	return OK;
}

static err redis_ready(struct eph *e, struct arena *a)
{
	const redisReply *reply;
	TRY(ask(of(e), a, &reply, S("PING")));
	return reply->type == REDIS_REPLY_STATUS && strcmp(reply->str, "PONG") == 0 ? OK : unexpected(a, "PING", reply);
}

static void redis_close(struct eph *e)
{
	struct redis *r = of(e);
	pthread_mutex_lock(&r->lock);
	r->stop = true;
	pthread_cond_signal(&r->work);
	pthread_mutex_unlock(&r->lock);
	pthread_join(r->thread, NULL);
	pthread_cond_destroy(&r->work);
	pthread_mutex_destroy(&r->lock);
	arena_free(r->a);
	free(r);
}

/* ---- opening ---- */

static bool cut(struct str s, char at, struct str *before, struct str *after)
{
	const char *p = memchr(s.p, at, s.n);
	*before = p ? (struct str){ s.p, (size_t)(p - s.p) } : s;
	*after = p ? (struct str){ p + 1, s.n - before->n - 1 } : S("");
	return p;
}

static err options(struct redis *r, struct arena *a, struct str query)
{
	for (struct str one, rest = query; cut(rest, '&', &one, &rest), one.n; ) {
		struct str name, value;
		cut(one, '=', &name, &value);
		if (str_is(name, "user") && value.n) {
			r->user = str_copy(r->a, value);
		} else if (str_is(name, "password_file") && value.n) {
			struct str secret;
			TRY(file_read_secret(r->a, str_copy(r->a, value).p, 4096, &secret));
			cut(secret, '\n', &secret, &(struct str){ 0 });
			r->password = str_copy(r->a, secret);
		} else {
			return fault(a, &BAD_CONFIG, "redis knows ?user= and password_file=, not \"" STR_FMT "\"", STR_ARG(one));
		}
	}
	return OK;
}

static err where_to(struct redis *r, struct arena *a, struct str where)
{
	struct str at, query, host, port;
	cut(where, '?', &at, &query);
	at = (struct str){ at.p + strlen("redis:"), at.n - strlen("redis:") };
	TRY(options(r, a, query));
	if (r->user.n && !r->password.n)
		return fault(a, &BAD_CONFIG, "redis: a user goes with a password_file");
	if (str_starts(at, S("unix:/"))) {
		r->path = str_dup(r->a, at.p + 5, at.n - 5).p;
		return OK;
	}
	const char *colon = memrchr(at.p, ':', at.n);
	host = (struct str){ at.p, colon ? (size_t)(colon - at.p) : 0 };
	port = colon ? (struct str){ colon + 1, at.n - host.n - 1 } : S("");
	int64_t n;
	if (!host.n || !str_int(port, 1, 65535, &n))
		return fault(a, &BAD_CONFIG, "redis lives at unix:PATH or HOST:PORT, not at \"" STR_FMT "\"", STR_ARG(at));
	if (host.n > 2 && host.p[0] == '[' && host.p[host.n - 1] == ']')
		host = (struct str){ host.p + 1, host.n - 2 };
	r->host = str_copy(r->a, host).p, r->port = (int)n;
	return OK;
}

err redis_open(struct arena *a, struct str where, struct eph **out)
{
	struct redis *r = calloc(1, sizeof *r);
	if (!r)
		return fault(a, &UNAVAILABLE, "no memory for redis");
	r->eph = (struct eph){ redis_put, redis_get, redis_once, redis_drop, redis_count, redis_ready, redis_close };
	r->a = arena_new();
	r->last = &r->first;
	err e = where_to(r, a, where);
	if (e.kind) {
		/* the reason may live in r's arena when it came from the file */
		e = fault(a, e.kind, "%s", e.why);
		arena_free(r->a);
		free(r);
		return e;
	}
	pthread_mutex_init(&r->lock, NULL);
	pthread_cond_init(&r->work, NULL);
	if (pthread_create(&r->thread, NULL, run, r)) {
		arena_free(r->a);
		free(r);
		return fault(a, &UNAVAILABLE, "no thread for redis");
	}
	*out = &r->eph;
	return OK;
}
