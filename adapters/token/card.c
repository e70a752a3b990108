#include "card.h"
#include <dlfcn.h>
#include <openssl/evp.h>
#include <openssl/x509v3.h>
#include <p11-kit/pkcs11.h>
#include <stdlib.h>

enum { MAX_SLOTS = 16, MAX_CERTS = 16, MAX_CERT = 16384, MAX_ID = 256 };

struct card { void *library; CK_FUNCTION_LIST *f; };

/* A certificate on a token whose key is there too. */
struct found { CK_SLOT_ID slot; unsigned char id[MAX_ID]; CK_ULONG nid; };

static err rv_fault(struct arena *a, const char *what, CK_RV rv)
{
	static const struct { CK_RV rv; const struct err_kind *kind; const char *why; } KNOWN[] = {
		{ CKR_PIN_INCORRECT, &LOGIN_REFUSED, "pin_incorrect" }, { CKR_PIN_LEN_RANGE, &LOGIN_REFUSED, "pin_incorrect" },
		{ CKR_PIN_LOCKED, &LOGIN_REFUSED, "pin_blocked" }, { CKR_FUNCTION_CANCELED, &ACCESS_DENIED, "user_cancelled" },
		{ CKR_TOKEN_NOT_PRESENT, &NOT_FOUND, "no_token" }, { CKR_DEVICE_REMOVED, &NOT_FOUND, "no_token" },
	};
	for (size_t i = 0; i < sizeof KNOWN / sizeof *KNOWN; i++)
		if (KNOWN[i].rv == rv)
			return fault(a, KNOWN[i].kind, "%s", KNOWN[i].why);
	return fault(a, &SERVER_ERROR, "%s: PKCS#11 error 0x%lx", what, rv);
}

#define ASK(a, c, call, ...) do { CK_RV rv_ = (c)->f->call(__VA_ARGS__); if (rv_ != CKR_OK) return rv_fault(a, #call, rv_); } while (0)

err card_open(struct arena *a, const char *module, struct card **out)
{
	struct card *c = calloc(1, sizeof *c);
	if (!c)
		abort();
	c->library = dlopen(module, RTLD_NOW | RTLD_LOCAL);
	CK_C_GetFunctionList list = NULL;
	if (c->library)
		*(void **)&list = dlsym(c->library, "C_GetFunctionList");
	if (!list || list(&c->f) != CKR_OK) {
		err e = fault(a, &BAD_CONFIG, "%s is not a PKCS#11 module: %s", module, c->library ? "no C_GetFunctionList" : dlerror());
		card_close(c);
		return e;
	}
	CK_RV rv = c->f->C_Initialize(NULL);
	if (rv != CKR_OK && rv != CKR_CRYPTOKI_ALREADY_INITIALIZED) {
		c->f = NULL;
		card_close(c);
		return rv_fault(a, "C_Initialize", rv);
	}
	*out = c;
	return OK;
}

void card_close(struct card *c)
{
	if (!c)
		return;
	if (c->f)
		c->f->C_Finalize(NULL);
	if (c->library)
		dlclose(c->library);
	free(c);
}

static err find(struct card *c, struct arena *a, CK_SESSION_HANDLE s, CK_ATTRIBUTE *want, CK_ULONG nwant, CK_OBJECT_HANDLE *o, CK_ULONG *n)
{
	ASK(a, c, C_FindObjectsInit, s, want, nwant);
	CK_RV rv = c->f->C_FindObjects(s, o, *n, n);
	c->f->C_FindObjectsFinal(s);
	return rv == CKR_OK ? OK : rv_fault(a, "C_FindObjects", rv);
}

/* What the certificate's key can do; NULL when we have no use for it. */
static const char *algorithm_of(struct bytes der, struct arena *a, struct str *subject)
{
	const unsigned char *p = der.p;
	X509 *x = d2i_X509(NULL, &p, (long)der.n);
	const char *alg = NULL;
	EVP_PKEY *k = x ? X509_get0_pubkey(x) : NULL;
	if (k && (X509_get_key_usage(x) & X509v3_KU_DIGITAL_SIGNATURE)) {
		int bits = EVP_PKEY_get_bits(k);
		if (EVP_PKEY_is_a(k, "RSA") && bits >= 2048)
			alg = "RS256";
		else if (EVP_PKEY_is_a(k, "EC"))
			alg = bits == 256 ? "ES256" : bits == 384 ? "ES384" : bits == 521 ? "ES512" : NULL;
		char cn[256] = "";
		X509_NAME_get_text_by_NID(X509_get_subject_name(x), NID_commonName, cn, sizeof cn);
		*subject = str_dup(a, cn, strlen(cn));
	}
	X509_free(x);
	return alg;
}

static err read_cert(struct card *c, struct arena *a, CK_SESSION_HANDLE s, CK_OBJECT_HANDLE o, struct found *f, struct card_info *out, bool *good)
{
	unsigned char *der = arena_alloc(a, MAX_CERT);
	CK_ATTRIBUTE get[] = { { CKA_VALUE, der, MAX_CERT }, { CKA_ID, f->id, MAX_ID } };
	*good = false;
	ASK(a, c, C_GetAttributeValue, s, o, get, 2);
	out->certificate = (struct bytes){ der, get[0].ulValueLen };
	f->nid = get[1].ulValueLen;
	const char *alg = algorithm_of(out->certificate, a, &out->subject);
	if (alg) {
		out->algorithm = str_of(alg);
		*good = true;
	}
	return OK;
}

