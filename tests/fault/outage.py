#!/usr/bin/env python3
"""Responders and operators that fail in every way of tests/sim: never a login, the right page at the end, and service again without a restart (F-08, F-09)."""
import concurrent.futures, json, statistics, threading, time, unittest, urllib.parse, urllib.request
from provider import Client, Hammer, Line, Provider, check, encode, pki, until

# ---- responders -------------------------------------------------------------------------------------------------------------

GOOD, UNKNOWN, REVOKED = None, "chưa kiểm tra được chứng thư số còn hiệu lực", "đã bị thu hồi hoặc tạm dừng"
OCSP = {  # mode: what becomes of the login while the list of revoked certificates is not to be had either
    "good": GOOD, "no_nonce": GOOD, "revoked": REVOKED, "hold": REVOKED,
    "unknown": UNKNOWN, "down": UNKNOWN, "blackhole": UNKNOWN, "slow": UNKNOWN, "drip": UNKNOWN, "wrong_nonce": UNKNOWN, "stale": UNKNOWN, "future": UNKNOWN,
    "tryLater": UNKNOWN, "unauthorized": UNKNOWN, "http_500": UNKNOWN, "huge": UNKNOWN, "redirect": UNKNOWN, "delegate_revoked": UNKNOWN, "other_signer": UNKNOWN,
    "no_eku": UNKNOWN, "not_yet": UNKNOWN, "wrong_cert": UNKNOWN, "no_next_update": UNKNOWN, "bad_signature": UNKNOWN, "garbage": UNKNOWN, "trailing": UNKNOWN,
}
CRL = {"good": GOOD, "pem": GOOD, "expired": UNKNOWN, "future": UNKNOWN, "other_signer": UNKNOWN, "garbage": UNKNOWN, "down": UNKNOWN, "blackhole": UNKNOWN,
       "slow": UNKNOWN, "huge": UNKNOWN, "http_500": UNKNOWN, "redirect": UNKNOWN}

class Responder(unittest.TestCase):
    @classmethod
    def setUpClass(cls): cls.p = Provider(1, "sqlite", sections="[certificates]\nstatus_timeout = 1s\ncrl_fallback = yes\n")

    @classmethod
    def tearDownClass(cls): cls.p.stop()

    def setUp(self): self.p.reset()

    def ends(self, wanted, person=None):
        """A login by USB token of somebody whom nobody has asked about yet."""
        _, cert, key = person or self.p.citizen()
        began = time.monotonic()
        page, b = self.p.try_token(cert, key)
        took = time.monotonic() - began
        session = self.p.session(b)
        if wanted is GOOD:
            self.assertIsNotNone(session, page.text[:500])
        else:
            self.assertIsNone(session, "nobody is signed in")
            self.assertEqual(page.status, 403)
            self.assertIn(wanted, page.text)
            self.assertTrue(page.form("/login/token"), "and may try again")
        self.assertLess(took, 5, "within the time for the responder and the list")

    def test_no_bad_answer_of_a_responder_signs_anybody_in(self):
        for mode, wanted in OCSP.items():
            with self.subTest(mode):
                self.p.behave(ca="*", mode=mode, crl="down")
                self.ends(wanted)

    def test_a_list_stands_in_for_the_responder_only_while_it_is_fresh_and_its_issuer_s_own(self):
        for crl, wanted in CRL.items():
            with self.subTest(crl):
                self.p.behave(ca="*", mode="down", crl=crl)
                self.ends(wanted)

    def test_who_is_on_the_list_is_not_signed_in_when_the_responder_is_down(self):
        person = self.p.citizen()
        check.ask(f"{self.p.sim['responder_control']}/revoke", {"serial": f"{person[1].serial_number:x}", "reason": "keyCompromise"})
        self.p.behave(ca="*", mode="down")
        self.ends(REVOKED, person)

    def test_who_could_not_be_checked_signs_in_when_the_responder_is_back_without_a_restart(self):
        person = self.p.citizen()
        self.p.behave(ca="*", mode="blackhole", crl="blackhole")
        self.ends(UNKNOWN, person)
        self.p.reset()
        def again():
            page, b = self.p.try_token(*person[1:])
            return self.p.session(b)
        until("the responder is asked again", again, 10)

    def test_every_refusal_left_its_audit_row(self):
        before = len(self.p.audit("event = 'login.refused'"))
        self.p.behave(ca="*", mode="bad_signature", crl="down")
        self.ends(UNKNOWN)
        rows = self.p.audit("event = 'login.refused'")
        self.assertEqual(len(rows), before + 1)
        self.assertEqual(rows[-1]["outcome"], "certificate_status_unknown")

