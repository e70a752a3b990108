#!/usr/bin/env python3
"""A demonstration certificate hierarchy with two separate trees, as in Viet Nam (SIGNATURES.md 3.1, 3.2). Synthetic people only.

    pki.py init DIR [--url http://127.0.0.1:PORT]
    pki.py leaf DIR --ca public-token --cn "Nguyễn Thị Ánh Đào" --uid CCCD:001199000001 --profile public --out DIR/people/dao
"""
import argparse, datetime, ipaddress, json, os, re
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.name import _ASN1Type
from cryptography.x509.oid import AuthorityInformationAccessOID as AIA, ExtendedKeyUsageOID as EKU, NameOID

UID = x509.ObjectIdentifier("0.9.2342.19200300.100.1.1")
POLICY_PUBLIC, POLICY_GOVERNMENT = "1.3.6.1.4.1.30339.1.1.3.1.1.1", "2.16.704.1.1.1.1.1"
DOC_SIGNING, ADOBE = "1.3.6.1.4.1.311.10.3.12", "1.2.840.113583.1.1.5"
CLIENT_AUTH, EMAIL, SMARTCARD = "1.3.6.1.5.5.7.3.2", "1.3.6.1.5.5.7.3.4", "1.3.6.1.4.1.311.20.2.2"
FOUR = ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment")
DAY = datetime.timedelta(days=1)

# name: issuer, subject (O, CN). A root issues itself.
TREES = {
    "public-root":  ("public-root",  "Trung tâm Chứng thực mẫu", "Viet Nam Demo National Root CA"),
    "public-token": ("public-root",  "Demo Post and Telecom", "Demo CA USB Token SHA-256"),
    "public-sim":   ("public-root",  "Demo Post and Telecom", "Demo CA Mobile PKI"),
    "gov-root":     ("gov-root",     "Ban Cơ yếu mẫu", "RootCA chuyên dùng mẫu"),
    "gov-token":    ("gov-root",     "Ban Cơ yếu mẫu", "CA phục vụ các cơ quan mẫu"),
    "tls-root":     ("tls-root",     "Demo Operators", "Demo TLS CA"),
}
ISSUING = ("public-token", "public-sim", "gov-token")

# name: key usage, extended key usage, policy, days
PROFILES = {
    "public":      (FOUR, (DOC_SIGNING, ADOBE), POLICY_PUBLIC, 730),
    "public-auth": (FOUR, (CLIENT_AUTH, EMAIL, DOC_SIGNING), POLICY_PUBLIC, 730),
    "sim":         (FOUR[:2], (CLIENT_AUTH,), POLICY_PUBLIC, 730),
    "government":  (FOUR, (CLIENT_AUTH, EMAIL, SMARTCARD), POLICY_GOVERNMENT, 1095),
    "gov-org":     (FOUR, (), POLICY_GOVERNMENT, 1826),
    "nru":         (("content_commitment",), (DOC_SIGNING,), POLICY_PUBLIC, 730),
    "no-policy":   (FOUR, (CLIENT_AUTH,), None, 730),
    "no-ku":       (None, (CLIENT_AUTH,), POLICY_PUBLIC, 730),
    "ca":          (("digital_signature", "key_cert_sign"), (), POLICY_PUBLIC, 730),
    "tls-client":  (("digital_signature",), (CLIENT_AUTH,), None, 730),
}
STRING_TYPES = {"utf8": _ASN1Type.UTF8String, "bmp": _ASN1Type.BMPString, "printable": _ASN1Type.PrintableString,
                "t61": _ASN1Type.T61String}

# Decree 137/2015 Art. 13: province, century and sex, year, six more.
def cccd(province, birth_year, female, n):
    return f"{province:03d}{(birth_year // 100 - 19) * 2 + int(female)}{birth_year % 100:02d}{n:06d}"

def mst(nine):
    s = sum(int(d) * w for d, w in zip(nine, (31, 29, 23, 19, 17, 13, 7, 5, 3)))
    check = 10 - s % 11
    return None if check == 10 else nine + str(check)

def new_key(kind="p256"):
    if kind.startswith("rsa"):
        return rsa.generate_private_key(public_exponent=65537, key_size=int(kind[3:]))
    return ec.generate_private_key({"p256": ec.SECP256R1, "p384": ec.SECP384R1, "p521": ec.SECP521R1}[kind]())

def key_pem(key):
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())

