#include "ended.h"

#define TRUST_COLS "id, name, kind, purposes, settings, der, added_at, disabled_at"
static const struct col TRUST[] = {
	COL_S(trust_row, id), COL_S(trust_row, name), COL_S(trust_row, kind), COL_S(trust_row, purposes), COL_S(trust_row, settings),
	COL_S(trust_row, der), COL_I(trust_row, added_at), COL_I(trust_row, disabled_at),
};
static const struct cols trust_cols = COLS(trust_row, TRUST);

err store_trust_list(struct store *s, struct arena *a, struct trust_row **out, size_t *n)
{
	struct stmt st[] = { SQL_ALONE("SELECT " TRUST_COLS " FROM trust ORDER BY added_at, id") };
	TRY(ask_read(s, a, st, 1));
	*out = row_all(a, &st->rows, &trust_cols, n);
	return OK;
}

err store_trust_add(struct store *s, struct arena *a, const struct trust_row *t, const struct audit *ev)
{
	struct stmt st[] = {
		SQL("INSERT INTO trust (" TRUST_COLS ", change) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING RETURNING id",
			txt(t->id), txt(t->name), txt(t->kind), txt(t->purposes), txt(t->settings), txt(t->der), num(t->added_at), num(t->disabled_at), txt(ev->id)),
		AUDIT_WHERE(ev, "EXISTS (SELECT 1 FROM trust WHERE id = $12 AND change = $1)", txt(t->id)),
	};
	TRY(ask_write(s, a, t->id, st, COUNT(st)));
	return st[0].rows.n ? OK : fault(a, &CONFLICT, "this certificate is trusted already, or was disabled");
}

err store_trust_disable(struct store *s, struct arena *a, struct str id, epoch at, bool *existed, const struct audit *ev)
{
	struct stmt st[] = {
		SQL("UPDATE trust SET disabled_at = $2, change = $3 WHERE id = $1 RETURNING id", txt(id), num(at), txt(ev->id)),
		AUDIT_WHERE(ev, "EXISTS (SELECT 1 FROM trust WHERE id = $12 AND change = $1)", txt(id)),
	};
	TRY(ask_write(s, a, id, st, COUNT(st)));
	*existed = st[0].rows.n;
	return OK;
}

/* ---- certificates ------------------------------------------------------------------------------------------------------ */

#define CERT_COLS "id, person_id, issuer_id, serial, subject, spki_sha256, number_mac, method, der, not_before, not_after, first_seen," \
	" last_seen, revoked_at, revoked_why"
static const struct col CERT[] = {
	COL_S(cert_row, id), COL_S(cert_row, person_id), COL_S(cert_row, issuer_id), COL_S(cert_row, serial), COL_S(cert_row, subject),
	COL_S(cert_row, spki_sha256), COL_S(cert_row, number_mac), COL_S(cert_row, method), COL_S(cert_row, der), COL_I(cert_row, not_before),
	COL_I(cert_row, not_after), COL_I(cert_row, first_seen), COL_I(cert_row, last_seen), COL_I(cert_row, revoked_at), COL_S(cert_row, revoked_why),
};
static const struct cols cert_cols = COLS(cert_row, CERT);

err store_cert(struct store *s, struct arena *a, struct str id, struct cert_row **out)
{
	struct stmt st[] = { SQL("SELECT " CERT_COLS " FROM certificate WHERE id = $1", txt(id)) };
	TRY(ask_read(s, a, st, 1));
	*out = row_only(a, &st->rows, &cert_cols);
	return OK;
}

err store_cert_list(struct store *s, struct arena *a, struct str person_id, struct str after, int64_t limit, struct cert_row **out, size_t *n)
{
	struct stmt of_all = SQL("SELECT " CERT_COLS " FROM certificate WHERE id > $1 ORDER BY id LIMIT $2", txt(after), num(limit));
	struct stmt of_one = SQL("SELECT " CERT_COLS " FROM certificate WHERE person_id = $3 AND id > $1 ORDER BY id LIMIT $2", txt(after), num(limit), txt(person_id));
	struct stmt *st = person_id.n ? &of_one : &of_all;
	TRY(ask_read(s, a, st, 1));
	*out = row_all(a, &st->rows, &cert_cols, n);
	return OK;
}

err store_cert_of(struct store *s, struct arena *a, struct str person_id, struct str method, struct cert_row **out)
{
	struct stmt st[] = {
		SQL("SELECT " CERT_COLS " FROM certificate WHERE person_id = $1 AND method = $2 ORDER BY last_seen DESC, first_seen DESC, id LIMIT 1", txt(person_id), txt(method)),
	};
	TRY(ask_read(s, a, st, 1));
	*out = row_only(a, &st->rows, &cert_cols);
	return OK;
}

err store_cert_revoked(struct store *s, struct arena *a, struct str id, struct str why, epoch now, const struct audit *ev, size_t *ended)
{
	struct stmt st[] = {
		SQL("UPDATE certificate SET revoked_at = $2, revoked_why = $3, change = $4 WHERE id = $1 AND revoked_at = 0", txt(id), num(now), txt(why), txt(ev->id)),
		AUDIT_WHERE(ev, "EXISTS (SELECT 1 FROM certificate WHERE id = $12 AND change = $1)", txt(id)),
		SQL(END("$1", "$2") " AND person_id IN (SELECT person_id FROM certificate WHERE id = $3) AND cert_id = $3 RETURNING sid", num(now), txt(ev->id), txt(id)),
		THEY_ENDED(now, ev, S("session.ended"), S("its certificate was revoked"), S("")),
		SQL(GRANTS_OF_CERT, num(now), txt(id)),
	};
	TRY(ask_write(s, a, id, st, COUNT(st)));
	*ended = st[2].rows.n;
	return OK;
}
