#pragma once
#include "town.h"

/* Applications of the FAPI 2.0 profiles, as the tests of those plans see them: two with keys and certificates of their own, that push. */
struct firm {
	const char *id;
	struct signer *key;
	const char *cert;                    /* header line of its connections; "" = none */
};

/* Registered with redirect URI https://ID.example/cb, tokens bound to its certificate; agreed to by the world's citizen. */
struct firm firm(struct world *w, const char *id, const char *profile, const char *alg, const char *more);
struct signer *key_of(struct world *w, const char *alg, const char *kid);       /* lives as long as the world */

struct str assertion_of(struct browser *b, const struct firm *f);               /* &client_assertion…=… */
/* POST /par with exactly this form, or with the usual parameters and PKCE. */
struct res *pushes_form(struct browser *b, const struct firm *f, const char *form);
struct res *pushes_usual(struct browser *b, const struct firm *f, const char *more);
/* A request object with these claims: what is missing of iss, aud, nbf, exp and the usual parameters is added, unless !named. */
struct str object_of(struct browser *b, const struct firm *f, const char *typ, const char *claims);
struct res *pushes_object(struct browser *b, const struct firm *f, struct str object);

struct str request_uri_of(struct browser *b, struct res *rs);                   /* fails the test unless it was taken */
struct res *comes_with(struct browser *b, const char *client, struct str uri);  /* to /authorize, by the person's browser */
struct res *redeems(struct browser *b, const struct firm *f, struct str code, const char *more);

/* The page that says a request_uri is over. */
#define is_over(b, rs) do { struct res *over_ = (rs); is_page(over_, 400); \
	if (!strstr(over_->body.p, "Yêu cầu đã hết hiệu lực")) fail_msg("%.800s", over_->body.p); } while (0)
