#include "file.h"
#include "jws.h"
#include "proof.h"
#include "shelf.h"
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* Microseconds of processor time to check a DPoP proof, and how much of it is making the key and the signature.
 * usage: proof_bench FILE...    a proof in each: tests/fuzz/seeds/proof/es256 */

enum { ROUND = 200, ROUNDS = 10 };

struct work { struct shelf *shelf; struct str token; struct jws jws; struct key *key; };
typedef bool step(struct arena *a, const struct work *w);

static bool whole(struct arena *a, const struct work *w)
{
	struct proof p;
	return !proof_read(a, NULL, w->token, S("ES256 PS256 EdDSA"), &p).kind;
}

static bool again(struct arena *a, const struct work *w)
{
	struct proof p;
	return !proof_read(a, w->shelf, w->token, S("ES256 PS256 EdDSA"), &p).kind;
}

static bool key(struct arena *a, const struct work *w)
{
	struct key *k;
	bool good = !key_from_jwk(a, json_object_get(w->jws.header, "jwk"), &k).kind;
	if (good)
		key_drop(k);
	return good;
}

static bool signature(struct arena *a, const struct work *w)
{
	(void)a;
	return key_verify(w->key, w->jws.alg, str_bytes(w->jws.signing_input), w->jws.signature);
}

static double now_us(void)
{
	struct timespec t;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

/* The best of some rounds: what disturbs only ever adds. */
static double cost(step *do_it, const struct work *w)
{
	struct arena *a = arena_new();
	double best = 1e9;
	for (int r = 0; r < ROUNDS; r++) {
		double from = now_us();
		for (int i = 0; i < ROUND; i++) {
			if (!do_it(a, w))
				exit(1);
			arena_reset(a);
		}
		double each = (now_us() - from) / ROUND;
		best = each < best ? each : best;
	}
	arena_free(a);
	return best;
}

int main(int argc, char **argv)
{
	struct arena *a = arena_new();
	for (int i = 1; i < argc; i++) {
		struct work w;
		if (shelf_new(a, &w.shelf).kind || file_read(a, argv[i], 8192, &w.token).kind || jws_read(a, w.token, &w.jws).kind ||
		    key_from_jwk(a, json_object_get(w.jws.header, "jwk"), &w.key).kind)
			return 1;
		printf("%-6s  whole %6.1f   with a key that was seen before %6.1f   key %6.1f   signature %6.1f\n", w.jws.alg.p, cost(whole, &w),
		       cost(again, &w), cost(key, &w), cost(signature, &w));
		key_drop(w.key);
		shelf_free(w.shelf);
	}
	arena_free(a);
	return 0;
}
