#include "trust.h"
#include "inside/known.h"
#include "inside/ossl.h"
#include <stdatomic.h>
#include <stdlib.h>
#include <openssl/err.h>
#include <openssl/objects.h>
#include <openssl/x509v3.h>
#include <openssl/x509_vfy.h>

/* One X509_STORE a purpose, complete before anyone else sees it and only read afterwards. What was found good is remembered beside them. */

enum { PURPOSES_MAX = 8, LEVEL = 2, DEPTH = 3, SIG_BITS_MIN = 128, KEY_BITS_MIN = 112, CA_KEY_BITS_MAX = 8192 };

struct trust {
	atomic_int refs;
	struct arena *room;
	struct anchor *v;
	size_t n;
	struct { struct str name; X509_STORE *store; } purposes[PURPOSES_MAX];
	size_t npurposes;
	struct known *known;
};

/* ---- building ------------------------------------------------------------------------------------------------------- */

static struct strs copy_all(struct arena *a, struct strs l)
{
	struct strs out = { l.n ? make_n(a, struct str, l.n) : NULL, l.n };
	for (size_t i = 0; i < l.n; i++)
		out.v[i] = str_copy(a, l.v[i]);
	return out;
}

static bool self_signed(X509 *x) { return X509_self_signed(x, 1) == 1; }

/* RSA in whole octets, not beyond what is bearable to check; curves by the security level. */
static bool ca_key(X509 *x)
{
	EVP_PKEY *k = X509_get0_pubkey(x);
	int bits = EVP_PKEY_get_bits(k);
	return EVP_PKEY_is_a(k, "RSA") ? bits <= CA_KEY_BITS_MAX && bits % 8 == 0 : EVP_PKEY_is_a(k, "EC") || EVP_PKEY_is_a(k, "ED25519");
}

static err anchor_fits(struct arena *a, const struct anchor *an, X509 *x)
{
	const char *why = NULL;
	if (!an->cert.is_ca || (an->cert.ku_present && !(an->cert.ku & USE_CERT_SIGN)))
		why = "is no certification authority";
	else if (!an->intermediate && !self_signed(x))
		why = "does not sign itself: list it as an intermediate";
	else if (EVP_PKEY_get_security_bits(X509_get0_pubkey(x)) < KEY_BITS_MIN || x509_sig_bits(x) < SIG_BITS_MIN || !ca_key(x))
		why = "is too weak or unusual: RSA below 2048 bits, DSA, or signed with SHA-1";
	ERR_clear_error();
	return why ? fault(a, &CERT_UNSUITABLE, "the trusted certificate " STR_FMT " (" STR_FMT ") %s", STR_ARG(an->name),
	                   STR_ARG(an->cert.subject), why) : OK;
}

static err copy_anchor(struct arena *a, struct trust *t, const struct anchor *in, struct anchor *out)
{
	struct arena *r = t->room;
	err e = cert_read(r, in->cert.der, &out->cert);
	if (e.kind)
		return fault(a, e.kind, STR_FMT ": %s", STR_ARG(in->name), e.why);
	out->name = str_copy(r, in->name);
	out->intermediate = in->intermediate;
	out->purposes = str_copy(r, in->purposes);
	out->ocsp_url = str_copy(r, in->ocsp_url);
	out->crl_url = str_copy(r, in->crl_url);
	out->policies = copy_all(r, in->policies);
	out->ekus = copy_all(r, in->ekus);
	out->ocsp_nonce = in->ocsp_nonce;
	out->status_age = in->status_age;
	out->level = str_copy(r, in->level);
	return anchor_fits(a, out, out->cert.handle);
}

static X509_STORE *store_new(void)
{
	X509_STORE *s = X509_STORE_new();
	if (!s)
		return NULL;
	X509_VERIFY_PARAM *p = X509_STORE_get0_param(s);
	X509_VERIFY_PARAM_set_flags(p, X509_V_FLAG_X509_STRICT | X509_V_FLAG_PARTIAL_CHAIN | X509_V_FLAG_POLICY_CHECK | X509_V_FLAG_TRUSTED_FIRST);
	X509_VERIFY_PARAM_set_auth_level(p, LEVEL);
	X509_VERIFY_PARAM_set_depth(p, DEPTH);   /* intermediates between leaf and anchor: the anchor stands at depth 4 at most */
	return s;
}

static X509_STORE *store_of(const struct trust *t, struct str purpose)
{
	for (size_t i = 0; i < t->npurposes; i++)
		if (str_eq(t->purposes[i].name, purpose))
			return t->purposes[i].store;
	return NULL;
}

