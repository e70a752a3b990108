#include "audit_of.h"
#include "code.h"
#include "log.h"
#include "login.h"
#include "name.h"
#include "number.h"
#include "pages.h"
#include "rand.h"
#include "settings.h"
#include "sim_ask.h"
#include "signature.h"

/* Login by a signature made on the SIM. The person gives phone and personal number (SIGNATURES.md 1.3: a phone number alone must
 * not start a push), sees the verification code, then has the phone asked, and waits on a page. Whatever the numbers are, known or
 * not, the pages and their timing are the same: an unknown pair waits until the time is up. */

enum { NUMBER_PREFIX = sizeof "PNOVN-" - 1 };

/* The phone shows plain letters: Vietnamese diacritics would halve what fits (SIGNATURES.md 1.1). */
static err what_phone_shows(struct req *rq, const struct interaction *i, struct str *out)
{
	const struct client *c = NULL;
	if (i->client_id.n)
		TRY(client_find(rq, i->client_id, &c));
	struct str name = name_plain(rq->a, c ? c->name : rq->house->conf->name);
	*out = str_fmt(rq->a, "%.60s: dang nhap. Ma {code}. Chi xac nhan neu dung ma nay.", name.p);
	return OK;
}

/* ---- asking the phone ---------------------------------------------------------------------------------------------------- */

static err ask_phone(struct req *rq, struct interaction *i)
{
	struct str display;
	bool may;
	TRY(what_phone_shows(rq, i, &display));
	TRY(sim_prepare(rq, &i->sim, i->client_id, rq->house->conf->sim_timeout, &may));
	TRY(interaction_put(rq, i));
	return may ? sim_start(rq, &i->sim, display, NULL, NULL) : OK;
}

/* ---- pages --------------------------------------------------------------------------------------------------------------- */

/* What was typed; on a page that is opened again, what was good before: nothing is to be typed twice (WCAG 2.2, 3.3.7). */
static void put_typed(struct req *rq, json_t *data, const struct interaction *i)
{
	struct str m = i->sim.msisdn, n = i->sim.number;
	bool typed = param_there(&rq->form, "phone");
	json_put_str(data, "phone", typed || m.n < 3 ? form(rq, "phone") : str_fmt(rq->a, "0%s", m.p + 3));
	json_put_str(data, "number", typed || n.n < NUMBER_PREFIX ? form(rq, "number") : str_of(n.p + NUMBER_PREFIX));
}

static err page_form(struct req *rq, struct res *rs, const struct interaction *i, const char *error, const char *phone_error, const char *number_error)
{
	json_t *data;
	TRY(interaction_page(rq, rs, i, "/login/sim", &data));
	json_put_str(data, "here", interaction_url(rq, i, "/login/sim"));
	if (error)
		json_put_str(data, "error", str_of(error));
	if (phone_error)
		json_put_str(data, "phone_error", str_of(phone_error));
	if (number_error)
		json_put_str(data, "number_error", str_of(number_error));
	put_typed(rq, data, i);
	return page(rq, rs, error || phone_error || number_error ? 400 : 200, &TPL_sim, data);
}

static void put_hint(struct req *rq, json_t *data, const struct interaction *i)
{
	struct str m = i->sim.msisdn;
	json_put_str(data, "phone_hint", str_fmt(rq->a, "%s%s", "••• ••• ", m.n > 3 ? m.p + m.n - 3 : ""));
	json_put_str(data, "code", i->sim.code);
}

/* GET /login/sim?i= */
static err ep_sim(struct req *rq, struct res *rs)
{
	struct interaction *i;
	TRY(interaction_get(rq, &i));
	return page_form(rq, rs, i, NULL, NULL, NULL);
}

/* POST /login/sim: phone and number; the code is made and shown, nothing is sent yet */
static err ep_sim_begin(struct req *rq, struct res *rs)
{
	struct interaction *i;
	struct str phone, number;
	struct bytes hash;
	TRY(interaction_post(rq, &i));
	TRY(login_offered(rq, i, "sim"));
	bool phone_good = phone_canonical(rq->a, form(rq, "phone"), &phone), number_good = person_number_canonical(rq->a, form(rq, "number"), &number);
	if (!phone_good || !number_good)
		return page_form(rq, rs, i, NULL, phone_good ? NULL : form(rq, "phone").n ? "phone" : "empty", number_good ? NULL : form(rq, "number").n ? "number" : "empty");

	i->sim = (struct sim){ .msisdn = phone, .number = number, .txn = rand_token(rq->a) };
	const struct str fields[] = { i->client_id, i->browser };
	TRY(sim_hash(rq, &i->sim, S("motid-sim-login/1"), fields, 2));
	if (!b64url_read(rq->a, i->sim.hash, &hash))
		return fault(rq->a, &SERVER_ERROR, "our own hash does not read");
	i->sim.code = rq->house->mobile ? mobile_code(rq->house->mobile, rq->a, phone, hash) : code_vn(rq->a, digest_info(rq->a, hash));
	TRY(interaction_put(rq, i));
	res_redirect(rq, rs, interaction_url(rq, i, "/login/sim/code"));
	return OK;
}

