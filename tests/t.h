#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "err.h"
#include "str.h"

/* TEST(a_sentence_that_is_true) { … } registers itself. The file's name is the group's. */
void t_add(const char *name, void (*fn)(void **));
#define TEST(name) \
	static void name(void **); \
	[[gnu::constructor]] static void add_##name(void) { t_add(#name, name); } \
	static void name([[maybe_unused]] void **state)

#define fine(expr) do { err e_ = (expr); if (e_.kind) fail_msg("%s: %s (%s)", #expr, e_.kind->code, e_.why); } while (0)
#define fails(expr, want) do { err e_ = (expr); if (e_.kind != &(want)) fail_msg("%s: wanted %s, got %s", #expr, (want).code, e_.kind ? e_.kind->code : "success"); } while (0)
#define assert_str(s, z) assert_string_equal((s).p, z)

/* Where the shared test data lie (MOTID_CORPORA, else ../shared/corpora beside the checkout); NULL when this machine has none. */
const char *t_corpora(void);
