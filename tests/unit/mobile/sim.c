/* Against the simulated operators (tests/sim), over TLS with our client certificate and their pinned root. */
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include "file.h"
#include "json.h"
#include "net.h"
#include "mobile.h"
#include "dialects.h"
#include "rand.h"
#include "signature.h"
#include "t.h"

static char folder[] = "/tmp/motid-mobile-XXXXXX";
static pid_t sim;

struct world {
	struct arena *a;
	struct fetch *f;
	struct mobile *m;
	json_t *about;
	struct operator_conf operators[2];
	struct profile_conf profiles[2];
	pthread_mutex_t lock;
	pthread_cond_t changed;
	int done, status;
	struct str body;
	unsigned char hash[32];
	struct mobile_result last;
};

static void stop(void)
{
	if (sim > 0) {
		kill(sim, SIGTERM);
		waitpid(sim, NULL, 0);
	}
	char rm[64];
	snprintf(rm, sizeof rm, "rm -rf %s", folder);
	if (system(rm))
		fprintf(stderr, "left behind: %s\n", folder);
}

static bool started(void)
{
	static int state;
	if (!state) {
		state = -1;
		char ports[64];
		if (!mkdtemp(folder))
			return false;
		atexit(stop);
		snprintf(ports, sizeof ports, "%s/ports.json", folder);
		if ((sim = fork()) == 0) {
			execl(PYTHON, PYTHON, SIM, "--dir", folder, "--port-file", ports, (char *)NULL);
			_exit(127);
		}
		for (int i = 0; i < 600 && sim && access(ports, R_OK); i++) {
			if (waitpid(sim, NULL, WNOHANG) == sim)
				sim = 0;
			poll(NULL, 0, 50);
		}
		state = access(ports, R_OK) ? -1 : 1;
	}
	return state == 1;
}

static struct operator_conf operator_of(struct world *w, const char *name, const char *profile, struct str *prefix)
{
	json_t *o = json_object_get(json_object_get(w->about, "operators"), name);
	return (struct operator_conf){
		.name = str_of(name), .profile = str_of(profile), .signature_url = json_text(o, "signature_url"), .status_url = json_text(o, "status_url"),
		.registration_url = json_text(o, "registration_url"), .ap_id = json_text(o, "ap_id"), .ap_password_file = json_text(o, "ap_password_file"),
		.mssp_uri = json_text(o, "mssp_uri"), .ca_file = json_text(o, "ca_file"), .cert_file = json_text(o, "cert_file"), .key_file = json_text(o, "key_file"),
		.prefixes = { prefix, 1 }, .open_limit = 100, .per_minute = 1000, .break_after = 100, .break_for = 1,
	};
}

static void on_control(void *ctx, const struct fetch_answer *an)
{
	struct world *w = ctx;
	pthread_mutex_lock(&w->lock);
	w->status = an->status, w->body = str_dup(w->a, (const char *)an->body.p, an->body.n), w->done++;
	pthread_cond_signal(&w->changed);
	pthread_mutex_unlock(&w->lock);
}

static void on_done(void *ctx, const struct mobile_result *r)
{
	struct world *w = ctx;
	pthread_mutex_lock(&w->lock);
	w->last = *r;
	w->last.signature = bytes_copy(w->a, r->signature.p, r->signature.n);
	w->last.certificate = bytes_copy(w->a, r->certificate.p, r->certificate.n);
	w->last.code = str_copy(w->a, r->code);
	w->done++;
	pthread_cond_signal(&w->changed);
	pthread_mutex_unlock(&w->lock);
}

static void await(struct world *w, int n)
{
	struct timespec until;
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 30;
	pthread_mutex_lock(&w->lock);
	while (w->done < n && pthread_cond_timedwait(&w->changed, &w->lock, &until) == 0)
		;
	int done = w->done;
	pthread_mutex_unlock(&w->lock);
	assert_int_equal(done, n);
}

static struct str control(struct world *w, const char *what, const char *json)
{
	int n = w->done + 1;
	struct fetch_ask k = { .url = str_fmt(w->a, "%s/%s", json_text(w->about, "control").p, what), .method = json ? S("POST") : S("GET"),
	                       .content_type = S("application/json"), .accept = S(""), .body = str_bytes(str_of(json)), .max = 1 << 20, .timeout_ms = 10000,
	                       .ca_file = S(""), .cert_file = S(""), .key_file = S(""), .header = S("") };
	fetch_start(w->f, &k, on_control, w);
	await(w, n);
	assert_int_equal(w->status, 200);
	return w->body;
}

static struct world *world(void)
{
	if (!started())
		skip();
	struct arena *a = arena_new();
	struct world *w = make(a, struct world);
	static struct str nine[] = { { "+8490", 5 } }, ten[] = { { "+8491", 5 } };
	struct str text;
	w->a = a;
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->changed, NULL);
	fine(fetch_open(a, &w->f));
	fine(file_read(a, str_fmt(a, "%s/ports.json", folder).p, 1 << 20, &text));
	w->about = json_own(a, json_loadb(text.p, text.n, 0, NULL));
	w->operators[0] = operator_of(w, "song-hong", "vn-pkcs1", nine);
	w->operators[1] = operator_of(w, "ha-long", "quick", ten);
	/* the built-in dialect, polled without a pause */
	w->profiles[0] = DIALECTS[0];
	w->profiles[0].name = S("quick"), w->profiles[0].first_poll = w->profiles[0].poll = 0;
	fine(mobile_open(a, w->f, w->operators, 2, w->profiles, 1, &w->m));
	return w;
}

