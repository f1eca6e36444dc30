#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The command line as an operator meets it: exit codes, next commands, what is printed where, what is never printed."""
import json
import os
import signal
import stat
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from wtest import LIMIT, Wherry, equal, expect, free_port, in_world, main, wait_for

HEAD = "wherry: v1\nname: t\nsummary: A test.\n"


class World:
    """A state folder and a place for plans."""

    def __init__(self, folder):
        self.folder, self.w = folder, Wherry(os.path.join(folder, "state"))

    def plan(self, body, name="plan.yaml"):
        path = os.path.join(self.folder, name)
        with open(path, "w") as f:
            f.write(HEAD + body)
        return path

    def path(self, *names):
        return os.path.join(self.folder, *names)

    def text(self, *names):
        with open(self.path(*names)) as f:
            return f.read()

    def files(self):
        """Everything below the folder, by content."""
        got = {}
        for top, _, names in os.walk(self.folder):
            for name in names:
                with open(os.path.join(top, name), "rb") as f:
                    got[os.path.join(top, name)] = f.read()
        return got


with_world = in_world(World)


@with_world
def usage(world):
    """What is typed wrong ends with 2, a reason and a next command; nothing is made."""
    plan = world.plan("steps:\n  - {id: a, uses: set, with: {values: {x: 1}}}\n")
    for args in ([], ["frobnicate"], ["run"], ["run", plan, "--frob"], ["run", world.path("none.yaml")], ["run", plan, "-p", "x=1"],
                 ["run", plan, "--only", "b"], ["validate"], ["steps", "no.such"], ["status"], ["resume", "nobody"], ["resolve", "a"],
                 ["run", world.folder], ["journal", "frob"], ["plans", "nobody"]):
        done = world.w(*args)
        equal(done.code, 2, str(done))
        expect(done.err.startswith("wherry: "), "no reason: %s" % done)
        equal(done.out, "", "stdout of %s" % args)
    expect("did you mean 'validate'" in world.w("validat", plan).err, "no suggestion")
    equal(sorted(os.listdir(world.folder)), ["plan.yaml"], "files after wrong commands")


@with_world
def later(world):
    """Words of a later version are refused by that name, never ignored."""
    step = "steps:\n  - {id: a, uses: set, with: {values: {x: 1}}%s}\n"
    for body in ("hooks: {file: x.lua}\n" + step % "", "steps:\n  - {id: a, uses: linstor.status}\n"):
        done = world.w("validate", world.plan(body))
        equal(done.code, 2, "%s: %s" % (body, done))
        expect("later version" in done.err + done.out, "%s: %s" % (body, done))


SECRET = """
params:
  dir: {type: string, required: true}
  note: {type: string, default: none}
  word: {type: string, secret: true, required: true}
steps:
  - {id: a, uses: exec, with: {argv: [sh, -c, "test -e $0/go", "${{ params.dir }}"], idempotent: true, env: {W: "${{ params.word }}"}}}
"""


