#!/usr/bin/env python3
"""A mobile operator and its subscribers' phones: ETSI TS 102 204 in two dialects (SIGNATURES.md 1.1, 1.2), a phone as a web page,
and a control API with which a test makes either misbehave. See README.md."""
import collections, datetime, hashlib, secrets, sys, threading, time, urllib.parse
import cms, phone, pki, soap
from der import Bad, digest_info
from web import Answer, Behaviour, Hang_up, as_json

PIN_TRIES, PIN_CACHE_SECONDS, KEEP = 3, 15 * 60, 20000

CODES = {"accepted": 100, "expired": 208, "unreachable": 209, "refused": 401, "pin_blocked": 402, "card_blocked": 403, "busy": 406,
         "certificate": 408, "no_certificate": 422, "signed": 500, "revoked": 501, "validated": 502, "outstanding": 504}
# What a dialect writes its own way. An operator's "codes" in the subscribers' file change single codes.
DIALECTS = {
    "etsi-cms": {"plus": True, "format": "cms", "strict": True, "codes": CODES},
    "vn-pkcs1": {"plus": False, "format": "pkcs1", "strict": False, "codes": {**CODES, "signed": 408, "validated": 408}},
}
# The phone never gets to answer: the operator says this.
OUTCOMES = {"refuse": "refused", "wrong_pin": "pin_blocked", "blocked": "card_blocked", "timeout": "expired", "unreachable": "unreachable",
            "revoked": "revoked"}
# The phone answers; what then goes back is not what was asked.
SIGNING = ("other_hash", "other_person", "other_key", "expired_cert", "no_certificate", "unsigned_attrs", "two_signers")
WRITING = ("wrong_echo_trans", "wrong_echo_msisdn", "duplicate_status", "doctype", "deep", "huge")
TRANSPORT = ("down", "hang", "slow", "http_429", "fault", "unknown", "status")
LATE = ("late", "status_outstanding_forever")
MODES = ("", "normal", *OUTCOMES, *SIGNING, *WRITING, *TRANSPORT, *LATE)
PLACE = {"MSS_SignatureReq": "signature", "MSS_StatusReq": "status", "MSS_RegistrationReq": "registration"}

class Operator:
    def __init__(self, name, o):
        self.name, self.label, self.dialect = name, o.get("label", name), o["dialect"]
        self.ap_id, self.ap_pwd = o["ap_id"], o["ap_pwd"]
        self.uri, self.detached = o.get("mssp_uri", f"http://{name}.mssp.example.vn"), o.get("detached", False)
        d = DIALECTS[self.dialect]
        self.plus, self.format, self.strict, self.codes = d["plus"], d["format"], d["strict"], {**d["codes"], **o.get("codes", {})}

class Sim:
    def __init__(self, s, cert, key, issuer, lock):
        self.lock, self.asked = lock, threading.Condition(lock)
        self.msisdn, self.name, self.operator, self.pin = s["msisdn"], s["name"], s["operator"], s["pin"]
        self.cert, self.key, self.issuer = cert, key, issuer
        self.tries, self.blocked, self.shown, self.auto, self.seq, self.pinned = PIN_TRIES, False, None, None, 0, {}
        self.said = None                 # how the last message ended: for the page

class Transaction:
    """state: waiting, then exactly once signed or one of the words of CODES."""
    def __init__(self, operator, sim, r, rule):
        self.id, self.operator, self.sim, self.r, self.rule = "T" + secrets.token_hex(12), operator, sim, r, rule
        self.state, self.deadline, self.signature = "waiting", time.monotonic() + r.timeout, None
        self.code = verification_code(r.dtbs)
        self.text = r.display.replace("%%VC%%", self.code)
        self.ended = threading.Condition(sim.lock)
        self.waits_for_late = rule["mode"] in LATE

# SIGNATURES.md 1.2: the last two bytes of SHA-256 over what is signed, DigestInfo header included, mod 10000.
def verification_code(dtbs):
    return f"{int.from_bytes(hashlib.sha256(dtbs).digest()[-2:], 'big') % 10000:04d}"

