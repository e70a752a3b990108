#include "anchors.h"
#include "code.h"
#include "tool.h"
#include <ctype.h>

enum { FILE_MOST = 32 * 1024, TYPED_LEAST = 8, TYPED_TO_TRUST = 16, FINGERPRINT = 2 * SHA256_SIZE };

static const struct column COLUMNS[] = {
	{ "name", "name", 0 }, { "subject", "subject", 0 }, { "issuer", "issuer", 0 }, { "serial", "serial", 0 }, { "from", "not_before", 0 },
	{ "until", "not_after", 0 }, { "key", "key", 0 }, { "constraints", "constraints", 0 }, { "kind", "kind", 0 }, { "purposes", "purposes", 0 },
	{ "settings", "settings", 0 }, { "state", "state", 0 }, { "SHA-256", "fingerprint_grouped", 0 }, { 0 },
};

/* In pairs of sixteen, as tools and printed notices have them: two lines of 47. */
static json_t *grouped(struct run *r, struct str id)
{
	json_t *lines = json_array();
	for (size_t half = 0; half + FINGERPRINT / 2 <= id.n; half += FINGERPRINT / 2) {
		struct buf b = buf_new(r->a, 64, 64);
		for (size_t i = 0; i < FINGERPRINT / 2; i += 2)
			buf_fmt(&b, "%s%c%c", i ? ":" : "", toupper(id.p[half + i]), toupper(id.p[half + i + 1]));
		json_array_append_new(lines, json_stringn(b.p, b.n));
	}
	return lines;
}

static json_t *constraints_of(struct run *r, const struct cert *c)
{
	static const struct { unsigned bit; const char *name; } USES[] = {
		{ USE_DIGITAL_SIGNATURE, "digitalSignature" }, { USE_NON_REPUDIATION, "nonRepudiation" }, { USE_CERT_SIGN, "keyCertSign" }, { USE_CRL_SIGN, "cRLSign" },
	};
	struct str s = c->is_ca ? S("CA") : S("no CA");
	for (size_t i = 0; c->ku_present && i < sizeof USES / sizeof *USES; i++)
		if (c->ku & USES[i].bit)
			s = str_fmt(r->a, "%s, %s", s.p, USES[i].name);
	return show_str(s);
}

static json_t *shown(struct run *r, const struct trust_row *row, const struct cert *c)
{
	json_t *o = json_object(), *settings;
	json_put(o, "id", show_str(row->id));
	json_put(o, "name", show_str(row->name));
	json_put(o, "kind", show_str(row->kind));
	json_put(o, "purposes", show_str(row->purposes));
	json_put(o, "state", json_string(row->disabled_at ? "disabled" : "active"));
	json_put(o, "subject", show_str(c->subject));
	json_put(o, "issuer", show_str(c->issuer));
	json_put(o, "serial", show_str(c->serial));
	json_put(o, "not_before", show_time(r, c->not_before));
	json_put(o, "not_after", show_time(r, c->not_after));
	json_put(o, "key", show_str(c->key_text));
	json_put(o, "constraints", constraints_of(r, c));
	json_put(o, "fingerprint", show_str(row->id));
	json_put(o, "fingerprint_grouped", grouped(r, row->id));
	if (!json_read_object(r->a, row->settings, &settings).kind && json_object_size(settings))
		json_put(o, "settings", json_incref(settings));
	return o;
}

/* ---- add --------------------------------------------------------------------------------------------------------- */

static const struct option OPTIONS[] = {
	{ "--ocsp", "ocsp", false }, { "--crl", "crl", false }, { "--level", "level", false }, { "--policy", "policies", true }, { "--eku", "ekus", true },
	{ 0 },
};

static err settings_of(struct run *r, struct str *out)
{
	struct jw w = jw_new(r->a, 8192);
	jw_object(&w, NULL);
	args_write(r, &w, OPTIONS);
	if (arg_there(r, "--ocsp-nonce"))
		jw_bool(&w, "ocsp_nonce", true);
	jw_end(&w);
	return jw_done(&w, out);
}

/* --for token,tls or --for token --for tls */
static err purposes_of(struct run *r, struct str *out)
{
	struct str s = strs_join(r->a, args_all(r, "--for"), S(","));
	struct buf b = buf_new(r->a, s.n, s.n);
	for (size_t i = 0; i < s.n; i++)
		buf_char(&b, s.p[i] == ',' ? ' ' : s.p[i]);
	struct strs words = str_words(r->a, (struct str){ b.p, b.n });
	for (size_t i = 0; i < words.n; i++)
		if (!word_in(S("sim token tls client"), words.v[i]))
			return fault(r->a, &BAD_USAGE, "--for is some of: sim,token,tls,client; is '%s'", words.v[i].p);
	*out = strs_join(r->a, words, S(" "));
	return words.n ? OK : fault(r->a, &BAD_USAGE, "--for is some of: sim,token,tls,client");
}