@with_world
def hints(world):
    """The next command works as it is typed: with the --state, --params and -p that were given, quoted; a secret is never in it."""
    plan, state = world.plan(SECRET, "a plan.yaml"), world.path("a state")
    file = world.path("its params.yaml")
    with open(file, "w") as f:
        f.write("word: canary-1\n")
    given = ["-p", "dir=" + world.folder, "-p", "note=it's \"so\" $HOME", "--params", file]
    w = Wherry(world.path("unused"))
    done = w("run", plan, "--state", state, *given)
    equal(done.code, 2, str(done))
    equal(done.next(), ["plan"] + given + [plan], "the next command where nobody can be asked")
    w.ok(*done.next())
    done = w("run", plan, "--state", state, "-p", "word=canary-2", *given[:2])
    equal(done.next(), ["plans", plan], "the next command after a secret in -p")
    expect("canary" not in done.err, str(done))
    w.ok(*done.next())
    done = w("run", plan, "--state", state, "--run-id", "one", "--yes", *given)
    equal((done.code, done.next()), (1, ["--state", state, "resume", "--params", file, "one"]), "exit code and next command")
    expect("canary" not in done.err, str(done))
    again = w("resume", "one", "--state", state, "--params", file, "-p", "note=other")
    equal((again.code, again.next()), (2, done.next()), "exit code and next command of a resume with -p")
    equal(w("resume", "one", "--state", state).next(), ["--state", state, "resume", "one"], "the next command without the secret")
    used = w("run", plan, "--state", state, "--run-id", "one", "--yes", *given)
    equal((used.code, used.next()), (2, done.next()), "exit code and next command after a used id")
    open(world.path("go"), "w").close()
    w.ok(*again.next())
    equal(w("steps", "undo").next(), ["help", "language"], "the next command after a word that is no step type")
    for args in (["steps", "undo"], ["help", "complete"], ["runs", "prune"], ["resume"], ["status"]):
        done = w(*args)
        equal(done.code, 2, str(done))
        w.ok(*done.next())


@with_world
def problems(world):
    """All problems of a plan at once, each with its place."""
    done = world.w("validate", world.plan("frob: 1\nsteps:\n  - {id: a, uses: sett, needs: [zz]}\n  - {id: a, uses: assert}\n"))
    equal(done.code, 2, str(done))
    text = done.out + done.err
    for wanted in ("plan.yaml:4:", "plan.yaml:6:", "plan.yaml:7:", "frob", "sett", "zz"):
        expect(wanted in text, "'%s' is not named in: %s" % (wanted, done))
    done = world.w("validate", world.plan("steps:\n  - {id: a, uses: set, needs: [b]}\n  - {id: b, uses: set, needs: [a]}\n"))
    equal(done.code, 2, str(done))
    expect("a" in done.err and "b" in done.err and "->" in done.err.replace("→", "->"), "the cycle is not told: %s" % done)


@with_world
def checked(world):
    """validate --format json: a line a plan with every problem and its place; no text to take apart."""
    good = world.plan("steps:\n  - {id: a, uses: set, with: {values: {x: 1}}}\n", "good.yaml")
    bad = world.plan("steps:\n  - {id: a, uses: sett, needs: [zz]}\n", "bad.yaml")
    done = world.w("validate", good, bad, world.path("none.yaml"), "--format", "json")
    equal(done.code, 2, str(done))
    first, second, third = done.json()
    equal(first, {"plan": good, "valid": True, "steps": 1, "plans": [], "problems": [], "dropped": 0}, "a good plan")
    equal([(p["file"], p["line"], p["col"]) for p in second["problems"]], [(bad, 5, 19), (bad, 5, 33)], "places of problems")
    equal(second["problems"][0], {"file": bad, "line": 5, "col": 19, "message": "unknown step type 'sett'",
                                  "hint": "did you mean 'set'?"}, "the first problem")
    equal((second["valid"], second["steps"], third["problems"][0]["line"]), (False, None, None), "what is not known")
    expect("did you mean" not in done.err, "the problems are told twice: %s" % done)
    equal(len(world.w.ok("validate", good, "--format", "json").json()), 1, "lines")


GOOD = """
params:
  word: {type: string, default: hello}
  dir: {type: string, required: true}
steps:
  - {id: name, uses: set, with: {values: {text: "${{ params.word }} there"}}}
  - {id: write, uses: file.write, with: {path: "${{ params.dir }}/out", content: "${{ steps.name.outputs.text }}"}}
  - {id: say, uses: exec, with: {argv: [sh, -c, "cat $0/out; echo said >>$0/said", "${{ params.dir }}"]}, needs: [write]}
  - {id: seen, uses: assert, with: {that: "${{ steps.say.outputs.stdout == 'hello there' }}", message: other words}}
  - {id: never, uses: exec, when: "${{ steps.say.outputs.code ~= 0 }}", with: {argv: ["false"]}}
finally:
  - {id: close, uses: exec, with: {argv: [sh, -c, "echo closed >>$0/said", "${{ params.dir }}"]}}
outputs: {sum: "${{ steps.name.outputs.text }}"}
"""


