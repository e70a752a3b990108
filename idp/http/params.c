#include "door.h"
#include "code.h"

enum { MAX_FIELDS = 64, MAX_NAME = 128, MAX_VALUE = 8 * 1024, MAX_LONG_VALUE = 16 * 1024, MAX_COOKIES = 128, MAX_AGAIN = 8 };

/* These carry whole tokens, certificates or signatures. */
static bool may_be_long(struct str name)
{
	static const char *const LONG[] = {
		"request", "assertion", "client_assertion", "subject_token", "actor_token", "token", "id_token_hint", "logout_token",
		"login_hint_token", "authorization_details", "claims", "response", "signature", "certificate",
	};
	for (size_t i = 0; i < sizeof LONG / sizeof *LONG; i++)
		if (str_is(name, LONG[i]))
			return true;
	return false;
}

static const struct param *find(const struct params *l, struct str name)
{
	for (size_t i = 0; i < l->n; i++)
		if (str_eq(l->v[i].name, name))
			return &l->v[i];
	return NULL;
}

struct str param_of(const struct params *l, const char *name)
{
	const struct param *p = find(l, str_of(name));
	return p ? p->value : S("");
}

bool param_there(const struct params *l, const char *name) { return find(l, str_of(name)) != NULL; }

struct strs params_all(struct arena *a, const struct params *l, const char *name)
{
	struct strs all = { .v = make_n(a, struct str, l->n + 1) };
	for (size_t i = 0; i < l->n; i++)
		if (str_is(l->v[i].name, name))
			all.v[all.n++] = l->v[i].value;
	return all;
}

/* RFC 8707 section 2: "Multiple resource parameters MAY be used" */
static bool may_come_again(struct arena *a, const struct params *l, struct str name)
{
	return str_is(name, "resource") && params_all(a, l, "resource").n < MAX_AGAIN;
}

struct str form(const struct req *rq, const char *name) { return param_of(&rq->form, name); }
struct str query(const struct req *rq, const char *name) { return param_of(&rq->query, name); }
struct str header(const struct req *rq, const char *name) { return param_of(&rq->headers, name); }
struct str cookie(const struct req *rq, const char *name) { return param_of(&rq->cookies, name); }

/* Cuts s at the first c: the part before it is returned, s becomes the part after it. */
static struct str cut(struct str *s, char c)
{
	const char *at = s->n ? memchr(s->p, c, s->n) : NULL;
	struct str first = { s->p, at ? (size_t)(at - s->p) : s->n };
	*s = at ? (struct str){ at + 1, s->n - first.n - 1 } : S("");
	return first;
}

static size_t count(struct str s, char c)
{
	size_t n = 1;
	for (size_t i = 0; i < s.n; i++)
		n += s.p[i] == c;
	return n;
}

static err field_read(struct arena *a, struct str text, struct params *out)
{
	struct param f;
	struct str value = text, name = cut(&value, '=');
	if (name.n > 3 * MAX_NAME || value.n > 3 * MAX_LONG_VALUE)
		return fault(a, &INVALID_REQUEST, "a field of %zu + %zu encoded bytes", name.n, value.n);
	if (!url_read(a, name, true, &f.name) || !url_read(a, value, true, &f.value))
		return fault(a, &INVALID_REQUEST, "field %zu is not well encoded", out->n + 1);
	if (str_empty(f.name) || f.name.n > MAX_NAME)
		return fault(a, &INVALID_REQUEST, "field %zu has a name of %zu bytes", out->n + 1, f.name.n);
	if (f.value.n > MAX_VALUE && (f.value.n > MAX_LONG_VALUE || !may_be_long(f.name)))
		return fault(a, &INVALID_REQUEST, "'%s' has %zu bytes", f.name.p, f.value.n);
	/* RFC 6749 section 3.1: "Request and response parameters MUST NOT be included more than once." */
	if (find(out, f.name) && !may_come_again(a, out, f.name))
		return fault(a, &INVALID_REQUEST, "'%s' comes twice", f.name.p);
	out->v[out->n++] = f;
	return OK;
}

err params_read(struct arena *a, struct str text, struct params *out)
{
	*out = (struct params){ 0 };
	size_t n = count(text, '&');
	if (n > MAX_FIELDS)
		return fault(a, &INVALID_REQUEST, "more than %d fields", MAX_FIELDS);
	if (str_empty(text))
		return OK;
	out->v = make_n(a, struct param, n);
	while (text.n) {
		struct str field = cut(&text, '&');
		if (field.n)
			TRY(field_read(a, field, out));
	}
	return OK;
}

static struct str bare(struct str s)
{
	while (s.n && (*s.p == ' ' || *s.p == '\t'))
		s.p++, s.n--;
	while (s.n && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t'))
		s.n--;
	return s;
}

/* A sibling domain may plant a second cookie under the name of ours, and other services of a province set odd ones: what
 * cannot be read in one way is treated as not there, and the rest of the page still works. Ours carry __Host- as well. */
static void cookies_once(struct params *l)
{
	size_t kept = 0;
	for (size_t i = 0; i < l->n; i++) {
		bool twin = false;
		for (size_t k = 0; k < l->n && !twin; k++)
			twin = k != i && str_eq(l->v[k].name, l->v[i].name);
		if (twin)
			l->v[i].value = (struct str){ 0 };
	}
	for (size_t i = 0; i < l->n; i++)
		if (l->v[i].value.p)
			l->v[kept++] = l->v[i];
	l->n = kept;
}

/* RFC 6265 section 4.2.1, names and values as in 4.1.1; values are percent-decoded, as res_cookie encodes them. */
err cookies_read(struct arena *a, struct str text, struct params *out)
{
	*out = (struct params){ 0 };
	size_t n = count(text, ';');
	if (n > MAX_COOKIES)
		return fault(a, &INVALID_REQUEST, "more than %d cookies", MAX_COOKIES);
	if (str_empty(text))
		return OK;
	out->v = make_n(a, struct param, n);
	while (text.n) {
		struct str value = bare(cut(&text, ';')), name = bare(cut(&value, '='));
		struct param c = { .name = str_copy(a, name) };
		if (str_empty(name) || name.n > MAX_NAME || !str_printable(name))
			continue;
		/* An unreadable value still counts as one of the name: it must not make its twin the only one. */
		if (value.n > MAX_VALUE || !url_read(a, bare(value), false, &c.value))
			c.value = (struct str){ 0 };
		out->v[out->n++] = c;
	}
	cookies_once(out);
	return OK;
}
