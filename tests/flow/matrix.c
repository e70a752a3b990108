#include "town.h"
#include "audit_of.h"
#include "authorize.h"
#include "client.h"
#include "code.h"
#include "hash.h"
#include "holder.h"
#include "mint.h"
#include "oauth.h"
#include "profile.h"
#include "rand.h"
#include "settings.h"
#include "x509.h"

/* Every policy × grant type × way of client authentication, and every door that a client opens: what policies/profile.c says is what happens.
 * The axes are read from the tables that enforce, so that a new row has its cells at once; a policy's word, a grant type or a door without a story
 * here fails. */

#define JWT_BEARER "urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer"

struct cell;
struct shown { struct str headers, form; };                      /* form begins with "&" */

struct scene { struct world *w; struct signer *other_key, *holder; struct minted *leaf, *namesake; };
struct cell { const struct scene *s; const struct profile *rules; struct str grant, id; const struct way *way; };

/* ---- ways of client authentication: how it is registered, how it is shown, and the same with one thing wrong ---------------------- */

struct way { struct str method; struct str (*member)(const struct cell *); struct shown (*show)(const struct cell *, bool good); };

static struct str nothing(const struct cell *c) { return (void)c, S(""); }

static struct shown by_basic(const struct cell *c, bool good)
{
	struct arena *a = c->s->w->a;
	struct str pair = str_fmt(a, "%s:x", c->id.p);
	return (struct shown){ good ? as(c->s->w, c->id.p) : str_fmt(a, "Authorization: Basic %s\n", b64(a, str_bytes(pair)).p), S("") };
}

static struct shown by_post(const struct cell *c, bool good)
{
	struct world *w = c->s->w;
	return (struct shown){ S(""), str_fmt(w->a, "&client_id=%s&client_secret=%s", c->id.p, good ? enc(w, secret_of(w, c->id.p)).p : "x") };
}

static struct str of_bank(const struct cell *c)
{
	return str_fmt(c->s->w->a, ",\"jwks\":{\"keys\":[%s]}", signer_public_jwk(c->s->w->bank_key).p);
}

static struct shown by_jwt(const struct cell *c, bool good)
{
	static int n;
	struct world *w = c->s->w;
	struct str claims = str_fmt(w->a, "{\"iss\":\"%s\",\"sub\":\"%s\",\"aud\":\"https://id.example\",\"exp\":%lld,\"jti\":\"m-%d\"}", c->id.p, c->id.p,
		(long long)w->now + 60, n++);
	return (struct shown){ S(""), str_fmt(w->a, "&client_assertion_type=%s&client_assertion=%s", JWT_BEARER,
		signed_by(w, good ? w->bank_key : c->s->other_key, "JWT", claims.p).p) };
}

static struct shown with_cert(const struct cell *c, struct str cert)
{
	return (struct shown){ str_fmt(c->s->w->a, "Client-Cert: :%s:\n", cert.p), str_fmt(c->s->w->a, "&client_id=%s", c->id.p) };
}

static struct str of_gate(const struct cell *c)
{
	struct world *w = c->s->w;
	struct client_row *row;
	fine(store_client(w->house.store, w->a, S("gate"), &row));
	json_t *o;
	fine(json_read_object(w->a, row->metadata, &o));
	return str_fmt(w->a, ",\"jwks\":%s", json_dump(w->a, json_object_get(o, "jwks")).p);
}

static struct shown by_own_cert(const struct cell *c, bool good)
{
	return with_cert(c, good ? c->s->w->gate_cert : b64(c->s->w->a, c->s->leaf->der));
}

static struct str of_leaf(const struct cell *c)
{
	struct cert leaf;
	struct arena *a = c->s->w->a;
	fine(cert_read(a, c->s->leaf->der, &leaf));
	return str_fmt(a, ",\"tls_client_auth_subject_dn\":%s%s", json_dump(a, json_own(a, json_stringn(leaf.subject.p, leaf.subject.n))).p, of_bank(c).p);
}

static struct shown by_issued_cert(const struct cell *c, bool good)
{
	return with_cert(c, b64(c->s->w->a, good ? c->s->leaf->der : c->s->namesake->der));
}

