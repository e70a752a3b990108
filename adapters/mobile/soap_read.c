#include <libxml/parser.h>
#include <libxml/tree.h>
#include "code.h"
#include "soap.h"

static const char MSS[] = "http://uri.etsi.org/TS102204/v1.1.2#", FI[] = "http://mss.ficom.fi/TS102204/v1.0.0#",
                  ENV[] = "http://www.w3.org/2003/05/soap-envelope";

static const struct { const char *wrapper, *message; } NAMES[] = {
	[SOAP_SIGNATURE] = { "MSS_SignatureResponse", "MSS_SignatureResp" },
	[SOAP_STATUS] = { "MSS_StatusQueryResponse", "MSS_StatusResp" },
	[SOAP_REGISTRATION] = { "MSS_RegistrationResponse", "MSS_RegistrationResp" },
};

#define WRONG(a, ...) fault((a), &UNAVAILABLE, "the operator's answer: " __VA_ARGS__)

/* ---- parsing ---- */

/* SOAP 1.2 part 1, section 5: no document type declaration. Stopped where it begins, so nothing that it declares is ever read. */
static void refuse_doctype(void *ctx, const xmlChar *, const xmlChar *, const xmlChar *) { xmlStopParser(ctx); }

static void free_context(void *p) { xmlFreeParserCtxt(p); }
static void free_doc(void *p) { xmlFreeDoc(p); }

static bool too_deep(const xmlNode *root)
{
	int depth = 0;
	for (const xmlNode *n = root; n; ) {
		if (n->type == XML_ELEMENT_NODE && n->children) {
			if (++depth > SOAP_DEPTH)
				return true;
			n = n->children;
			continue;
		}
		while (n != root && !n->next) {
			n = n->parent;
			depth--;
		}
		if (n == root)
			return false;
		n = n->next;
	}
	return false;
}

static err parse(struct arena *a, struct bytes text, xmlNode **root)
{
	if (text.n == 0 || text.n > SOAP_MAX)
		return WRONG(a, "%zu bytes", text.n);
	xmlParserCtxt *c = xmlNewParserCtxt();
	if (!c)
		abort();
	arena_defer(a, free_context, c);
	c->sax->internalSubset = refuse_doctype;
	xmlDoc *d = xmlCtxtReadMemory(c, (const char *)text.p, (int)text.n, NULL, "UTF-8", XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING);
	if (!d)
		return WRONG(a, "not XML that is read here");
	arena_defer(a, free_doc, d);
	*root = xmlDocGetRootElement(d);
	if (!*root || d->intSubset || d->extSubset)
		return WRONG(a, "a document type");
	return too_deep(*root) ? WRONG(a, "nested deeper than %d", SOAP_DEPTH) : OK;
}

/* ---- walking ---- */

static bool local(const xmlNode *n, const char *name) { return n->type == XML_ELEMENT_NODE && xmlStrEqual(n->name, BAD_CAST name); }

static bool is(const xmlNode *n, const char *ns, const char *name)
{
	return local(n, name) && n->ns && xmlStrEqual(n->ns->href, BAD_CAST ns);
}

/* The child of that name; NULL when there is none; an error when there are two: which one would count? */
static err child(struct arena *a, const xmlNode *in, const char *ns, const char *name, const xmlNode **out)
{
	*out = NULL;
	for (const xmlNode *n = in ? in->children : NULL; n; n = n->next) {
		if (!is(n, ns, name))
			continue;
		if (*out)
			return WRONG(a, "two of %s", name);
		*out = n;
	}
	return OK;
}

static err only_child(struct arena *a, const xmlNode *in, const xmlNode **out)
{
	*out = NULL;
	for (const xmlNode *n = in->children; n; n = n->next) {
		if (n->type != XML_ELEMENT_NODE)
			continue;
		if (*out)
			return WRONG(a, "more than one message in %s", (const char *)in->name);
		*out = n;
	}
	return *out ? OK : WRONG(a, "%s is empty", (const char *)in->name);
}

/* Text in one piece: a comment or an element within could make two readers read two things. White space around it goes. */
static err text_of(struct arena *a, const xmlNode *n, struct str *out)
{
	*out = S("");
	const xmlNode *t = n ? n->children : NULL;
	if (!t)
		return OK;
	if (t->next || (t->type != XML_TEXT_NODE && t->type != XML_CDATA_SECTION_NODE))
		return WRONG(a, "%s holds more than text", (const char *)n->name);
	struct str s = str_of((const char *)t->content);
	while (s.n && strchr(" \t\r\n", s.p[0]))
		s.p++, s.n--;
	while (s.n && strchr(" \t\r\n", s.p[s.n - 1]))
		s.n--;
	*out = str_copy(a, s);
	return OK;
}

/* Of the attribute without a namespace: the schema leaves them unqualified. */
static struct str attribute(struct arena *a, const xmlNode *n, const char *name)
{
	xmlChar *v = n ? xmlGetNoNsProp((xmlNode *)n, BAD_CAST name) : NULL;
	struct str s = str_copy(a, str_of((const char *)v));
	xmlFree(v);
	return s;
}

static err binary_of(struct arena *a, const xmlNode *n, struct bytes *out)
{
	struct str s;
	TRY(text_of(a, n, &s));
	char *packed = arena_alloc(a, s.n + 1);
	size_t m = 0;
	for (size_t i = 0; i < s.n; i++)
		if (!strchr(" \t\r\n", s.p[i]))
			packed[m++] = s.p[i];
	return b64_read(a, (struct str){ packed, m }, out) ? OK : WRONG(a, "%s is not base64", (const char *)n->name);
}

