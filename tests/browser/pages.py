#!/usr/bin/python3
"""Opens every page in Chromium and looks: pages.py GALLERY SAMPLES.json [FOLDER_FOR_SCREENSHOTS]

Each sample of the gallery is one test: reflow at 320 px, one h1, labels, contrast in light and dark, size of targets, nothing inline,
sizes, doubled ids, no complaint of the Content-Security-Policy, and axe-core when npm has installed it. Then the naughty strings:
every member of every page is what a stranger might send, without a policy to help, and no script may run."""
import base64
import functools
import http.server
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import threading
import unittest
import urllib.parse

from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.support.ui import WebDriverWait

HERE = pathlib.Path(__file__).resolve().parent
GALLERY, SAMPLES, *REST = sys.argv[1:]
del sys.argv[1:]
SHOTS = pathlib.Path(REST[0]) if REST else None
WORK = tempfile.TemporaryDirectory()
FOLDER = pathlib.Path(WORK.name)
CORPORA = pathlib.Path(os.environ.get('MOTID_CORPORA', '/nonexistent'))
STRINGS = CORPORA / 'naughty-strings' / 'blns.txt'
AXE = next((p for d in ('browser', 'interop') if (p := HERE.parent / d / 'node_modules/axe-core/axe.min.js').exists()), None)
FLAGS = ('--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update '
         '--disable-sync --disable-dev-shm-usage --hide-scrollbars').split()

HELPER, SAMPLE_HELPER = 'with-helper/', 'http://127.0.0.1:28990'

