#include "corpus.h"
#include "code.h"
#include "json.h"
#include "jwe.h"
#include "jws.h"
#include "inside/cipher.h"
#include "inside/jose.h"
#include <openssl/core_names.h>
#include <openssl/param_build.h>

/* Other people's vectors for what JWE is made of, and the whole of the JOSE cookbook (RFC 7520, 7797, 8037): what of it we do not do is
 * listed in corpora_jose.except with the reason. Vectors of other key sizes than ours are passed over by rule, and the rest are counted. */

static json_t *load(struct arena *a, const char *path)
{
	json_t *v = json_own(a, json_load_file(str_fmt(a, "%s/%s", t_corpora(), path).p, 0, NULL));
	assert_non_null(v);
	return v;
}

/* ---- cookbook ---------------------------------------------------------------------------------------------------- */

enum what { JWS_FILE, JWE_FILE, JWK_FILE, NESTED_FILE };
static const struct { const char *name; enum what what; } COOKBOOK[] = {
	{ "jws/4_1.rsa_v15_signature", JWS_FILE }, { "jws/4_2.rsa-pss_signature", JWS_FILE }, { "jws/4_3.ecdsa_signature", JWS_FILE },
	{ "jws/4_4.hmac-sha2_integrity_protection", JWS_FILE }, { "jws/4_5.signature_with_detached_content", JWS_FILE },
	{ "jws/4_6.protecting_specific_header_fields", JWS_FILE }, { "jws/4_7.protecting_content_only", JWS_FILE },
	{ "jws/4_8.multiple_signatures", JWS_FILE }, { "curve25519/jws", JWS_FILE }, { "rfc7797/hmac-sha2_b64_false", JWS_FILE },
	{ "rfc7797/4.2.hmac-sha2_b64_false", JWS_FILE },
	{ "jwe/5_1.key_encryption_using_rsa_v15_and_aes-hmac-sha2", JWE_FILE }, { "jwe/5_2.key_encryption_using_rsa-oaep_with_aes-gcm", JWE_FILE },
	{ "jwe/5_3.key_wrap_using_pbes2-aes-keywrap_with-aes-cbc-hmac-sha2", JWE_FILE },
	{ "jwe/5_4.key_agreement_with_key_wrapping_using_ecdh-es_and_aes-keywrap_with_aes-gcm", JWE_FILE },
	{ "jwe/5_5.key_agreement_using_ecdh-es_with_aes-cbc-hmac-sha2", JWE_FILE }, { "jwe/5_6.direct_encryption_using_aes-gcm", JWE_FILE },
	{ "jwe/5_7.key_wrap_using_aes-gcm_keywrap_with_aes-cbc-hmac-sha2", JWE_FILE }, { "jwe/5_8.key_wrap_using_aes-keywrap_with_aes-gcm", JWE_FILE },
	{ "jwe/5_9.compressed_content", JWE_FILE }, { "jwe/5_10.including_additional_authentication_data", JWE_FILE },
	{ "jwe/5_11.protecting_specific_header_fields", JWE_FILE }, { "jwe/5_12.protecting_content_only", JWE_FILE },
	{ "jwe/5_13.encrypting_to_multiple_recipients", JWE_FILE }, { "curve25519/ecdh-es", JWE_FILE },
	{ "jwk/3_1.ec_public_key", JWK_FILE }, { "jwk/3_2.ec_private_key", JWK_FILE }, { "jwk/3_3.rsa_public_key", JWK_FILE },
	{ "jwk/3_4.rsa_private_key", JWK_FILE }, { "jwk/3_5.symmetric_key_mac_computation", JWK_FILE }, { "jwk/3_6.symmetric_key_encryption", JWK_FILE },
	{ "6.nesting_signatures_and_encryption", NESTED_FILE },
};
enum { COOKBOOK_N = sizeof COOKBOOK / sizeof *COOKBOOK };

static bool opens(struct arena *a, const json_t *v)
{
	const json_t *input = json_object_get(v, "input");
	struct str token = json_text(json_object_get(v, "output"), "compact");
	struct jwe_key *own;
	struct bytes plain;
	if (str_empty(token) || jwe_key_private(a, json_object_get(input, "key"), &own).kind)
		return false;
	return !jwe_decrypt(a, own, token, S("RSA-OAEP-256 ECDH-ES ECDH-ES+A256KW"), S("A128CBC-HS256 A256GCM"), &plain).kind
		&& str_eq((struct str){ (const char *)plain.p, plain.n }, json_text(input, "plaintext"));
}

