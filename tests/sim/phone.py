"""The citizen's phone as a web page: what the SIM shows, a PIN, Confirm, Refuse. Works without JavaScript."""
import os, re, time, urllib.parse
from html import escape
from web import Answer, as_json

HERE = os.path.dirname(os.path.abspath(__file__))
HEADERS = {"Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self' data:; "
                                      "form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
           "Referrer-Policy": "same-origin", "X-Content-Type-Options": "nosniff"}

WORDS = {
    "vi": {"title": "Điện thoại", "phones": "Điện thoại mô phỏng", "demo": "Mô phỏng: người và số đều không có thật.",
           "asks": "Yêu cầu ký số", "code": "Mã xác nhận", "compare": "Chỉ xác nhận nếu mã này trùng với mã trên màn hình đăng nhập.",
           "pin": "Mã PIN của SIM", "confirm": "Xác nhận", "refuse": "Từ chối", "idle": "Chưa có yêu cầu nào",
           "idle_more": "Khi một trang yêu cầu SIM này ký, tin nhắn sẽ hiện ở đây.", "left": "Còn", "seconds": "giây", "reload": "Tải lại",
           "wrong_pin": "Sai mã PIN. Số lần thử còn lại:", "signed": "Đã ký xác nhận", "refused": "Đã từ chối", "expired": "Đã hết thời gian",
           "pin_blocked": "PIN đã bị khóa vì nhập sai 3 lần", "card_blocked": "SIM đã bị khóa", "revoked": "Chứng thư số đã bị thu hồi",
           "unreachable": "Ngoài vùng phủ sóng", "unblock": "Mở khóa PIN", "all": "Các điện thoại khác", "hint": "PIN mẫu:", "error": "Lỗi",
           "other": "English", "other_code": "en"},
    "en": {"title": "Phone", "phones": "Simulated phones", "demo": "A simulation: neither people nor numbers are real.",
           "asks": "Signature request", "code": "Verification code", "compare": "Confirm only if this code is the one on the sign-in page.",
           "pin": "SIM PIN", "confirm": "Confirm", "refuse": "Refuse", "idle": "Nothing is asked",
           "idle_more": "When a page asks this SIM to sign, the message appears here.", "left": "Time left:", "seconds": "seconds", "reload": "Reload",
           "wrong_pin": "Wrong PIN. Tries left:", "signed": "Signed", "refused": "Refused", "expired": "Time is over",
           "pin_blocked": "The PIN is blocked after 3 wrong tries", "card_blocked": "The SIM is blocked", "revoked": "The certificate is revoked",
           "unreachable": "Out of reach", "unblock": "Unblock the PIN", "all": "Other phones", "hint": "Demonstration PIN:", "error": "Error",
           "other": "Tiếng Việt", "other_code": "vi"},
}
FILES = {"phone.css": "text/css; charset=utf-8", "phone.js": "text/javascript; charset=utf-8"}

def language(rq):
    asked = rq.query.get("lang")
    if asked not in WORDS:
        m = re.search(r"\blang=(vi|en)\b", rq.headers.get("Cookie", ""))
        asked = m[1] if m else "vi"
    return asked

def handle(network, rq, words):
    match (rq.command, *words):
        case ("GET" | "HEAD",) | ("GET", "phone"):
            return page(rq, phones(network, language(rq)), "phones")
        case ("GET", "static", name) if name in FILES:
            with open(os.path.join(HERE, name), "rb") as f:
                return Answer(200, f.read(), FILES[name], HEADERS)
        case ("GET", "phone", number):
            sim = network.sim(number)
            return page(rq, screen(network, sim, language(rq)), "title", f"{network.phone_state(sim)['seq']}", sim)
        case ("GET", "phone", number, "state"):
            state = network.phone_state(network.sim(number))
            return as_json({k: state[k] for k in ("seq", "left")})
        case ("POST", "phone", number, "confirm" | "refuse" | "unblock" as press):
            sim = network.sim(number)
            form = dict(urllib.parse.parse_qsl(rq.body.decode("utf-8", "replace")))
            {"confirm": lambda: network.confirm(sim, form.get("pin", "")), "refuse": lambda: network.refuse(sim),
             "unblock": lambda: network.unblock(sim)}[press]()
            return Answer(303, headers={"Location": f"/phone/{sim.msisdn[1:]}"})
        case ("GET", "favicon.ico"):
            return Answer(204, headers=HEADERS)
    return Answer(404, "not here")