LOOK = r"""
const out = {}, seen = e => e.checkVisibility({visibilityProperty: true}) && e.getClientRects().length;
const name = e => e.tagName.toLowerCase() + (e.id ? '#' + e.id : '') + (e.className ? '.' + e.className : '') + ' ' + (e.textContent || '').trim().slice(0, 40);
out.wide = document.documentElement.scrollWidth > innerWidth ? [document.documentElement.scrollWidth + ' > ' + innerWidth] : [];
out.h1 = document.querySelectorAll('h1').length === 1 ? [] : ['there are ' + document.querySelectorAll('h1').length];
out.labels = [...document.querySelectorAll('input:not([type=hidden]), textarea, select')].filter(e => !e.labels.length).map(name);
out.lang = ['vi', 'en'].includes(document.documentElement.lang) ? [] : [document.documentElement.lang];
out.inline = [...document.querySelectorAll('*')].filter(e => [...e.attributes].some(a => a.name === 'style' || a.name.startsWith('on'))).map(name);
out.inline.push(...[...document.scripts].filter(s => !s.src).map(name), ...[...document.querySelectorAll('style')].map(name));
const ids = [...document.querySelectorAll('[id]')].map(e => e.id);
out.ids = ids.filter((x, i) => ids.indexOf(x) !== i);
out.described = [...document.querySelectorAll('[aria-describedby]')].flatMap(e => e.getAttribute('aria-describedby').split(/\s+/)).filter(i => !document.getElementById(i));
out.targets = [...document.querySelectorAll('a[href], button, input:not([type=hidden]), textarea, summary')].filter(seen).filter(e => {
  const r = e.getBoundingClientRect(); return !e.classList.contains('skip') && (r.width < 24 || r.height < 24); }).map(name);
out.buttons = [...document.querySelectorAll('.main, .second, .plain, .tile, input:not([type=hidden]), summary')].filter(seen).filter(e => e.getBoundingClientRect().height < 44).map(name);
const rgb = s => { const n = s.match(/[\d.]+/g).map(Number); return n.length > 3 ? n : [...n, 1]; };
const lum = c => { const f = c.slice(0, 3).map(v => (v /= 255) <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4); return .2126 * f[0] + .7152 * f[1] + .0722 * f[2]; };
const ratio = (a, b) => { const [x, y] = [lum(a), lum(b)].sort((p, q) => q - p); return (x + .05) / (y + .05); };
const behind = e => { for (; e; e = e.parentElement) { const c = rgb(getComputedStyle(e).backgroundColor); if (c[3] === 1) return c; } return [255, 255, 255, 1]; };
out.contrast = [...document.querySelectorAll('body *')].filter(e => seen(e) && [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim())).map(e =>
  [ratio(rgb(getComputedStyle(e).color), behind(e)), name(e)]).filter(r => r[0] < 4.5).map(r => r[0].toFixed(2) + ' ' + r[1]);
out.edges = [...document.querySelectorAll('input:not([type=hidden]), textarea, .tile, .second')].filter(seen).map(e =>
  [ratio(rgb(getComputedStyle(e).borderTopColor), behind(e)), name(e)]).filter(r => r[0] < 3).map(r => r[0].toFixed(2) + ' ' + r[1]);
out.lines = [...document.querySelectorAll('body *')].filter(e => seen(e) && [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim())).filter(e => {
  const s = getComputedStyle(e); return parseFloat(s.lineHeight) / parseFloat(s.fontSize) < 1.49; }).map(name);
return out;
"""


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    PENDING = 200, [('Content-Type', 'application/json')], b'{"state":"pending","seconds_left":64}'
    DONE = 200, [('Content-Type', 'application/json')], b'{"state":"done"}'
    BROKEN = 503, [], b''
    poll = PENDING

    def do_GET(self):
        path = FOLDER / self.path.split('?')[0].replace(HELPER, '').lstrip('/')
        head = pathlib.Path(str(path) + '.headers')
        if '/poll' in self.path:
            return self.answer(*Handler.poll)
        if '..' in self.path or not head.is_file():
            return self.answer(404, [('Content-Type', 'text/plain')], b'')
        rows = [tuple(l.split(': ', 1)) for l in head.read_text('utf-8').splitlines()]
        if HELPER in self.path:
            to = f'http://127.0.0.1:{Helper.port}'
            rows = [(n, v.replace(SAMPLE_HELPER, to)) for n, v in rows]
            return self.answer(200, rows, path.read_bytes().replace(SAMPLE_HELPER.encode(), to.encode()))
        if 'bare' in self.path:
            rows = [r for r in rows if r[0] != 'Content-Security-Policy']
        self.answer(200, rows, path.read_bytes())

    def do_POST(self):
        Handler.origin = self.headers['Origin']
        Handler.posted = urllib.parse.parse_qs(self.rfile.read(int(self.headers['Content-Length'])).decode())
        self.answer(200, [('Content-Type', 'text/html')], b'<title>posted</title>')

    def answer(self, status, rows, body):
        self.send_response(status)
        for name, value in rows:
            self.send_header(name, value)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Helper(Handler):
    """The program on the citizen's computer, as the page sees it."""
    port, says, asked = 0, {}, []

    def reply(self):
        Helper.asked.append((self.command, self.path, self.headers['Origin']))
        rows = [('Content-Type', 'application/json'), ('Access-Control-Allow-Origin', self.headers['Origin'] or '*'),
                ('Access-Control-Allow-Headers', 'Content-Type'), ('Access-Control-Allow-Private-Network', 'true')]
        if self.command == 'POST':
            Helper.posted = json.loads(self.rfile.read(int(self.headers['Content-Length'])))
        self.answer(200, rows, json.dumps(Helper.says.get(self.path, {})).encode())

    do_GET = do_POST = do_OPTIONS = reply


def render(folder, *strings):
    subprocess.run([GALLERY, SAMPLES, str(folder), *map(str, strings)], check=True)


def browser():
    o = Options()
    o.binary_location = '/usr/bin/chromium'
    for f in (*FLAGS, '--user-data-dir=' + tempfile.mkdtemp(dir=WORK.name)):
        o.add_argument(f)
    o.set_capability('goog:loggingPrefs', {'browser': 'ALL'})
    return webdriver.Chrome(service=Service('/usr/bin/chromedriver'), options=o)


