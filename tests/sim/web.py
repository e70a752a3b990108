"""The small HTTP server under the simulators: threads that are cheap, TLS that handshakes in its own thread, connections that can
be broken on purpose."""
import http.server, json, select, socket, socketserver, ssl, struct, sys, threading, urllib.parse

threading.stack_size(512 * 1024)         # thousands of phones may be waited for at once
MAX_BODY = 256 * 1024

class Answer(Exception):
    """Leaves the handler with this answer."""
    def __init__(self, status, body=b"", kind="text/plain; charset=utf-8", headers=()):
        super().__init__(status)
        self.status, self.kind, self.headers = status, kind, dict(headers)
        self.body = body.encode() if isinstance(body, str) else body

class Hang_up(Exception):
    """The connection is broken with a RST."""

def as_json(value, status=200):
    return Answer(status, json.dumps(value, ensure_ascii=False, indent=1) + "\n", "application/json; charset=utf-8")

class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads, allow_reuse_address, request_queue_size = True, True, 1024
    closing = threading.Event()          # set once, when the process ends: ends every pause

    def __init__(self, site, host="127.0.0.1", port=0, tls=None):
        self.site, self.tls = site, tls
        super().__init__((host, port), Handler)
        self.port = self.server_address[1]

    def server_bind(self):
        socketserver.TCPServer.server_bind(self)   # without HTTPServer's look-up of our own name
        self.server_name, self.server_port = self.server_address[:2]

    def finish_request(self, request, address):
        request.settimeout(60)
        request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.tls:
            try:
                request = self.tls.wrap_socket(request, server_side=True)
            except (ssl.SSLError, OSError):
                return
        self.RequestHandlerClass(request, address, self)
        if self.tls:
            request.close()

    def handle_error(self, request, address):
        if not isinstance(sys.exc_info()[1], (OSError, Hang_up)):
            super().handle_error(request, address)

    def start(self):
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True).start()
        return self

    def stop(self):
        self.shutdown()
        self.server_close()

class Handler(http.server.BaseHTTPRequestHandler):
    """A site is an object with handle(request) that returns or raises an Answer."""
    protocol_version, server_version, sys_version = "HTTP/1.1", "motid-sim", ""

    def log_message(self, *a): pass

    def read_body(self):
        n = self.headers.get("Content-Length", "0")
        if self.headers.get("Transfer-Encoding") or not n.isdigit():
            self.close_connection = True
            raise Answer(411, "length required")
        if int(n) > MAX_BODY:
            self.close_connection = True
            raise Answer(413, "too large")
        return self.rfile.read(int(n))

    def serve(self):
        url = urllib.parse.urlsplit(self.path)
        self.route, self.query = url.path, dict(urllib.parse.parse_qsl(url.query))
        try:
            self.body = self.read_body() if self.command in ("POST", "PUT") else b""
            answer = self.server.site.handle(self)
        except Answer as a:
            answer = a
        except Hang_up:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True
            self.connection.close()
            return
        if answer is not None:
            self.send(answer)

    do_GET = do_POST = do_HEAD = serve

    def send(self, a):
        self.send_response(a.status)
        self.send_header("Content-Type", a.kind)
        self.send_header("Content-Length", str(len(a.body)))
        for k, v in {"Cache-Control": "no-store", **a.headers}.items():
            self.send_header(k, v)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(a.body)

    def json(self):
        try:
            value = json.loads(self.body or b"{}")
        except ValueError:
            raise as_json({"error": "not JSON"}, 400) from None
        if not isinstance(value, dict):
            raise as_json({"error": "not an object"}, 400)
        return value

    def pause(self, seconds):
        """Waits, but no longer than the process lives or the peer stays."""
        left = seconds
        while left > 0 and not self.server.closing.wait(min(left, 0.2)):
            left -= 0.2
            if self.gone():
                raise Hang_up

    def gone(self):
        look = select.poll()
        look.register(self.connection, select.POLLIN | select.POLLRDHUP)
        seen = look.poll(0)
        return bool(seen) and bool(seen[0][1] & (select.POLLRDHUP | select.POLLHUP | select.POLLERR))

    def stream(self, kind, start, filler, total, end=b"", gap=0):
        """A body in pieces of filler, until the peer has had enough."""
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(start) + total + len(end)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        self.wfile.write(start)
        sent = 0
        while sent < total:
            piece = filler[:total - sent]
            self.wfile.write(piece)
            sent += len(piece)
            if gap:
                self.pause(gap)
        self.wfile.write(end)

def tls_context(cert, key, client_ca=None):
    c = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    c.minimum_version = ssl.TLSVersion.TLSv1_2
    c.load_cert_chain(cert, key)
    if client_ca:
        c.verify_mode = ssl.CERT_REQUIRED
        c.load_verify_locations(client_ca)
    return c

class Behaviour:
    """Who misbehaves, how, and how many times more: key -> (mode, options). times absent: until changed."""
    def __init__(self, modes, default=""):
        self.modes, self.default, self.rules, self.lock = modes, default, {}, threading.Lock()

    def set(self, key, options):
        mode = options.get("mode", "")
        if mode not in self.modes:
            raise as_json({"error": f"no mode {mode}", "modes": sorted(self.modes)}, 400)
        with self.lock:
            self.rules[key] = dict(options)

    def take(self, *keys, place=""):
        """The first rule that applies here, counted down. A rule is for the place in "on", for "any", or for the default place."""
        with self.lock:
            for key in keys:
                rule = self.rules.get(key)
                if rule is None or rule.get("on", self.default) not in (place, "any"):
                    continue
                if "times" in rule:
                    if rule["times"] <= 0:
                        continue
                    rule["times"] -= 1
                return rule
        return {"mode": ""}

    def clear(self):
        with self.lock:
            self.rules.clear()
