#include "world.h"
#include "anchors.h"
#include "audit_of.h"
#include "code.h"
#include "ask.h"
#include "door.h"
#include "eph_open.h"
#include "jws.h"
#include "keys.h"
#include "log.h"
#include "oauth.h"
#include "oidc.h"
#include "rand.h"
#include "remote.h"
#include "server.h"
#include <dirent.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <openssl/x509.h>

static struct world the;
static const struct route *tables[16] = { OAUTH_ROUTES, REGISTER_ROUTES, OIDC_ROUTES };

/* idp/web answers with a page; where it is not linked, a word is enough. */
[[gnu::weak]] err page_fault(struct req *rq, struct res *rs, const struct err_kind *kind)
{
	rs->status = kind->status;
	rs->type = S("text/html; charset=utf-8");
	rs->body = str_fmt(rq->a, "<p>%s", kind->code);
	return OK;
}

static epoch clock_of(void) { return the.now; }
static int64_t clock_ms_of(void) { return the.now * 1000; }

void pass(struct world *w, epoch seconds) { w->now += seconds; }

void world_also(const struct route *table)
{
	size_t i = 0;
	while (tables[i] && tables[i] != table)
		i++;
	assert_true(i + 1 < sizeof tables / sizeof *tables);
	tables[i] = table;
}

/* ---- a store that breaks when it is told to ---------------------------------------------------------------------- */

static atomic_int until = -1;
static struct sql_engine breakable;

static enum ran run(struct sql_conn *c, struct unit **u, size_t n, int64_t deadline, struct why *why)
{
	int left = atomic_load(&until);
	while (left > 0 && !atomic_compare_exchange_weak(&until, &left, left - 1)) {}
	if (left == 0) {
		snprintf(why->text, sizeof why->text, "broken on purpose");
		return RAN_BAD;
	}
	return engine_sqlite.run(c, u, n, deadline, why);
}

void breaks_at(struct world *w, int nth)
{
	(void)w;
	atomic_store(&until, nth);
}

/* ---- taking down ------------------------------------------------------------------------------------------------ */

static void remove_folder(const char *path)
{
	char name[512];
	DIR *d = opendir(path);
	for (struct dirent *e; d && (e = readdir(d)); )
		if (e->d_name[0] != '.') {
			snprintf(name, sizeof name, "%s/%s", path, e->d_name);
			unlink(name);
		}
	if (d)
		closedir(d);
	rmdir(path);
}

[[gnu::destructor]] static void end(void)
{
	if (!the.a)
		return;
	keys_free(the.house.keys);
	clients_free(the.house.clients);
	minted_free(the.house.minted);
	shelf_free(the.house.shelf);
	remotes_free(the.house.remotes);
	anchors_free(the.house.anchors);
	store_close(the.house.store);
	eph_close(the.house.eph);
	signer_free(the.bank_key);
	remove_folder(the.dir.p);
	arena_free(the.a);
	the = (struct world){ 0 };
}

/* ---- keys -------------------------------------------------------------------------------------------------------- */

/* Made once for all worlds of a program: an RSA key takes longer than most tests. */
static struct { const char *alg, *kid; char sealed[8192]; char jwk[2048]; } made[] = { { .alg = "RS256", .kid = "rsa-1" }, { .alg = "ES256", .kid = "ec-1" },
	{ .alg = "PS256", .kid = "pss-1" }, { .alg = "EdDSA", .kid = "ed-1" } };

static size_t keys_made = sizeof made / sizeof *made;

