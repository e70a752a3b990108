#pragma once
#include "err.h"
#include "str.h"

/* How sure a way of signing in makes us (SIGNATURES.md section 4.6). Pure functions over one const table.
 *
 * acr values are ours: low, substantial, high, the words of Regulation (EU) 2015/1502. They are a partial order written
 * out, never compared as numbers: a row lists every value that it also answers for. A request is a set of acceptable
 * values. Level 3 and 4 of Decree 69/2024/ND-CP need biometrics, which no signature gives: the vn column says what is reached. */
struct assurance {
	struct str acr;
	struct str covers;                   /* words: the values that are met by this one */
	struct str eidas;                    /* low, substantial, high */
	int vn;                              /* Decree 69/2024/ND-CP article 20 */
};
extern const struct assurance ASSURANCES[];           /* ends with an empty acr; weakest first */
const struct assurance *assurance_of(struct str acr); /* NULL: no such */

/* The acr of a login by method ("sim" "token" "tls") when proofing, or the certificate's issuer, is good for at most `most`:
 * the weaker of the two. "low" for a method or level that the table does not know. */
struct str acr_of_method(struct str method, struct str most);
struct str amr_of_method(struct str method);          /* words of RFC 8176; "" for an unknown method */

bool acr_meets(struct str acr, struct str acr_values);              /* acr_values: words, any of them will do; none asked = met */
bool acr_reachable(struct strs methods, struct str acr_values);     /* some of the methods can meet it */

/* What the application is told: of what it asked for, the first that is met (OpenID Connect Core section 5.5.1.1: "a claim value
 * that matches one of the requested values"); the acr itself when it is among them, when nothing was asked or nothing is met. */
struct str acr_answer(struct str acr, struct str acr_values);
struct strs acr_offered(struct arena *a, struct strs methods);      /* acr_values_supported */
