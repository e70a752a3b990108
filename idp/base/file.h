#pragma once
#include "err.h"
#include "str.h"

/* Whole files. BAD_CONFIG with the path and the reason when the file cannot be read or is longer than max. */
err file_read(struct arena *a, const char *path, size_t max, struct str *out);      /* may hold any byte */
err file_read_secret(struct arena *a, const char *path, size_t max, struct str *out); /* and is refused if group or others may read it */
err file_write_new(struct arena *a, const char *path, unsigned mode, struct bytes b); /* CONFLICT if it exists; synced */
