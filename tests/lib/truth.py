# SPDX-License-Identifier: Apache-2.0
"""Does a dry-run tell the truth? Any plan is dry-run and run, and those who saw what happened are asked: all of it was announced,
all that was announced has happened, and the dry-run itself did nothing.

	truth = Truth(w, folder, {"k": OnCluster(a), "source": OnEtcd("source", server)})
	truth.prove(file, "-p", "x=y")      # Untrue, with a list of differences
	truth.let_pass                      # what happened where the dry-run said that it cannot know: {fact: how often}
"""
import collections
import os
import re

import wtest
from witness import InFolder


class Untrue(wtest.Violation):
    """differences: one line each."""

    def __init__(self, plan, differences):
        super().__init__("the dry-run of %s did not tell the truth:\n%s" % (plan, "\n".join("  " + d for d in differences)))
        self.differences = differences


class Truth:
    """witnesses: by the names that targets have in the plan (several names may have one). What is below folder is watched, too, but
    for what others keep there."""

    def __init__(self, w, folder, witnesses, others=()):
        self.w, self.by_target, self.others = w, witnesses, list(others)
        self.env = {name: os.path.join(folder, name) for name in ("HOME", "TMPDIR")}
        for path in self.env.values():
            os.makedirs(path, exist_ok=True)
        self.folder = folder
        self.witnesses = list({id(x): x for x in witnesses.values()}.values())

    def announce(self, file, words):
        """The events of the dry-run."""
        return self.w.ok("plan", file, "--format", "json", *words, env=self.env).json()

    def perform(self, file, words):
        return self.w.ok("run", file, "--yes", "--format", "json", *words, env=self.env)

    def prove(self, file, *words, run=None, approve=()):
        """How the run (of that id) ended, if all is true."""
        watch = self.witnesses + [InFolder(self.folder, self.others)]
        for x in watch:
            x.begin()
        told = self.announce(file, words)
        lies = ["%s (by the dry-run itself)" % fact for x in watch for fact in x.happened()]
        watch[-1] = InFolder(self.folder, self.others + [self.w.state])
        for x in watch:
            x.begin()
        done = self.perform(file, [*words, *(["--run-id", run] if run else []), *(word for gate in approve for word in ("--approve", gate))])
        lies += self.compare(watch, told, done.json())
        if lies:
            raise Untrue(os.path.basename(str(file)), lies)
        return done

    def facts(self, watch, event):
        """What an action or effect is to those who watch; None: nobody does."""
        target = event["ref"].partition(" ")[0]
        got = [x.foretold(event) for x in watch if x is watch[-1] or x is self.by_target.get(target)]
        got = [facts for facts in got if facts is not None]
        return [fact for facts in got for fact in facts] if got else None

    def compare(self, watch, told, run):
        for e in told:
            if e["event"] == "action":
                e["notes"] = [x["message"] for x in told if x["event"] == "note" and x["step"] == e["step"]]
        actions = [e for e in told if e["event"] == "action" and not e.get("unchanged")]
        effects = [e for e in run if e["event"] == "effect"]
        announced = self.count(watch, actions)
        perhaps = collections.Counter({f[2:]: n for f, n in announced.items() if f.startswith("? ")})
        announced = collections.Counter({f: n for f, n in announced.items() if not f.startswith("? ")})
        happened = once(collections.Counter(fact for x in watch for fact in x.happened()))
        happened.update(own_word(e) for e in effects if self.facts(watch, e) is None)
        may = perhaps + self.count(watch, within(effects, told))
        may_not = self.count(watch, doubtful(actions, effects))
        whole = tuple(f[:-1] for f in may if f.endswith("*"))
        lies = {f: n for f, n in (happened - announced - may).items() if not f.startswith(whole)}
        self.let_pass = happened - announced - collections.Counter(lies)
        return (["not announced: " + told_often(f, n) for f, n in lies.items()] +
                ["announced, and has not happened: " + told_often(f, n) for f, n in (announced - happened - may_not).items()])

    def count(self, watch, events):
        got = collections.Counter()
        for e in events:
            facts = self.facts(watch, e)
            got.update(facts if facts is not None else [own_word(e)])
        return once(got)


def told_often(fact, n):
    return fact if n == 1 else "%s (%d times)" % (fact, n)


def own_word(event):
    """Of commands on this machine there is only the run's own word."""
    return "%s, step %s" % (event["ref"], event["step"])


def once(facts):
    """That helm works on a release or runs a hook, and how a file is in the end, counts once."""
    return collections.Counter({f: 1 if f.endswith(": work") or ": hook " in f or f.startswith("file ") else n for f, n in facts.items()})


def is_part(step, of):
    """Is it that step, one inside of it, or one of items that were not known?"""
    return re.fullmatch(re.escape(of).replace(r"\[\?\]", r"\[[^]]*\]") + r"([/[].*)?", step) is not None


def within(effects, told):
    """Effects of steps of which the dry-run said that it cannot know what they do, or for which items; all of it, or in detail."""
    unknown = {e["step"] for e in told if e["event"] == "predicted" or (e["event"] == "action" and "[?]" in e["step"])}
    undetailed = {e["step"] for e in told if e["event"] == "action" and e["confidence"] == "predicted" and "diff" not in e}
    return [e for e in effects if e["step"] in undetailed or any(is_part(e["step"], s) for s in unknown)]


def doubtful(actions, effects):
    """Actions on what was not known yet, and was found to be so already; or for items that were not known."""
    done = {(e["step"], e["verb"], e["ref"]) for e in effects}
    return [e for e in actions if "[?]" in e["step"] or (e["confidence"] == "predicted" and (e["step"], e["verb"], e["ref"]) not in done)]
