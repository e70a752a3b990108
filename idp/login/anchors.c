#include "anchors.h"
#include "code.h"
#include "hash.h"
#include <pthread.h>
#include <stdlib.h>

enum { FRESH = 5 };      /* seconds that a reading is used */

struct anchors {
	pthread_mutex_t lock;
	struct trust *trust;
	unsigned char made_of[SHA256_SIZE];  /* of the rows in it */
	epoch read_at;
};

err anchors_new(struct arena *a, struct anchors **out)
{
	(void)a;
	*out = calloc(1, sizeof **out);
	if (!*out)
		abort();
	pthread_mutex_init(&(*out)->lock, NULL);
	return OK;
}

void anchors_free(struct anchors *n)
{
	if (!n)
		return;
	trust_drop(n->trust);
	pthread_mutex_destroy(&n->lock);
	free(n);
}

err anchor_read(struct arena *a, const struct trust_row *row, struct anchor *out)
{
	struct bytes der;
	json_t *o;
	if (!b64_read(a, row->der, &der))
		return fault(a, &BAD_CONFIG, "trust %s: not base64", row->id.p);
	*out = (struct anchor){ .name = row->name, .intermediate = str_is(row->kind, "intermediate"), .purposes = row->purposes };
	TRY(cert_read(a, der, &out->cert));
	TRY(json_read_object(a, row->settings.n ? row->settings : S("{}"), &o));
	out->ocsp_url = json_text(o, "ocsp");
	out->crl_url = json_text(o, "crl");
	out->policies = json_strs(a, o, "policies");
	out->ekus = json_strs(a, o, "ekus");
	out->level = json_text(o, "level");
	if (str_empty(out->level))
		out->level = S("high");
	json_bool(o, "ocsp_nonce", &out->ocsp_nonce);
	json_int(o, "status_age", &out->status_age);
	return OK;
}

static void stir(unsigned char hash[SHA256_SIZE], struct str s)
{
	unsigned char both[2 * SHA256_SIZE];
	memcpy(both, hash, SHA256_SIZE);
	sha256(s.p, s.n, both + SHA256_SIZE);
	sha256(both, sizeof both, hash);
}

static void hash_rows(const struct trust_row *rows, size_t n, unsigned char out[SHA256_SIZE])
{
	memset(out, 0, SHA256_SIZE);
	for (size_t i = 0; i < n; i++) {
		const struct str all[] = { rows[i].id, rows[i].name, rows[i].kind, rows[i].purposes, rows[i].settings, rows[i].der };
		for (size_t k = 0; !rows[i].disabled_at && k < sizeof all / sizeof *all; k++)
			stir(out, all[k]);
	}
}

/* The trust is built anew only when its rows have changed: it remembers whom it has found good. */
static err read_all(struct house *h, struct arena *a, struct anchors *now)
{
	struct trust_row *rows;
	struct trust *fresh;
	size_t n, used = 0;
	unsigned char made_of[SHA256_SIZE];
	TRY(store_trust_list(h->store, a, &rows, &n));
	hash_rows(rows, n, made_of);
	if (now->trust && memcmp(made_of, now->made_of, sizeof made_of) == 0)
		return OK;
	struct anchor *anchors = make_n(a, struct anchor, n + 1);
	for (size_t i = 0; i < n; i++)
		if (!rows[i].disabled_at)
			TRY(anchor_read(a, &rows[i], &anchors[used++]));
	TRY(trust_new(a, anchors, used, &fresh));
	trust_drop(now->trust);
	now->trust = fresh;
	memcpy(now->made_of, made_of, sizeof made_of);
	return OK;
}

static void drop(void *t) { trust_drop(t); }

err anchors_now(struct house *h, struct arena *a, epoch now, struct trust **out)
{
	struct anchors *n = h->anchors;
	err e = OK;
	pthread_mutex_lock(&n->lock);
	if (!n->trust || now >= n->read_at + FRESH || now < n->read_at) {
		e = read_all(h, a, n);
		if (!e.kind)
			n->read_at = now;
	}
	if (!e.kind)
		*out = trust_hold(n->trust);
	pthread_mutex_unlock(&n->lock);
	if (!e.kind)
		arena_defer(a, drop, *out);
	return e;
}
