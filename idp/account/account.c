#include "account.h"
#include "interaction.h"
#include "oidc.h"
#include "pages.h"
#include "session.h"
#include "settings.h"
#include "clock.h"

/* GET / */
static err ep_home(struct req *rq, struct res *rs)
{
	json_t *o = json_own(rq->a, json_object());
	json_put_str(o, "account", S("/account"));
	return page(rq, rs, 200, &TPL_home, o);
}

/* Our own page needs a login like any application's: an interaction without a client. */
static err sign_in_first(struct req *rq, struct res *rs)
{
	struct interaction *i = make(rq->a, struct interaction);
	*i = (struct interaction){ .id = interaction_id(rq->a), .created_at = rq->now, .max_age = -1 };
	interaction_bind(rq, rs, i);
	TRY(interaction_put(rq, i));
	res_redirect(rq, rs, interaction_url(rq, i, "/login"));
	return OK;
}

static err services(struct req *rq, const struct session_row *s, json_t *o)
{
	struct strs ids;
	json_t *list = json_array();
	json_object_set_new(o, "apps", list);
	TRY(store_session_clients(rq->house->store, rq->a, s->sid, &ids));
	for (size_t n = 0; n < ids.n; n++) {
		const struct client *c;
		TRY(client_find(rq, ids.v[n], &c));
		if (c) {
			json_t *app = json_object();
			json_put_str(app, "name", c->name);
			json_put_str(app, "uri", c->client_uri);
			json_array_append_new(list, app);
		}
	}
	return OK;
}

/* dd/mm/yyyy hh:mm at UTC+7, as people here read it (UX.md 3.3) */
static struct str local_time(struct arena *a, epoch t)
{
	struct str z = clock_text(a, t + 7 * 3600);
	return str_fmt(a, "%.2s:%.2s %.2s/%.2s/%.4s", z.p + 11, z.p + 14, z.p + 8, z.p + 5, z.p);
}

/* GET /account */
static err ep_account(struct req *rq, struct res *rs)
{
	struct session_row *s;
	struct person_row *p;
	json_t *o = json_own(rq->a, json_object());
	TRY(session_now(rq, &s));
	if (!s)
		return sign_in_first(rq, rs);
	TRY(store_person(rq->house->store, rq->a, s->person_id, &p));
	if (!p)
		return sign_in_first(rq, rs);
	json_put_str(o, "person", p->name);
	json_put_str(o, "method", s->method);
	json_put_str(o, "level", s->acr);
	json_put_str(o, "since", local_time(rq->a, s->auth_time));
	json_put_str(o, "csrf", form_token(rq, s->sid));
	json_put_str(o, "logout", S("/account/signout"));
	TRY(services(rq, s, o));
	return page(rq, rs, 200, &TPL_account, o);
}

/* POST /account/signout */
static err ep_signout(struct req *rq, struct res *rs)
{
	struct session_row *s;
	TRY(session_now(rq, &s));
	if (s)
		TRY(form_check(rq, s->sid));
	return sign_out(rq, rs, s);
}

const struct route ACCOUNT_ROUTES[] = {
	{ "GET",  "/",                ep_home,    FAULTS_PAGE, 0 },
	{ "GET",  "/account",         ep_account, FAULTS_PAGE, 0 },
	{ "POST", "/account/signout", ep_signout, FAULTS_PAGE, 0 },
	{ 0 },
};
