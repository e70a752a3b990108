#include "jwe.h"
#include "code.h"
#include "rand.h"
#include "inside/cipher.h"
#include "inside/jose.h"
#include <openssl/crypto.h>

enum { HEADER_MOST = 8 * 1024, KEYS_MOST = 16, PARTY_MOST = 256 };

struct jwe_key { struct str kid, alg, use; int kind; EVP_PKEY *pkey; };

/* What travels between the parts of a token while it is made or opened. */
struct jwe {
	const struct jwe_key *key;
	struct str alg, enc;
	const struct cipher *cipher;
	unsigned char cek[CIPHER_KEY];               
};

/* ---- algorithms: RFC 7518 section 4.1 ------------------------------------------------------------------------------ */

/* seal makes the content key and what is sent of it, and may add to the header; open finds the content key again. */
typedef bool sealing(struct arena *a, struct jwe *t, struct jw *header, unsigned char *sent, size_t *n);
typedef bool opening(struct arena *a, struct jwe *t, const json_t *header, struct bytes sent);
static sealing seal_rsa, seal_direct, seal_wrapped;
static opening open_rsa, open_direct, open_wrapped;

static const struct way { bool rsa; sealing *seal; opening *open; } WAYS[] = {
	{ true, seal_rsa, open_rsa }, { false, seal_direct, open_direct }, { false, seal_wrapped, open_wrapped },
};
static const struct str ALGS[] = { S("RSA-OAEP-256"), S("ECDH-ES"), S("ECDH-ES+A256KW"), { 0 } };

const struct str *jwe_algs(void) { return ALGS; }

const struct str *jwe_encs(void)
{
	static const struct str ENCS[] = { S("A128CBC-HS256"), S("A256GCM"), { 0 } };
	return ENCS;
}

static const struct way *way_of(struct str alg)
{
	for (size_t i = 0; ALGS[i].n; i++)
		if (str_eq(ALGS[i], alg))
			return &WAYS[i];
	return NULL;
}

static const struct cipher *cipher_of(struct str enc)
{
	for (const struct cipher *c = CIPHERS; c->name.n; c++)
		if (str_eq(c->name, enc))
			return c;
	return NULL;
}

static bool fits(const struct jwe_key *k, struct str alg)
{
	const struct way *w = way_of(alg);
	return w && w->rsa == (k->kind == KEY_RSA) && (str_empty(k->alg) || str_eq(k->alg, alg));
}

/* ---- keys ---------------------------------------------------------------------------------------------------------------- */

static err key_read(struct arena *a, const json_t *jwk, bool secret, struct jwe_key **out)
{
	struct jwe_key *k = make(a, struct jwe_key);
	if (!json_is_object(jwk))
		return fault(a, &INVALID_REQUEST, "a JWK that is not an object");
	k->kid = str_copy(a, json_text(jwk, "kid"));
	k->alg = str_copy(a, json_text(jwk, "alg"));
	k->use = str_copy(a, json_text(jwk, "use"));
	if (!jwk_allows(a, jwk, "use", S("enc")) || (json_object_get(jwk, "alg") && !way_of(k->alg)))
		return fault(a, &INVALID_REQUEST, "a JWK that is not for encryption, or for an algorithm that is not known here");
	TRY(pkey_from_jwk(a, jwk, secret, &k->pkey));
	k->kind = pkey_kind(k->pkey);
	if (k->kind != KEY_RSA && k->kind != KEY_P256 && k->kind != KEY_X25519)
		return fault(a, &INVALID_REQUEST, "a JWK that is not RSA, P-256 or X25519");
	if (!str_empty(k->alg) && !fits(k, k->alg))
		return fault(a, &INVALID_REQUEST, "a JWK whose alg does not go with its kty");
	*out = k;
	return OK;
}

