#include "client.h"
#include "assurance.h"
#include "conf.h"
#include "jwe.h"
#include "profile.h"
#include <arpa/inet.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

/* ---- reading a registration ------------------------------------------------------------------------------------- */

/* NOTED and NOTED_LIST are kept and told, and nothing here depends on them. */
enum member { TEXT, TEXTS, FLAG, JWKS, NOTED, NOTED_LIST };
enum whose { OURS, THEIRS };

/* RFC 7591 section 2, OpenID Connect Registration section 2, RFC 8705 sections 2.1.2 and 3.4, RFC 9101 section 10.5, RFC 9126 section 6,
 * RFC 9396 section 10, RFC 9449 section 5.2, RFC 9701 section 6, JARM section 3; the last rows are ours. THEIRS: an application that registers itself may say it (register.c). */
static const struct { const char *name; enum member type; size_t at; enum whose whose; } MEMBERS[] = {
#define AT(f) offsetof(struct client, f)
	{ "client_name",                     TEXT,   AT(name),                      THEIRS },
	{ "client_uri",                      TEXT,   AT(client_uri),                THEIRS },
	{ "logo_uri",                        TEXT,   AT(logo_uri),                  THEIRS },
	{ "tos_uri",                         TEXT,   AT(tos_uri),                   THEIRS },
	{ "policy_uri",                      TEXT,   AT(policy_uri),                THEIRS },
	{ "redirect_uris",                   TEXTS,  AT(redirect_uris),             THEIRS },
	{ "post_logout_redirect_uris",       TEXTS,  AT(post_logout_redirect_uris), THEIRS },
	{ "backchannel_logout_uri",          TEXT,   AT(backchannel_logout_uri),    THEIRS },
	{ "backchannel_logout_session_required",  FLAG, AT(backchannel_session),    THEIRS },
	{ "frontchannel_logout_uri",         TEXT,   AT(frontchannel_logout_uri),   THEIRS },
	{ "frontchannel_logout_session_required", FLAG, AT(frontchannel_session),   THEIRS },
	{ "grant_types",                     TEXTS,  AT(grant_types),               THEIRS },
	{ "response_types",                  TEXTS,  AT(response_types),            THEIRS },
	{ "scope",                           TEXT,   AT(scope),                     THEIRS },
	{ "token_endpoint_auth_method",      TEXT,   AT(auth_method),               THEIRS },
	{ "id_token_signed_response_alg",    TEXT,   AT(id_token.sign),             THEIRS },
	{ "userinfo_signed_response_alg",    TEXT,   AT(userinfo.sign),             THEIRS },
	{ "introspection_signed_response_alg", TEXT, AT(introspection.sign),        THEIRS },
	{ "id_token_encrypted_response_alg", TEXT, AT(id_token.alg),                THEIRS },
	{ "id_token_encrypted_response_enc", TEXT, AT(id_token.enc),                THEIRS },
	{ "userinfo_encrypted_response_alg", TEXT, AT(userinfo.alg),                THEIRS },
	{ "userinfo_encrypted_response_enc", TEXT, AT(userinfo.enc),                THEIRS },
	{ "introspection_encrypted_response_alg", TEXT, AT(introspection.alg),      THEIRS },
	{ "introspection_encrypted_response_enc", TEXT, AT(introspection.enc),      THEIRS },
	{ "authorization_encrypted_response_alg", TEXT, AT(authorization.alg),      THEIRS },
	{ "authorization_encrypted_response_enc", TEXT, AT(authorization.enc),      THEIRS },
	{ "subject_type",                    TEXT,   AT(subject_type),              THEIRS },
	{ "sector_identifier_uri",           TEXT,   AT(sector_identifier_uri),     THEIRS },
	{ "require_auth_time",               FLAG,   AT(require_auth_time),         THEIRS },
	{ "jwks",                            JWKS,   AT(jwks),                      THEIRS },
	{ "jwks_uri",                        TEXT,   AT(jwks_uri),                  THEIRS },
	{ "tls_client_auth_subject_dn",      TEXT,   AT(tls_subject_dn),            THEIRS },
	{ "tls_client_certificate_bound_access_tokens", FLAG, AT(cert_bound_tokens), THEIRS },
	{ "dpop_bound_access_tokens",        FLAG,   AT(dpop_bound_tokens),         THEIRS },
	{ "initiate_login_uri",              TEXT,   AT(initiate_login_uri),        THEIRS },
	{ "default_acr_values",              NOTED_LIST, 0,                         THEIRS },          /* read below: words */
	{ "application_type",                NOTED,  0,                             THEIRS },
	{ "contacts",                        NOTED_LIST, 0,                         THEIRS },
	{ "software_id",                     NOTED,  0,                             THEIRS },
	{ "software_version",                NOTED,  0,                             THEIRS },
	{ "client_secret_hash",              TEXT,   AT(secret_hash),               OURS },
	{ "sector",                          TEXT,   AT(sector),                    OURS },
	{ "profile",                         TEXT,   AT(profile),                   OURS },
	{ "require_pushed_authorization_requests", FLAG, AT(require_par),           THEIRS },
	{ "require_signed_request_object",   FLAG,   AT(require_signed),            THEIRS },
	{ "request_object_signing_alg",      TEXT,   AT(request_alg),               THEIRS },
	{ "request_uris",                    TEXTS,  AT(request_uris),              THEIRS },
	{ "authorization_signed_response_alg", TEXT, AT(authorization.sign),        THEIRS },
	{ "require_pkce",                    FLAG,   AT(require_pkce),              OURS },
	{ "dpop_nonce",                      FLAG,   AT(dpop_nonce),                OURS },
	{ "minimum_acr",                     TEXT,   AT(minimum_acr),               OURS },
	/* CIBA Core section 4: who may make people's phones ring is the operator's to say */
	{ "backchannel_token_delivery_mode", TEXT,   AT(ciba_mode),                 OURS },
	{ "backchannel_client_notification_endpoint", TEXT, AT(ciba_endpoint),      OURS },
	{ "backchannel_authentication_request_signing_alg", TEXT, AT(ciba_request_alg), OURS },
	{ "backchannel_user_code_parameter", FLAG,   AT(ciba_user_code),            OURS },
	{ "userinfo_acr",                    TEXT,   AT(userinfo_acr),              OURS },
	{ "trusted",                         FLAG,   AT(trusted),                   OURS },
	{ "audiences",                       TEXTS,  AT(audiences),                 OURS },
	{ "resources",                       TEXTS,  AT(resources),                 OURS },
	{ "authorization_details_types",     TEXTS,  AT(detail_types),              OURS },
#undef AT
};
enum { MEMBERS_N = sizeof MEMBERS / sizeof *MEMBERS, TEXT_MOST = 2048, TEXTS_MOST = 100 };

