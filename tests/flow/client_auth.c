#include "world.h"
#include "audit_of.h"
#include "code.h"
#include "key.h"
#include "mint.h"
#include "oauth.h"
#include "profile.h"
#include "x509.h"

#define OWN "grant_type=client_credentials"

static struct str form_of(struct world *w, const char *client)
{
	struct str code = consent(w, client, "openid", "");
	return str_fmt(w->a, "grant_type=authorization_code&code=%s&redirect_uri=https%%3A%%2F%%2F%s.example%%2Fcb", code.p, client);
}

static struct res *basic(struct world *w, const char *pair)
{
	return ask(w, "POST", "/token", str_fmt(w->a, "Authorization: Basic %s\n", b64(w->a, str_bytes(str_of(pair))).p).p, OWN);
}

/* ---- secrets ------------------------------------------------------------------------------------------------------ */

TEST(basic_credentials_are_form_urlencoded_first)
{
	struct world *w = world();
	is_tokens(w, basic(w, "portal:portal%3Asecret%2F%2B+42"));
	is_tokens(w, basic(w, "%70ortal:portal%3Asecret/%2B%2042"));
	is_fault(basic(w, "portal:portal:secret/+ 42"), INVALID_CLIENT);          /* not encoded: '+' is a space */
}

TEST(basic_credentials_with_one_thing_wrong)
{
	struct world *w = world();
	static const char *const PAIRS[] = {
		"portal:wrong", "portal:", "portal", ":", "", "Portal:portal%3Asecret%2F%2B+42", "portal:portal%3Asecret%2F%2B+4", "portal:portal%3Asecret%2F%2B+42x",
		"portal:portal%3Asecret%2F%2B+42%00", "portal:%zz", "nobody:portal%3Asecret%2F%2B+42", "tax:portal%3Asecret%2F%2B+42",
	};
	for (size_t i = 0; i < sizeof PAIRS / sizeof *PAIRS; i++) {
		struct res *rs = basic(w, PAIRS[i]);
		is_fault(rs, INVALID_CLIENT);
		assert_non_null(strstr(res_head(rs, "WWW-Authenticate").p, "Basic "));
	}
	static const char *const HEADERS[] = { "Authorization: Basic\n", "Authorization: Basic !!!\n", "Authorization: Bearer x\n", "Authorization: Digest a=b\n", "" };
	for (size_t i = 0; i < sizeof HEADERS / sizeof *HEADERS; i++)
		is_fault(ask(w, "POST", "/token", HEADERS[i], OWN), INVALID_CLIENT);
}

TEST(a_stranger_and_a_wrong_secret_hear_the_same)
{
	struct world *w = world();
	struct res *stranger = basic(w, "nobody:secret"), *wrong = basic(w, "portal:secret");
	assert_int_equal(stranger->status, wrong->status);
	assert_string_equal(stranger->body.p, wrong->body.p);
}

TEST(a_secret_in_the_form_is_for_those_registered_so)
{
	struct world *w = world();
	struct str good = str_fmt(w->a, "%s&client_id=post&client_secret=%s", form_of(w, "post").p, enc(w, secret_of(w, "post")).p);
	struct str wrong = str_fmt(w->a, "%s&client_id=post&client_secret=x", form_of(w, "post").p);
	struct str portal = str_fmt(w->a, OWN "&client_id=portal&client_secret=%s", enc(w, secret_of(w, "portal")).p);
	is_fault(ask(w, "POST", "/token", "", wrong.p), INVALID_CLIENT);
	is_fault(ask(w, "POST", "/token", "", portal.p), INVALID_CLIENT);           /* its own secret, but registered for basic */
	is_fault(ask(w, "POST", "/token", as(w, "post").p, form_of(w, "post").p), INVALID_CLIENT);
	is_tokens(w, ask(w, "POST", "/token", "", good.p));
}

