#include "jose_t.h"
#include "code.h"
#include "hash.h"
#include "jws.h"
#include "file.h"
#include "shelf.h"
#include <jwt.h>
#include <openssl/evp.h>

static struct str compact(struct arena *a, const char *header, const char *payload, const char *sig)
{
	return str_fmt(a, "%s.%s.%s", b64url(a, str_bytes(str_of(header))).p, b64url(a, str_bytes(str_of(payload))).p, sig);
}

static struct str signed_by(struct arena *a, struct signer *s, const char *header, const char *payload)
{
	unsigned char sig[512];
	size_t n;
	struct str input = str_fmt(a, "%s.%s", b64url(a, str_bytes(str_of(header))).p, b64url(a, str_bytes(str_of(payload))).p);
	fine(signer_sign(s, a, str_bytes(input), sig, &n));
	return str_fmt(a, "%s.%s", input.p, b64url(a, (struct bytes){ sig, n }).p);
}

static const char *const OURS[] = { "RS256", "PS256", "ES256", "EdDSA" };

TEST(what_is_signed_verifies_and_says_what_was_signed)
{
	struct arena *a = arena_new();
	for (size_t i = 0; i < 4; i++) {
		struct signer *s = t_signer(a, OURS[i], "key-1");
		struct str token;
		struct jws t;
		json_t *claims;
		fine(jws_sign(a, s, S("at+jwt"), S("{\"sub\":\"Nguy\xe1\xbb\x85n\",\"n\":1}"), &token));
		fine(jws_read(a, token, &t));
		assert_str(t.kid, "key-1");
		assert_str(t.typ, "at+jwt");
		assert_str(t.alg, OURS[i]);
		fine(jws_verify(a, token, t_public(a, s), S("RS256 PS256 ES256 EdDSA"), S("at+jwt"), &claims));
		assert_true(str_is(json_text(claims, "sub"), "Nguy\xe1\xbb\x85n"));
	}
	arena_free(a);
}

TEST(no_typ_is_left_out)
{
	struct arena *a = arena_new();
	struct str token;
	struct jws t;
	fine(jws_sign(a, t_signer(a, "ES256", "k"), S(""), S("{}"), &token));
	fine(jws_read(a, token, &t));
	assert_null(json_object_get(t.header, "typ"));
	arena_free(a);
}

/* SEC-10: every proper prefix and every flipped bit */
TEST(a_token_with_one_bit_changed_or_cut_short_is_refused)
{
	struct arena *a = arena_new();
	struct signer *s = t_signer(a, "ES256", "k");
	struct key *k = t_public(a, s);
	struct str token;
	json_t *claims;
	fine(jws_sign(a, s, S("JWT"), S("{\"sub\":\"1\"}"), &token));
	fine(jws_verify(a, token, k, S("ES256"), S("JWT"), &claims));
	for (size_t i = 0; i < token.n; i++) {
		fails(jws_verify(a, str_dup(a, token.p, i), k, S("ES256"), S("JWT"), &claims), INVALID_TOKEN);
		for (int bit = 0; bit < 8; bit++) {
			struct str other = str_copy(a, token);
			((char *)(uintptr_t)other.p)[i] = (char)(token.p[i] ^ (1 << bit));
			fails(jws_verify(a, other, k, S("ES256"), S("JWT"), &claims), INVALID_TOKEN);
		}
	}
	arena_free(a);
}

TEST(a_token_has_one_spelling)
{
	struct arena *a = arena_new();
	struct signer *s = t_signer(a, "ES256", "k");
	struct key *k = t_public(a, s);
	struct str token;
	json_t *claims;
	fine(jws_sign(a, s, S("JWT"), S("{\"sub\":\"1\"}"), &token));
	static const char *const AFTER[] = { "=", "==", "\n", " ", "!!", ".", "A", ".e30", "\xc3\xa9" };
	for (size_t i = 0; i < sizeof AFTER / sizeof *AFTER; i++) {
		fails(jws_verify(a, str_fmt(a, "%s%s", token.p, AFTER[i]), k, S("ES256"), S("JWT"), &claims), INVALID_TOKEN);
		fails(jws_verify(a, str_fmt(a, "%s%s", AFTER[i], token.p), k, S("ES256"), S("JWT"), &claims), INVALID_TOKEN);
		size_t dot = (size_t)(strchr(token.p, '.') - token.p);
		fails(jws_verify(a, str_fmt(a, "%.*s%s%s", (int)dot, token.p, AFTER[i], token.p + dot), k, S("ES256"), S("JWT"), &claims), INVALID_TOKEN);
	}
	arena_free(a);
}

