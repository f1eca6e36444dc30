# SPDX-License-Identifier: Apache-2.0
"""Two of them: two processes on one run, two runs on one destination, a paused executor that wakes up after another
took over; and a journal whose past was changed with hashes that fit. Each check raises Violation when broken."""
import os
import random
import shutil
import signal
import subprocess
import time

import journalfile
from scripted import Scripted, reply
from stories import RUN, SCENARIOS, Story
from wtest import Etcd, Violation, Wherry, equal, expect

RACES = 10
KEYS = 4000
QUIET = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}


def wait_for(condition, what, seconds=20):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise Violation("waited %d s for %s in vain" % (seconds, what))
        time.sleep(0.01)


def dag(folder, program):
    """The dag plan, killed in its middle: the scenario and its state."""
    scenario = SCENARIOS["dag"](folder)
    scenario.reset(random.Random(1))
    scenario.arm("kill-after", "s1-0")  # the command counts, then kills its wherry: a step that may not run twice
    w = Wherry(os.path.join(folder, "state"), program)
    done = w("run", scenario.plan, "--run-id", RUN, "--yes", "-j", "1", *scenario.params())
    equal(done.code, -signal.SIGKILL, "the run's end")
    return scenario, w


def check_lock(folder, program):
    """A live run refuses a second process (4) and says who; of two resumes one wins, and nothing happens twice."""
    scenario = SCENARIOS["dag"](os.path.join(folder, "lock"))
    scenario.reset(random.Random(1))
    for i in range(6):
        scenario.arm("slow", "s0-%d" % i)
        scenario.arm("slow", "s1-%d" % i)
    w = Wherry(os.path.join(scenario.folder, "state"), program)
    first = w.start("run", scenario.plan, "--run-id", RUN, "--yes", "-j", "2", *scenario.params(),
                    **QUIET)
    try:
        wait_for(lambda: scenario.counts(), "the first effect")
        second = w("resume", RUN, "--yes")
        equal(second.code, 4, "a second process on a live run: %s\nexit code" % second)
        expect(str(first.pid) in second.err, "the refusal does not name the holder (pid %d): %s" % (first.pid, second))
        again = w("run", scenario.plan, "--run-id", RUN, "--yes", *scenario.params())
        equal(again.code, 2, "a used run id: %s\nexit code" % again)
    finally:
        code = first.wait()
    equal(code, 0, "the first process's exit code")
    scenario.check()
    for i in range(RACES):
        scenario, w = dag(os.path.join(folder, "race"), program)
        story = Story(scenario, program, i)
        story.w = w
        args = ["resume", RUN, "--yes", "-q"]
        done = w(*args)
        if done.code == 3:
            args = story.resolve(done)
        racers = [w.start(*args, **QUIET) for _ in (1, 2)]
        codes = sorted(r.wait() for r in racers)
        expect(codes in ([0, 4], [0, 0], [0, 2]), "two resumes ended with %s" % codes)
        scenario.check()
    return RACES + 2


def check_chain(folder, program):
    """A past batch, changed and given a hash that fits, is refused by every reader, and nothing is changed."""
    scenario, w = dag(os.path.join(folder, "chain"), program)
    path = os.path.join(w.state, RUN, "journal")
    with open(path, "rb") as f:
        sound = f.read()
    found = journalfile.batches(sound)
    changed = 0
    for i in range(1, len(found) - 1):
        for old, new in ((b'"st":"done"', b'"st":"d0ne"'), (b'"t":"intent"', b'"t":"settle"'), (b's0-', b's9-')):
            if old not in found[i].body:
                continue
            spliced = journalfile.splice(sound, i, old, new)
            for args in (["journal", "verify", RUN], ["resume", RUN, "--yes"]):
                with open(path, "wb") as f:
                    f.write(spliced)
                done = w(*args)
                equal(done.code, 5, "batch %d changed: %s\nexit code" % (i, done))
                with open(path, "rb") as f:
                    expect(f.read() == spliced, "a refused journal was changed")
            changed += 1
    # A whole batch left out of the middle.
    with open(path, "wb") as f:
        f.write(sound[:found[2].at] + sound[found[2].end:])
    equal(w("journal", "verify", RUN).code, 5, "a batch left out; exit code")
    expect(changed >= 3, "the journal had too little to change")
    return changed + 1


def fill(source, prefix, n=KEYS):
    source.put_many(("%s%05d" % (prefix, i), os.urandom(64)) for i in range(n))


def copy_args(source, destination, *more, run=RUN):
    return ["run", "etcd-to-etcd", "--run-id", run, "--yes", "-q", "-p", "source=" + source.url, "-p",
            "destination=" + destination.url, "-p", "prefix=/src/", "-p", "destination_prefix=/dst/", *more]


def half_way(destination):
    return lambda: int(destination.call("kv/range", {"key": "L2RzdC8=", "range_end": "L2RzdDA=", "count_only": True}).get(
        "count", 0)) > KEYS // 8