class Case(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)
        cls.server.daemon_threads = True
        threading.Thread(target=cls.server.serve_forever, daemon=True).start()
        cls.base = f'http://127.0.0.1:{cls.server.server_address[1]}/'
        cls.b = browser()

    @classmethod
    def tearDownClass(cls):
        cls.b.quit()
        cls.server.shutdown()
        cls.server.server_close()

    def screen(self, width, dark=False):
        self.b.execute_cdp_cmd('Emulation.setDeviceMetricsOverride', dict(width=width, height=800, deviceScaleFactor=1, mobile=False))
        self.b.execute_cdp_cmd('Emulation.setEmulatedMedia', {'features': [{'name': 'prefers-color-scheme', 'value': 'dark' if dark else 'light'},
                                                                         {'name': 'prefers-reduced-motion', 'value': 'reduce'}]})

    def shot(self, name):
        if SHOTS:
            SHOTS.mkdir(parents=True, exist_ok=True)
            png = self.b.execute_cdp_cmd('Page.captureScreenshot', {'captureBeyondViewport': True, 'format': 'png'})['data']
            (SHOTS / (name + '.png')).write_bytes(base64.b64decode(png))


class Pages(Case):
    def looks_right(self, name):
        all_of_them = ((320, False), (360, False), (1280, False), (360, True), (1280, True))
        for width, dark in all_of_them if name.endswith('.vi.html') else all_of_them[:3]:
            self.screen(width, dark)
            self.b.get(self.base + name)
            found = self.b.execute_script(LOOK)
            where = f'{width} px{" dark" if dark else ""}'
            self.assertEqual({k: v for k, v in found.items() if v}, {}, where)
            if width != 320:
                self.shot(f'{name.removesuffix(".html")}.{width}{".dark" if dark else ""}')
            if AXE and width == 360:
                self.b.execute_script(AXE.read_text('utf-8'))
                bad = self.b.execute_async_script('axe.run(document, {runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]})'
                                                  '.then(r => arguments[0](r.violations.map(v => v.id + ": " + v.nodes.map(n => n.html).join(" | "))))')
                self.assertEqual(bad, [], where)
        complaints = [m['message'] for m in self.b.get_log('browser') if 'Content Security Policy' in m['message'] and 'form_post' not in name]
        self.assertEqual(complaints, [])
        self.assertLessEqual((FOLDER / name).stat().st_size, 15 * 1024)

    def test_style_and_scripts_are_small(self):
        files = list((FOLDER / 'static').glob('*'))
        self.assertLessEqual(sum(f.stat().st_size for f in files if f.suffix == '.css'), 12 * 1024)
        self.assertLessEqual(sum(f.stat().st_size for f in files if f.suffix == '.js'), 15 * 1024)

    def test_text_spacing_of_wcag_1_4_12_hides_nothing(self):
        for page in ('choose.vi.html', 'sim_wait.vi.html', 'consent.vi.html', 'token.vi.html'):
            self.screen(320)
            self.b.get(self.base + page)
            self.b.execute_script('const s = new CSSStyleSheet(); s.replaceSync("* { line-height: 1.5 !important; letter-spacing: .12em !important; '
                                  'word-spacing: .16em !important } p { margin-bottom: 2em !important }"); document.adoptedStyleSheets = [s]')
            self.assertEqual(self.b.execute_script(LOOK)['wide'], [], page)

    def test_an_error_has_the_focus_when_the_page_opens(self):
        for page in ('sim-wrong.vi.html', 'sim-error.vi.html', 'sim_end-refused.vi.html', 'error-server_error.en.html'):
            self.b.get(self.base + page)
            self.assertEqual(self.b.execute_script('return document.activeElement.id'), 'error', page)
            self.assertRegex(self.b.title, '^(Lỗi|Error): ', page)

    def test_without_script_every_page_can_be_gone_through(self):
        self.screen(360)
        self.b.execute_cdp_cmd('Emulation.setScriptExecutionDisabled', {'value': True})
        try:
            for page, button in (('sim_wait', '#go button'), ('token', '#token-manual textarea'), ('form_post', '#post button'), ('sim_code', 'form .main')):
                self.b.get(self.base + page + '.vi.html')
                self.assertTrue(self.b.find_element('css selector', button).is_displayed(), page)
                self.shot(f'{page}.vi.360.noscript')
        finally:
            self.b.execute_cdp_cmd('Emulation.setScriptExecutionDisabled', {'value': False})

    def test_the_waiting_page_follows_the_phone_and_survives_a_broken_connection(self):
        text = lambda id_: self.b.find_element('id', id_).text
        wait = WebDriverWait(self.b, 20)
        self.b.get(self.base + 'sim_wait.en.html')
        wait.until(lambda _: re.match('6[0-4] seconds left', text('left')))
        try:
            Handler.poll = Handler.BROKEN
            wait.until(lambda _: 'Connection lost' in text('state'))
            Handler.poll = Handler.PENDING
            wait.until(lambda _: 'moves on by itself' in text('state'))
            Handler.poll = Handler.DONE
            wait.until(lambda _: self.b.current_url == self.base + 'login/sim/wait?i=a1')
        finally:
            Handler.poll = Handler.PENDING

    def test_a_form_is_sent_once_however_often_its_button_is_pressed(self):
        self.b.get(self.base + 'sim_code.vi.html')
        sent = self.b.execute_script('''let n = 0; const f = document.querySelector("form[action$=send]");
            addEventListener("submit", e => { if (!e.defaultPrevented) n++; e.preventDefault(); });
            f.querySelector("button").click(); f.querySelector("button").click(); return n''')
        self.assertEqual(sent, 1)


