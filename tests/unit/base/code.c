#include "t.h"
#include "code.h"

TEST(base64_of_rfc_4648_section_10)
{
	static const char *const V[][3] = { { "", "", "" }, { "f", "Zg", "Zg==" }, { "fo", "Zm8", "Zm8=" }, { "foo", "Zm9v", "Zm9v" },
		{ "foob", "Zm9vYg", "Zm9vYg==" }, { "fooba", "Zm9vYmE", "Zm9vYmE=" }, { "foobar", "Zm9vYmFy", "Zm9vYmFy" } };
	struct arena *a = arena_new();
	for (size_t i = 0; i < sizeof V / sizeof *V; i++) {
		struct str plain = str_of(V[i][0]);
		struct bytes back;
		assert_str(b64url(a, str_bytes(plain)), V[i][1]);
		assert_str(b64(a, str_bytes(plain)), V[i][2]);
		assert_true(b64url_read(a, str_of(V[i][1]), &back));
		assert_int_equal(back.n, plain.n);
		assert_memory_equal(back.p, plain.p, plain.n);
		assert_true(b64_read(a, str_of(V[i][2]), &back));
		assert_int_equal(back.n, plain.n);
	}
	arena_free(a);
}

TEST(base64url_has_one_spelling_for_each_value)
{
	static const char *const BAD[] = { "Zg==", "Zg=", "Zh", "Zm9", "Z", "Zm+v", "Zm/v", "Zm9v\n", " Zm9v", "Zm9v!!", "Zm 9v" };
	struct arena *a = arena_new();
	struct bytes out;
	for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++)
		assert_false(b64url_read(a, str_of(BAD[i]), &out));
	static const char *const BAD_STD[] = { "Zg", "Zg=", "Zg===", "Zh==", "Zm9v\n", "Zm-v", "====", "=", "Z===" };
	for (size_t i = 0; i < sizeof BAD_STD / sizeof *BAD_STD; i++)
		assert_false(b64_read(a, str_of(BAD_STD[i]), &out));
	arena_free(a);
}

TEST(a_percent_encoded_nul_is_refused)
{
	struct arena *a = arena_new();
	struct str s;
	assert_true(url_read(a, S("a%20b+c%C3%A9"), true, &s));
	assert_str(s, "a b cé");
	assert_true(url_read(a, S("a+b"), false, &s));
	assert_str(s, "a+b");
	static const char *const BAD[] = { "good%00evil", "%", "%4", "%zz", "%C3", "%FF", "a%1Fb", "%7F" };
	for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++)
		assert_false(url_read(a, str_of(BAD[i]), true, &s));
	arena_free(a);
}

TEST(hex_both_ways)
{
	struct arena *a = arena_new();
	struct bytes b;
	assert_true(hex_read(a, S("00fFa5"), &b));
	assert_str(hex(a, b), "00ffa5");
	assert_false(hex_read(a, S("0"), &b));
	assert_false(hex_read(a, S("0g"), &b));
	arena_free(a);
}
