#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a real API server refuses, and what becomes of a plan when it dies, forgets, or is cut off at any request: told in words that are
pinned in tests/golden/told/kube-*, with what has happened counted in the audit log."""
import json
import os
import secrets
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import audit  # noqa: E402
import testbed  # noqa: E402
from between import CUT, Between, Nth, cut_after, cut_before  # noqa: E402
from between import changes as is_change  # noqa: E402
from kubedrive import refusal  # noqa: E402
from kubeplan import Desk, config, step  # noqa: E402
from wtest import equal, expect, main, scratch, wait_for  # noqa: E402


def crd(plural, kind, group):
    return {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": plural + "." + group}, "spec": {
        "group": group, "scope": "Namespaced", "names": {"plural": plural, "singular": kind.lower(), "kind": kind},
        "versions": [{"name": "v1", "served": True, "storage": True, "schema": {
            "openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}}]}}


class Kind:
    """A custom kind for as long as one test."""

    def __init__(self, cluster):
        self.cluster, self.group = cluster, "t%s.example.org" % secrets.token_hex(3)
        self.name = "widgets." + self.group

    def __enter__(self):
        self.cluster.apply(crd("widgets", "Widget", self.group))
        self.cluster.wait_until("condition=Established", "crd", self.name)
        return self

    def __exit__(self, *_):
        self.cluster.kubectl("delete", "crd", self.name, "--ignore-not-found", "--wait=false")

    def object(self, name, **more):
        return {"apiVersion": self.group + "/v1", "kind": "Widget", "metadata": {"name": name}, **more}


def done_since(cluster, mark):
    """What the server says that it has done."""
    return sorted(audit.told(e) for e in audit.requests(cluster.audit(mark, user="wherry")) if e["responseStatus"]["code"] < 300)


def refused(desk, row, *steps, code=1):
    """A run that ends so, told as pinned, and nothing was changed."""
    mark = desk.cluster.audit_mark()
    desk.told(row, desk.run(*steps, code=code))
    equal(done_since(desk.cluster, mark), [], "changes")


@testbed.shared()
def test_rights(a):
    """One verb is forbidden: the step that needs it fails, and so does the dry-run, before anything is done."""
    with scratch() as folder, a.namespace() as ns:
        a.kubectl("create", "role", "few", "--verb=get,list,watch,create", "--resource=configmaps", namespace=ns)
        a.kubectl("create", "rolebinding", "few", "--role=few", "--user=tester", namespace=ns)
        d = Desk(folder, a, ns, kubeconfig=a.user("tester"))
        steps = [step("one", "kubernetes.create", object=config("one", x="1")),
                 step("two", "kubernetes.patch", kind="cm", name="one", merge={"data": {"x": "2"}}, needs_=["one"])]
        d.told("forbidden", d.run(*steps, code=1))
        equal(a.get("cm", "one", namespace=ns)["data"], {"x": "1"}, "what was made")
        d.told("forbidden-foretold", d.w("plan", d.file([step("two", "kubernetes.patch", kind="cm", name="one", merge={"data": {"x": "2"}})])))


@testbed.shared()
def test_policies(a):
    """A quota that is used up, and webhooks: one that is down, one that says no; all of it in the dry-run already."""
    with scratch() as folder, a.namespace() as ns:
        d = Desk(folder, a, ns)
        a.kubectl("create", "quota", "few", "--hard=count/configmaps=1", namespace=ns)
        a.wait_until("jsonpath={.status.used.count/configmaps}=1", "quota/few", namespace=ns)
        new = step("one", "kubernetes.create", object=config("one", x="1"))
        refused(d, "quota", new)
        d.told("quota-foretold", d.w("plan", d.file([new])))
        a.kubectl("delete", "quota", "few", namespace=ns)
        hook = {"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration", "metadata": {"name": ns}, "webhooks": [{
            "name": "hook.example.org", "clientConfig": {"url": "https://127.0.0.1:1/"}, "sideEffects": "None", "failurePolicy": "Fail",
            "admissionReviewVersions": ["v1"], "timeoutSeconds": 1, "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": ns}},
            "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"], "operations": ["*"]}]}]}
        a.apply(hook)
        try:
            wait_for(lambda: "failed calling webhook" in a.kubectl("create", "cm", "x", "--dry-run=server", namespace=ns, code=1), "the webhook is asked")
            refused(d, "webhook-down", new)
            refused(d, "webhook-down-apply", step("one", "kubernetes.apply", object=config("one", x="1")))
            d.told("webhook-down-foretold", d.w("plan", d.file([new])))
        finally:
            a.kubectl("delete", "validatingwebhookconfiguration", ns)


@testbed.shared()
def test_sizes(a):
    """Larger than a config map may be, than etcd takes, than the API server reads: refused, however it is sent, and not sent again."""
    with scratch() as folder, a.namespace() as ns, Kind(a) as kind:
        d = Desk(folder, a, ns)
        for row, size, make in (("config-map", (1 << 20) + 1, lambda x: config("big", x=x)), ("etcd", 1600000, lambda x: kind.object("big", spec={"x": x})),
                                ("client", 2500000, lambda x: kind.object("big", spec={"x": x})),
                                ("request", (3 << 20) + 1, lambda x: kind.object("big", spec={"x": x}))):
            big = make("${{ string.rep('x', %d) }}" % size)
            refused(d, "large-%s-create" % row, step("big", "kubernetes.create", object=big))
            refused(d, "large-%s-apply" % row, step("big", "kubernetes.apply", object=big))


SEVERAL = [step("one", "kubernetes.create", object=config("one", x="1")),
           step("json", "kubernetes.patch", kind="cm", name="one", json=[{"op": "move", "from": "/data/x", "path": "/data/y"}], needs_=["one"]),
           step("two", "kubernetes.apply", object=config("two", x="1"), needs_=["json"]),
           step("got", "kubernetes.get", kind="cm", name="two", needs_=["two"]),
           step("all", "kubernetes.list", kind="cm", needs_=["got"]),
           step("gone", "kubernetes.delete", kind="cm", name="one", needs_=["all"])]
ONCE = ["create", "delete", "patch"]  # of the config map `one`


@testbed.shared()
def test_cuts(a):
    """The connection is cut before each request, and after the server has had it: the run goes on by itself, and what may not happen twice
    happens once."""
    with scratch() as folder, a.namespace() as ns, Between(a) as between:
        d = Desk(folder, a, ns, kubeconfig=between.kubeconfig(folder))
        n = 0
        while n == 0 or nth.hit is not None:
            n += 1
            for how in (cut_before, cut_after):
                if how is cut_after and (nth.hit is None or not is_change(nth.hit)):
                    continue
                between.meddle = nth = Nth(n, how)
                mark = a.audit_mark()
                d.run(*SEVERAL)
                made, where = done_since(a, mark), "%s of request %d, %s" % (how.__name__, n, nth.hit)
                equal([m.split()[0] for m in made if m.endswith("/one")], ONCE, "requests after " + where)
                twice = how is cut_after and "/two?" in nth.hit.path
                equal(len([m for m in made if m.endswith("/two")]), 1 + twice, "applies after " + where)
                between.meddle = None
                a.kubectl("delete", "cm", "two", namespace=ns)
        expect(n > 12, "it took %d requests only" % n)


def instead(*answer, after=False):
    """A meddler: so answers the server, before or after it has done what it was asked."""
    def act(request, go_on):
        if after:
            go_on(request)
        return list(answer)
    return act


def is_to(method, name):
    return lambda request: request.method == method and name in request.path and is_change(request)


BUSY = refusal(429, "TooManyRequests", "too many requests, please try again later", ["Retry-After: 1"])
STARTING = refusal(503, "ServiceUnavailable", "the server is currently unable to handle the request", ["Retry-After: 1"])
CHANGING = refusal(500, "InternalError", "etcdserver: leader changed")
TIMED_OUT = refusal(504, "Timeout", "Timeout: request did not complete within requested timeout - context deadline exceeded")
CREATE = step("one", "kubernetes.create", object=config("one", x="1"))
APPLY = step("one", "kubernetes.apply", object=config("one", x="1"))
READ = step("one", "kubernetes.get", kind="cm", name="kube-root-ca.crt")


@testbed.shared()
def test_answers(a):
    """What only a troubled server says, to one request: put off is waited for as told; what is not known is looked for, and done once."""
    with scratch() as folder, a.namespace() as ns, Between(a) as between:
        d = Desk(folder, a, ns, kubeconfig=between.kubeconfig(folder))

        def one(row, steps, act, wanted=is_change, code=0, times=1):
            between.meddle = nth = Nth(1, act, wanted)
            mark = a.audit_mark()
            d.told("answer-" + row, d.run(*steps, code=code))
            expect(nth.hit is not None, "nothing was asked that " + row + " is about")
            made = done_since(a, mark)
            equal(len(made), times, "changes after %s: %s" % (row, made))
            between.meddle = None
            a.kubectl("delete", "cm", "one", "--ignore-not-found", namespace=ns)

        def is_read(request):
            return "/configmaps/kube-root" in request.path
        one("429-read", [READ], instead(BUSY), is_read, times=0)
        one("429-create", [CREATE], instead(BUSY))
        one("429-apply", [APPLY], instead(BUSY))
        one("503-read", [READ], instead(STARTING), is_read, times=0)
        one("503-create", [CREATE], instead(STARTING))
        one("500-create", [CREATE], instead(CHANGING))
        one("500-create-done", [CREATE], instead(CHANGING, after=True))
        one("504-create-done", [CREATE], instead(TIMED_OUT, after=True))
        one("500-apply-done", [APPLY], instead(CHANGING, after=True), times=2)
        one("cut-create", [CREATE], cut_before)
        one("cut-create-done", [CREATE], cut_after)


main(test_rights, test_policies, test_sizes, test_cuts, test_answers)
