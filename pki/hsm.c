#include "inside/hsm.h"
#include "clock.h"
#include "file.h"
#include "hash.h"
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

enum { THREADS = 4, QUEUE = 256, STUCK_MS = 500, AGAIN_MS = 1000, WAIT_NS = 100000000, SLOTS = 64, PIN_MOST = 256 };
enum { ASKED, ANSWERED, LEFT };          /* LEFT: nobody waits any more, the thread frees it */

struct task { struct task *next; struct hsm_job job; atomic_int state; int64_t until; CK_RV rv; bool late; sem_t done; };

struct worker { struct hsm *hsm; pthread_t thread; struct hsm_session s; bool in; unsigned generation; _Atomic int64_t since; };   /* since: 0 = idle */

struct hsm {
	struct arena *a;                     /* what was configured */
	struct hsm_conf conf;
	void *library;
	CK_FUNCTION_LIST *f;
	pthread_mutex_t lock;                /* guards the queue */
	pthread_cond_t more;
	struct task *first, **last;
	size_t waiting, started;
	bool over;
	struct worker workers[THREADS];
	/* the module: read by who is inside a call, written by who begins it anew */
	pthread_rwlock_t module;
	bool initialized;
	unsigned generation;
	int64_t begun;
	/* the PIN that was refused */
	pthread_mutex_t login;
	bool refused;
	unsigned char refused_pin[SHA256_SIZE];
};

/* ---- words for the log ---------------------------------------------------------------------------------------------------- */

static const struct { CK_RV rv; const char *why; } KNOWN[] = {
	{ CKR_TOKEN_NOT_PRESENT, "the token is not there" }, { CKR_DEVICE_REMOVED, "the token was removed" }, { CKR_PIN_LOCKED, "the PIN is locked" },
	{ CKR_PIN_INCORRECT, "the PIN is wrong" }, { CKR_SESSION_HANDLE_INVALID, "the session is lost" }, { CKR_SESSION_CLOSED, "the session is lost" },
	{ CKR_USER_NOT_LOGGED_IN, "nobody is logged in" }, { CKR_KEY_HANDLE_INVALID, "the key is not there" }, { CKR_DEVICE_ERROR, "the device is broken" },
	{ CKR_MECHANISM_INVALID, "the token cannot do this" }, { CKR_PIN_LEN_RANGE, "the PIN file does not read" },
};

static const char *words(CK_RV rv, char room[64])
{
	for (size_t i = 0; i < sizeof KNOWN / sizeof *KNOWN; i++)
		if (KNOWN[i].rv == rv)
			return KNOWN[i].why;
	snprintf(room, 64, "PKCS#11 error 0x%lx", rv);
	return room;
}

/* ---- the module ---------------------------------------------------------------------------------------------------------------- */

static CK_RV module_begin(struct hsm *h)
{
	CK_C_INITIALIZE_ARGS args = { .flags = CKF_OS_LOCKING_OK };
	if (h->initialized)
		h->f->C_Finalize(NULL);
	CK_RV rv = h->f->C_Initialize(&args);
	h->initialized = rv == CKR_OK || rv == CKR_CRYPTOKI_ALREADY_INITIALIZED;
	h->generation++;
	h->begun = clock_mono_ms();
	return h->initialized ? CKR_OK : rv;
}

/* Many modules see a token that came back only when they are begun anew. Not while a thread is inside, nor twice a second. */
static void module_again(struct hsm *h)
{
	struct timespec until;
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += WAIT_NS;
	until.tv_sec += until.tv_nsec / 1000000000, until.tv_nsec %= 1000000000;
	if (pthread_rwlock_timedwrlock(&h->module, &until) != 0)
		return;
	if (!h->initialized || clock_mono_ms() - h->begun >= AGAIN_MS)
		module_begin(h);
	pthread_rwlock_unlock(&h->module);
}

