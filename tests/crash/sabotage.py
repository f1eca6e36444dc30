# SPDX-License-Identifier: Apache-2.0
"""Builds that each lack one safety line: the check that guards it must fail, or it guards nothing."""
import os
import subprocess
import time

import order
import race
from wtest import SOURCE, Violation


def check_order(folder, program):
    scenario, trace = order.record(folder, program, 1)
    order.check_order(trace, order.needs_of(scenario.plan))


GUARDS = {"INTENT_SYNC": check_order, "DONE_SYNC": check_order, "DIR_SYNC": check_order, **race.CHECKS}


def build(options, line):
    """The path of the sabotaged program."""
    folder = os.path.join(options.build, "sabotage-" + line.lower().replace("_", "-"))
    log = folder + ".log"
    os.makedirs(folder, exist_ok=True)
    with open(log, "w") as f:
        for argv in (["cmake", "-S", SOURCE, "-B", folder, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Debug", "-DWHERRY_FAULTS=ON",
                      "-DWHERRY_SABOTAGE=" + line], ["ninja", "-C", folder, "-j2", "wherry"]):
            if subprocess.run(argv, stdout=f, stderr=f).returncode:
                raise Violation("the build without %s fails, see %s" % (line, log))
    return os.path.join(folder, "wherry")


def run(options, folder):
    survivors = 0
    for line, guard in GUARDS.items():
        begin = time.monotonic()
        place = os.path.join(folder, "sabotage-" + line)
        os.makedirs(place)
        program = build(options, line)
        try:
            guard(place, program)
            survivors += 1
            result = "NOT CAUGHT by %s" % guard.__name__
        except Violation as e:
            result = "caught: %s" % str(e).splitlines()[0]
        print("sabotage %s: %s (%.0f s)" % (line, result, time.monotonic() - begin), flush=True)
    print("crash: sabotage: %d of %d builds without a safety line caught" % (len(GUARDS) - survivors, len(GUARDS)), flush=True)
    return survivors