/* The header is signed by the right key each time: only what it says is wrong. */
TEST(a_header_with_one_thing_wrong_is_refused)
{
	struct arena *a = arena_new();
	struct signer *s = t_signer(a, "ES256", "k");
	struct key *k = t_public(a, s);
	json_t *claims;
	static const char *const RIGHT[] = {
		"{\"alg\":\"ES256\"}", "{\"alg\":\"ES256\",\"typ\":\"jwt\"}", "{ \"typ\":\"application/JWT\", \"alg\":\"ES256\", \"kid\":\"\" }",
		"{\"alg\":\"ES256\",\"jku\":\"https://evil.example/keys\",\"x5u\":\"https://evil.example/x\",\"jwk\":{},\"x5c\":[]}",
	};
	static const char *const WRONG[] = {
		"", "{}", "[]", "\"ES256\"", "null", "{\"alg\":\"ES256\"", "{\"alg\":\"ES256\"} ,", "{\"alg\":\"ES256\"}{}",
		"{\"alg\":\"none\"}", "{\"alg\":\"None\"}", "{\"alg\":\"nOnE\"}", "{\"alg\":\"\"}", "{\"alg\":null}", "{\"alg\":[\"ES256\"]}",
		"{\"alg\":\"es256\"}", "{\"alg\":\"ES256 \"}", "{\"alg\":\"ES256K\"}", "{\"alg\":\"ES384\"}", "{\"alg\":\"RS256\"}", "{\"alg\":\"HS256\"}",
		"{\"alg\":\"ES256\\u0000\"}", "{\"alg\":\"HS256\",\"alg\":\"ES256\"}", "{\"alg\":\"ES256\",\"alg\":\"ES256\"}",
		"{\"alg\":\"ES256\",\"crit\":[\"exp\"]}", "{\"alg\":\"ES256\",\"crit\":[]}", "{\"alg\":\"ES256\",\"crit\":null}",
		"{\"alg\":\"ES256\",\"b64\":false}", "{\"alg\":\"ES256\",\"b64\":true}", "{\"alg\":\"ES256\",\"b64\":false,\"crit\":[\"b64\"]}",
		"{\"alg\":\"ES256\",\"zip\":\"DEF\"}", "{\"alg\":\"ES256\",\"enc\":\"A128GCM\"}", "{\"alg\":\"ES256\",\"kid\":7}", "{\"alg\":\"ES256\",\"typ\":{}}",
		"{\"alg\":\"ES256\",\"kid\":\"0123456789012345678901234567890123456789012345678901234567890123x\"}",
		"{\"alg\":\"ES256\",\"x\":[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]}",
	};
	for (size_t i = 0; i < sizeof RIGHT / sizeof *RIGHT; i++)
		fine(jws_verify(a, signed_by(a, s, RIGHT[i], "{}"), k, S("ES256"), S(""), &claims));
	for (size_t i = 0; i < sizeof WRONG / sizeof *WRONG; i++)
		fails(jws_verify(a, signed_by(a, s, WRONG[i], "{}"), k, S("ES256"), S(""), &claims), INVALID_TOKEN);
	arena_free(a);
}

TEST(claims_that_are_no_object_are_refused)
{
	struct arena *a = arena_new();
	struct signer *s = t_signer(a, "EdDSA", "k");
	struct key *k = t_public(a, s);
	json_t *claims;
	static const char *const WRONG[] = { "", "[]", "1", "null", "{\"a\":1,\"a\":2}", "{\"a\":\"\\u0000\"}", "{} x", "\xff", "{\"a\":\"\xc0\x80\"}" };
	fine(jws_verify(a, signed_by(a, s, "{\"alg\":\"EdDSA\"}", "{\"a\":1}"), k, S("EdDSA"), S(""), &claims));
	for (size_t i = 0; i < sizeof WRONG / sizeof *WRONG; i++)
		fails(jws_verify(a, signed_by(a, s, "{\"alg\":\"EdDSA\"}", WRONG[i]), k, S("EdDSA"), S(""), &claims), INVALID_TOKEN);
	arena_free(a);
}

