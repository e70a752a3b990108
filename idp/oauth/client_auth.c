#include "oauth.h"
#include "anchors.h"
#include "code.h"
#include "hash.h"
#include "jws.h"
#include "profile.h"
#include "settings.h"
#include "remote.h"
#include "x509.h"
#include <stdio.h>

static const char ASSERTION_TYPE[] = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/* What came with the request, before anything of it is believed. */
struct shown { struct str id, method, secret, assertion; };

static err refused(struct req *rq, const char *why, struct str what)
{
	return fault(rq->a, &INVALID_CLIENT, "%s '%.80s'", why, what.p);
}

/* ---- reading ---------------------------------------------------------------------------------------------------- */

/* RFC 7617 section 2, with both halves form-urlencoded first: RFC 6749 section 2.3.1 */
static err read_basic(struct req *rq, struct str value, struct shown *s)
{
	struct bytes pair;
	if (value.n < 6 || !str_eq_nocase((struct str){ value.p, 6 }, S("Basic ")))
		return refused(rq, "an Authorization scheme that is not", S("Basic"));
	if (!b64_read(rq->a, str_trim(rq->a, str_from(rq->a, value, 6)), &pair))
		return refused(rq, "credentials that are not base64 in", S("Authorization"));
	const unsigned char *colon = pair.n ? memchr(pair.p, ':', pair.n) : NULL;
	if (!colon || memchr(pair.p, 0, pair.n))
		return refused(rq, "no colon in", S("Authorization"));
	size_t n = (size_t)(colon - pair.p);
	struct str id = { (const char *)pair.p, n }, secret = { (const char *)colon + 1, pair.n - n - 1 };
	if (!url_read(rq->a, id, true, &s->id) || !url_read(rq->a, secret, true, &s->secret))
		return refused(rq, "badly encoded credentials in", S("Authorization"));
	s->method = S("client_secret_basic");
	return OK;
}

/* RFC 7521 section 4.2: who it is stands in the assertion; nothing is believed yet, it only says whose keys to look for */
static err read_assertion(struct req *rq, struct shown *s)
{
	struct jws jws;
	json_t *claims;
	if (!str_is(form(rq, "client_assertion_type"), ASSERTION_TYPE))
		return refused(rq, "client_assertion_type", form(rq, "client_assertion_type"));
	s->assertion = form(rq, "client_assertion");
	s->method = S("private_key_jwt");
	err e = jws_read(rq->a, s->assertion, &jws);
	if (!e.kind)
		e = json_read_object(rq->a, jws.payload, &claims);
	if (e.kind)
		return fault(rq->a, &INVALID_CLIENT, "client_assertion: %s", e.why);
	s->id = json_text(claims, "sub");
	return OK;
}

/* RFC 6749 section 2.3: "The client MUST NOT use more than one authentication method in each request." */
static err read_shown(struct req *rq, struct shown *s)
{
	struct str basic = header(rq, "authorization"), id = form(rq, "client_id");
	bool has_basic = param_there(&rq->headers, "authorization"), has_secret = form(rq, "client_secret").n > 0;
	bool has_assertion = form(rq, "client_assertion").n || form(rq, "client_assertion_type").n;
	*s = (struct shown){ .id = id, .method = S(""), .secret = S(""), .assertion = S("") };

	if (has_basic + has_secret + has_assertion > 1)
		return fault(rq->a, &INVALID_REQUEST, "more than one way of client authentication");
	if (has_basic)
		TRY(read_basic(rq, basic, s));
	if (has_assertion)
		TRY(read_assertion(rq, s));
	if (has_secret) {
		s->method = S("client_secret_post");
		s->secret = form(rq, "client_secret");
	}
	if (id.n && !str_eq(id, s->id))
		return fault(rq->a, &INVALID_REQUEST, "client_id '%.80s' beside the credentials of '%.80s'", id.p, s->id.p);
	if (str_empty(s->id))
		return refused(rq, "no client credentials", S(""));
	return OK;
}

/* ---- checking: one function a method ------------------------------------------------------------------------------- */

typedef err prove(struct req *rq, const struct client *c, const struct shown *s);

/* Only digests are compared, in constant time. A client that is not there has a secret that nobody knows. */
static err by_secret(struct req *rq, const struct client *c, const struct shown *s)
{
	static const struct str NOBODY = { "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", 43 };
	if (!str_same(c ? c->secret_hash : NOBODY, hash_of(rq->a, s->secret)) || !c)
		return refused(rq, c ? "wrong secret of" : "no such client", s->id);
	return OK;
}

