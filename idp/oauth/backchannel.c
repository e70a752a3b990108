#include "ciba.h"
#include "assurance.h"
#include "audit_of.h"
#include "hash.h"
#include "jws.h"
#include "name.h"
#include "number.h"
#include "oidc.h"
#include "profile.h"
#include "rand.h"
#include "remote.h"
#include "settings.h"

/* The backchannel authentication endpoint: OpenID CIBA Core section 7, FAPI-CIBA section 5.2.2. */

enum { SHORTEST = 10, LONGEST = 600, MESSAGE_MOST = 100, TOKEN_MOST = 1024, REQUEST_LIVES = 3600 };

/* A request while it is being checked. */
struct call {
	struct req *rq;
	const struct client *c;
	struct params params;                /* of the form, or of the signed request in its place */
	struct decoupled_row row;
	struct sim sim;
	struct str auth_req_id, message, notification_token;
	int64_t seconds;                     /* that it lives */
	struct str jti;                      /* of a signed request; "" */
	int64_t exp;
};
typedef err check_of_call(struct call *k);

static struct str given(const struct call *k, const char *name) { return param_of(&k->params, name); }

static err refuse(const struct call *k, const struct err_kind *kind, const char *why, struct str what)
{
	return fault(k->rq->a, kind, "%s '%.80s'", why, what.p);
}

/* ---- a signed request: section 7.1.1 ---------------------------------------------------------------------------------- */

static const char *const PARAMETERS[] = {
	"scope", "client_notification_token", "acr_values", "login_hint_token", "id_token_hint", "login_hint", "binding_message", "user_code", "requested_expiry",
};
enum { PARAMETERS_N = sizeof PARAMETERS / sizeof *PARAMETERS };

/* What a client signed for us, by one of its keys and one of `algs`; nothing of its claims is checked yet. */
static err read_jwt(struct call *k, struct str token, struct str algs, json_t **claims)
{
	struct jws jws;
	const struct key_set *keys;
	TRY(jws_read(k->rq->a, token, &jws));
	TRY(client_keys(k->rq, k->c, jws.kid, &keys));
	struct key *key = key_set_find(keys, jws.kid, jws.alg);
	if (!key)
		return fault(k->rq->a, &INVALID_REQUEST, "no key of %s fits", k->c->id.p);
	TRY(jws_verify(k->rq->a, token, key, algs, S(""), claims));
	if (!str_eq(json_text(*claims, "iss"), k->c->id))
		return fault(k->rq->a, &INVALID_REQUEST, "iss is not %s", k->c->id.p);
	if (!strs_has(json_strs(k->rq->a, *claims, "aud"), k->rq->house->issuer))
		return fault(k->rq->a, &INVALID_REQUEST, "the audience is not us");
	return OK;
}

/* "The claims aud, iss, exp, iat, nbf, jti" are all REQUIRED; FAPI-CIBA section 5.2.2 item 5 and FAPI 1.0 Advanced section 5.2.2 items 13
 * and 17: exp at most 60 minutes after nbf, nbf at most 60 minutes ago. */
static err check_times(struct call *k, const json_t *claims)
{
	struct req *rq = k->rq;
	int64_t nbf = 0, skew = k->c->rules->skew;
	TRY(jwt_check_times(rq->a, claims, rq->now, skew, S("iss aud exp iat nbf jti")));
	if (!json_int(claims, "exp", &k->exp) || k->exp > rq->now + REQUEST_LIVES + skew)
		return fault(rq->a, &INVALID_REQUEST, "exp is too far ahead");
	if (!json_int(claims, "nbf", &nbf) || nbf < rq->now - REQUEST_LIVES - skew)
		return fault(rq->a, &INVALID_REQUEST, "nbf is too long ago");
	k->jti = json_text(claims, "jti");
	return k->jti.n && k->jti.n <= 512 ? OK : fault(rq->a, &INVALID_REQUEST, "no usable jti");
}

