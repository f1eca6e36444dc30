#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Files that steps wrote are looked at again on resume; what they held is kept apart, in one private file of the run."""
import os
import resource
import signal
import stat
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from wtest import LIMIT, Peak, Wherry, equal, expect, main, scratch

PLAN = """wherry: v1
name: files
params: {dir: {type: string, required: true}}
steps:
  - {id: one, uses: file.write, with: {path: "${{ params.dir }}/one", content: "canary-1"}}
  - {id: first, uses: file.write, with: {path: "${{ params.dir }}/two", content: "canary-2"}}
  - {id: again, uses: file.write, with: {path: "${{ params.dir }}/two", content: "canary-3"}, needs: [first]}
  - {id: as-it-was, uses: file.write, with: {path: "${{ params.dir }}/three", content: "canary-4"}}
  - {id: gate, uses: exec, with: {argv: [test, -e, "${{ params.dir }}/go"], idempotent: true}, needs: [one, again, as-it-was]}
  - {id: use, uses: exec, with: {argv: [sh, -c, "cat $0/one $0/two $0/three >>$0/used", "${{ params.dir }}"]}, needs: [gate]}
"""
KEPT = {"one": "canary-1", "two": "canary-3", "three": "canary-4"}


class Files:
    """A folder of files, with a run that has written them and waits for the file `go`."""

    def __init__(self, folder):
        self.folder, self.w = folder, Wherry(os.path.join(folder, "state"))
        self.put("three", "canary-4")
        self.put("plan.yaml", PLAN)
        self.w.ok("run", self.path("plan.yaml"), "--run-id", "r1", "--yes", "-p", "dir=" + folder, code=1)  # the gate is closed

    def path(self, *names):
        return os.path.join(self.folder, *names)

    def put(self, name, text):
        with open(self.path(name), "w") as f:
            f.write(text)

    def text(self, name):
        with open(self.path(name)) as f:
            return f.read()

    def resume(self, code):
        done = self.w.ok("resume", "r1", "--yes", code=code)
        expect("canary" not in done.out + done.err, "what files held is printed: %s" % done)
        return done

    def doubted(self, *steps):
        """Pauses, names these steps and nobody else, and starts nothing."""
        done = self.resume(3)
        equal(done.next()[:2], ["resolve", "r1"], "the next command")
        expect(done.next()[2] in steps, "the next command is about another step: %s" % done)
        status = self.w.ok("status", "r1")
        equal(status.next()[:2], ["resolve", "r1"], "the next command of status")
        for step in ("one", "first", "again", "as-it-was"):
            equal(self.path({"first": "two", "again": "two", "as-it-was": "three"}.get(step, step)) in done.err and step in done.err
                  and step + ": in-doubt" in status.out, step in steps, "%s is named: %s%s; named" % (step, done, status))
        expect(not os.path.exists(self.path("used")), "a step was started")
        return done

    def resolve(self, step, word, code=0):
        self.w.ok("resolve", "r1", step, word, "--reason", "looked", code=code)


def with_files(test):
    def run():
        with scratch() as folder:
            return test(Files(folder))
    run.__name__, run.__doc__ = test.__name__, test.__doc__
    return run


@with_files
def unharmed(files):
    """What is as it was left does not stand in the way, whoever wrote it last."""
    files.put("go", "")
    files.resume(0)
    equal(files.text("used"), "".join(KEPT.values()), "what was used")


@with_files
def gone(files):
    """A file that is gone pauses the run, at each resume; put back, it goes on."""
    os.unlink(files.path("one"))
    expect("gone" in files.doubted("one").err, "not told as gone")
    files.doubted("one")
    files.put("one", KEPT["one"])
    files.put("go", "")
    files.resume(0)
    equal(files.text("used"), "".join(KEPT.values()), "what was used")
    files.resolve("one", "--done", code=2)


@with_files
def changed(files):
    """A file that is other is the operator's to judge, once: it may stay, or is written again."""
    files.put("two", "other words")
    files.doubted("again")
    files.resolve("first", "--done", code=2)
    files.resolve("again", "--done")
    files.resume(1)
    equal(files.text("two"), "other words", "the file that may stay")
    files.put("one", "canary-!")
    os.unlink(files.path("three"))
    files.doubted("one", "as-it-was")
    files.resolve("one", "--not-done")
    files.doubted("as-it-was")
    files.resolve("as-it-was", "--not-done")
    files.put("go", "")
    files.resume(0)
    equal(files.text("used"), "canary-1other wordscanary-4", "what was used")


@with_files
def private(files):
    """All that the files held is in one file of the run that nobody else can read, and nowhere beside it."""
    state = files.path("state", "r1")
    path = os.path.join(state, "private")
    equal(stat.S_IMODE(os.stat(path).st_mode), 0o600, "mode")
    with open(path, "rb") as f:
        held = f.read()
    expect(all(text.encode() in held for text in KEPT.values()), "images are missing")
    expect(not os.path.exists(os.path.join(state, "data")), "values beside")
    with open(os.path.join(state, "journal"), "rb") as f:
        expect(b"canary" not in f.read(), "an image is in the journal")
    for args in (["report", "r1"], ["status", "r1"], ["journal", "dump", "r1"]):
        expect("canary" not in files.w.ok(*args).out, "an image is in %s" % args)


