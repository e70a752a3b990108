#include "town.h"
#include "audit_of.h"
#include "buf.h"
#include "errands.h"
#include "evidence.h"
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* Signing in by a signature made on the SIM (SECURITY.md SEC-32, 33, 35). */

#define PHONE "0912345678"
#define MSISDN "+84912345678"

struct scene { struct town *t; struct browser *b; struct res *page; };

static struct res *typed(struct browser *b, const char *phone, const char *number)
{
	struct res *rs = authorize(b, "portal", "prompt=login");
	rs = follow(b, submit(b, rs, "/login", "method=sim"));
	is_at(b, rs, "/login/sim?");
	return follow(b, submit(b, rs, "/login/sim", str_fmt(b->a, "phone=%s&number=%s", phone, number).p));
}

/* Up to the page that shows the code: nobody's phone was asked yet. */
static struct res *asked_for_code(struct browser *b, const char *phone, const char *number)
{
	struct res *rs = typed(b, phone, number);
	is_at(b, rs, "/login/sim/code");
	return rs;
}

static struct res *sent(struct browser *b, const struct res *page) { return follow(b, submit(b, page, "/login/sim/send", "")); }

static struct scene scene(void)
{
	struct scene s = { .t = town() };
	s.b = browser(s.t->w);
	s.page = asked_for_code(s.b, PHONE, AN);
	return s;
}

/* Somebody who waits for the phone. */
static struct scene waiting(void)
{
	struct scene s = scene();
	s.page = sent(s.b, s.page);
	is_at(s.b, s.page, "/login/sim/wait");
	return s;
}

static struct str i_of(struct browser *b) { return within(b->a, b->at, "i"); }
static struct res *looked(struct scene *s) { return visit(s->b, s->b->at); }
static struct res *polled(struct browser *b, struct str i) { return ask(b->w, "GET", str_fmt(b->a, "/login/sim/poll?i=%s", i.p).p, str_fmt(b->a, "Cookie: __Host-browser=%s\n", cookie_in(b, "browser").p).p, ""); }

/* The digits as they stand on the page. */
static struct str code_on(struct browser *b, const struct res *page)
{
	const char *p = strstr(page->body.p, "class=\"code\"");
	struct buf out = buf_new(b->a, 8, 8);
	for (int n = 0; p && n < 4 && (p = strstr(p, "<span>")); p += 6)
		if (p[6] >= '0' && p[6] <= '9')
			buf_char(&out, p[6]), n++;
	return (struct str){ out.p, out.n };
}

static struct str number_of(struct arena *a, int n) { return str_fmt(a, "001099%06d", n); }

/* Until the provider has let go of the request that is open for a phone. */
static void let_go(struct town *t, const char *msisdn)
{
	struct str txn;
	bool open = true;
	for (time_t until = time(NULL) + 30; open && time(NULL) < until; sched_yield())
		fine(eph_get(t->w->house.eph, t->a, "sim-open", number_mac(&t->w->house, t->a, str_of(msisdn)), &txn, &open));
	assert_false(open);
}

static void refuses(struct town *t, int nth)
{
	struct push *p = push(t, nth);
	phone_says(t, p, "401");
	answered(t, p);
	let_go(t, p->msisdn.p);
}

#define nobody_is_in(s) do { assert_int_equal(cookie_in((s)->b, "session").n, 0); assert_int_equal(audits((s)->t->w, "login.certificate", "ok"), 1); } while (0)

/* ---- how it goes ---- */

TEST(a_phone_that_signs_lets_its_owner_in)
{
	struct scene s = scene();
	struct str code = code_on(s.b, s.page);
	assert_int_equal(code.n, 4);
	assert_int_equal(pushes(s.t), 0);
	s.page = sent(s.b, s.page);
	is_at(s.b, s.page, "/login/sim/wait");
	struct push *p = push(s.t, 1);
	assert_str(p->msisdn, MSISDN);
	assert_int_equal(p->hash.n, 32);
	assert_str(p->code, code.p);
	assert_str(code_on(s.b, s.page), code.p);
	assert_true(str_starts(p->display, S("portal: dang nhap. Ma ")));
	assert_true(str_printable(p->display));
	assert_str(told(s.t->w, polled(s.b, i_of(s.b)), "state"), "pending");
	phone_signs(s.t, p, s.t->an);
	answered(s.t, p);
	assert_str(told(s.t->w, polled(s.b, i_of(s.b)), "state"), "done");
	struct res *rs = looked(&s);
	is_at(s.b, rs, "/login/consent");
	rs = follow(s.b, submit(s.b, rs, "/login/consent", "decision=allow"));
	json_t *claims = tokens_for(s.b, "portal", rs);
	assert_str(json_text(claims, "acr"), "substantial");
	struct browser *b = browser(s.t->w);                              /* by token the same person is the same subject */
	assert_str(json_text(tokens_for(b, "portal", sign_in(b, authorize(b, "portal", ""), s.t->an)), "sub"), json_text(claims, "sub").p);
	assert_int_equal(pushes(s.t), 1);
	assert_int_equal(audits(s.t->w, "sim.asked", "ok"), 1);
}

