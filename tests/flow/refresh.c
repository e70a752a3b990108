#include "world.h"
#include "client.h"
#include "audit_of.h"
#include "hash.h"
#include <pthread.h>

static struct res *start(struct world *w, const char *client)
{
	struct res *rs = redeem(w, client, consent(w, client, "openid profile offline_access", ""));
	is_tokens(w, rs);
	return rs;
}

static struct str refresh_of(struct world *w, struct res *rs) { return told(w, rs, "refresh_token"); }

static struct res *userinfo(struct world *w, struct res *rs)
{
	return ask(w, "GET", "/userinfo", str_fmt(w->a, "Authorization: Bearer %s\n", told(w, rs, "access_token").p).p, "");
}

static struct res *refresh_with(struct world *w, struct str token, const char *more)
{
	return ask(w, "POST", "/token", as(w, "portal").p, str_fmt(w->a, "grant_type=refresh_token&refresh_token=%s%s", token.p, more).p);
}

TEST(a_refresh_token_is_replaced_and_the_new_one_works)
{
	struct world *w = world();
	struct res *first = start(w, "portal");
	pass(w, 1);
	struct res *second = refresh(w, "portal", refresh_of(w, first));
	is_tokens(w, second);
	assert_string_not_equal(refresh_of(w, first).p, refresh_of(w, second).p);
	assert_int_equal(refresh_of(w, second).n, 43);
	is_tokens(w, refresh(w, "portal", refresh_of(w, second)));
}

TEST(the_id_token_of_a_refresh_keeps_who_and_changes_when)
{
	struct world *w = world();
	struct res *first = start(w, "portal");
	pass(w, 1);
	json_t *was = claims_of(w, told(w, first, "id_token")), *is = claims_of(w, told(w, refresh(w, "portal", refresh_of(w, first)), "id_token"));
	assert_string_equal(json_text(was, "sub").p, json_text(is, "sub").p);
	assert_string_equal(json_text(was, "aud").p, json_text(is, "aud").p);
	assert_int_equal(json_integer_value(json_object_get(is, "iat")), json_integer_value(json_object_get(was, "iat")) + 1);
	assert_null(json_object_get(is, "nonce"));
}

TEST(a_client_that_lost_our_answer_gets_the_same_token_again)
{
	struct world *w = world();
	struct res *first = start(w, "portal");
	struct res *one = refresh(w, "portal", refresh_of(w, first));
	pass(w, 60);
	struct res *two = refresh(w, "portal", refresh_of(w, first));
	is_tokens(w, two);
	assert_string_equal(refresh_of(w, one).p, refresh_of(w, two).p);
	is_tokens(w, refresh(w, "portal", refresh_of(w, two)));
}

TEST(after_the_grace_a_replay_undoes_the_grant)
{
	struct world *w = world();
	struct res *first = start(w, "portal");
	struct res *second = refresh(w, "portal", refresh_of(w, first));
	is_status(userinfo(w, second), 200);
	pass(w, 61);
	is_fault(refresh(w, "portal", refresh_of(w, first)), INVALID_GRANT);
	is_fault(refresh(w, "portal", refresh_of(w, second)), INVALID_GRANT);
	is_fault(userinfo(w, second), INVALID_TOKEN);
	assert_int_equal(audits(w, "grant.revoked", "ok"), 1);
}

TEST(once_the_successor_was_used_the_old_one_undoes_the_grant_at_once)
{
	struct world *w = world();
	struct res *first = start(w, "portal");
	struct res *second = refresh(w, "portal", refresh_of(w, first));
	struct res *third = refresh(w, "portal", refresh_of(w, second));
	is_tokens(w, third);
	is_fault(refresh(w, "portal", refresh_of(w, first)), INVALID_GRANT);
	is_fault(refresh(w, "portal", refresh_of(w, third)), INVALID_GRANT);
}

TEST(another_client_with_the_token_gets_nothing_and_spoils_nothing)
{
	struct world *w = world();
	struct res *first = start(w, "portal");
	is_fault(refresh(w, "tax", refresh_of(w, first)), INVALID_GRANT);
	is_tokens(w, refresh(w, "portal", refresh_of(w, first)));
}

