#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Helm releases on a real cluster: looked at, upgraded with their values kept, taken back, and left alone where somebody else is."""
import json
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import testbed  # noqa: E402
from wtest import Wherry, equal, expect, main, scratch  # noqa: E402

PASSWORD = "of-the-plan-7"
CHART = {
    "Chart.yaml": "apiVersion: v2\nname: small\nversion: %s\nappVersion: '9'\n",
    "values.yaml": "size: 1\nwho: {name: nobody, age: 3}\nplace: '-'\nbroken: false\n",
    "templates/all.yaml": """apiVersion: v1
kind: ConfigMap
metadata: {name: "{{ .Release.Name }}-cm"}
data: {size: "{{ .Values.size }}", name: "{{ .Values.who.name }}", age: "{{ .Values.who.age }}", place: "{{ .Values.place }}"}
---
apiVersion: v1
kind: Secret
metadata: {name: "{{ .Release.Name }}-s"}
stringData: {p: "{{ .Values.password }}"}
""",
    "templates/bad.yaml": """{{ if .Values.broken }}
apiVersion: v1
kind: ConfigMap
metadata: {name: "{{ .Release.Name }}-bad"}
data: {a: {b: c}}
{{ end }}""",
}
HEAD = """wherry: v1
name: %s
params:
  password: {type: string, secret: true, env: KUBE_PASSWORD}
targets:
  k: {kind: kubernetes, kubeconfig: %s, namespace: %s}
  h: {kind: helm, cluster: k, binary: %s}
steps:
"""


class Desk:
    def __init__(self, folder, cluster, namespace):
        self.folder, self.cluster, self.namespace, self.n = folder, cluster, namespace, 0
        self.binary = cluster.world.program("helm")
        self.w = Wherry(os.path.join(folder, "state"), env={"KUBE_PASSWORD": PASSWORD})

    def chart(self, version="1.2.3"):
        at = os.path.join(self.folder, "chart-" + version)
        os.makedirs(os.path.join(at, "templates"), exist_ok=True)
        for name, text in CHART.items():
            with open(os.path.join(at, name), "w") as f:
                f.write(text % version if name == "Chart.yaml" else text)
        return at

    def file(self, *steps):
        self.n += 1
        path = os.path.join(self.folder, "plan-%d.yaml" % self.n)
        with open(path, "w") as f:
            f.write(HEAD % ("p%d" % self.n, self.cluster.wherry_config, self.namespace, self.binary) + "".join("  - %s\n" % s for s in steps))
        return path

    def run(self, *steps, code=0, env=None, words=()):
        """Run id rN of the N-th plan."""
        path = self.file(*steps)
        done = self.w("run", path, "--yes", "--run-id", "r%d" % self.n, "--format", "plain", *words, env=env or {})
        equal(done.code, code, str(done))
        return done

    def plan(self, *steps, code=0):
        done = self.w("plan", self.file(*steps), "--format", "json")
        equal(done.code, code, str(done))
        return [json.loads(line) for line in done.out.splitlines()]

    def helm(self, *args, stdin="", code=0):
        done = subprocess.run([self.binary, *args], input=stdin, capture_output=True, text=True, timeout=60, env={
            "PATH": os.environ["PATH"], "HOME": self.folder, "KUBECONFIG": self.cluster.kubeconfig, "HELM_NAMESPACE": self.namespace})
        equal(done.returncode, code, "%s: %s" % (args, done.stderr))
        return done.stdout

    def history(self):
        return [(h["revision"], h["status"]) for h in json.loads(self.helm("history", "one", "-o", "json"))]

    def values(self):
        return json.loads(self.helm("get", "values", "one", "-o", "json"))

    def data(self):
        return self.cluster.get("cm", "one-cm", namespace=self.namespace)["data"]

    def install(self, **values):
        self.helm("install", "one", self.chart(), "-f", "-", stdin=json.dumps(values))


def step(name, uses, **inputs):
    outer = {k[:-1]: inputs.pop(k) for k in list(inputs) if k.endswith("_")}
    return json.dumps({"id": name, "uses": "helm." + uses, "with": {"in": "h", "release": "one", **inputs}, **outer})


def check(that, *needs):
    return json.dumps({"id": "check", "uses": "assert", "with": {"that": "${{ %s }}" % that, "message": that}, "needs": list(needs)})


def says(done, *words):
    for word in words:
        expect(word in done.out + done.err, "no '%s' in %s" % (word, done))


