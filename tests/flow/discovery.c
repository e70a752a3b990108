#include "world.h"
#include <stdio.h>
#include "assurance.h"
#include "audit_of.h"
#include "jws.h"
#include "keys.h"
#include "oidc.h"
#include "profile.h"

static bool lists(const json_t *o, const char *member, const char *value)
{
	size_t i;
	json_t *v;
	json_array_foreach(json_object_get(o, member), i, v)
		if (json_is_string(v) && strcmp(json_string_value(v), value) == 0)
			return true;
	return false;
}

/* ---- metadata ------------------------------------------------------------------------------------------------------- */

/* The names registered with IANA for authorization server metadata that we use: what is not among them makes a tester warn. */
static const char KNOWN[] = " issuer authorization_endpoint token_endpoint userinfo_endpoint jwks_uri introspection_endpoint revocation_endpoint end_session_endpoint"
	" mtls_endpoint_aliases scopes_supported response_types_supported response_modes_supported grant_types_supported code_challenge_methods_supported"
	" device_authorization_endpoint backchannel_authentication_endpoint backchannel_token_delivery_modes_supported backchannel_user_code_parameter_supported"
	" backchannel_authentication_request_signing_alg_values_supported"
	" prompt_values_supported acr_values_supported display_values_supported ui_locales_supported claims_parameter_supported request_parameter_supported"
	" request_uri_parameter_supported authorization_response_iss_parameter_supported token_endpoint_auth_methods_supported"
	" token_endpoint_auth_signing_alg_values_supported introspection_endpoint_auth_methods_supported introspection_endpoint_auth_signing_alg_values_supported"
	" revocation_endpoint_auth_methods_supported revocation_endpoint_auth_signing_alg_values_supported tls_client_certificate_bound_access_tokens"
	" subject_types_supported id_token_signing_alg_values_supported userinfo_signing_alg_values_supported introspection_signing_alg_values_supported"
	" id_token_encryption_alg_values_supported id_token_encryption_enc_values_supported userinfo_encryption_alg_values_supported"
	" userinfo_encryption_enc_values_supported introspection_encryption_alg_values_supported introspection_encryption_enc_values_supported"
	" authorization_encryption_alg_values_supported authorization_encryption_enc_values_supported claim_types_supported claims_supported"
	" backchannel_logout_supported backchannel_logout_session_supported frontchannel_logout_supported frontchannel_logout_session_supported"
	" registration_endpoint pushed_authorization_request_endpoint require_pushed_authorization_requests dpop_signing_alg_values_supported"
	" authorization_details_types_supported require_request_uri_registration require_signed_request_object request_object_signing_alg_values_supported authorization_signing_alg_values_supported ";

TEST(discovery_says_what_a_provider_must_and_nothing_of_its_own)
{
	struct world *w = world();
	struct res *rs = ask(w, "GET", "/.well-known/openid-configuration", "Origin: https://app.example\n", "");
	json_t *o = json_of(w, rs), *v;
	const char *name;
	is_status(rs, 200);
	assert_str(rs->type, "application/json");
	assert_str(res_head(rs, "Access-Control-Allow-Origin"), "*");
	assert_str(res_head(rs, "Cache-Control"), "public, max-age=3600");
	assert_str(json_text(o, "issuer"), "https://id.example");
	json_object_foreach(o, name, v) {
		assert_non_null(strstr(KNOWN, str_fmt(w->a, " %s ", name).p));
		if (str_ends(str_of(name), S("_endpoint")))
			assert_true(json_is_string(v) && strncmp(json_string_value(v), "https://id.example/", 19) == 0);
	}
	assert_true(lists(o, "id_token_signing_alg_values_supported", "RS256"));
	assert_false(lists(o, "id_token_signing_alg_values_supported", "none"));
	assert_true(lists(o, "token_endpoint_auth_methods_supported", "client_secret_post"));
	assert_false(lists(o, "introspection_endpoint_auth_methods_supported", "none"));
	assert_true(lists(o, "code_challenge_methods_supported", "S256"));
	assert_false(lists(o, "code_challenge_methods_supported", "plain"));
	assert_true(lists(o, "response_modes_supported", "form_post"));
	assert_true(lists(o, "request_object_signing_alg_values_supported", "RS256"));
	assert_false(lists(o, "request_object_signing_alg_values_supported", "none"));
	assert_true(json_is_true(json_object_get(o, "authorization_response_iss_parameter_supported")));
}

