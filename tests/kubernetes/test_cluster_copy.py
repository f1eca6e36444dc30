#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The bundled plan cluster-copy between two real clusters: what runs in one runs in the other; killed and resumed; taken back."""
import json
import os
import secrets
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import testbed  # noqa: E402
from kubeplan import changes, config  # noqa: E402
from wtest import SOURCE, Wherry, equal, expect, main, scratch, wait_for  # noqa: E402

PLAN = os.path.join(SOURCE, "plans", "cluster-copy.yaml")


def meta(name, **more):
    return {"metadata": {"name": name, **more}}


def pod(*command, **more):
    return {"terminationGracePeriodSeconds": 0, "containers": [{"name": "main", "image": testbed.IMAGE, "command": list(command)}], **more}


def workload(kind, name, pod_spec, **spec):
    return {"apiVersion": "apps/v1", "kind": kind, **meta(name), "spec": {"selector": {"matchLabels": {"app": name}}, "template": {
        "metadata": {"labels": {"app": name}}, "spec": pod_spec}, **spec}}


class Shop:
    """A namespace in which all that moves is there once, with a custom kind and a volume of its own."""

    def __init__(self, folder, ns, maps=0):
        self.ns, self.id = ns, "s" + secrets.token_hex(3)
        self.disk = os.path.join(folder, "disk")
        self.group, self.kind = self.id + ".example.org", self.id.capitalize()
        self.crd = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", **meta(self.id + "s." + self.group), "spec": {
            "group": self.group, "scope": "Namespaced", "names": {"plural": self.id + "s", "singular": self.id, "kind": self.kind}, "versions": [{
                "name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {
                    "type": "object", "x-kubernetes-preserve-unknown-fields": True}}}]}}
        self.volume = {"apiVersion": "v1", "kind": "PersistentVolume", **meta(self.id), "spec": {
            "capacity": {"storage": "1Mi"}, "accessModes": ["ReadWriteOnce"], "persistentVolumeReclaimPolicy": "Delete", "storageClassName": self.id,
            "hostPath": {"path": self.disk, "type": "DirectoryOrCreate"}}}
        data = {"name": "data", "mountPath": "/data"}
        db = pod("sh", "-c", "echo up >>/data/log; exec sleep 1000")
        db["containers"][0]["volumeMounts"] = [data]
        rbac = "rbac.authorization.k8s.io"
        self.objects = [
            config("settings", x="1"), config("image", image=testbed.IMAGE),
            {"apiVersion": "v1", "kind": "Secret", **meta("password"), "stringData": {"p": "hidden-" + self.id}},
            {"apiVersion": "v1", "kind": "ServiceAccount", **meta("runner")},
            {"apiVersion": "v1", "kind": "Service", **meta("web"), "spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]}},
            {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", **meta("web"), "spec": {"defaultBackend": {
                "service": {"name": "web", "port": {"number": 80}}}}},
            {"apiVersion": rbac + "/v1", "kind": "Role", **meta("reader"), "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]},
            {"apiVersion": rbac + "/v1", "kind": "RoleBinding", **meta("reader"), "roleRef": {"apiGroup": rbac, "kind": "Role", "name": "reader"},
             "subjects": [{"kind": "ServiceAccount", "name": "runner", "namespace": ns}]},
            {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", **meta("web"), "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "web"}}}},
            workload("Deployment", "web", pod("sleep", "1000", serviceAccountName="runner"), replicas=2),
            workload("Deployment", "idle", pod("sleep", "1000"), replicas=0),
            workload("StatefulSet", "db", db, serviceName="db", replicas=1, volumeClaimTemplates=[{**meta("data"), "spec": {
                "accessModes": ["ReadWriteOnce"], "storageClassName": self.id, "resources": {"requests": {"storage": "1Mi"}}}}]),
            workload("DaemonSet", "agent", pod("sleep", "1000")),
            {"apiVersion": "batch/v1", "kind": "Job", **meta("once"), "spec": {"template": {"spec": pod("true", restartPolicy="Never")}}},
            {"apiVersion": "batch/v1", "kind": "Job", **meta("long"), "spec": {"template": {"spec": pod("sleep", "1000", restartPolicy="Never")}}},
            {"apiVersion": "batch/v1", "kind": "CronJob", **meta("yearly"), "spec": {"schedule": "0 0 1 1 *", "jobTemplate": {"spec": {"template": {
                "spec": pod("true", restartPolicy="Never")}}}}},
            {"apiVersion": "v1", "kind": "Pod", **meta("bare"), "spec": pod("sleep", "1000")},
            {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", **meta("web"), "spec": {
                "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}, "minReplicas": 1, "maxReplicas": 5}},
            *[config("map-%04d" % i, n=str(i)) for i in range(maps)]]
        self.custom = [{"apiVersion": self.group + "/v1", "kind": self.kind, **meta("c%d" % i), "spec": {"deep": [i, {"a": "no"}]}} for i in range(3)]

    def open(self, cluster):
        cluster.apply(self.crd, self.volume)
        cluster.wait_until("condition=Established", "crd", self.crd["metadata"]["name"])
        cluster.apply(*self.objects, *self.custom, namespace=self.ns)
        self.is_up(cluster)
        cluster.wait_until("condition=Complete", "job/once", namespace=self.ns)

    def is_up(self, cluster):
        for what in ("deploy/web", "sts/db", "ds/agent"):
            cluster.kubectl("rollout", "status", what, "--timeout=60s", namespace=self.ns, timeout=70)
        cluster.wait_until("condition=Ready", "pod/bare", namespace=self.ns)

    def pods(self, cluster):
        """Which pods run, by what they are named after."""
        return sorted(p["metadata"]["name"].split("-")[0] for p in cluster.get("pods", namespace=self.ns)["items"]
                      if p["status"]["phase"] == "Running" and "deletionTimestamp" not in p["metadata"])

    def close(self, *clusters):
        for c in clusters:
            c.kubectl("delete", "namespace", self.ns, "--ignore-not-found", "--wait=false")
            c.kubectl("delete", "crd/" + self.crd["metadata"]["name"], "pv/" + self.id, "--ignore-not-found", "--wait=false")