@with_world
def done(world):
    """A run from start to end; what every look at it says; files are private; a resume does nothing more."""
    plan = world.plan(GOOD)
    out = world.w.ok("run", plan, "--run-id", "one", "--yes", "-p", "dir=" + world.folder)
    expect("\x1b" not in out.err + out.out, "colours off a terminal")
    equal(world.text("said"), "said\nclosed\n", "effects")
    equal(world.text("out"), "hello there", "the file")
    expect("one" in world.w.ok("runs").out, "the run is not listed")
    for command in ("status", "report"):
        text = world.w.ok(command, "one").out
        for word in ("write", "say", "never", "close"):
            expect(word in text, "%s does not name %s:\n%s" % (command, word, text))
    for args in (["status"], ["status", "@latest"], ["report", "one", "-o", world.path("report.txt")], ["journal", "dump", "one"],
                 ["journal", "verify"]):
        world.w.ok(*args)
    for top, folders, files in os.walk(world.w.state):
        for name in folders:
            equal(stat.S_IMODE(os.stat(os.path.join(top, name)).st_mode), 0o700, name)
        for name in files:
            equal(stat.S_IMODE(os.stat(os.path.join(top, name)).st_mode), 0o600, name)
    equal(world.w("run", plan, "--run-id", "one", "--yes", "-p", "dir=" + world.folder).code, 2, "a used id; exit code")
    expect(world.w("resume", "one", "--yes").code in (0, 2), "resume of a finished run")
    equal(world.text("said"), "said\nclosed\n", "effects after all that")


@with_world
def events(world):
    """--format json: one event a line on stdout, steps begin and end once, the last closes with the exit code."""
    out = world.w.ok("run", world.plan(GOOD), "--yes", "--format", "json", "-p", "dir=" + world.folder)
    got = [json.loads(line) for line in out.out.splitlines()]
    equal(got[0]["event"], "open", "first event")
    equal((got[-1]["event"], got[-1]["code"]), ("close", 0), "last event")
    ended = [e["step"] for e in got if e["event"] == "end"]
    equal(sorted(ended), sorted(["name", "write", "say", "seen", "never", "close"]), "ended steps")


OUTPUTS = """
steps:
  - {id: a, uses: set, with: {values: {word: hello, n: 7}}}
  - {id: b, uses: exec, needs: [a], with: {argv: [test, -e, %s/go], idempotent: true}}
outputs:
  word: "${{ steps.a.outputs.word }}"
  broken: "${{ steps.a.outputs.word + 1 }}"
  all: {n: "${{ steps.a.outputs.n }}"}
"""


