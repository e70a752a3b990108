#include "status.h"
#include "inside/ossl.h"
#include "inside/der.h"
#include <stdlib.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

/* RFC 5280 section 5. What a CRL covers beyond "all certificates of its issuer" is remembered and compared with each leaf. */

enum { CRL_FILE_MAX = 64 << 20, SERIAL_MAX = 20, AGE_MAX = 7 * 86400, REUSE = 600, HASH_BITS = 128 };

struct entry { unsigned char serial[SERIAL_MAX]; signed char reason; epoch at; };

struct crl {
	X509 *issuer;
	ISSUING_DIST_POINT *idp;             /* NULL: everything */
	epoch this_update, next_update;      /* next 0: not said */
	struct entry *v;
	size_t n;
};

void crl_free(struct crl *c)
{
	if (!c)
		return;
	X509_free(c->issuer);
	ISSUING_DIST_POINT_free(c->idp);
	free(c->v);
	free(c);
}

/* ---- reading ---------------------------------------------------------------------------------------------------------- */

/* The revoked serials as fixed-length numbers, so that they sort and compare as bytes. */
static bool fixed(const ASN1_INTEGER *i, unsigned char out[SERIAL_MAX])
{
	int n = ASN1_STRING_length(i);
	if (ASN1_STRING_type(i) != V_ASN1_INTEGER || n < 1 || n > SERIAL_MAX)
		return false;
	memset(out, 0, SERIAL_MAX);
	memcpy(out + SERIAL_MAX - n, ASN1_STRING_get0_data(i), (size_t)n);
	return true;
}

static int by_serial(const void *a, const void *b) { return memcmp(((const struct entry *)a)->serial, ((const struct entry *)b)->serial, SERIAL_MAX); }

/* Section 5.3: a critical entry extension that is not understood makes the whole list unusable. */
static const char *read_entry(X509_REVOKED *r, struct entry *e)
{
	if (!fixed(X509_REVOKED_get0_serialNumber(r), e->serial))
		return "an entry has an impossible serial number";
	if (!asn1_epoch(X509_REVOKED_get0_revocationDate(r), &e->at))
		return "an entry has a malformed date";
	e->reason = -1;
	for (int i = 0; i < X509_REVOKED_get_ext_count(r); i++) {
		X509_EXTENSION *x = X509_REVOKED_get_ext(r, i);
		int nid = OBJ_obj2nid(X509_EXTENSION_get_object(x));
		if (nid == NID_certificate_issuer)
			return "the list is indirect";
		if (X509_EXTENSION_get_critical(x) && nid != NID_crl_reason)
			return "an entry has a critical extension that is not understood";
	}
	int crit;
	ASN1_ENUMERATED *reason = X509_REVOKED_get_ext_d2i(r, NID_crl_reason, &crit, NULL);
	if (!reason && crit != -1)
		return "an entry's reason is malformed";
	long v = reason ? ASN1_ENUMERATED_get(reason) : -1;
	ASN1_ENUMERATED_free(reason);
	e->reason = v >= 0 && v <= 10 ? (signed char)v : -1;
	return v == CRL_REASON_REMOVE_FROM_CRL ? "the list is a delta" : NULL;
}

static const char *read_entries(X509_CRL *x, struct crl *c)
{
	STACK_OF(X509_REVOKED) *l = X509_CRL_get_REVOKED(x);
	int n = l ? sk_X509_REVOKED_num(l) : 0;
	c->v = calloc((size_t)n + 1, sizeof *c->v);
	if (!c->v)
		return "out of memory";
	for (int i = 0; i < n; i++) {
		const char *why = read_entry(sk_X509_REVOKED_value(l, i), &c->v[c->n++]);
		if (why)
			return why;
	}
	qsort(c->v, c->n, sizeof *c->v, by_serial);
	return NULL;
}

/* Section 5.2.5: partial lists are refused, except those that leave out what a leaf is not. */
static const char *read_scope(X509_CRL *x, struct crl *c)
{
	int crit;
	c->idp = X509_CRL_get_ext_d2i(x, NID_issuing_distribution_point, &crit, NULL);
	if (!c->idp)
		return crit == -1 ? NULL : "the distribution point is malformed";
	const ISSUING_DIST_POINT *d = c->idp;
	if (d->indirectCRL > 0)
		return "the list is indirect";
	if (d->onlysomereasons || d->onlyattr > 0)
		return "the list is partial";
	if (d->onlyuser > 0 && d->onlyCA > 0)
		return "the list covers nothing";
	if (!d->distpoint && d->onlyuser <= 0 && d->onlyCA <= 0)
		return "the distribution point is empty";
	if (d->distpoint && d->distpoint->type != 0)
		return "the distribution point is relative";
	return NULL;
}

static const char *check_extensions(X509_CRL *x)
{
	for (int i = 0; i < X509_CRL_get_ext_count(x); i++) {
		X509_EXTENSION *e = X509_CRL_get_ext(x, i);
		int nid = OBJ_obj2nid(X509_EXTENSION_get_object(e));
		if (nid == NID_delta_crl)
			return "the list is a delta";
		if (X509_EXTENSION_get_critical(e) && nid != NID_issuing_distribution_point)
			return "the list has a critical extension that is not understood";
		if (X509_CRL_get_ext_by_OBJ(x, X509_EXTENSION_get_object(e), i) >= 0)
			return "the list has an extension twice";
	}
	return NULL;
}

