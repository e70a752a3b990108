#include "town.h"
#include "audit_of.h"
#include "code.h"
#include "evidence.h"
#include "fake.h"
#include "hash.h"
#include "jws.h"
#include "oidc.h"
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <time.h>

/* Client-initiated backchannel authentication by the citizen's SIM (OpenID CIBA Core 1.0). Names in ~ are modules of the FAPI-CIBA plan,
 * without their prefix fapi-ciba-id1. */

#define GRANT "grant_type=urn:openid:params:grant-type:ciba"
#define PHONE "tel:%2B84912345678"
#define HINT "login_hint=" PHONE ";number=" AN
#define MSISDN "+84912345678"

struct scene { struct town *t; struct world *w; struct str id; };

#define WITH_CIBA ",\"grant_types\":[\"authorization_code\",\"refresh_token\",\"urn:openid:params:grant-type:ciba\"],\"scope\":\"openid profile offline_access\"" \
	",\"backchannel_token_delivery_mode\":"

/* counter, centre: poll, secrets. strict: the FAPI-CIBA profile, by an assertion and with a certificate. */
static struct town *with_clients(void)
{
	struct town *t = town();
	struct world *w = t->w;
	browser(w);                          /* every route there is */
	world_client(w, "counter", "client_secret_basic", WITH_CIBA "\"poll\"");
	world_client(w, "centre", "client_secret_basic", WITH_CIBA "\"poll\"");
	world_client(w, "strict", "private_key_jwt", str_fmt(w->a, ",\"grant_types\":[\"refresh_token\",\"urn:openid:params:grant-type:ciba\"],\"scope\":\"openid profile offline_access\","
		"\"backchannel_token_delivery_mode\":\"poll\",\"profile\":\"fapi-ciba-2026\",\"id_token_signed_response_alg\":\"ES256\","
		"\"backchannel_authentication_request_signing_alg\":\"ES256\",\"jwks\":{\"keys\":[%s]}", signer_public_jwk(w->bank_key).p).p);
	return t;
}

static struct res *asks_as(struct world *w, const char *client, const char *body) { return ask(w, "POST", "/bc-authorize", as(w, client).p, body); }

static struct res *polled_as(struct scene *s, const char *client, struct str id)
{
	return ask(s->w, "POST", "/token", as(s->w, client).p, str_fmt(s->w->a, GRANT "&auth_req_id=%s", id.p).p);
}

static struct res *polled(struct scene *s) { return polled_as(s, "counter", s->id); }

static struct scene asked(const char *more)
{
	struct scene s = { .t = with_clients() };
	s.w = s.t->w;
	struct res *rs = asks_as(s.w, "counter", str_fmt(s.w->a, "scope=openid%%20profile%%20offline_access&%s&%s", HINT, more).p);
	is_status(rs, 200);
	s.id = told(s.w, rs, "auth_req_id");
	return s;
}

static void signs(struct scene *s, int nth, const struct minted *who)
{
	struct push *p = push(s->t, nth);
	phone_signs(s->t, p, who);
	answered(s->t, p);
}

static void says(struct scene *s, int nth, const char *code)
{
	struct push *p = push(s->t, nth);
	phone_says(s->t, p, code);
	answered(s->t, p);
}

#define gave_nothing(s) do { assert_int_equal(audits((s)->w, "token.issued", "ok"), 0); assert_int_equal(audits((s)->w, "ciba.decided", "ok"), 0); } while (0)

/* ---- how it goes ---- */

/* fapi-ciba-id1: two questions are pending, then the tokens, and once */
TEST(a_login_begun_at_a_counter_is_given_on_the_phone)
{
	struct scene s = asked("binding_message=Quay%207");
	struct push *p = push(s.t, 1);
	assert_str(p->msisdn, MSISDN);
	assert_int_equal(p->hash.n, 32);
	assert_str(p->display, "counter: &quot;Quay 7&quot;. Chi xac nhan neu Ong/Ba dang yeu cau.");
	assert_int_equal(s.id.n, 43);
	is_fault(polled(&s), AUTHORIZATION_PENDING);
	pass(s.w, 5);
	is_fault(polled(&s), AUTHORIZATION_PENDING);
	signs(&s, 1, s.t->an);
	struct res *rs = polled(&s);
	is_tokens(s.w, rs);
	assert_str(res_head(rs, "Cache-Control"), "no-store");
	json_t *claims = claims_of(s.w, told(s.w, rs, "id_token"));
	assert_str(json_text(claims, "aud"), "counter");
	assert_str(json_text(claims, "acr"), "substantial");
	assert_true(json_text(claims, "sid").n == 43);
	is_status(ask(s.w, "GET", "/userinfo", str_fmt(s.w->a, "Authorization: Bearer %s\n", told(s.w, rs, "access_token").p).p, ""), 200);
	is_fault(polled(&s), INVALID_GRANT);                              /* ~ second redemption */
	is_tokens(s.w, refresh(s.w, "counter", told(s.w, rs, "refresh_token")));
	is_fault(refresh(s.w, "centre", told(s.w, rs, "refresh_token")), INVALID_GRANT);   /* ~refresh-token */
	struct browser *b = browser(s.w);                                 /* by token the same person is the same subject */
	assert_true(str_eq(json_text(claims, "sub"), json_text(tokens_for(b, "counter", follow(b, submit(b, sign_in(b, authorize(b, "counter", ""), s.t->an),
		"/login/consent", "decision=allow"))), "sub")));
	assert_int_equal(audits(s.w, "ciba.asked", "ok"), 1);
	assert_int_equal(audits(s.w, "sim.asked", "ok"), 1);
	assert_int_equal(audits(s.w, "ciba.decided", "ok"), 1);
}

