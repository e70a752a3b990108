#include "client.h"
#include "exchange.h"
#include "settings.h"
#include "tool.h"

/* What would come of a token exchange (RFC 8693), by the table that serves and the client as it is registered. What the tokens would say is
 * given by options; what is left out of them is taken as it should be. */

static const char TYPE[] = "urn:ietf:params:oauth:grant-type:token-exchange";

static err client_of(struct run *r, struct client *out)
{
	struct client_row *row;
	TRY(store_client(r->house->store, r->a, arg(r, "--client"), &row));
	TRY(needs_row(r, row, "client", arg(r, "--client")));
	if (row->disabled_at)
		return fault(r->a, &ACCESS_DENIED, "client %s is disabled", row->id.p);
	TRY(client_parse(r->a, row->id, row->metadata, out));
	if (!strs_has(out->grant_types, str_of(TYPE)) || str_is(out->auth_method, "none"))
		return fault(r->a, &ACCESS_DENIED, "client %s is public, or not registered for %s", row->id.p, TYPE);
	return OK;
}

static err ask_of(struct run *r, const struct client *c, struct exchange_ask *q)
{
	*q = (struct exchange_ask){
		.client = c->id, .subject = arg_there(r, "--subject") ? arg(r, "--subject") : S("access_token"), .from = arg(r, "--from"),
		.audience = args_all(r, "--audience"), .scope = str_words(r->a, arg(r, "--scope")), .carried = arg(r, "--carried"),
		.carries = arg_there(r, "--carried"), .registered = c->scope, .acr = arg_there(r, "--acr") ? arg(r, "--acr") : S("high"),
		.acting = !arg_there(r, "--impersonate"), .depth = !arg_there(r, "--impersonate"), .bound = arg_there(r, "--bound"),
	};
	if (arg_there(r, "--depth") && !str_int(arg(r, "--depth"), 0, EXCHANGE_DEPTH_MOST + 1, &q->depth))
		return fault(r->a, &BAD_USAGE, "--depth is a number up to %d", EXCHANGE_DEPTH_MOST + 1);
	return OK;
}

/* Each rule by itself, so that a refusal can be mended. */
static json_t *each_rule(struct run *r, const struct exchange_ask *q)
{
	json_t *all = json_array();
	const struct conf_list *table = &r->house->conf->exchanges;
	const struct exchange_rule *rules = table->items;
	for (size_t i = 0; i < table->n; i++)
		json_array_append_new(all, show_str(str_fmt(r->a, "%s: %s", rules[i].name.p, exchange_try(r->a, &rules[i], q).why)));
	return all;
}

static err explain_exchange(struct run *r)
{
	static const struct column COLUMNS[] = {
		{ "outcome", "outcome", 0 }, { "error", "error", 0 }, { "decided by", "rule", 0 }, { "why", "why", 0 }, { "scope", "scope", 0 },
		{ "seconds", "lives", 0 }, { "rules", "rules", 0 }, { 0 },
	};
	struct client c;
	struct exchange_ask q;
	const struct conf_list *table = &r->house->conf->exchanges;
	TRY(client_of(r, &c));
	TRY(ask_of(r, &c, &q));
	struct exchange_answer by = exchange_decide(r->a, table->items, table->n, &q);
	json_t *o = json_own(r->a, json_object());
	json_put(o, "outcome", json_string(by.kind ? "refused" : "allowed"));
	if (by.kind)
		json_put(o, "error", json_string(by.kind->code));
	if (by.rule)
		json_put(o, "rule", show_str(by.rule->name));
	json_put(o, "why", json_string(by.why));
	if (!by.kind) {
		json_put(o, "scope", show_str(strs_join(r->a, by.scope, S(" "))));
		json_put(o, "lives", json_integer(by.lives < r->house->conf->access_lives ? by.lives : r->house->conf->access_lives));
	}
	json_put(o, "rules", each_rule(r, &q));
	show_one(r, o, COLUMNS);
	return OK;
}

/* One row for each policy that can be explained. */
static err explain(struct run *r)
{
	if (!str_is(arg(r, "POLICY"), "exchange"))
		return fault(r->a, &BAD_USAGE, "'%s' is no policy that can be explained; there is: exchange", arg(r, "POLICY").p);
	return explain_exchange(r);
}

const struct command POLICY_COMMANDS[] = {
	{ "policy", "explain", "POLICY --client ID --audience NAME... [--subject KIND] [--from ID] [--scope SCOPE] [--carried SCOPE] [--acr LEVEL] "
		"[--impersonate] [--depth N] [--bound]", "what would come of it, and by which rule (POLICY: exchange)", explain, NEEDS_SCHEMA },
	{ 0 },
};
