#include "proof.h"
#include "jws.h"

enum { PROOF_MOST = 8192, JTI_MOST = 256, HTM_MOST = 16, HTU_MOST = 2048, ATH_MOST = 64, NONCE_MOST = 256 };

static err wrong(struct arena *a, const char *why, struct str what)
{
	return fault(a, &INVALID_DPOP_PROOF, "%s '%.80s'", why, what.p);
}

/* ---- what it says ---- */

/* A claim that is a string, and not too long, when it is there at all. */
static bool text_or_none(const json_t *claims, const char *name, size_t most, struct str *out)
{
	*out = S("");
	return !json_object_get(claims, name) || (json_str(claims, name, out) && out->n <= most);
}

static bool text(const json_t *claims, const char *name, size_t most, struct str *out)
{
	return text_or_none(claims, name, most, out) && out->n;
}

static bool time_or_none(const json_t *claims, const char *name, epoch unsaid, epoch *t)
{
	*t = unsaid;
	return !json_object_get(claims, name) || json_int(claims, name, t);
}

/* section 4.2: jti, htm, htu and iat at least; ath and nonce where they are asked for. RFC 7519 section 4: what else is there is ignored. */
static err read_claims(struct arena *a, const json_t *claims, struct proof *p)
{
	if (!text(claims, "jti", JTI_MOST, &p->jti) || !text(claims, "htm", HTM_MOST, &p->htm) || !text(claims, "htu", HTU_MOST, &p->htu))
		return wrong(a, "a proof without a usable jti, htm or htu", p->jti);
	if (!text_or_none(claims, "ath", ATH_MOST, &p->ath) || !text_or_none(claims, "nonce", NONCE_MOST, &p->nonce))
		return wrong(a, "a proof whose ath or nonce is no string", p->jti);
	if (!json_int(claims, "iat", &p->iat))
		return wrong(a, "a proof without an integer iat", p->jti);
	if (!time_or_none(claims, "nbf", INT64_MIN, &p->nbf) || !time_or_none(claims, "exp", INT64_MAX, &p->exp))
		return wrong(a, "a proof whose nbf or exp is no integer", p->jti);
	return OK;
}

/* section 4.3 items 2 to 7 */
err proof_read(struct arena *a, struct shelf *shelf, struct str token, struct str algs, struct proof *out)
{
	struct key *key;
	json_t *claims;
	if (token.n > PROOF_MOST)
		return fault(a, &INVALID_DPOP_PROOF, "a proof of %zu bytes", token.n);
	err e = jws_verify_by_own(a, shelf, token, algs, S("dpop+jwt"), &key, &claims);
	if (e.kind)
		return fault(a, &INVALID_DPOP_PROOF, "proof: %s", e.why);
	TRY(read_claims(a, claims, out));
	out->jkt = key_thumbprint(key, a);
	return OK;
}

/* ---- which place it names ---- */

static const struct { struct str scheme, port; } DEFAULTS[] = { { S("https"), S(":443") }, { S("http"), S(":80") }, };

struct place { struct str scheme, host, path; };

static struct str without_port(struct str scheme, struct str host)
{
	for (size_t i = 0; i < sizeof DEFAULTS / sizeof *DEFAULTS; i++)
		if (str_eq_nocase(scheme, DEFAULTS[i].scheme) && str_ends(host, DEFAULTS[i].port))
			return (struct str){ host.p, host.n - DEFAULTS[i].port.n };
	return host;
}

/* The pieces up to the first of `stops`, and the rest. */
static struct str until(struct str *rest, const char *stops)
{
	size_t n = 0;
	while (n < rest->n && !strchr(stops, rest->p[n]))
		n++;
	struct str piece = { rest->p, n };
	*rest = (struct str){ rest->p + n, rest->n - n };
	return piece;
}

static bool place_of(struct str url, struct place *p)
{
	p->scheme = until(&url, ":/?#");
	if (!p->scheme.n || !str_starts(url, S("://")))
		return false;
	url = (struct str){ url.p + 3, url.n - 3 };
	p->host = without_port(p->scheme, until(&url, "/?#"));
	p->path = until(&url, "?#");
	if (!p->path.n)
		p->path = S("/");
	return p->host.n > 0;
}

bool place_same(struct str htu, struct str url)
{
	struct place x, y;
	return place_of(htu, &x) && place_of(url, &y) && str_eq_nocase(x.scheme, y.scheme) && str_eq_nocase(x.host, y.host) && str_eq(x.path, y.path);
}
