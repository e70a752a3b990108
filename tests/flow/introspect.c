#include "world.h"
#include "access.h"
#include "code.h"
#include "keys.h"
#include "jws.h"
#include <openssl/rand.h>

static struct str own(struct world *w, const char *client)
{
	return told(w, ask(w, "POST", "/token", as(w, client).p, "grant_type=client_credentials"), "access_token");
}

static struct res *look(struct world *w, const char *client, struct str token)
{
	return ask(w, "POST", "/introspect", as(w, client).p, str_fmt(w->a, "token=%s", token.p).p);
}

static struct res *revoke(struct world *w, const char *client, struct str token)
{
	return ask(w, "POST", "/revoke", as(w, client).p, str_fmt(w->a, "token=%s", token.p).p);
}

static struct res *userinfo(struct world *w, struct str token)
{
	return ask(w, "GET", "/userinfo", str_fmt(w->a, "Authorization: Bearer %s\n", token.p).p, "");
}

#define is_active(rs) do { struct res *r_ = (rs); if (r_->status != 200 || !strstr(r_->body.p, "\"active\":true")) fail_msg("%d %s", r_->status, r_->body.p); } while (0)
#define is_inactive(rs) do { struct res *r_ = (rs); assert_int_equal(r_->status, 200); assert_string_equal(r_->body.p, "{\"active\":false}"); } while (0)

/* ---- introspection ------------------------------------------------------------------------------------------------ */

TEST(a_client_and_its_resource_server_learn_what_a_token_says)
{
	struct world *w = world();
	struct str token = own(w, "portal");
	struct res *rs = look(w, "portal", token);
	is_active(rs);
	assert_str(told(w, rs, "client_id"), "portal");
	assert_str(told(w, rs, "sub"), "portal");
	assert_str(told(w, rs, "scope"), "docs:read docs:write");
	assert_str(told(w, rs, "token_type"), "Bearer");
	assert_str(told(w, rs, "iss"), "https://id.example");
	assert_int_equal(json_array_size(json_object_get(json_of(w, rs), "aud")), 2);
	is_active(look(w, "api", token));
	is_active(look(w, "api", token));       /* from memory */
}

TEST(whom_a_token_does_not_concern_learns_nothing)
{
	struct world *w = world();
	is_inactive(look(w, "tax", own(w, "portal")));
	is_inactive(look(w, "portal", own(w, "api")));
}

TEST(introspection_needs_a_client_with_a_secret)
{
	struct world *w = world();
	struct str form = str_fmt(w->a, "token=%s", own(w, "portal").p);
	is_fault(ask(w, "POST", "/introspect", "", form.p), INVALID_CLIENT);
	is_fault(ask(w, "POST", "/introspect", "", str_fmt(w->a, "client_id=app&%s", form.p).p), INVALID_CLIENT);
	is_fault(ask(w, "POST", "/introspect", "Authorization: Basic cG9ydGFsOndyb25n\n", form.p), INVALID_CLIENT);
	is_fault(ask(w, "POST", "/introspect", as(w, "portal").p, "token="), INVALID_REQUEST);
	assert_int_equal(audits(w, "introspection.refused", "invalid_client"), 3);
}

TEST(a_token_is_inactive_once_it_has_expired_also_when_it_verified_before)
{
	struct world *w = world();
	struct str token = own(w, "portal");
	pass(w, 299);
	is_active(look(w, "portal", token));
	pass(w, 1);
	is_inactive(look(w, "portal", token));
}

TEST(every_prefix_and_every_changed_letter_of_a_token_is_inactive)
{
	struct world *w = world();
	struct str token = own(w, "portal");
	is_active(look(w, "portal", token));
	for (size_t n = 1; n < token.n; n++)
		is_inactive(look(w, "portal", str_dup(w->a, token.p, n)));
	for (size_t i = 0; i < token.n; i++) {
		char *twin = arena_alloc(w->a, token.n + 1);
		memcpy(twin, token.p, token.n);
		twin[i] = twin[i] == 'A' ? 'B' : 'A';
		is_inactive(look(w, "portal", (struct str){ twin, token.n }));
	}
	is_active(look(w, "portal", token));
}

