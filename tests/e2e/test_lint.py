#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""wherry validate --strict: each rule finds its plan in tests/golden/lint, can be allowed with a reason only, and is explained."""
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from wtest import SOURCE, Wherry, equal, expect, golden, main, scratch

PLANS = os.path.join(SOURCE, "tests", "golden", "lint")


def rules(w):
    return [line.split()[0] for line in w.ok("help", "lints").out.splitlines() if line.startswith("  ")]


def text_of(rule):
    with open(os.path.join(PLANS, rule + ".yaml")) as f:
        return f.read()


def found():
    """Every rule has a plan that only it refuses, with 2; without --strict the plan is valid, and says that there is more."""
    with scratch() as folder:
        w = Wherry(folder)
        for rule in rules(w):
            path = os.path.join(PLANS, rule + ".yaml")
            done = w("validate", path, "--strict")
            equal(done.code, 2, str(done))
            golden("lint/%s.txt" % rule, done.err.replace(PLANS + "/", ""))
            equal(set(re.findall(r":\d+:\d+: ([a-z-]+): ", done.err)), {rule}, "rules that find something in %s" % path)
            expect("validate --strict has " in w.ok("validate", path).err, "no word of it without --strict")
            told = w("validate", path, "--strict", "--format", "json").json()[0]
            equal((told["valid"], len(told["problems"])), (False, done.err.count(rule + ": ")), "as JSON")


def allowed():
    """A plan, or the step, allows a rule with a reason; no reason, and a rule that does not exist, are refused."""
    with scratch() as folder:
        w = Wherry(folder)
        path = os.path.join(folder, "plan.yaml")

        def validate(text, code):
            with open(path, "w") as f:
                f.write(text)
            return w.ok("validate", path, "--strict", code=code)

        for rule in rules(w):
            validate(text_of(rule) + "allow: {%s: because}\n" % rule, 0)
        step = text_of("no-undo").replace("idempotent: true}}\n  - {id: looks", "idempotent: true}%s}\n  - {id: looks")
        validate(step % ", allow: {no-undo: nothing to take back}", 0)
        validate(step % ", irreversible: the old side is gone", 0)
        validate(step % ", allow: {exec-not-safe: another rule}", 2)
        for wrong, wanted in (("{no-undo: ''}", "only with a reason"), ("{no-undo: }", "only with a reason"), ("{no-undoo: x}", "did you mean 'no-undo'"),
                              ("no-undo", "expected a map"), ('{no-undo: "${{ 1 }}"}', "only with a reason")):
            done = validate(step % (", allow: " + wrong), 2)
            expect(wanted in done.err, "no '%s' in %s" % (wanted, done))


def explained():
    """`wherry help RULE` says what happens and how to allow it."""
    with scratch() as folder:
        w = Wherry(folder)
        names = rules(w)
        expect(len(names) >= 6, "rules: %s" % names)
        for rule in names:
            text = w.ok("help", rule).out
            expect(text.startswith(rule + ": ") and "allow: {%s: reason}" % rule in text and len(text) > 200, text)


def bundled():
    """The bundled plans pass, with reasons where a rule does not hold."""
    with scratch() as folder:
        for name in sorted(os.listdir(os.path.join(SOURCE, "plans"))):
            if name.endswith(".yaml"):
                Wherry(folder).ok("validate", name[:-5], "--strict")


if __name__ == "__main__":
    main(found, allowed, explained, bundled)
