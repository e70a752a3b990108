#!/usr/bin/env python3
"""Real clients against a real MotID: mod_auth_openidc (Apache), openid-client and oauth4webapi (Node), Authlib (Python) and an API behind nginx. They log
in by SIM signature and by USB token, refresh and log out; what they run is what `motid client snippet` prints. Everything is the demonstration of deploy/quickstart, in a folder of its own."""
import base64, contextlib, http.server, json, os, shutil, signal, socket, subprocess, sys, tempfile, threading, time, unittest
import urllib.error, urllib.parse, urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
DEMO = os.path.join(ROOT, "deploy", "demo")
sys.path.insert(0, DEMO)
import check  # noqa: E402
import start  # noqa: E402

demo, home = None, None

def setUpModule():
    global demo, home
    home = tempfile.mkdtemp(prefix="motid-interop-")
    os.chmod(home, 0o711)
    with open(os.path.join(home, "ports.json"), "w") as f:
        json.dump(dict.fromkeys(("motid", "app", "helper", "cert", "phone", "responder", "pinpad"), 0), f)
    subprocess.run([sys.executable, os.path.join(DEMO, "start.py"), "--home", home, "--build", os.environ["MOTID_RELEASE"]], check=True)
    with open(os.path.join(home, "demo.json"), encoding="utf-8") as f:
        demo = json.load(f)

def tearDownModule():
    subprocess.run([sys.executable, os.path.join(DEMO, "stop.py"), os.path.join(home, "pids")], check=True)
    if os.environ.get('MOTID_KEEP'):
        print(home)
    else:
        shutil.rmtree(home, ignore_errors=True)

def subscriber(operator):
    return next(s for s in demo["sim"]["subscribers"] if s["operator"] == operator)

@contextlib.contextmanager
def apache_with(line, other):
    """Apache reads its configuration again, with one line of it changed."""
    path = os.path.join(home, "apache.conf")
    with open(path, encoding="utf-8") as f:
        text = f.read()
    assert line in text
    def reads(what):
        with open(path, "w", encoding="utf-8") as f:
            f.write(what)
        with open(os.path.join(home, "apache.pid")) as f:
            os.kill(int(f.read()), signal.SIGUSR1)
    reads(text.replace(line, other))
    try:
        yield
    finally:
        reads(text)

class Mod_auth_openidc(unittest.TestCase):
    def signed_in(self, claims, acr):
        self.assertEqual(claims["iss"], demo["issuer"])
        self.assertEqual(claims["acr"], acr)
        self.assertRegex(claims["sub"], r"^[A-Za-z0-9_-]{20,}$")

    def test_logs_in_by_a_sim_of_the_vietnamese_dialect(self):
        self.signed_in(check.by_sim(demo, subscriber("song-hong")), "substantial")

    def test_logs_in_by_a_sim_of_the_standard_dialect(self):
        self.signed_in(check.by_sim(demo, subscriber("ha-long")), "substantial")

    def test_logs_in_by_usb_token(self):
        self.signed_in(check.by_token(demo), "high")

    def test_knows_one_person_by_one_subject_whichever_method_was_used(self):
        dao = next(s for s in demo["sim"]["subscribers"] if s["name"] == "Nguyễn Thị Ánh Đào")
        self.assertEqual(check.by_sim(demo, dao)["sub"], check.by_token(demo)["sub"])

    def test_logs_out_and_is_logged_out(self):
        browser = check.Browser()
        check.by_sim(demo, subscriber("ha-long"), browser)
        again = browser.open(demo["app"] + "/app/")
        self.assertTrue(again.claims.get("sub"))
        out = browser.open(demo["app"] + "/app/callback?logout=" + urllib.parse.quote(demo["app"] + "/"))
        if out.form("/logout/confirmed"):
            out = browser.send(out, "/logout/confirmed", decision="logout")
        self.assertEqual(out.url, demo["app"] + "/")
        self.assertIn("/login", urllib.parse.urlsplit(browser.open(demo["app"] + "/app/").url).path)

    def test_refreshes_before_its_token_expires(self):
        """A token that lives for five minutes is renewed at once by an Apache that wants ten."""
        browser = check.Browser()
        check.by_sim(demo, subscriber("song-hong"), browser)
        refreshed = lambda: sum(r["event"] == "token.issued" and r["detail"].get("grant_type") == "refresh_token" for r in json.loads(tool("audit", "tail", "--limit", "200", "--json")))
        before, end = refreshed(), time.monotonic() + 20
        with apache_with("OIDCRefreshAccessTokenBeforeExpiry 60", "OIDCRefreshAccessTokenBeforeExpiry 600"):
            while refreshed() < before + 2 and time.monotonic() < end:         # the second with what the first was given
                self.assertTrue(browser.open(demo["app"] + "/app/").claims.get("sub"))
        self.assertGreaterEqual(refreshed(), before + 2)

    def test_is_told_when_the_session_ends_elsewhere(self):
        """Back-channel logout: Apache's own session ends, though the browser was never there."""
        browser = check.Browser()
        check.by_sim(demo, subscriber("ha-long"), browser)
        self.assertTrue(browser.open(demo["app"] + "/app/").claims.get("sub"))
        said = lambda *words: json.loads(tool(*words, "--json"))
        newest = max(said("session", "list", "--limit", "1000"), key=lambda s: s["since"])
        self.assertEqual(said("session", "end", "--sid", newest["sid"]), {"ended": 1})
        told = lambda: said("logout", "list", "--sid", newest["sid"])[0]
        end = time.monotonic() + 15
        while told()["state"] == "pending" and time.monotonic() < end:
            time.sleep(0.1)
        self.assertEqual((told()["state"], told()["why"]), ("delivered", "HTTP 200"))
        self.assertIn("/login", urllib.parse.urlsplit(browser.open(demo["app"] + "/app/").url).path)

