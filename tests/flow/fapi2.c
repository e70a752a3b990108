#include "fapi.h"
#include "oauth.h"
#include "rand.h"

/* FAPI 2.0 Security Profile (final), as its plan sees us. Names in ~ are its modules, without their prefix. */

static struct browser *here(void)
{
	struct browser *b = browser(town()->w);
	is_signed_in(b);
	return b;
}

#define SECURITY "fapi2-security-2026"

static struct res *code_of(struct browser *b, const struct firm *f, const char *more)
{
	struct res *rs = comes_with(b, f->id, request_uri_of(b, pushes_usual(b, f, more)));
	is_code(b, rs, f->id);
	return rs;
}

/* ~happy-flow: an ID token signed by other than RS256, a token that is good with the key it is bound to and no other */
TEST(a_client_of_the_profile_pushes_is_answered_and_uses_its_token)
{
	struct browser *b = here();
	struct firm f = firm(b->w, "firm", SECURITY, "PS256", "");
	struct res *rs = redeems(b, &f, heard(b, code_of(b, &f, "nonce=n-1"), "code"), "");
	is_tokens(b->w, rs);
	assert_str(json_text(claims_of(b->w, told(b->w, rs, "id_token")), "nonce"), "n-1");
	struct str bearer = str_fmt(b->a, "Authorization: bEARER %s\n", told(b->w, rs, "access_token").p);
	is_status(ask(b->w, "GET", "/userinfo", str_fmt(b->a, "%s%s", bearer.p, f.cert).p, ""), 200);
	is_fault(ask(b->w, "GET", "/userinfo", bearer.p, ""), INVALID_TOKEN);
	assert_true(ask(b->w, "GET", str_fmt(b->a, "/userinfo?access_token=%s", told(b->w, rs, "access_token").p).p, f.cert, "")->status == 401);
}

/* its second client: a registered query comes back beside the answer */
TEST(a_redirect_uri_with_a_query_of_its_own_keeps_it)
{
	struct browser *b = here();
	struct firm f = firm(b->w, "firm", SECURITY, "EdDSA", "");
	struct str to = res_head(code_of(b, &f, "redirect_uri=https%3A%2F%2Ffirm.example%2Fcb%3Fx%3D1"), "Location");
	assert_true(str_starts(to, S("https://firm.example/cb?x=1&code=")));
}

/* openid=plain_oauth */
TEST(without_openid_there_is_no_id_token)
{
	struct browser *b = here();
	struct firm f = firm(b->w, "firm", SECURITY, "ES256", "");
	struct res *rs = redeems(b, &f, heard(b, code_of(b, &f, "scope=email"), "code"), "");
	is_tokens(b->w, rs);
	assert_null(json_object_get(json_of(b->w, rs), "id_token"));
}

/* ~ensure-unsigned-authorization-request-without-using-par-fails, ~ensure-response-type-code-idtoken-fails, ~ensure-response-type-token-fails,
 * ~ensure-redirect-uri-in-authorization-request, ~par-ensure-pkce-required, ~par-plain-pkce-rejected */
TEST(what_the_profile_asks_of_a_request_is_asked)
{
	struct browser *b = here();
	struct firm f = firm(b->w, "firm", SECURITY, "ES256", "");
	is_refused(b, authorize(b, "firm", "code_challenge=" CHALLENGE "&code_challenge_method=S256"), "firm", "invalid_request");
	is_fault(pushes_usual(b, &f, "response_type=code%20id_token"), UNSUPPORTED_RESPONSE_TYPE);
	is_fault(pushes_usual(b, &f, "response_type=token"), UNSUPPORTED_RESPONSE_TYPE);
	is_fault(pushes_usual(b, &f, "!redirect_uri"), INVALID_REQUEST);
	is_fault(pushes_usual(b, &f, "redirect_uri=https%3A%2F%2Ffirm.example%2Fcb%2Funregistered"), INVALID_REQUEST);
	is_fault(pushes_form(b, &f, usual(b->a, "firm", "").p), INVALID_REQUEST);
	is_fault(pushes_form(b, &f, usual(b->a, "firm", "code_challenge=" VERIFIER "&code_challenge_method=plain").p), INVALID_REQUEST);
	is_fault(pushes_form(b, &f, usual(b->a, "firm", "code_challenge=" CHALLENGE).p), INVALID_REQUEST);
}

