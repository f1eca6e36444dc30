#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""wherry completion: what TAB offers, asked of the shells themselves, and of what they ask."""
import os
import re
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from wtest import LIMIT, WHERRY, Wherry, equal, expect, in_world, main, scratch

PLAN = """wherry: v1
name: p
summary: What TAB looks into.
params:
  kind: {type: string, enum: [north, south], default: north, help: "which end: of two"}
  loud: {type: boolean, default: false}
  word: {type: string, secret: true, env: W}
steps:
  - {id: ask, uses: confirm, with: {message: "on?", choices: [go, stay]}}
  - {id: all, uses: set, needs: [ask], with: {values: {x: 1}}, irreversible: no way back}
  - {id: last, uses: exec, needs: [all], with: {argv: [sh, -c, "kill -9 $PPID; sleep 1"]}}
"""


class World:
    """A plan, a run of it that waits at its gate, another that is in doubt, and the program as `wherry` in a PATH."""

    def __init__(self, folder):
        self.folder, self.w = folder, Wherry(os.path.join(folder, "state"))
        os.mkdir(os.path.join(folder, "bin"))
        os.symlink(WHERRY, os.path.join(folder, "bin", "wherry"))
        self.w.env["PATH"] = os.path.join(folder, "bin") + ":" + self.w.env["PATH"]
        self.w.env["HOME"] = folder
        with open(os.path.join(folder, "p.yaml"), "w") as f:
            f.write(PLAN)
        env = {"W": "secret"}
        equal(self.w("run", self.plan, "--run-id", "doubt", "--yes", "--approve", "ask", "--approve", "all", env=env).code, -9, "killed")
        equal(self.w("run", self.plan, "--run-id", "gate", "--yes", env=env).code, 3, "a gate")

    @property
    def plan(self):
        return os.path.join(self.folder, "p.yaml")

    def asked(self, *words):
        """What the helper prints: {word: help}."""
        done = self.w("completion", "words", "--", "wherry", *words)
        equal((done.code, done.err), (0, ""), str(done))
        expect(not re.search(r"[^\n\t\x20-\x7e\x80-\U0010ffff]", done.out), "control characters: %r" % done.out)
        return dict((line.split("\t") + [""])[:2] for line in done.out.splitlines())


with_world = in_world(World)


@with_world
def words(world):
    """Every kind of word, from the tables, the plans and the runs; and nothing where nothing fits."""
    plan = world.plan
    for line, wanted in (
            (["va"], ["validate"]),
            (["run", ""], ["cluster-copy", "etcd-to-etcd", ":files"]),
            (["run", "etcd"], ["etcd-to-etcd", ":files"]),
            (["plans", "etcd"], ["etcd-to-etcd"]),
            (["-q", "resume", ""], ["gate", "doubt", "@latest"]),
            (["graph", "g"], [":files", "gate"]),
            (["status", "--state", world.folder, ""], []),
            (["run", plan, "-p", ""], ["kind=", "loud="]),
            (["run", plan, "--param=k"], ["--param=kind="]),
            (["run", plan, "-pkind="], ["-pkind=north", "-pkind=south"]),
            (["run", plan, "-p", "kind=s"], ["kind=south"]),
            (["run", "-p", "kind=north", plan, "-p", "loud="], ["loud=true", "loud=false"]),
            (["run", plan, "--only", ""], ["ask", "all", "last"]),
            (["run", plan, "--approve", ""], ["ask", "all"]),
            (["resume", "gate", "--until", "l"], ["last"]),
            (["rollback", "--to", "a"], ["ask", "all"]),
            (["approve", "gate", ""], ["ask"]),
            (["approve", "gate", "ask", "--choice", ""], ["go", "no", "stay"]),
            (["approve", "doubt", ""], []),
            (["resolve", "doubt", ""], ["last"]),
            (["steps", "etcd.co"], ["etcd.copy", "etcd.count"]),
            (["help", "exit"], ["exit-codes"]),
            (["help", "appr"], ["approve"]),
            (["journal", ""], ["dump", "verify"]),
            (["journal", "dump", "d"], ["doubt"]),
            (["runs", "p"], ["prune"]),
            (["completion", ""], ["bash", "zsh", "fish"]),
            (["status", "--format", ""], ["tty", "plain", "json"]),
            (["graph", plan, "--format=d"], ["--format=dot"]),
            (["status", "--fo"], ["--follow", "--format"]),
            (["--co"], ["--color"]),
            (["version", "--", "--co"], []),
            (["run", plan, "-j", ""], []),
            (["run", plan, "--params", ""], [":files"]),
            (["--state", ""], [":folders"]),
            (["validate", plan, plan, "etcd"], ["etcd-to-etcd", ":files"]),
            (["report", "gate", ""], []),
            (["frob", ""], []),
            (["run", "--frob=", "-z", plan, "--only", "la"], ["last"]),
            (["run", "--yes=x"], []),
            (["run", "-", "--only", ""], []),
            (["resume", "nobody", "--only", ""], [])):
        got = list(world.asked(*line))
        equal(sorted(got), sorted(wanted), "candidates after %s" % line)
    expect("which end: of two" == world.asked("run", plan, "-p", "ki")["kind="], "the help of a parameter")
    equal(world.asked("approve", "gate", "")["ask"], "on?", "what a gate asks")