/* CVE-2016-10555: the public key as the secret of an HMAC */
TEST(a_public_key_is_no_secret)
{
	struct arena *a = arena_new();
	struct key *k = t_public(a, t_signer(a, "RS256", "k"));
	struct bytes spki = key_spki(k, a);
	unsigned char mac[32];
	size_t mac_n;
	struct str half = str_fmt(a, "%s.e30", b64url(a, str_bytes(S("{\"alg\":\"HS256\"}"))).p);
	json_t *claims;
	assert_non_null(EVP_Q_mac(NULL, "HMAC", NULL, "SHA256", NULL, spki.p, spki.n, (const unsigned char *)half.p, half.n, mac, sizeof mac, &mac_n));
	fails(jws_verify(a, str_fmt(a, "%s.%s", half.p, b64url(a, (struct bytes){ mac, mac_n }).p), k, S("HS256 RS256"), S(""), &claims), INVALID_TOKEN);
	fails(jws_verify(a, compact(a, "{\"alg\":\"none\"}", "{}", ""), k, S("none RS256"), S(""), &claims), INVALID_TOKEN);
	arena_free(a);
}

TEST(alg_and_typ_are_what_was_asked_for)
{
	struct arena *a = arena_new();
	struct signer *s = t_signer(a, "ES256", "k");
	struct key *k = t_public(a, s);
	json_t *claims;
	struct str at = signed_by(a, s, "{\"alg\":\"ES256\",\"typ\":\"at+jwt\"}", "{}"), full = signed_by(a, s, "{\"alg\":\"ES256\",\"typ\":\"Application/AT+JWT\"}", "{}");
	struct str none = signed_by(a, s, "{\"alg\":\"ES256\"}", "{}"), other = signed_by(a, s, "{\"alg\":\"ES256\",\"typ\":\"application/x/at+jwt\"}", "{}");
	fine(jws_verify(a, at, k, S("RS256 ES256"), S("at+jwt"), &claims));
	fine(jws_verify(a, at, k, S("ES256"), S("application/at+jwt"), &claims));
	fine(jws_verify(a, full, k, S("ES256"), S("at+jwt"), &claims));
	fine(jws_verify(a, none, k, S("ES256"), S(""), &claims));
	fails(jws_verify(a, at, k, S("RS256 ES384"), S("at+jwt"), &claims), INVALID_TOKEN);
	fails(jws_verify(a, at, k, S(""), S("at+jwt"), &claims), INVALID_TOKEN);
	fails(jws_verify(a, at, k, S("ES256"), S("logout+jwt"), &claims), INVALID_TOKEN);
	fails(jws_verify(a, none, k, S("ES256"), S("at+jwt"), &claims), INVALID_TOKEN);
	fails(jws_verify(a, other, k, S("ES256"), S("at+jwt"), &claims), INVALID_TOKEN);
	arena_free(a);
}

/* SEC-39 */
TEST(tokens_and_headers_have_a_longest)
{
	struct arena *a = arena_new();
	struct signer *s = t_signer(a, "EdDSA", "k");
	struct jws t;
	struct str token;
	char *big = arena_alloc(a, 20000);
	memset(big, 'x', 19999);
	fine(jws_sign(a, s, S(""), str_fmt(a, "{\"a\":\"%.*s\"}", 12000, big), &token));
	fine(jws_read(a, token, &t));
	fails(jws_sign(a, s, S(""), str_fmt(a, "{\"a\":\"%.*s\"}", 12300, big), &token), TOO_LARGE);
	fine(jws_read(a, signed_by(a, s, str_fmt(a, "{\"alg\":\"EdDSA\",\"x\":\"%.*s\"}", 6000, big).p, "{}"), &t));
	fails(jws_read(a, signed_by(a, s, str_fmt(a, "{\"alg\":\"EdDSA\",\"x\":\"%.*s\"}", 6200, big).p, "{}"), &t), INVALID_TOKEN);
	fails(jws_read(a, signed_by(a, s, "{\"alg\":\"EdDSA\"}", str_dup(a, big, 12300).p), &t), INVALID_TOKEN);
	arena_free(a);
}

