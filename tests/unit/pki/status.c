#include "t.h"
#include "mint.h"
#include "status.h"
#include <stdio.h>

#define NOW 1790000000
#define AGE 3600

struct scene { struct arena *a; struct minted *root, *leaf, *other; struct cert c, by; };

static struct scene scene(const char *key)
{
	struct scene s = { .a = arena_new() };
	s.root = mint_root(s.a, &(struct mint_wish){ .key = key });
	s.leaf = mint_leaf(s.a, s.root, NULL);
	s.other = mint_leaf(s.a, s.root, NULL);
	fine(cert_read(s.a, s.leaf->der, &s.c));
	fine(cert_read(s.a, s.root->der, &s.by));
	return s;
}

static struct status_answer ask(struct scene *s, const struct mint_ocsp_wish *w, struct bytes nonce, bool required)
{
	struct status_answer o;
	fine(ocsp_read(s->a, mint_ocsp(s->a, s->leaf, NOW, w), &s->c, &s->by, nonce, required, AGE, NOW, &o));
	if (o.status == STATUS_UNDECIDED)
		assert_true(o.why.n > 0 && o.good_until == 0);
	return o;
}

#define FRESH .this_update = -60, .next_update = 3600, .produced = -60
#define ANSWER(...) ask(&s, &(struct mint_ocsp_wish){ __VA_ARGS__ }, (struct bytes){ 0 }, false)
#define undecided(...) assert_int_equal(ANSWER(__VA_ARGS__).status, STATUS_UNDECIDED)
#define good(...) assert_int_equal(ANSWER(__VA_ARGS__).status, STATUS_GOOD)

TEST(an_answer_by_the_issuer_is_good_for_ten_minutes_or_until_its_next_update)
{
	static const char *const KEYS[] = { "P-256", "RSA:2048", "P-384" };
	for (size_t i = 0; i < 3; i++) {
		struct scene s = scene(KEYS[i]);
		struct status_answer o = ANSWER(FRESH);
		assert_int_equal(o.status, STATUS_GOOD);
		assert_int_equal(o.this_update, NOW - 60);
		assert_int_equal(o.good_until, NOW + 600);
		assert_int_equal(ANSWER(.this_update = -60, .next_update = 100, .produced = -60).good_until, NOW + 100);
		assert_int_equal(ANSWER(.this_update = -3500, .produced = -60).good_until, NOW + 100);
		good(FRESH, .by_key = true);
		good(FRESH, .sha256_id = true);
		arena_free(s.a);
	}
}

TEST(revoked_and_unknown_are_told_apart_and_neither_is_good)
{
	struct scene s = scene("P-256");
	struct status_answer o = ANSWER(FRESH, .status = 1, .reason = 1, .revoked = -500);
	assert_int_equal(o.status, STATUS_REVOKED);
	assert_str(o.why, "keyCompromise");
	assert_int_equal(o.revoked_at, NOW - 500);
	assert_int_equal(ANSWER(FRESH, .status = 1, .reason = 6).status, STATUS_REVOKED);
	undecided(FRESH, .status = 2);
	arena_free(s.a);
}

TEST(a_stale_or_early_answer_decides_nothing)
{
	struct scene s = scene("P-256");
	undecided(.this_update = -7200, .next_update = -1, .produced = -7200);
	undecided(.this_update = 301, .next_update = 3600, .produced = -60);
	undecided(.this_update = -60, .next_update = 3600, .produced = 301);
	good(.this_update = 300, .next_update = 3600, .produced = 300);
	undecided(.this_update = -3601, .produced = -60);
	good(.this_update = -3600, .produced = -60);
	undecided(.this_update = -8 * 86400, .next_update = 3600, .produced = -60);     /* nextUpdate does not make it young */
	undecided(.this_update = -60, .next_update = -120, .produced = -60);
	undecided(.this_update = -60, .next_update = 3600, .produced = -365 * 86400);   /* before the certificate was */
	undecided(.this_update = -7200, .next_update = -1, .produced = -7200, .status = 1);
	arena_free(s.a);
}

TEST(the_answer_is_about_this_certificate_once)
{
	struct scene s = scene("P-256");
	undecided(FRESH, .about = s.other);
	undecided(FRESH, .twice = true);
	undecided(FRESH, .about = mint_leaf(s.a, mint_root(s.a, NULL), &(struct mint_wish){ .serial = 4097 }));
	good(FRESH, .about = s.leaf);
	arena_free(s.a);
}

TEST(a_critical_extension_that_nobody_knows_decides_nothing)
{
	struct scene s = scene("P-256");
	undecided(FRESH, .critical = true);
	arena_free(s.a);
}

