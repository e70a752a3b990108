#include "errands.h"
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

enum { MOST = 1024 };

struct errand { struct errand *next; void (*fn)(void *); void *p; };

struct errands {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t more, rest;
	struct errand *first, **last;
	size_t n;
	bool over, busy;
};

static struct errand *next(struct errands *e)
{
	pthread_mutex_lock(&e->lock);
	e->busy = false;
	if (!e->first)
		pthread_cond_broadcast(&e->rest);
	while (!e->first && !e->over)
		pthread_cond_wait(&e->more, &e->lock);
	struct errand *k = e->first;
	if (k && !(e->first = k->next))
		e->last = &e->first;
	e->n -= k != NULL;
	e->busy = k != NULL;
	pthread_mutex_unlock(&e->lock);
	return k;
}

static void *run(void *p)
{
	for (struct errand *k; (k = next(p)); free(k))
		k->fn(k->p);
	return NULL;
}

struct errands *errands_new(void)
{
	struct errands *e = calloc(1, sizeof *e);
	if (!e)
		abort();
	e->last = &e->first;
	pthread_mutex_init(&e->lock, NULL);
	pthread_cond_init(&e->more, NULL);
	pthread_cond_init(&e->rest, NULL);
	if (pthread_create(&e->thread, NULL, run, e))
		abort();
	return e;
}

void errands_free(struct errands *e)
{
	if (!e)
		return;
	pthread_mutex_lock(&e->lock);
	e->over = true;
	pthread_cond_signal(&e->more);
	pthread_mutex_unlock(&e->lock);
	pthread_join(e->thread, NULL);
	pthread_mutex_destroy(&e->lock);
	pthread_cond_destroy(&e->more);
	pthread_cond_destroy(&e->rest);
	free(e);
}

void errands_rest(struct errands *e)
{
	if (!e)
		return;
	pthread_mutex_lock(&e->lock);
	while (e->first || e->busy)
		pthread_cond_wait(&e->rest, &e->lock);
	pthread_mutex_unlock(&e->lock);
}

void errands_send(struct errands *e, void (*fn)(void *), void *p)
{
	struct errand *k = malloc(sizeof *k);
	if (!k)
		abort();
	*k = (struct errand){ .fn = fn, .p = p };
	pthread_mutex_lock(&e->lock);
	bool room = e->n < MOST;
	if (room) {
		*e->last = k, e->last = &k->next;
		e->n++;
		pthread_cond_signal(&e->more);
	}
	pthread_mutex_unlock(&e->lock);
	if (room)
		return;
	free(k);
	fn(p);
}
