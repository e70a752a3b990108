#!/usr/bin/env python3
"""snippets.py OUT.c FILE…: the configurations of deploy/snippets as a C table, by the name before the dot."""
import pathlib
import sys


def main(out, *files):
    rows = []
    for f in map(pathlib.Path, files):
        lines = f.read_text('utf-8').splitlines()
        text = ''.join('\n\t\t"' + ''.join(chr(b) if 32 <= b < 127 and chr(b) not in '"\\?' else f'\\{b:03o}' for b in (line + '\n').encode()) + '"' for line in lines)
        rows.append(f'\t{{ "{f.stem}", {text} }},')
    pathlib.Path(out).write_text('#include "tool.h"\n\nconst struct snippet SNIPPETS[] = {\n' + '\n'.join(rows) + '\n\t{ 0 },\n};\n')


main(*sys.argv[1:])