@with_world
def told(world):
    """report --format json: one object with all that the text says; no secret, no image, and every key is in the help."""
    plan = world.plan("params: {dir: {type: string, required: true}, word: {type: string, secret: true, env: W}}\nsteps:\n"
                      '  - {id: w, uses: file.write, with: {path: "${{ params.dir }}/f", content: canary-new}}\n'
                      '  - {id: x, uses: exec, needs: [w], with: {argv: ["false"], stdin: "${{ params.word }}"}}\n')
    with open(world.path("f"), "w") as f:
        f.write("canary-old")
    env = {"W": "canary-word"}
    world.w.ok("run", plan, "--run-id", "one", "--yes", "-p", "dir=" + world.folder, code=1, env=env)
    done = world.w.ok("report", "one", "--format", "json")
    got, = done.json()
    equal(len(done.out.splitlines()), 1, "lines")
    equal((got["run"], got["state"], got["processes"], got["params"]["dir"]), ("one", "failed", 1, world.folder), "head")
    equal([(s["step"], s["status"]) for s in got["steps"]], [("w", "done"), ("x", "failed")], "steps")
    effect, = got["steps"][0]["effects"]
    equal((effect["state"], effect["before"]["absent"], len(effect["after"]["sha256"])), ("done", False, 64), "the write")
    equal(got["totals"]["steps"]["failed"], 1, "failed steps in the totals")
    equal([entry["record"] for entry in got["log"]], ["open", "close"], "the log")
    expect("canary" not in done.out, "an image or a secret is shown: " + done.out)
    text = world.w.ok("help", "json").out
    shown = set(got) | set(got["log"][0]) | set(got["totals"]) | set(got["steps"][0]) | set(effect) | set(effect["before"])
    missing = [key for key in shown if key not in text]
    equal(missing, [], "keys that the help does not name")
    world.w.ok("report", "one", "--format", "json", "-o", world.path("report.json"))
    equal(json.loads(world.text("report.json")), got, "the report in a file")


@with_world
def outputs(world):
    """A plan's outputs are the result of a run and of a resume, on stdout; one that cannot be evaluated is named with its place,
    and the run is done all the same."""
    plan = world.plan(OUTPUTS % world.folder)
    failed = world.w("run", plan, "--run-id", "one", "--yes")
    equal((failed.code, failed.out), (1, ""), "exit code and stdout of a failed run")
    equal(world.w.ok("plan", plan).out.count("word:"), 0, "outputs in the dry-run")
    open(world.path("go"), "w").close()
    why = "output 'broken' is left out: "
    for args in (["resume", "one", "-q"], ["run", plan, "--run-id", "two", "--yes"], ["run", plan, "--yes", "--format", "json"]):
        done = world.w.ok(*args)
        if "json" in args:
            equal(done.json()[-1]["outputs"], {"word": "hello", "all": {"n": 7}}, "outputs of the last event")
            notes = [e["message"] for e in done.json() if e["event"] == "note"]
        else:
            equal(done.out, 'word: hello\nall: {"n":7}\n', "stdout of %s" % args)
            notes = [line for line in done.err.splitlines() if why in line]
        equal(len(notes), 1, "notes on the broken output; %s" % done)
        expect(why in notes[0] and ":10:16: " in notes[0] and "attempt to add" in notes[0], notes[0])
    for args in (["status", "two"], ["report", "two"], ["journal", "dump", "two"]):
        expect(why in world.w.ok(*args).out, "%s does not name what is left out" % args)


@with_world
def dry(world):
    """plan changes no file; it says what would happen and --detailed-exitcode tells whether anything would."""
    plan = world.plan(GOOD)
    before = world.files()
    out = world.w.ok("plan", plan, "-p", "dir=" + world.folder)
    for word in ("write", "[opaque]", "exec"):
        expect(word in out.out, "'%s' is not in:\n%s" % (word, out.out))
    world.w.ok("plan", plan, "-p", "dir=" + world.folder, "--detailed-exitcode", code=8)
    world.w.ok("plan", world.plan("steps:\n  - {id: a, uses: set, with: {values: {x: 1}}}\n", "pure.yaml"), "--detailed-exitcode")
    after = world.files()
    after.pop(world.path("pure.yaml"))
    equal(after, before, "files after the dry-run")


