#include "signature.h"
#include "inside/ossl.h"
#include "inside/der.h"
#include <openssl/cms.h>
#include <openssl/err.h>
#include <openssl/ess.h>

/* CMS SignedData (RFC 5652) as evidence of one act of one person: OpenSSL parses and does the public-key operation, the rules are here. */

enum { CMS_MAX = 65536, CERTS_MAX = 9, ATTRS_MAX = 32, HASH_BITS = 128 };

struct cms {
	struct arena *a;
	CMS_ContentInfo *info;
	CMS_SignerInfo *si;
	STACK_OF(X509) *certs;
	X509 *signer;
	size_t digest;
	bool hashed;                         /* what was asked to be signed is a SHA-256 hash: it may itself be the messageDigest */
};

static void free_cms(void *p) { CMS_ContentInfo_free(p); }
static void free_certs(void *p) { sk_X509_pop_free(p, X509_free); }

static err wrong(struct cms *c, const char *why)
{
	ERR_clear_error();
	return fault(c->a, &SIGNATURE_WRONG, "CMS: %s", why);
}

static err take_apart(struct cms *c, struct bytes der)
{
	const unsigned char *p = der.p;
	if (der.n == 0 || der.n > CMS_MAX)
		return wrong(c, "empty or too long");
	c->info = d2i_CMS_ContentInfo(NULL, &p, (long)der.n);
	if (!c->info)
		return wrong(c, "not a ContentInfo");
	arena_defer(c->a, free_cms, c->info);
	if (p != der.p + der.n)
		return wrong(c, "bytes follow it");
	if (OBJ_obj2nid(CMS_get0_type(c->info)) != NID_pkcs7_signed)
		return wrong(c, "not SignedData");
	if (OBJ_obj2nid(CMS_get0_eContentType(c->info)) != NID_pkcs7_data)
		return wrong(c, "the content is not of type id-data");
	STACK_OF(CMS_SignerInfo) *l = CMS_get0_SignerInfos(c->info);
	if (!l || sk_CMS_SignerInfo_num(l) != 1)
		return wrong(c, "not exactly one SignerInfo");
	c->si = sk_CMS_SignerInfo_value(l, 0);
	return OK;
}

static err find_signer(struct cms *c)
{
	c->certs = CMS_get1_certs(c->info);
	if (c->certs)
		arena_defer(c->a, free_certs, c->certs);
	int n = c->certs ? sk_X509_num(c->certs) : 0;
	if (n < 1 || n > CERTS_MAX)
		return wrong(c, "no certificate, or too many");
	for (int i = 0; i < n; i++) {
		X509 *x = sk_X509_value(c->certs, i);
		if (CMS_SignerInfo_cert_cmp(c->si, x) != 0)
			continue;
		if (c->signer && X509_cmp(c->signer, x) != 0)
			return wrong(c, "two certificates fit the signer");
		c->signer = x;
	}
	return c->signer ? OK : wrong(c, "the signer's certificate is not inside");
}

static size_t digest_size(const X509_ALGOR *alg)
{
	const ASN1_OBJECT *o;
	X509_ALGOR_get0(&o, NULL, NULL, alg);
	switch (OBJ_obj2nid(o)) {
	case NID_sha256: return 32;
	case NID_sha384: return 48;
	case NID_sha512: return 64;
	default: return 0;
	}
}

/* SHA-256 or better for content and signature; a bare rsaEncryption takes the digest's. */
static err check_algorithms(struct cms *c)
{
	EVP_PKEY *k;
	X509_ALGOR *digest, *sig;
	const ASN1_OBJECT *o;
	CMS_SignerInfo_get0_algs(c->si, &k, NULL, &digest, &sig);
	c->digest = digest_size(digest);
	X509_ALGOR_get0(&o, NULL, NULL, sig);
	if (!c->digest || (OBJ_obj2nid(o) != NID_rsaEncryption && alg_bits(sig) != (int)c->digest * 4))
		return wrong(c, "the digest is weak, or not the signature's");
	return OK;
}

/* ---- signed attributes (section 11) ------------------------------------------------------------------------------------ */

static err check_attributes(struct cms *c)
{
	int n = CMS_signed_get_attr_count(c->si);
	if (n < 2 || n > ATTRS_MAX)
		return wrong(c, "no signed attributes, or too many");
	for (int i = 0; i < n; i++) {
		X509_ATTRIBUTE *at = CMS_signed_get_attr(c->si, i);
		if (CMS_signed_get_attr_by_OBJ(c->si, X509_ATTRIBUTE_get0_object(at), i) >= 0)
			return wrong(c, "a signed attribute is there twice");
	}
	const ASN1_OBJECT *type = CMS_signed_get0_data_by_OBJ(c->si, OBJ_nid2obj(NID_pkcs9_contentType), -3, V_ASN1_OBJECT);
	return type && OBJ_cmp(type, CMS_get0_eContentType(c->info)) == 0 ? OK : wrong(c, "contentType is not the content's");
}

static bool same_bytes(const ASN1_OCTET_STRING *s, const unsigned char *p, size_t n)
{
	return (size_t)ASN1_STRING_length(s) == n && (n == 0 || memcmp(ASN1_STRING_get0_data(s), p, n) == 0);
}

