#include "fapi.h"
#include "holder.h"
#include "eph_open.h"

/* RFC 9449. The names of the conformance suite's modules stand above the tests that cover them. */

static struct str code_form(struct world *w, const char *client, struct str code)
{
	return str_fmt(w->a, "grant_type=authorization_code&code=%s&redirect_uri=https%%3A%%2F%%2F%s.example%%2Fcb", code.p, client);
}

static struct res *redeem_with(struct world *w, const char *client, struct str code, struct str proof_header)
{
	return ask(w, "POST", "/token", str_fmt(w->a, "%s%s", as(w, client).p, proof_header.p).p, code_form(w, client, code).p);
}

static struct res *bound(struct world *w, const char *client, struct signer *by)
{
	struct res *rs = redeem_with(w, client, consent(w, client, "openid profile", ""), proof_line(w, by, (struct proof_wish){ 0 }));
	is_tokens(w, rs);
	return rs;
}

static struct res *own(struct world *w, struct str proof_header)
{
	return ask(w, "POST", "/token", str_fmt(w->a, "%s%s", as(w, "portal").p, proof_header.p).p, "grant_type=client_credentials");
}

static struct res *info(struct world *w, struct str headers) { return ask(w, "GET", "/userinfo", headers.p, ""); }

static struct str with_nonce(struct world *w, struct str nonce, const char *more)
{
	return str_fmt(w->a, "{\"nonce\":\"%s\"%s}", nonce.p, more);
}

static size_t nonces(const struct res *rs)
{
	size_t n = 0;
	for (size_t i = 0; i < rs->headers.n; i++)
		n += str_eq_nocase(rs->headers.v[i].name, S("DPoP-Nonce"));
	return n;
}

#define is_refused_here(rs, code) do { struct res *r_ = (rs); \
	if (r_->status != 401 || !strstr(res_head(r_, "WWW-Authenticate").p, "DPoP realm=") || !strstr(res_head(r_, "WWW-Authenticate").p, "error=\"" code "\"")) \
		fail_msg("%d %s %s", r_->status, res_head(r_, "WWW-Authenticate").p, r_->body.p); } while (0)

/* ---- binding ------------------------------------------------------------------------------------------------------ */

/* fapi2-security-profile-final-happy-flow */
TEST(whoever_sends_a_proof_gets_tokens_bound_to_its_key)
{
	struct world *w = world();
	static const char *const ALGS[] = { "ES256", "EdDSA", "PS256" };
	for (size_t i = 0; i < sizeof ALGS / sizeof *ALGS; i++) {
		struct signer *key = holder(w, ALGS[i]);
		struct res *rs = bound(w, "portal", key);
		struct str token = told(w, rs, "access_token");
		assert_str(told(w, rs, "token_type"), "DPoP");
		assert_string_equal(json_text(json_object_get(claims_of(w, token), "cnf"), "jkt").p, jkt_of(w, key).p);
		is_status(info(w, shown_with(w, token, key, (struct proof_wish){ 0 })), 200);
	}
	struct res *plain = redeem(w, "portal", consent(w, "portal", "openid", ""));
	assert_str(told(w, plain, "token_type"), "Bearer");
	assert_null(json_object_get(claims_of(w, told(w, plain, "access_token")), "cnf"));
}

TEST(client_credentials_are_bound_as_well_and_a_resource_server_is_told)
{
	struct world *w = world();
	struct signer *key = holder(w, "ES256");
	struct res *rs = own(w, proof_line(w, key, (struct proof_wish){ 0 }));
	assert_str(told(w, rs, "token_type"), "DPoP");
	struct res *seen = ask(w, "POST", "/introspect", as(w, "api").p, str_fmt(w->a, "token=%s", told(w, rs, "access_token").p).p);
	assert_str(told(w, seen, "token_type"), "DPoP");
	assert_string_equal(json_text(json_object_get(json_of(w, seen), "cnf"), "jkt").p, jkt_of(w, key).p);
}

/* fapi2-security-profile-final-ensure-holder-of-key-required */
TEST(a_client_that_is_registered_for_bound_tokens_gets_no_others)
{
	struct world *w = world();
	world_client(w, "strict", "client_secret_basic", ",\"dpop_bound_access_tokens\":true,\"grant_types\":[\"authorization_code\",\"refresh_token\"]");
	struct signer *key = holder(w, "ES256");
	is_fault(redeem(w, "strict", consent(w, "strict", "openid", "")), INVALID_DPOP_PROOF);
	struct res *rs = bound(w, "strict", key);
	is_fault(refresh(w, "strict", told(w, rs, "refresh_token")), INVALID_DPOP_PROOF);
}

