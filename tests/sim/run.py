#!/usr/bin/env python3
"""Runs the simulated operators, phones and certificate authorities in one process.

    run.py --dir DIR [--port-file FILE]
"""
import argparse, ctypes, functools, json, os, signal, sys, threading
import mssp, pki, web
from responder import Responder

AP_ID, AP_PWD = "http://ap.example.vn/motid", "mat-khau-mau"
OPERATORS = {
    "song-hong": {"label": "Sông Hồng", "dialect": "vn-pkcs1", "prefixes": ["+8490"]},
    "ha-long":   {"label": "Hạ Long", "dialect": "etsi-cms", "prefixes": ["+8491"]},
}
# Invented people; numbers by the rules of Decree 137/2015 Art. 13.
SUBSCRIBERS = [
    ("+84900000001", "Nguyễn Thị Ánh Đào",  pki.cccd(1, 1999, True, 1),   "song-hong", "rsa2048"),
    ("+84900000002", "Trần Văn Bình",       pki.cccd(22, 1985, False, 2), "song-hong", "rsa2048"),
    ("+84910000001", "Lê Hoàng Minh",       pki.cccd(79, 2002, False, 3), "ha-long",   "p256"),
    ("+84910000002", "Phạm Thị Hồng Ngọc",  pki.cccd(48, 1990, True, 4),  "ha-long",   "rsa2048"),
]
# file, CA, name, UIDs, profile, key
TOKENS = [
    ("token-person",       "public-token", "Nguyễn Thị Ánh Đào", ["CCCD:" + pki.cccd(1, 1999, True, 1)], "public-auth", "p256"),
    ("token-rsa",          "public-token", "Trần Văn Bình", ["CCCD:" + pki.cccd(22, 1985, False, 2)], "public-auth", "rsa2048"),
    ("token-organisation", "public-token", "CÔNG TY TNHH MẪU HẠ LONG", ["MST:" + pki.mst("570000001")], "public", "rsa2048"),
    ("token-director",     "public-token", "Phạm Thị Hồng Ngọc", ["CCCD:" + pki.cccd(48, 1990, True, 4), "MST:" + pki.mst("570000001")], "public-auth", "p256"),
    ("token-officer",      "gov-token", "Vũ Quốc Khánh", [], "government", "p256"),
]
PIN = "123456"

