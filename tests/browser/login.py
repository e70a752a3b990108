#!/usr/bin/env python3
"""A person signs in, in Chromium, with and without JavaScript, at the whole provider of deploy/quickstart in a folder of its own.

Every page on the way is looked at: no horizontal scroll at 320 and 360 px, the language can be changed and the sign-in lives on, nothing
stands in the browser's log. MOTID_RELEASE names a build; MOTID_SHOTS a folder for pictures of each page in both languages."""
import base64, hashlib, html, http.client, http.server, json, os, pathlib, re, secrets, shutil, ssl, subprocess, sys, tempfile, threading, time, unicodedata, unittest
import urllib.error, urllib.parse, urllib.request

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
RELEASE, SHOTS = os.environ.get("MOTID_RELEASE"), os.environ.get("MOTID_SHOTS")
sys.path.insert(0, str(ROOT / "deploy" / "demo"))
import start  # noqa: E402

SIM_TIMEOUT = 20
FLAGS = ("--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update --disable-sync "
         "--disable-dev-shm-usage --hide-scrollbars --ignore-certificate-errors --lang=vi").split()
demo, home = None, None

def begin_demo():
    """The demonstration as it is, but a phone has twenty seconds; in a process of its own, for what it starts outlives it."""
    usual = start.configure
    def impatient(d, sim):
        usual(d, sim)
        text = pathlib.Path(d.path("motid.conf")).read_text("utf-8")
        d.write("motid.conf", text.replace("[login]\n", f"[login]\nsim_timeout = {SIM_TIMEOUT}s\n", 1))
    start.configure = impatient
    start.main()

def setUpModule():
    global demo, home
    from selenium import webdriver
    from selenium.webdriver.chrome.options import Options
    from selenium.webdriver.chrome.service import Service
    from selenium.common.exceptions import WebDriverException
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.ui import WebDriverWait as Wait
    globals().update(locals())
    home = tempfile.mkdtemp(prefix="motid-login-")
    unittest.addModuleCleanup(end_demo)        # also when it began only in part
    os.chmod(home, 0o711)
    with open(os.path.join(home, "ports.json"), "w") as f:
        json.dump(dict.fromkeys(("motid", "app", "helper", "cert", "phone", "responder", "pinpad"), 0), f)
    subprocess.run([sys.executable, os.path.abspath(__file__), "--home", home, "--build", RELEASE], check=True, env={**os.environ, "MOTID_LOGIN_BEGIN": "1"})
    with open(os.path.join(home, "demo.json"), encoding="utf-8") as f:
        demo = json.load(f)

def end_demo():
    subprocess.run([sys.executable, str(ROOT / "deploy" / "demo" / "stop.py"), os.path.join(home, "pids")], check=True)
    shutil.rmtree(home, ignore_errors=True)

def ask(url, value=None):
    body = json.dumps(value).encode() if value is not None else None
    with urllib.request.urlopen(urllib.request.Request(url, body, {"Content-Type": "application/json"}), timeout=30) as r:
        return json.load(r)

def control(path, value=None): return ask(f"{demo['sim']['control']}/{path}", value)

def person(name): return next(s for s in demo["sim"]["subscribers"] if s["name"] == name)

class App:
    """An application: a registration, and a page where the answers arrive."""
    def __init__(self, name, *more, scope="openid profile"):
        self.name, self.answers, self.framed = name, [], []
        app = self
        class Callback(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                at = urllib.parse.urlsplit(self.path)
                if at.path == "/cb":
                    app.answers.append(dict(urllib.parse.parse_qsl(at.query)))
                if at.path == "/front":
                    app.framed.append(dict(urllib.parse.parse_qsl(at.query)))
                body = f'<!doctype html><html lang="vi"><title>{app.name}</title><link rel="icon" href="data:,"><h1>arrived {html.escape(at.path)}</h1>'.encode()
                self.send_response(200)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
            def log_message(self, *_): pass
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Callback)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.origin = f"http://127.0.0.1:{self.server.server_address[1]}"
        more = [self.origin + "/front" if m == "FRONT" else m for m in more]
        made = subprocess.run([demo["motid"], "client", "add", "--name", name, "--redirect", self.origin + "/cb", "--post-logout", self.origin + "/bye",
                               "--uri", self.origin + "/", "--auth", "basic", "--scope", scope, *more, "--json", "--config", demo["config"]], check=True, capture_output=True, text=True)
        made = json.loads(made.stdout)
        self.id, self.secret, self.scope = made["client_id"], made["client_secret"], scope

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def url(self, **more):
        self.state, self.verifier = secrets.token_urlsafe(16), secrets.token_urlsafe(40)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(self.verifier.encode()).digest()).rstrip(b"=").decode()
        return demo["issuer"] + "/authorize?" + urllib.parse.urlencode({"client_id": self.id, "redirect_uri": self.origin + "/cb", "response_type": "code",
            "scope": self.scope, "state": self.state, "nonce": "n-" + self.state, "code_challenge": challenge, "code_challenge_method": "S256", **more})

    def post(self, path, **form):
        basic = base64.b64encode(f"{self.id}:{self.secret}".encode()).decode()
        try:
            with urllib.request.urlopen(urllib.request.Request(demo["issuer"] + path, urllib.parse.urlencode(form).encode(), {"Authorization": "Basic " + basic}), timeout=10) as r:
                return json.load(r)
        except urllib.error.HTTPError as e:
            return json.load(e)

    def claims(self):
        """What the application learns from the last answer."""
        form = urllib.parse.urlencode({"grant_type": "authorization_code", "code": self.answers[-1]["code"], "redirect_uri": self.origin + "/cb", "code_verifier": self.verifier})
        basic = base64.b64encode(f"{self.id}:{self.secret}".encode()).decode()
        with urllib.request.urlopen(urllib.request.Request(demo["issuer"] + "/token", form.encode(), {"Authorization": "Basic " + basic}), timeout=10) as r:
            self.id_token = json.load(r)["id_token"]
        body = self.id_token.split(".")[1]
        return json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))

