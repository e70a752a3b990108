#pragma once
#include "err.h"
#include "str.h"

/* Digests, keyed digests, sealing. All by OpenSSL, fetched once. Cannot fail short of a broken
 * library, in which case the process stops: there is no safe answer without SHA-256. */
enum { SHA256_SIZE = 32 };

void sha256(const void *p, size_t n, unsigned char out[SHA256_SIZE]);
struct str hash_of(struct arena *a, struct str s);             /* base64url of SHA-256: what is stored of a secret */
void hmac256(struct bytes key, const void *p, size_t n, unsigned char out[SHA256_SIZE]);

/* Keys of the house, all derived from one master key of at least 32 bytes (HKDF-SHA-256, RFC 5869, info = label). */
struct secrets {
	unsigned char seal[32];      /* AES-256-GCM: private keys and personal numbers at rest */
	unsigned char find[32];      /* HMAC: personal numbers and phone numbers are looked up by it */
	unsigned char rotate[32];    /* HMAC: the successor of a refresh token */
	unsigned char pairwise[32];  /* HMAC: subjects of one client */
	unsigned char form[32];      /* HMAC: the token in every form of ours */
	unsigned char nonce[32];     /* HMAC: the nonces that DPoP proofs must carry */
};
void secrets_from(struct bytes master, struct secrets *out);

/* AES-256-GCM with a random 96-bit nonce: base64url(nonce || ciphertext || tag). `what` names what is sealed and
 * where ("person:<id>:number") and must be given again to open it, so that rows cannot be swapped. */
struct str seal(struct arena *a, const unsigned char key[32], struct str what, struct str plain);
bool seal_open(struct arena *a, const unsigned char key[32], struct str what, struct str sealed, struct str *plain);
