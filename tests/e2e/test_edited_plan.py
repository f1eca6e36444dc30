#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Edited plans: a run that has begun goes on with another text. A corpus of edits with what becomes of each step, and what is
then done: finished steps stay finished, what is done again is done once, what is left behind can be taken back."""
import os
import shutil
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from test_gates import Terminal
from wtest import Wherry, equal, expect, main, scratch

PLAN = """wherry: v1
name: base
summary: what is edited
params:
  dir: {type: path, required: true}
  word: {type: string, default: w, help: a word}
  pass: {type: string, secret: true, env: BASE_PASS}
targets:
  web: {kind: http, url: "http://127.0.0.1:9/"}
steps:
  # the first
  - {id: a, uses: file.write, with: {path: "${{ params.dir }}/a", content: "${{ params.word }}"}}
  - {id: b, uses: file.write, needs: [a], with: {path: "${{ params.dir }}/b", content: "b"}}
  - {id: c, uses: exec, needs: [b], with: {argv: [sh, -c, "echo c >>$0/log", "${{ params.dir }}"], idempotent: true}}
  - {id: d, uses: exec, needs: [c], with: {argv: [sh, -c, "echo d >>$0/log", "${{ params.dir }}"]}}
  - {id: s, uses: exec, when: "${{ params.word == 'other' }}", with: {argv: [sh, -c, "echo s >>$0/log", "${{ params.dir }}"]}}
  - {id: v, uses: set, needs: [a], with: {values: {x: "${{ steps.a.outputs.sha256 }}", n: 3}}}
  - {id: p, uses: exec, needs: [a], with: {argv: ["true"], read_only: true, env: {PASS: "${{ params.pass }}"}}}
  - {id: ok, uses: confirm, needs: [d, s, v, p], with: {message: "Go on?"}}
  - {id: e, uses: file.write, needs: [ok], timeout: 5m, with: {path: "${{ params.dir }}/e", content: e}}
  - {id: f, uses: exec, needs: [e], with: {argv: [sh, -c, "echo f >>$0/log", "${{ params.dir }}"]}}
finally:
  - {id: z, uses: file.write, with: {path: "${{ params.dir }}/z", content: z}}
