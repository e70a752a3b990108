#include "ended.h"

static const struct col SESSION[] = {
	COL_S(session_row, id_hash), COL_S(session_row, sid), COL_S(session_row, person_id), COL_S(session_row, acr), COL_S(session_row, amr),
	COL_S(session_row, method), COL_S(session_row, cert_id), COL_I(session_row, auth_time), COL_I(session_row, created_at),
	COL_I(session_row, expires_at), COL_I(session_row, ended_at),
};
static const struct cols session_cols = COLS(session_row, SESSION);

/* ---- a login --------------------------------------------------------------------------------------------------------- */

/* The person is whoever has the number. A certificate, or what its issuer said of the number, that is recorded means that the
 * person is too: if the number then names nobody, or another, this is NUMBER_OF_ANOTHER, and nobody is enrolled. */
#define ENROL \
	"INSERT INTO person (" PERSON_COLS("") ", change) SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14" \
	" WHERE NOT EXISTS (SELECT 1 FROM certificate WHERE issuer_id = $15 AND serial = $16)" \
	" AND NOT EXISTS (SELECT 1 FROM certificate WHERE id = $17)" \
	" AND NOT EXISTS (SELECT 1 FROM binding WHERE issuer_id = $15 AND number_mac = $5)" \
	" ON CONFLICT DO NOTHING RETURNING id"

/* One serial number of one issuer names one certificate (RFC 5280 section 4.1.2.2): with another key it is not the recorded one. */
#define RECORD \
	"INSERT INTO certificate (id, person_id, issuer_id, serial, subject, spki_sha256, number_mac, method, der, not_before, not_after," \
	" first_seen, last_seen, revoked_at, revoked_why, change)" \
	" SELECT $1, p.id, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, 0, '', $13 FROM person p WHERE p.number_mac = $6" \
	" AND NOT EXISTS (SELECT 1 FROM binding b WHERE b.issuer_id = $2 AND b.number_mac = $6 AND b.person_id <> p.id)" \
	" AND NOT EXISTS (SELECT 1 FROM certificate o WHERE o.id = $1 AND (o.issuer_id <> $2 OR o.serial <> $3))" \
	" ON CONFLICT (issuer_id, serial) DO UPDATE SET last_seen = excluded.last_seen, method = excluded.method, change = excluded.change," \
	" revoked_at = 0, revoked_why = ''" \
	" WHERE certificate.person_id = excluded.person_id AND certificate.spki_sha256 = excluded.spki_sha256 RETURNING id"

#define OURS(issuer, serial, change) \
	"certificate c WHERE c.issuer_id = " issuer " AND c.serial = " serial " AND c.change = " change

#define BIND \
	"INSERT INTO binding (issuer_id, number_mac, person_id) SELECT c.issuer_id, c.number_mac, c.person_id FROM " OURS("$1", "$2", "$3") \
	" ON CONFLICT DO NOTHING"

#define BEGIN \
	"INSERT INTO session (" SESSION_COLS ") SELECT $1, $2, c.person_id, $3, $4, $5, c.id, $6, $7, $8, 0 FROM " OURS("$9", "$10", "$11") \
	" AND EXISTS (SELECT 1 FROM person p WHERE p.id = c.person_id AND p.disabled_at = 0) RETURNING id_hash"

#define AND_SESSION(id_hash) " AND EXISTS (SELECT 1 FROM session n WHERE n.id_hash = " id_hash ")"

#define WHO \
	"SELECT " PERSON_COLS("p.") " FROM person p, " OURS("$1", "$2", "$3") " AND p.id = c.person_id"

/* A login that began no session is not "ok" in the trail, whatever the caller hoped. */
#define AUDIT_LOGIN \
	"INSERT INTO audit (" AUDIT_COLS ") SELECT $1, $2, $3," \
	" CASE WHEN EXISTS (SELECT 1 FROM session n WHERE n.id_hash = $13) THEN $4 ELSE $14 END," \
	" $5, COALESCE((SELECT p.id FROM person p WHERE p.number_mac = $12), $6), $7, $8, $9, $10, $11"

err store_login(struct store *s, struct arena *a, const struct login *l, const struct audit *ev, enum enrolment *outcome, struct person_row **who)
{
	const struct person_row *p = &l->person;
	const struct cert_row *c = &l->cert;
	const struct session_row *n = &l->session;
	enum { ALONE = 6 };                  /* statements of a login that replaces none */
	struct stmt st[] = {
		SQL(ENROL, txt(p->id), txt(p->kind), txt(p->name), txt(p->search_key), txt(c->number_mac), txt(p->number_sealed), txt(p->phone_mac),
			txt(p->phone_sealed), txt(p->claims), num(p->created_at), num(p->updated_at), num(p->disabled_at), num(p->version), txt(ev->id),
			txt(c->issuer_id), txt(c->serial), txt(c->id)),
		SQL(RECORD, txt(c->id), txt(c->issuer_id), txt(c->serial), txt(c->subject), txt(c->spki_sha256), txt(c->number_mac), txt(c->method),
			txt(c->der), num(c->not_before), num(c->not_after), num(c->first_seen), num(c->last_seen), txt(ev->id)),
		SQL(BIND, txt(c->issuer_id), txt(c->serial), txt(ev->id)),
		SQL(BEGIN, txt(n->id_hash), txt(n->sid), txt(n->acr), txt(n->amr), txt(n->method), num(n->auth_time), num(n->created_at), num(n->expires_at),
			txt(c->issuer_id), txt(c->serial), txt(ev->id)),
		SQL(AUDIT_LOGIN, AUDIT_VALS(ev), txt(c->number_mac), txt(n->id_hash), txt(str_of(LOGIN_REFUSED.code))),
		SQL(WHO, txt(c->issuer_id), txt(c->serial), txt(ev->id)),
		SQL(END("$2", "$4") " AND id_hash = $1" AND_SESSION("$3"), txt(l->replaces), num(n->created_at), txt(n->id_hash), txt(ev->id)),
		THEY_ENDED(n->created_at, ev, S("session.ended"), S("replaced by another login"), S("")),
	};
	TRY(ask_write(s, a, c->number_mac, st, l->replaces.n ? COUNT(st) : ALONE));
	*who = row_only(a, &st[5].rows, &person_cols);
	*outcome = !*who ? NUMBER_OF_ANOTHER : st[0].rows.n ? ENROLLED_NOW : KNOWN_BEFORE;
	return OK;
}

