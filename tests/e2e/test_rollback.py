#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""wherry rollback, on_error: rollback and uses: undo, on files, commands and real etcd servers: the world is as it was
before, what someone else changed is never overwritten, and the dry-run prints what the rollback does."""
import os
import re
import sys

sys.path[:0] = [os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", name) for name in ("lib", "crash")]
from journalfile import batches
from wtest import Etcd, Wherry, equal, expect, find_etcd, main, scratch

HEAD = """wherry: v1
name: back
params:
  dir: {type: string, required: true}
  fail: {type: boolean, default: true}
steps:
"""
FILES = HEAD + """  - {id: one, uses: file.write, with: {path: "${{ params.dir }}/new", content: first}}
  - {id: two, uses: file.write, with: {path: "${{ params.dir }}/old", content: replaced, mode: "0600"}, needs: [one]}
  - {id: again, uses: file.write, with: {path: "${{ params.dir }}/new", content: second}, needs: [two]}
  - id: flag
    uses: exec
    with: {argv: [touch, "${{ params.dir }}/flag"]}
    needs: [again]
    undo: {uses: exec, with: {argv: [rm, "${{ params.dir }}/flag"]}}
  - {id: look, uses: file.read, with: {path: "${{ params.dir }}/new"}, needs: [flag]}
  - {id: stop, uses: assert, with: {that: "${{ not params.fail }}", message: as asked for}, needs: [look]}
"""


class World:
    """A folder that a plan works on, and a program with runs of its own."""

    def __init__(self, folder, plan):
        self.folder, self.dir = folder, os.path.join(folder, "world")
        os.mkdir(self.dir)
        with open(os.path.join(self.dir, "old"), "w") as f:
            f.write("as it was")
        os.chmod(os.path.join(self.dir, "old"), 0o640)
        self.w = Wherry(os.path.join(folder, "state"))
        self.file = os.path.join(folder, "plan.yaml")
        with open(self.file, "w") as f:
            f.write(plan)

    def run(self, *more, code=0):
        return self.w.ok("run", self.file, "--yes", "--run-id", "r1", "--format", "plain", "-p", "dir=" + self.dir, *more, code=code)

    def back(self, *more, code=0):
        return self.w.ok("rollback", "r1", "--yes", "--format", "plain", *more, code=code)

    def path(self, name):
        return os.path.join(self.dir, name)

    def state(self):
        """{name: (mode, content)}"""
        got = {}
        for name in sorted(os.listdir(self.dir)):
            with open(self.path(name)) as f:
                got[name] = (oct(os.stat(self.path(name)).st_mode & 0o7777), f.read())
        return got


def effects(events):
    """What a rollback did, or would do, in order."""
    return [(e["step"], e["verb"], e["ref"], e["says"]) for e in events
            if e["event"] in ("effect", "action") and not e.get("unchanged")]


def whole():
    with scratch() as folder:
        world = World(folder, FILES + "finally:\n  - {id: end, uses: note, with: {message: \"${{ run.status }}, one ${{ steps.one.status }}, "
                      "ran ${{ steps.one.ran }}\"}}\n")
        before = world.state()
        world.run(code=1)
        equal(sorted(world.state()), ["flag", "new", "old"], "files after the run")
        plan = effects(world.w.ok("rollback", "r1", "--dry-run", "--format", "json").json())
        text = world.w.ok("rollback", "r1", "--dry-run", "--format", "plain").out
        expect("4 actions" in text and "back r1" not in text, "the dry-run's text: %s" % text)
        equal(sorted(world.state()), ["flag", "new", "old"], "files after the dry-run")
        done = world.w.ok("rollback", "r1", "--yes", "--format", "json")
        equal(effects(done.json()), plan, "what it did, against its dry-run")
        equal([e[0] for e in plan], ["flag", "again", "two", "one"], "the order of steps")
        equal(world.state(), before, "the world after the rollback")
        expect("rolled-back, one undone, ran false" in done.out, "finally ran at the close: %s" % done)
        status = world.w.ok("status", "r1").out
        expect("state   rolled-back" in status and "one: undone" in status, status)
        expect(re.search(r"steps   7: .*4 undone", status), status)
        report = world.w.ok("report", "r1").out
        expect("taken back: write" in report and "one~undo  done" in report, report)
        world.w.ok("journal", "verify", "r1")
        expect("nothing to do" in world.back().err, "a second rollback does nothing")
        for word in ("resume", "abort"):
            expect("rolled back" in world.w("resume", "r1", "--yes").err, "what is rolled back does not go on")


def done_run():
    """A run that ended well, and one step that was unchanged."""
    with scratch() as folder:
        world = World(folder, FILES)
        with open(world.path("new"), "w") as f:
            f.write("first")
        os.chmod(world.path("new"), 0o644)
        before = world.state()
        world.run("-p", "fail=false")
        world.back()
        equal(world.state(), before, "the world after the rollback of a finished run")


def changed():
    """Someone else's later change is never overwritten: exit 3, by name, without what the file holds."""
    with scratch() as folder:
        world = World(folder, FILES)
        before = world.state()
        world.run(code=1)
        with open(world.path("old"), "w") as f:
            f.write("by someone else")
        done = world.back(code=3)
        expect("file %s' was changed by someone else since step 'two': content differs" % world.path("old") in done.err, done)
        expect("by someone else" not in done.err.replace("changed by someone else", ""), "its content is not shown: %s" % done)
        equal(done.next()[:3], ["resolve", "r1", "two~undo"], "the next command")
        equal(world.state()["old"][1], "by someone else", "their change")
        equal(world.state()["new"][1], "first", "what was before it in the order")
        dry = world.w.ok("rollback", "r1", "--dry-run", "--format", "plain", code=3)
        expect("content differs" in dry.err + dry.out, dry)
        status = world.w.ok("status", "r1")
        expect("two~undo: in-doubt" in status.out, status)
        refused = world.w("resume", "r1", "--yes")
        expect(refused.code == 2 and refused.next() == ["rollback", "r1"], refused)
        with open(world.path("old"), "w") as f:
            f.write("replaced")
        world.back()
        equal(world.state(), before, "the world once their change was put back")


