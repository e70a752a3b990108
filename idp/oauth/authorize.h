#pragma once
#include "client.h"
#include "interaction.h"

/* An authorization request while it is being checked. */
struct ask {
	struct req *rq;
	struct params params;                /* query of a GET, form of a POST */
	const struct client *client;
	struct interaction *i;               /* what will be kept of it */
	bool pushed;                         /* it came to /par: the client has proved itself, and is there already */
	err unread;                          /* why a request object counts for nothing, to be told with what stands beside it */
};

/* One step of the score: a paragraph of a specification. The first two are told to the person, because there is nowhere safe
 * to send an answer yet; all that come after are told to the application. */
typedef err check(struct ask *);
extern check *const CHECKS_BEFORE_REDIRECT[], *const CHECKS[];     /* end with NULL */
check check_client, check_request;
err checks_run(struct ask *, check *const *score);

/* ---- pushed authorization requests: RFC 9126 ---- */
bool pushed_named(const struct params *);            /* the request_uri is one of ours */
/* What this client pushed under the request_uri, into i, as a new interaction. INVALID_REQUEST_URI, to be told to the person. */
err pushed_read(struct ask *k);
/* Before the application is answered: INVALID_REQUEST_URI to every caller but the first, of however many interactions began with it. */
err pushed_spend(struct req *rq, const struct interaction *);

handler ep_authorize, ep_continue, ep_par;
extern const struct route AUTHORIZE_ROUTES[];
/* Ends an interaction with a refusal that the application is told: error, state, iss (RFC 6749 section 4.1.2.1, RFC 9207). */
err answer_refusal(struct req *rq, struct res *rs, const struct interaction *, const struct err_kind *kind);
