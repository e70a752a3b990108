#include "inside/jose.h"
#include "code.h"
#include "hash.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

enum { RSA_LEAST = 2048, RSA_MOST = 4096, RSA_E_MOST = 64 };

/* ---- algorithms --------------------------------------------------------------------------------------------- */

enum { MD_256, MD_384, MD_512, MDS, MD_NONE = -1 };
static EVP_MD *mds[MDS];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void fetch(void)
{
	static const char *const NAMES[MDS] = { "SHA256", "SHA384", "SHA512" };
	for (size_t i = 0; i < MDS; i++)
		if (!(mds[i] = EVP_MD_fetch(NULL, NAMES[i], NULL)))
			abort();
}

[[gnu::destructor]] static void unfetch(void)
{
	for (size_t i = 0; i < MDS; i++)
		EVP_MD_free(mds[i]);
}

/* RFC 7518 section 3.1, RFC 8037 section 3.1. Ed25519 is what RFC 9864 section 2.2 calls EdDSA when the curve is Edwards25519. */
static const struct alg ALGS[] = {
	{ S("RS256"), KEY_RSA, MD_256, false, 0 },
	{ S("RS384"), KEY_RSA, MD_384, false, 0 },
	{ S("RS512"), KEY_RSA, MD_512, false, 0 },
	{ S("PS256"), KEY_RSA, MD_256, true, 0 },
	{ S("PS384"), KEY_RSA, MD_384, true, 0 },
	{ S("PS512"), KEY_RSA, MD_512, true, 0 },
	{ S("ES256"), KEY_P256, MD_256, false, 32 },
	{ S("ES384"), KEY_P384, MD_384, false, 48 },
	{ S("ES512"), KEY_P521, MD_512, false, 66 },
	{ S("EdDSA"), KEY_ED25519, MD_NONE, false, 0 },
	{ S("Ed25519"), KEY_ED25519, MD_NONE, false, 0 },
};
enum { ALG_COUNT = sizeof ALGS / sizeof *ALGS };

const struct alg *alg_find(struct str name)
{
	for (size_t i = 0; i < ALG_COUNT; i++)
		if (str_eq(ALGS[i].name, name))
			return &ALGS[i];
	return NULL;
}

bool alg_digest(const struct alg *g, struct bytes input, unsigned char out[64], size_t *n)
{
	unsigned len = 0;
	pthread_once(&once, fetch);
	bool good = EVP_Digest(input.p, input.n, out, &len, mds[g->md], NULL) == 1;
	*n = len;
	return good;
}

struct str alg_half_hash(struct arena *a, struct str alg, struct str text)
{
	const struct alg *g = alg_find(alg);
	unsigned char hash[EVP_MAX_MD_SIZE];
	unsigned n = 0;
	pthread_once(&once, fetch);
	/* RFC 8032 section 5.1: Ed25519 hashes with SHA-512 */
	if (EVP_Digest(text.p, text.n, hash, &n, mds[!g ? MD_256 : g->md == MD_NONE ? MD_512 : g->md], NULL) != 1)
		abort();
	return b64url(a, (struct bytes){ hash, n / 2 });
}

static bool prepare(const struct alg *g, EVP_PKEY_CTX *c, bool sign)
{
	if ((sign ? EVP_PKEY_sign_init(c) : EVP_PKEY_verify_init(c)) != 1 || EVP_PKEY_CTX_set_signature_md(c, mds[g->md]) != 1)
		return false;
	if (g->kind != KEY_RSA)
		return true;
	/* RFC 7518 section 3.5: MGF1 with the same hash, a salt as long as the hash */
	if (g->pss)
		return EVP_PKEY_CTX_set_rsa_padding(c, RSA_PKCS1_PSS_PADDING) == 1 && EVP_PKEY_CTX_set_rsa_mgf1_md(c, mds[g->md]) == 1
			&& EVP_PKEY_CTX_set_rsa_pss_saltlen(c, RSA_PSS_SALTLEN_DIGEST) == 1;
	return EVP_PKEY_CTX_set_rsa_padding(c, RSA_PKCS1_PADDING) == 1;
}

