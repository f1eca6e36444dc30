#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""People and runs: gates and irreversible steps answered at the terminal, from another shell and on the command line; two
people on one run; guards; what lies in an inbox."""
import os
import pty
import select
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from wtest import LIMIT, Wherry, equal, expect, in_world, main, wait_for

HEAD = "wherry: v1\nname: gated\nsummary: x\nparams: {dir: {type: string, required: true}}\nsteps:\n"
LOG = "  - {id: %s, uses: exec, with: {argv: [sh, -c, \"echo %s >>$0/log\", \"${{ params.dir }}\"]}%s}\n"
GATED = (HEAD + "  - {id: ok, uses: confirm, with: {message: 'Hand over now?', choices: [now, later]}}\n" + LOG % ("go", "go", ", needs: [ok]")
         + "  - {id: look, uses: exec, with: {argv: [test, -e, \"${{ params.dir }}/still\"], read_only: true}}\n"
         + LOG % ("cross", "cross", ", needs: [go], guard: [look], irreversible: the new side takes writes")
         + "outputs: {when: \"${{ steps.ok.outputs.choice }}\", by: \"${{ steps.ok.outputs.by }}\"}\n")
HOLD = ("  - id: hold\n    uses: exec\n    with: {idempotent: true, argv: [sh, -c, \": >$0/held; while [ ! -e $0/release ]; do sleep 0.05; done\","
        " \"${{ params.dir }}\"]}\n")


class World:
    def __init__(self, folder, text):
        self.folder, self.plan = folder, os.path.join(folder, "plan.yaml")
        with open(self.plan, "w") as f:
            f.write(text)
        self.w = Wherry(os.path.join(folder, "state"))
        self.touch("still")

    def touch(self, name):
        open(os.path.join(self.folder, name), "w").close()

    def log(self):
        try:
            with open(os.path.join(self.folder, "log")) as f:
                return f.read().split()
        except FileNotFoundError:
            return []

    def args(self, *more):
        return ["run", self.plan, "--run-id", "one", "--yes", "-p", "dir=" + self.folder, *more]

    def start(self, *more):
        return self.w.start(*self.args(*more), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)

    def wait(self, word):
        """Until `status` says it."""
        said = []
        wait_for(lambda: said.append(self.w("status", "one").out) or word in said[-1], "status says '%s'" % word)
        return said[-1]


def with_world(text):
    return in_world(lambda folder: World(folder, text))


@with_world(GATED)
def paused(world):
    """Nobody is there: the run pauses with 3 and names the command; the answers lead it on, and all of it is told."""
    done = world.w(*world.args())
    equal(done.code, 3, str(done))
    equal(done.next(), ["approve", "one", "ok"], "the next command")
    expect("waits for an answer: Hand over now? [now/later/no]" in done.err, str(done))
    text = world.w.ok("status", "one").out
    expect("ok: pending, waits for an answer: Hand over now? [now/later/no]" in text, text)
    expect("next: wherry approve one ok" in text, text)
    for args, why in ((["go"], "step 'go' of run one does not wait for an answer; waiting: ok"),
                      (["ok", "--choice", "never"], "'never' is not one of the answers now/later/no"),
                      (["ok", "--choice", "now", "--reject"], "say either --reject or --choice")):
        wrong = world.w("approve", "one", *args)
        equal(wrong.code, 2, str(wrong))
        expect(why in wrong.err, str(wrong))
    equal(world.w("resume", "one", "--yes").code, 3, "--yes approves nothing; exit code")
    said = world.w.ok("approve", "one", "ok", "--choice", "later", "--reason", "change 42")
    equal(said.next(), ["resume", "one"], "the next command after the answer")
    again = world.w("approve", "one", "ok")
    equal(again.code, 2, str(again))
    expect("does not wait any more: it was approved (later) by " in again.err and "change 42" in again.err, str(again))
    done = world.w("resume", "one")
    equal(done.code, 3, str(done))
    equal(world.log(), ["go"], "effects")
    expect("irreversible, waits for an approval: the new side takes writes" in done.err, str(done))
    equal(done.next(), ["approve", "one", "cross"], "the next command")
    done = world.w("resume", "one", "--approve", "cross")
    equal(done.code, 0, str(done))
    equal(world.log(), ["go", "cross"], "effects")
    expect("when: later" in done.out, str(done))
    report = world.w.ok("report", "one").out
    for line in ("  gate ok now/later/no: Hand over now?", "  approve ok approved later by ", ": change 42", "  approve cross approved by ",
                 ": --approve"):
        expect(line in report, "'%s' is not in the report: %s" % (line, report))


@with_world(GATED)
def rejected(world):
    """No is a failure of the step, said with who and why; a resume asks again."""
    equal(world.w(*world.args()).code, 3, "exit code")
    world.w.ok("approve", "one", "ok", "--reject", "--reason", "not tonight")
    done = world.w("resume", "one")
    equal(done.code, 1, str(done))
    expect("rejected by " in done.err and "not tonight" in done.err, str(done))
    equal(world.w("resume", "one").code, 3, "exit code of a resume")
    equal(world.log(), [], "effects")


@with_world(GATED)
def guarded(world):
    """A guard that does not hold any more stops the run before the effect, names itself, and is asked again each time."""
    world.w(*world.args("--approve", "ok"))
    os.unlink(os.path.join(world.folder, "still"))
    for args in (["--approve", "cross"], []):
        done = world.w("resume", "one", *args)
        equal(done.code, 3, str(done))
        expect("step 'cross': guard 'look': " in done.err, str(done))
        equal(done.next(), ["resume", "one"], "the next command")
    equal(world.log(), ["go"], "effects")
    world.touch("still")
    equal(world.w("resume", "one").code, 0, "exit code")
    equal(world.log(), ["go", "cross"], "effects")


@with_world(GATED)
def dry(world):
    """The dry-run says the gates, takes them as passed, and names what cannot be taken back."""
    text = world.w.ok("plan", world.plan, "-p", "dir=" + world.folder).out
    for line in ("  assumed: somebody lets it pass: Hand over now? [now/later/no]", "  irreversible: the new side takes writes",
                 "    waits for an approval: --approve cross"):
        expect(line in text, "'%s' is not in: %s" % (line, text))
    os.unlink(os.path.join(world.folder, "still"))
    done = world.w("plan", world.plan, "-p", "dir=" + world.folder)
    equal(done.code, 1, "the guard's own step fails in a dry-run too: %s\nexit code" % done)


@with_world(GATED)
def usage(world):
    """What --approve and --not-after name has to make sense before anything starts."""
    for args, why in ((["--approve", "nobody"], "plan 'gated' has no step 'nobody'"),
                      (["--approve", "cros"], "has no step 'cros'; did you mean 'cross'?"),
                      (["--approve", "cross/inside"], "step 'cross' holds no steps"),
                      (["--approve", "cros[a/b]/c"], "has no step 'cros'; did you mean 'cross'?"),
                      (["--approve", "go"], "neither a gate nor irreversible"),
                      (["--not-after", "soon"], "a time such as 05:30"), (["--not-after", "2020-01-01T00:00:00Z"], "is past already")):
        done = world.w(*world.args(*args))
        equal(done.code, 2, str(done))
        expect(why in done.err, str(done))
    expect(not os.path.exists(world.w.state), "a run exists after a refusal")


@with_world(HEAD + "  - {id: nap, uses: sleep, with: {for: 6s}}\n" + LOG % ("go", "go", ", needs: [nap]"))
def late(world):
    """After --not-after nothing more is started; the run pauses, and a resume goes on."""
    soon = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 5))
    done = world.w(*world.args("--not-after", soon))
    equal(done.code, 3, str(done))
    expect("--not-after" in done.err, str(done))
    equal(done.next(), ["resume", "one"], "the next command")
    equal(world.log(), [], "effects")
    equal(world.w("resume", "one").code, 0, "exit code")
    equal(world.log(), ["go"], "effects")


@with_world(GATED + "finally:\n" + HOLD)
def live(world):
    """Beside a live run: an answer is taken at once, a second one refused in words, and --follow shows both."""
    text = GATED.replace("steps:\n", "steps:\n" + HOLD, 1)
    with open(world.plan, "w") as f:
        f.write(text)
    p = world.start()
    status = world.wait("ok: pending, waits for an answer")
    expect("next: wherry approve one ok" in status, status)
    watch = world.w.start("status", "one", "--follow", stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    first = world.w("approve", "one", "ok")
    equal(first.code, 0, str(first))
    expect("step 'ok' of run one is approved" in first.err, str(first))
    second = world.w("approve", "one", "ok", "--reject")
    equal(second.code, 2, str(second))
    expect("does not wait any more: it was approved" in second.err, str(second))
    world.wait("go: done")
    world.touch("release")
    err = p.communicate(timeout=LIMIT)[1]
    equal(p.returncode, 3, err)  # `cross` still waits
    _, told = watch.communicate(timeout=LIMIT)
    for words in ("ok: waits for an answer: Hand over now?", "ok: approved by "):
        expect(words in told, "'%s' is not in: %s" % (words, told))
    equal(os.listdir(os.path.join(world.w.state, "one", "inbox")), [], "messages left")


@with_world(GATED.replace("steps:\n", "steps:\n" + HOLD, 1))
def crowd(world):
    """Ten people at once: one answer counts, nine are told who was first, and the journal has one word."""
    p = world.start()
    world.wait("ok: pending, waits for an answer")
    people = [world.w.start("approve", "one", "ok", "--reason", "number %d" % i, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
              for i in range(10)]
    ends = [(q.communicate(timeout=LIMIT)[1], q.returncode) for q in people]
    equal(sorted(code for _, code in ends), [0] + 9 * [2], "exit codes of %s" % ends)
    expect(all("it was approved by" in text for text, code in ends if code == 2), "not all are told who was first: %s" % ends)
    world.touch("release")
    p.communicate(timeout=LIMIT)
    words = [line for line in world.w.ok("journal", "dump", "one").out.splitlines() if "Z approve " in line]
    equal(len(words), 1, "words on the gate: %s" % words)


@with_world(GATED.replace("steps:\n", "steps:\n" + HOLD, 1))
def killed(world):
    """The process that holds the run is stopped, and dies, while somebody answers: the answer is not lost."""
    p = world.start()
    world.wait("ok: pending, waits for an answer")
    p.send_signal(signal.SIGSTOP)
    q = world.w.start("approve", "one", "ok", stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    inbox = os.path.join(world.w.state, "one", "inbox")
    wait_for(lambda: os.path.isdir(inbox) and os.listdir(inbox), "the word is left", q)
    p.kill()
    p.communicate()
    err = q.communicate(timeout=LIMIT)[1]
    equal(q.returncode, 0, err)
    expect("next: wherry resume one" in err, err)
    world.touch("release")
    equal(world.w("resume", "one", "--approve", "cross").code, 0, "exit code")
    equal(world.log(), ["go", "cross"], "effects")


@with_world(GATED.replace("needs: [ok]", "needs: [ok, hold]").replace("steps:\n", "steps:\n" + HOLD, 1))
def killed_early(world):
    """What --approve says is kept over a kill from before its steps, with who said it: the resume does not stop there."""
    p = world.start("--approve", "ok", "--approve", "cross")
    wait_for(lambda: os.path.exists(os.path.join(world.folder, "held")), "it is held", p)
    status = world.wait("cross: pending; approved by ")
    expect(": --approve" in status, status)
    p.kill()
    p.communicate()
    world.touch("release")
    done = world.w("resume", "one")
    equal(done.code, 0, str(done))
    expect("when: now" in done.out, str(done))
    equal(world.log(), ["go", "cross"], "effects")
    words = [line for line in world.w.ok("journal", "dump", "one").out.splitlines() if "Z approve " in line]
    equal(len(words), 2, "words on the gates: %s" % words)


CHILD = "  - {id: part, uses: plan, needs: [hold], with: {file: part.yaml, params: {dir: \"${{ params.dir }}\"}}}\n"


@with_world(HEAD + HOLD + CHILD)
def killed_early_inside(world):
    """The same for gates and irreversible steps inside of a plan that the plan runs, by their paths."""
    with open(os.path.join(world.folder, "part.yaml"), "w") as f:
        f.write(GATED)
    for words, why in ((["--approve", "part/crosss"], "no such step in plan 'gated', which step 'part' runs"), (["--approve", "part"], "neither a gate")):
        done = world.w(*world.args(*words))
        equal(done.code, 2, str(done))
        expect(why in done.err, str(done))
    p = world.start("--approve", "part/ok", "--approve", "part/cross")
    for _ in range(400):
        if os.path.exists(os.path.join(world.folder, "held")):
            break
        time.sleep(0.02)
    p.kill()
    p.communicate()
    world.touch("release")
    done = world.w("resume", "one")
    equal(done.code, 0, str(done))
    equal(world.log(), ["go", "cross"], "effects")


@with_world(GATED.replace("steps:\n", "steps:\n" + HOLD, 1))
def junk(world):
    """What lies in the inbox and is no message is put aside and named; the run goes on."""
    p = world.start()
    world.wait("ok: pending, waits for an answer")
    inbox = os.path.join(world.w.state, "one", "inbox")
    os.mkdir(inbox, 0o700)
    os.mkfifo(os.path.join(inbox, "1-fifo"), 0o600)
    os.symlink("/etc/passwd", os.path.join(inbox, "2-link"))
    with open(os.path.join(inbox, "3-text\x1b[31m"), "w") as f:
        f.write("approve everything\n")
    wait_for(lambda: os.listdir(inbox) == ["refused"] and len(os.listdir(os.path.join(inbox, "refused"))) == 3, "all is put aside", p)
    equal(sorted(os.listdir(os.path.join(inbox, "refused"))), ["1-fifo", "2-link", "3-text\x1b[31m"], "what was put aside")
    equal(world.w("approve", "one", "ok").code, 0, "exit code of an answer after all that")
    world.touch("release")
    err = p.communicate(timeout=LIMIT)[1]
    equal(p.returncode, 3, err)
    equal(err.count("refused message"), 3, "refusals told in: " + err)
    expect("\x1b" not in err, "a control character was shown: %r" % err)


DOUBT = HEAD + HOLD + "  - {id: what, uses: exec, with: {argv: [sh, -c, \"kill -9 $$\"]}}\n"


@with_world(DOUBT)
def draining(world):
    """A step is in doubt and the run drains: a word on it is taken now, and the run's last words do not ask again."""
    p = world.start()
    world.wait("what: in-doubt")
    said = world.w("resolve", "one", "what", "--done", "--reason", "seen")
    equal(said.code, 0, str(said))
    world.touch("release")
    err = p.communicate(timeout=LIMIT)[1]
    equal(p.returncode, 3, err)
    expect("next: wherry resume one" in err and "next: wherry resolve" not in err.rsplit("paused", 1)[1], err)
    equal(world.w("resume", "one").code, 0, "exit code")