TEST(a_proof_from_a_client_whose_tokens_are_bound_to_its_certificate_is_not_left_out_in_silence)
{
	struct world *w = world();
	struct str head = str_fmt(w->a, "Client-Cert: :%s:\n%s", w->gate_cert.p, proof_line(w, holder(w, "ES256"), (struct proof_wish){ 0 }).p);
	struct str form = str_fmt(w->a, "client_id=gate&%s", code_form(w, "gate", consent(w, "gate", "openid", "")).p);
	is_fault(ask(w, "POST", "/token", head.p, form.p), INVALID_REQUEST);
}

/* A proof that is refused spends nothing: neither the code nor, when it was refused for what it says, its jti. */
TEST(a_code_is_still_good_after_a_proof_that_was_not)
{
	struct world *w = world();
	struct signer *key = holder(w, "ES256");
	struct str code = consent(w, "portal", "openid", "");
	is_fault(redeem_with(w, "portal", code, proof_line(w, key, (struct proof_wish){ .htu = "https://id.example/par", .claims = "{\"jti\":\"one\"}" })), INVALID_DPOP_PROOF);
	is_tokens(w, redeem_with(w, "portal", code, proof_line(w, key, (struct proof_wish){ .claims = "{\"jti\":\"one\"}" })));
	assert_int_equal(audits(w, "token.refused", "invalid_dpop_proof"), 1);
}

/* ---- proofs ------------------------------------------------------------------------------------------------------------ */

/* fapi2-security-profile-final-check-dpop-proof-nbf-exp, -ensure-dpopproof-with-iat-10seconds-before-succeeds, -after-succeeds, and what
 * -dpop-negative-tests wants accepted */
TEST(proofs_may_be_spelled_in_many_ways)
{
	struct world *w = world();
	struct signer *key = holder(w, "ES256");
	const struct proof_wish GOOD[] = {
		{ .claims = "{\"iat\":1799999990}" }, { .claims = "{\"iat\":1800000010}" }, { .claims = "{\"iat\":1799999940}" }, { .claims = "{\"iat\":1800000060}" },
		{ .claims = "{\"nbf\":1800000000,\"exp\":1800000060}" }, { .claims = "{\"exp\":1799999990}" }, { .claims = "{\"nbf\":1800000010}" },
		{ .claims = "{\"nonce\":\"never given\"}" }, { .claims = "{\"ath\":\"of no token\",\"more\":{\"a\":[1,2.5,null]}}" }, { .head = "{\"more\":1,\"kid\":\"x\"}" },
		{ .head = "{\"typ\":\"DPoP+JWT\"}" }, { .head = "{\"typ\":\"application/dpop+jwt\"}" }, { .head = "{\"x5c\":[\"AAAA\"],\"jku\":\"https://evil.example/\"}" },
		{ .htu = "https://id.example/token?x=1#y" }, { .htu = "https://id.example/token#y" }, { .htu = "HTTPS://ID.Example/token" },
		{ .htu = "https://id.example:443/token" }, { .htu = "https://cert.id.example/token" },
	};
	for (size_t i = 0; i < sizeof GOOD / sizeof *GOOD; i++) {
		struct res *rs = own(w, proof_line(w, key, GOOD[i]));
		if (rs->status != 200)
			fail_msg("proof %zu: %s", i, rs->body.p);
	}
	is_tokens(w, own(w, str_fmt(w->a, "dPoP:  %s  \n", proof(w, key, (struct proof_wish){ 0 }).p)));
}

static const struct proof_wish TWINS[] = {
	/* fapi2-security-profile-final-dpop-negative-tests */
	{ .head = "{\"typ\":null}" }, { .head = "{\"typ\":\"JWT\"}" }, { .head = "{\"typ\":\"dpop\"}" }, { .head = "{\"typ\":\"at+jwt\"}" }, { .head = "{\"typ\":7}" },
	{ .head = "{\"alg\":null}" }, { .head = "{\"alg\":\"none\"}" }, { .head = "{\"alg\":\"HS256\"}" }, { .head = "{\"alg\":\"RS256\"}" }, { .head = "{\"alg\":\"ES384\"}" },
	{ .head = "{\"alg\":\"es256\"}" }, { .head = "{\"jwk\":null}" }, { .head = "{\"jwk\":\"x\"}" }, { .head = "{\"jwk\":{}}" }, { .head = "{\"crit\":[\"x\"]}" }, { .head = "{\"b64\":false}" },
	{ .claims = "{\"jti\":null}" }, { .claims = "{\"jti\":\"\"}" }, { .claims = "{\"jti\":7}" }, { .claims = "{\"htm\":null}" }, { .claims = "{\"htu\":null}" }, { .claims = "{\"iat\":null}" },
	{ .claims = "{\"iat\":1799996400}" }, { .claims = "{\"iat\":1800003600}" }, { .claims = "{\"iat\":1799999939}" }, { .claims = "{\"iat\":1800000061}" },
	{ .claims = "{\"iat\":1800000000.5}" }, { .claims = "{\"iat\":\"1800000000\"}" }, { .claims = "{\"iat\":-9223372036854775808}" }, { .claims = "{\"iat\":9223372036854775807}" },
	{ .claims = "{\"exp\":1799999985}" }, { .claims = "{\"nbf\":1800000016}" }, { .claims = "{\"nbf\":0.5}" }, { .claims = "{\"exp\":\"soon\"}" },
	{ .claims = "{\"nonce\":7}" }, { .claims = "{\"ath\":7}" },
	{ .htm = "GET" }, { .htm = "post" }, { .htm = "HEAD" },
	{ .htu = "https://id.example/userinfo" }, { .htu = "https://id.example/token/" }, { .htu = "https://id.example/TOKEN" }, { .htu = "https://id.example/" }, { .htu = "https://id.example" },
	{ .htu = "http://id.example/token" }, { .htu = "https://id.example:8443/token" }, { .htu = "https://id.example:80/token" }, { .htu = "https://evil.example/token" },
	{ .htu = "https://id.example@evil.example/token" }, { .htu = "https://user@id.example/token" }, { .htu = "/token" }, { .htu = "id.example/token" }, { .htu = "https:id.example/token" },
	{ .htu = "https://id.example.evil.example/token" }, { .htu = "https:///token" }, { .htu = "://id.example/token" }, { .htu = "https://id.example?/token" },
};
enum { TWINS_N = sizeof TWINS / sizeof *TWINS };