TEST(other_tokens_of_ours_are_no_access_tokens)
{
	struct world *w = world();
	struct res *rs = redeem(w, "portal", consent(w, "portal", "openid", ""));
	is_inactive(look(w, "portal", told(w, rs, "id_token")));
	is_fault(userinfo(w, told(w, rs, "id_token")), INVALID_TOKEN);
	is_fault(userinfo(w, told(w, rs, "refresh_token")), INVALID_TOKEN);
	is_active(look(w, "portal", told(w, rs, "access_token")));
	is_active(look(w, "portal", told(w, rs, "refresh_token")));
	is_inactive(look(w, "tax", told(w, rs, "refresh_token")));
}

TEST(a_token_with_our_claims_and_another_key_is_inactive)
{
	struct world *w = world();
	struct str token = own(w, "portal"), claims;
	claims = json_dump(w->a, claims_of(w, token));
	is_inactive(look(w, "portal", signed_by(w, w->bank_key, "at+jwt", claims.p)));
}

/* The same key and form, with one claim wrong. */
TEST(a_token_of_our_own_key_with_one_thing_wrong_is_inactive)
{
	struct world *w = world();
	struct keyring *ring;
	fine(keys_now(&w->house, w->a, &ring));
	struct signer *s = keyring_signer(ring, S("ES256"), w->now);
	struct str good = json_dump(w->a, claims_of(w, own(w, "portal")));
	is_active(look(w, "portal", signed_by(w, s, "at+jwt", good.p)));
	is_inactive(look(w, "portal", signed_by(w, s, "JWT", good.p)));
	is_inactive(look(w, "portal", signed_by(w, s, "", good.p)));
	is_inactive(look(w, "portal", signed_by(w, s, "logout+jwt", good.p)));
	static const char *const MEMBERS[] = { "iss", "exp", "iat", "jti", "sub", "aud", "client_id" };
	for (size_t i = 0; i < sizeof MEMBERS / sizeof *MEMBERS; i++) {
		json_t *o;
		fine(json_read_object(w->a, good, &o));
		json_object_del(o, MEMBERS[i]);
		is_inactive(look(w, "portal", signed_by(w, s, "at+jwt", json_dump(w->a, o).p)));
	}
	json_t *o;
	fine(json_read_object(w->a, good, &o));
	json_object_set_new(o, "iss", json_string("https://id.example/"));
	is_inactive(look(w, "portal", signed_by(w, s, "at+jwt", json_dump(w->a, o).p)));
}

TEST(what_was_verified_before_is_remembered_and_the_store_is_asked_all_the_same)
{
	struct world *w = world();
	struct str token = own(w, "portal");
	is_active(look(w, "portal", token));
	breaks_at(w, 0);
	is_fault(look(w, "portal", token), UNAVAILABLE);
	breaks_at(w, -1);
	is_active(look(w, "portal", token));
}

TEST(a_memory_of_tokens_is_bounded_and_keeps_no_wrong_one)
{
	struct arena *a = arena_new();
	struct minted *m;
	struct access t = { .jti = S("j"), .sub = S("s"), .client_id = S("c"), .scope = S(""), .acr = S(""), .amr = S(""), .audience = S("a b"),
	                    .grant_id = S(""), .confirm = S(""), .kid = S("k"), .exp = 100 }, out;
	unsigned char hash[32] = { 0 };
	fine(minted_new(a, &m));
	for (int i = 0; i < 20000; i++) {
		RAND_bytes(hash, sizeof hash);
		minted_keep(m, hash, &t, 1);
	}
	assert_true(minted_look(m, a, hash, &out));
	assert_str(out.audience, "a b");
	hash[31] ^= 1;
	assert_false(minted_look(m, a, hash, &out));
	minted_free(m);
	arena_free(a);
}