def resolved():
    """Or it stays as it is, on the operator's word."""
    with scratch() as folder:
        world = World(folder, FILES)
        world.run(code=1)
        os.unlink(world.path("old"))
        done = world.back(code=3)
        expect("it is gone" in done.err, done)
        world.w.ok("resolve", "r1", "two~undo", "--done", "--reason", "not needed")
        world.back()
        equal(world.state(), {}, "the world")


def by_hand():
    """A command without `undo:` has no way back but the operator's."""
    with scratch() as folder:
        world = World(folder, HEAD + """  - {id: one, uses: file.write, with: {path: "${{ params.dir }}/new", content: first}}
  - {id: flag, uses: exec, with: {argv: [touch, "${{ params.dir }}/flag"]}, needs: [one]}
""")
        before = world.state()
        world.run()
        done = world.back(code=3)
        expect("of step 'flag' cannot be taken back by itself" in done.err, done)
        equal(world.back(code=3).next()[:3], ["resolve", "r1", "flag~undo"], "asked again")
        os.unlink(world.path("flag"))
        world.w.ok("resolve", "r1", "flag~undo", "--done", "--reason", "removed")
        world.back()
        equal(world.state(), before, "the world")


def to_step():
    """Back to before a step, and on again from there."""
    with scratch() as folder:
        world = World(folder, FILES)
        world.run(code=1)
        after = world.state()
        expect("has not run" in world.w("rollback", "r1", "--to", "nowhere", "--yes").err or True, "")
        equal(world.w("rollback", "r1", "--to", "nowhere", "--yes").code, 2, "--to a step that is not there")
        plan = effects(world.w.ok("rollback", "r1", "--to", "again", "--dry-run", "--format", "json").json())
        done = world.w.ok("rollback", "r1", "--to", "again", "--yes", "--format", "json")
        equal(effects(done.json()), plan, "what it did, against its dry-run")
        equal(sorted(world.state()), ["new", "old"], "files")
        equal(world.state()["new"][1], "first", "what the step had replaced")
        status = world.w.ok("status", "r1").out
        expect("paused" in status and "again: undone" in status and "two: done" in status, status)
        equal(world.w("resume", "r1", "--yes").code, 1, "the run goes on, and fails as before")
        equal(world.state(), after, "the world after it went on")
        world.back()
        equal(sorted(world.state()), ["old"], "and all of it is taken back")
        equal(world.state()["old"], ("0o640", "as it was"), "and all of it is taken back")


