#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Children under way: items and plans within plans run, stop, go on, are taken back and taken back by themselves; an item is
known by its key alone."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from wtest import Etcd, Wherry, equal, expect, find_etcd, main, scratch

HEAD = """wherry: v1
name: outer
params:
  dir: {type: string, required: true}
"""
INNER = """wherry: v1
name: inner
params:
  dir: {type: string, required: true}
  name: {type: string, required: true}
steps:
  - {id: write, uses: file.write, with: {path: "${{ params.dir }}/${{ params.name }}", content: "of ${{ params.name }}"}}
  - id: check
    uses: exec
    with: {argv: [sh, -c, "[ ! -e \\"$0\\" ]", "${{ params.dir }}/bad.${{ params.name }}"], read_only: true}
    needs: [write]
    ON_ERROR
  - {id: log, uses: exec, with: {argv: [sh, -c, "echo $0 >>$1", "${{ params.name }}", "${{ params.dir }}/log"]}, needs: [check], undo: {uses: exec, with: {argv: [sh, -c, "echo undo-$0 >>$1", "${{ params.name }}", "${{ params.dir }}/log"]}}}
finally:
  - {id: tidy, uses: exec, with: {argv: [sh, -c, "echo tidy-$0-$2 >>$1", "${{ params.name }}", "${{ params.dir }}/log", "${{ run.status }}"], idempotent: true}}
outputs: {name: "${{ params.name }}"}
"""
MOVE = HEAD + """steps:
  - id: move
    foreach: [a, b, c]
    key: ${{ item }}
    uses: plan
    with: {file: inner.yaml, params: {dir: "${{ params.dir }}", name: "${{ item }}"}}
    on_error: continue
  - {id: after, uses: note, with: {message: "${{ count(steps.move.items, 'status', 'done') }} of ${{ #steps.move.items }}"}, needs: [move?]}
"""


class World:
    def __init__(self, folder, plan, **others):
        self.dir = os.path.join(folder, "world")
        os.mkdir(self.dir)
        self.w = Wherry(os.path.join(folder, "state"))
        self.file = os.path.join(folder, "outer.yaml")
        for name, text in {"outer": plan, **others}.items():
            with open(os.path.join(folder, name + ".yaml"), "w") as f:
                f.write(text)

    def run(self, *more, code=0):
        return self.w.ok("run", self.file, "--yes", "--run-id", "r1", "--format", "plain", "-p", "dir=" + self.dir, *more, code=code)

    def rewrite(self, plan):
        with open(self.file, "w") as f:
            f.write(plan)

    def resume(self, *more, code=0):
        return self.w.ok("resume", "r1", "--yes", "--format", "plain", *more, code=code)

    def path(self, name):
        return os.path.join(self.dir, name)

    def touch(self, name):
        open(self.path(name), "w").close()

    def log(self):
        if not os.path.exists(self.path("log")):
            return []
        with open(self.path("log")) as f:
            return f.read().split()

    def files(self):
        return sorted(name for name in os.listdir(self.dir) if "log" not in name and "bad" not in name)

    def plan(self, code=0):
        return self.w.ok("plan", self.file, "-p", "dir=" + self.dir, code=code)


def inner(on_error=""):
    return INNER.replace("ON_ERROR", "on_error: " + on_error if on_error else "")


def one_fails():
    """The others go on; the one that failed is taken back by itself, closes, and is done again by a resume."""
    with scratch() as folder:
        world = World(folder, MOVE, inner=inner("rollback"))
        world.touch("bad.b")
        done = world.run("-j", "2", code=1)
        expect("1 of 3 items failed, first 'b'" in done.err and "after: 2 of 3" in done.err, str(done))
        equal(world.files(), ["a", "c"], "files")
        equal(sorted(world.log()), ["a", "c", "tidy-a-done", "tidy-b-failed", "tidy-c-done"], "log")
        os.unlink(world.path("bad.b"))
        done = world.resume()
        expect("after: 3 of 3" in done.err, str(done))
        equal(world.files(), ["a", "b", "c"], "files")
        equal(sorted(world.log())[:3] + world.log()[-2:], ["a", "b", "c", "b", "tidy-b-done"], "log")


