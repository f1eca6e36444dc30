# SPDX-License-Identifier: Apache-2.0
"""A namespace with all that moves between clusters, and runs of the plan cluster-copy that move it."""
import json
import os
import secrets
import threading

import testbed
from kubeplan import Desk, config, step
from wtest import SOURCE, Violation, Wherry, equal, wait_for

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
        own = {"name": self.id, "labels": {"shop": self.id}}
        self.cluster = [
            {"apiVersion": rbac + "/v1", "kind": "ClusterRole", "metadata": own, "rules": [{"apiGroups": [""], "resources": ["nodes"], "verbs": ["get"]}]},
            {"apiVersion": rbac + "/v1", "kind": "ClusterRoleBinding", "metadata": own, "roleRef": {"apiGroup": rbac, "kind": "ClusterRole", "name": self.id},
             "subjects": [{"kind": "ServiceAccount", "name": "runner", "namespace": ns}]},
            {"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration", "metadata": own, "webhooks": [{
                "name": "web." + self.group, "failurePolicy": "Fail", "sideEffects": "None", "admissionReviewVersions": ["v1"],
                "clientConfig": {"service": {"name": "web", "namespace": ns}}, "rules": [{
                    "apiGroups": [self.group], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": [self.id + "s"]}]}]}]
        self.custom = [{"apiVersion": self.group + "/v1", "kind": self.kind, **meta("c%d" % i), "spec": {"deep": [i, {"a": "no"}]}} for i in range(3)]

    def open(self, cluster):
        cluster.apply(self.crd, self.volume)
        cluster.wait_until("condition=Established", "crd", self.crd["metadata"]["name"])
        cluster.apply(*self.objects, *self.custom, namespace=self.ns)
        cluster.apply(*self.cluster)
        self.is_up(cluster)
        cluster.wait_until("condition=Complete", "job/once", namespace=self.ns)

    def is_up(self, cluster):
        for what in ("deploy/web", "sts/db", "ds/agent"):
            cluster.kubectl("rollout", "status", what, "--timeout=60s", namespace=self.ns, timeout=70)
        cluster.wait_until("condition=Ready", "pod/bare", namespace=self.ns)

    def is_free(self, cluster):
        """May the namespace be deleted? A freeze ends a while after its policy."""
        try:
            cluster.kubectl("delete", "namespace", self.ns, "--ignore-not-found", "--dry-run=server")
        except Violation:
            return False
        return True

    def names(self):
        return ["%s/%s" % (o["kind"], self.id) for o in self.cluster]

    def params(self):
        """Of a run that moves what has no namespace, too."""
        return {"cluster_kinds": json.dumps([o["kind"] for o in self.cluster]), "cluster_selector": "shop=" + self.id}

    def pods(self, cluster):
        """Which pods run, by what they are named after."""
        return sorted(p["metadata"]["name"].split("-")[0] for p in cluster.get("pods", namespace=self.ns)["items"]
                      if p["status"]["phase"] == "Running" and "deletionTimestamp" not in p["metadata"])

    def close(self, *clusters):
        for c in clusters:
            fences = c.kubectl("get", "validatingadmissionpolicybinding,validatingadmissionpolicy", "-o", "name").split()
            for fence in (f for f in fences if self.ns in f):
                c.kubectl("delete", fence)
            if fences:
                wait_for(lambda: self.is_free(c), "the freeze is lifted")
            c.kubectl("delete", "namespace", self.ns, "--ignore-not-found", "--wait=false")
            c.kubectl("delete", *(["crd/" + self.crd["metadata"]["name"]] if self.crd else []), "pv/" + self.id, *self.names(), "--ignore-not-found", "--wait=false")


class Stall(Shop):
    """A small one: as many ways to sleep, few objects, and no kind of its own."""
    WANTED = {"Secret": "password", "ConfigMap": "settings", "ServiceAccount": "runner", "StatefulSet": "db", "DaemonSet": "agent", "CronJob": "yearly",
              "Pod": "bare"}

    def __init__(self, folder, ns):
        super().__init__(folder, ns)
        self.objects = [o for o in self.objects if self.WANTED.get(o["kind"]) == o["metadata"]["name"]]
        self.custom, self.cluster, self.crd = [], [], None

    def open(self, cluster):
        cluster.apply(self.volume)
        cluster.apply(*self.objects, namespace=self.ns)
        self.is_up(cluster)

    def is_up(self, cluster):
        cluster.kubectl("rollout", "status", "sts/db", "--timeout=60s", namespace=self.ns, timeout=70)
        cluster.wait_until("condition=Ready", "pod/bare", namespace=self.ns)


ALL_PODS = ["agent", "bare", "db", "long", "web", "web"]
KINDS = "cm,secret,sa,svc,ing,role,rolebinding,pdb,deploy,sts,ds,job,cronjob,hpa,pvc"


def state(cluster, shop):
    """What people see of the namespace's objects, but for what controllers write and numbers that only grow."""
    got = {}
    own = "," + shop.id + "s." + shop.group if shop.crd else ""
    for o in [*cluster.get(KINDS + own, namespace=shop.ns)["items"], cluster.get("pv", shop.id), *(cluster.get(name) for name in shop.names())]:
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
        return self.call("run", PLAN, "--run-id", "m%d" % self.n, "--approve", "wake", *self.words, *words, code=code, env=env)

    def resume(self, *words, code=0, env=None):
        return self.call("resume", "m%d" % self.n, *words, code=code, env=env)

    def back(self, *words, code=0):
        return self.call("rollback", "m%d" % self.n, *words, code=code)

    def call(self, *words, code, env=None):
        """code None: whatever it is."""
        words = [*words, "--yes", "--format", "plain"]
        return self.w(*words, env=env) if code is None else self.w.ok(*words, code=code, env=env)


class Lane:
    """A namespace that is moved and taken back again and again. What is asked for is looked at by people's eyes (kubectl) and by compare."""

    def __init__(self, folder, a, b, ns, kind=None, **params):
        os.makedirs(folder)
        self.a, self.b, self.ns, self.folder = a, b, ns, folder
        self.stall = (kind or Stall)(folder, ns)
        self.m = Move(folder, a, b, ns, **(self.stall.params() if kind else {}))
        self.desk = Desk(folder, a, ns)
        self.stall.open(a)
        self.before = state(a, self.stall)
        self.pods = self.stall.pods(a)
        self.desk.run(step("x", "kubernetes.export", to=os.path.join(folder, "before"), **self.part()))

    def part(self):
        return {"namespaces": [self.ns], "volumes": True, "finished": False}

    def is_there(self, where):
        """Everything came to the destination asleep, and rests at the source."""
        want = {o["kind"] + "/" + o["metadata"]["name"] for o in self.stall.objects} - {"Pod/bare"}
        there = {o["kind"] + "/" + o["metadata"]["name"] for o in self.b.get("cm,secret,sa,sts,ds,cronjob,pvc", namespace=self.ns)["items"]}
        equal(sorted(want - there), [], "what is not at the destination, " + where)
        equal([self.stall.pods(self.a), self.stall.pods(self.b)], [[], []], "pods, " + where)

    def take_back(self, where):
        own = ["crd/" + self.stall.crd["metadata"]["name"]] if self.stall.crd else []
        self.m.back()
        wait_for(lambda: self.stall.pods(self.a) == self.pods, "the source runs, " + where)
        equal(state(self.a, self.stall), self.before, "the source, " + where)
        self.desk.run(step("c", "kubernetes.compare", folder=os.path.join(self.folder, "before"), **self.part()))
        wait_for(lambda: not self.b.kubectl("get", "ns/" + self.ns, "pv/" + self.stall.id, *own, *self.stall.names(), "--ignore-not-found"),
                 "an empty destination, " + where)


def in_lanes(lanes, jobs, do):
    """do(lane, job) for each job by the lane that is free; the first failure is raised."""
    failed, jobs = [], list(jobs)

    def work(lane):
        while jobs and not failed:
            try:
                do(lane, jobs.pop(0))
            except Exception as e:  # noqa: BLE001
                failed.append(e)
    threads = [threading.Thread(target=work, args=(lane,)) for lane in lanes]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    if failed:
        raise failed[0]
