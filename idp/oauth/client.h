#pragma once
#include "house.h"
#include "json.h"
#include "key.h"

/* How an answer is made for a client: the JWS alg that it is signed with, then the JWE alg and enc that it is encrypted with; "" = it is not. */
struct envelope { struct str sign, alg, enc; };

/* A registered application, parsed once from its stored metadata (RFC 7591 section 2 names, JSON) and then only read. Reference-counted
 * behind the cache; what client_find gives lives as long as the request. */
#define CIBA_MODES S("poll ping push")        /* backchannel_token_delivery_modes_supported */

struct client {
	struct str id, name, client_uri, logo_uri, tos_uri, policy_uri;
	struct str backchannel_logout_uri, frontchannel_logout_uri;   /* "" when it does not want to be told */
	bool backchannel_session, frontchannel_session;      /* *_logout_session_required: sid is always told */
	struct strs redirect_uris, post_logout_redirect_uris, grant_types, response_types;
	struct str scope;                    /* what it may ask for, words */
	struct str auth_method;              /* token_endpoint_auth_method: client_secret_basic client_secret_post private_key_jwt
	                                        tls_client_auth self_signed_tls_client_auth none */
	struct str secret_hash;              /* hash_of(secret); "" when it has none */
	struct str tls_subject_dn;           /* tls_client_auth_subject_dn, RFC 4514 */
	struct key_set jwks;                 /* whoever needs a key of theirs asks client_keys (remote.h) */
	struct str jwks_uri;                 /* where they are published instead; or "" */
	struct envelope id_token, userinfo, introspection; /* ID tokens and introspection answers: RS256 unless registered otherwise */
	struct envelope authorization;       /* authorization_signed_response_alg, JARM section 3: RS256, or what ID tokens are signed by */
	struct str request_alg;              /* request_object_signing_alg; "" = any that the profile has */
	struct strs request_uris;
	bool require_signed;                 /* require_signed_request_object, RFC 9101 section 10.5 */
	struct str subject_type;             /* "pairwise" or "public" */
	struct str ciba_mode, ciba_endpoint; /* backchannel_token_delivery_mode: poll, ping or push; where it is told */
	struct str ciba_request_alg;         /* its backchannel requests are signed with; "" = not signed */
	struct str sector;                   /* host that pairwise subjects are made for */
	struct str default_acr_values;       /* words; what it wishes for when the request names none */
	struct str minimum_acr;              /* what each of its sign-ins must reach, whatever the request says; or "" */
	struct str userinfo_acr;             /* RFC 9470: what its token must have reached at /userinfo; or "" */
	struct str profile;                  /* policies/profile.h: "oidc-basic-2026", … */
	bool ciba_user_code;                 /* never true: not offered */
	bool require_pkce;                   /* always for public clients */
	bool require_par;                    /* require_pushed_authorization_requests, RFC 9126 section 6 */
	bool trusted;                        /* the operator's own: no consent page */
	bool cert_bound_tokens;              /* tls_client_certificate_bound_access_tokens, RFC 8705 section 3 */
	bool dpop_bound_tokens;              /* dpop_bound_access_tokens, RFC 9449 section 5.2 */
	bool dpop_nonce;                     /* its proofs must carry a nonce of ours; also by [tokens] dpop_nonce, or its profile */
	bool rotate_refresh;
	bool require_auth_time;              /* OpenID Connect Registration section 2 */
	struct strs resources;               /* where it is, as a resource server: what tokens for it may name (RFC 8707); ours: "resources" */
	struct strs detail_types;            /* authorization_details_types, RFC 9396 section 10 */
	struct strs audiences;               /* ids of the resource servers that its access tokens are also for; ours: "audiences" */
	struct str sector_identifier_uri, initiate_login_uri;
	const struct profile *rules;         /* the row that `profile` names */
	const char *wrong;                   /* when it could not be parsed: the member that is at fault, or NULL */
	bool beyond_profile;                 /* the same: because the profile does not have it */
};

/* NULL when there is no such client or it is disabled. Kept for at most client_cache seconds, so that a change elsewhere is seen. */
err client_find(struct req *rq, struct str id, const struct client **out);
/* From stored metadata; BAD_CONFIG with what is wrong. Also used by `motid client add` before it stores. */
err client_parse(struct arena *a, struct str id, struct str metadata, struct client *out);
/* What an application may say of itself (RFC 7591): of what it said, the members that are understood and not the operator's to decide.
 * The rest is ignored, as section 2 wants it. */
json_t *client_said(struct arena *a, const json_t *asked);
/* The operator's members of stored metadata, but for the secret's hash. */
json_t *client_ours(struct arena *a, const json_t *stored);
/* What was registered, each with the value that holds, also where it was not said; nothing that is the operator's. */
void client_tell(const struct client *, const json_t *stored, struct jw *w);
/* Forgets the cached one: after a change made by this process. */
void client_forget(struct clients *, struct str id);
err clients_new(struct arena *a, struct clients **out);
void clients_free(struct clients *);
