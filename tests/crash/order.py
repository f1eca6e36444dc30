# SPDX-License-Identifier: Apache-2.0
"""The recorded order of system calls of a run: its rules, and the power losses that could have hit it.

A kill cannot show a missing sync, since what was written stays in the cache. So the run is recorded, and
- checked: no command starts and no file is replaced before its intent is durable, nor before the ends of what it needs;
  no batch is written before the previous one is durable, nor before the private values that it names; no effect before
  the names of the run's files are durable; nothing is left unsynced when the run says it is done;
- replayed: at each point of the record the state folder is built as a power loss could have left it (any subset of
  unsynced 512-byte pieces, names whose folder was not synced lost), and a resume from there must keep the promises.
"""
import os
import random
import re
import shutil
import signal
import time

import journalfile
from stories import RUN, SCENARIOS, Story
from wtest import Violation, Wherry, expect

SECTOR = 512
CALLS = "openat,open,creat,write,pwrite64,fdatasync,fsync,rename,renameat,renameat2,ftruncate,fallocate,mkdir,mkdirat,unlink,unlinkat,link,linkat,execve,exit_group"
LINE = re.compile(r"^(\d+) +(?:(\w+)\((.*)|<\.\.\. (\w+) resumed>(.*))$")
FD = re.compile(r"^(?:AT_FDCWD|\d+)(?:<((?:\\x[0-9a-f]{2})*)>)?")
STRING = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')


class Call:
    """One system call: `begin` and `end` are its places in the order of the record."""

    def __init__(self, pid, name, begin):
        self.pid, self.name, self.begin, self.end, self.text, self.result = pid, name, begin, None, "", None

    def finish(self, text, at):
        self.text, _, result = (self.text + text).rpartition(" = ")
        self.end = at
        found = re.match(r"-?\d+", result)
        self.result = int(found.group()) if found else None

    def strings(self):
        return [bytes.fromhex(s.replace("\\x", "")) for s in STRING.findall(self.text)]

    def fd_path(self, text=None):
        found = FD.match(self.text if text is None else text)
        return bytes.fromhex(found.group(1).replace("\\x", "")).decode() if found and found.group(1) else None

    def paths(self):
        """Absolute paths of the names in the call's arguments."""
        folders = re.findall(r"(?:AT_FDCWD|\d+)<((?:\\x[0-9a-f]{2})*)>, \"", self.text)
        got = []
        for i, name in enumerate(self.strings()):
            base = bytes.fromhex(folders[min(i, len(folders) - 1)].replace("\\x", "")).decode() if folders else "/"
            got.append(os.path.normpath(os.path.join(base, name.decode(errors="replace"))))
        return got

    def number(self, index):
        return int(self.text.split(", ")[index].strip().rstrip(")"))


def read_trace(path):
    calls, open_calls = [], {}
    with open(path) as f:
        for at, line in enumerate(f):
            found = LINE.match(line.rstrip("\n"))
            if not found:
                continue
            pid, name, text, resumed, rest = found.groups()
            if name:
                call = Call(int(pid), name, at)
                calls.append(call)
                if text.endswith("<unfinished ...>"):
                    call.text = text[:-len("<unfinished ...>")].rstrip()
                    open_calls[pid, name] = call
                else:
                    call.finish(text, at)
            elif (pid, resumed) in open_calls:
                open_calls.pop((pid, resumed)).finish(rest, at)
    return [c for c in calls if c.end is not None or c.name == "exit_group"]


