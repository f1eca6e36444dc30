#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a real API server refuses, and what becomes of a plan when it dies, forgets, or is cut off at any request: told in words that are
pinned in tests/golden/told/kube-*, with what has happened counted in the audit log."""
import base64
import json
import os
import secrets
import subprocess
import sys
import urllib.parse

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import audit  # noqa: E402
import testbed  # noqa: E402
from between import CUT, Between, Nth, cut_after, cut_before  # noqa: E402
from between import changes as is_change  # noqa: E402
from kubedrive import refusal  # noqa: E402
from kubeplan import Desk, check, config, step  # noqa: E402
from wtest import LIMIT, Done, equal, expect, main, scratch, wait_for  # noqa: E402


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


class Late:
    """Holds back the first patch, whose connection ends; the server gets it before or after it has had the next one."""

    def __init__(self, before):
        self.before, self.held, self.said = before, None, None

    def __call__(self, request, go_on):
        if request.method != "PATCH" or self.said is not None:
            return go_on(request)
        if self.held is None:
            self.held = request
            return CUT
        if self.before:
            self.said = go_on(self.held)
            return go_on(request)
        answer = go_on(request)
        self.said = go_on(self.held)
        return answer


@testbed.shared()
def test_late(a):
    """A patch that counts how often it happens was given up and comes late: whichever of the two comes second is refused, and it has
    happened once. What refuses it for itself is told, and so is a version of the plan's own."""
    with scratch() as folder, a.namespace() as ns, Kind(a) as kind, Between(a) as between:
        d = Desk(folder, a, ns, kubeconfig=between.kubeconfig(folder))
        name = "Widget." + kind.group
        for n, before in enumerate((True, False)):
            a.apply(kind.object("w%d" % n, spec={"list": [0]}), namespace=ns)
            between.meddle = late = Late(before)
            d.run(step("add", "kubernetes.patch", kind=name, name="w%d" % n, json=[{"op": "add", "path": "/spec/list/-", "value": 1}]))
            equal(a.get(kind.name, "w%d" % n, namespace=ns)["spec"]["list"], [0, 1], "the list, with the late one %s" % ("before" if before else "after"))
            first = bytes(late.said).split(b"\r\n")[0].decode()
            equal(first.split()[1], "200" if before else "422", "the answer to the late one")
        between.meddle = None
        got = d.run(step("test", "kubernetes.patch", kind=name, name="w0", json=[{"op": "test", "path": "/spec/list/0", "value": 7},
                                                                               {"op": "add", "path": "/spec/list/-", "value": 2}]), code=1)
        expect("test" in got.err or "test" in got.out, "it is not told what failed: %s" % (got.out + got.err))
        equal(a.get(kind.name, "w0", namespace=ns)["spec"]["list"], [0, 1], "the list after a test that failed")


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
        for row, how in (("cut-delete", cut_before), ("cut-delete-done", cut_after)):
            a.kubectl("create", "cm", "old", namespace=ns)
            one(row, [step("one", "kubernetes.delete", kind="cm", name="old", wait=False)], how)


class Kills:
    """A meddler that kills the API server at one request after the other, before or after it has had it, and starts it again."""

    def __init__(self, cluster, *phases):
        self.cluster, self.left, self.hit = cluster, list(phases), 0

    def __call__(self, request, go_on):
        if not self.left or not self.left[0][1](request):
            return go_on(request)
        if self.left.pop(0)[0] == "after":
            go_on(request)
        self.cluster.kill("kube-apiserver")
        self.cluster.start("kube-apiserver")
        self.hit += 1
        return CUT


