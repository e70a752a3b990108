#include "town.h"
#include "code.h"
#include "oidc.h"

/* The authorization endpoint: RFC 6749 section 4.1, OpenID Connect Core section 3.1.2. */

/* The world's citizen, signed in and asked before. */
static struct browser *known(void)
{
	struct town *t = town();
	struct browser *b = browser(t->w);
	is_signed_in(b);
	static const char *const CLIENTS[] = { "portal", "tax", "post", "app", "vault" };
	for (size_t i = 0; i < sizeof CLIENTS / sizeof *CLIENTS; i++)
		agrees(t->w, CLIENTS[i], "openid profile email phone address offline_access");
	return b;
}

static struct str repeat(struct arena *a, const char *piece, size_t n)
{
	struct str s = S("");
	struct buf b = buf_new(a, 64, 65536);
	while (b.n < n)
		buf_str(&b, str_of(piece));
	b.n = n;
	fine(buf_done(&b, &s));
	return str_dup(a, s.p, n);
}

/* Seconds since the world's citizen signed in. */
static int64_t age_of(const struct world *w) { return w->now - 1800000000; }

#define more(...) str_fmt(b->a, __VA_ARGS__).p

TEST(a_person_who_signs_in_and_agrees_gives_the_application_a_code)
{
	struct town *t = town();
	struct browser *b = browser(t->w);
	struct res *rs = sign_in(b, authorize(b, "portal", "nonce=n-1"), t->an);
	is_at(b, rs, "/login/consent");
	rs = follow(b, submit(b, rs, "/login/consent", "decision=allow"));
	is_code(b, rs, "portal");
	assert_str(heard(b, rs, "state"), "s-1");
	json_t *claims = tokens_for(b, "portal", rs);
	assert_str(json_text(claims, "acr"), "high");
	assert_str(json_text(claims, "nonce"), "n-1");
	assert_true(json_text(claims, "sid").n == 43);
	assert_int_equal(audits(t->w, "login.certificate", "ok"), 2);        /* the world's citizen, and this one */
	assert_int_equal(audits(t->w, "consent.given", "ok"), 1);
	assert_int_equal(audits(t->w, "code.issued", "ok"), 1);
}

/* ---- what is told to the person, because there is nowhere safe to send it ---- */

static const char *const BAD_URIS[] = {
	"!redirect_uri", "redirect_uri=", "redirect_uri=https%3A%2F%2Fevil.example%2Fcb", "redirect_uri=https%3A%2F%2Fportal.example%2Fcb%2F",
	"redirect_uri=https%3A%2F%2Fportal.example%2FCB", "redirect_uri=https%3A%2F%2Fportal.example%2Fcb%3Fx%3D2", "redirect_uri=https%3A%2F%2Fportal.example%2Fcb%23",
	"redirect_uri=https%3A%2F%2Fportal.example%40evil.example%2Fcb", "redirect_uri=https%3A%2F%2Fportal.example%2Fcb%2F..%2Fcb",
	"redirect_uri=http%3A%2F%2Fportal.example%2Fcb", "redirect_uri=https%3A%2F%2Fportal.example%3A443%2Fcb", "redirect_uri=https%3A%2F%2FPORTAL.example%2Fcb",
	"redirect_uri=https%3A%2F%2Ftax.example%2Fcb", "redirect_uri=%20https%3A%2F%2Fportal.example%2Fcb", "redirect_uri=javascript%3Aalert(1)",
	"redirect_uri=https%3A%2F%2Fportal.example%2Fcb%3Fx%3D1%26y%3D1", "redirect_uri=https%3A%2F%2Fportal.example%2Fcb%2525", "redirect_uri=%2Fcb",
};

