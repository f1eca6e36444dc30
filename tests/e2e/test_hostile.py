#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The command line as a hostile user meets it: bad plans, bad surroundings, commands that misbehave, signals, junk servers."""
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from wtest import Wherry, equal, expect, in_world, main

HEAD = b"wherry: v1\nname: t\nsummary: A test.\n"


class World:
    """A state folder and a place for plans."""

    def __init__(self, folder):
        self.folder, self.w = folder, Wherry(os.path.join(folder, "state"))

    def plan(self, body, head=HEAD, name="plan.yaml"):
        with open(self.path(name), "wb") as f:
            f.write(head + (body if isinstance(body, bytes) else body.encode()))
        return self.path(name)

    def path(self, *names):
        return os.path.join(self.folder, *names)

    def lines(self, name):
        return open(self.path(name)).read().split() if os.path.exists(self.path(name)) else []


with_world = in_world(World)


GOOD = "steps:\n  - {id: a, uses: set, with: {values: {x: 1}}}\n"


@with_world
def documents(world):
    """What is no plan is refused with 2 and its place, whatever it is, and quickly."""
    os.mkfifo(world.path("fifo"))
    for path in (world.path("fifo"), world.folder, world.path("none"), "/dev/zero", ""):
        equal(world.w("validate", path).code, 2, path)
    for name, head, body, wanted in (
            ("nothing", b"", b"", "no steps"), ("a comment", b"", b"# x\n", "no steps"),
            ("two documents", HEAD, GOOD + "---\n" + GOOD, "second document"), ("a tab", HEAD, "steps:\n\t- {id: a}\n", "tabs"),
            ("depth", b"", b"[" * (1 << 20), "deeper than 64"), ("an alias of itself", HEAD, "steps: &a [*a]\n", "not allowed"),
            ("a merge key", HEAD, "steps:\n  - {<<: {id: a}, uses: set}\n", "merge keys"), ("a tag", HEAD, "steps: !!x [1]\n", "tags"),
            ("NUL", HEAD, b"steps:\n  - {id: a\0, uses: set}\n", "U+0000"), ("\\0", HEAD, 'steps:\n  - {id: "a\\0", uses: set}\n', "NUL"),
            ("UTF-16", b"", (HEAD.decode() + GOOD).encode("utf-16"), "not UTF-8"), ("a byte order mark", b"\xef\xbb\xbf" + HEAD, GOOD, "byte order"),
            ("an unknown part of retry", HEAD, "steps:\n  - {id: a, uses: set, on_error: x, retry: {frob: 1}, with: {values: {x: 1}}}\n", "'frob'"),
            ("a mistyped output", HEAD, "steps:\n  - {id: a, uses: exec, with: {argv: [x]}}\n"
             '  - {id: b, uses: set, with: {values: {x: "${{ steps.a.outputs.stdot }}"}}}\n', "did you mean 'stdout'")):
        done = world.w("validate", world.plan(body, head), timeout=10)
        equal(done.code, 2, "%s: %s" % (name, done))
        expect(wanted in done.err, "%s: no '%s' in: %s" % (name, wanted, done))


@with_world
def once(world):
    """A command that is not idempotent is not run again unasked: not by retry, and not when someone killed it."""
    plan = world.plan("defaults: {retry: {attempts: 3, backoff: 1ms}}\nsteps:\n"
                      '  - {id: a, uses: exec, with: {argv: [sh, -c, "echo a >>%s; exit 1"]}}\n' % world.path("log"))
    done = world.w("run", plan, "--yes")
    equal((done.code, world.lines("log")), (1, ["a"]), str(done))
    expect("not tried again" in done.err, str(done))
    plan = world.plan('steps:\n  - {id: a, uses: exec, with: {argv: [sh, -c, "echo b >>%s; kill -9 $$"]}}\n' % world.path("log"))
    done = world.w("run", plan, "--yes", "--run-id", "killed")
    equal((done.code, done.next()[:3]), (3, ["resolve", "killed", "a"]), str(done))
    equal(world.w("resume", "killed", "--yes").code, 3, "resume in doubt")
    equal(world.lines("log"), ["a", "b"], "effects")
    plan = world.plan('steps:\n  - {id: a, uses: exec, retry: {attempts: 3, backoff: 1ms}, with: {idempotent: true, '
                      'argv: [sh, -c, "echo c >>%s; kill -9 $$"]}}\n' % world.path("log"))
    equal((world.w("run", plan, "--yes").code, world.lines("log")), (1, ["a", "b", "c", "c", "c"]), "what is idempotent")


