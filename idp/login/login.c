#include "login.h"
#include "assurance.h"
#include "audit_of.h"
#include "authorize.h"
#include "decoupled.h"
#include "details.h"
#include "oidc.h"
#include "pages.h"
#include "session.h"
#include "settings.h"

static struct strs reaching(struct req *rq, struct strs methods, struct str acr_values)
{
	struct strs fit = { .v = make_n(rq->a, struct str, methods.n + 1) };
	for (size_t n = 0; n < methods.n; n++)
		if (acr_meets(acr_of_method(methods.v[n], S("high")), acr_values))
			fit.v[fit.n++] = methods.v[n];
	return fit;
}

/* What the floor of the client lets in; of these what was asked for, if that can be had at all. */
struct strs login_methods(struct req *rq, const struct interaction *i)
{
	struct strs all = reaching(rq, rq->house->conf->methods, i->acr_floor), wanted = reaching(rq, all, i->acr_values);
	return wanted.n ? wanted : all;
}

err login_offered(struct req *rq, const struct interaction *i, const char *method)
{
	if (strs_has(login_methods(rq, i), str_of(method)))
		return OK;
	return fault(rq->a, &LOGIN_REFUSED, "%s is not offered here", method);
}

static err to_method(struct req *rq, struct res *rs, const struct interaction *i, struct str method)
{
	res_redirect(rq, rs, interaction_url(rq, i, str_fmt(rq->a, "/login/%s", method.p).p));
	return OK;
}

/* "Continue as" is offered only where the application asked that somebody be chosen (prompt=select_account). */
static err put_session(struct req *rq, const struct interaction *i, json_t *data)
{
	struct session_row *s;
	struct person_row *p;
	if (!str_is(i->prompt, "select_account"))
		return OK;
	TRY(session_now(rq, &s));
	if (!s)
		return OK;
	TRY(store_person(rq->house->store, rq->a, s->person_id, &p));
	if (p)
		json_object_set_new(data, "session", json_pack("{s:s%}", "name", p->name.p, p->name.n));
	return OK;
}

static void put_methods(struct req *rq, struct strs methods, json_t *data)
{
	struct str last = house_cookie(rq, "method");
	json_t *list = json_array();
	json_object_set_new(data, "methods", list);
	for (size_t pass = 0; pass < 2; pass++)          /* the one used last comes first */
		for (size_t n = 0; n < methods.n; n++)
			if (str_eq(methods.v[n], last) == (pass == 0))
				json_array_append_new(list, json_pack("{s:s, s:b}", "id", methods.v[n].p, "last", pass == 0));
}

err login_choose(struct req *rq, struct res *rs, const struct interaction *i, const char *error)
{
	struct strs methods = login_methods(rq, i);
	json_t *data;
	TRY(interaction_page(rq, rs, i, "/login", &data));
	TRY(put_session(rq, i, data));
	put_methods(rq, methods, data);
	if (error) {
		json_object_set_new(data, "error", json_string(error));
		json_object_set_new(data, "here", json_string(interaction_url(rq, i, "/login").p));
	}
	/* the answer to method=tls goes to the certificate host and from there on: Content-Security-Policy form-action covers redirects */
	if (strs_has(methods, S("tls")))
		rs->form_action = str_fmt(rq->a, "%s %s", url_origin(rq->a, rq->house->conf->cert_host).p, rs->form_action.n ? rs->form_action.p : "");
	return page(rq, rs, error ? 403 : 200, &TPL_choose, data);
}

/* GET /login?i=: how would you like to sign in? A question only when there is a choice. */
static err ep_choose(struct req *rq, struct res *rs)
{
	struct interaction *i;
	TRY(interaction_get(rq, &i));
	struct strs methods = login_methods(rq, i);
	if (methods.n == 1 && !str_is(i->prompt, "select_account"))
		return to_method(rq, rs, i, methods.v[0]);
	return login_choose(rq, rs, i, NULL);
}

/* POST /login: method=sim|token|tls|session */
static err ep_chosen(struct req *rq, struct res *rs)
{
	struct interaction *i;
	struct str method = form(rq, "method");
	TRY(interaction_post(rq, &i));
	if (str_is(method, "session") && str_is(i->prompt, "select_account")) {
		i->prompt = S("");
		TRY(interaction_put(rq, i));
		res_redirect(rq, rs, interaction_url(rq, i, "/authorize/continue"));
		return OK;
	}
	if (!strs_has(login_methods(rq, i), method))
		return fault(rq->a, &INVALID_REQUEST, "method '%.20s' is not offered here", method.p);
	res_cookie(rq, rs, "method", method, 365 * 86400);
	return to_method(rq, rs, i, method);
}

/* POST /login/other: another way, from any page of a sign-in */
static err ep_other(struct req *rq, struct res *rs)
{
	struct interaction *i;
	TRY(interaction_post(rq, &i));
	res_redirect(rq, rs, interaction_url(rq, i, "/login"));
	return OK;
}

/* POST /login/cancel: back to the application with access_denied (RFC 6749 section 4.1.2.1) */
static err ep_cancel(struct req *rq, struct res *rs)
{
	struct interaction *i;
	TRY(interaction_post(rq, &i));
	TRY(interaction_take(rq, &i));
	return answer_refusal(rq, rs, i, &ACCESS_DENIED);
}

