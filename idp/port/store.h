#pragma once
#include "audit.h"
#include "err.h"
#include "str.h"

/* Everything the protocol asks of durable storage, in the protocol's own words.
 *
 * An err says the store could not answer (UNAVAILABLE), or that what was to be written exists or was changed
 * meanwhile (CONFLICT, only where said). What it did answer is in the out parameter: a miss is a value (NULL, or an
 * outcome), never an error. All returned memory is in a. Times are epoch seconds, passed in; 0 means "not (yet)".
 * Ids are made by the caller. Hashes are base64url SHA-256 of the secret itself, which is never stored.
 * Each verb that changes something is one transaction and takes the audit event that goes into it: when the verb
 * returns OK, both are on disk; when it returns an error, neither counts as said.
 *
 * Calls block the calling thread while their statements travel with those of the other threads (adapters/sql). */
struct store;

/* ---- clients ------------------------------------------------------------------------------------------------ */

/* metadata is the registration as JSON (RFC 7591 names); idp/oauth/client.h reads it. */
struct client_row { struct str id, name, metadata; epoch created_at, updated_at, disabled_at; int64_t version; };

err store_client(struct store *, struct arena *a, struct str id, struct client_row **out);           /* NULL: no such */
err store_client_list(struct store *, struct arena *a, struct str after, int64_t limit, struct client_row **out, size_t *n);
err store_client_add(struct store *, struct arena *a, const struct client_row *, const struct audit *); /* CONFLICT: id taken */
/* Writes name, metadata, disabled_at where version still is row->version, which it raises. CONFLICT otherwise. */
err store_client_change(struct store *, struct arena *a, const struct client_row *, const struct audit *);
err store_client_remove(struct store *, struct arena *a, struct str id, bool *existed, const struct audit *);

/* ---- clients that register themselves (RFC 7591) ---------------------------------------------------------------- */

/* An initial access token, by the hash of what its bearer shows: whoever has it registers up to uses_left clients, each of one profile
 * ("" = the usual one) and with no more than scope. */
struct invite_row { struct str id, hash, name, profile, scope; int64_t uses_left; epoch created_at, expires_at, revoked_at; };

err store_invite_add(struct store *, struct arena *a, const struct invite_row *, const struct audit *);
err store_invite(struct store *, struct arena *a, struct str hash, struct invite_row **out);         /* NULL: no such; also those that are over */
err store_invite_list(struct store *, struct arena *a, struct str after, int64_t limit, struct invite_row **out, size_t *n);
err store_invite_revoke(struct store *, struct arena *a, struct str id, epoch now, bool *existed, const struct audit *);  /* existed: and was not revoked */

/* token_hash: of the registration access token (RFC 7592). scope: what the client may ever ask for. invite NULL: it came without one. */
struct registration { struct client_row client; struct str token_hash, scope; const struct invite_row *invite; };
enum registered { REGISTERED, INVITE_SPENT, REGISTRATIONS_FULL };

/* Spends one use of the invite, of which each is spent once, and adds the client; unless there are `most` registered ones already. */
err store_register(struct store *, struct arena *a, const struct registration *, int64_t most, epoch now, const struct audit *, enum registered *outcome);
/* The client whose registration access token that is, and is not disabled: NULL when it is none's, or of another. */
err store_registered(struct store *, struct arena *a, struct str client_id, struct str token_hash, struct client_row **client, struct str *scope);

/* ---- people and organisations -------------------------------------------------------------------------------- */

/* number_mac = HMAC of the canonical number (PNOVN-001099000001, VATVN-0123456789), unique; number_sealed opens with
 * seal_open(…, "person:<id>:number"). phone likewise (E.164), not unique, empty when unknown.
 * claims: OpenID Connect standard claims as JSON. search_key: the name lower-cased without diacritics. */
struct person_row {
	struct str id, kind;                 /* "citizen" or "organisation" */
	struct str name, search_key, number_mac, number_sealed, phone_mac, phone_sealed, claims;
	epoch created_at, updated_at, disabled_at;
	int64_t version;
};

