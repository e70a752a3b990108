#!/usr/bin/env python3
"""The sample application itself: two pages behind Apache, which tells it who signed in by the headers OIDC_CLAIM_*.

    application.py PORT
"""
import html, os, re, sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SITE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "site")
PAGES = {"/": ("index.html", "text/html; charset=utf-8"), "/app/": ("app.html", "text/html; charset=utf-8"), "/site.css": ("site.css", "text/css")}

class Application(BaseHTTPRequestHandler):
    def log_message(self, *_): pass

    def claim(self, name):
        """Apache hands UTF-8 on; http.server reads headers as Latin-1."""
        value = self.headers.get("OIDC_CLAIM_" + name, "(none)")
        return html.escape(value.encode("latin-1").decode("utf-8", "replace"))

    def do_GET(self):
        page = PAGES.get(self.path.split("?")[0])
        if not page:
            self.send_error(404)
            return
        with open(os.path.join(SITE, page[0]), encoding="utf-8") as f:
            body = re.sub(r"{{(\w+)}}", lambda m: self.claim(m[1]), f.read()).encode()
        self.send_response(200)
        self.send_header("Content-Type", page[1])
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(body)

if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Application).serve_forever()
