#pragma once
#include "decoupled.h"
#include "sim_ask.h"

/* Client-Initiated Backchannel Authentication (OpenID CIBA Core 1.0): a clerk at a counter, a call centre or another system starts a
 * login or an approval, and the citizen gives it on their phone. The SIM's signature is the authentication: no answer without one. */
extern const struct decoupled_kind CIBA;

/* What a request keeps besides its row: the phone that was asked, and what it is to sign. Sealed under the request's hash. */
err ciba_seal(struct req *rq, struct str hash, const struct sim *s, struct str *sealed);
err ciba_open(struct req *rq, const struct decoupled_row *d, struct sim *s);

/* Looks whether the phone has answered, and decides by it, once. decided: it is. PARKED while its certificate's status is being learned. */
err ciba_settle(struct req *rq, const struct client *c, const struct decoupled_row *d, bool *decided);

/* section 10.2: the client is told that there is something to fetch. Begun with the request, told by the phone's answer. NULL for a client
 * that asks by itself. */
struct ping;
struct ping *ping_new(struct house *, const struct client *, struct str auth_req_id, struct str notification_token);
void ping_free(struct ping *);
sim_told ping_told;