def cert_pem(cert): return cert.public_bytes(serialization.Encoding.PEM)
def cert_der(cert): return cert.public_bytes(serialization.Encoding.DER)
def now(): return datetime.datetime.utcnow().replace(microsecond=0)

def write(path, data, mode=0o644):
    """A reader sees the whole file or none."""
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    part = f"{path}.{os.getpid()}.part"
    with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as f:
        f.write(data)
    os.replace(part, path)

def read(path):
    with open(path, "rb") as f:
        return f.read()

def load_cert(path): return x509.load_pem_x509_certificate(read(path))
def load_key(path): return serialization.load_pem_private_key(read(path), None)

def key_usage(names):
    every = ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
             "key_cert_sign", "crl_sign", "encipher_only", "decipher_only")
    return x509.KeyUsage(**{n: n in names for n in every})

def name(*pairs):
    return x509.Name([x509.NameAttribute(o, v) for o, v in pairs if v])

class Hierarchy:
    """The certificates and keys of one folder, kept loaded."""

    def __init__(self, folder, url="http://pki.motid.example"):
        self.folder, self.certs, self.keys = folder, {}, {}
        config = os.path.join(folder, "pki.json")
        if os.path.exists(config):
            url = json.loads(read(config))["url"]
        self.url = url.rstrip("/")
        self._make()
        if not os.path.exists(config):
            write(config, json.dumps({"url": self.url}).encode())

    def path(self, *parts): return os.path.join(self.folder, *parts)

    def _make(self):
        for ca in TREES:
            self._once(ca, lambda ca=ca: self._make_ca(ca))
        for ca in ISSUING:
            self._once(f"{ca}-ocsp", lambda ca=ca: self._delegate(ca, "OCSP", nocheck=True))
            # Without id-pkix-ocsp-nocheck: whoever asks must look this one up, and finds it revoked.
            self._once(f"{ca}-ocsp-revoked", lambda ca=ca: self._delegate(ca, "OCSP old", nocheck=False))
            self._once(f"{ca}-ocsp-notyet", lambda ca=ca: self._delegate(ca, "OCSP next", nocheck=True, start=30 * DAY))
            self._once(f"{ca}-ocsp-noeku", lambda ca=ca: self._delegate(ca, "OCSP without usage", nocheck=True, eku=False))
        self._once("tls-server", self._make_tls_server)
        self._once("tls-client", lambda: self.leaf("tls-root", "MotID", profile="tls-client", urls=False))
        for tree in ("public", "gov"):
            bundle = self.path(f"{tree}-chain.pem")
            if not os.path.exists(bundle):
                write(bundle, b"".join(cert_pem(self.certs[c]) for c in TREES if c.startswith(tree)))
        for ca in TREES:
            if not os.path.exists(self.path(f"{ca}.crl")):
                write(self.path(f"{ca}.crl"), self.crl(ca).public_bytes(serialization.Encoding.DER))

    def _once(self, base, make):
        pem, key = self.path(f"{base}.pem"), self.path(f"{base}.key")
        if not (os.path.exists(pem) and os.path.exists(key)):
            cert, private = make()
            self.save(base, cert, private)
        self.certs[base], self.keys[base] = load_cert(pem), load_key(key)

    def save(self, base, cert, private):
        write(self.path(f"{base}.key"), key_pem(private), 0o600)
        write(self.path(f"{base}.pem"), cert_pem(cert))

    def _sign(self, builder, issuer, private, subject_key):
        ca_key = private if issuer is None else self.keys[issuer]
        aki = (x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()))
        return builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(subject_key), False) \
                      .add_extension(aki, False).sign(ca_key, hashes.SHA256())

    def _urls(self, builder, ca):
        where = [(AIA.OCSP, f"{self.url}/ocsp/{ca}"), (AIA.CA_ISSUERS, f"{self.url}/ca/{ca}.cer")]
        builder = builder.add_extension(x509.AuthorityInformationAccess(
            [x509.AccessDescription(o, x509.UniformResourceIdentifier(u)) for o, u in where]), False)
        return builder.add_extension(x509.CRLDistributionPoints([x509.DistributionPoint(
            [x509.UniformResourceIdentifier(f"{self.url}/crl/{ca}.crl")], None, None, None)]), False)

    def _start(self, subject, issuer, public, not_before, not_after):
        return x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(public) \
            .serial_number(x509.random_serial_number()).not_valid_before(not_before).not_valid_after(not_after)

    def _make_ca(self, ca):
        issuer, org, cn = TREES[ca]
        root, key = issuer == ca, new_key("p256")
        subject = name((NameOID.COUNTRY_NAME, "VN"), (NameOID.ORGANIZATION_NAME, org), (NameOID.COMMON_NAME, cn))
        t = now() - 30 * DAY
        b = self._start(subject, subject if root else self.certs[issuer].subject, key.public_key(), t, t + (7300 if root else 1826) * DAY)
        b = b.add_extension(x509.BasicConstraints(True, None if root and ca != "tls-root" else 0), True) \
             .add_extension(key_usage(("key_cert_sign", "crl_sign")), True)
        if not root:
            b = self._urls(b.add_extension(policies(x509.ObjectIdentifier("2.5.29.32.0")), False), issuer)
        return self._sign(b, None if root else issuer, key, key.public_key()), key

    def _delegate(self, ca, cn, nocheck, start=-30 * DAY, eku=True):
        key = new_key("p256")
        subject = name((NameOID.COUNTRY_NAME, "VN"), (NameOID.ORGANIZATION_NAME, TREES[ca][1]), (NameOID.COMMON_NAME, f"{cn} of {ca}"))
        b = self._start(subject, self.certs[ca].subject, key.public_key(), now() + start, now() + 1500 * DAY)
        b = b.add_extension(x509.BasicConstraints(False, None), True).add_extension(key_usage(("digital_signature",)), True)
        if eku:
            b = b.add_extension(x509.ExtendedKeyUsage([EKU.OCSP_SIGNING]), False)
        if nocheck:
            b = b.add_extension(x509.OCSPNoCheck(), False)
        return self._sign(b, ca, key, key.public_key()), key

    def _make_tls_server(self):
        key = new_key("p256")
        b = self._start(name((NameOID.COMMON_NAME, "localhost")), self.certs["tls-root"].subject, key.public_key(), now() - DAY, now() + 800 * DAY)
        names = [x509.DNSName("localhost"), x509.DNSName("*.localhost")]
        names += [x509.IPAddress(ipaddress.ip_address(a)) for a in ("127.0.0.1", "::1")]
        b = b.add_extension(x509.SubjectAlternativeName(names), False).add_extension(x509.BasicConstraints(False, None), True) \
             .add_extension(key_usage(("digital_signature",)), True).add_extension(x509.ExtendedKeyUsage([EKU.SERVER_AUTH]), False)
        return self._sign(b, "tls-root", key, key.public_key()), key

    def leaf(self, ca, cn, uids=(), key="p256", profile="public", days=None, not_before=None, email=None, private=None,
             together=False, uid_type="utf8", org=None, urls=True, serial_number=None):
        """-> certificate, private key. together: all UIDs in one multi-valued RDN."""
        ku, ekus, policy, life = PROFILES[profile]
        private = private or new_key(key)
        start = not_before or now() - datetime.timedelta(hours=1)
        b = self._start(subject_of(profile, cn, uids, together, uid_type, org, serial_number), self.certs[ca].subject, private.public_key(),
                        start, start + (life if days is None else days) * DAY)
        b = b.add_extension(x509.BasicConstraints(profile == "ca", 0 if profile == "ca" else None), True)
        if ku is not None:
            b = b.add_extension(key_usage(ku), True)
        if ekus:
            b = b.add_extension(x509.ExtendedKeyUsage([x509.ObjectIdentifier(e) for e in ekus]), False)
        if policy:
            b = b.add_extension(policies(x509.ObjectIdentifier(policy), "Chung thu so mau, khong co gia tri phap ly"), False)
        if email:
            b = b.add_extension(x509.SubjectAlternativeName([x509.RFC822Name(email)]), False)
        if urls:
            b = self._urls(b, ca)
        return self._sign(b, ca, private, private.public_key()), private

    def crl(self, ca, revoked=(), this_update=None, next_update=None, number=1, signer=None):
        """revoked: (serial, time, x509.ReasonFlags or None)"""
        t = this_update or now() - datetime.timedelta(minutes=1)
        b = x509.CertificateRevocationListBuilder().issuer_name(self.certs[ca].subject).last_update(t).next_update(next_update or t + 7 * DAY)
        b = b.add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.certs[ca].public_key()), False) \
             .add_extension(x509.CRLNumber(number), False)
        old = self.certs.get(f"{ca}-ocsp-revoked")
        entries = list(revoked) + ([(old.serial_number, now() - DAY, x509.ReasonFlags.key_compromise)] if old else [])
        for serial, when, reason in entries:
            entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(when)
            if reason and reason != x509.ReasonFlags.unspecified:
                entry = entry.add_extension(x509.CRLReason(reason), False)
            b = b.add_revoked_certificate(entry.build())
        return b.sign(signer or self.keys[ca], hashes.SHA256())