err store_person(struct store *, struct arena *a, struct str id, struct person_row **out);
err store_person_by_number(struct store *, struct arena *a, struct str number_mac, struct person_row **out);
err store_person_by_phone(struct store *, struct arena *a, struct str phone_mac, struct person_row **out, size_t *n); /* at most 2 */
/* Who was told of to a client as sub, while something of that is still kept. NULL: nobody. */
err store_person_by_sub(struct store *, struct arena *a, struct str client_id, struct str sub, struct person_row **out);
err store_person_search(struct store *, struct arena *a, struct str key_prefix, struct str after_id, int64_t limit, struct person_row **out, size_t *n);
err store_person_add(struct store *, struct arena *a, const struct person_row *, const struct audit *);      /* CONFLICT: number known */
err store_person_change(struct store *, struct arena *a, const struct person_row *, const struct audit *);   /* by version, as for clients */

/* ---- trust anchors and certificates --------------------------------------------------------------------------- */

/* id = lower-case hex SHA-256 of the DER. purposes: words of "sim token tls client". settings: JSON, pki/trust.h reads it
 * (ocsp and crl URLs, level, allowed policies). kind: "anchor" or "intermediate". der: standard base64. */
struct trust_row { struct str id, name, kind, purposes, settings, der; epoch added_at, disabled_at; };

err store_trust_list(struct store *, struct arena *a, struct trust_row **out, size_t *n);
err store_trust_add(struct store *, struct arena *a, const struct trust_row *, const struct audit *);        /* CONFLICT: is there */
err store_trust_disable(struct store *, struct arena *a, struct str id, epoch at, bool *existed, const struct audit *);

/* id = hex SHA-256 of the DER. (issuer_id, serial) is unique; issuer_id = hex SHA-256 of the issuer's SubjectPublicKeyInfo
 * and name, as pki gives it. method: "sim" "token" "tls". number_mac: the number that the certificate names. subject and der
 * (standard base64) hold that number: they open with seal_open(…, "cert:<id>:subject") and "cert:<id>:der". */
struct cert_row {
	struct str id, person_id, issuer_id, serial, subject, spki_sha256, number_mac, method, der;
	epoch not_before, not_after, first_seen, last_seen, revoked_at;
	struct str revoked_why;
};

err store_cert(struct store *, struct arena *a, struct str id, struct cert_row **out);
err store_cert_list(struct store *, struct arena *a, struct str person_id, struct str after, int64_t limit, struct cert_row **out, size_t *n); /* person_id "" = all */
/* The newest certificate seen for a person by one method: with "sim", the one that a raw signature is checked with. */
err store_cert_of(struct store *, struct arena *a, struct str person_id, struct str method, struct cert_row **out);
/* Its issuer says that it is revoked: noted (audited once), and the sessions that rest on it end. A login with it later, when the issuer
 * says good again (it was on hold), takes the note away. *ended: how many sessions. */
err store_cert_revoked(struct store *, struct arena *a, struct str id, struct str why, epoch now, const struct audit *, size_t *ended);

/* ---- logins and sessions --------------------------------------------------------------------------------------- */

/* id_hash: of the cookie's value. sid: the public session id (in ID tokens). data: nothing secret. */
struct session_row {
	struct str id_hash, sid, person_id, acr, amr, method, cert_id;
	epoch auth_time, created_at, expires_at, ended_at;
};

enum enrolment { ENROLLED_NOW, KNOWN_BEFORE, NUMBER_OF_ANOTHER };

/* A login by certificate, whole: binds (issuer_id, number) to a person, enrolling `person` when its number is new;
 * records or refreshes the certificate; begins the session; ends `replaces` (a session's id_hash, or ""); audits.
 * One transaction; of two first logins at once both find the same person. person_id of session and cert are filled in
 * by the store: *who is the person that it is now. NUMBER_OF_ANOTHER: this certificate is recorded for somebody else,
 * nothing was written but the audit event. A disabled person is returned in *who (disabled_at != 0) and gets no session. */
struct login { struct person_row person; struct cert_row cert; struct session_row session; struct str replaces; };
err store_login(struct store *, struct arena *a, const struct login *, const struct audit *, enum enrolment *outcome, struct person_row **who);

