#include "world.h"
#include "audit_of.h"
#include "code.h"
#include "fake.h"
#include "holder.h"
#include "jws.h"
#include "keys.h"
#include "net.h"
#include "oauth.h"
#include "oidc.h"
#include "remote.h"
#include "signer.h"
#include <jwt.h>

/* Token exchange (RFC 8693), as agencies use it: a citizen signs in to `office`; office calls `desk`, another agency's service, with the citizen's
 * token; desk calls `land` for the citizen, and land `archive`. SEC-16. */

#define EXCHANGE "grant_type=urn:ietf:params:oauth:grant-type:token-exchange"
#define TYPE "urn:ietf:params:oauth:token-type:"

#define SERVICE ",\"grant_types\":[\"client_credentials\",\"urn:ietf:params:oauth:grant-type:token-exchange\"],\"scope\":\"docs:read docs:write land:read\""
#define OFFICE ",\"grant_types\":[\"authorization_code\",\"refresh_token\",\"urn:ietf:params:oauth:grant-type:token-exchange\"]" \
	",\"scope\":\"openid profile offline_access docs:read docs:write\",\"audiences\":[\"desk\"]"

static const char RULES[] =
	"[exchange desk-to-land]\nclient = desk\nsubject = access_token\naudience = land https://land.example/api\nscope = docs:read land:read\n"
	"[exchange land-to-archive]\nclient = land\nsubject = access_token\naudience = archive\nscope = docs:read\ndepth = 2\n"
	"[exchange office-as-the-citizen]\nclient = office\nsubject = access_token id_token\naudience = land\nscope = docs:read\nmode = impersonation\nlives = 1m\n"
	"[exchange night-job]\nclient = desk\nsubject = client_token\naudience = archive\nscope = docs:read\nmode = impersonation\n"
	"[exchange sure]\nclient = desk\nsubject = access_token\naudience = vault\nacr = high\n"
	"[exchange under-mandate]\nclient = desk\nsubject = access_token\naudience = notary\nmandate = yes\n";

static void rules(struct world *w, const char *text)
{
	struct section table[3] = { 0 };
	size_t n = 0;
	for (const struct section *s = SETTINGS; s->name; s++)
		if (!strcmp(s->name, "exchange") || !strcmp(s->name, "issuer"))
			table[n++] = *s;
	w->conf.exchanges = w->conf.issuers = (struct conf_list){ 0 };
	fine(conf_read(w->a, "exchange.conf", str_of(text), table, &w->conf));
}

static struct world *agencies(void)
{
	struct world *w = world();
	one_with(w, "office", "client_secret_basic", OFFICE);
	one_with(w, "desk", "client_secret_basic", SERVICE ",\"audiences\":[\"desk\"]");
	one_with(w, "land", "client_secret_basic", SERVICE);
	one_with(w, "archive", "client_secret_basic", SERVICE);
	rules(w, RULES);
	return w;
}

/* ---- words for the stories ------------------------------------------------------------------------------------------ */

static struct res *citizen_tokens(struct world *w) { return redeem(w, "office", consent(w, "office", "openid docs:read docs:write offline_access", "")); }
static struct str citizen(struct world *w) { return told(w, citizen_tokens(w), "access_token"); }

static struct str own_token(struct world *w, const char *client)
{
	return told(w, ask(w, "POST", "/token", as(w, client).p, "grant_type=client_credentials"), "access_token");
}

static struct res *asks(struct world *w, const char *client, const char *body)
{
	return ask(w, "POST", "/token", as(w, client).p, str_fmt(w->a, EXCHANGE "%s", body).p);
}

/* Delegation: the client acts as itself, by a token of its own. */
static struct res *exchange_with(struct world *w, const char *client, struct str subject, const char *audience, const char *more)
{
	return asks(w, client, str_fmt(w->a, "&subject_token=%s&subject_token_type=" TYPE "access_token" "&actor_token=%s&actor_token_type="
		TYPE "access_token" "&audience=%s%s", subject.p, own_token(w, client).p, audience, more).p);
}
static struct res *exchange(struct world *w, const char *client, struct str subject, const char *audience)
{
	return exchange_with(w, client, subject, audience, "");
}

static struct res *impersonate(struct world *w, const char *client, struct str subject, const char *type, const char *audience)
{
	return asks(w, client, str_fmt(w->a, "&subject_token=%s&subject_token_type=urn:ietf:params:oauth:token-type:%s&audience=%s", subject.p, type, audience).p);
}

static bool active(struct world *w, const char *client, struct str token)
{
	struct res *rs = ask(w, "POST", "/introspect", as(w, client).p, str_fmt(w->a, "token=%s", token.p).p);
	is_status(rs, 200);
	return json_is_true(json_object_get(json_of(w, rs), "active"));
}

static struct str token_of(struct world *w, struct res *rs)
{
	is_tokens(w, rs);
	return told(w, rs, "access_token");
}

/* ---- delegation ------------------------------------------------------------------------------------------------------- */

TEST(an_agency_calls_another_for_a_citizen_and_the_new_token_says_who_acts)
{
	struct world *w = agencies();
	struct str subject = citizen(w);
	struct res *rs = exchange(w, "desk", subject, "land");
	json_t *answer = json_of(w, rs), *was = claims_of(w, subject), *is = claims_of(w, token_of(w, rs));
	assert_str(json_text(answer, "issued_token_type"), TYPE "access_token");
	assert_str(json_text(answer, "token_type"), "Bearer");
	assert_str(json_text(answer, "scope"), "docs:read");
	assert_null(json_object_get(answer, "refresh_token"));
	assert_null(json_object_get(answer, "id_token"));
	assert_str(json_text(is, "client_id"), "desk");
	assert_str(json_text(is, "acr"), "substantial");
	assert_str(json_text(json_object_get(is, "act"), "sub"), "desk");
	assert_string_equal(json_text(is, "sub").p, json_text(was, "sub").p);
	assert_string_equal(json_text(is, "gid").p, json_text(was, "gid").p);
	assert_string_equal(strs_join(w->a, json_strs(w->a, is, "aud"), S(" ")).p, "land");
	assert_int_equal(json_integer_value(json_object_get(is, "auth_time")), json_integer_value(json_object_get(was, "auth_time")));
}

TEST(whom_it_is_for_sees_who_acts_and_nobody_else_sees_anything)
{
	struct world *w = agencies();
	struct str t = token_of(w, exchange(w, "desk", citizen(w), "land"));
	json_t *seen = json_of(w, ask(w, "POST", "/introspect", as(w, "land").p, str_fmt(w->a, "token=%s", t.p).p));
	assert_true(json_is_true(json_object_get(seen, "active")));
	assert_str(json_text(json_object_get(seen, "act"), "sub"), "desk");
	assert_true(active(w, "desk", t));
	assert_false(active(w, "office", t));
	assert_false(active(w, "archive", t));
	is_fault(ask(w, "GET", "/userinfo", str_fmt(w->a, "Authorization: Bearer %s\n", t.p).p, ""), INVALID_TOKEN);
}

