#include "code.h"
#include "tool.h"
#include "x509.h"

static const struct column COLUMNS[] = {
	{ "id", "id", 0 }, { "person", "person_id", 0 }, { "method", "method", 0 }, { "subject", "subject", 0 }, { "serial", "serial", 0 },
	{ "key", "key", 0 }, { "from", "not_before", 0 }, { "until", "not_after", 0 }, { "first seen", "first_seen", 0 }, { "last seen", "last_seen", 0 },
	{ "revoked", "revoked_at", 0 }, { "why", "revoked_why", 0 }, { "OCSP it names", "ocsp_urls", 0 }, { 0 },
};

/* A subject names its person by number: runs of nine digits or more keep their first three and last two. */
static struct str subject_masked(struct run *r, struct str s)
{
	struct buf b = buf_new(r->a, s.n + 1, s.n * 3 + 1);
	for (size_t i = 0; i < s.n;) {
		size_t n = 0;
		while (i + n < s.n && s.p[i + n] >= '0' && s.p[i + n] <= '9')
			n++;
		for (size_t k = 0; k < n; k++)
			if (n >= 9 && k >= 3 && k < n - 2)
				buf_str(&b, S("\xe2\x80\xa2"));
			else
				buf_char(&b, s.p[i + k]);
		if (!n)
			buf_char(&b, s.p[i++]);
		i += n;
	}
	return (struct str){ b.p, b.n };
}

static struct str unsealed(struct run *r, const struct cert_row *row, const char *what, struct str sealed)
{
	struct str plain;
	return seal_open(r->a, r->house->secrets.seal, str_fmt(r->a, "cert:%s:%s", row->id.p, what), sealed, &plain) ? plain : S("cannot be opened");
}

static json_t *shown(struct run *r, const struct cert_row *row)
{
	json_t *o = json_object();
	json_put(o, "id", show_str(row->id));
	json_put(o, "person_id", show_str(row->person_id));
	json_put(o, "method", show_str(row->method));
	json_put(o, "subject", show_str(subject_masked(r, unsealed(r, row, "subject", row->subject))));
	json_put(o, "serial", show_str(row->serial));
	json_put(o, "state", json_string(row->revoked_at ? "revoked" : row->not_after < r->now ? "expired" : "valid"));
	json_put(o, "not_before", show_time(r, row->not_before));
	json_put(o, "not_after", show_time(r, row->not_after));
	json_put(o, "first_seen", show_time(r, row->first_seen));
	json_put(o, "last_seen", show_time(r, row->last_seen));
	json_put(o, "revoked_at", show_time(r, row->revoked_at));
	json_put(o, "revoked_why", show_str(row->revoked_why));
	return o;
}

static err list(struct run *r)
{
	static const struct column LIST[] = { { "ID", "id", 17 }, { "PERSON", "person_id", 0 }, { "METHOD", "method", 6 }, { "STATE", "state", 7 }, { 0 } };
	struct cert_row *rows;
	size_t n;
	int64_t limit = 100;
	if (arg_there(r, "--limit") && !str_int(arg(r, "--limit"), 1, 1000, &limit))
		return fault(r->a, &BAD_USAGE, "--limit is a number from 1 to 1000");
	TRY(store_cert_list(r->house->store, r->a, arg(r, "--person"), arg(r, "--after"), limit, &rows, &n));
	json_t *all = json_own(r->a, json_array());
	for (size_t i = 0; i < n; i++)
		json_array_append_new(all, shown(r, &rows[i]));
	show_list(r, all, LIST);
	return OK;
}

/* A fingerprint, or how it begins: ids are listed in order, so those that begin so come right after it. */
static err find(struct run *r, struct cert_row **row)
{
	struct str id = str_lower(r->a, arg(r, "ID"));
	struct cert_row *rows;
	size_t n;
	if (id.n >= 2 * SHA256_SIZE)
		return store_cert(r->house->store, r->a, id, row);
	if (id.n < 8)
		return fault(r->a, &BAD_USAGE, "a certificate's id, or at least its first 8 digits");
	TRY(store_cert_list(r->house->store, r->a, S(""), id, 2, &rows, &n));
	if (n > 1 && str_starts(rows[1].id, id))
		return fault(r->a, &CONFLICT, "more than one certificate begins with %s", id.p);
	*row = n && str_starts(rows[0].id, id) ? &rows[0] : NULL;
	return OK;
}

static err show(struct run *r)
{
	struct cert_row *row;
	struct bytes der;
	struct cert c;
	TRY(find(r, &row));
	TRY(needs_row(r, row, "cert", arg(r, "ID")));
	json_t *o = json_own(r->a, shown(r, row));
	if (b64_read(r->a, unsealed(r, row, "der", row->der), &der) && !cert_read(r->a, der, &c).kind) {
		json_t *urls = json_array();
		for (size_t i = 0; i < c.ocsp_urls.n; i++)
			json_array_append_new(urls, show_str(c.ocsp_urls.v[i]));
		json_put(o, "key", show_str(c.key_text));
		json_put(o, "ocsp_urls", urls);
	}
	show_one(r, o, COLUMNS);
	return OK;
}

const struct command CERT_COMMANDS[] = {
	{ "cert", "list", "[--person ID] [--after ID] [--limit N]", "certificates that people have signed in with", list, NEEDS_SCHEMA },
	{ "cert", "show", "ID", "one of them, by its id or how that begins", show, NEEDS_SCHEMA },
	{ 0 },
};