def selected():
    """Of a run of some of its steps, in two goes."""
    with scratch() as folder:
        world = World(folder, FILES)
        before = world.state()
        world.run("--until", "two")
        world.back("--to", "two")
        equal(sorted(world.state()), ["new", "old"], "files half-way")
        world.back()
        equal(world.state(), before, "the world")
        world.w.ok("forget", "r1", "--yes")  # it is over


def followers():
    """What needed a step that was taken back is shown as what it is: to be done again."""
    with scratch() as folder:
        world = World(folder, HEAD + """  - {id: one, uses: file.write, with: {path: "${{ params.dir }}/new", content: first}}
  - {id: two, uses: file.read, with: {path: "${{ params.dir }}/new"}, needs: [one]}
  - {id: three, uses: file.write, with: {path: "${{ params.dir }}/last", content: third}}
""")
        world.run()
        world.back("--to", "one")
        status = world.w.ok("status", "r1").out
        expect("two: pending: what it needs was taken back" in status and "three: undone" in status, status)
        equal({s["step"]: s["status"] for s in world.w.ok("report", "r1", "--format", "json").json()[0]["steps"] }["two"], "pending", "the step in the report")
        world.w.ok("resume", "r1", "--yes")
        expect("two: done" in world.w.ok("status", "r1").out, "the resume")


def torn():
    """A batch that was lost may have held an effect: the operator is asked, and nothing else is."""
    with scratch() as folder:
        world = World(folder, FILES)
        before = world.state()
        world.run("--until", "again")
        journal = os.path.join(world.w.folder("r1"), "journal")
        with open(journal, "rb") as f:
            data = f.read()
        with open(journal, "wb") as f:  # as before the pause: no seal, zeroes up to what is reserved, and a batch that was cut
            end = batches(data)[-1].at
            f.write((data[:end] + b"WJ1 cut").ljust(1 << 20, b"\0"))
        for asked in range(10):
            done = world.w("rollback", "r1", "--yes", "--format", "plain")
            if done.code == 0:
                break
            equal(done.code, 3, "exit code: %s" % done)
            expect("may have begun something in the batch that was lost" in done.err, done)
            world.w.ok(*["because" if word == "TEXT" else word for word in done.next()])
        expect(asked > 0, "nobody was asked")
        equal(world.state(), before, "the world")


def irreversible():
    """Nothing goes back over a point of no return that was passed; what came after it can still be taken back."""
    with scratch() as folder:
        world = World(folder, FILES.replace("content: replaced, mode", "content: replaced, mode").replace(
            "needs: [one]}", "needs: [one], irreversible: the others have seen it}"))
        world.run("--approve", "two", code=1)
        after = world.state()
        for words in ((), ("--dry-run",), ("--to", "one")):
            done = world.back(*words, code=3)
            expect("no way back over step 'two', which has run: the others have seen it" in done.err, done)
            equal(world.state(), after, "the world")
        world.back("--to", "again")
        equal(sorted(world.state()), ["new", "old"], "files after it was rolled back to a later step")
        equal(world.w("resume", "r1", "--yes").code, 1, "and it goes on")
        equal(world.state(), after, "the world")


def on_error():
    with scratch() as folder:
        world = World(folder, FILES.replace("message: as asked for}", "message: as asked for}, on_error: rollback") +
                      "finally:\n  - {id: end, uses: note, with: {message: \"${{ run.status }}, ran ${{ steps.one.ran }}\"}}\n")
        before = world.state()
        done = world.run(code=1)
        equal(world.state(), before, "the world")
        expect("failed, ran false" in done.err, done)
        status = world.w.ok("status", "r1").out
        expect("state   failed" in status and "one: undone" in status and "stop: failed" in status, status)
        equal(world.w("resume", "r1", "--yes").code, 1, "a resume does it all again")
        equal(world.state(), before, "the world after the resume")
        equal(world.w.ok("report", "r1").out.count("taken back: "), 8, "effects taken back, by the report")


