#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What Kubernetes steps did is taken back, field by field and object by object; what somebody else did is never overwritten."""
import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import testbed  # noqa: E402
from kubeplan import PASSWORD, Desk, changes  # noqa: E402
from wtest import equal, expect, main, scratch, wait_for  # noqa: E402


def config(name, **data):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def secret(name, **data):
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": data}


def deployment(name, replicas=0):
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": {
        "replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": {
            "metadata": {"labels": {"app": name}},
            "spec": {"containers": [{"name": "main", "image": "nowhere.test/x:1", "env": [{"name": "A", "value": "1"}]}]}}}}


def step(name, uses, needs=(), /, **inputs):
    return json.dumps({"id": name, "uses": "kubernetes." + uses, "with": {"in": "k", **inputs}, "needs": list(needs)})


def state(cluster, namespace):
    """All that people see of the namespace's objects, but for numbers that only grow."""
    got = {}
    for o in cluster.get("cm,secret,deploy,sa", namespace=namespace)["items"]:
        meta = {k: v for k, v in o["metadata"].items() if k in ("labels", "annotations", "finalizers") and v}
        meta.get("annotations", {}).pop("deployment.kubernetes.io/revision", None)
        got[o["kind"] + "/" + o["metadata"]["name"]] = {**{k: v for k, v in o.items() if k not in ("status", "metadata")}, "metadata": meta}
    return got


def back(desk, *words, code=0):
    return desk.w.ok("rollback", "r%d" % desk.n, "--yes", "--format", "plain", *words, code=code)


def stopped(desk, *words):
    """A rollback that somebody else's change stops, with exit code 3."""
    done = back(desk, code=3)
    for word in words:
        expect(word in done.out + done.err, "no '%s' in %s" % (word, done))
    return done


WEB = {"kind": "Deployment", "name": "web"}


@testbed.shared()
def test_everything(a):
    """A run of every verb, several on one object, is rolled back to what was there; its dry-run says the same requests."""
    with scratch() as folder, a.namespace() as ns:
        a.apply(config("old", x="1", y="2"), config("goes", z="3"), secret("key", p="old-hidden"), deployment("web"), namespace=ns)
        before = state(a, ns)
        d = Desk(folder, a, ns)
        d.run(
            step("new", "create", object=config("new", n="1")),
            step("applied", "apply", object=config("applied", n="1")),
            step("again", "apply", ["applied"], object=config("applied", n="2", m="3")),
            step("force", "apply", object=config("old", x="5", w="6"), force=True),
            step("merge", "patch", ["force"], kind="cm", name="old", merge={"data": {"y": None, "v": "7"}}),
            step("json", "patch", ["merge"], kind="cm", name="old", json=[{"op": "add", "path": "/data/u", "value": "8"}]),
            step("secret", "apply", object=secret("key", p="new-hidden", q="more-hidden"), force=True),
            step("plain", "patch", ["json"], kind="cm", name="old", merge={"data": {"x": "${{ params.password }}"}}),
            step("twice", "apply", ["secret"], object=secret("key", p="third-hidden", q="more-hidden"), force=True),
            step("scale", "scale", replicas=2, **WEB),
            step("strategic", "patch", ["scale"], strategic={"spec": {"template": {"spec": {"containers": [
                {"name": "main", "env": [{"name": "B", "value": "2"}]}]}}}}, **WEB),
            step("label", "label", ["strategic"], labels={"a": "b"}, **WEB),
            step("note", "annotate", ["label"], annotations={"example.com/n": "c"}, **WEB),
            step("goes", "delete", kind="ConfigMap", name="goes", wait=False),
            step("comes", "create", ["goes"], object=config("goes", z="other")))
        expect(state(a, ns) != before, "nothing has happened")
        plan = d.w.ok("rollback", "r1", "--dry-run", "--format", "json")
        for text in ("old-hidden", "new-hidden", "b2xkLWhpZGRlbg", PASSWORD):
            expect(text not in plan.out + plan.err, "the dry-run shows a secret")
        mark = a.audit_mark()
        back(d)
        equal(state(a, ns), before, "the namespace")
        announced = [e["verb"] for e in plan.json() if e["event"] == "action" and not e.get("unchanged")]
        equal(len(changes(a, mark)), len(announced), "requests of the rollback, and announced ones %s" % announced)


