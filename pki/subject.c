#include "inside/ossl.h"
#include "clock.h"
#include <stdlib.h>
#include <time.h>
#include <uninorm.h>
#include <openssl/err.h>
#include <openssl/objects.h>
#include <openssl/x509v3.h>

/* SIGNATURES 3.3: whom a certificate names. Only UID, serialNumber and organizationIdentifier count, each by its OID, wherever in the
 * subject it stands; what has the shape of a number but is none is refused rather than passed over. */

enum { VALUE_MAX = 512, CCCD_LEN = 12 };

static bool digits(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] < '0' || s.p[i] > '9')
			return false;
	return s.n > 0;
}

/* Decree 137/2015 article 13: province of birth registration, century and sex, year, six more. No check digit. */
bool cccd_valid(struct str s)
{
	if (s.n != CCCD_LEN || !digits(s))
		return false;
	int province = (s.p[0] - '0') * 100 + (s.p[1] - '0') * 10 + (s.p[2] - '0');
	int year = 1900 + (s.p[3] - '0') / 2 * 100 + (s.p[4] - '0') * 10 + (s.p[5] - '0');
	time_t now = (time_t)(clock_ms() / 1000);
	struct tm tm;
	gmtime_r(&now, &tm);
	return province >= 1 && province <= 96 && year <= 1900 + tm.tm_year;
}

/* The rule of python-stdnum's vn.mst: ten digits, the last a check digit; a branch is 001 to 999. */
bool mst_valid(struct str s)
{
	static const int W[9] = { 31, 29, 23, 19, 17, 13, 7, 5, 3 };
	if (s.n != 10 && !(s.n == 14 && s.p[10] == '-'))
		return false;
	if (!digits((struct str){ s.p, 10 }) || memcmp(s.p + 2, "0000000", 7) == 0)
		return false;
	if (s.n == 14 && (!digits((struct str){ s.p + 11, 3 }) || memcmp(s.p + 11, "000", 3) == 0))
		return false;
	int sum = 0;
	for (int i = 0; i < 9; i++)
		sum += W[i] * (s.p[i] - '0');
	return 10 - sum % 11 == s.p[9] - '0';
}

/* ---- what has been found so far ------------------------------------------------------------------------------------ */

struct found {
	struct arena *a;
	struct str person, organisation, name, country, email;
	const char *only;                    /* an identity that is not enough by itself */
};

static err once(struct found *f, struct str *slot, struct str number)
{
	if (slot->n && !str_eq(*slot, number))
		return fault(f->a, &CERT_UNSUITABLE, "the certificate names two different %s", slot == &f->person ? "persons" : "organisations");
	*slot = number;
	return OK;
}

static err person(struct found *f, struct str number)
{
	if (!cccd_valid(number))
		return fault(f->a, &CERT_UNSUITABLE, "the certificate names a citizen by what is no citizen number");
	return once(f, &f->person, str_fmt(f->a, "PNOVN-" STR_FMT, STR_ARG(number)));
}

/* 0312345678, 0312345678-001, 0312345678001, with spaces and full stops for the eye. */
static err organisation(struct found *f, struct str written)
{
	char plain[16];
	size_t n = 0;
	for (size_t i = 0; i < written.n; i++) {
		char c = written.p[i];
		if (c == ' ' || c == '.' || c == '-')
			continue;
		if (n == 13)
			return fault(f->a, &CERT_UNSUITABLE, "the tax code is too long");
		plain[n++] = c;
	}
	struct str s = n == 13 ? str_fmt(f->a, "%.10s-%.3s", plain, plain + 10) : str_dup(f->a, plain, n);
	if (!mst_valid(s))
		return fault(f->a, &CERT_UNSUITABLE, "the tax code is malformed or its check digit is wrong");
	return once(f, &f->organisation, str_fmt(f->a, "VATVN-" STR_FMT, STR_ARG(s)));
}

