#include "oauth.h"
#include "code.h"
#include "hash.h"
#include "jws.h"
#include "keys.h"
#include "rand.h"
#include "settings.h"

enum { MAX_CLAIMS = 8192, CLOCKS_DIFFER = 5 };

/* ---- minting: RFC 9068 section 2 ---------------------------------------------------------------------------- */

/* section 2.2: aud REQUIRED. Ours are always good for userinfo, and for the resource servers that the client is registered for. */
static void write_audience(struct jw *w, const struct req *rq, const struct tokens *t)
{
	const struct client *c = t->client;
	if (t->exchanged) {
		jw_strs(w, "aud", t->exchanged->audience);
		return;
	}
	/* RFC 8707 section 2.2: where places were named, it is good there, and for userinfo when there is an openid in it */
	struct strs places = t->resources.n ? str_words(rq->a, t->resources) : c->audiences;
	bool ours = str_empty(t->resources) || word_in(t->scope, S("openid"));
	if (!places.n || (places.n == 1 && !ours)) {
		jw_str(w, "aud", places.n ? places.v[0] : rq->house->issuer);
		return;
	}
	jw_array(w, "aud");
	if (ours)
		jw_str(w, NULL, rq->house->issuer);
	for (size_t i = 0; i < places.n; i++)
		jw_str(w, NULL, places.v[i]);
	jw_end(w);
}

/* RFC 7800 section 3.1: the methods by which the holder of a token can be confirmed. RFC 8705 section 3.1, RFC 9449 section 6.1 */
static const struct str METHODS[] = { S("x5t#S256"), S("jkt") };
enum { METHODS_N = sizeof METHODS / sizeof *METHODS };

void confirm_write(struct jw *w, struct str confirm)
{
	for (size_t i = 0; i < METHODS_N; i++) {
		size_t n = METHODS[i].n + 1;
		if (!str_starts(confirm, METHODS[i]) || confirm.n <= n || confirm.p[n - 1] != ':')
			continue;
		jw_object(w, "cnf");
		jw_str(w, METHODS[i].p, (struct str){ confirm.p + n, confirm.n - n });
		jw_end(w);
	}
}

static void write_login(struct jw *w, struct arena *a, const struct grant_row *g)
{
	if (str_empty(g->id))
		return;
	jw_str(w, "gid", g->id);
	if (g->auth_time)
		jw_int(w, "auth_time", g->auth_time);
	jw_opt(w, "acr", g->acr);
	if (g->amr.n)
		jw_strs(w, "amr", str_words(a, g->amr));
}

/* RFC 8693 sections 4.1 and 4.4; via is ours: what must live for this one to live */
static void write_exchanged(struct jw *w, const struct exchanged *x)
{
	if (!x)
		return;
	if (x->act.n)
		jw_raw(w, "act", x->act);
	if (x->may_act.n)
		jw_raw(w, "may_act", x->may_act);
	if (x->via.n)
		jw_strs(w, "via", x->via);
}

err access_mint(struct req *rq, struct tokens *t)
{
	struct keyring *ring;
	struct str claims;
	struct jw w = jw_new(rq->a, MAX_CLAIMS);

	TRY(keys_now(rq->house, rq->a, &ring));
	struct signer *signer = keyring_signer(ring, S("ES256"), rq->now);
	if (!signer)
		return fault(rq->a, &UNAVAILABLE, "no ES256 key signs now");

	t->jti = rand_id(rq->a, rq->now_ms);
	if (!t->expires)
		t->expires = rq->now + rq->house->conf->access_lives;
	jw_object(&w, NULL);
	jw_str(&w, "iss", rq->house->issuer);
	write_audience(&w, rq, t);
	jw_str(&w, "sub", t->grant->sub);
	jw_str(&w, "client_id", t->client->id);
	jw_int(&w, "iat", rq->now);
	jw_int(&w, "exp", t->expires);
	jw_str(&w, "jti", t->jti);
	jw_opt(&w, "scope", t->scope);
	write_login(&w, rq->a, t->grant);
	confirm_write(&w, t->confirm);
	write_exchanged(&w, t->exchanged);
	if (t->details.n)
		jw_raw(&w, "authorization_details", t->details);       /* RFC 9396 section 9.1 */
	jw_end(&w);
	TRY(jw_done(&w, &claims));
	return jws_sign(rq->a, signer, S("at+jwt"), claims, &t->access);
}

/* ---- reading: RFC 9068 section 4 -------------------------------------------------------------------------------- */

