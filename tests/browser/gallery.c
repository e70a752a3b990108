/* gallery SAMPLES.json FOLDER [STRINGS.txt]: renders every sample in both languages, with the headers and the static files that a
 * browser would get, so that pages can be looked at without a server. With STRINGS, what is echoed is taken from them. */
#include "pages.h"
#include "json.h"
#include "house.h"
#include "settings.h"
#include "file.h"
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

static const struct { const char *name; const struct template *t; } TEMPLATES[] = {
	{ "choose", &TPL_choose }, { "sim", &TPL_sim }, { "sim_code", &TPL_sim_code }, { "sim_wait", &TPL_sim_wait }, { "sim_end", &TPL_sim_end },
	{ "token", &TPL_token }, { "tls_missing", &TPL_tls_missing }, { "consent", &TPL_consent }, { "device", &TPL_device }, { "device_end", &TPL_device_end }, { "account", &TPL_account },
	{ "logout_confirm", &TPL_logout_confirm }, { "logged_out", &TPL_logged_out }, { "signing_out", &TPL_signing_out }, { "form_post", &TPL_form_post }, { "error", &TPL_error },
	{ "notfound", &TPL_notfound }, { "home", &TPL_home },
};

static void must(err e)
{
	if (e.kind) {
		fprintf(stderr, "gallery: %s: %s\n", e.kind->code, e.why);
		exit(1);
	}
}

static void put(struct arena *a, const char *folder, struct str name, const char *ext, struct str text)
{
	struct str path = str_fmt(a, "%s/" STR_FMT "%s", folder, STR_ARG(name), ext);
	FILE *f = fopen(path.p, "wb");
	if (!f || fwrite(text.p, 1, text.n, f) != text.n || fclose(f) != 0) {
		perror(path.p);
		exit(1);
	}
}

static void put_answer(struct arena *a, const char *folder, struct str name, const struct res *rs)
{
	struct buf b = buf_new(a, 1024, 16384);
	struct str headers;
	buf_fmt(&b, "Content-Type: " STR_FMT "\n", STR_ARG(rs->type));
	for (size_t i = 0; i < rs->headers.n; i++) {
		buf_str(&b, rs->headers.v[i].name);
		buf_str(&b, S(": "));
		buf_str(&b, rs->headers.v[i].value);
		buf_char(&b, '\n');
	}
	must(buf_done(&b, &headers));
	put(a, folder, name, "", rs->body);
	put(a, folder, name, ".headers", headers);
}

/* "@name" stands for a shared value; "+": "@name" adds the members of one. */
static json_t *filled(json_t *v, const json_t *shared)
{
	const char *name;
	json_t *m;
	size_t i;
	void *tmp;
	if (json_is_string(v) && json_string_value(v)[0] == '@') {
		json_t *copy = json_deep_copy(json_object_get(shared, json_string_value(v) + 1));
		json_decref(v);
		return filled(copy, shared);
	}
	json_object_foreach_safe(v, tmp, name, m)
		json_object_set_new(v, name, filled(json_incref(m), shared));
	json_array_foreach(v, i, m)
		json_array_set_new(v, i, filled(json_incref(m), shared));
	m = json_object_get(v, "+");
	if (m) {
		json_object_update_missing(v, m);
		json_object_del(v, "+");
	}
	return v;
}

/* What only chooses among our own words keeps its meaning; all else is what a stranger might have sent. */
static json_t *spoiled(json_t *v, const char *name, const struct strs *strings, size_t *next)
{
	const char *key;
	json_t *m;
	size_t i;
	void *tmp;
	if (json_is_string(v)) {
		struct str s = strings->v[(*next)++ % strings->n];
		json_decref(v);
		return json_stringn_nocheck(s.p, s.n);
	}
	json_object_foreach_safe(v, tmp, key, m)
		json_object_set_new(v, key, spoiled(json_incref(m), key, strings, next));
	json_array_foreach(v, i, m)
		json_array_set_new(v, i, spoiled(json_incref(m), name, strings, next));
	return v;
}