outputs: {x: "${{ steps.v.outputs.x }}"}
"""
FINISHED = ("a", "b", "c", "d", "s", "v", "p")
B = '  - {id: b, uses: file.write, needs: [a], with: {path: "${{ params.dir }}/b", content: "b"}}\n'
D = '  - {id: d, uses: exec, needs: [c], with: {argv: [sh, -c, "echo d >>$0/log", "${{ params.dir }}"]}}\n'
E_ = '  - {id: e, uses: file.write, needs: [ok], timeout: 5m, with: {path: "${{ params.dir }}/e", content: e}}\n'
C_ON = {"c": "redo", "d": "redo"}
B_ON = {"b": "redo", **C_ON}
A_ON = {"a": "redo", **B_ON, "v": "redo", "p": "redo"}

# name, what is replaced by what, verdicts other than "keep" of what has finished and "to do" of the rest, notes
EDITS = (
    # nothing that matters
    ("a comment", [("# the first", "# the very first\n  # of all")], {}),
    ("a help text", [("help: a word", "help: another text")], {}),
    ("the summary", [("what is edited", "what was edited")], {}),
    ("the order of steps", [(B, ""), (D, D + B)], {}),
    ("the order of the keys of a step", [("{id: a, uses: file.write, with", "{uses: file.write, id: a, with")], {}),
    ("the order of inputs", [('{path: "${{ params.dir }}/b", content: "b"}', '{content: "b", path: "${{ params.dir }}/b"}')], {}),
    ("the order of needs", [("needs: [d, s, v, p]", "needs: [p, v, s, d]")], {}),
    ("blanks", [("with: {path", "with:   {path")], {}),
    ("another kind of quotes", [('content: "b"', "content: 'b'")], {}),
    ("no quotes", [('content: "b"', "content: b")], {}),
    ("another layout", [(E_, "  - id: e\n    uses: file.write\n    needs:\n      - ok\n    timeout: 5m\n    with:\n"
                         "      path: ${{ params.dir }}/e\n      content: e\n")], {}),
    ("a time written otherwise", [("timeout: 5m", "timeout: 300s")], {}),
    ("a default written out", [('content: "b"}', 'content: "b", mode: 0644}')], {}),
    ("a default of a parameter, which the run keeps", [("default: w,", "default: other,")], {}),
    ("an expression as its value", [('content: "${{ params.word }}"', "content: w")], {}),
    ("an expression written otherwise", [('"${{ params.dir }}/b"', "\"${{ params.dir .. '/b' }}\"")], {}),
    ("a parameter that nobody uses", [("params:\n", "params:\n  more: {type: string, default: x}\n")], {}),
    ("a need of a finished step on another finished one", [("id: d, uses: exec, needs: [c]", "id: d, uses: exec, needs: [c, v]")],
     {"d": "keep"}),
    ("a need less of a finished step", [("id: d, uses: exec, needs: [c]", "id: d, uses: exec, needs: [b]")], {"d": "keep"}),
    ("a time-out of a finished step", [("needs: [a], with: {values", "needs: [a], timeout: 1m, with: {values")], {"v": "keep"}),
    # finished steps
    ("an input of a file", [('content: "b"', 'content: "B"')], B_ON),
    ("a path", [('{{ params.dir }}/b"', '{{ params.dir }}/b2"')], B_ON),
    ("an input by an expression", [('content: "b"', 'content: "${{ run.id }}"')], B_ON),
    ("the first of all", [('content: "${{ params.word }}"', "content: other")], A_ON),
    ("a new input", [('content: "b"}', 'content: "b", mode: "0600"}')], B_ON),
    ("a command that is idempotent", [("echo c >>", "echo C >>")], C_ON),
    ("a command that is not", [("echo d >>", "echo D >>")], {"d": "redo"}),
    ("another type", [('uses: file.write, needs: [a], with: {path: "${{ params.dir }}/b", content: "b"}',
                       'uses: exec, needs: [a], with: {argv: ["true"]}')], B_ON),
    ("a command becomes idempotent", [('"echo d >>$0/log", "${{ params.dir }}"]}', '"echo d >>$0/log", "${{ params.dir }}"], idempotent: true}')],
     {"d": "redo"}),
    ("a value that others might read", [("n: 3}", "n: 4}")], {"v": "redo"}),
    ("a value in place of an output", [('x: "${{ steps.a.outputs.sha256 }}"', "x: none")], {"v": "redo"}),
    ("what a secret goes to", [("env: {PASS:", "env: {WORD:")], {"p": "redo"}),
    ("a secret for a plain text", [('{PASS: "${{ params.pass }}"}', "{PASS: plain}")], {"p": "redo"}),
    ("a finished step has a condition now, which does not hold", [("id: c, uses: exec,", "id: c, uses: exec, when: false,")], {"c": "keep"}),
    ("a skipped step is not skipped any more", [("params.word == 'other'", "params.word == 'w'")], {"s": "redo"}),
    ("a skipped step is skipped for another reason", [("params.word == 'other'", "params.word == 'third'")], {"s": "keep"}),
    ("what a skipped step would have done", [("echo s >>", "echo S >>")], {}),
    ("a finished step needs a new one", [("id: d, uses: exec, needs: [c]", "id: d, uses: exec, needs: [c, n]"),
                                         (B, B + '  - {id: n, uses: exec, with: {argv: ["true"]}}\n')], {"n": "new", "d": "redo"}),
    ("an undo for a finished step", [("needs: [c], with", "needs: [c], undo: {uses: exec, with: {argv: [\"true\"]}}, with")], {"d": "keep"}),
    ("no way back from a finished step", [("needs: [c], with", "needs: [c], irreversible: no, with")], {"d": "keep"}),
    # steps that come and go
    ("a new step at the end", [("finally:", '  - {id: n, uses: exec, needs: [f], with: {argv: ["true"]}}\nfinally:')], {"n": "new"}),
    ("a new step before the gate", [("needs: [d, s, v, p]", "needs: [d, s, v, p, n]"),
                                    (D, D + '  - {id: n, uses: exec, with: {argv: ["true"]}}\n')], {"n": "new", "ok": "changed"}),
    ("a finished step is taken out", [(D, ""), ("needs: [d, s, v, p]", "needs: [c, s, v, p]")], {"d": "orphaned", "ok": "changed"}),
    ("a finished step in the middle is taken out", [(B, ""), ("needs: [b]", "needs: [a]")], {"b": "orphaned", "c": "keep"}),
    ("a finished step has another name", [("id: d,", "id: dd,"), ("needs: [d, s, v, p]", "needs: [dd, s, v, p]")],
     {"dd": "new", "d": "orphaned", "ok": "changed"}),
    ("a step that only looks is taken out", [("  - {id: p, uses: exec, needs: [a], with: {argv: [\"true\"], read_only: true, env: {PASS: \"${{ params.pass }}\"}}}\n", ""),
                                             ("needs: [d, s, v, p]", "needs: [d, s, v]")], {"p": "gone", "ok": "changed"}),
    ("a step that has not begun is taken out", [(E_, ""), ("needs: [e]", "needs: [ok]")], {"e": "gone", "f": "changed"}),
    # steps that have not begun
    ("what is still to be done", [("echo f >>", "echo F >>")], {"f": "changed"}),
    ("a condition of what is to be done", [("needs: [e], with", "needs: [e], when: false, with")], {"f": "changed"}),
    ("a time-out of what is to be done", [("timeout: 5m", "timeout: 6m")], {"e": "changed"}),
    ("a guard of what is to be done", [("needs: [e], with", "needs: [e], guard: [p], with")], {"f": "changed"}),
    ("no way back from what is to be done", [("needs: [e], with", "needs: [e], irreversible: no, with")], {"f": "changed"}),
    ("a question", [("Go on?", "Go on now?")], {"ok": "changed"}),
    ("what is done in the end", [("content: z", "content: zz")], {"z": "changed"}),
    # the rest of the plan
    ("a target's address", [("127.0.0.1:9/", "127.0.0.1:10/")], {}, ["target 'web' is reached otherwise"]),
    ("a target that nobody uses", [("targets:\n", "targets:\n  more: {kind: http, url: \"http://127.0.0.1:9/\"}\n")], {}),
    ("the plan's outputs", [("outputs: {x:", "outputs: {y:")], {}, ["the outputs of the plan are others"]),
    ("the plan's name", [("name: base", "name: other")], {}, ["the plan is called 'other' now, and was 'base'"]),
)


class World:
    def __init__(self, folder, text=PLAN):
        self.folder, self.text, self.edits = folder, text, 0
        self.w = Wherry(os.path.join(folder, "state"), env={"BASE_PASS": "sesame"})

    def path(self, name):
        return os.path.join(self.folder, name)

    def read(self, name):
        try:
            with open(self.path(name)) as f:
                return f.read()
        except FileNotFoundError:
            return None

    def write(self, name, text):
        with open(self.path(name), "w") as f:
            f.write(text)

    def plan(self, *edits):
        """The plan's text with these edits, as a file; the next ones build on it."""
        for old, new in edits:
            expect(old in self.text, "'%s' is not in the plan" % old)
            self.text = self.text.replace(old, new, 1)
        self.edits += 1
        self.write("plan-%d.yaml" % self.edits, self.text)
        return self.path("plan-%d.yaml" % self.edits)

    def begin(self, code=3, **more):
        done = self.w("run", self.plan(), "--yes", "--run-id", "one", "-p", "dir=" + self.folder, **more)
        equal(done.code, code, str(done))
        return self

    def resume(self, *more, code=0, **options):
        done = self.w("resume", "one", *more, **options)
        equal(done.code, code, str(done))
        return done

    def edit(self, *edits, code=0, words=("--accept-plan-change",), **options):
        return self.resume("--plan", self.plan(*edits), *words, code=code, **options)