/* RFC 7517 section 4.3 */
static bool may_receive(struct arena *a, const json_t *jwk)
{
	static const char *const OPS[] = { "encrypt", "wrapKey", "deriveKey", "deriveBits" };
	bool may = !json_object_get(jwk, "key_ops");
	for (size_t i = 0; i < sizeof OPS / sizeof *OPS; i++)
		may |= jwk_allows(a, jwk, "key_ops", str_of(OPS[i]));
	return may;
}

err jwe_key_read(struct arena *a, const json_t *jwk, struct jwe_key **out)
{
	if (!may_receive(a, jwk))
		return fault(a, &INVALID_REQUEST, "a JWK whose key_ops do not allow to encrypt to it");
	return key_read(a, jwk, false, out);
}

err jwe_key_private(struct arena *a, const json_t *jwk, struct jwe_key **out) { return key_read(a, jwk, true, out); }

err jwe_keys_read(struct arena *a, const json_t *keys, struct key_set *out)
{
	out->to = make_n(a, struct jwe_key *, KEYS_MOST);
	for (size_t i = 0; i < json_array_size(keys) && out->nto < KEYS_MOST; i++)
		if (!jwe_key_read(a, json_array_get(keys, i), &out->to[out->nto]).kind)
			out->nto++;
	return OK;
}

const struct jwe_key *jwe_key_for(const struct key_set *s, struct str alg)
{
	const struct jwe_key *found = NULL;
	for (size_t i = 0; i < s->nto; i++)
		if (fits(s->to[i], alg) && (!found || (str_empty(found->use) && s->to[i]->use.n)))
			found = s->to[i];
	return found;
}

/* ---- the content key ------------------------------------------------------------------------------------------------------- */

static bool seal_rsa(struct arena *a, struct jwe *t, struct jw *header, unsigned char *sent, size_t *n)
{
	(void)a, (void)header;
	rand_fill(t->cek, sizeof t->cek);
	return oaep_seal(t->key->pkey, t->cek, sent, n);
}

static bool open_rsa(struct arena *a, struct jwe *t, const json_t *header, struct bytes sent)
{
	(void)a, (void)header;
	return oaep_open(t->key->pkey, sent, t->cek);
}

static void drop_pkey(void *p) { EVP_PKEY_free(p); }

/* RFC 7518 section 4.6: a key pair for this one message; epk in the header. `name` is what the agreed key is for. */
static bool agree_to(struct arena *a, struct jwe *t, struct jw *header, struct str name, unsigned char out[CIPHER_KEY])
{
	unsigned char z[CIPHER_KEY];
	struct str epk;
	EVP_PKEY *own = t->key->kind == KEY_X25519 ? EVP_PKEY_Q_keygen(NULL, NULL, "X25519") : EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
	if (!own)
		return false;
	arena_defer(a, drop_pkey, own);
	if (pkey_jwk(a, own, &epk).kind || !agree(own, t->key->pkey, z))
		return false;
	jw_raw(header, "epk", epk);
	concat_kdf(a, z, name, (struct bytes){ 0 }, (struct bytes){ 0 }, out);
	OPENSSL_cleanse(z, sizeof z);
	return true;
}

static bool party(struct arena *a, const json_t *header, const char *name, struct bytes *out)
{
	struct str s;
	*out = (struct bytes){ 0 };
	return !json_object_get(header, name) || (json_str(header, name, &s) && s.n <= PARTY_MOST && b64url_read(a, s, out));
}

/* The same from the header. A point that is not on our own key's curve is none (an invalid curve would tell the key bit by bit). */
static bool agree_from(struct arena *a, struct jwe *t, const json_t *header, struct str name, unsigned char out[CIPHER_KEY])
{
	unsigned char z[CIPHER_KEY];
	struct bytes apu, apv;
	EVP_PKEY *epk;
	if (!party(a, header, "apu", &apu) || !party(a, header, "apv", &apv))
		return false;
	if (pkey_from_jwk(a, json_object_get(header, "epk"), false, &epk).kind || pkey_kind(epk) != t->key->kind || !agree(t->key->pkey, epk, z))
		return false;
	concat_kdf(a, z, name, apu, apv, out);
	OPENSSL_cleanse(z, sizeof z);
	return true;
}