/* Every way that a request can be wrong, and what the application is told. */
static const struct { const char *wrong, *error; } WRONG[] = {
	{ "!response_type", "invalid_request" }, { "response_type=", "invalid_request" }, { "response_type=token", "unsupported_response_type" },
	{ "response_type=code%20id_token", "unsupported_response_type" }, { "response_type=CODE", "unsupported_response_type" }, { "response_type=none", "unsupported_response_type" },
	{ "response_mode=fragment", "invalid_request" }, { "response_mode=web_message", "invalid_request" },
	{ "!scope", "invalid_scope" }, { "scope=", "invalid_scope" }, { "scope=unheard-of", "invalid_scope" }, { "scope=vn_number", "invalid_scope" },
	{ "request=e30.e30.", "request_not_supported" }, { "request=", "request_not_supported" }, { "request_uri=https%3A%2F%2Fportal.example%2Fr", "request_uri_not_supported" },
	{ "registration=%7B%7D", "registration_not_supported" },
	{ "code_challenge=short&code_challenge_method=S256", "invalid_request" }, { "code_challenge=" CHALLENGE, "invalid_request" },
	{ "code_challenge=" CHALLENGE "&code_challenge_method=plain", "invalid_request" }, { "code_challenge_method=S256", "invalid_request" },
	{ "code_challenge=" CHALLENGE "A&code_challenge_method=S256", "invalid_request" }, { "code_challenge=&code_challenge_method=S256", "invalid_request" },
	{ "prompt=none%20login", "invalid_request" }, { "prompt=maybe", "invalid_request" }, { "prompt=Login", "invalid_request" },
	{ "max_age=-1", "invalid_request" }, { "max_age=", "invalid_request" }, { "max_age=1.5", "invalid_request" }, { "max_age=ten", "invalid_request" },
	{ "max_age=99999999999999999999", "invalid_request" },
	{ "claims=%7B", "invalid_request" }, { "claims=%5B%5D", "invalid_request" }, { "claims=7", "invalid_request" },
	{ "id_token_hint=x", "invalid_request" }, { "id_token_hint=a.b.c", "invalid_request" },
	{ "claims=%7B%22id_token%22%3A%7B%22acr%22%3A%7B%22essential%22%3Atrue%2C%22values%22%3A%5B%22unheard-of%22%5D%7D%7D%7D", "unmet_authentication_requirements" },
};
enum { BAD_URIS_N = sizeof BAD_URIS / sizeof *BAD_URIS, WRONG_N = sizeof WRONG / sizeof *WRONG };

TEST(every_error_after_the_redirect_uri_is_proven_goes_to_the_application)
{
	struct browser *b = known();
	for (size_t i = 0; i < WRONG_N; i++) {
		pass(b->w, 10);                  /* the trail keeps twenty refusals a minute of one address */
		is_refused(b, authorize(b, "portal", WRONG[i].wrong), "portal", WRONG[i].error);
		is_refused(b, authorize(b, "portal", more("prompt=none&%s", strncmp(WRONG[i].wrong, "prompt", 6) ? WRONG[i].wrong : "max_age=x")), "portal",
		           strncmp(WRONG[i].wrong, "prompt", 6) ? WRONG[i].error : "invalid_request");
	}
	assert_true(audits(b->w, "authorization.refused", "invalid_request") > 10);
	assert_int_equal(audits(b->w, "authorization.refused", "registration_not_supported"), 2);
	assert_int_equal(audits(b->w, "code.issued", "ok"), 0);
	is_code(b, authorize(b, "portal", ""), "portal");
}

TEST(nothing_is_ever_sent_to_a_redirect_uri_that_is_not_proven)
{
	struct browser *b = known();
	for (size_t u = 0; u < BAD_URIS_N; u++) {
		is_page(authorize(b, "portal", BAD_URIS[u]), 400);
		is_page(authorize(b, "portal", more("%s&prompt=none", BAD_URIS[u])), 400);
		is_page(go(b, "POST", S("/authorize"), usual(b->a, "portal", BAD_URIS[u]).p), 400);
		for (size_t i = 0; i < WRONG_N; i++)
			is_page(authorize(b, "portal", more("%s&%s", BAD_URIS[u], WRONG[i].wrong)), 400);
	}
	assert_int_equal(audits(b->w, "code.issued", "ok"), 0);
}