def stops():
    """A failure without on_error starts no further item, nor one that waits for a pool; what was not begun is begun by the
    resume."""
    pooled = MOVE.replace("steps:", "pools: {one: 1}\nsteps:", 1).replace("    on_error: continue\n", "    pool: one\n")
    for plan, jobs in ((MOVE.replace("    on_error: continue\n", ""), "1"), (pooled, "3")):
        with scratch() as folder:
            world = World(folder, plan, inner=inner())
            world.touch("bad.a")
            world.run("-j", jobs, code=1)
            equal(world.files(), ["a"], "files")
            os.unlink(world.path("bad.a"))
            world.resume("-j", jobs)
            equal([x for x in world.log() if "tidy" not in x], ["a", "b", "c"], "log")


def by_key():
    """Killed in mid-list; then items are put in, taken out and moved: every item once, none takes over another's work."""
    item = """  - id: each
    foreach: %s
    key: ${{ item }}
    uses: exec
    with: {argv: [sh, -c, 'echo $1 >>$0/log; [ $1 != c ] || [ -e $0/again ] || { touch $0/again; kill -9 $PPID; }', "${{ params.dir }}", "${{ item }}"]}
  - {id: sum, uses: set, with: {values: {n: "${{ #steps.each.items }}"}}}
outputs: {n: "${{ steps.sum.outputs.n }}"}
"""
    with scratch() as folder:
        world = World(folder, HEAD + "steps:\n" + item % "[a, b, c, d]")
        equal(world.w("run", world.file, "--yes", "--run-id", "r1", "-j", "1", "-p", "dir=" + world.dir).code, -9, "exit code")
        equal(world.log(), ["a", "b", "c"], "log")
        expect("each[c]" in world.w.ok("status", "r1").err + world.w.ok("status", "r1").out, "status names the item")
        world.rewrite(HEAD + "steps:\n" + item % "[x, d, c, b]")
        done = world.w("resume", "r1", "--yes", "-j", "1", "--plan", world.file, "--accept-plan-change", "--format", "plain")
        equal(done.code, 3, "exit code, as c is in doubt: %s" % done)
        world.w.ok("resolve", "r1", "each[c]", "--done", "--reason", "it is in the log")
        done = world.resume("-j", "1")
        equal(world.log(), ["a", "b", "c", "x", "d"], "log: %s" % done)
        expect("not in the list any more" in done.err and ": a" in done.err, "the item that is gone is named: %s" % done)
        expect("n: 4" in done.out, "items: %s" % done)


def orphans():
    """What an item has done that the list has no more is taken back with the rest."""
    part = HEAD.replace("outer", "part").replace("params:", "params:\n  name: {type: string, required: true}") + """steps:
  - {id: write, uses: file.write, with: {path: "${{ params.dir }}/${{ params.name }}", content: x}}
  - {id: check, uses: exec, with: {argv: [test, -e, "${{ params.dir }}/bad.${{ params.name }}"], read_only: true}, needs: [write]}
"""
    steps = """steps:
  - id: move
    foreach: %s
    key: ${{ item }}
    uses: plan
    with: {file: part.yaml, params: {dir: "${{ params.dir }}", name: "${{ item }}"}}
    on_error: continue
"""
    with scratch() as folder:
        world = World(folder, HEAD + steps % "[a, b, c]", part=part)
        world.touch("bad.a")
        world.run(code=1)
        for name in "bc":
            world.touch("bad." + name)
        world.rewrite(HEAD + steps % "[c, b, d]")
        world.touch("bad.d")
        done = world.resume("--plan", world.file, "--accept-plan-change")
        expect("not in the list any more" in done.err, str(done))
        equal(world.files(), ["a", "b", "c", "d"], "files")
        world.w("rollback", "r1", "--yes")
        equal(world.files(), [], "files after the rollback")


EACH = HEAD + """steps:
  - id: each
    foreach: %%s
    key: ${{ item }}
    uses: exec
    with: {argv: [sh, -c, 'echo $1 >>$0/log; %s', "${{ params.dir }}", "${{ item }}"]}
"""


def orphan_in_doubt():
    """An item that was under way when it left the list is asked about: nothing else looks at it any more."""
    steps = EACH % "[ $1 != b ] || kill -9 $PPID"
    with scratch() as folder:
        world = World(folder, steps % "[a, b]")
        equal(world.w("run", world.file, "--yes", "--run-id", "r1", "-j", "1", "-p", "dir=" + world.dir).code, -9, "exit code")
        world.rewrite(steps % "[a, c]")
        done = world.w("resume", "r1", "--yes", "--plan", world.file, "--accept-plan-change")
        equal((done.code, world.log()), (3, ["a", "b"]), "exit code and log: %s" % done)
        world.w.ok("resolve", "r1", "each[b]", "--done", "--reason", "it is in the log")
        world.resume()
        equal(world.log(), ["a", "b", "c"], "log")


