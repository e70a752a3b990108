/* Short-lived values in Redis. Callers hand their command to one thread, which appends all that gathered, writes once and
 * reads all replies; the next batch forms while this one is on its way. A command is sent at most once: whether a lost
 * reply belonged to a done deed cannot be known, so the answer is UNAVAILABLE and never a second try. */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <hiredis/hiredis.h>
#include "clock.h"
#include "engine.h"
#include "eph_open.h"
#include "file.h"
#include "log.h"

enum { DEADLINE_MS = 2000, CONNECT_MS = 1000, BACKOFF_FIRST_MS = 50, BACKOFF_MOST_MS = 1000, BATCH = 512, QUEUE = 16384,
       REPLY_MAX = 4 * EPH_VALUE_MAX };

enum { ASKED, ANSWERED, LEFT };          /* LEFT: nobody waits any more, the thread frees it */

struct command { char *text; int length; redisReply *reply; };   /* reply NULL when ANSWERED: could not be had */

struct ask {
	struct ask *next;
	struct command c[EPH_TOGETHER];
	size_t n;
	int64_t until;
	atomic_int state;
	sem_t answered;
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
	bool idle, stop;
	/* the thread's own */
	redisContext *link;
	int64_t not_before, backoff;
};

static struct redis *of(struct eph *e) { return (struct redis *)e; }

