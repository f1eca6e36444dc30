# SPDX-License-Identifier: Apache-2.0
"""One story: a run that is killed, resumed (and killed again), until it closes; and what must be true then.

Everything is counted by the other side: the log that the commands append to, and the etcd servers themselves.
"""
import collections
import hashlib
import os
import random
import re
import shutil
import signal
import threading
import time

import journalfile
from scripted import Scripted, reply
from wtest import SOURCE, Etcd, Violation, Wherry, Writer, equal, expect

HERE = os.path.dirname(os.path.abspath(__file__))
RUN = "r1"
DOCUMENTED = {0, 1, 2, 3, 4, 5, 6, 7, 130, 143}
FINISHED = {"done", "unchanged", "skipped"}
MAX_RESUMES = 40


class Commands:
    """Plans whose steps are commands that append their id to a log, or write files: {step: (name, content)}, in the
    order of the plan."""

    def __init__(self, name, folder, steps, once, files):
        self.name, self.folder, self.files = name, folder, files
        self.plan = os.path.join(HERE, "plans", name + ".yaml")
        self.steps, self.once = set(steps), set(once)

    def reset(self, rng):
        shutil.rmtree(self.folder, ignore_errors=True)
        os.makedirs(os.path.join(self.folder, "state"), 0o700)
        self.dir = os.path.join(self.folder, "world")
        os.mkdir(self.dir)

    def begin(self, program):
        """A story with this program starts."""

    def params(self):
        return ["-p", "dir=" + self.dir, "-p", "act=" + os.path.join(HERE, "act")]

    def arm(self, kind, step):
        """The step's command kills its wherry before or after its effect; `slow`: it outlives it."""
        open(os.path.join(self.dir, "%s.%s" % (kind, step.replace("/", ":"))), "w").close()

    def counts(self):
        """{step: how often its effect happened}"""
        try:
            with open(os.path.join(self.dir, "log")) as f:
                return collections.Counter(f.read().split())
        except FileNotFoundError:
            return collections.Counter()

    def happened(self, step):
        if step in self.files:
            name, content = self.files[step]
            return self.content(name) == content
        return self.counts()[step] > 0

    def content(self, name):
        try:
            with open(os.path.join(self.dir, name)) as f:
                return f.read()
        except FileNotFoundError:
            return None

    def restore(self, effects):
        """Leave the world as these effects, in their order, left it."""
        with open(os.path.join(self.dir, "log"), "w") as f:
            f.writelines(e + "\n" for e in effects if e not in self.files)
        for name, content in (self.files[e] for e in effects if e in self.files):
            with open(os.path.join(self.dir, name), "w") as f:
                f.write(content)

    def finish(self):
        pass

    def close(self):
        pass

    def check(self):
        counts = self.counts()
        equal(set(counts), self.steps, "steps that had their effect")
        twice = {s: n for s, n in counts.items() if n > 1 and s in self.once}
        expect(not twice, "effects that may not be repeated were: %s" % twice)
        for name, content in dict(self.files.values()).items():
            equal(self.content(name), content, "the file '%s' at the end" % name)


class Dag(Commands):
    def __init__(self, folder):
        with open(os.path.join(HERE, "plans", "dag.yaml")) as f:
            lines = [line for line in f if line.startswith("  - {id:") and "uses: exec" in line]
        ids = {re.search(r"id: ([\w-]+)", line).group(1): "idempotent" in line for line in lines}
        super().__init__("dag", folder, ids, {i for i, again in ids.items() if not again},
                         {"note": ("note", "first words\n"), "note-again": ("note", "other words\n")})


class Steps(Commands):
    def __init__(self, folder):
        super().__init__("steps", folder, {"flaky", "once", "twice", "tidy"}, {"once", "twice"},
                         {"write": ("file", "one line\n"), "rewrite": ("file", "another one line\n")})


