#pragma once
#include "exchange_party.h"

/* Issuers that the operator trusts for subject tokens: [issuer NAME]. idp/settings.h has their settings. */
struct issuer_conf;
const struct issuer_conf *issuer_of(const struct house *, struct str iss);    /* NULL: nobody that we know */

/* The keys for such a token, fetched when they must be; PARKED meanwhile. Whatever else is wrong is not told here. */
err issuer_fetch(struct req *rq, struct str token);

/* A token of one of them as a subject. It rests on no grant of ours: a person that its number names is who it stands for, and without a
 * number it stands for nobody that we know, under a name that no other issuer and no other client can make. INVALID_TOKEN; PARKED while its
 * keys are fetched. */
err issuer_subject(struct req *rq, const struct client *, struct str token, struct party *out);
