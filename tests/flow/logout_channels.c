#include "town.h"
#include "audit_of.h"
#include "backchannel.h"
#include "code.h"
#include "evidence.h"
#include "fake.h"
#include "jws.h"
#include "keys.h"
#include "oidc.h"
#include "session.h"
#include <pthread.h>
#include <sched.h>
#include <stdio.h>

/* OpenID Connect Back-Channel Logout 1.0 and Front-Channel Logout 1.0: applications hear of it when a session is over, whatever ended it. SEC-17 */

/* ---- an application that is told, and may misbehave ------------------------------------------------------------------------------------ */

enum { HEARD_MOST = 64, HANGS = -1, HANGS_UP = 0 };
static struct {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct fake *fake;
	bool closing;
	int status;                          /* what it answers: HTTP status, HANGS or HANGS_UP */
	const char *body;
	int n;
	char head[HEARD_MOST][2048], form[HEARD_MOST][8192];
} app = { .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };

static bool hear(struct arena *a, const struct fake_request *rq)
{
	pthread_mutex_lock(&app.lock);
	if (app.n < HEARD_MOST) {
		snprintf(app.head[app.n], sizeof app.head[0], "%s", rq->head.p);
		snprintf(app.form[app.n], sizeof app.form[0], "%s", rq->body.p);
	}
	app.n++;
	while (app.status == HANGS && !app.closing)
		pthread_cond_wait(&app.changed, &app.lock);
	int status = app.status;
	const char *body = app.body;
	pthread_mutex_unlock(&app.lock);
	if (status <= 0)
		return false;
	struct str said = str_fmt(a, "HTTP/1.1 %d X\r\nContent-Length: %zu\r\nLocation: /elsewhere\r\n\r\n%s", status, strlen(body), body);
	return fake_say(rq->fd, said.p, said.n);
}

static int heard_n(void)
{
	pthread_mutex_lock(&app.lock);
	int n = app.n;
	pthread_mutex_unlock(&app.lock);
	return n;
}

static void answers(int status, const char *body)
{
	pthread_mutex_lock(&app.lock);
	app.status = status, app.body = body;
	pthread_cond_broadcast(&app.changed);
	pthread_mutex_unlock(&app.lock);
}

static void app_closes(void)
{
	if (!app.fake)
		return;
	pthread_mutex_lock(&app.lock);
	app.closing = true;
	pthread_cond_broadcast(&app.changed);
	pthread_mutex_unlock(&app.lock);
	fake_close(app.fake);
	app.fake = NULL;
}

/* ---- the scene ------------------------------------------------------------------------------------------------------------------------- */

struct scene { struct town *t; struct browser *b; struct arena *a; struct backchannel *out; struct str hint; json_t *claims; };

static struct backchannel *opened;

static void leave(void)
{
	app_closes();
	/* answers may come until the town has gone; what is left of the last one is the process's */
}

static struct str out_uri(struct town *t) { return str_fmt(t->a, "http://127.0.0.1:%d/out?x=1", fake_port(app.fake)); }

/* "shop" wants to be told, "booth" too and has ES256 and public subjects, "portal" does not. An has signed in to shop and portal. */
static struct scene scene(void)
{
	static bool before;
	struct scene s;
	struct res *rs;
	app_closes();
	if (!before)
		atexit(leave);
	before = true;
	s.t = town();
	backchannel_free(opened);
	s.a = s.t->a;
	app.n = 0, app.closing = false, app.status = 200, app.body = "";
	app.fake = fake_open(hear, NULL);
	s.t->w->conf.outgoing_networks = S("127.0.0.0/8");
	s.t->w->conf.logout_timeout = 2;
	s.t->w->conf.logout_gives_up = 86400;
	one_more(s.t->w, "shop", str_fmt(s.a, ",\"backchannel_logout_uri\":\"%s\",\"backchannel_logout_session_required\":true,\"trusted\":true", out_uri(s.t).p).p);
	one_more(s.t->w, "booth", str_fmt(s.a, ",\"backchannel_logout_uri\":\"%s\",\"id_token_signed_response_alg\":\"ES256\",\"subject_type\":\"public\",\"trusted\":true", out_uri(s.t).p).p);
	fine(backchannel_new(&s.t->w->house, s.a, &s.out));
	opened = s.out;
	s.b = browser(s.t->w);
	rs = sign_in(s.b, authorize(s.b, "shop", "scope=openid&nonce=n-1"), s.t->an);
	s.hint = id_token_for(s.b, "shop", rs);
	s.claims = claims_of(s.t->w, s.hint);
	is_code(s.b, follow(s.b, submit(s.b, authorize(s.b, "portal", ""), "/login/consent", "decision=allow")), "portal");
	return s;
}