class Children(Commands):
    def __init__(self, folder):
        plans = ["single"] + ["move[%s]" % key for key in "abc"]
        once = {"each[%s]" % key for key in "abc"} | {"%s/%s" % (plan, step) for plan in plans for step in ("one", "two")} | {"last"}
        again = {"%s/%s" % (plan, step) for plan in plans for step in ("deep[x]", "deep[y]", "tidy")}
        super().__init__("children", folder, once | again, once, {})


class Web(Commands):
    """Requests, counted by their server, and an archive. Armed, the server answers 503 and does nothing (kill-before),
    or does it and closes the connection (kill-after); slow: it takes its time."""

    def __init__(self, folder):
        super().__init__("web", folder, {"again", "once", "put", "asked", "twice"}, {"once", "asked", "twice"}, {})
        self.server, self.done, self.armed = None, collections.Counter(), set()

    def reset(self, rng):
        super().reset(rng)
        self.server = self.server or Scripted(self.answer)
        self.done.clear()
        self.armed.clear()
        os.makedirs(os.path.join(self.dir, "in", "below"))
        for name in ("a", "below/b"):
            with open(os.path.join(self.dir, "in", name), "wb") as f:
                f.write(rng.randbytes(100000))

    def params(self):
        return ["-p", "url=" + self.server.url, "-p", "dir=" + self.dir]

    def arm(self, kind, step):
        self.armed.add((kind, step))

    def disarm(self, kind, step):
        armed = (kind, step) in self.armed
        self.armed.discard((kind, step))
        return armed

    def answer(self, request):
        step = request.path[1:]
        if request.method == "GET":
            return reply(200 if step == "look" or self.done[step] else 404)
        if self.disarm("kill-before", step):
            return reply(503)
        self.done[step] += 1
        if self.disarm("kill-after", step):
            return [None]
        return [0.1, reply(200)] if self.disarm("slow", step) else reply(200)

    def counts(self):
        return collections.Counter(self.done)

    def check(self):
        super().check()
        for name in ("a", "below/b"):
            with open(os.path.join(self.dir, "in", name), "rb") as one, open(os.path.join(self.dir, "out", name), "rb") as other:
                expect(one.read() == other.read(), "'%s' is another one after pack and unpack" % name)
        equal(sorted(os.listdir(self.dir)), ["in", "out", "x.tgz"], "what is in the folder")

    def close(self):
        if self.server:
            self.server.stop()


class Gates(Commands):
    """Gates and irreversible steps, with a person in another shell who answers as soon as anything is asked."""
    ASKED = ("ok", "far")

    def __init__(self, folder):
        super().__init__("gates", folder, {"before", "cut", "far", "tidy"}, {"before", "cut", "far"}, {})
        self.person = None

    def reset(self, rng):
        self.finish()
        super().reset(rng)
        self.gone = threading.Event()
        self.person = threading.Thread(target=self.answer, args=(rng.random(),), daemon=True)

    def begin(self, program):
        self.w = Wherry(os.path.join(self.folder, "state"), program)
        self.person.start()

    def answer(self, how):
        """Sometimes at once, sometimes too late for the process that asked."""
        left, self.told = set(self.ASKED), set()
        self.gone.wait(0.4 * how * how)
        while left and not self.gone.wait(0.01):
            for step in sorted(left):
                done = self.w("approve", RUN, step, "--reason", "by the person")
                if done.code == 0:
                    self.told.add(step)
                if done.code == 0 or "it was approved" in done.err:
                    left.discard(step)
        if not left:
            open(os.path.join(self.dir, "answered"), "w").close()

    def finish(self):
        if self.person:
            self.gone.set()
            if self.person.ident:
                self.person.join()
            self.person = None

    def check(self):
        super().check()
        records = journalfile.records(os.path.join(self.folder, "state", RUN, "journal"))
        for gate, step in (("ok", "cut"), ("far", "far")):
            words = [i for i, r in enumerate(records) if r["t"] == "approve" and r["step"] == gate]
            intents = [i for i, r in enumerate(records) if r["t"] == "intent" and r["step"] == step]
            equal(len(words), 1, "words on the gate '%s'" % gate)
            expect(gate not in self.told or records[words[0]].get("msg") == "by the person",
                   "somebody was told that the word on '%s' counts, and it does not" % gate)
            expect(words[0] < intents[0], "step '%s' began before it was let pass" % step)
        inbox = os.path.join(self.folder, "state", RUN, "inbox")
        left = [name for name in os.listdir(inbox) if name != "refused" and ".tmp." not in name] if os.path.isdir(inbox) else []
        equal(left, [], "messages left in the inbox")


