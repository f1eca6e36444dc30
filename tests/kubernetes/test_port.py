#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Export, import and compare on real API servers: what comes out is its authors', goes in elsewhere, and is the same there."""
import base64
import hashlib
import json
import os
import secrets
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import testbed  # noqa: E402
from kubeplan import Desk, config  # noqa: E402
from wtest import LIMIT, equal, expect, main, scratch, wait_for  # noqa: E402

HIDDEN = "hidden-" + secrets.token_hex(8)
TRICKY = {"no": "no", "hex": "0x1", "exp": "1e3", "tilde": "~", "empty": "", "lines": "one\n  two\n\nthree\n", "tail": "a \nb", "ctl": "a\x1b[0m\tb\r\n",
          "uni": "é 😀 \u2028 \u202e", "colon": "a: b # c", "block": "|\n", "json": json.dumps({"a": [1, "\""]}, indent=2)}


def step(name, uses, /, **inputs):
    outer = {k[:-1]: inputs.pop(k) for k in list(inputs) if k.endswith("_")}
    return json.dumps({"id": name, "uses": uses, "with": {"in": "k", **inputs}, **outer})


def crd(plural, kind, group):
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    return {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": plural + "." + group}, "spec": {
        "group": group, "scope": "Namespaced", "names": {"plural": plural, "singular": kind.lower(), "kind": kind},
        "versions": [{"name": "v1beta1", "served": True, "storage": True, "schema": schema},
                     {"name": "v1", "served": True, "storage": False, "schema": schema}]}}


class World:
    """Objects of many kinds in a namespace, with a custom kind of their own."""

    def __init__(self, ns):
        self.group = "t%s.example.org" % secrets.token_hex(3)
        self.kind = "W" + secrets.token_hex(3)
        self.plural = self.kind.lower() + "s"
        self.crd = crd(self.plural, self.kind, self.group)
        pod = {"serviceAccountName": "runner", "containers": [{
            "name": "main", "image": testbed.IMAGE, "envFrom": [{"configMapRef": {"name": "tricky"}}],
            "env": [{"name": "P", "valueFrom": {"secretKeyRef": {"name": "password", "key": "p"}}}],
            "volumeMounts": [{"name": "data", "mountPath": "/data"}]}], "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]}
        template = {"metadata": {"labels": {"app": "web"}}, "spec": pod}
        self.objects = [
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "tricky", "annotations": {"note": "yes"}}, "data": TRICKY,
             "binaryData": {"b": base64.b64encode(bytes(range(256))).decode()}},
            {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "password"}, "stringData": {"p": HIDDEN}},
            {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": {"type": "NodePort", "selector": {"app": "web"}, "ports": [
                {"port": 80, "name": "http"}]}},
            {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "head"}, "spec": {"clusterIP": "None", "ports": [{"port": 80}]}},
            {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "runner"}},
            {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data"}, "spec": {
                "accessModes": ["ReadWriteOnce"], "storageClassName": "none", "resources": {"requests": {"storage": "1Mi"}}}},
            {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": {
                "replicas": 2, "selector": {"matchLabels": {"app": "web"}}, "template": template}},
            {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "once"}, "spec": {"suspend": True, "template": {"spec": {
                "restartPolicy": "Never", "containers": [{"name": "c", "image": testbed.IMAGE}]}}}},
            {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "system:odd"}, "rules": [
                {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]},
            {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": "runner"}, "roleRef": {
                "apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "system:odd"},
             "subjects": [{"kind": "ServiceAccount", "name": "runner", "namespace": ns}]},
            {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": "web"}, "spec": {"defaultBackend": {
                "service": {"name": "web", "port": {"number": 80}}}}},
        ]
        self.custom = [{"apiVersion": self.group + "/v1", "kind": self.kind, "metadata": {"name": "c%d" % i}, "spec": {"deep": [i, {"a": ["no", 1.5]}]}}
                       for i in range(3)]

    def make(self, cluster, ns):
        cluster.apply(self.crd)
        cluster.wait_until("condition=Established", "crd", self.crd["metadata"]["name"])
        cluster.apply(*self.objects, *self.custom, namespace=ns)

    def __len__(self):
        return len(self.objects) + len(self.custom) + 2  # the definition, the namespace

    def clean(self, *clusters):
        for c in clusters:
            c.kubectl("delete", "crd", self.crd["metadata"]["name"], "--ignore-not-found", "--wait=false")