/* Turns until everything that is due has been answered and written down. */
static void settle(struct scene *s)
{
	size_t open;
	do {
		fine(backchannel_turn(s->out, s->a, s->t->w->now, &open));
		sched_yield();
	} while (open);
	fine(backchannel_turn(s->out, s->a, s->t->w->now, &open));
}

static struct delivery_row *delivery(struct scene *s, const char *client, size_t *n)
{
	struct delivery_row *l, like = { .client_id = str_of(client) };
	fine(store_delivery_list(s->t->w->house.store, s->a, &like, &(struct delivery_row){ 0 }, 100, &l, n));
	return l;
}

static void is_state(struct scene *s, const char *client, const char *state, const char *why)
{
	size_t n;
	struct delivery_row *d = delivery(s, client, &n);
	assert_int_equal(n, 1);
	if (!str_is(d->state, state) || !strstr(d->why.p, why))
		fail_msg("wanted %s (%s), is %s (%s)", state, why, d->state.p, d->why.p);
}

static void logs_out(struct scene *s)
{
	struct res *rs = get(s->b, str_fmt(s->a, "/logout?id_token_hint=%s", s->hint.p));
	is_page(rs, 200);
}

static struct str token_heard(struct scene *s, int nth)
{
	struct params l;
	assert_true(nth < heard_n());
	fine(params_read(s->a, str_of(app.form[nth]), &l));
	assert_int_equal(l.n, 1);                               /* "POST form with only logout_token" */
	return param_of(&l, "logout_token");
}

static json_t *verified(struct scene *s, struct str token, const char *alg)
{
	struct keyring *ring;
	struct jws jws;
	json_t *claims;
	fine(jws_read(s->a, token, &jws));
	fine(keys_now(&s->t->w->house, s->a, &ring));
	const struct key *key = keyring_key(ring, jws.kid, s->t->w->now);
	assert_non_null(key);
	fine(jws_verify(s->a, token, key, str_of(alg), S("logout+jwt"), &claims));
	return claims;
}

static struct audit ended_row(struct scene *s)
{
	struct audit *l;
	size_t n, i = 0;
	fine(store_audit_tail(s->t->w->house.store, s->a, S(""), 1000, &l, &n));
	while (i < n && !str_is(l[i].event, "session.ended"))
		i++;
	assert_true(i < n);
	return l[i];
}

/* ---- the token -------------------------------------------------------------------------------------------------------------------------- */

/* oidcc-backchannel-rp-initiated-logout */
TEST(a_logout_is_told_to_the_application_by_a_token_that_says_so_and_nothing_else)
{
	struct scene s = scene();
	logs_out(&s);
	settle(&s);
	assert_int_equal(heard_n(), 1);
	assert_non_null(strstr(app.head[0], "POST /out?x=1 HTTP/1.1\r\n"));
	assert_non_null(strstr(app.head[0], "Content-Type: application/x-www-form-urlencoded\r\n"));
	json_t *o = verified(&s, token_heard(&s, 0), "RS256"), *events = json_object_get(o, "events"), *event;
	assert_str(json_text(o, "iss"), "https://id.example");
	assert_str(json_text(o, "aud"), "shop");
	assert_str(json_text(o, "sub"), json_text(s.claims, "sub").p);
	assert_str(json_text(o, "sid"), json_text(s.claims, "sid").p);
	assert_int_equal(json_text(o, "jti").n, 43);
	assert_int_equal(json_integer_value(json_object_get(o, "iat")), s.t->w->now);
	assert_int_equal(json_integer_value(json_object_get(o, "exp")), s.t->w->now + 120);
	assert_int_equal(json_object_size(events), 1);
	assert_non_null(event = json_object_get(events, "http://schemas.openid.net/event/backchannel-logout"));
	assert_true(json_is_object(event) && json_object_size(event) == 0);
	assert_null(json_object_get(o, "nonce"));
	assert_int_equal(json_object_size(o), 8);
	is_state(&s, "shop", "delivered", "HTTP 200");
	assert_int_equal(audits(s.t->w, "logout.delivered", "ok"), 1);
}