static struct audit row_with(struct world *w, const char *event, const char *client)
{
	struct audit *l;
	size_t n;
	fine(store_audit_tail(w->house.store, w->a, S(""), 1000, &l, &n));
	for (size_t i = n; i-- > 0; )
		if (str_is(l[i].event, event) && str_is(l[i].client_id, client) && (strstr(l[i].detail.p, "token-exchange") || l[i].why.n))
			return l[i];
	fail_msg("no %s of %s", event, client);
	return l[0];
}

TEST(an_exchange_leaves_a_row_with_subject_actor_audience_and_rule)
{
	struct world *w = agencies();
	json_t *detail;
	token_of(w, exchange(w, "desk", citizen(w), "land"));
	struct audit row = row_with(w, "token.issued", "desk");
	fine(json_read_object(w->a, row.detail, &detail));
	assert_string_equal(row.person_id.p, w->person_id.p);
	assert_str(json_text(detail, "rule"), "desk-to-land");
	assert_str(json_text(json_object_get(detail, "actor"), "sub"), "desk");
	assert_str(json_text(json_object_get(detail, "subject"), "client_id"), "office");
	assert_str(json_strs(w->a, detail, "audience").v[0], "land");
	is_fault(exchange(w, "desk", citizen(w), "archive"), INVALID_TARGET);
	assert_non_null(strstr(row_with(w, "token.refused", "desk").why.p, "the audience is not one of the rule's"));
}

/* Each with one thing wrong. RFC 8693 section 2.2.2. */
TEST(what_is_wrong_with_an_exchange_is_told_by_its_kind)
{
	struct world *w = agencies();
	const char *t = citizen(w).p, *actor = own_token(w, "desk").p, *elses = own_token(w, "land").p;
	const struct { const struct err_kind *kind; const char *body; } TWINS[] = {
		{ NULL,             "&subject_token=T&subject_token_type=" TYPE "access_token&actor_token=A&actor_token_type=" TYPE "access_token&audience=land" },
		{ NULL,             "&subject_token=T&subject_token_type=" TYPE "jwt&actor_token=A&actor_token_type=" TYPE "jwt&audience=land&requested_token_type=" TYPE "jwt" },
		{ NULL,             "&subject_token=T&subject_token_type=" TYPE "access_token&actor_token=A&actor_token_type=" TYPE "access_token&resource=https://land.example/api&scope=docs:read" },
		{ &INVALID_REQUEST, "&subject_token_type=" TYPE "access_token&actor_token=A&actor_token_type=" TYPE "access_token&audience=land" },
		{ &INVALID_REQUEST, "&subject_token=T&actor_token=A&actor_token_type=" TYPE "access_token&audience=land" },
		{ &INVALID_REQUEST, "&subject_token=T&subject_token_type=" TYPE "access_token&actor_token=A&audience=land" },
		{ &INVALID_REQUEST, "&subject_token=T&subject_token_type=" TYPE "access_token&actor_token_type=" TYPE "access_token&audience=land" },
		{ &INVALID_REQUEST, "&subject_token=T&subject_token_type=" TYPE "access_token&audience=land" },
		{ &INVALID_REQUEST, "&subject_token=T&subject_token_type=" TYPE "saml2&actor_token=A&actor_token_type=" TYPE "access_token&audience=land" },
		{ &INVALID_REQUEST, "&subject_token=T&subject_token_type=" TYPE "refresh_token&actor_token=A&actor_token_type=" TYPE "access_token&audience=land" },
		{ &INVALID_REQUEST, "&subject_token=T&subject_token_type=" TYPE "access_token&actor_token=A&actor_token_type=" TYPE "id_token&audience=land" },
		{ &INVALID_REQUEST, "&subject_token=T&subject_token_type=" TYPE "access_token&actor_token=E&actor_token_type=" TYPE "access_token&audience=land" },
		{ &INVALID_REQUEST, "&subject_token=T&subject_token_type=" TYPE "access_token&actor_token=T&actor_token_type=" TYPE "access_token&audience=land" },
		{ &INVALID_REQUEST, "&subject_token=T&subject_token_type=" TYPE "access_token&actor_token=A&actor_token_type=" TYPE "access_token&audience=land&requested_token_type=" TYPE "id_token" },
		{ &INVALID_REQUEST, "&subject_token=T&subject_token_type=" TYPE "access_token&actor_token=A&actor_token_type=" TYPE "access_token&audience=land&requested_token_type=" TYPE "refresh_token" },
		{ &INVALID_REQUEST, "&subject_token=T&subject_token_type=" TYPE "access_token&actor_token=A&actor_token_type=" TYPE "access_token&audience=land&audience=land" },
		{ &INVALID_TARGET,  "&subject_token=T&subject_token_type=" TYPE "access_token&actor_token=A&actor_token_type=" TYPE "access_token" },
		{ &INVALID_TARGET,  "&subject_token=T&subject_token_type=" TYPE "access_token&actor_token=A&actor_token_type=" TYPE "access_token&audience=archive" },
		{ &INVALID_TARGET,  "&subject_token=T&subject_token_type=" TYPE "access_token&actor_token=A&actor_token_type=" TYPE "access_token&audience=land%20archive" },
		{ &INVALID_TARGET,  "&subject_token=T&subject_token_type=" TYPE "access_token&actor_token=A&actor_token_type=" TYPE "access_token&audience=https://id.example" },
		{ &INVALID_TARGET,  "&subject_token=T&subject_token_type=" TYPE "access_token&actor_token=A&actor_token_type=" TYPE "access_token&resource=land" },
		{ &INVALID_TARGET,  "&subject_token=T&subject_token_type=" TYPE "access_token&actor_token=A&actor_token_type=" TYPE "access_token&resource=https://land.example/api%23x" },
		{ &INVALID_TARGET,  "&subject_token=T&subject_token_type=" TYPE "access_token&actor_token=A&actor_token_type=" TYPE "access_token&audience=land&resource=https://other.example/" },
		{ &INVALID_SCOPE,   "&subject_token=T&subject_token_type=" TYPE "access_token&actor_token=A&actor_token_type=" TYPE "access_token&audience=land&scope=docs:write" },
		{ &INVALID_SCOPE,   "&subject_token=T&subject_token_type=" TYPE "access_token&actor_token=A&actor_token_type=" TYPE "access_token&audience=land&scope=docs:read%20land:read" },
		{ &INVALID_SCOPE,   "&subject_token=T&subject_token_type=" TYPE "access_token&actor_token=A&actor_token_type=" TYPE "access_token&audience=land&scope=openid" },
	};
	for (size_t i = 0; i < sizeof TWINS / sizeof *TWINS; i++) {
		struct buf b = buf_new(w->a, 1024, 16384);
		struct str body;
		for (const char *p = TWINS[i].body; *p; p++)
			if (p[-(p > TWINS[i].body)] == '=' && strchr("TAE", *p) && (p[1] == '&' || !p[1]))
				buf_str(&b, str_of(*p == 'T' ? t : *p == 'A' ? actor : elses));
			else
				buf_char(&b, *p);
		fine(buf_done(&b, &body));
		struct res *rs = asks(w, "desk", body.p);
		if (TWINS[i].kind)
			is_fault(rs, *TWINS[i].kind);
		else
			is_tokens(w, rs);
	}
}

