#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Whole stores: snapshots that can be restored, and revisions that are raised; killed in the middle, and gone on with."""
import hashlib
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from wtest import LIMIT, Etcd, Wherry, equal, expect, find_etcd, main, scratch

HEAD = """wherry: v1
name: store
params:
  url: {type: string, required: true}
  password: {type: string, secret: true, default: null}
targets:
  a: {kind: etcd, endpoints: "${{ split(params.url, ',') }}"%s}
steps:
"""
VERSIONS = [v for v in ("3.4", "3.5", "3.6") if find_etcd(v)]


class Store:
    """A server with some keys, and plans for the occasion."""

    def __init__(self, folder, version="3.4", keys=500, size=200, user=False):
        self.folder = folder
        self.etcd = Etcd(folder, "a", binary=find_etcd(version))
        self.w = Wherry(os.path.join(folder, "state"), env={"WHERRY_PARAM_PASSWORD": "rootpw"})
        self.head = HEAD % (", user: root, password: '${{ params.password }}'" if user else "")
        self.n = 0
        rng = random.Random(7)
        self.etcd.put_many((("/k/%05d" % i, rng.randbytes(size)) for i in range(keys)), size=20)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.etcd.stop()

    def file(self, *steps):
        self.n += 1
        path = os.path.join(self.folder, "plan-%d.yaml" % self.n)
        with open(path, "w") as f:
            f.write(self.head + "".join("  - %s\n" % s for s in steps))
        return path

    def words(self, url=None):
        return ["-p", "url=" + (url or self.etcd.url)]

    def run(self, *steps, code=0, url=None):
        return self.w.ok("run", self.file(*steps), "--yes", "--run-id", "r%d" % (self.n), "--format", "plain", *self.words(url), code=code)

    def plan(self, *steps, code=0):
        return self.w.ok("plan", self.file(*steps), "--format", "json", *self.words(), code=code)

    def start(self, *steps):
        return self.w.start("run", self.file(*steps), "--yes", "--run-id", "r%d" % self.n, "-q", *self.words())


def saved(path):
    return "{id: save, uses: etcd.snapshot, with: {from: a, path: %s}}" % path


def restore(folder, path):
    shutil.rmtree(os.path.join(folder, "restored"), ignore_errors=True)
    done = subprocess.run(["etcdctl", "snapshot", "restore", path, "--data-dir", os.path.join(folder, "restored")],
                          env={**os.environ, "ETCDCTL_API": "3"}, capture_output=True, text=True)
    expect(done.returncode == 0, "the snapshot cannot be restored: " + done.stderr)


def snapshot():
    """A snapshot holds what etcdctl finds in it; size and hash are the file's; one that is there is not replaced."""
    for version in VERSIONS:
        with scratch() as folder, Store(folder, version, keys=3000, size=1000) as s:
            path = os.path.join(folder, "etcd.db")
            plan = [e for e in s.plan(saved(path)).json() if e["event"] == "action"]
            expect(len(plan) == 1 and re.search("about [0-9.]+ MiB", plan[0]["says"]), "announced: %s" % plan)
            expect(not os.path.exists(path), "the dry-run made the file")
            s.run(saved(path), "{id: a, uses: note, with: {message: '${{ steps.save.outputs.sha256 }} ${{ steps.save.outputs.size }}.'}}")
            content = open(path, "rb").read()
            out = s.w.ok("report", "r2").out
            expect("%s %d." % (hashlib.sha256(content).hexdigest(), len(content)) in out, "hash and size: " + out)
            equal(content[-32:], hashlib.sha256(content[:-32]).digest(), "the trailer")
            equal(os.stat(path).st_mode & 0o777, 0o600, "the file's mode")
            equal([n for n in os.listdir(folder) if "part" in n], [], "left beside it")
            if version == "3.4":
                restore(folder, path)
            out = s.run(saved(path), code=1)
            expect("exists already" in out.err, "a second time: %s" % out)
            equal(open(path, "rb").read(), content, "the file after the refusal")
            out = s.plan(saved(path), code=1)
            out = s.run(saved(os.path.join(folder, "none", "x.db")), code=1)
            expect("none" in out.err, "a folder that is not there: %s" % out)


