#include "signature.h"
#include "inside/ossl.h"
#include "hash.h"
#include <pthread.h>
#include <openssl/err.h>
#include <openssl/rsa.h>

/* ---- algorithms --------------------------------------------------------------------------------------------------------- */

static EVP_MD *md256, *md384, *md512;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void fetch(void)
{
	md256 = EVP_MD_fetch(NULL, "SHA256", NULL);
	md384 = EVP_MD_fetch(NULL, "SHA384", NULL);
	md512 = EVP_MD_fetch(NULL, "SHA512", NULL);
}

[[gnu::destructor]] static void unfetch(void)
{
	EVP_MD_free(md256);
	EVP_MD_free(md384);
	EVP_MD_free(md512);
}

const EVP_MD *md_of(size_t size)
{
	pthread_once(&once, fetch);
	return size == 32 ? md256 : size == 48 ? md384 : size == 64 ? md512 : NULL;
}

/* RFC 7518 section 3.1, as far as Web eID uses it. */
const struct alg *alg_by_name(struct str name)
{
	static const struct alg T[] = {
		{ "ES256", EVP_PKEY_EC, 32, false, 32 }, { "ES384", EVP_PKEY_EC, 48, false, 48 }, { "ES512", EVP_PKEY_EC, 64, false, 66 },
		{ "RS256", EVP_PKEY_RSA, 32, false, 0 }, { "RS384", EVP_PKEY_RSA, 48, false, 0 }, { "RS512", EVP_PKEY_RSA, 64, false, 0 },
		{ "PS256", EVP_PKEY_RSA, 32, true, 0 }, { "PS384", EVP_PKEY_RSA, 48, true, 0 }, { "PS512", EVP_PKEY_RSA, 64, true, 0 } };
	for (size_t i = 0; i < sizeof T / sizeof *T; i++)
		if (str_is(name, T[i].name))
			return &T[i];
	return NULL;
}

static int md_bits(int nid)
{
	switch (nid) {
	case NID_sha256: return 128;
	case NID_sha384: return 192;
	case NID_sha512: return 256;
	case NID_sha1: return 63;
	default: return 0;
	}
}

/* RFC 4055 section 3.1; absent parameters mean SHA-1. */
static int pss_bits(const X509_ALGOR *alg)
{
	const void *value;
	int type;
	X509_ALGOR_get0(NULL, &type, &value, alg);
	RSA_PSS_PARAMS *p = type == V_ASN1_SEQUENCE ? ASN1_item_unpack(value, ASN1_ITEM_rptr(RSA_PSS_PARAMS)) : NULL;
	int bits = p && p->hashAlgorithm ? md_bits(OBJ_obj2nid(p->hashAlgorithm->algorithm)) : 0;
	RSA_PSS_PARAMS_free(p);
	return bits;
}

int alg_bits(const X509_ALGOR *alg)
{
	const ASN1_OBJECT *o;
	int md;
	X509_ALGOR_get0(&o, NULL, NULL, alg);
	int nid = OBJ_obj2nid(o);
	if (nid == NID_rsassaPss)
		return pss_bits(alg);
	if (nid == NID_ED25519)
		return 128;
	return OBJ_find_sigid_algs(nid, &md, NULL) == 1 ? md_bits(md) : 0;
}

int x509_sig_bits(X509 *x)
{
	const X509_ALGOR *alg;
	X509_get0_signature(NULL, &alg, x);
	return alg_bits(alg);
}

/* ---- one signature -------------------------------------------------------------------------------------------------------- */

static bool verify(EVP_PKEY *k, size_t digest, int padding, struct bytes hash, struct bytes sig)
{
	const EVP_MD *md = md_of(digest);
	EVP_PKEY_CTX *c = md && hash.n == digest ? EVP_PKEY_CTX_new_from_pkey(NULL, k, NULL) : NULL;
	bool good = c && EVP_PKEY_verify_init(c) == 1 && EVP_PKEY_CTX_set_signature_md(c, md) == 1 &&
	            (!padding || EVP_PKEY_CTX_set_rsa_padding(c, padding) == 1) &&
	            (padding != RSA_PKCS1_PSS_PADDING || (EVP_PKEY_CTX_set_rsa_mgf1_md(c, md) == 1 &&
	                                                  EVP_PKEY_CTX_set_rsa_pss_saltlen(c, RSA_PSS_SALTLEN_DIGEST) == 1)) &&
	            EVP_PKEY_verify(c, sig.p, sig.n, hash.p, hash.n) == 1;
	EVP_PKEY_CTX_free(c);
	ERR_clear_error();
	return good;
}

