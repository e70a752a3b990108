#include "server.h"
#include "clock.h"
#include "door.h"
#include "house.h"
#include "log.h"
#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* How one request lives: on_line (its first line is there), on_request (head, then body, in pieces), a queue, a worker that
 * runs the handler, on_request again (the answer is handed to the library), on_done. One lock guards queue and states; who
 * moves an exchange to ANSWERED, or marks it late, is the one who resumes the connection. */

enum {
	CONNECTION_MEMORY = 24 * 1024, BACKLOG = 1024, PROXY_IDLE_S = 75, DRAIN_MS = 10000, TICK_MS = 50, POOLED = 512, MAX_WORKERS = 256,
	SPARE = 16,                              /* beyond the limit, so that on_accept closes what the library would leave waiting */
#ifdef __SANITIZE_ADDRESS__
	STACK = 1024 * 1024,
#else
	STACK = 256 * 1024,
#endif
};

enum state { READING, QUEUED, RUNNING, PARKED_NOW, ANSWERED };

struct door {                                /* one listener */
	struct server *s;
	struct MHD_Daemon *daemon;
	int fd;
	bool proxy, certificates;
	struct str where;
	char unlink_at[sizeof ((struct sockaddr_un *)0)->sun_path];
};

struct conn {
	struct conn *prev, *next;
	struct door *door;
	struct exchange *x;                      /* the request that is under way */
	_Atomic int64_t limit;                   /* when the socket is shut, unless something happens before; 0: never */
	int fd;
	char peer[INET6_ADDRSTRLEN];
};

struct exchange {
	struct exchange *prev, *next;            /* in the queue, or in the pool (next) */
	struct server *s;
	struct conn *conn;
	struct MHD_Connection *c;
	struct arena *keep, *a;                  /* what was asked, for as long as the exchange lives; what one run of the handler makes */
	struct req asked, rq;
	struct res rs;
	err bad;                                 /* the request could not be read: this is answered instead */
	char *body;
	size_t body_n, body_max;
	int64_t deadline;
	int refs;                                /* its connection, the queue or worker, every token */
	enum state state;
	bool begun, woken, late, ran;
};

struct server {
	struct server_conf conf;
	struct door doors[4];
	size_t n;
	pthread_mutex_t lock;
	pthread_cond_t work, quiet;
	struct exchange *first, *last, *pool;
	struct conn *conns;
	pthread_t workers[MAX_WORKERS], watchdog;
	size_t n_workers, pooled, live, open;
	bool stopping, watching, in_place;
	_Atomic bool draining;
};

/* ---- exchanges: taken and given back ---- */

static struct exchange *exchange_take(struct server *s)
{
	pthread_mutex_lock(&s->lock);
	struct exchange *x = s->pool;
	if (x)
		s->pool = x->next, s->pooled--;
	s->live++;
	pthread_mutex_unlock(&s->lock);
	if (!x) {
		x = calloc(1, sizeof *x);
		if (!x)
			abort();
		x->keep = arena_new(), x->a = arena_new();
	}
	struct arena *keep = x->keep, *a = x->a;
	*x = (struct exchange){ .s = s, .keep = keep, .a = a, .refs = 1 };
	return x;
}

static void exchange_free(struct exchange *x)
{
	arena_free(x->keep);
	arena_free(x->a);
	free(x);
}

/* Under the lock: NULL, or what nobody needs any more. That is given back without the lock, for clearing its rooms takes its time. */
static struct exchange *exchange_drop(struct exchange *x) { return --x->refs ? NULL : x; }

static void exchange_give(struct exchange *x)
{
	if (!x)
		return;
	struct server *s = x->s;
	arena_reset(x->a);
	arena_reset(x->keep);
	pthread_mutex_lock(&s->lock);
	bool pool = s->pooled < POOLED;
	if (pool) {
		x->next = s->pool;
		s->pool = x;
		s->pooled++;
	}
	if (--s->live == 0)
		pthread_cond_broadcast(&s->quiet);
	pthread_mutex_unlock(&s->lock);
	if (!pool)
		exchange_free(x);
}

