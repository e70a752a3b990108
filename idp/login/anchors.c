#include "anchors.h"
#include "code.h"
#include <pthread.h>
#include <stdlib.h>

enum { FRESH = 5 };      /* seconds that a reading is used */

struct anchors { pthread_mutex_t lock; struct trust *trust; epoch read_at; };

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

static err read_all(struct house *h, struct arena *a, struct trust **out)
{
	struct trust_row *rows;
	size_t n, used = 0;
	TRY(store_trust_list(h->store, a, &rows, &n));
	struct anchor *anchors = make_n(a, struct anchor, n + 1);
	for (size_t i = 0; i < n; i++)
		if (!rows[i].disabled_at)
			TRY(anchor_read(a, &rows[i], &anchors[used++]));
	return trust_new(a, anchors, used, out);
}

static void drop(void *t) { trust_drop(t); }

err anchors_now(struct house *h, struct arena *a, epoch now, struct trust **out)
{
	struct anchors *n = h->anchors;
	err e = OK;
	pthread_mutex_lock(&n->lock);
	if (!n->trust || now >= n->read_at + FRESH || now < n->read_at) {
		struct trust *fresh = NULL;
		e = read_all(h, a, &fresh);
		if (!e.kind) {
			trust_drop(n->trust);
			n->trust = fresh;
			n->read_at = now;
		}
	}
	if (!e.kind)
		*out = trust_hold(n->trust);
	pthread_mutex_unlock(&n->lock);
	if (!e.kind)
		arena_defer(a, drop, *out);
	return e;
}