static err add(struct arena *a, struct trust *t, const struct anchor *an, struct str purpose)
{
	X509_STORE *s = store_of(t, purpose);
	if (!s) {
		if (t->npurposes == PURPOSES_MAX)
			return fault(a, &BAD_CONFIG, "more than %d purposes of trust", PURPOSES_MAX);
		s = store_new();
		t->purposes[t->npurposes].name = str_copy(t->room, purpose);
		t->purposes[t->npurposes++].store = s;
	}
	return s && X509_STORE_add_cert(s, an->cert.handle) == 1 ? OK : fault(a, &SERVER_ERROR, "the trust store cannot be built");
}

static err build(struct arena *a, struct trust *t, const struct anchor *anchors)
{
	for (size_t i = 0; i < t->n; i++) {
		TRY(copy_anchor(a, t, &anchors[i], &t->v[i]));
		struct strs words = str_words(t->room, t->v[i].purposes);
		for (size_t j = 0; j < words.n; j++)
			TRY(add(a, t, &t->v[i], words.v[j]));
	}
	return OK;
}

err trust_new(struct arena *a, const struct anchor *anchors, size_t n, struct trust **out)
{
	*out = NULL;
	struct arena *room = arena_new();
	struct trust *t = make(room, struct trust);
	t->room = room;
	t->n = n;
	t->known = known_new();
	t->v = make_n(room, struct anchor, n ? n : 1);
	atomic_init(&t->refs, 1);
	err e = build(a, t, anchors);
	if (e.kind)
		trust_drop(t);
	else
		*out = t;
	return e;
}

struct trust *trust_hold(struct trust *t)
{
	if (t)
		atomic_fetch_add(&t->refs, 1);
	return t;
}

void trust_drop(struct trust *t)
{
	if (!t || atomic_fetch_sub(&t->refs, 1) != 1)
		return;
	for (size_t i = 0; i < t->npurposes; i++)
		X509_STORE_free(t->purposes[i].store);
	known_free(t->known);
	arena_free(t->room);
}

/* ---- checking a path -------------------------------------------------------------------------------------------------- */

struct walk {
	struct arena *a;
	const struct trust *t;
	struct str purpose;
	const struct cert *leaf;
	X509 *x;
	X509 *extra[CERT_EXTRA_MAX];
	const struct bytes *extra_der;
	size_t nextra;
	STACK_OF(X509) *chain;               /* leaf first, anchor last; borrowed from the context */
	const struct anchor *anchor;
};

static void free_stack(void *p) { sk_X509_free(p); }
static void free_ctx(void *p) { X509_STORE_CTX_free(p); }

static err read_extra(struct walk *w, const struct bytes *extra, size_t n, STACK_OF(X509) **out)
{
	if (n > CERT_EXTRA_MAX)
		return fault(w->a, &CERT_UNSUITABLE, "%zu certificates came along; at most %d", n, CERT_EXTRA_MAX);
	*out = sk_X509_new_null();
	if (!*out)
		return fault(w->a, &SERVER_ERROR, "out of memory");
	arena_defer(w->a, free_stack, *out);
	w->extra_der = extra;
	for (w->nextra = 0; w->nextra < n; w->nextra++) {
		TRY(x509_parse(w->a, extra[w->nextra], &w->extra[w->nextra]));
		if (sk_X509_push(*out, w->extra[w->nextra]) <= 0)
			return fault(w->a, &SERVER_ERROR, "out of memory");
	}
	return OK;
}

static const struct err_kind *kind_of(int code)
{
	switch (code) {
	case X509_V_ERR_CERT_HAS_EXPIRED:
	case X509_V_ERR_CERT_NOT_YET_VALID:
		return &CERT_EXPIRED;
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
	case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
	case X509_V_ERR_CERT_SIGNATURE_FAILURE:
	case X509_V_ERR_CERT_CHAIN_TOO_LONG:
	case X509_V_ERR_CERT_UNTRUSTED:
	case X509_V_ERR_UNSPECIFIED:
	case X509_V_ERR_OUT_OF_MEM:
		return &CERT_UNTRUSTED;
	default:
		return &CERT_UNSUITABLE;
	}
}