TEST(two_ways_at_once_are_refused)
{
	struct world *w = world();
	struct str secret = enc(w, secret_of(w, "portal"));
	is_fault(ask(w, "POST", "/token", as(w, "portal").p, str_fmt(w->a, OWN "&client_secret=%s", secret.p).p), INVALID_REQUEST);
	is_fault(ask(w, "POST", "/token", as(w, "portal").p, OWN "&client_assertion=x&client_assertion_type=y"), INVALID_REQUEST);
	is_fault(ask(w, "POST", "/token", as(w, "portal").p, OWN "&client_id=tax"), INVALID_REQUEST);
	is_tokens(w, ask(w, "POST", "/token", as(w, "portal").p, OWN "&client_id=portal"));
}

TEST(a_public_client_cannot_pose_as_a_confidential_one)
{
	struct world *w = world();
	is_fault(ask(w, "POST", "/token", "", OWN "&client_id=portal"), INVALID_CLIENT);
	is_fault(ask(w, "POST", "/token", "", OWN "&client_id=bank"), INVALID_CLIENT);
	is_fault(ask(w, "POST", "/token", "", OWN "&client_id=gate"), INVALID_CLIENT);
	is_fault(ask(w, "POST", "/token", "", OWN "&client_id=app"), UNAUTHORIZED_CLIENT);
}

/* ---- private_key_jwt ---------------------------------------------------------------------------------------------------- */

struct wish { const char *iss, *sub, *aud, *jti, *extra, *typ; int64_t exp; struct signer *by; };

static struct str assertion(struct world *w, struct wish x)
{
	static int n;
	struct str jti = x.jti ? str_of(x.jti) : str_fmt(w->a, "j-%d", n++);
	struct str claims = str_fmt(w->a, "{\"iss\":\"%s\",\"sub\":\"%s\",\"aud\":%s,\"exp\":%lld%s%s%s%s}", x.iss ? x.iss : "bank", x.sub ? x.sub : "bank",
	                            x.aud ? x.aud : "\"https://id.example\"", (long long)(w->now + (x.exp ? x.exp : 60)),
	                            jti.n ? ",\"jti\":\"" : "", jti.p, jti.n ? "\"" : "", x.extra ? x.extra : "");
	return signed_by(w, x.by ? x.by : w->bank_key, x.typ ? x.typ : "JWT", claims.p);
}

static struct res *bank(struct world *w, struct str assertion)
{
	return ask(w, "POST", "/token", "", str_fmt(w->a, "%s&client_assertion_type=urn%%3Aietf%%3Aparams%%3Aoauth%%3Aclient-assertion-type%%3Ajwt-bearer&client_assertion=%s",
	           form_of(w, "bank").p, assertion.p).p);
}

TEST(a_client_signs_for_itself)
{
	struct world *w = world();
	is_tokens(w, bank(w, assertion(w, (struct wish){ 0 })));
	is_tokens(w, bank(w, assertion(w, (struct wish){ .aud = "\"https://id.example/token\"" })));
	is_tokens(w, bank(w, assertion(w, (struct wish){ .aud = "[\"https://else.example\",\"https://id.example\"]" })));
	is_tokens(w, bank(w, assertion(w, (struct wish){ .exp = 300 })));
	is_tokens(w, bank(w, assertion(w, (struct wish){ .typ = "client-authentication+jwt" })));
	is_tokens(w, bank(w, assertion(w, (struct wish){ .extra = ",\"iat\":1800000010" })));      /* its clock is 10 s ahead */
}

