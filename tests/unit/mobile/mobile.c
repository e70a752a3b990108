/* Against an operator in the test whose answers are scripted. */
#include <dirent.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include "clock.h"
#include "code.h"
#include "fake.h"
#include "hash.h"
#include "net.h"
#include "operator.h"
#include "dialects.h"
#include "signature.h"
#include "soap.h"
#include "t.h"

#define ENVELOPE(body) \
	"<env:Envelope xmlns:env=\"http://www.w3.org/2003/05/soap-envelope\" xmlns:mss=\"http://uri.etsi.org/TS102204/v1.1.2#\"" \
	" xmlns:fi=\"http://mss.ficom.fi/TS102204/v1.0.0#\"><env:Body>" body "</env:Body></env:Envelope>"
/* In a script $T stands for the AP_TransID that was sent, $M for the MSISDN. */
#define ECHO "<mss:AP_Info AP_ID=\"a\" AP_TransID=\"$T\" AP_PWD=\"-\" Instant=\"i\"/><mss:MobileUser><mss:MSISDN>$M</mss:MSISDN></mss:MobileUser>"
#define STATUS(code) "<mss:Status><mss:StatusCode Value=\"" code "\"/></mss:Status>"
#define SIGNED "<mss:MSS_Signature><mss:Base64Signature>AQID</mss:Base64Signature></mss:MSS_Signature>"
#define SIGNED_WITH_CERT "<mss:MSS_Signature><fi:PKCS1><fi:SignatureValue>AQID</fi:SignatureValue><fi:X509Certificate>BAUG</fi:X509Certificate></fi:PKCS1></mss:MSS_Signature>"
#define SIGNATURE_OF(id, inside) ENVELOPE("<MSS_SignatureResponse><mss:MSS_SignatureResp MSSP_TransID=\"" id "\">" inside "</mss:MSS_SignatureResp></MSS_SignatureResponse>")
#define SIGNATURE(inside) SIGNATURE_OF("T1", ECHO inside)
#define POLLED(inside) ENVELOPE("<MSS_StatusQueryResponse><mss:MSS_StatusResp>" inside "</mss:MSS_StatusResp></MSS_StatusQueryResponse>")
#define POLL(inside) POLLED(ECHO inside)
#define REGISTERED(inside) ENVELOPE("<MSS_RegistrationResponse><mss:MSS_RegistrationResp>" ECHO inside "</mss:MSS_RegistrationResp></MSS_RegistrationResponse>")
#define FAULT(code) ENVELOPE("<env:Fault><env:Code><env:Value>env:Sender</env:Value><env:Subcode><env:Value>mss:_" code "</env:Value></env:Subcode></env:Code></env:Fault>")

/* What is answered, in turn; the last again and again. HANG answers nothing, CLOSE hangs up. */
#define HANG "HANG"
#define CLOSE "CLOSE"
struct said { int status; const char *text; };
enum { SAID = 8, HEARD = 512 };

struct world {
	struct arena *a;
	struct fetch *f;
	struct mobile *m;
	struct fake *s;
	struct operator_conf operators[3];
	struct profile_conf profile;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct said script[SAID];
	int asked;
	struct str heard[HEARD];
	int done;
	struct mobile_result last;
	int states[MOBILE_DOWN + 1];
};

static struct str between(struct arena *a, struct str s, const char *before, const char *after)
{
	const char *from = strstr(s.p, before), *to = from ? strstr(from + strlen(before), after) : NULL;
	return to ? str_dup(a, from + strlen(before), (size_t)(to - from) - strlen(before)) : S("");
}

static struct str filled(struct arena *a, const char *text, struct str request)
{
	char *out = arena_alloc(a, strlen(text) + 1000), *p = out;
	struct str trans = between(a, request, "AP_TransID=\"", "\""), msisdn = between(a, request, "<mss:MSISDN>", "<");
	for (; *text; text++)
		if (text[0] == '$' && (text[1] == 'T' || text[1] == 'M')) {
			struct str s = *++text == 'T' ? trans : msisdn;
			p = mempcpy(p, s.p, s.n);
		} else {
			*p++ = *text;
		}
	return (struct str){ out, (size_t)(p - out) };
}