TEST(no_phone_is_asked_before_the_person_has_seen_the_code_and_said_so)
{
	struct scene s = scene();
	struct str i = i_of(s.b), csrf = field(s.b, s.page, "csrf");
	get(s.b, s.b->at);
	visit(s.b, str_fmt(s.b->a, "/login/sim/wait?i=%s", i.p));
	assert_int_equal(get(s.b, str_fmt(s.b->a, "/login/sim/send?i=%s&csrf=%s", i.p, csrf.p))->status, 405);
	is_page(go(s.b, "POST", S("/login/sim/send"), str_fmt(s.b->a, "i=%s", i.p).p), 403);
	s.b->more = "Origin: https://evil.example\n";
	is_page(submit(s.b, s.page, "/login/sim/send", ""), 403);
	s.b->more = "";
	assert_str(told(s.t->w, polled(s.b, i), "state"), "done");          /* nothing is under way */
	assert_int_equal(pushes(s.t), 0);
	assert_int_equal(audits(s.t->w, "sim.asked", "ok"), 0);
	sent(s.b, s.page);
	push(s.t, 1);
}

TEST(what_is_no_phone_or_no_number_is_said_beside_the_field_and_asks_nobody)
{
	static const struct { const char *phone, *number; } BAD[] = {
		{ "", AN }, { "x", AN }, { "091234567", AN }, { "09123456789", AN }, { "%2B1912345678", AN }, { "113", AN },
		{ PHONE, "" }, { PHONE, "00109900000" }, { PHONE, "000099000001" }, { PHONE, "001099000001x" }, { PHONE, "123456789" }, { "", "" },
	};
	struct town *t = town();
	for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
		struct browser *b = browser(t->w);
		struct res *rs = typed(b, BAD[i].phone, BAD[i].number);
		is_page(rs, 400);
		assert_non_null(strstr(rs->body.p, "aria-invalid=\"true\""));
	}
	assert_int_equal(pushes(t), 0);
}

struct racer { struct arena *a; struct browser *b; struct res *page, *rs; struct str to; };

static void *sends(void *p)
{
	struct racer *r = p;
	r->rs = submit(r->b, r->page, "/login/sim/send", "");
	return NULL;
}

static void *looks(void *p)
{
	struct racer *r = p;
	r->rs = get(r->b, r->to);
	return NULL;
}

static void race(struct racer *r, size_t n, void *(*how)(void *))
{
	pthread_t th[64];
	assert_true(n <= 64);
	for (size_t k = 0; k < n; k++)
		assert_int_equal(pthread_create(&th[k], NULL, how, &r[k]), 0);
	for (size_t k = 0; k < n; k++)
		pthread_join(th[k], NULL);
}

static void free_racers(struct racer *r, size_t n)
{
	for (size_t k = 0; k < n; k++)
		arena_free(r[k].a);
}

TEST(a_button_that_is_pressed_twice_asks_the_phone_once)
{
	enum { MANY = 5 };                   /* as many as the limit of a person */
	struct scene s = scene();
	struct racer r[MANY];
	for (size_t k = 0; k < MANY; k++) {
		struct arena *a = arena_new();
		r[k] = (struct racer){ .a = a, .b = twin(s.b, a), .page = s.page };
	}
	race(r, MANY, sends);
	for (size_t k = 0; k < MANY; k++) {
		assert_int_equal(r[k].rs->status, 303);
		assert_true(str_starts(res_head(r[k].rs, "Location"), S("/login/sim/wait")));
	}
	free_racers(r, MANY);
	is_at(s.b, sent(s.b, s.page), "/login/sim/wait");
	phone_signs(s.t, push(s.t, 1), s.t->an);
	answered(s.t, push(s.t, 1));
	is_at(s.b, looked(&s), "/login/consent");
	assert_int_equal(pushes(s.t), 1);
	assert_int_equal(audits(s.t->w, "sim.asked", "ok"), 1);
}