TEST(the_scope_may_only_narrow_and_the_token_keeps_its_own)
{
	struct world *w = world();
	struct res *first = start(w, "portal");
	is_fault(refresh_with(w, refresh_of(w, first), "&scope=openid+email"), INVALID_SCOPE);
	is_fault(refresh_with(w, refresh_of(w, first), "&scope=docs:read"), INVALID_SCOPE);
	struct res *narrow = refresh_with(w, refresh_of(w, first), "&scope=openid");
	assert_str(told(w, narrow, "scope"), "openid");
	assert_str(told(w, refresh(w, "portal", refresh_of(w, narrow)), "scope"), "openid profile offline_access");
}

TEST(a_refresh_token_that_slept_too_long_is_refused)
{
	struct world *w = world();
	struct grant_row g = { .scope = S("openid offline_access"), .offline = true };
	struct res *first = redeem(w, "portal", consent_with(w, "portal", "", &g));
	pass(w, 30 * 86400);
	is_fault(refresh(w, "portal", refresh_of(w, first)), INVALID_GRANT);
}

TEST(offline_access_outlives_the_session_and_nothing_else_does)
{
	struct world *w = world();
	struct grant_row off = { .scope = S("openid offline_access"), .offline = true }, on = { .scope = S("openid") };
	struct res *offline = redeem(w, "portal", consent_with(w, "portal", "", &off)), *online = redeem(w, "portal", consent_with(w, "portal", "", &on));
	struct audit ev = audit_of(world_req(w), "session.ended");
	fine(store_session_end(w->house.store, w->a, hash_of(w->a, str_from(w->a, w->cookie, strlen("__Host-session="))), w->now, &ev));
	is_fault(refresh(w, "portal", refresh_of(w, online)), INVALID_GRANT);
	is_tokens(w, refresh(w, "portal", refresh_of(w, offline)));
}

TEST(every_prefix_and_every_changed_letter_is_refused)
{
	struct world *w = world();
	struct str token = refresh_of(w, start(w, "portal"));
	for (size_t n = 1; n < token.n; n++)
		is_fault(refresh(w, "portal", str_dup(w->a, token.p, n)), INVALID_GRANT);
	for (size_t i = 0; i < token.n; i++) {
		char *twin = arena_alloc(w->a, token.n + 1);
		memcpy(twin, token.p, token.n);
		twin[i] = twin[i] == 'A' ? 'B' : 'A';
		is_fault(refresh(w, "portal", (struct str){ twin, token.n }), INVALID_GRANT);
	}
	is_fault(refresh_with(w, S(""), ""), INVALID_REQUEST);
	is_tokens(w, refresh(w, "portal", token));
}

TEST(a_code_is_no_refresh_token_and_the_other_way_round)
{
	struct world *w = world();
	struct str code = consent(w, "portal", "openid", ""), token = refresh_of(w, start(w, "portal"));
	is_fault(refresh(w, "portal", code), INVALID_GRANT);
	is_fault(redeem(w, "portal", token), INVALID_GRANT);
}

TEST(whichever_question_the_store_cannot_answer_nothing_is_lost)
{
	struct world *w = world();
	struct str token = refresh_of(w, start(w, "portal"));
	int nth = 0;
	for (struct res *rs = NULL; ; nth++) {
		breaks_at(w, nth);
		rs = refresh(w, "portal", token);
		breaks_at(w, -1);
		if (rs->status == 200)
			break;
		is_fault(rs, UNAVAILABLE);
		assert_int_equal(audits(w, "token.issued", "ok"), 1);
	}
	assert_int_equal(nth, 2);
	assert_int_equal(audits(w, "token.issued", "ok"), 2);
}

/* ---- many at once ---- */

enum { RUNNERS = 32 };
static struct { struct world *w; struct str auth, body; pthread_barrier_t start; } race;
struct runner { pthread_t thread; int status; char next[64]; };

static void *run(void *p)
{
	struct runner *r = p;
	struct arena *a = arena_new();
	json_t *o;
	pthread_barrier_wait(&race.start);
	struct res *rs = ask_in(race.w, a, "POST", "/token", race.auth.p, race.body.p);
	r->status = rs->status;
	if (!json_read_object(a, rs->body, &o).kind)
		memcpy(r->next, json_text(o, "refresh_token").p, json_text(o, "refresh_token").n);
	arena_free(a);
	return NULL;
}

