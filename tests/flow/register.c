#include "town.h"
#include "audit_of.h"
#include "code.h"
#include "fake.h"
#include "holder.h"
#include "hash.h"
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

/* Both requests wait for the keys, and run a second time with the proof that came once. */
TEST(answers_are_encrypted_to_a_key_at_the_jwks_uri_and_waiting_for_it_spends_no_proof)
{
	struct world *w = town_with_site();
	struct signer *key = holder(w, "ES256");
	w->conf.access_lives = 3600;
	publish("/enc", 200, S("{\"keys\":[{\"use\":\"enc\",\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"weNJy2HscCSM6AEDTDg04biOvhFhyyWvOHQfeF_PxMQ\","
		"\"y\":\"e8lnCO-AlStT-NJVX-crhB7QRYhiix03illJOVAOyck\"}]}"));
	one_more(w, "safe", str_fmt(w->a, ",\"jwks_uri\":\"%s\",\"id_token_encrypted_response_alg\":\"ECDH-ES\",\"userinfo_encrypted_response_alg\":\"ECDH-ES\"",
	                            site_url(w, "/enc").p).p);
	struct str body = str_fmt(w->a, "grant_type=authorization_code&code=%s&redirect_uri=https%%3A%%2F%%2Fsafe.example%%2Fcb", consent(w, "safe", "openid", "").p);
	struct res *rs = ask(w, "POST", "/token", str_fmt(w->a, "%s%s", as(w, "safe").p, proof_line(w, key, (struct proof_wish){ 0 }).p).p, body.p);
	is_tokens(w, rs);
	assert_true(str_starts(told(w, rs, "id_token"), S("eyJhbGciOiJFQ0RILUVTIi")));       /* {"alg":"ECDH-ES" */
	assert_int_equal(asked_for("/enc"), 1);
	pass(w, REMOTE_FRESH + 1);
	struct res *info = ask(w, "GET", "/userinfo", shown_with(w, told(w, rs, "access_token"), key, (struct proof_wish){ 0 }).p, "");
	is_status(info, 200);
	assert_str(info->type, "application/jwt");
	assert_int_equal(asked_for("/enc"), 2);

	/* nothing to encrypt to: nothing is told, and nothing is spent */
	publish("/enc", 200, S("{\"keys\":[]}"));
	pass(w, REMOTE_FRESH + 1);
	struct str code = consent(w, "safe", "openid", "");
	is_fault(redeem(w, "safe", code), UNAVAILABLE);
	is_fault(redeem(w, "safe", code), UNAVAILABLE);
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

/* ---- registering --------------------------------------------------------------------------------------------------------------- */

static struct res *post(struct world *w, const char *token, const char *json)
{
	struct str auth = *token ? str_fmt(w->a, "Authorization: Bearer %s\n", token) : S("");
	return ask(w, "POST", "/register", str_fmt(w->a, "%sContent-Type: application/json\n", auth.p).p, json);
}

static struct res *at_registration(struct world *w, const char *method, json_t *made, const char *json)
{
	struct str path = str_from(w->a, json_text(made, "registration_client_uri"), strlen("https://id.example"));
	return ask(w, method, path.p, str_fmt(w->a, "Authorization: Bearer %s\nContent-Type: application/json\n", json_text(made, "registration_access_token").p).p, json);
}

static struct world *open_town(void)
{
	struct world *w = town_with_site();
	w->conf.registration_open = true;
	w->conf.registrations_per_address = 1000;
	return w;
}

static const char *invite(struct world *w, const char *profile, const char *scope, int64_t uses)
{
	struct str token = rand_token(w->a);
	struct audit ev = audit_of(world_req(w), "invite.added");
	struct invite_row v = { .id = rand_id(w->a, w->now * 1000), .hash = hash_of(w->a, token), .name = S("tests"), .profile = str_of(profile), .scope = str_of(scope),
		.uses_left = uses, .created_at = w->now, .expires_at = w->now + 3600 };
	fine(store_invite_add(w->house.store, w->a, &v, &ev));
	return token.p;
}

/* Registered: 201 with all that RFC 7591 section 3.2.1 wants. */
static json_t *registered(struct world *w, struct res *rs)
{
	if (rs->status != 201)
		fail_msg("not registered: %d %s", rs->status, rs->body.p);
	json_t *o = json_of(w, rs);
	assert_true(json_text(o, "client_id").n > 0);
	assert_true(str_starts(json_text(o, "registration_client_uri"), S("https://id.example/register/")));
	assert_int_equal(json_text(o, "registration_access_token").n, 43);
	assert_int_equal(json_text(o, "client_secret").n != 0, json_object_get(o, "client_secret_expires_at") != NULL);
	assert_str(res_head(rs, "Cache-Control"), "no-store");
	return o;
}

#define WEB "\"redirect_uris\":[\"https://new.example/cb\"]"

static struct str basic(struct world *w, json_t *made)
{
	struct str pair = str_fmt(w->a, "%s:%s", json_text(made, "client_id").p, json_text(made, "client_secret").p);
	return str_fmt(w->a, "Authorization: Basic %s\n", b64(w->a, str_bytes(pair)).p);
}

/* oidcc-server with a dynamic client */
TEST(an_application_registers_itself_and_signs_people_in)
{
	struct world *w = open_town();
	size_t before = audits(w, "client.added", "ok");
	json_t *o = registered(w, post(w, "", "{\"client_name\":\"Mới\",\"grant_types\":[\"authorization_code\",\"refresh_token\"],\"contacts\":[\"a@new.example\"],"
		"\"response_types\":[\"code\"],\"token_endpoint_auth_method\":\"client_secret_basic\"," WEB "}"));
	assert_str(json_text(o, "client_name"), "Mới");
	assert_str(json_text(o, "id_token_signed_response_alg"), "RS256");
	assert_str(json_text(o, "subject_type"), "pairwise");
	assert_int_equal(json_array_size(json_object_get(o, "contacts")), 1);
	assert_int_equal(json_array_size(json_object_get(o, "grant_types")), 2);
	assert_int_equal(audits(w, "client.added", "ok"), before + 1);

	struct browser *b = browser(w);
	is_signed_in(b);
	struct res *rs = get(b, str_fmt(w->a, "/authorize?client_id=%s&response_type=code&scope=openid&state=s-1&redirect_uri=https%%3A%%2F%%2Fnew.example%%2Fcb", json_text(o, "client_id").p));
	rs = follow(b, rs);
	is_at(b, rs, "/login/consent");
	assert_non_null(strstr(rs->body.p, "Mới"));
	rs = follow(b, submit(b, rs, "/login/consent", "decision=allow"));
	assert_true(to_app(rs, "new"));
	rs = ask(w, "POST", "/token", basic(w, o).p, str_fmt(w->a, "grant_type=authorization_code&code=%s&redirect_uri=https%%3A%%2F%%2Fnew.example%%2Fcb", heard(b, rs, "code").p).p);
	is_tokens(w, rs);
}

TEST(discovery_names_the_endpoint)
{
	struct world *w = open_town();
	assert_str(told(w, ask(w, "GET", "/.well-known/openid-configuration", "", ""), "registration_endpoint"), "https://id.example/register");
}

TEST(without_an_initial_access_token_nobody_registers_unless_the_operator_says_so)
{
	struct world *w = town_with_site();
	struct res *rs = post(w, "", "{" WEB "}");
	is_status(rs, 401);
	assert_true(str_starts(res_head(rs, "WWW-Authenticate"), S("Bearer ")));
	const char *token = invite(w, "", "openid email", 2);
	json_t *o = registered(w, post(w, token, "{" WEB ",\"scope\":\"openid email vn_number docs:write\"}"));
	assert_str(json_text(o, "scope"), "openid email");
	o = registered(w, post(w, token, "{" WEB "}"));
	assert_str(json_text(o, "scope"), "openid email");
	is_fault(post(w, token, "{" WEB "}"), INVALID_TOKEN);                /* it was good twice */
	is_fault(post(w, rand_token(w->a).p, "{" WEB "}"), INVALID_TOKEN);
	is_fault(ask(w, "POST", "/register", "Authorization: Basic YTpi\nContent-Type: application/json\n", "{" WEB "}"), INVALID_TOKEN);
	token = invite(w, "", "openid", 2);
	pass(w, 3600);
	is_fault(post(w, token, "{" WEB "}"), INVALID_TOKEN);
	w->conf.registration_open = true;                                    /* a token that is shown counts, also where none is needed */
	is_fault(post(w, token, "{" WEB "}"), INVALID_TOKEN);
	registered(w, post(w, "", "{" WEB "}"));
	assert_true(audits(w, "registration.refused", "invalid_token") >= 5);
}

TEST(a_refused_registration_spends_nothing)
{
	struct world *w = town_with_site();
	const char *token = invite(w, "", "openid", 1);
	is_fault(post(w, token, "{\"redirect_uris\":[\"https://new.example/#x\"]}"), INVALID_REDIRECT_URI);
	is_fault(post(w, token, "{"), INVALID_CLIENT_METADATA);
	breaks_at(w, 1);                                                     /* the token is read, and then the store is gone */
	is_fault(post(w, token, "{" WEB "}"), UNAVAILABLE);
	breaks_at(w, -1);
	registered(w, post(w, token, "{" WEB "}"));
	is_fault(post(w, token, "{" WEB "}"), INVALID_TOKEN);
}

TEST(what_is_the_operators_to_decide_never_comes_from_outside)
{
	struct world *w = open_town();
	struct client_row *row;
	struct client c;
	json_t *o = registered(w, post(w, "", "{" WEB ",\"trusted\":true,\"profile\":\"oauth-2.1-2026\",\"audiences\":[\"api\"],\"sector\":\"portal.example\",\"require_pkce\":true,"
		"\"client_secret_hash\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\",\"client_id\":\"portal\",\"client_secret\":\"mine\",\"disabled_at\":7,\"x\":{\"y\":[1]}}"));
	fine(store_client(w->house.store, w->a, json_text(o, "client_id"), &row));
	fine(client_parse(w->a, row->id, row->metadata, &c));
	assert_false(c.trusted);
	assert_int_equal(c.audiences.n, 0);
	assert_str(c.profile, "oidc-basic-2026");
	assert_str(c.sector, "new.example");
	assert_str(c.secret_hash, hash_of(w->a, json_text(o, "client_secret")).p);
	assert_false(str_is(row->id, "portal"));
	static const char *const NOT_TOLD[] = { "trusted", "profile", "audiences", "sector", "client_secret_hash", "x", "disabled_at" };
	for (size_t i = 0; i < sizeof NOT_TOLD / sizeof *NOT_TOLD; i++)
		assert_null(json_object_get(o, NOT_TOLD[i]));
	assert_null(strstr(row->metadata.p, json_text(o, "client_secret").p));
}

/* oidcc-redirect-uri-regfrag, oidcc-3rd_party-init-login-nohttps */
TEST(metadata_with_one_thing_wrong)
{
	struct world *w = open_town();
	static const struct { const char *json; const struct err_kind *want; const char *says; } CASES[] = {
		{ "{" WEB ",\"logo_uri\":\"https://new.example;sandbox/logo.png\"}", &INVALID_CLIENT_METADATA, "logo_uri" },
		{ "{\"redirect_uris\":[\"https://new.example;sandbox/\"]}", &INVALID_REDIRECT_URI, "" }, { "{\"redirect_uris\":[\"https://new.example,b/\"]}", &INVALID_REDIRECT_URI, "" },
		{ "{\"redirect_uris\":[\"https://new.example/cb#frag\"]}", &INVALID_REDIRECT_URI, "redirect_uris" }, { "{}", &INVALID_REDIRECT_URI, "redirect_uris" },
		{ "{\"redirect_uris\":[\"http://new.example/cb\"]}", &INVALID_REDIRECT_URI, "redirect_uris" }, { "{\"redirect_uris\":\"https://new.example/cb\"}", &INVALID_REDIRECT_URI, "" },
		{ "{\"redirect_uris\":[]}", &INVALID_REDIRECT_URI, "" }, { "{\"redirect_uris\":[7]}", &INVALID_REDIRECT_URI, "" }, { "{\"redirect_uris\":[\"javascript:alert(1)\"]}", &INVALID_REDIRECT_URI, "" },
		{ "{" WEB ",\"initiate_login_uri\":\"http://new.example/login\"}", &INVALID_CLIENT_METADATA, "initiate_login_uri" },
		{ "{" WEB ",\"logo_uri\":\"http://new.example/logo.png\"}", &INVALID_CLIENT_METADATA, "logo_uri" }, { "{" WEB ",\"policy_uri\":\"javascript:alert(1)\"}", &INVALID_CLIENT_METADATA, "policy_uri" },
		{ "{" WEB ",\"tos_uri\":\"data:text/html,x\"}", &INVALID_CLIENT_METADATA, "tos_uri" }, { "{" WEB ",\"client_uri\":\"vn.app:/\"}", &INVALID_CLIENT_METADATA, "client_uri" },
		{ "{" WEB ",\"grant_types\":[\"implicit\"]}", &INVALID_CLIENT_METADATA, "The profile oidc-basic-2026 does not permit this value of grant_types" },
		{ "{" WEB ",\"response_types\":[\"code id_token\"]}", &INVALID_CLIENT_METADATA, "oidc-basic-2026" }, { "{" WEB ",\"response_types\":[]}", &INVALID_CLIENT_METADATA, "response_types" },
		{ "{" WEB ",\"id_token_signed_response_alg\":\"none\"}", &INVALID_CLIENT_METADATA, "oidc-basic-2026" }, { "{" WEB ",\"id_token_signed_response_alg\":\"HS256\"}", &INVALID_CLIENT_METADATA, "id_token" },
		{ "{" WEB ",\"token_endpoint_auth_method\":\"client_secret_jwt\"}", &INVALID_CLIENT_METADATA, "token_endpoint_auth_method" },
		{ "{" WEB ",\"token_endpoint_auth_method\":\"private_key_jwt\"}", &INVALID_CLIENT_METADATA, "jwks" }, { "{" WEB ",\"subject_type\":\"secret\"}", &INVALID_CLIENT_METADATA, "subject_type" },
		{ "{" WEB ",\"jwks_uri\":\"http://new.example/jwks\"}", &INVALID_CLIENT_METADATA, "jwks_uri" }, { "{" WEB ",\"jwks_uri\":\"file:///etc/passwd\"}", &INVALID_CLIENT_METADATA, "jwks_uri" },
		{ "{" WEB ",\"jwks\":{\"keys\":[{\"kty\":\"EC\"}]}}", &INVALID_CLIENT_METADATA, "jwks" }, { "{" WEB ",\"contacts\":\"a\"}", &INVALID_CLIENT_METADATA, "contacts" },
		{ "{" WEB ",\"client_name\":7}", &INVALID_CLIENT_METADATA, "client_name" }, { "{" WEB ",\"scope\":[]}", &INVALID_CLIENT_METADATA, "scope" }, { "{" WEB ",\"scope\":\"admin\"}", &INVALID_CLIENT_METADATA, "scope" },
		{ "{" WEB ",\"token_endpoint_auth_method\":\"none\",\"grant_types\":[\"client_credentials\"]}", &INVALID_CLIENT_METADATA, "grant_types" },
		{ "{" WEB ",\"software_statement\":\"e30.e30.\"}", &UNAPPROVED_SOFTWARE_STATEMENT, "Software statements" }, { "{" WEB "," WEB "}", &INVALID_CLIENT_METADATA, "" },
		{ "[]", &INVALID_CLIENT_METADATA, "" }, { "{", &INVALID_CLIENT_METADATA, "" }, { "{\"redirect_uris\":[\"https://a.example/\",\"https://b.example/\"]}", &INVALID_CLIENT_METADATA, "sector_identifier_uri" },
	};
	size_t before = audits(w, "client.added", "ok");
	for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
		struct res *rs = post(w, "", CASES[i].json);
		if (rs->status != CASES[i].want->status || !str_is(told(w, rs, "error"), CASES[i].want->code) || !strstr(told(w, rs, "error_description").p, CASES[i].says))
			fail_msg("%s: %d %s", CASES[i].json, rs->status, rs->body.p);
	}
	assert_int_equal(audits(w, "client.added", "ok"), before);
	is_fault(ask(w, "POST", "/register", "Content-Type: text/plain\n", "{" WEB "}"), INVALID_CLIENT_METADATA);
	is_fault(ask(w, "POST", "/register", "", WEB), INVALID_CLIENT_METADATA);
}