class Without_lists(unittest.TestCase):
    def test_where_lists_may_not_stand_in_a_responder_that_is_down_signs_nobody_in(self):
        with Provider(1, "sqlite", crl=False) as p:
            p.behave(ca="*", mode="down", crl="good")
            _, cert, key = p.citizen()
            page, b = p.try_token(cert, key)
            self.assertIsNone(p.session(b))
            self.assertIn(UNKNOWN, page.text)

# ---- operators ----------------------------------------------------------------------------------------------------------------

PROFILES = """
[profile fast-cms]
messaging = asynch
format = cms
data = hash
msisdn = plus
signature_profile = http://mss.ficom.fi/TS102206/v1.0.0/authentication-profile.xml
format_uri = http://uri.etsi.org/TS102204/v1.1.2#PKCS7
first_poll = 1s
poll = 1s
"""
def operators(break_after): return {"ha-long": "fast-cms", "song-hong": "vn-pkcs1", "lines": f"break_after = {break_after}\nbreak_for = 1s\n"}

TITLES = {"refused": "Yêu cầu đã bị từ chối trên điện thoại", "wrong_pin": "Mã PIN chưa đúng", "blocked": "SIM ký số đã bị khóa", "timed_out": "Đã hết thời gian chờ",
          "unreachable": "Không liên lạc được với điện thoại", "revoked": "Chứng thư số đã bị thu hồi", "busy": "Điện thoại đang xử lý một yêu cầu khác",
          "operator_down": "Nhà mạng chưa phản hồi", "not_person": "Thông tin không khớp", "untrusted": "Chứng thư số chưa được công nhận",
          "status_unknown": "Chưa kiểm tra được chứng thư số"}
LOGIN = "login"
MODES = (  # mode, options, how it ends: one word, or one for each of etsi-cms and vn-pkcs1
    ("", {}, LOGIN), ("refuse", {}, "refused"), ("wrong_pin", {}, "blocked"), ("blocked", {}, "blocked"), ("timeout", {}, "timed_out"), ("unreachable", {}, "unreachable"),
    ("revoked", {}, "revoked"), ("unknown", {}, "timed_out"), ("fault", {"code": 900}, "operator_down"), ("status", {"code": 900}, "operator_down"),
    ("http_429", {}, "operator_down"), ("down", {}, "operator_down"), ("hang", {}, ("operator_down", "timed_out")), ("slow", {"seconds": 2}, LOGIN),
    ("other_hash", {}, "not_person"), ("other_person", {}, "not_person"), ("other_key", {}, "not_person"), ("expired_cert", {}, "untrusted"),
    # a bare signature may come without its certificate: it is asked for with MSS_Registration
    ("no_certificate", {}, ("not_person", LOGIN)),
    ("unsigned_attrs", {}, ("not_person", LOGIN)), ("two_signers", {}, ("not_person", LOGIN)),     # both only exist in CMS
    ("wrong_echo_trans", {}, "operator_down"), ("wrong_echo_msisdn", {}, "operator_down"), ("duplicate_status", {}, "operator_down"), ("doctype", {}, "operator_down"),
    ("deep", {"depth": 5000}, "operator_down"), ("huge", {"bytes": 64 << 20}, "operator_down"), ("late", {"seconds": 3}, "timed_out"),
    ("status_outstanding_forever", {}, "timed_out"),
)