/* From 2025 the tax code of a person is the citizen number. */
static err tax(struct found *f, struct str v) { return v.n == CCCD_LEN && digits(v) ? person(f, v) : organisation(f, v); }

static err old_card(struct found *f, struct str v)
{
	if (v.n == CCCD_LEN)
		return person(f, v);
	if (v.n != 9 || !digits(v))
		return fault(f->a, &CERT_UNSUITABLE, "the identity card number is malformed");
	f->only = "an old identity card number of nine digits, which is never linked by itself";
	return OK;
}

static err passport(struct found *f, [[maybe_unused]] struct str v) { f->only = "a passport, which is only linked by hand"; return OK; }
static err attribute(struct found *f, [[maybe_unused]] struct str v) { f->only = "a code that is no identity"; return OK; }

struct rule { const char *prefix; err (*read)(struct found *, struct str); };

static const struct rule UID_RULES[] = { { "CCCD", person }, { "PID", person }, { "CMND", old_card }, { "HC", passport }, { "PPID", passport },
	{ "MST", tax }, { "BHXH", attribute }, { "MNS", attribute }, { 0 } };

static struct str trimmed(struct arena *a, struct str s)
{
	while (s.n && *s.p == ' ')
		s.p++, s.n--;
	while (s.n && s.p[s.n - 1] == ' ')
		s.n--;
	return str_dup(a, s.p, s.n);
}

static err read_uid(struct found *f, struct str v)
{
	struct str s = trimmed(f->a, v);
	const char *colon = memchr(s.p, ':', s.n);
	size_t n = colon ? (size_t)(colon - s.p) : 0;
	for (const struct rule *r = UID_RULES; colon && r->prefix; r++)
		if (str_eq_nocase((struct str){ s.p, n }, str_of(r->prefix)))
			return r->read(f, trimmed(f->a, (struct str){ s.p + n + 1, s.n - n - 1 }));
	return fault(f->a, &CERT_UNSUITABLE, "the certificate has a UID of an unknown kind");
}

/* ETSI EN 319 412-1 section 5.1.3: natural persons in serialNumber. Another country's or another kind's number, and a plain serial
 * number, say nothing here. */
static const struct rule NATURAL_RULES[] = { { "PNOVN-", person }, { "IDCVN-", old_card }, { "PASVN-", passport }, { 0 } };
/* Section 5.1.4: legal persons in organizationIdentifier. */
static const struct rule LEGAL_RULES[] = { { "VATVN-", organisation }, { 0 } };

static err read_semantics(struct found *f, struct str v, const struct rule *own, const struct rule *others)
{
	for (const struct rule *r = own; r->prefix; r++)
		if (v.n >= strlen(r->prefix) && str_eq_nocase((struct str){ v.p, strlen(r->prefix) }, str_of(r->prefix)))
			return r->read(f, str_from(f->a, v, strlen(r->prefix)));
	for (const struct rule *r = others; r->prefix; r++)
		if (v.n >= strlen(r->prefix) && str_eq_nocase((struct str){ v.p, strlen(r->prefix) }, str_of(r->prefix)))
			return fault(f->a, &CERT_UNSUITABLE, "%s stands in the wrong attribute", r->prefix);
	return OK;
}

/* ---- the subject ---------------------------------------------------------------------------------------------------- */

/* Any string type to UTF-8. U+0000, controls and the marks that turn the direction of writing have no place in a name. */
static bool readable(struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i], d = i + 1 < s.n ? (unsigned char)s.p[i + 1] : 0, e = i + 2 < s.n ? (unsigned char)s.p[i + 2] : 0;
		bool control = c < 0x20 || c == 0x7f || (c == 0xc2 && d < 0xa0);
		bool turning = c == 0xe2 && ((d == 0x80 && ((e >= 0x8b && e <= 0x8f) || (e >= 0xa8 && e <= 0xae))) || (d == 0x81 && e >= 0xa0));
		if (control || (turning && d == 0x80) || (turning && e <= 0xaf))
			return false;
	}
	return str_utf8(s);
}

