# SPDX-License-Identifier: Apache-2.0
"""Stories of a rollback: the run is killed at each of its fault points and rolled back from there; and the rollback is
killed at each of its own, and goes on. At the end the world is as it was before the run."""
import os
import random
import signal
import time

from stories import Commands, EtcdCopy, MAX_RESUMES, RUN, Story
from wtest import equal, expect

UNDOS = ("once", "beside", "last")
BEFORE = {"there": (0o640, "as it was\n"), "gone": (0o644, "not yet\n")}


class Back(Commands):
    def __init__(self, folder):
        super().__init__("back", folder, set(UNDOS), {"once", "last"}, {})
        self.undos = UNDOS

    def reset(self, rng):
        super().reset(rng)
        for name, (mode, text) in BEFORE.items():
            path = os.path.join(self.dir, name)
            with open(path, "w") as f:
                f.write(text)
            os.chmod(path, mode)

    def happened(self, step):
        """Of a step, or (STEP~undo) of its undo."""
        name, _, undo = step.partition("~")
        return self.counts()["undo-" + name if undo else name] > 0

    def check(self):
        got = {}
        for name in sorted(os.listdir(self.dir)):
            path = os.path.join(self.dir, name)
            if name != "log" and "." not in name:
                with open(path) as f:
                    got[name] = (os.stat(path).st_mode & 0o7777, f.read())
        equal(got, BEFORE, "the files after the rollback")
        counts = self.counts()
        for step in self.undos:
            done, undone = counts[step], counts["undo-" + step]
            if step in self.once:
                expect(done == undone <= 1, "'%s' happened %d times and was taken back %d times" % (step, done, undone))
            else:  # where it may have happened its undo runs: both may be repeated
                expect(undone or not done, "'%s' happened and was not taken back" % step)


class ChildrenBack(Back):
    def __init__(self, folder):
        self.undos = ["move[a]/once", "move[b]/once", "single/once"]
        Commands.__init__(self, "children-back", folder, set(self.undos), set(self.undos), {})


class EtcdBack(EtcdCopy):
    """The bundled plan with a live writer, killed and rolled back before its hand-over."""
    name = "etcd-back"
    without = ("handover_command",)

    def reset(self, rng):
        super().reset(rng)
        self.over = False

    def finish(self):
        """Nobody writes to the source any more, and a freeze that outlives its wherry gets its answer."""
        super().finish()
        if os.path.isdir(getattr(self, "dir", "")):
            open(os.path.join(self.dir, "frozen"), "w").close()

    def check(self):
        counts = self.counts()
        if self.over:
            return
        equal([k for k in self.pair[1].range()], [b"/other"], "keys on the destination after the rollback")
        expect(not os.path.exists(os.path.join(self.dir, "source.db")), "the snapshot is left")
        expect(counts["thaw"] >= (counts["freeze"] > 0), "the source was left frozen: %s" % counts)


class BackStory(Story):
    """first: a fault of the run; later: of the rollbacks. env is theirs."""
    run_env = None

    def numbers(self):
        return {"kills of a run": self.killed, "kills of a rollback": self.resume_killed, "steps resolved": self.resolved}

    def _tell(self):
        done = self.start(self.first, (), self.run_env)
        self.scenario.finish()
        if done.code == 0 and self.scenario.name == "etcd-back":  # too far to be told from a hand-over
            self.scenario.over = True
            return
        expect(done.code in (-signal.SIGKILL, 1, 3), "the run: %s" % done)
        if self.settled() is None:
            expect(not self.scenario.counts(), "effects before the run existed")
            return
        for _ in range(MAX_RESUMES):
            done = self.go_on(["rollback", RUN, "--yes", "--format", "plain"], env=self.env)
            if done.code == 0:
                return
            if done.code == 4:  # a command that was just being started holds what it has inherited until its exec
                time.sleep(0.05)
                continue
            expect(done.code in (-signal.SIGKILL, 3), "a rollback: %s" % done)
            if done.code == 3:
                args = done.next()
                expect(args and args[0] == "resolve", "a stop that nobody can settle: %s" % done)
                if args[2].startswith("tidy"):  # its claim is released: too late
                    self.scenario.over = True
                    return
                self.resolve(done)
        expect(False, "not rolled back after %d times" % MAX_RESUMES)

    def check_closed(self):
        if self.settled() is None or getattr(self.scenario, "over", False):
            return
        before = self.scenario.counts()
        self.w.ok("journal", "verify", RUN)
        self.w.ok("rollback", RUN, "--yes")
        equal(self.w("resume", RUN, "--yes").code, 2, "exit code of a resume of what is rolled back")
        equal(self.scenario.counts(), before, "effects after the rollback")


class RunOnly(BackStory):
    """To count the fault points of the run alone."""

    def _tell(self):
        self.run_env, self.env = self.env, {}
        super()._tell()


def tasks(name, seed, run_hits, back_hits, undos):
    """A run killed at every point, and rollbacks at every point of theirs, each with more kills to come."""
    rng = random.Random(seed)

    def later():
        return ["%s:%d" % (p, rng.randint(1, back_hits[p])) for p in rng.choices(sorted(back_hits), k=rng.randrange(3))]

    got = [(name, "%d/run/%s/%d" % (seed, p, n), {"first": "%s:%d" % (p, n), "later": later()})
           for p in sorted(run_hits) for n in range(1, run_hits[p] + 1)]
    got += [(name, "%d/back/%s/%d" % (seed, p, n), {"later": ["%s:%d" % (p, n)] + later()})
            for p in sorted(back_hits) for n in range(1, back_hits[p] + 1)]
    for step in undos:
        for act in (step, "undo-" + step):
            got += [(name, "%d/%s/%s" % (seed, arm, act), {"arms": [(arm, act)]}) for arm in ("kill-before", "kill-after")]
    return got


def etcd_tasks(seed, hits, how_many):
    """Runs of the etcd plan killed at random, and rollbacks killed too."""
    rng = random.Random(seed)

    def fault(most):
        point = rng.choice(sorted(hits))
        return "%s:%d" % (point, rng.randint(1, min(hits[point], most)))

    return [("etcd-back", "%d/etcd/%d" % (seed, i), {"first": fault(10**6), "later": [fault(6) for _ in range(rng.randrange(3))]})
            for i in range(how_many)]