/* NULL unless the session exists, is not ended, not expired, and its person is not disabled. */
err store_session(struct store *, struct arena *a, struct str id_hash, epoch now, struct session_row **out);
/* Whichever way a session ends (also by store_login, store_cert_revoked, and store_person_change of a person who is disabled), in the one
 * transaction every grant that rests on it is revoked but those with offline_access, a delivery is queued for each application that wants to
 * be told (below), and the trail gets a row: the event given, with the session's sid and person; why says the reason. One that has ended
 * already is none of this verb's business. */
enum sessions_of { SESSION_OF_COOKIE, SESSION_BY_SID, SESSIONS_OF_PERSON, SESSIONS_OF_CERT };
err store_sessions_end(struct store *, struct arena *a, enum sessions_of, struct str id, epoch now, const struct audit *, size_t *ended);
err store_session_end(struct store *, struct arena *a, struct str id_hash, epoch now, const struct audit *);    /* SESSION_OF_COOKIE */
err store_sessions_expire(struct store *, struct arena *a, epoch now, int64_t most, const struct audit *, size_t *ended);
/* Those that go on, in order of sid; of like's person_id and cert_id, unless "". */
err store_session_list(struct store *, struct arena *a, const struct session_row *like, epoch now, struct str after, int64_t limit,
                       struct session_row **out, size_t *n);
err store_session_by_sid(struct store *, struct arena *a, struct str sid, struct session_row **out);   /* ended ones too */
/* The clients that were signed in to during the session: ids. */
err store_session_clients(struct store *, struct arena *a, struct str sid, struct strs *out);

/* ---- telling applications that sessions are over (OpenID Connect Back-Channel Logout 1.0) --------------------------- */

/* One for each application with a backchannel_logout_uri that was signed in to during the session. sub: what the application knows the
 * person by. state: "pending" until it is "delivered" or has "failed"; why: what the last try came to. due_at: when the next try is. */
struct delivery_row {
	struct str sid, client_id, sub, state, why;
	int64_t tries;
	epoch queued_at, due_at, done_at;
};

/* Takes those that are due, the longest waiting first: of all callers, in all processes, one is given each, until `until`; if no result has
 * come by then (its process was killed), it is due again. by: an id of this attempt. */
err store_delivery_claim(struct store *, struct arena *a, struct str by, epoch now, epoch until, int64_t most, struct delivery_row **out, size_t *n);
/* What came of a try: state, why and due_at of the row that was claimed, unless it was queued or claimed anew meanwhile. Audited when that is
 * the end of it. Still "pending": for half a minute nothing else is due for that client, so that one which does not answer holds up no other. */
err store_delivery_result(struct store *, struct arena *a, const struct delivery_row *, struct str by, epoch now, const struct audit *);
/* like: client_id, sid, state, each unless "". In order of (sid, client_id), after that pair. */
err store_delivery_list(struct store *, struct arena *a, const struct delivery_row *like, const struct delivery_row *after, int64_t limit,
                        struct delivery_row **out, size_t *n);
/* Failed ones, of client_id and sid unless "", are due now, and counted from the start. */
err store_delivery_retry(struct store *, struct arena *a, struct str client_id, struct str sid, epoch now, const struct audit *, size_t *n);
/* Signs everybody out of one client: its grants but those with offline_access are revoked and it is told of each session. The sessions go on. */
err store_client_sign_out(struct store *, struct arena *a, struct str client_id, epoch now, const struct audit *, size_t *sessions);

/* ---- consent ---------------------------------------------------------------------------------------------------- */
err store_consent(struct store *, struct arena *a, struct str person_id, struct str client_id, struct str *scopes); /* "" when none */
/* Adds to what was given before. */
err store_consent_give(struct store *, struct arena *a, struct str person_id, struct str client_id, struct str scopes, epoch now, const struct audit *);
err store_consent_withdraw(struct store *, struct arena *a, struct str person_id, struct str client_id, epoch now, const struct audit *); /* and revokes its grants */

/* ---- grants, codes, refresh tokens ---------------------------------------------------------------------------------- */

/* What a person allowed a client once; every token says which grant it came from. person_id and sid are empty for
 * client_credentials, which have no grant row. */
