#include "authorize.h"
#include "jws.h"
#include "profile.h"
#include "remote.h"

/* Request objects, RFC 9101 and OpenID Connect Core section 6: an authorization request that its client has signed. */

enum { FIELDS = 64, NAME_MOST = 128, REACH = 3600, URI_MOST = 512 };

static err bad(const struct ask *k, const char *why, struct str what)
{
	return fault(k->rq->a, &INVALID_REQUEST_OBJECT, "request object of %s: %s '%.80s'", k->client->id.p, why, what.p);
}

/* ---- whose it is, and when ---------------------------------------------------------------------------------------- */

/* section 10.8: typed or untyped; what is typed as something else is something else */
static bool typ_fits(struct str typ)
{
	return str_empty(typ) || str_eq_nocase(typ, S("oauth-authz-req+jwt")) || str_eq_nocase(typ, S("application/oauth-authz-req+jwt"));
}

static err verify(const struct ask *k, struct str text, json_t **claims)
{
	struct jws jws;
	const struct key_set *keys;
	const struct client *c = k->client;
	TRY(jws_read(k->rq->a, text, &jws));
	if (!typ_fits(jws.typ))
		return bad(k, "typ", jws.typ);
	TRY(client_keys(k->rq, c, jws.kid, &keys));
	struct key *key = key_set_find(keys, jws.kid, jws.alg);
	if (!key)
		return bad(k, "no registered key fits", jws.kid);
	return jws_verify(k->rq->a, text, key, c->request_alg.n ? c->request_alg : c->rules->request_algs, S(""), claims);
}

/* FAPI 2.0 Message Signing section 5.3.1: nbf and exp, no more than 60 minutes back and 60 minutes after it */
static err check_reach(const struct ask *k, const json_t *claims)
{
	int64_t nbf = 0, exp = 0;
	if (!json_int(claims, "nbf", &nbf) || nbf < k->rq->now - REACH)
		return bad(k, "nbf is too long ago", S(""));
	if (!json_int(claims, "exp", &exp) || exp > nbf + REACH)
		return bad(k, "exp is too long after nbf", S(""));
	return OK;
}

/* section 4: iss and aud as for a JWT; "request and request_uri parameters MUST NOT be included in Request Objects" */
static err check_claims(const struct ask *k, const json_t *claims)
{
	struct arena *a = k->rq->a;
	const struct client *c = k->client;
	TRY(jwt_check_times(a, claims, k->rq->now, c->rules->skew, c->rules->strict_requests ? S("iss aud exp nbf") : S("iss aud")));
	if (c->rules->strict_requests)
		TRY(check_reach(k, claims));
	if (!str_eq(json_text(claims, "iss"), c->id))
		return bad(k, "iss", json_text(claims, "iss"));
	if (!strs_has(json_strs(a, claims, "aud"), k->rq->house->issuer))
		return bad(k, "aud is not us", S(""));
	/* section 10.8: it must not be good for authenticating the client (RFC 7523 asks for sub) */
	if (json_object_get(claims, "sub"))
		return bad(k, "a sub in it", json_text(claims, "sub"));
	if (json_object_get(claims, "request") || json_object_get(claims, "request_uri"))
		return bad(k, "a request within a request", S(""));
	/* section 5: "The client ID values in the client_id request parameter and in the Request Object client_id claim MUST be identical." */
	if (json_object_get(claims, "client_id") && !str_eq(json_text(claims, "client_id"), c->id))
		return bad(k, "client_id", json_text(claims, "client_id"));
	return OK;
}

/* ---- what it asks for ------------------------------------------------------------------------------------------------ */

static bool is_of_the_jwt(const char *name) { return word_in(S("iss aud exp nbf iat jti"), str_of(name)); }

/* What the form decoder would refuse has no business here either (idp/http/params.c). */
static bool is_plain(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (((unsigned char)s.p[i] < 0x20 && !strchr("\t\r\n", s.p[i])) || s.p[i] == 0x7f)
			return false;
	return true;
}

/* section 4: "Numerical values are included as JSON numbers"; claims and authorization_details may be JSON as they are */
static err text_of(const struct ask *k, const char *name, const json_t *v, struct str *out)
{
	switch (json_typeof(v)) {
	case JSON_STRING:
		*out = (struct str){ json_string_value(v), json_string_length(v) };
		return is_plain(*out) ? OK : bad(k, "a control character in", str_of(name));
	case JSON_INTEGER:
		*out = str_fmt(k->rq->a, "%lld", (long long)json_integer_value(v));
		return OK;
	case JSON_OBJECT:
	case JSON_ARRAY:
		*out = json_dump(k->rq->a, v);
		return OK;
	default:
		return bad(k, "neither text nor a number nor an object:", str_of(name));
	}
}

