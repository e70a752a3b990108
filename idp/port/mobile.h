#pragma once
#include "err.h"
#include "str.h"

/* Asking a person's SIM to sign, by way of the mobile operator (ETSI TS 102 204; SIGNATURES.md 1.1, 1.2).
 * The operator is chosen by the number's prefix. Nothing here decides whether a signature is good: what comes back is
 * evidence, and the login checks it (idp/login/sim.c). */
struct mobile;

enum mobile_state {
	MOBILE_PENDING,                      /* the phone has been asked, or will be */
	MOBILE_SIGNED,                       /* signature (and perhaps certificate) present: check it */
	MOBILE_REFUSED, MOBILE_WRONG_PIN, MOBILE_BLOCKED, MOBILE_TIMED_OUT, MOBILE_UNREACHABLE,
	MOBILE_REVOKED,                      /* the operator says so */
	MOBILE_UNKNOWN,                      /* no subscriber with a certificate: shown like a time-out */
	MOBILE_BUSY,                         /* another signature is open on that SIM */
	MOBILE_DOWN,                         /* operator fault, circuit open, or over its limit */
};

struct mobile_ask {
	struct str msisdn;                   /* E.164: +84900000001 */
	struct bytes hash;                   /* SHA-256 that is to be signed: 32 bytes */
	struct str display;                  /* what the phone shows, plain ASCII; {code} stands where the verification code goes */
	struct str code;                     /* the verification code that our page shows */
	int64_t timeout;                     /* seconds that the person has */
};

/* signature: CMS ContentInfo DER, or a bare PKCS#1 v1.5 signature over DigestInfo(SHA-256, hash), or bare ECDSA r||s. */
enum mobile_format { MOBILE_CMS, MOBILE_PKCS1 };
struct mobile_result {
	enum mobile_state state;
	enum mobile_format format;
	struct bytes signature, certificate; /* certificate: DER; empty when the operator gave none */
	struct str trans_id, code;           /* operator's transaction; operator's status code, for the audit */
};

/* The operator that serves a number, or "" : decides nothing about the subscriber. */
struct str mobile_operator(struct mobile *, struct str msisdn);

/* The four digits that the operator's applet shows for what it is asked to sign; the page shows the same first. */
struct str mobile_code(struct mobile *, struct arena *a, struct str msisdn, struct bytes hash);

/* Returns at once. done is called exactly once, on the adapter's thread, at the latest ask->timeout + 15 s later;
 * also with MOBILE_DOWN for limits and open circuits, and MOBILE_UNKNOWN for a number that no operator serves. */
typedef void mobile_done(void *ctx, const struct mobile_result *);
void mobile_start(struct mobile *, const struct mobile_ask *, mobile_done *done, void *ctx);

/* What the configuration says of operators and dialects. idp/settings.c reads it; the adapter is opened with it. */
struct operator_conf {               /* [operator NAME]: a mobile operator */
	struct str name;
	struct str profile;                  /* [profile NAME], or one of the built-in "etsi-cms", "vn-pkcs1" */
	struct str signature_url, status_url, registration_url;
	struct str ap_id, ap_password_file, mssp_uri;
	struct str ca_file, cert_file, key_file;
	struct strs prefixes;                /* E.164: +8498 */
	int64_t open_limit;                  /* requests open at once */
	int64_t per_minute;
	int64_t break_after, break_for;      /* failures in a row that open the circuit; seconds that it stays open */
};
struct profile_conf {                /* [profile NAME]: a dialect of TS 102 204 */
	struct str name;
	struct str messaging;                /* "asynch" or "synch" */
	struct str format;                   /* "cms" or "pkcs1" */
	struct str data;                     /* "hash" (x-sha256) or "digestinfo" */
	struct str msisdn;                   /* "plus" or "bare" */
	struct str signature_profile, format_uri;
	struct strs additional_services;
	struct strs success_codes, pending_codes, cancel_codes, timeout_codes;
	struct str code;                     /* verification code: "vn" or "mid" */
	bool code_by_applet;                 /* %%VC%% is sent instead of the code */
	int64_t first_poll, poll;            /* seconds */
};

struct fetch;
err mobile_open(struct arena *a, struct fetch *, const struct operator_conf *, size_t noperators, const struct profile_conf *, size_t nprofiles,
                struct mobile **out);    /* BAD_CONFIG with the operator's name */
void mobile_close(struct mobile *);
