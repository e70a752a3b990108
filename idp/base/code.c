#include "code.h"

static const char URL[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
static const char STD[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static struct str encode(struct arena *a, struct bytes b, const char *alphabet, bool pad)
{
	char *d = arena_alloc(a, (b.n + 2) / 3 * 4 + 1), *o = d;
	size_t i = 0;
	for (; i + 2 < b.n; i += 3) {
		unsigned v = (unsigned)b.p[i] << 16 | (unsigned)b.p[i + 1] << 8 | b.p[i + 2];
		*o++ = alphabet[v >> 18], *o++ = alphabet[v >> 12 & 63], *o++ = alphabet[v >> 6 & 63], *o++ = alphabet[v & 63];
	}
	if (i < b.n) {
		bool two = i + 1 < b.n;
		unsigned v = (unsigned)b.p[i] << 16 | (two ? (unsigned)b.p[i + 1] << 8 : 0);
		*o++ = alphabet[v >> 18], *o++ = alphabet[v >> 12 & 63];
		if (two)
			*o++ = alphabet[v >> 6 & 63];
		else if (pad)
			*o++ = '=';
		if (pad)
			*o++ = '=';
	}
	return (struct str){ d, (size_t)(o - d) };
}

/* The value of each letter; 64 for what is none. Both alphabets differ in two letters alone. */
enum { NONE = 64 };
#define ALPHABET(c62, c63) { \
	[0 ... 255] = NONE, \
	['A'] = 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, \
	['a'] = 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, \
	['0'] = 52, 53, 54, 55, 56, 57, 58, 59, 60, 61, [c62] = 62, [c63] = 63 }
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Woverride-init"
static const unsigned char OF_URL[256] = ALPHABET('-', '_'), OF_STD[256] = ALPHABET('+', '/');
#pragma GCC diagnostic pop

static bool decode(struct arena *a, struct str s, const unsigned char value[256], struct bytes *out)
{
	if (s.n % 4 == 1)
		return false;
	unsigned char *d = arena_alloc(a, s.n / 4 * 3 + 4), *o = d;
	unsigned v = 0;
	for (size_t i = 0; i < s.n; i++) {
		unsigned k = value[(unsigned char)s.p[i]];
		if (k == NONE)
			return false;
		v = v << 6 | k;
		if (i % 4 == 3) {
			*o++ = (unsigned char)(v >> 16), *o++ = (unsigned char)(v >> 8), *o++ = (unsigned char)v;
			v = 0;
		}
	}
	/* RFC 4648 section 3.5: bits that the last letter leaves over must be zero */
	if (s.n % 4 == 2) {
		if (v & 15)
			return false;
		*o++ = (unsigned char)(v >> 4);
	} else if (s.n % 4 == 3) {
		if (v & 3)
			return false;
		*o++ = (unsigned char)(v >> 10), *o++ = (unsigned char)(v >> 2);
	}
	*out = (struct bytes){ d, (size_t)(o - d) };
	return true;
}

struct str b64url(struct arena *a, struct bytes b) { return encode(a, b, URL, false); }
bool b64url_read(struct arena *a, struct str s, struct bytes *out) { return decode(a, s, OF_URL, out); }
struct str b64(struct arena *a, struct bytes b) { return encode(a, b, STD, true); }

bool b64_read(struct arena *a, struct str s, struct bytes *out)
{
	if (s.n % 4)
		return false;
	for (int pad = 0; pad < 2 && s.n && s.p[s.n - 1] == '='; pad++)
		s.n--;
	return decode(a, s, OF_STD, out);
}

struct str hex(struct arena *a, struct bytes b)
{
	static const char HEX[] = "0123456789abcdef";
	char *d = arena_alloc(a, b.n * 2 + 1);
	for (size_t i = 0; i < b.n; i++)
		d[2 * i] = HEX[b.p[i] >> 4], d[2 * i + 1] = HEX[b.p[i] & 15];
	return (struct str){ d, b.n * 2 };
}

static int nibble(char c)
{
	if (c >= '0' && c <= '9') return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool hex_read(struct arena *a, struct str s, struct bytes *out)
{
	if (s.n % 2)
		return false;
	unsigned char *d = arena_alloc(a, s.n / 2 + 1);
	for (size_t i = 0; i < s.n; i += 2) {
		int hi = nibble(s.p[i]), lo = nibble(s.p[i + 1]);
		if (hi < 0 || lo < 0)
			return false;
		d[i / 2] = (unsigned char)(hi << 4 | lo);
	}
	*out = (struct bytes){ d, s.n / 2 };
	return true;
}

bool url_read(struct arena *a, struct str s, bool plus_is_space, struct str *out)
{
	char *d = arena_alloc(a, s.n + 1);
	size_t n = 0;
	for (size_t i = 0; i < s.n; i++) {
		int c = (unsigned char)s.p[i];
		if (c == '%') {
			int hi = i + 2 < s.n ? nibble(s.p[i + 1]) : -1, lo = i + 2 < s.n ? nibble(s.p[i + 2]) : -1;
			if (hi < 0 || lo < 0)
				return false;
			c = hi << 4 | lo;
			i += 2;
		} else if (c == '+' && plus_is_space) {
			c = ' ';
		}
		if ((c < 0x20 && c != '\t' && c != '\r' && c != '\n') || c == 0x7f)
			return false;
		d[n++] = (char)c;
	}
	*out = (struct str){ d, n };
	return str_utf8(*out);
}