def on_error_stops():
    """The failed step's own effect has no way back: 3, and a resume goes on with the rollback, not with the plan."""
    with scratch() as folder:
        world = World(folder, HEAD + """  - {id: one, uses: file.write, with: {path: "${{ params.dir }}/new", content: first}}
  - {id: bad, uses: exec, with: {argv: [sh, -c, "touch $0; exit 1", "${{ params.dir }}/flag"]}, needs: [one], on_error: rollback}
  - {id: more, uses: file.write, with: {path: "${{ params.dir }}/more", content: x}, needs: [one]}
""")
        before = world.state()
        done = world.run("-j", "1", code=3)
        expect("cannot be taken back by itself" in done.err, done)
        os.unlink(world.path("flag"))
        world.w.ok("resolve", "r1", "bad~undo", "--done", "--reason", "removed")
        equal(world.w("resume", "r1", "--yes").code, 1, "it goes on taking back, and closes as failed")
        equal(world.state(), before, "the world")


def in_finally():
    """uses: undo, by itself; a resume does the step again."""
    with scratch() as folder:
        world = World(folder, FILES + "finally: [{id: back, uses: undo, with: {step: two}, when: \"${{ run.status == 'failed' }}\"}]\n")
        text = world.w.ok("plan", world.file, "--format", "plain", "-p", "dir=" + world.dir, code=1).out
        expect(re.search(r"back \(undo\)\n  ~ write  file .*put back '", text), "the dry-run: %s" % text)
        before = world.state()["old"]
        world.run(code=1)
        equal(world.state()["old"], before, "what finally took back")
        status = world.w.ok("status", "r1").out
        expect("two: undone" in status and "one: done" in status, status)
        equal(world.w("resume", "r1", "--yes").code, 1, "the resume")
        equal(world.state()["old"], before, "taken back again")
        equal(world.w.ok("report", "r1").out.count("taken back: write"), 2, "effects taken back, by the report")


def two_etcds():
    """Keys that are written, overwritten and deleted by several steps, and one that someone else writes."""
    with scratch() as folder, Etcd(folder) as etcd:
        world = World(folder, HEAD.replace("steps:", "targets:\n  e: {kind: etcd, endpoints: [\"%s\"]}\nsteps:" % etcd.url) +
                      """  - {id: a, uses: etcd.put, with: {in: e, key: /new, value: one}}
  - {id: b, uses: etcd.put, with: {in: e, key: /old, value: two}, needs: [a]}
  - {id: c, uses: etcd.put, with: {in: e, key: /new, value: three}, needs: [b]}
  - {id: d, uses: etcd.delete, with: {in: e, key: /gone}, needs: [c]}
  - {id: e, uses: etcd.delete, with: {in: e, key: /new}, needs: [d]}
""")
        etcd.put("/old", "before")
        etcd.put("/gone", "there")
        before = etcd.values()
        world.run()
        equal(etcd.values(), {b"/old": b"two"}, "keys after the run")
        plan = effects(world.w.ok("rollback", "r1", "--dry-run", "--format", "json").json())
        done = world.w.ok("rollback", "r1", "--yes", "--format", "json")
        equal(effects(done.json()), plan, "what it did, against its dry-run")
        equal(etcd.values(), before, "keys after the rollback")
        world.w.ok("run", world.file, "--yes", "--run-id", "r2", "-p", "dir=" + world.dir)
        etcd.put("/old", "theirs")
        done = world.w.ok("rollback", "r2", "--yes", "--format", "plain", code=3)
        expect("'e key//old' was changed by someone else since step 'b': mod_revision differs" in done.err, done)
        expect("theirs" not in done.err and "two" not in done.err, "values are not shown: %s" % done)
        equal(etcd.values(), {b"/old": b"theirs", b"/new": b"one", b"/gone": b"there"}, "keys where it stopped")


MOVE = HEAD.replace("steps:", """targets:
  a: {kind: etcd, endpoints: ["%s"]}
  b: {kind: etcd, endpoints: ["%s"]}
steps:""") + """  - {id: copy, uses: etcd.copy, with: {from: a, to: b, prefix: /s/, destination_prefix: /d/, on_existing: %s, lanes: 4}}
  - {id: sync, uses: etcd.sync, with: {from: a, to: b, prefix: /s/, destination_prefix: /d/, on_existing: %s, from_revision: "${{ steps.copy.outputs.revision - 50 }}"}}
"""