/* ---- sessions ---------------------------------------------------------------------------------------------------------- */

err store_session(struct store *s, struct arena *a, struct str id_hash, epoch now, struct session_row **out)
{
	struct stmt st[] = {
		SQL("SELECT " SESSION_COLS " FROM session WHERE id_hash = $1 AND ended_at = 0 AND expires_at > $2"
			" AND EXISTS (SELECT 1 FROM person p WHERE p.id = session.person_id AND p.disabled_at = 0)", txt(id_hash), num(now)),
	};
	TRY(ask_read(s, a, st, 1));
	*out = row_only(a, &st->rows, &session_cols);
	return OK;
}

static const char *const WHICH[] = {
	[SESSION_OF_COOKIE] = END("$1", "$2") " AND id_hash = $3 RETURNING sid",
	[SESSION_BY_SID] = END("$1", "$2") " AND sid = $3 RETURNING sid",
	[SESSIONS_OF_PERSON] = END("$1", "$2") " AND person_id = $3 RETURNING sid",
	[SESSIONS_OF_CERT] = END("$1", "$2") " AND person_id IN (SELECT person_id FROM certificate WHERE id = $3) AND cert_id = $3 RETURNING sid",
};

err store_sessions_end(struct store *s, struct arena *a, enum sessions_of which, struct str id, epoch now, const struct audit *ev, size_t *ended)
{
	struct stmt st[] = {
		SQL(WHICH[which], num(now), txt(ev->id), txt(id)),
		THEY_ENDED(now, ev, ev->event, ev->why, ev->detail),
		SQL(GRANTS_OF_CERT, num(now), txt(id)),
	};
	TRY(ask_write(s, a, id, st, COUNT(st) - (which != SESSIONS_OF_CERT)));
	*ended = st[0].rows.n;
	return OK;
}

err store_session_end(struct store *s, struct arena *a, struct str id_hash, epoch now, const struct audit *ev)
{
	size_t ended;
	return store_sessions_end(s, a, SESSION_OF_COOKIE, id_hash, now, ev, &ended);
}

err store_sessions_expire(struct store *s, struct arena *a, epoch now, int64_t most, const struct audit *ev, size_t *ended)
{
	struct stmt st[] = {
		SQL(END("$1", "$2") " AND id_hash IN (SELECT id_hash FROM session WHERE ended_by IS NULL AND expires_at <= $1 ORDER BY expires_at LIMIT $3) RETURNING sid",
			num(now), txt(ev->id), num(most)),
		THEY_ENDED(now, ev, ev->event, ev->why, ev->detail),
	};
	TRY(ask_write(s, a, S(""), st, COUNT(st)));
	*ended = st[0].rows.n;
	return OK;
}

err store_session_list(struct store *s, struct arena *a, const struct session_row *like, epoch now, struct str after, int64_t limit,
                       struct session_row **out, size_t *n)
{
	struct stmt st[] = {
		SQL("SELECT " SESSION_COLS " FROM session WHERE ended_at = 0 AND expires_at > $1 AND sid > $2 AND ($3 = '' OR person_id = $3)"
			" AND ($4 = '' OR cert_id = $4) ORDER BY sid LIMIT $5", num(now), txt(after), txt(like->person_id), txt(like->cert_id), num(limit)),
	};
	TRY(ask_read(s, a, st, 1));
	*out = row_all(a, &st->rows, &session_cols, n);
	return OK;
}

err store_session_by_sid(struct store *s, struct arena *a, struct str sid, struct session_row **out)
{
	struct stmt st[] = { SQL("SELECT " SESSION_COLS " FROM session WHERE sid = $1", txt(sid)) };
	TRY(ask_read(s, a, st, 1));
	*out = row_only(a, &st->rows, &session_cols);
	return OK;
}

err store_session_clients(struct store *s, struct arena *a, struct str sid, struct strs *out)
{
	struct stmt st[] = { SQL("SELECT DISTINCT client_id FROM grants WHERE sid = $1 AND sid <> '' ORDER BY client_id", txt(sid)) };
	TRY(ask_read(s, a, st, 1));
	*out = (struct strs){ st->rows.cell, st->rows.n };
	return OK;
}