static void add_key(struct world *w, size_t i, epoch since)
{
	struct arena *a = w->a;
	struct str what = str_fmt(a, "key:%s", made[i].kid);
	if (!*made[i].jwk) {
		struct signer *s;
		struct bytes pkcs8;
		fine(signer_local_new(a, str_of(made[i].alg), str_of(made[i].kid), &s));
		fine(signer_local_export(s, a, &pkcs8));
		snprintf(made[i].jwk, sizeof made[i].jwk, "%s", signer_public_jwk(s).p);
		snprintf(made[i].sealed, sizeof made[i].sealed, "%s", seal(a, w->house.secrets.seal, what, b64url(a, pkcs8)).p);
		signer_free(s);
	}
	struct audit ev = audit_of(world_req(w), "key.made");
	struct key_row row = {
		.kid = str_of(made[i].kid), .alg = str_of(made[i].alg), .public_jwk = str_of(made[i].jwk), .sealed = str_of(made[i].sealed),
		.created_at = since, .active_at = since - since % 60,
	};
	fine(store_key_add(w->house.store, a, &row, &ev));
}

static struct str self_signed(struct arena *a)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *x = X509_new();
	unsigned char *der = NULL;
	assert_non_null(key);
	X509_set_version(x, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(x), 4711);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC, (const unsigned char *)"gate", -1, -1, 0);
	X509_set_issuer_name(x, X509_get_subject_name(x));
	ASN1_TIME_set(X509_getm_notBefore(x), 1700000000);
	ASN1_TIME_set(X509_getm_notAfter(x), 2000000000);
	X509_set_pubkey(x, key);
	assert_true(X509_sign(x, key, EVP_sha256()) > 0);
	int n = i2d_X509(x, &der);
	assert_true(n > 0);
	struct str text = b64(a, (struct bytes){ der, (size_t)n });
	OPENSSL_free(der);
	X509_free(x);
	EVP_PKEY_free(key);
	return text;
}

static struct str jwk_of_cert(struct arena *a, struct str cert)
{
	struct bytes der;
	unsigned char x[32], y[32], point[65];
	size_t n;
	assert_true(b64_read(a, cert, &der));
	const unsigned char *p = der.p;
	X509 *c = d2i_X509(NULL, &p, (long)der.n);
	assert_true(EVP_PKEY_get_octet_string_param(X509_get0_pubkey(c), "pub", point, sizeof point, &n) == 1 && n == 65);
	memcpy(x, point + 1, 32);
	memcpy(y, point + 33, 32);
	X509_free(c);
	return str_fmt(a, "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"%s\",\"y\":\"%s\"}", b64url(a, (struct bytes){ x, 32 }).p, b64url(a, (struct bytes){ y, 32 }).p);
}

/* ---- who is there --------------------------------------------------------------------------------------------------- */

struct str secret_of(struct world *w, const char *client) { return str_fmt(w->a, "%s:secret/+ 42", client); }

static void add_client(struct world *w, const char *name, const char *method, const char *more)
{
	struct arena *a = w->a;
	bool secret = strncmp(method, "client_secret", 13) == 0;
	struct audit ev = audit_of(world_req(w), "client.added");
	struct str hash = secret ? str_fmt(a, ",\"client_secret_hash\":\"%s\"", hash_of(a, secret_of(w, name)).p) : S("");
	struct client_row row = {
		.id = str_of(name), .name = str_of(name), .created_at = w->now, .updated_at = w->now, .version = 1,
		.metadata = str_fmt(a, "{\"redirect_uris\":[\"https://%s.example/cb\",\"https://%s.example/cb?x=1\"],\"token_endpoint_auth_method\":\"%s\"%s%s}",
		                    name, name, method, hash.p, more),
	};
	fine(store_client_add(w->house.store, a, &row, &ev));
}

#define USUAL ",\"grant_types\":[\"authorization_code\",\"refresh_token\"],\"scope\":\"openid profile email phone address offline_access\"" \
	",\"post_logout_redirect_uris\":[\"https://portal.example/bye\"]"

void one_with(struct world *w, const char *name, const char *method, const char *more) { add_client(w, name, method, more); }

void one_more(struct world *w, const char *name, const char *more)
{
	add_client(w, str_copy(w->a, str_of(name)).p, "client_secret_basic", str_fmt(w->a, USUAL "%s", more).p);
}