TEST(an_unknown_application_is_told_to_the_person)
{
	struct browser *b = known();
	static const char *const WHO[] = { "!client_id", "client_id=", "client_id=nobody", "client_id=Portal", "client_id=portal%20" };
	for (size_t i = 0; i < sizeof WHO / sizeof *WHO; i++) {
		is_page(authorize(b, "portal", WHO[i]), 400);
		is_page(authorize(b, "portal", more("%s&prompt=none&response_mode=form_post", WHO[i])), 400);
	}
	is_page(authorize(b, "portal", "client_id=tax"), 400);      /* whose redirect_uri this is not */
	is_code(b, authorize(b, "portal", ""), "portal");
}

TEST(an_application_that_may_not_ask_for_codes_is_told_so)
{
	struct browser *b = known();
	struct res *rs = authorize(b, "api", "");
	is_refused(b, rs, "api", "unauthorized_client");
}

TEST(a_parameter_that_comes_twice_is_refused_before_anything_is_believed)
{
	struct browser *b = known();
	static const char *const TWICE[] = { "client_id=portal", "redirect_uri=https%3A%2F%2Fportal.example%2Fcb", "state=s-1", "scope=openid", "response_type=code" };
	for (size_t i = 0; i < sizeof TWICE / sizeof *TWICE; i++) {
		is_page(get(b, str_fmt(b->a, "%s&%s", request_of(b->a, "portal", "").p, TWICE[i])), 400);
		is_page(go(b, "POST", S("/authorize"), more("%s&%s", usual(b->a, "portal", "").p, TWICE[i])), 400);
	}
	is_page(get(b, str_fmt(b->a, "%s&unknown=1&unknown=2", request_of(b->a, "portal", "").p)), 400);
	is_page(go(b, "POST", S("/authorize?x=1"), usual(b->a, "portal", "").p), 400);
	is_code(b, authorize(b, "portal", "unknown=1&another="), "portal");
}

/* ---- how it is asked and answered ---- */

TEST(a_request_may_come_as_a_form_of_another_site_without_our_cookies)
{
	struct browser *b = known();
	struct browser *crossing = browser_in(b->a, b->w);           /* SameSite=Lax: the form brings none */
	struct res *rs = go(crossing, "POST", S("/authorize"), usual(b->a, "portal", "").p);
	assert_int_equal(rs->status, 303);
	assert_int_equal(crossing->jar.n, 0);
	rs = visit(b, res_head(rs, "Location"));                      /* its answer brings them again */
	is_code(b, rs, "portal");
	rs = go(b, "POST", S("/authorize"), usual(b->a, "portal", "scope=unheard-of").p);
	is_refused(b, rs, "portal", "invalid_scope");
}

TEST(an_answer_by_form_post_is_a_page_that_sends_itself_and_says_nothing_in_a_url)
{
	struct browser *b = known();
	struct res *rs = authorize(b, "portal", "response_mode=form_post");
	is_code(b, rs, "portal");
	assert_int_equal(rs->status, 200);
	assert_str(heard(b, rs, "state"), "s-1");
	assert_non_null(strstr(res_head(rs, "Content-Security-Policy").p, "form-action 'self' https://portal.example;"));
	assert_str(res_head(rs, "Cache-Control"), "no-store");
	assert_null(strstr(rs->body.p, "name=\"csrf\""));
	is_refused(b, authorize(b, "portal", "response_mode=form_post&scope=unheard-of"), "portal", "invalid_scope");
	is_refused(b, authorize(b, "portal", "response_mode=form_post&prompt=login%20none"), "portal", "invalid_request");
	rs = authorize(b, "portal", "response_mode=query");
	assert_int_equal(rs->status, 303);
	is_code(b, rs, "portal");
}

TEST(a_registered_query_comes_back_with_the_answer)
{
	struct browser *b = known();
	struct res *rs = authorize(b, "portal", "redirect_uri=https%3A%2F%2Fportal.example%2Fcb%3Fx%3D1");
	is_code(b, rs, "portal");
	assert_true(str_starts(res_head(rs, "Location"), S("https://portal.example/cb?x=1&code=")));
}

