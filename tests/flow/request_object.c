#include "fapi.h"
#include "code.h"
#include "fake.h"
#include <stdlib.h>

/* Signed authorization requests: RFC 9101, OpenID Connect Core section 6. Names in ~ are modules of the FAPI 2.0 plans, without their prefix. */

static struct browser *here(void)
{
	struct browser *b = browser(town()->w);
	is_signed_in(b);
	return b;
}

#define SIGNING "fapi2-message-signing-2026"

/* Claims with times relative to the world's clock. */
#define at(fmt, ...) str_fmt(b->a, fmt, __VA_ARGS__).p
static long long in(const struct browser *b, int seconds) { return (long long)b->w->now + seconds; }

/* ---- pushed ------------------------------------------------------------------------------------------------------------ */

/* ~happy-flow with fapi_request_method=signed_non_repudiation; ~ensure-request-object-with-multiple-aud-succeeds,
 * ~ensure-request-object-with-nbf-8-seconds-in-the-future-is-accepted; OAuch DocumentSupport.RFC9101SupportedTest */
TEST(a_signed_request_is_pushed_and_answered)
{
	struct browser *b = here();
	struct firm f = firm(b->w, "firm", SIGNING, "ES256", "");
	const struct { const char *typ, *claims; } GOOD[] = {
		{ "", "{}" }, { "oauth-authz-req+jwt", "{}" }, { "", "{\"aud\":[\"https://else.example\",\"https://id.example\"]}" },
		{ "", at("{\"nbf\":%lld}", in(b, 8)) }, { "", at("{\"nbf\":%lld,\"exp\":%lld}", in(b, -3500), in(b, 60)) }, { "", at("{\"exp\":%lld}", in(b, 3600)) },
		{ "", at("{\"iat\":%lld,\"jti\":\"x\"}", in(b, 0)) }, { "", "{\"!client_id\":0}" }, { "", "{\"unheard-of\":\"x\",\"max_age\":10000}" },
	};
	for (size_t i = 0; i < sizeof GOOD / sizeof *GOOD; i++) {
		struct res *rs = pushes_object(b, &f, object_of(b, &f, GOOD[i].typ, GOOD[i].claims));
		if (rs->status != 201)
			fail_msg("%s: %s", GOOD[i].claims, rs->body.p);
		rs = comes_with(b, "firm", request_uri_of(b, rs));
		is_code(b, rs, "firm");
		assert_str(heard(b, rs, "state"), "s-1");
		is_tokens(b->w, redeems(b, &f, heard(b, rs, "code"), ""));
	}
}

/* ~ensure-request-object-without-exp-fails, -without-nbf-fails, ~ensure-expired-request-object-fails, -with-bad-aud-fails, -with-exp-over-60-fails,
 * -with-nbf-over-60-fails, ~par-authorization-request-containing-request_uri; OAuch AuthEndpoint.ClientIdsCorrespondTest */
TEST(a_signed_request_with_one_thing_wrong_is_refused)
{
	struct browser *b = here();
	struct firm f = firm(b->w, "firm", SIGNING, "ES256", "");
	const char *const WRONG[] = {
		"{\"!exp\":0}", "{\"!nbf\":0}", "{\"!iss\":0}", "{\"!aud\":0}",
		at("{\"exp\":%lld}", in(b, -300)), at("{\"exp\":%lld}", in(b, -31)), at("{\"exp\":%lld}", in(b, 4200)), at("{\"exp\":%lld}", in(b, 3601)),
		at("{\"nbf\":%lld,\"exp\":%lld}", in(b, -4200), in(b, -300)), at("{\"nbf\":%lld}", in(b, -4200)), at("{\"nbf\":%lld}", in(b, -3601)),
		at("{\"nbf\":%lld}", in(b, 60)), at("{\"iat\":%lld}", in(b, 60)), "{\"exp\":\"soon\"}", "{\"nbf\":1.5}", "{\"exp\":4000000000}",
		"{\"aud\":\"https://else.example\"}", "{\"aud\":\"https://id.example/\"}", "{\"aud\":\"https://id.example/par\"}", "{\"aud\":[]}", "{\"aud\":7}",
		"{\"iss\":\"portal\"}", "{\"iss\":\"\"}", "{\"client_id\":\"portal\"}", "{\"client_id\":7}", "{\"sub\":\"firm\"}",
		"{\"request_uri\":\"urn:ietf:params:oauth:request_uri:x\"}", "{\"request_uri\":\"https://firm.example/r\"}", "{\"request\":\"x.y.z\"}",
		"{\"state\":null}", "{\"state\":true}", "{\"max_age\":1.5}", "{\"state\":\"a\\u0001b\"}", "{\"\":\"x\"}",
	};
	for (size_t i = 0; i < sizeof WRONG / sizeof *WRONG; i++) {
		struct res *rs = pushes_object(b, &f, object_of(b, &f, "", WRONG[i]));
		if (rs->status != 400 || !strstr(rs->body.p, "\"invalid_request_object\""))
			fail_msg("%s: %d %s", WRONG[i], rs->status, rs->body.p);
	}
	static const char *const TYPS[] = { "JWT", "at+jwt", "client-authentication+jwt", "oauth-authz-req" };
	for (size_t i = 0; i < sizeof TYPS / sizeof *TYPS; i++)
		is_fault(pushes_object(b, &f, object_of(b, &f, TYPS[i], "{}")), INVALID_REQUEST_OBJECT);
	is_status(pushes_object(b, &f, object_of(b, &f, "", "{}")), 201);
}