/* Keycloak #40984: signed with the key of another application's algorithm */
TEST(each_application_hears_by_its_own_algorithm_subject_and_token)
{
	struct scene s = scene();
	struct res *rs = authorize(s.b, "booth", "");
	json_t *id = claims_of(s.t->w, id_token_for(s.b, "booth", rs));
	logs_out(&s);
	settle(&s);
	assert_int_equal(heard_n(), 2);
	int booth = str_is(json_text(claims_of(s.t->w, token_heard(&s, 0)), "aud"), "booth") ? 0 : 1;
	json_t *o = verified(&s, token_heard(&s, booth), "ES256"), *other = verified(&s, token_heard(&s, !booth), "RS256");
	assert_str(json_text(o, "sub"), json_text(id, "sub").p);
	assert_str(json_text(other, "aud"), "shop");
	assert_string_not_equal(json_text(o, "sub").p, json_text(other, "sub").p);
	assert_string_not_equal(json_text(o, "jti").p, json_text(other, "jti").p);
	size_t n;
	delivery(&s, "portal", &n);
	assert_int_equal(n, 0);
}

TEST(a_logout_token_is_no_other_kind_of_token)
{
	struct scene s = scene();
	struct browser *other = browser(s.t->w);
	sign_in(other, authorize(other, "shop", ""), s.t->an);
	logs_out(&s);
	settle(&s);
	struct str token = token_heard(&s, 0);
	struct res *rs = get(other, str_fmt(s.a, "/logout?id_token_hint=%s", token.p));
	assert_non_null(strstr(rs->body.p, "value=\"logout\""));                /* a question: nothing proves who asks */
	assert_int_equal(ask(s.t->w, "GET", "/userinfo", str_fmt(s.a, "Authorization: Bearer %s\n", token.p).p, "")->status, 401);
	rs = ask(s.t->w, "POST", "/introspect", as(s.t->w, "api").p, str_fmt(s.a, "token=%s", token.p).p);
	assert_int_equal(rs->status, 200);
	assert_false(json_is_true(json_object_get(json_of(s.t->w, rs), "active")));
	is_refused(other, authorize(other, "shop", str_fmt(s.a, "id_token_hint=%s&prompt=none", token.p).p), "shop", "invalid_request");
}

/* ---- whatever ends a session ---------------------------------------------------------------------------------------------------------------- */

static void was_told(struct scene *s, const char *reason)
{
	settle(s);
	is_state(s, "shop", "delivered", "200");
	struct audit ev = ended_row(s);
	assert_str(ev.why, reason);
	assert_str(ev.sid, json_text(s->claims, "sid").p);
	assert_true(ev.person_id.n > 0);
	assert_int_equal(audits(s->t->w, "session.ended", "ok"), 1);
	assert_str(json_text(verified(s, token_heard(s, 0), "RS256"), "sid"), ev.sid.p);
}

TEST(it_is_told_when_the_person_signs_out_on_their_own_page)
{
	struct scene s = scene();
	submit(s.b, visit(s.b, S("/account")), "/account/signout", "");
	was_told(&s, "signed out");
}

TEST(it_is_told_when_another_login_in_the_same_browser_replaces_it)
{
	struct scene s = scene();
	sign_in(s.b, authorize(s.b, "shop", "prompt=login"), s.t->an);
	was_told(&s, "replaced by another login");
}

TEST(it_is_told_when_its_time_is_up)
{
	struct scene s = scene();
	size_t ended;
	fine(sessions_expire(&s.t->w->house, s.a, s.t->w->now, &ended));
	assert_int_equal(ended, 0);
	pass(s.t->w, s.t->w->conf.session_lives);
	fine(sessions_expire(&s.t->w->house, s.a, s.t->w->now, &ended));
	assert_int_equal(ended, 2);                             /* and the world's own */
	fine(sessions_expire(&s.t->w->house, s.a, s.t->w->now, &ended));
	assert_int_equal(ended, 0);
	settle(&s);
	is_state(&s, "shop", "delivered", "200");
	assert_str(ended_row(&s).why, "expired");
}

