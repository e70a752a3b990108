#include "door.h"

/* Debian 12's libmicrohttpd 0.9.75 lets in what smuggles (SECURITY.md section 0 item 2). This looks at what it made of a
 * request, and at the bytes that it left between the pieces, and refuses whatever has more than one reading. */

static bool is(struct str a, struct str lower) { return a.n == lower.n && str_eq_nocase(a, lower); }

static size_t times(const struct raw *r, struct str name)
{
	size_t n = 0;
	for (size_t i = 0; i < r->n; i++)
		n += is(r->headers[i].name, name);
	return n;
}

static struct str value_of(const struct raw *r, struct str name)
{
	for (size_t i = 0; i < r->n; i++)
		if (is(r->headers[i].name, name))
			return r->headers[i].value;
	return S("");
}

/* ---- the lines: each ended by CR LF, none folded ---- */

/* The parser overwrites a line's end with zeros: two for CR LF, one for a bare CR or LF. A folded line is put together
 * elsewhere in memory. So whole lines are those whose pieces lie one behind the other with two zeros between.
 * RFC 9112 section 2.2 (line ends), section 5.2 (folding), section 3 (single spaces in the request line). */
static bool broken_lines(const struct raw *r)
{
	if (!r->in_place)
		return false;
	if (r->url != r->method.p + r->method.n + 1 || r->version.p != r->url + r->target.n + 1)
		return true;
	const char *end = r->version.p + r->version.n;
	for (size_t i = 0; i < r->n; i++) {
		const struct param *h = &r->headers[i];
		if (end[0] || end[1] || h->name.p != end + 2)
			return true;
		const char *p = h->name.p + h->name.n;
		if (*p++ || h->value.p < p || h->value.p > p + MAX_HEADER_BYTES)
			return true;
		for (; p < h->value.p; p++)
			if (*p != ' ' && *p != '\t')
				return true;
		end = h->value.p + h->value.n;
	}
	return end + 4 != r->method.p + r->head_n || end[0] || end[1] || end[2] || end[3];
}

/* ---- the request line ---- */

static bool unknown_version(const struct raw *r)
{
	return !str_is(r->version, "HTTP/1.1") && !str_is(r->version, "HTTP/1.0");
}

static bool unknown_method(const struct raw *r)
{
	static const char *const METHODS[] = { "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS" };
	for (size_t i = 0; i < sizeof METHODS / sizeof *METHODS; i++)
		if (str_is(r->method, METHODS[i]))
			return false;
	return true;
}

static bool is_hex(char c) { return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f'); }

static bool strange_target(const struct raw *r)
{
	struct str t = r->target;
	for (size_t i = 0; i < t.n; i++) {
		if (t.p[i] <= 0x20 || t.p[i] > 0x7e || t.p[i] == '\\' || t.p[i] == '#')
			return true;
		if (t.p[i] != '%')
			continue;
		if (i + 2 >= t.n || !is_hex(t.p[i + 1]) || !is_hex(t.p[i + 2]) || (t.p[i + 1] == '0' && t.p[i + 2] == '0'))
			return true;
		i += 2;
	}
	return false;
}

/* RFC 9112 section 3.2: origin-form, or absolute-form of our own origin. */
static bool foreign_target(const struct raw *r)
{
	struct str t = r->target;
	if (t.n && t.p[0] == '/')
		return false;
	return str_empty(r->origin) || !str_starts(t, r->origin) || t.n == r->origin.n || t.p[r->origin.n] != '/';
}

/* One path has one spelling: no encoded '/' or '\', no dot segments (RFC 3986 section 6.2.2.3), encoded or not. */
static bool climbing_path(const struct raw *r)
{
	const char *p = r->target.p, *end = p + r->target.n;
	const char *q = memchr(p, '?', r->target.n);
	size_t dots = 0, other = 1;
	for (end = q ? q : end; p <= end; p++) {
		char c = p == end ? '/' : *p;
		if (c == '%' && end - p > 2) {
			char low = (char)(p[2] | 0x20);
			if ((p[1] == '2' && low == 'f') || (p[1] == '5' && low == 'c'))
				return true;
			c = p[1] == '2' && low == 'e' ? '.' : 'x';
			p += 2;
		}
		if (c == '/') {
			if (!other && (dots == 1 || dots == 2))
				return true;
			dots = other = 0;
		} else if (c == '.') {
			dots++;
		} else {
			other = 1;
		}
	}
	return false;
}

/* ---- the headers ---- */

/* RFC 9110 section 5.6.2 */
static bool is_token(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] <= 0x20 || s.p[i] > 0x7e || strchr("\"(),/:;<=>?@[\\]{}", s.p[i]))
			return false;
	return s.n > 0;
}