EVP_PKEY_CTX *alg_template(const struct alg *g, EVP_PKEY *pkey, bool sign)
{
	pthread_once(&once, fetch);
	EVP_PKEY_CTX *c = g->md == MD_NONE ? NULL : EVP_PKEY_CTX_new(pkey, NULL);
	if (c && prepare(g, c, sign))
		return c;
	EVP_PKEY_CTX_free(c);
	return NULL;
}

/* ---- what OpenSSL holds, as we see it ------------------------------------------------------------------------ */

struct curve { const char *jwk, *group; enum key_kind kind; size_t coordinate; };
static const struct curve CURVES[] = {
	{ "P-256", "prime256v1", KEY_P256, 32 },
	{ "P-384", "secp384r1", KEY_P384, 48 },
	{ "P-521", "secp521r1", KEY_P521, 66 },
};
enum { CURVE_COUNT = sizeof CURVES / sizeof *CURVES };

static const struct curve *curve_of(const EVP_PKEY *p)
{
	char name[32], encoding[32];
	size_t n;
	if (!EVP_PKEY_is_a(p, "EC") || EVP_PKEY_get_group_name(p, name, sizeof name, &n) != 1)
		return NULL;
	/* RFC 5480 section 2.1.1: specifiedCurve MUST NOT be used (CVE-2020-0601) */
	if (EVP_PKEY_get_utf8_string_param(p, OSSL_PKEY_PARAM_EC_ENCODING, encoding, sizeof encoding, &n) != 1
		|| strcmp(encoding, OSSL_PKEY_EC_ENCODING_GROUP) != 0)
		return NULL;
	for (size_t i = 0; i < CURVE_COUNT; i++)
		if (strcmp(name, CURVES[i].group) == 0)
			return &CURVES[i];
	return NULL;
}

int pkey_kind(const EVP_PKEY *p)
{
	if (EVP_PKEY_is_a(p, "RSA"))
		return KEY_RSA;
	if (EVP_PKEY_is_a(p, "ED25519"))
		return KEY_ED25519;
	if (EVP_PKEY_is_a(p, "X25519"))
		return KEY_X25519;
	const struct curve *c = curve_of(p);
	return c ? (int)c->kind : KIND_NONE;
}

static void drop_bn(void *n) { BN_clear_free(n); }

static BIGNUM *number_of(struct arena *a, const EVP_PKEY *p, const char *name)
{
	BIGNUM *n = NULL;
	if (EVP_PKEY_get_bn_param(p, name, &n) == 1)
		arena_defer(a, drop_bn, n);
	return n;
}

static err rsa_sound(struct arena *a, const EVP_PKEY *p)
{
	const BIGNUM *n = number_of(a, p, OSSL_PKEY_PARAM_RSA_N), *e = number_of(a, p, OSSL_PKEY_PARAM_RSA_E);
	int bits = n ? BN_num_bits(n) : 0;
	if (bits < RSA_LEAST || bits > RSA_MOST)
		return fault(a, &INVALID_REQUEST, "an RSA key of %d bits, not %d to %d", bits, RSA_LEAST, RSA_MOST);
	if (!BN_is_odd(n))
		return fault(a, &INVALID_REQUEST, "an RSA key with an even modulus");
	if (!e || !BN_is_odd(e) || BN_is_one(e) || BN_num_bits(e) > RSA_E_MOST)
		return fault(a, &INVALID_REQUEST, "an RSA key whose exponent is not odd, 3 or more and at most %d bits", RSA_E_MOST);
	return OK;
}

/* NIST SP 800-56A section 5.6.2.3.4: these curves have cofactor 1, so that each of their points but infinity is in the group, and the
 * multiplication by its order, which costs as much as a signature, would say nothing more. */
static err point_sound(struct arena *a, EVP_PKEY *p)
{
	EVP_PKEY_CTX *c = EVP_PKEY_CTX_new(p, NULL);
	bool good = c && EVP_PKEY_public_check_quick(c) == 1;
	EVP_PKEY_CTX_free(c);
	return good ? OK : fault(a, &INVALID_REQUEST, "a public point that is not on its curve");
}