static err add(const struct ask *k, struct params *l, const char *name, const json_t *v)
{
	struct param p = { .name = str_of(name) };
	if (l->n == FIELDS || p.name.n == 0 || p.name.n > NAME_MOST)
		return bad(k, "too many members, or a name of no use", p.name);
	TRY(text_of(k, name, v, &p.value));
	l->v[l->n++] = p;
	return OK;
}

/* RFC 8707 section 2: an array in a request object is what repeating the parameter is in a query */
static err add_each(const struct ask *k, struct params *l, const char *name, const json_t *v)
{
	for (size_t i = 0; i < json_array_size(v); i++)
		TRY(add(k, l, name, json_array_get(v, i)));
	return OK;
}

static err params_of(const struct ask *k, json_t *claims, struct params *out)
{
	const char *name;
	json_t *v;
	*out = (struct params){ .v = make_n(k->rq->a, struct param, FIELDS + k->params.n) };
	json_object_foreach(claims, name, v)
		if (strcmp(name, "resource") == 0 && json_is_array(v))
			TRY(add_each(k, out, name, v));
		else if (!is_of_the_jwt(name))
			TRY(add(k, out, name, v));
	return OK;
}

/* Core section 6.1: what is in the object supersedes what stands beside it. RFC 9101 section 6.3, for those who must: "MUST only use the
 * parameters in the Request Object". */
static void with_those_beside(const struct ask *k, struct params *l)
{
	if (k->client->rules->strict_requests)
		return;
	size_t signed_ones = l->n;
	for (size_t i = 0; i < k->params.n; i++) {
		bool superseded = false;
		for (size_t n = 0; n < signed_ones && !superseded; n++)
			superseded = str_eq(l->v[n].name, k->params.v[i].name);
		if (!superseded && !word_in(S("request request_uri"), k->params.v[i].name))
			l->v[l->n++] = k->params.v[i];
	}
}

static err read_object(struct ask *k, struct str text)
{
	json_t *claims;
	struct params l;
	TRY(verify(k, text, &claims));
	TRY(check_claims(k, claims));
	TRY(params_of(k, claims, &l));
	with_those_beside(k, &l);
	k->params = l;
	return OK;
}

/* ---- where it is ------------------------------------------------------------------------------------------------------- */

static struct str without_fragment(const struct ask *k, struct str uri) { return str_dup(k->rq->a, uri.p, strcspn(uri.p, "#")); }

/* Core section 6.2: registered beforehand, so that nobody makes us ask anywhere else; the fragment, which may be the hash of what is
 * there, is no part of the address */
static err fetched(struct ask *k, struct str *text)
{
	struct str uri = param_of(&k->params, "request_uri"), bare = without_fragment(k, uri);
	const struct client *c = k->client;
	if (!c->request_uris.n)
		return fault(k->rq->a, &REQUEST_URI_NOT_SUPPORTED, "%s has registered no request_uris", c->id.p);
	if (uri.n > URI_MOST || (!strs_has(c->request_uris, uri) && !strs_has(c->request_uris, bare)))
		return fault(k->rq->a, &INVALID_REQUEST_URI, "%s has not registered '%.80s'", c->id.p, uri.p);
	err e = remote_text(k->rq, bare, k->rq->now - REMOTE_AGAIN, text);
	return e.kind == &UNAVAILABLE ? fault(k->rq->a, &INVALID_REQUEST_URI, "%s", e.why) : e;
}

static bool has_keys(const struct client *c) { return c->jwks.n || c->jwks_uri.n; }

static err read_request(struct ask *k)
{
	const struct client *c = k->client;
	bool value = param_there(&k->params, "request"), reference = !k->pushed && param_there(&k->params, "request_uri");
	struct str text = param_of(&k->params, "request");
	if (value && reference)
		return fault(k->rq->a, &INVALID_REQUEST, "request and request_uri at once from %s", c->id.p);
	if (!value && !reference)
		return c->require_signed ? fault(k->rq->a, &INVALID_REQUEST, "not signed, from %s", c->id.p) : OK;
	if (value && !has_keys(c))
		return fault(k->rq->a, &REQUEST_NOT_SUPPORTED, "%s has no key to sign with", c->id.p);
	if (reference)
		TRY(fetched(k, &text));
	err e = read_object(k, text);
	return e.kind == &INVALID_TOKEN ? bad(k, e.why, S("")) : e;
}

/* What is wrong is told to the application where what stands beside the object says where that is; else to who is here. */
err check_request(struct ask *k)
{
	if (k->client->require_par && !k->pushed)
		return OK;                           /* refused by check_pushed; nothing is read or fetched for it */
	err e = read_request(k);
	bool later = e.kind && e.kind->status < 500 && !k->pushed && strs_has(k->client->redirect_uris, param_of(&k->params, "redirect_uri"));
	if (!later)
		return e;
	k->unread = e;
	return OK;
}