def orphan_by_hand():
    """An undo that needs an item of which nothing is known any more is not guessed: a person is asked."""
    steps = EACH % "[ ! -e $0/bad.$1 ]" + """    undo: {uses: exec, with: {argv: [sh, -c, 'echo undo-$1 >>$0/log', "${{ params.dir }}", "${{ item }}"]}}
"""
    with scratch() as folder:
        world = World(folder, steps % "[a, b]")
        world.touch("bad.b")
        world.run("-j", "1", code=1)
        world.rewrite(steps % "[c]")
        world.resume("--plan", world.file, "--accept-plan-change")
        for code, gone in ((3, "b"), (3, "a"), (0, None)):
            done = world.w("rollback", "r1", "--yes")
            equal(done.code, code, "exit code: %s" % done)
            if gone:
                expect("not in the list any more" in done.err, str(done))
                world.w.ok("resolve", "r1", "each[%s]~undo" % gone, "--done", "--reason", "done by hand")
        equal(world.log(), ["a", "b", "c", "undo-c"], "log")


def bad_lists():
    for items, key, says in (("[a, b, a]", "item", "items 1 and 3 have the same key 'a'"),
                             ("['a]']", "item", "holds ']'"),
                             ("['']", "item", "is empty"),
                             ("\"${{ 'a' }}\"", "item", "needs a list"),
                             ("[{n: 1}]", "item", "is a map")):
        with scratch() as folder:
            world = World(folder, HEAD + "steps:\n  - {id: each, foreach: %s, key: \"${{ %s }}\", uses: note, with: {message: x}}\n" % (items, key))
            done = world.run(code=2)
            expect(says in done.err, "%s: %s" % (says, done))


def unknown():
    """A list that only the run will know is one item in the dry-run, and says so."""
    with scratch() as folder:
        world = World(folder, HEAD + """steps:
  - {id: make, uses: exec, with: {argv: [echo, '["a","b"]']}}
  - {id: each, foreach: "${{ json.decode(steps.make.outputs.stdout) }}", key: "${{ item }}", uses: note, with: {message: "item ${{ item }}"}}
  - {id: told, uses: note, with: {message: "${{ #steps.each.items }} items"}}
""")
        done = world.plan()
        expect("each[?] (note)" in done.out and "told (note)" in done.out and "not known" in done.out, str(done))
        expect("item b" in world.run().err, "both run")


def pool():
    """Two of a pool of one are never under way at once, and -j 1 needs no pool."""
    with scratch() as folder:
        steps = """pools: {one: 1}
steps:
  - {id: each, foreach: [a, b, c, d], key: "${{ item }}", pool: one, uses: plan, with: {file: part.yaml, params: {dir: "${{ params.dir }}"}}}
  - {id: beside, pool: one, uses: exec, with: {argv: [sh, -c, 'mkdir $0/busy && sleep 0.03 && rmdir $0/busy', "${{ params.dir }}"]}}
"""
        part = HEAD.replace("outer", "part") + """steps:
  - {id: begin, uses: exec, with: {argv: [mkdir, "${{ params.dir }}/busy"]}}
  - {id: end, uses: exec, with: {argv: [rmdir, "${{ params.dir }}/busy"]}, needs: [begin]}
"""
        world = World(folder, HEAD + steps, part=part)
        world.run("-j", "8")
        world.w.ok("run", world.file, "--yes", "-j", "1", "-p", "dir=" + world.dir)


def undone():
    """`finally` takes back one step inside a child, or a whole child; a resume of the failed run does that again."""
    for step, gone in (("one/write", ["two"]), ("one", ["two"])):
        with scratch() as folder:
            world = World(folder, HEAD + """steps:
  - {id: one, uses: plan, with: {file: inner.yaml, params: {dir: "${{ params.dir }}", name: one}}}
  - {id: two, uses: plan, with: {file: inner.yaml, params: {dir: "${{ params.dir }}", name: two}}, needs: [one]}
  - {id: fail, uses: exec, with: {argv: [test, -e, "${{ params.dir }}/bad.go"], read_only: true}, needs: [two]}
finally:
  - {id: back, uses: undo, with: {step: %s}, when: "${{ run.status == 'failed' }}"}
""" % step, inner=inner())
            world.run(code=1)
            equal(world.files(), gone, "files after %s was taken back" % step)
            world.touch("bad.go")
            done = world.resume()
            equal(world.files(), ["one", "two"], "files after the resume: %s" % done)
            counts = {x: world.log().count(x) for x in ("one", "two", "undo-one", "undo-two")}
            expect(counts["one"] == 2 and counts["two"] == 2, "what followed is done again: %s" % counts)
            equal(world.w.ok("status", "r1").out.count("state   done"), 1, "state")


