#include "anchors.h"
#include "code.h"
#include "evidence.h"
#include "log.h"
#include "login.h"
#include "pages.h"
#include "rand.h"
#include "settings.h"

/* Login by a TLS client certificate, on a host of its own (SIGNATURES.md 2.4): the main host must not make every browser ask for
 * a certificate. The proxy there asks for one without judging it; here it is judged, and a ticket for a minute takes the result back
 * to the main host, where the browser's own cookie must match the interaction. */

static const char TICKETS[] = "tls-ticket";
enum { TICKET_LIVES = 60 };

/* GET /login/tls?i= on the main host: off to the certificate host */
static err ep_tls(struct req *rq, struct res *rs)
{
	struct interaction *i;
	TRY(interaction_get(rq, &i));
	TRY(login_offered(rq, i, "tls"));
	if (str_empty(rq->house->conf->cert_host))
		return fault(rq->a, &NOT_FOUND, "no certificate host is configured");
	res_redirect(rq, rs, str_fmt(rq->a, "%s/login/tls/certificate?i=%s", rq->house->conf->cert_host.p, i->id.p));
	return OK;
}

/* GET /login/tls/certificate?i= on the certificate host. TLS proved that the browser holds the key; the ticket names the certificate. */
static err ep_tls_certificate(struct req *rq, struct res *rs)
{
	struct bytes der;
	struct str id = query(rq, "i"), ticket = rand_token(rq->a);
	if (id.n != 43)
		return fault(rq->a, &INTERACTION_GONE, "no interaction is named");
	TRY(attempt_count(rq));
	if (str_empty(rq->client_cert)) {
		res_redirect(rq, rs, str_fmt(rq->a, "%s/login/tls/missing?i=%s", rq->house->issuer.p, id.p));
		return OK;
	}
	if (!b64_read(rq->a, rq->client_cert, &der))
		return fault(rq->a, &CERT_UNSUITABLE, "the proxy's certificate does not read");
	struct str value = seal(rq->a, rq->house->secrets.seal, str_fmt(rq->a, "tls:%s:%s", id.p, ticket.p), rq->client_cert);
	TRY(eph_put(rq->house->eph, rq->a, TICKETS, ticket, value, TICKET_LIVES));
	res_redirect(rq, rs, str_fmt(rq->a, "%s/login/tls/done?i=%s&t=%s", rq->house->issuer.p, id.p, ticket.p));
	return OK;
}

/* GET /login/tls/missing?i= on the main host, where the browser's cookie, the language and the other ways are */
static err ep_tls_missing(struct req *rq, struct res *rs)
{
	struct interaction *i;
	json_t *data;
	TRY(interaction_get(rq, &i));
	TRY(interaction_page(rq, rs, i, "/login/tls", &data));
	json_object_set_new(data, "again", json_string(interaction_url(rq, i, "/login/tls").p));
	return page(rq, rs, 403, &TPL_tls_missing, data);
}

static err finish(struct req *rq, struct res *rs, struct interaction *i)
{
	struct str ticket = query(rq, "t"), sealed, cert;
	struct bytes der;
	struct evidence e = { .method = "tls" };
	struct proved p;
	struct trust *trust;
	bool found = false;

	if (ticket.n == 43)
		TRY(eph_get(rq->house->eph, rq->a, TICKETS, ticket, &sealed, &found));
	if (!found || !seal_open(rq->a, rq->house->secrets.seal, str_fmt(rq->a, "tls:%s:%s", i->id.p, ticket.p), sealed, &cert) || !b64_read(rq->a, cert, &der))
		return fault(rq->a, &INTERACTION_GONE, "no such ticket for this interaction");
	TRY(anchors_now(rq->house, rq->a, rq->now, &trust));
	TRY(trust_cert(trust, rq->a, der, &e.cert));
	TRY(evidence_check(rq, &e, &p));
	TRY(eph_take(rq->house->eph, rq->a, TICKETS, ticket, &sealed, &found));
	if (!found)
		return fault(rq->a, &INTERACTION_GONE, "the ticket was used already");
	return login_finish(rq, rs, i, &e, &p);
}

/* GET /login/tls/done?i=&t= on the main host */
static err ep_tls_done(struct req *rq, struct res *rs)
{
	struct interaction *i;
	TRY(interaction_get(rq, &i));
	err e = login_failed(rq, i, "tls", finish(rq, rs, i));
	if (login_undecided(e))
		return e;
	log_say(LOG_INFO, "login by TLS certificate refused", "req", rq->id.p, "code", e.kind->code, "why", e.why, NULL);
	return login_choose(rq, rs, i, e.kind->code);
}

const struct route TLS_ROUTES[] = {
	{ "GET", "/login/tls",             ep_tls,             FAULTS_PAGE, 0 },
	{ "GET", "/login/tls/certificate", ep_tls_certificate, FAULTS_PAGE, 0 },
	{ "GET", "/login/tls/missing",     ep_tls_missing,     FAULTS_PAGE, 0 },
	{ "GET", "/login/tls/done",        ep_tls_done,        FAULTS_PAGE, 0 },
	{ 0 },
};
