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


def check_power(folder, program):
    scenario, trace = order.record(folder, program, 1)
    order.power_losses(scenario, trace, program, 1, 60)


SYNCS = (check_order, check_power)
GUARDS = {"INTENT_SYNC": SYNCS, "DONE_SYNC": SYNCS, "DIR_SYNC": SYNCS, "PRIVATE_SYNC": SYNCS,
          **{line: (check,) for line, check in race.CHECKS.items()}}


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
    survived = 0
    for line, guards in GUARDS.items():
        program = build(options, line)
        for guard in guards:
            begin = time.monotonic()
            place = os.path.join(folder, "sabotage", line, guard.__name__)
            os.makedirs(place)
            try:
                guard(place, program)
                survived += 1
                result = "NOT CAUGHT"
            except Violation as e:
                result = "caught: %s" % str(e).splitlines()[0][:200]
            print("sabotage %s, %s: %s (%.0f s)" % (line, guard.__name__, result, time.monotonic() - begin), flush=True)
    print("crash: sabotage: %d builds without a safety line, %d checks that should have failed passed" % (
        len(GUARDS), survived), flush=True)
    return survived
