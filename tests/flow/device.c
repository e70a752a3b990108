#include "town.h"
#include "audit_of.h"
#include "code.h"
#include "hash.h"
#include "rand.h"
#include <pthread.h>
#include <stdio.h>

/* Device authorization (RFC 8628): a device that shows a code, and a person who types it elsewhere. */

#define GRANT "grant_type=urn:ietf:params:oauth:grant-type:device_code"

struct scene { struct town *t; struct world *w; struct browser *b; struct str device_code, user_code; };

static struct res *begun(struct world *w, const char *client, const char *more)
{
	return ask(w, "POST", "/device_authorization", as(w, client).p, str_fmt(w->a, "scope=openid%%20profile%%20offline_access%s", more).p);
}

static struct res *polled_as(struct scene *s, const char *client, struct str code)
{
	return ask(s->w, "POST", "/token", as(s->w, client).p, str_fmt(s->w->a, GRANT "&device_code=%s", code.p).p);
}

static struct res *polled(struct scene *s) { return polled_as(s, "box", s->device_code); }

/* A device that shows its code, and its person at a browser where they are signed in. */
static struct scene scene(void)
{
	struct scene s = { .t = town() };
	s.w = s.t->w;
	s.b = browser(s.w);
	is_signed_in(s.b);
	struct res *rs = begun(s.w, "box", "");
	is_status(rs, 200);
	s.device_code = told(s.w, rs, "device_code");
	s.user_code = told(s.w, rs, "user_code");
	return s;
}

static struct res *typed(struct browser *b, struct str code) { return follow(b, go(b, "POST", S("/device"), str_fmt(b->a, "user_code=%s", code.p).p)); }

/* Up to the page that names the application and shows the code again. */
static struct res *to_confirm(struct scene *s)
{
	struct res *rs = typed(s->b, s->user_code);
	is_at(s->b, rs, "/login/consent");
	return rs;
}

static struct res *decides(struct scene *s, const char *decision)
{
	return follow(s->b, submit(s->b, to_confirm(s), "/login/consent", str_fmt(s->b->a, "decision=%s", decision).p));
}

static void is_granted(struct scene *s) { is_at(s->b, decides(s, "allow"), "/device/granted"); }
static bool says(const struct res *rs, const char *text) { return strstr(rs->body.p, text) != NULL; }

/* ---- how it goes ---- */

TEST(a_device_is_signed_in_by_the_code_that_its_person_types)
{
	struct scene s = scene();
	is_fault(polled(&s), AUTHORIZATION_PENDING);
	struct res *rs = typed(s.b, S("%20") );
	is_page(rs, 400);
	rs = to_confirm(&s);
	assert_true(says(rs, s.user_code.p));
	assert_true(says(rs, "<b translate=\"no\">box</b>"));
	pass(s.w, 5);
	is_fault(polled(&s), AUTHORIZATION_PENDING);                      /* looking decides nothing */
	rs = follow(s.b, submit(s.b, rs, "/login/consent", "decision=allow"));
	is_at(s.b, rs, "/device/granted");
	rs = polled(&s);
	is_tokens(s.w, rs);
	assert_str(res_head(rs, "Cache-Control"), "no-store");
	assert_str(told(s.w, rs, "scope"), "openid profile offline_access");
	json_t *claims = claims_of(s.w, told(s.w, rs, "id_token"));
	assert_str(json_text(claims, "aud"), "box");
	assert_str(json_text(claims, "acr"), "substantial");
	is_status(ask(s.w, "GET", "/userinfo", str_fmt(s.w->a, "Authorization: Bearer %s\n", told(s.w, rs, "access_token").p).p, ""), 200);
	is_tokens(s.w, refresh(s.w, "box", told(s.w, rs, "refresh_token")));
	assert_int_equal(audits(s.w, "device.asked", "ok"), 1);
	assert_int_equal(audits(s.w, "device.decided", "ok"), 1);
	assert_int_equal(audits(s.w, "token.issued", "ok"), 2);
}

