#include "inside/ossl.h"
#include "inside/der.h"
#include "code.h"
#include "hash.h"
#include <time.h>
#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/objects.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

enum { LIST_MAX = 32, NAME_MAX_TEXT = 4096, FILE_MAX = 1 << 20, SERIAL_MAX = 20 };

/* ---- small readers ------------------------------------------------------------------------------------------------ */

bool asn1_epoch(const ASN1_TIME *t, epoch *out)
{
	if (!t)
		return false;
	int type = ASN1_STRING_type(t), n = ASN1_STRING_length(t);
	const unsigned char *p = ASN1_STRING_get0_data(t);
	if (!(type == V_ASN1_UTCTIME && n == 13) && !(type == V_ASN1_GENERALIZEDTIME && n == 15))
		return false;
	for (int i = 0; i < n - 1; i++)
		if (p[i] < '0' || p[i] > '9')
			return false;
	struct tm tm;
	if (p[n - 1] != 'Z' || ASN1_TIME_to_tm(t, &tm) != 1)
		return false;
	*out = timegm(&tm);
	return true;
}

struct str oid_text(struct arena *a, const ASN1_OBJECT *o)
{
	char text[128];
	int n = OBJ_obj2txt(text, sizeof text, o, 1);
	return n > 0 && n < (int)sizeof text ? str_dup(a, text, (size_t)n) : S("");
}

static struct str name_text(struct arena *a, const X509_NAME *name)
{
	BIO *b = BIO_new(BIO_s_mem());
	char *p;
	struct str s = S("");
	if (b && X509_NAME_print_ex(b, name, 0, XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB) >= 0) {
		long n = BIO_get_mem_data(b, &p);
		if (n > 0 && n <= NAME_MAX_TEXT)
			s = str_dup(a, p, (size_t)n);
	}
	BIO_free(b);
	return str_utf8(s) ? s : S("");
}

static struct str serial_text(struct arena *a, const ASN1_INTEGER *i)
{
	struct str s = hex(a, (struct bytes){ ASN1_STRING_get0_data(i), (size_t)ASN1_STRING_length(i) });
	size_t zeros = 0;
	while (zeros + 1 < s.n && s.p[zeros] == '0')
		zeros++;
	return str_from(a, s, zeros);
}

/* ---- lists in extensions ------------------------------------------------------------------------------------------ */

/* An extension is there once, or not at all, and parses. */
static err extension(struct arena *a, X509 *x, int nid, void (*release)(void *), void **out)
{
	int crit;
	*out = X509_get_ext_d2i(x, nid, &crit, NULL);
	if (*out)
		arena_defer(a, release, *out);
	else if (crit != -1)
		return fault(a, &CERT_UNSUITABLE, "the extension %s is malformed or doubled", OBJ_nid2sn(nid));
	return OK;
}

static void free_ekus(void *p) { EXTENDED_KEY_USAGE_free(p); }
static void free_policies(void *p) { CERTIFICATEPOLICIES_free(p); }
static void free_points(void *p) { CRL_DIST_POINTS_free(p); }
static void free_access(void *p) { AUTHORITY_INFO_ACCESS_free(p); }

static err push(struct arena *a, struct strs *l, struct str s)
{
	if (l->n == LIST_MAX)
		return fault(a, &CERT_UNSUITABLE, "an extension lists more than %d values", LIST_MAX);
	if (!l->v)
		l->v = make_n(a, struct str, LIST_MAX);
	l->v[l->n++] = s;
	return OK;
}

static err read_ekus(struct arena *a, X509 *x, struct strs *out)
{
	void *v;
	TRY(extension(a, x, NID_ext_key_usage, free_ekus, &v));
	EXTENDED_KEY_USAGE *l = v;
	if (l && sk_ASN1_OBJECT_num(l) == 0)
		return fault(a, &CERT_UNSUITABLE, "the extended key usage is empty");
	for (int i = 0; l && i < sk_ASN1_OBJECT_num(l); i++)
		TRY(push(a, out, oid_text(a, sk_ASN1_OBJECT_value(l, i))));
	return OK;
}

static err read_policies(struct arena *a, X509 *x, struct strs *out)
{
	void *v;
	TRY(extension(a, x, NID_certificate_policies, free_policies, &v));
	CERTIFICATEPOLICIES *l = v;
	for (int i = 0; l && i < sk_POLICYINFO_num(l); i++)
		TRY(push(a, out, oid_text(a, sk_POLICYINFO_value(l, i)->policyid)));
	return OK;
}

