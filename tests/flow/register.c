#include "town.h"
#include "audit_of.h"
#include "fake.h"
#include "jws.h"
#include "rand.h"
#include "remote.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

/* Applications that register themselves, and what they publish at addresses of their own. */

/* ---- the application's own site: what is at each path, and how often it was asked for ---------------------------------------- */

enum { PATHS = 8 };
static struct {
	pthread_mutex_t lock;
	struct fake *server;
	struct { char path[64], body[16384]; int status, asked; } at[PATHS];
} site = { .lock = PTHREAD_MUTEX_INITIALIZER };

static bool site_serves(struct arena *a, const struct fake_request *rq)
{
	struct str target = str_from(a, rq->head, 4), path = str_dup(a, target.p, strcspn(target.p, " "));
	pthread_mutex_lock(&site.lock);
	int status = 404;
	struct str body = S("");
	for (size_t i = 0; i < PATHS; i++)
		if (str_is(path, site.at[i].path)) {
			site.at[i].asked++;
			status = site.at[i].status;
			body = str_copy(a, str_of(site.at[i].body));
		}
	pthread_mutex_unlock(&site.lock);
	return status && fake_answer(rq->fd, status, S("application/json"), body);
}

static size_t place(const char *path)
{
	size_t i = 0;
	while (i < PATHS && site.at[i].path[0] && strcmp(site.at[i].path, path))
		i++;
	assert_true(i < PATHS);
	snprintf(site.at[i].path, sizeof site.at[i].path, "%s", path);
	return i;
}

/* status 0: hangs up. */
static void publish(const char *path, int status, struct str body)
{
	pthread_mutex_lock(&site.lock);
	size_t i = place(path);
	site.at[i].status = status;
	assert_true(body.n < sizeof site.at[i].body);
	memcpy(site.at[i].body, body.p, body.n + 1);
	pthread_mutex_unlock(&site.lock);
}

static int asked_for(const char *path)
{
	pthread_mutex_lock(&site.lock);
	int n = site.at[place(path)].asked;
	pthread_mutex_unlock(&site.lock);
	return n;
}

static struct str site_url(struct world *w, const char *path) { return str_fmt(w->a, "http://127.0.0.1:%d%s", fake_port(site.server), path); }

static void site_close(void)
{
	fake_close(site.server);
}

static struct world *town_with_site(void)
{
	struct world *w = town()->w;
	if (!site.server) {
		site.server = fake_open(site_serves, NULL);
		atexit(site_close);
	}
	memset(site.at, 0, sizeof site.at);
	w->conf.outgoing_networks = S("127.0.0.0/8");
	return w;
}

/* ---- keys at an address: jwks_uri -------------------------------------------------------------------------------------------- */

static struct str keys_of(struct world *w, struct signer *one, struct signer *two)
{
	return str_fmt(w->a, "{\"keys\":[%s%s%s]}", signer_public_jwk(one).p, two ? "," : "", two ? signer_public_jwk(two).p : "");
}

static struct signer *key_named(struct world *w, const char *kid)
{
	struct signer *s;
	fine(signer_local_new(w->a, S("ES256"), str_of(kid), &s));
	arena_defer(w->a, (void (*)(void *))signer_free, s);
	return s;
}

static void add_client(struct world *w, const char *id, const char *metadata)
{
	struct audit ev = audit_of(world_req(w), "client.added");
	struct client_row row = { .id = str_of(id), .name = str_of(id), .created_at = w->now, .updated_at = w->now, .version = 1, .metadata = str_of(metadata) };
	fine(store_client_add(w->house.store, w->a, &row, &ev));
}

static void add_client_with_keys_at(struct world *w, const char *id, struct str url)
{
	add_client(w, id, str_fmt(w->a, "{\"grant_types\":[\"client_credentials\"],\"scope\":\"docs:read\",\"token_endpoint_auth_method\":\"private_key_jwt\",\"jwks_uri\":\"%s\"}", url.p).p);
}

static struct res *by_key(struct world *w, const char *id, struct signer *key)
{
	struct str claims = str_fmt(w->a, "{\"iss\":\"%s\",\"sub\":\"%s\",\"aud\":\"https://id.example\",\"exp\":%lld,\"jti\":\"%s\"}", id, id,
	                            (long long)w->now + 60, rand_token(w->a).p);
	return ask(w, "POST", "/token", "", str_fmt(w->a, "grant_type=client_credentials&client_assertion_type=urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
	           "&client_assertion=%s", signed_by(w, key, "JWT", claims.p).p).p);
}

/* oidcc-registration-jwks-uri */
TEST(keys_are_read_from_the_jwks_uri_and_kept_for_a_while)
{
	struct world *w = town_with_site();
	struct signer *one = key_named(w, "one");
	publish("/jwks", 200, keys_of(w, one, NULL));
	add_client_with_keys_at(w, "firm", site_url(w, "/jwks"));
	is_tokens(w, by_key(w, "firm", one));
	is_tokens(w, by_key(w, "firm", one));
	assert_int_equal(asked_for("/jwks"), 1);
	pass(w, REMOTE_FRESH + 1);
	is_tokens(w, by_key(w, "firm", one));
	assert_int_equal(asked_for("/jwks"), 2);
}

