#include "ping.h"
#include "clock.h"
#include "hash.h"
#include "log.h"
#include "rand.h"
#include "settings.h"
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

/* CIBA Core section 10.3: the tokens themselves are sent. Nobody asks for them, so one thread of ours does what the token endpoint does for
 * others, one request after another: it looks what the phone gave, decides, mints, redeems, and lets the notification go. */

enum { TRIES = 40, PAUSE_MS = 250 };

struct pushes {
	struct house *house;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct ping *first, **last;
	bool stop;
};

static struct str error_of(struct arena *a, const struct ping *p, const struct err_kind *kind)
{
	return str_fmt(a, "{\"auth_req_id\":\"%s\",\"error\":\"%s\"}", p->auth_req_id.p, kind->code);
}

static err tokens_of(struct req *rq, const struct client *c, const struct decoupled_row *d, const struct grant_row *g, struct ping *p)
{
	struct res rs = { 0 };
	struct tokens t = { .client = c, .grant = g, .scope = g->scope, .confirm = S(""), .refresh = S(""), .auth_req_id = p->auth_req_id };
	TRY(tokens_narrow(rq, &t));
	TRY(decoupled_redeem(rq, &CIBA, d, &t));
	TRY(tokens_answer(rq, &rs, &t));
	p->body = str_fmt(p->a, "{\"auth_req_id\":\"%s\",%s", p->auth_req_id.p, rs.body.p + 1);
	return OK;
}

/* section 12: error instead of tokens, for whatever the person or their phone refused */
static err answer(struct req *rq, struct ping *p)
{
	struct decoupled_row *d;
	struct grant_row *g;
	const struct client *c;
	bool decided;
	struct str hash = hash_of(rq->a, p->auth_req_id);
	TRY(store_decoupled_look(rq->house->store, rq->a, CIBA.name, hash, &d, &g));
	if (!d || d->redeemed_at)
		return fault(rq->a, &INVALID_GRANT, "the request is gone, or was answered");
	TRY(client_find(rq, d->client_id, &c));
	if (!c)
		return fault(rq->a, &INVALID_GRANT, "client %s was removed meanwhile", d->client_id.p);
	decided = d->decided_at;
	if (!decided)
		TRY(ciba_settle(rq, c, d, &decided));
	if (!decided)
		return fault(rq->a, &UNAVAILABLE, "not decided yet");
	TRY(store_decoupled_look(rq->house->store, rq->a, CIBA.name, hash, &d, &g));
	if (g)
		return tokens_of(rq, c, d, g, p);
	p->body = error_of(p->a, p, &REFUSED_BY_PERSON);
	return OK;
}

/* true: there is nothing more to do here. What only time can mend is tried again: a store, or a certificate whose status is on its way. */
static bool run(struct pushes *all, struct ping *p)
{
	struct arena *a = arena_new();
	struct house *h = all->house;
	epoch now = h->clock ? h->clock() : clock_ms() / 1000;
	struct req rq = { .a = a, .house = h, .now = now, .now_ms = now * 1000, .id = rand_id(a, clock_ms()), .method = S("POST"), .path = S("/bc-authorize"),
	                  .peer = S(""), .client_cert = S(""), .lang = S("vi") };
	err e = answer(&rq, p);
	bool later = e.kind && e.kind->status >= 500 && ++p->runs < TRIES;
	if (!e.kind) {
		ping_send(p);
	} else if (!later) {
		log_say(LOG_WARN, "nothing is pushed", "why", e.why, NULL);
		ping_free(p);
	}
	arena_free(a);
	return !later;
}

static void append(struct pushes *all, struct ping *p)
{
	p->next = NULL;
	*all->last = p;
	all->last = &p->next;
}

static struct ping *take(struct pushes *all)
{
	struct ping *p = all->first;
	all->first = p->next;
	if (!all->first)
		all->last = &all->first;
	return p;
}

static void pause_a_little(struct pushes *all)
{
	struct timespec until;
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += PAUSE_MS * 1000000L;
	until.tv_sec += until.tv_nsec / 1000000000L;
	until.tv_nsec %= 1000000000L;
	pthread_cond_timedwait(&all->wake, &all->lock, &until);
}

static void *work(void *ctx)
{
	struct pushes *all = ctx;
	pthread_mutex_lock(&all->lock);
	while (!all->stop) {
		if (!all->first) {
			pthread_cond_wait(&all->wake, &all->lock);
			continue;
		}
		struct ping *p = take(all);
		pthread_mutex_unlock(&all->lock);
		bool done = run(all, p);
		pthread_mutex_lock(&all->lock);
		if (!done) {
			append(all, p);
			pause_a_little(all);
		}
	}
	pthread_mutex_unlock(&all->lock);
	return NULL;
}

void pushes_add(struct pushes *all, struct ping *p)
{
	pthread_mutex_lock(&all->lock);
	append(all, p);
	pthread_cond_signal(&all->wake);
	pthread_mutex_unlock(&all->lock);
}

err pushes_new(struct house *h, struct arena *a, struct pushes **out)
{
	struct pushes *all = calloc(1, sizeof *all);
	if (!all)
		return fault(a, &SERVER_ERROR, "no memory for pushes");
	all->house = h;
	all->last = &all->first;
	pthread_mutex_init(&all->lock, NULL);
	pthread_cond_init(&all->wake, NULL);
	if (pthread_create(&all->thread, NULL, work, all)) {
		free(all);
		return fault(a, &UNAVAILABLE, "no thread for pushes");
	}
	*out = all;
	return OK;
}

void pushes_free(struct pushes *all)
{
	if (!all)
		return;
	pthread_mutex_lock(&all->lock);
	all->stop = true;
	pthread_cond_signal(&all->wake);
	pthread_mutex_unlock(&all->lock);
	pthread_join(all->thread, NULL);
	while (all->first)
		ping_free(take(all));
	pthread_cond_destroy(&all->wake);
	pthread_mutex_destroy(&all->lock);
	free(all);
}
