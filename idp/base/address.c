#include "address.h"
#include <arpa/inet.h>

bool address_read(struct str s, struct address *out)
{
	static const unsigned char MAPPED[12] = { [10] = 0xff, [11] = 0xff };
	if (s.n == 0 || s.n >= INET6_ADDRSTRLEN || s.p[s.n])
		return false;
	if (inet_pton(AF_INET6, s.p, out->at) == 1)
		return true;
	memcpy(out->at, MAPPED, sizeof MAPPED);
	return inet_pton(AF_INET, s.p, out->at + sizeof MAPPED) == 1;
}

bool network_read(struct str s, struct network *out)
{
	char text[INET6_ADDRSTRLEN];
	const char *slash = memchr(s.p, '/', s.n);
	size_t n = slash ? (size_t)(slash - s.p) : s.n;
	if (n == 0 || n >= sizeof text)
		return false;
	memcpy(text, s.p, n);
	text[n] = 0;
	int64_t bits = 128, shorter = strchr(text, ':') ? 0 : 96;
	if (!address_read((struct str){ text, n }, &out->base))
		return false;
	if (slash && !str_int((struct str){ slash + 1, s.n - n - 1 }, 0, 128 - shorter, &bits))
		return false;
	out->bits = (int)(slash ? bits + shorter : 128);
	return true;
}

static bool within(const struct address *a, const struct network *n)
{
	int whole = n->bits / 8, rest = n->bits % 8;
	unsigned char mask = (unsigned char)(0xff00 >> rest);
	return memcmp(a->at, n->base.at, (size_t)whole) == 0 && (rest == 0 || ((a->at[whole] ^ n->base.at[whole]) & mask) == 0);
}

bool address_in(const struct address *a, struct str networks)
{
	while (networks.n) {
		const char *space = memchr(networks.p, ' ', networks.n);
		struct str word = { networks.p, space ? (size_t)(space - networks.p) : networks.n };
		struct network n;
		if (network_read(word, &n) && within(a, &n))
			return true;
		size_t cut = word.n + (space != NULL);
		networks = (struct str){ networks.p + cut, networks.n - cut };
	}
	return false;
}

bool address_public(const struct address *a)
{
	static const struct str NOT_PUBLIC = S(
		"0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 192.0.2.0/24 192.88.99.0/24"
		" 192.168.0.0/16 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 224.0.0.0/3 2001::/23 2001:db8::/32 2002::/16");
	return address_in(a, S("2000::/3 ::ffff:0:0/96")) && !address_in(a, NOT_PUBLIC);
}
