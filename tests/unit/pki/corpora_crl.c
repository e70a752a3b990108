#include "corpus.h"
#include "status.h"
#include <dirent.h>
#include <stdlib.h>
#include <openssl/err.h>
#include <openssl/pem.h>

enum { CRL_TIME = 1489017600 };

struct parts { struct bytes crl, leaf, ca[2]; };

static struct parts take_apart(struct arena *a, struct bytes file)
{
	struct parts p = { 0 };
	BIO *b = BIO_new_mem_buf(file.p, (int)file.n);
	char *name, *header;
	unsigned char *data;
	long n;
	while (PEM_read_bio(b, &name, &header, &data, &n) == 1) {
		struct bytes der = bytes_copy(a, data, (size_t)n);
		*(strcmp(name, "CRL") == 0 ? &p.crl : strcmp(name, "CERTIFICATE") == 0 ? &p.leaf : strcmp(name, "CA CERTIFICATE") == 0 ? &p.ca[0] : &p.ca[1]) = der;
		OPENSSL_free(name);
		OPENSSL_free(header);
		OPENSSL_free(data);
	}
	ERR_clear_error();
	BIO_free(b);
	return p;
}

static struct status_answer look(struct arena *a, const struct parts *p)
{
	struct status_answer o = { .status = STATUS_UNDECIDED, .why = S("a certificate cannot be read") };
	struct cert leaf, ca;
	struct crl *c = NULL;
	if (cert_read(a, p->leaf, &leaf).kind)
		return o;
	for (size_t i = 0; i < 2 && !c; i++) {
		struct str why;
		if (p->ca[i].n == 0 || cert_read(a, p->ca[i], &ca).kind)
			continue;
		fine(crl_read(a, p->crl, &ca, CRL_TIME, &c, &why));
		o.why = why;
	}
	if (c)
		crl_look(c, a, &leaf, CRL_TIME, &o);
	crl_free(c);
	return o;
}

TEST(boringssl_s_lists_say_what_they_should)
{
	needs_corpora();
	struct arena *a = arena_new();
	struct corpus c = corpus_new(a, "crl-boringssl", EXCEPT);
	DIR *d = opendir(str_fmt(a, "%s/crl-boringssl", t_corpora()).p);
	size_t cases = 0;
	for (struct dirent *e; (e = readdir(d));) {
		if (!str_ends(str_of(e->d_name), S(".pem")))
			continue;
		struct parts p = take_apart(a, corpus_file(a, "crl-boringssl", e->d_name));
		struct status_answer o = look(a, &p);
		if (str_starts(str_of(e->d_name), S("revoked")))
			corpus_case(&c, e->d_name, o.status == STATUS_REVOKED, true, o.why.p);
		else
			corpus_case(&c, e->d_name, o.status == STATUS_GOOD, str_starts(str_of(e->d_name), S("good")), o.why.p);
		cases++;
	}
	closedir(d);
	assert_int_equal(cases, 66);
	corpus_end(&c, cases);
	arena_free(a);
}
