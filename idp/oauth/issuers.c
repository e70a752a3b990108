#include "issuers.h"
#include "assurance.h"
#include "code.h"
#include "foreign.h"
#include "hash.h"
#include "number.h"
#include "oidc.h"
#include "rand.h"
#include "remote.h"
#include "settings.h"

const struct issuer_conf *issuer_of(const struct house *h, struct str iss)
{
	const struct issuer_conf *all = h->conf->issuers.items;
	for (size_t i = 0; i < h->conf->issuers.n; i++)
		if (str_eq(all[i].iss, iss))
			return &all[i];
	return NULL;
}

static err keys_of(struct req *rq, const struct issuer_conf *i, struct str kid, const struct key_set **out)
{
	json_t *o;
	if (i->jwks_uri.n)
		return keys_at(rq, i->jwks_uri, kid, out);
	struct key_set *set = make(rq->a, struct key_set);
	*out = set;
	TRY(json_read_object(rq->a, i->jwks, &o));
	return key_set_read(rq->a, o, set);
}

err issuer_fetch(struct req *rq, struct str token)
{
	struct str iss, kid;
	const struct key_set *keys;
	const struct issuer_conf *i = foreign_peek(rq->a, token, &iss, &kid).kind ? NULL : issuer_of(rq->house, iss);
	err e = i ? keys_of(rq, i, kid, &keys) : OK;
	return e.kind == &PARKED ? e : OK;
}

/* ---- whom it speaks of -------------------------------------------------------------------------------------------------- */

static err person_by_number(struct req *rq, const struct issuer_conf *i, const json_t *claims, struct person_row **person)
{
	struct str number;
	unsigned char mac[SHA256_SIZE];
	if (!person_number_canonical(rq->a, json_text(claims, i->number_claim.p), &number))
		return fault(rq->a, &INVALID_TOKEN, "a token of %s without a number in %s", i->name.p, i->number_claim.p);
	hmac256((struct bytes){ rq->house->secrets.find, sizeof rq->house->secrets.find }, number.p, number.n, mac);
	TRY(store_person_by_number(rq->house->store, rq->a, hex(rq->a, (struct bytes){ mac, sizeof mac }), person));
	if (!*person || (*person)->disabled_at)
		return fault(rq->a, &INVALID_TOKEN, "a token of %s for somebody who is not here", i->name.p);
	return OK;
}

/* The grant that begins here: what comes of the token ends when its person, its client or it itself does. */
static err begin_grant(struct req *rq, const struct client *c, const struct issuer_conf *i, const json_t *claims, struct grant_row *g)
{
	struct person_row *person = NULL;
	const struct str none = S("");
	*g = (struct grant_row){
		.id = rand_id(rq->a, rq->now_ms), .client_id = c->id, .person_id = none, .sid = none, .scope = none, .acr = none, .amr = none, .nonce = none,
		.claims = none, .resources = none, .details = none, .act = none, .created_at = rq->now,
	};
	if (!str_is(i->subject, "number")) {
		g->sub = subject_of_stranger(rq->house, rq->a, c, i->iss, json_text(claims, "sub"));
		return OK;
	}
	TRY(person_by_number(rq, i, claims, &person));
	g->person_id = person->id;
	g->sub = subject_for(rq->house, rq->a, c, person->id);
	return OK;
}

/* ---- what it is worth ----------------------------------------------------------------------------------------------------- */

/* What it says in our words, and never more than the operator gives its issuer; anything else is the least there is. */
static struct str acr_of(const struct issuer_conf *i, const json_t *claims)
{
	struct str said = json_text(claims, "acr");
	const struct assurance *most = assurance_of(i->level);
	if (!assurance_of(said))
		return ASSURANCES[0].acr;
	return word_in(most->covers, said) ? said : most->acr;
}

static err check_unsupported(struct req *rq, const struct issuer_conf *i, const json_t *claims)
{
	/* whoever acted there has a name there, which here could be anybody's */
	if (json_object_get(claims, "act"))
		return fault(rq->a, &INVALID_TOKEN, "a token of %s by which somebody acts already", i->name.p);
	return OK;
}

static struct str may_act_in(struct arena *a, const json_t *claims)
{
	const json_t *o = json_object_get(claims, "may_act");
	return o ? json_dump(a, o) : S("");
}

err issuer_subject(struct req *rq, const struct client *c, struct str token, struct party *out)
{
	struct str iss, kid;
	const struct key_set *keys;
	json_t *claims;
	const struct str none = S("");

	TRY(foreign_peek(rq->a, token, &iss, &kid));
	const struct issuer_conf *i = issuer_of(rq->house, iss);
	if (!i)
		return fault(rq->a, &INVALID_TOKEN, "no [issuer] is '%.80s'", iss.p);
	TRY(keys_of(rq, i, kid, &keys));
	const struct foreign f = { .iss = i->iss, .audience = i->audience, .algs = i->algs };
	TRY(foreign_read(rq->a, token, &f, keys, rq->now, &claims));
	TRY(check_unsupported(rq, i, claims));

	/* made for one of [issuer] audience; which client may come with it is the table's to say */
	*out = (struct party){
		.kind = str_fmt(rq->a, "issuer:%s", i->name.p), .iss = i->iss, .audience = c->id, .scope = json_text(claims, "scope"), .acr = acr_of(i, claims),
		.amr = none, .act = none, .may_act = may_act_in(rq->a, claims), .confirm = json_object_get(claims, "cnf") ? S("unknown") : none,
		.carries = json_object_get(claims, "scope") != NULL, .rests = { none, none, none, { 0 } }, .grant = make(rq->a, struct grant_row),
	};
	json_int(claims, "exp", &out->exp);
	json_int(claims, "auth_time", &out->auth_time);
	TRY(begin_grant(rq, c, i, claims, out->grant));
	out->sub = out->grant->sub;
	return OK;
}
