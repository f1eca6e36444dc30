#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Waits for real controllers and pods: each by watches alone, ended by what happens and not by a poll."""
import json
import os
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import testbed  # noqa: E402
from kubeplan import Desk, changes, check, config, deployment, refused, step  # noqa: E402
from wtest import LIMIT, equal, expect, main, scratch, wait_for  # noqa: E402


QUIET = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}


def later(seconds, act):
    """Do it in a while, beside the run that waits for it."""
    timer = threading.Timer(seconds, act)
    timer.start()
    return timer


def timed(line, limit):
    return json.dumps({**json.loads(line), "timeout": limit})


@testbed.shared()
def test_objects(a):
    """There, gone, so many, as an expression wants, settled: ended by the change, and a time-out says what is missing."""
    with scratch() as folder, a.namespace() as ns:
        d = Desk(folder, a, ns)
        mark = a.audit_mark()

        def drive():
            """Each change once the wait for it watches."""
            for k, act in enumerate((lambda: a.apply(config("one", x="1"), namespace=ns), lambda: a.apply(config("one", x="2"), namespace=ns),
                                     lambda: a.kubectl("delete", "cm", "one", namespace=ns)), 1):
                wait_for(lambda: len({e["auditID"] for e in a.audit(mark, user="wherry", verbs=["watch"], resource="configmaps")}) >= k,
                         "wait %d begins" % k)
                act()

        driver = later(0, drive)
        d.run(step("there", "kubernetes.wait", kind="ConfigMap", name="one"),
              step("two", "kubernetes.wait", kind="cm", name="one", until="${{ value.data.x == '2' }}", needs_=["there"]),
              step("gone", "kubernetes.wait", kind="cm", name="one", absent=True, needs_=["two"]),
              check("steps.two.outputs.object.data.x == '2' and steps.gone.outputs.count == 0 and steps.gone.outputs.object == nil"))
        driver.join()
        reads = a.audit(mark, user="wherry", verbs=("get", "list", "watch"), resource="configmaps")
        expect(len([e for e in reads if e["stage"] == "ResponseComplete"]) <= 9, "it polls: %d requests" % len(reads))
        a.apply(config("a"), config("b"), namespace=ns)
        d.run(step("n", "kubernetes.wait", kind="ConfigMap", selector="!no", count=3, settled="1s"),
              step("names", "kubernetes.wait", kind="ConfigMap", names=["a", "b"], until="${{ value.metadata.name ~= 'c' }}"),
              check("steps.n.outputs.count == 3"))
        d.run(timed(step("w", "kubernetes.wait", kind="ConfigMap", names=["a", "z"]), "1s"), code=1)
        done = d.w.ok("status", "r3")
        expect("1 of 2 are so; z" in done.out, "what is missing: %s" % done)
        done = d.w.ok("plan", d.file([step("w", "kubernetes.wait", kind="ConfigMap", name="later")]))
        expect("assumed: ConfigMap later will be so; now: not there" in done.out, "the dry-run: %s" % done)


@testbed.shared(node=True)
def test_rollout(a):
    """A rollout that works; one whose init container fails ends at once with its log; pods that are to be gone."""
    with scratch() as folder, a.namespace() as ns:
        d = Desk(folder, a, ns)
        d.run(step("web", "kubernetes.apply", object=deployment("web", 2)),
              step("up", "kubernetes.wait", kind="Deployment", name="web", rollout=True, generation="${{ steps.web.outputs.generation }}"),
              step("ready", "kubernetes.wait", kind="Pod", selector="app=web", condition="Ready", count=2, needs_=["up"]),
              step("down", "kubernetes.scale", kind="Deployment", name="web", replicas=0, needs_=["ready"]),
              step("empty", "kubernetes.wait", pods_of="Deployment/web", count=0, needs_=["down"]),
              check("steps.up.outputs.object.status.availableReplicas == 2 and steps.ready.outputs.count == 2"))
        equal(a.get("pods", namespace=ns)["items"], [], "pods")
        begin = time.monotonic()
        done = d.run(step("bad", "kubernetes.apply", object=deployment("bad", 1, init=["sh", "-c", "echo no such disk; exit 3"])),
                     step("up", "kubernetes.wait", kind="Deployment", name="bad", rollout=True, restarts=2, needs_=["bad"]), code=1)
        for words in ("init container 'first' ended with exit code 3", "its log ends: no such disk"):
            expect(words in done.out + done.err, "no '%s' in %s" % (words, done))
        expect(time.monotonic() - begin < 60, "it waited for something")
        # the next template works: the pod of the old one, which fails still, does not count
        d.run(step("good", "kubernetes.apply", object=deployment("bad", 1, init=["true"])),
              step("up", "kubernetes.wait", kind="Deployment", name="bad", rollout=True, restarts=2, needs_=["good"]))
        d.run(step("pod", "kubernetes.create", until="${{ condition(value, 'Ready') }}", object={
                  "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "one"}, "spec": {
                      "terminationGracePeriodSeconds": 0,
                      "containers": [{"name": "main", "image": testbed.IMAGE, "command": ["sleep", "1000"]}]}}),
              step("gone", "kubernetes.delete", kind="Pod", name="one", grace=0, needs_=["pod"]),
              step("none", "kubernetes.get", kind="Pod", name="one", missing="required", needs_=["gone"]))


