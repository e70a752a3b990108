#include "authorize.h"
#include "assurance.h"
#include "audit_of.h"
#include "log.h"
#include "login.h"
#include "oauth.h"
#include "oidc.h"
#include "pages.h"
#include "session.h"
#include "settings.h"

/* ---- answers to the application ------------------------------------------------------------------------------- */

/* OAuth 2.0 Form Post Response Mode: a form that sends itself, with a button for those without JavaScript */
static err answer_by_form(struct req *rq, struct res *rs, const struct interaction *i, const struct param *p, size_t n)
{
	json_t *data, *fields = json_array();
	TRY(interaction_page(rq, rs, i, i->redirect_uri.p, &data));
	for (size_t k = 0; k < n; k++)
		json_array_append_new(fields, json_pack("{s:s%, s:s%}", "name", p[k].name.p, p[k].name.n, "value", p[k].value.p, p[k].value.n));
	json_object_set_new(data, "fields", fields);
	json_object_set_new(data, "to", json_stringn(i->redirect_uri.p, i->redirect_uri.n));
	return page(rq, rs, 200, &TPL_form_post, data);
}

/* JARM section 2.1: "the JWT ... contains iss, aud, exp" and the parameters of the answer; it takes their place, as `response` */
static err sign_answer(struct req *rq, const struct interaction *i, struct param *p, size_t n)
{
	enum { LIVES = 300, MOST = 12 * 1024 };
	const struct client *c;
	struct str claims, token;
	struct jw w = jw_new(rq->a, MOST);
	TRY(client_find(rq, i->client_id, &c));
	if (!c)
		return fault(rq->a, &INTERACTION_GONE, "client %s was removed meanwhile", i->client_id.p);
	jw_object(&w, NULL);
	jw_str(&w, "aud", c->id);
	jw_int(&w, "exp", rq->now + LIVES);
	for (size_t k = 0; k < n; k++)
		jw_str(&w, p[k].name.p, p[k].value);          /* iss is among them */
	jw_end(&w);
	TRY(jw_done(&w, &claims));
	TRY(envelope(rq, c, &c->authorization, S("JWT"), claims, &token));
	p[0] = (struct param){ S("response"), token };
	return OK;
}

/* RFC 6749 section 4.1.2; RFC 9207 section 2: iss in every answer, success or error */
static err answer(struct req *rq, struct res *rs, const struct interaction *i, const char *name, struct str value)
{
	struct param p[3] = { { str_of(name), value } };
	size_t n = 1;
	if (i->state.n)
		p[n++] = (struct param){ S("state"), i->state };
	p[n++] = (struct param){ S("iss"), rq->house->issuer };
	if (str_ends(i->response_mode, S(".jwt"))) {
		TRY(sign_answer(rq, i, p, n));
		n = 1;
	}
	if (str_starts(i->response_mode, S("form_post")))
		return answer_by_form(rq, rs, i, p, n);
	res_redirect(rq, rs, url_with(rq->a, i->redirect_uri, p, n));
	return OK;
}

err answer_refusal(struct req *rq, struct res *rs, const struct interaction *i, const struct err_kind *kind)
{
	if (str_empty(i->client_id)) {
		res_redirect(rq, rs, S("/"));
		return OK;
	}
	TRY(pushed_spend(rq, i));
	if (i->user_code.n)
		return device_denied(rq, rs, i);
	struct audit ev = audit_of(rq, "authorization.refused");
	ev.client_id = i->client_id;
	ev.outcome = str_of(kind->code);
	TRY(refusal_write(rq, &ev));
	return answer(rq, rs, i, "error", str_of(kind->code));
}

/* What goes wrong once the redirect_uri is known is the application's to hear, except what only time or we can mend, and that this page
 * was sent before: then the application has had its answer. */
static err refused(struct req *rq, struct res *rs, const struct interaction *i, err e)
{
	if (!e.kind || e.kind == &PARKED || e.kind == &INTERACTION_GONE || e.kind == &INVALID_REQUEST_URI || e.kind == &TOO_MANY_REQUESTS || e.kind->status >= 500)
		return e;
	log_say(LOG_INFO, "authorization refused", "req", rq->id.p, "client", i->client_id.p, "code", e.kind->code, "why", e.why, NULL);
	return answer_refusal(rq, rs, i, e.kind == &TOO_LARGE ? &INVALID_REQUEST : e.kind);
}

