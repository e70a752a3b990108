#include "corpus.h"
#include "mint.h"
#include "signature.h"
#include "status.h"
#include <ftw.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* What other people's fuzzers found, read once by each door: nothing of it is believed, and the sanitizers see no fault. */

extern char **environ;
static struct arena *a;
static struct cert leaf, by;
static size_t files;

static void unpack(const char *name, const char *into)
{
	struct str tar = str_fmt(a, "%s/fuzz-seeds/%s.tar.xz", t_corpora(), name);
	char *const argv[] = { (char[]){ "tar" }, (char[]){ "-xJf" }, (char *)(uintptr_t)tar.p, (char[]){ "-C" }, (char *)(uintptr_t)into, NULL };
	pid_t pid;
	int status = -1;
	assert_int_equal(posix_spawnp(&pid, "tar", NULL, NULL, argv, environ), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void read_by_all(struct arena *r, struct bytes in)
{
	struct cert c, list[4];
	struct subject s;
	struct status_answer o;
	struct crl *crl;
	struct str why;
	struct bytes extra[8];
	size_t n;
	if (!cert_read(r, in, &c).kind)
		assert_true(subject_read(r, &c, &s).kind || s.number.n > 0);
	err many = cert_read_pem_or_der(r, in, list, 4, &n);
	assert_true(many.kind || n > 0);
	fine(ocsp_read(r, in, &leaf, &by, (struct bytes){ 0 }, false, 3600, 1790000000, &o));
	assert_int_equal(o.status, STATUS_UNDECIDED);
	fine(crl_read(r, in, &by, 1790000000, &crl, &why));
	assert_null(crl);
	assert_non_null(signature_cms(r, in, str_bytes(S("text")), &c, extra, 8, &n).kind);
}

static int each(const char *path, [[maybe_unused]] const struct stat *st, int type, [[maybe_unused]] struct FTW *where)
{
	struct arena *r = arena_new();
	struct str s;
	if (type == FTW_F) {
		fine(file_read(r, path, 1 << 20, &s));
		read_by_all(r, str_bytes(s));
		files++;
	}
	arena_free(r);
	return 0;
}

static int drop(const char *path, [[maybe_unused]] const struct stat *st, [[maybe_unused]] int type, [[maybe_unused]] struct FTW *where) { return remove(path); }

TEST(what_fuzzers_found_elsewhere_is_believed_by_no_door)
{
	static const char *const NAMES[] = { "cms", "x509", "crl", "asn1parse", "pem", "ocsp-boringssl" };
	needs_corpora();
	a = arena_new();
	char into[] = "/tmp/seeds-XXXXXX";
	assert_non_null(mkdtemp(into));
	struct minted *root = mint_root(a, NULL);
	fine(cert_read(a, root->der, &by));
	fine(cert_read(a, mint_leaf(a, root, NULL)->der, &leaf));
	for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++)
		unpack(NAMES[i], into);
	assert_int_equal(nftw(into, each, 16, FTW_PHYS), 0);
	nftw(into, drop, 16, FTW_DEPTH | FTW_PHYS);
	fprintf(stderr, "fuzz-seeds: %zu files\n", files);
	assert_true(files > 4000);
	arena_free(a);
}
