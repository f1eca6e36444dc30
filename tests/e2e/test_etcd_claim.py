#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A run that comes back to a destination where its claim is gone, or was renewed behind its back, writes nothing there unless
a person says so; and nobody is asked where it was the run itself that released it, or that was killed in taking it."""
import os
import shutil
import signal
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from wtest import Etcd, Wherry, equal, expect, main, scratch, wait_for

CLAIM = "/wherry/claim//src/"


class Old:
    """A run that stands still behind its copy, and a change on the source that it has not brought."""

    def __init__(self, until="copy", keys=200, **params):
        self.until, self.keys, self.more = until, keys, params

    def __enter__(self):
        self.scratch = scratch()
        self.folder = self.scratch.__enter__()
        self.source, self.destination = Etcd(self.folder, "source"), Etcd(self.folder, "destination")
        self.w = Wherry(os.path.join(self.folder, "state"))
        self.source.put_many(("/src/%05d" % i, "v%d" % i) for i in range(self.keys))
        if self.until:
            self.run("old", "--until", self.until, **self.more)
            self.source.put("/src/00007", "newer")
        return self

    def __exit__(self, *word):
        self.source.stop()
        self.destination.stop()
        self.scratch.__exit__(*word)

    def params(self, **more):
        words = {"source": self.source.url, "destination": self.destination.url, "prefix": "/src/", **more}
        return [x for k, v in words.items() for x in ("-p", "%s=%s" % (k, v))]

    def run(self, run, *args, code=0, **more):
        return self.w.ok("run", "etcd-to-etcd", "--run-id", run, "--yes", "--approve", "handover", *args, *self.params(**more), code=code)

    def refused(self, words="is gone", step="sync", run="old"):
        """Nothing is written, now and when it is tried again, and it is said what can be done."""
        before = self.destination.revision()
        for _ in range(2):
            out = self.w.ok("resume", run, "--yes", code=3)
            for word in (words, CLAIM, self.destination.url.split("://")[1], "nothing was written"):
                expect(word in out.err, "it does not say '%s': %s" % (word, out))
        equal(self.destination.revision(), before, "the destination's revision after the refusal")
        equal([" ".join(c) for c in out.choices()],
              ["abort %s" % run, "resolve %s %s --not-done --reason TEXT" % (run, step)], "what can be done")

    def go_on(self, step="sync"):
        self.w.ok("resolve", "old", step, "--not-done", "--reason", "nobody wrote there")
        self.w.ok("resume", "old", "--yes")
        self.same()

    def same(self):
        equal(self.destination.values("/src/"), self.source.values("/src/"), "the keys")
        equal([k for k in self.destination.range() if not k.startswith(b"/src/")], [], "what is left beside them")


def outrun():
    """Another run has finished the move after the claim was deleted, and clients write to the destination."""
    with Old() as old:
        out = old.run("new", code=4, on_existing="replace")
        expect(CLAIM in out.err, "the claim is not named: %s" % out)
        old.destination.delete(CLAIM)
        old.w.ok("resume", "new", "--yes")
        old.destination.put("/src/00007", "client's")
        old.refused()
        equal(old.destination.values("/src/")[b"00007"], b"client's", "what the client wrote")
        old.w.ok("abort", "old", "--yes")
        equal([k for k in old.destination.range() if k.startswith(b"/wherry/")], [], "markers after the abort")


def wiped():
    """All markers are gone; or the whole destination, also where the sync has nothing to bring. A person may know better."""
    with Old() as old:
        old.destination.delete("/wherry/", prefix=True)
        old.refused()
        old.go_on()
    with Old(until="sync") as old:
        old.source.delete("/src/00007")
        old.source.put("/src/00007", "v7")
        old.destination.delete("/", prefix=True)
        old.refused(step="drain")
    with Old() as old:
        old.source.put("/outside", "no change to bring")
        old.w.ok("resume", "old", "--yes", "--until", "sync")
        old.destination.delete("/", prefix=True)
        old.refused(step="drain")


def restored():
    """The run's folder comes back from a backup after the run was finished, or had gone on."""
    for rest in ((), ("--until", "sync")):
        with Old() as old:
            backup = os.path.join(old.folder, "backup")
            shutil.copytree(old.w.folder("old"), backup)
            old.w.ok("resume", "old", "--yes", *rest)
            old.destination.put("/src/00007", "client's")
            shutil.rmtree(old.w.folder("old"))
            shutil.copytree(backup, old.w.folder("old"))
            old.refused("not in this run's journal" if rest else "is gone")
            equal(old.destination.values("/src/")[b"00007"], b"client's", "what the client wrote")


def half_way():
    """A copy that was killed half-way does not take its claim again either; told to, it goes on where it was."""
    with Old(until=None, keys=3000) as old:
        p = old.w.start("run", "etcd-to-etcd", "--run-id", "old", "--yes", "-q", *old.params(rate_keys=3000))
        wait_for(lambda: len(old.destination.values("/src/")) >= 1000, "a third is there", p)
        p.kill()
        equal(p.wait(), -signal.SIGKILL, "the killed run's end")
        old.destination.delete(CLAIM)
        old.refused(step="copy")
        old.go_on("copy")


def released():
    """What the run released itself it takes again: after a rollback, and where its tidy was taken back."""
    with Old(until="sync") as old:
        old.w.ok("rollback", "old", "--to", "copy", "--yes")
        equal(old.destination.range(), {}, "keys after the rollback")
        old.w.ok("resume", "old", "--yes")
        old.same()


if __name__ == "__main__":
    main(outrun, wiped, restored, half_way, released)