static bool serve(struct arena *a, const struct fake_request *rq)
{
	struct world *w = rq->ctx;
	pthread_mutex_lock(&w->lock);
	int n = w->asked++;
	if (n < HEARD)
		w->heard[n] = str_fmt(w->a, "%s%s", rq->head.p, rq->body.p);
	const struct said *s = w->script;
	for (int i = 0; i < n && i + 1 < SAID && s[1].text; i++)
		s++;
	struct said say = *s;
	pthread_cond_broadcast(&w->changed);
	pthread_mutex_unlock(&w->lock);
	if (strcmp(say.text, CLOSE) == 0)
		return false;
	if (strcmp(say.text, HANG) == 0)
		return true;
	return fake_answer(rq->fd, say.status, S("application/soap+xml"), filled(a, say.text, rq->body));
}

static void on_done(void *ctx, const struct mobile_result *r)
{
	struct world *w = ctx;
	pthread_mutex_lock(&w->lock);
	w->done++;
	w->states[r->state]++;
	w->last = *r;
	w->last.signature = bytes_copy(w->a, r->signature.p, r->signature.n);
	w->last.certificate = bytes_copy(w->a, r->certificate.p, r->certificate.n);
	w->last.trans_id = str_copy(w->a, r->trans_id);
	w->last.code = str_copy(w->a, r->code);
	pthread_cond_broadcast(&w->changed);
	pthread_mutex_unlock(&w->lock);
}

static struct profile_conf builtin(const char *name)
{
	const struct profile_conf *p = DIALECTS;
	while (!str_is(p->name, name))
		p++;
	return *p;
}

/* +8490 is served in the dialect, with no pause between polls; +8491 is another's. */
static struct world *closed_world(const char *dialect)
{
	struct arena *a = arena_new();
	struct world *w = make(a, struct world);
	w->a = a;
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->changed, NULL);
	w->s = fake_open(serve, w);
	w->profile = builtin(dialect);
	w->profile.name = S("tested"), w->profile.first_poll = w->profile.poll = 0;
	struct str base = str_fmt(a, "http://127.0.0.1:%d", fake_port(w->s));
	static struct str nine[] = { { "+8490", 5 } }, other[] = { { "+8491", 5 }, { "+84909", 6 } };
	w->operators[0] = (struct operator_conf){
		.name = S("one"), .profile = S("tested"), .signature_url = str_fmt(a, "%s/sign", base.p), .status_url = str_fmt(a, "%s/status", base.p),
		.registration_url = str_fmt(a, "%s/register", base.p), .ap_id = S("http://ap.example.vn"), .ap_password_file = S(""), .mssp_uri = S("http://mssp.example.vn"),
		.ca_file = S(""), .cert_file = S(""), .key_file = S(""), .prefixes = { nine, 1 }, .open_limit = 1000, .per_minute = 1000, .break_after = 100, .break_for = 60,
	};
	w->operators[1] = w->operators[0];
	w->operators[1].name = S("two"), w->operators[1].prefixes = (struct strs){ other, 2 };
	fine(fetch_open(a, &w->f));
	return w;
}

static void open_it(struct world *w) { fine(mobile_open(w->a, w->f, w->operators, 2, &w->profile, 1, &w->m)); }

static struct world *world(const char *dialect)
{
	struct world *w = closed_world(dialect);
	open_it(w);
	return w;
}

static void end(struct world *w)
{
	mobile_close(w->m);
	fetch_close(w->f);
	fake_close(w->s);
	arena_free(w->a);
}

static void await(struct world *w, const int *what, int n)
{
	struct timespec until;
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 30;
	pthread_mutex_lock(&w->lock);
	while (*what < n && pthread_cond_timedwait(&w->changed, &w->lock, &until) == 0)
		;
	int got = *what;
	pthread_mutex_unlock(&w->lock);
	assert_int_equal(got, n);
}

static unsigned char HASH[32] = { 0x80, 0x75, 0x8b, 0x78, 0xaa, 0x09, 0xdb, 0x61, 0xb3, 0xdf, 0x06, 0xc6, 0xf9, 0x73, 0x36, 0xb3,
                                  0x88, 0x1c, 0x62, 0xa5, 0xc6, 0x4d, 0x12, 0xb8, 0x43, 0xbf, 0xfe, 0xd9, 0x2d, 0x0a, 0x1e, 0xd4 };

static void start(struct world *w, const char *msisdn)
{
	struct mobile_ask k = { .msisdn = str_of(msisdn), .hash = { HASH, 32 }, .display = S("Cong: dang nhap. Ma {code}."), .code = S("7910"), .timeout = 1 };
	mobile_start(w->m, &k, on_done, w);
}

static enum mobile_state outcome(struct world *w, const char *msisdn)
{
	int n = w->done + 1;
	start(w, msisdn);
	await(w, &w->done, n);
	return w->last.state;
}

#define script(w, ...) ((w)->asked = 0, memcpy((w)->script, ((struct said[SAID]){ __VA_ARGS__ }), sizeof (w)->script))
#define NUMBER "+84900000001"

