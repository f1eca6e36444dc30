#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""kubernetes.copy-from and copy-to on a real node: whole or not at all, with the same SHA-256 at both ends."""
import contextlib
import hashlib
import os
import stat
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import testbed  # noqa: E402
from wtest import Peak, Wherry, equal, expect, is_sanitized, main, scratch  # noqa: E402

ODD = "-x 'a' \"b\" $(touch it) `c` ;&|*? ü\\"  # a file name


class World:
    def __init__(self, cluster, namespace, folder):
        self.cluster, self.namespace, self.folder = cluster, namespace, folder
        self.w = Wherry(os.path.join(folder, "state"), env={"KUBECONFIG": cluster.wherry_config})

    def path(self, name):
        return os.path.join(self.folder, name)

    def file(self, name, content):
        with open(self.path(name), "wb") as f:
            f.write(content)
        return self.path(name)

    def plan(self, *steps):
        lines = ["wherry: v1", "name: t", "targets: {k: {kind: kubernetes, namespace: %s}}" % self.namespace, "steps:"]
        return self.file("plan.yaml", "\n".join(lines + ["  - " + s for s in steps] + [""]).encode())

    def run(self, *steps, code=0, run="run"):
        return self.w.ok("run", self.plan(*steps), "--yes", "--run-id", run, code=code)

    def inside(self, script, *args, code=0):
        return self.cluster.kubectl("exec", "one", "-c", "c", "--", "sh", "-c", script, "sh", *args, namespace=self.namespace, code=code)


def quoted(s):
    return "'" + s.replace("'", "''") + "'"


def send(name, source, path, more="", pod="one", needs=""):
    return "{id: %s, needs: [%s], uses: kubernetes.copy-to, with: {in: k, pod: %s, from: %s, path: %s%s}}" % (
        name, needs, pod, quoted(source), quoted(path), more)


def fetch(name, path, to, more="", pod="one", needs=""):
    return "{id: %s, needs: [%s], uses: kubernetes.copy-from, with: {in: k, pod: %s, path: %s, to: %s%s}}" % (
        name, needs, pod, quoted(path), quoted(to), more)


@contextlib.contextmanager
def world(cluster):
    """The pod has a second container, which has no program that could be found."""
    image = {"image": testbed.IMAGE, "imagePullPolicy": "Never", "command": ["/bin/busybox", "sleep", "100000"]}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "one", "annotations": {"kubectl.kubernetes.io/default-container": "c"}}, "spec": {
        "terminationGracePeriodSeconds": 0,
        "containers": [{"name": "c", **image}, {"name": "none", **image, "env": [{"name": "PATH", "value": "/none"}]}]}}
    with cluster.namespace() as namespace, scratch() as folder:
        cluster.apply(pod, namespace=namespace)
        cluster.wait_until("condition=Ready", "pod/one", namespace=namespace)
        yield World(cluster, namespace, folder)


@testbed.shared(node=True)
def test_there_and_back(a):
    """Content, size, hash and mode, for files of all sizes and names; unchanged when done again; taken back by a rollback."""
    with world(a) as w:
        for i, (content, name) in enumerate(((b"", "empty"), (os.urandom(1), "one"), (os.urandom(32768), "piece"), (os.urandom(20_000_001), ODD))):
            source, back, there = w.file("source", content), w.path("back"), "/tmp/" + name
            digest = hashlib.sha256(content).hexdigest()
            steps = [send("there", source, there, ", mode: '0640'"),
                     fetch("back", there, back, needs="there"),
                     "{id: seen, uses: assert, with: {that: \"${{ steps.there.outputs.sha256 == '%s' and steps.back.outputs.sha256 == '%s' and "
                     "steps.back.outputs.size == %d and steps.there.outputs.size == %d }}\"}}" % (digest, digest, len(content), len(content))]
            w.run(*steps, run="r%d" % i)
            with open(back, "rb") as f:
                expect(f.read() == content, "another content came back of " + name)
            equal(stat.S_IMODE(os.stat(back).st_mode), 0o600, "mode here")
            equal(w.inside("stat -c '%a %s' \"$1\"; ls -A /tmp | wc -l; ls -A | wc -l", there).split()[:3], ["640", str(len(content)), "1"], "what is there")
            done = w.run(send("again", source, there, ", mode: '0640'"), run="again%d" % i)
            expect("1 unchanged" in done.err, done)
            w.w.ok("rollback", "r%d" % i, "--yes")
            expect(not os.path.exists(back), "the rollback left the file here")
            equal(w.inside("ls -A /tmp"), "", "the rollback left the file there")
            equal([n for n in os.listdir(w.folder) if ".tmp." in n], [], "parts")