@with_world
def failure(world):
    """A failed step: 1, what it needs is blocked and named, finally runs, resume retries only what failed."""
    plan = world.plan("params: {dir: {type: string, required: true}}\nsteps:\n"
                      '  - {id: a, uses: exec, with: {argv: [sh, -c, "echo a >>$0/log", "${{ params.dir }}"]}}\n'
                      '  - {id: b, uses: exec, needs: [a], with: {argv: [test, -e, "${{ params.dir }}/go"]}}\n'
                      '  - {id: c, uses: exec, needs: [b], with: {argv: [sh, -c, "echo c >>$0/log", "${{ params.dir }}"]}}\n'
                      'finally:\n  - {id: f, uses: exec, with: {argv: [sh, -c, "echo f >>$0/log", "${{ params.dir }}"]}}\n')
    out = world.w("run", plan, "--run-id", "one", "--yes", "-p", "dir=" + world.folder)
    equal(out.code, 1, str(out))
    equal(world.text("log"), "a\nf\n", "effects of the failed run")
    expect("blocked" in world.w("status", "one").out, "status does not say what is blocked")
    equal(out.next()[:2], ["resume", "one"], "the next command")
    open(world.path("go"), "w").close()
    world.w.ok(*out.next(), "--yes")
    equal(world.text("log").split(), ["a", "f", "c", "f"], "effects of all")


@with_world
def interrupted(world):
    """INT and TERM pause with 130 and 143 and name the next command, which works; finally has not run."""
    for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
        plan = world.plan("params: {dir: {type: string, required: true}}\nsteps:\n"
                          '  - {id: a, uses: exec, with: {argv: [sh, -c, "echo a >>$0/log; until [ -e $0/go ]; do sleep 0.02; done", "${{ params.dir }}"]}}\n'
                          '  - {id: b, uses: exec, needs: [a], with: {argv: [sh, -c, "echo b >>$0/log", "${{ params.dir }}"]}}\n'
                          'finally:\n  - {id: f, uses: exec, with: {argv: [sh, -c, "echo f >>$0/log", "${{ params.dir }}"]}}\n')
        run = "r%d" % code
        log = world.path("log")
        for path in (log, world.path("go")):
            if os.path.exists(path):
                os.remove(path)
        p = world.w.start("run", plan, "--run-id", run, "--yes", "-p", "dir=" + world.folder, stderr=open(world.path("err"), "w"))
        wait_for(lambda: os.path.exists(log), "a runs", p)
        p.send_signal(number)
        wait_for(lambda: "stopping: 1 step may end first" in world.text("err"), "it heard the signal", p)
        open(world.path("go"), "w").close()
        equal(p.wait(LIMIT), code, "exit code; " + world.text("err"))
        err = world.text("err")
        expect("next: wherry resume " + run in err, "no next command: " + err)
        equal(world.text("log"), "a\n", "effects when paused")
        world.w.ok("resume", run, "--yes")
        equal(world.text("log"), "a\nb\nf\n", "effects at the end")


@with_world
def elsewhere(world):
    """A resume from another folder goes back to the one in which the run began: relative paths stay the same files."""
    plan = world.plan("steps:\n  - {id: a, uses: file.write, with: {path: one, content: x}}\n"
                      "  - {id: b, uses: exec, needs: [a], with: {argv: [sh, -c, 'echo >two; until [ -e go ]; do sleep 0.02; done']}}\n"
                      "  - {id: c, uses: file.write, needs: [b], with: {path: three, content: z}}\n")
    there, here = world.path("there"), world.path("here")
    os.mkdir(there)
    os.mkdir(here)
    p = world.w.start("run", plan, "--run-id", "one", "--yes", cwd=there, stderr=open(world.path("err"), "w"))
    wait_for(lambda: os.path.exists(os.path.join(there, "two")), "b runs", p)
    p.send_signal(signal.SIGINT)
    wait_for(lambda: "stopping: " in world.text("err"), "it heard the signal", p)
    open(os.path.join(there, "go"), "w").close()
    equal(p.wait(LIMIT), 130, "exit code")
    os.remove(os.path.join(there, "go"))
    equal(world.w.start("resume", "one", cwd=here, stderr=subprocess.DEVNULL).wait(), 0, "exit code of the resume")
    equal(sorted(os.listdir(there)), ["one", "three", "two"], "where the run began")
    equal(os.listdir(here), [], "where it was resumed")


