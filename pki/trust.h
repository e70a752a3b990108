#pragma once
#include "x509.h"

/* Whom we believe, for what. Built from the store's rows, then only read; reference-counted so that a change swaps it whole. */
struct trust;
struct anchor {
	struct cert cert;
	struct str name;                     /* what the operator calls it */
	bool intermediate;                   /* pinned intermediate: believed because it is listed */
	struct str purposes;                 /* words: sim token tls; client for applications' own certificates */
	struct str ocsp_url, crl_url;        /* of the certificates that it issues; "" = none */
	struct strs policies;                /* a leaf must carry one of these; none listed = any */
	struct strs ekus;                    /* if a leaf has EKUs, one of these must be among them; none listed = any */
	bool ocsp_nonce;                     /* the responder echoes nonces: require it */
	int64_t status_age;                  /* seconds that an OCSP answer without nextUpdate stays good */
	struct str level;                    /* at most this assurance: "high" or "substantial" */
};
/* CERT_UNSUITABLE when a row is no CA, is weak (below 112 bits, SHA-1), or is called a root and does not sign itself. */
err trust_new(struct arena *a, const struct anchor *anchors, size_t n, struct trust **out);
struct trust *trust_hold(struct trust *);
void trust_drop(struct trust *);

/* As cert_read. A certificate whose path was good here is not parsed again, nor is that path built again while every certificate of it is valid:
 * a trust remembers a bounded number of them. Whether they are revoked it never knows. t may be NULL. */
err trust_cert(struct trust *t, struct arena *a, struct bytes der, struct cert *out);

/* Builds and checks the path from a leaf to an anchor with the purpose (RFC 5280 section 6; SIGNATURES.md 4.3: strict, depth <= 4,
 * security level 2, our own leaf profile). extra: certificates that came along, at most 8, believed only as part of a path.
 * On OK: *issuer is the certificate that issued the leaf (lives as long as the trust and the arena), *anchor the row that the
 * path ended in (as long as the trust): the listed certificate nearest to the leaf, so a pinned intermediate goes before its root.
 * CERT_UNTRUSTED, CERT_EXPIRED, CERT_UNSUITABLE, with the reason. */
err trust_path(struct trust *, struct arena *a, const struct cert *leaf, const struct bytes *extra, size_t nextra, struct str purpose,
               epoch now, struct cert *issuer, const struct anchor **anchor);