@with_world
def complete(world):
    """Each subcommand and each option of the help is offered, and whatever is asked for, the helper ends well."""
    commands = re.findall(r"^  ([a-z]+) ", world.w.ok("help").out.split("topics")[0], re.M)
    equal(sorted(world.asked("")), sorted(commands), "subcommands")
    for command in commands:
        wanted = sorted(set(re.findall(r"^  (?:-., )?(--[a-z-]+)", world.w.ok("help", command).out, re.M)))
        equal(sorted(world.asked(command, "--")), wanted, "options of " + command)
    for line in ([], ["\n"], ["run", "\x1b"], ["run", "\xff/", "-p", ""], ["run", "/dev/zero", "-p", ""], ["run", world.folder, "-p", ""],
                 ["--"], ["-"], ["run", "=", "-=", "--="], ["x" * 100000]):
        world.asked(*line)
    world.w.env["WHERRY_STATE"] = world.folder + "/none"
    equal(world.asked("resume", ""), {}, "runs where there are none")
    del world.w.env["WHERRY_STATE"], world.w.env["HOME"]
    equal(world.asked("resume", ""), {}, "runs where no home is known")
    os.mkfifo(world.folder + "/pipe")
    equal(world.asked("run", world.folder + "/pipe", "-p", ""), {}, "parameters of a pipe")
    equal(world.w("completion", "tcsh").code, 2, "a shell that is not known")
    equal(world.w("completion", "bash", "zsh").code, 2, "two shells")


@with_world
def hostile(world):
    """What a plan says may not move the cursor or run anything."""
    with open(world.plan, "w") as f:
        f.write('wherry: v1\nname: p\nparams:\n  a: {type: string, enum: ["x\\ty", "\\e[2Jz", "$(touch %s/made)", fine]}\n'
                '  b: {type: string, default: x, help: "one\\e]0;two\\a"}\nsteps:\n  - {id: s, uses: note, with: {message: x}}\n' % world.folder)
    equal(sorted(world.asked("run", world.plan, "-p", "a=")), ["a=$(touch %s/made)" % world.folder, "a=fine"], "choices")
    for shell in SHELLS:
        if shutil.which(shell):
            expect("a=fine" in SHELLS[shell](world, ["run", world.plan, "-p", "a="]), "%s does not offer what is harmless" % shell)
    expect(not os.path.exists(world.folder + "/made"), "a choice was run as a command")


