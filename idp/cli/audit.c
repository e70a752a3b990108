#include "clock.h"
#include "tool.h"
#include <unistd.h>

enum { BATCH = 200 };

static json_t *shown(struct run *r, const struct audit *e)
{
	const struct { const char *name; struct str value; } TEXTS[] = {
		{ "id", e->id }, { "event", e->event }, { "outcome", e->outcome }, { "client_id", e->client_id }, { "person_id", e->person_id }, { "sid", e->sid },
		{ "request_id", e->request_id }, { "peer", e->peer }, { "why", e->why },
	};
	json_t *o = json_object(), *detail;
	struct str at = clock_text(r->a, e->at_ms / 1000);
	json_put(o, "at", show_str(str_fmt(r->a, "%.19s.%03dZ", at.p, (int)(e->at_ms % 1000))));
	for (size_t i = 0; i < sizeof TEXTS / sizeof *TEXTS; i++)
		if (!str_empty(TEXTS[i].value))
			json_put(o, TEXTS[i].name, show_str(TEXTS[i].value));
	if (!str_empty(e->detail) && !json_read(r->a, e->detail, &detail).kind)
		json_put(o, "detail", json_incref(detail));
	return o;
}

/* One event in two lines at most: when, what, how it ended; then who, indented. */
static void print_event(struct run *r, const struct audit *e)
{
	printf("%s  %-24s  %s\n", clock_text(r->a, e->at_ms / 1000).p, e->event.p, e->outcome.p);
	if (e->client_id.n)
		printf("    client %s\n", e->client_id.p);
	if (e->person_id.n)
		printf("    person %s\n", e->person_id.p);
	if (e->why.n)
		printf("    %s\n", e->why.p);
}

static void print(struct run *r, const struct audit *events, size_t n, bool follow)
{
	json_t *all = json_own(r->a, json_array());
	for (size_t i = 0; i < n; i++)
		if (!r->json)
			print_event(r, &events[i]);
		else if (follow)
			printf("%s\n", json_dump(r->a, json_own(r->a, shown(r, &events[i]))).p);
		else
			json_array_append_new(all, shown(r, &events[i]));
	if (r->json && !follow)
		show_list(r, all, NULL);
	fflush(stdout);
}

static err follow(struct run *r, struct str after)
{
	struct str last = str_copy(r->a, after);
	struct arena *whole = r->a;
	for (;;) {
		struct audit *events;
		size_t n;
		r->a = arena_new();      /* of one round: this may run for months */
		err e = store_audit_tail(r->house->store, r->a, last, BATCH, &events, &n);
		if (!e.kind && n) {
			print(r, events, n, true);
			if (last.n != events[n - 1].id.n)
				last = str_copy(whole, events[n - 1].id);
			else
				memcpy((char *)(uintptr_t)last.p, events[n - 1].id.p, last.n);
		}
		if (e.kind)
			e = fault(whole, e.kind, "%s", e.why);
		arena_free(r->a);
		r->a = whole;
		TRY(e);
		if (ferror(stdout))
			return OK;
		sleep(n < BATCH);
	}
}

static err tail(struct run *r)
{
	struct audit *events;
	size_t n;
	int64_t limit = 20;
	if (arg_there(r, "--limit") && !str_int(arg(r, "--limit"), 1, 10000, &limit))
		return fault(r->a, &BAD_USAGE, "--limit is a number from 1 to 10000");
	TRY(store_audit_tail(r->house->store, r->a, S(""), limit, &events, &n));
	print(r, events, n, arg_there(r, "--follow"));
	return arg_there(r, "--follow") ? follow(r, n ? events[n - 1].id : S("0")) : OK;
}

const struct command AUDIT_COMMANDS[] = {
	{ "audit", "tail", "[--limit N] [--follow]", "the last events, and with --follow those to come", tail, NEEDS_SCHEMA },
	{ 0 },
};
