#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The plan cluster-copy, killed at the first, a middle and the last hit of every fault point: a resume does the rest, or a rollback
takes back what was done, and both clusters are as they should be."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import testbed  # noqa: E402
from shop import Lane, in_lanes  # noqa: E402
from wtest import equal, expect, main, scratch  # noqa: E402

KILLED = -9
LANES = 4  # places that are tried at a time, each in a namespace of its own
ASLEEP = ["--until", "same"]  # all that can be taken back


def has_faults():
    with open(os.environ["WHERRY"], "rb") as f:
        return b"kube.before_send" in f.read()


def hits(lane):
    """How often a run passes each fault point."""
    got, log = {}, os.path.join(lane.folder, "hits")
    lane.m.run(*ASLEEP, env={"WHERRY_FAULT_LOG": log})
    with open(log) as f:
        for line in f:
            got[line.split()[0]] = int(line.split()[1])
    lane.is_there("counted")
    lane.take_back("counted")
    return got


def kill(lane, job):
    place, resumes = job
    done = lane.m.run(*ASLEEP, env={"WHERRY_FAULT": place}, code=None)
    expect(done.code in (0, KILLED), "at %s: %s" % (place, done))  # the number of hits is not always the same
    if "m%d" % lane.m.n not in lane.m.w.ok("runs").out:
        return  # before the run was one
    if resumes and done.code == KILLED:
        lane.m.resume(*ASLEEP)
        lane.is_there(place)
    lane.take_back(place)


@testbed.shared(node=True)
def test_killed(a, b):
    if not has_faults():
        return "this build has no fault points"
    with scratch() as folder, a.namespace() as n1, a.namespace() as n2, a.namespace() as n3, a.namespace() as n4:
        lanes = []
        try:
            for i, ns in enumerate((n1, n2, n3, n4)[:LANES]):
                lanes.append(Lane(os.path.join(folder, str(i)), a, b, ns))
            passed = hits(lanes[0])
            expect("kube.answered" in passed and "folder.renamed" in passed and "journal.batch.synced" in passed, "points that were passed: %s" % passed)
            places = [("%s:%d" % (point, n), i % 2 == 0) for point, last in sorted(passed.items())
                      for i, n in enumerate(sorted({1, (last + 1) // 2, last}))]
            in_lanes(lanes, places, kill)
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
