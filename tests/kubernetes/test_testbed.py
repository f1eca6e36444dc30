#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The testbed itself: what the other tests on Kubernetes stand on."""
import os
import secrets
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import testbed  # noqa: E402
from wtest import equal, expect, main  # noqa: E402


def pod(name, *command, **spec):
    """One that ends at once when it is deleted."""
    container = {"name": "main", "image": testbed.IMAGE, "command": list(command), "volumeMounts": spec.pop("mounts", [])}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": name}},
            "spec": {"terminationGracePeriodSeconds": 0, "containers": [container], **spec}}


@testbed.shared(node=True)
def test_pods(a):
    """A pod runs on the node: exec with standard input and exit code, logs, a bound volume, the way to kubernetes.default."""
    with a.namespace() as ns:
        volume = "testbed-" + secrets.token_hex(4)
        folder = a.path(volume)
        programs, mount = a.programs()
        a.apply(
            {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": volume}, "spec": {
                "capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "storageClassName": volume,
                "hostPath": {"path": folder, "type": "DirectoryOrCreate"}}},
            {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "claim"}, "spec": {
                "accessModes": ["ReadWriteOnce"], "storageClassName": volume, "resources": {"requests": {"storage": "1Gi"}}}},
            pod("one", "sh", "-c", "echo written >/data/file; echo said; exec sleep 1000",
                volumes=[{"name": "data", "persistentVolumeClaim": {"claimName": "claim"}}, programs],
                mounts=[{"name": "data", "mountPath": "/data"}, mount]), namespace=ns)
        try:
            a.wait_until("condition=Ready", "pod/one", namespace=ns)
            equal(a.kubectl("logs", "one", namespace=ns), "said\n", "its log")
            with open(os.path.join(folder, "file")) as f:
                equal(f.read(), "written\n", "the file in its volume")
            equal(a.kubectl("exec", "-i", "one", "--", "sha256sum", namespace=ns, stdin="abc").split()[0],
                  "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", "the hash of what it was sent")
            a.kubectl("exec", "one", "--", "sh", "-c", "exit 7", namespace=ns, code=7)
            # in the pod kubectl uses the service account's token and authority
            for command in ([], ["env", "KUBERNETES_SERVICE_HOST=kubernetes.default"]):
                command = command + ["/programs/kubectl", "get", "--raw", "/version"]
                expect("v1.34" in a.kubectl("exec", "one", "--", *command, namespace=ns), "the pod does not reach the API server")
        finally:
            a.kubectl("delete", "pod", "one", "--wait=false", namespace=ns)
            a.kubectl("delete", "pv", volume, "--wait=false")


