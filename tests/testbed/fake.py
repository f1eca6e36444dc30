# SPDX-License-Identifier: Apache-2.0
"""Nodes that only say that they run their pods (kwok): for tests that want numbers. Nothing is executed there."""
import fcntl

from world import until

KIND = "wherry.test/node"  # the label and the taint that keep pods on fake nodes, and others away from them


def node(name):
    resources = {"cpu": "64", "memory": "256Gi", "pods": "1000"}
    return {"apiVersion": "v1", "kind": "Node",
            "metadata": {"name": name, "annotations": {"kwok.x-k8s.io/node": "fake"},
                         "labels": {KIND: "fake", "kubernetes.io/hostname": name, "kubernetes.io/os": "linux"}},
            "spec": {"taints": [{"key": KIND, "value": "fake", "effect": "NoSchedule"}]},
            "status": {"allocatable": resources, "capacity": resources}}


def up(cluster, count):
    """At least so many fake nodes, ready; several may ask at once."""
    with open(cluster.path("kwok.lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not cluster.world.runs(cluster.name, "kwok"):
            cluster.world.start(cluster.name, "kwok", cluster.world.servant() + [
                cluster.world.program("kwok"), "--kubeconfig=" + cluster.path("kwok.kubeconfig"), "--manage-all-nodes=false",
                "--manage-nodes-with-annotation-selector=kwok.x-k8s.io/node=fake", "--cidr=198.18.0.0/16", "--node-ip=127.0.0.1",
                "--node-lease-duration-seconds=40", "--server-address=" + cluster.at("kwok")])
        names = ["fake-%d" % i for i in range(count)]
        there = {item["metadata"]["name"] for item in cluster.api("GET", "/api/v1/nodes")["items"]}
        for name in names:
            if name not in there:
                cluster.api("POST", "/api/v1/nodes", node(name))
        until(lambda: ready(cluster) >= set(names), "the fake nodes are ready: " + cluster.path("kwok.log"))


def ready(cluster):
    items = cluster.api("GET", "/api/v1/nodes?labelSelector=%s" % KIND.replace("/", "%2F") + "%3Dfake")["items"]
    return {item["metadata"]["name"] for item in items
            if any(c["type"] == "Ready" and c["status"] == "True" for c in item["status"].get("conditions", ()))}


def placed():
    """Of a pod's spec: what brings it to a fake node."""
    return {"nodeSelector": {KIND: "fake"}, "tolerations": [{"key": KIND, "operator": "Exists"}]}
