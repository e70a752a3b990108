#include "world.h"
#include "audit_of.h"
#include "hash.h"
#include "keys.h"
#include "jws.h"
#include "oauth.h"
#include <pthread.h>

static struct str body(struct world *w, struct str code, const char *client, const char *more)
{
	return str_fmt(w->a, "grant_type=authorization_code&code=%s&redirect_uri=https%%3A%%2F%%2F%s.example%%2Fcb%s", code.p, client, more);
}

static struct res *userinfo(struct world *w, struct str token)
{
	return ask(w, "GET", "/userinfo", str_fmt(w->a, "Authorization: Bearer %s\n", token.p).p, "");
}

/* What a token of ours says, after its signature was checked with the published key. */
static json_t *verified(struct world *w, struct str token, const char *alg, const char *typ)
{
	struct keyring *ring;
	struct jws jws;
	json_t *claims;
	fine(keys_now(&w->house, w->a, &ring));
	fine(jws_read(w->a, token, &jws));
	assert_non_null(keyring_key(ring, jws.kid, w->now));
	fine(jws_verify(w->a, token, keyring_key(ring, jws.kid, w->now), str_of(alg), str_of(typ), &claims));
	return claims;
}

static int64_t number(const json_t *o, const char *name)
{
	int64_t n = -1;
	json_int(o, name, &n);
	return n;
}

/* ---- what a code buys ------------------------------------------------------------------------------------------- */

TEST(a_code_buys_tokens_that_are_never_cached)
{
	struct world *w = world();
	struct res *rs = redeem(w, "portal", consent(w, "portal", "openid profile", ""));

	is_tokens(w, rs);
	assert_str(told(w, rs, "token_type"), "Bearer");
	assert_str(told(w, rs, "scope"), "openid profile");
	assert_int_equal(number(json_of(w, rs), "expires_in"), 300);
	assert_int_equal(told(w, rs, "refresh_token").n, 43);
	assert_str(res_head(rs, "Cache-Control"), "no-store");
	assert_str(rs->type, "application/json");
	assert_int_equal(audits(w, "token.issued", "ok"), 1);
}

TEST(the_id_token_says_who_signed_in_and_nothing_that_userinfo_is_for)
{
	struct world *w = world();
	struct res *rs = redeem(w, "portal", consent(w, "portal", "openid profile email", ""));
	json_t *t = verified(w, told(w, rs, "id_token"), "RS256", "JWT");

	assert_str(json_text(t, "iss"), "https://id.example");
	assert_str(json_text(t, "aud"), "portal");
	assert_str(json_text(t, "nonce"), "n-0S6_WzA2Mj");
	assert_str(json_text(t, "acr"), "substantial");
	assert_int_equal(json_array_size(json_object_get(t, "amr")), 4);
	assert_string_equal(json_text(t, "sid").p, w->sid.p);
	assert_int_equal(number(t, "iat"), w->now);
	assert_int_equal(number(t, "exp"), w->now + 300);
	assert_int_equal(json_text(t, "sub").n, 43);
	assert_int_equal(json_text(t, "at_hash").n, 22);
	assert_null(json_object_get(t, "auth_time"));
	assert_null(json_object_get(t, "name"));
	assert_null(json_object_get(t, "email"));
	assert_null(json_object_get(t, "azp"));
}

TEST(a_nonce_is_not_invented)
{
	struct world *w = world();
	struct grant_row g = { .scope = S("openid") };
	struct res *rs = redeem(w, "portal", consent_with(w, "portal", "", &g));
	assert_null(json_object_get(claims_of(w, told(w, rs, "id_token")), "nonce"));
}

TEST(auth_time_is_told_when_it_is_asked_for)
{
	struct world *w = world();
	struct grant_row by_age = { .scope = S("openid"), .auth_time_asked = true };
	struct grant_row by_claim = { .scope = S("openid"), .claims = S("{\"id_token\":{\"auth_time\":{\"essential\":true}}}") };
	struct res *rs = redeem(w, "portal", consent_with(w, "portal", "", &by_age));
	assert_int_equal(number(claims_of(w, told(w, rs, "id_token")), "auth_time"), w->now);
	rs = redeem(w, "portal", consent_with(w, "portal", "", &by_claim));
	assert_int_equal(number(claims_of(w, told(w, rs, "id_token")), "auth_time"), w->now);
}