def with_world(fn):
    def test():
        with scratch() as folder:
            fn(World(folder))
    test.__name__, test.__doc__ = fn.__name__, fn.__doc__
    return test


def said(done):
    """{step: verdict} and the notes, from JSON."""
    verdicts = {e["step"]: e["verdict"] for e in done.json() if e["event"] == "edit" and e["step"]}
    return verdicts, [e["why"] for e in done.json() if e["event"] == "edit" and not e["step"]]


@with_world
def corpus(world):
    """Each edit has its verdicts; where anything matters nothing goes on unasked, and nothing is done or changed by the question."""
    world.begin()
    log, wrong = world.read("log"), []
    journal = world.w.ok("journal", "dump", "one").out
    for name, edits, verdicts, *rest in EDITS:
        world.text = PLAN
        done = world.w("resume", "one", "--plan", world.plan(*edits), "--format", "json")
        got, notes = said(done)
        want = {**{s: "keep" for s in FINISHED}, **verdicts}
        explained = [s for s in FINISHED if verdicts.get(s) == "keep"]  # named although it stays
        free = not rest and all(v == "keep" for v in want.values()) and not explained
        if (got, notes, done.code) != (want, rest[0] if rest else [], 3 if free else 5):
            wrong.append("%s: %s %s, exit code %s; wanted %s; %s" % (name, {k: v for k, v in got.items() if want.get(k) != v}, notes, done.code,
                                                                 {k: v for k, v in want.items() if got.get(k) != v}, done.err[-600:]))
        if not free:
            equal(world.w.ok("journal", "dump", "one").out, journal, "the journal after a question (%s)" % name)
        journal = world.w.ok("journal", "dump", "one").out
    expect(not wrong, "%d of %d edits:\n%s" % (len(wrong), len(EDITS), "\n".join(wrong)))
    expect(len(EDITS) >= 50, "only %d edits" % len(EDITS))
    equal(world.read("log"), log, "what was done meanwhile")
    equal(len({e[0] for e in EDITS}), len(EDITS), "edits by name")