/* ---- the queue (under the lock; a worker is woken after it, for it wants the lock first of all) ---- */

static void queue_put(struct server *s, struct exchange *x)
{
	x->state = QUEUED;
	x->next = NULL, x->prev = s->last;
	*(s->last ? &s->last->next : &s->first) = x;
	s->last = x;
}

static void queue_out(struct server *s, struct exchange *x)
{
	*(x->prev ? &x->prev->next : &s->first) = x->next;
	*(x->next ? &x->next->prev : &s->last) = x->prev;
	x->prev = x->next = NULL;
}

/* ---- workers ---- */

static bool run_once(struct exchange *x, void *wake)
{
	arena_reset(x->a);
	x->rq = x->asked;
	x->rq.a = x->a;
	x->rq.wake = wake;
	x->rq.parked_before = x->ran;
	x->ran = true;
	if (x->bad.kind) {
		serve_fault(x->s->conf.tables, &x->rq, &x->rs, x->bad);
		return true;
	}
	return serve(x->s->conf.tables, &x->rq, &x->rs);
}

/* Under the lock, after a run: returns true when the connection is to be resumed with the answer. */
static bool after_run(struct server *s, struct exchange *x, bool answered, struct exchange **over)
{
	bool late = x->late, again = !answered && x->woken && !late;
	x->woken = false;
	if (again) {
		queue_put(s, x);
		pthread_cond_signal(&s->work);
		return false;
	}
	x->state = answered ? ANSWERED : PARKED_NOW;
	*over = exchange_drop(x);
	return answered && !late;
}

