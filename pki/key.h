#pragma once
#include "err.h"
#include "str.h"
#include "json.h"

/* A public key, parsed once. Reference-counted, safe from any thread; who made it or holds it drops it. RSA 2048..4096 with odd e >= 3; P-256, P-384, P-521
 * as named curves; Ed25519. Anything else is refused (INVALID_REQUEST) with its reason. */
struct key;
enum key_kind { KEY_RSA, KEY_P256, KEY_P384, KEY_P521, KEY_ED25519, KEY_X25519 };   /* the last is for jwe.h alone: it checks nothing */

err key_from_jwk(struct arena *a, const json_t *jwk, struct key **out);      /* refuses private members, kty/crv/alg mismatch, bad encoding,
                                                                                use or key_ops other than for checking; an alg in it binds the key */
err key_from_spki(struct arena *a, struct bytes der, struct key **out);
struct key *key_hold(struct key *);
void key_drop(struct key *);                                                 /* NULL is fine; as arena_defer's fn: key_drop_later */
void key_drop_later(void *key);
enum key_kind key_kind(const struct key *);
struct str key_thumbprint(const struct key *, struct arena *a);              /* RFC 7638, SHA-256, base64url */
struct bytes key_spki(const struct key *, struct arena *a);                  /* DER SubjectPublicKeyInfo */

/* A JWK Set that a client registered: what it signs with, and what may be encrypted to it (jwe.h chooses). kid selects; without a kid, the
 * only key that fits alg. */
struct jwe_key;
struct key_set { struct { struct str kid, alg, use; struct key *key; } *v; size_t n; struct jwe_key **to; size_t nto; };
err key_set_read(struct arena *a, const json_t *jwks, struct key_set *out);  /* unknown kty are skipped; the arena holds the keys */
struct key *key_set_find(const struct key_set *, struct str kid, struct str alg);

/* One signature by one key. alg in JWA names: RS256 RS384 RS512 PS256 PS384 PS512 ES256 ES384 ES512 EdDSA, and Ed25519, which is EdDSA
 * by its newer name (RFC 9864). ES*: raw r||s of the exact length. false also when alg and key do not go together (RFC 8725 section 3.1). */
bool key_verify(const struct key *, struct str alg, struct bytes input, struct bytes sig);

/* at_hash, c_hash, s_hash (OpenID Connect Core section 3.1.3.6): base64url of the left half of the hash that alg signs with. */
struct str alg_half_hash(struct arena *a, struct str alg, struct str text);
