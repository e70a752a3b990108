#pragma once
#include "t.h"
#include "file.h"
#include <stdio.h>

/* Other people's cases, counted. An exception stands by its id and a reason in a file beside the test; a listed case that passes fails
 * the run like an unlisted one that does not. */
struct corpus { struct arena *a; const char *name; struct str *id; size_t nid, ok, accepts, rejects, listed, bad; };

static inline struct corpus corpus_new(struct arena *a, const char *name, const char *exceptions)
{
	struct corpus c = { .a = a, .name = name };
	struct str text;
	fine(file_read(a, exceptions, 1 << 20, &text));
	c.id = make_n(a, struct str, text.n + 1);
	for (size_t at = 0, end; at < text.n; at = end + 1) {
		const char *nl = memchr(text.p + at, '\n', text.n - at), *tab;
		end = nl ? (size_t)(nl - text.p) : text.n;
		tab = memchr(text.p + at, '\t', end - at);
		if (text.p[at] != '#' && tab && tab + 1 < text.p + end)
			c.id[c.nid++] = str_dup(a, text.p + at, (size_t)(tab - text.p) - at);
	}
	return c;
}

static inline void corpus_case(struct corpus *c, const char *id, bool accepted, bool expected, const char *why)
{
	bool listed = false;
	for (size_t i = 0; i < c->nid; i++)
		listed |= str_is(c->id[i], id);
	c->listed += listed;
	c->ok += accepted == expected;
	c->accepts += accepted && !expected;
	c->rejects += !accepted && expected;
	if ((accepted == expected) == listed) {
		c->bad++;
		fprintf(stderr, "%s: %s: %s%s (%s)\n", c->name, id, accepted ? "accepted" : "rejected", listed ? " as expected, but is listed" : "", why ? why : "");
	}
}

static inline void corpus_end(struct corpus *c, size_t cases)
{
	fprintf(stderr, "%s: %zu ok, %zu false accepts, %zu false rejects, %zu of them listed\n", c->name, c->ok, c->accepts, c->rejects, c->listed);
	assert_int_equal(c->ok + c->accepts + c->rejects, cases);
	assert_int_equal(c->listed, c->nid);
	assert_int_equal(c->bad, 0);
}

static inline struct bytes corpus_file(struct arena *a, const char *folder, const char *name)
{
	struct str s;
	fine(file_read(a, str_fmt(a, "%s/%s/%s", t_corpora(), folder, name).p, 1 << 24, &s));
	return str_bytes(s);
}

#define needs_corpora() do { if (!t_corpora()) skip(); } while (0)