class Phones:
    """Logins by SIM to their ends."""
    def begin(self, subscriber):
        b = check.Browser()
        page = check.to_method(b, b.open(f"{self.p.issuer}/account"), "sim")
        page = b.send(page, "/login/sim", phone="0" + subscriber["msisdn"][3:], number=subscriber["number"])
        return b, b.send(page, "/login/sim/send")

    def to_end(self, subscriber, seconds=45):
        """(how it ended, the browser)"""
        b, page = self.begin(subscriber)
        wait = page.url
        if page.data("data-poll"):
            until("there is an end", lambda: json.loads(b.open(urllib.parse.urljoin(wait, page.data("data-poll"))).text)["state"] == "done", seconds)
            page = b.open(wait)
        if self.p.session(b):
            return LOGIN, b
        return next((k for k, t in TITLES.items() if t in page.text), f"{page.status} {page.text[:600]}"), b

class Operator(Phones, unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.p = Provider(1, "sqlite", methods="sim token", operators=operators(1000), sections=PROFILES, subscribers=len(MODES))

    @classmethod
    def tearDownClass(cls): cls.p.stop()

    def test_each_way_an_operator_can_fail_ends_on_its_page_and_never_in_a_login(self):
        def walk(what):
            subscriber, (mode, options, _) = what
            self.p.behave("control", msisdn=subscriber["msisdn"], auto={"pin": subscriber["pin"]})
            self.p.behave("control", msisdn=subscriber["msisdn"], mode=mode, **options)
            return self.to_end(subscriber)[0]
        for n, operator in enumerate(("ha-long", "song-hong")):
            people = [s for s in self.p.sim["subscribers"] if s["operator"] == operator]
            with concurrent.futures.ThreadPoolExecutor(len(MODES)) as pool:
                ends = list(pool.map(walk, zip(people, MODES)))
            for (mode, _, wanted), end in zip(MODES, ends):
                with self.subTest(f"{operator}: {mode or 'well'}"):
                    self.assertEqual(end, wanted if isinstance(wanted, str) else wanted[n])
        # what was spoiled is good again, for the same people and the same process
        check.ask(f"{self.p.sim['control']}/reset", {})
        for operator in ("ha-long", "song-hong"):
            s = next(s for s in self.p.sim["subscribers"] if s["operator"] == operator)
            self.p.behave("control", msisdn=s["msisdn"], auto={"pin": s["pin"]})
            self.assertEqual(self.to_end(s)[0], LOGIN)
        self.assertEqual(check.ask(f"{self.p.sim['control']}/state")["pin_cache_signatures"], 0)

class Pushes(Phones, unittest.TestCase):
    """SEC-32, SIGNATURES.md 4.7: what may reach a phone, and who may have what comes of it."""
    @classmethod
    def setUpClass(cls):
        cls.p = Provider(1, "sqlite", methods="sim token", operators=operators(1000), sections=PROFILES, subscribers=6)
        cls.people = iter([s for s in cls.p.sim["subscribers"] if s["operator"] == "song-hong"])

    @classmethod
    def tearDownClass(cls): cls.p.stop()

    def to_code(self, subscriber):
        b = check.Browser()
        page = check.to_method(b, b.open(f"{self.p.issuer}/account"), "sim")
        return b, b.send(page, "/login/sim", phone="0" + subscriber["msisdn"][3:], number=subscriber["number"])

    def asked(self, subscriber):
        return sum(e.get("message") == "MSS_SignatureReq" and e["msisdn"].lstrip("+") == subscriber["msisdn"][1:] for e in check.ask(f"{self.p.sim['control']}/log"))

    def confirm(self, s): return check.ask(f"{self.p.sim['control']}/phone/{urllib.parse.quote(s['msisdn'])}/confirm", {"pin": s["pin"], "wait": 10})

    def send_many(self, b, page):
        with Hammer(self.p, 16, cookie="; ".join(self.p.cookies(b))) as hammer:
            return hammer.hit(("/login/sim/send", encode(**page.form("/login/sim/send")["fields"])))

    def test_however_often_the_button_is_pressed_the_phone_is_asked_once_and_every_press_leads_to_the_waiting_page(self):
        s = next(self.people)
        b, page = self.to_code(s)
        self.assertEqual({a[1] for a in self.send_many(b, page)}, {303})
        self.confirm(s)
        self.assertEqual(self.asked(s), 1)

    def test_a_second_request_for_the_same_person_does_not_reach_the_phone_while_the_first_is_open(self):
        s = next(self.people)
        first, second = self.begin(s), self.begin(s)
        self.assertTrue(first[1].data("data-poll"))
        self.assertIn("Đang có một yêu cầu khác", second[1].text)
        self.confirm(s)
        self.assertEqual(self.asked(s), 1)
        until("the first is signed in", lambda: first[0].open(first[1].url) and self.p.session(first[0]), 10)
        self.assertIsNone(self.p.session(second[0]))

    def test_what_a_phone_has_signed_is_of_use_in_one_browser_once(self):
        s = next(self.people)
        b, page = self.begin(s)
        thief = check.Browser()
        thief.open(f"{self.p.issuer}/account")
        self.confirm(s)
        poll = urllib.parse.urljoin(page.url, page.data("data-poll"))
        until("the phone has answered", lambda: json.loads(b.open(poll).text)["state"] == "done", 10)
        self.assertEqual((thief.open(page.url).status, thief.open(poll).status), (400, 400))
        path, cookies = page.url.removeprefix(self.p.issuer), {"Cookie": "; ".join(self.p.cookies(b))}
        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            answers = list(pool.map(lambda _: self.p.ask("GET", path, None, cookies), range(16)))
        self.assertEqual(sum("session=" in str(a.headers.get_all("Set-Cookie")) for a in answers), 1)
        self.assertIsNone(self.p.session(thief))

    def test_a_number_that_nobody_has_looks_like_a_phone_that_does_not_answer(self):
        s = next(self.people)
        known, unknown = self.begin(s), self.begin({"msisdn": "+84909999999", "number": pki.cccd(22, 1980, False, 9999)})
        shape = lambda page: [(a.get("class"), a.get("id")) for a in page.attrs]
        self.assertEqual((known[1].status, shape(known[1])), (unknown[1].status, shape(unknown[1])))
        state = lambda b, page: json.loads(b.open(urllib.parse.urljoin(page.url, page.data("data-poll"))).text)["state"]
        self.assertEqual((state(*known), state(*unknown)), ("pending", "pending"))
        self.assertIn("Đang có một yêu cầu khác", self.begin({"msisdn": "+84909999999", "number": pki.cccd(22, 1980, False, 9999)})[1].text)

class Circuit(Phones, unittest.TestCase):
    def test_after_faults_in_a_row_an_operator_is_left_alone_for_a_while_and_then_asked_again(self):
        with Provider(1, "sqlite", methods="sim token", operators=operators(3), sections=PROFILES, subscribers=8) as self.p:
            people = [s for s in self.p.sim["subscribers"] if s["operator"] == "song-hong"]
            requests = lambda: check.ask(f"{self.p.sim['control']}/state")["counts"].get("requests", 0)
            self.p.behave("control", msisdn="*", mode="down")
            for s in people[:3]:
                self.assertEqual(self.to_end(s)[0], "operator_down")
            until("the circuit has opened", lambda: "circuit opened" in self.p.log(), 5)
            asked = requests()
            self.assertEqual(self.to_end(people[3])[0], "operator_down")
            self.assertEqual(requests(), asked, "the operator was not asked")
            other = next(s for s in self.p.sim["subscribers"] if s["operator"] == "ha-long")
            self.p.behave("control", msisdn=other["msisdn"], mode="")
            self.p.behave("control", msisdn=other["msisdn"], auto={"pin": other["pin"]})
            self.assertEqual(self.to_end(other)[0], LOGIN, "another operator's people do not notice")
            self.p.behave("control", msisdn="*", mode="")
            s = people[4]
            self.p.behave("control", msisdn=s["msisdn"], auto={"pin": s["pin"]})
            until("it is asked again", lambda: self.to_end(s)[0] == LOGIN, 10)
            self.assertIn("circuit closed", self.p.log())

class Decoupled(unittest.TestCase):
    """A login that another system begins (CIBA), over two processes and by an application that signs what it is."""
    GRANT = "urn:openid:params:grant-type:ciba"

    @classmethod
    def setUpClass(cls): cls.p = Provider(2, "postgres", methods="sim", operators=operators(1000), sections=PROFILES)

    @classmethod
    def tearDownClass(cls): cls.p.stop()

    def ask(self, n, path, **form):
        """Each time with an assertion of its own, which is used up although the request has to wait for the responder."""
        line = Line(self.p.ports[n])
        try:
            return line.ask("POST", path, encode(client_assertion=self.c.assertion(self.key, self.p.issuer), **form,
                client_assertion_type="urn:ietf:params:oauth:client-assertion-type:jwt-bearer"), {"Content-Type": "application/x-www-form-urlencoded"})
        finally:
            line.close()

    def test_what_one_process_began_and_a_phone_has_signed_another_gives_also_when_the_first_was_killed(self):
        self.key = Client.jwks(self.p.path("counter.json"))
        self.c = self.p.client("Counter", "--jwks", self.p.path("counter.json"), "--ciba", "poll", auth="private-key-jwt", grants=(self.GRANT,), scope="openid")
        s = self.p.sim["subscribers"][0]
        begun = self.ask(0, "/bc-authorize", scope="openid", binding_message="Quay 7", login_hint=f"tel:{s['msisdn']};number={s['number']}")
        self.assertEqual(200, begun.status, begun.text)
        poll = lambda: self.ask(1, "/token", grant_type=self.GRANT, auth_req_id=begun.json["auth_req_id"])
        self.assertEqual("authorization_pending", poll().error)
        control = self.p.sim["phone"].removesuffix("/phone")
        self.assertEqual(200, urllib.request.urlopen(urllib.request.Request(f"{control}/ciba/{s['msisdn'][1:]}/allow", b"")).status)
        until("the answer is kept", lambda: self.p.servers.redis_cli("--scan", "--pattern", "*sim-answer*"), 20)
        self.p.kill(0)
        until("the tokens are given", lambda: poll().status == 200, 30)
        self.assertEqual("invalid_grant", poll().error)

class Waiting(Phones, unittest.TestCase):
    def test_while_200_wait_for_their_phones_and_the_responder_is_silent_tokens_and_keys_are_still_given_at_once(self):
        with Provider(1, "sqlite", methods="sim token", operators=operators(1000), sections=PROFILES, subscribers=100) as self.p:
            app = self.p.client("App")
            cookie = self.p.sign_in()
            self.p.behave(ca="*", mode="blackhole", crl="blackhole")
            with concurrent.futures.ThreadPoolExecutor(16) as pool:
                waits = list(pool.map(self.begin, self.p.sim["subscribers"]))
            self.assertEqual(len(waits), 200)
            self.assertTrue(all(page.data("data-poll") for _, page in waits))
            people, over = [self.p.citizen() for _ in range(64)], threading.Event()
            tokens = [threading.Thread(target=lambda p=p: self.p.try_token(*p[1:]), daemon=True) for p in people]
            for t in tokens:
                t.start()
            line, took = Line(self.p.ports[0]), []
            def timed(*request):
                began = time.monotonic()
                a = line.ask(*request)
                took.append(time.monotonic() - began)
                self.assertEqual(a.status, 200)
            while any(t.is_alive() for t in tokens):
                timed("GET", "/.well-known/jwks.json")
                timed("POST", "/token", encode(grant_type="client_credentials"), app.basic)
                over.wait(0.02)
            line.close()
            self.assertGreater(len(took), 50)
            self.assertLess(statistics.quantiles(took, n=100)[98], 0.2, "99 of 100 within 200 ms")
            self.assertEqual(self.p.authorize(app, cookie).status, 303)

if __name__ == "__main__":
    unittest.main(verbosity=2)