/* What is wrong with the request itself is said as if it had come unsigned: ~ensure-redirect-uri-in-authorization-request,
 * ~ensure-request-object-without-redirect-uri-fails, ~par-ensure-pkce-required, ~par-plain-pkce-rejected, ~ensure-response-type-token-fails */
TEST(what_is_asked_for_in_a_signed_request_is_checked_like_any_other)
{
	struct browser *b = here();
	struct firm f = firm(b->w, "firm", SIGNING, "ES256", "");
	static const struct { const char *claims; const struct err_kind *kind; } WRONG[] = {
		{ "{\"!redirect_uri\":0}", &INVALID_REQUEST }, { "{\"redirect_uri\":\"https://firm.example/cb/x\"}", &INVALID_REQUEST }, { "{\"!code_challenge\":0,\"!code_challenge_method\":0}", &INVALID_REQUEST },
		{ "{\"code_challenge_method\":\"plain\"}", &INVALID_REQUEST }, { "{\"!response_type\":0}", &INVALID_REQUEST }, { "{\"response_type\":\"code id_token\"}", &UNSUPPORTED_RESPONSE_TYPE },
		{ "{\"response_type\":\"token\"}", &UNSUPPORTED_RESPONSE_TYPE }, { "{\"scope\":\"unheard-of\"}", &INVALID_SCOPE }, { "{\"max_age\":-1}", &INVALID_REQUEST },
		{ "{\"response_mode\":\"fragment\"}", &INVALID_REQUEST },
	};
	for (size_t i = 0; i < sizeof WRONG / sizeof *WRONG; i++)
		is_fault(pushes_object(b, &f, object_of(b, &f, "", WRONG[i].claims)), *WRONG[i].kind);
}

/* ~ensure-signed-request-object-with-RS256-fails, ~ensure-request-object-signature-algorithm-is-not-none, ~ensure-request-object-with-invalid-signature-fails,
 * ~ensure-matching-key-in-authorization-request; SEC-11; OAuch AuthEndpoint.IsJarSignatureCheckedTest, AuthEndpoint.IsJarSignatureRequiredTest */
