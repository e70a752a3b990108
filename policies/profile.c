#include "profile.h"

#define TOKEN_EXCHANGE "urn:ietf:params:oauth:grant-type:token-exchange"
#define DEVICE "urn:ietf:params:oauth:grant-type:device_code"
#define CIBA "urn:openid:params:grant-type:ciba"

const struct profile PROFILES[] = {
	{
		/* OpenID Connect Core 1.0 with RFC 9700: what an ordinary web application speaks */
		.name = S("oidc-basic-2026"),
		.auth_methods = S("client_secret_basic client_secret_post private_key_jwt tls_client_auth self_signed_tls_client_auth none"),
		.grant_types = S("authorization_code refresh_token client_credentials " TOKEN_EXCHANGE " " DEVICE " " CIBA),
		.response_types = S("code"),
		.response_modes = S("query form_post jwt query.jwt form_post.jwt"),
		.id_token_algs = S("RS256 PS256 ES256 EdDSA"),
		.assertion_algs = S("RS256 PS256 ES256 EdDSA Ed25519"),
		.dpop_algs = S("ES256 PS256 EdDSA Ed25519"),
		.request_algs = S("RS256 PS256 ES256 EdDSA Ed25519"),
		.audience = AUDIENCE_ISSUER_OR_ENDPOINT,
		.assertion_lives = 300,
		.skew = 30,
		.rotate_refresh = true,
	},
	{
		/* OAuth 2.1 for public and native applications: PKCE from everyone */
		.name = S("oauth-2.1-2026"),
		.auth_methods = S("client_secret_basic private_key_jwt tls_client_auth self_signed_tls_client_auth none"),
		.grant_types = S("authorization_code refresh_token client_credentials " TOKEN_EXCHANGE " " DEVICE " " CIBA),
		.response_types = S("code"),
		.response_modes = S("query form_post jwt query.jwt form_post.jwt"),
		.id_token_algs = S("RS256 PS256 ES256 EdDSA"),
		.assertion_algs = S("RS256 PS256 ES256 EdDSA Ed25519"),
		.dpop_algs = S("ES256 PS256 EdDSA Ed25519"),
		.request_algs = S("RS256 PS256 ES256 EdDSA Ed25519"),
		.audience = AUDIENCE_ISSUER_OR_ENDPOINT,
		.assertion_lives = 300,
		.skew = 30,
		.pkce = true,
		.rotate_refresh = true,
	},
	{
		/* FAPI 2.0 Security Profile (final): everything pushed, every token bound, refresh tokens not rotated (section 5.3.2.1) */
		.name = S("fapi2-security-2026"),
		.auth_methods = S("private_key_jwt tls_client_auth self_signed_tls_client_auth"),
		.grant_types = S("authorization_code refresh_token client_credentials"),
		.response_types = S("code"),
		.response_modes = S("query form_post jwt query.jwt form_post.jwt"),
		.id_token_algs = S("ES256 PS256 EdDSA"),
		.assertion_algs = S("PS256 ES256 EdDSA Ed25519"),
		.dpop_algs = S("ES256 PS256 EdDSA Ed25519"),
		.request_algs = S("PS256 ES256 EdDSA Ed25519"),
		.audience = AUDIENCE_ISSUER,
		.assertion_lives = 300,
		.skew = 30,
		.pkce = true,
		.par = true,
		.strict_requests = true,
		.bound_tokens = true,
	},
	{
		/* FAPI 2.0 Message Signing: the same, and every request signed (section 5.3); answers are when they are asked for so (section 5.4) */
		.name = S("fapi2-message-signing-2026"),
		.auth_methods = S("private_key_jwt tls_client_auth self_signed_tls_client_auth"),
		.grant_types = S("authorization_code refresh_token client_credentials"),
		.response_types = S("code"),
		.response_modes = S("query form_post jwt query.jwt form_post.jwt"),
		.id_token_algs = S("ES256 PS256 EdDSA"),
		.assertion_algs = S("PS256 ES256 EdDSA Ed25519"),
		.dpop_algs = S("ES256 PS256 EdDSA Ed25519"),
		.request_algs = S("PS256 ES256 EdDSA Ed25519"),
		.audience = AUDIENCE_ISSUER,
		.assertion_lives = 300,
		.skew = 30,
		.pkce = true,
		.par = true,
		.strict_requests = true,
		.bound_tokens = true,
		.signed_requests = true,
	},
	{
		/* FAPI: Client Initiated Backchannel Authentication Profile (Implementer's Draft 1) */
		.name = S("fapi-ciba-2026"),
		.auth_methods = S("private_key_jwt tls_client_auth self_signed_tls_client_auth"),
		.grant_types = S(CIBA " refresh_token"),
		.response_types = S("code"),
		.response_modes = S("query"),
		.id_token_algs = S("ES256 PS256"),
		.assertion_algs = S("PS256 ES256"),
		.request_algs = S("PS256 ES256"),
		.audience = AUDIENCE_ISSUER_OR_ENDPOINT,
		.assertion_lives = 300,
		.skew = 30,
		.signed_backchannel = true,
		.bound_tokens = true,
	},
	{ .name = S("") },
};

const struct profile *profile_of(struct str name)
{
	for (const struct profile *p = PROFILES; p->name.n; p++)
		if (str_empty(name) || str_eq(p->name, name))
			return p;
	return NULL;
}

enum { MAX_WORDS = 32 };

struct strs profiles_words(struct arena *a, size_t column)
{
	struct strs all = { .v = make_n(a, struct str, MAX_WORDS) };
	for (const struct profile *p = PROFILES; p->name.n; p++) {
		struct strs l = str_words(a, *(const struct str *)(const void *)((const char *)p + column));
		for (size_t i = 0; i < l.n && all.n < MAX_WORDS; i++)
			if (!strs_has(all, l.v[i]))
				all.v[all.n++] = l.v[i];
	}
	return all;
}