TEST(proofs_with_one_thing_wrong_bind_nothing)
{
	struct world *w = world();
	struct signer *key = holder(w, "ES256");
	for (size_t i = 0; i < TWINS_N; i++) {
		struct res *rs = own(w, proof_line(w, key, TWINS[i]));
		if (rs->status != 400 || !strstr(rs->body.p, "\"invalid_dpop_proof\""))
			fail_msg("twin %zu: %d %s", i, rs->status, rs->body.p);
	}
	struct str long_jti = str_fmt(w->a, "{\"jti\":\"%0257d\"}", 1), long_htu = str_fmt(w->a, "https://id.example/token?%02048d", 1);
	is_fault(own(w, proof_line(w, key, (struct proof_wish){ .claims = long_jti.p })), INVALID_DPOP_PROOF);
	is_fault(own(w, proof_line(w, key, (struct proof_wish){ .htu = long_htu.p })), INVALID_DPOP_PROOF);
	is_tokens(w, own(w, proof_line(w, key, (struct proof_wish){ 0 })));
}

/* The same with RS256 really signed by an RSA key, and with the private half in the header. */
TEST(a_proof_by_an_algorithm_that_is_not_offered_or_with_a_private_key_in_it_is_refused)
{
	struct world *w = world();
	struct signer *key = holder(w, "ES256");
	json_t *jwk;
	is_fault(own(w, proof_line(w, holder(w, "RS256"), (struct proof_wish){ 0 })), INVALID_DPOP_PROOF);
	fine(json_read_object(w->a, signer_public_jwk(key), &jwk));
	json_object_set_new(jwk, "d", json_string("AAAA"));
	is_fault(own(w, proof_line(w, key, (struct proof_wish){ .head = str_fmt(w->a, "{\"jwk\":%s}", json_dump(w->a, jwk).p).p })), INVALID_DPOP_PROOF);
	json_object_del(jwk, "d");
	is_tokens(w, own(w, proof_line(w, key, (struct proof_wish){ .head = str_fmt(w->a, "{\"jwk\":%s}", json_dump(w->a, jwk).p).p })));
}

TEST(a_proof_that_was_changed_or_cut_or_signed_by_another_key_is_refused)
{
	struct world *w = world();
	struct signer *key = holder(w, "ES256"), *other = holder(w, "ES256");
	struct str good = proof(w, key, (struct proof_wish){ 0 });
	struct str foreign = proof(w, other, (struct proof_wish){ .head = str_fmt(w->a, "{\"jwk\":%s}", signer_public_jwk(key).p).p });
	is_fault(own(w, str_fmt(w->a, "DPoP: %s\n", foreign.p)), INVALID_DPOP_PROOF);
	for (size_t i = 0; i < good.n; i += 7) {
		char *twin = arena_alloc(w->a, good.n + 1);
		memcpy(twin, good.p, good.n);
		twin[i] = twin[i] == 'A' ? 'B' : 'A';
		is_fault(own(w, str_fmt(w->a, "DPoP: %s\n", twin)), INVALID_DPOP_PROOF);
		is_fault(own(w, str_fmt(w->a, "DPoP: %.*s\n", (int)i, good.p)), INVALID_DPOP_PROOF);
	}
	is_fault(own(w, S("DPoP: not.a.jwt\n")), INVALID_DPOP_PROOF);
	is_fault(own(w, S("DPoP: \n")), INVALID_DPOP_PROOF);
	is_tokens(w, own(w, str_fmt(w->a, "DPoP: %s\n", good.p)));
}

