"""motid <noun> <verb>, each as its user meets it: what it prints, that --json parses, that tables fit a terminal, and each exit code.
usage: cli_test.py MOTID"""
import base64, contextlib, json, os, re, sqlite3, subprocess, sys, tempfile, time, unicodedata, unittest

MOTID = os.path.abspath(sys.argv.pop(1)) if len(sys.argv) > 1 else None
OK, FAILED, USAGE, NOT_FOUND, CONFLICT, DENIED, UNAVAILABLE = range(7)
RFC3339 = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3})?Z$")

def width(line): return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in line)

class Tool(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.dir = self.folder.name
        self.write("motid.conf", "[idp]\nissuer = https://id.example\nstate = state\n")

    def path(self, *names): return os.path.join(self.dir, *names)

    def write(self, name, text):
        with open(self.path(name), "w") as f:
            f.write(text)
        return self.path(name)

    def run_tool(self, *words, code=OK, given="", env=None):
        p = subprocess.run([MOTID, *words], cwd=self.dir, input=given, capture_output=True, text=True, timeout=60,
                           env={**{k: v for k, v in os.environ.items() if k != "MOTID_CONFIG"}, **(env or {})})
        self.assertEqual(p.returncode, code, f"{words}\n{p.stdout}\n{p.stderr}")
        if "--json" not in words:
            for line in p.stdout.splitlines():
                self.assertLessEqual(width(line), 80, line)
        if code != OK:
            self.assertTrue(p.stderr.strip(), f"{words} failed without a word")
        return p

    def out(self, *words, **how): return self.run_tool(*words, **how).stdout
    def says(self, *words, **how): return self.run_tool(*words, **how).stderr
    def json(self, *words, **how): return json.loads(self.out(*words, "--json", **how))

    def authority(self, name, ca="TRUE", key="rsa:3072"):
        subprocess.run(["openssl", "req", "-x509", "-newkey", *key.split(), "-nodes", "-keyout", self.path(name + ".key"), "-out", self.path(name), "-days", "30",
                        "-utf8", "-subj", "/C=VN/O=Tỉnh/CN=CA thử", "-addext", f"basicConstraints=critical,CA:{ca}",
                        "-addext", "keyUsage=critical," + ("keyCertSign,cRLSign" if ca == "TRUE" else "digitalSignature")], check=True, capture_output=True)
        text = subprocess.run(["openssl", "x509", "-in", self.path(name), "-noout", "-fingerprint", "-sha256"], check=True, capture_output=True, text=True).stdout
        return self.path(name), text.strip().split("=")[1]

class Words(Tool):
    def test_help_names_every_command_and_each_has_its_own(self):
        top, noun, rows = self.out("help"), "", []
        for line in top.splitlines():
            one = re.match(r"motid (\S+)(\s+\S.*)?$", line)
            if one and not line.startswith("motid help NOUN"):
                noun = one[1]
                if one[2]:
                    rows.append([noun])
            verb = re.match(r"  (\S+)\s{2,}\S", line)
            if verb and noun:
                rows.append([noun, verb[1]])
        for needed in ("client add", "client list", "client show", "client remove", "client invite", "client invites", "client uninvite", "person add", "person find", "person show", "trust add", "trust list",
                       "cert list", "cert show", "session list", "session end", "logout list", "logout retry", "key list", "key rotate", "audit tail", "migrate status", "migrate up", "policy explain", "check-config", "version", "help", "serve"):
            self.assertIn(needed.split(), rows)
        for row in rows:
            self.assertIn(" ".join(row), self.out("help", *row).splitlines()[0])
            if row != ["serve"]:
                self.assertEqual(self.out(*row, "--help"), self.out("help", *row))
        self.assertEqual(self.out(), top)
        self.assertEqual(self.out("--help"), top)
        self.assertIn("remove", self.out("help", "client"))

    def test_a_typing_error_is_met_with_the_nearest_name(self):
        for words, near in ((["clinet", "list"], "motid client?"), (["client", "lsit"], "motid client list?"), (["client", "add", "--nmae", "x"], "--name?"),
                            (["help", "client", "sohw"], "motid client show?"), (["chek-config"], "motid check-config?")):
            self.assertIn(near, self.says(*words, code=USAGE))

    def test_wrong_usage_is_2_and_changes_nothing(self):
        for words in (["client"], ["client", "add"], ["client", "add", "--name"], ["client", "add", "--name", "a", "--name", "b"], ["client", "show"],
                      ["client", "show", "a", "b"], ["client", "list", "x"], ["client", "list", "--json=yes"], ["zzzzzzzz"], ["help", "zzzzzzzz"], ["serve2"],
                      ["client", "add", "--name", "a", "--auth", "magic"], ["client", "add", "--name", "a", "--id", "a b", "--redirect", "https://a.example/"],
                      ["client", "add", "--name", "a", "--redirect", "http://a.example/"], ["client", "add", "--name", "a", "--redirect", "https://a.example/#x"],
                      ["client", "add", "--name", "a", "--public", "--auth", "basic", "--redirect", "https://a.example/"], ["person", "find"],
                      ["person", "find", "--name", "a", "--phone", "0912345678"], ["key", "rotate", "--alg", "HS256"], ["audit", "tail", "--limit", "0"],
                      ["cert", "show", "12"], ["trust", "add", "motid.conf", "--for", "sim"], ["trust", "show", "12"], ["session", "end"], ["session", "end", "--sid", "a", "--person", "b"],
                      ["session", "list", "--limit", "0"], ["logout", "list", "--state", "lost"], ["logout", "retry"]):
            self.says(*words, code=USAGE)
        self.assertEqual(self.json("client", "list"), [])
        self.assertEqual(self.json("audit", "tail"), [])

    def test_version_and_errors_are_json_when_asked(self):
        self.assertRegex(self.json("version")["version"], r"^\d+\.\d+\.\d+$")
        self.assertEqual(self.json("version"), json.loads(self.out("--json", "version")))
        self.assertIn("version", self.json("--version"))
        e = json.loads(self.says("client", "show", "nobody", "--json", code=NOT_FOUND))
        self.assertEqual(e["error"], "not_found")

class Configuration(Tool):
    def test_the_file_is_named_or_found(self):
        other = self.write("other.conf", "[idp]\nissuer = https://other.example\nstate = state\n")
        self.assertEqual(self.json("check-config")["issuer"], "https://id.example")
        self.assertEqual(self.json("check-config", env={"MOTID_CONFIG": other})["issuer"], "https://other.example")
        for words in (["--config", other, "check-config"], ["check-config", "--config", other], ["check-config", f"--config={other}"]):
            self.assertEqual(self.json(*words, env={"MOTID_CONFIG": "/nowhere"})["issuer"], "https://other.example")

    def test_what_is_wrong_is_said_with_file_and_line(self):
        self.write("motid.conf", "[idp]\nissuer = https://id.example\nstate = state\nlisten_on = x\n")
        self.assertRegex(self.says("check-config", code=FAILED), r"motid\.conf:4: .*listen")
        self.says("client", "list", code=FAILED)
        self.says("check-config", "--config", "/nowhere", code=FAILED)

    def test_a_password_of_the_store_is_not_shown(self):
        self.write("motid.conf", "[idp]\nissuer = https://id.example\nstate = state\nstore = postgres:host=db password=hunter2\n")
        self.assertNotIn("hunter2", self.out("check-config") + self.out("check-config", "--json"))

    def test_a_master_key_that_is_named_and_missing_is_not_made_up(self):
        self.write("motid.conf", "[idp]\nissuer = https://id.example\nstate = state\n[secrets]\nmaster_key_file = safe/master.key\n")
        self.assertIn("safe/master.key", self.says("client", "list", code=FAILED))
        self.assertFalse(os.path.exists(self.path("safe")))

    def test_a_store_that_does_not_answer_is_6(self):
        self.write("motid.conf", f"[idp]\nissuer = https://id.example\nstate = state\nstore = postgres:host={self.dir} dbname=none connect_timeout=2\n")
        for words in (["client", "list"], ["migrate", "status"], ["migrate", "up"], ["audit", "tail"]):
            self.says(*words, code=UNAVAILABLE)

class Sessions(Tool):
    def rows(self, *texts):
        """Rows as the provider writes them; who is signed in cannot be said by the tool."""
        with contextlib.closing(sqlite3.connect(self.path("state", "motid.db"))) as db, db:
            for text in texts:
                db.execute(text)

    def setUp(self):
        super().setUp()
        self.run_tool("client", "add", "--name", "Kho", "--redirect", "https://kho.example/cb", "--id", "kho", "--backchannel-logout", "https://kho.example/out")
        far = int(time.time()) + 3600
        self.rows(*(f"INSERT INTO session (id_hash, sid, person_id, acr, amr, method, cert_id, auth_time, created_at, expires_at, ended_at) VALUES "
                    f"('h{n}', 'sid-{n}', 'p{n % 2}', 'high', 'hwk', 'token', 'c{n % 2}', {far - 3600}, {far - 3600}, {far}, 0)" for n in range(4)),
                  *(f"INSERT INTO grants (id, client_id, person_id, sid, sub, scope, acr, amr, nonce, claims, auth_time, created_at, revoked_at, offline, auth_time_asked) VALUES "
                    f"('g{n}', 'kho', 'p{n % 2}', 'sid-{n}', 'sub', 'openid', '', '', '', '', 1, 1, 0, 0, 0)" for n in range(4)))

    def test_sessions_are_listed_and_ended_and_applications_are_queued_to_be_told(self):
        self.assertEqual([s["sid"] for s in self.json("session", "list")], [f"sid-{n}" for n in range(4)])
        self.assertEqual([s["sid"] for s in self.json("session", "list", "--person", "p1")], ["sid-1", "sid-3"])
        self.out("session", "list")
        self.assertEqual(self.json("session", "end", "--sid", "sid-0"), {"ended": 1})
        self.says("session", "end", "--sid", "sid-0", code=NOT_FOUND)
        self.assertEqual(self.json("session", "end", "--person", "p1"), {"ended": 2})
        self.assertEqual([s["sid"] for s in self.json("session", "list")], ["sid-2"])
        queue = self.json("logout", "list", "--client", "kho")
        self.assertEqual([(d["sid"], d["state"], d["tries"]) for d in queue], [(f"sid-{n}", "pending", 0) for n in (0, 1, 3)])
        self.out("logout", "list")
        self.assertEqual(self.json("logout", "list", "--state", "failed"), [])
        ended = [e for e in self.json("audit", "tail") if e["event"] == "session.ended"]
        self.assertEqual(sorted(e["sid"] for e in ended), ["sid-0", "sid-1", "sid-3"])
        self.assertEqual({e["why"] for e in ended}, {"ended by an administrator"})

    def test_everybody_is_signed_out_of_one_application(self):
        self.says("session", "end", "--client", "nobody", code=NOT_FOUND)
        self.assertEqual(self.json("session", "end", "--client", "kho"), {"ended": 4})
        self.assertEqual((len(self.json("session", "list")), len(self.json("logout", "list"))), (4, 4))
        self.assertEqual(self.json("audit", "tail")[-1]["event"], "client.signed_out")

    def test_what_failed_is_tried_again(self):
        self.run_tool("session", "end", "--person", "p1")
        self.rows("UPDATE logout_delivery SET state = 'failed', why = 'HTTP 400', tries = 3")
        self.assertEqual(self.json("logout", "list", "--sid", "sid-1")[0]["why"], "HTTP 400")
        self.assertEqual(self.json("logout", "retry", "--sid", "sid-1"), {"retried": 1})
        self.assertEqual(self.json("logout", "retry", "--client", "kho"), {"retried": 1})
        self.assertEqual(self.json("logout", "retry", "--all"), {"retried": 0})
        self.assertEqual({(d["state"], d["tries"]) for d in self.json("logout", "list")}, {("pending", 0)})

class Clients(Tool):
    def add(self, *words, code=OK): return self.run_tool("client", "add", "--name", "Cổng dịch vụ công", "--redirect", "https://a.example/cb", *words, "--json", code=code)

    def test_a_client_is_added_shown_listed_removed(self):
        made = json.loads(self.add("--scope", "openid profile", "--post-logout", "https://a.example/").stdout)
        self.assertRegex(made["client_secret"], r"^[A-Za-z0-9_-]{43}$")
        self.assertRegex(made["client_id"], r"^[A-Za-z0-9_-]+$")
        shown = self.json("client", "show", made["client_id"])
        self.assertEqual((shown["client_name"], shown["redirect_uris"], shown["scope"], shown["token_endpoint_auth_method"]),
                         ("Cổng dịch vụ công", ["https://a.example/cb"], "openid profile", "client_secret_basic"))
        self.assertRegex(shown["created_at"], RFC3339)
        listed = self.json("client", "list")
        self.assertEqual([c["client_id"] for c in listed], [made["client_id"]])
        self.assertIn(made["client_id"], self.out("client", "list"))
        everything = self.out("client", "show", made["client_id"]) + json.dumps(listed) + json.dumps(shown) + self.out("audit", "tail", "--json")
        self.assertNotIn(made["client_secret"], everything)
        self.assertNotIn("secret_hash", everything)
        self.assertEqual(self.json("client", "remove", made["client_id"]), {"removed": made["client_id"]})
        self.says("client", "show", made["client_id"], code=NOT_FOUND)
        self.says("client", "remove", made["client_id"], code=NOT_FOUND)
        self.assertEqual([e["event"] for e in self.json("audit", "tail")], ["client.added", "client.removed"])

    def test_a_snippet_is_filled_in_for_a_client(self):
        self.add("--id", "portal", "--scope", "openid profile offline_access", "--post-logout", "https://a.example/bye")
        for framework in ("apache", "aspnet", "node", "python", "spring"):
            text = self.json("client", "snippet", "portal", "--for", framework, "--secret", "-", given="its-secret\n")["snippet"]
            for value in ("https://id.example", "portal", "its-secret", "https://a.example/"):
                self.assertIn(value, text, framework)
            self.assertNotRegex(text, r"@[a-z_]+@")
            self.assertNotIn("offline_access", text)          # it is not registered for refresh tokens
            self.assertIn("PUT-THE-SECRET-HERE", self.json("client", "snippet", "portal", "--for", framework)["snippet"])
        self.assertIn("proxy_pass https://id.example/userinfo;", self.json("client", "snippet", "portal", "--for", "nginx")["snippet"])
        self.says("client", "snippet", "portal", "--for", "cobol", code=USAGE)
        self.says("client", "snippet", "nobody", "--for", "node", code=NOT_FOUND)
        self.run_tool("client", "add", "--name", "x", "--id", "native", "--public", "--redirect", "https://b.example/cb")
        self.says("client", "snippet", "native", "--for", "node", code=USAGE)

    def test_an_invitation_is_made_listed_and_revoked(self):
        made = self.json("client", "invite", "--name", "Sở Y tế", "--uses", "3", "--days", "2", "--scope", "openid  profile", "--profile", "oauth-2.1-2026")
        self.assertRegex(made["token"], r"^[A-Za-z0-9_-]{43}$")
        self.assertEqual((made["uses"], made["scope"], made["profile"], made["state"]), (3, "openid profile", "oauth-2.1-2026", "open"))
        usual = self.json("client", "invite", "--name", "x")
        self.assertEqual((usual["uses"], usual["profile"]), (1, "oidc-basic-2026"))
        listed = self.json("client", "invites")
        self.assertEqual([i["id"] for i in listed], [made["id"], usual["id"]])
        self.assertEqual(self.json("client", "uninvite", made["id"]), {"revoked": made["id"]})
        self.says("client", "uninvite", made["id"], code=NOT_FOUND)
        self.assertEqual([i["state"] for i in self.json("client", "invites")], ["revoked", "open"])
        self.assertNotIn(made["token"], self.out("client", "invites") + json.dumps(listed) + self.out("audit", "tail", "--json"))
        self.assertEqual([e["event"] for e in self.json("audit", "tail")], ["invite.added", "invite.added", "invite.revoked"])
        for wrong in (["--uses", "0"], ["--days", "400"], ["--uses", "many"], ["--profile", "fapi-1066"]):
            self.says("client", "invite", "--name", "x", *wrong, code=USAGE)

    def test_the_secret_is_printed_once_and_differs_each_time(self):
        a, b = (json.loads(self.add().stdout) for _ in range(2))
        self.assertNotEqual(a["client_secret"], b["client_secret"])
        text = self.out("client", "add", "--name", "x", "--redirect", "https://b.example/cb")
        self.assertRegex(text, r"client_secret +[A-Za-z0-9_-]{43}\n")

    def test_an_id_that_is_taken_is_4(self):
        self.add("--id", "portal")
        self.assertIn("portal", self.add("--id", "portal", code=CONFLICT).stderr)
        self.assertEqual(len(self.json("client", "list")), 1)

    def test_each_way_to_authenticate(self):
        jwks = self.write("jwks.json", json.dumps({"keys": [{"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo", "kid": "1"}]}))
        private = self.write("private.json", json.dumps({"keys": [{"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
                             "d": "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A", "kid": "1"}]}))
        for words, method, secret in ((["--auth", "post"], "client_secret_post", True), (["--public"], "none", False), (["--auth", "none"], "none", False),
                                      (["--auth", "private-key-jwt", "--jwks", jwks], "private_key_jwt", False),
                                      (["--auth", "mtls", "--jwks", jwks], "self_signed_tls_client_auth", False),
                                      (["--auth", "mtls", "--tls-subject", "CN=a,C=VN"], "tls_client_auth", False)):
            made = json.loads(self.add(*words).stdout)
            self.assertEqual("client_secret" in made, secret)
            self.assertEqual(self.json("client", "show", made["client_id"])["token_endpoint_auth_method"], method)
        for words in (["--auth", "private-key-jwt"], ["--auth", "private-key-jwt", "--jwks", private], ["--auth", "mtls"],
                      ["--auth", "private-key-jwt", "--jwks", "motid.conf"]):
            self.add(*words, code=USAGE)
        self.add("--auth", "private-key-jwt", "--jwks", "/nowhere", code=FAILED)

class People(Tool):
    def test_somebody_is_enrolled_and_found_without_a_number_in_clear(self):
        made = self.json("person", "add", "--number", "001 099 000 001", "--name", "Nguyễn Thị Đào", "--phone", "091 234 5678")
        self.assertEqual((made["number"], made["phone"], made["kind"], made["name"]), ("001•••••••01", "+84•••••••78", "citizen", "Nguyễn Thị Đào"))
        for words in (["--number", "001099000001"], ["--number", "PNOVN-001099000001"], ["--phone", "+84912345678"], ["--name", "nguyen thi"], ["--name", "NGUYỄN THỊ ĐÀO"]):
            self.assertEqual([p["id"] for p in self.json("person", "find", *words)], [made["id"]])
        self.assertEqual(self.json("person", "find", "--number", "-", given="001099000001\n")[0]["id"], made["id"])
        self.assertEqual(self.json("person", "show", made["id"]), made)
        everything = self.out("person", "show", made["id"]) + self.out("person", "find", "--name", "nguyen") + self.out("audit", "tail", "--json")
        for clear in ("001099000001", "912345678"):
            self.assertNotIn(clear, everything)
        with open(self.path("state", "motid.db"), "rb") as f:
            stored = f.read()
        for name in os.listdir(self.path("state")):
            if name.startswith("motid.db-"):
                with open(self.path("state", name), "rb") as f:
                    stored += f.read()
        self.assertIn("Nguyễn".encode(), stored)
        self.assertNotIn(b"001099000001", stored)
        self.assertNotIn(b"912345678", stored)

    def test_an_organisation_is_known_by_its_tax_code(self):
        self.assertEqual(self.json("person", "add", "--number", "0100233488", "--name", "Công ty A")["kind"], "organisation")

    def test_a_number_that_is_known_is_4_and_nobody_is_3(self):
        self.out("person", "add", "--number", "001099000001", "--name", "A")
        self.says("person", "add", "--number", "001.099.000.001", "--name", "B", code=CONFLICT)
        self.says("person", "find", "--number", "001099000002", code=NOT_FOUND)
        self.says("person", "find", "--phone", "0912345678", code=NOT_FOUND)
        self.says("person", "find", "--name", "b", code=NOT_FOUND)
        self.says("person", "show", "nobody", code=NOT_FOUND)

    def test_what_is_no_number_no_phone_no_name_is_2(self):
        for number, name, phone in (("00109900000", "A", None), ("001099000001", "", None), ("001099000001", "A", "112"), ("0100233489", "A", None),
                                    ("001099000001", "a\x1b[2J", None)):
            self.says("person", "add", "--number", number, "--name", name, *(["--phone", phone] if phone else []), code=USAGE)
        self.assertEqual(self.json("audit", "tail"), [])

class Trust(Tool):
    def test_an_authority_is_trusted_only_by_its_fingerprint(self):
        file, fingerprint = self.authority("ca.pem")
        plain = fingerprint.replace(":", "").lower()
        add = ["trust", "add", file, "--for", "token,tls", "--ocsp", "http://ocsp.example"]
        wrong = ("0" if plain[0] != "0" else "1") + plain[1:]
        for given in ("", "\n", plain[:8] + "\n", plain[:15] + "\n", wrong[:16] + "\n", "yes\n", plain + "00\n"):
            self.says(*add, given=given, code=DENIED)
        for hex in (plain[:8], plain[:63], wrong, "", plain + "00"):
            self.says(*add, "--fingerprint", hex, code=DENIED)
        self.assertEqual(self.json("trust", "list"), [])
        shown = self.out(*add, given=fingerprint[:23] + "\n")
        for part in ("CA thử", "RSA 3072", "CA, keyCertSign, cRLSign", fingerprint[:47], fingerprint[48:], "until"):
            self.assertIn(part, shown)
        row, = self.json("trust", "list")
        self.assertEqual((row["id"], row["purposes"], row["settings"], row["state"]), (plain, "token tls", {"ocsp": "http://ocsp.example"}, "active"))
        self.assertRegex(row["not_after"], RFC3339)
        self.says(*add, "--fingerprint", fingerprint, code=CONFLICT)
        self.assertEqual(self.json("trust", "show", plain[:8])["id"], plain)
        self.says("trust", "show", wrong, code=NOT_FOUND)
        self.assertEqual(self.json("trust", "disable", fingerprint), {"disabled": plain})
        self.assertEqual(self.json("trust", "list")[0]["state"], "disabled")
        self.assertEqual([e["event"] for e in self.json("audit", "tail")], ["trust.added", "trust.disabled"])

    def test_what_cannot_be_an_authority_is_2(self):
        for name, how in (("leaf.pem", {"ca": "FALSE"}), ("weak.pem", {"key": "rsa:1024"})):
            file, fingerprint = self.authority(name, **how)
            self.says("trust", "add", file, "--for", "sim", "--fingerprint", fingerprint, code=USAGE)
        file, fingerprint = self.authority("ca.pem")
        for words in (["--for", "mail"], ["--for", "sim", "--level", "low"], ["--for", "sim", "--ocsp", "ftp://x"], ["--for", ","]):
            self.says("trust", "add", file, *words, "--fingerprint", fingerprint, code=USAGE)
        with open(file) as f:
            self.write("two.pem", f.read() * 2)
        self.says("trust", "add", self.path("two.pem"), "--for", "sim", "--fingerprint", fingerprint, code=USAGE)
        self.assertEqual(self.json("trust", "list"), [])

class Others(Tool):
    def test_keys_are_made_published_and_then_sign(self):
        self.says("key", "rotate", code=NOT_FOUND)
        made, = self.json("key", "rotate", "--alg", "ES256", "--now")
        self.assertEqual([(k["kid"], k["state"]) for k in self.json("key", "list")], [(made["kid"], "signs")])
        following, = self.json("key", "rotate")
        self.assertEqual({k["kid"]: k["state"] for k in self.json("key", "list")}, {made["kid"]: "signs", following["kid"]: "next"})
        self.assertRegex(following["active_at"], RFC3339)
        self.out("key", "list")

    def test_certificates_are_listed_and_missed(self):
        self.assertEqual(self.json("cert", "list"), [])
        self.says("cert", "show", "0" * 64, code=NOT_FOUND)
        self.says("cert", "show", "0" * 12, code=NOT_FOUND)

    def test_migrations_are_shown_and_applied_once(self):
        before = self.json("migrate", "status")
        self.assertTrue(before and all(m["applied_at"] is None for m in before))
        self.assertEqual(self.json("migrate", "up"), {"applied": len(before)})
        self.assertEqual(self.json("migrate", "up"), {"applied": 0})
        self.assertTrue(all(RFC3339.match(m["applied_at"]) for m in self.json("migrate", "status")))

    @unittest.skipUnless(os.environ.get("MOTID_TEST_PG"), "no PostgreSQL: run under tests/with-servers")
    def test_a_shared_store_is_migrated_only_when_its_keeper_says_so(self):
        pg, name = os.environ["MOTID_TEST_PG"], "motid_cli_" + os.urandom(4).hex()
        subprocess.run(["psql", "-q", pg, "-c", f"CREATE DATABASE {name}"], check=True)
        try:
            self.write("motid.conf", f"[idp]\nissuer = https://id.example\nstate = state\nstore = postgres:{pg} dbname={name}\n")
            self.assertIn("motid migrate up", self.says("client", "list", code=UNAVAILABLE))
            self.assertGreater(self.json("migrate", "up")["applied"], 0)
            self.assertEqual(self.json("client", "list"), [])
            made = self.json("client", "add", "--name", "x", "--redirect", "https://a.example/cb")
            self.assertEqual([c["client_id"] for c in self.json("client", "list")], [made["client_id"]])
            self.json("person", "add", "--number", "001099000001", "--name", "Đào")
            self.says("person", "add", "--number", "001099000001", "--name", "B", code=CONFLICT)
            self.assertEqual(len(self.json("person", "find", "--name", "dao")), 1)
            self.assertEqual([e["event"] for e in self.json("audit", "tail")], ["client.added", "person.added"])
        finally:
            subprocess.run(["psql", "-q", pg, "-c", f"DROP DATABASE {name} WITH (FORCE)"], check=True)

    def test_the_trail_is_followed(self):
        self.out("person", "add", "--number", "001099000001", "--name", "A")
        p = subprocess.Popen([MOTID, "audit", "tail", "--follow", "--json"], cwd=self.dir, stdout=subprocess.PIPE, text=True)
        try:
            self.assertEqual(json.loads(p.stdout.readline())["event"], "person.added")
            made = self.json("client", "add", "--name", "x", "--redirect", "https://a.example/cb")
            event = json.loads(p.stdout.readline())
            self.assertEqual((event["event"], event["client_id"]), ("client.added", made["client_id"]))
            self.assertRegex(event["at"], RFC3339)
        finally:
            p.kill()
            p.wait()
            p.stdout.close()
        self.assertEqual([e["event"] for e in self.json("audit", "tail", "--limit", "1")], ["client.added"])
        self.assertIn("client.added", self.out("audit", "tail"))

class Exchange(Tool):
    """motid policy explain exchange, and what check-config says of the table that it reads."""
    GRANT = "urn:ietf:params:oauth:grant-type:token-exchange"
    RULES = ("[exchange land]\nclient = desk\nsubject = access_token\naudience = land\nscope = docs:read land:read\nlives = 1m\n"
             "[exchange notary]\nclient = desk\nsubject = access_token\naudience = notary\nacr = high\nmandate = yes\n")

    def table(self, rules): self.write("motid.conf", "[idp]\nissuer = https://id.example\nstate = state\n" + rules)

    def jwks(self, name, kid="tax-1"):
        subprocess.run(["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", self.path("tax.key")], check=True, capture_output=True)
        spki = subprocess.run(["openssl", "pkey", "-in", self.path("tax.key"), "-pubout", "-outform", "DER"], check=True, capture_output=True).stdout
        x, y = (base64.urlsafe_b64encode(b).rstrip(b"=").decode() for b in (spki[-64:-32], spki[-32:]))
        return self.write(name, json.dumps({"keys": [{"kty": "EC", "crv": "P-256", "kid": kid, "x": x, "y": y}]}))

    def explain(self, *words, **how): return self.json("policy", "explain", "exchange", "--client", "desk", *words, **how)

    def setUp(self):
        super().setUp()
        self.table(self.RULES)
        self.out("client", "add", "--id", "desk", "--name", "Desk", "--grant", self.GRANT, "--scope", "docs:read")

    def test_it_says_what_would_happen_and_which_rule_decides(self):
        told = self.explain("--audience", "land")
        self.assertEqual((told["outcome"], told["rule"], told["scope"], told["lives"]), ("allowed", "land", "docs:read", 60))
        self.assertEqual(len(told["rules"]), 2)
        for words, error, rule, why in ((["--audience", "vault"], "invalid_target", "land", "audience"), (["--audience", "land", "--scope", "land:read"], "invalid_scope", "land", "registration"),
                                        (["--audience", "land", "--impersonate"], "invalid_request", "land", "told apart"), (["--audience", "notary"], "invalid_request", "notary", "mandate"),
                                        (["--audience", "notary", "--acr", "low"], "invalid_request", "notary", "assurance"), (["--audience", "land", "--bound"], "invalid_request", "land", "bound"),
                                        (["--audience", "land", "--subject", "id_token"], "invalid_request", "land", "kind"), (["--audience", "land", "--depth", "2"], "invalid_request", "land", "in a row"),
                                        (["--audience", "land", "--scope", "docs:read", "--carried", "openid"], "invalid_scope", "land", "scope")):
            told = self.explain(*words)
            self.assertEqual((told["outcome"], told["error"], told["rule"]), ("refused", error, rule), words)
            self.assertIn(why, told["why"])
        self.assertRegex(self.out("policy", "explain", "exchange", "--client", "desk", "--audience", "land"), r"(?m)^outcome +allowed$")

    def test_who_may_not_ask_at_all_is_told_so(self):
        self.out("client", "add", "--id", "plain", "--name", "Plain", "--redirect", "https://a.example/cb")
        self.says("policy", "explain", "exchange", "--client", "plain", "--audience", "land", code=DENIED)
        self.says("policy", "explain", "exchange", "--client", "nobody", "--audience", "land", code=NOT_FOUND)
        self.says("policy", "explain", "exchange", "--client", "desk", code=USAGE)
        self.says("policy", "explain", "weather", "--client", "desk", "--audience", "land", code=USAGE)
        self.table("")
        self.assertEqual(self.explain("--audience", "land")["error"], "unauthorized_client")

    def test_a_wrong_table_is_refused_at_start_with_file_line_and_the_nearest_name(self):
        for rules, what in (("[exchange a]\nclient = desk\nsubject = access_token\naudiense = land\n", "motid.conf:7: no setting 'audiense' in [exchange]; did you mean 'audience'?"),
                            ("[exchange a]\nclient = desk\nsubject = access_token\naudience = land\nmode = delegate\n", "motid.conf:8: mode may have: delegation impersonation; has 'delegate'; did you mean 'delegation'?"),
                            ("[exchange a]\nclient = desk\nsubject = acess_token\naudience = land\n", "[exchange a] subject may have"),
                            ("[exchange a]\nclient = desk\nsubject = access_token\naudience = https://id.example\n", "[exchange a] audience may not be the issuer itself"),
                            ("[exchange a]\nclient = desk\nsubject = access_token\naudience = land\nscope = openid\n", "[exchange a] scope may not have openid"),
                            ("[exchange a]\nclient = desk\nsubject = access_token\naudience = land\ndepth = 9\n", "motid.conf:8: depth must be a number from 1 to 4"),
                            ("[exchange a]\nclient = desk\nsubject = access_token\n", "[exchange a] needs audience")):
            self.table(rules)
            self.assertIn(what, self.says("check-config", code=FAILED))

    def test_the_table_may_be_a_file_of_its_own(self):
        self.table("[policy]\nfile = rules.conf\n")
        self.assertIn("rules.conf", self.says("check-config", code=FAILED))
        self.write("rules.conf", self.RULES)
        self.assertEqual(self.explain("--audience", "land")["outcome"], "allowed")
        for text, what in (("[idp]\nissuer = https://else.example\n", "rules.conf:1: no section [idp]"), (self.RULES + self.RULES, "[exchange land] comes twice"),
                           (self.RULES + "mode = delegat\n", "rules.conf:13: mode may have")):
            self.write("rules.conf", text)
            self.assertIn(what, self.says("check-config", code=FAILED))

    def test_an_issuer_needs_keys_that_can_be_used(self):
        self.jwks("tax.jwks")
        tax = "[issuer tax]\niss = https://tax.example\naudience = https://id.example\n"
        rule = "[exchange a]\nclient = desk\nsubject = issuer:%s\naudience = land\n"
        self.table(tax + "jwks_file = tax.jwks\n" + rule % "tax")
        self.out("check-config")
        self.assertEqual(self.explain("--audience", "land", "--subject", "issuer:tax")["outcome"], "allowed")
        self.write("broken.jwks", '{"keys":[{"kty":"RSA","n":"AQAB","e":"AQAB"}]}')
        for text, what in ((tax + rule % "tax", "needs one of jwks_file and jwks_uri"), (tax + "jwks_file = tax.jwks\njwks_uri = https://tax.example/jwks\n", "needs one of"),
                           (tax + "jwks_file = none.jwks\n", "none.jwks"), (tax + "jwks_file = broken.jwks\n", "[issuer tax] jwks_file"), (tax + "jwks_file = tax.key\n", "[issuer tax] jwks_file"),
                           (tax + "jwks_file = tax.jwks\nalgs = HS256\n", "algs may have: RS256 ES256"), (tax + "jwks_file = tax.jwks\n" + rule % "taxx", "did you mean 'issuer:tax'?"),
                           (tax.replace("tax.example", "id.example") + "jwks_file = tax.jwks\n", "an iss that is not ours")):
            self.table(text)
            self.assertIn(what, self.says("check-config", code=FAILED))

if __name__ == "__main__":
    if not MOTID:
        sys.exit(__doc__)
    unittest.main(verbosity=2)