static err wrong(struct arena *a, const struct client *c, const char *why, const char *what)
{
	return fault(a, &BAD_CONFIG, "client %s: %s '%s'", c->id.p, why, what);
}

static err unknown_member(struct arena *a, const struct client *c, const char *name)
{
	const char *names[MEMBERS_N];
	for (size_t i = 0; i < MEMBERS_N; i++)
		names[i] = MEMBERS[i].name;
	const char *near = nearest_name(name, names, MEMBERS_N);
	return fault(a, &BAD_CONFIG, "client %s: unknown member '%s'%s%s", c->id.p, name, near ? "; perhaps " : "", near ? near : "");
}

static err read_texts(struct arena *a, const struct client *c, const json_t *o, const char *name, struct strs *out)
{
	const json_t *v = json_object_get(o, name);
	*out = json_strs(a, o, name);
	if (!json_is_array(v) || json_array_size(v) != out->n || out->n > TEXTS_MOST)
		return wrong(a, c, "not an array of strings:", name);
	for (size_t i = 0; i < out->n; i++) {
		if (str_empty(out->v[i]) || out->v[i].n > TEXT_MOST)
			return wrong(a, c, "an empty or over-long string in", name);
		out->v[i] = str_copy(a, out->v[i]);
	}
	return OK;
}

static err read_member(struct arena *a, struct client *c, const json_t *o, size_t i)
{
	void *at = (char *)c + MEMBERS[i].at;
	const char *name = MEMBERS[i].name;
	struct str text;
	switch (MEMBERS[i].type) {
	case TEXT:
		if (!json_str(o, name, &text) || text.n > TEXT_MOST)
			return wrong(a, c, "not a string, or too long:", name);
		*(struct str *)at = str_copy(a, text);
		return OK;
	case TEXTS:
		return read_texts(a, c, o, name, at);
	case FLAG:
		return json_bool(o, name, at) ? OK : wrong(a, c, "not true or false:", name);
	case JWKS:
		return key_set_read(a, json_object_get(o, name), at);
	case NOTED:
		return json_str(o, name, &text) && text.n <= TEXT_MOST ? OK : wrong(a, c, "not a string, or too long:", name);
	case NOTED_LIST:
		return read_texts(a, c, o, name, &(struct strs){ 0 });
	}
	return OK;
}