/* ---- deciding what is still missing ------------------------------------------------------------------------------ */

static bool asked(const struct interaction *i, struct str prompt) { return word_in(i->prompt, prompt); }
static bool is_fresh(const struct interaction *i, const struct session_row *s) { return i->login_at && s->auth_time >= i->login_at; }

static bool is_hinted(struct req *rq, const struct interaction *i, const struct client *c, const struct session_row *s)
{
	return !c || !i->hint_sub.n || str_eq(i->hint_sub, subject_for(rq->house, rq->a, c, s->person_id));
}

/* OpenID Connect Core section 3.1.2.3: when the person must be authenticated again. max_age=0 is prompt=login (section 3.1.2.1). */
static bool login_needed(struct req *rq, const struct interaction *i, const struct client *c, const struct session_row *s)
{
	if (!s)
		return true;
	if (is_fresh(i, s))
		return false;
	if (asked(i, S("login")) || asked(i, S("select_account")) || i->max_age == 0 || !is_hinted(rq, i, c, s))
		return true;
	if (i->max_age > 0 && rq->now - s->auth_time > i->max_age)
		return true;
	if (!acr_meets(s->acr, i->acr_floor))
		return true;
	return i->acr_values.n && !acr_meets(s->acr, i->acr_values) && acr_reachable(rq->house->conf->methods, i->acr_values);
}

static err consent_needed(struct req *rq, const struct interaction *i, const struct client *c, const struct session_row *s, bool *needed)
{
	*needed = false;
	if (str_eq(i->consented, s->sid) || (c->trusted && !asked(i, S("consent")) && !i->user_code.n))
		return OK;
	struct str given;
	TRY(store_consent(rq->house->store, rq->a, s->person_id, c->id, &given));
	struct strs scopes = str_words(rq->a, claims_scope(rq->a, &(struct claims_ask){ c, i->scope, i->claims }));
	/* RFC 8628 section 5.4: nobody is to sign in a device that they do not have before them, however often they allowed it before; and what is
	 * told in so many words is asked each time (RFC 9396) */
	*needed = asked(i, S("consent")) || i->user_code.n || i->details.n;
	for (size_t n = 0; n < scopes.n; n++)
		*needed |= !word_in(given, scopes.v[n]);
	return OK;
}

/* ---- giving the code ------------------------------------------------------------------------------------------------ */

static err give_code(struct req *rq, struct res *rs, const struct interaction *i, const struct client *c, const struct session_row *s)
{
	struct str code;
	struct grant_row g = {
		.client_id = c->id, .person_id = s->person_id, .sid = s->sid, .sub = subject_for(rq->house, rq->a, c, s->person_id),
		.scope = i->scope, .acr = acr_answer(s->acr, i->acr_values), .amr = s->amr, .nonce = i->nonce, .claims = i->claims, .auth_time = s->auth_time,
		.created_at = rq->now, .offline = word_in(i->scope, S("offline_access")), .resources = i->resources, .details = i->details, .cert_id = s->cert_id,
		.auth_time_asked = i->max_age >= 0,
	};
	TRY(code_issue(rq, c, &g, &(struct code_row){ .redirect_uri = i->redirect_uri, .challenge = i->challenge, .confirm = i->confirm }, &code));
	return answer(rq, rs, i, "code", code);
}

/* Sends the person on to one of our pages, with the request kept for when they come back. */
static err ask_person(struct req *rq, struct res *rs, struct interaction *i, const char *where)
{
	interaction_bind(rq, rs, i);
	TRY(interaction_put(rq, i));
	res_redirect(rq, rs, interaction_url(rq, i, where));
	return OK;
}

/* An essential acr that no offered method reaches can never be met (OpenID Connect Unmet Authentication Requirements 1.0). */
static err check_attainable(struct req *rq, const struct interaction *i)
{
	if (i->acr_essential && !acr_reachable(rq->house->conf->methods, i->acr_values))
		return fault(rq->a, &UNMET_AUTHENTICATION, "no method reaches acr '%s'", i->acr_values.p);
	if (!acr_reachable(rq->house->conf->methods, i->acr_floor))
		return fault(rq->a, &UNMET_AUTHENTICATION, "no method reaches the floor '%s'", i->acr_floor.p);
	return OK;
}