static void *worker(void *arg)
{
	struct server *s = arg;
	pthread_mutex_lock(&s->lock);
	for (;;) {
		while (!s->first && !s->stopping)
			pthread_cond_wait(&s->work, &s->lock);
		if (!s->first)
			break;
		struct exchange *x = s->first;
		queue_out(s, x);
		x->state = RUNNING;
		pthread_mutex_unlock(&s->lock);
		bool answered = run_once(x, x);
		pthread_mutex_lock(&s->lock);
		struct MHD_Connection *c = x->c;
		struct exchange *over = NULL;
		bool resume = after_run(s, x, answered, &over);
		if (!resume && !over)
			continue;
		pthread_mutex_unlock(&s->lock);
		if (resume)
			MHD_resume_connection(c);
		exchange_give(over);
		pthread_mutex_lock(&s->lock);
	}
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

/* ---- parking ---- */

err request_park(struct req *rq, void **token)
{
	struct exchange *x = rq->wake;
	if (!x)
		return fault(rq->a, &UNAVAILABLE, "this request cannot wait: it has no connection, or its route is INLINE");
	pthread_mutex_lock(&x->s->lock);
	x->refs++;
	pthread_mutex_unlock(&x->s->lock);
	*token = x;
	return (err){ &PARKED, "waiting for another server" };
}

void request_wake(void *token)
{
	struct exchange *x = token;
	struct server *s = x->s;
	struct exchange *over = NULL;
	pthread_mutex_lock(&s->lock);
	if (x->state == PARKED_NOW && !x->late) {
		queue_put(s, x);                 /* the token's reference becomes the queue's */
		pthread_cond_signal(&s->work);
	} else {
		x->woken = x->state == RUNNING;
		over = exchange_drop(x);
	}
	pthread_mutex_unlock(&s->lock);
	exchange_give(over);
}

/* ---- the watchdog: total deadlines, which the library has not (its timeout is an idle timer) ---- */

static bool overdue(const struct exchange *x, int64_t now)
{
	return x && !x->late && x->state != READING && x->state != ANSWERED && now >= x->deadline;
}

/* Under the lock. From here on the answer is 503; what still runs for it is not waited for. */
static void give_up(struct server *s, struct exchange *x)
{
	x->late = true;
	if (x->state != QUEUED)
		return;
	queue_out(s, x);
	x->state = ANSWERED;
	x->refs--;                           /* never the last: its connection has one */
}

static void sweep(struct server *s, int64_t now)
{
	struct MHD_Connection *resume[64];
	size_t n = 0;
	pthread_mutex_lock(&s->lock);
	for (struct conn *k = s->conns; k && n < sizeof resume / sizeof *resume; k = k->next) {
		int64_t limit = atomic_load_explicit(&k->limit, memory_order_relaxed);
		if (limit && now >= limit) {
			shutdown(k->fd, SHUT_RDWR);
			atomic_store_explicit(&k->limit, 0, memory_order_relaxed);
		}
		if (overdue(k->x, now)) {
			resume[n++] = k->x->c;
			give_up(s, k->x);
		}
	}
	pthread_mutex_unlock(&s->lock);
	for (size_t i = 0; i < n; i++)
		MHD_resume_connection(resume[i]);
	if (n == sizeof resume / sizeof *resume)
		sweep(s, now);
}

static void *watchdog(void *arg)
{
	struct server *s = arg;
	struct timespec tick = { 0, TICK_MS * 1000000L };
	for (;;) {
		nanosleep(&tick, NULL);
		pthread_mutex_lock(&s->lock);
		bool on = s->watching;
		pthread_mutex_unlock(&s->lock);
		if (!on)
			return NULL;
		sweep(s, clock_mono_ms());
	}
}

static void conn_limit(struct conn *k, int64_t at) { atomic_store_explicit(&k->limit, at, memory_order_relaxed); }

/* Between two requests. A proxy of ours may keep its connection: it waits for slow clients itself. */
static void conn_idle(struct conn *k)
{
	conn_limit(k, k->door->proxy ? 0 : clock_mono_ms() + k->door->s->conf.deadline_ms);
}

/* ---- answers ---- */

static bool add(struct MHD_Response *r, const char *name, struct str value)
{
	return MHD_add_response_header(r, name, value.p) == MHD_YES;
}

static enum MHD_Result hand_over(struct MHD_Connection *c, unsigned status, struct MHD_Response *r)
{
	enum MHD_Result done = r ? MHD_queue_response(c, status, r) : MHD_NO;
	if (r)
		MHD_destroy_response(r);
	return done;
}

/* Refused at the door, or too late: nothing is read from this connection any more. */
static enum MHD_Result refuse(struct MHD_Connection *c, unsigned status)
{
	static const struct { unsigned status; struct str body; } SAYS[] = {
		{ 413, S("{\"error\":\"too_large\"}") }, { 503, S("{\"error\":\"temporarily_unavailable\"}") }, { 0, S("{\"error\":\"invalid_request\"}") },
	};
	size_t i = 0;
	while (SAYS[i].status && SAYS[i].status != status)
		i++;
	struct MHD_Response *r = MHD_create_response_from_buffer(SAYS[i].body.n, (void *)(uintptr_t)SAYS[i].body.p, MHD_RESPMEM_PERSISTENT);
	bool good = r && add(r, "Connection", S("close")) && add(r, "Content-Type", S("application/json")) && add(r, "Cache-Control", S("no-store"))
		&& add(r, "X-Content-Type-Options", S("nosniff")) && (status != 503 || add(r, "Retry-After", S("1")));
	return good ? hand_over(c, status, r) : MHD_NO;
}

/* The texts stay in the exchange's arena until on_done: the library need not copy the body. */
static enum MHD_Result reply(struct exchange *x)
{
	const struct res *rs = &x->rs;
	conn_limit(x->conn, clock_mono_ms() + x->s->conf.deadline_ms);
	if (x->late)
		return refuse(x->c, 503);
	struct MHD_Response *r = MHD_create_response_from_buffer(rs->body.n, (void *)(uintptr_t)rs->body.p, MHD_RESPMEM_PERSISTENT);
	bool good = r && (str_empty(rs->type) || add(r, "Content-Type", rs->type));
	for (size_t i = 0; good && i < rs->headers.n; i++)
		good = str_empty(rs->headers.v[i].value) || add(r, rs->headers.v[i].name.p, rs->headers.v[i].value);
	if (good && atomic_load_explicit(&x->s->draining, memory_order_relaxed))
		good = add(r, "Connection", S("close"));
	if (!good && r)
		MHD_destroy_response(r);
	return good ? hand_over(x->c, (unsigned)rs->status, r) : MHD_NO;
}

/* ---- a request comes in ---- */

struct seen { struct param v[MAX_HEADERS + 1]; size_t n; };

static enum MHD_Result see(void *cls, [[maybe_unused]] enum MHD_ValueKind kind, const char *name, size_t name_n, const char *value, size_t value_n)
{
	struct seen *l = cls;
	if (l->n == MAX_HEADERS + 1)
		return MHD_NO;
	l->v[l->n++] = (struct param){ { name, name_n }, { value ? value : "", value_n } };
	return MHD_YES;
}

static enum MHD_Result turn_away(struct exchange *x, const struct raw *raw, struct verdict v)
{
	char status[16];
	snprintf(status, sizeof status, "%d", v.status);
	log_say(LOG_INFO, "refused", "status", status, "why", v.why, "peer", x->conn->peer, "method", str_is(raw->method, "POST") ? "POST" : "other", NULL);
	return refuse(x->c, (unsigned)v.status);
}

/* The head is complete. What the parser made of it is judged before any of it is used. */
static enum MHD_Result begin(struct exchange *x, const char *url, const char *method, const char *version)
{
	struct server *s = x->s;
	struct seen l;
	l.n = 0;
	MHD_get_connection_values_n(x->c, MHD_HEADER_KIND, see, &l);
	const union MHD_ConnectionInfo *size = MHD_get_connection_info(x->c, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
	struct raw raw = { .method = str_of(method), .target = x->asked.target, .version = str_of(version), .url = url,
	                   .head_n = size ? size->header_size : 0, .headers = l.v, .n = l.n,
	                   .origin = s->conf.house->origin, .in_place = s->in_place };
	struct verdict v = guard(&raw);
	if (v.status)
		return turn_away(x, &raw, v);
	x->body_max = (size_t)guard_length(&raw);
	x->body = arena_alloc(x->keep, x->body_max + 1);
	x->asked.now_ms = clock_ms();
	x->asked.now = s->conf.house->clock ? s->conf.house->clock() : x->asked.now_ms / 1000;
	x->asked.house = s->conf.house;
	x->asked.used = arena_alloc(x->keep, USED_MOST);
	x->bad = request_head(&x->asked, &raw, str_of(x->conn->peer), x->conn->door->proxy);
	if (!x->conn->door->certificates)
		x->asked.client_cert = S("");
	x->begun = true;
	return MHD_YES;
}

static enum MHD_Result collect(struct exchange *x, const char *p, size_t *n)
{
	if (*n > x->body_max - x->body_n)
		return MHD_NO;
	memcpy(x->body + x->body_n, p, *n);
	x->body_n += *n;
	*n = 0;
	return MHD_YES;
}

static bool may_run_here(struct exchange *x)
{
	struct str allow;
	if (x->bad.kind)
		return true;
	struct req rq = x->asked;
	const struct route *r = route_of(x->s->conf.tables, &rq, &allow);
	return !r || r->flags & INLINE;
}

/* The request is complete. */
static enum MHD_Result dispatch(struct exchange *x)
{
	if (!x->bad.kind)
		x->bad = request_fields(&x->asked, (struct str){ x->body, x->body_n });
	if (may_run_here(x)) {
		if (!run_once(x, NULL))
			return MHD_NO;
		x->state = ANSWERED;
		return reply(x);
	}
	conn_limit(x->conn, 0);
	struct server *s = x->s;
	MHD_suspend_connection(x->c);
	pthread_mutex_lock(&s->lock);
	x->refs++;
	queue_put(s, x);
	pthread_mutex_unlock(&s->lock);
	pthread_cond_signal(&s->work);
	return MHD_YES;
}

static enum MHD_Result on_request([[maybe_unused]] void *cls, [[maybe_unused]] struct MHD_Connection *c, const char *url, const char *method,
                                  const char *version, const char *data, size_t *n, void **slot)
{
	struct exchange *x = *slot;
	if (!x)
		return MHD_NO;
	if (!x->begun)
		return begin(x, url, method, version);
	if (*n)
		return collect(x, data, n);
	if (x->late || x->state == ANSWERED)
		return reply(x);
	return x->state == READING ? dispatch(x) : MHD_YES;
}

static struct conn *conn_of(struct MHD_Connection *c)
{
	const union MHD_ConnectionInfo *i = MHD_get_connection_info(c, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	return i ? i->socket_context : NULL;
}

/* Under no lock: takes the exchange from its connection. */
static void conn_part(struct conn *k)
{
	struct server *s = k->door->s;
	pthread_mutex_lock(&s->lock);
	struct exchange *x = k->x ? exchange_drop(k->x) : NULL;
	k->x = NULL;
	pthread_mutex_unlock(&s->lock);
	exchange_give(x);
}

/* The first line is there; from now on the whole request has deadline_ms. The library calls on_done only for requests that
 * reach on_request: what a broken head left behind goes here or when the connection closes. */
static void *on_line([[maybe_unused]] void *cls, const char *target, struct MHD_Connection *c)
{
	struct conn *k = conn_of(c);
	if (!k)
		return NULL;
	struct server *s = k->door->s;
	conn_part(k);
	struct exchange *x = exchange_take(s);
	x->conn = k, x->c = c;
	x->deadline = clock_mono_ms() + s->conf.deadline_ms;
	x->asked.a = x->keep;
	x->asked.target = str_dup(x->keep, target, strlen(target));
	conn_limit(k, x->deadline);
	pthread_mutex_lock(&s->lock);
	k->x = x;
	pthread_mutex_unlock(&s->lock);
	return x;
}

static void on_done([[maybe_unused]] void *cls, struct MHD_Connection *c, void **slot, [[maybe_unused]] enum MHD_RequestTerminationCode how)
{
	struct conn *k = conn_of(c);
	*slot = NULL;
	if (!k)
		return;
	conn_part(k);
	conn_idle(k);
}

/* ---- connections ---- */

static void peer_text(struct MHD_Connection *c, char out[INET6_ADDRSTRLEN])
{
	const union MHD_ConnectionInfo *i = MHD_get_connection_info(c, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	const struct sockaddr *sa = i ? i->client_addr : NULL;
	strcpy(out, "unix");
	if (sa && sa->sa_family == AF_INET)
		inet_ntop(AF_INET, &((const struct sockaddr_in *)(const void *)sa)->sin_addr, out, INET6_ADDRSTRLEN);
	if (sa && sa->sa_family == AF_INET6)
		inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr, out, INET6_ADDRSTRLEN);
}

static void conn_open(struct door *d, struct MHD_Connection *c, void **slot)
{
	struct conn *k = calloc(1, sizeof *k);
	if (!k)
		abort();
	k->door = d;
	k->fd = MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
	peer_text(c, k->peer);
	conn_idle(k);
	pthread_mutex_lock(&d->s->lock);
	k->next = d->s->conns;
	if (k->next)
		k->next->prev = k;
	d->s->conns = k;
	d->s->open++;
	pthread_mutex_unlock(&d->s->lock);
	*slot = k;
}

static void conn_close(struct conn *k)
{
	struct server *s = k->door->s;
	conn_part(k);
	pthread_mutex_lock(&s->lock);
	*(k->prev ? &k->prev->next : &s->conns) = k->next;
	if (k->next)
		k->next->prev = k->prev;
	s->open--;
	pthread_mutex_unlock(&s->lock);
	free(k);
}

static void on_connection(void *cls, struct MHD_Connection *c, void **slot, enum MHD_ConnectionNotificationCode what)
{
	if (what == MHD_CONNECTION_NOTIFY_STARTED)
		conn_open(cls, c, slot);
	else if (*slot)
		conn_close(*slot), *slot = NULL;
}

static enum MHD_Result on_accept(void *cls, [[maybe_unused]] const struct sockaddr *sa, [[maybe_unused]] socklen_t n)
{
	struct server *s = ((struct door *)cls)->s;
	pthread_mutex_lock(&s->lock);
	bool room = (int64_t)s->open < s->conf.connections;
	pthread_mutex_unlock(&s->lock);
	return room ? MHD_YES : MHD_NO;
}

/* ---- sockets ---- */

static err socket_broken(struct arena *a, struct str where, int fd, const char *what)
{
	err e = fault(a, &BAD_CONFIG, "cannot listen on %s: %s: %s", where.p, what, strerror(errno));
	if (fd >= 0)
		close(fd);
	return e;
}

/* A socket that nobody answers at was left behind by a process that is no more. */
static bool left_behind(const struct sockaddr_un *at)
{
	struct stat st;
	if (stat(at->sun_path, &st) != 0 || !S_ISSOCK(st.st_mode))
		return false;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool dead = fd >= 0 && connect(fd, (const struct sockaddr *)(const void *)at, sizeof *at) != 0 && errno == ECONNREFUSED;
	if (fd >= 0)
		close(fd);
	return dead;
}

static err listen_unix(struct arena *a, struct door *d)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	struct str path = { d->where.p + 5, d->where.n - 5 };
	if (path.n == 0 || path.n >= sizeof at.sun_path)
		return fault(a, &BAD_CONFIG, "cannot listen on %s: a path of %zu bytes", d->where.p, path.n);
	memcpy(at.sun_path, path.p, path.n);
	if (left_behind(&at))
		unlink(at.sun_path);
	d->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	mode_t was = umask(0117);
	int bound = d->fd < 0 ? -1 : bind(d->fd, (struct sockaddr *)(void *)&at, sizeof at);
	umask(was);
	if (bound != 0)
		return socket_broken(a, d->where, d->fd, "bind");
	memcpy(d->unlink_at, at.sun_path, sizeof at.sun_path);
	return OK;
}

static bool address_read(struct str where, struct sockaddr_storage *sa, socklen_t *n)
{
	char host[64];
	int64_t port;
	const char *colon = memrchr(where.p, ':', where.n);
	size_t host_n = colon ? (size_t)(colon - where.p) : 0;
	bool six = host_n > 2 && where.p[0] == '[' && where.p[host_n - 1] == ']';
	if (!colon || host_n >= sizeof host || !str_int((struct str){ colon + 1, where.n - host_n - 1 }, 0, 65535, &port))
		return false;
	snprintf(host, sizeof host, "%.*s", (int)(six ? host_n - 2 : host_n), where.p + six);
	*sa = (struct sockaddr_storage){ 0 };
	if (six) {
		struct sockaddr_in6 *in = (void *)sa;
		*in = (struct sockaddr_in6){ .sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port) };
		*n = sizeof *in;
		return inet_pton(AF_INET6, host, &in->sin6_addr) == 1;
	}
	struct sockaddr_in *in = (void *)sa;
	*in = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	*n = sizeof *in;
	return inet_pton(AF_INET, host, &in->sin_addr) == 1;
}

static bool is_loopback(const struct sockaddr_storage *sa)
{
	if (sa->ss_family == AF_INET6)
		return IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr);
	return ntohl(((const struct sockaddr_in *)(const void *)sa)->sin_addr.s_addr) >> 24 == 127;
}

