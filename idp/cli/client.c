#include "client.h"
#include "code.h"
#include "hash.h"
#include "profile.h"
#include "rand.h"
#include "settings.h"
#include "tool.h"

static const struct column COLUMNS[] = {
	{ "client_id", "client_id", 0 }, { "client_secret", "client_secret", 0 }, { "name", "client_name", 0 }, { "state", "state", 0 },
	{ "auth", "token_endpoint_auth_method", 0 }, { "grants", "grant_types", 0 }, { "redirect", "redirect_uris", 0 },
	{ "post-logout", "post_logout_redirect_uris", 0 },
	{ "back-channel", "backchannel_logout_uri", 0 }, { "front-channel", "frontchannel_logout_uri", 0 }, { "scope", "scope", 0 }, { "id token", "id_token_signed_response_alg", 0 },
	{ "subject", "subject_type", 0 }, { "sector", "sector_identifier_uri", 0 }, { "keys", "jwks_uri", 0 }, { "login", "initiate_login_uri", 0 },
	{ "contacts", "contacts", 0 }, { "profile", "profile", 0 }, { "trusted", "trusted", 0 }, { "added", "created_at", 0 },
	{ "changed", "updated_at", 0 }, { 0 },
};

static const struct { const char *word, *method; } METHODS[] = {
	{ "basic", "client_secret_basic" }, { "post", "client_secret_post" }, { "private-key-jwt", "private_key_jwt" }, { "mtls", NULL }, { "none", "none" },
};

static err method_of(struct run *r, struct str *method)
{
	struct str word = arg_there(r, "--public") ? S("none") : arg_there(r, "--auth") ? arg(r, "--auth") : S("basic");
	if (arg_there(r, "--public") && arg_there(r, "--auth") && !str_is(arg(r, "--auth"), "none"))
		return fault(r->a, &BAD_USAGE, "a public client authenticates by none; leave --auth out");
	for (size_t i = 0; i < sizeof METHODS / sizeof *METHODS; i++) {
		if (!str_is(word, METHODS[i].word) && (!METHODS[i].method || !str_is(word, METHODS[i].method)))
			continue;
		/* RFC 8705 section 2: a certificate of a known authority, or one whose key was registered */
		*method = METHODS[i].method ? str_of(METHODS[i].method)
			: arg_there(r, "--tls-subject") ? S("tls_client_auth") : S("self_signed_tls_client_auth");
		return OK;
	}
	return fault(r->a, &BAD_USAGE, "--auth is one of: basic post private-key-jwt mtls none");
}

/* Names of our own stay within what goes unescaped through URLs, forms and headers. */
static err id_of(struct run *r, struct str *id)
{
	*id = arg_there(r, "--id") ? arg(r, "--id") : rand_id(r->a, r->now_ms);
	bool good = id->n > 0 && id->n <= 64;
	for (size_t i = 0; i < id->n; i++)
		good &= strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-", id->p[i]) != NULL;
	return good ? OK : fault(r->a, &BAD_USAGE, "--id is 1 to 64 of A-Z a-z 0-9 _ -");
}

/* Option, RFC 7591 name, and whether it is a list there. Those that were not given are left to client_parse. */
static const struct option OPTIONS[] = {
	{ "--name", "client_name", false }, { "--redirect", "redirect_uris", true }, { "--post-logout", "post_logout_redirect_uris", true },
	{ "--backchannel-logout", "backchannel_logout_uri", false }, { "--frontchannel-logout", "frontchannel_logout_uri", false },
	{ "--grant", "grant_types", true }, { "--scope", "scope", false }, { "--alg", "id_token_signed_response_alg", false },
	{ "--profile", "profile", false }, { "--minimum-acr", "minimum_acr", false }, { "--acr", "default_acr_values", true }, { "--subject", "subject_type", false }, { "--sector", "sector", false },
	{ "--request-uri", "request_uris", true }, { "--resource", "resources", true }, { "--details", "authorization_details_types", true },
	{ "--audience", "audiences", true }, { "--uri", "client_uri", false }, { "--tls-subject", "tls_client_auth_subject_dn", false },
	{ "--jwks-uri", "jwks_uri", false }, { "--logo", "logo_uri", false }, { "--policy", "policy_uri", false }, { "--tos", "tos_uri", false },
	{ "--login", "initiate_login_uri", false }, { "--contact", "contacts", true },
	{ "--userinfo-alg", "userinfo_signed_response_alg", false }, { "--introspection-alg", "introspection_signed_response_alg", false },
	{ "--encrypt-alg", "id_token_encrypted_response_alg", false }, { "--encrypt-enc", "id_token_encrypted_response_enc", false },
	{ "--encrypt-userinfo-alg", "userinfo_encrypted_response_alg", false }, { "--encrypt-userinfo-enc", "userinfo_encrypted_response_enc", false },
	{ "--ciba", "backchannel_token_delivery_mode", false }, { "--ciba-notify", "backchannel_client_notification_endpoint", false },
	{ "--ciba-alg", "backchannel_authentication_request_signing_alg", false },
	{ 0 },
};