static err read_members(struct arena *a, struct client *c, json_t *o)
{
	const char *name;
	json_t *v;
	json_object_foreach(o, name, v) {
		size_t i = 0;
		while (i < MEMBERS_N && strcmp(MEMBERS[i].name, name) != 0)
			i++;
		if (i == MEMBERS_N)
			return unknown_member(a, c, name);
		c->wrong = MEMBERS[i].name;
		err e = read_member(a, c, o, i);
		if (e.kind)
			return e.kind == &BAD_CONFIG ? e : fault(a, &BAD_CONFIG, "client %s: %s: %s", c->id.p, name, e.why);
	}
	c->wrong = NULL;
	c->default_acr_values = strs_join(a, json_strs(a, o, "default_acr_values"), S(" "));
	return OK;
}

/* ---- what must hold -------------------------------------------------------------------------------------------------- */

static struct str host_of(struct arena *a, struct str uri)
{
	const char *slashes = strstr(uri.p, "://");
	const char *host = slashes ? slashes + 3 : uri.p;
	return str_lower(a, str_dup(a, host, strcspn(host, "/?#")));
}

static bool is_loopback(struct str host)
{
	static const char *const LOOPBACK[] = { "localhost", "127.0.0.1", "[::1]" };
	for (size_t i = 0; i < sizeof LOOPBACK / sizeof *LOOPBACK; i++)
		if (str_starts(host, str_of(LOOPBACK[i])) && (host.p[strlen(LOOPBACK[i])] == 0 || host.p[strlen(LOOPBACK[i])] == ':'))
			return true;
	return false;
}

/* A name whose last label cannot be read as a number; or an IPv4 address in the one spelling that all read alike. */
static bool name_fit(struct str host)
{
	unsigned char v4[4];
	const char *dot = memrchr(host.p, '.', host.n), *last = dot ? dot + 1 : host.p;
	if (*host.p == '.' || !*last || strstr(host.p, ".."))
		return false;
	return (*last >= 'a' && *last <= 'z') || inet_pton(AF_INET, host.p, v4) == 1;
}

/* RFC 3986 section 3.2 without userinfo: a host that every reader of URLs takes for the same one, and a port of digits. SEC-01.
 * Nothing in it means something in a Content-Security-Policy either, where it will stand. */
static bool authority_fit(struct arena *a, struct str at)
{
	static const char NAME[] = "abcdefghijklmnopqrstuvwxyz0123456789-._";
	bool v6 = at.n && *at.p == '[';
	size_t n = v6 ? strcspn(at.p, "]") + 1 : strspn(at.p, NAME);
	unsigned char address[16];
	int64_t port;
	if (n == 0 || n > at.n || (v6 && inet_pton(AF_INET6, str_dup(a, at.p + 1, n - 2).p, address) != 1) || (!v6 && !name_fit(str_dup(a, at.p, n))))
		return false;
	return n == at.n || (at.p[n] == ':' && str_int(str_from(a, at, n + 1), 1, 65535, &port));
}

/* RFC 6749 section 3.1.2: absolute, without a fragment. RFC 8252 sections 7.1 and 7.3: plain http on the loopback address only, own
 * schemes only with a dot in them. */
static bool uri_fit(struct arena *a, struct str uri)
{
	struct str host = host_of(a, uri);
	if (!str_printable(uri) || strpbrk(uri.p, " #\\\"<>"))
		return false;
	if (str_starts(uri, S("https://")) || str_starts(uri, S("http://")))
		return authority_fit(a, host) && (uri.p[4] == 's' || is_loopback(host));
	size_t scheme = strcspn(uri.p, ":");
	return uri.p[scheme] == ':' && memchr(uri.p, '.', scheme) != NULL;
}

/* A page of theirs that people are sent to, or a document that we read. */
static bool page_fit(struct arena *a, struct str uri)
{
	return uri_fit(a, uri) && (str_starts(uri, S("https://")) || str_starts(uri, S("http://")));
}

static err check_list(struct arena *a, const struct client *c, const struct strs *l)
{
	for (size_t i = 0; i < l->n; i++)
		if (!uri_fit(a, l->v[i]))
			return wrong(a, c, "not a usable URI:", l->v[i].p);
	return OK;
}

static err check_redirects(struct arena *a, struct client *c)
{
	TRY(check_list(a, c, &c->redirect_uris));
	if (strs_has(c->grant_types, S("authorization_code")) && !c->redirect_uris.n)
		return wrong(a, c, "needs redirect_uris for", "authorization_code");
	return OK;
}

static err check_post_logout(struct arena *a, struct client *c) { return check_list(a, c, &c->post_logout_redirect_uris); }

static err check_page(struct arena *a, const struct client *c, struct str uri)
{
	return str_empty(uri) || page_fit(a, uri) ? OK : wrong(a, c, "not an https address:", uri.p);
}

