#pragma once
#include "arena.h"

/* What may take its time, done in order by a thread of its own: for whoever stands on a thread that must not wait (port/fetch.h). */
struct errands;
struct errands *errands_new(void);
void errands_free(struct errands *);     /* when all is done; NULL is fine */
void errands_rest(struct errands *);     /* waits until nothing stands in line; NULL is fine */
/* Does not wait, unless more than a thousand stand in line: then it is done here and now, which holds back who sends so many. */
void errands_send(struct errands *, void (*fn)(void *), void *p);
