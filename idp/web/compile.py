#!/usr/bin/env python3
"""Turns the page templates, the words and the static files into one C file of constant tables.

    compile.py OUT.c PAGES.h WORDS.vi WORDS.en TEMPLATE.html… STATIC…

A template is HTML with a small part of Mustache:

    {{name}} {{a.b}} {{.}}           a value, always escaped; at the start of href, src or action only a safe address
    {{#name}}…{{/name}}              once for true, an object or other text; for each item of an array
    {{^name}}…{{/name}}              when it is absent, null, false, 0, "" or []
    {{+name}}…{{/name}}              once when it is not, however many items it has
    {{?name}}…{{/name}}              when it is an image that the page may show (data: or a path of ours)
    {{>part}}                        the text of _part.html
    {{_key}}                         words in the person's language
    {{_member:prefix_}}              the words whose key is prefix_ and the member's value; else prefix_other
    {{@style.css}}                   the address of a static file, with its hash
    {{! remark}}

Words are plain text, one `key = text` a line, and may hold {name} for a value and {*name} for a value to stand out. There is
no unescaped form. What could let a value leave its place (unquoted attributes, style=, on…=, script text, values in tag
or attribute names) is refused here, so that the pages need no inline script or style and cannot grow one.
"""
import hashlib
import pathlib
import re
import sys


class Refused(Exception):
    pass


TAG = re.compile(r'\{\{(?P<kind>[#^+/>?_@!]?)\s*(?P<name>[^{}]*?)\s*\}\}')
NAME = re.compile(r'^(\.|[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*)$')
KEY = re.compile(r'^[a-z][a-z0-9_]*$')
ADDRESS = {'href', 'src', 'action', 'formaction', 'poster', 'cite', 'data-helper', 'data-poll'}
SECTIONS = {'EACH', 'UNLESS', 'IF', 'IMAGE'}
NEVER_TAGS = {'style', 'object', 'embed', 'base', 'frame', 'frameset', 'applet', 'template', 'math', 'portal'}
NEVER_ATTRS = {'style', 'srcdoc', 'srcset', 'xlink:href', 'ping', 'background'}
TYPES = {'css': 'text/css; charset=utf-8', 'js': 'text/javascript; charset=utf-8', 'svg': 'image/svg+xml'}


def words_read(path):
    words = {}
    for n, line in enumerate(pathlib.Path(path).read_text('utf-8').splitlines(), 1):
        if not line.strip() or line.startswith('#'):
            continue
        key, eq, text = line.partition('=')
        key, text = key.strip(), text.strip()
        if not eq or not KEY.match(key) or not text:
            raise Refused(f'{path}:{n}: expected "key = text"')
        if key in words:
            raise Refused(f'{path}:{n}: {key} is there twice')
        words[key] = text
    return words


def word_ops(path, key, text):
    """Words become ops of their own, so that {name} is looked up and escaped like any value."""
    ops, at = [], 0
    for m in re.finditer(r'\{(\*?)([^{}]*)\}', text):
        if not NAME.match(m.group(2)):
            raise Refused(f'{path}: {key}: {{{m.group(2)}}} is no name')
        ops.append(('TEXT', escape(text[at:m.start()])))
        ops.append(('NAME' if m.group(1) else 'VALUE', m.group(2)))
        at = m.end()
    rest = text[at:]
    if '{' in rest or '}' in rest:
        raise Refused(f'{path}: {key}: a brace that closes nothing')
    return [o for o in ops + [('TEXT', escape(rest))] if o[0] != 'TEXT' or o[1]]


def escape(s):
    return s.replace('&', '&amp;').replace('<', '&lt;').replace('>', '&gt;').replace('"', '&quot;')


