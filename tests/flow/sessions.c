#include "town.h"
#include "audit_of.h"
#include "evidence.h"
#include <pthread.h>

/* Interactions and sessions: whose they are, how long, and that nobody else can have them (SECURITY.md SEC-18, 19, 20). */

static struct res *agreed(struct browser *b, struct res *rs) { return follow(b, submit(b, rs, "/login/consent", "decision=allow")); }

#define path(b, ...) str_fmt((b)->a, __VA_ARGS__)

static struct str i_of(struct browser *b) { return within(b->a, b->at, "i"); }

/* ---- single sign-on ---- */

TEST(who_signed_in_for_one_application_is_signed_in_for_another)
{
	struct town *t = town();
	struct browser *b = browser(t->w);
	struct res *rs = agreed(b, sign_in(b, authorize(b, "portal", ""), t->an));
	json_t *first = tokens_for(b, "portal", rs);
	rs = authorize(b, "tax", "");
	is_at(b, rs, "/login/consent");                               /* no login: only the other application is new */
	rs = agreed(b, rs);
	is_code(b, rs, "tax");
	json_t *second = tokens_for(b, "tax", rs);
	assert_str(json_text(first, "sid"), json_text(second, "sid").p);
	assert_false(str_eq(json_text(first, "sub"), json_text(second, "sub")));
	is_code(b, get(b, request_of(b->a, "tax", "prompt=none")), "tax");
	is_refused(b, get(browser(t->w), request_of(b->a, "tax", "prompt=none")), "tax", "login_required");
}

TEST(a_person_is_one_subject_whichever_certificate_and_method_they_use)
{
	struct town *t = town();
	struct browser *b = browser(t->w), *c = browser(t->w);
	struct minted *renewed = citizen(t, t->ca, AN, "Nguyễn Văn An", NULL);
	struct str sub = json_text(tokens_for(b, "portal", agreed(b, sign_in(b, authorize(b, "portal", ""), t->an))), "sub");
	struct res *rs = sign_in(c, authorize(c, "portal", ""), renewed);
	is_code(c, rs, "portal");                                     /* and what they agreed to is remembered */
	assert_str(json_text(tokens_for(c, "portal", rs), "sub"), sub.p);
	c = browser(t->w);
	rs = sign_in(c, authorize(c, "portal", ""), t->binh);
	assert_false(str_eq(json_text(tokens_for(c, "portal", agreed(c, rs)), "sub"), sub));
}

/* ---- the session's cookie ---- */

TEST(every_login_begins_a_session_of_its_own_and_ends_the_one_before)
{
	struct town *t = town();
	struct browser *b = browser(t->w);
	struct res *rs = agreed(b, sign_in(b, authorize(b, "portal", ""), t->an));
	struct str first = cookie_in(b, "session"), sid = json_text(tokens_for(b, "portal", rs), "sid");
	struct browser *before = twin(b, b->a);
	rs = sign_in(b, authorize(b, "portal", "prompt=login"), t->an);
	assert_true(first.n == 43 && cookie_in(b, "session").n == 43);
	assert_false(str_eq(first, cookie_in(b, "session")));
	assert_false(str_eq(sid, json_text(tokens_for(b, "portal", rs), "sid")));
	is_refused(before, get(before, request_of(b->a, "portal", "prompt=none")), "portal", "login_required");
	is_code(b, get(b, request_of(b->a, "portal", "prompt=none")), "portal");
}

TEST(a_session_that_somebody_else_chose_is_never_taken_over)
{
	struct town *t = town();
	struct browser *b = browser(t->w);
	b->jar.v[b->jar.n++] = (struct param){ S("__Host-session"), S("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA") };
	struct res *rs = sign_in(b, authorize(b, "portal", ""), t->an);
	is_at(b, rs, "/login/consent");
	assert_false(str_is(cookie_in(b, "session"), "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"));
}

