#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a run with children keeps and shows: all its plans, none of its secrets, what each item made; a bundled plan as a child."""
import os
import re
import shutil
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from wtest import Etcd, Wherry, equal, expect, find_etcd, in_world, main, scratch

HEAD = "wherry: v1\nname: %s\nsummary: x\nparams: {dir: {type: path, required: true}%s}\n"
# Appends WORD to dir/log.
LOG = "uses: exec, with: {argv: [sh, -c, 'echo \"$1\" >>\"$0\"/log', \"${{ params.dir }}\", \"%s\"]%s}"


class World:
    """Plans in a folder of their own, and what their steps leave in another."""

    def __init__(self, folder):
        self.plans, self.dir = os.path.join(folder, "plans"), os.path.join(folder, "work")
        os.makedirs(os.path.join(self.plans, "parts"))
        os.mkdir(self.dir)
        self.w = Wherry(os.path.join(folder, "state"))

    def plan(self, name, text):
        with open(os.path.join(self.plans, name), "w") as f:
            f.write(text)
        return os.path.join(self.plans, name)

    def write(self, name, text):
        with open(os.path.join(self.dir, name), "w") as f:
            f.write(text)

    def read(self, name):
        with open(os.path.join(self.dir, name)) as f:
            return f.read()

    def log(self):
        return self.read("log").split() if os.path.exists(os.path.join(self.dir, "log")) else []

    def run(self, plan, *more, code=0):
        return self.w.ok("run", plan, "--run-id", "one", "--yes", "-p", "dir=" + self.dir, *more, code=code)


with_world = in_world(World)


@with_world
def items(world):
    """A step for each item: outputs are a map by key, items tell how each ended; -j 1 is enough."""
    plan = world.plan("p.yaml", HEAD % ("p", "") + """steps:
  - {id: list, uses: set, with: {values: {all: [{n: b}, {n: a}, {n: 'c/d é'}]}}}
  - id: write
    foreach: ${{ steps.list.outputs.all }}
    key: ${{ item.n }}
    when: ${{ item.n ~= 'a' }}
    uses: file.write
    with: {path: "${{ params.dir }}/${{ index }}", content: "${{ key }} ${{ item.n }}"}
outputs:
  sizes: "${{ map(values(steps.write.outputs), function(o) return o.size or 0 end) }}"
  keys: "${{ keys(steps.write.outputs) }}"
  ends: "${{ map(steps.write.items, function(i) return i.key .. '=' .. i.status end) }}"
""")
    done = world.run(plan, "-j", "1", "--format", "json")
    equal(sorted(os.listdir(world.dir)), ["1", "3"], "files")
    equal(world.read("3"), "c/d é c/d é", "an item")
    outputs = [e for e in done.json() if e.get("event") == "close"][0]["outputs"]
    equal(outputs["ends"], ["b=done", "a=skipped", "c/d é=done"], "ends")


@with_world
def closure(world):
    """Every plan is kept in the run's folder; a resume needs no other, whatever became of the files."""
    world.plan("parts/inner.yaml", HEAD % ("inner", "") + """steps:
  - {id: ok, uses: confirm, with: {message: go on}}
  - {id: leaf, uses: plan, with: {file: ../leaf.yaml, params: {dir: "${{ params.dir }}"}}, needs: [ok]}
outputs: {said: "${{ steps.leaf.outputs.said }}"}
""")
    world.plan("leaf.yaml", HEAD % ("leaf", "") + "steps:\n  - {id: say, %s}\noutputs: {said: leaf}\n" % (LOG % ("leaf", "")))
    plan = world.plan("outer.yaml", HEAD % ("outer", "") + """steps:
  - {id: first, uses: plan, with: {file: parts/inner.yaml, params: {dir: "${{ params.dir }}"}}}
outputs: {said: "${{ steps.first.outputs.said }}"}
""")
    done = world.run(plan, code=3)
    expect("first/ok" in done.err, done.err)
    equal(len(os.listdir(os.path.join(world.w.folder("one"), "plan"))), 3, "files of the closure")
    shutil.rmtree(world.plans)
    world.w.ok("approve", "one", "first/ok")
    equal(world.w.ok("resume", "one").out, "said: leaf\n", "outputs")
    equal(world.log(), ["leaf"], "log")
    kept = os.path.join(world.w.folder("one"), "plan", "sub%2Fleaf.yaml")
    with open(kept, "a") as f:
        f.write("# edited\n")
    done = world.w.ok("graph", "one", code=5)
    expect("leaf.yaml" in done.err, done.err)