TEST(state_and_nonce_come_back_exactly_as_they_were)
{
	struct browser *b = known();
	static const char *const PIECES[] = { "a", "-._~", "Việt ", "\"<&>' +%", "0123456789abcdef" };
	static const size_t LONG[] = { 10, 128, 384, 1000 };
	for (size_t p = 0; p < 5; p++)
		for (size_t n = 0; n < 4; n++) {
			struct str s = repeat(b->a, PIECES[p], LONG[n] - LONG[n] % strlen(PIECES[p]));
			struct res *rs = authorize(b, "portal", more("state=%s&nonce=%s&response_mode=%s", enc(b->w, s).p, enc(b->w, s).p, n % 2 ? "query" : "form_post"));
			is_code(b, rs, "portal");
			assert_str(heard(b, rs, "state"), s.p);
			if (n == 2)
				assert_str(json_text(tokens_for(b, "portal", rs), "nonce"), s.p);
		}
	struct res *rs = authorize(b, "portal", "!state");
	is_code(b, rs, "portal");
	assert_null(strstr(res_head(rs, "Location").p, "state="));
	assert_null(json_object_get(tokens_for(b, "portal", rs), "nonce"));
}

TEST(a_request_that_is_longer_than_we_keep_is_an_error_that_the_standards_know)
{
	struct town *t = town();
	struct browser *b = browser(t->w);
	struct str quotes = repeat(b->a, "%22", 3 * 4000);
	struct res *rs = go(b, "POST", S("/authorize"), usual(b->a, "portal", more("nonce=%s&claims=%%7B%%22a%%22%%3A%%22%s%%22%%7D", quotes.p, repeat(b->a, "x", 8000).p)).p);
	assert_int_equal(rs->status, 303);
	rs = go(b, "POST", S("/authorize"), usual(b->a, "portal", more("nonce=%s&acr_values=%s&scope=openid", repeat(b->a, "%22", 3 * 8190).p, repeat(b->a, "%22", 3 * 8190).p)).p);
	is_refused(b, rs, "portal", "invalid_request");
}

TEST(scopes_that_are_unknown_or_not_registered_are_left_out)
{
	struct browser *b = known();
	struct res *rs = redeem(b->w, "portal", heard(b, authorize(b, "portal", "scope=email%20vn_number%20openid%20unheard-of%20openid"), "code"));
	is_tokens(b->w, rs);
	assert_str(told(b->w, rs, "scope"), "email openid");
}

TEST(a_public_application_needs_a_challenge_and_another_may_have_one)
{
	struct browser *b = known();
	is_refused(b, authorize(b, "app", ""), "app", "invalid_request");
	struct res *rs = authorize(b, "app", "code_challenge=" CHALLENGE "&code_challenge_method=S256");
	is_code(b, rs, "app");
	is_fault(ask(b->w, "POST", "/token", "", more("grant_type=authorization_code&client_id=app&redirect_uri=https%%3A%%2F%%2Fapp.example%%2Fcb&code=%s", heard(b, rs, "code").p)),
	         INVALID_GRANT);
	rs = authorize(b, "portal", "code_challenge=" CHALLENGE "&code_challenge_method=S256");
	is_code(b, rs, "portal");
	is_fault(redeem(b->w, "portal", heard(b, rs, "code")), INVALID_GRANT);
}

TEST(hints_and_locales_that_mean_nothing_to_us_are_no_errors)
{
	struct browser *b = known();
	static const char *const HINTS[] = { "login_hint=buffy%40id.example", "login_hint=", "ui_locales=se", "ui_locales=en-GB%20fr", "claims_locales=se", "display=popup",
		"display=page", "claims=%7B%22userinfo%22%3A%7B%22name%22%3A%7B%22essential%22%3Atrue%7D%7D%7D", "claims=", "acr_values=1%202", "extra=foobar", "prompt=" };
	for (size_t i = 0; i < sizeof HINTS / sizeof *HINTS; i++)
		is_code(b, authorize(b, "portal", HINTS[i]), "portal");
	is_code(b, authorize(b, "portal", more("login_hint=%s", repeat(b->a, "x", 4000).p)), "portal");
}

