#pragma once
#include "signer.h"
#include "key.h"

/* The provider's own signing keys: which signs now, which verify, what is published. Times are the key rows' (port/store.h);
 * reading rows and writing new ones is the caller's (idp/oidc/keys.c): this is a value that is built, then only read.
 * A next key is published before it signs, an old one for as long as anything it signed may live. */
struct keyring;
struct ring_key { struct signer *signer; epoch created_at, active_at, retire_at; };

err keyring_new(struct arena *a, const struct ring_key *keys, size_t n, struct keyring **out);  /* takes the signers over, also when it refuses */
struct keyring *keyring_hold(struct keyring *);
void keyring_drop(struct keyring *);

/* The key of alg with the latest active_at <= now that is not retired; NULL when there is none. Borrowed. */
struct signer *keyring_signer(const struct keyring *, struct str alg, epoch now);
/* The key that a token of ours names; NULL when unknown or retired. Borrowed. */
const struct key *keyring_key(const struct keyring *, struct str kid, epoch now);
struct str keyring_jwks(const struct keyring *, struct arena *a, epoch now);   /* {"keys":[...]} */
