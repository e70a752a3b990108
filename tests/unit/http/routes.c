#include "t.h"
#include "door.h"
#include "house.h"
#include "log.h"

/* Requests and answers are values here: no socket. */

static err next_fault;
static err ep_ok(struct req *rq, struct res *rs)
{
	if (next_fault.kind)
		return next_fault;
	res_json(rs, 200, str_fmt(rq->a, "\"%s\"", rq->tail.p));
	return OK;
}

static err ep_page(struct req *rq, struct res *rs)
{
	*rs = (struct res){ .status = 200, .type = S("text/html; charset=utf-8"), .body = S("<p>"), .headers = rs->headers };
	res_header(rq, rs, "Cache-Control", S("max-age=60"));
	return next_fault;
}

static err ep_inject(struct req *rq, struct res *rs)
{
	res_redirect(rq, rs, S("https://x/\r\nSet-Cookie: a=b"));
	return OK;
}

static err ep_silent([[maybe_unused]] struct req *rq, [[maybe_unused]] struct res *rs) { return OK; }

static const struct route FIRST[] = {
	{ "POST", "/token", ep_ok, FAULTS_JSON, CORS_CLIENTS },
	{ "GET", "/userinfo", ep_ok, FAULTS_BEARER, CORS_ANY },
	{ "POST", "/userinfo", ep_ok, FAULTS_BEARER, CORS_ANY },
	{ "GET", "/page", ep_page, FAULTS_PAGE, 0 },
	{ "POST", "/page", ep_page, FAULTS_PAGE, NEEDS_SAME_SITE },
	{ 0 },
};
static const struct route SECOND[] = {
	{ "GET", "/files/*", ep_ok, FAULTS_JSON, 0 },
	{ "GET", "/files/deep/*", ep_ok, FAULTS_JSON, 0 },
	{ "GET", "/files/deep/exact", ep_ok, FAULTS_JSON, 0 },
	{ "GET", "/inject", ep_inject, FAULTS_JSON, 0 },
	{ "GET", "/silent", ep_silent, FAULTS_JSON, 0 },
	{ 0 },
};
static const struct route *const TABLES[] = { FIRST, SECOND, NULL };

static struct house house = { .issuer = S("https://id.example"), .origin = S("https://id.example"), .secure = true };
static struct res rs;

static struct req request(const char *method, const char *path, struct param *headers, size_t n)
{
	static struct arena *a;
	a = a ? a : arena_new();
	log_least = LOG_ERROR;
	return (struct req){ .a = a, .house = &house, .method = str_of(method), .path = str_of(path), .target = str_of(path), .id = S("id"),
	                     .peer = S("unix"), .lang = S("vi"), .headers = { headers, n } };
}

static bool answered;
#define ASK(fault_, method, path, ...) do { \
	struct param h_[] = { __VA_ARGS__ __VA_OPT__(,) { S("host"), S("x") } }; \
	struct req rq_ = request(method, path, h_, sizeof h_ / sizeof *h_); \
	next_fault = (fault_); \
	answered = serve(TABLES, &rq_, &rs); \
} while (0)
#define FAULT(kind) ((err){ &(kind), "a secret reason" })

static struct str got(const char *name) { return param_of(&rs.headers, name); }

/* ---- routes ---- */

TEST(an_exact_path_wins_and_the_longest_star_comes_next)
{
	static const struct { const char *path, *body; } TRIES[] = {
		{ "/files/a/b", "\"a/b\"" }, { "/files/deep/x", "\"x\"" }, { "/files/deep/exact", "\"\"" }, { "/files/", "\"\"" },
	};
	for (size_t i = 0; i < sizeof TRIES / sizeof *TRIES; i++) {
		ASK(OK, "GET", TRIES[i].path);
		assert_int_equal(rs.status, 200);
		assert_str(rs.body, TRIES[i].body);
	}
}