TEST(assertions_with_one_thing_wrong)
{
	struct world *w = world();
	struct signer *other, *namesake;
	fine(signer_local_new(w->a, S("ES256"), S("other"), &other));
	fine(signer_local_new(w->a, S("ES256"), S("bank-1"), &namesake));
	struct wish TWINS[] = {
		{ .iss = "portal" }, { .sub = "portal" }, { .iss = "portal", .sub = "portal" }, { .sub = "" }, { .iss = "", .sub = "" },
		{ .aud = "\"https://else.example\"" }, { .aud = "\"https://id.example/\"" }, { .aud = "\"https://id.example/authorize\"" }, { .aud = "[]" }, { .aud = "null" }, { .aud = "42" },
		{ .exp = -31 }, { .exp = 331 }, { .exp = INT64_C(4000000000) },
		{ .jti = "" }, { .extra = ",\"nbf\":1800000061" }, { .extra = ",\"iat\":1800000061" }, { .extra = ",\"nbf\":1.5" }, { .extra = ",\"exp\":1800000061" },
		{ .by = other }, { .by = namesake },
	};
	for (size_t i = 0; i < sizeof TWINS / sizeof *TWINS; i++) {
		struct res *rs = bank(w, assertion(w, TWINS[i]));
		if (rs->status != 401)
			fail_msg("twin %zu: %d %s", i, rs->status, rs->body.p);
	}
	struct str good = assertion(w, (struct wish){ 0 });
	struct str form = form_of(w, "bank");
	is_fault(bank(w, str_dup(w->a, good.p, good.n - 1)), INVALID_CLIENT);
	is_fault(ask(w, "POST", "/token", "", str_fmt(w->a, "%s&client_assertion=%s", form.p, good.p).p), INVALID_CLIENT);
	is_fault(ask(w, "POST", "/token", "", str_fmt(w->a, "%s&client_assertion_type=urn:ietf:params:oauth:client-assertion-type:jwt-bearer", form.p).p), INVALID_CLIENT);
	is_fault(bank(w, str_fmt(w->a, "%s&client_id=portal", good.p)), INVALID_REQUEST);
	is_tokens(w, bank(w, str_fmt(w->a, "%s&client_id=bank", good.p)));
	signer_free(other);
	signer_free(namesake);
}

/* The modules -ensure-client-assertion-with-no-sub-fails, -with-exp-is-5-minutes-in-past-fails, -nbf-over-60-seconds-in-the-future-fails and
 * -nbf-8-seconds-in-the-future-is-accepted; what only the strict profiles refuse is in fapi2.c. */
TEST(an_assertion_says_who_to_whom_until_when_and_which_and_its_clock_may_be_a_little_ahead)
{
	struct world *w = world();
	static const struct { const char *claims; int status; } CASES[] = {
		{ "\"iss\":\"bank\",\"sub\":\"bank\",\"aud\":\"https://id.example\",\"exp\":1800000060,\"nbf\":1800000008", 200 },
		{ "\"iss\":\"bank\",\"sub\":\"bank\",\"aud\":\"https://id.example\",\"exp\":1800000120,\"nbf\":1800000062", 401 },
		{ "\"iss\":\"bank\",\"sub\":\"bank\",\"aud\":\"https://id.example\",\"exp\":1799999700", 401 },
		{ "\"iss\":\"bank\",\"aud\":\"https://id.example\",\"exp\":1800000060", 401 },
		{ "\"sub\":\"bank\",\"aud\":\"https://id.example\",\"exp\":1800000060", 401 },
		{ "\"iss\":\"bank\",\"sub\":\"bank\",\"exp\":1800000060", 401 },
		{ "\"iss\":\"bank\",\"sub\":\"bank\",\"aud\":\"https://id.example\"", 401 },
	};
	for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
		struct res *rs = bank(w, signed_by(w, w->bank_key, "JWT", str_fmt(w->a, "{%s,\"jti\":\"c-%zu\"}", CASES[i].claims, i).p));
		if (rs->status != CASES[i].status)
			fail_msg("case %zu: %d %s", i, rs->status, rs->body.p);
	}
}

TEST(an_assertion_is_good_once_also_when_its_first_use_came_to_nothing)
{
	struct world *w = world();
	struct str once = assertion(w, (struct wish){ .jti = "one" });
	is_tokens(w, bank(w, once));
	is_fault(bank(w, once), INVALID_CLIENT);
	is_fault(bank(w, assertion(w, (struct wish){ .jti = "one", .exp = 120 })), INVALID_CLIENT);
	struct str wasted = assertion(w, (struct wish){ 0 });
	is_fault(ask(w, "POST", "/token", "", str_fmt(w->a, "grant_type=authorization_code&code=none&client_assertion_type=urn:ietf:params:oauth:client-assertion-type:jwt-bearer&client_assertion=%s", wasted.p).p), INVALID_GRANT);
	is_fault(bank(w, wasted), INVALID_CLIENT);
}

TEST(an_assertion_cannot_be_replayed_while_its_time_is_stretched_by_the_skew)
{
	struct world *w = world();
	struct str once = assertion(w, (struct wish){ .exp = 60 });
	is_tokens(w, bank(w, once));
	for (int i = 0; i < 95; i += 5) {
		is_fault(bank(w, once), INVALID_CLIENT);
		pass(w, 5);
	}
}