@with_world
def skipped_outputs(world):
    """Each output of a skipped step is null; where that cannot stand, the message says so, with its place."""
    plan = world.plan("steps:\n  - {id: a, uses: set, when: false, with: {values: {x: 1}}}\n"
                      '  - {id: b, uses: assert, with: {that: "${{ steps.a.outputs.x == nil }}", message: not null}}\n'
                      '  - {id: c, uses: sleep, needs: [b], with: {for: "${{ steps.a.outputs.x }}"}}\n')
    done = world.w("run", plan, "--yes")
    equal(done.code, 2, str(done))
    expect("b: done" in done.err and "plan.yaml:7:" in done.err and "value is null" in done.err, str(done))
    done = world.w("plan", plan)
    equal((done.code, done.next()), (2, ["plan", plan]), "the dry-run: %s" % done)


@with_world
def places(world):
    """The next command holds the --state that it needs; who else can write to a run's folder cannot have us run it; limits end with 6."""
    plan, state = world.plan('steps:\n  - {id: a, uses: exec, with: {argv: [sh, -c, "kill -9 $$"]}}\n'), world.path("a place")
    done = world.w("run", plan, "--yes", "--run-id", "one", "--state", state)
    equal((done.code, done.next()[:5]), (3, ["--state", state, "resolve", "one", "a"]), str(done))
    equal(world.w("status", "--state", state).next(), done.next(), "what status says")
    done = world.w.ok("resolve", "one", "a", "--not-done", "--reason", "seen", "--state", state)
    equal(done.next(), ["--state", state, "resume", "one"], str(done))
    os.chmod(os.path.join(state, "one"), 0o777)
    equal(world.w(*done.next(), "--yes").code, 6, "resume of what others can write")
    for size in (1, 512, 100000):  # 0 would end a sanitized build inside of its runtime
        limited = Wherry(world.path("state%d" % size), prefix=["prlimit", "--fsize=%d" % size])
        done = limited("run", world.plan(GOOD), "--yes")
        equal(done.code, 6, "a limit of %d bytes a file: %s" % (size, done))


@with_world
def selection(world):
    """A selection that cannot run makes no run; when its steps are done, resume goes on with what was left out."""
    plan = world.plan("steps:\n" + "".join(
        "  - {id: s%d, uses: exec, needs: [%s], with: {argv: [sh, -c, 'echo s%d >>%s']}}\n" % (i, "s%d" % (i - 1) if i else "", i, world.path("log"))
        for i in range(4)))
    done = world.w("run", plan, "--yes", "--run-id", "one", "--only", "s2")
    equal((done.code, world.w.ok("runs").out), (2, ""), str(done))
    done = world.w("run", plan, "--yes", "--until", "s1", "--only", "s3")
    expect(done.code == 2 and "none in common" in done.err and world.w.ok("runs").out == "", str(done))
    done = world.w.ok("run", plan, "--yes", "--run-id", "one", "--until", "s1")
    equal((world.lines("log"), done.next()), (["s0", "s1"], ["resume", "one"]), str(done))
    equal(world.w("resume", "one", "--yes", "--only", "s3").code, 2, "a step whose need is left out")
    world.w.ok(*done.next(), "--yes")
    equal(world.lines("log"), ["s0", "s1", "s2", "s3"], "effects of all")


@with_world
def outputs(world):
    """What cannot be written is told; a report never replaces what is no file."""
    plan = world.plan(GOOD)
    world.w.ok("run", plan, "--yes", "--run-id", "one")
    with open("/dev/full", "w") as full:
        for args in (["plan", plan], ["status", "one"], ["steps"]):
            equal(subprocess.run(world.w.argv(args), env=world.w.env, stdout=full, stderr=subprocess.DEVNULL).returncode, 6, args)
    os.symlink(world.path("elsewhere"), world.path("link"))
    open(world.path("elsewhere"), "w").close()
    world.w.ok("report", "one", "-o", world.path("link"))
    expect(os.path.islink(world.path("link")) and world.lines("elsewhere")[:2] == ["run", "one"], "the link was replaced")


if __name__ == "__main__":
    main(documents, once, skipped_outputs, places, selection, outputs)
