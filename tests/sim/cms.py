"""Signatures as a SIM makes them: bare over a hash, or inside CMS SignedData (RFC 5652)."""
import hashlib
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from der import algorithm, children, ctx, integer, octets, oid, read, seq, set_of, tlv, utctime, now, Bad, SHA256, digest_info

DATA, SIGNED_DATA = "1.2.840.113549.1.7.1", "1.2.840.113549.1.7.2"
CONTENT_TYPE, MESSAGE_DIGEST, SIGNING_TIME, SIGNING_CERTIFICATE_V2 = (
    "1.2.840.113549.1.9.3", "1.2.840.113549.1.9.4", "1.2.840.113549.1.9.5", "1.2.840.113549.1.9.16.2.47")

def sha256(b): return hashlib.sha256(b).digest()

def sign_hash(key, digest, raw_ecdsa=True):
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(digest, padding.PKCS1v15(), utils.Prehashed(hashes.SHA256()))
    der = key.sign(digest, ec.ECDSA(utils.Prehashed(hashes.SHA256())))
    if not raw_ecdsa:
        return der
    size = (key.curve.key_size + 7) // 8
    return b"".join(n.to_bytes(size, "big") for n in utils.decode_dss_signature(der))

def hash_in(dtbs):
    """The SHA-256 value inside a DigestInfo; Bad if it is anything else."""
    tag, content, whole, end = read(dtbs)
    parts = children(content)
    if tag != 0x30 or end != len(dtbs) or len(parts) != 2 or parts[1][0] != 4:
        raise Bad("not a DigestInfo")
    digest = parts[1][1]
    if len(digest) != 32 or dtbs != digest_info(digest):
        raise Bad("not DigestInfo(SHA-256, NULL)")
    return digest

# RFC 5652 5.3: sha256WithRSAEncryption or ecdsa-with-SHA256
def signature_algorithm(key):
    return algorithm("1.2.840.113549.1.1.11") if isinstance(key, rsa.RSAPrivateKey) else algorithm("1.2.840.10045.4.3.2", params=False)

def signer_info(cert, key, digest, attributes=True):
    attrs = b""
    if attributes:
        essential = seq(seq(seq(octets(sha256(cert.public_bytes(serialization.Encoding.DER))))))   # RFC 5035 4
        attrs = set_of(seq(oid(CONTENT_TYPE), set_of(oid(DATA))), seq(oid(MESSAGE_DIGEST), set_of(octets(digest))),
                       seq(oid(SIGNING_TIME), set_of(utctime(now()))), seq(oid(SIGNING_CERTIFICATE_V2), set_of(essential)))
    signature = sign_hash(key, sha256(attrs) if attrs else digest, raw_ecdsa=False)
    return seq(integer(1), seq(cert.issuer.public_bytes(), integer(cert.serial_number)), algorithm(SHA256, params=False),
               tlv(0xa0, read(attrs)[1]) if attrs else b"", signature_algorithm(key), octets(signature))

def signed_data(content, signers, certs, detached=False, attributes=True, digest=None):
    """signers: [(certificate, key)]. digest: of content that only the asker has."""
    digest = digest or sha256(content)
    inside = seq(oid(DATA), b"" if detached else ctx(0, octets(content)))
    carried = ctx(0, *sorted(c.public_bytes(serialization.Encoding.DER) for c in certs)) if certs else b""
    infos = set_of(*(signer_info(c, k, digest, attributes) for c, k in signers))
    return seq(oid(SIGNED_DATA), ctx(0, seq(integer(1), set_of(algorithm(SHA256, params=False)), inside, carried, infos)))
