#include "oidc.h"
#include "clock.h"
#include "hash.h"

static const struct str SCOPES[] = { S("openid"), S("profile"), S("email"), S("address"), S("phone"), S("offline_access"), S("vn_number"), { 0 } };

const struct str *scopes_all(void) { return SCOPES; }

bool scope_known(struct str scope)
{
	for (const struct str *s = SCOPES; s->n; s++)
		if (str_eq(*s, scope))
			return true;
	return false;
}

/* OpenID Connect Core sections 5.1 and 5.4 */
enum type { TEXT, TRUTH, NUMBER, OBJECT };
static const struct claim { const char *name, *scope; enum type type; } CLAIMS[] = {
	{ "name",                  "profile", TEXT },
	{ "family_name",           "profile", TEXT },
	{ "given_name",            "profile", TEXT },
	{ "middle_name",           "profile", TEXT },
	{ "nickname",              "profile", TEXT },
	{ "preferred_username",    "profile", TEXT },
	{ "profile",               "profile", TEXT },
	{ "picture",               "profile", TEXT },
	{ "website",               "profile", TEXT },
	{ "gender",                "profile", TEXT },
	{ "birthdate",             "profile", TEXT },
	{ "zoneinfo",              "profile", TEXT },
	{ "locale",                "profile", TEXT },
	{ "updated_at",            "profile", NUMBER },
	{ "email",                 "email",   TEXT },
	{ "email_verified",        "email",   TRUTH },
	{ "address",               "address", OBJECT },
	{ "phone_number",          "phone",   TEXT },
	{ "phone_number_verified", "phone",   TRUTH },
	{ 0 },
};

void claims_names(struct jw *w)
{
	static const char *const ALWAYS[] = { "sub", "iss", "aud", "exp", "iat", "auth_time", "nonce", "acr", "amr", "sid", "vn_number" };
	for (size_t i = 0; i < sizeof ALWAYS / sizeof *ALWAYS; i++)
		jw_str(w, NULL, str_of(ALWAYS[i]));
	for (const struct claim *c = CLAIMS; c->name; c++)
		jw_str(w, NULL, str_of(c->name));
}

/* What is stored with another type than the claim has is not told at all. */
static bool fits(const json_t *v, enum type type)
{
	switch (type) {
	case TEXT:
		return json_is_string(v) && json_string_length(v) > 0;
	case TRUTH:
		return json_is_boolean(v);
	case NUMBER:
		return json_is_integer(v);
	case OBJECT:
		return json_is_object(v) && json_object_size(v) > 0;
	}
	return false;
}

/* What we know of a person besides the claims that were recorded. */
static json_t *known(struct req *rq, const struct person_row *p)
{
	json_t *o;
	struct str phone;
	if (str_empty(p->claims) || json_read_object(rq->a, p->claims, &o).kind)
		o = json_own(rq->a, json_object());
	if (!json_object_get(o, "name") && p->name.n)
		json_object_set_new(o, "name", json_stringn(p->name.p, p->name.n));
	if (!json_object_get(o, "updated_at") && p->updated_at)
		json_object_set_new(o, "updated_at", json_integer(p->updated_at));
	if (!json_object_get(o, "phone_number") && p->phone_sealed.n &&
	    seal_open(rq->a, rq->house->secrets.seal, str_fmt(rq->a, "person:%s:phone", p->id.p), p->phone_sealed, &phone)) {
		json_object_set_new(o, "phone_number", json_stringn(phone.p, phone.n));
		json_object_set_new(o, "phone_number_verified", json_true());   /* a signature came from it */
	}
	return o;
}

static bool released(const struct claims_ask *ask, const json_t *asked, const struct claim *c)
{
	struct str scope = str_of(c->scope);
	return word_in(ask->scope, scope) || (json_object_get(asked, c->name) && word_in(ask->client->scope, scope));
}

/* section 5.5: where is "userinfo" or "id_token" */
static const json_t *asked_of(struct arena *a, const struct claims_ask *ask, const char *where)
{
	json_t *request;
	if (str_empty(ask->claims) || json_read_object(a, ask->claims, &request).kind)
		return NULL;
	return json_object_get(request, where);
}

struct str claims_scope(struct arena *a, const struct claims_ask *ask)
{
	const json_t *asked[] = { asked_of(a, ask, "userinfo"), asked_of(a, ask, "id_token") };
	struct str all = ask->scope;
	for (size_t i = 0; i < 2; i++)
		for (const struct claim *c = CLAIMS; c->name; c++)
			if (!word_in(all, str_of(c->scope)) && released(ask, asked[i], c))
				all = str_fmt(a, "%s %s", all.p, c->scope);
	return all;
}

static void write_number(struct req *rq, struct jw *w, const struct person_row *p, const struct claims_ask *ask)
{
	struct str number;
	if (!word_in(ask->scope, S("vn_number")) || !word_in(ask->client->scope, S("vn_number")))
		return;
	if (seal_open(rq->a, rq->house->secrets.seal, str_fmt(rq->a, "person:%s:number", p->id.p), p->number_sealed, &number))
		jw_str(w, "vn_number", number);
}

void claims_write(struct req *rq, struct jw *w, const struct person_row *p, const struct claims_ask *ask)
{
	json_t *have = known(rq, p);
	const json_t *asked = asked_of(rq->a, ask, "userinfo");
	for (const struct claim *c = CLAIMS; c->name; c++) {
		const json_t *v = json_object_get(have, c->name);
		if (v && fits(v, c->type) && released(ask, asked, c))
			jw_raw(w, c->name, json_dump(rq->a, v));
	}
	write_number(rq, w, p, ask);
}

/* Section 5.4: what a scope gives belongs to userinfo. In the ID token is only what was asked for there by name. */
static bool in_id_token(const struct claims_ask *ask, const json_t *asked, const struct claim *c)
{
	return json_object_get(asked, c->name) && word_in(ask->client->scope, str_of(c->scope));
}

bool claims_for_id_token(struct arena *a, const struct claims_ask *ask)
{
	const json_t *asked = asked_of(a, ask, "id_token");
	for (const struct claim *c = CLAIMS; asked && c->name; c++)
		if (in_id_token(ask, asked, c))
			return true;
	return false;
}

void claims_write_id_token(struct req *rq, struct jw *w, const struct person_row *p, const struct claims_ask *ask)
{
	json_t *have = known(rq, p);
	const json_t *asked = asked_of(rq->a, ask, "id_token");
	for (const struct claim *c = CLAIMS; c->name; c++) {
		const json_t *v = json_object_get(have, c->name);
		if (v && fits(v, c->type) && in_id_token(ask, asked, c))
			jw_raw(w, c->name, json_dump(rq->a, v));
	}
}
