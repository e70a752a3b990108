#pragma once
#include "oauth.h"

/* What is asked for on one device and decided on another: device authorization (RFC 8628) and CIBA. This is the half of both that the
 * token endpoint does; idp/login/device.c and idp/oauth/backchannel.c are where they part. */
struct decoupled_kind {
	struct str name;                     /* of store.h: "device", "ciba" */
	const char *grant_type, *parameter;
	/* May look whether the deciding side has answered, and decide by it (CIBA's phone); NULL: it decides by itself. */
	err (*settle)(struct req *rq, const struct client *c, const struct decoupled_row *d, bool *decided);
};

enum { POLL_INTERVAL = 5 };              /* seconds that a client is told to leave between two questions */

/* INVALID_GRANT, EXPIRED_TOKEN, AUTHORIZATION_PENDING, SLOW_DOWN, REFUSED_BY_PERSON; or its tokens, to one caller. */
err decoupled_tokens(struct req *rq, struct res *rs, const struct client *c, const struct decoupled_kind *kind);

/* Mints for a granted request and redeems it, once; with a first refresh token for who may have one. INVALID_GRANT, EXPIRED_TOKEN. */
err decoupled_redeem(struct req *rq, const struct decoupled_kind *kind, const struct decoupled_row *d, struct tokens *t);

/* UNAUTHORIZED_CLIENT unless the client is registered for the grant type. */
err decoupled_allowed(struct req *rq, const struct client *c, const struct decoupled_kind *kind);

/* ---- device authorization ---- */
extern const struct decoupled_kind DEVICE;

/* As it is typed: either case, with hyphens and spaces anywhere. False: no user code. */
bool user_code_read(struct arena *a, struct str typed, struct str *code);
struct str user_code_shown(struct arena *a, struct str code);                              /* BCDF-GHJK */
struct str user_code_handle(const struct house *, struct arena *a, struct str code);       /* of the row in the store */
