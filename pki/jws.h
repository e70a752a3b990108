#pragma once
#include "json.h"
#include "key.h"
#include "signer.h"

/* JWS compact serialisation (RFC 7515), the one door to JOSE. At most 16 KiB a token, 8 KiB a header. */

/* {"alg","kid","typ"} || claims, signed. claims is a JSON object as text. typ "" leaves it out. */
err jws_sign(struct arena *a, struct signer *, struct str typ, struct str claims, struct str *token);

struct jws { struct str alg, kid, typ; json_t *header; struct str payload; struct str signing_input; struct bytes signature; };

/* Takes a token apart without believing it: exactly three canonical base64url parts, header an object without duplicate
 * names, alg a known asymmetric one, no crit, no b64, no zip. jku, x5u, x5c are never used as keys, jwk only where said. INVALID_TOKEN. */
err jws_read(struct arena *a, struct str token, struct jws *out);

/* jws_read, then: alg is one of `algs` (words), typ is `typ` ("" = any; compared without "application/" and without case,
 * RFC 7515 section 4.1.9), and the signature verifies with the key. claims: the payload as an object. INVALID_TOKEN. */
err jws_verify(struct arena *a, struct str token, const struct key *, struct str algs, struct str typ, json_t **claims);

/* The same by the key in its own header (jwk, RFC 7515 section 4.1.3). It shows that whoever made the token holds that key, and nothing
 * else: what RFC 9449 wants of a proof. The arena holds the key. */
struct shelf;                            /* pki/shelf.h: or NULL */
err jws_verify_by_own(struct arena *a, struct shelf *, struct str token, struct str algs, struct str typ, struct key **key, json_t **claims);

/* RFC 7519 section 4.1: exp and nbf are integers and hold at `now` with `skew`; iat is not in the future beyond skew.
 * need: words of claims that must be present. INVALID_TOKEN with which. */
err jwt_check_times(struct arena *a, const json_t *claims, epoch now, int64_t skew, struct str need);
