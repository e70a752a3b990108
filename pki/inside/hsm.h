#pragma once
#include "../hsm.h"

/* Between hsm.c, which keeps threads, sessions and the login, and signer_pkcs11.c, which knows keys and mechanisms. */
#include <p11-kit/pkcs11.h>

enum { HSM_SIG_MOST = 512, HSM_INPUT_MOST = 65536 };

enum { HSM_KEYS = 16 };

/* keys: where private keys were found in this session. */
struct hsm_session { CK_FUNCTION_LIST *f; CK_SESSION_HANDLE h; struct { char kid[65]; CK_OBJECT_HANDLE o; } keys[HSM_KEYS]; size_t at; };

/* What a thread does in its session. It works on copies: whoever asked may have left. */
struct hsm_job {
	CK_RV (*run)(struct hsm_session *, struct hsm_job *);
	char alg[8], kid[65];
	unsigned char *input;                /* of malloc, or NULL */
	size_t ninput;
	unsigned char out[2][HSM_SIG_MOST];  /* a signature; or the public key: point, or modulus and exponent */
	size_t nout[2];
};

/* Runs a copy of the job on a thread of the HSM's, within ms; the answer is copied back. UNAVAILABLE with the reason. */
err hsm_run(struct hsm *, struct arena *a, struct hsm_job *, int64_t ms);