/* ---- whole sign-ins ---- */

TEST(an_asynchronous_sign_in_polls_until_the_person_has_signed)
{
	struct world *w = world("etsi-cms");
	script(w, { 200, SIGNATURE(STATUS("100")) }, { 200, POLL(STATUS("504")) }, { 200, POLL(STATUS("504")) }, { 200, POLL(SIGNED STATUS("500")) });
	assert_int_equal(outcome(w, NUMBER), MOBILE_SIGNED);
	assert_int_equal(w->asked, 4);
	assert_int_equal(w->last.format, MOBILE_CMS);
	assert_memory_equal(w->last.signature.p, "\1\2\3", 3);
	assert_str(w->last.trans_id, "T1");
	assert_str(w->last.code, "500");
	assert_non_null(strstr(w->heard[0].p, "POST /sign "));
	assert_non_null(strstr(w->heard[0].p, "Content-Type: application/soap+xml"));
	assert_non_null(strstr(w->heard[0].p, "MessagingMode=\"asynchClientServer\" TimeOut=\"1\""));
	assert_non_null(strstr(w->heard[0].p, "<mss:MSISDN>+84900000001<"));
	assert_non_null(strstr(w->heard[0].p, "dang nhap. Ma 7910.<"));
	assert_non_null(strstr(w->heard[0].p, "MimeType=\"application/x-sha256\" Encoding=\"base64\">gHWLeKoJ22Gz3wbG+XM2s4gcYqXGTRK4Q7/+2S0KHtQ=<"));
	for (int i = 1; i < 4; i++) {
		assert_non_null(strstr(w->heard[i].p, "POST /status "));
		assert_non_null(strstr(w->heard[i].p, "MSSP_TransID=\"T1\""));
	}
	end(w);
}

TEST(a_vietnamese_sign_in_is_one_held_request_over_the_digest_info)
{
	struct world *w = world("vn-pkcs1");
	script(w, { 200, SIGNATURE(SIGNED_WITH_CERT STATUS("408")) });
	assert_int_equal(outcome(w, NUMBER), MOBILE_SIGNED);
	assert_int_equal(w->asked, 1);
	assert_int_equal(w->last.format, MOBILE_PKCS1);
	assert_memory_equal(w->last.signature.p, "\1\2\3", 3);
	assert_memory_equal(w->last.certificate.p, "\4\5\6", 3);
	assert_non_null(strstr(w->heard[0].p, "MessagingMode=\"synch\" TimeOut=\"1\""));
	assert_non_null(strstr(w->heard[0].p, "<mss:MSISDN>84900000001<"));
	assert_non_null(strstr(w->heard[0].p, "dang nhap. Ma %%VC%%.<"));
	struct str want = b64(w->a, digest_info(w->a, (struct bytes){ HASH, 32 }));
	assert_true(str_eq(between(w->a, w->heard[0], "MimeType=\"application/octet-stream\" Encoding=\"base64\">", "<"), want));
	end(w);
}

TEST(a_bare_signature_without_certificate_leads_to_a_look_up)
{
	struct world *w = world("vn-pkcs1");
	script(w, { 200, SIGNATURE(SIGNED STATUS("500")) }, { 200, REGISTERED(STATUS("408") "<CertificateResponse><X509Certificate>BAUG</X509Certificate></CertificateResponse>") });
	assert_int_equal(outcome(w, NUMBER), MOBILE_SIGNED);
	assert_int_equal(w->asked, 2);
	assert_non_null(strstr(w->heard[1].p, "POST /register "));
	assert_non_null(strstr(w->heard[1].p, "<MSS_Registration><mss:MSS_RegistrationReq "));
	assert_int_equal(w->last.signature.n, 3);
	assert_memory_equal(w->last.certificate.p, "\4\5\6", 3);
	assert_str(w->last.code, "500");
	script(w, { 200, SIGNATURE(SIGNED STATUS("500")) }, { 500, FAULT("105") });
	assert_int_equal(outcome(w, NUMBER), MOBILE_SIGNED);
	assert_int_equal(w->last.certificate.n, 0);
	end(w);
}

TEST(a_held_request_that_is_answered_with_wait_is_polled)
{
	struct world *w = world("vn-pkcs1");
	script(w, { 200, SIGNATURE(STATUS("504")) }, { 200, POLL(SIGNED_WITH_CERT STATUS("502")) });
	assert_int_equal(outcome(w, NUMBER), MOBILE_SIGNED);
	assert_int_equal(w->asked, 2);
	end(w);
}