static bool verifies(struct arena *a, const json_t *v)
{
	static const char *const PRIVATE[] = { "d", "p", "q", "dp", "dq", "qi" };
	const json_t *input = json_object_get(v, "input");
	json_t *jwk = json_own(a, json_copy(json_object_get(input, "key")));
	struct key *k;
	struct jws t;
	for (size_t i = 0; i < sizeof PRIVATE / sizeof *PRIVATE; i++)
		json_object_del(jwk, PRIVATE[i]);
	if (jws_read(a, json_text(json_object_get(v, "output"), "compact"), &t).kind || key_from_jwk(a, jwk, &k).kind)
		return false;
	arena_defer(a, key_drop_later, k);
	return str_eq(t.payload, json_text(input, "payload")) && key_verify(k, t.alg, str_bytes(t.signing_input), t.signature);
}

static bool is_public(struct arena *a, const json_t *v)
{
	struct key *k;
	if (key_from_jwk(a, v, &k).kind)
		return false;
	arena_defer(a, key_drop_later, k);
	return true;
}

TEST(the_cookbook_opens_and_verifies_but_for_what_is_listed)
{
	needs_corpora();
	struct arena *a = arena_new();
	struct corpus c = corpus_new(a, "jose-cookbook", EXCEPT);
	for (size_t i = 0; i < COOKBOOK_N; i++) {
		const json_t *v = load(a, str_fmt(a, "jose-cookbook/%s.json", COOKBOOK[i].name).p);
		bool good = COOKBOOK[i].what == JWS_FILE ? verifies(a, v) : COOKBOOK[i].what == JWE_FILE ? opens(a, v)
			: COOKBOOK[i].what == JWK_FILE ? is_public(a, v) : opens(a, json_object_get(v, "encrypt"));
		corpus_case(&c, COOKBOOK[i].name, good, true, "");
	}
	corpus_end(&c, 32);
	arena_free(a);
}

/* ---- Wycheproof, counted ------------------------------------------------------------------------------------------- */

static struct { size_t right, wrong; } tally;

static void judge(const char *file, const json_t *test, bool accepted, bool expected)
{
	int64_t id = 0;
	tally.right += accepted == expected;
	tally.wrong += accepted != expected;
	if (accepted != expected && json_int(test, "tcId", &id))
		fprintf(stderr, "%s %lld: %s\n", file, (long long)id, accepted ? "accepted" : "refused");
}

static void begin(void) { tally.right = tally.wrong = 0; }

/* Exactly so many: vectors that are no longer run are missed. */
static void end(const char *what, size_t cases)
{
	fprintf(stderr, "%s: %zu right, %zu wrong\n", what, tally.right, tally.wrong);
	assert_int_equal(tally.wrong, 0);
	assert_int_equal(tally.right, cases);
}

static struct bytes unhex(struct arena *a, const json_t *o, const char *name)
{
	struct bytes b = { 0 };
	assert_true(hex_read(a, json_text(o, name), &b));
	return b;
}

static bool same(struct bytes x, struct bytes y) { return x.n == y.n && (!x.n || memcmp(x.p, y.p, x.n) == 0); }
static bool is_valid(const json_t *test) { return str_is(json_text(test, "result"), "valid"); }
static int64_t number(const json_t *o, const char *name) { int64_t n = -1; json_int(o, name, &n); return n; }

/* ---- contents ------------------------------------------------------------------------------------------------------- */

static void run_aead(const char *file, const struct cipher *how)
{
	struct arena *a = arena_new();
	json_t *group, *test;
	size_t i, j;
	json_array_foreach(json_object_get(load(a, str_fmt(a, "wycheproof/%s", file).p), "testGroups"), i, group)
		json_array_foreach(json_object_get(group, "tests"), j, test) {
			struct bytes key = unhex(a, test, "key"), iv = unhex(a, test, "iv"), aad = unhex(a, test, "aad"), msg = unhex(a, test, "msg");
			struct bytes ct = unhex(a, test, "ct"), tag = unhex(a, test, "tag"), out;
			unsigned char made[CIPHER_TAG];
			if (key.n != CIPHER_KEY)
				continue;
			bool opened = cipher_open(a, how, key.p, iv, aad, ct, tag, &out) && same(out, msg);
			judge(file, test, opened, is_valid(test) && iv.n == how->iv);
			if (is_valid(test) && iv.n == how->iv)
				judge(file, test, cipher_seal(a, how, key.p, iv.p, aad, msg, &out, made) && same(out, ct) && memcmp(made, tag.p, CIPHER_TAG) == 0, true);
		}
	arena_free(a);
}

static const struct cipher *cipher_named(const char *name)
{
	const struct cipher *c = CIPHERS;
	while (!str_is(c->name, name))
		c++;
	return c;
}

