#include "backchannel.h"
#include "audit_of.h"
#include "clock.h"
#include "log.h"
#include "oidc.h"
#include "rand.h"
#include "remote.h"
#include "settings.h"
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum { OPEN_MOST = 64, ANSWER_MOST = 64 * 1024, TOKEN_LIVES = 120, LEASE_OVER = 5, FIRST_DELAY = 30, LONGEST_DELAY = 4 * 3600, ID_MOST = 256 };

/* One try that is under way: it outlives the turn that began it. */
struct sent {
	struct sent *next;
	struct backchannel *of;
	char sid[ID_MOST], client_id[ID_MOST], by[64], jti[64], why[256];
	int64_t tries;
	epoch queued_at;
	int status;
};

struct backchannel {
	struct house *house;
	pthread_mutex_t lock;                /* guards what follows */
	struct sent *answered;
	size_t open;
	bool ending, kept;
	pthread_t keeper;
	pthread_cond_t end;
};

err backchannel_new(struct house *h, struct arena *a, struct backchannel **out)
{
	*out = calloc(1, sizeof **out);
	if (!*out)
		return fault(a, &SERVER_ERROR, "no memory for the back channel");
	(*out)->house = h;
	pthread_mutex_init(&(*out)->lock, NULL);
	pthread_cond_init(&(*out)->end, NULL);
	return OK;
}

static struct sent *take_answered(struct backchannel *b)
{
	pthread_mutex_lock(&b->lock);
	struct sent *l = b->answered;
	b->answered = NULL;
	pthread_mutex_unlock(&b->lock);
	return l;
}

void backchannel_free(struct backchannel *b)
{
	if (!b)
		return;
	for (struct sent *s = take_answered(b), *next; s; s = next) {
		next = s->next;
		free(s);
	}
	pthread_mutex_destroy(&b->lock);
	pthread_cond_destroy(&b->end);
	free(b);
}

/* ---- the token --------------------------------------------------------------------------------------------------------- */

/* section 2.4. Never a nonce: nobody may pass it off as an ID token. */
static err logout_token(struct req *rq, const struct client *c, const struct delivery_row *d, struct str jti, struct str *token)
{
	struct jw w = jw_new(rq->a, 4096);
	struct str claims;
	jw_object(&w, NULL);
	jw_str(&w, "iss", rq->house->issuer);
	jw_str(&w, "aud", c->id);
	jw_int(&w, "iat", rq->now);
	jw_int(&w, "exp", rq->now + TOKEN_LIVES);
	jw_str(&w, "jti", jti);
	jw_str(&w, "sub", d->sub);
	jw_str(&w, "sid", d->sid);
	jw_object(&w, "events");
	jw_object(&w, "http://schemas.openid.net/event/backchannel-logout");
	jw_end(&w);
	jw_end(&w);
	jw_end(&w);
	TRY(jw_done(&w, &claims));
	/* section 2.4: "the same keys are used to sign and encrypt Logout Tokens as are used for ID Tokens" */
	return envelope(rq, c, &c->id_token, S("logout+jwt"), claims, token);
}

/* ---- what came of it ------------------------------------------------------------------------------------------------------ */

/* section 2.8: 200, or what frameworks make of it, is success; 400 says that it was refused. Anything else may pass. */
static const char *state_of(int status) { return status == 200 || status == 204 ? "delivered" : status == 400 ? "failed" : "pending"; }

static epoch next_try(epoch now, int64_t tries)
{
	int64_t delay = FIRST_DELAY;
	while (--tries > 0 && delay < LONGEST_DELAY)
		delay *= 3;
	return now + (delay < LONGEST_DELAY ? delay : LONGEST_DELAY);
}

static err write_result(struct req *rq, const struct sent *s, const char *state)
{
	struct delivery_row d = { .sid = str_of(s->sid), .client_id = str_of(s->client_id), .state = str_of(state), .why = str_of(s->why),
		.due_at = next_try(rq->now, s->tries) };
	if (str_is(d.state, "pending") && d.due_at > s->queued_at + rq->house->conf->logout_gives_up)
		d.state = S("failed");
	bool failed = str_is(d.state, "failed");
	struct audit ev = audit_of(rq, failed ? "logout.failed" : "logout.delivered");
	ev.client_id = d.client_id;
	ev.sid = d.sid;
	ev.why = d.why;
	ev.detail = str_fmt(rq->a, "{\"jti\":\"%s\",\"tries\":%lld}", s->jti, (long long)s->tries);
	return store_delivery_result(rq->house->store, rq->a, &d, str_of(s->by), rq->now, &ev);
}

/* What could not be written is due again when its lease is over. */
static err write_answered(struct req *rq, struct backchannel *b)
{
	err first = OK;
	for (struct sent *s = take_answered(b), *next; s; s = next) {
		next = s->next;
		err e = write_result(rq, s, state_of(s->status));
		if (!first.kind)
			first = e;
		free(s);
	}
	return first;
}

/* section 2.8: "the response body MAY include error and error_description" */
static void read_refusal(struct sent *s, struct bytes body)
{
	struct arena *a = arena_new();
	json_t *o;
	struct str text = str_dup(a, (const char *)body.p, body.n);
	if (!memchr(body.p, 0, body.n) && str_utf8(text) && !json_read_object(a, text, &o).kind) {
		struct str code = json_text(o, "error"), more = json_text(o, "error_description");
		if (code.n && str_printable(code) && str_printable(more))
			snprintf(s->why, sizeof s->why, "HTTP 400, %.60s%s%.160s", code.p, more.n ? ": " : "", more.n ? more.p : "");
	}
	arena_free(a);
}

