#include "conf.h"
#include "file.h"
#include <stdio.h>

struct at { struct arena *a; const char *path; int line; };

#define WRONG(at, ...) wrong_at(at, str_fmt((at)->a, __VA_ARGS__))

static err wrong_at(const struct at *at, struct str what)
{
	if (at->line)
		return fault(at->a, &BAD_CONFIG, "%s:%d: %s", at->path, at->line, what.p);
	return fault(at->a, &BAD_CONFIG, "%s: %s", at->path, what.p);
}

static size_t distance(const char *a, const char *b)
{
	size_t n = strlen(b), row[64];
	if (n >= 64)
		return 64;
	for (size_t j = 0; j <= n; j++)
		row[j] = j;
	for (size_t i = 0; a[i]; i++) {
		size_t diagonal = row[0];
		row[0] = i + 1;
		for (size_t j = 0; j < n; j++) {
			size_t up = row[j + 1], best = diagonal + (a[i] != b[j]);
			if (up + 1 < best) best = up + 1;
			if (row[j] + 1 < best) best = row[j] + 1;
			diagonal = up;
			row[j + 1] = best;
		}
	}
	return row[n];
}

const char *nearest_name(const char *given, const char *const *names, size_t n)
{
	const char *best = NULL;
	size_t least = (strlen(given) + 1) / 2 + 1;
	for (size_t i = 0; i < n; i++) {
		size_t d = distance(given, names[i]);
		if (d < least)
			least = d, best = names[i];
	}
	return best;
}

static struct str did_you_mean(struct arena *a, const char *given, const char *const *names, size_t n)
{
	const char *near = nearest_name(given, names, n);
	return near ? str_fmt(a, "; did you mean '%s'?", near) : S("");
}

static bool loopback(struct str v)
{
	static const struct str HOSTS[] = { S("http://localhost"), S("http://127.0.0.1"), S("http://[::1]") };
	for (size_t i = 0; i < sizeof HOSTS / sizeof *HOSTS; i++)
		if (str_starts(v, HOSTS[i]) && (v.n == HOSTS[i].n || v.p[HOSTS[i].n] == ':' || v.p[HOSTS[i].n] == '/'))
			return true;
	return false;
}

static err set_url(const struct at *at, const struct setting *s, struct str v, struct str *field)
{
	if (!str_starts(v, S("https://")) && !loopback(v))
		return WRONG(at, "%s must be an https:// URL, is '%s'", s->key, v.p);
	if (memchr(v.p, '#', v.n) || str_ends(v, S("/")) || !str_printable(v) || memchr(v.p, ' ', v.n))
		return WRONG(at, "%s must be a URL without fragment, spaces or trailing slash, is '%s'", s->key, v.p);
	*field = v;
	return OK;
}

static err set_seconds(const struct at *at, const struct setting *s, struct str v, int64_t *field)
{
	static const struct { char letter; int64_t seconds; } UNITS[] = { { 's', 1 }, { 'm', 60 }, { 'h', 3600 }, { 'd', 86400 } };
	struct str digits = v;
	int64_t unit = 1, n;
	for (size_t i = 0; i < sizeof UNITS / sizeof *UNITS; i++)
		if (v.n > 1 && v.p[v.n - 1] == UNITS[i].letter)
			unit = UNITS[i].seconds, digits.n = v.n - 1;
	if (!str_int(digits, 0, INT64_C(100000000), &n) || n * unit < s->least || n * unit > s->most)
		return WRONG(at, "%s must be %lld to %lld seconds (or 15m, 8h, 30d), is '%s'", s->key, (long long)s->least, (long long)s->most, v.p);
	*field = n * unit;
	return OK;
}

static err set_words(const struct at *at, const struct setting *s, struct str v, struct strs *field)
{
	const char *names[64];
	size_t n = 0;
	struct strs among = str_words(at->a, str_of(s->among));
	for (; n < among.n && n < 64; n++)
		names[n] = str_copy(at->a, among.v[n]).p;
	*field = str_words(at->a, v);
	for (size_t i = 0; n && i < field->n; i++)
		if (!strs_has(among, field->v[i]))
			return WRONG(at, "%s may have: %s; has '%s'%s", s->key, s->among, field->v[i].p, did_you_mean(at->a, field->v[i].p, names, n).p);
	return OK;
}

static err set(const struct at *at, const struct setting *s, struct str v, void *into)
{
	void *field = (char *)into + s->at;
	switch (s->type) {
	case CONF_STR:
		*(struct str *)field = v;
		return OK;
	case CONF_URL:
		if (str_empty(v) && !at->line)
			return OK;
		return set_url(at, s, v, field);
	case CONF_FILE: {
		const char *slash = strrchr(at->path, '/');
		if (str_empty(v) || *v.p == '/' || !slash)
			*(struct str *)field = v;
		else
			*(struct str *)field = str_fmt(at->a, "%.*s/%s", (int)(slash - at->path), at->path, v.p);
		return OK;
	}
	case CONF_SECONDS:
		return set_seconds(at, s, v, field);
	case CONF_COUNT:
		if (!str_int(v, s->least, s->most, field))
			return WRONG(at, "%s must be a number from %lld to %lld, is '%s'", s->key, (long long)s->least, (long long)s->most, v.p);
		return OK;
	case CONF_BOOL:
		if (!str_is(v, "yes") && !str_is(v, "no"))
			return WRONG(at, "%s must be yes or no, is '%s'", s->key, v.p);
		*(bool *)field = str_is(v, "yes");
		return OK;
	case CONF_WORDS:
		return set_words(at, s, v, field);
	case CONF_CHOICE:
		if (str_empty(v) || !word_in(str_of(s->among), v))
			return WRONG(at, "%s must be one of: %s; is '%s'", s->key, s->among, v.p);
		*(struct str *)field = v;
		return OK;
	}
	return OK;
}