@testbed.shared()
def test_others(a):
    """Other people's fields neither stop an undo nor get lost; a change of ours by somebody else does, and is named."""
    with scratch() as folder, a.namespace() as ns:
        d = Desk(folder, a, ns)

        def story(one, change, words, put_back=None):
            """A step, a stranger's change that stops the undo, and the way on."""
            a.apply(config("old", x="1", y="2"), deployment("web", 1), namespace=ns)
            before = state(a, ns)
            d.run(one)
            a.kubectl(*change, namespace=ns)
            stopped(d, "was changed by someone else", *words)
            if put_back:
                a.kubectl(*put_back, namespace=ns)
                back(d)
                equal(state(a, ns), before, "the namespace after %s" % one)
            else:
                d.w.ok("resolve", "r%d" % d.n, "one~undo", "--done", "--reason", "it is fine")
                back(d)
            a.kubectl("delete", "cm,deploy", "--all", namespace=ns)

        def merge(kind, name, patch):
            return ["patch", kind, name, "--type=merge", "-p", json.dumps(patch)]

        story(step("one", "patch", kind="cm", name="old", merge={"data": {"x": "5"}}), merge("cm", "old", {"data": {"x": "6"}}),
              ["ConfigMap/%s/old" % ns, "data.x differs"], merge("cm", "old", {"data": {"x": "5"}}))
        story(step("one", "apply", object=config("old", x="5"), force=True), merge("cm", "old", {"data": {"x": None}}), ["data"],
              merge("cm", "old", {"data": {"x": "5"}}))
        story(step("one", "scale", replicas=3, **WEB), ["scale", "deploy", "web", "--replicas=4"], ["Deployment.apps/%s/web#scale" % ns],
              ["scale", "deploy", "web", "--replicas=3"])
        story(step("one", "label", kind="cm", name="old", labels={"l": "1"}), ["label", "cm", "old", "l=2", "--overwrite"],
              ["metadata.labels.l differs"], ["label", "cm", "old", "l=1", "--overwrite"])
        story(step("one", "delete", kind="cm", name="old", wait=False), ["create", "cm", "old", "--from-literal=x=9"], ["it is there again"])
        story(step("one", "apply", object=config("new", n="1")), merge("cm", "new", {"data": {"n": "2"}}), ["data.n differs"])
        # what is none of ours
        a.apply(config("old", x="1", y="2"), deployment("web", 1), namespace=ns)
        d.run(step("one", "patch", kind="cm", name="old", merge={"data": {"x": "5"}, "metadata": {"labels": {"ours": "1"}}}),
              step("two", "label", labels={"ours": "1"}, **WEB))
        a.kubectl(*merge("cm", "old", {"data": {"y": "theirs"}, "metadata": {"labels": {"theirs": "1"}}}), namespace=ns)
        a.kubectl("scale", "deploy", "web", "--replicas=0", namespace=ns)
        back(d)
        old, web = a.get("cm", "old", namespace=ns), a.get("deploy", "web", namespace=ns)
        equal([old["data"], old["metadata"]["labels"]], [{"x": "1", "y": "theirs"}, {"theirs": "1"}], "their fields, and ours as before")
        equal([web["spec"]["replicas"], web["metadata"].get("labels")], [0, None], "their scale, our label")


