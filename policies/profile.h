#pragma once
#include "err.h"
#include "str.h"

/* What a client may do, by the dated name of the profile that it is registered with. The checks read this table and discovery
 * is printed from it, so that what is published is what is enforced. A row is never edited once it has been released: what
 * should change gets a new date. */
enum assertion_audience {
	AUDIENCE_ISSUER_OR_ENDPOINT,         /* RFC 7523 section 3: the issuer, or the URL of the endpoint */
	AUDIENCE_ISSUER,                     /* FAPI 2.0 section 5.3.2.1: the issuer alone, as a string */
};

struct profile {
	struct str name;
	/* words */
	struct str auth_methods, grant_types, response_types, response_modes;
	struct str id_token_algs;            /* what ID tokens, userinfo and introspection answers may be signed with */
	struct str assertion_algs, dpop_algs;
	struct str request_algs;             /* of request objects */
	/* client assertions: RFC 7523 */
	enum assertion_audience audience;
	int64_t assertion_lives;             /* seconds that exp may be ahead */
	int64_t skew;                        /* seconds that clocks may differ */
	/* */
	bool pkce;                           /* of every client; always of public ones */
	bool par;                            /* no authorization request but a pushed one: RFC 9126 */
	bool signed_requests;                /* no authorization request but a signed one: RFC 9101 */
	bool strict_requests;                /* a signed one has nbf and exp, and what stands beside it counts for nothing */
	bool signed_backchannel;             /* no backchannel authentication request but a signed one: FAPI-CIBA section 5.2.2 */
	bool rotate_refresh;
	bool bound_tokens;                   /* access tokens must be bound, to the client's certificate or to a key by DPoP */
	bool dpop_nonce;                     /* a DPoP proof must carry a nonce of ours */
};
extern const struct profile PROFILES[];              /* ends with an empty name; the first is for clients that name none */
const struct profile *profile_of(struct str name);   /* "" = the first; NULL: no such */

/* Every word of one column over all profiles, once: what discovery says. */
struct strs profiles_words(struct arena *a, size_t column);