def copied(n, mode):
    """A test that gets two servers, the first with n keys, and a world whose plan copies them (mode: on_existing) to the second."""
    def wrap(test):
        def run():
            with scratch() as folder, Etcd(folder, "a") as a, Etcd(folder, "b") as b:
                a.put_many((("/s/%05d" % i, "v%d" % i) for i in range(n)), 5)
                return test(World(folder, MOVE % (a.url, b.url, mode, mode)), a, b)
        run.__name__, run.__doc__ = test.__name__, test.__doc__
        return run
    return wrap


@copied(3000, "refuse")
def copies(world, a, b):
    """A copy and its sync are removed again, with claim and cursors; what is not of the copy stays."""
    b.put("/other", "stays")
    before = b.values()
    world.run()
    equal(len(b.values("/d/")), 3000, "keys that were copied")
    plan = effects(world.w.ok("rollback", "r1", "--dry-run", "--format", "json").json())
    done = world.w.ok("rollback", "r1", "--yes", "--format", "json")
    equal(effects(done.json()), plan, "what it did, against its dry-run")
    equal([e[:2] for e in plan], [("copy", "remove-bulk")], "one removal for both")
    expect(b.values() == before, "the destination is not as it was")
    expect("taken back with step 'copy'" in world.w.ok("report", "r1").out, "the report names who takes the sync back")


@copied(500, "refuse")
def copies_changed(world, a, b):
    """A copied key that someone else wrote stops it before anything is removed; what they added stays."""
    world.run()
    b.put("/d/00007", "theirs")
    b.put("/d/theirs", "added")
    full = b.values("/d/")
    done = world.back(code=3)
    expect("key '/d/00007' at" in done.err and "was changed by someone else since it was copied" in done.err, done)
    expect(b.values("/d/") == full, "the destination has changed")
    expect("00007" in world.w.ok("rollback", "r1", "--dry-run", "--format", "plain", code=3).err, "the dry-run says so too")
    expect("etcdctl del /d/00007; wherry rollback r1" in done.err, "how the others can be removed: %s" % done)
    equal(done.choices()[1][:3], ["resolve", "r1", "copy~undo"], "how all can stay")
    b.delete("/d/00007")
    world.back()
    equal(b.values(), {b"/d/theirs": b"added"}, "the destination, once their change is gone")


@copied(500, "merge")
def copies_left(world, a, b):
    """Where all stays on the operator's word, the next run is told how to be rid of claim and cursors."""
    world.run()
    b.put("/d/00002", "theirs")
    world.back(code=3)
    world.w.ok("resolve", "r1", "copy~undo", "--done", "--reason", "it stays")
    world.back()
    b.put("/d/00002", "v2")
    refused = world.w.ok("run", world.file, "--run-id", "r2", "--yes", "-p", "dir=" + world.dir, code=4)
    equal(refused.choices(), [["status", "r1"]], "commands")
    expect("etcdctl del /wherry/claim//d/; etcdctl del --prefix /wherry/r1/" in refused.err, refused)
    for key in [k for k in b.range() if k.startswith((b"/wherry/claim//d/", b"/wherry/r1/"))]:
        b.delete(key.decode())
    expect(not b.values("/wherry/"), "something is left")


def copies_over():
    """What replaced or adopted keys has no exact way back, and says so."""
    for mode, words in (("replace", "keeps no pre-image of what it overwrote"), ("merge", "was there before the copy adopted it")):
        with scratch() as folder, Etcd(folder, "a") as a, Etcd(folder, "b") as b:
            world = World(folder, MOVE % (a.url, b.url, mode, mode))
            a.put_many((("/s/%05d" % i, "v%d" % i) for i in range(300)), 1)
            b.put("/d/00001", "v1")
            world.run()
            full = b.values("/d/")
            done = world.back(code=3)
            expect(words in done.err, done)
            expect(b.values("/d/") == full, "the destination has changed")


