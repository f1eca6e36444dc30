#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Bad plans: exit code (the table of `wherry help exit-codes`) and the whole message of each mistake, pinned in tests/golden/."""
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from told import Desk, told
from wtest import SOURCE, Wherry, equal, expect, golden, main, scratch, without_rights

BROKEN = os.path.join(SOURCE, "tests", "golden", "broken")


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


def unreadable():
    """What is no file to read, or not for us, is refused with its path and the reason; a pipe does not hang."""
    with scratch() as folder:
        desk = Desk(folder)
        desk.told("plan-missing", 2, "validate", desk.path("none.yaml"))
        desk.told("plan-no-such-name", 2, "run", "etcd-to-etc")
        desk.told("plan-folder", 2, "validate", folder)
        desk.told("plan-empty-name", 2, "run", "")
        os.mkfifo(desk.path("pipe"))
        desk.told("plan-pipe", 2, "validate", desk.path("pipe"), timeout=10)
        desk.told("plan-device", 2, "validate", "/dev/zero", timeout=10)
        os.symlink(desk.path("loop"), desk.path("loop"))
        desk.told("plan-loop", 2, "validate", desk.path("loop"))
        os.chmod(desk.file("secret.yaml", "x"), 0)
        desk.told("plan-unreadable", 2, "validate", desk.path("secret.yaml"), w=Wherry(folder, prefix=without_rights()))


HEAD = b"wherry: v1\nname: t\n"
GOOD = b"steps:\n  - {id: a, uses: set, with: {values: {x: 1}}}\n"


def bytes_of_no_plan():
    """NUL, other encodings, control and bidi characters, and what is too much of anything: refused with the place."""
    with scratch() as folder:
        desk = Desk(folder)
        for row, content in (
                ("nul", HEAD + b"steps:\n  - {id: a\0, uses: set}\n"),
                ("nul-escaped", HEAD + b'steps:\n  - {id: "a\\0b", uses: set}\n'),
                ("utf-8-cut", HEAD + b"summary: \xc3\n" + GOOD),
                ("utf-8-overlong", HEAD + b"summary: \xc0\xaf\n" + GOOD),
                ("utf-16", (HEAD + GOOD).decode().encode("utf-16")),
                ("latin-1", HEAD + "summary: Übergabe\n".encode("latin-1") + GOOD),
                ("byte-order-mark", b"\xef\xbb\xbf" + HEAD + GOOD),
                ("control-in-a-name", HEAD + b'steps:\n  - {id: "a\\e[2J", uses: set, with: {values: {x: 1}}}\n'),
                ("control-raw", HEAD + b"summary: a\x1b[2J\n" + GOOD),
                ("bidi-in-a-name", HEAD + "steps:\n  - {id: \"a\u202eb\", uses: set, with: {values: {x: 1}}}\n".encode()),
                ("bidi-in-a-key", HEAD + "\u2066frob: 1\n".encode() + GOOD),
                ("depth", b"[" * (1 << 20)),
                ("depth-of-blocks", HEAD + b"steps:\n" + b"".join(b" " * i + b"- \n" for i in range(200))),
                ("second-document", HEAD + GOOD + b"---\n" + GOOD),
                ("too-long", HEAD + GOOD + b"# %s\n" % (b"x" * 1000) * 68000),
                ("too-many-steps", HEAD + b"steps:\n" + b"".join(b"  - {id: s%d, uses: set, with: {values: {x: 1}}}\n" % i for i in range(200001))),
                ("too-long-a-line", HEAD + b"frob: " + b"x" * 100000 + b"\n" + GOOD)):
            path = desk.file(row + ".yaml", content, "wb")
            desk.told("plan-" + row, 2, "validate", path, timeout=20)
            os.remove(path)


if __name__ == "__main__":
    main(broken_plans, twenty, unreadable, bytes_of_no_plan)
