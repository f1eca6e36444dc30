#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Journals that are not what they were: every kind of damage and mix-up ends with 5, changes nothing, and says where; a torn
tail goes on. All that is said is pinned in tests/golden/told/."""
import os
import re
import shutil
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "lib"), os.path.join(HERE, "..", "crash")]
import journalfile
from told import Desk
from wtest import Etcd, equal, expect, find_etcd, main, scratch

PLAN = """params: {dir: {type: string, required: true}}
steps:
  - {id: one, uses: exec, with: {argv: [sh, -c, "echo one >>$0/log", "${{ params.dir }}"]}}
  - {id: two, uses: exec, needs: [one], with: {argv: [sh, -c, "echo two >>$0/log", "${{ params.dir }}"]}}
  - {id: hold, uses: confirm, needs: [two], with: {message: go on?}}
  - {id: three, uses: exec, needs: [hold], with: {argv: [sh, -c, "echo three >>$0/log", "${{ params.dir }}"]}}
"""


class Paused(Desk):
    """A run that waits at its gate, and a copy of its folder to go back to."""

    def __init__(self, folder):
        super().__init__(folder)
        self.w.ok("run", self.plan(PLAN), "--run-id", "r", "--yes", "-p", "dir=" + folder, code=3)
        self.journal = os.path.join(self.w.folder("r"), "journal")
        shutil.copytree(self.w.folder("r"), self.path("kept"))

    def again(self):
        shutil.rmtree(self.w.state)
        shutil.copytree(self.path("kept"), self.w.folder("r"))

    def data(self):
        with open(self.journal, "rb") as f:
            return f.read()

    def put(self, data):
        with open(self.journal, "wb") as f:
            f.write(data)

    def files(self):
        """What is in the run's folder, but for the holder's line in the lock."""
        got = {}
        for top, _, names in os.walk(self.w.state):
            for name in names:
                with open(os.path.join(top, name), "rb") as f:
                    got[os.path.join(top, name)] = None if name == "lock" else f.read()
        return got

    def refused(self, row, *args):
        """Refused with 5 by whatever reads it, and nothing is changed by that."""
        before = self.files()
        self.told("journal-" + row, 5, *(args or ("resume", "r", "--yes")))
        for args in (["status", "r"], ["journal", "verify", "r"], ["approve", "r", "hold"]):
            done = self.w(*args)
            equal(done.code, 5, str(done))
        equal(self.files(), before, "files after a refusal (%s)" % row)


def damage():
    """A flipped bit, missing, doubled, reordered and foreign batches, a cut middle: refused, with file, offset and what is still good."""
    with scratch() as folder:
        desk = Paused(folder)
        data = desk.data()
        found = journalfile.batches(data)
        expect(len(found) > 4, "only %d batches" % len(found))
        first, second, third = found[:3]
        middle = second.at + 200
        for row, spoilt in (
                ("bit", data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1:]),
                ("zeroed-middle", data[:second.at] + bytes(second.end - second.at) + data[second.end:]),
                ("missing-batch", data[:second.at] + data[second.end:]),
                ("doubled-batch", data[:second.end] + data[second.at:second.end] + data[second.end:]),
                ("reordered", data[:second.at] + data[third.at:third.end] + data[second.at:second.end] + data[third.end:]),
                ("changed-and-hashed", journalfile.splice(data, 1, b"one", b"two")),
                ("first-batch-gone", data[first.end:]),
                ("empty", b""),
                ("only-zeroes", bytes(4096)),
                ("other-file", b"#!/bin/sh\nexit 0\n" * 100)):
            desk.again()
            desk.put(spoilt)
            desk.refused(row)
        desk.again()
        os.remove(desk.journal)
        desk.told("journal-none", 2, "resume", "r", "--yes")


def versions():
    """A journal of a newer wherry is left alone; so is one that mixes two runs."""
    with scratch() as folder:
        desk = Paused(folder)
        data = desk.data()
        desk.put(data.replace(b"WJ1 ", b"WJ2 "))
        desk.refused("newer")
        desk.again()
        last = journalfile.batches(data)[-1]
        desk.put(data[:last.at] + b"WJ2 " + data[last.at + 4:])
        desk.refused("newer-behind-ours")
        desk.again()
        desk.w.ok("run", desk.path("plan.yaml"), "--run-id", "other", "--yes", "-p", "dir=" + folder, code=3)
        with open(os.path.join(desk.w.folder("other"), "journal"), "rb") as f:
            other = f.read()
        ours, theirs = journalfile.batches(data), journalfile.batches(other)
        desk.put(data[:ours[2].at] + other[theirs[2].at:theirs[-1].end] + bytes(1 << 20))
        desk.refused("spliced")
        desk.again()
        os.rename(desk.w.folder("r"), desk.w.folder("renamed"))
        desk.told("journal-renamed", 5, "resume", "renamed", "--yes")


def plans():
    """The plan that lies beside the journal is the one that it names, or nothing is done."""
    with scratch() as folder:
        desk = Paused(folder)
        plan = os.path.join(desk.w.folder("r"), "plan", "main.yaml")
        with open(plan, "a") as f:
            f.write("# a comment\n")
        desk.told("journal-other-plan", 5, "resume", "r", "--yes")
        os.remove(plan)
        desk.told("journal-no-plan", 5, "resume", "r", "--yes")
        equal(open(desk.path("log")).read(), "one\ntwo\n", "effects")


def torn():
    """A torn tail is put aside and told; what it may have recorded is settled as after a crash."""
    with scratch() as folder:
        desk = Desk(folder)
        plan = desk.plan("steps:\n  - {id: one, uses: exec, with: {argv: [sh, -c, 'echo one >>%s']}}\n"
                         "  - {id: two, uses: exec, needs: [one], with: {idempotent: true, argv: [sh, -c, 'test -e %s || kill -9 $PPID']}}\n"
                         % (desk.path("log"), desk.path("go")))
        equal(desk.w("run", plan, "--run-id", "r", "--yes").code, -9, "killed")
        journal = os.path.join(desk.w.folder("r"), "journal")
        with open(journal, "r+b") as f:
            last = journalfile.batches(f.read())[-1]
            f.seek(last.at + 300)
            f.write(bytes(last.end - last.at - 300))
        desk.file("go", "")
        desk.told("journal-torn-verify", 0, "journal", "verify", "r")
        desk.told("journal-torn-status", 0, "status", "r")
        done = desk.w("resume", "r", "--yes")
        equal(done.code, 0, str(done))
        expect("was torn; its bytes are kept in quarantine/" in done.err, str(done))
        equal(len(os.listdir(os.path.join(desk.w.folder("r"), "quarantine"))), 1, "files in quarantine")
        equal(open(desk.path("log")).read(), "one\n", "effects")


def cluster():
    """A run is not continued on another cluster than it began with."""
    if not find_etcd():
        return "no etcd"
    with scratch() as folder, Etcd(folder) as server:
        desk = Desk(folder)
        plan = desk.plan("targets: {db: {kind: etcd, endpoints: ['%s']}}\nsteps:\n  - {id: put, uses: etcd.put, with: {in: db, key: /a, value: x}}\n"
                         "  - {id: hold, uses: confirm, needs: [put], with: {message: go on?}}\n"
                         "  - {id: more, uses: etcd.put, needs: [hold], with: {in: db, key: /b, value: x}}\n" % server.url)
        desk.w.ok("run", plan, "--run-id", "r", "--yes", code=3)
        server.stop()
        shutil.rmtree(server.folder)
        server.options += ["--initial-cluster-token", "another"]  # a cluster's id is a hash of this and its members
        expect(server.start(), "the other cluster does not start")
        done = desk.w("resume", "r", "--yes", "--approve", "hold")
        ids = dict.fromkeys(re.findall(r"\b[0-9a-f]{15,16}\b", done.err))
        desk.told("journal-other-cluster", 5, "resume", "r", "--yes", replaced=[(name, "ID-%d" % n) for n, name in enumerate(ids)])
        equal(server.values(), {}, "keys on the other cluster")


if __name__ == "__main__":
    main(damage, versions, plans, torn, cluster)
