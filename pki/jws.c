#include "jws.h"
#include "code.h"
#include "shelf.h"
#include "inside/jose.h"

enum { TOKEN_MOST = 16 * 1024, HEADER_MOST = 8 * 1024, KID_MOST = 64, SIG_ROOM = 512 };

static err header_of(struct arena *a, struct signer *s, struct str typ, struct str *header)
{
	struct jw w = jw_new(a, 512);
	jw_object(&w, NULL);
	jw_str(&w, "alg", signer_alg(s));
	jw_str(&w, "kid", signer_kid(s));
	jw_opt(&w, "typ", typ);
	jw_end(&w);
	return jw_done(&w, header);
}

/* RFC 7515 section 5.1 */
err jws_sign(struct arena *a, struct signer *s, struct str typ, struct str claims, struct str *token)
{
	unsigned char sig[SIG_ROOM];
	size_t n;
	struct str header;
	TRY(header_of(a, s, typ, &header));
	struct buf b = buf_new(a, (header.n + claims.n + SIG_ROOM) * 4 / 3 + 8, TOKEN_MOST);
	buf_str(&b, b64url(a, str_bytes(header)));
	buf_char(&b, '.');
	buf_str(&b, b64url(a, str_bytes(claims)));
	TRY(buf_done(&b, token));
	TRY(signer_sign(s, a, str_bytes(*token), sig, &n));
	buf_char(&b, '.');
	buf_str(&b, b64url(a, (struct bytes){ sig, n }));
	return buf_done(&b, token);
}

static bool split(struct str token, struct str part[3])
{
	const char *end = token.p + token.n, *first = memchr(token.p, '.', token.n);
	const char *second = first ? memchr(first + 1, '.', (size_t)(end - first - 1)) : NULL;
	if (!second || memchr(second + 1, '.', (size_t)(end - second - 1)))
		return false;
	part[0] = (struct str){ token.p, (size_t)(first - token.p) };
	part[1] = (struct str){ first + 1, (size_t)(second - first - 1) };
	part[2] = (struct str){ second + 1, (size_t)(end - second - 1) };
	return true;
}

/* A header parameter that is a string when it is there at all. */
static bool text_or_none(const json_t *o, const char *name, size_t most, struct str *out)
{
	*out = S("");
	return !json_object_get(o, name) || (json_str(o, name, out) && out->n <= most);
}

/* Extensions that change what is signed or how: none is understood (RFC 7515 section 4.1.11, RFC 7797 section 6). */
static const char *const EXTENSIONS[] = { "crit", "b64", "zip", "enc" };

static err read_header(struct arena *a, struct str text, struct jws *out)
{
	err e = json_read_object(a, text, &out->header);
	if (e.kind)
		return fault(a, &INVALID_TOKEN, "JWS header: %s", e.why);
	for (size_t i = 0; i < sizeof EXTENSIONS / sizeof *EXTENSIONS; i++)
		if (json_object_get(out->header, EXTENSIONS[i]))
			return fault(a, &INVALID_TOKEN, "JWS header with %s", EXTENSIONS[i]);
	if (!text_or_none(out->header, "kid", KID_MOST, &out->kid) || !text_or_none(out->header, "typ", 128, &out->typ))
		return fault(a, &INVALID_TOKEN, "JWS header whose kid or typ is no string, or too long");
	if (!json_str(out->header, "alg", &out->alg) || !alg_find(out->alg))
		return fault(a, &INVALID_TOKEN, "JWS header whose alg is not an asymmetric one that is known here");
	return OK;
}

err jws_read(struct arena *a, struct str token, struct jws *out)
{
	struct str part[3];
	struct bytes header, payload;
	*out = (struct jws){ 0 };
	if (token.n == 0 || token.n > TOKEN_MOST)
		return fault(a, &INVALID_TOKEN, "a token of %zu bytes", token.n);
	if (!split(token, part))
		return fault(a, &INVALID_TOKEN, "a token that has not three parts");
	if (part[0].n > HEADER_MOST)
		return fault(a, &INVALID_TOKEN, "a token whose header has %zu bytes", part[0].n);
	if (!b64url_read(a, part[0], &header) || !b64url_read(a, part[1], &payload) || !b64url_read(a, part[2], &out->signature))
		return fault(a, &INVALID_TOKEN, "a token that is not canonical base64url");
	if (out->signature.n == 0 || out->signature.n > SIG_ROOM)
		return fault(a, &INVALID_TOKEN, "a token with a signature of %zu bytes", out->signature.n);
	out->payload = (struct str){ (const char *)payload.p, payload.n };
	if (!str_utf8(out->payload))
		return fault(a, &INVALID_TOKEN, "a token whose payload is no text");
	out->signing_input = (struct str){ token.p, part[0].n + 1 + part[1].n };
	return read_header(a, (struct str){ (const char *)header.p, header.n }, out);
}