/* ---- client assertions ----------------------------------------------------------------------------------------------------- */

struct wish { const char *aud, *extra; int exp; bool no_sub; struct signer *by; };

static struct res *asserts(struct browser *b, const struct firm *f, const char *path, const char *form, struct wish x)
{
	struct str claims = str_fmt(b->a, "{\"iss\":\"%s\",%s%s%s\"aud\":%s,\"exp\":%lld,\"jti\":\"%s\"%s}", f->id, x.no_sub ? "" : "\"sub\":\"", x.no_sub ? "" : f->id, x.no_sub ? "" : "\",",
	                            x.aud ? x.aud : "\"https://id.example\"", (long long)b->w->now + (x.exp ? x.exp : 60), rand_token(b->a).p, x.extra ? x.extra : "");
	return ask_in(b->w, b->a, "POST", path, f->cert, str_fmt(b->a, "%s&client_assertion_type=urn%%3Aietf%%3Aparams%%3Aoauth%%3Aclient-assertion-type%%3Ajwt-bearer&client_assertion=%s",
	              form, signed_by(b->w, x.by ? x.by : f->key, "JWT", claims.p).p).p);
}

/* ~par-test-array-as-audience-fails, ~par-test-par-endpoint-url-as-audience-fails, ~par-test-token-endpoint-url-as-audience-fails,
 * ~par-ensure-jwt-client-assertions-nbf-over-60-seconds-in-the-future-fails, ~ensure-client-assertion-in-token-endpoint and its kin with RS256, exp, aud, sub */
TEST(an_assertion_names_the_issuer_and_nothing_else_is_in_time_and_signed_as_the_profile_says)
{
	struct browser *b = here();
	struct signer *rsa = key_of(b->w, "RS256", "firm-rsa");
	struct signer *key = key_of(b->w, "PS256", "firm-1");
	world_client(b->w, "firm", "private_key_jwt", str_fmt(b->a, ",\"profile\":\"" SECURITY "\",\"jwks\":{\"keys\":[%s,%s]}", signer_public_jwk(key).p, signer_public_jwk(rsa).p).p);
	struct firm f = { "firm", key, str_fmt(b->a, "Client-Cert: :%s:\n", b->w->gate_cert.p).p };
	const char *pushed = usual(b->a, "firm", "code_challenge=" CHALLENGE "&code_challenge_method=S256").p;
	const struct wish WRONG[] = {
		{ .aud = "[\"https://id.example\"]" }, { .aud = "\"https://id.example/par\"" }, { .aud = "\"https://id.example/token\"" }, { .aud = "\"https://id.example/\"" },
		{ .aud = "\"https://else.example\"" }, { .exp = -300 }, { .no_sub = true }, { .by = rsa },
		{ .extra = str_fmt(b->a, ",\"nbf\":%lld", (long long)b->w->now + 62).p }, { .extra = str_fmt(b->a, ",\"iat\":%lld", (long long)b->w->now + 62).p },
	};
	for (size_t i = 0; i < sizeof WRONG / sizeof *WRONG; i++) {
		is_fault(asserts(b, &f, "/par", pushed, WRONG[i]), WRONG[i].no_sub ? INVALID_REQUEST : INVALID_CLIENT);      /* client_id beside nobody's assertion */
		is_fault(asserts(b, &f, "/token", "grant_type=authorization_code&code=x", WRONG[i]), INVALID_CLIENT);
	}
	is_fault(ask(b->w, "POST", "/token", f.cert, "grant_type=authorization_code&code=x&client_id=firm"), INVALID_CLIENT);
	/* ~par-ensure-jwt-client-assertions-nbf-8-seconds-in-the-future-is-accepted */
	is_status(asserts(b, &f, "/par", pushed, (struct wish){ .extra = str_fmt(b->a, ",\"nbf\":%lld", (long long)b->w->now + 8).p }), 201);
	is_status(asserts(b, &f, "/par", pushed, (struct wish){ 0 }), 201);
}

