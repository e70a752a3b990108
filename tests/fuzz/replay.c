#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Runs one target over every file that is named, or that lies in a folder that is named: as it is, cut off after every
 * byte, and with every byte changed. What libFuzzer finds is put into seeds/NAME/ and is tried again in every run.
 * A run over nothing is a mistake, and fails. */
int LLVMFuzzerTestOneInput(const unsigned char *p, size_t n);

enum { MAX_SEED = 1 << 20, MAX_VARIED = 4096 };

static size_t runs;

/* In memory of exactly that size, so that AddressSanitizer sees a step beyond it. */
static void once(const unsigned char *p, size_t n)
{
	unsigned char *exact = malloc(n ? n : 1);
	if (!exact)
		abort();
	memcpy(exact, p, n);
	LLVMFuzzerTestOneInput(exact, n);
	free(exact);
	runs++;
}

static void varied(unsigned char *p, size_t n)
{
	static const unsigned char OTHER[] = { 0x00, 0x0a, 0x20, 0x22, 0x25, 0x3d, 0x7f, 0xc3, 0xff };
	for (size_t cut = 0; cut < n; cut++)
		once(p, cut);
	for (size_t i = 0; i < n; i++) {
		unsigned char was = p[i];
		for (size_t k = 0; k < sizeof OTHER; k++) {
			p[i] = OTHER[k];
			once(p, n);
		}
		p[i] = was;
	}
}

static void file(const char *path)
{
	static unsigned char p[MAX_SEED];
	FILE *f = fopen(path, "rb");
	if (!f) {
		perror(path);
		exit(1);
	}
	size_t n = fread(p, 1, sizeof p, f);
	fclose(f);
	once(p, n);
	if (n <= MAX_VARIED)
		varied(p, n);
}

static void folder(const char *path)
{
	DIR *d = opendir(path);
	if (!d) {
		perror(path);
		exit(1);
	}
	for (struct dirent *e; (e = readdir(d));) {
		char name[4096];
		if (e->d_name[0] == '.')
			continue;
		snprintf(name, sizeof name, "%s/%s", path, e->d_name);
		file(name);
	}
	closedir(d);
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		struct stat st;
		if (stat(argv[i], &st) == 0 && S_ISDIR(st.st_mode))
			folder(argv[i]);
		else
			file(argv[i]);
	}
	printf("%zu inputs\n", runs);
	return runs ? 0 : 1;
}