static size_t count_settings(const struct section *s)
{
	size_t n = 0;
	while (s->settings[n].key)
		n++;
	return n;
}

/* What a section was said to be: filled while its lines are read, completed when the next one begins. */
struct open { const struct section *section; struct str name; void *into; bool *said; int line; };

static err close_section(struct at at, const struct open *o)
{
	if (!o->section)
		return OK;
	size_t n = count_settings(o->section);
	at.line = 0;
	for (size_t i = 0; i < n; i++) {
		const struct setting *s = &o->section->settings[i];
		if (o->said[i])
			continue;
		if (s->unsaid == REQUIRED_SETTING)
			return WRONG(&at, "[%s%s%s] needs %s", o->section->name, o->name.n ? " " : "", o->name.p, s->key);
		TRY(set(&at, s, str_dup(at.a, s->unsaid, strlen(s->unsaid)), o->into));
	}
	return OK;
}

static void *grown(struct arena *a, struct conf_list *l, size_t size)
{
	char *items = arena_alloc(a, (l->n + 1) * size);
	if (l->n)
		memcpy(items, l->items, l->n * size);
	l->items = items;
	return items + l->n++ * size;
}

static bool name_taken(const struct conf_list *l, size_t size, struct str name)
{
	for (size_t i = 0; i < l->n; i++)
		if (str_eq(*(const struct str *)(const void *)((const char *)l->items + i * size), name))
			return true;
	return false;
}

static err open_section(const struct at *at, struct str title, const struct section *sections, bool *seen, void *into, struct open *o)
{
	const char *names[32];
	size_t n = 0, sp = 0;
	while (sp < title.n && title.p[sp] != ' ')
		sp++;
	struct str kind = str_dup(at->a, title.p, sp), name = str_trim(at->a, str_from(at->a, title, sp));
	for (; sections[n].name && n < 32; n++) {
		const struct section *s = &sections[n];
		names[n] = s->name;
		if (!str_is(kind, s->name))
			continue;
		*o = (struct open){ .section = s, .name = name, .into = into, .said = arena_alloc(at->a, count_settings(s) + 1), .line = at->line };
		if (!s->size) {
			if (name.n)
				return WRONG(at, "[%s] has no name after it", s->name);
			if (seen[n])
				return WRONG(at, "[%s] comes twice", s->name);
			seen[n] = true;
			return OK;
		}
		struct conf_list *l = (void *)((char *)into + s->at);
		if (str_empty(name))
			return WRONG(at, "[%s NAME] needs a name", s->name);
		if (name_taken(l, s->size, name))
			return WRONG(at, "[%s %s] comes twice", s->name, name.p);
		o->into = grown(at->a, l, s->size);
		*(struct str *)o->into = name;
		return OK;
	}
	return WRONG(at, "no section [%s]%s", kind.p, did_you_mean(at->a, kind.p, names, n).p);
}

static err read_setting(const struct at *at, struct str line, const struct open *o)
{
	const char *eq = memchr(line.p, '=', line.n);
	if (!eq)
		return WRONG(at, "neither a [section] nor key = value: '%s'", line.p);
	if (!o->section)
		return WRONG(at, "a setting before the first [section]: '%s'", line.p);
	struct str key = str_trim(at->a, (struct str){ line.p, (size_t)(eq - line.p) });
	struct str value = str_trim(at->a, (struct str){ eq + 1, line.n - (size_t)(eq + 1 - line.p) });
	const char *names[64];
	size_t n = count_settings(o->section);
	for (size_t i = 0; i < n && i < 64; i++) {
		names[i] = o->section->settings[i].key;
		if (!str_is(key, names[i]))
			continue;
		if (o->said[i])
			return WRONG(at, "'%s' said twice", key.p);
		o->said[i] = true;
		return set(at, &o->section->settings[i], value, o->into);
	}
	return WRONG(at, "no setting '%s' in [%s]%s", key.p, o->section->name, did_you_mean(at->a, key.p, names, n < 64 ? n : 64).p);
}

err conf_read(struct arena *a, const char *path, struct str text, const struct section *sections, void *into)
{
	struct at at = { a, path, 0 };
	struct open o = { 0 };
	bool seen[32] = { 0 };

	if (!str_utf8(text))
		return WRONG(&at, "not UTF-8 text");
	for (const char *p = text.p, *end = text.p + text.n; p < end;) {
		const char *nl = memchr(p, '\n', (size_t)(end - p));
		size_t n = (size_t)((nl ? nl : end) - p);
		if (n && p[n - 1] == '\r')
			n--;
		struct str line = str_trim(a, (struct str){ p, n });
		p = nl ? nl + 1 : end;
		at.line++;
		if (str_empty(line) || *line.p == '#')
			continue;
		if (*line.p == '[' && line.p[line.n - 1] == ']' && line.n > 2) {
			TRY(close_section(at, &o));
			TRY(open_section(&at, str_trim(a, (struct str){ line.p + 1, line.n - 2 }), sections, seen, into, &o));
		} else {
			TRY(read_setting(&at, line, &o));
		}
	}
	TRY(close_section(at, &o));
	for (size_t i = 0; sections[i].name; i++) {
		if (sections[i].size || seen[i])
			continue;
		struct open unsaid = { .section = &sections[i], .name = S(""), .into = into, .said = arena_alloc(a, count_settings(&sections[i]) + 1) };
		TRY(close_section(at, &unsaid));
	}
	return OK;
}

err conf_load(struct arena *a, const char *path, const struct section *sections, void *into)
{
	struct str text;
	TRY(file_read(a, path, 1 << 20, &text));
	return conf_read(a, path, text, sections, into);
}
