#include "t.h"
#include "code.h"
#include "hash.h"

TEST(sha256_and_hmac_of_the_published_examples)
{
	struct arena *a = arena_new();
	unsigned char d[32], key[20];
	sha256("abc", 3, d);
	assert_str(hex(a, (struct bytes){ d, 32 }), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	memset(key, 0x0b, sizeof key);                                 /* RFC 4231 section 4.2 */
	hmac256((struct bytes){ key, sizeof key }, "Hi There", 8, d);
	assert_str(hex(a, (struct bytes){ d, 32 }), "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
	assert_str(hash_of(a, S("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk")), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"); /* RFC 7636 B */
	arena_free(a);
}

TEST(what_was_sealed_opens_only_under_its_own_name_and_key)
{
	struct arena *a = arena_new();
	struct secrets s, other;
	secrets_from((struct bytes){ (const unsigned char *)"0123456789abcdef0123456789abcdef", 32 }, &s);
	secrets_from((struct bytes){ (const unsigned char *)"0123456789abcdef0123456789abcdeX", 32 }, &other);
	struct str box = seal(a, s.seal, S("person:1:number"), S("001099000001")), open;
	assert_true(seal_open(a, s.seal, S("person:1:number"), box, &open));
	assert_str(open, "001099000001");
	assert_false(seal_open(a, s.seal, S("person:2:number"), box, &open));
	assert_false(seal_open(a, other.seal, S("person:1:number"), box, &open));
	assert_false(str_eq(box, seal(a, s.seal, S("person:1:number"), S("001099000001"))));
	for (size_t i = 0; i < box.n; i++) {
		struct str bent = str_copy(a, box);
		((char *)(uintptr_t)bent.p)[i] ^= 1;
		assert_false(seal_open(a, s.seal, S("person:1:number"), bent, &open));
	}
	assert_memory_not_equal(s.seal, s.find, 32);
	arena_free(a);
}