TEST(a_nonce_that_is_there_must_be_ours)
{
	struct scene s = scene("P-256");
	struct bytes n1 = str_bytes(S("0123456789abcdef0123456789abcdef")), n2 = str_bytes(S("0123456789abcdef0123456789abcdeF")), none = { 0 };
	struct mint_ocsp_wish with = { FRESH, .nonce = n1 }, without = { FRESH };
	assert_int_equal(ask(&s, &with, n1, true).status, STATUS_GOOD);
	assert_int_equal(ask(&s, &with, n1, false).status, STATUS_GOOD);
	assert_int_equal(ask(&s, &with, n2, false).status, STATUS_UNDECIDED);
	assert_int_equal(ask(&s, &with, (struct bytes){ n1.p, 31 }, false).status, STATUS_UNDECIDED);
	assert_int_equal(ask(&s, &without, n1, true).status, STATUS_UNDECIDED);
	assert_int_equal(ask(&s, &without, n1, false).status, STATUS_GOOD);
	assert_int_equal(ask(&s, &with, none, true).status, STATUS_UNDECIDED);
	arena_free(s.a);
}

TEST(a_delegate_speaks_when_the_issuer_certified_it_for_that)
{
	struct scene s = scene("P-256");
	struct minted *twin = mint_root(s.a, NULL), *below = mint_ca(s.a, s.root, NULL);
#define DELEGATE(by, ...) mint_leaf(s.a, by, &(struct mint_wish){ .cn = "Responder", .ku = "critical,digitalSignature", __VA_ARGS__ })
#define NOCHECK .more = "noCheck=ignored"
	good(FRESH, .signer = DELEGATE(s.root, .eku = "OCSPSigning", NOCHECK));
	good(FRESH, .signer = DELEGATE(s.root, .eku = "critical,OCSPSigning", NOCHECK, .key = "RSA:2048"), .by_key = true);
	good(FRESH, .signer = DELEGATE(s.root, .eku = "OCSPSigning", .not_before = NOW - 86400, .not_after = NOW + 30 * 86400));
	undecided(FRESH, .signer = DELEGATE(s.root, .eku = "OCSPSigning"));             /* two years and no word of ocsp-nocheck */
	undecided(FRESH, .signer = DELEGATE(s.root, .eku = "OCSPSigning", NOCHECK), .no_carry = true);
	undecided(FRESH, .signer = DELEGATE(s.root, NOCHECK));
	undecided(FRESH, .signer = DELEGATE(s.root, .eku = "", NOCHECK));
	undecided(FRESH, .signer = DELEGATE(s.root, .eku = "anyExtendedKeyUsage", NOCHECK));
	undecided(FRESH, .signer = mint_leaf(s.a, s.root, &(struct mint_wish){ .ku = "critical,keyEncipherment", .eku = "OCSPSigning", NOCHECK }));
	undecided(FRESH, .signer = DELEGATE(s.root, .eku = "OCSPSigning", NOCHECK, .not_after = NOW - 1));
	undecided(FRESH, .signer = DELEGATE(s.root, .eku = "OCSPSigning", NOCHECK, .not_before = NOW + 1));
	undecided(FRESH, .signer = DELEGATE(s.root, .eku = "OCSPSigning", NOCHECK, .key = "RSA:1024"));
	undecided(FRESH, .signer = DELEGATE(s.root, .eku = "OCSPSigning", NOCHECK, .digest = "SHA1"));
	undecided(FRESH, .signer = DELEGATE(s.root, .eku = "OCSPSigning", .more = "1.2.3=critical,DER:0500", .not_before = NOW - 9, .not_after = NOW + 9));
	undecided(FRESH, .signer = DELEGATE(twin, .eku = "OCSPSigning", NOCHECK));      /* the same name, another key */
	undecided(FRESH, .signer = DELEGATE(below, .eku = "OCSPSigning", NOCHECK));
	undecided(FRESH, .signer = s.other);                                             /* a citizen */
	undecided(FRESH, .signer = s.leaf);                                              /* the certificate about itself */
	undecided(FRESH, .signer = twin);
	arena_free(s.a);
}

TEST(an_answer_signed_with_sha_1_decides_nothing)
{
	struct scene s = scene("RSA:2048");
	undecided(FRESH, .digest = "SHA1");
	good(FRESH, .digest = "SHA512");
	arena_free(s.a);
}