TEST(a_client_that_is_registered_for_es256_gets_it)
{
	struct world *w = world();
	struct str code = consent(w, "post", "openid", "");
	struct str secret = enc(w, secret_of(w, "post"));
	struct res *rs = ask(w, "POST", "/token", "", body(w, code, "post", str_fmt(w->a, "&client_id=post&client_secret=%s", secret.p).p).p);
	is_tokens(w, rs);
	verified(w, told(w, rs, "id_token"), "ES256", "JWT");
}

TEST(two_sectors_see_two_people_and_a_public_subject_says_nothing)
{
	struct world *w = world();
	struct str one = json_text(claims_of(w, told(w, redeem(w, "portal", consent(w, "portal", "openid", "")), "id_token")), "sub");
	struct str two = json_text(claims_of(w, told(w, redeem(w, "tax", consent(w, "tax", "openid", "")), "id_token")), "sub");
	struct str again = json_text(claims_of(w, told(w, redeem(w, "portal", consent(w, "portal", "openid", "")), "id_token")), "sub");
	assert_string_not_equal(one.p, two.p);
	assert_string_equal(one.p, again.p);
	assert_string_not_equal(one.p, w->person_id.p);
}

TEST(the_access_token_is_an_rfc9068_one)
{
	struct world *w = world();
	struct res *rs = redeem(w, "portal", consent(w, "portal", "openid", ""));
	json_t *t = verified(w, told(w, rs, "access_token"), "ES256", "at+jwt");
	const char *const MUST[] = { "iss", "exp", "aud", "sub", "client_id", "iat", "jti", "scope", "auth_time", "acr", "amr", "gid" };
	for (size_t i = 0; i < sizeof MUST / sizeof *MUST; i++)
		assert_non_null(json_object_get(t, MUST[i]));
	assert_null(json_object_get(t, "cnf"));
}

TEST(without_openid_there_is_no_id_token)
{
	struct world *w = world();
	struct res *rs = redeem(w, "portal", consent(w, "portal", "profile", ""));
	is_tokens(w, rs);
	assert_int_equal(told(w, rs, "id_token").n, 0);
	is_fault(userinfo(w, told(w, rs, "access_token")), INSUFFICIENT_SCOPE);
}

/* ---- what a code does not buy ------------------------------------------------------------------------------------- */

TEST(a_code_is_good_once_and_a_replay_undoes_the_grant)
{
	struct world *w = world();
	struct str code = consent(w, "portal", "openid", "");
	struct res *first = redeem(w, "portal", code);
	is_tokens(w, first);
	is_status(userinfo(w, told(w, first, "access_token")), 200);

	is_fault(redeem(w, "portal", code), INVALID_GRANT);
	is_fault(userinfo(w, told(w, first, "access_token")), INVALID_TOKEN);
	is_fault(refresh(w, "portal", told(w, first, "refresh_token")), INVALID_GRANT);
	assert_int_equal(audits(w, "grant.revoked", "ok"), 1);
	assert_int_equal(audits(w, "token.refused", "invalid_grant"), 2);
}

TEST(a_replay_after_the_code_expired_still_undoes_the_grant)
{
	struct world *w = world();
	struct str code = consent(w, "portal", "openid", "");
	struct res *first = redeem(w, "portal", code);
	pass(w, 120);
	is_fault(redeem(w, "portal", code), INVALID_GRANT);
	is_fault(userinfo(w, told(w, first, "access_token")), INVALID_TOKEN);
}

TEST(a_code_lives_for_a_minute)
{
	struct world *w = world();
	struct str code = consent(w, "portal", "openid", ""), other = consent(w, "portal", "openid", "");
	pass(w, 59);
	is_tokens(w, redeem(w, "portal", code));
	pass(w, 1);
	is_fault(redeem(w, "portal", other), INVALID_GRANT);
}

