#pragma once
#include "http.h"

/* The front page and the citizen's own page. */
extern const struct route ACCOUNT_ROUTES[];