/* RFC 9449 section 4.3 item 1 */
TEST(two_proofs_are_none)
{
	struct world *w = world();
	struct signer *key = holder(w, "ES256");
	struct str two = str_fmt(w->a, "%s%s", proof_line(w, key, (struct proof_wish){ 0 }).p, proof_line(w, key, (struct proof_wish){ 0 }).p);
	struct str listed = str_fmt(w->a, "DPoP: %s, %s\n", proof(w, key, (struct proof_wish){ 0 }).p, proof(w, key, (struct proof_wish){ 0 }).p);
	is_status(own(w, two), 400);
	is_fault(own(w, listed), INVALID_DPOP_PROOF);
}

/* ---- replay: SEC-15 -------------------------------------------------------------------------------------------------------- */

TEST(a_proof_is_good_once_from_the_first_to_the_last_second_of_its_time)
{
	struct world *w = world();
	struct signer *key = holder(w, "ES256"), *other = holder(w, "ES256");
	struct str early = proof_line(w, key, (struct proof_wish){ .claims = "{\"iat\":1800000060,\"jti\":\"early\"}" });
	struct str late = proof_line(w, key, (struct proof_wish){ .claims = "{\"iat\":1799999940,\"jti\":\"late\"}" });
	is_tokens(w, own(w, early));
	is_tokens(w, own(w, late));
	is_fault(own(w, late), INVALID_DPOP_PROOF);
	for (int i = 0; i < 125; i++) {
		is_fault(own(w, early), INVALID_DPOP_PROOF);
		pass(w, 1);
	}
	/* whoever takes another's jti takes nothing from them */
	is_tokens(w, own(w, proof_line(w, other, (struct proof_wish){ .claims = "{\"jti\":\"one\"}" })));
	is_tokens(w, own(w, proof_line(w, key, (struct proof_wish){ .claims = "{\"jti\":\"one\"}" })));
	is_fault(own(w, proof_line(w, key, (struct proof_wish){ .claims = "{\"jti\":\"one\",\"more\":1}" })), INVALID_DPOP_PROOF);
	is_fault(own(w, proof_line(w, key, (struct proof_wish){ .htu = "https://cert.id.example/token", .claims = "{\"jti\":\"one\"}" })), INVALID_DPOP_PROOF);
}

/* ---- resources: section 7 ---------------------------------------------------------------------------------------------------- */

/* fapi2-security-profile-final-access-token-type-header-case-sensitivity */
TEST(the_scheme_may_be_spelled_in_any_case)
{
	struct world *w = world();
	struct signer *key = holder(w, "ES256");
	struct str token = told(w, bound(w, "portal", key), "access_token");
	static const char *const SPELLED[] = { "DPoP", "dPOP", "dpop" };
	for (size_t i = 0; i < 3; i++) {
		struct str line = proof_line(w, key, (struct proof_wish){ .htm = "GET", .htu = "https://id.example/userinfo", .token = token });
		is_status(info(w, str_fmt(w->a, "Authorization: %s %s\n%s", SPELLED[i], token.p, line.p)), 200);
	}
	struct str plain = told(w, redeem(w, "portal", consent(w, "portal", "openid", "")), "access_token");
	is_status(info(w, str_fmt(w->a, "Authorization: bEARER %s\n", plain.p)), 200);
}

/* fapi2-security-profile-final-dpop-negative-tests */
TEST(at_a_resource_the_same_twins_are_refused_with_a_challenge_that_names_the_algorithms)
{
	struct world *w = world();
	struct signer *key = holder(w, "ES256");
	struct str token = told(w, bound(w, "portal", key), "access_token");
	for (size_t i = 0; i < TWINS_N; i++) {
		struct proof_wish x = TWINS[i];
		if (x.htu && strstr(x.htu, "userinfo"))
			continue;
		if (x.htm && strcmp(x.htm, "GET") == 0)
			x.htm = "POST";
		is_refused_here(info(w, shown_with(w, token, key, x)), "invalid_dpop_proof");
	}
	is_refused_here(info(w, shown_with(w, token, key, (struct proof_wish){ .claims = "{\"ath\":null}" })), "invalid_dpop_proof");
	is_refused_here(info(w, shown_with(w, token, key, (struct proof_wish){ .token = S("another") })), "invalid_dpop_proof");
	is_refused_here(info(w, str_fmt(w->a, "Authorization: DPoP %s\n", token.p)), "invalid_dpop_proof");
	is_refused_here(info(w, shown_with(w, token, holder(w, "ES256"), (struct proof_wish){ 0 })), "invalid_token");
	struct str twice = shown_with(w, token, key, (struct proof_wish){ 0 });
	struct res *rs = info(w, twice);
	is_status(rs, 200);
	rs = info(w, twice);
	is_refused_here(rs, "invalid_dpop_proof");
	assert_non_null(strstr(res_head(rs, "WWW-Authenticate").p, "algs=\"ES256 PS256 EdDSA Ed25519\""));
}

