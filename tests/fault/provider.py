"""Providers to be ill-treated: N processes of `motid serve` on one store in a folder of their own, with clients, trust, the simulators of
tests/sim, and people who sign in quickly. Everything ends with the test, by process id.

    with Provider(processes=2, engine="postgres") as p:
        app = p.client("App")
        session = p.sign_in()
        code = p.code(app, session)
        p.redeem(app, code).json["access_token"]
"""
import atexit, base64, contextlib, hashlib, http.client, json, os, re, secrets, select, shutil, signal, socket, sqlite3, subprocess, sys, tempfile, threading, time, urllib.parse

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path[:0] = [os.path.join(ROOT, "deploy", "demo"), os.path.join(ROOT, "tests", "sim")]
import check  # noqa: E402
import pki  # noqa: E402
from run import AP_ID, AP_PWD, OPERATORS  # noqa: E402
from cryptography.hazmat.primitives import hashes  # noqa: E402
from cryptography.hazmat.primitives.asymmetric import ec  # noqa: E402
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature  # noqa: E402

# The release build, and where there is none (tests/run --quick) the build whose tests these are.
BUILD = next((os.path.abspath(b) for b in (os.environ.get("MOTID_RELEASE"), os.environ.get("MOTID_THIS_BUILD")) if b and os.path.exists(os.path.join(b, "idp", "motid"))),
             os.path.join(ROOT, "build-release"))
MOTID, HAMMER = os.path.join(BUILD, "idp", "motid"), os.path.join(os.environ.get("MOTID_THIS_BUILD", BUILD), "tests", "fault", "hammer")
SEED = int(os.environ.get("MOTID_SEED", "0")) or secrets.randbelow(1 << 32)

signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))      # so that whoever ends a test ends what it has started

def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]

def until(what, ready, seconds=15, process=None, log=None):
    """Waits for ready() to be true, and gives what it gave."""
    end = time.monotonic() + seconds
    while not (got := ready()):
        if (process and process.poll() is not None) or time.monotonic() > end:
            text = open(log, errors="replace").read()[-3000:] if log and os.path.exists(log) else ""
            raise AssertionError(f"{what}: not within {seconds} s\n{text}")
        time.sleep(0.01)
    return got

def run(*argv, **more):
    p = subprocess.run(argv, capture_output=True, text=True, **more)
    if p.returncode:
        raise AssertionError(f"{' '.join(argv)}\n{p.stdout}{p.stderr}")
    return p.stdout

def b64url(raw): return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
def hash_of(text): return b64url(hashlib.sha256(text.encode()).digest())
def claims(token): return json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
def encode(**fields): return urllib.parse.urlencode(fields)

# ---- what is asked over HTTP ------------------------------------------------------------------------------------------------

class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def text(self): return self.body.decode("utf-8", "replace")
    @property
    def json(self): return json.loads(self.body)
    @property
    def location(self): return self.headers.get("Location", "")
    @property
    def asked(self): return dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(self.location).query))
    @property
    def error(self): return (self.json if self.body[:1] == b"{" else {}).get("error")

class Line:
    """One kept connection to one process. Nothing is asked twice: OSError and HTTPException fly, and mean "unknown"."""
    def __init__(self, port, timeout=20):
        self.port, self.timeout, self.c = port, timeout, None

    def stale(self):
        """Closed by the server while nothing was asked."""
        return self.c and self.c.sock and select.select([self.c.sock], [], [], 0)[0]

    def ask(self, method, target, body=None, headers=()):
        if self.stale():
            self.close()
        self.c = self.c or http.client.HTTPConnection("127.0.0.1", self.port, timeout=self.timeout)
        h = {"Content-Type": "application/x-www-form-urlencoded"} if body is not None else {}
        try:
            self.c.request(method, target, body, {**h, **dict(headers)})
            r = self.c.getresponse()
            a = Answer(r.status, r.headers, r.read())
        except (OSError, http.client.HTTPException):
            self.close()
            raise
        if r.will_close:
            self.close()
        return a

    def close(self):
        if self.c:
            self.c.close()
        self.c = None