TEST(an_answer_is_spent_once_however_many_pages_wait_for_it)
{
	enum { MANY = 16 };
	struct scene s = waiting();
	struct racer r[MANY];
	phone_signs(s.t, push(s.t, 1), s.t->an);
	answered(s.t, push(s.t, 1));
	for (size_t k = 0; k < MANY; k++) {
		struct arena *a = arena_new();
		r[k] = (struct racer){ .a = a, .b = twin(s.b, a), .to = s.b->at };
	}
	race(r, MANY, looks);
	size_t in = 0;
	for (size_t k = 0; k < MANY; k++)
		in += cookie_in(r[k].b, "session").n == 43;
	free_racers(r, MANY);
	assert_int_equal(in, 1);
	assert_int_equal(audits(s.t->w, "login.certificate", "ok"), 2);       /* with the world's own citizen */
}

/* ---- how it ends ---- */

static const struct { const char *code, *end; bool again; } ENDS[] = {
	{ "401", "refused", true }, { "402", "blocked", false }, { "403", "blocked", false }, { "4021", "wrong_pin", true }, { "209", "unreachable", true },
	{ "501", "revoked", false }, { "406", "busy", true }, { "101", "operator_down", true }, { "503", "operator_down", true }, { "777", "operator_down", true },
};

TEST(each_way_that_a_phone_can_end_it_is_told_and_nobody_is_in)
{
	for (size_t i = 0; i < sizeof ENDS / sizeof *ENDS; i++) {
		struct scene s = waiting();
		struct push *p = push(s.t, 1);
		phone_says(s.t, p, ENDS[i].code);
		answered(s.t, p);
		assert_str(told(s.t->w, polled(s.b, i_of(s.b)), "state"), "done");
		struct res *rs = looked(&s);
		is_page(rs, 200);
		assert_non_null(strstr(rs->body.p, "role=\"alert\""));
		assert_int_equal(strstr(rs->body.p, "/login/sim/again") != NULL, ENDS[i].again);
		if (audits(s.t->w, "login.refused", ENDS[i].end) != 1)
			fail_msg("%s is no %s", ENDS[i].code, ENDS[i].end);
		nobody_is_in(&s);
	}
}

TEST(an_operator_that_hangs_up_ends_it)
{
	struct scene s = waiting();
	operator_breaks(s.t, push(s.t, 1));
	answered(s.t, push(s.t, 1));
	is_page(looked(&s), 200);
	assert_int_equal(audits(s.t->w, "login.refused", "operator_down"), 1);
	nobody_is_in(&s);
}

TEST(who_was_refused_by_the_phone_may_try_again_with_another_code_and_hash)
{
	struct scene s = waiting();
	struct push *first = push(s.t, 1);
	refuses(s.t, 1);
	struct res *rs = follow(s.b, submit(s.b, looked(&s), "/login/sim/again", ""));
	is_at(s.b, rs, "/login/sim?");
	rs = follow(s.b, submit(s.b, rs, "/login/sim", "phone=" PHONE "&number=" AN));
	is_at(s.b, rs, "/login/sim/code");
	s.page = sent(s.b, rs);
	struct push *second = push(s.t, 2);
	assert_memory_not_equal(first->hash.p, second->hash.p, 32);
	phone_signs(s.t, second, s.t->an);
	answered(s.t, second);
	is_at(s.b, looked(&s), "/login/consent");
}

TEST(an_answer_that_comes_too_late_is_never_used)
{
	struct scene s = waiting();
	pass(s.t->w, s.t->w->conf.sim_timeout + 16);
	is_page(get(s.b, s.b->at), 200);
	assert_int_equal(audits(s.t->w, "login.refused", "timed_out"), 1);
	phone_signs(s.t, push(s.t, 1), s.t->an);
	answered(s.t, push(s.t, 1));
	is_page(looked(&s), 200);
	assert_int_equal(audits(s.t->w, "login.refused", "timed_out"), 2);
	nobody_is_in(&s);
	s = waiting();
	pass(s.t->w, s.t->w->conf.sim_timeout - 1);
	phone_signs(s.t, push(s.t, 1), s.t->an);
	answered(s.t, push(s.t, 1));
	is_at(s.b, looked(&s), "/login/consent");
}

