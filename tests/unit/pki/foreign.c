#include "jose_t.h"
#include "code.h"
#include "foreign.h"
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

/* pki/foreign.h: libjwt behind our own door. Each weakness of libjwt 1.10.2 that SECURITY.md 0.1 lists has a twin here: SEC-11, SEC-12. */

enum { NOW = 1800000000 };
#define CLAIMS "{\"iss\":\"https://tax.example\",\"sub\":\"u1\",\"aud\":\"https://id.example\",\"exp\":1800000060,\"iat\":1799999990}"

struct scene { struct arena *a; struct signer *rsa, *ec; struct key_set keys; struct foreign f; };

static struct scene scene(void)
{
	struct scene s = { .a = arena_new() };
	s.rsa = t_signer(s.a, "RS256", "r1");
	s.ec = t_signer(s.a, "ES256", "e1");
	fine(key_set_read(s.a, t_json(s.a, str_fmt(s.a, "{\"keys\":[%s,%s]}", signer_public_jwk(s.rsa).p, signer_public_jwk(s.ec).p).p), &s.keys));
	s.f = (struct foreign){ .iss = S("https://tax.example"), .audience = str_words(s.a, S("https://id.example other")), .algs = str_words(s.a, S("RS256 ES256")) };
	return s;
}

static struct str signed_by(const struct scene *s, struct signer *by, const char *header, const char *claims)
{
	unsigned char sig[512];
	size_t n;
	struct str input = str_fmt(s->a, "%s.%s", b64url(s->a, str_bytes(str_of(header))).p, b64url(s->a, str_bytes(str_of(claims))).p);
	fine(signer_sign(by, s->a, str_bytes(input), sig, &n));
	return str_fmt(s->a, "%s.%s", input.p, b64url(s->a, (struct bytes){ sig, n }).p);
}

static err reads(const struct scene *s, struct str token)
{
	json_t *claims;
	return foreign_read(s->a, token, &s->f, &s->keys, NOW, &claims);
}

TEST(a_token_of_a_trusted_issuer_is_read_by_the_key_that_it_names)
{
	static const char *const RIGHT[] = {
		"{\"alg\":\"ES256\",\"kid\":\"e1\",\"typ\":\"JWT\"}", "{\"alg\":\"ES256\",\"kid\":\"e1\"}", "{\"alg\":\"ES256\"}", "{\"alg\":\"ES256\",\"typ\":\"at+jwt\"}",
	};
	struct scene s = scene();
	json_t *claims;
	struct str iss, kid;
	for (size_t i = 0; i < sizeof RIGHT / sizeof *RIGHT; i++)
		fine(reads(&s, signed_by(&s, s.ec, RIGHT[i], CLAIMS)));
	struct str t = signed_by(&s, s.rsa, "{\"alg\":\"RS256\",\"kid\":\"r1\",\"typ\":\"jwt\"}", CLAIMS);
	fine(foreign_peek(s.a, t, &iss, &kid));
	assert_str(iss, "https://tax.example");
	assert_str(kid, "r1");
	fine(foreign_read(s.a, t, &s.f, &s.keys, NOW, &claims));
	assert_str(json_text(claims, "sub"), "u1");
	arena_free(s.a);
}

/* The signature is right each time; only what the header says is wrong. */
TEST(a_header_with_one_thing_wrong_is_refused)
{
	static const char *const WRONG[] = {
		"{\"alg\":\"RS256\",\"kid\":\"e1\"}", "{\"alg\":\"es256\",\"kid\":\"e1\"}", "{\"alg\":\"none\"}", "{\"alg\":\"HS256\",\"kid\":\"e1\"}", "{\"alg\":\"ES384\",\"kid\":\"e1\"}",
		"{\"alg\":\"ES256\",\"kid\":\"r1\"}", "{\"alg\":\"ES256\",\"kid\":\"nobody\"}", "{\"alg\":\"ES256\",\"kid\":\"\"}x", "{\"alg\":\"ES256\",\"kid\":\"e1\",\"crit\":[\"exp\"]}",
		"{\"alg\":\"ES256\",\"kid\":\"e1\",\"jwk\":{}}", "{\"alg\":\"ES256\",\"kid\":\"e1\",\"jku\":\"https://x.example\"}", "{\"alg\":\"ES256\",\"kid\":\"e1\",\"x5u\":\"x\"}",
		"{\"alg\":\"ES256\",\"kid\":\"e1\",\"x5c\":[]}", "{\"alg\":\"ES256\",\"kid\":\"e1\",\"typ\":\"logout+jwt\"}", "{\"alg\":\"ES256\",\"kid\":\"e1\",\"typ\":\"dpop+jwt\"}",
		"{\"alg\":\"ES256\",\"kid\":\"e1\",\"typ\":\"oauth-authz-req+jwt\"}", "{\"alg\":\"ES256\",\"kid\":\"e1\",\"typ\":\"token-introspection+jwt\"}",
		"{\"alg\":\"ES256\",\"alg\":\"ES256\",\"kid\":\"e1\"}",
	};
	struct scene s = scene();
	fine(reads(&s, signed_by(&s, s.ec, "{\"alg\":\"ES256\",\"kid\":\"e1\"}", CLAIMS)));
	for (size_t i = 0; i < sizeof WRONG / sizeof *WRONG; i++)
		if (!reads(&s, signed_by(&s, s.ec, WRONG[i], CLAIMS)).kind)
			fail_msg("%s was accepted", WRONG[i]);
	s.f.algs = str_words(s.a, S("RS256"));
	fails(reads(&s, signed_by(&s, s.ec, "{\"alg\":\"ES256\",\"kid\":\"e1\"}", CLAIMS)), INVALID_TOKEN);
	arena_free(s.a);
}

