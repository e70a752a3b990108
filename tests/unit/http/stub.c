#include "http.h"

/* idp/web answers with a page; here a word is enough. Weak: where the room is linked, it is asked. */
[[gnu::weak]] err page_fault(struct req *rq, struct res *rs, const struct err_kind *kind)
{
	rs->status = kind->status;
	rs->type = S("text/html; charset=utf-8");
	rs->body = str_fmt(rq->a, "<p>%s", kind->code);
	return OK;
}
