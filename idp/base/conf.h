#pragma once
#include "err.h"
#include "str.h"

/* One setting, one line: what it is called, what it may be, where it goes, what it is when unsaid.
 *
 *   [idp]                        a section whose settings go into the struct itself
 *   issuer = https://id.example
 *   [operator viettel]           a section that may come many times, each under a name of its own
 *
 * '#' begins a comment line. Whatever the table does not know is refused, with file, line and the nearest name. */
enum conf_type {
	CONF_STR,        /* struct str */
	CONF_URL,        /* struct str: https://..., or http:// on localhost, 127.0.0.1 or [::1]; no fragment, no trailing slash */
	CONF_FILE,       /* struct str: a path; a relative one is taken from the configuration file's folder */
	CONF_SECONDS,    /* int64_t: 90, 90s, 15m, 8h, 30d; least..most */
	CONF_COUNT,      /* int64_t: least..most */
	CONF_BOOL,       /* bool: yes or no */
	CONF_WORDS,      /* struct strs: separated by spaces; each one of the words in `among`, where there are some */
	CONF_CHOICE,     /* struct str: one of the words in `among` */
};
struct setting {
	const char *key;
	enum conf_type type;
	size_t at;
	const char *unsaid;          /* as it would be written; or REQUIRED_SETTING */
	int64_t least, most;
	const char *among;
};
#define REQUIRED_SETTING ((const char *)-1)

/* Settings of one section. For a section that comes many times (size > 0) `at` is where a struct conf_list goes;
 * its items are of `size` bytes and begin with a struct str: the section's name. */
struct section { const char *name; const struct setting *settings; size_t at, size; };
struct conf_list { void *items; size_t n; };

/* Both tables end with a zero row. Errors are BAD_CONFIG and begin with "path:line: ". Text lives in a. */
err conf_read(struct arena *a, const char *path, struct str text, const struct section *sections, void *into);
err conf_load(struct arena *a, const char *path, const struct section *sections, void *into);

/* The nearest of many names by edit distance, or NULL when none is near enough to be meant. */
const char *nearest_name(const char *given, const char *const *names, size_t n);
