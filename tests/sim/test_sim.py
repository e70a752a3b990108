"""The simulators do what README.md says, judged by the openssl command and by this page's own reading of SIGNATURES.md."""
import base64, hashlib, http.client, json, os, re, secrets, ssl, subprocess, sys, tempfile, threading, time, unittest, urllib.parse

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import pki
from client import Reply, Tls, asked, call, control, envelope, user
from run import AP_ID, AP_PWD, PIN, World

AP = (AP_ID, AP_PWD)
VN, VN2, ETSI, ETSI2 = "+84900000001", "+84900000002", "+84910000001", "+84910000002"
PKCS1, PKCS7 = "http://uri.etsi.org/TS102204/v1.1.2#PKCS1", "http://uri.etsi.org/TS102204/v1.1.2#PKCS7"
DIGEST_INFO = bytes.fromhex("3031300d060960864801650304020105000420")
HASH = hashlib.sha256(b"vn-idp-sim-login/1").digest()

def openssl(*words, data=None):
    r = subprocess.run(["openssl", *words], input=data, capture_output=True)
    return r.returncode, r.stdout + r.stderr

def setUpModule():
    Case.folder = tempfile.TemporaryDirectory(prefix="motid-sim-")
    Case.world = World(Case.folder.name)
    Case.about, Case.h = Case.world.about, Case.world.hierarchy

def tearDownModule():
    Case.world.stop()
    Case.folder.cleanup()

class Case(unittest.TestCase):
    def setUp(self):
        self.do("reset")
        control(self.about["responder_control"] + "/reset", {})

    def do(self, what, **value): return control(f"{self.about['control']}/{what}", value)
    def see(self, what): return control(f"{self.about['control']}/{what}")[1]
    def behave(self, msisdn, mode, **more): self.assertEqual(200, self.do("behave", msisdn=msisdn, mode=mode, **more)[0])
    def press(self, msisdn, which="confirm", pin=PIN): return self.do(f"phone/{msisdn}/{which}", pin=pin, wait=10)[1]["result"]
    def path(self, name): return os.path.join(self.folder.name, name)

    def keep(self, name, data):
        with open(self.path(name), "wb") as f:
            f.write(data)
        return self.path(name)

    def operator(self, msisdn): return self.about["operators"]["song-hong" if msisdn.startswith("+8490") else "ha-long"]

    def soap(self, msisdn, port, body, **more):
        status, answer, _ = call(self.operator(msisdn)["plain_url"] + port, body.encode(), **more)
        return Reply(status, answer)

    def sign(self, msisdn, mode=None, timeout=60, ap=AP, trans=None, dtbs=None, display="Cong dich vu mau: dang nhap. Ma %%VC%%",
             services=("signingCertificate",), written=None, more=None, **how):
        vn = msisdn.startswith("+8490")
        trans = trans or "A" + secrets.token_hex(8)
        dtbs = dtbs if dtbs is not None else DIGEST_INFO + HASH if vn else HASH
        inside = user(written or (msisdn[1:] if vn else msisdn)) + asked(dtbs, display, format=PKCS1 if vn else PKCS7, services=services if vn else ())
        attributes = f' TimeOut="{timeout}" MessagingMode="{mode or ("synch" if vn else "asynchClientServer")}"'
        return self.soap(msisdn, "MSS_SignaturePort", envelope("MSS_SignatureReq", ap, trans, attributes, inside, **how), **(more or {}))

    def ask_status(self, msisdn, mssp_trans, port="MSS_StatusQueryPort", **more):
        return self.soap(msisdn, port, envelope("MSS_StatusReq", AP, "B" + secrets.token_hex(8), f' MSSP_TransID="{mssp_trans}"'), **more)

    def in_background(self, work):
        box = []
        t = threading.Thread(target=lambda: box.append(work()))
        t.start()
        return lambda: (t.join(30), box[0])[1]

    def vn_signed(self, **how):
        """A whole login in the Vietnamese dialect: held request, phone, answer."""
        answer = self.in_background(lambda: self.sign(VN, **how))
        self.press(VN)
        return answer()

    def etsi_signed(self, msisdn=ETSI, **how):
        first = self.sign(msisdn, **how)
        self.assertEqual("100", first.code)
        self.press(msisdn)
        return self.ask_status(msisdn, first.mssp_trans)

    def cms_good(self, der, *more):
        sig = self.keep("sig.der", der)
        return openssl("cms", "-verify", "-inform", "DER", "-in", sig, "-CAfile", self.path("public-root.pem"), "-purpose", "any", "-binary", *more)

    def raw_good(self, reply, cert_pem, digest=HASH):
        pub = self.keep("pub.pem", openssl("x509", "-in", cert_pem, "-pubkey", "-noout")[1])
        rc, _ = openssl("pkeyutl", "-verify", "-pubin", "-inkey", pub, "-sigfile", self.keep("raw.sig", reply.signature), "-in", self.keep("hash", digest),
                        "-pkeyopt", "rsa_padding_mode:pkcs1", "-pkeyopt", "digest:sha256")
        return rc == 0

    def sim_cert(self, msisdn): return self.path(f"people/sim-{msisdn[1:]}.pem")

