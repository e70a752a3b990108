#pragma once
#include "str.h"

/* One JSON object a line on standard error: ts, level, msg, then pairs of name and text up to a NULL name.
 * Never a personal number, a phone number, a token or a secret: pass a hash or the last digits.
 *   log_say(LOG_INFO, "listening", "where", path, NULL);                                              */
enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };
extern enum log_level log_least;              /* LOG_INFO at start */

[[gnu::sentinel]] void log_say(enum log_level level, const char *msg, ...);
