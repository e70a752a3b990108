#!/usr/bin/env python3
"""Malformed requests at every door get a clear 4xx, quickly, and change nothing; what is one client's is no use to another; nobody is sent anywhere but to a
registered redirect_uri (SEC-01..05, 09, 10, 39). Longer lists come from MOTID_CORPORA, when it is there."""
import collections, json, os, re, secrets, socket, time, unittest, urllib.parse
from provider import Provider, check, claims, encode, hash_of

CORPORA = os.environ.get("MOTID_CORPORA", "")
JWKS = b"GET /.well-known/jwks.json HTTP/1.1\r\nHost: localhost\r\n\r\n"

def corpus(*path):
    try:
        with open(os.path.join(CORPORA, *path), encoding="utf-8", errors="surrogateescape") as f:
            return f.read()
    except OSError:
        return ""

def escaped(text): return urllib.parse.quote(text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text, safe="")

class Wire:
    """A connection that sends whatever it is told, and must stay sane."""
    def __init__(self, port): self.port, self.s = port, None

    def hear(self):
        data = b""
        while b"\r\n\r\n" not in data:
            more = self.s.recv(65536)
            if not more:
                raise ConnectionError(f"closed after {data[:80]!r}")
            data += more
        head, _, body = data.partition(b"\r\n\r\n")
        length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
        while len(body) < (int(length[1]) if length else 0):
            body += self.s.recv(65536) or self.fail("a body that ended too soon")
        return int(head.split(b" ", 2)[1]), head, body

    def fail(self, why): raise ConnectionError(why)

    def send(self, raw):
        """(status, head, body). A server that has refused may stop to listen."""
        if not self.s:
            self.s = socket.create_connection(("127.0.0.1", self.port), 5)
        try:
            self.s.sendall(raw)
        except (BrokenPipeError, ConnectionResetError):
            pass
        return self.hear()

    def sane(self, closed):
        """The next request on this connection is answered by itself; or the connection is over."""
        if not closed:
            status, _, body = self.send(JWKS)
            return status == 200 and b'"keys"' in body
        rest = b"." if self.s.recv(1) else b""
        self.close()
        return not rest

    def close(self):
        if self.s:
            self.s.close()
        self.s = None

def request(method, target, body=None, headers=(), form=True):
    h = {"Host": "localhost", **({"Content-Type": "application/x-www-form-urlencoded"} if form and body is not None else {}),
         **({"Content-Length": str(len(body))} if body is not None else {}), **dict(headers)}
    lines = b"".join(k.encode() + b": " + (v if isinstance(v, bytes) else v.encode()) + b"\r\n" for k, v in h.items())
    return method.encode() + b" " + (target if isinstance(target, bytes) else target.encode()) + b" HTTP/1.1\r\n" + lines + b"\r\n" + (body or b"")

# Every door, and the parameters that it would need.
DOORS = {"GET": ("/", "/account", "/authorize", "/authorize/continue", "/login", "/login/sim", "/login/sim/code", "/login/sim/wait", "/login/sim/poll", "/login/token",
                 "/login/tls", "/login/tls/certificate", "/login/tls/done", "/login/consent", "/device", "/logout", "/userinfo", "/.well-known/openid-configuration",
                 "/.well-known/oauth-authorization-server", "/.well-known/jwks.json"),
         "POST": ("/token", "/introspect", "/revoke", "/par", "/device_authorization", "/bc-authorize", "/device", "/authorize", "/userinfo", "/logout", "/logout/confirmed", "/account/signout", "/login", "/login/other", "/login/cancel",
                  "/login/consent", "/login/sim", "/login/sim/again", "/login/sim/send", "/login/token")}
ASKS_FIRST = ("/logout", "/logout/confirmed", "/account/signout")      # without parameters: a question, or the page of whoever has left

BAD_FIELDS = {"twice": b"a=1&a=2", "NUL": b"a=%00", "bad UTF-8": b"a=%ff%fe", "half an escape": b"a=%4", "no escape": b"a=%zz", "no name": b"=1", "long name": b"n" * 200 + b"=1",
              "long value": b"a=" + b"v" * 9000, "65 fields": b"&".join(b"a%d=1" % n for n in range(65)), "overlong UTF-8": b"a=%c0%af", "surrogate": b"a=%ed%a0%80"}