TEST(a_claim_that_was_asked_for_is_told_at_userinfo)
{
	struct browser *b = known();
	struct res *rs = authorize(b, "portal", "claims=%7B%22userinfo%22%3A%7B%22name%22%3A%7B%22essential%22%3Atrue%7D%7D%7D");
	struct str token = told(b->w, redeem(b->w, "portal", heard(b, rs, "code")), "access_token");
	assert_str(told(b->w, ask(b->w, "GET", "/userinfo", more("Authorization: Bearer %s\n", token.p), ""), "name"), "Nguyễn Văn An");
}

/* fapi2-security-profile-final-test-claims-parameter-identity-claims: each claim that is published can be had, in the ID token or at userinfo; one that
 * nobody knows is no error. oidcc-claims-essential: what was asked of userinfo is not in the ID token. */
TEST(every_published_claim_can_be_asked_for_by_name)
{
	struct browser *b = known();
	json_t *all = json_object_get(json_of(b->w, ask(b->w, "GET", "/.well-known/openid-configuration", "", "")), "claims_supported"), *v;
	size_t i;
	json_array_foreach(all, i, v) {
		const char *name = json_string_value(v);
		struct str ask_for = str_fmt(b->a, "{\"id_token\":{\"%s\":null,\"unheard-of\":{\"essential\":true}}}", name);
		struct res *rs = authorize(b, "portal", more("claims=%s", enc(b->w, ask_for).p));
		is_code(b, rs, "portal");
		json_t *got = tokens_for(b, "portal", rs);
		assert_null(json_object_get(got, "unheard-of"));
		if (word_in(S("name family_name given_name email email_verified birthdate address phone_number phone_number_verified updated_at auth_time acr amr"), str_of(name)) && !json_object_get(got, name))
			fail_msg("%s was asked for and is not there", name);
		assert_null(json_object_get(got, "vn_number"));
	}
	json_t *got = tokens_for(b, "portal", authorize(b, "portal", "claims=%7B%22userinfo%22%3A%7B%22email%22%3Anull%7D%2C%22id_token%22%3A%7B%22name%22%3Anull%7D%7D"));
	assert_str(json_text(got, "name"), "Nguyễn Văn An");
	assert_null(json_object_get(got, "email"));
	got = tokens_for(b, "vault", authorize(b, "vault", "claims=%7B%22id_token%22%3A%7B%22email%22%3Anull%2C%22name%22%3Anull%7D%7D"));
	assert_null(json_object_get(got, "email"));              /* it is not registered for email */
	assert_str(json_text(got, "name"), "Nguyễn Văn An");
}

TEST(what_the_claims_reach_is_agreed_to_also_when_it_is_for_the_id_token)
{
	struct town *t = town();
	struct browser *b = browser(t->w);
	is_signed_in(b);
	agrees(t->w, "portal", "openid");
	is_code(b, authorize(b, "portal", ""), "portal");
	is_at(b, authorize(b, "portal", "claims=%7B%22id_token%22%3A%7B%22email%22%3Anull%7D%7D"), "/login/consent");
}

TEST(a_subject_that_is_asked_for_by_value_is_the_one_who_answers)
{
	struct browser *b = known();
	struct str sub = json_text(tokens_for(b, "portal", authorize(b, "portal", "")), "sub");
	is_code(b, authorize(b, "portal", more("claims=%%7B%%22id_token%%22%%3A%%7B%%22sub%%22%%3A%%7B%%22value%%22%%3A%%22%s%%22%%7D%%7D%%7D", sub.p)), "portal");
	is_refused(b, get(b, request_of(b->a, "portal", "prompt=none&claims=%7B%22id_token%22%3A%7B%22sub%22%3A%7B%22value%22%3A%22somebody%22%7D%7D%7D")), "portal", "login_required");
}

/* ---- when the person must be asked ---- */

