#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The etcd steps one by one, on real servers: guards, leases, sizes, whole keyspaces, foreign writers, compaction, receipts."""
import os
import random
import re
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from wtest import LIMIT, Etcd, Wherry, Writer, equal, expect, find_etcd, main, scratch

HEAD = """wherry: v1
name: %s
params:
  source: {type: string, required: true}
  destination: {type: string, required: true}
targets:
  a: {kind: etcd, endpoints: "${{ split(params.source, ',') }}"}
  b: {kind: etcd, endpoints: "${{ split(params.destination, ',') }}"}
steps:
"""
MOVE = "from: a, to: b, prefix: /s/, destination_prefix: /d/"


class Pair:
    """Two servers, and plans written for the occasion."""

    def __init__(self, folder, source=(), destination=(), binary=None):
        self.folder = folder
        self.a = Etcd(folder, "a", binary=binary, options=list(source))
        self.b = Etcd(folder, "b", binary=binary, options=list(destination))
        self.w = Wherry(os.path.join(folder, "state"))
        self.n = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.a.stop()
        self.b.stop()

    def file(self, steps):
        """steps: lines {id: …}, each a step."""
        self.n += 1
        path = os.path.join(self.folder, "plan-%d.yaml" % self.n)
        with open(path, "w") as f:
            f.write(HEAD % ("p%d" % self.n) + "".join("  - %s\n" % s for s in steps))
        return path

    def words(self):
        return ["-p", "source=" + self.a.url, "-p", "destination=" + self.b.url]

    def run(self, *steps, code=0, run_id=None):
        path = self.file(steps)
        return self.w.ok("run", path, "--yes", "--run-id", run_id or "r%d" % self.n, "--format", "plain", *self.words(), code=code)

    def plan(self, *steps, code=0):
        return self.w.ok("plan", self.file(steps), "--format", "json", *self.words(), code=code)

    def move(self, more="", code=0, tidy=True):
        """copy, sync, verify."""
        move = MOVE + (", " + more if more else "")
        steps = ["{id: copy, uses: etcd.copy, with: {%s}}" % move,
                 "{id: sync, uses: etcd.sync, with: {%s, from_revision: '${{ steps.copy.outputs.revision }}'}}" % move,
                 "{id: verify, uses: etcd.verify, with: {%s, at: '${{ steps.sync.outputs.revision }}'}}" % move]
        if tidy:
            steps.append("{id: tidy, uses: etcd.release, with: {in: b}, needs: [verify]}")
        return self.run(*steps, code=code)


def check(that):
    return "{id: c%d, uses: assert, with: {that: \"${{ %s }}\", message: \"%s\"}}" % (
        random.randrange(10 ** 9), that, that.replace("\\", "").replace('"', ""))


def small():
    """status, get, count, put and delete; a guard that does not hold changes nothing, and is a failure."""
    with scratch() as folder, Pair(folder) as p:
        p.run("{id: put, uses: etcd.put, with: {in: a, key: /k, value: one, if_absent: true}}",
              "{id: get, uses: etcd.get, with: {in: a, key: /k}, needs: [put]}",
              "{id: none, uses: etcd.get, with: {in: a, key: /none}}",
              "{id: next, uses: etcd.put, with: {in: a, key: /k, value: two, if_value: one}, needs: [get]}",
              "{id: last, uses: etcd.put, with: {in: a, key: /k, value: three, if_revision: '${{ steps.next.outputs.revision }}'}}",
              "{id: count, uses: etcd.count, with: {in: a, prefix: /}, needs: [last]}",
              "{id: status, uses: etcd.status, with: {in: a}, needs: [last]}",
              check("steps.get.outputs.value == 'one' and steps.get.outputs.exists"),
              check("steps.get.outputs.mod_revision == steps.put.outputs.revision"),
              check("not steps.none.outputs.exists and steps.none.outputs.value == nil"),
              check("steps.count.outputs.count == 1"), check("#steps.status.outputs.alarms == 0"),
              check("steps.status.outputs.revision == steps.last.outputs.revision"))
        revision = p.a.revision()
        for guard in ("if_absent: true", "if_value: one", "if_revision: 1"):
            p.run("{id: put, uses: etcd.put, with: {in: a, key: /k, value: x, %s}}" % guard, code=1)
        p.run("{id: delete, uses: etcd.delete, with: {in: a, key: /k, if_value: two}}", code=1)
        p.run("{id: get, uses: etcd.get, with: {in: a, key: /none, required: true}}", code=1)
        p.run("{id: delete, uses: etcd.delete, with: {in: a, key: /k, prefix: /}}", code=2)
        equal(p.a.revision(), revision, "the revision after refused writes")
        p.run("{id: same, uses: etcd.put, with: {in: a, key: /k, value: three}}")
        equal(p.a.revision(), revision, "the revision after a write of what is there")
        plan = p.plan("{id: delete, uses: etcd.delete, with: {in: a, key: /k}}",
                      "{id: get, uses: etcd.get, with: {in: a, key: /k}, needs: [delete]}", check("not steps.get.outputs.exists"))
        expect("predicted" not in {e["event"] for e in plan.json()}, "the dry-run does not know what its own write leaves: %s" % plan)
        p.a.put("/l", "x")
        p.run("{id: one, uses: etcd.delete, with: {in: a, key: /k, if_value: three}}",
              "{id: all, uses: etcd.delete, with: {in: a, prefix: /}, needs: [one]}")
        equal(p.a.range(), {}, "keys that are left")


