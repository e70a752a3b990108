#include "arena.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK = 16 * 1024 - 64 };

struct chunk { struct chunk *next; size_t used, size; _Alignas(16) unsigned char data[]; };
struct defer { struct defer *next; void (*fn)(void *); void *p; };
struct arena { struct chunk *chunks; struct defer *defers; };

static void *must(void *p)
{
	if (!p) {
		fputs("out of memory\n", stderr);
		abort();
	}
	return p;
}

struct arena *arena_new(void) { return must(calloc(1, sizeof(struct arena))); }

void *arena_alloc(struct arena *a, size_t n)
{
	if (n > (size_t)1 << 31) {
		fputs("an allocation beyond every limit\n", stderr);
		abort();
	}
	n = (n + 15) & ~(size_t)15;
	if (!a->chunks || a->chunks->size - a->chunks->used < n) {
		size_t size = n > CHUNK ? n : CHUNK;
		struct chunk *c = must(calloc(1, sizeof *c + size));
		*c = (struct chunk){ .next = a->chunks, .size = size };
		a->chunks = c;
	}
	void *p = a->chunks->data + a->chunks->used;
	a->chunks->used += n;
	return p;
}

void arena_defer(struct arena *a, void (*fn)(void *), void *p)
{
	struct defer *d = make(a, struct defer);
	*d = (struct defer){ a->defers, fn, p };
	a->defers = d;
}

void arena_reset(struct arena *a)
{
	for (struct defer *d = a->defers; d; d = d->next)
		d->fn(d->p);
	struct chunk *kept = NULL;
	for (struct chunk *c = a->chunks, *next; c; c = next) {
		next = c->next;
		explicit_bzero(c->data, c->used);
		if (!kept && c->size == CHUNK) {
			kept = c;
			*kept = (struct chunk){ .size = CHUNK };
		} else {
			free(c);
		}
	}
	*a = (struct arena){ .chunks = kept };
}

void arena_free(struct arena *a)
{
	if (!a)
		return;
	arena_reset(a);
	free(a->chunks);
	free(a);
}

size_t arena_size(const struct arena *a)
{
	size_t n = 0;
	for (const struct chunk *c = a->chunks; c; c = c->next)
		n += sizeof *c + c->size;
	return n;
}
