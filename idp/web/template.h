#pragma once
#include "http.h"

/* A compiled page: what compile.py writes and page.c walks. */
enum op_kind {
	OP_TEXT,                             /* text as it is */
	OP_VALUE, OP_ADDRESS, OP_NAME,       /* the member called text: escaped; only if a safe address; standing out */
	OP_EACH, OP_UNLESS, OP_IF, OP_IMAGE, /* a section over the member called text; arg is the op after it */
	OP_WORDS, OP_WORDS_PLAIN,            /* WORDS[arg]; plain: inside of an attribute or a title */
	OP_WORDS_OF, OP_WORDS_OF_PLAIN,      /* the words called more + the member called text, else WORDS[arg] */
};
struct op { enum op_kind kind; unsigned arg; const char *text; size_t n; const char *more; };
struct template { const char *name; const struct op *ops; size_t n; };

struct words { const char *key; const struct op *ops[2]; size_t n[2]; };   /* 0 vi, 1 en; sorted by key */
extern const struct words WORDS[];
extern const size_t WORDS_N;

struct static_file { const char *name, *url, *type, *data; size_t n; };
extern const struct static_file STATICS[];
extern const size_t STATICS_N;
