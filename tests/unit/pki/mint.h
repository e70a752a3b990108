#pragma once
#include "err.h"
#include "str.h"

/* A mint of certificates for tests: authorities, people's certificates with anything wrong that one may wish, OCSP answers, revocation
 * lists, CMS and Web eID tokens. Everything lives in the arena; what cannot be made ends the test. */

struct mint_attr { const char *oid; int type; const void *p; size_t n; bool same_rdn; };   /* type: MINT_…; n 0 = strlen */
enum { MINT_UTF8 = 12, MINT_PRINTABLE = 19, MINT_T61 = 20, MINT_IA5 = 22, MINT_BMP = 30 };

/* NULL (0) = the usual; "" = leave it out. Extensions in OpenSSL's configuration syntax. */
struct mint_wish {
	const char *key;                     /* "P-256" (usual), "P-384", "P-521", "RSA:2048", "ED25519", … */
	const char *cn;
	const char *uid[6];                  /* UID attributes, UTF8String */
	const char *serial_number, *organization_identifier;
	struct mint_attr attrs[8];           /* more of the subject, as it shall be */
	const char *digest;                  /* "SHA256" */
	epoch not_before, not_after;         /* usual: 2026-01-01 .. 2028-01-01 */
	long serial;                         /* usual: counts from 4096 */
	const char *serial_hex;
	const char *basic, *ku, *eku, *policies, *san, *aia, *crldp, *nc, *more;   /* more: "oid=value" */
	bool v1, no_ids;
	const struct minted *same_key;       /* certify this one's key instead of a new one */
};

struct minted { struct bytes der; void *x, *key; const struct minted *issuer; };

struct minted *mint_root(struct arena *a, const struct mint_wish *);
struct minted *mint_ca(struct arena *a, const struct minted *issuer, const struct mint_wish *);      /* an authority below */
struct minted *mint_leaf(struct arena *a, const struct minted *issuer, const struct mint_wish *);    /* digitalSignature, nonRepudiation; clientAuth */
struct str mint_pem(struct arena *a, const struct minted *);
struct bytes mint_pkcs8(struct arena *a, const struct minted *);

/* alg in JWA names, over input; ES*: raw r||s. */
struct bytes mint_sign(struct arena *a, const struct minted *, const char *alg, struct bytes input);
struct bytes mint_sign_hash(struct arena *a, const struct minted *, struct bytes hash);   /* PKCS#1 v1.5 or ECDSA DER over a SHA-2 hash */
struct bytes mint_rsa_pad(struct arena *a, const struct minted *, struct bytes text);      /* any text under the PKCS#1 v1.5 padding */
struct bytes mint_ec_raw(struct arena *a, struct bytes der, size_t field);

/* The whole token; extra: certificates for format 1.1, or none. */
struct str mint_webeid(struct arena *a, const struct minted *, const char *alg, struct str origin, struct str nonce, const struct minted **extra, size_t nextra);

struct mint_cms_wish { const char *digest; bool encapsulated, no_attrs, no_cert, ess, ess_wrong; const struct minted *second, *along; };
struct bytes mint_cms(struct arena *a, const struct minted *, struct bytes content, const struct mint_cms_wish *);

/* status: 0 good, 1 revoked, 2 unknown. signer NULL = the issuer. Times in seconds relative to now; next 0 = left out. */
struct mint_ocsp_wish {
	int status, reason;
	const struct minted *signer, *carry;          /* carry: certificate to put inside; usual: the delegate */
	int64_t this_update, next_update, produced, revoked;
	struct bytes nonce;
	bool by_key, twice, critical, sha256_id, no_carry;
	const struct minted *about;                   /* answers for this leaf instead */
	const char *digest;
};
struct bytes mint_ocsp(struct arena *a, const struct minted *leaf, epoch now, const struct mint_ocsp_wish *);

struct mint_crl_wish { const struct minted *revoked[4]; int reason[4]; int64_t this_update, next_update; const char *idp, *more; const struct minted *signer; bool v1; };
struct bytes mint_crl(struct arena *a, const struct minted *issuer, epoch now, const struct mint_crl_wish *);
