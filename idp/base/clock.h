#pragma once
#include "str.h"

/* Read once when a request comes in, and handed on: nothing below asks the time again. */
int64_t clock_ms(void);                       /* wall clock, milliseconds since 1970 */
int64_t clock_mono_ms(void);                  /* for deadlines */
struct str clock_text(struct arena *a, epoch t);   /* RFC 3339, UTC: 2026-11-24T01:02:03Z */