/* Section 5.1.2: version 2 exactly when there is something that needs it; both algorithm fields the same. What OpenSSL keeps closed is read
 * from the bytes. */
static const char *check_frame(X509_CRL *x, struct bytes der)
{
	struct tlv list, tbs, t, inner, outer;
	struct bytes in = der, fields;
	if (!der_take(&in, 0x30, &list) || !der_take(&list.body, 0x30, &tbs))
		return "the list is malformed";
	fields = tbs.body;
	bool versioned = der_take(&fields, 0x02, &t);
	if (versioned && (t.body.n != 1 || t.body.p[0] != 1))
		return "the list is not of version 2";
	if (!versioned && X509_CRL_get_ext_count(x) > 0)
		return "a list of version 1 has extensions";
	if (!versioned)
		for (int i = 0; i < sk_X509_REVOKED_num(X509_CRL_get_REVOKED(x)); i++)
			if (X509_REVOKED_get_ext_count(sk_X509_REVOKED_value(X509_CRL_get_REVOKED(x), i)) > 0)
				return "a list of version 1 has extensions";
	if (!der_take(&fields, 0x30, &inner) || !der_take(&list.body, 0x30, &outer) || inner.whole.n != outer.whole.n ||
	    memcmp(inner.whole.p, outer.whole.p, inner.whole.n) != 0)
		return "the list names two signature algorithms";
	/* revokedCertificates is absent rather than empty */
	struct tlv name;
	if (!der_take(&fields, 0x30, &name) || !der_next(&fields, &t))
		return "the list is malformed";
	if (fields.n && (fields.p[0] == 0x17 || fields.p[0] == 0x18) && !der_next(&fields, &t))
		return "the list is malformed";
	if (der_take(&fields, 0x30, &t) && t.body.n == 0)
		return "the list has an empty list of entries";
	return NULL;
}

static const char *check_signature(X509_CRL *x, X509 *issuer)
{
	const X509_ALGOR *alg;
	X509_CRL_get0_signature(x, NULL, &alg);
	int bits = alg_bits(alg), least = x509_sig_bits(issuer);
	if (bits == 0 || bits < (least < HASH_BITS ? least : HASH_BITS))
		return "the signature algorithm is too weak";
	if (X509_NAME_cmp(X509_CRL_get_issuer(x), X509_get_subject_name(issuer)) != 0)
		return "the list is of another issuer";
	AUTHORITY_KEYID *akid = X509_CRL_get_ext_d2i(x, NID_authority_key_identifier, NULL, NULL);
	int same = akid ? X509_check_akid(issuer, akid) : X509_V_OK;
	AUTHORITY_KEYID_free(akid);
	if (same != X509_V_OK)
		return "the list is signed with another key of the issuer";
	if ((X509_get_extension_flags(issuer) & EXFLAG_KUSAGE) && !(X509_get_key_usage(issuer) & KU_CRL_SIGN))
		return "the issuer may not sign lists";
	return X509_CRL_verify(x, X509_get0_pubkey(issuer)) == 1 ? NULL : "the signature is wrong";
}

static const char *stale(const struct crl *c, epoch now)
{
	if (c->this_update > now + SKEW)
		return "the list is from the future";
	if (c->next_update ? now > c->next_update : c->this_update < now - AGE_MAX)
		return "the list is out of date";
	return NULL;
}

static const char *read_times(X509_CRL *x, struct crl *c, epoch now)
{
	const ASN1_TIME *next = X509_CRL_get0_nextUpdate(x);
	if (!asn1_epoch(X509_CRL_get0_lastUpdate(x), &c->this_update) || (next && !asn1_epoch(next, &c->next_update)))
		return "a time is malformed";
	return stale(c, now);
}

static const char *read_list(struct bytes der, X509 *issuer, epoch now, struct crl *c)
{
	const unsigned char *p = der.p;
	if (!der_strict(der))
		return "the file is not one DER value";
	X509_CRL *x = d2i_X509_CRL(NULL, &p, (long)der.n);
	if (!x || p != der.p + der.n) {
		X509_CRL_free(x);
		return "the file is no revocation list";
	}
	X509_up_ref(issuer);
	c->issuer = issuer;
	const char *why = check_frame(x, der);
	if (!why)
		why = check_signature(x, issuer);
	if (!why)
		why = check_extensions(x);
	if (!why)
		why = read_times(x, c, now);
	if (!why)
		why = read_scope(x, c);
	if (!why)
		why = read_entries(x, c);
	X509_CRL_free(x);
	return why;
}

/* The national root serves its list as PEM. */
static const char *unwrap(struct bytes file, unsigned char **der, long *n)
{
	char *name = NULL, *header = NULL;
	BIO *b = BIO_new_mem_buf(file.p, (int)file.n);
	bool good = b && PEM_read_bio(b, &name, &header, der, n) == 1 && (strcmp(name, "X509 CRL") == 0 || strcmp(name, "CRL") == 0);
	OPENSSL_free(name);
	OPENSSL_free(header);
	BIO_free(b);
	return good ? NULL : "the file is neither DER nor PEM of a revocation list";
}

