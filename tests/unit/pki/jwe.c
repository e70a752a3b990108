#include "jose_t.h"
#include "code.h"
#include "jwe.h"
#include "inside/cipher.h"
#include "inside/jose.h"

/* ---- keys of both halves ------------------------------------------------------------------------------------------ */

/* RFC 7518 appendix C: Bob's */
#define P256_PUBLIC "\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"weNJy2HscCSM6AEDTDg04biOvhFhyyWvOHQfeF_PxMQ\",\"y\":\"e8lnCO-AlStT-NJVX-crhB7QRYhiix03illJOVAOyck\""
#define P256_PRIVATE "{" P256_PUBLIC ",\"d\":\"VEmDZpDXXK8p8N0Cndsxs924q6nS1RXFASRl6BfUqdw\"}"
/* RFC 7748 section 6.1: Bob's */
#define X25519_PUBLIC "\"kty\":\"OKP\",\"crv\":\"X25519\",\"x\":\"3p7bfXt9wbTTW2HC7OQ1Nz-DQ8hbeGdNrfx-FG-IK08\""
#define X25519_PRIVATE "{" X25519_PUBLIC ",\"d\":\"XasIfmJKikt54X-Lg4AO5m87sSkmGLb9HC-LJ_-I4Os\"}"

static struct str member(struct arena *a, EVP_PKEY *p, const char *param)
{
	BIGNUM *n = NULL;
	unsigned char b[512];
	assert_int_equal(EVP_PKEY_get_bn_param(p, param, &n), 1);
	int len = BN_bn2bin(n, b);
	BN_free(n);
	return b64url(a, (struct bytes){ b, (size_t)len });
}

static struct { struct str open, shut; } rsa;

/* One for the whole program: it takes longer to make than all that is done with it. */
static void make_rsa(void)
{
	static struct arena *a;
	if (a)
		return;
	a = arena_new();
	EVP_PKEY *p = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)2048);
	rsa.shut = str_fmt(a, "\"kty\":\"RSA\",\"n\":\"%s\",\"e\":\"%s\"", member(a, p, "n").p, member(a, p, "e").p);
	rsa.open = str_fmt(a, "{%s,\"d\":\"%s\",\"p\":\"%s\",\"q\":\"%s\",\"dp\":\"%s\",\"dq\":\"%s\",\"qi\":\"%s\"}", rsa.shut.p, member(a, p, "d").p,
		member(a, p, "rsa-factor1").p, member(a, p, "rsa-factor2").p, member(a, p, "rsa-exponent1").p, member(a, p, "rsa-exponent2").p,
		member(a, p, "rsa-coefficient1").p);
	EVP_PKEY_free(p);
}

static struct jwe_key *own(struct arena *a, const char *jwk)
{
	struct jwe_key *k;
	fine(jwe_key_private(a, t_json(a, jwk), &k));
	return k;
}

static struct jwe_key *theirs(struct arena *a, const char *members)
{
	struct jwe_key *k;
	fine(jwe_key_read(a, t_json(a, str_fmt(a, "{%s,\"kid\":\"k-1\"}", members).p), &k));
	return k;
}

static const struct kind { const char *algs; const char *shut, *open; } *kinds(void)
{
	static struct kind all[4];
	make_rsa();
	all[0] = (struct kind){ "RSA-OAEP-256", rsa.shut.p, rsa.open.p };
	all[1] = (struct kind){ "ECDH-ES ECDH-ES+A256KW", P256_PUBLIC, P256_PRIVATE };
	all[2] = (struct kind){ "ECDH-ES ECDH-ES+A256KW", X25519_PUBLIC, X25519_PRIVATE };
	return all;
}

#define ALGS S("RSA-OAEP-256 ECDH-ES ECDH-ES+A256KW")
#define ENCS S("A128CBC-HS256 A256GCM")
#define refuses(a, k, token) do { struct bytes p_ = { 0 }; fails(jwe_decrypt((a), (k), (token), ALGS, ENCS, &p_), INVALID_TOKEN); assert_null(p_.p); } while (0)

