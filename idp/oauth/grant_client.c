#include "oauth.h"
#include "audit_of.h"
#include "oidc.h"

/* What belongs to a person, a client cannot have of its own. */
static bool own(struct str scope) { return !scope_known(scope); }

static err choose_scope(struct req *rq, const struct client *c, struct str *scope)
{
	struct strs registered = str_words(rq->a, c->scope), asked = str_words(rq->a, form(rq, "scope"));
	struct strs given = { .v = make_n(rq->a, struct str, registered.n + 1) };
	for (size_t i = 0; i < asked.n; i++)
		if (!own(asked.v[i]) || !strs_has(registered, asked.v[i]))
			return fault(rq->a, &INVALID_SCOPE, "%s may not have '%.80s' of its own", c->id.p, asked.v[i].p);
	for (size_t i = 0; i < registered.n; i++)
		if (own(registered.v[i]) && (!asked.n || strs_has(asked, registered.v[i])))
			given.v[given.n++] = registered.v[i];
	*scope = strs_join(rq->a, given, S(" "));
	return OK;
}

/* grant_type=client_credentials: RFC 6749 section 4.4; RFC 9068 section 2.2: sub is the client itself */
err grant_client(struct req *rq, struct res *rs, const struct client *c)
{
	const struct str none = S("");
	struct grant_row g = {
		.id = none, .client_id = c->id, .person_id = none, .sid = none, .sub = c->id, .acr = none, .amr = none, .nonce = none, .claims = none,
	};
	struct tokens t = { .client = c, .grant = &g, .refresh = none };

	if (str_is(c->auth_method, "none"))
		return fault(rq->a, &UNAUTHORIZED_CLIENT, "%s is public", c->id.p);
	TRY(choose_scope(rq, c, &t.scope));
	TRY(resources_read(rq, c, &rq->form, S(""), &t.resources));
	if (param_there(&rq->form, "authorization_details"))
		TRY(details_read(rq, c, form(rq, "authorization_details"), &t.details));
	TRY(tokens_bind(rq, c, &t.confirm));
	TRY(tokens_mint(rq, &t));
	struct audit ev = tokens_audit(rq, &t, "client_credentials");
	TRY(store_audit(rq->house->store, rq->a, &ev));
	return tokens_answer(rq, rs, &t);
}