static void render(struct arena *a, const struct template *t, const char *folder, struct str name, const char *lang, json_t *data)
{
	static const struct settings conf = { .name = { "Xác thực tỉnh Hòa Bình", sizeof "Xác thực tỉnh Hòa Bình" - 1 } };
	static struct house house = { .conf = &conf, .origin = { "https://id.tinh.example", 23 } };
	struct req rq = { .a = a, .house = &house, .method = S("GET"), .target = S("/login?i=a1&x=b%20c"), .path = S("/login"), .lang = str_of(lang),
	                  .id = S("7Q2M-4KD9") };
	struct res rs = { 0 };
	struct str helper = json_text(data, "helper");
	if (helper.n && str_starts(helper, S("http://127.0.0.1:")))
		rs.connect = helper;
	must(page(&rq, &rs, 200, t, data));
	put_answer(a, folder, str_fmt(a, STR_FMT ".%s.html", STR_ARG(name), lang), &rs);
}

static void render_all(struct arena *a, json_t *samples, const char *folder, struct strs strings)
{
	json_t *shared = json_object_get(samples, "@"), *data;
	const char *name;
	for (size_t i = 0; i < sizeof TEMPLATES / sizeof *TEMPLATES; i++)
		json_object_foreach(json_object_get(samples, TEMPLATES[i].name), name, data) {
			data = filled(json_own(a, json_deep_copy(data)), shared);
			if (!strings.n) {
				render(a, TEMPLATES[i].t, folder, str_of(name), "vi", data);
				render(a, TEMPLATES[i].t, folder, str_of(name), "en", data);
			}
			/* each string reaches each member of the page once */
			for (size_t round = 0; round < strings.n; round++) {
				size_t next = round;
				json_t *bad = spoiled(json_own(a, json_deep_copy(data)), NULL, &strings, &next);
				render(a, TEMPLATES[i].t, folder, str_fmt(a, "%s-%zu", name, round), "vi", bad);
			}
		}
}

static void statics(struct arena *a, const char *folder)
{
	static const char *const NAMES[] = { "style.css", "emblem.svg", "page.js", "wait.js", "token.js", "webeid.js", "post.js" };
	mkdir(str_fmt(a, "%s/static", folder).p, 0755);
	for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++) {
		struct req rq = { .a = a, .method = S("GET"), .path = static_url(NAMES[i]) };
		struct res rs = { 0 };
		must(WEB_ROUTES[0].handle(&rq, &rs));
		put_answer(a, folder, str_from(a, rq.path, 1), &rs);
	}
}

/* A few of the strings at a time, so that a browser is done in a minute: no string of theirs closes what another opened,
 * for every one of them is escaped byte by byte. */
static struct strs strings_load(struct arena *a, const char *path)
{
	enum { TOGETHER = 24 };
	struct strs out = { make_n(a, struct str, 256), 0 };
	static char line[65536];
	FILE *f = fopen(path, "rb");
	struct buf b = buf_new(a, 4096, 1 << 20);
	for (int n = 0; f && out.n < 256 && fgets(line, sizeof line, f);) {
		if (line[0] == '#' || line[0] == '\n' || !str_utf8(str_of(line)))
			continue;
		buf_str(&b, str_of(line));
		if (++n % TOGETHER == 0) {
			must(buf_done(&b, &out.v[out.n++]));
			b = buf_new(a, 4096, 1 << 20);
		}
	}
	if (!f || fclose(f) != 0 || (b.n && out.n < 256))
		must(buf_done(&b, &out.v[out.n++]));
	return out;
}

int main(int argc, char **argv)
{
	struct arena *a = arena_new();
	json_error_t at;
	if (argc < 3)
		return fprintf(stderr, "gallery SAMPLES.json FOLDER [STRINGS.txt]\n"), 2;
	json_t *samples = json_load_file(argv[1], JSON_REJECT_DUPLICATES, &at);
	if (!samples)
		return fprintf(stderr, "%s:%d: %s\n", argv[1], at.line, at.text), 1;
	json_own(a, samples);
	mkdir(argv[2], 0755);
	statics(a, argv[2]);
	render_all(a, samples, argv[2], argc > 3 ? strings_load(a, argv[3]) : (struct strs){ 0 });
	arena_free(a);
	return 0;
}