APPROVED = ("--approve", "ok")


@with_world
def done_again(world):
    """What is redone is done once more, what follows from it too, and all else not at all; a further resume knows the new plan."""
    world.begin()
    done = world.edit(("echo c >>", "echo C >>"), code=5)
    expect("step 'd' would be done again ('c', which it needs, is done again), which may do harm" in done.err, str(done))
    equal(done.next()[:3] + done.next()[-2:], ["resume", "one", "--plan", "--redo", "d"], "the next command")
    equal(world.read("log"), "c\nd\n", "what was done")
    done = world.edit(words=("--redo", "d"), code=5)
    expect("nobody has accepted that; nothing was done" in done.err and "--accept-plan-change" in done.err, str(done))
    world.edit(words=("--redo", "d", "--accept-plan-change"), code=3)
    equal(world.read("log"), "c\nd\nC\nd\n", "what was done")
    os.unlink(world.path("plan-1.yaml"))
    world.resume(*APPROVED)
    equal(world.read("log"), "c\nd\nC\nd\nf\n", "what was done")
    report = world.w.ok("report", "one").out
    expect("plan" in report and "2 redo" in report, report)


@with_world
def asked(world):
    """At a terminal it is shown and asked; --yes is no answer to that. No is no, and leaves nothing behind."""
    world.begin()
    plan = world.plan(("echo f >>", "echo F >>"))
    equal(world.w("resume", "one", "--plan", plan, "--yes").code, 5, "exit code with --yes")
    for answer, code in (("n", 2), ("", 2), ("y", 0)):
        t = Terminal(world, "resume", "one", "--plan", plan, *APPROVED)
        t.until("changed   f: its input 'argv' is another one")
        t.until("go on with run one so? [y/N]")
        t.type(answer + "\n")
        equal(t.end(), code, "exit code after '%s'; %s" % (answer, t.shown))
        equal(" plan " in world.w.ok("journal", "dump", "one").out, code == 0, "an edit is on record after '%s'" % answer)
    equal(world.read("log"), "c\nd\nF\n", "what was done")


