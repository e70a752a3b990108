#include "helper.h"
#include "code.h"
#include "json.h"
#include "pin.h"
#include <openssl/evp.h>

static const EVP_MD *digest_of(struct str alg)
{
	return str_is(alg, "ES384") ? EVP_sha384() : str_is(alg, "ES512") ? EVP_sha512() : EVP_sha256();
}

/* SIGNATURES.md 2.1: the nonce is hashed as the text that it is */
static struct bytes digest_to_sign(struct arena *a, const EVP_MD *md, struct str origin, struct str nonce)
{
	unsigned char m[2 * EVP_MAX_MD_SIZE], *d = arena_alloc(a, EVP_MAX_MD_SIZE);
	unsigned n = 0, k = 0, dn = 0;
	EVP_Digest(origin.p, origin.n, m, &n, md, NULL);
	EVP_Digest(nonce.p, nonce.n, m + n, &k, md, NULL);
	EVP_Digest(m, n + k, d, &dn, md, NULL);
	return (struct bytes){ d, dn };
}

err helper_sign(struct helper *h, struct arena *a, struct str origin, struct str nonce, struct str *json)
{
	struct card_info info;
	struct str pin;
	struct bytes sig;
	if (nonce.n < 44 || nonce.n > 128 || !str_printable(nonce))
		return fault(a, &INVALID_REQUEST, "nonce_too_short");
	TRY(card_look(h->card, a, h->label, &info));
	TRY(pin_ask(a, h->ask, origin, &info, &pin));
	TRY(card_sign(h->card, a, h->label, pin, digest_to_sign(a, digest_of(info.algorithm), origin, nonce), &sig));

	struct jw w = jw_new(a, 32768);
	jw_object(&w, NULL);
	jw_str(&w, "unverifiedCertificate", b64(a, info.certificate));
	jw_str(&w, "algorithm", info.algorithm);
	jw_str(&w, "signature", b64(a, sig));
	jw_str(&w, "format", S("web-eid:1.0"));
	jw_str(&w, "appVersion", S("motid-token/0.1.0"));
	return jw_done(&w, json);
}
