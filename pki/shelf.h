#pragma once
#include "key.h"

/* Public keys that came lately in the headers of tokens: who shows one will show it again, and making it costs nearly as much as checking
 * its signature. Bounded: a newer key takes an older one's place. Safe from any thread. */
struct shelf;
err shelf_new(struct arena *a, struct shelf **out);
void shelf_free(struct shelf *);                     /* NULL is fine */

/* As key_from_jwk, perhaps without making it again. shelf NULL: nothing is kept. */
err shelf_key(struct shelf *, struct arena *a, const json_t *jwk, struct key **out);
