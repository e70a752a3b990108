#!/usr/bin/env python3
"""OCSP responder (RFC 6960, POST and GET), CRLs and issuer certificates of the demonstration hierarchy, each with its ways to fail."""
import base64, binascii, collections, datetime, hashlib, os, threading, time, urllib.parse
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
import der, pki
from web import Answer, Behaviour, Hang_up, as_json

OCSP_MODES = ("", "good", "revoked", "unknown", "down", "blackhole", "slow", "drip", "wrong_nonce", "no_nonce", "stale", "future", "tryLater", "http_500",
              "huge", "redirect", "delegate_revoked", "other_signer", "wrong_cert", "not_yet",
              "no_eku", "no_next_update", "bad_signature", "garbage", "trailing", "hold", "unauthorized")
CRL_MODES = ("", "good", "expired", "future", "pem", "down", "blackhole", "slow", "huge", "http_500", "other_signer", "garbage", "redirect")
NONCE, BASIC = "1.3.6.1.5.5.7.48.1.2", "1.3.6.1.5.5.7.48.1.1"
TRY_LATER, UNAUTHORIZED, MALFORMED = 3, 6, 1
REASONS = {"unspecified": 0, "keyCompromise": 1, "cACompromise": 2, "affiliationChanged": 3, "superseded": 4, "cessationOfOperation": 5,
           "certificateHold": 6}
FLAGS = {n: x509.ReasonFlags(n) for n in REASONS}
MINUTE, HOUR = datetime.timedelta(minutes=1), datetime.timedelta(hours=1)

class Issuer:
    """A CA as CertIDs name it."""
    def __init__(self, name, cert):
        spki = cert.public_key().public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
        subject = cert.subject.public_bytes()
        self.name = name
        self.ids = {(h, d(subject).digest(), d(spki).digest()) for h, d in ((der.SHA1, hashlib.sha1), (der.SHA256, hashlib.sha256))}

class Cert_id:
    def __init__(self, whole):
        alg, name_hash, key_hash, serial = der.children(der.read(whole)[1])
        self.whole, self.algorithm = whole, alg[2]
        self.oid = der.SHA1 if der.oid(der.SHA1) in alg[2] else der.SHA256
        self.name_hash, self.key_hash, self.serial = name_hash[1], key_hash[1], int.from_bytes(serial[1], "big", signed=True)

    def with_serial(self, serial):
        return der.seq(self.algorithm, der.octets(self.name_hash), der.octets(self.key_hash), der.integer(serial))

def parse_request(body):
    """-> [Cert_id], nonce extension value or None"""
    tag, content, _, end = der.read(body)
    if tag != 0x30 or end != len(body):
        raise der.Bad("not a request")
    tbs = der.children(content)[0]
    ids, nonce = [], None
    for tag, inside, _ in der.children(tbs[1]):
        if tag == 0x30:
            ids = [Cert_id(der.children(one)[0][2]) for _, one, _ in der.children(inside)]
        if tag == 0xa2:
            for _, one, _ in der.children(der.read(inside)[1]):
                parts = der.children(one)
                if parts[0][2] == der.oid(NONCE):
                    nonce = parts[-1][1]
    if not ids:
        raise der.Bad("asks nothing")
    return ids, nonce

def refusal(code): return der.seq(der.enum(code))

def single(cert_id, status, this_update, next_update):
    return der.seq(cert_id, status, der.gtime(this_update), der.ctx(0, der.gtime(next_update)) if next_update else b"")

def basic(singles, nonce, produced, cert, key, spoil=False):
    """RFC 6960 4.2.1; the responder is named by the hash of its key."""
    spki = cert.public_key().public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
    by_key = der.ctx(2, der.octets(hashlib.sha1(spki).digest()))
    extensions = der.ctx(1, der.seq(der.seq(der.oid(NONCE), der.octets(nonce)))) if nonce is not None else b""
    tbs = der.seq(by_key, der.gtime(produced), der.seq(*singles), extensions)
    signature = key.sign(tbs + (b"!" if spoil else b""), ec.ECDSA(hashes.SHA256()))
    whole = der.seq(tbs, der.algorithm("1.2.840.10045.4.3.2", params=False), der.bits(signature),
                    der.ctx(0, der.seq(pki.cert_der(cert))))
    return der.seq(der.enum(0), der.ctx(0, der.seq(der.oid(BASIC), der.octets(whole))))