class Place:
    """Follows the HTML just far enough to know where a value would land."""

    def __init__(self, where):
        self.where, self.state, self.tag, self.attr, self.raw, self.value, self.attrs = where, 'text', '', '', '', '', []
        self.cut = False

    def key(self):
        return self.state, self.tag if self.state != 'text' else '', self.attr, self.raw

    def refuse(self, why):
        raise Refused(f'{self.where}: {why}')

    def feed(self, text):
        for c in text:
            getattr(self, 'in_' + self.state)(c)

    def in_text(self, c):
        if c == '<':
            self.state, self.tag, self.attrs = 'open', '', []
        elif self.raw == 'script' and not c.isspace():
            self.refuse('a script with text in it; put it into a file')

    def in_open(self, c):
        if c == '!':
            self.state = 'decl' if not self.tag else self.refuse('a stray "!"')
        elif c.isalnum() or c == '/':
            self.tag += c.lower()
        elif c.isspace() or c == '>':
            if not re.match(r'^/?[a-z][a-z0-9]*/?$', self.tag):
                self.refuse(f'<{self.tag} is no tag')
            if self.tag.strip('/') in NEVER_TAGS:
                self.refuse(f'<{self.tag}> is not used in our pages')
            self.state = 'tag'
            self.in_tag(c)
        else:
            self.refuse(f'{c!r} in the name of a tag')

    def in_decl(self, c):
        if c == '>':
            self.state = 'text'
        elif c == '-':
            self.refuse('an HTML comment; use {{! }}')

    def in_tag(self, c):
        if self.cut and not c.isspace() and c not in '>/':
            self.refuse('a section inside of the name of an attribute')
        self.cut = False
        if c == '>':
            self.close()
        elif not c.isspace() and c != '/':
            self.state, self.attr = 'attr', ''
            self.in_attr(c)

    def in_attr(self, c):
        if c == '=':
            self.check_attr()
            self.state = 'quote'
        elif c.isspace() or c in '>/':
            self.check_attr()
            self.state, self.attr = 'tag', ''
            self.in_tag(c)
        elif c in '"\'<`':
            self.refuse(f'{c!r} in the name of an attribute')
        else:
            self.attr += c.lower()

    def check_attr(self):
        if self.attr in NEVER_ATTRS or self.attr.startswith('on'):
            self.refuse(f'{self.attr}= is not used in our pages')
        self.attrs.append(self.attr)

    def in_quote(self, c):
        if c != '"':
            self.refuse(f'the value of {self.attr}= is not in double quotes')
        self.state, self.value = 'value', ''

    def in_value(self, c):
        if c == '"':
            if re.match(r'\s*(javascript|vbscript|data):', self.value, re.I):
                self.refuse(f'{self.value} in {self.attr}=')
            self.state, self.attr = 'tag', ''
        else:
            self.value += c

    def close(self):
        if self.tag == 'script' and 'src' not in self.attrs:
            self.refuse('a script without src')
        if self.tag == 'iframe' and 'sandbox' not in self.attrs:
            self.refuse('an iframe without sandbox')
        self.state = 'text'
        self.raw = self.tag if self.tag in ('script', 'textarea', 'pre', 'title') else '' if self.tag[0] == '/' else self.raw

    def at_section(self):
        """An attribute without a value may end where a section does."""
        if self.state == 'attr':
            self.check_attr()
            self.state, self.attr, self.cut = 'tag', '', True

    def value_op(self):
        """How a value must be written here; refuses where no escaping could make it safe."""
        if self.state == 'text' and self.raw != 'script':
            return 'VALUE'
        if self.state != 'value':
            self.refuse('a value outside of text and of double-quoted attributes')
        start = self.value == ''
        self.value += 'x'
        return 'ADDRESS' if start and self.attr in ADDRESS else 'VALUE'

    def is_plain(self):
        return self.state == 'value' or self.raw == 'title'


