#include "t.h"
#include "mint.h"
#include "x509.h"

static struct arena *a;
static struct minted *root;

static err read_wish(const struct mint_wish *w, struct subject *s)
{
	struct cert c;
	if (!a) {
		a = arena_new();
		root = mint_root(a, NULL);
	}
	TRY(cert_read(a, mint_leaf(a, root, w)->der, &c));
	return subject_read(a, &c, s);
}

static void is(const struct mint_wish *w, enum subject_kind kind, const char *number, const char *organisation)
{
	struct subject s;
	fine(read_wish(w, &s));
	assert_int_equal(s.kind, kind);
	assert_str(s.number, number);
	assert_str(s.organisation, organisation);
}

static void refused(const struct mint_wish *w)
{
	struct subject s;
	fails(read_wish(w, &s), CERT_UNSUITABLE);
	assert_true(s.number.n == 0);
}

[[gnu::destructor]] static void done(void) { arena_free(a); }

#define UID(...) &(struct mint_wish){ .uid = { __VA_ARGS__ } }
#define UID_OID "0.9.2342.19200300.100.1.1"

TEST(a_citizen_number_names_a_person)
{
	is(UID("CCCD:022090000017"), SUBJECT_PERSON, "PNOVN-022090000017", "");
	is(UID("cccd: 022090000017 "), SUBJECT_PERSON, "PNOVN-022090000017", "");
	is(UID("PID:022090000017"), SUBJECT_PERSON, "PNOVN-022090000017", "");
	is(UID("CMND:022090000017"), SUBJECT_PERSON, "PNOVN-022090000017", "");
	is(UID("MST:022090000017"), SUBJECT_PERSON, "PNOVN-022090000017", "");
	is(&(struct mint_wish){ .serial_number = "PNOVN-022090000017" }, SUBJECT_PERSON, "PNOVN-022090000017", "");
	is(&(struct mint_wish){ .serial_number = "IDCVN-022090000017" }, SUBJECT_PERSON, "PNOVN-022090000017", "");
}

TEST(a_tax_code_names_an_organisation)
{
	is(UID("MST:0123456787"), SUBJECT_ORGANISATION, "VATVN-0123456787", "");
	is(UID("MST:0123456787-001"), SUBJECT_ORGANISATION, "VATVN-0123456787-001", "");
	is(UID("MST:0123456787001"), SUBJECT_ORGANISATION, "VATVN-0123456787-001", "");
	is(UID("MST:012 345 6787"), SUBJECT_ORGANISATION, "VATVN-0123456787", "");
	is(&(struct mint_wish){ .organization_identifier = "VATVN-0123456787" }, SUBJECT_ORGANISATION, "VATVN-0123456787", "");
}

TEST(a_person_beside_a_tax_code_acts_in_the_organisation)
{
	is(UID("MST:0123456787", "CCCD:022090000017"), SUBJECT_PERSON, "PNOVN-022090000017", "VATVN-0123456787");
	is(UID("CCCD:022090000017", "MST:0123456787"), SUBJECT_PERSON, "PNOVN-022090000017", "VATVN-0123456787");
	is(&(struct mint_wish){ .serial_number = "PNOVN-022090000017", .organization_identifier = "VATVN-0123456787" }, SUBJECT_PERSON,
	   "PNOVN-022090000017", "VATVN-0123456787");
}

TEST(the_same_number_twice_is_one_person_and_two_numbers_are_none)
{
	is(UID("CCCD:022090000017", "CMND:022090000017", "MST:022090000017"), SUBJECT_PERSON, "PNOVN-022090000017", "");
	is(&(struct mint_wish){ .uid = { "CCCD:022090000017" }, .serial_number = "PNOVN-022090000017" }, SUBJECT_PERSON, "PNOVN-022090000017", "");
	refused(UID("CCCD:022090000017", "CCCD:022090000018"));
	refused(UID("CCCD:022090000017", "CMND:022090000018"));
	refused(UID("MST:0123456787", "MST:5700000011"));
	refused(UID("MST:0123456787", "MST:0123456787-001"));
	refused(&(struct mint_wish){ .uid = { "CCCD:022090000017" }, .serial_number = "PNOVN-022090000018" });
}

TEST(an_old_card_number_of_nine_digits_is_never_linked_by_itself)
{
	refused(UID("CMND:100123456"));
	refused(UID("CMND:10012345"));
	refused(UID("CMND:100123456", "MST:012345678X"));
	is(UID("CMND:100123456", "CCCD:022090000017"), SUBJECT_PERSON, "PNOVN-022090000017", "");
}

TEST(what_is_no_identity_names_nobody)
{
	refused(UID("HC:B1234567"));
	refused(UID("BHXH:0123456789"));
	refused(UID("MNS:1234567"));
	refused(&(struct mint_wish){ 0 });
	refused(&(struct mint_wish){ .serial_number = "022090000017" });
	refused(&(struct mint_wish){ .serial_number = "PNOEE-38001085718" });
	refused(&(struct mint_wish){ .cn = "CCCD:022090000017" });
	refused(&(struct mint_wish){ .organization_identifier = "NTRVN-0123456787" });
}