# What a content script of the extension does: another world of the same window, and only messages between them (web-eid.js).
EXTENSION = """
const KEY = %s, CERT = %s, bytes = s => Uint8Array.from(atob(s), c => c.charCodeAt(0)), text = b => btoa(String.fromCharCode(...new Uint8Array(b)));
const sha = b => crypto.subtle.digest('SHA-256', b), tell = m => window.postMessage(m, location.origin);
window.addEventListener('message', async e => {
  if (e.source !== window || e.origin !== location.origin) return;
  if (e.data.action === 'web-eid:status') {
    tell({action: 'web-eid:status-ack'});
    tell({action: 'web-eid:status-success', library: e.data.libraryVersion, extension: '2.3.1', nativeApp: '2.7.0'});
  } else if (e.data.action === 'web-eid:authenticate') {
    tell({action: 'web-eid:authenticate-ack'});
    if (%s) return tell({action: 'web-eid:authenticate-failure', error: {code: 'ERR_WEBEID_USER_CANCELLED', message: 'User cancelled'}});
    const utf = s => new TextEncoder().encode(s);
    const signed = new Uint8Array([...new Uint8Array(await sha(utf(location.origin))), ...new Uint8Array(await sha(utf(e.data.challengeNonce)))]);
    const key = await crypto.subtle.importKey('pkcs8', bytes(KEY), {name: 'ECDSA', namedCurve: 'P-256'}, false, ['sign']);
    const signature = text(await crypto.subtle.sign({name: 'ECDSA', hash: 'SHA-256'}, key, signed));
    tell({action: 'web-eid:authenticate-success', unverifiedCertificate: CERT, algorithm: 'ES256', signature, format: 'web-eid:1.0', appVersion: 'https://web-eid.eu/web-eid-app/releases/2.7.0+0'});
  }
});"""

def extension(cancels):
    from cryptography import x509
    from cryptography.hazmat.primitives import serialization as ser
    who = next(t for t in demo["sim"]["tokens"] if t["file"] == "token-person")
    key = ser.load_pem_private_key(pathlib.Path(who["key"]).read_bytes(), None)
    cert = x509.load_pem_x509_certificate(pathlib.Path(who["cert"]).read_bytes())
    b64 = lambda b: json.dumps(base64.b64encode(b).decode())
    return EXTENSION % (b64(key.private_bytes(ser.Encoding.DER, ser.PrivateFormat.PKCS8, ser.NoEncryption())), b64(cert.public_bytes(ser.Encoding.DER)), json.dumps(cancels))

def browser(folder, js):
    o = Options()
    o.binary_location = "/usr/bin/chromium"
    for f in (*FLAGS, "--user-data-dir=" + folder):
        o.add_argument(f)
    o.add_experimental_option("prefs", {"intl.accept_languages": "vi", **({} if js else {"profile.managed_default_content_settings.javascript": 2})})
    o.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    return webdriver.Chrome(service=Service("/usr/bin/chromedriver"), options=o)

