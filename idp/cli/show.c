#include "tool.h"
#include "clock.h"
#include "rand.h"
#include <stdlib.h>
#include <unistd.h>
#include <uniwidth.h>
#include <unistr.h>

enum { WIDTH = 80, GAP = 2, COLUMNS_MOST = 12 };

json_t *show_time(struct run *r, epoch t) { return t ? show_str(clock_text(r->a, t)) : json_null(); }
json_t *show_str(struct str s) { return json_stringn(s.p ? s.p : "", s.n); }

/* A NULL here is memory that ran out, or text that is not UTF-8, which the store does not hold. */
void json_put(json_t *o, const char *name, json_t *v)
{
	if (json_object_set_new(o, name, v))
		abort();
}

size_t text_width(struct str s)
{
	int n = u8_width((const uint8_t *)s.p, s.n, "UTF-8");
	return n > 0 ? (size_t)n : 0;
}

/* A value as one line of text: lists with spaces, null as nothing, no control characters that could move the cursor. */
static struct str cell(struct run *r, const json_t *row, const char *member)
{
	const json_t *v = json_object_get(row, member);
	struct str s = json_text(row, member);
	if (json_is_boolean(v))
		s = json_is_true(v) ? S("yes") : S("no");
	else if (json_is_integer(v))
		s = str_fmt(r->a, "%lld", (long long)json_integer_value(v));
	else if (json_is_array(v))
		s = strs_join(r->a, json_strs(r->a, row, member), S(" "));
	else if (json_is_object(v))
		s = json_dump(r->a, v);
	s = str_copy(r->a, s);
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7f || ((unsigned char)s.p[i] == 0xc2 && (unsigned char)s.p[i + 1] < 0xa0))
			((char *)(uintptr_t)s.p)[i] = '?';
	return s;
}

/* The longest start of s that takes `most` columns, with an ellipsis when something is left out. */
static struct str fitted(struct run *r, struct str s, size_t most)
{
	size_t at = 0;
	if (text_width(s) <= most)
		return s;
	for (size_t i = 0; i < s.n;) {
		ucs4_t c;
		int n = u8_mbtoucr(&c, (const uint8_t *)s.p + i, s.n - i);
		if (n <= 0)
			break;
		i += (size_t)n;
		if (text_width((struct str){ s.p, i }) > most - 1)
			break;
		at = i;
	}
	return str_fmt(r->a, "%.*s\xe2\x80\xa6", (int)at, s.p);
}

static void pad(size_t n)
{
	while (n--)
		putchar(' ');
}

static void print_cell(struct run *r, struct str s, size_t width, bool last)
{
	s = fitted(r, s, width);
	fwrite(s.p, 1, s.n, stdout);
	if (!last)
		pad(width - text_width(s) + GAP);
}

static size_t column_count(const struct column *c)
{
	size_t n = 0;
	while (n < COLUMNS_MOST && c[n].title)
		n++;
	return n;
}

/* Each column is as wide as its widest cell; the one that gives way takes what 80 columns leave it. */
static void widths_of(struct run *r, const json_t *rows, const struct column *c, size_t n, size_t width[COLUMNS_MOST])
{
	size_t sum = 0, gives = n;
	for (size_t k = 0; k < n; k++) {
		width[k] = strlen(c[k].title);
		for (size_t i = 0; i < json_array_size(rows); i++) {
			size_t w = text_width(cell(r, json_array_get(rows, i), c[k].member));
			if (w > width[k])
				width[k] = w;
		}
		if (c[k].most && width[k] > c[k].most)
			width[k] = c[k].most;
		if (!c[k].most)
			gives = k;
		sum += width[k] + (k + 1 < n ? GAP : 0);
	}
	if (gives < n && sum > WIDTH) {
		size_t over = sum - WIDTH;
		width[gives] = width[gives] > over + 8 ? width[gives] - over : 8;
	}
}

static void print_json(struct run *r, const json_t *v)
{
	struct str s = json_dump(r->a, v);
	fwrite(s.p, 1, s.n, stdout);
	putchar('\n');
}

void show_list(struct run *r, json_t *rows, const struct column *c)
{
	size_t n, width[COLUMNS_MOST];
	if (r->json) {
		print_json(r, rows);
		return;
	}
	if (!json_array_size(rows)) {
		fputs("nothing\n", stderr);
		return;
	}
	n = column_count(c);
	widths_of(r, rows, c, n, width);
	for (size_t k = 0; k < n; k++)
		print_cell(r, str_of(c[k].title), width[k], k + 1 == n);
	putchar('\n');
	for (size_t i = 0; i < json_array_size(rows); i++) {
		for (size_t k = 0; k < n; k++)
			print_cell(r, cell(r, json_array_get(rows, i), c[k].member), width[k], k + 1 == n);
		putchar('\n');
	}
}

/* One value a line; a list takes a line for each. */
static void print_field(struct run *r, const json_t *row, const struct column *c, size_t label)
{
	const json_t *v = json_object_get(row, c->member);
	struct strs lines = json_is_array(v) ? json_strs(r->a, row, c->member) : (struct strs){ &(struct str){ 0 }, 1 };
	if (!json_is_array(v))
		lines.v[0] = cell(r, row, c->member);
	for (size_t i = 0; i < lines.n; i++) {
		if (str_empty(lines.v[i]))
			continue;
		print_cell(r, i ? S("") : str_of(c->title), label, false);
		fwrite(lines.v[i].p, 1, lines.v[i].n, stdout);
		putchar('\n');
	}
}

void show_one(struct run *r, json_t *row, const struct column *c)
{
	size_t label = 0;
	if (r->json) {
		print_json(r, row);
		return;
	}
	for (const struct column *k = c; k->title; k++)
		if (strlen(k->title) > label)
			label = strlen(k->title);
	for (; c->title; c++)
		print_field(r, row, c, label);
}

struct audit audit_by_tool(struct run *r, const char *event)
{
	struct jw w = jw_new(r->a, 128);
	struct audit e = { .id = rand_id(r->a, r->now_ms), .at_ms = r->now_ms, .event = str_of(event), .outcome = S("ok"), .client_id = S(""),
		.person_id = S(""), .sid = S(""), .request_id = S(""), .peer = S("console"), .why = S(""), .detail = S("") };
	jw_object(&w, NULL);
	jw_int(&w, "uid", getuid());
	jw_end(&w);
	err ignored = jw_done(&w, &e.detail);    /* it fits */
	(void)ignored;
	return e;
}

err needs_row(struct run *r, const void *row, const char *what, struct str id)
{
	return row ? OK : fault(r->a, &NOT_FOUND, "there is no %s %s; motid %s list shows them all", what, id.p, what);
}
