#include "jose_t.h"
#include "code.h"
#include <pthread.h>
#include <stdatomic.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#define N2048 "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMs" \
	"tn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbI" \
	"SD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"
#define X256 "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"
#define Y256 "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"
#define ED "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"

#define RSA_JWK(more) "{\"kty\":\"RSA\",\"n\":\"" N2048 "\",\"e\":\"AQAB\"" more "}"
#define EC_JWK(more) "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" X256 "\",\"y\":\"" Y256 "\"" more "}"
#define ED_JWK(more) "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"" ED "\"" more "}"

static void refused(struct arena *a, const char *jwk)
{
	struct key *k = NULL;
	err e = key_from_jwk(a, t_json(a, jwk), &k);
	if (e.kind != &INVALID_REQUEST)
		fail_msg("%s was not refused", jwk);
}

TEST(a_key_is_known_by_its_thumbprint)
{
	struct arena *a = arena_new();
	/* RFC 7638 section 3.1; RFC 8037 appendix A.3 */
	assert_str(key_thumbprint(t_key(a, RSA_JWK(",\"alg\":\"RS256\",\"kid\":\"2011-04-29\"")), a), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
	assert_str(key_thumbprint(t_key(a, ED_JWK("")), a), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
	assert_int_equal(key_kind(t_key(a, EC_JWK(""))), KEY_P256);
	arena_free(a);
}

TEST(a_jwk_with_one_thing_wrong_is_refused)
{
	struct arena *a = arena_new();
	static const char *const WRONG[] = {
		RSA_JWK(",\"d\":\"AQAB\""), RSA_JWK(",\"k\":\"AQAB\""), EC_JWK(",\"d\":\"" X256 "\""), ED_JWK(",\"d\":\"" ED "\""),
		RSA_JWK(",\"alg\":\"ES256\""), EC_JWK(",\"alg\":\"ES384\""), EC_JWK(",\"alg\":\"none\""), EC_JWK(",\"alg\":7"),
		EC_JWK(",\"use\":\"enc\""), EC_JWK(",\"key_ops\":[\"sign\"]"), EC_JWK(",\"use\":3"),
		"{\"kty\":\"RSA\",\"n\":\"" N2048 "=\",\"e\":\"AQAB\"}",
		"{\"kty\":\"RSA\",\"n\":\"AN" N2048 "\",\"e\":\"AQAB\"}",
		"{\"kty\":\"RSA\",\"n\":\"" N2048 "\",\"e\":\"AQ\"}",                     /* 1 */
		"{\"kty\":\"RSA\",\"n\":\"" N2048 "\",\"e\":\"BA\"}",                     /* 4 */
		"{\"kty\":\"RSA\",\"n\":\"" N2048 "\",\"e\":\"AAEAAQ\"}",                 /* 00 01 00 01 */
		"{\"kty\":\"RSA\",\"n\":\"" N2048 "\",\"e\":\"\"}",
		"{\"kty\":\"RSA\",\"n\":\"" N2048 "\",\"e\":65537}",
		"{\"kty\":\"RSA\",\"n\":\"" ED "\",\"e\":\"AQAB\"}",                      /* 255 bits */
		"{\"kty\":\"RSA\",\"n\":\"" N2048 N2048 N2048 "\",\"e\":\"AQAB\"}",
		"{\"kty\":\"rsa\",\"n\":\"" N2048 "\",\"e\":\"AQAB\"}",
		"{\"kty\":\"oct\",\"k\":\"" X256 "\"}",
		"{\"kty\":\"EC\",\"crv\":\"P-384\",\"x\":\"" X256 "\",\"y\":\"" Y256 "\"}",
		"{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" X256 "\",\"y\":\"" X256 "\"}",
		"{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" X256 "\"}",
		"{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AA" X256 "\",\"y\":\"" Y256 "\"}",
		"{\"kty\":\"EC\",\"crv\":\"prime256v1\",\"x\":\"" X256 "\",\"y\":\"" Y256 "\"}",
		"{\"kty\":\"EC\",\"crv\":\"Ed25519\",\"x\":\"" ED "\"}",
		"{\"kty\":\"OKP\",\"crv\":\"X25519\",\"x\":\"" ED "\"}",
		"{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"" ED "A\"}",
		"{}", "[]", "\"" ED "\"",
	};
	for (size_t i = 0; i < sizeof WRONG / sizeof *WRONG; i++)
		refused(a, WRONG[i]);
	arena_free(a);
}

TEST(a_key_goes_through_its_spki_unchanged)
{
	struct arena *a = arena_new();
	static const char *const JWKS[] = { RSA_JWK(""), EC_JWK(""), ED_JWK("") };
	for (size_t i = 0; i < 3; i++) {
		struct key *k = t_key(a, JWKS[i]), *again, *none;
		struct bytes der = key_spki(k, a);
		fine(key_from_spki(a, der, &again));
		assert_true(str_eq(key_thumbprint(k, a), key_thumbprint(again, a)));
		key_drop(again);
		unsigned char *longer = arena_alloc(a, der.n + 1);
		memcpy(longer, der.p, der.n);
		fails(key_from_spki(a, (struct bytes){ longer, der.n + 1 }, &none), INVALID_REQUEST);
		for (size_t n = 0; n < der.n; n++)
			fails(key_from_spki(a, (struct bytes){ der.p, n }, &none), INVALID_REQUEST);
	}
	arena_free(a);
}

static err spki_of(struct arena *a, EVP_PKEY *p)
{
	unsigned char *der = NULL;
	struct key *k = NULL;
	assert_non_null(p);
	int n = i2d_PUBKEY(p, &der);
	assert_true(n > 0);
	err e = key_from_spki(a, (struct bytes){ der, (size_t)n }, &k);
	key_drop(k);
	OPENSSL_free(der);
	EVP_PKEY_free(p);
	return e;
}

TEST(weak_and_strange_keys_are_refused_and_their_twins_are_not)
{
	struct arena *a = arena_new();
	fine(spki_of(a, EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)2048)));
	fails(spki_of(a, EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)1024)), INVALID_REQUEST);
	fails(spki_of(a, EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)2040)), INVALID_REQUEST);
	fine(spki_of(a, EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-521")));
	fails(spki_of(a, EVP_PKEY_Q_keygen(NULL, NULL, "EC", "secp256k1")), INVALID_REQUEST);
	fails(spki_of(a, EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-224")), INVALID_REQUEST);
	fine(spki_of(a, EVP_PKEY_Q_keygen(NULL, NULL, "ED25519")));
	fails(spki_of(a, EVP_PKEY_Q_keygen(NULL, NULL, "ED448")), INVALID_REQUEST);
	fails(spki_of(a, EVP_PKEY_Q_keygen(NULL, NULL, "X25519")), INVALID_REQUEST);
	EVP_PKEY *explicit = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
	assert_int_equal(EVP_PKEY_set_utf8_string_param(explicit, OSSL_PKEY_PARAM_EC_ENCODING, OSSL_PKEY_EC_ENCODING_EXPLICIT), 1);
	fails(spki_of(a, explicit), INVALID_REQUEST);
	arena_free(a);
}

TEST(each_signature_verifies_with_its_own_alg_and_key_and_with_no_other)
{
	struct arena *a = arena_new();
	static const char *const MADE[] = { "RS256", "PS256", "ES256", "EdDSA" };
	static const char *const ALGS[] = { "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "none", "HS256", "rs256", "" };
	struct key *keys[4];
	struct signer *signers[4];
	for (size_t i = 0; i < 4; i++)
		signers[i] = t_signer(a, MADE[i], "k"), keys[i] = t_public(a, signers[i]);
	for (size_t i = 0; i < 4; i++) {
		unsigned char sig[512];
		size_t n;
		struct bytes input = str_bytes(S("what is signed"));
		fine(signer_sign(signers[i], a, input, sig, &n));
		for (size_t k = 0; k < 4; k++)
			for (size_t g = 0; g < sizeof ALGS / sizeof *ALGS; g++)
				assert_int_equal(key_verify(keys[k], str_of(ALGS[g]), input, (struct bytes){ sig, n }), k == i && strcmp(ALGS[g], MADE[i]) == 0);
		assert_false(key_verify(keys[i], str_of(MADE[i]), str_bytes(S("what is singed")), (struct bytes){ sig, n }));
		assert_false(key_verify(keys[i], str_of(MADE[i]), input, (struct bytes){ sig, n - 1 }));
		assert_false(key_verify(keys[i], str_of(MADE[i]), input, (struct bytes){ sig, n + 1 }));
	}
	arena_free(a);
}

TEST(an_alg_in_the_jwk_binds_the_key)
{
	struct arena *a = arena_new();
	struct signer *s = t_signer(a, "PS256", "k");
	unsigned char sig[512];
	size_t n;
	struct bytes input = str_bytes(S("x"));
	fine(signer_sign(s, a, input, sig, &n));
	struct key *free_key, *bound = t_public(a, s);
	fine(key_from_spki(a, key_spki(bound, a), &free_key));
	assert_true(key_verify(bound, S("PS256"), input, (struct bytes){ sig, n }));
	assert_true(key_verify(free_key, S("PS256"), input, (struct bytes){ sig, n }));
	key_drop(free_key);
	json_t *jwk = t_json(a, signer_public_jwk(s).p);
	json_object_set_new(jwk, "alg", json_string("RS256"));
	struct key *other;
	fine(key_from_jwk(a, jwk, &other));
	assert_false(key_verify(other, S("PS256"), input, (struct bytes){ sig, n }));
	key_drop(other);
	arena_free(a);
}

TEST(an_ecdsa_signature_of_zeros_or_in_der_does_not_verify)
{
	struct arena *a = arena_new();
	static const unsigned char ZERO[64];
	struct key *k = t_key(a, EC_JWK(""));
	assert_false(key_verify(k, S("ES256"), str_bytes(S("x")), (struct bytes){ ZERO, 64 }));
	static const unsigned char DER[] = { 0x30, 6, 2, 1, 1, 2, 1, 1 };
	assert_false(key_verify(k, S("ES256"), str_bytes(S("x")), (struct bytes){ DER, sizeof DER }));
	arena_free(a);
}

struct shared { struct signer *signer; struct key *key; struct str alg; int rounds; atomic_int good; };

static void *sign_and_verify(void *p)
{
	struct shared *s = p;
	struct arena *a = arena_new();
	for (int i = 0; i < s->rounds; i++) {
		unsigned char sig[512];
		size_t n;
		struct str input = str_fmt(a, "%d %p", i, (void *)&n);
		if (!signer_sign(s->signer, a, str_bytes(input), sig, &n).kind && key_verify(s->key, s->alg, str_bytes(input), (struct bytes){ sig, n })
			&& !key_verify(s->key, s->alg, str_bytes(S("other")), (struct bytes){ sig, n }))
			atomic_fetch_add(&s->good, 1);
	}
	arena_free(a);
	return NULL;
}

TEST(one_key_serves_many_threads_at_once)
{
	static const struct { const char *alg; int rounds; } ROWS[] = { { "ES256", 200 }, { "EdDSA", 50 }, { "RS256", 20 }, { "PS256", 20 } };
	enum { THREADS = 8 };
	struct arena *a = arena_new();
	for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
		pthread_t thread[THREADS];
		struct shared s = { t_signer(a, ROWS[i].alg, "k"), NULL, str_of(ROWS[i].alg), ROWS[i].rounds, 0 };
		s.key = t_public(a, s.signer);
		for (int k = 0; k < THREADS; k++)
			assert_int_equal(pthread_create(&thread[k], NULL, sign_and_verify, &s), 0);
		for (int k = 0; k < THREADS; k++)
			pthread_join(thread[k], NULL);
		assert_int_equal(atomic_load(&s.good), THREADS * ROWS[i].rounds);
	}
	arena_free(a);
}

#define SET(keys) "{\"keys\":[" keys "]}"

TEST(a_set_gives_the_key_that_kid_names_or_the_only_one_that_fits)
{
	struct arena *a = arena_new();
	struct key_set s;
	fine(key_set_read(a, t_json(a, SET(RSA_JWK(",\"kid\":\"r\"") "," EC_JWK(",\"kid\":\"e\",\"use\":\"sig\"") ","
		"{\"kty\":\"oct2\",\"kid\":\"?\"}," RSA_JWK(",\"kid\":\"c\",\"use\":\"enc\"") "," ED_JWK(",\"alg\":\"EdDSA\""))), &s));
	assert_int_equal(s.n, 3);
	assert_ptr_equal(key_set_find(&s, S("e"), S("ES256")), s.v[1].key);
	assert_null(key_set_find(&s, S("e"), S("RS256")));
	assert_null(key_set_find(&s, S("c"), S("RS256")));
	assert_null(key_set_find(&s, S("E"), S("ES256")));
	assert_ptr_equal(key_set_find(&s, S(""), S("PS256")), s.v[0].key);
	assert_ptr_equal(key_set_find(&s, S(""), S("EdDSA")), s.v[2].key);
	assert_null(key_set_find(&s, S(""), S("")));
	fine(key_set_read(a, t_json(a, SET(EC_JWK("") "," EC_JWK(""))), &s));
	assert_null(key_set_find(&s, S(""), S("ES256")));
	arena_free(a);
}

TEST(a_set_with_a_private_key_a_doubled_kid_or_no_array_is_refused)
{
	struct arena *a = arena_new();
	struct key_set s;
	fine(key_set_read(a, t_json(a, SET(RSA_JWK(",\"kid\":\"a\"") "," EC_JWK(",\"kid\":\"b\""))), &s));
	fails(key_set_read(a, t_json(a, SET(RSA_JWK(",\"kid\":\"a\"") "," EC_JWK(",\"kid\":\"a\""))), &s), INVALID_REQUEST);
	fails(key_set_read(a, t_json(a, SET(RSA_JWK("") "," EC_JWK(",\"d\":\"" X256 "\""))), &s), INVALID_REQUEST);
	fails(key_set_read(a, t_json(a, SET("{\"kty\":\"oct\",\"k\":\"" X256 "\"}")), &s), INVALID_REQUEST);
	fails(key_set_read(a, t_json(a, "{\"keys\":{}}"), &s), INVALID_REQUEST);
	fails(key_set_read(a, t_json(a, "[]"), &s), INVALID_REQUEST);
	arena_free(a);
}