TEST(a_registration_is_not_larger_or_oftener_than_one_needs)
{
	struct world *w = open_town();
	struct buf b = buf_new(w->a, 65536, 65536);
	struct str json;
	buf_fmt(&b, "{" WEB ",\"post_logout_redirect_uris\":[");
	for (int i = 0; i < 101; i++)
		buf_fmt(&b, "%s\"https://new.example/%d\"", i ? "," : "", i);
	buf_fmt(&b, "]}");
	fine(buf_done(&b, &json));
	is_fault(post(w, "", json.p), INVALID_CLIENT_METADATA);
	char *long_name = arena_alloc(w->a, 40000);
	memset(long_name, 'x', 39999);
	is_fault(post(w, "", str_fmt(w->a, "{" WEB ",\"client_name\":\"%.3000s\"}", long_name).p), INVALID_CLIENT_METADATA);
	is_fault(post(w, "", str_fmt(w->a, "{" WEB ",\"x\":\"%s\"}", long_name).p), TOO_LARGE);
	w->conf.registrations_per_address = 5;
	registered(w, post(w, "", "{" WEB "}"));
	is_status(post(w, "", "{"), 400);
	is_fault(post(w, "", "{" WEB "}"), TOO_MANY_REQUESTS);
	pass(w, 3601);
	registered(w, post(w, "", "{" WEB "}"));
	w->conf.registrations = 2;
	is_fault(post(w, "", "{" WEB "}"), UNAVAILABLE);
}

