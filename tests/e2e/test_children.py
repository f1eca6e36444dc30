#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Plans that run plans, and steps for each item: what is said of them before anything runs."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from wtest import Wherry, equal, expect, golden, main, scratch

OUTER = """wherry: v1
name: outer
summary: Move what is listed.
params:
  names: {type: list, items: string, default: [x, y]}
targets:
  old: {kind: etcd, endpoints: ["http://localhost:1"]}
pools: {moves: 2}
steps:
  - {id: list, uses: set, with: {values: {names: "${{ params.names }}"}}}
  - id: move
    foreach: ${{ steps.list.outputs.names }}
    key: ${{ item }}
    pool: moves
    uses: plan
    with: {file: parts/inner.yaml, params: {name: "${{ item }}"}, targets: {store: old}}
    on_error: continue
  - {id: first, uses: plan, with: {file: parts/inner.yaml, params: {name: "first"}, targets: {store: old}}, needs: [list]}
  - {id: told, uses: note, with: {message: "${{ #steps.move.items }} ${{ steps.first.outputs.said }}"}, needs: [move?]}
finally:
  - {id: back, uses: undo, with: {step: first/put}, when: "${{ not steps.told.ran }}"}
outputs: {all: "${{ steps.move.outputs }}"}
"""
INNER = """wherry: v1
name: inner
summary: Move one thing.
params:
  name: {type: string, required: true}
targets:
  store: {kind: etcd, required: true}
steps:
  - {id: look, uses: etcd.get, with: {in: store, key: "/${{ params.name }}"}}
  - {id: put, uses: etcd.put, with: {in: store, key: "/${{ params.name }}", value: "1"}, needs: [look]}
finally:
  - {id: say, uses: note, with: {message: "${{ params.name }}"}}
outputs: {said: "${{ steps.look.outputs.value }}"}
"""


def with_plans(test):
    def run():
        with scratch() as folder:
            os.mkdir(os.path.join(folder, "parts"))
            paths = {}
            for name, text in (("outer.yaml", OUTER), ("parts/inner.yaml", INNER)):
                paths[name] = os.path.join(folder, name)
                with open(paths[name], "w") as f:
                    f.write(text)
            return test(Wherry(os.path.join(folder, "state")), paths["outer.yaml"], paths["parts/inner.yaml"])

    run.__name__, run.__doc__ = test.__name__, test.__doc__
    return run


@with_plans
def validated(w, outer, inner):
    """Both are counted, and named as JSON; a plan that is handed its target does not run by itself."""
    equal(w.ok("validate", outer).err, "%s: valid, 5 steps; runs 1 other plan with 3 steps\n" % outer, "validate")
    told = w.ok("validate", outer, "--format", "json").json()[0]
    equal((told["valid"], told["steps"], told["plans"]), (True, 5, [inner]), "as JSON")
    w.ok("validate", inner)
    for word in ("plan", "run"):
        done = w.ok(word, inner, "-p", "name=x", code=2)
        expect("its target 'store' is handed in by a plan that runs it" in done.err, done.err)
    expect("store                etcd" in w.ok("plans", inner).out, "the page of a plan that is handed its target")
    expect("for each item" in w.ok("plans", outer).out, "the page of a plan with foreach")


@with_plans
def drawn(w, outer, inner):
    """A plan within a plan is drawn in place, in each format."""
    for form in ("text", "dot", "mermaid"):
        golden("graph/children.%s" % form, w.ok("graph", outer, "--format", form).out)


@with_plans
def problems(w, outer, inner):
    """A problem of a plan within a plan names its own file and shows its own line; so do lints."""
    with open(inner, "a") as f:
        f.write("allow: {no-such-lint: x}\n")
    done = w.ok("validate", outer, code=2)
    expect("%s:14:9: unknown lint 'no-such-lint'\n    14 | allow: {no-such-lint: x}\n" % inner in done.err, done.err)
    with open(inner, "w") as f:
        f.write(INNER.replace("params:\n", "params:\n  other: {type: string}\n"))
    done = w.ok("validate", outer, "--strict", code=2)
    expect("%s:5:3: unused-parameter: parameter 'other' is not used\n     5 |   other: {type: string}\n" % inner in done.err, done.err)
    os.remove(inner)
    done = w.ok("validate", outer, code=2)
    expect("No such file" in done.err and "outer.yaml:16:18" in done.err, done.err)


@with_plans
def beside(w, outer, inner):
    """Paths begin at the plan that names them, wherever wherry is called."""
    here = os.getcwd()
    try:
        for cwd, name in ((os.path.dirname(outer), "outer.yaml"), (os.path.dirname(inner), "../outer.yaml"), ("/", outer)):
            os.chdir(cwd)
            w.ok("validate", name)
        os.chdir(os.path.dirname(outer))
        with open(outer) as f:
            w.ok("validate", "-", stdin=f.read())
    finally:
        os.chdir(here)


if __name__ == "__main__":
    main(validated, drawn, problems, beside)
