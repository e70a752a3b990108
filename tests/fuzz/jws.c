#include "code.h"
#include "jws.h"
#include <stdlib.h>

/* Its private half was thrown away: no input can be signed by it. */
static const char JWK[] = "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"ajjJXMzdnF-OJR-hbDDqxNt2E6qzv-WVuIWxKWpXzl0\"}";

static void must(bool so)
{
	if (!so)
		abort();
}

/* A key may come in as JSON too: whatever is taken must come out again as a key with the same thumbprint. */
static void as_key(struct arena *a, struct str text)
{
	json_t *v;
	struct key *k, *again;
	struct key_set set;
	if (json_read(a, text, &v).kind)
		return;
	err ignored = key_set_read(a, v, &set);
	(void)ignored;
	if (key_from_jwk(a, v, &k).kind)
		return;
	must(!key_from_spki(a, key_spki(k, a), &again).kind);
	must(str_eq(key_thumbprint(k, a), key_thumbprint(again, a)));
	key_drop(k);
	key_drop(again);
}

int LLVMFuzzerTestOneInput(const unsigned char *p, size_t n);

int LLVMFuzzerTestOneInput(const unsigned char *p, size_t n)
{
	struct arena *a = arena_new();
	struct str text = str_dup(a, (const char *)p, n);
	struct jws t;
	json_t *jwk, *claims;
	struct key *k = NULL;
	if (!jws_read(a, text, &t).kind) {
		/* one spelling: what was read, written again, is what came in */
		struct str again = str_fmt(a, "%.*s.%s", (int)t.signing_input.n, t.signing_input.p, b64url(a, t.signature).p);
		must(str_eq(again, text));
		must(!json_read_object(a, str_of(JWK), &jwk).kind && !key_from_jwk(a, jwk, &k).kind);
		must(!key_verify(k, t.alg, str_bytes(t.signing_input), t.signature));
		must(jws_verify(a, text, k, S("EdDSA ES256 RS256"), S(""), &claims).kind != NULL);
		key_drop(k);
	}
	as_key(a, text);
	arena_free(a);
	return 0;
}
