#pragma once
#include "err.h"
#include "str.h"
#include "key.h"

/* A certificate as plain values. Parsed from exactly one DER certificate, at most 16 KiB, with no byte after it. */
enum { USE_DIGITAL_SIGNATURE = 1, USE_NON_REPUDIATION = 2, USE_KEY_ENCIPHERMENT = 4, USE_DATA_ENCIPHERMENT = 8,
       USE_KEY_AGREEMENT = 16, USE_CERT_SIGN = 32, USE_CRL_SIGN = 64 };

struct cert {
	struct bytes der, spki;
	struct str id;                       /* hex SHA-256 of der: the fingerprint */
	struct str issuer_id;                /* hex SHA-256 of the issuer name's DER and, when present, its authority key id */
	struct str serial;                   /* hex, without leading zeros */
	struct str subject, issuer;          /* RFC 4514 text, UTF-8: for people to read, never to compare */
	struct str spki_sha256;              /* base64url */
	epoch not_before, not_after;
	bool ku_present, is_ca;
	unsigned ku;                         /* USE_… */
	struct strs ekus, policies;          /* dotted OIDs */
	struct strs ocsp_urls, crl_urls;     /* what the certificate claims: shown, never fetched unless configured */
	struct str key_text;                 /* "RSA 2048", "P-256": for people */
	void *handle;                        /* pki's own: the parsed form, as old as the arena; NULL = parse der again */
};
err cert_read(struct arena *a, struct bytes der, struct cert *out);                       /* CERT_UNSUITABLE with the reason */
err cert_read_pem_or_der(struct arena *a, struct bytes file, struct cert *out, size_t max, size_t *n); /* every certificate in a file */

/* Who a certificate names (SIGNATURES.md 3.3), by a strict grammar over UID, serialNumber and organizationIdentifier:
 * never by a name. number: canonical "PNOVN-<12>" or "VATVN-<10>[-<3>]". ambiguous subjects (two different numbers of one
 * kind, embedded NUL, 9-digit CMND alone, wrong check digit) are refused: CERT_UNSUITABLE with the reason. */
enum subject_kind { SUBJECT_PERSON, SUBJECT_ORGANISATION };
struct subject {
	enum subject_kind kind;
	struct str number;                   /* of the person if there is one, else of the organisation */
	struct str organisation;             /* VATVN-… named beside a person; or "" */
	struct str name;                     /* CN, NFC */
	struct str country, email;
};
err subject_read(struct arena *a, const struct cert *, struct subject *out);
bool cccd_valid(struct str digits);      /* 12 digits: province 001..096, century and year that have begun */
bool mst_valid(struct str s);            /* 10, or 10-3, with its check digit (python-stdnum's rule, SIGNATURES.md 3.3) */
