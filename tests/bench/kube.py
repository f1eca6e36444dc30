# SPDX-License-Identifier: Apache-2.0
"""The rows of tests/bench/run that need a Kubernetes API server: one without nodes, started for them in a network of its own."""
import contextlib
import json
import os
import subprocess
import time

import testbed
from wtest import expect

HEAD = """wherry: v1
name: %s
summary: Objects of a namespace.
params:
  kubeconfig: {type: path, required: true}
  folder: {type: path, required: true}
  namespace: {type: string, required: true}
targets:
  k: {kind: kubernetes, kubeconfig: "${{ params.kubeconfig }}"}
steps:
"""
STEPS = {
    "import": "  - {id: import, uses: kubernetes.import, with: {in: k, from: '${{ params.folder }}', namespaces: '${{ {seed = params.namespace} }}', on_existing: adopt}}\n",
    "export": "  - {id: export, uses: kubernetes.export, with: {in: k, to: '${{ params.folder }}', namespaces: ['${{ params.namespace }}'], kinds: [ConfigMap]}}\n",
}
CONNECTIONS = 16


class Desk:
    """One cluster, and the ways to bring objects into a namespace of it or out of it."""

    def __init__(self, folder, runs, cluster, tools):
        self.folder, self.runs, self.cluster, self.tools, self.n = folder, runs, cluster, tools, 0
        for name, step in STEPS.items():
            with open(os.path.join(folder, name + ".yaml"), "w") as f:
                f.write(HEAD % name + step)

    def path(self, name):
        return os.path.join(self.folder, name)

    def kubectl(self, *args):
        """Seconds that it took."""
        begin = time.monotonic()
        self.cluster.kubectl(*args, timeout=1800)
        return time.monotonic() - begin

    def namespace(self, name=None):
        self.n += 1
        self.last = name or "bench-%d" % self.n
        self.kubectl("create", "namespace", self.last)
        return self.last

    def bare(self, n, size, name=None):
        """Seconds of a client that does nothing but create."""
        pki = self.cluster.pki.path
        url = "https://" + self.cluster.at("kube-apiserver")
        argv = [os.path.join(self.tools, "bench_kube"), url, pki("ca.crt"), pki("admin.crt"), pki("admin.key"), self.namespace(name), n, size, CONNECTIONS]
        return float(subprocess.run(list(map(str, argv)), check=True, stdout=subprocess.PIPE, text=True).stdout)

    def plan(self, name, folder, namespace):
        return self.runs.run(self.path(name + ".yaml"), "-p", "kubeconfig=" + self.cluster.kubeconfig, "-p", "folder=" + folder, "-p", "namespace=" + namespace)

    def bring(self, folder):
        return self.plan("import", folder, self.namespace())

    def list_file(self, namespace):
        """What kubectl would bring: one file of all objects, for a new namespace."""
        text = json.loads(self.cluster.kubectl("get", "cm", "-o", "json", "-l", "!none", namespace=namespace, timeout=600))
        items = [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": o["metadata"]["name"]}, "data": o["data"]}
                 for o in text["items"] if o["metadata"]["name"] != "kube-root-ca.crt"]
        with open(self.path("list.json"), "w") as f:
            json.dump({"apiVersion": "v1", "kind": "List", "items": items}, f)
        return self.path("list.json")


@contextlib.contextmanager
def desk(folder, runs, tools):
    with testbed.started(os.path.join(folder, "testbed"), ["a"], ["--control-plane"]) as place:
        place.join()
        yield Desk(folder, runs, testbed.Cluster(place, "a"), tools)


def row_import(table, folder, runs, tools, turns, n):
    with desk(folder, runs, tools) as d:
        d.bare(n, 1024, "seed")
        exported = d.path("exported")
        out = d.plan("export", exported, "seed")
        listed = d.kubectl("get", "cm", "-n", "seed", "-o", "yaml")
        table.row("kubernetes.export of %d objects of 1 KiB" % n, "%.2f s" % out, "%.2f s, kubectl get -o yaml" % listed, "%.1f" % (listed / out),
                  ">= 3", "8", listed / out >= 3)
        ours, bound = turns(lambda: d.bring(exported), lambda: d.bare(n, 1024))
        table.row("kubernetes.import of them", "%.2f s, %.0f/s" % (ours, n / ours), "%.2f s, write-only client, %d connections" % (bound, CONNECTIONS),
                  "%.2f" % (bound / ours), ">= 0.7", "0.9", bound / ours >= 0.7)
        d.bring(exported)
        again = d.plan("import", exported, d.last)
        objects = d.list_file("seed")
        applied = d.kubectl("apply", "-n", d.namespace(), "-f", objects)
        table.row("the same", "%.2f s" % ours, "%.2f s, kubectl apply" % applied, "%.1f" % (applied / ours), ">= 4", "", applied / ours >= 4)
        applied = d.kubectl("apply", "-n", d.last, "-f", objects)
        created = d.kubectl("create", "-n", d.namespace(), "-f", objects)
        table.row("the same", "%.2f s" % ours, "%.2f s, kubectl create" % created, "%.1f" % (created / ours), ">= 2", "", created / ours >= 2)
        table.row("again, with nothing to do", "%.2f s" % again, "%.2f s, kubectl apply again" % applied, "%.1f" % (applied / again), ">= 20", "",
                  applied / again >= 20)


def row_objects(table, folder, runs, tools, turns, n):
    """How much memory many objects take."""
    with desk(folder, runs, tools) as d:
        d.bare(n, 100, "seed")
        exported = d.path("exported")
        seconds = d.plan("export", exported, "seed")
        table.row("peak memory of kubernetes.export, %d objects" % n, "%.0f MB, %.1f s" % (runs.peak / 1024, seconds), "", "", "< 64 MB", "",
                  runs.peak < 64 * 1024)
        seconds = d.bring(exported)
        table.row("peak memory of kubernetes.import of them", "%.0f MB, %.1f s" % (runs.peak / 1024, seconds), "", "", "< 64 MB", "",
                  runs.peak < 64 * 1024)
        expect(runs.peak > 0, "nothing was measured")