/* requested_expiry may be a number: section 7.1, "a positive integer", and a string as well: section 7.1.1 */
static err take_claims(struct call *k, const json_t *claims)
{
	struct arena *a = k->rq->a;
	if (json_object_get(claims, "sub"))           /* what could authenticate the client is no request (RFC 9101 section 10.8) */
		return fault(a, &INVALID_REQUEST, "a sub in it");
	k->params = (struct params){ .v = make_n(a, struct param, PARAMETERS_N) };
	for (size_t i = 0; i < PARAMETERS_N; i++) {
		struct str text;
		int64_t number;
		if (!json_object_get(claims, PARAMETERS[i]))
			continue;
		if (json_int(claims, PARAMETERS[i], &number))
			text = str_fmt(a, "%lld", (long long)number);
		else if (!json_str(claims, PARAMETERS[i], &text))
			return fault(a, &INVALID_REQUEST, "%s is no string", PARAMETERS[i]);
		k->params.v[k->params.n++] = (struct param){ str_of(PARAMETERS[i]), text };
	}
	return OK;
}

static err read_signed(struct call *k, struct str token)
{
	json_t *claims;
	for (size_t i = 0; i < PARAMETERS_N; i++)     /* "MUST NOT be present outside of the JWT" */
		if (param_there(&k->rq->form, PARAMETERS[i]))
			return fault(k->rq->a, &INVALID_REQUEST, "%s beside a signed request", PARAMETERS[i]);
	TRY(read_jwt(k, token, k->c->ciba_request_alg, &claims));
	TRY(check_times(k, claims));
	return take_claims(k, claims);
}

/* Whatever is wrong with it is invalid_request (PROTOCOL.md 2.7); that we cannot know is not. A client that registered an algorithm signs
 * every request. */
static err check_signed(struct call *k)
{
	struct str token = form(k->rq, "request");
	if (str_empty(token) != str_empty(k->c->ciba_request_alg))
		return refuse(k, &INVALID_REQUEST, token.n ? "no request is signed by" : "an unsigned request from", k->c->id);
	if (str_empty(token))
		return OK;
	err e = read_signed(k, token);
	return e.kind && e.kind->status < 500 ? fault(k->rq->a, &INVALID_REQUEST, "request: %s", e.why) : e;
}

/* ---- what is asked for: section 7.1 --------------------------------------------------------------------------------------- */

/* scope REQUIRED, "MUST contain the openid scope value" */
static err check_scope(struct call *k)
{
	TRY(scope_grantable(k->rq->a, k->c, given(k, "scope"), &k->row.scope));
	return word_in(k->row.scope, S("openid")) ? OK : refuse(k, &INVALID_SCOPE, "no openid in", given(k, "scope"));
}

/* acr_values is a wish; what the client is registered with is none */
static err check_acr(struct call *k)
{
	struct str asked = strs_join(k->rq->a, str_words(k->rq->a, given(k, "acr_values")), S(" "));
	k->row.acr_values = asked.n ? asked : k->c->default_acr_values;
	if (!acr_reachable((struct strs){ &S("sim"), 1 }, k->c->minimum_acr))
		return refuse(k, &UNMET_AUTHENTICATION, "no phone reaches the floor of", k->c->id);
	return OK;
}

/* "tel:+84…;number=…": a phone number alone must not start a push (SIGNATURES.md 1.3) */
static bool both_numbers(struct call *k, struct str hint)
{
	static const struct str TEL = { "tel:", 4 }, NUMBER = { ";number=", 8 };
	const char *mid = hint.n ? strstr(hint.p, NUMBER.p) : NULL;
	if (!mid || !str_starts(hint, TEL))
		return false;
	struct str phone = str_dup(k->rq->a, hint.p + TEL.n, (size_t)(mid - hint.p) - TEL.n), number = str_from(k->rq->a, hint, (size_t)(mid - hint.p) + NUMBER.n);
	return phone_canonical(k->rq->a, phone, &k->sim.msisdn) && person_number_canonical(k->rq->a, number, &k->sim.number);
}

static struct str opened(struct req *rq, const struct person_row *p, const char *what, struct str sealed)
{
	struct str plain;
	return sealed.n && seal_open(rq->a, rq->house->secrets.seal, str_fmt(rq->a, "person:%s:%s", p->id.p, what), sealed, &plain) ? plain : S("");
}

