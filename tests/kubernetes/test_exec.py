#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""kubernetes.exec and kubernetes.logs on a real node: what commands say and how they end, what outlives wherry, what a dry-run does."""
import contextlib
import os
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import testbed  # noqa: E402
from wtest import LIMIT, Peak, Wherry, equal, expect, is_sanitized, main, scratch  # noqa: E402


def pod(name, *containers, **spec):
    """Containers (name, command) of a pod that ends at once when it is deleted."""
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": {
        "terminationGracePeriodSeconds": 0, "containers": [
            {"name": n, "image": testbed.IMAGE, "command": list(c), "imagePullPolicy": "Never"} for n, c in containers], **spec}}


class World:
    """A namespace with the pod `one`, and a wherry that knows the cluster."""

    def __init__(self, cluster, namespace, folder):
        self.cluster, self.namespace, self.folder = cluster, namespace, folder
        self.w = Wherry(os.path.join(folder, "state"), env={"KUBECONFIG": cluster.wherry_config})

    def plan(self, steps, name="plan.yaml"):
        path = os.path.join(self.folder, name)
        with open(path, "w") as f:
            f.write("wherry: v1\nname: t\ntargets: {k: {kind: kubernetes, namespace: %s}}\nsteps:\n%s" % (self.namespace, steps))
        return path

    def run(self, steps, code=0, run=None, **more):
        return self.w.ok("run", self.plan(steps), "--yes", *(["--run-id", run] if run else []), code=code, **more)

    def inside(self, script, code=0):
        return self.cluster.kubectl("exec", "one", "--", "sh", "-c", script, namespace=self.namespace, code=code)

    def until(self, script, limit=30):
        end = time.monotonic() + limit
        while True:
            out = self.cluster.kubectl("exec", "one", "--", "sh", "-c", "(%s) && echo yes || echo no" % script, namespace=self.namespace)
            if out.endswith("yes\n"):
                return
            expect(time.monotonic() < end, "it never is: " + script)

    def seen(self, subresource):
        events = self.cluster.audit(user="wherry", namespace=self.namespace, resource="pods")
        return [e["requestURI"] for e in events if e["objectRef"].get("subresource") == subresource and e["stage"] == "ResponseComplete"]

    def said(self):
        """The commands whose upgrade the API server saw from wherry."""
        return self.seen("exec")

    def read_logs(self):
        return len(self.seen("log"))


@contextlib.contextmanager
def world(cluster, *pods):
    with cluster.namespace() as namespace, scratch() as folder:
        for one in pods or [pod("one", ("c", ("sleep", "100000")))]:
            cluster.apply(one, namespace=namespace)
        cluster.wait_until("condition=Ready", "pod/one", namespace=namespace)
        yield World(cluster, namespace, folder)


@testbed.shared(node=True)
def test_ends(a):
    """Output, input, exit codes, words, missing programs, containers and pods."""
    with world(a, pod("one", ("c", ("sleep", "100000")), ("d", ("sleep", "100000"))), pod("two", ("c", ("sleep", "1")), restartPolicy="Never")) as w:
        w.run(r"""
  - {id: talk, uses: kubernetes.exec, with: {in: k, pod: one, container: c, argv: [sh, -c, 'cat; echo out; echo err >&2; exit 4'],
      stdin: "in\n", expect_codes: [4], expect_output: ut}}
  - {id: seen, uses: assert, with: {that: "${{ steps.talk.outputs.code == 4 and steps.talk.outputs.stdout == 'in\\nout\\n' and
      steps.talk.outputs.stderr == 'err\\n' and not steps.talk.outputs.truncated }}"}}
  - {id: other, uses: kubernetes.exec, with: {in: k, pod: "%s/one", container: d, argv: [sh, -c, 'echo "$0" "$@" >/tmp/it; cat /tmp/it', "a  b", "%%+&=?#/ü'\""]}}
  - {id: words, uses: assert, with: {that: "${{ steps.other.outputs.stdout == 'a  b %%+&=?#/ü\\'\"\\n' }}"}}
""" % w.namespace)
        for text, code, wanted in (
                ("container: c, argv: [sh, -c, 'echo why >&2; exit 4']", 1, "the command ended with exit code 4: why"),
                ("container: c, argv: [/no/such]", 1, "'/no/such'"),
                ("container: c, argv: [sh, -c, 'kill -9 $$']", 3, "was ended by signal 9 (Killed)"),
                ("container: c, argv: [echo, no], expect_output: 'yes'", 1, "does not hold 'yes'; it ends with: no"),
                ("argv: ['true']", 1, "has several containers, and none is chosen: c, d"),
                ("container: e, argv: ['true']", 1, "has no container 'e'; it has: c, d")):
            done = w.run("  - {id: x, uses: kubernetes.exec, with: {in: k, pod: one, %s}}\n" % text, code)
            expect(wanted in done.err, "%s does not say: %s" % (done, wanted))
        done = w.run("  - {id: x, uses: kubernetes.exec, with: {in: k, pod: three, argv: ['true']}}\n", 1)
        expect("pod %s/three does not exist" % w.namespace in done.err, done)
        a.wait_until("jsonpath={.status.phase}=Succeeded", "pod/two", namespace=w.namespace)
        done = w.run("  - {id: x, uses: kubernetes.exec, with: {in: k, pod: two, argv: ['true']}}\n", 1)
        expect("does not run: it is ended: Completed" in done.err, done)


