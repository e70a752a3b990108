/* Short-lived values in this process: sixty-four tables, each behind a lock of its own. What has expired is found when it
 * is asked for, and by a broom that every write pushes a few buckets further. When the bound is reached writes are
 * refused: a live value is never thrown out, because a one-time value that was forgotten could be used twice. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include "eph_open.h"
#include "engine.h"
#include "rand.h"

enum { SHARDS = 64, FIRST_BUCKETS = 64, SWEEP = 4, FULL_SWEEP_MS = 1000 };

/* number: what has been counted; NOT_COUNTED in an entry that holds a value. */
enum { NOT_COUNTED = -1 };
struct entry { struct entry *next; uint64_t hash; int64_t until, number; size_t nkey, nvalue; char bytes[]; };

struct shard {
	pthread_mutex_t lock;
	struct entry **buckets;
	size_t nbuckets, n, broom;
};

struct memory {
	struct eph eph;
	int64_t (*now)(void);
	size_t most;
	atomic_size_t held;
	_Atomic int64_t swept;
	uint64_t key[2];
	struct shard shards[SHARDS];
};

static struct memory *of(struct eph *e) { return (struct memory *)e; }

/* SipHash-2-4 (Aumasson, Bernstein 2012): ids come from outside, and nobody outside may aim them all at one bucket. */
static uint64_t rotl(uint64_t x, int b) { return x << b | x >> (64 - b); }

static void sip_round(uint64_t v[4])
{
	v[0] += v[1], v[1] = rotl(v[1], 13) ^ v[0], v[0] = rotl(v[0], 32);
	v[2] += v[3], v[3] = rotl(v[3], 16) ^ v[2];
	v[0] += v[3], v[3] = rotl(v[3], 21) ^ v[0];
	v[2] += v[1], v[1] = rotl(v[1], 17) ^ v[2], v[2] = rotl(v[2], 32);
}

static void sip_word(uint64_t v[4], uint64_t m)
{
	v[3] ^= m;
	sip_round(v), sip_round(v);
	v[0] ^= m;
}

