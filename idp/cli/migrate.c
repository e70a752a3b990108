#include "sql.h"
#include "tool.h"

static err status(struct run *r)
{
	static const struct column LIST[] = { { "VERSION", "version", 8 }, { "NAME", "name", 0 }, { "APPLIED", "applied_at", 20 }, { 0 } };
	struct migration *list;
	size_t n;
	TRY(store_migrate_status(r->house->store, r->a, &list, &n));
	json_t *all = json_own(r->a, json_array());
	for (size_t i = 0; i < n; i++) {
		json_t *o = json_object();
		json_put(o, "version", json_integer(list[i].version));
		json_put(o, "name", show_str(list[i].name));
		json_put(o, "applied_at", show_time(r, list[i].applied_at));
		json_array_append_new(all, o);
	}
	show_list(r, all, LIST);
	return OK;
}

static err up(struct run *r)
{
	int64_t applied;
	TRY(store_migrate_up(r->house->store, r->a, &applied));
	json_t *o = json_own(r->a, json_object());
	json_put(o, "applied", json_integer(applied));
	show_one(r, o, (const struct column[]){ { "applied", "applied", 0 }, { 0 } });
	return OK;
}

const struct command MIGRATE_COMMANDS[] = {
	{ "migrate", "status", "", "which migrations the store has had", status, NEEDS_STORE },
	{ "migrate", "up", "", "bring the store up to date; versions before keep running", up, NEEDS_STORE },
	{ 0 },
};