def many_snapshots():
    """Small ones, many: an end that comes with the last bytes must not cut them off."""
    for version in VERSIONS:
        with scratch() as folder, Store(folder, version) as s:
            s.run(*("{id: s%d, uses: etcd.snapshot, with: {from: a, path: %s/%d.db}}" % (i, folder, i) for i in range(40)))


def snapshot_lost():
    """A snapshot that is gone or another one when the run is taken up again stops it, and is named."""
    with scratch() as folder, Store(folder) as s:
        path, go = os.path.join(folder, "etcd.db"), os.path.join(folder, "go")
        s.run(saved(path), "{id: next, uses: exec, with: {argv: [test, -e, %s], idempotent: true}, needs: [save]}" % go, code=1)
        content = open(path, "rb").read()
        open(go, "w").close()
        os.unlink(path)
        out = s.w.ok("resume", "r1", "--yes", code=3)
        expect("etcd.db' that this step left is gone" in out.err, "a lost snapshot: %s" % out)
        open(path, "wb").write(content[:-1])
        out = s.w.ok("resume", "r1", "--yes", code=3)
        expect("is another one now" in out.err, "another snapshot: %s" % out)
        open(path, "wb").write(content)
        s.w.ok("resume", "r1", "--yes")


def snapshot_killed():
    """Killed while it streams: nothing has the file's name; a resume makes it, and leaves nothing else."""
    with scratch() as folder, Store(folder, keys=30000, size=4000) as s:
        path = os.path.join(folder, "etcd.db")
        killed = 0
        for _ in range(10):
            s.n += 1
            p = s.start(saved(path))
            while p.poll() is None and not os.path.exists(path + ".part"):
                time.sleep(0.001)
            p.kill()
            run = "r%d" % s.n
            if p.wait() != -signal.SIGKILL or os.path.exists(path):
                os.path.exists(path) and os.unlink(path)
                continue
            killed += 1
            expect(os.path.exists(path + ".part"), "the part is gone")
            s.w.ok("resume", run, "--yes")
            content = open(path, "rb").read()
            equal(content[-32:], hashlib.sha256(content[:-32]).digest(), "the trailer after a resume")
            equal([n for n in os.listdir(folder) if "part" in n], [], "left beside it")
            os.unlink(path)
            if killed == 3:
                return
        expect(killed, "the kill never met the stream")


def snapshot_of_root():
    """With authentication only root gets a snapshot; another user is told so. A member that is away is passed over."""
    with scratch() as folder, Store(folder, user=True) as s:
        s.etcd.call("auth/user/add", {"name": "root", "password": "rootpw"})
        s.etcd.call("auth/user/grant", {"user": "root", "role": "root"})
        s.etcd.call("auth/user/add", {"name": "bob", "password": "rootpw"})
        s.etcd.call("auth/enable", {})
        path = os.path.join(folder, "etcd.db")
        s.run(saved(path), url="http://127.0.0.1:1," + s.etcd.url)
        expect(os.path.getsize(path) > 1000, "the snapshot is empty")
        s.head = s.head.replace("user: root", "user: bob")
        out = s.run(saved(path + "2"), code=1)
        expect("permission denied" in out.err and "role root" in out.err, "the refusal: %s" % out)
        equal([n for n in os.listdir(folder) if n.startswith("etcd.db")], ["etcd.db"], "files")


def to(revision, more=""):
    return "{id: raise, uses: etcd.raise-revision, with: {on: a, to: %d%s}}" % (revision, more)