/* On the thread of the adapter. */
static void came(void *ctx, const struct fetch_answer *f)
{
	struct sent *s = ctx;
	struct backchannel *b = s->of;
	s->status = f->status;
	if (f->status)
		snprintf(s->why, sizeof s->why, "HTTP %d", f->status);
	else
		snprintf(s->why, sizeof s->why, "%s", f->why);
	if (f->status == 400)
		read_refusal(s, f->body);
	pthread_mutex_lock(&b->lock);
	s->next = b->answered;
	b->answered = s;
	b->open--;
	pthread_mutex_unlock(&b->lock);
}

/* ---- sending --------------------------------------------------------------------------------------------------------------- */

static struct sent *sent_new(struct backchannel *b, const struct delivery_row *d, struct str by)
{
	struct sent *s = calloc(1, sizeof *s);
	if (!s)
		abort();
	s->of = b;
	s->tries = d->tries;
	s->queued_at = d->queued_at;
	snprintf(s->sid, sizeof s->sid, "%s", d->sid.p);
	snprintf(s->client_id, sizeof s->client_id, "%s", d->client_id.p);
	snprintf(s->by, sizeof s->by, "%s", by.p);
	return s;
}

/* NOT_FOUND: there is nobody to tell. Whatever else is in the way may pass. */
static err prepare(struct req *rq, const struct delivery_row *d, struct fetch_ask *ask, struct str *jti)
{
	const struct client *c;
	struct str token;
	TRY(client_find(rq, d->client_id, &c));
	if (!c || str_empty(c->backchannel_logout_uri))
		return fault(rq->a, &NOT_FOUND, "the application is no longer registered for it");
	if (!outside_fit(rq->house, c->backchannel_logout_uri))
		return fault(rq->a, &FORBIDDEN, "its backchannel_logout_uri is no address that is asked");
	*jti = rand_token(rq->a);
	TRY(logout_token(rq, c, d, *jti, &token));
	*ask = outside_ask(rq->house, c->backchannel_logout_uri);
	ask->method = S("POST");
	ask->content_type = S("application/x-www-form-urlencoded");
	ask->body = str_bytes(str_fmt(rq->a, "logout_token=%s", token.p));
	ask->max = ANSWER_MOST;
	ask->timeout_ms = rq->house->conf->logout_timeout * 1000;
	return OK;
}

static err send_one(struct req *rq, struct backchannel *b, const struct delivery_row *d, struct str by)
{
	struct fetch_ask ask;
	struct str jti;
	struct sent *s = sent_new(b, d, by);
	err e = prepare(rq, d, &ask, &jti);
	if (e.kind) {
		snprintf(s->why, sizeof s->why, "%s", e.why);
		e = write_result(rq, s, e.kind == &NOT_FOUND ? "failed" : "pending");
		free(s);
		return e;
	}
	snprintf(s->jti, sizeof s->jti, "%s", jti.p);
	pthread_mutex_lock(&b->lock);
	b->open++;
	pthread_mutex_unlock(&b->lock);
	fetch_start(rq->house->fetch, &ask, came, s);
	return OK;
}

static err send_due(struct req *rq, struct backchannel *b, size_t room)
{
	struct delivery_row *l;
	struct str by = rand_id(rq->a, rq->now_ms);
	size_t n;
	if (!room)
		return OK;
	TRY(store_delivery_claim(rq->house->store, rq->a, by, rq->now, rq->now + rq->house->conf->logout_timeout + LEASE_OVER, (int64_t)room, &l, &n));
	for (size_t i = 0; i < n; i++)
		TRY(send_one(rq, b, &l[i], by));
	return OK;
}

static size_t still_open(struct backchannel *b)
{
	pthread_mutex_lock(&b->lock);
	size_t n = b->open;
	pthread_mutex_unlock(&b->lock);
	return n;
}

err backchannel_turn(struct backchannel *b, struct arena *a, epoch now, size_t *open)
{
	struct req rq = { .a = a, .house = b->house, .now = now, .now_ms = now * 1000, .id = S(""), .peer = S("") };
	*open = still_open(b);
	TRY(write_answered(&rq, b));
	TRY(send_due(&rq, b, *open < OPEN_MOST ? OPEN_MOST - *open : 0));
	*open = still_open(b);
	return OK;
}

/* ---- all the time ------------------------------------------------------------------------------------------------------------ */

static void turn(struct backchannel *b, struct arena *a, bool *said)
{
	size_t open;
	err e = backchannel_turn(b, a, clock_ms() / 1000, &open);
	if (e.kind && !*said)
		log_say(LOG_WARN, "applications cannot be told of logouts now", "why", e.why, NULL);
	*said = e.kind != NULL;
	arena_reset(a);
}

static void *keep(void *p)
{
	struct backchannel *b = p;
	struct arena *a = arena_new();
	bool said = false;
	pthread_mutex_lock(&b->lock);
	while (!b->ending) {
		struct timespec until;
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_sec++;
		while (!b->ending && pthread_cond_timedwait(&b->end, &b->lock, &until) != ETIMEDOUT) {}
		if (b->ending)
			break;
		pthread_mutex_unlock(&b->lock);
		turn(b, a, &said);
		pthread_mutex_lock(&b->lock);
	}
	pthread_mutex_unlock(&b->lock);
	arena_free(a);
	return NULL;
}

err backchannel_keep(struct backchannel *b, struct arena *a)
{
	if (pthread_create(&b->keeper, NULL, keep, b) != 0)
		return fault(a, &SERVER_ERROR, "no thread for the back channel");
	b->kept = true;
	return OK;
}

void backchannel_stop(struct backchannel *b)
{
	if (!b || !b->kept)
		return;
	pthread_mutex_lock(&b->lock);
	b->ending = true;
	pthread_cond_signal(&b->end);
	pthread_mutex_unlock(&b->lock);
	pthread_join(b->keeper, NULL);
	b->kept = false;
}
