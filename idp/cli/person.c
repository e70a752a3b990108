#include "code.h"
#include "name.h"
#include "number.h"
#include "rand.h"
#include "tool.h"

static const struct column COLUMNS[] = {
	{ "id", "id", 0 }, { "kind", "kind", 0 }, { "number", "number", 0 }, { "name", "name", 0 }, { "phone", "phone", 0 }, { "state", "state", 0 },
	{ "claims", "claims", 0 }, { "enrolled", "created_at", 0 }, { "changed", "updated_at", 0 }, { 0 },
};

static struct str mac_of(struct run *r, struct str canonical)
{
	unsigned char mac[SHA256_SIZE];
	hmac256((struct bytes){ r->house->secrets.find, sizeof r->house->secrets.find }, canonical.p, canonical.n, mac);
	return hex(r->a, (struct bytes){ mac, sizeof mac });
}

static struct str place(struct run *r, struct str id, const char *what) { return str_fmt(r->a, "person:%s:%s", id.p, what); }

static err number_of(struct run *r, struct str *number)
{
	struct str typed;
	TRY(arg_or_line(r, "--number", &typed));
	return person_number_canonical(r->a, typed, number) ? OK : fault(r->a, &BAD_USAGE,
		"--number is neither the 12 digits of a citizen's number nor a tax code (10 digits, or 10-3) with its check digit");
}

static err phone_of(struct run *r, struct str *phone)
{
	struct str typed;
	TRY(arg_or_line(r, "--phone", &typed));
	return phone_canonical(r->a, typed, phone) ? OK : fault(r->a, &BAD_USAGE,
		"--phone is not a mobile number of Viet Nam, such as 0912345678 or +84912345678");
}

/* Numbers are shown masked: what is on a terminal ends in logs and pictures. */
static struct str unsealed(struct run *r, const struct person_row *p, const char *what, struct str sealed, struct str (*masked)(struct arena *, struct str))
{
	struct str plain;
	if (str_empty(sealed))
		return S("");
	return seal_open(r->a, r->house->secrets.seal, place(r, p->id, what), sealed, &plain) ? masked(r->a, plain) : S("cannot be opened");
}

static json_t *shown(struct run *r, const struct person_row *p)
{
	json_t *o = json_object(), *claims;
	json_put(o, "id", show_str(p->id));
	json_put(o, "kind", show_str(p->kind));
	json_put(o, "number", show_str(unsealed(r, p, "number", p->number_sealed, number_masked)));
	json_put(o, "name", show_str(p->name));
	json_put(o, "phone", show_str(unsealed(r, p, "phone", p->phone_sealed, phone_masked)));
	json_put(o, "state", json_string(p->disabled_at ? "disabled" : "active"));
	if (!json_read_object(r->a, p->claims, &claims).kind && json_object_size(claims))
		json_put(o, "claims", json_incref(claims));
	json_put(o, "created_at", show_time(r, p->created_at));
	json_put(o, "updated_at", show_time(r, p->updated_at));
	return o;
}

static err claims_of(struct run *r, struct str *claims)
{
	struct str text;
	json_t *v;
	*claims = S("{}");
	if (!arg_there(r, "--claims"))
		return OK;
	TRY(arg_file(r, "--claims", JSON_MAX_SIZE, &text));
	err e = json_read_object(r->a, text, &v);
	if (e.kind)
		return fault(r->a, &BAD_USAGE, "%s: %s", arg(r, "--claims").p, e.why);
	*claims = json_dump(r->a, v);
	return OK;
}

static err add(struct run *r)
{
	struct str number, phone = S("");
	struct person_row p = { .id = rand_id(r->a, r->now_ms), .phone_mac = S(""), .phone_sealed = S(""), .created_at = r->now, .updated_at = r->now, .version = 1 };
	TRY(number_of(r, &number));
	if (name_nfc(r->a, arg(r, "--name"), &p.name).kind)
		return fault(r->a, &BAD_USAGE, "--name has no letter, is longer than %d bytes, or has control characters", NAME_MOST);
	if (arg_there(r, "--phone"))
		TRY(phone_of(r, &phone));
	TRY(claims_of(r, &p.claims));
	p.kind = str_starts(number, S("PNO")) ? S("citizen") : S("organisation");
	p.search_key = name_search_key(r->a, p.name);
	p.number_mac = mac_of(r, number);
	p.number_sealed = seal(r->a, r->house->secrets.seal, place(r, p.id, "number"), number);
	if (!str_empty(phone)) {
		p.phone_mac = mac_of(r, phone);
		p.phone_sealed = seal(r->a, r->house->secrets.seal, place(r, p.id, "phone"), phone);
	}
	struct audit ev = audit_by_tool(r, "person.added");
	ev.person_id = p.id;
	err e = store_person_add(r->house->store, r->a, &p, &ev);
	if (e.kind == &CONFLICT)
		return fault(r->a, &CONFLICT, "somebody is known by this number already; motid person find --number shows who");
	TRY(e);
	show_one(r, json_own(r->a, shown(r, &p)), COLUMNS);
	return OK;
}

static err look(struct run *r, struct person_row **people, size_t *n)
{
	struct str s;
	*n = 0;
	if (arg_there(r, "--number")) {
		TRY(number_of(r, &s));
		TRY(store_person_by_number(r->house->store, r->a, mac_of(r, s), people));
		*n = *people ? 1 : 0;
		return OK;
	}
	if (arg_there(r, "--phone")) {
		TRY(phone_of(r, &s));
		return store_person_by_phone(r->house->store, r->a, mac_of(r, s), people, n);
	}
	return store_person_search(r->house->store, r->a, name_search_key(r->a, arg(r, "--name")), S(""), 100, people, n);
}

static err find(struct run *r)
{
	static const struct column LIST[] = { { "ID", "id", 36 }, { "NUMBER", "number", 13 }, { "NAME", "name", 0 }, { "STATE", "state", 8 }, { 0 } };
	struct person_row *people;
	size_t n;
	if (arg_there(r, "--number") + arg_there(r, "--phone") + arg_there(r, "--name") != 1)
		return fault(r->a, &BAD_USAGE, "one of --number, --phone and --name (how it begins; no diacritics needed) is looked for");
	TRY(look(r, &people, &n));
	if (!n)
		return fault(r->a, &NOT_FOUND, "nobody is known by that");
	json_t *rows = json_own(r->a, json_array());
	for (size_t i = 0; i < n; i++)
		json_array_append_new(rows, shown(r, &people[i]));
	show_list(r, rows, LIST);
	return OK;
}

static err show(struct run *r)
{
	struct person_row *p;
	TRY(store_person(r->house->store, r->a, arg(r, "ID"), &p));
	if (!p)
		return fault(r->a, &NOT_FOUND, "there is no person %s; motid person find looks for one", arg(r, "ID").p);
	show_one(r, json_own(r->a, shown(r, p)), COLUMNS);
	return OK;
}

const struct command PERSON_COMMANDS[] = {
	{ "person", "add", "--number NUMBER --name NAME [--phone PHONE] [--claims FILE]",
	  "enrol somebody; - as a number is a line of standard input", add, NEEDS_SCHEMA },
	{ "person", "find", "[--number NUMBER] [--phone PHONE] [--name BEGINNING]", "who is known by a number, a phone or a name", find, NEEDS_SCHEMA },
	{ "person", "show", "ID", "one person; numbers are masked", show, NEEDS_SCHEMA },
	{ 0 },
};