/* ~discovery-end-point-verification */
TEST(discovery_says_what_is_offered_where_phones_can_be_asked)
{
	struct town *t = town();
	browser(t->w);
	json_t *o = json_of(t->w, ask(t->w, "GET", "/.well-known/openid-configuration", "", ""));
	assert_str(json_text(o, "backchannel_authentication_endpoint"), "https://id.example/bc-authorize");
	assert_true(strs_has(json_strs(t->a, o, "backchannel_token_delivery_modes_supported"), S("poll")));
	assert_true(strs_has(json_strs(t->a, o, "backchannel_authentication_request_signing_alg_values_supported"), S("ES256")));
	assert_true(strs_has(json_strs(t->a, o, "grant_types_supported"), S("urn:openid:params:grant-type:ciba")));
	assert_true(json_is_false(json_object_get(o, "backchannel_user_code_parameter_supported")));
	assert_str(json_text(json_object_get(o, "mtls_endpoint_aliases"), "backchannel_authentication_endpoint"), "https://cert.id.example/bc-authorize");
	/* the twin: no operator, no offer */
	struct mobile *m = t->w->house.mobile;
	t->w->house.mobile = NULL;
	o = json_of(t->w, ask(t->w, "GET", "/.well-known/openid-configuration", "", ""));
	t->w->house.mobile = m;
	assert_null(json_object_get(o, "backchannel_authentication_endpoint"));
	assert_false(strs_has(json_strs(t->a, o, "grant_types_supported"), S("urn:openid:params:grant-type:ciba")));
}

/* ~user-rejects-authentication, and every other end that is no signature */
TEST(a_phone_that_refuses_gives_access_denied)
{
	static const struct { const char *code, *end; } ENDS[] = { { "401", "refused" }, { "402", "blocked" }, { "209", "unreachable" }, { "501", "revoked" }, { "406", "busy" }, { "503", "operator_down" } };
	for (size_t i = 0; i < sizeof ENDS / sizeof *ENDS; i++) {
		struct scene s = asked("");
		says(&s, 1, ENDS[i].code);
		struct res *rs = polled(&s);
		is_fault(rs, REFUSED_BY_PERSON);
		is_fault(polled(&s), REFUSED_BY_PERSON);
		assert_int_equal(audits(s.w, "ciba.decided", ENDS[i].end), 1);
		gave_nothing(&s);
	}
}

/* ~multiple-call-to-token-endpoint */
TEST(who_asks_too_fast_is_slowed_down_and_still_gets_the_tokens)
{
	struct scene s = asked("");
	is_fault(polled(&s), AUTHORIZATION_PENDING);
	for (int i = 0; i < 10; i++)
		is_fault(polled(&s), SLOW_DOWN);
	signs(&s, 1, s.t->an);
	is_tokens(s.w, polled(&s));
}

/* ~auth-req-id-expired, ~ensure-requested-expiry-as-string-succeeds */
TEST(a_request_is_over_when_it_said_so)
{
	struct scene s = asked("requested_expiry=10");
	pass(s.w, 9);
	is_fault(polled(&s), AUTHORIZATION_PENDING);
	pass(s.w, 1);
	is_fault(polled(&s), EXPIRED_TOKEN);
	signs(&s, 1, s.t->an);
	is_fault(polled(&s), EXPIRED_TOKEN);
	gave_nothing(&s);
	static const struct { const char *asked; int64_t lives; } EXPIRIES[] = { { "", 180 }, { "&requested_expiry=300", 300 }, { "&requested_expiry=1", 10 }, { "&requested_expiry=99999", 600 } };
	for (size_t i = 0; i < sizeof EXPIRIES / sizeof *EXPIRIES; i++, pass(s.w, 200)) {
		struct res *rs = asks_as(s.w, "counter", str_fmt(s.w->a, "scope=openid&%s%s", HINT, EXPIRIES[i].asked).p);
		is_status(rs, 200);
		assert_int_equal(json_integer_value(json_object_get(json_of(s.w, rs), "expires_in")), EXPIRIES[i].lives);
	}
	static const char *const WRONG[] = { "0", "-5", "1.5", "ten", "1e2" };
	for (size_t i = 0; i < sizeof WRONG / sizeof *WRONG; i++)
		is_fault(asks_as(s.w, "counter", str_fmt(s.w->a, "scope=openid&%s&requested_expiry=%s", HINT, WRONG[i]).p), INVALID_REQUEST);
}

/* ~ensure-authorization-request-with-binding-message-succeeds, ~with-potentially-bad-binding-message */
TEST(the_phone_shows_the_message_as_it_is_or_the_request_is_refused)
{
	static const struct { const char *message, *shown; } GOOD[] = {
		{ "1234", "1234" }, { "H%E1%BB%93%20s%C6%A1%20s%E1%BB%91%2042", "Ho so so 42" }, { "W4SCT", "W4SCT" }, { "+%20a%20%20b", "a b" },
	};
	static const char *const BAD[] = { "%F0%9F%94%91", "%E4%BD%A0%E5%A5%BD", "a%22.%20Ma%201234", "%7Bcode%7D", "a%0Ab", "a?", "x%5By%5D",
		"123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345" };
	struct town *t = with_clients();
	t->w->conf.sim_per_person = t->w->conf.sim_per_number = 100;
	int n = 0;
	for (size_t i = 0; i < sizeof GOOD / sizeof *GOOD; i++) {
		is_status(asks_as(t->w, "counter", str_fmt(t->a, "scope=openid&%s&binding_message=%s", HINT, GOOD[i].message).p), 200);
		assert_str(push(t, ++n)->display, str_fmt(t->a, "counter: &quot;%s&quot;. Chi xac nhan neu Ong/Ba dang yeu cau.", GOOD[i].shown).p);
	}
	for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++)
		is_fault(asks_as(t->w, "counter", str_fmt(t->a, "scope=openid&%s&binding_message=%s", HINT, BAD[i]).p), INVALID_BINDING_MESSAGE);
	is_status(asks_as(t->w, "counter", str_fmt(t->a, "scope=openid&%s", HINT).p), 200);
	assert_str(push(t, ++n)->display, "counter: xac nhan dang nhap. Chi xac nhan neu Ong/Ba dang yeu cau.");
	assert_int_equal(pushes(t), n);
}

/* ---- what is wrong with a request ---- */

