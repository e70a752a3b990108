#include "signature.h"
#include "inside/ossl.h"
#include "code.h"
#include "json.h"

/* Web eID authentication token (SIGNATURES.md 2.1). */

enum { TOKEN_MIN = 100, TOKEN_MAX = 10000, NONCE_MIN = 44, EXTRA_MAX = 8, SIG_MAX = 512 };

static err member(struct arena *a, const json_t *o, const char *name, struct str *out)
{
	if (!json_str(o, name, out) || str_empty(*out))
		return fault(a, &INVALID_REQUEST, "the token lacks %s", name);
	return OK;
}

static err binary(struct arena *a, struct str text, const char *name, size_t max, struct bytes *out)
{
	if (!b64_read(a, text, out) || out->n == 0 || out->n > max)
		return fault(a, &INVALID_REQUEST, "%s is not base64 of at most %zu bytes", name, max);
	return OK;
}

/* "web-eid:1" or "web-eid:1.<minor>". */
static bool known_format(struct str f)
{
	if (!str_starts(f, S("web-eid:1")) || f.n > 16)
		return false;
	if (f.n == 9)
		return true;
	for (size_t i = 10; i < f.n; i++)
		if (f.p[i] < '0' || f.p[i] > '9')
			return false;
	return f.p[9] == '.' && f.n > 10;
}

/* Format 1.1 brings the authorities between; they count only as part of a path. */
static err read_extra(struct arena *a, const json_t *o, struct webeid *out)
{
	static const char NAME[] = "unverifiedIntermediateCertificates";
	const json_t *l = json_object_get(o, NAME);
	if (!l)
		return OK;
	if (!json_is_array(l) || json_array_size(l) > EXTRA_MAX)
		return fault(a, &INVALID_REQUEST, "%s is not an array of at most %d", NAME, EXTRA_MAX);
	for (size_t i = 0; i < json_array_size(l); i++) {
		const json_t *v = json_array_get(l, i);
		if (!json_is_string(v))
			return fault(a, &INVALID_REQUEST, "%s holds something else than strings", NAME);
		struct str text = str_dup(a, json_string_value(v), json_string_length(v));
		TRY(binary(a, text, NAME, CERT_MAX, &out->extra[out->nextra]));
		out->nextra++;
	}
	return OK;
}

static err parse(struct arena *a, struct trust *trust, struct str json, struct webeid *out, struct bytes *signature)
{
	json_t *o;
	struct str cert, sig;
	struct bytes der;
	*out = (struct webeid){ 0 };
	if (json.n < TOKEN_MIN || json.n > TOKEN_MAX)
		return fault(a, &INVALID_REQUEST, "a token of %zu characters", json.n);
	TRY(json_read_object(a, json, &o));
	TRY(member(a, o, "format", &out->format));
	TRY(member(a, o, "algorithm", &out->algorithm));
	TRY(member(a, o, "unverifiedCertificate", &cert));
	TRY(member(a, o, "signature", &sig));
	if (!known_format(out->format))
		return fault(a, &INVALID_REQUEST, "the token is not of format web-eid:1");
	if (!alg_by_name(out->algorithm))
		return fault(a, &INVALID_REQUEST, "the token's algorithm is unknown");
	TRY(binary(a, cert, "unverifiedCertificate", CERT_MAX, &der));
	TRY(binary(a, sig, "signature", SIG_MAX, signature));
	TRY(read_extra(a, o, out));
	err e = trust_cert(trust, a, der, &out->cert);
	return e.kind ? fault(a, &INVALID_REQUEST, "unverifiedCertificate: %s", e.why) : OK;
}

err webeid_read(struct arena *a, struct str json, struct webeid *out)
{
	struct bytes signature;
	return parse(a, NULL, json, out, &signature);
}

/* Hash(Hash(origin) || Hash(nonce)): the signature algorithm hashes what was signed once more. */
static bool signed_hash(const struct alg *alg, struct str origin, struct str nonce, unsigned char *out)
{
	unsigned char m[2 * EVP_MAX_MD_SIZE];
	const EVP_MD *md = md_of(alg->digest);
	return md && EVP_Digest(origin.p, origin.n, m, NULL, md, NULL) == 1 && EVP_Digest(nonce.p, nonce.n, m + alg->digest, NULL, md, NULL) == 1 &&
	       EVP_Digest(m, 2 * alg->digest, out, NULL, md, NULL) == 1;
}

err webeid_verify(struct arena *a, struct trust *trust, struct str json, struct str origin, struct str nonce, struct webeid *out)
{
	struct bytes sig;
	unsigned char d[EVP_MAX_MD_SIZE];
	TRY(parse(a, trust, json, out, &sig));
	const struct alg *alg = alg_by_name(out->algorithm);
	if (str_empty(origin) || nonce.n < NONCE_MIN)
		return fault(a, &SERVER_ERROR, "a challenge of %zu characters for \"" STR_FMT "\"", nonce.n, STR_ARG(origin));
	X509 *x = out->cert.handle;
	const char *unfit = key_unfit(x);
	if (unfit)
		return fault(a, &CERT_UNSUITABLE, "%s", unfit);
	if (!signed_hash(alg, origin, nonce, d))
		return fault(a, &SERVER_ERROR, "hashing failed");
	EVP_PKEY *k = X509_get0_pubkey(x);
	struct bytes hash = { d, alg->digest };
	bool good = alg->type == EVP_PKEY_EC ? verify_ec_raw(k, alg->digest, alg->field, hash, sig) : verify_rsa(k, alg->digest, alg->pss, hash, sig);
	return good ? OK : fault(a, &SIGNATURE_WRONG, "the token is not signed for this origin and challenge with " STR_FMT, STR_ARG(out->algorithm));
}
