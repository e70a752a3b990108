/* store_bench WHERE [THREADS [SECONDS]]: how often a second the store answers, when THREADS threads ask at once.
 * WHERE as in the configuration: sqlite:PATH or postgres:CONNINFO, of a store that may be thrown away. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include "clock.h"
#include "rand.h"
#include "sql.h"
#include "store.h"

enum { THREADS_MOST = 1024, SAMPLES = 20000 };
struct job { struct store *s; err (*once)(struct job *, struct arena *); pthread_t thread; int64_t until; size_t n, done, samples; int64_t *us; };

static int64_t now_us(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static struct audit event(struct arena *a)
{
	return (struct audit){ .id = rand_id(a, clock_ms()), .at_ms = clock_ms(), .event = S("token.issued"), .outcome = S("ok"), .client_id = S("app"), .person_id = S(""),
		.sid = S(""), .request_id = rand_id(a, clock_ms()), .peer = S("192.0.2.17"), .why = S(""), .detail = S("{\"scope\":\"openid profile\",\"jti\":\"6b1c\"}") };
}

static err one_audit(struct job *j, struct arena *a)
{
	struct audit ev = event(a);
	return store_audit(j->s, a, &ev);
}

static err one_live(struct job *j, struct arena *a)
{
	enum liveness out;
	struct grant_row *g;
	TRY(store_token_live(j->s, a, rand_id(a, clock_ms()), S("g0"), S("app"), clock_ms() / 1000, &out, &g, NULL));
	return out == TOKEN_LIVE ? OK : fault(a, &SERVER_ERROR, "the token is dead");
}

static err put(struct store *s, struct arena *a, struct str grant, struct str code)
{
	epoch now = clock_ms() / 1000;
	struct audit ev = event(a);
	struct grant_row g = { .id = grant, .client_id = S("app"), .person_id = S(""), .sid = S(""), .sub = S("s"), .scope = S("openid"), .acr = S("x"), .amr = S("y"),
		.nonce = S("n"), .claims = S(""), .auth_time = now, .created_at = now };
	struct code_row c = { .hash = code, .grant_id = grant, .redirect_uri = S("https://app.example/cb"), .challenge = S("c"), .confirm = S(""), .created_at = now, .expires_at = now + 60 };
	return store_code_put(s, a, &c, &g, &ev);
}

static err one_code(struct job *j, struct arena *a)
{
	struct str id = rand_token(a), code = rand_token(a);
	epoch now = clock_ms() / 1000;
	struct refresh_row first = { .hash = rand_token(a), .grant_id = id, .scope = S("openid"), .confirm = S(""), .parent = S(""), .created_at = now, .expires_at = now + 9999 };
	struct audit ev = event(a);
	enum redeem outcome;
	TRY(put(j->s, a, id, code));
	TRY(store_code_redeem(j->s, a, code, id, now, &first, &ev, &outcome));
	return outcome == CODE_REDEEMED ? OK : fault(a, &SERVER_ERROR, "redeem: %d", (int)outcome);
}

/* One of a thousand people, known since the first round. */
static err one_login(struct job *j, struct arena *a)
{
	unsigned char r[2];
	rand_fill(r, sizeof r);
	int n = (r[0] | r[1] << 8) % 1000;
	epoch now = clock_ms() / 1000;
	struct str mac = str_fmt(a, "0b1c6f3a7d2e4b5c9a8f0e1d2c3b4a59687f6e5d4c3b2a19-%d", n);
	struct login l = {
		.person = { .id = rand_id(a, clock_ms()), .kind = S("citizen"), .name = S("Nguyen"), .search_key = S("nguyen"), .number_mac = mac, .number_sealed = S("x"), .version = 1 },
		.cert = { .id = str_fmt(a, "c-%d", n), .issuer_id = S("issuer"), .serial = str_fmt(a, "s-%d", n), .subject = S("CN=Nguyen"), .spki_sha256 = S("k"), .number_mac = mac,
			.method = S("sim"), .der = S("MIIB"), .first_seen = now, .last_seen = now },
		.session = { .id_hash = rand_token(a), .sid = rand_id(a, clock_ms()), .acr = S("x"), .amr = S("y"), .method = S("sim"), .auth_time = now, .created_at = now, .expires_at = now + 3600 },
		.replaces = S(""),
	};
	struct audit ev = event(a);
	struct person_row *who;
	enum enrolment outcome;
	TRY(store_login(j->s, a, &l, &ev, &outcome, &who));
	return outcome == NUMBER_OF_ANOTHER ? fault(a, &SERVER_ERROR, "login: the number of another") : OK;
}