/* ---- revocation ----------------------------------------------------------------------------------------------------- */

TEST(a_revoked_access_token_is_good_for_nothing_and_the_grant_goes_on)
{
	struct world *w = world();
	struct res *rs = redeem(w, "portal", consent(w, "portal", "openid", ""));
	struct str token = told(w, rs, "access_token");
	is_status(userinfo(w, token), 200);
	is_status(revoke(w, "portal", token), 200);
	is_fault(userinfo(w, token), INVALID_TOKEN);
	is_inactive(look(w, "portal", token));
	is_tokens(w, refresh(w, "portal", told(w, rs, "refresh_token")));
	assert_int_equal(audits(w, "token.revoked", "ok"), 1);
}

TEST(a_revoked_refresh_token_takes_the_grant_with_it)
{
	struct world *w = world();
	struct res *rs = redeem(w, "portal", consent(w, "portal", "openid", ""));
	is_status(revoke(w, "portal", told(w, rs, "refresh_token")), 200);
	is_fault(userinfo(w, told(w, rs, "access_token")), INVALID_TOKEN);
	is_fault(refresh(w, "portal", told(w, rs, "refresh_token")), INVALID_GRANT);
}

TEST(revoking_what_is_not_there_is_no_error)
{
	struct world *w = world();
	is_status(revoke(w, "portal", S("unknown")), 200);
	is_status(revoke(w, "portal", S("un.kno.wn")), 200);
	is_status(ask(w, "POST", "/revoke", as(w, "portal").p, "token=x&token_type_hint=nonsense"), 200);
	is_fault(ask(w, "POST", "/revoke", as(w, "portal").p, "token="), INVALID_REQUEST);
	is_fault(ask(w, "POST", "/revoke", "", "token=x"), INVALID_CLIENT);
}

TEST(another_clients_token_is_not_revoked)
{
	struct world *w = world();
	struct res *rs = redeem(w, "portal", consent(w, "portal", "openid", ""));
	is_fault(revoke(w, "tax", told(w, rs, "access_token")), INVALID_GRANT);
	is_fault(revoke(w, "tax", told(w, rs, "refresh_token")), INVALID_GRANT);
	is_status(userinfo(w, told(w, rs, "access_token")), 200);
	is_tokens(w, refresh(w, "portal", told(w, rs, "refresh_token")));
}

TEST(a_revocation_that_could_not_be_written_is_never_said_to_be_done)
{
	struct world *w = world();
	struct res *rs = redeem(w, "portal", consent(w, "portal", "openid", ""));
	breaks_at(w, 0);
	struct res *of_access = revoke(w, "portal", told(w, rs, "access_token")), *of_refresh = revoke(w, "portal", told(w, rs, "refresh_token"));
	breaks_at(w, 1);
	struct res *half = revoke(w, "portal", told(w, rs, "refresh_token"));
	breaks_at(w, -1);
	is_fault(of_access, UNAVAILABLE);
	is_fault(of_refresh, UNAVAILABLE);
	is_fault(half, UNAVAILABLE);
	is_status(userinfo(w, told(w, rs, "access_token")), 200);
}

/* ---- userinfo ---------------------------------------------------------------------------------------------------------- */

