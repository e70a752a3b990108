#include "oauth.h"
#include "code.h"
#include "hash.h"
#include "settings.h"

/* The successor of a token follows from the token itself, so that a client which lost our answer and asks again within the grace gets
 * the same one, from any process, without a secret having been stored. */
static struct str successor(struct req *rq, struct str token)
{
	unsigned char mac[SHA256_SIZE];
	const struct secrets *s = &rq->house->secrets;
	hmac256((struct bytes){ s->rotate, sizeof s->rotate }, token.p, token.n, mac);
	return b64url(rq->a, (struct bytes){ mac, sizeof mac });
}

/* RFC 6749 section 6: "The requested scope MUST NOT include any scope not originally granted by the resource owner, and if omitted is
 * treated as equal". */
static err narrow(struct req *rq, const struct client *c, struct str granted, struct str *scope)
{
	struct strs asked = str_words(rq->a, form(rq, "scope")), had = str_words(rq->a, granted), kept = { .v = make_n(rq->a, struct str, had.n + 1) };
	for (size_t i = 0; i < asked.n; i++)
		if (!word_in(granted, asked.v[i]))
			return fault(rq->a, &INVALID_SCOPE, "'%.80s' was not granted", asked.v[i].p);
	/* what the registration has lost since is granted no more (SEC-08) */
	for (size_t i = 0; i < had.n; i++)
		if (word_in(c->scope, had.v[i]) && (!asked.n || strs_has(asked, had.v[i])))
			kept.v[kept.n++] = had.v[i];
	*scope = strs_join(rq->a, kept, S(" "));
	return kept.n ? OK : fault(rq->a, &INVALID_SCOPE, "nothing is left of what %s was granted", c->id.p);
}

static err check_refresh(struct req *rq, const struct client *c, const struct refresh_row *r, const struct grant_row *g, struct tokens *t)
{
	if (!str_eq(g->client_id, c->id))
		return fault(rq->a, &INVALID_GRANT, "refresh token issued to %s, presented by %s", g->client_id.p, c->id.p);
	/* RFC 9449 section 5, RFC 8705 section 7.1: what a public client's token is bound to, it must show again; that of a confidential one is
	 * bound to the client, which may come with another key or certificate, for the new access token */
	TRY(tokens_narrow(rq, t));
	TRY(tokens_bind(rq, c, &t->confirm));
	if (r->confirm.n && str_is(c->auth_method, "none") && !str_eq(r->confirm, t->confirm))
		return fault(rq->a, &INVALID_GRANT, "refresh token of grant %s is bound to another key", g->id.p);
	if (r->used_at && rq->now - r->used_at > rq->house->conf->refresh_grace)
		return grant_betrayed(rq, g, "a refresh token came again after its grace");
	if (r->expires_at <= rq->now)
		return fault(rq->a, &INVALID_GRANT, "refresh token of grant %s expired", g->id.p);
	if (g->revoked_at)
		return fault(rq->a, &INVALID_GRANT, "grant %s was revoked", g->id.p);
	return narrow(rq, c, r->scope, &t->scope);
}

/* RFC 6749 section 6: "the refresh token scope MUST be identical to that of the refresh token included by the client" */
static struct refresh_row next_refresh(struct req *rq, const struct refresh_row *r, struct str token)
{
	return (struct refresh_row){
		.hash = hash_of(rq->a, token), .grant_id = r->grant_id, .scope = r->scope, .confirm = r->confirm, .parent = r->hash,
		.generation = r->generation + 1, .created_at = rq->now, .expires_at = rq->now + rq->house->conf->refresh_lives,
	};
}

static err rotate(struct req *rq, const struct refresh_row *r, const struct grant_row *g, const struct tokens *t)
{
	enum rotate outcome;
	struct audit ev = tokens_audit(rq, t, "refresh_token");
	struct refresh_row next = t->refresh.n ? next_refresh(rq, r, t->refresh) : (struct refresh_row){ 0 };
	TRY(store_refresh_rotate(rq->house->store, rq->a, r->hash, t->refresh.n ? &next : NULL, rq->now, rq->house->conf->refresh_grace,
	                         &ev, &outcome));
	switch (outcome) {
	case REFRESH_ROTATED:
	case REFRESH_AGAIN:
		return OK;
	case REFRESH_REPLAYED:
		return grant_betrayed(rq, g, "a refresh token came again after it was replaced");
	case REFRESH_EXPIRED:
		return fault(rq->a, &INVALID_GRANT, "refresh token of grant %s expired", g->id.p);
	case REFRESH_REVOKED:
		return fault(rq->a, &INVALID_GRANT, "grant %s, or what it rests on, has ended", g->id.p);
	case REFRESH_UNKNOWN:
		break;
	}
	return fault(rq->a, &INVALID_GRANT, "no such refresh token");
}

/* grant_type=refresh_token: RFC 6749 section 6, RFC 9700 section 4.14.2 */
err grant_refresh(struct req *rq, struct res *rs, const struct client *c)
{
	struct str token = form(rq, "refresh_token");
	struct refresh_row *r;
	struct grant_row *g;

	if (str_empty(token))
		return fault(rq->a, &INVALID_REQUEST, "no refresh_token from %s", c->id.p);
	TRY(store_refresh_look(rq->house->store, rq->a, hash_of(rq->a, token), &r, &g));
	if (!r || !g)
		return fault(rq->a, &INVALID_GRANT, "no such refresh token");
	struct tokens t = { .client = c, .grant = g, .refresh = c->rotate_refresh ? successor(rq, token) : S("") };
	TRY(check_refresh(rq, c, r, g, &t));
	TRY(tokens_mint(rq, &t));
	TRY(rotate(rq, r, g, &t));
	return tokens_answer(rq, rs, &t);
}
