#include "json.h"
#include <stdlib.h>

static void drop(void *v) { json_decref(v); }

json_t *json_own(struct arena *a, json_t *v)
{
	if (!v)
		abort();      /* jansson gives NULL only when memory is out */
	arena_defer(a, drop, v);
	return v;
}

/* jansson's own limit of 2048 levels is too deep for a thread's stack to be spent on strangers */
static bool too_deep(struct str s)
{
	int depth = 0;
	bool quoted = false;
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];
		if (quoted) {
			if (c == '\\') i++;
			else if (c == '"') quoted = false;
		} else if (c == '"') {
			quoted = true;
		} else if (c == '[' || c == '{') {
			if (++depth > JSON_MAX_DEPTH)
				return true;
		} else if (c == ']' || c == '}') {
			depth--;
		}
	}
	return false;
}

err json_read(struct arena *a, struct str text, json_t **out)
{
	if (text.n > JSON_MAX_SIZE)
		return fault(a, &TOO_LARGE, "JSON of %zu bytes", text.n);
	if (memchr(text.p ? text.p : "", 0, text.n))
		return fault(a, &INVALID_REQUEST, "JSON with a NUL byte");
	if (too_deep(text))
		return fault(a, &INVALID_REQUEST, "JSON more than %d deep", JSON_MAX_DEPTH);
	json_error_t e;
	json_t *v = json_loadb(text.p ? text.p : "", text.n, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &e);
	if (!v)
		return fault(a, &INVALID_REQUEST, "JSON: %s at byte %d", e.text, e.position);
	*out = json_own(a, v);
	return OK;
}

err json_read_object(struct arena *a, struct str text, json_t **out)
{
	TRY(json_read(a, text, out));
	return json_is_object(*out) ? OK : fault(a, &INVALID_REQUEST, "JSON, but not an object");
}

bool json_str(const json_t *o, const char *name, struct str *out)
{
	const json_t *v = json_object_get(o, name);
	if (!json_is_string(v))
		return false;
	*out = (struct str){ json_string_value(v), json_string_length(v) };
	return true;
}

bool json_int(const json_t *o, const char *name, int64_t *out)
{
	const json_t *v = json_object_get(o, name);
	if (!json_is_integer(v))
		return false;
	*out = json_integer_value(v);
	return true;
}

bool json_bool(const json_t *o, const char *name, bool *out)
{
	const json_t *v = json_object_get(o, name);
	if (!json_is_boolean(v))
		return false;
	*out = json_is_true(v);
	return true;
}

struct str json_text(const json_t *o, const char *name)
{
	struct str s = S("");
	json_str(o, name, &s);
	return s;
}

struct strs json_strs(struct arena *a, const json_t *o, const char *name)
{
	const json_t *v = json_object_get(o, name);
	if (json_is_string(v)) {
		struct str *one = make(a, struct str);
		*one = (struct str){ json_string_value(v), json_string_length(v) };
		return (struct strs){ one, 1 };
	}
	if (!json_is_array(v))
		return (struct strs){ 0 };
	struct strs l = { .v = make_n(a, struct str, json_array_size(v) + 1) };
	for (size_t i = 0; i < json_array_size(v); i++) {
		const json_t *s = json_array_get(v, i);
		if (!json_is_string(s))
			return (struct strs){ 0 };
		l.v[l.n++] = (struct str){ json_string_value(s), json_string_length(s) };
	}
	return l;
}

void json_put_str(json_t *o, const char *name, struct str v)
{
	if (v.n)
		json_object_set_new(o, name, json_stringn(v.p, v.n));
}

struct str json_dump(struct arena *a, const json_t *v)
{
	char *z = json_dumps(v, JSON_COMPACT | JSON_ENCODE_ANY);
	if (!z)
		abort();
	struct str s = str_dup(a, z, strlen(z));
	free(z);
	return s;
}

struct jw jw_new(struct arena *a, size_t max) { return (struct jw){ .b = buf_new(a, max < 1024 ? max : 1024, max) }; }

static void member(struct jw *w, const char *name)
{
	if (w->comma)
		buf_char(&w->b, ',');
	w->comma = true;
	if (name) {
		buf_json(&w->b, str_of(name));
		buf_char(&w->b, ':');
	}
}

static void open(struct jw *w, const char *name, char begin, char close)
{
	member(w, name);
	buf_char(&w->b, begin);
	if (w->depth == JSON_MAX_DEPTH)
		abort();
	w->close[w->depth++] = close;
	w->comma = false;
}

void jw_object(struct jw *w, const char *name) { open(w, name, '{', '}'); }
void jw_array(struct jw *w, const char *name) { open(w, name, '[', ']'); }

void jw_end(struct jw *w)
{
	if (!w->depth)
		abort();
	buf_char(&w->b, w->close[--w->depth]);
	w->comma = true;
}

void jw_str(struct jw *w, const char *name, struct str v) { member(w, name); buf_json(&w->b, v); }
void jw_opt(struct jw *w, const char *name, struct str v) { if (v.n) jw_str(w, name, v); }
void jw_int(struct jw *w, const char *name, int64_t v) { member(w, name); buf_fmt(&w->b, "%lld", (long long)v); }
void jw_bool(struct jw *w, const char *name, bool v) { member(w, name); buf_str(&w->b, v ? S("true") : S("false")); }
void jw_raw(struct jw *w, const char *name, struct str json) { member(w, name); buf_str(&w->b, json); }

void jw_strs(struct jw *w, const char *name, struct strs v)
{
	jw_array(w, name);
	for (size_t i = 0; i < v.n; i++)
		jw_str(w, NULL, v.v[i]);
	jw_end(w);
}

err jw_done(struct jw *w, struct str *out)
{
	while (w->depth)
		jw_end(w);
	return buf_done(&w->b, out);
}