TEST(a_poll_that_fails_for_a_moment_is_asked_again)
{
	struct world *w = world("etsi-cms");
	script(w, { 200, SIGNATURE(STATUS("100")) }, { 200, CLOSE }, { 503, "busy" }, { 429, "slow down" }, { 200, POLL(SIGNED STATUS("500")) });
	assert_int_equal(outcome(w, NUMBER), MOBILE_SIGNED);
	end(w);
}

TEST(an_operator_that_goes_away_while_the_person_signs_is_down_after_a_few_polls)
{
	struct world *w = world("etsi-cms");
	script(w, { 200, SIGNATURE(STATUS("100")) }, { 503, "busy" });
	assert_int_equal(outcome(w, NUMBER), MOBILE_DOWN);
	assert_int_equal(w->asked, 1 + 5);
	end(w);
}

TEST(an_internal_error_is_tried_once_more_under_another_name)
{
	struct world *w = world("etsi-cms");
	script(w, { 500, FAULT("900") }, { 200, SIGNATURE(STATUS("100")) }, { 200, POLL(SIGNED STATUS("500")) });
	assert_int_equal(outcome(w, NUMBER), MOBILE_SIGNED);
	assert_false(str_eq(between(w->a, w->heard[0], "AP_TransID=\"", "\""), between(w->a, w->heard[1], "AP_TransID=\"", "\"")));
	script(w, { 500, FAULT("900") });
	assert_int_equal(outcome(w, NUMBER), MOBILE_DOWN);
	assert_int_equal(w->asked, 2);
	end(w);
}

/* ---- codes ---- */

static const struct { const char *code; enum mobile_state etsi, vn; } CODES[] = {
	{ "101", MOBILE_DOWN, MOBILE_DOWN }, { "104", MOBILE_DOWN, MOBILE_DOWN }, { "105", MOBILE_UNKNOWN, MOBILE_UNKNOWN }, { "107", MOBILE_DOWN, MOBILE_DOWN },
	{ "208", MOBILE_TIMED_OUT, MOBILE_TIMED_OUT }, { "209", MOBILE_UNREACHABLE, MOBILE_UNREACHABLE }, { "2091", MOBILE_UNREACHABLE, MOBILE_UNREACHABLE },
	{ "401", MOBILE_REFUSED, MOBILE_REFUSED }, { "402", MOBILE_BLOCKED, MOBILE_BLOCKED }, { "403", MOBILE_BLOCKED, MOBILE_BLOCKED },
	{ "404", MOBILE_UNKNOWN, MOBILE_UNKNOWN }, { "405", MOBILE_UNKNOWN, MOBILE_REFUSED }, { "406", MOBILE_BUSY, MOBILE_TIMED_OUT }, { "407", MOBILE_DOWN, MOBILE_DOWN },
	{ "422", MOBILE_UNKNOWN, MOBILE_UNKNOWN }, { "425", MOBILE_DOWN, MOBILE_DOWN }, { "501", MOBILE_REVOKED, MOBILE_REVOKED }, { "503", MOBILE_DOWN, MOBILE_DOWN },
	{ "505", MOBILE_DOWN, MOBILE_DOWN }, { "600", MOBILE_DOWN, MOBILE_DOWN }, { "701", MOBILE_DOWN, MOBILE_DOWN }, { "900", MOBILE_DOWN, MOBILE_DOWN },
	{ "999", MOBILE_DOWN, MOBILE_DOWN }, { "4021", MOBILE_WRONG_PIN, MOBILE_WRONG_PIN }, { "4013", MOBILE_REFUSED, MOBILE_REFUSED },
};

static void every_code(const char *dialect, bool vn)
{
	struct world *w = world(dialect);
	for (size_t i = 0; i < sizeof CODES / sizeof *CODES; i++) {
		enum mobile_state want = vn ? CODES[i].vn : CODES[i].etsi;
		/* in an answer, in a fault, in a fault under HTTP 200; at once and when polled; a signature beside it changes nothing */
		const char *answer = str_fmt(w->a, SIGNATURE(SIGNED STATUS("%s")), CODES[i].code).p, *polled = str_fmt(w->a, POLL(SIGNED STATUS("%s")), CODES[i].code).p,
		           *fault_text = str_fmt(w->a, FAULT("%s"), CODES[i].code).p;
		script(w, { 200, answer });
		assert_int_equal(outcome(w, NUMBER), want);
		assert_int_equal(w->last.signature.n, 0);
		assert_str(w->last.code, CODES[i].code);
		script(w, { 500, fault_text });
		assert_int_equal(outcome(w, NUMBER), want);
		script(w, { 200, fault_text });
		assert_int_equal(outcome(w, NUMBER), want);
		script(w, { 200, SIGNATURE(STATUS("100")) }, { 200, polled });
		assert_int_equal(outcome(w, NUMBER), want);
		script(w, { 200, SIGNATURE(STATUS("100")) }, { 500, fault_text });
		assert_int_equal(outcome(w, NUMBER), want);
	}
	end(w);
}

