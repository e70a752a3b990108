#pragma once
#include "err.h"
#include "str.h"
#include "json.h"

/* A request and a response are plain values: a test builds them without a socket. */
struct param { struct str name, value; };
struct params { struct param *v; size_t n; };

struct house;          /* what the whole provider shares: idp/house.h */
struct route;
struct template;       /* a compiled page: idp/web */

enum { USED_MOST = 64 };

struct req {
	struct arena *a;
	struct house *house;
	const struct route *route;
	epoch now;                               /* read once, at the door */
	int64_t now_ms;
	struct str id;                           /* of this request; in the log, the audit and on error pages */
	struct str method, path, target;         /* path: decoded, before '?'; target: as it came */
	struct str tail;                         /* what a route ending in '*' left over */
	struct str peer;                         /* the client's address, from the socket or the trusted proxy */
	struct str client_cert;                  /* RFC 9440 Client-Cert from the trusted proxy: standard base64 DER, or "" */
	struct params headers;                   /* names in lower case */
	struct params query, form, cookies;      /* decoded; a name never comes twice */
	struct str body;                         /* raw; form is read from it when it is a form */
	struct str lang;                         /* "vi" or "en" */
	void *wake;                              /* for whoever parks the request (house_park) */
	char *used;                              /* USED_MOST bytes that outlive a parking: what this request has used up already; or NULL */
	bool parked_before;                      /* this is a second run of the handler: what it waited for has come */
	/* what the answer carries, whatever becomes of the request; set by who learns it on the way */
	struct str dpop_nonce;                   /* the header DPoP-Nonce: RFC 9449 section 8 */
	struct str dpop_algs;                    /* this resource takes DPoP besides Bearer, by these: its challenges say so (section 7.1) */
	struct str challenge;                    /* further parameters of the challenge: ', max_age="60"' (RFC 9470 section 3) */
};

struct res {
	int status;
	struct str type, body;
	struct params headers;                   /* added by res_header */
	struct str form_action;                  /* further origins for Content-Security-Policy form-action, space-separated */
	struct str images;                       /* the same for img-src: where the application's logo is, scheme://host[:port], or "" */
	struct str frames;                       /* origins for frame-src, space-separated: none unless said */
	struct str connect;                      /* the same for connect-src: the token helper on the person's computer */
};

typedef err handler(struct req *rq, struct res *rs);

/* How a fault on this route becomes an answer: by the route, not by the thrower. */
enum faults {
	FAULTS_JSON,       /* {"error","error_description"}: RFC 6749 section 5.2; 401 with WWW-Authenticate Basic when that was tried */
	FAULTS_BEARER,     /* WWW-Authenticate: Bearer (RFC 6750 section 3), JSON body */
	FAULTS_PAGE,       /* a page in the person's language */
};

/* CORS_ANY: any site's script may read the answer (it carries nothing of a browser's cookies). CORS_CLIENTS: the same, but
 * only for an Origin that is https or loopback, which is named in the answer. NEEDS_SAME_SITE: FORBIDDEN when Origin or
 * Sec-Fetch-Site say that the request came from elsewhere. INLINE: the handler never waits for anything (no store, no
 * eph, no lock that is held for long): it runs on the HTTP thread itself, without the way through a worker. */
enum { CORS_ANY = 1, CORS_CLIENTS = 2, NEEDS_SAME_SITE = 4, INLINE = 8 };

struct route {
	const char *method;                      /* GET also answers HEAD */
	const char *path;                        /* exact, or ending in '*' */
	handler *handle;
	enum faults faults;
	unsigned flags;
};
/* Tables end with a zero row; main.c lists them. */

/* The value of a form field, query parameter, header (name in lower case) or cookie; "" when it is not there. */
struct str form(const struct req *rq, const char *name);
struct str query(const struct req *rq, const char *name);
struct str header(const struct req *rq, const char *name);
struct str cookie(const struct req *rq, const char *name);
struct str param_of(const struct params *l, const char *name);
struct strs params_all(struct arena *a, const struct params *l, const char *name);   /* every one, of a name that may come again */
bool param_there(const struct params *l, const char *name);

void res_header(struct req *rq, struct res *rs, const char *name, struct str value);
void res_json(struct res *rs, int status, struct str json);       /* what is application/… is never stored, unless a Cache-Control says so */
void res_redirect(struct req *rq, struct res *rs, struct str url);/* 303 See Other */
struct str url_with(struct arena *a, struct str url, const struct param *add, size_t n); /* adds percent-encoded query parameters */

/* Cookies of ours: __Host- when the issuer is https; HttpOnly, SameSite=Lax, Path=/. seconds 0 deletes, -1 = until the browser closes. */
void res_cookie(struct req *rq, struct res *rs, const char *name, struct str value, int64_t seconds);
struct str house_cookie(const struct req *rq, const char *name);

/* Reads name=value&name=value. Refuses a doubled name, broken encoding, more than 64 fields, a value over 8 KiB
 * (16 KiB for the few that carry JWTs). RFC 6749 section 3.1: parameters MUST NOT be included more than once; RFC 8707 section 2:
 * but `resource`, here eight times at most. */
err params_read(struct arena *a, struct str text, struct params *out);
err cookies_read(struct arena *a, struct str header, struct params *out);

/* A page from a compiled template (idp/web/NAME.html) and its data; words come from idp/web/words.{vi,en}. Sets the
 * security headers. Errors only when the page outgrows its limit. */
err page(struct req *rq, struct res *rs, int status, const struct template *t, json_t *data);

/* The page that a FAULTS_PAGE route answers with (idp/web implements it). It sets status, type, body and headers. */
err page_fault(struct req *rq, struct res *rs, const struct err_kind *kind);

/* Every form of ours carries it, in a field called FORM_TOKEN: HMAC over the browser's interaction or session cookie. FORBIDDEN when it does not match
 * or when Sec-Fetch-Site / Origin say that the form came from elsewhere. */
#define FORM_TOKEN "csrf"
struct str form_token(const struct req *rq, struct str bound_to);
err form_check(const struct req *rq, struct str bound_to);

/* Walks the tables, runs the handler, turns a fault into an answer, and logs one line. Returns false when the handler
 * parked the request: rs is not filled, and it is served again from the start when it is woken. */
bool serve(const struct route *const *tables, struct req *rq, struct res *rs);