/* RFC 7515 section 4.1.9: media types are compared without case; "application/" may be left out when no other '/' is in it. */
static struct str short_typ(struct str typ)
{
	static const struct str PREFIX = S("application/");
	if (typ.n <= PREFIX.n || !str_eq_nocase((struct str){ typ.p, PREFIX.n }, PREFIX) || memchr(typ.p + PREFIX.n, '/', typ.n - PREFIX.n))
		return typ;
	return (struct str){ typ.p + PREFIX.n, typ.n - PREFIX.n };
}

/* What is cheap to see comes before a key is made or used. */
static err read_as(struct arena *a, struct str token, struct str algs, struct str typ, struct jws *t)
{
	TRY(jws_read(a, token, t));
	if (!word_in(algs, t->alg))
		return fault(a, &INVALID_TOKEN, "a token signed with %s, wanted %s", t->alg.p, algs.p);
	if (!str_empty(typ) && !str_eq_nocase(short_typ(t->typ), short_typ(typ)))
		return fault(a, &INVALID_TOKEN, "a token of the type '%s', wanted %s", t->typ.p, typ.p);
	return OK;
}

static err read_claims(struct arena *a, const struct jws *t, const struct key *k, json_t **claims)
{
	if (!key_verify(k, t->alg, str_bytes(t->signing_input), t->signature))
		return fault(a, &INVALID_TOKEN, "a token whose signature does not verify");
	err e = json_read_object(a, t->payload, claims);
	return e.kind ? fault(a, &INVALID_TOKEN, "claims: %s", e.why) : OK;
}

err jws_verify(struct arena *a, struct str token, const struct key *k, struct str algs, struct str typ, json_t **claims)
{
	struct jws t;
	TRY(read_as(a, token, algs, typ, &t));
	return read_claims(a, &t, k, claims);
}

err jws_verify_by_own(struct arena *a, struct shelf *shelf, struct str token, struct str algs, struct str typ, struct key **key, json_t **claims)
{
	struct jws t;
	TRY(read_as(a, token, algs, typ, &t));
	err e = shelf_key(shelf, a, json_object_get(t.header, "jwk"), key);
	if (e.kind)
		return fault(a, &INVALID_TOKEN, "jwk: %s", e.why);
	arena_defer(a, key_drop_later, *key);
	return read_claims(a, &t, *key, claims);
}

/* 0 when the claim is missing; an error when it is no integer: a real would read as 0, which is "always". */
static err time_of(struct arena *a, const json_t *claims, const char *name, bool *there, epoch *t)
{
	*there = json_object_get(claims, name) != NULL;
	*t = 0;
	return !*there || json_int(claims, name, t) ? OK : fault(a, &INVALID_TOKEN, "%s is no integer", name);
}

err jwt_check_times(struct arena *a, const json_t *claims, epoch now, int64_t skew, struct str need)
{
	bool there;
	epoch t;
	struct strs words = str_words(a, need);
	for (size_t i = 0; i < words.n; i++)
		if (!json_object_get(claims, words.v[i].p))
			return fault(a, &INVALID_TOKEN, "the claim %s is missing", words.v[i].p);
	/* RFC 7519 section 4.1.4: now MUST be before exp. The skew is added to our own time, which cannot overflow. */
	TRY(time_of(a, claims, "exp", &there, &t));
	if (there && now - skew >= t)
		return fault(a, &INVALID_TOKEN, "expired at %lld", (long long)t);
	TRY(time_of(a, claims, "nbf", &there, &t));
	if (there && now + skew < t)
		return fault(a, &INVALID_TOKEN, "not before %lld", (long long)t);
	TRY(time_of(a, claims, "iat", &there, &t));
	if (there && now + skew < t)
		return fault(a, &INVALID_TOKEN, "issued in the future, at %lld", (long long)t);
	return OK;
}