TEST(every_status_code_means_what_the_standards_table_says) { every_code("etsi-cms", false); }
TEST(every_status_code_means_what_the_vietnamese_table_says) { every_code("vn-pkcs1", true); }

TEST(a_fault_never_signs)
{
	static const char *const SUCCESS[] = { "500", "502", "408", "100", "504" };
	struct world *w = world("vn-pkcs1");
	for (size_t i = 0; i < sizeof SUCCESS / sizeof *SUCCESS; i++) {
		script(w, { 200, str_fmt(w->a, FAULT("%s"), SUCCESS[i]).p });
		assert_int_equal(outcome(w, NUMBER), MOBILE_DOWN);
	}
	end(w);
}

/* ---- answers that are none ---- */

TEST(an_answer_that_is_not_to_our_question_is_none)
{
	static const struct said WRONG[] = {
		/* echoes */
		{ 200, SIGNATURE_OF("T1", "<mss:AP_Info AP_TransID=\"A0\"/><mss:MobileUser><mss:MSISDN>$M</mss:MSISDN></mss:MobileUser>" SIGNED STATUS("500")) },
		{ 200, SIGNATURE_OF("T1", "<mss:AP_Info AP_TransID=\"$T\"/><mss:MobileUser><mss:MSISDN>+84900000002</mss:MSISDN></mss:MobileUser>" SIGNED STATUS("500")) },
		{ 200, SIGNATURE_OF("T1", "<mss:AP_Info AP_TransID=\"$T\"/>" SIGNED STATUS("500")) },
		{ 200, SIGNATURE_OF("T1", "<mss:MobileUser><mss:MSISDN>$M</mss:MSISDN></mss:MobileUser>" SIGNED STATUS("500")) },
		/* success without what was asked for; waiting without a name */
		{ 200, SIGNATURE(STATUS("500")) }, { 200, SIGNATURE("<mss:MSS_Signature/>" STATUS("500")) }, { 200, SIGNATURE_OF("", ECHO STATUS("100")) },
		/* SOAP */
		{ 200, SIGNATURE(SIGNED STATUS("401") STATUS("500")) }, { 200, "<!DOCTYPE e []>" SIGNATURE(SIGNED STATUS("500")) }, { 200, POLL(SIGNED STATUS("500")) },
		{ 200, "" }, { 200, "{}" }, { 500, SIGNATURE(SIGNED STATUS("500")) }, { 302, SIGNATURE(SIGNED STATUS("500")) }, { 404, "not here" }, { 429, "slow down" },
		{ 200, CLOSE },
	};
	struct world *w = world("etsi-cms");
	for (size_t i = 0; i < sizeof WRONG / sizeof *WRONG; i++) {
		script(w, WRONG[i]);
		assert_int_equal(outcome(w, NUMBER), MOBILE_DOWN);
		assert_int_equal(w->last.signature.n, 0);
	}
	script(w, { 200, SIGNATURE(SIGNED STATUS("500")) });
	assert_int_equal(outcome(w, NUMBER), MOBILE_SIGNED);
	end(w);
}

TEST(a_poll_of_another_transaction_is_none)
{
	static const char *const WRONG[] = {
		ENVELOPE("<MSS_StatusQueryResponse><mss:MSS_StatusResp MSSP_TransID=\"T2\">" ECHO SIGNED STATUS("500") "</mss:MSS_StatusResp></MSS_StatusQueryResponse>"),
		POLLED("<mss:AP_Info AP_TransID=\"A0\"/><mss:MobileUser><mss:MSISDN>$M</mss:MSISDN></mss:MobileUser>" SIGNED STATUS("500")),
		POLLED("<mss:AP_Info AP_TransID=\"$T\"/><mss:MobileUser><mss:MSISDN>84900000002</mss:MSISDN></mss:MobileUser>" SIGNED STATUS("500")),
		SIGNATURE(SIGNED STATUS("500")),
	};
	struct world *w = world("etsi-cms");
	for (size_t i = 0; i < sizeof WRONG / sizeof *WRONG; i++) {
		script(w, { 200, SIGNATURE(STATUS("100")) }, { 200, WRONG[i] });
		assert_int_equal(outcome(w, NUMBER), MOBILE_DOWN);
	}
	end(w);
}

