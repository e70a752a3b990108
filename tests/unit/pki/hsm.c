#include <p11-kit/pkcs11.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include "clock.h"
#include "hsm_shim.h"
#include "json.h"
#include "key.h"
#include "t.h"
#include "token.h"

/* Keys in an HSM: SoftHSM is the token; the shim before it makes the trouble that SoftHSM cannot. */

struct scene { struct arena *a; struct hsm_conf conf; struct hsm *hsm; struct signer *s; struct key *key; };

static void mode(int m) { atomic_store((atomic_int *)softhsm_symbol("shim_mode"), m); }
static int logins(void) { return atomic_load((atomic_int *)softhsm_symbol("shim_logins")); }
static int inside(void) { return atomic_load((atomic_int *)softhsm_symbol("shim_inside")); }
static CK_FUNCTION_LIST *real(void) { return *(CK_FUNCTION_LIST **)softhsm_symbol("shim_real"); }

static struct key *public_of(struct arena *a, struct signer *s)
{
	json_t *o;
	struct key *k;
	fine(json_read_object(a, signer_public_jwk(s), &o));
	fine(key_from_jwk(a, o, &k));
	arena_defer(a, key_drop_later, k);
	return k;
}

static struct scene scene(void)
{
	static int n;
	struct scene s = { .a = arena_new() };
	s.conf = softhsm(s.a);
	softhsm_pin("1234\n");
	fine(hsm_open(s.a, &s.conf, &s.hsm));
	mode(SHIM_WORKS);
	fine(signer_hsm_new(s.hsm, s.a, S("ES256"), str_fmt(s.a, "key-%d", n++), &s.s));
	s.key = public_of(s.a, s.s);
	return s;
}

static void end(struct scene *s)
{
	mode(SHIM_WORKS);
	signer_free(s->s);
	hsm_close(s->hsm);
	arena_free(s->a);
}

static err sign(struct scene *s, struct arena *a)
{
	unsigned char sig[512];
	size_t n;
	struct bytes text = str_bytes(S("header.payload"));
	TRY(signer_sign(s->s, a, text, sig, &n));
	assert_int_equal(n, 64);
	assert_true(key_verify(s->key, S("ES256"), text, (struct bytes){ sig, n }));
	return OK;
}

static void signs(struct scene *s) { fine(sign(s, s->a)); }
static void signs_not(struct scene *s) { fails(sign(s, s->a), UNAVAILABLE); }

/* What is there again is found within a moment, without a restart. */
static void signs_soon(struct scene *s)
{
	for (int64_t until = clock_mono_ms() + 10000; clock_mono_ms() < until; )
		if (!sign(s, s->a).kind)
			return;
	signs(s);
}

static CK_SLOT_ID slot(void)
{
	CK_SLOT_ID l[8];
	CK_ULONG n = 8;
	assert_int_equal(real()->C_GetSlotList(CK_TRUE, l, &n), CKR_OK);
	for (CK_ULONG i = 0; i < n; i++) {
		CK_TOKEN_INFO t;
		if (real()->C_GetTokenInfo(l[i], &t) == CKR_OK && (t.flags & CKF_TOKEN_INITIALIZED))
			return l[i];
	}
	fail_msg("no token");
	return 0;
}

static void lose_sessions(void) { assert_int_equal(real()->C_CloseAllSessions(slot()), CKR_OK); }

TEST(a_key_is_made_in_the_token_and_signs_there)
{
	static const char *const ALGS[] = { "ES256", "RS256", "PS256", "EdDSA" };
	struct scene s = scene();
	for (size_t i = 0; i < 4; i++) {
		struct signer *made, *found;
		struct bytes pkcs8, text = str_bytes(S("a.b"));
		unsigned char sig[512];
		size_t n;
		fine(signer_hsm_new(s.hsm, s.a, str_of(ALGS[i]), str_fmt(s.a, "made-%zu", i), &made));
		fine(signer_hsm_open(s.hsm, s.a, str_of(ALGS[i]), signer_kid(made), signer_public_jwk(made), &found));
		fine(signer_sign(found, s.a, text, sig, &n));
		struct key *k = public_of(s.a, made);
		assert_true(key_verify(k, str_of(ALGS[i]), text, (struct bytes){ sig, n }));
		assert_false(key_verify(k, str_of(ALGS[i]), str_bytes(S("a.c")), (struct bytes){ sig, n }));
		assert_str(signer_alg(found), ALGS[i]);
		fails(signer_local_export(found, s.a, &pkcs8), SERVER_ERROR);
		signer_free(made);
		signer_free(found);
	}
	end(&s);
}

