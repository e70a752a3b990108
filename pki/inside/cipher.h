#pragma once
#include <openssl/evp.h>
#include "str.h"

/* What JWE is made of (RFC 7518 sections 4 and 5), for jwe.c and for the tests that run other people's vectors. Every key here has 256
 * bits: contents of A256GCM and A128CBC-HS256, key encryption of A256KW, what is agreed on P-256 and X25519. */
enum { CIPHER_KEY = 32, CIPHER_TAG = 16, CIPHER_WRAPPED = CIPHER_KEY + 8, CIPHER_RSA_MOST = 512 };

struct cipher {
	struct str name;
	size_t iv;
	bool (*seal)(struct arena *, const unsigned char *key, const unsigned char *iv, struct bytes aad, struct bytes plain, struct bytes *text, unsigned char *tag);
	bool (*open)(struct arena *, const unsigned char *key, struct bytes iv, struct bytes aad, struct bytes text, struct bytes tag, struct bytes *plain);
};
extern const struct cipher CIPHERS[];            /* ends with an empty name */

/* text comes out as long as it must be; tag is CIPHER_TAG bytes. */
bool cipher_seal(struct arena *a, const struct cipher *, const unsigned char key[CIPHER_KEY], const unsigned char *iv, struct bytes aad,
                 struct bytes plain, struct bytes *text, unsigned char tag[CIPHER_TAG]);
/* false: the tag is not this text's, and nothing of the text comes out. */
bool cipher_open(struct arena *a, const struct cipher *, const unsigned char key[CIPHER_KEY], struct bytes iv, struct bytes aad,
                 struct bytes text, struct bytes tag, struct bytes *plain);

/* RFC 3394, of 256 bits by 256 bits */
bool wrap(const unsigned char kek[CIPHER_KEY], const unsigned char key[CIPHER_KEY], unsigned char out[CIPHER_WRAPPED]);
bool unwrap(const unsigned char kek[CIPHER_KEY], struct bytes wrapped, unsigned char key[CIPHER_KEY]);

/* RSAES-OAEP with SHA-256 and MGF1 with SHA-256 (RFC 7518 section 4.3). open: exactly 256 bits must come out. */
bool oaep_seal(EVP_PKEY *to, const unsigned char key[CIPHER_KEY], unsigned char out[CIPHER_RSA_MOST], size_t *n);
bool oaep_open(EVP_PKEY *own, struct bytes sealed, unsigned char key[CIPHER_KEY]);

/* ECDH (RFC 7518 section 4.6) between keys of one kind, P-256 or X25519. false: of two kinds, or a point of small order. */
bool agree(EVP_PKEY *own, EVP_PKEY *theirs, unsigned char z[CIPHER_KEY]);
/* Concat KDF (section 4.6.2, NIST SP 800-56A section 5.8.1): one round of SHA-256 is 256 bits. */
void concat_kdf(struct arena *a, const unsigned char z[CIPHER_KEY], struct str alg, struct bytes apu, struct bytes apv, unsigned char out[CIPHER_KEY]);