def policies(oid, notice=None):
    return x509.CertificatePolicies([x509.PolicyInformation(oid, [x509.UserNotice(None, notice)] if notice else None)])

def subject_of(profile, cn, uids, together, uid_type, org, serial_number):
    uid = [x509.NameAttribute(UID, u, STRING_TYPES[uid_type]) for u in uids]
    text = lambda o, v: x509.RelativeDistinguishedName([x509.NameAttribute(o, v)])
    rdns = [text(NameOID.COUNTRY_NAME, "VN")]
    if profile in ("government", "gov-org"):
        rdns.append(text(NameOID.ORGANIZATION_NAME, org or "Tỉnh mẫu"))
        if profile == "government":
            rdns += [text(NameOID.ORGANIZATIONAL_UNIT_NAME, v) for v in ("Sở Tài chính", "Văn phòng Sở")]
        rdns.append(text(NameOID.LOCALITY_NAME, "Hạ Long"))
    elif profile != "tls-client":
        rdns += [text(NameOID.STATE_OR_PROVINCE_NAME, "Quảng Ninh"), text(NameOID.LOCALITY_NAME, "Hạ Long")]
        if org:
            rdns.append(text(NameOID.ORGANIZATION_NAME, org))
    rdns.append(text(NameOID.COMMON_NAME, cn))
    if serial_number:
        rdns.append(text(NameOID.SERIAL_NUMBER, serial_number))
    if uid:
        rdns += [x509.RelativeDistinguishedName(uid)] if together else [x509.RelativeDistinguishedName([u]) for u in uid]
    return x509.Name(rdns)