/* ~ensure-authorization-request-with-multiple-hints-fails, ~ensure-other-scope-order-succeeds */
TEST(a_request_has_one_hint_and_openid)
{
	struct world *w = with_clients()->w;
	is_fault(asks_as(w, "counter", "scope=openid"), INVALID_REQUEST);
	is_fault(asks_as(w, "counter", "scope=openid&" HINT "&id_token_hint=x"), INVALID_REQUEST);
	is_fault(asks_as(w, "counter", "scope=openid&" HINT "&login_hint_token=x"), INVALID_REQUEST);
	is_fault(asks_as(w, "counter", "scope=openid&" HINT "&" HINT), INVALID_REQUEST);
	is_fault(asks_as(w, "counter", "scope=profile&" HINT), INVALID_SCOPE);
	is_fault(asks_as(w, "counter", HINT), INVALID_SCOPE);
	is_fault(asks_as(w, "counter", "scope=openid&" HINT "&request=x"), INVALID_REQUEST);
	is_fault(asks_as(w, "portal", "scope=openid&" HINT), UNAUTHORIZED_CLIENT);
	is_fault(ask(w, "POST", "/bc-authorize", "", "client_id=counter&scope=openid&" HINT), INVALID_CLIENT);
	is_status(ask(w, "GET", "/bc-authorize", as(w, "counter").p, ""), 405);
	assert_int_equal(audits(w, "ciba.asked", "ok"), 0);
	is_status(asks_as(w, "counter", "scope=profile%20openid&unknown=1&" HINT), 200);
}

