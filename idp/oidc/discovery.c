#include "oauth.h"
#include "oidc.h"
#include "assurance.h"
#include "details.h"
#include "jwe.h"
#include "profile.h"
#include "settings.h"

/* OpenID Connect Discovery section 3, RFC 8414 section 2: printed from the tables that the checks read. */

#define COLUMN(c) offsetof(struct profile, c)

static struct strs list(const struct str *words)
{
	struct strs l = { .v = (struct str *)(uintptr_t)words };     /* only read */
	while (words[l.n].n)
		l.n++;
	return l;
}

/* RFC 8705 section 5: what a client calls itself has a second name, where the connection asks for a certificate. What a browser goes to has none. */
static const struct { const char *name, *path; bool aliased; } ENDPOINTS[] = {
	{ "authorization_endpoint",                 "/authorize",              false },
	{ "pushed_authorization_request_endpoint",  "/par",                    true  },
	{ "token_endpoint",                         "/token",                  true  },
	{ "userinfo_endpoint",                      "/userinfo",               true  },
	{ "jwks_uri",                               "/.well-known/jwks.json",  false },
	{ "introspection_endpoint",                 "/introspect",             true  },
	{ "revocation_endpoint",                    "/revoke",                 true  },
	{ "device_authorization_endpoint",          "/device_authorization",   true  },
	{ "backchannel_authentication_endpoint",    "/bc-authorize",           true  },
	{ "end_session_endpoint",                   "/logout",                 false },
	{ "registration_endpoint",                  "/register",               false },
};
enum { ENDPOINTS_N = sizeof ENDPOINTS / sizeof *ENDPOINTS };

/* CIBA asks people on their phones: what is for that is not offered where nobody's can be asked. */
static bool offered(const struct req *rq, const char *what)
{
	static const char *const FOR_PHONES[] = { "backchannel_authentication_endpoint", "urn:openid:params:grant-type:ciba" };
	return rq->house->mobile || (strcmp(what, FOR_PHONES[0]) && strcmp(what, FOR_PHONES[1]));
}

static void endpoints(struct jw *w, const struct req *rq)
{
	struct str certain = rq->house->conf->cert_host;
	for (size_t i = 0; i < ENDPOINTS_N; i++)
		if (offered(rq, ENDPOINTS[i].name))
			jw_str(w, ENDPOINTS[i].name, str_fmt(rq->a, "%s%s", rq->house->issuer.p, ENDPOINTS[i].path));
	if (str_empty(certain))
		return;
	jw_object(w, "mtls_endpoint_aliases");
	for (size_t i = 0; i < ENDPOINTS_N; i++)
		if (ENDPOINTS[i].aliased && offered(rq, ENDPOINTS[i].name))
			jw_str(w, ENDPOINTS[i].name, str_fmt(rq->a, "%s%s", certain.p, ENDPOINTS[i].path));
	jw_end(w);
}

/* Back-Channel Logout section 2.1, Front-Channel Logout section 3 */
static void logout(struct jw *w)
{
	static const char *const SUPPORTED[] = {
		"backchannel_logout_supported", "backchannel_logout_session_supported", "frontchannel_logout_supported", "frontchannel_logout_session_supported",
	};
	for (size_t i = 0; i < sizeof SUPPORTED / sizeof *SUPPORTED; i++)
		jw_bool(w, SUPPORTED[i], true);
}

static bool by_certificate(struct str method) { return str_ends(method, S("tls_client_auth")); }

/* Ways by certificate work only where certificates can arrive. */
static struct strs auth_methods(const struct req *rq, bool also_public)
{
	struct strs all = profiles_words(rq->a, COLUMN(auth_methods)), l = { .v = make_n(rq->a, struct str, all.n + 1) };
	for (size_t i = 0; i < all.n; i++)
		if ((also_public || !str_is(all.v[i], "none")) && (rq->house->conf->certified.n || !by_certificate(all.v[i])))
			l.v[l.n++] = all.v[i];
	return l;
}

static void authentication(struct jw *w, const struct req *rq)
{
	static const struct { const char *methods, *algs; bool also_public; } AT[] = {
		{ "token_endpoint_auth_methods_supported",         "token_endpoint_auth_signing_alg_values_supported",         true },
		{ "introspection_endpoint_auth_methods_supported", "introspection_endpoint_auth_signing_alg_values_supported", false },
		{ "revocation_endpoint_auth_methods_supported",    "revocation_endpoint_auth_signing_alg_values_supported",    true },
	};
	for (size_t i = 0; i < sizeof AT / sizeof *AT; i++) {
		jw_strs(w, AT[i].methods, auth_methods(rq, AT[i].also_public));
		jw_strs(w, AT[i].algs, profiles_words(rq->a, COLUMN(assertion_algs)));
	}
	jw_bool(w, "tls_client_certificate_bound_access_tokens", rq->house->conf->certified.n > 0);
	jw_strs(w, "dpop_signing_alg_values_supported", profiles_words(rq->a, COLUMN(dpop_algs)));
}

