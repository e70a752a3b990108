#include "pki_scene.h"
#include "status.h"

int LLVMFuzzerTestOneInput(const unsigned char *p, size_t n)
{
	scene();
	struct arena *a = arena_new();
	struct crl *c;
	struct str why;
	must(!crl_read(a, (struct bytes){ p, n }, &it.by, NOW, &c, &why).kind && !c && why.n);
	arena_free(a);
	return 0;
}