TEST(an_assertion_that_cannot_be_remembered_opens_nothing)
{
	struct world *w = world();
	struct str body = str_fmt(w->a, "%s&client_assertion_type=urn:ietf:params:oauth:client-assertion-type:jwt-bearer&client_assertion=%s",
	                          form_of(w, "bank").p, assertion(w, (struct wish){ 0 }).p);
	breaks_at(w, 0);
	is_fault(ask(w, "POST", "/token", "", body.p), UNAVAILABLE);
	breaks_at(w, -1);
	is_tokens(w, ask(w, "POST", "/token", "", body.p));
}

/* ---- certificates: RFC 8705 ------------------------------------------------------------------------------------------------ */

static struct str cert_header(struct world *w, struct str cert) { return str_fmt(w->a, "Client-Cert: :%s:\n", cert.p); }

static struct str without_a_byte(struct world *w, struct str cert)
{
	struct bytes der;
	assert_true(b64_read(w->a, cert, &der));
	unsigned char *twin = (unsigned char *)(uintptr_t)bytes_copy(w->a, der.p, der.n).p;
	twin[der.n - 1] ^= 1;
	return b64(w->a, (struct bytes){ twin, der.n });
}

TEST(a_self_signed_certificate_with_a_registered_key_opens_and_binds)
{
	struct world *w = world();
	struct str head = cert_header(w, w->gate_cert);
	struct res *rs = ask(w, "POST", "/token", head.p, str_fmt(w->a, "%s&client_id=gate", form_of(w, "gate").p).p);
	is_tokens(w, rs);
	struct str token = told(w, rs, "access_token"), bearer = str_fmt(w->a, "Authorization: Bearer %s\n", token.p);
	assert_int_equal(json_text(json_object_get(claims_of(w, token), "cnf"), "x5t#S256").n, 43);
	is_status(ask(w, "GET", "/userinfo", str_fmt(w->a, "%s%s", bearer.p, head.p).p, ""), 200);
	is_fault(ask(w, "GET", "/userinfo", bearer.p, ""), INVALID_TOKEN);
	is_fault(ask(w, "GET", "/userinfo", str_fmt(w->a, "%s%s", bearer.p, cert_header(w, without_a_byte(w, w->gate_cert)).p).p, ""), INVALID_TOKEN);

	struct str again = str_fmt(w->a, "grant_type=refresh_token&client_id=gate&refresh_token=%s", told(w, rs, "refresh_token").p);
	is_fault(ask(w, "POST", "/token", "", again.p), INVALID_CLIENT);
	is_tokens(w, ask(w, "POST", "/token", head.p, again.p));
}

TEST(a_certificate_with_another_key_or_out_of_its_time_opens_nothing)
{
	struct world *w = world();
	struct world other = *w;
	struct str form = str_fmt(w->a, "%s&client_id=gate", form_of(w, "gate").p);
	is_fault(ask(w, "POST", "/token", "", form.p), INVALID_CLIENT);
	is_fault(ask(w, "POST", "/token", cert_header(w, S("bm90IGEgY2VydGlmaWNhdGU=")).p, form.p), INVALID_CLIENT);
	is_fault(ask(w, "POST", "/token", cert_header(w, w->gate_cert).p, OWN "&client_id=portal"), INVALID_CLIENT);
	struct str old = str_copy(w->a, other.gate_cert);
	pass(w, INT64_C(200000001));
	is_fault(ask(w, "POST", "/token", cert_header(w, old).p, form.p), INVALID_CLIENT);
}

/* A client whose certificate is issued by an authority that is trusted for clients. */
struct office { struct minted *root, *ca, *leaf; };

static void trust(struct world *w, struct minted *ca, const char *purposes, const char *id)
{
	struct cert c;
	struct audit ev = audit_of(world_req(w), "trust.added");
	fine(cert_read(w->a, ca->der, &c));
	struct trust_row row = { .id = c.id, .name = str_of(id), .kind = str_is(str_of(id), "root") ? S("anchor") : S("intermediate"), .purposes = str_of(purposes), .settings = S("{}"), .der = b64(w->a, ca->der),
	                         .added_at = w->now };
	fine(store_trust_add(w->house.store, w->a, &row, &ev));
}

