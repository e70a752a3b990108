#include "settings.h"
#include "details.h"
#include "assurance.h"
#include "address.h"
#include "exchange.h"
#include "file.h"
#include "key.h"
#include <sys/stat.h>

#define AT(f) offsetof(struct settings, f)
#define DETAIL(f) offsetof(struct detail_type, f)
#define OPERATOR(f) offsetof(struct operator_conf, f)
#define PROFILE(f) offsetof(struct profile_conf, f)
#define EXCHANGE(f) offsetof(struct exchange_rule, f)
#define ISSUER(f) offsetof(struct issuer_conf, f)
enum { MINUTE = 60, HOUR = 3600, DAY = 86400 };

static const struct setting IDP[] = {
	/* key          type         where            unsaid                 least..most */
	{ "issuer",      CONF_URL,    AT(issuer),      REQUIRED_SETTING,      0, 0, NULL },
	{ "state",       CONF_FILE,   AT(state),       REQUIRED_SETTING,      0, 0, NULL },
	{ "name",        CONF_STR,    AT(name),        "MotID",               0, 0, NULL },
	{ "listen",      CONF_STR,    AT(listen),      "127.0.0.1:28080",     0, 0, NULL },
	{ "proxied",     CONF_WORDS,  AT(proxied),     "",                    0, 0, NULL },
	{ "certified",   CONF_WORDS,  AT(certified),   "",                    0, 0, NULL },
	{ "cert_host",   CONF_URL,    AT(cert_host),   "",                    0, 0, NULL },
	{ "store",       CONF_STR,    AT(store),       "",                    0, 0, NULL },
	{ "short_lived", CONF_STR,    AT(eph),         "memory",              0, 0, NULL },
	{ "workers",     CONF_COUNT,  AT(workers),     "32",                  1, 512, NULL },
	{ "connections", CONF_COUNT,  AT(connections), "10000",               10, 100000, NULL },
	{ "deadline",    CONF_SECONDS,AT(deadline),    "10s",                 1, 60, NULL },
	{ 0 },
};
static const struct setting SECRETS[] = {
	{ "master_key_file", CONF_FILE, AT(master_key_file), "", 0, 0, NULL },
	{ 0 },
};
/* PROTOCOL.md 2.12: codes live for a minute at most; 2.6: a rotated refresh token must still answer for well over 30 s */
static const struct setting TOKENS[] = {
	{ "request_lives", CONF_SECONDS, AT(request_lives), "60s", 10, 600, NULL },
	{ "code_lives",    CONF_SECONDS, AT(code_lives),    "60s", 1, 60, NULL },
	{ "device_lives",  CONF_SECONDS, AT(device_lives),  "10m", MINUTE, 30 * MINUTE, NULL },
	{ "ciba_lives",    CONF_SECONDS, AT(ciba_lives),    "3m",  20, 10 * MINUTE, NULL },
	{ "access_lives",  CONF_SECONDS, AT(access_lives),  "5m",  30, HOUR, NULL },
	{ "id_lives",      CONF_SECONDS, AT(id_lives),      "5m",  30, HOUR, NULL },
	{ "refresh_lives", CONF_SECONDS, AT(refresh_lives), "30d", MINUTE, 366 * DAY, NULL },
	{ "refresh_grace", CONF_SECONDS, AT(refresh_grace), "60s", 0, 10 * MINUTE, NULL },
	{ "introspection_lives", CONF_SECONDS, AT(introspection_lives), "0s", 0, 5 * MINUTE, NULL },   /* how long a resource server may keep an answer */
	{ "key_rotation",  CONF_SECONDS, AT(key_rotation),  "90d", HOUR, 730 * DAY, NULL },
	{ "key_overlap",   CONF_SECONDS, AT(key_overlap),   "2d",  MINUTE, 30 * DAY, NULL },
	{ "userinfo_acr",  CONF_STR,     AT(userinfo_acr),  "",    0, 0, NULL },
	{ "userinfo_max_age", CONF_SECONDS, AT(userinfo_max_age), "0s", 0, DAY, NULL },
	{ "dpop_nonce",    CONF_BOOL,    AT(dpop_nonce),    "no",  0, 0, NULL },
	{ 0 },
};
/* Our own signing keys in an HSM (pki/hsm.h); without a module they are made here and kept sealed. */
static const struct setting KEYS[] = {
	{ "module",   CONF_FILE, AT(hsm_module),   "", 0, 0, NULL },
	{ "token",    CONF_STR,  AT(hsm_token),    "", 0, 0, NULL },
	{ "pin_file", CONF_FILE, AT(hsm_pin_file), "", 0, 0, NULL },
	{ 0 },
};
static const struct setting SESSIONS[] = {
	{ "session_lives",     CONF_SECONDS, AT(session_lives),     "8h",  MINUTE, 30 * DAY, NULL },
	{ "interaction_lives", CONF_SECONDS, AT(interaction_lives), "15m", MINUTE, HOUR, NULL },
	{ 0 },
};
static const struct setting LOGOUT[] = {
	{ "timeout",  CONF_SECONDS, AT(logout_timeout),  "5s", 1, 30, NULL },
	{ "gives_up", CONF_SECONDS, AT(logout_gives_up), "1d", MINUTE, 7 * DAY, NULL },
	{ 0 },
};
/* SIGNATURES.md 4.7: three pushes in ten minutes; SECURITY.md SEC-32. Counted over ten minutes each. */
static const struct setting LOGIN[] = {
	{ "methods",              CONF_WORDS,   AT(methods),              "sim token", 0, 0, NULL },
	{ "sim_timeout",          CONF_SECONDS, AT(sim_timeout),          "120s", 20, 180, NULL },
	{ "sim_per_person",       CONF_COUNT,   AT(sim_per_person),       "5",    1, 1000000, NULL },
	{ "sim_per_number",       CONF_COUNT,   AT(sim_per_number),       "5",    1, 1000000, NULL },
	{ "sim_per_client",       CONF_COUNT,   AT(sim_per_client),       "5000", 1, 10000000, NULL },
	{ "sim_per_address",      CONF_COUNT,   AT(sim_per_address),      "30",   1, 1000000, NULL },
	{ "attempts_per_address", CONF_COUNT,   AT(attempts_per_address), "300",  1, 10000000, NULL },
	{ "device_tries",         CONF_COUNT,   AT(device_tries),         "10000", 1, 10000000, NULL },
	{ "device_tries_per_address", CONF_COUNT, AT(device_tries_per_address), "60", 1, 1000000, NULL },
	{ "token_helper",         CONF_STR,     AT(token_helper_url),     "http://127.0.0.1:28990", 0, 0, NULL },
	{ 0 },
};
static const struct setting CERTIFICATES[] = {
	{ "status_timeout", CONF_SECONDS, AT(status_timeout), "3s",  1, 8, NULL },
	{ "status_age",     CONF_SECONDS, AT(status_age),     "10m", 1, DAY, NULL },
	{ "crl_fallback",   CONF_BOOL,    AT(crl_fallback),   "yes", 0, 0, NULL },
	{ 0 },
};
static const struct setting OUTGOING[] = {
	{ "networks", CONF_STR,  AT(outgoing_networks), "", 0, 0, NULL },
	{ "ca_file",  CONF_FILE, AT(outgoing_ca),       "", 0, 0, NULL },
	{ 0 },
};
/* RFC 7591 section 3. Per address: in an hour. */
static const struct setting REGISTRATION[] = {
	{ "open",        CONF_BOOL,  AT(registration_open),         "no",    0, 0, NULL },
	{ "scope",       CONF_STR,   AT(registration_scope),        "openid profile email phone address offline_access", 0, 0, NULL },
	{ "per_address", CONF_COUNT, AT(registrations_per_address), "60",    1, 1000000, NULL },
	{ "most",        CONF_COUNT, AT(registrations),             "10000", 1, 10000000, NULL },
	{ 0 },
};
static const struct setting OPERATORS[] = {
	{ "profile",          CONF_STR,     OPERATOR(profile),          REQUIRED_SETTING, 0, 0, NULL },
	{ "signature_url",    CONF_URL,     OPERATOR(signature_url),    REQUIRED_SETTING, 0, 0, NULL },
	{ "status_url",       CONF_URL,     OPERATOR(status_url),       "", 0, 0, NULL },
	{ "registration_url", CONF_URL,     OPERATOR(registration_url), "", 0, 0, NULL },
	{ "ap_id",            CONF_STR,     OPERATOR(ap_id),            REQUIRED_SETTING, 0, 0, NULL },
	{ "ap_password_file", CONF_FILE,    OPERATOR(ap_password_file), "", 0, 0, NULL },
	{ "mssp_uri",         CONF_STR,     OPERATOR(mssp_uri),         REQUIRED_SETTING, 0, 0, NULL },
	{ "ca_file",          CONF_FILE,    OPERATOR(ca_file),          "", 0, 0, NULL },
	{ "cert_file",        CONF_FILE,    OPERATOR(cert_file),        "", 0, 0, NULL },
	{ "key_file",         CONF_FILE,    OPERATOR(key_file),         "", 0, 0, NULL },
	{ "prefixes",         CONF_WORDS,   OPERATOR(prefixes),         REQUIRED_SETTING, 0, 0, NULL },
	{ "open_limit",       CONF_COUNT,   OPERATOR(open_limit),       "2000", 1, 100000, NULL },
	{ "per_minute",       CONF_COUNT,   OPERATOR(per_minute),       "6000", 1, 1000000, NULL },
	{ "break_after",      CONF_COUNT,   OPERATOR(break_after),      "5", 1, 1000, NULL },
	{ "break_for",        CONF_SECONDS, OPERATOR(break_for),        "30s", 1, HOUR, NULL },
	{ 0 },
};
static const struct setting PROFILES[] = {
	{ "messaging",           CONF_CHOICE,  PROFILE(messaging),           "asynch", 0, 0, "asynch synch" },
	{ "format",              CONF_CHOICE,  PROFILE(format),              "cms", 0, 0, "cms pkcs1" },
	{ "data",                CONF_CHOICE,  PROFILE(data),                "hash", 0, 0, "hash digestinfo" },
	{ "msisdn",              CONF_CHOICE,  PROFILE(msisdn),              "plus", 0, 0, "plus bare" },
	{ "signature_profile",   CONF_STR,     PROFILE(signature_profile),   REQUIRED_SETTING, 0, 0, NULL },
	{ "format_uri",          CONF_STR,     PROFILE(format_uri),          REQUIRED_SETTING, 0, 0, NULL },
	{ "additional_services", CONF_WORDS,   PROFILE(additional_services), "", 0, 0, NULL },
	{ "success_codes",       CONF_WORDS,   PROFILE(success_codes),       "500 502", 0, 0, NULL },
	{ "pending_codes",       CONF_WORDS,   PROFILE(pending_codes),       "100 504", 0, 0, NULL },
	{ "cancel_codes",        CONF_WORDS,   PROFILE(cancel_codes),        "401", 0, 0, NULL },
	{ "timeout_codes",       CONF_WORDS,   PROFILE(timeout_codes),       "208", 0, 0, NULL },
	{ "code",                CONF_CHOICE,  PROFILE(code),                "vn", 0, 0, "vn mid" },
	{ "code_by_applet",      CONF_BOOL,    PROFILE(code_by_applet),      "no", 0, 0, NULL },
	{ "first_poll",          CONF_SECONDS, PROFILE(first_poll),          "3s", 1, MINUTE, NULL },
	{ "poll",                CONF_SECONDS, PROFILE(poll),                "3s", 1, MINUTE, NULL },
	{ 0 },
};

