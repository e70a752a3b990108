#include "decoupled.h"
#include "hash.h"
#include "rand.h"
#include "settings.h"

enum { SLOWER = 5, SLOWEST = 60, CLOCKS = 1 };

err decoupled_allowed(struct req *rq, const struct client *c, const struct decoupled_kind *kind)
{
	if (strs_has(c->grant_types, str_of(kind->grant_type)))
		return OK;
	return fault(rq->a, &UNAUTHORIZED_CLIENT, "%s is not registered for %s", c->id.p, kind->grant_type);
}

/* RFC 8628 section 3.5, CIBA Core section 11: slow_down, and "the interval MUST be increased by 5 seconds for this and all subsequent
 * requests". The pace may be lost with a cache; what it slows is a question that costs one read. */
static err keep_pace(struct req *rq, const struct decoupled_row *d)
{
	struct eph *eph = rq->house->eph;
	int64_t lives = d->expires_at - rq->now, faster = 0;
	bool in_time;
	TRY(eph_count(eph, rq->a, "poll-fast", d->hash, 0, lives, &faster));
	int64_t pause = POLL_INTERVAL + SLOWER * faster < SLOWEST ? POLL_INTERVAL + SLOWER * faster : SLOWEST;
	TRY(eph_once(eph, rq->a, "poll", d->hash, S("1"), pause - CLOCKS, &in_time));
	if (in_time)
		return OK;
	TRY(eph_count(eph, rq->a, "poll-fast", d->hash, 1, lives, &faster));
	TRY(eph_put(eph, rq->a, "poll", d->hash, S("1"), pause + SLOWER - CLOCKS));
	return fault(rq->a, &SLOW_DOWN, "%s asked before %lld s were over", d->client_id.p, (long long)pause);
}

static err look(struct req *rq, const struct client *c, const struct decoupled_kind *kind, struct str hash, struct decoupled_row **d, struct grant_row **g)
{
	TRY(store_decoupled_look(rq->house->store, rq->a, kind->name, hash, d, g));
	if (!*d)
		return fault(rq->a, &INVALID_GRANT, "no such %s", kind->parameter);
	if (!str_eq((*d)->client_id, c->id))
		return fault(rq->a, &INVALID_GRANT, "%s issued to %s, presented by %s", kind->parameter, (*d)->client_id.p, c->id.p);
	if ((*d)->redeemed_at)
		return fault(rq->a, &INVALID_GRANT, "%s came twice from %s", kind->parameter, c->id.p);
	if ((*d)->expires_at <= rq->now)
		return fault(rq->a, &EXPIRED_TOKEN, "%s of %s expired", kind->parameter, c->id.p);
	return OK;
}

/* Pending until somebody has decided. */
static err decision(struct req *rq, const struct client *c, const struct decoupled_kind *kind, struct decoupled_row **d, struct grant_row **g)
{
	bool decided = (*d)->decided_at;
	if (!decided && kind->settle)
		TRY(kind->settle(rq, c, *d, &decided));
	if (!decided) {
		TRY(keep_pace(rq, *d));
		return fault(rq->a, &AUTHORIZATION_PENDING, "nobody has decided yet");
	}
	if (!(*d)->decided_at)
		TRY(look(rq, c, kind, (*d)->hash, d, g));
	if (!*g)
		return fault(rq->a, &REFUSED_BY_PERSON, "refused: %s", (*d)->refusal.p);
	return OK;
}

static struct refresh_row first_refresh(struct req *rq, const struct tokens *t)
{
	return (struct refresh_row){
		.hash = hash_of(rq->a, t->refresh), .grant_id = t->grant->id, .scope = t->scope, .confirm = t->confirm, .parent = S(""),
		.created_at = rq->now, .expires_at = rq->now + rq->house->conf->refresh_lives,
	};
}

/* A second use is refused, and undoes nothing: a client that lost our answer asks again with the same code. */
static err spend(struct req *rq, const struct decoupled_kind *kind, const struct decoupled_row *d, const struct tokens *t)
{
	enum redeem outcome;
	struct audit ev = tokens_audit(rq, t, kind->grant_type);
	struct refresh_row first = t->refresh.n ? first_refresh(rq, t) : (struct refresh_row){ 0 };
	TRY(store_decoupled_redeem(rq->house->store, rq->a, kind->name, d->hash, t->jti, rq->now, t->refresh.n ? &first : NULL, &ev, &outcome));
	if (outcome == CODE_REDEEMED)
		return OK;
	return fault(rq->a, outcome == CODE_EXPIRED ? &EXPIRED_TOKEN : &INVALID_GRANT, "grant %s: %s", t->grant->id.p,
	             outcome == CODE_REPLAYED ? "redeemed already" : "expired, or what it rests on has ended");
}

err decoupled_redeem(struct req *rq, const struct decoupled_kind *kind, const struct decoupled_row *d, struct tokens *t)
{
	if (strs_has(t->client->grant_types, S("refresh_token")))
		t->refresh = rand_token(rq->a);
	TRY(tokens_mint(rq, t));
	return spend(rq, kind, d, t);
}

err decoupled_tokens(struct req *rq, struct res *rs, const struct client *c, const struct decoupled_kind *kind)
{
	struct str secret = form(rq, kind->parameter);
	struct decoupled_row *d;
	struct grant_row *g;

	if (str_empty(secret))
		return fault(rq->a, &INVALID_REQUEST, "no %s from %s", kind->parameter, c->id.p);
	TRY(look(rq, c, kind, hash_of(rq->a, secret), &d, &g));
	TRY(decision(rq, c, kind, &d, &g));
	struct tokens t = { .client = c, .grant = g, .scope = g->scope, .refresh = S("") };
	TRY(tokens_narrow(rq, &t));
	TRY(tokens_bind(rq, c, &t.confirm));
	TRY(decoupled_redeem(rq, kind, d, &t));
	return tokens_answer(rq, rs, &t);
}
