"""Logins on the phone that wait, all at once: an operator whose phones are silent, and the server's threads and memory while it is asked.

    ciba_waiting(bench, how_many) -> {"scenario", "waiting", "threads_before", "threads", "mb_before", "mb", "per_second"}
"""
import base64, http.client, http.server, json, re, socketserver, subprocess, sys, threading, time, urllib.parse

SILENT = """<env:Envelope xmlns:env="http://www.w3.org/2003/05/soap-envelope" xmlns:mss="http://uri.etsi.org/TS102204/v1.1.2#"><env:Body>
<{kind}Response><mss:{kind}Resp MajorVersion="1" MinorVersion="1"{trans}><mss:AP_Info AP_ID="a" AP_TransID="{ap}" AP_PWD="-" Instant="i"/>
<mss:MobileUser><mss:MSISDN>{msisdn}</mss:MSISDN></mss:MobileUser><mss:Status><mss:StatusCode Value="{code}"/></mss:Status></mss:{kind}Resp></{kind}Response></env:Body></env:Envelope>"""

class Operator(http.server.BaseHTTPRequestHandler):
    """Takes every request, and says that the phone has not answered whenever it is asked."""
    protocol_version, asked, lock = "HTTP/1.1", set(), threading.Lock()

    def do_POST(self):
        text = self.rfile.read(int(self.headers["Content-Length"])).decode()
        ap, msisdn = (re.search(p, text)[1] for p in (r'AP_TransID="([^"]*)"', r"<mss:MSISDN>([^<]*)<"))
        begins = "MSS_SignatureReq" in text
        if begins:
            with Operator.lock:
                Operator.asked.add(msisdn)
        kind, code, trans = ("MSS_Signature", "100", f' MSSP_TransID="T{msisdn[1:]}"') if begins else ("MSS_Status", "504", "")
        body = SILENT.format(kind=kind, code=code, trans=trans, ap=ap, msisdn=msisdn).replace("MSS_StatusResponse", "MSS_StatusQueryResponse").encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/soap+xml")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass

class Door(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads, request_queue_size = True, 1024

def status(pid):
    with open(f"/proc/{pid}/status") as f:
        text = f.read()
    return int(re.search(r"Threads:\s+(\d+)", text)[1]), int(re.search(r"VmRSS:\s+(\d+)", text)[1]) / 1024

def settings(port):
    return (f"[operator silent]\nprofile = etsi-cms\nsignature_url = http://127.0.0.1:{port}/sign\nstatus_url = http://127.0.0.1:{port}/status\n"
            "ap_id = a\nmssp_uri = http://mssp.example.vn\nprefixes = +849\nopen_limit = 100000\nper_minute = 1000000\n")

def ciba_waiting(b, many):
    """b: a Bench whose store is made; it is stopped, and is started here with an operator."""
    door = Door(("127.0.0.1", 0), Operator)
    threading.Thread(target=door.serve_forever, daemon=True).start()
    client = json.loads(b.tool("client", "add", "--name", "Counter", "--auth", "basic", "--grant", "urn:openid:params:grant-type:ciba", "--ciba", "poll", "--scope", "openid", "--json"))
    with open(b.config) as f:
        text = f.read().replace("methods = token\n", "methods = token sim\nsim_timeout = 180s\n").replace("[tokens]\n", "[tokens]\nciba_lives = 10m\n")
    with open(b.config, "w") as f:
        f.write(text + settings(door.server_port))
    b.start()
    basic = base64.b64encode(f"{client['client_id']}:{client['client_secret']}".encode()).decode()
    head = {"Authorization": f"Basic {basic}", "Content-Type": "application/x-www-form-urlencoded"}
    c = http.client.HTTPConnection("127.0.0.1", b.port)
    def ask(path, **form):
        c.request("POST", path, urllib.parse.urlencode(form), head)
        r = c.getresponse()
        return r.status, json.loads(r.read())
    ask("/token", grant_type="urn:openid:params:grant-type:ciba", auth_req_id="none")      # every thread that serves is there
    before, began, ids = status(b.server.pid), time.monotonic(), []
    for n in range(many):
        code, said = ask("/bc-authorize", scope="openid", binding_message=f"Quay {n}", login_hint=f"tel:+849{n:08d};number=001099{n:06d}")
        if code != 200:
            sys.exit(f"ciba_waiting: {n}: {code} {said}")
        ids.append(said["auth_req_id"])
    took = time.monotonic() - began
    end = time.monotonic() + 30
    while len(Operator.asked) < many and time.monotonic() < end:
        time.sleep(0.1)
    during = status(b.server.pid)
    wrong = [said for i in ids[:: max(1, many // 100)] if (said := ask("/token", grant_type="urn:openid:params:grant-type:ciba", auth_req_id=i))[1].get("error") != "authorization_pending"]
    b.stop()
    door.shutdown()
    if len(Operator.asked) < many or wrong or during[0] > before[0]:
        sys.exit(f"ciba_waiting: {len(Operator.asked)} phones asked, {len(wrong)} wrong answers {wrong[:1]}, {before[0]} threads became {during[0]}")
    return {"scenario": "ciba_waiting", "waiting": many, "threads_before": before[0], "threads": during[0], "mb_before": before[1], "mb": during[1], "per_second": many / took}