TEST(the_answer_to_an_earlier_try_is_never_used_for_a_later_one)
{
	struct scene s = waiting();
	struct str i = i_of(s.b);
	struct res *rs = follow(s.b, submit(s.b, s.page, "/login/sim/again", ""));
	rs = follow(s.b, submit(s.b, rs, "/login/sim", "phone=" PHONE "&number=" AN));
	is_at(s.b, rs, "/login/sim/code");
	is_page(submit(s.b, rs, "/login/sim/send", ""), 400);                 /* the phone still shows the first */
	phone_signs(s.t, push(s.t, 1), s.t->an);
	answered(s.t, push(s.t, 1));
	is_at(s.b, visit(s.b, str_fmt(s.b->a, "/login/sim/wait?i=%s", i.p)), "/login/sim/code");
	nobody_is_in(&s);
	assert_int_equal(pushes(s.t), 1);
}

TEST(the_answer_to_a_sign_in_that_was_cancelled_is_never_used)
{
	struct scene s = waiting();
	struct str at = s.b->at;
	is_refused(s.b, submit(s.b, s.page, "/login/cancel", ""), "portal", "access_denied");
	phone_signs(s.t, push(s.t, 1), s.t->an);
	answered(s.t, push(s.t, 1));
	is_page(get(s.b, at), 400);
	nobody_is_in(&s);
}

/* ---- whose signature, over what ---- */

/* The refusal by its audit code; the same page for all of them says nothing of why. */
static void is_no_login(struct scene *s, const char *code)
{
	answered(s->t, push(s->t, 1));
	struct res *rs = looked(s);
	is_page(rs, 200);
	assert_non_null(strstr(rs->body.p, "role=\"alert\""));
	if (audits(s->t->w, "login.refused", code) != 1)
		fail_msg("no row of login.refused %s", code);
	nobody_is_in(s);
}

TEST(a_signature_by_somebody_else_is_no_login)
{
	struct scene s = waiting();
	phone_signs(s.t, push(s.t, 1), s.t->binh);
	is_no_login(&s, "login_refused");
}

TEST(a_signature_over_another_hash_is_no_login)
{
	struct scene s = waiting();
	struct browser *other = browser(s.t->w);
	sent(other, asked_for_code(other, "0912345679", BINH));
	phone_signs_this(s.t, push(s.t, 1), s.t->an, push(s.t, 2)->hash);
	is_no_login(&s, "signature_wrong");
	s = waiting();
	phone_signs_this(s.t, push(s.t, 1), s.t->an, str_bytes(S("")));
	is_no_login(&s, "signature_wrong");
}

TEST(a_certificate_that_is_not_good_is_no_login)
{
	struct scene s = waiting();
	struct minted *root = mint_root(s.t->a, NULL);
	phone_signs(s.t, push(s.t, 1), citizen(s.t, root, AN, "Nguyễn Văn An", NULL));
	is_no_login(&s, "certificate_untrusted");
	s = waiting();
	responder_says(s.t, s.t->an, SAYS_REVOKED);
	phone_signs(s.t, push(s.t, 1), s.t->an);
	is_no_login(&s, "certificate_revoked");
	s = waiting();
	responder_says(s.t, s.t->an, SAYS_503);
	phone_signs(s.t, push(s.t, 1), s.t->an);
	is_no_login(&s, "certificate_status_unknown");
	s = waiting();
	phone_signs(s.t, push(s.t, 1), citizen(s.t, s.t->ca, AN, "Nguyễn Văn An", &(struct mint_wish){ .not_after = s.t->w->now - 1 }));
	is_no_login(&s, "certificate_expired");
	s = waiting();
	phone_signs(s.t, push(s.t, 1), citizen(s.t, s.t->ca, NULL, "Nguyễn Văn An", NULL));
	is_no_login(&s, "certificate_unsuitable");
}

/* ---- who is known, and who is not (SEC-33) ---- */

