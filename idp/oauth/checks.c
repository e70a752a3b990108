#include "authorize.h"
#include "oauth.h"
#include "oidc.h"
#include "profile.h"

/* The checks of an authorization request, in the order in which they are made. Each reads one or two parameters, refuses or
 * notes what they mean. */

static struct str given(const struct ask *k, const char *name) { return param_of(&k->params, name); }
static bool there(const struct ask *k, const char *name) { return param_there(&k->params, name); }

static err refuse(const struct ask *k, const struct err_kind *kind, const char *why, struct str what)
{
	return fault(k->rq->a, kind, "%s '%.80s'", why, what.p);
}

/* RFC 6749 section 4.1.1: client_id REQUIRED; where the client proves itself, RFC 9126 section 2, that says who it is */
err check_client(struct ask *k)
{
	struct str id = given(k, "client_id");
	if (str_empty(id) && !k->pushed)
		return refuse(k, &INVALID_REQUEST, "no client_id", id);
	if (!k->pushed)
		TRY(client_find(k->rq, id, &k->client));
	if (!k->client)
		return refuse(k, &INVALID_REQUEST, "no such client", id);
	k->i->client_id = k->client->id;
	return OK;
}

/* RFC 9126 section 5: "require_pushed_authorization_requests" */
static err check_pushed(struct ask *k)
{
	if (k->client->require_par && !k->pushed)
		return refuse(k, &INVALID_REQUEST, "not pushed, from", k->client->id);
	/* section 2.1: "The request_uri authorization request parameter is one exception, and it MUST NOT be provided." */
	if (k->pushed && there(k, "request_uri"))
		return refuse(k, &INVALID_REQUEST, "a request_uri pushed by", k->client->id);
	return OK;
}

/* OpenID Connect Core section 3.1.2.1: "This URI MUST exactly match one of the Redirection URI values for the Client
 * pre-registered". Never parsed; RFC 6749 section 3.1.2.3 lets it be left out when one is registered, OpenID Connect does not. */
static err check_redirect_uri(struct ask *k)
{
	struct str uri = given(k, "redirect_uri");
	if (str_empty(uri))
		return refuse(k, &INVALID_REDIRECT_URI, "no redirect_uri from", k->client->id);
	if (!strs_has(k->client->redirect_uris, uri))
		return refuse(k, &INVALID_REDIRECT_URI, "unregistered redirect_uri", uri);
	k->i->redirect_uri = uri;
	return OK;
}

/* JARM section 2.3.4: "jwt" is, for a code, query.jwt. How to answer is known before all else that may be wrong. */
static struct str mode_of(const struct ask *k)
{
	struct str mode = given(k, "response_mode");
	if (!word_in(k->client->rules->response_modes, mode))
		return S("query");
	return str_is(mode, "jwt") ? S("query.jwt") : mode;
}

/* RFC 6749 section 4.1.1: returned as it came; also with every error below */
static err check_state(struct ask *k)
{
	k->i->state = given(k, "state");
	k->i->response_mode = mode_of(k);
	return OK;
}

static err check_unread(struct ask *k) { return k->unread; }

/* OpenID Connect Core section 7.2.1: what is not supported is refused, never ignored */
static err check_unsupported(struct ask *k)
{
	if (there(k, "registration"))
		return refuse(k, &REGISTRATION_NOT_SUPPORTED, "unsupported parameter", S("registration"));
	return OK;
}

/* RFC 6749 section 3.1.1 */
static err check_response_type(struct ask *k)
{
	struct str type = given(k, "response_type");
	if (str_empty(type))
		return refuse(k, &INVALID_REQUEST, "no response_type from", k->client->id);
	if (!str_is(type, "code"))
		return refuse(k, &UNSUPPORTED_RESPONSE_TYPE, "response_type", type);
	if (!strs_has(k->client->response_types, type) || !strs_has(k->client->grant_types, S("authorization_code")))
		return refuse(k, &UNAUTHORIZED_CLIENT, "response_type not registered", type);
	return OK;
}

/* OAuth 2.0 Multiple Response Types section 2.1, OAuth 2.0 Form Post Response Mode, JARM section 2.3 */
static err check_response_mode(struct ask *k)
{
	struct str mode = given(k, "response_mode");
	if (mode.n && !word_in(k->client->rules->response_modes, mode))
		return refuse(k, &INVALID_REQUEST, "response_mode", mode);
	return OK;
}

/* RFC 6749 section 3.3 */
static err check_scope(struct ask *k)
{
	return scope_grantable(k->rq->a, k->client, given(k, "scope"), &k->i->scope);
}

/* RFC 8707 section 2.1 */
static err check_resources(struct ask *k) { return resources_read(k->rq, k->client, &k->params, S(""), &k->i->resources); }

/* RFC 9396 section 5 */
static err check_details(struct ask *k)
{
	if (!there(k, "authorization_details"))
		return OK;
	return details_read(k->rq, k->client, given(k, "authorization_details"), &k->i->details);
}

