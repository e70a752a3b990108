#pragma once
#include <pthread.h>
#include "mobile.h"

/* One operator: who it serves, and how much it is asked. Times are milliseconds of the monotonic clock, handed in. */
struct operator {
	const struct operator_conf *conf;
	const struct profile_conf *profile;
	struct str password;
	pthread_mutex_t lock;                /* guards what follows */
	int64_t open, minute_from, this_minute;
	int64_t faults, closed_until;        /* faults in a row; 0: the circuit is whole */
};

err operator_init(struct arena *a, struct operator *o, const struct operator_conf *c, const struct profile_conf *profiles, size_t nprofiles);
/* By longest prefix; NULL when nobody serves the number. */
struct operator *operator_for(struct operator *v, size_t n, struct str msisdn);
/* Takes a place, or says why there is none. While the circuit is open one request a break_for is let through as a probe. */
const char *operator_enter(struct operator *o, int64_t now);
void operator_leave(struct operator *o);
/* Every exchange is reported: break_after faults in a row open the circuit, one good answer closes it. */
void operator_report(struct operator *o, bool good, int64_t now);
