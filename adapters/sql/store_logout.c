#include "ended.h"

#define DELIVERY_COLS "sid, client_id, sub, state, why, tries, queued_at, due_at, done_at"
static const struct col DELIVERY[] = {
	COL_S(delivery_row, sid), COL_S(delivery_row, client_id), COL_S(delivery_row, sub), COL_S(delivery_row, state), COL_S(delivery_row, why),
	COL_I(delivery_row, tries), COL_I(delivery_row, queued_at), COL_I(delivery_row, due_at), COL_I(delivery_row, done_at),
};
static const struct cols delivery_cols = COLS(delivery_row, DELIVERY);

/* The outer condition is asked again of a row that another caller has just moved on. */
err store_delivery_claim(struct store *s, struct arena *a, struct str by, epoch now, epoch until, int64_t most, struct delivery_row **out, size_t *n)
{
	struct stmt st[] = {
		SQL("UPDATE logout_delivery SET claimed_by = $1, due_at = $3, tries = tries + 1 WHERE state = 'pending' AND due_at <= $2 AND (sid, client_id) IN"
			" (SELECT sid, client_id FROM logout_delivery WHERE state = 'pending' AND due_at <= $2 ORDER BY due_at LIMIT $4) RETURNING " DELIVERY_COLS,
			txt(by), num(now), num(until), num(most)),
	};
	TRY(ask_write(s, a, S(""), st, COUNT(st)));
	*out = row_all(a, &st->rows, &delivery_cols, n);
	return OK;
}

enum { LEFT_ALONE = 30 };
#define MINE "sid = $1 AND client_id = $2 AND claimed_by = $3 AND state = 'pending'"

static err still_pending(struct store *s, struct arena *a, const struct delivery_row *d, struct str by, epoch now)
{
	struct stmt st[] = {
		SQL("UPDATE logout_delivery SET why = $4, due_at = $5, claimed_by = '' WHERE " MINE, txt(d->sid), txt(d->client_id), txt(by), txt(d->why), num(d->due_at)),
		SQL("UPDATE logout_delivery SET due_at = $2 WHERE client_id = $1 AND state = 'pending' AND due_at < $2", txt(d->client_id), num(now + LEFT_ALONE)),
	};
	return ask_write(s, a, d->client_id, st, COUNT(st));
}

err store_delivery_result(struct store *s, struct arena *a, const struct delivery_row *d, struct str by, epoch now, const struct audit *ev)
{
	if (str_is(d->state, "pending"))
		return still_pending(s, a, d, by, now);
	struct stmt st[] = {
		AUDIT_WHERE(ev, "EXISTS (SELECT 1 FROM logout_delivery WHERE sid = $12 AND client_id = $13 AND claimed_by = $14 AND state = 'pending')",
			txt(d->sid), txt(d->client_id), txt(by)),
		SQL("UPDATE logout_delivery SET state = $4, why = $5, done_at = $6, claimed_by = '' WHERE " MINE, txt(d->sid), txt(d->client_id), txt(by),
			txt(d->state), txt(d->why), num(now)),
	};
	return ask_write(s, a, d->client_id, st, COUNT(st));
}

err store_delivery_list(struct store *s, struct arena *a, const struct delivery_row *like, const struct delivery_row *after, int64_t limit,
                        struct delivery_row **out, size_t *n)
{
	struct stmt st[] = {
		SQL("SELECT " DELIVERY_COLS " FROM logout_delivery WHERE (sid, client_id) > ($1, $2) AND ($3 = '' OR client_id = $3) AND ($4 = '' OR sid = $4)"
			" AND ($5 = '' OR state = $5) ORDER BY sid, client_id LIMIT $6",
			txt(after->sid), txt(after->client_id), txt(like->client_id), txt(like->sid), txt(like->state), num(limit)),
	};
	TRY(ask_read(s, a, st, 1));
	*out = row_all(a, &st->rows, &delivery_cols, n);
	return OK;
}

err store_delivery_retry(struct store *s, struct arena *a, struct str client_id, struct str sid, epoch now, const struct audit *ev, size_t *n)
{
	struct stmt st[] = {
		SQL("UPDATE logout_delivery SET state = 'pending', why = '', tries = 0, queued_at = $3, due_at = $3, done_at = 0, expires_at = $4, claimed_by = ''"
			" WHERE state = 'failed' AND ($1 = '' OR client_id = $1) AND ($2 = '' OR sid = $2) RETURNING sid",
			txt(client_id), txt(sid), num(now), num(now + DELIVERIES_KEPT)),
		AUDIT(ev),
	};
	TRY(ask_write(s, a, client_id, st, COUNT(st)));
	*n = st[0].rows.n;
	return OK;
}

#define LIVE_SESSIONS(now) "(SELECT sid FROM session WHERE ended_at = 0 AND expires_at > " now ")"
enum { WHOLE_CLIENT_MS = 60000 };

err store_client_sign_out(struct store *s, struct arena *a, struct str client_id, epoch now, const struct audit *ev, size_t *sessions)
{
	struct stmt st[] = {
		SQL("SELECT DISTINCT sid FROM grants WHERE client_id = $1 AND sid IN " LIVE_SESSIONS("$2"), txt(client_id), num(now)),
		SQL(TELL("g.client_id = $3 AND g.sid IN " LIVE_SESSIONS("$1")), num(now), num(now + DELIVERIES_KEPT), txt(client_id)),
		SQL("UPDATE grants SET revoked_at = $2 WHERE client_id = $1 AND revoked_at = 0 AND offline = 0 AND sid IN " LIVE_SESSIONS("$2"),
			txt(client_id), num(now)),
		AUDIT(ev),
	};
	TRY(ask_patiently(s, a, st, COUNT(st), WHOLE_CLIENT_MS));
	*sessions = st[0].rows.n;
	return OK;
}