/* RFC 7636 section 4.3; RFC 9700 section 2.1.1: S256 only */
static err check_pkce(struct ask *k)
{
	struct str challenge = given(k, "code_challenge"), method = given(k, "code_challenge_method");
	if (str_empty(challenge)) {
		if (k->client->require_pkce || there(k, "code_challenge_method") || there(k, "code_challenge"))
			return refuse(k, &INVALID_REQUEST, "no code_challenge from", k->client->id);
		return OK;
	}
	if (!str_is(method, "S256"))
		return refuse(k, &INVALID_REQUEST, "code_challenge_method", method);
	if (!pkce_challenge_valid(challenge))
		return refuse(k, &INVALID_REQUEST, "code_challenge", challenge);
	k->i->challenge = challenge;
	return OK;
}

/* RFC 9449 section 10: the key that the code will be good with */
static err check_dpop_jkt(struct ask *k) { return dpop_at_request(k->rq, k->client, given(k, "dpop_jkt"), &k->i->confirm); }

/* OpenID Connect Core section 3.1.2.1: prompt; "If this parameter contains none with any other value, an error is returned." */
static err check_prompt(struct ask *k)
{
	struct strs words = str_words(k->rq->a, given(k, "prompt"));
	for (size_t n = 0; n < words.n; n++)
		if (!word_in(S("none login consent select_account"), words.v[n]) || (str_is(words.v[n], "none") && words.n > 1))
			return refuse(k, &INVALID_REQUEST, "prompt", given(k, "prompt"));
	k->i->prompt = strs_join(k->rq->a, words, S(" "));
	return OK;
}

static err check_max_age(struct ask *k)
{
	struct str age = given(k, "max_age");
	k->i->max_age = -1;
	if (there(k, "max_age") && !str_int(age, 0, INT64_C(1000000000), &k->i->max_age))
		return refuse(k, &INVALID_REQUEST, "max_age", age);
	return OK;
}

/* OpenID Connect Core section 5.5; only the shape here, oidc/claims.c reads what is in it */
static err check_claims(struct ask *k)
{
	struct str claims = given(k, "claims");
	json_t *o;
	if (str_empty(claims))
		return OK;
	if (json_read_object(k->rq->a, claims, &o).kind)
		return refuse(k, &INVALID_REQUEST, "claims", claims);
	k->i->claims = claims;

	/* section 5.5.1.1: acr as an essential claim must be met */
	const json_t *acr = json_object_get(json_object_get(o, "id_token"), "acr");
	struct strs values = json_strs(k->rq->a, acr, "values");
	if (!values.n)
		values = json_strs(k->rq->a, acr, "value");
	if (values.n) {
		k->i->acr_values = strs_join(k->rq->a, values, S(" "));
		json_bool(acr, "essential", &k->i->acr_essential);
	}
	/* section 5.5.1: sub with a value is a hint about whom the answer must be for */
	k->i->hint_sub = str_copy(k->rq->a, json_text(json_object_get(json_object_get(o, "id_token"), "sub"), "value"));
	return OK;
}

/* acr_values is voluntary (section 3.1.2.1): what cannot be reached is no error, nor is the client's registered wish when the request has
 * none. The floor is not: no request can lower it. */
static err check_acr(struct ask *k)
{
	k->i->acr_floor = k->client->minimum_acr;
	if (k->i->acr_values.n)
		return OK;
	struct str asked = strs_join(k->rq->a, str_words(k->rq->a, given(k, "acr_values")), S(" "));
	k->i->acr_values = asked.n ? asked : k->client->default_acr_values;
	return OK;
}

/* section 3.1.2.1: a hint about whom the answer is expected for; never a proof of anything */
static err check_hints(struct ask *k)
{
	struct str hint = given(k, "id_token_hint");
	struct id_hint who;
	k->i->login_hint = given(k, "login_hint").n <= 256 ? given(k, "login_hint") : S("");
	if (str_empty(hint))
		return OK;
	TRY(id_hint_read(k->rq, hint, &who));
	k->i->hint_sub = who.sub;
	return OK;
}

static err check_nonce(struct ask *k)
{
	k->i->nonce = given(k, "nonce");
	return OK;
}

/* section 3.1.2.1: ui_locales, in order of preference; an unknown one is no error */
static err check_locales(struct ask *k)
{
	struct strs l = str_words(k->rq->a, given(k, "ui_locales"));
	for (size_t n = 0; n < l.n; n++)
		for (size_t m = 0; m < 2; m++) {
			struct str ours = m ? S("en") : S("vi");
			if (l.v[n].n >= 2 && str_eq_nocase((struct str){ l.v[n].p, 2 }, ours) && (l.v[n].n == 2 || l.v[n].p[2] == '-')) {
				k->rq->lang = ours;
				return OK;
			}
		}
	return OK;
}

check *const CHECKS_BEFORE_REDIRECT[] = { check_client, check_request, check_redirect_uri, NULL };
check *const CHECKS[] = {
	check_state, check_unread, check_pushed, check_unsupported, check_response_type, check_response_mode, check_scope, check_resources, check_details, check_pkce,
	check_dpop_jkt, check_prompt, check_max_age, check_claims, check_acr, check_hints, check_nonce, check_locales, NULL,
};

err checks_run(struct ask *k, check *const *score)
{
	for (; *score; score++)
		TRY((*score)(k));
	return OK;
}
