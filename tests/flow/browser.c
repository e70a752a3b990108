#include "browser.h"
#include "account.h"
#include "audit_of.h"
#include "authorize.h"
#include "code.h"
#include "door.h"
#include "login.h"
#include "oauth.h"
#include "oidc.h"
#include <stdio.h>

enum { COOKIES = 16, HOPS = 8 };

struct browser *browser_in(struct arena *a, struct world *w)
{
	struct browser *b = make(a, struct browser);
	*b = (struct browser){ .w = w, .a = a, .jar = { .v = make_n(a, struct param, COOKIES) }, .peer = S("192.0.2.7"), .more = "" };
	return b;
}

struct browser *browser(struct world *w)
{
	static const struct route *const ALL[] = { AUTHORIZE_ROUTES, LOGIN_ROUTES, DEVICE_ROUTES, CIBA_ROUTES, SIM_ROUTES, TOKEN_ROUTES, TLS_ROUTES, LOGOUT_ROUTES, ACCOUNT_ROUTES };
	for (size_t i = 0; i < sizeof ALL / sizeof *ALL; i++)
		world_also(ALL[i]);
	return browser_in(w->a, w);
}

struct browser *twin(const struct browser *b, struct arena *a)
{
	struct browser *t = browser_in(a, b->w);
	memcpy(t->jar.v, b->jar.v, b->jar.n * sizeof *b->jar.v);
	t->jar.n = b->jar.n, t->peer = b->peer;
	return t;
}

/* ---- cookies ---- */

void forget(struct browser *b, const char *name)
{
	size_t n = 0;
	for (size_t i = 0; i < b->jar.n; i++)
		if (!str_is(b->jar.v[i].name, name))
			b->jar.v[n++] = b->jar.v[i];
	b->jar.n = n;
}

static void keep(struct browser *b, struct str name, struct str value)
{
	forget(b, name.p);
	assert_true(b->jar.n < COOKIES);
	if (value.n)
		b->jar.v[b->jar.n++] = (struct param){ name, value };
}

struct str cookie_in(const struct browser *b, const char *name) { return param_of(&b->jar, str_fmt(b->a, "__Host-%s", name).p); }

void is_signed_in(struct browser *b)
{
	size_t n = strcspn(b->w->cookie.p, "=");
	keep(b, str_dup(b->a, b->w->cookie.p, n), str_from(b->a, b->w->cookie, n + 1));
}

static void keep_all(struct browser *b, const struct res *rs)
{
	for (size_t i = 0; i < rs->headers.n; i++) {
		struct str v = rs->headers.v[i].value;
		if (!str_eq_nocase(rs->headers.v[i].name, S("Set-Cookie")))
			continue;
		size_t name = strcspn(v.p, "="), value = strcspn(v.p + name + 1, ";");
		keep(b, str_dup(b->a, v.p, name), str_dup(b->a, v.p + name + 1, value));
	}
}

/* ---- going somewhere ---- */

static struct str headers_of(const struct browser *b)
{
	struct str cookies = S("");
	for (size_t i = 0; i < b->jar.n; i++)
		cookies = str_fmt(b->a, "%s%s%s=%s", cookies.p, i ? "; " : "", b->jar.v[i].name.p, b->jar.v[i].value.p);
	return str_fmt(b->a, "X-Forwarded-For: %s\n%s%s%s%s", b->peer.p, cookies.n ? "Cookie: " : "", cookies.p, cookies.n ? "\n" : "", b->more);
}

struct res *go(struct browser *b, const char *method, struct str target, const char *body)
{
	struct res *rs = ask_in(b->w, b->a, method, target.p, headers_of(b).p, body);
	b->at = target;
	keep_all(b, rs);
	return rs;
}

struct res *get(struct browser *b, struct str target) { return go(b, "GET", target, ""); }

static struct str within_our_host(struct browser *b, const struct res *rs)
{
	struct str to = res_head(rs, "Location"), origin = b->w->house.origin;
	if (rs->status != 303)
		return S("");
	if (str_starts(to, str_fmt(b->a, "%s/", origin.p)))
		return str_from(b->a, to, origin.n);
	return to.n && to.p[0] == '/' ? to : S("");
}

struct res *follow(struct browser *b, struct res *rs)
{
	for (int hop = 0; within_our_host(b, rs).n; hop++) {
		if (hop == HOPS)
			fail_msg("sent on and on, now to %s", res_head(rs, "Location").p);
		rs = get(b, within_our_host(b, rs));
	}
	return rs;
}

struct res *visit(struct browser *b, struct str target) { return follow(b, get(b, target)); }

/* ---- pages ---- */

static struct str between(struct arena *a, const char *text, const char *before, const char *after)
{
	const char *from = strstr(text, before), *to = from ? strstr(from + strlen(before), after) : NULL;
	return to ? str_dup(a, from + strlen(before), (size_t)(to - from) - strlen(before)) : S("");
}

