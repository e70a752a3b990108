#include "errands.h"
#include <pthread.h>
#include <semaphore.h>
#include "t.h"

enum { MANY = 1024 };

static int done[MANY + 8], n;
static pthread_t by[MANY + 8];
static sem_t begun, go;

static void note(void *p)
{
	by[n] = pthread_self();
	done[n++] = (int)(intptr_t)p;
}

static void stand(void *p)
{
	sem_post(&begun);
	while (sem_wait(&go))
		;
	note(p);
}

TEST(errands_are_done_in_order_by_another_and_all_of_them_before_the_end)
{
	struct errands *e = errands_new();
	n = 0;
	for (intptr_t i = 0; i < 100; i++)
		errands_send(e, note, (void *)i);
	errands_free(e);
	assert_int_equal(n, 100);
	for (int i = 0; i < n; i++) {
		assert_int_equal(done[i], i);
		assert_false(pthread_equal(by[i], pthread_self()));
	}
	errands_free(NULL);
}

TEST(who_sends_too_many_errands_does_the_next_alone)
{
	struct errands *e = errands_new();
	n = 0;
	sem_init(&begun, 0, 0);
	sem_init(&go, 0, 0);
	errands_send(e, stand, (void *)(intptr_t)0);
	while (sem_wait(&begun))
		;
	for (intptr_t i = 1; i <= MANY; i++)
		errands_send(e, note, (void *)i);
	assert_int_equal(n, 0);
	errands_send(e, note, (void *)(intptr_t)-1);
	assert_int_equal(n, 1);
	assert_int_equal(done[0], -1);
	assert_true(pthread_equal(by[0], pthread_self()));
	sem_post(&go);
	errands_free(e);
	assert_int_equal(n, MANY + 2);
	assert_int_equal(done[MANY + 1], MANY);
}