TEST(what_is_not_there_is_404_and_what_has_another_method_405_with_allow)
{
	ASK(OK, "GET", "/tokens");
	assert_int_equal(rs.status, 404);
	ASK(OK, "GET", "/files");
	assert_int_equal(rs.status, 404);
	ASK(OK, "GET", "/token");
	assert_int_equal(rs.status, 405);
	assert_str(got("Allow"), "POST");
	ASK(OK, "DELETE", "/userinfo");
	assert_int_equal(rs.status, 405);
	assert_str(got("Allow"), "GET, HEAD, POST");
	ASK(OK, "HEAD", "/files/x");
	assert_int_equal(rs.status, 200);
	ASK(OK, "OPTIONS", "/files/x");
	assert_int_equal(rs.status, 405);
}

/* ---- faults ---- */

TEST(a_fault_is_json_from_the_fixed_list_and_never_the_reason)
{
	ASK(FAULT(INVALID_GRANT), "POST", "/token");
	assert_int_equal(rs.status, 400);
	assert_str(rs.body, "{\"error\":\"invalid_grant\",\"error_description\":\"The grant is invalid, expired, revoked or was issued to another client.\"}");
	assert_str(got("Cache-Control"), "no-store");
	assert_null(strstr(rs.body.p, "secret"));
}

TEST(a_client_that_tried_basic_is_challenged_and_another_is_not)
{
	ASK(FAULT(INVALID_CLIENT), "POST", "/token");
	assert_int_equal(rs.status, 401);
	assert_false(param_there(&rs.headers, "WWW-Authenticate"));
	ASK(FAULT(INVALID_CLIENT), "POST", "/token", { S("authorization"), S("Basic eA==") });
	assert_int_equal(rs.status, 401);
	assert_str(got("WWW-Authenticate"), "Basic realm=\"https://id.example\"");
}

TEST(without_a_token_the_challenge_names_no_error)
{
	ASK(FAULT(INVALID_TOKEN), "GET", "/userinfo");
	assert_int_equal(rs.status, 401);
	assert_str(got("WWW-Authenticate"), "Bearer realm=\"https://id.example\"");
	assert_str(rs.body, "{}");
	ASK(FAULT(INVALID_TOKEN), "GET", "/userinfo", { S("authorization"), S("Bearer x") });
	assert_non_null(strstr(got("WWW-Authenticate").p, "Bearer realm=\"https://id.example\", error=\"invalid_token\""));
	assert_non_null(strstr(rs.body.p, "\"invalid_token\""));
	ASK(FAULT(INSUFFICIENT_SCOPE), "GET", "/userinfo", { S("authorization"), S("DPoP x") });
	assert_int_equal(rs.status, 403);
	assert_non_null(strstr(got("WWW-Authenticate").p, "DPoP realm="));
	ASK(FAULT(UNAVAILABLE), "GET", "/userinfo", { S("authorization"), S("Bearer x") });
	assert_int_equal(rs.status, 503);
	assert_false(param_there(&rs.headers, "WWW-Authenticate"));
}

TEST(a_page_route_answers_with_a_page_and_what_is_down_says_when_to_come_again)
{
	ASK(FAULT(UNAVAILABLE), "GET", "/page");
	assert_int_equal(rs.status, 503);
	assert_str(got("Retry-After"), "1");
	assert_true(str_starts(rs.type, S("text/html")));
}

TEST(a_parked_request_has_no_answer)
{
	ASK(FAULT(PARKED), "POST", "/token");
	assert_false(answered);
}

TEST(a_header_that_would_split_the_answer_makes_it_a_500_without_it)
{
	ASK(OK, "GET", "/inject");
	assert_int_equal(rs.status, 500);
	assert_false(param_there(&rs.headers, "Location"));
	ASK(OK, "GET", "/silent");
	assert_int_equal(rs.status, 500);
}

/* ---- headers of every answer ---- */

