#pragma once
#include "mobile.h"

/* Messages of ETSI TS 102 204 V1.1.4 in SOAP 1.2 (SIGNATURES.md 1.1). */
enum soap_kind { SOAP_SIGNATURE, SOAP_STATUS, SOAP_REGISTRATION };
enum { SOAP_MAX = 256 * 1024, SOAP_DEPTH = 32, SOAP_NAME_MAX = 128 };

struct soap_ask {
	enum soap_kind kind;
	struct str ap_id, ap_password, ap_trans, instant, mssp_uri;
	struct str msisdn;                       /* as the dialect writes it */
	/* SOAP_SIGNATURE */
	const struct profile_conf *profile;
	struct bytes data;                       /* what is to be signed, before base64 */
	struct str display;
	int64_t timeout;
	/* SOAP_STATUS */
	struct str mssp_trans;
};
err soap_write(struct arena *a, const struct soap_ask *k, struct str *out);

/* code: the three digits of TS 102 204, detail: a sub-code, or "". Of a fault nothing else is known. */
struct soap_answer {
	bool fault;
	struct str code, detail;
	struct str ap_trans, msisdn, mssp_trans;
	struct bytes signature, certificate;     /* certificate: DER of the first that came along */
};

/* UNAVAILABLE with the reason for whatever is not exactly one answer to a question of that kind. What is out lives in a. */
err soap_read(struct arena *a, struct bytes text, enum soap_kind kind, struct soap_answer *out);