static err read_jwks(struct run *r, struct jw *w)
{
	struct str text;
	json_t *jwks;
	if (!arg_there(r, "--jwks"))
		return OK;
	TRY(arg_file(r, "--jwks", JSON_MAX_SIZE, &text));
	err e = json_read_object(r->a, text, &jwks);
	if (e.kind)
		return fault(r->a, &BAD_USAGE, "%s: %s", arg(r, "--jwks").p, e.why);
	jw_raw(w, "jwks", json_dump(r->a, jwks));
	return OK;
}

static err metadata_of(struct run *r, struct str method, struct str secret, struct str *out)
{
	struct jw w = jw_new(r->a, JSON_MAX_SIZE);
	jw_object(&w, NULL);
	args_write(r, &w, OPTIONS);
	jw_str(&w, "token_endpoint_auth_method", method);
	TRY(read_jwks(r, &w));
	if (!str_empty(secret))
		jw_str(&w, "client_secret_hash", hash_of(r->a, secret));
	if (arg_there(r, "--trusted"))
		jw_bool(&w, "trusted", true);
	if (arg_there(r, "--pkce"))
		jw_bool(&w, "require_pkce", true);
	if (arg_there(r, "--par"))
		jw_bool(&w, "require_pushed_authorization_requests", true);
	if (arg_there(r, "--signed-requests"))
		jw_bool(&w, "require_signed_request_object", true);
	if (arg_there(r, "--bound-tokens"))
		jw_bool(&w, "tls_client_certificate_bound_access_tokens", true);
	if (arg_there(r, "--dpop"))
		jw_bool(&w, "dpop_bound_access_tokens", true);
	jw_end(&w);
	return jw_done(&w, out);
}

static err add(struct run *r)
{
	struct str method, secret = S("");
	struct client_row row = { .name = arg(r, "--name"), .created_at = r->now, .updated_at = r->now, .version = 1 };
	struct client parsed;
	TRY(id_of(r, &row.id));
	TRY(method_of(r, &method));
	if (str_starts(method, S("client_secret_")))
		secret = rand_token(r->a);
	TRY(metadata_of(r, method, secret, &row.metadata));
	err e = client_parse(r->a, row.id, row.metadata, &parsed);
	if (e.kind)
		return fault(r->a, &BAD_USAGE, "%s", e.why);
	struct audit ev = audit_by_tool(r, "client.added");
	ev.client_id = row.id;
	e = store_client_add(r->house->store, r->a, &row, &ev);
	if (e.kind == &CONFLICT)
		return fault(r->a, &CONFLICT, "there is a client %s already; choose another --id, or remove it first", row.id.p);
	TRY(e);

	json_t *o = json_own(r->a, json_object());
	json_put(o, "client_id", show_str(row.id));
	if (!str_empty(secret))
		json_put(o, "client_secret", show_str(secret));
	show_one(r, o, COLUMNS);
	if (!str_empty(secret) && !r->json)
		fputs("The secret is shown this once; only its hash is kept.\n", stderr);
	return OK;
}

static json_t *shown(struct run *r, const struct client_row *row)
{
	json_t *meta, *o = json_object();
	if (!json_read_object(r->a, row->metadata, &meta).kind)
		json_object_update(o, meta);
	json_object_del(o, "client_secret_hash");
	json_put(o, "client_id", show_str(row->id));
	json_put(o, "client_name", show_str(row->name));
	json_put(o, "state", json_string(row->disabled_at ? "disabled" : "active"));
	json_put(o, "created_at", show_time(r, row->created_at));
	json_put(o, "updated_at", show_time(r, row->updated_at));
	return o;
}

