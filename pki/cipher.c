#include "inside/cipher.h"
#include "hash.h"
#include <pthread.h>
#include <stdlib.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/rsa.h>

enum { GCM, CBC, KW, FETCHED };
static EVP_CIPHER *fetched[FETCHED];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void fetch(void)
{
	static const char *const NAMES[FETCHED] = { "AES-256-GCM", "AES-128-CBC", "AES-256-WRAP" };
	for (size_t i = 0; i < FETCHED; i++)
		if (!(fetched[i] = EVP_CIPHER_fetch(NULL, NAMES[i], NULL)))
			abort();
}

[[gnu::destructor]] static void unfetch(void)
{
	for (size_t i = 0; i < FETCHED; i++)
		EVP_CIPHER_free(fetched[i]);
}

static EVP_CIPHER_CTX *context(size_t which, const unsigned char *key, const unsigned char *iv, bool seal)
{
	pthread_once(&once, fetch);
	EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
	if (!c)
		abort();
	EVP_CIPHER_CTX_set_flags(c, EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
	if (EVP_CipherInit_ex(c, fetched[which], NULL, key, iv, seal) != 1)
		abort();
	return c;
}

/* ---- AES-256-GCM: RFC 7518 section 5.3 ------------------------------------------------------------------------- */

static bool gcm_run(EVP_CIPHER_CTX *c, struct bytes aad, struct bytes in, unsigned char *out)
{
	int n, end;
	return EVP_CipherUpdate(c, NULL, &n, aad.p, (int)aad.n) == 1 && (!in.n || EVP_CipherUpdate(c, out, &n, in.p, (int)in.n) == 1)
		&& EVP_CipherFinal_ex(c, out + in.n, &end) == 1;
}

static bool gcm_seal(struct arena *a, const unsigned char *key, const unsigned char *iv, struct bytes aad, struct bytes plain,
                     struct bytes *text, unsigned char *tag)
{
	unsigned char *out = arena_alloc(a, plain.n + CIPHER_TAG);
	EVP_CIPHER_CTX *c = context(GCM, key, iv, true);
	bool good = gcm_run(c, aad, plain, out) && EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_GET_TAG, CIPHER_TAG, tag) == 1;
	EVP_CIPHER_CTX_free(c);
	*text = (struct bytes){ out, plain.n };
	return good;
}

static bool gcm_open(struct arena *a, const unsigned char *key, struct bytes iv, struct bytes aad, struct bytes text, struct bytes tag, struct bytes *plain)
{
	unsigned char *out = arena_alloc(a, text.n + CIPHER_TAG), given[CIPHER_TAG];
	EVP_CIPHER_CTX *c = context(GCM, key, iv.p, false);
	memcpy(given, tag.p, CIPHER_TAG);
	bool good = EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_SET_TAG, CIPHER_TAG, given) == 1 && gcm_run(c, aad, text, out);
	EVP_CIPHER_CTX_free(c);
	if (!good)
		OPENSSL_cleanse(out, text.n);        /* decrypted before the tag was seen to be wrong */
	*plain = good ? (struct bytes){ out, text.n } : (struct bytes){ 0 };
	return good;
}

/* ---- AES-128-CBC with HMAC-SHA-256: RFC 7518 section 5.2.3, half of the key for each ------------------------------- */

enum { HALF = CIPHER_KEY / 2, BLOCK = 16 };

/* section 5.2.2.1: over AAD || IV || E || AL, of which the first half counts */
static void cbc_tag(struct arena *a, const unsigned char *key, const unsigned char *iv, struct bytes aad, struct bytes text, unsigned char *tag)
{
	unsigned char *in = arena_alloc(a, aad.n + BLOCK + text.n + 8), *p = in, mac[SHA256_SIZE];
	uint64_t bits = (uint64_t)aad.n * 8;
	memcpy(p, aad.p, aad.n), p += aad.n;
	memcpy(p, iv, BLOCK), p += BLOCK;
	if (text.n)
		memcpy(p, text.p, text.n), p += text.n;
	for (int shift = 56; shift >= 0; shift -= 8)
		*p++ = (unsigned char)(bits >> shift);
	hmac256((struct bytes){ key, HALF }, in, (size_t)(p - in), mac);
	memcpy(tag, mac, CIPHER_TAG);
}

