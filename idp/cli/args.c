#include "tool.h"
#include "conf.h"
#include "file.h"

enum { LINE_MOST = 4096, GIVEN_MOST = 256 };

/* One part of struct command's args. */
struct spec { struct str name; bool option, value, many, required; };
struct specs { struct spec v[64]; size_t n; };

/* An UPPER CASE word after an option is its value; anywhere else it is an operand. */
static struct specs specs_of(struct arena *a, const char *args)
{
	struct specs s = { 0 };
	struct strs words = str_words(a, str_of(args));
	for (size_t i = 0; i < words.n && s.n < sizeof s.v / sizeof *s.v; i++) {
		struct str w = words.v[i];
		bool optional = w.p[0] == '[', many = false, closed;
		if (optional)
			w = str_from(a, w, 1);
		closed = str_ends(w, S("]")) || str_ends(w, S("]..."));
		bool option = str_starts(w, S("--")), value = option && !closed && i + 1 < words.n && words.v[i + 1].p[0] >= 'A' && words.v[i + 1].p[0] <= 'Z';
		struct str last = value ? words.v[++i] : w;
		many = str_ends(last, S("..."));
		size_t n = 0;
		while (n < w.n && w.p[n] != ']' && w.p[n] != '.')
			n++;
		s.v[s.n++] = (struct spec){ str_dup(a, w.p, n), option, value, many, !optional };
	}
	return s;
}

static const struct spec EVERYWHERE[] = {
	{ S("--config"), true, true, false, false }, { S("--json"), true, false, false, false }, { S("--help"), true, false, false, false },
};
enum { EVERYWHERE_COUNT = sizeof EVERYWHERE / sizeof *EVERYWHERE };

static err unknown_option(struct run *r, const struct specs *s, struct str name)
{
	const char *names[72];
	size_t n = 0;
	for (size_t i = 0; i < s->n; i++)
		if (s->v[i].option)
			names[n++] = s->v[i].name.p;
	for (size_t i = 0; i < EVERYWHERE_COUNT; i++)
		names[n++] = EVERYWHERE[i].name.p;
	const char *near = nearest_name(name.p, names, n);
	return fault(r->a, &BAD_USAGE, "%s is no option of this command%s%s%s", name.p, near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
}

static const struct spec *option_of(const struct specs *s, struct str name)
{
	for (size_t i = 0; i < EVERYWHERE_COUNT; i++)
		if (str_eq(EVERYWHERE[i].name, name))
			return &EVERYWHERE[i];
	for (size_t i = 0; i < s->n; i++)
		if (s->v[i].option && str_eq(s->v[i].name, name))
			return &s->v[i];
	return NULL;
}

static const struct spec *operand_of(const struct run *r, const struct specs *s)
{
	for (size_t i = 0; i < s->n; i++)
		if (!s->v[i].option && (s->v[i].many || !arg_there(r, s->v[i].name.p)))
			return &s->v[i];
	return NULL;
}

static err give(struct run *r, const struct spec *spec, struct str value)
{
	if (!spec->many && arg_there(r, spec->name.p))
		return fault(r->a, &BAD_USAGE, "%s is given twice", spec->name.p);
	if (r->n == GIVEN_MOST)
		return fault(r->a, &BAD_USAGE, "too many arguments");
	if (!str_utf8(value))
		return fault(r->a, &BAD_USAGE, "the value of %s is not UTF-8", spec->name.p);
	r->given[r->n++] = (struct given){ spec->name, value };
	return OK;
}

static err read_option(struct run *r, const struct specs *s, struct str word, int argc, char **argv, int *i)
{
	const char *equals = strchr(word.p, '=');
	struct str name = equals ? str_dup(r->a, word.p, (size_t)(equals - word.p)) : word;
	const struct spec *spec = option_of(s, name);
	if (!spec)
		return unknown_option(r, s, name);
	if (!spec->value)
		return equals ? fault(r->a, &BAD_USAGE, "%s takes no value", name.p) : give(r, spec, S(""));
	if (equals)
		return give(r, spec, str_of(equals + 1));
	if (*i + 1 >= argc || (strncmp(argv[*i + 1], "--", 2) == 0 && argv[*i + 1][2]))
		return fault(r->a, &BAD_USAGE, "%s needs a value", name.p);
	return give(r, spec, str_of(argv[++*i]));
}

static err check_required(struct run *r, const struct specs *s)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->v[i].required && !arg_there(r, s->v[i].name.p))
			return fault(r->a, &BAD_USAGE, "%s is missing", s->v[i].name.p);
	return OK;
}

err args_read(struct run *r, int argc, char **argv)
{
	struct specs s = specs_of(r->a, r->command->args);
	r->given = make_n(r->a, struct given, GIVEN_MOST);
	for (int i = 0; i < argc; i++) {
		struct str word = str_of(argv[i]);
		if (str_starts(word, S("--")) && word.n > 2) {
			TRY(read_option(r, &s, word, argc, argv, &i));
			continue;
		}
		const struct spec *spec = operand_of(r, &s);
		if (!spec)
			return fault(r->a, &BAD_USAGE, "'%s' is one word too many", word.p);
		TRY(give(r, spec, word));
	}
	return arg_there(r, "--help") ? OK : check_required(r, &s);
}

struct str arg(const struct run *r, const char *name)
{
	for (size_t i = 0; i < r->n; i++)
		if (str_is(r->given[i].name, name))
			return r->given[i].value;
	return S("");
}

bool arg_there(const struct run *r, const char *name)
{
	for (size_t i = 0; i < r->n; i++)
		if (str_is(r->given[i].name, name))
			return true;
	return false;
}

struct strs args_all(const struct run *r, const char *name)
{
	struct strs all = { make_n(r->a, struct str, r->n + 1), 0 };
	for (size_t i = 0; i < r->n; i++)
		if (str_is(r->given[i].name, name))
			all.v[all.n++] = r->given[i].value;
	return all;
}

err line_read(struct arena *a, struct str *out)
{
	char line[LINE_MOST];
	*out = S("");
	if (!fgets(line, sizeof line, stdin))
		return OK;
	size_t n = strcspn(line, "\r\n");
	*out = str_dup(a, line, n);
	explicit_bzero(line, sizeof line);
	return OK;
}

err arg_or_line(struct run *r, const char *name, struct str *out)
{
	*out = arg(r, name);
	return str_is(*out, "-") ? line_read(r->a, out) : OK;
}

static err read_stdin(struct run *r, size_t max, struct str *out)
{
	char *d = arena_alloc(r->a, max + 2);
	size_t n = fread(d, 1, max + 1, stdin);
	if (n > max || ferror(stdin))
		return fault(r->a, &BAD_USAGE, "standard input cannot be read, or is longer than %zu bytes", max);
	*out = (struct str){ d, n };
	return OK;
}

void args_write(const struct run *r, struct jw *w, const struct option *o)
{
	for (; o->name; o++) {
		if (!arg_there(r, o->name))
			continue;
		if (o->list)
			jw_strs(w, o->member, args_all(r, o->name));
		else
			jw_str(w, o->member, arg(r, o->name));
	}
}

err arg_file(struct run *r, const char *name, size_t max, struct str *out)
{
	struct str path = arg(r, name);
	return str_is(path, "-") ? read_stdin(r, max, out) : file_read(r->a, path.p, max, out);
}