class Etsi(Case):
    def test_asynchronous_signature_is_outstanding_until_the_person_confirms_and_openssl_verifies_it(self):
        first = self.sign(ETSI)
        self.assertEqual(("100", 200), (first.code, first.http))
        self.assertEqual("504", self.ask_status(ETSI, first.mssp_trans).code)
        self.assertEqual("signed", self.press(ETSI))
        last = self.ask_status(ETSI, first.mssp_trans, port="MSS_StatusPort")
        self.assertEqual(("500", ETSI), (last.code, last.msisdn))
        rc, out = self.cms_good(last.signature)
        self.assertEqual(0, rc, out)
        self.assertIn(HASH, out)

    def test_rsa_subscriber_signs_too_and_another_content_does_not_verify(self):
        last = self.etsi_signed(ETSI2)
        self.assertEqual(0, self.cms_good(last.signature)[0])
        self.assertNotEqual(0, self.cms_good(last.signature.replace(HASH, HASH[::-1]))[0])

    def test_signed_attributes_and_certificate_are_inside(self):
        text = openssl("cms", "-cmsout", "-print", "-noout", "-inform", "DER", "-in", self.keep("s.der", self.etsi_signed().signature))[1]
        for wanted in (b"contentType", b"messageDigest", b"signingTime", b"signingCertificateV2", b"signedAttrs"):
            self.assertIn(wanted, text)
        self.assertEqual(1, text.count(b"issuerAndSerialNumber"))

    def test_the_provider_certificate_is_required_on_the_tls_port_and_the_server_names_localhost(self):
        o = self.about["operators"]["ha-long"]
        body = envelope("MSS_StatusReq", AP, "Bx", ' MSSP_TransID="T0"').encode()
        self.assertEqual("_208", Reply(*call(o["status_url"], body, tls=Tls(o).context)[:2]).fault)
        with self.assertRaises((ssl.SSLError, OSError, http.client.HTTPException)):
            call(o["status_url"], body, tls=Tls(o, with_cert=False).context)

    def test_synch_is_served_as_well(self):
        answer = self.in_background(lambda: self.sign(ETSI, mode="synch"))
        self.press(ETSI)
        self.assertEqual("500", answer().code)

class Vietnamese(Case):
    def test_held_request_ends_with_408_and_a_signature_by_the_subscriber(self):
        last = self.vn_signed()
        self.assertEqual(("408", VN[1:]), (last.code, last.msisdn))
        self.assertTrue(self.raw_good(last, self.sim_cert(VN)))
        self.assertFalse(self.raw_good(last, self.sim_cert(VN2)))
        self.assertEqual(pki.cert_der(pki.load_cert(self.sim_cert(VN))), last.cert)

    def test_without_the_service_the_bare_signature_comes_without_certificate(self):
        last = self.vn_signed(services=())
        self.assertTrue(self.raw_good(last, self.sim_cert(VN)))
        self.assertIsNone(last.cert)

    def test_asynchronous_mode_gives_the_certificate_too(self):
        first = self.sign(VN, mode="asynchClientServer")
        self.assertEqual("504", self.ask_status(VN, first.mssp_trans).code)
        self.press(VN)
        last = self.ask_status(VN, first.mssp_trans)
        self.assertEqual("408", last.code)
        self.assertTrue(last.cert and self.raw_good(last, self.sim_cert(VN)))

    def register(self, number):
        return self.soap(VN, "MSS_RegistrationPort", envelope("MSS_RegistrationReq", AP, "C1", "", user(number)))

    def test_registration_finds_the_certificate_with_408_and_422_or_105_otherwise(self):
        found = self.register(VN[1:])
        self.assertEqual("408", found.code)
        self.assertEqual(0, openssl("x509", "-inform", "DER", "-in", self.keep("c.der", found.cert), "-noout")[0])
        self.behave(VN, "no_certificate", on="registration")
        self.assertEqual("422", self.register(VN[1:]).code)
        self.assertEqual("_105", self.register("84909999999").fault)

    def test_only_a_digest_info_of_sha256_is_signed(self):
        without_null = bytes.fromhex("302f300b0609608648016503040201") + b"\x04\x20" + HASH
        for bad in (HASH, DIGEST_INFO + HASH[:-1], DIGEST_INFO + HASH + b"\0", without_null):
            self.assertEqual("_107", self.sign(VN, dtbs=bad).fault, bad.hex())

    def test_the_phone_shows_the_code_that_the_applet_computed(self):
        self.sign(VN, mode="asynchClientServer")
        code = f"{int.from_bytes(hashlib.sha256(DIGEST_INFO + HASH).digest()[-2:], 'big') % 10000:04d}"
        self.assertEqual(f"Cong dich vu mau: dang nhap. Ma {code}", self.see(f"phone/{VN}")["message"])

    @unittest.skipUnless(os.environ.get("MOTID_CORPORA"), "MOTID_CORPORA")
    def test_the_codes_are_those_of_the_vectors(self):
        with open(os.path.join(os.environ["MOTID_CORPORA"], "signatures/verification_codes.tsv")) as f:
            rows = [line.rstrip("\n").split("\t") for line in f]
        vectors = [(bytes.fromhex(data), code) for scheme, data, code in rows[1:] if scheme.startswith("vn-mssp")]
        self.assertTrue(vectors)
        for dtbs, code in vectors:
            first = self.sign(VN, mode="asynchClientServer", dtbs=dtbs)
            self.assertEqual(code, self.see(f"phone/{VN}")["code"])
            self.press(VN, "refuse")
            self.assertEqual("401", self.ask_status(VN, first.mssp_trans).code)

