# SPDX-License-Identifier: Apache-2.0
"""Stories of an edit: a run waits for a person, its plan is edited, and the resume that brings the new one is killed at each of
its fault points. The run then has the old plan or the new one, and at the end everything was done as the new one says."""
import os
import random
import signal
import time

import journalfile
from stories import Commands, HERE, MAX_RESUMES, RUN, Story
from wtest import equal, expect


class Edited(Commands):
    def __init__(self, folder):
        super().__init__("edited", folder, {"stays", "goes", "comes", "tidy"}, {"stays", "goes", "comes"},
                         {"file": ("file", "two\n"), "last": ("last", "two\n")})

    def reset(self, rng):
        super().reset(rng)
        with open(os.path.join(HERE, "plans", "edited.yaml")) as f:
            lines = f.readlines()
        self.plan, self.after = (os.path.join(self.folder, n) for n in ("before.yaml", "after.yaml"))
        with open(self.plan, "w") as f:
            f.writelines(line for line in lines if not line.startswith("#after"))
        with open(self.after, "w") as f:
            f.writelines(line.replace("#after", "", 1) for line in lines if not line.endswith("#before\n"))


class EditStory(Story):
    def _tell(self):
        done = self.start()
        equal(done.code, 3, "the run: %s; exit code" % done)
        for _ in range(MAX_RESUMES):
            done = self.go_on(["resume", RUN, "--plan", self.scenario.after, "--accept-plan-change", "--approve", "ok", "--format", "plain"],
                              self.settled(), self.env)
            if done.code == 0 or (done.code == 2 and "comes too late" in done.err):
                return
            if done.code == 4:  # a command that was just being started holds what it has inherited until its exec
                time.sleep(0.05)
                continue
            expect(done.code in (-signal.SIGKILL, 3), "a resume with an edited plan: %s" % done)
            if done.code == 3:
                args = done.next()
                expect(args and args[0] in ("resolve", "resume"), "a stop that nobody can settle: %s" % done)
                if args[0] == "resolve":
                    self.resolve(done)
                else:  # what is in doubt is settled with the plan as it was
                    self.say(args)
        expect(False, "not finished after %d resumes" % MAX_RESUMES)

    def check_closed(self):
        super().check_closed()
        records = journalfile.records(os.path.join(self.scenario.folder, "state", RUN, "journal"))
        equal(len([r for r in records if r["t"] == "plan"]), 1, "edits on record")


def tasks(seed, hits):
    """The resume with the edited plan killed at every point, with more kills to come."""
    rng = random.Random(seed)
    return [("edited", "%d/edited/%s/%d" % (seed, p, n),
             {"later": ["%s:%d" % (p, n)] + ["%s:%d" % (q, rng.randint(1, hits[q])) for q in rng.choices(sorted(hits), k=rng.randrange(3))]})
            for p in sorted(hits) for n in range(1, hits[p] + 1)]