TEST(times_hold_within_the_skew_and_are_integers)
{
	struct arena *a = arena_new();
	enum { NOW = 1800000000 };
	static const struct { const char *claims; bool good; } ROWS[] = {
		{ "{\"exp\":1800000001}", true }, { "{\"exp\":1800000000}", true }, { "{\"exp\":1799999991}", true }, { "{\"exp\":1799999990}", false },
		{ "{\"nbf\":1800000010}", true }, { "{\"nbf\":1800000011}", false }, { "{\"iat\":1800000010}", true }, { "{\"iat\":1800000011}", false },
		{ "{}", true }, { "{\"exp\":1.9e9}", false }, { "{\"exp\":\"1900000000\"}", false }, { "{\"exp\":null}", false }, { "{\"exp\":true}", false },
		{ "{\"nbf\":1.5}", false }, { "{\"iat\":0.5}", false }, { "{\"exp\":9223372036854775807,\"nbf\":-9223372036854775808}", true },
		{ "{\"exp\":-9223372036854775808}", false }, { "{\"nbf\":9223372036854775807}", false },
	};
	for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
		err e = jwt_check_times(a, t_json(a, ROWS[i].claims), NOW, 10, S(""));
		if (e.kind != (ROWS[i].good ? NULL : &INVALID_TOKEN))
			fail_msg("%s: %s", ROWS[i].claims, e.kind ? e.why : "accepted");
	}
	fine(jwt_check_times(a, t_json(a, "{\"exp\":1800000001,\"jti\":\"1\"}"), NOW, 0, S("exp jti")));
	fails(jwt_check_times(a, t_json(a, "{\"exp\":1800000001}"), NOW, 0, S("exp jti")), INVALID_TOKEN);
	arena_free(a);
}

/* ---- independent verifiers --------------------------------------------------------------------------------------- */

static struct str pem(struct arena *a, struct bytes spki)
{
	struct str s = b64(a, spki);
	struct buf b = buf_new(a, 1024, 4096);
	buf_str(&b, S("-----BEGIN PUBLIC KEY-----\n"));
	for (size_t i = 0; i < s.n; i += 64)
		buf_fmt(&b, "%.*s\n", (int)(s.n - i < 64 ? s.n - i : 64), s.p + i);
	buf_str(&b, S("-----END PUBLIC KEY-----\n"));
	return (struct str){ b.p, b.n };
}

/* libjwt refuses every typ but JWT and knows neither PS256 nor EdDSA */
TEST(libjwt_verifies_what_we_sign)
{
	struct arena *a = arena_new();
	static const struct { const char *alg; jwt_alg_t is; } ROWS[] = { { "RS256", JWT_ALG_RS256 }, { "ES256", JWT_ALG_ES256 } };
	for (size_t i = 0; i < 2; i++)
		for (int round = 0; round < 32; round++) {         /* so that r and s come with leading zeros now and then */
			if (i == 0 && round > 2)
				break;
			struct signer *s = t_signer(a, ROWS[i].alg, "k");
			struct str token, key = pem(a, key_spki(t_public(a, s), a));
			fine(jws_sign(a, s, S("JWT"), str_fmt(a, "{\"sub\":\"%d\"}", round), &token));
			jwt_t *jwt = NULL;
			assert_int_equal(jwt_decode(&jwt, token.p, (const unsigned char *)key.p, (int)key.n), 0);
			assert_int_equal(jwt_get_alg(jwt), ROWS[i].is);
			assert_string_equal(jwt_get_grant(jwt, "sub"), str_fmt(a, "%d", round).p);
			jwt_free(jwt);
			struct str wrong = str_fmt(a, "%.*sAAAA", (int)token.n - 4, token.p);
			assert_int_not_equal(jwt_decode(&jwt, wrong.p, (const unsigned char *)key.p, (int)key.n), 0);
		}
	arena_free(a);
}

static const struct { const char *file; bool ours; } COOKBOOK[] = {
	{ "jws/4_1.rsa_v15_signature.json", true },
	{ "jws/4_2.rsa-pss_signature.json", true },
	{ "jws/4_3.ecdsa_signature.json", true },
	{ "jws/4_4.hmac-sha2_integrity_protection.json", false },   /* symmetric: refused */
	{ "curve25519/jws.json", true },
};

/* RFC 7520 section 4, RFC 8037 appendix A.4. The keys are private ones there: their public members are taken. */
static struct key *public_of(struct arena *a, const json_t *key)
{
	json_t *jwk = json_own(a, json_copy((json_t *)(uintptr_t)key));
	static const char *const PRIVATE[] = { "d", "p", "q", "dp", "dq", "qi" };
	struct key *k;
	fails(key_from_jwk(a, jwk, &k), INVALID_REQUEST);
	for (size_t i = 0; i < 6; i++)
		json_object_del(jwk, PRIVATE[i]);
	fine(key_from_jwk(a, jwk, &k));
	arena_defer(a, key_drop_later, k);
	return k;
}