@with_world
def rolled_back(world):
    """What was done twice is taken back twice, and what the first plan did goes with it."""
    begin, end = PLAN.index("  - {id: c,"), PLAN.index("  - {id: ok,")
    world.text = PLAN[:begin] + PLAN[end:PLAN.index("outputs: {x")].replace("needs: [d, s, v, p]", "needs: [b]")
    world.begin()
    world.edit(('content: "b"', 'content: "B"'), ("{{ params.dir }}/a", "{{ params.dir }}/aa"), code=3)
    equal([world.read(n) for n in ("a", "aa", "b")], ["w", "w", "B"], "files after the edit")
    world.w.ok("rollback", "one", "--yes")
    equal([world.read(n) for n in ("a", "aa", "b")], [None, None, None], "files after the rollback")


@with_world
def left_as_it_is(world):
    """A finished step that is edited may be kept, by name; the next edit does not ask about it again."""
    world.begin()
    done = world.edit(("echo d >>", "echo D >>"), words=("--keep", "a", "--accept-plan-change"), code=2)
    expect("--keep 'a': that step is not to be done again" in done.err, str(done))
    done = world.edit(words=("--redo", "nobody"), code=2)
    expect("--redo 'nobody': that step is in neither plan" in done.err, str(done))
    done = world.edit(words=("--keep", "d", "--accept-plan-change"), code=3)
    expect("keep      d: because you say so, although its input 'argv' is another one" in done.err, str(done))
    world.edit(("Go on?", "Go?"), ("echo f", "echo F"), code=3)
    world.resume(*APPROVED)
    equal(world.read("log"), "c\nd\nF\n", "what was done")


@with_world
def taken_out(world):
    """Steps that are taken out leave what they did, named; a rollback takes it back, also after further edits, and in order."""
    world.begin()
    done = world.edit((B, ""), ("needs: [b]", "needs: [a]"), code=3)
    expect("orphaned  b: what it did stands: 'file %s'; wherry rollback takes it back" % world.path("b") in done.err, str(done))
    equal(world.read("b"), "b", "what the orphan did")
    world.edit(("echo f >>", "echo F >>"), code=3)
    done = world.w("resume", "one", "--plan", world.plan((E_, ""), ("needs: [e]", "needs: [ok]")), "--accept-plan-change")
    expect("orphaned  b" in done.err and "gone      e" in done.err, str(done))
    text = world.w.ok("status", "one").out
    expect("b: done" in text, text)
    for step in ("d", "c"):
        done = world.w("rollback", "one", "--yes")
        equal(done.code, 3, str(done))
        world.w.ok("resolve", "one", step + "~undo", "--done", "--reason", "by hand")
    done = world.w("rollback", "one", "--yes")
    equal(done.code, 0, str(done))
    equal([world.read(n) for n in ("a", "b")], [None, None], "files after the rollback")


@with_world
def taken_out_and_put_back(world):
    """A step that comes back as it was is kept: it was done once."""
    world.begin()
    world.edit((D, ""), ("needs: [d, s, v, p]", "needs: [s, v, p]"), code=3)
    world.text = PLAN
    done = world.edit(code=3)
    expect("keep      d" in done.err, str(done))
    world.resume(*APPROVED)
    equal(world.read("log"), "c\nd\nf\n", "what was done")


@with_world
def same_plan(world):
    """The plan of the run is no edit, and needs nobody's word; one with another comment neither, and is the run's from then on."""
    world.begin()
    world.edit(words=(), code=3)
    expect(" plan " not in world.w.ok("journal", "dump", "one").out, "the same text is on record as an edit")
    done = world.edit(("# the first", "# the last"), words=(), code=3)
    expect("nothing that matters is another" in done.err, str(done))
    expect("plan" in world.w.ok("report", "one").out, "the report")
    with open(os.path.join(world.w.folder("one"), "plan", "2%2Fmain.yaml")) as f:
        equal(f.read(), world.text, "the stored text")
    world.resume(*APPROVED)
    equal(world.read("log"), "c\nd\nf\n", "what was done")


