#pragma once
#include "client.h"

/* The subject of a person towards one client (OpenID Connect Core section 8.1): pairwise by HMAC over sector and person, or public. Never a
 * personal number. */
struct str subject_for(const struct house *, struct arena *a, const struct client *, struct str person_id);

/* The same of somebody whom another issuer knows as `sub`: never the subject of a person of ours. */
struct str subject_of_stranger(const struct house *, struct arena *a, const struct client *, struct str iss, struct str sub);

/* An ID token of ours given back: signature ours, iss ours, typ not that of another kind. Its times are the caller's to judge.
 * INVALID_REQUEST otherwise. */
err id_token_read(struct req *rq, struct str token, json_t **claims);
/* One given back as id_token_hint; expired ones are accepted (OpenID Connect RP-Initiated Logout section 4). */
struct id_hint { struct str client_id, sub, sid; };
err id_hint_read(struct req *rq, struct str token, struct id_hint *out);

/* scopes_supported: one table, read by discovery and by the checks. */
bool scope_known(struct str scope);
const struct str *scopes_all(void);                   /* ends with an empty one */

/* What userinfo tells of a person, from one table: a claim goes with its scope, or with a `claims` request by a client that is registered
 * for that scope. The personal number goes with scope vn_number alone. */
struct claims_ask { const struct client *client; struct str scope, claims; };
void claims_write(struct req *rq, struct jw *w, const struct person_row *p, const struct claims_ask *ask);
/* Everything that a person is asked to agree to: the scope, and the scopes of what the `claims` request reaches without them. */
struct str claims_scope(struct arena *a, const struct claims_ask *ask);
/* The same for the ID token: whether any is asked for there by name, and those. */
bool claims_for_id_token(struct arena *a, const struct claims_ask *ask);
void claims_write_id_token(struct req *rq, struct jw *w, const struct person_row *p, const struct claims_ask *ask);
void claims_names(struct jw *w);                      /* claims_supported, into an open array */

/* Who signs by alg now, for this client; borrowed until the request ends. UNAVAILABLE when no key of that alg signs. */
struct signer;
err client_signer(struct req *rq, const struct client *, struct str alg, struct signer **out);
/* For whoever is about to spend something that comes only once: PARKED until the keys are here that this client's answers are encrypted to. */
err envelope_ready(struct req *rq, const struct client *);
/* Claims as the client registered to have them: signed, and encrypted to a key of its own. Before anything is spent: its keys may have to be
 * fetched (PARKED). UNAVAILABLE when it has no key to encrypt to. */
err envelope(struct req *rq, const struct client *, const struct envelope *how, struct str typ, struct str claims, struct str *token);

/* The ID token of an answer: OpenID Connect Core section 2. Who logged in, when and how; never what userinfo is for. */
struct tokens;
err id_token_mint(struct req *rq, struct tokens *t);

/* Ends the session (NULL: there is none) and says goodbye, with the applications that were signed in to and a frame for each that wants one. */
struct session_row;
err sign_out(struct req *rq, struct res *rs, const struct session_row *);

handler ep_discovery, ep_jwks, ep_userinfo, ep_logout;
extern const struct route LOGOUT_ROUTES[], OIDC_ROUTES[];