TEST(both_well_known_addresses_say_the_same_and_answer_head)
{
	struct world *w = world();
	struct res *one = ask(w, "GET", "/.well-known/openid-configuration", "", ""), *two = ask(w, "GET", "/.well-known/oauth-authorization-server", "", "");
	assert_string_equal(one->body.p, two->body.p);
	is_status(ask(w, "HEAD", "/.well-known/openid-configuration", "", ""), 200);
	is_status(ask(w, "HEAD", "/.well-known/jwks.json", "", ""), 200);
	is_status(ask(w, "POST", "/.well-known/jwks.json", "", "a=b"), 405);
}

TEST(whatever_scope_grant_type_or_method_is_published_is_accepted_by_the_checks)
{
	struct world *w = world();
	json_t *o = json_of(w, ask(w, "GET", "/.well-known/openid-configuration", "", "")), *v;
	size_t i;
	json_array_foreach(json_object_get(o, "scopes_supported"), i, v)
		assert_true(scope_known(str_of(json_string_value(v))));
	assert_true(i >= 6);
	json_array_foreach(json_object_get(o, "grant_types_supported"), i, v)
		assert_true(word_in(PROFILES[0].grant_types, str_of(json_string_value(v))));
	json_array_foreach(json_object_get(o, "acr_values_supported"), i, v)
		assert_true(acr_reachable(w->conf.methods, str_of(json_string_value(v))));
	struct str scopes = strs_join(w->a, json_strs(w->a, o, "scopes_supported"), S(" "));
	assert_false(scope_known(S("admin")) || word_in(scopes, S("admin")));
}

TEST(certificates_are_offered_only_where_they_can_arrive)
{
	struct world *w = world();
	json_t *o = json_of(w, ask(w, "GET", "/.well-known/openid-configuration", "", ""));
	assert_true(lists(o, "token_endpoint_auth_methods_supported", "tls_client_auth"));
	assert_str(json_text(json_object_get(o, "mtls_endpoint_aliases"), "token_endpoint"), "https://cert.id.example/token");
	w->conf.certified = (struct strs){ 0 };
	w->conf.cert_host = S("");
	o = json_of(w, ask(w, "GET", "/.well-known/openid-configuration", "", ""));
	assert_false(lists(o, "token_endpoint_auth_methods_supported", "tls_client_auth"));
	assert_null(json_object_get(o, "mtls_endpoint_aliases"));
}

/* ---- keys -------------------------------------------------------------------------------------------------------------- */

static json_t *jwks(struct world *w) { return json_object_get(json_of(w, ask(w, "GET", "/.well-known/jwks.json", "", "")), "keys"); }

static struct str kid_in_use(struct world *w, const char *alg)
{
	struct keyring *ring;
	fine(keys_now(&w->house, w->a, &ring));
	return str_copy(w->a, signer_kid(keyring_signer(ring, str_of(alg), w->now)));
}

TEST(the_key_set_holds_public_keys_with_their_own_names)
{
	struct world *w = world();
	json_t *keys = jwks(w), *k;
	size_t i;
	assert_int_equal(json_array_size(keys), 4);
	json_array_foreach(keys, i, k) {
		assert_true(json_text(k, "kid").n > 0 && json_text(k, "alg").n > 0);
		assert_str(json_text(k, "use"), "sig");
		static const char *const PRIVATE[] = { "d", "p", "q", "dp", "dq", "qi", "k", "oth" };
		for (size_t n = 0; n < sizeof PRIVATE / sizeof *PRIVATE; n++)
			assert_null(json_object_get(k, PRIVATE[n]));
	}
	assert_string_not_equal(json_text(json_array_get(keys, 0), "kid").p, json_text(json_array_get(keys, 1), "kid").p);
	struct res *rs = ask(w, "GET", "/.well-known/jwks.json", "", "");
	assert_str(res_head(rs, "Cache-Control"), "public, max-age=3600");
	assert_str(res_head(rs, "Access-Control-Allow-Origin"), "*");
}