/* RFC 7523 section 3 item 3; a client of a stricter profile must name the issuer and nothing else */
static bool audience_fits(struct req *rq, const struct client *c, const json_t *claims)
{
	struct str issuer = rq->house->issuer;
	const json_t *aud = json_object_get(claims, "aud");
	if (c->rules->audience == AUDIENCE_ISSUER)
		return json_is_string(aud) && str_eq(json_text(claims, "aud"), issuer);
	/* RFC 8705 section 5: an endpoint may have a second name, where certificates are asked for */
	struct strs l = json_strs(rq->a, claims, "aud");
	const struct str bases[] = { issuer, rq->house->conf->cert_host };
	for (size_t i = 0; i < 2 && bases[i].n; i++)
		if (strs_has(l, str_fmt(rq->a, "%s/token", bases[i].p)) || strs_has(l, str_fmt(rq->a, "%s%s", bases[i].p, rq->path.p)))
			return true;
	return strs_has(l, issuer);
}

static err check_assertion(struct req *rq, const struct client *c, const json_t *claims)
{
	int64_t exp = 0;
	struct str jti = json_text(claims, "jti");
	bool first = false;
	TRY(jwt_check_times(rq->a, claims, rq->now, c->rules->skew, S("iss sub aud exp jti")));
	if (!str_eq(json_text(claims, "iss"), c->id) || !str_eq(json_text(claims, "sub"), c->id))
		return refused(rq, "client_assertion: iss is not sub of", c->id);
	if (!audience_fits(rq, c, claims))
		return refused(rq, "client_assertion: the audience is not us, from", c->id);
	if (!json_int(claims, "exp", &exp) || exp > rq->now + c->rules->assertion_lives + c->rules->skew)
		return refused(rq, "client_assertion: exp is too far ahead, from", c->id);
	if (str_empty(jti) || jti.n > 512)
		return refused(rq, "client_assertion: no usable jti from", c->id);
	/* item 7: not replayed for as long as it could be accepted; in the durable store, so that an empty cache forgets nothing */
	struct str id = hash_of(rq->a, str_fmt(rq->a, "%s\n%s", c->id.p, jti.p));
	if (rq->used && str_is(id, rq->used))          /* by this request itself, which had to wait for something and runs again */
		return OK;
	TRY(store_once(rq->house->store, rq->a, S("assertion"), id, exp + c->rules->skew + 1, rq->now, &first));
	if (!first)
		return refused(rq, "client_assertion: jti was used before by", c->id);
	if (rq->used)
		snprintf(rq->used, USED_MOST, "%s", id.p);
	return OK;
}

static err by_assertion(struct req *rq, const struct client *c, const struct shown *s)
{
	struct jws jws;
	json_t *claims;
	if (!c)
		return refused(rq, "no such client", s->id);
	err e = jws_read(rq->a, s->assertion, &jws);
	if (!e.kind) {
		const struct key_set *keys;
		TRY(client_keys(rq, c, jws.kid, &keys));
		struct key *key = key_set_find(keys, jws.kid, jws.alg);
		if (!key)
			return refused(rq, "client_assertion: no registered key fits, of", c->id);
		e = jws_verify(rq->a, s->assertion, key, c->rules->assertion_algs, S(""), &claims);
	}
	if (!e.kind)
		e = check_assertion(rq, c, claims);
	/* what is wrong with a token of theirs is a matter of client authentication; that we cannot know is not */
	if (e.kind && e.kind->status < 500 && e.kind != &INVALID_CLIENT)
		return fault(rq->a, &INVALID_CLIENT, "client_assertion of %s: %s", c->id.p, e.why);
	return e;
}

static err read_certificate(struct req *rq, const struct client *c, struct cert *out)
{
	struct bytes der;
	if (str_empty(rq->client_cert) || !b64_read(rq->a, rq->client_cert, &der))
		return refused(rq, "no client certificate from", c->id);
	err e = cert_read(rq->a, der, out);
	if (e.kind)
		return fault(rq->a, &INVALID_CLIENT, "the certificate of %s: %s", c->id.p, e.why);
	if (rq->now < out->not_before || rq->now > out->not_after)
		return refused(rq, "a certificate out of its time from", c->id);
	return OK;
}