class Compiler:
    def __init__(self, vi, en, statics, folder_of):
        self.vi, self.en, self.statics, self.sources = vi, en, statics, folder_of
        self.order = sorted(set(vi) | set(en))
        self.used, self.members = set(), {}

    def word(self, where, key):
        for lang, words in (('vi', self.vi), ('en', self.en)):
            if key not in words:
                raise Refused(f'{where}: the words "{key}" are missing in words.{lang}')
        self.used.add(key)
        return self.order.index(key)

    def template(self, name):
        self.members[name] = set()
        place, ops = Place(name + '.html'), []
        self.run(name, name, place, ops, [])
        if place.state != 'text':
            raise Refused(f'{name}.html: ends inside of a tag')
        return ops

    def run(self, page, name, place, ops, inside):
        if name in inside:
            raise Refused(f'{name}.html: a part of itself')
        if name not in self.sources:
            raise Refused(f'{inside[-1]}.html: there is no {name}.html')
        text, open_, at = tidy(self.sources[name]), [], 0
        place.where = name + '.html'
        for m in TAG.finditer(text):
            self.literal(place, ops, text[at:m.start()])
            at = m.end()
            self.tag(page, m.group('kind'), m.group('name'), place, ops, open_, inside + [name])
            place.where = name + '.html'
        self.literal(place, ops, text[at:])
        if open_:
            raise Refused(f'{name}.html: {{{{#{open_[-1][0]}}}}} is never closed')

    def literal(self, place, ops, text):
        if '{' in text or '}' in text:
            raise Refused(f'{place.where}: braces that are no tag: {text.strip()[:40]!r}')
        place.feed(text)
        if text:
            ops.append(('TEXT', text))

    def tag(self, page, kind, name, place, ops, open_, inside):
        if kind == '!':
            return
        if kind == '>':
            return self.run(page, '_' + name, place, ops, inside)
        if kind == '@':
            if name not in self.statics:
                raise Refused(f'{place.where}: there is no static file {name}')
            place.value_op()
            return ops.append(('TEXT', self.statics[name][0]))
        if kind == '_':
            return self.words_tag(page, name, place, ops)
        if not NAME.match(name):
            raise Refused(f'{place.where}: {{{{{kind}{name}}}}} is no name')
        self.members[page].add(name.split('.')[0])
        if kind == '':
            ops.append((place.value_op(), name))
        elif kind == '/':
            place.at_section()
            self.section_end(name, place, ops, open_)
        else:
            place.at_section()
            if place.state not in ('text', 'tag', 'value'):
                place.refuse('a section inside of a name')
            open_.append((name, len(ops), place.key(), place.value == ''))
            ops.append(({'#': 'EACH', '^': 'UNLESS', '+': 'IF', '?': 'IMAGE'}[kind], name))

    def section_end(self, name, place, ops, open_):
        if not open_ or open_[-1][0] != name:
            raise Refused(f'{place.where}: {{{{/{name}}}}} closes nothing')
        _, at, key, empty = open_.pop()
        if key != place.key():
            place.refuse(f'the section {name} opens a tag or a quote that it does not close')
        if place.state == 'value' and empty and place.attr in ADDRESS:
            place.value = ''
        ops[at] = (*ops[at], len(ops))

    def words_tag(self, page, name, place, ops):
        plain = place.is_plain()
        if place.value_op() == 'ADDRESS':
            place.refuse('words as an address')
        member, colon, prefix = name.partition(':')
        if not colon:
            return ops.append(('WORDS', None, self.word(place.where, name), plain))
        if not NAME.match(member):
            place.refuse(f'{{{{_{name}}}}} is no member')
        self.members[page].add(member.split('.')[0])
        fallback = self.word(place.where, prefix + 'other')
        for key in self.order:
            if key.startswith(prefix):
                self.word(place.where, key)
        ops.append(('WORDS_OF', member, fallback, plain, prefix))


def tidy(text):
    """Indentation and the lines of a section's own are for whoever reads the source."""
    text = re.sub(r'^[ \t]*(\{\{[#^+?/][^{}]*\}\})[ \t]*\n', r'\1', text, flags=re.M)
    return re.sub(r'\s*\n\s*', '\n', text.strip())


def join_text(ops):
    """Neighbouring literals become one; what a section jumps to moves along."""
    targets = {o[2] for o in ops if o[0] in SECTIONS}
    out, new_at = [], {}
    for i, o in enumerate(ops):
        if o[0] == 'TEXT' and out and out[-1][0] == 'TEXT' and i not in targets and i - 1 >= 0 and ops[i - 1][0] == 'TEXT':
            out[-1] = ('TEXT', out[-1][1] + o[1])
        else:
            out.append(o)
        new_at[i] = len(out) - 1
    new_at[len(ops)] = len(out)
    return [(o[0], o[1], new_at[o[2]]) if o[0] in SECTIONS else o for o in out]


def c_text(s):
    out = []
    for line in re.findall(r'[^\n]*\n|[^\n]+', s):
        body = ''.join(chr(b) if 32 <= b < 127 and chr(b) not in '"\\?' else f'\\{b:03o}' for b in line.encode())
        out += [f'"{body[i:i + 4000]}"' for i in range(0, len(body), 4000)] if len(body) <= 4000 else [f'"{p}"' for p in chunks(body)]
    return '\n\t\t'.join(out) or '""'


def chunks(body):
    return re.findall(r'(?:\\[0-7]{3}|[^\\]){1,3000}', body)


def c_op(o):
    size = lambda s: len(s.encode())
    if o[0] in ('WORDS', 'WORDS_OF'):
        member, prefix = o[1] or '', o[4] if len(o) > 4 else ''
        kind = 'OP_' + o[0] + ('_PLAIN' if o[3] else '')
        return f'{{ {kind}, {o[2]}, "{member}", {size(member)}, "{prefix}" }}'
    jump = o[2] if len(o) > 2 else 0
    return f'{{ OP_{o[0]}, {jump}, {c_text(o[1])}, {size(o[1])}, "" }}'


def c_ops(name, ops):
    rows = ',\n\t'.join(c_op(o) for o in ops) or '{ OP_TEXT, 0, "", 0, "" }'
    return f'static const struct op {name}[] = {{\n\t{rows}\n}};\n'