TEST(an_invitation_says_the_profile_and_an_error_says_which_one_forbids_it)
{
	struct world *w = town_with_site();
	struct client_row *row;
	const char *token = invite(w, "oauth-2.1-2026", "openid", 5);
	struct res *rs = post(w, token, "{" WEB ",\"token_endpoint_auth_method\":\"client_secret_post\"}");
	is_fault(rs, INVALID_CLIENT_METADATA);
	assert_non_null(strstr(rs->body.p, "The profile oauth-2.1-2026 does not permit this value of token_endpoint_auth_method."));
	json_t *o = registered(w, post(w, token, "{" WEB ",\"profile\":\"oidc-basic-2026\"}"));
	fine(store_client(w->house.store, w->a, json_text(o, "client_id"), &row));
	assert_non_null(strstr(row->metadata.p, "\"profile\":\"oauth-2.1-2026\""));
}

/* oidcc-registration-jwks-uri: registered with it, and then signed in by it */
TEST(a_registered_jwks_uri_is_where_its_keys_are)
{
	struct world *w = open_town();
	struct signer *one = key_named(w, "one");
	w->conf.registration_scope = S("openid docs:read");
	publish("/jwks", 200, keys_of(w, one, NULL));
	json_t *o = registered(w, post(w, "", str_fmt(w->a, "{\"token_endpoint_auth_method\":\"private_key_jwt\",\"grant_types\":[\"client_credentials\"],\"jwks_uri\":\"%s\"}", site_url(w, "/jwks").p).p));
	assert_null(json_object_get(o, "client_secret"));
	assert_str(json_text(o, "jwks_uri"), site_url(w, "/jwks").p);
	assert_int_equal(asked_for("/jwks"), 0);
	is_tokens(w, by_key(w, json_text(o, "client_id").p, one));
}

