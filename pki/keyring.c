#include "keyring.h"
#include "json.h"
#include <stdatomic.h>
#include <stdlib.h>

struct kept { struct ring_key row; struct key *key; };
struct keyring { atomic_int holders; size_t n; struct kept v[]; };

struct keyring *keyring_hold(struct keyring *r)
{
	atomic_fetch_add_explicit(&r->holders, 1, memory_order_relaxed);
	return r;
}

void keyring_drop(struct keyring *r)
{
	if (!r || atomic_fetch_sub_explicit(&r->holders, 1, memory_order_acq_rel) != 1)
		return;
	for (size_t i = 0; i < r->n; i++) {
		signer_free(r->v[i].row.signer);
		key_drop(r->v[i].key);
	}
	free(r);
}

static err public_half(struct arena *a, const struct signer *s, struct key **out)
{
	json_t *jwk;
	TRY(json_read_object(a, signer_public_jwk(s), &jwk));
	return key_from_jwk(a, jwk, out);
}

err keyring_new(struct arena *a, const struct ring_key *keys, size_t n, struct keyring **out)
{
	struct keyring *r = calloc(1, sizeof *r + n * sizeof *r->v);
	if (!r)
		abort();
	r->holders = 1;
	r->n = n;
	for (size_t i = 0; i < n; i++)
		r->v[i].row = keys[i];
	err e = OK;
	for (size_t i = 0; i < n && !e.kind; i++)
		e = public_half(a, keys[i].signer, &r->v[i].key);
	for (size_t i = 0; i < n && !e.kind; i++)
		for (size_t j = 0; j < i && !e.kind; j++)
			if (str_eq(signer_kid(keys[i].signer), signer_kid(keys[j].signer)))
				e = fault(a, &SERVER_ERROR, "two keys with the kid %s", signer_kid(keys[i].signer).p);
	if (e.kind)
		keyring_drop(r);
	else
		*out = r;
	return e;
}

static bool retired(const struct kept *k, epoch now) { return k->row.retire_at && k->row.retire_at <= now; }

struct signer *keyring_signer(const struct keyring *r, struct str alg, epoch now)
{
	const struct kept *best = NULL;
	for (size_t i = 0; i < r->n; i++) {
		const struct kept *k = &r->v[i];
		if (str_eq(signer_alg(k->row.signer), alg) && k->row.active_at && k->row.active_at <= now && !retired(k, now)
			&& (!best || k->row.active_at > best->row.active_at))
			best = k;
	}
	return best ? best->row.signer : NULL;
}

const struct key *keyring_key(const struct keyring *r, struct str kid, epoch now)
{
	for (size_t i = 0; i < r->n; i++)
		if (str_eq(signer_kid(r->v[i].row.signer), kid))
			return retired(&r->v[i], now) ? NULL : r->v[i].key;
	return NULL;
}

struct str keyring_jwks(const struct keyring *r, struct arena *a, epoch now)
{
	struct buf b = buf_new(a, 1024, 64 * 1024);
	buf_str(&b, S("{\"keys\":["));
	bool comma = false;
	for (size_t i = 0; i < r->n; i++) {
		if (retired(&r->v[i], now) || r->v[i].row.created_at > now)
			continue;
		if (comma)
			buf_char(&b, ',');
		buf_str(&b, signer_public_jwk(r->v[i].row.signer));
		comma = true;
	}
	buf_str(&b, S("]}"));
	return (struct str){ b.p, b.n };
}
