#pragma once
#include "mobile.h"

/* The built-in dialects, ended by a nameless one. */
extern const struct profile_conf DIALECTS[];