TEST(what_is_wrong_with_a_request_does_not_spend_the_code)
{
	struct world *w = world();
	struct str code = consent(w, "portal", "openid", CHALLENGE);
	struct { const char *client, *cb, *more; const struct err_kind *kind; } TWINS[] = {
		{ "tax",    "portal", "&code_verifier=" VERIFIER,          &INVALID_GRANT },   /* another client, well authenticated */
		{ "portal", "tax",    "&code_verifier=" VERIFIER,          &INVALID_GRANT },   /* another redirect_uri */
		{ "portal", "portal", "",                                  &INVALID_GRANT },   /* no verifier */
		{ "portal", "portal", "&code_verifier=",                   &INVALID_GRANT },
		{ "portal", "portal", "&code_verifier=" CHALLENGE,         &INVALID_GRANT },   /* the challenge itself */
		{ "portal", "portal", "&code_verifier=" VERIFIER "x",      &INVALID_GRANT },
		{ "portal", "portal", "&code_verifier=dBjftJeZ4CVP",       &INVALID_GRANT },   /* too short */
	};
	for (size_t i = 0; i < sizeof TWINS / sizeof *TWINS; i++)
		is_fault(ask(w, "POST", "/token", as(w, TWINS[i].client).p, body(w, code, TWINS[i].cb, TWINS[i].more).p), *TWINS[i].kind);
	is_tokens(w, ask(w, "POST", "/token", as(w, "portal").p, body(w, code, "portal", "&code_verifier=" VERIFIER).p));
}

TEST(the_redirect_uri_must_be_sent_again)
{
	struct world *w = world();
	struct str code = consent(w, "portal", "openid", "");
	is_fault(ask(w, "POST", "/token", as(w, "portal").p, str_fmt(w->a, "grant_type=authorization_code&code=%s", code.p).p), INVALID_GRANT);
	is_fault(ask(w, "POST", "/token", as(w, "portal").p,
	             str_fmt(w->a, "grant_type=authorization_code&code=%s&redirect_uri=https://portal.example/cb%%3Fx=1", code.p).p), INVALID_GRANT);
	is_tokens(w, redeem(w, "portal", code));
}

TEST(every_prefix_and_every_changed_bit_of_a_code_is_refused)
{
	struct world *w = world();
	struct str code = consent(w, "portal", "openid", "");
	for (size_t n = 1; n < code.n; n++)
		is_fault(redeem(w, "portal", str_dup(w->a, code.p, n)), INVALID_GRANT);
	for (size_t i = 0; i < code.n; i++) {
		char *twin = arena_alloc(w->a, code.n + 1);
		memcpy(twin, code.p, code.n);
		twin[i] = twin[i] == 'A' ? 'B' : 'A';
		is_fault(redeem(w, "portal", (struct str){ twin, code.n }), INVALID_GRANT);
	}
	is_tokens(w, redeem(w, "portal", code));
}

/* An event for changes that a test makes by hand. */
static struct audit event(struct world *w) { return audit_of(world_req(w), "test"); }

TEST(a_code_is_good_for_nothing_once_its_session_has_ended)
{
	struct world *w = world();
	struct str code = consent(w, "portal", "openid", "");
	struct audit ev = event(w);
	fine(store_session_end(w->house.store, w->a, hash_of(w->a, str_from(w->a, w->cookie, strlen("__Host-session="))), w->now, &ev));
	is_fault(redeem(w, "portal", code), INVALID_GRANT);
}

TEST(a_disabled_person_or_client_has_no_tokens_from_then_on)
{
	struct world *w = world();
	struct str code = consent(w, "portal", "openid offline_access", ""), later = consent(w, "portal", "openid", "");
	struct res *rs = redeem(w, "portal", code);
	struct person_row *p;
	struct audit ev = event(w);
	is_status(userinfo(w, told(w, rs, "access_token")), 200);
	fine(store_person(w->house.store, w->a, w->person_id, &p));
	p->disabled_at = w->now;
	fine(store_person_change(w->house.store, w->a, p, &ev));
	is_fault(redeem(w, "portal", later), INVALID_GRANT);
	is_fault(refresh(w, "portal", told(w, rs, "refresh_token")), INVALID_GRANT);
	is_fault(userinfo(w, told(w, rs, "access_token")), INVALID_TOKEN);

	struct client_row *c;
	fine(store_client(w->house.store, w->a, S("portal"), &c));
	c->disabled_at = w->now;
	ev = event(w);
	fine(store_client_change(w->house.store, w->a, c, &ev));
	pass(w, 4);
	is_fault(redeem(w, "portal", later), INVALID_CLIENT);
}

