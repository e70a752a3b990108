#include "ping.h"
#include "log.h"
#include "remote.h"

/* CIBA Core section 10.2: {"auth_req_id": …}, with the client's token as bearer. Said a few times when nobody answers; never again after an
 * answer that a second one would not change. Losing a ping costs time, no tokens: who is pinged may always ask by itself. */

enum { TRIES = 3, PAUSE_MS = 2000 };

struct ping *ping_new(struct house *h, const struct client *c, struct str auth_req_id, struct str token)
{
	if (str_is(c->ciba_mode, "poll"))
		return NULL;
	struct arena *a = arena_new();
	struct ping *p = make(a, struct ping);
	*p = (struct ping){ .a = a, .house = h, .push = str_is(c->ciba_mode, "push"), .url = str_copy(a, c->ciba_endpoint),
	                    .auth_req_id = str_copy(a, auth_req_id), .header = str_fmt(a, "Authorization: Bearer %s", token.p),
	                    .body = str_fmt(a, "{\"auth_req_id\":\"%s\"}", auth_req_id.p) };
	return p;
}

void ping_free(struct ping *p)
{
	if (p)
		arena_free(p->a);
}

static void send_again(void *ctx) { ping_send(ctx); }

static void answered(void *ctx, const struct fetch_answer *f)
{
	struct ping *p = ctx;
	bool worth_another = f->status == 0 || f->status == 429 || f->status >= 500;
	if (worth_another && p->tries < TRIES) {
		fetch_after(p->house->fetch, PAUSE_MS, send_again, p);
		return;
	}
	if (f->status < 200 || f->status > 299)
		log_say(LOG_WARN, "a client did not take its notification", "url", p->url.p, "why", f->why ? f->why : "refused", NULL);
	ping_free(p);
}

void ping_send(struct ping *p)
{
	struct fetch_ask ask = outside_ask(p->house, p->url);
	ask.method = S("POST");
	ask.content_type = S("application/json");
	ask.body = str_bytes(p->body);
	ask.header = p->header;
	p->tries++;
	fetch_start(p->house->fetch, &ask, answered, p);
}

/* When nothing came, there is nothing to fetch or to send. */
void ping_told(void *ctx, enum mobile_state state)
{
	struct ping *p = ctx;
	if (state == MOBILE_UNKNOWN || state == MOBILE_TIMED_OUT)
		ping_free(p);
	else if (p->push && p->house->pushes)
		pushes_add(p->house->pushes, p);
	else
		ping_send(p);
}