static bool has_label(const CK_TOKEN_INFO *t, struct str label)
{
	size_t n = sizeof t->label;
	while (n && t->label[n - 1] == ' ')
		n--;
	return (t->flags & CKF_TOKEN_INITIALIZED) && str_eq(label, (struct str){ (const char *)t->label, n });
}

static CK_RV find_token(struct hsm *h, CK_SLOT_ID *slot, CK_TOKEN_INFO *t)
{
	CK_SLOT_ID slots[SLOTS];
	CK_ULONG n = SLOTS;
	CK_RV rv = h->f->C_GetSlotList(CK_TRUE, slots, &n);
	for (CK_ULONG i = 0; rv == CKR_OK && i < n; i++)
		if (h->f->C_GetTokenInfo(slots[i], t) == CKR_OK && has_label(t, h->conf.token)) {
			*slot = slots[i];
			return CKR_OK;
		}
	return rv == CKR_OK ? CKR_TOKEN_NOT_PRESENT : rv;
}

/* One login is good for every session of the process. */
static bool is_in(struct hsm *h, CK_SESSION_HANDLE s)
{
	CK_SESSION_INFO i;
	return h->f->C_GetSessionInfo(s, &i) == CKR_OK && (i.state == CKS_RW_USER_FUNCTIONS || i.state == CKS_RO_USER_FUNCTIONS);
}

/* Under h->login, so that one thread tries a PIN and the others go by what came of it. */
static CK_RV login(struct hsm *h, CK_SESSION_HANDLE s, const CK_TOKEN_INFO *t, struct str pin)
{
	unsigned char hash[SHA256_SIZE];
	sha256(pin.p, pin.n, hash);
	bool low = t->flags & (CKF_USER_PIN_COUNT_LOW | CKF_USER_PIN_FINAL_TRY);
	if (h->refused && low && memcmp(hash, h->refused_pin, sizeof hash) == 0)
		return CKR_PIN_INCORRECT;
	CK_RV rv = h->f->C_Login(s, CKU_USER, (CK_UTF8CHAR *)(uintptr_t)pin.p, pin.n);
	if (rv == CKR_USER_ALREADY_LOGGED_IN)
		rv = CKR_OK;
	if (rv != CKR_PIN_LOCKED)
		h->refused = rv == CKR_PIN_INCORRECT;
	memcpy(h->refused_pin, hash, sizeof hash);
	return rv;
}

static CK_RV log_in(struct hsm *h, CK_SESSION_HANDLE s, CK_TOKEN_INFO *t)
{
	struct arena *a = arena_new();       /* the PIN is in memory only for as long as this takes */
	struct str pin;
	CK_RV rv = CKR_PIN_LEN_RANGE;
	pthread_mutex_lock(&h->login);
	if (is_in(h, s))
		rv = CKR_OK;
	else if (!file_read_secret(a, h->conf.pin_file.p, PIN_MOST, &pin).kind && pin.n) {
		while (pin.n && (pin.p[pin.n - 1] == '\n' || pin.p[pin.n - 1] == '\r'))
			pin.n--;
		rv = login(h, s, t, pin);
	}
	pthread_mutex_unlock(&h->login);
	arena_free(a);
	return rv;
}

static void leave(struct worker *w)
{
	if (w->in && w->generation == w->hsm->generation)
		w->hsm->f->C_CloseSession(w->s.h);
	w->in = false;
}

static CK_RV enter(struct worker *w)
{
	struct hsm *h = w->hsm;
	CK_SLOT_ID slot;
	CK_TOKEN_INFO t;
	if (w->in && w->generation == h->generation)
		return CKR_OK;
	w->in = false;
	if (!h->initialized)
		return CKR_CRYPTOKI_NOT_INITIALIZED;
	CK_RV rv = find_token(h, &slot, &t);
	if (rv == CKR_OK)
		rv = h->f->C_OpenSession(slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &w->s.h);
	if (rv != CKR_OK)
		return rv;
	w->in = true, w->generation = h->generation;
	memset(w->s.keys, 0, sizeof w->s.keys);
	rv = log_in(h, w->s.h, &t);
	if (rv != CKR_OK)
		leave(w);
	return rv;
}

