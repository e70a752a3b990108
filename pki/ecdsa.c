#include "inside/jose.h"

static unsigned char *put_integer(unsigned char *o, const unsigned char *p, size_t n)
{
	while (n > 1 && *p == 0)
		p++, n--;
	bool negative = *p & 0x80;
	*o++ = 2, *o++ = (unsigned char)(n + negative);
	if (negative)
		*o++ = 0;
	memcpy(o, p, n);
	return o + n;
}

size_t sig_to_der(const unsigned char *rs, size_t coordinate, unsigned char der[DER_SIG_MOST])
{
	unsigned char body[DER_SIG_MOST], *o = der;
	unsigned char *end = put_integer(put_integer(body, rs, coordinate), rs + coordinate, coordinate);
	size_t n = (size_t)(end - body);
	*o++ = 0x30;
	if (n >= 0x80)
		*o++ = 0x81;
	*o++ = (unsigned char)n;
	memcpy(o, body, n);
	return (size_t)(o - der) + n;
}

/* One positive INTEGER in its shortest form into exactly `coordinate` bytes. */
static bool take_integer(const unsigned char **p, const unsigned char *end, size_t coordinate, unsigned char *out)
{
	const unsigned char *d = *p;
	if (end - d < 3 || d[0] != 2 || d[1] == 0 || d[1] > end - d - 2)
		return false;
	size_t n = d[1];
	d += 2;
	*p = d + n;
	if (d[0] & 0x80 || (n > 1 && d[0] == 0 && !(d[1] & 0x80)))
		return false;
	if (d[0] == 0)
		d++, n--;
	if (n > coordinate)
		return false;
	memset(out, 0, coordinate - n);
	memcpy(out + coordinate - n, d, n);
	return true;
}

bool sig_from_der(const unsigned char *der, size_t n, size_t coordinate, unsigned char *rs)
{
	const unsigned char *p = der, *end = der + n;
	if (n < 8 || n > DER_SIG_MOST || *p++ != 0x30)
		return false;
	if (*p == 0x81 && p[1] < 0x80)
		return false;
	if (*p == 0x81)
		p++;
	else if (*p >= 0x80)
		return false;
	size_t said = *p++;
	return said == (size_t)(end - p) && take_integer(&p, end, coordinate, rs) && take_integer(&p, end, coordinate, rs + coordinate) && p == end;
}