def moment(text):
    """2026-11-24, 2026-11-24T01:02:03, or -30d / +2d from now."""
    if m := re.fullmatch(r"([+-]\d+)d", text):
        return now() + int(m[1]) * DAY
    return datetime.datetime.fromisoformat(text)

def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    sub = p.add_subparsers(dest="verb", required=True)
    init = sub.add_parser("init")
    init.add_argument("dir")
    init.add_argument("--url", default="http://pki.motid.example", help="where the responder will answer: goes into AIA and CRL points")
    leaf = sub.add_parser("leaf")
    leaf.add_argument("dir")
    leaf.add_argument("--ca", required=True, choices=TREES)
    leaf.add_argument("--cn", required=True)
    leaf.add_argument("--uid", action="append", default=[])
    leaf.add_argument("--uid-type", default="utf8", choices=STRING_TYPES)
    leaf.add_argument("--together", action="store_true", help="all UIDs in one multi-valued RDN")
    leaf.add_argument("--serial-number", help="subject serialNumber, such as PNOVN-001199000001")
    leaf.add_argument("--org")
    leaf.add_argument("--email")
    leaf.add_argument("--key", default="p256", help="rsa2048 rsa3072 rsa1024 p256 p384 p521")
    leaf.add_argument("--profile", default="public", choices=PROFILES)
    leaf.add_argument("--days", type=int)
    leaf.add_argument("--not-before", type=moment)
    leaf.add_argument("--reuse-key", help="PEM key file: another certificate for the same key")
    leaf.add_argument("--out", required=True, help="writes OUT.pem and OUT.key")
    return p.parse_args()

def main():
    a = arguments()
    if a.verb == "init":
        Hierarchy(a.dir, a.url)
        return
    h = Hierarchy(a.dir)
    cert, private = h.leaf(a.ca, a.cn, a.uid, a.key, a.profile, a.days, a.not_before, a.email, load_key(a.reuse_key) if a.reuse_key else None,
                           a.together, a.uid_type, a.org, serial_number=a.serial_number)
    write(f"{a.out}.key", key_pem(private), 0o600)
    write(f"{a.out}.pem", cert_pem(cert))
    print(f"{cert.serial_number:x}")

if __name__ == "__main__":
    main()
