#include "keys.h"
#include "audit_of.h"
#include "clock.h"
#include "code.h"
#include "log.h"
#include "rand.h"
#include "settings.h"
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

enum { MANY = 64, YOUNG = 60 };

/* Whatever a profile lets a client ask for. Each has its key from the start, wanted yet or not: the first client that registers for one
 * finds it in every cache of the set. Ed25519 goes by the name that the field knows, EdDSA (RFC 9864 deprecates it, and few read the other). */
static const struct str ALGS[] = { S("RS256"), S("ES256"), S("PS256"), S("EdDSA"), { 0 } };

const struct str *keys_algs(void) { return ALGS; }

/* What was read together; swapped whole. */
struct reading {
	atomic_int refs;
	struct keyring *ring;
	struct arena *a;                     /* of jwks and mark */
	struct str jwks, mark;               /* mark: which rows these were */
};
struct keys {
	struct house *house;
	pthread_mutex_t lock;                /* around `now` and the times */
	pthread_mutex_t reading;             /* one reads the rows, the others go on with what there is */
	struct reading *now;
	epoch read_at, sought_at;
	bool kept, ending;
	pthread_t keeper;
	pthread_cond_t end;
};

static void reading_drop(void *p)
{
	struct reading *r = p;
	if (!r || atomic_fetch_sub(&r->refs, 1) != 1)
		return;
	keyring_drop(r->ring);
	arena_free(r->a);
	free(r);
}

static struct reading *reading_hold(struct keys *k, struct arena *a)
{
	pthread_mutex_lock(&k->lock);
	struct reading *r = k->now;
	if (r)
		atomic_fetch_add(&r->refs, 1);
	pthread_mutex_unlock(&k->lock);
	if (r)
		arena_defer(a, reading_drop, r);
	return r;
}

static epoch now_of(const struct house *h) { return h->clock ? h->clock() : clock_ms() / 1000; }

/* ---- rows into a ring -------------------------------------------------------------------------------------------- */

static struct str sealed_as(struct arena *a, struct str kid) { return str_fmt(a, "key:%s", kid.p); }

/* What is sealed of a key in the HSM: that it is there, and which public half it has. */
static struct str in_hsm(struct arena *a, struct str public_jwk) { return str_fmt(a, "hsm:%s", hash_of(a, public_jwk).p); }

static err open_row(struct house *h, struct arena *a, const struct key_row *row, struct ring_key *out)
{
	struct str text;
	struct bytes pkcs8;
	if (!seal_open(a, h->secrets.seal, sealed_as(a, row->kid), row->sealed, &text))
		return fault(a, &SERVER_ERROR, "signing key %s does not open with this master key", row->kid.p);
	*out = (struct ring_key){ .created_at = row->created_at, .active_at = row->active_at, .retire_at = row->retire_at };
	if (str_eq(text, in_hsm(a, row->public_jwk)))
		return h->hsm ? signer_hsm_open(h->hsm, a, row->alg, row->kid, row->public_jwk, &out->signer)
		              : fault(a, &SERVER_ERROR, "signing key %s is in an HSM, and [keys] names none", row->kid.p);
	if (!b64url_read(a, text, &pkcs8))
		return fault(a, &SERVER_ERROR, "signing key %s does not read", row->kid.p);
	return signer_local_open(a, row->alg, row->kid, pkcs8, &out->signer);
}

static bool is_over(const struct key_row *row, epoch now) { return row->retire_at && row->retire_at <= now; }

static err ring_of(struct house *h, struct arena *a, const struct key_row *rows, size_t n, epoch now, struct keyring **out)
{
	struct ring_key *keys = make_n(a, struct ring_key, n + 1);
	size_t used = 0;
	for (size_t i = 0; i < n; i++) {
		if (is_over(&rows[i], now))
			continue;
		err e = open_row(h, a, &rows[i], &keys[used]);
		if (e.kind) {
			while (used)
				signer_free(keys[--used].signer);
			return e;
		}
		used++;
	}
	return keyring_new(a, keys, used, out);
}

