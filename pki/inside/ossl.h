#pragma once
#include <openssl/evp.h>
#include <openssl/x509.h>
#include "x509.h"

/* What the files of this room share among themselves and show to nobody: OpenSSL's types behind the plain values. */

enum { CERT_MAX = 16384, CERT_EXTRA_MAX = 8, SKEW = 300 };

/* Exactly one certificate, DER, with sane extensions and a readable key; the arena owns it. */
err x509_parse(struct arena *a, struct bytes der, X509 **out);
bool x509_sound(X509 *x);                                                /* the part of it that does not need the bytes */
err cert_fill(struct arena *a, struct bytes der, X509 *x, struct cert *out);
err cert_x509(struct arena *a, const struct cert *c, X509 **out);       /* the handle, or parsed again */

bool asn1_epoch(const ASN1_TIME *t, epoch *out);                         /* RFC 5280 section 4.1.2.5: Z, no fractions */
struct str oid_text(struct arena *a, const ASN1_OBJECT *o);

const char *key_unfit(X509 *x);                                          /* why the key may not sign for a person; NULL = it may */
int alg_bits(const X509_ALGOR *alg);                                     /* strength of a signature algorithm's hash; 0 = unknown */
int x509_sig_bits(X509 *x);

/* Fetched once: an implicit fetch costs as much as hashing a kilobyte. By size in octets: 32, 48, 64; else NULL. */
const EVP_MD *md_of(size_t size);
/* By JWA name: how to sign and which digest. */
struct alg { const char *name; int type; size_t digest; bool pss; size_t field; };
const struct alg *alg_by_name(struct str name);

/* One public-key operation over a digest. pss: salt as long as the digest. ec: raw r||s or DER. */
bool verify_rsa(EVP_PKEY *k, size_t digest, bool pss, struct bytes hash, struct bytes sig);
bool verify_ec_raw(EVP_PKEY *k, size_t digest, size_t field, struct bytes hash, struct bytes sig);
bool verify_ec_der(EVP_PKEY *k, size_t digest, struct bytes hash, struct bytes sig);
size_t ec_field(EVP_PKEY *k);                                            /* octets of a coordinate: 32, 48, 66; 0 = no such curve */