TEST(it_is_told_when_the_certificate_is_seen_revoked_and_every_session_that_rests_on_it_ends)
{
	struct scene s = scene();
	struct browser *other = browser(s.t->w);
	responder_says(s.t, s.t->an, SAYS_REVOKED);
	pass(s.t->w, 7200);                                     /* what was good is asked again */
	struct res *rs = sign_in(other, authorize(other, "shop", ""), s.t->an);
	assert_int_equal(rs->status, 403);
	was_told(&s, "its certificate was revoked");
	assert_int_equal(audits(s.t->w, "cert.revoked", "ok"), 1);
	is_refused(s.b, get(s.b, request_of(s.a, "portal", "prompt=none")), "portal", "login_required");
	/* on hold, and then not */
	responder_says(s.t, s.t->an, SAYS_GOOD);
	pass(s.t->w, 7200);
	is_code(other, sign_in(other, authorize(other, "shop", ""), s.t->an), "shop");
}

TEST(it_is_told_when_an_administrator_ends_it)
{
	struct scene s = scene();
	struct audit ev = audit_of(world_req(s.t->w), "session.ended");
	size_t n;
	ev.why = S("ended by an administrator");
	fine(store_sessions_end(s.t->w->house.store, s.a, SESSION_BY_SID, json_text(s.claims, "sid"), s.t->w->now, &ev, &n));
	was_told(&s, "ended by an administrator");
	is_refused(s.b, get(s.b, request_of(s.a, "portal", "prompt=none")), "portal", "login_required");
}

TEST(an_application_that_everybody_is_signed_out_of_is_told_and_the_session_goes_on)
{
	struct scene s = scene();
	struct audit ev = audit_of(world_req(s.t->w), "client.signed_out");
	size_t n;
	fine(store_client_sign_out(s.t->w->house.store, s.a, S("shop"), s.t->w->now, &ev, &n));
	assert_int_equal(n, 1);
	settle(&s);
	is_state(&s, "shop", "delivered", "200");
	is_code(s.b, get(s.b, request_of(s.a, "shop", "prompt=none")), "shop");
	/* signed in again, it is told again */
	logs_out(&s);
	settle(&s);
	assert_int_equal(heard_n(), 2);
}

TEST(a_logout_that_was_not_written_is_told_to_nobody)
{
	struct scene s = scene();
	size_t n;
	struct res *rs = NULL;
	for (int nth = 0; !rs || rs->status == 503; nth++) {
		breaks_at(s.t->w, nth);
		rs = get(s.b, str_fmt(s.a, "/logout?id_token_hint=%s", s.hint.p));
		breaks_at(s.t->w, -1);
		delivery(&s, "shop", &n);
		assert_int_equal(n, audits(s.t->w, "session.ended", "ok"));
	}
	assert_int_equal(n, 1);
}

/* ---- what applications answer ----------------------------------------------------------------------------------------------------------------- */

TEST(what_an_application_answers_decides_whether_it_is_told_again)
{
	static const struct { int status; const char *body, *state, *why; } ANSWERS[] = {
		{ 200, "", "delivered", "HTTP 200" }, { 204, "", "delivered", "HTTP 204" }, { 200, "<html>any", "delivered", "HTTP 200" },
		{ 400, "{\"error\":\"invalid_request\",\"error_description\":\"who is that\"}", "failed", "HTTP 400, invalid_request: who is that" },
		{ 400, "nonsense", "failed", "HTTP 400" }, { 400, "{\"error\":\"a\\u000ab\"}", "failed", "HTTP 400" },
		{ 500, "", "pending", "HTTP 500" }, { 503, "", "pending", "HTTP 503" }, { 404, "", "pending", "HTTP 404" }, { 401, "", "pending", "HTTP 401" },
		{ 302, "", "pending", "HTTP 302" }, { 307, "", "pending", "HTTP 307" }, { 201, "", "pending", "HTTP 201" }, { HANGS_UP, "", "pending", "" },
	};
	for (size_t i = 0; i < sizeof ANSWERS / sizeof *ANSWERS; i++) {
		struct scene s = scene();
		answers(ANSWERS[i].status, ANSWERS[i].body);
		logs_out(&s);
		settle(&s);
		is_state(&s, "shop", ANSWERS[i].state, ANSWERS[i].why);
		if (ANSWERS[i].status)
			assert_int_equal(heard_n(), 1);         /* a redirect is never followed */
		assert_int_equal(audits(s.t->w, "logout.failed", "ok"), strcmp(ANSWERS[i].state, "failed") == 0);
	}
}