/* Somebody who was this client's before: by the subject that it knows them by. */
static err known_subject(struct call *k, struct str sub)
{
	struct person_row *p;
	TRY(store_person_by_sub(k->rq->house->store, k->rq->a, k->c->id, sub, &p));
	if (!p)
		return refuse(k, &UNKNOWN_USER_ID, "nobody was told of to this client as", sub);
	k->sim.msisdn = opened(k->rq, p, "phone", p->phone_sealed);
	k->sim.number = opened(k->rq, p, "number", p->number_sealed);
	return k->sim.msisdn.n && k->sim.number.n ? OK : refuse(k, &UNKNOWN_USER_ID, "no phone is known of", p->id);
}

static err by_login_hint(struct call *k, struct str hint)
{
	if (hint.n > 256 || !str_printable(hint))
		return refuse(k, &UNKNOWN_USER_ID, "login_hint of", k->c->id);
	if (both_numbers(k, hint))
		return OK;
	return hint.n == 43 ? known_subject(k, hint) : refuse(k, &UNKNOWN_USER_ID, "a login_hint that is neither numbers nor a subject, of", k->c->id);
}

static err by_id_token(struct call *k, struct str token)
{
	struct id_hint who;
	TRY(id_hint_read(k->rq, token, &who));
	if (!str_eq(who.client_id, k->c->id))
		return refuse(k, &INVALID_REQUEST, "id_token_hint was issued to", who.client_id);
	return known_subject(k, who.sub);
}

/* A JWT by the client itself, for what must not stand in its logs: iss, aud, exp, and login_hint as it would stand outside. */
static err by_hint_token(struct call *k, struct str token)
{
	json_t *claims;
	int64_t exp = 0;
	TRY(read_jwt(k, token, k->c->rules->assertion_algs, &claims));
	if (json_int(claims, "exp", &exp) && exp <= k->rq->now)
		return refuse(k, &EXPIRED_LOGIN_HINT_TOKEN, "login_hint_token of", k->c->id);
	TRY(jwt_check_times(k->rq->a, claims, k->rq->now, k->c->rules->skew, S("iss aud exp")));
	return by_login_hint(k, json_text(claims, "login_hint"));
}

/* "one (and only one) of these hints" */
static err check_hint(struct call *k)
{
	static const struct { const char *name; err (*read)(struct call *, struct str); } HINTS[] = {
		{ "login_hint", by_login_hint }, { "id_token_hint", by_id_token }, { "login_hint_token", by_hint_token },
	};
	size_t found = 0, n = 0;
	for (size_t i = 0; i < sizeof HINTS / sizeof *HINTS; i++)
		if (given(k, HINTS[i].name).n)
			found = i, n++;
	if (n != 1)
		return refuse(k, &INVALID_REQUEST, "not exactly one hint, from", k->c->id);
	err e = HINTS[found].read(k, given(k, HINTS[found].name));
	bool told = !e.kind || e.kind->status >= 500 || e.kind == &UNKNOWN_USER_ID || e.kind == &EXPIRED_LOGIN_HINT_TOKEN;
	return told ? e : fault(k->rq->a, &INVALID_REQUEST, "%s: %s", HINTS[found].name, e.why);
}

/* Shown on the phone between quotation marks, in its plain letters: what cannot be shown so, or moves in the phone's alphabet
 * (SIGNATURES.md 1.1), or would end the quotation, is refused rather than changed. */
static err check_message(struct call *k)
{
	struct str message = given(k, "binding_message"), nfc;
	k->message = S("");
	if (str_empty(message))
		return OK;
	if (message.n > 3 * MESSAGE_MOST || !str_utf8(message) || name_nfc(k->rq->a, message, &nfc).kind || strpbrk(message.p, "?\"{}[]\\^~|`@$_"))
		return refuse(k, &INVALID_BINDING_MESSAGE, "binding_message from", k->c->id);
	k->message = name_plain(k->rq->a, nfc);
	if (k->message.n > MESSAGE_MOST || strchr(k->message.p, '?'))
		return refuse(k, &INVALID_BINDING_MESSAGE, "binding_message from", k->c->id);
	return OK;
}