/* ---- the token endpoint -------------------------------------------------------------------------------------------------------- */

static struct res *without(struct browser *b, const struct firm *f, struct str code, const char *verifier)
{
	return ask_in(b->w, b->a, "POST", "/token", f->cert, str_fmt(b->a, "grant_type=authorization_code&code=%s&redirect_uri=https%%3A%%2F%%2F%s.example%%2Fcb%s%s",
	              code.p, f->id, verifier, assertion_of(b, f).p).p);
}

/* ~ensure-pkce-code-verifier-required, ~incorrect-pkce-code-verifier-rejected, ~ensure-authorization-code-is-bound-to-client, ~attempt-reuse-authorization-code-after-one-second,
 * ~ensure-token-endpoint-fails-with-expired-auth-code, ~ensure-holder-of-key-required, ~ensure-client-id-in-token-endpoint */
TEST(a_code_is_good_once_soon_with_its_verifier_for_its_client_and_over_a_bound_connection)
{
	struct browser *b = here();
	struct firm f = firm(b->w, "firm", SECURITY, "ES256", ""), other = firm(b->w, "other", SECURITY, "ES256", ""), bare = { "firm", f.key, "" };
	struct str code = heard(b, code_of(b, &f, ""), "code");
	is_fault(without(b, &f, code, ""), INVALID_GRANT);
	is_fault(without(b, &f, code, "&code_verifier=" CHALLENGE), INVALID_GRANT);
	is_fault(redeems(b, &other, code, ""), INVALID_GRANT);
	is_fault(redeems(b, &f, code, "&client_id=other"), INVALID_REQUEST);
	is_fault(redeems(b, &bare, code, ""), INVALID_REQUEST);
	is_tokens(b->w, redeems(b, &f, code, ""));
	pass(b->w, 1);
	is_fault(redeems(b, &f, code, ""), INVALID_GRANT);
	code = heard(b, code_of(b, &f, ""), "code");
	pass(b->w, 62);
	is_fault(redeems(b, &f, code, ""), INVALID_GRANT);
}

static struct res *refreshes(struct browser *b, const struct firm *f, struct str token)
{
	return ask_in(b->w, b->a, "POST", "/token", f->cert, str_fmt(b->a, "grant_type=refresh_token&refresh_token=%s%s", token.p, assertion_of(b, f).p).p);
}

/* ~refresh-token */
TEST(a_refresh_token_stays_good_and_is_for_its_client)
{
	struct browser *b = here();
	struct firm f = firm(b->w, "firm", SECURITY, "ES256", ""), other = firm(b->w, "other", SECURITY, "ES256", ""), bare = { "firm", f.key, "" };
	struct str token = told(b->w, redeems(b, &f, heard(b, code_of(b, &f, "scope=openid%20offline_access"), "code"), ""), "refresh_token");
	for (int i = 0; i < 3; i++) {
		struct res *rs = refreshes(b, &f, token);
		is_tokens(b->w, rs);
		assert_int_equal(told(b->w, rs, "refresh_token").n, 0);
		pass(b->w, 3600);
	}
	is_fault(refreshes(b, &other, token), INVALID_GRANT);
	is_fault(refreshes(b, &bare, token), INVALID_REQUEST);
	is_fault(ask(b->w, "POST", "/token", f.cert, str_fmt(b->a, "grant_type=refresh_token&client_id=firm&refresh_token=%s", token.p).p), INVALID_CLIENT);
}

/* ---- what is registered and published ------------------------------------------------------------------------------------------- */