static err listen_tcp(struct arena *a, struct door *d)
{
	struct sockaddr_storage sa;
	socklen_t n;
	int one = 1;
	if (!address_read(d->where, &sa, &n))
		return fault(a, &BAD_CONFIG, "cannot listen on %s: neither address:port nor [address]:port nor unix:path", d->where.p);
	if (d->proxy && !is_loopback(&sa))
		return fault(a, &BAD_CONFIG, "%s: a proxy is believed on a unix socket or a loopback address only", d->where.p);
	d->fd = socket(sa.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (d->fd < 0)
		return socket_broken(a, d->where, -1, "socket");
	setsockopt(d->fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (sa.ss_family == AF_INET6)
		setsockopt(d->fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one);
	if (bind(d->fd, (struct sockaddr *)&sa, n) != 0)
		return socket_broken(a, d->where, d->fd, "bind");
	return OK;
}

struct str server_where(const struct server *s, struct arena *a, size_t i)
{
	const struct door *d = &s->doors[i];
	struct sockaddr_storage sa = { 0 };
	socklen_t n = sizeof sa;
	if (d->unlink_at[0] || getsockname(d->fd, (struct sockaddr *)&sa, &n) != 0)
		return d->where;
	const char *colon = memrchr(d->where.p, ':', d->where.n);
	unsigned port = ntohs(sa.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)(void *)&sa)->sin6_port : ((struct sockaddr_in *)(void *)&sa)->sin_port);
	return str_fmt(a, "%.*s:%u", (int)(colon - d->where.p), d->where.p, port);
}

