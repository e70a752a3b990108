#include "oauth.h"
#include "hash.h"

static bool is_letter(char c) { return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_'; }

bool pkce_challenge_valid(struct str challenge)
{
	for (size_t i = 0; i < challenge.n; i++)
		if (!is_letter(challenge.p[i]))
			return false;
	/* RFC 7636 section 4.2: base64url of 32 bytes; the last of 43 letters carries four bits, and its other two are zero */
	return challenge.n == 43 && strchr("AEIMQUYcgkosw048", challenge.p[42]) != NULL;
}

/* RFC 7636 section 4.1: code-verifier = 43*128unreserved */
static bool verifier_valid(struct str v)
{
	for (size_t i = 0; i < v.n; i++)
		if (!is_letter(v.p[i]) && v.p[i] != '.' && v.p[i] != '~')
			return false;
	return v.n >= 43 && v.n <= 128;
}

err pkce_verify(struct arena *a, struct str challenge, struct str verifier)
{
	/* RFC 9700 section 4.8.2: a verifier without a challenge is a downgrade in the making */
	if (str_empty(challenge))
		return str_empty(verifier) ? OK : fault(a, &INVALID_GRANT, "code_verifier, but there was no code_challenge");
	if (!verifier_valid(verifier))
		return fault(a, &INVALID_GRANT, "code_verifier of %zu characters", verifier.n);
	if (!str_same(challenge, hash_of(a, verifier)))
		return fault(a, &INVALID_GRANT, "code_verifier does not match the challenge");
	return OK;
}
