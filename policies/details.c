#include "details.h"

static err refused(struct arena *a, const char *why, struct str what)
{
	return fault(a, &INVALID_AUTHORIZATION_DETAILS, "authorization_details: %s '%.80s'", why, what.p);
}

const struct detail_type *detail_type_of(const struct detail_type *types, size_t n, struct str name)
{
	for (size_t i = 0; i < n; i++)
		if (str_eq(types[i].name, name))
			return &types[i];
	return NULL;
}

err detail_types_check(struct arena *a, const char *path, const struct detail_type *types, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct detail_type *t = &types[i];
		for (size_t k = 0; k < t->required.n; k++)
			if (!strs_has(t->fields, t->required.v[k]))
				return fault(a, &BAD_CONFIG, "%s: [authorization_type %s] required '%s' is not among its fields", path, t->name.p, t->required.v[k].p);
		if (strs_has(t->fields, S("type")))
			return fault(a, &BAD_CONFIG, "%s: [authorization_type %s] type is always there, and no field", path, t->name.p);
		if (t->actions.n && !strs_has(t->fields, S("actions")))
			return fault(a, &BAD_CONFIG, "%s: [authorization_type %s] has actions, which is not among its fields", path, t->name.p);
	}
	return OK;
}

/* ---- asking ---------------------------------------------------------------------------------------------------------- */

/* section 2.2: the fields that mean the same everywhere, and their shapes */
static bool is_list(const char *field) { return word_in(S("locations actions datatypes privileges"), str_of(field)); }

static err check_list(struct arena *a, const json_t *detail, const char *field)
{
	struct strs l = json_strs(a, detail, field);
	const json_t *v = json_object_get(detail, field);
	if (!json_is_array(v) || !l.n || l.n != json_array_size(v))
		return refused(a, "no array of strings:", str_of(field));
	return OK;
}

static err check_field(struct arena *a, const struct detail_type *t, const json_t *detail, const char *field)
{
	if (strcmp(field, "type") == 0)
		return OK;
	if (!strs_has(t->fields, str_of(field)))
		return refused(a, "unknown field", str_of(field));
	if (strcmp(field, "identifier") == 0 && !json_is_string(json_object_get(detail, field)))
		return refused(a, "no string:", str_of(field));
	return is_list(field) ? check_list(a, detail, field) : OK;
}

static err check_actions(struct arena *a, const struct detail_type *t, const json_t *detail)
{
	struct strs asked = json_strs(a, detail, "actions");
	for (size_t i = 0; t->actions.n && i < asked.n; i++)
		if (!strs_has(t->actions, asked.v[i]))
			return refused(a, "no such action:", asked.v[i]);
	return OK;
}

/* section 5: "contains ... fields of the wrong type ... is missing required fields", is of an unknown type */
static err check_one(struct arena *a, const struct detail_type *types, size_t n, struct strs allowed, json_t *detail)
{
	const char *field;
	json_t *v;
	struct str name = json_text(detail, "type");
	const struct detail_type *t = json_is_object(detail) ? detail_type_of(types, n, name) : NULL;
	if (!t || !strs_has(allowed, name))
		return refused(a, "no such type, or not for this client:", name);
	json_object_foreach(detail, field, v)
		TRY(check_field(a, t, detail, field));
	for (size_t i = 0; i < t->required.n; i++)
		if (!json_object_get(detail, t->required.v[i].p))
			return refused(a, "missing:", t->required.v[i]);
	return check_actions(a, t, detail);
}

/* section 2: "an array of JSON objects" */
static err read_all(struct arena *a, struct str text, json_t **out)
{
	err e = json_read(a, text, out);
	if (e.kind || !json_is_array(*out) || !json_array_size(*out))
		return refused(a, "no array of objects", S(""));
	return json_array_size(*out) <= DETAILS_MOST ? OK : refused(a, "too many", S(""));
}

static err write_all(struct arena *a, const json_t *l, struct str *out)
{
	*out = json_dump(a, l);
	return out->n <= DETAILS_SIZE ? OK : refused(a, "too long", S(""));
}

err details_check(struct arena *a, const struct detail_type *types, size_t n, struct strs allowed, struct str text, struct str *out)
{
	json_t *l, *detail;
	size_t i;
	*out = S("");
	TRY(read_all(a, text, &l));
	json_array_foreach(l, i, detail)
		TRY(check_one(a, types, n, allowed, detail));
	return write_all(a, l, out);
}

/* ---- narrowing: section 7 -------------------------------------------------------------------------------------------------- */

static bool covers_list(struct arena *a, const json_t *granted, const json_t *asked, const char *field)
{
	struct strs have = json_strs(a, granted, field), want = json_strs(a, asked, field);
	bool all = want.n > 0 && want.n == json_array_size(json_object_get(asked, field));
	for (size_t i = 0; i < want.n; i++)
		all &= strs_has(have, want.v[i]);
	return all;
}

/* To leave a field out may be to ask for more: what bounds the grant bounds what is taken of it. */
static bool covers(struct arena *a, json_t *granted, json_t *asked)
{
	const char *field;
	json_t *v;
	if (!json_is_object(asked) || json_object_size(granted) != json_object_size(asked))
		return false;
	json_object_foreach(granted, field, v)
		if (!json_equal(v, json_object_get(asked, field)) && !(is_list(field) && covers_list(a, granted, asked, field)))
			return false;
	return true;
}

static bool covered(struct arena *a, json_t *granted, json_t *asked)
{
	size_t i;
	json_t *g;
	json_array_foreach(granted, i, g)
		if (covers(a, g, asked))
			return true;
	return false;
}

err details_narrow(struct arena *a, struct str granted, struct str asked, struct str *out)
{
	json_t *have, *want, *one;
	size_t i;
	*out = granted;
	if (str_empty(asked))
		return OK;
	TRY(read_all(a, asked, &want));
	if (str_empty(granted))
		return refused(a, "none was granted", S(""));
	TRY(read_all(a, granted, &have));
	json_array_foreach(want, i, one)
		if (!covered(a, have, one))
			return refused(a, "more than was granted:", json_text(one, "type"));
	return write_all(a, want, out);
}
