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
from kubeplan import Desk  # noqa: E402
from wtest import LIMIT, equal, expect, main, scratch  # noqa: E402

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


main(test_export)