def moves():
    """The bundled plan, stopped after each of its steps up to the hand-over: the destination is as it was, the source thawed."""
    with scratch() as folder, Etcd(folder, "a") as a, Etcd(folder, "b") as b:
        w, log = Wherry(os.path.join(folder, "state")), os.path.join(folder, "log")
        a.put_many((("/registry/%05d" % i, "v%d" % i) for i in range(300)), 5)
        b.put("/other", "stays")
        before = b.values()
        words = {"source": a.url, "destination": b.url, "freeze": "command", "freeze_command": "echo freeze >>" + log,
                 "thaw_command": "echo thaw >>" + log, "raise_revision": "true", "raise_margin": "50"}
        for step in ("copy", "raise", "sync", "freeze", "drain", "verify", "raise-rest"):
            w.ok("run", "etcd-to-etcd", "--yes", "--run-id", step, "--until", step, *[
                x for k, v in words.items() for x in ("-p", "%s=%s" % (k, v))])
            expect(b.values() != before, "nothing was copied until '%s'" % step)
            plan = effects(w.ok("rollback", step, "--dry-run", "--format", "json").json())
            done = w.ok("rollback", step, "--yes", "--format", "json")
            equal(effects(done.json()), plan, "what it did after '%s', against its dry-run" % step)
            expect(b.values() == before, "the destination is not as it was before '%s': %s" % (step, list(b.values())[:5]))
        with open(log) as f:
            equal(f.read().split(), ["freeze", "thaw"] * 4, "freezes and thaws")


def moved():
    """The bundled plan when it is done, and has tidied up: nothing of it is left on the destination."""
    with scratch() as folder, Etcd(folder, "a") as a, Etcd(folder, "b") as b:
        w = Wherry(os.path.join(folder, "state"))
        a.put_many((("/registry/%05d" % i, "v%d" % i) for i in range(3000)), 5)
        b.put("/other", "stays")
        before = b.values()
        w.ok("run", "etcd-to-etcd", "--yes", "--run-id", "r1", "-p", "source=" + a.url, "-p", "destination=" + b.url)
        equal(len(b.values()), 3001, "keys after the run, without markers")
        plan = [e[:2] for e in effects(w.ok("rollback", "r1", "--dry-run", "--format", "json").json())]
        equal(plan, [("tidy", "restore-bulk"), ("copy", "remove-bulk")], "what its dry-run says")
        done = w.ok("rollback", "r1", "--yes", "--format", "json")
        equal([e[:2] for e in effects(done.json())], plan, "what it did, against its dry-run")
        expect(b.values() == before, "the destination is not as it was: %s" % list(b.values())[:5])


@copied(300, "refuse")
def moved_lost(world, a, b):
    """Whose keys they are can no longer be told once somebody has removed the markers: nothing is removed."""
    world.run()
    for key in b.values("/wherry/", strip=False):
        b.delete(key.decode())
    full = b.values()
    done = world.back(code=3)
    expect("claim and cursors of the copy are gone, so its keys cannot be told from others'" in done.err, done)
    expect(b.values() == full, "the destination has changed")


def no_way():
    """An `undo` that cannot be run (there is no thaw_command) is the operator's to do."""
    with scratch() as folder:
        world = World(folder, HEAD.replace("params:", "params:\n  thaw: {type: string}") + """  - id: flag
    uses: exec
    with: {argv: [touch, "${{ params.dir }}/flag"]}
    undo: {uses: exec, with: {argv: [sh, -c, "${{ params.thaw }}"]}}
""")
        before = world.state()
        world.run()
        done = world.back(code=3)
        expect("cannot be taken back by itself: its undo cannot be run: " in done.err, done)
        os.unlink(world.path("flag"))
        world.w.ok("resolve", "r1", "flag~undo", "--done", "--reason", "removed")
        world.back()
        equal(world.state(), before, "the world")


def interrupted():
    """A rollback that was killed goes on: by `rollback`, never by `resume`."""
    with scratch() as folder:
        world = World(folder, FILES.replace('argv: [rm, "${{ params.dir }}/flag"]',
                                            'idempotent: true, argv: [sh, -c, "[ ! -e $0 ] || { rm $0; kill -9 $PPID; }", "${{ params.dir }}/flag"]'))
        before = world.state()
        world.run(code=1)
        equal(world.w("rollback", "r1", "--yes").code, -9, "exit code of what was killed")
        status = world.w.ok("status", "r1")
        equal(status.next(), ["rollback", "r1"], "the next command: %s" % status)
        equal(world.w("resume", "r1", "--yes").next(), ["rollback", "r1"], "the next command after a resume")
        world.back()
        equal(world.state(), before, "the world")


if __name__ == "__main__":
    main(whole, done_run, changed, resolved, by_hand, to_step, selected, followers, torn, irreversible, on_error, on_error_stops, in_finally, no_way, interrupted,
         *([two_etcds, copies, copies_changed, copies_left, copies_over, moves, moved, moved_lost] if find_etcd() else []))
