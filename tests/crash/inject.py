# SPDX-License-Identifier: Apache-2.0
"""Faults injected into the shipped program from outside: a tracer kills it at, or fails, the Nth call of a system call;
a preloaded library makes the Nth write really short. What follows is a story like any other."""
import collections
import os
import random
import re
import subprocess

from stories import SCENARIOS, Story
from wtest import expect

HERE = os.path.dirname(os.path.abspath(__file__))
# Calls that the commands of the plans do not make themselves: all threads are traced. `write` is theirs too, so only
# the coordinator's is.
FILE_CALLS = {"pwrite64": ("KILL", "EIO", "ENOSPC", "EINTR"), "fdatasync": ("KILL", "EIO"), "fsync": ("KILL", "EIO", "ENOSPC"),
              "rename": ("KILL", "EIO", "ENOSPC"), "fallocate": ("KILL", "ENOSPC"), "ftruncate": ("KILL", "EIO"),
              "mkdir": ("KILL", "ENOSPC")}
OWN_CALLS = {"write": ("KILL", "EIO", "ENOSPC", "EINTR")}
NET_CALLS = {"sendto": ("KILL", "ECONNRESET"), "recvfrom": ("KILL", "ECONNRESET"), "connect": ("KILL", "ECONNREFUSED"),
             "pwrite64": ("KILL", "EIO", "ENOSPC"), "fdatasync": ("KILL", "EIO")}


def tracer(follow, call, what=None, when=None, log="/dev/null"):
    argv = ["strace", "-qq", "-o", log] + (["-f"] if follow else [])
    if not what:
        return argv + ["-e", "trace=" + call]
    fault = "signal=KILL" if what == "KILL" else "error=" + what
    return argv + ["-e", "trace=" + call, "-e", "inject=%s:%s:when=%s" % (call, fault, when)]


def calls_made(folder, name, program, follow, calls, seed):
    """The most calls that one thread makes, by name, in a run that nothing happens to."""
    scenario = SCENARIOS[name](os.path.join(folder, "counted-" + name))
    log = os.path.join(folder, "calls")
    try:
        Story(scenario, program, seed, prefix=tracer(follow, ",".join(calls), log=log)).tell()
    finally:
        scenario.close()
    by_thread = collections.Counter(re.findall(r"^(\d* *[a-z]\w+)\(", open(log).read(), re.M))
    most = collections.Counter()
    for key, n in by_thread.items():
        call = key.split()[-1]
        most[call] = max(most[call], n)
    expect(most, "the tracer saw nothing")
    return most


def tasks_for(options, folder, name, follow, calls, limit):
    """Every call at every count, once and (for errors of files) from then on; or as many as the limit, chosen by the
    seed. A network that is gone for good would only be waited for, and what cannot be told is not looked for."""
    most = calls_made(folder, name, options.shipped, follow, calls, options.seed)
    tasks = []
    for call, n in sorted(most.items()):
        for what in calls[call]:
            for when in range(1, n + 1):
                for sticky in ("", "+") if call in FILE_CALLS and what not in ("KILL", "EINTR") else ("",):
                    label = "%d/%s/%s/%s/%d%s" % (options.seed, name, call, what, when, sticky)
                    tasks.append((name, label, {"program": options.shipped,
                                                "prefix": tracer(follow, call, what, "%d%s" % (when, sticky))}))
    random.Random(options.seed).shuffle(tasks)
    return tasks[:limit]


def short_tasks(options, folder):
    library = os.path.join(folder, "short.so")
    subprocess.run(["cc", "-shared", "-fPIC", "-O2", "-o", library, os.path.join(HERE, "short.c"), "-ldl"], check=True)
    return [(name, "%d/%s/short/%d" % (options.seed, name, n), {"program": options.shipped,
             "env": {"LD_PRELOAD": library, "WRITE_SHORT": str(n)}}) for name in ("dag", "steps") for n in range(1, 41)]


def campaigns(options, folder):
    """(title, tasks) one after the other: of the dag plan every call, of the others a choice by the seed."""
    for name, limit in (("dag", None), ("steps", 120)):
        tasks = tasks_for(options, folder, name, True, FILE_CALLS, limit)
        tasks += tasks_for(options, folder, name, False, OWN_CALLS, 80)
        yield "%s, shipped program under a tracer" % name, tasks
    yield "etcd, shipped program under a tracer", tasks_for(options, folder, "etcd", True, NET_CALLS, 60)
    yield "short writes of the shipped program", short_tasks(options, folder)
