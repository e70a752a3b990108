#include "town.h"
#include "audit_of.h"
#include "code.h"
#include "file.h"
#include <stdio.h>

/* What an outsider tries who has a browser, a certificate of his own, many addresses and time. */

static struct str with(struct browser *b, const char *before, struct str s) { return str_fmt(b->a, "%s%s", before, s.p); }

static void only_way(struct town *t, const char *name)
{
	struct str *one = make(t->a, struct str);
	*one = str_of(name);
	t->w->conf.methods = (struct strs){ one, 1 };
}

static struct str interaction_at(struct browser *b) { return within(b->a, b->at, "i"); }

/* ---- ways of signing in ------------------------------------------------------------------------------------------------- */

TEST(a_way_that_is_not_offered_signs_nobody_in)
{
	struct town *t = town();
	struct browser *b = browser(t->w);
	only_way(t, "sim");
	is_at(b, authorize(b, "portal", ""), "/login/sim");
	struct res *rs = get(b, with(b, "/login/token?i=", interaction_at(b)));
	if (rs->status == 200)
		rs = present(b, rs, token_of(b, t->an, data_of(b, rs, "nonce")));
	assert_int_equal(rs->status, 403);
	assert_int_equal(cookie_in(b, "session").n, 0);

	b = browser(t->w);
	only_way(t, "token");
	rs = authorize(b, "portal", "");
	is_at(b, rs, "/login/token");
	struct str i = interaction_at(b);
	rs = go(b, "POST", S("/login/sim"), str_fmt(b->a, "i=%s&csrf=%s&phone=0912345678&number=" AN, i.p, field(b, rs, "csrf").p).p);
	assert_int_equal(rs->status, 403);
	assert_int_equal(pushes(t), 0);
	assert_int_equal(get(b, with(b, "/login/tls?i=", i))->status, 403);
}

TEST(a_way_below_what_must_be_reached_is_not_offered)
{
	struct town *t = town();
	struct browser *b = browser(t->w);
	struct res *rs = authorize(b, "portal", "claims=%7B%22id_token%22%3A%7B%22acr%22%3A%7B%22essential%22%3Atrue%2C%22value%22%3A%22high%22%7D%7D%7D");
	struct str i = interaction_at(b);
	rs = go(b, "POST", S("/login/sim"), str_fmt(b->a, "i=%s&csrf=%s&phone=0912345678&number=" AN, i.p, field(b, rs, "csrf").p).p);
	assert_int_equal(rs->status, 403);
	assert_int_equal(pushes(t), 0);
}

/* ---- other browsers -------------------------------------------------------------------------------------------------------- */

TEST(a_request_by_post_is_nobodys_until_a_browser_comes_for_it)
{
	struct town *t = town();
	struct browser *b = browser(t->w);
	struct res *rs = go(b, "POST", S("/authorize"), usual(b->a, "portal", "").p);
	struct str i = within(b->a, res_head(rs, "Location"), "i");
	assert_int_equal(i.n, 43);
	static const char *const PAGES[] = { "/login?i=", "/login/sim?i=", "/login/token?i=", "/login/tls?i=", "/login/consent?i=", "/login/sim/wait?i=" };
	for (size_t n = 0; n < sizeof PAGES / sizeof *PAGES; n++)
		assert_int_equal(get(b, with(b, PAGES[n], i))->status, 400);
	is_at(b, follow(b, rs), "/login");
	assert_int_equal(get(browser_in(b->a, t->w), with(b, "/authorize/continue?i=", i))->status, 400);
}

TEST(a_login_that_fails_leaves_the_session_that_was)
{
	struct town *t = town();
	struct browser *b = browser(t->w);
	sign_in(b, authorize(b, "portal", ""), t->an);
	struct str before = cookie_in(b, "session");
	assert_int_equal(before.n, 43);
	struct browser *other = browser_in(b->a, t->w);
	sign_in(other, authorize(other, "portal", ""), t->binh);

	struct person_row *binh, *changed = make(b->a, struct person_row);
	struct session_row *s;
	fine(store_session(t->w->house.store, b->a, hash_of(b->a, cookie_in(other, "session")), t->w->now, &s));
	fine(store_person(t->w->house.store, b->a, s->person_id, &binh));
	*changed = *binh;
	changed->disabled_at = t->w->now;
	struct audit ev = audit_of(world_req(t->w), "person.changed");
	fine(store_person_change(t->w->house.store, b->a, changed, &ev));

	struct res *rs = sign_in(b, authorize(b, "portal", "prompt=login"), t->binh);
	assert_int_equal(rs->status, 403);
	assert_str(cookie_in(b, "session"), before.p);
}

