#include "interaction.h"
#include "oidc.h"
#include "pages.h"
#include "rand.h"
#include "session.h"
#include "settings.h"

/* OpenID Connect RP-Initiated Logout 1.0. */

/* The applications of a session that are registered still. */
struct services { const struct client **v; size_t n; };

/* What was asked for, as far as it could be believed; and what the last page shows, read before the session ends, so that a store which does
 * not answer has ended nothing. next: the id under which `to` waits while frames are loaded, or "". */
struct leave { const struct client *client; struct id_hint hint; struct str to, state; bool hinted; struct services services; struct str next; };

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

static err services_of(struct req *rq, const struct session_row *s, struct services *out)
{
	struct strs ids;
	TRY(store_session_clients(rq->house->store, rq->a, s->sid, &ids));
	*out = (struct services){ .v = make_n(rq->a, const struct client *, ids.n + 1) };
	for (size_t i = 0; i < ids.n; i++) {
		TRY(client_find(rq, ids.v[i], &out->v[out->n]));
		out->n += out->v[out->n] != NULL;
	}
	return OK;
}

static void put_services(const struct services *l, json_t *o)
{
	json_t *list = json_array();
	json_object_set_new(o, "services", list);
	for (size_t i = 0; i < l->n; i++)
		json_array_append_new(list, json_pack("{s:s%}", "name", l->v[i]->name.p, l->v[i]->name.n));
}

/* OpenID Connect Front-Channel Logout 1.0 section 2: "the OP renders <iframe src="frontchannel_logout_uri"> in a page with the registered logout
 * URI", with iss and sid, which say whose session it was. The page may frame these origins and no others. */
static void put_frames(struct req *rq, struct res *rs, const struct session_row *s, const struct services *l, json_t *o)
{
	enum { FRAMES_MOST = 30 };
	const struct param whose[] = { { S("iss"), rq->house->issuer }, { S("sid"), s->sid } };
	json_t *list = json_array();
	json_object_set_new(o, "frames", list);
	for (size_t i = 0; i < l->n && json_array_size(list) < FRAMES_MOST; i++) {
		struct str uri = l->v[i]->frontchannel_logout_uri;
		if (str_empty(uri))
			continue;
		json_t *frame = json_object();
		json_put_str(frame, "name", l->v[i]->name);
		json_put_str(frame, "uri", url_with(rq->a, uri, whose, 2));
		json_array_append_new(list, frame);
		rs->frames = str_fmt(rq->a, "%s%s%s", rs->frames.n ? rs->frames.p : "", rs->frames.n ? " " : "", url_origin(rq->a, uri).p);
	}
}

static const char QUESTIONS[] = "logout", FRAMED[] = "logout-framed";
enum { QUESTION_LIVES = 600 };

/* What was asked for waits under an id while the person is asked, or while frames are loaded. */
static err keep_question(struct req *rq, const char *drawer, const struct leave *l, struct str *id)
{
	struct jw w = jw_new(rq->a, 32768);
	struct str text;
	*id = rand_token(rq->a);
	jw_object(&w, NULL);
	jw_opt(&w, "client_id", l->client ? l->client->id : S(""));
	jw_opt(&w, "to", l->to);
	jw_opt(&w, "state", l->state);
	TRY(jw_done(&w, &text));
	return eph_put(rq->house->eph, rq->a, drawer, *id, text, QUESTION_LIVES);
}

static err kept_question(struct req *rq, const char *drawer, struct str id, struct leave *l)
{
	struct str text;
	bool found = false;
	json_t *o;
	*l = (struct leave){ 0 };
	if (id.n != 43)
		return OK;
	TRY(eph_take(rq->house->eph, rq->a, drawer, id, &text, &found));
	if (!found)
		return OK;
	TRY(json_read_object(rq->a, text, &o));
	l->state = json_text(o, "state");
	TRY(client_find(rq, json_text(o, "client_id"), &l->client));
	if (l->client && strs_has(l->client->post_logout_redirect_uris, json_text(o, "to")))
		l->to = json_text(o, "to");
	return OK;
}

