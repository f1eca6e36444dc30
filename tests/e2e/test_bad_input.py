#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Bad input, row by row: exit code (the table of `wherry help exit-codes`) and the whole message, pinned in tests/golden/.

Each golden file is what an operator sees: the command, the exit code, stdout and stderr, with folders, ports, ids and times
made the same for every run. UPDATE_GOLDEN=1 writes them anew, for a person to look through.
"""
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from wtest import SOURCE, Wherry, equal, expect, golden, main, scratch

BROKEN = os.path.join(SOURCE, "tests", "golden", "broken")
TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z"


def same(text, *replaced):
    """What differs from run to run, by a name."""
    for old, new in replaced:
        text = text.replace(old, new)
    text = re.sub(TIME, "TIME", text)
    text = re.sub(r"\bpid \d+", "pid PID", text)
    text = re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:PORT", text)
    return re.sub(r"/(?:[^\s'/:]+/)+(wherry|plans|tests)/", r"…/\1/", text) if SOURCE in text else text


def told(done, words, *replaced):
    """Everything a command said, as a golden text."""
    text = "$ wherry %s\nexit code %s\n" % (" ".join(words), done.code)
    for title, stream in (("stdout", done.out), ("stderr", done.err)):
        if stream:
            text += "-- %s\n%s" % (title, stream if stream.endswith("\n") else stream + "\n")
    return same(text, *replaced)


def broken_plans():
    """Rows 2-6, 8-13: every broken plan is refused with 2, each mistake with its place and what was meant."""
    names = sorted(n[:-5] for n in os.listdir(BROKEN) if n.endswith(".yaml"))
    expect(len(names) >= 60, "only %d broken plans" % len(names))
    with scratch() as folder:
        w = Wherry(folder)
        for name in names:
            done = w("validate", os.path.join(BROKEN, name + ".yaml"), timeout=10)
            equal(done.code, 2, str(done))
            golden("broken/%s.txt" % name, told(done, ["validate", name + ".yaml"], (BROKEN + "/", "")))


def twenty():
    """Twenty mistakes in one plan give twenty lines."""
    with scratch() as folder:
        done = Wherry(folder)("validate", os.path.join(BROKEN, "twenty-mistakes.yaml"))
    lines = re.findall(r"twenty-mistakes\.yaml:(\d+):\d+: ", done.err)
    equal(len(lines), 20, str(done))


if __name__ == "__main__":
    main(broken_plans, twenty)
