#include "rand.h"
#include "code.h"
#include <stdio.h>
#include <stdlib.h>
#include <openssl/rand.h>

void rand_fill(void *p, size_t n)
{
	if (RAND_priv_bytes(p, (int)n) != 1) {
		fputs("no randomness\n", stderr);
		abort();
	}
}

struct str rand_token(struct arena *a)
{
	unsigned char b[32];
	rand_fill(b, sizeof b);
	return b64url(a, (struct bytes){ b, sizeof b });
}

struct str rand_id(struct arena *a, int64_t now_ms)
{
	unsigned char b[16];
	rand_fill(b, sizeof b);
	for (int i = 0; i < 6; i++)
		b[i] = (unsigned char)((uint64_t)now_ms >> (40 - 8 * i));
	b[6] = (unsigned char)((b[6] & 0x0f) | 0x70);
	b[8] = (unsigned char)((b[8] & 0x3f) | 0x80);
	struct str h = hex(a, (struct bytes){ b, sizeof b });
	return str_fmt(a, "%.8s-%.4s-%.4s-%.4s-%.12s", h.p, h.p + 8, h.p + 12, h.p + 16, h.p + 20);
}