/* What a browser makes of the entities that our pages use. */
static struct str unescaped(struct arena *a, struct str s)
{
	static const struct { const char *entity; char is; } ENTITIES[] = { { "&amp;", '&' }, { "&lt;", '<' }, { "&gt;", '>' }, { "&quot;", '"' }, { "&#39;", '\'' } };
	char *out = arena_alloc(a, s.n + 1);
	size_t n = 0;
	for (size_t i = 0; i < s.n; n++) {
		out[n] = s.p[i];
		size_t took = 1;
		for (size_t k = 0; k < sizeof ENTITIES / sizeof *ENTITIES; k++)
			if (str_starts((struct str){ s.p + i, s.n - i }, str_of(ENTITIES[k].entity)))
				out[n] = ENTITIES[k].is, took = strlen(ENTITIES[k].entity);
		i += took;
	}
	return (struct str){ out, n };
}

struct str field(struct browser *b, const struct res *page, const char *name)
{
	struct str mark = str_fmt(b->a, "name=\"%s\" value=\"", name);
	return unescaped(b->a, between(b->a, page->body.p, mark.p, "\""));
}

struct str data_of(struct browser *b, const struct res *page, const char *name)
{
	return unescaped(b->a, between(b->a, page->body.p, str_fmt(b->a, "data-%s=\"", name).p, "\""));
}

struct res *submit(struct browser *b, const struct res *page, const char *action, const char *more)
{
	struct str body = str_fmt(b->a, "csrf=%s&i=%s%s%s", field(b, page, "csrf").p, field(b, page, "i").p, *more ? "&" : "", more);
	return go(b, "POST", str_of(action), body.p);
}

/* ---- authorization ---- */

static bool gives(const char *more, const char *name)
{
	size_t n = strlen(name);
	for (const char *p = more; *p; p += strcspn(p, "&"), p += *p == '&')
		if (strncmp(p + (*p == '!'), name, n) == 0 && (p[n + (*p == '!')] == '=' || *p == '!'))
			return true;
	return false;
}

struct str usual(struct arena *a, const char *client, const char *more)
{
	const struct { const char *name; struct str value; } USUAL[] = {
		{ "client_id", str_of(client) }, { "redirect_uri", str_fmt(a, "https%%3A%%2F%%2F%s.example%%2Fcb", client) },
		{ "response_type", S("code") }, { "scope", S("openid") }, { "state", S("s-1") },
	};
	struct str all = S("");
	for (size_t i = 0; i < sizeof USUAL / sizeof *USUAL; i++)
		if (!gives(more, USUAL[i].name))
			all = str_fmt(a, "%s%s%s=%s", all.p, all.n ? "&" : "", USUAL[i].name, USUAL[i].value.p);
	for (const char *p = more; *p; ) {
		size_t n = strcspn(p, "&");
		if (*p != '!')
			all = str_fmt(a, "%s%s%.*s", all.p, all.n ? "&" : "", (int)n, p);
		p += n + (p[n] == '&');
	}
	return all;
}

struct str request_of(struct arena *a, const char *client, const char *more) { return str_fmt(a, "/authorize?%s", usual(a, client, more).p); }
struct res *authorize(struct browser *b, const char *client, const char *more) { return visit(b, request_of(b->a, client, more)); }

void agrees(struct world *w, const char *client, const char *scopes)
{
	struct audit ev = audit_of(world_req(w), "consent.given");
	fine(store_consent_give(w->house.store, w->a, w->person_id, str_of(client), str_of(scopes), w->now, &ev));
}

/* ---- what the application hears ---- */

struct str within(struct arena *a, struct str url, const char *name)
{
	const char *q = url.n ? strchr(url.p, '?') : NULL;
	struct params l;
	if (!q)
		return S("");
	fine(params_read(a, str_of(q + 1), &l));
	return param_of(&l, name);
}

static bool is_post_page(const struct res *rs) { return rs->status == 200 && strstr(rs->body.p, "id=\"post\""); }

struct str heard(struct browser *b, const struct res *rs, const char *name)
{
	return is_post_page(rs) ? field(b, rs, name) : within(b->a, res_head(rs, "Location"), name);
}

bool to_app(const struct res *rs, const char *client)
{
	char want[128];
	if (is_post_page(rs)) {
		snprintf(want, sizeof want, "action=\"https://%s.example/cb\"", client);
		return strstr(rs->body.p, want) != NULL;
	}
	snprintf(want, sizeof want, "https://%s.example/cb?", client);
	return rs->status == 303 && str_starts(res_head(rs, "Location"), str_of(want));
}

struct str id_token_for(struct browser *b, const char *client, const struct res *rs)
{
	return told(b->w, redeem(b->w, client, heard(b, rs, "code")), "id_token");
}

json_t *tokens_for(struct browser *b, const char *client, const struct res *rs) { return claims_of(b->w, id_token_for(b, client, rs)); }
