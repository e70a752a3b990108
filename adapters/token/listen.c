#include "helper.h"
#include "json.h"
#include <arpa/inet.h>
#include <microhttpd.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

/* Any web page can reach the loopback address; so: the exact Host, an Origin that the person has allowed, one request at a time,
 * and the PIN window names the site (SIGNATURES.md 2.2). */

enum { MAX_BODY = 4096 };

struct listener { struct helper *h; pthread_mutex_t busy; unsigned short port; };
struct call { char body[MAX_BODY]; size_t n; bool over; };

static enum MHD_Result reply(struct MHD_Connection *c, unsigned status, const char *origin, struct str body)
{
	struct MHD_Response *r = MHD_create_response_from_buffer(body.n, (void *)(uintptr_t)body.p, MHD_RESPMEM_MUST_COPY);
	MHD_add_response_header(r, "Cache-Control", "no-store");
	MHD_add_response_header(r, "X-Content-Type-Options", "nosniff");
	MHD_add_response_header(r, "Vary", "Origin");
	if (body.n)
		MHD_add_response_header(r, "Content-Type", "application/json");
	if (origin) {
		MHD_add_response_header(r, "Access-Control-Allow-Origin", origin);
		MHD_add_response_header(r, "Access-Control-Allow-Methods", "GET, POST");
		MHD_add_response_header(r, "Access-Control-Allow-Headers", "Content-Type");
		MHD_add_response_header(r, "Access-Control-Allow-Private-Network", "true");
	}
	enum MHD_Result done = MHD_queue_response(c, status, r);
	MHD_destroy_response(r);
	return done;
}

static const char *header(struct MHD_Connection *c, const char *name)
{
	const char *v = MHD_lookup_connection_value(c, MHD_HEADER_KIND, name);
	return v ? v : "";
}

static bool host_is_ours(const struct listener *l, struct arena *a, const char *host)
{
	return str_is(str_fmt(a, "127.0.0.1:%u", l->port), host) || str_is(str_fmt(a, "localhost:%u", l->port), host);
}

static enum MHD_Result fail(struct MHD_Connection *c, struct arena *a, unsigned status, const char *origin, const char *code)
{
	return reply(c, status, origin, str_fmt(a, "{\"error\":\"%s\"}", code));
}

static enum MHD_Result status(struct listener *l, struct MHD_Connection *c, struct arena *a, const char *origin)
{
	struct card_info i;
	struct jw w = jw_new(a, 4096);
	struct str body;
	jw_object(&w, NULL);
	jw_str(&w, "name", S("motid-token"));
	jw_str(&w, "version", S("0.1.0"));
	if (pthread_mutex_trylock(&l->busy) == 0) {
		if (!card_look(l->h->card, a, l->h->label, &i).kind)
			jw_str(&w, "token", i.token);
		else
			jw_raw(&w, "token", S("null"));
		pthread_mutex_unlock(&l->busy);
	} else {
		jw_bool(&w, "busy", true);
	}
	return jw_done(&w, &body).kind ? MHD_NO : reply(c, 200, origin, body);
}

static enum MHD_Result sign(struct listener *l, struct MHD_Connection *c, struct arena *a, const char *origin, struct str text)
{
	json_t *o;
	struct str nonce, token;
	if (strncmp(header(c, "Content-Type"), "application/json", 16))
		return fail(c, a, 415, origin, "json_wanted");
	if (json_read_object(a, text, &o).kind || !json_str(o, "nonce", &nonce))
		return fail(c, a, 400, origin, "bad_request");
	if (pthread_mutex_trylock(&l->busy))
		return fail(c, a, 409, origin, "busy");
	err e = helper_sign(l->h, a, str_of(origin), nonce, &token);
	pthread_mutex_unlock(&l->busy);
	if (!e.kind)
		return reply(c, 200, origin, token);
	fprintf(stderr, "motid-token: %s: %s\n", origin, e.why);
	return fail(c, a, e.kind == &SERVER_ERROR ? 500 : 403, origin, e.kind == &SERVER_ERROR || e.kind == &BAD_CONFIG ? "failed" : e.why);
}

static enum MHD_Result answer(struct listener *l, struct MHD_Connection *c, struct arena *a, const char *url, const char *method, const struct call *k)
{
	const char *origin = header(c, "Origin");
	if (!host_is_ours(l, a, header(c, "Host")))
		return fail(c, a, 421, NULL, "wrong_host");
	if (!strs_has(l->h->origins, str_of(origin))) {
		fprintf(stderr, "motid-token: refused '%.100s', which is not an allowed site\n", origin);
		return fail(c, a, 403, NULL, "origin_refused");
	}
	if (!strcmp(method, "OPTIONS"))
		return reply(c, 204, origin, S(""));
	if (k->over)
		return fail(c, a, 413, origin, "too_large");
	if (!strcmp(method, "GET") && !strcmp(url, "/status"))
		return status(l, c, a, origin);
	if (!strcmp(method, "POST") && !strcmp(url, "/sign"))
		return sign(l, c, a, origin, (struct str){ k->body, k->n });
	return fail(c, a, 404, origin, "not_found");
}

static enum MHD_Result on_request(void *ctx, struct MHD_Connection *c, const char *url, const char *method, const char *version,
                                  const char *data, size_t *n, void **state)
{
	(void)version;
	struct call *k = *state;
	if (!k) {
		*state = calloc(1, sizeof *k);
		return *state ? MHD_YES : MHD_NO;
	}
	if (*n) {
		k->over |= k->n + *n >= MAX_BODY;
		if (!k->over) {
			memcpy(k->body + k->n, data, *n);
			k->n += *n;
		}
		*n = 0;
		return MHD_YES;
	}
	struct arena *a = arena_new();
	enum MHD_Result r = answer(ctx, c, a, url, method, k);
	arena_free(a);
	return r;
}

static void on_end(void *ctx, struct MHD_Connection *c, void **state, enum MHD_RequestTerminationCode why)
{
	(void)ctx, (void)c, (void)why;
	free(*state);
	*state = NULL;
}

err helper_serve(struct helper *h, struct arena *a, unsigned short port)
{
	struct listener l = { .h = h, .busy = PTHREAD_MUTEX_INITIALIZER, .port = port };
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = { htonl(INADDR_LOOPBACK) } };
	sigset_t told;
	int which;
	sigemptyset(&told);
	sigaddset(&told, SIGTERM);
	sigaddset(&told, SIGINT);
	pthread_sigmask(SIG_BLOCK, &told, NULL);
	signal(SIGPIPE, SIG_IGN);
	struct MHD_Daemon *d = MHD_start_daemon(MHD_USE_THREAD_PER_CONNECTION | MHD_USE_INTERNAL_POLLING_THREAD, port, NULL, NULL, on_request, &l,
		MHD_OPTION_SOCK_ADDR, &at, MHD_OPTION_CONNECTION_LIMIT, 16u, MHD_OPTION_CONNECTION_TIMEOUT, 120u,
		MHD_OPTION_NOTIFY_COMPLETED, on_end, NULL, MHD_OPTION_END);
	if (!d)
		return fault(a, &BAD_CONFIG, "cannot listen on 127.0.0.1:%u; is motid-token running already?", port);
	fprintf(stderr, "motid-token: listening on 127.0.0.1:%u for:\n", port);
	for (size_t i = 0; i < h->origins.n; i++)
		fprintf(stderr, "    %s\n", h->origins.v[i].p);
	sigwait(&told, &which);
	MHD_stop_daemon(d);
	return OK;
}