static struct str plain_of(struct arena *a, const struct jwe_key *k, struct str token)
{
	struct bytes p;
	fine(jwe_decrypt(a, k, token, ALGS, ENCS, &p));
	return str_dup(a, (const char *)p.p, p.n);
}

/* ---- there and back --------------------------------------------------------------------------------------------------- */

TEST(what_is_encrypted_to_a_key_opens_with_its_private_half_alone)
{
	struct arena *a = arena_new();
	size_t made = 0;
	for (const struct kind *k = kinds(); k->algs; k++) {
		struct jwe_key *to = theirs(a, k->shut), *mine = own(a, k->open);
		struct strs algs = str_words(a, str_of(k->algs)), encs = str_words(a, ENCS);
		for (size_t i = 0; i < algs.n * encs.n; i++) {
			struct str alg = algs.v[i / encs.n], enc = encs.v[i % encs.n], token, again;
			fine(jwe_encrypt(a, to, alg, enc, S("JWT"), S("a.b.c"), &token));
			assert_str(plain_of(a, mine, token), "a.b.c");
			fine(jwe_encrypt(a, to, alg, enc, S("JWT"), S("a.b.c"), &again));
			assert_string_not_equal(token.p, again.p);
			for (const struct kind *other = kinds(); other->algs; other++)
				if (other != k)
					refuses(a, own(a, other->open), token);
			made++;
		}
	}
	assert_int_equal(made, 10);
	arena_free(a);
}

TEST(texts_of_every_length_come_back_whole)
{
	struct arena *a = arena_new();
	struct jwe_key *to = theirs(a, X25519_PUBLIC), *mine = own(a, X25519_PRIVATE);
	char text[80];
	struct strs encs = str_words(a, ENCS);
	for (size_t n = 0; n < sizeof text; n++)
		for (size_t e = 0; e < encs.n; e++) {
			struct str token;
			memset(text, 'x', n);
			fine(jwe_encrypt(a, to, S("ECDH-ES"), encs.v[e], S(""), (struct str){ text, n }, &token));
			assert_int_equal(plain_of(a, mine, token).n, n);
		}
	arena_free(a);
}

TEST(a_header_says_alg_enc_kid_and_cty_and_of_an_agreement_the_one_time_key)
{
	struct arena *a = arena_new();
	struct str token;
	struct bytes head;
	json_t *o;
	fine(jwe_encrypt(a, theirs(a, P256_PUBLIC), S("ECDH-ES"), S("A256GCM"), S("JWT"), S("x"), &token));
	assert_true(b64url_read(a, str_dup(a, token.p, strcspn(token.p, ".")), &head));
	fine(json_read_object(a, (struct str){ (const char *)head.p, head.n }, &o));
	assert_int_equal(json_object_size(o), 5);
	assert_str(json_text(o, "alg"), "ECDH-ES");
	assert_str(json_text(o, "enc"), "A256GCM");
	assert_str(json_text(o, "kid"), "k-1");
	assert_str(json_text(o, "cty"), "JWT");
	assert_str(json_text(json_object_get(o, "epk"), "crv"), "P-256");
	assert_null(json_object_get(json_object_get(o, "epk"), "d"));
	arena_free(a);
}

/* ---- published values ---------------------------------------------------------------------------------------------------- */

/* RFC 7518 appendix C, as far as it goes for keys of 256 bits: what follows is in the cookbook (corpora_jose) */
TEST(the_agreement_of_rfc_7518_comes_out_as_published)
{
	struct arena *a = arena_new();
	EVP_PKEY *bob, *alice;
	unsigned char z[32];
	fine(pkey_from_jwk(a, t_json(a, P256_PRIVATE), true, &bob));
	fine(pkey_from_jwk(a, t_json(a, "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"gI0GAILBdu7T53akrFmMyGcsF3n5dO7MmwNBHKW5SV0\","
	                                "\"y\":\"SLW_xSffzlPWrHEVI30DHM_4egVwt3NQqeUD7nMFpps\"}"), false, &alice));
	assert_true(agree(bob, alice, z));
	static const unsigned char Z[] = { 158, 86, 217, 29, 129, 113, 53, 211, 114, 131, 66, 131, 191, 132, 38, 156, 251, 49, 110, 163, 218, 128, 106, 72, 246, 218, 167, 121, 140, 254, 144, 196 };
	assert_memory_equal(z, Z, sizeof Z);
	arena_free(a);
}

