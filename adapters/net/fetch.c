#include <arpa/inet.h>
#include <curl/curl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>
#include "address.h"
#include "clock.h"
#include "log.h"
#include "net.h"

enum { HEAD_MAX = 65536, CONNECT_MS = 5000, IDLE_EASY = 64, KEPT_CONNECTIONS = 256, LONGEST_WAIT_MS = 1000 };

struct job {
	struct job *prev, *next;
	fetch_done *done;
	void *ctx;
	const char *refused;                 /* why it is not even tried; else NULL */
	struct fetch_ask ask;                /* its texts lie behind the struct */
	struct curl_slist *headers;
	unsigned char *body;
	size_t n, cap, head;
	const char *broke;                   /* why we broke it off; else NULL */
	CURL *easy;
};

struct timer { int64_t at; uint64_t order; void (*fn)(void *); void *ctx; };

struct fetch {
	pthread_t thread;
	CURLM *multi;
	atomic_bool closing;
	pthread_mutex_t lock;                /* guards what follows */
	struct job *first, **last;
	struct timer *heap;                  /* earliest first */
	size_t ntimers, captimers;
	uint64_t order;
	size_t open;
	/* the thread's own */
	struct job running;                  /* ring */
	CURL *idle[IDLE_EASY];
	size_t nidle;
};

/* ---- asking, on any thread ---- */

static struct str pack(char **at, const void *p, size_t n)
{
	struct str s = { *at, n };
	if (n)
		memcpy(*at, p, n);
	(*at)[n] = 0;
	*at += n + 1;
	return s;
}

static struct job *job_copy(const struct fetch_ask *k)
{
	const struct str *texts[] = { &k->url, &k->method, &k->content_type, &k->accept, &k->ca_file, &k->cert_file, &k->key_file, &k->header, &k->networks };
	enum { TEXTS = sizeof texts / sizeof *texts };
	size_t n = k->body.n + 1;
	for (size_t i = 0; i < TEXTS; i++)
		n += texts[i]->n + 1;
	struct job *j = calloc(1, sizeof *j + n);
	if (!j)
		abort();
	j->ask = *k;
	struct str *into[TEXTS] = { &j->ask.url, &j->ask.method, &j->ask.content_type, &j->ask.accept,
	                            &j->ask.ca_file, &j->ask.cert_file, &j->ask.key_file, &j->ask.header, &j->ask.networks };
	char *at = (char *)(j + 1);
	for (size_t i = 0; i < TEXTS; i++)
		*into[i] = pack(&at, texts[i]->p, texts[i]->n);
	j->ask.body = str_bytes(pack(&at, k->body.p, k->body.n));
	return j;
}

static const char *wrong_with(const struct fetch_ask *k)
{
	if (!str_is(k->method, "GET") && !str_is(k->method, "POST"))
		return "neither GET nor POST";
	if (!str_printable(k->url) || !str_printable(k->header) || !str_printable(k->content_type) || !str_printable(k->accept))
		return "a control character in the address or a header";
	if (!str_starts(k->url, S("http://")) && !str_starts(k->url, S("https://")))
		return "the address is neither http nor https";
	if (k->timeout_ms <= 0)
		return "no time left";
	return NULL;
}

static struct job *job_refused(const char *why)
{
	struct job *j = calloc(1, sizeof *j);
	if (!j)
		abort();
	j->refused = why;
	return j;
}

void fetch_start(struct fetch *f, const struct fetch_ask *k, fetch_done *done, void *ctx)
{
	const char *wrong = wrong_with(k);
	struct job *j = wrong ? job_refused(wrong) : job_copy(k);
	pthread_mutex_lock(&f->lock);
	if (!j->refused && f->open >= FETCH_OPEN_MAX) {
		free(j);
		j = job_refused("busy");
	}
	f->open += !j->refused;
	j->done = done, j->ctx = ctx;
	*f->last = j, f->last = &j->next;
	pthread_mutex_unlock(&f->lock);
	curl_multi_wakeup(f->multi);
}

bool fetch_closing(struct fetch *f) { return atomic_load(&f->closing); }

/* ---- timers: a binary heap ---- */

static bool sooner(const struct timer *a, const struct timer *b) { return a->at != b->at ? a->at < b->at : a->order < b->order; }

static void swap(struct timer *a, struct timer *b)
{
	struct timer t = *a;
	*a = *b, *b = t;
}