static err list(struct run *r)
{
	static const struct column LIST[] = { { "ID", "client_id", 36 }, { "NAME", "client_name", 0 }, { "STATE", "state", 8 }, { "ADDED", "created_at", 20 }, { 0 } };
	enum { PAGE = 200 };
	json_t *rows = json_own(r->a, json_array());
	struct str after = S("");
	for (size_t n = PAGE; n == PAGE;) {
		struct client_row *page;
		TRY(store_client_list(r->house->store, r->a, after, PAGE, &page, &n));
		for (size_t i = 0; i < n; i++)
			json_array_append_new(rows, shown(r, &page[i]));
		if (n)
			after = page[n - 1].id;
	}
	show_list(r, rows, LIST);
	return OK;
}

static err show(struct run *r)
{
	struct client_row *row;
	TRY(store_client(r->house->store, r->a, arg(r, "ID"), &row));
	TRY(needs_row(r, row, "client", arg(r, "ID")));
	show_one(r, json_own(r->a, shown(r, row)), COLUMNS);
	return OK;
}

static err drop(struct run *r)
{
	bool existed;
	struct audit ev = audit_by_tool(r, "client.removed");
	ev.client_id = arg(r, "ID");
	TRY(store_client_remove(r->house->store, r->a, arg(r, "ID"), &existed, &ev));
	TRY(needs_row(r, existed ? r : NULL, "client", arg(r, "ID")));
	json_t *o = json_own(r->a, json_object());
	json_put(o, "removed", show_str(arg(r, "ID")));
	show_one(r, o, (const struct column[]){ { "removed", "removed", 0 }, { 0 } });
	return OK;
}

/* ---- initial access tokens: RFC 7591 section 1.2 ---------------------------------------------------------------------- */

static const struct column INVITE[] = {
	{ "id", "id", 0 }, { "token", "token", 0 }, { "name", "name", 0 }, { "profile", "profile", 0 }, { "scope", "scope", 0 }, { "uses", "uses", 0 }, { "until", "until", 0 }, { 0 },
};

enum { USES_MOST = 100000, DAYS_MOST = 366, A_DAY = 86400 };

static err count_of(struct run *r, const char *option, int64_t unsaid, int64_t most, int64_t *out)
{
	*out = unsaid;
	if (arg_there(r, option) && !str_int(arg(r, option), 1, most, out))
		return fault(r->a, &BAD_USAGE, "%s is 1 to %lld", option, (long long)most);
	return OK;
}

static json_t *invite_shown(struct run *r, const struct invite_row *v)
{
	json_t *o = json_object();
	bool over = v->revoked_at || v->expires_at <= r->now || v->uses_left < 1;
	json_put(o, "id", show_str(v->id));
	json_put(o, "name", show_str(v->name));
	json_put(o, "profile", show_str(v->profile));
	json_put(o, "scope", show_str(v->scope));
	json_put(o, "uses", json_integer(v->uses_left));
	json_put(o, "until", show_time(r, v->expires_at));
	json_put(o, "state", json_string(v->revoked_at ? "revoked" : over ? "over" : "open"));
	return o;
}

static err invite(struct run *r)
{
	int64_t days;
	struct str token = rand_token(r->a);
	struct invite_row v = { .id = rand_id(r->a, r->now_ms), .hash = hash_of(r->a, token), .name = arg(r, "--name"), .profile = arg(r, "--profile"),
		.scope = arg_there(r, "--scope") ? strs_join(r->a, str_words(r->a, arg(r, "--scope")), S(" ")) : r->house->conf->registration_scope, .created_at = r->now };
	TRY(count_of(r, "--uses", 1, USES_MOST, &v.uses_left));
	TRY(count_of(r, "--days", 7, DAYS_MOST, &days));
	v.expires_at = r->now + days * A_DAY;
	const struct profile *p = profile_of(v.profile);
	if (!p)
		return fault(r->a, &BAD_USAGE, "there is no profile %s", v.profile.p);
	v.profile = p->name;
	struct audit ev = audit_by_tool(r, "invite.added");
	ev.detail = str_fmt(r->a, "{\"invite\":\"%s\"}", v.id.p);
	TRY(store_invite_add(r->house->store, r->a, &v, &ev));
	json_t *o = json_own(r->a, invite_shown(r, &v));
	json_put(o, "token", show_str(token));
	show_one(r, o, INVITE);
	if (!r->json)
		fprintf(stderr, "The token is shown this once. POST metadata (RFC 7591) to %s/register with it as Bearer.\n", r->house->issuer.p);
	return OK;
}

