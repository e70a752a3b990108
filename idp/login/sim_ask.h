#pragma once
#include "evidence.h"

/* Asking a phone for a signature, and judging what comes back, whoever wants it: a sign-in at a browser (sim.c), or one that another device
 * began (idp/oauth/backchannel.c). What is open is a struct sim. Nobody holds a thread while a phone is silent. */

/* SIGNATURES.md 1.2: a context string and a structured pre-image, so that a login can never be a contract and a signature made for one
 * login, site, person or time is none for another. The issuer, a nonce, the phone and the time are in it besides the fields. Fills hash. */
err sim_hash(struct req *rq, struct sim *s, struct str context, const struct str *fields, size_t n);

/* SEC-32: for each address, person, number and application, in this order and no further than the first that is over: one who is refused
 * must not use up what is others'. Counted whether or not the person exists. by_address: who asks is known by nothing better. */
err sim_over_limit(struct req *rq, const struct sim *s, struct str client_id, bool by_address, bool *over);

/* One open request a person and one a phone, whoever is said to have it, for as long as a phone may answer. first: it is this one, just
 * now; mine: it is this one. other: the txn of the one that is open instead, or "". */
struct sim_open { bool first, mine; struct str other; };
err sim_open(struct req *rq, const struct sim *s, int64_t seconds, struct sim_open *out);
err sim_let_go(struct req *rq, const struct sim *s);

/* Sets when it is asked and until when it may answer, and writes the audit row. may: false when it would tell the difference or do harm:
 * a disabled person's phone stays silent, and whoever waits waits all the same. */
err sim_prepare(struct req *rq, struct sim *s, struct str client_id, int64_t seconds, bool *may);

/* The phone is asked. told, when not NULL, is called once, on the errands' thread, after the answer is kept. */
typedef void sim_told(void *ctx, enum mobile_state state);
err sim_start(struct req *rq, const struct sim *s, struct str display, sim_told *told, void *ctx);

/* What the phone gave, as far as it may be seen: pending until there is an end; an unknown number, or a silent phone that the operator
 * gave up early, looks like nothing until the time is up. */
err sim_answer(struct req *rq, const struct sim *s, struct mobile_result *r);

/* It counts only if it signs our hash, and is believed to be the person's. PARKED as evidence_check. Changes nothing. */
err sim_proved(struct req *rq, const struct sim *s, const struct mobile_result *r, struct evidence *e, struct proved *p);

/* The answer is spent by one caller: two tabs do not make two sessions. */
err sim_spend(struct req *rq, const struct sim *s, bool *mine);

/* Each way that a phone can end has its own word (UX.md 3.4). */
const char *sim_end(enum mobile_state state);
