#include "status.h"
#include "inside/ossl.h"
#include "inside/der.h"
#include <openssl/err.h>
#include <openssl/ocsp.h>
#include <openssl/x509v3.h>

/* Everything that decides is checked here; OpenSSL parses and does the one public-key operation (SECURITY 0.6: its own verification with
 * a look-up says GOOD in nine of 36 cases where it must not). */

enum { ANSWER_MAX = 65536, SINGLES_MAX = 64, CERTS_MAX = 8, NONCE_MAX = 128, AGE_MAX = 7 * 86400, REUSE = 600, DELEGATE_LIFE = 400 * 86400,
       HASH_BITS = 128, KEY_BITS = 112 };

struct reading {
	struct arena *a;
	X509 *leaf, *issuer;
	OCSP_BASICRESP *basic;
	epoch now;
	int64_t max_age;
	struct status_answer *out;
};

static void free_request(void *p) { OCSP_REQUEST_free(p); }
static void free_response(void *p) { OCSP_RESPONSE_free(p); }
static void free_basic(void *p) { OCSP_BASICRESP_free(p); }

/* ---- asking ------------------------------------------------------------------------------------------------------------ */

err ocsp_request(struct arena *a, const struct cert *leaf, const struct cert *issuer, struct bytes nonce, struct bytes *der)
{
	X509 *x, *by;
	TRY(cert_x509(a, leaf, &x));
	TRY(cert_x509(a, issuer, &by));
	OCSP_REQUEST *rq = OCSP_REQUEST_new();
	if (!rq)
		return fault(a, &SERVER_ERROR, "out of memory");
	arena_defer(a, free_request, rq);
	/* RFC 5019 section 2.1.1: SHA-1 names the certificate, it protects nothing. */
	OCSP_CERTID *id = OCSP_cert_to_id(EVP_sha1(), x, by);
	if (!id || !OCSP_request_add0_id(rq, id)) {
		OCSP_CERTID_free(id);
		return fault(a, &SERVER_ERROR, "the OCSP request cannot be made");
	}
	unsigned char room[NONCE_MAX], *p = NULL;
	if (nonce.n > NONCE_MAX)
		return fault(a, &SERVER_ERROR, "a nonce of %zu bytes", nonce.n);
	if (nonce.n) {
		memcpy(room, nonce.p, nonce.n);
		if (OCSP_request_add1_nonce(rq, room, (int)nonce.n) != 1)
			return fault(a, &SERVER_ERROR, "the OCSP request cannot be made");
	}
	int n = i2d_OCSP_REQUEST(rq, &p);
	if (n > 0)
		*der = bytes_copy(a, p, (size_t)n);
	OPENSSL_free(p);
	ERR_clear_error();
	return n > 0 ? OK : fault(a, &SERVER_ERROR, "the OCSP request cannot be made");
}

/* ---- who answered -------------------------------------------------------------------------------------------------------- */

/* Nothing is asked to be stronger than the issuer's own certificate, which the path check has judged (trust.h refuses SHA-1 and RSA below
 * 2048 bits there). */
static bool strong(const struct reading *r, int hash_bits, int key_bits)
{
	int hash = x509_sig_bits(r->issuer), key = EVP_PKEY_get_security_bits(X509_get0_pubkey(r->issuer));
	return hash_bits > 0 && hash_bits >= (hash < HASH_BITS ? hash : HASH_BITS) && key_bits >= (key < KEY_BITS ? key : KEY_BITS);
}

/* RFC 6960 section 4.2.2.2: the answer is by this key, and its responderID names this certificate. */
static bool signed_by(struct reading *r, X509 *signer)
{
	STACK_OF(X509) *one = sk_X509_new_null();
	bool good = one && sk_X509_push(one, signer) > 0 &&
	            OCSP_basic_verify(r->basic, one, NULL, OCSP_NOINTERN | OCSP_TRUSTOTHER) == 1;
	sk_X509_free(one);
	ERR_clear_error();
	return good;
}