/* ---- when the store breaks ---- */

TEST(whichever_question_the_store_cannot_answer_no_token_leaves)
{
	struct world *w = world();
	int nth = 0;
	for (struct res *rs; ; nth++) {
		struct str code = consent(w, "portal", "openid", "");
		breaks_at(w, nth);
		rs = redeem(w, "portal", code);
		breaks_at(w, -1);
		if (rs->status == 200)
			break;
		is_fault(rs, UNAVAILABLE);
		assert_null(strstr(rs->body.p, "access_token"));
		assert_int_equal(audits(w, "token.issued", "ok"), 0);
		is_status(redeem(w, "portal", code), 200);       /* nothing was spent */
		w = world();
	}
	assert_int_equal(nth, 2);                                /* look, redeem; the client was known */
}

/* ---- proof key for code exchange ------------------------------------------------------------------------------------ */

TEST(the_verifier_of_rfc7636_appendix_b)
{
	struct arena *a = arena_new();
	fine(pkce_verify(a, S(CHALLENGE), S(VERIFIER)));
	fails(pkce_verify(a, S(CHALLENGE), S("")), INVALID_GRANT);
	fails(pkce_verify(a, S(""), S(VERIFIER)), INVALID_GRANT);
	fine(pkce_verify(a, S(""), S("")));
	assert_true(pkce_challenge_valid(S(CHALLENGE)));
	arena_free(a);
}

TEST(challenges_that_cannot_be_a_hash)
{
	static const char *const CASES[] = { "", "x", VERIFIER "=", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cN", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw+cM", CHALLENGE "A" };
	for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++)
		assert_false(pkce_challenge_valid(str_of(CASES[i])));
}

TEST(a_public_client_must_use_pkce)
{
	struct world *w = world();
	struct str without = consent(w, "app", "openid", ""), with = consent(w, "app", "openid", CHALLENGE);
	is_fault(ask(w, "POST", "/token", "", body(w, without, "app", "&client_id=app").p), INVALID_GRANT);
	is_fault(ask(w, "POST", "/token", "", body(w, without, "app", "&client_id=app&code_verifier=" VERIFIER).p), INVALID_GRANT);
	is_tokens(w, ask(w, "POST", "/token", "", body(w, with, "app", "&client_id=app&code_verifier=" VERIFIER).p));
}

TEST(a_verifier_without_a_challenge_is_refused)
{
	struct world *w = world();
	struct str code = consent(w, "portal", "openid", "");
	is_fault(ask(w, "POST", "/token", as(w, "portal").p, body(w, code, "portal", "&code_verifier=" VERIFIER).p), INVALID_GRANT);
	is_tokens(w, redeem(w, "portal", code));
}

/* ---- requests that are wrong ------------------------------------------------------------------------------------------ */

TEST(grant_types_that_are_not_given)
{
	struct world *w = world();
	is_fault(ask(w, "POST", "/token", as(w, "portal").p, "grant_type=password&username=a&password=b"), UNSUPPORTED_GRANT_TYPE);
	is_fault(ask(w, "POST", "/token", as(w, "portal").p, "grant_type="), INVALID_REQUEST);
	is_fault(ask(w, "POST", "/token", as(w, "portal").p, "code=x"), INVALID_REQUEST);
	is_fault(ask(w, "POST", "/token", as(w, "tax").p, "grant_type=client_credentials"), UNAUTHORIZED_CLIENT);
	is_fault(ask(w, "POST", "/token", as(w, "portal").p, "grant_type=authorization_code"), INVALID_REQUEST);
	is_fault(ask(w, "POST", "/token", as(w, "portal").p, "grant_type=authorization_code&grant_type=refresh_token"), INVALID_REQUEST);
	is_status(ask(w, "GET", "/token", "", ""), 405);
}

