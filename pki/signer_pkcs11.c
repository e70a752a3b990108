#include "inside/hsm.h"
#include "inside/jose.h"
#include "inside/own_signer.h"
#include "code.h"
#include "json.h"
#include <stdio.h>
#include <stdlib.h>

enum { RSA_BITS = 2048, SIGN_MS = 2000, MAKE_MS = 30000, OBJECTS = 8 };

struct held { struct signer signer; struct hsm *hsm; const struct alg *alg; };

/* ---- in a session, on a thread of the HSM's ----------------------------------------------------------------------------------------- */

static CK_RV find(struct hsm_session *s, CK_ATTRIBUTE *want, CK_ULONG nwant, CK_OBJECT_HANDLE *o, CK_ULONG *n)
{
	CK_RV rv = s->f->C_FindObjectsInit(s->h, want, nwant);
	if (rv != CKR_OK)
		return rv;
	rv = s->f->C_FindObjects(s->h, o, *n, n);
	CK_RV end = s->f->C_FindObjectsFinal(s->h);
	return rv != CKR_OK ? rv : end;
}

static CK_RV private_key(struct hsm_session *s, const char *kid, CK_OBJECT_HANDLE *o)
{
	CK_OBJECT_CLASS class = CKO_PRIVATE_KEY;
	CK_ATTRIBUTE want[] = { { CKA_CLASS, &class, sizeof class }, { CKA_ID, (void *)(uintptr_t)kid, strlen(kid) } };
	CK_OBJECT_HANDLE found[2];
	CK_ULONG n = 2;
	for (size_t i = 0; i < HSM_KEYS; i++)
		if (strcmp(s->keys[i].kid, kid) == 0) {
			*o = s->keys[i].o;
			return CKR_OK;
		}
	CK_RV rv = find(s, want, 2, found, &n);
	if (rv != CKR_OK || n != 1)
		return rv != CKR_OK ? rv : CKR_KEY_HANDLE_INVALID;
	memcpy(s->keys[s->at].kid, kid, sizeof s->keys[0].kid);
	*o = s->keys[s->at].o = found[0];
	s->at = (s->at + 1) % HSM_KEYS;
	return CKR_OK;
}

static CK_MECHANISM mechanism(const char *alg, CK_RSA_PKCS_PSS_PARAMS *pss)
{
	*pss = (CK_RSA_PKCS_PSS_PARAMS){ CKM_SHA256, CKG_MGF1_SHA256, 32 };
	if (strcmp(alg, "PS256") == 0)
		return (CK_MECHANISM){ CKM_RSA_PKCS_PSS, pss, sizeof *pss };
	return (CK_MECHANISM){ strcmp(alg, "RS256") == 0 ? CKM_RSA_PKCS : strcmp(alg, "EdDSA") == 0 ? CKM_EDDSA : CKM_ECDSA, NULL, 0 };
}

static CK_RV run_sign(struct hsm_session *s, struct hsm_job *j)
{
	CK_RSA_PKCS_PSS_PARAMS pss;
	CK_MECHANISM how = mechanism(j->alg, &pss);
	CK_OBJECT_HANDLE key;
	CK_ULONG n = sizeof j->out[0];
	CK_RV rv = private_key(s, j->kid, &key);
	if (rv == CKR_OK)
		rv = s->f->C_SignInit(s->h, &how, key);
	if (rv == CKR_OK)
		rv = s->f->C_Sign(s->h, j->input, j->ninput, j->out[0], &n);
	j->nout[0] = n;
	return rv;
}

static CK_RV public_part(struct hsm_session *s, struct hsm_job *j, CK_OBJECT_HANDLE key, bool rsa)
{
	CK_ATTRIBUTE get[] = { { rsa ? CKA_MODULUS : CKA_EC_POINT, j->out[0], sizeof j->out[0] }, { CKA_PUBLIC_EXPONENT, j->out[1], sizeof j->out[1] } };
	CK_RV rv = s->f->C_GetAttributeValue(s->h, key, get, rsa ? 2 : 1);
	j->nout[0] = get[0].ulValueLen;
	j->nout[1] = rsa ? get[1].ulValueLen : 0;
	return rv;
}

