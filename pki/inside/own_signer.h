#pragma once
#include "signer.h"

/* What every kind of signer begins with; signer.c reads it, signer_local.c and signer_pkcs11.c fill it. */
struct signer {
	err (*sign)(struct signer *, struct arena *a, struct bytes input, unsigned char *sig, size_t *n);
	err (*export)(struct signer *, struct arena *a, struct bytes *pkcs8);   /* NULL: this key cannot leave */
	void (*free)(struct signer *);
	char alg[8];
	struct str kid, jwk;                 /* of malloc */
};
/* The algorithms that keys are made for, and a kid of sensible length and letters; INVALID_REQUEST. */
struct alg;
err signer_fits(struct arena *a, struct str alg, struct str kid, const struct alg **g);
void signer_name(struct signer *, struct str alg, struct str kid, struct str jwk);   /* copies */