TEST(the_cookbook_verifies)
{
	if (!t_corpora())
		skip();
	struct arena *a = arena_new();
	for (size_t i = 0; i < sizeof COOKBOOK / sizeof *COOKBOOK; i++) {
		struct str text;
		struct jws t;
		fine(file_read(a, str_fmt(a, "%s/jose-cookbook/%s", t_corpora(), COOKBOOK[i].file).p, 1 << 16, &text));
		json_t *v = t_json(a, text.p);
		const json_t *input = json_object_get(v, "input");
		struct str token = json_text(json_object_get(v, "output"), "compact");
		if (!COOKBOOK[i].ours) {
			fails(jws_read(a, token, &t), INVALID_TOKEN);
			continue;
		}
		fine(jws_read(a, token, &t));
		assert_true(str_eq(t.payload, json_text(input, "payload")));
		struct key *k = public_of(a, json_object_get(input, "key"));
		assert_true(key_verify(k, t.alg, str_bytes(t.signing_input), t.signature));
		((unsigned char *)(uintptr_t)t.signature.p)[3] ^= 4;
		assert_false(key_verify(k, t.alg, str_bytes(t.signing_input), t.signature));
	}
	arena_free(a);
}

/* ---- by the key in its own header ---------------------------------------------------------------------------------- */

static err by_own(struct arena *a, struct shelf *shelf, struct signer *s, struct str jwk)
{
	struct key *k;
	json_t *claims;
	struct str token = signed_by(a, s, str_fmt(a, "{\"alg\":\"ES256\",\"typ\":\"dpop+jwt\",\"jwk\":%s}", jwk.p).p, "{}");
	err e = jws_verify_by_own(a, shelf, token, S("ES256"), S("dpop+jwt"), &k, &claims);
	if (!e.kind)
		assert_string_equal(key_thumbprint(k, a).p, key_thumbprint(t_public(a, s), a).p);
	return e;
}

/* SEC-12: a key that was taken before is taken for what its JWK says now, and checks what its own half has signed. */
TEST(a_token_verifies_by_the_key_it_carries_whether_that_was_seen_before_or_not)
{
	struct arena *a = arena_new();
	struct signer *s = t_signer(a, "ES256", "k"), *other = t_signer(a, "ES256", "k");
	struct str jwk = signer_public_jwk(s), theirs = signer_public_jwk(other);
	struct str spoiled = str_fmt(a, "%.*s,\"d\":\"AAAA\"}", (int)jwk.n - 1, jwk.p);
	struct shelf *shelf;
	fine(shelf_new(a, &shelf));
	for (size_t i = 0; i < 3; i++) {
		struct shelf *with = i ? shelf : NULL;
		fine(by_own(a, with, s, jwk));
		fine(by_own(a, with, other, theirs));
		fails(by_own(a, with, other, jwk), INVALID_TOKEN);
		fails(by_own(a, with, s, spoiled), INVALID_TOKEN);
		fails(by_own(a, with, s, S("{}")), INVALID_TOKEN);
		fails(by_own(a, with, s, S("\"x\"")), INVALID_TOKEN);
	}
	shelf_free(shelf);
	arena_free(a);
}

TEST(a_shelf_of_keys_is_bounded_and_keeps_no_wrong_one)
{
	struct arena *a = arena_new();
	struct shelf *shelf;
	json_t *jwk;
	struct key *k, *again;
	fine(shelf_new(a, &shelf));
	for (int i = 0; i < 3000; i++) {
		struct str text = str_fmt(a, "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"%s\"}", hash_of(a, str_fmt(a, "%d", i)).p);
		fine(json_read_object(a, text, &jwk));
		fine(shelf_key(shelf, a, jwk, &k));
		fine(shelf_key(shelf, a, jwk, &again));
		assert_ptr_equal(k, again);
		key_drop(again);
		fine(key_from_jwk(a, jwk, &again));
		assert_string_equal(key_thumbprint(k, a).p, key_thumbprint(again, a).p);
		key_drop(again);
		key_drop(k);
	}
	shelf_free(shelf);
	arena_free(a);
}