@testbed.shared()
def test_look(a):
    """status, values and template: outputs, a chart of another version, a release that is not there; nothing secret."""
    with scratch() as folder, a.namespace() as ns:
        d = Desk(folder, a, ns)
        d.install(size=2, password="very-hidden")
        chart = d.chart()
        done = d.run(
            step("s", "status", chart=chart, require_same_version=True, version="1.2.3"), step("v", "values"),
            step("t", "template", chart=chart, set={"who.name": "x"}, values={"password": "${{ params.password }}"}),
            check("steps.s.outputs.revision == 1 and steps.s.outputs.status == 'deployed' and steps.s.outputs.version == '1.2.3' "
                  "and steps.s.outputs.objects['ConfigMap/%s/one-cm'].data.size == '2'" % ns),
            json.dumps({"id": "c2", "uses": "assert", "with": {
                "that": "${{ steps.v.outputs.values.size == 2 and steps.v.outputs.values.password == '(secret)' }}", "message": "values"}}),
            json.dumps({"id": "c3", "uses": "assert", "with": {
                "that": "${{ steps.t.outputs.objects['ConfigMap/default/one-cm'].data.name == 'x' }}", "message": "template"}}))
        for name in os.listdir(d.w.folder("r1")):
            path = os.path.join(d.w.folder("r1"), name)
            with open(path, "rb") if os.path.isfile(path) else open(os.devnull, "rb") as f:
                text = f.read()
            expect(b"very-hidden" not in text and PASSWORD.encode() not in text, "a secret is in " + name)
        expect("very-hidden" not in done.out + done.err, "a secret is shown")
        says(d.run(step("s", "status", chart=d.chart("1.3.0"), require_same_version=True), code=1), "small 1.3.0", "small 1.2.3")
        says(d.run(step("s", "status", chart=chart, version="1.2.4"), code=1), "not version 1.2.4")
        says(d.run(json.dumps({"id": "s", "uses": "helm.status", "with": {"in": "h", "release": "two"}}), code=1), "there is no release two")


@testbed.shared()
def test_upgrade(a):
    """An upgrade keeps the values; what the dry-run shows is what comes; the rollback of the run goes back to the old revision."""
    with scratch() as folder, a.namespace() as ns:
        d = Desk(folder, a, ns)
        d.install(size=2, password="very-hidden", who={"name": "me"})
        chart, old = d.chart(), d.data()
        steps = [step("u", "upgrade", chart=chart, require_same_version=True, set={"who.age": 4, "place": "x,y=z"},
                      values={"password": "${{ params.password }}"}),
                 step("w", "upgrade", chart=chart, set={"size": 7}, needs_=["u"]),
                 check("steps.w.outputs.revision == 3 and steps.w.outputs.values.who.age == 4 and steps.w.outputs.values.password == '(secret)'",
                       "w")]
        events = [e for e in d.plan(*steps) if e.get("event") == "action"]
        equal(d.history(), [(1, "deployed")], "history after a dry-run")
        expect("4" in events[0]["diff"] and "data.age" in events[0]["diff"] and "x,y=z" in events[0]["diff"], "no diff: %s" % events[0])
        expect("size" in events[1]["diff"] and "place" not in events[1]["diff"], "the second diff: %s" % events[1])
        expect(PASSWORD not in str(events) and "very-hidden" not in str(events), "a secret is shown: %s" % events)
        done = d.run(*steps)
        expect(PASSWORD not in done.out + done.err and "very-hidden" not in done.out + done.err, "a secret is shown")
        equal(d.history(), [(1, "superseded"), (2, "superseded"), (3, "deployed")], "history")
        equal(d.values(), {"size": 7, "password": PASSWORD, "who": {"name": "me", "age": 4}, "place": "x,y=z"}, "values")
        equal(d.data(), {"size": "7", "name": "me", "age": "4", "place": "x,y=z"}, "what came")
        d.w.ok("rollback", "r%d" % d.n, "--yes", "--format", "plain")
        equal(d.data(), old, "after the rollback")
        equal(d.values(), {"size": 2, "password": "very-hidden", "who": {"name": "me"}}, "values after the rollback")
        d.run(step("u", "upgrade", chart=chart, set={"size": 8}, keep_values=False))
        equal(d.values(), {"size": 8}, "values that were not to be kept")
        d.helm("upgrade", "one", chart, "--reuse-values", "-f", "-", stdin='{"place": "else"}')
        says(d.w.ok("rollback", "r%d" % d.n, "--yes", "--format", "plain", code=3), "was changed by someone else")
        equal(d.data()["place"], "else", "what somebody else made")


