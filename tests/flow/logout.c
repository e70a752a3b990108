#include "town.h"
#include "code.h"
#include "evidence.h"

/* OpenID Connect RP-Initiated Logout 1.0: who is signed out, and where anybody is sent. */

struct scene { struct town *t; struct browser *b; struct str hint, refresh, access; };

/* Somebody who is signed in to portal and tax. */
static struct scene scene(void)
{
	struct scene s = { .t = town() };
	s.b = browser(s.t->w);
	struct res *rs = sign_in(s.b, authorize(s.b, "portal", "scope=openid%20offline_access"), s.t->an);
	rs = redeem(s.t->w, "portal", heard(s.b, follow(s.b, submit(s.b, rs, "/login/consent", "decision=allow")), "code"));
	s.hint = told(s.t->w, rs, "id_token");
	s.refresh = told(s.t->w, rs, "refresh_token");
	rs = follow(s.b, submit(s.b, authorize(s.b, "tax", ""), "/login/consent", "decision=allow"));
	s.access = told(s.t->w, redeem(s.t->w, "tax", heard(s.b, rs, "code")), "access_token");
	return s;
}

#define BYE "post_logout_redirect_uri=https%%3A%%2F%%2Fportal.example%%2Fbye"         /* in a format */
#define out(b, ...) get(b, str_fmt((b)->a, "/logout?" __VA_ARGS__))

static bool in(struct browser *b) { return to_app(get(b, request_of(b->a, "portal", "prompt=none")), "portal") &&
	heard(b, get(b, request_of(b->a, "portal", "prompt=none")), "code").n == 43; }

#define is_out(b) do { struct res *r = get(b, request_of((b)->a, "portal", "prompt=none")); is_refused(b, r, "portal", "login_required"); } while (0)
#define is_sent(rs, url) do { struct res *r = (rs); assert_int_equal(r->status, 303); assert_str(res_head(r, "Location"), url); } while (0)
/* The question whether to sign out: nothing has happened yet. */
#define is_question(b, rs) do { struct res *r = (rs); is_page(r, 200); assert_non_null(strstr(r->body.p, "value=\"logout\"")); assert_true(in(b)); } while (0)

/* oidcc-rp-initiated-logout */
TEST(a_hint_of_this_session_signs_out_at_once_and_leads_back_with_the_state)
{
	struct scene s = scene();
	struct browser *before = twin(s.b, s.b->a);
	is_sent(out(s.b, "id_token_hint=%s&" BYE "&state=a%%20b%%26c", s.hint.p), "https://portal.example/bye?state=a%20b%26c");
	assert_int_equal(cookie_in(s.b, "session").n, 0);
	is_out(s.b);
	is_out(before);                                               /* the session, not only its cookie */
	assert_int_equal(audits(s.t->w, "session.ended", "ok"), 1);
}

/* oidcc-rp-initiated-logout-no-state */
TEST(without_a_state_none_comes_back)
{
	struct scene s = scene();
	is_sent(out(s.b, "id_token_hint=%s&" BYE, s.hint.p), "https://portal.example/bye");
	s = scene();
	is_sent(out(s.b, "id_token_hint=%s&" BYE "&state=", s.hint.p), "https://portal.example/bye");
}

/* oidcc-rp-initiated-logout-no-post-logout-redirect-uri */
TEST(without_an_address_to_go_to_a_page_of_ours_says_goodbye)
{
	struct scene s = scene();
	struct res *rs = out(s.b, "id_token_hint=%s&state=x", s.hint.p);
	is_page(rs, 200);
	assert_null(strstr(rs->body.p, "portal.example"));
	is_out(s.b);
}

TEST(the_session_s_tokens_die_with_it_but_those_for_later)
{
	struct scene s = scene();
	out(s.b, "id_token_hint=%s", s.hint.p);
	assert_int_equal(ask(s.t->w, "GET", "/userinfo", str_fmt(s.b->a, "Authorization: Bearer %s\n", s.access.p).p, "")->status, 401);
	is_tokens(s.t->w, refresh(s.t->w, "portal", s.refresh));
}

TEST(a_form_of_another_site_signs_out_too)
{
	struct scene s = scene();
	struct browser *crossing = browser_in(s.b->a, s.t->w);
	struct res *rs = go(crossing, "POST", S("/logout"), str_fmt(s.b->a, "id_token_hint=%s&" BYE "&state=s%%201&logout_hint=x", s.hint.p).p);
	assert_int_equal(rs->status, 303);
	assert_true(str_starts(res_head(rs, "Location"), S("/logout?id_token_hint=")));
	is_sent(get(s.b, res_head(rs, "Location")), "https://portal.example/bye?state=s%201");
	is_out(s.b);
	s = scene();
	rs = follow(s.b, go(s.b, "POST", S("/logout"), "state=x"));
	is_question(s.b, rs);
}

