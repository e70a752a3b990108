#pragma once
#include "browser.h"
#include "mint.h"

/* What stands around the provider: an authority with its status responder, a mobile operator with its phones, and people. All of it
 * answers in this process, on free ports of 127.0.0.1. */
struct town {
	struct world *w;
	struct arena *a;
	struct minted *root, *ca;            /* both are believed, for everything; the leaf's issuer is ca */
	struct minted *an, *binh;            /* 001099000001 Nguyễn Văn An, 001199000002 Trần Thị Bình */
};
#define AN "001099000001"
#define BINH "001199000002"

struct town *town(void);                                         /* with a world of its own; torn down by the next one */
struct minted *citizen(struct town *t, const struct minted *ca, const char *number, const char *name, const struct mint_wish *more);
void trusts(struct town *t, const struct minted *ca, const char *kind, const char *purposes, const char *more);   /* more: JSON members */

/* ---- the responder: good for everybody, unless told otherwise ---- */
enum says { SAYS_GOOD, SAYS_REVOKED, SAYS_UNKNOWN, SAYS_NOTHING, SAYS_503, SAYS_RUBBISH, SAYS_FOR_ANOTHER };
void responder_says(struct town *t, const struct minted *leaf, enum says what);
int responder_asked(struct town *t);

/* ---- signing in by token ---- */
struct str token_of(struct browser *b, const struct minted *leaf, struct str nonce);             /* percent-encoded, over our origin */
struct str token_for(struct browser *b, const struct minted *leaf, const char *origin, struct str nonce);
struct res *present(struct browser *b, const struct res *page, struct str token);                /* POST /login/token */
/* From a page or redirect that asks for a login, by this certificate, up to where that ends. */
struct res *sign_in(struct browser *b, struct res *rs, const struct minted *leaf);

/* ---- the operator: its subscribers, and what their phones do. It is asked synchronously and answers when the phone has. ---- */
struct push { struct str msisdn, display, code; struct bytes hash; int nth; };
int pushes(struct town *t);                                      /* how often it was asked */
struct push *push(struct town *t, int nth);                      /* waits until it was asked that often; 1 is the first */
void phone_signs(struct town *t, struct push *p, const struct minted *leaf);
void phone_signs_this(struct town *t, struct push *p, const struct minted *leaf, struct bytes hash);
void phone_says(struct town *t, struct push *p, const char *code);                               /* a status code of TS 102 204 */
void operator_breaks(struct town *t, struct push *p);            /* hangs up */
void answered(struct town *t, struct push *p);                   /* waits until the provider knows */
