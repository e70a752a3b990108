#include "town.h"
#include "audit_of.h"
#include "code.h"
#include "evidence.h"
#include <pthread.h>
#include <stdio.h>

/* Signing in by USB token: what is believed, and of whom. */

struct scene { struct town *t; struct browser *b; struct res *page; };

/* Somebody on the page that asks for a token. */
static struct res *asked_for_token(struct browser *b)
{
	struct res *rs = authorize(b, "portal", "prompt=login");
	rs = follow(b, submit(b, rs, "/login", "method=token"));
	is_at(b, rs, "/login/token");
	return rs;
}

static struct scene scene(void)
{
	struct scene s = { .t = town() };
	s.b = browser(s.t->w);
	s.page = asked_for_token(s.b);
	return s;
}

static struct str nonce(struct scene *s) { return data_of(s->b, s->page, "nonce"); }
static struct res *with(struct scene *s, struct str token) { return present(s->b, s->page, token); }
static struct res *by(struct scene *s, const struct minted *leaf) { return with(s, token_of(s->b, leaf, nonce(s))); }

/* Refused, audited, shown with a challenge of its own; and whoever tries properly after it comes in. */
static void is_turned_away_with(struct scene *s, struct str token, const char *code)
{
	size_t before = audits(s->t->w, "login.refused", code);
	struct str old = nonce(s), session = cookie_in(s->b, "session");
	struct res *rs = with(s, token);
	is_page(rs, 403);
	assert_non_null(strstr(rs->body.p, "id=\"error\""));
	s->page = rs;
	assert_true(nonce(s).n >= 44 && !str_eq(nonce(s), old));
	assert_true(str_eq(cookie_in(s->b, "session"), session));
	if (audits(s->t->w, "login.refused", code) != before + 1)
		fail_msg("no row of login.refused %s", code);
	pass(s->t->w, 4);                    /* what was not learned is asked again, and the trail keeps twenty refusals a minute */
}

static void is_turned_away(struct scene *s, const struct minted *leaf, const char *code) { is_turned_away_with(s, token_of(s->b, leaf, nonce(s)), code); }
#define comes_in(s) is_at((s)->b, follow((s)->b, by(s, (s)->t->an)), "/login/consent")

TEST(a_token_signs_our_challenge_and_its_owner_comes_in)
{
	struct scene s = scene();
	struct res *rs = by(&s, s.t->an);
	assert_int_equal(rs->status, 303);
	assert_true(cookie_in(s.b, "session").n == 43);
	is_at(s.b, follow(s.b, rs), "/login/consent");
	assert_int_equal(responder_asked(s.t), 1);
	assert_int_equal(audits(s.t->w, "login.refused", "ok"), 0);
	struct person_row *p;
	struct cert_row *certs;
	size_t n;
	fine(store_person_by_number(s.t->w->house.store, s.t->a, number_mac(&s.t->w->house, s.t->a, S("PNOVN-" AN)), &p));
	assert_str(p->name, "Nguyễn Văn An");
	assert_null(strstr(p->number_sealed.p, AN));
	fine(store_cert_list(s.t->w->house.store, s.t->a, p->id, S(""), 10, &certs, &n));
	assert_int_equal(n, 1);
	assert_str(certs[0].method, "token");
}

TEST(the_page_lets_the_helper_be_asked_and_nothing_else)
{
	struct scene s = scene();
	struct str csp = res_head(s.page, "Content-Security-Policy");
	assert_non_null(strstr(csp.p, "connect-src 'self' http://127.0.0.1:28990;"));
	assert_non_null(strstr(csp.p, "default-src 'none'"));
	assert_str(data_of(s.b, s.page, "origin"), "https://id.example");
	assert_false(str_eq(nonce(&s), data_of(s.b, get(s.b, s.b->at), "nonce")));
}

/* ---- the challenge ---- */

