#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Plan files: what `plan -o` has seen and shown is what `run` does; whatever has changed since is named and refused, and
nothing is started."""
import hashlib
import json
import os
import stat
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from wtest import Etcd, Wherry, equal, expect, find_etcd, in_world, main, scratch

PLAN = """wherry: v1
name: small
summary: x
params:
  dir: {type: string, required: true}
  word: {type: string, default: new}
  pass: {type: string, secret: true, env: SMALL_PASS}
steps:
  - {id: one, uses: file.write, with: {path: "${{ params.dir }}/one", content: "${{ params.word }}"}}
  - {id: two, uses: file.write, needs: [one], with: {path: "${{ params.dir }}/two", content: two}}
  - {id: run, uses: exec, needs: [two], with: {argv: [sh, -c, "echo $0 >>$1/log", "${{ params.word }}", "${{ params.dir }}"]}}
"""


class World:
    def __init__(self, folder, text=PLAN):
        self.folder = folder
        self.w = Wherry(os.path.join(folder, "state"), env={"SMALL_PASS": "tell-nobody"})
        self.write("plan.yaml", text)
        self.plan, self.file = self.path("plan.yaml"), self.path("small.plan")

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, text):
        with open(self.path(name), "w") as f:
            f.write(text)

    def read(self, name):
        with open(self.path(name)) as f:
            return f.read()

    def make(self, *more, **options):
        return self.w.ok("plan", self.plan, "-o", self.file, *(more or ("-p", "dir=" + self.folder)), **options)

    def run(self, *more, **options):
        return self.w("run", self.file, "--yes", "--run-id", "one", *more, **options)

    def refused(self, why, code=5, **options):
        """It is refused in these words, and nothing was started."""
        done = self.run(**options)
        equal(done.code, code, str(done))
        expect(why in done.err, "'%s' is not said: %s" % (why, done))
        expect(not os.path.exists(self.w.folder("one")), "a run exists after a refusal")
        return done


with_world = in_world(World)


@with_world
def as_it_was(world):
    """Nothing has changed: the run does what was shown, with the parameters of then, and its journal names the plan file."""
    made = world.make("-p", "dir=" + world.folder, "-p", "word=first")
    equal(made.next(), ["run", world.file], "the next command")
    shown = made.out
    expect("+ first" in shown or "first" in shown, shown)
    equal(stat.S_IMODE(os.stat(world.file).st_mode), 0o600, "mode of the plan file")
    text = world.read("small.plan")
    expect("tell-nobody" not in text, "the secret is in the plan file")
    expect(text.startswith("wherry plan file v1\n"), text[:50])
    kept = json.loads(text.splitlines()[1])
    equal(kept["params"]["word"]["value"], "first", "a parameter")
    equal(sorted(kept["params"]["pass"]), ["digest"], "what is kept of a secret")
    done = world.run()
    equal(done.code, 0, str(done))
    equal([world.read(n) for n in ("one", "two", "log")], ["first", "two", "first\n"], "what was done")
    expect('"planfile":"' in world.w.ok("journal", "dump", "one").out, "the journal does not name the plan file")
    world.w.ok("plan", world.plan, "-o", world.file, "-p", "dir=" + world.folder)  # it may be written anew


@with_world
def from_elsewhere(world):
    """It runs where it was made, wherever it is called: relative paths mean the same files."""
    os.makedirs(world.path("state"))
    caller = os.getcwd()
    world.write("params.yaml", "dir: .\n")
    try:
        os.chdir(world.folder)
        world.w.ok("plan", "plan.yaml", "--params", "params.yaml", "-o", "small.plan")
    finally:
        os.chdir(caller)
    equal(world.run().code, 0, "exit code")
    equal(world.read("one"), "new", "what was written")


@with_world
def piped(world):
    """A plan from a pipe is kept in the plan file."""
    world.w.ok("plan", "-", "-o", world.file, "-p", "dir=" + world.folder, stdin=PLAN)
    equal(world.run().code, 0, "exit code")


@with_world
def plan_edited(world):
    """The plan itself was edited, even by a comment: what was read is not what is there."""
    world.make()
    world.write("plan.yaml", PLAN + "# one more\n")
    done = world.refused("plan '%s' was edited since" % world.plan)
    equal(done.next(), ["plan", world.plan, "-o", world.file], "the next command")


@with_world
def part_edited(world):
    """A plan that the plan runs was edited: it is named, and not the other one."""
    world.write("part.yaml", PLAN.replace("name: small", "name: part"))
    world.write("plan.yaml", "wherry: v1\nname: whole\nsummary: x\nparams: {dir: {type: string, required: true}}\nsteps:\n"
                "  - {id: s, uses: plan, with: {file: part.yaml, params: {dir: \"${{ params.dir }}\"}}}\n")
    world.make()
    world.write("part.yaml", PLAN.replace("name: small", "name: part") + "# one more\n")
    world.refused("plan '%s' was edited since" % world.path("part.yaml"))
    world.write("part.yaml", PLAN.replace("name: small", "name: part"))
    world.write("two", "two")
    world.refused("step 's/two' would ")
    os.unlink(world.path("two"))
    equal(world.run().code, 0, "exit code")
    equal([world.read(n) for n in ("one", "two", "log")], ["new", "two", "new\n"], "what was done")


@with_world
def file_edited(world):
    """The plan file was edited or cut."""
    world.make()
    text = world.read("small.plan")
    for other in (text.replace("/two", "/Two"), text[:-3], text[:200], text + "\n"):
        world.write("small.plan", other)
        world.refused("was cut or edited after it was written")


@with_world
def forged(world):
    """Written by hand, with its hash: what is missing or of another kind is refused, and not taken for what it is not."""
    world.make()
    head, body, _ = world.read("small.plan").split("\n", 2)
    for key in ("actions", "closure", "files", "given", "params", "targets"):
        for value in (None, "text" * 100, [["list"]] * 100, {"map": 1}):
            content = json.loads(body)
            if isinstance(value, type(content[key])):
                continue
            content[key] = value
            text = "%s\n%s\n" % (head, json.dumps(content, sort_keys=True, separators=(",", ":")))
            world.write("small.plan", text + hashlib.sha256(text.encode()).hexdigest() + "\n")
            world.refused("its '%s' is missing or of another kind" % key)


@with_world
def params_changed(world):
    """A parameter from the environment, the file of parameters and a secret: each is named, a secret without its value."""
    world.make()
    done = world.refused("parameter 'word' was \"new\" and is \"other\"", env={"WHERRY_PARAM_WORD": "other"})
    expect("does not hold any more, nothing was started" in done.err, str(done))
    done = world.refused("parameter 'pass' is another secret now", env={"SMALL_PASS": "sesame"})
    expect("sesame" not in str(done) and "tell-nobody" not in str(done), str(done))
    world.write("params.yaml", "dir: %s\nword: a\n" % world.folder)
    world.make("--params", world.path("params.yaml"))
    world.write("params.yaml", "dir: %s\nword: b\n" % world.folder)
    world.refused("parameter 'word' was")
    world.write("params.yaml", "# the same\ndir: %s\nword: a\n" % world.folder)
    equal(world.run().code, 0, "exit code")


@with_world
def world_changed(world):
    """The dry-run would announce something else: the first difference is named, with its step and object."""
    world.make()
    world.write("two", "not two")
    world.refused("step 'two': ")
    world.write("two", "two")
    done = world.refused("step 'two' would ")
    expect("which is so already" in done.err and world.path("two") in done.err, str(done))
    os.unlink(world.path("two"))
    os.mkdir(world.path("one"))
    world.refused("its dry-run, nothing was started: step 'one': ", code=1)
    os.rmdir(world.path("one"))
    equal(world.run().code, 0, "exit code")


READS = """wherry: v1
name: reads
params: {dir: {type: string, required: true}}
steps:
  - {id: list, uses: file.read, with: {path: "${{ params.dir }}/list"}}
  - {id: maybe, uses: file.read, with: {path: "${{ params.dir }}/maybe", missing_ok: true}}
  - {id: pack, uses: archive.pack, with: {from: "${{ params.dir }}/folder", to: "${{ params.dir }}/out.tar.gz"}}
  - {id: made, uses: file.write, with: {path: "${{ params.dir }}/made", content: x}}
  - {id: own, uses: file.read, needs: [made], with: {path: "${{ params.dir }}/made"}}
  - {id: use, uses: exec, with: {argv: [sh, -c, 'cat >>$0/log', "${{ params.dir }}"], stdin: "${{ steps.list.outputs.content }}"}}
