#pragma once
#include "trust.h"

/* Signatures by people's certificates. SIGNATURE_WRONG with the reason; never a hint to the outside which byte was wrong. */

/* A bare signature value over a SHA-256 hash: RSA PKCS#1 v1.5 over DigestInfo with NULL (strict), or ECDSA as raw r||s or DER. */
err signature_raw(struct arena *a, const struct cert *signer, struct bytes hash, struct bytes signature);

/* CMS SignedData over exactly this content, inside or detached: one SignerInfo, signed attributes with contentType and messageDigest,
 * SHA-256 or better, ESS signingCertificate(V2) matching when present. The signer's certificate comes out; it is not yet believed. */
err signature_cms(struct arena *a, struct bytes der, struct bytes content, struct cert *signer, struct bytes *extra, size_t max_extra, size_t *nextra);

/* The same over a SHA-256 hash of ours, as mobile operators differ: the hash is the content, inside or detached; or nothing is inside and the
 * hash is the messageDigest, so that what was signed is what we hashed. */
err signature_cms_of_hash(struct arena *a, struct bytes der, struct bytes hash, struct cert *signer, struct bytes *extra, size_t max_extra, size_t *nextra);

/* DigestInfo(SHA-256, hash) DER: 51 bytes. */
struct bytes digest_info(struct arena *a, struct bytes hash);

/* Web eID authentication token, format web-eid:1.* (SIGNATURES.md 2.1). Signed octets: Hash(origin) || Hash(nonce). 100..10000
 * characters of JSON. On OK the certificate signed our origin and nonce; whether it is believed is trust.h's question. The trust, which may be
 * NULL, only saves parsing a certificate that it knows. */
struct webeid { struct cert cert; struct str algorithm, format; struct bytes extra[8]; size_t nextra; };
err webeid_read(struct arena *a, struct str json, struct webeid *out);               /* INVALID_REQUEST */
err webeid_verify(struct arena *a, struct trust *, struct str json, struct str origin, struct str nonce, struct webeid *out);

/* Verification codes that a phone shows (SIGNATURES.md 1.2, 1.3). */
struct str code_vn(struct arena *a, struct bytes dtbs);        /* last two bytes of SHA-256(dtbs) mod 10000, %04u */
struct str code_mid(struct arena *a, struct bytes hash);