static err check_client_uri(struct arena *a, struct client *c) { return check_page(a, c, c->client_uri); }
static err check_logo(struct arena *a, struct client *c) { return check_page(a, c, c->logo_uri); }
static err check_tos(struct arena *a, struct client *c) { return check_page(a, c, c->tos_uri); }
static err check_policy(struct arena *a, struct client *c) { return check_page(a, c, c->policy_uri); }
static err check_jwks_uri(struct arena *a, struct client *c) { return check_page(a, c, c->jwks_uri); }
static err check_sector_uri(struct arena *a, struct client *c) { return check_page(a, c, c->sector_identifier_uri); }

static err check_backchannel(struct arena *a, struct client *c) { return check_page(a, c, c->backchannel_logout_uri); }

static struct str origin_of(struct arena *a, struct str uri)
{
	return str_fmt(a, "%s://%s", str_starts(uri, S("https:")) ? "https" : "http", host_of(a, uri).p);
}

/* Front-Channel Logout section 2: its "domain, port, and scheme MUST be the same as that of a registered Redirection URI value" */
static err check_frontchannel(struct arena *a, struct client *c)
{
	struct str uri = c->frontchannel_logout_uri;
	TRY(check_page(a, c, uri));
	bool known = str_empty(uri);
	for (size_t i = 0; i < c->redirect_uris.n && !known; i++)
		known = str_eq(origin_of(a, c->redirect_uris.v[i]), origin_of(a, uri));
	return known ? OK : wrong(a, c, "on another origin than its redirect_uris:", uri.p);
}

/* OpenID Connect Registration section 2, initiate_login_uri: "URI using the https scheme" */
static err check_initiate(struct arena *a, struct client *c)
{
	return str_empty(c->initiate_login_uri) || (str_starts(c->initiate_login_uri, S("https://")) && uri_fit(a, c->initiate_login_uri)) ? OK
		: wrong(a, c, "not an https address:", c->initiate_login_uri.p);
}

static err check_words(struct arena *a, struct client *c, const char *what, struct strs l, struct str allowed)
{
	for (size_t i = 0; i < l.n; i++)
		if (!word_in(allowed, l.v[i])) {
			c->beyond_profile = true;
			return fault(a, &BAD_CONFIG, "client %s: %s '%s' is not in profile %s", c->id.p, what, l.v[i].p, c->profile.p);
		}
	return OK;
}

/* RFC 6749 section 4.4: client_credentials MUST only be used by confidential clients. The rules of token exchange name a client, and the phone of a
 * citizen is asked in a client's name: so it must be that client (RFC 8693 section 5, CIBA section 7.1). */
static const struct str NEED_PROOF = S("client_credentials urn:ietf:params:oauth:grant-type:token-exchange urn:openid:params:grant-type:ciba");

static err check_auth_method(struct arena *a, struct client *c)
{
	return check_words(a, c, "token_endpoint_auth_method", (struct strs){ &c->auth_method, 1 }, c->rules->auth_methods);
}

static err check_grant_types(struct arena *a, struct client *c)
{
	TRY(check_words(a, c, "grant_type", c->grant_types, c->rules->grant_types));
	for (size_t i = 0; str_is(c->auth_method, "none") && i < c->grant_types.n; i++)
		if (word_in(NEED_PROOF, c->grant_types.v[i]))
			return wrong(a, c, "a public client may not use", c->grant_types.v[i].p);
	return OK;
}

static err check_floors(struct arena *a, struct client *c)
{
	const struct str floors[] = { c->minimum_acr, c->userinfo_acr };
	for (size_t i = 0; i < 2; i++)
		if (floors[i].n && !assurance_of(floors[i]))
			return wrong(a, c, "no such acr:", floors[i].p);
	return OK;
}

/* RFC 7591 section 2.1: the grant type authorization_code goes with the response type code */
static err check_response_types(struct arena *a, struct client *c)
{
	TRY(check_words(a, c, "response_type", c->response_types, c->rules->response_types));
	if (strs_has(c->grant_types, S("authorization_code")) && !strs_has(c->response_types, S("code")))
		return wrong(a, c, "needs response_types with code for", "authorization_code");
	return OK;
}

static err check_subject_type(struct arena *a, struct client *c)
{
	return str_is(c->subject_type, "pairwise") || str_is(c->subject_type, "public") ? OK : wrong(a, c, "no such subject_type:", c->subject_type.p);
}

static err check_secret(struct arena *a, struct client *c)
{
	bool by_secret = str_starts(c->auth_method, S("client_secret_"));
	if (by_secret && c->secret_hash.n != 43)
		return wrong(a, c, "needs a client_secret_hash for", c->auth_method.p);
	if (!by_secret && c->secret_hash.n)
		return wrong(a, c, "has a secret that is not used by", c->auth_method.p);
	return OK;
}