LOGGED = "{uses: exec, with: {argv: [sh, -c, 'echo %s >>$0/log; %s', '${{ params.dir }}'], idempotent: true}%s"


def logged(name, then="true", more=""):
    undo = ", undo: {uses: exec, with: {argv: [sh, -c, 'echo undo-%s >>$0/log', '${{ params.dir }}'], idempotent: true}}" % name
    return "  - " + (LOGGED % (name, then, undo + more + "}")).replace("{", "{id: %s, " % name, 1) + "\n"


def follows_undone():
    """What a child that failed had done after a step that `finally` took back is done again, with what that step says then."""
    part = HEAD.replace("outer", "part").replace("params:", "params:\n  name: {type: string, required: true}") + "steps:\n" + \
        logged("copy") + logged("check", "[ -e $0/bad.go ]", ", needs: [copy]")
    with scratch() as folder:
        world = World(folder, HEAD + "steps:\n" + logged("fence", "echo name >&1") + """  - id: move
    uses: plan
    with: {file: part.yaml, params: {dir: "${{ params.dir }}", name: "${{ steps.fence.outputs.stdout }}"}}
finally:
  - {id: back, uses: undo, with: {step: fence}}
""", part=part)
        world.run(code=1)
        equal(world.log(), ["fence", "copy", "check", "undo-fence"], "log")
        world.touch("bad.go")
        world.resume()
        equal(world.log()[4:], ["fence", "copy", "check", "undo-fence"], "log of the resume")
    with scratch() as folder:
        world = World(folder, HEAD + "steps:\n" + logged("fence", "echo name >&1") + """  - id: move
    uses: plan
    with: {file: part.yaml, params: {dir: "${{ params.dir }}", name: "${{ steps.fence.outputs.stdout }}"}}
finally:
  - {id: back, uses: undo, with: {step: fence}}
""", part=part)
        world.run(code=1)
        world.w.ok("rollback", "r1", "--yes")
        equal(world.log()[4:], ["undo-check", "undo-copy"], "log of the rollback")


def killed():
    """A kill is no reason to do again what has finished: neither behind a child that was taken back, nor in `finally`."""
    part = HEAD.replace("outer", "part") + "steps:\n" + logged("write") + logged("fail", "false", ", needs: [write], on_error: rollback")
    die = "if mkdir $0/once-log; then kill -9 $PPID; fi"
    with scratch() as folder:
        world = World(folder, HEAD + """steps:
  - {id: one, uses: plan, with: {file: part.yaml, params: {dir: "${{ params.dir }}"}}, on_error: continue}
""" + logged("two", more=", needs: [one?]") + logged("three", die, ", needs: [two]"), part=part)
        world.run(code=-9)
        done = world.resume(code=1)
        equal(world.log()[-4:], ["undo-write", "two", "three", "three"], "log: %s" % done)


def taken_back():
    """A rollback goes into children of every kind, finished or not, and goes back to a step inside of one."""
    with scratch() as folder:
        world = World(folder, MOVE, inner=inner())
        world.touch("bad.c")
        world.run("-j", "1", code=1)  # a before b
        equal(world.files(), ["a", "b", "c"], "files")
        shown = world.w.ok("rollback", "r1", "--dry-run")
        expect("move[a]/write" in shown.out and "move[c]/write" in shown.out, str(shown))
        world.w.ok("rollback", "r1", "--yes", "--to", "move[b]/log")
        expect("undo-b" in world.log() and os.path.exists(world.path("a")) and os.path.exists(world.path("b")), "back to a step: %s" % world.log())
        world.w.ok("rollback", "r1", "--yes")
        equal(world.files(), [], "files")
        equal(sorted(x for x in world.log() if x.startswith("undo")), ["undo-a", "undo-b"], "undone")
        expect("rolled-back" in world.w.ok("status", "r1").out, "state")


def around():
    """A failure outside, with on_error rollback, takes the children back with all else."""
    with scratch() as folder:
        world = World(folder, MOVE + """  - {id: fail, uses: assert, with: {that: false, message: as asked}, needs: [move], on_error: rollback}
""", inner=inner())
        world.run(code=1)
        equal(world.files(), [], "files")


