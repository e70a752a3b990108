#include "town.h"
#include "jws.h"
#include "keys.h"
#include "oidc.h"
#include "token.h"
#include <p11-kit/pkcs11.h>
#include "hsm_shim.h"

/* Our signing keys in an HSM: what the applications see of it. */

static void mode(int m) { atomic_store((atomic_int *)softhsm_symbol("shim_mode"), m); }
static CK_FUNCTION_LIST *real(void) { return *(CK_FUNCTION_LIST **)softhsm_symbol("shim_real"); }

/* The world's own keys were made in memory; from here on keys are made in the token. */
static struct world *world_with_hsm(void)
{
	struct world *w = world();
	struct hsm_conf conf = softhsm(w->a);
	fine(hsm_open(w->a, &conf, &w->house.hsm));
	mode(SHIM_WORKS);
	return w;
}

/* Before the library that the token's module uses is taken down. */
static void end(struct world *w)
{
	keys_free(w->house.keys);
	w->house.keys = NULL;
	hsm_close(w->house.hsm);
}

static struct res *asks(struct world *w) { return ask(w, "POST", "/token", as(w, "portal").p, "grant_type=client_credentials"); }

static struct str kid_of(struct world *w, struct str token)
{
	struct jws j;
	fine(jws_read(w->a, token, &j));
	return j.kid;
}

static struct str rotated(struct world *w, const char *alg)
{
	struct str kid;
	fine(keys_rotate(&w->house, w->a, str_of(alg), w->now, w->now + 1, &kid));
	pass(w, 6);
	return kid;
}

static void lose_sessions(void)
{
	CK_SLOT_ID l[8];
	CK_ULONG n = 8;
	assert_int_equal(real()->C_GetSlotList(CK_TRUE, l, &n), CKR_OK);
	for (CK_ULONG i = 0; i < n; i++)
		real()->C_CloseAllSessions(l[i]);
}

TEST(a_key_that_is_rotated_with_an_hsm_is_made_there_and_its_tokens_are_ours)
{
	struct world *w = world_with_hsm();
	struct str before = told(w, asks(w), "access_token"), kid = rotated(w, "ES256"), token = told(w, asks(w), "access_token");
	assert_str(kid_of(w, token), kid.p);
	assert_string_not_equal(kid_of(w, before).p, kid.p);
	assert_non_null(strstr(ask(w, "GET", "/.well-known/jwks.json", "", "")->body.p, kid.p));
	const struct str both[] = { before, token };
	for (size_t i = 0; i < 2; i++)
		assert_non_null(strstr(ask(w, "POST", "/introspect", as(w, "portal").p, str_fmt(w->a, "token=%s", both[i].p).p)->body.p, "\"active\":true"));
	end(w);
}

/* RS256, by which ID tokens are signed unless a client wants otherwise */
TEST(an_id_token_is_signed_in_the_hsm)
{
	struct world *w = world_with_hsm();
	struct str kid = rotated(w, "RS256");
	struct res *rs = redeem(w, "portal", consent(w, "portal", "openid", ""));
	is_tokens(w, rs);
	struct id_hint who;
	assert_str(kid_of(w, told(w, rs, "id_token")), kid.p);
	fine(id_hint_read(world_req(w), told(w, rs, "id_token"), &who));
	end(w);
}

TEST(without_its_token_the_provider_says_503_and_goes_on_when_it_is_back)
{
	struct world *w = world_with_hsm();
	rotated(w, "ES256");
	is_tokens(w, asks(w));
	static const int TROUBLE[] = { SHIM_UNPLUGGED, SHIM_LOCKED };
	for (size_t i = 0; i < 2; i++) {
		mode(TROUBLE[i]);
		lose_sessions();
		struct res *rs = asks(w);
		is_fault(rs, UNAVAILABLE);
		assert_null(strstr(rs->body.p, "PIN"));
		assert_null(strstr(rs->body.p, "access_token"));
		/* what needs no signature is answered */
		is_status(ask(w, "GET", "/.well-known/jwks.json", "", ""), 200);
		mode(SHIM_WORKS);
		for (int tries = 0; (rs = asks(w))->status == 503 && tries < 100000; tries++) {}
		is_tokens(w, rs);
	}
	end(w);
}

TEST(a_code_is_not_lost_when_the_hsm_could_not_sign)
{
	struct world *w = world_with_hsm();
	rotated(w, "ES256");
	struct str code = consent(w, "portal", "openid", "");
	mode(SHIM_UNPLUGGED);
	is_fault(redeem(w, "portal", code), UNAVAILABLE);
	mode(SHIM_WORKS);
	struct res *rs = NULL;
	for (int tries = 0; (rs = redeem(w, "portal", code))->status == 503 && tries < 100000; tries++) {}
	is_tokens(w, rs);
	end(w);
}

TEST(a_key_that_cannot_be_made_now_is_made_when_the_token_is_back)
{
	struct world *w = world_with_hsm();
	struct str kid = rotated(w, "ES256");
	pass(w, 88 * 86400 + 60);            /* the next ones are due */
	mode(SHIM_UNPLUGGED);
	is_status(ask(w, "GET", "/.well-known/jwks.json", "", ""), 200);
	mode(SHIM_WORKS);
	for (int tries = 0; tries < 100; tries++) {
		json_t *keys = json_object_get(json_of(w, ask(w, "GET", "/.well-known/jwks.json", "", "")), "keys");
		if (json_array_size(keys) > 5)
			break;
		pass(w, 6);
	}
	pass(w, 2 * 86400);
	struct str token = told(w, asks(w), "access_token");
	assert_string_not_equal(kid_of(w, token).p, kid.p);
	end(w);
}

TEST(a_key_in_an_hsm_does_not_open_without_one)
{
	struct world *w = world_with_hsm();
	struct keys *k = NULL;
	struct hsm *hsm = w->house.hsm;
	rotated(w, "ES256");
	w->house.hsm = NULL;
	fails(keys_new(&w->house, w->a, &k), SERVER_ERROR);
	w->house.hsm = hsm;
	fine(keys_new(&w->house, w->a, &k));
	keys_free(k);
	end(w);
}