def sums(folder):
    """SHA256SUMS, which `sha256sum` has found right and whole."""
    with open(os.path.join(folder, "SHA256SUMS"), "rb") as f:
        text = f.read()
    subprocess.run(["sha256sum", "--check", "--quiet", "--strict", "SHA256SUMS"], cwd=folder, check=True, timeout=LIMIT)
    with open(os.path.join(folder, "manifest.json")) as f:
        manifest = json.load(f)
    equal(manifest["sums"], hashlib.sha256(text).hexdigest(), "the sum of the sums")
    return manifest, [line.split("  ")[1] for line in text.decode().splitlines()]


def nothing_hidden(desk, done):
    """No trace of the Secret's content but in the exported files."""
    for text in (done.out, done.err):
        expect(HIDDEN not in text and base64.b64encode(HIDDEN.encode()).decode() not in text, "a secret was printed")
    for path, _, files in os.walk(os.path.join(desk.folder, "state")):
        for name in files:
            with open(os.path.join(path, name), "rb") as f:
                found = base64.b64encode(HIDDEN.encode()) in f.read()
            expect(not found or (name == "private" and os.stat(os.path.join(path, name)).st_mode & 0o77 == 0), "%s/%s holds a secret" % (path, name))


@testbed.shared()
def test_export(a):
    """One file an object, as its author wrote it; nothing of the server's; the dry-run counts the same; undo takes it away."""
    with scratch() as folder, a.namespace() as ns:
        world, d, to = World(ns), Desk(folder, a, ns), os.path.join(folder, "out")
        try:
            world.make(a, ns)
            a.wait_until("create", "pods", "-l", "app=web", namespace=ns)
            ask = step("x", "kubernetes.export", to=to, namespaces=[ns])
            told = d.plan(ask)
            expect(any("+ %d new" % (len(world) + 2) in str(e) for e in told), "the dry-run does not count: %s" % told)
            expect(not os.path.exists(to) and not os.path.exists(to + ".partial"), "the dry-run has written")
            done = d.run(ask)
            nothing_hidden(d, done)
            manifest, paths = sums(to)
            equal((manifest["objects"], len(paths)), (len(world), len(world)), "objects")
            equal(manifest["kinds"][world.kind + "." + world.group], 3, "custom objects")
            for path in ("ConfigMap/%s/tricky.yaml" % ns, "Role.rbac.authorization.k8s.io/%s/system%%3Aodd.yaml" % ns, "Namespace/_cluster/%s.yaml" % ns):
                expect(path in paths, "no %s in %s" % (path, paths))
                equal(os.stat(os.path.join(to, path)).st_mode & 0o777, 0o600, "the mode of " + path)
            for path in paths:
                shown = json.loads(a.kubectl("create", "--dry-run=client", "-o", "json", "-f", os.path.join(to, path)))
                meta = shown["metadata"]
                expect(not {"uid", "resourceVersion", "managedFields", "creationTimestamp"} & {k for k in meta if meta[k]}, "%s: %s" % (path, meta))
                expect("status" not in shown, path)
            shown = json.loads(a.kubectl("create", "--dry-run=client", "-o", "json", "-f", os.path.join(to, "ConfigMap", ns, "tricky.yaml")))
            equal((shown["data"], shown["binaryData"]), (TRICKY, world.objects[0]["binaryData"]), "what kubectl reads")
            with open(os.path.join(to, "Service", ns, "web.yaml")) as f:
                text = f.read()
            expect("nodePort" not in text and "clusterIP" not in text, text)
            with open(os.path.join(to, world.kind + "." + world.group, ns, "c1.yaml")) as f:
                expect("/v1beta1" in f.read(), "not the stored version")
            again = d.run(ask, code=1)
            expect("is there already" in again.err + again.out, str(again))
            d.run(step("y", "kubernetes.export", to=to + "2", namespaces=[ns]))
            equal(sums(to + "2"), (manifest, paths), "a second export")
            d.w.ok("rollback", "r2", "--yes")
            expect(not os.path.exists(to) and not os.path.exists(to + ".partial"), "the rollback left the folder")
            refused = d.run(step("z", "kubernetes.export", to=to + "3", namespaces=[ns], secrets="refuse"), code=1)
            expect("Secret/%s/password is selected" % ns in refused.err + refused.out, str(refused))
            d.run(step("s", "kubernetes.export", to=to + "4", namespaces=[ns], secrets="skip", kinds=["secrets", "configmap"]))
            equal(sums(to + "4")[0]["kinds"], {"ConfigMap": 1, "Namespace": 1}, "without secrets")
        finally:
            world.clean(a)


