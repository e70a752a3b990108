#include "foreign.h"
#include "code.h"
#include "jws.h"
#include <jwt.h>
#include <stdlib.h>

enum { CLOCKS_DIFFER = 30, SUB_MOST = 255 };

err foreign_peek(struct arena *a, struct str token, struct str *iss, struct str *kid)
{
	struct jws t;
	json_t *claims;
	TRY(jws_read(a, token, &t));
	err e = json_read_object(a, t.payload, &claims);
	if (e.kind)
		return fault(a, &INVALID_TOKEN, "claims: %s", e.why);
	*iss = json_text(claims, "iss");
	*kid = t.kid;
	return OK;
}

/* ---- before libjwt sees it --------------------------------------------------------------------------------------------- */

/* RFC 8725 section 3.11. What carries a type of its own is no statement about who somebody is; libjwt knows none but JWT, so that an
 * access token by RFC 9068 goes through our own door. */
static bool typ_fits(struct str typ) { return str_empty(typ) || str_eq_nocase(typ, S("JWT")) || str_eq_nocase(typ, S("at+jwt")); }

static err check_header(struct arena *a, const struct jws *t, const struct foreign *f)
{
	static const char *const EMBEDDED[] = { "jwk", "jku", "x5u", "x5c" };
	for (size_t i = 0; i < sizeof EMBEDDED / sizeof *EMBEDDED; i++)
		if (json_object_get(t->header, EMBEDDED[i]))
			return fault(a, &INVALID_TOKEN, "a token that brings its own key: %s", EMBEDDED[i]);
	if (!strs_has(f->algs, t->alg))
		return fault(a, &INVALID_TOKEN, "a token of %s signed with %s", f->iss.p, t->alg.p);
	return typ_fits(t->typ) ? OK : fault(a, &INVALID_TOKEN, "a token of the type '%.80s'", t->typ.p);
}

static bool audience_fits(struct arena *a, const json_t *claims, const struct foreign *f)
{
	struct strs l = json_strs(a, claims, "aud");
	for (size_t i = 0; i < l.n; i++)
		if (strs_has(f->audience, l.v[i]))
			return true;
	return false;
}

static err check_claims(struct arena *a, const json_t *claims, const struct foreign *f, epoch now)
{
	struct str sub = json_text(claims, "sub");
	TRY(jwt_check_times(a, claims, now, CLOCKS_DIFFER, S("iss sub aud exp")));
	if (!str_eq(json_text(claims, "iss"), f->iss))
		return fault(a, &INVALID_TOKEN, "a token that is not of %s", f->iss.p);
	if (!audience_fits(a, claims, f))
		return fault(a, &INVALID_TOKEN, "a token of %s for somebody else", f->iss.p);
	if (str_empty(sub) || sub.n > SUB_MOST)
		return fault(a, &INVALID_TOKEN, "a token of %s with a sub of %zu bytes", f->iss.p, sub.n);
	/* a logout token (Back-Channel Logout section 2.4) of an issuer that writes no typ */
	return json_object_get(claims, "events") ? fault(a, &INVALID_TOKEN, "a security event of %s", f->iss.p) : OK;
}

/* ---- libjwt -------------------------------------------------------------------------------------------------------------- */

/* RFC 7468 section 13, as libjwt wants keys */
static struct str pem_of(struct arena *a, const struct key *k)
{
	enum { LINE = 64 };
	struct str text = b64(a, key_spki(k, a));
	struct buf b = buf_new(a, 1024, 4096);
	buf_str(&b, S("-----BEGIN PUBLIC KEY-----\n"));
	for (size_t i = 0; i < text.n; i += LINE)
		buf_fmt(&b, "%.*s\n", LINE, text.p + i);
	buf_str(&b, S("-----END PUBLIC KEY-----\n"));
	return (struct str){ b.p, b.n };
}

/* The kind of the key goes with alg (RFC 8725 section 3.1): libjwt would take a P-384 key for ES256. */
static bool kind_fits(const struct key *k, struct str alg)
{
	return (str_is(alg, "RS256") && key_kind(k) == KEY_RSA) || (str_is(alg, "ES256") && key_kind(k) == KEY_P256);
}

static bool libjwt_verifies(struct arena *a, struct str token, const struct key *k, struct str alg)
{
	jwt_t *jwt = NULL;
	struct str pem = pem_of(a, k);
	if (!kind_fits(k, alg) || jwt_decode(&jwt, token.p, (const unsigned char *)pem.p, (int)pem.n) != 0)
		return false;
	bool same = jwt_get_alg(jwt) == jwt_str_alg(alg.p);
	jwt_free(jwt);
	return same;
}

static bool verifies(struct arena *a, struct str token, const struct jws *t, const struct key *k)
{
	json_t *claims;
	if (str_eq_nocase(t->typ, S("at+jwt")))
		return !jws_verify(a, token, k, t->alg, t->typ, &claims).kind;
	return libjwt_verifies(a, token, k, t->alg);
}

err foreign_read(struct arena *a, struct str token, const struct foreign *f, const struct key_set *keys, epoch now, json_t **claims)
{
	struct jws t;
	TRY(jws_read(a, token, &t));
	TRY(check_header(a, &t, f));
	const struct key *k = key_set_find(keys, t.kid, t.alg);
	if (!k)
		return fault(a, &INVALID_TOKEN, "no key of %s is called '%.64s' and fits %s", f->iss.p, t.kid.p, t.alg.p);
	if (!verifies(a, token, &t, k))
		return fault(a, &INVALID_TOKEN, "a token of %s whose signature does not verify", f->iss.p);
	err e = json_read_object(a, t.payload, claims);
	return e.kind ? fault(a, &INVALID_TOKEN, "claims of %s: %s", f->iss.p, e.why) : check_claims(a, *claims, f, now);
}