TEST(thirty_two_refresh_at_once_and_there_is_one_successor)
{
	struct world *w = world();
	struct runner r[RUNNERS] = { 0 };
	race.w = w;
	race.auth = as(w, "portal");
	race.body = str_fmt(w->a, "grant_type=refresh_token&refresh_token=%s", refresh_of(w, start(w, "portal")).p);
	pthread_barrier_init(&race.start, NULL, RUNNERS);
	for (int i = 0; i < RUNNERS; i++)
		assert_int_equal(pthread_create(&r[i].thread, NULL, run, &r[i]), 0);
	for (int i = 0; i < RUNNERS; i++)
		pthread_join(r[i].thread, NULL);
	pthread_barrier_destroy(&race.start);
	for (int i = 0; i < RUNNERS; i++) {
		assert_int_equal(r[i].status, 200);
		assert_string_equal(r[i].next, r[0].next);
	}
	is_tokens(w, refresh(w, "portal", str_of(r[0].next)));
}

/* SEC-07: whatever the order, once a revocation has been confirmed nothing of the grant works. */
static void *revoke_it(void *p)
{
	struct runner *r = p;
	struct arena *a = arena_new();
	pthread_barrier_wait(&race.start);
	r->status = ask_in(race.w, a, "POST", "/revoke", race.auth.p, r->next)->status;
	arena_free(a);
	return NULL;
}

TEST(a_refresh_beside_a_revocation_leaves_nothing_that_works)
{
	struct world *w = world();
	race.w = w;
	race.auth = as(w, "portal");
	for (int round = 0; round < 100; round++) {
		struct res *first = start(w, "portal");
		struct runner rotating = { 0 }, revoking = { 0 };
		race.body = str_fmt(w->a, "grant_type=refresh_token&refresh_token=%s", refresh_of(w, first).p);
		memcpy(revoking.next, "token=", 6);
		memcpy(revoking.next + 6, refresh_of(w, first).p, 43);
		pthread_barrier_init(&race.start, NULL, 2);
		pthread_create(&rotating.thread, NULL, run, &rotating);
		pthread_create(&revoking.thread, NULL, revoke_it, &revoking);
		pthread_join(rotating.thread, NULL);
		pthread_join(revoking.thread, NULL);
		pthread_barrier_destroy(&race.start);
		assert_int_equal(revoking.status, 200);
		is_fault(userinfo(w, first), INVALID_TOKEN);
		if (rotating.status == 200)
			is_fault(refresh(w, "portal", str_of(rotating.next)), INVALID_GRANT);
		is_fault(refresh(w, "portal", refresh_of(w, first)), INVALID_GRANT);
	}
}

static void now_registered(struct world *w, const char *client, const char *from, const char *to)
{
	struct client_row *row;
	struct audit ev = audit_of(world_req(w), "client.changed");
	fine(store_client(w->house.store, w->a, str_of(client), &row));
	const char *at = strstr(row->metadata.p, from);
	assert_non_null(at);
	row->metadata = str_fmt(w->a, "%.*s%s%s", (int)(at - row->metadata.p), row->metadata.p, to, at + strlen(from));
	fine(store_client_change(w->house.store, w->a, row, &ev));
	client_forget(w->house.clients, str_of(client));
}

/* SEC-08: what an operator takes from an application is gone with the next token, whatever was granted before. */
TEST(what_a_registration_has_lost_no_refresh_gives)
{
	struct world *w = world();
	one_more(w, "land", ",\"audiences\":[\"https://a.example/\",\"https://b.example/\"]");
	struct grant_row g = { .scope = S("openid email offline_access"), .resources = S("https://a.example/ https://b.example/") };
	struct res *rs = redeem(w, "land", consent_with(w, "land", "", &g));
	is_tokens(w, rs);
	now_registered(w, "land", "email ", "");
	rs = refresh(w, "land", refresh_of(w, rs));
	assert_str(told(w, rs, "scope"), "openid offline_access");
	now_registered(w, "land", "\"https://a.example/\",", "");
	rs = refresh(w, "land", refresh_of(w, rs));
	is_tokens(w, rs);
	assert_false(strs_has(json_strs(w->a, claims_of(w, told(w, rs, "access_token")), "aud"), S("https://a.example/")));
	assert_true(strs_has(json_strs(w->a, claims_of(w, told(w, rs, "access_token")), "aud"), S("https://b.example/")));
	struct str last = refresh_of(w, rs);
	now_registered(w, "land", "https://b.example/", "https://c.example/");
	is_fault(refresh(w, "land", last), INVALID_TARGET);
}