static bool cbc_seal(struct arena *a, const unsigned char *key, const unsigned char *iv, struct bytes aad, struct bytes plain,
                     struct bytes *text, unsigned char *tag)
{
	int n = 0, end = 0;
	unsigned char *out = arena_alloc(a, plain.n + BLOCK);
	EVP_CIPHER_CTX *c = context(CBC, key + HALF, iv, true);
	bool good = (!plain.n || EVP_CipherUpdate(c, out, &n, plain.p, (int)plain.n) == 1) && EVP_CipherFinal_ex(c, out + n, &end) == 1;
	EVP_CIPHER_CTX_free(c);
	*text = (struct bytes){ out, (size_t)n + (size_t)end };
	if (good)
		cbc_tag(a, key, iv, aad, *text, tag);
	return good;
}

static bool cbc_open(struct arena *a, const unsigned char *key, struct bytes iv, struct bytes aad, struct bytes text, struct bytes tag, struct bytes *plain)
{
	int n = 0, end = 0;
	unsigned char right[CIPHER_TAG];
	*plain = (struct bytes){ 0 };
	if (!text.n || text.n % BLOCK)
		return false;
	/* section 5.2.2.2: the tag before anything else: no padding is looked at of a text that nobody vouches for */
	cbc_tag(a, key, iv.p, aad, text, right);
	if (CRYPTO_memcmp(right, tag.p, CIPHER_TAG) != 0)
		return false;
	unsigned char *out = arena_alloc(a, text.n + BLOCK);
	EVP_CIPHER_CTX *c = context(CBC, key + HALF, iv.p, false);
	bool good = EVP_CipherUpdate(c, out, &n, text.p, (int)text.n) == 1 && EVP_CipherFinal_ex(c, out + n, &end) == 1;
	EVP_CIPHER_CTX_free(c);
	*plain = (struct bytes){ out, good ? (size_t)n + (size_t)end : 0 };
	return good;
}

/* ---- by name ------------------------------------------------------------------------------------------------------------ */

const struct cipher CIPHERS[] = { { S("A128CBC-HS256"), BLOCK, cbc_seal, cbc_open }, { S("A256GCM"), 12, gcm_seal, gcm_open }, { .name = S("") } };

bool cipher_seal(struct arena *a, const struct cipher *how, const unsigned char key[CIPHER_KEY], const unsigned char *iv, struct bytes aad,
                 struct bytes plain, struct bytes *text, unsigned char tag[CIPHER_TAG])
{
	return how->seal(a, key, iv, aad, plain, text, tag);
}

bool cipher_open(struct arena *a, const struct cipher *how, const unsigned char key[CIPHER_KEY], struct bytes iv, struct bytes aad,
                 struct bytes text, struct bytes tag, struct bytes *plain)
{
	if (iv.n != how->iv || tag.n != CIPHER_TAG)
		return false;
	bool good = how->open(a, key, iv, aad, text, tag, plain);
	if (!good)
		ERR_clear_error();
	return good;
}

/* ---- keys ----------------------------------------------------------------------------------------------------------------- */

bool wrap(const unsigned char kek[CIPHER_KEY], const unsigned char key[CIPHER_KEY], unsigned char out[CIPHER_WRAPPED])
{
	int n = 0, end = 0;
	EVP_CIPHER_CTX *c = context(KW, kek, NULL, true);
	bool good = EVP_CipherUpdate(c, out, &n, key, CIPHER_KEY) == 1 && EVP_CipherFinal_ex(c, out + n, &end) == 1 && n + end == CIPHER_WRAPPED;
	EVP_CIPHER_CTX_free(c);
	return good;
}