static void open_office(struct world *w, struct office *o, const char *purposes)
{
	struct cert leaf;
	struct audit ev = audit_of(world_req(w), "client.added");
	o->root = mint_root(w->a, NULL);
	o->ca = mint_ca(w->a, o->root, NULL);
	o->leaf = mint_leaf(w->a, o->ca, &(struct mint_wish){ .cn = "office.example" });
	trust(w, o->root, purposes, "root");
	fine(cert_read(w->a, o->leaf->der, &leaf));
	struct client_row row = {
		.id = S("office"), .name = S("office"), .created_at = w->now, .updated_at = w->now, .version = 1,
		.metadata = str_fmt(w->a, "{\"token_endpoint_auth_method\":\"tls_client_auth\",\"tls_client_auth_subject_dn\":%s,\"grant_types\":[\"client_credentials\"],\"scope\":\"docs:read\"}",
		                    json_dump(w->a, json_own(w->a, json_stringn(leaf.subject.p, leaf.subject.n))).p),
	};
	fine(store_client_add(w->house.store, w->a, &row, &ev));
}

static struct res *office(struct world *w, const struct minted *leaf)
{
	return ask(w, "POST", "/token", cert_header(w, b64(w->a, leaf->der)).p, OWN "&client_id=office");
}

TEST(a_certificate_of_a_trusted_authority_with_the_registered_subject_opens)
{
	struct world *w = world();
	struct office o;
	open_office(w, &o, "client");
	struct res *alone = office(w, o.leaf);               /* the intermediate is not known here */
	is_fault(alone, INVALID_CLIENT);
	trust(w, o.ca, "client", "ca");
	pass(w, 6);
	is_tokens(w, office(w, o.leaf));
}

TEST(a_certificate_with_the_registered_subject_from_elsewhere_opens_nothing)
{
	struct world *w = world();
	struct office o;
	open_office(w, &o, "client");
	trust(w, o.ca, "client", "ca");
	struct minted *root = mint_root(w->a, NULL), *twin = mint_leaf(w->a, root, &(struct mint_wish){ .cn = "office.example" });
	is_fault(office(w, twin), INVALID_CLIENT);
	is_fault(office(w, mint_leaf(w->a, o.ca, &(struct mint_wish){ .cn = "Office.example" })), INVALID_CLIENT);
	is_fault(office(w, mint_leaf(w->a, o.ca, &(struct mint_wish){ .cn = "office.example", .not_after = w->now - 1 })), INVALID_CLIENT);
	is_tokens(w, office(w, o.leaf));
}

TEST(a_trust_that_cannot_be_read_opens_nothing_and_blames_nobody)
{
	struct world *w = world();
	struct office o;
	open_office(w, &o, "client");
	struct audit ev = audit_of(world_req(w), "trust.added");
	struct trust_row row = { .id = S("x"), .name = S("x"), .kind = S("anchor"), .purposes = S("client"), .settings = S("{}"), .der = S("AAAA"), .added_at = w->now };
	fine(store_trust_add(w->house.store, w->a, &row, &ev));
	is_fault(office(w, o.leaf), SERVER_ERROR);
}

TEST(an_authority_that_is_trusted_for_people_is_not_trusted_for_clients)
{
	struct world *w = world();
	struct office o;
	open_office(w, &o, "sim token tls");
	trust(w, o.ca, "sim token tls", "ca");
	is_fault(office(w, o.leaf), INVALID_CLIENT);
}

/* ---- registrations ------------------------------------------------------------------------------------------------------------ */

#define WITH(more) "{\"redirect_uris\":[\"https://a.example/cb\"],\"client_secret_hash\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"" more "}"