err pkey_sound(struct arena *a, EVP_PKEY *p)
{
	switch (pkey_kind(p)) {
	case KEY_RSA:
		return rsa_sound(a, p);
	case KEY_P256: case KEY_P384: case KEY_P521:
		return point_sound(a, p);
	case KEY_ED25519: case KEY_X25519:
		return OK;
	}
	return fault(a, &INVALID_REQUEST, "a key that is not RSA, P-256, P-384, P-521 or Ed25519, or a curve that is not named");
}

static struct str b64url_number(struct arena *a, const BIGNUM *n, size_t width)
{
	unsigned char b[RSA_MOST / 8];
	size_t len = width ? width : (size_t)BN_num_bytes(n);
	if (!n || len > sizeof b || BN_bn2binpad(n, b, (int)len) < 0)
		return S("");
	return b64url(a, (struct bytes){ b, len });
}

/* RFC 7638 section 3.2: required members only, in lexicographic order, without white space */
err pkey_jwk(struct arena *a, EVP_PKEY *p, struct str *json)
{
	struct jw w = jw_new(a, 2048);
	int kind = pkey_kind(p);
	jw_object(&w, NULL);
	if (kind == KEY_RSA) {
		jw_str(&w, "e", b64url_number(a, number_of(a, p, OSSL_PKEY_PARAM_RSA_E), 0));
		jw_str(&w, "kty", S("RSA"));
		jw_str(&w, "n", b64url_number(a, number_of(a, p, OSSL_PKEY_PARAM_RSA_N), 0));
	} else if (kind == KEY_ED25519 || kind == KEY_X25519) {
		unsigned char x[32];
		size_t n = sizeof x;
		if (EVP_PKEY_get_raw_public_key(p, x, &n) != 1)
			return fault(a, &INVALID_REQUEST, "an OKP key without its public half");
		jw_str(&w, "crv", kind == KEY_X25519 ? S("X25519") : S("Ed25519"));
		jw_str(&w, "kty", S("OKP"));
		jw_str(&w, "x", b64url(a, (struct bytes){ x, n }));
	} else {
		const struct curve *c = curve_of(p);
		if (!c)
			return fault(a, &INVALID_REQUEST, "a key of a kind that has no JWK here");
		jw_str(&w, "crv", str_of(c->jwk));
		jw_str(&w, "kty", S("EC"));
		jw_str(&w, "x", b64url_number(a, number_of(a, p, OSSL_PKEY_PARAM_EC_PUB_X), c->coordinate));
		jw_str(&w, "y", b64url_number(a, number_of(a, p, OSSL_PKEY_PARAM_EC_PUB_Y), c->coordinate));
	}
	jw_end(&w);
	return jw_done(&w, json);
}

/* ---- a key ------------------------------------------------------------------------------------------------------ */

struct key {
	atomic_int holders;
	enum key_kind kind;
	EVP_PKEY *pkey;
	const struct alg *only;                      /* what the JWK's "alg" allows; NULL: all of its kind */
	EVP_PKEY_CTX *verify[ALG_COUNT];             /* one template for each algorithm of its kind */
	char thumbprint[44];
};

struct key *key_hold(struct key *k)
{
	atomic_fetch_add_explicit(&k->holders, 1, memory_order_relaxed);
	return k;
}

void key_drop(struct key *k)
{
	if (!k || atomic_fetch_sub_explicit(&k->holders, 1, memory_order_acq_rel) != 1)
		return;
	for (size_t i = 0; i < ALG_COUNT; i++)
		EVP_PKEY_CTX_free(k->verify[i]);
	EVP_PKEY_free(k->pkey);
	free(k);
}

enum key_kind key_kind(const struct key *k) { return k->kind; }
struct str key_thumbprint(const struct key *k, struct arena *a) { return str_dup(a, k->thumbprint, strlen(k->thumbprint)); }

static void free_der(void *p) { OPENSSL_free(p); }

struct bytes key_spki(const struct key *k, struct arena *a)
{
	unsigned char *der = NULL;
	int n = i2d_PUBKEY(k->pkey, &der);
	if (n <= 0)
		abort();      /* it was parsed or made by the same library */
	arena_defer(a, free_der, der);
	return (struct bytes){ der, (size_t)n };
}

