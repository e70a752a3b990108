#include "corpus.h"
#include "status.h"
#include "trust.h"
#include <stdlib.h>
#include <time.h>
#include <jansson.h>

/* Paths of x509-limbo, judged as sign-in certificates. What is only about a host's name, and a limit that each
 * case sets for itself, is no question of ours and is left out. */

static bool about_host_names(const char *id)
{
	static const char *const PART[] = { "webpki::san::", "webpki::cn::", "rfc5280::san::", "ca-as-leaf-wrong-san" };
	for (size_t i = 0; i < sizeof PART / sizeof *PART; i++)
		if (strstr(id, PART[i]))
			return true;
	return false;
}

static bool read_one(struct arena *a, const char *pem, struct cert *c)
{
	size_t n;
	return pem && !cert_read_pem_or_der(a, str_bytes(str_of(pem)), c, 1, &n).kind;
}

static epoch time_of(const json_t *t)
{
	const char *z = json_string_value(json_object_get(t, "validation_time"));
	struct tm tm = { 0 };
	if (!z)
		return 1790000000;
	assert_non_null(strptime(z, "%Y-%m-%dT%H:%M:%S", &tm));
	return timegm(&tm);
}

static const char *judge_lists(struct arena *a, const json_t *t, const struct cert *leaf, const struct cert *issuer)
{
	size_t i;
	const json_t *v;
	json_array_foreach(json_object_get(t, "crls"), i, v) {
		struct crl *c;
		struct str why;
		struct status_answer o;
		fine(crl_read(a, str_bytes(str_of(json_string_value(v))), issuer, time_of(t), &c, &why));
		crl_look(c, a, leaf, time_of(t), &o);
		crl_free(c);
		if (!c && str_is(why, "the list is of another issuer"))
			continue;
		if (o.status != STATUS_GOOD)
			return o.why.n ? o.why.p : "revoked";
	}
	return NULL;
}

static const char *judge(struct arena *a, const json_t *t)
{
	struct anchor an[8] = { 0 };
	struct bytes extra[256];
	struct cert leaf, c, issuer;
	size_t n = 0, i;
	struct str use = S("1.3.6.1.5.5.7.3.1");
	if (strcmp(json_string_value(json_object_get(t, "validation_kind")), "CLIENT") == 0)
		use = S("1.3.6.1.5.5.7.3.2");
	const json_t *v;
	json_array_foreach(json_object_get(t, "trusted_certs"), i, v) {
		assert_true(n < 8);
		if (!read_one(a, json_string_value(v), &c))
			continue;
		struct anchor row = { .cert = c, .name = S("limbo"), .purposes = S("token"), .intermediate = !str_eq(c.subject, c.issuer), .ekus = { &use, 1 } };
		struct trust *probe;
		if (trust_new(a, &row, 1, &probe).kind)
			continue;
		trust_drop(probe);
		an[n++] = row;
	}
	size_t nextra = 0;
	json_array_foreach(json_object_get(t, "untrusted_intermediates"), i, v) {
		if (!read_one(a, json_string_value(v), &c))
			return "an extra certificate cannot be read";
		extra[nextra++] = c.der;
	}
	if (!read_one(a, json_string_value(json_object_get(t, "peer_certificate")), &leaf))
		return "the leaf cannot be read";
	struct trust *trust;
	const struct anchor *found;
	fine(trust_new(a, an, n, &trust));
	err e = trust_path(trust, a, &leaf, extra, nextra, S("token"), time_of(t), &issuer, &found);
	const char *why = e.kind ? e.why : judge_lists(a, t, &leaf, &issuer);
	trust_drop(trust);
	return why;
}

TEST(limbo_s_paths_are_believed_only_when_they_should_be)
{
	needs_corpora();
	struct arena *a = arena_new();
	struct corpus c = corpus_new(a, "x509-limbo", EXCEPT);
	json_error_t e;
	json_t *all = json_load_file(str_fmt(a, "%s/x509-limbo/limbo.json", t_corpora()).p, 0, &e), *t;
	assert_non_null(all);
	size_t i, cases = 0;
	json_array_foreach(json_object_get(all, "testcases"), i, t) {
		const char *id = json_string_value(json_object_get(t, "id"));
		if (about_host_names(id) || !json_is_null(json_object_get(t, "max_chain_depth")))
			continue;
		const char *why = judge(a, t);
		corpus_case(&c, id, !why, strcmp(json_string_value(json_object_get(t, "expected_result")), "SUCCESS") == 0, why);
		cases++;
	}
	assert_true(cases > 140);
	corpus_end(&c, cases);
	json_decref(all);
	arena_free(a);
}
