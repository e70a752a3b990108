#include "jwe.h"
#include <stdlib.h>

static void must(bool so)
{
	if (!so)
		abort();
}

/* No set that was taken holds a private half, and whatever of it is called a key is one. */
static void check(struct arena *a, const json_t *v, const struct key_set *s)
{
	static const char *const PRIVATE[] = { "d", "p", "q", "dp", "dq", "qi", "oth", "k" };
	json_t *jwk;
	size_t i;
	json_array_foreach(json_object_get(v, "keys"), i, jwk)
		for (size_t k = 0; k < sizeof PRIVATE / sizeof *PRIVATE; k++)
			must(!json_object_get(jwk, PRIVATE[k]));
	must(s->n + s->nto <= 2 * json_array_size(json_object_get(v, "keys")));
	for (i = 0; i < s->n; i++) {
		must(key_thumbprint(s->v[i].key, a).n == 43);
		must(str_empty(s->v[i].kid) || key_set_find(s, s->v[i].kid, S("")) == s->v[i].key);
	}
	for (const struct str *alg = jwe_algs(); alg->n; alg++) {
		const struct jwe_key *to = jwe_key_for(s, *alg);
		struct str token;
		must(!to || !jwe_encrypt(a, to, *alg, S("A256GCM"), S(""), S("hello"), &token).kind);
	}
}

int LLVMFuzzerTestOneInput(const unsigned char *p, size_t n);

int LLVMFuzzerTestOneInput(const unsigned char *p, size_t n)
{
	struct arena *a = arena_new();
	json_t *v;
	struct key_set s;
	if (!json_read(a, str_dup(a, (const char *)p, n), &v).kind && !key_set_read(a, v, &s).kind)
		check(a, v, &s);
	arena_free(a);
	return 0;
}