/* ---- reading ---- */

static bool is_code(struct str s)
{
	bool digits = s.n == 3 || s.n == 4;
	for (size_t i = 0; digits && i < s.n; i++)
		digits = s.p[i] >= '0' && s.p[i] <= '9';
	return digits;
}

/* A QName's local part cannot begin with a digit, so a fault writes mss:_105 for 105. */
static struct str code_in(struct arena *a, struct str qname)
{
	const char *colon = memchr(qname.p, ':', qname.n);
	struct str s = colon ? str_from(a, qname, (size_t)(colon - qname.p) + 1) : qname;
	if (s.n && s.p[0] == '_')
		s = str_from(a, s, 1);
	return is_code(s) ? s : S("");
}

static err read_fault(struct arena *a, const xmlNode *n, struct soap_answer *out)
{
	out->fault = true;
	const xmlNode *value;
	TRY(child(a, n, ENV, "Code", &n));
	TRY(child(a, n, ENV, "Subcode", &n));
	while (n) {
		struct str qname, code;
		TRY(child(a, n, ENV, "Value", &value));
		TRY(text_of(a, value, &qname));
		code = code_in(a, qname);
		if (!out->code.n)
			out->code = code;
		else if (!out->detail.n)
			out->detail = code;
		TRY(child(a, n, ENV, "Subcode", &n));
	}
	return OK;
}

static err read_status(struct arena *a, const xmlNode *status, struct soap_answer *out)
{
	const xmlNode *code, *detail;
	TRY(child(a, status, MSS, "StatusCode", &code));
	out->code = attribute(a, code, "Value");
	if (!is_code(out->code))
		return WRONG(a, "no status code");
	TRY(child(a, code, MSS, "StatusCode", &detail));
	out->detail = attribute(a, detail, "Value");
	return out->detail.n && !is_code(out->detail) ? WRONG(a, "a sub-code that is none") : OK;
}

/* The first X509Certificate anywhere below: operators wrap it in extensions of their own. */
static const xmlNode *first_certificate(const xmlNode *in)
{
	for (const xmlNode *n = in ? in->children : NULL; n; n = n->next) {
		const xmlNode *found = local(n, "X509Certificate") ? n : n->type == XML_ELEMENT_NODE ? first_certificate(n) : NULL;
		if (found)
			return found;
	}
	return NULL;
}

static err read_signature(struct arena *a, const xmlNode *n, struct soap_answer *out)
{
	const xmlNode *base64, *pkcs1, *value = NULL;
	TRY(child(a, n, MSS, "Base64Signature", &base64));
	TRY(child(a, n, FI, "PKCS1", &pkcs1));
	if (base64 && pkcs1)
		return WRONG(a, "two signatures");
	TRY(child(a, pkcs1, FI, "SignatureValue", &value));
	if (base64 || value)
		TRY(binary_of(a, base64 ? base64 : value, &out->signature));
	return OK;
}

static err read_message(struct arena *a, const xmlNode *m, struct soap_answer *out)
{
	const xmlNode *ap, *user, *msisdn, *status, *signature, *cert;
	TRY(child(a, m, MSS, "AP_Info", &ap));
	TRY(child(a, m, MSS, "MobileUser", &user));
	TRY(child(a, user, MSS, "MSISDN", &msisdn));
	TRY(child(a, m, MSS, "Status", &status));
	TRY(child(a, m, MSS, "MSS_Signature", &signature));
	TRY(text_of(a, msisdn, &out->msisdn));
	TRY(read_status(a, status, out));
	TRY(read_signature(a, signature, out));
	out->ap_trans = attribute(a, ap, "AP_TransID");
	out->mssp_trans = attribute(a, m, "MSSP_TransID");
	if (out->mssp_trans.n > SOAP_NAME_MAX || !str_printable(out->mssp_trans))
		return WRONG(a, "a MSSP_TransID of %zu bytes", out->mssp_trans.n);
	if (!(cert = first_certificate(m)))
		return OK;
	return binary_of(a, cert, &out->certificate);
}

static const struct soap_answer NOTHING = { .code = S(""), .detail = S(""), .ap_trans = S(""), .msisdn = S(""), .mssp_trans = S("") };

err soap_read(struct arena *a, struct bytes text, enum soap_kind kind, struct soap_answer *out)
{
	*out = NOTHING;
	xmlNode *root = NULL;
	const xmlNode *body, *wrapper, *message;
	TRY(parse(a, text, &root));
	if (!is(root, ENV, "Envelope"))
		return WRONG(a, "no SOAP 1.2 envelope");
	TRY(child(a, root, ENV, "Body", &body));
	if (!body)
		return WRONG(a, "no body");
	TRY(only_child(a, body, &wrapper));
	if (is(wrapper, ENV, "Fault"))
		return read_fault(a, wrapper, out);
	/* servers disagree about the wrapper's namespace, so its local name must do */
	if (!local(wrapper, NAMES[kind].wrapper))
		return WRONG(a, "%.40s where %s belongs", (const char *)wrapper->name, NAMES[kind].wrapper);
	TRY(only_child(a, wrapper, &message));
	if (!is(message, MSS, NAMES[kind].message))
		return WRONG(a, "%.40s where %s belongs", (const char *)message->name, NAMES[kind].message);
	return read_message(a, message, out);
}
