#include "pages.h"
#include "template.h"
#include "house.h"
#include "settings.h"
#include <stdlib.h>

enum { PAGE_MAX = 64 * 1024, DEEPEST = 8, BACK_MAX = 1024 };

struct walk { struct buf out; const json_t *stack[DEEPEST]; size_t depth; int lang; bool plain; struct str images; };

static const json_t *member(const json_t *o, const char *name, size_t n)
{
	return json_is_object(o) ? json_object_getn(o, name, n) : NULL;
}

/* The innermost value that knows the first part of the name; the other parts below it. */
static const json_t *look_up(const struct walk *w, const char *name)
{
	if (strcmp(name, ".") == 0)
		return w->stack[w->depth - 1];
	size_t n = strcspn(name, ".");
	const json_t *v = NULL;
	for (size_t d = w->depth; d > 0 && !v; d--)
		v = member(w->stack[d - 1], name, n);
	while (v && name[n] == '.') {
		name += n + 1;
		n = strcspn(name, ".");
		v = member(v, name, n);
	}
	return v;
}

static struct str text_of(const struct walk *w, const json_t *v)
{
	if (json_is_string(v))
		return (struct str){ json_string_value(v), json_string_length(v) };
	if (json_is_integer(v))
		return str_fmt(w->out.a, "%lld", (long long)json_integer_value(v));
	return S("");
}

static bool there(const json_t *v)
{
	switch (v ? json_typeof(v) : JSON_NULL) {
	case JSON_NULL: case JSON_FALSE: return false;
	case JSON_STRING: return json_string_length(v) > 0;
	case JSON_INTEGER: return json_integer_value(v) != 0;
	case JSON_ARRAY: return json_array_size(v) > 0;
	default: return true;
	}
}

static bool is_ours(struct str s)
{
	if (s.n == 0 || s.p[0] != '/' || (s.n > 1 && (s.p[1] == '/' || s.p[1] == '\\')))
		return false;
	return str_printable(s) && !memchr(s.p, ' ', s.n) && !memchr(s.p, '\\', s.n);
}

struct str path_safe(struct str path) { return path.n <= BACK_MAX && is_ours(path) ? path : S("/"); }

static bool is_address(struct str s)
{
	return is_ours(s) || ((str_starts(s, S("https://")) || str_starts(s, S("http://"))) && str_utf8(s));
}

/* img-src is 'self' data: and at most one other origin; a picture of another site would only be a broken one. */
static bool is_image(struct str images, struct str s)
{
	if (images.n && str_starts(s, images) && s.n > images.n && s.p[images.n] == '/' && str_printable(s))
		return true;
	static const struct str KINDS[] = { S("png;base64,"), S("jpeg;base64,"), S("webp;base64,"), S("svg+xml;base64,") };
	if (is_ours(s))
		return true;
	struct str prefix = S("data:image/");
	if (!str_starts(s, prefix))
		return false;
	struct str rest = { s.p + prefix.n, s.n - prefix.n };
	for (size_t i = 0; i < sizeof KINDS / sizeof *KINDS; i++)
		if (str_starts(rest, KINDS[i]))
			return true;
	return false;
}

static void put_address(struct walk *w, struct str s) { buf_html(&w->out, is_address(s) || is_image(w->images, s) ? s : S("#")); }

/* Names keep their spelling: browsers that translate the page leave them alone. */
static void put_name(struct walk *w, struct str s)
{
	if (!w->plain)
		buf_str(&w->out, S("<b translate=\"no\">"));
	buf_html(&w->out, s);
	if (!w->plain)
		buf_str(&w->out, S("</b>"));
}

static int by_key(const void *key, const void *words) { return strcmp(key, ((const struct words *)words)->key); }

static const struct words *words_of(struct walk *w, const struct op *op)
{
	struct str key = str_fmt(w->out.a, "%s" STR_FMT, op->more, STR_ARG(text_of(w, look_up(w, op->text))));
	const struct words *found = bsearch(key.p, WORDS, WORDS_N, sizeof *WORDS, by_key);
	return found ? found : &WORDS[op->arg];
}

static void walk_ops(struct walk *w, const struct op *ops, size_t from, size_t to);

static void put_words(struct walk *w, const struct words *words, bool plain)
{
	w->plain = plain;
	walk_ops(w, words->ops[w->lang], 0, words->n[w->lang]);
	w->plain = false;
}

static void walk_one(struct walk *w, const json_t *v, const struct op *ops, size_t from, size_t to)
{
	if (w->depth == DEEPEST) {
		w->out.over = true;
		return;
	}
	w->stack[w->depth++] = v;
	walk_ops(w, ops, from, to);
	w->depth--;
}

static void walk_each(struct walk *w, const struct op *ops, size_t at)
{
	const json_t *v = look_up(w, ops[at].text), *item;
	size_t i;
	if (!there(v))
		return;
	if (!json_is_array(v)) {
		walk_one(w, v, ops, at + 1, ops[at].arg);
		return;
	}
	json_array_foreach((json_t *)(uintptr_t)v, i, item)
		walk_one(w, item, ops, at + 1, ops[at].arg);
}

