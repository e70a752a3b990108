#!/usr/bin/env python3
"""Whether the tables of evidence are true: each row of OAuch's list has one row in oauch.md, each class of SECURITY.md one in ../README.md,
and each test that a table names exists (`a_name…` by its beginning). A row that names neither a test nor a program of tests says why: "not offered: …", "not ours: …", "decided: …"."""
import os, pathlib, re, sys

TESTS = pathlib.Path(__file__).resolve().parents[1]
WHY = re.compile(r"^(not offered|not ours|decided): .{12,}")


def known_tests():
    """name of a test -> names of the files that hold it, without their ending and folder"""
    found = {}
    for path in [*TESTS.rglob("*.c"), *TESTS.rglob("*.py"), *TESTS.rglob("*.mjs")]:
        if "node_modules" in path.parts:
            continue
        for name in re.findall(r"^\s*(?:[A-Z_]{4,}\(|(?:async )?def test_)(\w+)", path.read_text(errors="replace"), re.M):
            found.setdefault(name, set()).add(path.stem)
    return found


def programs():
    return {name for path in TESTS.rglob("meson.build") for name in re.findall(r"'([a-z][a-z0-9_]+)'", path.read_text())}


def rows(path, heading=None):
    text = path.read_text()
    if heading:
        text = text.split(heading, 1)[1]
    for line in text.splitlines():
        cells = [c.strip() for c in line.strip().strip("|").split("|")]
        if line.startswith("|") and len(cells) >= 2 and not set(cells[0]) <= set("-: "):
            yield cells[0], cells[-1]


def wrong(what, evidence, tests, files):
    names = re.findall(r"`([\w…]+)`", evidence)
    words = re.findall(r"\w+", evidence)
    if not names and not files & {*words, *(w.partition("_")[2] for w in words)} and not WHY.match(evidence):
        yield f"{what}: names no test and no reason: {evidence!r}"
    for name in names:
        stem = name.split("…")[0]
        if name not in tests and name not in files and not (name != stem and len(stem) > 8 and any(t.startswith(stem) for t in tests)):
            yield f"{what}: there is no test `{name}`"


def check(table, wanted, tests, files):
    table, bad = list(table), []
    have = [k for k, _ in table]
    bad += [f"{k}: no row" for k in wanted if k not in have]
    bad += [f"{k}: {have.count(k)} rows" for k in set(have) if have.count(k) > 1]
    bad += [f"{k}: not on the list" for k in have if wanted and k not in wanted]
    for k, evidence in table:
        bad += wrong(k, evidence, tests, files)
    return bad


def main():
    corpora = os.environ.get("MOTID_CORPORA")
    if not corpora:
        print("the corpora are not here: skipped")
        sys.exit(77)
    tests, files = known_tests(), programs()
    oauch = [line.split("\t")[0] for line in (pathlib.Path(corpora) / "oauch/oauch-tests.tsv").read_text().splitlines() if line and not line.startswith("#")]
    here = pathlib.Path(__file__).parent
    bad = check([r for r in rows(here / "oauch.md") if r[0] != "OAuch test"], oauch, tests, files)
    conformance = [r for r in rows(here / "conformance.md") if r[0] != "module"]
    bad += check(conformance, [], tests, files)
    bad += check([r for r in rows(TESTS / "README.md", "## Security classes") if r[0] != "class"], [], tests, files)
    for line in bad:
        print(line)
    print(f"{len(oauch)} rows of OAuch, {len(conformance)} modules of the certification plans, {len(tests)} tests with names")
    print(f"{0 if bad else 3} passed, {len(bad)} failed")
    sys.exit(1 if bad else 0)


main()