TEST(ten_megabytes_are_no_answer)
{
	struct world *w = world("etsi-cms");
	char *big = arena_alloc(w->a, (10 << 20) + 1);
	memset(big, ' ', 10 << 20);
	static const char GOOD[] = SIGNATURE(SIGNED STATUS("500"));
	memcpy(big, GOOD, sizeof GOOD - 1);
	script(w, { 200, big });
	assert_int_equal(outcome(w, NUMBER), MOBILE_DOWN);
	end(w);
}

TEST(nobody_waits_longer_than_the_deadline)
{
	struct world *held = world("vn-pkcs1"), *polled = world("etsi-cms");
	int64_t from = clock_mono_ms();
	script(held, { 200, HANG });
	polled->profile.poll = 1;
	script(polled, { 200, SIGNATURE(STATUS("100")) }, { 200, POLL(STATUS("504")) });
	start(held, NUMBER);
	assert_int_equal(outcome(polled, NUMBER), MOBILE_TIMED_OUT);
	await(held, &held->done, 1);
	assert_int_equal(held->last.state, MOBILE_DOWN);
	assert_in_range(clock_mono_ms() - from, 10000, 16000);
	end(held);
	end(polled);
}

/* ---- whom we ask, and how much ---- */

TEST(the_longest_prefix_chooses_the_operator)
{
	struct world *w = world("etsi-cms");
	assert_str(mobile_operator(w->m, S("+84900000001")), "one");
	assert_str(mobile_operator(w->m, S("+84909000001")), "two");
	assert_str(mobile_operator(w->m, S("+84910000001")), "two");
	static const char *const NOBODYS[] = { "", "+", "+84920000001", "84900000001", "0900000001", "+8490000000a", "+849000000000000000", "+8490", "+84900000001 " };
	script(w, { 200, SIGNATURE(SIGNED STATUS("500")) });
	for (size_t i = 0; i < sizeof NOBODYS / sizeof *NOBODYS; i++) {
		assert_str(mobile_operator(w->m, str_of(NOBODYS[i])), "");
		assert_int_equal(outcome(w, NOBODYS[i]), MOBILE_UNKNOWN);
	}
	assert_int_equal(w->asked, 0);
	end(w);
}

TEST(no_two_messages_share_an_ap_trans_id)
{
	struct world *w = world("etsi-cms");
	script(w, { 200, SIGNATURE(STATUS("100")) });
	for (int i = 0; i < 4; i++) {
		script(w, { 200, SIGNATURE(STATUS("100")) }, { 200, POLL(STATUS("504")) }, { 200, POLL(STATUS("401")) });
		outcome(w, NUMBER);
	}
	struct str seen[HEARD];
	/* asked starts anew with each script, so the last run's four are what was heard */
	for (int i = 0; i < w->asked; i++) {
		seen[i] = between(w->a, w->heard[i], "AP_TransID=\"", "\"");
		assert_int_equal(seen[i].n, 33);
		assert_int_equal(seen[i].p[0], 'A');
		for (int j = 0; j < i; j++)
			assert_false(str_eq(seen[i], seen[j]));
	}
	w->asked = 0;
	w->script[1] = (struct said){ 200, NULL };
	w->script[0] = (struct said){ 200, SIGNATURE(STATUS("401")) };
	for (int i = 0; i < 100; i++)
		outcome(w, NUMBER);
	assert_int_equal(w->asked, 100);
	for (int i = 0; i < 100; i++) {
		seen[i] = between(w->a, w->heard[i], "AP_TransID=\"", "\"");
		for (int j = 0; j < i; j++)
			assert_false(str_eq(seen[i], seen[j]));
	}
	end(w);
}

TEST(an_operator_that_is_gone_is_left_alone_after_a_few_tries)
{
	struct world *w = closed_world("etsi-cms");
	w->operators[0].break_after = 3;
	open_it(w);
	script(w, { 200, CLOSE });
	for (int i = 0; i < 10; i++)
		assert_int_equal(outcome(w, NUMBER), MOBILE_DOWN);
	assert_int_equal(w->asked, 3);
	/* the other operator's circuit is its own */
	script(w, { 200, SIGNATURE(SIGNED STATUS("500")) });
	assert_int_equal(outcome(w, NUMBER), MOBILE_DOWN);
	assert_int_equal(outcome(w, "+84910000001"), MOBILE_SIGNED);
	end(w);
}