TEST(without_a_rule_nothing_is_exchanged)
{
	struct world *w = agencies();
	struct str t = citizen(w);
	rules(w, "");
	is_fault(exchange(w, "desk", t, "land"), UNAUTHORIZED_CLIENT);
	rules(w, RULES);
	token_of(w, exchange(w, "desk", t, "land"));
	is_fault(exchange(w, "archive", t, "land"), UNAUTHORIZED_CLIENT);
	is_fault(asks(w, "api", "&subject_token=x&subject_token_type=" TYPE "access_token&audience=land"), UNAUTHORIZED_CLIENT);
	is_fault(ask(w, "POST", "/token", "", EXCHANGE "&client_id=app&subject_token=x"), UNAUTHORIZED_CLIENT);
	is_fault(ask(w, "POST", "/token", "", EXCHANGE "&subject_token=x"), INVALID_CLIENT);
}

/* SEC-16: a token that somebody came by is worth nothing to them. */
TEST(a_token_that_was_neither_given_to_it_nor_meant_for_it_is_not_exchanged)
{
	struct world *w = agencies();
	struct str of_portal = told(w, redeem(w, "portal", consent(w, "portal", "openid docs:read", "")), "access_token");
	is_fault(exchange(w, "desk", of_portal, "land"), INVALID_REQUEST);
	is_fault(exchange(w, "land", citizen(w), "archive"), INVALID_REQUEST);
}

TEST(a_rule_that_needs_more_assurance_or_a_mandate_refuses)
{
	struct world *w = agencies();
	is_fault(exchange(w, "desk", citizen(w), "vault"), INVALID_REQUEST);
	is_fault(exchange(w, "desk", citizen(w), "notary"), INVALID_REQUEST);
}

/* ---- impersonation ------------------------------------------------------------------------------------------------------ */

TEST(impersonation_is_told_apart_and_needs_a_rule_of_its_own)
{
	struct world *w = agencies();
	struct str t = citizen(w);
	struct res *rs = impersonate(w, "office", t, "access_token", "land");
	json_t *is = claims_of(w, token_of(w, rs));
	assert_null(json_object_get(is, "act"));
	assert_str(json_text(is, "client_id"), "office");
	assert_int_equal(json_integer_value(json_object_get(json_of(w, rs), "expires_in")), 60);
	is_fault(impersonate(w, "desk", t, "access_token", "land"), INVALID_REQUEST);
	is_fault(impersonate(w, "desk", t, "access_token", "vault"), INVALID_REQUEST);
}

TEST(a_token_of_a_client_alone_is_a_subject_only_where_a_rule_says_so)
{
	struct world *w = agencies();
	json_t *is = claims_of(w, token_of(w, impersonate(w, "desk", own_token(w, "desk"), "access_token", "archive")));
	assert_str(json_text(is, "sub"), "desk");
	assert_null(json_object_get(is, "gid"));
	is_fault(exchange(w, "desk", own_token(w, "desk"), "land"), INVALID_REQUEST);
	is_fault(impersonate(w, "office", own_token(w, "desk"), "access_token", "land"), INVALID_REQUEST);
}

TEST(an_id_token_is_exchanged_by_its_own_client_while_the_login_lasts)
{
	struct world *w = agencies();
	struct res *rs = citizen_tokens(w);
	struct str id = told(w, rs, "id_token");
	json_t *is = claims_of(w, token_of(w, impersonate(w, "office", id, "id_token", "land")));
	assert_string_equal(json_text(is, "sub").p, json_text(claims_of(w, id), "sub").p);
	assert_str(json_text(is, "scope"), "docs:read");
	is_fault(impersonate(w, "desk", id, "id_token", "land"), INVALID_REQUEST);
	pass(w, 1);                                  /* what was granted last counts */
	struct str bare = told(w, redeem(w, "office", consent(w, "office", "openid", "")), "id_token");
	assert_null(json_object_get(claims_of(w, token_of(w, impersonate(w, "office", bare, "id_token", "land"))), "scope"));
	is_fault(impersonate(w, "office", id, "access_token", "land"), INVALID_REQUEST);
	is_fault(impersonate(w, "office", told(w, rs, "access_token"), "id_token", "land"), INVALID_REQUEST);
	struct audit ev = audit_of(world_req(w), "session.ended");
	fine(store_session_end(w->house.store, w->a, hash_of(w->a, str_from(w->a, w->cookie, strlen("__Host-session="))), w->now, &ev));
	is_fault(impersonate(w, "office", id, "id_token", "land"), INVALID_REQUEST);
}

/* ---- nothing grows -------------------------------------------------------------------------------------------------------- */

TEST(the_new_token_ends_with_the_one_it_came_of_and_never_later_than_its_rule)
{
	struct world *w = agencies();
	struct str t = citizen(w);
	int64_t end = json_integer_value(json_object_get(claims_of(w, t), "exp"));
	pass(w, 200);
	json_t *is = claims_of(w, token_of(w, exchange(w, "desk", t, "land")));
	assert_int_equal(json_integer_value(json_object_get(is, "exp")), end);
	assert_int_equal(json_integer_value(json_object_get(is, "iat")), w->now);
	pass(w, end - w->now);
	is_fault(exchange(w, "desk", t, "land"), INVALID_REQUEST);
}