static err push_url(struct arena *a, const GENERAL_NAME *g, struct strs *out)
{
	if (g->type != GEN_URI)
		return OK;
	struct str s = { (const char *)ASN1_STRING_get0_data(g->d.ia5), (size_t)ASN1_STRING_length(g->d.ia5) };
	return str_printable(s) && s.n ? push(a, out, str_copy(a, s)) : OK;
}

static err read_ocsp_urls(struct arena *a, X509 *x, struct strs *out)
{
	void *v;
	TRY(extension(a, x, NID_info_access, free_access, &v));
	AUTHORITY_INFO_ACCESS *l = v;
	for (int i = 0; l && i < sk_ACCESS_DESCRIPTION_num(l); i++) {
		const ACCESS_DESCRIPTION *d = sk_ACCESS_DESCRIPTION_value(l, i);
		if (OBJ_obj2nid(d->method) == NID_ad_OCSP)
			TRY(push_url(a, d->location, out));
	}
	return OK;
}

static err read_crl_urls(struct arena *a, X509 *x, struct strs *out)
{
	void *v;
	TRY(extension(a, x, NID_crl_distribution_points, free_points, &v));
	CRL_DIST_POINTS *l = v;
	for (int i = 0; l && i < sk_DIST_POINT_num(l); i++) {
		const DIST_POINT *p = sk_DIST_POINT_value(l, i);
		if (!p->distpoint || p->distpoint->type != 0)
			continue;
		for (int j = 0; j < sk_GENERAL_NAME_num(p->distpoint->name.fullname); j++)
			TRY(push_url(a, sk_GENERAL_NAME_value(p->distpoint->name.fullname, j), out));
	}
	return OK;
}

static unsigned usage(X509 *x)
{
	static const struct { uint32_t theirs; unsigned ours; } T[] = {
		{ KU_DIGITAL_SIGNATURE, USE_DIGITAL_SIGNATURE }, { KU_NON_REPUDIATION, USE_NON_REPUDIATION },
		{ KU_KEY_ENCIPHERMENT, USE_KEY_ENCIPHERMENT }, { KU_DATA_ENCIPHERMENT, USE_DATA_ENCIPHERMENT },
		{ KU_KEY_AGREEMENT, USE_KEY_AGREEMENT }, { KU_KEY_CERT_SIGN, USE_CERT_SIGN }, { KU_CRL_SIGN, USE_CRL_SIGN } };
	uint32_t theirs = X509_get_key_usage(x);
	unsigned ours = 0;
	for (size_t i = 0; i < sizeof T / sizeof *T; i++)
		if (theirs & T[i].theirs)
			ours |= T[i].ours;
	return ours;
}

/* ---- keys --------------------------------------------------------------------------------------------------------- */

static const struct curve { const char *text; int nid; size_t field; } CURVES[] = {
	{ "P-256", NID_X9_62_prime256v1, 32 }, { "P-384", NID_secp384r1, 48 }, { "P-521", NID_secp521r1, 66 } };

/* RFC 5480 section 2.1.1: a curve is named by its OID; parameters spelled out are refused. */
static const struct curve *named_curve(X509 *x)
{
	X509_ALGOR *alg;
	const void *value;
	int type;
	if (!X509_PUBKEY_get0_param(NULL, NULL, NULL, &alg, X509_get_X509_PUBKEY(x)))
		return NULL;
	X509_ALGOR_get0(NULL, &type, &value, alg);
	if (type != V_ASN1_OBJECT)
		return NULL;
	int nid = OBJ_obj2nid(value);
	for (size_t i = 0; i < sizeof CURVES / sizeof *CURVES; i++)
		if (CURVES[i].nid == nid)
			return &CURVES[i];
	return NULL;
}

size_t ec_field(EVP_PKEY *k)
{
	char name[32];
	size_t n;
	if (!EVP_PKEY_is_a(k, "EC") || EVP_PKEY_get_group_name(k, name, sizeof name, &n) != 1)
		return 0;
	int nid = OBJ_sn2nid(name);
	for (size_t i = 0; i < sizeof CURVES / sizeof *CURVES; i++)
		if (CURVES[i].nid == nid)
			return CURVES[i].field;
	return 0;
}

/* Bounds keep a hostile key from costing more than a good one. */
static const char *rsa_unfit(EVP_PKEY *k)
{
	int bits = EVP_PKEY_get_bits(k);
	if (bits < 2048 || bits > 4096 || bits % 8)
		return "the RSA key is not of 2048 to 4096 bits in whole octets";
	BIGNUM *e = NULL;
	bool good = EVP_PKEY_get_bn_param(k, OSSL_PKEY_PARAM_RSA_E, &e) == 1 && BN_is_odd(e) && !BN_is_one(e) && BN_num_bits(e) <= 64;
	BN_free(e);
	return good ? NULL : "the RSA exponent is unsuitable";
}

