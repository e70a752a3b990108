#include "t.h"
#include "mint.h"
#include "code.h"
#include "hash.h"
#include "signature.h"

static struct bytes sha(struct arena *a, struct str s)
{
	unsigned char d[32];
	sha256(s.p, s.n, d);
	return bytes_copy(a, d, 32);
}

static struct cert cert_of(struct arena *a, const struct minted *m)
{
	struct cert c;
	fine(cert_read(a, m->der, &c));
	return c;
}

static struct bytes flipped(struct arena *a, struct bytes b, size_t at)
{
	unsigned char *p = (unsigned char *)(uintptr_t)bytes_copy(a, b.p, b.n).p;
	p[at] ^= 1;
	return (struct bytes){ p, b.n };
}

/* ---- bare -------------------------------------------------------------------------------------------------------------- */

TEST(a_bare_ecdsa_signature_verifies_raw_and_as_der)
{
	static const struct { const char *key; size_t field; } K[] = { { "P-256", 32 }, { "P-384", 48 }, { "P-521", 66 } };
	struct arena *a = arena_new();
	for (size_t i = 0; i < 3; i++) {
		struct minted *m = mint_leaf(a, mint_root(a, NULL), &(struct mint_wish){ .key = K[i].key });
		struct cert c = cert_of(a, m);
		struct bytes h = sha(a, S("hello")), der = mint_sign_hash(a, m, h), raw = mint_ec_raw(a, der, K[i].field);
		fine(signature_raw(a, &c, h, der));
		fine(signature_raw(a, &c, h, raw));
		fails(signature_raw(a, &c, sha(a, S("hellO")), raw), SIGNATURE_WRONG);
		fails(signature_raw(a, &c, h, (struct bytes){ raw.p, raw.n - 1 }), SIGNATURE_WRONG);
		fails(signature_raw(a, &c, h, (struct bytes){ raw.p, 0 }), SIGNATURE_WRONG);
		unsigned char *zero = arena_alloc(a, raw.n + 2);
		fails(signature_raw(a, &c, h, (struct bytes){ zero, raw.n }), SIGNATURE_WRONG);
		memcpy(zero + 1, raw.p, raw.n);
		fails(signature_raw(a, &c, h, (struct bytes){ zero, raw.n + 1 }), SIGNATURE_WRONG);
		memset(zero, 0xff, raw.n);
		fails(signature_raw(a, &c, h, (struct bytes){ zero, raw.n }), SIGNATURE_WRONG);
		for (size_t j = 0; j < raw.n; j++)
			fails(signature_raw(a, &c, h, flipped(a, raw, j)), SIGNATURE_WRONG);
		for (size_t j = 0; j < der.n; j++)
			fails(signature_raw(a, &c, h, flipped(a, der, j)), SIGNATURE_WRONG);
		unsigned char *tail = arena_alloc(a, der.n + 1);
		memcpy(tail, der.p, der.n);
		fails(signature_raw(a, &c, h, (struct bytes){ tail, der.n + 1 }), SIGNATURE_WRONG);
	}
	arena_free(a);
}

TEST(a_bare_rsa_signature_is_pkcs1_over_a_digest_info_with_null)
{
	struct arena *a = arena_new();
	struct minted *m = mint_leaf(a, mint_root(a, NULL), &(struct mint_wish){ .key = "RSA:2048" });
	struct cert c = cert_of(a, m);
	struct bytes h = sha(a, S("hello")), sig = mint_sign_hash(a, m, h);
	fine(signature_raw(a, &c, h, sig));
	fails(signature_raw(a, &c, sha(a, S("hellO")), sig), SIGNATURE_WRONG);
	for (size_t j = 0; j < sig.n; j += 9)
		fails(signature_raw(a, &c, h, flipped(a, sig, j)), SIGNATURE_WRONG);
	fails(signature_raw(a, &c, h, (struct bytes){ sig.p, sig.n - 1 }), SIGNATURE_WRONG);
	fails(signature_raw(a, &c, (struct bytes){ h.p, 20 }, sig), SIGNATURE_WRONG);
	fails(signature_raw(a, &c, h, mint_sign(a, m, "PS256", str_bytes(S("hello")))), SIGNATURE_WRONG);
	arena_free(a);
}