/* What differs from page to page by chance, or is the person's own: as many characters of something else. */
static struct str plain(struct browser *b, const struct res *rs)
{
	char *text = arena_alloc(b->a, rs->body.n + 1);
	memcpy(text, rs->body.p, rs->body.n);
	struct str hide[] = { field(b, rs, "csrf"), field(b, rs, "i"), i_of(b) };
	for (size_t k = 0; k < sizeof hide / sizeof *hide; k++)
		for (char *p = text; hide[k].n && (p = strstr(p, hide[k].p)); )
			memset(p, '*', hide[k].n);
	for (char *p = text, *end; (p = strstr(p, "class=\"code\"")) && (end = strstr(p, "</p>")); p = end)
		for (char *q = p; q < end; q++)
			if (*q >= '0' && *q <= '9')
				*q = '*';
	for (char *p = text; (p = strstr(p, "class=\"ref\"")); p++)
		for (char *q = p; *q && strncmp(q, "</p>", 4); q++)
			*q = '*';
	return (struct str){ text, rs->body.n };
}

static struct str headers_of(struct browser *b, const struct res *rs)
{
	struct str all = str_fmt(b->a, "%d", rs->status);
	for (size_t i = 0; i < rs->headers.n; i++)
		if (!str_eq_nocase(rs->headers.v[i].name, S("Set-Cookie")) && !str_eq_nocase(rs->headers.v[i].name, S("Location")))
			all = str_fmt(b->a, "%s\n%s: %s", all.p, rs->headers.v[i].name.p, rs->headers.v[i].value.p);
	return all;
}

enum { SEEN = 16 };
struct seen { struct str text[SEEN], headers[SEEN]; size_t n; };

static void see(struct seen *l, struct browser *b, const struct res *rs)
{
	assert_true(l->n < SEEN);
	l->text[l->n] = plain(b, rs);
	l->headers[l->n++] = headers_of(b, rs);
}

/* All that one sees who types these numbers and waits until the time is up. says: what the operator answers, or NULL. */
static struct seen seen_with(struct arena *a, const char *phone, const char *number, const char *says, bool disabled)
{
	struct town *t = town();
	struct browser *b = browser(t->w);
	struct seen l = { .n = 0 };
	struct person_row *p;
	sign_in(b, authorize(b, "portal", "prompt=login"), t->an);
	if (disabled) {
		struct audit ev = audit_of(world_req(t->w), "person.changed");
		fine(store_person_by_number(t->w->house.store, t->a, number_mac(&t->w->house, t->a, S("PNOVN-" AN)), &p));
		p->disabled_at = t->w->now;
		fine(store_person_change(t->w->house.store, t->a, p, &ev));
	}
	b = browser(t->w);
	struct res *page = asked_for_code(b, phone, number);
	see(&l, b, page);
	see(&l, b, submit(b, page, "/login/sim/send", ""));
	struct str i = field(b, page, "i");
	if (says) {
		phone_says(t, push(t, 1), says);
		answered(t, push(t, 1));
	}
	struct str at = str_fmt(b->a, "/login/sim/wait?i=%s", i.p);
	static const int64_t STEPS[] = { 0, 60, 59, 1 };
	for (size_t k = 0; k < sizeof STEPS / sizeof *STEPS; k++) {
		pass(t->w, STEPS[k]);
		see(&l, b, polled(b, i));
		see(&l, b, get(b, at));
	}
	page = get(b, at);                       /* the end; and once more */
	follow(b, submit(b, page, "/login/sim/again", ""));
	page = follow(b, submit(b, page, "/login/sim", str_fmt(b->a, "phone=%s&number=%s", phone, number).p));
	see(&l, b, page);
	see(&l, b, submit(b, page, "/login/sim/send", ""));
	for (size_t k = 0; k < l.n; k++) {       /* the next world takes this one's memory along */
		l.text[k] = str_copy(a, l.text[k]);
		l.headers[k] = str_copy(a, l.headers[k]);
	}
	return l;
}