/* The private half is born in the token, sensitive, and may never leave it. */
static CK_RV run_make(struct hsm_session *s, struct hsm_job *j)
{
	static CK_BYTE p256[] = { 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07 }, e65537[] = { 1, 0, 1 };
	static CK_BYTE ed25519[] = { 0x13, 0x0c, 'e', 'd', 'w', 'a', 'r', 'd', 's', '2', '5', '5', '1', '9' };
	CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
	CK_ULONG bits = RSA_BITS;
	char label[96];
	bool rsa = j->alg[0] != 'E', ed = strcmp(j->alg, "EdDSA") == 0;
	int nlabel = snprintf(label, sizeof label, "motid %s %s", j->alg, j->kid);
	CK_MECHANISM how = { rsa ? CKM_RSA_PKCS_KEY_PAIR_GEN : ed ? CKM_EC_EDWARDS_KEY_PAIR_GEN : CKM_EC_KEY_PAIR_GEN, NULL, 0 };
#define NAMED { CKA_TOKEN, &yes, sizeof yes }, { CKA_ID, j->kid, strlen(j->kid) }, { CKA_LABEL, label, (CK_ULONG)nlabel }
	CK_ATTRIBUTE public[] = { NAMED, { CKA_VERIFY, &yes, sizeof yes },
		rsa ? (CK_ATTRIBUTE){ CKA_MODULUS_BITS, &bits, sizeof bits } : ed ? (CK_ATTRIBUTE){ CKA_EC_PARAMS, ed25519, sizeof ed25519 } : (CK_ATTRIBUTE){ CKA_EC_PARAMS, p256, sizeof p256 },
		{ CKA_PUBLIC_EXPONENT, e65537, sizeof e65537 } };
	CK_ATTRIBUTE private[] = { NAMED, { CKA_PRIVATE, &yes, sizeof yes }, { CKA_SENSITIVE, &yes, sizeof yes }, { CKA_EXTRACTABLE, &no, sizeof no }, { CKA_SIGN, &yes, sizeof yes } };
#undef NAMED
	CK_OBJECT_HANDLE pub, priv;
	CK_ULONG npublic = sizeof public / sizeof *public - (rsa ? 0 : 1);
	CK_RV rv = s->f->C_GenerateKeyPair(s->h, &how, public, npublic, private, sizeof private / sizeof *private, &pub, &priv);
	return rv == CKR_OK ? public_part(s, j, pub, rsa) : rv;
}

static CK_RV run_forget(struct hsm_session *s, struct hsm_job *j)
{
	CK_ATTRIBUTE want[] = { { CKA_ID, j->kid, strlen(j->kid) } };
	CK_OBJECT_HANDLE found[OBJECTS];
	CK_ULONG n = OBJECTS;
	CK_RV rv = find(s, want, 1, found, &n);
	for (CK_ULONG i = 0; rv == CKR_OK && i < n; i++)
		rv = s->f->C_DestroyObject(s->h, found[i]);
	return rv;
}

/* ---- a signer ------------------------------------------------------------------------------------------------------------------------- */

static struct hsm_job job_of(CK_RV (*run)(struct hsm_session *, struct hsm_job *), struct str alg, struct str kid)
{
	struct hsm_job j = { .run = run };
	memcpy(j.alg, alg.p, alg.n < sizeof j.alg ? alg.n : sizeof j.alg - 1);
	memcpy(j.kid, kid.p, kid.n < sizeof j.kid ? kid.n : sizeof j.kid - 1);
	return j;
}

/* What the mechanism wants: RFC 8017 section 9.2 DigestInfo, a digest, or for EdDSA all of it. */
static bool prepared(struct arena *a, const struct alg *g, struct bytes input, struct bytes *out)
{
	static const unsigned char INFO[] = { 0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20 };
	unsigned char *p = arena_alloc(a, sizeof INFO + 64);
	size_t n, head = g->kind == KEY_RSA && !g->pss ? sizeof INFO : 0;
	*out = input;
	if (g->kind == KEY_ED25519)
		return input.n <= HSM_INPUT_MOST;
	memcpy(p, INFO, head);
	bool good = alg_digest(g, input, p + head, &n);
	*out = (struct bytes){ p, head + n };
	return good;
}

static err sign(struct signer *s, struct arena *a, struct bytes input, unsigned char *sig, size_t *n)
{
	struct held *h = (struct held *)s;
	struct hsm_job j = job_of(run_sign, h->alg->name, s->kid);
	struct bytes in;
	if (!prepared(a, h->alg, input, &in))
		return fault(a, &SERVER_ERROR, "the key %s could not sign", s->kid.p);
	j.input = (unsigned char *)(uintptr_t)in.p, j.ninput = in.n;
	TRY(hsm_run(h->hsm, a, &j, SIGN_MS));
	size_t want = h->alg->kind == KEY_RSA ? RSA_BITS / 8 : 64;
	if (j.nout[0] != want)
		return fault(a, &UNAVAILABLE, "HSM: a signature of %zu bytes by %s", j.nout[0], s->kid.p);
	memcpy(sig, j.out[0], want);
	*n = want;
	return OK;
}

