#include "world.h"
#include "hash.h"
#include "code.h"
#include "jwe.h"
#include "jws.h"
#include "keys.h"
#include "oidc.h"
#include "profile.h"

/* By which algorithms a client is answered: ID tokens, userinfo, introspection, signed and encrypted. */

static json_t *our_keys(struct world *w) { return json_object_get(json_of(w, ask(w, "GET", "/.well-known/jwks.json", "", "")), "keys"); }

/* As a relying party does it: the one key of the published set that has the token's kid and alg. */
static json_t *verified(struct world *w, struct str token, const char *alg, const char *typ)
{
	struct jws jws;
	json_t *jwk, *claims = NULL;
	size_t i, fit = 0;
	fine(jws_read(w->a, token, &jws));
	assert_str(jws.alg, alg);
	json_array_foreach(our_keys(w), i, jwk) {
		struct key *k;
		if (!str_eq(json_text(jwk, "kid"), jws.kid) || !str_is(json_text(jwk, "alg"), alg))
			continue;
		fine(key_from_jwk(w->a, jwk, &k));
		arena_defer(w->a, key_drop_later, k);
		fine(jws_verify(w->a, token, k, str_of(alg), str_of(typ), &claims));
		fit++;
	}
	assert_int_equal(fit, 1);
	return claims;
}

static struct str of_alg(struct world *w, const char *member, struct str alg)
{
	struct str name = str_fmt(w->a, "%c-%s", *member, alg.p);
	one_more(w, name.p, str_fmt(w->a, ",\"%s_signed_response_alg\":\"%s\"", member, alg.p).p);
	return name;
}

static struct res *userinfo(struct world *w, struct str token)
{
	return ask(w, "GET", "/userinfo", str_fmt(w->a, "Authorization: Bearer %s\n", token.p).p, "");
}

static struct str token_of(struct world *w, const char *client)
{
	return told(w, redeem(w, client, consent(w, client, "openid profile", "")), "access_token");
}

/* ---- ID tokens ---------------------------------------------------------------------------------------------------- */

/* oidcc-idtoken-rs256, oidcc-idtoken-signature */
TEST(an_id_token_is_signed_by_the_alg_that_its_client_registered_and_verifies_with_the_published_set)
{
	struct world *w = world();
	for (const struct str *alg = keys_algs(); alg->n; alg++) {
		struct str client = of_alg(w, "id_token", *alg);
		struct res *rs = redeem(w, client.p, consent(w, client.p, "openid", ""));
		json_t *claims = verified(w, told(w, rs, "id_token"), alg->p, "JWT");
		assert_string_equal(json_text(claims, "aud").p, client.p);
		assert_string_equal(json_text(claims, "at_hash").p, alg_half_hash(w->a, *alg, told(w, rs, "access_token")).p);
	}
}

/* OpenID Connect Core section 3.1.3.6: the hash of the alg; RFC 8032's is SHA-512 */
TEST(at_hash_is_the_left_half_of_the_hash_that_the_alg_signs_with)
{
	struct arena *a = arena_new();
	struct bytes sha;
	unsigned char hash[SHA256_SIZE];
	sha256("token", 5, hash);
	struct str half = b64url(a, (struct bytes){ hash, 16 });
	static const char *const BY_256[] = { "RS256", "PS256", "ES256" };
	for (size_t i = 0; i < sizeof BY_256 / sizeof *BY_256; i++)
		assert_string_equal(alg_half_hash(a, str_of(BY_256[i]), S("token")).p, half.p);
	/* SHA-512("abc"), FIPS 180-4 */
	assert_true(hex_read(a, S("ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"), &sha));
	assert_string_equal(alg_half_hash(a, S("EdDSA"), S("abc")).p, b64url(a, sha).p);
	assert_int_equal(alg_half_hash(a, S("ES384"), S("abc")).n, 32);
	arena_free(a);
}

TEST(what_a_profile_offers_has_a_key_that_signs)
{
	struct world *w = world();
	struct keyring *ring;
	fine(keys_now(&w->house, w->a, &ring));
	for (const struct profile *p = PROFILES; p->name.n; p++) {
		struct strs algs = str_words(w->a, p->id_token_algs);
		for (size_t i = 0; i < algs.n; i++)
			assert_non_null(keyring_signer(ring, algs.v[i], w->now));
	}
}

