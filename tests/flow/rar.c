#include "fapi.h"
#include "details.h"
#include "settings.h"
#include <stdio.h>

/* What tokens are for: resource indicators (RFC 8707), and rich authorization requests (RFC 9396). Names in ~ are modules of the FAPI 2.0
 * plans with authorization_request_type=rar, without their prefix. */

#define LAND "https://land.example/api"
#define TAX  "https://tax.example/api"
#define BOOK "{\"type\":\"land_record\",\"actions\":[\"read\",\"change\"],\"locations\":[\"" LAND "\"],\"parcel\":\"12/7\"}"
#define PAY  "{\"type\":\"payment\",\"amount\":{\"value\":250000,\"currency\":\"VND\"},\"identifier\":\"hs-1\"}"

/* The house knows two kinds; `desk` may ask for both, and for two places; land is a resource server at one of them. */
static struct browser *here(void)
{
	struct world *w = town()->w;
	struct settings read = { 0 };
	struct browser *b = browser(w);
	fine(conf_read(w->a, "x.conf", S("[idp]\nissuer = https://id.example\nstate = /tmp\n"
		"[authorization_type land_record]\ntext = Xem và sửa hồ sơ đất đai\ntext_en = See and change land records\nfields = actions locations parcel\nrequired = actions\nactions = read change\n"
		"[authorization_type payment]\nfields = amount identifier locations\nrequired = amount\n"
		"[authorization_type other]\n"), SETTINGS, &read));
	w->conf.detail_types = read.detail_types;
	world_client(w, "desk", "client_secret_basic", ",\"grant_types\":[\"authorization_code\",\"refresh_token\",\"client_credentials\"],\"scope\":\"openid email docs:read\","
	             "\"audiences\":[\"" LAND "\",\"" TAX "\",\"api\"],\"authorization_details_types\":[\"land_record\",\"payment\"]");
	world_client(w, "land", "client_secret_basic", ",\"grant_types\":[\"client_credentials\"],\"scope\":\"docs:read\",\"resources\":[\"" LAND "\"]");
	agrees(w, "desk", "openid email");
	is_signed_in(b);
	return b;
}

static const char *details(struct browser *b, const char *json) { return str_fmt(b->a, "authorization_details=%s", enc(b->w, str_of(json)).p).p; }

static struct res *allowed(struct browser *b, const char *json)
{
	struct res *rs = authorize(b, "desk", details(b, json));
	is_at(b, rs, "/login/consent");
	rs = follow(b, submit(b, rs, "/login/consent", "decision=allow"));
	is_code(b, rs, "desk");
	return rs;
}

static struct res *token(struct browser *b, const char *form) { return ask(b->w, "POST", "/token", as(b->w, "desk").p, form); }

static struct res *with_code(struct browser *b, const struct res *rs, const char *more)
{
	return token(b, str_fmt(b->a, "grant_type=authorization_code&code=%s&redirect_uri=https%%3A%%2F%%2Fdesk.example%%2Fcb%s", heard(b, rs, "code").p, more).p);
}

static struct res *again(struct browser *b, struct str refresh_token, const char *more)
{
	return token(b, str_fmt(b->a, "grant_type=refresh_token&refresh_token=%s%s", refresh_token.p, more).p);
}

static json_t *seen_by(struct browser *b, const char *client, struct str access)
{
	return json_of(b->w, ask(b->w, "POST", "/introspect", as(b->w, client).p, str_fmt(b->a, "token=%s", access.p).p));
}

static const char *in(struct browser *b, json_t *o, const char *member) { return json_dump(b->a, json_object_get(o, member)).p; }
static const char *aud(struct browser *b, struct res *rs) { return in(b, claims_of(b->w, told(b->w, rs, "access_token")), "aud"); }

#define is_same(got, want) assert_string_equal(got, want)

/* ---- rich authorization requests --------------------------------------------------------------------------------------- */