static err utf8(struct arena *a, const ASN1_STRING *v, struct str *out)
{
	unsigned char *p = NULL;
	int n = ASN1_STRING_to_UTF8(&p, v);
	if (n >= 0 && n <= VALUE_MAX)
		*out = str_dup(a, (const char *)p, (size_t)n);
	OPENSSL_free(p);
	ERR_clear_error();
	if (n < 0 || n > VALUE_MAX || !readable(*out))
		return fault(a, &CERT_UNSUITABLE, "an attribute of the subject is no text: a NUL, a control character or a broken encoding");
	return OK;
}

static err nfc(struct arena *a, struct str s, struct str *out)
{
	size_t n = 0;
	uint8_t *p = u8_normalize(UNINORM_NFC, (const uint8_t *)s.p, s.n, NULL, &n);
	*out = p ? str_dup(a, (const char *)p, n) : S("");
	free(p);
	return p || s.n == 0 ? OK : fault(a, &CERT_UNSUITABLE, "the name cannot be normalised");
}

static err read_name(struct found *f, struct str v)
{
	struct str s;
	TRY(nfc(f->a, v, &s));
	if (f->name.n && !str_eq(f->name, s))
		return fault(f->a, &CERT_UNSUITABLE, "the subject has two different common names");
	f->name = s;
	return OK;
}

static err read_attribute(struct found *f, int nid, struct str v)
{
	switch (nid) {
	case NID_userId: return read_uid(f, v);
	case NID_serialNumber: return read_semantics(f, v, NATURAL_RULES, LEGAL_RULES);
	case NID_organizationIdentifier: return read_semantics(f, v, LEGAL_RULES, NATURAL_RULES);
	case NID_commonName: return read_name(f, v);
	case NID_countryName: f->country = v; return OK;
	case NID_pkcs9_emailAddress: f->email = v; return OK;
	default: return OK;
	}
}

static void free_names(void *p) { GENERAL_NAMES_free(p); }

static void read_email(struct found *f, X509 *x)
{
	GENERAL_NAMES *l = X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);
	if (l)
		arena_defer(f->a, free_names, l);
	for (int i = 0; l && i < sk_GENERAL_NAME_num(l); i++) {
		const GENERAL_NAME *g = sk_GENERAL_NAME_value(l, i);
		if (g->type != GEN_EMAIL)
			continue;
		f->email = str_dup(f->a, (const char *)ASN1_STRING_get0_data(g->d.ia5), (size_t)ASN1_STRING_length(g->d.ia5));
		break;
	}
	ERR_clear_error();
	if (!str_printable(f->email) || f->email.n > 254 || !memchr(f->email.p, '@', f->email.n))
		f->email = S("");
}

err subject_read(struct arena *a, const struct cert *c, struct subject *out)
{
	X509 *x;
	*out = (struct subject){ 0 };
	TRY(cert_x509(a, c, &x));
	struct found f = { .a = a, .person = S(""), .organisation = S(""), .name = S(""), .country = S(""), .email = S("") };
	const X509_NAME *name = X509_get_subject_name(x);
	for (int i = 0; i < X509_NAME_entry_count(name); i++) {
		const X509_NAME_ENTRY *e = X509_NAME_get_entry(name, i);
		struct str v;
		TRY(utf8(a, X509_NAME_ENTRY_get_data(e), &v));
		TRY(read_attribute(&f, OBJ_obj2nid(X509_NAME_ENTRY_get_object(e)), v));
	}
	if (str_empty(f.person) && str_empty(f.organisation))
		return fault(a, &CERT_UNSUITABLE, "the certificate names nobody: it has %s", f.only ? f.only : "neither a citizen number nor a tax code");
	read_email(&f, x);
	bool human = !str_empty(f.person);
	*out = (struct subject){ human ? SUBJECT_PERSON : SUBJECT_ORGANISATION, human ? f.person : f.organisation, human ? f.organisation : S(""),
	                         f.name, f.country, f.email };
	return OK;
}
