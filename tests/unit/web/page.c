#include "t.h"
#include "pages.h"
#include "json.h"
#include "house.h"
#include "settings.h"
#include <stdio.h>

static struct arena *a;

static struct req asked(const char *lang, const char *target)
{
	arena_free(a);
	a = arena_new();
	return (struct req){ .a = a, .method = S("GET"), .target = str_of(target), .path = str_of(target), .lang = str_of(lang), .id = S("R-1") };
}

static struct str shown(struct req *rq, const struct template *t, const char *json)
{
	json_t *data;
	struct res rs = { 0 };
	fine(json_read_object(a, str_of(json), &data));
	fine(page(rq, &rs, 200, t, data));
	return rs.body;
}

static bool has(struct str s, const char *part) { return strstr(s.p, part) != NULL; }

static struct str header_of(const struct res *rs, const char *name)
{
	for (size_t i = 0; i < rs->headers.n; i++)
		if (str_is(rs->headers.v[i].name, name))
			return rs->headers.v[i].value;
	return S("");
}

TEST(a_value_is_escaped_in_text_and_in_attributes)
{
	struct req rq = asked("vi", "/login");
	struct str html = shown(&rq, &TPL_sim, "{\"phone\":\"\\\"><script>x</script>'&\",\"client\":{\"name\":\"<b onclick=x>\"}}");
	assert_true(has(html, "value=\"&quot;&gt;&lt;script&gt;x&lt;/script&gt;&#39;&amp;\""));
	assert_true(has(html, "&lt;b onclick=x&gt;"));
	assert_false(has(html, "<b onclick"));
}

TEST(an_address_is_https_http_or_a_path_of_ours_and_nothing_else)
{
	static const struct { const char *given, *shown; } CASES[] = {
		{ "https://a.example/x", "https://a.example/x" }, { "/account", "/account" }, { "http://127.0.0.1:9/", "http://127.0.0.1:9/" },
		{ "javascript:alert(1)", "#" }, { "JaVaScRiPt:alert(1)", "#" }, { " javascript:alert(1)", "#" }, { "data:text/html,x", "#" },
		{ "//evil.example", "#" }, { "/\\\\evil.example", "#" }, { "vbscript:x", "#" }, { "evil", "#" }, { "", "#" },
		{ "data:image/svg+xml,<svg onload=x>", "#" },
	};
	for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
		struct req rq = asked("vi", "/login");
		struct str json = str_fmt(a, "{\"to\":\"%s\",\"fields\":[]}", CASES[i].given);
		assert_true(has(shown(&rq, &TPL_form_post, json.p), str_fmt(a, "action=\"%s\"", CASES[i].shown).p));
	}
}

TEST(a_picture_of_another_site_is_left_out)
{
	struct req rq = asked("vi", "/login");
	assert_false(has(shown(&rq, &TPL_sim, "{\"client\":{\"name\":\"A\",\"logo\":\"https://a.example/logo.png\"}}"), "logo.png"));
	assert_true(has(shown(&rq, &TPL_sim, "{\"client\":{\"name\":\"A\",\"logo\":\"data:image/png;base64,AAAA\"}}"), "data:image/png;base64,AAAA"));
	assert_false(has(shown(&rq, &TPL_sim, "{\"client\":{\"name\":\"A\",\"logo\":\"data:text/html;base64,AAAA\"}}"), "base64,AAAA"));
}

TEST(a_section_runs_for_each_item_and_its_inverse_when_there_is_none)
{
	struct req rq = asked("en", "/consent");
	struct str two = shown(&rq, &TPL_consent, "{\"scopes\":[{\"id\":\"phone\"},{\"text\":\"Land files\",\"values\":[\"one\",\"two\"]}]}");
	assert_true(has(two, "Phone number") && has(two, "Land files") && has(two, ">one<") && has(two, ">two<"));
	assert_false(has(two, "No personal data"));
	static const char *const NONE[] = { "{}", "{\"scopes\":[]}", "{\"scopes\":null}", "{\"scopes\":false}", "{\"scopes\":\"\"}", "{\"scopes\":0}" };
	for (size_t i = 0; i < sizeof NONE / sizeof *NONE; i++)
		assert_true(has(shown(&rq, &TPL_consent, NONE[i]), "No personal data"));
}