TEST(a_token_for_another_origin_is_refused)
{
	struct scene s = scene();
	static const char *const ORIGINS[] = { "https://evil.example", "http://id.example", "https://id.example/", "https://id.example:443", "https://ID.example", "" };
	for (size_t i = 0; i < sizeof ORIGINS / sizeof *ORIGINS; i++)
		is_turned_away_with(&s, token_for(s.b, s.t->an, ORIGINS[i], nonce(&s)), "signature_wrong");
	comes_in(&s);
}

TEST(a_challenge_is_good_once)
{
	struct scene s = scene();
	struct str token = token_of(s.b, s.t->an, nonce(&s));
	assert_int_equal(with(&s, token)->status, 303);
	is_turned_away_with(&s, token, "signature_wrong");
	comes_in(&s);
}

TEST(a_challenge_is_good_for_five_minutes)
{
	struct scene s = scene();
	struct str token = token_of(s.b, s.t->an, nonce(&s));
	pass(s.t->w, 299);
	assert_int_equal(with(&s, token)->status, 303);
	s = scene();
	token = token_of(s.b, s.t->an, nonce(&s));
	pass(s.t->w, 300);
	is_turned_away_with(&s, token, "signature_wrong");
	comes_in(&s);
}

TEST(a_challenge_of_another_sign_in_or_of_an_older_page_is_refused)
{
	struct scene s = scene();
	struct str mine = nonce(&s);
	struct browser *other = browser(s.t->w);
	struct str theirs = data_of(other, asked_for_token(other), "nonce");
	struct browser *b = twin(s.b, s.b->a);
	struct str second = data_of(b, asked_for_token(b), "nonce");
	is_turned_away_with(&s, token_of(s.b, s.t->an, theirs), "signature_wrong");
	is_turned_away_with(&s, token_of(s.b, s.t->an, second), "signature_wrong");
	is_turned_away_with(&s, token_of(s.b, s.t->an, mine), "signature_wrong");
	is_turned_away_with(&s, token_of(s.b, s.t->an, S("")), "signature_wrong");
	comes_in(&s);
}

TEST(a_signature_by_another_key_than_the_certificate_s_is_refused)
{
	struct scene s = scene();
	struct minted mixed = *s.t->binh;
	mixed.der = s.t->an->der;
	is_turned_away(&s, &mixed, "signature_wrong");
	comes_in(&s);
}

TEST(what_is_no_token_is_refused)
{
	struct scene s = scene();
	static const char *const BAD[] = { "", "x", "%7B%7D", "null", "%5B%5D", "%7B%22format%22%3A%22web-eid%3A1.0%22%7D" };
	for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++)
		is_turned_away_with(&s, str_of(BAD[i]), "invalid_request");
	comes_in(&s);
}

struct racer { struct arena *a; struct browser *b; const struct res *page; struct str token; struct res *rs; pthread_barrier_t *start; };

static void *race(void *p)
{
	struct racer *r = p;
	pthread_barrier_wait(r->start);
	r->rs = present(r->b, r->page, r->token);
	return NULL;
}

static int let_in(struct scene *s)
{
	enum { MANY = 16 };
	struct str token = token_of(s->b, s->t->an, nonce(s));
	struct racer r[MANY];
	pthread_t th[MANY];
	pthread_barrier_t start;
	int in = 0;
	pthread_barrier_init(&start, NULL, MANY);
	for (size_t k = 0; k < MANY; k++) {
		struct arena *a = arena_new();
		r[k] = (struct racer){ a, twin(s->b, a), s->page, token, NULL, &start };
		assert_int_equal(pthread_create(&th[k], NULL, race, &r[k]), 0);
	}
	for (size_t k = 0; k < MANY; k++) {
		pthread_join(th[k], NULL);
		in += r[k].rs->status == 303;
		if (r[k].rs->status != 303)
			is_page(r[k].rs, 403);
		arena_free(r[k].a);
	}
	pthread_barrier_destroy(&start);
	return in;
}

TEST(of_many_that_send_one_signature_one_comes_in_and_the_responder_is_asked_once)
{
	struct scene s = scene();
	assert_int_equal(let_in(&s), 1);
	assert_int_equal(responder_asked(s.t), 1);
	for (int round = 0; round < 10; round++) {                       /* and when nothing is left to wait for */
		s.page = asked_for_token(s.b);
		assert_int_equal(let_in(&s), 1);
	}
	assert_int_equal(responder_asked(s.t), 1);
}