TEST(the_private_half_is_sensitive_and_may_not_leave)
{
	struct scene s = scene();
	CK_SESSION_HANDLE h;
	CK_OBJECT_HANDLE o[64];
	CK_OBJECT_CLASS class = CKO_PRIVATE_KEY;
	CK_ATTRIBUTE want[] = { { CKA_CLASS, &class, sizeof class } };
	CK_ULONG n = 64;
	assert_int_equal(real()->C_OpenSession(slot(), CKF_SERIAL_SESSION, NULL, NULL, &h), CKR_OK);
	assert_int_equal(real()->C_FindObjectsInit(h, want, 1), CKR_OK);
	assert_int_equal(real()->C_FindObjects(h, o, n, &n), CKR_OK);
	real()->C_FindObjectsFinal(h);
	assert_true(n > 0);
	for (CK_ULONG i = 0; i < n; i++) {
		CK_BBOOL sensitive = CK_FALSE, extractable = CK_TRUE;
		CK_BYTE value[512];
		CK_ATTRIBUTE get[] = { { CKA_SENSITIVE, &sensitive, 1 }, { CKA_EXTRACTABLE, &extractable, 1 } }, secret[] = { { CKA_VALUE, value, sizeof value } };
		assert_int_equal(real()->C_GetAttributeValue(h, o[i], get, 2), CKR_OK);
		assert_true(sensitive && !extractable);
		assert_int_not_equal(real()->C_GetAttributeValue(h, o[i], secret, 1), CKR_OK);
	}
	real()->C_CloseSession(h);
	end(&s);
}

TEST(a_kid_or_alg_that_is_none_is_refused_before_the_token_is_asked)
{
	struct scene s = scene();
	struct signer *out;
	fails(signer_hsm_new(s.hsm, s.a, S("HS256"), S("k"), &out), INVALID_REQUEST);
	fails(signer_hsm_new(s.hsm, s.a, S("ES256"), S(""), &out), INVALID_REQUEST);
	fails(signer_hsm_new(s.hsm, s.a, S("ES256"), S("01234567890123456789012345678901234567890123456789012345678901234"), &out), INVALID_REQUEST);
	end(&s);
}

TEST(what_is_no_module_is_bad_configuration)
{
	struct arena *a = arena_new();
	struct hsm *h;
	fails(hsm_open(a, &(struct hsm_conf){ S("/nowhere.so"), S("t"), S("/p") }, &h), BAD_CONFIG);
	fails(hsm_open(a, &(struct hsm_conf){ S("/etc/hostname"), S("t"), S("/p") }, &h), BAD_CONFIG);
	arena_free(a);
}

TEST(a_session_that_was_lost_is_begun_anew_and_nobody_notices)
{
	struct scene s = scene();
	for (int i = 0; i < 20; i++) {
		lose_sessions();
		signs(&s);
	}
	end(&s);
}

TEST(who_was_logged_out_logs_in_again)
{
	struct scene s = scene();
	CK_SESSION_HANDLE h;
	signs(&s);
	assert_int_equal(real()->C_OpenSession(slot(), CKF_SERIAL_SESSION, NULL, NULL, &h), CKR_OK);
	assert_int_equal(real()->C_Logout(h), CKR_OK);
	signs(&s);
	real()->C_CloseSession(h);
	end(&s);
}

TEST(a_token_that_is_removed_is_missed_until_it_is_back)
{
	struct scene s = scene();
	signs(&s);
	mode(SHIM_UNPLUGGED);
	for (int i = 0; i < 5; i++)
		signs_not(&s);
	mode(SHIM_WORKS);
	signs_soon(&s);
	end(&s);
}