TEST(a_hint_that_has_expired_is_still_a_hint)
{
	struct scene s = scene();
	pass(s.t->w, 3600);
	is_sent(out(s.b, "id_token_hint=%s&" BYE "&state=x", s.hint.p), "https://portal.example/bye?state=x");
	is_out(s.b);
}

/* oidcc-rp-initiated-logout-no-params, -only-state, -no-id-token-hint */
TEST(where_nothing_proves_who_asks_the_person_is_asked)
{
	struct scene s = scene();
	is_question(s.b, out(s.b, "x=1"));
	is_question(s.b, get(s.b, S("/logout")));
	is_question(s.b, out(s.b, "state=only"));
	is_question(s.b, out(s.b, BYE "&state=x"));
	is_question(s.b, out(s.b, "client_id=portal&" BYE));
	is_question(s.b, out(s.b, "client_id=nobody&" BYE));
	is_question(s.b, out(s.b, "id_token_hint=%s&client_id=tax&" BYE, s.hint.p));
	assert_int_equal(audits(s.t->w, "session.ended", "ok"), 0);
}

TEST(a_hint_of_another_session_asks)
{
	struct scene s = scene();
	struct browser *other = browser(s.t->w);
	struct res *rs = sign_in(other, authorize(other, "portal", "scope=openid"), s.t->an);
	is_code(other, rs, "portal");
	is_question(other, out(other, "id_token_hint=%s&" BYE "&state=x", s.hint.p));
	rs = out(other, "id_token_hint=%s&" BYE "&state=x", s.hint.p);
	is_sent(submit(other, rs, "/logout/confirmed", "decision=logout"), "https://portal.example/bye?state=x");
	is_out(other);
	assert_true(in(s.b));
}

/* oidcc-rp-initiated-logout-bad-id-token-hint, -modified-id-token-hint */
TEST(a_hint_that_is_not_ours_ends_nothing_and_leads_nowhere)
{
	struct scene s = scene();
	json_t *claims = claims_of(s.t->w, s.hint);
	struct str text = json_dump(s.b->a, claims), payload = b64url(s.b->a, str_bytes(text));
	struct str sig = str_from(s.b->a, s.hint, (size_t)(strrchr(s.hint.p, '.') - s.hint.p)), access = s.access;
	json_t *other = json_own(s.b->a, json_deep_copy(claims));
	json_object_set_new(other, "iss", json_string("portal"));
	json_object_set_new(other, "aud", json_string("https://id.example"));
	const char *const BAD[] = {
		str_fmt(s.b->a, "%s.%s.", b64url(s.b->a, str_bytes(S("{\"alg\":\"none\"}"))).p, payload.p).p,
		str_fmt(s.b->a, "%s.%s%s", b64url(s.b->a, str_bytes(S("{\"alg\":\"none\"}"))).p, payload.p, sig.p).p,
		signed_by(s.t->w, s.t->w->bank_key, "JWT", text.p).p, signed_by(s.t->w, s.t->w->bank_key, "JWT", json_dump(s.b->a, other).p).p,
		str_dup(s.b->a, s.hint.p, s.hint.n - 4).p, access.p, "x", "a.b.c", "..", "%22", "",
	};
	for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
		struct res *rs = out(s.b, "id_token_hint=%s&" BYE "&state=x", BAD[i]);
		is_question(s.b, rs);
		rs = submit(s.b, rs, "/logout/confirmed", "decision=stay");
		is_sent(rs, "/account");
	}
	struct res *rs = out(s.b, "id_token_hint=%s&" BYE "&client_id=portal", BAD[0]);
	is_page(submit(s.b, rs, "/logout/confirmed", "decision=logout"), 200);        /* signed out, and not sent on */
	is_out(s.b);
	for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++)
		is_page(out(s.b, "id_token_hint=%s&" BYE "&state=x", BAD[i]), 200);
}

