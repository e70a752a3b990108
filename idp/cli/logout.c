#include "tool.h"

static json_t *shown(struct run *r, const struct delivery_row *d)
{
	json_t *o = json_object();
	json_put(o, "sid", show_str(d->sid));
	json_put(o, "client_id", show_str(d->client_id));
	json_put(o, "state", show_str(d->state));
	json_put(o, "tries", json_integer(d->tries));
	json_put(o, "why", show_str(d->why));
	json_put(o, "queued_at", show_time(r, d->queued_at));
	json_put(o, "due_at", str_is(d->state, "pending") ? show_time(r, d->due_at) : json_null());
	json_put(o, "done_at", show_time(r, d->done_at));
	return o;
}

static err list(struct run *r)
{
	static const struct column LIST[] = {
		{ "APPLICATION", "client_id", 24 }, { "STATE", "state", 9 }, { "TRIES", "tries", 5 }, { "QUEUED", "queued_at", 20 }, { "LAST ANSWER", "why", 0 }, { 0 },
	};
	struct delivery_row *l, like = { .client_id = arg(r, "--client"), .sid = arg(r, "--sid"), .state = arg(r, "--state") };
	struct delivery_row after = { .sid = arg(r, "--after-sid"), .client_id = arg(r, "--after-client") };
	size_t n;
	int64_t limit = 100;
	if (like.state.n && !word_in(S("pending delivered failed"), like.state))
		return fault(r->a, &BAD_USAGE, "--state is one of: pending delivered failed");
	if (arg_there(r, "--limit") && !str_int(arg(r, "--limit"), 1, 1000, &limit))
		return fault(r->a, &BAD_USAGE, "--limit is a number from 1 to 1000");
	TRY(store_delivery_list(r->house->store, r->a, &like, &after, limit, &l, &n));
	json_t *rows = json_own(r->a, json_array());
	for (size_t i = 0; i < n; i++)
		json_array_append_new(rows, shown(r, &l[i]));
	show_list(r, rows, LIST);
	return OK;
}

static err retry(struct run *r)
{
	struct audit ev = audit_by_tool(r, "logout.retried");
	size_t n;
	if (!arg_there(r, "--client") && !arg_there(r, "--sid") && !arg_there(r, "--all"))
		return fault(r->a, &BAD_USAGE, "--client, --sid or both say which; --all is every one that failed");
	ev.client_id = arg(r, "--client");
	ev.sid = arg(r, "--sid");
	TRY(store_delivery_retry(r->house->store, r->a, ev.client_id, ev.sid, r->now, &ev, &n));
	json_t *o = json_own(r->a, json_object());
	json_put(o, "retried", json_integer((json_int_t)n));
	show_one(r, o, (const struct column[]){ { "retried", "retried", 0 }, { 0 } });
	return OK;
}

const struct command LOGOUT_COMMANDS[] = {
	{ "logout", "list", "[--client ID] [--sid SID] [--state STATE] [--after-sid SID] [--after-client ID] [--limit N]",
	  "who was told that a session is over, and what they answered", list, NEEDS_SCHEMA },
	{ "logout", "retry", "[--client ID] [--sid SID] [--all]", "tell those again that failed", retry, NEEDS_SCHEMA },
	{ 0 },
};