/* RFC 8705 section 2.1: the chain is ours to check, and the subject is the registered one. Both texts come from one writer that
 * escapes what could be mistaken (RFC 4514 section 2.4), so that equal texts are equal names. */
static err by_pki(struct req *rq, const struct client *c, const struct shown *s)
{
	struct trust *trust;
	struct cert cert, issuer;
	const struct anchor *anchor;
	(void)s;
	TRY(read_certificate(rq, c, &cert));
	if (!str_same(c->tls_subject_dn, cert.subject))
		return refused(rq, "a certificate for another subject from", c->id);
	err e = anchors_now(rq->house, rq->a, rq->now, &trust);
	if (e.kind)      /* our own trust cannot be read: not the client's fault */
		return e.kind->status >= 500 ? e : fault(rq->a, &SERVER_ERROR, "the trust: %s", e.why);
	e = trust_path(trust, rq->a, &cert, NULL, 0, S("client"), rq->now, &issuer, &anchor);
	return e.kind && e.kind->status < 500 ? fault(rq->a, &INVALID_CLIENT, "the certificate of %s: %s", c->id.p, e.why) : e;
}

static bool has_key(struct req *rq, const struct key_set *keys, const struct cert *cert)
{
	for (size_t i = 0; i < keys->n; i++) {
		struct bytes spki = key_spki(keys->v[i].key, rq->a);
		if (spki.n == cert->spki.n && memcmp(spki.p, cert->spki.p, spki.n) == 0)
			return true;
	}
	return false;
}

/* RFC 8705 section 2.2: the key is one that the client registered; nothing else in the certificate matters */
static err by_self_signed(struct req *rq, const struct client *c, const struct shown *s)
{
	struct cert cert;
	const struct key_set *keys;
	(void)s;
	TRY(read_certificate(rq, c, &cert));
	TRY(client_keys(rq, c, S(""), &keys));
	if (has_key(rq, keys, &cert))
		return OK;
	TRY(client_keys_anew(rq, c, &keys));
	if (has_key(rq, keys, &cert))
		return OK;
	return refused(rq, "a certificate with an unregistered key from", c->id);
}

static err by_name(struct req *rq, const struct client *c, const struct shown *s)
{
	(void)rq, (void)c, (void)s;
	return OK;
}

static const struct way { struct str method, shown; prove *prove; } WAYS[] = {
	/* registered                         what the request must show */
	{ S("client_secret_basic"),           S("client_secret_basic"), by_secret },
	{ S("client_secret_post"),            S("client_secret_post"),  by_secret },
	{ S("private_key_jwt"),               S("private_key_jwt"),     by_assertion },
	{ S("tls_client_auth"),               S(""),                    by_pki },
	{ S("self_signed_tls_client_auth"),   S(""),                    by_self_signed },
	{ S("none"),                          S(""),                    by_name },
};

/* By the registered method when it is what was shown; else as if there were no such client, by whatever was shown. */
static const struct way *way_of(const struct client *c, const struct shown *s)
{
	for (size_t i = 0; i < sizeof WAYS / sizeof *WAYS; i++)
		if (c ? str_eq(WAYS[i].method, c->auth_method) : str_eq(WAYS[i].method, s->method))
			return &WAYS[i];
	return NULL;
}

err client_authenticate(struct req *rq, const struct client **out)
{
	struct shown shown;
	const struct client *c;
	TRY(read_shown(rq, &shown));
	TRY(client_find(rq, shown.id, &c));
	const struct way *way = way_of(c, &shown);
	if (c && (!way || !str_eq(way->shown, shown.method))) {
		way = way_of(NULL, &shown);
		c = NULL;
	}
	if (!way)
		return refused(rq, "no such client, or not by this method:", shown.id);
	TRY(way->prove(rq, c, &shown));
	*out = c;
	return OK;
}

struct str confirm_of(struct req *rq)
{
	struct bytes der;
	unsigned char hash[SHA256_SIZE];
	if (str_empty(rq->client_cert) || !b64_read(rq->a, rq->client_cert, &der))
		return S("");
	sha256(der.p, der.n, hash);
	return str_fmt(rq->a, "x5t#S256:%s", b64url(rq->a, (struct bytes){ hash, sizeof hash }).p);
}
