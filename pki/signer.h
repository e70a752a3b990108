#pragma once
#include "err.h"
#include "str.h"

/* Whatever can make a JWS signature: a key in memory now, a PKCS#11 token later. A private key never leaves its signer.
 * Safe from any thread. */
struct signer;

struct str signer_kid(const struct signer *);
struct str signer_alg(const struct signer *);        /* "RS256" "PS256" "ES256" "EdDSA" */
struct str signer_public_jwk(const struct signer *); /* JSON with kid, alg, use */
/* JOSE form: r||s for ES256 (RFC 7518 section 3.4). sig must have room for 512 bytes. */
err signer_sign(struct signer *, struct arena *a, struct bytes input, unsigned char *sig, size_t *n);

err signer_local_new(struct arena *a, struct str alg, struct str kid, struct signer **out);   /* makes a key: RSA 2048, P-256, Ed25519 */
err signer_local_open(struct arena *a, struct str alg, struct str kid, struct bytes pkcs8, struct signer **out);
err signer_local_export(struct signer *, struct arena *a, struct bytes *pkcs8);               /* for sealing, nothing else */
void signer_free(struct signer *);