static struct str confirm_in(struct arena *a, const json_t *claims)
{
	struct str value;
	const json_t *cnf = json_object_get(claims, "cnf");
	if (!cnf)
		return S("");
	for (size_t i = 0; i < METHODS_N && json_object_size(cnf) == 1; i++)
		if (json_str(cnf, METHODS[i].p, &value))
			return str_fmt(a, "%s:%s", METHODS[i].p, value.p);
	return S("unknown");                 /* a binding that we do not know can be met by nobody */
}

static struct str object_in(struct arena *a, const json_t *claims, const char *name)
{
	const json_t *o = json_object_get(claims, name);
	return json_is_object(o) ? json_dump(a, o) : S("");
}

static void fill(struct arena *a, const json_t *claims, struct str kid, struct access *out)
{
	*out = (struct access){
		.jti = json_text(claims, "jti"), .sub = json_text(claims, "sub"), .client_id = json_text(claims, "client_id"),
		.scope = json_text(claims, "scope"), .acr = json_text(claims, "acr"), .grant_id = json_text(claims, "gid"),
		.amr = strs_join(a, json_strs(a, claims, "amr"), S(" ")), .audience = strs_join(a, json_strs(a, claims, "aud"), S(" ")),
		.confirm = confirm_in(a, claims), .kid = kid, .act = object_in(a, claims, "act"), .may_act = object_in(a, claims, "may_act"),
		.via = strs_join(a, json_strs(a, claims, "via"), S(" ")),
	};
	if (json_is_array(json_object_get(claims, "authorization_details")))
		out->details = json_dump(a, json_object_get(claims, "authorization_details"));
	json_int(claims, "iat", &out->iat);
	json_int(claims, "exp", &out->exp);
	json_int(claims, "auth_time", &out->auth_time);
}

static err verify(struct req *rq, struct str token, struct access *out)
{
	struct jws jws;
	struct keyring *ring;
	json_t *claims;

	TRY(jws_read(rq->a, token, &jws));
	TRY(keys_seek(rq->house, rq->a, jws.kid, &ring));
	const struct key *key = keyring_key(ring, jws.kid, rq->now);
	if (!key)
		return fault(rq->a, &INVALID_TOKEN, "no key of ours is called '%.64s'", jws.kid.p);
	TRY(jws_verify(rq->a, token, key, S("ES256"), S("at+jwt"), &claims));
	TRY(jwt_check_times(rq->a, claims, rq->now, CLOCKS_DIFFER, S("iss sub aud exp iat jti client_id")));
	if (!str_eq(json_text(claims, "iss"), rq->house->issuer))
		return fault(rq->a, &INVALID_TOKEN, "issued by somebody else");
	fill(rq->a, claims, jws.kid, out);
	return OK;
}

/* A key that was taken out of the ring takes with it what it signed, also what was verified before. */
static bool still_ours(struct req *rq, const struct access *t)
{
	struct keyring *ring;
	return !keys_now(rq->house, rq->a, &ring).kind && keyring_key(ring, t->kid, rq->now) != NULL;
}

err access_read(struct req *rq, struct str token, struct access *out)
{
	unsigned char hash[SHA256_SIZE];
	sha256(token.p, token.n, hash);
	bool seen = minted_look(rq->house->minted, rq->a, hash, out) && still_ours(rq, out);
	if (!seen)
		TRY(verify(rq, token, out));
	if (out->exp <= rq->now)
		return fault(rq->a, &INVALID_TOKEN, "token %s expired %llds ago", out->jti.p, (long long)(rq->now - out->exp));
	if (!seen)
		minted_keep(rq->house->minted, hash, out, rq->now);
	return OK;
}

/* ---- whether it lives ------------------------------------------------------------------------------------------- */

struct rests access_rests(struct arena *a, const struct access *t)
{
	return (struct rests){ .jti = t->jti, .grant_id = t->grant_id, .client_id = t->client_id, .via = str_words(a, t->via) };
}

err access_live(struct req *rq, const struct access *t, enum liveness *out, struct grant_row **grant, struct person_row **person)
{
	if (str_empty(t->via))
		return store_token_live(rq->house->store, rq->a, t->jti, t->grant_id, t->client_id, rq->now, out, grant, person);
	struct rests r = access_rests(rq->a, t);
	if (person)
		*person = NULL;
	return store_rests_live(rq->house->store, rq->a, &r, 1, rq->now, out, grant);
}
