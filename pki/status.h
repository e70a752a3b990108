#pragma once
#include "x509.h"

/* Whether a certificate is good now: OCSP (RFC 6960, 5019) and CRLs (RFC 5280 section 5). Bytes in, values out; no network here. */
enum status { STATUS_GOOD, STATUS_REVOKED, STATUS_UNDECIDED };
struct status_answer {
	enum status status;
	struct str why;                      /* revocation reason, or why it is undecided */
	epoch this_update, next_update, revoked_at;
	epoch good_until;                    /* until when this answer may be reused */
};

err ocsp_request(struct arena *a, const struct cert *leaf, const struct cert *issuer, struct bytes nonce, struct bytes *der);  /* nonce empty: none */

/* STATUS_GOOD only if: the answer's signature is by the issuer or a delegate that the issuer certified for OCSP; exactly one
 * single response for this leaf; thisUpdate and producedAt not in the future beyond 5 min skew; nextUpdate not past, or thisUpdate not
 * older than max_age; the nonce equal when there is one (and there, when nonce_required). Never an err for a bad answer: STATUS_UNDECIDED. */
err ocsp_read(struct arena *a, struct bytes answer, const struct cert *leaf, const struct cert *issuer, struct bytes nonce,
              bool nonce_required, int64_t max_age, epoch now, struct status_answer *out);

/* A CRL, DER or PEM, checked against its issuer once and then looked up: sorted serials. Full CRLs of one issuer; indirect, delta
 * and partial ones are refused. */
struct crl;
err crl_read(struct arena *a, struct bytes file, const struct cert *issuer, epoch now, struct crl **out, struct str *why_not); /* NULL + why */
void crl_look(const struct crl *, struct arena *a, const struct cert *leaf, epoch now, struct status_answer *out);
void crl_free(struct crl *);
