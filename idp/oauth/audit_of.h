#pragma once
#include "house.h"

/* A row of the audit trail with what the request knows: id, time, request, peer (whole: the trail is where addresses belong). outcome
 * is "ok"; the caller fills whom and what. event is one of idp/http/audit_events.def. */
struct audit audit_of(struct req *rq, const char *event);

/* What an event means, in a sentence; NULL when it is not in the list. */
const char *audit_meaning(struct str event);

/* Leaves a row for a request that was refused, and gives the error back. Beyond REFUSALS_A_MINUTE of one peer (of IPv6: one /64) only every doubling is written,
 * with the number so far: refusals are cheap to cause and must not fill a disk. Faults of ours, PARKED and the demand for a nonce pass untouched. client may be NULL. */
enum { REFUSALS_A_MINUTE = 20 };
struct client;
err refusal_audited(struct req *rq, const char *event, const struct client *client, err why);
err refusal_write(struct req *rq, struct audit *ev);   /* the same for a row of the caller's making */

/* What limits by address count by: the address, and of IPv6 its /64, which whoever has one address of it has whole. */
struct str peer_net(struct req *rq);
