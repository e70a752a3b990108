#include "door.h"
#include "code.h"
#include "house.h"
#include "rand.h"
#include <arpa/inet.h>

static struct str trimmed(struct str s)
{
	while (s.n && (*s.p == ' ' || *s.p == '\t'))
		s.p++, s.n--;
	while (s.n && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t'))
		s.n--;
	return s;
}

/* Names with '_' are dropped: nothing of ours is spelled so, and no gateway can make us take one for another. */
static void headers_keep(struct req *rq, const struct raw *raw)
{
	rq->headers = (struct params){ .v = make_n(rq->a, struct param, raw->n + 1) };
	for (size_t i = 0; i < raw->n; i++) {
		const struct param *h = &raw->headers[i];
		if (!memchr(h->name.p, '_', h->name.n))
			rq->headers.v[rq->headers.n++] = (struct param){ str_lower(rq->a, h->name), str_copy(rq->a, trimmed(h->value)) };
	}
}

static struct str last_of(const struct params *l, const char *name, size_t *n)
{
	struct str found = S("");
	*n = 0;
	for (size_t i = 0; i < l->n; i++)
		if (str_is(l->v[i].name, name))
			found = l->v[i].value, ++*n;
	return found;
}

static bool is_address(struct str s)
{
	unsigned char b[16];
	return s.n < INET6_ADDRSTRLEN && (inet_pton(AF_INET, s.p, b) == 1 || inet_pton(AF_INET6, s.p, b) == 1);
}

/* What stands last in X-Forwarded-For was written by the proxy before us; all before it by whoever liked to. */
static err peer_from_proxy(struct req *rq)
{
	size_t n;
	struct str l = last_of(&rq->headers, "x-forwarded-for", &n);
	if (!n)
		return OK;
	const char *comma = memrchr(l.p, ',', l.n);
	struct str last = comma ? (struct str){ comma + 1, l.n - (size_t)(comma + 1 - l.p) } : l;
	rq->peer = str_copy(rq->a, trimmed(last));
	if (!is_address(rq->peer))
		return fault(rq->a, &INVALID_REQUEST, "the proxy's X-Forwarded-For does not end in an address");
	return OK;
}

/* nginx cannot write a Byte Sequence; what it can is the PEM, percent-encoded ($ssl_client_escaped_cert). */
static bool cert_escaped(struct arena *a, struct str v, struct str *base64)
{
	static const struct str BEGIN = S("-----BEGIN CERTIFICATE-----\n"), END = S("\n-----END CERTIFICATE-----\n");
	struct str pem;
	if (!url_read(a, v, false, &pem) || !str_starts(pem, BEGIN) || !str_ends(pem, END) || pem.n < BEGIN.n + END.n)
		return false;
	char *d = arena_alloc(a, pem.n + 1);
	size_t n = 0;
	for (size_t i = BEGIN.n; i < pem.n - END.n; i++)
		if (pem.p[i] != '\n')
			d[n++] = pem.p[i];
	*base64 = (struct str){ d, n };
	return true;
}

/* RFC 9440 section 2.2: Client-Cert is one Byte Sequence (RFC 8941 section 3.3.5) of the DER certificate. */
static err cert_from_proxy(struct req *rq)
{
	size_t n;
	struct str v = last_of(&rq->headers, "client-cert", &n);
	struct bytes der;
	if (!n)
		return OK;
	if (n > 1)
		return fault(rq->a, &INVALID_REQUEST, "%zu Client-Cert headers", n);
	if (v.n > 2 && v.p[0] == ':' && v.p[v.n - 1] == ':')
		rq->client_cert = str_dup(rq->a, v.p + 1, v.n - 2);
	else if (!cert_escaped(rq->a, v, &rq->client_cert))
		return fault(rq->a, &INVALID_REQUEST, "Client-Cert is neither a byte sequence nor an escaped PEM");
	if (!b64_read(rq->a, rq->client_cert, &der) || der.n == 0)
		return fault(rq->a, &INVALID_REQUEST, "Client-Cert is not base64");
	return OK;
}

static void target_cut(struct req *rq, struct str *path, struct str *args)
{
	struct str t = rq->target;
	if (rq->house && t.p[0] != '/')              /* absolute-form of our origin: guard let no other in */
		t.p += rq->house->origin.n, t.n -= rq->house->origin.n;
	const char *q = memchr(t.p, '?', t.n);
	*path = q ? (struct str){ t.p, (size_t)(q - t.p) } : t;
	*args = q ? (struct str){ q + 1, t.n - path->n - 1 } : S("");
}

err request_head(struct req *rq, const struct raw *raw, struct str socket_peer, bool proxy)
{
	struct str path, args;
	rq->method = str_copy(rq->a, raw->method);
	rq->target = str_copy(rq->a, raw->target);
	rq->peer = str_copy(rq->a, socket_peer);
	rq->path = rq->tail = rq->client_cert = rq->body = S("");
	rq->id = rand_id(rq->a, rq->now_ms);
	headers_keep(rq, raw);
	rq->lang = language_of(rq);
	target_cut(rq, &path, &args);
	if (!url_read(rq->a, path, false, &rq->path))
		return fault(rq->a, &INVALID_REQUEST, "a path that is not UTF-8");
	if (proxy) {
		TRY(peer_from_proxy(rq));
		TRY(cert_from_proxy(rq));
	}
	return OK;
}

static bool is_form(const struct req *rq)
{
	struct str t = header(rq, "content-type");
	const char *semicolon = memchr(t.p, ';', t.n);
	if (semicolon)
		t.n = (size_t)(semicolon - t.p);
	return str_eq_nocase(trimmed(t), S("application/x-www-form-urlencoded"));
}

/* A parameter is given once, wherever it is given: not in the query and again in the form. */
static err once_over_both(struct req *rq)
{
	for (size_t i = 0; i < rq->form.n; i++)
		if (param_there(&rq->query, rq->form.v[i].name.p))
			return fault(rq->a, &INVALID_REQUEST, "'%s' in the query and in the form", rq->form.v[i].name.p);
	return OK;
}

err request_fields(struct req *rq, struct str body)
{
	struct str path, args;
	if (memchr(body.p, 0, body.n))
		return fault(rq->a, &INVALID_REQUEST, "NUL in the body");
	rq->body = body;
	target_cut(rq, &path, &args);
	TRY(cookies_read(rq->a, header(rq, "cookie"), &rq->cookies));
	rq->lang = language_of(rq);
	TRY(params_read(rq->a, args, &rq->query));
	if (body.n && is_form(rq)) {
		TRY(params_read(rq->a, body, &rq->form));
		TRY(once_over_both(rq));
	}
	return OK;
}

/* ---- language ---- */

/* RFC 9110 section 12.4.2: a weight of 0..1 with at most three decimals, here in thousandths; 0 when it cannot be read. */
static int weight(struct str s)
{
	static const int PLACE[] = { 1000, 0, 100, 10, 1 };
	int q = 0;
	s = trimmed(s);
	if (s.n < 3 || s.n > 7 || (s.p[0] | 0x20) != 'q' || s.p[1] != '=')
		return 0;
	for (size_t i = 2; i < s.n; i++) {
		if (i == 3 ? s.p[i] != '.' : s.p[i] < '0' || s.p[i] > '9')
			return 0;
		if (i != 3)
			q += (s.p[i] - '0') * PLACE[i - 2];
	}
	return q > 1000 ? 0 : q;
}

static struct str cut(struct str *s, char c)
{
	const char *at = memchr(s->p, c, s->n);
	struct str first = { s->p, at ? (size_t)(at - s->p) : s->n };
	*s = at ? (struct str){ at + 1, s->n - first.n - 1 } : S("");
	return first;
}

static bool range_is(struct str range, struct str lang)
{
	return range.n >= 2 && str_eq_nocase((struct str){ range.p, 2 }, lang) && (range.n == 2 || range.p[2] == '-');
}

struct str language_of(const struct req *rq)
{
	struct str chosen = cookie(rq, "lang"), accept = header(rq, "accept-language"), best = S("vi");
	int most = 0;
	if (str_is(chosen, "vi") || str_is(chosen, "en"))
		return str_is(chosen, "vi") ? S("vi") : S("en");
	while (accept.n) {
		struct str rest = cut(&accept, ','), range = trimmed(cut(&rest, ';'));
		int q = rest.n ? weight(rest) : 1000;
		if (q <= most || (!range_is(range, S("vi")) && !range_is(range, S("en"))))
			continue;
		best = range_is(range, S("vi")) ? S("vi") : S("en");
		most = q;
	}
	return best;
}