/* Takes pkey over, also when it refuses. */
static err key_new(struct arena *a, EVP_PKEY *pkey, const struct alg *only, struct key **out)
{
	struct str jwk;
	struct key *k = calloc(1, sizeof *k);
	if (!k)
		abort();
	*k = (struct key){ .holders = 1, .pkey = pkey, .only = only };
	err e = pkey_sound(a, pkey);
	if (!e.kind && pkey_kind(pkey) == KEY_X25519)
		e = fault(a, &INVALID_REQUEST, "an X25519 key, which signs nothing");
	if (!e.kind)
		e = pkey_jwk(a, pkey, &jwk);
	if (e.kind) {
		key_drop(k);
		return e;
	}
	k->kind = (enum key_kind)pkey_kind(pkey);
	struct str t = hash_of(a, jwk);
	memcpy(k->thumbprint, t.p, t.n);
	for (size_t i = 0; i < ALG_COUNT; i++)
		if (ALGS[i].kind == k->kind && (!only || only == &ALGS[i]))
			k->verify[i] = alg_template(&ALGS[i], pkey, false);
	*out = k;
	return OK;
}

err key_from_spki(struct arena *a, struct bytes der, struct key **out)
{
	const unsigned char *p = der.p;
	EVP_PKEY *pkey = der.n && der.n <= 2048 ? d2i_PUBKEY(NULL, &p, (long)der.n) : NULL;
	if (!pkey)
		return fault(a, &INVALID_REQUEST, "not a SubjectPublicKeyInfo that we can read");
	if (p != der.p + der.n) {
		EVP_PKEY_free(pkey);
		return fault(a, &INVALID_REQUEST, "bytes after the SubjectPublicKeyInfo");
	}
	return key_new(a, pkey, NULL, out);
}

/* ---- JWK ---------------------------------------------------------------------------------------------------------- */

/* RFC 7518 sections 6.2.2, 6.3.2, 6.4.1: private or symmetric, whatever the kty says */
static const char *const PRIVATE[] = { "d", "p", "q", "dp", "dq", "qi", "oth", "k" };

static err refuse_private(struct arena *a, const json_t *jwk)
{
	for (size_t i = 0; i < sizeof PRIVATE / sizeof *PRIVATE; i++)
		if (json_object_get(jwk, PRIVATE[i]))
			return fault(a, &INVALID_REQUEST, "a JWK with the private member %s", PRIVATE[i]);
	return OK;
}

static err member(struct arena *a, const json_t *jwk, const char *name, size_t least, size_t most, struct bytes *out)
{
	struct str s;
	if (!json_str(jwk, name, &s) || s.n > 2 * most || !b64url_read(a, s, out))
		return fault(a, &INVALID_REQUEST, "a JWK whose %s is not base64url", name);
	if (out->n < least || out->n > most)
		return fault(a, &INVALID_REQUEST, "a JWK whose %s has %zu bytes", name, out->n);
	return OK;
}

static void free_bld(void *b) { OSSL_PARAM_BLD_free(b); }

static err pkey_from(struct arena *a, const char *type, bool secret, OSSL_PARAM_BLD *b, EVP_PKEY **out)
{
	OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(b);
	EVP_PKEY_CTX *c = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
	*out = NULL;
	bool good = params && c && EVP_PKEY_fromdata_init(c) == 1 && EVP_PKEY_fromdata(c, out, secret ? EVP_PKEY_KEYPAIR : EVP_PKEY_PUBLIC_KEY, params) == 1;
	EVP_PKEY_CTX_free(c);
	OSSL_PARAM_free(params);
	return good ? OK : fault(a, &INVALID_REQUEST, "a JWK whose numbers are no %s key", type);
}

static OSSL_PARAM_BLD *bld_new(struct arena *a)
{
	OSSL_PARAM_BLD *b = OSSL_PARAM_BLD_new();
	if (!b)
		abort();
	arena_defer(a, free_bld, b);
	return b;
}

static void push_number(struct arena *a, OSSL_PARAM_BLD *b, const char *name, struct bytes v)
{
	BIGNUM *n = BN_secure_new();
	if (!n || !BN_bin2bn(v.p, (int)v.n, n) || !OSSL_PARAM_BLD_push_BN(b, name, n))
		abort();
	arena_defer(a, drop_bn, n);
}

