#include "audit_of.h"
#include "interaction.h"
#include "oidc.h"
#include "pages.h"
#include "rand.h"
#include "session.h"
#include "settings.h"

/* OpenID Connect RP-Initiated Logout 1.0. */

/* What was asked for, as far as it could be believed. */
struct leave { const struct client *client; struct id_hint hint; struct str to, state; bool hinted; };

/* section 2: the hint says which client and session; without one, client_id may name the client. A hint that is not ours is as none:
 * it must not end anything without a question, nor send anybody anywhere. */
static err read_request(struct req *rq, const struct params *p, struct leave *l)
{
	struct str hint = param_of(p, "id_token_hint"), id = param_of(p, "client_id"), to = param_of(p, "post_logout_redirect_uri");
	*l = (struct leave){ .state = param_of(p, "state") };
	if (hint.n) {
		err e = id_hint_read(rq, hint, &l->hint);
		if (e.kind && e.kind->status >= 500)
			return e;
		l->hinted = !e.kind && (!id.n || str_eq(id, l->hint.client_id));
		if (!l->hinted)
			return OK;
		id = l->hint.client_id;
	}
	if (id.n)
		TRY(client_find(rq, id, &l->client));
	/* section 3: only a registered URI, byte for byte */
	if (l->client && to.n && strs_has(l->client->post_logout_redirect_uris, to))
		l->to = to;
	return OK;
}

static json_t *page_data(struct req *rq, const struct client *c)
{
	json_t *o = json_own(rq->a, json_object());
	if (c)
		json_object_set_new(o, "client", json_pack("{s:s%}", "name", c->name.p, c->name.n));
	return o;
}

static err put_services(struct req *rq, const struct session_row *s, json_t *o)
{
	struct strs ids;
	json_t *list = json_array();
	json_object_set_new(o, "services", list);
	TRY(store_session_clients(rq->house->store, rq->a, s->sid, &ids));
	for (size_t n = 0; n < ids.n; n++) {
		const struct client *c;
		TRY(client_find(rq, ids.v[n], &c));
		if (c)
			json_array_append_new(list, json_pack("{s:s%}", "name", c->name.p, c->name.n));
	}
	return OK;
}

err page_signed_out(struct req *rq, struct res *rs, const struct session_row *s, const struct client *c)
{
	json_t *o = page_data(rq, c);
	if (c)
		json_put_str(o, "continue", c->client_uri);
	if (s)
		TRY(put_services(rq, s, o));
	json_put_str(o, "here", S("/logout"));
	return page(rq, rs, 200, &TPL_logged_out, o);
}

/* s: the session that has just ended, or NULL */
static err go(struct req *rq, struct res *rs, const struct leave *l, const struct session_row *s)
{
	struct param state = { S("state"), l->state };
	if (str_empty(l->to))
		return page_signed_out(rq, rs, s, l->client);
	res_redirect(rq, rs, url_with(rq->a, l->to, &state, l->state.n ? 1 : 0));
	return OK;
}

static err end_session(struct req *rq, struct res *rs, const struct session_row *s, const struct leave *l)
{
	struct audit ev = audit_of(rq, "session.ended");
	ev.person_id = s->person_id;
	ev.sid = s->sid;
	ev.client_id = l->client ? l->client->id : S("");
	TRY(store_session_end(rq->house->store, rq->a, s->id_hash, rq->now, &ev));
	session_forget(rq, rs);
	return OK;
}

static const char QUESTIONS[] = "logout";
enum { QUESTION_LIVES = 600 };

/* What was asked for waits under an id while the person is asked. */
static err keep_question(struct req *rq, const struct leave *l, struct str *id)
{
	struct jw w = jw_new(rq->a, 32768);
	struct str text;
	*id = rand_token(rq->a);
	jw_object(&w, NULL);
	jw_opt(&w, "client_id", l->client ? l->client->id : S(""));
	jw_opt(&w, "to", l->to);
	jw_opt(&w, "state", l->state);
	TRY(jw_done(&w, &text));
	return eph_put(rq->house->eph, rq->a, QUESTIONS, *id, text, QUESTION_LIVES);
}

