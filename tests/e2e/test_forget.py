#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""wherry forget and wherry runs prune: what may hold secrets goes, what happened can be read; nothing that is needed is taken."""
import os
import shutil
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from wtest import Wherry, equal, expect, in_world, main, wait_for

CANARY = "c4n4ry-of-the-former-world"


class World:
    def __init__(self, folder):
        self.folder, self.w = folder, Wherry(os.path.join(folder, "state"))
        with open(self.path("conf"), "w") as f:
            f.write(CANARY)

    def path(self, *names):
        return os.path.join(self.folder, *names)

    def run(self, name, more="", code=0):
        """A run that replaces a file, and leaves one in its own folder."""
        with open(self.path("plan.yaml"), "w") as f:
            f.write("wherry: v1\nname: t\nsteps:\n  - {id: conf, uses: file.write, with: {path: %s, content: %s}}\n"
                    '  - {id: dump, uses: file.write, needs: [conf], with: {path: "${{ run.dir }}/dump", content: "%s"}}\n%s'
                    % (self.path("conf"), "of " + name, CANARY, more))
        self.w.ok("run", self.path("plan.yaml"), "--yes", "--run-id", name, code=code)

    def held(self, run):
        """Files of a run with the canary in them."""
        return {os.path.relpath(os.path.join(top, name), self.w.folder(run)) for top, _, names in os.walk(self.w.folder(run))
                for name in names if CANARY.encode() in open(os.path.join(top, name), "rb").read()} - {"plan/main.yaml", "plan/main.image", "journal"}


with_world = in_world(World)


@with_world
def forget(world):
    """Former values, files of steps and the key go; status, report and the journal's check still read the run."""
    w = world.w
    world.run("one")
    expect("private" in world.held("one") and "dump" in world.held("one"), "nothing to forget in %s" % world.held("one"))
    before = w.ok("status", "one").out
    done = w("forget", "one")
    equal(done.code, 2, "forget without a terminal and --yes: %s" % done)
    done = w.ok("forget", "one", "--yes")
    expect("forgotten" in done.err, str(done))
    equal(world.held("one"), set(), "what still holds it")
    expect(not os.path.exists(world.path("state", "one", "key")), "the key of the digests is still there")
    equal(w.ok("status", "one").out, before, "status")
    for args in (["report", "one"], ["journal", "verify", "one"], ["journal", "dump", "one"], ["runs"], ["graph", "one"],
                 ["report", "one", "--format", "json"]):
        expect(w.ok(*args).out, args)
    w.ok("forget", "one", "--yes")
    open(world.path("state", "one", "private"), "w").close()  # as if a crash had ended the first one too early
    w.ok("forget", "one", "--yes")
    expect(not os.path.exists(world.path("state", "one", "private")), "a second forget left something")


@with_world
def needed(world):
    """A run that may go on is forgotten only when it is given up; then it is refused, and nothing else is."""
    w = world.w
    world.run("bad", "  - {id: no, uses: assert, needs: [dump], with: {that: false}}\n", code=1)
    done = w("forget", "bad", "--yes")
    equal(done.code, 2, str(done))
    expect(world.held("bad"), str(done))
    w.ok(*done.next(), "--yes")
    equal(world.held("bad"), set(), "what still holds it")
    done = w("resume", "bad", "--yes")
    equal(done.code, 5, str(done))
    expect("was forgotten" in done.err, str(done))
    equal(done.next(), ["report", "bad"], str(done))
    equal(w("forget", "nobody", "--yes").code, 2, "no run of that name")
    # a value that is missing without anybody's word is damage
    world.run("cut")
    os.unlink(world.path("state", "cut", "private"))
    equal(w("report", "cut").code, 5, "a lost file of private values")


@with_world
def held(world):
    """A live run is neither forgotten nor pruned."""
    w = world.w
    with open(world.path("live.yaml"), "w") as f:
        f.write("wherry: v1\nname: t\nsteps:\n  - {id: a, uses: sleep, with: {for: 60s}}\n")
    p = w.start("run", world.path("live.yaml"), "--yes", "--run-id", "live", stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: os.path.exists(world.path("state", "live", "journal")) and "running" in w("status", "live").out, "it runs", p)
        equal(w("forget", "live", "--yes", "--give-up").code, 4, "forget of a live run")
        w.ok("runs", "prune", "--older-than", "1ms", "--give-up", "--yes")
        expect(os.path.exists(world.path("state", "live", "journal")), "a live run was pruned")
    finally:
        p.kill()
        p.wait()


@with_world
def prune(world):
    """Old runs that are over go, as a whole; the newest, the young and those that may go on stay."""
    w = world.w
    for name in ("a", "b"):
        world.run(name)
    world.run("bad", "  - {id: no, uses: assert, needs: [dump], with: {that: false}}\n", code=1)
    for name in ("c", "d"):
        world.run(name)

    def runs():
        return [line.split()[0] for line in w.ok("runs").out.splitlines()[1:]]

    equal(w("runs", "prune", "--yes").code, 2, "prune of nothing in particular")
    equal(w("runs", "frob").code, 2, "no such word")
    equal(w("runs", "prune", "--keep", "1").code, 2, "prune without a terminal and --yes")
    equal(runs(), ["d", "c", "bad", "b", "a"], "runs")
    expect("no run" in w.ok("runs", "prune", "--older-than", "1h", "--yes").err, "young runs")
    done = w.ok("runs", "prune", "--keep", "2", "--yes")
    equal([line.split()[0] for line in done.out.splitlines()], ["b", "a"], "what is shown")
    expect("2 runs removed" in done.err and "freed" in done.err, str(done))
    equal(runs(), ["d", "c", "bad"], "runs that are left")
    w.ok("runs", "prune", "--keep", "2", "--give-up", "--yes")
    equal(runs(), ["d", "c"], "runs that are left")
    os.rename(world.path("state", "c"), world.path("state", ".removed-c"))  # a crash in the middle
    equal(runs(), ["d"], "a run that is half gone")
    w.ok("runs", "prune", "--older-than", "1h", "--yes")
    equal(os.listdir(world.path("state")), ["d"], "what is left of it")
    with open(world.path("state", "d", "journal"), "r+b") as f:
        f.write(b"XXXX")
    done = w.ok("runs", "prune", "--older-than", "1ms", "--yes")
    expect("damaged" in done.err and runs is not None and os.listdir(world.path("state")) == ["d"], "a run that cannot be read: %s" % done)
    shutil.rmtree(world.path("state"))
    w.ok("runs", "prune", "--keep", "3", "--yes")


@with_world
def crash(world):
    """Killed at any moment, forgetting ends with the next one, and the run can be read all the while."""
    w = world.w
    world.run("one")
    for delay in (0, 1, 2, 3, 5):
        with subprocess.Popen(w.argv(["forget", "one", "--yes"]), env=w.env, stderr=subprocess.DEVNULL) as p:
            time.sleep(delay / 1000)
            p.kill()
        w.ok("report", "one")
    w.ok("forget", "one", "--yes")
    equal(world.held("one"), set(), "what still holds it")


if __name__ == "__main__":
    main(forget, needed, held, prune, crash)
