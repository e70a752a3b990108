#include "ask.h"

static const struct col GRANT[] = {
	COL_S(grant_row, id), COL_S(grant_row, client_id), COL_S(grant_row, person_id), COL_S(grant_row, sid), COL_S(grant_row, sub),
	COL_S(grant_row, scope), COL_S(grant_row, acr), COL_S(grant_row, amr), COL_S(grant_row, nonce), COL_S(grant_row, claims),
	COL_I(grant_row, auth_time), COL_I(grant_row, created_at), COL_I(grant_row, revoked_at), COL_B(grant_row, offline), COL_B(grant_row, auth_time_asked),
	COL_S(grant_row, resources), COL_S(grant_row, details), COL_S(grant_row, act), COL_S(grant_row, cert_id),
};
const struct cols grant_cols = COLS(grant_row, GRANT);

#define CODE_COLS(t) t "hash, " t "grant_id, " t "redirect_uri, " t "challenge, " t "confirm, " t "created_at, " t "expires_at, " t "redeemed_at"
static const struct col CODE[] = {
	COL_S(code_row, hash), COL_S(code_row, grant_id), COL_S(code_row, redirect_uri), COL_S(code_row, challenge), COL_S(code_row, confirm),
	COL_I(code_row, created_at), COL_I(code_row, expires_at), COL_I(code_row, redeemed_at),
};
static const struct cols code_cols = COLS(code_row, CODE);

static const struct col REFRESH[] = {
	COL_S(refresh_row, hash), COL_S(refresh_row, grant_id), COL_S(refresh_row, scope), COL_S(refresh_row, confirm), COL_S(refresh_row, parent),
	COL_I(refresh_row, generation), COL_I(refresh_row, created_at), COL_I(refresh_row, expires_at), COL_I(refresh_row, used_at),
};
static const struct cols refresh_cols = COLS(refresh_row, REFRESH);

/* ---- codes ---------------------------------------------------------------------------------------------------------------- */

err store_code_put(struct store *s, struct arena *a, const struct code_row *c, const struct grant_row *g, const struct audit *ev)
{
	struct stmt st[] = {
		SQL("INSERT INTO grants (" GRANT_COLS("") ") VALUES (" GRANT_PARAMS ")", GRANT_VALS(g)),
		SQL("INSERT INTO code (" CODE_COLS("") ", redeemed_by) VALUES ($1, $2, $3, $4, $5, $6, $7, 0, '')",
			txt(c->hash), txt(g->id), txt(c->redirect_uri), txt(c->challenge), txt(c->confirm), num(c->created_at), num(c->expires_at)),
		AUDIT(ev),
	};
	return ask_write(s, a, c->hash, st, COUNT(st));
}

err store_code_look(struct store *s, struct arena *a, struct str hash, struct code_row **code, struct grant_row **grant)
{
	struct stmt st[] = {
		SQL("SELECT " CODE_COLS("k.") ", " GRANT_COLS("g.") " FROM code k JOIN grants g ON g.id = k.grant_id WHERE k.hash = $1", txt(hash)),
	};
	TRY(ask_read(s, a, st, 1));
	*code = row_only(a, &st->rows, &code_cols);
	*grant = *code ? row_at(a, &st->rows, 0, code_cols.n, &grant_cols) : NULL;
	return OK;
}

/* A code is fresh, so its session goes on even when the grant will outlive it. */
#define REDEEM \
	"UPDATE code SET redeemed_at = $2, redeemed_by = $3 WHERE hash = $1 AND redeemed_at = 0 AND expires_at > $2" \
	" AND EXISTS (SELECT 1 FROM grants g WHERE g.id = code.grant_id AND " GRANT_GOOD \
	" AND (g.sid = '' OR " SESSION_GOES_ON("$2") ")) RETURNING hash"

#define FIRST_REFRESH \
	"INSERT INTO refresh (" REFRESH_COLS("") ", used_by) SELECT $1, k.grant_id, $2, $3, '', $4, $5, $6, 0, ''" \
	" FROM code k WHERE k.hash = $7 AND k.redeemed_by = $8"

static enum redeem why_not(const struct code_row *c, epoch now)
{
	return !c ? CODE_UNKNOWN : c->redeemed_at ? CODE_REPLAYED : c->expires_at <= now ? CODE_EXPIRED : CODE_REVOKED;
}

