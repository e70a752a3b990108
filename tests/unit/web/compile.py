#!/usr/bin/env python3
"""What the page compiler refuses, each beside the same thing done right: compile.py PATH_OF_THE_COMPILER"""
import pathlib
import subprocess
import sys
import tempfile
import unittest

COMPILER = str(pathlib.Path(sys.argv.pop(1)).resolve())


def compiled(page='<p>{{name}}</p>', vi='', en='', header='name', parts=(), statics=()):
    with tempfile.TemporaryDirectory() as d:
        d = pathlib.Path(d)
        (d / 'a.html').write_text(page, 'utf-8')
        (d / 'words.vi').write_text(vi, 'utf-8')
        (d / 'words.en').write_text(en, 'utf-8')
        (d / 'pages.h').write_text(f'/* {header} */\nextern const struct template TPL_a;\n')
        for name, text in [*parts, *statics]:
            (d / name).write_text(text, 'utf-8')
        names = ['a.html', *(n for n, _ in parts), *(n for n, _ in statics)]
        r = subprocess.run([sys.executable, COMPILER, 'out.c', 'pages.h', 'words.vi', 'words.en', *names], cwd=d, capture_output=True, text=True)
        return (d / 'out.c').read_text() if r.returncode == 0 else r.stderr.strip()


class Pages(unittest.TestCase):
    def good(self, *args, **more):
        self.assertIn('TPL_a', compiled(*args, **more))

    def bad(self, why, *args, **more):
        said = compiled(*args, **more)
        self.assertRegex(said, '^compile.py: ')
        self.assertIn(why, said)

    def test_a_value_stands_in_text_or_in_a_double_quoted_attribute(self):
        self.good('<p title="{{name}}">{{name}}</p>')
        for page in ('<p title={{name}}>', "<p title='{{name}}'>", '<p title=x>', '<{{name}}>', '<p {{name}}>', '<p {{name}}="x">', '<p title{{name}}="x">',
                     '<!-- {{name}} -->', '<!-- x -->', '<script src="x">{{name}}</script>'):
            self.bad('a.html', page)

    def test_what_is_inline_is_refused(self):
        self.good('<script src="/x.js" defer></script>')
        for page in ('<p style="color:red">', '<p onclick="x">', '<p ONCLICK="x">', '<script>x</script>', '<script src="/x">x</script>', '<style>x</style>',
                     '<a href="javascript:x">', '<a href=" JavaScript:x">', '<iframe src="/">', '<base href="/">', '<object data="/">', '<p srcdoc="x">'):
            self.bad('a.html', page)

    def test_a_frame_is_in_a_sandbox_and_its_address_is_checked(self):
        self.assertIn('OP_ADDRESS', compiled('<iframe src="{{name}}" sandbox="allow-scripts"></iframe>'))
        self.bad('without sandbox', '<iframe src="{{name}}"></iframe>')

    def test_there_is_no_unescaped_form(self):
        for page in ('{{{name}}}', '{{&name}}', '{{name', 'name}}', '{{na me}}'):
            self.bad('a.html', page)

    def test_an_address_that_begins_with_a_value_is_checked_when_it_is_shown(self):
        self.assertIn('OP_ADDRESS', compiled('<a href="{{name}}">'))
        self.assertIn('OP_ADDRESS', compiled('<a href="{{#name}}{{name}}{{/name}}">'))
        self.assertIn('OP_ADDRESS', compiled('<a href="{{#name}}/x{{/name}}{{name}}">'))
        self.assertNotIn('OP_ADDRESS', compiled('<a href="/x?{{name}}">'))

    def test_sections_close_in_order_and_leave_the_html_as_they_found_it(self):
        self.good('<input {{#name}}required{{/name}} value="{{#name}}x{{/name}}">')
        self.bad('never closed', '{{#name}}')
        self.bad('closes nothing', '{{/name}}')
        self.bad('closes nothing', '{{#name}}{{#b}}{{/name}}{{/b}}', header='name b')
        self.bad('does not close', '{{#name}}<p {{/name}}>')
        self.bad('does not close', '<p title="{{#name}}">{{/name}}')
        self.bad('inside of the name', '<p {{#name}}o{{/name}}nclick="x">')

    def test_words_are_in_both_languages_and_all_are_used(self):
        self.good('{{_hi}}', 'hi = Chào {name}', 'hi = Hello {*name}')
        self.bad('missing in words.en', '{{_hi}}', 'hi = Chào')
        self.bad('missing in words.vi', '{{_hi}}', '', 'hi = Hello')
        self.bad('no page uses', '<p>', 'hi = Chào', 'hi = Hello')
        self.bad('only in words.en', '{{_hi}}', 'hi = Chào', 'hi = Hello\nho = x')
        self.bad('there twice', '{{_hi}}', 'hi = Chào\nhi = x', 'hi = Hello')
        self.bad('is no name', '{{_hi}}', 'hi = {a b}', 'hi = x')
        self.bad('expected', '{{_hi}}', 'hi', 'hi = x')

    def test_words_chosen_by_a_value_have_others_to_fall_back_to(self):
        self.good('{{_name:e_}}', 'e_a = A\ne_other = B', 'e_a = A\ne_other = B')
        self.bad('e_other', '{{_name:e_}}', 'e_a = A', 'e_a = A')

    def test_words_are_text_and_not_html(self):
        self.assertIn('&lt;b&gt;', compiled('{{_hi}}', 'hi = <b>', 'hi = x'))

    def test_a_part_is_there_and_is_no_part_of_itself(self):
        self.good('{{>p}}', parts=[('_p.html', '<p>{{name}}</p>')])
        self.bad('there is no', '{{>p}}')
        self.bad('part of itself', '{{>p}}', parts=[('_p.html', '{{>p}}')])
        self.bad('_p.html', '<p title={{>p}}>', parts=[('_p.html', '{{name}}')])

    def test_the_header_speaks_of_every_page_and_member(self):
        self.bad('does not speak of name', header='other')
        self.bad('differ: b', parts=[('b.html', 'x')])

    def test_a_static_file_has_its_hash_in_its_address(self):
        one = compiled('<img src="{{@x.svg}}">', statics=[('x.svg', '<svg/>')])
        two = compiled('<img src="{{@x.svg}}">', statics=[('x.svg', '<svg />')])
        self.assertRegex(one, r'/static/x\.[0-9a-f]{8}\.svg')
        self.assertNotEqual(one, two)
        self.bad('no static file', '<img src="{{@y.svg}}">')


if __name__ == '__main__':
    unittest.main(verbosity=0)
