#include "jose_t.h"
#include "code.h"
#include "file.h"
#include "jws.h"
#include <stdio.h>

/* Every vector of Wycheproof that speaks of a JWA algorithm, through the door that tokens take. What is right for RSASSA-PSS in general
 * may be wrong for JWA, which fixes salt and mask: such a vector must be refused. An exception is named with its reason, and when it is
 * none any more that fails too. */
struct exception { const char *file; int id; const char *why; bool met; };
static struct exception exceptions[] = {
	{ "rsa_pss_2048_sha256_mgf1_0_test.json", 69, "wrong for a salt of 0 bytes, right for JWA's 32", false },
	{ NULL, 0, NULL, false },
};

static struct { size_t right, wrong, not_ours; } tally;

static struct exception *excepted(const char *file, int64_t id)
{
	for (struct exception *e = exceptions; e->file; e++)
		if (strcmp(e->file, file) == 0 && e->id == id)
			return e;
	return NULL;
}

static void count(const char *file, const json_t *test, bool accepted, bool valid)
{
	int64_t id = 0;
	json_int(test, "tcId", &id);
	struct exception *e = excepted(file, id);
	if (e)
		e->met = true;
	if ((accepted == valid) == !e) {
		tally.right++;
		return;
	}
	tally.wrong++;
	printf("%s %lld: %s, %s (%s)%s\n", file, (long long)id, accepted ? "accepted" : "refused", json_text(test, "result").p,
	       json_text(test, "comment").p, e ? ", though it is listed as an exception" : "");
}

static json_t *load(struct arena *a, const char *file)
{
	/* larger than anything that json_read takes: these are not a stranger's */
	return json_own(a, json_load_file(str_fmt(a, "%s/wycheproof/%s", t_corpora(), file).p, 0, NULL));
}

static struct bytes unhex(struct arena *a, const json_t *o, const char *name)
{
	struct bytes b = { 0 };
	assert_true(hex_read(a, json_text(o, name), &b));
	return b;
}

static const char *suffix_of(struct str sha)
{
	return str_is(sha, "SHA-256") ? "256" : str_is(sha, "SHA-384") ? "384" : str_is(sha, "SHA-512") ? "512" : NULL;
}

/* The JWA name of a group, "" when there is none. */
static struct str alg_of(struct arena *a, const json_t *group)
{
	struct str type = json_text(group, "type");
	const char *bits = suffix_of(json_text(group, "sha"));
	if (str_is(type, "EddsaVerify"))
		return S("EdDSA");
	if (!bits)
		return S("");
	if (str_is(type, "EcdsaP1363Verify"))
		return str_fmt(a, "ES%s", bits);
	return str_fmt(a, "%s%s", str_is(type, "RsassaPkcs1Verify") ? "RS" : "PS", bits);
}

static bool jwa_pss(const json_t *group)
{
	int64_t salt = -1;
	const char *bits = suffix_of(json_text(group, "sha"));
	if (!str_starts(json_text(group, "type"), S("RsassaPss")))
		return true;
	return json_int(group, "sLen", &salt) && bits && salt * 8 == atoi(bits) && str_eq(json_text(group, "sha"), json_text(group, "mgfSha"));
}

static struct str short_number(struct arena *a, const json_t *key, const char *name)
{
	struct bytes b = unhex(a, key, name);
	while (b.n && *b.p == 0)
		b.p++, b.n--;
	return b64url(a, b);
}

/* The group's key: from its JWK where it has one, else from its numbers, else from its SPKI. NULL: refused. */
static struct key *key_of(struct arena *a, const json_t *group)
{
	struct key *k = NULL;
	const json_t *numbers = json_object_get(group, "publicKey"), *jwk = json_object_get(group, "publicKeyJwk");
	err e;
	if (json_object_get(numbers, "modulus"))
		e = key_from_jwk(a, json_own(a, json_pack("{ssssss}", "kty", "RSA", "n", short_number(a, numbers, "modulus").p,
			"e", short_number(a, numbers, "publicExponent").p)), &k);
	else if (jwk)
		e = key_from_jwk(a, jwk, &k);
	else
		e = key_from_spki(a, unhex(a, group, "publicKeyDer"), &k);
	if (e.kind)
		return NULL;
	arena_defer(a, key_drop_later, k);
	return k;
}

static void run_signatures(const char *file, size_t least)
{
	struct arena *a = arena_new();
	json_t *groups = json_object_get(load(a, file), "testGroups"), *group, *test;
	size_t i, j, ran = 0;
	json_array_foreach(groups, i, group) {
		struct str alg = alg_of(a, group);
		struct key *k = key_of(a, group), *pss;
		/* a key that is restricted to RSASSA-PSS (RFC 4055) says so in its SPKI: not taken, its numbers are */
		if (str_is(json_text(group, "type"), "RsassaPssWithParametersVerify"))
			fails(key_from_spki(a, unhex(a, group, "publicKeyDer"), &pss), INVALID_REQUEST);
		json_array_foreach(json_object_get(group, "tests"), j, test) {
			if (str_empty(alg) || !k) {
				tally.not_ours++;
				continue;
			}
			bool accepted = key_verify(k, alg, unhex(a, test, "msg"), unhex(a, test, "sig"));
			/* "acceptable": a DigestInfo without NULL; RFC 8017 appendix A.2.4 says that it is written with one */
			count(file, test, accepted, str_is(json_text(test, "result"), "valid") && jwa_pss(group));
			ran++;
		}
	}
	if (ran < least)
		fail_msg("%s: %zu vectors ran, not %zu", file, ran, least);
	arena_free(a);
}

