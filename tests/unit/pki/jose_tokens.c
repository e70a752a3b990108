#include <stdio.h>
#include "jwe.h"
#include "jws.h"

/* For verifiers written by others, one JSON value a line:
 *   jose_tokens               a key and a token signed with it
 *   jose_tokens encrypt       reads {"jwk","alg","enc","plain"}, prints a JWE; an empty line when it refuses
 *   jose_tokens decrypt       reads {"jwk","token"}, prints {"plain"}; an empty line when it refuses                    */
static void print(struct arena *a, const char *alg, int i)
{
	struct signer *s;
	struct str token, kid = str_fmt(a, "%s-%d", alg, i), claims = str_fmt(a, "{\"sub\":\"Nguy\xe1\xbb\x85n\",\"n\":%d}", i);
	if (signer_local_new(a, str_of(alg), kid, &s).kind || jws_sign(a, s, S("at+jwt"), claims, &token).kind)
		return;
	printf("{\"jwk\":%s,\"token\":\"%s\"}\n", signer_public_jwk(s).p, token.p);
	signer_free(s);
}

static int sign(void)
{
	static const struct { const char *alg; int times; } ROWS[] = { { "RS256", 2 }, { "PS256", 2 }, { "ES256", 64 }, { "EdDSA", 8 } };
	struct arena *a = arena_new();
	for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++)
		for (int k = 0; k < ROWS[i].times; k++)
			print(a, ROWS[i].alg, k);
	arena_free(a);
	return 0;
}

static struct str encrypted(struct arena *a, const json_t *ask)
{
	struct jwe_key *to;
	struct str token;
	if (jwe_key_read(a, json_object_get(ask, "jwk"), &to).kind)
		return S("");
	err e = jwe_encrypt(a, to, json_text(ask, "alg"), json_text(ask, "enc"), S("JWT"), json_text(ask, "plain"), &token);
	return e.kind ? S("") : token;
}

static struct str decrypted(struct arena *a, const json_t *ask)
{
	struct jwe_key *own;
	struct bytes plain;
	struct jw w = jw_new(a, JSON_MAX_SIZE);
	struct str out;
	if (jwe_key_private(a, json_object_get(ask, "jwk"), &own).kind)
		return S("");
	if (jwe_decrypt(a, own, json_text(ask, "token"), S("RSA-OAEP-256 ECDH-ES ECDH-ES+A256KW"), S("A128CBC-HS256 A256GCM"), &plain).kind)
		return S("");
	jw_object(&w, NULL);
	jw_str(&w, "plain", str_dup(a, (const char *)plain.p, plain.n));
	jw_end(&w);
	return jw_done(&w, &out).kind ? S("") : out;
}

static int answer(struct str (*how)(struct arena *, const json_t *))
{
	static char line[JSON_MAX_SIZE];
	while (fgets(line, sizeof line, stdin)) {
		struct arena *a = arena_new();
		json_t *ask;
		puts(json_read_object(a, str_of(line), &ask).kind ? "" : how(a, ask).p);
		arena_free(a);
	}
	return 0;
}

int main(int argc, char **argv)
{
	if (argc < 2)
		return sign();
	return answer(str_is(str_of(argv[1]), "encrypt") ? encrypted : decrypted);
}
