#pragma once
#include "json.h"
#include "key.h"

/* JWE compact serialisation (RFC 7516) for one recipient: RSA-OAEP-256, ECDH-ES and ECDH-ES+A256KW (P-256, X25519), with A128CBC-HS256 or
 * A256GCM. Nothing else: no password that is hashed a million times, no compression, no RSAES-PKCS1-v1_5, no shared secret. At most JWE_MOST
 * bytes a token, which holds the longest JWS. */
enum { JWE_MOST = 24 * 1024 };
const struct str *jwe_algs(void);                     /* both end with an empty one; the first enc is the default of the registrations */
const struct str *jwe_encs(void);

/* A key to encrypt to, or to open with. It lives as long as the arena that it was read into, and may be used by any thread. */
struct jwe_key;
/* A public one whose use, key_ops and alg, where it has them, allow to encrypt to it. INVALID_REQUEST, also for private members. */
err jwe_key_read(struct arena *a, const json_t *jwk, struct jwe_key **out);
err jwe_key_private(struct arena *a, const json_t *jwk, struct jwe_key **out);
/* Of a client's keys the one for alg: the first that says use enc, else the first that fits; NULL when none does. */
const struct jwe_key *jwe_key_for(const struct key_set *, struct str alg);

/* cty "JWT" when plain is one (RFC 7519 section 5.2); "" leaves it out. INVALID_REQUEST when key, alg and enc do not go together. */
err jwe_encrypt(struct arena *a, const struct jwe_key *to, struct str alg, struct str enc, struct str cty, struct str plain, struct str *token);

/* alg and enc are among those words, and the token opens with this key. Five canonical base64url parts, a header without duplicate names, crit
 * or zip; an epk on the key's own curve. INVALID_TOKEN: whether the key or the text was wrong is not told, nor to be timed (RFC 7516 section
 * 11.5: a key that does not open is replaced by a random one). */
err jwe_decrypt(struct arena *a, const struct jwe_key *own, struct str token, struct str algs, struct str encs, struct bytes *plain);
