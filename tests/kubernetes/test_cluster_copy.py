#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The bundled plan cluster-copy between two real clusters: what runs in one runs in the other; killed and resumed; taken back."""
import json
import os
import re
import secrets
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import testbed  # noqa: E402
from kubeplan import changes, config  # noqa: E402
from shop import ALL_PODS, KINDS, PLAN, Lane, Move, Shop, in_lanes, meta, pod, state, workload  # noqa: E402
from wtest import equal, expect, main, scratch  # noqa: E402

@testbed.shared(node=True)
def test_move(a, b):
    """All of it runs at the destination with the same volume, and rests at the source; a Job that has ended does not run again."""
    with scratch() as folder, a.namespace() as ns:
        shop = Shop(folder, ns, maps=1000)
        try:
            shop.open(a)
            before = state(a, shop)
            m = Move(folder, a, b, ns, cleanup="true", **shop.params())
            told = m.plan()
            equal(state(a, shop), before, "the source after the dry-run")
            for line in ("patch  a Deployment.apps/%s/web" % ns, "create  b Job.batch/%s/long" % ns, "delete  a Pod/%s/bare" % ns):
                expect(line in told.out, "no '%s' in %s" % (line, told))
            m.run(code=3)
            shop.is_up(b)
            equal([shop.pods(a), shop.pods(b)], [[], ALL_PODS], "pods of both")
            equal(len(b.get("cm", namespace=ns)["items"]), 1003, "config maps")
            equal(a.kubectl("get", "validatingwebhookconfiguration", shop.id, "--ignore-not-found"), "", "the webhook at the source")
            expect("failed calling webhook" in b.kubectl("create", "-f", "-", stdin=json.dumps({**shop.custom[0], **meta("more")}), namespace=ns, code=1),
                   "the webhook at the destination lets pass")
            expect("job.batch/once" not in b.kubectl("get", "job", "-o", "name", namespace=ns), "the Job that has ended is there")
            with open(os.path.join(shop.disk, "log")) as f:
                equal(f.read(), "up\nup\n", "what both wrote to the volume")
            equal(a.get("pv", shop.id)["spec"]["persistentVolumeReclaimPolicy"], "Retain", "the source's reclaim policy")
            expect("frozen by wherry" in a.kubectl("scale", "deploy/web", "--replicas=1", namespace=ns, code=1), "somebody starts the source again")
            m.resume("--approve", "handover", code=3)
            equal(b.get("pv", shop.id)["spec"]["persistentVolumeReclaimPolicy"], "Delete", "the destination's, after the hand-over")
            equal(b.get("pvc", "data-db-0", namespace=ns)["status"]["phase"], "Bound", "the claim")
            equal(b.get(shop.id + "s", namespace=ns)["items"][2]["spec"], {"deep": [2, {"a": "no"}]}, "a custom object")
            done = m.back(code=3)
            expect("wake" in done.out + done.err, "a rollback over the point of no return: %s" % done)
            m.resume("--approve", "clean", "--approve", "cleanup")
            left = a.kubectl("get", KINDS, "-o", "name", namespace=ns).split()
            equal(sorted(left), ["configmap/kube-root-ca.crt", "job.batch/once", "serviceaccount/default"], "what is left at the source")
            equal(a.kubectl("get", "pv/" + shop.id, *shop.names(), "--ignore-not-found", "-o", "name"), "", "and beside it")
            equal([shop.pods(b), os.path.exists(shop.disk)], [ALL_PODS, True], "the destination then")
        finally:
            shop.close(a, b)


def steps_before(last):
    """The plan's steps up to that one, in their order."""
    with open(PLAN) as f:
        ids = re.findall(r"^  - id: ([a-z-]+)", f.read(), re.M)
    return ids[ids.index("export"):ids.index(last)]


def there_and_back(lane, last):
    lane.m.run("--until", last)
    lane.take_back("from " + last)


@testbed.shared(node=True)
def test_back(a, b):
    """From each step before the destination runs a rollback leaves the source as it was, and the destination empty."""
    with scratch() as folder, a.namespace() as n1, a.namespace() as n2, a.namespace() as n3:
        lanes = []
        try:
            lanes.append(Lane(os.path.join(folder, "shop"), a, b, n1, kind=Shop))
            there_and_back(lanes[0], "same")
            stalls = [Lane(os.path.join(folder, ns), a, b, ns) for ns in (n2, n3)]
            lanes += stalls
            in_lanes(stalls, steps_before("wake"), there_and_back)
        finally:
            for lane in lanes:
                lane.stall.close(a, b)


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