/* RFC 9449 section 7.2 */
TEST(a_bound_token_is_no_bearer_token_and_an_unbound_one_is_no_other)
{
	struct world *w = world();
	struct signer *key = holder(w, "ES256");
	struct str token = told(w, bound(w, "portal", key), "access_token");
	struct str plain = told(w, redeem(w, "portal", consent(w, "portal", "openid", "")), "access_token");
	struct str line = proof_line(w, key, (struct proof_wish){ .htm = "GET", .htu = "https://id.example/userinfo", .token = token });
	is_fault(info(w, str_fmt(w->a, "Authorization: Bearer %s\n", token.p)), INVALID_TOKEN);
	is_fault(info(w, str_fmt(w->a, "Authorization: Bearer %s\n%s", token.p, line.p)), INVALID_TOKEN);
	is_fault(ask(w, "POST", "/userinfo", "", str_fmt(w->a, "access_token=%s", token.p).p), INVALID_TOKEN);
	is_fault(ask(w, "POST", "/userinfo", line.p, str_fmt(w->a, "access_token=%s", token.p).p), INVALID_TOKEN);
	is_refused_here(info(w, shown_with(w, plain, key, (struct proof_wish){ 0 })), "invalid_token");
	is_status(info(w, str_fmt(w->a, "Authorization: Bearer %s\n", plain.p)), 200);
}

/* fapi2-security-profile-final-happy-flow: client 1's key with client 2's token */
TEST(the_key_of_one_client_is_of_no_use_with_the_token_of_another)
{
	struct world *w = world();
	struct signer *one = holder(w, "ES256"), *two = holder(w, "ES256");
	struct str first = told(w, bound(w, "portal", one), "access_token"), second = told(w, bound(w, "tax", two), "access_token");
	is_refused_here(info(w, shown_with(w, second, one, (struct proof_wish){ 0 })), "invalid_token");
	is_refused_here(info(w, shown_with(w, first, two, (struct proof_wish){ 0 })), "invalid_token");
	is_status(info(w, shown_with(w, first, one, (struct proof_wish){ 0 })), 200);
}

/* fapi2-security-profile-final-happy-flow: not in the address; any Accept will do (that answers carry Date is shown by http_server) */
TEST(a_token_in_the_address_is_none_and_accept_does_not_matter)
{
	struct world *w = world();
	struct signer *key = holder(w, "ES256");
	struct str token = told(w, bound(w, "portal", key), "access_token");
	struct str line = proof_line(w, key, (struct proof_wish){ .htm = "GET", .htu = "https://id.example/userinfo", .token = token });
	is_status(ask(w, "GET", str_fmt(w->a, "/userinfo?access_token=%s", token.p).p, line.p, ""), 401);
	static const char *const ACCEPT[] = { "application/json;charset=UTF-8", "*/*", "text/html;q=0.1, application/json", "application/jwt", "x", "" };
	for (size_t i = 0; i < sizeof ACCEPT / sizeof *ACCEPT; i++) {
		struct str head = str_fmt(w->a, "%sAccept: %s\n", shown_with(w, token, key, (struct proof_wish){ 0 }).p, ACCEPT[i]);
		struct res *rs = info(w, head);
		is_status(rs, 200);
		assert_str(rs->type, "application/json");
	}
}

TEST(who_comes_without_a_token_is_told_both_ways)
{
	struct world *w = world();
	struct res *rs = info(w, S(""));
	is_status(rs, 401);
	size_t n = 0;
	for (size_t i = 0; i < rs->headers.n; i++)
		if (str_is(rs->headers.v[i].name, "WWW-Authenticate")) {
			assert_true(str_starts(rs->headers.v[i].value, n ? S("DPoP realm=\"https://id.example\", algs=\"") : S("Bearer realm=")));
			assert_null(strstr(rs->headers.v[i].value.p, "error"));
			n++;
		}
	assert_int_equal(n, 2);
}

/* ---- refreshing: section 5 ------------------------------------------------------------------------------------------------------ */

static struct res *renew(struct world *w, const char *client, struct str token, struct str proof_header)
{
	bool public = strcmp(client, "app") == 0;
	return ask(w, "POST", "/token", str_fmt(w->a, "%s%s", public ? "" : as(w, client).p, proof_header.p).p,
	           str_fmt(w->a, "grant_type=refresh_token&refresh_token=%s%s", token.p, public ? "&client_id=app" : "").p);
}

/* fapi2-security-profile-final-refresh-token: a new key for each refresh */
TEST(a_confidential_client_may_change_its_key_and_the_new_token_is_bound_to_the_new_one)
{
	struct world *w = world();
	struct signer *old = holder(w, "ES256"), *new = holder(w, "EdDSA");
	struct res *rs = renew(w, "portal", told(w, bound(w, "portal", old), "refresh_token"), proof_line(w, new, (struct proof_wish){ 0 }));
	is_tokens(w, rs);
	assert_str(told(w, rs, "token_type"), "DPoP");
	is_status(info(w, shown_with(w, told(w, rs, "access_token"), new, (struct proof_wish){ 0 })), 200);
	is_refused_here(info(w, shown_with(w, told(w, rs, "access_token"), old, (struct proof_wish){ 0 })), "invalid_token");
}

