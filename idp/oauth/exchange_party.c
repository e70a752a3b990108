#include "exchange_party.h"
#include "foreign.h"
#include "issuers.h"
#include "jws.h"
#include "oidc.h"

typedef err reader(struct req *rq, const struct client *c, struct str token, struct party *out);

/* ---- by kind --------------------------------------------------------------------------------------------------------- */

static err read_access(struct req *rq, const struct client *c, struct str token, struct party *out)
{
	(void)c;
	struct access t;
	TRY(access_read(rq, token, &t));
	*out = (struct party){
		.kind = t.grant_id.n ? S("access_token") : S("client_token"), .sub = t.sub, .audience = t.audience, .scope = t.scope, .acr = t.acr,
		.amr = t.amr, .act = t.act, .may_act = t.may_act, .confirm = t.confirm, .carries = true, .auth_time = t.auth_time, .exp = t.exp,
		.rests = access_rests(rq->a, &t),
	};
	return OK;
}

/* An ID token says that a person is signed in, and to whom: it is good for nothing when that is over, and for no more than what was granted
 * with it. */
static err read_our_id_token(struct req *rq, struct str token, struct party *out)
{
	json_t *claims;
	const struct str none = S("");
	TRY(id_token_read(rq, token, &claims));
	TRY(jwt_check_times(rq->a, claims, rq->now, 0, S("iss sub aud exp iat sid")));
	*out = (struct party){
		.kind = S("id_token"), .sub = json_text(claims, "sub"), .audience = json_text(claims, "aud"), .scope = none,
		.acr = json_text(claims, "acr"), .amr = strs_join(rq->a, json_strs(rq->a, claims, "amr"), S(" ")), .act = none, .may_act = none,
		.confirm = none, .carries = true, .rests.client_id = json_text(claims, "aud"),
	};
	json_int(claims, "exp", &out->exp);
	TRY(store_login_live(rq->house->store, rq->a, json_text(claims, "sid"), out->audience, out->sub, rq->now, &out->grant));
	if (out->grant)
		out->scope = out->grant->scope;
	return OK;
}

/* An access token is ours (section 3: "issued by the given authorization server"); a JWT and an ID token may be of somebody else. */
static err read_jwt(struct req *rq, const struct client *c, struct str token, struct party *out)
{
	struct str iss, kid;
	TRY(foreign_peek(rq->a, token, &iss, &kid));
	return str_eq(iss, rq->house->issuer) ? read_access(rq, c, token, out) : issuer_subject(rq, c, token, out);
}

static err read_id_token(struct req *rq, const struct client *c, struct str token, struct party *out)
{
	struct str iss, kid;
	TRY(foreign_peek(rq->a, token, &iss, &kid));
	return str_eq(iss, rq->house->issuer) ? read_our_id_token(rq, token, out) : issuer_subject(rq, c, token, out);
}

/* RFC 8693 section 3. A refresh token is none of these: it is a secret between its client and us, and whoever has it rightly can refresh
 * and exchange what comes; taken here it would pass by rotation, and with it by the discovery of theft. */
static const struct type { struct str name; reader *read; bool acts; } TYPES[] = {
	{ S("urn:ietf:params:oauth:token-type:access_token"), read_access,   true },
	{ S("urn:ietf:params:oauth:token-type:jwt"),          read_jwt,      true },
	{ S("urn:ietf:params:oauth:token-type:id_token"),     read_id_token, false },
};

static const struct type *type_named(struct str name)
{
	for (size_t i = 0; i < sizeof TYPES / sizeof *TYPES; i++)
		if (str_eq(TYPES[i].name, name))
			return &TYPES[i];
	return NULL;
}

/* ---- from the form ------------------------------------------------------------------------------------------------------ */

/* RFC 8693 section 2.2.2: "if either the subject_token or actor_token are invalid for any reason […] the value of the error parameter
 * MUST be the invalid_request error code" */
static err told(struct req *rq, const char *which, err e)
{
	return !e.kind || e.kind->status >= 500 || e.kind == &PARKED ? e : fault(rq->a, &INVALID_REQUEST, "%s: %s", which, e.why);
}

static err read_party(struct req *rq, const char *which, const char *which_type, const struct client *c, bool acting, struct party *out)
{
	struct str token = form(rq, which), name = form(rq, which_type);
	const struct type *type = type_named(name);
	if (str_empty(token))
		return fault(rq->a, &INVALID_REQUEST, "no %s", which);
	if (!type || (acting && !type->acts))
		return fault(rq->a, &INVALID_REQUEST, "%s '%.80s' is not taken", which_type, name.p);
	return told(rq, which, type->read(rq, c, token, out));
}

err party_subject(struct req *rq, const struct client *c, struct party *out)
{
	return read_party(rq, "subject_token", "subject_token_type", c, false, out);
}

err party_actor(struct req *rq, const struct client *c, struct party *out)
{
	return read_party(rq, "actor_token", "actor_token_type", c, true, out);
}

/* ---- whether they live --------------------------------------------------------------------------------------------------- */

/* What was looked up while it was read has its grant already, or is dead. */
static bool asked_already(const struct party *p) { return str_is(p->kind, "id_token") || p->iss.n; }

err parties_live(struct req *rq, struct party *const *parties, size_t n)
{
	struct rests r[2];
	struct grant_row *grants[2];
	struct party *asked[2];
	enum liveness live[2];
	size_t k = 0;
	for (size_t i = 0; i < n; i++)
		if (!asked_already(parties[i])) {
			asked[k] = parties[i];
			r[k++] = parties[i]->rests;
		} else if (!parties[i]->grant) {
			return fault(rq->a, &INVALID_REQUEST, "the %s tells of a login that has ended", parties[i]->kind.p);
		}
	if (!k)
		return OK;
	TRY(store_rests_live(rq->house->store, rq->a, r, k, rq->now, live, grants));
	for (size_t i = 0; i < k; i++) {
		if (live[i] != TOKEN_LIVE)
			return fault(rq->a, &INVALID_REQUEST, "token %s was revoked, or what it rests on has ended", r[i].jti.p);
		asked[i]->grant = grants[i];
	}
	return OK;
}
