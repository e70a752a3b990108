#!/usr/bin/env python3
"""Real clients against a real MotID: mod_auth_openidc (Apache) and openid-client (Node) log in by SIM signature and by USB token, refresh and
log out. Everything is the demonstration of deploy/quickstart, in a folder of its own."""
import json, os, shutil, subprocess, sys, tempfile, unittest, urllib.parse

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

class Openid_client(unittest.TestCase):
    def walk(self, sign_in, acr):
        port = start.free_port(0)
        redirect = f"http://127.0.0.1:{port}/callback"
        made = json.loads(subprocess.run([demo["motid"], "client", "add", "--name", "Node", "--redirect", redirect, "--post-logout", f"http://127.0.0.1:{port}/",
            "--auth", "basic", "--grant", "authorization_code", "--grant", "refresh_token", "--scope", "openid profile offline_access", "--json", "--config", demo["config"]], check=True, capture_output=True, text=True).stdout)
        node = subprocess.Popen(["node", os.path.join(HERE, "openid_client.mjs"), demo["issuer"], made["client_id"], made["client_secret"], redirect],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            browser, steps = check.Browser(), {}
            line = node.stdout.readline()
            self.assertTrue(line, node.stderr.read() if not line else "")
            page = sign_in(browser, browser.open(json.loads(line)["url"]))
            if page.form("/login/consent"):
                page = browser.send(page, "/login/consent", decision="allow")
            self.assertIn("back at the application", page.text)
            out, errors = node.communicate(timeout=60)
            self.assertEqual(node.returncode, 0, errors)
            steps = {s["step"]: s for s in map(json.loads, out.splitlines())}
        finally:
            if node.poll() is None:
                node.kill()
                node.wait()
        self.assertEqual(steps["tokens"]["claims"]["acr"], acr)
        self.assertTrue(steps["tokens"]["refresh"])
        self.assertTrue(steps["userinfo"]["userinfo"]["name"])
        self.assertTrue(steps["introspection"]["answer"]["active"])
        self.assertEqual({k: steps["refreshed"][k] for k in ("rotated", "same", "newer")}, {"rotated": True, "same": True, "newer": True})
        self.assertEqual((steps["revoked"]["refresh_after"], steps["revoked"]["active_after"]), ("invalid_grant", False))
        left = browser.redirect(steps["logout"]["url"])
        self.assertEqual(left, f"http://127.0.0.1:{port}/?state=tam-biet")

    def test_logs_in_refreshes_and_logs_out_by_sim(self):
        self.walk(lambda b, p: check.sign_by_sim(b, p, demo, subscriber("song-hong")), "substantial")

    def test_logs_in_refreshes_and_logs_out_by_usb_token(self):
        self.walk(lambda b, p: check.sign_by_token(b, p, demo), "high")

class Quickstart(unittest.TestCase):
    def test_check_prints_what_the_application_received(self):
        p = subprocess.run([sys.executable, os.path.join(DEMO, "check.py"), os.path.join(home, "demo.json"), "--unhurried"], capture_output=True, text=True)
        self.assertEqual(p.returncode, 0, p.stdout + p.stderr)
        self.assertIn("both logins arrived", p.stdout)

if __name__ == "__main__":
    unittest.main(verbosity=2)