@testbed.shared(node=True)
def test_two(a, b):
    """A pod of one cluster reaches a pod and a service of the other; each API server reaches its own services."""
    with a.namespace() as here, b.namespace() as there:
        b.apply(pod("web", "sh", "-c", "mkdir /www; echo hello >/www/index.html; exec httpd -f -p 8080 -h /www"),
                {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": {
                    "selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8080}]}}, namespace=there)
        a.apply(pod("one", "sleep", "1000"), namespace=here)
        a.wait_until("condition=Ready", "pod/one", namespace=here)
        b.wait_until("condition=Ready", "pod/web", namespace=there)
        b.wait_until("jsonpath={.endpoints[0].conditions.ready}=true", "endpointslice", "--selector=kubernetes.io/service-name=web",
                     namespace=there)
        address = b.get("pod", "web", namespace=there)["status"]["podIP"]
        service = b.get("service", "web", namespace=there)["spec"]["clusterIP"]
        script = "for i in 1 2 3 4 5; do wget -qO- http://%s/ && exit; sleep 1; done; exit 1"  # until the node's rules are there
        for target in (address + ":8080", service):
            equal(a.kubectl("exec", "one", "--", "sh", "-c", script % target, namespace=here), "hello\n", "what %s serves" % target)
        proxied = "/api/v1/namespaces/%s/services/web:80/proxy/" % there
        equal(b.kubectl("get", "--raw", proxied), "hello\n", "the service through the API server")
        b.kubectl("delete", "pod", "web", "--wait=false", namespace=there)
        a.kubectl("delete", "pod", "one", "--wait=false", namespace=here)


@testbed.shared(node=True)
def test_names(a):
    """A StatefulSet's pods find each other by name through its headless service; what does not exist is told so."""
    with a.namespace() as ns:
        spec = pod("peer", "sh", "-c", "mkdir /www; hostname >/www/index.html; exec httpd -f -p 8080 -h /www")["spec"]
        a.apply({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "peers"}, "spec": {
                    "clusterIP": "None", "selector": {"app": "peer"}, "ports": [{"port": 8080}]}},
                {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "peer"}, "spec": {
                    "replicas": 2, "podManagementPolicy": "Parallel", "serviceName": "peers", "selector": {"matchLabels": {"app": "peer"}},
                    "template": {"metadata": {"labels": {"app": "peer"}}, "spec": spec}}}, namespace=ns)
        a.wait_until("jsonpath={.status.readyReplicas}=2", "statefulset/peer", namespace=ns)
        a.wait_until("jsonpath={.endpoints[1].conditions.ready}=true", "endpointslice", "--selector=kubernetes.io/service-name=peers",
                     namespace=ns)
        equal(a.kubectl("exec", "peer-0", "--", "wget", "-qO-", "http://peer-1.peers:8080/", namespace=ns), "peer-1\n", "what its peer says")
        a.kubectl("exec", "peer-0", "--", "wget", "-qO-", "http://no-peer.peers:8080/", namespace=ns, code=1)
        a.kubectl("delete", "statefulset", "peer", "--wait=false", namespace=ns)


@testbed.shared()
def test_fake_nodes(a):
    """Fake nodes take the pods that ask for them, in numbers."""
    with a.namespace() as ns:
        spec = {"containers": [{"name": "main", "image": "none"}], **a.fake_nodes(2)}
        a.apply({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "many"}, "spec": {
            "replicas": 100, "selector": {"matchLabels": {"app": "many"}},
            "template": {"metadata": {"labels": {"app": "many"}}, "spec": spec}}}, namespace=ns)
        a.wait_until("jsonpath={.status.readyReplicas}=100", "deployment/many", namespace=ns)
        nodes = {item["spec"]["nodeName"] for item in a.get("pods", namespace=ns)["items"]}
        expect(nodes <= {"fake-0", "fake-1"}, "pods on %s" % nodes)


@testbed.shared()
def test_audit(a):
    """The audit log has each request that changed something, under its user, with what was sent and answered."""
    with a.namespace() as ns:
        mark = a.audit_mark()
        a.kubectl("create", "configmap", "x", "--from-literal=k=v", namespace=ns, kubeconfig=a.wherry_config)
        a.kubectl("get", "configmap", "x", namespace=ns)
        events = a.audit(mark, user="wherry", verbs=["create"], namespace=ns)
        equal([(e["objectRef"]["resource"], e["objectRef"]["name"]) for e in events], [("configmaps", "x")], "what wherry created")
        equal(events[0]["requestObject"]["data"], {"k": "v"}, "what it sent")
        equal(events[0]["responseStatus"]["code"], 201, "what was answered")
        equal([e["verb"] for e in a.audit(mark, user="admin", resource="configmaps", namespace=ns)], ["get"], "what admin did")


@testbed.shared()
def test_rights(a):
    """A user of the test's own may do nothing until it is told."""
    expect("forbidden" in a.kubectl("get", "nodes", kubeconfig=a.user("nobody-yet"), code=1), "a new user may read nodes")


@testbed.own()
def test_restart(a):
    """A killed API server is gone; started again it has the same objects at the same address."""
    a.kubectl("create", "namespace", "kept")
    a.kill("kube-apiserver")
    a.kubectl("get", "namespace", "kept", code=1)
    a.restart("kube-apiserver")
    a.kubectl("get", "namespace", "kept")


main(test_pods, test_two, test_names, test_fake_nodes, test_audit, test_rights, test_restart)
