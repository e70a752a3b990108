#include "hash.h"
#include "code.h"
#include "rand.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

enum { NONCE = 12, TAG = 16 };

static EVP_MD *md;
static EVP_CIPHER *gcm;
static EVP_MAC *mac;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void must(int ok)
{
	if (ok != 1) {
		fputs("the cryptographic library failed\n", stderr);
		abort();
	}
}

static void fetch(void)
{
	md = EVP_MD_fetch(NULL, "SHA256", NULL);
	gcm = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
	mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	must(md && gcm && mac);
}

[[gnu::destructor]] static void unfetch(void)
{
	EVP_MD_free(md);
	EVP_CIPHER_free(gcm);
	EVP_MAC_free(mac);
}

void sha256(const void *p, size_t n, unsigned char out[SHA256_SIZE])
{
	pthread_once(&once, fetch);
	must(EVP_Digest(p, n, out, NULL, md, NULL));
}

struct str hash_of(struct arena *a, struct str s)
{
	unsigned char d[SHA256_SIZE];
	sha256(s.p, s.n, d);
	return b64url(a, (struct bytes){ d, sizeof d });
}

void hmac256(struct bytes key, const void *p, size_t n, unsigned char out[SHA256_SIZE])
{
	pthread_once(&once, fetch);
	EVP_MAC_CTX *c = EVP_MAC_CTX_new(mac);
	size_t got = 0;
	OSSL_PARAM params[] = { OSSL_PARAM_utf8_string(OSSL_MAC_PARAM_DIGEST, (char[]){ "SHA256" }, 6), OSSL_PARAM_END };
	must(c && EVP_MAC_init(c, key.p, key.n, params) && EVP_MAC_update(c, p, n)
		&& EVP_MAC_final(c, out, &got, SHA256_SIZE) && got == SHA256_SIZE);
	EVP_MAC_CTX_free(c);
}

/* RFC 5869; one label, one key, so that no key of the house serves two purposes */
static void derive(struct bytes master, const char *label, unsigned char out[32])
{
	EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
	EVP_KDF_CTX *c = EVP_KDF_CTX_new(kdf);
	OSSL_PARAM params[] = {
		OSSL_PARAM_utf8_string(OSSL_KDF_PARAM_DIGEST, (char[]){ "SHA256" }, 6),
		OSSL_PARAM_octet_string(OSSL_KDF_PARAM_KEY, (void *)(uintptr_t)master.p, master.n),
		OSSL_PARAM_octet_string(OSSL_KDF_PARAM_INFO, (void *)(uintptr_t)label, strlen(label)),
		OSSL_PARAM_END,
	};
	must(c && EVP_KDF_derive(c, out, 32, params) == 1);
	EVP_KDF_CTX_free(c);
	EVP_KDF_free(kdf);
}

void secrets_from(struct bytes master, struct secrets *out)
{
	derive(master, "motid seal 1", out->seal);
	derive(master, "motid find 1", out->find);
	derive(master, "motid rotate 1", out->rotate);
	derive(master, "motid pairwise 1", out->pairwise);
	derive(master, "motid form 1", out->form);
	derive(master, "motid nonce 1", out->nonce);
}

struct str seal(struct arena *a, const unsigned char key[32], struct str what, struct str plain)
{
	pthread_once(&once, fetch);
	unsigned char *d = arena_alloc(a, NONCE + plain.n + TAG);
	int n = 0, tail = 0;
	rand_fill(d, NONCE);
	EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
	must(c && EVP_EncryptInit_ex2(c, gcm, key, d, NULL)
		&& EVP_EncryptUpdate(c, NULL, &n, (const unsigned char *)what.p, (int)what.n)
		&& EVP_EncryptUpdate(c, d + NONCE, &n, (const unsigned char *)plain.p, (int)plain.n)
		&& EVP_EncryptFinal_ex(c, d + NONCE + n, &tail)
		&& EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_GET_TAG, TAG, d + NONCE + plain.n));
	EVP_CIPHER_CTX_free(c);
	return b64url(a, (struct bytes){ d, NONCE + plain.n + TAG });
}

bool seal_open(struct arena *a, const unsigned char key[32], struct str what, struct str sealed, struct str *plain)
{
	pthread_once(&once, fetch);
	struct bytes b;
	if (!b64url_read(a, sealed, &b) || b.n < NONCE + TAG)
		return false;
	size_t len = b.n - NONCE - TAG;
	unsigned char *d = arena_alloc(a, len + 1);
	int n = 0, tail = 0;
	EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
	bool good = c && EVP_DecryptInit_ex2(c, gcm, key, b.p, NULL) == 1
		&& EVP_DecryptUpdate(c, NULL, &n, (const unsigned char *)what.p, (int)what.n) == 1
		&& EVP_DecryptUpdate(c, d, &n, b.p + NONCE, (int)len) == 1
		&& EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_SET_TAG, TAG, (void *)(uintptr_t)(b.p + NONCE + len)) == 1
		&& EVP_DecryptFinal_ex(c, d + n, &tail) == 1;
	EVP_CIPHER_CTX_free(c);
	if (good)
		*plain = (struct str){ (char *)d, len };
	return good;
}