/* POST /login/sim/again: a new try is a new request, with a code of its own, for the same numbers unless they are changed */
static err ep_sim_again(struct req *rq, struct res *rs)
{
	struct interaction *i;
	TRY(interaction_post(rq, &i));
	i->sim = (struct sim){ .msisdn = i->sim.msisdn, .number = i->sim.number };
	TRY(interaction_put(rq, i));
	res_redirect(rq, rs, interaction_url(rq, i, "/login/sim"));
	return OK;
}

static err with_open_request(struct req *rq, struct res *rs, struct interaction *i, bool *there)
{
	*there = i->sim.txn.n > 0;
	if (!*there)
		res_redirect(rq, rs, interaction_url(rq, i, "/login/sim"));
	return OK;
}

/* GET /login/sim/code?i=: the code before the phone is asked, so that the person has seen it first */
static err ep_sim_code(struct req *rq, struct res *rs)
{
	struct interaction *i;
	json_t *data;
	bool there;
	TRY(interaction_get(rq, &i));
	TRY(with_open_request(rq, rs, i, &there));
	if (!there)
		return OK;
	if (i->sim.sent_at) {
		res_redirect(rq, rs, interaction_url(rq, i, "/login/sim/wait"));
		return OK;
	}
	TRY(interaction_page(rq, rs, i, "/login/sim/send", &data));
	put_hint(rq, data, i);
	return page(rq, rs, 200, &TPL_sim_code, data);
}

/* When it was our fault that nobody was asked, the button may be pressed again. */
static err ask_or_let_go(struct req *rq, struct interaction *i)
{
	err e = ask_phone(rq, i);
	if (e.kind)
		TRY(sim_let_go(rq, &i->sim));
	return e;
}

/* POST /login/sim/send: now the phone is asked, once */
static err ep_sim_send(struct req *rq, struct res *rs)
{
	struct interaction *i;
	bool there, over;
	struct sim_open open;
	TRY(interaction_post(rq, &i));
	TRY(with_open_request(rq, rs, i, &there));
	if (!there)
		return OK;
	if (!i->sim.sent_at) {
		TRY(sim_over_limit(rq, &i->sim, i->client_id, true, &over));
		if (over)
			return page_form(rq, rs, i, "too_many_requests", NULL, NULL);
		TRY(sim_open(rq, &i->sim, rq->house->conf->sim_timeout, &open));
		if (!open.mine)
			return page_form(rq, rs, i, "sim_open", NULL, NULL);
		if (open.first)
			TRY(ask_or_let_go(rq, i));
	}
	res_redirect(rq, rs, interaction_url(rq, i, "/login/sim/wait"));
	return OK;
}

/* ---- what came back ------------------------------------------------------------------------------------------------------- */

static err finish(struct req *rq, struct res *rs, struct interaction *i, const struct mobile_result *r)
{
	struct evidence e;
	struct proved p;
	bool mine;
	TRY(sim_proved(rq, &i->sim, r, &e, &p));
	TRY(sim_spend(rq, &i->sim, &mine));
	if (!mine)
		return fault(rq->a, &INTERACTION_GONE, "the phone's answer was used already");
	i->sim = (struct sim){ 0 };
	return login_finish(rq, rs, i, &e, &p);
}

static const char *end_of_fault(const struct err_kind *k)
{
	static const struct { const struct err_kind *kind; const char *end; } ENDS[] = {
		{ &CERT_REVOKED, "revoked" }, { &CERT_EXPIRED, "untrusted" }, { &CERT_UNTRUSTED, "untrusted" }, { &CERT_UNSUITABLE, "untrusted" },
		{ &STATUS_UNKNOWN, "status_unknown" }, { &INTERACTION_GONE, "timed_out" },
	};
	for (size_t n = 0; n < sizeof ENDS / sizeof *ENDS; n++)
		if (ENDS[n].kind == k)
			return ENDS[n].end;
	return "not_person";
}