TEST(cookies_go_back_to_this_host_alone_over_tls_and_no_script_reads_them)
{
	struct town *t = town();
	struct browser *b = browser(t->w);
	struct res *rs = visit(b, request_of(b->a, "portal", ""));
	struct res *first = go(browser(t->w), "GET", request_of(b->a, "portal", ""), "");
	rs = follow(b, submit(b, rs, "/login", "method=token"));
	struct res *last = present(b, rs, token_of(b, t->an, data_of(b, rs, "nonce")));
	const struct { const struct res *rs; const char *name; } SET[] = { { first, "__Host-browser=" }, { last, "__Host-session=" } };
	for (size_t i = 0; i < 2; i++) {
		struct str c = res_head(SET[i].rs, "Set-Cookie");
		assert_true(str_starts(c, str_of(SET[i].name)));
		assert_non_null(strstr(c.p, "; Path=/"));
		assert_non_null(strstr(c.p, "; HttpOnly"));
		assert_non_null(strstr(c.p, "; SameSite=Lax"));
		assert_non_null(strstr(c.p, "; Secure"));
		assert_null(strstr(c.p, "Domain"));
		assert_null(strstr(c.p, "Max-Age"));
	}
}

TEST(a_session_ends_when_its_time_is_up)
{
	struct town *t = town();
	struct browser *b = browser(t->w);
	is_code(b, agreed(b, sign_in(b, authorize(b, "portal", ""), t->an)), "portal");
	epoch end = t->w->now + t->w->conf.session_lives;
	pass(t->w, end - t->w->now - 1);
	is_code(b, authorize(b, "portal", ""), "portal");
	pass(t->w, 1);
	is_at(b, authorize(b, "portal", ""), "/login");
}

TEST(a_disabled_person_has_no_session_any_more)
{
	struct town *t = town();
	struct browser *b = browser(t->w);
	struct person_row *p;
	is_signed_in(b);
	agrees(t->w, "portal", "openid");
	is_code(b, authorize(b, "portal", ""), "portal");
	fine(store_person(t->w->house.store, t->a, t->w->person_id, &p));
	p->disabled_at = t->w->now;
	struct audit ev = audit_of(world_req(t->w), "person.changed");
	fine(store_person_change(t->w->house.store, t->a, p, &ev));
	is_at(b, authorize(b, "portal", ""), "/login");
}

TEST(a_login_that_fails_leaves_the_session_before_it_alone)
{
	struct town *t = town();
	struct browser *b = browser(t->w);
	struct person_row *p;
	struct audit ev = audit_of(world_req(t->w), "person.changed");
	is_code(b, agreed(b, sign_in(b, authorize(b, "portal", ""), t->an)), "portal");
	struct browser *other = browser(t->w);
	sign_in(other, authorize(other, "portal", ""), t->binh);
	fine(store_person_by_number(t->w->house.store, t->a, number_mac(&t->w->house, t->a, S("PNOVN-" BINH)), &p));
	p->disabled_at = t->w->now;
	fine(store_person_change(t->w->house.store, t->a, p, &ev));
	struct str before = cookie_in(b, "session");
	is_page(sign_in(b, authorize(b, "portal", "prompt=login"), t->binh), 403);
	assert_str(cookie_in(b, "session"), before.p);
	is_code(b, authorize(b, "portal", ""), "portal");
	struct str at = (authorize(b, "portal", "prompt=login"), path(b, "/login/token?i=%s", i_of(b).p));
	int n = 0;
	for (struct res *answer = NULL; !answer || answer->status != 303; n++) {
		struct res *rs = get(b, at);
		struct str token = token_of(b, t->an, data_of(b, rs, "nonce"));
		assert_str(cookie_in(b, "session"), before.p);
		breaks_at(t->w, n);
		answer = present(b, rs, token);
		breaks_at(t->w, -1);
		if (answer->status != 303)
			is_page(answer, 503);
	}
	assert_true(n > 1);
	assert_false(str_eq(cookie_in(b, "session"), before));
}

/* ---- interactions ---- */

