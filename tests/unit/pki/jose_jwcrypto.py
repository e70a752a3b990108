"""jwcrypto, written by others: it verifies every token that jws_sign makes, opens every one that jwe_encrypt makes, and ours opens its own.
Each has a twin with one thing changed, which is refused. Authlib opens and verifies them once more."""
import itertools, json, subprocess, sys
from jwcrypto import jwe, jwk, jws
from authlib.jose import JsonWebEncryption, JsonWebKey, JsonWebSignature

TOOL = sys.argv[1]
PLAIN = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJOZ3V54buFbiJ9.c2ln"


def ours(mode, rows):
    text = "".join(json.dumps(r) + "\n" for r in rows)
    return subprocess.run([TOOL, mode], input=text, check=True, capture_output=True, text=True).stdout.split("\n")[:len(rows)]


def changed(token, part):
    parts = token.split(".")
    parts[part] = ("B" if parts[part][0] != "B" else "C") + parts[part][1:]
    return ".".join(parts)


def refused(what, *args):
    try:
        what(*args)
    except Exception:
        return True
    return False


def signed():
    seen = {}
    lines = subprocess.run([TOOL], check=True, capture_output=True, text=True).stdout.splitlines()
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
        JsonWebSignature([row["jwk"]["alg"]]).deserialize_compact(row["token"], JsonWebKey.import_key(row["jwk"]))
        head, body, sig = row["token"].split(".")
        wrong = ".".join([head, body[:-2] + ("AA" if body[-2:] != "AA" else "BB"), sig])
        assert refused(jws.JWS().deserialize, wrong, key), "a changed payload verified"
        seen[row["jwk"]["alg"]] = seen.get(row["jwk"]["alg"], 0) + 1
    assert sorted(seen) == ["ES256", "EdDSA", "PS256", "RS256"] and sum(seen.values()) == len(lines) >= 76, seen
    return seen


KEYS = [(jwk.JWK.generate(kty="RSA", size=2048, kid="rsa", use="enc"), ["RSA-OAEP-256"]),
        (jwk.JWK.generate(kty="EC", crv="P-256", kid="ec"), ["ECDH-ES", "ECDH-ES+A256KW"]),
        (jwk.JWK.generate(kty="OKP", crv="X25519", kid="okp"), ["ECDH-ES", "ECDH-ES+A256KW"])]
WAYS = [(key, alg, enc) for key, algs in KEYS for alg, enc in itertools.product(algs, ["A128CBC-HS256", "A256GCM"])]


def theirs(token, key):
    box = jwe.JWE(algs=["RSA-OAEP-256", "ECDH-ES", "ECDH-ES+A256KW", "A128CBC-HS256", "A256GCM"])
    box.deserialize(token, key)
    return box


def encrypted_by_us(times):
    asks = [{"jwk": k.export_public(as_dict=True), "alg": alg, "enc": enc, "plain": PLAIN} for k, alg, enc in WAYS] * times
    tokens = ours("encrypt", asks)
    for (key, alg, enc), token in zip(WAYS * times, tokens):
        box = theirs(token, key)
        assert box.payload.decode() == PLAIN, (alg, enc)
        head = box.jose_header
        assert (head["alg"], head["enc"], head["cty"], head["kid"]) == (alg, enc, "JWT", key["kid"]), head
        if key["kid"] != "okp":                # Authlib 1.2 knows no X25519 here
            own = JsonWebKey.import_key(key.export_private(as_dict=True))
            assert JsonWebEncryption().deserialize_compact(token, own)["payload"].decode() == PLAIN, (alg, enc)
        for part in (3, 4):
            assert refused(theirs, changed(token, part), key)
    return len(tokens)


def encrypted_by_them(times):
    asks = []
    for key, alg, enc in WAYS * times:
        box = jwe.JWE(PLAIN, json.dumps({"alg": alg, "enc": enc, "apu": "QWxpY2U", "apv": "Qm9i"}))
        box.add_recipient(key)
        asks.append({"jwk": key.export_private(as_dict=True), "token": box.serialize(compact=True)})
    assert all(json.loads(line)["plain"] == PLAIN for line in ours("decrypt", asks))
    twins = [{**ask, "token": changed(ask["token"], part)} for ask in asks for part in (1, 2, 3, 4) if ask["token"].split(".")[part]]
    others = [{**ask, "jwk": asks[i - 1]["jwk"]} for i, ask in enumerate(asks) if asks[i - 1]["jwk"]["kid"] != ask["jwk"]["kid"]]
    assert set(ours("decrypt", twins + others)) == {""}
    zipped = []
    for key, alg, enc in WAYS:
        box = jwe.JWE(PLAIN, json.dumps({"alg": alg, "enc": enc, "zip": "DEF"}))
        box.add_recipient(key)
        zipped.append({"jwk": key.export_private(as_dict=True), "token": box.serialize(compact=True)})
    assert set(ours("decrypt", zipped)) == {""}
    return len(asks)


print("signed", signed(), "encrypted by us", encrypted_by_us(4), "by them", encrypted_by_them(4))
