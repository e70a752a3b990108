#!/usr/bin/env python3
"""kill -9 under load: of motid, of PostgreSQL with all its processes, of Redis (F-01, F-02, F-06). What every client saw is kept, and afterwards held
against the store and the audit trail. MOTID_SEED repeats the moments."""
import collections, concurrent.futures, http.client, http.server, json, os, random, secrets, threading, time, unittest
from provider import SEED, Client, Line, Provider, check, claims, encode, hash_of, stopped, until

KILLS = int(os.environ.get("MOTID_KILLS", "10"))

class History:
    """What clients saw. An outcome is "ok" (answered with a success), "no" (answered with a refusal) or "unknown" (no answer)."""
    def __init__(self):
        self.lock, self.codes, self.tokens, self.revoked, self.busy, self.odd, self.counts = threading.Lock(), {}, [], [], [], [], collections.Counter()

    def redeemed(self, code, verifier, outcome):
        with self.lock:
            self.codes.setdefault(code, [verifier]).append(outcome)

    def note(self, what, answer):
        with self.lock:
            self.counts[what, answer.status] += 1
            if answer.status == 503:
                self.busy.append(answer.headers.get("Retry-After"))
            elif answer.status >= 500:
                self.odd.append((what, answer.status, answer.text[:200]))

    def got(self, token):
        with self.lock:
            self.tokens.append(token)

class Load:
    """Hands that walk code flows, rotations, revocations and client_credentials without rest, until told."""
    def __init__(self, provider, app, cookie, hands=8):
        self.p, self.app, self.cookie, self.seen, self.over = provider, app, cookie, History(), threading.Event()
        self.hands = [threading.Thread(target=self.work, args=(n,), daemon=True) for n in range(hands)]

    def __enter__(self):
        for h in self.hands:
            h.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        for h in self.hands:
            h.join(60)

    def ask(self, line, what, *request):
        """None when the outcome is not known."""
        try:
            a = line.ask(*request)
        except (OSError, http.client.HTTPException):
            with self.seen.lock:
                self.seen.counts[what, "unknown"] += 1
            self.over.wait(0.01)
            return None
        self.seen.note(what, a)
        return a

    def token(self, line, what, body):
        a = self.ask(line, what, "POST", "/token", body, self.app.basic)
        if a and a.status == 200:
            self.seen.got(a.json["access_token"])
        return a

    def work(self, n):
        line, dice = Line(self.p.ports[n % len(self.p.ports)]), random.Random(SEED + n)
        while not self.over.is_set():
            if n % 4 == 3:
                self.token(line, "client_credentials", encode(grant_type="client_credentials"))
            else:
                self.walk(line, dice)
        line.close()

    def walk(self, line, dice):
        verifier = secrets.token_urlsafe(32)
        q = encode(response_type="code", client_id=self.app.id, redirect_uri=self.app.redirect, scope="openid offline_access", code_challenge=hash_of(verifier),
                   code_challenge_method="S256")
        a = self.ask(line, "authorize", "GET", "/authorize?" + q, None, {"Cookie": self.cookie})
        if not a or "code" not in a.asked:
            return
        code = a.asked["code"]
        a = self.token(line, "redeem", self.p.redeeming(self.app, (code, verifier)))
        self.seen.redeemed(code, verifier, "unknown" if a is None or a.status == 503 else "ok" if a.status == 200 else "no")
        if a and a.status == 200 and dice.random() < 0.5:
            self.go_on(line, dice, a.json)

    def go_on(self, line, dice, t):
        a = self.token(line, "refresh", encode(grant_type="refresh_token", refresh_token=t["refresh_token"]))
        t = a.json if a and a.status == 200 else t
        if dice.random() < 0.5:
            a = self.ask(line, "revoke", "POST", "/revoke", encode(token=t["refresh_token"]), self.app.basic)
            if a and a.status == 200:
                with self.seen.lock:
                    self.seen.revoked.append(t)