/* RFC 7518 sections 6.3.1 and 6.3.2: Base64urlUInt, no octet more than needed; of a private key all its members, but no further primes */
static const struct { const char *name, *param; size_t most; bool secret; } OF_RSA[] = {
	{ "n",  OSSL_PKEY_PARAM_RSA_N,            RSA_MOST / 8,   false },
	{ "e",  OSSL_PKEY_PARAM_RSA_E,            RSA_E_MOST / 8, false },
	{ "d",  OSSL_PKEY_PARAM_RSA_D,            RSA_MOST / 8,   true },
	{ "p",  OSSL_PKEY_PARAM_RSA_FACTOR1,      RSA_MOST / 16,  true },
	{ "q",  OSSL_PKEY_PARAM_RSA_FACTOR2,      RSA_MOST / 16,  true },
	{ "dp", OSSL_PKEY_PARAM_RSA_EXPONENT1,    RSA_MOST / 16,  true },
	{ "dq", OSSL_PKEY_PARAM_RSA_EXPONENT2,    RSA_MOST / 16,  true },
	{ "qi", OSSL_PKEY_PARAM_RSA_COEFFICIENT1, RSA_MOST / 16,  true },
};

static err rsa_from(struct arena *a, const json_t *jwk, bool secret, EVP_PKEY **out)
{
	OSSL_PARAM_BLD *b = bld_new(a);
	for (size_t i = 0; i < sizeof OF_RSA / sizeof *OF_RSA; i++) {
		struct bytes v;
		if (OF_RSA[i].secret && !secret)
			break;
		TRY(member(a, jwk, OF_RSA[i].name, 1, OF_RSA[i].most, &v));
		if (v.p[0] == 0)
			return fault(a, &INVALID_REQUEST, "an RSA JWK with a leading zero octet");
		push_number(a, b, OF_RSA[i].param, v);
	}
	return pkey_from(a, "RSA", secret, b, out);
}

static err ec_from(struct arena *a, const json_t *jwk, bool secret, EVP_PKEY **out)
{
	const struct curve *c = NULL;
	struct str crv = json_text(jwk, "crv");
	for (size_t i = 0; i < CURVE_COUNT; i++)
		if (str_is(crv, CURVES[i].jwk))
			c = &CURVES[i];
	if (!c)
		return fault(a, &INVALID_REQUEST, "an EC JWK on a curve that is not P-256, P-384 or P-521");
	struct bytes x, y, d;
	/* RFC 7518 section 6.2.1.2: the octet string has the full size of a coordinate */
	TRY(member(a, jwk, "x", c->coordinate, c->coordinate, &x));
	TRY(member(a, jwk, "y", c->coordinate, c->coordinate, &y));
	unsigned char point[1 + 2 * COORDINATE_MOST] = { 4 };
	memcpy(point + 1, x.p, x.n);
	memcpy(point + 1 + x.n, y.p, y.n);
	OSSL_PARAM_BLD *b = bld_new(a);
	if (!OSSL_PARAM_BLD_push_utf8_string(b, OSSL_PKEY_PARAM_GROUP_NAME, c->group, 0)
		|| !OSSL_PARAM_BLD_push_octet_string(b, OSSL_PKEY_PARAM_PUB_KEY, point, 1 + 2 * c->coordinate))
		abort();
	if (secret) {
		TRY(member(a, jwk, "d", c->coordinate, c->coordinate, &d));
		push_number(a, b, OSSL_PKEY_PARAM_PRIV_KEY, d);
	}
	return pkey_from(a, "EC", secret, b, out);
}

