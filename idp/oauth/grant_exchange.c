#include "oauth.h"
#include "audit_of.h"
#include "exchange.h"
#include "exchange_party.h"
#include "issuers.h"
#include "settings.h"

/* Token exchange, RFC 8693: how one agency's system calls another's for a citizen. What may be exchanged is the operator's table
 * (policies/exchange.h); that nothing grows by it is this file's. */

enum { TARGET_MOST = 512, JSON_MOST = 4096 };

struct exchange {
	struct req *rq;
	const struct client *client;
	struct party subject, actor;
	bool acting;                         /* delegation: there is an actor_token */
	struct str confirm;                  /* what the new token is bound to, and so what was shown with this request */
	struct strs audience;
	struct exchange_answer by;
	struct exchanged made;
};

static err refused(const struct exchange *x, const char *why) { return fault(x->rq->a, &INVALID_REQUEST, "%s: %s", x->client->id.p, why); }

/* ---- what is asked for ------------------------------------------------------------------------------------------------- */

/* section 2.1: requested_token_type. Our access tokens are JWTs, so that both names are true; an ID token says that a person signed in
 * to its audience, which nobody did. */
static err read_type(struct exchange *x)
{
	static const struct str TYPES[] = { S("urn:ietf:params:oauth:token-type:access_token"), S("urn:ietf:params:oauth:token-type:jwt") };
	struct str asked = form(x->rq, "requested_token_type");
	for (size_t i = 0; i < sizeof TYPES / sizeof *TYPES; i++)
		if (str_empty(asked) || str_eq(asked, TYPES[i])) {
			x->made.type = TYPES[i];
			return OK;
		}
	return fault(x->rq->a, &INVALID_REQUEST, "requested_token_type '%.80s' is not given", asked.p);
}

/* section 2.1: audience is a name, resource a place (RFC 8707 section 2: an absolute URI without a fragment). The new token is for all that
 * are named and for nobody else. */
static err add_target(struct exchange *x, struct str s, bool place)
{
	if (str_empty(s))
		return OK;
	if (s.n > TARGET_MOST || !str_printable(s) || memchr(s.p, ' ', s.n) || (place && (!strstr(s.p, "://") || memchr(s.p, '#', s.n))))
		return fault(x->rq->a, &INVALID_TARGET, "%s '%.80s' cannot be one", place ? "resource" : "audience", s.p);
	x->audience.v[x->audience.n++] = s;
	return OK;
}

static err read_audience(struct exchange *x)
{
	struct strs places = params_all(x->rq->a, &x->rq->form, "resource");
	x->audience = (struct strs){ .v = make_n(x->rq->a, struct str, places.n + 1) };
	TRY(add_target(x, form(x->rq, "audience"), false));
	for (size_t i = 0; i < places.n; i++)
		TRY(add_target(x, places.v[i], true));
	return x->audience.n ? OK : fault(x->rq->a, &INVALID_TARGET, "%s named neither audience nor resource", x->client->id.p);
}

static err read_tokens(struct exchange *x)
{
	struct party *parties[] = { &x->subject, &x->actor };
	x->acting = form(x->rq, "actor_token").n > 0;
	/* section 2.1: actor_token_type "MUST NOT be included otherwise" */
	if (!x->acting && form(x->rq, "actor_token_type").n)
		return refused(x, "actor_token_type without actor_token");
	TRY(party_subject(x->rq, x->client, &x->subject));
	if (x->acting)
		TRY(party_actor(x->rq, x->client, &x->actor));
	return parties_live(x->rq, parties, x->acting ? 2 : 1);
}

/* ---- who may show what --------------------------------------------------------------------------------------------------- */

static bool held_by(const struct party *p, const struct client *c) { return str_eq(p->rests.client_id, c->id); }

static bool proven(const struct exchange *x, const struct party *p)
{
	return str_empty(p->confirm) || str_eq(p->confirm, x->confirm) || str_eq(p->confirm, confirm_of(x->rq));
}

/* Whoever came by a token that was neither given to it nor meant for it has no business with it, whatever the table says. */
static err check_subject(const struct exchange *x)
{
	const struct party *p = &x->subject;
	if (!held_by(p, x->client) && !word_in(p->audience, x->client->id))
		return refused(x, "the subject token was neither given to it nor meant for it");
	/* RFC 8705 section 3, RFC 9449 section 7: its holder shows the key; whom it is meant for cannot, and is a matter of the table */
	if (held_by(p, x->client) && !proven(x, p))
		return refused(x, "the subject token is bound to another key");
	return p->rests.via.n < 2 * EXCHANGES_MOST ? OK : refused(x, "exchanged too often");
}

