#include "engine.h"
#include "clock.h"
#include "eph_open.h"

/* The kind stands after the last "}:" and holds neither of the two, so no id can spell its way into another drawer.
 * The braces keep all kinds of one id on one node of a Redis Cluster. */
static err key_of(struct arena *a, const char *kind, struct str id, struct str *key)
{
	if (!*kind || strpbrk(kind, "}:"))
		return fault(a, &SERVER_ERROR, "\"%s\" is no kind of short-lived value", kind);
	if (id.n > EPH_ID_MAX)
		return fault(a, &TOO_LARGE, "an id of %zu bytes for %s", id.n, kind);
	static const char HEAD[] = "motid:{", TAIL[] = "}:";
	size_t n = sizeof HEAD - 1 + id.n + sizeof TAIL - 1 + strlen(kind);
	char *k = arena_alloc(a, n + 1), *p = mempcpy(k, HEAD, sizeof HEAD - 1);
	if (id.n)
		p = mempcpy(p, id.p, id.n);
	p = mempcpy(p, TAIL, sizeof TAIL - 1);
	memcpy(p, kind, strlen(kind));
	*key = (struct str){ k, n };
	return OK;
}

static err within_limits(struct arena *a, const struct eph_op *op)
{
	bool writes = op->verb == EPH_PUT || op->verb == EPH_ONCE;
	if ((writes || op->verb == EPH_COUNT) && (op->seconds < 1 || op->seconds > 400 * 86400))
		return fault(a, &SERVER_ERROR, "%s with a lifetime of %lld seconds", op->kind, (long long)op->seconds);
	if (writes && op->value.n > EPH_VALUE_MAX)
		return fault(a, &TOO_LARGE, "%s of %zu bytes", op->kind, op->value.n);
	if (op->verb == EPH_COUNT && (op->add < 0 || op->add > 1000000))
		return fault(a, &SERVER_ERROR, "%s counts %lld at once", op->kind, (long long)op->add);
	return OK;
}

static err prepare(struct arena *a, struct eph_op *op)
{
	if (op->verb == EPH_GET || op->verb == EPH_TAKE)
		op->value = S("");
	op->yes = false;
	op->total = INT64_MAX;
	TRY(key_of(a, op->kind, op->id, &op->key));
	return within_limits(a, op);
}

err eph_do(struct eph *e, struct arena *a, struct eph_op *ops, size_t n)
{
	if (n < 1 || n > EPH_TOGETHER)
		return fault(a, &SERVER_ERROR, "%zu short-lived values at once", n);
	for (size_t i = 0; i < n; i++)
		TRY(prepare(a, &ops[i]));
	return e->run(e, a, ops, n);
}

err eph_put(struct eph *e, struct arena *a, const char *kind, struct str id, struct str value, int64_t seconds)
{
	return eph_do(e, a, &(struct eph_op){ .verb = EPH_PUT, .kind = kind, .id = id, .value = value, .seconds = seconds }, 1);
}

static err look(struct eph *e, struct arena *a, enum eph_verb how, const char *kind, struct str id, struct str *value, bool *found)
{
	struct eph_op op = { .verb = how, .kind = kind, .id = id };
	err r = eph_do(e, a, &op, 1);
	*value = op.value;
	*found = op.yes;
	return r;
}

err eph_get(struct eph *e, struct arena *a, const char *kind, struct str id, struct str *value, bool *found)
{
	return look(e, a, EPH_GET, kind, id, value, found);
}

err eph_take(struct eph *e, struct arena *a, const char *kind, struct str id, struct str *value, bool *found)
{
	return look(e, a, EPH_TAKE, kind, id, value, found);
}

err eph_once(struct eph *e, struct arena *a, const char *kind, struct str id, struct str value, int64_t seconds, bool *first)
{
	struct eph_op op = { .verb = EPH_ONCE, .kind = kind, .id = id, .value = value, .seconds = seconds };
	err r = eph_do(e, a, &op, 1);
	*first = op.yes;
	return r;
}

err eph_drop(struct eph *e, struct arena *a, const char *kind, struct str id, struct str if_value)
{
	return eph_do(e, a, &(struct eph_op){ .verb = EPH_DROP, .kind = kind, .id = id, .value = if_value }, 1);
}

err eph_count(struct eph *e, struct arena *a, const char *kind, struct str id, int64_t add, int64_t seconds, int64_t *total)
{
	struct eph_op op = { .verb = EPH_COUNT, .kind = kind, .id = id, .add = add, .seconds = seconds };
	err r = eph_do(e, a, &op, 1);
	*total = op.total;
	return r;
}

err eph_ready(struct eph *e, struct arena *a) { return e->ready(e, a); }

err eph_open(struct arena *a, struct str where, struct eph **out)
{
	if (str_is(where, "memory"))
		return eph_open_memory(a, clock_mono_ms, EPH_BYTES, out);
	if (str_starts(where, S("redis:")))
		return redis_open(a, where, out);
	return fault(a, &BAD_CONFIG, "short-lived values live in \"memory\", \"redis:unix:PATH\" or \"redis:HOST:PORT\", not in \"%s\"", where.p);
}

void eph_close(struct eph *e)
{
	if (e)
		e->close(e);
}
