#pragma once
#include "interaction.h"

extern const struct route LOGIN_ROUTES[], DEVICE_ROUTES[], SIM_ROUTES[], TOKEN_ROUTES[], TLS_ROUTES[];

/* The methods that this interaction may use: the configured ones whose level meets what the application asked for, or all when
 * none does and it was only a wish. In the configuration's order. */
struct strs login_methods(struct req *rq, const struct interaction *);
/* LOGIN_REFUSED for a method that is not among them, however its page was come to. */
err login_offered(struct req *rq, const struct interaction *, const char *method);

/* An interaction that a user code began (RFC 8628 section 3.3) ends with the device being told, and a page for the person. */
struct session_row;
err device_granted(struct req *rq, struct res *rs, const struct interaction *, const struct client *, const struct session_row *);
err device_denied(struct req *rq, struct res *rs, const struct interaction *);

/* The page that asks how to sign in. error: what went wrong before, a code that the words know (error_CODE), or NULL. */
err login_choose(struct req *rq, struct res *rs, const struct interaction *, const char *error);
