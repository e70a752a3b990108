#include "foreign.h"
#include "hash.h"
#include <stdlib.h>

/* Their private halves signed the three seeds and were thrown away: nothing else can be good, not even another spelling of one of them. */
static const char JWKS[] =
	"{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"kid\":\"e\",\"x\":\"9vgzqMhC6EWz7qmgrg0BmAywHnSKSVRug5GAOLRaZRA\",\"y\":\"SgtBojviFetI_y-nGX5vVTYpW3vOslbRO1LIql9pWtw\"},"
	"{\"kty\":\"RSA\",\"kid\":\"r\",\"n\":\"3qMjFFILLqAPf3FInhvr5MY9cTLkWTpEr9E3I3FdG79Y5pnCFG4c-x0pNrcnwH9G1k8Blw4QeD2nh1sw3fY4B9NdtKTpzo5GUo21QY2jFqmrC-8nnW0fu9p3iXvSNBU0hysAZmaEiD2_qn2yqgBZgyTN4165vjPlkACrV0KGyCUtpCjcByPOOwAaSCZ5scHuPUBGt_FKpVdI8jCcfs6EHaOss3p0uo_Qi6GXT8SZYAGcfjOf7zkoYmA_VevnrfRHaOdSM1MIt4wOKtFNNIXFkqkko24n2_EGl68kReJCI809kagvtK36MXnXjFxPHBm0guHQj-1aVOGmz0t4Y6DsEw\",\"e\":\"AQAB\"}]}";
static const char *const GOOD[] = {
	"i5aeAOv8PZ13Fw19f5NrPyV7tUOICbJk02NaHvynbRY",
	"l1FKQKzqAW_D5n3ND8A7b8ZcPgvKnvi3I3WjvdHJsbA",
	"C3j8tEVcDpc6bXWkl9VsDvFGnVKHt8NXP38OB62PR9w",
};

int LLVMFuzzerTestOneInput(const unsigned char *p, size_t n);

int LLVMFuzzerTestOneInput(const unsigned char *p, size_t n)
{
	struct arena *a = arena_new();
	struct str text = str_dup(a, (const char *)p, n), iss, kid, hash = hash_of(a, text), words[] = { S("RS256"), S("ES256") }, us = S("us");
	const struct foreign f = { .iss = S("https://tax.example"), .audience = { &us, 1 }, .algs = { words, 2 } };
	struct key_set keys;
	json_t *jwks, *claims;
	bool known = false;
	for (size_t i = 0; i < sizeof GOOD / sizeof *GOOD; i++)
		known |= str_is(hash, GOOD[i]);
	if (json_read_object(a, str_of(JWKS), &jwks).kind || key_set_read(a, jwks, &keys).kind)
		abort();
	bool peeked = !foreign_peek(a, text, &iss, &kid).kind, good = !foreign_read(a, text, &f, &keys, 1800000000, &claims).kind;
	if (good != known || (good && !peeked))
		abort();
	arena_free(a);
	return 0;
}
