#pragma once
#include "http.h"

/* Between mhd.c and the rest of the room: what came in, whether it may come in, and how it becomes a struct req. */

enum { MAX_HEADERS = 100, MAX_HEADER_BYTES = 16 * 1024, MAX_BODY = 64 * 1024 };

/* A request as the parser saw it, before anything of it is believed. When `in_place` is set, url and all texts point into
 * the buffer that the parser read into and cut up, and the bytes between them are looked at too. */
struct raw {
	struct str method, target, version;
	const char *url;                     /* where target stands in the parser's buffer; only when in_place */
	size_t head_n;                       /* bytes from the method to the end of the empty line; only when in_place */
	const struct param *headers;
	size_t n;
	struct str origin;                   /* ours: the only one an absolute-form target may name */
	bool in_place;
};

/* status 0: come in. Else the answer's status, and why for the log; the connection is closed after it. */
struct verdict { int status; const char *why; };
struct verdict guard(const struct raw *raw);
int64_t guard_length(const struct raw *raw);   /* Content-Length of a request that guard let in; 0 when there is none */

/* Fills method, target, path, headers, peer and client_cert; then query, cookies and form, which may be refused. What is
 * kept is copied into rq->a. `proxy`: the listener belongs to a proxy of ours, whose word is taken. */
err request_head(struct req *rq, const struct raw *raw, struct str socket_peer, bool proxy);
err request_fields(struct req *rq, struct str body);
struct str language_of(const struct req *rq);

/* The route of a request and what its path's '*' left over. NULL with `allow` set: the path is known, the method is not. */
const struct route *route_of(const struct route *const *tables, struct req *rq, struct str *allow);
/* Answers e as the request's route does, and logs it. */
void serve_fault(const struct route *const *tables, struct req *rq, struct res *rs, err e);
bool origin_is_ours(const struct req *rq);
