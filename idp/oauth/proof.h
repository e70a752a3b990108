#pragma once
#include "err.h"
#include "str.h"

/* A DPoP proof (RFC 9449 section 4.2), taken apart: whoever holds the key `jkt` has said this. Whether it was said of this request, now and
 * for the first time, is dpop.c's to find out. */
struct proof {
	struct str jkt;                      /* RFC 7638 thumbprint of its key */
	struct str jti, htm, htu;
	struct str ath, nonce;               /* "" when not there */
	epoch iat, nbf, exp;                 /* an unsaid nbf or exp limits nothing */
};
struct shelf;                            /* pki/shelf.h: or NULL */
err proof_read(struct arena *a, struct shelf *, struct str text, struct str algs, struct proof *out);   /* INVALID_DPOP_PROOF */

/* Both name one place: scheme and host without case, without a default port, query and fragment (section 4.3 item 9, RFC 3986 section 6.2). */
bool place_same(struct str htu, struct str url);
