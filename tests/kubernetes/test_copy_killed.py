#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The plan cluster-copy, killed at the first, a middle and the last hit of every fault point: a resume does the rest, or a rollback
takes back what was done, and both clusters are as they should be."""
import os
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import testbed  # noqa: E402
from shop import Move, Stall, state  # noqa: E402
from wtest import equal, expect, main, scratch, wait_for  # noqa: E402

KILLED = -9
LANES = 4  # places that are tried at a time, each in a namespace of its own
ASLEEP = ["--until", "same"]  # all that can be taken back


def has_faults():
    with open(os.environ["WHERRY"], "rb") as f:
        return b"kube.before_send" in f.read()


class Lane:
    """A namespace that is moved and taken back again and again."""

    def __init__(self, folder, a, b, ns):
        os.mkdir(folder)
        self.a, self.b, self.ns, self.log = a, b, ns, os.path.join(folder, "hits")
        self.stall, self.m = Stall(folder, ns), Move(folder, a, b, ns)
        self.stall.open(a)
        self.before = state(a, self.stall)

    def hits(self, *words):
        """How often each fault point is passed."""
        got = {}
        self.m.run(*words, env={"WHERRY_FAULT_LOG": self.log})
        with open(self.log) as f:
            for line in f:
                got[line.split()[0]] = int(line.split()[1])
        self.is_there("counted")
        self.take_back("counted")
        return got

    def is_there(self, where):
        """Everything came to the destination asleep, and rests at the source."""
        want = {o["kind"] + "/" + o["metadata"]["name"] for o in self.stall.objects} - {"Pod/bare"}
        there = {o["kind"] + "/" + o["metadata"]["name"] for o in self.b.get("cm,secret,sa,sts,ds,cronjob,pvc", namespace=self.ns)["items"]}
        equal(sorted(want - there), [], "what is not at the destination, " + where)
        equal([self.stall.pods(self.a), self.stall.pods(self.b)], [[], []], "pods, " + where)

    def take_back(self, where):
        self.m.back()
        wait_for(lambda: self.stall.pods(self.a) == ["agent", "bare", "db"], "the source runs, " + where)
        equal(state(self.a, self.stall), self.before, "the source, " + where)
        wait_for(lambda: not self.b.kubectl("get", "ns/" + self.ns, "pv/" + self.stall.id, "--ignore-not-found"), "an empty destination, " + where)

    def kill(self, place, resumes):
        done = self.m.run(*ASLEEP, env={"WHERRY_FAULT": place}, code=None)
        if not os.path.exists(self.m.w.folder("m%d" % self.m.n)):
            return  # before the run was one
        if done.code == 0:  # in lanes the number of hits is not always the same
            resumes = False
        else:
            equal(done.code, KILLED, "exit code at %s: %s" % (place, done))
        if resumes:
            self.m.resume(*ASLEEP)
            self.is_there(place)
        self.take_back(place)


def in_lanes(lanes, jobs):
    """Each job by the lane that is free; the first failure is raised."""
    failed, jobs = [], list(jobs)

    def work(lane):
        while jobs and not failed:
            try:
                lane.kill(*jobs.pop(0))
            except Exception as e:  # noqa: BLE001
                failed.append(e)
    threads = [threading.Thread(target=work, args=(lane,)) for lane in lanes]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    if failed:
        raise failed[0]


@testbed.shared(node=True)
def test_killed(a, b):
    if not has_faults():
        return "this build has no fault points"
    with scratch() as folder, a.namespace() as n1, a.namespace() as n2, a.namespace() as n3, a.namespace() as n4:
        lanes = []
        try:
            for i, ns in enumerate((n1, n2, n3, n4)[:LANES]):
                lanes.append(Lane(os.path.join(folder, str(i)), a, b, ns))
            hits = lanes[0].hits(*ASLEEP)
            expect("kube.answered" in hits and "folder.renamed" in hits and "journal.batch.synced" in hits, "points that were passed: %s" % hits)
            places = [("%s:%d" % (point, n), i % 2 == 0) for point, last in sorted(hits.items())
                      for i, n in enumerate(sorted({1, (last + 1) // 2, last}))]
            in_lanes(lanes, places)
        finally:
            for lane in lanes:
                lane.stall.close(a, b)
    return None


@testbed.shared(node=True)
def test_killed_awake(a, b):
    """Behind the point of no return there is only the way on."""
    if not has_faults():
        return "this build has no fault points"
    with scratch() as folder, a.namespace() as ns:
        lane = Lane(os.path.join(folder, "one"), a, b, ns)
        try:
            lane.m.run(*ASLEEP)
            for place in ("kube.before_send:2", "kube.answered:1", "kube.answered:3", "effect.settled:2", "step.ended:2", "effect.intent_durable:1"):
                done = lane.m.resume("--approve", "wake", env={"WHERRY_FAULT": place}, code=None)
                expect(done.code == KILLED or "handover" in done.err, "at %s: %s" % (place, done))
            lane.m.resume("--approve", "wake", "--approve", "handover")
            lane.stall.is_up(b)
            equal([lane.stall.pods(a), lane.stall.pods(b)], [[], ["agent", "bare", "db"]], "pods")
            with open(os.path.join(lane.stall.disk, "log")) as f:
                equal(f.read(), "up\nup\n", "what wrote to the volume")
        finally:
            lane.stall.close(a, b)
    return None


main(test_killed, test_killed_awake)