/* ~happy-flow */
TEST(what_is_asked_in_so_many_words_is_shown_granted_and_told_to_everybody_concerned)
{
	struct browser *b = here();
	struct res *rs = authorize(b, "desk", details(b, "[" BOOK "," PAY "]"));
	is_at(b, rs, "/login/consent");
	static const char *const SHOWN[] = { "Xem và sửa hồ sơ đất đai", "actions: read, change", "parcel: 12/7", "payment", "hs-1", "250000", "VND" };
	for (size_t i = 0; i < sizeof SHOWN / sizeof *SHOWN; i++)
		if (!strstr(rs->body.p, SHOWN[i]))
			fail_msg("not shown: %s", SHOWN[i]);
	rs = follow(b, submit(b, rs, "/login/consent", "decision=allow"));
	is_code(b, rs, "desk");
	rs = with_code(b, rs, "");
	is_tokens(b->w, rs);
	is_same(in(b, json_of(b->w, rs), "authorization_details"), "[" BOOK "," PAY "]");
	struct str access = told(b->w, rs, "access_token");
	is_same(in(b, claims_of(b->w, access), "authorization_details"), "[" BOOK "," PAY "]");
	for (int twice = 0; twice < 2; twice++)              /* also when it is remembered to have verified */
		is_same(in(b, seen_by(b, "desk", access), "authorization_details"), "[" BOOK "," PAY "]");
	is_same(in(b, json_of(b->w, again(b, told(b->w, rs, "refresh_token"), "")), "authorization_details"), "[" BOOK "," PAY "]");
}

TEST(what_a_person_is_shown_cannot_leave_its_place)
{
	struct browser *b = here();
	struct res *rs = authorize(b, "desk", details(b, "[{\"type\":\"land_record\",\"actions\":[\"read\"],\"parcel\":\"<script>alert(1)</script>\"}]"));
	is_at(b, rs, "/login/consent");
	assert_null(strstr(rs->body.p, "<script>alert"));
	assert_non_null(strstr(rs->body.p, "&lt;script&gt;"));
}

static const char *const WRONG[] = {
	"", "{}", "[]", "7", "null", "\"x\"", "[", "[7]", "[null]", "[[]]", "[{}]", BOOK, "[{\"type\":7}]", "[{\"type\":\"\"}]", "[{\"type\":\"unheard-of\"}]", "[{\"type\":\"other\"}]", "[{\"type\":\"Payment\"}]",
	"[{\"type\":\"land_record\"}]", "[{\"type\":\"land_record\",\"actions\":[]}]", "[{\"type\":\"land_record\",\"actions\":\"read\"}]", "[{\"type\":\"land_record\",\"actions\":[\"delete\"]}]",
	"[{\"type\":\"land_record\",\"actions\":[\"read\",7]}]", "[{\"type\":\"land_record\",\"actions\":[\"read\"],\"locations\":{}}]", "[{\"type\":\"land_record\",\"actions\":[\"read\"],\"amount\":7}]",
	"[{\"type\":\"land_record\",\"actions\":[\"read\"],\"type\":\"payment\"}]", "[{\"type\":\"payment\",\"amount\":1,\"identifier\":7}]", "[" BOOK ",{\"type\":\"payment\"}]",
	"[" PAY "," PAY "," PAY "," PAY "," PAY "," PAY "," PAY "," PAY "," PAY "]",
};

TEST(details_with_one_thing_wrong_are_refused_wherever_they_come)
{
	struct browser *b = here();
	for (size_t i = 0; i < sizeof WRONG / sizeof *WRONG; i++) {
		is_refused(b, authorize(b, "desk", details(b, WRONG[i])), "desk", "invalid_authorization_details");
		is_fault(ask(b->w, "POST", "/par", as(b->w, "desk").p, usual(b->a, "desk", details(b, WRONG[i])).p), INVALID_AUTHORIZATION_DETAILS);
		is_fault(token(b, str_fmt(b->a, "grant_type=client_credentials&%s", details(b, WRONG[i])).p), INVALID_AUTHORIZATION_DETAILS);
	}
	is_refused(b, authorize(b, "portal", details(b, "[" PAY "]")), "portal", "invalid_authorization_details");     /* which has no types */
	char *deep = arena_alloc(b->a, 4200), *p = deep;
	p += sprintf(p, "[{\"type\":\"payment\",\"amount\":\"");
	memset(p, 'x', DETAILS_SIZE);
	memcpy(p + DETAILS_SIZE, "\"}]", 4);
	is_refused(b, go(b, "POST", S("/authorize"), usual(b->a, "desk", details(b, deep)).p), "desk", "invalid_authorization_details");
}