static struct str on_sim(struct browser *b, const char *number, const char *phone)
{
	struct res *rs = authorize(b, "portal", "");
	rs = follow(b, submit(b, rs, "/login", "method=sim"));
	rs = follow(b, submit(b, rs, "/login/sim", str_fmt(b->a, "phone=%s&number=%s", phone, number).p));
	is_at(b, rs, "/login/sim/code");
	submit(b, rs, "/login/sim/send", "");
	return b->at;
}

static struct str sent(struct browser *b, const char *number, const char *phone)
{
	struct res *rs = authorize(b, "portal", "");
	rs = follow(b, submit(b, rs, "/login", "method=sim"));
	rs = follow(b, submit(b, rs, "/login/sim", str_fmt(b->a, "phone=%s&number=%s", phone, number).p));
	is_at(b, rs, "/login/sim/code");
	return res_head(submit(b, rs, "/login/sim/send", ""), "Location");
}

/* ---- who reads the store --------------------------------------------------------------------------------------------------- */

static bool is_in(struct str s, const char *what) { return memmem(s.p, s.n, what, strlen(what)) != NULL; }

TEST(whoever_reads_the_store_reads_no_number)
{
	struct town *t = town();
	struct browser *b = browser(t->w);
	sign_in(b, authorize(b, "portal", ""), t->an);
	struct cert_row *l;
	size_t n;
	fine(store_cert_list(t->w->house.store, b->a, S(""), S(""), 100, &l, &n));
	assert_true(n >= 1);
	static const char *const FILES[] = { "motid.db", "motid.db-wal" };
	for (size_t i = 0; i < sizeof FILES / sizeof *FILES; i++) {
		struct str file;
		fine(file_read(b->a, str_fmt(b->a, "%s/%s", t->w->dir.p, FILES[i]).p, 64 << 20, &file));
		assert_false(is_in(file, AN));
		assert_false(is_in(file, "+84900000001"));
		/* the number in a certificate, in the three ways in which it can fall in base64 */
		for (size_t shift = 0; shift < 3; shift++) {
			struct str shifted = b64(b->a, str_bytes(str_fmt(b->a, "%.*sCCCD:" AN, (int)shift, "__")));
			assert_false(is_in(file, str_dup(b->a, shifted.p + 4, 16).p));
		}
	}
}

TEST(whoever_reads_the_short_lived_store_reads_no_number)
{
	struct town *t = town();
	struct browser *b = browser(t->w);
	struct str text, txn = S("");
	struct audit *l;
	size_t n;
	bool found = false;
	json_t *o;
	sent(b, AN, "0912345678");
	struct push *p = push(t, 1);
	phone_signs(t, p, t->an);
	answered(t, p);
	fine(store_audit_tail(t->w->house.store, b->a, S(""), 100, &l, &n));
	for (size_t i = 0; i < n; i++)
		if (str_is(l[i].event, "sim.asked")) {
			fine(json_read_object(b->a, l[i].detail, &o));
			txn = json_text(o, "txn");
		}
	fine(eph_get(t->w->house.eph, b->a, "sim-answer", txn, &text, &found));
	assert_true(found);
	assert_false(is_in(text, "certificate"));
}

/* ---- what is cheap to send --------------------------------------------------------------------------------------------------- */

TEST(an_address_beyond_its_limit_uses_up_nobody_elses)
{
	struct town *t = town();
	t->w->conf.sim_per_address = 2;
	t->w->conf.sim_per_client = 4;
	t->w->conf.sim_per_person = 3;
	struct browser *b = browser(t->w);
	b->peer = S("203.0.113.9");
	for (int n = 0; n < 8; n++)
		on_sim(b, n < 4 ? AN : str_fmt(b->a, "00109900%04d", n).p, str_fmt(b->a, "09123456%02d", n).p);
	struct browser *an = browser_in(b->a, t->w);
	assert_true(str_starts(sent(an, BINH, "0912345699"), S("/login/sim/wait")));
	pass(t->w, 200);
	assert_true(str_starts(sent(an, AN, "0912345698"), S("/login/sim/wait")));
}

