#pragma once
#include "signer.h"

/* Signing keys in an HSM, by PKCS#11 v2.40. A few threads, each with a session of its own, talk to the module; whoever wants a signature leaves
 * the question with them and waits for a bounded time. A lost session, a token that was removed or a locked PIN is UNAVAILABLE, and is over as
 * soon as the token answers again: session, login and, when the token is not to be seen, the module itself are begun anew. When all threads are
 * stuck in a module that hangs, the next question is refused at once. A PIN that the token refused is not tried again until the file holds
 * another or the token's own count says that somebody has logged in since: we do not lock it. */
struct hsm;
struct hsm_conf { struct str module, token, pin_file; };    /* token: its label */

err hsm_open(struct arena *a, const struct hsm_conf *, struct hsm **out);  /* BAD_CONFIG: no module. The token need not be there. */
void hsm_close(struct hsm *);                                              /* after its signers; NULL is fine */

/* alg: RS256 PS256 ES256 EdDSA. The key is made in the token, stays there, and is found by its kid (CKA_ID). public: the JWK, to be kept. */
err signer_hsm_new(struct hsm *, struct arena *a, struct str alg, struct str kid, struct signer **out);
err signer_hsm_open(struct hsm *, struct arena *a, struct str alg, struct str kid, struct str public_jwk, struct signer **out);  /* asks the token nothing */
err hsm_forget(struct hsm *, struct arena *a, struct str kid);             /* destroys the key pair; none is fine */