class Door(Case):
    """What is not TS 102 204 is refused with the standard's code."""
    def fault(self, msisdn=ETSI, **how): return self.sign(msisdn, **how).fault

    def test_wrong_provider_is_104(self):
        self.assertEqual("_104", self.fault(ap=(AP_ID, "wrong")))
        self.assertEqual("_104", self.fault(ap=("http://other.example", AP_PWD)))

    def test_wrong_version_is_108(self): self.assertEqual("_108", self.fault(version="2"))
    def test_unknown_subscriber_is_105_and_so_is_another_operators(self):
        self.assertEqual("_105", self.fault(written="+84919999999"))
        self.assertEqual("_105", self.fault(written=VN))

    def test_trans_id_that_is_no_ncname_is_101_in_the_standard_dialect_only(self):
        self.assertEqual("_101", self.fault(trans="7c1a"))
        self.assertEqual("100", self.sign(VN, trans="7c1a", mode="asynchClientServer").code)

    def test_number_written_for_the_other_dialect_is_101(self):
        self.assertEqual("_101", self.fault(written=ETSI[1:]))
        self.assertEqual("_101", self.fault(VN, written=VN))

    def test_bad_mode_instant_timeout_and_format_are_refused(self):
        self.assertEqual("_101", self.fault(mode="asynchServerServer"))
        self.assertEqual("_101", self.fault(instant="yesterday"))
        self.assertEqual("_101", self.fault(timeout=0))

    def test_text_too_long_for_the_sim_is_103(self):
        self.assertEqual("100", self.sign(ETSI, display="a" * 239).code)
        self.press(ETSI, "refuse")
        self.assertEqual("_103", self.fault(display="a" * 240))
        self.assertEqual("_103", self.fault(display="ế" * 120))

    def test_document_type_elements_out_of_order_and_wrong_wrapper_are_101(self):
        good = envelope("MSS_RegistrationReq", AP, "C1", "", user(ETSI))
        for bad in ("<!DOCTYPE a>" + good, good.replace("<MSS_Registration>", "<MSS_Signature>").replace("</MSS_Registration>", "</MSS_Signature>"),
                    good.replace(user(ETSI), user(ETSI) * 2), good[:-5]):
            self.assertEqual("_101", self.soap(ETSI, "MSS_RegistrationPort", bad).fault)
        self.assertEqual("_101", self.soap(ETSI, "MSS_SignaturePort", good).fault)

    def test_second_request_on_a_busy_sim_is_406(self):
        self.assertEqual("100", self.sign(ETSI).code)
        self.assertEqual("406", self.sign(ETSI).code)
        self.press(ETSI, "refuse")
        self.assertEqual("100", self.sign(ETSI).code)

    def test_unknown_transaction_is_208(self): self.assertEqual("_208", self.ask_status(ETSI, "T123").fault)

class Phone(Case):
    def test_three_wrong_pins_block_the_sim_until_it_is_unblocked(self):
        first = self.sign(ETSI)
        self.assertEqual(["wrong_pin", "wrong_pin", "pin_blocked"], [self.press(ETSI, pin="0000") for _ in range(3)])
        self.assertEqual("402", self.ask_status(ETSI, first.mssp_trans).code)
        again = self.sign(ETSI)
        self.assertEqual("402", self.ask_status(ETSI, again.mssp_trans).code)
        self.do(f"phone/{ETSI}/unblock")
        self.assertEqual("500", self.etsi_signed().code)

    def test_two_wrong_pins_do_not(self):
        first = self.sign(ETSI)
        self.assertEqual(["wrong_pin", "wrong_pin", "signed"], [self.press(ETSI, pin=p) for p in ("1", "2", PIN)])
        self.assertEqual("500", self.ask_status(ETSI, first.mssp_trans).code)

    def test_refusal_is_401_held_or_polled(self):
        answer = self.in_background(lambda: self.sign(VN))
        self.press(VN, "refuse")
        self.assertEqual("401", answer().code)

    def test_silence_ends_with_208_at_the_timeout(self):
        began = time.monotonic()
        self.assertEqual("208", self.sign(VN, timeout=1).code)
        self.assertGreaterEqual(time.monotonic() - began, 1)

    def test_the_same_trans_id_signs_without_a_pin_and_is_recorded_loudly(self):
        self.assertEqual("408", self.vn_signed(trans="A1").code)
        self.assertEqual(0, self.see("state")["pin_cache_signatures"])
        said = sys.stderr
        sys.stderr = open(os.devnull, "w")
        try:
            self.assertEqual("408", self.sign(VN, trans="A1").code)
        finally:
            sys.stderr.close()
            sys.stderr = said
        self.assertEqual(1, self.see("state")["pin_cache_signatures"])
        self.assertIn({"event": "PIN_CACHE", "ap_trans_id": "A1"}, [{k: e.get(k) for k in ("event", "ap_trans_id")} for e in self.see("log")])

    def test_a_fresh_trans_id_asks_for_the_pin_again(self):
        self.vn_signed()
        self.sign(VN, mode="asynchClientServer")
        self.assertIsNotNone(self.see(f"phone/{VN}")["message"])
        self.assertEqual(0, self.see("state")["pin_cache_signatures"])

    def test_auto_confirms_by_itself_and_can_refuse(self):
        self.do("behave", msisdn="*", auto={"pin": PIN})
        self.assertEqual("408", self.sign(VN).code)
        self.do("behave", msisdn="*", auto={"press": "refuse"})
        self.assertEqual("401", self.sign(VN).code)

    def test_the_log_has_every_request_with_its_trans_id_and_what_was_shown(self):
        self.sign(ETSI, trans="A77", display="Dich vu: ma 4711")
        entry = self.see("log")[-1]
        self.assertEqual(("MSS_SignatureReq", "A77", "Dich vu: ma 4711", 100), tuple(entry[k] for k in ("message", "ap_trans_id", "shown", "code")))

