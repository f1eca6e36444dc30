#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The front door beside a live run and in odd places: follow, killed runs, plans from stdin, terminals, full outputs."""
import json
import os
import pty
import resource
import select
import signal
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from wtest import LIMIT, Wherry, equal, expect, main, scratch, wait_for

SLOW = """wherry: v1
name: slow
summary: Waits for a file.
params: {dir: {type: string, required: true}}
steps:
  - {id: first, uses: exec, with: {argv: [sh, -c, "echo first >>$0/log", "${{ params.dir }}"]}}
  - {id: same, uses: file.write, needs: [first], with: {path: "${{ params.dir }}/same", content: x, mode: "0600"}}
  - id: hold
    uses: exec
    needs: [same]
    with: {idempotent: true, argv: [sh, -c, "while [ ! -e $0/go ]; do sleep 0.05; done", "${{ params.dir }}"]}
finally:
  - {id: thaw, uses: exec, when: "${{ steps.first.ran }}", with: {argv: ["true"]}}
"""


def started(folder):
    """A run that holds in its third step, its plan's path, and a Wherry for it."""
    w = Wherry(os.path.join(folder, "state"))
    plan = os.path.join(folder, "slow.yaml")
    with open(plan, "w") as f:
        f.write(SLOW)
    with open(os.path.join(folder, "same"), "w") as f:
        f.write("x")
    os.chmod(os.path.join(folder, "same"), 0o600)
    p = w.start("run", plan, "--run-id", "one", "--yes", "-q", "-p", "dir=" + folder, stderr=subprocess.DEVNULL)
    wait_for(lambda: "hold: running" in w("status", "one").out, "the third step")
    return w, p


