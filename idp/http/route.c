#include "door.h"
#include "buf.h"
#include "clock.h"
#include "house.h"
#include "log.h"
#include <stdio.h>

/* ---- from a path to a route ---- */

static bool path_fits(const char *pattern, struct str path, struct str *tail)
{
	size_t n = strlen(pattern);
	if (n == 0 || pattern[n - 1] != '*') {
		*tail = S("");
		return str_is(path, pattern);
	}
	if (path.n < n - 1 || memcmp(path.p, pattern, n - 1) != 0)
		return false;
	*tail = (struct str){ path.p + n - 1, path.n - (n - 1) };
	return true;
}

static bool method_fits(const struct route *r, struct str method)
{
	return str_is(method, r->method) || (str_is(method, "HEAD") && strcmp(r->method, "GET") == 0);
}

static bool is_exact(const struct route *r) { return r->path[strlen(r->path) - 1] != '*'; }

/* An exact path is looked for before one with '*'; among several with '*' the longest wins. */
static bool better(const struct route *r, const struct route *than)
{
	return !than || (is_exact(r) != is_exact(than) ? is_exact(r) : strlen(r->path) > strlen(than->path));
}

static struct str allowed(struct arena *a, const struct route *const *tables, const char *path)
{
	struct buf b = buf_new(a, 64, 256);
	for (; *tables; tables++)
		for (const struct route *r = *tables; r->method; r++)
			if (strcmp(r->path, path) == 0)
				buf_fmt(&b, "%s%s", b.n ? ", " : "", strcmp(r->method, "GET") == 0 ? "GET, HEAD" : r->method);
	return (struct str){ b.p, b.n };
}

const struct route *route_of(const struct route *const *tables, struct req *rq, struct str *allow)
{
	const struct route *found = NULL, *near = NULL;
	struct str tail;
	*allow = S("");
	for (const struct route *const *t = tables; *t; t++)
		for (const struct route *r = *t; r->method; r++) {
			if (!path_fits(r->path, rq->path, &tail))
				continue;
			if (better(r, near))
				near = r;
			if (method_fits(r, rq->method) && better(r, found)) {
				found = r;
				rq->tail = tail;
			}
		}
	if (!found && near)
		*allow = allowed(rq->a, tables, near->path);
	rq->route = found ? found : near;
	return found;
}

/* ---- from a fault to an answer ---- */

static struct str error_json(struct arena *a, const struct err_kind *kind)
{
	return str_fmt(a, "{\"error\":\"%s\",\"error_description\":\"%s\"}", kind->code, kind->told);
}

/* RFC 6749 section 5.2: 401 "if the client attempted to authenticate via the Authorization request header field". */
static err fault_json(struct req *rq, struct res *rs, const struct err_kind *kind)
{
	int status = kind->status;
	if (kind == &INVALID_CLIENT) {
		status = 401;
		if (param_there(&rq->headers, "authorization"))
			res_header(rq, rs, "WWW-Authenticate", str_fmt(rq->a, "Basic realm=\"%s\"", rq->house->issuer.p));
	}
	res_json(rs, status, error_json(rq->a, kind));
	return OK;
}

/* RFC 9449 section 7.1: what the scheme of the request was, the challenge is in. */
static const char *scheme_of(const struct req *rq)
{
	struct str h = header(rq, "authorization");
	return h.n > 5 && str_eq_nocase((struct str){ h.p, 5 }, S("DPoP ")) ? "DPoP" : "Bearer";
}

/* kind NULL: what may be used here, and nothing about what went wrong. */
static void challenge(struct req *rq, struct res *rs, const char *scheme, const struct err_kind *kind)
{
	struct buf b = buf_new(rq->a, 256, 2048);
	buf_fmt(&b, "%s realm=\"%s\"", scheme, rq->house->issuer.p);
	if (strcmp(scheme, "DPoP") == 0)
		buf_fmt(&b, ", algs=\"%s\"", rq->dpop_algs.n ? rq->dpop_algs.p : "");
	if (kind)
		buf_fmt(&b, ", error=\"%s\", error_description=\"%s\"", kind->code, kind->told);
	buf_str(&b, rq->challenge);
	res_header(rq, rs, "WWW-Authenticate", (struct str){ b.p, b.n });
}