static err check_words(struct run *r)
{
	if (arg_there(r, "--level") && !word_in(S("high substantial"), arg(r, "--level")))
		return fault(r->a, &BAD_USAGE, "--level is high or substantial");
	static const char *const URLS[] = { "--ocsp", "--crl" };
	for (size_t i = 0; i < 2; i++)
		if (arg_there(r, URLS[i]) && !str_starts(arg(r, URLS[i]), S("http://")) && !str_starts(arg(r, URLS[i]), S("https://")))
			return fault(r->a, &BAD_USAGE, "%s is an http:// or https:// URL", URLS[i]);
	return OK;
}

/* What was typed, without colons and spaces, in lower case. */
static struct str hex_of(struct arena *a, struct str typed)
{
	struct buf b = buf_new(a, 64, 256);
	for (size_t i = 0; i < typed.n; i++)
		if (!strchr(": ", typed.p[i]))
			buf_char(&b, (char)tolower((unsigned char)typed.p[i]));
	return (struct str){ b.p, b.n };
}

/* Whoever adds an authority has compared its fingerprint with one that came another way than the file did. Typed at the terminal the first
 * sixteen digits will do, which nobody can make a certificate for (eight take minutes); from a script it is the whole. */
static err check_fingerprint(struct run *r, struct str id)
{
	struct str typed;
	bool whole = arg_there(r, "--fingerprint");
	if (whole) {
		typed = arg(r, "--fingerprint");
	} else {
		fputs("Type the first 16 digits of the SHA-256 fingerprint that you were given elsewhere: ", stderr);
		fflush(stderr);
		TRY(line_read(r->a, &typed));
	}
	typed = hex_of(r->a, typed);
	if (typed.n < (whole ? (size_t)FINGERPRINT : (size_t)TYPED_TO_TRUST))
		return fault(r->a, &ACCESS_DENIED, "not added: %s", whole ? "--fingerprint takes all 64 digits" : "at least 16 digits must be typed");
	if (!str_starts(id, typed))
		return fault(r->a, &ACCESS_DENIED, "not added: that is not this certificate's fingerprint; do not trust this file");
	return OK;
}

static err check_anchor(struct run *r, const struct trust_row *row)
{
	struct anchor anchor;
	struct trust *t;
	err e = anchor_read(r->a, row, &anchor);
	if (!e.kind)
		e = trust_new(r->a, &anchor, 1, &t);
	if (e.kind)
		return fault(r->a, &BAD_USAGE, "%s cannot be an anchor: %s", arg(r, "FILE").p, e.why);
	trust_drop(t);
	return OK;
}

static err read_cert(struct run *r, struct cert *c)
{
	struct str file;
	size_t n = 0;
	TRY(arg_file(r, "FILE", FILE_MOST, &file));
	err e = cert_read_pem_or_der(r->a, str_bytes(file), c, 1, &n);
	if (e.kind || n != 1)
		return fault(r->a, &BAD_USAGE, "%s is not one certificate, PEM or DER%s%s", arg(r, "FILE").p, e.kind ? ": " : "", e.kind ? e.why : "");
	return OK;
}

/* The CN of a subject as RFC 4514 writes it, or the whole when there is none. */
static struct str common_name(struct arena *a, struct str subject)
{
	const char *cn = strstr(subject.p, "CN=");
	if (!cn || (cn != subject.p && cn[-1] != ',' && cn[-1] != '+'))
		return subject;
	size_t n = 3;
	while (cn[n] && cn[n] != ',' && cn[n] != '+')
		n += cn[n] == '\\' && cn[n + 1] ? 2 : 1;
	return n > 3 ? str_dup(a, cn + 3, n - 3) : subject;
}

