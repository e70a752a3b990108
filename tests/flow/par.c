#include "fapi.h"
#include "code.h"
#include <pthread.h>

/* Pushed authorization requests: RFC 9126. Names in ~ are modules of the FAPI 2.0 plans, without their prefix. */

static struct res *sends(struct browser *b, const char *headers, const char *client, const char *more)
{
	return ask_in(b->w, b->a, "POST", "/par", headers, usual(b->a, client, more).p);
}

static struct res *pushed(struct browser *b, const char *client, const char *more) { return sends(b, as(b->w, client).p, client, more); }

static struct str page_of(struct browser *b, const char *client, struct str uri, const char *more)
{
	return str_fmt(b->a, "/authorize?client_id=%s&request_uri=%s%s", client, enc(b->w, uri).p, more);
}

static struct browser *known(void)
{
	struct town *t = town();
	struct browser *b = browser(t->w);
	is_signed_in(b);
	static const char *const CLIENTS[] = { "portal", "tax", "post", "app", "bank", "gate" };
	for (size_t i = 0; i < sizeof CLIENTS / sizeof *CLIENTS; i++)
		agrees(t->w, CLIENTS[i], "openid profile email phone address offline_access");
	return b;
}

/* ~happy-flow, ~par-without-duplicate-parameters; OAuch DocumentSupport.RFC9126SupportedTest, ParEndpoint.IsParSupportedTest,
 * ParEndpoint.RequestUriEntropyMinReqTest, ParEndpoint.RequestUriEntropySugReqTest */
TEST(a_pushed_request_is_answered_as_if_it_had_come_by_the_browser)
{
	struct town *t = town();
	struct browser *b = browser(t->w);
	struct res *rs = pushed(b, "portal", "nonce=n-7&scope=openid%20email");
	is_status(rs, 201);
	assert_str(rs->type, "application/json");
	assert_str(res_head(rs, "Cache-Control"), "no-store");
	assert_int_equal(json_integer_value(json_object_get(json_of(b->w, rs), "expires_in")), 60);
	struct str uri = request_uri_of(b, rs);
	assert_true(str_starts(uri, S("urn:ietf:params:oauth:request_uri:")));
	assert_int_equal(uri.n, strlen("urn:ietf:params:oauth:request_uri:") + 43);
	rs = sign_in(b, comes_with(b, "portal", uri), t->an);
	is_at(b, rs, "/login/consent");
	rs = follow(b, submit(b, rs, "/login/consent", "decision=allow"));
	is_code(b, rs, "portal");
	assert_str(heard(b, rs, "state"), "s-1");
	assert_str(json_text(tokens_for(b, "portal", rs), "nonce"), "n-7");
}

TEST(it_may_also_come_by_a_form)
{
	struct browser *b = known();
	struct str uri = request_uri_of(b, pushed(b, "portal", ""));
	is_code(b, follow(b, go(b, "POST", S("/authorize"), str_fmt(b->a, "client_id=portal&request_uri=%s", enc(b->w, uri).p).p)), "portal");
}

/* ~ensure-different-nonce-inside-and-outside-request-object, ~ensure-different-state-inside-and-outside-request-object,
 * ~state-only-outside-request-object-not-used */
TEST(what_stands_beside_the_request_uri_counts_for_nothing)
{
	struct browser *b = known();
	static const char *const BESIDE[] = { "&state=evil", "&nonce=evil", "&scope=openid%20phone", "&redirect_uri=https%3A%2F%2Fevil.example%2F", "&response_type=token",
		"&response_mode=form_post", "&prompt=login", "&max_age=0", "&code_challenge=" CHALLENGE "&code_challenge_method=S256", "&claims=%7B", "&request=x.y.z",
		"&login_hint=evil&acr_values=high&ui_locales=en&unheard=of" };
	for (size_t i = 0; i < sizeof BESIDE / sizeof *BESIDE; i++) {
		struct res *rs = visit(b, page_of(b, "portal", request_uri_of(b, pushed(b, "portal", "nonce=n-1")), BESIDE[i]));
		is_code(b, rs, "portal");
		assert_int_equal(rs->status, 303);
		assert_str(heard(b, rs, "state"), "s-1");
		struct res *tokens = redeem(b->w, "portal", heard(b, rs, "code"));
		assert_str(told(b->w, tokens, "scope"), "openid");
		assert_str(json_text(claims_of(b->w, told(b->w, tokens, "id_token")), "nonce"), "n-1");
	}
	struct res *rs = visit(b, page_of(b, "portal", request_uri_of(b, pushed(b, "portal", "!state")), "&state=outer&nonce=outer"));
	is_code(b, rs, "portal");
	assert_int_equal(heard(b, rs, "state").n, 0);
	assert_null(json_object_get(tokens_for(b, "portal", rs), "nonce"));
}