void fetch_after(struct fetch *f, int64_t ms, void (*fn)(void *), void *ctx)
{
	pthread_mutex_lock(&f->lock);
	if (f->ntimers == f->captimers) {
		f->captimers = f->captimers ? f->captimers * 2 : 64;
		if (!(f->heap = realloc(f->heap, f->captimers * sizeof *f->heap)))
			abort();
	}
	size_t i = f->ntimers++;
	f->heap[i] = (struct timer){ clock_mono_ms() + (ms > 0 ? ms : 0), f->order++, fn, ctx };
	for (; i && sooner(&f->heap[i], &f->heap[(i - 1) / 2]); i = (i - 1) / 2)
		swap(&f->heap[i], &f->heap[(i - 1) / 2]);
	bool woken = i == 0;
	pthread_mutex_unlock(&f->lock);
	if (woken)
		curl_multi_wakeup(f->multi);
}

static bool next_timer(struct fetch *f, int64_t now, struct timer *out)
{
	pthread_mutex_lock(&f->lock);
	bool due = f->ntimers && (f->heap[0].at <= now || atomic_load(&f->closing));
	if (due) {
		*out = f->heap[0];
		f->heap[0] = f->heap[--f->ntimers];
		for (size_t i = 0, c; (c = 2 * i + 1) < f->ntimers; i = c) {
			c += c + 1 < f->ntimers && sooner(&f->heap[c + 1], &f->heap[c]);
			if (!sooner(&f->heap[c], &f->heap[i]))
				break;
			swap(&f->heap[c], &f->heap[i]);
		}
	}
	pthread_mutex_unlock(&f->lock);
	return due;
}

static void fire_timers(struct fetch *f)
{
	int64_t now = clock_mono_ms();
	for (struct timer t; next_timer(f, now, &t); )
		t.fn(t.ctx);
}

/* ---- one transfer ---- */

/* The cap holds while receiving: what is over it is never held. */
static size_t on_body(char *p, size_t size, size_t n, void *ctx)
{
	struct job *j = ctx;
	n *= size;
	if (n > j->ask.max - j->n) {
		j->broke = "the answer is longer than is accepted";
		return 0;
	}
	if (j->n + n + 1 > j->cap) {
		size_t cap = j->cap * 2 > j->n + n + 1 ? j->cap * 2 : j->n + n + 1;
		unsigned char *wider = realloc(j->body, cap);
		if (!wider) {
			j->broke = "no memory for the answer";
			return 0;
		}
		j->body = wider, j->cap = cap;
	}
	memcpy(j->body + j->n, p, n);
	j->n += n;
	j->body[j->n] = 0;
	return n;
}

static size_t on_head(char *, size_t size, size_t n, void *ctx)
{
	struct job *j = ctx;
	j->head += size * n;
	if (j->head <= HEAD_MAX)
		return size * n;
	j->broke = "the answer's header is longer than is accepted";
	return 0;
}

static void add_header(struct job *j, const char *name, struct str value)
{
	if (!value.n)
		return;
	char line[4096];
	int n = snprintf(line, sizeof line, "%s%s", name, value.p);
	struct curl_slist *more = n > 0 && n < (int)sizeof line ? curl_slist_append(j->headers, line) : NULL;
	if (more)
		j->headers = more;
	else
		j->broke = "a header that is too long";
}

static bool address_of(const struct curl_sockaddr *at, struct address *out)
{
	char text[INET6_ADDRSTRLEN];
	const void *in = at->family == AF_INET ? (const void *)&((const struct sockaddr_in *)(const void *)&at->addr)->sin_addr
		: (const void *)&((const struct sockaddr_in6 *)(const void *)&at->addr)->sin6_addr;
	if (at->family != AF_INET && at->family != AF_INET6)
		return false;
	return inet_ntop(at->family, in, text, sizeof text) && address_read(str_of(text), out);
}

static curl_socket_t open_socket(void *ctx, curlsocktype, struct curl_sockaddr *at)
{
	struct job *j = ctx;
	struct address a;
	if (!address_of(at, &a) || (!address_public(&a) && !address_in(&a, j->ask.networks))) {
		j->broke = "the address is not a public one";
		return CURL_SOCKET_BAD;
	}
	return socket(at->family, at->socktype | SOCK_CLOEXEC, at->protocol);
}

