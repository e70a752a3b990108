#include "tool.h"

static json_t *shown(struct run *r, const struct session_row *s)
{
	json_t *o = json_object();
	json_put(o, "sid", show_str(s->sid));
	json_put(o, "person_id", show_str(s->person_id));
	json_put(o, "method", show_str(s->method));
	json_put(o, "acr", show_str(s->acr));
	json_put(o, "cert_id", show_str(s->cert_id));
	json_put(o, "since", show_time(r, s->auth_time));
	json_put(o, "expires_at", show_time(r, s->expires_at));
	return o;
}

static err list(struct run *r)
{
	static const struct column LIST[] = { { "SID", "sid", 43 }, { "PERSON", "person_id", 0 }, { "METHOD", "method", 6 }, { "SINCE", "since", 20 }, { 0 } };
	struct session_row *l, like = { .person_id = arg(r, "--person"), .cert_id = arg(r, "--cert") };
	size_t n;
	int64_t limit = 100;
	if (arg_there(r, "--limit") && !str_int(arg(r, "--limit"), 1, 1000, &limit))
		return fault(r->a, &BAD_USAGE, "--limit is a number from 1 to 1000");
	TRY(store_session_list(r->house->store, r->a, &like, r->now, arg(r, "--after"), limit, &l, &n));
	json_t *rows = json_own(r->a, json_array());
	for (size_t i = 0; i < n; i++)
		json_array_append_new(rows, shown(r, &l[i]));
	show_list(r, rows, LIST);
	return OK;
}

static err say_ended(struct run *r, size_t n)
{
	json_t *o = json_own(r->a, json_object());
	json_put(o, "ended", json_integer((json_int_t)n));
	show_one(r, o, (const struct column[]){ { "ended", "ended", 0 }, { 0 } });
	return OK;
}

static err out_of_client(struct run *r)
{
	struct client_row *c;
	struct audit ev = audit_by_tool(r, "client.signed_out");
	size_t n;
	ev.client_id = arg(r, "--client");
	TRY(store_client(r->house->store, r->a, ev.client_id, &c));
	TRY(needs_row(r, c, "client", ev.client_id));
	TRY(store_client_sign_out(r->house->store, r->a, ev.client_id, r->now, &ev, &n));
	return say_ended(r, n);
}

static err end(struct run *r)
{
	static const struct { const char *option; enum sessions_of which; } BY[] = {
		{ "--sid", SESSION_BY_SID }, { "--person", SESSIONS_OF_PERSON }, { "--cert", SESSIONS_OF_CERT },
	};
	struct audit ev = audit_by_tool(r, "session.ended");
	size_t n;
	ev.why = S("ended by an administrator");
	if (arg_there(r, "--sid") + arg_there(r, "--person") + arg_there(r, "--cert") + arg_there(r, "--client") != 1)
		return fault(r->a, &BAD_USAGE, "one of --sid, --person, --cert and --client says what ends");
	if (arg_there(r, "--client"))
		return out_of_client(r);
	size_t i = 0;
	while (!arg_there(r, BY[i].option))
		i++;
	TRY(store_sessions_end(r->house->store, r->a, BY[i].which, arg(r, BY[i].option), r->now, &ev, &n));
	if (!n)
		return fault(r->a, &NOT_FOUND, "no such session goes on; motid session list shows those that do");
	return say_ended(r, n);
}

const struct command SESSION_COMMANDS[] = {
	{ "session", "list", "[--person ID] [--cert ID] [--after SID] [--limit N]", "who is signed in", list, NEEDS_SCHEMA },
	{ "session", "end", "[--sid SID] [--person ID] [--cert ID] [--client ID]",
	  "end one session, or those of a person, certificate, client", end, NEEDS_SCHEMA },
	{ 0 },
};