TEST(a_public_clients_refresh_token_is_good_with_its_key_alone)
{
	struct world *w = world();
	struct signer *key = holder(w, "ES256"), *thief = holder(w, "ES256");
	struct str code = consent(w, "app", "openid", CHALLENGE);
	struct res *rs = ask(w, "POST", "/token", proof_line(w, key, (struct proof_wish){ 0 }).p,
	                     str_fmt(w->a, "client_id=app&code_verifier=" VERIFIER "&%s", code_form(w, "app", code).p).p);
	is_tokens(w, rs);
	struct str token = told(w, rs, "refresh_token");
	is_fault(renew(w, "app", token, S("")), INVALID_GRANT);
	is_fault(renew(w, "app", token, proof_line(w, thief, (struct proof_wish){ 0 })), INVALID_GRANT);
	rs = renew(w, "app", token, proof_line(w, key, (struct proof_wish){ 0 }));
	is_tokens(w, rs);
	is_fault(renew(w, "app", told(w, rs, "refresh_token"), proof_line(w, thief, (struct proof_wish){ 0 })), INVALID_GRANT);
	is_tokens(w, renew(w, "app", told(w, rs, "refresh_token"), proof_line(w, key, (struct proof_wish){ 0 })));
}

/* ---- nonces: section 8 ------------------------------------------------------------------------------------------------------------ */

TEST(where_nonces_are_demanded_the_first_answer_carries_one_that_is_good_at_once)
{
	struct world *w = world();
	struct signer *key = holder(w, "ES256");
	w->conf.dpop_nonce = true;
	struct str code = consent(w, "portal", "openid", "");
	struct res *rs = redeem_with(w, "portal", code, proof_line(w, key, (struct proof_wish){ 0 }));
	is_fault(rs, USE_DPOP_NONCE);
	assert_int_equal(nonces(rs), 1);
	struct str nonce = res_head(rs, "DPoP-Nonce");
	is_fault(redeem_with(w, "portal", code, proof_line(w, key, (struct proof_wish){ .claims = "{\"nonce\":\"mine\"}" })), USE_DPOP_NONCE);
	rs = redeem_with(w, "portal", code, proof_line(w, key, (struct proof_wish){ .claims = with_nonce(w, nonce, "").p }));
	is_tokens(w, rs);
	assert_int_equal(nonces(rs), 1);
	assert_int_equal(audits(w, "token.refused", "use_dpop_nonce"), 0);

	struct str token = told(w, rs, "access_token");
	rs = info(w, shown_with(w, token, key, (struct proof_wish){ 0 }));
	is_refused_here(rs, "use_dpop_nonce");
	assert_int_equal(nonces(rs), 1);
	is_status(info(w, shown_with(w, token, key, (struct proof_wish){ .claims = with_nonce(w, res_head(rs, "DPoP-Nonce"), "").p })), 200);
}

/* section 4.3 item 11: with a nonce it is the nonce that says when; a wrong proof stays wrong */
TEST(with_a_nonce_the_clients_clock_does_not_matter_and_all_else_does)
{
	struct world *w = world();
	struct signer *key = holder(w, "ES256");
	w->conf.dpop_nonce = true;
	struct str nonce = res_head(own(w, proof_line(w, key, (struct proof_wish){ 0 })), "DPoP-Nonce");
	is_tokens(w, own(w, proof_line(w, key, (struct proof_wish){ .claims = with_nonce(w, nonce, ",\"iat\":1799996400").p })));
	is_tokens(w, own(w, proof_line(w, key, (struct proof_wish){ .claims = with_nonce(w, nonce, ",\"iat\":1800003600").p })));
	is_fault(own(w, proof_line(w, key, (struct proof_wish){ .htu = "https://id.example/par", .claims = with_nonce(w, nonce, "").p })), INVALID_DPOP_PROOF);
	is_fault(own(w, proof_line(w, key, (struct proof_wish){ .claims = with_nonce(w, nonce, ",\"exp\":1799999985").p })), INVALID_DPOP_PROOF);
	struct str once = proof_line(w, key, (struct proof_wish){ .claims = with_nonce(w, nonce, ",\"jti\":\"once\"").p });
	is_tokens(w, own(w, once));
	for (int i = 0; i < 400; i += 10) {
		assert_int_equal(own(w, once)->status, 400);
		pass(w, 10);
	}
}

