#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""kubernetes.job on a real node: result, failure with the end of the log, and exactly one Job however often wherry is killed."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import testbed  # noqa: E402
from kubeplan import PASSWORD, Desk, changes, check, refused, step  # noqa: E402
from told import told  # noqa: E402
from wtest import equal, expect, golden, main, scratch, wait_for  # noqa: E402

KILLED = -9


def job(name, script, restart="Never", **spec):
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name, "annotations": {"mine": "x"}}, "spec": {
        "backoffLimit": 0, **spec, "template": {"spec": {"restartPolicy": restart, "terminationGracePeriodSeconds": 0, "containers": [
            {"name": "main", "image": testbed.IMAGE, "command": ["sh", "-c", script], "env": [{"name": "P", "value": "${{ params.password }}"}]}]}}}}


def jobs(a, ns):
    return sorted(o["metadata"]["name"] for o in a.get("jobs", namespace=ns)["items"])


def made(a, mark):
    return [c for c in changes(a, mark) if c.startswith("create ")]


def back(d, **more):
    return d.w.ok("rollback", "r%d" % d.n, "--yes", "--format", "plain", **more)


@testbed.shared(node=True)
def test_works(a):
    """Its log and message are outputs, what it holds in confidence is not told; the undo removes it with its pods."""
    with scratch() as folder, a.namespace() as ns:
        d = Desk(folder, a, ns)
        script = "echo one; echo two; printf '{\"n\": 3}' >/dev/termination-log; sleep 1"
        done = d.both(step("j", "kubernetes.job", object=job("work", script)),
                      check("steps.j.outputs.log == 'one\\ntwo\\n' and not steps.j.outputs.truncated", "j"),
                      check("steps.j.outputs.message == '{\"n\": 3}' and steps.j.outputs.succeeded == 1", "j"),
                      check("steps.j.outputs.object.status.succeeded == 1 and steps.j.outputs.uid ~= ''", "j"))
        expect(PASSWORD not in done.out + done.err, "a secret is told")
        notes = a.get("job", "work", namespace=ns)["metadata"]["annotations"]
        equal((notes["mine"], notes["wherry/run"], notes["wherry/step"]), ("x", "r%d" % d.n, "j"), "annotations")
        refused(d, [step("j", "kubernetes.job", object=job("work", script))], "Job work is there already, made by run r1: what it has done")
        d.w.ok("rollback", "r1", "--yes")
        wait_for(lambda: not a.get("jobs,pods", namespace=ns)["items"], "Job and pods are gone")
        d.both(step("j", "kubernetes.job", object=job("work", "seq 100000; sleep 2"), max="1KiB", remove=True),
               check("#steps.j.outputs.log <= 1024 and steps.j.outputs.truncated and steps.j.outputs.log:ends_with('100000\\n')", "j"))
        wait_for(lambda: not a.get("jobs,pods", namespace=ns)["items"], "Job and pods are gone")
        mark = a.audit_mark()
        back(d)
        equal([e for e in a.audit(mark, resource="pods", namespace=ns, verbs=("create",))], [], "pods of a rollback")
        equal(jobs(a, ns), [], "jobs after the rollback")
        plain = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "x"}, "spec": {"ttlSecondsAfterFinished": 5}}
        for bad in ({**plain, "kind": "Pod", "apiVersion": "v1"}, plain, {**plain, "metadata": {"generateName": "x"}}):
            d.w.ok("validate", d.file([step("j", "kubernetes.job", object=bad)]), code=2)


