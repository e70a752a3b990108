#include "proof.h"
#include <stdlib.h>

static void must(bool so)
{
	if (!so)
		abort();
}

/* Whatever is taken as a proof says what it must, and says it again. */
static void as_proof(struct arena *a, struct str text)
{
	struct proof p, again;
	if (proof_read(a, NULL, text, S("ES256 PS256 EdDSA"), &p).kind)
		return;
	must(p.jkt.n == 43 && p.jti.n && p.htm.n && p.htu.n);
	must(!proof_read(a, NULL, text, S("ES256 PS256 EdDSA"), &again).kind && str_eq(p.jkt, again.jkt) && str_eq(p.jti, again.jti) && p.iat == again.iat);
	must(proof_read(a, NULL, text, S("RS256"), &again).kind != NULL);
}

/* Two names of a place are two names of it in either order; only one that has our host in its authority is ours. */
static void as_place(struct arena *a, struct str text)
{
	static const struct str OURS = S("https://id.example/token");
	bool same = place_same(text, OURS);
	must(same == place_same(OURS, text));
	if (same) {
		must(str_starts(str_lower(a, text), S("https://id.example")));
		must(place_same(str_fmt(a, "%s?more#still", text.p), OURS));
	}
}

int LLVMFuzzerTestOneInput(const unsigned char *p, size_t n);

int LLVMFuzzerTestOneInput(const unsigned char *p, size_t n)
{
	struct arena *a = arena_new();
	struct str text = str_dup(a, (const char *)p, n);
	as_proof(a, text);
	if (!memchr(p, 0, n))
		as_place(a, text);
	arena_free(a);
	return 0;
}
