#include "door.h"
#include "buf.h"
#include "code.h"
#include "hash.h"
#include "house.h"

enum { MAX_ADDED = 32, MAX_URL = 32 * 1024 };

void res_header(struct req *rq, struct res *rs, const char *name, struct str value)
{
	struct params *l = &rs->headers;
	if (!l->v)
		l->v = make_n(rq->a, struct param, MAX_ADDED);
	if (l->n == MAX_ADDED) {
		rs->status = 500;
		return;
	}
	l->v[l->n++] = (struct param){ str_of(name), value };
}

void res_json(struct res *rs, int status, struct str json)
{
	rs->status = status;
	rs->type = S("application/json");
	rs->body = json;
}

void res_redirect(struct req *rq, struct res *rs, struct str url)
{
	rs->status = 303;
	rs->type = rs->body = S("");
	res_header(rq, rs, "Location", url);
	res_header(rq, rs, "Cache-Control", S("no-store"));
}

/* RFC 3986 section 3: the query ends where the fragment begins. */
struct str url_with(struct arena *a, struct str url, const struct param *add, size_t n)
{
	const char *hash = url.n ? memchr(url.p, '#', url.n) : NULL;
	size_t head = hash ? (size_t)(hash - url.p) : url.n;
	bool asked = head && memchr(url.p, '?', head) != NULL;
	struct buf b = buf_new(a, url.n + 512, MAX_URL + url.n);
	buf_add(&b, url.p, head);
	bool fresh = asked && (b.p[b.n - 1] == '?' || b.p[b.n - 1] == '&');
	for (size_t i = 0; i < n; i++) {
		if (!fresh)
			buf_char(&b, asked ? '&' : '?');
		asked = true, fresh = false;
		buf_url(&b, add[i].name);
		buf_char(&b, '=');
		buf_url(&b, add[i].value);
	}
	if (hash)
		buf_add(&b, hash, url.n - head);
	return (struct str){ b.p, b.n };
}

/* ---- cookies ---- */

/* RFC 6265bis section 4.1.3.2: a browser takes a __Host- cookie only over https, for this host alone and for every path. */
static struct str cookie_name(const struct req *rq, const char *name)
{
	return str_fmt(rq->a, "%s%s", rq->house->secure ? "__Host-" : "", name);
}

void res_cookie(struct req *rq, struct res *rs, const char *name, struct str value, int64_t seconds)
{
	struct buf b = buf_new(rq->a, 256, 8192);
	buf_str(&b, cookie_name(rq, name));
	buf_char(&b, '=');
	buf_url(&b, seconds == 0 ? S("") : value);
	if (seconds >= 0)
		buf_fmt(&b, "; Max-Age=%lld", (long long)seconds);
	buf_str(&b, S("; Path=/; HttpOnly; SameSite=Lax"));
	if (rq->house->secure)
		buf_str(&b, S("; Secure"));
	if (b.over)
		rs->status = 500;
	else
		res_header(rq, rs, "Set-Cookie", (struct str){ b.p, b.n });
}

struct str house_cookie(const struct req *rq, const char *name) { return param_of(&rq->cookies, cookie_name(rq, name).p); }

/* ---- forms of ours ---- */

struct str form_token(const struct req *rq, struct str bound_to)
{
	unsigned char mac[SHA256_SIZE];
	hmac256((struct bytes){ rq->house->secrets.form, sizeof rq->house->secrets.form }, bound_to.p, bound_to.n, mac);
	return b64url(rq->a, (struct bytes){ mac, sizeof mac });
}

/* Origin: RFC 6454 section 7 ("null" is nobody's). Sec-Fetch-Site: W3C Fetch Metadata section 2.4. Old browsers send neither. */
bool origin_is_ours(const struct req *rq)
{
	struct str from = header(rq, "sec-fetch-site");
	if (param_there(&rq->headers, "origin") && !str_eq(header(rq, "origin"), rq->house->origin))
		return false;
	return !param_there(&rq->headers, "sec-fetch-site") || str_is(from, "same-origin") || str_is(from, "none");
}

err form_check(const struct req *rq, struct str bound_to)
{
	if (!origin_is_ours(rq))
		return fault(rq->a, &FORBIDDEN, "a form from origin '%s', site '%s'", header(rq, "origin").p, header(rq, "sec-fetch-site").p);
	if (str_empty(bound_to) || !str_same(form_token(rq, bound_to), form(rq, FORM_TOKEN)))
		return fault(rq->a, &FORBIDDEN, "the form's token does not belong to this browser");
	return OK;
}