TEST(an_operator_that_cannot_be_reached_is_down)
{
	struct world *w = closed_world("etsi-cms");
	w->operators[0].signature_url = S("http://127.0.0.1:1/");
	open_it(w);
	assert_int_equal(outcome(w, NUMBER), MOBILE_DOWN);
	end(w);
}

TEST(people_who_refuse_do_not_open_the_circuit)
{
	struct world *w = closed_world("etsi-cms");
	w->operators[0].break_after = 2;
	open_it(w);
	script(w, { 200, SIGNATURE(STATUS("401")) });
	for (int i = 0; i < 10; i++)
		assert_int_equal(outcome(w, NUMBER), MOBILE_REFUSED);
	end(w);
}

static struct operator an_operator(struct arena *a, struct operator_conf *c)
{
	struct operator o;
	*c = (struct operator_conf){ .name = S("one"), .profile = S("vn-pkcs1"), .signature_url = S("http://x"), .status_url = S(""), .ap_id = S("a"), .mssp_uri = S("m"),
	                             .ap_password_file = S(""), .open_limit = 2, .per_minute = 5, .break_after = 3, .break_for = 10 };
	static struct str prefix[] = { { "+8490", 5 } };
	c->prefixes = (struct strs){ prefix, 1 };
	fine(operator_init(a, &o, c, NULL, 0));
	return o;
}

TEST(a_broken_circuit_lets_one_probe_through_when_its_time_is_over)
{
	struct arena *a = arena_new();
	struct operator_conf c;
	struct operator o = an_operator(a, &c);
	c.open_limit = c.per_minute = 1000;
	for (int i = 0; i < 3; i++) {
		assert_null(operator_enter(&o, 1000));
		operator_report(&o, false, 1000);
	}
	assert_non_null(operator_enter(&o, 1000));
	assert_non_null(operator_enter(&o, 10999));
	assert_null(operator_enter(&o, 11000));
	assert_non_null(operator_enter(&o, 11001));
	operator_report(&o, false, 11500);
	assert_non_null(operator_enter(&o, 21499));
	assert_null(operator_enter(&o, 21500));
	assert_non_null(operator_enter(&o, 21500));
	operator_report(&o, true, 21600);
	assert_null(operator_enter(&o, 21600));
	assert_null(operator_enter(&o, 21600));
	/* and it takes as many faults as at first */
	operator_report(&o, false, 21700);
	operator_report(&o, false, 21700);
	assert_null(operator_enter(&o, 21700));
	arena_free(a);
}

TEST(an_operator_is_asked_no_more_than_it_allows)
{
	struct arena *a = arena_new();
	struct operator_conf c;
	struct operator o = an_operator(a, &c);
	assert_null(operator_enter(&o, 70000));
	assert_null(operator_enter(&o, 70000));
	assert_non_null(operator_enter(&o, 70000));
	operator_leave(&o);
	assert_null(operator_enter(&o, 70000));
	for (int i = 0; i < 2; i++) {
		operator_leave(&o);
		assert_null(operator_enter(&o, 80000));
	}
	operator_leave(&o);
	assert_non_null(operator_enter(&o, 129999));
	assert_null(operator_enter(&o, 130000));
	arena_free(a);
}

TEST(whoever_is_beyond_the_limit_is_told_so_and_the_place_is_given_back)
{
	struct world *w = closed_world("vn-pkcs1");
	w->operators[0].open_limit = 2;
	open_it(w);
	script(w, { 200, HANG });
	start(w, NUMBER);
	start(w, "+84900000002");
	await(w, &w->asked, 2);
	assert_int_equal(outcome(w, "+84900000003"), MOBILE_DOWN);
	assert_int_equal(w->asked, 2);
	end(w);
	w = closed_world("etsi-cms");
	w->operators[0].open_limit = 1;
	open_it(w);
	script(w, { 200, SIGNATURE(SIGNED STATUS("500")) });
	for (int i = 0; i < 5; i++)
		assert_int_equal(outcome(w, NUMBER), MOBILE_SIGNED);
	end(w);
}

/* ---- many, and the end ---- */

static int threads_now(void)
{
	int n = 0;
	DIR *d = opendir("/proc/self/task");
	while (d && readdir(d))
		n++;
	closedir(d);
	return n;
}