TEST(words_that_are_chosen_by_a_value_fall_back_to_other_ones)
{
	struct req rq = asked("en", "/login");
	assert_true(has(shown(&rq, &TPL_sim_end, "{\"state\":\"blocked\"}"), "The signing SIM is blocked"));
	assert_true(has(shown(&rq, &TPL_sim_end, "{\"state\":\"no such state\"}"), "You are not signed in yet"));
	assert_true(has(shown(&rq, &TPL_consent, "{\"scopes\":[{\"id\":\"<x>\"}]}"), "Other information: &lt;x&gt;"));
}

TEST(the_language_of_the_request_is_the_language_of_the_page)
{
	struct req vi = asked("vi", "/login?a=b&c=%20d");
	struct str html = shown(&vi, &TPL_choose, "{}");
	assert_true(has(html, "<html lang=\"vi\">") && has(html, "Đăng nhập"));
	assert_true(has(html, "href=\"/lang?to=en&amp;back=%2Flogin%3Fa%3Db%26c%3D%2520d\" lang=\"en\" hreflang=\"en\""));
	struct req en = asked("en", "/login");
	html = shown(&en, &TPL_choose, "{}");
	assert_true(has(html, "<html lang=\"en\">") && has(html, "Sign in") && has(html, "to=vi&amp;back=%2Flogin\""));
}

TEST(after_a_post_the_language_link_is_offered_only_where_the_page_can_be_asked_again)
{
	struct req rq = asked("vi", "/login/sim");
	rq.method = S("POST");
	assert_false(has(shown(&rq, &TPL_sim, "{}"), "/lang?"));
	assert_true(has(shown(&rq, &TPL_sim, "{\"here\":\"/login/sim?i=1\"}"), "back=%2Flogin%2Fsim%3Fi%3D1"));
	assert_false(has(shown(&rq, &TPL_sim, "{\"here\":\"https://evil.example\"}"), "/lang?"));
}

TEST(switching_the_language_goes_back_only_to_a_path_of_ours)
{
	static const struct { const char *back, *to; } CASES[] = {
		{ "/login?i=1&x=%20", "/login?i=1&x=%20" }, { "/", "/" }, { "", "/" }, { "login", "/" }, { "//evil.example", "/" }, { "/\\evil.example", "/" },
		{ "/a\\b", "/" }, { "https://evil.example/", "/" }, { "/a b", "/" }, { "/a\r\nSet-Cookie: x=1", "/" }, { "/\t/evil.example", "/" }, { "/đ", "/" },
	};
	for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++)
		assert_str(path_safe(str_of(CASES[i].back)), CASES[i].to);
	a = a ? a : arena_new();
	char *lengthy = arena_alloc(a, 2000);
	memset(lengthy, '/' + 1, 1500), lengthy[0] = '/', lengthy[1] = 'a';
	assert_str(path_safe(str_of(lengthy)), "/");
}

static const struct route *route_of(const char *path)
{
	for (const struct route *r = WEB_ROUTES; r->path; r++)
		if (strcmp(r->path, path) == 0)
			return r;
	return NULL;
}

TEST(only_vietnamese_and_english_can_be_chosen)
{
	struct house house = { .secure = true };
	struct param given[] = { { S("to"), S("en") }, { S("back"), S("//evil.example") } };
	struct req rq = asked("vi", "/lang");
	struct res rs = { 0 };
	rq.house = &house;
	rq.query = (struct params){ given, 2 };
	fine(route_of("/lang")->handle(&rq, &rs));
	assert_str(header_of(&rs, "Location"), "/");
	assert_str(header_of(&rs, "Set-Cookie"), "lang=en; Max-Age=31536000; Path=/; HttpOnly; SameSite=Lax; Secure");
	given[0].value = S("fr");
	fails(route_of("/lang")->handle(&rq, &rs), INVALID_REQUEST);
}

