#include "session.h"
#include "audit_of.h"
#include "rand.h"
#include "settings.h"

struct str session_cookie_hash(struct req *rq)
{
	struct str c = house_cookie(rq, "session");
	return c.n == 43 ? hash_of(rq->a, c) : S("");
}

err session_now(struct req *rq, struct session_row **out)
{
	struct str hash = session_cookie_hash(rq);
	*out = NULL;
	return hash.n ? store_session(rq->house->store, rq->a, hash, rq->now, out) : OK;
}

struct str session_begin(struct req *rq, struct session_row *row)
{
	struct str secret = rand_token(rq->a);
	row->id_hash = hash_of(rq->a, secret);
	row->sid = rand_token(rq->a);
	row->auth_time = row->created_at = rq->now;
	row->expires_at = rq->now + rq->house->conf->session_lives;
	return secret;
}

void session_give(struct req *rq, struct res *rs, struct str secret) { res_cookie(rq, rs, "session", secret, -1); }
void session_forget(struct req *rq, struct res *rs) { res_cookie(rq, rs, "session", S(""), 0); }

err session_end(struct req *rq, struct res *rs, const struct session_row *s, struct str client_id, const char *why)
{
	struct audit ev = audit_of(rq, "session.ended");
	ev.client_id = client_id;
	ev.why = str_of(why);
	TRY(store_session_end(rq->house->store, rq->a, s->id_hash, rq->now, &ev));
	session_forget(rq, rs);
	return OK;
}

enum { STEP = 200 };

err sessions_expire(struct house *h, struct arena *a, epoch now, size_t *ended)
{
	struct req rq = { .a = a, .house = h, .now = now, .now_ms = now * 1000, .id = S(""), .peer = S("") };
	*ended = 0;
	for (size_t n = STEP; n == STEP; *ended += n) {
		struct audit ev = audit_of(&rq, "session.ended");
		ev.why = S("expired");
		TRY(store_sessions_expire(h->store, a, now, STEP, &ev, &n));
	}
	return OK;
}