static uint64_t siphash(const uint64_t key[2], struct str s)
{
	uint64_t v[4] = { key[0] ^ 0x736f6d6570736575, key[1] ^ 0x646f72616e646f6d, key[0] ^ 0x6c7967656e657261, key[1] ^ 0x7465646279746573 };
	uint64_t m;
	size_t i = 0;
	for (; i + 8 <= s.n; i += 8) {
		memcpy(&m, s.p + i, 8);
		sip_word(v, m);
	}
	m = 0;
	memcpy(&m, s.p + i, s.n - i);
	sip_word(v, m | (uint64_t)s.n << 56);
	v[2] ^= 0xff;
	sip_round(v), sip_round(v), sip_round(v), sip_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

static size_t weight(size_t nkey, size_t nvalue) { return sizeof(struct entry) + nkey + nvalue + 32; }

static void forget(struct memory *m, struct shard *s, struct entry **at)
{
	struct entry *e = *at;
	*at = e->next;
	s->n--;
	atomic_fetch_sub(&m->held, weight(e->nkey, e->nvalue));
	explicit_bzero(e, sizeof *e + e->nkey + e->nvalue);
	free(e);
}

static void sweep(struct memory *m, struct shard *s, size_t buckets, int64_t now)
{
	for (size_t i = 0; i < buckets; i++) {
		s->broom = (s->broom + 1) & (s->nbuckets - 1);
		for (struct entry **at = &s->buckets[s->broom]; *at; )
			if ((*at)->until <= now)
				forget(m, s, at);
			else
				at = &(*at)->next;
	}
}

/* The one place that takes several locks, one after the other, holding none; at most once a second. */
static void sweep_all(struct memory *m, int64_t now)
{
	int64_t last = atomic_load(&m->swept);
	if (now - last < FULL_SWEEP_MS || !atomic_compare_exchange_strong(&m->swept, &last, now))
		return;
	for (size_t i = 0; i < SHARDS; i++) {
		struct shard *s = &m->shards[i];
		pthread_mutex_lock(&s->lock);
		sweep(m, s, s->nbuckets, now);
		pthread_mutex_unlock(&s->lock);
	}
}

/* Where the key is, or where it would be put: then it points at NULL. An expired entry is not there. */
static struct entry **find(struct memory *m, struct shard *s, uint64_t hash, struct str key, int64_t now)
{
	struct entry **at = &s->buckets[hash & (s->nbuckets - 1)];
	for (; *at; at = &(*at)->next)
		if ((*at)->hash == hash && (*at)->nkey == key.n && memcmp((*at)->bytes, key.p, key.n) == 0)
			break;
	if (*at && (*at)->until <= now) {
		forget(m, s, at);
		while (*at)
			at = &(*at)->next;
	}
	return at;
}

static void grow(struct shard *s)
{
	struct entry **wider = calloc(s->nbuckets * 2, sizeof *wider);
	if (!wider)
		return;
	for (size_t i = 0; i < s->nbuckets; i++)
		for (struct entry *e = s->buckets[i], *next; e; e = next) {
			next = e->next;
			struct entry **at = &wider[e->hash & (s->nbuckets * 2 - 1)];
			e->next = *at, *at = e;
		}
	free(s->buckets);
	s->buckets = wider, s->nbuckets *= 2;
}

static bool reserve(struct memory *m, size_t n)
{
	if (atomic_fetch_add(&m->held, n) + n <= m->most)
		return true;
	atomic_fetch_sub(&m->held, n);
	return false;
}

/* An entry that is paid for but stands nowhere yet; NULL when there is no room. Called without a lock. */
static struct entry *entry_new(struct memory *m, uint64_t hash, struct str key, struct str value, int64_t until, int64_t now)
{
	size_t n = weight(key.n, value.n);
	if (!reserve(m, n)) {
		sweep_all(m, now);
		if (!reserve(m, n))
			return NULL;
	}
	struct entry *e = malloc(sizeof *e + key.n + value.n);
	if (!e) {
		atomic_fetch_sub(&m->held, n);
		return NULL;
	}
	*e = (struct entry){ .hash = hash, .until = until, .number = NOT_COUNTED, .nkey = key.n, .nvalue = value.n };
	memcpy(e->bytes, key.p, key.n);
	if (value.n)
		memcpy(e->bytes + key.n, value.p, value.n);
	return e;
}

static void entry_unused(struct memory *m, struct entry *e)
{
	atomic_fetch_sub(&m->held, weight(e->nkey, e->nvalue));
	free(e);
}

static err full(struct memory *m, struct arena *a)
{
	return fault(a, &UNAVAILABLE, "short-lived values hold %zu bytes already", atomic_load(&m->held));
}

static struct str value_of(struct arena *a, const struct entry *e)
{
	return e->number == NOT_COUNTED ? str_dup(a, e->bytes + e->nkey, e->nvalue) : str_fmt(a, "%lld", (long long)e->number);
}

struct place { struct memory *m; struct shard *s; uint64_t hash; int64_t now; };

static struct place enter(struct eph *eph, struct str key)
{
	struct memory *m = of(eph);
	uint64_t hash = siphash(m->key, key);
	return (struct place){ m, &m->shards[hash >> 58], hash, m->now() };
}

static void put_at(struct place p, struct entry **at, struct entry *e)
{
	e->next = *at, *at = e;
	p.s->n++;
}

static void leave_written(struct place p)
{
	sweep(p.m, p.s, SWEEP, p.now);
	if (p.s->n > p.s->nbuckets)
		grow(p.s);
	pthread_mutex_unlock(&p.s->lock);
}

static err memory_put(struct place p, struct arena *a, struct eph_op *op)
{
	struct entry *e = entry_new(p.m, p.hash, op->key, op->value, p.now + op->seconds * 1000, p.now);
	if (!e)
		return full(p.m, a);
	pthread_mutex_lock(&p.s->lock);
	struct entry **at = find(p.m, p.s, p.hash, op->key, p.now);
	if (*at)
		forget(p.m, p.s, at);
	put_at(p, at, e);
	leave_written(p);
	return OK;
}

static err memory_get(struct place p, struct arena *a, struct eph_op *op)
{
	pthread_mutex_lock(&p.s->lock);
	struct entry **at = find(p.m, p.s, p.hash, op->key, p.now);
	op->yes = *at;
	if (*at)
		op->value = value_of(a, *at);
	if (*at && op->verb == EPH_TAKE)
		forget(p.m, p.s, at);
	pthread_mutex_unlock(&p.s->lock);
	return OK;
}

static err memory_once(struct place p, struct arena *a, struct eph_op *op)
{
	struct entry *e = entry_new(p.m, p.hash, op->key, op->value, p.now + op->seconds * 1000, p.now);
	if (!e)
		return full(p.m, a);
	pthread_mutex_lock(&p.s->lock);
	struct entry **at = find(p.m, p.s, p.hash, op->key, p.now);
	op->yes = !*at;
	if (op->yes)
		put_at(p, at, e);
	else
		entry_unused(p.m, e);
	leave_written(p);
	return OK;
}

static err memory_drop(struct place p, struct arena *a, struct eph_op *op)
{
	pthread_mutex_lock(&p.s->lock);
	struct entry **at = find(p.m, p.s, p.hash, op->key, p.now);
	if (*at && str_same(value_of(a, *at), op->value))
		forget(p.m, p.s, at);
	pthread_mutex_unlock(&p.s->lock);
	return OK;
}

static err counted(struct arena *a, const struct eph_op *op)
{
	return op->total == NOT_COUNTED ? fault(a, &UNAVAILABLE, "a short-lived value was counted that is no number") : OK;
}

static err memory_total(struct place p, struct arena *a, struct eph_op *op)
{
	pthread_mutex_lock(&p.s->lock);
	struct entry *e = *find(p.m, p.s, p.hash, op->key, p.now);
	op->total = e ? e->number : 0;
	pthread_mutex_unlock(&p.s->lock);
	return counted(a, op);
}

static err memory_count(struct place p, struct arena *a, struct eph_op *op)
{
	if (!op->add)
		return memory_total(p, a, op);
	struct entry *fresh = entry_new(p.m, p.hash, op->key, S(""), p.now + op->seconds * 1000, p.now);
	if (!fresh)
		return full(p.m, a);
	fresh->number = 0;
	pthread_mutex_lock(&p.s->lock);
	struct entry **at = find(p.m, p.s, p.hash, op->key, p.now);
	if (*at)
		entry_unused(p.m, fresh);
	else
		put_at(p, at, fresh);
	struct entry *e = *at;
	if (e->number != NOT_COUNTED)
		e->number += op->add;
	op->total = e->number;
	leave_written(p);
	return counted(a, op);
}

static err memory_run(struct eph *eph, struct arena *a, struct eph_op *ops, size_t n)
{
	static err (*const VERBS[])(struct place, struct arena *, struct eph_op *) = {
		[EPH_PUT] = memory_put, [EPH_GET] = memory_get, [EPH_TAKE] = memory_get, [EPH_ONCE] = memory_once, [EPH_DROP] = memory_drop, [EPH_COUNT] = memory_count };
	for (size_t i = 0; i < n; i++)
		TRY(VERBS[ops[i].verb](enter(eph, ops[i].key), a, &ops[i]));
	return OK;
}

static err memory_ready([[maybe_unused]] struct eph *eph, [[maybe_unused]] struct arena *a) { return OK; }

static void memory_close(struct eph *eph)
{
	struct memory *m = of(eph);
	for (size_t i = 0; i < SHARDS; i++) {
		struct shard *s = &m->shards[i];
		if (s->buckets)
			sweep(m, s, s->nbuckets, INT64_MAX);
		free(s->buckets);
		pthread_mutex_destroy(&s->lock);
	}
	free(m);
}

err eph_open_memory(struct arena *a, int64_t (*now_ms)(void), size_t most, struct eph **out)
{
	struct memory *m = calloc(1, sizeof *m);
	if (!m)
		return fault(a, &UNAVAILABLE, "no memory for short-lived values");
	m->eph = (struct eph){ memory_run, memory_ready, memory_close };
	m->now = now_ms, m->most = most;
	atomic_init(&m->swept, now_ms());
	rand_fill(m->key, sizeof m->key);
	bool made = true;
	for (size_t i = 0; i < SHARDS; i++) {
		struct shard *s = &m->shards[i];
		pthread_mutex_init(&s->lock, NULL);
		s->buckets = calloc(FIRST_BUCKETS, sizeof *s->buckets);
		s->nbuckets = FIRST_BUCKETS;
		made = made && s->buckets;
	}
	if (!made) {
		memory_close(&m->eph);
		return fault(a, &UNAVAILABLE, "no memory for short-lived values");
	}
	*out = &m->eph;
	return OK;
}
