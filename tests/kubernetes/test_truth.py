#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The dry-run tells the truth: of every step type on Kubernetes and of helm, and of whole plans, what was announced is what the audit
logs and the other servers saw, no more and no less."""
import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import testbed  # noqa: E402
from kubeplan import Desk, config, deployment, step  # noqa: E402
from truth import Truth, Untrue  # noqa: E402
from witness import OnCluster  # noqa: E402
from wtest import SOURCE, Wherry, equal, expect, main, scratch  # noqa: E402

HOOK = """apiVersion: v1
kind: ConfigMap
metadata: {name: "{{ .Release.Name }}-before", annotations: {helm.sh/hook: "pre-install,pre-upgrade"}}
data: {size: "{{ .Values.size }}"}
"""
CHART = {
    "Chart.yaml": "apiVersion: v2\nname: small\nversion: 1.2.3\n",
    "values.yaml": "size: 1\nmore: false\nidle: true\n",
    "templates/one.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: \"{{ .Release.Name }}-one\"}\ndata: {size: \"{{ .Values.size }}\"}\n",
    "templates/two.yaml": "apiVersion: v1\nkind: Secret\nmetadata: {name: \"{{ .Release.Name }}-two\"}\nstringData: {p: \"{{ .Values.password }}\"}\n",
    "templates/more.yaml": "{{ if .Values.more }}\napiVersion: v1\nkind: ServiceAccount\nmetadata: {name: \"{{ .Release.Name }}-more\"}\n{{ end }}\n",
    "templates/role.yaml": "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: \"{{ .Release.Namespace }}-{{ .Release.Name }}\"}\n"
                           "rules: [{apiGroups: [''], resources: [pods], verbs: [get]}]\n",
    "templates/before.yaml": HOOK,
    "templates/idle.yaml": "{{ if .Values.idle }}" + json.dumps({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "{{ .Release.Name }}-idle"}, "spec": {
        "replicas": 0, "selector": {"matchLabels": {"app": "idle"}}, "template": {"metadata": {"labels": {"app": "idle"}}, "spec": {"volumes": [
            {"name": "v", "emptyDir": {}}], "containers": [{
                "name": "c", "image": "nowhere.test/x:1", "ports": [{"containerPort": 80}], "env": [{"name": "EMPTY", "value": ""}, {"name": "N", "value": "1"}],
                "resources": {"requests": {"cpu": "1000m", "memory": "1024Mi"}}, "readinessProbe": {"httpGet": {"path": "/", "port": 80}},
                "securityContext": {"privileged": False}}]}}}}) + "{{ end }}\n",
}


class World(Desk):
    """A namespace with one object of each kind that the rows need."""

    def __init__(self, folder, cluster, namespace):
        super().__init__(folder, cluster, namespace)
        self.chart = os.path.join(folder, "chart")
        for name, text in CHART.items():
            path = os.path.join(self.chart, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w") as f:
                f.write(text)
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "pod"}, "spec": {"terminationGracePeriodSeconds": 0, "containers": [
            {"name": "c", "image": testbed.IMAGE, "command": ["sleep", "1000"], "imagePullPolicy": "Never"}]}}
        cluster.apply(pod, deployment("web", replicas=0), *(config(n, x="1") for n in ("seed", "merged", "labelled", "noted", "goes")),
                      namespace=namespace)
        cluster.wait_until("condition=Ready", "pod/pod", namespace=namespace)

    def path(self, name):
        return os.path.join(self.folder, name)

    def release(self, name):
        """A row's release, installed by the plan."""
        return helm("first", "upgrade", name, chart=self.chart, install=True, set={"password": "a"})


def helm(name, uses, release, **inputs):
    return step(name, "helm." + uses, **{"in": "h", "release": release, **inputs})


def apply(w):
    return [step("a", "kubernetes.apply", objects=[config("new", x="1"), config("seed", x="1"), {
                "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": {"p": "${{ params.password }}"}}], force=True),
            step("b", "kubernetes.apply", object=config("new", x="2"), needs_=["a"])]