static const struct setting ISSUERS[] = {
	{ "iss",          CONF_STR,    ISSUER(iss),          REQUIRED_SETTING, 0, 0, NULL },
	{ "jwks_file",    CONF_FILE,   ISSUER(jwks_file),    "", 0, 0, NULL },
	{ "jwks_uri",     CONF_URL,    ISSUER(jwks_uri),     "", 0, 0, NULL },
	{ "algs",         CONF_WORDS,  ISSUER(algs),         "RS256 ES256", 0, 0, "RS256 ES256" },
	{ "audience",     CONF_WORDS,  ISSUER(audience),     REQUIRED_SETTING, 0, 0, NULL },
	{ "subject",      CONF_CHOICE, ISSUER(subject),      "pairwise", 0, 0, "pairwise number" },
	{ "number_claim", CONF_STR,    ISSUER(number_claim), "vn_number", 0, 0, NULL },
	{ "level",        CONF_CHOICE, ISSUER(level),        "low", 0, 0, "low substantial high" },
	{ 0 },
};
static const struct setting EXCHANGES[] = {
	{ "client",   CONF_WORDS,   EXCHANGE(clients),   REQUIRED_SETTING, 0, 0, NULL },
	{ "subject",  CONF_WORDS,   EXCHANGE(subjects),  REQUIRED_SETTING, 0, 0, NULL },
	{ "from",     CONF_WORDS,   EXCHANGE(from),      "", 0, 0, NULL },
	{ "audience", CONF_WORDS,   EXCHANGE(audiences), REQUIRED_SETTING, 0, 0, NULL },
	{ "scope",    CONF_WORDS,   EXCHANGE(scopes),    "", 0, 0, NULL },
	{ "mode",     CONF_WORDS,   EXCHANGE(modes),     "delegation", 0, 0, "delegation impersonation" },
	{ "acr",      CONF_CHOICE,  EXCHANGE(acr),       "any", 0, 0, "any low substantial high" },
	{ "depth",    CONF_COUNT,   EXCHANGE(depth),     "1", 1, EXCHANGE_DEPTH_MOST, NULL },
	{ "lives",    CONF_SECONDS, EXCHANGE(lives),     "5m", 30, HOUR, NULL },
	{ "bound",    CONF_BOOL,    EXCHANGE(bound),     "no", 0, 0, NULL },
	{ "mandate",  CONF_BOOL,    EXCHANGE(mandate),   "no", 0, 0, NULL },
	{ 0 },
};

