#include "session.h"
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