ALL_PODS = ["agent", "bare", "db", "long", "web", "web"]
KINDS = "cm,secret,sa,svc,ing,role,rolebinding,pdb,deploy,sts,ds,job,cronjob,hpa,pvc"


def state(cluster, shop):
    """What people see of the namespace's objects, but for what controllers write and numbers that only grow."""
    got = {}
    for o in cluster.get(KINDS + "," + shop.id + "s." + shop.group, namespace=shop.ns)["items"] + [cluster.get("pv", shop.id)]:
        m = {k: v for k, v in o["metadata"].items() if k in ("labels", "annotations", "finalizers") and v}
        m.get("annotations", {}).pop("deployment.kubernetes.io/revision", None)
        m.get("annotations", {}).pop("deprecated.daemonset.template.generation", None)
        got[o["kind"] + "/" + o["metadata"]["name"]] = {**{k: v for k, v in o.items() if k not in ("status", "metadata")}, "metadata": m}
    return got


class Move:
    """A state folder and the parameters of runs of the plan."""

    def __init__(self, folder, a, b, *namespaces, to=None, **params):
        self.a, self.b, self.namespaces = a, b, namespaces
        self.w = Wherry(os.path.join(folder, "state"))
        params = {"a": a.wherry_config, "b": to or b.wherry_config, "namespaces": json.dumps(list(namespaces)), "confirm": "false", **params}
        self.words = [word for k, v in params.items() for word in ("-p", "%s=%s" % (k, v))]
        self.n = 0

    def plan(self, *words, code=0):
        return self.w.ok("plan", PLAN, *self.words, *words, code=code)

    def run(self, *words, code=0, env=None):
        self.n += 1
        return self.w.ok("run", PLAN, "--yes", "--run-id", "m%d" % self.n, "--format", "plain", "--approve", "wake", *self.words, *words, code=code)

    def resume(self, *words, code=0):
        return self.w.ok("resume", "m%d" % self.n, "--yes", "--format", "plain", *words, code=code)

    def back(self, *words, code=0):
        return self.w.ok("rollback", "m%d" % self.n, "--yes", "--format", "plain", *words, code=code)


@testbed.shared(node=True)
def test_move(a, b):
    """All of it runs at the destination with the same volume, and rests at the source; a Job that has ended does not run again."""
    with scratch() as folder, a.namespace() as ns:
        shop = Shop(folder, ns)
        try:
            shop.open(a)
            before = state(a, shop)
            m = Move(folder, a, b, ns)
            told = m.plan()
            equal(state(a, shop), before, "the source after the dry-run")
            for line in ("patch  a Deployment.apps/%s/web" % ns, "create  b Job.batch/%s/long" % ns, "delete  a Pod/%s/bare" % ns):
                expect(line in told.out, "no '%s' in %s" % (line, told))
            m.run(code=3)
            shop.is_up(b)
            equal([shop.pods(a), shop.pods(b)], [[], ALL_PODS], "pods of both")
            expect("job.batch/once" not in b.kubectl("get", "job", "-o", "name", namespace=ns), "the Job that has ended is there")
            with open(os.path.join(shop.disk, "log")) as f:
                equal(f.read(), "up\nup\n", "what both wrote to the volume")
            equal(a.get("pv", shop.id)["spec"]["persistentVolumeReclaimPolicy"], "Retain", "the source's reclaim policy")
            m.resume("--approve", "handover")
            equal(b.get("pv", shop.id)["spec"]["persistentVolumeReclaimPolicy"], "Delete", "the destination's, after the hand-over")
            equal(b.get("pvc", "data-db-0", namespace=ns)["status"]["phase"], "Bound", "the claim")
            equal(b.get(shop.id + "s", namespace=ns)["items"][2]["spec"], {"deep": [2, {"a": "no"}]}, "a custom object")
            done = m.back(code=3)
            expect("wake" in done.out + done.err, "a rollback over the point of no return: %s" % done)
        finally:
            shop.close(a, b)