@testbed.shared(node=True)
def test_plan(a):
    """A dry-run runs what only looks, and shows the rest; each command of the run is one request."""
    with world(a) as w:
        steps = """
  - {id: look, uses: kubernetes.exec, with: {in: k, pod: one, argv: [ls, /], read_only: true}}
  - {id: act, uses: kubernetes.exec, with: {in: k, pod: one, argv: [touch, /tmp/it]}, needs: [look]}
  - {id: again, uses: kubernetes.exec, with: {in: k, pod: one, argv: [ls, /tmp/it], read_only: true}, needs: [act]}
  - {id: log, uses: kubernetes.logs, with: {in: k, pod: one}, needs: [act]}
"""
        done = w.w.ok("plan", w.plan(steps))
        expect("run touch /tmp/it in pod one" in done.out and "opaque" in done.out, done)
        equal([u.count("command=ls") for u in w.said()], [1], "what the dry-run ran")
        equal(w.read_logs(), 0, "logs that the dry-run read, although nobody knows what they will hold")
        w.inside("[ ! -e /tmp/it ]")
        w.run(steps)
        equal([sum("command=" + c in u for u in w.said()) for c in ("ls", "touch")], [3, 1], "what the run ran")
        equal(w.read_logs(), 1, "logs that the run read")