def leases():
    """Keys with a lease: skipped, without it, or with a lease of their own; and those that get or lose one."""
    for mode, wanted in (("skip", {b"plain"}), ("drop", {b"plain", b"leased"}), ("keep", {b"plain", b"leased"})):
        with scratch() as folder, Pair(folder) as p:
            lease = int(p.a.call("lease/grant", {"TTL": "600"})["ID"])
            p.a.put("/s/plain", "x")
            p.a.put("/s/leased", "y", lease=lease)
            p.move("leases: " + mode)
            got = p.b.range("/d/")
            equal({k[3:] for k in got}, wanted, "keys with leases: " + mode)
            if mode == "keep":
                left = int(p.b.call("lease/timetolive", {"ID": str(got[b"/d/leased"]["lease"])})["TTL"])
                expect(500 < left <= 600, "the copy's lease has %d s left" % left)
            else:
                equal({kv["lease"] for kv in got.values()}, {0}, "leases on the destination")
    with scratch() as folder, Pair(folder) as p:
        p.a.put_many(("/s/%d" % i, "x") for i in range(9))
        done = p.run("{id: copy, uses: etcd.copy, with: {%s}}" % MOVE)
        lease = int(p.a.call("lease/grant", {"TTL": "600"})["ID"])
        revision = p.a.revision()
        p.a.put("/s/3", "leased now", lease=lease)
        p.run("{id: sync, uses: etcd.sync, with: {%s, from_revision: %d, scope: other}}" % (MOVE, revision), run_id="r1b", code=4)
        expect("/d/3" in {k.decode() for k in p.b.range("/d/")}, "a refused sync changed something: %s" % done)


def sizes():
    """Values near the limit, a destination that takes less than the source, and one that takes fewer operations."""
    rng = random.Random(3)
    with scratch() as folder, Pair(folder, destination=["--max-txn-ops", "16", "--max-request-bytes", "400000"]) as p:
        for i in range(6):
            p.a.put("/s/large-%d" % i, rng.randbytes(300000))
        p.a.put_many(("/s/small-%03d" % i, rng.randbytes(20)) for i in range(300))
        p.a.put("/s/empty", "")
        p.a.call("kv/put", {"key": "L3MvAP/9", "value": "AAECAw=="})
        p.move()
        equal(p.b.values("/d/"), p.a.values("/s/"), "the copy")
        p.a.put("/s/too-large", rng.randbytes(600000))
        out = p.run("{id: copy, uses: etcd.copy, with: {%s, on_existing: replace}}" % MOVE, code=1)
        expect("too-large" in out.err and "too large" in out.err, "the key that is too large is not named: %s" % out)
    with scratch() as folder, Pair(folder) as p:
        p.a.put("/s/huge", rng.randbytes(1500000))
        p.move()
        equal(p.b.values("/d/"), p.a.values("/s/"), "the copy")


