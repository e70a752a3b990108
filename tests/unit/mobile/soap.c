#include <libxml/parser.h>
#include <stdio.h>
#include <stdlib.h>
#include "buf.h"
#include "soap.h"
#include "dialects.h"
#include "t.h"

#define ENVELOPE(body) \
	"<?xml version=\"1.0\"?><env:Envelope xmlns:env=\"http://www.w3.org/2003/05/soap-envelope\" xmlns:mss=\"http://uri.etsi.org/TS102204/v1.1.2#\"" \
	" xmlns:fi=\"http://mss.ficom.fi/TS102204/v1.0.0#\"><env:Body>" body "</env:Body></env:Envelope>"
#define MESSAGE(inside) \
	"<mss:MSS_SignatureResp MajorVersion=\"1\" MinorVersion=\"1\" MSSP_TransID=\"T1\"><mss:AP_Info AP_ID=\"a\" AP_TransID=\"A1\" AP_PWD=\"-\" Instant=\"i\"/>" \
	"<mss:MobileUser><mss:MSISDN>+84900000001</mss:MSISDN></mss:MobileUser>" inside "</mss:MSS_SignatureResp>"
#define RESPONSE(inside) ENVELOPE("<MSS_SignatureResponse>" MESSAGE(inside) "</MSS_SignatureResponse>")
#define STATUS(code) "<mss:Status><mss:StatusCode Value=\"" code "\"/></mss:Status>"
#define FAULT(subcode) ENVELOPE("<env:Fault><env:Code><env:Value>env:Sender</env:Value>" subcode "</env:Code><env:Reason><env:Text>x</env:Text></env:Reason></env:Fault>")
#define SUBCODE(value, more) "<env:Subcode><env:Value>" value "</env:Value>" more "</env:Subcode>"
#define SIGNATURE "<mss:MSS_Signature><mss:Base64Signature>\n AQ\n ID </mss:Base64Signature></mss:MSS_Signature>"

static void reads(const char *text, struct soap_answer *out, struct arena *a)
{
	struct bytes b = { (const unsigned char *)text, strlen(text) };
	fine(soap_read(a, b, SOAP_SIGNATURE, out));
}

TEST(a_signature_and_its_status_are_read)
{
	struct arena *a = arena_new();
	struct soap_answer s;
	reads(RESPONSE(SIGNATURE STATUS("500")), &s, a);
	assert_false(s.fault);
	assert_str(s.code, "500");
	assert_str(s.ap_trans, "A1");
	assert_str(s.mssp_trans, "T1");
	assert_str(s.msisdn, "+84900000001");
	assert_int_equal(s.signature.n, 3);
	assert_memory_equal(s.signature.p, "\1\2\3", 3);
	assert_int_equal(s.certificate.n, 0);
	arena_free(a);
}

TEST(the_wrapper_may_be_of_any_namespace)
{
	struct arena *a = arena_new();
	struct soap_answer s;
	reads(ENVELOPE("<x:MSS_SignatureResponse xmlns:x=\"http://uri.etsi.org/TS102204/etsi204-kiuru.wsdl\">" MESSAGE(STATUS("100")) "</x:MSS_SignatureResponse>"), &s, a);
	assert_str(s.code, "100");
	reads(ENVELOPE("<mss:MSS_SignatureResponse>" MESSAGE(STATUS("100")) "</mss:MSS_SignatureResponse>"), &s, a);
	assert_str(s.code, "100");
	arena_free(a);
}

TEST(a_sub_code_is_read_beside_the_code)
{
	struct arena *a = arena_new();
	struct soap_answer s;
	reads(RESPONSE("<mss:Status><mss:StatusCode Value=\"401\"><mss:StatusCode Value=\"4011\"/></mss:StatusCode></mss:Status>"), &s, a);
	assert_str(s.code, "401");
	assert_str(s.detail, "4011");
	arena_free(a);
}

TEST(a_faults_code_wears_an_underscore)
{
	static const struct { const char *text, *code, *detail; } FAULTS[] = {
		{ FAULT(SUBCODE("mss:_105", "")), "105", "" },
		{ FAULT(SUBCODE("_105", "")), "105", "" },
		{ FAULT(SUBCODE("mss:105", "")), "105", "" },
		{ FAULT(SUBCODE("\n  mss:_101 ", SUBCODE("fi:_1011", ""))), "101", "1011" },
		{ FAULT(SUBCODE("mss:Other", SUBCODE("mss:_900", ""))), "900", "" },
		{ FAULT(SUBCODE("mss:_10x", "")), "", "" },
		{ FAULT(""), "", "" },
	};
	struct arena *a = arena_new();
	for (size_t i = 0; i < sizeof FAULTS / sizeof *FAULTS; i++) {
		struct soap_answer s;
		reads(FAULTS[i].text, &s, a);
		assert_true(s.fault);
		assert_str(s.code, FAULTS[i].code);
		assert_str(s.detail, FAULTS[i].detail);
	}
	arena_free(a);
}

