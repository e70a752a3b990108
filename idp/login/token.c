#include "anchors.h"
#include "audit_of.h"
#include "code.h"
#include "evidence.h"
#include "log.h"
#include "login.h"
#include "pages.h"
#include "rand.h"
#include "settings.h"
#include "signature.h"

/* Login by a USB token: the browser extension of Web eID, or motid-token on the citizen's computer, signs our challenge together with our
 * origin and gives back a Web eID authentication token (SIGNATURES.md 2.1, 2.2). */

static const char NONCES[] = "token-nonce";
enum { NONCE_LIVES = 300 };

/* 32 random bytes as 44 characters of standard base64: what the extension demands at least */
static struct str new_nonce(struct arena *a)
{
	unsigned char b[32];
	rand_fill(b, sizeof b);
	return b64(a, (struct bytes){ b, sizeof b });
}

/* Every showing of the page opens a challenge of its own and closes the one before. */
static err page_token(struct req *rq, struct res *rs, struct interaction *i, const char *error)
{
	const struct settings *c = rq->house->conf;
	json_t *data;
	struct str nonce = new_nonce(rq->a);
	TRY(eph_put(rq->house->eph, rq->a, NONCES, i->id, nonce, NONCE_LIVES));
	TRY(interaction_page(rq, rs, i, "/login/token", &data));
	json_put_str(data, "nonce", nonce);
	json_put_str(data, "origin", rq->house->origin);
	json_put_str(data, "helper", c->token_helper_url);
	if (c->cert_host.n && strs_has(c->methods, S("tls")))
		json_put_str(data, "tls_url", interaction_url(rq, i, "/login/tls"));
	if (error) {
		json_put_str(data, "error", str_of(error));
		json_put_str(data, "here", interaction_url(rq, i, "/login/token"));
	}
	rs->connect = c->token_helper_url;
	return page(rq, rs, error ? 403 : 200, &TPL_token, data);
}

/* GET /login/token?i= */
static err ep_token_page(struct req *rq, struct res *rs)
{
	struct interaction *i;
	TRY(interaction_get(rq, &i));
	TRY(login_offered(rq, i, "token"));
	return page_token(rq, rs, i, NULL);
}

/* What an answer needs of the short-lived store, in one journey. A request that was parked has been counted. */
enum { NONCE, ATTEMPT, ASKED };

static err finish(struct req *rq, struct res *rs, struct interaction *i, const struct eph_op asked[ASKED])
{
	struct str spent, nonce = asked[NONCE].value;
	struct trust *trust;
	struct webeid t;
	struct proved p;
	bool found;

	if (!rq->parked_before)
		TRY(attempt_allowed(rq, &asked[ATTEMPT]));
	if (!asked[NONCE].yes)
		return fault(rq->a, &SIGNATURE_WRONG, "no challenge is open");
	TRY(anchors_now(rq->house, rq->a, rq->now, &trust));
	TRY(webeid_verify(rq->a, trust, form(rq, "token"), rq->house->origin, nonce, &t));
	struct evidence e = { .cert = t.cert, .extra = t.extra, .nextra = t.nextra, .method = "token" };
	TRY(evidence_check(rq, &e, &p));

	/* only now, when nothing waits any more, is the challenge spent: by one caller, and only the one that was signed */
	TRY(eph_take(rq->house->eph, rq->a, NONCES, i->id, &spent, &found));
	if (!found || !str_same(nonce, spent))
		return fault(rq->a, &SIGNATURE_WRONG, "the challenge was spent meanwhile");
	return login_finish(rq, rs, i, &e, &p);
}

/* POST /login/token: token */
static err ep_token_answer(struct req *rq, struct res *rs)
{
	struct interaction *i;
	struct eph_op asked[ASKED] = { { .verb = EPH_GET, .kind = NONCES, .id = interaction_named(rq) }, attempt_op(rq) };
	TRY(interaction_post_with(rq, asked, rq->parked_before ? ATTEMPT : ASKED, &i));
	err e = login_failed(rq, i, "token", finish(rq, rs, i, asked));
	if (login_undecided(e))
		return e;
	log_say(LOG_INFO, "login by token refused", "req", rq->id.p, "code", e.kind->code, "why", e.why, NULL);
	return page_token(rq, rs, i, e.kind == &INVALID_REQUEST ? "token_unreadable" : e.kind->code);
}

const struct route TOKEN_ROUTES[] = {
	{ "GET",  "/login/token", ep_token_page,   FAULTS_PAGE, 0 },
	{ "POST", "/login/token", ep_token_answer, FAULTS_PAGE, 0 },
	{ 0 },
};
