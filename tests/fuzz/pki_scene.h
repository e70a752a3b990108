#pragma once
#include "mint.h"
#include "x509.h"
#include <stdlib.h>

/* An authority and a citizen whose keys are made anew in every run: nothing that comes in can be signed by them. */
#define NOW 1790000000

static struct { struct arena *a; struct minted *root, *leaf; struct cert by, of; } it;

static inline void must(bool so)
{
	if (!so)
		abort();
}

static inline void scene(void)
{
	if (it.a)
		return;
	it.a = arena_new();
	it.root = mint_root(it.a, NULL);
	it.leaf = mint_leaf(it.a, it.root, &(struct mint_wish){ .uid = { "CCCD:022090000017" } });
	must(!cert_read(it.a, it.root->der, &it.by).kind && !cert_read(it.a, it.leaf->der, &it.of).kind);
}

int LLVMFuzzerTestOneInput(const unsigned char *p, size_t n);