TEST(a_page_that_outgrows_its_limit_is_an_error_and_no_half_page)
{
	struct req rq = asked("vi", "/login");
	struct res rs = { 0 };
	char *big = arena_alloc(a, 70001);
	memset(big, 'x', 70000);
	json_t *data = json_own(a, json_pack("{s:s}", "phone", big));
	fails(page(&rq, &rs, 200, &TPL_sim, data), TOO_LARGE);
	assert_true(rs.body.n == 0 && rs.headers.n == 0);
	big[1000] = 0;
	fine(page(&rq, &rs, 200, &TPL_sim, json_own(a, json_pack("{s:s}", "phone", big))));
}

TEST(a_page_forbids_what_is_inline_and_where_forms_and_scripts_may_go_is_said_by_the_response)
{
	struct req rq = asked("vi", "/login");
	struct res plain = { 0 }, more = { .form_action = S("https://app.example"), .connect = S("http://127.0.0.1:28990") };
	fine(page(&rq, &plain, 200, &TPL_home, json_own(a, json_object())));
	assert_str(header_of(&plain, "Content-Security-Policy"),
		"default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; form-action 'self'; "
		"frame-ancestors 'none'; base-uri 'none'");
	assert_str(header_of(&plain, "Cache-Control"), "no-store");
	assert_str(header_of(&plain, "X-Frame-Options"), "DENY");
	fine(page(&rq, &more, 200, &TPL_home, json_own(a, json_object())));
	assert_true(has(header_of(&more, "Content-Security-Policy"), "connect-src 'self' http://127.0.0.1:28990; form-action 'self' https://app.example;"));
}

TEST(every_fault_has_a_page_that_tells_no_more_than_its_kind)
{
	struct req rq = asked("en", "/login");
	struct res rs = { 0 };
	fine(page_fault(&rq, &rs, &INTERACTION_GONE));
	assert_int_equal(rs.status, 400);
	assert_true(has(rs.body, "This sign-in has ended") && has(rs.body, "R-1"));
	fine(page_fault(&rq, &rs, &NOT_FOUND));
	assert_int_equal(rs.status, 404);
	fine(page_fault(&rq, &rs, &BAD_CONFIG));
	assert_true(has(rs.body, "Something went wrong") && !has(rs.body, "bad_config"));
}

TEST(a_static_file_is_kept_for_good_under_the_name_that_has_its_hash)
{
	struct req rq = asked("vi", "/static/style.css");
	struct res rs = { 0 };
	rq.path = static_url("style.css");
	fine(route_of("/static/*")->handle(&rq, &rs));
	assert_str(rs.type, "text/css; charset=utf-8");
	assert_true(has(header_of(&rs, "Cache-Control"), "immutable"));
	assert_true(rs.body.n > 1000 && rs.body.n <= 12 * 1024);
	rq.path = S("/static/style.css");
	fails(route_of("/static/*")->handle(&rq, &rs), NOT_FOUND);
}

/* "big list of naughty strings": each as an address, as text and as an attribute */
TEST(no_naughty_string_leaves_its_place)
{
	if (!t_corpora())
		skip();
	struct req rq = asked("vi", "/login");
	static char line[16384];
	FILE *f = fopen(str_fmt(a, "%s/naughty-strings/blns.txt", t_corpora()).p, "rb");
	size_t seen = 0;
	assert_non_null(f);
	while (fgets(line, sizeof line, f)) {
		struct str s = { line, strcspn(line, "\n") };
		line[s.n] = 0;
		if (!str_utf8(s) || !s.n || line[0] == '#')
			continue;
		struct buf want = buf_new(rq.a, 64, 65536);
		buf_html(&want, s);
		json_t *v = json_own(a, json_pack("{s:{s:s%, s:s%}, s:s%}", "client", "name", s.p, s.n, "policy", s.p, s.n, "phone", s.p, s.n));
		struct res rs = { 0 };
		fine(page(&rq, &rs, 200, &TPL_sim, v));
		assert_true(has(rs.body, str_fmt(a, "value=\"" STR_FMT "\"", (int)want.n, want.p).p));
		assert_false(has(rs.body, "href=\"javascript") || has(rs.body, "href=\"data") || has(rs.body, "<script>"));
		seen++;
	}
	fclose(f);
	assert_true(seen > 400);
	arena_free(a), a = NULL;
}