TEST(no_bare_signature_of_wycheproof_is_judged_wrongly)
{
	/* how many of each file speak of a JWA algorithm and of a key that we take */
	static const struct { const char *file; size_t least; } FILES[] = {
		{ "ecdsa_secp256r1_sha256_p1363_test.json", 262 }, { "ecdsa_secp384r1_sha384_p1363_test.json", 280 }, { "ecdsa_secp521r1_sha512_p1363_test.json", 318 },
		{ "ed25519_test.json", 151 },
		{ "rsa_signature_2048_sha256_test.json", 259 }, { "rsa_signature_2048_sha384_test.json", 258 }, { "rsa_signature_2048_sha512_test.json", 259 },
		{ "rsa_signature_3072_sha256_test.json", 259 }, { "rsa_signature_3072_sha384_test.json", 259 }, { "rsa_signature_4096_sha256_test.json", 258 },
		{ "rsa_signature_4096_sha512_test.json", 259 },
		{ "rsa_pss_2048_sha256_mgf1_0_test.json", 103 }, { "rsa_pss_2048_sha256_mgf1_32_test.json", 108 }, { "rsa_pss_2048_sha256_mgf1_32_params_test.json", 108 },
		{ "rsa_pss_2048_sha384_mgf1_48_test.json", 141 }, { "rsa_pss_3072_sha256_mgf1_32_test.json", 108 }, { "rsa_pss_3072_sha256_mgf1_32_params_test.json", 108 },
		{ "rsa_pss_4096_sha384_mgf1_48_test.json", 141 }, { "rsa_pss_4096_sha512_mgf1_64_test.json", 179 }, { "rsa_pss_misc_test.json", 0 },
		{ "rsa_pss_misc_params_test.json", 0 },
	};
	if (!t_corpora())
		skip();
	tally.right = tally.wrong = tally.not_ours = 0;
	for (size_t i = 0; i < sizeof FILES / sizeof *FILES; i++)
		run_signatures(FILES[i].file, FILES[i].least);
	printf("%zu right, %zu wrong, %zu of other algorithms\n", tally.right, tally.wrong, tally.not_ours);
	for (struct exception *e = exceptions; e->file; e++)
		assert_true(e->met);
	assert_int_equal(tally.wrong, 0);
}

/* Whether a token verifies with a JWK, by the way that a client's assertion takes. */
static bool token_verifies(struct arena *a, const json_t *jwk, struct str token)
{
	struct key_set set;
	struct jws t;
	json_t *jwks = json_own(a, json_object_get(jwk, "keys") ? json_incref((json_t *)(uintptr_t)jwk) : json_pack("{s[O]}", "keys", jwk));
	if (jws_read(a, token, &t).kind || key_set_read(a, jwks, &set).kind)
		return false;
	struct key *k = key_set_find(&set, t.kid, t.alg);
	if (!k)
		k = key_set_find(&set, S(""), t.alg);
	return k && key_verify(k, t.alg, str_bytes(t.signing_input), t.signature);
}

/* A group is {"public": JWK or JWK Set, "private": the same}; symmetric groups have no public half: none of their tokens may pass. */
static void run_tokens(const char *file)
{
	struct arena *a = arena_new();
	json_t *groups = json_object_get(load(a, file), "testGroups"), *group, *test;
	size_t i, j;
	json_array_foreach(groups, i, group) {
		const json_t *jwk = json_object_get(group, "public");
		bool symmetric = !jwk || str_is(json_text(jwk, "kty"), "oct");
		json_array_foreach(json_object_get(group, "tests"), j, test) {
			struct str token = json_text(test, "jws");
			bool accepted = token_verifies(a, symmetric ? json_object_get(group, "private") : jwk, token);
			count(file, test, accepted, !symmetric && str_is(json_text(test, "result"), "valid"));
		}
	}
	arena_free(a);
}

TEST(no_token_of_wycheproof_is_judged_wrongly)
{
	static const char *const FILES[] = { "json_web_signature_test.json", "json_web_key_test.json" };
	struct arena *a = arena_new();
	tally.right = tally.wrong = 0;
	for (size_t i = 0; t_corpora() && i < 2; i++) {
		struct str path = str_fmt(a, "%s/wycheproof/%s", t_corpora(), FILES[i]);
		FILE *f = fopen(path.p, "r");
		if (!f)
			continue;
		fclose(f);
		run_tokens(FILES[i]);
	}
	arena_free(a);
	if (tally.right + tally.wrong == 0)
		skip();
	printf("%zu right, %zu wrong\n", tally.right, tally.wrong);
	assert_int_equal(tally.wrong, 0);
}
