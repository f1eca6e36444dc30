#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Export and import, killed at the first, a middle and the last hit of every fault point that a run of them reaches, and killed again
in the resume and in the rollback: in the end the world is that of an uninterrupted run, or as before it, and nothing was made twice."""
import collections
import concurrent.futures
import json
import os
import queue
import random
import signal
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "lib"), os.path.join(HERE, "..", "crash")]
import audit  # noqa: E402
import testbed  # noqa: E402
from kubeplan import config, deployment  # noqa: E402
from stories import MAX_RESUMES, RUN, Story  # noqa: E402
from wtest import Violation, Wherry, equal, expect, main, scratch  # noqa: E402

THREADS = 3
PLAN = """wherry: v1
name: port
params:
  kubeconfig: {type: path, required: true, help: of the cluster}
  source: {type: string, required: true, help: the namespace that is copied}
  namespace: {type: string, required: true, help: what it is called then}
  folder: {type: path, required: true, help: of the export}
targets:
  k: {kind: kubernetes, kubeconfig: "${{ params.kubeconfig }}"}
steps:
  - {id: export, uses: kubernetes.export, with: {in: k, to: "${{ params.folder }}", namespaces: ["${{ params.source }}"]}}
  - id: import
    uses: kubernetes.import
    with: {in: k, from: "${{ steps.export.outputs.path }}", namespaces: "${{ {[params.source] = params.namespace} }}", parallel: 4}
"""
COMPARE = """wherry: v1
name: compare
params:
  kubeconfig: {type: path, required: true, help: of the cluster}
  source: {type: string, required: true, help: the namespace that is copied}
  namespace: {type: string, required: true, help: what it is called then}
targets:
  k: {kind: kubernetes, kubeconfig: "${{ params.kubeconfig }}"}
steps:
  - {id: c, uses: kubernetes.compare, with: {in: k, from: k, namespaces: ["${{ params.source }}"], moved: "${{ {[params.source] = params.namespace} }}"}}
