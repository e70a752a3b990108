#include "status_of.h"
#include "clock.h"
#include "errands.h"
#include "log.h"
#include "rand.h"
#include "server.h"
#include "settings.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum { BUCKETS = 4096, KEPT = 65536, NONCE = 32, UNDECIDED_FOR = 3, MAX_OCSP = 64 * 1024, MAX_CRL = 64 * 1024 * 1024 };

struct waiter { struct waiter *next; void *token; };

/* What is known of one certificate: while `asking`, whoever comes waits. */
struct known {
	struct known *next;
	char id[65];
	bool asking;
	enum status status;
	epoch good_until, revoked_at, this_update;
	char why[128];
	struct waiter *waiters;
};

struct statuses { pthread_mutex_t lock; struct known *bucket[BUCKETS]; size_t n; };

err statuses_new(struct arena *a, struct statuses **out)
{
	(void)a;
	*out = calloc(1, sizeof **out);
	if (!*out)
		abort();
	pthread_mutex_init(&(*out)->lock, NULL);
	return OK;
}

static void known_free(struct known *k)
{
	for (struct waiter *w = k->waiters, *next; w; w = next) {
		next = w->next;
		free(w);
	}
	free(k);
}

void statuses_free(struct statuses *s)
{
	if (!s)
		return;
	for (size_t b = 0; b < BUCKETS; b++)
		for (struct known *k = s->bucket[b], *next; k; k = next) {
			next = k->next;
			known_free(k);
		}
	pthread_mutex_destroy(&s->lock);
	free(s);
}

static struct known **place(struct statuses *s, const char *id)
{
	unsigned h = 5381;
	for (const char *p = id; *p; p++)
		h = h * 33 + (unsigned char)*p;
	struct known **k = &s->bucket[h % BUCKETS];
	while (*k && strcmp((*k)->id, id))
		k = &(*k)->next;
	return k;
}

/* Certificates are many and memory is not: a full table forgets the answers of one bucket that nobody waits for. */
static struct known *known_get(struct statuses *s, const char *id)
{
	struct known **at = place(s, id);
	if (*at)
		return *at;
	for (size_t b = 0; s->n >= KEPT && b < BUCKETS; b++)
		for (struct known **k = &s->bucket[b]; *k;) {
			struct known *old = *k;
			if (old->asking) {
				k = &old->next;
				continue;
			}
			*k = old->next;
			known_free(old);
			s->n--;
		}
	at = place(s, id);
	struct known *k = calloc(1, sizeof *k);
	if (!k)
		abort();
	memcpy(k->id, id, strnlen(id, sizeof k->id - 1));
	*at = k;
	s->n++;
	return k;
}

/* ---- the other nodes' answers -------------------------------------------------------------------------------------- */

static const char KIND[] = "cert-status";

static struct str label(struct arena *a, struct str id) { return str_fmt(a, "status:%s", id.p); }

static void share(struct house *h, struct arena *a, struct str id, const struct status_answer *s, epoch now)
{
	if (s->good_until <= now)
		return;
	struct str text = str_fmt(a, "%d %lld %lld %lld", s->status, (long long)s->good_until, (long long)s->revoked_at, (long long)s->this_update);
	err e = eph_put(h->eph, a, KIND, id, seal(a, h->secrets.seal, label(a, id), text), s->good_until - now);
	if (e.kind)
		log_say(LOG_WARN, "certificate status not shared", "why", e.why, NULL);
}

static bool shared(struct req *rq, struct str id, struct status_answer *out)
{
	struct str sealed, text;
	bool found = false;
	int status;
	long long until, at, update;
	err e = eph_get(rq->house->eph, rq->a, KIND, id, &sealed, &found);
	if (e.kind || !found || !seal_open(rq->a, rq->house->secrets.seal, label(rq->a, id), sealed, &text))
		return false;
	if (sscanf(text.p, "%d %lld %lld %lld", &status, &until, &at, &update) != 4 || until <= rq->now)
		return false;
	*out = (struct status_answer){ .status = status == STATUS_GOOD ? STATUS_GOOD : STATUS_REVOKED, .why = S("known to another node"),
		.good_until = until, .revoked_at = at, .this_update = update };
	return true;
}