static void end(struct world *w)
{
	mobile_close(w->m);
	fetch_close(w->f);
	arena_free(w->a);
}

static enum mobile_state asked(struct world *w, const char *msisdn, const char *mode, const char *press)
{
	control(w, "reset", "{}");
	if (*press)
		control(w, "behave", str_fmt(w->a, "{\"msisdn\":\"*\",\"auto\":{\"press\":\"%s\",\"seconds\":0.01}}", press).p);
	if (*mode)
		control(w, "behave", str_fmt(w->a, "{\"msisdn\":\"%s\",\"mode\":\"%s\"}", msisdn, mode).p);
	rand_fill(w->hash, sizeof w->hash);
	int n = w->done + 1;
	struct mobile_ask k = { .msisdn = str_of(msisdn), .hash = { w->hash, 32 }, .display = S("Cong: dang nhap. Ma {code}."), .timeout = 5 };
	k.code = mobile_code(w->m, w->a, k.msisdn, k.hash);
	mobile_start(w->m, &k, on_done, w);
	await(w, n);
	return w->last.state;
}

#define VN "+84900000001"
#define ETSI "+84910000001"

TEST(a_bare_signature_comes_and_verifies)
{
	struct world *w = world();
	struct cert c;
	assert_int_equal(asked(w, VN, "", "confirm"), MOBILE_SIGNED);
	assert_int_equal(w->last.format, MOBILE_PKCS1);
	fine(cert_read(w->a, w->last.certificate, &c));
	fine(signature_raw(w->a, &c, (struct bytes){ w->hash, 32 }, w->last.signature));
	assert_str(w->last.code, "408");
	/* the phone showed what the page showed */
	struct str code = mobile_code(w->m, w->a, S(VN), (struct bytes){ w->hash, 32 });
	assert_non_null(strstr(control(w, "log", NULL).p, str_fmt(w->a, "\"code_shown\": \"%s\"", code.p).p));
	end(w);
}

TEST(a_cms_signature_comes_and_verifies)
{
	struct world *w = world();
	for (int i = 1; i <= 2; i++) {
		struct cert c;
		struct bytes extra[8];
		size_t n;
		assert_int_equal(asked(w, str_fmt(w->a, "+8491000000%d", i).p, "", "confirm"), MOBILE_SIGNED);
		assert_int_equal(w->last.format, MOBILE_CMS);
		fine(signature_cms(w->a, w->last.signature, (struct bytes){ w->hash, 32 }, &c, extra, 8, &n));
	}
	end(w);
}

TEST(whatever_the_operator_or_the_phone_does_is_understood)
{
	static const struct { const char *mode, *press; enum mobile_state etsi, vn; } MODES[] = {
		{ "", "refuse", MOBILE_REFUSED, MOBILE_REFUSED }, { "refuse", "", MOBILE_REFUSED, MOBILE_REFUSED }, { "blocked", "", MOBILE_BLOCKED, MOBILE_BLOCKED },
		{ "wrong_pin", "", MOBILE_BLOCKED, MOBILE_BLOCKED }, { "timeout", "", MOBILE_TIMED_OUT, MOBILE_TIMED_OUT }, { "unreachable", "", MOBILE_UNREACHABLE, MOBILE_UNREACHABLE },
		{ "revoked", "", MOBILE_REVOKED, MOBILE_REVOKED }, { "unknown", "", MOBILE_UNKNOWN, MOBILE_UNKNOWN }, { "fault", "", MOBILE_DOWN, MOBILE_DOWN },
		{ "status", "", MOBILE_DOWN, MOBILE_DOWN }, { "down", "", MOBILE_DOWN, MOBILE_DOWN }, { "http_429", "", MOBILE_DOWN, MOBILE_DOWN },
		{ "wrong_echo_trans", "confirm", MOBILE_DOWN, MOBILE_DOWN }, { "wrong_echo_msisdn", "confirm", MOBILE_DOWN, MOBILE_DOWN },
		{ "duplicate_status", "confirm", MOBILE_DOWN, MOBILE_DOWN }, { "doctype", "confirm", MOBILE_DOWN, MOBILE_DOWN }, { "deep", "confirm", MOBILE_DOWN, MOBILE_DOWN },
		{ "huge", "confirm", MOBILE_DOWN, MOBILE_DOWN },
	};
	struct world *w = world();
	for (size_t i = 0; i < sizeof MODES / sizeof *MODES; i++) {
		if (asked(w, ETSI, MODES[i].mode, MODES[i].press) != MODES[i].etsi || asked(w, VN, MODES[i].mode, MODES[i].press) != MODES[i].vn)
			fail_msg("%s %s: %d, code %s", MODES[i].mode, MODES[i].press, w->last.state, w->last.code.p);
		assert_int_equal(w->last.signature.n, 0);
	}
	assert_int_equal(asked(w, "+84900009999", "", "confirm"), MOBILE_UNKNOWN);
	assert_int_equal(asked(w, "+84910009999", "", "confirm"), MOBILE_UNKNOWN);
	end(w);
}

TEST(a_second_sign_in_asks_for_the_pin_again)
{
	struct world *w = world();
	assert_int_equal(asked(w, VN, "", "confirm"), MOBILE_SIGNED);
	int n = w->done + 1;
	struct mobile_ask k = { .msisdn = S(VN), .hash = { w->hash, 32 }, .display = S("x"), .code = S("1"), .timeout = 5 };
	mobile_start(w->m, &k, on_done, w);
	await(w, n);
	assert_int_equal(w->last.state, MOBILE_SIGNED);
	assert_non_null(strstr(control(w, "state", NULL).p, "\"pin_cache_signatures\": 0"));
	end(w);
}
