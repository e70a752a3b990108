#include "t.h"
#include "conf.h"
#include "exchange.h"

/* The table by itself: one exchange that a rule allows, and each of its twins with one thing wrong. */

static struct strs words(struct arena *a, const char *z) { return str_words(a, str_of(z)); }

static struct exchange_rule a_rule(struct arena *a, const char *name)
{
	return (struct exchange_rule){
		.name = str_of(name), .clients = words(a, "desk other"), .subjects = words(a, "access_token issuer:tax"), .audiences = words(a, "land archive"),
		.scopes = words(a, "docs:read land:read"), .modes = words(a, "delegation"), .from = words(a, "office"), .acr = S("substantial"), .depth = 2, .lives = 300,
	};
}

static struct exchange_ask an_ask(struct arena *a)
{
	return (struct exchange_ask){
		.client = S("desk"), .subject = S("access_token"), .from = S("office"), .audience = words(a, "land"), .scope = words(a, "docs:read"),
		.carried = S("openid docs:read"), .carries = true, .registered = S("docs:read land:read"), .acr = S("high"), .acting = true, .depth = 1,
	};
}

TEST(what_a_rule_allows_is_allowed_and_it_says_which)
{
	struct arena *a = arena_new();
	const struct exchange_rule r = a_rule(a, "one");
	const struct exchange_ask q = an_ask(a);
	struct exchange_answer by = exchange_decide(a, &r, 1, &q);
	assert_null(by.kind);
	assert_ptr_equal(by.rule, &r);
	assert_string_equal(strs_join(a, by.scope, S(" ")).p, "docs:read");
	assert_int_equal(by.lives, 300);
	arena_free(a);
}

TEST(an_empty_table_allows_nothing)
{
	struct arena *a = arena_new();
	const struct exchange_ask q = an_ask(a);
	struct exchange_answer by = exchange_decide(a, NULL, 0, &q);
	assert_ptr_equal(by.kind, &UNAUTHORIZED_CLIENT);
	assert_null(by.rule);
	assert_false(exchange_known(NULL, 0, S("desk")));
	arena_free(a);
}

TEST(each_thing_that_is_wrong_with_an_exchange_is_refused_for_that_reason)
{
	struct arena *a = arena_new();
	const struct exchange_rule rule = a_rule(a, "one");
	struct exchange_ask right = an_ask(a), q;
#define WRONG(error, words_of_it, ...) do { struct exchange_rule r = rule; q = right; __VA_ARGS__; struct exchange_answer by = exchange_decide(a, &r, 1, &q); \
	assert_ptr_equal(by.kind, &(error)); assert_non_null(strstr(by.why, words_of_it)); } while (0)
	WRONG(UNAUTHORIZED_CLIENT, "no rule names", q.client = S("des"));
	WRONG(INVALID_REQUEST, "of this kind", q.subject = S("id_token"));
	WRONG(INVALID_REQUEST, "of this kind", q.subject = S("issuer:land"));
	WRONG(INVALID_REQUEST, "not named", q.from = S("desk"));
	WRONG(INVALID_REQUEST, "not named", q.from = S(""));
	WRONG(INVALID_REQUEST, "told apart", q.acting = false);
	WRONG(INVALID_TARGET, "audience", q.audience = words(a, "vault"));
	WRONG(INVALID_TARGET, "audience", q.audience = words(a, "land vault"));
	WRONG(INVALID_TARGET, "audience", q.audience = words(a, ""));
	WRONG(INVALID_SCOPE, "scope", q.scope = words(a, "docs:write"));
	WRONG(INVALID_SCOPE, "scope", q.scope = words(a, "land:read"));            /* the subject token has it not */
	WRONG(INVALID_SCOPE, "scope", q.scope = words(a, "openid"));               /* the rule has it not */
	WRONG(INVALID_SCOPE, "scope", q.registered = S("land:read"));              /* the client has it not */
	WRONG(INVALID_REQUEST, "assurance", q.acr = S("low"));
	WRONG(INVALID_REQUEST, "assurance", q.acr = S(""));
	WRONG(INVALID_REQUEST, "in a row", q.depth = 3);
	WRONG(INVALID_REQUEST, "bound", q.bound = true);
	WRONG(INVALID_REQUEST, "mandate", r.mandate = true);
