#include "mint.h"
#include "buf.h"
#include "code.h"
#include <stdio.h>
#include <stdlib.h>
#include <openssl/cms.h>
#include <openssl/conf.h>
#include <openssl/err.h>
#include <openssl/ocsp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

static void need(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "mint: %s\n", what);
	ERR_print_errors_fp(stderr);
	abort();
}
#define NEED(expr) need((expr), #expr)

static void free_x509(void *p) { X509_free(p); }
static void free_key(void *p) { EVP_PKEY_free(p); }

/* ---- certificates -------------------------------------------------------------------------------------------------------- */

static EVP_PKEY *new_key(const char *kind)
{
	if (!kind)
		kind = "P-256";
	EVP_PKEY *k = strncmp(kind, "RSA:", 4) == 0 ? EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)atoi(kind + 4))
	            : strcmp(kind, "ED25519") == 0  ? EVP_PKEY_Q_keygen(NULL, NULL, "ED25519")
	                                            : EVP_PKEY_Q_keygen(NULL, NULL, "EC", kind);
	need(k, kind);
	return k;
}

static void put(X509_NAME *name, const char *oid, int type, const void *p, size_t n, bool same_rdn)
{
	NEED(X509_NAME_add_entry_by_txt(name, oid, type, p, (int)(n ? n : strlen(p)), -1, same_rdn ? -1 : 0) == 1);
}

static X509_NAME *subject_of(const struct mint_wish *w, const char *usual)
{
	X509_NAME *n = X509_NAME_new();
	put(n, "C", MINT_PRINTABLE, "VN", 0, false);
	const char *cn = w->cn ? w->cn : usual;
	if (*cn)
		put(n, "CN", MINT_UTF8, cn, 0, false);
	for (size_t i = 0; i < 6 && w->uid[i]; i++)
		put(n, "UID", MINT_UTF8, w->uid[i], 0, false);
	if (w->serial_number)
		put(n, "serialNumber", MINT_PRINTABLE, w->serial_number, 0, false);
	if (w->organization_identifier)
		put(n, "2.5.4.97", MINT_UTF8, w->organization_identifier, 0, false);
	for (size_t i = 0; i < 8 && w->attrs[i].oid; i++)
		put(n, w->attrs[i].oid, w->attrs[i].type, w->attrs[i].p, w->attrs[i].n, w->attrs[i].same_rdn);
	return n;
}

static void ext(X509 *x, X509 *issuer, const char *name, const char *value)
{
	if (!value || !*value)
		return;
	X509V3_CTX c;
	CONF *conf = NCONF_new(NULL);
	X509V3_set_ctx(&c, issuer, x, NULL, NULL, 0);
	X509V3_set_nconf(&c, conf);
	X509_EXTENSION *e = X509V3_EXT_nconf(conf, &c, name, value);
	need(e, value);
	NEED(X509_add_ext(x, e, -1) == 1);
	X509_EXTENSION_free(e);
	NCONF_free(conf);
}

static void extensions(X509 *x, X509 *issuer, const struct mint_wish *w, const char *basic, const char *ku, const char *eku)
{
	ext(x, issuer, "basicConstraints", w->basic ? w->basic : basic);
	ext(x, issuer, "keyUsage", w->ku ? w->ku : ku);
	ext(x, issuer, "extendedKeyUsage", w->eku ? w->eku : eku);
	if (!w->no_ids) {
		ext(x, issuer, "subjectKeyIdentifier", "hash");
		ext(x, issuer, "authorityKeyIdentifier", "keyid:always");
	}
	ext(x, issuer, "certificatePolicies", w->policies);
	ext(x, issuer, "subjectAltName", w->san);
	ext(x, issuer, "authorityInfoAccess", w->aia);
	ext(x, issuer, "crlDistributionPoints", w->crldp);
	ext(x, issuer, "nameConstraints", w->nc);
	if (w->more) {
		char oid[64];
		size_t n = strcspn(w->more, "=");
		NEED(n < sizeof oid);
		memcpy(oid, w->more, n);
		oid[n] = 0;
		ext(x, issuer, oid, w->more + n + 1);
	}
}

static void set_serial(X509 *x, const struct mint_wish *w)
{
	static long counter = 4096;
	if (w->serial_hex) {
		BIGNUM *b = NULL;
		NEED(BN_hex2bn(&b, w->serial_hex) > 0 && BN_to_ASN1_INTEGER(b, X509_get_serialNumber(x)));
		BN_free(b);
	} else {
		NEED(ASN1_INTEGER_set(X509_get_serialNumber(x), w->serial ? w->serial : counter++) == 1);
	}
}