@testbed.shared(node=True)
def test_refusals(a):
    """What is there is never replaced unasked; what is no file is no file; who lacks a program is told which."""
    with world(a) as w:
        source, other = w.file("source", b"new"), w.file("other", b"old")
        w.inside("echo old >/tmp/file; mkdir /tmp/dir; ln -s file /tmp/link; mkfifo /tmp/fifo; ln -s /none /tmp/dangling")
        rows = (
            (send("x", source, "/tmp/file"), "exists already, and is another one"),
            (send("x", source, "/tmp/dir"), "is not a regular file"),
            (send("x", source, "/tmp/link"), "is not a regular file"),
            (send("x", source, "/tmp/dangling"), "is not a regular file"),
            (send("x", source, "/tmp/none/file"), "nonexistent directory"),
            (send("x", source, "/tmp/y", ", container: none"), "has no program 'sh'"),
            (fetch("x", "/tmp/none", w.path("to")), "does not exist"),
            (fetch("x", "/tmp/dir", w.path("to")), "is not a regular file"),
            (fetch("x", "/tmp/fifo", w.path("to")), "is not a regular file"),
            (fetch("x", "/tmp/file", other), "exists already"),
            (fetch("x", "/tmp/file", w.path("none/to")), "No such file or directory"),
            (fetch("x", "/tmp/file", w.path("to"), ", container: none"), "has no program 'sh': to copy files it needs sh, cat, sha256sum"),
            (fetch("x", "/tmp/file", w.path("to"), pod="two"), "pod %s/two does not exist" % w.namespace),
        )
        for i, (step, wanted) in enumerate(rows):
            done = w.run(step, code=1, run="row%d" % i)
            expect(wanted in done.err, "%s does not say: %s" % (done, wanted))
        equal(w.inside("cat /tmp/file; ls -A /tmp | wc -l"), "old\n5\n", "what was there")
        expect(not os.path.exists(w.path("to")), "a refused copy left a file")
        w.run(fetch("x", "/tmp/link", w.path("to")), run="link")  # as ConfigMaps are mounted
        w.run(send("x", source, "/tmp/file", ", replace: true"), run="replaced")
        equal(w.inside("cat /tmp/file"), "new", "what was replaced")
        done = w.w.ok("rollback", "replaced", "--yes", code=3)
        expect("what was there before was not kept" in done.err, done)


@testbed.shared(node=True)
def test_plan(a):
    """A dry-run copies nothing; a file that an earlier step is to make may be missing."""
    with world(a) as w:
        w.inside("echo hello >/tmp/file")
        steps = (fetch("here", "/tmp/file", w.path("to")), send("there", w.path("to"), "/tmp/copy", needs="here"))
        done = w.w.ok("plan", w.plan(*steps))
        expect("copy '/tmp/file' in pod one to" in done.out and "to '/tmp/copy' in pod one" in done.out, done)
        expect(not os.path.exists(w.path("to")), "the dry-run made the file")
        equal(w.inside("ls /tmp"), "file\n", "the dry-run copied")
        w.run(*steps)
        equal(w.inside("cat /tmp/copy"), "hello\n", "the copy of the copy")
        with open(w.path("to"), "w") as f:
            f.write("changed\n")
        done = w.w.ok("plan", w.plan(send("there", w.path("to"), "/tmp/copy")), code=1)
        expect("exists already, and is another one" in done.err + done.out, done)


@testbed.shared(node=True)
def test_kills(a):
    """A wherry that is killed in the middle of a copy leaves the place as it was, and a resume brings the whole file."""
    with world(a) as w:
        content = os.urandom(60_000_000)
        source = w.file("source", content)
        for run, step, begun in (("send", send("x", source, "/tmp/there"), lambda: w.inside("ls -A /tmp") != ""),
                                 ("fetch", fetch("x", "/tmp/there", w.path("back")), lambda: any(".tmp." in n for n in os.listdir(w.folder)))):
            process = w.w.start("run", w.plan(step), "--yes", "--run-id", run, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            end = time.monotonic() + 30
            while not begun() and time.monotonic() < end:
                time.sleep(0.02)
            process.kill()
            process.wait()
            w.w.ok("resume", run, "--yes")
            equal(w.inside("sha256sum </tmp/there; ls -A /tmp").split(), [hashlib.sha256(content).hexdigest(), "-", "there"], "what is there")
        with open(w.path("back"), "rb") as f:
            expect(f.read() == content, "another content came back")
        equal(sorted(n for n in os.listdir(w.folder) if ".tmp." in n), [], "parts")


@testbed.shared(node=True)
def test_changing(a):
    """A file that changes while it is copied is not taken for whole; a file that changed here since is told on the resume."""
    with world(a) as w:
        w.inside("head -c 30000000 /dev/urandom >/tmp/file; (while [ -e /tmp/file ]; do echo x >>/tmp/file; done) >/dev/null 2>&1 &")
        done = w.run(fetch("x", "/tmp/file", w.path("to")), code=1, run="grows")
        expect("changed while it was copied" in done.err and not os.path.exists(w.path("to")), done)
        w.inside("rm /tmp/file; sleep 0.2; rm -f /tmp/file; echo hello >/tmp/still")
        done = w.run(fetch("x", "/tmp/still", w.path("to")), "{id: no, uses: assert, with: {that: false}, needs: [x]}", code=1, run="kept")
        w.file("to", b"other")
        done = w.w.ok("resume", "kept", "--yes", code=3)
        expect("that this step left is another one now" in done.err, done)


@testbed.shared(node=True)
def test_large(a):
    """300 MB each way in a few MB of memory."""
    with world(a) as w:
        source = w.path("source")
        with open(source, "wb") as f:
            for i in range(300):
                f.write(bytes([i % 251]) * 1_000_000)
        process = w.w.start("run", w.plan(send("there", source, "/tmp/there"), fetch("back", "/tmp/there", w.path("back"), needs="there")),
                            "--yes", stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        peak = Peak(process)
        _, err = process.communicate(timeout=180)
        equal(process.returncode, 0, err)
        expect(is_sanitized() or peak.kib() < 32 << 10, "%d KiB" % peak.kib())
        subprocess.run(["cmp", source, w.path("back")], check=True)


main(test_there_and_back, test_refusals, test_plan, test_kills, test_changing, test_large)