/* OAuch Tokens.DeviceCodeEntropyTest; DeviceAuthEndpoint.UnrecognizedParameterAllowedTest */
TEST(what_the_device_is_told_is_what_the_specification_asks_for)
{
	struct world *w = town()->w;
	struct res *rs = begun(w, "box", "&unknown=1");
	json_t *o = json_of(w, rs);
	int64_t expires = 0, interval = 0;
	struct str code, shown = json_text(o, "user_code");
	is_status(rs, 200);
	assert_str(res_head(rs, "Cache-Control"), "no-store");
	assert_int_equal(json_text(o, "device_code").n, 43);
	assert_int_equal(shown.n, 9);
	assert_int_equal(strspn(shown.p, "BCDFGHJKLMNPQRSTVWXZ"), 4);
	assert_int_equal(strspn(shown.p + 5, "BCDFGHJKLMNPQRSTVWXZ"), 4);
	assert_str(json_text(o, "verification_uri"), "https://id.example/device");
	assert_str(json_text(o, "verification_uri_complete"), str_fmt(w->a, "https://id.example/device?user_code=%s", shown.p).p);
	assert_true(json_int(o, "expires_in", &expires) && json_int(o, "interval", &interval));
	assert_int_equal(expires, 600);
	assert_int_equal(interval, 5);
	/* neither code is stored: the one that can be tried out not even as a plain hash */
	struct decoupled_row *d;
	fine(store_decoupled_find(w->house.store, w->a, S("device"), hash_of(w->a, str_fmt(w->a, "%.4s%s", shown.p, shown.p + 5)), &d));
	assert_null(d);
	rs = ask(w, "GET", "/.well-known/openid-configuration", "", "");
	code = told(w, rs, "device_authorization_endpoint");
	assert_str(code, "https://id.example/device_authorization");
	assert_true(says(rs, "\"urn:ietf:params:oauth:grant-type:device_code\""));
}

TEST(a_code_may_be_typed_in_any_way_that_a_person_would)
{
	struct scene s = scene();
	char low[16];
	for (size_t i = 0; i <= s.user_code.n; i++)
		low[i] = (char)(s.user_code.p[i] >= 'A' ? s.user_code.p[i] + 32 : s.user_code.p[i]);
	const char *const WAYS[] = { low, str_fmt(s.w->a, "+%.4s+%s+", s.user_code.p, s.user_code.p + 5).p, str_fmt(s.w->a, "%.2s-%.2s%s", low, low + 2, low + 5).p };
	for (size_t i = 0; i < sizeof WAYS / sizeof *WAYS; i++)
		is_at(s.b, typed(s.b, str_of(WAYS[i])), "/login/consent");
	/* the twins: a letter more, a letter less, a vowel, a figure, nothing, very much */
	const char *const WRONG[] = { str_fmt(s.w->a, "%sB", low).p, str_dup(s.w->a, low, 8).p, str_fmt(s.w->a, "A%s", low + 1).p, str_fmt(s.w->a, "0%s", low + 1).p, "",
		"BCDFGHJK--------------------------------------------------------------------", "%C4%90CDFGHJK" };
	for (size_t i = 0; i < sizeof WRONG / sizeof *WRONG; i++)
		is_page(typed(s.b, str_of(WRONG[i])), 400);
}

/* RFC 8628 section 3.3.1: the complete address fills the form in, and that is all it does */
TEST(the_complete_address_still_asks_the_person)
{
	struct scene s = scene();
	struct res *rs = visit(s.b, str_fmt(s.w->a, "/device?user_code=%s", s.user_code.p));
	is_page(rs, 200);
	assert_str(field(s.b, rs, "user_code").n ? field(s.b, rs, "user_code") : S(""), "");    /* no hidden one: a field to be seen */
	assert_true(says(rs, str_fmt(s.w->a, "value=\"%s\"", s.user_code.p).p));
	is_fault(polled(&s), AUTHORIZATION_PENDING);
	assert_int_equal(audits(s.w, "device.decided", "ok"), 0);
	rs = visit(s.b, S("/device?user_code=%22%3E%3Cscript%3E"));        /* the twin: what is no code is not echoed */
	assert_false(says(rs, "<script>\""));
	assert_true(says(rs, "name=\"user_code\"") && says(rs, "value=\"\""));
}

TEST(whoever_is_not_signed_in_signs_in_first)
{
	struct scene s = scene();
	struct browser *b = browser(s.w);
	struct res *rs = sign_in(b, go(b, "POST", S("/device"), str_fmt(b->a, "user_code=%s", s.user_code.p).p), s.t->an);
	is_at(b, rs, "/login/consent");
	rs = follow(b, submit(b, rs, "/login/consent", "decision=allow"));
	is_at(b, rs, "/device/granted");
	json_t *claims = claims_of(s.w, told(s.w, polled(&s), "id_token"));
	assert_str(json_text(claims, "acr"), "high");
}