const char *key_unfit(X509 *x)
{
	EVP_PKEY *k = X509_get0_pubkey(x);
	if (!k)
		return "the key cannot be read";
	if (EVP_PKEY_is_a(k, "RSA"))
		return rsa_unfit(k);
	if (EVP_PKEY_is_a(k, "EC"))
		return named_curve(x) ? NULL : "the key is not on P-256, P-384 or P-521 by name";
	return "the key is neither RSA nor ECDSA";
}

static struct str key_text(struct arena *a, X509 *x)
{
	EVP_PKEY *k = X509_get0_pubkey(x);
	if (EVP_PKEY_is_a(k, "EC")) {
		const struct curve *c = named_curve(x);
		return c ? str_of(c->text) : str_fmt(a, "EC %d, other curve", EVP_PKEY_get_bits(k));
	}
	const char *type = EVP_PKEY_get0_type_name(k);
	return str_fmt(a, "%s %d", type ? type : "?", EVP_PKEY_get_bits(k));
}

/* ---- the whole ---------------------------------------------------------------------------------------------------- */

static void free_x509(void *p) { X509_free(p); }

/* The extensions are looked at now: a certificate that threads share is only read afterwards. */
bool x509_sound(X509 *x)
{
	bool good = X509_check_purpose(x, -1, 0) == 1 && X509_get0_pubkey(x) && !(X509_get_extension_flags(x) & EXFLAG_INVALID);
	ERR_clear_error();
	return good;
}

err x509_parse(struct arena *a, struct bytes der, X509 **out)
{
	*out = NULL;
	if (der.n == 0 || der.n > CERT_MAX)
		return fault(a, &CERT_UNSUITABLE, "a certificate of %zu bytes; at most %d", der.n, CERT_MAX);
	if (!der_strict(der))
		return fault(a, &CERT_UNSUITABLE, "the certificate is not exactly one DER value");
	const unsigned char *p = der.p;
	X509 *x = d2i_X509(NULL, &p, (long)der.n);
	if (x)
		arena_defer(a, free_x509, x);
	ERR_clear_error();
	if (!x || p != der.p + der.n || !x509_sound(x))
		return fault(a, &CERT_UNSUITABLE, "the certificate cannot be parsed");
	*out = x;
	return OK;
}

/* RFC 5280 section 4.1: the fields that are hashed as they were received. */
static bool raw_fields(struct bytes der, struct bytes *issuer, struct bytes *spki)
{
	struct tlv t;
	struct bytes in = der;
	if (!der_take(&in, 0x30, &t))
		return false;
	in = t.body;
	if (!der_take(&in, 0x30, &t))
		return false;
	in = t.body;
	if (in.n && in.p[0] == 0xa0 && !der_next(&in, &t))
		return false;
	struct tlv serial, alg, name, validity, subject, key;
	if (!der_take(&in, 0x02, &serial) || !der_take(&in, 0x30, &alg) || !der_take(&in, 0x30, &name) ||
	    !der_take(&in, 0x30, &validity) || !der_take(&in, 0x30, &subject) || !der_take(&in, 0x30, &key))
		return false;
	*issuer = name.whole;
	*spki = key.whole;
	return true;
}

static struct str issuer_id(struct arena *a, X509 *x, struct bytes name)
{
	const ASN1_OCTET_STRING *akid = X509_get0_authority_key_id(x);
	size_t n = akid ? (size_t)ASN1_STRING_length(akid) : 0;
	unsigned char d[SHA256_SIZE], *all = arena_alloc(a, name.n + n + 1);
	memcpy(all, name.p, name.n);
	if (n)
		memcpy(all + name.n, ASN1_STRING_get0_data(akid), n);
	sha256(all, name.n + n, d);
	return hex(a, (struct bytes){ d, sizeof d });
}

