#include "tool.h"
#include "clock.h"
#include "conf.h"
#include "settings.h"
#include "sql.h"
#include <openssl/crypto.h>
#include <stdlib.h>
#include <unistd.h>

const struct command *const COMMANDS[] = {
	CLIENT_COMMANDS, PERSON_COMMANDS, TRUST_COMMANDS, CERT_COMMANDS, SESSION_COMMANDS, LOGOUT_COMMANDS, KEY_COMMANDS, AUDIT_COMMANDS, MIGRATE_COMMANDS, POLICY_COMMANDS, OTHER_COMMANDS, NULL,
};

static const struct { const struct err_kind *kind; int code; } EXITS[] = {
	{ &BAD_USAGE, 2 }, { &NOT_FOUND, 3 }, { &CONFLICT, 4 }, { &ACCESS_DENIED, 5 }, { &FORBIDDEN, 5 }, { &UNAVAILABLE, 6 },
};

static int exit_code(err e)
{
	for (size_t i = 0; i < sizeof EXITS / sizeof *EXITS; i++)
		if (e.kind == EXITS[i].kind)
			return EXITS[i].code;
	return e.kind ? 1 : 0;
}

const char *cli_config(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--config") == 0 && i + 1 < argc)
			return argv[i + 1];
		if (strncmp(argv[i], "--config=", 9) == 0)
			return argv[i] + 9;
	}
	const char *named = getenv("MOTID_CONFIG");
	if (named && *named)
		return named;
	return access("motid.conf", R_OK) == 0 ? "motid.conf" : "/etc/motid/motid.conf";
}

/* ---- which command ------------------------------------------------------------------------------------------------ */

enum { NAMES_MOST = 64 };

static void add_name(const char **names, size_t *n, const char *name)
{
	for (size_t i = 0; i < *n; i++)
		if (strcmp(names[i], name) == 0)
			return;
	if (*n < NAMES_MOST)
		names[(*n)++] = name;
}

static err no_such(struct arena *a, const char *what, const char *given, const char *before, const char *const *names, size_t n)
{
	const char *near = nearest_name(given, names, n);
	if (near)
		return fault(a, &BAD_USAGE, "'%s' is no %s; did you mean: motid %s%s?", given, what, before, near);
	return fault(a, &BAD_USAGE, "'%s' is no %s", given, what);
}

/* Which row of the tables the first words name, and how many words that took. */
static err command_find(struct arena *a, int argc, char **argv, const struct command **out, int *words)
{
	const char *nouns[NAMES_MOST], *verbs[NAMES_MOST];
	size_t nnouns = 0, nverbs = 0;
	const char *noun = argc > 0 ? argv[0] : "", *verb = argc > 1 && argv[1][0] != '-' ? argv[1] : "";
	for (const struct command *const *t = COMMANDS; *t; t++)
		for (const struct command *c = *t; c->noun; c++) {
			add_name(nouns, &nnouns, c->noun);
			if (strcmp(c->noun, noun) != 0)
				continue;
			if (!*c->verb || strcmp(c->verb, verb) == 0) {
				*out = c;
				*words = *c->verb ? 2 : 1;
				return OK;
			}
			add_name(verbs, &nverbs, c->verb);
		}
	if (!*noun)
		return fault(a, &BAD_USAGE, "a command is missing");
	if (!nverbs)
		return no_such(a, "command", noun, "", nouns, nnouns);
	if (*verb)
		return no_such(a, "verb here", verb, str_fmt(a, "%s ", noun).p, verbs, nverbs);
	struct strs all = { make_n(a, struct str, nverbs), nverbs };
	for (size_t i = 0; i < nverbs; i++)
		all.v[i] = str_of(verbs[i]);
	return fault(a, &BAD_USAGE, "motid %s needs one of: %s", noun, strs_join(a, all, S(", ")).p);
}

/* ---- running it ---------------------------------------------------------------------------------------------------- */

/* The embedded store is brought up to date by whoever opens it; a shared one only when its keeper says so. */
static err check_schema(struct run *r)
{
	struct migration *list;
	size_t n;
	int64_t applied;
	if (str_starts(r->house->conf->store, S("sqlite:")))
		return store_migrate_up(r->house->store, r->a, &applied);
	TRY(store_migrate_status(r->house->store, r->a, &list, &n));
	for (size_t i = 0; i < n; i++)
		if (!list[i].applied_at)
			return fault(r->a, &UNAVAILABLE, "the store lacks migration %lld (%s); run: motid migrate up", (long long)list[i].version, list[i].name.p);
	return OK;
}