TEST(certificates_come_along_in_three_ways)
{
	static const char *const WAYS[] = {
		RESPONSE("<mss:MSS_Signature><fi:PKCS1><fi:SignatureValue>AQID</fi:SignatureValue><fi:X509Certificate>BAUG</fi:X509Certificate></fi:PKCS1></mss:MSS_Signature>" STATUS("500")),
		RESPONSE(SIGNATURE "<mss:Status><mss:StatusCode Value=\"500\"/><mss:StatusDetail><fi:ServiceResponses><fi:ServiceResponse><fi:X509Certificate>BAUG</fi:X509Certificate>"
		         "</fi:ServiceResponse></fi:ServiceResponses></mss:StatusDetail></mss:Status>"),
		RESPONSE(SIGNATURE STATUS("500") "<CertificateResponse><X509Certificate>BAUG</X509Certificate></CertificateResponse>"),
	};
	struct arena *a = arena_new();
	for (size_t i = 0; i < sizeof WAYS / sizeof *WAYS; i++) {
		struct soap_answer s;
		reads(WAYS[i], &s, a);
		assert_int_equal(s.signature.n, 3);
		assert_int_equal(s.certificate.n, 3);
		assert_memory_equal(s.certificate.p, "\4\5\6", 3);
	}
	arena_free(a);
}

static void refused(struct arena *a, const char *text, size_t n)
{
	struct soap_answer s;
	err e = soap_read(a, (struct bytes){ (const unsigned char *)text, n }, SOAP_SIGNATURE, &s);
	if (e.kind != &UNAVAILABLE)
		fail_msg("read though it should not be: %.200s", text);
}

TEST(whatever_is_not_exactly_one_answer_is_refused)
{
	static const char *const WRONG[] = {
		"", " ", "x", "<a/>", "{}", "<html><body>504</body></html>",
		/* cut off, and one tag wrong */
		"<?xml version=\"1.0\"?><env:Envelope xmlns:env=\"http://www.w3.org/2003/05/soap-envelope\"><env:Body>", RESPONSE(STATUS("500") "</x>"),
		RESPONSE(STATUS("500")) "<a/>",
		/* SOAP 1.1 */
		"<e:Envelope xmlns:e=\"http://schemas.xmlsoap.org/soap/envelope/\"><e:Body/></e:Envelope>",
		ENVELOPE(""), ENVELOPE("<MSS_SignatureResponse/>"), ENVELOPE(MESSAGE(STATUS("500"))),
		/* another message, another namespace */
		ENVELOPE("<MSS_StatusQueryResponse><mss:MSS_StatusResp/></MSS_StatusQueryResponse>"), ENVELOPE("<MSS_SignatureResponse><mss:MSS_StatusResp/></MSS_SignatureResponse>"),
		ENVELOPE("<MSS_SignatureResponse><MSS_SignatureResp>" STATUS("500") "</MSS_SignatureResp></MSS_SignatureResponse>"),
		ENVELOPE("<MSS_SignatureResponse><x:MSS_SignatureResp xmlns:x=\"http://uri.etsi.org/TS102204/v1.1.3#\">" STATUS("500") "</x:MSS_SignatureResp></MSS_SignatureResponse>"),
		/* two of a thing */
		RESPONSE(STATUS("401") STATUS("500")), RESPONSE(SIGNATURE SIGNATURE STATUS("500")), RESPONSE("<mss:Status><mss:StatusCode Value=\"1\"/><mss:StatusCode Value=\"500\"/></mss:Status>"),
		RESPONSE("<mss:MobileUser><mss:MSISDN>+84900000002</mss:MSISDN></mss:MobileUser>" STATUS("500")), RESPONSE("<mss:AP_Info AP_TransID=\"A2\"/>" STATUS("500")),
		ENVELOPE("<MSS_SignatureResponse>" MESSAGE(STATUS("500")) MESSAGE(STATUS("500")) "</MSS_SignatureResponse>"),
		ENVELOPE("<MSS_SignatureResponse>" MESSAGE(STATUS("500")) "</MSS_SignatureResponse><MSS_SignatureResponse/>"),
		ENVELOPE("</env:Body><env:Body>"),
		RESPONSE("<mss:MSS_Signature><mss:Base64Signature>AQID</mss:Base64Signature><fi:PKCS1><fi:SignatureValue>AQID</fi:SignatureValue></fi:PKCS1></mss:MSS_Signature>" STATUS("500")),
		/* no code, or none that is one */
		RESPONSE(""), RESPONSE("<mss:Status/>"), RESPONSE(STATUS("")), RESPONSE(STATUS("5OO")), RESPONSE(STATUS("50000")), RESPONSE(STATUS(" 500")), RESPONSE("<Status><StatusCode Value=\"500\"/></Status>"),
		RESPONSE("<mss:Status><mss:StatusCode mss:Value=\"500\"/></mss:Status>"),
		/* what two readers could read in two ways */
		RESPONSE("<mss:MSS_Signature><mss:Base64Signature>AQ<!-- -->ID</mss:Base64Signature></mss:MSS_Signature>" STATUS("500")),
		RESPONSE("<mss:MSS_Signature><mss:Base64Signature>AQ<x/>ID</mss:Base64Signature></mss:MSS_Signature>" STATUS("500")),
		RESPONSE("<mss:MSS_Signature><mss:Base64Signature>AQI</mss:Base64Signature></mss:MSS_Signature>" STATUS("500")),
		RESPONSE("<mss:MSS_Signature><mss:Base64Signature>&undeclared;</mss:Base64Signature></mss:MSS_Signature>" STATUS("500")),
		/* declarations */
		"<!DOCTYPE x>" ENVELOPE(""), "<!DOCTYPE e [<!ENTITY a \"b\">]><e>&a;</e>", "<!DOCTYPE e SYSTEM \"file:///etc/passwd\"><e/>", "<!DOCTYPE e [<!ENTITY % p SYSTEM \"http://127.0.0.1:1/\">%p;]><e/>",
	};
	struct arena *a = arena_new();
	struct soap_answer s;
	reads(RESPONSE(STATUS("500")), &s, a);
	for (size_t i = 0; i < sizeof WRONG / sizeof *WRONG; i++)
		refused(a, WRONG[i], strlen(WRONG[i]));
	arena_free(a);
}

