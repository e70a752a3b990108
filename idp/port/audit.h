#pragma once
#include "err.h"
#include "str.h"

/* One row of the audit trail: who did what to what, with what outcome. Written in the transaction of its effect.
 * Never a number, a phone, a token or a secret in clear: ids and hashes only. Empty strings for what does not apply.
 * event is a dotted noun.verb from the list in idp/http/audit_events.def; outcome "ok" or an error's code. */
struct audit {
	struct str id;               /* rand_id(): time-ordered */
	int64_t at_ms;
	struct str event, outcome, client_id, person_id, sid, request_id, peer, why;
	struct str detail;           /* a JSON object, or "" */
};