#undef WRONG
	arena_free(a);
}

/* Property over every combination of three scopes in the rule, the token, the registration and the request. */
TEST(the_scope_never_grows)
{
	static const char *const SETS[] = { "", "a", "b", "c", "a b", "a c", "b c", "a b c" };
	struct arena *a = arena_new();
	struct exchange_rule r = a_rule(a, "one");
	for (size_t i = 0; i < 8 * 8 * 8 * 8 * 2; i++) {
		struct exchange_ask q = an_ask(a);
		r.scopes = words(a, SETS[i % 8]);
		q.carried = str_of(SETS[i / 8 % 8]);
		q.registered = str_of(SETS[i / 64 % 8]);
		q.scope = words(a, SETS[i / 512 % 8]);
		q.carries = i / 4096;
		struct exchange_answer by = exchange_decide(a, &r, 1, &q);
		for (size_t k = 0; !by.kind && k < by.scope.n; k++) {
			assert_true(strs_has(r.scopes, by.scope.v[k]));
			assert_true(word_in(q.registered, by.scope.v[k]));
			assert_true(!q.carries || word_in(q.carried, by.scope.v[k]));
		}
		bool all = true;
		for (size_t k = 0; k < q.scope.n; k++)
			all &= strs_has(r.scopes, q.scope.v[k]) && word_in(q.registered, q.scope.v[k]) && (!q.carries || word_in(q.carried, q.scope.v[k]));
		assert_int_equal(by.kind == NULL, all);
	}
	arena_free(a);
}

TEST(the_first_rule_that_allows_decides_and_otherwise_the_nearest_tells_why)
{
	struct arena *a = arena_new();
	struct exchange_rule rules[] = { a_rule(a, "other-client"), a_rule(a, "mandated"), a_rule(a, "first"), a_rule(a, "second") };
	const struct exchange_ask q = an_ask(a);
	rules[0].clients = words(a, "other");
	rules[1].mandate = true;
	assert_str(exchange_decide(a, rules, 4, &q).rule->name, "first");
	struct exchange_answer by = exchange_decide(a, rules, 2, &q);
	assert_str(by.rule->name, "mandated");
	assert_non_null(strstr(by.why, "mandate"));
	assert_null(exchange_try(a, &rules[2], &q).kind);
	arena_free(a);
}

/* ---- the table as it is written ---------------------------------------------------------------------------------------- */

TEST(a_table_that_could_not_be_meant_is_refused_at_start)
{
	struct arena *a = arena_new();
	const struct exchange_rule rule = a_rule(a, "one");
	const struct strs issuers = words(a, "tax police");
	fine(exchange_check(a, "f", &rule, 1, issuers, S("https://id.example")));
#define WRONG(text, ...) do { struct exchange_rule r = rule; __VA_ARGS__; err e = exchange_check(a, "f", &r, 1, issuers, S("https://id.example")); \
	assert_ptr_equal(e.kind, &BAD_CONFIG); if (!strstr(e.why, text)) fail_msg("%s", e.why); } while (0)
	WRONG("has 'refresh_token'", r.subjects = words(a, "access_token refresh_token"));
	WRONG("did you mean 'issuer:tax'", r.subjects = words(a, "issuer:taxx"));
	WRONG("has 'issuer:'", r.subjects = words(a, "issuer:"));
	WRONG("openid", r.scopes = words(a, "docs:read openid"));
	WRONG("offline_access", r.scopes = words(a, "offline_access"));
	WRONG("the issuer itself", r.audiences = words(a, "land https://id.example"));
	WRONG("needs at least", r.clients = words(a, ""));
	WRONG("needs at least", r.audiences = words(a, ""));
#undef WRONG
	arena_free(a);
}