static const char *read_file(struct bytes file, X509 *issuer, epoch now, struct crl *c)
{
	if (file.n == 0 || file.n > CRL_FILE_MAX)
		return "the file is empty or too long";
	if (file.p[0] == 0x30)
		return read_list(file, issuer, now, c);
	unsigned char *der = NULL;
	long n = 0;
	const char *why = unwrap(file, &der, &n);
	if (!why)
		why = read_list((struct bytes){ der, (size_t)n }, issuer, now, c);
	OPENSSL_free(der);
	return why;
}

err crl_read(struct arena *a, struct bytes file, const struct cert *issuer, epoch now, struct crl **out, struct str *why_not)
{
	X509 *by;
	*out = NULL;
	*why_not = S("");
	TRY(cert_x509(a, issuer, &by));
	struct crl *c = calloc(1, sizeof *c);
	if (!c)
		return fault(a, &SERVER_ERROR, "out of memory");
	const char *why = read_file(file, by, now, c);
	ERR_clear_error();
	if (why) {
		*why_not = str_of(why);
		crl_free(c);
	} else {
		*out = c;
	}
	return OK;
}

/* ---- looking up ---------------------------------------------------------------------------------------------------------- */

static bool same_point(const GENERAL_NAMES *a, const GENERAL_NAMES *b)
{
	for (int i = 0; i < sk_GENERAL_NAME_num(a); i++)
		for (int j = 0; j < sk_GENERAL_NAME_num(b); j++)
			if (GENERAL_NAME_cmp(sk_GENERAL_NAME_value(a, i), sk_GENERAL_NAME_value(b, j)) == 0)
				return true;
	return false;
}

/* Section 6.3.3 (b): one of the leaf's distribution points is this list, whole and by the issuer itself. */
static bool point_covers(const struct crl *c, const CRL_DIST_POINTS *l)
{
	for (int i = 0; i < sk_DIST_POINT_num(l); i++) {
		const DIST_POINT *p = sk_DIST_POINT_value(l, i);
		if (p->CRLissuer || p->reasons)
			continue;
		if (!c->idp || !c->idp->distpoint)
			return true;
		if (p->distpoint && p->distpoint->type == 0 && same_point(p->distpoint->name.fullname, c->idp->distpoint->name.fullname))
			return true;
	}
	return false;
}

static const char *covers(const struct crl *c, X509 *leaf)
{
	uint32_t flags = X509_get_extension_flags(leaf);
	bool ca = flags & EXFLAG_CA;
	if (X509_check_issued(c->issuer, leaf) != X509_V_OK)
		return "the list is not of the certificate's issuer";
	if (c->idp && c->idp->onlyuser > 0 && (ca || X509_get_version(leaf) < 2))
		return "the list covers end users only";
	if (c->idp && c->idp->onlyCA > 0 && !ca)
		return "the list covers authorities only";
	int crit;
	CRL_DIST_POINTS *l = X509_get_ext_d2i(leaf, NID_crl_distribution_points, &crit, NULL);
	bool good = l ? point_covers(c, l) : crit == -1 && !(c->idp && c->idp->distpoint);
	CRL_DIST_POINTS_free(l);
	return good ? NULL : "the list is of another distribution point";
}

static void set_revoked(const struct entry *e, struct status_answer *out)
{
	static const char *const WHY[] = { "unspecified", "keyCompromise", "cACompromise", "affiliationChanged", "superseded",
		"cessationOfOperation", "certificateHold", "unspecified", "removeFromCRL", "privilegeWithdrawn", "aACompromise" };
	out->status = STATUS_REVOKED;
	out->why = str_of(e->reason < 0 ? "unspecified" : WHY[(size_t)e->reason]);
	out->revoked_at = e->at;
}

void crl_look(const struct crl *c, struct arena *a, const struct cert *leaf, epoch now, struct status_answer *out)
{
	X509 *x;
	struct entry key;
	*out = (struct status_answer){ .status = STATUS_UNDECIDED, .why = S("there is no list") };
	if (!c)
		return;
	out->this_update = c->this_update;
	out->next_update = c->next_update;
	err e = cert_x509(a, leaf, &x);
	const char *why = e.kind ? "the certificate cannot be parsed" : stale(c, now);
	if (!why)
		why = covers(c, x);
	if (!why && !fixed(X509_get0_serialNumber(x), key.serial))
		why = "the certificate has an impossible serial number";
	ERR_clear_error();
	out->why = str_of(why);
	if (why)
		return;
	epoch until = c->next_update ? c->next_update : c->this_update + AGE_MAX;
	out->good_until = until < now + REUSE ? until : now + REUSE;
	const struct entry *hit = bsearch(&key, c->v, c->n, sizeof *c->v, by_serial);
	if (hit)
		set_revoked(hit, out);
	else
		out->status = STATUS_GOOD;
}