TEST(prompt_none_never_shows_a_page)
{
	struct town *t = town();
	struct browser *b = browser(t->w);
	is_refused(b, get(b, request_of(b->a, "portal", "prompt=none")), "portal", "login_required");
	is_signed_in(b);
	is_refused(b, get(b, request_of(b->a, "portal", "prompt=none")), "portal", "consent_required");
	agrees(t->w, "portal", "openid");
	is_code(b, get(b, request_of(b->a, "portal", "prompt=none")), "portal");
	is_refused(b, get(b, request_of(b->a, "portal", "prompt=none&scope=openid%20email")), "portal", "consent_required");
	is_refused(b, get(b, request_of(b->a, "portal", "prompt=none&acr_values=high")), "portal", "login_required");
	int64_t age = age_of(t->w);
	is_refused(b, get(b, request_of(b->a, "portal", more("prompt=none&max_age=%d", (int)age - 1))), "portal", "login_required");
	is_code(b, get(b, request_of(b->a, "portal", more("prompt=none&max_age=%d", (int)age))), "portal");
	pass(t->w, t->w->conf.session_lives);
	is_refused(b, get(b, request_of(b->a, "portal", "prompt=none")), "portal", "login_required");
}

TEST(prompt_login_asks_again_and_auth_time_moves)
{
	struct browser *b = known();
	struct town *t = town();
	b = browser(t->w);
	struct res *rs = sign_in(b, authorize(b, "portal", "max_age=10000"), t->an);
	rs = follow(b, submit(b, rs, "/login/consent", "decision=allow"));
	json_t *first = tokens_for(b, "portal", rs);
	pass(t->w, 2);
	rs = authorize(b, "portal", "prompt=login&max_age=10000");
	is_at(b, rs, "/login");
	rs = sign_in(b, rs, t->an);
	is_code(b, rs, "portal");
	json_t *second = tokens_for(b, "portal", rs);
	assert_str(json_text(first, "sub"), json_text(second, "sub").p);
	assert_true(json_integer_value(json_object_get(second, "auth_time")) >= json_integer_value(json_object_get(first, "auth_time")) + 2);
	assert_false(str_eq(json_text(first, "sid"), json_text(second, "sid")));
	rs = authorize(b, "portal", "max_age=10000");
	assert_true(json_equal(json_object_get(second, "auth_time"), json_object_get(tokens_for(b, "portal", rs), "auth_time")));
}

TEST(max_age_is_measured_by_the_house_clock)
{
	struct browser *b = known();
	int age = (int)age_of(b->w);
	is_code(b, authorize(b, "portal", more("max_age=%d", age)), "portal");
	is_at(b, authorize(b, "portal", more("max_age=%d", age - 1)), "/login");
	pass(b->w, 1);
	is_at(b, authorize(b, "portal", more("max_age=%d", age)), "/login");
	is_at(b, authorize(b, "portal", "max_age=1"), "/login");
	is_code(b, authorize(b, "portal", "max_age=10000"), "portal");
	pass(b->w, 10000);
	is_at(b, authorize(b, "portal", "max_age=10000"), "/login");
	is_code(b, authorize(b, "portal", ""), "portal");
}

TEST(max_age_0_asks_for_a_login_even_in_the_second_of_the_last_one)
{
	struct town *t = town();
	struct browser *b = browser(t->w);
	struct res *rs = sign_in(b, authorize(b, "portal", "max_age=0"), t->an);
	is_code(b, follow(b, submit(b, rs, "/login/consent", "decision=allow")), "portal");
	is_at(b, authorize(b, "portal", "max_age=0"), "/login");
	is_code(b, authorize(b, "portal", "max_age=1"), "portal");
}

TEST(auth_time_is_told_only_to_who_asked)
{
	struct browser *b = known();
	assert_null(json_object_get(tokens_for(b, "portal", authorize(b, "portal", "")), "auth_time"));
	assert_non_null(json_object_get(tokens_for(b, "portal", authorize(b, "portal", "max_age=10000")), "auth_time"));
	assert_non_null(json_object_get(tokens_for(b, "portal", authorize(b, "portal", "claims=%7B%22id_token%22%3A%7B%22auth_time%22%3A%7B%22essential%22%3Atrue%7D%7D%7D")), "auth_time"));
}