/* The name of RFC 9864 is read wherever a client signs, and not offered where we do: our key says EdDSA. */
TEST(ed25519_is_read_by_either_name_and_signed_by_one)
{
	struct world *w = world();
	struct client c;
	json_t *o = json_of(w, ask(w, "GET", "/.well-known/openid-configuration", "", ""));
	struct strs signs = json_strs(w->a, o, "id_token_signing_alg_values_supported"), reads = json_strs(w->a, o, "token_endpoint_auth_signing_alg_values_supported");
	assert_true(strs_has(signs, S("EdDSA")) && !strs_has(signs, S("Ed25519")));
	assert_true(strs_has(reads, S("EdDSA")) && strs_has(reads, S("Ed25519")));
	fails(client_parse(w->a, S("x"), S("{\"redirect_uris\":[\"https://a.example/cb\"],\"token_endpoint_auth_method\":\"none\","
	                                   "\"id_token_signed_response_alg\":\"Ed25519\"}"), &c), BAD_CONFIG);
}

/* ---- userinfo ------------------------------------------------------------------------------------------------------- */

/* oidcc-userinfo-rs256 */
TEST(userinfo_is_a_jwt_for_a_client_that_registered_an_alg)
{
	struct world *w = world();
	for (const struct str *alg = keys_algs(); alg->n; alg++) {
		struct str client = of_alg(w, "userinfo", *alg);
		struct res *rs = userinfo(w, token_of(w, client.p));
		is_status(rs, 200);
		assert_str(rs->type, "application/jwt");
		json_t *claims = verified(w, rs->body, alg->p, "JWT");
		assert_str(json_text(claims, "iss"), "https://id.example");
		assert_string_equal(json_text(claims, "aud").p, client.p);
		assert_str(json_text(claims, "name"), "Nguyễn Văn An");
		assert_null(json_object_get(claims, "nonce"));
		assert_null(json_object_get(claims, "exp"));
	}
	struct res *plain = userinfo(w, token_of(w, "portal"));
	assert_str(plain->type, "application/json");
	assert_null(json_object_get(json_of(w, plain), "iss"));
}

/* SEC-11: one kind of JWT is no other */
TEST(userinfo_that_was_signed_is_neither_an_id_token_nor_an_access_token)
{
	struct world *w = world();
	struct id_hint who;
	struct str client = of_alg(w, "userinfo", S("ES256")), info = userinfo(w, token_of(w, client.p))->body;
	fails(id_hint_read(world_req(w), info, &who), INVALID_REQUEST);
	is_fault(userinfo(w, info), INVALID_TOKEN);
}

/* ---- introspection: RFC 9701 ------------------------------------------------------------------------------------------ */

#define ACCEPT "Accept: application/token-introspection+jwt\n"

static struct res *look(struct world *w, const char *client, const char *accept, struct str token)
{
	return ask(w, "POST", "/introspect", str_fmt(w->a, "%s%s", as(w, client).p, accept).p, str_fmt(w->a, "token=%s", token.p).p);
}

TEST(introspection_answers_with_a_jwt_when_it_is_asked_to)
{
	struct world *w = world();
	for (const struct str *alg = keys_algs(); alg->n; alg++) {
		struct str client = of_alg(w, "introspection", *alg);
		struct res *rs = look(w, client.p, ACCEPT, token_of(w, client.p));
		is_status(rs, 200);
		assert_str(rs->type, "application/token-introspection+jwt");
		assert_str(res_head(rs, "Cache-Control"), "no-store");
		json_t *claims = verified(w, rs->body, alg->p, "token-introspection+jwt");
		assert_int_equal(json_object_size(claims), 4);
		assert_str(json_text(claims, "iss"), "https://id.example");
		assert_string_equal(json_text(claims, "aud").p, client.p);
		assert_int_equal(json_integer_value(json_object_get(claims, "iat")), w->now);
		const json_t *said = json_object_get(claims, "token_introspection");
		assert_true(json_is_true(json_object_get(said, "active")));
		assert_string_equal(json_text(said, "client_id").p, client.p);
	}
	struct res *rs = look(w, "portal", ACCEPT, token_of(w, "portal"));
	verified(w, rs->body, "RS256", "token-introspection+jwt");         /* section 6: the default */
}