TEST(a_number_that_is_nearly_one_is_refused)
{
	static const char *const BAD[] = { "CCCD:02209000001", "CCCD:0220900000170", "CCCD:000090000017", "CCCD:097090000017", "CCCD:022499000017",
		"CCCD:02209000001a", "CCCD:０２２０９００００１７", "ＣＣＣＤ:022090000017", "CCCD：022090000017", "CCCD:", "CCCD", "CCCD 022090000017",
		":022090000017", "", "022090000017", "XCCCD:022090000017", "CCCD:022090000017;", "CCCD:CCCD:022090000017", "CCCD:-22090000017",
		"CCCD:\xd9\xa0\xd9\xa1\xd9\xa2\xd9\xa3\xd9\xa4\xd9\xa5\xd9\xa6\xd9\xa7\xd9\xa8\xd9\xa9\xd9\xa0\xd9\xa1", "MST:0123456788", "MST:000000000-0", "MST:0123456787-000", "MST:012345678", "MST:01234567870012",
		"JDOE:1" };
	for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++)
		if (*BAD[i])
			refused(UID(BAD[i]));
	refused(UID("CCCD:022090000017", "who:knows"));
}

TEST(a_number_in_the_wrong_attribute_is_refused)
{
	refused(&(struct mint_wish){ .serial_number = "VATVN-0123456787" });
	refused(&(struct mint_wish){ .organization_identifier = "PNOVN-022090000017" });
	refused(&(struct mint_wish){ .serial_number = "PNOVN-02209000001" });
	refused(&(struct mint_wish){ .organization_identifier = "VATVN-0123456788" });
}

static const unsigned char BMP[] = "\0C\0C\0C\0D\0:\0" "0\0" "2\0" "2\0" "0\0" "9\0" "0\0" "0\0" "0\0" "0\0" "0\0" "1\0" "7";

TEST(the_number_may_be_written_in_any_string_type_and_any_rdn)
{
	is(&(struct mint_wish){ .attrs = { { UID_OID, MINT_BMP, BMP, 34, false } } }, SUBJECT_PERSON, "PNOVN-022090000017", "");
	is(&(struct mint_wish){ .attrs = { { UID_OID, MINT_T61, "CCCD:022090000017", 0, false } } }, SUBJECT_PERSON, "PNOVN-022090000017", "");
	is(&(struct mint_wish){ .attrs = { { UID_OID, MINT_PRINTABLE, "CCCD:022090000017", 0, false } } }, SUBJECT_PERSON, "PNOVN-022090000017", "");
	is(&(struct mint_wish){ .attrs = { { "O", MINT_UTF8, "Sở", 0, false }, { UID_OID, MINT_UTF8, "MST:0123456787", 0, true },
		{ UID_OID, MINT_UTF8, "CCCD:022090000017", 0, true } } }, SUBJECT_PERSON, "PNOVN-022090000017", "VATVN-0123456787");
	refused(&(struct mint_wish){ .attrs = { { UID_OID, MINT_UTF8, "CCCD:022090000017", 0, false }, { UID_OID, MINT_BMP, BMP, 32, true } } });
}

TEST(an_embedded_nul_or_control_is_refused_anywhere_in_the_subject)
{
	refused(&(struct mint_wish){ .attrs = { { UID_OID, MINT_UTF8, "CCCD:022090000017\0x", 19, false } } });
	refused(&(struct mint_wish){ .attrs = { { UID_OID, MINT_UTF8, "CCCD:022090000017\0", 18, false } } });
	refused(&(struct mint_wish){ .uid = { "CCCD:022090000017" }, .attrs = { { "O", MINT_UTF8, "good\0evil", 9, false } } });
	refused(&(struct mint_wish){ .uid = { "CCCD:022090000017\n" } });
	refused(&(struct mint_wish){ .uid = { "CCCD:022090000017" }, .attrs = { { "O", MINT_UTF8, "a\xe2\x80\xae" "b", 0, false } } });
	refused(&(struct mint_wish){ .uid = { "CCCD:022090000017" }, .attrs = { { "O", MINT_T61, "a\x85" "b", 0, false } } });
}

TEST(the_name_is_shown_in_nfc_and_is_only_one)
{
	struct subject s;
	fine(read_wish(&(struct mint_wish){ .uid = { "CCCD:022090000017" }, .cn = "Nguye\xcc\x82\xcc\x83n A", .san = "email:an@example.vn" }, &s));
	assert_str(s.name, "Nguyễn A");
	assert_str(s.country, "VN");
	assert_str(s.email, "an@example.vn");
	refused(&(struct mint_wish){ .uid = { "CCCD:022090000017" }, .attrs = { { "CN", MINT_UTF8, "Another", 0, false } } });
	fine(read_wish(&(struct mint_wish){ .uid = { "CCCD:022090000017" }, .attrs = { { "CN", MINT_UTF8, "Nguyễn Văn An", 0, false } } }, &s));
}

TEST(check_digits_of_tax_codes)
{
	static const char *const GOOD[] = { "0123456787", "5700000011", "0123456787-001", "0123456787-999" };
	static const char *const BAD[] = { "0123456788", "2200000000", "0100000003", "0123456787-", "0123456787-000", "0123456787-01", "0123456787-0001", "0123456787001", "0000000000",
		"123456787", "01234567870", "0123456787-00a", "", "012345678X" };
	for (size_t i = 0; i < sizeof GOOD / sizeof *GOOD; i++)
		assert_true(mst_valid(str_of(GOOD[i])));
	for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++)
		assert_false(mst_valid(str_of(BAD[i])));
}

TEST(the_shape_of_citizen_numbers)
{
	assert_true(cccd_valid(S("022090000017")));
	assert_true(cccd_valid(S("001300000001")));
	assert_true(cccd_valid(S("096199999999")));
	assert_false(cccd_valid(S("096499999999")));            /* born 2199 */
	assert_false(cccd_valid(S("000090000017")));
	assert_false(cccd_valid(S("097090000017")));
	assert_false(cccd_valid(S("02209000001")));
	assert_false(cccd_valid(S("02209000001x")));
	assert_false(cccd_valid(S("")));
}
