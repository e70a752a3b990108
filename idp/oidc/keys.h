#pragma once
#include "house.h"

/* The keyring, kept fresh: rows are read again every few seconds, made when there are none, and the next key is made and published
 * before it signs. A key of each of keys_algs() always. A store that cannot answer leaves the ring as it is. */
enum {
	JWKS_LIVES = 3600,                   /* seconds that a copy of our set may be kept, at most */
	KEYS_FRESH = 5,                      /* seconds that a process may go on with what it has read */
};
const struct str *keys_algs(void);      /* what we sign with; ends with an empty one */
err keys_new(struct house *, struct arena *a, struct keys **out);
void keys_free(struct keys *);
/* What signs and verifies now; held until the arena is cleared. */
err keys_now(struct house *, struct arena *a, struct keyring **out);
/* The same for a token that names kid: when the ring does not know it, the rows are read again, at most once a second. */
err keys_seek(struct house *, struct arena *a, struct str kid, struct keyring **out);
/* The published set, as it was last read. Waits for nothing once keys_keep runs. */
err keys_jwks(struct house *, struct arena *a, struct str *json);
/* A thread that keeps the ring fresh, so that no request has to; ended by keys_free. */
err keys_keep(struct house *, struct arena *a);
/* Makes a new key of the alg and lets it sign from `active_at`; the one before it is retired once all it signed has expired. */
err keys_rotate(struct house *, struct arena *a, struct str alg, epoch now, epoch active_at, struct str *kid);
