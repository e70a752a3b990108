#pragma once
#include "world.h"

/* A browser in the world: it keeps its cookies, reads forms off pages, and goes on wherever it is sent within our host. */
struct browser { struct world *w; struct arena *a; struct params jar; struct str peer, at; const char *more; };

struct browser *browser(struct world *w);
/* One for a thread of its own: nothing of it is the world's. */
struct browser *browser_in(struct arena *a, struct world *w);
void is_signed_in(struct browser *b);                            /* carries the world's session */
struct browser *twin(const struct browser *b, struct arena *a);  /* the same cookies, from now on its own */
struct str cookie_in(const struct browser *b, const char *name); /* without __Host-; "" when there is none */
void forget(struct browser *b, const char *name);

/* One request and its answer; b->at is where it went. Header lines of b->more go along. */
struct res *go(struct browser *b, const char *method, struct str target, const char *body);
struct res *get(struct browser *b, struct str target);
struct res *follow(struct browser *b, struct res *rs);           /* while it is sent on within our host */
struct res *visit(struct browser *b, struct str target);         /* follow(get()) */

/* A page of ours: its hidden fields, and its form sent with `more` ("decision=allow"). */
struct str field(struct browser *b, const struct res *page, const char *name);
struct str data_of(struct browser *b, const struct res *page, const char *name);   /* data-NAME */
struct res *submit(struct browser *b, const struct res *page, const char *action, const char *more);

/* An authorization request of a client: the usual parameters, but those that `more` gives ("scope=openid%20email&max_age=0") or
 * leaves out ("!state"). */
struct str request_of(struct arena *a, const char *client, const char *more);
struct str usual(struct arena *a, const char *client, const char *more);           /* its query alone */
struct res *authorize(struct browser *b, const char *client, const char *more);    /* visit */
void agrees(struct world *w, const char *client, const char *scopes);              /* the world's citizen allowed it before */

/* What an answer tells the application: in the query of its redirect, or in the fields of a form_post page. */
struct str heard(struct browser *b, const struct res *rs, const char *name);
bool to_app(const struct res *rs, const char *client);
struct str within(struct arena *a, struct str url, const char *name);              /* a parameter of a URL */
json_t *tokens_for(struct browser *b, const char *client, const struct res *rs);   /* redeems the code: claims of the ID token */
struct str id_token_for(struct browser *b, const char *client, const struct res *rs);

#define is_page(rs, want) do { struct res *r_ = (rs); if (r_->status != (want) || res_head(r_, "Location").n || !strstr(r_->body.p, "<html")) \
	fail_msg("wanted a page of ours with %d, got %d %s %.300s", (want), r_->status, res_head(r_, "Location").p, r_->body.p); } while (0)
#define is_at(b, rs, path) do { struct res *r_ = (rs); if (!str_starts((b)->at, S(path)) || r_->status != 200) \
	fail_msg("wanted %s, is at %s with %d %s", path, (b)->at.p, r_->status, res_head(r_, "Location").p); } while (0)
#define is_code(b, rs, client) do { struct res *r_ = (rs); if (!to_app(r_, client) || heard(b, r_, "code").n != 43 || heard(b, r_, "error").n || \
	!str_is(heard(b, r_, "iss"), "https://id.example")) fail_msg("no code: %d %s %.300s", r_->status, res_head(r_, "Location").p, r_->body.p); } while (0)
#define is_refused(b, rs, client, want) do { struct res *r_ = (rs); if (!to_app(r_, client) || heard(b, r_, "code").n || \
	!str_is(heard(b, r_, "error"), want) || !str_is(heard(b, r_, "iss"), "https://id.example") || !str_is(heard(b, r_, "state"), "s-1")) \
	fail_msg("wanted %s, got %d %s %.300s", want, r_->status, res_head(r_, "Location").p, r_->body.p); } while (0)