class Client:
    """A registered application."""
    def __init__(self, about, redirect):
        self.id, self.secret, self.redirect = about["client_id"], about.get("client_secret", ""), redirect

    @property
    def basic(self):
        return {"Authorization": "Basic " + base64.b64encode(f"{self.id}:{self.secret}".encode()).decode()} if self.secret else {}

    @staticmethod
    def jwks(path):
        """A new key, whose public half is in that file."""
        key = ec.generate_private_key(ec.SECP256R1())
        n = key.public_key().public_numbers()
        with open(path, "w") as f:
            json.dump({"keys": [{"kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": "k1", "x": b64url(n.x.to_bytes(32, "big")), "y": b64url(n.y.to_bytes(32, "big"))}]}, f)
        return key

    def asserting(self, assertion):
        return encode(grant_type="client_credentials", client_assertion=assertion, client_assertion_type="urn:ietf:params:oauth:client-assertion-type:jwt-bearer")

    def assertion(self, key, aud, jti=None):
        """RFC 7523, ES256."""
        now = int(time.time())
        part = lambda o: b64url(json.dumps(o).encode())
        text = part({"alg": "ES256", "typ": "JWT"}) + "." + part({"iss": self.id, "sub": self.id, "aud": aud, "iat": now, "exp": now + 50, "jti": jti or secrets.token_hex(8)})
        r, s = decode_dss_signature(key.sign(text.encode(), ec.ECDSA(hashes.SHA256())))
        return text + "." + b64url(r.to_bytes(32, "big") + s.to_bytes(32, "big"))

# ---- servers beside it ---------------------------------------------------------------------------------------------------------

