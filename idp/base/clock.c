#include "clock.h"
#include <time.h>

static int64_t ms(clockid_t id)
{
	struct timespec t;
	clock_gettime(id, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int64_t clock_ms(void) { return ms(CLOCK_REALTIME); }
int64_t clock_mono_ms(void) { return ms(CLOCK_MONOTONIC); }

struct str clock_text(struct arena *a, epoch t)
{
	struct tm tm;
	char s[40];
	time_t tt = (time_t)t;
	gmtime_r(&tt, &tm);
	size_t n = strftime(s, sizeof s, "%Y-%m-%dT%H:%M:%SZ", &tm);
	return str_dup(a, s, n);
}
