#include "holder.h"
#include "code.h"
#include "hash.h"
#include "key.h"

static void drop(void *s) { signer_free(s); }

struct signer *holder(struct world *w, const char *alg)
{
	struct signer *s;
	fine(signer_local_new(w->a, str_of(alg), S("held"), &s));
	arena_defer(w->a, drop, s);
	return s;
}

/* Its public JWK with nothing but the key in it. */
static json_t *jwk_of(struct world *w, struct signer *by)
{
	static const char *const OURS[] = { "kid", "use", "alg", "key_ops" };
	json_t *jwk;
	fine(json_read_object(w->a, signer_public_jwk(by), &jwk));
	for (size_t i = 0; i < sizeof OURS / sizeof *OURS; i++)
		json_object_del(jwk, OURS[i]);
	return jwk;
}

struct str jkt_of(struct world *w, struct signer *by)
{
	struct key *k;
	fine(key_from_jwk(w->a, jwk_of(w, by), &k));
	struct str jkt = key_thumbprint(k, w->a);
	key_drop(k);
	return jkt;
}

static void merge(struct world *w, json_t *into, const char *patch)
{
	json_t *o, *v;
	const char *name;
	if (!patch)
		return;
	fine(json_read_object(w->a, str_of(patch), &o));
	json_object_foreach(o, name, v) {
		if (json_is_null(v))
			json_object_del(into, name);
		else
			json_object_set(into, name, v);
	}
}

static struct str part(struct world *w, json_t *o) { return b64url(w->a, str_bytes(json_dump(w->a, o))); }

struct str proof(struct world *w, struct signer *by, struct proof_wish x)
{
	static int made;
	unsigned char sig[512];
	size_t n;
	json_t *head = json_own(w->a, json_pack("{s:s, s:s, s:O}", "typ", "dpop+jwt", "alg", signer_alg(by).p, "jwk", jwk_of(w, by)));
	json_t *claims = json_own(w->a, json_pack("{s:s, s:s, s:I}", "htm", x.htm ? x.htm : "POST", "htu", x.htu ? x.htu : "https://id.example/token",
	                                          "iat", (json_int_t)w->now));
	json_object_set_new(claims, "jti", json_sprintf("proof-%d", made++));
	if (x.token.n)
		json_object_set_new(claims, "ath", json_string(hash_of(w->a, x.token).p));
	merge(w, head, x.head);
	merge(w, claims, x.claims);
	struct str input = str_fmt(w->a, "%s.%s", part(w, head).p, part(w, claims).p);
	fine(signer_sign(by, w->a, str_bytes(input), sig, &n));
	return str_fmt(w->a, "%s.%s", input.p, b64url(w->a, (struct bytes){ sig, n }).p);
}

struct str proof_line(struct world *w, struct signer *by, struct proof_wish x)
{
	return str_fmt(w->a, "DPoP: %s\n", proof(w, by, x).p);
}

struct str shown_with(struct world *w, struct str token, struct signer *by, struct proof_wish x)
{
	x.htm = x.htm ? x.htm : "GET";
	x.htu = x.htu ? x.htu : "https://id.example/userinfo";
	x.token = x.token.p ? x.token : token;
	return str_fmt(w->a, "Authorization: DPoP %s\n%s", token.p, proof_line(w, by, x).p);
}