/* ---- asking ------------------------------------------------------------------------------------------------------------ */

/* One question under way; it outlives the request that began it. */
struct question {
	struct house *house;
	struct arena *a;
	struct cert leaf, issuer;
	struct str ocsp_url, crl_url;
	bool nonce_required;
	int64_t max_age;
	unsigned char nonce[NONCE];
	struct str why;                      /* of the responder, while the list is asked */
	struct status_answer answer;
};

static epoch house_now(struct house *h) { return h->clock ? h->clock() : clock_ms() / 1000; }

static void share_later(void *ctx)
{
	struct question *q = ctx;
	share(q->house, q->a, q->leaf.id, &q->answer, house_now(q->house));
	arena_free(q->a);
}

/* On the thread that drives all questions: the other nodes are told by another, for that may have to wait. */
static void settle(struct question *q, const struct status_answer *s)
{
	struct statuses *all = q->house->statuses;
	epoch now = house_now(q->house);
	pthread_mutex_lock(&all->lock);
	struct known *k = known_get(all, q->leaf.id.p);
	struct waiter *w = k->waiters;
	k->waiters = NULL;
	k->asking = false;
	k->status = s->status;
	k->revoked_at = s->revoked_at;
	k->this_update = s->this_update;
	k->good_until = s->status == STATUS_UNDECIDED ? now + UNDECIDED_FOR : s->good_until;
	snprintf(k->why, sizeof k->why, "%.*s", STR_ARG(s->why));
	pthread_mutex_unlock(&all->lock);
	if (s->status == STATUS_UNDECIDED)
		log_say(LOG_WARN, "certificate status not learned", "cert", q->leaf.id.p, "why", s->why.p, NULL);
	for (struct waiter *next; w; w = next) {
		next = w->next;
		request_wake(w->token);
		free(w);
	}
	q->answer = *s;
	if (s->status == STATUS_UNDECIDED)
		arena_free(q->a);
	else
		errands_send(q->house->errands, share_later, q);
}

static struct status_answer undecided(struct str why) { return (struct status_answer){ .status = STATUS_UNDECIDED, .why = why }; }

static void crl_came(void *ctx, const struct fetch_answer *f)
{
	struct question *q = ctx;
	struct status_answer s = undecided(str_fmt(q->a, "OCSP: %s; CRL: %s", q->why.p, f->why ? f->why : "refused"));
	struct crl *crl = NULL;
	struct str why = S("");
	epoch now = house_now(q->house);
	if (f->status == 200) {
		err e = crl_read(q->a, f->body, &q->issuer, now, &crl, &why);
		if (!e.kind && crl)
			crl_look(crl, q->a, &q->leaf, now, &s);
		else
			s.why = str_fmt(q->a, "OCSP: %s; CRL: %s", q->why.p, e.kind ? e.why : why.p);
		crl_free(crl);
	}
	settle(q, &s);
}

static void ask_crl(struct question *q)
{
	if (str_empty(q->crl_url) || !q->house->conf->crl_fallback) {
		struct status_answer s = undecided(q->why);
		settle(q, &s);
		return;
	}
	struct fetch_ask ask = { .url = q->crl_url, .method = S("GET"), .max = MAX_CRL, .timeout_ms = q->house->conf->status_timeout * 1000 };
	fetch_start(q->house->fetch, &ask, crl_came, q);
}

static void ocsp_came(void *ctx, const struct fetch_answer *f)
{
	struct question *q = ctx;
	struct status_answer s = undecided(str_of(f->why ? f->why : "the responder refused"));
	if (f->status == 200) {
		err e = ocsp_read(q->a, f->body, &q->leaf, &q->issuer, (struct bytes){ q->nonce, NONCE }, q->nonce_required, q->max_age,
			house_now(q->house), &s);
		if (e.kind)
			s = undecided(str_of(e.why));
	} else if (f->status) {
		s.why = str_fmt(q->a, "the responder answered HTTP %d", f->status);
	}
	if (s.status != STATUS_UNDECIDED) {
		settle(q, &s);
		return;
	}
	q->why = str_copy(q->a, s.why);
	ask_crl(q);
}

