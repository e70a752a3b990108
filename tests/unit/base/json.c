#include "t.h"
#include "json.h"
#include "file.h"
#include <dirent.h>

TEST(json_is_refused_when_it_is_ambiguous_or_bottomless)
{
	static const char *const BAD[] = { "", "{", "{\"a\":1,\"a\":2}", "{\"a\":\"\\u0000\"}", "[1]x", "{\"a\":1e999}",
		"[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]" };
	struct arena *a = arena_new();
	json_t *v;
	for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++)
		fails(json_read(a, str_of(BAD[i]), &v), INVALID_REQUEST);
	fails(json_read_object(a, S("[1]"), &v), INVALID_REQUEST);
	arena_free(a);
}

TEST(a_real_number_is_no_integer)
{
	struct arena *a = arena_new();
	json_t *v;
	int64_t n = 7;
	fine(json_read_object(a, S("{\"exp\":1.9,\"nbf\":\"5\",\"iat\":5}"), &v));
	assert_false(json_int(v, "exp", &n));
	assert_false(json_int(v, "nbf", &n));
	assert_int_equal(n, 7);
	assert_true(json_int(v, "iat", &n));
	arena_free(a);
}

TEST(an_empty_text_makes_no_member)
{
	struct arena *a = arena_new();
	json_t *o = json_own(a, json_object());
	json_put_str(o, "name", S("Lò Văn Đức"));
	json_put_str(o, "email", S(""));
	json_put_str(o, "phone", (struct str){ 0 });
	assert_string_equal(json_dump(a, o).p, "{\"name\":\"Lò Văn Đức\"}");
	arena_free(a);
}

TEST(what_the_writer_writes_the_reader_reads)
{
	struct arena *a = arena_new();
	struct jw w = jw_new(a, 4096);
	struct str s;
	json_t *v;
	jw_object(&w, NULL);
	jw_str(&w, "iss", S("https://id.example"));
	jw_int(&w, "exp", -5);
	jw_array(&w, "amr");
	jw_str(&w, NULL, S("sc"));
	jw_str(&w, NULL, S("p\"in"));
	jw_end(&w);
	jw_object(&w, "act");
	jw_bool(&w, "yes", true);
	jw_opt(&w, "none", S(""));
	fine(jw_done(&w, &s));
	assert_str(s, "{\"iss\":\"https://id.example\",\"exp\":-5,\"amr\":[\"sc\",\"p\\\"in\"],\"act\":{\"yes\":true}}");
	fine(json_read_object(a, s, &v));
	assert_int_equal(json_strs(a, v, "amr").n, 2);
	arena_free(a);
}

/* JSONTestSuite: y_ must be read, n_ must be refused. The exceptions are limits of ours, by name. */
static bool ours_to_refuse(const char *name)
{
	static const char *const WE_REFUSE[] = {
		"y_object_duplicated_key.json", "y_object_duplicated_key_and_value.json",     /* RFC 7493 section 2.3 */
		"y_string_null_escape.json", "y_object_escaped_null_in_key.json",              /* no NUL inside text */
	};
	for (size_t i = 0; i < sizeof WE_REFUSE / sizeof *WE_REFUSE; i++)
		if (strcmp(name, WE_REFUSE[i]) == 0)
			return true;
	return false;
}

TEST(the_json_test_suite_has_no_surprise)
{
	if (!t_corpora())
		skip();
	struct arena *a = arena_new();
	struct str dir = str_fmt(a, "%s/json-parsing/test_parsing", t_corpora());
	DIR *d = opendir(dir.p);
	assert_non_null(d);
	int seen = 0, wrong = 0;
	for (struct dirent *f; (f = readdir(d));) {
		if (f->d_name[0] != 'y' && f->d_name[0] != 'n')
			continue;
		struct str text;
		json_t *v;
		fine(file_read(a, str_fmt(a, "%s/%s", dir.p, f->d_name).p, 1 << 20, &text));
		bool read = !json_read(a, text, &v).kind;
		bool should = f->d_name[0] == 'y' && !ours_to_refuse(f->d_name);
		if (read != should) {
			print_message("%s: %s\n", f->d_name, read ? "accepted" : "refused");
			wrong++;
		}
		seen++;
	}
	closedir(d);
	assert_int_equal(wrong, 0);
	assert_true(seen > 250);
	arena_free(a);
}