@testbed.own()
def test_killed(a):
    """The API server dies and comes back at every phase of a run and of its rollback: both go on by themselves, and do nothing twice."""
    with scratch() as folder, a.namespace() as ns, Between(a) as between:
        d = Desk(folder, a, ns, kubeconfig=between.kubeconfig(folder))
        mark = a.audit_mark()
        between.meddle = kills = Kills(
            a, ("before", lambda r: r.path == "/apis"), ("after", is_to("POST", "/configmaps")), ("before", is_to("PATCH", "/one")),
            ("after", is_to("DELETE", "/one")), ("before", lambda r: "watch=" in r.path))
        path = d.file(SEVERAL + [step("wait", "kubernetes.wait", kind="cm", name="later", needs_=["gone"])])
        process = d.w.start("run", path, "--yes", "--run-id", "r1", "--format", "plain", stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        wait_for(lambda: kills.hit == 5 or process.poll() is not None, "the server has been killed in every phase")
        expect(kills.hit == 5, "it ended too early: %s" % (process.poll() is not None and process.communicate()[0]))
        a.wait("kube-apiserver")
        a.apply(config("later"), namespace=ns)
        out = process.communicate(timeout=LIMIT)[0]
        equal(process.returncode, 0, "exit code: %s" % out)
        made = done_since(a, mark)
        equal([m.split()[0] for m in made if m.endswith("/one")], ONCE, "requests: %s" % made)
        mark = a.audit_mark()
        between.meddle = Kills(a, ("after", is_to("POST", "/configmaps")))
        d.w.ok("rollback", "r1", "--yes", "--format", "plain")
        equal([o["metadata"]["name"] for o in a.get("cm", namespace=ns)["items"]], ["kube-root-ca.crt", "later"], "what is left")
        made = done_since(a, mark)
        equal([m.split()[0] for m in made if m.startswith("create")], ["create"], "creates of the rollback: %s" % made)


@testbed.shared()
def test_away(a):
    """A dry-run does not wait for a server that is away, and a run that has not reached it yet not for long: 7, and what to type."""
    with scratch() as folder, a.namespace() as ns, Between(a, lambda request, go_on: CUT) as between:
        d = Desk(folder, a, ns, kubeconfig=between.kubeconfig(folder))
        d.told("away-foretold", d.w("plan", d.file(SEVERAL[:1])))
        between.meddle = Nth(5, lambda request, go_on: between.stop() or CUT)
        d.told("away-foretold-later", d.w("plan", d.file(SEVERAL)))


@testbed.shared()
def test_lists(a):
    """A list whose beginning the server forgets goes on; one whose kind goes away fails, and says why."""
    with scratch() as folder, a.namespace() as ns, Kind(a) as kind, Between(a) as between:
        d = Desk(folder, a, ns, kubeconfig=between.kubeconfig(folder))
        a.apply(*[config("m%d" % i) for i in range(5)], *[kind.object("w%d" % i) for i in range(5)], namespace=ns)

        def in_pages(act):
            """Pages of two objects; something happens at the second one, once."""
            second = Nth(1, act, lambda request: "continue=" in request.path)

            def meddle(request, go_on):
                request.path = request.path.replace("limit=500", "limit=2")
                return second(request, go_on)
            return meddle

        def expired(request, _):
            token = urllib.parse.parse_qs(urllib.parse.urlsplit(request.path).query)["continue"][0]
            place = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
            token = base64.urlsafe_b64encode(json.dumps({**place, "rv": -1}).encode()).decode().rstrip("=")  # what is there now
            return refusal(410, "Expired", "The provided continue parameter is too old to display a consistent list result.",
                           metadata={"continue": token})

        def undefined(request, go_on):
            a.kubectl("delete", "crd", kind.name)
            wait_for(lambda: "not find" in a.kubectl("get", "--raw", request.path.split("?")[0], code=1), "the kind is gone")
            return go_on(request)
        between.meddle = in_pages(expired)
        d.told("list-expired", d.run(step("l", "kubernetes.list", kind="cm"), check("steps.l.outputs.count == 6")))
        between.meddle = in_pages(undefined)
        d.told("list-undefined", d.run(step("l", "kubernetes.list", kind="Widget." + kind.group), code=1))


class Talk:
    """A run that is listened to."""

    def __init__(self, desk, *words):
        self.argv = [str(w) for w in words]
        self.process = desk.w.start(*words, "--yes", "--format", "plain", stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.out = ""

    def until(self, words):
        """Until it says so, or ends."""
        for line in self.process.stdout:
            self.out += line
            if words is not None and words in line:
                return
        expect(words is None, "it does not say '%s': %s" % (words, self.out))

    def end(self):
        self.until(None)
        return Done(["wherry"] + self.argv, self.process.wait(LIMIT), self.out, "")


@testbed.shared()
def test_tokens(a):
    """A token that ends in the middle of a run: a new one in its file is taken at once; without one the run pauses, and is gone on with."""
    with scratch() as folder, a.namespace() as ns:
        a.kubectl("create", "rolebinding", "edit", "--clusterrole=edit", "--serviceaccount=%s:default" % ns, namespace=ns)
        good, token = a.kubectl("create", "token", "default", namespace=ns), os.path.join(folder, "token")
        kubeconfig = os.path.join(folder, "token.kubeconfig")
        with open(os.open(kubeconfig, os.O_WRONLY | os.O_CREAT, 0o600), "w") as f:
            json.dump({"apiVersion": "v1", "kind": "Config", "current-context": "x", "users": [{"name": "u", "user": {"tokenFile": "token"}}],
                       "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}], "clusters": [{"name": "c", "cluster": {
                           "server": a.url(), "certificate-authority": a.pki.path("ca.crt")}}]}, f)

        def write(text):
            with open(os.open(token, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as f:
                f.write(text + "\n")
        d = Desk(folder, a, ns, kubeconfig=kubeconfig)
        for row in ("renewed", "ended"):
            steps = [step("one", "kubernetes.create", object=config(row + "-1")), step("nap", "sleep", **{"for": "1s"}, needs_=["one"]),
                     step("two", "kubernetes.create", object=config(row + "-2"), needs_=["nap"])]
            write(good)
            talk = Talk(d, "run", d.file(steps), "--run-id", "r%d" % d.n)
            talk.until("one: done")
            write("ended." + good[6:])
            if row == "renewed":
                talk.until("waiting for k")
                write(good)
                done = talk.end()
                equal(done.code, 0, str(done))
                continue
            done = talk.end()
            d.told("token-ended", done)
            expect(good[6:] not in done.out, "the token is told")
            write(good)
            d.w.ok("resume", "r%d" % d.n, "--yes")
        names = {o["metadata"]["name"] for o in a.get("cm", namespace=ns)["items"]}
        expect({"renewed-1", "renewed-2", "ended-1", "ended-2"} <= names, "not all was made: %s" % names)


main(test_rights, test_policies, test_sizes, test_cuts, test_late, test_answers, test_killed, test_away, test_lists, test_tokens)