class Page(Case):
    def get(self, path):
        status, body, headers = call(self.about["phone"].removesuffix("/phone") + path)
        return status, body.decode(), headers

    def post(self, path, **form):
        base = self.about["phone"].removesuffix("/phone")
        return call(base + path, urllib.parse.urlencode(form).encode(), kind="application/x-www-form-urlencoded")

    def test_the_page_shows_service_and_code_and_works_by_forms_alone(self):
        first = self.sign(ETSI, display="Cong dich vu Quang Ninh: dang nhap. Ma 4711")
        status, html, headers = self.get("/phone/84910000001")
        self.assertEqual(200, status)
        for wanted in ('lang="vi"', "Cong dich vu Quang Ninh", ">4711<", "Lê Hoàng Minh", "Xác nhận", "Từ chối", 'for="pin"'):
            self.assertIn(wanted, html)
        self.assertNotIn("http-equiv", html)
        self.assertIn("default-src 'none'", headers["Content-Security-Policy"])
        self.assertEqual(303, self.post("/phone/84910000001/confirm", pin="1")[0])
        self.assertIn("Sai mã PIN. Số lần thử còn lại: 2", self.get("/phone/84910000001")[1])
        self.post("/phone/84910000001/confirm", pin=PIN)
        self.assertIn("Đã ký xác nhận", self.get("/phone/84910000001")[1])
        self.assertEqual("500", self.ask_status(ETSI, first.mssp_trans).code)

    def test_an_idle_page_looks_again_by_itself_and_speaks_english(self):
        html = self.get("/phone/84910000001?lang=en")[1]
        for wanted in ('lang="en"', '<meta http-equiv="refresh"', "Nothing is asked"):
            self.assertIn(wanted, html)

    def test_refusing_by_the_page_refuses(self):
        first = self.sign(ETSI)
        self.post("/phone/84910000001/refuse", pin="")
        self.assertEqual("401", self.ask_status(ETSI, first.mssp_trans).code)

    def test_a_conformance_suite_presses_in_a_persons_place(self):
        for action, code in (("allow", "500"), ("deny", "401")):
            first = self.sign(ETSI)
            self.assertEqual(200, self.post(f"/ciba/84910000001/{action}")[0])
            self.assertEqual(code, self.ask_status(ETSI, first.mssp_trans).code)
        self.assertEqual(404, self.post("/ciba/84910000001/think")[0])
        self.assertEqual(404, self.get("/ciba/84910000001/allow")[0])

    def test_what_the_provider_sends_is_text_on_the_page(self):
        self.sign(ETSI, display="&lt;script&gt;x: &lt;b&gt;")
        html = self.get("/phone/84910000001")[1]
        self.assertIn("&lt;b&gt;", html)
        self.assertNotIn("<script>x", html)

    def test_pages_are_small_and_nothing_is_inline(self):
        self.sign(ETSI)
        for path, most in (("/phone", 15000), ("/phone/84910000001", 15000), ("/static/phone.css", 12000), ("/static/phone.js", 15000)):
            self.assertLess(len(self.get(path)[1].encode()), most)
        html = self.get("/phone/84910000001")[1]
        self.assertIsNone(re.search(r"<style|style=|<script>|\son[a-z]+=", html))

    def test_another_pages_form_does_nothing(self):
        self.sign(ETSI)
        for path in ("/phone/84910000001/refuse", "/control/reset"):
            status = call(self.about["phone"].removesuffix("/phone") + path, b"{}", headers={"Origin": "http://evil.example"})[0]
            self.assertEqual(403, status)
        self.assertIsNotNone(self.see(f"phone/{ETSI}")["message"])

    def test_unknown_phone_and_path_are_404(self):
        for path in ("/phone/84999999999", "/static/run.py", "/static/../run.py", "/x"):
            self.assertEqual(404, self.get(path)[0])

