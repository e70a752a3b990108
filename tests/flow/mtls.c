#include "town.h"
#include "holder.h"
#include "audit_of.h"
#include "client.h"
#include "code.h"
#include "file.h"
#include "hash.h"
#include "x509.h"

/* RFC 8705: certificates as credentials, and tokens bound to them. Names in ~ are modules of the FAPI 2.0 plans, without their prefix. */

static struct str shows(struct world *w, const struct minted *leaf) { return str_fmt(w->a, "Client-Cert: :%s:\n", b64(w->a, leaf->der).p); }

static struct str x5t_of(struct world *w, const struct minted *leaf)
{
	unsigned char hash[SHA256_SIZE];
	sha256(leaf->der.p, leaf->der.n, hash);
	return b64url(w->a, (struct bytes){ hash, sizeof hash });
}

/* Two agencies whose certificates come from one trusted authority and differ in their subject. */
struct agencies { struct world *w; struct minted *root, *one, *two; };

static void agency(struct world *w, const char *name, const struct minted *leaf)
{
	struct cert c;
	fine(cert_read(w->a, leaf->der, &c));
	json_t *dn = json_own(w->a, json_stringn(c.subject.p, c.subject.n));
	world_client(w, name, "tls_client_auth", str_fmt(w->a, ",\"tls_client_auth_subject_dn\":%s,\"tls_client_certificate_bound_access_tokens\":true,"
	             "\"grant_types\":[\"authorization_code\",\"refresh_token\",\"client_credentials\"],\"scope\":\"openid docs:read\"",
	             json_dump(w->a, dn).p).p);
}

static struct agencies agencies(struct world *w)
{
	struct cert c;
	struct agencies x = { .w = w, .root = mint_root(w->a, NULL) };
	struct audit ev = audit_of(world_req(w), "trust.added");
	x.one = mint_leaf(w->a, x.root, &(struct mint_wish){ .cn = "one.example" });
	x.two = mint_leaf(w->a, x.root, &(struct mint_wish){ .cn = "two.example" });
	fine(cert_read(w->a, x.root->der, &c));
	struct trust_row row = { .id = c.id, .name = S("agencies"), .kind = S("anchor"), .purposes = S("client"), .settings = S("{}"),
	                         .der = b64(w->a, x.root->der), .added_at = w->now };
	fine(store_trust_add(w->house.store, w->a, &row, &ev));
	agency(w, "one", x.one);
	agency(w, "two", x.two);
	return x;
}

static struct res *asks(struct agencies *x, const struct minted *leaf, struct str form)
{
	return ask(x->w, "POST", "/token", leaf ? shows(x->w, leaf).p : "", form.p);
}

static struct str code_form(struct world *w, const char *client, const char *owner)
{
	struct str code = consent(w, owner, "openid", "");
	return str_fmt(w->a, "client_id=%s&grant_type=authorization_code&code=%s&redirect_uri=https%%3A%%2F%%2F%s.example%%2Fcb", client, code.p, owner);
}

static struct str renewal(struct world *w, const char *client, struct res *rs)
{
	return str_fmt(w->a, "client_id=%s&grant_type=refresh_token&refresh_token=%s", client, told(w, rs, "refresh_token").p);
}

static struct res *info(struct agencies *x, struct str token, const struct minted *leaf)
{
	return ask(x->w, "GET", "/userinfo", str_fmt(x->w->a, "Authorization: Bearer %s\n%s", token.p, leaf ? shows(x->w, leaf).p : "").p, "");
}

#define is_bound(x, rs, leaf) do { struct res *b_ = (rs); is_tokens((x)->w, b_); \
	assert_str(told((x)->w, b_, "token_type"), "Bearer"); \
	assert_string_equal(json_text(json_object_get(claims_of((x)->w, told((x)->w, b_, "access_token")), "cnf"), "x5t#S256").p, x5t_of((x)->w, leaf).p); } while (0)

/* ---- binding: section 3 ---------------------------------------------------------------------------------------------------- */