/* Its files are gone, as with a disk that is unmounted, and another token of the same name has none of the keys. */
TEST(a_token_without_the_key_signs_nothing_until_the_right_one_is_back)
{
	struct scene s = scene();
	char away[128], command[400];
	signs(&s);
	CK_SLOT_ID before = slot();
	snprintf(away, sizeof away, "%s.away", softhsm_tokens());
	assert_int_equal(rename(softhsm_tokens(), away), 0);
	snprintf(command, sizeof command, "mkdir %s && softhsm2-util --init-token --free --label 'motid keys' --pin 1234 --so-pin 5678 >/dev/null", softhsm_tokens());
	assert_int_equal(system(command), 0);
	real()->C_CloseAllSessions(before);
	err e = sign(&s, s.a);
	for (int64_t until = clock_mono_ms() + 10000; !e.kind && clock_mono_ms() < until; e = sign(&s, s.a)) {}
	assert_ptr_equal(e.kind, &UNAVAILABLE);
	signs_not(&s);
	snprintf(command, sizeof command, "rm -rf %s && mv %s %s", softhsm_tokens(), away, softhsm_tokens());
	assert_int_equal(system(command), 0);
	signs_soon(&s);
	end(&s);
}

TEST(a_locked_pin_is_unavailable_until_it_is_unlocked)
{
	struct scene s = scene();
	mode(SHIM_LOCKED);
	signs(&s);                           /* who is in, is in */
	lose_sessions();
	for (int i = 0; i < 5; i++)
		signs_not(&s);
	mode(SHIM_WORKS);
	signs(&s);
	end(&s);
}

TEST(a_wrong_pin_is_tried_once_and_the_right_one_at_once)
{
	struct scene s = scene();
	softhsm_pin("9999\n");
	lose_sessions();
	int before = logins();
	for (int i = 0; i < 10; i++)
		signs_not(&s);
	assert_int_equal(logins() - before, 1);
	softhsm_pin("8888\n");
	for (int i = 0; i < 10; i++)
		signs_not(&s);
	assert_int_equal(logins() - before, 2);
	softhsm_pin("");
	signs_not(&s);
	assert_int_equal(logins() - before, 2);
	softhsm_pin("1234");
	signs(&s);
	end(&s);
}

struct caller { struct scene *s; pthread_t thread; int64_t took; bool unavailable, good; int times; };

static void *call(void *p)
{
	struct caller *c = p;
	struct arena *a = arena_new();
	int64_t began = clock_mono_ms();
	c->good = true;
	for (int i = 0; i < c->times; i++) {
		err e = sign(c->s, a);
		c->unavailable |= e.kind == &UNAVAILABLE;
		c->good &= !e.kind;
		arena_reset(a);
	}
	c->took = clock_mono_ms() - began;
	arena_free(a);
	return NULL;
}

TEST(many_sign_at_once)
{
	struct scene s = scene();
	struct caller c[16];
	for (size_t i = 0; i < 16; i++) {
		c[i] = (struct caller){ .s = &s, .times = 20 };
		assert_int_equal(pthread_create(&c[i].thread, NULL, call, &c[i]), 0);
	}
	for (size_t i = 0; i < 16; i++) {
		pthread_join(c[i].thread, NULL);
		assert_true(c[i].good);
	}
	end(&s);
}

TEST(a_module_that_hangs_holds_nobody_for_long_and_then_nobody_at_all)
{
	struct scene s = scene();
	struct caller c[16], late = { .s = &s, .times = 1 };
	mode(SHIM_HANGS);
	for (size_t i = 0; i < 16; i++) {
		c[i] = (struct caller){ .s = &s, .times = 1 };
		assert_int_equal(pthread_create(&c[i].thread, NULL, call, &c[i]), 0);
	}
	for (size_t i = 0; i < 16; i++) {
		pthread_join(c[i].thread, NULL);
		assert_true(c[i].unavailable);
		assert_in_range(c[i].took, 0, 8000);
	}
	assert_true(inside() > 1);
	call(&late);                         /* all threads of the HSM's are stuck: it is said at once */
	assert_true(late.unavailable);
	assert_in_range(late.took, 0, 1000);
	mode(SHIM_WORKS);
	signs_soon(&s);
	end(&s);
}

TEST(a_key_that_is_forgotten_signs_no_more)
{
	struct scene s = scene();
	fine(hsm_forget(s.hsm, s.a, signer_kid(s.s)));
	signs_not(&s);
	fine(hsm_forget(s.hsm, s.a, signer_kid(s.s)));
	end(&s);
}
