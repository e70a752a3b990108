#include "town.h"
#include "holder.h"
#include "client.h"

/* RFC 9470: a resource says how surely and how recently the person must have signed in, and the authorization endpoint sees to it. */

static struct str bearer(struct world *w, struct str token) { return str_fmt(w->a, "Authorization: Bearer %s\n", token.p); }
static struct res *info(struct world *w, struct str token) { return ask(w, "GET", "/userinfo", bearer(w, token).p, ""); }
static struct str token_of_grant(struct world *w, const char *client) { return told(w, redeem(w, client, consent(w, client, "openid", "")), "access_token"); }

#define is_challenged(rs, params) do { struct res *c_ = (rs); struct str h_ = res_head(c_, "WWW-Authenticate"); \
	is_fault(c_, INSUFFICIENT_USER_AUTHENTICATION); \
	if (!strstr(h_.p, "error=\"insufficient_user_authentication\"") || !str_ends(h_, S(params))) fail_msg("%s", h_.p); } while (0)

/* ---- at a resource ---------------------------------------------------------------------------------------------------- */

TEST(a_resource_says_how_surely_and_how_recently_one_must_have_signed_in)
{
	struct world *w = world();
	struct str token = token_of_grant(w, "portal");      /* substantial, now */
	w->conf.userinfo_acr = S("substantial");
	w->conf.userinfo_max_age = 60;
	is_status(info(w, token), 200);
	pass(w, 60);
	is_status(info(w, token), 200);
	pass(w, 1);
	is_challenged(info(w, token), ", max_age=\"60\"");
	w->conf.userinfo_acr = S("high");
	is_challenged(info(w, token), ", acr_values=\"high\", max_age=\"60\"");
	w->conf.userinfo_max_age = 0;
	is_challenged(info(w, token), ", acr_values=\"high\"");
	assert_int_equal(audits(w, "userinfo.refused", "insufficient_user_authentication"), 3);
}

TEST(a_refreshed_token_is_no_fresh_sign_in)
{
	struct world *w = world();
	struct res *rs = redeem(w, "portal", consent(w, "portal", "openid", ""));
	w->conf.userinfo_max_age = 60;
	pass(w, 61);
	is_challenged(info(w, told(w, refresh(w, "portal", told(w, rs, "refresh_token")), "access_token")), ", max_age=\"60\"");
}

TEST(one_application_may_be_asked_for_more_than_another)
{
	struct world *w = world();
	world_client(w, "health", "client_secret_basic", ",\"userinfo_acr\":\"high\"");
	is_challenged(info(w, token_of_grant(w, "health")), ", acr_values=\"high\"");
	is_status(info(w, token_of_grant(w, "portal")), 200);
}

TEST(the_challenge_keeps_the_scheme_of_a_token_that_is_bound_to_a_key)
{
	struct world *w = world();
	struct signer *key = holder(w, "ES256");
	struct str head = str_fmt(w->a, "%s%s", as(w, "portal").p, proof_line(w, key, (struct proof_wish){ 0 }).p);
	struct str code = consent(w, "portal", "openid", "");
	struct res *rs = ask(w, "POST", "/token", head.p, str_fmt(w->a, "grant_type=authorization_code&code=%s&redirect_uri=https%%3A%%2F%%2Fportal.example%%2Fcb", code.p).p);
	w->conf.userinfo_acr = S("high");
	rs = ask(w, "GET", "/userinfo", shown_with(w, told(w, rs, "access_token"), key, (struct proof_wish){ 0 }).p, "");
	is_challenged(rs, ", acr_values=\"high\"");
	assert_true(str_starts(res_head(rs, "WWW-Authenticate"), S("DPoP realm=")));
}

/* section 6.2: acr and auth_time for resource servers of others */
TEST(a_resource_server_elsewhere_reads_it_in_the_token_and_in_introspection)
{
	struct world *w = world();
	struct str token = token_of_grant(w, "portal");
	struct res *seen = ask(w, "POST", "/introspect", as(w, "api").p, str_fmt(w->a, "token=%s", token.p).p);
	assert_str(told(w, seen, "acr"), "substantial");
	assert_int_equal(json_integer_value(json_object_get(json_of(w, seen), "auth_time")), w->now);
	assert_str(json_text(claims_of(w, token), "acr"), "substantial");
	assert_int_equal(json_integer_value(json_object_get(claims_of(w, token), "auth_time")), w->now);
}

/* ---- at the authorization endpoint ---------------------------------------------------------------------------------------- */

static struct str access_for(struct browser *b, const char *client, struct res *rs)
{
	is_code(b, rs, client);
	return told(b->w, redeem(b->w, client, heard(b, rs, "code")), "access_token");
}