def in_bash(world, words):
    """The words that bash's completion function leaves, given them parted as bash parts them."""
    parted = []
    for word in ["wherry"] + words:
        parted += [part for part in re.split("([=:])", word) if part] or [""]
    line = " ".join(["wherry"] + words)
    script = ('source <(wherry completion bash) || exit 1; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMP_LINE=$L; COMP_POINT=${#L}\n'
              '_wherry; printf "%s\\n" "${COMPREPLY[@]}"')
    done = subprocess.run(["bash", "--norc", "-c", script, "bash"] + parted, env={**world.w.env, "L": line}, cwd=world.folder,
                          capture_output=True, text=True, timeout=LIMIT)
    equal((done.returncode, done.stderr), (0, ""), "bash")
    cut = re.match("(?:.*[=:])?", words[-1]).group()  # bash replaces what stands behind it
    return [cut + word for word in done.stdout.split("\n") if word]


ZSH = r"""
zmodload zsh/zpty
zpty z zsh -f -i
zpty -w z 'PS1= PROMPT= RPROMPT=; unsetopt zle_bracketed_paste; autoload -Uz compinit; compinit -u -D; source <(wherry completion zsh)'
zpty -w z 'compadd() { if [[ ${@[1,(i)(-|--)]} == *-(O|A|D)\ * ]]; then builtin compadd "$@"; return; fi
 local -a hits; builtin compadd -A hits "$@"; local h; for h in $hits; do print -r -- "hit:$h"; done; builtin compadd "$@" }'
zpty -w z 'done_() { print -r -- "end""hits" }; comppostfuncs=(done_); bindkey "^I" complete-word; print rea""dy'
zpty -r z got '*ready*'
zpty -n -w z "$1"$'\t'
zpty -r z got '*endhits*'
print -r -- "$got"
zpty -d z
"""


def in_zsh(world, words):
    """The matches that zsh's own completion system is given when TAB is pressed."""
    done = subprocess.run(["zsh", "-fc", ZSH, "zsh", " ".join(["wherry"] + words)], env={**world.w.env, "TERM": "dumb"}, cwd=world.folder,
                          capture_output=True, text=True, timeout=LIMIT)
    equal(done.returncode, 0, "zsh: " + done.stderr)
    return re.findall(r"hit:([^\r\n]*)", done.stdout)


def in_fish(world, words):
    done = subprocess.run(["fish", "--no-config", "-c", "wherry completion fish | source; complete -C $argv[1]", " ".join(["wherry"] + words)],
                          env={**world.w.env, "XDG_CONFIG_HOME": world.folder, "XDG_DATA_HOME": world.folder}, cwd=world.folder,
                          capture_output=True, text=True, timeout=LIMIT)
    equal((done.returncode, done.stderr), (0, ""), "fish")
    return [line.split("\t")[0] for line in done.stdout.splitlines()]


SHELLS = {"bash": in_bash, "zsh": in_zsh, "fish": in_fish}


def asks(shell):
    """The shell offers what the helper says: commands, options, files, parameters and their values, runs, steps, gates."""
    def run():
        if shutil.which(shell) is None:
            return "%s is not installed" % shell
        with scratch() as folder:
            world = World(folder)
            os.mkdir(os.path.join(folder, "place"))
            for line, wanted in (
                    (["va"], ["validate"]),
                    (["run", "p."], ["p.yaml"]),
                    (["run", "etcd"], ["etcd-to-etcd"]),
                    (["run", "p.yaml", "--only", ""], ["ask", "all", "last"]),
                    (["run", "p.yaml", "--fr"], ["--from"]),
                    (["run", "p.yaml", "-p", ""], ["kind=", "loud="]),
                    (["run", "p.yaml", "-p", "kind="], ["kind=north", "kind=south"]),
                    (["run", "p.yaml", "--format=j"], ["--format=json"]),
                    (["resume", "d"], ["doubt"]),
                    (["--state", "pl"], ["place/"]),
                    (["approve", "gate", ""], ["ask"])):
                got = sorted({word.rstrip("/") for word in SHELLS[shell](world, line)})
                equal(got, sorted(word.rstrip("/") for word in wanted), "%s after %s" % (shell, line))
    run.__name__ = shell
    return run


if __name__ == "__main__":
    main(words, complete, hostile, *(asks(shell) for shell in SHELLS))