/* Never on a connection that was opened for somebody else, and never kept for one. */
static void say_guarded(struct job *j)
{
	curl_easy_setopt(j->easy, CURLOPT_OPENSOCKETFUNCTION, open_socket);
	curl_easy_setopt(j->easy, CURLOPT_OPENSOCKETDATA, j);
	curl_easy_setopt(j->easy, CURLOPT_FRESH_CONNECT, 1L);
	curl_easy_setopt(j->easy, CURLOPT_FORBID_REUSE, 1L);
}

static void say_tls(struct job *j)
{
	CURL *c = j->easy;
	curl_easy_setopt(c, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	curl_easy_setopt(c, CURLOPT_SSL_VERIFYPEER, 1L);
	curl_easy_setopt(c, CURLOPT_SSL_VERIFYHOST, 2L);
	curl_easy_setopt(c, CURLOPT_CA_CACHE_TIMEOUT, 60L);
	/* pinned trust takes the place of the system's, it does not add to it */
	if (j->ask.ca_file.n) {
		curl_easy_setopt(c, CURLOPT_CAINFO, j->ask.ca_file.p);
		curl_easy_setopt(c, CURLOPT_CAPATH, NULL);
	}
	if (j->ask.cert_file.n)
		curl_easy_setopt(c, CURLOPT_SSLCERT, j->ask.cert_file.p);
	if (j->ask.key_file.n)
		curl_easy_setopt(c, CURLOPT_SSLKEY, j->ask.key_file.p);
}

static void say_method(struct job *j)
{
	add_header(j, "Accept: ", j->ask.accept);
	add_header(j, "", j->ask.header);
	if (str_is(j->ask.method, "POST")) {
		add_header(j, "Content-Type: ", j->ask.content_type);
		add_header(j, "", S("Expect:"));
		curl_easy_setopt(j->easy, CURLOPT_POST, 1L);
		curl_easy_setopt(j->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)j->ask.body.n);
		curl_easy_setopt(j->easy, CURLOPT_POSTFIELDS, j->ask.body.p);
	}
	curl_easy_setopt(j->easy, CURLOPT_HTTPHEADER, j->headers);
}

static void say(struct job *j)
{
	CURL *c = j->easy;
	curl_easy_setopt(c, CURLOPT_PRIVATE, j);
	curl_easy_setopt(c, CURLOPT_URL, j->ask.url.p);
	curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(c, CURLOPT_PROXY, "");
	curl_easy_setopt(c, CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
	curl_easy_setopt(c, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(c, CURLOPT_TCP_KEEPALIVE, 1L);
	curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, (long)j->ask.timeout_ms);
	curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS);
	curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(c, CURLOPT_WRITEDATA, j);
	curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_head);
	curl_easy_setopt(c, CURLOPT_HEADERDATA, j);
	if (j->ask.stranger)
		say_guarded(j);
	if (str_starts(j->ask.url, S("https:")))
		say_tls(j);
	say_method(j);
}

static void job_free(struct fetch *f, struct job *j)
{
	if (j->easy) {
		curl_easy_reset(j->easy);
		if (f->nidle < IDLE_EASY)
			f->idle[f->nidle++] = j->easy;
		else
			curl_easy_cleanup(j->easy);
	}
	curl_slist_free_all(j->headers);
	if (j->body)
		explicit_bzero(j->body, j->n);
	free(j->body);
	/* a request may carry a password */
	if (j->ask.body.n)
		explicit_bzero((void *)j->ask.body.p, j->ask.body.n);
	free(j);
}

static void finish(struct fetch *f, struct job *j, int status, const char *why)
{
	const char *type = NULL;
	if (status && j->easy)
		curl_easy_getinfo(j->easy, CURLINFO_CONTENT_TYPE, &type);
	struct fetch_answer answer = { .status = status, .content_type = str_of(type), .why = why };
	if (status)
		answer.body = (struct bytes){ j->body ? j->body : (const unsigned char *)"", j->n };
	if (!j->refused) {
		pthread_mutex_lock(&f->lock);
		f->open--;
		pthread_mutex_unlock(&f->lock);
	}
	j->done(j->ctx, &answer);
	job_free(f, j);
}

