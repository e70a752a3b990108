#pragma once
#include "err.h"
#include "str.h"

/* Who may exchange which token for which (RFC 8693): the operator's table, and the one function that reads it. Pure: no clock, no store.
 *
 *   [exchange land-for-portal]
 *   client   = portal            # who may ask
 *   subject  = access_token      # with what: access_token, id_token, client_token, or of an [issuer NAME]: issuer:NAME
 *   audience = land              # for whom
 *   scope    = land:read         # with what, at most
 *   mode     = delegation        # and acting openly, or as the person itself: impersonation
 *
 * What no rule allows is refused; without rules nothing is exchanged. */
struct exchange_rule {
	struct str name;
	struct strs clients, subjects, audiences, scopes, modes;
	struct strs from;                    /* clients that the subject token may have been given to; none = any */
	struct str acr;                      /* the least assurance that the subject token must have; "any" */
	int64_t depth;                       /* how many may act in a row */
	int64_t lives;                       /* seconds that the new token lives at most */
	bool bound;                          /* a subject token bound to the key of another may be exchanged by whom it is meant for */
	bool mandate;                        /* only under a mandate */
};

enum { EXCHANGE_DEPTH_MOST = 4 };

/* What is asked, and what the tokens that were shown say. */
struct exchange_ask {
	struct str client;
	struct str subject;                  /* as a rule names it */
	struct str from;                     /* the client that the subject token was given to; "" = not one of ours */
	struct strs audience;
	struct strs scope;                   /* asked for; none = whatever may be had */
	struct str carried;                  /* the subject token's own scope, words */
	bool carries;                        /* it is of a kind that has one */
	struct str registered;               /* what the client may have at all, words */
	struct str acr;                      /* of the subject token */
	bool acting;                         /* there is an actor: delegation; else impersonation */
	int64_t depth;                       /* of the act chain that the new token would have */
	bool bound;                          /* the subject token is bound to a key that was not shown */
	bool mandate;                        /* the actor has a mandate of the subject */
};

/* kind NULL: allowed, by `rule`. Otherwise what the client is told, and why in words for the log; `rule` is then the one that came
 * nearest, or NULL. */
struct exchange_answer {
	const struct err_kind *kind;
	const struct exchange_rule *rule;
	const char *why;
	struct strs scope;                   /* of the new token */
	int64_t lives;
};

/* The first rule that allows decides. */
struct exchange_answer exchange_decide(struct arena *a, const struct exchange_rule *rules, size_t n, const struct exchange_ask *ask);
/* The same for one rule alone: for explaining. */
struct exchange_answer exchange_try(struct arena *a, const struct exchange_rule *rule, const struct exchange_ask *ask);
bool exchange_known(const struct exchange_rule *rules, size_t n, struct str client);   /* some rule names it */

/* What must hold of a table before anything is decided by it. issuers: the names that subjects may speak of. BAD_CONFIG. */
err exchange_check(struct arena *a, const char *path, const struct exchange_rule *rules, size_t n, struct strs issuers, struct str own_issuer);