static void *work(void *p)
{
	struct job *j = p;
	struct arena *a = arena_new();
	while (now_us() < j->until) {
		int64_t began = now_us();
		err e = j->once(j, a);
		if (e.kind) {
			fprintf(stderr, "%s: %s\n", e.kind->code, e.why);
			exit(1);
		}
		if (j->samples < SAMPLES)
			j->us[j->samples++] = now_us() - began;
		j->done++;
		arena_reset(a);
	}
	arena_free(a);
	return NULL;
}

static int up(const void *x, const void *y) { int64_t a = *(const int64_t *)x, b = *(const int64_t *)y; return (a > b) - (a < b); }

static double cpu(void)
{
	struct rusage r;
	getrusage(RUSAGE_SELF, &r);
	return (double)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) + (double)(r.ru_utime.tv_usec + r.ru_stime.tv_usec) / 1e6;
}

static void measure(const char *what, struct store *s, err (*once)(struct job *, struct arena *), int threads, int seconds)
{
	static struct job jobs[THREADS_MOST];
	double before = cpu();
	int64_t began = now_us();
	for (int i = 0; i < threads; i++) {
		int64_t *us = jobs[i].us ? jobs[i].us : malloc(SAMPLES * sizeof *us);
		jobs[i] = (struct job){ .s = s, .once = once, .until = began + (int64_t)seconds * 1000000, .us = us };
		if (pthread_create(&jobs[i].thread, NULL, work, &jobs[i]))
			exit(1);
	}
	size_t done = 0, n = 0;
	int64_t *all = malloc(sizeof *all * SAMPLES * (size_t)threads);
	for (int i = 0; i < threads; i++) {
		pthread_join(jobs[i].thread, NULL);
		done += jobs[i].done;
		for (size_t k = 0; k < jobs[i].samples; k++)
			all[n++] = jobs[i].us[k];
	}
	double took = (double)(now_us() - began) / 1e6;
	qsort(all, n, sizeof *all, up);
	printf("%-22s %4d threads %9.0f/s   p50 %6.2f ms   p99 %6.2f ms   %5.1f us of this process's CPU each\n", what, threads, (double)done / took,
	       (double)all[n / 2] / 1000, (double)all[n * 99 / 100] / 1000, (cpu() - before) * 1e6 / (double)done);
	fflush(stdout);
	free(all);
}

static err prepare(struct store *s, struct arena *a)
{
	int64_t applied;
	TRY(store_migrate_up(s, a, &applied));
	struct client_row *c, app = { .id = S("app"), .name = S("app"), .metadata = S("{}"), .version = 1 };
	struct audit ev = event(a);
	TRY(store_client(s, a, S("app"), &c));
	if (c)
		return OK;
	TRY(store_client_add(s, a, &app, &ev));
	return put(s, a, S("g0"), S("code0"));
}

int main(int argc, char **argv)
{
	struct arena *a = arena_new();
	struct store *s;
	int threads = argc > 2 ? atoi(argv[2]) : 64, seconds = argc > 3 ? atoi(argv[3]) : 3;
	if (argc < 2 || threads < 1 || threads > THREADS_MOST || seconds < 1) {
		fprintf(stderr, "store_bench sqlite:PATH|postgres:CONNINFO [threads [seconds]]\n");
		return 64;
	}
	err e = store_open(a, str_of(argv[1]), &s);
	if (!e.kind)
		e = prepare(s, a);
	if (e.kind) {
		fprintf(stderr, "%s: %s\n", e.kind->code, e.why);
		return 1;
	}
	measure("audit", s, one_audit, 1, seconds);
	measure("audit", s, one_audit, threads, seconds);
	measure("token live", s, one_live, 1, seconds);
	measure("token live", s, one_live, threads, seconds);
	measure("code put and redeem", s, one_code, threads, seconds);
	measure("login by certificate", s, one_login, threads, seconds);
	store_close(s);
	arena_free(a);
	return 0;
}
