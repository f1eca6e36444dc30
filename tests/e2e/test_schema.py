#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""wherry schema: the JSON Schema accepts every good plan of the tree, and refuses the broken ones that a schema can tell."""
import json
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from wtest import LIMIT, SOURCE, Wherry, equal, expect, main, scratch

BROKEN = os.path.join(SOURCE, "tests", "golden", "broken")
# `wherry validate` refuses these; a schema sees one place at a time, and data, not text.
NOT_FOR_A_SCHEMA = {
    "alias": "gone when YAML is read", "anchor": "gone when YAML is read", "merge-key": "gone when YAML is read",
    "cycle": "joins steps", "duplicate-id": "joins steps", "needs-itself": "joins steps", "unknown-need": "joins steps",
    "expression-syntax": "is Lua", "expression-unclosed": "is Lua", "unknown-output": "joins steps, in Lua",
    "unknown-param": "joins a step and a parameter, in Lua", "secret-in-a-message": "joins a step and a parameter, in Lua",
    "unknown-target": "joins a step and a target", "secret-with-default": "a rule between fields",
    "exclusive-inputs": "a rule between fields",
    "item-without-foreach": "is Lua", "key-is-a-place": "is Lua", "items-of-one": "joins steps, in Lua", "pool-unknown": "joins a step and a pool",
    "plan-of-itself": "joins plans", "plan-not-there": "joins plans", "plan-without-param": "joins plans", "undo-inside-nothing": "joins plans",
    "plan-by-expression": "a rule of text", "plan-with-timeout": "a rule between words",
}


def checker():
    done = subprocess.run([os.path.join(SOURCE, "tests", "lib", "check_jsonschema.sh"), "have"], capture_output=True, text=True)
    return done.stdout.strip() if done.returncode == 0 else None


def plans_of(*folders):
    return sorted(os.path.join(SOURCE, *folder, name) for folder in folders for name in os.listdir(os.path.join(SOURCE, *folder))
                  if name.endswith(".yaml"))


def check(program, schema, paths):
    """The names of those that the schema refuses."""
    done = subprocess.run([program, "--schemafile", schema, "-o", "json"] + paths, capture_output=True, text=True, timeout=LIMIT)
    expect(done.returncode in (0, 1) and done.stdout.startswith("{"), done.stderr[-2000:])
    told = json.loads(done.stdout)
    return {os.path.basename(e["filename"])[:-5] for e in told.get("errors", []) + told.get("parse_errors", [])}


def schema_in(folder):
    path = os.path.join(folder, "schema.json")
    with open(path, "w") as f:
        f.write(Wherry(folder).ok("schema").out)
    return path


def good():
    """It is a schema, and every bundled and every tested plan is of it."""
    program = checker()
    if program is None:
        return "check-jsonschema is not installed: tests/lib/setup.sh"
    with scratch() as folder:
        schema = schema_in(folder)
        done = subprocess.run([program, "--check-metaschema", schema], capture_output=True, text=True, timeout=LIMIT)
        equal(done.returncode, 0, done.stdout + done.stderr)
        paths = plans_of(["plans"], ["tests", "e2e"], ["tests", "crash", "plans"])
        expect(len(paths) > 2, "no plans found")
        equal(check(program, schema, paths), set(), "good plans that the schema refuses")


def broken():
    """Of the broken plans it refuses all but those of which that is not possible."""
    program = checker()
    if program is None:
        return "check-jsonschema is not installed: tests/lib/setup.sh"
    with scratch() as folder:
        schema = schema_in(folder)
        paths = plans_of(["tests", "golden", "broken"])
        names = {os.path.basename(path)[:-5] for path in paths}
        expect(len(names) >= 60, "only %d broken plans" % len(names))
        equal(names - check(program, schema, paths), set(NOT_FOR_A_SCHEMA), "broken plans that the schema accepts")


def words():
    """Every word, step type, input and target field that help tells stands in the schema, with its help."""
    with scratch() as folder:
        w = Wherry(folder)
        schema = json.loads(w.ok("schema").out)
        told = {line.split()[0]: line.split(None, 1)[1] for line in w.ok("help", "language").out.splitlines() if line.startswith("  ")}
        places = {**schema["properties"], **schema["$defs"]["step"]["properties"], **schema["$defs"]["param"]["properties"]}
        for word, text in told.items():
            if word in places:
                expect(places[word]["description"] in text, "%s: %s" % (word, text))
        expect(set(places) <= set(told), "words without help: %s" % (set(places) - set(told)))
        types = [line.split()[0] for line in w.ok("steps").out.splitlines()]
        for name in types:
            expect("with-" + name in schema["$defs"], "%s is not in the schema" % name)
            expect(name in schema["$defs"]["step"]["properties"]["uses"]["enum"], "%s is no type in the schema" % name)


if __name__ == "__main__":
    main(good, broken, words)