/* ---- consent ------------------------------------------------------------------------------------------------------- */

static struct str shown_value(struct req *rq, const json_t *v)
{
	struct strs l = json_is_array(v) ? json_strs(rq->a, json_own(rq->a, json_pack("{s:O}", "l", v)), "l") : (struct strs){ 0 };
	if (json_is_string(v))
		return (struct str){ json_string_value(v), json_string_length(v) };
	return l.n ? strs_join(rq->a, l, S(", ")) : json_dump(rq->a, v);
}

/* RFC 9396 section 11.1: everything that was asked for is shown, as it was asked */
static json_t *detail_to_show(struct req *rq, json_t *detail)
{
	const struct conf_list *l = &rq->house->conf->detail_types;
	struct str name = json_text(detail, "type");
	const struct detail_type *t = detail_type_of(l->items, l->n, name);
	struct str text = t && str_is(rq->lang, "en") && t->text_en.n ? t->text_en : t && t->text.n ? t->text : name;
	json_t *values = json_array(), *v;
	const char *field;
	json_object_foreach(detail, field, v)
		if (strcmp(field, "type") != 0)
			json_array_append_new(values, json_sprintf("%s: %s", field, shown_value(rq, v).p));
	return json_pack("{s:s, s:s%, s:o}", "id", "other", "text", text.p, text.n, "values", values);
}

static void details_to_show(struct req *rq, const struct interaction *i, json_t *list)
{
	json_t *details, *one;
	size_t n;
	if (str_empty(i->details) || json_read(rq->a, i->details, &details).kind)
		return;
	json_array_foreach(details, n, one)
		json_array_append_new(list, detail_to_show(rq, one));
}

static json_t *scopes_to_show(struct req *rq, struct str scope)
{
	json_t *list = json_array();
	struct strs words = str_words(rq->a, scope);
	for (size_t n = 0; n < words.n; n++)
		if (!str_is(words.v[n], "openid"))
			json_array_append_new(list, json_pack("{s:s}", "id", words.v[n].p));
	return list;
}

static err scope_to_agree(struct req *rq, const struct interaction *i, struct str *out)
{
	struct claims_ask ask = { .scope = i->scope, .claims = i->claims };
	TRY(client_find(rq, i->client_id, &ask.client));
	if (!ask.client)
		return fault(rq->a, &INTERACTION_GONE, "client %s was removed meanwhile", i->client_id.p);
	*out = claims_scope(rq->a, &ask);
	return OK;
}

/* GET /login/consent?i= */
static err ep_consent(struct req *rq, struct res *rs)
{
	struct interaction *i;
	struct session_row *s;
	struct person_row *p;
	struct str scope;
	json_t *data;
	TRY(interaction_get(rq, &i));
	TRY(session_now(rq, &s));
	if (!s) {
		res_redirect(rq, rs, interaction_url(rq, i, "/authorize/continue"));
		return OK;
	}
	TRY(store_person(rq->house->store, rq->a, s->person_id, &p));
	if (!p)
		return fault(rq->a, &INTERACTION_GONE, "the session's person is gone");
	TRY(scope_to_agree(rq, i, &scope));
	TRY(interaction_page(rq, rs, i, "/login/consent", &data));
	json_object_set_new(data, "person", json_stringn(p->name.p, p->name.n));
	json_object_set_new(data, "scopes", scopes_to_show(rq, scope));
	if (i->user_code.n)
		json_object_set_new(data, "user_code", json_string(user_code_shown(rq->a, i->user_code).p));
	details_to_show(rq, i, json_object_get(data, "scopes"));
	return page(rq, rs, 200, &TPL_consent, data);
}

/* POST /login/consent: decision=allow|deny */
static err ep_consented(struct req *rq, struct res *rs)
{
	struct interaction *i;
	struct session_row *s;
	TRY(interaction_post(rq, &i));
	TRY(session_now(rq, &s));
	if (!s)
		return fault(rq->a, &INTERACTION_GONE, "consent without a session");
	if (!str_is(form(rq, "decision"), "allow")) {
		TRY(interaction_take(rq, &i));
		return answer_refusal(rq, rs, i, &ACCESS_DENIED);
	}
	struct audit ev = audit_of(rq, "consent.given");
	ev.client_id = i->client_id;
	ev.person_id = s->person_id;
	ev.sid = s->sid;
	struct str scope;
	TRY(scope_to_agree(rq, i, &scope));
	TRY(store_consent_give(rq->house->store, rq->a, s->person_id, i->client_id, scope, rq->now, &ev));
	i->consented = s->sid;
	TRY(interaction_put(rq, i));
	res_redirect(rq, rs, interaction_url(rq, i, "/authorize/continue"));
	return OK;
}

const struct route LOGIN_ROUTES[] = {
	{ "GET",  "/login",         ep_choose,    FAULTS_PAGE, 0 },
	{ "POST", "/login",         ep_chosen,    FAULTS_PAGE, 0 },
	{ "POST", "/login/other",   ep_other,     FAULTS_PAGE, 0 },
	{ "POST", "/login/cancel",  ep_cancel,    FAULTS_PAGE, 0 },
	{ "GET",  "/login/consent", ep_consent,   FAULTS_PAGE, 0 },
	{ "POST", "/login/consent", ep_consented, FAULTS_PAGE, 0 },
	{ 0 },
};
