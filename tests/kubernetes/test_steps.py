#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The Kubernetes steps one by one on a real API server: what they read, write, wait for and refuse."""
import base64
import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import testbed  # noqa: E402
from kubeplan import PASSWORD, Desk, changes, check, config, deployment, refused, step  # noqa: E402
from wtest import equal, expect, main, scratch  # noqa: E402


@testbed.shared()
def test_look(a):
    """get, list and info: outputs, absence, selectors, expressions; nothing of a Secret."""
    with scratch() as folder, a.namespace() as ns:
        a.apply(config("one", x="1"), config("two", x="2"), {
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": {"p": "very-hidden"}}, namespace=ns)
        d = Desk(folder, a, ns)
        done = d.run(
            step("g", "kubernetes.get", kind="cm", name="one"),
            step("s", "kubernetes.get", kind="Secret", name="s"),
            step("no", "kubernetes.get", kind="ConfigMap", name="three", missing="required"),
            step("may", "kubernetes.get", kind="configmaps", name=ns + "/three", missing="allowed"),
            step("l", "kubernetes.list", kind="ConfigMap", where="${{ has(value.data, 'x') and value.data.x == '2' }}"),
            step("names", "kubernetes.list", kind="ConfigMap", field_selector="metadata.name!=one", each="${{ value.metadata.name }}"),
            step("all", "kubernetes.list", kind="Secret", all_namespaces=True, selector="owner!=helm", each="${{ value.data }}"),
            step("i", "kubernetes.info"),
            check("steps.g.outputs.object.data.x == '1' and steps.g.outputs.exists"),
            check("steps.s.outputs.object.data.p == '(secret)'"),
            check("not steps.may.outputs.exists and steps.may.outputs.object == nil"),
            check("steps.l.outputs.count == 1 and steps.l.outputs.items[1].metadata.name == 'two'"),
            check("join(steps.names.outputs.items, ' ') == 'kube-root-ca.crt two'"),
            check("steps.i.outputs.version:starts_with('1.') and steps.i.outputs.id ~= ''"),
            check("not has(steps.g.outputs.object.metadata, 'managedFields')"))
        for text in [done.out, done.err] + [read(os.path.join(d.w.folder("r1"), f)) for f in os.listdir(d.w.folder("r1"))]:
            expect("very-hidden" not in text and "dmVyeS1oaWRkZW4=" not in text, "the content of a Secret is in the run's folder")
        refused(d, [step("g", "kubernetes.get", kind="ConfigMap", name="one", missing="required")], "ConfigMap one is there, and must not be")
        refused(d, [step("g", "kubernetes.get", kind="ConfigMap", name="three")], "ConfigMap three is not there")
        refused(d, [step("l", "kubernetes.list", kind="ConfigMap", limit=1)], "more than 1 objects of kind ConfigMap match")
        refused(d, [step("g", "kubernetes.get", kind="Konfig", name="three")], "Konfig")


def read(path):
    if not os.path.isfile(path):
        return ""
    with open(path, errors="replace") as f:
        return f.read()


@testbed.shared()
def test_rights(a):
    """All rights that are missing are named at once; a user without them gets 403 told by verb, kind and place."""
    with scratch() as folder, a.namespace() as ns:
        a.kubectl("create", "role", "few", "--verb=get,list", "--resource=configmaps", namespace=ns)
        a.kubectl("create", "rolebinding", "few", "--role=few", "--user=tester", namespace=ns)
        d = Desk(folder, a, ns, kubeconfig=a.user("tester"))
        rights = [{"verb": "get", "kind": "ConfigMap"}, {"verb": "create", "kind": "Pod/exec"}, {"verb": "patch", "kind": "Deployment"},
                  {"verb": "get", "kind": "ConfigMap", "namespace": "kube-system"}]
        refused(d, [step("r", "kubernetes.can-i", all=rights)], "3 of 4 rights are missing",
                "create Pod/exec", "patch Deployment", "get ConfigMap in kube-system")
        Desk(os.path.join(folder, "x"), a, ns)
        refused(d, [step("g", "kubernetes.get", kind="Secret", name="x")], "forbidden", "secrets")
        refused(d, [step("p", "kubernetes.apply", object=config("c", x="1"))], "403", 'cannot patch resource "configmaps"')
        equal(len(a.get("cm", namespace=ns)["items"]), 1, "config maps")


@testbed.shared()
def test_write(a):
    """Every writing step: the dry-run announces what the audit log then has, and a second run has nothing to do."""
    with scratch() as folder, a.namespace() as ns:
        d = Desk(folder, a, ns)
        a.apply(config("old", x="1", y="2"), deployment("web", replicas=0), namespace=ns)
        steps = [
            step("many", "kubernetes.apply", objects=[config("one", x="1"), config("two", x="2")]),
            step("new", "kubernetes.create", object=config("three", x="3")),
            step("merge", "kubernetes.patch", kind="cm", name="old", merge={"data": {"x": None, "z": "3"}}, needs_=["many"]),
            step("json", "kubernetes.patch", kind="cm", name="old", json=[{"op": "add", "path": "/data/a", "value": "b"}], needs_=["merge"]),
            step("strategic", "kubernetes.patch", kind="deploy", name="web", strategic={"spec": {"template": {"spec": {"containers": [
                {"name": "main", "env": [{"name": "A", "value": "b"}]}]}}}}),
            step("scale", "kubernetes.scale", kind="Deployment", name=ns + "/web", replicas=2, needs_=["strategic"]),
            step("label", "kubernetes.label", kind="ConfigMap", name="old", labels={"a": "b"}, needs_=["json"]),
            step("note", "kubernetes.annotate", kind="ConfigMap", name="old", annotations={"example.com/a": "b"}, needs_=["label"])]
        done = d.both(*steps, check("steps.many.outputs.objects[2].name == 'two' and steps.many.outputs.object == nil"),
                      check("steps.new.outputs.uid ~= '' and steps.new.outputs.object.data.x == '3'"),
                      check("steps.merge.outputs.object.data.x == nil and steps.merge.outputs.object.data.z == '3'"))
        old = a.get("cm", "old", namespace=ns)
        equal(old["data"], {"a": "b", "y": "2", "z": "3"}, "data")
        equal(old["metadata"]["labels"], {"a": "b"}, "labels")
        equal(old["metadata"]["annotations"].get("example.com/a"), "b", "annotation")
        web = a.get("deploy", "web", namespace=ns)
        equal(web["spec"]["replicas"], 2, "replicas")
        equal(web["spec"]["template"]["spec"]["containers"][0]["command"], ["sleep", "1000"], "what the patch did not name")
        mark = a.audit_mark()
        steps = [steps[0], steps[2], steps[3], steps[6], steps[7],
                 step("scale", "kubernetes.scale", kind="Deployment", name=ns + "/web", replicas=2)]
        again = [e for e in d.plan(*steps) if e.get("event") == "action"]
        equal([e["ref"] for e in again if not e.get("unchanged")], [], "changes in a second dry-run")
        d.run(*steps)
        equal(changes(a, mark), [], "changes in a second run")
        d.both(step("x", "kubernetes.delete", kind="ConfigMap", name="old", wait=False),
               step("y", "kubernetes.delete", kind="cm", name="gone", missing_ok=True, wait=False))
        equal([o["metadata"]["name"] for o in a.get("cm", namespace=ns)["items"]], ["kube-root-ca.crt", "one", "three", "two"], "what is left")
        expect("(secret)" not in done.out, "a secret where there is none")


@testbed.shared()
def test_foretold(a):
    """A dry-run goes on over what its earlier steps would make: a namespace, what is in it, its patch, a wait, its end."""
    with scratch() as folder, a.namespace() as ns:
        d = Desk(folder, a, ns)
        other = ns + "-x"
        steps = [step("ns", "kubernetes.create", object={"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": other}}),
                 step("one", "kubernetes.apply", namespace=other, object=config("one", x="1"), needs_=["ns"]),
                 step("got", "kubernetes.get", kind="cm", name=other + "/one", needs_=["one"]),
                 step("two", "kubernetes.patch", kind="ConfigMap", name=other + "/one", needs_=["got"],
                      merge={"data": {"y": "${{ steps.got.outputs.object.data.x }}"}}),
                 step("seen", "kubernetes.wait", kind="ConfigMap", namespace=other, name="one", until="${{ value.data.y == '1' }}", needs_=["two"]),
                 step("gone", "kubernetes.delete", kind="ConfigMap", namespace=other, name="one", needs_=["seen"]),
                 step("none", "kubernetes.get", kind="ConfigMap", namespace=other, name="one", missing="required", needs_=["gone"])]
        foretold = {e["step"]: e["confidence"] for e in d.plan(*steps) if e["event"] == "action"}
        equal(foretold, {"ns": "exact", "one": "simulated", "two": "simulated", "gone": "simulated"}, "how sure it is")
        try:
            d.both(*steps)
        finally:
            a.kubectl("delete", "namespace", other, "--wait=false")


@testbed.shared()
def test_secrets(a):
    """A secret of the plan reaches the cluster, and neither outputs, terminal nor journal."""
    with scratch() as folder, a.namespace() as ns:
        d = Desk(folder, a, ns)
        hidden = "${{ params.password }}"
        done = d.run(
            step("s", "kubernetes.apply", object={"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": {"p": hidden}}),
            step("c", "kubernetes.apply", object=config("c", p=hidden)),
            step("p", "kubernetes.patch", kind="ConfigMap", name="c", merge={"data": {"q": hidden}}, needs_=["c"]),
            check("steps.c.outputs.object.metadata.name == 'c' and steps.c.outputs.object.data == nil"),
            check("steps.p.outputs.object.data == nil"))
        equal(a.get("cm", "c", namespace=ns)["data"], {"p": PASSWORD, "q": PASSWORD}, "the config map")
        shown = d.w.ok("report", "r1").out + done.out + done.err + "".join(
            json.dumps(e) for e in d.plan(step("s", "kubernetes.apply", object=config("c", p=hidden + "2"))))
        shown += str(d.run(step("l", "kubernetes.patch", kind="ConfigMap", name="c", merge={"metadata": {"labels": {"a": hidden + " x"}}}), code=1))
        shown += str(d.run(step("l", "kubernetes.patch", kind="Secret", name="s", merge={"data": {"p": 7}}), code=1))
        for text in [shown] + [read(os.path.join(d.w.folder(r), "journal")) for r in ("r1", "r3", "r4")]:
            for word in (PASSWORD, base64.b64encode(PASSWORD.encode()).decode()):
                at = text.find(word)
                expect(at < 0, "the password is in the open: %s" % text[max(at - 300, 0):at + 50])


@testbed.shared()
def test_refusals(a):
    """404, 409, 422, a namespace that ends or is not there, a kind that is not there: exit code 1, and who said what."""
    with scratch() as folder, a.namespace() as ns:
        d = Desk(folder, a, ns)
        a.apply(config("one", x="1"), namespace=ns)
        refused(d, [step("x", "kubernetes.patch", kind="ConfigMap", name="two", merge={"data": {"x": "1"}})], "two")
        refused(d, [step("x", "kubernetes.delete", kind="ConfigMap", name="two")], "two")
        refused(d, [step("x", "kubernetes.scale", kind="Deployment", name="two", replicas=1)], "two")
        refused(d, [step("x", "kubernetes.create", object=config("one", x="1"))], "one", "already")
        refused(d, [step("x", "kubernetes.apply", object=config("one", x="2"))], "kubectl-client-side-apply", "data.x")
        d.run(step("x", "kubernetes.apply", object=config("one", x="2"), force=True))
        equal(a.get("cm", "one", namespace=ns)["data"]["x"], "2", "what was taken over")
        refused(d, [step("x", "kubernetes.apply", object={**config("three"), "data": {"a b": "1"}})], "422", "a b")
        refused(d, [step("x", "kubernetes.patch", kind="ConfigMap", name="one", merge={"data": {"x": 1}})], "422")
        refused(d, [step("x", "kubernetes.patch", kind="ConfigMap", name="one", json=[{"op": "test", "path": "/data/x", "value": "9"}])], "one")
        refused(d, [step("x", "kubernetes.apply", object={**config("one"), "kind": "Konfig"})], "Konfig")
        refused(d, [step("x", "kubernetes.apply", object={**config("one"), "apiVersion": "example.com/v1", "kind": "Konfig"})], "Konfig")
        refused(d, [step("x", "kubernetes.apply", object=config("one", x="1"), namespace="nowhere")], "nowhere")
        for bad in (step("x", "kubernetes.get", kind="ConfigMap", name="A"), step("x", "kubernetes.patch", kind="ConfigMap", name="a"),
                    step("x", "kubernetes.wait", kind="Pod", name="a", absent=True, condition="Ready"),
                    step("x", "kubernetes.apply", object={"kind": "ConfigMap"}), step("x", "kubernetes.list", kind="Pod", selector="")):
            d.w.ok("validate", d.file([bad]), code=2)
        a.apply({**config("last"), "metadata": {"name": "last", "finalizers": ["wherry.test/stays"]}}, namespace=ns)
        try:
            a.kubectl("delete", "namespace", ns, "--wait=false")
            refused(d, [step("x", "kubernetes.create", object=config("four", x="1"))], "terminat")
        finally:
            a.kubectl("patch", "cm", "last", "--type=merge", "-p", '{"metadata":{"finalizers":null}}', namespace=ns)


main(test_look, test_rights, test_write, test_foretold, test_secrets, test_refusals)