class EtcdCopy:
    """The bundled plan between two real servers, with a writer that is alive until the freeze."""
    name = "etcd"
    KEYS = 1500
    RENEW = 150  # stories on one pair of servers
    without = ()  # parameters

    def __init__(self, folder):
        self.folder, self.pair, self.told = folder, None, 0
        self.plan = os.path.join(SOURCE, "plans", "etcd-to-etcd.yaml")
        self.steps = {"freeze", "handover"}
        self.once = {"handover"}
        self.writer = None

    def begin(self, program):
        """A story with this program starts."""

    def servers(self):
        if self.told % self.RENEW == 0:
            self.close()
        if not self.pair:
            base = os.path.join(self.folder, "servers")
            shutil.rmtree(base, ignore_errors=True)
            os.makedirs(base)
            self.pair = [Etcd(base, name, options=["--quota-backend-bytes", str(8 << 30)]) for name in ("source", "destination")]
        self.told += 1
        return self.pair

    def close(self):
        self.finish()
        for server in self.pair or ():
            server.stop()
        self.pair = None

    def reset(self, rng):
        self.finish()
        for name in ("state", "world"):
            shutil.rmtree(os.path.join(self.folder, name), ignore_errors=True)
        source, destination = self.servers()
        self.dir = os.path.join(self.folder, "world")
        os.makedirs(self.dir)
        os.mkdir(os.path.join(self.folder, "state"), 0o700)
        source.delete("/", True)
        destination.delete("/", True)
        self.prefix, self.to = "/src-%d/" % self.told, "/dst-%d/" % self.told
        value = rng.randbytes(300)
        source.put_many(("%s%05d" % (self.prefix, i), value[:rng.randrange(300)] + b"%d" % i) for i in range(self.KEYS))
        source.put("/outside", "stays")
        destination.put("/other", "stays")
        self.writer = Writer(source, self.prefix, random.Random(rng.random()))
        self.frozen = threading.Event()
        self.freezer = threading.Thread(target=self.freeze, daemon=True)
        self.freezer.start()

    def freeze(self):
        """Answer the freeze command: stop the writer, then say so."""
        asked = os.path.join(self.dir, "freeze")
        while not self.frozen.is_set():
            if os.path.exists(asked):
                self.writer.ended.set()
                self.writer.thread.join()
                open(os.path.join(self.dir, "frozen"), "w").close()
                return
            time.sleep(0.005)

    def params(self):
        log = os.path.join(self.dir, "log")
        freeze = ": >%s/freeze; while [ ! -e %s/frozen ]; do sleep 0.01; done; echo freeze >>%s" % (self.dir, self.dir, log)
        words = {"source": self.pair[0].url, "destination": self.pair[1].url, "prefix": self.prefix,
             "destination_prefix": self.to, "freeze": "command", "freeze_command": freeze,
             "thaw_command": "echo thaw >>" + log, "handover_command": "echo handover >>" + log,
             "snapshot": os.path.join(self.dir, "source.db"), "raise_revision": "true", "raise_margin": 200}
        return ["--approve", "handover"] + [x for k, v in words.items() if k not in self.without for x in ("-p", "%s=%s" % (k, v))]

    def counts(self):
        return Commands.counts(self)

    def happened(self, step):
        return self.counts()[step] > 0

    def finish(self):
        if self.writer:
            self.frozen.set()
            self.freezer.join()
            self.writer.stop()
            self.writer = None

    def check(self):
        source, destination = self.pair
        counts = self.counts()
        expect(counts["freeze"] >= 1, "the source was never frozen")
        equal(counts["handover"], 1, "times that the hand-over ran")
        equal(counts["thaw"], 0, "times that the freeze was lifted after the hand-over")
        expect(destination.revision() >= source.revision() + 200, "the destination's revision was not raised")
        snapshot = open(os.path.join(self.dir, "source.db"), "rb").read()
        equal(snapshot[-32:], hashlib.sha256(snapshot[:-32]).digest(), "the snapshot's own hash")
        equal([n for n in os.listdir(self.dir) if n.endswith(".part")], [], "parts of snapshots")
        wanted, got = source.values(self.prefix), destination.values(self.to)
        if wanted != got:
            raise Violation("the copy differs: %d keys missing, %d too many, %d unequal; first: %s" % (
                len(wanted.keys() - got.keys()), len(got.keys() - wanted.keys()),
                sum(1 for k in wanted.keys() & got.keys() if wanted[k] != got[k]),
                sorted(k for k in wanted.keys() | got.keys() if wanted.get(k) != got.get(k))[:3]))
        equal([k for k in destination.range() if not k.startswith(self.to.encode())], [b"/other"],
              "keys on the destination beside the copy")
        equal([k for k in source.range() if not k.startswith(self.prefix.encode())], [b"/outside"],
              "keys on the source beside the prefix")


