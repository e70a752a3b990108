#pragma once
#include "house.h"
#include "settings.h"
#include "t.h"

/* A whole provider in memory: its own store (SQLite in a folder of its own), short-lived values, keys, settings, and its own clock.
 * No sockets: ask() walks a request through the real parser and the real route table.
 *
 * Clients, all with redirect URI https://NAME.example/cb and scope "openid profile email phone address offline_access":
 *   portal  client_secret_basic, also client_credentials with scope docs:read docs:write; confidential, no PKCE required
 *   tax     client_secret_basic                  post    client_secret_post, ID tokens ES256
 *   bank    private_key_jwt (w->bank_key)        app     public, PKCE
 *   gate    self_signed_tls_client_auth, bound tokens (w->gate_cert)
 *   vault   client_secret_basic, registered for vn_number
 *   box     client_secret_basic, devices         tv      public, devices
 *   kiosk   client_secret_basic, devices, trusted (no consent)
 *   meter   as gate, devices
 *   api     client_secret_basic, a resource server: client_credentials only; tokens of portal are for it too
 * The secret of NAME is "NAME:secret/+ 42". */
struct world {
	struct arena *a;                     /* lives until the next world() */
	struct house house;
	struct settings conf;
	epoch now;
	struct str dir;
	struct str person_id, sid, cookie;   /* Nguyễn Văn An, signed in; cookie: "session=…" as a browser sends it */
	struct signer *bank_key;
	struct str gate_cert;                /* standard base64 of the DER */
};

struct world *world(void);                                       /* torn down by the next one, and at the end */
struct world *world_with_keys(size_t n);                         /* only the first n of RS256 ES256 PS256 EdDSA, made yesterday */
void world_client(struct world *w, const char *name, const char *method, const char *more);   /* one more; more: ",\"member\":…" */
void world_also(const struct route *table);                      /* further routes; before ask() */
void pass(struct world *w, epoch seconds);
void breaks_at(struct world *w, int nth);                        /* the store answers nth more times, then never; -1: always again */

/* headers: lines "Name: value\n". body: a form, or "". The answer lives in w->a. Safe from several threads when each has its own arena. */
struct res *ask(struct world *w, const char *method, const char *target, const char *headers, const char *body);
struct res *ask_in(struct world *w, struct arena *a, const char *method, const char *target, const char *headers, const char *body);
struct req *world_req(struct world *w);                          /* for calling handlers' helpers directly */

/* One more client, with secret_of(name); more: further metadata, each member after a comma. */
void one_with(struct world *w, const char *name, const char *method, const char *more);      /* the same without what is usual */
void one_more(struct world *w, const char *name, const char *more);

struct str as(struct world *w, const char *client);              /* its Authorization header line */
struct str secret_of(struct world *w, const char *client);
struct str enc(struct world *w, struct str s);                   /* percent-encoded, for bodies */
struct str signed_by(struct world *w, struct signer *s, const char *typ, const char *claims);

/* A code for the citizen, as the authorization endpoint would give it; challenge "" = no PKCE. */
struct str consent(struct world *w, const char *client, const char *scope, const char *challenge);
struct str consent_with(struct world *w, const char *client, const char *challenge, struct grant_row *g);
struct res *redeem(struct world *w, const char *client, struct str code);              /* by its secret, without PKCE */
struct res *refresh(struct world *w, const char *client, struct str token);

json_t *json_of(struct world *w, struct res *rs);                /* fails the test when it is no object */
struct str told(struct world *w, struct res *rs, const char *member);
json_t *claims_of(struct world *w, struct str token);            /* unverified */
struct str res_head(const struct res *rs, const char *name);
size_t audits(struct world *w, const char *event, const char *outcome);

#define is_status(rs, want) do { struct res *r_ = (rs); if (r_->status != (want)) fail_msg("wanted %d, got %d %s", (want), r_->status, r_->body.p); } while (0)
#define is_tokens(w, rs)    do { struct res *r_ = (rs); if (r_->status != 200 || !told(w, r_, "access_token").n) fail_msg("no tokens: %d %s", r_->status, r_->body.p); } while (0)
#define is_fault(rs, want)  do { struct res *r_ = (rs); \
	if (r_->status != (want).status || !strstr(r_->body.p, str_quoted((want).code))) fail_msg("wanted %d %s, got %d %s", (want).status, (want).code, r_->status, r_->body.p); } while (0)
const char *str_quoted(const char *code);

#define VERIFIER "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"   /* RFC 7636 appendix B */
#define CHALLENGE "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
