#include "client.h"
#include "rand.h"
#include "tool.h"

/* `motid client snippet`: what connects a framework to this provider, filled in for one client. The texts are deploy/snippets, which the tests run. */

enum { SNIPPET_MOST = 32 * 1024 };

struct blank { const char *name; struct str value; };

static struct str words_but(struct arena *a, struct str words, const char *leave_out, bool leave)
{
	struct strs l = str_words(a, words), kept = { make_n(a, struct str, l.n + 1), 0 };
	for (size_t i = 0; i < l.n; i++)
		if (!leave || !str_is(l.v[i], leave_out))
			kept.v[kept.n++] = l.v[i];
	return strs_join(a, kept, S(" "));
}

static struct str encoded(struct arena *a, struct str s)
{
	struct buf b = buf_new(a, s.n + 16, 3 * s.n + 16);
	buf_url(&b, s);
	return (struct str){ b.p, b.n };
}

static struct str commas(struct arena *a, struct str words) { return strs_join(a, str_words(a, words), S(",")); }

/* scheme://host[:port], and what comes behind it */
static struct str origin_of(struct arena *a, struct str uri, struct str *path)
{
	const char *slashes = strstr(uri.p, "://");
	size_t n = slashes ? (size_t)(slashes - uri.p) + 3 : 0;
	n += strcspn(uri.p + n, "/?");
	struct str rest = str_from(a, uri, n);
	*path = str_dup(a, rest.p, strcspn(rest.p, "?"));
	return str_dup(a, uri.p, n);
}

static struct str folder_of(struct arena *a, struct str path)
{
	const char *last = strrchr(path.p, '/');
	return last && last > path.p ? str_dup(a, path.p, (size_t)(last - path.p)) : S("/");
}

/* It goes into strings of several languages; a registration is not trusted to stay inside of them. */
static err check_value(struct run *r, const struct blank *b)
{
	if (!str_printable(b->value) || strpbrk(b->value.p, "\"\\<>"))
		return fault(r->a, &BAD_USAGE, "the %s of this client cannot be written into a configuration", b->name);
	return OK;
}

static err fill(struct run *r, const char *text, const struct blank *l, size_t n, struct str *out)
{
	struct buf b = buf_new(r->a, 4096, SNIPPET_MOST);
	while (*text) {
		size_t i = 0, len = 0;
		for (; i < n; i++)
			if (text[0] == '@' && strncmp(text + 1, l[i].name, len = strlen(l[i].name)) == 0 && text[1 + len] == '@')
				break;
		if (i < n)
			buf_str(&b, l[i].value);
		else
			buf_char(&b, *text);
		text += i < n ? len + 2 : 1;
	}
	return buf_done(&b, out);
}

static err find_snippet(struct run *r, const struct snippet **out)
{
	for (*out = SNIPPETS; (*out)->name; ++*out)
		if (str_is(arg(r, "--for"), (*out)->name))
			return OK;
	return fault(r->a, &BAD_USAGE, "--for is one of: apache aspnet nginx node python spring");
}

static err check_client(struct run *r, const struct client *c, const struct snippet *s)
{
	if (strcmp(s->name, "nginx") == 0)
		return OK;
	if (!str_is(c->auth_method, "client_secret_basic"))
		return fault(r->a, &BAD_USAGE, "these configurations authenticate by client_secret_basic, and %s by %s", c->id.p, c->auth_method.p);
	return c->redirect_uris.n ? OK : fault(r->a, &BAD_USAGE, "%s has no redirect URI", c->id.p);
}

static err snippet_of(struct run *r, const struct client *c, const struct snippet *s, struct str secret, struct str *out)
{
	struct arena *a = r->a;
	struct str issuer = r->house->issuer, path, ignored, redirect = c->redirect_uris.n ? c->redirect_uris.v[0] : S("");
	struct str origin = origin_of(a, redirect, &path), host = origin_of(a, issuer, &ignored);
	struct str out_at = c->post_logout_redirect_uris.n ? c->post_logout_redirect_uris.v[0] : str_fmt(a, "%s/", origin.p);
	struct str scope = words_but(a, c->scope, "offline_access", !strs_has(c->grant_types, S("refresh_token")));
	const struct blank BLANKS[] = {
		{ "issuer", issuer }, { "issuer_host", str_of(strstr(host.p, "://") + 3) }, { "client_id", c->id }, { "client_secret", secret },
		{ "redirect_uri", redirect }, { "redirect_path", path }, { "folder", folder_of(a, path) }, { "signed_out", out_at },
		{ "signed_out_encoded", encoded(a, out_at) }, { "scope", scope }, { "scope_commas", commas(a, scope) }, { "random", rand_token(a) },
	};
	enum { N = sizeof BLANKS / sizeof *BLANKS };
	for (size_t i = 0; i < N; i++)
		TRY(check_value(r, &BLANKS[i]));
	return fill(r, s->text, BLANKS, N, out);
}

err client_snippet(struct run *r)
{
	struct client_row *row;
	struct client c;
	const struct snippet *s;
	struct str secret, text;
	TRY(find_snippet(r, &s));
	TRY(store_client(r->house->store, r->a, arg(r, "ID"), &row));
	TRY(needs_row(r, row, "client", arg(r, "ID")));
	TRY(client_parse(r->a, row->id, row->metadata, &c));
	TRY(check_client(r, &c, s));
	TRY(arg_or_line(r, "--secret", &secret));
	TRY(snippet_of(r, &c, s, secret.n ? secret : S("PUT-THE-SECRET-HERE"), &text));
	if (!r->json) {
		fwrite(text.p, 1, text.n, stdout);
		return OK;
	}
	json_t *o = json_own(r->a, json_object());
	json_put(o, "snippet", show_str(text));
	show_one(r, o, (const struct column[]){ { "snippet", "snippet", 0 }, { 0 } });
	return OK;
}