TEST(an_unknown_number_looks_like_a_known_one_that_is_silent_byte_for_byte)
{
	static const struct { const char *phone, *number, *says; bool disabled; } UNKNOWN[] = {
		{ "0922345678", BINH, "105", false },                     /* no such subscriber, says the operator at once */
		{ "0922345678", BINH, "404", false },
		{ "0862345678", "001099000009", NULL, false },            /* no operator serves it */
		{ PHONE, AN, NULL, true },                                /* known and disabled: the phone is not even asked */
		{ PHONE, AN, "208", false },                              /* the phone was silent, and the operator gave up early */
		{ PHONE, "001099000009", NULL, false },                   /* silent, and a number that nobody has here */
	};
	struct arena *a = arena_new();
	struct seen known = seen_with(a, PHONE, AN, NULL, false);
	assert_int_equal(known.n, 12);
	assert_null(strstr(known.text[8].p, "role=\"alert\""));
	assert_non_null(strstr(known.text[9].p, "role=\"alert\""));
	for (size_t i = 0; i < sizeof UNKNOWN / sizeof *UNKNOWN; i++) {
		struct seen other = seen_with(a, UNKNOWN[i].phone, UNKNOWN[i].number, UNKNOWN[i].says, UNKNOWN[i].disabled);
		assert_int_equal(other.n, known.n);
		for (size_t k = 0; k < known.n; k++) {
			if (known.text[k].n != other.text[k].n || strcmp(known.text[k].p, other.text[k].p) || strcmp(known.headers[k].p, other.headers[k].p))
				fail_msg("case %zu differs at %zu:\n%s\n%s\n---\n%s\n%s", i, k, known.headers[k].p, known.text[k].p, other.headers[k].p, other.text[k].p);
		}
	}
	arena_free(a);
}

/* SEC-33: what it costs the provider to have a phone asked is what one can see of it from outside. Processor time of the asking thread,
 * by turns; of each kind the slowest quarter is left out (other programs run here too). */
enum { TRIES = 64, COUNTED = TRIES * 3 / 4 };