/* RFC 7748 section 6.1 */
TEST(the_agreement_of_rfc_7748_comes_out_as_published)
{
	struct arena *a = arena_new();
	EVP_PKEY *bob, *alice;
	unsigned char z[32];
	struct bytes want;
	fine(pkey_from_jwk(a, t_json(a, X25519_PRIVATE), true, &bob));
	fine(pkey_from_jwk(a, t_json(a, "{\"kty\":\"OKP\",\"crv\":\"X25519\",\"x\":\"hSDwCYkwp1R0i33ctD73Wg2_Og0mOBr066SpjqqbTmo\"}"), false, &alice));
	assert_true(agree(bob, alice, z));
	assert_true(hex_read(a, S("4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742"), &want));
	assert_memory_equal(z, want.p, 32);
	arena_free(a);
}

/* RFC 3394 section 4.6 */
TEST(a_key_of_256_bits_wrapped_by_256_bits_comes_out_as_published)
{
	struct arena *a = arena_new();
	struct bytes kek, key, want;
	unsigned char out[CIPHER_WRAPPED], back[CIPHER_KEY];
	assert_true(hex_read(a, S("000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F"), &kek));
	assert_true(hex_read(a, S("00112233445566778899AABBCCDDEEFF000102030405060708090A0B0C0D0E0F"), &key));
	assert_true(hex_read(a, S("28C9F404C4B810F4CBCCB35CFB87F8263F5786E2D80ED326CBC7F0E71A99F43BFB988B9B7A02DD21"), &want));
	assert_true(wrap(kek.p, key.p, out));
	assert_memory_equal(out, want.p, want.n);
	assert_true(unwrap(kek.p, (struct bytes){ out, sizeof out }, back));
	assert_memory_equal(back, key.p, 32);
	arena_free(a);
}

/* ---- one thing wrong -------------------------------------------------------------------------------------------------------- */

static struct strs parts_of(struct arena *a, struct str token)
{
	struct strs l = { make_n(a, struct str, 5), 0 };
	for (const char *p = token.p; l.n < 5; p += strcspn(p, ".") + 1)
		l.v[l.n++] = str_dup(a, p, strcspn(p, "."));
	return l;
}

static struct str joined(struct arena *a, struct strs l) { return strs_join(a, l, S(".")); }

TEST(every_changed_letter_and_every_prefix_is_refused)
{
	struct arena *a = arena_new();
	for (const struct kind *k = kinds(); k->algs; k++) {
		struct str token, alg = str_words(a, str_of(k->algs)).v[k->open == rsa.open.p ? 0 : 1];
		struct jwe_key *mine = own(a, k->open);
		fine(jwe_encrypt(a, theirs(a, k->shut), alg, S("A128CBC-HS256"), S(""), S("attack at dawn"), &token));
		for (size_t i = 0; i < token.n; i++) {
			struct arena *b = arena_new();
			char *twin = (char *)(uintptr_t)str_copy(b, token).p;
			twin[i] = twin[i] == 'A' ? 'B' : 'A';
			refuses(b, mine, ((struct str){ twin, token.n }));
			refuses(b, mine, str_dup(b, token.p, i));
			arena_free(b);
		}
		assert_str(plain_of(a, mine, token), "attack at dawn");
	}
	arena_free(a);
}

static struct str with_header(struct arena *a, struct str token, const char *text)
{
	struct strs l = parts_of(a, token);
	l.v[0] = b64url(a, str_bytes(str_of(text)));
	return joined(a, l);
}

