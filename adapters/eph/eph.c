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

static err lifetime(struct arena *a, const char *kind, int64_t seconds)
{
	if (seconds < 1 || seconds > 400 * 86400)
		return fault(a, &SERVER_ERROR, "%s with a lifetime of %lld seconds", kind, (long long)seconds);
	return OK;
}

static err size(struct arena *a, const char *kind, struct str value)
{
	if (value.n > EPH_VALUE_MAX)
		return fault(a, &TOO_LARGE, "%s of %zu bytes", kind, value.n);
	return OK;
}

err eph_put(struct eph *e, struct arena *a, const char *kind, struct str id, struct str value, int64_t seconds)
{
	struct str key;
	TRY(key_of(a, kind, id, &key));
	TRY(lifetime(a, kind, seconds));
	TRY(size(a, kind, value));
	return e->put(e, a, key, value, seconds);
}

static err look(struct eph *e, struct arena *a, const char *kind, struct str id, bool take, struct str *value, bool *found)
{
	*value = S("");
	*found = false;
	struct str key;
	TRY(key_of(a, kind, id, &key));
	return e->get(e, a, key, take, value, found);
}

err eph_get(struct eph *e, struct arena *a, const char *kind, struct str id, struct str *value, bool *found)
{
	return look(e, a, kind, id, false, value, found);
}

err eph_take(struct eph *e, struct arena *a, const char *kind, struct str id, struct str *value, bool *found)
{
	return look(e, a, kind, id, true, value, found);
}

err eph_once(struct eph *e, struct arena *a, const char *kind, struct str id, struct str value, int64_t seconds, bool *first)
{
	*first = false;
	struct str key;
	TRY(key_of(a, kind, id, &key));
	TRY(lifetime(a, kind, seconds));
	TRY(size(a, kind, value));
	return e->once(e, a, key, value, seconds, first);
}

err eph_drop(struct eph *e, struct arena *a, const char *kind, struct str id, struct str if_value)
{
	struct str key;
	TRY(key_of(a, kind, id, &key));
	return e->drop(e, a, key, if_value);
}

err eph_count(struct eph *e, struct arena *a, const char *kind, struct str id, int64_t add, int64_t seconds, int64_t *total)
{
	*total = INT64_MAX;
	struct str key;
	TRY(key_of(a, kind, id, &key));
	TRY(lifetime(a, kind, seconds));
	if (add < 0 || add > 1000000)
		return fault(a, &SERVER_ERROR, "%s counts %lld at once", kind, (long long)add);
	return e->count(e, a, key, add, seconds, total);
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