static err fill_text(struct arena *a, X509 *x, struct cert *out)
{
	const ASN1_INTEGER *serial = X509_get0_serialNumber(x);
	if (ASN1_STRING_type(serial) != V_ASN1_INTEGER || ASN1_STRING_length(serial) > SERIAL_MAX)
		return fault(a, &CERT_UNSUITABLE, "the serial number is negative or longer than %d octets", SERIAL_MAX);
	out->serial = serial_text(a, serial);
	out->subject = name_text(a, X509_get_subject_name(x));
	out->issuer = name_text(a, X509_get_issuer_name(x));
	if (str_empty(out->issuer) || (str_empty(out->subject) && X509_NAME_entry_count(X509_get_subject_name(x))))
		return fault(a, &CERT_UNSUITABLE, "a name in the certificate cannot be read");
	if (!asn1_epoch(X509_get0_notBefore(x), &out->not_before) || !asn1_epoch(X509_get0_notAfter(x), &out->not_after))
		return fault(a, &CERT_UNSUITABLE, "the validity cannot be read");
	out->key_text = key_text(a, x);
	return OK;
}

err cert_fill(struct arena *a, struct bytes der, X509 *x, struct cert *out)
{
	struct bytes issuer, spki;
	unsigned char d[SHA256_SIZE];
	*out = (struct cert){ .handle = x };
	out->der = bytes_copy(a, der.p, der.n);
	if (!raw_fields(out->der, &issuer, &spki))
		return fault(a, &CERT_UNSUITABLE, "the certificate cannot be parsed");
	out->spki = spki;
	sha256(der.p, der.n, d);
	out->id = hex(a, (struct bytes){ d, sizeof d });
	out->issuer_id = issuer_id(a, x, issuer);
	sha256(spki.p, spki.n, d);
	out->spki_sha256 = b64url(a, (struct bytes){ d, sizeof d });
	TRY(fill_text(a, x, out));
	uint32_t flags = X509_get_extension_flags(x);
	out->is_ca = flags & EXFLAG_CA;
	out->ku_present = flags & EXFLAG_KUSAGE;
	out->ku = out->ku_present ? usage(x) : 0;
	TRY(read_ekus(a, x, &out->ekus));
	TRY(read_policies(a, x, &out->policies));
	TRY(read_ocsp_urls(a, x, &out->ocsp_urls));
	return read_crl_urls(a, x, &out->crl_urls);
}

err cert_read(struct arena *a, struct bytes der, struct cert *out)
{
	X509 *x;
	*out = (struct cert){ 0 };
	TRY(x509_parse(a, der, &x));
	return cert_fill(a, der, x, out);
}

err cert_x509(struct arena *a, const struct cert *c, X509 **out)
{
	*out = c->handle;
	return *out ? OK : x509_parse(a, c->der, out);
}

/* ---- files -------------------------------------------------------------------------------------------------------- */

struct pem { char *name, *header; unsigned char *data; long n; };

static void pem_free(struct pem *p)
{
	OPENSSL_free(p->name);
	OPENSSL_free(p->header);
	OPENSSL_clear_free(p->data, p->n > 0 ? (size_t)p->n : 0);   /* it may have been a private key */
	*p = (struct pem){ 0 };
}

static err read_pem(struct arena *a, BIO *b, struct cert *out, size_t max, size_t *n)
{
	struct pem p = { 0 };
	err e = OK;
	while (!e.kind && PEM_read_bio(b, &p.name, &p.header, &p.data, &p.n) == 1) {
		if (strcmp(p.name, "CERTIFICATE") == 0)
			e = *n == max ? fault(a, &CERT_UNSUITABLE, "more than %zu certificates in one file", max)
			              : cert_read(a, (struct bytes){ p.data, (size_t)p.n }, &out[*n]);
		*n += !e.kind && strcmp(p.name, "CERTIFICATE") == 0;
		pem_free(&p);
	}
	unsigned long why = ERR_peek_last_error();
	ERR_clear_error();
	if (!e.kind && ERR_GET_REASON(why) != PEM_R_NO_START_LINE)
		return fault(a, &CERT_UNSUITABLE, "the file has a broken PEM block");
	return e;
}

err cert_read_pem_or_der(struct arena *a, struct bytes file, struct cert *out, size_t max, size_t *n)
{
	*n = 0;
	if (file.n == 0 || file.n > FILE_MAX || max == 0)
		return fault(a, &CERT_UNSUITABLE, "a file of %zu bytes holds no certificates", file.n);
	if (file.p[0] == 0x30) {
		TRY(cert_read(a, file, out));
		*n = 1;
		return OK;
	}
	BIO *b = BIO_new_mem_buf(file.p, (int)file.n);
	err e = b ? read_pem(a, b, out, max, n) : fault(a, &SERVER_ERROR, "out of memory");
	BIO_free(b);
	if (!e.kind && *n == 0)
		return fault(a, &CERT_UNSUITABLE, "the file holds no certificate, neither as PEM nor as DER");
	return e;
}
