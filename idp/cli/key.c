#include "keys.h"
#include "settings.h"
#include "tool.h"

static const char *state_of(const struct key_row *k, const struct key_row *all, size_t n, epoch now)
{
	if (k->retire_at && k->retire_at <= now)
		return "retired";
	if (!k->active_at || k->active_at > now)
		return "next";
	for (size_t i = 0; i < n; i++)
		if (str_eq(all[i].alg, k->alg) && all[i].active_at > k->active_at && all[i].active_at <= now && (!all[i].retire_at || all[i].retire_at > now))
			return "verifies";
	return "signs";
}

static err list(struct run *r)
{
	static const struct column LIST[] = { { "KID", "kid", 0 }, { "ALG", "alg", 5 }, { "STATE", "state", 8 }, { "SIGNS FROM", "active_at", 20 }, { 0 } };
	struct key_row *rows;
	size_t n;
	TRY(store_key_list(r->house->store, r->a, &rows, &n));
	json_t *all = json_own(r->a, json_array());
	for (size_t i = 0; i < n; i++) {
		json_t *o = json_object();
		json_put(o, "kid", show_str(rows[i].kid));
		json_put(o, "alg", show_str(rows[i].alg));
		json_put(o, "state", json_string(state_of(&rows[i], rows, n, r->now)));
		json_put(o, "created_at", show_time(r, rows[i].created_at));
		json_put(o, "active_at", show_time(r, rows[i].active_at));
		json_put(o, "retire_at", show_time(r, rows[i].retire_at));
		json_array_append_new(all, o);
	}
	show_list(r, all, LIST);
	return OK;
}

/* Those that were named, else every alg that has a key in use. */
static err algs_of(struct run *r, struct strs *algs)
{
	struct key_row *rows;
	size_t n;
	*algs = args_all(r, "--alg");
	for (size_t i = 0; i < algs->n; i++)
		if (!word_in(S("RS256 PS256 ES256 EdDSA"), algs->v[i]))
			return fault(r->a, &BAD_USAGE, "--alg is one of: RS256 PS256 ES256 EdDSA");
	if (algs->n)
		return OK;
	TRY(store_key_list(r->house->store, r->a, &rows, &n));
	*algs = (struct strs){ make_n(r->a, struct str, n + 1), 0 };
	for (size_t i = 0; i < n; i++)
		if (!strs_has(*algs, rows[i].alg) && (!rows[i].retire_at || rows[i].retire_at > r->now))
			algs->v[algs->n++] = rows[i].alg;
	return algs->n ? OK : fault(r->a, &NOT_FOUND, "there are no keys yet: motid serve makes them, or name one with --alg");
}

/* A new key is published for key_overlap before it signs, so that no client meets a kid that its copy of our JWKS lacks. */
static err rotate(struct run *r)
{
	struct strs algs;
	epoch active = arg_there(r, "--now") ? r->now : r->now + r->house->conf->key_overlap;
	TRY(algs_of(r, &algs));
	json_t *all = json_own(r->a, json_array());
	for (size_t i = 0; i < algs.n; i++) {
		struct str kid;
		TRY(keys_rotate(r->house, r->a, algs.v[i], r->now, active, &kid));
		json_t *o = json_object();
		json_put(o, "kid", show_str(kid));
		json_put(o, "alg", show_str(algs.v[i]));
		json_put(o, "active_at", show_time(r, active));
		json_array_append_new(all, o);
	}
	show_list(r, all, (const struct column[]){ { "KID", "kid", 0 }, { "ALG", "alg", 5 }, { "SIGNS FROM", "active_at", 20 }, { 0 } });
	return OK;
}

const struct command KEY_COMMANDS[] = {
	{ "key", "list", "", "our signing keys", list, NEEDS_SCHEMA },
	{ "key", "rotate", "[--alg ALG]... [--now]", "make new keys, which sign after [tokens] key_overlap", rotate, NEEDS_SCHEMA },
	{ 0 },
};