/* Made by our own key with that very header: nothing but the header is wrong. */
static struct str direct(struct arena *a, const char *header, const char *enc)
{
	EVP_PKEY *epk, *bob;
	unsigned char z[32], cek[32], iv[16] = { 7 }, tag[16];
	struct bytes text;
	const struct cipher *c = CIPHERS;
	while (!str_is(c->name, enc))
		c++;
	fine(pkey_from_jwk(a, t_json(a, P256_PRIVATE), true, &epk));
	fine(pkey_from_jwk(a, t_json(a, "{" P256_PUBLIC "}"), false, &bob));
	assert_true(agree(epk, bob, z));
	concat_kdf(a, z, str_of(enc), (struct bytes){ 0 }, (struct bytes){ 0 }, cek);
	struct str first = b64url(a, str_bytes(str_of(header)));
	assert_true(cipher_seal(a, c, cek, iv, str_bytes(first), str_bytes(S("hello")), &text, tag));
	return str_fmt(a, "%s..%s.%s.%s", first.p, b64url(a, (struct bytes){ iv, c->iv }).p, b64url(a, text).p, b64url(a, (struct bytes){ tag, 16 }).p);
}

/* SEC-39: no compression, no password rounds; RFC 7516 section 4.1.13 */
TEST(a_header_that_asks_for_more_than_we_do_is_refused)
{
	struct arena *a = arena_new();
	struct jwe_key *mine = own(a, P256_PRIVATE);
#define HEAD "\"alg\":\"ECDH-ES\",\"enc\":\"A256GCM\",\"epk\":{" P256_PUBLIC "}"
	assert_str(plain_of(a, mine, direct(a, "{" HEAD "}", "A256GCM")), "hello");
	assert_str(plain_of(a, mine, direct(a, "{" HEAD ",\"x\":1,\"kid\":\"any\",\"jku\":\"https://evil.example\"}", "A256GCM")), "hello");
	static const char *const WRONG[] = {
		"{" HEAD ",\"zip\":\"DEF\"}", "{" HEAD ",\"crit\":[\"exp\"],\"exp\":1}", "{" HEAD ",\"p2c\":1}", "{" HEAD ",\"b64\":true}",
		"{" HEAD ",\"apu\":\"=\"}", "{" HEAD ",\"apu\":7}", "{" HEAD ",\"apv\":\"QQ\"}", "{" HEAD ",\"alg\":\"ECDH-ES\"}", "{" HEAD "}x", "[]", "",
		"{\"alg\":\"ECDH-ES\",\"enc\":\"A256GCM\"}", "{\"alg\":\"ECDH-ES\",\"enc\":\"A256GCM\",\"epk\":7}",
		"{\"alg\":\"ECDH-ES\",\"enc\":\"A256GCM\",\"epk\":" P256_PRIVATE "}", "{\"alg\":\"ECDH-ES\",\"enc\":\"A256GCM\",\"epk\":{" X25519_PUBLIC "}}",
		"{\"alg\":\"dir\",\"enc\":\"A256GCM\"}", "{\"alg\":\"none\",\"enc\":\"A256GCM\"}", "{\"alg\":\"ecdh-es\",\"enc\":\"A256GCM\",\"epk\":{" P256_PUBLIC "}}",
		"{\"alg\":\"ECDH-ES\",\"enc\":\"A128GCM\",\"epk\":{" P256_PUBLIC "}}", "{\"alg\":\"PBES2-HS256+A128KW\",\"enc\":\"A256GCM\",\"p2c\":2147483647,\"p2s\":\"AA\"}",
		"{\"alg\":\"RSA1_5\",\"enc\":\"A256GCM\"}", "{\"alg\":\"RSA-OAEP-256\",\"enc\":\"A256GCM\"}", "{\"enc\":\"A256GCM\"}", "{\"alg\":\"ECDH-ES\"}",
	};
	for (size_t i = 0; i < sizeof WRONG / sizeof *WRONG; i++)
		refuses(a, mine, direct(a, WRONG[i], "A256GCM"));
	arena_free(a);
}

/* CVE-2017-16007: a point that is not on the curve tells the private key bit by bit */
TEST(a_point_that_is_not_on_our_curve_is_never_used)
{
	struct arena *a = arena_new();
	struct jwe_key *mine = own(a, P256_PRIVATE), *x = own(a, X25519_PRIVATE);
	refuses(a, mine, direct(a, "{\"alg\":\"ECDH-ES\",\"enc\":\"A256GCM\",\"epk\":{\"kty\":\"EC\",\"crv\":\"P-256\","
		"\"x\":\"weNJy2HscCSM6AEDTDg04biOvhFhyyWvOHQfeF_PxMQ\",\"y\":\"e8lnCO-AlStT-NJVX-crhB7QRYhiix03illJOVAOycg\"}}", "A256GCM"));
	/* RFC 7748 section 6.1: points of small order agree on zero */
	refuses(a, x, direct(a, "{\"alg\":\"ECDH-ES\",\"enc\":\"A256GCM\",\"epk\":{\"kty\":\"OKP\",\"crv\":\"X25519\",\"x\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"}}", "A256GCM"));
	arena_free(a);
}