def patch(w):
    return [step("m", "kubernetes.patch", kind="cm", name="merged", merge={"data": {"x": None, "y": "2"}}),
            step("j", "kubernetes.patch", kind="cm", name="merged", json=[{"op": "add", "path": "/data/z", "value": "3"}], needs_=["m"]),
            step("again", "kubernetes.patch", kind="cm", name="merged", merge={"data": {"y": "2"}}, needs_=["j"]),
            step("t", "kubernetes.patch", kind="deploy", name="web", strategic={"spec": {"template": {"metadata": {"labels": {"x": "y"}}}}}),
            step("s", "kubernetes.patch", kind="deploy", name="web", subresource="scale", merge={"spec": {"replicas": 0}}, needs_=["t"])]


def exec_(w):
    return [step("look", "kubernetes.exec", pod="pod", argv=["ls", "/"], read_only=True),
            step("act", "kubernetes.exec", pod="pod", argv=["touch", "/tmp/it"], needs_=["look"]),
            step("twice", "kubernetes.exec", pod="pod", argv=["touch", "/tmp/it"], idempotent=True, needs_=["act"])]


def copy_to(w):
    with open(w.path("source"), "w") as f:
        f.write("content")
    return [step("to", "kubernetes.copy-to", pod="pod", path="/tmp/there", **{"from": w.path("source")}),
            step("same", "kubernetes.copy-to", pod="pod", path="/tmp/there", needs_=["to"], **{"from": w.path("source")})]


def copy_from(w):
    return [step("from", "kubernetes.copy-from", pod="pod", path="/etc/hostname", to=w.path("back"))]


def export(w):
    return [step("x", "kubernetes.export", namespaces=[w.namespace], to=w.path("exported"))]


def import_(w):
    w.run(step("x", "kubernetes.export", namespaces=[w.namespace], kinds=["ConfigMap", "Deployment"], to=w.path("source-of-import")))
    moved = {w.namespace: w.namespace + "-moved"}
    return [step("i", "kubernetes.import", namespaces=moved, **{"from": w.path("source-of-import")}),
            step("r", "kubernetes.import", namespaces=moved, on_existing="replace", needs_=["i"], **{"from": w.path("source-of-import")}),
            step("gone", "kubernetes.delete", kind="Namespace", name=moved[w.namespace], wait=False, needs_=["r"])]


def awake(w):
    """The exported workload that the next rows send to sleep, and wake."""
    w.cluster.apply(deployment("nap"), namespace=w.namespace)
    w.run(step("x", "kubernetes.export", namespaces=[w.namespace], kinds=["Deployment"], selector="app!=web", to=w.path("awake")))
    return w.path("awake")


def job(name):
    pod = {"restartPolicy": "Never", "containers": [{"name": "c", "image": testbed.IMAGE, "command": ["true"], "imagePullPolicy": "Never"}]}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, "spec": {"template": {"spec": pod}}}


def freeze(w):
    return [step("f", "kubernetes.freeze", namespaces=[w.namespace], settled="0s"),
            step("c", "kubernetes.create", object=config("in-the-cold"), needs_=["f"])]