TEST(a_client_has_tokens_of_its_own_but_nothing_of_a_person)
{
	struct world *w = world();
	struct res *rs = ask(w, "POST", "/token", as(w, "portal").p, "grant_type=client_credentials&scope=docs:read");
	is_tokens(w, rs);
	json_t *t = verified(w, told(w, rs, "access_token"), "ES256", "at+jwt");
	assert_str(json_text(t, "sub"), "portal");
	assert_str(json_text(t, "scope"), "docs:read");
	assert_null(json_object_get(t, "gid"));
	assert_int_equal(told(w, rs, "refresh_token").n + told(w, rs, "id_token").n, 0);
	assert_str(told(w, ask(w, "POST", "/token", as(w, "portal").p, "grant_type=client_credentials"), "scope"), "docs:read docs:write");
	is_fault(ask(w, "POST", "/token", as(w, "portal").p, "grant_type=client_credentials&scope=openid"), INVALID_SCOPE);
	is_fault(ask(w, "POST", "/token", as(w, "portal").p, "grant_type=client_credentials&scope=docs:read+docs:delete"), INVALID_SCOPE);
	is_fault(userinfo(w, told(w, rs, "access_token")), INSUFFICIENT_SCOPE);
	assert_int_equal(audits(w, "token.issued", "ok"), 2);
}

TEST(refusals_leave_rows_but_do_not_fill_the_disk)
{
	struct world *w = world();
	for (int i = 0; i < 100; i++)
		is_fault(ask(w, "POST", "/token", as(w, "portal").p, "grant_type=authorization_code&code=guess"), INVALID_GRANT);
	assert_int_equal(audits(w, "token.refused", "invalid_grant"), 20 + 3);    /* the 21st, the 40th, the 80th */
	pass(w, 61);
	is_fault(ask(w, "POST", "/token", as(w, "portal").p, "grant_type=authorization_code&code=guess"), INVALID_GRANT);
	assert_int_equal(audits(w, "token.refused", "invalid_grant"), 24);
}

/* ---- many at once -------------------------------------------------------------------------------------------------------- */

enum { RUNNERS = 32 };
static struct { struct world *w; const char *form; pthread_barrier_t start; } race;

static void *run(void *p)
{
	struct arena *a = arena_new();
	pthread_barrier_wait(&race.start);
	struct res *rs = ask_in(race.w, a, "POST", "/token", (const char *)p, race.form);
	long status = rs->status;
	arena_free(a);
	return (void *)status;
}

TEST(thirty_two_race_for_one_code_and_one_wins)
{
	struct world *w = world();
	for (int round = 0; round < 10; round++) {
		pass(w, 6);                              /* the keys and the client are to be read again, too */
		struct str code = consent(w, "portal", "openid", ""), auth = as(w, "portal");
		pthread_t t[RUNNERS];
		int won = 0, refused = 0;
		race.w = w;
		race.form = body(w, code, "portal", "").p;
		pthread_barrier_init(&race.start, NULL, RUNNERS);
		for (int i = 0; i < RUNNERS; i++)
			assert_int_equal(pthread_create(&t[i], NULL, run, (void *)(uintptr_t)auth.p), 0);
		for (int i = 0; i < RUNNERS; i++) {
			void *status;
			pthread_join(t[i], &status);
			won += (long)status == 200;
			refused += (long)status == 400;
		}
		pthread_barrier_destroy(&race.start);
		assert_int_equal(won, 1);
		assert_int_equal(refused, RUNNERS - 1);
		is_fault(redeem(w, "portal", code), INVALID_GRANT);
	}
}

/* RFC 6749 section 3.2: "The authorization server MUST ignore unrecognized request parameters." */
TEST(what_we_do_not_know_in_a_token_request_is_no_error)
{
	struct world *w = world();
	is_tokens(w, ask(w, "POST", "/token", as(w, "portal").p, "grant_type=client_credentials&colour=blue&x="));
}