TEST(only_the_clients_own_key_signs_by_an_algorithm_of_its_profile)
{
	struct browser *b = here();
	struct signer *rsa = key_of(b->w, "RS256", "rsa");
	struct firm f = firm(b->w, "firm", SIGNING, "ES256", ""), other = firm(b->w, "other", SIGNING, "EdDSA", "");
	world_client(b->w, "both", "private_key_jwt", str_fmt(b->a, ",\"profile\":\"" SIGNING "\",\"jwks\":{\"keys\":[%s,%s]}",
	             signer_public_jwk(f.key).p, signer_public_jwk(rsa).p).p);
	struct firm by_rsa = { "both", rsa, f.cert }, both = { "both", f.key, f.cert };
	is_fault(pushes_object(b, &both, object_of(b, &by_rsa, "", "{}")), INVALID_REQUEST_OBJECT);
	is_status(pushes_object(b, &both, object_of(b, &both, "", "{}")), 201);

	struct firm forged = { "firm", other.key, f.cert };
	is_fault(pushes_object(b, &f, object_of(b, &forged, "", "{}")), INVALID_REQUEST_OBJECT);
	is_fault(pushes_object(b, &f, object_of(b, &other, "", "{}")), INVALID_REQUEST_OBJECT);

	struct str good = object_of(b, &f, "", "{}"), payload = str_dup(b->a, strchr(good.p, '.') + 1, strcspn(strchr(good.p, '.') + 1, "."));
	struct str none = str_fmt(b->a, "%s.%s.", b64url(b->a, str_bytes(S("{\"alg\":\"none\"}"))).p, payload.p);
	is_fault(pushes_object(b, &f, none), INVALID_REQUEST_OBJECT);
	is_fault(pushes_object(b, &f, str_fmt(b->a, "%sAA", none.p)), INVALID_REQUEST_OBJECT);
	char *bent = arena_alloc(b->a, good.n + 1);
	memcpy(bent, good.p, good.n);
	bent[good.n - 10] = bent[good.n - 10] == 'A' ? 'B' : 'A';
	is_fault(pushes_object(b, &f, str_of(bent)), INVALID_REQUEST_OBJECT);
	for (size_t n = 0; n < good.n; n += 17)
		is_fault(pushes_object(b, &f, str_dup(b->a, good.p, n)), INVALID_REQUEST_OBJECT);
	is_status(pushes_object(b, &f, good), 201);
	is_status(pushes_object(b, &other, object_of(b, &other, "", "{}")), 201);
}

/* ~ensure-unsigned-request-at-par-endpoint-fails; OAuch AuthEndpoint.IsJarRequiredTest */
TEST(who_must_sign_is_not_heard_unsigned)
{
	struct browser *b = here();
	struct firm f = firm(b->w, "firm", SIGNING, "ES256", ""), may = firm(b->w, "may", "fapi2-security-2026", "PS256", "");
	struct firm must = firm(b->w, "must", "oidc-basic-2026", "ES256", ",\"require_signed_request_object\":true");
	is_fault(pushes_usual(b, &f, ""), INVALID_REQUEST);
	is_status(pushes_usual(b, &may, ""), 201);
	is_fault(pushes_usual(b, &must, ""), INVALID_REQUEST);
	is_refused(b, authorize(b, "must", ""), "must", "invalid_request");
	is_code(b, visit(b, str_fmt(b->a, "/authorize?client_id=must&request=%s", object_of(b, &must, "", "{}").p)), "must");
	is_refused(b, authorize(b, "firm", str_fmt(b->a, "request=%s", object_of(b, &f, "", "{}").p).p), "firm", "invalid_request");      /* signed, not pushed */
}

/* ~ensure-different-state-inside-and-outside-request-object, ~ensure-different-nonce-inside-and-outside-request-object, ~state-only-outside-request-object-not-used;
 * OAuch AuthEndpoint.JarParametersInRequestTest */
TEST(for_a_strict_client_only_what_it_signed_counts)
{
	struct browser *b = here();
	struct firm f = firm(b->w, "firm", SIGNING, "ES256", "");
	struct str object = object_of(b, &f, "", "{\"!state\":0,\"nonce\":\"inner\"}");
	struct res *rs = pushes_form(b, &f, str_fmt(b->a, "client_id=firm&state=outer&nonce=outer&scope=openid%%20phone&response_mode=form_post&request=%s", object.p).p);
	rs = comes_with(b, "firm", request_uri_of(b, rs));
	is_code(b, rs, "firm");
	assert_int_equal(rs->status, 303);
	assert_int_equal(heard(b, rs, "state").n, 0);
	rs = redeems(b, &f, heard(b, rs, "code"), "");
	assert_str(told(b->w, rs, "scope"), "openid");
	assert_str(json_text(claims_of(b->w, told(b->w, rs, "id_token")), "nonce"), "inner");
}

/* ---- by the browser: OpenID Connect Core section 6.1 ------------------------------------------------------------------------ */

