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
  existing: {type: string, default: fail}
targets:
  k: {kind: kubernetes, kubeconfig: "${{ params.kubeconfig }}"}
steps:
"""
STEPS = {
    "import": "  - {id: import, uses: kubernetes.import, with: {in: k, from: '${{ params.folder }}', namespaces: '${{ {seed = params.namespace} }}', on_existing: '${{ params.existing }}'}}\n",
    "export-all": "  - {id: export, uses: kubernetes.export, with: {in: k, to: '${{ params.folder }}', namespaces: ['${{ params.namespace }}']}}\n",
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

    def bare(self, objects):
        """Seconds of a client that does nothing but create what is in that file."""
        pki = self.cluster.pki.path
        url = "https://" + self.cluster.at("kube-apiserver")
        argv = [os.path.join(self.tools, "bench_kube"), url, pki("ca.crt"), pki("admin.crt"), pki("admin.key"), objects, CONNECTIONS]
        return float(subprocess.run(list(map(str, argv)), check=True, stdout=subprocess.PIPE, text=True).stdout)

    def configs(self, n, size, name=None):
        """The file of so many ConfigMaps for bare, in a namespace that is made for them."""
        return self.file(self.bodies("/api/v1/namespaces/%s/configmaps" % self.namespace(name), n, size))

    @staticmethod
    def bodies(path, n, size, head='"apiVersion":"v1","kind":"ConfigMap"', field="data"):
        return ['%s {%s,"metadata":{"name":"c%07d"},"%s":{"value":"%s"}}' % (path, head, i, field, chr(97 + i % 26) * size)
                for i in range(n)]

    def file(self, *groups):
        with open(self.path("objects"), "w") as f:
            f.write("\n\n".join("\n".join(group) for group in groups) + "\n")
        return self.path("objects")

    def plan(self, name, folder, namespace, *more):
        return self.runs.run(self.path(name + ".yaml"), *more, "-p", "kubeconfig=" + self.cluster.kubeconfig, "-p", "folder=" + folder, "-p", "namespace=" + namespace)

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
        d.bare(d.configs(n, 1024, "seed"))
        exported = d.path("exported")
        out = d.plan("export", exported, "seed")
        listed = d.kubectl("get", "cm", "-n", "seed", "-o", "yaml")
        table.row("kubernetes.export of %d objects of 1 KiB" % n, "%.2f s" % out, "%.2f s, kubectl get -o yaml" % listed, "%.1f" % (listed / out),
                  ">= 3", "8", listed / out >= 3)
        ours, bound = turns(lambda: d.bring(exported), lambda: d.bare(d.configs(n, 1024)))
        table.row("kubernetes.import of them", "%.2f s, %.0f/s" % (ours, n / ours), "%.2f s, write-only client, %d connections" % (bound, CONNECTIONS),
                  "%.2f" % (bound / ours), ">= 0.7", "0.9", bound / ours >= 0.7)
        d.bring(exported)
        again = d.plan("import", exported, d.last, "-p", "existing=adopt")
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
        d.bare(d.configs(n, 100, "seed"))
        exported = d.path("exported")
        seconds = d.plan("export", exported, "seed")
        table.row("peak memory of kubernetes.export, %d objects" % n, "%.0f MB, %.1f s" % (runs.peak / 1024, seconds), "", "", "< 64 MB", "",
                  runs.peak < 64 * 1024)
        seconds = d.bring(exported)
        table.row("peak memory of kubernetes.import of them", "%.0f MB, %.1f s" % (runs.peak / 1024, seconds), "", "", "< 64 MB", "",
                  runs.peak < 64 * 1024)
        expect(runs.peak > 0, "nothing was measured")


def definition(i):
    """A custom kind of anything."""
    schema = {"type": "object", "properties": {"spec": {"type": "object", "additionalProperties": {"type": "string"}}}}
    return {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "things%d.bench.example" % i}, "spec": {
        "group": "bench.example", "scope": "Namespaced", "names": {"plural": "things%d" % i, "singular": "thing%d" % i, "kind": "Thing%d" % i},
        "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}]}}


def mixed(d, n, kinds):
    """The file of n objects for bare, half of them ConfigMaps, the others of so many kinds that come first."""
    ns = "/namespaces/" + d.namespace("seed")
    things = [("/apis/bench.example/v1%s/things%d" % (ns, i), '"apiVersion":"bench.example/v1","kind":"Thing%d"' % i) for i in range(kinds)]
    customs = ["/apis/apiextensions.k8s.io/v1/customresourcedefinitions " + json.dumps(definition(i)) for i in range(kinds)]
    objects = d.bodies("/api/v1%s/configmaps" % ns, n // 2, 1024)
    for path, head in things:
        objects += d.bodies(path, n // 2 // kinds, 1024, head, "spec")
    return d.file(customs, [path for path, _ in things], objects)


def row_kinds(table, folder, runs, tools, turns, n):
    """A mixed set, each time into a cluster of its own: definitions are not told apart by a namespace."""
    kinds, exported = 50, os.path.join(folder, "exported")

    def bare():
        with desk(folder, runs, tools) as d:
            seconds = d.bare(mixed(d, n, kinds))
            if not os.path.exists(exported):
                d.plan("export-all", exported, "seed")
            return seconds

    def ours():
        with desk(folder, runs, tools) as d:
            return d.plan("import", exported, "seed")

    bound, seconds = turns(bare, ours)
    table.row("kubernetes.import of %d objects, %d kinds of them custom" % (n, kinds), "%.2f s, %.0f/s" % (seconds, n / seconds),
              "%.2f s, write-only client, %d connections" % (bound, CONNECTIONS), "%.2f" % (bound / seconds), ">= 0.7", "0.9", bound / seconds >= 0.7)