/* ~ensure-authorization-request-with-long-state, ~ensure-authorization-request-with-long-nonce, ~ensure-authorization-request-without-state-success */
TEST(a_long_state_and_nonce_are_kept_whole)
{
	struct browser *b = known();
	char long_state[1001] = "", nonce[385] = "";
	memset(long_state, 's', 1000);
	memset(nonce, '~', 384);
	struct res *rs = comes_with(b, "portal", request_uri_of(b, pushed(b, "portal", str_fmt(b->a, "state=%s&nonce=%s", long_state, nonce).p)));
	is_code(b, rs, "portal");
	assert_str(heard(b, rs, "state"), long_state);
	assert_str(json_text(tokens_for(b, "portal", rs), "nonce"), nonce);
}

/* ---- how often, how long, by whom -------------------------------------------------------------------------------------- */

/* ~par-ensure-reused-request-uri-prior-to-auth-completion-succeeds, ~par-attempt-reuse-request_uri; OAuch ParEndpoint.IsRequestUriRevokedTest */
TEST(its_page_may_be_loaded_again_until_the_application_is_answered_and_never_after)
{
	struct town *t = town();
	struct browser *b = browser(t->w);
	struct str uri = request_uri_of(b, pushed(b, "portal", ""));
	is_at(b, comes_with(b, "portal", uri), "/login");
	is_at(b, comes_with(b, "portal", uri), "/login");
	struct res *rs = sign_in(b, comes_with(b, "portal", uri), t->an);
	rs = follow(b, submit(b, rs, "/login/consent", "decision=allow"));
	is_code(b, rs, "portal");
	is_over(b, comes_with(b, "portal", uri));
	is_over(b, comes_with(browser(t->w), "portal", uri));
	assert_int_equal(audits(t->w, "code.issued", "ok"), 1);
}

TEST(of_two_sign_ins_that_began_with_it_one_is_answered)
{
	struct town *t = town();
	struct browser *b = browser(t->w), *c = browser(t->w);
	struct str uri = request_uri_of(b, pushed(b, "portal", ""));
	struct res *one = sign_in(b, comes_with(b, "portal", uri), t->an), *two = sign_in(c, comes_with(c, "portal", uri), t->binh);
	is_at(b, one, "/login/consent");
	is_at(c, two, "/login/consent");
	is_code(b, follow(b, submit(b, one, "/login/consent", "decision=allow")), "portal");
	is_over(c, follow(c, submit(c, two, "/login/consent", "decision=allow")));
	assert_int_equal(audits(t->w, "code.issued", "ok"), 1);
}

struct one { struct browser *b; struct res *page; pthread_t thread; bool coded; };

static void *agree_at_once(void *p)
{
	struct one *k = p;
	struct res *rs = follow(k->b, submit(k->b, k->page, "/login/consent", "decision=allow"));
	k->coded = to_app(rs, "portal") && heard(k->b, rs, "code").n == 43;
	return NULL;
}

/* SEC-07 */
TEST(of_eight_that_are_finished_at_the_same_moment_one_is_answered)
{
	enum { MANY = 8 };
	struct browser *b = known();
	struct str uri = request_uri_of(b, pushed(b, "portal", "prompt=consent"));
	struct one all[MANY] = { 0 };
	size_t coded = 0;
	for (size_t i = 0; i < MANY; i++) {
		all[i].b = twin(b, arena_new());
		all[i].page = comes_with(all[i].b, "portal", str_copy(all[i].b->a, uri));
		is_at(all[i].b, all[i].page, "/login/consent");
	}
	for (size_t i = 0; i < MANY; i++)
		assert_int_equal(pthread_create(&all[i].thread, NULL, agree_at_once, &all[i]), 0);
	for (size_t i = 0; i < MANY; i++) {
		pthread_join(all[i].thread, NULL);
		coded += all[i].coded;
		arena_free(all[i].b->a);
	}
	assert_int_equal(coded, 1);
	assert_int_equal(audits(b->w, "code.issued", "ok"), 1);
}

/* ~user-rejects-authentication */
TEST(a_refusal_is_an_answer_too)
{
	struct town *t = town();
	struct browser *b = browser(t->w);
	struct str uri = request_uri_of(b, pushed(b, "portal", ""));
	is_refused(b, follow(b, submit(b, comes_with(b, "portal", uri), "/login/cancel", "")), "portal", "access_denied");
	is_over(b, comes_with(b, "portal", uri));
	uri = request_uri_of(b, pushed(b, "portal", "prompt=none"));
	is_refused(b, get(b, page_of(b, "portal", uri, "")), "portal", "login_required");
	is_over(b, comes_with(b, "portal", uri));
}