static struct str mark_of(struct arena *a, const struct key_row *rows, size_t n, epoch now)
{
	struct buf b = buf_new(a, 512, 64 * 1024);
	for (size_t i = 0; i < n; i++)
		if (!is_over(&rows[i], now))
			buf_fmt(&b, "%s %lld %lld\n", rows[i].kid.p, (long long)rows[i].active_at, (long long)rows[i].retire_at);
	return (struct str){ b.p, b.n };
}

static err publish(struct keys *k, struct arena *a, const struct key_row *rows, size_t n, epoch now)
{
	struct keyring *ring;
	struct str mark = mark_of(a, rows, n, now);
	if (k->now && str_eq(k->now->mark, mark))      /* only the reader, who holds k->reading, changes k->now */
		return OK;
	TRY(ring_of(k->house, a, rows, n, now, &ring));
	struct reading *fresh = calloc(1, sizeof *fresh);
	if (!fresh) {
		keyring_drop(ring);
		return fault(a, &SERVER_ERROR, "no memory for the keyring");
	}
	*fresh = (struct reading){ .ring = ring, .a = arena_new() };
	atomic_init(&fresh->refs, 1);
	fresh->mark = str_copy(fresh->a, mark);
	fresh->jwks = str_copy(fresh->a, keyring_jwks(ring, a, now));
	pthread_mutex_lock(&k->lock);
	struct reading *old = k->now;
	k->now = fresh;
	pthread_mutex_unlock(&k->lock);
	reading_drop(old);
	return OK;
}

/* ---- making keys ---------------------------------------------------------------------------------------------------- */

static struct audit audit_key(struct house *h, struct arena *a, const char *event, struct str kid, epoch now)
{
	struct req rq = { .a = a, .house = h, .now = now, .now_ms = now * 1000, .id = S(""), .peer = S("") };
	struct audit ev = audit_of(&rq, event);
	ev.detail = str_fmt(a, "{\"kid\":\"%s\"}", kid.p);
	return ev;
}

/* What is to be sealed: the private half, or where it is. */
static err private_half(struct house *h, struct arena *a, struct signer *s, struct str *out)
{
	struct bytes pkcs8;
	if (h->hsm) {
		*out = in_hsm(a, signer_public_jwk(s));
		return OK;
	}
	TRY(signer_local_export(s, a, &pkcs8));
	*out = b64url(a, pkcs8);
	return OK;
}

/* CONFLICT: another process made this one; its row is as good as ours. A pair in the HSM that no row speaks of is destroyed again. */
static err make_key(struct house *h, struct arena *a, struct str alg, epoch now, epoch active_at, struct str *kid)
{
	struct signer *s;
	struct str private;
	*kid = (struct str){ rand_token(a).p, 22 };
	*kid = str_dup(a, kid->p, kid->n);
	TRY(h->hsm ? signer_hsm_new(h->hsm, a, alg, *kid, &s) : signer_local_new(a, alg, *kid, &s));
	struct key_row row = {
		.kid = *kid, .alg = alg, .public_jwk = str_copy(a, signer_public_jwk(s)), .created_at = now, .active_at = active_at,
	};
	err e = private_half(h, a, s, &private);
	signer_free(s);
	TRY(e);
	row.sealed = seal(a, h->secrets.seal, sealed_as(a, *kid), private);
	struct audit ev = audit_key(h, a, "key.made", *kid, now);
	e = store_key_add(h->store, a, &row, &ev);
	if (e.kind == &CONFLICT && h->hsm && hsm_forget(h->hsm, a, *kid).kind)
		log_say(LOG_WARN, "a key that nobody uses is left in the HSM", "kid", kid->p, NULL);
	return e;
}

/* Everything that a key signed has expired, and every cache of the set that named it, by: */
static epoch retires(const struct house *h, epoch next_active)
{
	const struct settings *c = h->conf;
	return next_active + (c->access_lives > c->id_lives ? c->access_lives : c->id_lives) + JWKS_LIVES;
}

static const struct key_row *newest(const struct key_row *rows, size_t n, struct str alg, const struct key_row *but)
{
	const struct key_row *found = NULL;
	for (size_t i = 0; i < n; i++)
		if (&rows[i] != but && str_eq(rows[i].alg, alg) && (!found || rows[i].active_at > found->active_at))
			found = &rows[i];
	return found;
}