class Terminal:
    """The program on a terminal of its own."""

    def __init__(self, world, *args, columns=100):
        pid, self.fd = pty.fork()
        if pid == 0:
            os.execve(world.w.program, world.w.argv(args), {**world.w.env, "TERM": "xterm", "COLUMNS": str(columns)})
        self.pid, self.shown, self.at = pid, "", 0

    def until(self, word):
        """What was shown up to and with it, from where the last call ended."""
        while word not in self.shown[self.at:]:
            ready, _, _ = select.select([self.fd], [], [], 20)
            try:
                data = os.read(self.fd, 65536) if ready else b""
            except OSError:
                data = b""
            expect(data, "'%s' was not shown: %r" % (word, self.shown))
            self.shown += data.decode(errors="replace")
        begin, self.at = self.at, self.shown.index(word, self.at) + len(word)
        return self.shown[begin:self.at]

    def type(self, text):
        os.write(self.fd, text.encode())

    def end(self):
        while True:
            try:
                data = os.read(self.fd, 65536)
            except OSError:
                break
            if not data:
                break
            self.shown += data.decode(errors="replace")
        os.close(self.fd)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


@with_world(GATED)
def typed(world):
    """At a terminal the run asks: what is no answer is asked again, and each answer is on record with its person."""
    t = Terminal(world, *world.args())
    t.until("ok: Hand over now? [now/later/no]")
    for wrong in ("\n", "yes\n", "now later\n"):
        t.type(wrong)
        t.until("ok: Hand over now? [now/later/no]")
    equal(world.log(), [], "effects")
    t.type("  now \n")
    t.until("cross is irreversible: the new side takes writes [yes/no]")
    equal(world.log(), ["go"], "effects")
    t.type("yes\n")
    equal(t.end(), 0, "exit code; " + t.shown)
    equal(world.log(), ["go", "cross"], "effects")
    report = world.w.ok("report", "one").out
    expect("approve ok approved now by " in report and "approve cross approved yes by " in report, report)


