#pragma once
#include <stddef.h>

/* A room for everything one request makes. Nothing in it is freed by hand: when the
 * request is over the room is cleared, last thing in first, and every used byte is wiped.
 *
 * Lifetimes in this program are three, and each is an arena: the process, one generation of
 * the configuration, one request. Not for private keys (pki/signer.h), and not for anything
 * that grows for as long as the process lives: memory comes back only when the room is cleared. */
struct arena;

struct arena *arena_new(void);
void *arena_alloc(struct arena *a, size_t n);                    /* zeroed, 16-byte aligned; never NULL */
void arena_defer(struct arena *a, void (*fn)(void *), void *p);  /* adopt a foreign object: fn(p) at reset */
void arena_reset(struct arena *a);                               /* keeps one chunk for the next request */
void arena_free(struct arena *a);                                /* NULL is fine */
size_t arena_size(const struct arena *a);                        /* bytes held from the system */

#define make(a, T) ((T *)arena_alloc((a), sizeof(T)))
#define make_n(a, T, n) ((T *)arena_alloc((a), sizeof(T) * (n)))
