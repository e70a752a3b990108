#include "oidc.h"
#include "code.h"
#include "hash.h"

/* OpenID Connect Core section 8.1: the same person is somebody else to every sector, and no two can compare notes. A public subject
 * is the same to all, and still says nothing: neither the internal id nor a number. */
static struct str subject(const struct house *h, struct arena *a, const struct client *c, const char *of, struct str who)
{
	unsigned char mac[SHA256_SIZE];
	bool public = str_is(c->subject_type, "public");
	struct str text = str_fmt(a, "%s%s\n%s\n%s", of, public ? "public" : "pairwise", public ? "" : c->sector.p, who.p);
	hmac256((struct bytes){ h->secrets.pairwise, sizeof h->secrets.pairwise }, text.p, text.n, mac);
	return b64url(a, (struct bytes){ mac, sizeof mac });
}

struct str subject_for(const struct house *h, struct arena *a, const struct client *c, struct str person_id) { return subject(h, a, c, "", person_id); }

struct str subject_of_stranger(const struct house *h, struct arena *a, const struct client *c, struct str iss, struct str sub)
{
	return subject(h, a, c, "stranger ", str_fmt(a, "%s\n%s", iss.p, sub.p));
}
