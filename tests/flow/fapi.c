#include "fapi.h"
#include "jws.h"
#include "rand.h"

static void drop(void *s) { signer_free(s); }

struct signer *key_of(struct world *w, const char *alg, const char *kid)
{
	struct signer *s;
	fine(signer_local_new(w->a, str_of(alg), str_of(kid), &s));
	arena_defer(w->a, drop, s);
	return s;
}

struct firm firm(struct world *w, const char *id, const char *profile, const char *alg, const char *more)
{
	struct firm f = { .id = id, .key = key_of(w, alg, str_fmt(w->a, "%s-1", id).p), .cert = str_fmt(w->a, "Client-Cert: :%s:\n", w->gate_cert.p).p };
	world_client(w, id, "private_key_jwt", str_fmt(w->a, ",\"profile\":\"%s\",\"grant_types\":[\"authorization_code\",\"refresh_token\"],"
	             "\"scope\":\"openid email phone offline_access\",\"tls_client_certificate_bound_access_tokens\":true,\"jwks\":{\"keys\":[%s]}%s", profile, signer_public_jwk(f.key).p, more).p);
	agrees(w, id, "openid email phone offline_access");
	return f;
}

struct str assertion_of(struct browser *b, const struct firm *f)
{
	struct str claims = str_fmt(b->a, "{\"iss\":\"%s\",\"sub\":\"%s\",\"aud\":\"https://id.example\",\"exp\":%lld,\"jti\":\"%s\"}", f->id, f->id,
	                            (long long)b->w->now + 60, rand_token(b->a).p);
	return str_fmt(b->a, "&client_assertion_type=urn%%3Aietf%%3Aparams%%3Aoauth%%3Aclient-assertion-type%%3Ajwt-bearer&client_assertion=%s",
	               signed_by(b->w, f->key, "JWT", claims.p).p);
}

struct res *pushes_form(struct browser *b, const struct firm *f, const char *form)
{
	return ask_in(b->w, b->a, "POST", "/par", f->cert, str_fmt(b->a, "%s%s", form, assertion_of(b, f).p).p);
}

#define PKCE "code_challenge=" CHALLENGE "&code_challenge_method=S256"

struct res *pushes_usual(struct browser *b, const struct firm *f, const char *more)
{
	return pushes_form(b, f, usual(b->a, f->id, str_fmt(b->a, "%s%s%s", strstr(more, "code_challenge") ? "" : PKCE, *more && !strstr(more, "code_challenge") ? "&" : "", more).p).p);
}

/* Names that begin with '!' in `claims` ({"!exp":0}) are left out. */
struct str object_of(struct browser *b, const struct firm *f, const char *typ, const char *claims)
{
	json_t *o, *all = json_own(b->a, json_pack("{s:s, s:s, s:I, s:I, s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "iss", f->id, "aud", "https://id.example",
		"nbf", (json_int_t)b->w->now, "exp", (json_int_t)b->w->now + 300, "response_type", "code", "redirect_uri", str_fmt(b->a, "https://%s.example/cb", f->id).p,
		"scope", "openid", "state", "s-1", "client_id", f->id, "code_challenge", CHALLENGE, "code_challenge_method", "S256"));
	const char *name;
	json_t *v;
	fine(json_read_object(b->a, str_of(claims), &o));
	json_object_foreach(o, name, v)
		if (*name == '!')
			json_object_del(all, name + 1);
		else
			json_object_set(all, name, v);
	return signed_by(b->w, f->key, typ, json_dump(b->a, all).p);
}

struct res *pushes_object(struct browser *b, const struct firm *f, struct str object)
{
	return pushes_form(b, f, str_fmt(b->a, "client_id=%s&request=%s", f->id, object.p).p);
}

struct str request_uri_of(struct browser *b, struct res *rs)
{
	if (rs->status != 201)
		fail_msg("not taken: %d %s", rs->status, rs->body.p);
	return told(b->w, rs, "request_uri");
}

struct res *comes_with(struct browser *b, const char *client, struct str uri)
{
	return visit(b, str_fmt(b->a, "/authorize?client_id=%s&request_uri=%s", client, enc(b->w, uri).p));
}

struct res *redeems(struct browser *b, const struct firm *f, struct str code, const char *more)
{
	return ask_in(b->w, b->a, "POST", "/token", f->cert, str_fmt(b->a, "grant_type=authorization_code&code=%s&redirect_uri=https%%3A%%2F%%2F%s.example%%2Fcb"
	              "&code_verifier=" VERIFIER "%s%s", code.p, f->id, more, assertion_of(b, f).p).p);
}
