#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""kubernetes.freeze and unfreeze on a real API server: who is stopped and who is not, when it counts, and what lifts it."""
import contextlib
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import testbed  # noqa: E402
from kubeplan import Desk, changes, config, deployment, refused, step  # noqa: E402
from told import told  # noqa: E402
from wtest import Violation, equal, expect, golden, main, scratch, wait_for  # noqa: E402

KINDS = "validatingadmissionpolicy,validatingadmissionpolicybinding"
OURS = ("-l", "app.kubernetes.io/managed-by=wherry")
KILLED = -9
AT_ONCE = {"settled": "0s"}


@contextlib.contextmanager
def desk(a):
    """One with a namespace; nothing stays frozen."""
    with scratch() as folder, a.namespace() as ns:
        a.kubectl("create", "rolebinding", "edit", "--clusterrole=edit", "--user=tester", "--serviceaccount=%s:default" % ns, namespace=ns)
        try:
            yield Desk(folder, a, ns), ns
        finally:
            a.kubectl("delete", KINDS, *OURS)
            is_open(a, ns)


def frozen(a):
    """The names of what is there of freezes."""
    return sorted(o["kind"] + "/" + o["metadata"]["name"] for o in a.get(KINDS, *OURS)["items"])


def tries(a, ns, *words, user=None, denied=True):
    """kubectl as that user, or as the administrator: it is denied by the freeze, or done."""
    said = a.kubectl(*words, *(["--as=" + user] if user else []), namespace=ns, code=1 if denied else 0)
    expect(not denied or "frozen by wherry (run " in said, "%s as %s: %s" % (words, user, said))


def is_open(a, ns):
    """Within a moment everybody may write again."""
    wait_for(lambda: not blocked(a, ns), "it is lifted")


def blocked(a, ns):
    try:
        a.kubectl("create", "cm", "probe", "--dry-run=server", namespace=ns)
        a.kubectl("delete", "namespace", ns, "--dry-run=server", "--wait=false")
        return False
    except Violation:
        return True


def pinned(name, done, ns):
    """All that a command said."""
    found = re.search("wherry-freeze-%s-[0-9a-f]{10}" % ns, done.out + done.err)
    golden("told/%s.txt" % name, told(done, [w for w in done.argv[1:] if "/" not in w], (found[0], "FREEZE"), (ns, "NS")))


def back(d, **more):
    return d.w.ok("rollback", "r%d" % d.n, "--yes", "--format", "plain", **more)


@testbed.shared(node=True)
def test_who(a):
    """People, administrators and service accounts are stopped; wherry, controllers and the kubelet scale down in it all the same."""
    with a.namespace() as other, desk(a) as (d, ns):
        a.apply(config("old", x="1"), deployment("web", replicas=2), namespace=ns)
        a.wait_until("condition=Available", "deploy/web", namespace=ns)
        done = d.both(step("f", "kubernetes.freeze", namespaces=[ns], **AT_ONCE),
                      step("down", "kubernetes.scale", kind="Deployment", name="web", replicas=0, needs_=["f"]),
                      step("gone", "kubernetes.wait", pods_of="Deployment/web", count=0, timeout_="1m", needs_=["down"]))
        for text in ("stopped: everybody who changes anything in namespace %s, administrators too" % ns, "not stopped: 'wherry' (wherry)"):
            expect(text in done.out + done.err, "no '%s' in %s" % (text, done))
        equal(a.get("pods", namespace=ns)["items"], [], "pods")
        own = "system:serviceaccount:%s:default" % ns
        for user in (None, "tester", own):
            for words in (["create", "cm", "new"], ["patch", "cm", "old", "--type=merge", "-p", '{"data":{"x":"2"}}'], ["delete", "cm", "old"],
                          ["scale", "deploy/web", "--replicas=1"], ["delete", "cm", "--all"]):
                tries(a, ns, *words, user=user)
        tries(a, None, "delete", "ns", ns)
        tries(a, None, "label", "ns", ns, "a=b")
        tries(a, ns, "create", "token", "default", user="tester", denied=False)
        status = ["patch", "deploy", "web", "--subresource=status", "--type=merge", "-p", '{"status":{"collisionCount":0}}']
        a.kubectl("create", "role", "reports", "--verb=*", "--resource=deployments/status", namespace=other)
        tries(a, ns, *status)
        tries(a, other, "create", "cm", "x", denied=False)
        expect("(run r%d, step f)" % d.n in a.kubectl("create", "cm", "new", namespace=ns, code=1), "it is not told who froze")
        back(d)
        equal(frozen(a), [], "what is left")
        is_open(a, ns)
        equal(a.get("cm", "old", namespace=ns)["data"], {"x": "1"}, "data")


