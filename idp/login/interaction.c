#include "interaction.h"
#include "audit_of.h"
#include "code.h"
#include "rand.h"
#include "settings.h"

static const char KIND[] = "interaction";

/* One row a member: the same table writes and reads. */
static const struct member { const char *name; size_t at; enum { TEXT, NUMBER, FLAG } type; } MEMBERS[] = {
#define M(f, t) { #f, offsetof(struct interaction, f), t }
	M(browser, TEXT), M(client_id, TEXT), M(redirect_uri, TEXT), M(response_mode, TEXT), M(state, TEXT), M(nonce, TEXT),
	M(pushed, TEXT), M(scope, TEXT), M(challenge, TEXT), M(confirm, TEXT), M(acr_values, TEXT), M(acr_floor, TEXT), M(prompt, TEXT), M(login_hint, TEXT), M(claims, TEXT), M(hint_sub, TEXT),
	M(user_code, TEXT), M(resources, TEXT), M(details, TEXT),
	M(max_age, NUMBER), M(acr_essential, FLAG), M(created_at, NUMBER), M(login_at, NUMBER), M(consented, TEXT), M(nonce_token, TEXT),
	M(sim.txn, TEXT), M(sim.msisdn, TEXT), M(sim.number, TEXT), M(sim.hash, TEXT), M(sim.code, TEXT),
	M(sim.sent_at, NUMBER), M(sim.deadline, NUMBER),
#undef M
};
enum { MEMBERS_N = sizeof MEMBERS / sizeof *MEMBERS };

static err write(struct arena *a, const struct interaction *i, struct str *out)
{
	struct jw w = jw_new(a, 32768);
	jw_object(&w, NULL);
	for (size_t k = 0; k < MEMBERS_N; k++) {
		const void *field = (const char *)i + MEMBERS[k].at;
		switch (MEMBERS[k].type) {
		case TEXT: jw_opt(&w, MEMBERS[k].name, *(const struct str *)field); break;
		case NUMBER: jw_int(&w, MEMBERS[k].name, *(const int64_t *)field); break;
		case FLAG: jw_bool(&w, MEMBERS[k].name, *(const bool *)field); break;
		}
	}
	return jw_done(&w, out);
}

static err read(struct arena *a, struct str text, struct interaction *i)
{
	json_t *o;
	TRY(json_read_object(a, text, &o));
	for (size_t k = 0; k < MEMBERS_N; k++) {
		void *field = (char *)i + MEMBERS[k].at;
		switch (MEMBERS[k].type) {
		case TEXT: *(struct str *)field = json_text(o, MEMBERS[k].name); break;
		case NUMBER: json_int(o, MEMBERS[k].name, field); break;
		case FLAG: json_bool(o, MEMBERS[k].name, field); break;
		}
	}
	return OK;
}

struct str interaction_id(struct arena *a) { return rand_token(a); }

static struct str label(struct arena *a, const char *kind, struct str id) { return str_fmt(a, "%s:%s", kind, id.p); }

/* Four for each attempt at signing in, and a long request counts for several. */
err begun_count(struct req *rq, size_t size)
{
	enum { WINDOW = 600, FOR_EACH = 4, PIECE = 2048 };
	int64_t n = 0;
	TRY(eph_count(rq->house->eph, rq->a, "begun", peer_net(rq), 1 + (int64_t)(size / PIECE), WINDOW, &n));
	if (n > FOR_EACH * rq->house->conf->attempts_per_address)
		return fault(rq->a, &TOO_MANY_REQUESTS, "more sign-ins were begun from one address than are allowed");
	return OK;
}

err interaction_put(struct req *rq, const struct interaction *i)
{
	struct str text;
	int64_t left = i->created_at + rq->house->conf->interaction_lives - rq->now;
	if (left <= 0)
		return fault(rq->a, &INTERACTION_GONE, "the interaction has lived its time");
	TRY(write(rq->a, i, &text));
	if (!i->kept)
		TRY(begun_count(rq, text.n));
	return eph_put(rq->house->eph, rq->a, KIND, i->id, seal(rq->a, rq->house->secrets.seal, label(rq->a, KIND, i->id), text), left);
}

err request_put(struct req *rq, const char *kind, struct str id, const struct interaction *i, int64_t seconds)
{
	struct str text;
	TRY(write(rq->a, i, &text));
	return eph_put(rq->house->eph, rq->a, kind, id, seal(rq->a, rq->house->secrets.seal, label(rq->a, kind, id), text), seconds);
}

err request_get(struct req *rq, const char *kind, struct str id, struct interaction **out)
{
	struct str sealed, text;
	bool found = false;
	*out = NULL;
	TRY(eph_get(rq->house->eph, rq->a, kind, id, &sealed, &found));
	if (!found || !seal_open(rq->a, rq->house->secrets.seal, label(rq->a, kind, id), sealed, &text))
		return OK;
	*out = make(rq->a, struct interaction);
	return read(rq->a, text, *out);
}

struct str interaction_named(const struct req *rq)
{
	struct str id = form(rq, "i");
	return id.n ? id : query(rq, "i");
}

