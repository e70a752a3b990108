#include "ask.h"

/* ---- signing keys ---------------------------------------------------------------------------------------------------------- */

#define KEY_COLS "kid, alg, public_jwk, sealed, created_at, active_at, retire_at"
static const struct col KEY[] = {
	COL_S(key_row, kid), COL_S(key_row, alg), COL_S(key_row, public_jwk), COL_S(key_row, sealed), COL_I(key_row, created_at),
	COL_I(key_row, active_at), COL_I(key_row, retire_at),
};
static const struct cols key_cols = COLS(key_row, KEY);

err store_key_list(struct store *s, struct arena *a, struct key_row **out, size_t *n)
{
	struct stmt st[] = { SQL_ALONE("SELECT " KEY_COLS " FROM signing_key ORDER BY active_at, kid") };
	TRY(ask_read(s, a, st, 1));
	*out = row_all(a, &st->rows, &key_cols, n);
	return OK;
}

err store_key_add(struct store *s, struct arena *a, const struct key_row *k, const struct audit *ev)
{
	struct stmt st[] = {
		SQL("INSERT INTO signing_key (" KEY_COLS ", change) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING RETURNING kid",
			txt(k->kid), txt(k->alg), txt(k->public_jwk), txt(k->sealed), num(k->created_at), num(k->active_at), num(k->retire_at), txt(ev->id)),
		AUDIT_WHERE(ev, "EXISTS (SELECT 1 FROM signing_key WHERE kid = $12 AND change = $1)", txt(k->kid)),
	};
	TRY(ask_write(s, a, k->alg, st, COUNT(st)));
	return st[0].rows.n ? OK : fault(a, &CONFLICT, "a key of %s for this moment is there already", k->alg.p);
}

/* One alg has one key for one moment (the table's UNIQUE): a time that another key has is refused, and changes nothing. */
err store_key_set(struct store *s, struct arena *a, struct str kid, epoch active_at, epoch retire_at, const struct audit *ev)
{
	struct stmt st[] = {
		SQL("UPDATE signing_key SET active_at = $2, retire_at = $3, change = $4 WHERE kid = $1 RETURNING kid", txt(kid), num(active_at), num(retire_at), txt(ev->id)),
		AUDIT_WHERE(ev, "EXISTS (SELECT 1 FROM signing_key WHERE kid = $12 AND change = $1)", txt(kid)),
	};
	return ask_write(s, a, kid, st, COUNT(st));
}

/* ---- audit -------------------------------------------------------------------------------------------------------------------- */

static const struct col AUDITED[] = {
	COL_S(audit, id), COL_I(audit, at_ms), COL_S(audit, event), COL_S(audit, outcome), COL_S(audit, client_id), COL_S(audit, person_id),
	COL_S(audit, sid), COL_S(audit, request_id), COL_S(audit, peer), COL_S(audit, why), COL_S(audit, detail),
};
static const struct cols audit_cols = COLS(audit, AUDITED);

err store_audit(struct store *s, struct arena *a, const struct audit *ev)
{
	struct stmt st[] = { AUDIT(ev) };
	return ask_write(s, a, S(""), st, 1);
}

err store_audit_tail(struct store *s, struct arena *a, struct str after_id, int64_t limit, struct audit **out, size_t *n)
{
	struct stmt last = SQL("SELECT " AUDIT_COLS " FROM (SELECT " AUDIT_COLS " FROM audit ORDER BY id DESC LIMIT $1) l ORDER BY id", num(limit));
	struct stmt after = SQL("SELECT " AUDIT_COLS " FROM audit WHERE id > $2 ORDER BY id LIMIT $1", num(limit), txt(after_id));
	struct stmt *st = after_id.n ? &after : &last;
	TRY(ask_read(s, a, st, 1));
	*out = row_all(a, &st->rows, &audit_cols, n);
	return OK;
}

/* ---- what is over ---------------------------------------------------------------------------------------------------------------- */

enum { A_DAY = 86400, STEP = 1000 };

/* $1: a day ago; $2: how many at a time. A grant goes with the last thing that hangs on it: code, refresh token or session.
 * (It has one code, which is older than its refresh tokens, and cannot outlive its session by more than its minute.) Two sweepers
 * at once are harmless. */
#define OLDEST(what, table) "(SELECT " what " FROM " table " WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2)"
#define GRANTS_OF(which) \
	"DELETE FROM grants WHERE id IN (SELECT g.id FROM grants g WHERE " which \
	" AND NOT EXISTS (SELECT 1 FROM refresh r WHERE r.grant_id = g.id AND r.expires_at > $1)" \
	" AND NOT EXISTS (SELECT 1 FROM session n WHERE n.sid = g.sid AND n.expires_at > $1))"
#define SWEEP(table, key) "DELETE FROM " table " WHERE " key " IN " OLDEST(key, table) " RETURNING 1"

struct sweep { const char *grants, *rows; };
static const struct sweep SWEEPS[] = {
	{ GRANTS_OF("g.id IN " OLDEST("grant_id", "code")), SWEEP("code", "hash") },
	{ GRANTS_OF("g.id IN " OLDEST("grant_id", "refresh")), SWEEP("refresh", "hash") },
	{ GRANTS_OF("g.sid IN " OLDEST("sid", "session")), SWEEP("session", "id_hash") },
	{ NULL, SWEEP("decoupled", "hash") },       /* what was granted has a session of its own */
	{ NULL, "DELETE FROM grants WHERE id IN (SELECT id FROM grants WHERE expires_at > 0 AND expires_at <= $1 ORDER BY expires_at LIMIT $2) RETURNING 1" },
	{ NULL, SWEEP("revoked_token", "jti") },
	{ NULL, "DELETE FROM logout_delivery WHERE (sid, client_id) IN " OLDEST("sid, client_id", "logout_delivery") " RETURNING 1" },
	{ NULL, SWEEP("invite", "id") },
	{ NULL, "DELETE FROM once WHERE (kind, id) IN " OLDEST("kind, id", "once") " RETURNING 1" },
};

static err sweep(struct store *s, struct arena *a, const struct sweep *w, epoch before, int64_t *removed)
{
	const struct val v[] = { num(before), num(STEP) };
	struct stmt st[] = { { .text = w->rows, .v = v, .n = 2 }, { .text = w->rows, .v = v, .n = 2 } };
	if (w->grants)
		st[0].text = w->grants;
	size_t n;
	do {
		TRY(ask_write(s, a, S(""), st, w->grants ? 2 : 1));
		n = st[w->grants ? 1 : 0].rows.n;
		*removed += (int64_t)n;
	} while (n == STEP);
	return OK;
}

err store_expire(struct store *s, struct arena *a, epoch now, int64_t *removed)
{
	*removed = 0;
	for (size_t i = 0; i < COUNT(SWEEPS); i++)
		TRY(sweep(s, a, &SWEEPS[i], now - A_DAY, removed));
	return OK;
}