/* RFC 9449 section 7.1: at a resource what is wrong with a proof is answered as what is wrong with a token. */
static int status_at_resource(const struct err_kind *kind)
{
	return kind == &INVALID_DPOP_PROOF || kind == &USE_DPOP_NONCE ? 401 : kind->status;
}

/* RFC 6750 section 3.1: without authentication information "the resource server SHOULD NOT include an error code". */
static err fault_bearer(struct req *rq, struct res *rs, const struct err_kind *kind)
{
	bool presented = param_there(&rq->headers, "authorization") || param_there(&rq->form, "access_token");
	int status = status_at_resource(kind);
	if (presented && (status == 401 || kind == &INSUFFICIENT_SCOPE || kind == &INVALID_REQUEST)) {
		challenge(rq, rs, scheme_of(rq), kind);
	} else if (status == 401) {
		challenge(rq, rs, "Bearer", NULL);
		if (rq->dpop_algs.n)
			challenge(rq, rs, "DPoP", NULL);
	}
	res_json(rs, status, status == 401 && !presented ? S("{}") : error_json(rq->a, kind));
	return OK;
}

static err (*const ANSWER[])(struct req *, struct res *, const struct err_kind *) = {
	[FAULTS_JSON] = fault_json, [FAULTS_BEARER] = fault_bearer, [FAULTS_PAGE] = page_fault,
};

static void fault_answer(struct req *rq, struct res *rs, const struct err_kind *kind)
{
	struct params kept = rs->headers;
	*rs = (struct res){ .headers = kept };
	if (ANSWER[rq->route ? rq->route->faults : FAULTS_JSON](rq, rs, kind).kind) {
		*rs = (struct res){ 0 };
		res_json(rs, kind->status, error_json(rq->a, kind));
	}
	if (kind->status == 503)
		res_header(rq, rs, "Retry-After", S("1"));
}

/* ---- what every answer carries ---- */

static bool has(const struct res *rs, const char *name)
{
	for (size_t i = 0; i < rs->headers.n; i++)
		if (strcasecmp(rs->headers.v[i].name.p, name) == 0)
			return true;
	return false;
}

static void unless_there(struct req *rq, struct res *rs, const char *name, struct str value)
{
	if (!has(rs, name))
		res_header(rq, rs, name, value);
}

static bool is_loopback(struct str origin)
{
	return str_starts(origin, S("http://localhost:")) || str_starts(origin, S("http://127.0.0.1:")) || str_starts(origin, S("http://[::1]:"));
}

static void cors(struct req *rq, struct res *rs)
{
	struct str origin = header(rq, "origin");
	unsigned flags = rq->route ? rq->route->flags : 0;
	if (flags & CORS_ANY) {
		unless_there(rq, rs, "Access-Control-Allow-Origin", S("*"));
	} else if (flags & CORS_CLIENTS) {
		unless_there(rq, rs, "Vary", S("Origin"));
		if (str_starts(origin, S("https://")) || is_loopback(origin))
			unless_there(rq, rs, "Access-Control-Allow-Origin", origin);
	}
	if (flags & (CORS_ANY | CORS_CLIENTS) && param_there(&rq->headers, "origin"))
		unless_there(rq, rs, "Access-Control-Expose-Headers", S("DPoP-Nonce, WWW-Authenticate, Retry-After"));
}

static void finish(struct req *rq, struct res *rs)
{
	unless_there(rq, rs, "X-Content-Type-Options", S("nosniff"));
	unless_there(rq, rs, "Referrer-Policy", S("no-referrer"));
	if (str_starts(rs->type, S("application/")))
		unless_there(rq, rs, "Cache-Control", S("no-store"));
	if (rq->dpop_nonce.n)
		unless_there(rq, rs, "DPoP-Nonce", rq->dpop_nonce);
	if (rq->house->secure)
		unless_there(rq, rs, "Strict-Transport-Security", S("max-age=63072000; includeSubDomains"));
	cors(rq, rs);
}

