#pragma once
#include "interaction.h"
#include "x509.h"

/* What every login by certificate shares: is the certificate believed, whom does it name, is it good now, and who is that here. */
struct evidence {
	struct cert cert;                    /* whose key signed our challenge: checked by the method before */
	const struct bytes *extra;           /* certificates that came along */
	size_t nextra;
	const char *method;                  /* "sim" "token" "tls": also the purpose that the anchor must have */
	struct str expected;                 /* canonical number that was asked for; "" = whoever it names */
	struct str phone;                    /* E.164, for SIM */
};
struct proved { struct subject subject; struct cert cert; struct str issuer_id, acr, amr; };

/* Path, purpose, leaf profile, subject, expected person, status now. PARKED while the status is being learned; else CERT_…, STATUS_UNKNOWN
 * or LOGIN_REFUSED (it names somebody else), with the reason. Changes nothing. */
err evidence_check(struct req *rq, const struct evidence *, struct proved *out);

/* The login itself, without a browser: finds or enrols the person, records the certificate, begins a session in place of the one whose
 * id_hash is `replaces` ("": of none). One transaction with its audit row. secret: of the session, for whom it is given to. LOGIN_REFUSED
 * when the certificate is somebody else's or the person is disabled. */
err login_record(struct req *rq, const struct evidence *, const struct proved *, struct str client_id, struct str replaces,
                 struct session_row *session, struct str *secret, struct person_row **who);

/* The same for whoever sits at this browser: finds or enrols the person, records the certificate, begins a session in place of the old one, and sends the
 * person back to the authorization. One transaction with its audit row. */
err login_finish(struct req *rq, struct res *rs, struct interaction *, const struct evidence *, const struct proved *);

/* No refusal of a person: done, waiting, or a fault of ours. Nothing is shown or audited of it here; route.c tells it. */
static inline bool login_undecided(err e) { return !e.kind || e.kind == &PARKED || e.kind == &UNAVAILABLE || e.kind == &SERVER_ERROR; }

/* Leaves an audit row for a login that failed and gives the error back. Faults of ours and PARKED pass untouched. */
err login_failed(struct req *rq, const struct interaction *, const char *method, err why);

/* Counts an attempt from this address; TOO_MANY_REQUESTS beyond the limit. attempt_op and attempt_allowed are its two halves, for who asks for
 * more in the same journey. */
err attempt_count(struct req *rq);
struct eph_op attempt_op(struct req *rq);
err attempt_allowed(struct req *rq, const struct eph_op *counted);

struct str number_mac(const struct house *, struct arena *a, struct str canonical);  /* how people and phones are looked up */
