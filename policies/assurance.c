#include "assurance.h"

const struct assurance ASSURANCES[] = {
	/* acr              covers                       eIDAS              Decree 69/2024 */
	{ S("low"),         S("low"),                    S("low"),          1 },
	{ S("substantial"), S("substantial low"),        S("substantial"),  2 },
	{ S("high"),        S("high substantial low"),   S("high"),         2 },
	{ .acr = S("") },
};

/* RFC 8176: a SIM's key is in hardware, opened by a PIN, confirmed over a channel of its own; a token is a smart card.
 * Push over the air stays below high: nothing binds the phone to the browser. */
static const struct method { struct str name, acr, amr; } METHODS[] = {
	{ S("sim"),   S("substantial"), S("hwk pin mca mfa") },
	{ S("token"), S("high"),        S("sc pin mfa") },
	{ S("tls"),   S("high"),        S("sc pin mfa") },
	{ .name = S("") },
};

static const struct method *method_of(struct str name)
{
	for (const struct method *m = METHODS; m->name.n; m++)
		if (str_eq(m->name, name))
			return m;
	return NULL;
}

const struct assurance *assurance_of(struct str acr)
{
	for (const struct assurance *s = ASSURANCES; s->acr.n; s++)
		if (str_eq(s->acr, acr))
			return s;
	return NULL;
}

struct str acr_of_method(struct str method, struct str most)
{
	const struct method *m = method_of(method);
	const struct assurance *limit = assurance_of(most);
	if (!m || !limit)
		return ASSURANCES[0].acr;
	return word_in(limit->covers, m->acr) ? m->acr : limit->acr;
}

struct str amr_of_method(struct str method)
{
	const struct method *m = method_of(method);
	return m ? m->amr : S("");
}

bool acr_meets(struct str acr, struct str acr_values)
{
	const struct assurance *s = assurance_of(acr);
	if (str_empty(acr_values))
		return true;
	for (const struct assurance *asked = ASSURANCES; s && asked->acr.n; asked++)
		if (word_in(acr_values, asked->acr) && word_in(s->covers, asked->acr))
			return true;
	return false;
}

bool acr_reachable(struct strs methods, struct str acr_values)
{
	for (size_t i = 0; i < methods.n; i++)
		if (acr_meets(acr_of_method(methods.v[i], S("high")), acr_values))
			return true;
	return false;
}

/* The first word of l that is also in `among`, or "". */
static struct str first_common(struct str l, struct str among)
{
	while (l.n) {
		const char *space = memchr(l.p, ' ', l.n);
		struct str word = { l.p, space ? (size_t)(space - l.p) : l.n };
		if (word.n && word_in(among, word))
			return word;
		l = (struct str){ l.p + word.n + (space != NULL), l.n - word.n - (space != NULL) };
	}
	return S("");
}

struct str acr_answer(struct str acr, struct str acr_values)
{
	const struct assurance *s = assurance_of(acr);
	if (!s || word_in(acr_values, acr))
		return acr;
	struct str met = first_common(acr_values, s->covers);
	return met.n ? assurance_of(met)->acr : acr;
}

struct strs acr_offered(struct arena *a, struct strs methods)
{
	struct strs l = { .v = make_n(a, struct str, sizeof ASSURANCES / sizeof *ASSURANCES) };
	for (const struct assurance *s = ASSURANCES; s->acr.n; s++)
		if (acr_reachable(methods, s->acr))
			l.v[l.n++] = s->acr;
	return l;
}