# what a plan of it is, each after those before it; every step type of these families has one
ROWS = {
    "kubernetes.get": lambda w: [step("g", "kubernetes.get", kind="cm", name="seed")],
    "kubernetes.list": lambda w: [step("l", "kubernetes.list", kind="cm")],
    "kubernetes.info": lambda w: [step("i", "kubernetes.info")],
    "kubernetes.can-i": lambda w: [step("c", "kubernetes.can-i", all=[{"verb": "create", "kind": "Pod"}])],
    "kubernetes.apply": apply,
    "kubernetes.create": lambda w: [step("c", "kubernetes.create", object=config("made", x="1"))],
    "kubernetes.patch": patch,
    "kubernetes.delete": lambda w: [step("d", "kubernetes.delete", kind="cm", name="goes"),
                                    step("n", "kubernetes.delete", kind="cm", name="never", missing_ok=True)],
    "kubernetes.scale": lambda w: [step("s", "kubernetes.scale", kind="Deployment", name="web", replicas=1),
                                   step("n", "kubernetes.scale", kind="Deployment", name="web", replicas=1, needs_=["s"]),
                                   step("b", "kubernetes.scale", kind="Deployment", name="web", replicas=0, needs_=["n"])],
    "kubernetes.label": lambda w: [step("l", "kubernetes.label", kind="cm", name="labelled", labels={"a": "b", "c": None})],
    "kubernetes.annotate": lambda w: [step("a", "kubernetes.annotate", kind="cm", name="noted", annotations={"example.org/a": "b"})],
    "kubernetes.wait": lambda w: [step("w", "kubernetes.wait", kind="cm", name="seed", until="${{ value.data.x == '1' }}")],
    "kubernetes.export": export,
    "kubernetes.import": import_,
    "kubernetes.transform": lambda w: [json.dumps({"id": "t", "uses": "kubernetes.transform", "with": {
        "from": w.path("source-of-import"), "to": w.path("other"), "asleep": True}})],
    "kubernetes.sleep": lambda w: [step("s", "kubernetes.sleep", **{"from": awake(w)})],
    "kubernetes.asleep": lambda w: [step("s", "kubernetes.asleep", **{"from": w.path("awake")})],
    "kubernetes.wake": lambda w: [step("s", "kubernetes.wake", **{"from": w.path("awake")})],
    "kubernetes.awake": lambda w: [step("s", "kubernetes.awake", **{"from": w.path("awake")})],
    "kubernetes.remove": lambda w: [step("r", "kubernetes.remove", **{"from": w.path("awake")})],
    "kubernetes.preflight": lambda w: [json.dumps({"id": "p", "uses": "kubernetes.preflight", "with": {
        "from": "k", "to": "k", "folder": w.path("source-of-import"), "on_existing": "adopt", "problems": "allowed"}})],
    "kubernetes.job": lambda w: [step("kept", "kubernetes.job", object=job("kept")), step("gone", "kubernetes.job", object=job("gone"), remove=True)],
    "kubernetes.freeze": lambda w: freeze(w) + [step("u", "kubernetes.unfreeze", name="${{ steps.f.outputs.name }}", settled="0s", needs_=["c"])],
    "kubernetes.unfreeze": lambda w: [step("f", "kubernetes.freeze", namespaces=[w.namespace], selector="app=web", settled="0s"),
                                      step("u", "kubernetes.unfreeze", name="${{ steps.f.outputs.name }}", settled="0s", needs_=["f"])],
    "kubernetes.compare": lambda w: [step("c", "kubernetes.compare", namespaces=[w.namespace], **{"from": "k"})],
    "kubernetes.logs": lambda w: [step("l", "kubernetes.logs", pod="pod")],
    "kubernetes.exec": exec_,
    "kubernetes.copy-from": copy_from,
    "kubernetes.copy-to": copy_to,
    "helm.status": lambda w: [w.release("looked"), helm("s", "status", "looked", needs_=["first"])],
    "helm.values": lambda w: [helm("v", "values", "looked")],
    "helm.template": lambda w: [helm("t", "template", "none", chart=w.chart)],
    "helm.upgrade": lambda w: [helm("u", "upgrade", "looked", chart=w.chart, set={"size": 2, "more": True}),
                               helm("p", "upgrade", "looked", chart=w.chart, set={"password": "${{ params.password }}"}, needs_=["u"])],
    "helm.rollback": lambda w: [helm("b", "rollback", "looked", revision=1)],
    "helm.uninstall": lambda w: [w.release("short"), helm("x", "uninstall", "looked", keep_history=True),
                                 helm("y", "uninstall", "short", needs_=["first"])],
}


@testbed.shared(node=True)
def test_every_step(a):
    """One plan a step type; a new type without a row is an error."""
    with scratch() as folder, a.namespace() as ns:
        w, broken = World(folder, a, ns), []
        types = {t["name"] for t in w.w.ok("steps", "--format", "json").json() if t["name"].startswith(("kubernetes.", "helm."))}
        equal(types - set(ROWS), set(), "step types of which no plan is here")
        for name in [n for n in ROWS if n in types]:  # exec is left out where its library is absent
            try:
                w.both(*ROWS[name](w), looks=["ls /"])
            except Untrue as e:
                broken.append("%s: %s" % (name, e))
        expect(not broken, "\n".join(broken))