static err check_jwks(struct arena *a, struct client *c)
{
	bool by_key = str_is(c->auth_method, "private_key_jwt") || str_is(c->auth_method, "self_signed_tls_client_auth");
	if ((c->jwks.n || c->jwks.nto) && c->jwks_uri.n)                  /* RFC 7591 section 2: they "MUST NOT both be present" */
		return wrong(a, c, "has both jwks and", "jwks_uri");
	if (by_key && !c->jwks.n && str_empty(c->jwks_uri))
		return wrong(a, c, "needs a usable key in jwks, or a jwks_uri, for", c->auth_method.p);
	return OK;
}

static err check_binding(struct arena *a, struct client *c)
{
	return c->cert_bound_tokens && c->dpop_bound_tokens ? wrong(a, c, "tokens are bound to a certificate or to a key, not to", "both") : OK;
}

static err check_tls_subject(struct arena *a, struct client *c)
{
	if (str_is(c->auth_method, "tls_client_auth") && str_empty(c->tls_subject_dn))
		return wrong(a, c, "needs a tls_client_auth_subject_dn for", c->auth_method.p);
	return OK;
}

/* A redirect URI proves whose sector it is by receiving codes. These grants need none: whoever has them is a sector of its own, or could ask to be
 * shown people as another knows them. */
static const struct str NEED_NO_REDIRECT = S("urn:ietf:params:oauth:grant-type:device_code urn:openid:params:grant-type:ciba");

static bool proves_its_host(const struct client *c)
{
	for (size_t i = 0; i < c->grant_types.n; i++)
		if (word_in(NEED_NO_REDIRECT, c->grant_types.v[i]))
			return false;
	return true;
}

/* OpenID Connect Core section 8.1: one host for all redirect URIs, or a sector that is named, by the operator or by a document that
 * lists them all (register.c reads it) */
static err find_sector(struct arena *a, struct client *c)
{
	if (str_is(c->subject_type, "public") || c->sector.n || !proves_its_host(c) || (!c->redirect_uris.n && str_empty(c->sector_identifier_uri))) {
		if (str_empty(c->sector))
			c->sector = c->id;
		return OK;
	}
	c->sector = host_of(a, c->sector_identifier_uri.n ? c->sector_identifier_uri : c->redirect_uris.v[0]);
	for (size_t i = 1; i < c->redirect_uris.n && str_empty(c->sector_identifier_uri); i++)
		if (!str_eq(host_of(a, c->redirect_uris.v[i]), c->sector))
			return wrong(a, c, "redirect_uris on several hosts need a", "sector");
	return OK;
}

static bool one_of(const struct str *l, struct str s)
{
	while (l->n && !str_eq(*l, s))
		l++;
	return l->n > 0;
}

/* OpenID Connect Registration section 2: enc needs alg; alg without enc means the first. A key must be there, or be published elsewhere. */
static err check_envelope(struct arena *a, struct client *c, const char *what, struct envelope *how)
{
	c->wrong = str_fmt(a, "%s_signed_response_alg", what).p;
	if (how->sign.n)
		TRY(check_words(a, c, c->wrong, (struct strs){ &how->sign, 1 }, c->rules->id_token_algs));
	c->wrong = str_fmt(a, "%s_encrypted_response_alg", what).p;
	if (str_empty(how->alg))
		return str_empty(how->enc) ? OK : wrong(a, c, "has an encrypted_response_enc without an alg for", what);
	if (str_empty(how->enc))
		how->enc = jwe_encs()[0];
	if (!one_of(jwe_algs(), how->alg) || !one_of(jwe_encs(), how->enc))
		return fault(a, &BAD_CONFIG, "client %s: %s cannot be encrypted by '%s' and '%s'", c->id.p, what, how->alg.p, how->enc.p);
	/* of an authorization response the code is made already: no time to fetch anything */
	bool elsewhere = c->jwks_uri.n && how != &c->authorization;
	if (!elsewhere && !jwe_key_for(&c->jwks, how->alg))
		return wrong(a, c, "needs a key to be encrypted to by", how->alg.p);
	return OK;
}

static err check_envelopes(struct arena *a, struct client *c)
{
	TRY(check_envelope(a, c, "id_token", &c->id_token));
	TRY(check_envelope(a, c, "userinfo", &c->userinfo));
	TRY(check_envelope(a, c, "introspection", &c->introspection));
	return check_envelope(a, c, "authorization", &c->authorization);
}

/* OpenID Connect Core section 6.2: https, 512 characters at most; a fragment may be the hash of what is there */
static err check_request_uris(struct arena *a, struct client *c)
{
	for (size_t i = 0; i < c->request_uris.n; i++) {
		struct str uri = c->request_uris.v[i], bare = str_dup(a, uri.p, strcspn(uri.p, "#"));
		if (!str_starts(uri, S("http")) || uri.n > 512 || !uri_fit(a, bare) || !str_printable(uri))
			return wrong(a, c, "not a usable URI:", uri.p);
	}
	return OK;
}