TEST(each_who_acts_is_named_with_those_before_and_no_more_of_them_than_the_rule_says)
{
	struct world *w = agencies();
	struct str first = token_of(w, exchange(w, "desk", citizen(w), "land")), second = token_of(w, exchange(w, "land", first, "archive"));
	json_t *act = json_object_get(claims_of(w, second), "act");
	assert_str(json_text(act, "sub"), "land");
	assert_str(json_text(json_object_get(act, "act"), "sub"), "desk");
	assert_true(active(w, "archive", second));
	rules(w, "[exchange shallow]\nclient = land\nsubject = access_token\naudience = archive\ndepth = 1\n");
	is_fault(exchange(w, "land", first, "archive"), INVALID_REQUEST);
	/* taking the subject's place does not wipe out who acted before */
	rules(w, "[exchange silent]\nclient = land\nsubject = access_token\naudience = archive\nmode = impersonation\n");
	act = json_object_get(claims_of(w, token_of(w, impersonate(w, "land", first, "access_token", "archive"))), "act");
	assert_str(json_text(act, "sub"), "desk");
}

TEST(a_token_is_not_exchanged_on_and_on)
{
	struct world *w = agencies();
	struct str t = citizen(w);
	rules(w, "[exchange round]\nclient = office\nsubject = access_token\naudience = land\nmode = impersonation\n");
	for (int i = 0; i < EXCHANGES_MOST; i++)
		t = token_of(w, impersonate(w, "office", t, "access_token", "land"));
	assert_true(active(w, "land", t));
	is_fault(impersonate(w, "office", t, "access_token", "land"), INVALID_REQUEST);
}

/* ---- what ends it ------------------------------------------------------------------------------------------------------------ */

static void disable_client(struct world *w, const char *id)
{
	struct client_row *row;
	struct audit ev = audit_of(world_req(w), "client.changed");
	fine(store_client(w->house.store, w->a, str_of(id), &row));
	row->disabled_at = w->now;
	fine(store_client_change(w->house.store, w->a, row, &ev));
}

static void disable_office(struct world *w) { disable_client(w, "office"); }
static void disable_desk(struct world *w) { disable_client(w, "desk"); }
static void disable_land(struct world *w) { disable_client(w, "land"); }

static void disable_person(struct world *w)
{
	struct person_row *p;
	struct audit ev = audit_of(world_req(w), "person.changed");
	fine(store_person(w->house.store, w->a, w->person_id, &p));
	p->disabled_at = w->now;
	fine(store_person_change(w->house.store, w->a, p, &ev));
}

static struct { struct str subject, refresh, first; } family;

static void revoke_of(struct world *w, const char *client, struct str token)
{
	is_status(ask(w, "POST", "/revoke", as(w, client).p, str_fmt(w->a, "token=%s", token.p).p), 200);
}
static void revoke_subject(struct world *w) { revoke_of(w, "office", family.subject); }
static void revoke_first(struct world *w) { revoke_of(w, "desk", family.first); }
static void revoke_grant(struct world *w) { revoke_of(w, "office", family.refresh); }

/* Revoking the grant or any token of the chain, disabling the person or any client of it. SECURITY.md I4: no later success. */
TEST(whatever_an_exchanged_token_rests_on_takes_it_along)
{
	static void (*const ENDS[])(struct world *) = { revoke_subject, revoke_first, revoke_grant, disable_person, disable_office, disable_desk, disable_land };
	for (size_t i = 0; i < sizeof ENDS / sizeof *ENDS; i++) {
		struct world *w = agencies();
		struct res *rs = citizen_tokens(w);
		family.subject = told(w, rs, "access_token");
		family.refresh = told(w, rs, "refresh_token");
		family.first = token_of(w, exchange(w, "desk", family.subject, "land"));
		struct str second = token_of(w, exchange(w, "land", family.first, "archive"));
		assert_true(active(w, "archive", second));
		ENDS[i](w);
		pass(w, 5);
		assert_false(active(w, "archive", second));
		if (ENDS[i] != disable_land)
			is_fault(exchange(w, "land", family.first, "archive"), INVALID_REQUEST);
	}
}

TEST(a_session_that_ends_takes_exchanged_tokens_along)
{
	struct world *w = agencies();
	struct str t = told(w, redeem(w, "office", consent(w, "office", "openid docs:read", "")), "access_token");
	struct str first = token_of(w, exchange(w, "desk", t, "land"));
	struct audit ev = audit_of(world_req(w), "session.ended");
	assert_true(active(w, "land", first));
	fine(store_session_end(w->house.store, w->a, hash_of(w->a, str_from(w->a, w->cookie, strlen("__Host-session="))), w->now, &ev));
	assert_false(active(w, "land", first));
	is_fault(exchange(w, "desk", t, "land"), INVALID_REQUEST);
}

TEST(a_store_that_cannot_answer_gives_no_token)
{
	struct world *w = agencies();
	struct str t = citizen(w), actor = own_token(w, "desk");
	struct str body = str_fmt(w->a, "&subject_token=%s&subject_token_type=" TYPE "access_token&actor_token=%s&actor_token_type=" TYPE "access_token&audience=land", t.p, actor.p);
	is_tokens(w, asks(w, "desk", body.p));
	for (int nth = 0; nth < 2; nth++) {        /* one read, one write */
		breaks_at(w, nth);
		struct res *rs = asks(w, "desk", body.p);
		breaks_at(w, -1);
		is_fault(rs, UNAVAILABLE);
	}
	breaks_at(w, 2);
	is_tokens(w, asks(w, "desk", body.p));
}

/* ---- bound tokens: RFC 8705 section 3, anew ------------------------------------------------------------------------------------ */

static struct str cert_line(struct world *w) { return str_fmt(w->a, "Client-Cert: :%s:\n", w->gate_cert.p); }

static struct res *exchange_from(struct world *w, const char *client, struct str subject, struct str headers)
{
	return ask(w, "POST", "/token", str_fmt(w->a, "%s%s", as(w, client).p, headers.p).p,
		str_fmt(w->a, EXCHANGE "&subject_token=%s&subject_token_type=" TYPE "access_token&actor_token=%s&actor_token_type=" TYPE "access_token&audience=land",
			subject.p, own_token(w, client).p).p);
}