TEST(the_next_key_is_published_before_it_signs_and_the_old_one_outlives_what_it_signed)
{
	struct world *w = world();
	struct str old = kid_in_use(w, "ES256");
	struct str hint = told(w, redeem(w, "portal", consent(w, "portal", "openid", "")), "id_token");
	struct id_hint who;

	pass(w, 88 * 86400 - 60);                /* 90 days less two of overlap, and a little */
	assert_int_equal(json_array_size(jwks(w)), 4);
	pass(w, 61);
	assert_int_equal(json_array_size(jwks(w)), 8);
	assert_string_equal(kid_in_use(w, "ES256").p, old.p);
	pass(w, 2 * 86400);
	assert_string_not_equal(kid_in_use(w, "ES256").p, old.p);
	assert_int_equal(json_array_size(jwks(w)), 8);
	fine(id_hint_read(world_req(w), hint, &who));
	pass(w, 3600 + 300);
	assert_int_equal(json_array_size(jwks(w)), 4);
	fails(id_hint_read(world_req(w), hint, &who), INVALID_REQUEST);
}

TEST(no_copy_of_the_set_outlives_the_moment_when_a_key_that_it_lacks_begins_to_sign)
{
	static const int64_t OVERLAPS[] = { 60, 120, 600, 3600, 7200, 7210, 7220, 2 * 86400 };
	struct world *w = world();
	for (size_t i = 0; i < sizeof OVERLAPS / sizeof *OVERLAPS; i++) {
		w->conf.key_overlap = OVERLAPS[i];
		long long lives = 0;
		assert_int_equal(sscanf(res_head(ask(w, "GET", "/.well-known/jwks.json", "", ""), "Cache-Control").p, "public, max-age=%lld", &lives), 1);
		assert_in_range(lives, 1, JWKS_LIVES);
		assert_true(lives + KEYS_FRESH < OVERLAPS[i] / 2);        /* what another process shows may be that old */
	}
}

TEST(a_key_made_by_another_process_is_found_when_its_token_comes)
{
	struct world *w = world();
	struct keys *theirs, *ours = w->house.keys;
	struct str kid;
	struct jws jws;
	fine(keys_rotate(&w->house, w->a, S("ES256"), w->now, w->now + 1, &kid));
	pass(w, 1);
	fine(keys_new(&w->house, w->a, &theirs));
	w->house.keys = theirs;
	struct str token = told(w, ask(w, "POST", "/token", as(w, "portal").p, "grant_type=client_credentials"), "access_token");
	w->house.keys = ours;
	keys_free(theirs);
	fine(jws_read(w->a, token, &jws));
	assert_string_equal(jws.kid.p, kid.p);
	struct res *rs = ask(w, "POST", "/introspect", as(w, "portal").p, str_fmt(w->a, "token=%s", token.p).p);
	assert_non_null(strstr(rs->body.p, "\"active\":true"));
}

TEST(two_processes_that_start_at_once_agree_on_the_keys)
{
	struct world *w = world();
	struct keys *one, *two, *before = w->house.keys;
	struct keyring *a, *b;
	w->now += 200 * 86400;                   /* both find that new keys are long due */
	fine(keys_new(&w->house, w->a, &one));
	fine(keys_new(&w->house, w->a, &two));
	w->house.keys = one;
	fine(keys_now(&w->house, w->a, &a));
	w->house.keys = two;
	fine(keys_now(&w->house, w->a, &b));
	assert_string_equal(keyring_jwks(a, w->a, w->now).p, keyring_jwks(b, w->a, w->now).p);
	w->house.keys = before;
	keys_free(one);
	keys_free(two);
}

TEST(a_key_that_does_not_open_stops_the_start_and_not_the_service)
{
	struct world *w = world();
	struct keys *k = NULL;
	w->house.secrets.seal[0] ^= 1;
	fails(keys_new(&w->house, w->a, &k), SERVER_ERROR);
	pass(w, 6);
	is_tokens(w, ask(w, "POST", "/token", as(w, "portal").p, "grant_type=client_credentials"));
}

TEST(keys_go_on_while_the_store_is_away)
{
	struct world *w = world();
	pass(w, 6);
	breaks_at(w, 0);
	assert_int_equal(json_array_size(jwks(w)), 4);
	breaks_at(w, -1);
}

