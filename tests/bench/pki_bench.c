#include "mint.h"
#include "signature.h"
#include "status.h"
#include "trust.h"
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* Microseconds of processor time for what a sign-in by certificate needs. Absolute figures move with the machine: compare within one run.
 * usage: pki_bench [milliseconds a row] */

#define NOW 1790000000
#define ORIGIN S("https://login.example.vn")
#define NONCE S("MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=")

struct scene {
	struct arena *a;
	struct minted *root, *ca, *leaf;
	struct cert leaf_cert, ca_cert;
	struct bytes extra, ocsp, cms, raw, hash, text;
	struct str token;
	struct trust *pinned, *rooted;
	struct crl *list;
};

static void must(err e)
{
	if (!e.kind)
		return;
	fprintf(stderr, "%s: %s\n", e.kind->code, e.why);
	exit(1);
}

static struct trust *trust_in(struct arena *a, const struct minted *m, bool intermediate)
{
	struct anchor an = { .name = S("bench"), .purposes = S("token tls"), .intermediate = intermediate, .level = S("high") };
	struct trust *t;
	must(cert_read(a, m->der, &an.cert));
	must(trust_new(a, &an, 1, &t));
	return t;
}

static struct scene scene(const char *key, const char *alg)
{
	struct scene s = { .a = arena_new() };
	const struct mint_wish w = { .key = key };
	struct str why;
	s.root = mint_root(s.a, &w);
	s.ca = mint_ca(s.a, s.root, &w);
	s.leaf = mint_leaf(s.a, s.ca, &(struct mint_wish){ .key = key, .uid = { "CCCD:022090000017" } });
	must(cert_read(s.a, s.leaf->der, &s.leaf_cert));
	must(cert_read(s.a, s.ca->der, &s.ca_cert));
	s.extra = s.ca->der;
	s.text = str_bytes(S("idp.example.vn: dang nhap 4711. Ma 7910"));
	s.hash = (struct bytes){ (const unsigned char *)"01234567890123456789012345678901", 32 };
	s.ocsp = mint_ocsp(s.a, s.leaf, NOW, NULL);
	s.cms = mint_cms(s.a, s.leaf, s.text, &(struct mint_cms_wish){ .encapsulated = true });
	s.raw = mint_sign_hash(s.a, s.leaf, s.hash);
	s.token = mint_webeid(s.a, s.leaf, alg, ORIGIN, NONCE, NULL, 0);
	s.pinned = trust_in(s.a, s.ca, true);
	s.rooted = trust_in(s.a, s.root, false);
	must(crl_read(s.a, mint_crl(s.a, s.ca, NOW, NULL), &s.ca_cert, NOW, &s.list, &why));
	return s;
}

static void do_cert_read(struct scene *s, struct arena *a)
{
	struct cert c;
	must(cert_read(a, s->leaf->der, &c));
}

static void do_subject(struct scene *s, struct arena *a)
{
	struct subject sub;
	must(subject_read(a, &s->leaf_cert, &sub));
}

/* A trust remembers where a path led for one purpose: asked for the other in turn, it builds the path each time. */
static void path_afresh(struct scene *s, struct arena *a, const struct cert *leaf)
{
	static bool other;
	struct cert issuer;
	const struct anchor *an;
	other = !other;
	must(trust_path(s->pinned, a, leaf, NULL, 0, other ? S("tls") : S("token"), NOW, &issuer, &an));
}

static void do_path_pinned(struct scene *s, struct arena *a) { path_afresh(s, a, &s->leaf_cert); }

static void do_path_again(struct scene *s, struct arena *a)
{
	struct cert issuer;
	const struct anchor *an;
	must(trust_path(s->pinned, a, &s->leaf_cert, NULL, 0, S("token"), NOW, &issuer, &an));
}

static void do_path_of_3(struct scene *s, struct arena *a)
{
	struct cert issuer;
	const struct anchor *an;
	must(trust_path(s->rooted, a, &s->leaf_cert, &s->extra, 1, S("token"), NOW, &issuer, &an));
}