static struct shown by_name(const struct cell *c, bool good)
{
	return (struct shown){ S(""), good ? str_fmt(c->s->w->a, "&client_id=%s", c->id.p) : S("&client_id=nobody") };
}

static const struct way WAYS[] = {
	{ S("client_secret_basic"),         nothing, by_basic },
	{ S("client_secret_post"),          nothing, by_post },
	{ S("private_key_jwt"),             of_bank, by_jwt },
	{ S("tls_client_auth"),             of_leaf, by_issued_cert },
	{ S("self_signed_tls_client_auth"), of_gate, by_own_cert },
	{ S("none"),                        nothing, by_name },
};
enum { WAYS_N = sizeof WAYS / sizeof *WAYS };

static bool is_public(const struct cell *c) { return str_is(c->way->method, "none"); }
static bool has_cert(const struct cell *c) { return str_ends(c->way->method, S("tls_client_auth")); }

/* FAPI-CIBA knows no proofs: whoever does not prove themselves by a certificate brings one all the same. */
static bool by_proof(const struct cell *c) { return c->rules->bound_tokens && !has_cert(c) && c->rules->dpop_algs.n; }
static struct str beside(const struct cell *c) { return c->rules->bound_tokens && !has_cert(c) && !by_proof(c) ? with_cert(c, c->s->w->gate_cert).headers : S(""); }

/* ---- asking: where tokens must be bound and no certificate comes, a proof does ------------------------------------------------------ */

static struct res *post(const struct cell *c, const char *path, const char *form, bool good)
{
	struct world *w = c->s->w;
	struct shown shown = c->way->show(c, good);
	struct str line = by_proof(c) ? proof_line(w, c->s->holder, (struct proof_wish){ .htu = str_fmt(w->a, "https://id.example%s", path).p }) : beside(c);
	return ask(w, "POST", path, str_fmt(w->a, "%s%s", shown.headers.p, line.p).p, str_fmt(w->a, "%s%s", form, shown.form.p).p);
}

/* ---- stories: what a client of the cell asks of the token endpoint ---------------------------------------------------------------- */

struct grant_story { const char *grant; struct str (*form)(const struct cell *); bool confidential, of_person; };    /* form: without credentials */

static struct str tells_code(const struct cell *c)
{
	struct world *w = c->s->w;
	return str_fmt(w->a, "grant_type=authorization_code&code=%s&code_verifier=" VERIFIER "&redirect_uri=https%%3A%%2F%%2F%s.example%%2Fcb",
		consent(w, c->id.p, "openid", CHALLENGE).p, c->id.p);
}

static struct str tells_ciba(const struct cell *c);
static bool has_code(const struct cell *c) { return word_in(c->rules->grant_types, S("authorization_code")); }

static struct str tells_refresh(const struct cell *c)
{
	struct world *w = c->s->w;
	struct res *first = post(c, "/token", has_code(c) ? tells_code(c).p : tells_ciba(c).p, true);
	is_tokens(w, first);
	return str_fmt(w->a, "grant_type=refresh_token&refresh_token=%s", told(w, first, "refresh_token").p);
}

static struct str tells_own(const struct cell *c) { return (void)c, S("grant_type=client_credentials"); }

static struct str tells_exchange(const struct cell *c)
{
	struct world *w = c->s->w;
	struct section table[2] = { 0 };
	for (const struct section *s = SETTINGS; s->name; s++)
		if (!strcmp(s->name, "exchange"))
			table[0] = *s;
	w->conf.exchanges = (struct conf_list){ 0 };
	fine(conf_read(w->a, "matrix.conf", str_fmt(w->a, "[exchange cell]\nclient = %s\nsubject = access_token\naudience = land\nmode = impersonation\n", c->id.p),
		table, &w->conf));
	struct str near = str_fmt(w->a, "to-%s", c->id.p);                       /* whose tokens are for the cell's client too */
	one_more(w, near.p, str_fmt(w->a, ",\"audiences\":[\"%s\"]", c->id.p).p);
	struct str subject = told(w, redeem(w, near.p, consent(w, near.p, "openid offline_access", "")), "access_token");
	return str_fmt(w->a, "grant_type=urn:ietf:params:oauth:grant-type:token-exchange&subject_token=%s"
		"&subject_token_type=urn:ietf:params:oauth:token-type:access_token&audience=land", subject.p);
}

