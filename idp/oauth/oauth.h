#pragma once
#include "access.h"
#include "client.h"

/* What the endpoints of this room share, and what the authorization endpoint needs of it. */

/* ---- proof key for code exchange: RFC 7636, S256 only ---- */
bool pkce_challenge_valid(struct str challenge);      /* 43 base64url characters that spell 32 bytes */
/* INVALID_GRANT unless the verifier is the one; also when there is a verifier without a challenge (RFC 9700 section 4.8.2). */
err pkce_verify(struct arena *a, struct str challenge, struct str verifier);

/* ---- who asks ---- */
/* The client that proved itself by the one method that it is registered for; a public one by its name alone. INVALID_CLIENT, or
 * INVALID_REQUEST for two methods at once. */
err client_authenticate(struct req *rq, const struct client **out);

/* ---- what a token can be bound to: "x5t#S256:…" a certificate, "jkt:…" a key, "" nothing (RFC 7800 section 3.1) ---- */
/* The certificate of this connection; "" when there is none (RFC 8705 section 3.1). */
struct str confirm_of(struct req *rq);
/* The key whose proof came with this request, "" when none came (RFC 9449). token: the access token that it came with at a resource, else
 * "". INVALID_DPOP_PROOF; USE_DPOP_NONCE when c must show one of our nonces and did not: the answer then carries one. */
err dpop_read(struct req *rq, const struct client *c, struct str token, struct str *confirm);
/* At a pushed authorization request: what its code will be bound to, by a proof, by the parameter dpop_jkt, or by both alike; or "". */
err dpop_at_request(struct req *rq, const struct client *c, struct str dpop_jkt, struct str *confirm);
bool confirm_is_jkt(struct str confirm);
void confirm_write(struct jw *w, struct str confirm); /* {"cnf":{…}}, or nothing */

/* What of the asked scope this client may be granted: RFC 6749 section 3.3; OpenID Connect Core section 3.1.2.1: "Scope values used that are
 * not understood by an implementation SHOULD be ignored". INVALID_SCOPE when nothing is left. */
err scope_grantable(struct arena *a, const struct client *client, struct str asked, struct str *granted);

/* ---- codes ---- */
/* Makes the grant's id and a code for it, and stores both with the audit event: when it returns OK the code may leave. asked: what must
 * come again with the code: redirect_uri, challenge, confirm. */
err code_issue(struct req *rq, const struct client *client, struct grant_row *grant, const struct code_row *asked, struct str *code);

/* ---- what tokens are for ---- */
/* The `resource` parameters of a request: of what the client is registered for, and of what was granted, words; none asked = all that was granted,
 * "" = all that it is registered for. INVALID_TARGET. */
err resources_read(struct req *rq, const struct client *, const struct params *, struct str granted, struct str *out);
/* policies/details.h, with the kinds of this house and client. */
err details_read(struct req *rq, const struct client *, struct str text, struct str *out);

/* ---- tokens ---- */
/* What one answer of the token endpoint gives. Minted first, then committed by the store together with its audit row, then
 * answered: a signer that fails spends nothing, and nothing leaves that has no row. */
struct exchanged;
struct tokens {
	const struct client *client;
	const struct grant_row *grant;       /* for client_credentials one without id, person and session */
	struct str scope;                    /* of the access token */
	struct str confirm;                  /* what it is bound to, or "" */
	struct str refresh;                  /* to be given with it, or "" */
	bool first;                          /* from the code: the ID token carries the nonce */
	struct str resources, details;       /* as in struct grant_row, of the access token: filled by tokens_narrow */
	epoch expires;                       /* of the access token; 0: as it is configured, filled by tokens_mint */
	const struct exchanged *exchanged;   /* NULL but for an exchanged one */
	struct str auth_req_id;              /* of a request whose tokens are pushed, or "": CIBA Core section 10.3.1 */
	struct str jti, access, id_token;    /* made by tokens_mint */
};
/* What an exchanged token has besides (RFC 8693): whom it is for, who acts for its subject, what it came from (as in struct access), and the
 * type that it is called by. */
struct exchanged { struct strs audience, via; struct str act, may_act, type; };
/* `resource` and `authorization_details` of a token request: of what the grant has. INVALID_TARGET, INVALID_AUTHORIZATION_DETAILS. */
err tokens_narrow(struct req *rq, struct tokens *t);
err tokens_mint(struct req *rq, struct tokens *t);
struct audit tokens_audit(struct req *rq, const struct tokens *t, const char *grant_type);
err tokens_answer(struct req *rq, struct res *rs, const struct tokens *t);
/* What the tokens of this answer are bound to: the one place where that is decided, for every grant type. INVALID_REQUEST or
 * INVALID_DPOP_PROOF when they must be bound and there is nothing to bind them to, or by two things at once. */
err tokens_bind(struct req *rq, const struct client *client, struct str *confirm);

/* CIBA in push mode: a thread of ours that sends what nobody asks for (idp/oauth/push.c). */
err pushes_new(struct house *, struct arena *a, struct pushes **out);
void pushes_free(struct pushes *);

typedef err grant_type(struct req *rq, struct res *rs, const struct client *client);
grant_type grant_code, grant_refresh, grant_client, grant_exchange;
grant_type grant_device, grant_ciba;
const struct str *grant_type_names(void);             /* of the table that the token endpoint reads; ends with an empty one */

/* Ends everything that came of a grant, because one of its secrets came twice; the error that the caller then returns. */
err grant_betrayed(struct req *rq, const struct grant_row *grant, const char *what);

/* Fetches what an exchange will need of others, before anything that is good once is spent: PARKED, or nothing. */
err exchange_fetch(struct req *rq);

handler ep_token, ep_introspect, ep_revoke, ep_device_authorization;
extern const struct route OAUTH_ROUTES[], REGISTER_ROUTES[], CIBA_ROUTES[];