static err add(struct run *r)
{
	struct cert c;
	struct str purposes;
	TRY(check_words(r));
	TRY(purposes_of(r, &purposes));
	TRY(read_cert(r, &c));
	struct trust_row row = {
		.id = c.id, .name = arg_there(r, "--name") ? arg(r, "--name") : common_name(r->a, c.subject), .kind = arg_there(r, "--intermediate") ? S("intermediate") : S("anchor"),
		.purposes = purposes, .der = b64(r->a, c.der), .added_at = r->now,
	};
	TRY(settings_of(r, &row.settings));
	TRY(check_anchor(r, &row));
	json_t *o = json_own(r->a, shown(r, &row, &c));
	if (!r->json)
		show_one(r, o, COLUMNS);
	fflush(stdout);
	TRY(check_fingerprint(r, c.id));
	struct audit ev = audit_by_tool(r, "trust.added");
	ev.detail = str_fmt(r->a, "{\"trust\":\"%s\"}", row.id.p);
	err e = store_trust_add(r->house->store, r->a, &row, &ev);
	if (e.kind == &CONFLICT)
		return fault(r->a, &CONFLICT, "this certificate is listed already; motid trust list shows it");
	TRY(e);
	if (r->json)
		show_one(r, o, COLUMNS);
	else
		fputs("Added.\n", stderr);
	return OK;
}

/* ---- list, show, disable ------------------------------------------------------------------------------------------- */

static err cert_of(struct run *r, const struct trust_row *row, struct cert *c)
{
	struct bytes der;
	if (!b64_read(r->a, row->der, &der))
		return fault(r->a, &SERVER_ERROR, "trust %s: not base64", row->id.p);
	return cert_read(r->a, der, c);
}

static err list(struct run *r)
{
	static const struct column LIST[] = {
		{ "SHA-256", "id", 17 }, { "NAME", "name", 0 }, { "PURPOSES", "purposes", 13 }, { "STATE", "state", 8 }, { "UNTIL", "not_after", 20 }, { 0 },
	};
	struct trust_row *rows;
	size_t n;
	json_t *all = json_own(r->a, json_array());
	TRY(store_trust_list(r->house->store, r->a, &rows, &n));
	for (size_t i = 0; i < n; i++) {
		struct cert c;
		TRY(cert_of(r, &rows[i], &c));
		json_array_append_new(all, shown(r, &rows[i], &c));
	}
	show_list(r, all, LIST);
	return OK;
}

/* A fingerprint, or how it begins: eight digits at least, and only one may begin so. */
static err find(struct run *r, struct trust_row **row)
{
	struct trust_row *rows;
	struct str id = hex_of(r->a, arg(r, "ID"));
	size_t n;
	*row = NULL;
	if (id.n < TYPED_LEAST)
		return fault(r->a, &BAD_USAGE, "a fingerprint, or at least its first %d digits", TYPED_LEAST);
	TRY(store_trust_list(r->house->store, r->a, &rows, &n));
	for (size_t i = 0; i < n; i++) {
		if (!str_starts(rows[i].id, id))
			continue;
		if (*row)
			return fault(r->a, &CONFLICT, "more than one fingerprint begins with %s", id.p);
		*row = &rows[i];
	}
	return needs_row(r, *row, "trust", arg(r, "ID"));
}

static err show(struct run *r)
{
	struct trust_row *row;
	struct cert c;
	TRY(find(r, &row));
	TRY(cert_of(r, row, &c));
	show_one(r, json_own(r->a, shown(r, row, &c)), COLUMNS);
	return OK;
}

static err disable(struct run *r)
{
	struct trust_row *row;
	bool existed;
	TRY(find(r, &row));
	struct audit ev = audit_by_tool(r, "trust.disabled");
	ev.detail = str_fmt(r->a, "{\"trust\":\"%s\"}", row->id.p);
	TRY(store_trust_disable(r->house->store, r->a, row->id, r->now, &existed, &ev));
	TRY(needs_row(r, existed ? row : NULL, "trust", row->id));
	json_t *o = json_own(r->a, json_object());
	json_put(o, "disabled", show_str(row->id));
	show_one(r, o, (const struct column[]){ { "disabled", "disabled", 0 }, { 0 } });
	return OK;
}

const struct command TRUST_COMMANDS[] = {
	{ "trust", "add",
	  "FILE --for WORDS... [--name NAME] [--intermediate] [--ocsp URL] [--ocsp-nonce] [--crl URL] [--policy OID]... [--eku OID]... [--level LEVEL] "
	  "[--fingerprint HEX]",
	  "trust an authority once its fingerprint was compared", add, NEEDS_SCHEMA },
	{ "trust", "list", "", "the authorities that are trusted, and for what", list, NEEDS_SCHEMA },
	{ "trust", "show", "ID", "one of them, by its fingerprint or how that begins", show, NEEDS_SCHEMA },
	{ "trust", "disable", "ID", "trust it no more", disable, NEEDS_SCHEMA },
	{ 0 },
};
