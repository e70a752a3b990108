#include "t.h"
#include "mint.h"
#include "x509.h"

TEST(a_certificate_is_read_as_plain_values)
{
	struct arena *a = arena_new();
	struct minted *root = mint_root(a, NULL);
	struct minted *m = mint_leaf(a, root, &(struct mint_wish){ .uid = { "CCCD:022090000017" }, .serial_hex = "00ABCDEF", .policies = "1.2.3.4, 2.16.704.1.1",
		.eku = "clientAuth,1.3.6.1.4.1.311.10.3.12", .aia = "OCSP;URI:http://ocsp.test/, caIssuers;URI:http://ca.test/ca.cer",
		.crldp = "URI:http://crl.test/a.crl", .san = "email:an@example.vn" });
	struct cert c, by;
	fine(cert_read(a, m->der, &c));
	fine(cert_read(a, root->der, &by));
	assert_str(c.serial, "abcdef");
	assert_str(c.subject, "UID=CCCD:022090000017,CN=Nguyễn Văn An,C=VN");
	assert_str(c.issuer, "CN=Mint Root,C=VN");
	assert_int_equal(c.not_before, 1767225600);
	assert_int_equal(c.not_after, 1830297600);
	assert_true(c.ku_present && !c.is_ca);
	assert_int_equal(c.ku, USE_DIGITAL_SIGNATURE | USE_NON_REPUDIATION);
	assert_int_equal(by.ku, USE_CERT_SIGN | USE_CRL_SIGN);
	assert_true(by.is_ca);
	assert_true(strs_has(c.ekus, S("1.3.6.1.5.5.7.3.2")) && strs_has(c.ekus, S("1.3.6.1.4.1.311.10.3.12")));
	assert_true(strs_has(c.policies, S("2.16.704.1.1")) && c.policies.n == 2);
	assert_true(c.ocsp_urls.n == 1 && str_is(c.ocsp_urls.v[0], "http://ocsp.test/"));
	assert_true(c.crl_urls.n == 1 && str_is(c.crl_urls.v[0], "http://crl.test/a.crl"));
	assert_str(c.key_text, "P-256");
	assert_int_equal(c.id.n, 64);
	assert_int_equal(c.issuer_id.n, 64);
	assert_int_equal(c.spki_sha256.n, 43);
	assert_int_equal(c.der.n, m->der.n);
	assert_memory_equal(c.der.p, m->der.p, m->der.n);
	arena_free(a);
}

TEST(one_byte_more_or_less_is_no_certificate)
{
	struct arena *a = arena_new();
	struct minted *m = mint_root(a, NULL);
	unsigned char *more = arena_alloc(a, m->der.n + 1);
	struct cert c;
	memcpy(more, m->der.p, m->der.n);
	fails(cert_read(a, (struct bytes){ more, m->der.n + 1 }, &c), CERT_UNSUITABLE);
	for (size_t n = 0; n < m->der.n; n++)
		fails(cert_read(a, (struct bytes){ m->der.p, n }, &c), CERT_UNSUITABLE);
	fine(cert_read(a, m->der, &c));
	arena_free(a);
}

TEST(a_length_in_a_longer_form_is_no_der)
{
	struct arena *a = arena_new();
	struct minted *m = mint_root(a, NULL);
	unsigned char *p = arena_alloc(a, m->der.n + 1);
	struct cert c;
	assert_int_equal(m->der.p[1], 0x82);                    /* 30 82 hh ll → 30 83 00 hh ll */
	p[0] = 0x30, p[1] = 0x83, p[2] = 0;
	memcpy(p + 3, m->der.p + 2, m->der.n - 2);
	fails(cert_read(a, (struct bytes){ p, m->der.n + 1 }, &c), CERT_UNSUITABLE);
	arena_free(a);
}

TEST(a_certificate_of_more_than_16_kib_is_refused)
{
	struct arena *a = arena_new();
	char *value = arena_alloc(a, 34000);
	strcpy(value, "1.2.3.4=DER:04");
	memset(value + 14, 'A', 33000);
	struct minted *m = mint_leaf(a, mint_root(a, NULL), &(struct mint_wish){ .more = value });
	struct cert c;
	fails(cert_read(a, m->der, &c), CERT_UNSUITABLE);
	arena_free(a);
}

TEST(a_serial_number_has_at_most_20_octets_and_is_not_negative)
{
	struct arena *a = arena_new();
	struct minted *root = mint_root(a, NULL);
	struct cert c;
	fine(cert_read(a, mint_leaf(a, root, &(struct mint_wish){ .serial_hex = "7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF" })->der, &c));
	fails(cert_read(a, mint_leaf(a, root, &(struct mint_wish){ .serial_hex = "7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF00" })->der, &c), CERT_UNSUITABLE);
	fails(cert_read(a, mint_leaf(a, root, &(struct mint_wish){ .serial_hex = "-05" })->der, &c), CERT_UNSUITABLE);
	arena_free(a);
}

TEST(the_fingerprint_of_the_issuer_tells_twins_apart)
{
	struct arena *a = arena_new();
	struct cert one, two, again;
	struct minted *root = mint_root(a, NULL), *twin = mint_root(a, NULL);
	fine(cert_read(a, mint_leaf(a, root, NULL)->der, &one));
	fine(cert_read(a, mint_leaf(a, twin, NULL)->der, &two));
	fine(cert_read(a, mint_leaf(a, root, NULL)->der, &again));
	assert_str(one.issuer, two.issuer.p);
	assert_false(str_eq(one.issuer_id, two.issuer_id));
	assert_true(str_eq(one.issuer_id, again.issuer_id));
	arena_free(a);
}

TEST(files_hold_one_der_or_several_pem)
{
	struct arena *a = arena_new();
	struct minted *root = mint_root(a, NULL), *ca = mint_ca(a, root, NULL);
	struct cert c[3];
	size_t n;
	fine(cert_read_pem_or_der(a, root->der, c, 3, &n));
	assert_int_equal(n, 1);
	struct str both = str_fmt(a, "a bundle\n%s\nand\n%s", mint_pem(a, root).p, mint_pem(a, ca).p);
	fine(cert_read_pem_or_der(a, str_bytes(both), c, 3, &n));
	assert_int_equal(n, 2);
	assert_str(c[1].subject, "CN=Mint Issuing,C=VN");
	fails(cert_read_pem_or_der(a, str_bytes(both), c, 1, &n), CERT_UNSUITABLE);
	fails(cert_read_pem_or_der(a, str_bytes(S("no certificate\n")), c, 3, &n), CERT_UNSUITABLE);
	fails(cert_read_pem_or_der(a, str_bytes(S("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")), c, 3, &n), CERT_UNSUITABLE);
	struct str cut = str_dup(a, both.p, both.n - 40);
	fails(cert_read_pem_or_der(a, str_bytes(cut), c, 3, &n), CERT_UNSUITABLE);
	arena_free(a);
}
