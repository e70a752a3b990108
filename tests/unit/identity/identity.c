#include "t.h"
#include "name.h"
#include "number.h"

TEST(a_name_is_found_without_its_diacritics)
{
	struct arena *a = arena_new();
	static const char *const ROWS[][2] = {
		{ "Nguyễn Thị Đào", "nguyen thi dao" }, { "NGUYỄN THỊ ĐÀO", "nguyen thi dao" },
		{ "Nguye\xcc\x82\xcc\x83n Thi\xcc\xa3 \xc4\x90\x61\xcc\x80o", "nguyen thi dao" },      /* decomposed */
		{ "  Trần\xc2\xa0  Ẩn ", "tran an" }, { "Ưng Ỷ Phượng", "ung y phuong" }, { "Straße", "strasse" }, { "", "" }, { "\xff", "" },
	};
	for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++)
		assert_str(name_search_key(a, str_of(ROWS[i][0])), ROWS[i][1]);
	arena_free(a);
}

TEST(a_name_fits_a_screen_that_knows_only_ascii)
{
	struct arena *a = arena_new();
	static const char *const ROWS[][2] = {
		{ "Cổng dịch vụ Đà Nẵng", "Cong dich vu Da Nang" }, { "Sổ  hộ tịch điện tử ", "So ho tich dien tu" }, { "H'Hen Niê", "H'Hen Nie" },
		{ "ЗАГС 7", "???? 7" }, { "🏛 Huế", "? Hue" }, { "", "" }, { "\xff", "" },
	};
	for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++)
		assert_str(name_plain(a, str_of(ROWS[i][0])), ROWS[i][1]);
	arena_free(a);
}

TEST(a_name_has_one_spelling)
{
	struct arena *a = arena_new();
	struct str s;
	fine(name_nfc(a, S(" Nguye\xcc\x82\xcc\x83n  V\xc4\x83n A "), &s));
	assert_str(s, "Nguyễn Văn A");
	static const char *const WRONG[] = { "", "   ", "a\nb", "a\tb", "a\x7f", "\xc3\x28", "a\xe2\x80\xae" "b", "a\xe2\x80\x8b" "b", "a\xe2\x80\xa8" "b" };
	for (size_t i = 0; i < sizeof WRONG / sizeof *WRONG; i++)
		fails(name_nfc(a, str_of(WRONG[i]), &s), INVALID_REQUEST);
	char *big = arena_alloc(a, NAME_MOST + 2);
	memset(big, 'x', NAME_MOST + 1);
	fine(name_nfc(a, (struct str){ big, NAME_MOST }, &s));
	fails(name_nfc(a, (struct str){ big, NAME_MOST + 1 }, &s), INVALID_REQUEST);
	arena_free(a);
}

TEST(a_number_is_stored_in_one_form)
{
	struct arena *a = arena_new();
	struct str s;
	static const char *const RIGHT[][2] = {
		{ "001099000001", "PNOVN-001099000001" }, { "001 099 000 001", "PNOVN-001099000001" }, { "001.099.000.001", "PNOVN-001099000001" },
		{ "PNOVN-001099000001", "PNOVN-001099000001" }, { "pnovn-001099000001", "PNOVN-001099000001" },
		{ "0100233488", "VATVN-0100233488" }, { "VATVN-0100233488", "VATVN-0100233488" }, { "0314409058-002", "VATVN-0314409058-002" },
		{ "0314409058 002", "VATVN-0314409058-002" },
	};
	static const char *const WRONG[] = {
		"", "1", "00109900000", "0010990000011", "00109900000x", "000099000001", "097099000001", "PNOVN-0100233488", "VATVN-001099000001",
		"0100233489", "0100233488-", "0100233488-01", "0100233488-0001", "CMND-123456789", "123456789", "PNOVN-", "\xd9\xa0\xd9\xa1",
		"00109900000100109900000100109900000100109",
	};
	for (size_t i = 0; i < sizeof RIGHT / sizeof *RIGHT; i++) {
		assert_true(person_number_canonical(a, str_of(RIGHT[i][0]), &s));
		assert_str(s, RIGHT[i][1]);
	}
	for (size_t i = 0; i < sizeof WRONG / sizeof *WRONG; i++) {
		if (person_number_canonical(a, str_of(WRONG[i]), &s))
			fail_msg("'%s' was taken as %s", WRONG[i], s.p);
	}
	arena_free(a);
}

TEST(a_phone_number_is_stored_as_e164)
{
	struct arena *a = arena_new();
	struct str s;
	static const char *const RIGHT[] = { "0912345678", "+84912345678", "84912345678", "0084912345678", "091 234 5678", "+84 (91) 234-56-78", "091.234.5678" };
	static const char *const WRONG[] = { "", "0", "912345678", "091234567", "09123456789", "+8491234567", "+84 0912345678", "0212345678", "+44912345678",
		"+840912345678", "09123456a8", "++84912345678", "+84-", "091234567\xc2\xb9" };
	for (size_t i = 0; i < sizeof RIGHT / sizeof *RIGHT; i++) {
		assert_true(phone_canonical(a, str_of(RIGHT[i]), &s));
		assert_str(s, "+84912345678");
	}
	for (size_t i = 0; i < sizeof WRONG / sizeof *WRONG; i++)
		assert_false(phone_canonical(a, str_of(WRONG[i]), &s));
	arena_free(a);
}

TEST(a_masked_number_shows_five_digits_at_most)
{
	struct arena *a = arena_new();
	assert_str(number_masked(a, S("PNOVN-001099000001")), "001•••••••01");
	assert_str(number_masked(a, S("VATVN-0100233488")), "010•••••88");
	assert_str(number_masked(a, S("1234")), "••••");
	assert_str(number_masked(a, S("")), "");
	assert_str(phone_masked(a, S("+84912345678")), "+84•••••••78");
	arena_free(a);
}