class Token(Case):
    """token.js and webeid.js against a program and an extension that speak their protocols."""

    NONCE = 'MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE='

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.helper = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Helper)
        cls.helper.daemon_threads = True
        Helper.port = cls.helper.server_address[1]
        threading.Thread(target=cls.helper.serve_forever, daemon=True).start()
        cls.screen(cls, 360)

    @classmethod
    def tearDownClass(cls):
        cls.helper.shutdown()
        cls.helper.server_close()
        super().tearDownClass()

    def until(self, what):
        return WebDriverWait(self.b, 10).until(lambda _: what())

    def status(self):
        return self.b.find_element('id', 'token-status').text

    def open(self, token, answer):
        Helper.says, Helper.asked, Handler.posted = {'/status': {'name': 'motid-token', 'version': '0.1', 'token': token}, '/sign': answer}, [], None
        self.b.get(self.base + HELPER + 'token.en.html')

    def test_what_the_program_signs_is_sent_with_the_form(self):
        self.open('My <b>token</b>', {'format': 'web-eid:1.0', 'signature': 'c2ln'})
        self.until(lambda: self.status() == 'Ready. Token: My <b>token</b>')
        self.b.find_element('id', 'token-helper').click()
        self.until(lambda: self.b.title == 'posted')
        self.assertEqual(Helper.posted, {'nonce': self.NONCE, 'lang': 'en'})
        self.assertEqual(json.loads(Handler.posted['token'][0]), {'format': 'web-eid:1.0', 'signature': 'c2ln'})
        self.assertEqual(Handler.posted['csrf'], ['t0k'])
        self.assertEqual(Handler.origin + '/', self.base)

    def test_each_refusal_of_the_program_has_its_own_words(self):
        for error, words in (('user_cancelled', 'You cancelled'), ('pin_incorrect', 'The PIN is not correct'), ('pin_blocked', 'The PIN is blocked'),
                             ('no_token', 'no USB token was found'), ('origin_refused', 'not allowed'), ('busy', 'busy'), ('new one', 'did not work')):
            self.open('T', {'error': error})
            self.until(lambda: self.status() == 'Ready. Token: T')
            self.b.find_element('id', 'token-helper').click()
            self.until(lambda: words in self.status())
            self.assertIsNone(Handler.posted)

    def test_a_token_that_is_plugged_in_later_is_found_when_asked_again(self):
        self.open(None, {})
        self.until(lambda: 'no USB token was found' in self.status())
        Helper.says['/status']['token'] = 'T'
        self.b.find_element('id', 'token-retry').click()
        self.until(lambda: self.status() == 'Ready. Token: T')

    def test_without_the_program_the_way_by_hand_is_open(self):
        self.open('T', {})
        Helper.says['/status'] = {'name': 'something else'}
        self.b.refresh()
        self.until(lambda: 'does not seem to be running' in self.status())
        self.assertTrue(self.b.find_element('id', 'pasted').is_displayed())

    def test_the_web_eid_extension_signs_by_its_public_protocol(self):
        extension = '''addEventListener("message", e => { const m = e.data; if (e.source !== window || !m.libraryVersion) return; const tell = a => postMessage(a, location.origin);
            if (m.action === "web-eid:status") { tell({action: "web-eid:status-ack"}); tell({action: "web-eid:status-success", extension: "2.2"}); }
            if (m.action === "web-eid:authenticate") { tell({action: "web-eid:authenticate-ack"});
                if (sessionStorage.refuse) tell({action: "web-eid:authenticate-failure", error: {code: "ERR_WEBEID_USER_CANCELLED"}});
                else tell({action: "web-eid:authenticate-success", format: "web-eid:1.0", signature: m.challengeNonce + m.options.lang, algorithm: "RS256",
                    unverifiedCertificate: "MII", appVersion: "x"}); } });'''
        added = self.b.execute_cdp_cmd('Page.addScriptToEvaluateOnNewDocument', {'source': extension})
        try:
            self.open(None, {})
            self.b.execute_script('sessionStorage.refuse = 1')
            self.until(self.b.find_element('id', 'token-webeid').is_displayed)
            self.b.find_element('id', 'token-webeid').click()
            self.until(lambda: 'You cancelled' in self.status())
            self.b.execute_script('delete sessionStorage.refuse')
            self.b.find_element('id', 'token-webeid').click()
            self.until(lambda: self.b.title == 'posted')
            self.assertEqual(json.loads(Handler.posted['token'][0]), {'format': 'web-eid:1.0', 'unverifiedCertificate': 'MII', 'algorithm': 'RS256',
                                                                      'signature': self.NONCE + 'en', 'appVersion': 'x'})
        finally:
            self.b.execute_cdp_cmd('Page.removeScriptToEvaluateOnNewDocument', added)

    def test_an_answer_that_nobody_asked_for_is_not_sent(self):
        self.open(None, {})
        self.until(lambda: 'no USB token' in self.status())
        self.b.execute_async_script('''postMessage({action: "web-eid:authenticate-success", format: "web-eid:1.0"}, location.origin);
            const done = arguments[0]; addEventListener("message", e => setTimeout(done, 0), {once: true})''')
        self.assertIsNone(Handler.posted)