def whole():
    """All keys of one server, the markers of the move left out; and an empty source."""
    with scratch() as folder, Pair(folder) as p:
        p.a.put_many(("%c%d" % (33 + i % 90, i), "v%d" % i) for i in range(500))
        p.a.put("/wherry/of-somebody", "stays behind")
        move = "from: a, to: b, prefix: '', exclude: ['A', '%c']" % 66
        p.run("{id: look, uses: etcd.preflight, with: {%s}}" % move, "{id: copy, uses: etcd.copy, with: {%s}, needs: [look]}" % move,
              "{id: verify, uses: etcd.verify, with: {%s}, needs: [copy]}" % move,
              "{id: tidy, uses: etcd.release, with: {in: b}, needs: [verify]}")
        wanted = {k: v for k, v in p.a.values().items() if k[:1] not in b"AB" and not k.startswith(b"/wherry/")}
        equal(p.b.values(), wanted, "the copy")
    with scratch() as folder, Pair(folder) as p:
        p.move()
        equal(p.b.range(), {}, "keys of an empty copy")


def one_cluster():
    """Within one cluster: apart is fine, overlapping is refused before anything is written."""
    with scratch() as folder, Pair(folder) as p:
        p.a.put_many(("/s/%d" % i, "x") for i in range(50))
        p.run("{id: copy, uses: etcd.copy, with: {from: a, to: a, prefix: /s/, destination_prefix: /t/}}",
              "{id: verify, uses: etcd.verify, with: {from: a, to: a, prefix: /s/, destination_prefix: /t/}, needs: [copy]}",
              "{id: tidy, uses: etcd.release, with: {in: a}, needs: [verify]}")
        revision = p.a.revision()
        for to in ("/s/", "/s/below/", "/"):
            p.run("{id: copy, uses: etcd.copy, with: {from: a, to: a, prefix: /s/, destination_prefix: %s}}" % to, code=2)
        equal(p.a.revision(), revision, "the revision after refused copies")


def foreign():
    """Somebody else writes to the destination: found by a guard, or by verify; never removed, but with replace."""
    with scratch() as folder, Pair(folder) as p:
        p.a.put_many(("/s/%05d" % i, "x") for i in range(3000))
        path = p.file(["{id: copy, uses: etcd.copy, with: {%s, rate_keys: 2000}}" % MOVE])
        run = p.w.start("run", path, "--yes", "--run-id", "one", "-q", *p.words(), stderr=open(os.path.join(folder, "err"), "w"))
        while not p.b.range("/d/"):
            time.sleep(0.01)
        p.b.put("/d/00950", "x")  # the same value, and still somebody else's
        equal(run.wait(timeout=LIMIT), 1, "exit code of a copy that met a foreign key")
        expect("/d/00950" in open(os.path.join(folder, "err")).read(), "the foreign key is not named")
    for mode, left in (("refuse", True), ("merge", True), ("replace", False)):
        for compact in (False, True):
            foreign_while_it_runs(mode, left, compact)


def foreign_while_it_runs(mode, left, compact):
    """Between copy and sync somebody writes to the destination, and the source changes."""
    with scratch() as folder, Pair(folder) as p:
        p.a.put_many(("/s/%d" % i, "x") for i in range(50))
        move = MOVE + ", on_existing: " + mode
        go = os.path.join(folder, "go")
        path = p.file(["{id: copy, uses: etcd.copy, with: {%s}}" % move,
                       "{id: pause, uses: exec, needs: [copy], with: {argv: [sh, -c, 'echo >%s.asked; until [ -e %s ]; do sleep 0.01; done']}}" % (go, go),
                       "{id: sync, uses: etcd.sync, needs: [pause], with: {%s, from_revision: '${{ steps.copy.outputs.revision }}'}}" % move,
                       "{id: verify, uses: etcd.verify, needs: [sync], with: {%s}}" % move])
        run = p.w.start("run", path, "--yes", "--run-id", "one", "--format", "plain", *p.words(), stderr=open(os.path.join(folder, "err"), "w"))
        while not os.path.exists(go + ".asked"):
            expect(run.poll() is None, "it ended early: " + open(os.path.join(folder, "err")).read())
            time.sleep(0.01)
        p.b.put("/d/foreign", "x")
        p.a.delete("/s/7")
        p.a.put("/s/8", "y")
        p.a.put("/s/new", "z")
        if compact:
            p.a.compact(p.a.revision())
        open(go, "w").close()
        code, err = run.wait(timeout=LIMIT), open(os.path.join(folder, "err")).read()
        got = p.b.values("/d/")
        # without a reason to compare keys nobody looks for what is too much: verify tells
        equal(b"foreign" in got, left or not compact, "the foreign key is there (%s, compacted: %s)" % (mode, compact))
        equal(code, 0 if mode == "merge" or (mode == "replace" and compact) else 1, "exit code (%s, compacted: %s): %s" % (mode, compact, err))
        expect(code == 0 or "/d/foreign" in err, "verify does not name it: " + err)
        got.pop(b"foreign", None)
        equal(got, p.a.values("/s/"), "the copy")