TEST(a_nonce_lives_for_minutes_and_the_next_one_comes_with_an_answer)
{
	struct world *w = world();
	struct signer *key = holder(w, "ES256");
	w->conf.dpop_nonce = true;
	struct str nonce = res_head(own(w, proof_line(w, key, (struct proof_wish){ 0 })), "DPoP-Nonce");
	pass(w, 120);
	struct res *rs = own(w, proof_line(w, key, (struct proof_wish){ .claims = with_nonce(w, nonce, "").p }));
	is_tokens(w, rs);
	assert_false(str_eq(nonce, res_head(rs, "DPoP-Nonce")));
	pass(w, 120);
	is_fault(own(w, proof_line(w, key, (struct proof_wish){ .claims = with_nonce(w, nonce, "").p })), USE_DPOP_NONCE);
	is_tokens(w, own(w, proof_line(w, key, (struct proof_wish){ .claims = with_nonce(w, res_head(rs, "DPoP-Nonce"), "").p })));
}

TEST(a_client_may_demand_nonces_for_itself)
{
	struct world *w = world();
	struct signer *key = holder(w, "ES256");
	world_client(w, "careful", "client_secret_basic", ",\"dpop_nonce\":true");
	is_fault(redeem_with(w, "careful", consent(w, "careful", "openid", ""), proof_line(w, key, (struct proof_wish){ 0 })), USE_DPOP_NONCE);
	struct res *rs = bound(w, "portal", key);
	assert_int_equal(nonces(rs), 0);
}

TEST(a_proof_that_cannot_be_remembered_binds_nothing)
{
	struct world *w = world();
	struct signer *key = holder(w, "ES256");
	struct str line = proof_line(w, key, (struct proof_wish){ 0 });
	struct eph *working = w->house.eph;
	fine(eph_open(w->a, S("redis:unix:/nowhere/redis.sock"), &w->house.eph));
	is_fault(own(w, line), UNAVAILABLE);
	eph_close(w->house.eph);
	w->house.eph = working;
	is_tokens(w, own(w, line));
}

/* ---- codes: section 10 ------------------------------------------------------------------------------------------------------------ */

static struct browser *known(struct town *t)
{
	struct browser *b = browser(t->w);
	is_signed_in(b);
	agrees(t->w, "portal", "openid");
	return b;
}

static struct res *push_it(struct browser *b, const char *headers, const char *more)
{
	return ask(b->w, "POST", "/par", str_fmt(b->w->a, "%s%s", as(b->w, "portal").p, headers).p, usual(b->a, "portal", more).p);
}

static struct str code_of(struct browser *b, struct res *rs)
{
	if (rs->status != 201)
		fail_msg("not taken: %d %s", rs->status, rs->body.p);
	rs = visit(b, str_fmt(b->a, "/authorize?client_id=portal&request_uri=%s", enc(b->w, told(b->w, rs, "request_uri")).p));
	is_code(b, rs, "portal");
	return heard(b, rs, "code");
}

static struct str proof_at_par(struct world *w, struct signer *by) { return proof_line(w, by, (struct proof_wish){ .htu = "https://id.example/par" }); }

/* What must be wrong with the key at the token endpoint spends nothing; the right one still gets its tokens. */
static void is_good_with(struct world *w, struct str code, struct signer *key)
{
	is_fault(redeem(w, "portal", code), INVALID_GRANT);
	is_fault(redeem_with(w, "portal", code, proof_line(w, holder(w, "ES256"), (struct proof_wish){ 0 })), INVALID_GRANT);
	is_tokens(w, redeem_with(w, "portal", code, proof_line(w, key, (struct proof_wish){ 0 })));
}

/* fapi2-security-profile-final-ensure-dpop-auth-code-binding-success, -ensure-dpopproof-at-par-endpoint-binding-success,
 * -ensure-token-endpoint-fails-with-mismatched-dpop-proof-jkt, -ensure-token-endpoint-fails-with-mismatched-dpop-jkt */
TEST(a_code_is_bound_by_a_proof_at_the_pushed_request_by_dpop_jkt_or_by_both)
{
	struct town *t = town();
	struct world *w = t->w;
	struct browser *b = known(t);
	struct signer *key = holder(w, "ES256");
	struct str jkt = str_fmt(w->a, "dpop_jkt=%s", jkt_of(w, key).p);
	is_good_with(w, code_of(b, push_it(b, proof_at_par(w, key).p, "")), key);
	is_good_with(w, code_of(b, push_it(b, "", jkt.p)), key);
	is_good_with(w, code_of(b, push_it(b, proof_at_par(w, key).p, jkt.p)), key);
	struct res *rs = authorize(b, "portal", jkt.p);        /* section 10: also where the request is not pushed */
	is_code(b, rs, "portal");
	is_good_with(w, heard(b, rs, "code"), key);
}