static bool any_frames(const struct services *l)
{
	for (size_t i = 0; i < l->n; i++)
		if (l->v[i]->frontchannel_logout_uri.n)
			return true;
	return false;
}

/* s: the session that has just ended, or NULL */
static err page_signed_out(struct req *rq, struct res *rs, const struct leave *l, const struct session_row *s)
{
	json_t *o = page_data(rq, l->client);
	if (l->client)
		json_put_str(o, "continue", l->client->client_uri);
	put_services(&l->services, o);
	if (s)
		put_frames(rq, rs, s, &l->services, o);
	json_put_str(o, "here", S("/logout"));
	return page(rq, rs, 200, &TPL_logged_out, o);
}

/* The frames are loaded first, and only then does the browser go on. */
static err page_frames(struct req *rq, struct res *rs, const struct leave *l, const struct session_row *s)
{
	json_t *o = page_data(rq, l->client);
	put_services(&l->services, o);
	put_frames(rq, rs, s, &l->services, o);
	json_put_str(o, "next", l->next);
	return page(rq, rs, 200, &TPL_signing_out, o);
}

static err go(struct req *rq, struct res *rs, const struct leave *l, const struct session_row *s)
{
	struct param state = { S("state"), l->state };
	if (l->next.n)
		return page_frames(rq, rs, l, s);
	if (str_empty(l->to))
		return page_signed_out(rq, rs, l, s);
	res_redirect(rq, rs, url_with(rq->a, l->to, &state, l->state.n ? 1 : 0));
	return OK;
}

static err leave(struct req *rq, struct res *rs, struct leave *l, const struct session_row *s)
{
	TRY(services_of(rq, s, &l->services));
	if (l->to.n && any_frames(&l->services))
		TRY(keep_question(rq, FRAMED, l, &l->next));
	TRY(session_end(rq, rs, s, l->client ? l->client->id : S(""), "signed out"));
	return go(rq, rs, l, s);
}

err sign_out(struct req *rq, struct res *rs, const struct session_row *s)
{
	struct leave l = { 0 };
	return s ? leave(rq, rs, &l, s) : page_signed_out(rq, rs, &l, NULL);
}

/* GET /logout/done?i=: the frames have been shown */
static err ep_logout_done(struct req *rq, struct res *rs)
{
	struct leave l;
	TRY(kept_question(rq, FRAMED, query(rq, "i"), &l));
	return go(rq, rs, &l, NULL);
}

/* section 2: "At the Logout Endpoint, the OP SHOULD ask the End-User whether to log out of the OP as well" - asked unless a hint of ours
 * names this very session. */
static err page_confirm(struct req *rq, struct res *rs, const struct leave *l, const struct session_row *s)
{
	json_t *o = page_data(rq, l->client);
	struct services services;
	struct str id;
	TRY(keep_question(rq, QUESTIONS, l, &id));
	TRY(services_of(rq, s, &services));
	put_services(&services, o);
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
	return leave(rq, rs, &l, s);
}

/* POST /logout/confirmed */
static err ep_logout_confirmed(struct req *rq, struct res *rs)
{
	struct leave l;
	struct session_row *s;
	TRY(session_now(rq, &s));
	TRY(kept_question(rq, QUESTIONS, form(rq, "i"), &l));
	if (!s)
		return page_signed_out(rq, rs, &l, NULL);
	TRY(form_check(rq, s->sid));
	if (!str_is(form(rq, "decision"), "logout")) {
		res_redirect(rq, rs, S("/account"));
		return OK;
	}
	return leave(rq, rs, &l, s);
}

const struct route LOGOUT_ROUTES[] = {
	{ "GET",  "/logout",           ep_logout,           FAULTS_PAGE, 0 },
	{ "POST", "/logout",           ep_logout,           FAULTS_PAGE, 0 },
	{ "GET",  "/logout/done",      ep_logout_done,      FAULTS_PAGE, 0 },
	{ "POST", "/logout/confirmed", ep_logout_confirmed, FAULTS_PAGE, 0 },
	{ 0 },
};
