#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""tests/testbed/build: one build however many ask for it, never half of one, a new one for other pins. Go itself is played."""
import os
import re
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from wtest import LIMIT, SOURCE, equal, expect, in_world, main, wait_for  # noqa: E402

GO = """#!/bin/sh
[ "$1" != version ] || exec echo go version go1.26.0 linux/amd64
echo "$PWD" >>"$CACHE/calls"
while [ -e "$CACHE/hold" ]; do sleep 0.05; done
[ ! -e "$CACHE/broken" ] || { echo it does not compile >&2; exit 1; }
while [ "$1" != -o ]; do shift; done
touch "$2/server" "$2/kubectl"
"""


class Build:
    """A copy of the testbed, with a cache of its own and a played go."""

    def __init__(self, folder):
        self.cache, self.bin = os.path.join(folder, "cache"), os.path.join(folder, "bin")
        self.testbed = os.path.join(folder, "tests", "testbed")
        for path in (self.cache, self.bin, os.path.join(folder, "tests", "lib")):
            os.makedirs(path)
        shutil.copytree(os.path.join(SOURCE, "tests", "testbed"), self.testbed)
        shutil.copy(os.path.join(SOURCE, "tests", "lib", "find_go.sh"), os.path.join(folder, "tests", "lib"))
        with open(os.path.join(self.bin, "go"), "w") as f:
            f.write(GO)
        os.chmod(os.path.join(self.bin, "go"), 0o755)

    def path(self, *names):
        return os.path.join(self.cache, *names)

    def start(self, *args):
        env = {"PATH": self.bin + ":/usr/bin:/bin", "WHERRY_TESTBED": self.cache, "CACHE": self.cache, "HOME": self.cache}
        return subprocess.Popen([os.path.join(self.testbed, "build"), *args], env=env, text=True, stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def __call__(self, *args, code=0):
        process = self.start(*args)
        out, err = process.communicate(timeout=LIMIT)
        equal(process.returncode, code, "the exit code of build, which says " + err)
        return out.strip() if code == 0 else err

    def mark(self, name):
        with open(self.path(name), "w"):
            pass

    def calls(self):
        try:
            with open(self.path("calls")) as f:
                return len(f.readlines())
        except OSError:
            return 0

    def folders(self):
        return sorted(name for name in os.listdir(self.cache) if re.fullmatch("kubernetes-[0-9a-f]+", name))


@in_world(Build)
def test_once(build):
    """The second of two at once waits for the first and builds nothing; a third finds it there."""
    build.mark("hold")
    both = [build.start(), build.start()]
    wait_for(lambda: build.calls(), "go is called")
    build("have", code=1)
    equal(build.folders(), [], "what others find while it is being built")
    os.unlink(build.path("hold"))
    folders = {process.communicate(timeout=LIMIT)[0].strip() for process in both}
    equal([process.returncode for process in both], [0, 0], "the exit codes")
    equal(folders, {build("have")}, "the folders that they print")
    equal(build(), build("have"), "the folder that a third prints")
    equal(build.calls(), 2, "calls of go, one for each module")
    equal(sorted(os.listdir(build("have"))), ["etcd", "kubectl"], "the programs")
    expect(not os.path.exists(build.path("go-cache")), "go's cache is still there")


@in_world(Build)
def test_failed(build):
    """What does not compile is told, and is not there; the next one tries again."""
    build.mark("broken")
    expect("it does not compile" in build(code=1), "the reason is not told")
    build("have", code=1)
    os.unlink(build.path("broken"))
    equal(build(), build("have"), "the folder")


@in_world(Build)
def test_killed(build):
    """A build that was killed half-way leaves nothing that passes for one, and no lock."""
    build.mark("hold")
    process = build.start()
    wait_for(lambda: build.calls(), "go is called")
    process.kill()
    os.unlink(build.path("hold"))
    process.communicate()
    build("have", code=1)
    equal(build(), build("have"), "the folder")


@in_world(Build)
def test_pins(build):
    """Another pin is another build; the first stays for those who have not changed it."""
    first = build()
    with open(os.path.join(build.testbed, "kubernetes", "go.sum"), "a") as f:
        f.write("\n")
    build("have", code=1)
    expect(build() != first and os.path.exists(first), "the same folder for other pins")
    equal(len(build.folders()), 2, "folders")


main(test_once, test_failed, test_killed, test_pins)
