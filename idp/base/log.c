#include "log.h"
#include "buf.h"
#include "clock.h"
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

enum log_level log_least = LOG_INFO;

void log_say(enum log_level level, const char *msg, ...)
{
	static const char *const LEVEL[] = { "debug", "info", "warn", "error" };
	if (level < log_least)
		return;
	struct arena *a = arena_new();
	struct buf b = buf_new(a, 512, 16384);
	int64_t now = clock_ms();
	buf_fmt(&b, "{\"ts\":\"%.19s.%03dZ\",\"level\":\"%s\",\"msg\":", clock_text(a, now / 1000).p, (int)(now % 1000), LEVEL[level]);
	buf_json(&b, str_of(msg));
	va_list ap;
	va_start(ap, msg);
	for (const char *name; (name = va_arg(ap, const char *));) {
		buf_char(&b, ',');
		buf_json(&b, str_of(name));
		buf_char(&b, ':');
		buf_json(&b, str_of(va_arg(ap, const char *)));
	}
	va_end(ap);
	buf_str(&b, S("}\n"));
	if (write(STDERR_FILENO, b.p, b.n) < 0) { /* nowhere left to say it */ }
	arena_free(a);
}
