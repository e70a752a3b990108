#include "code.h"
#include "buf.h"
#include "soap.h"

static const char MSS[] = "http://uri.etsi.org/TS102204/v1.1.2#", ENV[] = "http://www.w3.org/2003/05/soap-envelope";

static const struct { const char *wrapper, *message; } NAMES[] = {
	[SOAP_SIGNATURE] = { "MSS_Signature", "MSS_SignatureReq" },
	[SOAP_STATUS] = { "MSS_StatusQuery", "MSS_StatusReq" },
	[SOAP_REGISTRATION] = { "MSS_Registration", "MSS_RegistrationReq" },
};

/* Control characters cannot stand in XML 1.0 at all, escaped or not. */
static void text(struct buf *b, struct str s)
{
	for (size_t i = 0, from = 0; i <= s.n; i++) {
		if (i < s.n && (unsigned char)s.p[i] >= 0x20 && s.p[i] != 0x7f)
			continue;
		buf_html(b, (struct str){ s.p + from, i - from });
		if (i < s.n)
			buf_char(b, ' ');
		from = i + 1;
	}
}

static void attribute(struct buf *b, const char *name, struct str value)
{
	buf_fmt(b, " %s=\"", name);
	text(b, value);
	buf_char(b, '"');
}

static void element(struct buf *b, const char *name, struct str value)
{
	buf_fmt(b, "<mss:%s>", name);
	text(b, value);
	buf_fmt(b, "</mss:%s>", name);
}

static void uri(struct buf *b, const char *name, struct str value)
{
	if (!value.n)
		return;
	buf_fmt(b, "<mss:%s>", name);
	element(b, "mssURI", value);
	buf_fmt(b, "</mss:%s>", name);
}

static void base(struct buf *b, const struct soap_ask *k)
{
	buf_str(b, S("<mss:AP_Info"));
	attribute(b, "AP_ID", k->ap_id);
	attribute(b, "AP_PWD", k->ap_password);
	attribute(b, "AP_TransID", k->ap_trans);
	attribute(b, "Instant", k->instant);
	buf_str(b, S("/><mss:MSSP_Info><mss:MSSP_ID>"));
	element(b, "URI", k->mssp_uri);
	buf_str(b, S("</mss:MSSP_ID></mss:MSSP_Info><mss:MobileUser>"));
	element(b, "MSISDN", k->msisdn);
	buf_str(b, S("</mss:MobileUser>"));
}

static void services(struct buf *b, struct strs l)
{
	if (!l.n)
		return;
	buf_str(b, S("<mss:AdditionalServices>"));
	for (size_t i = 0; i < l.n; i++) {
		buf_str(b, S("<mss:Service>"));
		uri(b, "Description", l.v[i]);
		buf_str(b, S("</mss:Service>"));
	}
	buf_str(b, S("</mss:AdditionalServices>"));
}

/* DataToBeSigned is given as bytes and never as text: the operator would convert text to GSM 03.38 before the SIM signs it. */
static void to_be_signed(struct buf *b, const struct soap_ask *k)
{
	bool hash = str_is(k->profile->data, "hash");
	buf_str(b, S("<mss:DataToBeSigned"));
	attribute(b, "MimeType", hash ? S("application/x-sha256") : S("application/octet-stream"));
	attribute(b, "Encoding", S("base64"));
	buf_char(b, '>');
	buf_str(b, b64(b->a, k->data));
	buf_str(b, S("</mss:DataToBeSigned><mss:DataToBeDisplayed MimeType=\"text/plain\" Encoding=\"UTF-8\">"));
	text(b, k->display);
	buf_str(b, S("</mss:DataToBeDisplayed>"));
	uri(b, "SignatureProfile", k->profile->signature_profile);
	services(b, k->profile->additional_services);
	uri(b, "MSS_Format", k->profile->format_uri);
}

err soap_write(struct arena *a, const struct soap_ask *k, struct str *out)
{
	struct buf b = buf_new(a, 4096, 32768);
	const char *wrapper = NAMES[k->kind].wrapper, *message = NAMES[k->kind].message;
	buf_str(&b, S("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"));
	buf_fmt(&b, "<env:Envelope xmlns:env=\"%s\" xmlns:mss=\"%s\"><env:Body><%s><mss:%s", ENV, MSS, wrapper, message);
	buf_str(&b, S(" MajorVersion=\"1\" MinorVersion=\"1\""));
	if (k->kind == SOAP_STATUS)
		attribute(&b, "MSSP_TransID", k->mssp_trans);
	if (k->kind == SOAP_SIGNATURE) {
		attribute(&b, "MessagingMode", str_is(k->profile->messaging, "synch") ? S("synch") : S("asynchClientServer"));
		attribute(&b, "TimeOut", str_fmt(a, "%lld", (long long)k->timeout));
	}
	buf_char(&b, '>');
	base(&b, k);
	if (k->kind == SOAP_SIGNATURE)
		to_be_signed(&b, k);
	buf_fmt(&b, "</mss:%s></%s></env:Body></env:Envelope>\n", message, wrapper);
	return buf_done(&b, out);
}
