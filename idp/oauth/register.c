#include "audit_of.h"
#include "oauth.h"
#include "hash.h"
#include "profile.h"
#include "rand.h"
#include "remote.h"
#include "settings.h"
#include <stdlib.h>

/* Applications that register themselves: RFC 7591, OpenID Connect Dynamic Client Registration 1.0; and what they may do with their
 * registration afterwards: RFC 7592. What a stranger sends is metadata to be checked; what decides (the profile, the most that it may ask
 * for, whether people are asked) is the operator's: by the initial access token, or by the settings where none is needed. */

enum { BODY_MOST = 32 * 1024, AN_HOUR = 3600 };

/* One registration while it is being made. */
struct wish {
	struct req *rq;
	struct str id, ceiling;              /* the scope that it may have at most */
	json_t *asked, *meta;                /* what came, and what will be stored */
	struct str secret;                   /* "" unless it is told one */
	struct client client;
	struct str metadata;
};

/* ---- refusing ---------------------------------------------------------------------------------------------------------- */

/* The one answer of ours whose words depend on the request: whoever integrates an application must know which member it was. They are
 * names out of our own tables, never what came. */
static err refuse(struct req *rq, const char *member, const char *profile, const char *why)
{
	struct err_kind *kind = make(rq->a, struct err_kind);
	bool redirect = member && strcmp(member, "redirect_uris") == 0;
	*kind = redirect ? INVALID_REDIRECT_URI : INVALID_CLIENT_METADATA;
	if (profile)
		kind->told = str_fmt(rq->a, "The profile %s does not permit this value of %s.", profile, member).p;
	else if (member)
		kind->told = str_fmt(rq->a, "This value of %s cannot be registered.", member).p;
	return fault(rq->a, kind, "%s", why);
}

/* ---- reading ----------------------------------------------------------------------------------------------------------- */

static err read_body(struct req *rq, json_t **out)
{
	struct str type = header(rq, "content-type"), json = S("application/json");
	if (type.n < json.n || !str_eq_nocase((struct str){ type.p, json.n }, json))
		return fault(rq->a, &INVALID_CLIENT_METADATA, "content-type '%.80s'", type.p);
	if (rq->body.n > BODY_MOST)
		return fault(rq->a, &TOO_LARGE, "%zu bytes of metadata", rq->body.n);
	err e = json_read_object(rq->a, rq->body, out);
	if (e.kind)
		return fault(rq->a, &INVALID_CLIENT_METADATA, "%s", e.why);
	/* RFC 7591 section 2.3: what cannot be checked is not silently left out */
	return json_object_get(*out, "software_statement") ? fault(rq->a, &UNAPPROVED_SOFTWARE_STATEMENT, "a software_statement") : OK;
}

/* RFC 6750 section 2.1; "" when there is none */
static struct str bearer_of(struct req *rq)
{
	struct str h = header(rq, "authorization");
	bool bearer = h.n > 7 && str_eq_nocase((struct str){ h.p, 7 }, S("Bearer "));
	return bearer ? str_trim(rq->a, str_from(rq->a, h, 7)) : S("");
}

/* ---- making the metadata ---------------------------------------------------------------------------------------------------- */

static void set(json_t *o, const char *name, struct str v)
{
	if (json_object_set_new(o, name, json_stringn(v.p, v.n)))
		abort();
}

/* RFC 7591 section 3.2.1: "The authorization server MAY reject or replace any of the client's requested metadata values": nobody has more
 * than the ceiling, and who names nothing has all of it. */
static err set_scope(struct wish *k)
{
	struct arena *a = k->rq->a;
	struct str said;
	if (json_object_get(k->meta, "scope") && !json_str(k->meta, "scope", &said))
		return refuse(k->rq, "scope", NULL, "a scope that is no string");
	struct strs asked = str_words(a, json_text(k->meta, "scope")), granted = { .v = make_n(a, struct str, asked.n + 1) };
	for (size_t i = 0; i < asked.n; i++)
		if (word_in(k->ceiling, asked.v[i]) && !strs_has(granted, asked.v[i]))
			granted.v[granted.n++] = asked.v[i];
	if (asked.n && !granted.n)
		return refuse(k->rq, "scope", NULL, "nothing in scope that it may have");
	set(k->meta, "scope", asked.n ? strs_join(a, granted, S(" ")) : k->ceiling);
	return OK;
}