static struct bytes der_of(struct arena *a, X509 *x)
{
	unsigned char *p = NULL;
	int n = i2d_X509(x, &p);
	NEED(n > 0);
	struct bytes b = bytes_copy(a, p, (size_t)n);
	OPENSSL_free(p);
	return b;
}

static void sign(X509 *x, EVP_PKEY *k, const char *digest)
{
	const EVP_MD *md = EVP_PKEY_is_a(k, "ED25519") ? NULL : EVP_get_digestbyname(digest ? digest : "SHA256");
	NEED(X509_sign(x, k, md) > 0);
}

static struct minted *mint(struct arena *a, const struct minted *issuer, const struct mint_wish *w, const char *cn, const char *basic,
                           const char *ku, const char *eku)
{
	static const struct mint_wish none;
	w = w ? w : &none;
	struct minted *m = make(a, struct minted);
	X509 *x = X509_new();
	EVP_PKEY *k = w->same_key ? w->same_key->key : new_key(w->key);
	if (w->same_key)
		EVP_PKEY_up_ref(k);
	arena_defer(a, free_x509, x);
	arena_defer(a, free_key, k);
	*m = (struct minted){ .x = x, .key = k, .issuer = issuer ? issuer : m };
	X509_NAME *name = subject_of(w, cn);
	NEED(X509_set_version(x, w->v1 ? 0 : 2) == 1 && X509_set_subject_name(x, name) == 1 && X509_set_pubkey(x, k) == 1);
	NEED(X509_set_issuer_name(x, issuer ? X509_get_subject_name(issuer->x) : name) == 1);
	X509_NAME_free(name);
	set_serial(x, w);
	NEED(ASN1_TIME_adj(X509_getm_notBefore(x), (time_t)(w->not_before ? w->not_before : 1767225600), 0, 0));
	NEED(ASN1_TIME_adj(X509_getm_notAfter(x), (time_t)(w->not_after ? w->not_after : 1830297600), 0, 0));
	if (!w->v1)
		extensions(x, issuer ? issuer->x : x, w, basic, ku, eku);
	sign(x, issuer ? issuer->key : k, w->digest);
	m->der = der_of(a, x);
	return m;
}

struct minted *mint_root(struct arena *a, const struct mint_wish *w)
{
	return mint(a, NULL, w, "Mint Root", "critical,CA:TRUE", "critical,keyCertSign,cRLSign", NULL);
}

struct minted *mint_ca(struct arena *a, const struct minted *issuer, const struct mint_wish *w)
{
	return mint(a, issuer, w, "Mint Issuing", "critical,CA:TRUE", "critical,keyCertSign,cRLSign", NULL);
}

struct minted *mint_leaf(struct arena *a, const struct minted *issuer, const struct mint_wish *w)
{
	return mint(a, issuer, w, "Nguyễn Văn An", "CA:FALSE", "critical,digitalSignature,nonRepudiation", "clientAuth");
}

static struct bytes drain(struct arena *a, BIO *b)
{
	char *p;
	long n = BIO_get_mem_data(b, &p);
	struct bytes out = bytes_copy(a, p, (size_t)n);
	BIO_free(b);
	return out;
}

struct str mint_pem(struct arena *a, const struct minted *m)
{
	BIO *b = BIO_new(BIO_s_mem());
	NEED(PEM_write_bio_X509(b, m->x) == 1);
	struct bytes t = drain(a, b);
	return (struct str){ (const char *)t.p, t.n };
}

struct bytes mint_pkcs8(struct arena *a, const struct minted *m)
{
	BIO *b = BIO_new(BIO_s_mem());
	NEED(i2d_PKCS8PrivateKey_bio(b, m->key, NULL, NULL, 0, NULL, NULL) == 1);
	return drain(a, b);
}

/* ---- signatures ------------------------------------------------------------------------------------------------------------ */

struct bytes mint_ec_raw(struct arena *a, struct bytes der, size_t field)
{
	const unsigned char *p = der.p;
	ECDSA_SIG *s = d2i_ECDSA_SIG(NULL, &p, (long)der.n);
	unsigned char *raw = arena_alloc(a, 2 * field);
	NEED(s && BN_bn2binpad(ECDSA_SIG_get0_r(s), raw, (int)field) > 0 && BN_bn2binpad(ECDSA_SIG_get0_s(s), raw + field, (int)field) > 0);
	ECDSA_SIG_free(s);
	return (struct bytes){ raw, 2 * field };
}

