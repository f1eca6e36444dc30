#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Another wherry goes on with a run: its build matters to nobody, and a step type that means something else only to steps that
have begun and not finished. The journals are those of this build, with versions put in that it does not have."""
import os
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "lib"))
sys.path.insert(0, os.path.join(HERE, "..", "crash"))
import journalfile
from wtest import Wherry, equal, expect, main, scratch

PLAN = """wherry: v1
name: aged
summary: x
params: {dir: {type: string, required: true}}
steps:
  - {id: a, uses: file.write, with: {path: "${{ params.dir }}/a", content: a}}
  - {id: b, uses: exec, needs: [a], with: {argv: [sh, -c, "echo b >>$0/log", "${{ params.dir }}"]}}
  - {id: c, uses: exec, needs: [b], with: {argv: [sh, -c, "echo c >>$0/log; [ -e $0/go ] || kill -9 $PPID", "${{ params.dir }}"], idempotent: true}}
  - {id: d, uses: exec, needs: [c], with: {argv: [sh, -c, "echo d >>$0/log", "${{ params.dir }}"]}}
"""


class World:
    """A run that was killed while c was under way, or another one."""

    def __init__(self, folder, text=PLAN, code=-9):
        self.folder, self.w = folder, Wherry(os.path.join(folder, "state"))
        with open(os.path.join(folder, "plan.yaml"), "w") as f:
            f.write(text)
        done = self.w("run", os.path.join(folder, "plan.yaml"), "--yes", "--run-id", "one", "-p", "dir=" + folder)
        equal(done.code, code, str(done))
        open(os.path.join(folder, "go"), "w").close()

    def log(self):
        with open(os.path.join(self.folder, "log")) as f:
            return f.read().split()

    def age(self, change):
        """Its journal was written by another wherry, and its plan's image was made by that."""
        path = os.path.join(self.w.folder("one"), "journal")
        with open(path, "rb") as f:
            data = f.read()
        aged = journalfile.rewrite(data, change)
        expect(aged != data, "nothing was changed")
        with open(path, "wb") as f:
            f.write(aged)
        with open(os.path.join(self.w.folder("one"), "plan", "main.image"), "r+b") as f:
            f.write(b"0" * 64)
        return self


def another_build():
    """A run of another build is resumed: what has finished stays finished."""
    with scratch() as folder:
        world = World(folder)
        version = world.w.ok("version").out.split()[1]
        world.age(lambda body: body.replace(b'"build":"%s"' % version.encode(), b'"build":"%s"' % b"9".ljust(len(version), b"9")))
        expect("9" * len(version) in world.w.ok("report", "one").out, "the report does not name the build")
        done = world.w("resume", "one")
        equal(done.code, 0, str(done))
        equal(world.log(), ["b", "c", "c", "d"], "what was done")


def started(step):
    """The start of a step by a later version of its type."""
    def change(body):
        return re.sub(rb'("code":)\d(,"step":"%s","t":"start")' % step, rb"\g<1>9\2", body)
    return change


def of_finished_steps():
    """The types of finished steps meant something else: nobody minds."""
    with scratch() as folder:
        world = World(folder).age(lambda body: started(b"b")(started(b"a")(body)))
        equal(world.w("resume", "one").code, 0, "exit code")
        equal(world.log(), ["b", "c", "c", "d"], "what was done")


def of_a_step_under_way():
    """The type of the step that was under way meant something else: a person says how to go on."""
    with scratch() as folder:
        world = World(folder).age(started(b"c"))
        for _ in range(2):
            done = world.w("resume", "one")
            equal(done.code, 3, str(done))
            expect("step 'c': it was begun when exec was of version 9, and this wherry has version " in done.err, str(done))
        equal(world.log(), ["b", "c"], "what was done")
        world.w.ok("resolve", "one", "c", "--not-done", "--reason", "it is the same")
        done = world.w("resume", "one")
        equal(done.code, 0, str(done))
        equal(world.log(), ["b", "c", "c", "d"], "what was done")


def before_it_began():
    """A step that was started and had done nothing is begun by the new version."""
    with scratch() as folder:
        text = PLAN[:PLAN.index("  - {id: b")].replace("/a\"", "/sub/a\"")
        world = World(folder, text, 1)
        os.mkdir(os.path.join(folder, "sub"))
        world.age(started(b"a"))
        equal(world.w("resume", "one").code, 0, "exit code")


if __name__ == "__main__":
    main(another_build, of_finished_steps, of_a_step_under_way, before_it_began)
