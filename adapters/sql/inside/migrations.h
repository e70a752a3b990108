#pragma once
#include <stddef.h>
#include <stdint.h>

/* Made by schema/embed.py; ends with version 0. */
struct schema_step { int64_t version; const char *name; const char *const *statements; };
extern const struct schema_step schema_sqlite[], schema_postgres[];
