#include "authorize.h"
#include "audit_of.h"
#include "oauth.h"
#include "rand.h"
#include "settings.h"

/* Pushed authorization requests, RFC 9126: checked when they come, from a client that proved itself, and kept under a name that says
 * nothing. The name is good for one answer to the application; until then its page may be loaded again. */

#define URN "urn:ietf:params:oauth:request_uri:"
static const char KIND[] = "pushed", SPENT[] = "pushed-spent";
enum { ID = 43 };

/* ---- /par --------------------------------------------------------------------------------------------------------- */

/* section 2.2: "expires_in ... a JSON number that represents the lifetime of the request URI in seconds" */
static err answer(struct req *rq, struct res *rs, struct str id)
{
	struct str json;
	struct jw w = jw_new(rq->a, 256);
	jw_object(&w, NULL);
	jw_str(&w, "request_uri", str_fmt(rq->a, URN "%s", id.p));
	jw_int(&w, "expires_in", rq->house->conf->request_lives);
	jw_end(&w);
	TRY(jw_done(&w, &json));
	res_json(rs, 201, json);
	return OK;
}

/* section 2.3: the errors of the token endpoint, which knows none of redirect URIs */
static err for_json(struct req *rq, err e)
{
	return e.kind == &INVALID_REDIRECT_URI ? fault(rq->a, &INVALID_REQUEST, "%s", e.why) : e;
}

static err push(struct req *rq, struct res *rs, const struct client **client)
{
	struct interaction *i = make(rq->a, struct interaction);
	struct ask k = { .rq = rq, .params = rq->form, .i = i, .pushed = true };
	TRY(client_authenticate(rq, client));
	if (str_is((*client)->auth_method, "none"))
		TRY(begun_count(rq, rq->body.n));
	*i = (struct interaction){ .created_at = rq->now, .max_age = -1 };
	k.client = *client;
	TRY(checks_run(&k, CHECKS_BEFORE_REDIRECT));
	TRY(checks_run(&k, CHECKS));
	struct str id = rand_token(rq->a);
	TRY(request_put(rq, KIND, id, i, rq->house->conf->request_lives));
	return answer(rq, rs, id);
}

/* POST /par: section 2 */
err ep_par(struct req *rq, struct res *rs)
{
	const struct client *client = NULL;
	err e = for_json(rq, push(rq, rs, &client));
	return refusal_audited(rq, "request.refused", client, e);
}

/* ---- at /authorize --------------------------------------------------------------------------------------------------- */

bool pushed_named(const struct params *l) { return str_starts(param_of(l, "request_uri"), S(URN)); }

static err unknown(struct req *rq, const char *why, struct str client)
{
	return fault(rq->a, &INVALID_REQUEST_URI, "%s, from %.80s", why, client.p);
}

/* section 4; section 7.3: "the request_uri must be bound to the client". Of the other parameters none counts. */
err pushed_read(struct ask *k)
{
	struct req *rq = k->rq;
	struct interaction *kept, *i = k->i;
	struct str id = str_from(rq->a, param_of(&k->params, "request_uri"), sizeof URN - 1), begun = i->id;
	TRY(check_client(k));
	if (id.n != ID)
		return unknown(rq, "a request_uri that was never given out", k->client->id);
	TRY(request_get(rq, KIND, id, &kept));
	if (!kept)
		return unknown(rq, "a request_uri that is over", k->client->id);
	if (!str_eq(kept->client_id, k->client->id))
		return unknown(rq, "the request_uri of another client", k->client->id);
	*i = *kept;
	i->id = begun, i->pushed = id, i->created_at = rq->now;
	return OK;
}

err pushed_spend(struct req *rq, const struct interaction *i)
{
	struct str kept;
	bool first = true, found;
	if (str_empty(i->pushed))
		return OK;
	/* longer than any interaction lives that began with it */
	int64_t lives = rq->house->conf->request_lives + rq->house->conf->interaction_lives;
	TRY(eph_once(rq->house->eph, rq->a, SPENT, i->pushed, S("1"), lives, &first));
	if (!first)
		return unknown(rq, "a request_uri that was answered", i->client_id);
	return eph_take(rq->house->eph, rq->a, KIND, i->pushed, &kept, &found);
}
