#pragma once
#include "house.h"
#include "interaction.h"

/* The person's session in this browser: a cookie whose hash the store knows. NULL when there is none that holds. */
err session_now(struct req *rq, struct session_row **out);
/* Fills the row of a session that begins now and gives its secret, always a new one (SEC-18). The caller writes the row (store_login);
 * only when it is written may the browser have the cookie. */
struct str session_begin(struct req *rq, struct session_row *row);
/* Ends it, for a reason that the trail is told. */
err session_end(struct req *rq, struct res *rs, const struct session_row *, struct str client_id, const char *why);
/* Ends all whose time is up. */
err sessions_expire(struct house *, struct arena *a, epoch now, size_t *ended);
void session_give(struct req *rq, struct res *rs, struct str secret);
void session_forget(struct req *rq, struct res *rs);                 /* the cookie only */
struct str session_cookie_hash(struct req *rq);                      /* "" when there is no cookie */