static bool ocsp_eku(X509 *x)
{
	return (X509_get_extension_flags(x) & EXFLAG_XKUSAGE) && (X509_get_extended_key_usage(x) & XKU_OCSP_SIGN);
}

/* Section 4.2.2.2.1: a delegate that cannot be revoked without notice says so by ocsp-nocheck, or lives shortly. */
static bool never_checked(X509 *x, epoch from, epoch to)
{
	return X509_get_ext_by_NID(x, NID_id_pkix_OCSP_noCheck, -1) >= 0 || to - from <= DELEGATE_LIFE;
}

/* A delegate: certified for this by the very issuer, and good now. */
static const char *delegate_unfit(struct reading *r, X509 *x)
{
	epoch from, to;
	uint32_t flags = X509_check_purpose(x, -1, 0) == 1 ? X509_get_extension_flags(x) : EXFLAG_INVALID;
	const char *why = NULL;
	if ((flags & (EXFLAG_INVALID | EXFLAG_CRITICAL)) || !asn1_epoch(X509_get0_notBefore(x), &from) || !asn1_epoch(X509_get0_notAfter(x), &to))
		why = "the delegate's certificate is malformed";
	else if (X509_check_issued(r->issuer, x) != X509_V_OK || X509_verify(x, X509_get0_pubkey(r->issuer)) != 1)
		why = "the delegate is not certified by the issuer";
	else if (!ocsp_eku(x) || ((flags & EXFLAG_KUSAGE) && !(X509_get_key_usage(x) & KU_DIGITAL_SIGNATURE)))
		why = "the delegate may not sign OCSP answers";
	else if (r->now < from || r->now > to)
		why = "the delegate's certificate is not valid now";
	else if (!never_checked(x, from, to))
		why = "the delegate's certificate is long-lived and lacks ocsp-nocheck";
	else if (!strong(r, x509_sig_bits(x), EVP_PKEY_get_security_bits(X509_get0_pubkey(x))))
		why = "the delegate's key or certificate is too weak";
	ERR_clear_error();
	return why;
}

static const char *check_signer(struct reading *r)
{
	if (!strong(r, alg_bits(OCSP_resp_get0_tbs_sigalg(r->basic)), KEY_BITS))
		return "the answer's signature algorithm is too weak";
	if (signed_by(r, r->issuer))
		return NULL;
	const STACK_OF(X509) *certs = OCSP_resp_get0_certs(r->basic);
	int n = certs ? sk_X509_num(certs) : 0;
	if (n > CERTS_MAX)
		return "the answer carries too many certificates";
	const char *why = "the answer is not signed by the issuer or a delegate of it";
	for (int i = 0; i < n; i++) {
		X509 *x = sk_X509_value(certs, i);
		if (!X509_get0_pubkey(x) || EVP_PKEY_get_bits(X509_get0_pubkey(x)) > 8192 || !signed_by(r, x))
			continue;
		why = delegate_unfit(r, x);
		if (!why)
			return NULL;
	}
	return why;
}

/* ---- what it says ---------------------------------------------------------------------------------------------------------- */

static bool digest_is(const EVP_MD *md, const unsigned char *p, size_t n, const ASN1_OCTET_STRING *want)
{
	unsigned char d[EVP_MAX_MD_SIZE];
	unsigned len;
	return EVP_Digest(p, n, d, &len, md, NULL) == 1 && ASN1_STRING_length(want) == (int)len && memcmp(ASN1_STRING_get0_data(want), d, len) == 0;
}

