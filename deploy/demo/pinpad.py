#!/usr/bin/env python3
"""The PIN window of the demonstration, as a page: what pinentry is on a citizen's desktop.

    pinpad.py serve PORT                     the page http://127.0.0.1:PORT/
    pinpad.py ask PORT SITE TOKEN REMARK     shows the question there, waits for the answer, prints the PIN (motid-token --ask)
"""
import html, json, sys, threading, urllib.parse, urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

STYLE = """body{font:1.1rem/1.6 system-ui,sans-serif;margin:0;background:#e9edf3;color:#14213d}main{max-width:24rem;margin:12vh auto;background:#fff;
padding:2rem;border-radius:12px;box-shadow:0 8px 30px #14213d22}h1{font-size:1.25rem;margin:0 0 1rem}input{font:inherit;width:100%;box-sizing:border-box;padding:.6rem;
border:2px solid #5b6b86;border-radius:8px;letter-spacing:.3em}button{font:inherit;padding:.7rem 1.2rem;border-radius:8px;border:2px solid #0b4f9c;margin:1rem .5rem 0 0;
background:#0b4f9c;color:#fff}button.no{background:#fff;color:#0b4f9c}code{background:#eef2f8;padding:.1em .4em;border-radius:4px;word-break:break-all}"""
lock = threading.Condition()
question, answer = None, None

def page(body, refresh=False):
    return f"""<!doctype html><html lang="vi"><meta charset="utf-8"><meta name="viewport" content="width=device-width">{'<meta http-equiv="refresh" content="1">' if refresh else ''}
<title>motid-token</title><style>{STYLE}</style><main>{body}</main></html>""".encode()

class Pinpad(BaseHTTPRequestHandler):
    def log_message(self, *_): pass

    def reply(self, body, kind="text/html; charset=utf-8", status=200):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        with lock:
            q = question
        if not q:
            return self.reply(page("<h1>USB token</h1><p>Chưa có yêu cầu nào. Trang tự làm mới.<br><small>Nothing is being asked. This page refreshes itself.</small></p>", True))
        e = {k: html.escape(v) for k, v in q.items()}
        self.reply(page(f"""<h1>Ký bằng USB token</h1><p>Trang <code>{e['site']}</code> đề nghị đăng nhập bằng token <b>{e['token']}</b>.</p><p>{e['remark']}</p>
<form method="post" action="/answer"><label for="pin">Mã PIN</label><input id="pin" name="pin" type="password" inputmode="numeric" autocomplete="off" autofocus maxlength="64">
<button name="do" value="sign">Ký / Sign</button><button class="no" name="do" value="refuse">Từ chối / Refuse</button></form>"""))

    def do_POST(self):
        global question, answer
        text = self.rfile.read(min(int(self.headers.get("Content-Length") or 0), 4096)).decode()
        if self.path == "/ask":
            with lock:
                question, answer = json.loads(text), None
                lock.wait_for(lambda: answer is not None, 110)
                pin, question, answer = answer or "", None, None
            return self.reply(json.dumps({"pin": pin}).encode(), "application/json")
        if self.path == "/answer":
            # a form of this very page, or a test that names itself: never another site's
            if self.headers.get("Origin") not in (None, f"http://{self.headers.get('Host')}"):
                return self.reply(b"refused", "text/plain", 403)
            f = dict(urllib.parse.parse_qsl(text))
            with lock:
                if question:
                    answer = f.get("pin", "") if f.get("do") == "sign" else ""
                    lock.notify_all()
            return self.reply(page("<h1>Xong</h1><p>Trở lại cửa sổ đăng nhập.<br><small>Done. Go back to the sign-in page.</small></p>"))
        self.reply(b"nothing here", "text/plain", 404)

def main():
    port = int(sys.argv[2])
    if sys.argv[1] == "serve":
        ThreadingHTTPServer(("127.0.0.1", port), Pinpad).serve_forever()
    site, token, remark = sys.argv[3:6]
    ask = urllib.request.Request(f"http://127.0.0.1:{port}/ask", json.dumps({"site": site, "token": token, "remark": remark}).encode())
    pin = json.load(urllib.request.urlopen(ask, timeout=120))["pin"]
    if not pin:
        sys.exit(1)
    print(pin)

if __name__ == "__main__":
    main()