def c_bytes(name, data):
    rows = ''.join(('\n\t' if i % 24 == 0 else '') + f'{b},' for i, b in enumerate(data))
    return f'static const char {name}[] = {{{rows}0\n}};\n'


def statics_read(paths):
    out = {}
    for p in map(pathlib.Path, paths):
        ext = p.suffix[1:]
        if ext not in TYPES:
            raise Refused(f'{p.name}: no type is known for it')
        data = slim(p.read_text('utf-8'), ext).encode()
        url = f'/static/{p.stem}.{hashlib.sha256(data).hexdigest()[:8]}.{ext}'
        out[p.name] = (url, TYPES[ext], data)
    return out


def slim(text, ext):
    """Without what only its authors read: indentation, lines of remark, the spaces of CSS."""
    lines = [l.strip() for l in text.splitlines()]
    if ext == 'js':
        return '\n'.join(l for l in lines if l and not l.startswith('//')) + '\n'
    if ext == 'css':
        quoted = re.split(r'("[^"]*")', re.sub(r'/\*.*?\*/', '', ' '.join(lines), flags=re.S))
        return ''.join(q if i % 2 else re.sub(r'\s*([{};,>~])\s*', r'\1', re.sub(r': +', ':', re.sub(r'\s+', ' ', q))) for i, q in enumerate(quoted)).replace(';}', '}')
    return text


def documented(header, pages):
    """pages.h is the contract with the rooms that fill the pages: each is declared, each member is spoken of."""
    text = pathlib.Path(header).read_text('utf-8')
    declared = set(re.findall(r'^extern const struct template TPL_(\w+);', text, re.M))
    if declared != set(pages):
        raise Refused(f'pages.h and the templates differ: {", ".join(sorted(declared ^ set(pages)))}')
    spoken = set(re.findall(r'[a-z][a-z0-9_]*', text))
    for page, members in pages.items():
        missing = {m for m in members if m} - spoken
        if missing:
            raise Refused(f'pages.h does not speak of {", ".join(sorted(missing))} of {page}.html')


def main(args):
    out, header, vi_path, en_path = args[:4]
    pages = [pathlib.Path(p) for p in args[4:] if p.endswith('.html')]
    statics = statics_read([p for p in args[4:] if not p.endswith('.html')])
    vi, en = words_read(vi_path), words_read(en_path)
    c = Compiler(vi, en, statics, {p.stem: p.read_text('utf-8') for p in pages})
    names = sorted(p.stem for p in pages if not p.stem.startswith('_'))
    compiled = {n: join_text(c.template(n)) for n in names}
    for lang, words, other in (('vi', vi, en), ('en', en, vi)):
        for key in sorted(set(words) - set(other)):
            raise Refused(f'the words "{key}" are only in words.{lang}')
    unused = sorted(set(vi) - c.used)
    if unused:
        raise Refused(f'words that no page uses: {", ".join(unused)}')
    documented(header, c.members)
    pathlib.Path(out).write_text(c_file(c, compiled, vi, en, statics), 'utf-8')


def c_file(c, compiled, vi, en, statics):
    parts = ['/* Made by compile.py from the templates, the words and the static files. */\n#include "template.h"\n#include "pages.h"\n']
    for lang, words in (('vi', vi), ('en', en)):
        for key in c.order:
            parts.append(c_ops(f'{lang}_{key}', word_ops('words.' + lang, key, words[key])))
    rows = ',\n\t'.join(f'{{ "{k}", {{ vi_{k}, en_{k} }}, {{ {n_of("vi", k)}, {n_of("en", k)} }} }}' for k in c.order)
    parts.append(f'const struct words WORDS[] = {{\n\t{rows}\n}};\nconst size_t WORDS_N = {len(c.order)};\n')
    for name, ops in compiled.items():
        parts.append(c_ops('ops_' + name, ops))
        parts.append(f'const struct template TPL_{name} = {{ "{name}", ops_{name}, sizeof ops_{name} / sizeof *ops_{name} }};\n')
    for i, (name, (_, _, data)) in enumerate(statics.items()):
        parts.append(c_bytes(f'file_{i}', data))
    rows = ',\n\t'.join(f'{{ "{n}", "{u}", "{t}", file_{i}, {len(d)} }}' for i, (n, (u, t, d)) in enumerate(statics.items()))
    parts.append(f'const struct static_file STATICS[] = {{\n\t{rows}\n}};\nconst size_t STATICS_N = {len(statics)};\n')
    return ''.join(parts)


def n_of(lang, key):
    return f'sizeof {lang}_{key} / sizeof *{lang}_{key}'


if __name__ == '__main__':
    try:
        main(sys.argv[1:])
    except Refused as e:
        sys.exit(f'compile.py: {e}')