static epoch round_up(epoch t, int64_t step) { return (t + step - 1) / step * step; }

/* The first key signs at once, unless a set without it has been published: then when no cache has that set any more. */
static epoch first_signs(const struct key_row *rows, size_t n, epoch now)
{
	epoch since = now;
	for (size_t i = 0; i < n; i++)
		since = rows[i].created_at < since ? rows[i].created_at : since;
	return since + YOUNG > now ? now - now % 60 : round_up(now + JWKS_LIVES, 60);
}

/* The next key is made key_overlap before it is due, so that whoever caches the set has it by then; when nobody
 * was there to make it, it still is published for half of that. Times are such that processes which do this at once mean the same key, and
 * all but one are told CONFLICT. */
static err due(struct house *h, struct arena *a, const struct key_row *rows, size_t n, struct str alg, epoch now, bool *changed)
{
	struct str kid;
	const struct settings *c = h->conf;
	const struct key_row *last = newest(rows, n, alg, NULL), *before = last ? newest(rows, n, alg, last) : NULL;
	if (before && !before->retire_at && last->active_at > before->active_at) {
		struct audit ev = audit_key(h, a, "key.changed", before->kid, now);
		*changed = true;
		TRY(store_key_set(h->store, a, before->kid, before->active_at, retires(h, last->active_at), &ev));
	}
	if (last && now < last->active_at + c->key_rotation - c->key_overlap)
		return OK;
	epoch at = last ? last->active_at + c->key_rotation : first_signs(rows, n, now);
	if (last && at < now + c->key_overlap / 2)
		at = round_up(now + c->key_overlap, 60);
	err e = make_key(h, a, alg, now, at, &kid);
	*changed |= !e.kind || e.kind == &CONFLICT;
	if (e.kind == &UNAVAILABLE && h->hsm)      /* the keys that there are go on; the next reading tries again */
		log_say(LOG_ERROR, "no signing key could be made", "alg", alg.p, "why", e.why, NULL);
	return e.kind == &CONFLICT || (e.kind == &UNAVAILABLE && h->hsm) ? OK : e;
}

/* ---- keeping fresh ---------------------------------------------------------------------------------------------------- */

static err read_rows(struct keys *k, struct arena *a, epoch now)
{
	struct key_row *rows = NULL;
	size_t n = 0;
	bool changed = true;
	for (int round = 0; changed && round < 3; round++) {
		changed = false;
		TRY(store_key_list(k->house->store, a, &rows, &n));
		if (n > MANY)
			log_say(LOG_WARN, "more signing keys than are ever needed", NULL);
		for (const struct str *alg = ALGS; alg->n; alg++)
			TRY(due(k->house, a, rows, n, *alg, now, &changed));
	}
	return publish(k, a, rows, n, now);
}

static err refresh(struct keys *k, epoch now)
{
	struct arena *a = arena_new();             /* private keys pass through it: wiped at once, not at a request's end */
	err e = read_rows(k, a, now);
	pthread_mutex_lock(&k->lock);
	k->read_at = now;
	bool any = k->now != NULL;
	pthread_mutex_unlock(&k->lock);
	if (e.kind)
		log_say(LOG_ERROR, "the signing keys could not be read", "why", e.why, NULL);
	arena_free(a);
	return e.kind && !any ? (err){ e.kind, "the signing keys could not be read" } : OK;
}

static bool stale(struct keys *k, epoch now)
{
	pthread_mutex_lock(&k->lock);
	bool is = !k->now || now >= k->read_at + KEYS_FRESH || now < k->read_at;
	pthread_mutex_unlock(&k->lock);
	return is;
}

static err refresh_if_stale(struct keys *k, epoch now)
{
	err e = OK;
	if (!stale(k, now) || pthread_mutex_trylock(&k->reading) != 0)
		return OK;
	if (stale(k, now))
		e = refresh(k, now);
	pthread_mutex_unlock(&k->reading);
	return e;
}