FAILING = PLAN.replace('{argv: [sh, -c, "echo d >>$0/log", "${{ params.dir }}"]}', '{argv: [sh, -c, "echo d >>$0/log; exit 1", "${{ params.dir }}"]}')


@with_world
def failed(world):
    """A step fails, the plan is mended, the run goes on with it: the usual reason for an edit."""
    world.text = FAILING
    world.begin(code=1)
    equal(world.read("z"), "z", "what finally did")
    world.edit(("; exit 1", ""), words=("--accept-plan-change", *APPROVED))
    equal(world.read("log"), "c\nd\nd\nf\n", "what was done")


@with_world
def failed_beside(world):
    """A step failed and others go on: with an edit it gets another turn, and so does what it had blocked."""
    world.text = PLAN.replace(D, D + '  - {id: x, uses: exec, on_error: continue, with: {argv: ["false"], idempotent: true}}\n'
                              '  - {id: y, uses: exec, needs: [x], with: {argv: [sh, -c, "echo y >>$0/log", "${{ params.dir }}"]}}\n'
                              '  - {id: yy, uses: exec, needs: [y], with: {argv: [sh, -c, "echo yy >>$0/log", "${{ params.dir }}"]}}\n')
    world.begin()
    expect("yy: blocked" in world.w.ok("status", "one").out, "the status")
    world.edit(('["false"]', '["true"]'), words=("--accept-plan-change", *APPROVED))
    equal(sorted(world.read("log").split()), ["c", "d", "f", "y", "yy"], "what was done")


@with_world
def failed_with_effects(world):
    """A step that failed after some of its effects, and is edited: what it has done is past, and not taken for what it shall do."""
    text = PLAN.replace(D, '  - {id: d, uses: file.write, needs: [c, x], with: {path: "${{ params.dir }}/d", content: one}}\n'
                           '  - {id: x, uses: exec, with: {argv: [test, -e, "${{ params.dir }}/x"], read_only: true}}\n')
    world.text = text
    world.begin(code=1)
    world.edit(("content: one", "content: two"), code=1)
    world.write("x", "")
    world.resume(*APPROVED)
    equal(world.read("d"), "two", "what was written")


