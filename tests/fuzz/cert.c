#include "pki_scene.h"
#include "signature.h"
#include "trust.h"

/* Whatever is taken for a certificate is text where it claims to be, is nobody whom we believe, and verifies nothing. */
static struct trust *trust(void)
{
	static struct trust *t;
	struct anchor row = { .cert = it.by, .name = S("root"), .purposes = S("token"), .level = S("high") };
	must(t || !trust_new(it.a, &row, 1, &t).kind);
	return t;
}

int LLVMFuzzerTestOneInput(const unsigned char *p, size_t n)
{
	scene();
	struct arena *a = arena_new();
	struct cert c, issuer, list[4];
	struct subject s;
	size_t count;
	const struct anchor *an;
	struct bytes in = { p, n }, none = { (const unsigned char *)"0123456789abcdef0123456789abcdef", 32 };
	if (!cert_read(a, in, &c).kind) {
		must(c.der.n == n && memcmp(c.der.p, p, n) == 0 && c.id.n == 64);
		must(str_utf8(c.subject) && str_utf8(c.issuer) && c.not_before && c.not_after);
		must(signature_raw(a, &c, none, none).kind != NULL);
		must(trust_path(trust(), a, &c, &in, 1, S("token"), NOW, &issuer, &an).kind != NULL && !an);
		if (!subject_read(a, &c, &s).kind)
			must(s.number.n > 6 && str_printable(s.number) && str_utf8(s.name));
	}
	err ignored = cert_read_pem_or_der(a, in, list, 4, &count);
	must(ignored.kind || count <= 4);
	arena_free(a);
	return 0;
}
