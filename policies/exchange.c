#include "exchange.h"
#include "assurance.h"
#include "conf.h"

/* ---- one rule: every line of it that an exchange must pass, in the order in which a refusal tells most ---------------------- */

typedef bool fits(const struct exchange_rule *r, const struct exchange_ask *q);

static bool client_fits(const struct exchange_rule *r, const struct exchange_ask *q) { return strs_has(r->clients, q->client); }
static bool subject_fits(const struct exchange_rule *r, const struct exchange_ask *q) { return strs_has(r->subjects, q->subject); }
static bool from_fits(const struct exchange_rule *r, const struct exchange_ask *q) { return !r->from.n || strs_has(r->from, q->from); }
static bool acr_fits(const struct exchange_rule *r, const struct exchange_ask *q) { return str_is(r->acr, "any") || acr_meets(q->acr, r->acr); }
static bool depth_fits(const struct exchange_rule *r, const struct exchange_ask *q) { return q->depth <= r->depth; }
static bool bound_fits(const struct exchange_rule *r, const struct exchange_ask *q) { return r->bound || !q->bound; }
static bool mandate_fits(const struct exchange_rule *r, const struct exchange_ask *q) { return q->mandate || !r->mandate; }

static bool mode_fits(const struct exchange_rule *r, const struct exchange_ask *q)
{
	return strs_has(r->modes, q->acting ? S("delegation") : S("impersonation"));
}

static bool audience_fits(const struct exchange_rule *r, const struct exchange_ask *q)
{
	for (size_t i = 0; i < q->audience.n; i++)
		if (!strs_has(r->audiences, q->audience.v[i]))
			return false;
	return q->audience.n > 0;
}

/* Nothing grows: what the rule gives, of what the subject token carries, of what the client may have at all. */
static bool scope_grows(const struct exchange_rule *r, const struct exchange_ask *q, struct str word)
{
	return !strs_has(r->scopes, word) || (q->carries && !word_in(q->carried, word)) || !word_in(q->registered, word);
}

static bool scope_fits(const struct exchange_rule *r, const struct exchange_ask *q)
{
	for (size_t i = 0; i < q->scope.n; i++)
		if (scope_grows(r, q, q->scope.v[i]))
			return false;
	return true;
}

static const struct line { fits *fits; const struct err_kind *kind; const char *why; } LINES[] = {
	{ client_fits,   &UNAUTHORIZED_CLIENT, "no rule names the client" },
	{ subject_fits,  &INVALID_REQUEST,     "a subject token of this kind is not exchanged for the client" },
	{ from_fits,     &INVALID_REQUEST,     "the subject token was given to a client that is not named" },
	{ mode_fits,     &INVALID_REQUEST,     "delegation and impersonation are told apart, and this one is not allowed" },
	{ audience_fits, &INVALID_TARGET,      "the audience is not one of the rule's" },
	{ scope_fits,    &INVALID_SCOPE,       "the scope is more than the rule, the subject token or the registration has" },
	{ acr_fits,      &INVALID_REQUEST,     "the subject token's assurance is too low" },
	{ depth_fits,    &INVALID_REQUEST,     "too many would act in a row" },
	{ bound_fits,    &INVALID_REQUEST,     "the subject token is bound to a key that was not shown" },
	{ mandate_fits,  &INVALID_REQUEST,     "the rule needs a mandate, and there is none" },
};
enum { LINES_N = sizeof LINES / sizeof *LINES };

static size_t lines_passed(const struct exchange_rule *r, const struct exchange_ask *q)
{
	size_t i = 0;
	while (i < LINES_N && LINES[i].fits(r, q))
		i++;
	return i;
}

static struct strs scope_given(struct arena *a, const struct exchange_rule *r, const struct exchange_ask *q)
{
	if (q->scope.n)
		return q->scope;
	struct strs l = { .v = make_n(a, struct str, r->scopes.n + 1) };
	for (size_t i = 0; i < r->scopes.n; i++)
		if (!scope_grows(r, q, r->scopes.v[i]))
			l.v[l.n++] = r->scopes.v[i];
	return l;
}

