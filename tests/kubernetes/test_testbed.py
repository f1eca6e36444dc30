#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The testbed itself: what the other tests on Kubernetes stand on, and that it leaves nothing on the machine."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import testbed  # noqa: E402
from wtest import equal, expect, main  # noqa: E402


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


main(test_audit, test_rights, test_restart)