TEST(userinfo_tells_what_the_scopes_cover)
{
	struct world *w = world();
	struct res *rs = redeem(w, "portal", consent(w, "portal", "openid profile email phone address", ""));
	struct res *info = userinfo(w, told(w, rs, "access_token"));
	json_t *o = json_of(w, info);
	is_status(info, 200);
	assert_str(json_text(o, "name"), "Nguyễn Văn An");
	assert_str(json_text(o, "email"), "an@example.vn");
	assert_true(json_is_true(json_object_get(o, "email_verified")));
	assert_str(json_text(o, "phone_number"), "+84900000001");
	assert_true(json_is_object(json_object_get(o, "address")));
	assert_true(json_is_integer(json_object_get(o, "updated_at")));
	assert_null(json_object_get(o, "gender"));       /* recorded, but empty */
	assert_null(json_object_get(o, "nickname"));     /* recorded, but a number */
	assert_null(json_object_get(o, "vn_number"));
	assert_string_equal(json_text(o, "sub").p, json_text(claims_of(w, told(w, rs, "id_token")), "sub").p);
}

TEST(userinfo_with_openid_alone_tells_only_the_subject)
{
	struct world *w = world();
	struct res *rs = redeem(w, "portal", consent(w, "portal", "openid", ""));
	assert_int_equal(json_object_size(json_of(w, userinfo(w, told(w, rs, "access_token")))), 1);
}

TEST(a_claims_request_gives_one_claim_to_a_client_that_may_have_its_scope)
{
	struct world *w = world();
	struct grant_row g = { .scope = S("openid"), .claims = S("{\"userinfo\":{\"name\":{\"essential\":true},\"vn_number\":null}}") };
	struct res *rs = redeem(w, "portal", consent_with(w, "portal", "", &g));
	json_t *o = json_of(w, userinfo(w, told(w, rs, "access_token")));
	assert_str(json_text(o, "name"), "Nguyễn Văn An");
	assert_int_equal(json_object_size(o), 2);
	assert_null(json_object_get(claims_of(w, told(w, rs, "id_token")), "name"));
	g = (struct grant_row){ .scope = S("openid"), .claims = S("{\"userinfo\":{\"email\":null}}") };
	rs = redeem(w, "vault", consent_with(w, "vault", "", &g));
	assert_int_equal(json_object_size(json_of(w, userinfo(w, told(w, rs, "access_token")))), 1);
}

TEST(the_personal_number_goes_to_a_registered_client_with_its_scope_only)
{
	struct world *w = world();
	struct str code = consent(w, "vault", "openid vn_number", ""), without = consent(w, "vault", "openid profile", "");
	struct str forged = consent(w, "portal", "openid vn_number", "");
	assert_str(told(w, userinfo(w, told(w, redeem(w, "vault", code), "access_token")), "vn_number"), "PNOVN-001099000001");
	assert_int_equal(told(w, userinfo(w, told(w, redeem(w, "vault", without), "access_token")), "vn_number").n, 0);
	assert_int_equal(told(w, userinfo(w, told(w, redeem(w, "portal", forged), "access_token")), "vn_number").n, 0);
}

TEST(a_token_comes_by_header_or_by_form_but_not_by_both_nor_in_the_address)
{
	struct world *w = world();
	struct str t = told(w, redeem(w, "portal", consent(w, "portal", "openid", "")), "access_token");
	struct str head = str_fmt(w->a, "Authorization: bearer %s\n", t.p), form = str_fmt(w->a, "access_token=%s", t.p);
	is_status(ask(w, "POST", "/userinfo", head.p, ""), 200);
	is_status(ask(w, "POST", "/userinfo", "", form.p), 200);
	is_fault(ask(w, "POST", "/userinfo", head.p, form.p), INVALID_REQUEST);
	struct res *rs = ask(w, "GET", str_fmt(w->a, "/userinfo?access_token=%s", t.p).p, "", "");
	is_status(rs, 401);
	assert_non_null(strstr(res_head(rs, "WWW-Authenticate").p, "Bearer realm="));
	assert_null(strstr(res_head(rs, "WWW-Authenticate").p, "error="));
	rs = userinfo(w, S("not.a.token"));
	is_fault(rs, INVALID_TOKEN);
	assert_non_null(strstr(res_head(rs, "WWW-Authenticate").p, "error=\"invalid_token\""));
}
