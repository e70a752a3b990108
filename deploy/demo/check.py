#!/usr/bin/env python3
"""Makes both logins of the demonstration as a browser without JavaScript would, and prints what the application received.
Fails loudly when a step does not come or a claim is missing."""
import html.parser, http.cookiejar, json, re, sys, threading, time, urllib.error, urllib.parse, urllib.request

def fail(step, page=None):
    text = f"\nFAILED: {step}"
    if page:
        text += f"\nat {page.url} (HTTP {page.status})\n" + re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", page.text))[:600]
    sys.exit(text)

class Page(html.parser.HTMLParser):
    """A page as far as a robot cares: its forms, links and claims."""
    def __init__(self, url, status, text):
        super().__init__()
        self.url, self.status, self.text, self.forms, self.links, self.claims, self._claim, self.attrs = url, status, text, [], [], {}, None, []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        a = dict(attrs)
        self.attrs.append(a)
        if tag == "form":
            self.forms.append({"action": a.get("action", ""), "fields": {}, "buttons": []})
        elif tag in ("input", "textarea", "button") and self.forms and a.get("name"):
            if tag == "button" or a.get("type") == "submit":
                self.forms[-1]["buttons"].append((a["name"], a.get("value", "")))
            else:
                self.forms[-1]["fields"][a["name"]] = a.get("value", "")
        elif tag == "a" and a.get("href"):
            self.links.append(a["href"])
        if a.get("data-claim"):
            self._claim = a["data-claim"]

    def handle_data(self, data):
        if self._claim:
            self.claims[self._claim], self._claim = data.strip(), None

    def form(self, path):
        """The form that goes to this path, or None."""
        return next((f for f in self.forms if urllib.parse.urlsplit(f["action"]).path == path), None)

    def data(self, name):
        return next((a[name] for a in self.attrs if a.get(name)), None)

class Browser:
    def __init__(self):
        self.opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()))

    def open(self, url, fields=None):
        body = urllib.parse.urlencode(fields).encode() if fields is not None else None
        request = urllib.request.Request(url, body, {"Accept-Language": "vi", "Accept": "text/html"})
        try:
            r = self.opener.open(request, timeout=30)
        except urllib.error.HTTPError as e:
            r = e
        return Page(r.geturl(), r.status, r.read().decode("utf-8", "replace"))

    def redirect(self, url):
        """Where this address sends the browser, without going there."""
        class Stay(urllib.request.HTTPRedirectHandler):
            def redirect_request(self, *_): return None
        jar = next(h for h in self.opener.handlers if isinstance(h, urllib.request.HTTPCookieProcessor))
        try:
            return urllib.request.build_opener(jar, Stay()).open(url, timeout=30).geturl()
        except urllib.error.HTTPError as e:
            return e.headers.get("Location")

    def send(self, page, path, **more):
        f = page.form(path) or fail(f"the page has no form for {path}", page)
        return self.open(urllib.parse.urljoin(page.url, f["action"]), {**f["fields"], **more})

def ask(url, value=None, headers=None):
    body = json.dumps(value).encode() if value is not None else None
    with urllib.request.urlopen(urllib.request.Request(url, body, {"Content-Type": "application/json", **(headers or {})}), timeout=30) as r:
        return json.load(r)

def to_method(browser, page, method):
    return browser.send(page, "/login", method=method)

def to_claims(browser, page, method):
    if page.form("/login/consent"):
        page = browser.send(page, "/login/consent", decision="allow")
    if not page.claims.get("sub"):
        fail(f"no claims reached the application after the login by {method}", page)
    return page.claims

def confirm(demo, subscriber):
    """What the person does on the phone, once the message is there."""
    try:
        ask(f"{demo['sim']['control']}/phone/{urllib.parse.quote(subscriber['msisdn'])}/confirm", {"pin": subscriber["pin"], "wait": 15})
    except urllib.error.HTTPError as e:
        fail(f"the phone showed nothing to confirm: {e.read().decode()}")

def sign_by_sim(browser, page, demo, subscriber):
    page = to_method(browser, page, "sim")
    page = browser.send(page, "/login/sim", phone="0" + subscriber["msisdn"][3:], number=subscriber["number"])
    page = browser.send(page, "/login/sim/send")
    wait, path = page.url, "/login/sim/wait"
    if urllib.parse.urlsplit(wait).path != path:
        fail("the phone was not asked", page)
    confirm(demo, subscriber)
    end = time.monotonic() + 20
    while urllib.parse.urlsplit(page.url).path == path and page.data("data-poll"):
        if time.monotonic() > end:
            fail("the phone's signature did not arrive", page)
        time.sleep(0.05)
        page = browser.open(wait)
    return page

def sign_by_token(browser, page, demo):
    page = to_method(browser, page, "token")
    nonce = page.data("data-nonce") or fail("the token page has no challenge", page)
    done = threading.Event()
    threading.Thread(target=type_pin, args=(demo, done), daemon=True).start()
    try:
        token = ask(demo["helper"] + "/sign", {"nonce": nonce, "lang": "vi"}, {"Origin": demo["issuer"]})
    except urllib.error.HTTPError as e:
        fail(f"motid-token answered {e.code}: {e.read().decode()}")
    finally:
        done.set()
    return browser.send(page, "/login/token", token=json.dumps(token))

def type_pin(demo, done):
    """What the person does in the PIN window, as soon as it asks."""
    while not done.wait(0.05):
        urllib.request.urlopen(demo["pinpad"] + "/answer", urllib.parse.urlencode({"do": "sign", "pin": demo["pin"]}).encode(), timeout=5).close()

def by_sim(demo, subscriber, browser=None):
    browser = browser or Browser()
    return to_claims(browser, sign_by_sim(browser, browser.open(demo["app"] + "/app/"), demo, subscriber), "SIM")

def by_token(demo, browser=None):
    browser = browser or Browser()
    return to_claims(browser, sign_by_token(browser, browser.open(demo["app"] + "/app/"), demo), "USB token")

def show(what, claims):
    print(f"\n{what}\nthe application received:")
    for name in ("sub", "name", "acr", "amr", "iss", "aud", "sid"):
        if claims.get(name, "(none)") != "(none)":
            print(f"  {name:<10} {claims[name]}")

def main():
    with open(sys.argv[1], encoding="utf-8") as f:
        demo = json.load(f)
    first = None
    for operator in ("song-hong", "ha-long"):
        s = next(s for s in demo["sim"]["subscribers"] if s["operator"] == operator)
        show(f"login by SIM signature: {s['name']}, operator {operator}, dialect {demo['sim']['operators'][operator]['dialect']}", by_sim(demo, s))
        first = first or time.time() - demo["began"]
    show("login by USB token (SoftHSM2 behind motid-token)", by_token(demo))
    print(f"\nstarted in {demo['started_in']:.1f} s; from start to the first login {first:.1f} s")
    if first > 10 and "--unhurried" not in sys.argv:
        fail("the first login came later than 10 seconds after the start")
    print("both logins arrived")

if __name__ == "__main__":
    main()
