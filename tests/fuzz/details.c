#include "details.h"
#include <stdlib.h>

static void must(bool so)
{
	if (!so)
		abort();
}

static struct str read_change[] = { S("read"), S("change") }, fields[] = { S("actions"), S("locations"), S("parcel"), S("amount"), S("identifier") };
static struct str names[] = { S("land_record"), S("payment") };
static const struct detail_type TYPES[] = {
	{ .name = S("land_record"), .fields = { fields, 3 }, .required = { fields, 1 }, .actions = { read_change, 2 } },
	{ .name = S("payment"), .fields = { fields, 5 } },
};

int LLVMFuzzerTestOneInput(const unsigned char *p, size_t n);

/* What is taken is short, is taken again as it is, and covers itself; of what another granted nothing more comes out than went in. */
int LLVMFuzzerTestOneInput(const unsigned char *p, size_t n)
{
	struct arena *a = arena_new();
	struct str text = str_dup(a, (const char *)p, n), out, again, narrowed;
	if (!details_check(a, TYPES, 2, (struct strs){ names, 2 }, text, &out).kind) {
		must(out.n > 2 && out.n <= DETAILS_SIZE);
		must(!details_check(a, TYPES, 2, (struct strs){ names, 2 }, out, &again).kind && str_eq(out, again));
		must(!details_narrow(a, out, out, &narrowed).kind && str_eq(out, narrowed));
		must(details_check(a, TYPES, 2, (struct strs){ 0 }, out, &again).kind != NULL);
	}
	if (!details_narrow(a, S("[{\"type\":\"land_record\",\"actions\":[\"read\",\"change\"]}]"), text, &narrowed).kind && narrowed.n)
		must(!strstr(narrowed.p, "payment") && !strstr(narrowed.p, "locations") && !strstr(narrowed.p, "parcel"));
	arena_free(a);
	return 0;
}