static err check_request_alg(struct arena *a, struct client *c)
{
	return str_empty(c->request_alg) ? OK
		: check_words(a, c, "request_object_signing_alg", (struct strs){ (struct str[]){ c->request_alg }, 1 }, c->rules->request_algs);
}

static err check_signed(struct arena *a, struct client *c)
{
	if (c->require_signed && !c->jwks.n && str_empty(c->jwks_uri))
		return wrong(a, c, "needs jwks or a jwks_uri for", "require_signed_request_object");
	return OK;
}

/* CIBA Core section 4. Not wanted is not checked: other members would be dead letters. */
static err check_ciba(struct arena *a, struct client *c)
{
	struct strs alg = { (struct str[]){ c->ciba_request_alg }, 1 };
	bool notified = !str_is(c->ciba_mode, "poll");
	if (!strs_has(c->grant_types, S("urn:openid:params:grant-type:ciba")))
		return OK;
	if (str_is(c->auth_method, "none"))
		return wrong(a, c, "a public client may not use", "urn:openid:params:grant-type:ciba");
	if (!word_in(CIBA_MODES, c->ciba_mode))
		return wrong(a, c, "needs a backchannel_token_delivery_mode that is offered; not", c->ciba_mode.p);
	if (notified && (!str_starts(c->ciba_endpoint, S("http")) || !uri_fit(a, c->ciba_endpoint)))
		return wrong(a, c, "needs a backchannel_client_notification_endpoint for", c->ciba_mode.p);
	if (str_is(c->ciba_mode, "push") && (c->cert_bound_tokens || c->dpop_bound_tokens || c->rules->bound_tokens))
		return wrong(a, c, "tokens that are bound to who fetches them cannot be sent by", "push");
	if (c->ciba_user_code)
		return wrong(a, c, "not offered:", "backchannel_user_code_parameter");
	if (c->ciba_request_alg.n)
		TRY(check_words(a, c, "backchannel_authentication_request_signing_alg", alg, c->rules->request_algs));
	else if (c->rules->signed_backchannel)
		return wrong(a, c, "needs a backchannel_authentication_request_signing_alg in", c->profile.p);
	return OK;
}

/* In this order; each answers for one member. */
static const struct { const char *member; err (*check)(struct arena *, struct client *); } CHECKS[] = {
	{ "token_endpoint_auth_method",   check_auth_method },    { "id_token_signed_response_alg", check_envelopes },
	{ "grant_types",                  check_grant_types },    { "response_types",               check_response_types },
	{ "subject_type",                 check_subject_type },   { "redirect_uris",                check_redirects },
	{ "post_logout_redirect_uris",    check_post_logout },    { "client_secret_hash",           check_secret },
	{ "jwks_uri",                     check_jwks_uri },       { "jwks",                         check_jwks },
	{ "tls_client_auth_subject_dn",   check_tls_subject },    { "client_uri",                   check_client_uri },
	{ "logo_uri",                     check_logo },           { "tos_uri",                      check_tos },
	{ "policy_uri",                   check_policy },         { "initiate_login_uri",           check_initiate },
	{ "dpop_bound_access_tokens",     check_binding },        { "minimum_acr",                  check_floors },
	{ "request_uris",                 check_request_uris },   { "request_object_signing_alg",   check_request_alg },
	{ "require_signed_request_object", check_signed },    { "grant_types",                 check_ciba },
	{ "backchannel_logout_uri",       check_backchannel },    { "frontchannel_logout_uri",      check_frontchannel },
	{ "sector_identifier_uri",        check_sector_uri },     { "sector_identifier_uri",        find_sector },
};

static err check(struct arena *a, struct client *c)
{
	for (size_t i = 0; i < sizeof CHECKS / sizeof *CHECKS; i++) {
		c->wrong = CHECKS[i].member;
		TRY(CHECKS[i].check(a, c));
	}
	c->wrong = NULL;
	return OK;
}

static struct strs one(struct arena *a, struct str s)
{
	struct strs l = { make(a, struct str), 1 };
	*l.v = s;
	return l;
}

/* OpenID Connect Registration section 2, RFC 9701 section 6, JARM section 3: RS256 unless registered otherwise; where a profile has no RS256,
 * its first */
static void sign_by_default(struct arena *a, struct client *c)
{
	struct str algs = c->rules->id_token_algs, alg = word_in(algs, S("RS256")) ? S("RS256") : str_words(a, algs).v[0];
	struct envelope *all[] = { &c->id_token, &c->introspection, &c->authorization };
	for (size_t i = 0; i < sizeof all / sizeof *all; i++)
		if (str_empty(all[i]->sign))
			all[i]->sign = alg;
}