class Misbehaviour(Case):
    def test_outcomes_have_their_codes_in_both_dialects(self):
        for mode, code in (("refuse", "401"), ("wrong_pin", "402"), ("blocked", "403"), ("timeout", "208"), ("unreachable", "209"), ("revoked", "501")):
            with self.subTest(mode):
                self.behave("*", mode)
                self.assertEqual(code, self.sign(VN).code)
                first = self.sign(ETSI)
                self.assertEqual(("100", code), (first.code, self.ask_status(ETSI, first.mssp_trans).code))

    def test_unknown_fault_status_and_429(self):
        self.behave(VN, "unknown")
        self.assertEqual("_105", self.sign(VN).fault)
        self.behave(VN, "fault", code="_900")
        self.assertEqual("_900", self.sign(VN).fault)
        self.behave(VN, "status", code=450)
        self.assertEqual("450", self.sign(VN).code)
        self.behave(VN, "http_429")
        self.assertEqual(429, call(self.operator(VN)["plain_url"] + "MSS_SignaturePort",
                                   envelope("MSS_SignatureReq", AP, "A1", ' MessagingMode="synch"', user(VN[1:]) + asked(DIGEST_INFO + HASH, "x")).encode())[0])

    def test_times_count_down(self):
        self.behave(VN, "unknown", times=2)
        self.do("behave", msisdn="*", auto={"pin": PIN})
        self.assertEqual(["_105", "_105", None], [self.sign(VN).fault for _ in range(3)])

    def test_down_breaks_the_connection(self):
        self.behave(VN, "down")
        with self.assertRaises((OSError, http.client.HTTPException)):
            self.sign(VN)

    def test_hang_says_nothing_and_slow_says_it_late(self):
        self.behave(VN, "hang")
        with self.assertRaises(TimeoutError):
            self.sign(VN, more={"timeout": 0.5})
        self.behave(ETSI, "slow", seconds=0.5)
        began = time.monotonic()
        self.assertEqual("100", self.sign(ETSI).code)
        self.assertGreaterEqual(time.monotonic() - began, 0.5)

    def test_on_status_only_the_status_query_fails(self):
        self.behave(ETSI, "down", on="status", times=1)
        first = self.sign(ETSI)
        with self.assertRaises((OSError, http.client.HTTPException)):
            self.ask_status(ETSI, first.mssp_trans)
        self.assertEqual("504", self.ask_status(ETSI, first.mssp_trans).code)

    def test_other_hash_is_a_good_signature_of_something_else(self):
        self.behave("*", "other_hash")
        self.assertFalse(self.raw_good(self.vn_signed(), self.sim_cert(VN)))
        rc, out = self.cms_good(self.etsi_signed().signature)
        self.assertEqual((0, False), (rc, HASH in out))

    def test_other_person_signs_with_that_persons_certificate(self):
        self.behave("*", "other_person")
        last = self.vn_signed()
        self.assertEqual((False, True), (self.raw_good(last, self.sim_cert(VN)), self.raw_good(last, self.sim_cert(VN2))))
        self.assertEqual(pki.cert_der(pki.load_cert(self.sim_cert(VN2))), last.cert)
        signer = self.path("signer.pem")
        self.assertEqual(0, self.cms_good(self.etsi_signed().signature, "-signer", signer)[0])
        self.assertEqual(pki.cert_der(pki.load_cert(self.sim_cert(ETSI2))), pki.cert_der(pki.load_cert(signer)))

    def test_other_key_does_not_fit_the_certificate(self):
        self.behave("*", "other_key")
        last = self.vn_signed()
        self.assertFalse(self.raw_good(last, self.sim_cert(VN)))
        self.assertEqual(pki.cert_der(pki.load_cert(self.sim_cert(VN))), last.cert)
        self.assertNotEqual(0, self.cms_good(self.etsi_signed().signature)[0])

    def test_expired_certificate_is_of_the_same_key_and_person(self):
        self.behave("*", "expired_cert")
        rc, out = self.cms_good(self.etsi_signed().signature)
        self.assertEqual((True, True), (rc != 0, b"certificate has expired" in out))
        last = self.vn_signed()
        pem = self.path("expired.pem")
        openssl("x509", "-inform", "DER", "-in", self.keep("e.der", last.cert), "-out", pem)
        self.assertTrue(self.raw_good(last, pem))
        self.assertNotEqual(0, openssl("x509", "-in", pem, "-checkend", "0", "-noout")[0])

    def test_no_certificate_gives_none(self):
        self.behave("*", "no_certificate")
        self.assertIsNone(self.vn_signed().cert)
        sig = self.keep("n.der", self.etsi_signed().signature)
        self.assertNotIn(b"BEGIN CERTIFICATE", openssl("cms", "-verify", "-noverify", "-inform", "DER", "-in", sig, "-certsout", self.path("none.pem"))[1])
        self.assertFalse(os.path.exists(self.path("none.pem")) and os.path.getsize(self.path("none.pem")))

    def test_echoes_are_wrong(self):
        self.behave(VN, "wrong_echo_trans")
        self.assertNotEqual("A5", self.vn_signed(trans="A5").trans)
        self.behave(VN, "wrong_echo_msisdn")
        self.assertNotEqual(VN[1:], self.vn_signed().msisdn)
        self.behave(VN, "normal")
        last = self.vn_signed(trans="A6")
        self.assertEqual(("A6", VN[1:]), (last.trans, last.msisdn))

    def test_spoiled_text_comes_with_the_signature(self):
        for mode in ("duplicate_status", "doctype", "wrong_echo_msisdn"):
            with self.subTest(mode):
                self.behave(ETSI, mode)
                first = self.sign(ETSI)
                self.assertEqual((["100"], ETSI), (first.codes, first.msisdn))
                self.press(ETSI)
                last = self.ask_status(ETSI, first.mssp_trans)
                self.assertIsNotNone(last.signature)
                self.assertTrue({"duplicate_status": last.codes == ["401", "500"], "doctype": b"<!DOCTYPE" in last.body,
                                 "wrong_echo_msisdn": last.msisdn != ETSI}[mode])

    def test_deep_and_huge_are(self):
        self.behave(ETSI, "deep", on="signature")
        self.assertEqual(10000, self.sign(ETSI).body.count(b"<x>"))
        self.press(ETSI, "refuse")
        self.behave(ETSI, "huge", on="signature")
        body = envelope("MSS_SignatureReq", AP, "A1", ' MessagingMode="asynchClientServer"', user(ETSI) + asked(HASH, "x")).encode()
        status, start, headers = call(self.operator(ETSI)["plain_url"] + "MSS_SignaturePort", body, limit=1 << 20)
        self.assertEqual(1 << 20, len(start))
        self.assertGreater(int(headers["Content-Length"]), 1 << 30)

    def test_late_signs_but_says_so_only_after_the_time(self):
        self.behave("*", "late", seconds=0.5)
        first = self.sign(ETSI, timeout=1)
        self.press(ETSI)
        self.assertEqual("504", self.ask_status(ETSI, first.mssp_trans).code)
        self.do("behave", msisdn="*", auto={"pin": PIN})
        began = time.monotonic()
        self.assertEqual("408", self.sign(VN, timeout=1).code)
        self.assertGreaterEqual(time.monotonic() - began, 1.5)
        self.assertEqual("500", self.ask_status(ETSI, first.mssp_trans).code)

    def test_outstanding_forever_is(self):
        self.behave(ETSI, "status_outstanding_forever")
        first = self.sign(ETSI, timeout=1)
        self.press(ETSI)
        self.assertEqual(["504"] * 3, [self.ask_status(ETSI, first.mssp_trans).code for _ in range(3)])

    def test_cms_without_signed_attributes_verifies_and_has_none(self):
        self.behave(ETSI, "unsigned_attrs")
        last = self.etsi_signed()
        self.assertEqual(0, self.cms_good(last.signature)[0])
        text = openssl("cms", "-cmsout", "-print", "-noout", "-inform", "DER", "-in", self.keep("u.der", last.signature))[1]
        self.assertNotIn(b"messageDigest", text)

    def test_two_signers_both_verify(self):
        self.behave(ETSI, "two_signers")
        last = self.etsi_signed()
        self.assertEqual(0, self.cms_good(last.signature)[0])
        text = openssl("cms", "-cmsout", "-print", "-noout", "-inform", "DER", "-in", self.keep("t.der", last.signature))[1]
        self.assertEqual(2, text.count(b"issuerAndSerialNumber"))

    def test_an_unknown_mode_is_refused_with_the_list(self):
        status, said = self.do("behave", msisdn="*", mode="nonsense")
        self.assertEqual((400, True), (status, "other_hash" in said["modes"]))

