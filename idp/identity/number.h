#pragma once
#include "str.h"

/* Numbers that people and organisations are known by, as they are typed and as they are stored. false: not one that we know. */

/* 12 digits of a citizen's number give PNOVN-…; 10 digits of a tax code, or 10-3 of a branch, give VATVN-…. Spaces and dots between
 * digits are fine, and so is a number that has its prefix already. Province, century and check digit are checked (pki/x509.h). */
bool person_number_canonical(struct arena *a, struct str typed, struct str *out);

/* A mobile number of Viet Nam: 0xxxxxxxxx, 84xxxxxxxxx, +84xxxxxxxxx, 0084xxxxxxxxx, with spaces, dots, hyphens, brackets; gives E.164. */
bool phone_canonical(struct arena *a, struct str typed, struct str *out);

/* For people to recognise, on a page or a terminal: 001•••••••01, +84•••••••67. */
struct str number_masked(struct arena *a, struct str canonical);
struct str phone_masked(struct arena *a, struct str canonical);
