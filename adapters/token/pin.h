#pragma once
#include "err.h"
#include "str.h"
#include "card.h"

/* Asks the person for the PIN, naming the site and the token. how: "tty" (the terminal), "pinentry" (its window, over the Assuan protocol),
 * or the path of a program that is given site, token and remark as arguments and prints the PIN. ACCESS_DENIED "user_cancelled". */
err pin_ask(struct arena *a, const char *how, struct str origin, const struct card_info *, struct str *pin);