/* A secret only where it is used; hash: of the one that it has already, or "". */
static void set_secret(struct wish *k, struct str hash)
{
	struct str method = json_text(k->meta, "token_endpoint_auth_method");
	k->secret = S("");
	if (method.n && !str_starts(method, S("client_secret_")))
		return;
	if (str_empty(hash)) {
		k->secret = rand_token(k->rq->a);
		hash = hash_of(k->rq->a, k->secret);
	}
	set(k->meta, "client_secret_hash", hash);
}

/* ---- what must hold beyond client_parse ---------------------------------------------------------------------------------------- */

static err check_reachable(struct wish *k)
{
	const struct { const char *member; struct str uri; } READ[] = {
		{ "jwks_uri", k->client.jwks_uri }, { "sector_identifier_uri", k->client.sector_identifier_uri },
	};
	for (size_t i = 0; i < sizeof READ / sizeof *READ; i++)
		if (READ[i].uri.n && !outside_fit(k->rq->house, READ[i].uri))
			return refuse(k->rq, READ[i].member, NULL, "an address that is not asked");
	return OK;
}

/* OpenID Connect Core section 8.1: "The values registered in redirect_uris MUST be included in the elements of the array"; Registration
 * section 5: the provider MUST check that when the client registers */
static err check_sector(struct wish *k)
{
	struct str text;
	json_t *list;
	struct req *rq = k->rq;
	const char *member = "sector_identifier_uri";
	if (str_empty(k->client.sector_identifier_uri))
		return OK;
	err e = remote_text(rq, k->client.sector_identifier_uri, rq->now - REMOTE_AGAIN, &text);
	if (e.kind == &PARKED)
		return e;
	if (!e.kind)
		e = json_read(rq->a, text, &list);
	if (e.kind)
		return refuse(rq, member, NULL, e.why);
	if (!json_is_array(list) || !k->client.redirect_uris.n)
		return refuse(rq, member, NULL, "no array of redirect_uris, or none to be found in it");
	json_t *o = json_own(rq->a, json_pack("{s:O}", "uris", list));
	struct strs uris = json_strs(rq->a, o, "uris");
	for (size_t i = 0; i < k->client.redirect_uris.n; i++)
		if (!strs_has(uris, k->client.redirect_uris.v[i]))
			return refuse(rq, member, NULL, str_fmt(rq->a, "%s is not in the sector", k->client.redirect_uris.v[i].p).p);
	return OK;
}

static err make_client(struct wish *k)
{
	struct req *rq = k->rq;
	k->metadata = json_dump(rq->a, k->meta);
	err e = client_parse(rq->a, k->id, k->metadata, &k->client);
	if (e.kind)
		return refuse(rq, k->client.wrong, k->client.beyond_profile ? k->client.profile.p : NULL, e.why);
	TRY(check_reachable(k));
	return check_sector(k);
}

/* ---- telling ------------------------------------------------------------------------------------------------------------------ */

/* RFC 7591 section 3.2.1, RFC 7592 section 3 */
static err tell(struct wish *k, struct res *rs, int status, const struct client_row *row, struct str token)
{
	struct req *rq = k->rq;
	struct str json;
	struct jw w = jw_new(rq->a, 2 * BODY_MOST);
	jw_object(&w, NULL);
	jw_str(&w, "client_id", k->id);
	jw_int(&w, "client_id_issued_at", row->created_at);
	if (k->secret.n) {
		jw_str(&w, "client_secret", k->secret);
		jw_int(&w, "client_secret_expires_at", 0);
	}
	jw_str(&w, "registration_client_uri", str_fmt(rq->a, "%s/register/%s", rq->house->issuer.p, k->id.p));
	jw_str(&w, "registration_access_token", token);
	client_tell(&k->client, k->meta, &w);
	jw_end(&w);
	TRY(jw_done(&w, &json));
	res_json(rs, status, json);
	return OK;
}

