#pragma once
#include "str.h"

/* A reader of DER (X.690 section 10): definite lengths in their shortest form, tags below 31. It takes apart what has been received, so
 * that the very bytes are hashed and compared, and looks where OpenSSL's types are closed. */
struct tlv { unsigned char tag; struct bytes body, whole; };

bool der_next(struct bytes *in, struct tlv *out);                     /* takes one element off the front */
bool der_take(struct bytes *in, unsigned char tag, struct tlv *out);  /* the same, and it has this tag */
bool der_strict(struct bytes whole);                                  /* exactly one element, DER all the way down */