/* ---- starting and stopping ---- */

[[gnu::format(printf, 2, 0)]]
static void complain([[maybe_unused]] void *cls, const char *fmt, va_list ap)
{
	char text[512];
	vsnprintf(text, sizeof text, fmt, ap);
	log_say(LOG_DEBUG, "libmicrohttpd", "says", text, NULL);
}

/* We decode for ourselves, from the raw target, where "%00" can be seen. */
static size_t leave_escaped([[maybe_unused]] void *cls, [[maybe_unused]] struct MHD_Connection *c, char *s) { return strlen(s); }

static err door_open(struct arena *a, struct server *s, const struct listen *l, struct door *d)
{
	*d = (struct door){ .s = s, .fd = -1, .proxy = l->proxy, .certificates = l->proxy && l->certificates, .where = str_copy(a, l->where) };
	TRY(str_starts(l->where, S("unix:")) ? listen_unix(a, d) : listen_tcp(a, d));
	if (listen(d->fd, BACKLOG) != 0)
		return socket_broken(a, d->where, d->fd, "listen");
	unsigned idle = l->proxy ? PROXY_IDLE_S : (unsigned)(s->conf.deadline_ms / 1000 + 1);
	d->daemon = MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG, 0, on_accept, d, on_request, d,
		MHD_OPTION_EXTERNAL_LOGGER, complain, NULL,
		MHD_OPTION_LISTEN_SOCKET, d->fd,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY,
		MHD_OPTION_CONNECTION_LIMIT, (unsigned)s->conf.connections + SPARE,
		MHD_OPTION_CONNECTION_TIMEOUT, idle,
		MHD_OPTION_STRICT_FOR_CLIENT, 1,
		MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1,
		MHD_OPTION_URI_LOG_CALLBACK, on_line, d,
		MHD_OPTION_UNESCAPE_CALLBACK, leave_escaped, d,
		MHD_OPTION_NOTIFY_COMPLETED, on_done, d,
		MHD_OPTION_NOTIFY_CONNECTION, on_connection, d,
		MHD_OPTION_END);
	if (!d->daemon)
		return socket_broken(a, d->where, d->fd, "libmicrohttpd");
	return OK;
}

