#pragma once
#include "ask.h"

/* What goes with the end of sessions, in one unit: an UPDATE that says END, and behind it THEY_ENDED, which finds what it ended by the
 * event that it left in ended_by. */
#define END(now, by) "UPDATE session SET ended_at = " now ", ended_by = " by " WHERE ended_at = 0"

/* OpenID Connect Back-Channel Logout section 2.7: refresh tokens without offline_access SHOULD be revoked, those with it SHOULD NOT. */
#define THEIR_GRANTS \
	"UPDATE grants SET revoked_at = $1 WHERE revoked_at = 0 AND offline = 0 AND sid IN (SELECT sid FROM session WHERE ended_by = $2)"

/* A certificate that is no longer its person's takes along what was granted for later, too. $1 now, $2 the certificate. */
#define GRANTS_OF_CERT \
	"UPDATE grants SET revoked_at = $1 WHERE revoked_at = 0 AND cert_id = $2 AND person_id IN (SELECT person_id FROM certificate WHERE id = $2)"

/* $1 now, $2 when the rows may be forgotten. What was told before is told again. */
#define TELL(which) \
	"INSERT INTO logout_delivery (sid, client_id, sub, state, why, tries, queued_at, due_at, done_at, expires_at, claimed_by)" \
	" SELECT g.sid, g.client_id, MAX(g.sub), 'pending', '', 0, $1, $1, 0, $2, '' FROM grants g JOIN client c ON c.id = g.client_id" \
	" WHERE c.logout_uri <> '' AND c.disabled_at = 0 AND " which " GROUP BY g.sid, g.client_id" \
	" ON CONFLICT (sid, client_id) DO UPDATE SET state = excluded.state, why = '', tries = 0, queued_at = excluded.queued_at," \
	" due_at = excluded.due_at, done_at = 0, expires_at = excluded.expires_at, claimed_by = ''"

/* A row for each session, under the event's id with the session's behind it. */
#define THEIR_AUDIT \
	"INSERT INTO audit (" AUDIT_COLS ") SELECT $1 || '.' || sid, $2, $3, 'ok', $4, person_id, sid, $5, $6, $7, $8 FROM session WHERE ended_by = $1"

enum { DELIVERIES_KEPT = 30 * 86400 };

#define THEY_ENDED(now, e, name, reason, more) \
	SQL(THEIR_GRANTS, num(now), txt((e)->id)), \
	SQL(TELL("g.sid IN (SELECT sid FROM session WHERE ended_by = $3)"), num(now), num((now) + DELIVERIES_KEPT), txt((e)->id)), \
	SQL(THEIR_AUDIT, txt((e)->id), num((e)->at_ms), txt(name), txt((e)->client_id), txt((e)->request_id), txt((e)->peer), txt(reason), txt(more))