TEST(what_is_inactive_says_only_that_also_in_a_jwt)
{
	struct world *w = world();
	struct str of_another = token_of(w, "tax");
	json_t *claims = verified(w, look(w, "portal", ACCEPT, of_another)->body, "RS256", "token-introspection+jwt");
	assert_str(json_dump(w->a, json_object_get(claims, "token_introspection")), "{\"active\":false}");
	is_fault(ask(w, "POST", "/introspect", ACCEPT, str_fmt(w->a, "token=%s", of_another.p).p), INVALID_CLIENT);
}

TEST(json_is_answered_unless_the_jwt_is_named)
{
	struct world *w = world();
	static const struct { const char *accept; bool jwt; } CASES[] = {
		{ "", false }, { "Accept: */*\n", false }, { "Accept: application/json\n", false }, { "Accept: application/*\n", false },
		{ "Accept: application/jwt\n", false }, { "Accept: application/token-introspection+jwt;q=0\n", false },
		{ "Accept: application/token-introspection+jwt; q=0.000\n", false }, { "Accept: application/token-introspection+jwtx\n", false },
		{ "Accept: application/json, application/token-introspection+jwt;q=0.5\n", true }, { "Accept: APPLICATION/Token-Introspection+JWT\n", true },
		{ "Accept: a/b,application/token-introspection+jwt\n", true },
	};
	struct str token = token_of(w, "portal");
	for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++)
		assert_int_equal(*look(w, "portal", CASES[i].accept, token)->body.p != '{', CASES[i].jwt);
}

/* SEC-11 */
TEST(an_introspection_answer_is_no_token_of_any_kind)
{
	struct world *w = world();
	struct id_hint who;
	struct str answer = look(w, "portal", ACCEPT, token_of(w, "portal"))->body;
	fails(id_hint_read(world_req(w), answer, &who), INVALID_REQUEST);
	is_fault(userinfo(w, answer), INVALID_TOKEN);
	assert_str(look(w, "portal", "", answer)->body, "{\"active\":false}");
}

/* ---- how long an answer may be kept ------------------------------------------------------------------------------------- */

TEST(no_cache_outlives_a_revocation_by_more_than_the_operator_allows_nor_a_token_at_all)
{
	struct world *w = world();
	struct str token = token_of(w, "portal");
	assert_str(res_head(look(w, "portal", "", token), "Cache-Control"), "no-store");
	w->conf.introspection_lives = 20;
	assert_str(res_head(look(w, "portal", "", token), "Cache-Control"), "private, max-age=20");
	assert_str(res_head(look(w, "portal", ACCEPT, token), "Cache-Control"), "private, max-age=20");
	pass(w, 292);
	assert_str(res_head(look(w, "portal", "", token), "Cache-Control"), "private, max-age=8");
	pass(w, 8);
	assert_str(res_head(look(w, "portal", "", token), "Cache-Control"), "no-store");
	assert_str(res_head(look(w, "portal", "", S("unknown")), "Cache-Control"), "no-store");
}

/* ---- keys that come later ------------------------------------------------------------------------------------------------ */

/* An installation of before there was PS256: whoever cached its set an hour ago must not meet a kid that is not in it. */
TEST(the_first_key_of_an_alg_signs_only_when_no_cache_can_lack_it)
{
	struct world *w = world_with_keys(2);
	json_t *k;
	size_t i, n = 0;
	pass(w, 1000);
	json_array_foreach(our_keys(w), i, k)
		n += str_is(json_text(k, "alg"), "PS256");
	assert_int_equal(n, 1);
	one_more(w, "late", ",\"id_token_signed_response_alg\":\"PS256\"");
	struct str code = consent(w, "late", "openid", "");
	is_fault(redeem(w, "late", code), UNAVAILABLE);
	pass(w, 20);
	is_fault(redeem(w, "late", code), UNAVAILABLE);
	pass(w, JWKS_LIVES + 40);
	is_tokens(w, redeem(w, "late", consent(w, "late", "openid", "")));
}

TEST(a_copy_of_the_key_set_is_never_kept_for_longer_than_a_key_waits_before_it_signs)
{
	struct world *w = world();
	assert_str(res_head(ask(w, "GET", "/.well-known/jwks.json", "", ""), "Cache-Control"), "public, max-age=3600");
	w->conf.key_overlap = 600;
	assert_str(res_head(ask(w, "GET", "/.well-known/jwks.json", "", ""), "Cache-Control"), "public, max-age=290");
}

