#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""etcd-to-etcd with the source frozen by its role, a snapshot and a raised revision: on every version, killed, and taken back."""
import hashlib
import os
import random
import signal
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from test_etcd_rights import Guarded, may_write
from truth import Truth
from witness import OnEtcd
from wtest import LIMIT, Etcd, Wherry, Writer, equal, expect, find_etcd, main, scratch

KEYS = 1500


class Freeze:
    """A source with users, a destination, and the words of a run."""

    def __init__(self, folder, version="3.4"):
        self.folder = folder
        self.guarded = Guarded(folder, version)
        self.source, self.kube = self.guarded.root, self.guarded.kube
        self.destination = Etcd(folder, "b", binary=find_etcd(version))
        self.w = Wherry(os.path.join(folder, "moves"), env={"WHERRY_PARAM_SOURCE_PASSWORD": "rootpw"})
        self.snapshot, self.handed = os.path.join(folder, "source.db"), os.path.join(folder, "handed-over")
        rng = random.Random(1)
        self.kube.put_many((("/registry/%05d" % i, rng.randbytes(100)) for i in range(KEYS)), size=10)
        self.rights = self.guarded.rights()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.guarded.server.stop()
        self.destination.stop()

    def words(self, **more):
        words = {"source": self.guarded.server.url, "destination": self.destination.url, "source_user": "root", "freeze": "role",
                 "freeze_role": "kube", "raise_revision": "true", "raise_margin": 5000, "snapshot": self.snapshot,
                 "handover_command": ": >" + self.handed, **more}
        return [x for k, v in words.items() for x in ("-p", "%s=%s" % (k, v))]

    def run(self, code=0, **more):
        return self.w.ok("run", "etcd-to-etcd", "--run-id", "one", "--yes", "--approve", "handover", "--format", "json", *self.words(**more), code=code)

    def start(self, **more):
        return self.w.start("run", "etcd-to-etcd", "--run-id", "one", "--yes", "--approve", "handover", "-q", *self.words(**more))

    def fenced(self):
        return {p[0] for p in self.guarded.rights()} == {"READ"}

    def moved(self):
        """Everything is there, above the source's revision; the source takes no writes; nothing is left beside."""
        equal(self.destination.values("/registry/"), self.source.values("/registry/"), "the copy")
        expect(self.destination.revision() >= self.source.revision() + 5000, "revisions: %d, %d" % (
            self.destination.revision(), self.source.revision()))
        equal([k for k in self.destination.range() if not k.startswith(b"/registry/")], [], "keys beside the copy")
        content = open(self.snapshot, "rb").read()
        equal(content[-32:], hashlib.sha256(content[:-32]).digest(), "the snapshot's trailer")
        expect(os.path.exists(self.handed) and self.fenced() and not may_write(self.kube), "the source is not frozen")


def every_version(body):
    def run():
        for version in ("3.4", "3.5", "3.6"):
            if find_etcd(version):
                with scratch() as folder, Freeze(folder, version) as f:
                    body(f)
    run.__name__, run.__doc__ = body.__name__, body.__doc__
    return run


@every_version
def truth(f):
    """The dry-run announces what both servers see of the run, permissions and the snapshot too, and changes nothing."""
    others = [os.path.join(f.folder, x + end) for x in os.listdir(f.folder) for end in ("", ".log") if x != "moves"] + [f.handed]
    told = Truth(f.w, f.folder, {"source": OnEtcd("source", f.source), "destination": OnEtcd("destination", f.destination)}, others)
    out = told.prove("etcd-to-etcd", *f.words(), run="one", approve=["handover"])
    f.moved()
    expect("still read-only for role 'kube'" in out.out + out.err, "the fence that stays is not named: %s" % out)


@every_version
def live_writer(f):
    """A client that writes all the time is stopped by the fence, and nothing of it is lost."""
    writer = Writer(f.kube, "/registry/", random.Random(2))
    f.run()
    try:
        writer.stop()
        raise AssertionError("the writer was not stopped")
    except RuntimeError as e:
        expect("permission denied" in str(e), "the writer's end: %s" % e)
    expect(writer.writes > 10, "it wrote %d keys" % writer.writes)
    f.moved()


def taken_back():
    """verify fails: nothing is handed over and the role has its permissions back, in order; the resume fences again."""
    with scratch() as folder, Freeze(folder) as f:
        f.guarded.role("kube", ("readwrite", "/registry/m", "/registry/n"), ("read", "/elsewhere/", True))
        f.rights = f.guarded.rights()
        p = f.start(rate_keys=2000)
        while not f.destination.range("/registry/"):
            time.sleep(0.005)
        f.destination.put("/registry/zz-intruder", "x")
        equal(p.wait(timeout=LIMIT), 1, "exit code")
        expect(not os.path.exists(f.handed), "it was handed over")
        equal(f.guarded.rights(), f.rights, "permissions after the failure")
        expect(may_write(f.kube, "/registry/between"), "kube cannot write after the failure")
        f.destination.delete("/registry/zz-intruder")
        f.w.ok("resume", "one", "--yes", "--approve", "handover")
        f.guarded.role("kube", ("read", "/elsewhere/", True))
        f.moved()