/* An, who has agreed to nothing yet, signs in by token: high. */
static struct res *signs_in(struct browser *b, struct res *rs, const struct minted *leaf)
{
	rs = sign_in(b, rs, leaf);
	return str_starts(b->at, S("/login/consent")) ? follow(b, submit(b, rs, "/login/consent", "decision=allow")) : rs;
}

TEST(what_the_challenge_asks_for_leads_through_a_new_sign_in_to_a_token_that_will_do)
{
	struct town *t = town();
	struct browser *b = browser(t->w);
	is_signed_in(b);                                      /* by SIM: substantial */
	agrees(t->w, "portal", "openid");
	t->w->conf.userinfo_acr = S("high");
	is_challenged(info(t->w, access_for(b, "portal", authorize(b, "portal", ""))), ", acr_values=\"high\"");
	struct res *rs = signs_in(b, authorize(b, "portal", "acr_values=high"), t->an);
	struct str token = access_for(b, "portal", rs);
	assert_str(json_text(claims_of(t->w, token), "acr"), "high");
	is_status(info(t->w, token), 200);
	is_status(info(t->w, access_for(b, "portal", authorize(b, "portal", ""))), 200);
}

TEST(a_sign_in_that_is_too_old_is_made_again)
{
	struct town *t = town();
	struct browser *b = browser(t->w);
	is_signed_in(b);
	agrees(t->w, "portal", "openid");
	t->w->conf.userinfo_max_age = 300;
	pass(t->w, 301);
	is_challenged(info(t->w, access_for(b, "portal", authorize(b, "portal", ""))), ", max_age=\"300\"");
	is_status(info(t->w, access_for(b, "portal", signs_in(b, authorize(b, "portal", "max_age=300"), t->an))), 200);
}

/* ---- the floor of a client: minimum_acr ------------------------------------------------------------------------------------- */

static struct browser *at_the_bank(struct town *t, const char *floor)
{
	struct browser *b = browser(t->w);
	world_client(t->w, "strict", "client_secret_basic", str_fmt(t->a, ",\"minimum_acr\":\"%s\"", floor).p);
	is_signed_in(b);
	agrees(t->w, "strict", "openid");
	return b;
}

TEST(nothing_in_a_request_lowers_the_floor_of_its_client)
{
	static const char *const ASKED[] = { "", "acr_values=low", "acr_values=substantial%20low", "claims=%7B%22id_token%22%3A%7B%22acr%22%3A%7B%22value%22%3A%22low%22%7D%7D%7D" };
	for (size_t i = 0; i < sizeof ASKED / sizeof *ASKED; i++) {
		struct town *t = town();
		struct browser *b = at_the_bank(t, "high");
		struct res *rs = authorize(b, "strict", ASKED[i]);
		if (!str_starts(b->at, S("/login")))
			fail_msg("%s: not asked to sign in, at %s", ASKED[i], b->at.p);
		assert_null(strstr(rs->body.p, "value=\"sim\""));                 /* which cannot reach it */
		is_code(b, signs_in(b, rs, t->an), "strict");
		is_code(b, authorize(b, "strict", ""), "strict");              /* and from then on it is met */
		is_refused(b, authorize(browser(t->w), "strict", "prompt=none"), "strict", "login_required");
	}
}

TEST(a_session_at_the_floor_needs_no_new_sign_in)
{
	struct town *t = town();
	struct browser *b = at_the_bank(t, "substantial");
	is_code(b, authorize(b, "strict", "prompt=none"), "strict");
}

TEST(a_floor_that_no_method_reaches_is_said_to_the_application)
{
	struct town *t = town();
	struct browser *b = at_the_bank(t, "high");
	t->w->conf.methods = str_words(t->a, S("sim"));
	is_refused(b, authorize(b, "strict", ""), "strict", "unmet_authentication_requirements");
}

TEST(a_floor_is_a_level_that_the_house_knows)
{
	struct arena *a = arena_new();
	struct client c;
	static const char FORM[] = "{\"token_endpoint_auth_method\":\"none\",\"redirect_uris\":[\"https://a.example/cb\"],\"%s\":\"%s\"}";
	fine(client_parse(a, S("x"), str_fmt(a, FORM, "minimum_acr", "high"), &c));
	fails(client_parse(a, S("x"), str_fmt(a, FORM, "minimum_acr", "highest"), &c), BAD_CONFIG);
	fails(client_parse(a, S("x"), str_fmt(a, FORM, "userinfo_acr", "low high"), &c), BAD_CONFIG);
	arena_free(a);
}
