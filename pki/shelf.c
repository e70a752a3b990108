#include "shelf.h"
#include "hash.h"
#include <pthread.h>
#include <stdlib.h>

enum { SHARDS = 16, PLACES = 64 };       /* 1,024 keys of some kilobytes */

struct place { unsigned char hash[SHA256_SIZE]; struct key *key; };
struct shelf { struct shard { pthread_mutex_t lock; struct place at[PLACES]; } shards[SHARDS]; };

err shelf_new(struct arena *a, struct shelf **out)
{
	*out = calloc(1, sizeof **out);
	if (!*out)
		return fault(a, &SERVER_ERROR, "no memory for keys");
	for (size_t i = 0; i < SHARDS; i++)
		pthread_mutex_init(&(*out)->shards[i].lock, NULL);
	return OK;
}

void shelf_free(struct shelf *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < SHARDS; i++) {
		for (size_t p = 0; p < PLACES; p++)
			key_drop(s->shards[i].at[p].key);
		pthread_mutex_destroy(&s->shards[i].lock);
	}
	free(s);
}

static struct shard *shard_of(struct shelf *s, const unsigned char *hash) { return &s->shards[hash[0] % SHARDS]; }
static struct place *place_in(struct shard *s, const unsigned char *hash) { return &s->at[hash[1] % PLACES]; }

static struct key *taken(struct shelf *s, const unsigned char *hash)
{
	struct shard *shard = shard_of(s, hash);
	pthread_mutex_lock(&shard->lock);
	struct place *p = place_in(shard, hash);
	struct key *k = p->key && memcmp(p->hash, hash, SHA256_SIZE) == 0 ? key_hold(p->key) : NULL;
	pthread_mutex_unlock(&shard->lock);
	return k;
}

static void put(struct shelf *s, const unsigned char *hash, struct key *k)
{
	struct shard *shard = shard_of(s, hash);
	pthread_mutex_lock(&shard->lock);
	struct place *p = place_in(shard, hash);
	struct key *before = p->key;
	memcpy(p->hash, hash, SHA256_SIZE);
	p->key = key_hold(k);
	pthread_mutex_unlock(&shard->lock);
	key_drop(before);
}

err shelf_key(struct shelf *s, struct arena *a, const json_t *jwk, struct key **out)
{
	unsigned char hash[SHA256_SIZE];
	if (!s || !json_is_object(jwk))
		return key_from_jwk(a, jwk, out);
	/* all of it is hashed: what else stands in a JWK may forbid its use */
	struct str text = json_dump(a, jwk);
	sha256(text.p, text.n, hash);
	*out = taken(s, hash);
	if (*out)
		return OK;
	TRY(key_from_jwk(a, jwk, out));
	put(s, hash, *out);
	return OK;
}