/* ---- encrypted: nested JWTs ------------------------------------------------------------------------------------------------ */

#define EC_SHUT "\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"weNJy2HscCSM6AEDTDg04biOvhFhyyWvOHQfeF_PxMQ\",\"y\":\"e8lnCO-AlStT-NJVX-crhB7QRYhiix03illJOVAOyck\""
#define EC_OPEN "{" EC_SHUT ",\"d\":\"VEmDZpDXXK8p8N0Cndsxs924q6nS1RXFASRl6BfUqdw\"}"

/* A client whose answers of one kind are encrypted; EC_OPEN opens them. */
static struct str of_enc(struct world *w, const char *member, const char *alg, const char *enc)
{
	struct str name = str_fmt(w->a, "%s-%zu-%zu", member, strlen(alg), strlen(enc));
	struct str with = *enc ? str_fmt(w->a, ",\"%s_encrypted_response_enc\":\"%s\"", member, enc) : S("");
	one_more(w, name.p, str_fmt(w->a, ",\"%s_encrypted_response_alg\":\"%s\"%s,\"jwks\":{\"keys\":[{\"kid\":\"e-1\",\"use\":\"enc\"," EC_SHUT "}]}",
	                            member, alg, with.p).p);
	return name;
}

static struct str opened(struct world *w, struct str token, const char *alg, const char *enc)
{
	struct jwe_key *mine;
	struct bytes plain;
	json_t *jwk;
	fine(json_read_object(w->a, S(EC_OPEN), &jwk));
	fine(jwe_key_private(w->a, jwk, &mine));
	fine(jwe_decrypt(w->a, mine, token, str_of(alg), str_of(enc), &plain));
	return str_dup(w->a, (const char *)plain.p, plain.n);
}

static const struct { const char *alg, *said, *enc; } BY[] = {
	{ "ECDH-ES", "", "A128CBC-HS256" }, { "ECDH-ES", "A256GCM", "A256GCM" }, { "ECDH-ES+A256KW", "A256GCM", "A256GCM" },
	{ "ECDH-ES+A256KW", "A128CBC-HS256", "A128CBC-HS256" },
};

TEST(answers_are_signed_then_encrypted_to_a_key_of_the_client)
{
	struct world *w = world();
	for (size_t i = 0; i < sizeof BY / sizeof *BY; i++) {
		struct str c = of_enc(w, "id_token", BY[i].alg, BY[i].said);
		struct str token = told(w, redeem(w, c.p, consent(w, c.p, "openid", "")), "id_token");
		assert_string_equal(json_text(verified(w, opened(w, token, BY[i].alg, BY[i].enc), "RS256", "JWT"), "aud").p, c.p);

		c = of_enc(w, "introspection", BY[i].alg, BY[i].said);
		struct res *rs = look(w, c.p, ACCEPT, token_of(w, c.p));
		assert_str(rs->type, "application/token-introspection+jwt");
		verified(w, opened(w, rs->body, BY[i].alg, BY[i].enc), "RS256", "token-introspection+jwt");

		/* OpenID Connect Core section 5.3.2: encrypted alone when no signature was asked for */
		c = of_enc(w, "userinfo", BY[i].alg, BY[i].said);
		rs = userinfo(w, token_of(w, c.p));
		json_t *claims;
		assert_str(rs->type, "application/jwt");
		fine(json_read_object(w->a, opened(w, rs->body, BY[i].alg, BY[i].enc), &claims));
		assert_string_equal(json_text(claims, "aud").p, c.p);
	}
}

TEST(an_id_token_that_was_encrypted_is_a_hint_once_its_client_has_opened_it)
{
	struct world *w = world();
	struct id_hint who;
	struct str c = of_enc(w, "id_token", "ECDH-ES", ""), token = told(w, redeem(w, c.p, consent(w, c.p, "openid", "")), "id_token");
	fails(id_hint_read(world_req(w), token, &who), INVALID_REQUEST);
	fine(id_hint_read(world_req(w), opened(w, token, "ECDH-ES", "A128CBC-HS256"), &who));
}