def states(folder, *names):
    for name in names:
        os.makedirs(os.path.join(folder, name), 0o700)
    return [os.path.join(folder, name) for name in names]


def check_claim(folder, program, claimed_point="etcd.txn.before"):
    """A second run on the same destination is refused; a paused executor that wakes up after another took its run over
    cannot write any more."""
    folder = os.path.join(folder, "claim")
    here, other, moved = states(folder, "here", "other", "moved")
    with Etcd(folder, "source") as source, Etcd(folder, "destination") as destination:
        fill(source, "/src/")
        a = Wherry(here, program)
        first = a.start(*copy_args(source, destination, "-p", "rate_keys=2000"), **QUIET)
        try:
            wait_for(half_way(destination), "the copy's beginning")
            first.send_signal(signal.SIGSTOP)
            second = Wherry(other, program)(*copy_args(source, destination, "-p", "on_existing=merge", run="r2"))
            expect(second.code not in (0, 130), "a second run on a claimed destination went through: %s" % second)
            expect(RUN in second.err or "claim" in second.err, "the refusal does not say who: %s" % second)
            shutil.rmtree(moved)
            shutil.copytree(here, moved)
            taken = Wherry(moved, program)("resume", RUN, "--yes", env={"WHERRY_FAULT": claimed_point + ":1"})
            equal(taken.code, -signal.SIGKILL, "the new executor, killed once it had the claim: %s\nexit code" % taken)
            before = destination.revision()
        except Violation:
            first.kill()
            first.wait()
            raise
        first.send_signal(signal.SIGCONT)
        code = first.wait()
        expect(code not in (0, -signal.SIGKILL), "the executor that was taken over ended with %s" % code)
        wrote = destination.events(before, destination.revision(), "/dst/")
        expect(not wrote, "the executor that was taken over wrote %d keys" % len(wrote))
        Wherry(moved, program).ok("resume", RUN, "--yes")
        equal(destination.values("/dst/"), source.values("/src/"), "the copy")
    return 2


def check_cursor(folder, program):
    """What was copied before a kill is not written again after it: counted by a watch on the destination. The kill is
    after a transaction's reply, before anything else."""
    folder = os.path.join(folder, "cursor")
    for i, how in enumerate(("refuse", "merge", "replace")):
        state, = states(folder, "state-%d" % i)
        with Etcd(folder, "source-%d" % i) as source, Etcd(folder, "destination-%d" % i) as destination:
            fill(source, "/src/")
            start = destination.revision()
            w = Wherry(state, program)
            done = w(*copy_args(source, destination, "-p", "on_existing=" + how), env={"WHERRY_FAULT": "etcd.txn.replied:9"})
            equal(done.code, -signal.SIGKILL, "the run, killed in its ninth transaction: %s\nexit code" % done)
            w.ok("resume", RUN, "--yes", "-q")
            equal(destination.values("/dst/"), source.values("/src/"), "the copy")
            puts = destination.events(start, destination.revision(), "/dst/")
            equal(len(puts), KEYS, "puts that the destination saw, on_existing=%s" % how)
    return 3


def check_fresh(folder, program):
    """An answer that is lost on a kept connection posts once: nothing beneath us sends it again."""
    os.makedirs(folder, exist_ok=True)
    plan = os.path.join(folder, "post.yaml")
    with Scripted(lambda r: [None] if r.method == "POST" else reply(200, "x")) as server:
        with open(plan, "w") as f:
            f.write("wherry: v1\nname: post\nsummary: A read, then a POST.\nsteps:\n"
                    '  - {id: look, uses: http.request, with: {url: "%s/"}}\n'
                    '  - {id: post, uses: http.request, needs: [look], with: {url: "%s/", method: POST}}\n' % (server.url, server.url))
        done = Wherry(os.path.join(folder, "state"), program)("run", plan, "--yes")
        equal(len(server.asked("POST")), 1, "requests that a server saw of one POST without an answer")
        equal(done.code, 3, "a POST without an answer: %s\nexit code" % done)
    return 1


def check_inbox(folder, program):
    """A word that somebody was told is taken is on record, whatever kills the process that took it."""
    scenario = SCENARIOS["gates"](os.path.join(folder, "inbox"))
    for n in range(1, 17):
        Story(scenario, program, n, first="journal.batch.before_write:%d" % n).tell()
    return n


CHECKS = {"LOCK": check_lock, "CHAIN": check_chain, "CLAIM": check_claim, "CURSOR": check_cursor, "INBOX": check_inbox, "FRESH": check_fresh}


def run(options, folder):
    broken = 0
    for name, check in CHECKS.items():
        begin = time.monotonic()
        try:
            result = "%d cases, 0 broken" % check(os.path.join(folder, "race"), options.faults)
        except Violation as e:
            broken += 1
            result = "BROKEN: %s" % e
        print("crash: %s: %s (%.0f s)" % (check.__name__[6:], result, time.monotonic() - begin), flush=True)
    return broken
