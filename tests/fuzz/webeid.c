#include "pki_scene.h"
#include "signature.h"

#define ORIGIN S("https://login.example.vn")
#define NONCE S("MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=")
#define OTHER S("MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWc=")

int LLVMFuzzerTestOneInput(const unsigned char *p, size_t n)
{
	struct arena *a = arena_new();
	struct str text = str_dup(a, (const char *)p, n);
	struct webeid read, w;
	bool readable = !webeid_read(a, text, &read).kind;
	if (!webeid_verify(a, NULL, text, ORIGIN, NONCE, &w).kind)
		must(readable && str_eq(read.cert.id, w.cert.id) && w.nextra <= 8);
	must(webeid_verify(a, NULL, text, ORIGIN, OTHER, &w).kind != NULL);
	arena_free(a);
	return 0;
}