static struct res *sign_in_page(struct world *w, json_t *made)
{
	struct browser *b = browser(w);
	return follow(b, get(b, str_fmt(w->a, "/authorize?client_id=%s&response_type=code&scope=openid&redirect_uri=https%%3A%%2F%%2Fnew.example%%2Fcb", json_text(made, "client_id").p)));
}

/* oidcc-registration-logo-uri, oidcc-registration-policy-uri, oidcc-registration-tos-uri */
TEST(the_sign_in_page_shows_logo_policy_and_terms_and_no_logo_of_another_site)
{
	struct world *w = open_town();
	json_t *o = registered(w, post(w, "", "{" WEB ",\"client_name\":\"Mới\",\"logo_uri\":\"https://new.example/logo.png\",\"policy_uri\":\"https://new.example/policy\",\"tos_uri\":\"https://new.example/tos\"}"));
	struct res *rs = sign_in_page(w, o);
	is_status(rs, 200);
	assert_non_null(strstr(rs->body.p, "<img src=\"https://new.example/logo.png\""));
	assert_non_null(strstr(rs->body.p, "href=\"https://new.example/policy\""));
	assert_non_null(strstr(rs->body.p, "href=\"https://new.example/tos\""));
	assert_non_null(strstr(res_head(rs, "Content-Security-Policy").p, "img-src 'self' data: https://new.example;"));
	o = registered(w, post(w, "", "{" WEB ",\"logo_uri\":\"https://elsewhere.example/logo.png\"}"));
	rs = sign_in_page(w, o);
	is_status(rs, 200);
	assert_null(strstr(rs->body.p, "elsewhere"));
	assert_null(strstr(res_head(rs, "Content-Security-Policy").p, "elsewhere"));
}

