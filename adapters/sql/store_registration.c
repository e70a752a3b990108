#include "ask.h"

#define INVITE_COLS "id, hash, name, profile, scope, uses_left, created_at, expires_at, revoked_at"
static const struct col INVITE[] = {
	COL_S(invite_row, id), COL_S(invite_row, hash), COL_S(invite_row, name), COL_S(invite_row, profile), COL_S(invite_row, scope),
	COL_I(invite_row, uses_left), COL_I(invite_row, created_at), COL_I(invite_row, expires_at), COL_I(invite_row, revoked_at),
};
static const struct cols invite_cols = COLS(invite_row, INVITE);

/* ---- invitations ------------------------------------------------------------------------------------------------------------ */

err store_invite_add(struct store *s, struct arena *a, const struct invite_row *v, const struct audit *ev)
{
	struct stmt st[] = {
		SQL("INSERT INTO invite (" INVITE_COLS ", used_by) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, '')", txt(v->id), txt(v->hash), txt(v->name),
			txt(v->profile), txt(v->scope), num(v->uses_left), num(v->created_at), num(v->expires_at), num(v->revoked_at)),
		AUDIT(ev),
	};
	return ask_write(s, a, v->hash, st, COUNT(st));
}

err store_invite(struct store *s, struct arena *a, struct str hash, struct invite_row **out)
{
	struct stmt st[] = { SQL("SELECT " INVITE_COLS " FROM invite WHERE hash = $1", txt(hash)) };
	TRY(ask_read(s, a, st, 1));
	*out = row_only(a, &st->rows, &invite_cols);
	return OK;
}

err store_invite_list(struct store *s, struct arena *a, struct str after, int64_t limit, struct invite_row **out, size_t *n)
{
	struct stmt st[] = { SQL("SELECT " INVITE_COLS " FROM invite WHERE id > $1 ORDER BY id LIMIT $2", txt(after), num(limit)) };
	TRY(ask_read(s, a, st, 1));
	*out = row_all(a, &st->rows, &invite_cols, n);
	return OK;
}

err store_invite_revoke(struct store *s, struct arena *a, struct str id, epoch now, bool *existed, const struct audit *ev)
{
	struct stmt st[] = {
		SQL("UPDATE invite SET revoked_at = $2, used_by = $3 WHERE id = $1 AND revoked_at = 0 RETURNING id", txt(id), num(now), txt(ev->id)),
		AUDIT_WHERE(ev, "EXISTS (SELECT 1 FROM invite WHERE id = $12 AND used_by = $1)", txt(id)),
	};
	TRY(ask_write(s, a, id, st, COUNT(st)));
	*existed = st[0].rows.n;
	return OK;
}

/* ---- registrations ---------------------------------------------------------------------------------------------------------- */

#define ROOM(most) "(SELECT count(*) FROM registration) < " most
#define SPEND \
	"UPDATE invite SET uses_left = uses_left - 1, used_by = $2 WHERE hash = $1 AND uses_left > 0 AND revoked_at = 0 AND expires_at > $3 AND " ROOM("$4") \
	" RETURNING id"
#define NEW_CLIENT(where) "INSERT INTO client (" CLIENT_COLS ", change, logout_uri) SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9 WHERE " where " RETURNING id"
#define CLIENT_VALS(c, ev) \
	txt((c)->id), txt((c)->name), txt((c)->metadata), num((c)->created_at), num((c)->updated_at), num((c)->disabled_at), num((c)->version), txt((ev)->id), \
	txt(client_logout_uri(a, c))
#define NEW_REGISTRATION \
	"INSERT INTO registration (client_id, token_hash, invite_id, scope, created_at) SELECT $1, $2, $3, $4, $5" \
	" WHERE EXISTS (SELECT 1 FROM client WHERE id = $1 AND change = $6)"

static err why_not(struct store *s, struct arena *a, struct str hash, epoch now, enum registered *out)
{
	struct invite_row *v = NULL;
	*out = REGISTRATIONS_FULL;
	if (str_empty(hash))
		return OK;
	TRY(store_invite(s, a, hash, &v));
	if (!v || v->uses_left < 1 || v->revoked_at || v->expires_at <= now)
		*out = INVITE_SPENT;
	return OK;
}

err store_register(struct store *s, struct arena *a, const struct registration *r, int64_t most, epoch now, const struct audit *ev, enum registered *out)
{
	const struct client_row *c = &r->client;
	const struct invite_row *v = r->invite;
	struct str hash = v ? v->hash : S("");
	struct stmt invited = SQL(NEW_CLIENT("EXISTS (SELECT 1 FROM invite WHERE hash = $10 AND used_by = $8)"), CLIENT_VALS(c, ev), txt(hash));
	struct stmt openly = SQL(NEW_CLIENT(ROOM("$10")), CLIENT_VALS(c, ev), num(most));
	struct stmt st[] = {
		SQL(SPEND, txt(hash), txt(ev->id), num(now), num(most)),
		v ? invited : openly,
		SQL(NEW_REGISTRATION, txt(c->id), txt(r->token_hash), txt(v ? v->id : S("")), txt(r->scope), num(now), txt(ev->id)),
		AUDIT_WHERE(ev, "EXISTS (SELECT 1 FROM client WHERE id = $12 AND change = $1)", txt(c->id)),
	};
	size_t skipped = v ? 0 : 1;
	TRY(ask_write(s, a, v ? hash : c->id, st + skipped, COUNT(st) - skipped));
	*out = REGISTERED;
	return st[1].rows.n ? OK : why_not(s, a, hash, now, out);
}

err store_registered(struct store *s, struct arena *a, struct str client_id, struct str token_hash, struct client_row **client, struct str *scope)
{
	struct stmt st[] = {
		SQL("SELECT " CLIENT_COLS " FROM client WHERE id = $1 AND disabled_at = 0 AND EXISTS"
			" (SELECT 1 FROM registration r WHERE r.client_id = client.id AND r.token_hash = $2)", txt(client_id), txt(token_hash)),
		SQL("SELECT scope FROM registration WHERE client_id = $1", txt(client_id)),
	};
	TRY(ask_read(s, a, st, 2));
	*client = row_only(a, &st[0].rows, &client_cols);
	*scope = st[1].rows.n ? str_copy(a, st[1].rows.cell[0]) : S("");
	return OK;
}
