#include "town.h"
#include "audit_of.h"

/* What a person allows an application, and for how long. */

static struct browser *here(void)
{
	struct browser *b = browser(town()->w);
	is_signed_in(b);
	return b;
}

static struct res *decided(struct browser *b, struct res *rs, const char *decision)
{
	is_at(b, rs, "/login/consent");
	return follow(b, submit(b, rs, "/login/consent", str_fmt(b->a, "decision=%s", decision).p));
}

static void withdraw(struct world *w, const char *client)
{
	struct audit ev = audit_of(world_req(w), "consent.withdrawn");
	fine(store_consent_withdraw(w->house.store, w->a, w->person_id, str_of(client), w->now, &ev));
}

TEST(what_was_allowed_once_is_not_asked_again)
{
	struct browser *b = here();
	is_code(b, decided(b, authorize(b, "portal", "scope=openid%20email"), "allow"), "portal");
	is_code(b, authorize(b, "portal", "scope=openid%20email"), "portal");
	is_code(b, authorize(b, "portal", "scope=email%20openid"), "portal");
	is_code(b, authorize(b, "portal", "scope=openid"), "portal");
	is_at(b, authorize(b, "tax", "scope=openid"), "/login/consent");             /* another application was allowed nothing */
	assert_int_equal(audits(b->w, "consent.given", "ok"), 1);
}

TEST(who_asks_for_more_is_asked_about_again)
{
	struct browser *b = here();
	is_code(b, decided(b, authorize(b, "portal", ""), "allow"), "portal");
	struct res *rs = authorize(b, "portal", "scope=openid%20phone");
	assert_non_null(strstr(rs->body.p, "Nguyễn Văn An"));
	is_code(b, decided(b, rs, "allow"), "portal");
	is_code(b, authorize(b, "portal", "scope=openid%20phone"), "portal");
	is_at(b, authorize(b, "portal", "scope=openid%20phone%20address"), "/login/consent");
	is_refused(b, get(b, request_of(b->a, "portal", "scope=openid%20phone%20address&prompt=none")), "portal", "consent_required");
}

TEST(to_refuse_more_takes_nothing_of_what_was_allowed_back)
{
	struct browser *b = here();
	is_code(b, decided(b, authorize(b, "portal", ""), "allow"), "portal");
	is_refused(b, decided(b, authorize(b, "portal", "scope=openid%20phone"), "deny"), "portal", "access_denied");
	is_code(b, authorize(b, "portal", ""), "portal");
	is_at(b, authorize(b, "portal", "scope=openid%20phone"), "/login/consent");
}

TEST(to_allow_more_keeps_what_was_allowed_before)
{
	struct browser *b = here();
	is_code(b, decided(b, authorize(b, "portal", "scope=openid%20email"), "allow"), "portal");
	is_code(b, decided(b, authorize(b, "portal", "scope=openid%20phone"), "allow"), "portal");
	is_code(b, authorize(b, "portal", "scope=openid%20email"), "portal");
	is_code(b, authorize(b, "portal", "scope=openid%20email%20phone"), "portal");
	is_at(b, authorize(b, "portal", "scope=openid%20address"), "/login/consent");
}

TEST(a_refusal_is_told_to_the_application_once_and_gives_nothing)
{
	struct browser *b = here();
	static const char *const NOT_YES[] = { "deny", "", "ALLOW", "allow%20", "allow,deny" };
	for (size_t i = 0; i < sizeof NOT_YES / sizeof *NOT_YES; i++)
		is_refused(b, decided(b, authorize(b, "portal", i % 2 ? "response_mode=form_post" : ""), NOT_YES[i]), "portal", "access_denied");
	struct res *rs = authorize(b, "portal", "");
	is_refused(b, submit(b, rs, "/login/consent", ""), "portal", "access_denied");
	is_page(submit(b, rs, "/login/consent", "decision=allow"), 400);
	is_page(submit(b, authorize(b, "portal", ""), "/login/consent", "decision=deny&decision=allow"), 400);
	assert_int_equal(audits(b->w, "consent.given", "ok"), 0);
	assert_int_equal(audits(b->w, "code.issued", "ok"), 0);
	assert_int_equal(audits(b->w, "authorization.refused", "access_denied"), 6);
}