struct grant_row {
	struct str id, client_id, person_id, sid, sub, scope, acr, amr, nonce, claims; /* claims: the `claims` parameter, or "" */
	struct str resources;                /* RFC 8707: what its tokens may be for, words; "" = what the client is registered for */
	struct str details;                  /* RFC 9396: authorization_details as granted, JSON array, or "" */
	struct str cert_id;                  /* of the certificate that its session began with: what is revoked with it, also what outlives the session */
	struct str act;                      /* RFC 8693 section 4.1: who acts for the person, JSON object, or "" */
	epoch auth_time, created_at, revoked_at;
	bool offline;                        /* outlives its session */
	bool auth_time_asked;                /* max_age was asked for: auth_time is in the ID token */
};

struct code_row {
	struct str hash, grant_id, redirect_uri, challenge, confirm; /* confirm: cnf bound at authorization, or "" */
	epoch created_at, expires_at, redeemed_at;
};

/* confirm: the key that the token is bound to ("x5t#S256:…"), or "". parent: hash of the one it replaced, or "". */
struct refresh_row {
	struct str hash, grant_id, scope, confirm, parent;
	int64_t generation;
	epoch created_at, expires_at, used_at;
};

err store_code_put(struct store *, struct arena *a, const struct code_row *, const struct grant_row *, const struct audit *);

/* Looks without spending. Either all of *code and *grant, or NULL in both. */
err store_code_look(struct store *, struct arena *a, struct str hash, struct code_row **code, struct grant_row **grant);

enum redeem { CODE_UNKNOWN, CODE_EXPIRED, CODE_REPLAYED, CODE_REVOKED, CODE_REDEEMED };

/* Spends a code: of any number of callers at once, in any number of processes, exactly one is told CODE_REDEEMED, and only
 * then are `first` (may be NULL) and the audit event written. CODE_REVOKED: its grant, session, person or client has ended.
 * by: an id of this attempt, unlike any other. */
err store_code_redeem(struct store *, struct arena *a, struct str hash, struct str by, epoch now, const struct refresh_row *first,
                      const struct audit *, enum redeem *outcome);

/* ---- what is asked for on one device and decided on another ---------------------------------------------------------------- */

/* RFC 8628 (kind "device") and CIBA (kind "ciba"); one of a kind is never found as the other. hash: of the device_code or auth_req_id.
 * handle: what the deciding side finds it by. sealed: what only we may read of it, or "". refusal: why it was refused, one word. */
struct decoupled_row {
	struct str hash, kind, handle, client_id, scope, acr_values, sealed, refusal, grant_id;
	epoch created_at, expires_at, decided_at, redeemed_at;
};

err store_decoupled_put(struct store *, struct arena *a, const struct decoupled_row *, const struct audit *);   /* CONFLICT: the handle is taken */
/* grant NULL until it is granted; also when it was refused. */
err store_decoupled_look(struct store *, struct arena *a, struct str kind, struct str hash, struct decoupled_row **row, struct grant_row **grant);
err store_decoupled_find(struct store *, struct arena *a, struct str kind, struct str handle, struct decoupled_row **row);

/* Refused when there is no grant. session: one that begins with it, for a device that shares no browser with the person; or NULL. */
struct decision { struct str refusal; const struct grant_row *grant; const struct session_row *session; };
/* Of any number of callers at once one decides, while it is open and in its time; only then are grant, session and audit event written. */
err store_decoupled_decide(struct store *, struct arena *a, struct str kind, struct str handle, epoch now, const struct decision *,
                           const struct audit *, bool *decided);
/* As store_code_redeem. CODE_REVOKED also when it is not granted. */
err store_decoupled_redeem(struct store *, struct arena *a, struct str kind, struct str hash, struct str by, epoch now,
                           const struct refresh_row *first, const struct audit *, enum redeem *outcome);

/* ---- refresh tokens -------------------------------------------------------------------------------------------------- */

err store_refresh_look(struct store *, struct arena *a, struct str hash, struct refresh_row **refresh, struct grant_row **grant);