TEST(no_changed_byte_and_no_cut_makes_an_answer_good)
{
	struct scene s = scene("P-256");
	struct bytes ok = mint_ocsp(s.a, s.leaf, NOW, NULL);
	struct status_answer o;
	fine(ocsp_read(s.a, ok, &s.c, &s.by, (struct bytes){ 0 }, false, AGE, NOW, &o));
	assert_int_equal(o.status, STATUS_GOOD);
	for (size_t i = 0; i < ok.n; i++) {
		unsigned char *p = (unsigned char *)(uintptr_t)bytes_copy(s.a, ok.p, ok.n).p;
		p[i] ^= 0x01;
		fine(ocsp_read(s.a, (struct bytes){ p, ok.n }, &s.c, &s.by, (struct bytes){ 0 }, false, AGE, NOW, &o));
		if (o.status == STATUS_GOOD)
			fail_msg("byte %zu", i);
		fine(ocsp_read(s.a, (struct bytes){ ok.p, i }, &s.c, &s.by, (struct bytes){ 0 }, false, AGE, NOW, &o));
		assert_int_equal(o.status, STATUS_UNDECIDED);
	}
	static const unsigned char TRY_LATER[] = { 0x30, 0x03, 0x0a, 0x01, 0x03 };
	fine(ocsp_read(s.a, (struct bytes){ TRY_LATER, 5 }, &s.c, &s.by, (struct bytes){ 0 }, false, AGE, NOW, &o));
	assert_int_equal(o.status, STATUS_UNDECIDED);
	assert_str(o.why, "trylater");
	arena_free(s.a);
}

TEST(a_request_names_the_certificate_and_carries_the_nonce)
{
	struct scene s = scene("P-256");
	struct bytes with, without, nonce = str_bytes(S("0123456789abcdef0123456789abcdef"));
	fine(ocsp_request(s.a, &s.c, &s.by, nonce, &with));
	fine(ocsp_request(s.a, &s.c, &s.by, (struct bytes){ 0 }, &without));
	assert_non_null(memmem(with.p, with.n, nonce.p, nonce.n));
	assert_null(memmem(without.p, without.n, nonce.p, nonce.n));
	assert_true(without.n > 60 && with.n > without.n + nonce.n);
	arena_free(s.a);
}

/* ---- lists ----------------------------------------------------------------------------------------------------------------- */

static const char *list_refused(struct scene *s, struct bytes file, epoch now)
{
	struct crl *c;
	struct str why;
	fine(crl_read(s->a, file, &s->by, now, &c, &why));
	assert_true((c == NULL) == (why.n > 0));
	crl_free(c);
	return c ? NULL : why.p;
}

static struct status_answer look(struct scene *s, const struct mint_crl_wish *w, const struct cert *leaf, epoch now)
{
	struct status_answer o;
	struct crl *c;
	struct str why;
	fine(crl_read(s->a, mint_crl(s->a, s->root, NOW, w), &s->by, NOW, &c, &why));
	if (!c)
		fail_msg("%s", why.p);
	crl_look(c, s->a, leaf, now, &o);
	crl_free(c);
	return o;
}

TEST(a_list_tells_the_revoked_from_the_good)
{
	struct scene s = scene("P-256");
	struct mint_crl_wish w = { .revoked = { mint_leaf(s.a, s.root, NULL), s.other, mint_leaf(s.a, s.root, NULL) }, .reason = { 0, 6, 4 }, .this_update = -60, .next_update = 3600 };
	struct cert bad;
	fine(cert_read(s.a, s.other->der, &bad));
	struct status_answer o = look(&s, &w, &s.c, NOW);
	assert_int_equal(o.status, STATUS_GOOD);
	assert_int_equal(o.good_until, NOW + 600);
	o = look(&s, &w, &bad, NOW);
	assert_int_equal(o.status, STATUS_REVOKED);
	assert_str(o.why, "certificateHold");
	assert_int_equal(o.revoked_at, NOW - 100);
	assert_int_equal(look(&s, NULL, &bad, NOW).status, STATUS_GOOD);
	crl_look(NULL, s.a, &s.c, NOW, &o);
	assert_int_equal(o.status, STATUS_UNDECIDED);
	arena_free(s.a);
}

TEST(a_list_decides_nothing_after_its_time_or_for_another_issuer)
{
	struct scene s = scene("P-256");
	struct mint_crl_wish w = { .this_update = -60, .next_update = 3600 };
	struct cert foreign;
	assert_int_equal(look(&s, &w, &s.c, NOW + 3600).status, STATUS_GOOD);
	assert_int_equal(look(&s, &w, &s.c, NOW + 3601).status, STATUS_UNDECIDED);
	assert_int_equal(look(&s, &w, &s.c, NOW - 400).status, STATUS_UNDECIDED);
	fine(cert_read(s.a, mint_leaf(s.a, mint_root(s.a, NULL), NULL)->der, &foreign));
	assert_int_equal(look(&s, &w, &foreign, NOW).status, STATUS_UNDECIDED);
	assert_non_null(list_refused(&s, mint_crl(s.a, s.root, NOW, &w), NOW + 3601));
	assert_non_null(list_refused(&s, mint_crl(s.a, s.root, NOW, &(struct mint_crl_wish){ .this_update = -8 * 86400 }), NOW));
	assert_null(list_refused(&s, mint_crl(s.a, s.root, NOW, &(struct mint_crl_wish){ .this_update = -6 * 86400 }), NOW));
	arena_free(s.a);
}