class Strangers(Case):
    """Whatever a stranger sends stays text, also where no Content-Security-Policy would stop it."""

    @classmethod
    def setUpClass(cls):
        if not STRINGS.exists():
            raise unittest.SkipTest('no corpora on this machine')
        super().setUpClass()
        render(FOLDER / 'bare', STRINGS)
        cls.b.execute_cdp_cmd('Page.addScriptToEvaluateOnNewDocument', {'source': '''window.ran = [];
            for (const f of ["alert", "confirm", "prompt", "print", "eval"]) window[f] = () => window.ran.push(f);
            document.addEventListener("securitypolicyviolation", e => window.ran.push(e.violatedDirective));'''})

    def test_no_script_of_theirs_runs(self):
        pages = sorted(p.name for p in (FOLDER / 'bare').glob('*.html') if not p.name.startswith('form_post'))
        self.assertGreater(len(pages), 300)
        for name in pages:
            self.b.get(self.base + 'bare/' + name)
            self.assertEqual(self.b.execute_script('''return [...window.ran, document.vulnerable || "",
                ...[...document.scripts].filter(s => !s.src.startsWith(location.origin + "/static/")).map(s => s.outerHTML),
                ...[...document.querySelectorAll("*")].filter(e => [...e.attributes].some(a => a.name.startsWith("on") || a.name === "style")).map(e => e.outerHTML),
                ...[...document.querySelectorAll("[href], [src], [action]")].filter(e => /^\\s*(javascript|data:text|vbscript)/i.test(
                    e.getAttribute("href") || e.getAttribute("src") || e.getAttribute("action"))).map(e => e.outerHTML)].filter(Boolean)'''), [], name)


def add(name):
    method = functools.partialmethod(Pages.looks_right, name)
    setattr(Pages, 'test_page_' + re.sub(r'\W', '_', name.removesuffix('.html')), method)


render(FOLDER)
for page in sorted(p.name for p in FOLDER.glob('*.html')):
    add(page)

if __name__ == '__main__':
    print('axe-core:', AXE or 'not installed')
    unittest.main(verbosity=0)