static void do_webeid(struct scene *s, struct arena *a)
{
	struct webeid w;
	must(webeid_verify(a, NULL, s->token, ORIGIN, NONCE, &w));
}

static void do_ocsp(struct scene *s, struct arena *a)
{
	struct status_answer o;
	must(ocsp_read(a, s->ocsp, &s->leaf_cert, &s->ca_cert, (struct bytes){ 0 }, false, 3600, NOW, &o));
	if (o.status != STATUS_GOOD)
		exit(1);
}

static void do_crl(struct scene *s, struct arena *a)
{
	struct status_answer o;
	crl_look(s->list, a, &s->leaf_cert, NOW, &o);
	if (o.status != STATUS_GOOD)
		exit(1);
}

static void do_raw(struct scene *s, struct arena *a) { must(signature_raw(a, &s->leaf_cert, s->hash, s->raw)); }

static void do_cms(struct scene *s, struct arena *a)
{
	struct cert c;
	struct bytes extra[8];
	size_t n;
	must(signature_cms(a, s->cms, s->text, &c, extra, 8, &n));
}

/* The signature, the path to a pinned authority, the person; whether the certificate is still good comes from a cache. */
static void do_first_login(struct scene *s, struct arena *a)
{
	struct webeid w;
	struct subject sub;
	must(webeid_verify(a, NULL, s->token, ORIGIN, NONCE, &w));
	path_afresh(s, a, &w.cert);
	must(subject_read(a, &w.cert, &sub));
}

static void do_next_login(struct scene *s, struct arena *a)
{
	struct webeid w;
	struct cert issuer;
	struct subject sub;
	const struct anchor *an;
	must(webeid_verify(a, s->pinned, s->token, ORIGIN, NONCE, &w));
	must(trust_path(s->pinned, a, &w.cert, w.extra, w.nextra, S("token"), NOW, &issuer, &an));
	must(subject_read(a, &w.cert, &sub));
}

static int64_t cpu_us(void)
{
	struct timespec t;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static double cost(struct scene *s, void (*fn)(struct scene *, struct arena *), int64_t ms)
{
	struct arena *a = arena_new();
	int64_t start = cpu_us(), took;
	size_t n = 0;
	do {
		for (int i = 0; i < 64; i++, n++) {
			fn(s, a);
			arena_reset(a);
		}
		took = cpu_us() - start;
	} while (took < ms * 1000);
	arena_free(a);
	return (double)took / (double)n;
}

int main(int argc, char **argv)
{
	static const struct { const char *name; void (*fn)(struct scene *, struct arena *); } ROWS[] = {
		{ "cert_read", do_cert_read }, { "subject_read", do_subject }, { "trust_path, pinned issuer", do_path_pinned },
		{ "trust_path, known", do_path_again },
		{ "trust_path, chain of 3", do_path_of_3 }, { "webeid_verify", do_webeid }, { "ocsp_read", do_ocsp }, { "crl_look", do_crl },
		{ "signature_raw", do_raw }, { "signature_cms", do_cms }, { "first login of a person", do_first_login }, { "the next ones", do_next_login } };
	int64_t ms = argc > 1 ? atoi(argv[1]) : 1000;
	struct scene ec = scene("P-256", "ES256"), rsa = scene("RSA:2048", "RS256");
	printf("%-28s %9s %9s\n", "us per op", "P-256", "RSA-2048");
	for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++)
		printf("%-28s %9.1f %9.1f\n", ROWS[i].name, cost(&ec, ROWS[i].fn, ms), cost(&rsa, ROWS[i].fn, ms));
	for (size_t i = 0; i < 2; i++) {
		struct scene *s = i ? &rsa : &ec;
		trust_drop(s->pinned);
		trust_drop(s->rooted);
		crl_free(s->list);
		arena_free(s->a);
	}
	return 0;
}