/* section 1.1: the actor is the party "to whom authority is delegated": whoever asks, by a token of its own, as itself. */
static err check_actor(const struct exchange *x)
{
	const struct party *p = &x->actor;
	if (!x->acting)
		return OK;
	if (!held_by(p, x->client))
		return refused(x, "the actor token was given to somebody else");
	if (!proven(x, p))
		return refused(x, "the actor token is bound to another key");
	return str_empty(p->act) && !p->rests.via.n ? OK : refused(x, "the actor is acted for itself");
}

/* section 4.4: may_act "makes a statement that one party is authorized to become the actor". Without an actor it is the client that takes
 * the subject's place. What may_act says beyond iss and sub is not understood, and met by nobody. */
static err check_may_act(const struct exchange *x)
{
	json_t *may;
	if (str_empty(x->subject.may_act))
		return OK;
	struct str sub = x->acting ? x->actor.sub : x->client->id;
	TRY(json_read_object(x->rq->a, x->subject.may_act, &may));
	/* without iss it speaks of those whom its own issuer knows */
	bool named = json_object_get(may, "iss") != NULL;
	bool ours = named ? str_eq(json_text(may, "iss"), x->rq->house->issuer) : str_empty(x->subject.iss);
	size_t understood = 1 + (size_t)named;
	if (!ours || !str_eq(json_text(may, "sub"), sub) || json_object_size(may) != understood)
		return refused(x, "the subject token's may_act names another");
	return OK;
}

/* ---- what comes of it -------------------------------------------------------------------------------------------------------- */

static int64_t depth_of(const json_t *act)
{
	int64_t n = 0;
	for (; json_is_object(act); act = json_object_get(act, "act"))
		n++;
	return n;
}

/* section 4.1: the newest actor outside, "prior actors" nested in it. Without a new one those that were stay: what was done by delegation
 * never looks as if it had not been. */
static err write_act(struct exchange *x, int64_t *depth)
{
	json_t *prior = NULL;
	struct jw w = jw_new(x->rq->a, JSON_MOST);
	x->made.act = x->subject.act;
	if (x->subject.act.n)
		TRY(json_read_object(x->rq->a, x->subject.act, &prior));
	*depth = depth_of(prior) + x->acting;
	if (!x->acting)
		return OK;
	jw_object(&w, NULL);
	jw_str(&w, "sub", x->actor.sub);
	if (prior)
		jw_raw(&w, "act", x->subject.act);
	jw_end(&w);
	return jw_done(&w, &x->made.act);
}

static err decide(struct exchange *x)
{
	const struct conf_list *table = &x->rq->house->conf->exchanges;
	struct exchange_ask ask = {
		.client = x->client->id, .subject = x->subject.kind, .from = x->subject.rests.client_id, .audience = x->audience,
		.scope = str_words(x->rq->a, form(x->rq, "scope")), .carried = x->subject.scope, .carries = x->subject.carries,
		.registered = x->client->scope, .acr = x->subject.acr, .acting = x->acting, .bound = !proven(x, &x->subject),
	};
	TRY(write_act(x, &ask.depth));
	x->by = exchange_decide(x->rq->a, table->items, table->n, &ask);
	if (x->by.kind)
		return fault(x->rq->a, x->by.kind, "%s%s%s: %s", x->client->id.p, x->by.rule ? ", rule " : "", x->by.rule ? x->by.rule->name.p : "", x->by.why);
	return OK;
}

/* What was bound stays bound, to whoever asks now. */
static err stay_bound(struct exchange *x)
{
	bool was = x->subject.confirm.n || (x->acting && x->actor.confirm.n);
	if (was && str_empty(x->confirm))
		x->confirm = confirm_of(x->rq);
	return was && str_empty(x->confirm) ? refused(x, "a bound token, and nothing to bind the new one to") : OK;
}

static epoch sooner(epoch a, epoch b) { return a < b ? a : b; }

static epoch expires(const struct exchange *x)
{
	epoch now = x->rq->now, own = sooner(now + x->rq->house->conf->access_lives, now + x->by.lives);
	epoch theirs = x->acting ? sooner(x->subject.exp, x->actor.exp) : x->subject.exp;
	return sooner(own, theirs);
}

