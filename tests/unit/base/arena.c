#include "t.h"
#include "arena.h"

static int order[3], said;
static void say(void *p) { order[said++] = *(int *)p; }

TEST(an_arena_ends_what_it_adopted_last_in_first_out)
{
	struct arena *a = arena_new();
	int one = 1, two = 2, three = 3;
	said = 0;
	arena_defer(a, say, &one);
	arena_defer(a, say, &two);
	arena_defer(a, say, &three);
	arena_reset(a);
	assert_int_equal(order[0], 3);
	assert_int_equal(order[2], 1);
	arena_reset(a);
	assert_int_equal(said, 3);
	arena_free(a);
}

TEST(what_an_arena_gives_is_zero_even_after_a_reset)
{
	struct arena *a = arena_new();
	char *p = arena_alloc(a, 5000);
	memset(p, 0x55, 5000);
	arena_reset(a);
	char *q = arena_alloc(a, 5000);
	for (int i = 0; i < 5000; i++)
		assert_int_equal(q[i], 0);
	assert_int_equal((uintptr_t)arena_alloc(a, 1) % 16, 0);
	arena_free(a);
}

TEST(a_reset_arena_holds_one_chunk)
{
	struct arena *a = arena_new();
	for (int i = 0; i < 100; i++)
		arena_alloc(a, 9000);
	assert_true(arena_size(a) > 900000);
	arena_reset(a);
	assert_true(arena_size(a) <= 16384);
	arena_free(a);
}
