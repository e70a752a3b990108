#pragma once
#include "json.h"
#include "key.h"

/* Tokens of issuers that are not us. Two doors one behind the other: jws_read and what follows here pin spelling, key, algorithm, type and
 * claims; then libjwt checks the signature, in the RS and ES of SHA-256 that it knows. libjwt alone would take the algorithm from the token,
 * an RSA key's text as an HMAC secret, no key for a good one, and "=" after a signature (SECURITY.md 0.1); nothing of what it reads is used. */
struct foreign {
	struct str iss;                      /* exact text */
	struct strs audience;                /* a token of it must be for one of these */
	struct strs algs;                    /* of "RS256 ES256" */
};

/* Whose a token says that it is, and by which key, unproven: for looking up. INVALID_TOKEN. */
err foreign_peek(struct arena *a, struct str token, struct str *iss, struct str *kid);

/* A token of that issuer, by one of its keys, for us, in its time: claims has iss, sub, aud, exp. typ is JWT, at+jwt or none. INVALID_TOKEN. */
err foreign_read(struct arena *a, struct str token, const struct foreign *, const struct key_set *keys, epoch now, json_t **claims);