/* ~happy-flow, ~ensure-holder-of-key-required */
TEST(tokens_of_every_grant_are_bound_to_the_certificate_and_good_with_it_alone)
{
	struct agencies x = agencies(world());
	struct res *rs = asks(&x, x.one, code_form(x.w, "one", "one"));
	is_bound(&x, rs, x.one);
	is_status(info(&x, told(x.w, rs, "access_token"), x.one), 200);
	is_fault(info(&x, told(x.w, rs, "access_token"), NULL), INVALID_TOKEN);
	is_fault(info(&x, told(x.w, rs, "access_token"), x.two), INVALID_TOKEN);
	is_fault(asks(&x, NULL, renewal(x.w, "one", rs)), INVALID_CLIENT);
	is_bound(&x, asks(&x, x.one, renewal(x.w, "one", rs)), x.one);
	rs = asks(&x, x.one, S("client_id=one&grant_type=client_credentials"));
	is_bound(&x, rs, x.one);
	struct res *seen = ask(x.w, "POST", "/introspect", shows(x.w, x.one).p, str_fmt(x.w->a, "client_id=one&token=%s", told(x.w, rs, "access_token").p).p);
	assert_string_equal(json_text(json_object_get(json_of(x.w, seen), "cnf"), "x5t#S256").p, x5t_of(x.w, x.one).p);
}

/* ~happy-flow: client 1's certificate with client 2's token */
TEST(the_certificate_of_one_agency_is_of_no_use_with_the_token_of_another)
{
	struct agencies x = agencies(world());
	struct str one = told(x.w, asks(&x, x.one, code_form(x.w, "one", "one")), "access_token");
	struct str two = told(x.w, asks(&x, x.two, code_form(x.w, "two", "two")), "access_token");
	is_fault(info(&x, two, x.one), INVALID_TOKEN);
	is_fault(info(&x, one, x.two), INVALID_TOKEN);
	is_status(info(&x, one, x.one), 200);
	is_status(info(&x, two, x.two), 200);
}

/* ~ensure-client-id-in-token-endpoint, ~ensure-authorization-code-is-bound-to-client, ~refresh-token */
TEST(two_certificates_of_one_authority_are_two_agencies)
{
	struct agencies x = agencies(world());
	is_fault(asks(&x, x.one, code_form(x.w, "two", "two")), INVALID_CLIENT);
	is_fault(asks(&x, x.one, code_form(x.w, "two", "one")), INVALID_CLIENT);
	is_fault(asks(&x, x.two, code_form(x.w, "two", "one")), INVALID_GRANT);
	struct res *rs = asks(&x, x.one, code_form(x.w, "one", "one"));
	is_fault(asks(&x, x.two, renewal(x.w, "two", rs)), INVALID_GRANT);
	is_tokens(x.w, asks(&x, x.one, renewal(x.w, "one", rs)));
}

/* section 7.1: a renewed certificate; what is refreshed with it is bound to it */
TEST(an_agency_may_renew_its_certificate)
{
	struct agencies x = agencies(world());
	struct minted *renewed = mint_leaf(x.w->a, x.root, &(struct mint_wish){ .cn = "one.example" });
	struct res *rs = asks(&x, x.one, code_form(x.w, "one", "one"));
	rs = asks(&x, renewed, renewal(x.w, "one", rs));
	is_bound(&x, rs, renewed);
	is_fault(info(&x, told(x.w, rs, "access_token"), x.one), INVALID_TOKEN);
}

/* section 4: any certificate does, and the refresh token is bound to it as well */
TEST(a_public_client_may_bind_its_tokens_to_a_certificate_of_its_own)
{
	struct agencies x = agencies(world());
	struct minted *own = mint_root(x.w->a, NULL), *other = mint_root(x.w->a, NULL);
	world_client(x.w, "mobile", "none", ",\"tls_client_certificate_bound_access_tokens\":true,\"grant_types\":[\"authorization_code\",\"refresh_token\"]");
	struct str code = consent(x.w, "mobile", "openid", CHALLENGE);
	struct str form = str_fmt(x.w->a, "client_id=mobile&grant_type=authorization_code&code_verifier=" VERIFIER "&code=%s&redirect_uri=https%%3A%%2F%%2Fmobile.example%%2Fcb", code.p);
	is_fault(asks(&x, NULL, form), INVALID_REQUEST);
	struct res *rs = asks(&x, own, form);
	is_bound(&x, rs, own);
	is_fault(asks(&x, NULL, renewal(x.w, "mobile", rs)), INVALID_REQUEST);
	is_fault(asks(&x, other, renewal(x.w, "mobile", rs)), INVALID_GRANT);
	is_bound(&x, asks(&x, own, renewal(x.w, "mobile", rs)), own);
}

TEST(tokens_are_not_bound_to_two_things)
{
	struct arena *a = arena_new();
	struct client c;
	fails(client_parse(a, S("x"), S("{\"token_endpoint_auth_method\":\"none\",\"redirect_uris\":[\"https://a.example/cb\"],"
		"\"tls_client_certificate_bound_access_tokens\":true,\"dpop_bound_access_tokens\":true}"), &c), BAD_CONFIG);
	arena_free(a);
}