TEST(the_keeper_of_the_keys_lets_the_set_be_read_without_the_store_and_ends_when_told)
{
	struct world *w = world();
	fine(keys_keep(&w->house, w->a));
	pass(w, 6);
	breaks_at(w, 0);
	assert_int_equal(json_array_size(jwks(w)), 4);
	breaks_at(w, -1);
	world();                                 /* waits for the thread's end */
}

TEST(unknown_kids_are_looked_up_once_a_second_at_most)
{
	struct world *w = world();
	struct str forged = signed_by(w, w->bank_key, "at+jwt", "{\"iss\":\"https://id.example\"}");
	struct str body = str_fmt(w->a, "token=%s", forged.p);
	assert_str(ask(w, "POST", "/introspect", as(w, "portal").p, body.p)->body, "{\"active\":false}");
	pass(w, 1);
	assert_str(ask(w, "POST", "/introspect", as(w, "portal").p, body.p)->body, "{\"active\":false}");
	breaks_at(w, 0);
	for (int i = 0; i < 100; i++)
		assert_str(ask(w, "POST", "/introspect", as(w, "portal").p, body.p)->body, "{\"active\":false}");
	breaks_at(w, -1);
}

/* ---- hints ------------------------------------------------------------------------------------------------------------------ */

TEST(an_id_token_of_ours_is_a_hint_also_when_it_expired)
{
	struct world *w = world();
	struct res *rs = redeem(w, "portal", consent(w, "portal", "openid", ""));
	struct id_hint who;
	pass(w, 86400);
	fine(id_hint_read(world_req(w), told(w, rs, "id_token"), &who));
	assert_str(who.client_id, "portal");
	assert_string_equal(who.sid.p, w->sid.p);
	fails(id_hint_read(world_req(w), told(w, rs, "access_token"), &who), INVALID_REQUEST);
	struct str claims = json_dump(w->a, claims_of(w, told(w, rs, "id_token")));
	fails(id_hint_read(world_req(w), signed_by(w, w->bank_key, "JWT", claims.p), &who), INVALID_REQUEST);
	fails(id_hint_read(world_req(w), S("eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0."), &who), INVALID_REQUEST);
	fails(id_hint_read(world_req(w), S(""), &who), INVALID_REQUEST);
	struct keyring *ring;
	fine(keys_now(&w->house, w->a, &ring));
	fails(id_hint_read(world_req(w), signed_by(w, keyring_signer(ring, S("RS256"), w->now), "logout+jwt", claims.p), &who), INVALID_REQUEST);
	fine(id_hint_read(world_req(w), signed_by(w, keyring_signer(ring, S("RS256"), w->now), "JWT", claims.p), &who));
}

/* ---- assurance ------------------------------------------------------------------------------------------------------------------ */

TEST(a_method_reaches_its_level_unless_the_certificate_is_good_for_less)
{
	assert_str(acr_of_method(S("sim"), S("high")), "substantial");
	assert_str(acr_of_method(S("token"), S("high")), "high");
	assert_str(acr_of_method(S("token"), S("substantial")), "substantial");
	assert_str(acr_of_method(S("tls"), S("low")), "low");
	assert_str(acr_of_method(S("password"), S("high")), "low");
	assert_str(acr_of_method(S("token"), S("")), "low");
	assert_str(amr_of_method(S("sim")), "hwk pin mca mfa");
	assert_str(amr_of_method(S("none")), "");
}

TEST(acr_values_are_a_set_of_acceptable_ones)
{
	assert_true(acr_meets(S("high"), S("substantial")));
	assert_true(acr_meets(S("substantial"), S("high substantial")));
	assert_true(acr_meets(S("low"), S("")));
	assert_false(acr_meets(S("substantial"), S("high")));
	assert_false(acr_meets(S("high"), S("urn:example:4")));
	assert_false(acr_meets(S("unheard"), S("low")));
	assert_str(acr_answer(S("high"), S("substantial low")), "substantial");
	assert_str(acr_answer(S("high"), S("low high")), "high");
	assert_str(acr_answer(S("high"), S("")), "high");
	assert_str(acr_answer(S("low"), S("high")), "low");
	struct str sim[] = { S("sim") };
	assert_true(acr_reachable((struct strs){ sim, 1 }, S("substantial")));
	assert_false(acr_reachable((struct strs){ sim, 1 }, S("high")));
}