/* RFC 8017 section 8.2.2: the expected encoding, DigestInfo with NULL, is built and compared; a signature is as long as the modulus. */
bool verify_rsa(EVP_PKEY *k, size_t digest, bool pss, struct bytes hash, struct bytes sig)
{
	return EVP_PKEY_is_a(k, "RSA") && sig.n == (size_t)EVP_PKEY_get_size(k) &&
	       verify(k, digest, pss ? RSA_PKCS1_PSS_PADDING : RSA_PKCS1_PADDING, hash, sig);
}

bool verify_ec_der(EVP_PKEY *k, size_t digest, struct bytes hash, struct bytes sig)
{
	return EVP_PKEY_is_a(k, "EC") && sig.n <= (size_t)EVP_PKEY_get_size(k) && verify(k, digest, 0, hash, sig);
}

/* An INTEGER of DER (X.690 section 8.3) from a fixed-length number. */
static size_t put_integer(unsigned char *out, const unsigned char *p, size_t n)
{
	while (n > 1 && *p == 0)
		p++, n--;
	size_t pad = *p >> 7, at = 0;
	out[at++] = 2;
	out[at++] = (unsigned char)(n + pad);
	if (pad)
		out[at++] = 0;
	memcpy(out + at, p, n);
	return at + n;
}

/* RFC 7518 section 3.4: r and s, each exactly as long as a coordinate. */
bool verify_ec_raw(EVP_PKEY *k, size_t digest, size_t field, struct bytes hash, struct bytes sig)
{
	unsigned char body[2 * (66 + 3)], der[sizeof body + 3];
	if (field == 0 || field > 66 || sig.n != 2 * field || ec_field(k) != field)
		return false;
	size_t n = put_integer(body, sig.p, field), at = 0;
	n += put_integer(body + n, sig.p + field, field);
	der[at++] = 0x30;
	if (n >= 0x80)
		der[at++] = 0x81;
	der[at++] = (unsigned char)n;
	memcpy(der + at, body, n);
	return verify_ec_der(k, digest, hash, (struct bytes){ der, at + n });
}

err signature_raw(struct arena *a, const struct cert *signer, struct bytes hash, struct bytes signature)
{
	X509 *x;
	TRY(cert_x509(a, signer, &x));
	const char *unfit = key_unfit(x);
	if (unfit)
		return fault(a, &SIGNATURE_WRONG, "%s", unfit);
	if (!md_of(hash.n))
		return fault(a, &SIGNATURE_WRONG, "a hash of %zu octets", hash.n);
	EVP_PKEY *k = X509_get0_pubkey(x);
	size_t field = ec_field(k);
	bool good = !field ? verify_rsa(k, hash.n, false, hash, signature)
	          : signature.n == 2 * field ? verify_ec_raw(k, hash.n, field, hash, signature)
	                                     : verify_ec_der(k, hash.n, hash, signature);
	return good ? OK : fault(a, &SIGNATURE_WRONG, "the signature value does not verify with the %s key", field ? "ECDSA" : "RSA");
}

/* ---- around a signature ------------------------------------------------------------------------------------------------------ */

struct bytes digest_info(struct arena *a, struct bytes hash)
{
	/* RFC 8017 section 9.2, note 1 */
	static const unsigned char HEAD[] = { 0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20 };
	unsigned char *p = arena_alloc(a, sizeof HEAD + SHA256_SIZE);
	memcpy(p, HEAD, sizeof HEAD);
	memcpy(p + sizeof HEAD, hash.p, hash.n < SHA256_SIZE ? hash.n : SHA256_SIZE);
	return (struct bytes){ p, sizeof HEAD + SHA256_SIZE };
}

struct str code_vn(struct arena *a, struct bytes dtbs)
{
	unsigned char d[SHA256_SIZE];
	sha256(dtbs.p, dtbs.n, d);
	return str_fmt(a, "%04u", (unsigned)(d[30] << 8 | d[31]) % 10000u);
}

struct str code_mid(struct arena *a, struct bytes hash)
{
	if (hash.n == 0)
		return S("");
	return str_fmt(a, "%04u", (unsigned)((hash.p[0] & 0xfc) << 5 | (hash.p[hash.n - 1] & 0x7f)));
}