"""


def source_objects(namespace):
    rbac = "rbac.authorization.k8s.io"
    return [
        *(config("c%d" % i, x=str(i)) for i in range(6)), deployment("web", replicas=0),
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": {"p": "hidden"}},
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "runner"}},
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]}},
        {"apiVersion": rbac + "/v1", "kind": "Role", "metadata": {"name": "r"}, "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]},
        {"apiVersion": rbac + "/v1", "kind": "RoleBinding", "metadata": {"name": "r"}, "roleRef": {"apiGroup": rbac, "kind": "Role", "name": "r"},
         "subjects": [{"kind": "ServiceAccount", "name": "runner", "namespace": namespace}]}]


class Port:
    """A namespace into which the source is copied, anew for every story; what is counted is what the audit log has of it."""
    name = "port"

    def __init__(self, cluster, source, base, names):
        self.cluster, self.source, self.base, self.names, self.n = cluster, source, base, names, 0

    def reset(self, rng):
        self.n += 1
        self.namespace, self.folder = "%s-%d" % (self.names, self.n), os.path.join(self.base, str(self.n))
        os.makedirs(self.folder)
        self.plan, self.comparing, self.exported = (os.path.join(self.folder, x) for x in ("plan.yaml", "compare.yaml", "out"))
        for path, text in ((self.plan, PLAN), (self.comparing, COMPARE)):
            with open(path, "w") as f:
                f.write(text)
        self.mark = self.cluster.audit_mark()

    def begin(self, program):
        """A story with this program starts."""

    def finish(self):
        """It has ended."""

    def words(self):
        return ["-p", "kubeconfig=" + self.cluster.wherry_config, "-p", "source=" + self.source, "-p", "namespace=" + self.namespace]

    def params(self):
        return self.words() + ["-p", "folder=" + self.exported]

    def changes(self):
        """Requests on the namespace and what is in it: {(verb, place): how often}. self.unsure: those that the server gave up."""
        got, self.unsure = collections.Counter(), set()
        for e in audit.requests(self.cluster.audit(self.mark, user="wherry")):
            verb, resource, place = audit.told(e).split(" ", 2)
            done = verb, resource + place[len(self.namespace):]
            if place.partition("/")[0] == self.namespace and audit.is_sure(e):
                got[done] += 1
            elif place.partition("/")[0] == self.namespace:
                self.unsure.add(done)
        return got

    def counts(self):
        """By step, as stories count."""
        return +collections.Counter({"import": sum(self.changes().values())})

    def happened(self, step):
        return self.counts()[step] > 0

    def sums(self):
        with open(os.path.join(self.exported, "SHA256SUMS")) as f:
            return f.read()

    def check_done(self, w, wanted):
        """wanted: changes and sums of an uninterrupted run."""
        got = self.changes()
        expect(got <= wanted[0] and (wanted[0] - got).keys() <= self.unsure, "what was made: %s, and perhaps %s" % (got, self.unsure))
        equal(self.sums(), wanted[1], "the sums of the exported files")
        equal(sorted(os.listdir(self.folder)), ["compare.yaml", "out", "plan.yaml", "state"], "files")
        w.ok("run", self.comparing, "--yes", "--run-id", "compare", *self.words())

    def check(self):
        """After a rollback, or where it had not begun."""
        changes = self.changes()
        made, gone = ({p: n for (v, p), n in changes.items() if v == verb} for verb in ("create", "delete"))
        equal({p: n for p, n in made.items() if n > 1}, {}, "what was made twice")
        equal(made.keys() - gone.keys(), set(), "what was not taken back")
        equal(sorted(set(os.listdir(self.folder)) - {"compare.yaml", "plan.yaml", "state"}), [], "files after the rollback")
        path = "/api/v1/namespaces/" + self.namespace
        status, body = self.cluster.ask(self.cluster.at("kube-apiserver"), "GET", path)
        expect(status == 404 or json.loads(body)["status"]["phase"] == "Terminating", "the namespace is there after the rollback")


class PortStory(Story):
    """later: faults of the resumes, None where the killed run is rolled back as it is; back: of the rollbacks."""

    def __init__(self, scenario, wanted, seed, first=None, later=(), back=(), env=None, back_env=None):
        super().__init__(scenario, None, seed, first, later or (), env=env)
        self.wanted, self.goes_on, self.back, self.back_env, self.back_killed = wanted, later is not None, list(back), back_env, 0

    def _tell(self):
        if self.goes_on:
            super()._tell()
            if self.wanted:
                self.scenario.check_done(self.w, self.wanted)
            super().check_closed()
        else:
            self.w = Wherry(os.path.join(self.scenario.folder, "state"))
            done = self.say(["run", self.scenario.plan, "--run-id", RUN, "--yes", "--format", "plain"] + self.scenario.params(), self.first)
            self.killed += done.code == -signal.SIGKILL
        self.done = self.scenario.changes(), self.scenario.sums() if self.goes_on else None
        if self.settled() is not None:
            self.roll_back()

    def roll_back(self):
        for _ in range(MAX_RESUMES):
            done = self.say(["rollback", RUN, "--yes", "--format", "plain"], self.back.pop(0) if self.back else None, env=self.back_env)
            self.back_killed += done.code == -signal.SIGKILL
            if done.code == 0:
                return
            equal(done.code, -signal.SIGKILL, "a rollback: %s; exit code" % done)
        raise Violation("not rolled back after %d times" % MAX_RESUMES)

    def check_closed(self):
        if self.settled() is None:
            return
        before = self.scenario.changes()
        self.w.ok("journal", "verify", RUN)
        self.w.ok("rollback", RUN, "--yes")
        equal(self.w("resume", RUN, "--yes").code, 2, "exit code of a resume of what is rolled back")
        equal(self.scenario.changes(), before, "requests after the rollback")


def hits_of(log):
    with open(log) as f:
        return collections.Counter(line.split()[0] for line in f)


def first_middle_last(hits):
    return ["%s:%d" % (p, n) for p in sorted(hits) for n in sorted({1, (hits[p] + 1) // 2, hits[p]})]


def stories(rng, hits, back_hits):
    """Arguments of each: a kill of the run at every place, with kills of the resumes; every third is rolled back from there; and kills of
    the rollback at every place of its own."""
    answered = ["kube.answered:%d" % n for n in range(1, hits["kube.answered"] + 1)]  # of each object, what a lost reply leaves
    runs, backs = sorted({*first_middle_last(hits), *answered}), first_middle_last(back_hits)

    def some(points, most):
        return rng.choices(points, k=rng.randrange(most + 1))

    for i in range(max(len(runs), len(backs))):
        first = runs[i] if i < len(runs) else None
        yield {"first": first, "later": None if first and i % 3 == 2 else some(runs, 2) if first else (),
               "back": backs[i:i + 1] + some(backs, 1)}


@testbed.shared()
def test_killed(a):
    """As many stories as there are places, several at a time."""
    with open(os.environ["WHERRY"], "rb") as f:
        if b"folder.before_rename" not in f.read():
            return "this build has no fault points"
    seed = int(os.environ.get("SEED", time.time()))
    with scratch() as folder, a.namespace() as ns:
        a.apply(*source_objects(ns), namespace=ns)
        logs = [os.path.join(folder, x) for x in ("run-points", "back-points")]
        first = PortStory(Port(a, ns, os.path.join(folder, "reference"), ns + "-r"), None, seed,
                          env={"WHERRY_FAULT_LOG": logs[0]}, back_env={"WHERRY_FAULT_LOG": logs[1]}).tell()
        hits, back_hits = map(hits_of, logs)
        wanted, free, broken, numbers = first.done, queue.SimpleQueue(), [], collections.Counter()
        for i in range(THREADS):
            free.put(Port(a, ns, os.path.join(folder, "w%d" % i), "%s-%d" % (ns, i)))

        def tell(number, story):
            port = free.get()
            told = PortStory(port, wanted, "%d/%d" % (seed, number), **story)
            try:
                told.tell()
            except Violation as e:
                broken.append("story %d, %s: %s" % (number, story, e))
            finally:
                free.put(port)
            numbers.update({"kills of a run": told.killed, "of a resume": told.resume_killed, "of a rollback": told.back_killed})

        with concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
            for _ in pool.map(lambda x: tell(*x), enumerate(stories(random.Random(seed), hits, back_hits))):
                pass
        print("seed %d: %d places of a run and %d of a rollback: %s" % (seed, len(hits), len(back_hits), dict(numbers)))
        expect(not broken, "%d stories broken:\n%s" % (len(broken), "\n".join(broken[:5])))
    return None


main(test_killed)