class Walk(unittest.TestCase):
    """Steps that a person takes; the tests below are sentences of them."""
    js = True

    @classmethod
    def setUpClass(cls):
        cls.seen = set()
        cls.folder = tempfile.mkdtemp(prefix="motid-chromium-")
        cls.b = browser(cls.folder, cls.js)
        cls.app = App("Sổ hộ tịch điện tử", "--trusted")

    @classmethod
    def tearDownClass(cls):
        cls.b.quit()
        cls.app.close()
        shutil.rmtree(cls.folder, ignore_errors=True)

    def setUp(self):
        self.b.execute_cdp_cmd("Network.clearBrowserCookies", {})
        self.narrow(360)
        control("reset", {})
        self.hasty = False                     # True: pages are not looked at, and the browser's history is only the steps
        self.b.get_log("browser")
        self.app.answers.clear()

    def tearDown(self):
        for tab in self.b.window_handles[1:]:
            self.b.switch_to.window(tab)
            self.b.close()
        self.b.switch_to.window(self.b.window_handles[0])
        self.assertEqual(self.complaints(), [])

    def complaints(self):
        """What the browser says against our pages; that a page was a refusal (4xx), it says of the page itself."""
        ours = [m["message"] for m in self.b.get_log("browser") if demo["issuer"] in m["message"] or "Content Security Policy" in m["message"]]
        return [m for m in ours if not re.search(r"/(login|account|logout|authorize|device)\S* - Failed to load resource: the server responded with a status of 4\d\d", m)]

    def narrow(self, width): self.b.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {"width": width, "height": 780, "deviceScaleFactor": 1, "mobile": False})

    def until(self, what, seconds=10, say=""):
        try:
            return Wait(self.b, seconds, 0.05, [WebDriverException]).until(lambda _: what())
        except Exception as e:
            raise AssertionError(f"{say or 'it did not come'}; at {self.b.current_url}\n{self.text()[:800]}") from e

    def path(self): return urllib.parse.urlsplit(self.b.current_url).path
    def text(self): return self.b.find_element(By.TAG_NAME, "body").text
    def h1(self): return self.b.find_element(By.TAG_NAME, "h1").text
    def find(self, css): return self.b.find_element(By.CSS_SELECTOR, css)
    def press(self, css):
        page = self.find("html")
        self.find(css).click()
        self.until(lambda: self.gone(page) and self.whole(), say=f"{css} led nowhere")

    def whole(self):
        """A page that reloads itself may be met half-way: nothing of it is judged before it is all there."""
        return self.b.execute_script("return document.readyState") == "complete"

    @staticmethod
    def gone(element):
        try:
            element.is_enabled()
            return False
        except WebDriverException as e:        # stale, in the words of whichever part of the driver noticed first
            if re.search("stale|does not belong to the document", str(e)):
                return True
            raise

    def looks_right(self, name):
        for width in (320, 360):
            self.narrow(width)
            wide = self.b.execute_script("return [document.documentElement.scrollWidth, innerWidth]")
            self.assertLessEqual(wide[0], wide[1], f"{name} scrolls sideways at {width} px")
        if SHOTS:
            lang = self.find("html").get_attribute("lang")
            pathlib.Path(SHOTS).mkdir(parents=True, exist_ok=True)
            png = self.b.execute_cdp_cmd("Page.captureScreenshot", {"captureBeyondViewport": True, "format": "png"})["data"]
            (pathlib.Path(SHOTS) / f"{name}.{lang}{'' if self.js else '.nojs'}.png").write_bytes(base64.b64decode(png))

    def step(self, path, name=None, title=None):
        """The page is there, fits a phone, and speaks both languages without losing the sign-in."""
        self.until(lambda: self.path() == path, say=f"{path} did not come")
        self.until(lambda: self.b.find_elements(By.CSS_SELECTOR, "footer .host"))
        if title:
            self.assertEqual(self.h1(), title)
        name = name or path.strip("/").replace("/", "-")
        if name in self.seen or self.hasty:
            return
        self.seen.add(name)
        first, error = self.h1(), self.b.find_elements(By.CSS_SELECTOR, ".alert")
        self.looks_right(name)
        for lang, back in (("en", "vi"), ("vi", "en")):
            self.press(f"a.lang[lang={lang}]")
            self.assertEqual((self.path(), self.find("html").get_attribute("lang")), (path, lang), name)
            if lang == "en" and not error:
                self.assertNotEqual(self.h1(), first, f"{name} has no English")
                self.looks_right(name)
        if not error:
            self.assertEqual(self.h1(), first, f"{name} is another page after the language was changed")

    def choose(self, method):
        self.step("/login", "choose", "Đăng nhập")
        self.press(f"button[name=method][value={method}]")

    def numbers(self, phone, number, name="sim"):
        self.step("/login/sim", name)
        for field, value in (("phone", phone), ("number", number)):
            box = self.find("#" + field)
            box.clear()
            box.send_keys(value)
        self.press(".card form .main")

    def who(self, s): return "0" + s["msisdn"][3:], s["number"]
    def code(self): return re.sub(r"\s", "", self.find(".code").text)

    def to_code(self, s):
        self.choose("sim")
        self.numbers(*self.who(s))
        self.step("/login/sim/code", "code")
        code = self.code()
        self.assertRegex(code, r"^\d{4}$")
        self.assertIn("•••\u00a0•••\u00a0" + s["msisdn"][-3:], self.find(".steps").get_attribute("textContent"))
        self.assertIsNone(control(f"phone/{urllib.parse.quote(s['msisdn'])}")["message"], "the phone was asked before the person had seen the code")
        return code

    def send(self):
        code = self.code()
        self.press("form[action='/login/sim/send'] button")
        self.until(lambda: self.path() == "/login/sim/wait")
        self.assertEqual(self.code(), code)

    def on_phone(self, s, do):
        """In a second tab, the phone itself."""
        page = self.b.current_window_handle
        self.b.switch_to.new_window("tab")
        self.narrow(360)
        self.b.get(f"{demo['sim']['phone']}/{s['msisdn'][1:]}")
        self.until(lambda: self.b.find_elements(By.ID, "pin"), 8, "the phone was not asked")
        result = do()
        self.b.close()
        self.b.switch_to.window(page)
        return result

    def type_on_phone(self, pin, css=".yes"):
        self.find("#pin").send_keys(pin)
        self.press(css)

    def confirm(self, s, code, app):
        name = app if isinstance(app, str) else unicodedata.normalize("NFD", app.name.translate(str.maketrans("đĐ", "dD"))).encode("ascii", "ignore").decode()
        def look_and_confirm():
            self.assertEqual(self.find(".code strong").text, code)
            self.assertEqual(self.find("h1").text, name)
            if SHOTS:
                self.looks_right("phone")
            self.type_on_phone(s["pin"])
        self.on_phone(s, look_and_confirm)

    def by_sim(self, s, app=None):
        code = self.to_code(s)
        self.send()
        if not self.js:                        # a page with a script asks by itself meanwhile; both languages are seen all the same
            self.step("/login/sim/wait", "wait")
        self.confirm(s, code, app or self.app)

    def arrived(self, app=None, seconds=15):
        app = app or self.app
        self.until(lambda: app.answers, seconds, "nothing arrived at the application")
        answer = app.answers[-1]
        self.assertEqual((answer.get("state"), answer.get("iss")), (app.state, demo["issuer"]))
        return answer

    def signed_in(self, acr, app=None):
        app = app or self.app
        self.assertIn("code", self.arrived(app))
        claims = app.claims()
        self.assertEqual((claims["acr"], claims["nonce"]), (acr, "n-" + app.state))
        return claims

    def open(self, app=None, **more): self.b.get((app or self.app).url(**more))