/* oidcc-ensure-request-object-with-redirect-uri; OAuch AuthEndpoint.IsJarSupportedTest */
TEST(what_is_in_the_object_supersedes_what_stands_beside_it)
{
	struct browser *b = here();
	struct firm f = firm(b->w, "firm", "oidc-basic-2026", "RS256", "");
	struct str object = object_of(b, &f, "", "{\"state\":\"inner\",\"!nbf\":0,\"!exp\":0,\"max_age\":10000,\"claims\":{\"userinfo\":{\"email\":null}}}");
	struct res *rs = authorize(b, "firm", str_fmt(b->a, "redirect_uri=https%%3A%%2F%%2Fevil.example%%2F&state=outer&nonce=outer&request=%s", object.p).p);
	is_code(b, rs, "firm");
	assert_str(heard(b, rs, "state"), "inner");
	rs = redeems(b, &f, heard(b, rs, "code"), "");
	json_t *claims = claims_of(b->w, told(b->w, rs, "id_token"));
	assert_str(json_text(claims, "nonce"), "outer");
	assert_non_null(json_object_get(claims, "auth_time"));
	rs = ask(b->w, "GET", "/userinfo", str_fmt(b->a, "Authorization: Bearer %s\n%s", told(b->w, rs, "access_token").p, f.cert).p, "");
	assert_str(told(b->w, rs, "email"), "an@example.vn");
	is_code(b, follow(b, go(b, "POST", S("/authorize"), str_fmt(b->a, "client_id=firm&request=%s", object.p).p)), "firm");
}

TEST(an_object_that_counts_for_nothing_is_told_where_it_is_safe)
{
	struct browser *b = here();
	struct firm f = firm(b->w, "firm", "oidc-basic-2026", "RS256", ""), other = firm(b->w, "other", "oidc-basic-2026", "ES256", "");
	struct firm forged = { "firm", other.key, f.cert };
	struct str bad = object_of(b, &forged, "", "{}");
	is_refused(b, authorize(b, "firm", str_fmt(b->a, "request=%s", bad.p).p), "firm", "invalid_request_object");
	is_refused(b, authorize(b, "firm", "request="), "firm", "invalid_request_object");
	is_refused(b, authorize(b, "firm", str_fmt(b->a, "request=%s&request_uri=https%%3A%%2F%%2Ffirm.example%%2Fr", bad.p).p), "firm", "invalid_request");
	is_page(visit(b, str_fmt(b->a, "/authorize?client_id=firm&request=%s", bad.p)), 400);
	is_page(authorize(b, "firm", str_fmt(b->a, "redirect_uri=https%%3A%%2F%%2Fevil.example%%2F&request=%s", bad.p).p), 400);
	is_refused(b, authorize(b, "portal", str_fmt(b->a, "request=%s", bad.p).p), "portal", "request_not_supported");     /* it has no key */
}

TEST(a_client_may_bind_itself_to_one_algorithm)
{
	struct browser *b = here();
	struct signer *rsa = key_of(b->w, "RS256", "rsa");
	struct firm f = firm(b->w, "firm", "oidc-basic-2026", "ES256", "");
	world_client(b->w, "one", "private_key_jwt", str_fmt(b->a, ",\"request_object_signing_alg\":\"RS256\",\"jwks\":{\"keys\":[%s,%s]}", signer_public_jwk(f.key).p, signer_public_jwk(rsa).p).p);
	agrees(b->w, "one", "openid");
	struct firm right = { "one", rsa, "" }, wrong = { "one", f.key, "" };
	is_code(b, authorize(b, "one", str_fmt(b->a, "request=%s", object_of(b, &right, "", "{}").p).p), "one");
	is_refused(b, authorize(b, "one", str_fmt(b->a, "request=%s", object_of(b, &wrong, "", "{}").p).p), "one", "invalid_request_object");
}

/* ---- by reference: section 6.2 ---------------------------------------------------------------------------------------------------- */

static struct { struct fake *server; char object[16384]; int status; } site;

static bool serves(struct arena *a, const struct fake_request *rq)
{
	bool keys = str_starts(rq->head, S("GET /jwks ")), object = str_starts(rq->head, S("GET /r.jwt "));
	return fake_answer(rq->fd, keys || object ? site.status : 404, keys ? S("application/json") : S("application/oauth-authz-req+jwt"), str_copy(a, str_of(site.object)));
}

static void site_close(void) { fake_close(site.server); }

static struct str site_serves(struct browser *b, int status, struct str object)
{
	if (!site.server) {
		site.server = fake_open(serves, NULL);
		atexit(site_close);
	}
	b->w->conf.outgoing_networks = S("127.0.0.0/8");
	site.status = status;
	assert_true(object.n < sizeof site.object);
	memcpy(site.object, object.p, object.n + 1);
	return str_fmt(b->a, "http://127.0.0.1:%d/r.jwt", fake_port(site.server));
}