/* RFC 8037 section 2 */
static err okp_from(struct arena *a, const json_t *jwk, bool secret, EVP_PKEY **out)
{
	struct bytes x, d;
	struct str crv = json_text(jwk, "crv");
	if (!str_is(crv, "Ed25519") && !str_is(crv, "X25519"))
		return fault(a, &INVALID_REQUEST, "an OKP JWK that is not Ed25519 or X25519");
	TRY(member(a, jwk, "x", 32, 32, &x));
	if (secret)
		TRY(member(a, jwk, "d", 32, 32, &d));
	*out = secret ? EVP_PKEY_new_raw_private_key_ex(NULL, crv.p, NULL, d.p, d.n) : EVP_PKEY_new_raw_public_key_ex(NULL, crv.p, NULL, x.p, x.n);
	return *out ? OK : fault(a, &INVALID_REQUEST, "an OKP JWK that is no %s key", crv.p);
}

static const struct { const char *kty; err (*from)(struct arena *, const json_t *, bool secret, EVP_PKEY **); } KINDS[] = {
	{ "RSA", rsa_from }, { "EC", ec_from }, { "OKP", okp_from },
};
enum { KIND_COUNT = sizeof KINDS / sizeof *KINDS };

static bool known_kty(const json_t *jwk)
{
	for (size_t i = 0; i < KIND_COUNT; i++)
		if (str_is(json_text(jwk, "kty"), KINDS[i].kty))
			return true;
	return false;
}

bool jwk_allows(struct arena *a, const json_t *jwk, const char *name, struct str what)
{
	return !json_object_get(jwk, name) || strs_has(json_strs(a, jwk, name), what);
}

/* A private key whose halves do not belong together would tell its secret with every use. */
static err halves_match(struct arena *a, EVP_PKEY *pkey)
{
	EVP_PKEY_CTX *c = EVP_PKEY_CTX_new(pkey, NULL);
	bool good = c && EVP_PKEY_pairwise_check(c) == 1;
	EVP_PKEY_CTX_free(c);
	return good ? OK : fault(a, &INVALID_REQUEST, "a private JWK whose halves do not belong together");
}

static void drop_pkey(void *p) { EVP_PKEY_free(p); }

err pkey_from_jwk(struct arena *a, const json_t *jwk, bool secret, EVP_PKEY **out)
{
	*out = NULL;
	if (!secret)
		TRY(refuse_private(a, jwk));
	for (size_t i = 0; i < KIND_COUNT; i++)
		if (str_is(json_text(jwk, "kty"), KINDS[i].kty))
			TRY(KINDS[i].from(a, jwk, secret, out));
	if (!*out)
		return fault(a, &INVALID_REQUEST, "a JWK that is not RSA, EC or OKP");
	arena_defer(a, drop_pkey, *out);
	TRY(pkey_sound(a, *out));
	return secret ? halves_match(a, *out) : OK;
}

err key_from_jwk(struct arena *a, const json_t *jwk, struct key **out)
{
	EVP_PKEY *pkey = NULL;
	if (!json_is_object(jwk))
		return fault(a, &INVALID_REQUEST, "a JWK that is not an object");
	TRY(refuse_private(a, jwk));
	/* RFC 7517 sections 4.2 to 4.4: what the key's owner says it is for */
	if (!jwk_allows(a, jwk, "use", S("sig")) || !jwk_allows(a, jwk, "key_ops", S("verify")))
		return fault(a, &INVALID_REQUEST, "a JWK that is not for checking signatures");
	const struct alg *only = alg_find(json_text(jwk, "alg"));
	if (!only && json_object_get(jwk, "alg"))
		return fault(a, &INVALID_REQUEST, "a JWK for an algorithm that is not known here");
	for (size_t i = 0; i < KIND_COUNT; i++)
		if (str_is(json_text(jwk, "kty"), KINDS[i].kty))
			TRY(KINDS[i].from(a, jwk, false, &pkey));
	if (!pkey)
		return fault(a, &INVALID_REQUEST, "a JWK that is not RSA, EC or OKP");
	if (only && (int)only->kind != pkey_kind(pkey)) {
		EVP_PKEY_free(pkey);
		return fault(a, &INVALID_REQUEST, "a JWK whose alg does not go with its kty");
	}
	return key_new(a, pkey, only, out);
}

/* ---- sets --------------------------------------------------------------------------------------------------------- */

void key_drop_later(void *k) { key_drop(k); }