static err threads_start(struct arena *a, struct server *s)
{
	pthread_attr_t attr;
	int64_t n = s->conf.workers < 1 ? 32 : s->conf.workers > MAX_WORKERS ? MAX_WORKERS : s->conf.workers;
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK);
	bool good = true;
	while (good && (int64_t)s->n_workers < n) {
		good = pthread_create(&s->workers[s->n_workers], &attr, worker, s) == 0;
		s->n_workers += good;
	}
	s->watching = good;
	if (good && pthread_create(&s->watchdog, &attr, watchdog, s) != 0)
		s->watching = false;
	pthread_attr_destroy(&attr);
	return s->watching ? OK : fault(a, &SERVER_ERROR, "cannot start %lld threads", (long long)n);
}

/* A monotonic clock for the waits: a step of the wall clock does not stretch them. */
static void conds_init(struct server *s)
{
	pthread_condattr_t attr;
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->work, &attr);
	pthread_cond_init(&s->quiet, &attr);
	pthread_condattr_destroy(&attr);
}

static err all_start(struct arena *a, struct server *s)
{
	TRY(threads_start(a, s));
	for (; s->n < s->conf.n; s->n++)
		TRY(door_open(a, s, &s->conf.listens[s->n], &s->doors[s->n]));
	return OK;
}

