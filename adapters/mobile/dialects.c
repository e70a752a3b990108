#include "dialects.h"

#define WORD(lit) { lit, sizeof lit - 1 }
#define LIST(of) { of, sizeof of / sizeof *of }

static struct str MADE[] = { WORD("500"), WORD("502") }, VN_MADE[] = { WORD("408"), WORD("500"), WORD("502") };
static struct str PENDING[] = { WORD("504"), WORD("100") };
static struct str CANCELLED[] = { WORD("401") }, VN_CANCELLED[] = { WORD("401"), WORD("405") };
static struct str LATE[] = { WORD("208") }, VN_LATE[] = { WORD("406"), WORD("208") };
static struct str VN_SERVICES[] = { WORD("http://mobile-id.vn/MSSP/v1.0.0#signingCertificate") };

const struct profile_conf DIALECTS[] = {
	{ /* SIGNATURES.md 1.1: as the standard wants it; first poll and poll by its recommendation */
		.name = WORD("etsi-cms"), .messaging = WORD("asynch"), .format = WORD("cms"), .data = WORD("hash"), .msisdn = WORD("plus"),
		.signature_profile = WORD("http://mss.ficom.fi/TS102206/v1.0.0/authentication-profile.xml"),
		.format_uri = WORD("http://uri.etsi.org/TS102204/v1.1.2#PKCS7"),
		.success_codes = LIST(MADE), .pending_codes = LIST(PENDING),
		.cancel_codes = LIST(CANCELLED), .timeout_codes = LIST(LATE),
		.code = WORD("vn"), .code_by_applet = false, .first_poll = 5, .poll = 3,
	},
	{ /* SIGNATURES.md 1.2 */
		.name = WORD("vn-pkcs1"), .messaging = WORD("synch"), .format = WORD("pkcs1"), .data = WORD("digestinfo"), .msisdn = WORD("bare"),
		.signature_profile = WORD("http://mobile-id.vn/authentication"),
		.format_uri = WORD("http://uri.etsi.org/TS102204/v1.1.2#PKCS1"),
		.additional_services = LIST(VN_SERVICES),
		.success_codes = LIST(VN_MADE), .pending_codes = LIST(PENDING),
		.cancel_codes = LIST(VN_CANCELLED), .timeout_codes = LIST(VN_LATE),
		.code = WORD("vn"), .code_by_applet = true, .first_poll = 5, .poll = 3,
	},
	{ .name = { 0 } },
};