static err check_expiry(struct call *k)
{
	struct str asked = given(k, "requested_expiry");
	k->seconds = k->rq->house->conf->ciba_lives;
	if (asked.n && !str_int(asked, 1, INT32_MAX, &k->seconds))
		return refuse(k, &INVALID_REQUEST, "requested_expiry", asked);
	k->seconds = k->seconds < SHORTEST ? SHORTEST : k->seconds > LONGEST ? LONGEST : k->seconds;
	return OK;
}

/* "REQUIRED if the Client is registered to use Ping or Push modes": RFC 6750 section 2.1 syntax, at most 1024 characters */
static err check_notification_token(struct call *k)
{
	static const char ALPHABET[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+/=";
	k->notification_token = given(k, "client_notification_token");
	if (str_is(k->c->ciba_mode, "poll"))
		return OK;
	if (str_empty(k->notification_token) || k->notification_token.n > TOKEN_MOST || strspn(k->notification_token.p, ALPHABET) != k->notification_token.n)
		return refuse(k, &INVALID_REQUEST, "no usable client_notification_token from", k->c->id);
	return OK;
}

/* A signed request is good once. Last, for what comes before may have to wait and begin again. */
static err check_replay(struct call *k)
{
	struct req *rq = k->rq;
	bool first = true;
	if (k->jti.n)
		TRY(store_once(rq->house->store, rq->a, S("ciba-request"), hash_of(rq->a, str_fmt(rq->a, "%s\n%s", k->c->id.p, k->jti.p)),
		               k->exp + k->c->rules->skew + 1, rq->now, &first));
	return first ? OK : refuse(k, &INVALID_REQUEST, "jti was used before by", k->c->id);
}

static check_of_call *const CHECKS_OF_CALL[] = {
	check_signed, check_scope, check_acr, check_message, check_expiry, check_notification_token, check_hint, check_replay, NULL,
};

/* ---- asking the phone -------------------------------------------------------------------------------------------------------- */

/* The citizen reads who asks and what for; the application's message ties what they read to what they see or hear at its other end. */
static struct str what_phone_shows(const struct call *k)
{
	struct arena *a = k->rq->a;
	struct str name = name_plain(a, k->c->name);
	if (str_empty(k->message))
		return str_fmt(a, "%.60s: xac nhan dang nhap. Chi xac nhan neu Ong/Ba dang yeu cau.", name.p);
	return str_fmt(a, "%.60s: \"%s\". Chi xac nhan neu Ong/Ba dang yeu cau.", name.p, k->message.p);
}

/* A client that asks anew for the same person means it instead: the earlier request is refused. Anybody else's stays. */
static err make_way(struct call *k, struct str txn)
{
	struct req *rq = k->rq;
	struct decoupled_row *earlier;
	struct sim s;
	bool decided;
	TRY(store_decoupled_find(rq->house->store, rq->a, CIBA.name, txn, &earlier));
	if (!earlier || !str_eq(earlier->client_id, k->c->id))
		return OK;
	struct audit ev = audit_of(rq, "ciba.decided");
	ev.client_id = k->c->id;
	ev.outcome = S("superseded");
	TRY(store_decoupled_decide(rq->house->store, rq->a, CIBA.name, txn, rq->now, &(struct decision){ .refusal = ev.outcome }, &ev, &decided));
	TRY(ciba_open(rq, earlier, &s));
	return sim_let_go(rq, &s);
}

/* SEC-32: one open request a person. Who asks is an authenticated client, which is what it is counted by besides the person. */
static err check_open(struct call *k)
{
	struct sim_open open;
	bool over;
	TRY(sim_over_limit(k->rq, &k->sim, k->c->id, false, &over));
	if (over)
		return fault(k->rq->a, &TOO_MANY_REQUESTS, "more requests for one person, phone or client than are allowed");
	TRY(sim_open(k->rq, &k->sim, k->sim.deadline - k->rq->now, &open));
	if (open.first)
		return OK;
	TRY(make_way(k, open.other));
	TRY(sim_open(k->rq, &k->sim, k->sim.deadline - k->rq->now, &open));
	return open.first ? OK : fault(k->rq->a, &ACCESS_DENIED, "another request is open for this person");
}

/* What is signed names this request alone: the client, what it said, what it is for, and until when. */
static err fill(struct call *k)
{
	struct req *rq = k->rq;
	int64_t answer_by = k->seconds < rq->house->conf->sim_timeout ? k->seconds : rq->house->conf->sim_timeout;
	k->auth_req_id = rand_token(rq->a);
	k->row.hash = hash_of(rq->a, k->auth_req_id);
	k->sim.txn = k->row.handle = rand_token(rq->a);
	k->sim.sent_at = rq->now;
	k->sim.deadline = rq->now + answer_by;
	k->sim.code = S("");
	const struct str fields[] = { k->c->id, k->row.hash, k->message, k->row.scope, str_fmt(rq->a, "%lld", (long long)k->sim.deadline) };
	TRY(sim_hash(rq, &k->sim, S("motid-ciba/1"), fields, sizeof fields / sizeof *fields));
	k->row.kind = CIBA.name;
	k->row.client_id = k->c->id;
	k->row.created_at = rq->now;
	k->row.expires_at = rq->now + k->seconds;
	return ciba_seal(rq, k->row.hash, &k->sim, &k->row.sealed);
}

static err keep_and_ask(struct call *k)
{
	struct req *rq = k->rq;
	bool may;
	struct audit ev = audit_of(rq, "ciba.asked");
	ev.client_id = k->c->id;
	ev.detail = str_fmt(rq->a, "{\"txn\":\"%s\"}", k->sim.txn.p);
	TRY(store_decoupled_put(rq->house->store, rq->a, &k->row, &ev));
	TRY(sim_prepare(rq, &k->sim, k->c->id, k->sim.deadline - rq->now, &may));
	if (!may)
		return OK;
	struct ping *ping = ping_new(rq->house, k->c, k->auth_req_id, k->notification_token);
	err e = sim_start(rq, &k->sim, what_phone_shows(k), ping ? ping_told : NULL, ping);
	if (e.kind)
		ping_free(ping);
	return e;
}

/* section 7.3 */
static err answer(const struct call *k, struct res *rs)
{
	struct str json;
	struct jw w = jw_new(k->rq->a, 1024);
	jw_object(&w, NULL);
	jw_str(&w, "auth_req_id", k->auth_req_id);
	jw_int(&w, "expires_in", k->seconds);
	if (!str_is(k->c->ciba_mode, "push"))
		jw_int(&w, "interval", POLL_INTERVAL);
	jw_end(&w);
	TRY(jw_done(&w, &json));
	res_json(rs, 200, json);
	return OK;
}

static err backchannel(struct req *rq, struct res *rs, const struct client **c)
{
	TRY(client_authenticate(rq, c));
	TRY(decoupled_allowed(rq, *c, &CIBA));
	if (!rq->house->mobile)
		return fault(rq->a, &UNAUTHORIZED_CLIENT, "no operator is configured, so no phone can be asked");
	struct call k = { .rq = rq, .c = *c, .params = rq->form, .jti = S("") };
	for (check_of_call *const *check = CHECKS_OF_CALL; *check; check++)
		TRY((*check)(&k));
	TRY(fill(&k));
	TRY(check_open(&k));
	err e = keep_and_ask(&k);
	if (e.kind) {
		TRY(sim_let_go(rq, &k.sim));
		return e;
	}
	return answer(&k, rs);
}

/* POST /bc-authorize */
static err ep_backchannel(struct req *rq, struct res *rs)
{
	const struct client *c = NULL;
	err e = backchannel(rq, rs, &c);
	return refusal_audited(rq, "ciba.refused", c, e);
}

const struct route CIBA_ROUTES[] = {
	{ "POST", "/bc-authorize", ep_backchannel, FAULTS_JSON, 0 },
	{ 0 },
};