TEST(claims_with_one_thing_wrong_are_refused)
{
#define IN(iss, sub, aud, exp) "{\"iss\":" iss ",\"sub\":" sub ",\"aud\":" aud ",\"exp\":" exp "}"
#define ISS "\"https://tax.example\""
	static const char *const WRONG[] = {
		IN("\"https://tax.example/\"", "\"u\"", "\"other\"", "1800000060"), IN("1", "\"u\"", "\"other\"", "1800000060"), IN(ISS, "\"\"", "\"other\"", "1800000060"),
		IN(ISS, "7", "\"other\"", "1800000060"), IN(ISS, "\"u\"", "\"https://id.example/\"", "1800000060"), IN(ISS, "\"u\"", "[]", "1800000060"),
		IN(ISS, "\"u\"", "[\"other \"]", "1800000060"), IN(ISS, "\"u\"", "\"other\"", "1799999969"), IN(ISS, "\"u\"", "\"other\"", "1.9e9"),
		IN(ISS, "\"u\"", "\"other\"", "\"1800000060\""), IN(ISS, "\"u\"", "\"other\"", "1800000060,\"nbf\":1800000031"),
		IN(ISS, "\"u\"", "\"other\"", "1800000060,\"iat\":1800000031"), IN(ISS, "\"u\"", "\"other\"", "1800000060,\"sub\":\"v\""),
		IN(ISS, "\"u\"", "\"other\"", "1800000060,\"events\":{}"), "{\"iss\":" ISS ",\"sub\":\"u\",\"aud\":\"other\"}", "[]", "null", "{}",
	};
	struct scene s = scene();
	fine(reads(&s, signed_by(&s, s.ec, "{\"alg\":\"ES256\"}", IN(ISS, "\"u\"", "[\"x\",\"other\"]", "1800000060"))));
	for (size_t i = 0; i < sizeof WRONG / sizeof *WRONG; i++)
		if (!reads(&s, signed_by(&s, s.ec, "{\"alg\":\"ES256\"}", WRONG[i])).kind)
			fail_msg("%s was accepted", WRONG[i]);
	arena_free(s.a);
}

/* libjwt takes "=" and "!!" after a signature: a list of tokens by their text would be walked around. */
TEST(a_foreign_token_has_one_spelling)
{
	static const char *const AFTER[] = { "=", "==", "!!", "\n", " ", ".", "A" };
	struct scene s = scene();
	struct signer *const by[] = { s.ec, s.rsa };
	for (size_t k = 0; k < 2; k++) {
		struct str t = signed_by(&s, by[k], k ? "{\"alg\":\"RS256\"}" : "{\"alg\":\"ES256\"}", CLAIMS);
		fine(reads(&s, t));
		for (size_t i = 0; i < sizeof AFTER / sizeof *AFTER; i++)
			fails(reads(&s, str_fmt(s.a, "%s%s", t.p, AFTER[i])), INVALID_TOKEN);
		for (size_t i = 0; i < t.n; i += 7)
			fails(reads(&s, str_dup(s.a, t.p, i)), INVALID_TOKEN);
		for (size_t i = 3; i < t.n; i += 5) {
			struct str other = str_copy(s.a, t);
			((char *)(uintptr_t)other.p)[i] = other.p[i] == 'A' ? 'B' : 'A';
			fails(reads(&s, other), INVALID_TOKEN);
		}
	}
	arena_free(s.a);
}