#define DOCTYPE(d) "<?xml version=\"1.0\"?>" d "<env:Envelope xmlns:env=\"http://www.w3.org/2003/05/soap-envelope\" xmlns:mss=\"http://uri.etsi.org/TS102204/v1.1.2#\"><env:Body>" \
	"<MSS_SignatureResponse>" MESSAGE(STATUS("500")) "</MSS_SignatureResponse></env:Body></env:Envelope>"

TEST(a_document_type_is_refused_even_where_all_else_is_right)
{
	static const char BOMB[] = "<!DOCTYPE e [<!ENTITY a \"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;\"><!ENTITY c \"&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;\">"
		"<!ENTITY d \"&c;&c;&c;&c;&c;&c;&c;&c;&c;&c;\"><!ENTITY f \"&d;&d;&d;&d;&d;&d;&d;&d;&d;&d;\">]>";
	struct arena *a = arena_new();
	struct soap_answer s;
	reads(DOCTYPE(""), &s, a);
	refused(a, DOCTYPE("<!DOCTYPE e>"), strlen(DOCTYPE("<!DOCTYPE e>")));
	refused(a, DOCTYPE("<!DOCTYPE e SYSTEM \"x\">"), strlen(DOCTYPE("<!DOCTYPE e SYSTEM \"x\">")));
	struct str bomb = str_fmt(a, "%s<e x=\"&f;\">&f;</e>", BOMB);
	refused(a, bomb.p, bomb.n);
	/* the same in another encoding does not slip by */
	static const char UTF16[] = "\xff\xfe<\0!\0D\0O\0C\0T\0Y\0P\0E\0 \0e\0>\0<\0e\0/\0>\0";
	refused(a, UTF16, sizeof UTF16 - 1);
	arena_free(a);
}

static struct str nested(struct arena *a, int depth)
{
	struct buf b = buf_new(a, 1024, SOAP_MAX * 4);
	struct str s;
	for (int i = 0; i < depth; i++)
		buf_str(&b, S("<x>"));
	for (int i = 0; i < depth; i++)
		buf_str(&b, S("</x>"));
	fine(buf_done(&b, &s));
	return s;
}

TEST(nesting_has_a_limit)
{
	struct arena *a = arena_new();
	struct soap_answer s;
	const char *end = strstr(RESPONSE(STATUS("500")), "<mss:Status>");
	size_t head = strlen(RESPONSE(STATUS("500"))) - strlen(end);
	static const int DEEP[] = { 100, 1000, 20000 };
	struct str shallow = str_fmt(a, "%.*s%s%s", (int)head, RESPONSE(STATUS("500")), nested(a, 20).p, end);
	reads(shallow.p, &s, a);
	for (size_t i = 0; i < sizeof DEEP / sizeof *DEEP; i++) {
		struct str deep = str_fmt(a, "%.*s%s%s", (int)head, RESPONSE(STATUS("500")), nested(a, DEEP[i]).p, end);
		refused(a, deep.p, deep.n);
	}
	arena_free(a);
}