class Invariants:
    """SECURITY.md 4.1, held against the history after every fault."""
    def hold(self, p, app, load):
        seen = load.seen
        self.assertEqual(seen.odd, [], "nothing but 503 tells of a fault")
        self.assertGreater(len(seen.tokens), 50)
        audit = p.audit()
        issued = [json.loads(r["detail"]) for r in audit if r["event"] == "token.issued"]
        self.every_token_has_its_row(seen, issued)
        self.every_code_has_its_row(p, seen, audit)
        self.no_code_is_good_twice(p, app, seen, issued)
        self.what_was_revoked_stays_so(p, app, seen)

    def every_token_has_its_row(self, seen, issued):
        rows = {d["jti"] for d in issued}
        self.assertEqual([t for t in seen.tokens if claims(t)["jti"] not in rows], [], "every token that a client saw has its audit row")
        self.assertEqual(len(rows), len(issued), "one row a token")

    def every_code_has_its_row(self, p, seen, audit):
        grants = dict(p.sql("SELECT hash, grant_id FROM code"))
        rows = {json.loads(r["detail"])["grant"] for r in audit if r["event"] == "code.issued"}
        self.assertEqual([c for c in seen.codes if grants.get(hash_of(c)) not in rows], [], "every code that a client saw is stored, with its audit row")

    def answered(self, ask):
        """Whoever is told 503 comes again: a lane to a store that was restarted may need a moment more than the load did."""
        end = time.monotonic() + 10
        while (answer := ask()).status == 503 and time.monotonic() < end:
            time.sleep(0.05)
        return answer

    def no_code_is_good_twice(self, p, app, seen, issued):
        """Whatever came of the first try, a second one, after all restarts, gives at most what the first did not."""
        self.assertEqual([c for c, (_, *o) in seen.codes.items() if o.count("ok") > 1], [])
        late = [(c, v, o) for c, (v, *o) in seen.codes.items()][-400:]
        for code, verifier, outcomes in late:
            again = self.answered(lambda: p.redeem(app, (code, verifier)))
            self.assertIn(again.status, (200, 400), again.text)
            if "ok" in outcomes:
                self.assertEqual(again.error, "invalid_grant")
            self.assertEqual(self.answered(lambda: p.redeem(app, (code, verifier))).error, "invalid_grant")
        times = collections.Counter(d["grant"] for d in issued if d["grant_type"] == "authorization_code")
        self.assertEqual([g for g, n in times.items() if n > 1], [], "no grant has two rows of a redemption")

    def what_was_revoked_stays_so(self, p, app, seen):
        for t in seen.revoked[-100:]:
            self.assertEqual(self.answered(lambda: p.refresh(app, t["refresh_token"])).error, "invalid_grant")
            self.assertFalse(p.active(app, t["access_token"]))

class Motid(Invariants):
    def test_kill_9_under_load_loses_no_row_and_doubles_no_code(self):
        dice = random.Random(SEED)
        with Provider(self.processes, self.engine) as p:
            app, cookie = p.client("App"), p.sign_in()
            with Load(p, app, cookie) as load:
                for n in range(KILLS):
                    self.kill_once(p, load, n % self.processes, dice)
            self.hold(p, app, load)

    def kill_once(self, p, load, n, dice):
        had = len(load.seen.tokens)
        until("the load goes on", lambda: len(load.seen.tokens) > had + 20, 30)
        time.sleep(dice.uniform(0, 0.2))       # the moment is random; nothing is waited for
        before = {r[0] for r in p.sql("SELECT id FROM audit")}
        p.kill(n)
        began = time.monotonic()
        p.start(n)
        self.assertLess(time.monotonic() - began, 2, "it serves again within two seconds")
        self.assertEqual(before - {r[0] for r in p.sql("SELECT id FROM audit")}, set(), "no row that was there is gone")