def e164(text):
    digits = "".join(c for c in text if c.isdigit())
    return "+84" + digits[1:] if digits.startswith("0") else "+" + digits

class Network:
    """All operators and phones of one process, under one lock. Who waits, waits for one phone or one transaction: thousands may."""

    def __init__(self, config, hierarchy, load):
        self.lock = threading.RLock()
        self.operators = {n: Operator(n, o) for n, o in config["operators"].items()}
        self.hierarchy, self.sims = hierarchy, {}
        for s in config["subscribers"]:
            cert, key = load(s)
            self.sims[s["msisdn"]] = Sim(s, cert, key, s.get("issuer", "public-sim"), self.lock)
        self.behaviour, self.transactions = Behaviour(MODES, default="signature"), collections.OrderedDict()
        self.log, self.counts, self.auto_all = collections.deque(maxlen=KEEP), collections.Counter(), None

    # --- what the application provider asks -----------------------------------------------------------------------

    def answer(self, operator, rq):
        entry = {"n": self.counts["requests"], "at": datetime.datetime.utcnow().isoformat(timespec="milliseconds") + "Z",
                 "operator": operator.name, "path": rq.route}
        self.counts["requests"] += 1
        self.log.append(entry)
        r = soap.Request()
        try:
            r = soap.parse(rq.body, operator.strict)
            entry.update(message=r.kind, ap_id=r.ap_id, ap_trans_id=r.ap_trans_id, instant=r.instant, msisdn=r.msisdn, mode=r.mode,
                         mssp_trans_id=r.mssp_trans_id, timeout=r.timeout)
            return self.admit(operator, rq, r, entry)
        except soap.Fault as f:
            entry.update(fault=f"_{f.code}", why=f.why)
            return Answer(500, soap.fault(f.code, f.why, f.side), soap.KIND)

    def admit(self, operator, rq, r, entry):
        if not (secrets.compare_digest(r.ap_id.encode(), operator.ap_id.encode())
                and secrets.compare_digest(r.ap_pwd.encode(), operator.ap_pwd.encode())):
            raise soap.Fault(104, "AP_ID or AP_PWD")
        if PLACE[r.kind] not in rq.route.lower().replace("statusquery", "status"):
            raise soap.Fault(101, f"{r.kind} at {rq.route}")
        key = self.transactions[r.mssp_trans_id].sim.msisdn if r.mssp_trans_id in self.transactions else e164(r.msisdn)
        rule = self.behaviour.take(key, "*", place=PLACE[r.kind])
        entry["behaves"] = rule["mode"]
        self.misbehave(rq, rule)
        if r.kind == "MSS_StatusReq":
            return self.status_query(operator, r, rule, entry, rq)
        sim = self.subscriber(operator, r)
        if r.kind == "MSS_RegistrationReq":
            return self.registration(operator, r, sim, rule, entry, rq)
        return self.signature(operator, r, sim, rule, entry, rq)

    def misbehave(self, rq, rule):
        mode, seconds = rule["mode"], rule.get("seconds", 10)
        if mode == "down":
            raise Hang_up
        if mode == "hang":
            rq.pause(rule.get("seconds", 600))
            raise Hang_up
        if mode == "slow":
            rq.pause(seconds)
        if mode == "http_429":
            raise Answer(429, "too many requests", headers={"Retry-After": "5"})
        if mode == "fault":
            raise soap.Fault(int(str(rule.get("code", 900)).lstrip("_")), "as told", "Receiver")
        if mode == "unknown":
            raise soap.Fault(105, "unknown subscriber")

    def subscriber(self, operator, r):
        if r.msisdn.startswith("+") != operator.plus:
            raise soap.Fault(101, "MSISDN is written " + ("+84..." if operator.plus else "84..."))
        sim = self.sims.get(e164(r.msisdn))
        if sim is None or sim.operator != operator.name:
            raise soap.Fault(105, "unknown subscriber")
        return sim

    def registration(self, operator, r, sim, rule, entry, rq):
        if rule["mode"] == "no_certificate" or sim.cert is None:
            entry["code"] = operator.codes["no_certificate"]
            inside = soap.status(operator.codes["no_certificate"])
        else:
            entry["code"] = operator.codes["certificate"]
            der = soap.b64(pki.cert_der(self.other(sim).cert if rule["mode"] == "other_person" else sim.cert))
            cert = f"<mss:X509Certificate>{der}</mss:X509Certificate>"
            inside = soap.status(operator.codes["certificate"]) + (cert if operator.plus else f"<mss:CertificateResponse>{cert}</mss:CertificateResponse>")
        return self.write(rq, rule, "MSS_RegistrationResponse", "MSS_RegistrationResp", "", soap.base(r, r.ap_trans_id, operator.uri) + inside)

    def signature(self, operator, r, sim, rule, entry, rq):
        if operator.format == "pkcs1":
            try:
                cms.hash_in(r.dtbs)
            except Bad as e:
                raise soap.Fault(107, str(e)) from None
        if "PSS" in r.format or (r.format and ("PKCS1" in r.format) != (operator.format == "pkcs1")):
            raise soap.Fault(109, f"MSS_Format {r.format}")
        with self.lock:
            if rule["mode"] == "status":
                return self.write_signature(rq, operator, r, sim, rule, None, int(rule.get("code", 900)), entry)
            if rule["mode"] not in OUTCOMES and self.open_on(sim):
                return self.write_signature(rq, operator, r, sim, rule, None, operator.codes["busy"], entry)
            t = self.ask_phone(operator, sim, r, rule)
        entry.update(mssp_trans_id=t.id, shown=t.text, code_shown=t.code)
        if r.mode == "asynchClientServer":
            # What spoils the text spoils the answer that carries the signature, unless the rule says "on".
            first = {"mode": ""} if rule["mode"] in WRITING and "on" not in rule else rule
            return self.write_signature(rq, operator, r, sim, first, t, operator.codes["accepted"], entry)
        self.wait(t)
        return self.write_signature(rq, operator, r, sim, rule, t, self.code_of(t), entry)

    def status_query(self, operator, r, rule, entry, rq):
        with self.lock:
            t = self.transactions.get(r.mssp_trans_id)
            if t is None or t.operator is not operator:
                raise soap.Fault(208, "no such transaction")
            self.expire(t)
            code = int(rule.get("code", 900)) if rule["mode"] == "status" else self.code_of(t)
        final = t.rule if t.state == "signed" and not rule["mode"] else rule
        return self.write_signature(rq, operator, r, t.sim, final, t, code, entry, asked=t.r)

    # --- the phone ------------------------------------------------------------------------------------------------

    def open_on(self, sim):
        if sim.shown:
            self.expire(sim.shown)
        return sim.shown is not None

    def ask_phone(self, operator, sim, r, rule):
        t = Transaction(operator, sim, r, rule)
        self.transactions[t.id] = t
        while len(self.transactions) > KEEP:
            self.transactions.popitem(last=False)
        if rule["mode"] in OUTCOMES:
            self.end(t, OUTCOMES[rule["mode"]])
        elif sim.blocked:
            self.end(t, "pin_blocked")
        elif time.monotonic() - sim.pinned.get(r.ap_trans_id, -PIN_CACHE_SECONDS) < PIN_CACHE_SECONDS:
            self.cached_pin(t)
        else:
            self.show(t)
        return t

    def cached_pin(self, t):
        """SIGNATURES.md 1.2: the same AP_TransID within 15 minutes signs without asking the person. MotID must never come here."""
        self.counts["pin_cache_signatures"] += 1
        self.log.append({"event": "PIN_CACHE", "msisdn": t.sim.msisdn, "ap_trans_id": t.r.ap_trans_id, "mssp_trans_id": t.id})
        print(f"SIMULATOR: {t.sim.msisdn} SIGNED WITHOUT A PIN: AP_TransID {t.r.ap_trans_id} was used again", file=sys.stderr, flush=True)
        self.sign(t)

    def show(self, t):
        sim = t.sim
        sim.shown, sim.said, sim.seq = t, None, sim.seq + 1
        self.counts["shown"] += 1
        sim.asked.notify_all()
        auto = sim.auto or self.auto_all
        if auto:
            pin = sim.pin if auto.get("pin", True) is True else str(auto["pin"])
            timer = threading.Timer(auto.get("seconds", 0.05), self.auto_press, (t, auto.get("press", "confirm"), pin))
            timer.daemon = True
            timer.start()

    def auto_press(self, t, press, pin):
        with self.lock:
            if t.sim.shown is t:
                self.refuse(t.sim) if press == "refuse" else self.confirm(t.sim, pin)

    def confirm(self, sim, pin):
        """-> a word for the person: signed, wrong_pin, pin_blocked, nothing"""
        with self.lock:
            if not self.open_on(sim):
                return "nothing"
            t = sim.shown
            if not secrets.compare_digest(str(pin).encode(), sim.pin.encode()):
                sim.tries -= 1
                self.counts["wrong_pins"] += 1
                if sim.tries > 0:
                    sim.said, sim.seq = "wrong_pin", sim.seq + 1
                    return "wrong_pin"
                sim.blocked = True
                self.end(t, "pin_blocked")
                return "pin_blocked"
            sim.tries = PIN_TRIES
            sim.pinned[t.r.ap_trans_id] = time.monotonic()
            self.sign(t)
            return "signed"

    def refuse(self, sim):
        with self.lock:
            if not self.open_on(sim):
                return "nothing"
            self.end(sim.shown, "refused")
            return "refused"

    def unblock(self, sim):
        with self.lock:
            sim.blocked, sim.tries, sim.said, sim.seq = False, PIN_TRIES, None, sim.seq + 1

    def end(self, t, state):
        t.state = state
        self.counts[state] += 1
        if t.sim.shown is t:
            t.sim.shown = None
        t.sim.said, t.sim.seq = state, t.sim.seq + 1
        t.ended.notify_all()

    def expire(self, t):
        if t.state == "waiting" and time.monotonic() >= t.deadline + (600 if t.waits_for_late else 0):
            self.end(t, "expired")

    def wait(self, t):
        """Until the transaction has ended and may be told."""
        with self.lock:
            while t.state == "waiting" or self.held_back(t):
                self.expire(t)
                if t.state == "waiting" or self.held_back(t):
                    left = t.deadline - time.monotonic()
                    t.ended.wait(max(0.01, min(left, 60)) if left > 0 else 0.2)

    def held_back(self, t):
        if t.rule["mode"] == "status_outstanding_forever":
            return time.monotonic() < t.deadline + 600
        return t.rule["mode"] == "late" and time.monotonic() < t.deadline + t.rule.get("seconds", 1)

    def code_of(self, t):
        codes = t.operator.codes
        if t.state == "waiting" or self.held_back(t):
            return codes["outstanding"]
        if t.state == "signed":
            return codes["validated" if any(s.endswith("#signatureValidation") for s in t.r.services) else "signed"]
        return codes[t.state]

    # --- signing --------------------------------------------------------------------------------------------------

    def other(self, sim):
        return next((s for s in self.sims.values() if s is not sim and s.operator == sim.operator), None) or \
               next(s for s in self.sims.values() if s is not sim)

    def sign(self, t):
        sim, mode = t.sim, t.rule["mode"]
        cert, key, dtbs = sim.cert, sim.key, t.r.dtbs
        if mode == "other_hash":
            dtbs = digest_info(cms.sha256(dtbs)) if t.operator.format == "pkcs1" else cms.sha256(dtbs)
        if mode == "other_person":
            cert, key = self.other(sim).cert, self.other(sim).key
        if mode == "other_key":
            key = self.another_key(key)
        if mode == "expired_cert":
            cert = self.expired(sim)
        t.cert = None if mode == "no_certificate" else cert
        if t.operator.format == "pkcs1":
            t.signature = cms.sign_hash(key, cms.hash_in(dtbs))
        else:
            signers = [(cert, key)] + ([(self.other(sim).cert, self.other(sim).key)] if mode == "two_signers" else [])
            carried = [] if mode == "no_certificate" else [c for c, _ in signers] + [self.hierarchy.certs[sim.issuer]]
            digest = dtbs if t.operator.detached and t.r.dtbs_type == "application/x-sha256" else None
            t.signature = cms.signed_data(dtbs, signers, carried, t.operator.detached, mode != "unsigned_attrs", digest)
        self.end(t, "signed")

    def another_key(self, like):
        return pki.new_key("rsa2048" if hasattr(like, "private_numbers") and hasattr(like.private_numbers(), "p") else "p256")

    def expired(self, sim):
        uids = [a.value for a in sim.cert.subject if a.oid == pki.UID]
        return self.hierarchy.leaf(sim.issuer, sim.name, uids, profile="sim", days=365, not_before=pki.now() - 400 * pki.DAY, private=sim.key)[0]

    # --- what goes back -------------------------------------------------------------------------------------------

    def write_signature(self, rq, operator, r, sim, rule, t, code, entry, asked=None):
        entry["code"] = code
        done = t is not None and t.signature is not None and t.state == "signed" and code not in (operator.codes["accepted"], operator.codes["outstanding"])
        msisdn = sim.msisdn if operator.plus else sim.msisdn[1:]
        trans = r.ap_trans_id
        if rule["mode"] == "wrong_echo_trans":
            trans = "A" + secrets.token_hex(8)
        if rule["mode"] == "wrong_echo_msisdn":
            msisdn = msisdn[:-1] + str((int(msisdn[-1]) + 1) % 10)
        inside = soap.base(r, trans, operator.uri) + soap.user(msisdn)
        if done:
            wants = any(s.endswith("#signingCertificate") for s in (asked or r).services)
            inside += soap.signature(t.signature, pki.cert_der(t.cert) if operator.format == "pkcs1" and wants and t.cert else None)
        if rule["mode"] == "duplicate_status":
            inside += soap.status(operator.codes["refused"])
        inside += soap.status(code)
        if r.kind == "MSS_StatusReq":
            return self.write(rq, rule, "MSS_StatusQueryResponse", "MSS_StatusResp", "", inside)
        attributes = f' MSSP_TransID="{t.id if t else "T0"}"'
        return self.write(rq, rule, "MSS_SignatureResponse", "MSS_SignatureResp", attributes, inside)

    def write(self, rq, rule, wrapper, kind, attributes, inside):
        mode, head = rule["mode"], ""
        if mode == "deep":
            n = rule.get("depth", 10000)
            head = "<env:Header>" + "<x>" * n + "</x>" * n + "</env:Header>"
        body = soap.message(wrapper, kind, attributes, inside, head)
        if mode == "doctype":
            body = body.replace(b"?>\n", b'?>\n<!DOCTYPE e [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;"><!ENTITY x SYSTEM "file:///etc/hostname">]>\n', 1)
        if mode == "huge":
            cut = body.index(b"<env:Body>")
            return rq.stream(soap.KIND, body[:cut] + b"<env:Header><x>", b"A" * 65536, rule.get("bytes", 1 << 30), b"</x></env:Header>" + body[cut:])
        return Answer(200, body, soap.KIND)

    # --- control --------------------------------------------------------------------------------------------------

    def sim(self, text):
        sim = self.sims.get(e164(urllib.parse.unquote(text)))
        if sim is None:
            raise as_json({"error": "no such phone"}, 404)
        return sim

    def wait_shown(self, sim, seconds):
        end = time.monotonic() + min(float(seconds), 60)
        with self.lock:
            while not self.open_on(sim) and time.monotonic() < end:
                sim.asked.wait(end - time.monotonic())
            return sim.shown is not None

    def phone_state(self, sim):
        with self.lock:
            t = sim.shown if self.open_on(sim) else None
            return {"msisdn": sim.msisdn, "name": sim.name, "operator": sim.operator, "seq": sim.seq, "tries": sim.tries, "blocked": sim.blocked,
                    "said": sim.said, "message": t and t.text, "code": t and t.code, "service": t and t.r.ap_id, "trans_id": t and t.id,
                    "ap_trans_id": t and t.r.ap_trans_id, "left": t and max(0, round(t.deadline - time.monotonic()))}

    def press_by_itself(self, rq, words):
        """POST /ciba/PHONE/allow|deny: what a conformance suite calls as automated_ciba_approval_url, in a person's place."""
        match (rq.command, *words):
            case ("POST", number, "allow" | "deny" as action):
                sim = self.sim(number)
                self.wait_shown(sim, 20)
                said = self.refuse(sim) if action == "deny" else self.confirm(sim, sim.pin)
                return as_json({"result": said}, 409 if said == "nothing" else 200)
        return as_json({"error": "POST /ciba/PHONE/allow or deny"}, 404)

    def set_auto(self, key, auto):
        with self.lock:
            if key == "*":
                self.auto_all = auto
            else:
                self.sim(key).auto = auto

    def reset(self):
        with self.lock:
            self.behaviour.clear()
            self.log.clear()
            self.counts.clear()
            self.auto_all = None
            for s in self.sims.values():
                if s.shown:
                    self.end(s.shown, "expired")
                s.blocked, s.tries, s.auto, s.said = False, PIN_TRIES, None, None
                s.pinned.clear()
            self.transactions.clear()

    def control(self, rq, words):
        ask = rq.json() if rq.command == "POST" else {}
        match (rq.command, *words):
            case ("GET", "state"):
                return as_json({"counts": dict(self.counts), "pin_cache_signatures": self.counts["pin_cache_signatures"],
                                "rules": self.behaviour.rules, "phones": [self.phone_state(s) for s in self.sims.values()]})
            case ("GET", "log"):
                return as_json(list(self.log))
            case ("GET", "phone", number):
                sim = self.sim(number)
                self.wait_shown(sim, rq.query.get("wait", 0))
                return as_json(self.phone_state(sim))
            case ("POST", "phone", number, "confirm" | "refuse" as press):
                sim = self.sim(number)
                self.wait_shown(sim, ask.get("wait", 0))
                said = self.refuse(sim) if press == "refuse" else self.confirm(sim, ask.get("pin", ""))
                return as_json({"result": said}, 409 if said == "nothing" else 200)
            case ("POST", "phone", number, "unblock"):
                self.unblock(self.sim(number))
                return as_json({"result": "unblocked"})
            case ("POST", "behave"):
                key = ask.get("msisdn", "*")
                key = key if key == "*" else self.sim(key).msisdn
                if "auto" in ask:
                    self.set_auto(key, ask["auto"])
                if "mode" in ask:
                    self.behaviour.set(key, ask)
                return as_json({"result": "ok"})
            case ("POST", "reset"):
                self.reset()
                return as_json({"result": "ok"})
        raise as_json({"error": "no such control"}, 404)

class Soap_site:
    """One operator's door."""
    def __init__(self, network, operator):
        self.network, self.operator = network, operator

    def handle(self, rq):
        if rq.command != "POST" or not rq.route.startswith("/soap/services/MSS_"):
            raise Answer(404, "no such service")
        return self.network.answer(self.operator, rq)

class Phone_site:
    """The citizens' phones and the control API: on the loopback address only."""
    def __init__(self, network):
        self.network = network

    def handle(self, rq):
        if rq.command == "POST" and rq.headers.get("Origin", f"http://{rq.headers.get('Host')}") != f"http://{rq.headers.get('Host')}":
            return as_json({"error": "another page's form"}, 403)
        words = [w for w in rq.route.split("/") if w]
        if words[:1] == ["ciba"]:
            return self.network.press_by_itself(rq, words[1:])
        if words[:1] == ["control"]:
            return self.network.control(rq, words[1:])
        return phone.handle(self.network, rq, words)