/* oidcc-refresh-token-rp-key-rotation */
TEST(an_unknown_kid_makes_us_look_again_but_not_as_often_as_it_comes)
{
	struct world *w = town_with_site();
	struct signer *one = key_named(w, "one"), *two = key_named(w, "two"), *none = key_named(w, "none"), *namesake = key_named(w, "two");
	publish("/jwks", 200, keys_of(w, one, NULL));
	add_client_with_keys_at(w, "firm", site_url(w, "/jwks"));
	is_tokens(w, by_key(w, "firm", one));
	publish("/jwks", 200, keys_of(w, two, NULL));
	is_fault(by_key(w, "firm", two), INVALID_CLIENT);        /* it was only just read */
	assert_int_equal(asked_for("/jwks"), 1);
	pass(w, REMOTE_AGAIN);
	is_tokens(w, by_key(w, "firm", two));
	assert_int_equal(asked_for("/jwks"), 2);
	is_fault(by_key(w, "firm", one), INVALID_CLIENT);        /* withdrawn */
	is_fault(by_key(w, "firm", namesake), INVALID_CLIENT);
	for (int i = 0; i < 20; i++)
		is_fault(by_key(w, "firm", none), INVALID_CLIENT);
	assert_int_equal(asked_for("/jwks"), 2);
	pass(w, REMOTE_AGAIN);
	for (int i = 0; i < 20; i++)
		is_fault(by_key(w, "firm", none), INVALID_CLIENT);
	assert_int_equal(asked_for("/jwks"), 3);
}

TEST(keys_that_were_never_had_make_nobody_wrong_and_let_nobody_in)
{
	struct world *w = town_with_site();
	struct signer *one = key_named(w, "one");
	const struct { int status; const char *body; } CASES[] = {
		{ 0, "" }, { 404, "" }, { 500, "x" }, { 302, "x" }, { 200, "" }, { 200, "{}" }, { 200, "[]" }, { 200, "{\"keys\":7}" }, { 200, "{\"keys\":[],\"keys\":[]}" },
		{ 200, "{\"keys\":[{\"kty\":\"oct\",\"k\":\"AAAA\"}]}" }, { 200, "not json" },
	};
	add_client_with_keys_at(w, "firm", site_url(w, "/jwks"));
	for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
		publish("/jwks", CASES[i].status, str_of(CASES[i].body));
		struct res *rs = by_key(w, "firm", one);
		if (rs->status == 200 || (rs->status != 503 && rs->status != 401))
			fail_msg("case %zu: %d %s", i, rs->status, rs->body.p);
		pass(w, REMOTE_RETRY);
	}
	publish("/jwks", 200, keys_of(w, one, NULL));
	is_tokens(w, by_key(w, "firm", one));
}

TEST(keys_that_were_had_stand_in_for_an_hour_while_their_server_is_down)
{
	struct world *w = town_with_site();
	struct signer *one = key_named(w, "one");
	publish("/jwks", 200, keys_of(w, one, NULL));
	add_client_with_keys_at(w, "firm", site_url(w, "/jwks"));
	is_tokens(w, by_key(w, "firm", one));
	publish("/jwks", 500, S(""));
	pass(w, REMOTE_FRESH + 1);
	is_tokens(w, by_key(w, "firm", one));
	is_tokens(w, by_key(w, "firm", one));
	assert_int_equal(asked_for("/jwks"), 2);                 /* and it is not asked each time */
	pass(w, REMOTE_STALE);
	is_fault(by_key(w, "firm", one), UNAVAILABLE);
}

TEST(addresses_that_are_not_asked_whatever_a_client_says)
{
	struct world *w = town_with_site();
	struct signer *one = key_named(w, "one");
	publish("/jwks", 200, keys_of(w, one, NULL));
	struct str inside = site_url(w, "/jwks");
	static const char *const NEVER[] = { "file:///etc/passwd", "http://example.vn/jwks", "https://u:p@example.vn/", "ftp://127.0.0.1/", "http://127.0.0.1.example/", "https://" };
	for (size_t i = 0; i < sizeof NEVER / sizeof *NEVER; i++)
		if (outside_fit(&w->house, str_of(NEVER[i])))
			fail_msg("%s", NEVER[i]);
	assert_true(outside_fit(&w->house, inside));
	w->conf.outgoing_networks = S("");
	assert_false(outside_fit(&w->house, inside));
	add_client_with_keys_at(w, "firm", inside);
	is_fault(by_key(w, "firm", one), UNAVAILABLE);
	assert_int_equal(asked_for("/jwks"), 0);
}

enum { CALLERS = 8 };
static struct { struct world *w; struct signer *key; struct str body[CALLERS]; int status[CALLERS]; } race;

static void *call(void *nth)
{
	size_t i = (size_t)(uintptr_t)nth;
	struct arena *a = arena_new();
	race.status[i] = ask_in(race.w, a, "POST", "/token", "", race.body[i].p)->status;
	arena_free(a);
	return NULL;
}

TEST(of_many_that_wait_for_the_same_keys_one_asks)
{
	struct world *w = town_with_site();
	struct signer *one = key_named(w, "one");
	pthread_t t[CALLERS];
	publish("/jwks", 200, keys_of(w, one, NULL));
	add_client_with_keys_at(w, "firm", site_url(w, "/jwks"));
	race.w = w;
	for (size_t i = 0; i < CALLERS; i++)
		race.body[i] = str_fmt(w->a, "grant_type=client_credentials&client_assertion_type=urn:ietf:params:oauth:client-assertion-type:jwt-bearer&client_assertion=%s",
			signed_by(w, one, "JWT", str_fmt(w->a, "{\"iss\":\"firm\",\"sub\":\"firm\",\"aud\":\"https://id.example\",\"exp\":%lld,\"jti\":\"%zu\"}", (long long)w->now + 60, i).p).p);
	for (size_t i = 0; i < CALLERS; i++)
		assert_int_equal(pthread_create(&t[i], NULL, call, (void *)(uintptr_t)i), 0);
	for (size_t i = 0; i < CALLERS; i++)
		pthread_join(t[i], NULL);
	for (size_t i = 0; i < CALLERS; i++)
		assert_int_equal(race.status[i], 200);
	assert_int_equal(asked_for("/jwks"), 1);
}