TEST(a_bound_token_is_exchanged_by_its_holder_with_the_key_and_by_others_only_where_a_rule_says_so)
{
	struct world *w = agencies();
	struct str bound_rule = str_fmt(w->a, "%s\nbound = yes\n", "[exchange any]\nclient = desk keeper\nsubject = access_token\naudience = land\nscope = docs:read");
	one_with(w, "keeper", "client_secret_basic", OFFICE ",\"tls_client_certificate_bound_access_tokens\":true");
	struct str code = consent(w, "keeper", "openid docs:read", "");
	struct str body = str_fmt(w->a, "grant_type=authorization_code&code=%s&redirect_uri=https%%3A%%2F%%2Fkeeper.example%%2Fcb", code.p);
	struct str bound = token_of(w, ask(w, "POST", "/token", str_fmt(w->a, "%s%s", as(w, "keeper").p, cert_line(w).p).p, body.p));
	const char *x5t = json_text(json_object_get(claims_of(w, bound), "cnf"), "x5t#S256").p;

	is_fault(exchange_from(w, "desk", bound, S("")), INVALID_REQUEST);
	rules(w, bound_rule.p);
	is_fault(exchange_from(w, "desk", bound, S("")), INVALID_REQUEST);          /* nothing to bind the new one to */
	json_t *is = claims_of(w, token_of(w, exchange_from(w, "desk", bound, cert_line(w))));
	assert_string_equal(json_text(json_object_get(is, "cnf"), "x5t#S256").p, x5t);

	rules(w, "[exchange own]\nclient = keeper\nsubject = access_token\naudience = land\nmode = impersonation\nbound = yes\n");
	body = str_fmt(w->a, EXCHANGE "&subject_token=%s&subject_token_type=" TYPE "access_token&audience=land", bound.p);
	is_fault(ask(w, "POST", "/token", as(w, "keeper").p, body.p), INVALID_REQUEST);
	is_tokens(w, ask(w, "POST", "/token", str_fmt(w->a, "%s%s", as(w, "keeper").p, cert_line(w).p).p, body.p));
}

/* RFC 9449: the holder of a key-bound token exchanges it with a proof by that key; whoever it is meant for binds the new one to its own. */
TEST(a_token_bound_to_a_key_is_bound_to_the_key_of_whoever_asks)
{
	struct world *w = agencies();
	struct signer *citizens = holder(w, "ES256"), *desks = holder(w, "ES256");
	const struct proof_wish usual = { 0 };
	struct str code = consent(w, "office", "openid docs:read", "");
	struct str body = str_fmt(w->a, "grant_type=authorization_code&code=%s&redirect_uri=https%%3A%%2F%%2Foffice.example%%2Fcb", code.p);
	struct str bound = token_of(w, ask(w, "POST", "/token", str_fmt(w->a, "%s%s", as(w, "office").p, proof_line(w, citizens, usual).p).p, body.p));
	body = str_fmt(w->a, EXCHANGE "&subject_token=%s&subject_token_type=" TYPE "access_token&audience=land", bound.p);
	is_fault(ask(w, "POST", "/token", as(w, "office").p, body.p), INVALID_REQUEST);
	is_fault(ask(w, "POST", "/token", str_fmt(w->a, "%s%s", as(w, "office").p, proof_line(w, desks, usual).p).p, body.p), INVALID_REQUEST);
	is_tokens(w, ask(w, "POST", "/token", str_fmt(w->a, "%s%s", as(w, "office").p, proof_line(w, citizens, usual).p).p, body.p));
	is_fault(exchange_from(w, "desk", bound, proof_line(w, desks, usual)), INVALID_REQUEST);
	rules(w, "[exchange any]\nclient = desk\nsubject = access_token\naudience = land\nbound = yes\n");
	is_fault(exchange_from(w, "desk", bound, S("")), INVALID_REQUEST);
	struct res *rs = exchange_from(w, "desk", bound, proof_line(w, desks, usual));
	assert_string_equal(json_text(json_object_get(claims_of(w, token_of(w, rs)), "cnf"), "jkt").p, jkt_of(w, desks).p);
}

/* ---- tokens of our own making that say what ordinary ones do not ------------------------------------------------------------------ */

static struct str ours(struct world *w, const char *typ, const char *claims)
{
	struct keyring *ring;
	struct str token;
	fine(keys_now(&w->house, w->a, &ring));
	fine(jws_sign(w->a, keyring_signer(ring, S("ES256"), w->now), str_of(typ), str_of(claims), &token));
	return token;
}

/* A citizen's token with further claims. */
static struct str citizen_with(struct world *w, const char *more)
{
	json_t *o = claims_of(w, citizen(w)), *add;
	fine(json_read_object(w->a, str_of(more), &add));
	json_object_update(o, add);
	return ours(w, "at+jwt", json_dump(w->a, o).p);
}

/* RFC 8693 section 4.4 */
TEST(may_act_names_who_may_act_and_goes_along)
{
	struct world *w = agencies();
	static const char *const WRONG[] = {
		"{\"may_act\":{\"sub\":\"land\"}}", "{\"may_act\":{\"sub\":\"desk\",\"iss\":\"https://else.example\"}}", "{\"may_act\":{\"sub\":\"desk\",\"iss\":7}}",
		"{\"may_act\":{\"sub\":\"desk\",\"email\":\"a@b\"}}", "{\"may_act\":{\"iss\":\"https://id.example\"}}", "{\"may_act\":{}}", "{\"may_act\":{\"sub\":7}}",
	};
	for (size_t i = 0; i < sizeof WRONG / sizeof *WRONG; i++)
		is_fault(exchange(w, "desk", citizen_with(w, WRONG[i]), "land"), INVALID_REQUEST);
	token_of(w, exchange(w, "desk", citizen_with(w, "{\"may_act\":{\"sub\":\"desk\",\"iss\":\"https://id.example\"}}"), "land"));
	struct str first = token_of(w, exchange(w, "desk", citizen_with(w, "{\"may_act\":{\"sub\":\"desk\"}}"), "land"));
	assert_str(json_text(json_object_get(claims_of(w, first), "may_act"), "sub"), "desk");
	is_fault(exchange(w, "land", first, "archive"), INVALID_REQUEST);
	is_fault(impersonate(w, "office", citizen_with(w, "{\"may_act\":{\"sub\":\"desk\"}}"), "access_token", "land"), INVALID_REQUEST);
	is_tokens(w, impersonate(w, "office", citizen_with(w, "{\"may_act\":{\"sub\":\"office\"}}"), "access_token", "land"));
}