def page(rq, inside, title, seq="", sim=None):
    lang = language(rq)
    w = WORDS[lang]
    # Without JavaScript an idle screen looks again by itself; one with a PIN half typed does not.
    again = '<noscript><meta http-equiv="refresh" content="3"></noscript>' if 'name="pin"' not in inside else ""
    name = f"{escape(sim.name)} · " if sim else ""
    mark = "● " if 'name="pin"' in inside else ""
    html = f"""<!DOCTYPE html>
<html lang="{lang}"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">{again}
<title>{mark}{name}{w[title]}</title><link rel="stylesheet" href="/static/phone.css"><script src="/static/phone.js" defer></script></head>
<body data-seq="{seq}"><p class="language"><a href="?lang={w['other_code']}" lang="{w['other_code']}" hreflang="{w['other_code']}">{w['other']}</a></p>
{inside}
<footer>{w['demo']}</footer></body></html>"""
    headers = dict(HEADERS)
    if rq.query.get("lang") in WORDS:
        headers["Set-Cookie"] = f"lang={lang}; Path=/; SameSite=Lax"
    return Answer(200, html, "text/html; charset=utf-8", headers)

def group(msisdn):
    return f"0{msisdn[3:6]} {msisdn[6:9]} {msisdn[9:]}"

def phones(network, lang):
    w = WORDS[lang]
    rows = "".join(f'<li><a href="/phone/{s.msisdn[1:]}"><b translate="no">{escape(s.name)}</b><span>{group(s.msisdn)} · {escape(network.operators[s.operator].label)}</span></a></li>'
                   for s in network.sims.values())
    return f'<main class="list"><h1>{w["phones"]}</h1><ul>{rows}</ul></main>'

def large_code(t):
    """The code as the text shows it."""
    if "%%VC%%" in t.r.display:
        return t.code
    found = re.findall(r"(?<!\d)\d{4}(?!\d)", t.text)
    return found[-1] if found else ""

def service_of(t):
    """Messages begin with the service's name, up to a colon."""
    head, colon, rest = t.text.partition(":")
    return (head.strip(), rest.strip()) if colon and len(head) <= 60 else (urllib.parse.urlsplit(t.r.ap_id).netloc or t.r.ap_id, t.text)

def request_card(t, sim, w, state):
    service, text = service_of(t)
    code = large_code(t)
    shown = f'<p class="code"><span>{w["code"]}</span><strong translate="no">{escape(code)}</strong></p><p class="small">{w["compare"]}</p>' if code else ""
    wrong = f'<p class="wrong" id="wrong" role="alert">{w["error"]}: {w["wrong_pin"]} {sim.tries}</p>' if sim.said == "wrong_pin" else ""
    number = sim.msisdn[1:]
    return f"""<section class="card ask" aria-labelledby="asks"><p class="kind">{w['asks']}</p><h1 id="asks" translate="no">{escape(service)}</h1>
<p class="text" translate="no">{escape(text)}</p>{shown}
<form method="post" action="/phone/{number}/confirm" novalidate>{wrong}<label for="pin">{w['pin']}</label>
<input id="pin" name="pin" type="password" inputmode="numeric" autocomplete="off" maxlength="8" required autofocus{' aria-describedby="wrong" aria-invalid="true"' if wrong else ''}>
<p class="small">{w['hint']} <kbd>{escape(sim.pin)}</kbd></p>
<div class="buttons"><button class="yes" type="submit">{w['confirm']}</button><button class="no" type="submit" formaction="/phone/{number}/refuse">{w['refuse']}</button></div></form>
<p class="small left">{w['left']} <span id="left">{state['left']}</span> {w['seconds']}</p></section>"""

MARKS = {"signed": "✓", "refused": "✕", "expired": "…", "pin_blocked": "!", "card_blocked": "!", "revoked": "!", "unreachable": "…"}

def idle_card(sim, w):
    said = ""
    if sim.said in MARKS:
        said = f'<section class="card said {sim.said}" role="status"><span class="mark" aria-hidden="true">{MARKS[sim.said]}</span><p>{w[sim.said]}</p></section>'
    unblock = f'<form method="post" action="/phone/{sim.msisdn[1:]}/unblock"><button class="no" type="submit">{w["unblock"]}</button></form>' if sim.blocked else ""
    return f'{said}<section class="rest"><h1>{w["idle"]}</h1><p>{w["idle_more"]}</p>{unblock}<p><a href="/phone/{sim.msisdn[1:]}">{w["reload"]}</a></p></section>'

def screen(network, sim, lang):
    w = WORDS[lang]
    with network.lock:
        state = network.phone_state(sim)
        card = request_card(sim.shown, sim, w, state) if sim.shown else idle_card(sim, w)
    clock = time.strftime("%H:%M", time.gmtime(time.time() + 7 * 3600))
    return f"""<div class="phone"><header class="bar"><span>{clock}</span><span class="notch"></span><span>{escape(network.operators[sim.operator].label)} <i class="signal" aria-hidden="true"></i></span></header>
<p class="who"><b translate="no">{escape(sim.name)}</b><span>{group(sim.msisdn)}</span></p><main>{card}</main>
<p class="home"><a href="/phone">{w['all']}</a></p></div>"""