@testbed.shared()
def test_made_anew(a):
    """An object that somebody made anew under the name is neither deleted nor patched, but where an undo of ours made it."""
    with scratch() as folder, a.namespace() as ns:
        d = Desk(folder, a, ns)
        for one in (step("one", "apply", object=config("c", x="1")), step("one", "create", object=config("c", x="1")),
                    step("one", "label", kind="cm", name="c", labels={"a": "b"})):
            if "label" in one:
                a.apply(config("c", x="1"), namespace=ns)
            d.run(one)
            a.kubectl("delete", "cm", "c", namespace=ns)
            a.apply({**config("c", x="1"), "metadata": {"name": "c", "labels": {"a": "b"}}}, namespace=ns)
            mark = a.audit_mark()
            stopped(d, "metadata.uid differs")
            equal(changes(a, mark), [], "changes")
            a.kubectl("delete", "cm", "c", namespace=ns)
        a.apply(config("c", x="1"), namespace=ns)
        d.run(step("one", "patch", kind="cm", name="c", merge={"data": {"x": "2"}}), step("two", "delete", ["one"], kind="cm", name="c", wait=False))
        back(d)
        equal(a.get("cm", "c", namespace=ns)["data"], {"x": "1"}, "data")


@testbed.shared()
def test_ours(a):
    """What wherry created, patched or put back is no stranger's: an apply takes it over; fields that it names no more go."""
    with scratch() as folder, a.namespace() as ns:
        d = Desk(folder, a, ns)
        d.run(step("new", "create", object=config("c", x="1")), step("over", "apply", ["new"], object=config("c", x="2", y="1")),
              step("patch", "patch", ["over"], kind="cm", name="c", merge={"data": {"x": "3"}}))
        d.run(step("one", "apply", object=config("c", x="4")))
        equal(a.get("cm", "c", namespace=ns)["data"], {"x": "4"}, "data without what is named no more")
        back(d)
        equal(a.get("cm", "c", namespace=ns)["data"], {"x": "3", "y": "1"}, "data after the undo")
        d.run(step("one", "apply", object=config("c", x="5")))
        equal(a.get("cm", "c", namespace=ns)["data"]["x"], "5", "x")
        a.kubectl("patch", "cm", "c", "--type=merge", "-p", '{"data":{"x":"6"}}', namespace=ns)
        done = d.run(step("one", "apply", object=config("c", x="7")), code=1)
        expect("kubectl-patch" in done.out + done.err and "data.x" in done.out + done.err, "no word of the owner: %s" % done)


@testbed.shared()
def test_lost(a):
    """What cannot come back says so; what a controller makes again is left to it; what waits for a finalizer is waited for."""
    with scratch() as folder, a.namespace() as ns:
        d = Desk(folder, a, ns)
        other = ns + "-x"
        a.kubectl("create", "namespace", other)
        d.run(step("one", "delete", kind="Namespace", name=other, wait=False))
        stopped(d, "cannot be taken back by itself", "all that was in the namespace is gone with it")
        a.apply(deployment("web", 1), namespace=ns)
        pods = ["get", "pods", "-l", "app=web", "-o", "name"]
        wait_for(lambda: a.kubectl(*pods, namespace=ns), "a pod")
        pod = a.kubectl(*pods, namespace=ns).strip().split("/")[1]
        d.run(step("one", "delete", kind="Pod", name=pod, grace=0))
        back(d)  # its controller makes another one, which is none of ours
        held = {**config("held", x="1"), "metadata": {"name": "held", "finalizers": ["wherry.test/stays"]}}
        a.apply(held, namespace=ns)
        d.run(step("one", "delete", kind="cm", name="held", wait=False))
        equal("deletionTimestamp" in a.get("cm", "held", namespace=ns)["metadata"], True, "it is going")
        w = d.w.start("rollback", "r%d" % d.n, "--yes", "--format", "plain")
        try:
            a.kubectl("patch", "cm", "held", "--type=merge", "-p", '{"metadata":{"finalizers":null}}', namespace=ns)
            equal(w.wait(60), 0, "exit code of the rollback")
        finally:
            w.kill()
            w.wait()
        got = a.get("cm", "held", namespace=ns)
        equal([got["data"], got["metadata"]["finalizers"]], [{"x": "1"}, ["wherry.test/stays"]], "made again")
        a.kubectl("patch", "cm", "held", "--type=merge", "-p", '{"metadata":{"finalizers":null}}', namespace=ns)


main(test_everything, test_others, test_made_anew, test_ours, test_lost)