static err check_content(struct cms *c, struct bytes content)
{
	ASN1_OCTET_STRING **inside = CMS_get0_content(c->info);
	if (!inside)
		return wrong(c, "the content is malformed");
	if (*inside && !same_bytes(*inside, content.p, content.n))
		return wrong(c, "the content is not what was asked to be signed");
	unsigned char d[EVP_MAX_MD_SIZE];
	const ASN1_OCTET_STRING *md = CMS_signed_get0_data_by_OBJ(c->si, OBJ_nid2obj(NID_pkcs9_messageDigest), -3, V_ASN1_OCTET_STRING);
	if (!md || EVP_Digest(content.p, content.n, d, NULL, md_of(c->digest), NULL) != 1)
		return wrong(c, "messageDigest is missing");
	/* RFC 5652 section 5.4: nothing is inside, and the hash is the digest of what was signed */
	bool the_hash = c->hashed && !*inside && c->digest == content.n && same_bytes(md, content.p, content.n);
	return the_hash || same_bytes(md, d, c->digest) ? OK : wrong(c, "messageDigest is not the content's");
}

/* RFC 5035 sections 3, 4: the first ESSCertID is the signer's certificate. DEFAULT of version 2 is SHA-256, version 1 is always SHA-1. */
static bool ess_matches(struct cms *c, int nid, bool *present)
{
	const ASN1_STRING *v = CMS_signed_get0_data_by_OBJ(c->si, OBJ_nid2obj(nid), -3, V_ASN1_SEQUENCE);
	*present = CMS_signed_get_attr_by_NID(c->si, nid, -1) >= 0;
	if (!*present)
		return true;
	struct bytes in = { v ? ASN1_STRING_get0_data(v) : NULL, v ? (size_t)ASN1_STRING_length(v) : 0 };
	struct tlv all, list, id, alg, hash;
	if (!v || !der_take(&in, 0x30, &all) || !der_take(&all.body, 0x30, &list) || !der_take(&list.body, 0x30, &id))
		return false;
	const EVP_MD *md = nid == NID_id_smime_aa_signingCertificate ? EVP_sha1() : md_of(32);
	if (nid == NID_id_smime_aa_signingCertificateV2 && der_take(&id.body, 0x30, &alg)) {
		const unsigned char *p = alg.whole.p;
		X509_ALGOR *o = d2i_X509_ALGOR(NULL, &p, (long)alg.whole.n);
		md = o ? md_of(digest_size(o)) : NULL;
		X509_ALGOR_free(o);
	}
	unsigned char d[EVP_MAX_MD_SIZE];
	unsigned n;
	return md && der_take(&id.body, 0x04, &hash) && X509_digest(c->signer, md, d, &n) == 1 && hash.body.n == n && memcmp(hash.body.p, d, n) == 0;
}

static err check_ess(struct cms *c)
{
	bool v1, v2;
	if (!ess_matches(c, NID_id_smime_aa_signingCertificate, &v1) || !ess_matches(c, NID_id_smime_aa_signingCertificateV2, &v2))
		return wrong(c, "signingCertificate names another certificate");
	return OK;
}

/* ---- the whole ------------------------------------------------------------------------------------------------------------ */

static err der_of(struct cms *c, X509 *x, struct bytes *out)
{
	unsigned char *p = NULL;
	int n = i2d_X509(x, &p);
	if (n > 0)
		*out = bytes_copy(c->a, p, (size_t)n);
	OPENSSL_free(p);
	return n > 0 ? OK : wrong(c, "a certificate is malformed");
}

static err hand_out(struct cms *c, struct cert *signer, struct bytes *extra, size_t max, size_t *n)
{
	struct bytes der;
	TRY(der_of(c, c->signer, &der));
	/* Parsed once already; as old as the arena, like the certificates that it lies among. */
	if (der.n > CERT_MAX || !der_strict(der) || !x509_sound(c->signer))
		return wrong(c, "the signer's certificate is malformed");
	TRY(cert_fill(c->a, der, c->signer, signer));
	for (int i = 0; i < sk_X509_num(c->certs) && *n < max; i++) {
		if (X509_cmp(sk_X509_value(c->certs, i), c->signer) == 0)
			continue;
		TRY(der_of(c, sk_X509_value(c->certs, i), &extra[*n]));
		++*n;
	}
	return OK;
}

static err check(struct arena *a, bool hashed, struct bytes der, struct bytes content, struct cert *signer, struct bytes *extra, size_t max_extra, size_t *nextra)
{
	struct cms c = { .a = a, .hashed = hashed };
	*signer = (struct cert){ 0 };
	*nextra = 0;
	TRY(take_apart(&c, der));
	TRY(find_signer(&c));
	TRY(check_algorithms(&c));
	TRY(check_attributes(&c));
	TRY(check_content(&c, content));
	TRY(check_ess(&c));
	const char *unfit = key_unfit(c.signer);
	if (unfit)
		return wrong(&c, unfit);
	CMS_SignerInfo_set1_signer_cert(c.si, c.signer);
	if (CMS_SignerInfo_verify(c.si) != 1)
		return wrong(&c, "the signature over the signed attributes is wrong");
	ERR_clear_error();
	err e = hand_out(&c, signer, extra, max_extra, nextra);
	if (e.kind)
		*signer = (struct cert){ 0 };
	return e;
}

err signature_cms(struct arena *a, struct bytes der, struct bytes content, struct cert *signer, struct bytes *extra, size_t max_extra, size_t *nextra)
{
	return check(a, false, der, content, signer, extra, max_extra, nextra);
}

err signature_cms_of_hash(struct arena *a, struct bytes der, struct bytes hash, struct cert *signer, struct bytes *extra, size_t max_extra, size_t *nextra)
{
	return hash.n == 32 ? check(a, true, der, hash, signer, extra, max_extra, nextra) : fault(a, &SIGNATURE_WRONG, "a hash of %zu octets", hash.n);
}