/* SEC-24: who says which certificate came is the proxy alone; that a direct connection says nothing is shown by http_server */
TEST(two_certificates_are_none)
{
	struct agencies x = agencies(world());
	struct str both = str_fmt(x.w->a, "%s%s", shows(x.w, x.one).p, shows(x.w, x.two).p);
	is_status(ask(x.w, "POST", "/token", both.p, "client_id=one&grant_type=client_credentials"), 400);
	struct str disguised = str_fmt(x.w->a, "Client_Cert: :%s:\n", b64(x.w->a, x.one->der).p);
	is_status(ask(x.w, "POST", "/token", disguised.p, "client_id=one&grant_type=client_credentials"), 400);
}

/* ---- second names: section 5 ------------------------------------------------------------------------------------------------- */

/* ~discovery-end-point-verification: whatever a client calls itself, and nothing that a browser goes to */
TEST(every_endpoint_that_a_client_calls_has_a_second_name)
{
	struct world *w = world();
	json_t *o = json_of(w, ask(w, "GET", "/.well-known/openid-configuration", "", "")), *v;
	static const char *const BY_BROWSER[] = { "authorization_endpoint", "end_session_endpoint", "registration_endpoint" };   /* or by nobody with a certificate */
	const json_t *aliases = json_object_get(o, "mtls_endpoint_aliases");
	const char *name;
	assert_true(json_is_object(aliases));
	json_object_foreach(o, name, v) {
		if (!str_ends(str_of(name), S("_endpoint")))
			continue;
		bool by_browser = false;
		for (size_t i = 0; i < sizeof BY_BROWSER / sizeof *BY_BROWSER; i++)
			by_browser |= strcmp(name, BY_BROWSER[i]) == 0;
		struct str path = str_from(w->a, json_text(o, name), strlen("https://id.example"));
		if (by_browser)
			assert_null(json_object_get(aliases, name));
		else
			assert_string_equal(json_text(aliases, name).p, str_fmt(w->a, "https://cert.id.example%s", path.p).p);
	}
	w->conf.cert_host = S("");
	assert_null(json_object_get(json_of(w, ask(w, "GET", "/.well-known/openid-configuration", "", "")), "mtls_endpoint_aliases"));
}

/* The proxy's sample lets in what discovery names, and no more. */
TEST(the_proxy_of_the_certificate_host_knows_every_second_name)
{
	struct world *w = world();
	w->house.mobile = (struct mobile *)w;                       /* whatever is offered anywhere: phones can be asked */
	struct str conf;
	const char *name;
	json_t *aliases = json_object_get(json_of(w, ask(w, "GET", "/.well-known/openid-configuration", "", "")), "mtls_endpoint_aliases"), *v;
	fine(file_read(w->a, DEPLOY "/nginx/certificate-host.conf", 8192, &conf));
	const char *line = strstr(conf.p, "location ~ ^/(login/tls/certificate|");
	assert_non_null(line);
	struct str allowed = str_fmt(w->a, "|%.*s|", (int)strcspn(line + 36, ")"), line + 36);
	size_t paths = 0, n = 0;
	json_object_foreach(aliases, name, v) {
		struct str path = str_from(w->a, json_text(aliases, name), strlen("https://cert.id.example/"));
		if (!strstr(allowed.p, str_fmt(w->a, "|%s|", path.p).p))
			fail_msg("%s: /%s is not in %s", name, path.p, allowed.p);
		n++;
	}
	for (size_t i = 1; i < allowed.n; i++)
		paths += allowed.p[i] == '|';
	assert_int_equal(paths, n);
}

TEST(an_assertion_may_name_the_second_name)
{
	struct world *w = world();
	static const struct { const char *aud; int status; } CASES[] = {
		{ "https://cert.id.example/token", 200 }, { "https://cert.id.example", 401 }, { "https://cert.id.example/par", 401 }, { "https://cert.id.example/token/", 401 },
	};
	for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
		struct str claims = str_fmt(w->a, "{\"iss\":\"bank\",\"sub\":\"bank\",\"aud\":\"%s\",\"exp\":1800000060,\"jti\":\"j-%zu\"}", CASES[i].aud, i);
		struct str form = str_fmt(w->a, "%s&client_assertion_type=urn:ietf:params:oauth:client-assertion-type:jwt-bearer&client_assertion=%s",
		                          code_form(w, "bank", "bank").p, signed_by(w, w->bank_key, "JWT", claims.p).p);
		is_status(ask(w, "POST", "/token", "", form.p), CASES[i].status);
	}
}