/* SEC-09, SEC-11: every kind of token and secret of ours, under every name: only what is what it says it is, is taken. */
TEST(what_is_of_one_kind_is_not_exchanged_as_another)
{
	struct world *w = agencies();
	rules(w, "[exchange all]\nclient = office\nsubject = access_token id_token client_token\naudience = land\nmode = impersonation\n");
	struct res *rs = citizen_tokens(w);
	json_t *id = claims_of(w, told(w, rs, "id_token")), *bare = json_own(w->a, json_deep_copy(id)), *events = json_own(w->a, json_deep_copy(id));
	json_object_del(bare, "sid");
	json_object_set_new(events, "events", json_object());
	const char *usual = json_dump(w->a, id).p;
	struct signer *theirs;
	fine(signer_local_new(w->a, S("ES256"), S("theirs"), &theirs));
	struct { const char *what; struct str token; unsigned right; } KINDS[] = {    /* right: bits of TYPES */
		{ "access token",           told(w, rs, "access_token"), 1 | 2 },
		{ "ID token",               told(w, rs, "id_token"), 4 },
		{ "refresh token",          told(w, rs, "refresh_token"), 0 },
		{ "code",                   consent(w, "office", "openid", ""), 0 },
		{ "logout token",           ours(w, "logout+jwt", usual), 0 },
		{ "untyped logout token",   ours(w, "", json_dump(w->a, events).p), 0 },
		{ "signed userinfo",        ours(w, "JWT", str_fmt(w->a, "{\"iss\":\"https://id.example\",\"aud\":\"office\",\"sub\":\"%s\"}", json_text(id, "sub").p).p), 0 },
		{ "authorization response", ours(w, "JWT", "{\"iss\":\"https://id.example\",\"aud\":\"office\",\"exp\":1800000100,\"code\":\"c\",\"state\":\"s\"}"), 0 },
		{ "ID token of no session", ours(w, "JWT", json_dump(w->a, bare).p), 0 },
		{ "introspection answer",   ours(w, "token-introspection+jwt", usual), 0 },
		{ "request object",         ours(w, "oauth-authz-req+jwt", usual), 0 },
		{ "DPoP proof",             ours(w, "dpop+jwt", usual), 0 },
		{ "client assertion",       signed_by(w, w->bank_key, "JWT", "{\"iss\":\"bank\",\"sub\":\"bank\",\"aud\":\"https://id.example\",\"exp\":1800000100,\"jti\":\"1\"}"), 0 },
		{ "a stranger's ID token",  signed_by(w, theirs, "JWT", usual), 0 },
		{ "a stranger's access token", signed_by(w, theirs, "at+jwt", json_dump(w->a, claims_of(w, told(w, rs, "access_token"))).p), 0 },
		{ "nothing",                S("x.y.z"), 0 },
		{ "a session",              str_from(w->a, w->cookie, strlen("__Host-session=")), 0 },
	};
	static const char *const TYPES[] = { "access_token", "jwt", "id_token", "refresh_token", "saml1", "saml2" };
	for (size_t i = 0; i < sizeof KINDS / sizeof *KINDS; i++)
		for (size_t k = 0; k < sizeof TYPES / sizeof *TYPES; k++) {
			struct res *got = impersonate(w, "office", KINDS[i].token, TYPES[k], "land");
			bool right = k < 3 && (KINDS[i].right >> k & 1);
			if (got->status != (right ? 200 : 400) || (!right && !strstr(got->body.p, "\"invalid_request\"")))
				fail_msg("%s as %s: %d %s", KINDS[i].what, TYPES[k], got->status, got->body.p);
			/* nor is any of them an actor but an access token, and that by its own client */
			struct res *actor = asks(w, "office", str_fmt(w->a, "&subject_token=%s&subject_token_type=" TYPE "access_token&actor_token=%s&actor_token_type=" TYPE
				"%s&audience=land", told(w, rs, "access_token").p, KINDS[i].token.p, TYPES[k]).p);
			is_fault(actor, INVALID_REQUEST);
		}
	signer_free(theirs);
}

/* An exchanged token is one thing only: what it came to, at its audience. */
TEST(an_exchanged_token_opens_no_other_door)
{
	struct world *w = agencies();
	struct str t = token_of(w, exchange(w, "desk", citizen(w), "land"));
	is_fault(ask(w, "GET", "/userinfo", str_fmt(w->a, "Authorization: Bearer %s\n", t.p).p, ""), INVALID_TOKEN);
	is_fault(refresh(w, "desk", t), UNAUTHORIZED_CLIENT);
	is_fault(refresh(w, "office", t), INVALID_GRANT);
	is_fault(redeem(w, "office", t), INVALID_GRANT);
	is_fault(ask(w, "POST", "/token", "", str_fmt(w->a, "grant_type=client_credentials&client_assertion_type=urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
		"&client_assertion=%s", t.p).p), INVALID_CLIENT);
	is_fault(ask(w, "POST", "/revoke", as(w, "office").p, str_fmt(w->a, "token=%s", t.p).p), INVALID_GRANT);
	is_status(ask(w, "POST", "/revoke", as(w, "desk").p, str_fmt(w->a, "token=%s", t.p).p), 200);
	assert_false(active(w, "land", t));
}

/* ---- tokens of other issuers ------------------------------------------------------------------------------------------------------- */

#define TAX "[issuer tax]\niss = https://tax.example\njwks_file = tax.jwks\naudience = https://id.example\nlevel = substantial\n"
#define TAX_RULES "[exchange tax-to-land]\nclient = desk\nsubject = issuer:tax\naudience = land\nscope = docs:read land:read\n" \
	"[exchange nobody]\nclient = land\nsubject = access_token\naudience = archive\n"
#define TAX_CLAIMS "\"iss\":\"https://tax.example\",\"sub\":\"u1\",\"aud\":\"https://id.example\",\"exp\":1800000060"

static struct issuer_conf *issuer(struct world *w) { return w->conf.issuers.items; }

static void drop_signer(void *s) { signer_free(s); }

static struct signer *tax_key(struct world *w, const char *alg)
{
	struct signer *s;
	fine(signer_local_new(w->a, str_of(alg), S("tax-1"), &s));
	arena_defer(w->a, drop_signer, s);
	return s;
}

static struct signer *trust_tax(struct world *w, const char *text)
{
	struct signer *s = tax_key(w, "ES256");
	rules(w, text);
	issuer(w)->jwks = str_fmt(w->a, "{\"keys\":[%s]}", signer_public_jwk(s).p);
	return s;
}

static struct res *exchange_foreign(struct world *w, const char *client, struct str subject, const char *more)
{
	return asks(w, client, str_fmt(w->a, "&subject_token=%s&subject_token_type=" TYPE "jwt&actor_token=%s&actor_token_type=" TYPE "access_token&audience=land%s",
		subject.p, own_token(w, client).p, more).p);
}

TEST(somebody_of_another_issuer_is_nobody_of_ours)
{
	struct world *w = agencies();
	struct signer *s = trust_tax(w, TAX TAX_RULES);
	struct str subject = signed_by(w, s, "JWT", "{" TAX_CLAIMS ",\"acr\":\"high\"}");
	struct str t = token_of(w, exchange_foreign(w, "desk", subject, "")), again = token_of(w, exchange_foreign(w, "desk", subject, ""));
	json_t *is = claims_of(w, t);
	assert_str(json_text(is, "iss"), "https://id.example");
	assert_string_not_equal(json_text(is, "sub").p, "u1");
	assert_string_equal(json_text(is, "sub").p, json_text(claims_of(w, again), "sub").p);
	assert_str(json_text(is, "acr"), "substantial");                         /* never more than the issuer is worth */
	assert_str(json_text(is, "scope"), "docs:read land:read");
	assert_str(json_text(json_object_get(is, "act"), "sub"), "desk");
	assert_int_equal(json_integer_value(json_object_get(is, "exp")), 1800000060);
	assert_null(json_object_get(is, "auth_time"));
	assert_true(active(w, "land", t));
	disable_client(w, "desk");
	pass(w, 5);
	assert_false(active(w, "land", t));
}