err store_code_redeem(struct store *s, struct arena *a, struct str hash, struct str by, epoch now, const struct refresh_row *first,
                      const struct audit *ev, enum redeem *outcome)
{
	static const struct refresh_row none;
	const struct refresh_row *f = first ? first : &none;
	struct stmt st[] = {
		SQL(REDEEM, txt(hash), num(now), txt(by)),
		AUDIT_WHERE(ev, "EXISTS (SELECT 1 FROM code WHERE hash = $12 AND redeemed_by = $13)", txt(hash), txt(by)),
		SQL(FIRST_REFRESH, REFRESH_VALS(f), txt(hash), txt(by)),
	};
	TRY(ask_write(s, a, hash, st, first ? 3 : 2));
	*outcome = CODE_REDEEMED;
	if (st[0].rows.n)
		return OK;
	/* a code only ever gets worse, so that looking afterwards tells why */
	struct code_row *code;
	struct grant_row *grant;
	TRY(store_code_look(s, a, hash, &code, &grant));
	*outcome = why_not(code, now);
	return OK;
}

/* ---- refresh tokens ---------------------------------------------------------------------------------------------------------- */

err store_refresh_look(struct store *s, struct arena *a, struct str hash, struct refresh_row **refresh, struct grant_row **grant)
{
	struct stmt st[] = {
		SQL("SELECT " REFRESH_COLS("r.") ", " GRANT_COLS("g.") " FROM refresh r JOIN grants g ON g.id = r.grant_id WHERE r.hash = $1", txt(hash)),
	};
	TRY(ask_read(s, a, st, 1));
	*refresh = row_only(a, &st->rows, &refresh_cols);
	*grant = *refresh ? row_at(a, &st->rows, 0, refresh_cols.n, &grant_cols) : NULL;
	return OK;
}

#define ROTATE \
	"UPDATE refresh SET used_at = $2, used_by = $3 WHERE hash = $1 AND used_at = 0 AND expires_at > $2" \
	" AND EXISTS (SELECT 1 FROM grants g WHERE g.id = refresh.grant_id AND " GRANT_LIVE("$2") ") RETURNING hash"

#define NEXT_REFRESH \
	"INSERT INTO refresh (" REFRESH_COLS("") ", used_by) SELECT $1, o.grant_id, $2, $3, o.hash, $4, $5, $6, 0, ''" \
	" FROM refresh o WHERE o.hash = $7 AND o.used_by = $8"

/* $12 the token, $13 now, $14 its successor, $15 the earliest moment at which it may have been used. */
#define DONE_NOW "EXISTS (SELECT 1 FROM refresh WHERE hash = $12 AND used_by = $1)"
#define DONE_JUST_BEFORE \
	"EXISTS (SELECT 1 FROM refresh o JOIN refresh r ON r.hash = $14 AND r.parent = o.hash JOIN grants g ON g.id = o.grant_id" \
	" WHERE o.hash = $12 AND o.used_at >= $15 AND r.used_at = 0 AND r.expires_at > $13 AND " GRANT_LIVE("$13") ")"
#define GOOD_NOW \
	"EXISTS (SELECT 1 FROM refresh o JOIN grants g ON g.id = o.grant_id WHERE o.hash = $12 AND o.used_at = 0 AND o.expires_at > $13 AND " GRANT_LIVE("$13") ")"

static err rotate_refused(struct store *s, struct arena *a, struct str hash, epoch now, enum rotate *outcome)
{
	struct refresh_row *r;
	struct grant_row *g;
	TRY(store_refresh_look(s, a, hash, &r, &g));
	*outcome = !r ? REFRESH_UNKNOWN : g->revoked_at ? REFRESH_REVOKED : r->used_at ? REFRESH_REPLAYED : r->expires_at <= now ? REFRESH_EXPIRED : REFRESH_REVOKED;
	return OK;
}

static err refresh_use(struct store *s, struct arena *a, struct str hash, epoch now, const struct audit *ev, enum rotate *outcome)
{
	struct stmt st[] = { AUDIT_WHERE(ev, GOOD_NOW, txt(hash), num(now)) };
	TRY(ask_write(s, a, hash, st, 1));
	*outcome = REFRESH_ROTATED;
	return st->rows.n ? OK : rotate_refused(s, a, hash, now, outcome);
}

err store_refresh_rotate(struct store *s, struct arena *a, struct str hash, const struct refresh_row *next, epoch now, int64_t grace,
                         const struct audit *ev, enum rotate *outcome)
{
	if (!next)
		return refresh_use(s, a, hash, now, ev, outcome);
	struct stmt st[] = {
		SQL(ROTATE, txt(hash), num(now), txt(ev->id)),
		SQL(NEXT_REFRESH, REFRESH_VALS(next), txt(hash), txt(ev->id)),
		AUDIT_WHERE(ev, "(" DONE_NOW " OR " DONE_JUST_BEFORE ")", txt(hash), num(now), txt(next->hash), num(grace ? now - grace : INT64_MAX)),   /* no grace: not within the same second either */
	};
	TRY(ask_write(s, a, hash, st, COUNT(st)));
	*outcome = st[0].rows.n ? REFRESH_ROTATED : REFRESH_AGAIN;
	return st[2].rows.n ? OK : rotate_refused(s, a, hash, now, outcome);
}