TEST(two_thousand_wait_and_hold_no_thread_each)
{
	enum { MANY = 2000 };
	struct world *w = closed_world("etsi-cms");
	w->operators[0].open_limit = w->operators[0].per_minute = MANY;
	w->profile.first_poll = w->profile.poll = 60;
	open_it(w);
	script(w, { 200, SIGNATURE(STATUS("100")) });
	for (int i = 0; i < MANY; i++) {
		char number[20];
		snprintf(number, sizeof number, "+8490%07d", i % 1000000);
		struct mobile_ask k = { .msisdn = str_of(number), .hash = { HASH, 32 }, .display = S("x"), .code = S("1"), .timeout = 300 };
		mobile_start(w->m, &k, on_done, w);
		/* the test's own server has a thread for each connection: a few at a time */
		if (i % 50 == 49)
			await(w, &w->asked, i + 1);
	}
	fake_close(w->s);
	w->s = fake_open(serve, w);
	assert_in_range(threads_now(), 3, 100);
	assert_int_equal(w->done, 0);
	mobile_close(w->m);
	w->m = NULL;
	assert_int_equal(w->done, MANY);
	assert_int_equal(w->states[MOBILE_DOWN], MANY);
	end(w);
	/* end() closed the adapter, with two thousand timers that had nobody to tell */
}

TEST(closing_tells_everybody_once)
{
	struct world *w = world("vn-pkcs1");
	script(w, { 200, HANG });
	for (int i = 0; i < 20; i++)
		start(w, NUMBER);
	await(w, &w->asked, 20);
	mobile_close(w->m);
	w->m = NULL;
	assert_int_equal(w->done, 20);
	assert_int_equal(w->states[MOBILE_DOWN], 20);
	fetch_close(w->f);
	w->f = NULL;
	assert_int_equal(w->done, 20);
	end(w);
}

TEST(a_late_answer_after_closing_is_dropped)
{
	struct world *w = world("etsi-cms");
	script(w, { 200, SIGNATURE(STATUS("100")) }, { 200, HANG });
	start(w, NUMBER);
	await(w, &w->asked, 2);
	mobile_close(w->m);
	w->m = NULL;
	assert_int_equal(w->done, 1);
	fake_close(w->s);
	w->s = fake_open(serve, w);
	end(w);
}

/* ---- codes and configuration ---- */

TEST(the_page_shows_the_four_digits_that_the_phone_shows)
{
	struct world *w = closed_world("vn-pkcs1");
	open_it(w);
	assert_str(mobile_code(w->m, w->a, S(NUMBER), (struct bytes){ HASH, 32 }), "7910");
	/* nobody's number shows one too, so that it cannot be told from a subscriber's */
	assert_str(mobile_code(w->m, w->a, S("+84920000001"), (struct bytes){ HASH, 32 }), "7910");
	mobile_close(w->m);
	w->profile.code = S("mid");
	open_it(w);
	struct bytes published;
	assert_true(hex_read(w->a, S("b8eaa7b82fc0e001df3fc2f4711e9da4d651e6c2fcb5c9dd5435c164d26587f8"), &published));
	assert_str(mobile_code(w->m, w->a, S(NUMBER), published), "6008");
	mobile_close(w->m);
	/* an operator that is sent the hash itself computes over the hash */
	w->profile.code = S("vn"), w->profile.data = S("hash");
	open_it(w);
	unsigned char d[32];
	sha256(HASH, 32, d);
	assert_true(str_eq(mobile_code(w->m, w->a, S(NUMBER), (struct bytes){ HASH, 32 }), str_fmt(w->a, "%04d", (d[30] << 8 | d[31]) % 10000)));
	end(w);
}

TEST(a_wrong_configuration_names_the_operator)
{
	static struct str bad[] = { { "8490", 4 } }, same[] = { { "+8491", 5 } };
	struct world *w = closed_world("etsi-cms");
	struct operator_conf good = w->operators[0], twins[10];
	for (int i = 0; i < 10; i++)
		twins[i] = good;
	twins[0].profile = S("none");
	twins[1].signature_url = S("");
	twins[2].status_url = S("");
	twins[3].prefixes = (struct strs){ bad, 1 };
	twins[4].prefixes = (struct strs){ 0 };
	twins[5].prefixes = (struct strs){ same, 1 };
	twins[6].ap_password_file = S("/nowhere/secret");
	twins[7].open_limit = 0;
	twins[8].ap_id = S("");
	twins[9].mssp_uri = S("");
	for (int i = 0; i < 10; i++) {
		w->operators[0] = twins[i];
		err e = mobile_open(w->a, w->f, w->operators, 2, &w->profile, 1, &w->m);
		assert_ptr_equal(e.kind, &BAD_CONFIG);
		assert_non_null(strstr(e.why, "operator one"));
		w->m = NULL;
	}
	w->operators[0] = good;
	w->operators[0].profile = S("vn-pkcs1");
	open_it(w);
	end(w);
}