static void begin(struct fetch *f, struct job *j)
{
	const char *why = j->refused ? j->refused : atomic_load(&f->closing) ? "closing" : NULL;
	if (!why && !(j->easy = f->nidle ? f->idle[--f->nidle] : curl_easy_init()))
		why = "no memory for a transfer";
	if (!why) {
		say(j);
		why = j->broke;
	}
	if (!why && curl_multi_add_handle(f->multi, j->easy) != CURLM_OK)
		why = "the transfer could not be begun";
	if (why) {
		finish(f, j, 0, why);
		return;
	}
	j->prev = f->running.prev, j->next = &f->running;
	j->prev->next = j->next->prev = j;
}

static void begin_all(struct fetch *f)
{
	pthread_mutex_lock(&f->lock);
	struct job *list = f->first;
	f->first = NULL, f->last = &f->first;
	pthread_mutex_unlock(&f->lock);
	for (struct job *next; list; list = next) {
		next = list->next;
		begin(f, list);
	}
}

static void end(struct fetch *f, struct job *j, int status, const char *why)
{
	curl_multi_remove_handle(f->multi, j->easy);
	j->prev->next = j->next, j->next->prev = j->prev;
	finish(f, j, status, why);
}

static void reap(struct fetch *f)
{
	int left;
	for (CURLMsg *m; (m = curl_multi_info_read(f->multi, &left)); ) {
		if (m->msg != CURLMSG_DONE)
			continue;
		struct job *j;
		long status = 0;
		CURLcode code = m->data.result;
		curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &j);
		curl_easy_getinfo(m->easy_handle, CURLINFO_RESPONSE_CODE, &status);
		if (code == CURLE_OK && status)
			end(f, j, (int)status, "");
		else
			end(f, j, 0, j->broke ? j->broke : code == CURLE_OK ? "no status" : curl_easy_strerror(code));
	}
}

/* ---- the thread ---- */

static bool at_rest(struct fetch *f)
{
	pthread_mutex_lock(&f->lock);
	bool rest = !f->first && !f->ntimers;
	pthread_mutex_unlock(&f->lock);
	return rest;
}

static int wait_ms(struct fetch *f)
{
	pthread_mutex_lock(&f->lock);
	int64_t ms = f->first ? 0 : f->ntimers ? f->heap[0].at - clock_mono_ms() : LONGEST_WAIT_MS;
	pthread_mutex_unlock(&f->lock);
	return ms < 0 ? 0 : ms > LONGEST_WAIT_MS ? LONGEST_WAIT_MS : (int)ms;
}

static void *run(void *p)
{
	struct fetch *f = p;
	while (!atomic_load(&f->closing)) {
		begin_all(f);
		fire_timers(f);
		int still;
		curl_multi_perform(f->multi, &still);
		reap(f);
		curl_multi_poll(f->multi, NULL, 0, wait_ms(f), NULL);
	}
	while (f->running.next != &f->running)
		end(f, f->running.next, 0, "closing");
	while (!at_rest(f)) {
		begin_all(f);
		fire_timers(f);
	}
	return NULL;
}

err fetch_open(struct arena *a, struct fetch **out)
{
	struct fetch *f = calloc(1, sizeof *f);
	if (!f || curl_global_init(CURL_GLOBAL_DEFAULT) || !(f->multi = curl_multi_init())) {
		free(f);
		return fault(a, &UNAVAILABLE, "libcurl cannot be used");
	}
	curl_multi_setopt(f->multi, CURLMOPT_MAXCONNECTS, (long)KEPT_CONNECTIONS);
	curl_multi_setopt(f->multi, CURLMOPT_PIPELINING, (long)CURLPIPE_NOTHING);
	pthread_mutex_init(&f->lock, NULL);
	f->last = &f->first;
	f->running.prev = f->running.next = &f->running;
	if (pthread_create(&f->thread, NULL, run, f)) {
		curl_multi_cleanup(f->multi);
		free(f);
		return fault(a, &UNAVAILABLE, "no thread for outgoing requests");
	}
	*out = f;
	return OK;
}

void fetch_close(struct fetch *f)
{
	if (!f)
		return;
	atomic_store(&f->closing, true);
	curl_multi_wakeup(f->multi);
	pthread_join(f->thread, NULL);
	while (f->nidle)
		curl_easy_cleanup(f->idle[--f->nidle]);
	curl_multi_cleanup(f->multi);
	pthread_mutex_destroy(&f->lock);
	free(f->heap);
	free(f);
	curl_global_cleanup();
}