static struct res *refers(struct browser *b, const char *client, struct str uri)
{
	return visit(b, str_fmt(b->a, "/authorize?client_id=%s&response_type=code&scope=openid&request_uri=%s", client, enc(b->w, uri).p));
}

/* oidcc-request-uri-signed-rs256 */
TEST(a_signed_request_is_fetched_from_where_the_client_registered_it)
{
	struct browser *b = here();
	struct str at = site_serves(b, 200, S(""));
	struct firm f = firm(b->w, "firm", "oidc-basic-2026", "RS256", str_fmt(b->a, ",\"request_uris\":[\"%s\",\"https://firm.example/r#x\"]", at.p).p);
	site_serves(b, 200, object_of(b, &f, "", "{\"state\":\"fetched\"}"));
	struct res *rs = refers(b, "firm", at);
	is_code(b, rs, "firm");
	assert_str(heard(b, rs, "state"), "fetched");
	is_code(b, refers(b, "firm", str_fmt(b->a, "%s#47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU", at.p)), "firm");
}

/* SEC-29 */
TEST(nothing_is_fetched_from_anywhere_else)
{
	struct browser *b = here();
	struct str at = site_serves(b, 200, S(""));
	struct firm f = firm(b->w, "firm", "oidc-basic-2026", "RS256", str_fmt(b->a, ",\"request_uris\":[\"%s\"]", at.p).p);
	site_serves(b, 200, object_of(b, &f, "", "{}"));
	int before = fake_connections(site.server);
	is_over(b, refers(b, "firm", str_fmt(b->a, "%s?x=1", at.p)));
	is_over(b, refers(b, "firm", str_fmt(b->a, "%sx", at.p)));
	is_over(b, refers(b, "firm", S("http://169.254.169.254/latest")));
	is_over(b, refers(b, "firm", S("file:///etc/passwd")));
	is_page(refers(b, "portal", at), 400);                        /* which registered none */
	is_refused(b, authorize(b, "portal", str_fmt(b->a, "request_uri=%s", enc(b->w, at).p).p), "portal", "request_uri_not_supported");
	b->w->conf.outgoing_networks = S("");
	is_over(b, refers(b, "firm", at));
	assert_int_equal(fake_connections(site.server), before);
}

TEST(what_is_not_there_or_is_no_request_object_opens_nothing)
{
	struct browser *b = here();
	struct str at = site_serves(b, 500, S(""));
	struct firm f = firm(b->w, "firm", "oidc-basic-2026", "RS256", str_fmt(b->a, ",\"request_uris\":[\"%s\"]", at.p).p), other = firm(b->w, "other", "oidc-basic-2026", "ES256", "");
	struct firm forged = { "firm", other.key, f.cert };
	is_over(b, refers(b, "firm", at));
	pass(b->w, 30);
	site_serves(b, 200, S("<html>"));
	is_page(refers(b, "firm", at), 400);
	pass(b->w, 30);
	site_serves(b, 200, object_of(b, &forged, "", "{}"));
	is_page(refers(b, "firm", at), 400);
	pass(b->w, 30);
	site_serves(b, 200, object_of(b, &f, "", "{}"));
	is_code(b, refers(b, "firm", at), "firm");
}

TEST(a_new_key_for_requests_at_the_jwks_uri_does_not_cost_the_client_its_assertion)
{
	struct browser *b = here();
	struct signer *one = key_of(b->w, "ES256", "one"), *two = key_of(b->w, "ES256", "two");
	struct str at = site_serves(b, 200, str_fmt(b->a, "{\"keys\":[%s]}", signer_public_jwk(one).p));
	world_client(b->w, "firm", "private_key_jwt", str_fmt(b->a, ",\"jwks_uri\":\"%.*sjwks\"", (int)at.n - 5, at.p).p);
	struct firm f = { "firm", one, "" }, by_two = { "firm", two, "" };
	is_status(pushes_usual(b, &f, ""), 201);
	site_serves(b, 200, str_fmt(b->a, "{\"keys\":[%s,%s]}", signer_public_jwk(one).p, signer_public_jwk(two).p));
	pass(b->w, 11);
	is_status(pushes_object(b, &f, object_of(b, &by_two, "", "{}")), 201);
}
