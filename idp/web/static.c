#include "pages.h"
#include "template.h"
#include "house.h"

static err give(struct req *rq, struct res *rs, const struct static_file *f, struct str caching)
{
	rs->status = 200;
	rs->type = str_of(f->type);
	rs->body = (struct str){ f->data, f->n };
	res_header(rq, rs, "Cache-Control", caching);
	/* an SVG opened by itself is a document of our origin */
	res_header(rq, rs, "Content-Security-Policy", S("default-src 'none'; frame-ancestors 'none'"));
	return OK;
}

struct str static_url(const char *name)
{
	for (size_t i = 0; i < STATICS_N; i++)
		if (strcmp(STATICS[i].name, name) == 0)
			return str_of(STATICS[i].url);
	return S("");
}

/* The hash is in the name, so what is behind a name never changes. */
static err file_get(struct req *rq, struct res *rs)
{
	for (size_t i = 0; i < STATICS_N; i++)
		if (str_is(rq->path, STATICS[i].url))
			return give(rq, rs, &STATICS[i], S("public, max-age=31536000, immutable"));
	return fault(rq->a, &NOT_FOUND, "no static file " STR_FMT, STR_ARG(rq->path));
}

static err icon_get(struct req *rq, struct res *rs)
{
	for (size_t i = 0; i < STATICS_N; i++)
		if (strcmp(STATICS[i].name, "emblem.svg") == 0)
			return give(rq, rs, &STATICS[i], S("public, max-age=86400"));
	return fault(rq->a, &NOT_FOUND, "no emblem");
}

/* Changes nothing but the words, so a plain link does; a foreign page could at most change somebody's language. */
static err lang_get(struct req *rq, struct res *rs)
{
	struct str to = query(rq, "to");
	if (!str_is(to, "vi") && !str_is(to, "en"))
		return fault(rq->a, &INVALID_REQUEST, "language " STR_FMT, STR_ARG(to));
	/* no __Host- cookie: it is nobody's secret, and the door reads it by this name before it knows the house */
	res_header(rq, rs, "Set-Cookie", str_fmt(rq->a, "lang=" STR_FMT "; Max-Age=31536000; Path=/; HttpOnly; SameSite=Lax%s", STR_ARG(to),
		rq->house->secure ? "; Secure" : ""));
	res_redirect(rq, rs, path_safe(query(rq, "back")));
	return OK;
}

const struct route WEB_ROUTES[] = {
	{ "GET", "/static/*", file_get, FAULTS_PAGE, INLINE },
	{ "GET", "/favicon.ico", icon_get, FAULTS_PAGE, INLINE },
	{ "GET", "/lang", lang_get, FAULTS_PAGE, INLINE },
	{ 0 },
};