SCENARIOS = {"dag": Dag, "steps": Steps, "children": Children, "web": Web, "gates": Gates, "etcd": EtcdCopy}


class Story:
    """What happens: first and later are faults (point:n) for the run and for its resumes; signals interrupt in order
    (seconds, number); arms let commands kill their wherry; prefix and env surround the first run (a tracer)."""

    def __init__(self, scenario, program, seed, first=None, later=(), signals=(), arms=(), prefix=(), env=None):
        self.scenario, self.program = scenario, program
        self.rng = random.Random(seed)
        self.first, self.later, self.signals, self.arms = first, list(later), list(signals), arms
        self.prefix, self.env = list(prefix), dict(env or {})
        self.killed = self.resume_killed = self.resolved = self.stopped = 0
        self.history = []

    def numbers(self):
        return {"kills of a run": self.killed, "kills of a resume": self.resume_killed, "steps resolved": self.resolved,
                "stops that named the next command": self.stopped}

    def tell(self):
        self.scenario.reset(self.rng)
        self.scenario.begin(self.program)
        for arm, step in self.arms:
            self.scenario.arm(arm, step)
        try:
            self._tell()
            self.scenario.finish()
            self.scenario.check()
            self.check_closed()
        except Violation as e:
            raise Violation("%s\n  story: %s" % (e, "\n         ".join(self.history)))
        finally:
            self.scenario.finish()
        return self

    def say(self, args, fault=None, prefix=(), env=None):
        """Run the program, with a fault or an interruption."""
        env = {**(env or {}), "WHERRY_FAULT": fault} if fault else env
        w = Wherry(self.w.state, self.program, prefix)
        word = fault
        if self.signals and not fault:
            after, number = self.signals.pop(0)
            w.prefix = ["timeout", "--preserve-status", "--foreground", "-s", str(number), "%.3f" % after]
            word = "signal %d after %.3f s" % (number, after)
        done = w(*args, env=env)
        self.history.append("%s %s-> %s%s" % (
            args[0], "[%s] " % word if word else "", done.code,
            "".join("\n           " + line for line in done.err.splitlines()[-3:])))
        return done

    def settled(self):
        """Steps that the journal calls finished, with how often each had its effect."""
        records = journalfile.records(os.path.join(self.scenario.folder, "state", RUN, "journal"))
        if records is None:
            return None
        ended = {r["step"] for r in records if r["t"] == "end" and r.get("st") in FINISHED}
        counts = self.scenario.counts()
        return {step: counts[step] for step in ended}

    def start(self, *surroundings):
        """The run, with a fault, a prefix and an env."""
        self.w = Wherry(os.path.join(self.scenario.folder, "state"), self.program)
        done = self.say(["run", self.scenario.plan, "--run-id", RUN, "--yes", "-j", "4", "--format", "plain"] + self.scenario.params(), *surroundings)
        self.killed += done.code == -signal.SIGKILL
        return done

    def go_on(self, args, finished=None, env=None):
        """By that command, with the next fault: what had finished does not run again."""
        done = self.say(args, self.later.pop(0) if self.later else None, env=env)
        self.resume_killed += done.code == -signal.SIGKILL
        counts = self.scenario.counts()
        again = {s: (n, counts[s]) for s, n in (finished or {}).items() if counts[s] != n}
        expect(not again, "finished steps ran again (before, after): %s" % again)
        return done

    def _tell(self):
        done = self.start(self.first, self.prefix, self.env)
        for _ in range(MAX_RESUMES):
            if done.code == 0:
                return
            expect(done.code == -signal.SIGKILL or done.code in DOCUMENTED, "exit code is not a documented one: %s" % done)
            settled = self.settled()
            if settled is None:
                expect(done.code in (-signal.SIGKILL, 6, 130, 143), "it stopped, and there is no run: %s" % done)
                expect(not self.scenario.counts(), "effects before the run existed")
                done = self.start()
                continue
            done = self.go_on(self.next_command(done), settled)
        raise Violation("not finished after %d resumes" % MAX_RESUMES)

    def next_command(self, done):
        """What an operator would type now. A stop names it; after a kill `status` does."""
        if done.code in (130, 143) and not done.err:
            return ["resume", RUN, "--yes"]  # the signal came before it had begun to listen
        if done.code == -signal.SIGKILL:
            if self.rng.random() > 0.1:
                return ["resume", RUN, "--yes", "--format", "plain"]
            done = self.w("status", RUN)
        else:
            self.stopped += 1
        args = done.next()
        expect(args, "no next command was named: %s" % done)
        if args[0] == "resolve":
            return self.resolve(done)
        if args[0] == "approve":
            return self.approve(args)
        if args[0] in ("report", "status"):
            return ["resume", RUN, "--yes"]  # killed when all was done, but for its last words
        expect(args[0] == "resume", "the next command is not one that goes on: %s" % done)
        stops = (-signal.SIGKILL, 0, 3, 130, 143) + ((1, 6, 7) if self.prefix or self.env else ())
        expect(done.code in stops, "a resumable stop has the wrong exit code: %s" % done)
        return args + ["--yes"]

    def resolve(self, done):
        """Paused with a step in doubt: say the truth about it, as the other side counted it."""
        asked = set()
        while True:
            args = done.next()
            if not args or args[0] != "resolve":
                break
            step = args[2]
            expect(step not in asked, "asked twice about %s: %s" % (step, done))
            asked.add(step)
            word = "--done" if self.scenario.happened(step) else "--not-done"
            done = self.say(["resolve", RUN, step, word, "--reason", "counted by the log"])
            equal(done.code, 0, "resolve: %s; exit code" % done)
            self.resolved += 1
        return ["resume", RUN, "--yes", "--format", "plain"]

    def approve(self, args):
        """Paused at a gate: let it pass, as others may do at the same time; who says so may be killed, too."""
        fault = self.later.pop(0) if self.later else None
        done = self.say(args + ["--reason", "by the story"], fault)
        expect(done.code in (0, 130, 143, -signal.SIGKILL) or (done.code == 2 and "does not wait" in done.err), "approve: %s" % done)
        return ["resume", RUN, "--yes", "--format", "plain"]

    def check_closed(self):
        """Resume of a finished run changes nothing; its journal is sound."""
        before = self.scenario.counts()
        self.w.ok("journal", "verify", RUN)
        done = self.w("resume", RUN, "--yes")
        expect(done.code in (0, 2), "resume of a finished run: %s" % done)
        equal(self.scenario.counts(), before, "effects after the resume of a finished run")