static const struct setting DETAILS[] = {
	{ "text",     CONF_STR,   DETAIL(text),     "", 0, 0, NULL },
	{ "text_en",  CONF_STR,   DETAIL(text_en),  "", 0, 0, NULL },
	{ "fields",   CONF_WORDS, DETAIL(fields),   "actions locations", 0, 0, NULL },
	{ "required", CONF_WORDS, DETAIL(required), "", 0, 0, NULL },
	{ "actions",  CONF_WORDS, DETAIL(actions),  "", 0, 0, NULL },
	{ 0 },
};

static const struct setting POLICY[] = {
	{ "file", CONF_FILE, AT(policy_file), "", 0, 0, NULL },
	{ 0 },
};

#define POLICY_SECTIONS \
	{ "exchange",     EXCHANGES,    AT(exchanges), sizeof(struct exchange_rule) }, \
	{ "issuer",       ISSUERS,      AT(issuers),   sizeof(struct issuer_conf) }

static const struct section POLICIES[] = { POLICY_SECTIONS, { 0 } };

const struct section SETTINGS[] = {
	{ "idp",          IDP,          0, 0 },
	{ "secrets",      SECRETS,      0, 0 },
	{ "tokens",       TOKENS,       0, 0 },
	{ "keys",         KEYS,         0, 0 },
	{ "sessions",     SESSIONS,     0, 0 },
	{ "logout",       LOGOUT,       0, 0 },
	{ "login",        LOGIN,        0, 0 },
	{ "certificates", CERTIFICATES, 0, 0 },
	{ "outgoing",     OUTGOING,     0, 0 },
	{ "registration", REGISTRATION, 0, 0 },
	{ "operator",     OPERATORS,    AT(operators), sizeof(struct operator_conf) },
	{ "profile",      PROFILES,     AT(profiles),  sizeof(struct profile_conf) },
	{ "authorization_type", DETAILS, AT(detail_types), sizeof(struct detail_type) },
	{ "policy",       POLICY,       0, 0 },
	POLICY_SECTIONS,
	{ 0 },
};