static double cpu_us(void)
{
	struct timespec t;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

struct sample { double mean, var; };

static struct sample sample_of(double *v, double more)
{
	struct sample s = { 0 };
	qsort(v, TRIES, sizeof *v, by_size);
	for (int i = 0; i < COUNTED; i++)
		s.mean += v[i] * more / COUNTED;
	for (int i = 0; i < COUNTED; i++)
		s.var += (v[i] * more - s.mean) * (v[i] * more - s.mean) / (COUNTED - 1);
	return s;
}

/* Welch's t, squared, far beyond what chance does; and a difference that a network would not drown. */
static bool told_apart(struct sample a, struct sample b)
{
	double d = a.mean - b.mean, t2 = d * d / ((a.var + b.var) / COUNTED);
	return t2 > 100 && d * d > 0.05 * a.mean * 0.05 * a.mean;
}

static void known_here(struct town *t, struct str number)
{
	struct audit ev = audit_of(world_req(t->w), "person.added");
	struct person_row p = { .id = number, .kind = S("citizen"), .name = S("An"), .search_key = S("an"), .number_mac = number_mac(&t->w->house, t->a, number),
		.number_sealed = S("-"), .phone_mac = S(""), .phone_sealed = S(""), .claims = S("{}"), .created_at = t->w->now, .updated_at = t->w->now, .version = 1 };
	fine(store_person_add(t->w->house.store, t->a, &p, &ev));
}

static double cost_of_asking(struct town *t, int n)
{
	struct browser *b = browser(t->w);
	double before = cpu_us();
	struct res *rs = sent(b, asked_for_code(b, str_fmt(b->a, "09123%05d", n).p, number_of(b->a, n).p));
	double took = cpu_us() - before;
	is_at(b, rs, "/login/sim/wait");
	return took;
}

TEST(whether_a_person_is_known_does_not_show_in_the_time_that_asking_takes)
{
	struct town *t = town();
	double known[TRIES], unknown[TRIES];
	t->w->conf.attempts_per_address = t->w->conf.sim_per_address = t->w->conf.sim_per_client = 100000;
	for (int i = 0; i < TRIES; i++)
		known_here(t, str_fmt(t->a, "PNOVN-%s", number_of(t->a, 2 * i).p));
	cost_of_asking(t, 2 * TRIES);            /* what is done once is done */
	for (int i = 0; i < TRIES; i++) {
		known[i] = cost_of_asking(t, 2 * i);
		unknown[i] = cost_of_asking(t, 2 * i + 1);
	}
	struct sample a = sample_of(known, 1), b = sample_of(unknown, 1);
	if (told_apart(a, b))
		fail_msg("known %.0f us, unknown %.0f us", a.mean, b.mean);
	assert_true(told_apart(a, sample_of(unknown, 2)));       /* it would have been seen */
}

TEST(a_disabled_persons_phone_is_not_asked)
{
	struct town *t = town();
	struct browser *b = browser(t->w);
	struct person_row *p;
	sign_in(b, authorize(b, "portal", "prompt=login"), t->an);
	struct audit ev = audit_of(world_req(t->w), "person.changed");
	fine(store_person_by_number(t->w->house.store, t->a, number_mac(&t->w->house, t->a, S("PNOVN-" AN)), &p));
	p->disabled_at = t->w->now;
	fine(store_person_change(t->w->house.store, t->a, p, &ev));
	b = browser(t->w);
	is_at(b, sent(b, asked_for_code(b, PHONE, AN)), "/login/sim/wait");
	struct browser *c = browser(t->w);
	is_at(c, sent(c, asked_for_code(c, "0912345679", BINH)), "/login/sim/wait");
	assert_str(push(t, 1)->msisdn, "+84912345679");
	assert_int_equal(pushes(t), 1);
}

/* ---- where the answers go ---- */

struct gate { pthread_mutex_t lock; pthread_cond_t open; bool is_open; };

static void stand_before(void *p)
{
	struct gate *g = p;
	pthread_mutex_lock(&g->lock);
	while (!g->is_open)
		pthread_cond_wait(&g->open, &g->lock);
	pthread_mutex_unlock(&g->lock);
}

static void go_through(struct gate *g)
{
	pthread_mutex_lock(&g->lock);
	g->is_open = true;
	pthread_cond_signal(&g->open);
	pthread_mutex_unlock(&g->lock);
}

TEST(while_an_answer_waits_to_be_kept_other_phones_are_asked)
{
	static struct gate gate = { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false };
	struct scene s = waiting();
	struct push *first = push(s.t, 1);
	errands_send(s.t->w->house.errands, stand_before, &gate);            /* as a store that hangs holds it */
	phone_signs(s.t, first, s.t->an);
	struct browser *other = browser(s.t->w);
	is_at(other, sent(other, asked_for_code(other, "0912345679", BINH)), "/login/sim/wait");
	assert_str(push(s.t, 2)->msisdn, "+84912345679");
	assert_non_null(strstr(polled(s.b, i_of(s.b))->body.p, "pending"));
	go_through(&gate);
	answered(s.t, first);
	is_at(s.b, follow(s.b, looked(&s)), "/login/consent");
}

/* ---- limits (SEC-32, SEC-35) ---- */

static bool is_over(const struct res *rs) { return rs->status == 400 && strstr(rs->body.p, "id=\"error\""); }

TEST(a_person_is_asked_five_times_in_ten_minutes_however_the_number_is_spelled)
{
	static const char *const SPELLED[] = { "001099000001", "001+099+000+001", "001.099.000.001", "PNOVN-001099000001", "+001099000001" };
	struct town *t = town();
	for (int n = 0; n < 5; n++) {
		struct browser *b = browser(t->w);
		is_at(b, sent(b, asked_for_code(b, str_fmt(t->a, "09123456%02d", n).p, SPELLED[n])), "/login/sim/wait");
		refuses(t, n + 1);
	}
	struct browser *b = browser(t->w);
	assert_true(is_over(submit(b, asked_for_code(b, "0912345690", AN), "/login/sim/send", "")));
	assert_int_equal(pushes(t), 5);
	is_at(b, sent(b, asked_for_code(b, "0912345690", BINH)), "/login/sim/wait");
	pass(t->w, 600);
	b = browser(t->w);
	is_at(b, sent(b, asked_for_code(b, "0912345691", AN)), "/login/sim/wait");
}

TEST(a_number_is_asked_five_times_in_ten_minutes_however_it_is_spelled)
{
	static const char *const SPELLED[] = { "0912345678", "84912345678", "%2B84912345678", "0084912345678", "091+234+56-78" };
	struct town *t = town();
	for (int n = 0; n < 5; n++) {
		struct browser *b = browser(t->w);
		is_at(b, sent(b, asked_for_code(b, SPELLED[n], number_of(t->a, 100 + n).p)), "/login/sim/wait");
		refuses(t, n + 1);
	}
	struct browser *b = browser(t->w);
	assert_true(is_over(submit(b, asked_for_code(b, PHONE, number_of(t->a, 200).p), "/login/sim/send", "")));
	assert_int_equal(pushes(t), 5);
}

enum { MANY = 64 };

/* So many browsers, each with a person, a phone and an address of its own unless said otherwise, all sending at once: how many are asked. */
static int asked_at_once(struct town *t, bool one_address, bool one_person)
{
	struct racer r[MANY];
	int over = 0;
	for (int k = 0; k < MANY; k++) {
		struct browser *b = browser(t->w);
		b->peer = one_address ? S("192.0.2.7") : str_fmt(t->a, "198.51.100.%d", k);
		struct res *page = asked_for_code(b, str_fmt(t->a, "09123400%02d", k).p, one_person ? AN : number_of(t->a, 1000 + k).p);
		struct arena *a = arena_new();
		r[k] = (struct racer){ .a = a, .b = twin(b, a), .page = page };
	}
	race(r, MANY, sends);
	for (int k = 0; k < MANY; k++)
		over += is_over(r[k].rs);
	free_racers(r, MANY);
	push(t, MANY - over);
	assert_int_equal(pushes(t), MANY - over);
	return MANY - over;
}

TEST(of_64_tries_at_once_an_address_has_exactly_as_many_as_it_may)
{
	struct town *t = town();
	assert_int_equal(asked_at_once(t, true, false), t->w->conf.sim_per_address);
}

TEST(of_64_tries_at_once_an_application_has_exactly_as_many_as_it_may)
{
	struct town *t = town();
	t->w->conf.sim_per_client = 17;
	assert_int_equal(asked_at_once(t, false, false), 17);
}

TEST(of_64_tries_at_once_one_asks_a_person_and_all_are_counted)
{
	for (int more = 0; more < 2; more++) {
		struct town *t = town();
		t->w->conf.sim_per_person = MANY + more;
		assert_int_equal(asked_at_once(t, false, true), 1);
		refuses(t, 1);
		struct browser *b = browser(t->w);
		struct res *rs = submit(b, asked_for_code(b, "0912345690", AN), "/login/sim/send", "");
		assert_int_equal(is_over(rs), !more);
	}
}

TEST(one_request_at_a_time_is_open_for_a_person)
{
	struct scene s = waiting();
	struct browser *other = browser(s.t->w);
	struct res *page = asked_for_code(other, "0912345679", AN);
	assert_true(is_over(submit(other, page, "/login/sim/send", "")));
	push(s.t, 1);
	assert_int_equal(pushes(s.t), 1);
	refuses(s.t, 1);
	let_go(s.t, MSISDN);
	page = asked_for_code(other, "0912345679", AN);
	is_at(other, sent(other, page), "/login/sim/wait");
}

/* ---- trouble ---- */

TEST(a_phone_is_not_asked_when_that_cannot_be_written_down)
{
	struct scene s = scene();
	int n = 0;
	for (struct res *rs = NULL; !rs || rs->status == 503; n++) {
		struct browser *b = browser(s.t->w);
		b->peer = str_fmt(s.t->a, "198.51.100.%d", n);
		struct res *page = asked_for_code(b, str_fmt(s.t->a, "09123456%02d", n).p, number_of(s.t->a, n).p);
		assert_int_equal(pushes(s.t), 0);
		breaks_at(s.t->w, n);
		rs = submit(b, page, "/login/sim/send", "");
		breaks_at(s.t->w, -1);
		if (rs->status == 503)
			is_page(rs, 503);
	}
	push(s.t, 1);
	assert_int_equal(pushes(s.t), 1);
	assert_true(n > 1);
	assert_int_equal(audits(s.t->w, "sim.asked", "ok"), 1);
}

TEST(who_failed_because_of_us_may_press_the_button_again)
{
	struct scene s = scene();
	breaks_at(s.t->w, 1);
	is_page(submit(s.b, s.page, "/login/sim/send", ""), 503);
	breaks_at(s.t->w, -1);
	assert_int_equal(pushes(s.t), 0);
	is_at(s.b, sent(s.b, s.page), "/login/sim/wait");
	phone_signs(s.t, push(s.t, 1), s.t->an);
	answered(s.t, push(s.t, 1));
	is_at(s.b, looked(&s), "/login/consent");
}

TEST(a_signature_whose_login_cannot_be_written_signs_nobody_in)
{
	int n = 0;
	for (bool in = false; !in; n++) {
		struct scene s = waiting();
		phone_signs(s.t, push(s.t, 1), s.t->an);
		answered(s.t, push(s.t, 1));
		breaks_at(s.t->w, n);
		struct res *rs = get(s.b, s.b->at);
		breaks_at(s.t->w, -1);
		in = rs->status == 303;
		if (!in)
			nobody_is_in(&s);
	}
	assert_true(n > 1);
}