class Servers:
    """A PostgreSQL and a Redis for this test alone, from tests/with-servers, that may be killed and started again."""
    def __init__(self):
        self.p = subprocess.Popen([os.path.join(ROOT, "tests", "with-servers"), "sh", "-c", "env; echo; cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                  stderr=subprocess.DEVNULL, text=True, cwd=ROOT)
        env = {}
        for line in self.p.stdout:
            if line == "\n":
                break
            name, _, value = line.rstrip("\n").partition("=")
            env[name] = value
        self.pg, self.redis, self.ctl, self.data = (env[f"MOTID_TEST_{n}"] for n in ("PG", "REDIS", "PG_CTL", "PG_DIR"))
        self.socket, self.redis_again = self.redis.removeprefix("unix:"), None

    def stop(self):
        if self.redis_again:
            self.redis_again.kill()
            self.redis_again.wait()
        self.p.stdin.close()
        self.p.stdout.close()
        self.p.wait(30)

    def pg_pids(self):
        """The postmaster and every process that it has made."""
        with open(os.path.join(self.data, "postmaster.pid")) as f:
            first = int(f.readline())
        return [first] + [int(p) for p in subprocess.run(["pgrep", "-P", str(first)], capture_output=True, text=True).stdout.split()]

    def kill_pg(self):
        all_of_them = self.pg_pids()
        for pid in all_of_them:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        until("PostgreSQL is gone", lambda: not any(alive(p) for p in all_of_them))
        # whom nobody has waited for still has its number, and PostgreSQL would take it for alive
        for lock in (os.path.join(self.data, "postmaster.pid"), os.path.join(os.path.dirname(self.data), ".s.PGSQL.5432.lock")):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(lock)

    def start_pg(self):
        subprocess.run([*self.ctl.split(), "start"], check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)

    def redis_cli(self, *words): return run("redis-cli", "-s", self.socket, *words)

    def redis_pid(self): return int(re.search(r"process_id:(\d+)", self.redis_cli("info", "server"))[1])

    def kill_redis(self):
        pid = self.redis_pid()
        os.kill(pid, signal.SIGKILL)
        if self.redis_again:
            self.redis_again.wait()
        until("Redis is gone", lambda: not alive(pid))

    def start_redis(self):
        self.redis_again = subprocess.Popen(["redis-server", "--port", "0", "--unixsocket", self.socket, "--unixsocketperm", "777", "--save", "", "--appendonly", "no"],
                                            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, cwd=os.path.dirname(self.socket))
        until("Redis answers", lambda: subprocess.run(["redis-cli", "-s", self.socket, "ping"], capture_output=True, text=True).stdout.strip() == "PONG", process=self.redis_again)

@contextlib.contextmanager
def stopped(*pids):
    """They hang, for as long as this lasts."""
    for p in pids:
        os.kill(p, signal.SIGSTOP)
    try:
        yield
    finally:
        for p in reversed(pids):
            os.kill(p, signal.SIGCONT)

def alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as f:
            return f.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False

# ---- the provider ---------------------------------------------------------------------------------------------------------------

class Provider:
    def __init__(self, processes=1, engine="sqlite", settings="", sections="", operators=None, subscribers=0, methods="token", crl=True):
        """settings: more lines of [tokens]; sections: whole further sections. operators: {name: profile, "lines": further lines of each}.
        subscribers: as many for each operator, instead of the simulator's own."""
        self.engine, self.home, self.ports = engine, tempfile.mkdtemp(prefix="motid-fault-"), [free_port() for _ in range(processes)]
        self.issuer, self.processes, self.servers, self.lines, self.opened = f"http://localhost:{self.ports[0]}", [None] * processes, None, threading.local(), []
        self.sim, self.people = None, 0
        os.chmod(self.home, 0o711)
        atexit.register(self.stop)
        try:
            self.servers = Servers() if engine == "postgres" else None
            self.start_sim(subscribers)
            self.configure(settings, sections, operators, methods, crl)
            for n in range(processes):
                self.start(n)
        except BaseException:
            self.stop()
            raise

    def __enter__(self): return self
    def __exit__(self, *_): self.stop()
    def path(self, *parts): return os.path.join(self.home, *parts)

    def start_sim(self, subscribers):
        responder = free_port()
        self.hierarchy = pki.Hierarchy(self.path("pki"), f"http://127.0.0.1:{responder}")
        argv = [sys.executable, os.path.join(ROOT, "tests", "sim", "run.py"), "--dir", self.path("pki"), "--port-file", self.path("sim.json"), "--port", f"responder={responder}"]
        if subscribers:
            with open(self.path("people.json"), "w") as f:
                json.dump(self.subscribers(subscribers), f)
            argv += ["--subscribers", self.path("people.json")]
        with open(self.path("sim.log"), "wb") as log:
            self.sim_process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        until("the simulators answer", lambda: os.path.exists(self.path("sim.json")), 60, self.sim_process, self.path("sim.log"))
        with open(self.path("sim.json")) as f:
            self.sim = json.load(f)

    def subscribers(self, n):
        people = []
        for operator, prefix in (("song-hong", "+8490"), ("ha-long", "+8491")):
            for k in range(n):
                number, base = pki.cccd(22, 1980, False, len(people) + 1), f"people-{operator}-{k}"
                self.hierarchy.save(base, *self.hierarchy.leaf("public-sim", f"Người Thử {k}", ["CCCD:" + number], profile="sim"))
                people.append({"msisdn": f"{prefix}{k + 1:07}", "name": f"Người Thử {k}", "number": number, "operator": operator, "pin": "123456",
                               "cert": self.path("pki", base + ".pem"), "key": self.path("pki", base + ".key")})
        about = {name: {**o, "ap_id": AP_ID, "ap_pwd": AP_PWD, "mssp_uri": f"http://{name}.mssp.example.vn"} for name, o in OPERATORS.items()}
        return {"operators": about, "subscribers": people}

    def configure(self, settings, sections, operators, methods, crl):
        store = f"store = postgres:{self.servers.pg}\nshort_lived = redis:{self.servers.redis}\n" if self.servers else ""
        for n, port in enumerate(self.ports):
            text = f"[idp]\nissuer = {self.issuer}\nlisten = 127.0.0.1:{port}\nstate = state\n{store}"
            text += f"[tokens]\n{settings}\n[login]\nmethods = {methods}\nattempts_per_address = 10000000\n"
            text += "sim_per_person = 1000000\nsim_per_number = 1000000\nsim_per_client = 1000000\nsim_per_address = 1000000\nsim_timeout = 20s\n"
            if "[certificates]" not in sections:
                text += f"[certificates]\nstatus_timeout = 1s\ncrl_fallback = {'yes' if crl else 'no'}\n"
            with open(self.path(f"motid{n}.conf"), "w", encoding="utf-8") as f:
                f.write(text + sections + self.operators(operators))
        self.tool("migrate", "up")
        for ca, purposes in (("public-sim", "sim"), ("public-token", "token,tls")):
            about = self.sim["cas"][ca]
            fp = run("openssl", "x509", "-in", about["cert"], "-noout", "-fingerprint", "-sha256").split("=")[1].strip().replace(":", "").lower()
            self.tool("trust", "add", about["cert"], "--intermediate", "--for", purposes, "--ocsp", about["ocsp_url"], "--crl", about["crl_url"], "--fingerprint", fp)

    def operators(self, how):
        if not how:
            return ""
        text = ""
        for name, o in self.sim["operators"].items():
            text += f"\n[operator {name}]\nprofile = {how.get(name, o['dialect'])}\n" + how.get("lines", "")
            text += f"mssp_uri = {o['mssp_uri']}\nprefixes = {' '.join(o['prefixes'])}\n"
            text += "".join(f"{k} = {o[k]}\n" for k in ("signature_url", "status_url", "registration_url", "ap_id", "ap_password_file", "ca_file", "cert_file", "key_file"))
        return text

    def tool(self, *words): return run(MOTID, *words, "--config", self.path("motid0.conf"), cwd=self.home)

    # ---- processes

    def start(self, n=0):
        with open(self.path(f"motid{n}.log"), "ab") as log:
            p = subprocess.Popen([MOTID, "serve", "--config", self.path(f"motid{n}.conf")], stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.home)
        self.processes[n] = p
        def listens():
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", self.ports[n]), 1).close()
                return True
        until("motid listens", listens, 15, p, self.path(f"motid{n}.log"))

    def kill(self, n=0):
        self.processes[n].send_signal(signal.SIGKILL)
        self.processes[n].wait()

    def stop(self):
        atexit.unregister(self.stop)
        for line in self.opened:
            line.close()
        for p in self.processes:
            if p and p.poll() is None:
                p.terminate()
                try:
                    p.wait(20)
                except subprocess.TimeoutExpired:
                    p.kill()
                    p.wait()
        if getattr(self, "sim_process", None):
            self.sim_process.terminate()
            self.sim_process.wait()
        if self.servers:
            self.servers.stop()
        if os.environ.get("MOTID_KEEP"):
            print("kept:", self.home, file=sys.stderr)
        else:
            shutil.rmtree(self.home, ignore_errors=True)

    def log(self, n=0):
        with open(self.path(f"motid{n}.log"), errors="replace") as f:
            return f.read()

    # ---- what is in the store, seen from beside

    def sql(self, text):
        """Rows as lists of text."""
        if self.servers:
            out = run("psql", "-X", "-q", "-A", "-t", "-F", "\x1f", "-R", "\x1e", "-d", self.servers.pg, "-c", text)
            return [r.strip("\n").split("\x1f") for r in out.split("\x1e") if r.strip("\n")]
        with contextlib.closing(sqlite3.connect(f"file:{self.path('state', 'motid.db')}?mode=ro", uri=True, timeout=10)) as db:
            return [[str(c) for c in r] for r in db.execute(text)]

    def audit(self, where="1 = 1"):
        """detail is JSON or empty."""
        keys = ("id", "event", "outcome", "client_id", "why", "detail")
        return [dict(zip(keys, r)) for r in self.sql(f"SELECT {', '.join(keys)} FROM audit WHERE {where}")]

    # ---- applications and people

    def client(self, name, *more, redirect=None, auth="basic", scope="openid profile offline_access", grants=("authorization_code", "refresh_token", "client_credentials")):
        redirect = redirect or f"https://{name.lower()}.example.vn/callback"
        redirects = [redirect] if isinstance(redirect, str) else redirect
        words = [w for r in redirects for w in ("--redirect", r)] + [w for g in grants for w in ("--grant", g)]
        text = self.tool("client", "add", "--name", name, "--auth", auth, "--scope", scope, "--trusted", "--alg", "ES256", *words, *more, "--json")
        return Client(json.loads(text), redirects[0])

    def citizen(self, name="Nguyễn Văn Thử", ca="public-token", profile="public-auth"):
        """A fresh person with a certificate that nobody has asked about yet: (number, certificate, key)."""
        self.people += 1
        number = pki.cccd(1, 1990, True, 100 + self.people)
        return (number, *self.hierarchy.leaf(ca, name, ["CCCD:" + number], profile=profile))

    def web_eid(self, cert, key, nonce):
        h = lambda s: hashlib.sha256(s.encode()).digest()
        r, s = decode_dss_signature(key.sign(h(self.issuer) + h(nonce), ec.ECDSA(hashes.SHA256())))
        return json.dumps({"unverifiedCertificate": base64.b64encode(pki.cert_der(cert)).decode(), "algorithm": "ES256",
                           "signature": base64.b64encode(r.to_bytes(32, "big") + s.to_bytes(32, "big")).decode(), "format": "web-eid:1.0"})

    def try_token(self, cert, key, browser=None, start=None):
        """A login by USB token to its end: the page that it ends on, and the browser."""
        b = browser or check.Browser()
        page = b.open(start or f"{self.issuer}/account")
        if page.form("/login"):
            page = b.send(page, "/login", method="token")
        return b.send(page, "/login/token", token=self.web_eid(cert, key, page.data("data-nonce") or check.fail("no challenge", page))), b

    def sign_in(self, person=None):
        """The cookie header of a new session."""
        _, cert, key = person or self.citizen()
        page, b = self.try_token(cert, key)
        return self.session(b) or check.fail("no session", page)

    @staticmethod
    def cookies(browser):
        return [f"{c.name}={c.value}" for x in browser.opener.handlers if hasattr(x, "cookiejar") for c in x.cookiejar if c.value]

    @staticmethod
    def session(browser): return next((c for c in Provider.cookies(browser) if "session=" in c), None)

    # ---- asking

    def line(self, n=0):
        """This thread's kept connection to the n-th process."""
        lines = self.lines.__dict__.setdefault("of", {})
        if n not in lines:
            lines[n] = Line(self.ports[n])
            self.opened.append(lines[n])
        return lines[n]

    def ask(self, method, target, body=None, headers=(), n=0): return self.line(n).ask(method, target, body, headers)

    def authorize(self, client, cookie, n=0, **more):
        q = {"response_type": "code", "client_id": client.id, "redirect_uri": client.redirect, "scope": "openid", "state": "s", **more}
        return self.ask("GET", "/authorize?" + urllib.parse.urlencode({k: v for k, v in q.items() if v is not None}), headers={"Cookie": cookie}, n=n)

    def code(self, client, cookie, n=0, **more):
        """(code, verifier)"""
        verifier = secrets.token_urlsafe(32)
        a = self.authorize(client, cookie, n, code_challenge=hash_of(verifier), code_challenge_method="S256", **more)
        if "code" not in a.asked:
            raise AssertionError(f"no code: {a.status} {a.location} {a.text[:300]}")
        return a.asked["code"], verifier

    def redeeming(self, client, code): return encode(grant_type="authorization_code", code=code[0], code_verifier=code[1], redirect_uri=client.redirect)
    def token(self, client, body, n=0): return self.ask("POST", "/token", body, client.basic, n)
    def redeem(self, client, code, n=0): return self.token(client, self.redeeming(client, code), n)
    def refresh(self, client, token, n=0): return self.token(client, encode(grant_type="refresh_token", refresh_token=token), n)
    def revoke(self, client, token, n=0): return self.ask("POST", "/revoke", encode(token=token), client.basic, n)
    def active(self, client, token, n=0): return self.ask("POST", "/introspect", encode(token=token), client.basic, n).json["active"]

    # ---- the simulators

    def behave(self, where="responder_control", **how): check.ask(f"{self.sim[where]}/behave", how)
    def reset(self):
        for where in ("responder_control", "control"):
            check.ask(f"{self.sim[where]}/reset", {})

class Hammer:
    """Many hands on kept connections, over all processes of a provider, at the same moment: hit((path, body), ...) gives [(request, status, object)]."""
    def __init__(self, provider, hands, client=None, cookie=None):
        header = [f"Authorization: {client.basic['Authorization']}"] if client and client.secret else [f"Cookie: {cookie}"] if cookie else []
        self.p = subprocess.Popen([HAMMER, ",".join(map(str, provider.ports)), str(hands), *header], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def hit(self, *requests):
        self.p.stdin.write("\t".join(f"{path} {body}" for path, body in requests) + "\n")
        self.p.stdin.flush()
        return [tuple(r) for r in json.loads(self.p.stdout.readline())]

    def __enter__(self): return self
    def __exit__(self, *_):
        self.p.stdin.close()
        self.p.wait(60)
        self.p.stdout.close()