/* RFC 5280 section 6. */
static err build_path(struct walk *w, X509_STORE *store, STACK_OF(X509) *extra, epoch now)
{
	X509_STORE_CTX *c = X509_STORE_CTX_new();
	if (!c)
		return fault(w->a, &SERVER_ERROR, "out of memory");
	arena_defer(w->a, free_ctx, c);
	if (X509_STORE_CTX_init(c, store, w->x, extra) != 1)
		return fault(w->a, &SERVER_ERROR, "the path check cannot be started");
	X509_VERIFY_PARAM_set_time(X509_STORE_CTX_get0_param(c), (time_t)now);
	int good = X509_verify_cert(c), code = X509_STORE_CTX_get_error(c);
	ERR_clear_error();
	if (good != 1 || code != X509_V_OK)
		return fault(w->a, kind_of(code), "%s at depth %d", X509_verify_cert_error_string(code), X509_STORE_CTX_get_error_depth(c));
	w->chain = X509_STORE_CTX_get0_chain(c);
	if (sk_X509_num(w->chain) < 2)
		return fault(w->a, &CERT_UNTRUSTED, "the certificate is not issued by anyone");
	return OK;
}

static err find_anchor(struct walk *w)
{
	X509 *top = sk_X509_value(w->chain, sk_X509_num(w->chain) - 1);
	for (size_t i = 0; i < w->t->n && !w->anchor; i++)
		if (word_in(w->t->v[i].purposes, w->purpose) && X509_cmp(w->t->v[i].cert.handle, top) == 0)
			w->anchor = &w->t->v[i];
	return w->anchor ? OK : fault(w->a, &CERT_UNTRUSTED, "the path does not end in a listed certificate");
}

static bool any_of(struct strs have, struct strs listed)
{
	for (size_t i = 0; i < have.n; i++)
		if (strs_has(listed, have.v[i]))
			return true;
	return false;
}

#define EKU_ANY "2.5.29.37.0"
#define EKU_CLIENT_AUTH "1.3.6.1.5.5.7.3.2"
#define EKU_TIME_STAMPING "1.3.6.1.5.5.7.3.8"
#define EKU_OCSP_SIGNING "1.3.6.1.5.5.7.3.9"

/* SECURITY SEC-27: what OpenSSL would let through. */
static err leaf_profile(struct walk *w)
{
	const struct cert *c = w->leaf;
	const ASN1_INTEGER *serial = X509_get0_serialNumber(w->x);
	const char *key = key_unfit(w->x);
	const struct { bool bad; const char *why; } RULES[] = {
		{ X509_get_version(w->x) != 2, "it is not of X.509 version 3" },
		{ c->is_ca || (c->ku & USE_CERT_SIGN), "it is a certification authority's" },
		{ !c->ku_present, "it has no key usage" },
		{ !(c->ku & USE_DIGITAL_SIGNATURE), "its key usage lacks digitalSignature" },
		{ str_is(c->serial, "0") || str_is(c->serial, "00") || ASN1_STRING_length(serial) < 1, "its serial number is zero" },
		{ X509_get_ext_by_NID(w->x, NID_name_constraints, -1) >= 0, "it constrains names, as only authorities do" },
		{ key, key },
		{ x509_sig_bits(w->x) < SIG_BITS_MIN, "it is signed with less than SHA-256" },
		{ strs_has(c->ekus, S(EKU_OCSP_SIGNING)) || strs_has(c->ekus, S(EKU_TIME_STAMPING)), "it is a service's, not a person's" },
		{ w->anchor->ekus.n && c->ekus.n && !any_of(c->ekus, w->anchor->ekus), "its extended key usage is not one that is allowed" },
		{ w->anchor->policies.n && !any_of(c->policies, w->anchor->policies), "its policy is not one that is allowed" },
	};
	for (size_t i = 0; i < sizeof RULES / sizeof *RULES; i++)
		if (RULES[i].bad)
			return fault(w->a, &CERT_UNSUITABLE, "%s", RULES[i].why);
	return OK;
}

static bool no_trees(const STACK_OF(GENERAL_SUBTREE) *l) { return !l || sk_GENERAL_SUBTREE_num(l) == 0; }

/* RFC 5280 sections 4.2.1.10, 4.2.1.11: name constraints constrain something; policy constraints are critical. */
static bool constraints_well_formed(X509 *x)
{
	int crit, at = X509_get_ext_by_NID(x, NID_policy_constraints, -1);
	if (at >= 0 && !X509_EXTENSION_get_critical(X509_get_ext(x, at)))
		return false;
	NAME_CONSTRAINTS *nc = X509_get_ext_d2i(x, NID_name_constraints, &crit, NULL);
	bool good = nc ? !no_trees(nc->permittedSubtrees) || !no_trees(nc->excludedSubtrees) : crit == -1;
	NAME_CONSTRAINTS_free(nc);
	return good;
}