@testbed.shared()
def test_stuck(a):
    """A finalizer that nobody removes, and a namespace that does not end: the time-out says what the deletion waits for."""
    with scratch() as folder, a.namespace() as ns:
        d = Desk(folder, a, ns)
        a.apply({**config("last"), "metadata": {"name": "last", "finalizers": ["wherry.test/stays"]}}, namespace=ns)
        try:
            d.told("stuck-object", d.run(timed(step("x", "kubernetes.delete", kind="ConfigMap", name="last"), "2s"), code=1))
            a.kubectl("delete", "namespace", ns, "--wait=false")
            a.wait_until("condition=NamespaceContentRemaining", "namespace/" + ns)
            d.told("stuck-namespace", d.run(timed(step("x", "kubernetes.wait", kind="Namespace", name=ns, absent=True), "2s"), code=1))
            threads = [later(1, lambda: a.kubectl("patch", "cm", "last", "--type=merge", "-p", '{"metadata":{"finalizers":null}}', namespace=ns))]
            d.run(step("x", "kubernetes.wait", kind="Namespace", name=ns, absent=True))
            threads[0].join()
        finally:
            a.kubectl("get", "namespace", ns, code=1)
            a.kubectl("create", "namespace", ns)


@testbed.shared()
def test_many(a):
    """However many pods: each wait is one list and one watch, which a server that is busy may end and we take up again."""
    with scratch() as folder, a.namespace() as ns:
        d = Desk(folder, a, ns)
        placed = a.fake_nodes(1)
        web = deployment("web", 100)
        web["spec"]["template"]["spec"].update(placed)
        mark = a.audit_mark()
        d.run(step("web", "kubernetes.apply", object=web),
              step("up", "kubernetes.wait", pods_of="Deployment/web", condition="Ready", count=100, needs_=["web"]),
              step("down", "kubernetes.scale", kind="Deployment", name="web", replicas=0, needs_=["up"]),
              step("gone", "kubernetes.wait", pods_of="Deployment/web", count=0, needs_=["down"]))
        pods = [e["verb"] for e in a.audit(mark, user="wherry", resource="pods") if e["stage"] == "ResponseComplete"]
        equal((pods.count("list"), pods.count("get")), (2, 0), "lists and gets of pods")
        expect(pods.count("watch") < 20, "watches of pods: %d" % pods.count("watch"))


@testbed.own()
def test_interrupted(a):
    """A wait outlives its API server, its own process, and the delete that it belongs to is not asked for twice."""
    with scratch() as folder, a.namespace() as ns:
        d = Desk(folder, a, ns)
        a.apply({**config("goes"), "metadata": {"name": "goes", "finalizers": ["wherry.test/stays"]}}, namespace=ns)
        steps = [step("gone", "kubernetes.delete", kind="ConfigMap", name="goes"),
                 step("there", "kubernetes.wait", kind="ConfigMap", name="later", needs_=["gone"])]
        mark = a.audit_mark()
        run = d.w.start("run", d.file(steps), "--yes", "--run-id", "r1", "--format", "plain", **QUIET)
        wait_for(lambda: a.audit(mark, user="wherry", verbs=["watch"], resource="configmaps"), "the wait begins", run)
        a.kill("kube-apiserver")
        time.sleep(1)
        a.restart("kube-apiserver")
        run.kill()
        run.wait()
        run = d.w.start("resume", "r1", "--yes", "--format", "plain", **QUIET)
        a.kubectl("patch", "cm", "goes", "--type=merge", "-p", '{"metadata":{"finalizers":null}}', namespace=ns)
        wait_for(lambda: any("later" in e["requestURI"] for e in a.audit(mark, user="wherry", verbs=["watch"])), "the second wait begins", run)
        a.kill("kube-apiserver")
        time.sleep(1)
        a.restart("kube-apiserver")
        a.apply(config("later"), namespace=ns)
        equal(run.wait(LIMIT), 0, "exit code of the resume")
        equal(changes(a, mark), ["delete configmaps %s/goes" % ns], "what was done")


main(test_objects, test_rollout, test_stuck, test_many, test_interrupted)