@with_files
def damaged(files):
    """A private value that is not what was kept is refused by its name, and nothing is started."""
    path = files.path("state", "r1", "private")
    with open(path, "r+b") as f:
        f.write(b"!")
    files.put("go", "")
    done = files.resume(5)
    expect(path in done.err and "damaged" in done.err, "the file is not named: %s" % done)
    expect(not os.path.exists(files.path("used")), "a step was started")


@with_files
def full_disk(files):
    """Where there is no room to keep what a write leaves, nothing is written; with room, it goes on."""
    def two_megabytes():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (2 << 20, resource.RLIM_INFINITY))

    before, after = "old" * 200000, "new" * 200000
    files.put("large", before)
    files.put("plan.yaml", "wherry: v1\nname: large\nsteps:\n  - {id: write, uses: file.write, with: {path: %s, content: %s}}\n" % (
        files.path("large"), after))
    limited = files.w.start("run", files.path("plan.yaml"), "--run-id", "r2", "--yes", "--quiet", preexec_fn=two_megabytes,
                            stderr=subprocess.DEVNULL)
    equal(limited.wait(LIMIT), 6, "exit code on a full disk")
    equal(files.text("large"), before, "the file on a full disk")
    files.w.ok("resume", "r2", "--yes")
    equal(files.text("large"), after, "the file")


def deleted():
    """A file is removed once, and kept with the run; one that is not there is fine, a folder or a link is refused."""
    with scratch() as folder:
        w, path = Wherry(os.path.join(folder, "state")), os.path.join(folder, "f")
        with open(os.path.join(folder, "plan.yaml"), "w") as f:
            f.write("wherry: v1\nname: t\nparams: {path: {type: path, required: true}}\nsteps:\n"
                    '  - {id: a, uses: file.delete, with: {path: "${{ params.path }}"}}\n')

        def run(verb, at, code=0):
            return w.ok(verb, os.path.join(folder, "plan.yaml"), "-p", "path=" + at, *(["--yes"] if verb == "run" else []), code=code)
        with open(path, "w") as f:
            f.write("canary")
        done = run("plan", path)
        expect("remove" in done.out and "exact" in done.out and os.path.exists(path), str(done))
        run("run", path)
        expect(not os.path.exists(path), "the file is still there")
        expect("unchanged" in run("run", path).err, "a file that was not there")
        os.symlink("state", path)
        for at in (path, folder):
            run("run", at, code=1)
        expect(os.path.islink(path) and os.path.isdir(folder), "what is no file was removed")


WAIT = """wherry: v1
name: waits
steps:
  - id: look
    uses: wait
    with: {step: {uses: file.read, with: {path: %s}}, until: "${{ value.size == 0 }}", every: 1ms}
    timeout: 3s
"""


def waiting():
    """A wait looks again and again, and keeps nothing of what it saw before."""
    with scratch() as folder:
        with open(os.path.join(folder, "large"), "w") as f:
            f.write("0123456789" * 1000000)
        with open(os.path.join(folder, "plan.yaml"), "w") as f:
            f.write(WAIT % os.path.join(folder, "large"))
        p = Wherry(os.path.join(folder, "state")).start("run", os.path.join(folder, "plan.yaml"), "--yes", "-q",
                                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        peak = Peak(p)
        equal(p.wait(), 1, "the exit code of what it waited for in vain")
        expect(0 < peak.kib() < 400 << 10, "it took %d KiB of memory" % peak.kib())


LARGE = """wherry: v1
name: large
steps:
  - {id: write, uses: file.write, with: {path: %s, content: "${{ string.rep('0123456789', 1500000) }}"}}
"""


def torn():
    """A part of a file that a kill left beside it goes with the next process of the run; what is another's stays."""
    for ending, left in (("resume", ["foreign.tmp.0123456789abcdef", "one"]), ("rollback", ["foreign.tmp.0123456789abcdef"])):
        with scratch() as folder:
            place = os.path.join(folder, "place")
            os.mkdir(place)
            open(os.path.join(place, "foreign.tmp.0123456789abcdef"), "w").close()
            with open(os.path.join(folder, "plan.yaml"), "w") as f:
                f.write(LARGE % os.path.join(place, "one"))
            w = Wherry(os.path.join(folder, "state"))
            p = w.start("run", os.path.join(folder, "plan.yaml"), "--run-id", "r1", "--yes", "-q")
            while p.poll() is None and not any(name.startswith("one.tmp.") for name in os.listdir(place)):
                pass
            p.kill()
            p.wait()
            if "one" in os.listdir(place):
                continue  # it was too fast
            w.ok(ending, "r1", "--yes")
            equal(sorted(os.listdir(place)), left, "files after the " + ending)


if __name__ == "__main__":
    main(torn, waiting, unharmed, gone, changed, private, damaged, full_disk, deleted)