/* An issuer that gives somebody a name of ours gains nothing by it. */
TEST(another_issuers_sub_is_never_one_of_ours)
{
	struct world *w = agencies();
	struct signer *s = trust_tax(w, TAX TAX_RULES);
	struct str sub = json_text(claims_of(w, citizen(w)), "sub");
	struct str subject = signed_by(w, s, "JWT", str_fmt(w->a, "{\"iss\":\"https://tax.example\",\"sub\":\"%s\",\"aud\":\"https://id.example\",\"exp\":1800000060}", sub.p).p);
	assert_string_not_equal(json_text(claims_of(w, token_of(w, exchange_foreign(w, "desk", subject, ""))), "sub").p, sub.p);
}

static struct str add_person(struct world *w, const char *number)
{
	unsigned char mac[SHA256_SIZE];
	struct audit ev = audit_of(world_req(w), "person.added");
	hmac256((struct bytes){ w->house.secrets.find, sizeof w->house.secrets.find }, number, strlen(number), mac);
	struct person_row p = {
		.id = str_fmt(w->a, "person-%s", number), .kind = S("citizen"), .name = S("Lê Thị Bình"), .number_mac = hex(w->a, (struct bytes){ mac, sizeof mac }), .version = 1,
		.created_at = w->now, .updated_at = w->now,
	};
	fine(store_person_add(w->house.store, w->a, &p, &ev));
	return p.id;
}

TEST(somebody_whose_number_another_issuer_tells_is_the_person_that_we_know)
{
	struct world *w = agencies();
	struct signer *s = trust_tax(w, TAX "subject = number\nnumber_claim = cccd\n" TAX_RULES);
	w->person_id = add_person(w, "PNOVN-001099000002");
	struct str t = token_of(w, exchange_foreign(w, "desk", signed_by(w, s, "JWT", "{" TAX_CLAIMS ",\"cccd\":\"001099000002\"}"), ""));
	const struct client *desk;
	fine(client_find(world_req(w), S("desk"), &desk));
	assert_string_equal(json_text(claims_of(w, t), "sub").p, subject_for(&w->house, w->a, desk, w->person_id).p);
	assert_str(json_text(claims_of(w, t), "acr"), "low");
	is_fault(exchange_foreign(w, "desk", signed_by(w, s, "JWT", "{" TAX_CLAIMS ",\"cccd\":\"001099000003\"}"), ""), INVALID_REQUEST);
	is_fault(exchange_foreign(w, "desk", signed_by(w, s, "JWT", "{" TAX_CLAIMS ",\"cccd\":\"1099000002\"}"), ""), INVALID_REQUEST);
	is_fault(exchange_foreign(w, "desk", signed_by(w, s, "JWT", "{" TAX_CLAIMS ",\"cccd\":1099000002}"), ""), INVALID_REQUEST);
	is_fault(exchange_foreign(w, "desk", signed_by(w, s, "JWT", "{" TAX_CLAIMS "}"), ""), INVALID_REQUEST);
	assert_true(active(w, "land", t));
	disable_person(w);
	assert_false(active(w, "land", t));
	is_fault(exchange_foreign(w, "desk", signed_by(w, s, "JWT", "{" TAX_CLAIMS ",\"cccd\":\"001099000002\"}"), ""), INVALID_REQUEST);
}

TEST(another_issuers_token_with_one_thing_wrong_is_not_exchanged)
{
	struct world *w = agencies();
	struct signer *s = trust_tax(w, TAX TAX_RULES), *namesake = tax_key(w, "ES256");
	static const char *const WRONG[] = {
		"{\"iss\":\"https://taxi.example\",\"sub\":\"u1\",\"aud\":\"https://id.example\",\"exp\":1800000060}", "{\"sub\":\"u1\",\"aud\":\"https://id.example\",\"exp\":1800000060}",
		"{\"iss\":\"https://tax.example\",\"sub\":\"u1\",\"aud\":\"https://else.example\",\"exp\":1800000060}",
		"{\"iss\":\"https://tax.example\",\"sub\":\"u1\",\"aud\":\"https://id.example\",\"exp\":1799999000}",
		"{" TAX_CLAIMS ",\"act\":{\"sub\":\"desk\"}}", "{" TAX_CLAIMS ",\"may_act\":{\"sub\":\"desk\"}}", "{" TAX_CLAIMS ",\"may_act\":\"desk\"}",
		"{" TAX_CLAIMS ",\"cnf\":{\"jkt\":\"x\"}}", "{" TAX_CLAIMS ",\"cnf\":7}", "{" TAX_CLAIMS ",\"events\":{}}",
	};
	is_tokens(w, exchange_foreign(w, "desk", signed_by(w, s, "JWT", "{" TAX_CLAIMS "}"), ""));
	is_tokens(w, exchange_foreign(w, "desk", signed_by(w, s, "at+jwt", "{" TAX_CLAIMS ",\"may_act\":{\"iss\":\"https://id.example\",\"sub\":\"desk\"}}"), ""));
	for (size_t i = 0; i < sizeof WRONG / sizeof *WRONG; i++) {
		struct res *rs = exchange_foreign(w, "desk", signed_by(w, s, "JWT", WRONG[i]), "");
		if (rs->status != 400 || !strstr(rs->body.p, "\"invalid_request\""))
			fail_msg("%s: %d %s", WRONG[i], rs->status, rs->body.p);
	}
	struct str good = signed_by(w, s, "JWT", "{" TAX_CLAIMS ",\"scope\":\"docs:read\"}");
	is_fault(exchange_foreign(w, "desk", signed_by(w, namesake, "JWT", "{" TAX_CLAIMS "}"), ""), INVALID_REQUEST);
	is_fault(exchange_foreign(w, "land", good, ""), INVALID_REQUEST);
	is_fault(exchange_foreign(w, "desk", good, "&scope=land:read"), INVALID_SCOPE);
	is_tokens(w, exchange_foreign(w, "desk", good, "&scope=docs:read"));
	is_fault(exchange(w, "desk", good, "land"), INVALID_REQUEST);            /* no access token of ours */
	is_fault(asks(w, "desk", str_fmt(w->a, "&subject_token=%s&subject_token_type=" TYPE "jwt&actor_token=%s&actor_token_type=" TYPE "jwt&audience=land",
		good.p, good.p).p), INVALID_REQUEST);                            /* nor an actor */
}