static CK_RV attempt(struct worker *w, struct hsm_job *job)
{
	pthread_rwlock_rdlock(&w->hsm->module);
	CK_RV rv = enter(w);
	if (rv == CKR_OK) {
		rv = job->run(&w->s, job);
		if (rv != CKR_OK)
			leave(w);                    /* whatever it was, the next one begins anew */
	}
	pthread_rwlock_unlock(&w->hsm->module);
	return rv;
}

static bool is_pin(CK_RV rv) { return rv == CKR_PIN_LOCKED || rv == CKR_PIN_INCORRECT || rv == CKR_PIN_LEN_RANGE; }

/* A session that was lost is found out by the first who uses it, and that one shall not suffer for it: once more, in a new one. */
static CK_RV perform(struct worker *w, struct hsm_job *job)
{
	bool had = w->in;
	CK_RV rv = attempt(w, job);
	if (rv != CKR_OK && had && !is_pin(rv))
		rv = attempt(w, job);
	if (rv == CKR_OK || is_pin(rv))
		return rv;
	module_again(w->hsm);
	return attempt(w, job);
}

/* ---- the threads ---------------------------------------------------------------------------------------------------------------- */

static void task_free(struct task *t)
{
	if (t->job.input)
		explicit_bzero(t->job.input, t->job.ninput);
	free(t->job.input);
	sem_destroy(&t->done);
	free(t);
}

static void done_with(struct task *t)
{
	if (atomic_exchange(&t->state, ANSWERED) == LEFT)
		task_free(t);
	else
		sem_post(&t->done);
}

static struct task *next(struct hsm *h)
{
	pthread_mutex_lock(&h->lock);
	while (!h->first && !h->over)
		pthread_cond_wait(&h->more, &h->lock);
	struct task *t = h->first;
	if (t && !(h->first = t->next))
		h->last = &h->first;
	h->waiting -= t != NULL;
	pthread_mutex_unlock(&h->lock);
	return t;
}

static void *work(void *p)
{
	struct worker *w = p;
	for (struct task *t; (t = next(w->hsm)); done_with(t)) {
		int64_t now = clock_mono_ms();
		t->late = now >= t->until;
		if (t->late || atomic_load(&t->state) == LEFT)
			continue;
		atomic_store(&w->since, now);
		t->rv = perform(w, &t->job);
		atomic_store(&w->since, 0);
	}
	leave(w);
	return NULL;
}

/* Under the lock: true when every thread has been inside one call for longer than any call takes. */
static bool stuck(struct hsm *h)
{
	int64_t now = clock_mono_ms();
	for (size_t i = 0; i < h->started; i++) {
		int64_t since = atomic_load(&h->workers[i].since);
		if (!since || now - since < STUCK_MS)
			return false;
	}
	return h->started;
}

static void start(struct hsm *h)
{
	for (; h->started < THREADS; h->started++) {
		struct worker *w = &h->workers[h->started];
		*w = (struct worker){ .hsm = h, .s.f = h->f };
		if (pthread_create(&w->thread, NULL, work, w))
			return;
	}
}

/* ---- whoever asks ---------------------------------------------------------------------------------------------------------------- */

static struct task *task_new(const struct hsm_job *job, int64_t ms)
{
	struct task *t = calloc(1, sizeof *t);
	if (!t || !(t->job = *job, t->job.input = malloc(job->ninput + 1)))
		abort();
	if (job->ninput)
		memcpy(t->job.input, job->input, job->ninput);
	t->until = clock_mono_ms() + ms;
	sem_init(&t->done, 0, 0);
	return t;
}