/* SEC-41: what an application demands of a login holds on this way too */
TEST(a_device_of_an_application_with_a_floor_needs_a_login_that_reaches_it)
{
	struct scene s = scene();
	world_client(s.w, "safe", "client_secret_basic", ",\"grant_types\":[\"urn:ietf:params:oauth:grant-type:device_code\"],\"minimum_acr\":\"high\"");
	struct res *rs = ask(s.w, "POST", "/device_authorization", as(s.w, "safe").p, "scope=openid");
	s.device_code = told(s.w, rs, "device_code"), s.user_code = told(s.w, rs, "user_code");
	rs = typed(s.b, s.user_code);
	is_at(s.b, rs, "/login");
	rs = sign_in(s.b, rs, s.t->an);
	is_at(s.b, rs, "/login/consent");
	is_at(s.b, follow(s.b, submit(s.b, rs, "/login/consent", "decision=allow")), "/device/granted");
	assert_str(json_text(claims_of(s.w, told(s.w, polled_as(&s, "safe", s.device_code), "id_token")), "acr"), "high");
}

/* ---- asking again ---- */

/* RFC 8628 section 3.5: slow_down, and from then on five seconds more */
TEST(a_device_that_asks_too_fast_is_slowed_down_by_five_seconds_each_time)
{
	struct scene s = scene();
	is_fault(polled(&s), AUTHORIZATION_PENDING);
	is_fault(polled(&s), SLOW_DOWN);
	pass(s.w, 5);
	is_fault(polled(&s), SLOW_DOWN);
	pass(s.w, 15);
	is_fault(polled(&s), AUTHORIZATION_PENDING);
	pass(s.w, 14);
	is_fault(polled(&s), AUTHORIZATION_PENDING);
	is_granted(&s);
	is_tokens(s.w, polled(&s));                                       /* what is decided is told at once */
}

TEST(a_device_that_keeps_its_pace_is_never_slowed_down)
{
	struct scene s = scene();
	for (int i = 0; i < 20; i++, pass(s.w, 5))
		is_fault(polled(&s), AUTHORIZATION_PENDING);
}

/* ---- how it does not go ---- */

TEST(what_the_person_refuses_the_device_is_told)
{
	struct scene s = scene();
	is_at(s.b, decides(&s, "deny"), "/device/denied");
	struct res *rs = polled(&s);
	is_fault(rs, REFUSED_BY_PERSON);
	assert_int_equal(rs->status, 400);
	is_fault(polled(&s), REFUSED_BY_PERSON);
	is_page(typed(s.b, s.user_code), 400);                            /* and it stays so */
	assert_int_equal(audits(s.w, "device.decided", "access_denied"), 1);
	assert_int_equal(audits(s.w, "token.issued", "ok"), 0);
}

TEST(who_turns_back_at_the_login_has_refused)
{
	struct scene s = scene();
	struct browser *b = browser(s.w);
	struct res *rs = typed(b, s.user_code);
	is_at(b, rs, "/login?");
	is_at(b, follow(b, submit(b, rs, "/login/cancel", "")), "/device/denied");
	is_fault(polled(&s), REFUSED_BY_PERSON);
}

TEST(when_its_time_is_over_a_code_is_good_for_nothing)
{
	struct scene s = scene();
	struct res *page = to_confirm(&s);
	pass(s.w, 599);
	is_fault(polled(&s), AUTHORIZATION_PENDING);
	pass(s.w, 1);
	is_fault(polled(&s), EXPIRED_TOKEN);
	is_page(typed(s.b, s.user_code), 400);
	is_at(s.b, follow(s.b, submit(s.b, page, "/login/consent", "decision=allow")), "/device/gone");
	is_fault(polled(&s), EXPIRED_TOKEN);
	/* the twin: granted in time and fetched too late */
	s = scene();
	is_granted(&s);
	pass(s.w, 600);
	is_fault(polled(&s), EXPIRED_TOKEN);
	assert_int_equal(audits(s.w, "token.issued", "ok"), 0);
}

TEST(a_code_that_was_decided_is_not_decided_again)
{
	struct scene s = scene();
	struct browser *other = twin(s.b, s.w->a);
	struct res *here = to_confirm(&s), *there = typed(other, s.user_code);
	is_at(other, there, "/login/consent");
	is_at(s.b, follow(s.b, submit(s.b, here, "/login/consent", "decision=allow")), "/device/granted");
	is_at(other, follow(other, submit(other, there, "/login/consent", "decision=deny")), "/device/gone");
	is_tokens(s.w, polled(&s));
	assert_int_equal(audits(s.w, "device.decided", "access_denied"), 0);
}