/* ---- the certificate ---- */

TEST(a_revoked_certificate_is_refused)
{
	struct scene s = scene();
	responder_says(s.t, s.t->binh, SAYS_REVOKED);
	is_turned_away(&s, s.t->binh, "certificate_revoked");
	comes_in(&s);
}

TEST(a_certificate_whose_status_is_not_known_is_refused_until_it_is)
{
	static const enum says NOT_GOOD[] = { SAYS_UNKNOWN, SAYS_NOTHING, SAYS_503, SAYS_RUBBISH, SAYS_FOR_ANOTHER };
	struct scene s = scene();
	for (size_t i = 0; i < sizeof NOT_GOOD / sizeof *NOT_GOOD; i++) {
		responder_says(s.t, s.t->an, NOT_GOOD[i]);
		is_turned_away(&s, s.t->an, "certificate_status_unknown");
	}
	responder_says(s.t, s.t->an, SAYS_GOOD);
	comes_in(&s);
}

TEST(what_the_responder_said_is_used_for_as_long_as_it_holds)
{
	struct scene s = scene();
	comes_in(&s);
	responder_says(s.t, s.t->an, SAYS_REVOKED);
	s.page = asked_for_token(s.b);
	comes_in(&s);
	assert_int_equal(responder_asked(s.t), 1);
	pass(s.t->w, s.t->w->conf.status_age);
	s.page = asked_for_token(s.b);
	is_turned_away(&s, s.t->an, "certificate_revoked");
	assert_int_equal(responder_asked(s.t), 2);
}

TEST(a_certificate_out_of_its_time_is_refused)
{
	struct scene s = scene();
	epoch now = s.t->w->now;
	is_turned_away(&s, citizen(s.t, s.t->ca, AN, "Nguyễn Văn An", &(struct mint_wish){ .not_after = now - 1 }), "certificate_expired");
	is_turned_away(&s, citizen(s.t, s.t->ca, AN, "Nguyễn Văn An", &(struct mint_wish){ .not_before = now + 3600 }), "certificate_expired");
	assert_int_equal(responder_asked(s.t), 0);
	comes_in(&s);
}

TEST(a_certificate_of_an_authority_that_is_not_ours_is_refused_and_asked_nobody_about)
{
	struct scene s = scene();
	struct minted *root = mint_root(s.t->a, NULL), *forged = mint_ca(s.t->a, root, NULL);        /* with the very same names */
	struct mint_wish own = { .aia = "OCSP;URI:http://127.0.0.1:1/" };
	is_turned_away(&s, citizen(s.t, root, AN, "Nguyễn Văn An", NULL), "certificate_untrusted");
	is_turned_away(&s, citizen(s.t, forged, AN, "Nguyễn Văn An", &own), "certificate_untrusted");
	assert_int_equal(responder_asked(s.t), 0);
	comes_in(&s);
}

TEST(an_authority_is_believed_for_what_it_is_listed_for_and_until_it_is_not)
{
	struct scene s = scene();
	struct minted *root = mint_root(s.t->a, &(struct mint_wish){ .cn = "Phones Only" });
	struct minted *leaf = citizen(s.t, root, AN, "Nguyễn Văn An", NULL);
	trusts(s.t, root, "anchor", "sim tls", "");
	struct res *rs = by(&s, leaf);
	is_page(rs, 403);
	assert_int_equal(responder_asked(s.t), 0);
	s.page = rs;
	comes_in(&s);
	struct cert c;
	bool existed;
	struct audit ev = audit_of(world_req(s.t->w), "trust.disabled");
	fine(cert_read(s.t->a, s.t->ca->der, &c));
	fine(store_trust_disable(s.t->w->house.store, s.t->a, c.id, s.t->w->now, &existed, &ev));
	pass(s.t->w, 6);
	s.page = asked_for_token(s.b);
	is_turned_away(&s, s.t->an, "certificate_untrusted");
}