TEST(every_answer_has_its_headers_and_a_route_may_keep_its_own_cache_control)
{
	ASK(OK, "GET", "/page");
	assert_str(got("X-Content-Type-Options"), "nosniff");
	assert_str(got("Referrer-Policy"), "no-referrer");
	assert_true(str_starts(got("Strict-Transport-Security"), S("max-age=")));
	assert_str(got("Cache-Control"), "max-age=60");
}

/* ---- scripts of other sites ---- */

TEST(any_site_may_read_a_cors_any_route)
{
	ASK(OK, "GET", "/userinfo", { S("origin"), S("https://any.example") });
	assert_str(got("Access-Control-Allow-Origin"), "*");
	ASK(OK, "OPTIONS", "/userinfo", { S("origin"), S("https://any.example") }, { S("access-control-request-method"), S("POST") });
	assert_int_equal(rs.status, 204);
	assert_str(got("Access-Control-Allow-Origin"), "*");
	assert_str(got("Access-Control-Allow-Methods"), "POST");
	assert_non_null(strstr(got("Access-Control-Allow-Headers").p, "Authorization"));
	assert_false(param_there(&rs.headers, "Access-Control-Allow-Credentials"));
}

TEST(a_client_route_names_the_origin_and_others_are_closed)
{
	ASK(OK, "POST", "/token", { S("origin"), S("https://app.example") });
	assert_str(got("Access-Control-Allow-Origin"), "https://app.example");
	assert_str(got("Vary"), "Origin");
	ASK(OK, "POST", "/token", { S("origin"), S("null") });
	assert_false(param_there(&rs.headers, "Access-Control-Allow-Origin"));
	ASK(OK, "GET", "/page", { S("origin"), S("https://app.example") });
	assert_false(param_there(&rs.headers, "Access-Control-Allow-Origin"));
	ASK(OK, "OPTIONS", "/page", { S("origin"), S("https://app.example") }, { S("access-control-request-method"), S("POST") });
	assert_int_equal(rs.status, 405);
}

TEST(a_same_site_route_is_closed_to_other_sites)
{
	ASK(OK, "POST", "/page");
	assert_int_equal(rs.status, 200);
	ASK(OK, "POST", "/page", { S("origin"), S("https://id.example") }, { S("sec-fetch-site"), S("same-origin") });
	assert_int_equal(rs.status, 200);
	ASK(OK, "POST", "/page", { S("origin"), S("https://evil.example") });
	assert_int_equal(rs.status, 403);
	ASK(OK, "POST", "/page", { S("origin"), S("null") });
	assert_int_equal(rs.status, 403);
	ASK(OK, "POST", "/page", { S("sec-fetch-site"), S("cross-site") });
	assert_int_equal(rs.status, 403);
	ASK(OK, "POST", "/page", { S("sec-fetch-site"), S("same-site") });
	assert_int_equal(rs.status, 403);
}

/* ---- forms ---- */

TEST(a_form_carries_the_token_of_its_browser_and_comes_from_here)
{
	struct param h[] = { { S("origin"), S("https://id.example") }, { S("sec-fetch-site"), S("same-origin") } };
	struct req rq = request("POST", "/page", h, 2);
	struct param f = { S(FORM_TOKEN), form_token(&rq, S("cookie-1")) };
	rq.form = (struct params){ &f, 1 };
	fine(form_check(&rq, S("cookie-1")));
	fails(form_check(&rq, S("cookie-2")), FORBIDDEN);
	fails(form_check(&rq, S("")), FORBIDDEN);
	h[0].value = S("null");
	fails(form_check(&rq, S("cookie-1")), FORBIDDEN);
	h[0].value = S("https://id.example");
	h[1].value = S("cross-site");
	fails(form_check(&rq, S("cookie-1")), FORBIDDEN);
	rq.headers.n = 0;
	fine(form_check(&rq, S("cookie-1")));
	rq.form.n = 0;
	fails(form_check(&rq, S("cookie-1")), FORBIDDEN);
}