/* Section 4.1.1. The issuer's name is hashed as the leaf spells it. */
static bool names_leaf(const struct reading *r, const OCSP_CERTID *id)
{
	ASN1_OCTET_STRING *name, *key;
	ASN1_INTEGER *serial;
	ASN1_OBJECT *alg;
	const unsigned char *der;
	size_t n;
	if (OCSP_id_get0_info(&name, &alg, &key, &serial, (OCSP_CERTID *)(uintptr_t)id) != 1)
		return false;
	int nid = OBJ_obj2nid(alg);
	const EVP_MD *md = nid == NID_sha1 ? EVP_sha1() : nid == NID_sha256 ? md_of(32) : nid == NID_sha384 ? md_of(48) : nid == NID_sha512 ? md_of(64) : NULL;
	const ASN1_BIT_STRING *bits = X509_get0_pubkey_bitstr(r->issuer);
	return md && bits && X509_NAME_get0_der(X509_get_issuer_name(r->leaf), &der, &n) == 1 &&
	       ASN1_INTEGER_cmp(serial, X509_get0_serialNumber(r->leaf)) == 0 && digest_is(md, der, n, name) &&
	       digest_is(md, ASN1_STRING_get0_data(bits), (size_t)ASN1_STRING_length(bits), key);
}

static const char *find_single(struct reading *r, OCSP_SINGLERESP **out)
{
	int n = OCSP_resp_count(r->basic);
	*out = NULL;
	if (n < 1 || n > SINGLES_MAX)
		return "the answer has no or too many single answers";
	for (int i = 0; i < n; i++) {
		OCSP_SINGLERESP *s = OCSP_resp_get0(r->basic, i);
		if (!names_leaf(r, OCSP_SINGLERESP_get0_id(s)))
			continue;
		if (*out)
			return "the answer speaks twice of the certificate";
		*out = s;
	}
	return *out ? NULL : "the answer is about another certificate";
}

/* Section 4.4: we understand none that may be critical but the nonce. */
static const char *check_extensions(struct reading *r, OCSP_SINGLERESP *s)
{
	for (int i = 0; i < OCSP_BASICRESP_get_ext_count(r->basic); i++) {
		X509_EXTENSION *e = OCSP_BASICRESP_get_ext(r->basic, i);
		if (X509_EXTENSION_get_critical(e) && OBJ_obj2nid(X509_EXTENSION_get_object(e)) != NID_id_pkix_OCSP_Nonce)
			return "the answer has a critical extension that is not understood";
	}
	for (int i = 0; i < OCSP_SINGLERESP_get_ext_count(s); i++)
		if (X509_EXTENSION_get_critical(OCSP_SINGLERESP_get_ext(s, i)))
			return "the single answer has a critical extension that is not understood";
	return NULL;
}

/* RFC 8954 section 2.1 */
static const char *check_nonce(struct reading *r, struct bytes want, bool required)
{
	int at = OCSP_BASICRESP_get_ext_by_NID(r->basic, NID_id_pkix_OCSP_Nonce, -1);
	if (at < 0)
		return required ? "the answer lacks the nonce" : NULL;
	if (OCSP_BASICRESP_get_ext_by_NID(r->basic, NID_id_pkix_OCSP_Nonce, at) >= 0)
		return "the answer has two nonces";
	const ASN1_OCTET_STRING *v = X509_EXTENSION_get_data(OCSP_BASICRESP_get_ext(r->basic, at));
	struct bytes in = { ASN1_STRING_get0_data(v), (size_t)ASN1_STRING_length(v) };
	struct tlv t;
	if (want.n == 0)
		return required ? "a nonce is required and none was sent" : NULL;
	if (!der_take(&in, 0x04, &t) || in.n || t.body.n != want.n || memcmp(t.body.p, want.p, want.n) != 0)
		return "the answer's nonce is not ours";
	return NULL;
}