/* What would break out of its header line goes nowhere: the answer is a 500. */
static bool well_formed(const struct res *rs)
{
	for (size_t i = 0; i < rs->headers.n; i++)
		for (size_t k = 0; k < rs->headers.v[i].value.n; k++) {
			unsigned char c = (unsigned char)rs->headers.v[i].value.p[k];
			if (c < 0x20 || c == 0x7f)
				return false;
		}
	return rs->status >= 200 && rs->status <= 599;
}

static void say(const struct req *rq, const struct res *rs, err e)
{
	char status[16], ms[24];
	snprintf(status, sizeof status, "%d", rs->status);
	snprintf(ms, sizeof ms, "%lld", (long long)(clock_ms() - rq->now_ms));
	enum log_level level = rs->status >= 500 ? LOG_WARN : LOG_INFO;
	if (e.kind)
		log_say(level, "request", "id", rq->id.p, "method", rq->method.p, "path", rq->path.p, "status", status, "ms", ms,
		        "fault", e.kind->code, "why", e.why, NULL);
	else
		log_say(level, "request", "id", rq->id.p, "method", rq->method.p, "path", rq->path.p, "status", status, "ms", ms, NULL);
}

static void answer(struct req *rq, struct res *rs, err e)
{
	if (e.kind)
		fault_answer(rq, rs, e.kind);
	if (!well_formed(rs)) {
		*rs = (struct res){ 0 };
		e = fault(rq->a, &SERVER_ERROR, "an answer that cannot be sent: a control character or no status");
		fault_answer(rq, rs, e.kind);
	}
	finish(rq, rs);
	say(rq, rs, e);
}

/* ---- serving ---- */

/* Fetch standard, section 3.2: what a script of another site may send. Nothing here depends on cookies. */
static bool preflight(const struct route *const *tables, struct req *rq, struct res *rs)
{
	struct str allow, wanted = header(rq, "access-control-request-method"), was = rq->method;
	if (!str_is(was, "OPTIONS") || str_empty(wanted))
		return false;
	rq->method = wanted;
	const struct route *r = route_of(tables, rq, &allow);
	rq->method = was;
	if (!r || !(r->flags & (CORS_ANY | CORS_CLIENTS)))
		return false;
	rs->status = 204;
	res_header(rq, rs, "Access-Control-Allow-Methods", str_of(r->method));
	res_header(rq, rs, "Access-Control-Allow-Headers", S("Authorization, Content-Type, DPoP"));
	res_header(rq, rs, "Access-Control-Max-Age", S("600"));
	return true;
}

static err handle(const struct route *const *tables, struct req *rq, struct res *rs)
{
	struct str allow;
	if (preflight(tables, rq, rs))
		return OK;
	const struct route *r = route_of(tables, rq, &allow);
	if (!r && allow.n) {
		res_header(rq, rs, "Allow", allow);
		return fault(rq->a, &METHOD_NOT_ALLOWED, "only %s", allow.p);
	}
	if (!r)
		return fault(rq->a, &NOT_FOUND, "no route");
	if (r->flags & NEEDS_SAME_SITE && !origin_is_ours(rq))
		return fault(rq->a, &FORBIDDEN, "from origin '%s', site '%s'", header(rq, "origin").p, header(rq, "sec-fetch-site").p);
	return r->handle(rq, rs);
}

bool serve(const struct route *const *tables, struct req *rq, struct res *rs)
{
	*rs = (struct res){ 0 };
	err e = handle(tables, rq, rs);
	if (e.kind == &PARKED)
		return false;
	answer(rq, rs, e);
	return true;
}

void serve_fault(const struct route *const *tables, struct req *rq, struct res *rs, err e)
{
	struct str allow;
	*rs = (struct res){ 0 };
	route_of(tables, rq, &allow);
	answer(rq, rs, e);
}
