#include "evidence.h"
#include "anchors.h"
#include "assurance.h"
#include "audit_of.h"
#include "code.h"
#include "login.h"
#include "name.h"
#include "rand.h"
#include "session.h"
#include "settings.h"
#include "status_of.h"

enum { WINDOW = 600 };   /* seconds over which attempts are counted */

struct str number_mac(const struct house *h, struct arena *a, struct str canonical)
{
	unsigned char d[SHA256_SIZE];
	hmac256((struct bytes){ h->secrets.find, sizeof h->secrets.find }, canonical.p, canonical.n, d);
	return hex(a, (struct bytes){ d, sizeof d });
}

struct eph_op attempt_op(struct req *rq)
{
	return (struct eph_op){ .verb = EPH_COUNT, .kind = "attempts", .id = peer_net(rq), .add = 1, .seconds = WINDOW };
}

err attempt_allowed(struct req *rq, const struct eph_op *counted)
{
	if (counted->total > rq->house->conf->attempts_per_address)
		return fault(rq->a, &TOO_MANY_REQUESTS, "more attempts from one address than are allowed");
	return OK;
}

err attempt_count(struct req *rq)
{
	struct eph_op op = attempt_op(rq);
	TRY(eph_do(rq->house->eph, rq->a, &op, 1));
	return attempt_allowed(rq, &op);
}

/* What rests on it is over as well, unless nobody ever signed in with it. */
static err revoke(struct req *rq, const struct cert *leaf, struct str why)
{
	struct cert_row *row;
	struct audit ev = audit_of(rq, "cert.revoked");
	size_t ended;
	TRY(store_cert(rq->house->store, rq->a, leaf->id, &row));
	if (!row)
		return OK;
	ev.person_id = row->person_id;
	ev.why = why;
	ev.detail = str_fmt(rq->a, "{\"cert\":\"%s\"}", row->id.p);
	return store_cert_revoked(rq->house->store, rq->a, row->id, why, rq->now, &ev, &ended);
}

/* Only "good" is good: what is not known keeps the door shut (SEC-28). */
static err check_status(struct req *rq, const struct cert *leaf, const struct cert *issuer, const struct anchor *anchor)
{
	struct status_answer s;
	TRY(status_of(rq, leaf, issuer, anchor, &s));
	switch (s.status) {
	case STATUS_GOOD: return OK;
	case STATUS_REVOKED:
		TRY(revoke(rq, leaf, s.why));
		return fault(rq->a, &CERT_REVOKED, "revoked: %s", s.why.p);
	case STATUS_UNDECIDED: return fault(rq->a, &STATUS_UNKNOWN, "%s", s.why.p);
	}
	return fault(rq->a, &STATUS_UNKNOWN, "no status");
}

err evidence_check(struct req *rq, const struct evidence *e, struct proved *out)
{
	struct trust *trust;
	struct cert issuer;
	const struct anchor *anchor;

	TRY(anchors_now(rq->house, rq->a, rq->now, &trust));
	TRY(trust_path(trust, rq->a, &e->cert, e->extra, e->nextra, str_of(e->method), rq->now, &issuer, &anchor));
	TRY(subject_read(rq->a, &e->cert, &out->subject));
	if (e->expected.n && !str_same(e->expected, out->subject.number))
		return fault(rq->a, &LOGIN_REFUSED, "the certificate names another person than was asked");
	TRY(check_status(rq, &e->cert, &issuer, anchor));

	out->cert = e->cert;
	out->issuer_id = issuer.id;
	out->acr = acr_of_method(str_of(e->method), anchor->level);
	out->amr = amr_of_method(str_of(e->method));
	return OK;
}

