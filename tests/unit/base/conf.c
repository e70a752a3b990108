#include "t.h"
#include "conf.h"

struct conf { struct str issuer, store, mode; int64_t code_lives, workers; bool par; struct strs acrs; struct conf_list operators; };
struct operator { struct str name, url; struct strs prefixes, ways; };

static const struct setting IDP[] = {
	{ "issuer",  CONF_URL,    offsetof(struct conf, issuer),  REQUIRED_SETTING, 0, 0, NULL },
	{ "store",   CONF_STR,    offsetof(struct conf, store),   "sqlite:idp.db",  0, 0, NULL },
	{ "workers", CONF_COUNT,  offsetof(struct conf, workers), "8",              1, 64, NULL },
	{ "mode",    CONF_CHOICE, offsetof(struct conf, mode),    "fast",           0, 0, "fast slow" },
	{ 0 },
};
static const struct setting TOKENS[] = {
	{ "code_lives",   CONF_SECONDS, offsetof(struct conf, code_lives), "60",  1, 600, NULL },
	{ "par_required", CONF_BOOL,    offsetof(struct conf, par),        "yes", 0, 0, NULL },
	{ "acr_values",   CONF_WORDS,   offsetof(struct conf, acrs),       "",    0, 0, NULL },
	{ 0 },
};
static const struct setting OPERATOR[] = {
	{ "url",      CONF_URL,   offsetof(struct operator, url),      REQUIRED_SETTING, 0, 0, NULL },
	{ "prefixes", CONF_WORDS, offsetof(struct operator, prefixes), "", 0, 0, NULL },
	{ "ways",     CONF_WORDS, offsetof(struct operator, ways),     "", 0, 0, "push pull" },
	{ 0 },
};
static const struct section SECTIONS[] = {
	{ "idp", IDP, 0, 0 }, { "tokens", TOKENS, 0, 0 },
	{ "operator", OPERATOR, offsetof(struct conf, operators), sizeof(struct operator) },
	{ 0 },
};

TEST(a_short_configuration_is_enough)
{
	struct arena *a = arena_new();
	struct conf c = { 0 };
	fine(conf_read(a, "idp.conf", S("[idp]\nissuer = https://id.example\n"), SECTIONS, &c));
	assert_str(c.issuer, "https://id.example");
	assert_int_equal(c.code_lives, 60);
	assert_true(c.par);
	assert_int_equal(c.operators.n, 0);
	arena_free(a);
}

TEST(sections_with_names_make_a_list)
{
	struct arena *a = arena_new();
	struct conf c = { 0 };
	fine(conf_read(a, "idp.conf", S("[idp]\nissuer=http://localhost:28080\n# note\n[operator viettel]\r\nurl = https://v.example/soap\r\n"
		"prefixes = +8498 +8497\n[operator vina]\nurl = https://w.example\n[tokens]\ncode_lives = 1m\n"), SECTIONS, &c));
	assert_int_equal(c.operators.n, 2);
	struct operator *o = c.operators.items;
	assert_str(o[0].name, "viettel");
	assert_str(o[0].prefixes.v[1], "+8497");
	assert_str(o[1].url, "https://w.example");
	assert_int_equal(c.code_lives, 60);
	arena_free(a);
}

TEST(a_wrong_configuration_says_where_and_what)
{
	static const struct { const char *text, *why; } CASES[] = {
		{ "", "idp.conf: [idp] needs issuer" },
		{ "[idp]\nissuer = http://id.example\n", "idp.conf:2: issuer must be an https:// URL, is 'http://id.example'" },
		{ "[idp]\nissuer = http://localhost.evil\n", "idp.conf:2: issuer must be an https:// URL, is 'http://localhost.evil'" },
		{ "[idp]\nissuer = https://a/\n", "idp.conf:2: issuer must be a URL without fragment, spaces or trailing slash, is 'https://a/'" },
		{ "[idp]\nissuer = https://a\nisuer = https://b\n", "idp.conf:3: no setting 'isuer' in [idp]; did you mean 'issuer'?" },
		{ "[idp]\nissuer = https://a\nissuer = https://b\n", "idp.conf:3: 'issuer' said twice" },
		{ "[idp]\nissuer = https://a\n[tokens]\ncode_lives = 1h\n", "idp.conf:4: code_lives must be 1 to 600 seconds (or 15m, 8h, 30d), is '1h'" },
		{ "[idp]\nissuer = https://a\nworkers = 65\n", "idp.conf:3: workers must be a number from 1 to 64, is '65'" },
		{ "[idp]\nissuer = https://a\nmode = quick\n", "idp.conf:3: mode must be one of: fast slow; is 'quick'" },
		{ "[idp]\nissuer = https://a\n[tokens]\npar_required = true\n", "idp.conf:4: par_required must be yes or no, is 'true'" },
		{ "[ipd]\n", "idp.conf:1: no section [ipd]; did you mean 'idp'?" },
		{ "issuer\n", "idp.conf:1: neither a [section] nor key = value: 'issuer'" },
		{ "issuer = x\n", "idp.conf:1: a setting before the first [section]: 'issuer = x'" },
		{ "[idp]\nissuer = https://a\n[operator]\n", "idp.conf:3: [operator NAME] needs a name" },
		{ "[idp]\nissuer = https://a\n[operator v]\n", "idp.conf: [operator v] needs url" },
		{ "[idp]\nissuer = https://a\n[operator v]\nurl=https://b\n[operator v]\n", "idp.conf:5: [operator v] comes twice" },
		{ "[idp]\nissuer = https://a\n[operator v]\nurl=https://b\nways = push pul\n", "idp.conf:5: ways may have: push pull; has 'pul'; did you mean 'pull'?" },
		{ "[idp]\nissuer = https://a\n[idp]\n", "idp.conf:3: [idp] comes twice" },
	};
	struct arena *a = arena_new();
	for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
		struct conf c = { 0 };
		err e = conf_read(a, "idp.conf", str_of(CASES[i].text), SECTIONS, &c);
		assert_ptr_equal(e.kind, &BAD_CONFIG);
		assert_string_equal(e.why, CASES[i].why);
	}
	arena_free(a);
}