class Journeys(Walk):
    # -- SIM

    def test_signs_in_by_sim_of_the_vietnamese_dialect(self):
        self.open()
        self.by_sim(person("Nguyễn Thị Ánh Đào"))
        self.signed_in("substantial")

    def test_signs_in_by_sim_of_the_standard_dialect(self):
        self.open()
        s = person("Lê Hoàng Minh")
        code = self.to_code(s)
        self.send()
        self.step("/login/sim/wait", "wait")
        self.confirm(s, code, self.app)
        if not self.js:                        # nobody need wait for the refresh
            self.press("#go button")
        self.signed_in("substantial")

    def test_refusing_on_the_phone_has_a_page_of_its_own_and_another_try_works(self):
        s = person("Trần Văn Bình")
        self.open()
        first = self.to_code(s)
        self.send()
        self.on_phone(s, lambda: self.press(".no"))
        self.until(lambda: "từ chối" in self.h1(), 12)
        self.step("/login/sim/wait", "end-refused", "Yêu cầu đã bị từ chối trên điện thoại")
        self.press("form[action='/login/sim/again'] button")
        self.step("/login/sim", "sim-again")
        self.assertEqual((self.find("#phone").get_attribute("value"), self.find("#number").get_attribute("value")), self.who(s), "typed once, known still")
        self.press(".card form .main")
        code = self.code()
        self.send()
        self.confirm(s, code, self.app)
        self.signed_in("substantial")
        self.assertTrue(first)

    def test_three_wrong_pins_block_the_sim_and_the_page_says_what_to_do(self):
        s = person("Phạm Thị Hồng Ngọc")
        self.open()
        self.to_code(s)
        self.send()
        def three_times():
            for left in ("2", "1"):
                self.type_on_phone("000000")
                self.assertIn(left, self.find("#wrong").text)
            self.type_on_phone("000000")
        self.on_phone(s, three_times)
        self.until(lambda: "khóa" in self.h1(), 12)
        self.step("/login/sim/wait", "end-blocked", "SIM ký số đã bị khóa")
        self.assertEqual(self.b.find_elements(By.CSS_SELECTOR, "form[action='/login/sim/again']"), [], "trying again cannot help")
        self.press("form[action='/login/other'] button")
        self.step("/login", "choose")

    def test_an_unknown_number_waits_and_ends_as_a_silent_phone_does(self):
        silent = person("Trần Văn Bình")
        cases = {"silent": self.who(silent), "unknown": ("0900 000 099", silent["number"][:-1] + "9"), "no operator": ("0987 654 321", "001099000021")}
        waits, tabs = {}, {}
        for name, typed in cases.items():
            if tabs:
                self.b.switch_to.new_window("tab")
            tabs[name] = self.b.current_window_handle
            self.open()
            self.press("button[name=method][value=sim]")
            self.numbers(*typed)
            self.send()
            waits[name] = self.plain()
        self.assertEqual(len(set(waits.values())), 1, waits)
        for tab in tabs.values():
            self.b.switch_to.window(tab)
            self.assertEqual(self.path(), "/login/sim/wait")
            self.assertTrue(self.b.find_elements(By.ID, "go"), "an answer came before the time was up")
        ends, again = {}, {}
        for name, tab in tabs.items():
            self.b.switch_to.window(tab)
            self.until(lambda: self.h1() == "Đã hết thời gian chờ" and self.whole(), SIM_TIMEOUT + 12)
            ends[name] = self.plain()
        self.step("/login/sim/wait", "end-timed_out", "Đã hết thời gian chờ")
        self.assertEqual(len(set(ends.values())), 1, ends)
        for name, tab in tabs.items():
            self.b.switch_to.window(tab)
            self.press("form[action='/login/sim/again'] button")
            self.press(".card form .main")
            self.press("form[action='/login/sim/send'] button")
            again[name] = (self.path(), self.plain())
        self.assertEqual({p for p, _ in again.values()}, {"/login/sim/wait"}, "the time is up, so another try is possible")
        self.assertEqual(len(set(again.values())), 1, again)
        control(f"phone/{urllib.parse.quote(silent['msisdn'])}/refuse", {"wait": 5})      # the next test finds a free phone

    def plain(self):
        """A page's text without what differs by nature: code, hint, seconds, incident."""
        text = re.sub(r"(?m)^[\d ]+$", "CODE", self.text())
        text = re.sub(r"•••.•••.\d{3}", "HINT", text)
        return re.sub(r"Còn \d+ giây|Sắp hết thời gian…", "LEFT", re.sub(r"(Mã sự việc:).*", r"\1", text))

    def test_wrongly_typed_numbers_are_told_and_kept(self):
        self.open()
        self.choose("sim")
        self.find("#phone").send_keys("0912")
        self.find("#number").send_keys("12345")
        self.press(".card form .main")
        self.assertEqual([e.text for e in self.b.find_elements(By.CSS_SELECTOR, ".field-error")],
                         ["Nhập số di động Việt Nam, bắt đầu bằng 0 hoặc +84", "Nhập đúng 12 chữ số"])
        self.assertEqual(self.find("#phone").get_attribute("value"), "0912")
        self.looks_right("sim-wrong")
        self.press("a.lang")
        self.assertEqual((self.path(), self.find("html").get_attribute("lang")), ("/login/sim", "en"))

    # -- going back, twice, elsewhere, away

    def test_cancelling_tells_the_application(self):
        for steps in (lambda: None, lambda: self.press("button[name=method][value=sim]"), lambda: self.press("button[name=method][value=token]")):
            self.app.answers.clear()
            self.open()
            steps()
            self.press("form[action='/login/cancel'] button")
            self.assertEqual(self.arrived()["error"], "access_denied")

    def test_cancelling_while_the_phone_is_asked_tells_the_application(self):
        self.open()
        self.to_code(person("Phạm Thị Hồng Ngọc"))
        self.send()
        self.press("form[action='/login/cancel'] button")
        self.assertEqual(self.arrived()["error"], "access_denied")

    def test_going_back_is_harmless_at_every_step(self):
        s, self.hasty = person("Nguyễn Thị Ánh Đào"), True
        self.open()
        self.to_code(s)
        self.b.back()
        self.until(lambda: self.path() == "/login/sim")
        self.b.back()
        self.until(lambda: self.path() == "/login")
        self.choose("sim")
        self.numbers(*self.who(s))
        code = self.code()
        self.send()
        self.b.back()
        self.b.forward()
        self.until(lambda: self.path() == "/login/sim/wait", say="going back and forth lost the request")
        self.confirm(s, code, self.app)
        self.signed_in("substantial")
        self.b.back()
        self.b.refresh()
        self.until(lambda: self.path().startswith("/login"))
        self.assertIn("Lần đăng nhập này đã kết thúc", self.text())
        self.looks_right("error-gone")

    def test_a_request_sent_from_two_tabs_asks_the_phone_once(self):
        s = person("Nguyễn Thị Ánh Đào")
        self.open()
        code = self.to_code(s)
        here, first = self.b.current_url, self.b.current_window_handle
        self.b.switch_to.new_window("tab")
        self.b.get(here)
        second = self.b.current_window_handle
        for tab in (first, second):
            self.b.switch_to.window(tab)
            self.press("form[action='/login/sim/send'] button")
            self.assertEqual(self.path(), "/login/sim/wait")
        asked = [r for r in control("log") if r.get("message") == "MSS_SignatureReq"]
        self.assertEqual(len({r["ap_trans_id"] for r in asked}), 1, asked)
        self.b.switch_to.window(first)
        self.confirm(s, code, self.app)
        self.signed_in("substantial")
        time.sleep(0.5)
        self.assertEqual(len([a for a in self.app.answers if "code" in a]), 1, "one request, one code")

    # -- USB token

    def test_signs_in_by_pasting_what_the_command_line_gave(self):
        self.open()
        self.choose("token")
        self.step("/login/token", "token")
        self.press_open()
        self.find("#pasted").send_keys("{ \"half\": ")
        self.press("#token-manual form .main")
        self.assertIn("không đầy đủ", self.find(".alert").text)
        self.step("/login/token", "token-unreadable")
        self.press_open()
        words = self.find("#command").get_attribute("textContent").split()
        self.assertEqual(words[:2], ["motid-token", "auth"])
        pin = os.path.join(home, "type-pin")
        with open(os.open(pin, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o755), "w") as f:
            f.write(f"#!/bin/sh\necho {demo['pin']}\n")
        out = subprocess.run([os.path.join(RELEASE, "adapters", "token", "motid-token"), *words[1:], "--module", start.SOFTHSM, "--token", start.LABEL, "--ask", pin],
                             env={**os.environ, "SOFTHSM2_CONF": os.path.join(home, "softhsm2.conf")}, capture_output=True, text=True)
        self.assertEqual(out.returncode, 0, out.stderr)
        self.find("#pasted").send_keys(out.stdout)
        self.press("#token-manual form .main")
        self.signed_in("high")

    def press_open(self):
        if self.find("#token-manual").get_dom_attribute("open") is None:
            self.find("#token-manual summary").click()

    # -- TLS

    def test_without_a_certificate_the_browser_comes_back_and_another_way_is_open(self):
        self.open()
        self.choose("tls")
        self.step("/login/tls/missing", "tls-missing", "Trình duyệt chưa gửi chứng thư số")
        self.press("form[action='/login/other'] button")
        self.by_sim(person("Nguyễn Thị Ánh Đào"))
        self.signed_in("substantial")

    def ticket(self, who):
        """The one step that Chromium cannot make here: TLS with the person's certificate. Gives the way back to the main host."""
        i = urllib.parse.parse_qs(urllib.parse.urlsplit(self.b.current_url).query)["i"][0]
        t = next(t for t in demo["sim"]["tokens"] if t["file"] == who)
        tls = ssl.create_default_context(cafile=demo["sim"]["tls"]["ca"])
        tls.load_cert_chain(t["cert"], t["key"])
        at = urllib.parse.urlsplit(demo["cert_host"])
        c = http.client.HTTPSConnection(at.hostname, at.port, context=tls, timeout=10)
        c.request("GET", f"/login/tls/certificate?i={i}")
        try:
            return c.getresponse().headers["Location"]
        finally:
            c.close()

    def test_signs_in_by_a_certificate_at_the_certificate_host(self):
        self.open()
        self.step("/login", "choose")
        self.b.get(self.ticket("token-person"))
        self.signed_in("high")

    def test_a_certificate_that_names_nobody_we_know_of_is_refused_with_the_other_ways(self):
        self.open()
        self.step("/login", "choose")
        self.b.get(self.ticket("token-officer"))
        self.assertIn("Chưa thực hiện được", self.find(".alert").text)
        self.looks_right("tls-refused")
        self.press("a.lang")
        self.step("/login", "choose")
        self.assertEqual(self.app.answers, [])

    # -- one login for all

    def test_a_second_application_needs_no_page_and_prompt_login_needs_one(self):
        s, second = person("Nguyễn Thị Ánh Đào"), App("Thuế điện tử", "--trusted")
        self.addCleanup(second.close)
        self.open()
        self.by_sim(s)
        before = self.signed_in("substantial")
        self.open(second)
        self.assertEqual(self.signed_in("substantial", second)["sid"], before["sid"])
        self.open(second, prompt="login")
        self.step("/login", "choose")
        self.app.answers.clear()
        self.open(prompt="none")
        self.signed_in("substantial")

    def test_prompt_select_account_offers_to_go_on_as_the_one_who_is_signed_in(self):
        self.open()
        self.by_sim(person("Nguyễn Thị Ánh Đào"))
        self.signed_in("substantial")
        self.app.answers.clear()
        self.open(prompt="select_account")
        self.step("/login", "choose-session")
        self.assertIn("Nguyễn Thị Ánh Đào", self.text())
        self.press("button[value=session]")
        self.signed_in("substantial")

    def test_consent_is_asked_once_and_remembered(self):
        app = App("Học bạ số", scope="openid profile offline_access")
        self.addCleanup(app.close)
        self.open(app)
        self.by_sim(person("Nguyễn Thị Ánh Đào"), app)
        self.step("/login/consent", "consent")
        for words in ("Nguyễn Thị Ánh Đào", "Học bạ số", "Họ, chữ đệm và tên"):
            self.assertIn(words, self.text())
        self.press("button[value=allow]")
        self.signed_in("substantial", app)
        app.answers.clear()
        self.open(app)
        self.signed_in("substantial", app)

    def test_refusing_consent_tells_the_application(self):
        app = App("Học bạ số")
        self.addCleanup(app.close)
        self.open(app)
        self.by_sim(person("Nguyễn Thị Ánh Đào"), app)
        self.step("/login/consent", "consent")
        self.press("button[value=deny]")
        self.assertEqual(self.arrived(app)["error"], "access_denied")

    # -- a device that has no browser

    def test_signs_in_a_device_by_the_code_that_it_shows(self):
        grant = "urn:ietf:params:oauth:grant-type:device_code"
        app = App("Ti vi thư viện", "--grant", grant)
        self.addCleanup(app.close)
        device = app.post("/device_authorization", scope="openid profile")
        def type_code(text):
            box = self.find("#user_code")
            box.clear()
            box.send_keys(text)
            self.press(".card form .main")
        self.b.get(device["verification_uri"])
        self.step("/device", "device", "Đăng nhập trên thiết bị khác")
        type_code("bcdf")
        self.until(lambda: "Mã chưa đúng" in self.text())
        self.looks_right("device-wrong")
        type_code(device["user_code"].lower().replace("-", " "))
        self.by_sim(person("Nguyễn Thị Ánh Đào"), app)
        self.step("/login/consent", "consent-device")
        for words in (device["user_code"], "Ti vi thư viện", "Nguyễn Thị Ánh Đào"):
            self.assertIn(words, self.text())
        self.assertEqual(app.post("/token", grant_type=grant, device_code=device["device_code"])["error"], "authorization_pending")
        self.press("button[value=allow]")
        self.step("/device/granted", "device-granted", "Thiết bị đã được đăng nhập")
        self.assertIn("id_token", app.post("/token", grant_type=grant, device_code=device["device_code"]))

    # -- the person's own page, and the way out

    def test_the_account_page_tells_who_how_and_where_and_signs_out(self):
        self.open()
        self.by_sim(person("Nguyễn Thị Ánh Đào"))
        self.signed_in("substantial")
        self.b.get(demo["issuer"] + "/")
        self.step("/", "home")
        self.press(".hero .main")
        self.until(lambda: self.path() == "/account")
        self.looks_right("account")
        for words in ("Nguyễn Thị Ánh Đào", "Ký bằng SIM điện thoại", "Sổ hộ tịch điện tử", "Khá"):
            self.assertIn(words, self.text())
        self.press("a.lang[lang=en]")
        self.looks_right("account")
        self.press("a.lang[lang=vi]")
        self.press("form[action='/account/signout'] button")
        self.assertIn("Đã đăng xuất", self.h1())
        self.assertIn("Sổ hộ tịch điện tử", self.text())
        self.looks_right("signed-out")
        self.press("a.lang")
        self.assertEqual(self.h1(), "You are signed out")
        self.press("a.lang")
        self.b.get(demo["issuer"] + "/account")
        self.step("/login", "choose-account")

    def test_the_account_page_may_be_signed_in_to_by_itself(self):
        self.b.get(demo["issuer"] + "/account")
        self.by_sim(person("Nguyễn Thị Ánh Đào"), "MotID tinh mau")
        self.until(lambda: self.path() == "/account", 15)
        self.assertIn("Nguyễn Thị Ánh Đào", self.text())

    def test_an_application_that_proves_whom_it_means_signs_out_without_a_question(self):
        self.open()
        self.by_sim(person("Nguyễn Thị Ánh Đào"))
        self.signed_in("substantial")
        self.b.get(demo["issuer"] + "/logout?" + urllib.parse.urlencode({"id_token_hint": self.app.id_token, "post_logout_redirect_uri": self.app.origin + "/bye", "state": "s"}))
        self.assertEqual(self.b.current_url, self.app.origin + "/bye?state=s")
        self.b.get(demo["issuer"] + "/account")
        self.until(lambda: self.path() == "/login")

    def test_every_application_hears_of_it_in_a_frame_before_the_browser_goes_on(self):
        """Front-Channel Logout 1.0"""
        one, two = (App(name, "--trusted", "--frontchannel-logout", "FRONT") for name in ("Thuế điện tử", "Học bạ số"))
        self.addCleanup(one.close)
        self.addCleanup(two.close)
        self.open(one)
        self.by_sim(person("Nguyễn Thị Ánh Đào"), one)
        sid = self.signed_in("substantial", one)["sid"]
        self.open(two)
        self.signed_in("substantial", two)
        self.b.get(demo["issuer"] + "/logout?" + urllib.parse.urlencode({"id_token_hint": one.id_token, "post_logout_redirect_uri": one.origin + "/bye", "state": "s"}))
        self.until(lambda: self.b.current_url == one.origin + "/bye?state=s", 15, "the browser did not go on")
        for app in (one, two):
            self.assertEqual(app.framed, [{"iss": demo["issuer"], "sid": sid}], app.name)
        self.b.get(demo["issuer"] + "/account")
        self.until(lambda: self.path() == "/login")

    def test_without_proof_the_person_is_asked_and_finds_the_way_back(self):
        self.open()
        self.by_sim(person("Nguyễn Thị Ánh Đào"))
        self.signed_in("substantial")
        self.b.get(f"{demo['issuer']}/logout?client_id={self.app.id}")
        self.step("/logout", "logout-confirm", "Đăng xuất?")
        self.press("button[value=stay]")
        self.until(lambda: self.path() == "/account")
        self.b.get(f"{demo['issuer']}/logout?client_id={self.app.id}")
        self.press("button[value=logout]")
        self.assertIn("Sổ hộ tịch điện tử", self.find(".list").text)
        self.looks_right("logged-out")
        self.press("a.main")
        self.assertEqual(self.b.current_url, self.app.origin + "/")