TEST(an_application_that_hangs_holds_up_nobody_and_is_given_up_on_in_time)
{
	struct scene s = scene();
	size_t open;
	answers(HANGS, "");
	logs_out(&s);
	fine(backchannel_turn(s.out, s.a, s.t->w->now, &open));
	assert_int_equal(open, 1);                              /* no thread waits for it */
	is_state(&s, "shop", "pending", "");
	settle(&s);
	is_state(&s, "shop", "pending", "Timeout");
}

TEST(an_address_that_speaks_no_tls_or_is_nobodys_is_told_later)
{
	struct scene s = scene();
	one_more(s.t->w, "deaf", str_fmt(s.a, ",\"trusted\":true,\"backchannel_logout_uri\":\"https://127.0.0.1:%d/out\"", fake_port(app.fake)).p);
	is_code(s.b, authorize(s.b, "deaf", ""), "deaf");
	logs_out(&s);
	settle(&s);
	is_state(&s, "deaf", "pending", "");
	assert_int_equal(heard_n(), 1);                         /* shop's, and no token in clear */
	is_state(&s, "shop", "delivered", "200");
}

/* SEC-29: what a registration says is not what we may be made to ask */
TEST(private_addresses_are_asked_only_where_the_operator_let_them_in)
{
	struct scene s = scene();
	s.t->w->conf.outgoing_networks = S("");
	one_more(s.t->w, "inside", ",\"trusted\":true,\"backchannel_logout_uri\":\"https://127.0.0.1/out\"");
	is_code(s.b, authorize(s.b, "inside", ""), "inside");
	logs_out(&s);
	settle(&s);
	assert_int_equal(heard_n(), 0);
	is_state(&s, "inside", "pending", "");
	is_state(&s, "shop", "pending", "no address that is asked");
	s.t->w->conf.outgoing_networks = S("127.0.0.0/8");
	pass(s.t->w, 30);
	settle(&s);
	is_state(&s, "shop", "delivered", "200");
}

/* ---- again ------------------------------------------------------------------------------------------------------------------------------------------ */

TEST(it_is_told_again_after_growing_delays_until_a_day_is_over_and_when_an_administrator_says_so)
{
	struct scene s = scene();
	struct delivery_row *d;
	size_t n;
	epoch began = s.t->w->now, before = 0;
	int tries = 0;
	answers(500, "");
	logs_out(&s);
	for (;; tries++) {
		settle(&s);
		assert_int_equal(heard_n(), tries + 1);
		d = delivery(&s, "shop", &n);
		assert_int_equal(d->tries, tries + 1);
		if (!str_is(d->state, "pending"))
			break;
		assert_true(d->due_at - s.t->w->now >= before && d->due_at - s.t->w->now <= 4 * 3600);
		before = d->due_at - s.t->w->now;
		s.t->w->now = d->due_at - 1;
		settle(&s);
		assert_int_equal(heard_n(), tries + 1);         /* not before it is due */
		pass(s.t->w, 1);
	}
	is_state(&s, "shop", "failed", "HTTP 500");
	assert_true(s.t->w->now > began + 19 * 3600 && s.t->w->now <= began + 86400);
	assert_in_range(tries, 8, 16);
	assert_int_equal(audits(s.t->w, "logout.failed", "ok"), 1);
	pass(s.t->w, 86400);
	settle(&s);
	assert_int_equal(heard_n(), tries + 1);

	struct audit ev = audit_of(world_req(s.t->w), "logout.retried");
	answers(204, "");
	fine(store_delivery_retry(s.t->w->house.store, s.a, S("shop"), S(""), s.t->w->now, &ev, &n));
	settle(&s);
	is_state(&s, "shop", "delivered", "204");
}

/* Whoever claimed it was killed before the answer came. */
TEST(what_was_claimed_and_never_sent_is_sent_by_another)
{
	struct scene s = scene();
	struct delivery_row *d;
	size_t n;
	logs_out(&s);
	fine(store_delivery_claim(s.t->w->house.store, s.a, S("the dead"), s.t->w->now, s.t->w->now + 7, 10, &d, &n));
	assert_int_equal(n, 1);
	settle(&s);
	assert_int_equal(heard_n(), 0);
	pass(s.t->w, 7);
	settle(&s);
	assert_int_equal(heard_n(), 1);
	is_state(&s, "shop", "delivered", "200");
}