class Status(Case):
    """OCSP and CRLs, asked by the openssl command."""
    LEAF = "people/sim-84900000001.pem"

    def rule(self, **value): self.assertEqual(200, control(self.about["responder_control"] + "/behave", value)[0])

    def ask(self, leaf=LEAF, ca="public-sim", digest="-sha1", url=None):
        return openssl("ocsp", digest, "-issuer", self.path(f"{ca}.pem"), "-cert", self.path(leaf), "-url", url or self.about["cas"][ca]["ocsp_url"],
                       "-CAfile", self.path("public-chain.pem"), "-timeout", "3")

    def serial(self): return f"{pki.load_cert(self.path(self.LEAF)).serial_number:x}"

    def test_good_verifies_with_the_nonce_echoed(self):
        rc, out = self.ask()
        self.assertEqual(0, rc)
        for wanted in (b"Response verify OK", b": good"):
            self.assertIn(wanted, out)
        self.assertNotIn(b"WARNING", out)

    def test_sha256_cert_ids_and_the_common_address_work(self):
        self.assertIn(b": good", self.ask(self.LEAF, "public-sim", "-sha256")[1])
        self.assertIn(b": good", openssl("ocsp", "-sha256", "-issuer", self.path("public-sim.pem"), "-cert", self.path(self.LEAF), "-url",
                                         self.about["responder"] + "/ocsp", "-CAfile", self.path("public-chain.pem"))[1])

    def test_root_answers_for_its_intermediate_with_its_own_key(self):
        rc, out = self.ask("public-sim.pem", "public-root")
        self.assertIn(b"Response verify OK", out)

    def test_get_gives_the_same_as_post(self):
        openssl("ocsp", "-issuer", self.path("public-sim.pem"), "-cert", self.path(self.LEAF), "-no_nonce", "-reqout", self.path("rq.der"))
        encoded = urllib.parse.quote(base64.b64encode(pki.read(self.path("rq.der"))).decode(), safe="")
        status, body, headers = call(self.about["cas"]["public-sim"]["ocsp_url"] + "/" + encoded)
        self.assertEqual((200, "application/ocsp-response"), (status, headers["Content-Type"]))
        rc, out = openssl("ocsp", "-respin", self.keep("rs.der", body), "-issuer", self.path("public-sim.pem"), "-cert", self.path(self.LEAF),
                          "-CAfile", self.path("public-chain.pem"), "-no_nonce")
        self.assertIn(b"Response verify OK", out)
        self.assertIn(b": good", out)

    def test_revoking_shows_in_ocsp_and_crl_and_unrevoking_too(self):
        c = self.about["responder_control"]
        control(c + "/revoke", {"serial": self.serial(), "reason": "keyCompromise"})
        out = self.ask()[1]
        self.assertIn(b": revoked", out)
        self.assertIn(b"keyCompromise", out)
        self.assertIn(self.serial().upper().encode(), self.crl_text()[1].replace(b"Serial Number: 0", b"Serial Number: "))
        control(c + "/unrevoke", {"serial": self.serial()})
        self.assertIn(b": good", self.ask()[1])

    def crl_text(self, ca="public-sim"):
        status, body, _ = call(self.about["cas"][ca]["crl_url"])
        form = "PEM" if body.startswith(b"-----") else "DER"
        return form, openssl("crl", "-inform", form, "-in", self.keep("c.crl", body), "-noout", "-text", "-CAfile", self.path("public-chain.pem"))[1]

    def test_answers_that_openssl_does_not_believe(self):
        for mode, why in (("other_signer", b"Response Verify Failure"), ("not_yet", b"Response Verify Failure"), ("no_eku", b"Response Verify Failure"),
                          ("bad_signature", b"Response Verify Failure"), ("wrong_nonce", b"Nonce Verify error"), ("no_nonce", b"no nonce in response"),
                          ("stale", b"Status times invalid"), ("future", b"Status times invalid"), ("wrong_cert", b"No Status found"),
                          ("tryLater", b"trylater"), ("unauthorized", b"unauthorized"), ("garbage", b"rror"), ("http_500", b"rror")):
            with self.subTest(mode):
                self.rule(ca="public-sim", mode=mode)
                rc, out = self.ask()
                self.assertIn(why, out)

    def test_statuses(self):
        for mode, said in (("unknown", b": unknown"), ("revoked", b": revoked"), ("hold", b"certificateHold"), ("good", b": good")):
            with self.subTest(mode):
                self.rule(ca="public-sim", mode=mode)
                out = self.ask()[1]
                self.assertIn(b"Response verify OK", out)
                self.assertIn(said, out)

    def test_revoked_delegate_is_on_the_crl_and_carries_no_nocheck(self):
        self.rule(ca="public-sim", mode="delegate_revoked")
        openssl("ocsp", "-issuer", self.path("public-sim.pem"), "-cert", self.path(self.LEAF), "-url", self.about["cas"]["public-sim"]["ocsp_url"],
                "-respout", self.path("d.der"), "-noverify")
        text = openssl("ocsp", "-respin", self.path("d.der"), "-text", "-noverify")[1]
        serial = pki.load_cert(self.path("public-sim-ocsp-revoked.pem")).serial_number
        self.assertIn(b"OCSP old of public-sim", text)
        self.assertNotIn(b"OCSP No Check", text)
        self.assertIn(f"{serial:x}".upper().encode(), self.crl_text()[1])

    def http(self, **more):
        return call(self.about["cas"]["public-sim"]["ocsp_url"], self.request, kind="application/ocsp-request", **more)

    @property
    def request(self):
        openssl("ocsp", "-issuer", self.path("public-sim.pem"), "-cert", self.path(self.LEAF), "-no_nonce", "-reqout", self.path("rq.der"))
        return pki.read(self.path("rq.der"))

    def test_transport_failures(self):
        self.rule(ca="*", mode="down")
        with self.assertRaises((OSError, http.client.HTTPException)):
            self.http()
        for mode in ("blackhole", "drip", "slow"):
            self.rule(ca="*", mode=mode)
            with self.assertRaises(TimeoutError):
                self.http(timeout=0.5)
        self.rule(ca="*", mode="huge")
        status, start, headers = self.http(limit=1 << 20)
        self.assertEqual((1 << 20, True), (len(start), int(headers["Content-Length"]) > 1 << 30))

    def test_a_redirect_leads_to_a_good_answer(self):
        self.rule(ca="*", mode="redirect")
        status, _, headers = self.http()
        self.assertEqual(302, status)
        good = call(headers["Location"], self.request, kind="application/ocsp-request")
        self.assertEqual((200, b"\x30"), (good[0], good[1][:1]))

    def test_modes_are_per_ca_and_counted(self):
        self.rule(ca="public-token", mode="http_500")
        self.assertIn(b": good", self.ask()[1])
        counts = control(self.about["responder_control"] + "/state")[1]["counts"]
        self.assertEqual((1, 1), (counts["ocsp"], counts["ocsp public-sim good"]))

    def test_requests_for_another_ca_or_that_are_no_request_are_refused(self):
        self.assertIn(b"unauthorized", self.ask(url=self.about["cas"]["gov-token"]["ocsp_url"])[1])
        self.assertEqual(bytes.fromhex("30030a0101"), call(self.about["cas"]["public-sim"]["ocsp_url"], b"nonsense")[1])

    def test_crls_are_der_or_pem_and_can_be_expired_or_foreign(self):
        form, text = self.crl_text()
        self.assertEqual("DER", form)
        self.assertIn(b"verify OK", text)
        self.rule(ca="*", crl="pem")
        self.assertEqual("PEM", self.crl_text()[0])
        self.rule(ca="*", crl="other_signer")
        self.assertIn(b"verify failure", self.crl_text()[1])
        self.rule(ca="*", crl="expired")
        self.crl_text()
        rc, out = openssl("verify", "-crl_check", "-CRLfile", self.path("c.crl"), "-CAfile", self.path("public-chain.pem"), self.path(self.LEAF))
        self.assertIn(b"CRL has expired", out)

    def test_ca_issuers_gives_the_certificate(self):
        self.assertEqual(pki.cert_der(self.h.certs["public-sim"]), call(self.about["cas"]["public-sim"]["ca_url"])[1])