@testbed.shared(node=True)
def test_plans(a):
    """Over what earlier steps and the server's defaults would make; of items, of what is not known before, and of what is taken back."""
    with scratch() as folder, a.namespace() as ns:
        w, new, web = World(folder, a, ns), ns + "-new", deployment("d")
        del web["spec"]["replicas"]
        w.both(step("ns", "kubernetes.apply", object={"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": new}}),
               step("d", "kubernetes.apply", object=web, namespace=new, needs_=["ns"]),
               step("one", "kubernetes.scale", kind="Deployment", name=new + "/d", replicas=1, needs_=["d"]),
               step("p", "kubernetes.patch", kind="Deployment", name=new + "/d", merge={"spec": {"revisionHistoryLimit": 10}}, needs_=["one"]),
               step("sa", "kubernetes.apply", namespace=new, object={"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}},
                    needs_=["p"]),
               step("gone", "kubernetes.delete", kind="Namespace", name=new, wait=False, needs_=["sa"]))
        w.both(step("l", "kubernetes.list", kind="cm", field_selector="metadata.name!=kube-root-ca.crt"),
               each("${{ steps.l.outputs.items }}", "${{ item.metadata.name }}", {"x": "y"}))
        unknown = [step("x", "kubernetes.exec", pod="pod", argv=["echo", "-n", "seed,goes"]),
                   step("c", "kubernetes.apply", object=config("said", x="${{ steps.x.outputs.stdout }}")),
                   step("w", "kubernetes.create", object=config("when"), when_="${{ steps.x.outputs.stdout == 'other' }}"),
                   each("${{ split(steps.x.outputs.stdout, ',') }}", "${{ item }}", {"z": "y"})]
        w.both(*unknown)
        w.both(*unknown[:2])  # what is not known is so already
        w.both(step("x", "kubernetes.delete", kind="cm", name="seed"), step("y", "kubernetes.create", object=config("seed", x="1"), needs_=["x"]))
        path = w.file([step("x", "kubernetes.scale", kind="Deployment", name="web", replicas=1)])
        with open(path, "a") as f:
            f.write("finally:\n  - {id: back, uses: undo, with: {step: x}}\n")
        Truth(w.w, folder, {"k": OnCluster(a)}).prove(path)


def each(items, key, labels):
    return json.dumps({"id": "e", "foreach": items, "key": key, "uses": "kubernetes.label", "with": {"in": "k", "kind": "cm", "name": key, "labels": labels}})


@testbed.shared(node=True)
def test_drift(a):
    """helm sets back what somebody has changed since, and makes anew what is gone: the dry-run names it."""
    with scratch() as folder, a.namespace() as ns:
        w = World(folder, a, ns)
        w.both(helm("i", "upgrade", "one", chart=w.chart, install=True, set={"password": "a"}))
        a.kubectl("patch", "cm", "one-one", "--type=merge", "-p", '{"data":{"size":"77"}}', namespace=ns)
        a.kubectl("scale", "deploy", "one-idle", "--replicas=1", namespace=ns)
        told = w.plan(helm("u", "upgrade", "one", chart=w.chart, set={"more": True}))
        notes = [e["message"] for e in told if e["event"] == "note"]
        for words in ("helm sets ConfigMap/%s/one-one back, in which data.size was" % ns, "helm sets Deployment.apps/%s/one-idle back, in which spec.replicas" % ns):
            expect(any(words in n for n in notes), "no '%s' in %s" % (words, notes))
        w.both(helm("u", "upgrade", "one", chart=w.chart, set={"more": True}))
        a.kubectl("delete", "cm", "one-one", namespace=ns)
        w.both(helm("u", "upgrade", "one", chart=w.chart, set={"more": False}))
        a.kubectl("delete", "cm", "one-one", namespace=ns)
        w.both(helm("x", "uninstall", "one"))