def die_with_parent(parent):
    """Linux: a SIGTERM when the process that started us ends, however it ends."""
    ctypes.CDLL(None, use_errno=True).prctl(1, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit(0)

def make_once(h, base, make):
    path = h.path(base)
    if not (os.path.exists(path + ".pem") and os.path.exists(path + ".key")):
        h.save(base, *make())
    return {"cert": path + ".pem", "key": path + ".key"}

def make_people(h):
    """Writes people/ and subscribers.json when missing."""
    subscribers = []
    for msisdn, name, number, operator, key in SUBSCRIBERS:
        files = make_once(h, f"people/sim-{msisdn[1:]}", lambda: h.leaf("public-sim", name, ["CCCD:" + number], key, "sim"))
        subscribers.append({"msisdn": msisdn, "name": name, "number": number, "operator": operator, "pin": PIN, **files})
    tokens = [{"file": base, "name": name, "uids": uids, "ca": ca,
               **make_once(h, f"people/{base}", lambda: h.leaf(ca, name, uids, key, profile))} for base, ca, name, uids, profile, key in TOKENS]
    operators = {n: {**o, "ap_id": AP_ID, "ap_pwd": AP_PWD, "mssp_uri": f"http://{n}.mssp.example.vn"} for n, o in OPERATORS.items()}
    return {"operators": operators, "subscribers": subscribers}, tokens

def describe(h, config, tokens, ports, people):
    """What the port file says: all that a client's configuration needs."""
    responder, control = f"http://127.0.0.1:{ports['responder']}", f"http://127.0.0.1:{ports['phone']}"
    operators = {}
    for n, o in config["operators"].items():
        tls, plain = f"https://localhost:{ports[n]}/soap/services/", f"http://127.0.0.1:{ports[n + ' plain']}/soap/services/"
        operators[n] = {**o, "url": tls, "plain_url": plain, "signature_url": tls + "MSS_SignaturePort", "status_url": tls + "MSS_StatusQueryPort",
                        "registration_url": tls + "MSS_RegistrationPort", "ap_password_file": h.path("ap-password"),
                        "ca_file": h.path("tls-root.pem"), "cert_file": h.path("tls-client.pem"), "key_file": h.path("tls-client.key")}
    cas = {ca: {"cert": h.path(f"{ca}.pem"), "issuer": pki.TREES[ca][0], "ocsp_url": f"{responder}/ocsp/{ca}", "crl_url": f"{responder}/crl/{ca}.crl",
                "ca_url": f"{responder}/ca/{ca}.cer", "crl_file": h.path(f"{ca}.crl")} for ca in pki.TREES}
    return {"pid": os.getpid(), "dir": os.path.abspath(h.folder), "phone": f"{control}/phone", "control": f"{control}/control",
            "responder": responder, "responder_control": f"{responder}/control", "operators": operators, "cas": cas,
            "tls": {"cert": h.path("tls-server.pem"), "key": h.path("tls-server.key"), "ca": h.path("tls-root.pem")},
            "subscribers": people, "tokens": tokens}

class World:
    """Everything, running. stop() ends it."""
    def __init__(self, folder, ports=None, subscribers=None):
        ports, folder = ports or {}, os.path.abspath(folder)
        web.Server.closing.clear()
        door = web.Server(None, port=ports.get("responder", 0))
        self.hierarchy = h = pki.Hierarchy(folder, f"http://127.0.0.1:{door.port}")
        self.config, tokens = make_people(h)
        if subscribers:
            self.config = json.loads(pki.read(subscribers))
        pki.write(h.path("ap-password"), AP_PWD.encode(), 0o600)
        self.responder = door.site = Responder(h)
        @functools.cache
        def load_pair(cert, key): return pki.load_cert(h.path(cert)), pki.load_key(h.path(key))
        self.network = mssp.Network(self.config, h, lambda s: load_pair(s["cert"], s["key"]) if s.get("cert") else (None, None))
        tls = web.tls_context(h.path("tls-server.pem"), h.path("tls-server.key"), h.path("tls-root.pem"))
        self.servers = {"responder": door, "phone": web.Server(mssp.Phone_site(self.network), port=ports.get("phone", 0))}
        for n, operator in self.network.operators.items():
            site = mssp.Soap_site(self.network, operator)
            self.servers[n] = web.Server(site, port=ports.get(n, 0), tls=tls)
            self.servers[n + " plain"] = web.Server(site, port=ports.get(n + " plain", 0))
        for s in self.servers.values():
            s.start()
        self.about = describe(h, self.config, tokens, {n: s.port for n, s in self.servers.items()}, self.config["subscribers"])

    def stop(self):
        web.Server.closing.set()
        for s in self.servers.values():
            s.stop()

def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--dir", required=True, help="certificates and keys: made when missing")
    p.add_argument("--port-file", help="JSON: ports, addresses and files; appears when everything answers")
    p.add_argument("--port", action="append", default=[], metavar="NAME=N", help="fixed port: phone, responder, OPERATOR or 'OPERATOR plain'")
    p.add_argument("--subscribers", help="JSON of operators and subscribers instead of the demonstration's")
    p.add_argument("--auto", action="store_true", help="phones confirm by themselves")
    p.add_argument("--stay", action="store_true", help="outlive the process that started this one")
    return p.parse_args()

def main():
    parent, a = os.getppid(), arguments()
    end = threading.Event()
    for s in (signal.SIGTERM, signal.SIGINT):
        signal.signal(s, lambda *_: end.set())
    if not a.stay:
        die_with_parent(parent)
    world = World(a.dir, {n: int(v) for n, _, v in (x.partition("=") for x in a.port)}, a.subscribers)
    if a.auto:
        world.network.set_auto("*", {"pin": True})
    about = json.dumps(world.about, ensure_ascii=False, indent=1)
    if a.port_file:
        pki.write(a.port_file, about.encode())
    print(f"phones: {world.about['phone']}", flush=True)
    try:
        end.wait()
    finally:
        world.stop()
        if a.port_file and os.path.exists(a.port_file):
            os.unlink(a.port_file)

if __name__ == "__main__":
    main()
