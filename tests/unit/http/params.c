#include "t.h"
#include "http.h"
#include "buf.h"

static struct arena *a;
static struct params l;
static err read_form(struct str s) { a = a ? a : arena_new(); return params_read(a, s, &l); }
static err read_cookies(struct str s) { a = a ? a : arena_new(); return cookies_read(a, s, &l); }

static struct str field(const char *name, size_t n)
{
	struct buf b = buf_new(a, n + 200, n + 200);
	buf_fmt(&b, "%s=", name);
	for (size_t i = 0; i < n; i++)
		buf_char(&b, 'v');
	return (struct str){ b.p, b.n };
}

TEST(a_form_is_read_into_names_and_values)
{
	fails(read_form(S("a=1&=x")), INVALID_REQUEST);
	fine(read_form(S("a=1&b=two+words&c=%E1%BB%87%2B&d&e=&&f=x=y;z")));
	assert_int_equal(l.n, 6);
	assert_str(param_of(&l, "b"), "two words");
	assert_str(param_of(&l, "c"), "\xe1\xbb\x87+");
	assert_str(param_of(&l, "f"), "x=y;z");
	assert_true(param_there(&l, "d") && param_there(&l, "e") && !param_there(&l, "g"));
	assert_str(param_of(&l, "g"), "");
	fine(read_form(S("")));
	assert_int_equal(l.n, 0);
}

TEST(a_name_that_comes_twice_is_refused_however_it_is_spelled)
{
	fails(read_form(S("a=1&a=1")), INVALID_REQUEST);
	fails(read_form(S("a=1&%61=2")), INVALID_REQUEST);
	fails(read_form(S("a&b&a")), INVALID_REQUEST);
	fine(read_form(S("a=1&A=2")));
}

TEST(broken_encoding_is_refused)
{
	static const struct str BAD[] = { S("a=%zz"), S("a=%4"), S("a=%"), S("a=%00"), S("%00=a"), S("a=%ff"), S("a=%c0%80"), S("a=%ed%a0%80"), S("a=\x01"), S("a=\xff") };
	for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++)
		fails(read_form(BAD[i]), INVALID_REQUEST);
}

TEST(a_form_has_at_most_64_fields)
{
	a = a ? a : arena_new();
	struct buf b = buf_new(a, 512, 1024);
	for (int i = 0; i < 64; i++)
		buf_fmt(&b, "%sf%d=x", i ? "&" : "", i);
	fine(read_form((struct str){ b.p, b.n }));
	assert_int_equal(l.n, 64);
	buf_str(&b, S("&g=x"));
	fails(read_form((struct str){ b.p, b.n }), INVALID_REQUEST);
}

TEST(a_value_has_8_kib_and_one_that_carries_a_token_16)
{
	a = a ? a : arena_new();
	fine(read_form(field("state", 8192)));
	fails(read_form(field("state", 8193)), INVALID_REQUEST);
	fine(read_form(field("client_assertion", 16384)));
	fails(read_form(field("client_assertion", 16385)), INVALID_REQUEST);
}

TEST(a_name_has_128_bytes)
{
	char name[130] = { 0 };
	a = a ? a : arena_new();
	memset(name, 'n', 128);
	fine(read_form(field(name, 1)));
	name[128] = 'n';
	fails(read_form(field(name, 1)), INVALID_REQUEST);
}

TEST(cookies_are_read_and_decoded)
{
	fine(read_cookies(S("sid=abc; lang=vi;x=a%20b ; y=\"q\"; z")));
	assert_int_equal(l.n, 5);
	assert_str(param_of(&l, "sid"), "abc");
	assert_str(param_of(&l, "x"), "a b");
	assert_str(param_of(&l, "lang"), "vi");
	fine(read_cookies(S("")));
	assert_int_equal(l.n, 0);
}

TEST(a_cookie_with_a_twin_is_not_there)
{
	fine(read_cookies(S("sid=1; lang=vi; sid=2")));
	assert_false(param_there(&l, "sid"));
	assert_str(param_of(&l, "lang"), "vi");
	fine(read_cookies(S("sid=1; sid=%zz")));
	assert_false(param_there(&l, "sid"));
	fine(read_cookies(S("sid=1; sid=1; sid=1")));
	assert_int_equal(l.n, 0);
}

TEST(a_cookie_that_cannot_be_read_does_not_cost_the_others)
{
	fine(read_cookies(S("bad=%zz; =x; ; sid=1; b\xc3\xa1=2; nul=%00")));
	assert_int_equal(l.n, 1);
	assert_str(param_of(&l, "sid"), "1");
}

TEST(more_than_128_cookies_are_refused)
{
	a = a ? a : arena_new();
	struct buf b = buf_new(a, 1024, 4096);
	for (int i = 0; i < 128; i++)
		buf_fmt(&b, "%sc%d=x", i ? "; " : "", i);
	fine(read_cookies((struct str){ b.p, b.n }));
	assert_int_equal(l.n, 128);
	buf_str(&b, S("; g=x"));
	fails(read_cookies((struct str){ b.p, b.n }), INVALID_REQUEST);
}