@with_world(GATED)
def typed_no(world):
    """No at the terminal; an interrupt at the question pauses; its end leaves the question open."""
    t = Terminal(world, *world.args())
    t.until("ok: Hand over now? [now/later/no]")
    t.type("\x03")
    equal(t.end(), 130, "exit code after ^C; " + t.shown)
    t = Terminal(world, "resume", "one")
    t.until("ok: Hand over now? [now/later/no]")
    t.type("\x04")
    equal(t.end(), 3, "exit code at the end of the terminal; " + t.shown)
    t = Terminal(world, "resume", "one")
    t.until("ok: Hand over now? [now/later/no]")
    t.type("no\n")
    equal(t.end(), 1, "exit code after no; " + t.shown)
    expect("rejected by" in t.shown, t.shown)


@with_world(GATED.replace("  - {id: ok,", "  - {id: nap, uses: sleep, with: {for: 2s}}\n  - {id: ok, needs: [nap],"))
def typed_early(world):
    """What was typed before the question stood there is no answer to it."""
    t = Terminal(world, *world.args())
    t.until("nap")
    t.type("now\n")
    t.until("ok: Hand over now? [now/later/no]")
    time.sleep(0.5)
    equal(world.log(), [], "effects")
    expect("ok: pending, waits for an answer" in world.w("status", "one").out, "it waits no more")
    t.type("no\n")
    equal(t.end(), 1, "exit code; " + t.shown)


@with_world(GATED)
def typed_elsewhere(world):
    """The question stands at one terminal and is answered in another shell: the run goes on, and asks the next."""
    t = Terminal(world, *world.args())
    t.until("ok: Hand over now? [now/later/no]")
    world.w.ok("approve", "one", "ok")
    t.until("ok: approved by ")
    t.until("cross is irreversible")
    t.type("no\n")
    equal(t.end(), 1, "exit code; " + t.shown)


if __name__ == "__main__":
    main(paused, rejected, guarded, dry, usage, late, live, crowd, killed, killed_early, killed_early_inside, junk, draining, typed, typed_no, typed_early, typed_elsewhere)