/* ---- sectors ----------------------------------------------------------------------------------------------------------------------- */

/* oidcc-registration-sector-uri, oidcc-registration-sector-bad */
TEST(a_sector_is_believed_when_its_document_lists_every_redirect_uri)
{
	struct world *w = open_town();
	struct client_row *row;
	struct client c;
	struct str url = site_url(w, "/sector"), json = str_fmt(w->a, "{\"redirect_uris\":[\"https://a.example/cb\",\"https://b.example/cb\"],\"sector_identifier_uri\":\"%s\"}", url.p);
	publish("/sector", 200, S("[\"https://b.example/cb\",\"https://c.example/cb\",\"https://a.example/cb\"]"));
	json_t *o = registered(w, post(w, "", json.p));
	fine(store_client(w->house.store, w->a, json_text(o, "client_id"), &row));
	fine(client_parse(w->a, row->id, row->metadata, &c));
	assert_str(c.sector, str_fmt(w->a, "127.0.0.1:%d", fake_port(site.server)).p);
	assert_str(json_text(o, "sector_identifier_uri"), url.p);

	static const struct { int status; const char *body; } BAD[] = {
		{ 200, "[\"https://a.example/cb\"]" }, { 200, "[]" }, { 200, "{\"uris\":[\"https://a.example/cb\",\"https://b.example/cb\"]}" }, { 200, "\"https://a.example/cb https://b.example/cb\"" },
		{ 200, "[\"https://a.example/cb\",\"https://b.example/cb\"" }, { 200, "[\"https://a.example/cb\",[\"https://b.example/cb\"]]" }, { 200, "[\"https://a.example/cb/\",\"https://b.example/CB\"]" },
		{ 404, "" }, { 0, "" },
	};
	for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
		pass(w, REMOTE_STALE + 1);
		publish("/sector", BAD[i].status, str_of(BAD[i].body));
		struct res *rs = post(w, "", json.p);
		if (rs->status != 400 || !str_is(told(w, rs, "error"), "invalid_client_metadata"))
			fail_msg("case %zu: %d %s", i, rs->status, rs->body.p);
	}
	struct str nowhere = str_fmt(w->a, "{\"redirect_uris\":[],\"grant_types\":[\"client_credentials\"],\"sector_identifier_uri\":\"%s\"}", url.p);
	is_status(post(w, "", nowhere.p), 400);                              /* nothing of it could be found in the document */
	pass(w, REMOTE_STALE + 1);
	w->conf.registrations_per_address = 1;                               /* waiting for the document does not count twice */
	publish("/sector", 200, S("[\"https://b.example/cb\",\"https://a.example/cb\"]"));
	registered(w, post(w, "", json.p));
}