/* An authority in between whose own extended key usage leaves no room for what the leaf is used for, and what the security level does not
 * see: a hash below SHA-256, a key that costs too much to check. */
static err check_between(struct walk *w, X509 *x, struct cert *c)
{
	struct strs client = { (struct str[]){ S(EKU_CLIENT_AUTH), S(EKU_ANY) }, 2 };
	bool room = c->ekus.n == 0 || any_of(c->ekus, client) || any_of(c->ekus, w->leaf->ekus) || any_of(c->ekus, w->anchor->ekus);
	if (!room)
		return fault(w->a, &CERT_UNSUITABLE, "an authority in the path may not certify for this use");
	if (x509_sig_bits(x) < SIG_BITS_MIN || !ca_key(x))
		return fault(w->a, &CERT_UNSUITABLE, "an authority in the path has an unsuitable key or signature");
	if (!constraints_well_formed(x))
		return fault(w->a, &CERT_UNSUITABLE, "an authority in the path has malformed constraints");
	return OK;
}

static const struct cert *listed(const struct trust *t, const X509 *x)
{
	for (size_t i = 0; i < t->n; i++)
		if (t->v[i].cert.handle == x)
			return &t->v[i].cert;
	return NULL;
}

static err describe(struct walk *w, X509 *x, struct cert *out)
{
	const struct cert *c = listed(w->t, x);
	if (c) {
		*out = *c;
		return OK;
	}
	for (size_t i = 0; i < w->nextra; i++)
		if (w->extra[i] == x)
			return cert_fill(w->a, w->extra_der[i], x, out);
	return fault(w->a, &CERT_UNTRUSTED, "the path contains a certificate from nowhere");
}

static err check_path(struct walk *w, struct cert *issuer)
{
	for (int i = 1; i < sk_X509_num(w->chain); i++) {
		struct cert c;
		X509 *x = sk_X509_value(w->chain, i);
		TRY(describe(w, x, &c));
		if (i + 1 < sk_X509_num(w->chain))
			TRY(check_between(w, x, &c));
		if (i == 1)
			*issuer = c;
	}
	return OK;
}

/* Remembered when every authority in it is a listed one: then what came along with the certificate makes no difference. OpenSSL holds a
 * certificate valid from notBefore until before notAfter. */
static void remember(struct walk *w)
{
	struct path p = { .purpose = w->purpose, .from = w->leaf->not_before, .until = w->leaf->not_after, .anchor = w->anchor };
	for (int i = sk_X509_num(w->chain) - 1; i > 0; i--) {
		p.issuer = listed(w->t, sk_X509_value(w->chain, i));
		if (!p.issuer)
			return;
		p.from = p.issuer->not_before > p.from ? p.issuer->not_before : p.from;
		p.until = p.issuer->not_after < p.until ? p.issuer->not_after : p.until;
	}
	known_keep(w->t->known, w->leaf, &p);
}

err trust_cert(struct trust *t, struct arena *a, struct bytes der, struct cert *out)
{
	return t && known_cert(t->known, a, der, out) ? OK : cert_read(a, der, out);
}

err trust_path(struct trust *t, struct arena *a, const struct cert *leaf, const struct bytes *extra, size_t nextra, struct str purpose,
               epoch now, struct cert *issuer, const struct anchor **anchor)
{
	struct walk w = { .a = a, .t = t, .purpose = purpose, .leaf = leaf };
	STACK_OF(X509) *untrusted = NULL;
	*issuer = (struct cert){ 0 };
	*anchor = NULL;
	struct path good;
	if (known_path(t->known, leaf, purpose, now, &good)) {
		*issuer = *good.issuer;
		*anchor = good.anchor;
		return OK;
	}
	X509_STORE *store = store_of(t, purpose);
	if (!store)
		return fault(a, &CERT_UNTRUSTED, "nobody is trusted for " STR_FMT, STR_ARG(purpose));
	TRY(cert_x509(a, leaf, &w.x));
	TRY(read_extra(&w, extra, nextra, &untrusted));
	TRY(build_path(&w, store, untrusted, now));
	TRY(find_anchor(&w));
	TRY(leaf_profile(&w));
	struct cert by;
	TRY(check_path(&w, &by));
	*issuer = by;
	*anchor = w.anchor;
	remember(&w);
	return OK;
}
