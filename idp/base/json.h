#pragma once
#include <jansson.h>
#include "buf.h"
#include "err.h"
#include "str.h"

/* Reading: jansson, with limits at the door. RFC 8259; I-JSON's rule against duplicate names (RFC 7493 section 2.3);
 * at most JSON_MAX_DEPTH deep and JSON_MAX_SIZE long; \u0000 is refused, so is anything after the value.
 * The value is adopted by the arena: do not json_decref it. */
enum { JSON_MAX_DEPTH = 16, JSON_MAX_SIZE = 65536 };

err json_read(struct arena *a, struct str text, json_t **out);      /* any value; INVALID_REQUEST with the place */
err json_read_object(struct arena *a, struct str text, json_t **out);

/* Typed getters: false when the member is missing or is of another type (a real number is no integer).
 * Strings are borrowed from the value. */
bool json_str(const json_t *o, const char *name, struct str *out);
bool json_int(const json_t *o, const char *name, int64_t *out);
bool json_bool(const json_t *o, const char *name, bool *out);
struct str json_text(const json_t *o, const char *name);            /* the string, or "" */
struct strs json_strs(struct arena *a, const json_t *o, const char *name);  /* an array of strings, or one string; else none */
struct str json_dump(struct arena *a, const json_t *v);             /* compact, members in order of insertion */
void json_put_str(json_t *o, const char *name, struct str v);       /* a member that is a string; nothing when v is empty */
json_t *json_own(struct arena *a, json_t *v);                       /* the arena adopts a new reference; returns v */

/* Writing: straight into a buffer; commas look after themselves. Objects and arrays end by jw_end. */
struct jw { struct buf b; bool comma; int depth; char close[JSON_MAX_DEPTH]; };

struct jw jw_new(struct arena *a, size_t max);
void jw_object(struct jw *w, const char *name);       /* name NULL inside an array and at the top */
void jw_array(struct jw *w, const char *name);
void jw_end(struct jw *w);
void jw_str(struct jw *w, const char *name, struct str v);
void jw_opt(struct jw *w, const char *name, struct str v);   /* nothing when v is empty */
void jw_int(struct jw *w, const char *name, int64_t v);
void jw_bool(struct jw *w, const char *name, bool v);
void jw_raw(struct jw *w, const char *name, struct str json);
void jw_strs(struct jw *w, const char *name, struct strs v);
err jw_done(struct jw *w, struct str *out);