TEST(a_registration_that_the_profile_does_not_allow_is_refused)
{
	struct arena *a = arena_new();
	struct client c;
	static const char *const BAD[] = {
		"\"token_endpoint_auth_method\":\"client_secret_basic\",\"client_secret_hash\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"", "\"token_endpoint_auth_method\":\"none\"",
		"\"token_endpoint_auth_method\":\"tls_client_auth\",\"tls_client_auth_subject_dn\":\"CN=x\",\"id_token_signed_response_alg\":\"RS256\"",
		"\"token_endpoint_auth_method\":\"tls_client_auth\",\"tls_client_auth_subject_dn\":\"CN=x\",\"request_object_signing_alg\":\"RS256\"",
		"\"token_endpoint_auth_method\":\"tls_client_auth\",\"tls_client_auth_subject_dn\":\"CN=x\",\"require_signed_request_object\":true",
	};
	for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++)
		fails(client_parse(a, S("x"), str_fmt(a, "{\"profile\":\"" SECURITY "\",\"redirect_uris\":[\"https://x.example/cb\"],%s}", BAD[i]), &c), BAD_CONFIG);
	fine(client_parse(a, S("x"), S("{\"profile\":\"" SECURITY "\",\"redirect_uris\":[\"https://x.example/cb\"],\"token_endpoint_auth_method\":\"tls_client_auth\",\"tls_client_auth_subject_dn\":\"CN=x\"}"), &c));
	assert_true(c.require_par && c.require_pkce && !c.rotate_refresh && !c.require_signed);
	assert_str(c.id_token.sign, "ES256");
	arena_free(a);
}

static bool has(const json_t *o, const char *list, const char *word)
{
	size_t i;
	json_t *v;
	json_array_foreach(json_object_get(o, list), i, v)
		if (strcmp(json_string_value(v), word) == 0)
			return true;
	return false;
}

/* ~discovery-end-point-verification, with every variant of it */
TEST(discovery_has_what_the_plan_looks_for)
{
	struct world *w = town()->w;
	json_t *o = json_of(w, ask(w, "GET", "/.well-known/openid-configuration", "", ""));
	static const char *const HAS[][2] = {
		{ "response_types_supported", "code" }, { "id_token_signing_alg_values_supported", "PS256" }, { "id_token_signing_alg_values_supported", "ES256" },
		{ "id_token_signing_alg_values_supported", "EdDSA" }, { "token_endpoint_auth_methods_supported", "private_key_jwt" }, { "token_endpoint_auth_methods_supported", "tls_client_auth" },
		{ "token_endpoint_auth_signing_alg_values_supported", "PS256" }, { "code_challenge_methods_supported", "S256" }, { "grant_types_supported", "authorization_code" },
		{ "response_modes_supported", "jwt" }, { "authorization_signing_alg_values_supported", "PS256" }, { "request_object_signing_alg_values_supported", "PS256" },
	};
	for (size_t i = 0; i < sizeof HAS / sizeof *HAS; i++)
		if (!has(o, HAS[i][0], HAS[i][1]))
			fail_msg("%s has no %s", HAS[i][0], HAS[i][1]);
	assert_str(json_text(o, "pushed_authorization_request_endpoint"), "https://id.example/par");
	assert_true(json_is_boolean(json_object_get(o, "require_pushed_authorization_requests")));
	assert_true(json_is_true(json_object_get(o, "authorization_response_iss_parameter_supported")));
	assert_true(json_is_true(json_object_get(o, "tls_client_certificate_bound_access_tokens")));
	assert_true(json_is_true(json_object_get(o, "request_parameter_supported")));
	assert_false(has(o, "request_object_signing_alg_values_supported", "none"));
	assert_null(json_object_get(json_object_get(o, "mtls_endpoint_aliases"), "authorization_endpoint"));
	assert_str(json_text(json_object_get(o, "mtls_endpoint_aliases"), "pushed_authorization_request_endpoint"), "https://cert.id.example/par");
}