TEST(tokens_are_given_once_and_asking_again_undoes_nothing)
{
	struct scene s = scene();
	is_granted(&s);
	struct res *rs = polled(&s);
	is_tokens(s.w, rs);
	is_fault(polled(&s), INVALID_GRANT);
	is_tokens(s.w, refresh(s.w, "box", told(s.w, rs, "refresh_token")));
}

/* SEC-03, SEC-04 */
TEST(a_device_code_is_good_for_its_client_alone_and_not_spoilt_by_another)
{
	struct scene s = scene();
	is_fault(polled_as(&s, "meterless", s.device_code), INVALID_CLIENT);
	is_fault(polled_as(&s, "kiosk", s.device_code), INVALID_GRANT);
	is_granted(&s);
	is_fault(polled_as(&s, "kiosk", s.device_code), INVALID_GRANT);
	is_tokens(s.w, polled(&s));
}

/* SEC-09: an id of one kind is none of another */
TEST(a_device_code_is_nothing_but_a_device_code)
{
	struct scene s = scene();
	struct str code = consent(s.w, "box", "openid", "");
	is_fault(polled_as(&s, "box", code), INVALID_GRANT);
	is_fault(polled_as(&s, "box", s.user_code), INVALID_GRANT);
	is_fault(redeem(s.w, "box", s.device_code), INVALID_GRANT);
	is_fault(refresh(s.w, "box", s.device_code), INVALID_GRANT);
	is_page(typed(s.b, s.device_code), 400);
	is_fault(ask(s.w, "POST", "/token", as(s.w, "box").p, GRANT), INVALID_REQUEST);
	is_granted(&s);
	is_tokens(s.w, polled(&s));
}

TEST(only_who_may_is_given_a_code)
{
	struct world *w = town()->w;
	is_fault(begun(w, "tax", ""), UNAUTHORIZED_CLIENT);
	is_fault(ask(w, "POST", "/device_authorization", "", "client_id=box&scope=openid"), INVALID_CLIENT);
	is_fault(ask(w, "POST", "/device_authorization", as(w, "box").p, "scope=vn_number"), INVALID_SCOPE);
	is_fault(ask(w, "POST", "/device_authorization", as(w, "box").p, ""), INVALID_SCOPE);
	is_status(ask(w, "GET", "/device_authorization?client_id=tv", "", ""), 405);
	/* OAuch DeviceAuthEndpoint.SameParameterTwiceDisallowedTest */
	is_fault(ask(w, "POST", "/device_authorization", as(w, "box").p, "scope=openid&scope=openid"), INVALID_REQUEST);
	assert_int_equal(audits(w, "device.asked", "ok"), 0);
	is_status(ask(w, "POST", "/device_authorization", "", "client_id=tv&scope=openid"), 200);
	is_fault(ask(w, "POST", "/token", as(w, "tax").p, GRANT "&device_code=x"), UNAUTHORIZED_CLIENT);
}

/* RFC 8705: what a client with bound tokens gets this way is bound as well */
TEST(a_device_with_a_certificate_gets_tokens_that_are_bound_to_it)
{
	struct scene s = scene();
	struct str cert = str_fmt(s.w->a, "Client-Cert: :%s:\n", s.w->gate_cert.p);
	struct res *rs = ask(s.w, "POST", "/device_authorization", cert.p, "client_id=meter&scope=openid");
	is_status(rs, 200);
	struct str code = told(s.w, rs, "device_code");
	s.user_code = told(s.w, rs, "user_code");
	is_granted(&s);
	struct str body = str_fmt(s.w->a, GRANT "&client_id=meter&device_code=%s", code.p);
	is_fault(ask(s.w, "POST", "/token", "", body.p), INVALID_CLIENT);
	rs = ask(s.w, "POST", "/token", cert.p, body.p);
	is_tokens(s.w, rs);
	struct str token = told(s.w, rs, "access_token");
	assert_true(json_text(json_object_get(claims_of(s.w, token), "cnf"), "x5t#S256").n == 43);
	is_status(ask(s.w, "GET", "/userinfo", str_fmt(s.w->a, "Authorization: Bearer %s\n", token.p).p, ""), 401);
}