TEST(an_answer_beyond_its_size_is_not_even_parsed)
{
	struct arena *a = arena_new();
	char *big = arena_alloc(a, 10 << 20);
	memset(big, ' ', 10 << 20);
	static const char GOOD[] = RESPONSE(STATUS("500"));
	memcpy(big, GOOD, sizeof GOOD - 1);
	struct soap_answer s;
	fine(soap_read(a, (struct bytes){ (unsigned char *)big, SOAP_MAX }, SOAP_SIGNATURE, &s));
	refused(a, big, SOAP_MAX + 1);
	refused(a, big, 10 << 20);
	arena_free(a);
}

/* ---- writing ---- */

static struct soap_ask signature_ask(const char *profile, struct bytes data)
{
	const struct profile_conf *p = DIALECTS;
	while (!str_is(p->name, profile))
		p++;
	return (struct soap_ask){
		.kind = SOAP_SIGNATURE, .ap_id = S("http://idp.example.vn"), .ap_password = S("secret"), .ap_trans = S("A7c1"), .instant = S("2026-11-24T01:02:03.000Z"),
		.mssp_uri = S("http://mssp.example.vn"), .msisdn = S("84900000001"), .profile = p, .data = data, .display = S("dang nhap %%VC%%"), .timeout = 80,
	};
}

TEST(a_signature_request_reads_as_the_note_writes_it)
{
	static const char WANTED[] =
		"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
		"<env:Envelope xmlns:env=\"http://www.w3.org/2003/05/soap-envelope\" xmlns:mss=\"http://uri.etsi.org/TS102204/v1.1.2#\"><env:Body><MSS_Signature>"
		"<mss:MSS_SignatureReq MajorVersion=\"1\" MinorVersion=\"1\" MessagingMode=\"synch\" TimeOut=\"80\">"
		"<mss:AP_Info AP_ID=\"http://idp.example.vn\" AP_PWD=\"secret\" AP_TransID=\"A7c1\" Instant=\"2026-11-24T01:02:03.000Z\"/>"
		"<mss:MSSP_Info><mss:MSSP_ID><mss:URI>http://mssp.example.vn</mss:URI></mss:MSSP_ID></mss:MSSP_Info>"
		"<mss:MobileUser><mss:MSISDN>84900000001</mss:MSISDN></mss:MobileUser>"
		"<mss:DataToBeSigned MimeType=\"application/octet-stream\" Encoding=\"base64\">AQID</mss:DataToBeSigned>"
		"<mss:DataToBeDisplayed MimeType=\"text/plain\" Encoding=\"UTF-8\">dang nhap %%VC%%</mss:DataToBeDisplayed>"
		"<mss:SignatureProfile><mss:mssURI>http://mobile-id.vn/authentication</mss:mssURI></mss:SignatureProfile>"
		"<mss:AdditionalServices><mss:Service><mss:Description><mss:mssURI>http://mobile-id.vn/MSSP/v1.0.0#signingCertificate</mss:mssURI></mss:Description></mss:Service></mss:AdditionalServices>"
		"<mss:MSS_Format><mss:mssURI>http://uri.etsi.org/TS102204/v1.1.2#PKCS1</mss:mssURI></mss:MSS_Format>"
		"</mss:MSS_SignatureReq></MSS_Signature></env:Body></env:Envelope>\n";
	struct arena *a = arena_new();
	struct soap_ask k = signature_ask("vn-pkcs1", str_bytes(S("\1\2\3")));
	struct str s;
	fine(soap_write(a, &k, &s));
	assert_str(s, WANTED);
	arena_free(a);
}

TEST(what_is_written_is_escaped)
{
	struct arena *a = arena_new();
	struct soap_ask k = signature_ask("etsi-cms", str_bytes(S("x")));
	k.ap_password = S("\"'<&>"), k.display = S("</mss:DataToBeDisplayed><!-- & ]]> \x01\x0b\r\n end");
	struct str s;
	fine(soap_write(a, &k, &s));
	assert_non_null(strstr(s.p, "AP_PWD=\"&quot;&#39;&lt;&amp;&gt;\""));
	assert_non_null(strstr(s.p, ">&lt;/mss:DataToBeDisplayed&gt;&lt;!-- &amp; ]]&gt;      end<"));
	xmlDoc *d = xmlReadMemory(s.p, (int)s.n, NULL, NULL, XML_PARSE_NONET);
	assert_non_null(d);
	xmlFreeDoc(d);
	arena_free(a);
}

TEST(a_display_beyond_every_phone_is_too_large)
{
	struct arena *a = arena_new();
	struct soap_ask k = signature_ask("etsi-cms", str_bytes(S("x")));
	char *big = arena_alloc(a, 40001);
	memset(big, 'x', 40000);
	k.display = (struct str){ big, 40000 };
	struct str s;
	fails(soap_write(a, &k, &s), TOO_LARGE);
	arena_free(a);
}