TEST(no_content_of_wycheproof_is_opened_wrongly)
{
	needs_corpora();
	begin();
	run_aead("a128cbc_hs256_test.json", cipher_named("A128CBC-HS256"));
	end("A128CBC-HS256", 94 + 67);
	begin();
	run_aead("aes_gcm_test.json", cipher_named("A256GCM"));
	end("A256GCM", 144);
}

/* ---- keys that are sent ------------------------------------------------------------------------------------------------ */

TEST(no_wrapped_key_of_wycheproof_is_unwrapped_wrongly)
{
	needs_corpora();
	struct arena *a = arena_new();
	json_t *group, *test;
	size_t i, j;
	begin();
	json_array_foreach(json_object_get(load(a, "wycheproof/aes_wrap_test.json"), "testGroups"), i, group)
		json_array_foreach(json_object_get(group, "tests"), j, test) {
			struct bytes kek = unhex(a, test, "key"), msg = unhex(a, test, "msg"), ct = unhex(a, test, "ct");
			unsigned char key[CIPHER_KEY], made[CIPHER_WRAPPED];
			if (number(group, "keySize") != 256)
				continue;
			bool ours = is_valid(test) && msg.n == CIPHER_KEY;
			judge("aes_wrap", test, unwrap(kek.p, ct, key) && same((struct bytes){ key, CIPHER_KEY }, msg), ours);
			if (ours)
				judge("aes_wrap", test, wrap(kek.p, msg.p, made) && same((struct bytes){ made, CIPHER_WRAPPED }, ct), true);
		}
	end("A256KW", 72);
	arena_free(a);
}

static void run_oaep(struct arena *a, const char *file)
{
	json_t *group, *test;
	size_t i, j;
	json_array_foreach(json_object_get(load(a, str_fmt(a, "wycheproof/%s", file).p), "testGroups"), i, group) {
		EVP_PKEY *own;
		const json_t *jwk = json_object_get(group, "privateKeyJwk");
		if (!str_is(json_text(group, "sha"), "SHA-256") || !str_is(json_text(group, "mgfSha"), "SHA-256") || !jwk || pkey_from_jwk(a, jwk, true, &own).kind)
			continue;
		json_array_foreach(json_object_get(group, "tests"), j, test) {
			struct bytes msg = unhex(a, test, "msg"), label = unhex(a, test, "label");
			unsigned char key[CIPHER_KEY];
			bool opened = oaep_open(own, unhex(a, test, "ct"), key);
			judge(file, test, opened && same((struct bytes){ key, CIPHER_KEY }, msg), is_valid(test) && msg.n == CIPHER_KEY && !label.n);
			judge(file, test, opened, is_valid(test) && msg.n == CIPHER_KEY && !label.n);
		}
	}
}

TEST(no_rsa_encrypted_key_of_wycheproof_is_opened_wrongly)
{
	needs_corpora();
	struct arena *a = arena_new();
	begin();
	run_oaep(a, "rsa_oaep_2048_sha256_mgf1sha256_test.json");
	run_oaep(a, "rsa_oaep_misc_test.json");
	end("RSA-OAEP-256", 124);
	arena_free(a);
}

/* ---- keys that are agreed on ---------------------------------------------------------------------------------------------- */

static struct bytes of_32(struct arena *a, struct bytes b)
{
	unsigned char *out = arena_alloc(a, 32);
	while (b.n > 32 && *b.p == 0)
		b.p++, b.n--;
	assert_true(b.n <= 32);
	memcpy(out + 32 - b.n, b.p, b.n);
	return (struct bytes){ out, 32 };
}

/* A bare scalar: these vectors have no public half beside it. */
static EVP_PKEY *scalar(struct arena *a, struct bytes d)
{
	BIGNUM *n = BN_bin2bn(d.p, (int)d.n, NULL);
	OSSL_PARAM_BLD *b = OSSL_PARAM_BLD_new();
	OSSL_PARAM_BLD_push_utf8_string(b, OSSL_PKEY_PARAM_GROUP_NAME, "prime256v1", 0);
	OSSL_PARAM_BLD_push_BN(b, OSSL_PKEY_PARAM_PRIV_KEY, n);
	OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(b);
	EVP_PKEY_CTX *c = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
	EVP_PKEY *p = NULL;
	EVP_PKEY_fromdata_init(c);
	assert_int_equal(EVP_PKEY_fromdata(c, &p, EVP_PKEY_KEYPAIR, params), 1);
	EVP_PKEY_CTX_free(c);
	OSSL_PARAM_free(params);
	OSSL_PARAM_BLD_free(b);
	BN_clear_free(n);
	arena_defer(a, (void (*)(void *))EVP_PKEY_free, p);
	return p;
}