def tool(*words, given=""):
    return subprocess.run([demo["motid"], *words, "--config", demo["config"]], check=True, capture_output=True, text=True, input=given).stdout

def snippet(made, framework, name):
    """What the guide tells an application's developer to write down, as a file that can be run."""
    path = os.path.join(home, name)
    with open(path, "w", encoding="utf-8") as f:
        f.write(tool("client", "snippet", made["client_id"], "--for", framework, "--secret", "-", given=made["client_secret"] + "\n"))
    modules = os.path.join(home, "node_modules")
    if not os.path.exists(modules):
        os.symlink(os.path.join(HERE, "node_modules"), modules)
    return path

def add_client(name, redirect):
    return json.loads(tool("client", "add", "--name", name, "--redirect", redirect, "--post-logout", urllib.parse.urljoin(redirect, "/"), "--auth", "basic",
        "--grant", "authorization_code", "--grant", "refresh_token", "--scope", "openid profile offline_access", "--json"))

class Application(unittest.TestCase):
    """A program that says what it does, one line of JSON a step; the person's part is played here."""
    def walk(self, program, redirect, sign_in, acr):
        running = subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            browser = check.Browser()
            line = running.stdout.readline()
            self.assertTrue(line, running.stderr.read() if not line else "")
            page = sign_in(browser, browser.open(json.loads(line)["url"]))
            if page.form("/login/consent"):
                page = browser.send(page, "/login/consent", decision="allow")
            self.assertIn("back at the application", page.text)
            out, errors = running.communicate(timeout=60)
            self.assertEqual(running.returncode, 0, errors)
        finally:
            if running.poll() is None:
                running.kill()
                running.wait()
        steps = {s["step"]: s for s in map(json.loads, out.splitlines())}
        self.assertEqual(steps["tokens"]["claims"]["acr"], acr)
        self.assertTrue(steps["tokens"]["refresh"])
        self.assertTrue(steps["userinfo"]["userinfo"]["name"])
        self.assertTrue(steps["introspection"]["answer"]["active"])
        self.assertEqual({k: steps["refreshed"][k] for k in ("rotated", "same", "newer")}, {"rotated": True, "same": True, "newer": True})
        self.assertEqual((steps["revoked"]["refresh_after"], steps["revoked"]["active_after"]), ("invalid_grant", False))
        self.assertEqual(browser.redirect(steps["logout"]["url"]), urllib.parse.urljoin(redirect, "/?state=tam-biet"))
        return steps

    def by_sim(self, browser, page): return check.sign_by_sim(browser, page, demo, subscriber("song-hong"))
    def by_token(self, browser, page): return check.sign_by_token(browser, page, demo)

    def from_snippet(self, framework, program, sign_in, acr):
        redirect = f"http://127.0.0.1:{start.free_port(0)}/callback"
        self.walk([*program, snippet(add_client(framework, redirect), framework, f"app-{acr}.{'mjs' if framework == 'node' else 'py'}")], redirect, sign_in, acr)

    def test_openid_client_logs_in_refreshes_and_logs_out_by_sim(self):
        self.from_snippet("node", ["node"], self.by_sim, "substantial")

    def test_openid_client_logs_in_refreshes_and_logs_out_by_usb_token(self):
        self.from_snippet("node", ["node"], self.by_token, "high")

    def test_authlib_logs_in_refreshes_and_logs_out_by_sim(self):
        self.from_snippet("python", [sys.executable], self.by_sim, "substantial")

    def test_oauth4webapi_registers_itself_logs_in_refreshes_logs_out_and_is_gone(self):
        redirect = f"http://127.0.0.1:{start.free_port(0)}/callback"
        invitation = json.loads(tool("client", "invite", "--name", "interop", "--json"))["token"]
        steps = self.walk(["node", os.path.join(HERE, "oauth4webapi.mjs"), demo["issuer"], invitation, redirect], redirect, self.by_sim, "substantial")
        made = urllib.request.Request(steps["registration"]["uri"], headers={"Authorization": "Bearer " + steps["registration"]["token"]}, method="DELETE")
        with urllib.request.urlopen(made, timeout=30) as answer:
            self.assertEqual(answer.status, 204)
        with self.assertRaises(urllib.error.HTTPError) as gone:
            urllib.request.urlopen(made, timeout=30)
        self.assertEqual(gone.exception.code, 401)