void world_client(struct world *w, const char *name, const char *method, const char *more) { add_client(w, name, method, more); }
#define BY_DEVICE ",\"grant_types\":[\"authorization_code\",\"refresh_token\",\"urn:ietf:params:oauth:grant-type:device_code\"]" \
	",\"scope\":\"openid profile offline_access\""

static void add_clients(struct world *w)
{
	struct arena *a = w->a;
	add_client(w, "portal", "client_secret_basic", ",\"grant_types\":[\"authorization_code\",\"refresh_token\",\"client_credentials\"],"
	           "\"scope\":\"openid profile email phone address offline_access docs:read docs:write\",\"audiences\":[\"api\"],"
	           "\"post_logout_redirect_uris\":[\"https://portal.example/bye\"]");
	add_client(w, "tax", "client_secret_basic", USUAL);
	add_client(w, "post", "client_secret_post", USUAL ",\"id_token_signed_response_alg\":\"ES256\",\"subject_type\":\"public\"");
	add_client(w, "app", "none", USUAL);
	add_client(w, "vault", "client_secret_basic", ",\"scope\":\"openid profile vn_number\"");
	add_client(w, "api", "client_secret_basic", ",\"grant_types\":[\"client_credentials\"],\"scope\":\"docs:read\"");
	add_client(w, "box", "client_secret_basic", BY_DEVICE);
	add_client(w, "tv", "none", BY_DEVICE);
	add_client(w, "kiosk", "client_secret_basic", BY_DEVICE ",\"trusted\":true");
	fine(signer_local_new(a, S("ES256"), S("bank-1"), &w->bank_key));
	add_client(w, "bank", "private_key_jwt", str_fmt(a, USUAL ",\"jwks\":{\"keys\":[%s]}", signer_public_jwk(w->bank_key).p).p);
	w->gate_cert = self_signed(a);
	add_client(w, "gate", "self_signed_tls_client_auth",
	           str_fmt(a, USUAL ",\"tls_client_certificate_bound_access_tokens\":true,\"jwks\":{\"keys\":[%s]}", jwk_of_cert(a, w->gate_cert).p).p);
	add_client(w, "meter", "self_signed_tls_client_auth",
	           str_fmt(a, BY_DEVICE ",\"tls_client_certificate_bound_access_tokens\":true,\"jwks\":{\"keys\":[%s]}", jwk_of_cert(a, w->gate_cert).p).p);
}

static void add_citizen(struct world *w)
{
	struct arena *a = w->a;
	struct str secret = rand_token(a), who = rand_id(a, w->now * 1000), mac = hash_of(a, S("PNOVN-001099000001"));
	struct audit ev = audit_of(world_req(w), "login.certificate");
	enum enrolment outcome;
	struct person_row *person;
	struct login l = {
		.person = {
			.id = who, .kind = S("citizen"), .name = S("Nguyễn Văn An"), .search_key = S("nguyen van an"), .number_mac = mac,
			.number_sealed = seal(a, w->house.secrets.seal, str_fmt(a, "person:%s:number", who.p), S("PNOVN-001099000001")),
			.phone_mac = hash_of(a, S("+84900000001")),
			.phone_sealed = seal(a, w->house.secrets.seal, str_fmt(a, "person:%s:phone", who.p), S("+84900000001")),
			.claims = S("{\"family_name\":\"Nguyễn\",\"given_name\":\"An\",\"email\":\"an@example.vn\",\"email_verified\":true,\"gender\":\"\","
			            "\"birthdate\":\"1999-01-01\",\"address\":{\"country\":\"VN\"},\"nickname\":7}"),
			.created_at = w->now, .updated_at = w->now, .version = 1,
		},
		.cert = {
			.id = hash_of(a, S("certificate")), .person_id = S(""), .issuer_id = S("ca"), .serial = S("01"), .subject = S("CN=An"), .spki_sha256 = S("x"),
			.number_mac = mac, .method = S("sim"), .der = S(""), .not_before = w->now - 1, .not_after = w->now + 100000, .first_seen = w->now,
			.last_seen = w->now, .revoked_why = S(""),
		},
		.session = {
			.id_hash = hash_of(a, secret), .sid = rand_token(a), .person_id = S(""), .acr = S("substantial"), .amr = S("hwk pin mca mfa"), .method = S("sim"),
			.cert_id = hash_of(a, S("certificate")), .auth_time = w->now, .created_at = w->now, .expires_at = w->now + w->conf.session_lives,
		},
		.replaces = S(""),
	};
	fine(store_login(w->house.store, a, &l, &ev, &outcome, &person));
	assert_int_equal(outcome, ENROLLED_NOW);
	w->person_id = str_copy(a, person->id);
	w->sid = l.session.sid;
	w->cookie = str_fmt(a, "__Host-session=%s", secret.p);
}

