#include "ask.h"

err store_consent(struct store *s, struct arena *a, struct str person_id, struct str client_id, struct str *scopes)
{
	struct stmt st[] = { SQL("SELECT scopes FROM consent WHERE person_id = $1 AND client_id = $2", txt(person_id), txt(client_id)) };
	TRY(ask_read(s, a, st, 1));
	*scopes = st->rows.n ? st->rows.cell[0] : S("");
	return OK;
}

err store_consent_give(struct store *s, struct arena *a, struct str person_id, struct str client_id, struct str scopes, epoch now, const struct audit *ev)
{
	struct stmt st[] = {
		SQL("INSERT INTO consent (person_id, client_id, scopes, given_at) VALUES ($1, $2, $3, $4)"
			" ON CONFLICT (person_id, client_id) DO UPDATE SET scopes = excluded.scopes, given_at = excluded.given_at",
			txt(person_id), txt(client_id), txt(scopes), num(now)),
		AUDIT(ev),
	};
	return ask_write(s, a, person_id, st, COUNT(st));
}

err store_consent_withdraw(struct store *s, struct arena *a, struct str person_id, struct str client_id, epoch now, const struct audit *ev)
{
	struct stmt st[] = {
		SQL("DELETE FROM consent WHERE person_id = $1 AND client_id = $2", txt(person_id), txt(client_id)),
		SQL("UPDATE grants SET revoked_at = $3 WHERE person_id = $1 AND client_id = $2 AND person_id <> '' AND revoked_at = 0",
			txt(person_id), txt(client_id), num(now)),
		AUDIT(ev),
	};
	return ask_write(s, a, person_id, st, COUNT(st));
}