TEST(a_list_of_another_key_is_refused)
{
	struct scene s = scene("P-256");
	struct minted *twin = mint_root(s.a, NULL);
	assert_non_null(list_refused(&s, mint_crl(s.a, twin, NOW, NULL), NOW));
	assert_non_null(list_refused(&s, mint_crl(s.a, s.leaf, NOW, NULL), NOW));
	assert_non_null(list_refused(&s, mint_crl(s.a, s.root, NOW, &(struct mint_crl_wish){ .this_update = -60, .next_update = 60, .signer = twin }), NOW));
	struct bytes ok = mint_crl(s.a, s.root, NOW, NULL);
	for (size_t i = 0; i < ok.n; i++) {
		unsigned char *p = (unsigned char *)(uintptr_t)bytes_copy(s.a, ok.p, ok.n).p;
		p[i] ^= 0x01;
		if (!list_refused(&s, (struct bytes){ p, ok.n }, NOW))
			fail_msg("byte %zu", i);
		assert_non_null(list_refused(&s, (struct bytes){ ok.p, i }, NOW));
	}
	arena_free(s.a);
}

TEST(indirect_partial_and_delta_lists_are_refused)
{
	static const char *const IDP[] = { "critical,indirectCRL:TRUE", "critical,onlyAA:TRUE", "critical,onlysomereasons:keyCompromise" };
	struct scene s = scene("P-256");
#define LIST(...) mint_crl(s.a, s.root, NOW, &(struct mint_crl_wish){ .this_update = -60, .next_update = 60, __VA_ARGS__ })
	for (size_t i = 0; i < sizeof IDP / sizeof *IDP; i++) {
		char conf[128];
		snprintf(conf, sizeof conf, "%s", IDP[i]);
		assert_non_null(list_refused(&s, LIST(.idp = conf), NOW));
	}
	assert_non_null(list_refused(&s, LIST(.more = "critical,DER:020101"), NOW));
	assert_non_null(list_refused(&s, LIST(.v1 = true, .idp = "critical,onlyuser:TRUE"), NOW));
	assert_non_null(list_refused(&s, LIST(.v1 = true), NOW));          /* version 1 is said by saying nothing */
	assert_null(list_refused(&s, LIST(.v1 = false), NOW));
	arena_free(s.a);
}

TEST(a_list_for_some_certificates_is_not_used_for_others)
{
	struct scene s = scene("P-256");
	struct cert ca, pointed;
	struct mint_crl_wish users = { .this_update = -60, .next_update = 60, .idp = "critical,onlyuser:TRUE" };
	struct mint_crl_wish cas = { .this_update = -60, .next_update = 60, .idp = "critical,onlyCA:TRUE" };
	fine(cert_read(s.a, mint_ca(s.a, s.root, NULL)->der, &ca));
	assert_int_equal(look(&s, &users, &s.c, NOW).status, STATUS_GOOD);
	assert_int_equal(look(&s, &users, &ca, NOW).status, STATUS_UNDECIDED);
	assert_int_equal(look(&s, &cas, &s.c, NOW).status, STATUS_UNDECIDED);
	assert_int_equal(look(&s, &cas, &ca, NOW).status, STATUS_GOOD);
	struct mint_crl_wish at = { .this_update = -60, .next_update = 60, .idp = "critical,fullname:URI:http://crl.test/1" };
	fine(cert_read(s.a, mint_leaf(s.a, s.root, &(struct mint_wish){ .crldp = "URI:http://crl.test/1" })->der, &pointed));
	assert_int_equal(look(&s, &at, &pointed, NOW).status, STATUS_GOOD);
	assert_int_equal(look(&s, &at, &s.c, NOW).status, STATUS_UNDECIDED);
	fine(cert_read(s.a, mint_leaf(s.a, s.root, &(struct mint_wish){ .crldp = "URI:http://crl.test/2" })->der, &pointed));
	assert_int_equal(look(&s, &at, &pointed, NOW).status, STATUS_UNDECIDED);
	arena_free(s.a);
}

TEST(an_authority_that_may_not_sign_lists_signs_none)
{
	struct scene s = { .a = arena_new() };
	s.root = mint_root(s.a, &(struct mint_wish){ .ku = "critical,keyCertSign" });
	fine(cert_read(s.a, s.root->der, &s.by));
	assert_non_null(list_refused(&s, mint_crl(s.a, s.root, NOW, NULL), NOW));
	arena_free(s.a);
}