/* ---- putting up ---------------------------------------------------------------------------------------------------------- */

struct world *world_with_keys(size_t n)
{
	size_t all = keys_made;
	keys_made = n;
	struct world *w = world();
	keys_made = all;
	return w;
}

static void furnish(struct world *w)
{
	struct arena *a = w->a;
	struct house *h = &w->house;
	int64_t applied;
	*h = (struct house){ .conf = &w->conf, .issuer = w->conf.issuer, .origin = w->conf.issuer, .secure = true, .clock = clock_of };
	secrets_from((struct bytes){ (const unsigned char *)"a master key that is no secret..", 32 }, &h->secrets);
	breakable = engine_sqlite;
	breakable.run = run;
	atomic_store(&until, -1);
	fine(store_over(a, &breakable, str_from(a, w->conf.store, strlen("sqlite:")), &h->store));
	fine(store_migrate_up(h->store, a, &applied));
	fine(eph_open_memory(a, clock_ms_of, 8 << 20, &h->eph));
	fine(clients_new(a, &h->clients));
	fine(minted_new(a, &h->minted));
	fine(shelf_new(a, &h->shelf));
	fine(remotes_new(a, &h->remotes));
	fine(anchors_new(a, &h->anchors));
	for (size_t i = 0; i < keys_made; i++)
		add_key(w, i, keys_made == sizeof made / sizeof *made ? w->now : w->now - 86400);
	fine(keys_new(h, a, &h->keys));
}

struct world *world(void)
{
	char dir[] = "/tmp/motid-world-XXXXXX";
	end();
	the = (struct world){ .a = arena_new(), .now = 1800000000 };
	log_least = getenv("MOTID_TEST_LOG") ? LOG_DEBUG : LOG_ERROR + 1;
	assert_non_null(mkdtemp(dir));
	the.dir = str_dup(the.a, dir, strlen(dir));
	struct str text = str_fmt(the.a, "[idp]\nissuer = https://id.example\nstate = %s\nstore = sqlite:%s/motid.db\ncertified = unix:/run/motid.sock\n"
	                          "cert_host = https://cert.id.example\n[login]\nmethods = sim token tls\n", dir, dir);
	fine(conf_read(the.a, "world.conf", text, SETTINGS, &the.conf));
	furnish(&the);
	add_clients(&the);
	add_citizen(&the);
	return &the;
}

/* ---- waiting: idp/http/mhd.c gives its worker back; here the asker waits in its place ------------------------------------------ */

struct waiting { pthread_mutex_t lock; pthread_cond_t came; bool woken; };

static void waiting_free(void *p) { free(p); }

err request_park(struct req *rq, void **token)
{
	if (!rq->used)                       /* not served here: nobody waits for it */
		return fault(rq->a, &UNAVAILABLE, "this request cannot wait");
	struct waiting *k = calloc(1, sizeof *k);
	assert_non_null(k);
	pthread_mutex_init(&k->lock, NULL);
	pthread_cond_init(&k->came, NULL);
	arena_defer(rq->a, waiting_free, k);
	rq->wake = *token = k;
	return (err){ &PARKED, "waiting for another server" };
}