static err help_of(const struct command *);

static err run_command(struct run *r, int argc, char **argv)
{
	TRY(args_read(r, argc, argv));
	r->json = arg_there(r, "--json");
	if (arg_there(r, "--help"))
		return help_of(r->command);
	if (r->command->needs != NEEDS_NOTHING)
		TRY(house_open_tools(r->a, r->config, &r->house));
	if (r->command->needs == NEEDS_SCHEMA)
		TRY(check_schema(r));
	return r->command->fn(r);
}

static void complain(struct run *r, err e)
{
	if (r->json) {
		struct jw w = jw_new(r->a, 4096);
		struct str s;
		jw_object(&w, NULL);
		jw_str(&w, "error", str_of(e.kind->code));
		jw_str(&w, "why", str_of(e.why));
		jw_end(&w);
		fprintf(stderr, "%s\n", jw_done(&w, &s).kind ? "{}" : s.p);
		return;
	}
	fprintf(stderr, "motid: %s\n", e.why);
	if (e.kind == &BAD_USAGE)
		fprintf(stderr, "see: motid help%s%s%s%s\n", r->command ? " " : "", r->command ? r->command->noun : "",
			r->command && *r->command->verb ? " " : "", r->command ? r->command->verb : "");
	if (e.kind == &UNAVAILABLE)
		fputs("the store does not answer, or is not ready; motid check-config shows which it is\n", stderr);
}

/* Options that stand before the command go behind it; options alone are a question for help or, with --version, for the version. */
static char **reordered(struct arena *a, int argc, char **argv, int *n)
{
	static char help[] = "help", version[] = "version";
	char **v = make_n(a, char *, (size_t)argc + 2);
	int first = 1, at = 0;
	while (first < argc && strncmp(argv[first], "--", 2) == 0)
		first += strcmp(argv[first], "--config") == 0 && first + 1 < argc ? 2 : 1;
	if (first >= argc)
		v[at++] = help;
	for (int i = first; i < argc; i++)
		v[at++] = argv[i];
	for (int i = 1; i < first && i < argc; i++)
		if (strcmp(argv[i], "--version") == 0)
			v[0] = version;
		else if (first < argc || strcmp(argv[i], "--help") != 0)
			v[at++] = argv[i];
	*n = at;
	return v;
}

static bool says(int argc, char **argv, const char *option)
{
	for (int i = 0; i < argc; i++)
		if (strcmp(argv[i], option) == 0)
			return true;
	return false;
}

static err dispatch(struct run *r, int argc, char **argv)
{
	int n, words;
	char **v = reordered(r->a, argc, argv, &n);
	r->json = says(n, v, "--json");
	TRY(command_find(r->a, n, v, &r->command, &words));
	return run_command(r, n - words, v + words);
}

int cli_main(int argc, char **argv)
{
	struct run r = { .a = arena_new(), .config = cli_config(argc, argv), .now_ms = clock_ms() };
	r.now = r.now_ms / 1000;
	err e = dispatch(&r, argc, argv);
	if (!e.kind && (fflush(stdout) || ferror(stdout)))
		e = fault(r.a, &SERVER_ERROR, "standard output: %s", "it could not be written");
	if (e.kind)
		complain(&r, e);
	int code = exit_code(e);
	house_close_tools(r.house);
	arena_free(r.a);
	return code;
}

/* ---- help, version, check-config ------------------------------------------------------------------------------------- */

enum { WIDTH = 80, INDENT = 4 };

/* args wrapped at 80 columns, an option never parted from its value. */
static void print_args(const char *args)
{
	size_t column = 0;
	for (const char *p = args; *p;) {
		size_t n = strcspn(p, " ");
		if (p[n] == ' ' && (p[0] == '-' || p[0] == '[') && p[n - 1] != ']' && p[n + 1] >= 'A' && p[n + 1] <= 'Z')
			n += 1 + strcspn(p + n + 1, " ");
		if (column == 0 || column + 1 + n > WIDTH)
			column = INDENT, printf("%s%*s", p == args ? "" : "\n", INDENT, "");
		else
			column++, putchar(' ');
		printf("%.*s", (int)n, p);
		column += n;
		p += n;
		p += *p == ' ';
	}
	putchar('\n');
}