/* fapi2-security-profile-final-ensure-mismatched-dpop-jkt-fails */
TEST(a_pushed_request_with_a_wrong_proof_or_another_dpop_jkt_is_not_taken)
{
	struct town *t = town();
	struct world *w = t->w;
	struct browser *b = known(t);
	struct signer *key = holder(w, "ES256"), *other = holder(w, "ES256");
	struct str jkt = str_fmt(w->a, "dpop_jkt=%s", jkt_of(w, other).p), good = proof_at_par(w, key);
	is_fault(push_it(b, proof_at_par(w, key).p, jkt.p), INVALID_DPOP_PROOF);
	is_fault(push_it(b, proof_line(w, key, (struct proof_wish){ 0 }).p, ""), INVALID_DPOP_PROOF);
	static const char *const THUMBPRINTS[] = { "x", "AAAA", "0000000000000000000000000000000000000000001", "%20" };
	for (size_t i = 0; i < sizeof THUMBPRINTS / sizeof *THUMBPRINTS; i++) {
		is_fault(push_it(b, "", str_fmt(w->a, "dpop_jkt=%s", THUMBPRINTS[i]).p), INVALID_REQUEST);
		is_refused(b, authorize(b, "portal", str_fmt(w->a, "dpop_jkt=%s", THUMBPRINTS[i]).p), "portal", "invalid_request");
	}
	is_status(push_it(b, good.p, ""), 201);
	is_fault(push_it(b, good.p, ""), INVALID_DPOP_PROOF);
	for (int late = -10; late <= 10; late += 20) {       /* fapi2-security-profile-final-ensure-dpopproof-with-iat-10seconds-before-succeeds, -after-succeeds */
		struct str iat = str_fmt(w->a, "{\"iat\":%lld}", (long long)w->now + late);
		is_status(push_it(b, proof_line(w, key, (struct proof_wish){ .htu = "https://id.example/par", .claims = iat.p }).p, ""), 201);
	}
}

TEST(where_nonces_are_demanded_a_pushed_request_is_told_so_too)
{
	struct town *t = town();
	struct world *w = t->w;
	struct browser *b = known(t);
	struct signer *key = holder(w, "ES256");
	w->conf.dpop_nonce = true;
	struct res *rs = push_it(b, proof_at_par(w, key).p, "");
	is_fault(rs, USE_DPOP_NONCE);
	assert_int_equal(nonces(rs), 1);
	struct str claims = with_nonce(w, res_head(rs, "DPoP-Nonce"), "");
	rs = push_it(b, proof_line(w, key, (struct proof_wish){ .htu = "https://id.example/par", .claims = claims.p }).p, "");
	is_status(rs, 201);
	assert_int_equal(nonces(rs), 1);
}

/* ---- where tokens must be bound, by either: fapi2-security-profile-final with sender_constrain=dpop ------------------------------------- */

/* -happy-flow, -ensure-holder-of-key-required, -refresh-token */
TEST(a_client_whose_profile_wants_bound_tokens_may_bind_them_by_proofs_alone)
{
	struct town *t = town();
	struct world *w = t->w;
	struct browser *b = browser(w);
	struct signer *key = holder(w, "ES256"), *next = holder(w, "EdDSA");
	struct firm f = { .id = "clinic", .key = key_of(w, "PS256", "clinic-1") };
	world_client(w, f.id, "private_key_jwt", str_fmt(w->a, ",\"profile\":\"fapi2-security-2026\",\"grant_types\":[\"authorization_code\",\"refresh_token\"],"
	             "\"jwks\":{\"keys\":[%s]}", signer_public_jwk(f.key).p).p);
	is_signed_in(b);
	agrees(w, f.id, "openid");
	f.cert = proof_at_par(w, key).p;             /* the header line that goes with its requests */
	struct res *rs = comes_with(b, f.id, request_uri_of(b, pushes_usual(b, &f, "")));
	is_code(b, rs, f.id);
	struct str code = heard(b, rs, "code");
	f.cert = "";
	is_fault(redeems(b, &f, code, ""), INVALID_REQUEST);
	f.cert = proof_line(w, next, (struct proof_wish){ 0 }).p;
	is_fault(redeems(b, &f, code, ""), INVALID_GRANT);
	f.cert = proof_line(w, key, (struct proof_wish){ 0 }).p;
	rs = redeems(b, &f, code, "");
	is_tokens(w, rs);
	is_status(info(w, shown_with(w, told(w, rs, "access_token"), key, (struct proof_wish){ 0 })), 200);

	struct str form = str_fmt(w->a, "grant_type=refresh_token&refresh_token=%s", told(w, rs, "refresh_token").p);
	is_fault(ask(w, "POST", "/token", "", str_fmt(w->a, "%s%s", form.p, assertion_of(b, &f).p).p), INVALID_REQUEST);
	is_fault(ask(w, "POST", "/token", proof_line(w, next, (struct proof_wish){ 0 }).p, form.p), INVALID_CLIENT);
	for (int i = 0; i < 2; i++) {                /* not rotated: the same one again, with another key */
		rs = ask(w, "POST", "/token", proof_line(w, next, (struct proof_wish){ 0 }).p, str_fmt(w->a, "%s%s", form.p, assertion_of(b, &f).p).p);
		is_tokens(w, rs);
		is_status(info(w, shown_with(w, told(w, rs, "access_token"), next, (struct proof_wish){ 0 })), 200);
		pass(w, 31);
	}
}