void request_wake(void *token)
{
	struct waiting *k = token;
	pthread_mutex_lock(&k->lock);
	k->woken = true;
	pthread_cond_signal(&k->came);
	pthread_mutex_unlock(&k->lock);
}

static void wait_for_wake(struct waiting *k)
{
	struct timespec limit;
	clock_gettime(CLOCK_REALTIME, &limit);
	limit.tv_sec += 30;
	pthread_mutex_lock(&k->lock);
	while (!k->woken && pthread_cond_timedwait(&k->came, &k->lock, &limit) == 0) {}
	if (!k->woken)
		fail_msg("parked, and never woken");
	pthread_mutex_unlock(&k->lock);
}

/* From the start again each time that what it waited for has come. */
static void serve_to_the_end(struct req *rq, struct res *rs)
{
	char used[USED_MOST] = { 0 };
	rq->used = used;
	const struct req asked = *rq;
	while (!serve(tables, rq, rs)) {
		wait_for_wake(rq->wake);
		*rq = asked;
		rq->parked_before = true;
	}
}

/* ---- asking ---------------------------------------------------------------------------------------------------------------- */

struct req *world_req(struct world *w)
{
	struct req *rq = make(w->a, struct req);
	*rq = (struct req){ .a = w->a, .house = &w->house, .now = w->now, .now_ms = w->now * 1000, .id = S("test"), .peer = S("192.0.2.7"),
	                    .method = S("POST"), .path = S("/token"), .client_cert = S(""), .lang = S("vi") };
	return rq;
}

static size_t read_headers(struct arena *a, const char *lines, struct param *out, size_t most)
{
	size_t n = 0;
	while (*lines && n < most) {
		size_t line = strcspn(lines, "\n"), name = strcspn(lines, ":");
		out[n++] = (struct param){ str_dup(a, lines, name), str_trim(a, str_dup(a, lines + name + 1, line - name - 1)) };
		lines += line + (lines[line] == '\n');
	}
	return n;
}

/* As the door does it: guard, head, fields, routes. The listener is a proxy's. */
struct res *ask_in(struct world *w, struct arena *a, const char *method, const char *target, const char *headers, const char *body)
{
	struct param l[32];
	struct req *rq = make(a, struct req);
	struct res *rs = make(a, struct res);
	size_t n = read_headers(a, headers, l, 28);
	l[n++] = (struct param){ S("Host"), S("id.example") };
	if (*body) {
		l[n++] = (struct param){ S("Content-Length"), str_fmt(a, "%zu", strlen(body)) };
		if (!strstr(headers, "Content-Type:"))
			l[n++] = (struct param){ S("Content-Type"), S("application/x-www-form-urlencoded") };
	}
	struct raw raw = { .method = str_of(method), .target = str_of(target), .version = S("HTTP/1.1"), .headers = l, .n = n, .origin = w->house.origin };
	*rq = (struct req){ .a = a, .house = &w->house, .now = w->now, .now_ms = w->now * 1000 + 1, .id = S("test") };
	struct verdict v = guard(&raw);
	if (v.status) {
		*rs = (struct res){ .status = v.status, .body = str_of(v.why) };
		return rs;
	}
	err e = request_head(rq, &raw, S("192.0.2.7"), true);
	if (!e.kind)
		e = request_fields(rq, str_of(body));
	if (e.kind)
		serve_fault(tables, rq, rs, e);
	else
		serve_to_the_end(rq, rs);
	if (!rs->body.p)
		rs->body = S("");
	return rs;
}

struct res *ask(struct world *w, const char *method, const char *target, const char *headers, const char *body)
{
	return ask_in(w, w->a, method, target, headers, body);
}

struct str enc(struct world *w, struct str s)
{
	struct buf b = buf_new(w->a, s.n + 16, 3 * s.n + 16);
	struct str out;
	buf_url(&b, s);
	fine(buf_done(&b, &out));
	return out;
}

