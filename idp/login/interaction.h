#pragma once
#include "house.h"
#include "client.h"

/* One sign-in under way: what the application asked for, and how far the person has come. Lives in the short-lived store,
 * sealed; belongs to the browser whose cookie began it. Every page of a sign-in carries its id. */
struct interaction {
	struct str id;
	bool kept;                           /* read from the short-lived store, and not begun by this request */
	struct str browser;                  /* hash of the browser's cookie; "" until the first page of ours */
	/* the authorization request, checked; client_id "" = our own account page */
	struct str client_id, redirect_uri, response_mode, state, nonce, scope, challenge, confirm, acr_values, acr_floor, prompt, login_hint, claims, hint_sub;
	struct str pushed;                   /* RFC 9126: the id in its request_uri, or "" */
	struct str user_code;                /* RFC 8628: of the device that waits, which is told in the application's place; "" */
	struct str resources, details;       /* as in struct grant_row: RFC 8707, RFC 9396 */
	int64_t max_age;                     /* -1: not asked for */
	bool acr_essential;
	epoch created_at;
	/* what happened since */
	epoch login_at;                      /* the person signed in within this interaction */
	struct str consented;                /* sid of the session in which the person agreed; "" */
	struct str nonce_token;              /* USB token: the challenge that is open, or "" */
	struct sim {                         /* SIM: the request that is open */
		struct str txn, msisdn, number, hash, code; /* hash: base64url of what is signed */
		epoch sent_at, deadline;
	} sim;
};

struct str interaction_id(struct arena *a);
/* Keeps it for settings interaction_lives from its creation. TOO_MANY_REQUESTS when it is a new one and its address has begun more, or
 * larger ones, than one address needs: they cost a stranger nothing, and the store has an end. */
err interaction_put(struct req *rq, const struct interaction *);
/* That limit by itself, for what a stranger may leave with us otherwise. */
err begun_count(struct req *rq, size_t size);
/* A checked request that no browser has begun, under a kind and an id of its own: NULL when it is not there (any more). */
err request_put(struct req *rq, const char *kind, struct str id, const struct interaction *, int64_t seconds);
err request_get(struct req *rq, const char *kind, struct str id, struct interaction **out);
/* The one that the request's `i` names, begun in this browser. INTERACTION_GONE when it is over, of another browser, or of none. */
err interaction_get(struct req *rq, struct interaction **out);
/* The same, or one that no browser has taken up: such a one is good for nothing but to be answered or bound. */
err interaction_resume(struct req *rq, struct interaction **out);
/* As interaction_resume, for whoever ends it: to exactly one caller. */
err interaction_take(struct req *rq, struct interaction **out);
/* The same, and the form came from one of our own pages (form_check). _with: other short-lived values are asked for in the same journey,
 * whatever becomes of the interaction. */
err interaction_post(struct req *rq, struct interaction **out);
err interaction_post_with(struct req *rq, struct eph_op *more, size_t n, struct interaction **out);
struct str interaction_named(const struct req *rq);                  /* what the request's `i` says, whatever that is */
/* Marks the browser by a cookie, unless it is marked, and binds the interaction to it. */
void interaction_bind(struct req *rq, struct res *rs, struct interaction *);

/* The members that every page of a sign-in has: client, action, csrf, i, cancel, provider. Also lets the forms of the page end
 * at the application (Content-Security-Policy form-action covers redirects). */
err interaction_page(struct req *rq, struct res *rs, const struct interaction *, const char *action, json_t **data);
struct str interaction_url(struct req *rq, const struct interaction *, const char *path);   /* path?i=… */
struct str url_origin(struct arena *a, struct str url);              /* scheme://host[:port]; "" for what is no URL */