class Trace:
    """A recorded run of the dag plan, told as events in the order in which they took effect."""

    def __init__(self, calls, state, scenario, program):
        self.state, self.world = state, scenario.dir
        self.writers = {}       # path -> the steps that will write it, in their order
        for step, (name, _) in scenario.files.items():
            self.writers.setdefault(os.path.join(self.world, name), []).append(step)
        self.journal, self.private = (os.path.join(state, RUN, name) for name in ("journal", "private"))
        self.main = next(c.pid for c in calls if c.name == "execve" and c.strings()[0].decode() == program)
        events = []
        for call in calls:
            if call.name == "execve":
                argv = [s.decode(errors="replace") for s in call.strings()]
                if call.result == 0 and len(argv) == 4 and argv[1].endswith("/act"):
                    events.append((call.begin, "start", argv[3], None))
            elif call.name == "exit_group":
                if call.pid == self.main:
                    events.append((call.begin, "exit", call.text, None))
            elif call.result is not None and call.result >= 0:
                events += self.file_event(call)
        self.events = sorted(events, key=lambda e: e[0])

    def file_event(self, call):
        if call.name in ("openat", "open", "creat"):
            path = call.paths()[0]
            if "O_CREAT" in call.text and path.startswith(self.state):
                yield call.end, "create", path, None
                if "O_TRUNC" in call.text:
                    yield call.end, "truncate", path, 0
        elif call.name in ("mkdir", "mkdirat"):
            yield from self.inside(call.end, "mkdir", call.paths()[0])
        elif call.name.startswith("rename"):
            old, new = call.paths()[:2]
            if self.writers.get(new):
                step = self.writers[new].pop(0)
                yield call.begin, "start", step, None
                yield call.end, "effect", step, None
            yield from self.inside(call.end, "rename", old, new)
        elif call.name.startswith("unlink"):
            yield from self.inside(call.end, "unlink", call.paths()[0])
        elif call.name.startswith("link"):
            raise Violation("a hard link below the state folder: the model of power losses has none")
        else:
            path = call.fd_path()
            if path == os.path.join(self.world, "log") and call.name == "write":
                yield call.end, "effect", call.strings()[0].decode().strip(), None
            elif path and path.startswith(self.state):
                yield from self.data_event(call, path)

    def inside(self, at, what, path, more=None):
        if path.startswith(self.state):
            yield at, what, path, more

    def data_event(self, call, path):
        if call.name == "write":
            yield call.end, "write", path, (None, call.strings()[0][:call.result])
        elif call.name == "pwrite64":
            yield call.end, "write", path, (call.number(-1), call.strings()[0][:call.result])
        elif call.name == "ftruncate":
            yield call.end, "truncate", path, call.number(-1)
        elif call.name == "fallocate":
            yield call.end, "allocate", path, call.number(-2) + call.number(-1)
        elif call.name in ("fdatasync", "fsync"):
            # What was written while the sync went on is not covered by it: it counts from where it began.
            yield call.begin, "sync-begin", path, call.end
            yield call.end, "sync", path, call.begin


def needs_of(plan):
    with open(plan) as f:
        return {m.group(1): re.findall(r"[\w-]+", m.group(2) or "") for m in re.finditer(
            r"id: ([\w-]+), uses: (?:exec|file\.write).*?(?:, needs: \[([^\]]*)\])?}$", f.read(), re.M)}


def check_order(trace, needs):
    """Raise Violation where a rule of the order is broken."""
    unsynced = {}           # path -> [(at, data)] written and not yet durable
    names = set()           # paths whose name is not durable
    durable = {"intent": set(), "end": set()}

    def settle(path, begin):
        still = [w for w in unsynced.get(path, ()) if w[0] > begin]
        for at, data in unsynced.get(path, ()):
            if at <= begin and path == trace.journal:
                for batch in journalfile.batches(data):
                    for r in batch.records:
                        if r["t"] in durable:
                            durable[r["t"]].add(r.get("step"))
        unsynced[path] = still

    for at, what, path, more in trace.events:
        if what == "write":
            if path == trace.journal and unsynced.get(path):
                raise Violation("a batch was written before the previous one was durable")
            if path == trace.journal and unsynced.get(trace.private):
                raise Violation("a batch was written before the private values it names were durable")
            unsynced.setdefault(path, []).append((at, more[1]))
        elif what == "sync":
            settle(path, more)
            names -= {n for n in names if os.path.dirname(n) == path}
        elif what in ("create", "mkdir"):
            if "orphans" not in path and not path.endswith(("lock", ".image")): # the plan's image is a cache
                names.add(path)
        elif what == "rename":
            names.discard(path)
            names.add(more)
        elif what == "unlink":
            names.discard(path)
        elif what == "start":
            expect(path in durable["intent"], "%s started before its intent was durable" % path)
            for need in needs[path]:
                expect(need in durable["end"], "%s started before the end of %s was durable" % (path, need))
            expect(not names, "%s started before these names were durable: %s" % (path, sorted(names)))
        elif what == "exit" and path.startswith("0"):
            expect(not unsynced.get(trace.journal), "the run said it was done before its journal was durable")