TEST(a_registration_says_only_what_is_understood)
{
	struct arena *a = arena_new();
	struct client c;
	fine(client_parse(a, S("x"), S(WITH("")), &c));
	assert_str(c.auth_method, "client_secret_basic");
	assert_str(c.id_token.sign, "RS256");
	assert_str(c.subject_type, "pairwise");
	assert_str(c.sector, "a.example");
	assert_str(c.profile, "oidc-basic-2026");
	assert_true(c.rotate_refresh);
	static const char *const WRONG[] = {
		"", "[]", "{", "{}", WITH(",\"cient_uri\":\"x\""), WITH(",\"scope\":7"), WITH(",\"trusted\":\"yes\""), WITH(",\"grant_types\":[\"implicit\"]"),
		WITH(",\"response_types\":[\"token\"]"), WITH(",\"id_token_signed_response_alg\":\"none\""), WITH(",\"subject_type\":\"secret\""),
		WITH(",\"profile\":\"oidc-basic-1999\""), WITH(",\"token_endpoint_auth_method\":\"none\""), WITH(",\"token_endpoint_auth_method\":\"private_key_jwt\""),
		WITH(",\"grant_types\":\"authorization_code\""), WITH(",\"jwks\":7"), WITH(",\"jwks_uri\":7"),
		"{\"redirect_uris\":[\"https://a.example/cb\"]}", "{\"redirect_uris\":[\"https://a.example/cb\"],\"token_endpoint_auth_method\":\"tls_client_auth\"}",
		"{\"token_endpoint_auth_method\":\"none\",\"grant_types\":[\"client_credentials\"]}",
	};
	for (size_t i = 0; i < sizeof WRONG / sizeof *WRONG; i++)
		fails(client_parse(a, S("x"), str_of(WRONG[i]), &c), BAD_CONFIG);
	err e = client_parse(a, S("x"), S(WITH(",\"redirect_uri\":[]")), &c);
	assert_non_null(strstr(e.why, "redirect_uris"));          /* the nearest name */
	arena_free(a);
}

/* SEC-01: a host that we read in one way and a browser in another would be somebody else's. The URL tests of the Web Platform. */
TEST(whatever_address_may_be_registered_a_browser_reads_as_we_do)
{
	static const char *const FILES[] = { "urltestdata.json", "ada_extra_urltestdata.json" };
	if (!t_corpora())
		skip();
	struct arena *a = arena_new();
	size_t seen = 0, taken = 0, i, k;
	for (k = 0; k < sizeof FILES / sizeof *FILES; k++) {
		json_t *all = json_own(a, json_load_file(str_fmt(a, "%s/url/%s", t_corpora(), FILES[k]).p, JSON_ALLOW_NUL, NULL)), *t;
		assert_non_null(all);
		json_array_foreach(all, i, t) {
			struct client c;
			struct str uri = json_text(t, "input"), host = json_text(t, "host");
			if (!json_is_object(t) || strlen(uri.p) != uri.n)
				continue;
			if (str_starts(uri, S("http://")))                     /* most are; and that may be registered for the loopback alone */
				uri = str_fmt(a, "https%s", uri.p + 4);
			seen++;
			struct str text = json_dump(a, json_own(a, json_pack("{s[s]ss}", "redirect_uris", uri.p, "token_endpoint_auth_method", "none")));
			if (client_parse(a, S("x"), text, &c).kind || !str_starts(uri, S("https://")))
				continue;
			taken++;
			if (str_is(json_text(t, "base"), "http://[0:0:0:0:0:0:0:0"))      /* fails by its base, which an absolute address has no need of */
				continue;
			if (json_object_get(t, "failure"))
				fail_msg("%s is no address to a browser", uri.p);
			struct str at = str_lower(a, str_dup(a, uri.p + 8, strcspn(uri.p + 8, "/?#")));
			/* a browser leaves out the port that goes without saying, and shortens an IPv6 address */
			bool same = str_eq(at, host) || str_eq(at, str_fmt(a, "%s:80", host.p)) || str_eq(at, str_fmt(a, "%s:443", host.p));
			if (!same && (*at.p != '[' || *host.p != '['))
				fail_msg("%s is at %s to us, and at %s to a browser", uri.p, at.p, host.p);
		}
	}
	printf("%zu addresses, %zu taken\n", seen, taken);
	assert_int_equal(seen, 902);
	assert_int_equal(taken, 65);
	arena_free(a);
}