static const struct envelope NO_ENVELOPE = { S(""), S(""), S("") };

err client_parse(struct arena *a, struct str id, struct str metadata, struct client *out)
{
	json_t *o;
	*out = (struct client){
		.id = str_copy(a, id), .name = str_copy(a, id), .client_uri = S(""), .logo_uri = S(""), .tos_uri = S(""), .policy_uri = S(""),
		.backchannel_logout_uri = S(""), .frontchannel_logout_uri = S(""),
		.grant_types = one(a, S("authorization_code")), .response_types = one(a, S("code")), .scope = S("openid"),
		.auth_method = S("client_secret_basic"), .jwks_uri = S(""), .secret_hash = S(""), .tls_subject_dn = S(""),
		.id_token = NO_ENVELOPE, .userinfo = NO_ENVELOPE, .introspection = NO_ENVELOPE, .authorization = NO_ENVELOPE,
		.request_alg = S(""),
		.ciba_mode = S(""), .ciba_endpoint = S(""), .ciba_request_alg = S(""),
		.subject_type = S("pairwise"), .sector = S(""), .sector_identifier_uri = S(""), .initiate_login_uri = S(""),
		.default_acr_values = S(""), .minimum_acr = S(""), .userinfo_acr = S(""), .profile = S(""),
	};
	err e = json_read_object(a, metadata, &o);
	if (e.kind)
		return fault(a, &BAD_CONFIG, "client %s: %s", out->id.p, e.why);
	TRY(read_members(a, out, o));
	out->rules = profile_of(out->profile);
	if (!out->rules)
		return wrong(a, out, "no such profile:", out->profile.p);
	out->profile = out->rules->name;
	sign_by_default(a, out);
	bool public = str_is(out->auth_method, "none");
	out->require_pkce |= public || out->rules->pkce;
	out->rotate_refresh = public || out->rules->rotate_refresh;
	out->require_par |= out->rules->par;
	out->require_signed |= out->rules->signed_requests;
	return check(a, out);
}

/* ---- of those that register themselves ---------------------------------------------------------------------------------- */

static json_t *members_of(struct arena *a, const json_t *o, enum whose whose)
{
	json_t *some = json_own(a, json_object());
	for (size_t i = 0; i < MEMBERS_N; i++) {
		json_t *v = json_object_get(o, MEMBERS[i].name);
		if (v && MEMBERS[i].whose == whose)
			json_object_set(some, MEMBERS[i].name, v);
	}
	return some;
}

json_t *client_said(struct arena *a, const json_t *asked) { return members_of(a, asked, THEIRS); }

json_t *client_ours(struct arena *a, const json_t *stored)
{
	json_t *o = members_of(a, stored, OURS);
	json_object_del(o, "client_secret_hash");
	return o;
}

static void tell_member(const struct client *c, const json_t *stored, size_t i, struct jw *w)
{
	const void *at = (const char *)c + MEMBERS[i].at;
	const char *name = MEMBERS[i].name;
	json_t *said = json_object_get(stored, name);
	switch (MEMBERS[i].type) {
	case TEXT:
		jw_opt(w, name, *(const struct str *)at);
		break;
	case TEXTS:
		if (((const struct strs *)at)->n || said)
			jw_strs(w, name, *(const struct strs *)at);
		break;
	case FLAG:
		if (*(const bool *)at || said)
			jw_bool(w, name, *(const bool *)at);
		break;
	case JWKS: case NOTED: case NOTED_LIST:
		if (said)
			jw_raw(w, name, json_dump(w->b.a, said));
	}
}

void client_tell(const struct client *c, const json_t *stored, struct jw *w)
{
	for (size_t i = 0; i < MEMBERS_N; i++)
		if (MEMBERS[i].whose == THEIRS)
			tell_member(c, stored, i, w);
}

/* ---- the cache ------------------------------------------------------------------------------------------------------------ */

enum { FRESH = 3, SETS = 256, WAYS = 4 };

/* client NULL: the store was asked, and there is none. A stranger's guesses are kept too, so that they take no longer than a
 * known name with a wrong secret; they push out one another first. */
struct entry {
	struct arena *a;                     /* of client; NULL when there is none */
	struct str id;                       /* in the same block */
	struct client *client;
	int64_t version;
	epoch read_at;
	atomic_int refs;
};
struct clients { pthread_mutex_t lock; struct entry *at[SETS][WAYS]; };

err clients_new(struct arena *a, struct clients **out)
{
	*out = calloc(1, sizeof **out);
	if (!*out)
		return fault(a, &SERVER_ERROR, "no memory for the clients");
	pthread_mutex_init(&(*out)->lock, NULL);
	return OK;
}