def aborted():
    """Aborted in the middle: the role is as it was, and nothing of the run is left on the destination but what it copied."""
    with scratch() as folder, Freeze(folder) as f:
        p = f.start(raise_margin=100000)
        while p.poll() is None and not f.destination.range("/wherry/raise/"):
            time.sleep(0.005)
        p.kill()
        equal(p.wait(), -signal.SIGKILL, "the killed run's end")
        expect(f.destination.range("/wherry/raise/"), "it was not killed while it raised")
        f.w.ok("abort", "one", "--yes")
        equal(f.destination.range("/wherry/"), {}, "markers")
        equal(f.guarded.rights(), f.rights, "permissions")


def killed():
    """Killed wherever the role says it is fenced, and resumed: as if it had not been."""
    for delay in (0, 0.003, 0.01, 0.03):
        with scratch() as folder, Freeze(folder) as f:
            p = f.start(raise_margin=5000)
            while p.poll() is None and not f.fenced():
                time.sleep(0.001)
            time.sleep(delay)
            p.kill()
            if p.wait() != 0 and f.w("resume", "one", "--yes").code == 3:  # it was under way: a person can tell
                expect(os.path.exists(f.handed), "in doubt before the hand-over: %s" % f.w("status", "one"))
                f.w.ok("resolve", "one", "handover", "--done", "--reason", "seen")
                f.w.ok("resume", "one", "--yes")
            f.moved()


def asked():
    """A person is asked when the copy is done, and before anything is frozen; what is written meanwhile arrives. The answer is
    also the approval of the hand-over. While it waits the fence is watched: one that somebody lifted stops the hand-over."""
    with scratch() as folder, Freeze(folder) as f:
        out = f.w.ok("run", "etcd-to-etcd", "--run-id", "one", "--yes", *f.words(confirm="true"), code=3)
        expect("keys are copied from %s to %s and in step" % (f.source.url[7:], f.destination.url[7:]) in out.err and "wherry approve one ready" in out.err, "the question: %s" % out)
        expect(may_write(f.kube, "/registry/late") and not f.fenced(), "the source is frozen before anybody said so")
        f.w.ok("approve", "one", "ready", "--choice", "yes", "--reason", "a test")
        f.w.ok("resume", "one", "--yes")
        f.moved()
        expect(b"late" in f.destination.values("/registry/"), "what was written while it waited")


def fence_lifted():
    """Paused before the hand-over, and somebody lifts the fence: the hand-over does not begin."""
    with scratch() as folder, Freeze(folder) as f:
        out = f.w.ok("run", "etcd-to-etcd", "--run-id", "one", "--yes", *f.words(), code=3)
        expect("irreversible" in out.err and f.fenced(), "it does not wait for an approval: %s" % out)
        f.guarded.role("kube", ("readwrite", "/registry/", True))
        out = f.w.ok("resume", "one", "--yes", "--approve", "handover", code=3)
        expect("not fenced, or not any more" in out.err and not os.path.exists(f.handed), "the guard: %s" % out)
        f.guarded.role("kube", ("read", "/registry/", True))
        f.w.ok("resume", "one", "--yes", "--approve", "handover")
        f.moved()


def kept_frozen():
    """Without a hand-over the fence is lifted in the end, or kept for whoever asked for the run."""
    for keep in ("false", "true"):
        with scratch() as folder, Freeze(folder) as f:
            out = f.run(handover_command="", keep_frozen=keep)
            equal(f.fenced(), keep == "true", "fenced, with keep_frozen: " + keep)
            equal("still read-only" in out.out + out.err, keep == "true", "it is said: %s" % out)


def rolled_back():
    """Stopped after each of its steps up to the hand-over and rolled back: the role, the destination and the folder are as they were."""
    with scratch() as folder, Freeze(folder) as f:
        for step, fences in (("snapshot", False), ("copy", False), ("raise", False), ("sync", False), ("fence", True), ("drain", True),
                             ("verify", True), ("raise-rest", True), ("unchanged", True)):
            f.w.ok("run", "etcd-to-etcd", "--run-id", step, "--yes", "-q", "--until", step, *f.words())
            equal((f.fenced(), os.path.exists(f.snapshot)), (fences, True), "fence and snapshot after '%s'" % step)
            f.w.ok("rollback", step, "--yes", "-q")
            equal(f.guarded.rights(), f.rights, "permissions after the rollback from '%s'" % step)
            expect(may_write(f.kube, "/registry/between"), "kube cannot write after the rollback from '%s'" % step)
            equal(f.destination.range(), {}, "keys on the destination after the rollback from '%s'" % step)
            expect(not os.path.exists(f.snapshot), "the snapshot is left after the rollback from '%s'" % step)
        f.run()
        f.moved()


def refused():
    """What would make the fence useless is found before the copy."""
    with scratch() as folder, Freeze(folder) as f:
        f.guarded.role("backup", ("readwrite", "/", True))
        f.guarded.user("bob", "bobpw", "backup")
        out = f.run(code=1)
        expect("user 'bob' by role 'backup'" in out.err + out.out, "bob is not named: %s" % out)
        equal(f.destination.range(), {}, "keys on the destination")
        out = f.w.ok("run", "etcd-to-etcd", "--run-id", "two", "--yes", "-p", "source=x", "-p", "destination=y", "-p", "freeze=role", code=1)
        expect("there is no freeze_role" in out.err, "no role: %s" % out)


if __name__ == "__main__":
    main(truth, live_writer, taken_back, aborted, killed, asked, fence_lifted, kept_frozen, rolled_back, refused)
