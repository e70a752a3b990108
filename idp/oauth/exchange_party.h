#pragma once
#include "access.h"
#include "client.h"

/* One of the tokens that an exchange is asked with (RFC 8693 section 2.1), once it is believed: of whom it speaks, what it carries and
 * what it rests on. */
struct party {
	struct str kind;                     /* as a rule names it: access_token, client_token, id_token, issuer:NAME */
	struct str iss;                      /* another issuer, or "" */
	struct str sub, scope, acr, amr;
	struct str audience;                 /* whom it is meant for, words */
	struct str act, may_act;             /* JSON objects, or "" */
	struct str confirm;                  /* what it is bound to, or "" */
	bool carries;                        /* it is of a kind that has a scope */
	epoch auth_time, exp;
	struct rests rests;
	struct grant_row *grant;             /* filled by parties_live, NULL when there is none; of another issuer's token the one that begins */
};

/* What the form's NAME_token is, by its NAME_token_type. INVALID_REQUEST with what is wrong with it: section 2.2.2. */
err party_subject(struct req *rq, const struct client *, struct party *out);
err party_actor(struct req *rq, const struct client *, struct party *out);
/* Whether they live, with all that they rest on: one round trip. INVALID_REQUEST when one does not. */
err parties_live(struct req *rq, struct party *const *parties, size_t n);
