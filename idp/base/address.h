#pragma once
#include "str.h"

/* Internet addresses as sixteen bytes; IPv4 as ::ffff:a.b.c.d (RFC 4291 section 2.5.5.2). */
struct address { unsigned char at[16]; };
struct network { struct address base; int bits; };

bool address_read(struct str s, struct address *out);                /* 10.1.2.3, fd00::1, without brackets */
bool network_read(struct str s, struct network *out);                /* 10.0.0.0/8, fd00::/8, or one address */
bool address_in(const struct address *, struct str networks);        /* words, each one that network_read reads */
/* Neither of a private, local, shared, documentation, multicast or translating network (RFC 6890): what a stranger may make us ask. */
bool address_public(const struct address *);