@testbed.shared(node=True)
def test_back(a, b):
    """From each step before the destination runs a rollback leaves the source as it was, and the destination empty."""
    with scratch() as folder, a.namespace() as ns:
        shop = Shop(folder, ns)
        try:
            shop.open(a)
            before = state(a, shop)
            m = Move(folder, a, b, ns)
            for step in ("config", "volumes", "stopped", "same"):
                m.run("--until", step)
                m.back()
                wait_for(lambda: shop.pods(a) == ALL_PODS, "the source runs")
                equal(state(a, shop), before, "the source, taken back from " + step)
                wait_for(lambda: not b.kubectl("get", "ns/" + ns, "crd/" + shop.crd["metadata"]["name"], "pv/" + shop.id, "--ignore-not-found"),
                         "the destination is empty, taken back from " + step)
        finally:
            shop.close(a, b)


def limited(cluster):
    """A user who may read all, and change what is in the core group; and the kubeconfig."""
    name = "limited-" + secrets.token_hex(3)
    rules = [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["get", "list"]},
             {"apiGroups": [""], "resources": ["*"], "verbs": ["create", "patch", "delete"]}]
    cluster.apply({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", **meta(name), "rules": rules},
                  {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", **meta(name),
                   "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name}, "subjects": [{"kind": "User", "name": name}]})
    return name, cluster.user(name)


@testbed.shared()
def test_refused(a, b):
    """All that would stop the move is named at once, before anything is done."""
    with scratch() as folder, a.namespace() as ns:
        tag, user = limited(b)
        claim = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", **meta("c"), "spec": {
            "accessModes": ["ReadWriteOnce"], "storageClassName": tag, "resources": {"requests": {"storage": "3Gi"}}}}
        lost = workload("StatefulSet", "db", pod("sleep", "1"), serviceName="db", replicas=0,
                        persistentVolumeClaimRetentionPolicy={"whenScaled": "Delete", "whenDeleted": "Retain"})
        big = pod("sleep", "1", nodeSelector={"disk": tag}, priorityClassName=tag)
        big["containers"][0]["resources"] = {"requests": {"cpu": "1500m"}}
        try:
            a.apply({"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", **meta(tag), "provisioner": "none.test/none"},
                    {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", **meta(tag), "value": 5})
            a.apply(claim, lost, workload("Deployment", "big", big, replicas=2), config("there", x="1"), config("new", x="1"), namespace=ns)
            b.kubectl("create", "namespace", ns)
            b.apply(config("there", x="2"), {"apiVersion": "v1", "kind": "ResourceQuota", **meta("q"), "spec": {"hard": {
                "requests.cpu": "2", "requests.storage": "4Gi", "count/deployments.apps": "0"}}}, namespace=ns)
            m = Move(folder, a, b, ns, to=user)
            mark = [c.audit_mark() for c in (a, b)]
            told = m.plan(code=1)
            for words in ("the destination has no StorageClass %s, which PersistentVolumeClaim/%s/c names" % (tag, ns),
                          "no PriorityClass %s, which Deployment.apps/%s/big names" % (tag, ns),
                          "no node with disk=%s, which Deployment.apps/%s/big asks for" % (tag, ns),
                          "ConfigMap/%s/there is at the destination already" % ns,
                          "ResourceQuota/%s/q at the destination leaves 2 of requests.cpu, and 3 are needed" % ns,
                          "leaves 0 of count/deployments.apps, and 1 are needed",
                          "not allowed at the destination: patch Deployment.apps in " + ns,
                          "StatefulSet.apps/%s/db has its claims deleted when it is scaled down" % ns):
                expect(words in told.out, "no '%s' in %s" % (words, told))
            for words in ("ConfigMap/%s/new is" % ns, "requests.storage", "patch ConfigMap"):
                expect(words not in told.out, "'%s' in %s" % (words, told))
            done = m.run(code=1)
            expect("problems: " in done.out + done.err, "no word of the problems: %s" % done)
            equal([changes(a, mark[0]), changes(b, mark[1]), changes(b, mark[1], user=tag)], [[], [], []], "what was changed")
        finally:
            a.kubectl("delete", "storageclass/" + tag, "priorityclass/" + tag, "--ignore-not-found")
            b.kubectl("delete", "clusterrole/" + tag, "clusterrolebinding/" + tag, "--ignore-not-found")
            b.kubectl("delete", "namespace", ns, "--ignore-not-found", "--wait=false")


main(test_move, test_back, test_refused)