TEST(a_bare_hash_or_a_digest_info_without_null_is_refused)
{
	struct arena *a = arena_new();
	struct minted *m = mint_leaf(a, mint_root(a, NULL), &(struct mint_wish){ .key = "RSA:2048" });
	struct cert c = cert_of(a, m);
	struct bytes h = sha(a, S("hello")), info = digest_info(a, h);
	fine(signature_raw(a, &c, h, mint_rsa_pad(a, m, info)));
	fails(signature_raw(a, &c, h, mint_rsa_pad(a, m, h)), SIGNATURE_WRONG);
	unsigned char bare[49] = { 0x30, 0x2f, 0x30, 0x0b };
	memcpy(bare + 4, info.p + 4, 11);
	memcpy(bare + 15, info.p + 17, 34);
	fails(signature_raw(a, &c, h, mint_rsa_pad(a, m, (struct bytes){ bare, 49 })), SIGNATURE_WRONG);
	unsigned char long_[60];
	memcpy(long_, info.p, 51);
	memset(long_ + 51, 0, 9);
	fails(signature_raw(a, &c, h, mint_rsa_pad(a, m, (struct bytes){ long_, 60 })), SIGNATURE_WRONG);
	arena_free(a);
}

TEST(weak_and_foreign_keys_sign_nothing)
{
	static const char *const KEYS[] = { "RSA:1024", "P-192", "secp256k1" };
	struct arena *a = arena_new();
	struct bytes h = sha(a, S("hello"));
	for (size_t i = 0; i < 3; i++) {
		struct minted *m = mint_leaf(a, mint_root(a, NULL), &(struct mint_wish){ .key = KEYS[i] });
		struct cert c = cert_of(a, m);
		fails(signature_raw(a, &c, h, mint_sign_hash(a, m, h)), SIGNATURE_WRONG);
	}
	arena_free(a);
}

TEST(a_digest_info_has_51_bytes)
{
	struct arena *a = arena_new();
	struct bytes h, info;
	assert_true(hex_read(a, S("80758b78aa09db61b3df06c6f97336b3881c62a5c64d12b843bffed92d0a1ed4"), &h));
	info = digest_info(a, h);
	assert_str(hex(a, info), "3031300d06096086480165030402010500042080758b78aa09db61b3df06c6f97336b3881c62a5c64d12b843bffed92d0a1ed4");
	assert_str(code_vn(a, info), "7910");
	arena_free(a);
}

/* ---- CMS ---------------------------------------------------------------------------------------------------------------- */

struct scene { struct arena *a; struct minted *root, *m, *n; struct bytes text; };

static struct scene scene(const char *key)
{
	struct scene s = { .a = arena_new() };
	s.root = mint_root(s.a, NULL);
	s.m = mint_leaf(s.a, s.root, &(struct mint_wish){ .key = key });
	s.n = mint_leaf(s.a, s.root, &(struct mint_wish){ .key = key });
	s.text = str_bytes(S("idp.example.vn: dang nhap 4711. Ma 7910"));
	return s;
}

static err cms(struct scene *s, struct bytes der, struct bytes text, struct cert *signer)
{
	struct bytes extra[8];
	size_t n;
	err e = signature_cms(s->a, der, text, signer, extra, 8, &n);
	if (e.kind)
		assert_true(signer->der.n == 0 && n == 0);
	return e;
}

#define CMS(...) mint_cms(s.a, s.m, s.text, &(struct mint_cms_wish){ __VA_ARGS__ })

TEST(a_cms_signature_over_our_content_names_its_signer)
{
	static const char *const KEYS[] = { "P-256", "P-384", "RSA:2048" };
	for (size_t i = 0; i < 3; i++) {
		struct scene s = scene(KEYS[i]);
		struct cert c;
		struct bytes extra[8];
		size_t n;
		fine(cms(&s, CMS(.encapsulated = true), s.text, &c));
		assert_memory_equal(c.der.p, s.m->der.p, s.m->der.n);
		fine(cms(&s, CMS(.encapsulated = false), s.text, &c));
		fine(cms(&s, CMS(.encapsulated = true, .digest = "SHA512"), s.text, &c));
		fine(cms(&s, CMS(.encapsulated = true, .ess = true), s.text, &c));
		fine(signature_cms(s.a, CMS(.along = s.root), s.text, &c, extra, 8, &n));
		assert_int_equal(n, 1);
		assert_memory_equal(extra[0].p, s.root->der.p, s.root->der.n);
		arena_free(s.a);
	}
}