TEST(they_are_asked_about_each_time)
{
	struct browser *b = here();
	allowed(b, "[" PAY "]");
	allowed(b, "[" PAY "]");
	is_code(b, authorize(b, "desk", ""), "desk");
	is_refused(b, get(b, request_of(b->a, "desk", str_fmt(b->a, "prompt=none&%s", details(b, "[" PAY "]")).p)), "desk", "consent_required");
	struct res *rs = authorize(b, "desk", details(b, "[" PAY "]"));
	is_refused(b, follow(b, submit(b, rs, "/login/consent", "decision=deny")), "desk", "access_denied");
}

TEST(a_pushed_signed_request_carries_them_as_json)
{
	struct browser *b = here();
	struct firm f = firm(b->w, "firm", "fapi2-message-signing-2026", "ES256", ",\"authorization_details_types\":[\"payment\"]");
	struct res *rs = comes_with(b, "firm", request_uri_of(b, pushes_object(b, &f, object_of(b, &f, "", "{\"authorization_details\":[" PAY "]}"))));
	is_at(b, rs, "/login/consent");
	rs = follow(b, submit(b, rs, "/login/consent", "decision=allow"));
	is_same(in(b, json_of(b->w, redeems(b, &f, heard(b, rs, "code"), "")), "authorization_details"), "[" PAY "]");
	is_fault(pushes_object(b, &f, object_of(b, &f, "", "{\"authorization_details\":[" BOOK "]}")), INVALID_AUTHORIZATION_DETAILS);
}

TEST(of_what_was_granted_a_token_may_have_less_and_never_more)
{
	struct browser *b = here();
	static const char *const MORE[] = {
		"[{\"type\":\"payment\",\"amount\":{\"value\":250001,\"currency\":\"VND\"},\"identifier\":\"hs-1\"}]", "[{\"type\":\"payment\",\"identifier\":\"hs-1\"}]", "[{\"type\":\"payment\",\"amount\":{\"value\":250000,\"currency\":\"VND\"}}]",
		"[{\"type\":\"land_record\",\"actions\":[\"read\",\"delete\"],\"locations\":[\"" LAND "\"],\"parcel\":\"12/7\"}]", "[{\"type\":\"land_record\",\"actions\":[\"read\"],\"parcel\":\"12/7\"}]",
		"[{\"type\":\"land_record\",\"actions\":[],\"locations\":[\"" LAND "\"],\"parcel\":\"12/7\"}]", "[{\"type\":\"land_record\",\"actions\":\"read\",\"locations\":[\"" LAND "\"],\"parcel\":\"12/7\"}]",
		"[{\"type\":\"land_record\",\"actions\":[\"read\"],\"locations\":[\"" LAND "\"],\"parcel\":\"12/7\",\"x\":1}]", "[7]", "[]", "{}", "[",
	};
	struct res *code = allowed(b, "[" BOOK "," PAY "]");
	for (size_t i = 0; i < sizeof MORE / sizeof *MORE; i++)
		is_fault(with_code(b, code, str_fmt(b->a, "&%s", details(b, MORE[i])).p), INVALID_AUTHORIZATION_DETAILS);
	struct res *rs = with_code(b, code, str_fmt(b->a, "&%s", details(b, "[" PAY "]")).p);          /* the code was not spent */
	is_same(in(b, json_of(b->w, rs), "authorization_details"), "[" PAY "]");
	struct str more = told(b->w, rs, "refresh_token");
	is_fault(again(b, more, str_fmt(b->a, "&%s", details(b, MORE[0])).p), INVALID_AUTHORIZATION_DETAILS);
	static const char LESS[] = "[{\"type\":\"land_record\",\"actions\":[\"read\"],\"locations\":[\"" LAND "\"],\"parcel\":\"12/7\"}]";
	rs = again(b, more, str_fmt(b->a, "&%s", details(b, LESS)).p);
	is_same(in(b, json_of(b->w, rs), "authorization_details"), LESS);
	is_same(in(b, json_of(b->w, again(b, told(b->w, rs, "refresh_token"), "")), "authorization_details"), "[" BOOK "," PAY "]");
	is_fault(with_code(b, authorize(b, "desk", ""), str_fmt(b->a, "&%s", details(b, "[" PAY "]")).p), INVALID_AUTHORIZATION_DETAILS);
}

