#include "fapi.h"
#include "jws.h"
#include "keys.h"

/* JWT Secured Authorization Response Mode for OAuth 2.0 (JARM). */

static struct browser *here(void)
{
	struct browser *b = browser(town()->w);
	is_signed_in(b);
	agrees(b->w, "portal", "openid email");
	return b;
}

/* The answer's claims, after its signature, its times and whom it is for; nothing else may stand beside it. */
static json_t *opened(struct browser *b, const struct res *rs, const char *client, const char *alg)
{
	struct jws jws;
	struct keyring *ring;
	json_t *claims;
	static const char *const BESIDE[] = { "code", "state", "iss", "error" };
	struct str token = heard(b, rs, "response");
	if (!to_app(rs, client) || !token.n)
		fail_msg("no response: %d %s %.300s", rs->status, res_head(rs, "Location").p, rs->body.p);
	for (size_t i = 0; i < sizeof BESIDE / sizeof *BESIDE; i++)
		assert_int_equal(heard(b, rs, BESIDE[i]).n, 0);
	fine(jws_read(b->a, token, &jws));
	fine(keys_now(&b->w->house, b->a, &ring));
	assert_non_null(keyring_key(ring, jws.kid, b->w->now));
	fine(jws_verify(b->a, token, keyring_key(ring, jws.kid, b->w->now), str_of(alg), S(""), &claims));
	assert_str(json_text(claims, "iss"), "https://id.example");
	assert_str(json_text(claims, "aud"), client);
	int64_t exp = 0;
	assert_true(json_int(claims, "exp", &exp) && exp > b->w->now + 10 && exp <= b->w->now + 600);
	return claims;
}

/* fapi2-message-signing with fapi_response_mode=jarm: ~happy-flow */
TEST(an_answer_that_is_asked_for_as_a_jwt_is_one)
{
	struct browser *b = here();
	static const struct { const char *mode; int status; } MODES[] = { { "jwt", 303 }, { "query.jwt", 303 }, { "form_post.jwt", 200 } };
	for (size_t i = 0; i < 3; i++) {
		struct res *rs = authorize(b, "portal", str_fmt(b->a, "response_mode=%s", MODES[i].mode).p);
		assert_int_equal(rs->status, MODES[i].status);
		json_t *claims = opened(b, rs, "portal", "RS256");
		assert_str(json_text(claims, "state"), "s-1");
		assert_null(json_object_get(claims, "error"));
		is_tokens(b->w, redeem(b->w, "portal", json_text(claims, "code")));
	}
	is_code(b, authorize(b, "portal", "response_mode=query"), "portal");
}

TEST(a_client_chooses_how_its_answers_are_signed)
{
	struct browser *b = here();
	static const char *const ALGS[] = { "ES256", "PS256", "EdDSA" };
	for (size_t i = 0; i < 3; i++) {
		const char *name = str_fmt(b->a, "by%zu", i).p;
		world_client(b->w, name, "client_secret_basic", str_fmt(b->a, ",\"authorization_signed_response_alg\":\"%s\"", ALGS[i]).p);
		agrees(b->w, name, "openid");
		opened(b, authorize(b, name, "response_mode=jwt"), name, ALGS[i]);
	}
	struct firm f = firm(b->w, "firm", "fapi2-security-2026", "ES256", "");
	opened(b, comes_with(b, "firm", request_uri_of(b, pushes_usual(b, &f, "response_mode=jwt"))), "firm", "ES256");
}

/* ~user-rejects-authentication */
TEST(a_refusal_is_told_the_same_way)
{
	struct browser *b = here();
	static const struct { const char *more, *error; } WRONG[] = {
		{ "scope=unheard-of", "invalid_scope" }, { "prompt=none&acr_values=high", "login_required" }, { "response_type=token", "unsupported_response_type" }, { "max_age=x", "invalid_request" },
		{ "request=x", "request_not_supported" },
	};
	for (size_t i = 0; i < sizeof WRONG / sizeof *WRONG; i++)
		for (int form = 0; form < 2; form++) {
			json_t *claims = opened(b, authorize(b, "portal", str_fmt(b->a, "response_mode=%s&%s", form ? "form_post.jwt" : "jwt", WRONG[i].more).p), "portal", "RS256");
			assert_str(json_text(claims, "error"), WRONG[i].error);
			assert_str(json_text(claims, "state"), "s-1");
			assert_null(json_object_get(claims, "code"));
		}
	struct res *rs = authorize(b, "portal", "response_mode=jwt&prompt=login");
	json_t *claims = opened(b, follow(b, submit(b, rs, "/login/cancel", "")), "portal", "RS256");
	assert_str(json_text(claims, "error"), "access_denied");
	is_page(authorize(b, "portal", "response_mode=jwt&redirect_uri=https%3A%2F%2Fevil.example%2F"), 400);
}

TEST(a_long_state_comes_back_whole_and_one_that_does_not_fit_is_told_to_the_person)
{
	struct browser *b = here();
	char long_state[1001] = "", longer[8001] = "";
	memset(long_state, 's', 1000);
	memset(longer, '"', 8000);
	struct res *rs = authorize(b, "portal", str_fmt(b->a, "response_mode=jwt&state=%s", long_state).p);
	assert_str(json_text(opened(b, rs, "portal", "RS256"), "state"), long_state);
	is_page(go(b, "POST", S("/authorize"), usual(b->a, "portal", str_fmt(b->a, "response_mode=jwt&scope=unheard-of&state=%s", enc(b->w, str_of(longer)).p).p).p), 413);
}

/* fragment is where tokens would be: there are none here */
TEST(other_modes_are_refused)
{
	struct browser *b = here();
	static const char *const MODES[] = { "fragment.jwt", "JWT", "query.JWT", ".jwt", "query%20jwt", "jwt%20" };
	for (size_t i = 0; i < sizeof MODES / sizeof *MODES; i++)
		is_refused(b, authorize(b, "portal", str_fmt(b->a, "response_mode=%s", MODES[i]).p), "portal", "invalid_request");
}

TEST(an_answer_of_ours_is_no_id_token_hint_and_no_access_token)
{
	struct browser *b = here();
	struct str answer = heard(b, authorize(b, "portal", "response_mode=jwt"), "response");
	is_refused(b, authorize(b, "portal", str_fmt(b->a, "id_token_hint=%s", answer.p).p), "portal", "invalid_request");
	assert_int_equal(ask(b->w, "GET", "/userinfo", str_fmt(b->a, "Authorization: Bearer %s\n", answer.p).p, "")->status, 401);
}