class With_javascript(Journeys):
    def test_signs_in_by_the_program_on_the_computer(self):
        self.open()
        self.choose("token")
        self.step("/login/token", "token-helper")
        self.until(lambda: self.find("#token-helper").is_displayed(), say="the page did not find motid-token")
        self.assertIn(start.LABEL, self.find("#token-status").text)
        self.find("#token-helper").click()
        page = self.b.current_window_handle
        self.b.switch_to.new_window("tab")
        self.b.get(demo["pinpad"])
        self.until(lambda: self.b.find_elements(By.ID, "pin"), 8, "nobody asked for the PIN")
        self.assertIn(demo["issuer"], self.text())
        self.find("#pin").send_keys(demo["pin"])
        self.press("button[value=sign]")
        self.b.close()
        self.b.switch_to.window(page)
        self.signed_in("high")

    def web_eid(self, cancels):
        script = self.b.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": extension(cancels), "worldName": "web-eid"})["identifier"]
        self.addCleanup(lambda: self.b.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", {"identifier": script}))
        self.open()
        self.choose("token")
        self.until(lambda: self.find("#token-webeid").is_displayed(), say="the page did not find the extension")
        self.find("#token-webeid").click()

    def test_signs_in_by_the_web_eid_extension(self):
        self.web_eid(False)
        self.signed_in("high")

    def test_cancelling_in_the_extension_leaves_the_page_as_it_was(self):
        self.web_eid(True)
        self.until(lambda: "đã hủy" in self.find("#token-status").text)
        self.assertTrue(self.find("#token-webeid").is_enabled())

class Without_javascript(Journeys):
    js = False

    def test_no_script_runs(self):
        self.open()
        self.choose("token")
        self.assertFalse(self.find("#token-auto").is_displayed())
        self.assertTrue(self.find("#pasted").is_displayed())

del Journeys, Walk                             # bases, no tests

if __name__ == "__main__":
    if not RELEASE:
        print("skipped: MOTID_RELEASE is not set; it names a release build with idp/motid and adapters/token/motid-token")
        sys.exit(77)                           # meson's word for skipped
    begin_demo() if os.environ.get("MOTID_LOGIN_BEGIN") else unittest.main(verbosity=2)
