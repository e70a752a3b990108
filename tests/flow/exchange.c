#include "world.h"
#include "audit_of.h"
#include "jws.h"
#include "keys.h"
#include "oauth.h"
#include "signer.h"

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
		if (!strcmp(s->name, "exchange"))
			table[n++] = *s;
	w->conf.exchanges = (struct conf_list){ 0 };
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
