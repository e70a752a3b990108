#!/usr/bin/env python3
"""Turns NNN_name.sql into a C table: the same text for both engines, but that in PostgreSQL every TEXT compares by
bytes, whatever the server's locale, as SQLite's does, and that in SQLite a row lives in its primary key's tree."""
import pathlib
import re
import sys

WORDS = {
    'sqlite': lambda s: re.sub(r'^\)$', ') WITHOUT ROWID', s, flags=re.M),
    'postgres': lambda s: re.sub(r'\bTEXT\b', 'TEXT COLLATE "C"', s),
}


def quoted(s):
    return '"' + s.replace('\\', '\\\\').replace('"', '\\"').replace('\n', '\\n').replace('\t', ' ') + '"'


def statements(path):
    text = re.sub(r'--.*', '', path.read_text())
    return [s.strip() for s in text.split(';') if s.strip()]


def main(out, *paths):
    lines = ['#include "migrations.h"', '']
    paths = sorted(map(pathlib.Path, paths), key=lambda p: p.name)
    for engine, words in WORDS.items():
        rows = []
        for p in paths:
            number, name = re.fullmatch(r'(\d{3})_(\w+)\.sql', p.name).groups()
            texts = ', '.join(quoted(words(s)) for s in statements(p))
            lines.append(f'static const char *const {engine}_{number}[] = {{ {texts}, NULL }};')
            rows.append(f'\t{{ {int(number)}, "{name}", {engine}_{number} }},')
        lines += [f'const struct schema_step schema_{engine}[] = {{', *rows, '\t{ 0, NULL, NULL },', '};', '']
    pathlib.Path(out).write_text('\n'.join(lines))


main(*sys.argv[1:])
