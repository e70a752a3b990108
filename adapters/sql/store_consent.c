#include "ask.h"

err store_consent(struct store *s, struct arena *a, struct str person_id, struct str client_id, struct str *scopes)
{
	struct stmt st[] = { SQL("SELECT scopes FROM consent WHERE person_id = $1 AND client_id = $2", txt(person_id), txt(client_id)) };
	TRY(ask_read(s, a, st, 1));
	*scopes = st->rows.n ? st->rows.cell[0] : S("");
	return OK;
}

/* What was allowed stays allowed until it is withdrawn, also when something else is asked for: each word that is not there yet is added, by the
 * statement itself, so that two who agree at once lose nothing. Words beyond those of one statement travel in the next. */
enum { WORDS = 24, GIVES = 8, FIXED = 4 };
#define WORD(n) " || CASE WHEN " n " = '' OR replace(' ' || consent.scopes || ' ', ' ' || " n " || ' ', '') <> ' ' || consent.scopes || ' '" \
	" THEN '' ELSE ' ' || " n " END"
#define GIVE \
	"INSERT INTO consent (person_id, client_id, scopes, given_at) VALUES ($1, $2, $3, $4)" \
	" ON CONFLICT (person_id, client_id) DO UPDATE SET given_at = excluded.given_at, scopes = consent.scopes" \
	WORD("$5") WORD("$6") WORD("$7") WORD("$8") WORD("$9") WORD("$10") WORD("$11") WORD("$12") WORD("$13") WORD("$14") WORD("$15") WORD("$16") \
	WORD("$17") WORD("$18") WORD("$19") WORD("$20") WORD("$21") WORD("$22") WORD("$23") WORD("$24") WORD("$25") WORD("$26") WORD("$27") WORD("$28")

static struct stmt give(struct arena *a, struct str person_id, struct str client_id, struct strs words, epoch now)
{
	struct val *v = make_n(a, struct val, FIXED + WORDS);
	v[0] = txt(person_id), v[1] = txt(client_id), v[2] = txt(strs_join(a, words, S(" "))), v[3] = num(now);
	for (size_t i = 0; i < WORDS; i++)
		v[FIXED + i] = txt(i < words.n ? words.v[i] : S(""));
	return (struct stmt){ .text = GIVE, .v = v, .n = FIXED + WORDS };
}

static struct strs once_each(struct arena *a, struct strs l)
{
	struct strs out = { make_n(a, struct str, l.n + 1), 0 };
	for (size_t i = 0; i < l.n; i++)
		if (!strs_has(out, l.v[i]))
			out.v[out.n++] = l.v[i];
	return out;
}

err store_consent_give(struct store *s, struct arena *a, struct str person_id, struct str client_id, struct str scopes, epoch now, const struct audit *ev)
{
	struct strs all = once_each(a, str_words(a, scopes));
	struct stmt st[GIVES + 1];
	size_t n = 0;
	if (all.n > GIVES * WORDS)
		return fault(a, &TOO_LARGE, "a consent to %zu scopes", all.n);
	for (size_t at = 0; at < all.n || !n; at += WORDS)
		st[n++] = give(a, person_id, client_id, (struct strs){ all.v + at, all.n - at < WORDS ? all.n - at : WORDS }, now);
	st[n++] = (struct stmt)AUDIT(ev);
	return ask_write(s, a, person_id, st, n);
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