BAD_BODIES = {**BAD_FIELDS, "raw NUL": b"a=\0", "raw 0xff": b"a=\xff", "64 KiB and one": b"a=" + b"v" * (64 * 1024 - 1), "1 MiB": b"a=" + b"v" * (1 << 20), "20000 fields": b"a=1&" * 16000}
BAD_HEADERS = {"two hosts": {"host": "evil.example"}, "200 headers": {f"X-{n}": "y" for n in range(200)}, "20 KiB header": {"X": "y" * 20480}, "NUL": {"X": b"a\0b"}, "bare CR": {"X": b"a\rb"},
               "bare LF": {"X": b"a\nb"}, "folded": {"X": b"a\r\n b"}, "control": {"X": b"a\x01b"}, "chunks": {"Transfer-Encoding": "chunked"},
               "strange coding": {"Transfer-Encoding": "gzip"}, "disguised": {"Client_Cert": ":AAAA:"}, "expects": {"Expect": "200-ok"}, "packed": {"Content-Encoding": "gzip", "Content-Length": "0"},
               "endless": {"Content-Length": "99999999999999999999"}, "negative": {"Content-Length": "-1"}, "hex": {"Content-Length": "0x10"}, "doubled name": {"content-type": "text/plain", "Content-Type": "text/plain"}}