def aborted():
    """`finally` of what is under way runs, inner before outer; what never began stays so."""
    with scratch() as folder:
        world = World(folder, MOVE.replace("[a, b, c]", "[a, b]") + """finally:
  - {id: last, uses: exec, with: {argv: [sh, -c, "echo last >>$0", "${{ params.dir }}/log"]}}
""", inner=inner().replace("needs: [check],", "needs: [gate],").replace("  - {id: log", "  - {id: gate, uses: confirm, with: {message: go on}, needs: [check]}\n  - {id: log"))
        world.run(code=3)
        equal(world.log(), [], "log of a pause")
        world.w.ok("approve", "r1", "move[a]/gate")
        world.resume(code=3)
        equal(world.log(), ["a", "tidy-a-done"], "log after one was let pass")
        world.w.ok("abort", "r1", "--yes")
        equal(world.log()[2:], ["tidy-b-aborted", "last"], "log of the abort")


FREEZE = """  - {id: freeze, uses: file.write, with: {path: "${{ params.dir }}/frozen", content: x}}
  - {id: work, uses: exec, needs: [freeze], with: {argv: [sh, -c, 'echo work >>$0/log', "${{ params.dir }}"]}, undo: {uses: exec, with: {argv: [sh, -c, 'echo back >>$0/log', "${{ params.dir }}"]}}}
"""
CHILD = """  - {id: c, uses: plan, with: {file: inner.yaml, params: {dir: "${{ params.dir }}"}}}
"""
THAW = """finally:
  - {id: thaw, uses: undo, with: {step: %s}}
  - {id: tail, uses: exec, needs: [thaw], with: {argv: [sh, -c, 'echo tail >>$0/log; [ -e $0/bad ] || { touch $0/bad; kill -9 $PPID; }', "${{ params.dir }}"], idempotent: true}}
"""
FAILS = """  - {id: fail, uses: assert, with: {that: false, message: as asked}, needs: [%s]%s}
"""


def closing():
    """Killed while a run or a child closes, behind an undo: what was taken back stays so, and nothing is done again for it."""
    for steps, undone, log, code in ((FREEZE, "freeze", ["work"], 0), (CHILD, "c", ["work", "back"], 0), (CHILD, "c/freeze", ["work"], 0),
                                     (FREEZE + FAILS % ("work", ""), "freeze", ["work"], 1),
                                     (FREEZE + FAILS % ("work", ", on_error: continue"), "freeze", ["work"], 1)):
        with scratch() as folder:
            world = World(folder, HEAD + "steps:\n" + steps + THAW % undone, inner=HEAD + "steps:\n" + FREEZE)
            equal(world.w("run", world.file, "--yes", "--run-id", "r1", "-p", "dir=" + world.dir).code, -9, "exit code")
            done = world.resume(code=code)
            equal(world.log(), log + ["tail", "tail"], "log: %s" % done)
            equal(world.files(), [], "files: %s" % done)
    with scratch() as folder:
        world = World(folder, HEAD + "steps:\n" + CHILD, inner=HEAD + "steps:\n" + FREEZE + THAW % "freeze")
        equal(world.w("run", world.file, "--yes", "--run-id", "r1", "-p", "dir=" + world.dir).code, -9, "exit code")
        done = world.resume()
        equal([world.log(), world.files()], [["work", "tail", "tail"], []], "log and files: %s" % done)


def closed_inside():
    """A child that has closed stays so over a kill further on, whatever its `finally` or its own rollback has taken back."""
    die = "  - {id: die, uses: exec, needs: [%s], with: {argv: [sh, -c, '[ -e $0/bad ] || { touch $0/bad; kill -9 $PPID; }', \"${{ params.dir }}\"], idempotent: true}}\n"
    part = HEAD + "steps:\n" + FREEZE + (THAW % "freeze").replace("[ -e $0/bad ] || { touch $0/bad; kill -9 $PPID; }", ":")
    for steps, log in ((CHILD, ["tail", "work"]), (CHILD.replace("id: c,", 'id: c, foreach: [a, b], key: "${{ item }}",'), ["tail"] * 2 + ["work"] * 2)):
        with scratch() as folder:
            world = World(folder, HEAD + "steps:\n" + steps + die % "c", inner=part)
            equal(world.w("run", world.file, "--yes", "--run-id", "r1", "-p", "dir=" + world.dir).code, -9, "exit code")
            done = world.resume()
            equal([sorted(world.log()), world.files()], [log, []], "log and files: %s" % done)
    with scratch() as folder:
        world = World(folder, MOVE + die % '"after"', inner=inner("rollback"))
        world.touch("bad.b")
        equal(world.w("run", world.file, "--yes", "--run-id", "r1", "-p", "dir=" + world.dir).code, -9, "exit code")
        log = world.log()
        os.unlink(world.path("bad.b"))
        done = world.resume(code=1)
        equal(world.log(), log, "log: %s" % done)
        done = world.resume()
        equal(world.files(), ["a", "b", "c"], "files: %s" % done)