TEST(a_cms_signature_over_something_else_is_wrong)
{
	struct scene s = scene("P-256");
	struct cert c;
	for (size_t i = 0; i < s.text.n; i++)
		fails(cms(&s, CMS(.encapsulated = i & 1), flipped(s.a, s.text, i), &c), SIGNATURE_WRONG);
	fails(cms(&s, CMS(.encapsulated = true), (struct bytes){ s.text.p, s.text.n - 1 }, &c), SIGNATURE_WRONG);
	fails(cms(&s, CMS(.encapsulated = true), (struct bytes){ s.text.p, 0 }, &c), SIGNATURE_WRONG);
	arena_free(s.a);
}

static err cms_of_hash(struct scene *s, struct bytes der, struct bytes hash)
{
	struct cert c;
	struct bytes extra[8];
	size_t n;
	err e = signature_cms_of_hash(s->a, der, hash, &c, extra, 8, &n);
	assert_true(e.kind ? c.der.n == 0 : c.der.n == s->m->der.n && memcmp(c.der.p, s->m->der.p, c.der.n) == 0);
	return e;
}

/* One operator takes our hash for the content, another for its digest. */
TEST(a_cms_signature_of_a_hash_has_it_as_content_or_as_digest)
{
	struct scene s = scene("P-256");
	struct cert c;
	unsigned char d[32], of_d[32];
	sha256(s.text.p, s.text.n, d);
	sha256(d, sizeof d, of_d);
	struct bytes hash = { d, sizeof d }, its_hash = { of_d, sizeof of_d }, text = s.text;
	struct bytes as_digest = CMS(.encapsulated = false), text_inside = CMS(.encapsulated = true), longer = CMS(.digest = "SHA512");
	s.text = hash;
	fine(cms_of_hash(&s, CMS(.encapsulated = true), hash));
	fine(cms_of_hash(&s, CMS(.encapsulated = false), hash));
	fine(cms_of_hash(&s, as_digest, hash));
	fails(cms_of_hash(&s, text_inside, hash), SIGNATURE_WRONG);
	fails(cms_of_hash(&s, longer, hash), SIGNATURE_WRONG);
	fails(cms_of_hash(&s, CMS(.encapsulated = true), its_hash), SIGNATURE_WRONG);       /* what is inside is not what was asked for */
	fails(cms_of_hash(&s, as_digest, its_hash), SIGNATURE_WRONG);
	fails(cms_of_hash(&s, as_digest, text), SIGNATURE_WRONG);
	fails(cms_of_hash(&s, as_digest, (struct bytes){ d, 31 }), SIGNATURE_WRONG);
	for (size_t i = 0; i < 32; i++)
		fails(cms_of_hash(&s, as_digest, flipped(s.a, hash, i)), SIGNATURE_WRONG);
	fails(cms(&s, as_digest, hash, &c), SIGNATURE_WRONG);                               /* where content was asked for, a hash of it is none */
	arena_free(s.a);
}

TEST(a_cms_signature_has_one_signer_with_attributes_and_certificate)
{
	struct scene s = scene("P-256");
	struct cert c;
	fails(cms(&s, CMS(.second = s.n), s.text, &c), SIGNATURE_WRONG);
	fails(cms(&s, CMS(.no_attrs = true), s.text, &c), SIGNATURE_WRONG);
	fails(cms(&s, CMS(.no_attrs = true, .encapsulated = true), s.text, &c), SIGNATURE_WRONG);
	fails(cms(&s, CMS(.no_cert = true), s.text, &c), SIGNATURE_WRONG);
	fails(cms(&s, CMS(.no_cert = true, .along = s.n), s.text, &c), SIGNATURE_WRONG);
	fails(cms(&s, CMS(.ess_wrong = true), s.text, &c), SIGNATURE_WRONG);
	fails(cms(&s, CMS(.digest = "SHA1"), s.text, &c), SIGNATURE_WRONG);
	fails(cms(&s, CMS(.digest = "SHA224"), s.text, &c), SIGNATURE_WRONG);
	fine(cms(&s, CMS(.along = s.n), s.text, &c));
	assert_memory_equal(c.der.p, s.m->der.p, s.m->der.n);
	arena_free(s.a);
}