static void ask_free(struct ask *k)
{
	for (size_t i = 0; i < k->n; i++) {
		redisFreeCommand(k->c[i].text);
		if (k->c[i].reply)
			freeReplyObject(k->c[i].reply);
	}
	sem_destroy(&k->answered);
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

/* Whoever waits has it from here on; when nobody does, it ends here. */
static void done_with(struct ask *k)
{
	if (atomic_exchange(&k->state, ANSWERED) == LEFT)
		ask_free(k);
	else
		sem_post(&k->answered);
}

static size_t take_batch(struct redis *r, struct ask *batch[BATCH])
{
	size_t n = 0;
	pthread_mutex_lock(&r->lock);
	while (!r->first && !r->stop) {
		r->idle = true;
		pthread_cond_wait(&r->work, &r->lock);
		r->idle = false;
	}
	int64_t now = clock_mono_ms();
	while (r->first && n < BATCH) {
		struct ask *k = r->first;
		if (!(r->first = k->next))
			r->last = &r->first;
		r->waiting--;
		if (atomic_load(&k->state) == LEFT || k->until <= now)
			done_with(k);
		else
			batch[n++] = k;
	}
	pthread_mutex_unlock(&r->lock);
	return n;
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

static bool read_replies(struct redis *r, struct ask *k, int64_t until, bool *leave)
{
	for (size_t i = 0; i < k->n; i++) {
		k->c[i].reply = read_reply(r, until);
		if (!k->c[i].reply)
			return false;
		*leave = *leave || wrong_node(k->c[i].reply);
	}
	return true;
}

static void send_batch(struct redis *r, struct ask *batch[], size_t n)
{
	bool leave = false;
	notice_hang_up(r);
	if (linked(r)) {
		for (size_t i = 0; i < n; i++)
			for (size_t k = 0; k < batch[i]->n; k++)
				redisAppendFormattedCommand(r->link, batch[i]->c[k].text, (size_t)batch[i]->c[k].length);
		if (write_all(r)) {
			int64_t until = clock_mono_ms() + DEADLINE_MS;
			for (size_t i = 0; i < n && read_replies(r, batch[i], until, &leave); i++)
				;
		}
		if (leave)
			hang_up(r, "this node does not take commands");
		/* a reply too many would be taken for the next command's */
		if (r->link && r->link->reader->pos < r->link->reader->len)
			hang_up(r, "more replies than commands");
	}
	for (size_t i = 0; i < n; i++)
		done_with(batch[i]);
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

enum { WORDS_MOST = 6 };
struct words { struct str v[WORDS_MOST]; int n; };

static struct ask *ask_new(const struct words *commands, size_t n)
{
	struct ask *k = calloc(1, sizeof *k);
	if (!k)
		return NULL;
	sem_init(&k->answered, 0, 0);
	k->until = clock_mono_ms() + DEADLINE_MS;
	for (; k->n < n; k->n++) {
		const struct words *w = &commands[k->n];
		const char *v[WORDS_MOST];
		size_t len[WORDS_MOST];
		for (int i = 0; i < w->n; i++)
			v[i] = w->v[i].n ? w->v[i].p : "", len[i] = w->v[i].n;
		struct command *c = &k->c[k->n];
		c->length = redisFormatCommandArgv(&c->text, w->n, v, len);
		if (c->length <= 0) {
			ask_free(k);
			return NULL;
		}
	}
	return k;
}

static bool enqueue(struct redis *r, struct ask *k)
{
	pthread_mutex_lock(&r->lock);
	bool room = r->waiting < QUEUE && !r->stop;
	if (room) {
		*r->last = k;
		r->last = &k->next;
		r->waiting++;
	}
	bool asleep = r->idle;
	pthread_mutex_unlock(&r->lock);
	if (asleep)                          /* not under the lock, which it wants first of all */
		pthread_cond_signal(&r->work);
	return room;
}

static bool wait_for(struct ask *k)
{
	struct timespec until = { k->until / 1000, k->until % 1000 * 1000000 };
	int rc;
	while ((rc = sem_clockwait(&k->answered, CLOCK_MONOTONIC, &until)) && errno == EINTR)
		;
	if (rc == 0)
		return true;
	if (atomic_exchange(&k->state, LEFT) == ASKED)
		return false;
	while (sem_wait(&k->answered))       /* it came in the same moment */
		;
	return true;
}

/* What the server answered to each, adopted by the arena; an error reply is UNAVAILABLE like no reply. */
static err answer(struct redis *r, struct arena *a, const struct words *commands, const redisReply **out, size_t n)
{
	struct ask *k = ask_new(commands, n);
	if (!k)
		return fault(a, &UNAVAILABLE, "no memory to ask redis");
	if (!enqueue(r, k)) {
		ask_free(k);
		return fault(a, &UNAVAILABLE, "redis: %d commands are waiting already", QUEUE);
	}
	if (!wait_for(k))
		return fault(a, &UNAVAILABLE, "redis did not answer in %d ms", DEADLINE_MS);
	for (size_t i = 0; i < n; i++) {
		out[i] = k->c[i].reply;
		k->c[i].reply = NULL;
		if (out[i])
			arena_defer(a, freeReplyObject, (redisReply *)(uintptr_t)out[i]);
	}
	ask_free(k);
	for (size_t i = 0; i < n; i++) {
		if (!out[i])
			return fault(a, &UNAVAILABLE, "redis cannot be reached");
		if (out[i]->type == REDIS_REPLY_ERROR)
			return fault(a, &UNAVAILABLE, "redis: %s", out[i]->str);
	}
	return OK;
}

static err unexpected(struct arena *a, const char *command, const redisReply *reply)
{
	return fault(a, &UNAVAILABLE, "redis answered %s with a reply of type %d", command, reply->type);
}

static struct str number(struct arena *a, int64_t n) { return str_fmt(a, "%lld", (long long)n); }

static bool is_ok(const redisReply *reply)
{
	return reply->type == REDIS_REPLY_STATUS && strcmp(reply->str, "OK") == 0;
}

#define WORDS(...) (struct words){ { __VA_ARGS__ }, (int)(sizeof (struct str[]){ __VA_ARGS__ } / sizeof(struct str)) }

/* One script each, so that nothing comes between its halves: a key cannot expire there and be born again without a lifetime. */
static const char SAME_THEN_DEL[] = "if redis.call('GET',KEYS[1])==ARGV[1] then return redis.call('DEL',KEYS[1]) end return 0";
static const char COUNT[] = "local n=redis.call('INCRBY',KEYS[1],ARGV[1]) "
	"if redis.call('TTL',KEYS[1])<0 then redis.call('EXPIRE',KEYS[1],ARGV[2]) end return n";

static struct words words_of(struct arena *a, const struct eph_op *op)
{
	switch (op->verb) {
	case EPH_PUT: return WORDS(S("SET"), op->key, op->value, S("EX"), number(a, op->seconds));
	case EPH_GET: return WORDS(S("GET"), op->key);
	case EPH_TAKE: return WORDS(S("GETDEL"), op->key);
	case EPH_ONCE: return WORDS(S("SET"), op->key, op->value, S("EX"), number(a, op->seconds), S("NX"));
	case EPH_DROP: return WORDS(S("EVAL"), str_of(SAME_THEN_DEL), S("1"), op->key, op->value);
	case EPH_COUNT: break;
	}
	return op->add ? WORDS(S("EVAL"), str_of(COUNT), S("1"), op->key, number(a, op->add), number(a, op->seconds)) : WORDS(S("GET"), op->key);
}

static err read_value(struct arena *a, struct eph_op *op, const redisReply *reply)
{
	if (reply->type == REDIS_REPLY_NIL)
		return OK;
	if (reply->type != REDIS_REPLY_STRING || reply->len > EPH_VALUE_MAX)
		return unexpected(a, op->verb == EPH_TAKE ? "GETDEL" : "GET", reply);
	op->value = str_dup(a, reply->str, reply->len);
	op->yes = true;
	return OK;
}

static err read_total(struct arena *a, struct eph_op *op, const redisReply *reply)
{
	if (reply->type == REDIS_REPLY_NIL && !op->add) {
		op->total = 0;
		return OK;
	}
	if (reply->type == REDIS_REPLY_STRING && !op->add && str_int((struct str){ reply->str, reply->len }, 0, INT64_MAX, &op->total))
		return OK;
	if (reply->type != REDIS_REPLY_INTEGER || !op->add || reply->integer < op->add)
		return unexpected(a, "a count", reply);
	op->total = reply->integer;
	return OK;
}

static err read_op(struct arena *a, struct eph_op *op, const redisReply *reply)
{
	switch (op->verb) {
	case EPH_PUT: return is_ok(reply) ? OK : unexpected(a, "SET", reply);
	case EPH_GET: case EPH_TAKE: return read_value(a, op, reply);
	case EPH_ONCE: op->yes = is_ok(reply); return op->yes || reply->type == REDIS_REPLY_NIL ? OK : unexpected(a, "SET NX", reply);
	case EPH_DROP: return reply->type == REDIS_REPLY_INTEGER ? OK : unexpected(a, "EVAL", reply);
	case EPH_COUNT: break;
	}
	return read_total(a, op, reply);
}

static err redis_run(struct eph *e, struct arena *a, struct eph_op *ops, size_t n)
{
	struct words commands[EPH_TOGETHER] = { 0 };
	const redisReply *replies[EPH_TOGETHER];
	for (size_t i = 0; i < n; i++)
		commands[i] = words_of(a, &ops[i]);
	TRY(answer(of(e), a, commands, replies, n));
	for (size_t i = 0; i < n; i++)
		TRY(read_op(a, &ops[i], replies[i]));
	return OK;
}

static err redis_ready(struct eph *e, struct arena *a)
{
	const redisReply *reply;
	TRY(answer(of(e), a, &WORDS(S("PING")), &reply, 1));
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
	r->eph = (struct eph){ redis_run, redis_ready, redis_close };
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