TEST(parts_that_are_missing_too_many_or_of_another_length_are_refused)
{
	struct arena *a = arena_new();
	struct jwe_key *mine = own(a, P256_PRIVATE);
	struct str token = direct(a, "{" HEAD "}", "A256GCM");
	struct strs l = parts_of(a, token);
	refuses(a, mine, str_fmt(a, "%s.", token.p));
	refuses(a, mine, str_fmt(a, "%s.AA", token.p));
	refuses(a, mine, str_fmt(a, "%s=", token.p));
	refuses(a, mine, str_fmt(a, "%s\n", token.p));
	refuses(a, mine, str_fmt(a, " %s", token.p));
	refuses(a, mine, S(""));
	refuses(a, mine, S("...."));
	refuses(a, mine, with_header(a, token, "{" HEAD ",\"a\":1}"));
	static const struct { size_t part; const char *text; } TWINS[] = { { 1, "AA" }, { 1, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" }, { 2, "" }, { 2, "AAAA" },
		{ 2, "AAAAAAAAAAAAAAAAAAAAAA" }, { 3, "" }, { 4, "" }, { 4, "AAAA" }, { 4, "AAAAAAAAAAAAAAAA" } };
	for (size_t i = 0; i < sizeof TWINS / sizeof *TWINS; i++) {
		struct str was = l.v[TWINS[i].part];
		l.v[TWINS[i].part] = str_of(TWINS[i].text);
		refuses(a, mine, joined(a, l));
		l.v[TWINS[i].part] = was;
	}
	/* a tag that was cut short must be short of being guessed too */
	l.v[4] = str_dup(a, l.v[4].p, 16);
	refuses(a, mine, joined(a, l));
	char *big = arena_alloc(a, JWE_MOST + 2);
	memset(big, 'A', JWE_MOST + 1);
	refuses(a, mine, ((struct str){ big, JWE_MOST + 1 }));
	arena_free(a);
}

TEST(the_caller_says_which_algorithms_are_wanted)
{
	struct arena *a = arena_new();
	struct jwe_key *mine = own(a, P256_PRIVATE);
	struct bytes p;
	struct str token = direct(a, "{" HEAD "}", "A256GCM");
	fine(jwe_decrypt(a, mine, token, S("ECDH-ES"), S("A256GCM"), &p));
	fails(jwe_decrypt(a, mine, token, S("ECDH-ES+A256KW"), S("A256GCM"), &p), INVALID_TOKEN);
	fails(jwe_decrypt(a, mine, token, S("ECDH-ES"), S("A128CBC-HS256"), &p), INVALID_TOKEN);
	arena_free(a);
}

/* RFC 7516 section 11.5: of a wrong key, a wrong text and a wrong tag the same is said */
TEST(why_a_token_does_not_open_is_not_told)
{
	struct arena *a = arena_new();
	make_rsa();
	struct jwe_key *mine = own(a, rsa.open.p);
	struct str token;
	struct bytes p;
	fine(jwe_encrypt(a, theirs(a, rsa.shut.p), S("RSA-OAEP-256"), S("A128CBC-HS256"), S(""), S("0123456789abcdef"), &token));
	for (size_t i = 1; i < 5; i++) {
		struct strs l = parts_of(a, token);
		char *c = (char *)(uintptr_t)l.v[i].p;
		c[0] = c[0] == 'A' ? 'B' : 'A';
		err e = jwe_decrypt(a, mine, joined(a, l), ALGS, ENCS, &p);
		assert_ptr_equal(e.kind, &INVALID_TOKEN);
		assert_string_equal(e.why, "a JWE that does not open");
	}
	arena_free(a);
}

/* ---- keys ------------------------------------------------------------------------------------------------------------------------ */

TEST(a_key_is_encrypted_to_only_when_its_owner_says_so)
{
	struct arena *a = arena_new();
	struct jwe_key *k;
#define TO(more) "{" P256_PUBLIC more "}"
	static const char *const GOOD[] = { TO(""), TO(",\"use\":\"enc\""), TO(",\"alg\":\"ECDH-ES\""), TO(",\"key_ops\":[\"deriveKey\"]"), TO(",\"key_ops\":[\"deriveBits\",\"x\"]") };
	static const char *const WRONG[] = { TO(",\"use\":\"sig\""), TO(",\"use\":7"), TO(",\"alg\":\"ES256\""), TO(",\"alg\":\"RSA-OAEP-256\""), TO(",\"alg\":\"RSA1_5\""),
		TO(",\"key_ops\":[\"verify\"]"), TO(",\"key_ops\":[]"), TO(",\"alg\":7"), P256_PRIVATE, X25519_PRIVATE, "{}", "[]", "7",
		"{\"kty\":\"oct\",\"k\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"}", "{\"kty\":\"OKP\",\"crv\":\"X448\",\"x\":\"AA\"}",
		"{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"ajjJXMzdnF-OJR-hbDDqxNt2E6qzv-WVuIWxKWpXzl0\"}",
		"{\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":\"AQAB\"}" };
	for (size_t i = 0; i < sizeof GOOD / sizeof *GOOD; i++)
		fine(jwe_key_read(a, t_json(a, GOOD[i]), &k));
	for (size_t i = 0; i < sizeof WRONG / sizeof *WRONG; i++)
		fails(jwe_key_read(a, t_json(a, WRONG[i]), &k), INVALID_REQUEST);
	arena_free(a);
}

TEST(the_halves_of_a_private_key_belong_together)
{
	struct arena *a = arena_new();
	struct jwe_key *k;
	make_rsa();
	fails(jwe_key_private(a, t_json(a, "{" P256_PUBLIC "}"), &k), INVALID_REQUEST);
	fails(jwe_key_private(a, t_json(a, "{" P256_PUBLIC ",\"d\":\"VEmDZpDXXK8p8N0Cndsxs924q6nS1RXFASRl6BfUqd0\"}"), &k), INVALID_REQUEST);
	fails(jwe_key_private(a, t_json(a, str_fmt(a, "{%s,\"d\":\"AQAB\"}", rsa.shut.p).p), &k), INVALID_REQUEST);
	arena_free(a);
}

TEST(of_a_set_the_key_that_says_enc_goes_first_and_unfit_ones_are_passed_over)
{
	struct arena *a = arena_new();
	struct key_set s;
	struct str token;
	make_rsa();
	fine(key_set_read(a, t_json(a, str_fmt(a, "{\"keys\":[{%s,\"kid\":\"any\"},{%s,\"kid\":\"enc\",\"use\":\"enc\"},{" X25519_PUBLIC "},{\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":\"AQAB\",\"use\":\"enc\"},"
		"{\"kty\":\"EC\",\"crv\":\"P-384\",\"x\":\"AA\",\"y\":\"AA\",\"alg\":\"ECDH-ES\"}]}", rsa.shut.p, rsa.shut.p).p), &s));
	assert_int_equal(s.n, 1);
	assert_int_equal(s.nto, 3);
	assert_ptr_equal(jwe_key_for(&s, S("RSA-OAEP-256")), s.to[1]);
	assert_ptr_equal(jwe_key_for(&s, S("ECDH-ES+A256KW")), s.to[2]);
	assert_null(jwe_key_for(&s, S("RSA1_5")));
	fails(jwe_encrypt(a, s.to[1], S("ECDH-ES"), S("A256GCM"), S(""), S("x"), &token), INVALID_REQUEST);
	fails(jwe_encrypt(a, s.to[1], S("RSA-OAEP-256"), S("A128GCM"), S(""), S("x"), &token), INVALID_REQUEST);
	/* to check signatures with, an X25519 key is none */
	struct key *k;
	fails(key_from_jwk(a, t_json(a, "{" X25519_PUBLIC "}"), &k), INVALID_REQUEST);
	arena_free(a);
}
