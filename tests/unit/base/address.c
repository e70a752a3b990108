#include "address.h"
#include "t.h"

static struct address at(const char *text)
{
	struct address a;
	assert_true(address_read(str_of(text), &a));
	return a;
}

TEST(what_a_stranger_may_make_us_ask_is_public)
{
	static const struct { const char *at; bool is; } CASES[] = {
		{ "8.8.8.8", true }, { "113.160.0.1", true }, { "2405:4800::1", true }, { "172.15.255.255", true }, { "172.32.0.0", true }, { "100.63.0.1", true },
		{ "127.0.0.1", false }, { "127.9.9.9", false }, { "0.0.0.0", false }, { "10.0.0.1", false }, { "172.16.0.1", false }, { "172.31.255.255", false },
		{ "192.168.1.1", false }, { "169.254.169.254", false }, { "100.64.0.1", false }, { "224.0.0.1", false }, { "255.255.255.255", false },
		{ "::1", false }, { "::", false }, { "::127.0.0.1", false }, { "::ffff:127.0.0.1", false }, { "::ffff:10.0.0.1", false }, { "fe80::1", false },
		{ "fd00::1", false }, { "ff02::1", false }, { "64:ff9b::7f00:1", false }, { "2002:7f00:1::", false }, { "2001:db8::1", false }, { "2001::1", false },
	};
	for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
		struct address a = at(CASES[i].at);
		if (address_public(&a) != CASES[i].is)
			fail_msg("%s", CASES[i].at);
	}
}

TEST(an_address_is_in_a_network_by_its_first_bits)
{
	struct address a = at("10.9.200.1"), six = at("fd12:3456::1");
	assert_true(address_in(&a, S("10.0.0.0/8")));
	assert_true(address_in(&a, S("192.168.0.0/16 10.9.192.0/18")));
	assert_true(address_in(&a, S("10.9.200.1")));
	assert_true(address_in(&six, S("fd00::/8")));
	assert_true(address_in(&a, S("0.0.0.0/0")));
	assert_false(address_in(&six, S("0.0.0.0/0")));
	assert_false(address_in(&a, S("10.9.0.0/17")));
	assert_false(address_in(&a, S("10.9.200.2")));
	assert_false(address_in(&a, S("")));
}

TEST(networks_that_cannot_be_read)
{
	struct network n;
	static const char *const WRONG[] = { "", "/8", "10.0.0.0/", "10.0.0.0/33", "10.0.0/8", "10.0.0.0/-1", "fd00::/129", "example.vn", "10.0.0.0/8/8", "1.2.3.4/08" };
	for (size_t i = 0; i < sizeof WRONG / sizeof *WRONG; i++)
		if (network_read(str_of(WRONG[i]), &n))
			fail_msg("%s", WRONG[i]);
}