static void name_origins(struct exchange *x)
{
	const struct party *p = &x->subject;
	x->made.audience = x->audience;
	x->made.may_act = p->may_act;
	x->made.via = (struct strs){ .v = make_n(x->rq->a, struct str, p->rests.via.n + 2) };
	if (p->rests.jti.n) {
		x->made.via.v[x->made.via.n++] = p->rests.jti;
		x->made.via.v[x->made.via.n++] = p->rests.client_id;
	}
	for (size_t i = 0; i < p->rests.via.n; i++)
		x->made.via.v[x->made.via.n++] = p->rests.via.v[i];
}

/* The grant that the subject token came of, as the subject token told of it. What was granted for one place (RFC 8707, RFC 9396, the claims
 * parameter) is not carried to another. */
static struct grant_row rested_on(const struct exchange *x)
{
	const struct str none = S("");
	const struct party *p = &x->subject;
	struct grant_row g = { .id = none, .person_id = none, .sid = none };
	if (p->grant)
		g = *p->grant;
	g.resources = g.details = g.claims = g.nonce = none;
	g.sub = p->sub;
	g.acr = p->acr;
	g.amr = p->amr;
	g.auth_time = p->auth_time ? p->auth_time : g.auth_time;
	return g;
}

static void audit_party(struct jw *w, const char *name, const struct party *p)
{
	jw_object(w, name);
	jw_str(w, "kind", p->kind);
	jw_opt(w, "iss", p->iss);
	jw_str(w, "sub", p->sub);
	jw_opt(w, "jti", p->rests.jti);
	jw_opt(w, "client_id", p->rests.client_id);
	jw_end(w);
}

static err audit_exchange(const struct exchange *x, const struct tokens *t, struct audit *ev)
{
	struct jw w = jw_new(x->rq->a, 2 * JSON_MOST);
	*ev = tokens_audit(x->rq, t, "token-exchange");
	jw_object(&w, NULL);
	jw_str(&w, "grant_type", S("token-exchange"));
	jw_str(&w, "rule", x->by.rule->name);
	jw_str(&w, "jti", t->jti);
	jw_opt(&w, "grant", t->grant->id);
	jw_opt(&w, "scope", t->scope);
	jw_opt(&w, "cnf", t->confirm);
	jw_strs(&w, "audience", x->audience);
	audit_party(&w, "subject", &x->subject);
	if (x->acting)
		audit_party(&w, "actor", &x->actor);
	jw_end(&w);
	return jw_done(&w, &ev->detail);
}

/* What came of a token of ours rests on its grant; another issuer's begins one. */
static err commit(const struct exchange *x, const struct tokens *t, struct grant_row *g, const struct audit *ev)
{
	struct store *s = x->rq->house->store;
	if (str_empty(x->subject.iss))
		return store_audit(s, x->rq->a, ev);
	g->scope = t->scope;
	g->act = x->made.act;
	return store_grant_put(s, x->rq->a, g, t->expires, ev);
}

static err issue(struct exchange *x, struct res *rs)
{
	struct audit ev;
	struct grant_row g = rested_on(x);
	name_origins(x);
	struct tokens t = {
		.client = x->client, .grant = &g, .scope = strs_join(x->rq->a, x->by.scope, S(" ")), .refresh = S(""), .expires = expires(x),
		.confirm = x->confirm, .exchanged = &x->made,
	};
	TRY(tokens_mint(x->rq, &t));
	TRY(audit_exchange(x, &t, &ev));
	TRY(commit(x, &t, &g, &ev));
	return tokens_answer(x->rq, rs, &t);
}

/* grant_type=urn:ietf:params:oauth:grant-type:token-exchange */
err grant_exchange(struct req *rq, struct res *rs, const struct client *c)
{
	struct exchange x = { .rq = rq, .client = c };
	const struct conf_list *table = &rq->house->conf->exchanges;
	if (str_is(c->auth_method, "none") || !exchange_known(table->items, table->n, c->id))
		return fault(rq->a, &UNAUTHORIZED_CLIENT, "%s is public, or no rule names it", c->id.p);
	TRY(tokens_bind(rq, c, &x.confirm));
	TRY(read_type(&x));
	TRY(read_audience(&x));
	TRY(read_tokens(&x));
	TRY(check_subject(&x));
	TRY(check_actor(&x));
	TRY(check_may_act(&x));
	TRY(decide(&x));
	TRY(stay_bound(&x));
	return issue(&x, rs);
}

/* A client's assertion and a DPoP proof are good once, and a request that waits for keys begins anew when they have come. */
err exchange_fetch(struct req *rq)
{
	return rq->house->conf->issuers.n && form(rq, "subject_token").n ? issuer_fetch(rq, form(rq, "subject_token")) : OK;
}
