#include "helper.h"
#include "json.h"
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

static const char HELP[] =
	"motid-token: sign in to web sites with the certificate on your USB token\n"
	"\n"
	"  motid-token serve --allow ORIGIN [--allow ORIGIN ...]   answer these sites' sign-in pages, until stopped\n"
	"  motid-token auth --origin ORIGIN --nonce NONCE          sign one challenge and print the result, to paste into the page\n"
	"  motid-token list                                        show the token and the certificate that would be used\n"
	"\n"
	"  --module FILE   the PKCS#11 module of the token (or $MOTID_TOKEN_MODULE)\n"
	"  --token LABEL   the token, when there are several\n"
	"  --port N        where the sign-in pages look for this program; 28990 when unsaid\n"
	"  --ask HOW       where the PIN is asked for: tty, pinentry, or a program that prints it; tty when unsaid\n";

struct words { const char *command, *module, *origin, *nonce; struct helper h; int64_t port; };

static err read_words(struct arena *a, int argc, char **argv, struct words *w)
{
	static const struct option OPTIONS[] = {
		{ "module", 1, NULL, 'm' }, { "token", 1, NULL, 't' }, { "port", 1, NULL, 'p' }, { "ask", 1, NULL, 'k' }, { "allow", 1, NULL, 'a' },
		{ "origin", 1, NULL, 'o' }, { "nonce", 1, NULL, 'n' }, { "help", 0, NULL, 'h' }, { 0 },
	};
	*w = (struct words){ .module = getenv("MOTID_TOKEN_MODULE"), .port = 28990, .h = { .ask = "tty", .label = S("") } };
	w->h.origins.v = make_n(a, struct str, (size_t)argc);
	for (int o; (o = getopt_long(argc, argv, "h", OPTIONS, NULL)) != -1;)
		switch (o) {
		case 'm': w->module = optarg; break;
		case 't': w->h.label = str_of(optarg); break;
		case 'k': w->h.ask = optarg; break;
		case 'a': w->h.origins.v[w->h.origins.n++] = str_of(optarg); break;
		case 'o': w->origin = optarg; break;
		case 'n': w->nonce = optarg; break;
		case 'p':
			if (!str_int(str_of(optarg), 1, 65535, &w->port))
				return fault(a, &BAD_USAGE, "--port must be a number from 1 to 65535");
			break;
		case 'h': w->command = "help"; return OK;
		default: return fault(a, &BAD_USAGE, "see motid-token --help");
		}
	w->command = optind < argc ? argv[optind] : "help";
	return OK;
}

static err list(struct helper *h, struct arena *a)
{
	struct card_info i;
	TRY(card_look(h->card, a, h->label, &i));
	printf("token        %s\ncertificate  %s\nalgorithm    %s\n", i.token.p, i.subject.p, i.algorithm.p);
	if (i.pin_locked)
		printf("PIN          locked\n");
	return OK;
}

static err auth(struct words *w, struct arena *a)
{
	struct str token;
	if (!w->origin || !w->nonce)
		return fault(a, &BAD_USAGE, "auth needs --origin and --nonce");
	TRY(helper_sign(&w->h, a, str_of(w->origin), str_of(w->nonce), &token));
	printf("%s\n", token.p);
	return OK;
}

static err run(struct arena *a, int argc, char **argv)
{
	struct words w;
	TRY(read_words(a, argc, argv, &w));
	if (!strcmp(w.command, "help")) {
		fputs(HELP, stdout);
		return OK;
	}
	if (!w.module)
		return fault(a, &BAD_USAGE, "which token? give --module /path/to/its/pkcs11.so");
	TRY(card_open(a, w.module, &w.h.card));
	err e;
	if (!strcmp(w.command, "list"))
		e = list(&w.h, a);
	else if (!strcmp(w.command, "auth"))
		e = auth(&w, a);
	else if (!strcmp(w.command, "serve"))
		e = w.h.origins.n ? helper_serve(&w.h, a, (unsigned short)w.port) : fault(a, &BAD_USAGE, "serve needs at least one --allow ORIGIN");
	else
		e = fault(a, &BAD_USAGE, "no command '%s'; see motid-token --help", w.command);
	card_close(w.h.card);
	return e;
}

int main(int argc, char **argv)
{
	struct arena *a = arena_new();
	err e = run(a, argc, argv);
	if (e.kind)
		fprintf(stderr, "motid-token: %s\n", e.why);
	int status = !e.kind ? 0 : e.kind == &BAD_USAGE ? 2 : e.kind == &NOT_FOUND ? 3 : 1;
	arena_free(a);
	return status;
}