"""


def files_changed():
    """What a step reads is another file now, though it would announce the same: it is named, with its step. What an earlier step
    makes is not asked about."""
    with scratch() as folder:
        world = World(folder, READS)
        os.mkdir(world.path("folder"))
        before = {"list": "one\n", "folder/in": "a"}
        for name, text in before.items():
            world.write(name, text)
        if world.w("plan", world.plan, "-p", "dir=" + folder).code != 0:
            return "this build has no archives"
        world.make()
        for name, text, object, step in (("list", "two\n", "list", "list"), ("maybe", "", "maybe", "maybe"), ("folder/in", "b", "folder", "pack"),
                                         ("folder/more", "", "folder", "pack")):
            world.write(name, text)
            done = world.refused("'%s', which step '%s' reads, was changed since" % (world.path(object), step))
            equal(done.next(), ["plan", "-p", "dir=" + folder, world.plan, "-o", world.file], "the next command")
            if name in before:
                world.write(name, before[name])
            else:
                os.unlink(world.path(name))
        os.chmod(world.path("list"), 0o600)  # its content counts
        equal(world.run().code, 0, "exit code")
        equal(world.read("log"), "one\n", "what was done")
        expect("files" not in world.w.ok("plan", world.plan, "-p", "dir=" + folder, "--format", "json").out, "files are told without a plan file")
        return None


@with_world
def usage(world):
    """What would make it another run is refused; what is there and is no plan file is not overwritten."""
    world.make()
    for args in (["-p", "word=x"], ["--only", "one"], ["--from", "one"], ["--until", "one"], ["--params", world.plan]):
        done = world.run(*args)
        equal(done.code, 2, str(done))
        expect("a plan file is run as it is" in done.err, str(done))
    for command in ("plan", "validate"):
        done = world.w(command, world.file)
        equal(done.code, 2, str(done))
        expect("is a plan file, which can only be run" in str(done), str(done))
    done = world.w("plan", world.plan, "-o", world.plan, "-p", "dir=" + world.folder)
    equal(done.code, 2, str(done))
    expect("there is a file already, and it is no plan file" in done.err, str(done))
    equal(world.read("plan.yaml"), PLAN, "the plan")
    os.mkdir(world.path("one"))
    other = world.path("other.plan")
    done = world.w("plan", world.plan, "-o", other, "-p", "dir=" + world.folder)
    equal(done.code, 1, str(done))
    expect("no plan file is written" in done.err and not os.path.exists(other), str(done))


@with_world
def exit_codes(world):
    """--detailed-exitcode tells whether there is something to do, with a plan file too."""
    words = ("plan", world.plan, "-p", "dir=" + world.folder, "--detailed-exitcode")
    equal(world.w(*words).code, 8, "exit code with changes")
    equal(world.w(*words, "-o", world.file).code, 8, "exit code with changes and a plan file")
    equal(world.run().code, 0, "exit code of the run")
    world.write("plan.yaml", PLAN[:PLAN.index("  - {id: run")])
    equal(world.w(*words).code, 0, "exit code when all is as wanted")
    equal(world.w("plan", world.plan, "--detailed-exitcode").code, 2, "exit code of a wrong command line")


def other_cluster():
    """The address leads to another cluster: refused before anything else is compared."""
    if find_etcd() is None:
        return "no etcd"
    text = ("wherry: v1\nname: moved\nsummary: x\nparams: {url: {type: string, env: URL}}\ntargets:\n  a: {kind: etcd, endpoints: "
            "[\"${{ params.url }}\"]}\nsteps:\n  - {id: look, uses: etcd.status, with: {in: a}}\n")
    with scratch() as folder, Etcd(folder, "one") as one:
        world = World(folder, text)
        world.make("-p", "url=" + one.url)
        equal(world.w("run", world.file, "--yes", "--run-id", "zero").code, 0, "exit code where it is the same")
        one.stop()
        os.rename(one.folder, one.folder + ".old")
        one.options += ["--initial-cluster-token", "another"]
        expect(one.start(), "etcd does not start again")
        world.refused("target 'a' is another one: it was ")
        one.stop()
        world.refused("its dry-run, nothing was started: ", code=7)


if __name__ == "__main__":
    main(as_it_was, from_elsewhere, piped, plan_edited, part_edited, file_edited, forged, params_changed, world_changed, files_changed, usage, exit_codes, other_cluster)