err server_start(struct arena *a, const struct server_conf *conf, struct server **out)
{
	if (conf->n > 4 || conf->n == 0)
		return fault(a, &BAD_CONFIG, "%zu listeners; 1 to 4 are possible", conf->n);
	struct server *s = calloc(1, sizeof *s);
	if (!s)
		abort();
	s->conf = *conf;
	s->in_place = strverscmp(MHD_get_version(), "0.9.76") < 0;   /* later ones refuse broken lines themselves */
	conds_init(s);
	signal(SIGPIPE, SIG_IGN);
	err e = all_start(a, s);
	if (e.kind) {
		server_stop(s);
		return e;
	}
	*out = s;
	return OK;
}

static void quiesce(struct server *s)
{
	atomic_store(&s->draining, true);
	for (size_t i = 0; i < s->n; i++) {
		MHD_quiesce_daemon(s->doors[i].daemon);
		if (s->doors[i].unlink_at[0])
			unlink(s->doors[i].unlink_at);
		shutdown(s->doors[i].fd, SHUT_RDWR);     /* closed when the library's thread, which may still watch it, is gone */
	}
}

static struct timespec in_ms(int64_t ms)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_sec += ms / 1000;
	t.tv_nsec += ms % 1000 * 1000000;
	t.tv_sec += t.tv_nsec / 1000000000;
	t.tv_nsec %= 1000000000;
	return t;
}

