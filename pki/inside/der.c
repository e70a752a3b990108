#include "der.h"

enum { DEPTH_MAX = 32, CONSTRUCTED = 0x20, HIGH_TAG = 0x1f };

static bool length(struct bytes *in, size_t *n)
{
	if (in->n == 0)
		return false;
	unsigned char first = *in->p++;
	in->n--;
	*n = first;
	if (first < 0x80)
		return true;
	size_t more = first & 0x7f;
	if (more == 0 || more > 4 || more > in->n || in->p[0] == 0)
		return false;
	*n = 0;
	for (size_t i = 0; i < more; i++)
		*n = *n << 8 | in->p[i];
	in->p += more;
	in->n -= more;
	return *n >= 0x80;
}

bool der_next(struct bytes *in, struct tlv *out)
{
	struct bytes rest = *in;
	size_t n;
	if (rest.n < 2 || (rest.p[0] & HIGH_TAG) == HIGH_TAG)
		return false;
	out->tag = *rest.p++;
	rest.n--;
	if (!length(&rest, &n) || n > rest.n)
		return false;
	out->body = (struct bytes){ rest.p, n };
	out->whole = (struct bytes){ in->p, (size_t)(rest.p - in->p) + n };
	in->p += out->whole.n;
	in->n -= out->whole.n;
	return true;
}

bool der_take(struct bytes *in, unsigned char tag, struct tlv *out)
{
	return in->n && in->p[0] == tag && der_next(in, out);
}

static bool strict(struct bytes in, int depth)
{
	struct tlv t;
	while (in.n) {
		if (!der_next(&in, &t))
			return false;
		if ((t.tag & CONSTRUCTED) && (depth == 0 || !strict(t.body, depth - 1)))
			return false;
	}
	return true;
}

bool der_strict(struct bytes whole)
{
	struct bytes rest = whole;
	struct tlv t;
	return der_next(&rest, &t) && rest.n == 0 && strict(whole, DEPTH_MAX);
}
