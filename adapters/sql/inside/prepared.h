#pragma once
#include <stddef.h>

/* What a connection has prepared, by the address of its text. Never shrinks: there are as many as the program has statements. */
struct prepared { const char *text; void *what; };
struct prepared_set { struct prepared *v; size_t n, cap; };

/* The place for text, made when it is new (what NULL). Good until the next call. NULL when memory is gone. */
struct prepared *prepared_at(struct prepared_set *, const char *text);