/* ---- whose it is ---- */

/* RFC 8628 section 5.4: whoever allowed the application before, and of whatever application, is asked for this device */
TEST(the_person_is_asked_every_time_also_for_an_application_that_needs_no_consent)
{
	struct scene s = scene();
	agrees(s.w, "box", "openid profile offline_access");
	is_at(s.b, typed(s.b, s.user_code), "/login/consent");
	struct res *rs = begun(s.w, "kiosk", "");
	s.user_code = told(s.w, rs, "user_code");
	is_at(s.b, typed(s.b, s.user_code), "/login/consent");
	assert_int_equal(audits(s.w, "device.decided", "ok"), 0);
}

/* SEC-19 */
TEST(no_other_site_can_type_a_code_or_press_the_button)
{
	struct scene s = scene();
	struct res *page = to_confirm(&s);
	struct str i = field(s.b, page, "i");
	s.b->more = "Origin: https://evil.example\nSec-Fetch-Site: cross-site\n";
	is_page(go(s.b, "POST", S("/device"), str_fmt(s.b->a, "user_code=%s", s.user_code.p).p), 403);
	is_page(submit(s.b, page, "/login/consent", "decision=allow"), 403);
	s.b->more = "";
	is_page(go(s.b, "POST", S("/login/consent"), str_fmt(s.b->a, "i=%s&decision=allow", i.p).p), 403);
	assert_int_equal(go(s.b, "GET", str_fmt(s.b->a, "/login/consent?i=%s&decision=allow", i.p), "")->status, 200);
	/* SEC-18: what one browser began, another cannot end */
	struct browser *other = browser(s.w);
	is_signed_in(other);
	is_page(follow(other, submit(other, page, "/login/consent", "decision=allow")), 400);
	is_fault(polled(&s), AUTHORIZATION_PENDING);
}

TEST(signing_out_of_the_browser_leaves_the_device_signed_in_and_its_own_session_does_not)
{
	struct scene s = scene();
	struct session_row *own;
	struct res *rs = ask(s.w, "POST", "/device_authorization", as(s.w, "box").p, "scope=openid");
	s.device_code = told(s.w, rs, "device_code"), s.user_code = told(s.w, rs, "user_code");
	is_granted(&s);
	struct audit ev = audit_of(world_req(s.w), "session.ended");
	fine(store_session_end(s.w->house.store, s.w->a, hash_of(s.w->a, cookie_in(s.b, "session")), s.w->now, &ev));
	rs = polled(&s);
	is_tokens(s.w, rs);
	struct str sid = json_text(claims_of(s.w, told(s.w, rs, "id_token")), "sid"), token = told(s.w, rs, "refresh_token");
	assert_false(str_eq(sid, s.w->sid));
	rs = refresh(s.w, "box", token);
	is_tokens(s.w, rs);
	fine(store_session_by_sid(s.w->house.store, s.w->a, sid, &own));
	assert_str(own->person_id, s.w->person_id.p);
	ev = audit_of(world_req(s.w), "session.ended");
	fine(store_session_end(s.w->house.store, s.w->a, own->id_hash, s.w->now, &ev));
	is_fault(refresh(s.w, "box", told(s.w, rs, "refresh_token")), INVALID_GRANT);
}

/* SEC-08 */
TEST(who_is_disabled_between_the_yes_and_the_token_gets_none)
{
	struct scene s = scene();
	struct person_row *p;
	is_granted(&s);
	fine(store_person(s.w->house.store, s.w->a, s.w->person_id, &p));
	p->disabled_at = s.w->now;
	struct audit ev = audit_of(world_req(s.w), "person.changed");
	fine(store_person_change(s.w->house.store, s.w->a, p, &ev));
	is_fault(polled(&s), INVALID_GRANT);
}

/* ---- limits ---- */

static const char *guess(struct arena *a, int n)
{
	char code[9] = "BBBBBBBB";
	for (int i = 7; n; i--, n /= 20)
		code[i] = "BCDFGHJKLMNPQRSTVWXZ"[n % 20];
	return str_dup(a, code, 8).p;
}