struct bytes mint_sign(struct arena *a, const struct minted *m, const char *alg, struct bytes input)
{
	char digest[8];
	snprintf(digest, sizeof digest, "SHA%.3s", alg + 2);
	bool ed = strcmp(alg, "EdDSA") == 0;
	EVP_MD_CTX *c = EVP_MD_CTX_new();
	EVP_PKEY_CTX *pc;
	unsigned char sig[1024];
	size_t n = sizeof sig;
	NEED(EVP_DigestSignInit_ex(c, &pc, ed ? NULL : digest, NULL, NULL, m->key, NULL) == 1);
	if (alg[0] == 'P')
		NEED(EVP_PKEY_CTX_set_rsa_padding(pc, RSA_PKCS1_PSS_PADDING) == 1 && EVP_PKEY_CTX_set_rsa_pss_saltlen(pc, RSA_PSS_SALTLEN_DIGEST) == 1);
	NEED(EVP_DigestSign(c, sig, &n, input.p, input.n) == 1);
	EVP_MD_CTX_free(c);
	struct bytes out = bytes_copy(a, sig, n);
	return alg[0] == 'E' && !ed ? mint_ec_raw(a, out, ((size_t)EVP_PKEY_get_bits(m->key) + 7) / 8) : out;
}

struct bytes mint_sign_hash(struct arena *a, const struct minted *m, struct bytes hash)
{
	EVP_PKEY_CTX *c = EVP_PKEY_CTX_new_from_pkey(NULL, m->key, NULL);
	unsigned char sig[1024];
	size_t n = sizeof sig;
	NEED(EVP_PKEY_sign_init(c) == 1);
	if (EVP_PKEY_is_a(m->key, "RSA"))
		NEED(EVP_PKEY_CTX_set_rsa_padding(c, RSA_PKCS1_PADDING) == 1 &&
		     EVP_PKEY_CTX_set_signature_md(c, hash.n == 32 ? EVP_sha256() : hash.n == 48 ? EVP_sha384() : EVP_sha512()) == 1);
	NEED(EVP_PKEY_sign(c, sig, &n, hash.p, hash.n) == 1);
	EVP_PKEY_CTX_free(c);
	return bytes_copy(a, sig, n);
}

struct bytes mint_rsa_pad(struct arena *a, const struct minted *m, struct bytes text)
{
	EVP_PKEY_CTX *c = EVP_PKEY_CTX_new_from_pkey(NULL, m->key, NULL);
	unsigned char sig[1024];
	size_t n = sizeof sig;
	NEED(EVP_PKEY_sign_init(c) == 1 && EVP_PKEY_CTX_set_rsa_padding(c, RSA_PKCS1_PADDING) == 1 && EVP_PKEY_sign(c, sig, &n, text.p, text.n) == 1);
	EVP_PKEY_CTX_free(c);
	return bytes_copy(a, sig, n);
}

struct str mint_webeid(struct arena *a, const struct minted *m, const char *alg, struct str origin, struct str nonce, const struct minted **extra, size_t nextra)
{
	char digest[8];
	unsigned char both[2 * EVP_MAX_MD_SIZE];
	unsigned n = 0, k = 0;
	snprintf(digest, sizeof digest, "SHA%.3s", alg + 2);
	const EVP_MD *md = EVP_get_digestbyname(digest);
	NEED(EVP_Digest(origin.p, origin.n, both, &n, md, NULL) == 1 && EVP_Digest(nonce.p, nonce.n, both + n, &k, md, NULL) == 1);
	struct str sig = b64(a, mint_sign(a, m, alg, (struct bytes){ both, n + k }));
	struct str text = str_fmt(a, "{\"unverifiedCertificate\":\"%s\",\"algorithm\":\"%s\",\"signature\":\"%s\",\"appVersion\":\"mint\",\"format\":\"web-eid:1.%d\"",
	                          b64(a, m->der).p, alg, sig.p, nextra ? 1 : 0);
	for (size_t i = 0; i < nextra; i++)
		text = str_fmt(a, "%s%s\"%s\"", text.p, i ? "," : ",\"unverifiedIntermediateCertificates\":[", b64(a, extra[i]->der).p);
	return str_fmt(a, "%s%s}", text.p, nextra ? "]" : "");
}

/* ---- CMS --------------------------------------------------------------------------------------------------------------------- */