@with_world
def in_doubt(world):
    """The first signal waits for what runs; a command that the second one ended is in doubt: the resume stops with 3 and names
    it; resolve takes the operator's word, with a reason."""
    plan = world.plan("params: {dir: {type: string, required: true}}\nsteps:\n"
                      '  - {id: a, uses: exec, with: {argv: [sh, -c, "trap : TERM; echo a >>$0/log; while :; do sleep 1; done", "${{ params.dir }}"]}}\n'
                      '  - {id: b, uses: exec, needs: [a], with: {argv: [sh, -c, "echo b >>$0/log", "${{ params.dir }}"]}}\n'
                      'finally:\n  - {id: f, uses: exec, with: {argv: [sh, -c, "echo f >>$0/log", "${{ params.dir }}"]}}\n')
    for run, (number, code) in (("one", (signal.SIGINT, 130)), ("two", (signal.SIGTERM, 143))):
        log = world.path("log")
        if os.path.exists(log):
            os.remove(log)
        p = world.w.start("run", plan, "--run-id", run, "--yes", "-p", "dir=" + world.folder, stderr=open(world.path("err"), "w"))
        wait_for(lambda: os.path.exists(log), "a runs", p)
        p.send_signal(number)
        wait_for(lambda: "a second signal stops at once" in world.text("err"), "it heard the signal", p)
        time.sleep(0.3)
        equal(p.poll(), None, "end of the run after one signal, while a step runs")
        p.send_signal(number)
        equal(p.wait(LIMIT), code, "exit code after two signals: " + world.text("err"))
        err = world.text("err")
        expect("next: wherry resume " + run in err, "no next command: " + err)
        expect("a: in-doubt" in world.w.ok("status", run).out, "the command is not in doubt")
        out = world.w("resume", run, "--yes")
        equal(out.code, 3, str(out))
        answers = [["resolve", run, "a", word, "--reason", "TEXT"] for word in ("--done", "--not-done")]
        equal(out.choices(), answers, "the commands to choose from")
        equal(world.w.ok("status", run).choices(), answers, "those that status names")
        equal(world.w("resolve", run, "a", "--done").code, 2, "resolve without a reason; exit code")
        equal(world.w("resolve", run, "b", "--done", "--reason", "x").code, 2, "resolve of a step that is not in doubt; exit code")
        world.w.ok(*answers[0][:-1], "seen in the log")
        world.w.ok("resume", run, "--yes")
        equal(world.text("log"), "a\nb\nf\n", "effects")
        expect("seen in the log" in world.w.ok("report", run).out, "the reason is not in the report")


@with_world
def abort(world):
    """abort closes a paused run: only finally runs, and nothing can be resumed after it."""
    plan = world.plan("params: {dir: {type: string, required: true}}\nsteps:\n"
                      '  - {id: a, uses: exec, with: {argv: [sh, -c, "echo a >>$0/log; kill -9 $PPID", "${{ params.dir }}"], idempotent: true}}\n'
                      '  - {id: b, uses: exec, needs: [a], with: {argv: [sh, -c, "echo b >>$0/log", "${{ params.dir }}"]}}\n'
                      'finally:\n  - {id: f, uses: exec, with: {argv: [sh, -c, "echo f >>$0/log", "${{ params.dir }}"]}}\n')
    world.w("run", plan, "--run-id", "one", "--yes", "-p", "dir=" + world.folder)
    out = world.w("abort", "one", "--yes")
    equal(out.code, 0, str(out))
    equal(world.text("log"), "a\nf\n", "effects")
    expect(world.w("resume", "one", "--yes").code != 0, "an aborted run was resumed")


