#pragma once
#include "house.h"
#include "status.h"

/* Whether a person's certificate is good now, by its issuer's OCSP responder or, when that does not answer and the configuration
 * allows it, by the issuer's CRL. Only URLs of the trust anchor's row are ever asked (SEC-29), after the path was checked.
 * Answers are kept for as long as they say, here and (sealed) in the short-lived store for the other nodes.
 *
 * When it is not known yet, the question goes out and the request is parked: the error is PARKED, and the handler runs again
 * when the answer has come or the time is up. So it is asked before anything is changed. STATUS_UNDECIDED is no good answer. */
err statuses_new(struct arena *a, struct statuses **out);
void statuses_free(struct statuses *);

err status_of(struct req *rq, const struct cert *leaf, const struct cert *issuer, const struct anchor *anchor, struct status_answer *out);