static void add_ess(CMS_SignerInfo *si, X509 *x, bool wrong)
{
	unsigned char d[32], v[40] = { 0x30, 0x26, 0x30, 0x24, 0x30, 0x22, 0x04, 0x20 };
	unsigned n;
	NEED(X509_digest(x, EVP_sha256(), d, &n) == 1 && n == 32);
	d[0] = (unsigned char)(d[0] ^ wrong);
	memcpy(v + 8, d, 32);
	NEED(CMS_signed_add1_attr_by_NID(si, NID_id_smime_aa_signingCertificateV2, V_ASN1_SEQUENCE, v, sizeof v) == 1);
}

struct bytes mint_cms(struct arena *a, const struct minted *m, struct bytes content, const struct mint_cms_wish *w)
{
	static const struct mint_cms_wish none;
	w = w ? w : &none;
	BIO *in = BIO_new_mem_buf(content.p, (int)content.n);
	unsigned flags = CMS_BINARY | CMS_PARTIAL | CMS_NOSMIMECAP | (w->encapsulated ? 0 : CMS_DETACHED);
	unsigned each = CMS_BINARY | CMS_NOSMIMECAP | (w->no_attrs ? CMS_NOATTR : 0) | (w->no_cert ? CMS_NOCERTS : 0) | CMS_PARTIAL;
	const EVP_MD *md = EVP_get_digestbyname(w->digest ? w->digest : "SHA256");
	CMS_ContentInfo *c = CMS_sign(NULL, NULL, NULL, NULL, flags);
	NEED(c);
	CMS_SignerInfo *si = CMS_add1_signer(c, m->x, m->key, md, each);
	NEED(si);
	if (w->ess || w->ess_wrong)
		add_ess(si, m->x, w->ess_wrong);
	if (w->second)
		NEED(CMS_add1_signer(c, w->second->x, w->second->key, md, each));
	if (w->along)
		NEED(CMS_add1_cert(c, w->along->x) == 1);
	NEED(CMS_final(c, in, NULL, CMS_BINARY | (w->encapsulated ? 0 : CMS_DETACHED)) == 1);
	BIO_free(in);
	BIO *b = BIO_new(BIO_s_mem());
	NEED(i2d_CMS_bio(b, c) == 1);
	CMS_ContentInfo_free(c);
	return drain(a, b);
}

/* ---- status ------------------------------------------------------------------------------------------------------------------ */

static ASN1_GENERALIZEDTIME *at(epoch t) { return ASN1_GENERALIZEDTIME_set(NULL, (time_t)t); }

static void add_single(OCSP_BASICRESP *b, const struct minted *leaf, epoch now, const struct mint_ocsp_wish *w)
{
	OCSP_CERTID *id = OCSP_cert_to_id(w->sha256_id ? EVP_sha256() : EVP_sha1(), leaf->x, leaf->issuer->x);
	ASN1_GENERALIZEDTIME *this = at(now + w->this_update), *next = w->next_update ? at(now + w->next_update) : NULL;
	ASN1_GENERALIZEDTIME *rev = w->status == 1 ? at(now + w->revoked) : NULL;
	OCSP_SINGLERESP *s = OCSP_basic_add1_status(b, id, w->status, w->reason, rev, this, next);
	NEED(s);
	if (w->critical) {
		ASN1_OCTET_STRING *o = ASN1_OCTET_STRING_new();
		ASN1_OCTET_STRING_set(o, (const unsigned char *)"\x05\x00", 2);
		X509_EXTENSION *e = X509_EXTENSION_create_by_NID(NULL, NID_netscape_comment, 1, o);
		NEED(OCSP_SINGLERESP_add_ext(s, e, -1) == 1);
		X509_EXTENSION_free(e);
		ASN1_OCTET_STRING_free(o);
	}
	OCSP_CERTID_free(id);
	ASN1_GENERALIZEDTIME_free(this);
	ASN1_GENERALIZEDTIME_free(next);
	ASN1_GENERALIZEDTIME_free(rev);
}

/* producedAt is always the clock's when OpenSSL signs; so the bytes before signing are changed, and signed again. */
static void set_produced(OCSP_BASICRESP *b, epoch t)
{
	ASN1_GENERALIZEDTIME *p = (ASN1_GENERALIZEDTIME *)(uintptr_t)OCSP_resp_get0_produced_at(b);
	NEED(ASN1_GENERALIZEDTIME_set(p, (time_t)t));
}