static void drop(void *p)
{
	struct entry *e = p;
	if (!e || atomic_fetch_sub(&e->refs, 1) != 1)
		return;
	arena_free(e->a);
	free(e);
}

void clients_free(struct clients *l)
{
	if (!l)
		return;
	for (size_t s = 0; s < SETS; s++)
		for (size_t w = 0; w < WAYS; w++)
			drop(l->at[s][w]);
	pthread_mutex_destroy(&l->lock);
	free(l);
}

/* FNV-1a; which set a name falls into is no secret. */
static size_t set_of(struct str id)
{
	uint32_t h = 2166136261u;
	for (size_t i = 0; i < id.n; i++)
		h = (h ^ (unsigned char)id.p[i]) * 16777619u;
	return h % SETS;
}

static struct entry **find(struct clients *l, struct str id)
{
	struct entry **set = l->at[set_of(id)];
	for (size_t w = 0; w < WAYS; w++)
		if (set[w] && str_eq(set[w]->id, id))
			return &set[w];
	return NULL;
}

static struct entry **room_for(struct clients *l, struct str id)
{
	struct entry **set = l->at[set_of(id)], **worst = find(l, id);
	for (size_t w = 0; w < WAYS && !worst; w++)
		if (!set[w])
			worst = &set[w];
	if (worst)
		return worst;
	worst = &set[0];
	for (size_t w = 1; w < WAYS; w++) {
		bool stranger = !set[w]->client, before = !(*worst)->client;
		if (stranger != before ? stranger : set[w]->read_at < (*worst)->read_at)
			worst = &set[w];
	}
	return worst;
}

static struct entry *look(struct clients *l, struct str id, bool fresh, epoch now)
{
	struct entry *e = NULL;
	pthread_mutex_lock(&l->lock);
	struct entry **at = find(l, id);
	if (at && (!fresh || (now >= (*at)->read_at && now < (*at)->read_at + FRESH))) {
		e = *at;
		atomic_fetch_add(&e->refs, 1);
	}
	pthread_mutex_unlock(&l->lock);
	return e;
}

static void keep(struct clients *l, struct entry *e)
{
	pthread_mutex_lock(&l->lock);
	struct entry **at = room_for(l, e->id), *old = *at;
	atomic_fetch_add(&e->refs, 1);
	*at = e;
	pthread_mutex_unlock(&l->lock);
	drop(old);
}

void client_forget(struct clients *l, struct str id)
{
	pthread_mutex_lock(&l->lock);
	struct entry **at = find(l, id), *old = at ? *at : NULL;
	if (at)
		*at = NULL;
	pthread_mutex_unlock(&l->lock);
	drop(old);
}

static err entry_new(struct req *rq, struct str id, const struct client_row *row, struct entry **out)
{
	struct entry *e = calloc(1, sizeof *e + id.n + 1);
	if (!e)
		return fault(rq->a, &SERVER_ERROR, "no memory for a client");
	*e = (struct entry){ .id = { memcpy(e + 1, id.p, id.n), id.n }, .version = row ? row->version : 0, .read_at = rq->now };
	atomic_init(&e->refs, 1);
	arena_defer(rq->a, drop, e);
	if (row && !row->disabled_at) {
		e->a = arena_new();
		e->client = make(e->a, struct client);
		err why = client_parse(e->a, id, row->metadata, e->client);
		if (why.kind)
			return fault(rq->a, &SERVER_ERROR, "%s", why.why);
		if (row->name.n)
			e->client->name = str_copy(e->a, row->name);
	}
	*out = e;
	return OK;
}

/* Unchanged since it was read: it need not be parsed again. */
static bool renewed(struct clients *l, struct entry *e, const struct client_row *row, epoch now)
{
	if (!e || !row || e->version != row->version || !e->client != (row->disabled_at != 0))
		return false;
	pthread_mutex_lock(&l->lock);
	e->read_at = now;
	pthread_mutex_unlock(&l->lock);
	return true;
}

err client_find(struct req *rq, struct str id, const struct client **out)
{
	struct clients *l = rq->house->clients;
	struct client_row *row;
	*out = NULL;
	if (str_empty(id) || id.n > 255)
		return OK;
	struct entry *e = look(l, id, true, rq->now);
	if (!e) {
		struct entry *stale = look(l, id, false, 0);
		if (stale)
			arena_defer(rq->a, drop, stale);
		TRY(store_client(rq->house->store, rq->a, id, &row));
		if (renewed(l, stale, row, rq->now)) {
			*out = stale->client;
			return OK;
		}
		TRY(entry_new(rq, id, row, &e));
		keep(l, e);
		*out = e->client;
		return OK;
	}
	arena_defer(rq->a, drop, e);
	*out = e->client;
	return OK;
}