/* RFC 8628 section 5.1; SEC-35 */
TEST(one_address_guesses_a_few_times_and_others_are_not_shut_out)
{
	struct scene s = scene();
	s.w->conf.device_tries_per_address = 20;
	for (int i = 0; i < 20; i++)
		is_page(typed(s.b, str_of(guess(s.w->a, i))), 400);
	is_page(typed(s.b, str_of(guess(s.w->a, 20))), 429);
	is_page(typed(s.b, s.user_code), 429);                            /* right or wrong: told alike */
	assert_int_equal(audits(s.w, "device.refused", "invalid_grant"), 20);
	s.b->peer = S("192.0.2.8");
	is_at(s.b, typed(s.b, s.user_code), "/login/consent");
	pass(s.w, 600);
	s.b->peer = S("192.0.2.7");
	is_page(typed(s.b, str_of(guess(s.w->a, 20))), 400);
}

TEST(all_addresses_together_guess_no_more_than_is_allowed)
{
	struct scene s = scene();
	s.w->conf.device_tries = 30;
	for (int i = 0; i < 30; i++) {
		s.b->peer = str_fmt(s.w->a, "198.51.100.%d", i);
		is_page(typed(s.b, str_of(guess(s.w->a, i))), 400);
	}
	s.b->peer = S("203.0.113.1");
	is_page(typed(s.b, str_of(guess(s.w->a, 31))), 429);
}

TEST(one_address_begins_no_more_than_is_allowed)
{
	struct world *w = town()->w;
	w->conf.attempts_per_address = 3;
	for (int i = 0; i < 3; i++)
		is_status(begun(w, "box", ""), 200);
	is_fault(begun(w, "box", ""), TOO_MANY_REQUESTS);
	assert_int_equal(audits(w, "device.asked", "ok"), 3);
}

/* ---- many at once, and when things break ---- */

enum { RACERS = 16 };
struct racer { struct scene *s; struct arena *a; struct str headers, body; pthread_barrier_t *start; bool won; };

static void *redeems(void *p)
{
	struct racer *r = p;
	pthread_barrier_wait(r->start);
	struct res *rs = ask_in(r->s->w, r->a, "POST", "/token", r->headers.p, r->body.p);
	r->won = rs->status == 200;
	return NULL;
}

/* SEC-06 */
TEST(of_many_who_fetch_the_tokens_at_once_one_does)
{
	struct scene s = scene();
	struct racer r[RACERS];
	pthread_t thread[RACERS];
	pthread_barrier_t start;
	int won = 0;
	is_granted(&s);
	pthread_barrier_init(&start, NULL, RACERS);
	for (int i = 0; i < RACERS; i++) {
		r[i] = (struct racer){ .s = &s, .a = arena_new(), .headers = as(s.w, "box"), .start = &start,
		                       .body = str_fmt(s.w->a, GRANT "&device_code=%s", s.device_code.p) };
		assert_int_equal(pthread_create(&thread[i], NULL, redeems, &r[i]), 0);
	}
	for (int i = 0; i < RACERS; i++) {
		pthread_join(thread[i], NULL);
		won += r[i].won;
		arena_free(r[i].a);
	}
	pthread_barrier_destroy(&start);
	assert_int_equal(won, 1);
	assert_int_equal(audits(s.w, "token.issued", "ok"), 1);
}

/* Breaks at its first question, its second, and so on, until it is broken after the last: how many there were. */
static int breaks_everywhere(struct scene *s, struct res *(*asks)(struct scene *))
{
	for (int nth = 0; nth < 12; nth++) {
		breaks_at(s->w, nth);
		struct res *rs = asks(s);
		breaks_at(s->w, -1);
		if (rs->status != 503)
			return nth;
	}
	fail_msg("it never came through");
	return -1;
}

static struct res *begins(struct scene *s) { return begun(s->w, "box", ""); }

static struct res *types_and_allows(struct scene *s)
{
	struct res *rs = typed(s->b, s->user_code);
	return rs->status == 200 ? follow(s->b, submit(s->b, rs, "/login/consent", "decision=allow")) : rs;
}

/* SEC-08 */
TEST(a_store_that_breaks_at_any_step_gives_no_code_and_no_token_and_spoils_neither)
{
	struct scene s = scene();
	assert_true(breaks_everywhere(&s, begins) >= 1);
	assert_true(breaks_everywhere(&s, types_and_allows) >= 4);
	assert_str(s.b->at, "/device/granted");
	assert_true(breaks_everywhere(&s, polled) >= 2);
	assert_int_equal(audits(s.w, "device.decided", "ok"), 1);
	assert_int_equal(audits(s.w, "token.issued", "ok"), 1);
	is_fault(polled(&s), INVALID_GRANT);
}