TEST(what_was_withdrawn_is_asked_for_again_and_its_tokens_are_dead)
{
	struct browser *b = here();
	struct res *rs = decided(b, authorize(b, "portal", "scope=openid%20offline_access"), "allow");
	struct res *tokens = redeem(b->w, "portal", heard(b, rs, "code"));
	struct str access = told(b->w, tokens, "access_token"), more = told(b->w, tokens, "refresh_token");
	struct res *kept = decided(b, authorize(b, "tax", "scope=openid%20offline_access"), "allow");
	kept = redeem(b->w, "tax", heard(b, kept, "code"));
	withdraw(b->w, "portal");
	is_at(b, authorize(b, "portal", ""), "/login/consent");
	is_refused(b, get(b, request_of(b->a, "portal", "prompt=none")), "portal", "consent_required");
	is_fault(refresh(b->w, "portal", more), INVALID_GRANT);
	assert_int_equal(ask(b->w, "GET", "/userinfo", str_fmt(b->a, "Authorization: Bearer %s\n", access.p).p, "")->status, 401);
	is_tokens(b->w, refresh(b->w, "tax", told(b->w, kept, "refresh_token")));
}

TEST(the_page_names_what_is_asked_and_by_whom)
{
	struct browser *b = here();
	struct res *rs = authorize(b, "portal", "scope=openid%20email%20phone");
	is_at(b, rs, "/login/consent");
	assert_non_null(strstr(rs->body.p, ">portal<"));
	assert_non_null(strstr(rs->body.p, "Nguyễn Văn An"));
	b->more = "Accept-Language: en\n";
	struct res *two = get(b, b->at);
	assert_non_null(strstr(two->body.p, "lang=\"en\""));
	assert_non_null(strstr(two->body.p, "mail"));
	assert_null(strstr(two->body.p, "address-book"));
	assert_non_null(strstr(res_head(two, "Content-Security-Policy").p, "form-action 'self' https://portal.example;"));
	assert_non_null(strstr(res_head(two, "Content-Security-Policy").p, "frame-ancestors 'none'"));
}

TEST(what_one_person_allows_says_nothing_of_another_who_signs_in_meanwhile)
{
	struct town *t = town();
	struct browser *b = browser(t->w);
	struct res *page = sign_in(b, authorize(b, "portal", ""), t->an);
	is_at(b, page, "/login/consent");
	struct res *rs = submit(b, page, "/login/consent", "decision=allow");       /* and now, in another tab … */
	sign_in(b, authorize(b, "tax", "prompt=login"), t->binh);
	is_at(b, follow(b, rs), "/login/consent");
	assert_int_equal(audits(t->w, "code.issued", "ok"), 0);
}

TEST(consent_without_a_session_is_none)
{
	struct town *t = town();
	struct browser *b = browser(t->w);
	struct res *page = sign_in(b, authorize(b, "portal", ""), t->an);
	forget(b, "__Host-session");
	is_page(submit(b, page, "/login/consent", "decision=allow"), 400);
	assert_int_equal(audits(t->w, "consent.given", "ok"), 0);
}

TEST(consent_that_the_store_did_not_write_is_none)
{
	struct browser *b = here();
	struct res *page = authorize(b, "portal", "");
	for (int n = 0; n < 2; n++) {
		breaks_at(b->w, n);
		is_page(submit(b, page, "/login/consent", "decision=allow"), 503);
		is_page(submit(b, page, "/login/consent", "decision=deny"), 503);
		breaks_at(b->w, -1);
		if (n == 0)
			is_at(b, visit(b, request_of(b->a, "portal", "")), "/login/consent");
	}
}