TEST(redirect_uris_that_may_be_registered)
{
	struct arena *a = arena_new();
	struct client c;
	static const struct { const char *uri; bool good; } CASES[] = {
		{ "https://a.example/cb?x=1", true }, { "http://127.0.0.1/cb", true }, { "http://127.0.0.1:8080/cb", true }, { "http://localhost:1/", true }, { "vn.gov.app:/cb", true },
		{ "http://a.example/cb", false }, { "https://a.example/cb#f", false }, { "/cb", false }, { "https://", false }, { "javascript:alert(1)", false },
		{ "data:text/html,x", false }, { "https://u@a.example/", false }, { "http://127.0.0.1.evil.example/", false }, { "http://localhost@evil.example/", false },
		{ "https://a.example/ b", false }, { "https://a.example\\\\@b.example/", false },
		{ "http://localhost:80@evil.example/", false }, { "http://127.0.0.1:1@evil.example/", false }, { "https://a.example:8443/cb", true },
		{ "https://10.0.0.1/cb", true }, { "https://10.1/cb", false }, { "https://0x7f.1/", false }, { "https://a.example./", false }, { "https://a..b/", false },
		{ "https://a.example:/", false }, { "https://a.example:0/", false }, { "https://a.example:65536/", false }, { "https://a_b.example/", true },
		{ "http://[::1]:80/cb", true }, { "http://[::1/cb", false }, { "http://[::1]x/cb", false }, { "https://[::]:1/", true }, { "https://%61.example/", false },
	};
	for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
		err e = client_parse(a, S("x"), str_fmt(a, "{\"redirect_uris\":[\"%s\"],\"token_endpoint_auth_method\":\"none\"}", CASES[i].uri), &c);
		if (CASES[i].good != !e.kind)
			fail_msg("%s: %s", CASES[i].uri, e.why ? e.why : "accepted");
	}
	fails(client_parse(a, S("x"), S("{\"redirect_uris\":[\"https://a.example/\",\"https://b.example/\"],\"token_endpoint_auth_method\":\"none\"}"), &c), BAD_CONFIG);
	fine(client_parse(a, S("x"), S("{\"redirect_uris\":[\"https://a.example/\",\"https://b.example/\"],\"token_endpoint_auth_method\":\"none\",\"sector\":\"a.example\"}"), &c));
	assert_true(c.require_pkce);
	arena_free(a);
}

TEST(a_changed_registration_is_seen_within_seconds_and_at_once_where_it_was_changed)
{
	struct world *w = world();
	struct client_row *row;
	struct req *rq = world_req(w);
	struct audit ev = { .id = S("a1"), .event = S("client.changed"), .outcome = S("ok") };
	const struct client *c;
	fine(client_find(rq, S("portal"), &c));
	fine(store_client(w->house.store, w->a, S("portal"), &row));
	row->metadata = S(WITH(",\"scope\":\"openid\""));
	fine(store_client_change(w->house.store, w->a, row, &ev));
	fine(client_find(rq, S("portal"), &c));
	assert_true(word_in(c->scope, S("docs:read")));
	const struct client *held = c;
	rq->now += 3;
	fine(client_find(rq, S("portal"), &c));
	assert_str(c->scope, "openid");
	assert_true(word_in(held->scope, S("docs:read")));       /* whoever holds the old one may go on reading it */

	row->metadata = S(WITH(",\"scope\":\"openid email\""));
	row->version++;
	ev.id = S("a2");
	fine(store_client_change(w->house.store, w->a, row, &ev));
	client_forget(w->house.clients, S("portal"));
	fine(client_find(rq, S("portal"), &c));
	assert_str(c->scope, "openid email");
}

TEST(strangers_do_not_push_known_clients_out_of_the_memory)
{
	struct world *w = world();
	struct req *rq = world_req(w);
	const struct client *c;
	fine(client_find(rq, S("portal"), &c));
	for (int i = 0; i < 4000; i++) {
		fine(client_find(rq, str_fmt(w->a, "stranger-%d", i), &c));
		assert_null(c);
	}
	breaks_at(w, 0);
	fine(client_find(rq, S("portal"), &c));
	assert_non_null(c);
	breaks_at(w, -1);
}