static err open_sealed(struct req *rq, struct str id, struct str sealed, struct interaction **out)
{
	struct str text;
	if (!seal_open(rq->a, rq->house->secrets.seal, label(rq->a, KIND, id), sealed, &text))
		return fault(rq->a, &INTERACTION_GONE, "a stored interaction does not open");
	struct interaction *i = make(rq->a, struct interaction);
	i->id = id, i->kept = true;
	TRY(read(rq->a, text, i));

	/* SEC-18: what was begun in one browser is of no use in another */
	struct str mark = house_cookie(rq, "browser");
	if (i->browser.n && (!mark.n || !str_same(i->browser, hash_of(rq->a, mark))))
		return fault(rq->a, &INTERACTION_GONE, "the interaction belongs to another browser");
	*out = i;
	return OK;
}

static err look(struct req *rq, enum eph_verb how, struct eph_op *more, size_t n, struct interaction **out)
{
	struct eph_op all[EPH_TOGETHER] = { { .verb = how, .kind = KIND, .id = interaction_named(rq) } };
	if (all[0].id.n != 43)
		return fault(rq->a, &INTERACTION_GONE, "no interaction is named");
	if (n >= EPH_TOGETHER)
		return fault(rq->a, &SERVER_ERROR, "%zu short-lived values with an interaction", n);
	for (size_t k = 0; k < n; k++)
		all[k + 1] = more[k];
	TRY(eph_do(rq->house->eph, rq->a, all, n + 1));
	for (size_t k = 0; k < n; k++)
		more[k] = all[k + 1];
	if (!all[0].yes)
		return fault(rq->a, &INTERACTION_GONE, "no such interaction");
	return open_sealed(rq, all[0].id, all[0].value, out);
}

err interaction_resume(struct req *rq, struct interaction **out) { return look(rq, EPH_GET, NULL, 0, out); }

/* SEC-18, SEC-32: were it anybody's, who prepared it could wait for the login of whomever they sent there. */
static err taken_up(struct req *rq, const struct interaction *i)
{
	return i->browser.n ? OK : fault(rq->a, &INTERACTION_GONE, "no browser has taken the interaction up");
}

err interaction_get(struct req *rq, struct interaction **out)
{
	TRY(interaction_resume(rq, out));
	return taken_up(rq, *out);
}

err interaction_take(struct req *rq, struct interaction **out)
{
	struct interaction *mine;
	TRY(interaction_resume(rq, &mine));  /* another browser's must not be taken by asking */
	return look(rq, EPH_TAKE, NULL, 0, out);
}

/* A form's token is bound to the browser and to the interaction. */
static struct str bound(struct req *rq, struct str id) { return str_fmt(rq->a, "%s.%s", house_cookie(rq, "browser").p, id.p); }

err interaction_post_with(struct req *rq, struct eph_op *more, size_t n, struct interaction **out)
{
	TRY(look(rq, EPH_GET, more, n, out));
	TRY(taken_up(rq, *out));
	return form_check(rq, bound(rq, (*out)->id));
}

err interaction_post(struct req *rq, struct interaction **out) { return interaction_post_with(rq, NULL, 0, out); }

void interaction_bind(struct req *rq, struct res *rs, struct interaction *i)
{
	struct str mark = house_cookie(rq, "browser");
	if (mark.n != 43) {
		mark = rand_token(rq->a);
		res_cookie(rq, rs, "browser", mark, -1);
	}
	i->browser = hash_of(rq->a, mark);
}

struct str interaction_url(struct req *rq, const struct interaction *i, const char *path)
{
	return str_fmt(rq->a, "%s?i=%s", path, i->id.p);
}

struct str url_origin(struct arena *a, struct str url)
{
	const char *p = url.n ? strstr(url.p, "://") : NULL;
	if (!p)
		return S("");
	size_t n = (size_t)(p - url.p) + 3;
	while (n < url.n && !strchr("/?#", url.p[n]))
		n++;
	return str_dup(a, url.p, n);
}

/* RFC 7591 section 5: a logo from another site than the application's may be somebody else's; it is shown only from where one of the redirect
 * URIs is. */
static struct str logo_origin(struct arena *a, const struct client *c)
{
	struct str at = url_origin(a, c->logo_uri);
	for (size_t i = 0; str_starts(at, S("https://")) && i < c->redirect_uris.n; i++)
		if (str_eq(at, url_origin(a, c->redirect_uris.v[i])))
			return at;
	return S("");
}

err interaction_page(struct req *rq, struct res *rs, const struct interaction *i, const char *action, json_t **data)
{
	json_t *o = json_own(rq->a, json_object()), *app = json_object();
	json_object_set_new(o, "client", app);
	if (i->client_id.n) {
		const struct client *c;
		TRY(client_find(rq, i->client_id, &c));
		if (!c)
			return fault(rq->a, &INTERACTION_GONE, "client %s was removed meanwhile", i->client_id.p);
		json_put_str(app, "name", c->name);
		json_put_str(app, "logo", c->logo_uri);
		json_put_str(app, "uri", c->client_uri);
		json_put_str(app, "policy", c->policy_uri);
		json_put_str(app, "tos", c->tos_uri);
		rs->images = logo_origin(rq->a, c);
		rs->form_action = url_origin(rq->a, i->redirect_uri);
	} else {
		json_put_str(app, "name", rq->house->conf->name);
	}
	json_put_str(o, "provider", rq->house->conf->name);
	json_put_str(o, "action", str_of(action));
	json_put_str(o, "cancel", S("/login/cancel"));
	if (rq->house->conf->methods.n > 1 && !str_is(str_of(action), "/login"))
		json_put_str(o, "other", S("/login/other"));
	json_put_str(o, "i", i->id);
	json_put_str(o, "csrf", form_token(rq, bound(rq, i->id)));
	*data = o;
	return OK;
}