class Hierarchy(Case):
    def test_every_person_verifies_under_the_right_root_only(self):
        for who in self.about["tokens"] + self.about["subscribers"]:
            mine, other = ("gov", "public") if who.get("ca") == "gov-token" else ("public", "gov")
            check = lambda tree: openssl("verify", "-x509_strict", "-auth_level", "2", "-CAfile", self.path(f"{tree}-root.pem"), "-untrusted",
                                         self.path(f"{tree}-chain.pem"), who["cert"])[0]
            self.assertEqual(0, check(mine), who)
            self.assertNotEqual(0, check(other), who)

    def test_making_it_twice_changes_nothing(self):
        before = {n: pki.read(self.path(n)) for n in os.listdir(self.folder.name) if os.path.isfile(self.path(n)) and n.endswith((".pem", ".key"))}
        pki.Hierarchy(self.folder.name)
        self.assertEqual(before, {n: pki.read(self.path(n)) for n in before})

    def test_the_command_makes_leaves_with_several_uids(self):
        tool = os.path.join(os.path.dirname(os.path.abspath(__file__)), "pki.py")
        out = self.path("two")
        made = subprocess.run([sys.executable, tool, "leaf", self.folder.name, "--ca", "public-token", "--cn", "Nguyễn Thị Ánh Đào", "--uid", "CCCD:001199000001",
                               "--uid", "MST:5700000011", "--together", "--uid-type", "bmp", "--not-before=-10d", "--days", "5", "--key", "rsa2048",
                               "--out", out], capture_output=True)
        self.assertEqual((0, b""), (made.returncode, made.stderr))
        cert = pki.load_cert(out + ".pem")
        self.assertEqual({"CCCD:001199000001", "MST:5700000011"}, {a.value for a in cert.subject if a.oid == pki.UID})
        self.assertEqual(1, sum(1 for rdn in cert.subject.rdns if len(list(rdn)) == 2))
        self.assertLess(cert.not_valid_after, pki.now())

    def test_numbers_follow_their_rules(self):
        self.assertEqual("001199000001", pki.cccd(1, 1999, True, 1))
        self.assertEqual(["0123456787", "2200000000", "0100000003", "5700000011", None],
                         [pki.mst(n) for n in ("012345678", "220000000", "010000000", "570000001", "000000000")])