@testbed.shared(node=True)
def test_time_out(a):
    """At a time-out or a signal the command is ended in the pod as well, however it resists."""
    with world(a) as w:
        command = "'trap \"\" TERM; echo begun >/tmp/begun; while :; do sleep 0.2; done'"
        done = w.run("  - {id: x, uses: kubernetes.exec, with: {in: k, pod: one, argv: [sh, -c, %s], grace: 1s}, timeout: 3s}\n" % command, 3)
        expect("the command was ended by wherry at the step's time-out" in done.err, done)
        w.until("[ -e /tmp/begun ] && ! ps | grep -v grep | grep begun")
        w.inside("rm /tmp/begun")
        plan = w.plan("  - {id: x, uses: kubernetes.exec, with: {in: k, pod: one, argv: [sh, -c, %s], grace: 1s}}\n" % command)
        process = w.w.start("run", plan, "--yes", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        w.until("[ -e /tmp/begun ]")
        process.send_signal(signal.SIGINT)
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        expect(process.wait(60) in (3, 130), "exit code %d" % process.returncode)
        w.until("! ps | grep -v grep | grep begun")


@testbed.shared(node=True)
def test_outlived(a):
    """A command that outlived its wherry is named and waited for; a second one never runs beside it."""
    with world(a) as w:
        step = "  - {id: x, uses: kubernetes.exec, with: {in: k, pod: one, argv: [sh, -c, 'echo begin >>/tmp/log; sleep %d; echo end >>/tmp/log'], " \
            "idempotent: true}, timeout: %s}\n"
        process = w.w.start("run", w.plan(step % (6, "60s")), "--yes", "--run-id", "waits", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        w.until("[ -e /tmp/log ]")
        process.kill()
        process.wait()
        done = w.w.ok("resume", "waits", "--yes", "--format", "plain")
        expect("of the earlier run still runs in pod %s/one; waiting" % w.namespace in done.err, done)
        equal(w.inside("cat /tmp/log"), "begin\nend\nbegin\nend\n", "the order of things")
        w.inside("rm /tmp/log")
        process = w.w.start("run", w.plan(step % (1000, "4s")), "--yes", "--run-id", "long", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        w.until("[ -e /tmp/log ]")
        process.kill()
        process.wait()
        done = w.w.ok("resume", "long", "--yes", code=3)
        expect("a second one is never started beside it" in done.err, done)
        equal(w.inside("cat /tmp/log"), "begin\n", "nothing began beside it")
        # in another pod of that name nothing of it runs
        a.kubectl("delete", "pod", "one", "--grace-period=0", "--force", "--wait", namespace=w.namespace)
        a.apply(pod("one", ("c", ("sleep", "100000"))), namespace=w.namespace)
        a.wait_until("condition=Ready", "pod/one", namespace=w.namespace)
        done = w.w.ok("resume", "long", "--yes", code=1)
        expect("a second one" not in done.err and "was ended by wherry at the step's time-out" in done.err, done)
        equal(w.inside("cat /tmp/log"), "begin\n", "it was tried once more")


@testbed.shared(node=True)
def test_opaque(a):
    """One that may not run twice is in doubt after a kill; and after the end of its pod, which is named."""
    with world(a) as w:
        step = "  - {id: x, uses: kubernetes.exec, with: {in: k, pod: one, argv: [sh, -c, 'echo begin >>/tmp/log; sleep %d']}}\n"
        process = w.w.start("run", w.plan(step % 3), "--yes", "--run-id", "doubt", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        w.until("[ -e /tmp/log ]")
        process.kill()
        process.wait()
        done = w.w.ok("resume", "doubt", "--yes", code=3)
        expect("in doubt: 'exec k Pod/%s/one#exec'" % w.namespace in done.err, done)
        equal(w.inside("cat /tmp/log"), "begin\n", "it began once")
        w.w.ok("resolve", "doubt", "x", "--done", "--reason", "seen")
        w.w.ok("resume", "doubt", "--yes")
        w.inside("rm /tmp/log")
        process = w.w.start("run", w.plan(step % 1000), "--yes", stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        w.until("[ -e /tmp/log ]")
        a.kubectl("delete", "pod", "one", "--grace-period=0", "--force", "--wait=false", namespace=w.namespace)
        _, err = process.communicate(timeout=60)
        equal(process.returncode, 3, err)
        expect("the pod is gone" in err or "does not run any more" in err, err)


@testbed.shared(node=True)
def test_probe(a):
    """After a kill the probe tells whether it was done, once nothing of it runs any more."""
    with world(a) as w:
        step = "  - {id: x, uses: kubernetes.exec, with: {in: k, pod: one, argv: [sh, -c, 'echo begin >>/tmp/log; sleep 3; %s'], probe: [test, -e, /tmp/done]}}\n"
        for run, end, times in (("done", "touch /tmp/done", 1), ("not", "true", 2)):
            process = w.w.start("run", w.plan(step % end), "--yes", "--run-id", run, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            w.until("[ -e /tmp/log ]")
            process.kill()
            process.wait()
            w.w.ok("resume", run, "--yes")
            equal(w.inside("cat /tmp/log; rm -f /tmp/log /tmp/done"), "begin\n" * times, "how often it ran, where the probe says " + run)


@testbed.shared(node=True)
def test_secret(a):
    """A secret goes to the command's standard input, and does not come back: not to the screen, not to the journal."""
    with world(a) as w:
        path = w.plan("  - {id: x, uses: kubernetes.exec, with: {in: k, pod: one, argv: [sh, -c, 'tee /tmp/it; cat /tmp/it >&2; exit 3'], "
                      "stdin: '${{ params.word }}'}}\nparams: {word: {type: string, secret: true, env: WORD}}\n")
        done = w.w.ok("run", path, "--yes", code=1, env={"WORD": "open sesame"})
        equal(w.inside("cat /tmp/it"), "open sesame", "what the command read")
        expect("exit code 3: (secret)" in done.err and "sesame" not in done.err + done.out, done)
        for folder, _, names in os.walk(w.folder):
            for name in names:
                with open(os.path.join(folder, name), "rb") as f:
                    expect(b"sesame" not in f.read(), "the secret is in %s/%s" % (folder, name))


@testbed.shared(node=True)
def test_output(a):
    """Of 1 GB head and tail are kept, in a few MB of memory; what is looked for is found in the middle."""
    half = 10000000 if is_sanitized() else 500000000  # a reader that slow outlasts the container runtime's patience
    with world(a) as w:
        plan = w.plan(r"""
  - {id: x, uses: kubernetes.exec, with: {in: k, pod: one, max_output: 64KiB, expect_output: needle,
      argv: [sh, -c, 'echo first; head -c HALF /dev/zero; echo needle; head -c HALF /dev/zero; echo last']}}
  - {id: seen, uses: assert, with: {that: "${{ steps.x.outputs.truncated and steps.x.outputs.stdout:sub(1, 6) == 'first\\n' and
      steps.x.outputs.stdout:sub(-5) == 'last\\n' and #steps.x.outputs.stdout < 70000 }}"}}
""".replace("HALF", str(half)))
        process = w.w.start("run", plan, "--yes", stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        peak = Peak(process)
        _, err = process.communicate(timeout=2 * LIMIT)
        equal(process.returncode, 0, err)
        expect(is_sanitized() or peak.kib() < 48 << 10, "%d KiB" % peak.kib())


@testbed.shared(node=True)
def test_logs(a):
    """The end of a log, by lines, by bytes, since, and of the run before."""
    with world(a, pod("one", ("c", ("sh", "-c", "seq 1 2000 | sed 's/^/line /'; exec sleep 100000")))) as w:
        while not a.kubectl("logs", "one", namespace=w.namespace).endswith("line 2000\n"):
            time.sleep(0.1)
        w.run(r"""
  - {id: all, uses: kubernetes.logs, with: {in: k, pod: one}}
  - {id: tail, uses: kubernetes.logs, with: {in: k, pod: one, container: c, tail: 2}}
  - {id: last, uses: kubernetes.logs, with: {in: k, pod: one, max: 1KiB}}
  - {id: none, uses: kubernetes.logs, with: {in: k, pod: one, since: 1s}, needs: [nap]}
  - {id: nap, uses: sleep, with: {for: 3s}}
  - {id: seen, uses: assert, with: {that: "${{ steps.tail.outputs.text == 'line 1999\\nline 2000\\n' and #steps.last.outputs.text == 1024 and
      steps.last.outputs.truncated and not steps.all.outputs.truncated and steps.all.outputs.text:sub(1, 7) == 'line 1\\n' and
      steps.none.outputs.text == '' }}"}}
""")
        done = w.run("  - {id: x, uses: kubernetes.logs, with: {in: k, pod: one, previous: true}}\n", 1)
        expect("previous terminated container" in done.err, done)


@testbed.own(node=True)
def test_server_gone(a):
    """The API server is killed under a command and comes back: one that may run again does, after what is left of it has ended."""
    with world(a) as w:
        step = "  - {id: x, uses: kubernetes.exec, with: {in: k, pod: one, argv: [sh, -c, 'echo begin >>/tmp/log; sleep 8; echo end >>/tmp/log'], %s}}\n"
        for more, code, wanted in (("idempotent: true}, retry: {attempts: 3, backoff: 1s", 0, ["begin\nend\nbegin\nend\n"]),
                                   ("max_output: 1KiB", 3, ["begin\n", "begin\nend\n"])):  # it may end by itself meanwhile
            process = w.w.start("run", w.plan(step % more), "--yes", stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
            w.until("[ -e /tmp/log ]")
            a.restart("kube-apiserver")
            _, err = process.communicate(timeout=120)
            equal(process.returncode, code, err)
            expect("the connection ended before the command did" in err, err)
            left = w.inside("cat /tmp/log; rm /tmp/log")
            expect(left in wanted, "%r is left\n%s" % (left, err))


main(test_ends, test_plan, test_time_out, test_outlived, test_opaque, test_probe, test_secret, test_output, test_logs, test_server_gone)