TEST(what_a_registration_may_say_of_encryption)
{
	struct arena *a = arena_new();
	struct client c;
#define SAYS(more) "{\"redirect_uris\":[\"https://a.example/cb\"],\"token_endpoint_auth_method\":\"none\"" more "}"
#define KEY ",\"jwks\":{\"keys\":[{" EC_SHUT "}]}"
	fine(client_parse(a, S("x"), S(SAYS(KEY ",\"id_token_encrypted_response_alg\":\"ECDH-ES\"")), &c));
	assert_str(c.id_token.enc, "A128CBC-HS256");       /* the default */
	assert_str(c.id_token.sign, "RS256");
	fine(client_parse(a, S("x"), S(SAYS(",\"jwks_uri\":\"https://a.example/keys\",\"userinfo_encrypted_response_alg\":\"RSA-OAEP-256\"")), &c));
	static const char *const WRONG[] = {
		SAYS(",\"id_token_encrypted_response_alg\":\"ECDH-ES\""), SAYS(KEY ",\"id_token_encrypted_response_alg\":\"RSA-OAEP-256\""),
		SAYS(KEY ",\"userinfo_encrypted_response_alg\":\"RSA1_5\""), SAYS(KEY ",\"id_token_encrypted_response_alg\":\"dir\""),
		SAYS(KEY ",\"introspection_encrypted_response_alg\":\"PBES2-HS256+A128KW\""), SAYS(KEY ",\"id_token_encrypted_response_enc\":\"A256GCM\""),
		SAYS(KEY ",\"id_token_encrypted_response_alg\":\"ECDH-ES\",\"id_token_encrypted_response_enc\":\"A128GCM\""),
		SAYS(",\"id_token_encrypted_response_alg\":\"ECDH-ES\",\"jwks\":{\"keys\":[{" EC_SHUT ",\"use\":\"sig\"}]}"),
		SAYS(",\"jwks_uri\":\"https://a.example/keys\",\"authorization_encrypted_response_alg\":\"ECDH-ES\""),
		SAYS(",\"jwks_uri\":\"https://a.example/keys\",\"jwks\":{\"keys\":[{" EC_SHUT ",\"use\":\"enc\"}]}"),
	};
	for (size_t i = 0; i < sizeof WRONG / sizeof *WRONG; i++)
		fails(client_parse(a, S("x"), str_of(WRONG[i]), &c), BAD_CONFIG);
	arena_free(a);
}

#define TWO_KEYS ",\"jwks\":{\"keys\":[{" EC_SHUT "},{\"kty\":\"RSA\",\"e\":\"AQAB\",\"n\":\"" N_2048 "\"}]}"
#define N_2048 "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl" \
	"93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_" \
	"xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"   /* RFC 7638 section 3.1 */

TEST(what_discovery_says_of_signing_and_encrypting_is_what_a_registration_may_say)
{
	struct world *w = world();
	json_t *o = json_of(w, ask(w, "GET", "/.well-known/openid-configuration", "", ""));
	static const char *const OF[] = { "id_token", "userinfo", "introspection", "authorization" };
	struct client c;
	size_t tried = 0;
	for (size_t i = 0; i < sizeof OF / sizeof *OF; i++) {
		struct strs sign = json_strs(w->a, o, str_fmt(w->a, "%s_signing_alg_values_supported", OF[i]).p);
		struct strs alg = json_strs(w->a, o, str_fmt(w->a, "%s_encryption_alg_values_supported", OF[i]).p);
		struct strs enc = json_strs(w->a, o, str_fmt(w->a, "%s_encryption_enc_values_supported", OF[i]).p);
		for (size_t n = 0; n < sign.n * alg.n * enc.n; n++, tried++)
			fine(client_parse(w->a, S("x"), str_fmt(w->a, SAYS("%s,\"%s_signed_response_alg\":\"%s\","
				"\"%s_encrypted_response_alg\":\"%s\",\"%s_encrypted_response_enc\":\"%s\""), TWO_KEYS, OF[i], sign.v[n % sign.n].p,
				OF[i], alg.v[n / sign.n % alg.n].p, OF[i], enc.v[n / sign.n / alg.n].p), &c));
	}
	assert_int_equal(tried, 4 * 4 * 3 * 2);
}