static bool odd_name(const struct raw *r)
{
	for (size_t i = 0; i < r->n; i++)
		if (!is_token(r->headers[i].name))
			return true;
	return false;
}

static bool odd_value(const struct raw *r)
{
	for (size_t i = 0; i < r->n; i++)
		for (size_t k = 0; k < r->headers[i].value.n; k++) {
			unsigned char c = (unsigned char)r->headers[i].value.p[k];
			if ((c < 0x20 && c != '\t') || c == 0x7f)
				return true;
		}
	return false;
}

/* A gateway elsewhere may read X_Y as X-Y: what we believe must not come in that spelling. Others are dropped (request.c). */
static bool disguised_name(const struct raw *r)
{
	static const char *const BELIEVED[] = {
		"client-cert", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "forwarded", "host", "authorization", "cookie",
		"content-length", "content-type", "transfer-encoding", "dpop", "origin", "sec-fetch-site",
	};
	for (size_t i = 0; i < r->n; i++) {
		struct str name = r->headers[i].name;
		char plain[32];
		if (name.n >= sizeof plain || !memchr(name.p, '_', name.n))
			continue;
		for (size_t k = 0; k < name.n; k++)
			plain[k] = name.p[k] == '_' ? '-' : name.p[k];
		for (size_t k = 0; k < sizeof BELIEVED / sizeof *BELIEVED; k++)
			if (str_eq_nocase((struct str){ plain, name.n }, str_of(BELIEVED[k])))
				return true;
	}
	return false;
}

static bool too_many_headers(const struct raw *r) { return r->n > MAX_HEADERS; }

static bool too_long_head(const struct raw *r)
{
	size_t n = r->method.n + r->target.n + r->version.n + 4;
	for (size_t i = 0; i < r->n; i++)
		n += r->headers[i].name.n + r->headers[i].value.n + 4;
	return n > MAX_HEADER_BYTES;
}

static bool doubled(const struct raw *r)
{
	static const struct str ONCE[] = {
		S("host"), S("content-length"), S("transfer-encoding"), S("content-type"), S("authorization"), S("cookie"), S("dpop"),
		S("origin"), S("sec-fetch-site"), S("expect"), S("content-encoding"),
	};
	for (size_t i = 0; i < sizeof ONCE / sizeof *ONCE; i++)
		if (times(r, ONCE[i]) > 1)
			return true;
	return false;
}

/* RFC 9112 section 3.2: exactly one Host in HTTP/1.1. What it says is not used for anything. */
static bool no_host(const struct raw *r)
{
	return str_is(r->version, "HTTP/1.1") && times(r, S("host")) != 1;
}

static bool odd_host(const struct raw *r)
{
	struct str h = value_of(r, S("host"));
	for (size_t i = 0; i < h.n; i++)
		if (h.p[i] <= 0x20 || h.p[i] > 0x7e || strchr("\"/\\@?#,;<>{}|^`", h.p[i]))
			return true;
	return false;
}

/* ---- the body's framing ---- */

/* Nobody who logs in needs chunks, and this parser reads their sizes loosely: no chunks at all (RFC 9112 section 6.3
 * lets a server ask for a length: 411). Both framings at once is an attack (section 6.1). */
