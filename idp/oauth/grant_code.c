#include "oauth.h"
#include "audit_of.h"
#include "hash.h"
#include "rand.h"
#include "settings.h"

err code_issue(struct req *rq, const struct client *client, struct grant_row *g, const struct code_row *asked, struct str *code)
{
	struct audit ev = audit_of(rq, "code.issued");
	g->id = rand_id(rq->a, rq->now_ms);
	*code = rand_token(rq->a);
	struct code_row row = {
		.hash = hash_of(rq->a, *code), .grant_id = g->id, .redirect_uri = asked->redirect_uri, .challenge = asked->challenge, .confirm = asked->confirm,
		.created_at = rq->now, .expires_at = rq->now + rq->house->conf->code_lives,
	};
	ev.client_id = client->id;
	ev.person_id = g->person_id;
	ev.sid = g->sid;
	ev.detail = str_fmt(rq->a, "{\"grant\":\"%s\"}", g->id.p);
	return store_code_put(rq->house->store, rq->a, &row, g, &ev);
}

/* RFC 6749 section 4.1.3, RFC 7636 section 4.6. All before the code is spent: whoever has a code but not what belongs to it must not
 * be able to spoil it for its client. */
static err check_code(struct req *rq, const struct client *c, const struct code_row *code, const struct grant_row *g)
{
	if (!str_eq(g->client_id, c->id))
		return fault(rq->a, &INVALID_GRANT, "code issued to %s, presented by %s", g->client_id.p, c->id.p);
	if (!str_eq(code->redirect_uri, form(rq, "redirect_uri")))
		return fault(rq->a, &INVALID_GRANT, "redirect_uri is not the one of the authorization request");
	if (c->require_pkce && str_empty(code->challenge))
		return fault(rq->a, &INVALID_GRANT, "%s must use PKCE and the code has no challenge", c->id.p);
	return pkce_verify(rq->a, code->challenge, form(rq, "code_verifier"));
}

static struct refresh_row first_refresh(struct req *rq, const struct grant_row *g, const struct tokens *t)
{
	return (struct refresh_row){
		.hash = hash_of(rq->a, t->refresh), .grant_id = g->id, .scope = t->scope, .confirm = t->confirm, .parent = S(""),
		.created_at = rq->now, .expires_at = rq->now + rq->house->conf->refresh_lives,
	};
}

static err spend(struct req *rq, const struct code_row *code, const struct grant_row *g, const struct tokens *t)
{
	enum redeem outcome;
	struct audit ev = tokens_audit(rq, t, "authorization_code");
	struct refresh_row first = t->refresh.n ? first_refresh(rq, g, t) : (struct refresh_row){ 0 };
	TRY(store_code_redeem(rq->house->store, rq->a, code->hash, t->jti, rq->now, t->refresh.n ? &first : NULL, &ev, &outcome));
	switch (outcome) {
	case CODE_REDEEMED:
		return OK;
	case CODE_REPLAYED:
		return grant_betrayed(rq, g, "a code came twice");
	case CODE_EXPIRED:
		return fault(rq->a, &INVALID_GRANT, "code of grant %s expired", g->id.p);
	case CODE_REVOKED:
		return fault(rq->a, &INVALID_GRANT, "grant %s, or what it rests on, has ended", g->id.p);
	case CODE_UNKNOWN:
		break;
	}
	return fault(rq->a, &INVALID_GRANT, "no such code");
}

/* grant_type=authorization_code */
err grant_code(struct req *rq, struct res *rs, const struct client *c)
{
	struct str secret = form(rq, "code");
	struct code_row *code;
	struct grant_row *g;

	if (str_empty(secret))
		return fault(rq->a, &INVALID_REQUEST, "no code from %s", c->id.p);
	TRY(store_code_look(rq->house->store, rq->a, hash_of(rq->a, secret), &code, &g));
	if (!code || !g)
		return fault(rq->a, &INVALID_GRANT, "no such code");
	TRY(check_code(rq, c, code, g));
	/* section 4.1.2: "If an authorization code is used more than once, the authorization server MUST deny the request and SHOULD
	 * revoke (when possible) all tokens previously issued based on that authorization code." */
	if (code->redeemed_at)
		return grant_betrayed(rq, g, "a code came twice");
	if (code->expires_at <= rq->now)
		return fault(rq->a, &INVALID_GRANT, "code of grant %s expired", g->id.p);

	struct tokens t = { .client = c, .grant = g, .scope = g->scope, .refresh = S(""), .first = true };
	TRY(tokens_narrow(rq, &t));
	TRY(tokens_bind(rq, c, &t.confirm));
	if (code->confirm.n && !str_eq(code->confirm, t.confirm))
		return fault(rq->a, &INVALID_GRANT, "code of grant %s is bound to another key", g->id.p);
	if (strs_has(c->grant_types, S("refresh_token")))
		t.refresh = rand_token(rq->a);
	TRY(tokens_mint(rq, &t));
	TRY(spend(rq, code, g, &t));
	return tokens_answer(rq, rs, &t);
}
