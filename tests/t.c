#include "t.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static struct CMUnitTest tests[1024];
static size_t n;

void t_add(const char *name, void (*fn)(void **)) { tests[n++] = (struct CMUnitTest){ name, fn, NULL, NULL, NULL }; }

const char *t_corpora(void)
{
	const char *dir = getenv("MOTID_CORPORA");
	return dir && access(dir, R_OK) == 0 ? dir : NULL;
}

int main(int argc, char **argv)
{
	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return _cmocka_run_group_tests(program_invocation_short_name, tests, n, NULL, NULL);
}