static bool two_framings(const struct raw *r)
{
	return times(r, S("transfer-encoding")) && times(r, S("content-length"));
}
static bool odd_coding(const struct raw *r)
{
	return times(r, S("transfer-encoding")) && !is(value_of(r, S("transfer-encoding")), S("chunked"));
}
static bool chunked(const struct raw *r) { return times(r, S("transfer-encoding")) > 0; }

static bool odd_length(const struct raw *r)
{
	struct str v = value_of(r, S("content-length"));
	if (!times(r, S("content-length")))
		return false;
	for (size_t i = 0; i < v.n; i++)
		if (v.p[i] < '0' || v.p[i] > '9')
			return true;
	return v.n == 0;
}

int64_t guard_length(const struct raw *r)
{
	struct str v = value_of(r, S("content-length"));
	int64_t n = 0;
	for (size_t i = 0; i < v.n && n <= MAX_BODY; i++)
		n = n * 10 + (v.p[i] - '0');
	return n;
}

static bool too_long_body(const struct raw *r) { return guard_length(r) > MAX_BODY; }

/* RFC 9110 section 9.3.1: content in a GET has no meaning and "could be used for request smuggling". */
static bool body_without_meaning(const struct raw *r)
{
	return (str_is(r->method, "GET") || str_is(r->method, "HEAD")) && guard_length(r) > 0;
}

static bool packed_body(const struct raw *r)
{
	return times(r, S("content-encoding")) && !is(value_of(r, S("content-encoding")), S("identity"));
}

static bool odd_expectation(const struct raw *r)
{
	return times(r, S("expect")) && !is(value_of(r, S("expect")), S("100-continue"));
}

static bool upgrade_of_protocol(const struct raw *r) { return times(r, S("http2-settings")) > 0; }

static const struct rule { bool (*broken)(const struct raw *); struct verdict verdict; } RULES[] = {
	{ unknown_version,      { 505, "neither HTTP/1.1 nor HTTP/1.0" } },
	{ unknown_method,       { 501, "an unknown method" } },
	{ too_many_headers,     { 431, "too many header fields" } },
	{ too_long_head,        { 431, "a head of more than 16 KiB" } },
	{ broken_lines,         { 400, "a line that does not end by CR LF, a folded line, a NUL, or more than single spaces in the request line" } },
	{ strange_target,       { 400, "a target with characters or escapes that are not allowed" } },
	{ foreign_target,       { 400, "a target that is no path and not of our origin" } },
	{ climbing_path,        { 400, "a path with dot segments or an encoded slash" } },
	{ odd_name,             { 400, "a header name that is no token" } },
	{ odd_value,            { 400, "a control character in a header" } },
	{ disguised_name,       { 400, "a header that we believe, spelled with '_'" } },
	{ doubled,              { 400, "a header twice that may come once" } },
	{ no_host,              { 400, "not exactly one Host" } },
	{ odd_host,             { 400, "a Host that is no host" } },
	{ two_framings,         { 400, "Content-Length and Transfer-Encoding at once" } },
	{ odd_coding,           { 400, "a Transfer-Encoding that is not chunked" } },
	{ chunked,              { 411, "a body in chunks" } },
	{ odd_length,           { 400, "a Content-Length that is no number" } },
	{ too_long_body,        { 413, "a body of more than 64 KiB" } },
	{ body_without_meaning, { 400, "a body in a GET or HEAD" } },
	{ packed_body,          { 415, "a packed body" } },
	{ odd_expectation,      { 417, "an expectation other than 100-continue" } },
	{ upgrade_of_protocol,  { 400, "an upgrade to HTTP/2 in clear text" } },
};

struct verdict guard(const struct raw *raw)
{
	for (size_t i = 0; i < sizeof RULES / sizeof *RULES; i++)
		if (RULES[i].broken(raw))
			return RULES[i].verdict;
	return (struct verdict){ 0 };
}
