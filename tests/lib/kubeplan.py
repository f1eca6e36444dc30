# SPDX-License-Identifier: Apache-2.0
"""Plans on a namespace of a real cluster, and what the audit log says became of them."""
import json
import os
import re

import audit
import testbed
import told
from truth import Truth
from witness import OnCluster
from wtest import Wherry, expect, golden

HEAD = """wherry: v1
name: %s
params:
  password: {type: string, secret: true, env: KUBE_PASSWORD}
targets:
  k: {kind: kubernetes, kubeconfig: %s, namespace: %s}
  h: {kind: helm, cluster: k, binary: %s}
steps:
"""
PASSWORD = "of-the-plan-7"


class Desk:
    """One cluster, one namespace, one state folder; steps are lines, each a flow map."""

    def __init__(self, folder, cluster, namespace, kubeconfig=None):
        self.folder, self.cluster, self.namespace = folder, cluster, namespace
        self.kubeconfig = kubeconfig or cluster.wherry_config
        self.w = Wherry(os.path.join(folder, "state"), env={"KUBE_PASSWORD": PASSWORD})
        self.n = 0

    def file(self, steps, last=()):
        """last: the steps of `finally`."""
        self.n += 1
        path = os.path.join(self.folder, "plan-%d.yaml" % self.n)
        with open(path, "w") as f:
            f.write(HEAD % ("p%d" % self.n, self.kubeconfig, self.namespace, self.cluster.world.program("helm")) +
                    "".join("  - %s\n" % s for s in steps))
            f.write("".join(["finally:\n"] + ["  - %s\n" % s for s in last]) if last else "")
        return path

    def run(self, *steps, last=(), code=0, words=()):
        """Run id rN of the N-th plan."""
        path = self.file(steps, last)
        return self.w.ok("run", path, "--yes", "--run-id", "r%d" % self.n, "--format", "plain", *words, code=code)

    def told(self, row, done):
        """All that the command said is what tests/golden/told/kube-ROW.txt holds."""
        text = told.told(done, [a.replace(self.folder + "/", "") for a in done.argv[1:]], (self.folder, "DIR"), (self.namespace, "NS"))
        for number, name in ((r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "UID"), (r"\br\d+\b", "RUN"), (r"plan-\d+", "plan"),
                             (r"t[0-9a-f]{6}\.example", "GROUP.example"), (r"\d{6,}(?= bytes| vs)", "MANY")):
            text = re.sub(number, name, text)
        golden("told/kube-%s.txt" % row, text)
        return done

    def plan(self, *steps, code=0):
        """The lines of the dry-run, as values."""
        return self.w.ok("plan", self.file(steps), "--format", "json", code=code).json()

    def both(self, *steps, looks=()):
        """Dry-run, then run: what the one announces is what becomes of it."""
        seen = OnCluster(self.cluster, looks=looks)
        return Truth(self.w, self.folder, {"k": seen, "h": seen}).prove(self.file(steps), run="r%d" % self.n)


def changes(cluster, mark, user="wherry"):
    """The requests since then that changed something."""
    return sorted(audit.told(e) for e in audit.requests(cluster.audit(mark, user=user)))


def config(name, **data):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def deployment(name, replicas=1, command=("sleep", "1000"), init=None, **labels):
    container = {"name": "main", "image": testbed.IMAGE, "command": list(command)}
    spec = {"terminationGracePeriodSeconds": 0, "containers": [container]}
    if init:
        spec["initContainers"] = [{"name": "first", "image": testbed.IMAGE, "command": list(init)}]
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "labels": labels}, "spec": {
        "replicas": replicas, "selector": {"matchLabels": {"app": name}},
        "template": {"metadata": {"labels": {"app": name}}, "spec": spec}}}


def step(name, uses, /, **inputs):
    """One line of a plan; more of the step itself by inputs that end with an underscore."""
    outer = {k[:-1]: inputs.pop(k) for k in list(inputs) if k.endswith("_")}
    with_in = uses.startswith("kubernetes.")
    return json.dumps({"id": name, "uses": uses, "with": {**({"in": "k"} if with_in else {}), **inputs}, **outer})


def check(that, *needs):
    check.n += 1
    return json.dumps({"id": "c%d" % check.n, "uses": "assert", "with": {"that": "${{ %s }}" % that, "message": that}, "needs": list(needs)})


check.n = 0


def refused(desk, steps, *words, code=1):
    """The run and its dry-run end with that code and say so."""
    for done in (desk.run(*steps, code=code), desk.w.ok("plan", desk.file(steps), code=code)):
        for word in words:
            expect(word in done.out + done.err, "no '%s' in %s" % (word, done))