static err help_of(const struct command *c)
{
	printf("motid %s%s%s\n", c->noun, *c->verb ? " " : "", c->verb);
	if (*c->args)
		print_args(c->args);
	printf("%s.\n\nWith every command: --config FILE, --json, --help.\n", c->says);
	return OK;
}

static void print_line(const struct command *c)
{
	printf("  %-18s%s\n", c->verb, c->says);
}

static void print_noun(const struct command *t, const char *noun)
{
	const char *last = "";
	for (const struct command *c = t; c->noun; c++) {
		if (noun && strcmp(c->noun, noun) != 0)
			continue;
		if (!*c->verb) {
			printf("motid %-14s%s\n", c->noun, c->says);
			continue;
		}
		if (strcmp(last, c->noun) != 0)
			printf("motid %s\n", c->noun);
		last = c->noun;
		print_line(c);
	}
}

static err help(struct run *r)
{
	struct str noun = arg(r, "NOUN"), verb = arg(r, "VERB");
	if (!str_empty(noun)) {
		const struct command *c = NULL;
		char *words[] = { (char *)(uintptr_t)noun.p, (char *)(uintptr_t)verb.p };
		int n;
		err e = command_find(r->a, str_empty(verb) ? 1 : 2, words, &c, &n);
		if (c)
			return help_of(c);
		bool known = false;
		for (const struct command *const *t = COMMANDS; *t; t++)
			for (const struct command *row = *t; row->noun && str_empty(verb); row++)
				known |= str_is(noun, row->noun);
		if (!known)
			return e;
		for (const struct command *const *t = COMMANDS; *t; t++)
			print_noun(*t, noun.p);
		return OK;
	}
	for (const struct command *const *t = COMMANDS; *t; t++)
		print_noun(*t, NULL);
	fputs("\nThe configuration is --config FILE, else $MOTID_CONFIG, else ./motid.conf, else\n/etc/motid/motid.conf. "
	      "motid help NOUN VERB tells more. --json gives JSON.\n"
	      "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 not found, 4 conflict, 5 denied,\n6 unavailable.\n", stdout);
	return OK;
}

static err version(struct run *r)
{
	static const struct column COLUMNS[] = { { "motid", "version", 0 }, { "openssl", "openssl", 0 }, { 0 } };
	json_t *o = json_own(r->a, json_object());
	json_put(o, "version", json_string(MOTID_VERSION));
	json_put(o, "openssl", json_string(OpenSSL_version(OPENSSL_VERSION_STRING)));
	show_one(r, o, COLUMNS);
	return OK;
}

/* The connection string may hold a password: only its kind is shown. */
static struct str kind_of(struct arena *a, struct str where) { return str_dup(a, where.p, strcspn(where.p, ":")); }

static err check_config(struct run *r)
{
	static const struct column COLUMNS[] = {
		{ "file", "file", 0 }, { "issuer", "issuer", 0 }, { "listen", "listen", 0 }, { "store", "store", 0 }, { "short_lived", "short_lived", 0 },
		{ "methods", "methods", 0 }, { "operators", "operators", 0 }, { 0 },
	};
	struct settings s;
	TRY(settings_load(r->a, r->config, &s));
	json_t *o = json_own(r->a, json_object()), *operators = json_array();
	struct operator_conf *op = s.operators.items;
	json_put(o, "file", json_string(r->config));
	json_put(o, "issuer", show_str(s.issuer));
	json_put(o, "listen", show_str(s.listen));
	json_put(o, "store", show_str(kind_of(r->a, s.store)));
	json_put(o, "short_lived", show_str(kind_of(r->a, s.eph)));
	json_put(o, "methods", show_str(strs_join(r->a, s.methods, S(" "))));
	for (size_t i = 0; i < s.operators.n; i++)
		json_array_append_new(operators, show_str(op[i].name));
	json_put(o, "operators", operators);
	show_one(r, o, COLUMNS);
	return OK;
}

static err serve_elsewhere(struct run *r) { return fault(r->a, &BAD_USAGE, "serve comes first: motid serve [--config FILE]"); }

const struct command OTHER_COMMANDS[] = {
	{ "serve", "", "", "serve until SIGTERM", serve_elsewhere, NEEDS_NOTHING },
	{ "check-config", "", "", "read the configuration, and say what is wrong with it", check_config, NEEDS_NOTHING },
	{ "version", "", "", "what this is", version, NEEDS_NOTHING },
	{ "help", "", "[NOUN] [VERB]", "this, or more about one command", help, NEEDS_NOTHING },
	{ 0 },
};