@with_world
def secret(world):
    """A secret that is handed to a child, and by it to a command, stands nowhere on disk."""
    world.plan("one.yaml", HEAD % ("one", ", pw: {type: string, secret: true, required: true}") + """steps:
  - {id: a, uses: exec, with: {argv: [sh, -c, 'echo "$PW" | sha256sum >"$0/sum"', "${{ params.dir }}"], env: {PW: "${{ params.pw }}"}, idempotent: true}}
""")
    plan = world.plan("p.yaml", HEAD % ("p", ", word: {type: string, secret: true, required: true}") + """steps:
  - {id: child, foreach: [1], key: "${{ item }}", uses: plan, with: {file: one.yaml, params: {dir: "${{ params.dir }}", pw: "${{ params.word }}"}}}
""")
    world.w.ok("run", plan, "--run-id", "one", "--yes", "-p", "dir=" + world.dir, env={"WHERRY_PARAM_WORD": "hush-hush-4711"})
    expect(os.path.exists(os.path.join(world.dir, "sum")), "the command did not run")
    for folder, _, names in os.walk(world.w.state):
        for name in names:
            with open(os.path.join(folder, name), "rb") as f:
                expect(b"hush-hush-4711" not in f.read(), "the secret stands in %s" % os.path.join(folder, name))


@with_world
def foretold(world):
    """A dry-run shows each item that is known, and says where the list is not."""
    world.plan("one.yaml", HEAD % ("one", "") + "steps:\n  - {id: put, uses: file.write, with: {path: \"${{ params.dir }}/x\", content: x}}\n")
    plan = world.plan("p.yaml", HEAD % ("p", "") + """steps:
  - {id: known, foreach: [a, b], key: "${{ item }}", uses: file.write, with: {path: "${{ params.dir }}/${{ item }}", content: x}}
  - {id: child, uses: plan, with: {file: one.yaml, params: {dir: "${{ params.dir }}"}}}
  - {id: made, uses: exec, with: {argv: [echo, "[1]"], idempotent: true}}
  - {id: unknown, foreach: "${{ json.decode(steps.made.outputs.stdout) }}", key: "${{ item }}", uses: note, with: {message: x}}
""")
    told = world.w.ok("plan", plan, "-p", "dir=" + world.dir).out
    for path in ("known[a]", "known[b]", "child/put"):
        expect(path in told, "no %s in %s" % (path, told))
    expect(os.listdir(world.dir) == [], "a dry-run wrote %s" % os.listdir(world.dir))
    world.run(plan)
    equal(sorted(os.listdir(world.dir)), ["a", "b", "x"], "files of the run")


@with_world
def drawn(world):
    """The graph of a run tells how far the items of each step have come."""
    world.plan("one.yaml", HEAD % ("one", ", n: {type: integer, required: true}") + """steps:
  - {id: judge, uses: assert, with: {that: "${{ params.n ~= 2 }}", message: not two}}
  - {id: say, uses: note, needs: [judge], with: {message: x}}
""")
    plan = world.plan("p.yaml", HEAD % ("p", "") + """steps:
  - id: each
    foreach: [1, 2, 3]
    key: ${{ item }}
    uses: plan
    with: {file: one.yaml, params: {dir: "${{ params.dir }}", n: "${{ item }}"}}
    on_error: continue
  - {id: child, uses: plan, with: {file: one.yaml, params: {dir: "${{ params.dir }}", n: 7}}}
""")
    done = world.run(plan, code=1)
    expect("9 of 13 steps finished: 9 done, 3 failed, 1 blocked" in done.err, done.err)
    told = world.w.ok("graph", "one").out
    for line in (r"failed +each +plan one.yaml for each item: 2 done, 1 failed", r" +judge +assert: 2 done, 1 failed",
                 r" +say +note, after judge: 2 done, 1 blocked", r"done +child +plan one.yaml", r"done +judge +assert"):
        expect(re.search("^ *%s$" % line, told, re.M), "no %r in\n%s" % (line, told))
    expect("2 done, 1 failed" in world.w.ok("graph", "one", "--format", "dot").out, "no items in the picture")


def bundled():
    """etcd-to-etcd as a child: targets are handed in, and the caller thaws what it was told to leave frozen."""
    if find_etcd() is None:
        return "no etcd"
    with scratch() as folder, Etcd(folder, "a") as source, Etcd(folder, "b") as destination:
        world = World(folder)
        source.put("/r/1", "x")
        plan = world.plan("p.yaml", HEAD % ("p", ", a: {type: url, required: true}, b: {type: url, required: true}") + """targets:
  old: {kind: etcd, endpoints: ["${{ params.a }}"]}
  new: {kind: etcd, endpoints: ["${{ params.b }}"]}
steps:
  - id: move
    uses: plan
    with:
      name: etcd-to-etcd
      targets: {source: old, destination: new}
      params: {prefix: /r/, freeze: command, freeze_command: "touch '${{ params.dir }}/frozen'", thaw_command: "rm '${{ params.dir }}/frozen'", keep_frozen: true}
  - {id: check, uses: assert, with: {that: "${{ steps.move.outputs.keys == 1 }}", message: not one key}}
finally:
  - {id: thaw, uses: undo, with: {step: move/freeze}}
""")
        params = ["-p", "a=" + source.url, "-p", "b=" + destination.url]
        told = world.w.ok("plan", plan, "-p", "dir=" + world.dir, *params).out
        expect("move/copy" in told and "frozen" in told, told)
        equal((os.listdir(world.dir), destination.values("/r/")), ([], {}), "after the dry-run")
        world.run(plan, *params)
        equal(destination.values("/r/"), source.values("/r/"), "keys")
        equal(os.listdir(world.dir), [], "thawed")


if __name__ == "__main__":
    main(items, closure, secret, foretold, drawn, bundled)
