"""jwcrypto, written by others, verifies every token that jws_sign makes, and refuses each with its payload changed."""
import json, subprocess, sys
from jwcrypto import jwk, jws

ALGS = ["RS256", "PS256", "ES256", "EdDSA"]
lines = subprocess.run([sys.argv[1]], check=True, capture_output=True, text=True).stdout.splitlines()
seen = {}
for line in lines:
    row = json.loads(line)
    key = jwk.JWK(**row["jwk"])
    assert not key.has_private, row
    assert row["jwk"]["kid"].split("-")[0] == row["jwk"]["alg"]
    token = jws.JWS()
    token.allowed_algs = [row["jwk"]["alg"]]
    token.deserialize(row["token"], key)
    assert token.is_valid and token.jose_header["typ"] == "at+jwt" and token.jose_header["kid"] == row["jwk"]["kid"]
    assert json.loads(token.payload)["sub"] == "Nguyễn"
    head, body, sig = row["token"].split(".")
    try:
        jws.JWS().deserialize(".".join([head, body[:-2] + ("AA" if body[-2:] != "AA" else "BB"), sig]), key)
    except Exception:
        seen[row["jwk"]["alg"]] = seen.get(row["jwk"]["alg"], 0) + 1
    else:
        sys.exit("a changed payload verified")
assert sorted(seen) == sorted(ALGS) and sum(seen.values()) == len(lines) >= 76, seen
print(seen)