/* oidcc-rp-initiated-logout-bad-post-logout-redirect-uri, -query-added-to-post-logout-redirect-uri */
TEST(only_a_registered_uri_is_gone_to_byte_for_byte)
{
	static const char *const BAD[] = {
		"https%3A%2F%2Fevil.example%2F", "https%3A%2F%2Fportal.example%2Fbye%2F", "https%3A%2F%2Fportal.example%2Fbye%3Fx%3D1", "https%3A%2F%2Fportal.example%2FBye",
		"http%3A%2F%2Fportal.example%2Fbye", "https%3A%2F%2Fportal.example%2Fcb", "https%3A%2F%2Fportal.example%40evil.example%2Fbye", "%2Fbye", "", "javascript%3Aalert(1)",
		"https%3A%2F%2Fportal.example%2Fbye%23", "%20https%3A%2F%2Fportal.example%2Fbye",
	};
	struct scene s = scene();
	for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
		struct res *rs = out(s.b, "client_id=portal&post_logout_redirect_uri=%s&state=x", BAD[i]);
		is_question(s.b, rs);
		assert_null(strstr(res_head(rs, "Content-Security-Policy").p, "evil.example"));
	}
	is_page(out(s.b, "id_token_hint=%s&post_logout_redirect_uri=%s&state=x", s.hint.p, BAD[0]), 200);
	is_out(s.b);
	for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++)                   /* nobody is signed in any more */
		is_page(out(s.b, "id_token_hint=%s&post_logout_redirect_uri=%s&state=x", s.hint.p, BAD[i]), 200);
	is_sent(out(s.b, "id_token_hint=%s&" BYE, s.hint.p), "https://portal.example/bye");
	is_page(out(s.b, "client_id=portal&" BYE), 200);                        /* nothing proves who sent them here */
	assert_int_equal(go(s.b, "GET", str_fmt(s.b->a, "/logout?id_token_hint=%s&" BYE "&" BYE, s.hint.p), "")->status, 400);
}

TEST(who_is_asked_may_stay_or_go)
{
	struct scene s = scene();
	struct res *rs = out(s.b, "client_id=portal&" BYE "&state=x");
	assert_non_null(strstr(rs->body.p, "tax"));                             /* where else this signs out */
	is_sent(submit(s.b, rs, "/logout/confirmed", "decision=stay"), "/account");
	assert_true(in(s.b));
	is_sent(submit(s.b, rs, "/logout/confirmed", ""), "/account");
	assert_true(in(s.b));
	rs = out(s.b, "client_id=portal&" BYE "&state=x");
	is_sent(submit(s.b, rs, "/logout/confirmed", "decision=logout"), "https://portal.example/bye?state=x");
	is_out(s.b);
	is_page(submit(s.b, rs, "/logout/confirmed", "decision=logout"), 200);
	rs = get(s.b, S("/logout"));
	is_page(rs, 200);
	assert_null(strstr(rs->body.p, "value=\"logout\""));
}

TEST(nobody_is_signed_out_by_a_form_that_is_not_ours)
{
	struct scene s = scene();
	struct browser *other = browser(s.t->w);
	sign_in(other, authorize(other, "portal", ""), s.t->binh);
	struct res *rs = out(s.b, "client_id=portal&" BYE), *foreign = get(other, S("/logout"));
	static const char *const FROM[] = { "Origin: https://evil.example\n", "Origin: null\n", "Sec-Fetch-Site: cross-site\n", "Sec-Fetch-Site: same-site\n" };
	is_page(go(s.b, "POST", S("/logout/confirmed"), "decision=logout"), 403);
	is_page(submit(s.b, foreign, "/logout/confirmed", "decision=logout"), 403);
	for (size_t i = 0; i < 4; i++) {
		s.b->more = FROM[i];
		is_page(submit(s.b, rs, "/logout/confirmed", "decision=logout"), 403);
	}
	s.b->more = "";
	assert_true(in(s.b));
	assert_int_equal(audits(s.t->w, "session.ended", "ok"), 0);
}

TEST(a_logout_that_the_store_did_not_write_is_none)
{
	struct scene s = scene();
	struct str cookie = cookie_in(s.b, "session");
	int n = 0;
	for (struct res *rs = NULL; !rs || rs->status == 503; n++) {
		breaks_at(s.t->w, n);
		rs = out(s.b, "id_token_hint=%s&" BYE, s.hint.p);
		breaks_at(s.t->w, -1);
		if (rs->status == 503) {
			is_page(rs, 503);
			assert_str(cookie_in(s.b, "session"), cookie.p);
			assert_true(in(s.b));
		} else
			is_sent(rs, "https://portal.example/bye");
	}
	assert_true(n > 1);
	is_out(s.b);
}