static const char *check_times(struct reading *r, const ASN1_GENERALIZEDTIME *this, const ASN1_GENERALIZEDTIME *next)
{
	struct status_answer *o = r->out;
	epoch produced, from, to;
	if (!asn1_epoch(this, &o->this_update) || !asn1_epoch(OCSP_resp_get0_produced_at(r->basic), &produced) ||
	    (next && !asn1_epoch(next, &o->next_update)) || !asn1_epoch(X509_get0_notBefore(r->leaf), &from) ||
	    !asn1_epoch(X509_get0_notAfter(r->leaf), &to))
		return "a time in the answer is malformed";
	if (o->this_update > r->now + SKEW || produced > r->now + SKEW)
		return "the answer is from the future";
	if (produced < from || produced > to)
		return "the answer was not made while the certificate was valid";
	if (next && o->next_update < o->this_update)
		return "the answer ends before it begins";
	if (next && r->now > o->next_update)
		return "the answer is out of date";
	/* A nextUpdate far away does not make an old answer about a person fresh; about its authorities a root speaks seldom. */
	int64_t age = next && r->max_age < AGE_MAX ? AGE_MAX : r->max_age;
	bool seldom = next && (X509_get_extension_flags(r->leaf) & EXFLAG_CA);
	if (!seldom && o->this_update < r->now - age)
		return "the answer is too old";
	epoch until = next ? o->next_update : o->this_update + r->max_age;
	o->good_until = until < r->now + REUSE ? until : r->now + REUSE;
	return NULL;
}

static const char *read_status(struct reading *r, OCSP_SINGLERESP *s)
{
	int reason = -1;
	ASN1_GENERALIZEDTIME *revoked, *this, *next;
	int status = OCSP_single_get0_status(s, &reason, &revoked, &this, &next);
	const char *why = check_times(r, this, next);
	if (why)
		return why;
	if (status == V_OCSP_CERTSTATUS_REVOKED) {
		r->out->status = STATUS_REVOKED;
		r->out->why = str_of(reason >= 0 ? OCSP_crl_reason_str(reason) : "unspecified");
		asn1_epoch(revoked, &r->out->revoked_at);
		return NULL;
	}
	if (status != V_OCSP_CERTSTATUS_GOOD)
		return "the responder does not know the certificate";
	r->out->status = STATUS_GOOD;
	return NULL;
}

static const char *take_apart(struct reading *r, struct bytes answer)
{
	if (answer.n == 0 || answer.n > ANSWER_MAX || !der_strict(answer))
		return "the answer is empty, too long or not DER";
	const unsigned char *p = answer.p;
	OCSP_RESPONSE *rs = d2i_OCSP_RESPONSE(NULL, &p, (long)answer.n);
	if (!rs)
		return "the answer is no OCSP response";
	arena_defer(r->a, free_response, rs);
	if (p != answer.p + answer.n)
		return "bytes follow the answer";
	int status = OCSP_response_status(rs);
	if (status != OCSP_RESPONSE_STATUS_SUCCESSFUL)
		return OCSP_response_status_str(status);
	r->basic = OCSP_response_get1_basic(rs);
	if (!r->basic)
		return "the answer is not of the basic type";
	arena_defer(r->a, free_basic, r->basic);
	return NULL;
}

static const char *judge(struct reading *r, struct bytes answer, struct bytes nonce, bool nonce_required)
{
	OCSP_SINGLERESP *s;
	const char *why = take_apart(r, answer);
	if (!why && X509_check_issued(r->issuer, r->leaf) != X509_V_OK)
		why = "the certificate is not of this issuer";
	if (!why)
		why = find_single(r, &s);
	if (!why)
		why = check_extensions(r, s);
	if (!why)
		why = check_nonce(r, nonce, nonce_required);
	if (!why)
		why = check_signer(r);
	return why ? why : read_status(r, s);
}

err ocsp_read(struct arena *a, struct bytes answer, const struct cert *leaf, const struct cert *issuer, struct bytes nonce,
              bool nonce_required, int64_t max_age, epoch now, struct status_answer *out)
{
	struct reading r = { .a = a, .now = now, .max_age = max_age, .out = out };
	*out = (struct status_answer){ .status = STATUS_UNDECIDED, .why = S("") };
	TRY(cert_x509(a, leaf, &r.leaf));
	TRY(cert_x509(a, issuer, &r.issuer));
	const char *why = judge(&r, answer, nonce, nonce_required);
	ERR_clear_error();
	if (why)
		*out = (struct status_answer){ .status = STATUS_UNDECIDED, .why = str_of(why), .this_update = out->this_update, .next_update = out->next_update };
	return OK;
}