@testbed.shared(node=True)
def test_definitions(a):
    """A chart's definitions, which are in no manifest and no release: told where helm may make them, and only there."""
    with scratch() as folder, a.namespace() as ns:
        w, group = World(folder, a, ns), ns + ".example.org"
        definition = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "things." + group}, "spec": {
            "group": group, "scope": "Namespaced", "names": {"plural": "things", "kind": "Thing"}, "versions": [{
                "name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {"type": "object"}}}]}}
        os.mkdir(os.path.join(w.chart, "crds"))
        with open(os.path.join(w.chart, "crds", "thing.yaml"), "w") as f:
            json.dump(definition, f)
        try:
            for name in ("one", "two"):  # it is there already for the second one
                w.both(helm("i", "upgrade", name, chart=w.chart, install=True, set={"password": "a"}))
            w.both(helm("u", "upgrade", "one", chart=w.chart, set={"size": 3}), helm("x", "uninstall", "two"))
        finally:
            a.kubectl("delete", "crd", "things." + group, "--ignore-not-found", "--wait=false")


@testbed.shared(node=True)
def test_sketch(a, b):
    """tests/sketches/cluster-a-to-b.yaml, with the plan that it runs for each workload: the one whose families are all there."""
    with scratch() as folder, a.namespace() as ns:
        volume, name = "pv-" + ns, "web"
        claim = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "data", "labels": {"app": name}}, "spec": {
            "accessModes": ["ReadWriteOnce"], "storageClassName": ns, "volumeName": volume, "resources": {"requests": {"storage": "1Mi"}}}}
        real = {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": volume}, "spec": {
            "capacity": {"storage": "1Mi"}, "accessModes": ["ReadWriteOnce"], "storageClassName": ns, "persistentVolumeReclaimPolicy": "Delete",
            "csi": {"driver": "linstor.csi.linbit.com", "volumeHandle": ns}}}
        try:
            b.kubectl("create", "namespace", ns)
            a.apply(real)
            b.apply({**real, "spec": {**real["spec"], "persistentVolumeReclaimPolicy": "Retain"}})  # a copy that LINSTOR would have made
            a.apply(claim, deployment(name), namespace=ns)
            a.wait_until("jsonpath={.status.phase}=Bound", "pvc/data", namespace=ns)
            a.wait_until("condition=Available", "deploy/web", namespace=ns)
            w = Wherry(os.path.join(folder, "state"))
            words = {"kubeconfig_a": a.wherry_config, "kubeconfig_b": b.wherry_config,
                     "workloads": json.dumps([{"namespace": ns, "name": name, "kind": "Deployment"}])}
            done = Truth(w, folder, {"a": OnCluster(a), "b": OnCluster(b)}).prove(
                os.path.join(SOURCE, "tests", "sketches", "cluster-a-to-b.yaml"), *[x for k, v in words.items() for x in ("-p", "%s=%s" % (k, v))],
                approve=["cutover-ok"])
            equal([c.get("deploy", name, namespace=ns)["spec"]["replicas"] for c in (a, b)], [0, 1], "replicas: %s" % done)
            equal(b.get("pvc", "data", namespace=ns)["status"]["phase"], "Bound", "the claim")
        finally:
            b.kubectl("delete", "namespace", ns, "--ignore-not-found", "--wait=false")
            for c in (a, b):
                c.kubectl("delete", "pv", volume, "--ignore-not-found", "--wait=false")


class Doctored(Truth):
    """A dry-run that somebody has changed, and a world in which somebody else does things in wherry's name."""

    change = staticmethod(lambda events: events)
    stray = staticmethod(lambda: None)
    while_planning = False

    def announce(self, file, words):
        got = super().announce(file, words)
        if self.while_planning:
            self.stray()
        return self.change(got)

    def perform(self, file, words):
        got = super().perform(file, words)
        if not self.while_planning:
            self.stray()
        return got


