#include "pki_scene.h"
#include "buf.h"
#include "inside/der.h"

/* The input becomes the subject of an otherwise good certificate: attributes of one byte for what, one for the string type, one for the
 * length, then the value; the top bit of the first puts it into the RDN before. */
static const char *const OID[] = { "\x06\x0a\x09\x92\x26\x89\x93\xf2\x2c\x64\x01\x01", "\x06\x03\x55\x04\x05", "\x06\x03\x55\x04\x61", "\x06\x03\x55\x04\x03", "\x06\x03\x55\x04\x06" };
static const unsigned char TYPE[] = { 12, 19, 20, 22, 28, 30, 4, 2 };

static struct bytes wrapped(struct arena *a, unsigned char tag, struct bytes body)
{
	unsigned char *p = arena_alloc(a, body.n + 5);
	size_t at = 0;
	p[at++] = tag;
	if (body.n >= 256)
		p[at++] = 0x82, p[at++] = (unsigned char)(body.n >> 8);
	else if (body.n >= 128)
		p[at++] = 0x81;
	p[at++] = (unsigned char)body.n;
	if (body.n)
		memcpy(p + at, body.p, body.n);
	return (struct bytes){ p, at + body.n };
}

static struct bytes joined(struct arena *a, struct bytes x, struct bytes y)
{
	unsigned char *p = arena_alloc(a, x.n + y.n + 1);
	if (x.n)
		memcpy(p, x.p, x.n);
	if (y.n)
		memcpy(p + x.n, y.p, y.n);
	return (struct bytes){ p, x.n + y.n };
}

static struct bytes name_of(struct arena *a, const unsigned char *p, size_t n)
{
	struct bytes name = { 0 }, rdn = { 0 };
	for (size_t i = 0, len; i + 3 <= n && name.n + rdn.n < 2000; i += 3 + len) {
		const char *oid = OID[(p[i] & 0x7f) % (sizeof OID / sizeof *OID)];
		len = p[i + 2] < n - i - 3 ? p[i + 2] : n - i - 3;
		struct bytes ava = wrapped(a, 0x30, joined(a, (struct bytes){ (const unsigned char *)oid, (size_t)(unsigned char)oid[1] + 2 },
		                                           wrapped(a, TYPE[p[i + 1] % sizeof TYPE], (struct bytes){ p + i + 3, len })));
		if (!(p[i] & 0x80) && rdn.n) {
			name = joined(a, name, wrapped(a, 0x31, rdn));
			rdn = (struct bytes){ 0 };
		}
		rdn = joined(a, rdn, ava);
	}
	return wrapped(a, 0x30, rdn.n ? joined(a, name, wrapped(a, 0x31, rdn)) : name);
}

/* The citizen's certificate with another subject; its signature is of no interest here. */
static struct bytes with_subject(struct arena *a, struct bytes name)
{
	struct bytes in = it.leaf->der, fields, out = { 0 };
	struct tlv all, tbs, t;
	must(der_take(&in, 0x30, &all) && der_take(&all.body, 0x30, &tbs));
	fields = tbs.body;
	for (int i = 0; der_next(&fields, &t); i++)
		out = joined(a, out, i == 5 ? name : t.whole);
	return wrapped(a, 0x30, joined(a, wrapped(a, 0x30, out), all.body));
}

int LLVMFuzzerTestOneInput(const unsigned char *p, size_t n)
{
	scene();
	struct arena *a = arena_new();
	struct cert c;
	struct subject s;
	if (!cert_read(a, with_subject(a, name_of(a, p, n)), &c).kind && !subject_read(a, &c, &s).kind) {
		bool human = s.kind == SUBJECT_PERSON;
		must(str_starts(s.number, human ? S("PNOVN-") : S("VATVN-")));
		struct str digits = str_from(a, s.number, 6);
		must(human ? cccd_valid(digits) : mst_valid(digits));
		must(str_empty(s.organisation) || (human && str_starts(s.organisation, S("VATVN-")) && mst_valid(str_from(a, s.organisation, 6))));
		must(str_utf8(s.name) && str_utf8(s.country));
	}
	arena_free(a);
	return 0;
}
