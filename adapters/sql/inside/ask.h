#pragma once
#include "lane.h"
#include "sql.h"

struct store { const struct sql_engine *engine; struct lane *read, *write; struct pool *pool; struct arena *own; };

/* For tests that put something between the verbs and an engine. */
err store_over(struct arena *a, const struct sql_engine *, struct str where, struct store **out);

/* One unit. key: what it contends for with others, or "". */
err ask_read(struct store *s, struct arena *a, struct stmt *st, size_t n);
err ask_write(struct store *s, struct arena *a, struct str key, struct stmt *st, size_t n);
err ask_patiently(struct store *s, struct arena *a, struct stmt *st, size_t n, int64_t patience_ms);

#define COUNT(a) (sizeof(a) / sizeof *(a))
#define SQL(sql, ...) { .text = sql, .v = (const struct val[]){ __VA_ARGS__ }, .n = COUNT(((const struct val[]){ __VA_ARGS__ })) }
#define SQL_ALONE(sql) { .text = sql }

#define AUDIT_COLS "id, at_ms, event, outcome, client_id, person_id, sid, request_id, peer, why, detail"
#define AUDIT_VALS(e) txt((e)->id), num((e)->at_ms), txt((e)->event), txt((e)->outcome), txt((e)->client_id), txt((e)->person_id), \
	txt((e)->sid), txt((e)->request_id), txt((e)->peer), txt((e)->why), txt((e)->detail)
#define AUDIT(e) SQL("INSERT INTO audit (" AUDIT_COLS ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)", AUDIT_VALS(e))
/* Only where cond holds; its own values begin at $12, and the event's id is $1. */
#define AUDIT_WHERE(e, cond, ...) SQL("INSERT INTO audit (" AUDIT_COLS ") SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11" \
	" WHERE " cond " RETURNING id", AUDIT_VALS(e), __VA_ARGS__)

/* One column, one line: its name, and where its cell goes in the struct. Ends with a zero row. */
struct col { size_t at; enum { COL_STR, COL_INT, COL_BOOL } type; };
#define COL_S(T, f) { offsetof(struct T, f), COL_STR }
#define COL_I(T, f) { offsetof(struct T, f), COL_INT }
#define COL_B(T, f) { offsetof(struct T, f), COL_BOOL }

struct cols { const struct col *v; size_t n, size; };
#define COLS(T, array) { array, COUNT(array), sizeof(struct T) }

void *row_at(struct arena *a, const struct rows *r, size_t row, size_t first_col, const struct cols *);
void *row_only(struct arena *a, const struct rows *r, const struct cols *);           /* NULL when there is none */
void *row_all(struct arena *a, const struct rows *r, const struct cols *, size_t *n);

#define CLIENT_COLS "id, name, metadata, created_at, updated_at, disabled_at, version"
#define PERSON_COLS(t) t "id, " t "kind, " t "name, " t "search_key, " t "number_mac, " t "number_sealed, " t "phone_mac, " \
	t "phone_sealed, " t "claims, " t "created_at, " t "updated_at, " t "disabled_at, " t "version"
#define GRANT_COLS(t) t "id, " t "client_id, " t "person_id, " t "sid, " t "sub, " t "scope, " t "acr, " t "amr, " t "nonce, " \
	t "claims, " t "auth_time, " t "created_at, " t "revoked_at, " t "offline, " t "auth_time_asked, " \
	t "resources, " t "details, " t "act, " t "cert_id"
#define GRANT_PARAMS "$1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19"
#define GRANT_VALS(g) txt((g)->id), txt((g)->client_id), txt((g)->person_id), txt((g)->sid), txt((g)->sub), txt((g)->scope), txt((g)->acr), \
	txt((g)->amr), txt((g)->nonce), txt((g)->claims), num((g)->auth_time), num((g)->created_at), num((g)->revoked_at), num((g)->offline), \
	num((g)->auth_time_asked), txt((g)->resources), txt((g)->details), txt((g)->act), txt((g)->cert_id)
#define SESSION_COLS "id_hash, sid, person_id, acr, amr, method, cert_id, auth_time, created_at, expires_at, ended_at"
#define REFRESH_COLS(t) t "hash, " t "grant_id, " t "scope, " t "confirm, " t "parent, " t "generation, " t "created_at, " t "expires_at, " t "used_at"
#define REFRESH_VALS(r) txt((r)->hash), txt((r)->scope), txt((r)->confirm), num((r)->generation), num((r)->created_at), num((r)->expires_at)
/* backchannel_logout_uri of a registration, or "" */
struct str client_logout_uri(struct arena *a, const struct client_row *);
extern const struct cols client_cols, person_cols, grant_cols;

/* A grant g is worth something: it is not revoked, its client and its person (if any) are there and not disabled, and its
 * session, where it must have one, goes on. */
/* As a scalar, not as EXISTS: beside an OR PostgreSQL would hash the answer for every session and person there is, and without statistics it prefers to. */
#define SESSION_GOES_ON(now) "(SELECT 1 FROM session n WHERE n.sid = g.sid AND n.ended_at = 0 AND n.expires_at > " now ") = 1"
#define GRANT_GOOD \
	"g.revoked_at = 0 AND EXISTS (SELECT 1 FROM client c WHERE c.id = g.client_id AND c.disabled_at = 0)" \
	" AND (g.person_id = '' OR (SELECT 1 FROM person p WHERE p.id = g.person_id AND p.disabled_at = 0) = 1)"
#define GRANT_LIVE(now) GRANT_GOOD " AND (g.sid = '' OR g.offline = 1 OR " SESSION_GOES_ON(now) ")"

struct val person_val(const struct person_row *p, int i);