static void free_held(struct signer *s) { free(s); }

err signer_hsm_open(struct hsm *hsm, struct arena *a, struct str alg, struct str kid, struct str public_jwk, struct signer **out)
{
	const struct alg *g;
	TRY(signer_fits(a, alg, kid, &g));
	struct held *h = calloc(1, sizeof *h);
	if (!h)
		abort();
	*h = (struct held){ { .sign = sign, .free = free_held }, hsm, g };
	signer_name(&h->signer, g->name, kid, public_jwk);
	*out = &h->signer;
	return OK;
}

/* CKA_EC_POINT is a DER OCTET STRING; some give what is in it. */
static struct bytes point_of(struct bytes b, size_t n)
{
	return b.n == n + 2 && b.p[0] == 4 && b.p[1] == n ? (struct bytes){ b.p + 2, n } : b;
}

static err public_members(struct arena *a, struct jw *w, const struct alg *g, const struct hsm_job *j)
{
	struct bytes first = { j->out[0], j->nout[0] }, second = { j->out[1], j->nout[1] };
	struct bytes ec = point_of(first, 65), ed = point_of(first, 32);
	if (g->kind == KEY_RSA) {
		jw_str(w, "e", b64url(a, second));
		jw_str(w, "kty", S("RSA"));
		jw_str(w, "n", b64url(a, first));
	} else if (g->kind == KEY_ED25519 && ed.n == 32) {
		jw_str(w, "crv", S("Ed25519"));
		jw_str(w, "kty", S("OKP"));
		jw_str(w, "x", b64url(a, ed));
	} else if (g->kind == KEY_P256 && ec.n == 65 && ec.p[0] == 4) {
		jw_str(w, "crv", S("P-256"));
		jw_str(w, "kty", S("EC"));
		jw_str(w, "x", b64url(a, (struct bytes){ ec.p + 1, 32 }));
		jw_str(w, "y", b64url(a, (struct bytes){ ec.p + 33, 32 }));
	} else {
		return fault(a, &UNAVAILABLE, "HSM: the public key of %zu bytes does not read", first.n);
	}
	return OK;
}

static err jwk_of(struct arena *a, const struct alg *g, struct str kid, const struct hsm_job *j, struct str *out)
{
	struct jw w = jw_new(a, 4096);
	jw_object(&w, NULL);
	jw_str(&w, "kid", kid);
	jw_str(&w, "alg", g->name);
	jw_str(&w, "use", S("sig"));
	TRY(public_members(a, &w, g, j));
	return jw_done(&w, out);
}

/* What a new key signs verifies with the public half that the token gave, or it is none. */
static err proves_itself(struct arena *a, struct signer *s)
{
	json_t *o;
	struct key *key;
	unsigned char sig[HSM_SIG_MOST];
	size_t n;
	struct bytes text = str_bytes(signer_kid(s));
	TRY(json_read_object(a, signer_public_jwk(s), &o));
	TRY(key_from_jwk(a, o, &key));
	arena_defer(a, key_drop_later, key);
	TRY(signer_sign(s, a, text, sig, &n));
	return key_verify(key, signer_alg(s), text, (struct bytes){ sig, n }) ? OK : fault(a, &UNAVAILABLE, "HSM: the new key %s does not verify", signer_kid(s).p);
}

err signer_hsm_new(struct hsm *hsm, struct arena *a, struct str alg, struct str kid, struct signer **out)
{
	const struct alg *g;
	struct str jwk;
	TRY(signer_fits(a, alg, kid, &g));
	struct hsm_job j = job_of(run_make, g->name, kid);
	TRY(hsm_run(hsm, a, &j, MAKE_MS));
	TRY(jwk_of(a, g, kid, &j, &jwk));
	TRY(signer_hsm_open(hsm, a, alg, kid, jwk, out));
	err e = proves_itself(a, *out);
	if (e.kind)
		signer_free(*out);
	return e;
}

err hsm_forget(struct hsm *hsm, struct arena *a, struct str kid)
{
	struct hsm_job j = job_of(run_forget, S(""), kid);
	return hsm_run(hsm, a, &j, SIGN_MS);
}