static bool seal_direct(struct arena *a, struct jwe *t, struct jw *header, unsigned char *sent, size_t *n)
{
	(void)sent;
	*n = 0;
	return agree_to(a, t, header, t->enc, t->cek);
}

static bool open_direct(struct arena *a, struct jwe *t, const json_t *header, struct bytes sent)
{
	/* RFC 7516 section 5.2 step 10: "verify that the JWE Encrypted Key value is an empty octet sequence" */
	return sent.n == 0 && agree_from(a, t, header, t->enc, t->cek);
}

static bool seal_wrapped(struct arena *a, struct jwe *t, struct jw *header, unsigned char *sent, size_t *n)
{
	unsigned char kek[CIPHER_KEY];
	rand_fill(t->cek, sizeof t->cek);
	*n = CIPHER_WRAPPED;
	bool good = agree_to(a, t, header, t->alg, kek) && wrap(kek, t->cek, sent);
	OPENSSL_cleanse(kek, sizeof kek);
	return good;
}

static bool open_wrapped(struct arena *a, struct jwe *t, const json_t *header, struct bytes sent)
{
	unsigned char kek[CIPHER_KEY];
	bool good = agree_from(a, t, header, t->alg, kek) && unwrap(kek, sent, t->cek);
	OPENSSL_cleanse(kek, sizeof kek);
	return good;
}

/* ---- making one: RFC 7516 section 5.1 ------------------------------------------------------------------------------------------ */

static err header_of(struct arena *a, struct jwe *t, struct str cty, unsigned char *sent, size_t *n, struct str *header)
{
	struct jw w = jw_new(a, HEADER_MOST);
	jw_object(&w, NULL);
	jw_str(&w, "alg", t->alg);
	jw_str(&w, "enc", t->enc);
	jw_opt(&w, "kid", t->key->kid);
	jw_opt(&w, "cty", cty);
	if (!way_of(t->alg)->seal(a, t, &w, sent, n))
		return fault(a, &SERVER_ERROR, "a content key could not be sent by %s", t->alg.p);
	jw_end(&w);
	return jw_done(&w, header);
}

static void put(struct arena *a, struct buf *b, const void *p, size_t n)
{
	buf_char(b, '.');
	buf_str(b, b64url(a, (struct bytes){ p, n }));
}

static err encrypt(struct arena *a, struct jwe *t, struct str cty, struct str plain, struct str *token)
{
	unsigned char sent[CIPHER_RSA_MOST], iv[16], tag[CIPHER_TAG];
	struct bytes text;
	struct str header;
	size_t n;
	TRY(header_of(a, t, cty, sent, &n, &header));
	rand_fill(iv, sizeof iv);
	struct str first = b64url(a, str_bytes(header));
	if (!cipher_seal(a, t->cipher, t->cek, iv, str_bytes(first), str_bytes(plain), &text, tag))
		return fault(a, &SERVER_ERROR, "%s could not encrypt", t->enc.p);
	struct buf b = buf_new(a, first.n + (n + text.n + 64) * 4 / 3 + 8, JWE_MOST);
	buf_str(&b, first);
	put(a, &b, sent, n);
	put(a, &b, iv, t->cipher->iv);
	put(a, &b, text.p, text.n);
	put(a, &b, tag, sizeof tag);
	return buf_done(&b, token);
}

err jwe_encrypt(struct arena *a, const struct jwe_key *to, struct str alg, struct str enc, struct str cty, struct str plain, struct str *token)
{
	struct jwe t = { .key = to, .alg = alg, .enc = enc, .cipher = cipher_of(enc) };
	if (!t.cipher || !fits(to, alg))
		return fault(a, &INVALID_REQUEST, "a key that does not go with %.32s and %.32s", alg.p, enc.p);
	err e = encrypt(a, &t, cty, plain, token);
	OPENSSL_cleanse(t.cek, sizeof t.cek);
	return e;
}

/* ---- opening one: section 5.2 --------------------------------------------------------------------------------------------------- */