/* kept: the interaction is in the short-lived store, and whoever answers the application takes it out first. */
static err decide(struct req *rq, struct res *rs, struct interaction *i, const struct client *c, bool kept)
{
	struct session_row *s;
	bool consent = false, silent = asked(i, S("none"));

	TRY(check_attainable(rq, i));
	TRY(session_now(rq, &s));
	if (login_needed(rq, i, c, s))
		return silent ? fault(rq->a, &LOGIN_REQUIRED, "prompt=none and a login is needed") : ask_person(rq, rs, i, "/login");
	if (!c) {
		res_redirect(rq, rs, S("/account"));
		return OK;
	}
	/* section 3.1.2.1, id_token_hint: when somebody else is logged in by the request, "an error, such as login_required" */
	if (!is_hinted(rq, i, c, s))
		return fault(rq->a, &LOGIN_REQUIRED, "somebody else signed in than the hint names");
	if (!acr_meets(s->acr, c->minimum_acr))
		return fault(rq->a, &UNMET_AUTHENTICATION, "acr %s is below the floor '%s' of %s", s->acr.p, c->minimum_acr.p, c->id.p);
	if (i->acr_essential && !acr_meets(s->acr, i->acr_values))
		return fault(rq->a, &UNMET_AUTHENTICATION, "acr %s does not meet '%s'", s->acr.p, i->acr_values.p);
	TRY(consent_needed(rq, i, c, s, &consent));
	if (consent)
		return silent ? fault(rq->a, &CONSENT_REQUIRED, "prompt=none and consent is needed") : ask_person(rq, rs, i, "/login/consent");
	if (kept)
		TRY(interaction_take(rq, &i));   /* one answer for each request, however often the page is sent */
	TRY(pushed_spend(rq, i));
	return i->user_code.n ? device_granted(rq, rs, i, c, s) : give_code(rq, rs, i, c, s);
}

/* ---- the endpoint ----------------------------------------------------------------------------------------------------- */

/* GET and POST /authorize: RFC 6749 section 3.1, OpenID Connect Core section 3.1.2.1 */
err ep_authorize(struct req *rq, struct res *rs)
{
	struct interaction *i = make(rq->a, struct interaction);
	bool post = str_is(rq->method, "POST");
	struct ask k = { .rq = rq, .params = post ? rq->form : rq->query, .i = i };

	*i = (struct interaction){ .id = interaction_id(rq->a), .created_at = rq->now, .max_age = -1 };
	if (post && rq->query.n)
		return fault(rq->a, &INVALID_REQUEST, "parameters both in the query and in the form");
	if (pushed_named(&k.params)) {
		TRY(pushed_read(&k));
	} else {
		TRY(checks_run(&k, CHECKS_BEFORE_REDIRECT));
		err e = checks_run(&k, CHECKS);
		if (e.kind)
			return refused(rq, rs, i, e);
	}
	/* A form of another site comes without our SameSite cookies: keep the request and ask the browser to come again by itself. */
	if (post) {
		err e = interaction_put(rq, i);
		if (e.kind)
			return refused(rq, rs, i, e);
		res_redirect(rq, rs, interaction_url(rq, i, "/authorize/continue"));
		return OK;
	}
	return refused(rq, rs, i, decide(rq, rs, i, k.client, false));
}

/* GET /authorize/continue?i=: the person comes back from one of our pages */
err ep_continue(struct req *rq, struct res *rs)
{
	struct interaction *i;
	const struct client *c = NULL;
	TRY(interaction_resume(rq, &i));
	if (i->client_id.n) {
		TRY(client_find(rq, i->client_id, &c));
		if (!c)
			return fault(rq->a, &INTERACTION_GONE, "client %s was removed meanwhile", i->client_id.p);
	}
	return refused(rq, rs, i, decide(rq, rs, i, c, true));
}

const struct route AUTHORIZE_ROUTES[] = {
	{ "GET",  "/authorize",          ep_authorize, FAULTS_PAGE, 0 },
	{ "POST", "/authorize",          ep_authorize, FAULTS_PAGE, 0 },
	{ "GET",  "/authorize/continue", ep_continue,  FAULTS_PAGE, 0 },
	{ "POST", "/par",                ep_par,       FAULTS_JSON, CORS_CLIENTS },
	{ 0 },
};