TEST(a_phone_is_asked_once_at_a_time_whoever_it_is_asked_for)
{
	struct town *t = town();
	struct browser *b = browser(t->w), *other = browser_in(b->a, t->w);
	assert_true(str_starts(sent(b, AN, "0912345678"), S("/login/sim/wait")));
	struct push *p = push(t, 1);
	assert_int_equal(sent(other, BINH, "0912345678").n, 0);
	phone_says(t, p, "401");
	answered(t, p);
	assert_true(str_starts(sent(other, BINH, "0912345678"), S("/login/sim/wait")));
	push(t, 2);
}

TEST(whoever_has_one_address_of_ipv6_has_its_whole_net)
{
	struct town *t = town();
	t->w->conf.attempts_per_address = 5;
	struct browser *b = browser(t->w);
	for (int n = 0; n < 7; n++) {
		b->peer = str_fmt(b->a, "2001:db8:1:2::%x", n + 1);
		struct res *rs = follow(b, submit(b, authorize(b, "portal", ""), "/login", "method=token"));
		present(b, rs, token_for(b, t->an, "https://evil.example", data_of(b, rs, "nonce")));
	}
	assert_int_equal(audits(t->w, "login.refused", "signature_wrong"), 5);
	assert_int_equal(audits(t->w, "login.refused", "too_many_requests"), 2);
	b->peer = S("2001:db8:1:3::1");
	is_code(b, follow(b, submit(b, sign_in(b, authorize(b, "portal", ""), t->an), "/login/consent", "decision=allow")), "portal");
}

TEST(addresses_of_ipv4_in_the_clothes_of_ipv6_are_not_one_net)
{
	struct town *t = town();
	t->w->conf.attempts_per_address = 1;
	struct browser *b = browser(t->w);
	for (int n = 0; n < 3; n++) {
		struct browser *each = browser_in(b->a, t->w);
		each->peer = str_fmt(b->a, "::ffff:192.0.2.%d", n + 1);
		is_at(each, sign_in(each, authorize(each, "portal", ""), t->an), "/login/consent");
	}
}

TEST(refusals_that_cost_nothing_do_not_fill_the_trail)
{
	struct town *t = town();
	struct browser *b = browser(t->w);
	for (int n = 0; n < 300; n++)
		get(b, request_of(b->a, "portal", "response_type=token"));
	assert_in_range(audits(t->w, "authorization.refused", "unsupported_response_type"), 20, 30);
	pass(t->w, 120);
	authorize(b, "portal", "");
	struct str rubbish = str_fmt(b->a, "/login/tls/done?i=%s&t=x", interaction_at(b).p);
	for (int n = 0; n < 300; n++)
		get(b, rubbish);
	assert_in_range(audits(t->w, "login.refused", "interaction_gone"), 20, 30);
}

TEST(an_address_may_begin_only_so_many_sign_ins)
{
	struct town *t = town();
	struct browser *b = browser(t->w);
	char *long_one = arena_alloc(b->a, 8001);
	memset(long_one, 'x', 8000);
	struct str target = request_of(b->a, "portal", str_fmt(b->a, "state=%s&nonce=%s", long_one, long_one).p);
	struct res *rs = NULL;
	b->peer = S("203.0.113.9");
	for (int n = 0; n < 1000; n++)
		rs = get(b, target);
	is_page(rs, 429);
	assert_int_equal(go(b, "POST", S("/authorize"), usual(b->a, "portal", "").p)->status, 429);
	assert_int_equal(get(b, S("/account"))->status, 429);
	struct browser *an = browser_in(b->a, t->w);
	is_at(an, authorize(an, "portal", ""), "/login");
	pass(t->w, 601);
	is_at(b, authorize(b, "portal", ""), "/login");
}

TEST(the_certificate_host_keeps_only_so_much_for_one_address)
{
	struct town *t = town();
	t->w->conf.attempts_per_address = 20;
	struct browser *b = browser(t->w);
	b->more = str_fmt(b->a, "Client-Cert: :%s:\n", t->w->gate_cert.p).p;
	struct res *rs = NULL;
	for (int n = 0; n < 22; n++)
		rs = get(b, str_fmt(b->a, "/login/tls/certificate?i=%043d", n));
	assert_int_equal(rs->status, 429);
}