static err check_methods(struct arena *a, const char *path, const struct settings *s)
{
	if (!s->methods.n)
		return fault(a, &BAD_CONFIG, "%s: [login] methods must name at least one of: sim token tls", path);
	for (size_t i = 0; i < s->methods.n; i++)
		if (!word_in(S("sim token tls"), s->methods.v[i]))
			return fault(a, &BAD_CONFIG, "%s: [login] methods may be: sim token tls; is '%s'", path, s->methods.v[i].p);
	if (strs_has(s->methods, S("tls")) && (str_empty(s->cert_host) || !s->certified.n))
		return fault(a, &BAD_CONFIG, "%s: [login] methods has tls, which needs [idp] cert_host and certified", path);
	return OK;
}

static err check_acr(struct arena *a, const char *path, const struct settings *s)
{
	if (s->userinfo_acr.n && !assurance_of(s->userinfo_acr))
		return fault(a, &BAD_CONFIG, "%s: [tokens] userinfo_acr may be: low substantial high; is '%s'", path, s->userinfo_acr.p);
	return OK;
}

/* With key_overlap a key is published before it signs; a cache of our JWKS lives for an hour. */
static err check_keys(struct arena *a, const char *path, const struct settings *s)
{
	if (s->key_overlap * 2 > s->key_rotation)
		return fault(a, &BAD_CONFIG, "%s: [tokens] key_overlap must be at most half of key_rotation", path);
	if (s->hsm_module.n ? !s->hsm_token.n || !s->hsm_pin_file.n : s->hsm_token.n || s->hsm_pin_file.n)
		return fault(a, &BAD_CONFIG, "%s: [keys] module, token and pin_file go together", path);
	return OK;
}

