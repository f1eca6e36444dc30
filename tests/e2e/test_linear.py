#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What must not grow with the square of the steps, counted: the bytes of its journal that a run reads while its children are
taken back, one by one. (Of the rest, tests/bench/run has the times.)"""
import os
import re
import shutil
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from wtest import Wherry, equal, expect, is_sanitized, main, scratch

OUTER = """wherry: v1
name: outer
steps:
  - {id: e, uses: plan, on_error: continue, key: "${{ item }}", foreach: [%s], with: {file: inner.yaml, params: {k: "${{ item }}"}}}
"""
INNER = """wherry: v1
name: inner
params: {k: {type: string, required: true}}
steps:
  - {id: a, uses: file.write, with: {path: "%s/${{ params.k }}", content: x}}
"""
FAILS = INNER + "  - {id: b, uses: assert, needs: [a], with: {that: \"${{ false }}\", message: m}, on_error: rollback}\n"
UNDOES = INNER + "finally:\n  - {id: back, uses: undo, with: {step: a}}\n"
CHILDREN = 40


def bytes_read(inner, code):
    """Of the run that has so many children with something to take back, and the length of its journal."""
    with scratch() as folder:
        world, log = os.path.join(folder, "world"), os.path.join(folder, "trace")
        os.mkdir(world)
        for name, text in (("outer", OUTER % ", ".join("k%d" % i for i in range(CHILDREN))), ("inner", inner % world)):
            with open(os.path.join(folder, name + ".yaml"), "w") as f:
                f.write(text)
        w = Wherry(os.path.join(folder, "state"), prefix=["strace", "-f", "-qq", "-o", log, "-e", "trace=pread64"])
        w.ok("run", os.path.join(folder, "outer.yaml"), "--run-id", "r", "--yes", "-q", code=code)
        equal(os.listdir(world), [], "files that were not taken back")
        with open(log) as f:
            got = sum(map(int, re.findall(r" = (\d+)$", f.read(), re.M)))
        return got, os.path.getsize(os.path.join(w.folder("r"), "journal"))


def taken_back():
    """By on_error: rollback and by uses: undo: all of the journal is read once, not once a child."""
    if shutil.which("strace") is None or is_sanitized():
        return "no strace, or a sanitized build"
    for inner, code in ((FAILS, 1), (UNDOES, 0)):
        got, length = bytes_read(inner, code)
        expect(length > CHILDREN * 2048, "a journal of %d bytes" % length)
        expect(got < 2 * length, "%d bytes were read of a journal of %d" % (got, length))
    return None


if __name__ == "__main__":
    main(taken_back)