@with_world
def secrets(world):
    """A secret is refused on the command line, and is in no file, no output and no argument list."""
    canary = "canary-7f3a9b"
    plan = world.plan("params:\n  dir: {type: string, required: true}\n  word: {type: string, secret: true, env: THE_WORD}\nsteps:\n"
                      '  - {id: use, uses: exec, with: {argv: [sh, -c, "test \\"$W\\" = %s && echo got $W && tr \\"\\\\0\\" \\" \\" </proc/$PPID/cmdline >$0/cmdline && env >/dev/null", "${{ params.dir }}"], env: {W: "${{ params.word }}"}}}\n'
                      '  - {id: fail, uses: exec, needs: [use], with: {argv: ["false"], stdin: "${{ params.word }}"}}\n' % canary)
    env = {"THE_WORD": canary}
    equal(world.w("run", plan, "--yes", "-p", "dir=" + world.folder, "-p", "word=" + canary).code, 2, "a secret in -p; exit code")
    os.remove(plan)  # it names the word, to compare with
    plan = world.plan("params:\n  dir: {type: string, required: true}\n  word: {type: string, secret: true, env: THE_WORD}\nsteps:\n"
                      '  - {id: use, uses: exec, with: {argv: [sh, -c, "echo got $W; cat /proc/$PPID/cmdline >$0/cmdline", "${{ params.dir }}"], env: {W: "${{ params.word }}"}}}\n'
                      '  - {id: fail, uses: exec, needs: [use], with: {argv: ["false"], stdin: "${{ params.word }}"}}\n')
    out = world.w("run", plan, "--run-id", "one", "--yes", "-v", "-p", "dir=" + world.folder, env=env)
    equal(out.code, 1, str(out))
    texts = {"run": out.out + out.err}
    for args in (["status", "one"], ["report", "one"], ["journal", "dump", "one"], ["plan", plan, "-p", "dir=" + world.folder]):
        done = world.w(*args, env=env)
        texts[args[0]] = done.out + done.err
    for path, content in world.files().items():
        texts[path] = content.decode(errors="replace")
    for where, text in texts.items():
        expect(canary not in text, "the secret is in %s" % where)
    equal(world.w("resume", "one", "--yes").code, 2, "resume without the secret; exit code")


@with_world
def surroundings(world):
    """Closed descriptors, a reader that goes away, a state folder that cannot be: no crash, the documented code."""
    plan = world.plan("steps:\n  - {id: a, uses: set, with: {values: {x: 1}}}\n")
    for closed in ("<&-", ">&-", "2>&-", "<&- >&- 2>&-"):
        code = subprocess.run(["sh", "-c", '"$0" run "$1" --yes %s' % closed, world.w.program, plan], env=world.w.env,
                              stderr=subprocess.DEVNULL).returncode
        equal(code, 0, "exit code with %s" % closed)
    code = subprocess.run(["bash", "-c", '"$0" run "$1" --yes --format json | true; exit ${PIPESTATUS[0]}', world.w.program, plan],
                          env=world.w.env, stderr=subprocess.DEVNULL).returncode
    equal(code, 0, "exit code with a reader that went away")
    open(world.path("file"), "w").close()
    out = world.w("run", plan, "--yes", "--state", world.path("file"))
    equal(out.code, 6, str(out))


@with_world
def unreachable(world):
    """A target that cannot be reached is waited for until the step's time-out; then the run pauses with 7, and goes on."""
    plan = world.plan("params: {url: {type: string, required: true}}\n"
                      'targets: {db: {kind: etcd, endpoints: ["${{ params.url }}"]}}\n'
                      "steps:\n  - {id: look, uses: etcd.status, with: {in: db}, timeout: 1s}\n")
    out = world.w("run", plan, "--run-id", "one", "--yes", "-p", "url=http://127.0.0.1:%d" % free_port(1))
    equal(out.code, 7, str(out))
    expect("resume one" in out.err, "no next command: %s" % out)


if __name__ == "__main__":
    main(usage, later, hints, problems, checked, done, events, told, outputs, dry, failure, interrupted, elsewhere, in_doubt, abort, secrets, surroundings, unreachable)
