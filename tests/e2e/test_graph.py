#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""wherry graph: what waits for what, as text, DOT and mermaid; of a run with its states. Graphviz reads what we write."""
import os
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from wtest import LIMIT, Wherry, equal, expect, golden, main, scratch

PLAN = """wherry: v1
name: mixed
summary: Every kind of edge and most states.
steps:
  - {id: digraph, uses: set, with: {values: {x: 1}}}
  - {id: end, uses: exec, with: {argv: ["true"], idempotent: true}, needs: [digraph],
     undo: {uses: exec, with: {argv: ["true"], idempotent: true}}}
  - {id: not-so, uses: set, when: "${{ steps.digraph.outputs.x == 2 }}", with: {values: {x: 1}}}
  - {id: whatever, uses: note, needs: [not-so?], with: {message: said}}
  - {id: bad, uses: assert, on_error: continue, with: {that: "${{ steps.digraph.outputs.x == 3 }}", message: not three}}
  - {id: behind, uses: note, needs: [bad], with: {message: never}}
finally:
  - {id: back, uses: undo, when: "${{ steps['end'].ran }}", with: {step: end}}
"""
FORMATS = ("text", "dot", "mermaid")


def parsed_by_graphviz(text):
    """Nodes and edges as graphviz understands them, or None where it is not installed."""
    if shutil.which("dot") is None:
        return None
    done = subprocess.run(["dot", "-Tplain"], input=text, capture_output=True, text=True, timeout=LIMIT)
    equal((done.returncode, done.stderr), (0, ""), "dot on %s" % text)
    words = [line.split() for line in done.stdout.splitlines()]
    return (sorted(w[1].strip('"') for w in words if w[0] == "node"),
            sorted((w[1].strip('"'), w[2].strip('"')) for w in words if w[0] == "edge"))


def plan_and_run():
    """A plan's structure and a run's states, in each format."""
    with scratch() as folder:
        w = Wherry(os.path.join(folder, "state"))
        path = os.path.join(folder, "plan.yaml")
        with open(path, "w") as f:
            f.write(PLAN)
        w.ok("run", path, "--yes", "--run-id", "one", code=1)
        for form in FORMATS:
            golden("graph/plan.%s" % form, w.ok("graph", path, "--format", form).out)
            golden("graph/run.%s" % form, w.ok("graph", "one", "--format", form).out)
            equal(w.ok("graph", "@latest", "--format", form).out, w.ok("graph", "one", "--format", form).out, form)
        equal(w.ok("graph", path).out, w.ok("graph", path, "--format", "text").out, "the format by default")
        equal(w("graph", "nothing").code, 2, "neither a plan nor a run")
        equal(w("graph", path, "--format", "json").code, 2, "a format of other subcommands")
        got = parsed_by_graphviz(w.ok("graph", "one", "--format", "dot").out)
        if got is None:
            return "graphviz is not installed"
        equal(got, (sorted(["digraph", "end", "not-so", "whatever", "bad", "behind", "back"]),
                    sorted([("digraph", "end"), ("digraph", "not-so"), ("not-so", "whatever"), ("digraph", "bad"),
                            ("bad", "behind"), ("end", "back")])), "what graphviz reads")


def cautious():
    """What is guarded, and what cannot be taken back, stands in every form."""
    with scratch() as folder:
        plan = os.path.join(folder, "p.yaml")
        with open(plan, "w") as f:
            f.write("wherry: v1\nname: t\nsteps:\n  - {id: a, uses: exec, with: {argv: [x], read_only: true}}\n"
                    "  - {id: b, uses: exec, with: {argv: [x]}, guard: [a], irreversible: \"gone, \\\"for good\\\"\"}\n")
        w = Wherry(os.path.join(folder, "state"))
        for form, wanted in (("text", 'after a; guarded by a; irreversible: gone, "for good"\n'),
                             ("dot", 'guarded by a\\nirreversible: gone, \\"for good\\""'),
                             ("mermaid", "guarded by a<br/>irreversible: gone, #34;for good#34;")):
            text = w.ok("graph", plan, "--format", form).out
            expect(wanted in text, "no %r in %s" % (wanted, text))
            if form == "dot":
                parsed_by_graphviz(text)


def interrupted():
    """What a process left behind when it was killed shows as in doubt or pending, never as running."""
    with scratch() as folder:
        w = Wherry(os.path.join(folder, "state"))
        path = os.path.join(folder, "plan.yaml")
        with open(path, "w") as f:
            f.write('wherry: v1\nname: t\nsteps:\n  - {id: a, uses: exec, with: {argv: [sh, -c, "kill -9 $PPID; sleep 1"]}}\n'
                    "  - {id: b, uses: note, needs: [a], with: {message: x}}\n")
        equal(w("run", path, "--yes", "--run-id", "one").code, -9, "killed")
        lines = w.ok("graph", "one").out.splitlines()
        equal([line.split()[0] for line in lines[2:4]], ["in-doubt", "pending"], "\n".join(lines))
        expect("interrupted" in lines[0], lines[0])


if __name__ == "__main__":
    main(plan_and_run, cautious, interrupted)