static err page_end(struct req *rq, struct res *rs, struct interaction *i, const char *end)
{
	json_t *data;
	TRY(interaction_page(rq, rs, i, "/login/sim", &data));
	json_put_str(data, "state", str_of(end));
	if (strcmp(end, "blocked") && strcmp(end, "revoked"))
		json_put_str(data, "again", S("/login/sim/again"));
	return page(rq, rs, 200, &TPL_sim_end, data);
}

static err ended_by_phone(struct req *rq, struct res *rs, struct interaction *i, const struct mobile_result *r)
{
	const char *end = sim_end(r->state);
	struct audit ev = audit_of(rq, "login.refused");
	ev.client_id = i->client_id;
	ev.outcome = str_of(end);
	ev.why = str_fmt(rq->a, "operator code '%.20s'", r->code.n ? r->code.p : "");
	ev.detail = str_fmt(rq->a, "{\"method\":\"sim\",\"txn\":\"%s\"}", i->sim.txn.p);
	TRY(refusal_write(rq, &ev));
	return page_end(rq, rs, i, end);
}

static err page_wait(struct req *rq, struct res *rs, const struct interaction *i)
{
	json_t *data;
	int64_t left = i->sim.deadline - rq->now;
	TRY(interaction_page(rq, rs, i, "/login/sim/wait", &data));
	put_hint(rq, data, i);
	json_put_str(data, "here", interaction_url(rq, i, "/login/sim/wait"));
	json_put_str(data, "poll", interaction_url(rq, i, "/login/sim/poll"));
	json_object_set_new(data, "seconds_left", json_integer(left > 0 ? left : 0));
	return page(rq, rs, 200, &TPL_sim_wait, data);
}

/* GET /login/sim/wait?i=: asked again and again, by the page's script or by its own refresh, until there is an end */
static err ep_sim_wait(struct req *rq, struct res *rs)
{
	struct interaction *i;
	struct mobile_result r;
	TRY(interaction_get(rq, &i));
	if (!i->sim.sent_at) {
		/* the page was asked twice, and the first time signed in */
		res_redirect(rq, rs, interaction_url(rq, i, i->login_at ? "/authorize/continue" : "/login/sim/code"));
		return OK;
	}
	TRY(sim_answer(rq, &i->sim, &r));
	if (r.state == MOBILE_PENDING)
		return page_wait(rq, rs, i);
	if (r.state != MOBILE_SIGNED)
		return ended_by_phone(rq, rs, i, &r);

	err e = login_failed(rq, i, "sim", finish(rq, rs, i, &r));
	if (login_undecided(e))
		return e;
	log_say(LOG_INFO, "login by SIM refused", "req", rq->id.p, "code", e.kind->code, "why", e.why, NULL);
	return page_end(rq, rs, i, end_of_fault(e.kind));
}

/* GET /login/sim/poll?i=: {"state":"pending"|"done","seconds_left":n} */
static err ep_sim_poll(struct req *rq, struct res *rs)
{
	struct interaction *i;
	struct mobile_result r;
	TRY(interaction_get(rq, &i));
	TRY(sim_answer(rq, &i->sim, &r));
	int64_t left = i->sim.deadline > rq->now ? i->sim.deadline - rq->now : 0;
	res_json(rs, 200, str_fmt(rq->a, "{\"state\":\"%s\",\"seconds_left\":%lld}", r.state == MOBILE_PENDING ? "pending" : "done", (long long)left));
	return OK;
}

const struct route SIM_ROUTES[] = {
	{ "GET",  "/login/sim",      ep_sim,       FAULTS_PAGE, 0 },
	{ "POST", "/login/sim",      ep_sim_begin, FAULTS_PAGE, 0 },
	{ "POST", "/login/sim/again", ep_sim_again, FAULTS_PAGE, 0 },
	{ "GET",  "/login/sim/code", ep_sim_code,  FAULTS_PAGE, 0 },
	{ "POST", "/login/sim/send", ep_sim_send,  FAULTS_PAGE, 0 },
	{ "GET",  "/login/sim/wait", ep_sim_wait,  FAULTS_PAGE, 0 },
	{ "GET",  "/login/sim/poll", ep_sim_poll,  FAULTS_JSON, 0 },
	{ 0 },
};
