#include "ask.h"

#define DECOUPLED_COLS(t) t "hash, " t "kind, " t "handle, " t "client_id, " t "scope, " t "acr_values, " t "sealed, " t "refusal, " t "grant_id, " \
	t "created_at, " t "expires_at, " t "decided_at, " t "redeemed_at"
static const struct col DECOUPLED[] = {
	COL_S(decoupled_row, hash), COL_S(decoupled_row, kind), COL_S(decoupled_row, handle), COL_S(decoupled_row, client_id), COL_S(decoupled_row, scope),
	COL_S(decoupled_row, acr_values), COL_S(decoupled_row, sealed), COL_S(decoupled_row, refusal), COL_S(decoupled_row, grant_id),
	COL_I(decoupled_row, created_at), COL_I(decoupled_row, expires_at), COL_I(decoupled_row, decided_at), COL_I(decoupled_row, redeemed_at),
};
static const struct cols decoupled_cols = COLS(decoupled_row, DECOUPLED);

/* ---- asking --------------------------------------------------------------------------------------------------------------- */

err store_decoupled_put(struct store *s, struct arena *a, const struct decoupled_row *d, const struct audit *ev)
{
	struct stmt st[] = {
		SQL("INSERT INTO decoupled (" DECOUPLED_COLS("") ", decided_by, redeemed_by)"
			" VALUES ($1, $2, $3, $4, $5, $6, $7, '', '', $8, $9, 0, 0, '', '') ON CONFLICT DO NOTHING RETURNING hash",
			txt(d->hash), txt(d->kind), txt(d->handle), txt(d->client_id), txt(d->scope), txt(d->acr_values), txt(d->sealed),
			num(d->created_at), num(d->expires_at)),
		AUDIT_WHERE(ev, "EXISTS (SELECT 1 FROM decoupled WHERE hash = $12)", txt(d->hash)),
	};
	TRY(ask_write(s, a, d->handle, st, COUNT(st)));
	return st[0].rows.n ? OK : fault(a, &CONFLICT, "the handle of a %s request is taken", d->kind.p);
}

err store_decoupled_look(struct store *s, struct arena *a, struct str kind, struct str hash, struct decoupled_row **row, struct grant_row **grant)
{
	struct stmt st[] = {
		SQL("SELECT " DECOUPLED_COLS("d.") ", " GRANT_COLS("g.") " FROM decoupled d LEFT JOIN grants g ON g.id = d.grant_id"
			" WHERE d.hash = $1 AND d.kind = $2", txt(hash), txt(kind)),
	};
	TRY(ask_read(s, a, st, 1));
	*row = row_only(a, &st->rows, &decoupled_cols);
	*grant = *row && st->rows.cell[decoupled_cols.n].n ? row_at(a, &st->rows, 0, decoupled_cols.n, &grant_cols) : NULL;
	return OK;
}

err store_decoupled_find(struct store *s, struct arena *a, struct str kind, struct str handle, struct decoupled_row **row)
{
	struct stmt st[] = { SQL("SELECT " DECOUPLED_COLS("") " FROM decoupled WHERE handle = $1 AND kind = $2", txt(handle), txt(kind)) };
	TRY(ask_read(s, a, st, 1));
	*row = row_only(a, &st->rows, &decoupled_cols);
	return OK;
}

/* ---- deciding --------------------------------------------------------------------------------------------------------------- */

#define DECIDE \
	"UPDATE decoupled SET decided_at = $3, decided_by = $4, refusal = $5, grant_id = $6" \
	" WHERE handle = $1 AND kind = $2 AND decided_at = 0 AND expires_at > $3 RETURNING hash"
#define DECIDED_BY(handle, by) " WHERE EXISTS (SELECT 1 FROM decoupled WHERE handle = " handle " AND decided_by = " by ")"

err store_decoupled_decide(struct store *s, struct arena *a, struct str kind, struct str handle, epoch now, const struct decision *d,
                           const struct audit *ev, bool *decided)
{
	static const struct grant_row no_grant;
	static const struct session_row no_session;
	const struct grant_row *g = d->grant ? d->grant : &no_grant;
	const struct session_row *n = d->session ? d->session : &no_session;
	struct stmt st[] = {
		SQL(DECIDE, txt(handle), txt(kind), num(now), txt(ev->id), txt(d->refusal), txt(g->id)),
		AUDIT_WHERE(ev, "EXISTS (SELECT 1 FROM decoupled WHERE handle = $12 AND decided_by = $1)", txt(handle)),
		SQL("INSERT INTO grants (" GRANT_COLS("") ") SELECT " GRANT_PARAMS DECIDED_BY("$20", "$21"), GRANT_VALS(g), txt(handle), txt(ev->id)),
		SQL("INSERT INTO session (" SESSION_COLS ") SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 0" DECIDED_BY("$11", "$12"), txt(n->id_hash),
			txt(n->sid), txt(n->person_id), txt(n->acr), txt(n->amr), txt(n->method), txt(n->cert_id), num(n->auth_time), num(n->created_at),
			num(n->expires_at), txt(handle), txt(ev->id)),
	};
	TRY(ask_write(s, a, handle, st, d->session ? 4 : d->grant ? 3 : 2));
	*decided = st[0].rows.n;
	return OK;
}

/* ---- redeeming ---------------------------------------------------------------------------------------------------------------- */

#define REDEEM \
	"UPDATE decoupled SET redeemed_at = $3, redeemed_by = $4 WHERE hash = $1 AND kind = $2 AND redeemed_at = 0 AND expires_at > $3" \
	" AND EXISTS (SELECT 1 FROM grants g WHERE g.id = decoupled.grant_id AND " GRANT_GOOD \
	" AND (g.sid = '' OR " SESSION_GOES_ON("$3") ")) RETURNING hash"

#define FIRST_REFRESH \
	"INSERT INTO refresh (" REFRESH_COLS("") ", used_by) SELECT $1, d.grant_id, $2, $3, '', $4, $5, $6, 0, ''" \
	" FROM decoupled d WHERE d.hash = $7 AND d.redeemed_by = $8"

static enum redeem why_not(const struct decoupled_row *d, epoch now)
{
	return !d ? CODE_UNKNOWN : d->redeemed_at ? CODE_REPLAYED : d->expires_at <= now ? CODE_EXPIRED : CODE_REVOKED;
}

err store_decoupled_redeem(struct store *s, struct arena *a, struct str kind, struct str hash, struct str by, epoch now,
                           const struct refresh_row *first, const struct audit *ev, enum redeem *outcome)
{
	static const struct refresh_row none;
	const struct refresh_row *f = first ? first : &none;
	struct stmt st[] = {
		SQL(REDEEM, txt(hash), txt(kind), num(now), txt(by)),
		AUDIT_WHERE(ev, "EXISTS (SELECT 1 FROM decoupled WHERE hash = $12 AND redeemed_by = $13)", txt(hash), txt(by)),
		SQL(FIRST_REFRESH, REFRESH_VALS(f), txt(hash), txt(by)),
	};
	TRY(ask_write(s, a, hash, st, first ? 3 : 2));
	*outcome = CODE_REDEEMED;
	if (st[0].rows.n)
		return OK;
	/* it only ever gets worse, so that looking afterwards tells why */
	struct decoupled_row *row;
	struct grant_row *grant;
	TRY(store_decoupled_look(s, a, kind, hash, &row, &grant));
	*outcome = why_not(row, now);
	return OK;
}
