#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A site operator's plan of ten steps, written from the guide: what it does, kills and a resume included."""
import hashlib
import json
import os
import signal
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from wtest import SOURCE, Wherry, equal, expect, main, scratch, wait_for

PLAN = os.path.join(SOURCE, "tests", "e2e", "ten-steps.yaml")
TOKEN = "correct-horse-battery"
GIVEN = {"SITE_TOKEN": TOKEN}


class Site:
    """A folder that the plan rolls out into, and the state of its runs beside it."""

    def __init__(self, folder):
        self.folder, self.root = folder, os.path.join(folder, "site")
        self.w = Wherry(os.path.join(folder, "state"))
        os.mkdir(self.root)

    def args(self, **params):
        return [PLAN] + [x for name, value in {"root": self.root, **params}.items() for x in ("-p", "%s=%s" % (name, value))]

    def text(self, *names):
        with open(os.path.join(self.root, *names)) as f:
            return f.read()

    def has(self, *names):
        return os.path.exists(os.path.join(self.root, *names))

    def rolled_out(self, workers=4, builds=1):
        """The effects, seen without wherry."""
        equal(self.text("conf", "site.conf"), "workers = %d\nroot = %s\n" % (workers, self.root), "configuration")
        equal(os.stat(os.path.join(self.root, "conf", "site.conf")).st_mode & 0o777, 0o640, "mode of the configuration")
        equal(self.text("out", "site"), hashlib.sha256(TOKEN.encode()).hexdigest() + "\n", "what was built with the token")
        equal(self.text("log").count("build\n"), builds, "builds")
        expect(not self.has("maintenance"), "the maintenance flag is still there")
        equal(self.has("many"), workers > 8, "the conditional step's file is there")

    def no_secret(self):
        for top, _, names in os.walk(self.folder):
            for name in names:
                with open(os.path.join(top, name), "rb") as f:
                    expect(TOKEN.encode() not in f.read(), "the token is in %s" % os.path.join(top, name))


def with_site(test):
    def run():
        with scratch() as folder:
            site = Site(folder)
            test(site)
            site.no_secret()
    run.__name__, run.__doc__ = test.__name__, test.__doc__
    return run


def outputs(site, run):
    """The plan's outputs, as the report prints them."""
    lines = site.w.ok("report", run).out.split("\noutputs\n")[1].split("\n\n")[0].splitlines()
    return {name.strip(): json.loads(value) for name, value in (line.split(": ", 1) for line in lines)}


def check_outputs(site, run):
    equal(outputs(site, run), {"config": hashlib.sha256(site.text("conf", "site.conf").encode()).hexdigest(),
                               "site": hashlib.sha256(TOKEN.encode()).hexdigest()}, "outputs")


@with_site
def looked_at(site):
    """The plan is valid; it wants its secret, not on the command line; the dry-run names its actions and writes nothing."""
    site.w.ok("validate", PLAN)
    expect("SITE_TOKEN" in site.w.ok("plan", *site.args(), code=2).err, "the missing secret is not named")
    site.w.ok("plan", *site.args(token=TOKEN), code=2, env=GIVEN)
    done = site.w.ok("plan", *site.args(), env=GIVEN)
    expect(TOKEN not in done.out + done.err, "the dry-run prints the token")
    expect("5 actions: 1 exact, 0 simulated, 1 predicted, 3 opaque" in done.out, "other actions: %s" % done)
    equal(os.listdir(site.root), [], "files after a dry-run")


@with_site
def done_at_once(site):
    """Run through, with the conditional step too."""
    done = site.w.ok("run", *site.args(build="1ms", workers=9), "--yes", "--run-id", "one", env=GIVEN)
    expect(TOKEN not in done.out + done.err, "the run prints the token")
    site.rolled_out(workers=9)
    check_outputs(site, "one")


@with_site
def killed_and_resumed(site):
    """kill -9 in the slow step: the resume builds again, repeats nothing that had ended, and ends as if never killed."""
    process = site.w.start("run", *site.args(build="2s"), "--yes", "--run-id", "one", "--quiet", env=GIVEN)
    try:
        wait_for(lambda: site.has("log"), "the build", process)
    finally:
        process.kill()
    equal(process.wait(), -signal.SIGKILL, "end of the killed run")
    expect(site.has("maintenance"), "killed, and the maintenance flag is gone")
    config = os.stat(os.path.join(site.root, "conf", "site.conf"))
    status = site.w.ok("status", "one")
    for line in ("state   interrupted: ", "  config: done\n", "  build: in-doubt ", "  built: pending\n"):
        expect(line in status.out, "no %r in %s" % (line, status))
    equal(status.next(), ["resume", "one"], "next")
    expect("SITE_TOKEN" in site.w.ok("resume", "one", "--yes", code=2).err, "the missing secret is not named")
    done = site.w.ok("resume", "one", "--yes", env=GIVEN)
    expect("12 of 12 steps finished: 6 before, 5 done, 1 skipped" in done.out + done.err, "other counts: %s" % done)
    after = os.stat(os.path.join(site.root, "conf", "site.conf"))
    equal((after.st_ino, after.st_mtime_ns), (config.st_ino, config.st_mtime_ns), "the file that was finished before the kill")
    site.rolled_out(builds=2)
    check_outputs(site, "one")
    site.w.ok("resume", "one", "--yes", env=GIVEN)
    site.rolled_out(builds=2)


@with_site
def failed_build(site):
    """A build that fails is tried three times, and what runs at the end takes the flag away."""
    os.makedirs(os.path.join(site.root, "out", "site"))  # a folder where the build wants to write
    done = site.w.ok("run", *site.args(build="1ms"), "--yes", "--run-id", "one", code=1, env=GIVEN)
    equal(site.text("log").count("build\n"), 3, "attempts")
    expect(not site.has("maintenance"), "the maintenance flag is still there")
    equal(done.next(), ["resume", "one"], "next")
    os.rmdir(os.path.join(site.root, "out", "site"))
    site.w.ok("resume", "one", "--yes", env=GIVEN)
    site.rolled_out(builds=4)
    check_outputs(site, "one")


if __name__ == "__main__":
    main(looked_at, done_at_once, killed_and_resumed, failed_build)