TEST(a_client_may_ask_for_itself_and_discovery_says_for_what)
{
	struct browser *b = here();
	struct res *rs = token(b, str_fmt(b->a, "grant_type=client_credentials&%s", details(b, "[" PAY "]")).p);
	is_same(in(b, claims_of(b->w, told(b->w, rs, "access_token")), "authorization_details"), "[" PAY "]");
	assert_null(json_object_get(claims_of(b->w, told(b->w, token(b, "grant_type=client_credentials"), "access_token")), "authorization_details"));
	rs = ask(b->w, "GET", "/.well-known/oauth-authorization-server", "", "");
	is_same(in(b, json_of(b->w, rs), "authorization_details_types_supported"), "[\"land_record\",\"payment\",\"other\"]");
}

TEST(kinds_that_contradict_themselves_stop_the_start)
{
	struct arena *a = arena_new();
	static const char *const BAD[] = { "required = parcel", "fields = type actions", "fields = parcel\nactions = read", "unheard = of" };
	for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
		struct settings s = { 0 };
		err e = conf_read(a, "x.conf", str_fmt(a, "[idp]\nissuer = https://id.example\nstate = /tmp\n[authorization_type x]\n%s\n", BAD[i]), SETTINGS, &s);
		if (!e.kind)
			e = detail_types_check(a, "x.conf", s.detail_types.items, s.detail_types.n);
		fails(e, BAD_CONFIG);
	}
	arena_free(a);
}

/* ---- resource indicators ---------------------------------------------------------------------------------------------------- */

#define AT(place) "resource=https%3A%2F%2F" place ".example%2Fapi"

TEST(a_token_is_for_the_places_that_were_named)
{
	struct browser *b = here();
	is_same(aud(b, with_code(b, authorize(b, "desk", ""), "")), "[\"https://id.example\",\"" LAND "\",\"" TAX "\",\"api\"]");
	is_same(aud(b, with_code(b, authorize(b, "desk", AT("land")), "")), "[\"https://id.example\",\"" LAND "\"]");
	is_same(aud(b, with_code(b, authorize(b, "desk", AT("land") "&" AT("tax") "&" AT("land")), "")), "[\"https://id.example\",\"" LAND "\",\"" TAX "\"]");
	is_same(aud(b, with_code(b, authorize(b, "desk", "scope=email&" AT("tax")), "")), "\"" TAX "\"");
	struct str uri = told(b->w, ask(b->w, "POST", "/par", as(b->w, "desk").p, usual(b->a, "desk", AT("tax")).p), "request_uri");
	is_same(aud(b, with_code(b, comes_with(b, "desk", uri), "")), "[\"https://id.example\",\"" TAX "\"]");
}