def live_verify():
    """verify at a revision of a live source; receipts of equal contents are equal, whatever the lanes."""
    with scratch() as folder, Pair(folder) as p:
        p.a.put_many(("/s/%05d" % i, "%d" % (i * 7)) for i in range(5000))
        writer = Writer(p.a, "/s/", random.Random(5))
        try:
            p.move()
        finally:
            writer.stop()
        outs = [p.run("{id: v, uses: etcd.verify, with: {from: b, to: b, prefix: /d/, lanes: %d}}" % n).err for n in (1, 8)]
        digests = [re.search(r"digest ([0-9a-f]{64})", out).group(1) for out in outs]
        equal(digests[0], digests[1], "digests")
    with scratch() as folder, Pair(folder) as p:
        p.a.put_many(("/s/%05d" % i, "x") for i in range(5000))
        p.move()
        p.b.put("/d/00000", "changed")
        p.b.delete("/d/00001")
        p.b.put("/d/extra", "x")
        out = p.run("{id: v, uses: etcd.verify, with: {from: a, to: b, prefix: /s/, destination_prefix: /d/}}", code=1)
        for word in ("3 keys differ", "/s/00000' (different)", "/s/00001' (missing", "/d/extra' (only"):
            expect(word in out.err, "the differences are not told, %r: %s" % (word, out))


def announced():
    """The dry-run of replace counts what is new, changed and removed; the destination sees just that."""
    with scratch() as folder, Pair(folder) as p:
        p.a.put_many(("/s/%03d" % i, "v%d" % i) for i in range(400))
        p.b.put_many(("/d/%03d" % i, "v%d" % i) for i in range(100))
        p.b.put_many(("/d/%03d" % i, "old") for i in range(100, 130))
        p.b.put_many(("/d/gone-%d" % i, "x") for i in range(20))
        step = "{id: copy, uses: etcd.copy, with: {%s, on_existing: replace}}" % MOVE
        diff = [e["diff"] for e in p.plan(step).json() if e["event"] == "action"][0]
        expect("+ 270 new, ~ 30 changed, - 20 removed" in diff, "the announcement: " + diff)
        before = p.b.revision()
        p.run(step)
        seen = p.b.events(before, p.b.revision(), "/d/")
        equal(len(seen), 320, "changes that the destination saw")
        equal(p.b.values("/d/"), p.a.values("/s/"), "the copy")


def versions():
    """What changed is found on newer servers too, by progress they can be trusted with, and after a compaction."""
    seen = 0
    for version in ("3.5", "3.6"):
        binary = find_etcd(version)
        if not binary:
            continue
        seen += 1
        with scratch() as folder, Pair(folder, binary=binary) as p:
            p.a.put_many(("/s/%03d" % i, "x") for i in range(300))
            p.move(tidy=False)
            revision = p.a.revision()
            p.a.put("/outside", "moves the revision on")
            out = p.run("{id: sync, uses: etcd.sync, with: {%s, from_revision: %d}}" % (MOVE, revision))
            expect("comparing" not in out.err, "etcd %s is not trusted with its progress: %s" % (version, out))
    return None if seen else "no newer etcd here, see tests/lib/etcd_versions.sh"


if __name__ == "__main__":
    main(small, leases, sizes, whole, one_cluster, foreign, live_verify, announced, versions)
