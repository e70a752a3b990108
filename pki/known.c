#include "inside/known.h"
#include "inside/ossl.h"
#include "code.h"
#include "hash.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

enum { SETS = 256, WAYS = 4 };           /* 1,024 certificates */

struct entry { unsigned char hash[SHA256_SIZE]; atomic_int refs; uint64_t used; struct arena *room; struct cert cert; struct path path; };
struct known { pthread_mutex_t lock; uint64_t uses; struct entry *at[SETS][WAYS]; };

struct known *known_new(void)
{
	struct known *k = calloc(1, sizeof *k);
	if (!k)
		abort();
	pthread_mutex_init(&k->lock, NULL);
	return k;
}

static void entry_drop(void *p)
{
	struct entry *e = p;
	if (e && atomic_fetch_sub(&e->refs, 1) == 1)
		arena_free(e->room);
}

void known_free(struct known *k)
{
	if (!k)
		return;
	for (size_t s = 0; s < SETS; s++)
		for (size_t w = 0; w < WAYS; w++)
			entry_drop(k->at[s][w]);
	pthread_mutex_destroy(&k->lock);
	free(k);
}

/* Under the lock. */
static struct entry *find(struct known *k, const unsigned char hash[SHA256_SIZE])
{
	struct entry **set = k->at[hash[0] % SETS];
	for (size_t w = 0; w < WAYS; w++)
		if (set[w] && memcmp(set[w]->hash, hash, SHA256_SIZE) == 0) {
			set[w]->used = ++k->uses;
			return set[w];
		}
	return NULL;
}

bool known_cert(struct known *k, struct arena *a, struct bytes der, struct cert *out)
{
	unsigned char hash[SHA256_SIZE];
	sha256(der.p, der.n, hash);
	pthread_mutex_lock(&k->lock);
	struct entry *e = find(k, hash);
	if (e)
		atomic_fetch_add(&e->refs, 1);
	pthread_mutex_unlock(&k->lock);
	if (!e)
		return false;
	arena_defer(a, entry_drop, e);
	*out = e->cert;
	return true;
}

static bool hash_of_cert(const struct cert *c, unsigned char hash[SHA256_SIZE])
{
	sha256(c->der.p, c->der.n, hash);
	return c->der.n > 0;
}

bool known_path(struct known *k, const struct cert *leaf, struct str purpose, epoch now, struct path *out)
{
	unsigned char hash[SHA256_SIZE];
	if (!hash_of_cert(leaf, hash))
		return false;
	pthread_mutex_lock(&k->lock);
	const struct entry *e = find(k, hash);
	bool good = e && str_eq(e->path.purpose, purpose) && now >= e->path.from && now < e->path.until;
	if (good)
		*out = e->path;
	pthread_mutex_unlock(&k->lock);
	return good;
}

static void free_x509(void *x) { X509_free(x); }

static struct entry *entry_new(const unsigned char hash[SHA256_SIZE], const struct cert *leaf, const struct path *p)
{
	struct arena *room = arena_new();
	struct entry *e = make(room, struct entry);
	X509 *x;
	e->room = room;
	e->path = *p;
	e->path.purpose = str_copy(room, p->purpose);
	atomic_init(&e->refs, 1);
	memcpy(e->hash, hash, SHA256_SIZE);
	if (!cert_x509(room, leaf, &x).kind && X509_up_ref(x) == 1) {
		arena_defer(room, free_x509, x);
		if (!cert_fill(room, leaf->der, x, &e->cert).kind)
			return e;
	}
	arena_free(room);
	return NULL;
}

/* In the place of what it was, of nothing, or of what was not asked for longest. */
void known_keep(struct known *k, const struct cert *leaf, const struct path *p)
{
	unsigned char hash[SHA256_SIZE];
	struct entry *fresh = hash_of_cert(leaf, hash) ? entry_new(hash, leaf, p) : NULL;
	if (!fresh)
		return;
	pthread_mutex_lock(&k->lock);
	struct entry **set = k->at[hash[0] % SETS], **to = &set[0];
	for (size_t w = 0; w < WAYS; w++) {
		if (!set[w] || memcmp(set[w]->hash, hash, SHA256_SIZE) == 0) {
			to = &set[w];
			break;
		}
		if (set[w]->used < (*to)->used)
			to = &set[w];
	}
	struct entry *old = *to;
	*to = fresh;
	fresh->used = ++k->uses;
	pthread_mutex_unlock(&k->lock);
	entry_drop(old);
}
