#pragma once
#include <stdio.h>
#include "cli.h"
#include "json.h"

/* What the files of this room share. */

struct given { struct str name, value; };    /* "--name" or, for an operand, "NAME" */

struct run {
	struct arena *a;
	struct house *house;                     /* NULL for commands that need none */
	const struct command *command;
	const char *config;
	bool json;                               /* --json: one JSON value on standard output, nothing else */
	epoch now;
	int64_t now_ms;
	struct given *given;
	size_t n;
};

/* args is what help prints and what is enforced: words separated by spaces, --option VALUE, --flag, OPERAND, "..." after what may
 * come many times, [brackets] around what may be left out. --config, --json and --help go with every command. */
struct command {
	const char *noun, *verb, *args, *says;
	err (*fn)(struct run *);
	enum { NEEDS_NOTHING, NEEDS_STORE, NEEDS_SCHEMA } needs;
};
extern const struct command CLIENT_COMMANDS[], PERSON_COMMANDS[], TRUST_COMMANDS[], CERT_COMMANDS[], SESSION_COMMANDS[], LOGOUT_COMMANDS[], KEY_COMMANDS[], AUDIT_COMMANDS[],
	MIGRATE_COMMANDS[], POLICY_COMMANDS[], OTHER_COMMANDS[];    /* each ends with a zero row */
extern const struct command *const COMMANDS[];       /* ends with NULL */

/* snippet.c; the table is made of deploy/snippets and ends with a zero row */
struct snippet { const char *name, *text; };
extern const struct snippet SNIPPETS[];
err client_snippet(struct run *);

/* args.c */
err args_read(struct run *, int argc, char **argv);  /* after noun and verb; BAD_USAGE with the nearest name */
struct str arg(const struct run *, const char *name);             /* "" when it was not given */
bool arg_there(const struct run *, const char *name);
struct strs args_all(const struct run *, const char *name);
err arg_file(struct run *, const char *name, size_t max, struct str *out);   /* the file that it names; "-" is standard input */
/* The options that were given, as members of the object being written. Tables end with a zero row. */
struct option { const char *name, *member; bool list; };
void args_write(const struct run *, struct jw *, const struct option *);
/* The value itself; "-" stands for a line of standard input, so that it stays out of the shell's history and the list of processes. */
err arg_or_line(struct run *, const char *name, struct str *out);
err line_read(struct arena *a, struct str *out);     /* one line of standard input; "" at its end */

/* show.c: what a command says, as a table for people or as JSON for programs, from the same values. */
struct column { const char *title, *member; size_t most; };   /* most 0: the column that gives way. Tables end with a zero row */
void show_list(struct run *, json_t *rows, const struct column *);
void show_one(struct run *, json_t *row, const struct column *);
json_t *show_time(struct run *, epoch);              /* RFC 3339; null for 0 */
json_t *show_str(struct str);
void json_put(json_t *o, const char *name, json_t *v);
size_t text_width(struct str);                       /* columns that it takes on a terminal */

struct audit audit_by_tool(struct run *, const char *event);
err needs_row(struct run *, const void *row, const char *what, struct str id);   /* NOT_FOUND when row is NULL */
