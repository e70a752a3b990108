#!/usr/bin/env python3
"""Starts MotID on its embedded default with a demonstration around it: simulated operators and phones, a SoftHSM2 token behind
motid-token, nginx as the certificate host, and Apache with mod_auth_openidc as the application. Writes demo.json."""
import argparse, json, os, re, secrets, shutil, socket, subprocess, sys, time, urllib.request
from stop import started

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
SOFTHSM = next((p for p in ("/usr/lib/softhsm/libsofthsm2.so", "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
                            "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so") if os.path.exists(p)), None)
PIN, LABEL, TIMEOUT = "123456", "cong-dan", 20

def free_port(wanted):
    """The wanted one when it is free, else any: a second demonstration may run beside this one."""
    for port in (wanted, 0):
        with socket.socket() as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                s.bind(("127.0.0.1", port))
                return s.getsockname()[1]
            except OSError:
                continue
    sys.exit("no free port")

class Demo:
    def __init__(self, home, build):
        self.home, self.build = os.path.abspath(home), os.path.abspath(build)
        self.logs = self.path("log")
        os.makedirs(self.logs, exist_ok=True)
        self.motid, self.config = os.path.join(self.build, "idp", "motid"), self.path("motid.conf")
        kept = self.path("ports.json")
        if os.path.exists(kept):
            with open(kept) as f:
                wanted = json.load(f)
        else:
            wanted = {"motid": 28080, "app": 28081, "helper": 28990, "cert": 28443, "phone": 28082, "responder": 28083, "pinpad": 28084}
        self.ports = {n: free_port(p) for n, p in wanted.items()}
        if self.ports != wanted or not os.path.exists(kept):
            self.write("ports.json", json.dumps(self.ports))
        self.issuer = f"http://localhost:{self.ports['motid']}"
        self.app = f"http://localhost:{self.ports['app']}"
        self.cert_host = f"https://localhost:{self.ports['cert']}"

    def path(self, *parts): return os.path.join(self.home, *parts)

    def write(self, name, text, mode=0o644):
        with open(os.open(self.path(name), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "w", encoding="utf-8") as f:
            f.write(text)
        return self.path(name)

    def start(self, name, *argv, env=None):
        with open(os.path.join(self.logs, name + ".log"), "ab") as log:
            p = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={**os.environ, **(env or {})}, start_new_session=True)
        with open(self.path("pids"), "a") as f:
            f.write(f"{p.pid} {started(p.pid)}\n")
        return p

    def until(self, what, name, process, ready):
        end = time.monotonic() + TIMEOUT
        while not ready():
            if process.poll() is not None or time.monotonic() > end:
                with open(os.path.join(self.logs, name + ".log"), errors="replace") as f:
                    sys.exit(f"{what} did not start:\n{''.join(f.readlines()[-15:])}")
            time.sleep(0.01)

    def run(self, *argv, env=None, given=None):
        p = subprocess.run(argv, capture_output=True, text=True, env={**os.environ, **(env or {})}, input=given)
        if p.returncode:
            sys.exit(f"{' '.join(argv)}\n{p.stdout}{p.stderr}")
        return p.stdout

    def tool(self, *words): return self.run(self.motid, *words, "--config", self.config)

def answers(url):
    def ready():
        try:
            urllib.request.urlopen(url, timeout=1).close()
            return True
        except urllib.error.HTTPError:
            return True
        except OSError:
            return False
    return ready

def operators_config(sim):
    text = ""
    for name, o in sim["operators"].items():
        text += f"""
[operator {name}]
profile = {o['dialect']}
signature_url = {o['signature_url']}
status_url = {o['status_url']}
registration_url = {o['registration_url']}
ap_id = {o['ap_id']}
ap_password_file = {o['ap_password_file']}
mssp_uri = {o['mssp_uri']}
ca_file = {o['ca_file']}
cert_file = {o['cert_file']}
key_file = {o['key_file']}
prefixes = {' '.join(o['prefixes'])}
"""
    return text

def start_sim(d):
    port_file = d.path("sim.json")
    if os.path.exists(port_file):
        os.unlink(port_file)
    p = d.start("sim", sys.executable, os.path.join(ROOT, "tests/sim/run.py"), "--dir", d.path("pki"), "--port-file", port_file, "--stay",
                "--port", f"phone={d.ports['phone']}", "--port", f"responder={d.ports['responder']}")
    d.until("the simulated operator", "sim", p, lambda: os.path.exists(port_file))
    with open(port_file) as f:
        return json.load(f)