/* ---- POST /register ----------------------------------------------------------------------------------------------------------- */

/* Counted once for each request, also when it waits for a document in between. */
static err check_rate(struct req *rq)
{
	int64_t n = 0;
	if (rq->parked_before)
		return OK;
	TRY(eph_count(rq->house->eph, rq->a, "registrations", peer_net(rq), 1, AN_HOUR, &n));
	return n <= rq->house->conf->registrations_per_address ? OK : fault(rq->a, &TOO_MANY_REQUESTS, "%lld registrations in an hour", (long long)n);
}

/* RFC 7591 section 3: by an initial access token, or without one where the operator says so. A token that is shown is never passed over. */
static err find_invite(struct req *rq, struct invite_row **out)
{
	struct str token = bearer_of(rq);
	*out = NULL;
	if (!param_there(&rq->headers, "authorization"))
		return rq->house->conf->registration_open ? OK : fault(rq->a, &INVALID_TOKEN, "no initial access token");
	if (token.n)
		TRY(store_invite(rq->house->store, rq->a, hash_of(rq->a, token), out));
	const struct invite_row *v = *out;
	bool good = v && v->uses_left > 0 && !v->revoked_at && v->expires_at > rq->now;
	return good ? OK : fault(rq->a, &INVALID_TOKEN, "an initial access token that is unknown, spent or over");
}

static err store_wish(struct wish *k, const struct invite_row *v, struct client_row *row, struct str token)
{
	static const char *const WHY[] = { [INVITE_SPENT] = "the initial access token was spent meanwhile", [REGISTRATIONS_FULL] = "no room for another registration" };
	struct req *rq = k->rq;
	struct audit ev = audit_of(rq, "client.added");
	enum registered outcome;
	*row = (struct client_row){ .id = k->id, .name = k->client.name, .metadata = k->metadata, .created_at = rq->now, .updated_at = rq->now, .version = 1 };
	struct registration r = { .client = *row, .token_hash = hash_of(rq->a, token), .scope = k->ceiling, .invite = v };
	ev.client_id = k->id;
	ev.detail = v ? str_fmt(rq->a, "{\"invite\":\"%s\"}", v->id.p) : S("{\"invite\":null}");
	TRY(store_register(rq->house->store, rq->a, &r, rq->house->conf->registrations, rq->now, &ev, &outcome));
	return outcome == REGISTERED ? OK : fault(rq->a, outcome == INVITE_SPENT ? &INVALID_TOKEN : &UNAVAILABLE, "%s", WHY[outcome]);
}

static err register_client(struct req *rq, struct res *rs)
{
	struct wish k = { .rq = rq };
	struct invite_row *v;
	struct client_row row;
	struct str token = rand_token(rq->a);
	TRY(check_rate(rq));
	TRY(find_invite(rq, &v));
	TRY(read_body(rq, &k.asked));
	k.id = rand_id(rq->a, rq->now_ms);
	k.ceiling = v ? v->scope : rq->house->conf->registration_scope;
	k.meta = client_said(rq->a, k.asked);
	TRY(set_scope(&k));
	set_secret(&k, S(""));
	if (v && v->profile.n)
		set(k.meta, "profile", v->profile);
	TRY(make_client(&k));
	TRY(store_wish(&k, v, &row, token));
	return tell(&k, rs, 201, &row, token);
}

/* ---- GET, PUT and DELETE /register/ID: RFC 7592 ----------------------------------------------------------------------------------- */

/* RFC 7592 section 2.1: a client that is no more and a token of another are both 401 */
static err find_registered(struct wish *k, struct client_row **row, struct str *token)
{
	struct req *rq = k->rq;
	json_t *stored;
	*token = bearer_of(rq);
	if (str_empty(*token))
		return fault(rq->a, &INVALID_TOKEN, "no registration access token");
	TRY(store_registered(rq->house->store, rq->a, rq->tail, hash_of(rq->a, *token), row, &k->ceiling));
	if (!*row)
		return fault(rq->a, &INVALID_TOKEN, "no registration access token of '%.80s'", rq->tail.p);
	k->id = (*row)->id;
	TRY(json_read_object(rq->a, (*row)->metadata, &stored));
	k->meta = stored;
	return OK;
}

