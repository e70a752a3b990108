#include "ask.h"
#include "json.h"

static const struct col CLIENT[] = {
	COL_S(client_row, id), COL_S(client_row, name), COL_S(client_row, metadata), COL_I(client_row, created_at),
	COL_I(client_row, updated_at), COL_I(client_row, disabled_at), COL_I(client_row, version),
};
const struct cols client_cols = COLS(client_row, CLIENT);

err store_client(struct store *s, struct arena *a, struct str id, struct client_row **out)
{
	struct stmt st[] = { SQL("SELECT " CLIENT_COLS " FROM client WHERE id = $1", txt(id)) };
	TRY(ask_read(s, a, st, 1));
	*out = row_only(a, &st->rows, &client_cols);
	return OK;
}

err store_client_list(struct store *s, struct arena *a, struct str after, int64_t limit, struct client_row **out, size_t *n)
{
	struct stmt st[] = { SQL("SELECT " CLIENT_COLS " FROM client WHERE id > $1 ORDER BY id LIMIT $2", txt(after), num(limit)) };
	TRY(ask_read(s, a, st, 1));
	*out = row_all(a, &st->rows, &client_cols, n);
	return OK;
}

/* The one member of a registration that statements must know of: whom the end of a session is told to. */
struct str client_logout_uri(struct arena *a, const struct client_row *c)
{
	json_t *o;
	return json_read_object(a, c->metadata, &o).kind ? S("") : json_text(o, "backchannel_logout_uri");
}

err store_client_add(struct store *s, struct arena *a, const struct client_row *c, const struct audit *ev)
{
	struct stmt st[] = {
		SQL("INSERT INTO client (" CLIENT_COLS ", change, logout_uri) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING RETURNING id",
			txt(c->id), txt(c->name), txt(c->metadata), num(c->created_at), num(c->updated_at), num(c->disabled_at), num(c->version), txt(ev->id),
			txt(client_logout_uri(a, c))),
		AUDIT_WHERE(ev, "EXISTS (SELECT 1 FROM client WHERE id = $12 AND change = $1)", txt(c->id)),
	};
	TRY(ask_write(s, a, c->id, st, COUNT(st)));
	return st[0].rows.n ? OK : fault(a, &CONFLICT, "a client with this id is there already");
}

err store_client_change(struct store *s, struct arena *a, const struct client_row *c, const struct audit *ev)
{
	struct stmt st[] = {
		SQL("UPDATE client SET name = $3, metadata = $4, disabled_at = $5, updated_at = $6, change = $7, logout_uri = $8, version = version + 1"
			" WHERE id = $1 AND version = $2 RETURNING version",
			txt(c->id), num(c->version), txt(c->name), txt(c->metadata), num(c->disabled_at), num(c->updated_at), txt(ev->id), txt(client_logout_uri(a, c))),
		AUDIT_WHERE(ev, "EXISTS (SELECT 1 FROM client WHERE id = $12 AND change = $1)", txt(c->id)),
	};
	TRY(ask_write(s, a, c->id, st, COUNT(st)));
	return st[0].rows.n ? OK : fault(a, &CONFLICT, "the client was changed or removed meanwhile");
}

err store_client_remove(struct store *s, struct arena *a, struct str id, bool *existed, const struct audit *ev)
{
	struct stmt st[] = {
		SQL("UPDATE client SET change = $2 WHERE id = $1", txt(id), txt(ev->id)),
		AUDIT_WHERE(ev, "EXISTS (SELECT 1 FROM client WHERE id = $12 AND change = $1)", txt(id)),
		SQL("DELETE FROM client WHERE id = $1 AND change = $2 RETURNING id", txt(id), txt(ev->id)),
		SQL("DELETE FROM registration WHERE client_id = $1 AND NOT EXISTS (SELECT 1 FROM client WHERE id = $1)", txt(id)),
	};
	TRY(ask_write(s, a, id, st, COUNT(st)));
	*existed = st[2].rows.n;
	return OK;
}