/* Whoever needs no redirect URI proves nothing by naming one: the people that it is shown are not those of that host. */
TEST(a_device_is_a_sector_of_its_own_whichever_host_it_names)
{
	struct world *w = open_town();
	struct client c;
	json_t *o = registered(w, post(w, "", "{\"redirect_uris\":[\"https://hospital.example/cb\"],\"grant_types\":[\"urn:ietf:params:oauth:grant-type:device_code\"]}"));
	struct client_row *row;
	fine(store_client(w->house.store, w->a, json_text(o, "client_id"), &row));
	fine(client_parse(w->a, row->id, row->metadata, &c));
	assert_string_equal(c.sector.p, row->id.p);
}

/* ---- what was registered, and changing it: RFC 7592 ---------------------------------------------------------------------------------- */

/* oidcc-3rd_party-init-login */
TEST(a_registration_is_read_by_its_own_token_and_echoes_what_was_registered)
{
	struct world *w = open_town();
	json_t *o = registered(w, post(w, "", "{" WEB ",\"initiate_login_uri\":\"https://new.example/login\",\"software_id\":\"s-1\",\"tos_uri\":\"https://new.example/tos\"}"));
	json_t *other = registered(w, post(w, "", "{" WEB "}"));
	assert_str(json_text(o, "initiate_login_uri"), "https://new.example/login");
	struct res *rs = at_registration(w, "GET", o, "");
	is_status(rs, 200);
	json_t *read = json_of(w, rs);
	static const char *const SAME[] = { "client_id", "initiate_login_uri", "software_id", "tos_uri", "registration_client_uri", "registration_access_token", "scope", "subject_type" };
	for (size_t i = 0; i < sizeof SAME / sizeof *SAME; i++)
		if (!str_eq(json_text(read, SAME[i]), json_text(o, SAME[i])) || str_empty(json_text(read, SAME[i])))
			fail_msg("%s: %s", SAME[i], rs->body.p);
	assert_null(json_object_get(read, "client_secret"));                 /* only its hash is kept */

	struct str path = str_from(w->a, json_text(o, "registration_client_uri"), strlen("https://id.example"));
	const struct str WRONG[] = { json_text(other, "registration_access_token"), json_text(o, "client_secret"), S("x"), S("") };
	static const char *const METHODS[] = { "GET", "PUT", "DELETE" };
	for (size_t i = 0; i < sizeof WRONG / sizeof *WRONG; i++)
		for (size_t m = 0; m < 3; m++)
			is_fault(ask(w, METHODS[m], path.p, str_fmt(w->a, "Authorization: Bearer %s\nContent-Type: application/json\n", WRONG[i].p).p, m == 1 ? "{}" : ""), INVALID_TOKEN);
	is_status(ask(w, "GET", path.p, "", ""), 401);
	is_fault(ask(w, "GET", "/register/portal", str_fmt(w->a, "Authorization: Bearer %s\n", json_text(o, "registration_access_token").p).p, ""), INVALID_TOKEN);
	is_status(at_registration(w, "GET", o, ""), 200);
	is_status(ask(w, "POST", path.p, "", ""), 405);
}