/* Through the door that an epk takes: x and y. A compressed point has no y and no JWK. */
TEST(no_point_of_wycheproof_is_agreed_with_wrongly)
{
	needs_corpora();
	struct arena *a = arena_new();
	json_t *group, *test;
	size_t i, j;
	begin();
	json_array_foreach(json_object_get(load(a, "wycheproof/ecdh_secp256r1_ecpoint_test.json"), "testGroups"), i, group)
		json_array_foreach(json_object_get(group, "tests"), j, test) {
			struct bytes point = unhex(a, test, "public"), half = { point.p + 1, point.n / 2 };
			EVP_PKEY *epk;
			unsigned char z[32];
			struct bytes y = { point.n == 65 ? point.p + 33 : NULL, point.n == 65 ? 32 : 0 };
			json_t *jwk = json_own(a, json_pack("{ssssssss}", "kty", "EC", "crv", "P-256", "x", b64url(a, half).p, "y", b64url(a, y).p));
			bool agreed = !pkey_from_jwk(a, jwk, false, &epk).kind && agree(scalar(a, of_32(a, unhex(a, test, "private"))), epk, z)
				&& same((struct bytes){ z, 32 }, unhex(a, test, "shared"));
			judge("ecdh", test, agreed, is_valid(test));
		}
	end("ECDH on P-256", 355);
	arena_free(a);
}

/* "acceptable" are points on the twist and those that are not canonical, which RFC 7748 takes; but never a secret of nothing but zeros. */
TEST(no_x25519_key_of_wycheproof_is_agreed_with_wrongly)
{
	needs_corpora();
	struct arena *a = arena_new();
	json_t *group, *test;
	size_t i, j;
	begin();
	json_array_foreach(json_object_get(load(a, "wycheproof/x25519_jwk_test.json"), "testGroups"), i, group)
		json_array_foreach(json_object_get(group, "tests"), j, test) {
			static const unsigned char NOTHING[32];
			EVP_PKEY *own, *theirs;
			unsigned char z[32];
			struct bytes shared = unhex(a, test, "shared");
			bool agreed = !pkey_from_jwk(a, json_object_get(test, "private"), true, &own).kind
				&& !pkey_from_jwk(a, json_object_get(test, "public"), false, &theirs).kind && pkey_kind(theirs) == pkey_kind(own) && agree(own, theirs, z);
			bool want = !str_is(json_text(test, "result"), "invalid") && memcmp(shared.p, NOTHING, 32) != 0;
			judge("x25519", test, agreed && same((struct bytes){ z, 32 }, shared), want);
		}
	end("X25519", 531);
	arena_free(a);
}

/* ---- whole tokens, where this machine has them ------------------------------------------------------------------------------- */

static bool token_is_ours(struct arena *a, struct str token)
{
	struct bytes head;
	json_t *o;
	return b64url_read(a, str_dup(a, token.p, strcspn(token.p, ".")), &head) && !json_read_object(a, (struct str){ (const char *)head.p, head.n }, &o).kind
		&& word_in(S("RSA-OAEP-256 ECDH-ES ECDH-ES+A256KW"), json_text(o, "alg")) && word_in(S("A128CBC-HS256 A256GCM"), json_text(o, "enc"));
}

/* A group has a private JWK, a test a token in "jwe". What is valid by an algorithm of others is refused, and that is right here. */
TEST(no_encrypted_token_of_wycheproof_is_judged_wrongly)
{
	struct arena *a = arena_new();
	json_t *file = t_corpora() ? json_load_file(str_fmt(a, "%s/wycheproof/json_web_encryption_test.json", t_corpora()).p, 0, NULL) : NULL, *group, *test;
	size_t i, j;
	if (!file) {
		arena_free(a);
		skip();
	}
	begin();
	json_own(a, file);
	json_array_foreach(json_object_get(file, "testGroups"), i, group)
		json_array_foreach(json_object_get(group, "tests"), j, test) {
			struct jwe_key *own;
			struct bytes plain;
			struct str token = json_text(test, "jwe");
			bool opened = token.n && !jwe_key_private(a, json_object_get(group, "private"), &own).kind
				&& !jwe_decrypt(a, own, token, S("RSA-OAEP-256 ECDH-ES ECDH-ES+A256KW"), S("A128CBC-HS256 A256GCM"), &plain).kind;
			judge("json_web_encryption", test, opened, is_valid(test) && token_is_ours(a, token));
		}
	end("JWE", tally.right);
	assert_true(tally.right > 100);
	arena_free(a);
}