TEST(an_interaction_is_of_no_use_in_another_browser)
{
	struct town *t = town();
	struct browser *b = browser(t->w), *thief = browser(t->w);
	struct res *rs = authorize(b, "portal", "");
	struct str i = i_of(b), at = b->at;
	authorize(thief, "portal", "");                               /* has a mark of its own */
	struct browser *bare = browser(t->w);
	static const char *const PAGES[] = { "/login", "/login/sim", "/login/sim/code", "/login/sim/wait", "/login/token", "/login/tls", "/login/tls/done", "/login/consent",
		"/authorize/continue" };
	static const char *const POSTS[] = { "/login", "/login/other", "/login/cancel", "/login/sim", "/login/sim/send", "/login/sim/again", "/login/token", "/login/consent" };
	for (size_t n = 0; n < sizeof PAGES / sizeof *PAGES; n++) {
		is_page(get(thief, path(b, "%s?i=%s", PAGES[n], i.p)), 400);
		is_page(get(bare, path(b, "%s?i=%s", PAGES[n], i.p)), 400);
	}
	for (size_t n = 0; n < sizeof POSTS / sizeof *POSTS; n++) {
		is_page(submit(thief, rs, POSTS[n], "method=token&decision=allow&phone=0900000001&number=" AN), 400);
		is_page(submit(bare, rs, POSTS[n], "method=token&decision=allow&phone=0900000001&number=" AN), 400);
	}
	assert_int_equal(get(thief, path(b, "/login/sim/poll?i=%s", i.p))->status, 400);
	is_page(get(b, at), 200);                                     /* and is unharmed */
	is_at(b, sign_in(b, get(b, at), t->an), "/login/consent");
}

TEST(an_interaction_that_no_browser_has_taken_up_is_nobodys_to_sign_in_with)
{
	struct town *t = town();
	struct browser *thief = browser(t->w), *victim = browser(t->w);
	struct res *rs = go(thief, "POST", S("/authorize"), usual(t->a, "portal", "").p);
	struct str i = within(t->a, res_head(rs, "Location"), "i");
	assert_int_equal(i.n, 43);
	static const char *const PAGES[] = { "/login", "/login/sim", "/login/sim/wait", "/login/token", "/login/tls", "/login/tls/done", "/login/consent" };
	for (size_t n = 0; n < sizeof PAGES / sizeof *PAGES; n++) {
		is_page(get(victim, path(victim, "%s?i=%s", PAGES[n], i.p)), 400);
		is_page(get(thief, path(thief, "%s?i=%s", PAGES[n], i.p)), 400);
	}
	is_at(victim, visit(victim, path(victim, "/authorize/continue?i=%s", i.p)), "/login");
	is_page(get(thief, path(thief, "/authorize/continue?i=%s", i.p)), 400);   /* it is the victim's browser's now */
	is_at(victim, sign_in(victim, get(victim, victim->at), t->an), "/login/consent");
}

TEST(an_interaction_ends_when_its_time_is_up)
{
	struct town *t = town();
	struct browser *b = browser(t->w);
	struct res *rs = authorize(b, "portal", "");
	struct str at = b->at;
	epoch end = t->w->now + t->w->conf.interaction_lives;
	pass(t->w, end - t->w->now - 1);
	is_page(get(b, at), 200);
	pass(t->w, 1);
	is_page(get(b, at), 400);
	is_page(submit(b, rs, "/login", "method=token"), 400);
}

TEST(a_step_that_was_not_taken_cannot_be_skipped)
{
	struct town *t = town();
	struct browser *b = browser(t->w);
	struct res *rs = authorize(b, "portal", "");
	struct str i = i_of(b);
	is_at(b, visit(b, path(b, "/authorize/continue?i=%s", i.p)), "/login");                    /* no login: no consent */
	is_page(submit(b, rs, "/login/consent", "decision=allow"), 400);
	is_at(b, visit(b, path(b, "/login/consent?i=%s", i.p)), "/login");
	is_at(b, visit(b, path(b, "/login/sim/code?i=%s", i.p)), "/login/sim?");                  /* no number: no code */
	is_at(b, visit(b, path(b, "/login/sim/wait?i=%s", i.p)), "/login/sim?");
	is_at(b, follow(b, submit(b, rs, "/login/sim/send", "")), "/login/sim?");
	is_page(get(b, path(b, "/login/tls/done?i=%s", i.p)), 403);
	rs = sign_in(b, get(b, path(b, "/login?i=%s", i.p)), t->an);
	is_at(b, rs, "/login/consent");
	is_at(b, visit(b, path(b, "/authorize/continue?i=%s", i.p)), "/login/consent");            /* no consent: no code */
	is_page(submit(b, rs, "/login", "method=session"), 400);
	assert_int_equal(audits(t->w, "code.issued", "ok"), 0);
	is_code(b, agreed(b, rs), "portal");
}

