#include "corpus.h"
#include "code.h"
#include "signature.h"
#include <stdlib.h>
#include <jansson.h>

static json_t *load(struct arena *a, const char *name)
{
	json_error_t e;
	json_t *v = json_load_file(str_fmt(a, "%s/signatures/%s", t_corpora(), name).p, JSON_REJECT_DUPLICATES, &e);
	assert_non_null(v);
	return v;
}

static const char *text(const json_t *o, const char *name)
{
	const char *z = json_string_value(json_object_get(o, name));
	assert_non_null(z);
	return z;
}

static struct bytes b64_bytes(struct arena *a, const char *z)
{
	struct bytes b;
	assert_true(b64_read(a, str_of(z), &b));
	return b;
}

TEST(published_web_eid_tokens_verify_and_their_twins_do_not)
{
	needs_corpora();
	struct arena *a = arena_new();
	json_t *all = load(a, "webeid_tokens.json"), *t;
	size_t i;
	json_array_foreach(all, i, t) {
		char *dump = json_dumps(json_object_get(t, "token"), JSON_COMPACT);
		struct str token = str_of(dump), origin = str_of(text(t, "origin")), nonce = str_of(text(t, "nonce"));
		struct webeid w;
		fine(webeid_verify(a, NULL, token, origin, nonce, &w));
		assert_str(w.algorithm, text(t, "name"));
		fails(webeid_verify(a, NULL, token, str_fmt(a, "%s/", origin.p), nonce, &w), SIGNATURE_WRONG);
		fails(webeid_verify(a, NULL, token, origin, str_fmt(a, "%s1", nonce.p), &w), SIGNATURE_WRONG);
		free(dump);
	}
	assert_true(i >= 2);
	json_decref(all);
	arena_free(a);
}

TEST(published_mobile_id_signatures_verify_and_their_twins_do_not)
{
	needs_corpora();
	struct arena *a = arena_new();
	json_t *all = load(a, "mid_raw_signatures.json"), *t;
	size_t i;
	json_array_foreach(all, i, t) {
		struct cert c;
		fine(cert_read(a, b64_bytes(a, text(t, "cert")), &c));
		struct bytes hash = b64_bytes(a, text(t, "hash_b64")), sig = b64_bytes(a, text(t, "signature_b64"));
		fine(signature_raw(a, &c, hash, sig));
		unsigned char *p = (unsigned char *)(uintptr_t)hash.p;
		p[0] ^= 1;
		fails(signature_raw(a, &c, hash, sig), SIGNATURE_WRONG);
		assert_str(c.key_text, "P-256");
	}
	assert_int_equal(i, 4);
	json_decref(all);
	arena_free(a);
}

TEST(verification_codes_are_as_published)
{
	needs_corpora();
	struct arena *a = arena_new();
	struct bytes table = corpus_file(a, "signatures", "verification_codes.tsv");
	char *rest = (char *)(uintptr_t)str_dup(a, (const char *)table.p, table.n).p, *line;
	size_t n = 0;
	while ((line = strsep(&rest, "\n"))) {
		char *scheme = strsep(&line, "\t"), *in = strsep(&line, "\t"), *code = strsep(&line, "\t\r");
		struct bytes b;
		if (!code || !hex_read(a, str_of(in), &b))
			continue;
		assert_str(strcmp(scheme, "mid-rest") == 0 ? code_mid(a, b) : code_vn(a, b), code);
		n++;
	}
	assert_int_equal(n, 6);
	arena_free(a);
}
