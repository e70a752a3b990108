#include "ended.h"

static const struct col PERSON[] = {
	COL_S(person_row, id), COL_S(person_row, kind), COL_S(person_row, name), COL_S(person_row, search_key),
	COL_S(person_row, number_mac), COL_S(person_row, number_sealed), COL_S(person_row, phone_mac), COL_S(person_row, phone_sealed),
	COL_S(person_row, claims), COL_I(person_row, created_at), COL_I(person_row, updated_at), COL_I(person_row, disabled_at),
	COL_I(person_row, version),
};
const struct cols person_cols = COLS(person_row, PERSON);

err store_person(struct store *s, struct arena *a, struct str id, struct person_row **out)
{
	struct stmt st[] = { SQL("SELECT " PERSON_COLS("") " FROM person WHERE id = $1", txt(id)) };
	TRY(ask_read(s, a, st, 1));
	*out = row_only(a, &st->rows, &person_cols);
	return OK;
}

err store_person_by_number(struct store *s, struct arena *a, struct str number_mac, struct person_row **out)
{
	struct stmt st[] = { SQL("SELECT " PERSON_COLS("") " FROM person WHERE number_mac = $1", txt(number_mac)) };
	TRY(ask_read(s, a, st, 1));
	*out = row_only(a, &st->rows, &person_cols);
	return OK;
}

err store_person_by_phone(struct store *s, struct arena *a, struct str phone_mac, struct person_row **out, size_t *n)
{
	struct stmt st[] = { SQL("SELECT " PERSON_COLS("") " FROM person WHERE phone_mac = $1 AND phone_mac <> '' ORDER BY id LIMIT 2", txt(phone_mac)) };
	TRY(ask_read(s, a, st, 1));
	*out = row_all(a, &st->rows, &person_cols, n);
	return OK;
}

/* What begins with the prefix lies below the prefix with the last of all characters behind it. In order of name. */
err store_person_by_sub(struct store *s, struct arena *a, struct str client_id, struct str sub, struct person_row **out)
{
	struct stmt st[] = {
		SQL("SELECT DISTINCT " PERSON_COLS("p.") " FROM grants g JOIN person p ON p.id = g.person_id WHERE g.sub = $1 AND g.client_id = $2",
			txt(sub), txt(client_id)),
	};
	TRY(ask_read(s, a, st, 1));
	*out = row_only(a, &st->rows, &person_cols);
	return OK;
}

err store_person_search(struct store *s, struct arena *a, struct str prefix, struct str after_id, int64_t limit, struct person_row **out, size_t *n)
{
	struct str beyond = str_fmt(a, "%s\U0010FFFF", prefix.p ? prefix.p : "");
	struct stmt st[] = {
		SQL("SELECT " PERSON_COLS("") " FROM person WHERE search_key >= $1 AND search_key < $2"
			" AND ($3 = '' OR (search_key, id) > (SELECT search_key, id FROM person WHERE id = $3)) ORDER BY search_key, id LIMIT $4",
			txt(prefix), txt(beyond), txt(after_id), num(limit)),
	};
	TRY(ask_read(s, a, st, 1));
	*out = row_all(a, &st->rows, &person_cols, n);
	return OK;
}

err store_person_add(struct store *s, struct arena *a, const struct person_row *p, const struct audit *ev)
{
	struct stmt st[] = {
		SQL("INSERT INTO person (" PERSON_COLS("") ", change) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)"
			" ON CONFLICT DO NOTHING RETURNING id",
			txt(p->id), txt(p->kind), txt(p->name), txt(p->search_key), txt(p->number_mac), txt(p->number_sealed), txt(p->phone_mac),
			txt(p->phone_sealed), txt(p->claims), num(p->created_at), num(p->updated_at), num(p->disabled_at), num(p->version), txt(ev->id)),
		AUDIT_WHERE(ev, "EXISTS (SELECT 1 FROM person WHERE id = $12 AND change = $1)", txt(p->id)),
	};
	TRY(ask_write(s, a, p->number_mac, st, COUNT(st)));
	return st[0].rows.n ? OK : fault(a, &CONFLICT, "a person with this number or id is there already");
}

/* The number may be corrected, but not to somebody else's. Who is disabled is signed out. */
err store_person_change(struct store *s, struct arena *a, const struct person_row *p, const struct audit *ev)
{
	enum { ENABLED = 2 };                /* statements when nobody is to be signed out */
	struct stmt st[] = {
		SQL("UPDATE person SET kind = $3, name = $4, search_key = $5, number_mac = $6, number_sealed = $7, phone_mac = $8, phone_sealed = $9,"
			" claims = $10, updated_at = $11, disabled_at = $12, change = $13, version = version + 1"
			" WHERE id = $1 AND version = $2 AND NOT EXISTS (SELECT 1 FROM person other WHERE other.number_mac = $6 AND other.id <> $1) RETURNING version",
			txt(p->id), num(p->version), txt(p->kind), txt(p->name), txt(p->search_key), txt(p->number_mac), txt(p->number_sealed), txt(p->phone_mac),
			txt(p->phone_sealed), txt(p->claims), num(p->updated_at), num(p->disabled_at), txt(ev->id)),
		AUDIT_WHERE(ev, "EXISTS (SELECT 1 FROM person WHERE id = $12 AND change = $1)", txt(p->id)),
		SQL(END("$1", "$2") " AND person_id = $3 AND EXISTS (SELECT 1 FROM person p WHERE p.id = $3 AND p.change = $2)",
			num(p->updated_at), txt(ev->id), txt(p->id)),
		THEY_ENDED(p->updated_at, ev, S("session.ended"), S("the person was disabled"), S("")),
	};
	TRY(ask_write(s, a, p->number_mac, st, p->disabled_at ? COUNT(st) : ENABLED));
	return st[0].rows.n ? OK : fault(a, &CONFLICT, "the person was changed meanwhile, or the number is another's");
}