/* ~par-attempt-to-use-expired-request_uri; OAuch ParEndpoint.RequestUriTimeoutTest */
TEST(after_its_time_it_is_over_but_a_sign_in_that_began_within_goes_on)
{
	struct town *t = town();
	struct browser *b = browser(t->w);
	struct str uri = request_uri_of(b, pushed(b, "portal", "")), late = request_uri_of(b, pushed(b, "portal", ""));
	pass(t->w, 59);
	struct res *rs = comes_with(b, "portal", uri);
	is_at(b, rs, "/login");
	pass(t->w, 2);
	is_over(b, comes_with(browser(t->w), "portal", late));
	pass(t->w, 300);
	rs = sign_in(b, rs, t->an);
	is_code(b, follow(b, submit(b, rs, "/login/consent", "decision=allow")), "portal");
}

/* ~par-attempt-to-use-request_uri-for-different-client; SEC-03; OAuch ParEndpoint.IsClientBoundToUriTest */
TEST(another_client_cannot_use_it_and_does_not_spoil_it)
{
	struct browser *b = known();
	struct str uri = request_uri_of(b, pushed(b, "portal", ""));
	is_over(b, comes_with(b, "tax", uri));
	is_page(comes_with(b, "nobody", uri), 400);
	is_page(visit(b, str_fmt(b->a, "/authorize?request_uri=%s", enc(b->w, uri).p)), 400);
	is_code(b, comes_with(b, "portal", uri), "portal");
}

TEST(a_request_uri_that_was_never_given_out_is_over)
{
	struct browser *b = known();
	struct str uri = request_uri_of(b, pushed(b, "portal", ""));
	for (size_t n = strlen("urn:ietf:params:oauth:request_uri:"); n < uri.n; n++)
		is_over(b, comes_with(b, "portal", str_dup(b->a, uri.p, n)));
	is_over(b, comes_with(b, "portal", str_fmt(b->a, "%sA", uri.p)));
	is_over(b, comes_with(b, "portal", str_fmt(b->a, "%.*s!", (int)uri.n - 1, uri.p)));
	is_code(b, comes_with(b, "portal", uri), "portal");
}

/* ---- who may push -------------------------------------------------------------------------------------------------------- */

static const char ASSERTED[] = "&client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer&client_assertion=";

static struct res *bank_pushes(struct browser *b, const char *aud)
{
	static int n;
	struct str claims = str_fmt(b->a, "{\"iss\":\"bank\",\"sub\":\"bank\",\"aud\":\"%s\",\"exp\":%lld,\"jti\":\"par-%d\"}", aud, (long long)b->w->now + 60, n++);
	return sends(b, "", "bank", str_fmt(b->a, "%s%s", ASSERTED + 1, signed_by(b->w, b->w->bank_key, "JWT", claims.p).p).p);
}

TEST(every_way_of_client_authentication_works_here)
{
	struct browser *b = known();
	struct str post = str_fmt(b->a, "client_secret=%s", enc(b->w, secret_of(b->w, "post")).p);
	is_code(b, comes_with(b, "portal", request_uri_of(b, pushed(b, "portal", "!client_id"))), "portal");
	is_code(b, comes_with(b, "post", request_uri_of(b, sends(b, "", "post", post.p))), "post");
	is_code(b, comes_with(b, "gate", request_uri_of(b, sends(b, str_fmt(b->a, "Client-Cert: :%s:\n", b->w->gate_cert.p).p, "gate", ""))), "gate");
	is_code(b, comes_with(b, "app", request_uri_of(b, sends(b, "", "app", "code_challenge=" CHALLENGE "&code_challenge_method=S256"))), "app");
	static const char *const AUDIENCES[] = { "https://id.example", "https://id.example/par", "https://id.example/token" };
	for (size_t i = 0; i < 3; i++)
		is_code(b, comes_with(b, "bank", request_uri_of(b, bank_pushes(b, AUDIENCES[i]))), "bank");
	is_fault(bank_pushes(b, "https://id.example/authorize"), INVALID_CLIENT);
}

/* OAuch ParEndpoint.IsParAuthenticationRequiredTest, AuthEndpoint.ClientIdsCorrespondTest */
TEST(who_does_not_prove_itself_pushes_nothing)
{
	struct browser *b = known();
	is_fault(sends(b, "", "portal", ""), INVALID_CLIENT);
	is_fault(sends(b, "", "nobody", ""), INVALID_CLIENT);
	is_fault(sends(b, as(b->w, "tax").p, "portal", ""), INVALID_REQUEST);
	is_fault(sends(b, "Authorization: Basic cG9ydGFsOng=\n", "portal", ""), INVALID_CLIENT);
	is_fault(sends(b, "", "bank", ""), INVALID_CLIENT);
	assert_int_equal(audits(b->w, "request.refused", "invalid_client"), 4);
}