class Responder:
    def __init__(self, hierarchy):
        self.h, self.issuers = hierarchy, [Issuer(n, hierarchy.certs[n]) for n in pki.TREES]
        self.ocsp_rules, self.crl_rules = Behaviour(OCSP_MODES), Behaviour(CRL_MODES)
        self.lock, self.counts, self.crl_cache = threading.Lock(), collections.Counter(), {}
        self.version = int(time.time())  # cRLNumber: never smaller than one that was served before
        self.reset()

    def reset(self):
        with self.lock:
            self.revoked = {}
            self.version += 1
            for ca in pki.ISSUING:       # serial -> when, reason
                self.revoked[self.h.certs[f"{ca}-ocsp-revoked"].serial_number] = (pki.now() - pki.DAY, "keyCompromise")
            self.counts.clear()
            self.crl_cache.clear()
        self.ocsp_rules.clear()
        self.crl_rules.clear()

    def handle(self, rq):
        words = rq.route.split("/", 3)[1:]
        match (rq.command, *words):
            case ("POST", "ocsp", *_):
                return self.ocsp(rq, rq.body, words[1] if len(words) > 1 else "")
            case ("GET", "ocsp", ca, encoded):
                return self.ocsp(rq, self.from_url(encoded), ca)
            case ("GET", "crl", file):
                return self.crl(rq, *os.path.splitext(file))
            case ("GET", "ca", file):
                return self.issuer(*os.path.splitext(file))
            case (_, "control", *rest):
                return self.control(rq, "/".join(rest))
        return Answer(404, "not here")

    def from_url(self, text):
        try:
            return base64.b64decode(urllib.parse.unquote(text.removeprefix("moved/")), validate=True)
        except binascii.Error:
            return b""

    # --- OCSP -----------------------------------------------------------------------------------------------------

    def ocsp(self, rq, body, ca):
        try:
            ids, nonce = parse_request(body)
        except (der.Bad, ValueError, IndexError):
            self.count("ocsp", ca, "malformed")
            return self.reply(refusal(MALFORMED))
        first = ids[0]
        issuer = next((i for i in self.issuers if (first.oid, first.name_hash, first.key_hash) in i.ids), None)
        if issuer is None or (ca in pki.TREES and ca != issuer.name):
            self.count("ocsp", ca, "unauthorized")
            return self.reply(refusal(UNAUTHORIZED))
        rule = {"mode": "good"} if "/moved" in rq.route else self.ocsp_rules.take(issuer.name, "*")
        mode = rule["mode"] or "good"
        self.count("ocsp", issuer.name, mode)
        return self.break_it(rq, mode, rule, "application/ocsp-response",
                             lambda: self.ocsp_body(issuer.name, ids, nonce, mode), f"/ocsp/{issuer.name}/moved/" + rq.route.split("/", 3)[-1]
                             if rq.command == "GET" else f"/ocsp/{issuer.name}/moved")

    def count(self, what, ca, mode):
        with self.lock:
            self.counts[f"{what}"] += 1
            self.counts[f"{what} {ca} {mode}"] += 1

    def reply(self, body, kind="application/ocsp-response"):
        return Answer(200, body, kind, {"Cache-Control": "max-age=60"})

    def break_it(self, rq, mode, rule, kind, make, here):
        if mode == "down":
            raise Hang_up
        if mode == "blackhole":
            rq.pause(rule.get("seconds", 120))
            raise Hang_up
        if mode == "slow":
            rq.pause(rule.get("seconds", 10))
        if mode == "http_500":
            return Answer(500, "as told")
        if mode == "redirect":
            return Answer(302, headers={"Location": f"http://{rq.headers.get('Host', 'localhost')}{here}"})
        if mode == "huge":
            return rq.stream(kind, make(), b"\0" * 65536, rule.get("bytes", 1 << 30))
        body = make()
        if mode == "drip":
            return self.drip(rq, kind, body, rule.get("seconds", 1))
        if mode == "garbage":
            body = b"\x30\x82\xff\xff" + os.urandom(200)
        if mode == "trailing":
            body += b"\0"
        return self.reply(body, kind)

    def drip(self, rq, kind, body, seconds):
        rq.send_response(200)
        rq.send_header("Content-Type", kind)
        rq.send_header("Content-Length", str(len(body)))
        rq.end_headers()
        for i in range(len(body)):
            rq.wfile.write(body[i:i + 1])
            rq.pause(seconds)

    def status_of(self, serial, mode):
        """CertStatus, RFC 6960 4.2.1"""
        if mode == "unknown":
            return der.tlv(0x82)
        when, reason = self.revoked.get(serial, (None, None))
        if mode in ("revoked", "hold") and when is None:
            when, reason = pki.now() - HOUR, "certificateHold" if mode == "hold" else "keyCompromise"
        if when is None:
            return der.tlv(0x80)
        return der.tlv(0xa1, der.gtime(when), der.ctx(0, der.enum(REASONS[reason])) if REASONS[reason] else b"")

    def signer(self, ca, mode):
        if mode == "other_signer":       # a delegate that another CA appointed
            ca = next(c for c in pki.ISSUING if c != ca)
        suffix = {"delegate_revoked": "-ocsp-revoked", "not_yet": "-ocsp-notyet", "no_eku": "-ocsp-noeku"}.get(mode, "-ocsp")
        name = ca + suffix if ca in pki.ISSUING else ca
        return self.h.certs[name], self.h.keys[name]

    def ocsp_body(self, ca, ids, nonce, mode):
        if mode in ("tryLater", "unauthorized"):
            return refusal(TRY_LATER if mode == "tryLater" else UNAUTHORIZED)
        t = pki.now()
        this, after = {"stale": (t - 2 * pki.DAY, t - pki.DAY), "future": (t + pki.DAY, t + 2 * pki.DAY),
                       "no_next_update": (t - 30 * pki.DAY, None)}.get(mode, (t - MINUTE, t + HOUR))
        singles = [single(i.with_serial(i.serial + 1) if mode == "wrong_cert" else i.whole, self.status_of(i.serial, mode), this, after) for i in ids]
        if nonce is not None and mode == "wrong_nonce":
            nonce = der.octets(os.urandom(32))
        if mode == "no_nonce":
            nonce = None
        cert, key = self.signer(ca, mode)
        return basic(singles, nonce, this if mode in ("stale", "future", "no_next_update") else t, cert, key, mode == "bad_signature")

    # --- CRLs and certificates ------------------------------------------------------------------------------------

    def crl(self, rq, ca, ext):
        if ca not in pki.TREES or ext not in (".crl", ".pem"):
            return Answer(404, "no such CRL")
        rule = {"mode": "good"} if rq.query.get("moved") else self.crl_rules.take(ca, "*")
        mode = rule["mode"] or "good"
        self.count("crl", ca, mode)
        pem = ext == ".pem" or mode == "pem"
        return self.break_it(rq, mode, rule, "application/pkix-crl", lambda: self.crl_body(ca, mode, pem), f"/crl/{ca}{ext}?moved=1")

    def crl_body(self, ca, mode, pem):
        with self.lock:
            kind = mode if mode in ("expired", "future", "other_signer") else "good"
            if (ca, kind) not in self.crl_cache:
                t = pki.now()
                this, after = {"expired": (t - 9 * pki.DAY, t - 2 * pki.DAY), "future": (t + pki.DAY, t + 2 * pki.DAY)}.get(kind, (t - MINUTE, t + pki.DAY))
                own = {self.h.certs[f"{c}-ocsp-revoked"].serial_number for c in pki.ISSUING}
                entries = [(s, when, FLAGS[why]) for s, (when, why) in self.revoked.items() if s not in own]
                signer = self.h.keys["gov-token" if ca != "gov-token" else "public-token"] if kind == "other_signer" else None
                self.crl_cache[ca, kind] = self.h.crl(ca, entries, this, after, self.version, signer)
            made = self.crl_cache[ca, kind]
        return made.public_bytes(serialization.Encoding.PEM if pem else serialization.Encoding.DER)

    def issuer(self, ca, ext):
        self.count("ca", ca, "good")
        if ca not in pki.TREES:
            return Answer(404, "no such CA")
        return self.reply(pki.cert_pem(self.h.certs[ca]) if ext == ".pem" else pki.cert_der(self.h.certs[ca]), "application/pkix-cert")

    # --- control --------------------------------------------------------------------------------------------------

    def serial(self, ask):
        value = ask.get("serial")
        try:
            return value if isinstance(value, int) else int(value.replace(":", ""), 16)
        except (AttributeError, ValueError):
            raise as_json({"error": "serial: hexadecimal text, or a number"}, 400) from None

    def control(self, rq, what):
        ask = rq.json() if rq.command == "POST" else {}
        match (rq.command, what):
            case ("GET", "state"):
                return as_json({"counts": dict(self.counts), "ocsp": self.ocsp_rules.rules, "crl": self.crl_rules.rules,
                                "revoked": {f"{s:x}": why for s, (_, why) in self.revoked.items()}, "cas": list(pki.TREES)})
            case ("POST", "behave"):
                if (ca := ask.get("ca", "*")) != "*" and ca not in pki.TREES:
                    return as_json({"error": "no such CA", "cas": list(pki.TREES)}, 400)
                if "mode" in ask:
                    self.ocsp_rules.set(ca, ask)
                if "crl" in ask:
                    self.crl_rules.set(ca, {**ask, "mode": ask["crl"]})
                return as_json({"result": "ok"})
            case ("POST", "revoke" | "unrevoke"):
                return self.revoke(self.serial(ask), ask.get("reason", "unspecified"), what == "revoke")
            case ("POST", "reset"):
                self.reset()
                return as_json({"result": "ok"})
        return as_json({"error": "no such control"}, 404)

    def revoke(self, serial, reason, on):
        if reason not in REASONS:
            return as_json({"error": "no such reason", "reasons": list(REASONS)}, 400)
        with self.lock:
            self.revoked.pop(serial, None)
            if on:
                self.revoked[serial] = (pki.now(), reason)
            self.version += 1
            self.crl_cache.clear()
        return as_json({"result": "revoked" if on else "not revoked", "serial": f"{serial:x}"})
