#include "lane.h"
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>
#include "clock.h"
#include "log.h"
#include "rand.h"

enum { QUEUE_MOST = 8192, BATCH_MOST = 256, TRIES_ALONE = 5, TRIES_TOGETHER = 2, PAUSE_FIRST_MS = 25, PAUSE_MOST_MS = 2000 };

/* A connection that is made again when it is lost, not more often than it makes sense. */
struct link {
	const struct sql_engine *engine;
	struct str where;
	enum lane_kind kind;
	struct sql_conn *conn;
	int64_t next_try, pause;
	struct why why;
};

static bool link_up(struct link *k)
{
	int64_t now = clock_mono_ms();
	if (k->conn)
		return true;
	if (now < k->next_try)
		return false;
	k->conn = k->engine->open(k->where, k->kind, &k->why);
	k->pause = k->conn ? 0 : k->pause ? k->pause * 2 : PAUSE_FIRST_MS;
	if (k->pause > PAUSE_MOST_MS)
		k->pause = PAUSE_MOST_MS;
	k->next_try = clock_mono_ms() + k->pause;
	return k->conn;
}

static void link_down(struct link *k)
{
	if (k->conn)
		k->engine->close(k->conn);
	k->conn = NULL;
}

static void fail_all(struct unit **u, size_t n, const char *what, const struct why *why)
{
	for (size_t i = 0; i < n; i++)
		u[i]->e = fault(u[i]->a, &UNAVAILABLE, "%s%s", what, why->text);
}

/* Between tries, so that two processes that stepped on each other do not do it again. */
static void jitter(int try)
{
	unsigned char r;
	rand_fill(&r, 1);
	int64_t ms = (r & 7) + ((int64_t)r * try >> 4);
	nanosleep(&(struct timespec){ .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 }, NULL);
}

/* What reads may be asked twice; what writes may have happened, and is not. */
static bool again(const struct link *k, enum ran ran)
{
	return ran == RAN_AGAIN || ran == RAN_STALE || (ran == RAN_LOST && k->kind == LANE_READ);
}

static enum ran link_try(struct link *k, struct unit **u, size_t n, int64_t deadline)
{
	enum ran ran = RAN_LOST;
	for (int try = 0, most = n > 1 ? TRIES_TOGETHER : TRIES_ALONE; try < most; try++) {
		if (try)
			jitter(try);
		if (!link_up(k))
			return RAN_LOST;
		ran = k->engine->run(k->conn, u, n, deadline, &k->why);
		if (ran == RAN_LOST || ran == RAN_STALE)
			link_down(k);
		if (!again(k, ran) || clock_mono_ms() > deadline)
			break;
	}
	return ran;
}

/* One transaction for all; when a unit spoils it, or waits for a lock, each half on its own, so that it cannot hurt its neighbours. */
static void link_run(struct link *k, struct unit **u, size_t n, int64_t deadline)
{
	enum ran ran = link_try(k, u, n, deadline);
	if (ran == RAN)
		return;
	if ((ran == RAN_BAD || ran == RAN_AGAIN) && n > 1 && clock_mono_ms() <= deadline) {
		link_run(k, u, n / 2, deadline);
		link_run(k, u + n / 2, n - n / 2, deadline);
		return;
	}
	fail_all(u, n, ran == RAN_LOST ? "the database is not there: " : "", &k->why);
}

/* ---- a lane -------------------------------------------------------------------------------------------------------- */

struct lane {
	struct link link;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct unit *first, **last;
	size_t waiting;
	bool idle, stop;
};

static size_t lane_take(struct lane *l, struct unit **batch)
{
	size_t n = 0;
	pthread_mutex_lock(&l->lock);
	while (!l->first && !l->stop) {
		l->idle = true;
		pthread_cond_wait(&l->wake, &l->lock);
		l->idle = false;
	}
	while (l->first && n < BATCH_MOST) {
		batch[n++] = l->first;
		l->first = l->first->next;
	}
	if (!l->first)
		l->last = &l->first;
	l->waiting -= n;
	pthread_mutex_unlock(&l->lock);
	return n;
}

static int by_key(const void *x, const void *y)
{
	struct str a = (*(struct unit *const *)x)->key, b = (*(struct unit *const *)y)->key;
	int c = memcmp(a.p, b.p, a.n < b.n ? a.n : b.n);
	return c ? c : (a.n > b.n) - (a.n < b.n);
}

static int64_t latest(struct unit **u, size_t n)
{
	int64_t t = 0;
	for (size_t i = 0; i < n; i++)
		t = u[i]->deadline > t ? u[i]->deadline : t;
	return t;
}

static void *lane_work(void *p)
{
	struct lane *l = p;
	struct unit *batch[BATCH_MOST];
	size_t n;
	while ((n = lane_take(l, batch))) {
		if (n > 1 && l->link.kind == LANE_WRITE)
			qsort(batch, n, sizeof *batch, by_key);
		link_run(&l->link, batch, n, latest(batch, n));
		for (size_t i = 0; i < n; i++) {
			batch[i]->answered = true;
			sem_post(&batch[i]->done);
		}
	}
	return NULL;
}

static err link_open(struct arena *a, struct link *k, const struct sql_engine *engine, struct str where, enum lane_kind kind)
{
	*k = (struct link){ .engine = engine, .where = where, .kind = kind };
	return link_up(k) ? OK : fault(a, &UNAVAILABLE, "%s: %s", engine->name, k->why.text);
}