static const char *send(struct hsm *h, struct task *t)
{
	pthread_mutex_lock(&h->lock);
	start(h);
	const char *no = stuck(h) ? "it hangs" : h->waiting >= QUEUE ? "too many wait for it" : NULL;
	if (!no) {
		*h->last = t, h->last = &t->next;
		h->waiting++;
		pthread_cond_signal(&h->more);
	}
	pthread_mutex_unlock(&h->lock);
	return no;
}

static bool wait_for(struct task *t)
{
	struct timespec until = { t->until / 1000, t->until % 1000 * 1000000 };
	int rc;
	while ((rc = sem_clockwait(&t->done, CLOCK_MONOTONIC, &until)) && errno == EINTR)
		;
	if (rc == 0)
		return true;
	if (atomic_exchange(&t->state, LEFT) == ASKED)
		return false;
	while (sem_wait(&t->done))           /* it came in the same moment */
		;
	return true;
}

static err unavailable(struct arena *a, const char *why) { return fault(a, &UNAVAILABLE, "HSM: %s", why); }

err hsm_run(struct hsm *h, struct arena *a, struct hsm_job *job, int64_t ms)
{
	char room[64];
	struct task *t = task_new(job, ms);
	const char *no = send(h, t);
	if (no) {
		task_free(t);
		return unavailable(a, no);
	}
	if (!wait_for(t))
		return unavailable(a, "no answer in time");
	CK_RV rv = t->late ? CKR_FUNCTION_CANCELED : t->rv;
	memcpy(job->out, t->job.out, sizeof job->out);
	memcpy(job->nout, t->job.nout, sizeof job->nout);
	task_free(t);
	return rv == CKR_OK ? OK : unavailable(a, words(rv, room));
}

/* ---- opening ------------------------------------------------------------------------------------------------------------------------ */

static void hsm_free(struct hsm *h)
{
	if (h->initialized)
		h->f->C_Finalize(NULL);
	if (h->library)
		dlclose(h->library);
	pthread_mutex_destroy(&h->lock);
	pthread_mutex_destroy(&h->login);
	pthread_cond_destroy(&h->more);
	pthread_rwlock_destroy(&h->module);
	arena_free(h->a);
	free(h);
}

err hsm_open(struct arena *a, const struct hsm_conf *conf, struct hsm **out)
{
	struct hsm *h = calloc(1, sizeof *h);
	if (!h)
		abort();
	h->a = arena_new();
	h->conf = (struct hsm_conf){ str_copy(h->a, conf->module), str_copy(h->a, conf->token), str_copy(h->a, conf->pin_file) };
	h->last = &h->first;
	pthread_rwlockattr_t attr;
	pthread_rwlockattr_init(&attr);
	pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	pthread_rwlock_init(&h->module, &attr);
	pthread_rwlockattr_destroy(&attr);
	pthread_mutex_init(&h->lock, NULL);
	pthread_mutex_init(&h->login, NULL);
	pthread_cond_init(&h->more, NULL);
	h->library = dlopen(h->conf.module.p, RTLD_NOW | RTLD_LOCAL);
	CK_C_GetFunctionList list = NULL;
	if (h->library)
		*(void **)&list = dlsym(h->library, "C_GetFunctionList");
	if (list && list(&h->f) == CKR_OK) {
		*out = h;
		return OK;
	}
	err e = fault(a, &BAD_CONFIG, "%s is not a PKCS#11 module: %s", conf->module.p, h->library ? "no C_GetFunctionList" : dlerror());
	hsm_free(h);
	return e;
}

/* A thread that is stuck in the module cannot be ended: then all of it is left as it is, for the process ends too. */
void hsm_close(struct hsm *h)
{
	if (!h)
		return;
	pthread_mutex_lock(&h->lock);
	h->over = true;
	pthread_cond_broadcast(&h->more);
	pthread_mutex_unlock(&h->lock);
	struct timespec until;
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 2;
	bool all = true;
	for (size_t i = 0; i < h->started; i++)
		all &= pthread_timedjoin_np(h->workers[i].thread, NULL, &until) == 0;
	if (all)
		hsm_free(h);
}