@with_world
def killed(world):
    """Killed at any time while the edit is taken up: the run has the old plan or the new one, and nothing is done twice."""
    world.begin()
    plan = world.plan(("content: \"b\"", 'content: "B"'), ("echo c >>", "true >>"), (D, ""), ("needs: [d, s, v, p]", "needs: [c, s, v, p]"))
    state = world.path("state")
    shutil.copytree(state, world.path("before"))
    for delay in (0.0, 0.002, 0.004, 0.006, 0.008, 0.01, 0.015, 0.02, 0.03, 0.05):
        shutil.rmtree(state)
        shutil.copytree(world.path("before"), state)
        world.write("b", "b")
        p = world.w.start("resume", "one", "--plan", plan, "--accept-plan-change", *APPROVED, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(delay)
        p.send_signal(signal.SIGKILL)
        p.wait()
        for _ in range(50):  # a child that was just being started may hold the lock a little longer
            done = world.w("resume", "one", "--plan", plan, "--accept-plan-change", *APPROVED)
            if done.code != 4:
                break
            time.sleep(0.05)
        if done.code == 3:
            expect("in doubt" in str(done) and "'f'" in str(done), str(done))
            continue
        expect(done.code == 0 or (done.code == 2 and "comes too late" in done.err), str(done))
        equal([world.read("b"), world.read("e")], ["B", "e"], "files after a kill at %s" % delay)


@with_world
def in_doubt(world):
    """What is in doubt cannot be edited or taken out before it is settled; with the rest edited it settles as ever."""
    world.text = PLAN.replace('"echo d >>$0/log"', '"echo d >>$0/log; kill -9 $$"')
    world.begin(code=3)
    for edits in ([("; kill -9 $$", "")], [('  - {id: d,', '  - {id: dd,'), ("[d, s", "[dd, s")]):
        done = world.edit(*edits, code=3)
        expect("step 'd' is in doubt, and " in done.err and "settled with the plan as it was" in done.err, str(done))
        world.text = PLAN.replace('"echo d >>$0/log"', '"echo d >>$0/log; kill -9 $$"')
    world.w.ok("resolve", "one", "d", "--done", "--reason", "seen")
    world.edit(("echo f >>", "echo F >>"), words=("--accept-plan-change", *APPROVED))
    equal(world.read("log"), "c\nd\nF\n", "what was done")


@with_world
def parameters(world):
    """New parameters have their defaults or are given; the run keeps those that it has, and a later resume knows them all."""
    world.begin()
    edits = [("params:\n", "params:\n  more: {type: string, required: true}\n"), ('"echo f >>$0/log"', '"echo $1 >>$0/log"'),
             ('"${{ params.dir }}"]}}\nfinally', '"${{ params.dir }}", "${{ params.more }}"]}}\nfinally')]
    done = world.edit(*edits, code=2)
    expect("missing parameter 'more'" in done.err, str(done))
    done = world.edit(words=("--accept-plan-change", "-p", "word=x", "-p", "more=y"), code=2)
    expect("the run keeps the parameters that it began with" in done.err, str(done))
    world.edit(words=("--accept-plan-change", "-p", "more=given"), code=3)
    world.resume(*APPROVED)
    equal(world.read("log"), "c\nd\ngiven\n", "what was done")


@with_world
def refused(world):
    """What cannot be an edit: a wrong plan, a target of another kind, a run that is over, words without a plan."""
    world.begin()
    done = world.edit(("uses: set", "uses: sett"), code=2)
    expect("did you mean" in done.err, str(done))
    world.text = PLAN
    done = world.edit(('web: {kind: http, url: "http://127.0.0.1:9/"}', 'web: {kind: etcd, endpoints: ["http://127.0.0.1:9"]}'), code=5)
    expect("target 'web' was http and is etcd" in done.err, str(done))
    for words in (["--accept-plan-change"], ["--redo", "a"], ["--keep", "a"]):
        expect("give --plan FILE" in world.resume(*words, code=2).err, "what was said")
    world.text = PLAN
    world.resume(*APPROVED)
    done = world.edit(("echo f", "echo F"), code=2)
    expect("is closed (done): an edited plan comes too late" in done.err, str(done))


PART = """wherry: v1
name: part
summary: one of many
params: {n: {type: string, required: true}, dir: {type: path, required: true}}
steps:
  - {id: x, uses: file.write, with: {path: "${{ params.dir }}/x-${{ params.n }}", content: "${{ params.n }}"}}
  - {id: l, uses: exec, needs: [x], with: {argv: [sh, -c, 'echo l$0 >>$1/log; [ $0 != b ] || { until grep -q ma $1/log; do sleep 0.02; done; exit 1; }', "${{ params.n }}", "${{ params.dir }}"]}}
  - {id: m, uses: exec, needs: [l], with: {argv: [sh, -c, 'echo m$0 >>$1/log', "${{ params.n }}", "${{ params.dir }}"]}}
outputs: {sha: "${{ steps.x.outputs.sha256 }}"}
"""
FAILS = "; [ $0 != b ] || { until grep -q ma $1/log; do sleep 0.02; done; exit 1; }"
MANY = """wherry: v1
name: many
summary: plans within a plan
params: {dir: {type: path, required: true}}
steps:
  - {id: s, uses: plan, with: {file: part.yaml, params: {n: one, dir: "${{ params.dir }}"}}}
  - {id: e, foreach: [a, b], key: "${{ item }}", needs: [s], uses: plan, with: {file: part.yaml, params: {n: "${{ item }}", dir: "${{ params.dir }}"}}}
  - {id: last, uses: file.write, needs: [e], with: {path: "${{ params.dir }}/last", content: "${{ steps.s.outputs.sha }}"}}
"""


@with_world
def children(world):
    """A plan that is run many times fails for one, is mended, and goes on: what has been done in the others stays."""
    world.text = MANY
    world.write("part.yaml", PART)
    world.begin(code=1)
    log = world.read("log").split()
    equal(sorted(log), ["la", "lb", "lone", "ma", "mone"], "what was done before")
    world.write("part.yaml", PART.replace(FAILS, ""))
    done = world.edit(code=5)
    for line in ("redo      s: the plan that it runs is another one", "redo      s/l: it is written otherwise",
                 "redo      s/m: 'l', which it needs, is done again", "changed   e: the plan that it runs is another one",
                 "redo      e[a]/l: it is written otherwise", "changed   e[b]/l: it is written otherwise"):
        expect("  " + line in done.err, "'%s' is not shown: %s" % (line, done))
    expect("step 's/l' would be done again" in done.err, str(done))
    world.edit(words=("--keep", "s", "--keep", "e[a]", "--accept-plan-change"))
    equal(sorted(world.read("log").split()), sorted(log + ["lb", "mb"]), "what was done")


@with_world
def children_redone(world):
    """A word about what holds others is about all of them; what follows from them is done again too."""
    world.write("part.yaml", PART.replace(FAILS, ""))
    world.text = MANY + "  - {id: ok, uses: confirm, needs: [last], with: {message: x}}\n"
    world.begin()
    world.write("part.yaml", PART.replace(FAILS, "").replace('content: "${{ params.n }}"', "content: other"))
    done = world.edit(code=5)
    expect("redo      last: 'e', which it needs, is done again" in done.err, str(done))
    world.edit(words=("--redo", "s", "--redo", "e", "--accept-plan-change"), code=3)
    equal([world.read(n) for n in ("x-one", "x-a", "x-b")], 3 * ["other"], "files")
    equal(sorted(world.read("log").split()), sorted(2 * ["la", "lb", "lone", "ma", "mb", "mone"]), "what was done")


@with_world
def children_taken_out(world):
    """A plan that is run no more leaves what it did, and a rollback takes it back; a step inside that did something may not go."""
    part = PART[:PART.index("  - {id: l")] + "  - {id: y, uses: file.write, with: {path: \"${{ params.dir }}/y-${{ params.n }}\", content: y}}\n" + \
        PART[PART.index("outputs"):]
    world.text = MANY + "  - {id: ok, uses: confirm, needs: [last], with: {message: x}}\n"
    world.write("part.yaml", part)
    world.begin()
    world.write("part.yaml", PART[:PART.index("  - {id: l")] + PART[PART.index("outputs"):])
    done = world.edit(code=5)
    expect("step 's/y' has done something, and is not in its plan any more" in done.err, str(done))
    world.write("part.yaml", part)
    begin = MANY.index("  - {id: s,")
    done = world.edit((MANY[begin:MANY.index("  - {id: e,")], ""), ("needs: [s], ", ""), ("${{ steps.s.outputs.sha }}", "x"),
                      ("[a, b]", "[b, c, a]"), code=3)
    expect("orphaned  s: what it did stands: 'file %s' and 1 more" % world.path("x-one") in done.err, str(done))
    equal([world.read(n) for n in ("x-one", "y-one", "x-a", "y-b", "y-c")], ["one", "y", "a", "y", "y"], "files")
    world.w.ok("rollback", "one", "--yes")
    equal([n for n in os.listdir(world.folder) if n[:2] in ("x-", "y-") or n == "last"], [], "files after the rollback")


if __name__ == "__main__":
    main(children, children_redone, children_taken_out, corpus, done_again, asked, rolled_back, left_as_it_is, taken_out, taken_out_and_put_back, same_plan, failed, failed_beside, failed_with_effects, killed, in_doubt,
         parameters, refused)