err keys_new(struct house *h, struct arena *a, struct keys **out)
{
	struct keys *k = calloc(1, sizeof *k);
	if (!k)
		return fault(a, &SERVER_ERROR, "no memory for the keys");
	k->house = h;
	pthread_mutex_init(&k->lock, NULL);
	pthread_mutex_init(&k->reading, NULL);
	pthread_cond_init(&k->end, NULL);
	err e = refresh(k, now_of(h));
	if (e.kind) {
		keys_free(k);
		return e;
	}
	*out = k;
	return OK;
}

void keys_free(struct keys *k)
{
	if (!k)
		return;
	if (k->kept) {
		pthread_mutex_lock(&k->lock);
		k->ending = true;
		pthread_cond_signal(&k->end);
		pthread_mutex_unlock(&k->lock);
		pthread_join(k->keeper, NULL);
	}
	reading_drop(k->now);
	pthread_mutex_destroy(&k->lock);
	pthread_mutex_destroy(&k->reading);
	pthread_cond_destroy(&k->end);
	free(k);
}

err keys_now(struct house *h, struct arena *a, struct keyring **out)
{
	TRY(refresh_if_stale(h->keys, now_of(h)));
	struct reading *r = reading_hold(h->keys, a);
	if (!r)
		return fault(a, &UNAVAILABLE, "there are no signing keys yet");
	*out = r->ring;
	return OK;
}

err keys_seek(struct house *h, struct arena *a, struct str kid, struct keyring **out)
{
	struct keys *k = h->keys;
	epoch now = now_of(h);
	TRY(keys_now(h, a, out));
	if (keyring_key(*out, kid, now))
		return OK;
	pthread_mutex_lock(&k->lock);
	bool may = now != k->sought_at && now != k->read_at;
	k->sought_at = now;
	pthread_mutex_unlock(&k->lock);
	if (!may || pthread_mutex_trylock(&k->reading) != 0)
		return OK;
	err e = refresh(k, now);
	pthread_mutex_unlock(&k->reading);
	TRY(e);
	return keys_now(h, a, out);
}

err keys_jwks(struct house *h, struct arena *a, struct str *json)
{
	if (!h->keys->kept)
		TRY(refresh_if_stale(h->keys, now_of(h)));
	struct reading *r = reading_hold(h->keys, a);
	if (!r)
		return fault(a, &UNAVAILABLE, "there are no signing keys yet");
	*json = r->jwks;
	return OK;
}

static void *keep(void *p)
{
	struct keys *k = p;
	pthread_mutex_lock(&k->lock);
	while (!k->ending) {
		struct timespec until;
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_sec += KEYS_FRESH - 1;             /* before the requests would have to */
		while (!k->ending && pthread_cond_timedwait(&k->end, &k->lock, &until) != ETIMEDOUT) {}
		if (k->ending)
			break;
		pthread_mutex_unlock(&k->lock);
		pthread_mutex_lock(&k->reading);
		err e = refresh(k, now_of(k->house));
		(void)e;                               /* said in the log; the ring stays */
		pthread_mutex_unlock(&k->reading);
		pthread_mutex_lock(&k->lock);
	}
	pthread_mutex_unlock(&k->lock);
	return NULL;
}

err keys_keep(struct house *h, struct arena *a)
{
	if (pthread_create(&h->keys->keeper, NULL, keep, h->keys) != 0)
		return fault(a, &SERVER_ERROR, "no thread for the keys");
	h->keys->kept = true;
	return OK;
}

/* ---- by hand ------------------------------------------------------------------------------------------------------------- */

err keys_rotate(struct house *h, struct arena *a, struct str alg, epoch now, epoch active_at, struct str *kid)
{
	struct key_row *rows;
	size_t n;
	bool known = false;
	for (const struct str *l = ALGS; l->n; l++)
		known |= str_eq(*l, alg);
	if (!known)
		return fault(a, &BAD_USAGE, "no keys of %s are kept; there are RS256, ES256, PS256 and EdDSA", alg.p);
	TRY(store_key_list(h->store, a, &rows, &n));
	const struct key_row *last = newest(rows, n, alg, NULL);
	TRY(make_key(h, a, alg, now, active_at, kid));
	if (!last || last->retire_at)
		return OK;
	struct audit ev = audit_key(h, a, "key.changed", last->kid, now);
	return store_key_set(h->store, a, last->kid, last->active_at, retires(h, active_at), &ev);
}