TEST(a_registration_is_changed_whole_and_within_what_it_was_given)
{
	struct world *w = town_with_site();
	struct client_row *row;
	const char *token = invite(w, "oauth-2.1-2026", "openid docs:read", 1);
	json_t *o = registered(w, post(w, token, "{" WEB ",\"grant_types\":[\"client_credentials\",\"authorization_code\"],\"scope\":\"openid\",\"tos_uri\":\"https://new.example/tos\"}"));
	struct str id = json_text(o, "client_id");
	struct res *rs = at_registration(w, "PUT", o, str_fmt(w->a, "{\"client_id\":\"%s\",\"client_secret\":\"%s\",\"redirect_uris\":[\"https://new.example/two\"],\"scope\":\"openid docs:read phone\","
		"\"grant_types\":[\"client_credentials\",\"authorization_code\"],\"trusted\":true,\"profile\":\"oidc-basic-2026\",\"client_name\":\"Hai\"}", id.p, json_text(o, "client_secret").p).p);
	is_status(rs, 200);
	assert_str(told(w, rs, "scope"), "openid docs:read");                /* never more than its invitation says */
	assert_str(told(w, rs, "client_name"), "Hai");
	assert_null(json_object_get(json_of(w, rs), "tos_uri"));             /* RFC 7592 section 2.2: what is left out is deleted */
	assert_null(json_object_get(json_of(w, rs), "client_secret"));
	fine(store_client(w->house.store, w->a, id, &row));
	assert_non_null(strstr(row->metadata.p, "oauth-2.1-2026"));
	assert_null(strstr(row->metadata.p, "trusted"));
	is_tokens(w, ask(w, "POST", "/token", basic(w, o).p, "grant_type=client_credentials&scope=docs:read"));      /* the secret is the same, the change is seen at once */

	const char *const WRONG[] = {
		"{" WEB "}", "{\"client_id\":\"portal\"," WEB "}", str_fmt(w->a, "{\"client_id\":\"%s\"," WEB ",\"client_secret\":\"another\"}", id.p).p,
		str_fmt(w->a, "{\"client_id\":\"%s\"," WEB ",\"registration_access_token\":\"x\"}", id.p).p, str_fmt(w->a, "{\"client_id\":\"%s\"," WEB ",\"client_secret_expires_at\":0}", id.p).p,
		str_fmt(w->a, "{\"client_id\":\"%s\"," WEB ",\"token_endpoint_auth_method\":\"client_secret_post\"}", id.p).p,
	};
	for (size_t i = 0; i < sizeof WRONG / sizeof *WRONG; i++)
		is_fault(at_registration(w, "PUT", o, WRONG[i]), INVALID_CLIENT_METADATA);
	is_fault(at_registration(w, "PUT", o, str_fmt(w->a, "{\"client_id\":\"%s\",\"redirect_uris\":[\"https://new.example/#\"]}", id.p).p), INVALID_REDIRECT_URI);
	assert_int_equal(audits(w, "client.changed", "ok"), 1);
}