class Disk:
    """What is on the disk for sure, and what only the cache holds. Paths are below the state folder."""

    def __init__(self, root):
        self.root = root
        self.files = {}                    # inode number -> bytearray, durable content
        self.pending = {}                  # inode number -> [(at, kind, data)]
        self.names, self.now = {}, {}      # path -> inode or "folder": durable, and as the program sees it
        self.changes = []                  # [(folder, what, path, inode or new path)] of names not yet durable
        self.next = 0

    def see(self, path):
        """The inode of the path; one that was there before the record began is an empty file."""
        if path not in self.now:
            self.create(path)
        return self.now[path]

    def create(self, path):
        if path in self.now:
            return
        self.next += 1
        self.now[path] = self.next
        self.files[self.next], self.pending[self.next] = bytearray(), []
        self.changes.append((os.path.dirname(path), "add", path, self.next))

    def apply(self, event):
        at, what, path, more = event
        if what == "create":
            self.create(path)
        elif what == "mkdir":
            self.now[path] = "folder"
            self.changes.append((os.path.dirname(path), "add", path, "folder"))
        elif what == "rename":
            inode = self.now.pop(path, None) or self.see(more)
            self.now[more] = inode
            self.changes.append((os.path.dirname(more), "add", more, inode))
            self.changes.append((os.path.dirname(path), "remove", path, None))
        elif what == "unlink":
            self.now.pop(path, None)
            self.changes.append((os.path.dirname(path), "remove", path, None))
        elif what in ("write", "truncate", "allocate"):
            self.pending[self.see(path)].append((at, what, more))
        elif what == "sync":
            if self.now.get(path) == "folder" or path == self.root:
                for change in [c for c in self.changes if c[0] == path]:
                    self.name_change(self.names, change)
                    self.changes.remove(change)
            else:
                inode = self.see(path)
                for op in [p for p in self.pending[inode] if p[0] <= more]:
                    self.write(self.files[inode], op)
                    self.pending[inode].remove(op)

    @staticmethod
    def name_change(names, change):
        _, what, path, inode = change
        if what == "add":
            names[path] = inode
        else:
            names.pop(path, None)

    @staticmethod
    def write(content, op, keep=lambda: True):
        """Apply to the content; of a write only those sectors that `keep` chooses."""
        _, what, more = op
        if what == "truncate":
            del content[more:]
            content.extend(bytes(more - len(content)))
        elif what == "allocate":
            content.extend(bytes(max(0, more - len(content))))
        else:
            start, data = more
            start = len(content.rstrip(b"\0")) if start is None else start
            for at in range(start - start % SECTOR, start + len(data), SECTOR):
                piece = data[max(0, at - start):at + SECTOR - start]
                if keep():
                    first = max(at, start)
                    content.extend(bytes(max(0, first + len(piece) - len(content))))
                    content[first:first + len(piece)] = piece

    def image(self, to, rng, how):
        """Build the folder as a power loss could leave it: `none` of what was pending, `all` of it, or `some`."""
        names = dict(self.names)
        pending = self.changes if how == "all" else [] if how == "none" else self.changes[:rng.randint(0, len(self.changes))]
        for change in pending:
            self.name_change(names, change)
        keep = {"none": lambda: False, "all": lambda: True, "some": lambda: rng.random() < 0.5}[how]
        shutil.rmtree(to, ignore_errors=True)
        os.makedirs(to, 0o700)
        for path in sorted(names, key=lambda p: p.count("/")):
            target = to + path[len(self.root):]
            if not os.path.isdir(os.path.dirname(target)):
                continue  # its folder's own name was lost
            if names[path] == "folder":
                os.mkdir(target, 0o700)
                continue
            content = bytearray(self.files[names[path]])
            for op in self.pending[names[path]]:
                if op[1] == "write" or keep():
                    self.write(content, op, keep)
            with open(os.open(target, os.O_WRONLY | os.O_CREAT, 0o600), "wb") as f:
                f.write(content)


