#pragma once
#include "str.h"

void rand_fill(void *p, size_t n);            /* OpenSSL's private generator; stops the process if it cannot */
struct str rand_token(struct arena *a);       /* 256 bits as 43 base64url characters: codes, tokens, ids of sessions */
struct str rand_id(struct arena *a, int64_t now_ms); /* UUIDv7 (RFC 9562 section 5.7): 36 characters, sorts by time */