static struct exchange_answer answer(struct arena *a, const struct exchange_rule *r, const struct exchange_ask *q, size_t passed)
{
	if (passed < LINES_N)
		return (struct exchange_answer){ .kind = LINES[passed].kind, .rule = passed ? r : NULL, .why = LINES[passed].why };
	return (struct exchange_answer){ .rule = r, .why = "allowed", .scope = scope_given(a, r, q), .lives = r->lives };
}

struct exchange_answer exchange_try(struct arena *a, const struct exchange_rule *rule, const struct exchange_ask *q)
{
	return answer(a, rule, q, lines_passed(rule, q));
}

struct exchange_answer exchange_decide(struct arena *a, const struct exchange_rule *rules, size_t n, const struct exchange_ask *q)
{
	size_t furthest = 0;
	const struct exchange_rule *nearest = NULL;
	for (size_t i = 0; i < n; i++) {
		size_t passed = lines_passed(&rules[i], q);
		if (passed > furthest || !nearest) {
			furthest = passed;
			nearest = &rules[i];
		}
		if (passed == LINES_N)
			break;
	}
	return answer(a, nearest, q, furthest);
}

bool exchange_known(const struct exchange_rule *rules, size_t n, struct str client)
{
	for (size_t i = 0; i < n; i++)
		if (strs_has(rules[i].clients, client))
			return true;
	return false;
}

/* ---- the table itself ------------------------------------------------------------------------------------------------------- */

struct checking { struct arena *a; const char *path; const struct exchange_rule *rule; };

static err wrong(const struct checking *c, const char *key, struct str why)
{
	return fault(c->a, &BAD_CONFIG, "%s: [exchange %s] %s %s", c->path, c->rule->name.p, key, why.p);
}

/* Those of OpenID Connect are about userinfo and refresh tokens, which no exchanged token is good for. */
static err check_scopes(const struct checking *c)
{
	static const struct str OURS[] = { S("openid"), S("offline_access") };
	for (size_t i = 0; i < sizeof OURS / sizeof *OURS; i++)
		if (strs_has(c->rule->scopes, OURS[i]))
			return wrong(c, "scope", str_fmt(c->a, "may not have %s: an exchanged token is not for us", OURS[i].p));
	return OK;
}

static err check_subjects(const struct checking *c, struct strs issuers)
{
	static const struct str KINDS = S("access_token id_token client_token"), OF = S("issuer:");
	const char *names[64];
	size_t n = 0;
	for (; n < issuers.n && n < 64; n++)
		names[n] = issuers.v[n].p;
	for (size_t i = 0; i < c->rule->subjects.n; i++) {
		struct str s = c->rule->subjects.v[i];
		struct str name = str_starts(s, OF) ? str_from(c->a, s, OF.n) : S("");
		if (word_in(KINDS, s) || (name.n && strs_has(issuers, name)))
			continue;
		const char *near = name.n ? nearest_name(name.p, names, n) : NULL;
		return wrong(c, "subject", str_fmt(c->a, "may have %s, or issuer:NAME of an [issuer NAME]; has '%s'%s%s%s", KINDS.p, s.p,
			near ? "; did you mean 'issuer:" : "", near ? near : "", near ? "'?" : ""));
	}
	return OK;
}

err exchange_check(struct arena *a, const char *path, const struct exchange_rule *rules, size_t n, struct strs issuers, struct str own_issuer)
{
	for (size_t i = 0; i < n; i++) {
		const struct checking c = { a, path, &rules[i] };
		TRY(check_subjects(&c, issuers));
		TRY(check_scopes(&c));
		if (!rules[i].clients.n || !rules[i].subjects.n || !rules[i].audiences.n || !rules[i].modes.n)
			return wrong(&c, "", S("needs at least one word each in client, subject, audience and mode"));
		/* userinfo tells by the grant's own scopes and claims: it stays closed to whoever came by exchange */
		if (strs_has(rules[i].audiences, own_issuer))
			return wrong(&c, "audience", S("may not be the issuer itself"));
	}
	return OK;
}
