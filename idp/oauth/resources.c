#include "oauth.h"
#include "details.h"
#include "settings.h"

/* What a request says that tokens are for: places (RFC 8707) and, in so many words, doings (RFC 9396). */

/* section 2: "Its value MUST be an absolute URI ... The URI MUST NOT include a fragment component." */
static bool is_place(struct str uri)
{
	size_t scheme = strcspn(uri.p, ":/?#");
	return scheme > 0 && uri.p[scheme] == ':' && uri.n > scheme + 1 && str_printable(uri) && !strpbrk(uri.p, " #");
}

/* What was granted before the registration lost it is granted no more (SEC-08). */
static err still_allowed(struct req *rq, const struct client *c, struct str granted, struct str *out)
{
	struct strs l = str_words(rq->a, granted), kept = { .v = make_n(rq->a, struct str, l.n + 1) };
	for (size_t i = 0; i < l.n; i++)
		if (strs_has(c->audiences, l.v[i]))
			kept.v[kept.n++] = l.v[i];
	if (l.n && !kept.n)
		return fault(rq->a, &INVALID_TARGET, "nothing that was granted to %s is its own any more", c->id.p);
	*out = strs_join(rq->a, kept, S(" "));
	return OK;
}

/* What a client may name is what its tokens may be for: `audiences` of its registration. */
err resources_read(struct req *rq, const struct client *c, const struct params *from, struct str granted, struct str *out)
{
	struct strs asked = params_all(rq->a, from, "resource"), kept = { .v = make_n(rq->a, struct str, asked.n + 1) };
	for (size_t i = 0; i < asked.n; i++) {
		struct str uri = asked.v[i];
		if (!is_place(uri) || !strs_has(c->audiences, uri) || (granted.n && !word_in(granted, uri)))
			return fault(rq->a, &INVALID_TARGET, "resource '%.80s' is not for %s, or was not granted", uri.p, c->id.p);
		if (!strs_has(kept, uri))
			kept.v[kept.n++] = uri;
	}
	if (!kept.n)
		return still_allowed(rq, c, granted, out);
	*out = strs_join(rq->a, kept, S(" "));
	return OK;
}

err details_read(struct req *rq, const struct client *c, struct str text, struct str *out)
{
	const struct conf_list *l = &rq->house->conf->detail_types;
	return details_check(rq->a, l->items, l->n, c->detail_types, text, out);
}