static struct str published;
static atomic_int asked;

static bool serve_jwks(struct arena *a, const struct fake_request *rq)
{
	(void)a;
	atomic_fetch_add(&asked, 1);
	return fake_answer(rq->fd, 200, S("application/json"), published);
}

TEST(keys_of_an_issuer_are_fetched_once_and_looked_for_again_when_one_is_unknown)
{
	struct world *w = agencies();
	struct fake *site = fake_open(serve_jwks, NULL);
	struct signer *s = trust_tax(w, TAX TAX_RULES), *next = tax_key(w, "RS256");
	published = issuer(w)->jwks;
	issuer(w)->jwks_uri = str_fmt(w->a, "http://127.0.0.1:%d/jwks", fake_port(site));
	w->conf.outgoing_networks = S("127.0.0.0/8");
	fine(fetch_open(w->a, &w->house.fetch));
	is_tokens(w, exchange_foreign(w, "desk", signed_by(w, s, "JWT", "{" TAX_CLAIMS "}"), ""));
	is_tokens(w, exchange_foreign(w, "desk", signed_by(w, s, "JWT", "{" TAX_CLAIMS "}"), ""));
	assert_int_equal(atomic_load(&asked), 1);
	struct signer *unknown;
	fine(signer_local_new(w->a, S("ES256"), S("tax-2"), &unknown));
	arena_defer(w->a, drop_signer, unknown);
	for (int i = 0; i < 20; i++)
		is_fault(exchange_foreign(w, "desk", signed_by(w, unknown, "JWT", "{" TAX_CLAIMS "}"), ""), INVALID_REQUEST);
	pass(w, REMOTE_AGAIN);
	published = str_fmt(w->a, "{\"keys\":[%s,%s]}", signer_public_jwk(unknown).p, signer_public_jwk(next).p);
	is_tokens(w, exchange_foreign(w, "desk", signed_by(w, unknown, "JWT", "{" TAX_CLAIMS "}"), ""));
	is_tokens(w, exchange_foreign(w, "desk", signed_by(w, next, "JWT", "{" TAX_CLAIMS "}"), ""));
	is_fault(exchange_foreign(w, "desk", signed_by(w, s, "JWT", "{" TAX_CLAIMS "}"), ""), INVALID_REQUEST);
	assert_int_equal(atomic_load(&asked), 2);
	fetch_close(w->house.fetch);
	fake_close(site);
}

/* What a request spends must not be spent while it waits for an issuer's keys: client assertions and proofs are good once. */
TEST(a_request_that_waited_for_keys_has_not_spent_its_assertion_or_proof)
{
	struct world *w = agencies();
	struct fake *site = fake_open(serve_jwks, NULL);
	struct signer *s = trust_tax(w, TAX "[exchange a]\nclient = bureau\nsubject = issuer:tax\naudience = land\nmode = impersonation\n"), *key = holder(w, "ES256");
	published = issuer(w)->jwks;
	issuer(w)->jwks_uri = str_fmt(w->a, "http://127.0.0.1:%d/jwks", fake_port(site));
	w->conf.outgoing_networks = S("127.0.0.0/8");
	fine(fetch_open(w->a, &w->house.fetch));
	one_with(w, "bureau", "private_key_jwt", str_fmt(w->a, SERVICE ",\"jwks\":{\"keys\":[%s]}", signer_public_jwk(w->bank_key).p).p);
	struct str assertion = signed_by(w, w->bank_key, "JWT", "{\"iss\":\"bureau\",\"sub\":\"bureau\",\"aud\":\"https://id.example\",\"exp\":1800000060,\"jti\":\"1\"}");
	struct res *rs = ask(w, "POST", "/token", proof_line(w, key, (struct proof_wish){ 0 }).p,
		str_fmt(w->a, EXCHANGE "&client_assertion_type=urn:ietf:params:oauth:client-assertion-type:jwt-bearer&client_assertion=%s&audience=land"
			"&subject_token_type=" TYPE "jwt&subject_token=%s", assertion.p, signed_by(w, s, "JWT", "{" TAX_CLAIMS "}").p).p);
	assert_string_equal(json_text(json_object_get(claims_of(w, token_of(w, rs)), "cnf"), "jkt").p, jkt_of(w, key).p);
	assert_str(told(w, rs, "token_type"), "DPoP");
	fetch_close(w->house.fetch);
	fake_close(site);
}

/* ---- an independent verifier --------------------------------------------------------------------------------------------------------- */

static bool libjwt_verifies(struct world *w, struct str token, const char *alg)
{
	struct keyring *ring;
	struct jws t;
	jwt_t *jwt = NULL;
	fine(keys_now(&w->house, w->a, &ring));
	fine(jws_read(w->a, token, &t));
	assert_string_equal(t.alg.p, alg);
	struct buf pem = buf_new(w->a, 1024, 4096);
	struct str text = b64(w->a, key_spki(keyring_key(ring, t.kid, w->now), w->a));
	buf_str(&pem, S("-----BEGIN PUBLIC KEY-----\n"));
	for (size_t i = 0; i < text.n; i += 64)
		buf_fmt(&pem, "%.64s\n", text.p + i);
	buf_str(&pem, S("-----END PUBLIC KEY-----\n"));
	bool good = jwt_decode(&jwt, token.p, (const unsigned char *)pem.p, (int)pem.n) == 0 && jwt_get_alg(jwt) == jwt_str_alg(alg);
	jwt_free(jwt);
	return good;
}

/* Debian 12's libjwt takes no typ but JWT, so that it is shown ID tokens, and the claims of an access token under that name. */
TEST(libjwt_verifies_what_we_mint)
{
	struct world *w = agencies();
	assert_true(libjwt_verifies(w, told(w, citizen_tokens(w), "id_token"), "RS256"));
	struct str body = str_fmt(w->a, "grant_type=authorization_code&code=%s&redirect_uri=https%%3A%%2F%%2Fpost.example%%2Fcb&client_id=post&client_secret=%s",
		consent(w, "post", "openid", "").p, enc(w, secret_of(w, "post")).p);
	assert_true(libjwt_verifies(w, told(w, ask(w, "POST", "/token", "", body.p), "id_token"), "ES256"));
	struct str t = token_of(w, exchange(w, "desk", citizen(w), "land"));
	assert_true(libjwt_verifies(w, ours(w, "JWT", json_dump(w->a, claims_of(w, t)).p), "ES256"));
	assert_false(libjwt_verifies(w, t, "ES256"));
}