@testbed.shared()
def test_selection(a):
    """Of two namespaces what has a label, whether before or after the change; and the namespaces, which have not."""
    with a.namespace() as other, desk(a) as (d, ns):
        for name in (ns, other):
            a.apply({**config("web"), "metadata": {"name": "web", "labels": {"app": "web"}}}, config("db"), namespace=name)
        d.both(step("f", "kubernetes.freeze", namespaces=[ns, other], selector="app in (api, web),app!=api,!old", **{"except": ["ali*"]}, **AT_ONCE))
        equal(len(frozen(a)), 3, "policy and bindings")
        for name in (ns, other):
            tries(a, name, "delete", "cm", "web")
            tries(a, name, "label", "cm", "web", "app=x", "--overwrite")
            tries(a, name, "label", "cm", "db", "app=web")
            tries(a, None, "delete", "ns", name)
            tries(a, name, "label", "cm", "db", "app=api", denied=False)
            tries(a, name, "create", "cm", "new", denied=False)
        a.kubectl("create", "rolebinding", "ali", "--clusterrole=edit", "--user=alice", namespace=ns)
        tries(a, ns, "annotate", "cm", "web", "x=y", user="alice", denied=False)
        tries(a, ns, "annotate", "cm", "web", "y=z", user="tester")
        back(d)
        equal(frozen(a), [], "what is left")
        is_open(a, other)


def has_faults():
    with open(os.environ["WHERRY"], "rb") as f:
        return b"kube.before_send" in f.read()


@testbed.shared()
def test_killed(a):
    """Killed at each place of the policy and of its binding: the resume freezes, each is made once, and a rollback lifts it."""
    if not has_faults():
        return "this build has no fault points"
    with desk(a) as (d, ns):
        one = step("f", "kubernetes.freeze", namespaces=[ns], **AT_ONCE)
        for point in ("effect.intent_durable", "kube.before_send", "kube.answered", "effect.settled"):
            for hit in (1, 2):
                mark, path = a.audit_mark(), d.file([one])
                got = d.w("run", path, "--yes", "--run-id", "r%d" % d.n, env={"WHERRY_FAULT": "%s:%d" % (point, hit)})
                equal(got.code, KILLED, "exit code at %s: %s" % (point, got))
                d.w.ok("resume", "r%d" % d.n, "--yes")
                tries(a, ns, "create", "cm", "new")
                equal([c.rsplit(" ", 1)[0] for c in changes(a, mark)],
                      ["create validatingadmissionpolicies", "create validatingadmissionpolicybindings"], "requests after %s:%d" % (point, hit))
                back(d)
                equal(frozen(a), [], "what is left")
    return None


@testbed.shared()
def test_finally(a):
    """While a person is asked, `status` says what is frozen and since when; a failure, and the end, lift it."""
    with desk(a) as (d, ns):
        freeze = step("f", "kubernetes.freeze", namespaces=[ns], **AT_ONCE)
        thaw = step("thaw", "undo", step="f")
        pinned("kube-freeze-plan", d.w.ok("plan", d.file([freeze], last=[thaw])), ns)
        d.run(freeze, step("no", "assert", that=False, message="no", needs_=["f"]), last=[thaw], code=1)
        equal(frozen(a), [], "what is left after a failure")
        d.run(freeze, step("ok", "confirm", message="go on?", needs_=["f"]), last=[thaw], code=3)
        status = d.w.ok("status", "r%d" % d.n).out
        expect("left    f, since " in status and ": freeze namespace %s; until the run closes ('thaw')" % ns in status, status)
        tries(a, ns, "create", "cm", "new")
        d.w.ok("approve", "r%d" % d.n, "ok")
        d.w.ok("resume", "r%d" % d.n, "--yes")
        equal(frozen(a), [], "what is left at the end")


