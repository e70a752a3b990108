#include "remote.h"
#include "address.h"
#include "clock.h"
#include "log.h"
#include "server.h"
#include "settings.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

enum { BUCKETS = 1024, KEPT = 8192, URL_MOST = 2048, TIMEOUT_MS = 4000 };

/* ---- asking outside --------------------------------------------------------------------------------------------------- */

static bool loopback_let_in(const struct house *h)
{
	struct address here;
	return address_read(S("127.0.0.1"), &here) && address_in(&here, h->conf->outgoing_networks);
}

static bool names_loopback(struct str url)
{
	static const struct str HERE[] = { S("http://127.0.0.1:"), S("http://127.0.0.1/"), S("http://localhost:"), S("http://localhost/"), S("http://[::1]:"), S("http://[::1]/") };
	for (size_t i = 0; i < sizeof HERE / sizeof *HERE; i++)
		if (str_starts(url, HERE[i]))
			return true;
	return false;
}

bool outside_fit(const struct house *h, struct str url)
{
	if (url.n < 8 || url.n > URL_MOST || !str_printable(url) || strpbrk(url.p, " \\\"<>#"))
		return false;
	struct str rest = { url.p + 8, url.n - 8 };
	if (str_starts(url, S("https://")))
		return rest.n && rest.p[0] != '/' && !memchr(rest.p, '@', strcspn(rest.p, "/?"));
	return names_loopback(url) && loopback_let_in(h);
}

struct fetch_ask outside_ask(const struct house *h, struct str url)
{
	return (struct fetch_ask){ .url = url, .method = S("GET"), .accept = S("application/json"), .max = REMOTE_MAX, .timeout_ms = TIMEOUT_MS,
		.ca_file = h->conf->outgoing_ca, .stranger = true, .networks = h->conf->outgoing_networks };
}

/* ---- what is kept ----------------------------------------------------------------------------------------------------- */

enum kind { KIND_KEYS = 'k', KIND_TEXT = 't' };

/* Shared by the table and by the requests that read it. */
struct doc { atomic_int refs; struct arena *a; struct str text; struct key_set keys; };
struct waiter { struct waiter *next; void *token; };

struct place {
	struct place *next;
	char *name;                          /* kind and url */
	bool asking, failed;                 /* failed: the last time */
	epoch asked_at, good_at;             /* when the last answer came, and the last good one */
	struct doc *doc;                     /* NULL: never a good one */
	char why[160];
	struct waiter *waiters;
};

struct remotes { pthread_mutex_t lock; struct place *bucket[BUCKETS]; size_t n; };

err remotes_new(struct arena *a, struct remotes **out)
{
	*out = calloc(1, sizeof **out);
	if (!*out)
		return fault(a, &SERVER_ERROR, "no memory for the documents of clients");
	pthread_mutex_init(&(*out)->lock, NULL);
	return OK;
}

static struct doc *doc_hold(struct doc *d)
{
	atomic_fetch_add(&d->refs, 1);
	return d;
}

static void doc_drop(void *p)
{
	struct doc *d = p;
	if (!d || atomic_fetch_sub(&d->refs, 1) != 1)
		return;
	arena_free(d->a);
	free(d);
}

static void place_free(struct place *p)
{
	for (struct waiter *w = p->waiters, *next; w; w = next) {
		next = w->next;
		free(w);
	}
	doc_drop(p->doc);
	free(p->name);
	free(p);
}

void remotes_free(struct remotes *r)
{
	if (!r)
		return;
	for (size_t b = 0; b < BUCKETS; b++)
		for (struct place *p = r->bucket[b], *next; p; p = next) {
			next = p->next;
			place_free(p);
		}
	pthread_mutex_destroy(&r->lock);
	free(r);
}

static struct place **find(struct remotes *r, const char *name)
{
	unsigned h = 5381;
	for (const char *p = name; *p; p++)
		h = h * 33 + (unsigned char)*p;
	struct place **at = &r->bucket[h % BUCKETS];
	while (*at && strcmp((*at)->name, name))
		at = &(*at)->next;
	return at;
}

/* A full table forgets what nobody waits for, bucket by bucket, until there is room. */
static void make_room(struct remotes *r)
{
	for (size_t b = 0; r->n >= KEPT && b < BUCKETS; b++)
		for (struct place **at = &r->bucket[b]; *at;) {
			struct place *old = *at;
			if (old->asking) {
				at = &old->next;
				continue;
			}
			*at = old->next;
			place_free(old);
			r->n--;
		}
}

static struct place *place_of(struct remotes *r, const char *name)
{
	struct place **at = find(r, name);
	if (*at)
		return *at;
	make_room(r);
	at = find(r, name);
	struct place *p = calloc(1, sizeof *p);
	if (!p || !(p->name = strdup(name)))
		abort();
	*at = p;
	r->n++;
	return p;
}

/* ---- asking ------------------------------------------------------------------------------------------------------------ */

/* It outlives the request that began it. */
struct question { struct house *house; struct arena *a; struct str name; epoch since; };

static epoch house_now(struct house *h) { return h->clock ? h->clock() : clock_ms() / 1000; }

static err doc_read(struct arena *a, enum kind kind, struct bytes body, struct doc *d)
{
	json_t *o;
	struct str text = str_dup(a, (const char *)body.p, body.n);
	if (memchr(body.p, 0, body.n) || !str_utf8(text))
		return fault(a, &INVALID_REQUEST, "not UTF-8 text");
	if (kind == KIND_TEXT) {
		d->text = text;
		return OK;
	}
	TRY(json_read_object(a, text, &o));
	return key_set_read(a, o, &d->keys);
}