struct worker { pthread_t thread; struct scene *s; bool fine; };

static void *work(void *p)
{
	struct worker *k = p;
	struct arena *a = arena_new();
	struct backchannel *b;
	size_t open = 1;
	k->fine = !backchannel_new(&k->s->t->w->house, a, &b).kind;
	while (k->fine && open) {
		k->fine = !backchannel_turn(b, a, k->s->t->w->now, &open).kind;
		sched_yield();
	}
	k->fine &= !backchannel_turn(b, a, k->s->t->w->now, &open).kind;
	backchannel_free(b);
	arena_free(a);
	return NULL;
}

TEST(of_eight_processes_one_tells_it)
{
	enum { WORKERS = 8 };
	struct scene s = scene();
	struct worker k[WORKERS];
	is_code(s.b, authorize(s.b, "booth", ""), "booth");
	logs_out(&s);
	for (size_t i = 0; i < WORKERS; i++) {
		k[i] = (struct worker){ .s = &s };
		assert_int_equal(pthread_create(&k[i].thread, NULL, work, &k[i]), 0);
	}
	for (size_t i = 0; i < WORKERS; i++) {
		pthread_join(k[i].thread, NULL);
		assert_true(k[i].fine);
	}
	settle(&s);
	assert_int_equal(heard_n(), 2);                         /* shop and booth, once each */
	is_state(&s, "shop", "delivered", "200");
	is_state(&s, "booth", "delivered", "200");
}

TEST(an_application_that_is_gone_is_not_told)
{
	struct scene s = scene();
	struct audit ev = audit_of(world_req(s.t->w), "client.removed");
	bool existed;
	logs_out(&s);
	fine(store_client_remove(s.t->w->house.store, s.a, S("shop"), &existed, &ev));
	client_forget(s.t->w->house.clients, S("shop"));
	settle(&s);
	assert_int_equal(heard_n(), 0);
	is_state(&s, "shop", "failed", "no longer registered");
}

/* ---- registration ------------------------------------------------------------------------------------------------------------------------------------- */

TEST(addresses_that_may_be_registered)
{
	static const struct { const char *uri; bool back, front; } URIS[] = {
		{ "https://shop.example/out", true, true }, { "https://shop.example/out?x=1&y", true, true }, { "http://127.0.0.1:8080/out", true, false },
		{ "http://localhost/out", true, false }, { "https://other.example/out", true, false }, { "https://shop.example:444/out", true, false },
		{ "http://shop.example/out", false, false }, { "https://shop.example/out#x", false, false }, { "https://", false, false },
		{ "https://a:b@shop.example/", false, false }, { "vn.example.shop:/out", false, false }, { "javascript:alert(1)", false, false }, { "/out", false, false },
		{ "http://localhost.evil.example/", false, false }, { "https://shop.example.evil.example/out", true, false },
	};
	static const char FORMAT[] = "{\"redirect_uris\":[\"https://shop.example/cb\"],\"token_endpoint_auth_method\":\"none\",\"%s\":\"%s\"}";
	struct world *w = town()->w;
	struct client c;
	for (size_t i = 0; i < sizeof URIS / sizeof *URIS; i++) {
		bool back = !client_parse(w->a, S("shop"), str_fmt(w->a, FORMAT, "backchannel_logout_uri", URIS[i].uri), &c).kind;
		bool front = !client_parse(w->a, S("shop"), str_fmt(w->a, FORMAT, "frontchannel_logout_uri", URIS[i].uri), &c).kind;
		if (back != URIS[i].back || front != URIS[i].front)
			fail_msg("%s: back %d, front %d", URIS[i].uri, back, front);
	}
}

/* ---- the front channel ---------------------------------------------------------------------------------------------------------------------------------- */

/* An is signed in to left and right, too, which both have frames. */
static struct scene framed(void)
{
	struct scene s = scene();
	one_more(s.t->w, "left", ",\"trusted\":true,\"frontchannel_logout_uri\":\"https://left.example/front?a=b%26c\"");
	one_more(s.t->w, "right", ",\"trusted\":true,\"frontchannel_logout_uri\":\"https://right.example/front\"");
	is_code(s.b, authorize(s.b, "left", ""), "left");
	s.hint = id_token_for(s.b, "right", authorize(s.b, "right", ""));
	s.claims = claims_of(s.t->w, s.hint);
	return s;
}

