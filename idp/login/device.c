#include "assurance.h"
#include "audit_of.h"
#include "authorize.h"
#include "decoupled.h"
#include "login.h"
#include "oidc.h"
#include "pages.h"
#include "rand.h"
#include "session.h"
#include "settings.h"

/* Where a person types, or confirms, the code that a device shows: RFC 8628 section 3.3. What follows is an ordinary sign-in, whose
 * consent page shows the code again and whose answer is the device's to fetch. */

enum { WINDOW = 600 };

static err page_form(struct req *rq, struct res *rs, int status, struct str typed, const char *error, const char *code_error)
{
	json_t *data = json_own(rq->a, json_pack("{s:s, s:s, s:s%}", "action", "/device", "here", "/device", "user_code", typed.p, typed.n));
	if (error)
		json_object_set_new(data, "error", json_string(error));
	if (code_error)
		json_object_set_new(data, "user_code_error", json_string(code_error));
	return page(rq, rs, status, &TPL_device, data);
}

/* GET /device[?user_code=]: section 3.3.1, verification_uri_complete: filled in, still to be compared and sent by the person */
static err ep_device(struct req *rq, struct res *rs)
{
	struct str code, typed = query(rq, "user_code");
	return page_form(rq, rs, 200, user_code_read(rq->a, typed, &code) ? user_code_shown(rq->a, code) : S(""), NULL, NULL);
}

/* section 5.1: tries of one address, and of all together; each counts before it is looked at, right or wrong. */
static err count_try(struct req *rq, bool *over)
{
	const struct settings *c = rq->house->conf;
	const struct { struct str id; int64_t most; } LIMITS[] = { { peer_net(rq), c->device_tries_per_address }, { S("*"), c->device_tries } };
	*over = false;
	for (size_t n = 0; n < sizeof LIMITS / sizeof *LIMITS && !*over; n++) {
		int64_t total = 0;
		TRY(eph_count(rq->house->eph, rq->a, "device-try", LIMITS[n].id, 1, WINDOW, &total));
		*over = total > LIMITS[n].most;
	}
	return OK;
}

static bool is_open(struct req *rq, const struct decoupled_row *d) { return d && !d->decided_at && d->expires_at > rq->now; }

static err wrong_code(struct req *rq, struct res *rs)
{
	struct audit ev = audit_of(rq, "device.refused");
	ev.outcome = str_of(INVALID_GRANT.code);
	ev.why = S("a user code that is none, or no longer");
	TRY(refusal_write(rq, &ev));
	return page_form(rq, rs, 400, form(rq, "user_code"), NULL, "user_code");
}

static err begin(struct req *rq, struct res *rs, const struct decoupled_row *d, struct str code)
{
	struct interaction *i = make(rq->a, struct interaction);
	const struct client *c;
	TRY(client_find(rq, d->client_id, &c));
	if (!c)
		return wrong_code(rq, rs);
	*i = (struct interaction){ .id = interaction_id(rq->a), .created_at = rq->now, .max_age = -1, .client_id = d->client_id, .scope = d->scope,
	                           .acr_values = d->acr_values, .acr_floor = c->minimum_acr, .user_code = code };
	interaction_bind(rq, rs, i);
	TRY(interaction_put(rq, i));
	res_redirect(rq, rs, interaction_url(rq, i, "/authorize/continue"));
	return OK;
}

/* POST /device: user_code */
static err ep_device_typed(struct req *rq, struct res *rs)
{
	struct str code, typed = form(rq, "user_code");
	struct decoupled_row *d;
	bool over;
	if (!user_code_read(rq->a, typed, &code))
		return page_form(rq, rs, 400, typed, NULL, typed.n ? "user_code" : "empty");
	TRY(count_try(rq, &over));
	if (over)
		return page_form(rq, rs, 429, typed, "too_many_requests", NULL);
	TRY(store_decoupled_find(rq->house->store, rq->a, DEVICE.name, user_code_handle(rq->house, rq->a, code), &d));
	if (!is_open(rq, d))
		return wrong_code(rq, rs);
	return begin(rq, rs, d, code);
}

/* ---- deciding ---- */

static err to_end(struct req *rq, struct res *rs, const char *state)
{
	res_redirect(rq, rs, str_fmt(rq->a, "/device/%s", state));
	return OK;
}

static err decide(struct req *rq, struct res *rs, const struct interaction *i, const struct decision *d, struct audit *ev)
{
	bool decided;
	ev->client_id = i->client_id;
	ev->outcome = d->grant ? S("ok") : d->refusal;
	TRY(store_decoupled_decide(rq->house->store, rq->a, DEVICE.name, user_code_handle(rq->house, rq->a, i->user_code), rq->now, d, ev, &decided));
	return to_end(rq, rs, !decided ? "gone" : d->grant ? "granted" : "denied");
}

err device_denied(struct req *rq, struct res *rs, const struct interaction *i)
{
	struct audit ev = audit_of(rq, "device.decided");
	return decide(rq, rs, i, &(struct decision){ .refusal = S("access_denied") }, &ev);
}

/* What the device does later is no part of what this browser does: it has a session of its own, which outlives this one. */
static struct session_row session_of_device(struct req *rq, const struct session_row *s)
{
	struct session_row n = { .person_id = s->person_id, .acr = s->acr, .amr = s->amr, .method = s->method, .cert_id = s->cert_id };
	session_begin(rq, &n);                /* nobody has its secret: it is good for the grant alone */
	n.auth_time = s->auth_time;
	return n;
}

err device_granted(struct req *rq, struct res *rs, const struct interaction *i, const struct client *c, const struct session_row *s)
{
	struct session_row own = session_of_device(rq, s);
	struct grant_row g = {
		.id = rand_id(rq->a, rq->now_ms), .client_id = c->id, .person_id = s->person_id, .sid = own.sid,
		.sub = subject_for(rq->house, rq->a, c, s->person_id), .scope = i->scope, .acr = acr_answer(s->acr, i->acr_values), .amr = s->amr,
		.auth_time = s->auth_time, .created_at = rq->now, .offline = word_in(i->scope, S("offline_access")), .cert_id = s->cert_id,
	};
	struct audit ev = audit_of(rq, "device.decided");
	ev.person_id = s->person_id;
	ev.sid = own.sid;
	ev.detail = str_fmt(rq->a, "{\"grant\":\"%s\"}", g.id.p);
	return decide(rq, rs, i, &(struct decision){ .refusal = S(""), .grant = &g, .session = &own }, &ev);
}

/* GET /device/granted, /device/denied, /device/gone */
static err ep_device_end(struct req *rq, struct res *rs)
{
	json_t *data = json_own(rq->a, json_pack("{s:s}", "state", strrchr(rq->route->path, '/') + 1));
	return page(rq, rs, 200, &TPL_device_end, data);
}

const struct route DEVICE_ROUTES[] = {
	{ "GET",  "/device",         ep_device,       FAULTS_PAGE, 0 },
	{ "POST", "/device",         ep_device_typed, FAULTS_PAGE, NEEDS_SAME_SITE },
	{ "GET",  "/device/granted", ep_device_end,   FAULTS_PAGE, 0 },
	{ "GET",  "/device/denied",  ep_device_end,   FAULTS_PAGE, 0 },
	{ "GET",  "/device/gone",    ep_device_end,   FAULTS_PAGE, 0 },
	{ 0 },
};