static err check_networks(struct arena *a, const char *path, const struct settings *s)
{
	struct strs l = str_words(a, s->outgoing_networks);
	struct network ignored;
	for (size_t i = 0; i < l.n; i++)
		if (!network_read(l.v[i], &ignored))
			return fault(a, &BAD_CONFIG, "%s: [outgoing] networks: '%s' is no network such as 10.0.0.0/8", path, l.v[i].p);
	return OK;
}

/* Keys in a file are read once, here: one that cannot be used is known before anybody comes. */
static err read_issuer_keys(struct arena *a, const char *path, struct issuer_conf *i)
{
	json_t *o;
	struct key_set set;
	TRY(file_read(a, i->jwks_file.p, JSON_MAX_SIZE, &i->jwks));
	err e = json_read_object(a, i->jwks, &o);
	if (!e.kind)
		e = key_set_read(a, o, &set);
	return e.kind ? fault(a, &BAD_CONFIG, "%s: [issuer %s] jwks_file: %s", path, i->name.p, e.why) : OK;
}

static err check_issuers(struct arena *a, const char *path, struct settings *s)
{
	struct issuer_conf *all = s->issuers.items;
	for (size_t i = 0; i < s->issuers.n; i++) {
		if (str_empty(all[i].jwks_file) == str_empty(all[i].jwks_uri))
			return fault(a, &BAD_CONFIG, "%s: [issuer %s] needs one of jwks_file and jwks_uri", path, all[i].name.p);
		if (str_empty(all[i].iss) || str_eq(all[i].iss, s->issuer) || !all[i].audience.n || !all[i].algs.n)
			return fault(a, &BAD_CONFIG, "%s: [issuer %s] needs an iss that is not ours, an audience and algs", path, all[i].name.p);
		for (size_t k = 0; k < i; k++)
			if (str_eq(all[i].iss, all[k].iss))
				return fault(a, &BAD_CONFIG, "%s: [issuer %s] has the iss of [issuer %s]", path, all[i].name.p, all[k].name.p);
		if (all[i].jwks_file.n)
			TRY(read_issuer_keys(a, path, &all[i]));
	}
	return OK;
}

static struct strs issuer_names(struct arena *a, const struct settings *s)
{
	const struct issuer_conf *all = s->issuers.items;
	struct strs l = { .v = make_n(a, struct str, s->issuers.n + 1) };
	for (size_t i = 0; i < s->issuers.n; i++)
		l.v[l.n++] = all[i].name;
	return l;
}

err settings_load(struct arena *a, const char *path, struct settings *out)
{
	*out = (struct settings){ 0 };
	TRY(conf_load(a, path, SETTINGS, out));
	if (str_empty(out->store))
		out->store = str_fmt(a, "sqlite:%s/motid.db", out->state.p);
	out->master_key_ours = str_empty(out->master_key_file);
	if (out->master_key_ours)
		out->master_key_file = str_fmt(a, "%s/master.key", out->state.p);
	TRY(check_methods(a, path, out));
	TRY(check_acr(a, path, out));
	TRY(check_networks(a, path, out));
	TRY(check_keys(a, path, out));
	TRY(detail_types_check(a, path, out->detail_types.items, out->detail_types.n));
	if (out->policy_file.n)
		TRY(conf_load(a, out->policy_file.p, POLICIES, out));
	TRY(check_issuers(a, path, out));
	return exchange_check(a, path, out->exchanges.items, out->exchanges.n, issuer_names(a, out), out->issuer);
}
