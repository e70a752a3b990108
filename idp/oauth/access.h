#pragma once
#include "house.h"

/* Access tokens: JWTs by RFC 9068, signed ES256, at+jwt. Whoever checks one also asks the store whether it still lives. */
struct access {
	struct str jti, sub, client_id, scope, acr, amr, audience; /* scope, amr, audience: words */
	struct str grant_id;                 /* claim gid; "" for client_credentials */
	struct str details;                  /* RFC 9396: JSON array, or "" */
	struct str act, may_act;             /* RFC 8693 sections 4.1 and 4.4: JSON objects, or "" */
	struct str via;                      /* what it was exchanged for, words: jti and client of each, the newest first */
	struct str confirm;                  /* "x5t#S256:…" or "jkt:…" from cnf, or "" */
	struct str kid;                      /* of the key that signed it */
	epoch iat, exp, auth_time;
};

struct tokens;
err access_mint(struct req *rq, struct tokens *t);    /* fills jti and access */
/* Ours, whole and in its time. INVALID_TOKEN otherwise; UNAVAILABLE when that cannot be known. */
err access_read(struct req *rq, struct str token, struct access *out);

/* Whether it still lives, with all that it rests on: one round trip. person as store_token_live gives it; NULL for exchanged ones. */
err access_live(struct req *rq, const struct access *, enum liveness *out, struct grant_row **grant, struct person_row **person);
struct rests access_rests(struct arena *a, const struct access *);

/* Tokens that verified before, by their SHA-256: a bounded set that saves the signature check, never the question whether the
 * token still lives. Safe from any thread. */
err minted_new(struct arena *a, struct minted **out);
void minted_free(struct minted *);
bool minted_look(struct minted *, struct arena *a, const unsigned char hash[32], struct access *out);
void minted_keep(struct minted *, const unsigned char hash[32], const struct access *, epoch now);

/* RFC 6750, RFC 9449 section 7: the token of a protected resource, from the Authorization header or a form, by exactly one of the two;
 * verified, shown by who holds what it is bound to, alive. grant and person as store_token_live gives them. INVALID_TOKEN,
 * INVALID_REQUEST, INVALID_DPOP_PROOF, USE_DPOP_NONCE. */
err bearer_read(struct req *rq, struct access *out, struct grant_row **grant, struct person_row **person);
/* RFC 9470: the person signed in surely enough (acr "": anyhow) and within max_age seconds (0: whenever) for what the token is shown for.
 * INSUFFICIENT_USER_AUTHENTICATION otherwise, with a challenge that says what would do. */
err bearer_sure(struct req *rq, const struct access *, struct str acr, int64_t max_age);
