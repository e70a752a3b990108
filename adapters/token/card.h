#pragma once
#include "err.h"
#include "str.h"

/* A person's token, by whatever PKCS#11 v2.40 module it came with. One certificate whose private key is on it. */
struct card;
struct card_info { struct str token, subject; struct bytes certificate; struct str algorithm; /* ES256 ES384 ES512 RS256 */ bool pin_low, pin_last, pin_locked, own_pinpad; };

err card_open(struct arena *a, const char *module, struct card **out);                      /* loads the module; BAD_CONFIG */
void card_close(struct card *);
/* The first token with a usable certificate, or the one with this label. NOT_FOUND when there is none. Read without a PIN. */
err card_look(struct card *, struct arena *a, struct str label, struct card_info *out);
/* Signs the digest (as the algorithm wants it: hashed already) after logging in. pin "" uses the token's own pin pad.
 * LOGIN_REFUSED "pin_incorrect", "pin_blocked"; NOT_FOUND when the token went away. Raw r||s or PKCS#1 v1.5. */
err card_sign(struct card *, struct arena *a, struct str label, struct str pin, struct bytes digest, struct bytes *signature);