/* ---- revoking, and whether a token lives --------------------------------------------------------------------------------------- */

err store_grant_revoke(struct store *s, struct arena *a, struct str grant_id, epoch now, const struct audit *ev)
{
	struct stmt st[] = {
		SQL("UPDATE grants SET revoked_at = $2 WHERE id = $1 AND revoked_at = 0", txt(grant_id), num(now)),
		AUDIT(ev),
	};
	return ask_write(s, a, grant_id, st, COUNT(st));
}

err store_token_revoke(struct store *s, struct arena *a, struct str jti, epoch token_expires, epoch now, const struct audit *ev)
{
	struct stmt st[] = {
		SQL("INSERT INTO revoked_token (jti, expires_at, revoked_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING", txt(jti), num(token_expires), num(now)),
		AUDIT(ev),
	};
	return ask_write(s, a, jti, st, COUNT(st));
}

#define NOT_REVOKED "NOT EXISTS (SELECT 1 FROM revoked_token t WHERE t.jti = $1)"
#define CLIENT_LIVES "SELECT c.id FROM client c WHERE c.id = $2 AND c.disabled_at = 0 AND " NOT_REVOKED
#define TOKEN_LIVES(cols, join) "SELECT " cols " FROM grants g " join " WHERE g.id = $2 AND g.client_id = $3 AND " GRANT_LIVE("$4") " AND " NOT_REVOKED

err store_token_live(struct store *s, struct arena *a, struct str jti, struct str grant_id, struct str client_id, epoch now,
                     enum liveness *out, struct grant_row **grant, struct person_row **person)
{
	struct stmt of_client = SQL(CLIENT_LIVES, txt(jti), txt(client_id));
	struct stmt of_grant = SQL(TOKEN_LIVES(GRANT_COLS("g."), ""), txt(jti), txt(grant_id), txt(client_id), num(now));
	struct stmt of_person = SQL(TOKEN_LIVES(GRANT_COLS("g.") ", " PERSON_COLS("q."), "LEFT JOIN person q ON q.id = g.person_id"),
		txt(jti), txt(grant_id), txt(client_id), num(now));
	struct stmt *st = !grant_id.n ? &of_client : person ? &of_person : &of_grant;
	TRY(ask_read(s, a, st, 1));
	*out = st->rows.n ? TOKEN_LIVE : TOKEN_DEAD;
	bool with_grant = st->rows.n && grant_id.n;
	if (grant)
		*grant = with_grant ? row_at(a, &st->rows, 0, 0, &grant_cols) : NULL;
	if (person)
		*person = with_grant && st->rows.cell[grant_cols.n].n ? row_at(a, &st->rows, 0, grant_cols.n, &person_cols) : NULL;
	return OK;
}

err store_grant_put(struct store *s, struct arena *a, const struct grant_row *g, epoch expires_at, const struct audit *ev)
{
	struct stmt st[] = {
		SQL("INSERT INTO grants (" GRANT_COLS("") ", expires_at) VALUES (" GRANT_PARAMS ", $20)", GRANT_VALS(g), num(expires_at)),
		AUDIT(ev),
	};
	return ask_write(s, a, g->id, st, COUNT(st));
}

/* $1..$5 the token and those it came from; $6..$10 their clients, of whom $11 are different; $12 the oldest one's. */
#define NONE_REVOKED "NOT EXISTS (SELECT 1 FROM revoked_token t WHERE t.jti IN ($1, $2, $3, $4, $5))"
#define CLIENTS_LIVE "(SELECT COUNT(*) FROM client k WHERE k.id IN ($6, $7, $8, $9, $10) AND k.disabled_at = 0) = $11"
#define RESTS_ON_GRANT "SELECT " GRANT_COLS("g.") " FROM grants g WHERE g.id = $13 AND g.client_id = $12 AND " GRANT_LIVE("$14") \
	" AND " CLIENTS_LIVE " AND " NONE_REVOKED
#define RESTS_ON_CLIENT "SELECT c.id FROM client c WHERE c.id = $12 AND " CLIENTS_LIVE " AND " NONE_REVOKED
enum { RESTS_MOST = EXCHANGES_MOST + 1, RESTS_VALS = 14, OLDEST_VAL = 11 };