err lane_new(struct arena *a, const struct sql_engine *engine, struct str where, enum lane_kind kind, struct lane **out)
{
	struct link k;
	TRY(link_open(a, &k, engine, where, kind));
	struct lane *l = calloc(1, sizeof *l);
	if (l) {
		*l = (struct lane){ .link = k, .last = &l->first };
		pthread_mutex_init(&l->lock, NULL);
		pthread_cond_init(&l->wake, NULL);
	}
	if (!l || pthread_create(&l->thread, NULL, lane_work, l)) {
		link_down(&k);
		free(l);
		return fault(a, &UNAVAILABLE, "%s: no thread for the database", engine->name);
	}
	*out = l;
	return OK;
}

void lane_free(struct lane *l)
{
	if (!l)
		return;
	pthread_mutex_lock(&l->lock);
	l->stop = true;
	pthread_cond_signal(&l->wake);
	pthread_mutex_unlock(&l->lock);
	pthread_join(l->thread, NULL);
	link_down(&l->link);
	pthread_mutex_destroy(&l->lock);
	pthread_cond_destroy(&l->wake);
	free(l);
}

static bool lane_put(struct lane *l, struct unit *u)
{
	pthread_mutex_lock(&l->lock);
	bool room = l->waiting < QUEUE_MOST && !l->stop;
	if (room) {
		*l->last = u;
		l->last = &u->next;
		l->waiting++;
	}
	bool asleep = l->idle;
	pthread_mutex_unlock(&l->lock);
	if (asleep)                          /* not under the lock, which it wants first of all */
		pthread_cond_signal(&l->wake);
	return room;
}

static bool lane_withdraw(struct lane *l, struct unit *u)
{
	pthread_mutex_lock(&l->lock);
	struct unit **at = &l->first;
	while (*at && *at != u)
		at = &(*at)->next;
	bool there = *at == u;
	if (there) {
		*at = u->next;
		if (l->last == &u->next)
			l->last = at;
		l->waiting--;
	}
	pthread_mutex_unlock(&l->lock);
	return there;
}

static struct timespec at_mono(int64_t ms) { return (struct timespec){ .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 }; }

static bool wait_until(sem_t *s, int64_t mono_ms)
{
	struct timespec t = at_mono(mono_ms);
	int rc;
	while ((rc = sem_clockwait(s, CLOCK_MONOTONIC, &t)) && errno == EINTR)
		;
	return rc == 0;
}

static void wait_for(sem_t *s)
{
	while (sem_wait(s))
		;
}

err lane_ask(struct lane *l, struct unit *u)
{
	sem_init(&u->done, 0, 0);
	if (!lane_put(l, u))
		u->e = fault(u->a, &UNAVAILABLE, "too many wait for the database");
	else if (!wait_until(&u->done, u->deadline)) {
		/* once it travels the lane reports, by about its own deadline; only then is the unit ours again */
		if (lane_withdraw(l, u))
			u->e = fault(u->a, &UNAVAILABLE, "waited too long for the database");
		else
			wait_for(&u->done);
	}
	(void)u->answered;
	sem_destroy(&u->done);
	return u->e;
}

/* ---- a pool ---------------------------------------------------------------------------------------------------------- */

enum { POOL_MOST = 16 };
struct pool {
	pthread_mutex_t lock;
	pthread_cond_t wake;
	int most, n;                         /* n: how many links lie free, at the front of free */
	struct link links[POOL_MOST], *free[POOL_MOST];
};

err pool_new(struct arena *a, const struct sql_engine *engine, struct str where, int most, struct pool **out)
{
	struct pool *p = calloc(1, sizeof *p);
	if (!p)
		return fault(a, &UNAVAILABLE, "no memory for the database");
	p->most = most < POOL_MOST ? most : POOL_MOST;
	pthread_mutex_init(&p->lock, NULL);
	pthread_condattr_t monotonic;
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&p->wake, &monotonic);
	pthread_condattr_destroy(&monotonic);
	for (; p->n < p->most; p->n++) {
		p->links[p->n] = (struct link){ .engine = engine, .where = where, .kind = LANE_READ };
		p->free[p->n] = &p->links[p->n];
	}
	*out = p;
	return OK;
}

void pool_free(struct pool *p)
{
	if (!p)
		return;
	for (int i = 0; i < p->most; i++)
		link_down(&p->links[i]);
	pthread_mutex_destroy(&p->lock);
	pthread_cond_destroy(&p->wake);
	free(p);
}

/* The one that was used last, whose cache is warm. */
static struct link *pool_take(struct pool *p, int64_t deadline)
{
	struct timespec t = at_mono(deadline);
	int rc = 0;
	pthread_mutex_lock(&p->lock);
	while (!p->n && !rc)
		rc = pthread_cond_timedwait(&p->wake, &p->lock, &t);
	struct link *k = p->n ? p->free[--p->n] : NULL;
	pthread_mutex_unlock(&p->lock);
	return k;
}

static void pool_give(struct pool *p, struct link *k)
{
	pthread_mutex_lock(&p->lock);
	p->free[p->n++] = k;
	pthread_cond_signal(&p->wake);
	pthread_mutex_unlock(&p->lock);
}

err pool_ask(struct pool *p, struct unit *u)
{
	struct link *k = pool_take(p, u->deadline);
	if (!k)
		return fault(u->a, &UNAVAILABLE, "waited too long for the database");
	link_run(k, &u, 1, u->deadline);
	pool_give(p, k);
	return u->e;
}