TEST(prompt_consent_asks_although_it_was_given_before)
{
	struct browser *b = known();
	struct res *rs = authorize(b, "portal", "prompt=consent");
	is_at(b, rs, "/login/consent");
	is_code(b, follow(b, submit(b, rs, "/login/consent", "decision=allow")), "portal");
}

TEST(select_account_offers_who_is_here_or_somebody_else)
{
	struct browser *b = known();
	struct town *t = town();
	b = browser(t->w);
	is_signed_in(b);
	agrees(t->w, "portal", "openid");
	struct res *rs = authorize(b, "portal", "prompt=select_account");
	is_at(b, rs, "/login?");
	assert_non_null(strstr(rs->body.p, "Nguyễn Văn An"));
	is_code(b, follow(b, submit(b, rs, "/login", "method=session")), "portal");
	rs = sign_in(b, authorize(b, "portal", "prompt=select_account"), t->binh);
	is_at(b, rs, "/login/consent");                               /* Bình was not asked before */
	assert_non_null(strstr(rs->body.p, "Trần Thị Bình"));
	rs = authorize(b, "portal", "prompt=login");                  /* where nobody is to be chosen, a session is no answer */
	is_page(submit(b, rs, "/login", "method=session"), 400);
}

/* ---- how sure: acr ---- */

#define ESSENTIAL(value) "claims=%7B%22id_token%22%3A%7B%22acr%22%3A%7B%22essential%22%3Atrue%2C%22values%22%3A%5B%22" value "%22%5D%7D%7D%7D"

TEST(a_level_that_is_wished_for_and_cannot_be_reached_is_no_error)
{
	struct browser *b = known();
	is_code(b, authorize(b, "portal", "acr_values=unheard-of"), "portal");
	is_code(b, authorize(b, "portal", "acr_values=low%20substantial"), "portal");
	is_refused(b, authorize(b, "portal", ESSENTIAL("unheard-of")), "portal", "unmet_authentication_requirements");
	is_code(b, authorize(b, "portal", ESSENTIAL("substantial")), "portal");
}

TEST(a_higher_level_is_reached_by_signing_in_again_with_what_gives_it)
{
	struct town *t = town();
	struct browser *b = browser(t->w);
	is_signed_in(b);
	struct str before = cookie_in(b, "session");
	struct res *rs = authorize(b, "portal", "acr_values=high");
	is_at(b, rs, "/login");
	assert_null(strstr(rs->body.p, "value=\"sim\""));               /* which is only substantial */
	rs = sign_in(b, rs, t->an);
	is_at(b, rs, "/login/consent");
	assert_false(str_eq(before, cookie_in(b, "session")));
	rs = follow(b, submit(b, rs, "/login/consent", "decision=allow"));
	is_code(b, rs, "portal");
	assert_str(json_text(tokens_for(b, "portal", rs), "acr"), "high");
	is_code(b, authorize(b, "portal", ESSENTIAL("high")), "portal");
}

TEST(an_essential_level_that_the_certificate_does_not_give_is_an_error)
{
	struct town *t = town();
	struct browser *b = browser(t->w);
	struct minted *root = mint_root(t->a, &(struct mint_wish){ .cn = "Lesser Root" });
	trusts(t, root, "anchor", "token", ",\"level\":\"substantial\"");
	struct minted *lesser = citizen(t, root, "001099000003", "Lê Văn Cường", NULL);
	struct res *rs = sign_in(b, authorize(b, "portal", ESSENTIAL("high")), lesser);
	is_refused(b, rs, "portal", "unmet_authentication_requirements");
	rs = sign_in(b, authorize(b, "portal", "acr_values=high"), lesser);                 /* only wished for */
	is_at(b, rs, "/login/consent");
}

/* ---- id_token_hint ---- */