class PowerLoss(Story):
    """A story that goes on from what a power loss left."""

    def __init__(self, scenario, program, disk, effects, rng, how):
        super().__init__(scenario, program, rng.random())
        self.disk, self.effects, self.how, self.image_rng = disk, effects, how, rng

    def say(self, args, fault=None, prefix=(), env=None):
        if args[0] != "run" or self.history:
            return super().say(args, fault, prefix, env)
        self.disk.image(self.w.state, self.image_rng, self.how)
        self.scenario.restore(self.effects)
        self.history.append("power loss after %d effects, %s of the unsynced kept" % (len(self.effects), self.how))
        lost = type("Lost", (), {"code": -signal.SIGKILL})
        if journalfile.records(os.path.join(self.w.state, RUN, "journal")):
            self.w.ok("journal", "verify", RUN)
        return lost


def record(folder, program, seed):
    """Run the dag plan under the tracer: its events."""
    scenario = SCENARIOS["dag"](os.path.join(folder, "recorded"))
    log = os.path.join(folder, "trace")
    prefix = ["strace", "-qq", "-f", "-y", "-xx", "-s", "2097152", "-o", log, "-e", "trace=" + CALLS, "-e", "signal=none"]
    story = Story(scenario, program, seed, prefix=prefix)
    scenario.reset(random.Random(seed))
    story.w = Wherry(os.path.join(scenario.folder, "state"), program)
    done = story.say(["run", scenario.plan, "--run-id", RUN, "--yes", "-j", "4", "--format", "plain"] + scenario.params(),
                     prefix=prefix)
    expect(done.code == 0, "the recorded run: %s" % done)
    trace = Trace(read_trace(log), story.w.state, scenario, program)
    seen = {e[1] for e in trace.events}
    expect({"start", "write", "sync", "effect", "exit"} <= seen, "the tracer saw only %s" % sorted(seen))
    expect(not any(trace.writers.values()), "files of which the tracer did not see how they were written: %s" % trace.writers)
    expect(any(e[2] == trace.private for e in trace.events), "the tracer saw no private values")
    return scenario, trace


def power_losses(scenario, trace, program, seed, limit):
    """Cut the power after each effect and at `limit` other places, three disks each; the number of disks tried."""
    rng = random.Random(seed)
    cuts = set(rng.sample(range(len(trace.events)), min(limit, len(trace.events))))
    cuts |= {i for i, event in enumerate(trace.events) if event[1] == "effect"}
    disk, effects, tried = Disk(trace.state), [], 0
    for i, event in enumerate(trace.events):
        if event[1] == "effect":
            effects.append(event[2])
        else:
            disk.apply(event)
        if i in cuts:
            for how in ("none", "all", "some"):
                PowerLoss(scenario, program, disk, list(effects), rng, how).tell()
                tried += 1
    return tried


def run(options, folder):
    begin = time.monotonic()
    scenario, trace = record(folder, options.shipped, options.seed)
    check_order(trace, needs_of(scenario.plan))
    tried = power_losses(scenario, trace, options.shipped, options.seed, 60)
    print("crash: order: %d events in the right order, %d disks after a power loss, 0 broken, seed %d (%.0f s)" % (
        len(trace.events), tried, options.seed, time.monotonic() - begin), flush=True)
    return 0