static int64_t different(const struct val *v, size_t n)
{
	int64_t found = 0;
	for (size_t i = 0; i < n; i++) {
		bool seen = str_empty(v[i].s);
		for (size_t k = 0; k < i && !seen; k++)
			seen = str_eq(v[k].s, v[i].s);
		found += !seen;
	}
	return found;
}

/* Most are asked about as they were given. */
static struct stmt rests_as_given(struct arena *a, const struct rests *r, epoch now)
{
	struct val *v = make_n(a, struct val, 4), *next = v;
	*next++ = txt(r->jti);
	if (r->grant_id.n)
		*next++ = txt(r->grant_id);
	*next++ = txt(r->client_id);
	if (r->grant_id.n)
		*next++ = num(now);
	return (struct stmt){ .text = r->grant_id.n ? TOKEN_LIVES(GRANT_COLS("g."), "") : CLIENT_LIVES, .v = v, .n = (size_t)(next - v) };
}

static struct stmt rests_stmt(struct arena *a, const struct rests *r, epoch now)
{
	if (!r->via.n)
		return rests_as_given(a, r, now);
	struct val *v = make_n(a, struct val, RESTS_VALS);
	size_t pairs = r->via.n / 2;
	for (size_t i = 0; i < RESTS_MOST; i++) {
		v[i] = txt(i == 0 ? r->jti : i <= pairs ? r->via.v[2 * i - 2] : S(""));
		v[RESTS_MOST + i] = txt(i == 0 ? r->client_id : i <= pairs ? r->via.v[2 * i - 1] : S(""));
	}
	v[2 * RESTS_MOST] = num(different(v + RESTS_MOST, RESTS_MOST));
	v[OLDEST_VAL] = v[RESTS_MOST + pairs];
	v[OLDEST_VAL + 1] = txt(r->grant_id);
	v[OLDEST_VAL + 2] = num(now);
	return r->grant_id.n ? (struct stmt){ .text = RESTS_ON_GRANT, .v = v, .n = RESTS_VALS } : (struct stmt){ .text = RESTS_ON_CLIENT, .v = v, .n = OLDEST_VAL + 1 };
}

err store_rests_live(struct store *s, struct arena *a, const struct rests *r, size_t n, epoch now, enum liveness *out, struct grant_row **grants)
{
	struct stmt st[2];
	for (size_t i = 0; i < n; i++) {
		if (n > COUNT(st) || r[i].via.n > 2 * EXCHANGES_MOST || r[i].via.n % 2)
			return fault(a, &SERVER_ERROR, "a token that rests on %zu others", r[i].via.n / 2);
		st[i] = rests_stmt(a, &r[i], now);
	}
	TRY(ask_read(s, a, st, n));
	for (size_t i = 0; i < n; i++) {
		out[i] = st[i].rows.n ? TOKEN_LIVE : TOKEN_DEAD;
		grants[i] = st[i].rows.n && r[i].grant_id.n ? row_at(a, &st[i].rows, 0, 0, &grant_cols) : NULL;
	}
	return OK;
}

#define LOGIN_LIVES "SELECT " GRANT_COLS("g.") " FROM grants g WHERE g.sid = $1 AND g.client_id = $2 AND g.sub = $3 AND " GRANT_GOOD \
	" AND " SESSION_GOES_ON("$4") " ORDER BY g.created_at DESC, g.id DESC LIMIT 1"

err store_login_live(struct store *s, struct arena *a, struct str sid, struct str client_id, struct str sub, epoch now, struct grant_row **out)
{
	struct stmt st[] = { SQL(LOGIN_LIVES, txt(sid), txt(client_id), txt(sub), num(now)) };
	TRY(ask_read(s, a, st, 1));
	*out = row_only(a, &st->rows, &grant_cols);
	return OK;
}

/* ---- once ------------------------------------------------------------------------------------------------------------------------ */

err store_once(struct store *s, struct arena *a, struct str kind, struct str id, epoch expires_at, epoch now, bool *first)
{
	struct stmt st[] = {
		SQL("INSERT INTO once (kind, id, expires_at) VALUES ($1, $2, $3) ON CONFLICT (kind, id)"
			" DO UPDATE SET expires_at = excluded.expires_at WHERE once.expires_at <= $4 RETURNING kind", txt(kind), txt(id), num(expires_at), num(now)),
	};
	TRY(ask_write(s, a, id, st, 1));
	*first = st->rows.n;
	return OK;
}
