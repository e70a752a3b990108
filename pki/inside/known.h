#pragma once
#include "trust.h"

/* What one trust has found good: certificates, parsed once, and where their path went. The same person's next login then pays for the signature
 * only. It belongs to its trust, so that whatever changes in whom we believe forgets all of it. A certificate is found by SHA-256 of all its
 * bytes. Nothing is ever in it but what was good, so no stranger fills it. Bounded; safe from any thread. */
struct known;

/* Good from `from` until before `until`: while every certificate of the path is valid. issuer and anchor are the trust's own. */
struct path { struct str purpose; epoch from, until; const struct cert *issuer; const struct anchor *anchor; };

struct known *known_new(void);
void known_free(struct known *);                                                    /* NULL is fine */
void known_keep(struct known *, const struct cert *leaf, const struct path *);
bool known_cert(struct known *, struct arena *a, struct bytes der, struct cert *out);   /* held until the arena is cleared */
bool known_path(struct known *, const struct cert *leaf, struct str purpose, epoch now, struct path *out);