TEST(a_certificate_that_is_not_for_signing_in_is_refused)
{
	static const struct mint_wish BAD[] = {
		{ .ku = "critical,nonRepudiation" }, { .ku = "critical,keyEncipherment" }, { .basic = "critical,CA:TRUE" }, { .more = "1.2.3.4.5=critical,ASN1:NULL" },
	};
	for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
		struct scene s = scene();
		struct minted *leaf = citizen(s.t, s.t->ca, AN, "Nguyễn Văn An", &BAD[i]);
		struct res *rs = by(&s, leaf);
		if (rs->status != 403)
			fail_msg("wish %zu was let in", i);
		assert_int_equal(audits(s.t->w, "login.refused", "certificate_unsuitable"), 1);
		assert_int_equal(responder_asked(s.t), 0);
	}
}

TEST(where_an_authority_is_listed_with_purposes_and_policies_its_other_certificates_are_refused)
{
	struct scene s = scene();
	struct minted *root = mint_root(s.t->a, &(struct mint_wish){ .cn = "Many Kinds" });
	trusts(s.t, root, "anchor", "token", ",\"ekus\":[\"1.3.6.1.5.5.7.3.2\"],\"policies\":[\"1.2.3.4\"]");
	is_turned_away(&s, citizen(s.t, root, AN, "Nguyễn Văn An", &(struct mint_wish){ .eku = "serverAuth", .policies = "1.2.3.4" }), "certificate_unsuitable");
	is_turned_away(&s, citizen(s.t, root, AN, "Nguyễn Văn An", &(struct mint_wish){ .policies = "1.2.3.5" }), "certificate_unsuitable");
	is_turned_away(&s, citizen(s.t, root, AN, "Nguyễn Văn An", NULL), "certificate_unsuitable");
	assert_int_equal(responder_asked(s.t), 0);
	is_at(s.b, follow(s.b, by(&s, citizen(s.t, root, AN, "Nguyễn Văn An", &(struct mint_wish){ .policies = "1.2.3.4" }))), "/login/consent");
}

/* ---- the person ---- */

TEST(a_certificate_that_names_nobody_lets_nobody_in)
{
	struct scene s = scene();
	static const struct mint_wish NOBODY[] = {
		{ .uid = { "MSSV:123" } }, { .uid = { "CCCD:000000000000" } }, { .uid = { "CCCD:00109900000" } }, { .uid = { "CMND:123456789" } },
		{ .uid = { "CCCD:" AN, "CCCD:" BINH } }, { .uid = { "CCCD:" AN }, .serial_number = "PNOVN-" BINH }, { .serial_number = AN },
	};
	for (size_t i = 0; i < sizeof NOBODY / sizeof *NOBODY; i++)
		is_turned_away(&s, citizen(s.t, s.t->ca, NULL, "Nguyễn Văn An", &NOBODY[i]), "certificate_unsuitable");
	comes_in(&s);
}

static struct person_row *person_with(struct town *t, const char *number)
{
	struct person_row *p;
	fine(store_person_by_number(t->w->house.store, t->a, number_mac(&t->w->house, t->a, str_fmt(t->a, "PNOVN-%s", number)), &p));
	assert_non_null(p);
	return p;
}

static void change(struct town *t, struct person_row *p)
{
	struct audit ev = audit_of(world_req(t->w), "person.changed");
	fine(store_person_change(t->w->house.store, t->a, p, &ev));
}

TEST(a_disabled_person_is_refused_until_enabled)
{
	struct scene s = scene();
	comes_in(&s);
	struct person_row *p = person_with(s.t, AN);
	p->disabled_at = s.t->w->now;
	change(s.t, p);
	s.page = asked_for_token(s.b);
	is_turned_away(&s, s.t->an, "login_refused");
	assert_int_equal(audits(s.t->w, "login.certificate", "login_refused"), 1);
	p = person_with(s.t, AN);
	p->disabled_at = 0;
	change(s.t, p);
	comes_in(&s);
}