class Hostile(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.p = Provider(1, "sqlite", methods="sim token")
        cls.app, cls.cookie = cls.p.client("App"), cls.p.sign_in()
        cls.tokens = cls.p.redeem(cls.app, cls.p.code(cls.app, cls.cookie, scope="openid offline_access")).json
        cls.unspent = cls.p.code(cls.app, cls.cookie)

    @classmethod
    def tearDownClass(cls): cls.p.stop()

    def setUp(self):
        self.wire, self.unspent = Wire(self.p.ports[0]), self.p.code(self.app, self.cookie)
        self.before, self.bad = self.effects(), []

    def tearDown(self):
        self.wire.close()

    def effects(self):
        """Everything durable that a request can change, but for the rows that say what was refused."""
        count = {t: self.p.sql(f"SELECT COUNT(*) FROM {t}") for t in ("client", "person", "trust", "certificate", "binding", "consent", "grants", "revoked_token", "signing_key", "once")}
        count |= {"audit": self.p.sql("SELECT event, COUNT(*) FROM audit WHERE event NOT LIKE '%.refused' GROUP BY event ORDER BY event")}
        for t, what in (("session", "id_hash, ended_at"), ("grants", "id, revoked_at"), ("code", "hash, redeemed_at"), ("refresh", "hash, used_at"), ("client", "id, version, disabled_at")):
            count[t + "s"] = sorted(self.p.sql(f"SELECT {what} FROM {t}"))
        return count

    def nothing_changed(self):
        self.assertEqual(self.bad, [])
        self.assertEqual(self.effects(), self.before)
        self.assertTrue(self.p.active(self.app, self.tokens["access_token"]))
        self.assertEqual(self.p.redeem(self.app, self.unspent).status, 200, "a code that was given before is still good")
        self.assertEqual(self.p.authorize(self.app, self.cookie, prompt="none").status, 303, "and so is the session")

    def refused(self, what, raw, also=()):
        """Sent as it is; the answer must be a 4xx (or what the caller allows), at once, and the connection sane."""
        began = time.monotonic()
        try:
            status, head, body = self.wire.send(raw)
            closed = b"connection: close" in head.lower()
            good = 400 <= status < 500 or status in also
            if not good or time.monotonic() - began > 2 or (status >= 400 and not body and b"HEAD" != raw[:4]) or not self.wire.sane(closed):
                self.bad.append((what, status, body[:120], round(time.monotonic() - began, 2)))
        except (OSError, ConnectionError) as e:
            self.bad.append((what, repr(e)))
        finally:
            if self.bad:
                self.wire.close()

    def test_a_method_that_a_door_does_not_know_is_refused(self):
        for known, paths in DOORS.items():
            for path in paths:
                for method in ("GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"):
                    if not any(path in DOORS[m] for m in DOORS if m == method):
                        self.refused((method, path), request(method, path, b"" if method in ("POST", "PUT", "PATCH") else None), (501,))
                self.refused(("BREW", path), request("BREW", path), (501,))
        self.nothing_changed()

    def test_malformed_parameters_are_refused_at_every_door(self):
        for path in DOORS["GET"]:
            for what, text in BAD_FIELDS.items():
                self.refused(("GET", path, what), request("GET", path.encode() + b"?" + text, headers={"Cookie": self.cookie}))
        for path in DOORS["POST"]:
            for what, text in BAD_BODIES.items():
                self.refused(("POST", path, what), request("POST", path, text, {"Cookie": self.cookie, **self.app.basic}))
            for what, text in BAD_FIELDS.items():
                self.refused(("POST ?", path, what), request("POST", path.encode() + b"?" + text, b"", {"Cookie": self.cookie, **self.app.basic}))
            self.refused(("POST", path, "in the query and the form"), request("POST", path + "?a=1", b"a=1", {"Cookie": self.cookie}))
        self.nothing_changed()

    def test_malformed_heads_are_refused_at_every_door(self):
        for method, paths in DOORS.items():
            for path in paths:
                for what, headers in BAD_HEADERS.items():
                    if what == "doubled name" and method == "GET":
                        continue
                    body = b"" if method == "POST" and not {"Content-Length", "Transfer-Encoding"} & set(headers) else None
                    self.refused((method, path, what), request(method, path, body, {"Cookie": self.cookie, **headers}))
                for what, target in {"NUL": b"\0", "raw UTF-8": "ế".encode(), "bad UTF-8": b"%ff", "zero": b"%00", "climbs": b"/../..", "fragment": b"#x", "slash": b"%2f", "20 KiB": b"x" * 20480}.items():
                    self.refused((method, path, "path " + what), request(method, path.encode() + target, b"" if method == "POST" else None))
                self.refused((method, path, "version"), request(method, path, b"" if method == "POST" else None).replace(b"HTTP/1.1", b"HTTP/3.9"), (505,))
            self.refused((method, "body in a GET"), request("GET", "/account", b"a=1"))
        self.nothing_changed()

    def test_a_body_of_another_type_is_no_form(self):
        t = self.tokens
        secret = encode(grant_type="refresh_token", refresh_token=t["refresh_token"], token=t["access_token"], decision="logout", method="token").encode()
        for path in DOORS["POST"]:
            for kind in ("text/plain", "application/json", "multipart/form-data; boundary=x", "application/x-www-form-urlencoded2", "", "x" * 500):
                also = (200, 303) if path in ASKS_FIRST else ()
                headers = {"Cookie": self.cookie, **({} if path == "/userinfo" else self.app.basic), **({"Content-Type": kind} if kind else {})}
                self.refused((path, kind), request("POST", path, secret, headers, form=False), also)
        self.nothing_changed()

    def test_odd_credentials_are_refused(self):
        t = self.tokens
        odd = ["Basic", "Basic ", "Basic !!!!", "Basic OnNlY3JldA==", "Basic " + "QQ" * 4000, "Bearer", "Bearer ", "Bearer x", "Bearer " + "x" * 9000, "Negotiate abc", "Digest a=b", "\t", "Bearer a b",
               "Basic " + "OjA6MDo=", "basic", "DPoP x", f"Bearer {t['refresh_token']}", f"Bearer {t['id_token']}", f"Bearer {t['access_token'][:-1]}", f"Bearer {t['access_token']}A",
               "Bearer " + t["access_token"].split(".")[0] + ".." + t["access_token"].split(".")[2]]
        for value in odd:
            for method, path, body in (("POST", "/token", b"grant_type=client_credentials"), ("POST", "/introspect", b"token=x"), ("POST", "/revoke", b"token=x"), ("GET", "/userinfo", None)):
                self.refused((path, value[:40]), request(method, path, body, {"Authorization": value}))
        both = encode(grant_type="client_credentials", client_id=self.app.id, client_secret=self.app.secret).encode()
        self.refused("two ways at once", request("POST", "/token", both, self.app.basic))
        self.refused("another client's name", request("POST", "/token", b"grant_type=client_credentials&client_id=other", self.app.basic))
        self.refused("twice", request("GET", "/userinfo", None, {"Authorization": "Bearer x", "authorization": "Bearer " + t["access_token"]}))
        self.nothing_changed()

    def test_values_that_are_no_values_are_refused_and_said_to_the_registered_address_only(self):
        good = {"response_type": "code", "client_id": self.app.id, "redirect_uri": self.app.redirect, "scope": "openid", "state": "s", "prompt": "none",
                "code_challenge": hash_of("x"), "code_challenge_method": "S256"}
        bad = {"max_age": ("-1", "1e9", "99999999999999999999999", "0x1", " 1", "1.5", ""), "response_type": ("token", "id_token", "code token", "CODE", "", "code "), "prompt": ("none login", "x", "NONE"),
               "response_mode": ("fragment", "fragment.jwt", "web_message", "x" * 5000), "code_challenge": ("x", "=" * 43, "a" * 42, "a" * 44, "a" * 5000), "code_challenge_method": ("plain", "s256", ""),
               "scope": ("", "x" * 5000, "OPENID"), "claims": ("{", "[]", "1", "[" * 3000, '{"id_token":{"acr":{"value":', '{"a":1,"a":2}'), "request": ("eyJ",), "request_uri": ("https://evil.example/x",),
               "registration": ("{}",), "id_token_hint": ("x", "a.b.c", "x" * 9000)}
        for name, values in bad.items():
            for v in values:
                a = self.p.ask("GET", "/authorize?" + urllib.parse.urlencode({**good, name: v}), headers={"Cookie": self.cookie})
                where = a.location.partition("?")[0]
                self.assertTrue((a.status == 303 and where == self.app.redirect and "error" in a.asked and "code" not in a.asked and a.asked["iss"] == self.p.issuer) or
                                (a.status in (400, 413, 414, 431) and not a.location), (name, v[:40], a.status, a.location))
        for path, field in (("/token", "grant_type"), ("/token", "code"), ("/token", "scope"), ("/introspect", "token"), ("/revoke", "token")):
            for v in ("x" * 8000, "\u202e", "'; DROP TABLE audit; --", "${jndi:ldap://x}", "../../etc/passwd", "%s%n", "A" * 43, "a.b.c", "." * 100, "\r\nX: y", '"\\'):
                a = self.p.ask("POST", path, encode(**{"grant_type": "authorization_code", field: v}), self.app.basic)
                if path == "/token":
                    self.assertEqual(a.status, 400, (path, field, v[:20]))
                else:
                    self.assertEqual((a.status, a.json), (200, {"active": False} if path == "/introspect" else {}), (path, v[:20]))
        self.nothing_changed()

    def test_naughty_strings_do_no_harm_anywhere(self):
        strings = [l for l in corpus("naughty-strings", "blns.txt").split("\n") if l and not l.startswith("#")]
        if not strings:
            self.skipTest("no corpora")
        for s in strings:
            e = escaped(s)
            base = f"/authorize?response_type=code&redirect_uri={escaped(self.app.redirect)}"
            for target in (f"{base}&client_id={e}", f"/authorize?response_type=code&client_id={self.app.id}&redirect_uri={e}", f"/login?i={e}", f"/logout?id_token_hint={e}", f"/{e}"):
                status, head, _ = self.wire.send(request("GET", target))
                closed = b"connection: close" in head.lower()
                self.assertTrue(400 <= status < 500 or (target.startswith("/logout") and status == 200), (s, target, status))
                self.assertNotIn(b"\nlocation:", head.lower())
                self.assertTrue(self.wire.sane(closed), s)
            a = self.p.ask("GET", f"{base}&client_id={self.app.id}&scope=openid&prompt=none&code_challenge={hash_of('x')}&code_challenge_method=S256&state={e}&login_hint={e}&ui_locales={e}&acr_values={e}",
                           headers={"Cookie": "x=y"})
            if a.status == 303:
                self.assertEqual((a.location.partition("?")[0], a.asked["error"]), (self.app.redirect, "login_required"))
                self.assertEqual(urllib.parse.parse_qs(urllib.parse.urlsplit(a.location).query, keep_blank_values=True, errors="surrogateescape")["state"],
                                 [s.encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape")], "state comes back as it came")
            else:
                self.assertEqual(a.status, 400, s)
        self.nothing_changed()

    def test_every_form_needs_its_own_token_and_its_own_browser(self):
        b = check.Browser()
        page = b.open(f"{self.p.issuer}/account")
        i, csrf = urllib.parse.parse_qs(urllib.parse.urlsplit(page.url).query)["i"][0], page.form("/login")["fields"]["csrf"]
        mine = "; ".join(f"{c.name}={c.value}" for x in b.opener.handlers if hasattr(x, "cookiejar") for c in x.cookiejar)
        for path in (p for p in DOORS["POST"] if p.startswith("/login")):
            for what, fields, cookie in (("no token", {"i": i}, mine), ("another's", {"i": i, "csrf": "A" * 43}, mine), ("cut", {"i": i, "csrf": csrf[:-1]}, mine), ("no interaction", {"csrf": csrf}, mine),
                                         ("another browser", {"i": i, "csrf": csrf}, ""), ("another's cookie", {"i": i, "csrf": csrf}, "browser=" + "A" * 43), ("nothing", {}, mine)):
                self.refused((path, what), request("POST", path, encode(method="token", decision="allow", **fields).encode(), {"Cookie": cookie} if cookie else {}))
            for origin in ({"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}):
                self.refused((path, origin), request("POST", path, encode(i=i, csrf=csrf, method="token", decision="allow").encode(), {"Cookie": mine, **origin}))
        self.nothing_changed()

# ---- what is one's is not another's -----------------------------------------------------------------------------------------

class Pairs(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.p = Provider(1, "sqlite", methods="sim token", operators={"lines": ""})
        cls.clients = {"basic": cls.p.client("Basic"), "post": cls.p.client("Post", auth="post"),
                       "public": cls.p.client("Public", auth="none", grants=("authorization_code", "refresh_token")), "twin": cls.p.client("Twin", redirect="https://basic.example.vn/callback")}
        cls.others = {"device": cls.p.client("Device", grants=("urn:ietf:params:oauth:grant-type:device_code",)),
                      "ciba": cls.p.client("Clerk", "--ciba", "poll", grants=("urn:openid:params:grant-type:ciba",))}
        cls.cookie = cls.p.sign_in()

    @classmethod
    def tearDownClass(cls): cls.p.stop()

    def ask(self, kind, path, **fields):
        c = {**self.clients, **self.others}[kind]
        own = {"post": {"client_id": c.id, "client_secret": c.secret}, "public": {"client_id": c.id}}.get(kind, {})
        return self.p.ask("POST", path, encode(**fields, **own), {} if own else c.basic)

    def code(self, kind): return self.p.code(self.clients[kind], self.cookie, scope="openid offline_access")

    def redeem(self, kind, given, **more):
        return self.ask(kind, "/token", **{"grant_type": "authorization_code", "code": given[0], "code_verifier": given[1], "redirect_uri": self.clients[kind].redirect, **more})

    def refresh(self, kind, token): return self.ask(kind, "/token", grant_type="refresh_token", refresh_token=token)

    def test_a_code_or_refresh_token_of_one_client_is_invalid_to_every_other_and_still_good_for_its_own(self):
        for a in self.clients:
            for b in self.clients:
                if a == b:
                    continue
                with self.subTest(f"{b} with what is {a}'s"):
                    code = self.code(a)
                    for uri in (self.clients[a].redirect, self.clients[b].redirect):
                        self.assertEqual(self.redeem(b, code, redirect_uri=uri).error, "invalid_grant")
                    t = self.redeem(a, code).json
                    self.assertEqual(self.refresh(b, t["refresh_token"]).error, "invalid_grant")
                    for token in (t["access_token"], t["refresh_token"]):
                        if b != "public":
                            self.assertEqual(self.ask(b, "/introspect", token=token).json, {"active": False})
                        self.assertEqual(self.ask(b, "/revoke", token=token).error, "invalid_grant")
                    again = self.refresh(a, t["refresh_token"])
                    self.assertEqual(again.status, 200, "and nothing of it was spent")
                    self.assertEqual(self.p.ask("GET", "/userinfo", headers={"Authorization": "Bearer " + t["access_token"]}).status, 200)

    def test_whoever_has_a_code_but_not_what_belongs_to_it_cannot_spoil_it(self):
        code = self.code("basic")
        for wrong in ({"code_verifier": "x" * 43}, {"code_verifier": ""}, {"code_verifier": code[1][:-1]}, {"code_verifier": hash_of(code[1])}, {"redirect_uri": ""}, {"redirect_uri": "https://basic.example.vn/callback/"},
                      {"redirect_uri": "https://BASIC.example.vn/callback"}, {"code": code[0][:-1]}, {"code": code[0] + "A"}, {"code": code[0].swapcase()}):
            self.assertEqual(self.redeem("basic", code, **wrong).error, "invalid_grant", wrong)
        wrong_secret = self.p.ask("POST", "/token", self.p.redeeming(self.clients["basic"], code), {"Authorization": "Basic " + "QTpC"})
        self.assertEqual(wrong_secret.error, "invalid_client")
        self.assertEqual(self.redeem("basic", code).status, 200)

    def test_a_code_that_was_asked_for_with_a_challenge_needs_its_verifier_and_one_without_takes_none(self):
        plain = self.p.authorize(self.clients["basic"], self.cookie)
        self.assertEqual(plain.asked.get("error", "none" if "code" in plain.asked else None), "none" if "code" in plain.asked else "invalid_request")
        if "code" in plain.asked:
            self.assertEqual(self.redeem("basic", (plain.asked["code"], "v" * 43)).error, "invalid_grant")
        self.assertEqual(self.p.authorize(self.clients["public"], self.cookie).asked["error"], "invalid_request")

    # ---- every kind of identifier at every door: SEC-09

    def kinds(self):
        """One of each, live; a door is opened by those that it names, and by nothing else."""
        t = self.redeem("basic", self.code("basic")).json
        invited = json.loads(self.p.tool("client", "invite", "--name", "Pairs", "--uses", "50", "--json"))["token"]
        registered = self.register(invited).json
        device = self.ask("device", "/device_authorization", scope="openid").json
        asked = self.ask("ciba", "/bc-authorize", scope="openid", login_hint="tel:+84900000099;number=001099000099", binding_message="x").json
        pushed = self.pushed()
        jarm = self.p.authorize(self.clients["basic"], self.cookie, response_mode="jwt").asked["response"]
        unspent = self.code("basic")
        return {"code": unspent[0], "refresh token": t["refresh_token"], "access token": t["access_token"], "ID token": t["id_token"], "session": self.cookie.partition("=")[2],
                "device code": device["device_code"], "user code": device["user_code"], "auth_req_id": asked["auth_req_id"], "request_uri": pushed, "request_uri's id": pushed.rpartition(":")[2],
                "initial access token": invited, "registration access token": registered["registration_access_token"], "answer as JWT": jarm, "client id": registered["client_id"],
                "verifier": unspent[1], "challenge": hash_of(unspent[1]), "jti": claims(t["access_token"])["jti"], "sid": claims(t["id_token"])["sid"], "sub": claims(t["id_token"])["sub"],
                "hash of a refresh token": hash_of(t["refresh_token"]), "hash of a code": hash_of(unspent[0]), "registered": registered}

    def register(self, token):
        body = json.dumps({"redirect_uris": ["https://self.example.vn/callback"]})
        return self.p.ask("POST", "/register", body, {"Authorization": "Bearer " + token, "Content-Type": "application/json"})

    def pushed(self):
        c = self.clients["basic"]
        return self.ask("basic", "/par", client_id=c.id, response_type="code", redirect_uri=c.redirect, scope="openid", code_challenge=hash_of("v" * 43), code_challenge_method="S256").json["request_uri"]

    def polls(self, kind, grant_type, name, value):
        """Anything but invalid_grant says that there is such a request."""
        return self.ask(kind, "/token", **{"grant_type": grant_type, name: value}).error != "invalid_grant"

    def doors(self, registered):
        bearer = lambda value: {"Authorization": "Bearer " + value}
        by_uri = lambda value: "code" in self.p.ask("GET", "/authorize?" + encode(client_id=self.clients["basic"].id, request_uri=value), headers={"Cookie": self.cookie}).asked
        return (
            ("/token code", {"code"}, lambda v: self.redeem("basic", (v, "v" * 43)).error != "invalid_grant"),
            ("/token refresh_token", {"refresh token"}, lambda v: self.refresh("basic", v).status == 200),
            ("/token device_code", {"device code"}, lambda v: self.polls("device", "urn:ietf:params:oauth:grant-type:device_code", "device_code", v)),
            ("/token auth_req_id", {"auth_req_id"}, lambda v: self.polls("ciba", "urn:openid:params:grant-type:ciba", "auth_req_id", v)),
            ("/userinfo", {"access token"}, lambda v: self.p.ask("GET", "/userinfo", headers=bearer(v)).status == 200),
            ("/introspect", {"access token", "refresh token"}, lambda v: self.ask("basic", "/introspect", token=v).json["active"]),
            ("/register", {"initial access token"}, lambda v: self.register(v).status == 201),
            ("/register/ID", {"registration access token"}, lambda v: self.p.ask("GET", "/register/" + registered["client_id"], headers=bearer(v)).status == 200),
            ("/authorize request_uri", {"request_uri"}, by_uri),
            ("/authorize urn:…", {"request_uri's id"}, lambda v: by_uri("urn:ietf:params:oauth:request_uri:" + v)),
            ("/authorize id_token_hint", {"ID token"}, lambda v: "code" in self.p.authorize(self.clients["basic"], self.cookie, prompt="none", id_token_hint=v).asked),
            ("session cookie", {"session"}, lambda v: "code" in self.p.authorize(self.clients["basic"], "session=" + v, prompt="none").asked),
        )

    def test_what_is_of_one_kind_is_nothing_of_another(self):
        kinds = self.kinds()
        registered, wrong = kinds.pop("registered"), []
        for door, own, opens in self.doors(registered):
            for kind, value in kinds.items():
                if kind not in own and opens(value):
                    wrong.append(f"{door} was opened by a {kind}")
        self.assertEqual(wrong, [])
        # and each is still good for what it is: no door of another kind spent it
        for door, own, opens in self.doors(registered)[1:]:
            for kind in own:
                value = kinds[kind] if not kind.startswith("request_uri") else self.pushed() if kind == "request_uri" else self.pushed().rpartition(":")[2]
                if door == "/introspect" and kind == "refresh token":
                    continue                   # the door before it has rotated it
                self.assertTrue(opens(value), f"{door} is not opened by its own {kind}")
        self.assertEqual(self.redeem("basic", (kinds["code"], kinds["verifier"])).status, 200)

    def test_no_piece_of_a_token_is_a_token(self):
        t = self.redeem("basic", self.code("basic")).json
        for token in (t["access_token"], t["refresh_token"]):
            for n in range(1, len(token), 7):
                for piece in (token[:n], token[n:], token[:n] + ("A" if token[n] != "A" else "B") + token[n + 1:]):
                    self.assertEqual(self.ask("basic", "/introspect", token=piece).json, {"active": False}, n)
        self.assertTrue(self.ask("basic", "/introspect", token=t["access_token"]).json["active"])

# ---- nobody is sent anywhere else ------------------------------------------------------------------------------------------------

REGISTERED = ("https://app.example.vn/cb", "https://app.example.vn/cb?tenant=1", "http://localhost:3000/callback")

def twisted(uri):
    """SEC-01: what parsers have been fooled by, made from a registered one."""
    u = urllib.parse.urlsplit(uri)
    host, path = u.netloc, u.path
    yield from (uri + x for x in ("/", "?", "#", "#x", "&x=1", "?x=1", "/..", "/../x", "/..;/x", "%2f..", "%00", "%0d%0aX:y", " ", "\t", "\\", "x", ".evil.example", "@evil.example", ";x", "//", "%23", "%3f", "\u200b", "\0"))
    yield from (x + uri for x in (" ", "\t", "\u200b", "x", "//", "https://evil.example/?", "https://evil.example#", "view-source:", "javascript://", "\0"))
    yield from (uri.replace(host, h) for h in (host.upper(), host + ".", host + ":443", host + ":80", "evil.example", "evil.example@" + host, host + "@evil.example", f"{host}@{host}@evil.example", f"evil.example\\@{host}",
                f"evil.example#{host}", f"evil.example?{host}", f"evil.example;{host}", f"user:pass@{host}", "sub." + host, host.replace(".", "。"), host.replace("a", "ａ", 1), "[::1]", "127.0.0.1", "%61" + host[1:], host + "%2eevil.example"))
    yield from (uri.replace(path, p) for p in (path.upper(), "/x/.." + path, "/." + path, "/" + path, path + "/x/..", path.replace("c", "%63"), "", "/", "/x", "/%2e%2e" + path, "\\" + path[1:]))
    yield from (uri.replace(u.scheme, s, 1) for s in ("http", "HTTPS", "ftp", "javascript", "data", "ws", "https:https"))
    yield uri.replace("://", ":")
    yield uri.replace("://", ":/")

class Redirects(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.p = Provider(1, "sqlite")
        cls.app, cls.cookie = cls.p.client("App", "--sector", "app.example.vn", redirect=list(REGISTERED)), cls.p.sign_in()

    @classmethod
    def tearDownClass(cls): cls.p.stop()

    def presented(self):
        for uri in REGISTERED:
            yield from twisted(uri)
        for name in ("urltestdata.json", "ada_extra_urltestdata.json", "urltestdata-javascript-only.json", "toascii.json"):
            yield from (t["input"] for t in json.loads(corpus("url", name) or "[]") if isinstance(t, dict) and "input" in t)
        for name in ("open-redirect-payloadbox.txt", "patt-Open-Redirect-payloads.txt", "patt-open_redirect_wordlist.txt", "patt-openredirects.txt"):
            for line in corpus("url", name).split("\n"):
                yield line
                yield line.replace("www.whitelisteddomain.tld", "app.example.vn").replace("example.com", "app.example.vn")

    def test_nobody_is_redirected_but_to_a_registered_uri_byte_for_byte_whatever_else_is_wrong(self):
        sent, counts = set(), collections.Counter()
        for uri in dict.fromkeys(self.presented()):
            if uri in REGISTERED:
                continue
            for more in ("&scope=openid&state=s", "&scope=openid&prompt=none&response_type=token", "&scope=nothing&request=x"):
                target = f"/authorize?response_type=code&client_id={self.app.id}&redirect_uri={escaped(uri)}{more}"
                a = self.p.ask("GET", target.replace("response_type=code&", "", "response_type=token" in more), headers={"Cookie": self.cookie})
                counts[a.status] += 1
                if a.status != 400 or a.location or "refresh" in {k.lower() for k in a.headers}:
                    sent.add((uri, a.status, a.location))
        self.assertEqual(sent, set())
        self.assertGreater(counts[400], 300)

    def test_each_registered_uri_gets_its_own_answer(self):
        for uri in REGISTERED:
            a = self.p.authorize(self.app, self.cookie, redirect_uri=uri, code_challenge=hash_of("v" * 43), code_challenge_method="S256")
            self.assertEqual(a.status, 303)
            self.assertTrue(a.location.startswith(uri + ("&" if "?" in uri else "?")), a.location)
            self.assertIn("code", a.asked)

    def test_the_page_for_a_bad_address_names_no_link_to_it(self):
        a = self.p.authorize(self.app, self.cookie, redirect_uri="https://evil.example/x")
        self.assertEqual(a.status, 400)
        self.assertNotRegex(a.text, r'(href|action|src|content)="[^"/]*//evil')

    def test_after_a_logout_nobody_is_sent_but_to_a_registered_uri(self):
        t = self.p.redeem(self.app, self.p.code(self.app, self.cookie)).json
        for uri in dict.fromkeys(self.presented()):
            a = self.p.ask("GET", f"/logout?id_token_hint={t['id_token']}&post_logout_redirect_uri={escaped(uri)}")
            self.assertIn(a.status, (200, 400), uri)
            self.assertEqual(a.location, "", uri)

    def test_the_change_of_language_leads_only_to_a_page_of_ours(self):
        for uri in dict.fromkeys(self.presented()):
            a = self.p.ask("GET", f"/lang?to=en&back={escaped(uri)}")
            self.assertIn(a.status, (303, 400), uri)
            if a.status == 303:
                self.assertRegex(a.location, r"^/(?![/\\])[\x21-\x5b\x5d-\x7e]*$", uri)

if __name__ == "__main__":
    unittest.main(verbosity=2)