TEST(who_changes_to_a_key_loses_the_secret_and_who_changes_back_gets_another)
{
	struct world *w = open_town();
	struct client_row *row;
	struct signer *one = key_named(w, "one");
	json_t *o = registered(w, post(w, "", "{" WEB "}"));
	struct str id = json_text(o, "client_id");
	is_status(at_registration(w, "PUT", o, str_fmt(w->a, "{\"client_id\":\"%s\"," WEB ",\"token_endpoint_auth_method\":\"private_key_jwt\",\"jwks\":%s}", id.p, keys_of(w, one, NULL).p).p), 200);
	fine(store_client(w->house.store, w->a, id, &row));
	assert_null(strstr(row->metadata.p, "client_secret_hash"));
	struct res *rs = at_registration(w, "PUT", o, str_fmt(w->a, "{\"client_id\":\"%s\"," WEB "}", id.p).p);
	is_status(rs, 200);
	assert_int_equal(told(w, rs, "client_secret").n, 43);
	assert_false(str_eq(told(w, rs, "client_secret"), json_text(o, "client_secret")));
}

/* G13: the suites clean up by DELETE */
TEST(a_registration_is_removed_with_what_it_was_granted)
{
	struct world *w = open_town();
	w->conf.registration_scope = S("openid docs:read");
	json_t *o = registered(w, post(w, "", "{\"grant_types\":[\"client_credentials\"]}"));
	struct res *rs = ask(w, "POST", "/token", basic(w, o).p, "grant_type=client_credentials&scope=docs:read");
	is_tokens(w, rs);
	struct str token = told(w, rs, "access_token");
	is_status(at_registration(w, "DELETE", o, ""), 204);
	is_status(at_registration(w, "DELETE", o, ""), 401);
	is_status(at_registration(w, "GET", o, ""), 401);
	is_fault(ask(w, "POST", "/token", basic(w, o).p, "grant_type=client_credentials&scope=docs:read"), INVALID_CLIENT);
	rs = ask(w, "POST", "/introspect", as(w, "api").p, str_fmt(w->a, "token=%s", token.p).p);
	assert_non_null(strstr(rs->body.p, "false"));
	assert_int_equal(audits(w, "client.removed", "ok"), 1);
}

/* SEC-42: what a broken store could not keep was never said to be done */
TEST(a_registration_that_cannot_be_stored_is_none)
{
	struct world *w = open_town();
	json_t *o = registered(w, post(w, "", "{" WEB "}"));
	struct str change = str_fmt(w->a, "{\"client_id\":\"%s\"," WEB "}", json_text(o, "client_id").p);
	for (int nth = 0; nth < 2; nth++) {
		breaks_at(w, nth);
		struct res *rs = nth ? at_registration(w, "PUT", o, change.p) : post(w, "", "{" WEB "}");
		is_fault(rs, UNAVAILABLE);
		breaks_at(w, 0);
		is_fault(at_registration(w, "DELETE", o, ""), UNAVAILABLE);
		breaks_at(w, -1);
		is_status(at_registration(w, "GET", o, ""), 200);
	}
}
