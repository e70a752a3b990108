#include "audit_of.h"
#include "client.h"
#include "code.h"
#include "rand.h"
#include <arpa/inet.h>
#include <netinet/in.h>

static const struct { const char *name, *meaning; } EVENTS[] = {
#define EVENT(name, meaning) { name, meaning },
#include "audit_events.def"
#undef EVENT
};

const char *audit_meaning(struct str event)
{
	for (size_t i = 0; i < sizeof EVENTS / sizeof *EVENTS; i++)
		if (str_is(event, EVENTS[i].name))
			return EVENTS[i].meaning;
	return NULL;
}

struct audit audit_of(struct req *rq, const char *event)
{
	return (struct audit){
		.id = rand_id(rq->a, rq->now_ms), .at_ms = rq->now_ms, .event = str_of(event), .outcome = S("ok"), .client_id = S(""),
		.person_id = S(""), .sid = S(""), .request_id = rq->id, .peer = rq->peer, .why = S(""), .detail = S(""),
	};
}

/* 21, 40, 80, 160, …: the first beyond the limit, then every doubling */
static bool worth_a_row(int64_t n)
{
	if (n <= REFUSALS_A_MINUTE + 1)
		return true;
	int64_t step = REFUSALS_A_MINUTE;
	while (step < n && step < INT64_MAX / 2)
		step *= 2;
	return step == n;
}

struct str peer_net(struct req *rq)
{
	struct in6_addr v6;
	bool net = inet_pton(AF_INET6, rq->peer.p, &v6) == 1 && !IN6_IS_ADDR_V4MAPPED(&v6);
	return net ? hex(rq->a, (struct bytes){ v6.s6_addr, 8 }) : rq->peer;
}

/* One member more in the object that detail is. */
static struct str with_count(struct req *rq, struct str detail, int64_t n)
{
	bool more = detail.n > 2;
	return str_fmt(rq->a, "%.*s%s\"refusals_this_minute\":%lld}", more ? (int)detail.n - 1 : 1, more ? detail.p : "{", more ? "," : "", (long long)n);
}

err refusal_write(struct req *rq, struct audit *ev)
{
	int64_t n = 0;
	TRY(eph_count(rq->house->eph, rq->a, "refusals", peer_net(rq), 1, 60, &n));
	if (!worth_a_row(n))
		return OK;
	if (n > REFUSALS_A_MINUTE)
		ev->detail = with_count(rq, ev->detail, n);
	return store_audit(rq->house->store, rq->a, ev);
}

err refusal_audited(struct req *rq, const char *event, const struct client *client, err why)
{
	if (!why.kind || why.kind == &PARKED || why.kind == &USE_DPOP_NONCE || why.kind->status >= 500)
		return why;
	struct audit ev = audit_of(rq, event);
	ev.outcome = str_of(why.kind->code);
	ev.why = str_of(why.why);
	if (client)
		ev.client_id = client->id;
	TRY(refusal_write(rq, &ev));
	return why;
}