enum { HEADER, SENT, IV, TEXT, TAG, PARTS };

static bool split(struct str token, struct str part[PARTS])
{
	const char *p = token.p, *end = token.p + token.n;
	for (size_t i = 0; i < PARTS; i++) {
		const char *dot = memchr(p, '.', (size_t)(end - p));
		if ((dot != NULL) != (i + 1 < PARTS))
			return false;
		part[i] = (struct str){ p, (size_t)((dot ? dot : end) - p) };
		p = dot ? dot + 1 : end;
	}
	return true;
}

static err take_apart(struct arena *a, struct str token, struct str part[PARTS], struct bytes of[PARTS])
{
	if (token.n == 0 || token.n > JWE_MOST)
		return fault(a, &INVALID_TOKEN, "a JWE of %zu bytes", token.n);
	if (!split(token, part) || part[HEADER].n > HEADER_MOST)
		return fault(a, &INVALID_TOKEN, "a JWE that has not five parts, or too long a header");
	for (size_t i = 0; i < PARTS; i++)
		if (!b64url_read(a, part[i], &of[i]))
			return fault(a, &INVALID_TOKEN, "a JWE that is not canonical base64url");
	return OK;
}

/* Extensions that must be understood (crit), or that make much of little (zip: CVE-2024-28180; p2c: CVE-2023-49290): none is. */
static const char *const EXTENSIONS[] = { "crit", "zip", "b64", "p2c", "p2s" };

static err read_header(struct arena *a, struct bytes text, struct str algs, struct str encs, struct jwe *t, json_t **header)
{
	err e = json_read_object(a, (struct str){ (const char *)text.p, text.n }, header);
	if (e.kind)
		return fault(a, &INVALID_TOKEN, "JWE header: %s", e.why);
	for (size_t i = 0; i < sizeof EXTENSIONS / sizeof *EXTENSIONS; i++)
		if (json_object_get(*header, EXTENSIONS[i]))
			return fault(a, &INVALID_TOKEN, "JWE header with %s", EXTENSIONS[i]);
	if (!json_str(*header, "alg", &t->alg) || !word_in(algs, t->alg) || !fits(t->key, t->alg))
		return fault(a, &INVALID_TOKEN, "JWE header whose alg is not wanted here, or not our key's");
	if (!json_str(*header, "enc", &t->enc) || !word_in(encs, t->enc) || !(t->cipher = cipher_of(t->enc)))
		return fault(a, &INVALID_TOKEN, "JWE header whose enc is not wanted here");
	return OK;
}

/* RFC 7516 section 11.5: "the recipient MUST NOT distinguish between format, padding, and length errors of encrypted keys": on any of them
 * it goes on with a random key, and fails at the tag like the rest. */
static void find_key(struct arena *a, struct jwe *t, const json_t *header, struct bytes sent)
{
	unsigned char random[CIPHER_KEY];
	rand_fill(random, sizeof random);
	unsigned char keep = (unsigned char)-(int)way_of(t->alg)->open(a, t, header, sent);
	for (size_t i = 0; i < sizeof random; i++)
		t->cek[i] = (unsigned char)((t->cek[i] & keep) | (random[i] & ~keep));
	OPENSSL_cleanse(random, sizeof random);
}

err jwe_decrypt(struct arena *a, const struct jwe_key *own, struct str token, struct str algs, struct str encs, struct bytes *plain)
{
	struct str part[PARTS];
	struct bytes of[PARTS];
	struct jwe t = { .key = own };
	json_t *header;
	TRY(take_apart(a, token, part, of));
	TRY(read_header(a, of[HEADER], algs, encs, &t, &header));
	find_key(a, &t, header, of[SENT]);
	bool good = cipher_open(a, t.cipher, t.cek, of[IV], str_bytes(part[HEADER]), of[TEXT], of[TAG], plain);
	OPENSSL_cleanse(t.cek, sizeof t.cek);
	return good ? OK : fault(a, &INVALID_TOKEN, "a JWE that does not open");
}
