#include "access.h"
#include <pthread.h>
#include <stdlib.h>

enum { SHARDS = 16, SETS = 128, WAYS = 4, LARGEST = 4096 };   /* 8,192 tokens */

/* One block: this, then the texts that it points to. */
struct memo { unsigned char hash[32]; size_t size; struct access access; };
struct minted { struct shard { pthread_mutex_t lock; struct memo *at[SETS][WAYS]; } shards[SHARDS]; };

static const size_t TEXTS[] = {
#define AT(f) offsetof(struct access, f)
	AT(jti), AT(details), AT(sub), AT(client_id), AT(scope), AT(acr), AT(amr), AT(audience), AT(grant_id), AT(confirm), AT(kid), AT(act), AT(may_act), AT(via),
#undef AT
};
enum { TEXTS_N = sizeof TEXTS / sizeof *TEXTS };

static struct str *text_of(struct access *t, size_t i) { return (struct str *)(void *)((char *)t + TEXTS[i]); }
static const struct str *text_in(const struct access *t, size_t i) { return (const struct str *)(const void *)((const char *)t + TEXTS[i]); }

err minted_new(struct arena *a, struct minted **out)
{
	*out = calloc(1, sizeof **out);
	if (!*out)
		return fault(a, &SERVER_ERROR, "no memory for verified tokens");
	for (size_t i = 0; i < SHARDS; i++)
		pthread_mutex_init(&(*out)->shards[i].lock, NULL);
	return OK;
}

void minted_free(struct minted *m)
{
	if (!m)
		return;
	for (size_t i = 0; i < SHARDS; i++) {
		for (size_t s = 0; s < SETS; s++)
			for (size_t w = 0; w < WAYS; w++)
				free(m->shards[i].at[s][w]);
		pthread_mutex_destroy(&m->shards[i].lock);
	}
	free(m);
}

static struct shard *shard_of(struct minted *m, const unsigned char hash[32]) { return &m->shards[hash[0] % SHARDS]; }
static struct memo **set_of(struct shard *s, const unsigned char hash[32]) { return s->at[hash[1] % SETS]; }

bool minted_look(struct minted *m, struct arena *a, const unsigned char hash[32], struct access *out)
{
	struct shard *shard = shard_of(m, hash);
	struct memo **set = set_of(shard, hash), *copy = NULL;
	ptrdiff_t moved = 0;
	pthread_mutex_lock(&shard->lock);
	for (size_t w = 0; w < WAYS && !copy; w++)
		if (set[w] && memcmp(set[w]->hash, hash, 32) == 0) {
			copy = arena_alloc(a, set[w]->size);
			memcpy(copy, set[w], set[w]->size);
			moved = (char *)copy - (char *)set[w];
		}
	pthread_mutex_unlock(&shard->lock);
	if (!copy)
		return false;
	*out = copy->access;
	for (size_t i = 0; i < TEXTS_N; i++)
		text_of(out, i)->p += moved;
	return true;
}

static struct memo *memo_new(const unsigned char hash[32], const struct access *t)
{
	size_t size = sizeof(struct memo), at = size;
	for (size_t i = 0; i < TEXTS_N; i++)
		size += text_in(t, i)->n + 1;
	struct memo *m = size <= LARGEST ? calloc(1, size) : NULL;
	if (!m)
		return NULL;
	memcpy(m->hash, hash, 32);
	m->size = size;
	m->access = *t;
	for (size_t i = 0; i < TEXTS_N; i++) {
		const struct str *from = text_in(t, i);
		char *p = (char *)m + at;
		if (from->n)
			memcpy(p, from->p, from->n);
		*text_of(&m->access, i) = (struct str){ p, from->n };
		at += from->n + 1;
	}
	return m;
}

/* Out goes what is over, else what is over first. */
void minted_keep(struct minted *m, const unsigned char hash[32], const struct access *t, epoch now)
{
	struct memo *fresh = memo_new(hash, t);
	struct shard *shard = shard_of(m, hash);
	if (!fresh)
		return;
	pthread_mutex_lock(&shard->lock);
	struct memo **set = set_of(shard, hash), **to = &set[0];
	for (size_t w = 0; w < WAYS; w++) {
		if (!set[w] || memcmp(set[w]->hash, hash, 32) == 0 || set[w]->access.exp <= now) {
			to = &set[w];
			break;
		}
		if (set[w]->access.exp < (*to)->access.exp)
			to = &set[w];
	}
	struct memo *old = *to;
	*to = fresh;
	pthread_mutex_unlock(&shard->lock);
	free(old);
}