@testbed.shared(node=True)
def test_fails(a):
    """The reason, the pod and the end of its log are told; the Job stays until it is done again, which makes another one."""
    with scratch() as folder, a.namespace() as ns:
        d = Desk(folder, a, ns)
        for restart in ("Never", "OnFailure"):
            a.kubectl("delete", "cm", "go", "--ignore-not-found", namespace=ns)
            spec = job("work", "echo so it goes; [ -e /go/yes ] || exit 3; echo well", restart)
            pod = spec["spec"]["template"]["spec"]
            pod["volumes"] = [{"name": "go", "configMap": {"name": "go", "optional": True}}]
            pod["containers"][0]["volumeMounts"] = [{"name": "go", "mountPath": "/go"}]
            one = step("j", "kubernetes.job", object=spec)
            done = d.run(one, code=1, words=["-q"])
            if restart == "Never":
                pod = a.get("pods", namespace=ns)["items"][0]["metadata"]["name"]
                golden("told/kube-job-fails.txt", told(done, ["run", "--yes", "-q"], (pod, "POD"), (ns, "NS")))
            for text in ("Job work has failed (BackoffLimitExceeded", "container 'main' ended with exit code 3", "its log ends: so it goes"):
                expect(text in done.out + done.err, "no '%s' in %s" % (text, done))
            first = a.get("job", "work", namespace=ns)["metadata"]
            equal(first["annotations"]["wherry/ended"], "failed", "what is written on it")
            a.kubectl("create", "cm", "go", "--from-literal=yes=1", namespace=ns)
            mark = a.audit_mark()
            d.w.ok("resume", "r%d" % d.n, "--yes")
            equal(changes(a, mark), ["create jobs %s/work" % ns, "delete jobs %s/work" % ns], "what the resume did")
            expect(a.get("job", "work", namespace=ns)["metadata"]["uid"] != first["uid"], "it is the same Job")
            back(d)
            equal(jobs(a, ns), [], "jobs after the rollback")
        done = d.run(step("j", "kubernetes.job", object=job("long", "echo begun; sleep 1000", activeDeadlineSeconds=3)), code=1)
        expect("Job long has failed (DeadlineExceeded" in done.out + done.err, done)
        done = d.run(step("j", "kubernetes.job", object=job("late", "sleep 1000"), timeout_="2s"), code=1)
        expect("Job late: not yet so" in done.out + done.err, done)


def has_faults():
    with open(os.environ["WHERRY"], "rb") as f:
        return b"kube.before_send" in f.read()


@testbed.shared(node=True)
def test_killed(a):
    """Killed at each place of making, marking and removing it: one Job, whose pod ran once, in the audit log."""
    if not has_faults():
        return "this build has no fault points"
    with scratch() as folder, a.namespace() as ns:
        d = Desk(folder, a, ns)
        one = step("j", "kubernetes.job", object=job("work", "echo done"), remove=True)
        for hit in (1, 2, 3):
            for point in ("effect.intent_durable", "kube.answered", "effect.settled"):
                mark, path = a.audit_mark(), d.file([one])
                got = d.w("run", path, "--yes", "--run-id", "r%d" % d.n, env={"WHERRY_FAULT": "%s:%d" % (point, hit)})
                equal(got.code, KILLED, "exit code at %s:%d: %s" % (point, hit, got))
                d.w.ok("resume", "r%d" % d.n, "--yes")
                equal(made(a, mark), ["create jobs %s/work" % ns], "Jobs made, killed at %s:%d" % (point, hit))
                pods = {e["requestObject"]["metadata"].get("generateName") for e in a.audit(mark, resource="pods", namespace=ns, verbs=("create",))
                        if e["objectRef"].get("subresource") is None}
                equal(len(pods), 1, "pods made")
                wait_for(lambda: not jobs(a, ns), "the Job is gone")
    return None


@testbed.shared(node=True)
def test_gone(a):
    """Somebody removed it while wherry was away: nothing is run again unasked."""
    if not has_faults():
        return "this build has no fault points"
    with scratch() as folder, a.namespace() as ns:
        d = Desk(folder, a, ns)
        path = d.file([step("j", "kubernetes.job", object=job("work", "echo done"), remove=True)])
        equal(d.w("run", path, "--yes", "--run-id", "r1", env={"WHERRY_FAULT": "kube.before_send:2"}).code, KILLED, "exit code")
        a.kubectl("delete", "job", "work", namespace=ns)
        mark = a.audit_mark()
        done = d.w("resume", "r1", "--yes")
        equal(changes(a, mark), [], "what the resume did")
        expect(done.code in (1, 3) and "Job work is gone" in done.out + done.err, done)
    return None


main(test_works, test_fails, test_killed, test_gone)