/* ---- cookies, urls ---- */

TEST(cookies_of_a_secure_house_are_host_cookies)
{
	struct req rq = request("GET", "/", NULL, 0);
	rs = (struct res){ 0 };
	res_cookie(&rq, &rs, "sid", S("a;b"), 60);
	assert_str(got("Set-Cookie"), "__Host-sid=a%3Bb; Max-Age=60; Path=/; HttpOnly; SameSite=Lax; Secure");
	struct house plain = house;
	plain.secure = false;
	rq.house = &plain;
	rs = (struct res){ 0 };
	res_cookie(&rq, &rs, "sid", S("abc"), -1);
	assert_str(got("Set-Cookie"), "sid=abc; Path=/; HttpOnly; SameSite=Lax");
	rs = (struct res){ 0 };
	res_cookie(&rq, &rs, "sid", S("abc"), 0);
	assert_str(got("Set-Cookie"), "sid=; Max-Age=0; Path=/; HttpOnly; SameSite=Lax");
}

TEST(a_house_cookie_is_found_under_its_full_name_only)
{
	struct req rq = request("GET", "/", NULL, 0);
	struct param c[] = { { S("sid"), S("planted") }, { S("__Host-sid"), S("ours") } };
	rq.cookies = (struct params){ c, 2 };
	assert_str(house_cookie(&rq, "sid"), "ours");
	rq.cookies.n = 1;
	assert_str(house_cookie(&rq, "sid"), "");
}

TEST(parameters_are_added_before_the_fragment_and_encoded)
{
	struct req rq = request("GET", "/", NULL, 0);
	struct param add[] = { { S("code"), S("a b&c") }, { S("iss"), S("https://x/") } };
	assert_str(url_with(rq.a, S("https://a/b"), add, 2), "https://a/b?code=a%20b%26c&iss=https%3A%2F%2Fx%2F");
	assert_str(url_with(rq.a, S("https://a/b?x=1"), add, 1), "https://a/b?x=1&code=a%20b%26c");
	assert_str(url_with(rq.a, S("https://a/b?"), add, 1), "https://a/b?code=a%20b%26c");
	assert_str(url_with(rq.a, S("app:/b#f?g"), add, 1), "app:/b?code=a%20b%26c#f?g");
	assert_str(url_with(rq.a, S("https://a/b#f"), add, 0), "https://a/b#f");
}

/* ---- language ---- */

TEST(the_language_is_the_cookies_else_the_browsers_else_vietnamese)
{
	static const struct { struct str accept, want; } TRIES[] = {
		{ S(""), S("vi") }, { S("en"), S("en") }, { S("en-GB,en;q=0.9,vi;q=0.8"), S("en") }, { S("fr, vi;q=0.5, en;q=0.4"), S("vi") }, { S("VI-vn;q=0.1"), S("vi") },
		{ S("vi;q=0.2, en;q=0.7"), S("en") }, { S("en;q=0"), S("vi") }, { S("de"), S("vi") }, { S("eng"), S("vi") }, { S("en;q=9"), S("vi") }, { S(";,;q=,en;q"), S("vi") },
		{ S("en ; q=0.9 , vi ; q=0.95"), S("vi") },
	};
	for (size_t i = 0; i < sizeof TRIES / sizeof *TRIES; i++) {
		struct param h = { S("accept-language"), TRIES[i].accept }, c = { S("lang"), S("vi") };
		struct req rq = request("GET", "/", &h, 1);
		if (!str_eq(language_of(&rq), TRIES[i].want))
			fail_msg("'%s' gave %s", TRIES[i].accept.p, language_of(&rq).p);
		rq.cookies = (struct params){ &c, 1 };
		assert_str(language_of(&rq), "vi");
		c.value = S("en");
		assert_str(language_of(&rq), "en");
	}
}