/* RFC 6749 section 2.3.1: form-urlencoded, then Basic */
struct str as(struct world *w, const char *client)
{
	struct str pair = str_fmt(w->a, "%s:%s", client, enc(w, secret_of(w, client)).p);
	return str_fmt(w->a, "Authorization: Basic %s\n", b64(w->a, str_bytes(pair)).p);
}

struct str signed_by(struct world *w, struct signer *s, const char *typ, const char *claims)
{
	struct str token;
	fine(jws_sign(w->a, s, str_of(typ), str_of(claims), &token));
	return token;
}

struct str consent_with(struct world *w, const char *client, const char *challenge, struct grant_row *g)
{
	struct req *rq = world_req(w);
	const struct client *c;
	struct str code;
	fine(client_find(rq, str_of(client), &c));
	assert_non_null(c);
	*g = (struct grant_row){
		.client_id = c->id, .person_id = w->person_id, .sid = w->sid, .sub = subject_for(&w->house, w->a, c, w->person_id),
		.scope = g->scope.n ? g->scope : S("openid"), .acr = S("substantial"), .amr = S("hwk pin mca mfa"), .nonce = g->nonce.n ? g->nonce : S(""),
		.claims = g->claims.n ? g->claims : S(""), .auth_time = w->now, .created_at = w->now, .offline = g->offline, .auth_time_asked = g->auth_time_asked, .resources = g->resources,
	};
	struct code_row asked = { .redirect_uri = str_fmt(w->a, "https://%s.example/cb", client), .challenge = str_of(challenge) };
	fine(code_issue(rq, c, g, &asked, &code));
	return code;
}

struct str consent(struct world *w, const char *client, const char *scope, const char *challenge)
{
	struct grant_row g = { .scope = str_of(scope), .nonce = S("n-0S6_WzA2Mj") };
	return consent_with(w, client, challenge, &g);
}

struct res *redeem(struct world *w, const char *client, struct str code)
{
	return ask(w, "POST", "/token", as(w, client).p,
	           str_fmt(w->a, "grant_type=authorization_code&code=%s&redirect_uri=https%%3A%%2F%%2F%s.example%%2Fcb", code.p, client).p);
}

struct res *refresh(struct world *w, const char *client, struct str token)
{
	return ask(w, "POST", "/token", as(w, client).p, str_fmt(w->a, "grant_type=refresh_token&refresh_token=%s", token.p).p);
}

/* ---- looking at answers ----------------------------------------------------------------------------------------------------- */

const char *str_quoted(const char *code)
{
	static _Thread_local char text[128];
	snprintf(text, sizeof text, "\"%s\"", code);
	return text;
}

json_t *json_of(struct world *w, struct res *rs)
{
	json_t *o;
	fine(json_read_object(w->a, rs->body, &o));
	return o;
}

struct str told(struct world *w, struct res *rs, const char *member) { return json_text(json_of(w, rs), member); }

json_t *claims_of(struct world *w, struct str token)
{
	struct jws jws;
	json_t *o;
	fine(jws_read(w->a, token, &jws));
	fine(json_read_object(w->a, jws.payload, &o));
	return o;
}

struct str res_head(const struct res *rs, const char *name)
{
	for (size_t i = 0; i < rs->headers.n; i++)
		if (str_eq_nocase(rs->headers.v[i].name, str_of(name)))
			return rs->headers.v[i].value;
	return S("");
}

size_t audits(struct world *w, const char *event, const char *outcome)
{
	struct audit *l;
	size_t n, found = 0;
	fine(store_audit_tail(w->house.store, w->a, S(""), 1000, &l, &n));
	for (size_t i = 0; i < n; i++)
		if (!audit_meaning(l[i].event) && !str_is(l[i].event, "test"))
			fail_msg("event '%s' is not in idp/http/audit_events.def", l[i].event.p);
	for (size_t i = 0; i < n; i++)
		found += str_is(l[i].event, event) && str_is(l[i].outcome, outcome);
	return found;
}