static struct person_row newcomer(struct req *rq, const struct evidence *e, const struct subject *s)
{
	struct house *h = rq->house;
	struct person_row p = {
		.id = rand_id(rq->a, rq->now_ms), .kind = s->kind == SUBJECT_PERSON ? S("citizen") : S("organisation"),
		.name = s->name, .search_key = name_search_key(rq->a, s->name), .number_mac = number_mac(h, rq->a, s->number),
		.claims = S("{}"), .created_at = rq->now, .updated_at = rq->now, .version = 1,
	};
	p.number_sealed = seal(rq->a, h->secrets.seal, str_fmt(rq->a, "person:%s:number", p.id.p), s->number);
	if (e->phone.n) {
		p.phone_mac = number_mac(h, rq->a, e->phone);
		p.phone_sealed = seal(rq->a, h->secrets.seal, str_fmt(rq->a, "person:%s:phone", p.id.p), e->phone);
	} else {
		p.phone_mac = p.phone_sealed = S("");
	}
	return p;
}

/* A certificate holds the number that it names: subject and whole are sealed as the person's own number is. */
static struct str sealed_as(struct req *rq, const struct cert *c, const char *what, struct str plain)
{
	return seal(rq->a, rq->house->secrets.seal, str_fmt(rq->a, "cert:%s:%s", c->id.p, what), plain);
}

static struct cert_row record_of(struct req *rq, const struct evidence *e, const struct proved *p, struct str mac)
{
	const struct cert *c = &p->cert;
	return (struct cert_row){
		.id = c->id, .person_id = S(""), .issuer_id = p->issuer_id, .serial = c->serial, .subject = sealed_as(rq, c, "subject", c->subject), .spki_sha256 = c->spki_sha256,
		.number_mac = mac, .method = str_of(e->method), .der = sealed_as(rq, c, "der", b64(rq->a, c->der)), .not_before = c->not_before, .not_after = c->not_after,
		.first_seen = rq->now, .last_seen = rq->now, .revoked_why = S(""),
	};
}

err login_record(struct req *rq, const struct evidence *e, const struct proved *p, struct str client_id, struct str replaces,
                 struct session_row *session, struct str *secret, struct person_row **who)
{
	struct login l = { .person = newcomer(rq, e, &p->subject), .replaces = replaces };
	enum enrolment outcome;

	l.cert = record_of(rq, e, p, l.person.number_mac);
	l.session = (struct session_row){ .person_id = S(""), .acr = p->acr, .amr = p->amr, .method = str_of(e->method), .cert_id = p->cert.id };
	*secret = session_begin(rq, &l.session);
	struct audit ev = audit_of(rq, "login.certificate");
	ev.client_id = client_id;
	ev.sid = l.session.sid;
	ev.detail = str_fmt(rq->a, "{\"method\":\"%s\",\"cert\":\"%s\",\"acr\":\"%s\"}", e->method, p->cert.id.p, p->acr.p);
	TRY(store_login(rq->house->store, rq->a, &l, &ev, &outcome, who));
	if (outcome == NUMBER_OF_ANOTHER)
		return fault(rq->a, &LOGIN_REFUSED, "certificate %s is recorded for another person", p->cert.id.p);
	if (!*who || (*who)->disabled_at)
		return fault(rq->a, &LOGIN_REFUSED, "person %s is disabled", *who ? (*who)->id.p : "?");
	*session = l.session;
	return OK;
}

err login_finish(struct req *rq, struct res *rs, struct interaction *i, const struct evidence *e, const struct proved *p)
{
	struct session_row session;
	struct person_row *who;
	struct str secret;
	TRY(login_offered(rq, i, e->method));
	TRY(login_record(rq, e, p, i->client_id, session_cookie_hash(rq), &session, &secret, &who));
	i->login_at = rq->now;
	session_give(rq, rs, secret);
	TRY(interaction_put(rq, i));
	res_redirect(rq, rs, interaction_url(rq, i, "/authorize/continue"));
	return OK;
}

err login_failed(struct req *rq, const struct interaction *i, const char *method, err why)
{
	if (login_undecided(why))
		return why;
	struct audit ev = audit_of(rq, "login.refused");
	ev.client_id = i->client_id;
	ev.outcome = str_of(why.kind->code);
	ev.why = str_of(why.why);
	ev.detail = str_fmt(rq->a, "{\"method\":\"%s\"}", method);
	TRY(refusal_write(rq, &ev));
	return why;
}
