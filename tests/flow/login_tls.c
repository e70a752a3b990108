#include "town.h"
#include "code.h"
#include <pthread.h>

/* Signing in by a TLS client certificate, on a host of its own, and the ticket that leads back. */

struct scene { struct town *t; struct browser *b; struct str i; };

static struct scene scene(void)
{
	struct scene s = { .t = town() };
	s.b = browser(s.t->w);
	authorize(s.b, "portal", "prompt=login");
	s.i = within(s.b->a, s.b->at, "i");
	return s;
}

/* What the proxy of the certificate host passes on for a browser that showed this certificate there. Cookies of the main host do not
 * go there: __Host- holds them. */
static struct res *shown(struct scene *s, const struct minted *leaf, struct str i)
{
	struct browser *there = browser_in(s->b->a, s->t->w);
	if (leaf)
		there->more = str_fmt(s->b->a, "Client-Cert: :%s:\n", b64(s->b->a, leaf->der).p).p;
	struct res *rs = get(there, str_fmt(s->b->a, "/login/tls/certificate?i=%s", i.p));
	assert_int_equal(there->jar.n, 0);
	return rs;
}

static struct str ticket(struct scene *s, const struct minted *leaf)
{
	struct res *rs = shown(s, leaf, s->i);
	assert_int_equal(rs->status, 303);
	struct str to = res_head(rs, "Location");
	assert_true(str_starts(to, S("https://id.example/login/tls/done?i=")));
	assert_int_equal(within(s->b->a, to, "t").n, 43);
	return str_from(s->b->a, to, strlen("https://id.example"));
}

#define is_turned_away(s, rs, code) do { \
	size_t before_ = audits((s)->t->w, "login.refused", code); struct res *x_ = (rs); is_page(x_, 403); \
	assert_int_equal(cookie_in((s)->b, "session").n, 0); assert_int_equal(audits((s)->t->w, "login.refused", code), before_ + 1); pass((s)->t->w, 4); } while (0)

TEST(a_certificate_shown_to_the_other_host_lets_its_owner_in_here)
{
	struct scene s = scene();
	struct res *rs = get(s.b, str_fmt(s.b->a, "/login/tls?i=%s", s.i.p));
	assert_int_equal(rs->status, 303);
	assert_str(res_head(rs, "Location"), str_fmt(s.b->a, "https://cert.id.example/login/tls/certificate?i=%s", s.i.p).p);
	rs = visit(s.b, ticket(&s, s.t->an));
	is_at(s.b, rs, "/login/consent");
	rs = follow(s.b, submit(s.b, rs, "/login/consent", "decision=allow"));
	is_code(s.b, rs, "portal");
	json_t *claims = tokens_for(s.b, "portal", rs);
	assert_str(json_text(claims, "acr"), "high");
	struct browser *b = browser(s.t->w);
	assert_str(json_text(tokens_for(b, "portal", sign_in(b, authorize(b, "portal", ""), s.t->an)), "sub"), json_text(claims, "sub").p);   /* one subject */
}

TEST(a_ticket_is_good_once)
{
	struct scene s = scene();
	struct str to = ticket(&s, s.t->an);
	struct browser *again = twin(s.b, s.b->a);
	assert_int_equal(get(s.b, to)->status, 303);
	is_page(get(again, to), 403);
	assert_int_equal(cookie_in(again, "session").n, 0);
}

struct racer { struct arena *a; struct browser *b; struct str to; struct res *rs; pthread_barrier_t *start; };

static void *race(void *p)
{
	struct racer *r = p;
	pthread_barrier_wait(r->start);
	r->rs = get(r->b, r->to);
	return NULL;
}

static int let_in(struct scene *s)
{
	enum { MANY = 16 };
	struct racer r[MANY];
	pthread_t th[MANY];
	pthread_barrier_t start;
	struct str to = ticket(s, s->t->an);
	int in = 0;
	pthread_barrier_init(&start, NULL, MANY);
	for (size_t k = 0; k < MANY; k++) {
		struct arena *a = arena_new();
		r[k] = (struct racer){ a, twin(s->b, a), to, NULL, &start };
		assert_int_equal(pthread_create(&th[k], NULL, race, &r[k]), 0);
	}
	for (size_t k = 0; k < MANY; k++) {
		pthread_join(th[k], NULL);
		in += cookie_in(r[k].b, "session").n == 43;
		arena_free(r[k].a);
	}
	pthread_barrier_destroy(&start);
	return in;
}

TEST(of_many_that_come_with_one_ticket_one_comes_in)
{
	struct scene s = scene();
	for (int round = 0; round < 10; round++)
		assert_int_equal(let_in(&s), 1);
	assert_int_equal(responder_asked(s.t), 1);
}