enum rotate { REFRESH_UNKNOWN, REFRESH_EXPIRED, REFRESH_REVOKED, REFRESH_REPLAYED, REFRESH_AGAIN, REFRESH_ROTATED };

/* Replaces the token `hash` by `next`, whose hash the caller derives from the old token, so that a retry makes the same one.
 * REFRESH_ROTATED: this caller did it. REFRESH_AGAIN: it was done at most `grace` seconds ago and the successor is unused:
 * the answer may be given again (audited too). REFRESH_REPLAYED: neither; the caller revokes the grant.
 * next NULL: not rotated, only looked at and audited (outcome ROTATED when it is good). */
err store_refresh_rotate(struct store *, struct arena *a, struct str hash, const struct refresh_row *next, epoch now, int64_t grace,
                         const struct audit *, enum rotate *outcome);

err store_grant_revoke(struct store *, struct arena *a, struct str grant_id, epoch now, const struct audit *);
err store_token_revoke(struct store *, struct arena *a, struct str jti, epoch token_expires, epoch now, const struct audit *);

/* Whether an access token that verifies is still good: its jti not revoked, its grant (if any) not revoked, its session
 * (unless offline) not ended, its person and client there and not disabled. One round trip. person may be NULL. */
enum liveness { TOKEN_LIVE, TOKEN_DEAD };
err store_token_live(struct store *, struct arena *a, struct str jti, struct str grant_id, struct str client_id, epoch now,
                     enum liveness *out, struct grant_row **grant, struct person_row **person);

/* A grant that began with nothing of ours, such as another issuer's token. Nothing hangs on it: it goes a day after expires_at. */
err store_grant_put(struct store *, struct arena *a, const struct grant_row *, epoch expires_at, const struct audit *);

/* The same for a token that may have been exchanged (RFC 8693), with what it came from: none of the tokens in `via` revoked, all of their
 * clients there and not disabled. via: pairs of jti and client, the newest first, at most EXCHANGES_MOST; the grant is the oldest one's.
 * One round trip for all n (at most 2); grants may be NULL where a token has none. */
enum { EXCHANGES_MOST = 4 };
struct rests { struct str jti, grant_id, client_id; struct strs via; };
err store_rests_live(struct store *, struct arena *a, const struct rests *, size_t n, epoch now, enum liveness *out, struct grant_row **grants);

/* The newest grant that a login to this client came of, while all that it rests on, its session too, goes on; NULL otherwise. */
err store_login_live(struct store *, struct arena *a, struct str sid, struct str client_id, struct str sub, epoch now, struct grant_row **out);

/* ---- one-time values that must not be forgotten, even by a flushed cache ------------------------------------------------- */
/* true to exactly one caller for each (kind, id) until expires_at. */
err store_once(struct store *, struct arena *a, struct str kind, struct str id, epoch expires_at, epoch now, bool *first);

/* ---- signing keys ---------------------------------------------------------------------------------------------------- */
/* sealed: the PKCS#8 DER, sealed under "key:<kid>". state follows from the times: published from created_at, signs from
 * active_at until the next of its alg does, published until retire_at (0: open). */
struct key_row { struct str kid, alg, public_jwk, sealed; epoch created_at, active_at, retire_at; };
err store_key_list(struct store *, struct arena *a, struct key_row **out, size_t *n);
err store_key_add(struct store *, struct arena *a, const struct key_row *, const struct audit *);   /* CONFLICT: another process made this alg's key for the same active_at */
err store_key_set(struct store *, struct arena *a, struct str kid, epoch active_at, epoch retire_at, const struct audit *);

/* ---- audit ------------------------------------------------------------------------------------------------------------- */
err store_audit(struct store *, struct arena *a, const struct audit *);        /* for events that change nothing else */
err store_audit_tail(struct store *, struct arena *a, struct str after_id, int64_t limit, struct audit **out, size_t *n); /* after "": the last `limit` */

/* ---- the store itself ------------------------------------------------------------------------------------------------------ */
err store_ready(struct store *, struct arena *a, int64_t *schema_version);     /* for /readyz and start */
err store_expire(struct store *, struct arena *a, epoch now, int64_t *removed);/* drops what expired over a day ago, in small steps */
