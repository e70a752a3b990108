#include "token.h"
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "t.h"

static char dir[64], tokens[96], pin_file[96];

static void write_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(path, 0600), 0);
}

static void clean(void)
{
	char command[128];
	snprintf(command, sizeof command, "rm -rf %s", dir);
	if (system(command) != 0)
		fprintf(stderr, "%s is left\n", dir);
}

static const char *module(void)
{
	static const char *const WHERE[] = { "/usr/lib/softhsm/libsofthsm2.so", "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so", "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so" };
	for (size_t i = 0; i < sizeof WHERE / sizeof *WHERE; i++)
		if (access(WHERE[i], R_OK) == 0)
			return WHERE[i];
	return NULL;
}

struct hsm_conf softhsm(struct arena *a)
{
	char text[256];
	if (!*dir) {
		if (!module())
			fail_msg("SoftHSM is not installed (apt install softhsm2)");
		snprintf(dir, sizeof dir, "/tmp/motid-hsm-XXXXXX");
		assert_non_null(mkdtemp(dir));
		snprintf(tokens, sizeof tokens, "%s/tokens", dir);
		snprintf(pin_file, sizeof pin_file, "%s/pin", dir);
		assert_int_equal(mkdir(tokens, 0700), 0);
		snprintf(text, sizeof text, "directories.tokendir = %s\nobjectstore.backend = file\nlog.level = ERROR\n", tokens);
		char conf[96];
		snprintf(conf, sizeof conf, "%s/conf", dir);
		write_file(conf, text);
		softhsm_pin("1234\n");
		setenv("SOFTHSM2_CONF", conf, 1);
		setenv("HSM_SHIM_MODULE", module(), 1);
		atexit(clean);
		assert_int_equal(system("softhsm2-util --init-token --free --label 'motid keys' --pin 1234 --so-pin 5678 >/dev/null"), 0);
	}
	return (struct hsm_conf){ str_dup(a, HSM_SHIM, strlen(HSM_SHIM)), S("motid keys"), str_dup(a, pin_file, strlen(pin_file)) };
}

const char *softhsm_tokens(void) { return tokens; }
void softhsm_pin(const char *pin) { write_file(pin_file, pin); }

void *softhsm_symbol(const char *name)
{
	static void *library;
	if (!library)
		library = dlopen(HSM_SHIM, RTLD_NOW | RTLD_LOCAL);
	assert_non_null(library);
	void *p = dlsym(library, name);
	assert_non_null(p);
	return p;
}