TEST(a_hint_that_names_nobody_who_could_be_asked_is_told)
{
	struct world *w = with_clients()->w;
	static const char *const NOBODY[] = { "tel:%2B84912345678", "tel:%2B84912345678;number=", ("tel:12;number=" AN), "tel:%2B84912345678;number=12", AN, "0912345678",
		"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "%00", "buffy@id.example" };
	for (size_t i = 0; i < sizeof NOBODY / sizeof *NOBODY; i++) {
		struct res *rs = asks_as(w, "counter", str_fmt(w->a, "scope=openid&login_hint=%s", NOBODY[i]).p);
		assert_int_equal(rs->status, 400);
		if (strcmp(NOBODY[i], "%00"))
			is_fault(rs, UNKNOWN_USER_ID);
	}
	assert_int_equal(audits(w, "ciba.asked", "ok"), 0);
}

/* The same person, by everything that this client may know them by. */
TEST(a_client_names_whom_it_knows_by_subject_id_token_or_signed_hint)
{
	struct scene s = asked("");
	signs(&s, 1, s.t->an);
	struct res *rs = polled(&s);
	is_tokens(s.w, rs);
	struct str id_token = told(s.w, rs, "id_token"), sub = json_text(claims_of(s.w, id_token), "sub");
	is_status(asks_as(s.w, "counter", str_fmt(s.w->a, "scope=openid&login_hint=%s", sub.p).p), 200);
	assert_str(push(s.t, 2)->msisdn, MSISDN);
	is_status(asks_as(s.w, "counter", str_fmt(s.w->a, "scope=openid&id_token_hint=%s", id_token.p).p), 200);
	assert_str(push(s.t, 3)->msisdn, MSISDN);
	/* the twins: another client's subject and ID token are nobody's here */
	is_fault(asks_as(s.w, "centre", str_fmt(s.w->a, "scope=openid&login_hint=%s", sub.p).p), UNKNOWN_USER_ID);
	is_fault(asks_as(s.w, "centre", str_fmt(s.w->a, "scope=openid&id_token_hint=%s", id_token.p).p), INVALID_REQUEST);
	is_fault(asks_as(s.w, "counter", str_fmt(s.w->a, "scope=openid&id_token_hint=%s", told(s.w, rs, "access_token").p).p), INVALID_REQUEST);
	/* a hint that the client signed; none that it did not, or that is over */
	static const struct { const char *iss, *aud; int64_t exp; const struct err_kind *kind; } TOKENS[] = {
		{ "strict", "https://id.example", 60, NULL }, { "counter", "https://id.example", 60, &INVALID_REQUEST },
		{ "strict", "https://other.example", 60, &INVALID_REQUEST }, { "strict", "https://id.example", -60, &EXPIRED_LOGIN_HINT_TOKEN },
	};
	world_client(s.w, "hinter", "private_key_jwt", str_fmt(s.w->a, WITH_CIBA "\"poll\",\"jwks\":{\"keys\":[%s]}", signer_public_jwk(s.w->bank_key).p).p);
	for (size_t i = 0; i < sizeof TOKENS / sizeof *TOKENS; i++) {
		const char *iss = strcmp(TOKENS[i].iss, "strict") ? TOKENS[i].iss : "hinter";
		struct str hint = signed_by(s.w, s.w->bank_key, "JWT", str_fmt(s.w->a, "{\"iss\":\"%s\",\"aud\":\"%s\",\"exp\":%lld,\"login_hint\":\"tel:" MSISDN ";number=" AN "\"}",
			iss, TOKENS[i].aud, (long long)(s.w->now + TOKENS[i].exp)).p);
		struct str assertion = signed_by(s.w, s.w->bank_key, "JWT", str_fmt(s.w->a, "{\"iss\":\"hinter\",\"sub\":\"hinter\",\"aud\":\"https://id.example/bc-authorize\","
			"\"exp\":%lld,\"jti\":\"h-%zu\"}", (long long)s.w->now + 60, i).p);
		rs = ask(s.w, "POST", "/bc-authorize", "", str_fmt(s.w->a, "client_assertion_type=urn:ietf:params:oauth:client-assertion-type:jwt-bearer&client_assertion=%s"
			"&scope=openid&login_hint_token=%s", assertion.p, hint.p).p);
		if (TOKENS[i].kind)
			is_fault(rs, *TOKENS[i].kind);
		else
			assert_true(rs->status == 403 || rs->status == 200);      /* read: counter's request is the one that is open */
	}
}

/* ---- signed requests: the FAPI-CIBA profile ---- */

static struct str assertion_with(struct world *w, struct signer *by, const char *aud)
{
	static int n;
	return signed_by(w, by, "JWT", str_fmt(w->a, "{\"iss\":\"strict\",\"sub\":\"strict\",\"aud\":\"%s\",\"exp\":%lld,\"jti\":\"a-%d\"}", aud, (long long)w->now + 60, ++n).p);
}

static struct str strict_body(struct world *w, const char *rest)
{
	return str_fmt(w->a, "client_assertion_type=urn:ietf:params:oauth:client-assertion-type:jwt-bearer&client_assertion=%s&%s",
	               assertion_with(w, w->bank_key, "https://id.example").p, rest);
}

static struct str with_cert(struct world *w) { return str_fmt(w->a, "Client-Cert: :%s:\n", w->gate_cert.p); }

/* What a good request says, but that `name` is `value` (JSON), or is not there when value is NULL. */
static struct str claims_but(struct world *w, const char *name, const char *value)
{
	static int n;
	json_t *o, *v = NULL;
	fine(json_read_object(w->a, str_fmt(w->a, "{\"iss\":\"strict\",\"aud\":\"https://id.example\",\"exp\":%lld,\"iat\":%lld,\"nbf\":%lld,\"jti\":\"r-%d\","
		"\"scope\":\"openid profile\",\"login_hint\":\"tel:" MSISDN ";number=" AN "\",\"binding_message\":\"1234\"}",
		(long long)w->now + 300, (long long)w->now, (long long)w->now, ++n), &o));
	if (name && value) {
		fine(json_read(w->a, str_of(value), &v));
		json_object_set(o, name, v);
	} else if (name) {
		json_object_del(o, name);
	}
	return json_dump(w->a, o);
}

static struct res *asks_signed(struct world *w, struct str jwt, const char *more)
{
	return ask(w, "POST", "/bc-authorize", with_cert(w).p, strict_body(w, str_fmt(w->a, "request=%s%s", jwt.p, more).p).p);
}

static struct res *asks_saying(struct world *w, const char *name, const char *value)
{
	return asks_signed(w, signed_by(w, w->bank_key, "JWT", claims_but(w, name, value).p), "");
}

/* fapi-ciba-id1 by its profile: a signed request, tokens bound to the certificate (~ensure-mtls-holder-of-key-required) */
TEST(a_strict_client_signs_its_request_and_its_tokens_are_bound)
{
	struct scene s = { .t = with_clients() };
	s.w = s.t->w;
	struct res *rs = asks_saying(s.w, "requested_expiry", "\"300\"");
	is_status(rs, 200);
	s.id = told(s.w, rs, "auth_req_id");
	signs(&s, 1, s.t->an);
	struct str body = str_fmt(s.w->a, GRANT "&auth_req_id=%s", s.id.p);
	is_fault(ask(s.w, "POST", "/token", "", strict_body(s.w, body.p).p), INVALID_REQUEST);
	rs = ask(s.w, "POST", "/token", with_cert(s.w).p, strict_body(s.w, body.p).p);
	is_tokens(s.w, rs);
	struct str token = told(s.w, rs, "access_token");
	assert_int_equal(json_text(json_object_get(claims_of(s.w, token), "cnf"), "x5t#S256").n, 43);
	is_status(ask(s.w, "GET", "/userinfo", str_fmt(s.w->a, "Authorization: Bearer %s\n", token.p).p, ""), 401);
	is_status(ask(s.w, "GET", "/userinfo", str_fmt(s.w->a, "%sAuthorization: Bearer %s\n", with_cert(s.w).p, token.p).p, ""), 200);
}

/* ~ensure-request-object-{missing-aud,bad-aud,missing-iss,bad-iss,missing-exp,expired-exp,exp-is-70-minutes-in-future,missing-iat,missing-nbf,
 * nbf-is-10-minutes-in-future,nbf-is-70-minutes-in-past,missing-jti}-fails */
TEST(a_signed_request_with_one_thing_wrong_is_an_invalid_request)
{
	struct world *w = with_clients()->w;
	const struct { const char *name; struct str value; } WRONG[] = {
		{ "aud", { 0 } }, { "aud", S("\"https://other.example\"") }, { "aud", S("[]") }, { "iss", { 0 } }, { "iss", S("\"counter\"") }, { "exp", { 0 } },
		{ "exp", str_fmt(w->a, "%lld", (long long)w->now - 300) }, { "exp", str_fmt(w->a, "%lld", (long long)w->now + 4200) }, { "exp", S("1.5") },
		{ "iat", { 0 } }, { "nbf", { 0 } }, { "nbf", str_fmt(w->a, "%lld", (long long)w->now + 600) }, { "nbf", str_fmt(w->a, "%lld", (long long)w->now - 4200) },
		{ "jti", { 0 } }, { "jti", S("\"\"") }, { "jti", S("7") }, { "sub", S("\"strict\"") }, { "login_hint", { 0 } }, { "login_hint_token", S("\"x\"") }, { "binding_message", S("{}") },
		{ "requested_expiry", S("\"soon\"") }, { "requested_expiry", S("1.5") },
	};
	for (size_t i = 0; i < sizeof WRONG / sizeof *WRONG; i++)
		is_fault(asks_saying(w, WRONG[i].name, WRONG[i].value.p), INVALID_REQUEST);
	is_fault(asks_saying(w, "scope", "\"profile\""), INVALID_SCOPE);
	assert_int_equal(audits(w, "ciba.asked", "ok"), 0);
	is_status(asks_saying(w, "aud", "[\"https://id.example\",\"x\"]"), 200);
	is_status(asks_saying(w, "nbf", str_fmt(w->a, "%lld", (long long)w->now + 8).p), 200);
}

/* ~ensure-request-object-signature-algorithm-is-{none,bad,RS256}-fails, ~signed-by-other-client-fails,
 * ~ensure-unsigned-backchannel-authorization-request-fails */
TEST(a_request_that_its_client_did_not_sign_is_an_invalid_request)
{
	struct world *w = with_clients()->w;
	struct signer *other, *rsa;
	fine(signer_local_new(w->a, S("ES256"), S("bank-1"), &other));
	fine(signer_local_new(w->a, S("RS256"), S("bank-1"), &rsa));
	struct str good = signed_by(w, w->bank_key, "JWT", claims_but(w, NULL, NULL).p);
	struct str unsigned_one = str_fmt(w->a, "%s.%s.", b64url(w->a, str_bytes(S("{\"alg\":\"none\"}"))).p, b64url(w->a, str_bytes(claims_but(w, NULL, NULL))).p);
	is_fault(asks_signed(w, signed_by(w, other, "JWT", claims_but(w, NULL, NULL).p), ""), INVALID_REQUEST);
	is_fault(asks_signed(w, signed_by(w, rsa, "JWT", claims_but(w, NULL, NULL).p), ""), INVALID_REQUEST);
	is_fault(asks_signed(w, unsigned_one, ""), INVALID_REQUEST);
	is_fault(asks_signed(w, str_dup(w->a, good.p, good.n - 2), ""), INVALID_REQUEST);
	is_fault(asks_signed(w, S("x"), ""), INVALID_REQUEST);
	is_fault(asks_signed(w, good, "&binding_message=other"), INVALID_REQUEST);      /* nothing beside it */
	is_fault(ask(w, "POST", "/bc-authorize", with_cert(w).p, strict_body(w, "scope=openid&" HINT).p), INVALID_REQUEST);
	assert_int_equal(audits(w, "ciba.asked", "ok"), 0);
	is_status(asks_signed(w, good, ""), 200);
	is_fault(asks_signed(w, good, ""), INVALID_REQUEST);                           /* SEC-14: its jti was used */
	signer_free(other);
	signer_free(rsa);
}

/* ~ensure-client-assertion-with-iss-aud-to-token-endpoint-succeeds, ~ensure-without-client-assertion-in-…, …-RS256-fails */
TEST(the_endpoint_knows_its_clients_by_its_own_address_the_token_endpoints_and_the_issuers)
{
	struct world *w = with_clients()->w;
	static const char *const AUDIENCES[] = { "https://id.example", "https://id.example/token", "https://id.example/bc-authorize" };
	struct str good[3];
	for (size_t i = 0; i < 3; i++) {
		good[i] = assertion_with(w, w->bank_key, AUDIENCES[i]);
		is_status(ask(w, "POST", "/bc-authorize", with_cert(w).p, str_fmt(w->a, "client_assertion_type=urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
			"&client_assertion=%s&request=%s", good[i].p, signed_by(w, w->bank_key, "JWT", claims_but(w, NULL, NULL).p).p).p), 200);
	}
	struct signer *rsa;
	fine(signer_local_new(w->a, S("RS256"), S("bank-1"), &rsa));
	struct str wrong[] = { assertion_with(w, w->bank_key, "https://other.example"), assertion_with(w, rsa, "https://id.example"), good[0] };
	for (size_t i = 0; i < 3; i++)
		is_fault(ask(w, "POST", "/bc-authorize", with_cert(w).p, str_fmt(w->a, "client_assertion_type=urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
			"&client_assertion=%s&request=x", wrong[i].p).p), INVALID_CLIENT);
	is_fault(ask(w, "POST", "/bc-authorize", with_cert(w).p, "client_id=strict&request=x"), INVALID_CLIENT);
	signer_free(rsa);
}

/* ---- whose it is ---- */

/* ~ensure-wrong-auth-req-id-in-token-endpoint-request; SEC-03, SEC-04, SEC-09 */
TEST(an_auth_req_id_is_good_for_its_client_alone_and_for_nothing_else)
{
	struct scene s = asked("");
	signs(&s, 1, s.t->an);
	is_fault(polled_as(&s, "centre", s.id), INVALID_GRANT);
	is_fault(polled_as(&s, "portal", s.id), UNAUTHORIZED_CLIENT);
	is_fault(redeem(s.w, "counter", s.id), INVALID_GRANT);
	is_fault(refresh(s.w, "counter", s.id), INVALID_GRANT);
	is_fault(ask(s.w, "POST", "/token", as(s.w, "box").p, str_fmt(s.w->a, "grant_type=urn:ietf:params:oauth:grant-type:device_code&device_code=%s", s.id.p).p), INVALID_GRANT);
	is_fault(polled_as(&s, "counter", consent(s.w, "counter", "openid", "")), INVALID_GRANT);
	is_fault(ask(s.w, "POST", "/token", as(s.w, "counter").p, GRANT), INVALID_REQUEST);
	gave_nothing(&s);
	is_tokens(s.w, polled(&s));
}

/* SEC-32: it must be this person's signature, over what this request is */
TEST(nothing_but_the_persons_signature_over_this_request_lets_in)
{
	struct scene s = asked("");
	signs(&s, 1, s.t->binh);
	is_fault(polled(&s), REFUSED_BY_PERSON);
	gave_nothing(&s);
	s = asked("");
	struct push *p = push(s.t, 1);
	phone_signs_this(s.t, p, s.t->an, (struct bytes){ (const unsigned char *)"00000000000000000000000000000000", 32 });
	answered(s.t, p);
	is_fault(polled(&s), REFUSED_BY_PERSON);
	gave_nothing(&s);
	s = asked("");
	responder_says(s.t, s.t->an, SAYS_REVOKED);
	signs(&s, 1, s.t->an);
	is_fault(polled(&s), REFUSED_BY_PERSON);
	gave_nothing(&s);
}

TEST(what_is_signed_is_another_thing_for_every_request)
{
	struct scene s = asked("binding_message=1");
	says(&s, 1, "401");
	struct bytes first = push(s.t, 1)->hash;
	is_status(asks_as(s.w, "counter", "scope=openid%20profile%20offline_access&binding_message=1&" HINT), 200);
	assert_memory_not_equal(first.p, push(s.t, 2)->hash.p, 32);
}

/* SIGNATURES.md 4.7 */
TEST(a_signature_that_comes_too_late_is_never_used)
{
	struct scene s = asked("requested_expiry=600");
	pass(s.w, 140);
	signs(&s, 1, s.t->an);
	is_fault(polled(&s), AUTHORIZATION_PENDING);
	pass(s.w, 460);
	is_fault(polled(&s), EXPIRED_TOKEN);
	gave_nothing(&s);
}

/* SEC-33 */
TEST(a_number_that_nobody_has_looks_like_a_phone_that_is_silent)
{
	struct scene s = { .t = with_clients() };
	s.w = s.t->w;
	struct res *unknown = asks_as(s.w, "counter", "scope=openid&login_hint=tel:%2B84912345999;number=001099000999");
	is_status(unknown, 200);
	s.id = told(s.w, unknown, "auth_req_id");
	says(&s, 1, "404");
	is_fault(polled(&s), AUTHORIZATION_PENDING);
	pass(s.w, 179);
	is_fault(polled(&s), AUTHORIZATION_PENDING);
	pass(s.w, 1);
	is_fault(polled(&s), EXPIRED_TOKEN);
}

static void disable(struct scene *s, const char *number)
{
	struct person_row *p;
	struct audit ev = audit_of(world_req(s->w), "person.changed");
	fine(store_person_by_number(s->w->house.store, s->w->a, number_mac(&s->w->house, s->w->a, str_of(number)), &p));
	assert_non_null(p);
	p->disabled_at = s->w->now;
	fine(store_person_change(s->w->house.store, s->w->a, p, &ev));
}

/* SEC-32: looked at when it begins, when it is approved, and when it is redeemed */
TEST(a_disabled_person_is_not_asked_not_let_in_and_gets_no_token)
{
	struct scene s = asked("");
	signs(&s, 1, s.t->an);
	struct res *rs = polled(&s);
	is_tokens(s.w, rs);
	rs = asks_as(s.w, "counter", "scope=openid&" HINT);
	s.id = told(s.w, rs, "auth_req_id");
	signs(&s, 2, s.t->an);
	disable(&s, "PNOVN-" AN);
	is_fault(polled(&s), REFUSED_BY_PERSON);
	rs = asks_as(s.w, "counter", "scope=openid&" HINT);
	is_status(rs, 200);                                               /* and the phone stays silent */
	s.id = told(s.w, rs, "auth_req_id");
	is_fault(polled(&s), AUTHORIZATION_PENDING);
	assert_int_equal(pushes(s.t), 2);
	assert_int_equal(audits(s.w, "token.issued", "ok"), 1);
}

/* SEC-32: one open request a person */
TEST(one_request_is_open_for_a_person_and_only_its_own_client_may_replace_it)
{
	struct scene s = asked("");
	push(s.t, 1);
	is_fault(asks_as(s.w, "centre", "scope=openid&" HINT), ACCESS_DENIED);
	is_fault(asks_as(s.w, "centre", "scope=openid&login_hint=" PHONE ";number=" BINH), ACCESS_DENIED);
	assert_int_equal(pushes(s.t), 1);
	struct res *rs = asks_as(s.w, "counter", "scope=openid&" HINT);
	is_status(rs, 200);
	struct scene later = s;
	later.id = told(s.w, rs, "auth_req_id");
	is_fault(polled(&s), REFUSED_BY_PERSON);
	assert_int_equal(audits(s.w, "ciba.decided", "superseded"), 1);
	signs(&s, 1, s.t->an);                                            /* what the first was signed for is nothing to the second */
	is_fault(polled(&s), REFUSED_BY_PERSON);
	is_fault(polled(&later), AUTHORIZATION_PENDING);
	signs(&s, 2, s.t->an);
	is_tokens(s.w, polled(&later));
}

/* SEC-35 */
TEST(a_person_a_phone_and_a_client_are_asked_no_more_often_than_is_allowed)
{
	struct town *t = with_clients();
	for (int i = 0; i < 5; i++)
		is_status(asks_as(t->w, "counter", "scope=openid&" HINT), 200);
	is_fault(asks_as(t->w, "counter", "scope=openid&" HINT), TOO_MANY_REQUESTS);
	is_fault(asks_as(t->w, "centre", "scope=openid&" HINT), TOO_MANY_REQUESTS);
	push(t, 5);
	assert_int_equal(pushes(t), 5);
	t->w->conf.sim_per_client = 8;
	for (int i = 0; i < 3; i++)
		asks_as(t->w, "counter", str_fmt(t->a, "scope=openid&login_hint=tel:%%2B8491234500%d;number=00109900010%d", i, i).p);
	is_fault(asks_as(t->w, "counter", "scope=openid&login_hint=tel:%2B84912345111;number=001099000111"), TOO_MANY_REQUESTS);
	is_status(asks_as(t->w, "centre", "scope=openid&login_hint=tel:%2B84912345111;number=001099000111"), 200);
}

/* SEC-41 */
TEST(a_client_whose_floor_no_phone_reaches_is_told_so)
{
	struct world *w = with_clients()->w;
	world_client(w, "lofty", "client_secret_basic", WITH_CIBA "\"poll\",\"minimum_acr\":\"high\"");
	world_client(w, "level", "client_secret_basic", WITH_CIBA "\"poll\",\"minimum_acr\":\"substantial\"");
	is_fault(asks_as(w, "lofty", "scope=openid&" HINT), UNMET_AUTHENTICATION);
	is_status(asks_as(w, "level", "scope=openid&acr_values=high&" HINT), 200);
}

/* ---- many at once, and when things break ---- */

enum { RACERS = 8 };
struct racer { struct scene *s; struct arena *a; struct str headers, body; pthread_barrier_t *start; int status; };

static void *fetches(void *p)
{
	struct racer *r = p;
	pthread_barrier_wait(r->start);
	r->status = ask_in(r->s->w, r->a, "POST", "/token", r->headers.p, r->body.p)->status;
	return NULL;
}

/* SEC-06: one login, one session, one set of tokens */
TEST(of_many_who_fetch_at_once_one_gets_the_tokens)
{
	struct scene s = asked("");
	struct racer r[RACERS];
	pthread_t thread[RACERS];
	pthread_barrier_t start;
	int won = 0;
	signs(&s, 1, s.t->an);
	pthread_barrier_init(&start, NULL, RACERS);
	for (int i = 0; i < RACERS; i++) {
		r[i] = (struct racer){ .s = &s, .a = arena_new(), .headers = as(s.w, "counter"), .start = &start, .body = str_fmt(s.w->a, GRANT "&auth_req_id=%s", s.id.p) };
		assert_int_equal(pthread_create(&thread[i], NULL, fetches, &r[i]), 0);
	}
	for (int i = 0; i < RACERS; i++) {
		pthread_join(thread[i], NULL);
		won += r[i].status == 200;
		assert_true(r[i].status == 200 || r[i].status == 400);
		arena_free(r[i].a);
	}
	pthread_barrier_destroy(&start);
	assert_int_equal(won, 1);
	assert_int_equal(audits(s.w, "login.certificate", "ok"), 2);      /* the world's citizen, and this one */
	assert_int_equal(audits(s.w, "token.issued", "ok"), 1);
}

TEST(a_store_that_breaks_at_any_step_gives_nothing_and_spoils_nothing)
{
	struct scene s = asked("");
	signs(&s, 1, s.t->an);
	int nth = 0;
	for (struct res *rs = NULL; !rs || rs->status == 503; nth++) {
		assert_true(nth < 20);
		breaks_at(s.w, nth);
		rs = polled(&s);
		breaks_at(s.w, -1);
		if (rs->status != 503)
			is_tokens(s.w, rs);
	}
	assert_true(nth > 4);
	assert_int_equal(audits(s.w, "token.issued", "ok"), 1);
	assert_int_equal(audits(s.w, "ciba.decided", "ok"), 1);
}

TEST(a_store_that_breaks_while_it_is_asked_leaves_nobody_shut_out)
{
	struct town *t = with_clients();
	t->w->conf.sim_per_person = t->w->conf.sim_per_number = 100;
	for (int nth = 0; nth < 3; nth++) {
		breaks_at(t->w, nth);
		struct res *rs = asks_as(t->w, "counter", "scope=openid&" HINT);
		breaks_at(t->w, -1);
		is_status(rs, 503);
	}
	assert_int_equal(pushes(t), 0);
	is_status(asks_as(t->w, "centre", "scope=openid&" HINT), 200);
}

/* ---- ping ---- */

static struct { pthread_mutex_t lock; pthread_cond_t came; int n, status; char head[4096], body[16384]; } heard_ping = { .lock = PTHREAD_MUTEX_INITIALIZER, .came = PTHREAD_COND_INITIALIZER };

#define ELSEWHERE "HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n"

static bool takes_pings(struct arena *a, const struct fake_request *rq)
{
	(void)a;
	pthread_mutex_lock(&heard_ping.lock);
	heard_ping.n++;
	snprintf(heard_ping.head, sizeof heard_ping.head, "%s", rq->head.p);
	snprintf(heard_ping.body, sizeof heard_ping.body, "%s", rq->body.p);
	int status = heard_ping.status;
	pthread_cond_broadcast(&heard_ping.came);
	pthread_mutex_unlock(&heard_ping.lock);
	if (status == 302)
		return fake_say(rq->fd, ELSEWHERE, sizeof ELSEWHERE - 1);
	return fake_answer(rq->fd, status, S("application/json"), S("{\"x\":1}"));
}

static void pinged(int times)
{
	struct timespec until;
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 30;
	pthread_mutex_lock(&heard_ping.lock);
	while (heard_ping.n < times && pthread_cond_timedwait(&heard_ping.came, &heard_ping.lock, &until) == 0) {}
	int n = heard_ping.n;
	pthread_mutex_unlock(&heard_ping.lock);
	assert_int_equal(n, times);
}

static struct fake *listener_for(struct world *w, const char *mode, int status)
{
	heard_ping.n = 0, heard_ping.status = status;
	struct fake *f = fake_open(takes_pings, NULL);
	w->conf.outgoing_networks = S("127.0.0.0/8");
	world_client(w, "rung", "client_secret_basic", str_fmt(w->a, WITH_CIBA "\"%s\",\"backchannel_client_notification_endpoint\":\"http://127.0.0.1:%d/ping\"", mode, fake_port(f)).p);
	return f;
}

static struct fake *listener(struct world *w, int status) { return listener_for(w, "ping", status); }

/* ping: …, ~ping-backchannel-notification-endpoint-response-has-body, -401 (and no retry), -403, ~return-redirect-request */
TEST(a_client_that_wants_to_be_told_is_told_once_when_there_is_something_to_fetch)
{
	static const int STATUSES[] = { 204, 200, 401, 403, 302 };
	for (size_t i = 0; i < sizeof STATUSES / sizeof *STATUSES; i++) {
		struct scene s = { .t = with_clients() };
		s.w = s.t->w;
		struct fake *f = listener(s.w, STATUSES[i]);
		struct res *rs = asks_as(s.w, "rung", "scope=openid&client_notification_token=8d67dc78-7faa-4d41-aabd-67707b374255&" HINT);
		is_status(rs, 200);
		s.id = told(s.w, rs, "auth_req_id");
		push(s.t, 1);
		assert_int_equal(heard_ping.n, 0);
		signs(&s, 1, s.t->an);
		pinged(1);
		assert_str(str_of(heard_ping.body), str_fmt(s.w->a, "{\"auth_req_id\":\"%s\"}", s.id.p).p);
		assert_non_null(strstr(heard_ping.head, "POST /ping "));
		assert_non_null(strstr(heard_ping.head, "Authorization: Bearer 8d67dc78-7faa-4d41-aabd-67707b374255\r\n"));
		assert_non_null(strstr(heard_ping.head, "application/json"));
		is_tokens(s.w, polled_as(&s, "rung", s.id));
		fake_close(f);
		assert_int_equal(heard_ping.n, 1);
	}
}

TEST(a_client_that_is_down_is_told_again_a_few_times_and_may_ask_by_itself)
{
	struct scene s = { .t = with_clients() };
	s.w = s.t->w;
	struct fake *f = listener(s.w, 503);
	s.id = told(s.w, asks_as(s.w, "rung", "scope=openid&client_notification_token=t&" HINT), "auth_req_id");
	says(&s, 1, "401");
	pinged(3);
	is_fault(polled_as(&s, "rung", s.id), REFUSED_BY_PERSON);
	fake_close(f);
	assert_int_equal(heard_ping.n, 3);
}

TEST(nobody_is_told_who_polls_or_when_nothing_came)
{
	struct scene s = { .t = with_clients() };
	s.w = s.t->w;
	struct fake *f = listener(s.w, 204);
	struct str longest = str_fmt(s.w->a, "%01024d", 0);
	is_fault(asks_as(s.w, "rung", "scope=openid&" HINT), INVALID_REQUEST);
	is_fault(asks_as(s.w, "rung", "scope=openid&client_notification_token=a%20b&" HINT), INVALID_REQUEST);
	is_fault(asks_as(s.w, "rung", "scope=openid&client_notification_token=a%0D%0AX:%20y&" HINT), INVALID_REQUEST);
	is_fault(asks_as(s.w, "rung", str_fmt(s.w->a, "scope=openid&client_notification_token=%s0&%s", longest.p, HINT).p), INVALID_REQUEST);
	is_status(asks_as(s.w, "rung", str_fmt(s.w->a, "scope=openid&client_notification_token=%s&%s", longest.p, HINT).p), 200);
	says(&s, 1, "208");
	s.id = told(s.w, asks_as(s.w, "counter", "scope=openid&client_notification_token=t&login_hint=tel:%2B84912345679;number=" BINH), "auth_req_id");
	signs(&s, 2, s.t->binh);
	is_tokens(s.w, polled(&s));
	fake_close(f);
	assert_int_equal(heard_ping.n, 0);
}

/* SEC-29 */
TEST(a_notification_goes_to_no_address_within_our_walls)
{
	struct scene s = { .t = with_clients() };
	s.w = s.t->w;
	struct fake *f = listener(s.w, 204);
	s.w->conf.outgoing_networks = S("");
	s.id = told(s.w, asks_as(s.w, "rung", "scope=openid&client_notification_token=t&" HINT), "auth_req_id");
	signs(&s, 1, s.t->an);
	is_tokens(s.w, polled_as(&s, "rung", s.id));
	fake_close(f);
	assert_int_equal(heard_ping.n, 0);
}

/* ---- push ---- */

static struct scene pushed_to(struct fake **f, int status)
{
	struct scene s = { .t = with_clients() };
	s.w = s.t->w;
	*f = listener_for(s.w, "push", status);
	struct res *rs = asks_as(s.w, "rung", "scope=openid%20offline_access&client_notification_token=n-1&" HINT);
	is_status(rs, 200);
	assert_null(json_object_get(json_of(s.w, rs), "interval"));
	s.id = told(s.w, rs, "auth_req_id");
	return s;
}

static json_t *pushed(struct scene *s)
{
	json_t *o;
	pinged(1);
	fine(json_read_object(s->w->a, str_copy(s->w->a, str_of(heard_ping.body)), &o));
	assert_str(json_text(o, "auth_req_id"), s->id.p);
	assert_non_null(strstr(heard_ping.head, "Authorization: Bearer n-1\r\n"));
	return o;
}

/* CIBA Core sections 10.3.1 and 11 */
TEST(a_client_that_wants_to_be_sent_its_tokens_is_sent_them_and_fetches_none)
{
	struct fake *f;
	struct scene s = pushed_to(&f, 204);
	signs(&s, 1, s.t->an);
	json_t *o = pushed(&s);
	json_t *claims = claims_of(s.w, json_text(o, "id_token"));
	assert_str(json_text(claims, "urn:openid:params:jwt:claim:auth_req_id"), s.id.p);
	unsigned char half[SHA256_SIZE];
	struct str refresh_token = json_text(o, "refresh_token");
	sha256(refresh_token.p, refresh_token.n, half);
	assert_str(json_text(claims, "urn:openid:params:jwt:claim:rt_hash"), b64url(s.w->a, (struct bytes){ half, 16 }).p);
	sha256(json_text(o, "access_token").p, json_text(o, "access_token").n, half);
	assert_str(json_text(claims, "at_hash"), b64url(s.w->a, (struct bytes){ half, 16 }).p);
	assert_str(json_text(o, "token_type"), "Bearer");
	is_fault(polled_as(&s, "rung", s.id), UNAUTHORIZED_CLIENT);
	is_tokens(s.w, refresh(s.w, "rung", refresh_token));
	fake_close(f);
	assert_int_equal(heard_ping.n, 1);
	assert_int_equal(audits(s.w, "ciba.decided", "ok"), 1);
}

TEST(what_is_refused_is_sent_as_an_error)
{
	struct fake *f;
	struct scene s = pushed_to(&f, 204);
	says(&s, 1, "401");
	json_t *o = pushed(&s);
	assert_str(json_text(o, "error"), "access_denied");
	assert_null(json_object_get(o, "access_token"));
	fake_close(f);
	s = pushed_to(&f, 204);
	signs(&s, 1, s.t->binh);
	assert_str(json_text(pushed(&s), "error"), "access_denied");
	gave_nothing(&s);
	fake_close(f);
}

TEST(bound_tokens_are_not_sent_but_fetched)
{
	struct world *w = town()->w;
	struct client c;
	const char *const MORE[] = { "", ",\"tls_client_certificate_bound_access_tokens\":true" };
	for (size_t i = 0; i < 2; i++) {
		err e = client_parse(w->a, S("x"), str_fmt(w->a, "{\"redirect_uris\":[\"https://x.example/cb\"],\"client_secret_hash\":\"%s\"" WITH_CIBA "\"push\","
			"\"backchannel_client_notification_endpoint\":\"https://x.example/n\"%s}", hash_of(w->a, S("s")).p, MORE[i]), &c);
		assert_true(i ? e.kind == &BAD_CONFIG : !e.kind);
	}
}
