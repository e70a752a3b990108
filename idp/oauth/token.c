#include "oauth.h"
#include "audit_of.h"
#include "details.h"
#include "oidc.h"
#include "profile.h"
#include "settings.h"

/* ---- the table of grant types ---- */

static const struct str NAMES[] = {
	S("authorization_code"), S("refresh_token"), S("client_credentials"),
	S("urn:ietf:params:oauth:grant-type:token-exchange"),
	S("urn:ietf:params:oauth:grant-type:device_code"),
	S("urn:openid:params:grant-type:ciba"),
	{ 0 },
};
static grant_type *const GIVE[] = {
	grant_code, grant_refresh, grant_client,
	grant_exchange,
	grant_device,
	grant_ciba,
};

const struct str *grant_type_names(void) { return NAMES; }

static grant_type *grant_type_named(struct str name)
{
	for (size_t i = 0; NAMES[i].n; i++)
		if (str_eq(NAMES[i], name))
			return GIVE[i];
	return NULL;
}

/* ---- what every grant type does ---- */

/* RFC 9449 section 5: a proof binds the tokens of whoever sends one. RFC 8705 section 3: a certificate, those of a client that is registered
 * so; where the rules of a client want bound tokens, either will do. */
err tokens_bind(struct req *rq, const struct client *c, struct str *confirm)
{
	TRY(dpop_read(rq, c, S(""), confirm));
	if (confirm->n && c->cert_bound_tokens)      /* neither is silently left out */
		return fault(rq->a, &INVALID_REQUEST, "%s has tokens bound to its certificate and came with a DPoP proof", c->id.p);
	if (confirm->n)
		return OK;
	if (c->dpop_bound_tokens)
		return fault(rq->a, &INVALID_DPOP_PROOF, "%s has bound tokens and came without a DPoP proof", c->id.p);
	if (!c->cert_bound_tokens && !c->rules->bound_tokens)
		return OK;
	*confirm = confirm_of(rq);
	return confirm->n ? OK : fault(rq->a, &INVALID_REQUEST, "%s has bound tokens and came without a certificate or proof", c->id.p);
}

err scope_grantable(struct arena *a, const struct client *c, struct str scope, struct str *out)
{
	struct strs asked = str_words(a, scope), granted = { .v = make_n(a, struct str, asked.n + 1) };
	for (size_t n = 0; n < asked.n; n++)
		if (scope_known(asked.v[n]) && word_in(c->scope, asked.v[n]) && !strs_has(granted, asked.v[n]))
			granted.v[granted.n++] = asked.v[n];
	if (!granted.n)
		return fault(a, &INVALID_SCOPE, "nothing grantable to %s in scope '%.80s'", c->id.p, scope.p);
	*out = strs_join(a, granted, S(" "));
	return OK;
}

err tokens_narrow(struct req *rq, struct tokens *t)
{
	TRY(resources_read(rq, t->client, &rq->form, t->grant->resources, &t->resources));
	return details_narrow(rq->a, t->grant->details, form(rq, "authorization_details"), &t->details);
}

err tokens_mint(struct req *rq, struct tokens *t)
{
	t->id_token = S("");
	TRY(access_mint(rq, t));
	return word_in(t->scope, S("openid")) ? id_token_mint(rq, t) : OK;
}

struct audit tokens_audit(struct req *rq, const struct tokens *t, const char *type)
{
	struct audit ev = audit_of(rq, "token.issued");
	struct jw w = jw_new(rq->a, 4096);
	jw_object(&w, NULL);
	jw_str(&w, "grant_type", str_of(type));
	jw_str(&w, "jti", t->jti);
	jw_opt(&w, "grant", t->grant->id);
	jw_opt(&w, "scope", t->scope);
	jw_opt(&w, "cnf", t->confirm);
	jw_end(&w);
	if (jw_done(&w, &ev.detail).kind)
		ev.detail = str_fmt(rq->a, "{\"jti\":\"%s\"}", t->jti.p);
	ev.client_id = t->client->id;
	ev.person_id = t->grant->person_id;
	ev.sid = t->grant->sid;
	return ev;
}

/* RFC 6749 section 5.1 */
err tokens_answer(struct req *rq, struct res *rs, const struct tokens *t)
{
	struct str json;
	struct jw w = jw_new(rq->a, 64 * 1024);
	jw_object(&w, NULL);
	jw_str(&w, "access_token", t->access);
	if (t->exchanged)
		jw_str(&w, "issued_token_type", t->exchanged->type);   /* RFC 8693 section 2.2.1 */
	jw_str(&w, "token_type", confirm_is_jkt(t->confirm) ? S("DPoP") : S("Bearer"));
	jw_int(&w, "expires_in", t->expires - rq->now);
	jw_opt(&w, "refresh_token", t->refresh);
	jw_opt(&w, "id_token", t->id_token);
	jw_opt(&w, "scope", t->scope);
	if (t->details.n)
		jw_raw(&w, "authorization_details", t->details);       /* RFC 9396 section 7 */
	jw_end(&w);
	TRY(jw_done(&w, &json));
	res_json(rs, 200, json);
	return OK;
}

err grant_betrayed(struct req *rq, const struct grant_row *g, const char *what)
{
	if (g->revoked_at)                   /* once is enough: replays must not fill the trail beyond refusal_audited */
		return fault(rq->a, &INVALID_GRANT, "%s; grant %s was revoked before", what, g->id.p);
	struct audit ev = audit_of(rq, "grant.revoked");
	ev.client_id = g->client_id;
	ev.person_id = g->person_id;
	ev.sid = g->sid;
	ev.why = str_of(what);
	ev.detail = str_fmt(rq->a, "{\"grant\":\"%s\"}", g->id.p);
	TRY(store_grant_revoke(rq->house->store, rq->a, g->id, rq->now, &ev));
	return fault(rq->a, &INVALID_GRANT, "%s; grant %s revoked", what, g->id.p);
}

/* ---- the endpoint ---- */

static err token(struct req *rq, struct res *rs, const struct client **client)
{
	struct str name = form(rq, "grant_type");
	TRY(exchange_fetch(rq));
	TRY(client_authenticate(rq, client));
	if (str_empty(name))
		return fault(rq->a, &INVALID_REQUEST, "no grant_type from %s", (*client)->id.p);
	grant_type *give = grant_type_named(name);
	if (!give)
		return fault(rq->a, &UNSUPPORTED_GRANT_TYPE, "%s asked for grant_type '%.80s'", (*client)->id.p, name.p);
	if (!strs_has((*client)->grant_types, name))
		return fault(rq->a, &UNAUTHORIZED_CLIENT, "%s is not registered for %s", (*client)->id.p, name.p);
	return give(rq, rs, *client);
}

/* POST /token: RFC 6749 section 3.2, OpenID Connect Core section 3.1.3 */
err ep_token(struct req *rq, struct res *rs)
{
	const struct client *client = NULL;
	err e = token(rq, rs, &client);
	return refusal_audited(rq, "token.refused", client, e);
}

const struct route OAUTH_ROUTES[] = {
	{ "POST", "/token",      ep_token,      FAULTS_JSON, CORS_CLIENTS },
	{ "POST", "/introspect", ep_introspect, FAULTS_JSON, 0 },
	{ "POST", "/revoke",     ep_revoke,     FAULTS_JSON, CORS_CLIENTS },
	{ "POST", "/device_authorization", ep_device_authorization, FAULTS_JSON, CORS_CLIENTS },
	{ 0 },
};