TEST(a_ticket_is_good_for_a_minute)
{
	struct scene s = scene();
	struct str to = ticket(&s, s.t->an);
	pass(s.t->w, 59);
	assert_int_equal(get(twin(s.b, s.b->a), to)->status, 303);
	to = ticket(&s, s.t->an);
	pass(s.t->w, 60);
	is_turned_away(&s, get(s.b, to), "interaction_gone");
}

TEST(a_ticket_leads_only_the_browser_and_the_sign_in_that_it_is_for)
{
	struct scene s = scene();
	struct str to = ticket(&s, s.t->an), t = within(s.b->a, to, "t");
	struct browser *other = browser(s.t->w);
	authorize(other, "portal", "");
	struct str theirs = within(s.b->a, other->at, "i");
	is_page(get(other, to), 400);
	is_page(get(browser(s.t->w), to), 400);
	is_page(get(other, str_fmt(s.b->a, "/login/tls/done?i=%s&t=%s", theirs.p, t.p)), 403);
	assert_int_equal(cookie_in(other, "session").n, 0);
	is_turned_away(&s, get(s.b, str_fmt(s.b->a, "/login/tls/done?i=%s&t=%s", s.i.p, s.i.p)), "interaction_gone");
	is_turned_away(&s, get(s.b, str_fmt(s.b->a, "/login/tls/done?i=%s", s.i.p)), "interaction_gone");
	is_at(s.b, visit(s.b, to), "/login/consent");
}

TEST(without_a_certificate_the_way_leads_back_to_the_other_ways)
{
	struct scene s = scene();
	struct res *rs = shown(&s, NULL, s.i);
	assert_int_equal(rs->status, 303);
	struct str to = res_head(rs, "Location");
	assert_true(str_starts(to, S("https://id.example/login/tls/missing?i=")));
	is_page(get(s.b, str_from(s.b->a, to, strlen("https://id.example"))), 403);
	is_page(get(browser(s.t->w), str_from(s.b->a, to, strlen("https://id.example"))), 400);
	is_page(shown(&s, s.t->an, S("x")), 400);
	is_page(shown(&s, s.t->an, S("")), 400);
}

TEST(a_certificate_that_is_not_believed_lets_nobody_in)
{
	struct scene s = scene();
	struct minted *root = mint_root(s.t->a, NULL);
	epoch now = s.t->w->now;
	is_turned_away(&s, get(s.b, ticket(&s, citizen(s.t, root, AN, "Nguyễn Văn An", NULL))), "certificate_untrusted");
	is_turned_away(&s, get(s.b, ticket(&s, citizen(s.t, s.t->ca, AN, "Nguyễn Văn An", &(struct mint_wish){ .not_after = now - 1 }))), "certificate_expired");
	is_turned_away(&s, get(s.b, ticket(&s, citizen(s.t, s.t->ca, NULL, "Nguyễn Văn An", NULL))), "certificate_unsuitable");
	responder_says(s.t, s.t->binh, SAYS_REVOKED);
	is_turned_away(&s, get(s.b, ticket(&s, s.t->binh)), "certificate_revoked");
	responder_says(s.t, s.t->an, SAYS_NOTHING);
	is_turned_away(&s, get(s.b, ticket(&s, s.t->an)), "certificate_status_unknown");
	responder_says(s.t, s.t->an, SAYS_GOOD);
	is_at(s.b, visit(s.b, ticket(&s, s.t->an)), "/login/consent");
}

TEST(an_authority_that_is_listed_for_tokens_alone_is_none_for_tls)
{
	struct scene s = scene();
	struct minted *root = mint_root(s.t->a, &(struct mint_wish){ .cn = "Tokens Only" });
	trusts(s.t, root, "anchor", "token", "");
	is_page(get(s.b, ticket(&s, citizen(s.t, root, AN, "Nguyễn Văn An", NULL))), 403);
	assert_int_equal(cookie_in(s.b, "session").n, 0);
}

TEST(a_tls_login_whose_row_cannot_be_written_is_none)
{
	struct scene s = scene();
	int n = 0;
	for (struct res *rs = NULL; !rs || rs->status != 303; n++) {
		struct str to = ticket(&s, s.t->an);
		breaks_at(s.t->w, n);
		rs = get(s.b, to);
		breaks_at(s.t->w, -1);
		if (rs->status != 303) {
			is_page(rs, 503);
			assert_int_equal(cookie_in(s.b, "session").n, 0);
		}
	}
	assert_true(n > 1);
}