def raised():
    """The dry-run says what it costs, the run does that; no key is left, and nothing is done where it is high enough."""
    for version in VERSIONS:
        with scratch() as folder, Store(folder, version) as s:
            before, keys = s.etcd.revision(), s.etcd.range()
            goal = before + 5000
            plan = [e for e in s.plan(to(goal)).json() if e["event"] == "action" and not e.get("unchanged")]
            equal([e["verb"] for e in plan], ["raise", "release-bulk"], "announced")
            expect("from %d to %d: at most 4999 transactions" % (before, goal) in plan[0]["says"] and "in 4999 transactions" in plan[0]["diff"],
                   "the cost: %s" % plan[0])
            equal(s.etcd.revision(), before, "the revision after the dry-run")
            s.run(to(goal), "{id: n, uses: note, with: {message: 'now ${{ steps.raise.outputs.revision }}.'}}")
            expect("now %d." % goal in s.w.ok("report", "r2").out, "the output")
            equal(s.etcd.revision(), goal + 1, "the revision: the claim and %d transactions, and one that cleans up" % (goal - before - 1))
            equal(s.etcd.range(), keys, "the keys")
            out = s.run(to(goal))
            expect("unchanged" in out.err, "a second time: %s" % out)
            plan = [e for e in s.plan(to(goal)).json() if e["event"] == "action" and not e.get("unchanged")]
            equal(plan, [], "announced where it is high enough")
            for n in (1, 2):
                s.run(to(s.etcd.revision() + n))
            for command in (s.run, s.plan):
                out = command(to(s.etcd.revision() + 100, ", limit: 99"), code=1)
                expect("takes 100 transactions, and the limit is 99" in out.err + out.out, "the limit: %s" % out)
            equal(s.etcd.range(), keys, "the keys in the end")


def raise_killed():
    """Killed again and again while it raises: it goes on from where the store is, and leaves no key."""
    with scratch() as folder, Store(folder) as s:
        keys, start = s.etcd.range(), s.etcd.revision()
        goal = start + 12000
        p = s.start(to(goal, ", rate: 6000"))
        for share in (1, 2, 3):
            while p.poll() is None and s.etcd.revision() < start + share * 3000:
                time.sleep(0.005)
            p.kill()
            equal(p.wait(), -signal.SIGKILL, "the killed run's end")
            at = s.etcd.revision()
            expect(start + share * 3000 <= at < goal, "killed at %d" % at)
            p = s.w.start("resume", "r1", "--yes", "-q")
        equal(p.wait(timeout=LIMIT), 0, "the last resume")
        expect(goal < s.etcd.revision() < goal + 40, "the revision: %d, wanted %d" % (s.etcd.revision(), goal))
        equal(s.etcd.range(), keys, "the keys")


def raise_without_room():
    """A raise that would fill the store, and so stop everybody's writes, is refused where the server tells its quota."""
    if "3.6" not in VERSIONS:
        return "etcd 3.6 is not here, see tests/lib/etcd_versions.sh"
    with scratch() as folder, Store(folder, "3.6") as s:
        s.etcd.stop()
        s.etcd.options += ["--quota-backend-bytes", str(16 << 20)]
        expect(s.etcd.start(), "the server does not come back")
        before = s.etcd.revision()
        for command in (s.plan, s.run):
            out = command(to(before + 500000), code=1)
            expect("no room for about 57.2 MiB" in out.err + out.out, "the refusal: %s" % out)
        equal(s.etcd.revision(), before, "the revision")


def raise_rate():
    """The rate of transactions is kept."""
    with scratch() as folder, Store(folder) as s:
        begin = time.monotonic()
        s.run(to(s.etcd.revision() + 400, ", rate: 200"))
        expect(time.monotonic() - begin > 1.8, "400 transactions at 200 a second took %.1f s" % (time.monotonic() - begin))


if __name__ == "__main__":
    main(snapshot, many_snapshots, snapshot_lost, snapshot_killed, snapshot_of_root, raised, raise_killed, raise_without_room, raise_rate)
