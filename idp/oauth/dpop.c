#include "oauth.h"
#include "code.h"
#include "hash.h"
#include "oidc.h"
#include "profile.h"
#include "proof.h"
#include "settings.h"

/* RFC 9449: who sends a proof gets tokens that are good for nothing without the key that signed it. */

enum { WINDOW = 60, SLOT = 120, CLOCKS_DIFFER = 15 };

static err wrong(struct req *rq, const char *why, struct str what)
{
	return fault(rq->a, &INVALID_DPOP_PROOF, "%s '%.80s'", why, what.p);
}

/* ---- nonces: section 8 ---- */

/* Every process of the house makes the same one for the same two minutes, so that none must be kept. */
static struct str nonce_of(struct req *rq, int64_t slot)
{
	unsigned char mac[SHA256_SIZE];
	struct str text = str_fmt(rq->a, "%lld", (long long)slot);
	hmac256((struct bytes){ rq->house->secrets.nonce, sizeof rq->house->secrets.nonce }, text.p, text.n, mac);
	return b64url(rq->a, (struct bytes){ mac, sizeof mac });
}

/* The one before was given at most four minutes ago; the one after, by a process whose clock is ahead. */
static bool nonce_good(struct req *rq, struct str nonce)
{
	for (int64_t slot = rq->now / SLOT - 1; slot <= rq->now / SLOT + 1; slot++)
		if (str_same(nonce_of(rq, slot), nonce))
			return true;
	return false;
}

static bool nonce_wanted(const struct req *rq, const struct client *c)
{
	return rq->house->conf->dpop_nonce || c->dpop_nonce || c->rules->dpop_nonce;
}

/* ---- checks: section 4.3 ---- */

/* items 8 and 9: here, or at the name of the same endpoint where certificates are asked for (RFC 8705 section 5) */
static err check_target(struct req *rq, const struct proof *p)
{
	struct str here = str_fmt(rq->a, "%s%s", rq->house->issuer.p, rq->path.p);
	struct str alias = str_fmt(rq->a, "%s%s", rq->house->conf->cert_host.p, rq->path.p);
	if (!str_eq(p->htm, rq->method))
		return wrong(rq, "a proof for the method", p->htm);
	return place_same(p->htu, here) || place_same(p->htu, alias) ? OK : wrong(rq, "a proof for", p->htu);
}

/* items 10 and 11: "the creation time of the JWT, as determined by either the iat claim or a server managed timestamp via the nonce claim, is
 * within an acceptable window" */
static err check_time(struct req *rq, const struct proof *p, bool nonce)
{
	if (nonce && !nonce_good(rq, p->nonce))
		return fault(rq->a, &USE_DPOP_NONCE, "a proof with %s nonce", p->nonce.n ? "an old or foreign" : "no");
	if (!nonce && (p->iat < rq->now - WINDOW || p->iat > rq->now + WINDOW))
		return fault(rq->a, &INVALID_DPOP_PROOF, "a proof made at %lld", (long long)p->iat);
	if (p->exp <= rq->now - CLOCKS_DIFFER || p->nbf > rq->now + CLOCKS_DIFFER)
		return fault(rq->a, &INVALID_DPOP_PROOF, "a proof out of its own time, %lld to %lld", (long long)p->nbf, (long long)p->exp);
	return OK;
}

/* item 12 */
static err check_token(struct req *rq, const struct proof *p, struct str token)
{
	return str_empty(token) || str_same(hash_of(rq->a, token), p->ath) ? OK : wrong(rq, "a proof for another token, ath", p->ath);
}

/* section 11.1: kept for longer than it could be accepted, also by a process whose clock is behind; its time was checked, so that this is
 * never too short (SEC-15) */
static err check_first(struct req *rq, const struct proof *p, bool nonce)
{
	bool first = false;
	struct str id = hash_of(rq->a, str_fmt(rq->a, "%s\n%s\n%s\n%s", p->jkt.p, p->htm.p, rq->path.p, p->jti.p));
	int64_t lives = nonce ? 3 * SLOT : p->iat + WINDOW + CLOCKS_DIFFER - rq->now;
	TRY(eph_once(rq->house->eph, rq->a, "proof", id, S("1"), lives, &first));
	return first ? OK : wrong(rq, "a proof came twice, jti", p->jti);
}

err dpop_read(struct req *rq, const struct client *c, struct str token, struct str *confirm)
{
	struct proof p;
	bool nonce = nonce_wanted(rq, c);
	*confirm = S("");
	if (!param_there(&rq->headers, "dpop"))
		return OK;
	if (nonce)
		rq->dpop_nonce = nonce_of(rq, rq->now / SLOT);
	TRY(proof_read(rq->a, rq->house->shelf, header(rq, "dpop"), c->rules->dpop_algs, &p));
	TRY(check_target(rq, &p));
	TRY(check_token(rq, &p, token));
	TRY(check_time(rq, &p, nonce));
	TRY(envelope_ready(rq, c));              /* the second run of a parked request must not find its own proof */
	TRY(check_first(rq, &p, nonce));
	*confirm = str_fmt(rq->a, "jkt:%s", p.jkt.p);
	return OK;
}

bool confirm_is_jkt(struct str confirm) { return str_starts(confirm, S("jkt:")); }

/* section 10: "the authorization server MUST, when a DPoP proof is also sent, verify that the dpop_jkt parameter matches" (section 10.1) */
err dpop_at_request(struct req *rq, const struct client *c, struct str dpop_jkt, struct str *confirm)
{
	TRY(dpop_read(rq, c, S(""), confirm));
	if (str_empty(dpop_jkt))
		return OK;
	/* the SHA-256 thumbprint of a key, as a code_challenge is one of a verifier */
	if (!pkce_challenge_valid(dpop_jkt))
		return fault(rq->a, &INVALID_REQUEST, "dpop_jkt '%.80s'", dpop_jkt.p);
	struct str named = str_fmt(rq->a, "jkt:%s", dpop_jkt.p);
	if (confirm->n && !str_eq(*confirm, named))
		return wrong(rq, "a proof by another key than dpop_jkt", dpop_jkt);
	*confirm = named;
	return OK;
}