@testbed.shared()
def test_round(a, b):
    """Out of one cluster, into another one, out of that: the same files. A second import has nothing to do; rollback takes all of it back."""
    with scratch() as folder, a.namespace() as ns:
        world, one, two = World(ns), os.path.join(folder, "one"), os.path.join(folder, "two")
        try:
            world.make(a, ns)
            os.mkdir(os.path.join(folder, "b"))
            da, db = Desk(folder, a, ns), Desk(os.path.join(folder, "b"), b, ns)
            da.run(step("x", "kubernetes.export", to=one, namespaces=[ns]))
            ask = step("i", "kubernetes.import", **{"from": one})
            told = [e for e in db.plan(ask) if e.get("event") == "action"]
            equal(len(told), len(world), "objects that the dry-run lists")
            names = [e["ref"].split(" ", 1)[1] for e in told]
            expect(names[0] == "Namespace//" + ns and names[1].endswith("//" + world.crd["metadata"]["name"]), "the order: %s" % names)
            expect(names.index("Deployment.apps/%s/web" % ns) > max(names.index("Secret/%s/password" % ns), names.index("ServiceAccount/%s/runner" % ns)),
                   "the order: %s" % names)
            mark = b.audit_mark()
            done = db.run(ask)
            nothing_hidden(db, done)
            made = [e for e in b.audit(mark, user="wherry", verbs=("create",)) if e["responseStatus"]["code"] == 201 and "dryRun" not in e["requestURI"]
                    and not e["objectRef"]["resource"].startswith("selfsubject")]
            equal(len(made), len(world), "objects that were made")
            db.run(step("x", "kubernetes.export", to=two, namespaces=[ns]))
            equal(sums(two)[1], sums(one)[1], "the files")
            with open(os.path.join(one, "SHA256SUMS")) as f, open(os.path.join(two, "SHA256SUMS")) as g:
                equal(g.read(), f.read(), "their sums")
            equal(b.get("cm", "tricky", namespace=ns)["data"], TRICKY, "what kubectl sees")
            mark = b.audit_mark()
            for policy in ("skip", "adopt", "replace"):
                again = db.run(step("i", "kubernetes.import", on_existing=policy, **{"from": one}))
                equal([e["requestURI"] for e in b.audit(mark, user="wherry", verbs=("create", "patch", "update", "delete"))
                       if "dryRun" not in e["requestURI"] and not e["objectRef"]["resource"].startswith("selfsubject")], [],
                      "what a second import (%s) has done: %s" % (policy, again))
            db.w.ok("rollback", "r2", "--yes")
            wait_for(lambda: not b.kubectl("get", "crd", world.crd["metadata"]["name"], "--ignore-not-found", "-o", "name"), "the definition is gone")
        finally:
            world.clean(a, b)
            b.kubectl("delete", "namespace", ns, "--ignore-not-found", "--wait=false")