/* Asked for on one device, and allowed by the citizen on another. */
static struct str allowed_elsewhere(const struct cell *c, const char *kind)
{
	struct world *w = c->s->w;
	bool decided;
	struct str secret = rand_token(w->a);
	struct audit asked = audit_of(world_req(w), "device.asked"), ev = audit_of(world_req(w), "device.decided");
	struct decoupled_row row = { .hash = hash_of(w->a, secret), .kind = str_of(kind), .handle = rand_id(w->a, w->now * 1000), .client_id = c->id,
		.scope = S("openid"), .created_at = w->now, .expires_at = w->now + 600 };
	struct grant_row grant = { .id = rand_id(w->a, w->now * 1000), .client_id = c->id, .person_id = w->person_id, .sid = w->sid, .sub = S("sub"),
		.scope = S("openid"), .acr = S("substantial"), .amr = S("hwk"), .auth_time = w->now, .created_at = w->now };
	fine(store_decoupled_put(w->house.store, w->a, &row, &asked));
	fine(store_decoupled_decide(w->house.store, w->a, row.kind, row.handle, w->now, &(struct decision){ .grant = &grant }, &ev, &decided));
	assert_true(decided);
	return secret;
}

static struct str tells_device(const struct cell *c)
{
	return str_fmt(c->s->w->a, "grant_type=urn:ietf:params:oauth:grant-type:device_code&device_code=%s", allowed_elsewhere(c, "device").p);
}

static struct str tells_ciba(const struct cell *c)
{
	return str_fmt(c->s->w->a, "grant_type=urn:openid:params:grant-type:ciba&auth_req_id=%s", allowed_elsewhere(c, "ciba").p);
}

static const struct grant_story STORIES[] = {
	/* grant type                                        asks with       confidential   of a person, who may be told at userinfo */
	{ "authorization_code",                              tells_code,     false,         true },
	{ "refresh_token",                                   tells_refresh,  false,         true },
	{ "client_credentials",                              tells_own,      true,          false },
	{ "urn:ietf:params:oauth:grant-type:token-exchange", tells_exchange, true,          false },
	{ "urn:ietf:params:oauth:grant-type:device_code",    tells_device,   false,         true },
	{ "urn:openid:params:grant-type:ciba",               tells_ciba,     true,          true },
};
enum { STORIES_N = sizeof STORIES / sizeof *STORIES };

static const struct grant_story *story_of(struct str grant)
{
	for (size_t i = 0; i < STORIES_N; i++)
		if (str_is(grant, STORIES[i].grant))
			return &STORIES[i];
	fail_msg("the grant type '%s' has no story here: every cell of it is without a test", grant.p);
	return NULL;
}

/* ---- doors: what of the cell's tokens each endpoint takes --------------------------------------------------------------------------- */

/* Whoever does not prove to be a client opens none of these. */
static const char *const DOORS[] = { "/token", "/par", "/introspect", "/revoke", "/device_authorization", "/bc-authorize" };
enum { DOORS_N = sizeof DOORS / sizeof *DOORS };

static void is_refused_there(const struct cell *c, struct str token)
{
	for (size_t i = 0; i < DOORS_N; i++)
		is_fault(post(c, DOORS[i], str_fmt(c->s->w->a, "token=%s", token.p).p, false), INVALID_CLIENT);
}

static bool active(const struct cell *c, struct str token)
{
	struct res *rs = post(c, "/introspect", str_fmt(c->s->w->a, "token=%s", token.p).p, true);
	is_status(rs, 200);
	return json_is_true(json_object_get(json_of(c->s->w, rs), "active"));
}

static struct res *userinfo(const struct cell *c, struct str token)
{
	struct world *w = c->s->w;
	if (by_proof(c))
		return ask(w, "GET", "/userinfo", shown_with(w, token, c->s->holder, (struct proof_wish){ 0 }).p, "");
	struct str headers = str_fmt(w->a, "Authorization: Bearer %s\n%s", token.p, has_cert(c) ? c->way->show(c, true).headers.p : beside(c).p);
	return ask(w, "GET", "/userinfo", headers.p, "");
}