class Nginx(unittest.TestCase):
    """An API behind nginx, whose auth_request asks MotID about each call's token."""
    def setUp(self):
        class Api(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.end_headers()
                self.wfile.write(b"the answer of the API")
            def log_message(self, *_): pass
        self.api = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Api)
        threading.Thread(target=self.api.serve_forever, daemon=True).start()
        self.addCleanup(self.api.server_close)
        self.addCleanup(self.api.shutdown)
        self.port = start.free_port(0)
        folder = os.path.join(home, "nginx-api")
        os.makedirs(folder, exist_ok=True)
        self.redirect = f"http://127.0.0.1:{self.api.server_port}/callback"
        self.made = add_client("api", self.redirect)
        server = tool("client", "snippet", self.made["client_id"], "--for", "nginx").replace("127.0.0.1:8080", f"127.0.0.1:{self.api.server_port}")
        temps = "".join(f"{t}_temp_path {folder};\n" for t in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        with open(os.path.join(folder, "nginx.conf"), "w", encoding="utf-8") as f:
            f.write(("user root;\n" if os.getuid() == 0 else "") + f"daemon off;\nworker_processes 1;\npid {folder}/pid;\nerror_log {folder}/error.log;\nevents {{}}\n"
                    f"http {{\naccess_log off;\n{temps}server {{\nlisten 127.0.0.1:{self.port};\n{server}}}\n}}\n")
        self.nginx = subprocess.Popen(["/usr/sbin/nginx", "-p", folder, "-c", os.path.join(folder, "nginx.conf"), "-e", os.path.join(folder, "error.log")])
        self.addCleanup(self.nginx.wait)
        self.addCleanup(self.nginx.terminate)
        for _ in range(200):
            with socket.socket() as s:
                if s.connect_ex(("127.0.0.1", self.port)) == 0:
                    break
            time.sleep(0.05)

    def call(self, *token):
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/api/x", headers={"Authorization": "Bearer " + t for t in token})
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, answer.read(), ""
        except urllib.error.HTTPError as e:
            return e.code, b"", e.headers.get("WWW-Authenticate", "")

    def token(self, made, **form):
        basic = base64.b64encode(f"{made['client_id']}:{made['client_secret']}".encode()).decode()
        request = urllib.request.Request(demo["issuer"] + "/token", urllib.parse.urlencode(form).encode(), {"Authorization": "Basic " + basic})
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def test_lets_in_who_is_signed_in_also_after_a_refresh_and_nobody_after_the_logout(self):
        redirect, made, browser = self.redirect, self.made, check.Browser()
        query = urllib.parse.urlencode({"client_id": made["client_id"], "redirect_uri": redirect, "response_type": "code", "scope": "openid profile"})
        page = check.sign_by_sim(browser, browser.open(f"{demo['issuer']}/authorize?{query}"), demo, subscriber("song-hong"))
        if page.form("/login/consent"):
            page = browser.send(page, "/login/consent", decision="allow")
        code = urllib.parse.parse_qs(urllib.parse.urlsplit(page.url).query)["code"][0]
        first = self.token(made, grant_type="authorization_code", code=code, redirect_uri=redirect)
        self.assertEqual(self.call(first["access_token"])[:2], (200, b"the answer of the API"))
        fresh = self.token(made, grant_type="refresh_token", refresh_token=first["refresh_token"])
        self.assertEqual(self.call(fresh["access_token"])[0], 200)
        for wrong in ((), ("x",), (fresh["access_token"][:-8] + "AAAAAAAA",)):
            status, _, challenge = self.call(*wrong)
            self.assertEqual(status, 401)
            self.assertTrue(challenge.startswith("Bearer "))
        browser.redirect(demo["issuer"] + "/logout?" + urllib.parse.urlencode(
            {"id_token_hint": first["id_token"], "post_logout_redirect_uri": urllib.parse.urljoin(redirect, "/")}))
        self.assertEqual(self.call(fresh["access_token"])[0], 401)

class Quickstart(unittest.TestCase):
    def test_check_prints_what_the_application_received(self):
        p = subprocess.run([sys.executable, os.path.join(DEMO, "check.py"), os.path.join(home, "demo.json"), "--unhurried"], capture_output=True, text=True)
        self.assertEqual(p.returncode, 0, p.stdout + p.stderr)
        self.assertIn("both logins arrived", p.stdout)

if __name__ == "__main__":
    unittest.main(verbosity=2)
