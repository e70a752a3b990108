#pragma once
#include <openssl/evp.h>
#include "key.h"

/* What key.c, jws.c and the signers share; no other room includes it. */

/* One row for every algorithm that we know, bound to the one kind of key that it goes with (RFC 8725 section 3.1). */
struct alg {
	struct str name;
	enum key_kind kind;
	int md;                              /* which digest of digest_of(); none for EdDSA */
	bool pss;
	size_t coordinate;                   /* bytes of r and of s; 0 when the signature is not ECDSA's */
};
const struct alg *alg_find(struct str name);     /* NULL: unknown, none, symmetric */

/* ECDSA-Sig-Value (RFC 3279 section 2.2.3) to and from r || s of exactly twice the coordinate (RFC 7518 section 3.4). */
enum { COORDINATE_MOST = 66, DER_SIG_MOST = 3 + 2 * (3 + COORDINATE_MOST) };
size_t sig_to_der(const unsigned char *rs, size_t coordinate, unsigned char der[DER_SIG_MOST]);
bool sig_from_der(const unsigned char *der, size_t n, size_t coordinate, unsigned char *rs);

/* A context made ready once, to be duplicated for each signature: the duplicate costs 1 µs, init 6 µs. NULL for Ed25519, and
 * when the library refuses. The template is only read, so that any thread may duplicate it. */
EVP_PKEY_CTX *alg_template(const struct alg *, EVP_PKEY *, bool sign);
bool alg_digest(const struct alg *, struct bytes input, unsigned char out[64], size_t *n);

enum { KIND_NONE = -1 };
int pkey_kind(const EVP_PKEY *);                 /* an enum key_kind, or KIND_NONE for what we do not use */
err pkey_sound(struct arena *a, EVP_PKEY *);     /* INVALID_REQUEST: RSA modulus and exponent out of bounds, a curve that is not named, a bad point */
/* Of the JWK's kind and sound; as old as the arena. secret: with its private half, which belongs to the public one. INVALID_REQUEST. */
err pkey_from_jwk(struct arena *a, const json_t *jwk, bool secret, EVP_PKEY **out);
bool jwk_allows(struct arena *a, const json_t *jwk, const char *name, struct str what);   /* name is missing, or lists what */
/* Those of an array of JWKs that may be encrypted to, into the set; others, and unfit ones, are passed over (RFC 7517 section 5). */
err jwe_keys_read(struct arena *a, const json_t *keys, struct key_set *out);
/* The members that RFC 7638 hashes, in its order, as text: {"crv":…,"kty":…,"x":…,"y":…}. */
err pkey_jwk(struct arena *a, EVP_PKEY *, struct str *json);