def abort_killed():
    """An abort was killed behind its undo, and the run goes on after all: it closes as if nothing of that had been."""
    with scratch() as folder:
        steps = FREEZE.replace("needs: [freeze]", "needs: [gate]") + "  - {id: gate, uses: confirm, with: {message: on}, needs: [freeze]}\n"
        world = World(folder, HEAD + "steps:\n" + steps + THAW % "freeze")
        world.run(code=3)
        equal(world.w("abort", "r1").code, -9, "exit code")
        equal(world.files(), [], "files")
        done = world.resume("--approve", "gate")
        equal([world.log(), world.files()], [["tail", "work", "tail"], []], "log and files: %s" % done)


def handed():
    """Targets are handed in by name, and those of a child's own are its own."""
    with scratch() as folder:
        server = Etcd(folder, "store")
        try:
            world = World(folder, HEAD + """targets:
  store: {kind: etcd, endpoints: ["%s"]}
steps:
  - id: each
    foreach: [a, "b c"]
    key: ${{ item }}
    uses: plan
    with: {file: part.yaml, params: {name: "${{ item }}", url: "%s"}, targets: {to: store}}
  - {id: fail, uses: assert, with: {that: "${{ steps.each.outputs['b c'].was == nil }}", message: as asked}}
""" % (server.url, server.url), part="""wherry: v1
name: part
params: {name: {type: string, required: true}, url: {type: string, required: true}}
targets:
  to: {kind: etcd, required: true}
  own: {kind: etcd, endpoints: ["${{ params.url }}"]}
steps:
  - {id: put, uses: etcd.put, with: {in: to, key: "/to/${{ params.name }}", value: "1"}}
  - {id: mine, uses: etcd.put, with: {in: own, key: "/own/${{ params.name }}", value: "1"}, needs: [put]}
  - {id: read, uses: etcd.get, with: {in: own, key: "/to/${{ params.name }}"}, needs: [mine]}
outputs: {was: "${{ steps.read.outputs.value }}"}
""")
            world.run(code=1)
            keys = sorted(k for k in server.range())
            equal(keys, [b"/own/a", b"/own/b c", b"/to/a", b"/to/b c"], "keys")
            world.w.ok("rollback", "r1", "--yes")
            equal(list(server.range()), [], "keys after the rollback")
        finally:
            server.stop()


def told_apart():
    """The targets of children whose keys are nearly the same are not taken for each other, on the way there and back."""
    with scratch() as folder, Etcd(folder, "one") as one, Etcd(folder, "two") as two:
        world = World(folder, HEAD + """steps:
  - id: each
    foreach: [{n: a b, url: "%s"}, {n: a_b, url: "%s"}, {n: "a%%20b", url: "%s"}]
    key: ${{ item.n }}
    uses: plan
    with: {file: part.yaml, params: {url: "${{ item.url }}"}}
  - {id: fail, uses: assert, with: {that: false, message: as asked}, needs: [each]}
""" % (one.url, two.url, one.url), part="""wherry: v1
name: part
params: {url: {type: string, required: true}}
targets: {own: {kind: etcd, endpoints: ["${{ params.url }}"]}}
steps:
  - {id: put, uses: etcd.put, with: {in: own, key: /k, value: "${{ params.url }}"}}
""")
        world.run("-j", "1", code=1)
        equal([list(one.range()), list(two.range())], [[b"/k"], [b"/k"]], "keys")
        world.w.ok("rollback", "r1", "--yes")
        equal([list(one.range()), list(two.range())], [[], []], "keys after the rollback")


if __name__ == "__main__":
    main(one_fails, stops, by_key, orphans, orphan_in_doubt, orphan_by_hand, bad_lists, unknown, pool, undone, follows_undone, killed, taken_back, around, aborted, closing, closed_inside, abort_killed, *([handed, told_apart] if find_etcd() else []))