@testbed.shared()
def test_conflicts(a):
    """What is there already: named at once, left, taken over, or made equal; a namespace may have another name."""
    with scratch() as folder, a.namespace() as ns, a.namespace() as other:
        a.apply(*[{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c%d" % i}, "data": {"a": "file", "b": "file"}} for i in range(3)],
                namespace=ns)
        d, to = Desk(folder, a, ns), os.path.join(folder, "out")
        d.run(step("x", "kubernetes.export", to=to, namespaces=[ns]))
        there = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c1"}, "data": {"a": "theirs", "z": "theirs"}}
        a.apply(there, namespace=other)

        def ask(policy):
            return step("i", "kubernetes.import", on_existing=policy, namespaces={ns: other}, **{"from": to})
        for done in (d.run(ask("fail"), code=1), d.w.ok("plan", d.file([ask("fail")]), code=1)):
            expect("1 of the objects are there already: ConfigMap/%s/c1" % other in done.out + done.err, str(done))
        equal(len(a.get("cm", namespace=other)["items"]), 2, "nothing was done")
        for policy, wanted in (("skip", {"a": "theirs", "z": "theirs"}), ("adopt", {"a": "file", "b": "file", "z": "theirs"}),
                               ("replace", {"a": "file", "b": "file"})):
            told = {e["ref"].rsplit("/", 1)[1]: e for e in d.plan(ask(policy)) if e.get("event") == "action"}
            equal(bool(told["c1"].get("unchanged")), policy == "skip", "what the dry-run says of it")
            d.run(ask(policy))
            equal(a.get("cm", "c1", namespace=other)["data"], wanted, policy)
            equal(a.get("cm", "c2", namespace=other)["data"], {"a": "file", "b": "file"}, policy)
            d.w.ok("rollback", "r%d" % d.n, "--yes")
            equal(a.get("cm", "c1", namespace=other)["data"], there["data"], "after the rollback of " + policy)
            equal([c["metadata"]["name"] for c in a.get("cm", namespace=other)["items"]], ["c1", "kube-root-ca.crt"], "what is there then")
        with open(os.path.join(to, "ConfigMap", ns, "c0.yaml"), "a") as f:
            f.write("x: y\n")
        expect("was changed since the export" in str(d.run(ask("adopt"), code=1)), "a changed file was taken")


@testbed.shared()
def test_compare(a):
    """Two clusters, or a cluster and an export: equal, or the one field that differs is named, and no content."""
    with scratch() as folder, a.namespace() as ns, a.namespace() as other:
        world, to = World(ns), os.path.join(folder, "out")
        try:
            world.make(a, ns)
            d = Desk(folder, a, ns)
            d.run(step("x", "kubernetes.export", to=to, namespaces=[ns]))
            same = step("c", "kubernetes.compare", folder=to, namespaces=[ns])
            d.run(same)
            d.run(step("c", "kubernetes.compare", namespaces=[ns], **{"from": "k"}))
            moved = step("c", "kubernetes.compare", folder=to, namespaces=[ns], moved={ns: other})
            done = d.run(moved, code=1)
            expect("%d objects are missing, 0 extra, 0 changed, 2 equal" % (len(world) - 2) in done.out + done.err, str(done))
            copy = step("i", "kubernetes.import", namespaces={ns: other}, **{"from": to})
            both = [copy, step("c", "kubernetes.compare", folder=to, namespaces=[ns], moved={ns: other}, needs_=["i"])]
            told = d.w.ok("plan", d.file(both))
            expect("both sides are equal then" in told.out, str(told))
            d.run(*both)
            a.kubectl("patch", "deployment", "web", "--type=merge", "-p", '{"spec":{"replicas":3}}', namespace=ns)
            a.kubectl("patch", "secret", "password", "-p", json.dumps({"stringData": {"p": HIDDEN + "x"}}), namespace=ns)
            a.kubectl("delete", "serviceaccount", "runner", namespace=ns)
            a.kubectl("create", "configmap", "more", namespace=ns)
            done = d.run(same, code=1)
            text = done.out + done.err
            for words in ("1 objects are missing, 1 extra, 2 changed", "Deployment.apps/%s/web changed: spec.replicas;" % ns,
                          "Secret/%s/password changed: data.p;" % ns, "ServiceAccount/%s/runner missing" % ns, "ConfigMap/%s/more extra" % ns):
                expect(words in text, "no '%s' in %s" % (words, done))
            nothing_hidden(d, done)
            d.run(step("c", "kubernetes.compare", folder=to, namespaces=[ns], kinds=["deployments", "Role.rbac.authorization.k8s.io"],
                       ignore=["spec.replicas"]))
            d.run(step("c", "kubernetes.compare", folder=to, namespaces=[ns], differences="allowed"),
                  json.dumps({"id": "a", "uses": "assert", "with": {
                      "that": "${{ steps.c.outputs.changed == 2 and count(steps.c.outputs.differences) == 4 }}", "message": "counts"}}))
        finally:
            world.clean(a)


@testbed.shared()
def test_ahead(a):
    """The dry-run of a plan that exports and then imports tells every object that would be made, as the run makes them; it writes nothing."""
    with scratch() as folder, a.namespace() as ns, a.namespace() as other:
        world, to = World(ns), os.path.join(folder, "out")
        try:
            world.make(a, ns)
            d = Desk(folder, a, ns)
            both = [step("x", "kubernetes.export", to=to, namespaces=[ns]),
                    step("i", "kubernetes.import", namespaces={ns: other}, needs_=["x"], **{"from": to})]
            told = d.plan(*both)
            expect(not os.path.exists(to) and not os.path.exists(to + ".partial"), "the dry-run has written")
            announced = sorted(e["ref"].split(" ", 1)[1] for e in told if e.get("event") == "action" and e["step"] == "i" and not e.get("unchanged"))
            mark = a.audit_mark()
            nothing_hidden(d, d.run(*both))
            equal(len(announced), len(world) - 2, "objects that the dry-run lists: %s" % announced)
            made = [e["objectRef"].get("name") or e["requestObject"]["metadata"]["name"] for e in a.audit(mark, user="wherry", verbs=("create",))
                    if e["responseStatus"]["code"] == 201 and "dryRun" not in e["requestURI"] and not e["objectRef"]["resource"].startswith("selfsubject")]
            equal(sorted(made), sorted(ref.rsplit("/", 1)[1] for ref in announced), "what was made, and what was announced")
        finally:
            world.clean(a)


def write_export(folder, namespace, count):
    """What kubernetes.export would write of so many config maps."""
    os.makedirs(os.path.join(folder, "ConfigMap", namespace))
    lines = []
    for i in range(count):
        text = "apiVersion: v1\ndata:\n  a: b%d\nkind: ConfigMap\nmetadata:\n  name: m%05d\n  namespace: %s\n" % (i, i, namespace)
        path = "ConfigMap/%s/m%05d.yaml" % (namespace, i)
        lines.append("%s  %s\n" % (hashlib.sha256(text.encode()).hexdigest(), path))
        with open(os.path.join(folder, path), "w") as f:
            f.write(text)
    text = "".join(lines)
    with open(os.path.join(folder, "SHA256SUMS"), "w") as f:
        f.write(text)
    with open(os.path.join(folder, "manifest.json"), "w") as f:
        json.dump({"format": "wherry-kubernetes-export/1", "objects": count, "sums": hashlib.sha256(text.encode()).hexdigest()}, f)


def kill(desk, ask, when):
    """The run of it is killed once `when` holds."""
    path = desk.file([ask])
    process = desk.w.start("run", path, "--yes", "--run-id", "r%d" % desk.n, "--format", "plain", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(when, "it is to be killed", process)
    finally:
        process.kill()
        process.wait()


def killed(desk, ask, when):
    """It is killed so; a resume ends it."""
    kill(desk, ask, when)
    return desk.w.ok("resume", "r%d" % desk.n, "--yes", "--format", "plain")


@testbed.shared()
def test_taken(a):
    """An object is created without a look before. Of one that somebody else made meanwhile the server tells; it is nobody's to take
    back but theirs."""
    many = 800
    with scratch() as folder, a.namespace() as ns:
        d, source = Desk(folder, a, ns), os.path.join(folder, "source")
        write_export(source, ns, many)
        mark, last = a.audit_mark(), "m%05d" % (many - 1)

        def asked(*verbs):
            return [e for e in a.audit(mark, user="wherry", verbs=verbs, resource="configmaps", namespace=ns) if e["stage"] == "ResponseComplete"]
        kill(d, step("i", "kubernetes.import", parallel=2, **{"from": source}), lambda: len(asked("create")) > 50)
        equal(asked("get"), [], "looks at single objects before they were made")
        theirs = config(last, whose="theirs")
        a.apply(theirs, namespace=ns)
        refused = d.w.ok("resume", "r%d" % d.n, "--yes", "--format", "plain", code=1)
        expect("ConfigMap/%s/%s" % (ns, last) in refused.err and "is there already" in refused.err, str(refused))
        d.w.ok("rollback", "r%d" % d.n, "--yes", "--format", "plain")
        left = {c["metadata"]["name"]: c["data"] for c in a.get("cm", namespace=ns)["items"] if c["metadata"]["name"] != "kube-root-ca.crt"}
        equal(left, {last: theirs["data"]}, "what is there after the rollback")


@testbed.shared()
def test_killed(a):
    """kill -9 in the middle of an import and of an export: after a resume every object was made once, and the folder is whole."""
    many = 1500
    with scratch() as folder, a.namespace() as ns:
        d, source, to = Desk(folder, a, ns), os.path.join(folder, "source"), os.path.join(folder, "out")
        write_export(source, ns, many)
        mark = a.audit_mark()

        def made():
            return [e["objectRef"].get("name") or e["requestObject"]["metadata"]["name"]
                    for e in a.audit(mark, user="wherry", verbs=("create",), resource="configmaps") if e["responseStatus"]["code"] == 201]
        killed(d, step("i", "kubernetes.import", **{"from": source}), lambda: len(made()) > 100)
        got = made()  # one whose answer met nobody any more may be told as cut off
        equal(sorted(n for n in set(got) if got.count(n) > 1), [], "what was made twice")
        there = {c["metadata"]["name"] for c in a.get("cm", namespace=ns)["items"]}
        equal({"m%05d" % i for i in range(many)} - there, set(), "what was not made")
        killed(d, step("x", "kubernetes.export", to=to, kinds=["ConfigMap"], namespaces=[ns]),
               lambda: os.path.isdir(to + ".partial") and len(os.listdir(to + ".partial")) > 1)
        equal(sums(to)[0]["kinds"], {"ConfigMap": many, "Namespace": 1}, "what was exported")
        expect(not os.path.exists(to + ".partial"), "the partial folder is there")
        with open(os.path.join(to, "ConfigMap", ns, "m00007.yaml")) as f, open(os.path.join(source, "ConfigMap", ns, "m00007.yaml")) as g:
            equal(f.read(), g.read(), "a file")
        os.mkdir(to + "2.partial")
        refused = d.run(step("x", "kubernetes.export", to=to + "2", kinds=["ConfigMap"], namespaces=[ns]), code=1)
        expect("not of this run" in refused.out + refused.err, str(refused))


main(test_export, test_round, test_conflicts, test_compare, test_ahead, test_taken, test_killed)