static struct res *logout_to(struct scene *s, const char *state)
{
	return get(s->b, str_fmt(s->a, "/logout?id_token_hint=%s&post_logout_redirect_uri=https%%3A%%2F%%2Fportal.example%%2Fbye%s", s->hint.p, state));
}

static void has(const struct res *rs, struct str what)
{
	if (!strstr(rs->body.p, what.p))
		fail_msg("%s is not in %s", what.p, rs->body.p);
}

/* oidcc-frontchannel-rp-initiated-logout */
TEST(every_application_is_told_in_a_frame_and_only_then_is_the_browser_sent_on)
{
	struct scene s = framed();
	struct res *rs = logout_to(&s, "&state=s%201");
	is_page(rs, 200);
	struct str sid = json_text(s.claims, "sid");
	has(rs, str_fmt(s.a, "src=\"https://left.example/front?a=b%%26c&amp;iss=https%%3A%%2F%%2Fid.example&amp;sid=%s\"", sid.p));
	has(rs, str_fmt(s.a, "src=\"https://right.example/front?iss=https%%3A%%2F%%2Fid.example&amp;sid=%s\"", sid.p));
	const char *csp = res_head(rs, "Content-Security-Policy").p, *frames = strstr(csp, "frame-src ");
	assert_non_null(frames);
	assert_int_equal(strncmp(frames, "frame-src https://left.example https://right.example;", strlen("frame-src https://left.example https://right.example;")), 0);
	has(rs, S("http-equiv=\"refresh\""));                   /* and without script */
	struct str next = str_fmt(s.a, "/logout/done?i=%s", data_of(s.b, rs, "next").p);
	has(rs, str_fmt(s.a, "href=\"%s\"", next.p));
	is_refused(s.b, get(s.b, request_of(s.a, "portal", "prompt=none")), "portal", "login_required");    /* it is over already */
	rs = get(s.b, next);
	assert_int_equal(rs->status, 303);
	assert_str(res_head(rs, "Location"), "https://portal.example/bye?state=s%201");
	is_page(get(s.b, next), 200);                           /* once */
	settle(&s);
	is_state(&s, "shop", "delivered", "200");
}

TEST(an_id_under_which_the_way_on_waits_is_no_answer_to_the_question_nor_the_other_way_round)
{
	struct scene s = framed();
	struct res *asked = get(s.b, S("/logout?client_id=portal"));
	struct str question = field(s.b, asked, "i");
	assert_int_equal(question.n, 43);
	is_page(get(s.b, str_fmt(s.a, "/logout/done?i=%s", question.p)), 200);
	struct res *rs = logout_to(&s, "");
	struct browser *other = browser(s.t->w);
	sign_in(other, authorize(other, "left", ""), s.t->an);
	asked = get(other, S("/logout"));
	rs = go(other, "POST", S("/logout/confirmed"), str_fmt(s.a, "csrf=%s&i=%s&decision=logout", field(other, asked, "csrf").p, data_of(s.b, rs, "next").p).p);
	is_page(rs, 200);                                       /* signed out, and sent nowhere */
}

TEST(where_nobody_wants_a_frame_the_browser_is_sent_on_at_once)
{
	struct scene s = scene();
	struct res *rs = logout_to(&s, "&state=x");
	assert_int_equal(rs->status, 303);
	assert_str(res_head(rs, "Location"), "https://portal.example/bye?state=x");
}

TEST(without_an_address_to_go_on_to_the_frames_are_on_the_page_that_says_goodbye)
{
	struct scene s = framed();
	struct res *rs = get(s.b, str_fmt(s.a, "/logout?id_token_hint=%s", s.hint.p));
	is_page(rs, 200);
	has(rs, S("<iframe"));
	assert_non_null(strstr(res_head(rs, "Content-Security-Policy").p, "frame-src https://left.example https://right.example"));
	s = framed();
	rs = submit(s.b, visit(s.b, S("/account")), "/account/signout", "");
	has(rs, S("https://left.example/front"));
	rs = visit(s.b, S("/account"));
	assert_null(strstr(res_head(rs, "Content-Security-Policy").p, "frame-src"));
}