static err kept_question(struct req *rq, struct leave *l)
{
	struct str text;
	bool found = false;
	json_t *o;
	*l = (struct leave){ 0 };
	if (form(rq, "i").n != 43)
		return OK;
	TRY(eph_take(rq->house->eph, rq->a, QUESTIONS, form(rq, "i"), &text, &found));
	if (!found)
		return OK;
	TRY(json_read_object(rq->a, text, &o));
	l->state = json_text(o, "state");
	TRY(client_find(rq, json_text(o, "client_id"), &l->client));
	if (l->client && strs_has(l->client->post_logout_redirect_uris, json_text(o, "to")))
		l->to = json_text(o, "to");
	return OK;
}

/* section 2: "At the Logout Endpoint, the OP SHOULD ask the End-User whether to log out of the OP as well" - asked unless a hint of ours
 * names this very session. */
static err page_confirm(struct req *rq, struct res *rs, const struct leave *l, const struct session_row *s)
{
	json_t *o = page_data(rq, l->client);
	struct str id;
	TRY(keep_question(rq, l, &id));
	TRY(put_services(rq, s, o));
	json_put_str(o, "action", S("/logout/confirmed"));
	json_put_str(o, "csrf", form_token(rq, s->sid));
	json_put_str(o, "i", id);
	rs->form_action = url_origin(rq->a, l->to);
	return page(rq, rs, 200, &TPL_logout_confirm, o);
}

/* A form of another site comes without our SameSite cookies, and would leave the session behind: the browser comes again by itself. */
static void ask_again(struct req *rq, struct res *rs)
{
	static const char *const NAMES[] = { "id_token_hint", "client_id", "post_logout_redirect_uri", "state" };
	struct param p[sizeof NAMES / sizeof *NAMES];
	size_t n = 0;
	for (size_t k = 0; k < sizeof NAMES / sizeof *NAMES; k++)
		if (param_there(&rq->form, NAMES[k]))
			p[n++] = (struct param){ str_of(NAMES[k]), form(rq, NAMES[k]) };
	res_redirect(rq, rs, url_with(rq->a, S("/logout"), p, n));
}

/* GET and POST /logout */
err ep_logout(struct req *rq, struct res *rs)
{
	struct leave l;
	struct session_row *s;
	if (str_is(rq->method, "POST")) {
		ask_again(rq, rs);
		return OK;
	}
	TRY(read_request(rq, &rq->query, &l));
	TRY(session_now(rq, &s));
	if (!s) {
		if (!l.hinted)
			l.to = S("");            /* nothing proves that this person had anything to do with that client */
		return go(rq, rs, &l, NULL);
	}
	if (!l.hinted || !str_eq(l.hint.sid, s->sid))
		return page_confirm(rq, rs, &l, s);
	TRY(end_session(rq, rs, s, &l));
	return go(rq, rs, &l, s);
}

/* POST /logout/confirmed */
static err ep_logout_confirmed(struct req *rq, struct res *rs)
{
	struct leave l;
	struct session_row *s;
	TRY(session_now(rq, &s));
	TRY(kept_question(rq, &l));
	if (!s)
		return page_signed_out(rq, rs, NULL, l.client);
	TRY(form_check(rq, s->sid));
	if (!str_is(form(rq, "decision"), "logout")) {
		res_redirect(rq, rs, S("/account"));
		return OK;
	}
	TRY(end_session(rq, rs, s, &l));
	return go(rq, rs, &l, s);
}

const struct route LOGOUT_ROUTES[] = {
	{ "GET",  "/logout",           ep_logout,           FAULTS_PAGE, 0 },
	{ "POST", "/logout",           ep_logout,           FAULTS_PAGE, 0 },
	{ "POST", "/logout/confirmed", ep_logout_confirmed, FAULTS_PAGE, 0 },
	{ 0 },
};
