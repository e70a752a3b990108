#pragma once
#include "t.h"
#include "json.h"
#include "key.h"
#include "signer.h"

/* What the JOSE tests share. */
static inline json_t *t_json(struct arena *a, const char *text)
{
	json_t *v;
	fine(json_read(a, str_of(text), &v));
	return v;
}

static inline struct key *t_key(struct arena *a, const char *jwk)
{
	struct key *k;
	fine(key_from_jwk(a, t_json(a, jwk), &k));
	arena_defer(a, key_drop_later, k);
	return k;
}

static inline void t_drop_signer(void *s) { signer_free(s); }

static inline struct signer *t_signer(struct arena *a, const char *alg, const char *kid)
{
	struct signer *s;
	fine(signer_local_new(a, str_of(alg), str_of(kid), &s));
	arena_defer(a, t_drop_signer, s);
	return s;
}

static inline struct key *t_public(struct arena *a, const struct signer *s) { return t_key(a, signer_public_jwk(s).p); }
