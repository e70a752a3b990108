#include "t.h"
#include "buf.h"
#include "clock.h"
#include "rand.h"

TEST(numbers_have_one_spelling)
{
	static const char *const BAD[] = { "", "-", "+1", "01", "-0", " 1", "1 ", "1e3", "0x1", "9999999999999999999", "1.0", "١" };
	int64_t n;
	for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++)
		assert_false(str_int(str_of(BAD[i]), INT64_MIN, INT64_MAX, &n));
	assert_true(str_int(S("-42"), -42, 0, &n));
	assert_int_equal(n, -42);
	assert_false(str_int(S("43"), 0, 42, &n));
}

TEST(utf8_is_rfc_3629_and_nothing_else)
{
	assert_true(str_utf8(S("Nguyễn Thị Ánh Đào \xf0\x9f\x8c\x8f")));
	assert_false(str_utf8(S("\xc0\x80")));              /* over-long NUL */
	assert_false(str_utf8(S("\xed\xa0\x80")));          /* surrogate */
	assert_false(str_utf8(S("\xf4\x90\x80\x80")));      /* above U+10FFFF */
	assert_false(str_utf8(S("\xe1\xba")));              /* cut */
	assert_false(str_utf8((struct str){ "a\0b", 3 }));
}

TEST(words_are_matched_whole)
{
	struct arena *a = arena_new();
	assert_true(word_in(S("openid  profile"), S("profile")));
	assert_false(word_in(S("openid profile"), S("prof")));
	assert_false(word_in(S(""), S("")));
	struct strs w = str_words(a, S("  a bb  c "));
	assert_int_equal(w.n, 3);
	assert_str(strs_join(a, w, S("+")), "a+bb+c");
	arena_free(a);
}

TEST(a_buffer_keeps_its_maximum_and_says_so)
{
	struct arena *a = arena_new();
	struct buf b = buf_new(a, 2, 10);
	struct str s;
	buf_str(&b, S("12345"));
	buf_str(&b, S("67890"));
	fine(buf_done(&b, &s));
	assert_str(s, "1234567890");
	buf_char(&b, 'x');
	fails(buf_done(&b, &s), TOO_LARGE);
	arena_free(a);
}

TEST(escapes_leave_nothing_that_ends_its_context)
{
	struct arena *a = arena_new();
	struct buf b = buf_new(a, 8, 1000);
	buf_html(&b, S("<a href=\"'&'\">"));
	buf_char(&b, '|');
	buf_json(&b, S("a\"b\\c\x01é"));
	buf_char(&b, '|');
	buf_url(&b, S("a b&c=d/é~"));
	assert_string_equal(b.p, "&lt;a href=&quot;&#39;&amp;&#39;&quot;&gt;|\"a\\\"b\\\\c\\u0001é\"|a%20b%26c%3Dd%2F%C3%A9~");
	arena_free(a);
}

TEST(ids_sort_by_time_and_tokens_have_256_bits)
{
	struct arena *a = arena_new();
	struct str one = rand_id(a, 1750000000000), two = rand_id(a, 1750000000001);
	assert_true(strcmp(one.p, two.p) < 0);
	assert_int_equal(one.n, 36);
	assert_int_equal(one.p[14], '7');
	assert_int_equal(rand_token(a).n, 43);
	assert_false(str_eq(rand_token(a), rand_token(a)));
	assert_str(clock_text(a, 1750000000), "2025-06-15T15:06:40Z");
	arena_free(a);
}