@testbed.shared()
def test_install(a):
    """install, rollback and uninstall, and their undo."""
    with scratch() as folder, a.namespace() as ns:
        d = Desk(folder, a, ns)
        chart = d.chart()
        says(d.run(step("u", "upgrade", chart=chart), code=1), "there is no release one")
        d.run(step("u", "upgrade", chart=chart, install=True))
        d.w.ok("rollback", "r%d" % d.n, "--yes", "--format", "plain")
        d.helm("status", "one", code=1)
        d.install(size=1)
        d.run(step("u", "upgrade", chart=chart, set={"size": 2}), step("b", "rollback", revision=1, needs_=["u"]))
        equal((d.data()["size"], len(d.history())), ("1", 3), "after the rollback step")
        d.w.ok("rollback", "r%d" % d.n, "--yes", "--format", "plain")
        equal(d.data()["size"], "1", "after both were taken back")
        d.run(step("b", "rollback", revision=1), step("x", "uninstall", keep_history=True, needs_=["b"]))
        equal(a.get("cm", namespace=ns)["items"][-1]["metadata"]["name"], "kube-root-ca.crt", "what is left")
        d.w.ok("rollback", "r%d" % d.n, "--yes", "--format", "plain")
        equal(d.data()["size"], "1", "after the uninstall was taken back")
        d.run(step("x", "uninstall"), step("y", "uninstall", needs_=["x"]))
        d.helm("status", "one", code=1)
        says(d.w.ok("rollback", "r%d" % d.n, "--yes", "--format", "plain", code=3), "its revisions went with it")


@testbed.shared()
def test_failed(a):
    """A revision that helm gives up fails its step; a rollback goes back to what ran; a resume tries again."""
    with scratch() as folder, a.namespace() as ns:
        d = Desk(folder, a, ns)
        d.install(size=1)
        bad = step("u", "upgrade", chart=d.chart(), set={"size": 2, "broken": True})
        done = d.run(bad, code=1)
        says(done, "failed")
        before = d.history()
        d.w.ok("resume", "r%d" % d.n, "--yes", "--format", "plain", code=1)
        expect(len(d.history()) >= len(before), "history after a resume: %s" % d.history())
        d.w.ok("rollback", "r%d" % d.n, "--yes", "--format", "plain")
        equal(d.data()["size"], "1", "after the rollback")
        equal(d.history()[-1][1], "deployed", "the newest revision")


@testbed.shared()
def test_pending(a):
    """A release at which helm was ended is refused with the way out, by a run with exit code 3; then it goes on."""
    with scratch() as folder, a.namespace() as ns:
        d = Desk(folder, a, ns)
        d.install(size=1)
        pend(d, a, ns)
        up = step("u", "upgrade", chart=d.chart(), set={"size": 2})
        says(d.run(step("s", "status"), code=3), "pending-upgrade", "helm history one")
        says(d.run(up, code=3), "pending-upgrade", "helm rollback one 1")
        equal(len(d.history()), 2, "revisions")
        d.plan(up, code=1)
        d.helm("rollback", "one", "1")
        d.w.ok("resume", "r2", "--yes", "--format", "plain")
        equal(d.data()["size"], "2", "after the way out")


def pend(d, a, ns):
    """Its newest revision is one at which a helm was ended."""
    d.helm("upgrade", "one", d.chart(), "--reuse-values")
    script = """import base64, gzip, json, sys
o = json.load(sys.stdin)
r = json.loads(gzip.decompress(base64.b64decode(base64.b64decode(o["data"]["release"]))))
r["info"]["status"] = sys.argv[1]
o["data"]["release"] = base64.b64encode(base64.b64encode(gzip.compress(json.dumps(r).encode()))).decode()
o["metadata"]["labels"]["status"] = sys.argv[1]
print(json.dumps(o))"""
    for revision, status in ((1, "deployed"), (2, "pending-upgrade")):
        text = a.kubectl("get", "secret", "sh.helm.release.v1.one.v%d" % revision, "-o", "json", namespace=ns)
        done = subprocess.run([sys.executable, "-c", script, status], input=text, capture_output=True, text=True, check=True)
        a.kubectl("replace", "-f", "-", namespace=ns, stdin=done.stdout)


KILLED = -9


@testbed.shared()
def test_killed(a):
    """kill -9 before helm and after it: one new revision each, and a rollback of the run."""
    with scratch() as folder, a.namespace() as ns:
        d = Desk(folder, a, ns)
        with open(os.environ["WHERRY"], "rb") as f:
            if b"helm.before_spawn" not in f.read():
                return "this build has no fault points"
        d.install(size=1)
        for n, point in enumerate(["effect.intent_durable", "helm.before_spawn", "helm.ended", "effect.replied", "effect.settled"]):
            before = len(d.history())
            d.run(step("u", "upgrade", chart=d.chart(), set={"size": 2 + n}), code=KILLED, env={"WHERRY_FAULT": point + ":1"})
            d.w.ok("resume", "r%d" % d.n, "--yes", "--format", "plain")
            equal(len(d.history()), before + 1, "revisions after a kill at " + point)
            equal(d.data()["size"], str(2 + n), "after a kill at " + point)
            d.w.ok("rollback", "r%d" % d.n, "--yes", "--format", "plain")
            equal(d.data()["size"], "1", "after the rollback")
    return None


main(test_look, test_upgrade, test_install, test_failed, test_pending, test_killed)