TEST(the_places_of_a_grant_can_be_narrowed_and_not_left)
{
	struct browser *b = here();
	struct res *code = authorize(b, "desk", AT("land") "&" AT("tax")), *rs;
	is_fault(with_code(b, code, "&resource=https%3A%2F%2Felse.example%2F"), INVALID_TARGET);
	rs = with_code(b, code, "&" AT("tax"));
	is_same(aud(b, rs), "[\"https://id.example\",\"" TAX "\"]");
	rs = again(b, told(b->w, rs, "refresh_token"), "&" AT("land"));
	is_same(aud(b, rs), "[\"https://id.example\",\"" LAND "\"]");
	is_same(aud(b, again(b, told(b->w, rs, "refresh_token"), "")), "[\"https://id.example\",\"" LAND "\",\"" TAX "\"]");
	rs = with_code(b, authorize(b, "desk", AT("land")), "");
	is_fault(again(b, told(b->w, rs, "refresh_token"), "&" AT("tax")), INVALID_TARGET);
	is_same(aud(b, with_code(b, authorize(b, "desk", ""), "&" AT("tax"))), "[\"https://id.example\",\"" TAX "\"]");
	is_same(aud(b, token(b, "grant_type=client_credentials&" AT("tax"))), "\"" TAX "\"");
	is_fault(token(b, "grant_type=client_credentials&" AT("else")), INVALID_TARGET);
}

TEST(places_that_cannot_be_named_are_an_invalid_target)
{
	struct browser *b = here();
	static const char *const BAD[] = { "resource=", "resource=api", "resource=land.example", "resource=%2Fapi", AT("else"), AT("land") "%23x", AT("land") "%2F", "resource=https%3A%2F%2FLAND.example%2Fapi",
		AT("land") "&" AT("else"), AT("land") "&resource=", "resource=https%3A%2F%2Fland.example%2Fapi%20https%3A%2F%2Ftax.example%2Fapi" };
	for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
		is_refused(b, authorize(b, "desk", BAD[i]), "desk", "invalid_target");
		is_fault(token(b, str_fmt(b->a, "grant_type=client_credentials&%s", BAD[i]).p), INVALID_TARGET);
	}
}

TEST(only_this_name_may_come_again_and_not_for_ever)
{
	struct browser *b = here();
	is_fault(token(b, "grant_type=client_credentials&scope=docs:read&scope=docs:read"), INVALID_REQUEST);
	is_tokens(b->w, token(b, "grant_type=client_credentials&" AT("tax") "&" AT("tax") "&" AT("tax") "&" AT("tax") "&" AT("tax") "&" AT("tax") "&" AT("tax") "&" AT("tax")));
	is_fault(token(b, "grant_type=client_credentials&" AT("tax") "&" AT("tax") "&" AT("tax") "&" AT("tax") "&" AT("tax") "&" AT("tax") "&" AT("tax") "&" AT("tax") "&" AT("tax")), INVALID_REQUEST);
}

TEST(a_request_object_names_several_as_an_array)
{
	struct browser *b = here();
	struct firm f = firm(b->w, "firm", "fapi2-message-signing-2026", "ES256", ",\"audiences\":[\"" LAND "\",\"" TAX "\"]");
	struct res *rs = comes_with(b, "firm", request_uri_of(b, pushes_object(b, &f, object_of(b, &f, "", "{\"resource\":[\"" LAND "\",\"" TAX "\"]}"))));
	is_same(aud(b, redeems(b, &f, heard(b, rs, "code"), "")), "[\"https://id.example\",\"" LAND "\",\"" TAX "\"]");
	is_fault(pushes_object(b, &f, object_of(b, &f, "", "{\"resource\":[\"" LAND "\",\"https://else.example/\"]}")), INVALID_TARGET);
}

TEST(a_resource_server_learns_of_tokens_for_its_place_and_of_no_others)
{
	struct browser *b = here();
	struct str land = told(b->w, with_code(b, authorize(b, "desk", "scope=email&" AT("land")), ""), "access_token");
	struct str tax = told(b->w, with_code(b, authorize(b, "desk", "scope=email&" AT("tax")), ""), "access_token");
	assert_true(json_is_true(json_object_get(seen_by(b, "land", land), "active")));
	assert_true(json_is_false(json_object_get(seen_by(b, "land", tax), "active")));
	assert_true(json_is_false(json_object_get(seen_by(b, "api", land), "active")));
	assert_int_equal(ask(b->w, "GET", "/userinfo", str_fmt(b->a, "Authorization: Bearer %s\n", land.p).p, "")->status, 401);
}
