#include "inside/own_signer.h"
#include "inside/jose.h"
#include <stdlib.h>
#include <openssl/crypto.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

/* RSA of 2048 bits for our own tokens: 212 µs a signature against 1,343 µs with 3072 (PERFORMANCE.md). NIST SP 800-131A
 * allows it through 2030, and a key here signs for weeks and is retired months before; keys of long life, that is
 * certificates', are not made here. */
enum { RSA_BITS = 2048, PKCS8_MOST = 8192 };

struct local { struct signer signer; const struct alg *alg; EVP_PKEY *pkey; EVP_PKEY_CTX *sign; };

static struct local *local_of(struct signer *s) { return (struct local *)s; }

static err sign_eddsa(struct local *l, struct arena *a, struct bytes input, unsigned char *sig, size_t *n)
{
	EVP_MD_CTX *c = EVP_MD_CTX_new();
	*n = 64;
	bool good = c && EVP_DigestSignInit(c, NULL, NULL, NULL, l->pkey) == 1 && EVP_DigestSign(c, sig, n, input.p, input.n) == 1;
	EVP_MD_CTX_free(c);
	return good ? OK : fault(a, &SERVER_ERROR, "the key %s could not sign", l->signer.kid.p);
}

static err sign(struct signer *s, struct arena *a, struct bytes input, unsigned char *sig, size_t *n)
{
	struct local *l = local_of(s);
	unsigned char digest[64], out[512];
	size_t digest_n, out_n = sizeof out;
	if (!l->sign)
		return sign_eddsa(l, a, input, sig, n);
	EVP_PKEY_CTX *c = EVP_PKEY_CTX_dup(l->sign);
	bool good = c && alg_digest(l->alg, input, digest, &digest_n) && EVP_PKEY_sign(c, out, &out_n, digest, digest_n) == 1;
	EVP_PKEY_CTX_free(c);
	if (good && l->alg->coordinate) {
		good = sig_from_der(out, out_n, l->alg->coordinate, sig);
		*n = 2 * l->alg->coordinate;
	} else if (good) {
		memcpy(sig, out, out_n);
		*n = out_n;
	}
	return good ? OK : fault(a, &SERVER_ERROR, "the key %s could not sign", s->kid.p);
}

static void free_der(void *p) { OPENSSL_free(p); }
static void free_p8(void *p) { PKCS8_PRIV_KEY_INFO_free(p); }

static err export(struct signer *s, struct arena *a, struct bytes *pkcs8)
{
	PKCS8_PRIV_KEY_INFO *p8 = EVP_PKEY2PKCS8(local_of(s)->pkey);
	unsigned char *der = NULL;
	int n = p8 ? i2d_PKCS8_PRIV_KEY_INFO(p8, &der) : 0;
	PKCS8_PRIV_KEY_INFO_free(p8);
	if (n <= 0)
		return fault(a, &SERVER_ERROR, "the key %s could not be written", s->kid.p);
	*pkcs8 = bytes_copy(a, der, (size_t)n);     /* the arena wipes it */
	OPENSSL_cleanse(der, (size_t)n);
	free_der(der);
	return OK;
}

static void free_local(struct signer *s)
{
	struct local *l = local_of(s);
	EVP_PKEY_CTX_free(l->sign);
	EVP_PKEY_free(l->pkey);
	free(l);
}

/* kid, alg, use beside the members of the key */
static err public_jwk(struct arena *a, EVP_PKEY *pkey, struct str alg, struct str kid, struct str *jwk)
{
	struct str members;
	struct jw w = jw_new(a, 256);
	TRY(pkey_jwk(a, pkey, &members));
	jw_object(&w, NULL);
	jw_str(&w, "kid", kid);
	jw_str(&w, "alg", alg);
	jw_str(&w, "use", S("sig"));
	jw_end(&w);
	TRY(jw_done(&w, jwk));
	*jwk = str_fmt(a, "%.*s,%s", (int)jwk->n - 1, jwk->p, members.p + 1);
	return OK;
}

/* Takes pkey over, also when it refuses. */
static err local_new(struct arena *a, const struct alg *g, struct str kid, EVP_PKEY *pkey, struct signer **out)
{
	struct str jwk;
	struct local *l = calloc(1, sizeof *l);
	if (!l)
		abort();
	*l = (struct local){ { .sign = sign, .export = export, .free = free_local }, g, pkey, NULL };
	err e = public_jwk(a, pkey, g->name, kid, &jwk);
	if (e.kind) {
		free_local(&l->signer);
		return e;
	}
	l->sign = alg_template(g, pkey, true);
	signer_name(&l->signer, g->name, kid, jwk);
	*out = &l->signer;
	return OK;
}

static EVP_PKEY *generate(enum key_kind kind)
{
	if (kind == KEY_RSA)
		return EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)RSA_BITS);
	return kind == KEY_ED25519 ? EVP_PKEY_Q_keygen(NULL, NULL, "ED25519") : EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
}

err signer_local_new(struct arena *a, struct str alg, struct str kid, struct signer **out)
{
	const struct alg *g;
	TRY(signer_fits(a, alg, kid, &g));
	EVP_PKEY *pkey = generate(g->kind);
	if (!pkey)
		return fault(a, &SERVER_ERROR, "no %.8s key could be made", alg.p);
	return local_new(a, g, kid, pkey, out);
}

err signer_local_open(struct arena *a, struct str alg, struct str kid, struct bytes pkcs8, struct signer **out)
{
	const struct alg *g;
	const unsigned char *p = pkcs8.p;
	TRY(signer_fits(a, alg, kid, &g));
	PKCS8_PRIV_KEY_INFO *p8 = pkcs8.n && pkcs8.n <= PKCS8_MOST ? d2i_PKCS8_PRIV_KEY_INFO(NULL, &p, (long)pkcs8.n) : NULL;
	if (p8)
		arena_defer(a, free_p8, p8);
	if (!p8 || p != pkcs8.p + pkcs8.n)
		return fault(a, &INVALID_REQUEST, "the key %s is not one PKCS #8 PrivateKeyInfo", kid.p);
	EVP_PKEY *pkey = EVP_PKCS82PKEY(p8);
	err e = pkey ? pkey_sound(a, pkey) : fault(a, &INVALID_REQUEST, "the key %s cannot be read", kid.p);
	if (!e.kind && pkey_kind(pkey) != (int)g->kind)
		e = fault(a, &INVALID_REQUEST, "the key %s does not go with %s", kid.p, g->name.p);
	if (e.kind) {
		EVP_PKEY_free(pkey);
		return e;
	}
	return local_new(a, g, kid, pkey, out);
}
