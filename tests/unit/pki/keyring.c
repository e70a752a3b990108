#include "jose_t.h"
#include "keyring.h"

static struct signer *made(struct arena *a, const char *alg, const char *kid)
{
	struct signer *s;
	fine(signer_local_new(a, str_of(alg), str_of(kid), &s));
	return s;
}

TEST(the_newest_active_key_signs_the_next_is_published_and_the_old_one_verifies_until_it_retires)
{
	struct arena *a = arena_new();
	struct keyring *r;
	struct ring_key rows[] = {
		{ made(a, "ES256", "old"), 100, 200, 500 },
		{ made(a, "ES256", "now"), 300, 400, 0 },
		{ made(a, "EdDSA", "ed"), 100, 100, 0 },
		{ made(a, "ES256", "idle"), 100, 0, 0 },
	};
	fine(keyring_new(a, rows, 4, &r));
	assert_null(keyring_signer(r, S("ES256"), 199));
	assert_str(signer_kid(keyring_signer(r, S("ES256"), 200)), "old");
	assert_str(signer_kid(keyring_signer(r, S("ES256"), 399)), "old");
	assert_str(signer_kid(keyring_signer(r, S("ES256"), 400)), "now");
	assert_str(signer_kid(keyring_signer(r, S("EdDSA"), 400)), "ed");
	assert_null(keyring_signer(r, S("RS256"), 400));
	assert_non_null(keyring_key(r, S("old"), 499));
	assert_null(keyring_key(r, S("old"), 500));
	assert_null(keyring_key(r, S("OLD"), 400));
	assert_null(strstr(keyring_jwks(r, a, 299).p, "\"now\""));
	assert_non_null(strstr(keyring_jwks(r, a, 300).p, "\"now\""));
	assert_non_null(strstr(keyring_jwks(r, a, 499).p, "\"old\""));
	assert_null(strstr(keyring_jwks(r, a, 500).p, "\"old\""));
	keyring_drop(keyring_hold(r));
	keyring_drop(r);
	arena_free(a);
}

TEST(the_published_set_reads_back_and_holds_no_private_member)
{
	struct arena *a = arena_new();
	struct keyring *r;
	struct ring_key rows[] = { { made(a, "RS256", "r"), 1, 1, 0 }, { made(a, "PS256", "p"), 1, 1, 0 }, { made(a, "ES256", "e"), 1, 1, 0 }, { made(a, "EdDSA", "d"), 1, 1, 0 } };
	fine(keyring_new(a, rows, 4, &r));
	struct key_set s;
	json_t *jwks = t_json(a, keyring_jwks(r, a, 2).p);
	fine(key_set_read(a, jwks, &s));     /* refuses private members */
	assert_int_equal(s.n, 4);
	for (size_t i = 0; i < 4; i++) {
		const json_t *jwk = json_array_get(json_object_get(jwks, "keys"), i);
		assert_true(str_is(json_text(jwk, "use"), "sig"));
		assert_true(str_eq(json_text(jwk, "alg"), signer_alg(rows[i].signer)));
		assert_true(str_eq(key_thumbprint(s.v[i].key, a), key_thumbprint(keyring_key(r, s.v[i].kid, 2), a)));
	}
	keyring_drop(r);
	arena_free(a);
}

TEST(two_keys_of_one_name_are_refused)
{
	struct arena *a = arena_new();
	struct keyring *r;
	struct ring_key rows[] = { { made(a, "ES256", "k"), 1, 1, 0 }, { made(a, "EdDSA", "k"), 1, 1, 0 } };
	fails(keyring_new(a, rows, 2, &r), SERVER_ERROR);
	arena_free(a);
}

TEST(a_key_that_was_exported_signs_again_under_its_own_alg_only)
{
	struct arena *a = arena_new();
	static const char *const ALGS[] = { "RS256", "PS256", "ES256", "EdDSA" };
	for (size_t i = 0; i < 4; i++) {
		struct signer *s = t_signer(a, ALGS[i], "k"), *again, *none;
		struct bytes p8;
		unsigned char sig[512];
		size_t n;
		fine(signer_local_export(s, a, &p8));
		fine(signer_local_open(a, str_of(ALGS[i]), S("k"), p8, &again));
		assert_true(str_eq(signer_public_jwk(s), signer_public_jwk(again)));
		fine(signer_sign(again, a, str_bytes(S("x")), sig, &n));
		assert_true(key_verify(t_public(a, s), str_of(ALGS[i]), str_bytes(S("x")), (struct bytes){ sig, n }));
		signer_free(again);
		fails(signer_local_open(a, str_of(i < 2 ? "ES256" : "RS256"), S("k"), p8, &none), INVALID_REQUEST);
		fails(signer_local_open(a, str_of(ALGS[i]), S("k"), (struct bytes){ p8.p, p8.n - 1 }, &none), INVALID_REQUEST);
		fails(signer_local_open(a, str_of(ALGS[i]), S(""), p8, &none), INVALID_REQUEST);
	}
	arena_free(a);
}

TEST(keys_for_other_algs_are_not_made)
{
	struct arena *a = arena_new();
	struct signer *s;
	static const char *const ALGS[] = { "none", "HS256", "ES384", "RS1", "", "RS256 ES256" };
	for (size_t i = 0; i < sizeof ALGS / sizeof *ALGS; i++)
		fails(signer_local_new(a, str_of(ALGS[i]), S("k"), &s), INVALID_REQUEST);
	arena_free(a);
}