TEST(a_page_that_is_sent_twice_gives_one_code)
{
	struct town *t = town();
	struct browser *b = browser(t->w);
	struct res *consent_page = sign_in(b, authorize(b, "portal", ""), t->an);
	struct res *rs = submit(b, consent_page, "/login/consent", "decision=allow");
	struct str on = res_head(rs, "Location");
	is_code(b, get(b, on), "portal");
	is_page(get(b, on), 400);
	is_page(submit(b, consent_page, "/login/consent", "decision=allow"), 400);
	assert_int_equal(audits(t->w, "code.issued", "ok"), 1);
	assert_int_equal(audits(t->w, "authorization.refused", "interaction_gone"), 0);
}

struct racer { struct browser *b; struct str to; struct arena *a; struct res *rs; };

static void *race(void *p)
{
	struct racer *r = p;
	r->rs = get(r->b, r->to);
	return NULL;
}

TEST(of_many_that_ask_for_the_answer_at_once_one_has_it)
{
	enum { MANY = 32 };
	struct town *t = town();
	struct browser *b = browser(t->w);
	struct res *rs = submit(b, sign_in(b, authorize(b, "portal", ""), t->an), "/login/consent", "decision=allow");
	struct racer r[MANY];
	pthread_t th[MANY];
	size_t codes = 0;
	for (size_t k = 0; k < MANY; k++) {
		r[k].a = arena_new();
		r[k].b = twin(b, r[k].a);
		r[k].to = res_head(rs, "Location");
		assert_int_equal(pthread_create(&th[k], NULL, race, &r[k]), 0);
	}
	for (size_t k = 0; k < MANY; k++) {
		pthread_join(th[k], NULL);
		if (to_app(r[k].rs, "portal"))
			codes++;
		else
			is_page(r[k].rs, 400);
		arena_free(r[k].a);
	}
	assert_int_equal(codes, 1);
	assert_int_equal(audits(t->w, "code.issued", "ok"), 1);
}

/* ---- forms ---- */

/* Every form of a sign-in; what it needs beside its token. */
static const struct { const char *action, *fields; } FORMS[] = {
	{ "/login", "method=token" }, { "/login/other", "" }, { "/login/cancel", "" }, { "/login/sim", "phone=0900000001&number=" AN }, { "/login/sim/send", "" },
	{ "/login/sim/again", "" }, { "/login/token", "token=x" }, { "/login/consent", "decision=allow" }, { "/login/consent", "decision=deny" },
};
enum { FORMS_N = sizeof FORMS / sizeof *FORMS };

TEST(a_form_without_the_token_of_this_interaction_and_browser_does_nothing)
{
	struct town *t = town();
	struct browser *b = browser(t->w), *other = browser(t->w);
	is_signed_in(b);
	struct res *rs = authorize(b, "portal", "");
	struct str i = i_of(b), csrf = field(b, rs, "csrf");
	struct res *second = authorize(b, "portal", "prompt=login"), *foreign = authorize(other, "portal", "");
	struct str tokens[] = { S(""), S("x"), field(b, second, "csrf"), field(other, foreign, "csrf"), path(b, "%sA", csrf.p), str_dup(b->a, csrf.p, csrf.n - 1), i };
	for (size_t n = 0; n < FORMS_N; n++) {
		for (size_t k = 0; k < sizeof tokens / sizeof *tokens; k++)
			is_page(go(b, "POST", str_of(FORMS[n].action), path(b, "i=%s&csrf=%s&%s", i.p, tokens[k].p, FORMS[n].fields).p), 403);
		is_page(go(b, "POST", str_of(FORMS[n].action), path(b, "i=%s&%s", i.p, FORMS[n].fields).p), 403);
		is_page(go(b, "POST", str_of(FORMS[n].action), path(b, "csrf=%s&%s", csrf.p, FORMS[n].fields).p), 400);
	}
	assert_int_equal(audits(t->w, "consent.given", "ok"), 0);
	is_code(b, agreed(b, rs), "portal");
}