static void check_bound(const struct cell *c, struct str token)
{
	struct world *w = c->s->w;
	json_t *cnf = json_object_get(claims_of(w, token), "cnf");
	if (!c->rules->bound_tokens)
		return;
	assert_non_null(json_object_get(cnf, by_proof(c) ? "jkt" : "x5t#S256"));
	is_status(ask(w, "GET", "/userinfo", str_fmt(w->a, "Authorization: Bearer %s\n", token.p).p, ""), 401);
}

/* ---- one cell ------------------------------------------------------------------------------------------------------------------------- */

static struct str metadata(const struct cell *c)
{
	struct str first = str_words(c->s->w->a, c->rules->id_token_algs).v[0];
	const char *also = !str_is(c->grant, "refresh_token") ? "" : has_code(c) ? ",\"authorization_code\"" : ",\"urn:openid:params:grant-type:ciba\"";
	const char *ciba = strstr(also, "ciba") || str_is(c->grant, "urn:openid:params:grant-type:ciba") ? ",\"backchannel_token_delivery_mode\":\"poll\"" : "";
	const char *alg = *ciba && c->rules->signed_backchannel ? ",\"backchannel_authentication_request_signing_alg\":\"ES256\"" : "";
	return str_fmt(c->s->w->a, ",\"profile\":\"%s\",\"grant_types\":[\"%s\"%s]%s%s,\"id_token_signed_response_alg\":\"%s\",\"scope\":\"openid offline_access docs:read\"%s",
		c->rules->name.p, c->grant.p, also, ciba, alg, first.p, c->way->member(c).p);
}

static bool allowed(const struct cell *c)
{
	return word_in(c->rules->auth_methods, c->way->method) && word_in(c->rules->grant_types, c->grant) && !(is_public(c) && story_of(c->grant)->confidential);
}