/* RFC 7517 section 5: keys that are not understood are ignored */
static bool for_us(struct arena *a, const json_t *jwk)
{
	return json_is_object(jwk) && known_kty(jwk) && !str_is(json_text(jwk, "crv"), "X25519") && jwk_allows(a, jwk, "use", S("sig")) && jwk_allows(a, jwk, "key_ops", S("verify"))
		&& (!json_object_get(jwk, "alg") || alg_find(json_text(jwk, "alg")));
}

err key_set_read(struct arena *a, const json_t *jwks, struct key_set *out)
{
	const json_t *keys = json_object_get(jwks, "keys");
	size_t n = json_array_size(keys);
	if (!json_is_array(keys) || n > 64)
		return fault(a, &INVALID_REQUEST, "a JWK Set needs an array \"keys\" of at most 64");
	*out = (struct key_set){ .v = arena_alloc(a, (n + 1) * sizeof *out->v) };
	for (size_t i = 0; i < n; i++) {
		const json_t *jwk = json_array_get(keys, i);
		struct key *k;
		TRY(refuse_private(a, jwk));
		if (!for_us(a, jwk))
			continue;
		TRY(key_from_jwk(a, jwk, &k));
		arena_defer(a, key_drop_later, k);
		struct str kid = str_copy(a, json_text(jwk, "kid"));
		if (!str_empty(kid) && key_set_find(out, kid, S("")))
			return fault(a, &INVALID_REQUEST, "a JWK Set with two keys of the same kid");
		out->v[out->n].kid = kid;
		out->v[out->n].alg = str_copy(a, json_text(jwk, "alg"));
		out->v[out->n].use = str_copy(a, json_text(jwk, "use"));
		out->v[out->n++].key = k;
	}
	return jwe_keys_read(a, keys, out);
}

/* The two names of Ed25519 are one algorithm; every other is only itself. */
static bool goes_with(const struct key *k, const struct alg *g)
{
	return g && g->kind == k->kind && (!k->only || k->only == g || g->md == MD_NONE);
}

struct key *key_set_find(const struct key_set *s, struct str kid, struct str alg)
{
	struct key *found = NULL;
	for (size_t i = 0; i < s->n; i++) {
		if (!str_empty(alg) && !goes_with(s->v[i].key, alg_find(alg)))
			continue;
		if (!str_empty(kid) && str_eq(s->v[i].kid, kid))
			return s->v[i].key;
		if (str_empty(kid) && found)
			return NULL;
		if (str_empty(kid))
			found = s->v[i].key;
	}
	return found;
}

/* ---- one signature ------------------------------------------------------------------------------------------------- */

static bool verify_eddsa(const struct key *k, struct bytes input, struct bytes sig)
{
	EVP_MD_CTX *c = EVP_MD_CTX_new();
	bool good = c && EVP_DigestVerifyInit(c, NULL, NULL, NULL, k->pkey) == 1 && EVP_DigestVerify(c, sig.p, sig.n, input.p, input.n) == 1;
	EVP_MD_CTX_free(c);
	return good;
}

static bool verify_hashed(const struct key *k, const struct alg *g, struct bytes input, struct bytes sig)
{
	unsigned char digest[64];
	size_t n;
	const EVP_PKEY_CTX *template = k->verify[g - ALGS];
	if (!template || !alg_digest(g, input, digest, &n))
		return false;
	EVP_PKEY_CTX *c = EVP_PKEY_CTX_dup(template);
	bool good = c && EVP_PKEY_verify(c, sig.p, sig.n, digest, n) == 1;
	EVP_PKEY_CTX_free(c);
	return good;
}

bool key_verify(const struct key *k, struct str alg, struct bytes input, struct bytes sig)
{
	const struct alg *g = alg_find(alg);
	if (!goes_with(k, g))
		return false;
	if (g->md == MD_NONE)
		return sig.n == 64 && verify_eddsa(k, input, sig);
	if (!g->coordinate)
		return sig.n == (size_t)EVP_PKEY_get_size(k->pkey) && verify_hashed(k, g, input, sig);
	if (sig.n != 2 * g->coordinate)
		return false;
	unsigned char der[DER_SIG_MOST];
	return verify_hashed(k, g, input, (struct bytes){ der, sig_to_der(sig.p, g->coordinate, der) });
}
