#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What happens to a run while it runs: signals, commands that misbehave, streams and terminals that go away, clocks that jump, a
second process. All that is said is pinned in tests/golden/told/."""
import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from told import told, with_desk
from wtest import LIMIT, Done, Etcd, Wherry, equal, expect, find_etcd, golden, main, preload, wait_for

HOLD = """steps:
  - {id: one, uses: exec, with: {argv: [sh, -c, "%secho one >>%s; while [ ! -e %s ]; do sleep 0.05; done"]}}
  - {id: two, uses: exec, needs: [one], with: {argv: [sh, -c, "echo two >>%s"]}}
"""


def is_gone(word):
    """No process has the word among its arguments."""
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/%s/cmdline" % pid, "rb") as f:
                if word.encode() in f.read():
                    return False
        except OSError:
            pass
    return True


def held(desk, run, trap=""):
    """A run that holds in its first step until the file `go` is there."""
    for name in ("log", "go"):
        if os.path.exists(desk.path(name)):
            os.remove(desk.path(name))
    plan = desk.plan(HOLD % (trap, desk.path("log"), desk.path("go"), desk.path("log")))
    p = desk.w.start("run", plan, "--run-id", run, "--yes", stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_for(lambda: os.path.exists(desk.path("log")), "the first step")
    return p, ["run", "plan.yaml", "--run-id", run, "--yes"]


def heard(p):
    """What it says until it has heard a signal."""
    said = ""
    while "a second signal stops at once" not in said:
        line = p.stderr.readline()
        expect(line, "it ended: " + said)
        said += line
    return said


def ended(desk, row, p, words, code, said):
    out, err = p.communicate(timeout=LIMIT)
    done = Done(words, p.returncode, out, said + err)
    equal(p.returncode, code, str(done))
    golden("told/%s.txt" % row, told(done, words, (desk.folder, "DIR")))
    return done


@with_desk
def signals(desk):
    """One INT, TERM or HUP lets end what runs and pauses with 130 or 143; a second one leaves it in doubt; the next command works."""
    for row, number, code in (("signal-int", signal.SIGINT, 130), ("signal-term", signal.SIGTERM, 143), ("signal-hup", signal.SIGHUP, 143)):
        p, words = held(desk, row)
        p.send_signal(number)
        said = heard(p)
        desk.file("go", "")
        done = ended(desk, row, p, words, code, said)
        equal(done.next(), ["resume", row], "the next command")
        desk.w.ok(*done.next())
        equal(open(desk.path("log")).read(), "one\ntwo\n", "effects")
    for row, number, code in (("signal-int-twice", signal.SIGINT, 130), ("signal-term-twice", signal.SIGTERM, 143)):
        p, words = held(desk, row, "trap : TERM; ")
        p.send_signal(number)
        said = heard(p)
        p.send_signal(number)
        ended(desk, row, p, words, code, said)
        desk.file("go", "")
        wait_for(lambda: is_gone(desk.path("go")), "the end of the command that it left")
        done = desk.told(row + "-resumed", 3, "resume", row, "--yes")
        desk.w.ok(*done.next()[:4], "--reason", "seen")
        desk.w.ok("resume", row)
        equal(open(desk.path("log")).read(), "one\ntwo\n", "effects")
    p, words = held(desk, "killed")
    p.kill()
    p.communicate()
    desk.file("go", "")
    wait_for(lambda: is_gone(desk.path("go")), "the end of the command that it left")
    wait_for(lambda: "interrupted" in desk.w.ok("status", "killed").out, "the end of the process")
    desk.told("signal-kill-status", 0, "status", "killed")
    desk.told("signal-kill-resumed", 3, "resume", "killed", "--yes")


@with_desk
def second(desk):
    """Whoever would take over a run that somebody holds is told who does (4)."""
    p, _ = held(desk, "one")
    for command in ("resume", "abort", "rollback"):
        desk.told("locked-" + command, 4, command, "one", "--yes")
    desk.told("locked-id", 2, "run", desk.path("plan.yaml"), "--run-id", "one", "--yes")
    desk.file("go", "")
    equal(p.wait(timeout=LIMIT), 0, "exit code of the first")
    p.communicate()


@with_desk
def elsewhere(desk):
    """A run from another machine (another state folder) on a destination that a run has claimed is refused with 4, and told by whom."""
    if not find_etcd():
        return "no etcd"
    with Etcd(desk.folder, "a") as a, Etcd(desk.folder, "b") as b:
        a.put_many(("/s/%03d" % i, "x") for i in range(10))
        plan = desk.plan("targets: {a: {kind: etcd, endpoints: ['%s']}, b: {kind: etcd, endpoints: ['%s']}}\nsteps:\n"
                         "  - {id: copy, uses: etcd.copy, with: {from: a, to: b, prefix: /s/, on_existing: merge}}\n"
                         "  - {id: hold, uses: confirm, needs: [copy], with: {message: go on?}}\n" % (a.url, b.url))
        desk.w.ok("run", plan, "--run-id", "first", "--yes", code=3)
        desk.told("claimed", 4, "run", plan, "--run-id", "second", "--yes", w=Wherry(desk.path("other-state")))
        desk.w.ok("resume", "first", "--approve", "hold")
    return None


@with_desk
def commands(desk):
    """Commands that are not there, no programs, killed, or endless in what they say: each with what is known, none hangs."""
    desk.file("not-executable", "#!/bin/sh\n")
    desk.file("bad-interpreter", "#!/no/such/shell\n")
    desk.file("no-program", b"\0\1\2\3", "wb")
    os.chmod(desk.path("bad-interpreter"), 0o755)
    os.chmod(desk.path("no-program"), 0o755)
    for row, code, body in (
            ("missing-path", 1, "argv: [%s]" % desk.path("nothing")), ("a-folder", 1, "argv: [%s]" % desk.folder),
            ("not-executable", 1, "argv: [%s]" % desk.path("not-executable")), ("bad-interpreter", 1, "argv: [%s]" % desk.path("bad-interpreter")),
            ("no-program", 1, "argv: [%s]" % desk.path("no-program")), ("fails", 1, "argv: [sh, -c, 'echo out; echo why >&2; exit 7']"),
            ("killed", 3, "argv: [sh, -c, 'kill -9 $$']"), ("killed-idempotent", 1, "idempotent: true, argv: [sh, -c, 'kill -9 $$']"),
            ("endless", 1, "argv: [sh, -c, 'yes | head -c 300000000; yes no | head -c 3000000 >&2; exit 1']"),
            ("control", 1, "argv: [sh, -c, 'printf \"\\\\033[2J\\\\007\\\\377\" >&2; exit 1']"),
            ("no-folder", 1, "cwd: %s, argv: [ls]" % desk.path("nowhere"))):
        plan = desk.plan("steps:\n  - {id: one, uses: exec, with: {%s}}\n" % body, row + ".yaml")
        desk.told("exec-" + row, code, "run", plan, "--run-id", row, "--yes")
    plan = desk.plan("steps:\n  - {id: one, uses: exec, timeout: 2s, with: {argv: [sleep, '60']}}\n", "slow.yaml")
    desk.told("exec-times-out", 3, "run", plan, "--run-id", "slow", "--yes", timeout=50)


@with_desk
def streams(desk):
    """Closed or broken streams change nothing of a run; the journal is the truth."""
    plan = desk.plan("steps:\n  - {id: one, uses: exec, with: {argv: [sh, -c, 'echo one >>%s']}}\n" % desk.path("log"))
    for i, how in enumerate((">&-", "2>&-", "<&-", ">&- 2>&-", "<&- >&- 2>&-", ">/dev/full", "2>/dev/full", "| true", "2>&1 >/dev/null | true",
                             "--format json | head -c 1", "--format json >/dev/full")):
        script = 'set -o pipefail; "$0" run "$1" --run-id r%d --yes %s' % (i, how)
        p = subprocess.run(["bash", "-c", script, desk.w.program, plan], env=desk.w.env, stdin=subprocess.DEVNULL, timeout=LIMIT,
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        equal(p.returncode, 0, "exit code with %s" % how)
        expect("state   done" in desk.w.ok("status", "r%d" % i).out, "the run with %s is not done" % how)
    equal(open(desk.path("log")).read(), "one\n" * 11, "effects")
    for how, code in ((">&-", 0), ("| true", 0), (">/dev/full", 6)):
        p = subprocess.run(["bash", "-c", 'set -o pipefail; "$0" report r0 %s' % how, desk.w.program], env=desk.w.env, timeout=LIMIT,
                           capture_output=True, text=True)
        equal(p.returncode, code, "exit code of a report with " + how)
    golden("told/stdout-full.txt", p.stderr)


def on_terminal(argv, env, columns):
    """All that a terminal of that width was sent, and the exit code."""
    pid, fd = pty.fork()
    if pid == 0:
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        os.execve(argv[0], argv, env)
    shown = b""
    while True:
        try:
            data = os.read(fd, 65536)
        except OSError:
            break
        shown += data
        if not data:
            break
        if b"\x1b[?7l" in data:  # in the midst of the live lines somebody pulls at the window's corner
            fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
            os.kill(pid, signal.SIGWINCH)
    os.close(fd)
    return shown.decode(errors="replace"), os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@with_desk
def terminals(desk):
    """Live lines fit the width; a dumb terminal gets plain lines; NO_COLOR and --color never take colours away; what runs is not hurt."""
    plan = desk.plan("steps:\n  - {id: a-step-with-a-long-name, uses: exec, with: {argv: [sleep, '0.7']}}\n"
                     '  - {id: b, uses: note, needs: [a-step-with-a-long-name], with: {message: "words that do not fit into twenty columns"}}\n')
    for n, (term, columns, env, args) in enumerate((
            ("xterm", 20, {}, []), ("xterm", 1, {}, []), ("xterm", 0, {}, []), ("xterm", 80, {"NO_COLOR": "1"}, []), ("xterm", 80, {}, ["--color", "never"]),
            ("dumb", 20, {}, []), ("", 80, {}, []), ("xterm", 80, {}, []))):
        shown, code = on_terminal(desk.w.argv(["run", plan, "--run-id", "r%d" % n, "--yes"] + args), {**desk.w.env, "TERM": term, **env}, columns)
        equal(code, 0, "exit code on %s of %d columns: %r" % (term, columns, shown))
        expect("words that do not fit into twenty columns" in shown, "the message is lost: %r" % shown)
        colours = re.findall(r"\x1b\[[\d;]*m", shown)
        if term != "xterm":
            expect("\x1b" not in shown, "a sequence on TERM=%s: %r" % (term, shown))
            continue
        equal(bool(colours), not env and not args, "colours with %s %s: %r" % (env, args, shown))
        live = re.findall(r"\x1b\[\?7l(.*?)\x1b\[\?7h", shown, re.S)
        expect(live, "no live lines: %r" % shown)
        for line in (line for block in live for line in re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", block).split("\r\n")):
            expect(columns < 2 or len(line.strip("\r")) < columns, "a live line of %d columns on %d: %r" % (len(line), columns, line))
        equal(shown.count("\x1b[?7l"), shown.count("\x1b[?7h"), "wrapping is left off: %r" % shown)


@with_desk
def clocks(desk):
    """A wall clock that jumps a year with each reading moves no time-out and no wait."""
    library = preload(desk.folder, "clock_jump.c")
    plan = desk.plan("steps:\n  - {id: wait, uses: sleep, with: {for: 300ms}}\n"
                     "  - {id: one, uses: exec, needs: [wait], timeout: 20s, with: {argv: [sh, -c, 'sleep 0.3; echo one >>%s']}}\n"
                     "  - {id: two, uses: exec, needs: [one], timeout: 300ms, on_error: continue, with: {idempotent: true, argv: [sleep, '20']}}\n" % desk.path("log"))
    for jump in ("31536000", "-31536000"):
        w = Wherry(desk.path("state" + jump), env={"LD_PRELOAD": library, "CLOCK_JUMP": jump})
        if "sanitize" in os.environ.get("WHERRY", "") or w("version").code != 0:
            return "nothing can be preloaded into this build"
        begin = time.monotonic()
        done = w("run", plan, "--run-id", "r", "--yes")
        expect("two: failed" in done.err and "time-out" in done.err and done.code == 1, str(done))
        expect(0.9 < time.monotonic() - begin < LIMIT, "it took %.1f s" % (time.monotonic() - begin))
        w.ok("report", "r")
        expect("state   " in w.ok("status", "r").out, "no status")
    equal(open(desk.path("log")).read(), "one\none\n", "effects")
    return None


@with_desk
def suspended(desk):
    """Eight hours asleep in the middle of a step: its time-out, an hour, has not come nearer; but nothing is begun any more after
    the end of the maintenance window that was slept through."""
    library = preload(desk.folder, "clock_jump.c")
    plan = desk.plan("steps:\n  - {id: one, uses: exec, timeout: 1h, with: {argv: [sh, -c, 'echo one >>%s; until [ -e %s ]; do sleep 0.05; done']}}\n"
                     "  - {id: two, uses: exec, needs: [one], with: {argv: [sh, -c, 'echo two >>%s']}}\n" % (
                         desk.path("log"), desk.path("go"), desk.path("log")))
    w = Wherry(desk.w.state, env={"LD_PRELOAD": library, "CLOCK_JUMP": str(8 * 3600), "CLOCK_JUMP_ONCE": desk.path("slept")})
    if "sanitize" in os.environ.get("WHERRY", "") or w("version").code != 0:
        return "nothing can be preloaded into this build"
    until = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3600))
    p = w.start("run", plan, "--run-id", "r", "--yes", "--not-after", until, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_for(lambda: os.path.exists(desk.path("log")), "the first step")
    os.kill(p.pid, signal.SIGSTOP)
    desk.file("slept", "")
    desk.file("go", "")
    os.kill(p.pid, signal.SIGCONT)
    ended(desk, "suspended", p, ["run", "plan.yaml", "--run-id", "r", "--yes", "--not-after", "TIME"], 3, "")
    equal(open(desk.path("log")).read(), "one\n", "effects")
    desk.w.ok("resume", "r", "--yes")
    equal(open(desk.path("log")).read(), "one\ntwo\n", "effects")
    return None


if __name__ == "__main__":
    main(signals, second, elsewhere, commands, streams, terminals, clocks, suspended)