static struct doc *doc_from(struct question *q, const struct fetch_answer *f, const char **why)
{
	struct doc *d = calloc(1, sizeof *d);
	if (!d)
		abort();
	d->a = arena_new();
	atomic_init(&d->refs, 1);
	err e = f->status == 200 ? doc_read(d->a, (enum kind)q->name.p[0], f->body, d)
		: f->status ? fault(q->a, &UNAVAILABLE, "HTTP %d", f->status) : fault(q->a, &UNAVAILABLE, "%s", f->why);
	if (!e.kind)
		return d;
	*why = str_copy(q->a, str_of(e.why)).p;
	doc_drop(d);
	return NULL;
}

static void came(void *ctx, const struct fetch_answer *f)
{
	struct question *q = ctx;
	struct remotes *r = q->house->remotes;
	const char *why = "";
	epoch now = house_now(q->house);
	struct doc *fresh = doc_from(q, f, &why), *old = NULL;
	if (!fresh)
		log_say(LOG_WARN, "a client's document could not be read", "url", q->name.p + 1, "why", why, NULL);
	pthread_mutex_lock(&r->lock);
	struct place *p = place_of(r, q->name.p);
	struct waiter *w = p->waiters;
	p->waiters = NULL;
	p->asking = false;
	p->failed = !fresh;
	p->asked_at = now > q->since ? now : q->since;       /* a clock that was set back must not make them ask for ever */
	snprintf(p->why, sizeof p->why, "%s", why);
	if (fresh)
		old = p->doc, p->doc = fresh, p->good_at = p->asked_at;
	pthread_mutex_unlock(&r->lock);
	doc_drop(old);
	for (struct waiter *next; w; w = next) {
		next = w->next;
		request_wake(w->token);
		free(w);
	}
	arena_free(q->a);
}

static void ask(struct req *rq, struct str name)
{
	struct arena *a = arena_new();
	struct question *q = make(a, struct question);
	*q = (struct question){ .house = rq->house, .a = a, .name = str_copy(a, name), .since = rq->now };
	struct fetch_ask k = outside_ask(rq->house, str_from(a, q->name, 1));
	fetch_start(rq->house->fetch, &k, came, q);
}

/* Under the lock. */
static bool at_hand(const struct req *rq, const struct place *p, epoch since)
{
	if (p->good_at && p->good_at >= since)       /* whoever makes us ask again makes nobody wait who has what is needed */
		return true;
	return !p->asking && p->failed && p->asked_at > rq->now - REMOTE_RETRY;
}

static err answer_of(struct req *rq, const struct place *p, struct doc **out)
{
	if (!p->doc || p->good_at <= rq->now - REMOTE_STALE)
		return fault(rq->a, &UNAVAILABLE, "%s: %s", p->name + 1, p->why);
	*out = doc_hold(p->doc);
	arena_defer(rq->a, doc_drop, *out);
	return OK;
}

static err park_at(struct req *rq, struct place *p, bool *begin)
{
	void *token;
	err e = request_park(rq, &token);
	*begin = !p->asking;
	p->asking = true;
	if (e.kind != &PARKED)
		return e;                        /* whoever cannot wait finds it the next time */
	struct waiter *w = calloc(1, sizeof *w);
	if (!w)
		abort();
	*w = (struct waiter){ p->waiters, token };
	p->waiters = w;
	return e;
}

static err read_doc(struct req *rq, enum kind kind, struct str url, epoch since, struct doc **out, epoch *at)
{
	struct remotes *r = rq->house->remotes;
	struct str name = str_fmt(rq->a, "%c%s", (char)kind, url.p);
	bool begin = false;
	if (!outside_fit(rq->house, url))
		return fault(rq->a, &UNAVAILABLE, "%.200s is no address that is asked", url.p);
	pthread_mutex_lock(&r->lock);
	struct place *p = place_of(r, name.p);
	err e = at_hand(rq, p, since) ? answer_of(rq, p, out) : park_at(rq, p, &begin);
	*at = p->asked_at;
	pthread_mutex_unlock(&r->lock);
	if (begin)
		ask(rq, name);
	return e;
}

/* ---- what is read ------------------------------------------------------------------------------------------------------- */

err remote_text(struct req *rq, struct str url, epoch since, struct str *out)
{
	struct doc *d;
	epoch at;
	TRY(read_doc(rq, KIND_TEXT, url, since, &d, &at));
	*out = d->text;
	return OK;
}

static err keys_since(struct req *rq, struct str uri, epoch since, const struct key_set **out, epoch *at)
{
	struct doc *d;
	TRY(read_doc(rq, KIND_KEYS, uri, since, &d, at));
	*out = &d->keys;
	return OK;
}

static err keys_anew(struct req *rq, struct str uri, const struct key_set **out)
{
	epoch at;
	TRY(keys_since(rq, uri, rq->now - REMOTE_FRESH, out, &at));
	return at + REMOTE_AGAIN <= rq->now ? keys_since(rq, uri, rq->now, out, &at) : OK;
}

/* OpenID Connect Core section 10.1.1: "the encountering of an unfamiliar kid" is the signal to look again at the jwks_uri */
err keys_at(struct req *rq, struct str uri, struct str kid, const struct key_set **out)
{
	epoch at;
	TRY(keys_since(rq, uri, rq->now - REMOTE_FRESH, out, &at));
	return kid.n && !key_set_find(*out, kid, S("")) ? keys_anew(rq, uri, out) : OK;
}

err client_keys(struct req *rq, const struct client *c, struct str kid, const struct key_set **out)
{
	*out = &c->jwks;
	return c->jwks_uri.n ? keys_at(rq, c->jwks_uri, kid, out) : OK;
}

err client_keys_anew(struct req *rq, const struct client *c, const struct key_set **out)
{
	*out = &c->jwks;
	return c->jwks_uri.n ? keys_anew(rq, c->jwks_uri, out) : OK;
}
