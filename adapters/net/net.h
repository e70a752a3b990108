#pragma once
#include "fetch.h"

/* One thread drives every transfer and every timer. At most FETCH_OPEN_MAX transfers are open or waiting; above that the answer is
 * status 0, "busy". */
enum { FETCH_OPEN_MAX = 10000 };

err fetch_open(struct arena *a, struct fetch **out);

/* Answers everything that is open with status 0 and lets every timer come at once, on the thread, then ends it. What these
 * callbacks start is answered with status 0 too. Close whoever calls back first (mobile_close). NULL is fine. */
void fetch_close(struct fetch *);

bool fetch_closing(struct fetch *);