struct bytes mint_ocsp(struct arena *a, const struct minted *leaf, epoch now, const struct mint_ocsp_wish *w)
{
	static const struct mint_ocsp_wish none = { .this_update = -60, .next_update = 3600, .produced = -60 };
	w = w ? w : &none;
	const struct minted *by = w->signer ? w->signer : leaf->issuer;
	OCSP_BASICRESP *b = OCSP_BASICRESP_new();
	add_single(b, w->about ? w->about : leaf, now, w);
	if (w->twice)
		add_single(b, leaf, now, &(struct mint_ocsp_wish){ .status = 1, .this_update = w->this_update, .next_update = w->next_update });
	if (w->nonce.n) {
		unsigned char room[128];
		memcpy(room, w->nonce.p, w->nonce.n);
		NEED(OCSP_basic_add1_nonce(b, room, (int)w->nonce.n) == 1);
	}
	const struct minted *carry = w->carry ? w->carry : w->signer;
	if (carry && !w->no_carry)
		NEED(OCSP_basic_add1_cert(b, carry->x) == 1);
	set_produced(b, now + w->produced);
	const EVP_MD *md = EVP_PKEY_is_a(by->key, "ED25519") ? NULL : EVP_get_digestbyname(w->digest ? w->digest : "SHA256");
	NEED(OCSP_basic_sign(b, by->x, by->key, md, NULL, OCSP_NOCERTS | OCSP_NOTIME | (w->by_key ? OCSP_RESPID_KEY : 0)) == 1);
	OCSP_RESPONSE *rs = OCSP_response_create(OCSP_RESPONSE_STATUS_SUCCESSFUL, b);
	unsigned char *p = NULL;
	int n = i2d_OCSP_RESPONSE(rs, &p);
	NEED(n > 0);
	struct bytes out = bytes_copy(a, p, (size_t)n);
	OPENSSL_free(p);
	OCSP_RESPONSE_free(rs);
	OCSP_BASICRESP_free(b);
	return out;
}

static void crl_ext(X509_CRL *c, const char *name, const char *value)
{
	if (!value)
		return;
	X509V3_CTX v;
	CONF *conf = NCONF_new(NULL);
	X509V3_set_ctx(&v, NULL, NULL, NULL, c, 0);
	X509V3_set_nconf(&v, conf);
	X509_EXTENSION *e = X509V3_EXT_nconf(conf, &v, name, value);
	NCONF_free(conf);
	need(e, value);
	NEED(X509_CRL_add_ext(c, e, -1) == 1);
	X509_EXTENSION_free(e);
}

static void revoke(X509_CRL *c, const struct minted *m, int reason, epoch when)
{
	X509_REVOKED *r = X509_REVOKED_new();
	ASN1_TIME *t = ASN1_TIME_set(NULL, (time_t)when);
	NEED(X509_REVOKED_set_serialNumber(r, X509_get_serialNumber(m->x)) == 1 && X509_REVOKED_set_revocationDate(r, t) == 1);
	if (reason) {
		ASN1_ENUMERATED *e = ASN1_ENUMERATED_new();
		ASN1_ENUMERATED_set(e, reason);
		NEED(X509_REVOKED_add1_ext_i2d(r, NID_crl_reason, e, 0, 0) == 1);
		ASN1_ENUMERATED_free(e);
	}
	ASN1_TIME_free(t);
	NEED(X509_CRL_add0_revoked(c, r) == 1);
}

struct bytes mint_crl(struct arena *a, const struct minted *issuer, epoch now, const struct mint_crl_wish *w)
{
	static const struct mint_crl_wish none = { .this_update = -60, .next_update = 86400 };
	w = w ? w : &none;
	X509_CRL *c = X509_CRL_new();
	ASN1_TIME *t = ASN1_TIME_set(NULL, (time_t)(now + w->this_update));
	NEED(X509_CRL_set_version(c, w->v1 ? 0 : 1) == 1 && X509_CRL_set_issuer_name(c, X509_get_subject_name(issuer->x)) == 1 && X509_CRL_set1_lastUpdate(c, t) == 1);
	ASN1_TIME_free(t);
	if (w->next_update) {
		t = ASN1_TIME_set(NULL, (time_t)(now + w->next_update));
		NEED(X509_CRL_set1_nextUpdate(c, t) == 1);
		ASN1_TIME_free(t);
	}
	for (size_t i = 0; i < 4 && w->revoked[i]; i++)
		revoke(c, w->revoked[i], w->reason[i], now - 100);
	crl_ext(c, "issuingDistributionPoint", w->idp);
	crl_ext(c, "2.5.29.27", w->more);
	NEED(X509_CRL_sort(c) == 1 && X509_CRL_sign(c, w->signer ? w->signer->key : issuer->key, EVP_sha256()) > 0);
	BIO *b = BIO_new(BIO_s_mem());
	NEED(i2d_X509_CRL_bio(b, c) == 1);
	X509_CRL_free(c);
	return drain(a, b);
}