TEST(no_changed_byte_and_no_cut_makes_a_cms_of_another_signer)
{
	struct scene s = scene("P-256");
	struct bytes ok = CMS(.encapsulated = true, .ess = true);
	struct cert c;
	for (size_t i = 0; i < ok.n; i++) {
		err e = cms(&s, flipped(s.a, ok, i), s.text, &c);
		if (!e.kind)                                            /* a byte that nobody signed: it still is the same certificate */
			assert_true(c.der.n == s.m->der.n && memcmp(c.der.p, s.m->der.p, c.der.n) == 0);
		fails(cms(&s, (struct bytes){ ok.p, i }, s.text, &c), SIGNATURE_WRONG);
	}
	unsigned char *tail = arena_alloc(s.a, ok.n + 1);
	memcpy(tail, ok.p, ok.n);
	fails(cms(&s, (struct bytes){ tail, ok.n + 1 }, s.text, &c), SIGNATURE_WRONG);
	arena_free(s.a);
}

/* ---- Web eID ------------------------------------------------------------------------------------------------------------- */

#define ORIGIN S("https://login.example.vn")
#define NONCE S("MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=")

TEST(a_web_eid_token_of_each_algorithm_verifies_with_its_kind_of_key_only)
{
	static const struct { const char *alg, *key; } T[] = { { "ES256", "P-256" }, { "ES384", "P-384" }, { "ES512", "P-521" }, { "RS256", "RSA:2048" },
		{ "RS384", "RSA:2048" }, { "RS512", "RSA:2048" }, { "PS256", "RSA:2048" }, { "PS384", "RSA:2048" }, { "PS512", "RSA:2048" } };
	struct arena *a = arena_new();
	struct minted *root = mint_root(a, NULL);
	for (size_t i = 0; i < sizeof T / sizeof *T; i++) {
		struct minted *m = mint_leaf(a, root, &(struct mint_wish){ .key = T[i].key });
		struct str token = mint_webeid(a, m, T[i].alg, ORIGIN, NONCE, NULL, 0);
		struct webeid w;
		fine(webeid_verify(a, NULL, token, ORIGIN, NONCE, &w));
		assert_str(w.algorithm, T[i].alg);
		assert_memory_equal(w.cert.der.p, m->der.p, m->der.n);
		for (size_t j = 0; j < sizeof T / sizeof *T; j++) {
			if (i == j)
				continue;
			char *other = (char *)(uintptr_t)str_copy(a, token).p, *at = strstr(other, T[i].alg);
			memcpy(at, T[j].alg, 5);
			fails(webeid_verify(a, NULL, str_of(other), ORIGIN, NONCE, &w), SIGNATURE_WRONG);
		}
	}
	arena_free(a);
}

TEST(a_token_is_for_one_origin_and_one_challenge)
{
	struct arena *a = arena_new();
	struct minted *m = mint_leaf(a, mint_root(a, NULL), NULL);
	struct str token = mint_webeid(a, m, "ES256", ORIGIN, NONCE, NULL, 0);
	struct webeid w;
	fine(webeid_verify(a, NULL, token, ORIGIN, NONCE, &w));
	fails(webeid_verify(a, NULL, token, S("https://login.example.vn/"), NONCE, &w), SIGNATURE_WRONG);
	fails(webeid_verify(a, NULL, token, S("http://login.example.vn"), NONCE, &w), SIGNATURE_WRONG);
	fails(webeid_verify(a, NULL, token, S("https://login.example.vn.evil.test"), NONCE, &w), SIGNATURE_WRONG);
	fails(webeid_verify(a, NULL, token, ORIGIN, S("MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWc="), &w), SIGNATURE_WRONG);
	fails(webeid_verify(a, NULL, token, S(""), NONCE, &w), SERVER_ERROR);
	fails(webeid_verify(a, NULL, token, ORIGIN, S("short"), &w), SERVER_ERROR);
	fails(webeid_verify(a, NULL, mint_webeid(a, m, "ES256", ORIGIN, S("0123456789abcdef0123456789abcdef"), NULL, 0), ORIGIN, NONCE, &w), SIGNATURE_WRONG);
	arena_free(a);
}