TEST(a_hint_of_ours_that_names_who_is_here_is_answered_in_silence_also_when_it_has_expired)
{
	struct browser *b = known();
	struct res *rs = authorize(b, "portal", "");
	struct str hint = id_token_for(b, "portal", rs);
	is_code(b, get(b, request_of(b->a, "portal", more("prompt=none&id_token_hint=%s", hint.p))), "portal");
	pass(b->w, 3600);
	is_code(b, get(b, request_of(b->a, "portal", more("prompt=none&id_token_hint=%s", hint.p))), "portal");
}

TEST(a_hint_that_is_not_ours_is_refused)
{
	struct browser *b = known();
	struct str hint = id_token_for(b, "portal", authorize(b, "portal", ""));
	json_t *claims = claims_of(b->w, hint);
	struct str text = json_dump(b->a, claims), none = str_fmt(b->a, "%s.%s.", b64url(b->a, str_bytes(S("{\"alg\":\"none\"}"))).p, b64url(b->a, str_bytes(text)).p);
	struct str foreign = signed_by(b->w, b->w->bank_key, "JWT", text.p), access;
	char *bent = arena_alloc(b->a, hint.n + 1);
	memcpy(bent, hint.p, hint.n);
	bent[hint.n / 2] = bent[hint.n / 2] == 'A' ? 'B' : 'A';
	access = told(b->w, redeem(b->w, "portal", heard(b, authorize(b, "portal", ""), "code")), "access_token");
	const char *const BAD[] = { none.p, foreign.p, bent, access.p };
	for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++)
		is_refused(b, authorize(b, "portal", more("id_token_hint=%s", BAD[i])), "portal", "invalid_request");
	is_code(b, authorize(b, "portal", more("id_token_hint=%s", hint.p)), "portal");
}

TEST(a_hint_that_names_somebody_else_asks_for_that_person)
{
	struct town *t = town();
	struct browser *b = browser(t->w);
	struct res *rs = sign_in(b, authorize(b, "portal", ""), t->an);
	struct str hint = id_token_for(b, "portal", follow(b, submit(b, rs, "/login/consent", "decision=allow")));
	struct browser *other = browser(t->w);
	rs = sign_in(other, authorize(other, "portal", ""), t->binh);
	is_code(other, follow(other, submit(other, rs, "/login/consent", "decision=allow")), "portal");
	is_refused(other, get(other, request_of(b->a, "portal", more("prompt=none&id_token_hint=%s", hint.p))), "portal", "login_required");
	rs = authorize(other, "portal", more("id_token_hint=%s", hint.p));
	is_at(other, rs, "/login");
	rs = sign_in(other, rs, t->an);
	is_code(other, rs, "portal");
}

TEST(whoever_signs_in_instead_of_the_person_that_the_hint_names_is_answered_login_required)
{
	struct town *t = town();
	struct browser *b = browser(t->w);
	struct res *rs = sign_in(b, authorize(b, "portal", ""), t->an);
	struct str hint = id_token_for(b, "portal", follow(b, submit(b, rs, "/login/consent", "decision=allow")));
	struct browser *other = browser(t->w);
	rs = sign_in(other, authorize(other, "portal", more("id_token_hint=%s", hint.p)), t->binh);
	is_refused(other, rs, "portal", "login_required");
}

/* ---- when something fails ---- */

TEST(when_the_store_cannot_write_nothing_is_answered_to_the_application)
{
	struct browser *b = known();
	static const char *const ASKED[] = { "", "prompt=none", "scope=unheard-of", "response_mode=form_post", "response_mode=form_post&prompt=none%20login" };
	for (size_t i = 0; i < sizeof ASKED / sizeof *ASKED; i++) {
		struct res *rs = NULL;
		int answers = 0;
		for (; answers < 10; answers++) {
			breaks_at(b->w, answers);
			rs = authorize(b, "portal", ASKED[i]);
			breaks_at(b->w, -1);
			if (rs->status != 503)
				break;
			is_page(rs, 503);
		}
		assert_true(answers > 0 && to_app(rs, "portal"));
	}
}