TEST(a_public_client_leaves_no_more_than_its_address_may)
{
	struct browser *b = known();
	b->w->conf.attempts_per_address = 2;
	for (int i = 0; i < 8; i++)
		is_status(sends(b, "", "app", "code_challenge=" CHALLENGE "&code_challenge_method=S256"), 201);
	is_fault(sends(b, "", "app", "code_challenge=" CHALLENGE "&code_challenge_method=S256"), TOO_MANY_REQUESTS);
	is_status(pushed(b, "portal", ""), 201);
}

/* ---- what is refused ------------------------------------------------------------------------------------------------------- */

/* ~par-authorization-request-containing-request_uri-form-param, ~ensure-response-type-code-idtoken-fails, ~ensure-response-type-token-fails,
 * ~ensure-redirect-uri-in-authorization-request, ~plain-fapi-ensure-registered-redirect-uri, ~par-plain-pkce-rejected; OAuch ParEndpoint.AcceptsNewRedirectUriTest
 * and RequiresNewRedirectUriAuthTest: a redirect_uri that is not registered is not taken here either */
TEST(what_is_wrong_is_said_at_once_and_as_json)
{
	static const struct { const char *more; const struct err_kind *kind; } WRONG[] = {
		{ "request_uri=urn%3Aietf%3Aparams%3Aoauth%3Arequest_uri%3Ax", &INVALID_REQUEST }, { "request_uri=https%3A%2F%2Fportal.example%2Fr", &INVALID_REQUEST }, { "request_uri=", &INVALID_REQUEST },
		{ "response_type=code%20id_token", &UNSUPPORTED_RESPONSE_TYPE }, { "response_type=token", &UNSUPPORTED_RESPONSE_TYPE }, { "!response_type", &INVALID_REQUEST },
		{ "!redirect_uri", &INVALID_REQUEST }, { "redirect_uri=https%3A%2F%2Fevil.example%2F", &INVALID_REQUEST }, { "redirect_uri=https%3A%2F%2Fportal.example%2Fcb%2F", &INVALID_REQUEST },
		{ "code_challenge=" CHALLENGE "&code_challenge_method=plain", &INVALID_REQUEST }, { "code_challenge=" CHALLENGE, &INVALID_REQUEST },
		{ "scope=unheard-of", &INVALID_SCOPE }, { "prompt=none%20login", &INVALID_REQUEST }, { "max_age=-1", &INVALID_REQUEST }, { "claims=%7B", &INVALID_REQUEST },
		{ "response_mode=fragment", &INVALID_REQUEST }, { "id_token_hint=x", &INVALID_REQUEST }, { "state=a&state=b", &INVALID_REQUEST },
	};
	struct browser *b = known();
	for (size_t i = 0; i < sizeof WRONG / sizeof *WRONG; i++) {
		struct res *rs = pushed(b, "portal", WRONG[i].more);
		is_fault(rs, *WRONG[i].kind);
		assert_str(rs->type, "application/json");
	}
	is_fault(sends(b, "", "app", ""), INVALID_REQUEST);
}

/* ~par-attempt-invalid-http-method */
TEST(only_post_pushes)
{
	struct browser *b = known();
	static const char *const METHODS[] = { "GET", "PUT", "DELETE", "PATCH" };
	for (size_t i = 0; i < 4; i++) {
		struct res *rs = ask(b->w, METHODS[i], "/par", as(b->w, "portal").p, "");
		is_status(rs, 405);
		assert_str(res_head(rs, "Allow"), "POST");
	}
	is_fault(ask(b->w, "POST", str_fmt(b->a, "/par?%s", usual(b->a, "portal", "").p).p, as(b->w, "portal").p, ""), INVALID_REQUEST);
}

/* ~ensure-unsigned-authorization-request-without-using-par-fails; OAuch ParEndpoint.IsParRequiredTest */
TEST(a_client_that_must_push_is_heard_no_other_way)
{
	struct browser *b = known();
	world_client(b->w, "strict", "client_secret_basic", ",\"require_pushed_authorization_requests\":true");
	agrees(b->w, "strict", "openid");
	is_refused(b, authorize(b, "strict", ""), "strict", "invalid_request");
	is_code(b, comes_with(b, "strict", request_uri_of(b, pushed(b, "strict", ""))), "strict");
}
