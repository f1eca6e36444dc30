#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The stories that README.md tells, of a move that is killed and of one that is taken back, are what happens: each line that it
shows, in its order."""
import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from test_etcd_freeze import Freeze
from told import same
from wtest import LIMIT, SOURCE, WHERRY, equal, expect, find_etcd, main, scratch


def shown(title):
    """[(command, lines)] of the section; a line "…" stands for any."""
    with open(os.path.join(SOURCE, "README.md")) as f:
        section = re.search(r"^## %s\n(.*?)^## " % title, f.read(), re.S | re.M).group(1)
    story = []
    for line in re.findall(r"^    (.*)$", section, re.M):
        if line.startswith("$ wherry "):
            story.append((line.split()[2:], []))
        else:
            story[-1][1].append(line)
    return story


def plain(text):
    """Without times, places and names of this run and of the one that is shown."""
    text = same(text).replace("USER@HOST", "ops@host").replace("root@", "ops@")
    text = re.sub(r"^TIME (?!$)", "", text, flags=re.M)
    text = re.sub(r"  \d[\d.]*(ms|s)$", "", text, flags=re.M)
    return re.sub(r'"cluster_id":"[0-9a-f]+"', '"cluster_id":"ID"', text).splitlines()


def taken_back():
    """Paused with the source frozen, looked at, rolled back, reported: and the source's role is as it was, the destination empty."""
    if not find_etcd():
        return "no etcd"
    story = shown("Taking it back")
    equal([command[0] for command, _ in story], ["status", "rollback", "rollback", "report"], "commands of the story")
    with scratch() as folder, Freeze(folder) as f:
        f.w.ok("run", "etcd-to-etcd", "--run-id", "demo", "--yes", *f.words(raise_revision="false", snapshot=""), code=3)
        expect(f.fenced(), "the source is not frozen")
        for command, lines in story:
            done = f.w.ok(*command, *(["--yes"] if command == ["rollback", "demo"] else []))
            said = iter(plain(done.out + done.err))
            for line in plain("\n".join(line for line in lines if line.strip() != "…")):
                expect(line in said, "README shows %r, which %s did not say there: %s" % (line, command, done))
        equal(f.guarded.rights(), f.rights, "permissions of the source's role")
        equal(f.destination.range(), {}, "keys on the destination")
    return None


def pattern(line):
    """What a line that is shown stands for: numbers and digests are others in each run, and "…" is anything."""
    text = re.escape(re.sub(r"\b[0-9a-f]{8}…", "…", same(line)))
    return re.compile(re.sub(r"\d+", r"\\d+", text).replace("…", ".*") + r"\Z")


def sixty_seconds():
    """tests/quickstart, as a stranger runs it: a dry-run, a run that is killed, its status, a resume, with what they say in this order."""
    if not find_etcd():
        return "no etcd"
    story = shown("Sixty seconds")
    equal([command[0] for command, _ in story], ["plan", "run", "status", "resume"], "commands of the story")
    done = subprocess.run([os.path.join(SOURCE, "tests", "quickstart")], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          timeout=LIMIT * 5, env={**os.environ, "WHERRY": WHERRY})
    equal(done.returncode, 0, done.stdout[-4000:])
    said = iter(plain(done.stdout.replace(SOURCE + "/", "")))
    for command, lines in story:
        for line in ["$ wherry %s …" % command[0]] + [line for line in lines if line.strip() not in ("", "…")]:
            expect(any(pattern(plain(line)[0]).match(one) for one in said), "README shows %r, which was not said there:\n%s" % (line, done.stdout))
    return None


if __name__ == "__main__":
    main(taken_back, sixty_seconds)