/* True when nothing is under way any more. */
static bool drain(struct server *s, int64_t ms)
{
	struct timespec until = in_ms(ms);
	int rc = 0;
	pthread_mutex_lock(&s->lock);
	while (s->live && rc != ETIMEDOUT)
		rc = pthread_cond_timedwait(&s->quiet, &s->lock, &until);
	bool quiet = s->live == 0;
	pthread_mutex_unlock(&s->lock);
	return quiet;
}

static bool threads_end(struct server *s)
{
	pthread_mutex_lock(&s->lock);
	s->stopping = true;
	bool watched = s->watching;
	s->watching = false;
	pthread_cond_broadcast(&s->work);
	pthread_mutex_unlock(&s->lock);
	if (watched)
		pthread_join(s->watchdog, NULL);
	struct timespec until;
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 1;
	bool all = true;
	for (size_t i = 0; i < s->n_workers; i++)
		all &= pthread_timedjoin_np(s->workers[i], NULL, &until) == 0;
	return all;
}

static void server_free(struct server *s)
{
	for (struct exchange *x = s->pool, *next; x; x = next) {
		next = x->next;
		exchange_free(x);
	}
	pthread_cond_destroy(&s->quiet);
	pthread_cond_destroy(&s->work);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

void server_stop(struct server *s)
{
	quiesce(s);
	if (!drain(s, DRAIN_MS)) {
		sweep(s, INT64_MAX);             /* all that still runs or waits is late now */
		drain(s, 500);
	}
	bool ended = threads_end(s);
	for (size_t i = 0; i < s->n; i++) {
		MHD_stop_daemon(s->doors[i].daemon);
		close(s->doors[i].fd);
	}
	/* A token that nobody has woken, or a handler that hangs, still points here: then the memory stays until the process ends. */
	if (ended && s->live == 0)
		server_free(s);
	else
		log_say(LOG_WARN, "stopped while a request still ran or waited", NULL);
}
