#!/usr/bin/env python3
"""Counts what meson ran: each cmocka or unittest test by its own closing lines, any other program as one test.
Prints the closing line of tests/run; fails when something failed or nothing ran."""
import json, re, sys

def counts(row):
    text = row.get("stdout", "") + "\n" + row.get("stderr", "")
    ran = re.search(r"\[==========\] (?:\S+: )?(\d+) test\(s\) run", text)
    failed = row["result"] not in ("OK", "EXPECTEDFAIL", "SKIP")
    if ran:
        bad = re.search(r"\[  FAILED  \] (?:\S+: )?(\d+) test\(s\)", text)
        skipped = re.search(r"\[  SKIPPED \] (?:\S+: )?(\d+) test\(s\)", text)
        n, b, s = int(ran[1]), int(bad[1]) if bad else 0, int(skipped[1]) if skipped else 0
        return n - b - s, max(b, int(failed)), s
    plain = re.findall(r"^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?$", text, re.M)
    if plain:
        p, b, s = plain[-1]
        return int(p), max(int(b), int(failed)), int(s or 0)
    unit = re.search(r"^Ran (\d+) tests? in ", text, re.M)
    if unit:
        bad = sum(map(int, re.findall(r"(?:failures|errors)=(\d+)", text)))
        skipped = sum(map(int, re.findall(r"skipped=(\d+)", text)))
        return max(int(unit[1]) - bad - skipped, 0), max(bad, int(failed)), skipped
    if row["result"] == "SKIP":
        return 0, 0, 1
    return int(not failed), int(failed), 0

total = [0, 0, 0]
with open(sys.argv[1], encoding="utf-8") as log:
    for line in log:
        row = json.loads(line)
        p, f, s = counts(row)
        total = [total[0] + p, total[1] + f, total[2] + s]
        if f:
            print(f"failed: {row['name']}")
print(f"{total[0]} passed, {total[1]} failed" + (f", {total[2]} skipped" if total[2] else ""))
sys.exit(1 if total[1] or not total[0] else 0)