static void ask_ocsp(struct question *q)
{
	struct bytes body;
	rand_fill(q->nonce, NONCE);
	err e = ocsp_request(q->a, &q->leaf, &q->issuer, (struct bytes){ q->nonce, NONCE }, &body);
	if (e.kind) {
		struct status_answer s = undecided(str_of(e.why));
		settle(q, &s);
		return;
	}
	/* RFC 6960 appendix A.1 */
	struct fetch_ask ask = { .url = q->ocsp_url, .method = S("POST"), .content_type = S("application/ocsp-request"),
		.accept = S("application/ocsp-response"), .body = body, .max = MAX_OCSP, .timeout_ms = q->house->conf->status_timeout * 1000 };
	fetch_start(q->house->fetch, &ask, ocsp_came, q);
}

static void ask(struct house *h, const struct cert *leaf, const struct cert *issuer, const struct anchor *anchor)
{
	struct arena *a = arena_new();
	struct question *q = make(a, struct question);
	*q = (struct question){ .house = h, .a = a, .ocsp_url = str_copy(a, anchor->ocsp_url), .crl_url = str_copy(a, anchor->crl_url),
		.nonce_required = anchor->ocsp_nonce, .max_age = anchor->status_age ? anchor->status_age : h->conf->status_age };
	struct status_answer s = undecided(S("the certificate cannot be read again"));
	q->leaf.id = str_copy(a, leaf->id);
	if (cert_read(a, bytes_copy(a, leaf->der.p, leaf->der.n), &q->leaf).kind || cert_read(a, bytes_copy(a, issuer->der.p, issuer->der.n), &q->issuer).kind)
		settle(q, &s);
	else if (q->ocsp_url.n)
		ask_ocsp(q);
	else
		q->why = S("none is configured"), ask_crl(q);
}

/* Under the lock: true when the answer is at hand. */
static bool at_hand(const struct req *rq, const struct known *k, struct status_answer *out)
{
	if (k->asking || k->good_until <= rq->now)
		return false;
	*out = (struct status_answer){ .status = k->status, .why = str_dup(rq->a, k->why, strlen(k->why)), .good_until = k->good_until,
		.revoked_at = k->revoked_at, .this_update = k->this_update };
	return true;
}

static void remember(struct known *k, const struct status_answer *s)
{
	k->status = s->status;
	k->good_until = s->good_until;
	k->revoked_at = s->revoked_at;
	k->this_update = s->this_update;
}

err status_of(struct req *rq, const struct cert *leaf, const struct cert *issuer, const struct anchor *anchor, struct status_answer *out)
{
	struct statuses *all = rq->house->statuses;
	struct waiter *w;
	void *token;

	pthread_mutex_lock(&all->lock);
	bool have = at_hand(rq, known_get(all, leaf->id.p), out);
	pthread_mutex_unlock(&all->lock);
	if (have)
		return OK;
	if (shared(rq, leaf->id, out)) {
		pthread_mutex_lock(&all->lock);
		remember(known_get(all, leaf->id.p), out);
		pthread_mutex_unlock(&all->lock);
		return OK;
	}

	pthread_mutex_lock(&all->lock);
	struct known *k = known_get(all, leaf->id.p);
	bool begin = false;
	err e = OK;
	if (!at_hand(rq, k, out)) {
		e = request_park(rq, &token);
		if (e.kind == &PARKED) {
			w = calloc(1, sizeof *w);
			if (!w)
				abort();
			*w = (struct waiter){ k->waiters, token };
			k->waiters = w;
		}
		begin = !k->asking;            /* also for who cannot wait: it is known the next time */
		k->asking = true;
	}
	pthread_mutex_unlock(&all->lock);
	if (begin)
		ask(rq->house, leaf, issuer, anchor);
	return e;
}