TEST(format_1_1_brings_authorities_along)
{
	struct arena *a = arena_new();
	struct minted *root = mint_root(a, NULL), *ca = mint_ca(a, root, NULL);
	const struct minted *extra[9] = { ca, root, ca, ca, ca, ca, ca, ca, ca };
	struct webeid w;
	fine(webeid_verify(a, NULL, mint_webeid(a, mint_leaf(a, ca, NULL), "ES256", ORIGIN, NONCE, extra, 2), ORIGIN, NONCE, &w));
	assert_int_equal(w.nextra, 2);
	assert_str(w.format, "web-eid:1.1");
	assert_memory_equal(w.extra[0].p, ca->der.p, ca->der.n);
	fails(webeid_read(a, mint_webeid(a, mint_leaf(a, ca, NULL), "ES256", ORIGIN, NONCE, extra, 9), &w), INVALID_REQUEST);
	arena_free(a);
}

TEST(a_malformed_token_is_refused_before_anything_is_verified)
{
	struct arena *a = arena_new();
	struct minted *m = mint_leaf(a, mint_root(a, NULL), NULL);
	struct str t = mint_webeid(a, m, "ES256", ORIGIN, NONCE, NULL, 0);
	static const struct { const char *from, *to; } SWAP[] = { { "web-eid:1.0", "web-eid:2.0" }, { "web-eid:1.0", "web-eid:1." }, { "web-eid:1.0", "web-eid:10" },
		{ "web-eid:1.0", "xeb-eid:1.0" }, { "ES256", "none" }, { "ES256", "HS256" }, { "ES256", "es256" }, { "ES256", "" }, { "\"signature\":\"", "\"signature\":\"-" },
		{ "\"signature\"", "\"signatura\"" }, { "\"unverifiedCertificate\":\"", "\"unverifiedCertificate\":\"AAAA" }, { "\"algorithm\":\"ES256\"", "\"algorithm\":256" },
		{ "\"appVersion\"", "\"signature\"" }, { "\"appVersion\":\"mint\"", "\"unverifiedIntermediateCertificates\":\"x\"" },
		{ "\"appVersion\":\"mint\"", "\"unverifiedIntermediateCertificates\":[1]" }, { "{", "[" } };
	struct webeid w;
	fine(webeid_read(a, t, &w));
	for (size_t i = 0; i < sizeof SWAP / sizeof *SWAP; i++) {
		const char *at = strstr(t.p, SWAP[i].from);
		assert_non_null(at);
		struct str bad = str_fmt(a, "%.*s%s%s", (int)(at - t.p), t.p, SWAP[i].to, at + strlen(SWAP[i].from));
		fails(webeid_read(a, bad, &w), INVALID_REQUEST);
		fails(webeid_verify(a, NULL, bad, ORIGIN, NONCE, &w), INVALID_REQUEST);
	}
	fails(webeid_read(a, S("{}"), &w), INVALID_REQUEST);
	fails(webeid_read(a, str_fmt(a, "%s%10000s", t.p, ""), &w), INVALID_REQUEST);
	fails(webeid_read(a, str_fmt(a, "%sx", t.p), &w), INVALID_REQUEST);
	arena_free(a);
}

TEST(a_key_outside_the_profile_verifies_no_token)
{
	struct arena *a = arena_new();
	struct minted *root = mint_root(a, NULL);
	struct webeid w;
	fails(webeid_verify(a, NULL, mint_webeid(a, mint_leaf(a, root, &(struct mint_wish){ .key = "secp256k1" }), "ES256", ORIGIN, NONCE, NULL, 0), ORIGIN, NONCE, &w), CERT_UNSUITABLE);
	fails(webeid_verify(a, NULL, mint_webeid(a, mint_leaf(a, root, &(struct mint_wish){ .key = "RSA:1024" }), "RS256", ORIGIN, NONCE, NULL, 0), ORIGIN, NONCE, &w), CERT_UNSUITABLE);
	arena_free(a);
}
