#include "corpus.h"
#include "code.h"
#include "status.h"
#include <openssl/ocsp.h>

static struct cert pem(struct arena *a, const char *folder, const char *name)
{
	struct cert c[4];
	size_t n;
	fine(cert_read_pem_or_der(a, corpus_file(a, folder, name), c, 4, &n));
	return c[0];
}

/* The answers are of 2012; each is read a minute after it was made. */
static epoch a_minute_after(struct bytes der)
{
	const unsigned char *p = der.p;
	OCSP_RESPONSE *r = d2i_OCSP_RESPONSE(NULL, &p, (long)der.n);
	OCSP_BASICRESP *b = r ? OCSP_response_get1_basic(r) : NULL;
	struct tm tm = { 0 };
	if (b)
		ASN1_TIME_to_tm(OCSP_resp_get0_produced_at(b), &tm);
	OCSP_BASICRESP_free(b);
	OCSP_RESPONSE_free(r);
	return timegm(&tm) + 60;
}

static const char *leaf_of(const char *ca)
{
	static const char *const KIND[][2] = { { "ND1_", "ND1_Cert_EE.pem" }, { "ND2_", "ND2_Cert_ICA.pem" }, { "ND3_", "ND3_Cert_EE.pem" },
		{ "D1_", "D1_Cert_EE.pem" }, { "D2_", "D2_Cert_ICA.pem" }, { "D3_", "D3_Cert_EE.pem" } };
	for (size_t i = 0; i < 6; i++)
		if (strstr(ca, KIND[i][0]))
			return KIND[i][1];
	return NULL;
}

TEST(openssl_s_answers_are_good_exactly_when_they_should_be)
{
	needs_corpora();
	struct arena *a = arena_new();
	struct corpus c = corpus_new(a, "ocsp-openssl", EXCEPT);
	struct bytes table = corpus_file(a, "ocsp-openssl", "ocsp.tsv");
	size_t cases = 0;
	char *rest = (char *)(uintptr_t)str_dup(a, (const char *)table.p, table.n).p, *line;
	while ((line = strsep(&rest, "\n"))) {
		char *f[8], *p = line;
		size_t n = 0;
		while (n < 8 && (f[n] = strsep(&p, "\t")))
			n++;
		if (n < 7 || *line == '#')
			continue;
		struct bytes text = corpus_file(a, "ocsp-openssl", f[2]), der;
		char *one = arena_alloc(a, text.n + 1);
		size_t len = 0;
		for (size_t i = 0; i < text.n; i++)
			if (text.p[i] > ' ')
				one[len++] = (char)text.p[i];
		assert_true(b64_read(a, (struct str){ one, len }, &der));
		struct cert leaf = pem(a, "ocsp-openssl", leaf_of(f[3])), issuer = pem(a, "ocsp-openssl", f[4]);
		struct status_answer o;
		fine(ocsp_read(a, der, &leaf, &issuer, (struct bytes){ 0 }, false, 86400, a_minute_after(der), &o));
		corpus_case(&c, str_fmt(a, "%s/%s/%s", f[2], f[4], f[6]).p, o.status == STATUS_GOOD, strcmp(f[5], "accept") == 0, o.why.p);
		cases++;
	}
	assert_int_equal(cases, 58);
	corpus_end(&c, cases);
	arena_free(a);
}

TEST(forged_and_foreign_answers_are_never_good)
{
	static const char *const CASE[][3] = { { "randombit_ocsp_forged_valid.der", "randombit.pem", "letsencrypt.pem" },
		{ "randombit_ocsp_forged_valid_nocerts.der", "randombit.pem", "letsencrypt.pem" }, { "randombit_ocsp_forged_revoked.der", "randombit.pem", "letsencrypt.pem" },
		{ "patrickschmidt_ocsp_try_later_wrong_sig.der", "patrickschmidt.pem", "bdrive_root.pem" }, { "mychain_ocsp_for_ee_root_signed.der", "mychain_ee.pem", "mychain_int.pem" },
		{ "mychain_ocsp_for_ee_delegate_signed_malformed.der", "mychain_ee.pem", "mychain_int.pem" }, { "mychain_ocsp_for_int_self_signed.der", "mychain_int.pem", "mychain_root.pem" },
		{ "resp1.der", "randombit.pem", "letsencrypt.pem" }, { "resp2.der", "randombit.pem", "letsencrypt.pem" } };
	needs_corpora();
	struct arena *a = arena_new();
	for (size_t i = 0; i < sizeof CASE / sizeof *CASE; i++) {
		struct bytes der = corpus_file(a, "botan-x509/ocsp", CASE[i][0]);
		struct cert leaf = pem(a, "botan-x509/ocsp", CASE[i][1]), issuer = pem(a, "botan-x509/ocsp", CASE[i][2]);
		struct status_answer o;
		fine(ocsp_read(a, der, &leaf, &issuer, (struct bytes){ 0 }, false, 86400, a_minute_after(der), &o));
		if (o.status != STATUS_UNDECIDED)
			fail_msg("%s", CASE[i][0]);
	}
	static const char *const GOOD[][3] = { { "mychain_ocsp_for_ee.der", "mychain_ee.pem", "mychain_int.pem" }, { "randombit_ocsp.der", "randombit.pem", "letsencrypt.pem" },
		{ "mychain_ocsp_for_ee_delegate_signed.der", "mychain_ee.pem", "mychain_int.pem" } };
	for (size_t i = 0; i < sizeof GOOD / sizeof *GOOD; i++) {
		struct bytes der = corpus_file(a, "botan-x509/ocsp", GOOD[i][0]);
		struct cert leaf = pem(a, "botan-x509/ocsp", GOOD[i][1]), issuer = pem(a, "botan-x509/ocsp", GOOD[i][2]);
		struct status_answer o;
		fine(ocsp_read(a, der, &leaf, &issuer, (struct bytes){ 0 }, false, 86400, a_minute_after(der), &o));
		if (o.status != STATUS_GOOD)
			fail_msg("%s: %s", GOOD[i][0], o.why.p);
	}
	arena_free(a);
}