static err look_in_slot(struct card *c, struct arena *a, CK_SLOT_ID slot, struct found *f, struct card_info *out, bool *good)
{
	CK_SESSION_HANDLE s;
	CK_OBJECT_CLASS class = CKO_CERTIFICATE;
	CK_ATTRIBUTE want[] = { { CKA_CLASS, &class, sizeof class } };
	CK_OBJECT_HANDLE o[MAX_CERTS];
	CK_ULONG n = MAX_CERTS;
	ASK(a, c, C_OpenSession, slot, CKF_SERIAL_SESSION, NULL, NULL, &s);
	err e = find(c, a, s, want, 1, o, &n);
	*good = false;
	for (CK_ULONG i = 0; !e.kind && i < n && !*good; i++)
		e = read_cert(c, a, s, o[i], f, out, good);
	c->f->C_CloseSession(s);
	f->slot = slot;
	return e;
}

static struct str padded(struct arena *a, const CK_UTF8CHAR *p, size_t n)
{
	while (n && p[n - 1] == ' ')
		n--;
	return str_dup(a, (const char *)p, n);
}

static err look(struct card *c, struct arena *a, struct str label, struct found *f, struct card_info *out)
{
	CK_SLOT_ID slots[MAX_SLOTS];
	CK_ULONG n = MAX_SLOTS;
	ASK(a, c, C_GetSlotList, CK_TRUE, slots, &n);
	for (CK_ULONG i = 0; i < n; i++) {
		CK_TOKEN_INFO t;
		bool good = false;
		if (c->f->C_GetTokenInfo(slots[i], &t) != CKR_OK || !(t.flags & CKF_TOKEN_INITIALIZED))
			continue;
		*out = (struct card_info){ .token = padded(a, t.label, sizeof t.label) };
		if (label.n && !str_eq(label, out->token))
			continue;
		out->pin_low = t.flags & CKF_USER_PIN_COUNT_LOW;
		out->pin_last = t.flags & CKF_USER_PIN_FINAL_TRY;
		out->pin_locked = t.flags & CKF_USER_PIN_LOCKED;
		out->own_pinpad = t.flags & CKF_PROTECTED_AUTHENTICATION_PATH;
		TRY(look_in_slot(c, a, slots[i], f, out, &good));
		if (good)
			return OK;
	}
	return fault(a, &NOT_FOUND, "no_token");
}

err card_look(struct card *c, struct arena *a, struct str label, struct card_info *out)
{
	struct found f = { 0 };
	return look(c, a, label, &f, out);
}

/* RFC 8017 section 9.2: DigestInfo of SHA-256, for CKM_RSA_PKCS, which every token has */
static struct bytes for_rsa(struct arena *a, struct bytes digest)
{
	static const unsigned char PREFIX[] = { 0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20 };
	unsigned char *d = arena_alloc(a, sizeof PREFIX + digest.n);
	memcpy(d, PREFIX, sizeof PREFIX);
	memcpy(d + sizeof PREFIX, digest.p, digest.n);
	return (struct bytes){ d, sizeof PREFIX + digest.n };
}

static err sign_in_session(struct card *c, struct arena *a, CK_SESSION_HANDLE s, const struct found *f, bool rsa, struct bytes data, struct bytes *out)
{
	CK_OBJECT_CLASS class = CKO_PRIVATE_KEY;
	CK_ATTRIBUTE want[] = { { CKA_CLASS, &class, sizeof class }, { CKA_ID, (void *)(uintptr_t)f->id, f->nid } };
	CK_OBJECT_HANDLE key;
	CK_ULONG n = 1, nsig = 1024;
	CK_MECHANISM how = { rsa ? CKM_RSA_PKCS : CKM_ECDSA, NULL, 0 };
	unsigned char *sig = arena_alloc(a, nsig);
	TRY(find(c, a, s, want, 2, &key, &n));
	if (n != 1)
		return fault(a, &NOT_FOUND, "no_key");
	ASK(a, c, C_SignInit, s, &how, key);
	ASK(a, c, C_Sign, s, (CK_BYTE *)(uintptr_t)data.p, data.n, sig, &nsig);
	*out = (struct bytes){ sig, nsig };
	return OK;
}

err card_sign(struct card *c, struct arena *a, struct str label, struct str pin, struct bytes digest, struct bytes *signature)
{
	struct found f = { 0 };
	struct card_info info;
	CK_SESSION_HANDLE s;
	TRY(look(c, a, label, &f, &info));
	bool rsa = str_is(info.algorithm, "RS256");
	ASK(a, c, C_OpenSession, f.slot, CKF_SERIAL_SESSION, NULL, NULL, &s);
	CK_RV rv = c->f->C_Login(s, CKU_USER, info.own_pinpad ? NULL : (CK_UTF8CHAR *)(uintptr_t)pin.p, info.own_pinpad ? 0 : pin.n);
	err e = rv == CKR_OK || rv == CKR_USER_ALREADY_LOGGED_IN ? OK : rv_fault(a, "C_Login", rv);
	if (!e.kind) {
		e = sign_in_session(c, a, s, &f, rsa, rsa ? for_rsa(a, digest) : digest, signature);
		c->f->C_Logout(s);               /* a PIN for each signature */
	}
	c->f->C_CloseSession(s);
	return e;
}
