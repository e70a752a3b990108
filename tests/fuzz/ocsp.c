#include "pki_scene.h"
#include "status.h"

int LLVMFuzzerTestOneInput(const unsigned char *p, size_t n)
{
	scene();
	struct arena *a = arena_new();
	struct status_answer o;
	struct bytes in = { p, n }, nonce = { (const unsigned char *)"0123456789abcdef", 16 };
	must(!ocsp_read(a, in, &it.of, &it.by, (struct bytes){ 0 }, false, 3600, NOW, &o).kind && o.status == STATUS_UNDECIDED && o.why.n && !o.good_until);
	must(!ocsp_read(a, in, &it.of, &it.by, nonce, true, 3600, NOW, &o).kind && o.status == STATUS_UNDECIDED && o.why.n);
	arena_free(a);
	return 0;
}
