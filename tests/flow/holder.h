#pragma once
#include "world.h"
#include "signer.h"

/* Who holds a key and makes DPoP proofs with it, in our own words and not by the code that reads them. */
struct signer *holder(struct world *w, const char *alg);         /* lives as long as the world's arena */
struct str jkt_of(struct world *w, struct signer *by);

/* Unsaid: POST, https://id.example/token, no token, now, a jti of its own. head and claims are merged into the JOSE header and the claims
 * as RFC 7396 says: a member that is null there is left out. */
struct proof_wish { const char *htm, *htu; struct str token; const char *head, *claims; };
struct str proof(struct world *w, struct signer *by, struct proof_wish x);
struct str proof_line(struct world *w, struct signer *by, struct proof_wish x);       /* as a header line: "DPoP: …\n" */
struct str shown_with(struct world *w, struct str token, struct signer *by, struct proof_wish x);  /* Authorization and DPoP of GET /userinfo */