def follow():
    """status --follow shows what there was and what comes, until the run closes; a second resume is told who works on it."""
    with scratch() as folder:
        w, p = started(folder)
        text = w.ok("status").out
        expect("running by pid %d" % p.pid in text, text)
        expect("next: wherry status one --follow" in text, text)
        locked = w("resume", "one")
        equal(locked.code, 4, str(locked))
        expect("pid %d" % p.pid in locked.err, str(locked))
        watch = w.start("status", "one", "--follow", stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        open(os.path.join(folder, "go"), "w").close()
        equal(p.wait(timeout=LIMIT), 0, "the run's exit code")
        out, err = watch.communicate(timeout=LIMIT)
        equal(watch.returncode, 0, "exit code of status; " + err)
        for word in ("run one: slow", "first: done", "same: unchanged", "hold: done", "one: done"):
            expect(word in err, "'%s' is not in: %s" % (word, err))
        expect("state   done" in out, out)


def two_people():
    """Beside a live run everything that looks works and sees it under way; everything that would take it over is refused
    with 4 and names who holds it, a word on what is not asked or a used id with 2; and the run does not notice."""
    with scratch() as folder:
        w, p = started(folder)
        holder = "pid %d" % p.pid
        watch = w.start("status", "one", "--follow", "--format", "json", stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        for args in (["report", "one"], ["journal", "verify", "one"], ["journal", "dump", "one"], ["runs"], ["graph", "one"]):
            w.ok(*args)
        report = json.loads(w.ok("report", "one", "--format", "json").out)
        equal((report["state"], [s["status"] for s in report["steps"]]), ("running", ["done", "unchanged", "running"]), "the report")
        for args in (["resume", "one"], ["abort", "one", "--yes"]):
            refused = w(*args)
            equal(refused.code, 4, str(refused))
            expect(holder in refused.err, "the holder is not named: %s" % refused)
            equal(refused.next(), ["status", "one", "--follow"], "the next command")
        for args, why in ((["resolve", "one", "hold", "--done", "--reason", "x"], "is not in doubt"),
                          (["resolve", "one", "first", "--not-done", "--reason", "x"], "is not in doubt"),
                          (["approve", "one", "hold"], "does not wait for an answer")):
            refused = w(*args)
            equal(refused.code, 2, str(refused))
            expect(why in refused.err, str(refused))
        used = w("run", os.path.join(folder, "slow.yaml"), "--run-id", "one", "--yes", "-p", "dir=" + folder)
        equal(used.code, 2, str(used))
        equal(p.poll(), None, "the run's end while others came")
        open(os.path.join(folder, "go"), "w").close()
        equal(p.wait(timeout=LIMIT), 0, "the run's exit code")
        events = [json.loads(line) for line in watch.communicate(timeout=LIMIT)[0].splitlines()]
        equal(watch.returncode, 0, "exit code of status")
        equal([e["step"] for e in events if e.get("event") == "end"], ["first", "same", "hold", "thaw"], "ends that were followed")
        equal((events[-2]["event"], events[-1]["state"]), ("close", "done"), "the last event, and the status")
        with open(os.path.join(folder, "log")) as f:
            equal(f.read(), "first\n", "what the first step did")
        expect("resolve" not in w.ok("journal", "dump", "one").out, "a refused resolve is in the journal")


def killed():
    """After kill -9, status says interrupted, names what stays as it is, and the next command goes on."""
    with scratch() as folder:
        w, p = started(folder)
        p.send_signal(signal.SIGKILL)
        p.wait()
        open(os.path.join(folder, "go"), "w").close()
        # a child that was just then on its way to exec holds the journal for a moment longer
        wait_for(lambda: "interrupted" in w.ok("status").out, "the end of the process")
        status = w.ok("status")
        expect("interrupted" in status.out and "left    first" in status.out and "'thaw'" in status.out, str(status))
        report = w.ok("report").out
        expect("state     interrupted" in report and "running" not in report.split("totals")[1], "the report says otherwise: %s" % report)
        equal(w.ok("report", "--format", "json").json()[0]["state"], "interrupted", "the state in the report")
        equal(status.next(), ["resume", "one"], "the next command")
        done = w.ok(*status.next())
        expect("resume one: slow, 4 steps, 2 already finished" in done.err, str(done))
        with open(os.path.join(folder, "log")) as f:
            equal(f.read(), "first\n", "what the first step did")
        expect("one" in w.ok("runs").out, "runs")
        expect("every batch is whole" in w.ok("journal", "verify").out, "verify")


def images():
    """The image of a plan that is gone, cut, damaged or full of zeroes changes nothing: the text is read instead."""
    for spoil in (lambda b: b, lambda b: None, lambda b: b[:len(b) // 2], lambda b: b[:200] + b"x" + b[201:], lambda b: bytes(len(b))):
        with scratch() as folder:
            w, p = started(folder)
            p.send_signal(signal.SIGKILL)
            p.wait()
            open(os.path.join(folder, "go"), "w").close()
            image = os.path.join(w.state, "one", "plan", "main.image")
            with open(image, "rb") as f:
                spoilt = spoil(f.read())
            os.remove(image)
            if spoilt is not None:
                with open(image, "wb") as f:
                    f.write(spoilt)
            wait_for(lambda: "interrupted" in w.ok("status").out, "the end of the process")
            expect("resume one: slow, 4 steps, 2 already finished" in w.ok("resume", "one").err, "the resume")


def stdin():
    """A plan from stdin runs with --yes, and only then: nobody can be asked."""
    plan = "wherry: v1\nname: t\nsummary: x\nsteps:\n  - {id: a, uses: set, with: {values: {x: 1}}}\n"
    with scratch() as folder:
        w = Wherry(folder)
        refused = w("run", "-", stdin=plan)
        equal(refused.code, 2, str(refused))
        expect("--yes" in refused.err, str(refused))
        equal(os.listdir(folder), [], "state after a refusal")
        w.ok("run", "-", "--yes", stdin=plan)
        w.ok("validate", "-", stdin=plan)


def full():
    """A full stdout ends a look with 6, but never a run; too few descriptors are said at once."""
    plan = "wherry: v1\nname: t\nsummary: x\nsteps:\n  - {id: a, uses: set, with: {values: {x: 1}}}\n"
    with scratch() as folder, open("/dev/full", "w") as sink:
        w = Wherry(os.path.join(folder, "state"))
        path = os.path.join(folder, "p.yaml")
        with open(path, "w") as f:
            f.write(plan)
        for args, code in ((["run", path, "--yes", "--format", "json"], 0), (["runs"], 6)):
            p = w.start(*args, stdout=sink, stderr=subprocess.DEVNULL)
            equal(p.wait(timeout=LIMIT), code, "exit code of %s" % args[0])
        with open(path, "a") as f:
            f.write("outputs: {x: \"${{ steps.a.outputs.x }}\"}\n")
        for form in ("plain", "json"):
            p = w.start("run", path, "--yes", "--run-id", form, "--format", form, stdout=sink, stderr=subprocess.PIPE, text=True)
            told = p.communicate(timeout=LIMIT)[1]
            equal(p.returncode, 6, "exit code of a run whose outputs are lost: " + told)
            expect("its outputs could not be written" in told and "wherry report " + form in told, told)
            expect("done" in w.ok("status", form).out, "the run is not done")
        quiet, whole = w.ok("plan", path, "-q").out, w.ok("plan", path).out
        expect(len(quiet.split("\n")) < 4 and quiet in whole, "plan -q says %s" % quiet)
        p = w.start("version", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                    preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (32, 32)))
        equal(p.wait(timeout=LIMIT), 6, "exit code with 32 descriptors")


def typed(argv, env, answers):
    """Run on a terminal; answers: (what is asked, what is typed). All that was shown, and the exit code."""
    pid, fd = pty.fork()
    if pid == 0:
        os.execve(argv[0], argv, env)
    shown, rest = "", list(answers)
    while True:
        ready, _, _ = select.select([fd], [], [], 20)
        if not ready:
            os.kill(pid, signal.SIGKILL)
            break
        try:
            data = os.read(fd, 65536)
        except OSError:
            break
        if not data:
            break
        shown += data.decode(errors="replace")
        if rest and rest[0][0] in shown:
            os.write(fd, rest.pop(0)[1].encode())
    os.close(fd)
    return shown, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def terminal():
    """On a terminal: a secret is asked for without echo, then whether to go on; no means no."""
    plan = ("wherry: v1\nname: t\nsummary: x\nparams: {word: {type: string, secret: true, required: true, help: the word}, host: {type: string, default: \"h:2\"}}\n"
            "targets:\n  a: {kind: etcd, endpoints: [\"http://h:1\", \"${{ 'http://x:y@' .. params.host }}\"]}\n"
            "steps:\n  - {id: a, uses: exec, with: {argv: [\"true\"], env: {W: \"${{ params.word }}\"}}}\n")
    with scratch() as folder:
        w = Wherry(os.path.join(folder, "state"))
        path = os.path.join(folder, "p.yaml")
        with open(path, "w") as f:
            f.write(plan)
        env = {**w.env, "TERM": "xterm"}
        for yes, code in (("n", 2), ("y", 0)):
            shown, got = typed(w.argv(["run", path, "--run-id", "r" + yes]), env,
                               [("the word", "canary-5512\n"), ("[y/N]", "yep\n"), ("answer y or n", yes + "\n")])
            equal(got, code, "exit code after '%s'; %s" % (yes, shown))
            expect("canary" not in shown, "the secret was echoed: " + shown)
            expect("a: http://h:1 http://h:2" in shown, "the question does not name the targets: " + shown)
        equal(sorted(os.listdir(w.state)), ["ry"], "runs")
        expect("\x1b[?7h" in shown or "done" in shown, shown)


if __name__ == "__main__":
    main(follow, two_people, killed, images, stdin, full, terminal)