@testbed.shared()
def test_unfreeze(a):
    """Another run lifts it, whoever's it was, counts when it is lifted, and can be taken back; strangers' policies are left alone."""
    with desk(a) as (d, ns):
        for more in ({}, {"selector": "app=web"}):
            done = d.run(step("f", "kubernetes.freeze", namespaces=[ns], **more, **AT_ONCE),
                         step("n", "note", message="name=${{ steps.f.outputs.name }}."))
            name = (done.out + done.err).split("name=")[1].split(".")[0]
            before = frozen(a)
            refused(d, [step("f", "kubernetes.freeze", namespaces=[ns], **more)], "frozen already, by wherry (run r%d, step f, since 2" % d.n)
            equal(frozen(a), before, "what is frozen after the second freeze")
            if not more:
                pinned("kube-freeze-twice", d.run(step("f", "kubernetes.freeze", namespaces=[ns]), code=1, words=["-q"]), ns)
            said = d.both(step("u", "kubernetes.unfreeze", name=name, **AT_ONCE))
            expect("%s was frozen by wherry (run " % name in said.out + said.err, said)
            tries(a, ns, "create", "cm", "new", denied=False)
            tries(a, ns, "delete", "cm", "new", denied=False)
            equal(frozen(a), [], "what is left")
            back(d)
            equal(frozen(a), before, "after the rollback")
            d.run(step("u", "kubernetes.unfreeze", name=name))
            refused(d, [step("u", "kubernetes.unfreeze", name=name)], "ValidatingAdmissionPolicy.admissionregistration.k8s.io//" + name, "not ")
            d.run(step("u", "kubernetes.unfreeze", name=name, missing_ok=True))
        a.apply({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy", "metadata": {"name": "strange"}, "spec": {
            "matchConstraints": {"resourceRules": [{"apiGroups": ["example.com"], "apiVersions": ["*"], "operations": ["*"], "resources": ["*"]}]},
            "validations": [{"expression": "true"}]}})
        try:
            refused(d, [step("u", "kubernetes.unfreeze", name="strange")], "strange is not of wherry's making")
        finally:
            a.kubectl("delete", "validatingadmissionpolicy", "strange")


@testbed.shared()
def test_refused(a):
    """What cannot be frozen is not begun."""
    with desk(a) as (d, ns):
        mark = a.audit_mark()
        refused(d, [step("f", "kubernetes.freeze", namespaces=["nowhere"])], "namespace nowhere is not there")
        for words in ({"namespaces": []}, {"namespaces": ["kube-system"]}, {"namespaces": [ns], "selector": "a >"},
                      {"namespaces": [ns], "selector": "a=b,!a"}):
            d.w.ok("validate", d.file([step("f", "kubernetes.freeze", **words)]), code=2)
        a.kubectl("create", "clusterrole", "looks", "--verb=get", "--resource=namespaces")
        a.kubectl("create", "clusterrolebinding", "looks", "--clusterrole=looks", "--user=looker")
        try:
            os.mkdir(os.path.join(d.folder, "few"))
            few = Desk(os.path.join(d.folder, "few"), a, ns, kubeconfig=a.user("looker"))
            refused(few, [step("f", "kubernetes.freeze", namespaces=[ns])], "wherry may not create a ConfigMap in namespace " + ns)
        finally:
            a.kubectl("delete", "clusterrole,clusterrolebinding", "looks")
        equal(changes(a, mark) + changes(a, mark, user="looker"), [], "changes")


def restarted(a, *more):
    """With other options."""
    a.kill("kube-apiserver")
    a.world.start(a.name, "kube-apiserver", a.argv("kube-apiserver") + list(more))
    a.wait("kube-apiserver")


@testbed.own()
def test_not_in_force(a):
    """Where policies are taken and not acted upon nothing counts as frozen; where there are none, another way is named."""
    with desk(a) as (d, ns):
        restarted(a, "--disable-admission-plugins=ValidatingAdmissionPolicy")
        done = d.run(step("f", "kubernetes.freeze", namespaces=[ns], timeout_="3s"), code=1)
        expect("is not in force yet: in namespace %s changes are still taken" % ns in done.out + done.err, done)
        back(d)
        equal(frozen(a), [], "what is left")
        plugins = "ValidatingAdmissionPolicy,MutatingAdmissionPolicy,ValidatingAdmissionWebhook,MutatingAdmissionWebhook"
        restarted(a, "--disable-admission-plugins=" + plugins, "--runtime-config=admissionregistration.k8s.io/v1=false")
        refused(d, [step("f", "kubernetes.freeze", namespaces=[ns])], "the cluster cannot freeze anything", "see that nobody writes there")
        restarted(a)


main(test_who, test_selection, test_killed, test_finally, test_unfreeze, test_refused, test_not_in_force)