@testbed.shared()
def test_can_fail(a):
    """What a dry-run leaves out, makes up or calls by another name is found; so is whatever else wherry's user does, or the dry-run."""
    with scratch() as folder, a.namespace() as ns:
        w = Desk(folder, a, ns)

        def wrong(change=None, stray=None, while_planning=False):
            """How the proof fails; each time two config maps are made anew."""
            a.kubectl("delete", "cm", "one", "two", "stray", "--ignore-not-found", namespace=ns)
            truth = Doctored(w.w, folder, {"k": OnCluster(a)})
            truth.change, truth.stray, truth.while_planning = change or truth.change, stray or truth.stray, while_planning
            try:
                truth.prove(w.file([step("a", "kubernetes.apply", object=config("one", x="1")), step("b", "kubernetes.create", object=config("two"))]))
            except Untrue as e:
                return sorted(e.differences)
            return []

        def line(what, name):
            return "a: %s configmaps %s/%s" % (what, ns, name)

        def by_wherry(*words):
            return lambda: a.kubectl(*words, namespace=ns, kubeconfig=a.wherry_config)

        def edited(name, **members):
            return lambda events: [{**e, **members} if e["event"] == "action" and e["ref"].endswith(name) else e for e in events]

        equal(wrong(), [], "differences where all is true")
        equal(wrong(lambda events: [e for e in events if e["event"] != "action"]),
              ["not announced: " + line("create", "two"), "not announced: " + line("patch", "one")], "nothing announced")
        equal(wrong(edited("/one", unchanged=True)), ["not announced: " + line("patch", "one")], "called unchanged")
        equal(wrong(edited("/one", ref="k ConfigMap/%s/other" % ns)),
              ["announced, and has not happened: " + line("patch", "other"), "not announced: " + line("patch", "one")], "another name")
        equal(wrong(edited("/two", verb="delete")),
              ["announced, and has not happened: " + line("delete", "two"), "not announced: " + line("create", "two")], "another verb")
        equal(wrong(lambda events: events + [e for e in events if e["event"] == "action"][:1]),
              ["announced, and has not happened: " + line("patch", "one")], "announced twice")
        create = by_wherry("create", "cm", "stray")
        equal(wrong(stray=create), ["not announced: " + line("create", "stray")], "a stray request in the run")
        equal(wrong(stray=create, while_planning=True), [line("create", "stray") + " (by the dry-run itself)"], "one in the dry-run")
        equal(wrong(stray=by_wherry("create", "cm", "stray", "--dry-run=server"), while_planning=True), [], "a dry-run of the server's")
        equal(wrong(stray=lambda: a.kubectl("create", "cm", "stray", namespace=ns)), [], "a request of somebody else")
        equal(wrong(stray=lambda: open(os.path.join(folder, "stray"), "w").close(), while_planning=True),
              ["file %s/stray (by the dry-run itself)" % os.path.realpath(folder)], "a file")


@testbed.shared(node=True)
def test_can_fail_inside(a):
    """The same of what is not a plain request: commands in pods, and helm's."""
    with scratch() as folder, a.namespace() as ns:
        w = World(folder, a, ns)
        seen = OnCluster(a)

        def wrong(steps, change):
            truth = Doctored(w.w, folder, {"k": seen, "h": seen})
            truth.change = change
            try:
                truth.prove(w.file(steps))
            except Untrue as e:
                return sorted(e.differences)
            return []

        look = [step("look", "kubernetes.exec", pod="pod", argv=["ls", "/"], read_only=True)]
        equal(wrong(look, lambda events: events), ["a: exec pods %s/pod (by the dry-run itself)" % ns, "not announced: a: exec pods %s/pod" % ns],
              "a command that nobody called harmless")
        install = [w.release("one")]
        hidden = wrong(install, lambda events: [
            {**e, "diff": "\n".join(x for x in e["diff"].splitlines() if "one-two" not in x)} if e["event"] == "action" else e
            for e in events if e["event"] != "note"])
        equal(hidden, ["not announced: a: helm %s/one: create secrets %s/one-two" % (ns, ns),
                       "not announced: a: helm %s/one: hook configmaps %s/one-before" % (ns, ns)], "an object and a hook that were not told")


if __name__ == "__main__":
    main(test_every_step, test_plans, test_drift, test_definitions, test_sketch, test_can_fail, test_can_fail_inside)