bool unwrap(const unsigned char kek[CIPHER_KEY], struct bytes wrapped, unsigned char key[CIPHER_KEY])
{
	int n = 0, end = 0;
	unsigned char out[CIPHER_WRAPPED];
	if (wrapped.n != CIPHER_WRAPPED)
		return false;
	EVP_CIPHER_CTX *c = context(KW, kek, NULL, false);
	bool good = EVP_CipherUpdate(c, out, &n, wrapped.p, CIPHER_WRAPPED) == 1 && EVP_CipherFinal_ex(c, out + n, &end) == 1 && n + end == CIPHER_KEY;
	EVP_CIPHER_CTX_free(c);
	if (good)
		memcpy(key, out, CIPHER_KEY);
	else
		ERR_clear_error();
	OPENSSL_cleanse(out, sizeof out);
	return good;
}

static bool oaep(EVP_PKEY_CTX *c)
{
	return EVP_PKEY_CTX_set_rsa_padding(c, RSA_PKCS1_OAEP_PADDING) == 1 && EVP_PKEY_CTX_set_rsa_oaep_md_name(c, "SHA256", NULL) == 1
		&& EVP_PKEY_CTX_set_rsa_mgf1_md_name(c, "SHA256", NULL) == 1;
}

bool oaep_seal(EVP_PKEY *to, const unsigned char key[CIPHER_KEY], unsigned char out[CIPHER_RSA_MOST], size_t *n)
{
	EVP_PKEY_CTX *c = EVP_PKEY_CTX_new(to, NULL);
	*n = CIPHER_RSA_MOST;
	bool good = c && EVP_PKEY_encrypt_init(c) == 1 && oaep(c) && EVP_PKEY_encrypt(c, out, n, key, CIPHER_KEY) == 1;
	EVP_PKEY_CTX_free(c);
	return good;
}

bool oaep_open(EVP_PKEY *own, struct bytes sealed, unsigned char key[CIPHER_KEY])
{
	unsigned char out[CIPHER_RSA_MOST];
	size_t n = sizeof out;
	if (sealed.n != (size_t)EVP_PKEY_get_size(own))
		return false;
	EVP_PKEY_CTX *c = EVP_PKEY_CTX_new(own, NULL);
	bool good = c && EVP_PKEY_decrypt_init(c) == 1 && oaep(c) && EVP_PKEY_decrypt(c, out, &n, sealed.p, sealed.n) == 1 && n == CIPHER_KEY;
	EVP_PKEY_CTX_free(c);
	if (good)
		memcpy(key, out, CIPHER_KEY);
	else
		ERR_clear_error();
	OPENSSL_cleanse(out, sizeof out);
	return good;
}

bool agree(EVP_PKEY *own, EVP_PKEY *theirs, unsigned char z[CIPHER_KEY])
{
	size_t n = CIPHER_KEY;
	EVP_PKEY_CTX *c = EVP_PKEY_CTX_new(own, NULL);
	bool good = c && EVP_PKEY_derive_init(c) == 1 && EVP_PKEY_derive_set_peer(c, theirs) == 1 && EVP_PKEY_derive(c, z, &n) == 1 && n == CIPHER_KEY;
	EVP_PKEY_CTX_free(c);
	if (!good)
		ERR_clear_error();
	return good;
}

static unsigned char *put_number(unsigned char *o, size_t n)
{
	*o++ = (unsigned char)(n >> 24), *o++ = (unsigned char)(n >> 16), *o++ = (unsigned char)(n >> 8), *o++ = (unsigned char)n;
	return o;
}

static unsigned char *put_with_length(unsigned char *o, const void *p, size_t n)
{
	o = put_number(o, n);
	if (n)
		memcpy(o, p, n);
	return o + n;
}

void concat_kdf(struct arena *a, const unsigned char z[CIPHER_KEY], struct str alg, struct bytes apu, struct bytes apv, unsigned char out[CIPHER_KEY])
{
	unsigned char *in = arena_alloc(a, 4 + CIPHER_KEY + 4 + alg.n + 4 + apu.n + 4 + apv.n + 4), *p = put_number(in, 1);
	memcpy(p, z, CIPHER_KEY);
	p = put_with_length(p + CIPHER_KEY, alg.p, alg.n);
	p = put_with_length(p, apu.p, apu.n);
	p = put_with_length(p, apv.p, apv.n);
	p = put_number(p, CIPHER_KEY * 8);
	sha256(in, (size_t)(p - in), out);
}