/* What the row does not say cannot be registered, and says why. */
static void is_not_registered(const struct cell *c)
{
	struct client parsed;
	struct arena *a = c->s->w->a;
	bool secret = str_starts(c->way->method, S("client_secret_"));
	struct str text = str_fmt(a, "{\"redirect_uris\":[\"https://x.example/cb\"],\"token_endpoint_auth_method\":\"%s\"%s%s%s}", c->way->method.p,
		secret ? ",\"client_secret_hash\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"" : "", metadata(c).p, "");
	err e = client_parse(a, c->id, text, &parsed);
	if (e.kind != &BAD_CONFIG)
		fail_msg("%s: %s by %s was registered", c->rules->name.p, c->grant.p, c->way->method.p);
}

static void gives_exactly_this(const struct cell *c)
{
	struct world *w = c->s->w;
	const struct grant_story *story = story_of(c->grant);
	one_with(w, c->id.p, c->way->method.p, metadata(c).p);
	struct str form = story->form(c);
	is_fault(post(c, "/token", form.p, false), INVALID_CLIENT);               /* and nothing was spent by that */
	struct res *rs = post(c, "/token", form.p, true);
	if (rs->status != 200)
		fail_msg("%s: %s by %s: %d %s", c->rules->name.p, c->grant.p, c->way->method.p, rs->status, rs->body.p);
	struct str token = told(w, rs, "access_token");
	check_bound(c, token);
	if (story->of_person) {
		json_t *head;
		is_status(userinfo(c, token), 200);
		struct bytes raw;
		struct str id_token = told(w, rs, "id_token");
		assert_true(b64url_read(w->a, str_dup(w->a, id_token.p, strcspn(id_token.p, ".")), &raw));
		fine(json_read_object(w->a, str_dup(w->a, (const char *)raw.p, raw.n), &head));
		assert_true(word_in(c->rules->id_token_algs, json_text(head, "alg")));
	} else {
		assert_int_equal(told(w, rs, "id_token").n, 0);
		assert_int_equal(told(w, rs, "refresh_token").n, 0);
	}
	is_refused_there(c, token);
	if (is_public(c))
		is_fault(post(c, "/introspect", str_fmt(w->a, "token=%s", token.p).p, true), INVALID_CLIENT);
	else
		assert_true(active(c, token));
	is_status(post(c, "/revoke", str_fmt(w->a, "token=%s", token.p).p, true), 200);
	if (!is_public(c))
		assert_false(active(c, token));
	if (story->of_person)
		is_fault(userinfo(c, token), INVALID_TOKEN);
}

/* ---- the whole ------------------------------------------------------------------------------------------------------------------------ */

static void trust(struct world *w, const struct minted *m, const char *kind)
{
	struct cert c;
	struct audit ev = audit_of(world_req(w), "trust.added");
	fine(cert_read(w->a, m->der, &c));
	struct trust_row row = { .id = c.id, .name = S("clients"), .kind = str_of(kind), .purposes = S("client"), .settings = S("{}"), .der = b64(w->a, m->der),
	                         .added_at = w->now };
	fine(store_trust_add(w->house.store, w->a, &row, &ev));
}

static void free_signer(void *p) { signer_free(p); }

static struct scene scene(void)
{
	struct scene s = { .w = world() };
	world_also(AUTHORIZE_ROUTES);
	world_also(CIBA_ROUTES);
	struct arena *a = s.w->a;
	struct minted *root = mint_root(a, NULL), *ca = mint_ca(a, root, NULL);
	s.leaf = mint_leaf(a, ca, &(struct mint_wish){ .cn = "cell.example" });
	s.namesake = mint_leaf(a, mint_root(a, NULL), &(struct mint_wish){ .cn = "cell.example" });
	s.holder = holder(s.w, "ES256");
	fine(signer_local_new(a, S("ES256"), S("bank-1"), &s.other_key));
	arena_defer(a, free_signer, s.other_key);
	trust(s.w, root, "anchor");
	trust(s.w, ca, "intermediate");
	return s;
}

static void walk(const struct scene *s, const struct profile *p)
{
	size_t given = 0, refused = 0;
	for (const struct str *g = grant_type_names(); g->n; g++)
		for (size_t i = 0; i < WAYS_N; i++) {
			struct cell c = { s, p, *g, str_fmt(s->w->a, "%s-%zu-%zu", p->name.p, (size_t)(g - grant_type_names()), i), &WAYS[i] };
			c.id = str_lower(s->w->a, c.id);
			bool ok = allowed(&c);
			ok ? gives_exactly_this(&c) : is_not_registered(&c);
			given += ok, refused += !ok;
		}
	print_message("%-28s %3zu cells give what they should and no more, %3zu cannot be registered\n", p->name.p, given, refused);
	assert_true(given && refused);
}

/* MATRIX */
TEST(every_policy_gives_each_grant_by_each_way_exactly_as_its_row_says)
{
	for (const struct profile *p = PROFILES; p->name.n; p++) {
		struct scene s = scene();
		walk(&s, p);
	}
}

TEST(every_word_that_a_policy_says_has_its_cells)
{
	struct world *w = world();
	struct strs methods = profiles_words(w->a, offsetof(struct profile, auth_methods)), grants = profiles_words(w->a, offsetof(struct profile, grant_types));
	for (size_t i = 0; i < methods.n; i++) {
		size_t k = 0;
		while (k < WAYS_N && !str_eq(WAYS[k].method, methods.v[i]))
			k++;
		if (k == WAYS_N)
			fail_msg("the way '%s' has no story here", methods.v[i].p);
	}
	for (size_t i = 0; i < grants.n; i++)
		story_of(grants.v[i]);
	for (const struct str *g = grant_type_names(); g->n; g++)
		story_of(*g);
}

TEST(every_door_where_clients_prove_themselves_is_walked)
{
	static const struct route *const TABLES[] = { OAUTH_ROUTES, AUTHORIZE_ROUTES, CIBA_ROUTES };
	size_t doors = 0;
	for (size_t i = 0; i < sizeof TABLES / sizeof *TABLES; i++)
		for (const struct route *r = TABLES[i]; r->path; r++) {
			size_t k = 0;
			if (strcmp(r->method, "POST") != 0 || r->faults != FAULTS_JSON)
				continue;
			while (k < DOORS_N && strcmp(DOORS[k], r->path) != 0)
				k++;
			if (k == DOORS_N)
				fail_msg("%s is a door without a story here", r->path);
			doors++;
		}
	assert_int_equal(doors, DOORS_N);
}