static err invites(struct run *r)
{
	static const struct column LIST[] = { { "ID", "id", 36 }, { "NAME", "name", 0 }, { "STATE", "state", 7 }, { "USES", "uses", 6 }, { 0 } };
	enum { PAGE = 200 };
	json_t *rows = json_own(r->a, json_array());
	struct str after = S("");
	for (size_t n = PAGE; n == PAGE;) {
		struct invite_row *page;
		TRY(store_invite_list(r->house->store, r->a, after, PAGE, &page, &n));
		for (size_t i = 0; i < n; i++)
			json_array_append_new(rows, invite_shown(r, &page[i]));
		if (n)
			after = page[n - 1].id;
	}
	show_list(r, rows, LIST);
	return OK;
}

static err uninvite(struct run *r)
{
	bool existed;
	struct audit ev = audit_by_tool(r, "invite.revoked");
	ev.detail = str_fmt(r->a, "{\"invite\":%s}", json_dump(r->a, json_own(r->a, show_str(arg(r, "ID")))).p);
	TRY(store_invite_revoke(r->house->store, r->a, arg(r, "ID"), r->now, &existed, &ev));
	if (!existed)
		return fault(r->a, &NOT_FOUND, "there is no invitation %s that is not revoked; motid client invites lists them all", arg(r, "ID").p);
	json_t *o = json_own(r->a, json_object());
	json_put(o, "revoked", show_str(arg(r, "ID")));
	show_one(r, o, (const struct column[]){ { "revoked", "revoked", 0 }, { 0 } });
	return OK;
}

const struct command CLIENT_COMMANDS[] = {
	{ "client", "add",
	  "--name NAME [--redirect URI]... [--post-logout URI]... [--auth METHOD] [--public] [--jwks FILE] [--jwks-uri URI] [--ciba MODE] [--ciba-notify URL] [--ciba-alg ALG] [--tls-subject DN] [--scope WORDS] "
	  "[--alg ALG] [--grant TYPE]... [--profile NAME] [--acr VALUE]... [--minimum-acr VALUE] [--subject TYPE] [--sector HOST] [--audience URI]... [--uri URI] "
	  "[--resource URI]... [--details TYPE]... [--request-uri URI]... [--par] [--signed-requests] "
	  "[--logo URI] [--policy URI] [--tos URI] [--login URI] [--contact EMAIL]... "
	  "[--backchannel-logout URI] [--frontchannel-logout URI] "
	  "[--userinfo-alg ALG] [--introspection-alg ALG] [--encrypt-alg ALG] [--encrypt-enc ENC] [--encrypt-userinfo-alg ALG] [--encrypt-userinfo-enc ENC] "
	  "[--pkce] [--bound-tokens] [--dpop] [--trusted] [--id ID]",
	  "register an application; its secret is printed once", add, NEEDS_SCHEMA },
	{ "client", "list", "", "all applications", list, NEEDS_SCHEMA },
	{ "client", "show", "ID", "one application", show, NEEDS_SCHEMA },
	{ "client", "remove", "ID", "remove an application and end what it was granted", drop, NEEDS_SCHEMA },
	{ "client", "snippet", "ID --for FRAMEWORK [--secret SECRET]", "a configuration: apache aspnet nginx node python spring", client_snippet, NEEDS_SCHEMA },
	{ "client", "invite", "--name NAME [--uses N] [--days N] [--profile NAME] [--scope WORDS]",
	  "let an application register itself, by a token", invite, NEEDS_SCHEMA },
	{ "client", "invites", "", "all such tokens", invites, NEEDS_SCHEMA },
	{ "client", "uninvite", "ID", "revoke such a token; what it registered stays", uninvite, NEEDS_SCHEMA },
	{ 0 },
};