static err read_client(struct req *rq, struct res *rs)
{
	struct wish k = { .rq = rq, .secret = S("") };
	struct client_row *row;
	struct str token;
	TRY(find_registered(&k, &row, &token));
	TRY(client_parse(rq->a, k.id, row->metadata, &k.client));
	return tell(&k, rs, 200, row, token);
}

/* RFC 7592 section 2.2: the client's own id; not what is the server's to say; and a secret only if it is the one that it has */
static err check_put(struct wish *k, struct str secret_hash)
{
	static const char *const NEVER[] = { "registration_access_token", "registration_client_uri", "client_secret_expires_at", "client_id_issued_at" };
	struct req *rq = k->rq;
	struct str secret;
	if (!str_eq(json_text(k->asked, "client_id"), k->id))
		return refuse(rq, "client_id", NULL, "the client_id is not its own");
	for (size_t i = 0; i < sizeof NEVER / sizeof *NEVER; i++)
		if (json_object_get(k->asked, NEVER[i]))
			return refuse(rq, NEVER[i], NULL, "a member that is not the client's to send");
	if (!json_object_get(k->asked, "client_secret"))
		return OK;
	if (!json_str(k->asked, "client_secret", &secret) || str_empty(secret_hash) || !str_same(secret_hash, hash_of(rq->a, secret)))
		return refuse(rq, "client_secret", NULL, "another secret than its own");
	return OK;
}

static err change_client(struct req *rq, struct res *rs)
{
	struct wish k = { .rq = rq };
	struct client_row *row;
	struct str token;
	TRY(find_registered(&k, &row, &token));
	TRY(read_body(rq, &k.asked));
	struct str hash = json_text(k.meta, "client_secret_hash");
	TRY(check_put(&k, hash));
	json_t *ours = client_ours(rq->a, k.meta);
	k.meta = client_said(rq->a, k.asked);
	TRY(set_scope(&k));
	set_secret(&k, hash);
	json_object_update(k.meta, ours);
	TRY(make_client(&k));
	struct audit ev = audit_of(rq, "client.changed");
	ev.client_id = k.id;
	row->metadata = k.metadata;
	row->name = k.client.name;
	row->updated_at = rq->now;
	TRY(store_client_change(rq->house->store, rq->a, row, &ev));
	client_forget(rq->house->clients, k.id);
	return tell(&k, rs, 200, row, token);
}

/* RFC 7592 section 2.3 */
static err remove_client(struct req *rq, struct res *rs)
{
	struct wish k = { .rq = rq };
	struct client_row *row;
	struct str token;
	bool existed;
	TRY(find_registered(&k, &row, &token));
	struct audit ev = audit_of(rq, "client.removed");
	ev.client_id = k.id;
	TRY(store_client_remove(rq->house->store, rq->a, k.id, &existed, &ev));
	client_forget(rq->house->clients, k.id);
	rs->status = 204;
	res_header(rq, rs, "Cache-Control", S("no-store"));
	return OK;
}

static err ep_register(struct req *rq, struct res *rs) { return refusal_audited(rq, "registration.refused", NULL, register_client(rq, rs)); }
static err ep_read(struct req *rq, struct res *rs) { return refusal_audited(rq, "registration.refused", NULL, read_client(rq, rs)); }
static err ep_change(struct req *rq, struct res *rs) { return refusal_audited(rq, "registration.refused", NULL, change_client(rq, rs)); }
static err ep_remove(struct req *rq, struct res *rs) { return refusal_audited(rq, "registration.refused", NULL, remove_client(rq, rs)); }

const struct route REGISTER_ROUTES[] = {
	{ "POST",   "/register",   ep_register, FAULTS_BEARER, 0 },
	{ "GET",    "/register/*", ep_read,     FAULTS_BEARER, 0 },
	{ "PUT",    "/register/*", ep_change,   FAULTS_BEARER, 0 },
	{ "DELETE", "/register/*", ep_remove,   FAULTS_BEARER, 0 },
	{ 0 },
};