static void walk_ops(struct walk *w, const struct op *ops, size_t from, size_t to)
{
	for (size_t i = from; i < to && !w->out.over; i++) {
		const struct op *op = &ops[i];
		switch (op->kind) {
		case OP_TEXT: buf_add(&w->out, op->text, op->n); break;
		case OP_VALUE: buf_html(&w->out, text_of(w, look_up(w, op->text))); break;
		case OP_ADDRESS: put_address(w, text_of(w, look_up(w, op->text))); break;
		case OP_NAME: put_name(w, text_of(w, look_up(w, op->text))); break;
		case OP_EACH: walk_each(w, ops, i); i = op->arg - 1; break;
		case OP_UNLESS: if (there(look_up(w, op->text))) i = op->arg - 1; break;
		case OP_IF: if (!there(look_up(w, op->text))) i = op->arg - 1; break;
		case OP_IMAGE: if (!is_image(w->images, text_of(w, look_up(w, op->text)))) i = op->arg - 1; break;
		case OP_WORDS: case OP_WORDS_PLAIN: put_words(w, &WORDS[op->arg], op->kind == OP_WORDS_PLAIN); break;
		case OP_WORDS_OF: case OP_WORDS_OF_PLAIN: put_words(w, words_of(w, op), op->kind == OP_WORDS_OF_PLAIN); break;
		}
	}
}

/* Switching the language asks the same page again, so it is offered only where asking again is harmless. */
static struct str here_of(const struct req *rq, const json_t *data)
{
	struct str here = json_text(data, "here");
	if (!here.n && (str_is(rq->method, "GET") || str_is(rq->method, "HEAD")))
		here = rq->target;
	return here.n <= BACK_MAX && is_ours(here) ? here : S("");
}

static json_t *digits_of(struct str code)
{
	json_t *list = json_array();
	for (size_t i = 0; i < code.n && i < 12; i++)
		if ((unsigned char)code.p[i] < 0x80)
			json_array_append_new(list, json_stringn_nocheck(code.p + i, 1));
	return list;
}

static json_t *what_all_pages_know(struct req *rq, const json_t *data)
{
	const struct house *h = rq->house;
	json_t *o = json_own(rq->a, json_object());
	bool en = str_is(rq->lang, "en");
	json_put_str(o, "lang", en ? S("en") : S("vi"));
	json_put_str(o, "provider", h && h->conf && h->conf->name.n ? h->conf->name : S("MotID"));
	if (h && memchr(h->origin.p ? h->origin.p : "", '/', h->origin.n))
		json_put_str(o, "host", str_of(strrchr(h->origin.p, '/') + 1));
	json_put_str(o, "ref", rq->id);
	struct str here = here_of(rq, data);
	if (here.n) {
		struct buf b = buf_new(rq->a, 256, 4 * BACK_MAX);
		buf_url(&b, here);
		json_put_str(o, en ? "to_vi" : "to_en", (struct str){ b.p, b.n });
	}
	if (json_text(data, "code").n)
		json_object_set_new(o, "digits", digits_of(json_text(data, "code")));
	return o;
}

static void page_headers(struct req *rq, struct res *rs)
{
	struct str none = S("");
	res_header(rq, rs, "Cache-Control", S("no-store"));
	res_header(rq, rs, "Content-Security-Policy", str_fmt(rq->a,
		"default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:%s" STR_FMT "; connect-src 'self'%s" STR_FMT
		"; form-action 'self'%s" STR_FMT "%s" STR_FMT "; frame-ancestors 'none'; base-uri 'none'",
		rs->images.n ? " " : "", STR_ARG(rs->images.n ? rs->images : none),
		rs->connect.n ? " " : "", STR_ARG(rs->connect.n ? rs->connect : none),
		rs->form_action.n ? " " : "", STR_ARG(rs->form_action.n ? rs->form_action : none),
		rs->frames.n ? "; frame-src " : "", STR_ARG(rs->frames.n ? rs->frames : none)));
	/* under no-referrer browsers send "Origin: null" with our own forms (Fetch section 3.2, "append a request Origin header") */
	res_header(rq, rs, "Referrer-Policy", S("strict-origin"));
	res_header(rq, rs, "X-Frame-Options", S("DENY"));
	res_header(rq, rs, "Cross-Origin-Opener-Policy", S("same-origin"));
	res_header(rq, rs, "Permissions-Policy", S("camera=(), geolocation=(), microphone=(), payment=(), usb=()"));
}

err page(struct req *rq, struct res *rs, int status, const struct template *t, json_t *data)
{
	struct walk w = { .out = buf_new(rq->a, 8192, PAGE_MAX), .stack = { what_all_pages_know(rq, data), data }, .depth = data ? 2 : 1,
	                  .lang = str_is(rq->lang, "en") ? 1 : 0, .images = rs->images };
	struct str body;
	walk_ops(&w, t->ops, 0, t->n);
	TRY(buf_done(&w.out, &body));
	rs->status = status;
	rs->type = S("text/html; charset=utf-8");
	rs->body = body;
	page_headers(rq, rs);
	return OK;
}

err page_fault(struct req *rq, struct res *rs, const struct err_kind *kind)
{
	json_t *data = json_own(rq->a, json_object());
	json_put_str(data, "fault", str_of(kind->code));
	return page(rq, rs, kind->status, kind == &NOT_FOUND ? &TPL_notfound : &TPL_error, data);
}