static struct str p384_jwk(struct arena *a, EVP_PKEY *key)
{
	unsigned char point[97];
	size_t n;
	assert_int_equal(EVP_PKEY_get_octet_string_param(key, "pub", point, sizeof point, &n), 1);
	return str_fmt(a, "{\"kty\":\"EC\",\"crv\":\"P-384\",\"kid\":\"e1\",\"x\":\"%s\",\"y\":\"%s\"}",
		b64url(a, (struct bytes){ point + 1, 48 }).p, b64url(a, (struct bytes){ point + 49, 48 }).p);
}

static struct str p384_token(struct arena *a, EVP_PKEY *key)
{
	unsigned char der[256], raw[96];
	size_t n = sizeof der;
	struct str input = str_fmt(a, "%s.%s", b64url(a, str_bytes(S("{\"alg\":\"ES256\",\"kid\":\"e1\"}"))).p, b64url(a, str_bytes(S(CLAIMS))).p);
	EVP_MD_CTX *c = EVP_MD_CTX_new();
	assert_int_equal(EVP_DigestSignInit(c, NULL, EVP_sha256(), NULL, key), 1);
	assert_int_equal(EVP_DigestSign(c, der, &n, (const unsigned char *)input.p, input.n), 1);
	EVP_MD_CTX_free(c);
	const unsigned char *p = der;
	ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &p, (long)n);
	BN_bn2binpad(ECDSA_SIG_get0_r(sig), raw, 48);
	BN_bn2binpad(ECDSA_SIG_get0_s(sig), raw + 48, 48);
	ECDSA_SIG_free(sig);
	return str_fmt(a, "%s.%s", input.p, b64url(a, (struct bytes){ raw, 96 }).p);
}

/* libjwt verifies an ES256 that was made with a P-384 key. */
TEST(another_key_of_the_same_name_or_another_kind_is_no_key)
{
	struct scene s = scene();
	struct signer *stranger = t_signer(s.a, "ES256", "e1");
	fails(reads(&s, signed_by(&s, stranger, "{\"alg\":\"ES256\",\"kid\":\"e1\"}", CLAIMS)), INVALID_TOKEN);
	fails(reads(&s, signed_by(&s, s.rsa, "{\"alg\":\"RS256\",\"kid\":\"e1\"}", CLAIMS)), INVALID_TOKEN);
	EVP_PKEY *large = EVP_EC_gen("P-384");
	fine(key_set_read(s.a, t_json(s.a, str_fmt(s.a, "{\"keys\":[%s]}", p384_jwk(s.a, large).p).p), &s.keys));
	fails(reads(&s, p384_token(s.a, large)), INVALID_TOKEN);
	EVP_PKEY_free(large);
	fine(key_set_read(s.a, t_json(s.a, "{\"keys\":[]}"), &s.keys));
	fails(reads(&s, signed_by(&s, s.ec, "{\"alg\":\"ES256\"}", CLAIMS)), INVALID_TOKEN);
	arena_free(s.a);
}

/* …and an HS256 whose secret is the public key's own text, which everybody has. */
TEST(a_public_key_is_no_secret)
{
	struct scene s = scene();
	unsigned char mac[32];
	unsigned n = sizeof mac;
	struct buf pem = buf_new(s.a, 1024, 4096);
	struct str text = b64(s.a, key_spki(s.keys.v[0].key, s.a));
	buf_str(&pem, S("-----BEGIN PUBLIC KEY-----\n"));
	for (size_t i = 0; i < text.n; i += 64)
		buf_fmt(&pem, "%.64s\n", text.p + i);
	buf_str(&pem, S("-----END PUBLIC KEY-----\n"));
	static const char *const KIDS[] = { "", ",\"kid\":\"r1\"" };
	for (size_t i = 0; i < 2; i++) {
		struct str head = str_fmt(s.a, "{\"alg\":\"HS256\"%s}", KIDS[i]);
		struct str input = str_fmt(s.a, "%s.%s", b64url(s.a, str_bytes(head)).p, b64url(s.a, str_bytes(S(CLAIMS))).p);
		assert_non_null(HMAC(EVP_sha256(), pem.p, (int)pem.n, (const unsigned char *)input.p, input.n, mac, &n));
		fails(reads(&s, str_fmt(s.a, "%s.%s", input.p, b64url(s.a, (struct bytes){ mac, n }).p)), INVALID_TOKEN);
	}
	arena_free(s.a);
}