def configure(d, sim):
    d.write("motid.conf", f"""# The embedded default: SQLite and short-lived values in memory. Three lines are enough; the rest is the demonstration.
[idp]
issuer = {d.issuer}
listen = 127.0.0.1:{d.ports['motid']}
state = state
name = MotID tỉnh mẫu
cert_host = {d.cert_host}
certified = unix:{d.path('certified.sock')}

# The application is told when a session is over, and lives on this computer.
[outgoing]
networks = 127.0.0.0/8

[login]
methods = sim token tls
token_helper = http://127.0.0.1:{d.ports['helper']}
sim_per_person = 1000
sim_per_number = 1000
sim_per_address = 1000
{operators_config(sim)}""")

def trust(d, sim):
    """Each issuing authority for its own purpose: a SIM certificate is no USB token (SIGNATURES.md 3.1)."""
    have = d.tool("trust", "list", "--json")
    for ca, purposes in (("public-sim", "sim"), ("public-token", "token,tls"), ("gov-token", "token,tls")):
        about = sim["cas"][ca]
        fp = d.run("openssl", "x509", "-in", about["cert"], "-noout", "-fingerprint", "-sha256").split("=")[1].strip().replace(":", "").lower()
        if fp not in have:
            d.tool("trust", "add", about["cert"], "--intermediate", "--for", purposes, "--ocsp", about["ocsp_url"], "--crl", about["crl_url"],
                   "--fingerprint", fp)

def client(d):
    kept = d.path("client.json")
    if not os.path.exists(kept):
        text = d.tool("client", "add", "--id", "cong-dich-vu-cong", "--name", "Cổng dịch vụ công mẫu", "--redirect", f"{d.app}/app/callback",
                      "--post-logout", f"{d.app}/", "--backchannel-logout", f"{d.app}/app/callback?logout=backchannel", "--auth", "basic", "--grant", "authorization_code", "--grant", "refresh_token",
                      "--scope", "openid profile offline_access", "--json")
        d.write("client.json", text, 0o600)
    with open(kept) as f:
        return json.load(f)

def softhsm(d, sim):
    """The citizen's USB token: SoftHSM2 holding a key and its certificate."""
    env = {"SOFTHSM2_CONF": d.path("softhsm2.conf")}
    d.write("softhsm2.conf", f"directories.tokendir = {d.path('tokens')}\nobjectstore.backend = file\nlog.level = ERROR\n")
    if os.path.exists(d.path("tokens", "made")):
        return env
    shutil.rmtree(d.path("tokens"), ignore_errors=True)
    os.makedirs(d.path("tokens"), 0o700)
    files = next(t for t in sim["tokens"] if t["file"] == "token-person")
    d.run("softhsm2-util", "--init-token", "--free", "--label", LABEL, "--so-pin", secrets.token_hex(8), "--pin", PIN, env=env)
    d.run("softhsm2-util", "--import", files["key"], "--token", LABEL, "--label", "dang-nhap", "--id", "01", "--pin", PIN, env=env)
    d.run("openssl", "x509", "-in", files["cert"], "-outform", "DER", "-out", d.path("token.der"))
    d.run("pkcs11-tool", "--module", SOFTHSM, "--token-label", LABEL, "--login", "--pin", PIN, "--write-object", d.path("token.der"),
          "--type", "cert", "--id", "01", "--label", "dang-nhap", env=env)
    open(d.path("tokens", "made"), "w").close()
    return env

def start_helper(d, env):
    pad = f"http://127.0.0.1:{d.ports['pinpad']}"
    p = d.start("pinpad", sys.executable, os.path.join(HERE, "pinpad.py"), "serve", str(d.ports["pinpad"]))
    d.until("the PIN window", "pinpad", p, answers(pad + "/"))
    asks = d.write("ask-pin", f"#!/bin/sh\nexec {sys.executable} {HERE}/pinpad.py ask {d.ports['pinpad']} \"$@\"\n", 0o755)
    helper = os.path.join(d.build, "adapters", "token", "motid-token")
    p = d.start("motid-token", helper, "serve", "--module", SOFTHSM, "--token", LABEL, "--port", str(d.ports["helper"]), "--allow", d.issuer,
                "--ask", asks, env=env)
    d.until("motid-token", "motid-token", p, answers(f"http://127.0.0.1:{d.ports['helper']}/status"))