/* RFC 9396 section 10 */
static void detail_types(struct jw *w, const struct req *rq)
{
	const struct conf_list *l = &rq->house->conf->detail_types;
	const struct detail_type *types = l->items;
	if (!l->n)
		return;
	jw_array(w, "authorization_details_types_supported");
	for (size_t i = 0; i < l->n; i++)
		jw_str(w, NULL, types[i].name);
	jw_end(w);
}

static struct strs grant_types(const struct req *rq)
{
	struct strs all = list(grant_type_names()), l = { .v = make_n(rq->a, struct str, all.n) };
	for (size_t i = 0; i < all.n; i++)
		if (offered(rq, all.v[i].p))
			l.v[l.n++] = all.v[i];
	return l;
}

static void requests(struct jw *w, const struct req *rq)
{
	jw_strs(w, "scopes_supported", list(scopes_all()));
	jw_strs(w, "response_types_supported", profiles_words(rq->a, COLUMN(response_types)));
	jw_strs(w, "response_modes_supported", profiles_words(rq->a, COLUMN(response_modes)));
	jw_strs(w, "grant_types_supported", grant_types(rq));
	jw_strs(w, "code_challenge_methods_supported", (struct strs){ &S("S256"), 1 });
	jw_strs(w, "prompt_values_supported", str_words(rq->a, S("none login consent select_account")));
	jw_strs(w, "acr_values_supported", acr_offered(rq->a, rq->house->conf->methods));
	jw_strs(w, "display_values_supported", (struct strs){ &S("page"), 1 });
	jw_strs(w, "ui_locales_supported", str_words(rq->a, S("vi en")));
	jw_bool(w, "claims_parameter_supported", true);
	detail_types(w, rq);
	jw_bool(w, "request_parameter_supported", true);
	jw_bool(w, "request_uri_parameter_supported", true);
	jw_bool(w, "require_request_uri_registration", true);
	jw_bool(w, "require_signed_request_object", false);
	jw_strs(w, "request_object_signing_alg_values_supported", profiles_words(rq->a, COLUMN(request_algs)));
	jw_bool(w, "require_pushed_authorization_requests", false);
	jw_bool(w, "authorization_response_iss_parameter_supported", true);
}

/* OpenID Connect Discovery section 3, RFC 9701 section 7 */
static void envelopes(struct jw *w, const struct req *rq)
{
	static const char *const OF[] = { "id_token", "userinfo", "introspection", "authorization" };
	for (size_t i = 0; i < sizeof OF / sizeof *OF; i++) {
		jw_strs(w, str_fmt(rq->a, "%s_signing_alg_values_supported", OF[i]).p, profiles_words(rq->a, COLUMN(id_token_algs)));
		jw_strs(w, str_fmt(rq->a, "%s_encryption_alg_values_supported", OF[i]).p, list(jwe_algs()));
		jw_strs(w, str_fmt(rq->a, "%s_encryption_enc_values_supported", OF[i]).p, list(jwe_encs()));
	}
}

static void answers(struct jw *w, const struct req *rq)
{
	jw_strs(w, "subject_types_supported", str_words(rq->a, S("pairwise public")));
	envelopes(w, rq);
	jw_strs(w, "claim_types_supported", (struct strs){ &S("normal"), 1 });
	jw_array(w, "claims_supported");
	claims_names(w);
	jw_end(w);
}

/* CIBA Core section 4 */
static void backchannel(struct jw *w, const struct req *rq)
{
	if (!rq->house->mobile)
		return;
	jw_strs(w, "backchannel_token_delivery_modes_supported", str_words(rq->a, CIBA_MODES));
	jw_strs(w, "backchannel_authentication_request_signing_alg_values_supported", profiles_words(rq->a, COLUMN(request_algs)));
	jw_bool(w, "backchannel_user_code_parameter_supported", false);
}

/* GET /.well-known/openid-configuration, /.well-known/oauth-authorization-server */
err ep_discovery(struct req *rq, struct res *rs)
{
	struct str json;
	struct jw w = jw_new(rq->a, 16 * 1024);
	jw_object(&w, NULL);
	jw_str(&w, "issuer", rq->house->issuer);
	endpoints(&w, rq);
	logout(&w);
	requests(&w, rq);
	authentication(&w, rq);
	answers(&w, rq);
	backchannel(&w, rq);
	jw_end(&w);
	TRY(jw_done(&w, &json));
	res_json(rs, 200, json);
	res_header(rq, rs, "Cache-Control", S("public, max-age=3600"));
	return OK;
}

const struct route OIDC_ROUTES[] = {
	{ "GET",  "/.well-known/openid-configuration",       ep_discovery, FAULTS_JSON,   CORS_ANY | INLINE },
	{ "GET",  "/.well-known/oauth-authorization-server", ep_discovery, FAULTS_JSON,   CORS_ANY | INLINE },
	{ "GET",  "/.well-known/jwks.json",                  ep_jwks,      FAULTS_JSON,   CORS_ANY | INLINE },
	{ "GET",  "/userinfo",                               ep_userinfo,  FAULTS_BEARER, CORS_CLIENTS },
	{ "POST", "/userinfo",                               ep_userinfo,  FAULTS_BEARER, CORS_CLIENTS },
	{ 0 },
};
