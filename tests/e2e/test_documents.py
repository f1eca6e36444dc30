#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The documents say what the program does: the reference page is the tables, and every plan shown is a good one."""
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from wtest import SOURCE, Wherry, equal, expect, main, scratch

HEAD = "wherry: v1\nname: block\nsummary: A block of the guide.\n"


def whole_plan(block):
    """A block of the guide as a plan: it is one already, or the top of one, or a list of steps."""
    if re.search("^wherry:", block, re.M):
        return block
    if block.lstrip().startswith("- "):
        return HEAD + "steps:\n" + re.sub("^", "  ", block, flags=re.M)
    if not re.search("^steps:", block, re.M):
        block += "steps:\n  - {id: nothing, uses: set, with: {values: {x: 1}}}\n"
    return HEAD + block


def reference():
    """steps/README.md is what `wherry steps --markdown` prints."""
    with scratch() as folder:
        printed = Wherry(folder).ok("steps", "--markdown").out
    if "archive.pack" not in printed:
        return "built without libarchive"
    with open(os.path.join(SOURCE, "steps", "README.md")) as f:
        expect(f.read() == printed, "steps/README.md is not current: build/wherry steps --markdown > steps/README.md")


def guide():
    """Every YAML block of plans/README.md and README.md is valid. One that begins with a file's name is there for later ones."""
    seen = 0
    with scratch() as folder:
        w = Wherry(folder)
        for name in ("plans/README.md", "README.md"):
            with open(os.path.join(SOURCE, name)) as f:
                text = f.read()
            for match in re.finditer(r"^```yaml\n(.*?)^```", text, re.M | re.S):
                line = text[:match.start()].count("\n") + 1
                named = re.match(r"# ([a-z-]+\.yaml)\n", match.group(1))
                path = os.path.join(folder, named.group(1) if named else "block.yaml")
                with open(path, "w") as f:
                    f.write(whole_plan(match.group(1)))
                done = w("validate", path)
                equal(done.code, 0, "the block at %s:%d: %s\nexit code" % (name, line, done))
                seen += 1
    expect(seen > 0, "no YAML block found")


def bundled():
    """Every bundled plan is valid, listed and described."""
    with scratch() as folder:
        w = Wherry(folder)
        listed = w.ok("plans").out
        for name in sorted(os.listdir(os.path.join(SOURCE, "plans"))):
            if name.endswith(".yaml"):
                w.ok("validate", name[:-5])
                expect(name[:-5] in listed, "%s is not listed" % name)
                w.ok("plans", name[:-5])


if __name__ == "__main__":
    main(reference, guide, bundled)