class Process(unittest.TestCase):
    RUN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "run.py")

    def begin(self, words):
        """The process, what its port file says, and a pipe that ends when the last of its family has ended."""
        p = subprocess.Popen(words, stdout=subprocess.PIPE)
        self.addCleanup(p.stdout.close)
        self.assertTrue(p.stdout.readline().startswith(b"phones:"))
        with open(self.ports) as f:
            return p, json.load(f)

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="motid-sim-")
        self.addCleanup(folder.cleanup)
        self.ports = os.path.join(folder.name, "ports.json")
        self.words = [sys.executable, self.RUN, "--dir", os.path.join(folder.name, "pki"), "--port-file", self.ports]

    def gone(self, p, about):
        self.assertEqual(b"", p.stdout.read())
        self.assertFalse(os.path.exists(self.ports))
        with self.assertRaises(OSError):
            call(about["phone"])

    def test_sigterm_ends_it_and_leaves_no_port_file(self):
        p, about = self.begin(self.words)
        self.assertEqual(200, call(about["phone"])[0])
        p.terminate()
        self.assertEqual(0, p.wait(10))
        self.gone(p, about)

    def test_it_ends_when_its_parent_is_killed(self):
        p, about = self.begin([sys.executable, "-c", f"import subprocess; subprocess.run({self.words!r})"])
        self.assertNotEqual(p.pid, about["pid"])
        p.kill()
        p.wait(10)
        self.gone(p, about)

if __name__ == "__main__":
    unittest.main()
