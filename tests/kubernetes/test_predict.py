#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the dry-run of Kubernetes steps rests on: the server's own where it can be asked, else what earlier steps make; and what it
says where neither tells."""
import json
import os
import secrets
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import testbed  # noqa: E402
from kubeplan import Desk, changes  # noqa: E402
from wtest import equal, expect, main, scratch  # noqa: E402


def config(name, namespace=None, **data):
    meta = {"name": name, **({"namespace": namespace} if namespace else {})}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": data}


def deployment(name, namespace=None):
    meta = {"name": name, **({"namespace": namespace} if namespace else {})}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta, "spec": {
        "replicas": 0, "selector": {"matchLabels": {"app": name}}, "template": {
            "metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": "main", "image": "nowhere.test/x:1"}]}}}}


def step(name, uses, needs=(), /, **inputs):
    return json.dumps({"id": name, "uses": "kubernetes." + uses, "with": {"in": "k", **inputs}, "needs": list(needs)})


def actions(events):
    return {e["step"]: e for e in events if e["event"] == "action"}


def sure(events):
    return {step: "unchanged" if e.get("unchanged") else e["confidence"] for step, e in actions(events).items()}


@testbed.shared()
def test_exact(a):
    """The server tries it: defaults and all, and nothing is changed; what it would refuse the dry-run refuses."""
    with scratch() as folder, a.namespace() as ns:
        a.apply(config("old", x="1"), deployment("web"), namespace=ns)
        d = Desk(folder, a, ns)
        before, mark = a.get("cm,deploy", namespace=ns), a.audit_mark()
        events = d.plan(step("new", "apply", object=deployment("new")), step("patch", "patch", kind="cm", name="old", merge={"data": {"x": "2"}}),
                        step("scale", "scale", kind="Deployment", name="web", replicas=3),
                        step("same", "label", kind="sa", name="default", labels={"a": None}),
                        step("gone", "delete", ["patch"], kind="cm", name="old"))
        equal(sure(events), {"new": "exact", "patch": "exact", "scale": "exact", "same": "unchanged", "gone": "simulated"}, "confidence")
        expect("RollingUpdate" in actions(events)["new"]["diff"], "no defaults: %s" % actions(events)["new"])
        equal(actions(events)["patch"]["diff"], '- data.x: "1"\n+ data.x: "2"\n', "diff")
        equal(actions(events)["scale"]["diff"], '+ spec.replicas: 3\n', "diff of a scale")
        expect(a.get("cm,deploy", namespace=ns)["items"] == before["items"] and not changes(a, mark), "the dry-run changed something")
        for one, words in (
                (step("x", "create", object=config("old", x="1")), ["already exists"]),
                (step("x", "apply", object=config("old", x="7")), ["data.x", "kubectl-client-side-apply"]),
                (step("x", "apply", object={**config("new"), "dada": {}}), ["dada"]),
                (step("x", "apply", object={**deployment("web"), "spec": {"replicas": -1}}), ["spec.replicas"]),
                (step("x", "patch", kind="cm", name="none", merge={"data": {"x": "1"}}), ["none"])):
            done = d.w.ok("plan", d.file([one]), code=1)
            for word in words:
                expect(word in done.out + done.err, "no '%s' in %s" % (word, done))


@testbed.shared()
def test_simulated(a):
    """In a namespace, and of a kind, that the plan itself makes; the run then does just that. Without these steps it is refused."""
    with scratch() as folder, a.namespace() as ns:
        d = Desk(folder, a, ns)
        mine, group = ns + "-mine", secrets.token_hex(3) + ".wherry.test"
        definition = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "widgets." + group}, "spec": {
            "group": group, "scope": "Namespaced", "names": {"kind": "Widget", "plural": "widgets"}, "versions": [
                {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {
                    "type": "object", "x-kubernetes-preserve-unknown-fields": True}}}]}}
        widget = {"apiVersion": group + "/v1", "kind": "Widget", "metadata": {"name": "w"}, "spec": {"size": 1}}
        steps = [
            step("ns", "apply", object={"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": mine}}),
            step("cm", "apply", ["ns"], object=config("c", mine, x="1")),
            step("more", "patch", ["cm"], kind="cm", name=mine + "/c", merge={"data": {"y": "2"}}),
            step("again", "apply", ["more"], object=config("c", mine, x="1")),
            step("web", "apply", ["ns"], object=deployment("web", mine)),
            step("kind", "apply", object=definition),
            step("ready", "wait", ["kind"], kind="CustomResourceDefinition", name="widgets." + group, condition="Established"),
            step("widget", "apply", ["ready"], object=widget),
            step("bigger", "patch", ["widget"], kind="Widget." + group, name="w", merge={"spec": {"size": 2}})]
        try:
            got = sure(d.plan(*steps))
            equal(got, {"ns": "exact", "cm": "simulated", "more": "simulated", "again": "unchanged", "web": "simulated", "kind": "exact",
                        "widget": "simulated", "bigger": "predicted"}, "confidence")
            for one, word in ((steps[1], mine), (steps[7], "Widget")):
                one = json.dumps({**json.loads(one), "needs": []})
                done = d.w.ok("plan", d.file([one]), code=1)
                expect(word in done.out + done.err, "no '%s' in %s" % (word, done))
            d.run(*steps)
            equal(a.get("cm", "c", namespace=mine)["data"], {"x": "1", "y": "2"}, "data")
            equal(a.get("widgets." + group, "w", namespace=ns)["spec"], {"size": 2}, "the widget")
            d.w.ok("rollback", "r%d" % d.n, "--yes", "--format", "plain")
            expect(mine not in [o["metadata"]["name"] for o in a.get("ns")["items"] if o["status"]["phase"] == "Active"], "it is there")
        finally:
            a.kubectl("delete", "namespace", mine, "--wait=false", "--ignore-not-found")
            a.kubectl("delete", "crd", "widgets." + group, "--wait=false", "--ignore-not-found")


@testbed.shared()
def test_rights(a):
    """What the user may not do the dry-run refuses; where an earlier step changes something it may be allowed then, and is foretold."""
    with scratch() as folder, a.namespace() as ns:
        a.kubectl("create", "role", "add", "--verb=get,create", "--resource=configmaps", namespace=ns)
        a.kubectl("create", "rolebinding", "add", "--role=add", "--user=adder", namespace=ns)
        a.apply(config("old", x="1"), namespace=ns)
        d = Desk(folder, a, ns, kubeconfig=a.user("adder"))
        first = step("first", "create", object=config("new", x="1"))
        done = d.w.ok("plan", d.file([step("one", "patch", kind="cm", name="old", merge={"data": {"x": "2"}})]), code=1)
        expect("cannot patch resource" in done.out + done.err, "no word of the missing right: %s" % done)
        done = d.w.ok("plan", d.file([first, step("one", "patch", ["first"], kind="cm", name="old", merge={"data": {"x": "2"}})]),
                      "--format", "json")
        equal(sure(done.json()), {"first": "exact", "one": "predicted"}, "confidence")
        expect("foretold, not tried" in done.out and "cannot patch resource" in done.out, "no word of the missing right: %s" % done)


main(test_exact, test_simulated, test_rights)