class Motid_on_postgresql(Motid, unittest.TestCase): engine, processes = "postgres", 2
class Motid_on_sqlite(Motid, unittest.TestCase): engine, processes = "sqlite", 1

class Postgresql(Invariants, unittest.TestCase):
    def test_kill_9_of_postgresql_is_503_while_it_is_down_and_nothing_is_lost_or_doubled(self):
        with Provider(2, "postgres") as p:
            app, cookie = p.client("App"), p.sign_in()
            with Load(p, app, cookie) as load:
                for _ in range(max(1, KILLS // 3)):
                    self.kill_once(p, load)
            self.assertTrue(load.seen.busy)
            self.assertEqual(set(load.seen.busy), {"1"}, "503 says when to come again")
            self.assertTrue(all(x.poll() is None for x in p.processes), "motid itself was never started again")
            self.hold(p, app, load)

    def kill_once(self, p, load):
        had = len(load.seen.tokens)
        until("the load goes on", lambda: len(load.seen.tokens) > had + 20, 30)
        before = {r[0] for r in p.sql("SELECT id FROM audit")}
        busy = len(load.seen.busy)
        p.servers.kill_pg()
        until("clients are told 503", lambda: len(load.seen.busy) > busy + 8, 20)
        self.assertEqual(p.ask("GET", "/.well-known/jwks.json").status, 200, "what needs no store is answered")
        p.servers.start_pg()
        back = time.monotonic()
        until("tokens are given again", lambda: p.ask("POST", "/token", encode(grant_type="client_credentials"), load.app.basic).status == 200, 10)
        self.assertLess(time.monotonic() - back, 4)
        self.assertEqual(before - {r[0] for r in p.sql("SELECT id FROM audit")}, set(), "no row that was there is gone")

    def test_a_postgresql_that_hangs_is_503_in_time_and_what_needs_no_store_is_answered_at_once(self):
        with Provider(1, "postgres") as p:
            app, cookie = p.client("App"), p.sign_in()
            t = p.redeem(app, p.code(app, cookie, scope="openid offline_access")).json
            with stopped(*p.servers.pg_pids()), concurrent.futures.ThreadPoolExecutor(40) as pool:
                began = time.monotonic()
                asked = [pool.submit(p.token, app, encode(grant_type="client_credentials")) for _ in range(32)]
                asked += [pool.submit(p.ask, "GET", "/userinfo", None, {"Authorization": "Bearer " + t["access_token"]}) for _ in range(8)]
                while not all(f.done() for f in asked):
                    before = time.monotonic()
                    self.assertEqual(p.ask("GET", "/.well-known/jwks.json").status, 200)
                    self.assertLess(time.monotonic() - before, 0.5)
                    time.sleep(0.05)
                self.assertEqual({f.result().status for f in asked}, {503})
                self.assertLess(time.monotonic() - began, 11, "by the deadline of a request")
            until("tokens are given again", lambda: p.refresh(app, t["refresh_token"]).status == 200, 10)

    def test_a_revocation_that_cannot_be_stored_is_never_confirmed(self):
        with Provider(1, "postgres") as p:
            app, cookie = p.client("App"), p.sign_in()
            t = p.redeem(app, p.code(app, cookie)).json
            p.servers.kill_pg()
            for token in (t["refresh_token"], t["access_token"]):
                a = p.revoke(app, token)
                self.assertEqual((a.status, a.headers["Retry-After"]), (503, "1"))
            self.assertEqual(p.ask("POST", "/introspect", encode(token=t["access_token"]), app.basic).status, 503)
            self.assertEqual(p.ask("GET", "/userinfo", headers={"Authorization": "Bearer " + t["access_token"]}).status, 503)
            p.servers.start_pg()
            until("it answers again", lambda: p.revoke(app, t["refresh_token"]).status == 200, 10)
            self.assertFalse(p.active(app, t["access_token"]))

class Listener:
    """An application that is told of logouts, and answers only when it is told to."""
    def __init__(self):
        self.heard, self.answers = [], threading.Event()
        listener = self
        class Told(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                listener.heard.append(claims(self.rfile.read(int(self.headers["Content-Length"])).decode().partition("=")[2]))
                listener.answers.wait(60)
                try:
                    self.send_response(200)
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                except OSError:
                    pass                       # whoever asked was killed
            def log_message(self, *_): pass
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Told)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.uri = f"http://127.0.0.1:{self.server.server_address[1]}/out"

    def close(self):
        self.answers.set()
        self.server.shutdown()
        self.server.server_close()

class Logout:
    def test_a_kill_9_between_the_claim_and_the_answer_leaves_the_logout_to_be_told_again(self):
        listener = Listener()
        self.addCleanup(listener.close)
        with Provider(self.processes, self.engine, sections="[outgoing]\nnetworks = 127.0.0.0/8\n[logout]\ntimeout = 5s\n") as p:
            app, cookie = p.client("App", "--backchannel-logout", listener.uri), p.sign_in()
            hint = p.redeem(app, p.code(app, cookie)).json["id_token"]
            self.assertEqual(p.ask("GET", "/logout?" + encode(id_token_hint=hint), headers={"Cookie": cookie}).status, 200)
            until("the application is told", lambda: listener.heard)
            for n in range(self.processes):
                p.kill(n)
            listener.answers.set()
            for n in range(self.processes):
                p.start(n)
            deliveries = lambda: json.loads(p.tool("logout", "list", "--json"))
            until("it is told again", lambda: deliveries()[0]["state"] == "delivered", 40)
            self.assertEqual(deliveries()[0]["tries"], len(listener.heard))
            self.assertGreaterEqual(len(listener.heard), 2)
            self.assertEqual({t["sid"] for t in listener.heard}, {claims(hint)["sid"]})
            self.assertEqual(len({t["jti"] for t in listener.heard}), len(listener.heard), "each token is another one")
            self.assertEqual([r["outcome"] for r in p.audit("event = 'logout.delivered'")], ["ok"])

class Logout_on_postgresql(Logout, unittest.TestCase): engine, processes = "postgres", 2
class Logout_on_sqlite(Logout, unittest.TestCase): engine, processes = "sqlite", 1

class Redis(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.p = Provider(2, "postgres")
        cls.key = Client.jwks(cls.p.path("jwks.json"))
        cls.app = cls.p.client("App")
        cls.signer = cls.p.client("Signer", "--jwks", cls.p.path("jwks.json"), auth="private-key-jwt")

    @classmethod
    def tearDownClass(cls): cls.p.stop()

    def by_assertion(self, assertion, n=0):
        return self.p.ask("POST", "/token", self.signer.asserting(assertion), n=n)

    def test_a_client_assertion_is_good_once_also_after_a_flush_a_restart_and_on_the_other_process(self):
        assertion = self.signer.assertion(self.key, self.p.issuer)
        self.assertEqual(self.by_assertion(assertion).status, 200)
        self.assertEqual(self.by_assertion(assertion).error, "invalid_client")
        self.p.servers.redis_cli("flushall")
        for n in (0, 1):
            self.assertEqual(self.by_assertion(assertion, n).error, "invalid_client")
        self.p.servers.kill_redis()
        self.p.servers.start_redis()
        self.p.kill(1)
        self.p.start(1)
        for n in (0, 1):
            self.assertEqual(until("it answers", lambda: (a := self.by_assertion(assertion, n)).status != 503 and a, 10).error, "invalid_client")

    def test_a_login_under_way_is_lost_politely_when_redis_is_lost(self):
        b = check.Browser()
        self.assertIn("/login", b.open(f"{self.p.issuer}/account").url)
        page = b.open(f"{self.p.issuer}/account")
        self.p.servers.kill_redis()
        down = b.open(page.url)
        self.assertEqual(down.status, 503, down.text[:300])
        self.assertIn("<title>", down.text)
        self.p.servers.start_redis()
        gone = until("Redis is used again", lambda: (g := b.open(page.url)).status != 503 and g, 10)
        self.assertEqual(gone.status, 400)
        self.assertIn("Lần đăng nhập này đã kết thúc", gone.text)
        _, cert, key = self.p.citizen()
        page, b = self.p.try_token(cert, key, b)
        self.assertIsNotNone(self.p.session(b), "the next login of the same browser goes through")

    def test_a_redis_that_hangs_holds_up_nobody_who_does_not_need_it(self):
        cookie = self.p.sign_in()
        people, over = [self.p.citizen() for _ in range(8)], threading.Event()
        with stopped(self.p.servers.redis_pid()):
            logins = [threading.Thread(target=lambda: check.Browser().open(f"{self.p.issuer}/account"), daemon=True) for _ in people]
            for t in logins:
                t.start()
            while any(t.is_alive() for t in logins):
                began = time.monotonic()
                self.assertEqual(self.p.ask("POST", "/token", encode(grant_type="client_credentials"), self.app.basic).status, 200)
                self.assertEqual(self.p.ask("GET", "/.well-known/jwks.json").status, 200)
                self.assertLess(time.monotonic() - began, 0.5)
                over.wait(0.02)
            self.assertEqual(self.p.ask("GET", "/account").status, 503)
        until("Redis is used again", lambda: self.p.ask("GET", "/account").status == 303, 10)
        self.assertIsNotNone(self.p.sign_in(people[0]))
        self.assertEqual(self.p.authorize(self.app, cookie).status, 303)

    def test_a_full_redis_refuses_new_logins_and_hurts_no_token(self):
        cookie = self.p.sign_in()
        self.p.servers.redis_cli("config", "set", "maxmemory", "1")
        try:
            self.assertEqual(self.p.ask("GET", "/account").status, 503)
            self.assertEqual(self.p.redeem(self.app, self.p.code(self.app, cookie)).status, 200)
        finally:
            self.p.servers.redis_cli("config", "set", "maxmemory", "0")
        self.assertIsNotNone(self.p.sign_in())

    def test_values_of_the_wrong_type_in_redis_are_a_503_and_no_login(self):
        b = check.Browser()
        page = b.open(f"{self.p.issuer}/account")
        for key in self.p.servers.redis_cli("keys", "*").split():
            self.p.servers.redis_cli("del", key)
            self.p.servers.redis_cli("lpush", key, "x")
        self.assertEqual(b.open(page.url).status, 503)
        self.p.servers.redis_cli("flushall")
        self.assertEqual(b.open(page.url).status, 400)
        self.assertIsNotNone(self.p.sign_in())

    def test_tokens_keep_working_while_redis_is_down(self):
        cookie = self.p.sign_in()
        t = self.p.redeem(self.app, self.p.code(self.app, cookie, scope="openid offline_access")).json
        self.p.servers.kill_redis()
        try:
            for n in (0, 1):
                self.assertTrue(self.p.active(self.app, t["access_token"], n))
                self.assertEqual(self.p.ask("GET", "/userinfo", headers={"Authorization": "Bearer " + t["access_token"]}, n=n).status, 200)
                self.assertEqual(self.p.ask("POST", "/token", encode(grant_type="client_credentials"), self.app.basic, n).status, 200)
                t = self.p.refresh(self.app, t["refresh_token"], n).json
            again = self.p.redeem(self.app, self.p.code(self.app, cookie))
            self.assertEqual(again.status, 200, "somebody who is signed in needs no Redis")
        finally:
            self.p.servers.start_redis()
        until("Redis is used again", lambda: self.p.ask("GET", "/account").status == 303, 10)

if __name__ == "__main__":
    print("seed", SEED, flush=True)
    unittest.main(verbosity=2)