def apache_modules():
    folder = "/usr/lib/apache2/modules"
    wanted = ["mpm_event", "authn_core", "authz_core", "authz_user", "env", "proxy", "proxy_http", "auth_openidc"]
    return "\n".join(f"LoadModule {m}_module {folder}/mod_{m}.so" for m in wanted)

def start_app(d, c):
    """The application: whatever stands behind Apache and the directives of mod_auth_openidc that `motid client snippet` prints. Apache itself reads nothing of the
    checkout: started by root it serves as another user, who may not be let in there."""
    user = "User www-data\nGroup www-data\n" if os.getuid() == 0 else ""
    behind = free_port(0)
    p = d.start("application", sys.executable, os.path.join(HERE, "application.py"), str(behind))
    d.until("the application", "application", p, answers(f"http://127.0.0.1:{behind}/"))
    snippet = d.tool("client", "snippet", c["client_id"], "--for", "apache", "--secret", c["client_secret"])
    d.write("apache.conf", f"""ServerRoot {d.home}
ServerName localhost
Listen 127.0.0.1:{d.ports['app']}
PidFile {d.home}/apache.pid
ErrorLog {d.logs}/apache-error.log
{apache_modules()}
{user}Mutex posixsem
DocumentRoot /usr/share
<Directory />
  AllowOverride None
</Directory>
StartServers 1
ProxyPass /app/callback !
ProxyPass / http://127.0.0.1:{behind}/
{snippet}""", 0o600)
    p = d.start("apache", "/usr/sbin/apache2", "-f", d.path("apache.conf"), "-DFOREGROUND")
    d.until("Apache", "apache", p, answers(d.app + "/"))

def start_cert_host(d, sim):
    """nginx on a host of its own asks the browser for a certificate and hands it on over a unix socket (RFC 9440)."""
    user = "user root;\n" if os.getuid() == 0 else ""      # of the demonstration: its socket may lie where www-data is not let in
    with open(os.path.join(ROOT, "deploy/nginx/certificate-host.conf")) as f:
        server = f.read()
    for name, value in (("PORT", str(d.ports["cert"])), ("CERT", sim["tls"]["cert"]), ("KEY", sim["tls"]["key"]), ("SOCKET", d.path("certified.sock"))):
        server = server.replace(f"@{name}@", value)
    temp = d.path("nginx")
    os.makedirs(temp, exist_ok=True)
    temps = "".join(f"  {t}_temp_path {temp};\n" for t in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    d.write("nginx.conf", f"{user}daemon off;\nworker_processes 1;\npid {d.path('nginx.pid')};\nerror_log {d.logs}/nginx-error.log;\n"
            f"events {{}}\nhttp {{\n  access_log off;\n{temps}{server}}}\n")
    p = d.start("nginx", "/usr/sbin/nginx", "-p", d.home, "-c", d.path("nginx.conf"), "-e", os.path.join(d.logs, "nginx-error.log"))
    def ready():
        with socket.socket() as s:
            return s.connect_ex(("127.0.0.1", d.ports["cert"])) == 0
    d.until("nginx", "nginx", p, ready)

def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--home", required=True)
    p.add_argument("--build", required=True)
    a = p.parse_args()
    if not SOFTHSM:
        sys.exit("SoftHSM2 is not installed")
    began = time.monotonic()
    if os.path.exists(os.path.join(a.home, "pids")):
        subprocess.run([sys.executable, os.path.join(HERE, "stop.py"), os.path.join(a.home, "pids")], check=True)
    d = Demo(a.home, a.build)
    sim = start_sim(d)
    configure(d, sim)
    d.tool("check-config")
    d.tool("migrate", "up")
    trust(d, sim)
    c = client(d)
    server = d.start("motid", d.motid, "serve", "--config", d.config)
    env = softhsm(d, sim)
    d.until("MotID", "motid", server, answers(d.issuer + "/.well-known/openid-configuration"))
    start_helper(d, env)
    start_cert_host(d, sim)
    start_app(d, c)
    d.write("demo.json", json.dumps({"issuer": d.issuer, "app": d.app, "cert_host": d.cert_host, "helper": f"http://127.0.0.1:{d.ports['helper']}",
            "pinpad": f"http://127.0.0.1:{d.ports['pinpad']}", "pin": PIN, "config": d.config, "motid": d.motid, "home": d.home,
            "started_in": round(time.monotonic() - began, 2), "began": time.time() - (time.monotonic() - began), "sim": sim}, ensure_ascii=False, indent=1))

if __name__ == "__main__":
    main()