TEST(a_form_that_another_site_sends_does_nothing)
{
	struct town *t = town();
	struct browser *b = browser(t->w);
	static const char *const FROM[] = {
		"Origin: https://evil.example\n", "Origin: null\n", "Origin: http://id.example\n", "Origin: https://id.example:8443\n", "Origin: https://sub.id.example\n",
		"Sec-Fetch-Site: cross-site\n", "Sec-Fetch-Site: same-site\n", "Origin: https://id.example\nSec-Fetch-Site: cross-site\n", "Sec-Fetch-Site: \n",
	};
	static const char *const OURS[] = { "", "Origin: https://id.example\n", "Sec-Fetch-Site: same-origin\n", "Sec-Fetch-Site: none\n",
		"Origin: https://id.example\nSec-Fetch-Site: same-origin\n" };
	is_signed_in(b);
	struct res *rs = authorize(b, "portal", "");
	for (size_t n = 0; n < FORMS_N; n++)
		for (size_t k = 0; k < sizeof FROM / sizeof *FROM; k++) {
			b->more = FROM[k];
			is_page(submit(b, rs, FORMS[n].action, FORMS[n].fields), 403);
		}
	assert_int_equal(audits(t->w, "consent.given", "ok"), 0);
	for (size_t k = 0; k < sizeof OURS / sizeof *OURS; k++) {
		b->more = "";
		rs = authorize(b, "portal", "prompt=consent");
		b->more = OURS[k];
		is_code(b, agreed(b, rs), "portal");
	}
}

TEST(a_sign_in_that_is_cancelled_tells_the_application_so)
{
	struct town *t = town();
	struct browser *b = browser(t->w);
	struct res *rs = authorize(b, "portal", "");
	is_refused(b, submit(b, rs, "/login/cancel", ""), "portal", "access_denied");
	is_page(submit(b, rs, "/login/cancel", ""), 400);
	rs = authorize(b, "portal", "response_mode=form_post");
	is_refused(b, submit(b, rs, "/login/cancel", ""), "portal", "access_denied");
	assert_int_equal(audits(t->w, "authorization.refused", "access_denied"), 2);
}

TEST(what_the_address_of_a_page_says_beside_the_interaction_changes_nothing)
{
	struct town *t = town();
	struct browser *b = browser(t->w);
	authorize(b, "portal", "");
	struct str i = i_of(b);
	static const char *const BAD[] = { "", "i=", "i=x", "i=..%2F..%2Fetc%2Fpasswd", "x=1" };
	for (size_t n = 0; n < sizeof BAD / sizeof *BAD; n++)
		is_page(get(b, path(b, "/login?%s", BAD[n])), 400);
	is_page(get(b, path(b, "/login?i=%s&i=%s", i.p, i.p)), 400);
	is_page(get(b, path(b, "/login?i=%sA", i.p)), 400);
	is_page(get(b, path(b, "/login?i=%s&client_id=tax&redirect_uri=https%%3A%%2F%%2Fevil.example", i.p)), 200);
}

/* ---- our own page ---- */

TEST(the_account_page_asks_for_a_login_and_shows_who_is_here)
{
	struct town *t = town();
	struct browser *b = browser(t->w);
	struct res *rs = visit(b, S("/account"));
	is_at(b, rs, "/login");
	struct str i = i_of(b);
	rs = sign_in(b, rs, t->an);
	is_at(b, rs, "/account");
	assert_non_null(strstr(rs->body.p, "Nguyễn Văn An"));
	assert_int_equal(res_head(rs, "Location").n, 0);
	is_at(b, visit(b, path(b, "/authorize/continue?i=%s", i.p)), "/account");
	rs = visit(browser(t->w), S("/account"));
	assert_null(strstr(rs->body.p, "Nguyễn Văn An"));
	assert_int_equal(submit(browser(t->w), rs, "/login/cancel", "")->status, 400);
}

TEST(signing_out_of_the_account_page_needs_its_form_and_ends_the_session)
{
	struct town *t = town();
	struct browser *b = browser(t->w), *other = browser(t->w);
	struct res *rs = sign_in(b, visit(b, S("/account")), t->an), *foreign = sign_in(other, visit(other, S("/account")), t->binh);
	is_page(go(b, "POST", S("/account/signout"), "csrf="), 403);
	is_page(go(b, "POST", S("/account/signout"), path(b, "csrf=%s", field(other, foreign, "csrf").p).p), 403);
	b->more = "Origin: https://evil.example\n";
	is_page(submit(b, rs, "/account/signout", ""), 403);
	b->more = "";
	struct browser *before = twin(b, b->a);
	is_page(submit(b, rs, "/account/signout", ""), 200);
	assert_int_equal(cookie_in(b, "session").n, 0);
	is_at(before, visit(before, S("/account")), "/login");
	is_at(other, visit(other, S("/account")), "/account");
	assert_int_equal(audits(t->w, "session.ended", "ok"), 1);
}