TEST(a_certificate_that_is_recorded_for_one_person_is_never_another_s)
{
	struct scene s = scene();
	comes_in(&s);
	struct person_row *p = person_with(s.t, AN);
	p->number_mac = number_mac(&s.t->w->house, s.t->a, S("PNOVN-001099000009"));      /* its person has another number now */
	change(s.t, p);
	s.page = asked_for_token(s.b);
	is_turned_away(&s, s.t->an, "login_refused");
	assert_int_equal(follow(s.b, by(&s, s.t->binh))->status, 200);
}

TEST(two_certificates_with_one_serial_number_of_one_authority_are_not_one)
{
	struct scene s = scene();
	struct minted *first = citizen(s.t, s.t->ca, AN, "Nguyễn Văn An", &(struct mint_wish){ .serial = 77 });
	assert_int_equal(by(&s, first)->status, 303);
	pass(s.t->w, s.t->w->conf.status_age);
	struct minted *second = citizen(s.t, s.t->ca, BINH, "Trần Thị Bình", &(struct mint_wish){ .serial = 77 });
	s.page = asked_for_token(s.b);
	struct res *rs = by(&s, second);
	is_page(rs, 403);
	assert_int_equal(audits(s.t->w, "login.refused", "login_refused") + audits(s.t->w, "login.refused", "certificate_status_unknown"), 1);
}

TEST(a_name_is_nothing_a_number_is_everything)
{
	struct scene s = scene();
	struct str sub[3];
	struct minted *who[] = { s.t->an, citizen(s.t, s.t->ca, AN, "Another Name", NULL), citizen(s.t, s.t->ca, "001099000003", "Nguyễn Văn An", NULL) };
	for (size_t i = 0; i < 3; i++) {
		struct browser *b = browser(s.t->w);
		struct res *rs = sign_in(b, authorize(b, "portal", ""), who[i]);
		if (str_starts(b->at, S("/login/consent")))
			rs = follow(b, submit(b, rs, "/login/consent", "decision=allow"));
		sub[i] = json_text(tokens_for(b, "portal", rs), "sub");
	}
	assert_true(str_eq(sub[0], sub[1]));
	assert_false(str_eq(sub[0], sub[2]));
}

/* ---- limits and trouble ---- */

TEST(attempts_of_one_address_are_counted)
{
	struct scene s = scene();
	s.t->w->conf.attempts_per_address = 3;
	for (int i = 0; i < 3; i++)
		is_turned_away_with(&s, S("x"), "invalid_request");
	is_turned_away(&s, s.t->an, "too_many_requests");
	struct browser *other = browser(s.t->w);
	other->peer = S("192.0.2.8");
	is_at(other, sign_in(other, authorize(other, "portal", ""), s.t->an), "/login/consent");
	pass(s.t->w, 600);
	s.page = asked_for_token(s.b);
	comes_in(&s);
}

TEST(a_login_whose_row_cannot_be_written_is_none)
{
	struct scene s = scene();
	comes_in(&s);
	int n = 0;
	for (struct res *rs = NULL; !rs || rs->status != 303; n++) {
		s.page = asked_for_token(s.b);
		struct str token = token_of(s.b, s.t->an, nonce(&s)), before = cookie_in(s.b, "session");
		breaks_at(s.t->w, n);
		rs = with(&s, token);
		breaks_at(s.t->w, -1);
		if (rs->status != 303) {
			is_page(rs, 503);
			assert_true(str_eq(before, cookie_in(s.b, "session")));
		}
	}
	assert_true(n > 1);
}

TEST(a_refusal_whose_row_cannot_be_written_is_answered_with_nothing)
{
	struct scene s = scene();
	int n = 0;
	for (struct res *rs = NULL; !rs || rs->status == 503; n++) {
		s.page = asked_for_token(s.b);
		breaks_at(s.t->w, n);
		rs = with(&s, token_for(s.b, s.t->an, "https://evil.example", nonce(&s)));
		breaks_at(s.t->w, -1);
		if (rs->status != 403)
			is_page(rs, 503);
	}
	assert_true(n > 1);
}
