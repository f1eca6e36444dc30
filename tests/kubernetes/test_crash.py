#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Kubernetes steps that are killed, or lose a reply, at every place: after a resume the world is as asked for, and what must not
happen twice has happened once, as the server's audit log counts."""
import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import audit  # noqa: E402
import testbed  # noqa: E402
from faultproxy import FaultProxy  # noqa: E402
from kubeplan import Desk, changes  # noqa: E402
from wtest import equal, expect, main, scratch  # noqa: E402

POINTS = ["effect.intent_durable", "kube.before_send", "kube.answered", "effect.replied", "effect.settled"]
KILLED = -9


def config(name, **data):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def step(uses, /, **inputs):
    return json.dumps({"id": "one", "uses": "kubernetes." + uses, "with": {"in": "k", **inputs}})


# step, may it be sent twice, what the config map `old` holds then (None: it is gone), and `new`
STORIES = [
    (step("create", object=config("new", n="1")), False, {"x": "1"}, {"n": "1"}),
    (step("delete", kind="cm", name="old", wait=False), False, None, None),
    (step("patch", kind="cm", name="old", json=[{"op": "move", "from": "/data/x", "path": "/data/y"}]), False, {"y": "1"}, None),
    (step("patch", kind="cm", name="old", merge={"data": {"z": "2"}}), True, {"x": "1", "z": "2"}, None),
    (step("apply", object=config("new", n="1")), True, {"x": "1"}, {"n": "1"}),
]


def data(cluster, namespace, name):
    got = [o["data"] for o in cluster.get("cm", namespace=namespace)["items"] if o["metadata"]["name"] == name]
    return got[0] if got else None


def begin(cluster, namespace):
    cluster.kubectl("delete", "cm", "old", "new", "--ignore-not-found", namespace=namespace)
    cluster.kubectl("create", "cm", "old", "--from-literal=x=1", namespace=namespace)
    return cluster.audit_mark()


def check(cluster, namespace, mark, story, where):
    _, repeatable, old, new = story
    equal([data(cluster, namespace, "old"), data(cluster, namespace, "new")], [old, new], "config maps after %s" % where)
    seen = audit.requests(cluster.audit(mark, user="wherry"))
    done = [audit.told(e) for e in seen if audit.is_sure(e)]  # one that was cut off may be asked for again: the object has its uid
    expect(len(seen) > 0 and len(done) <= (2 if repeatable else 1), "requests after %s: %s" % (where, done))


def has_faults():
    with open(os.environ["WHERRY"], "rb") as f:
        return b"kube.before_send" in f.read()


@testbed.shared()
def test_killed(a):
    """kill -9 at each fault point of each verb; a resume, and then a rollback, do the rest."""
    if not has_faults():
        return "this build has no fault points"
    with scratch() as folder, a.namespace() as ns:
        d = Desk(folder, a, ns)
        for story in STORIES:
            for point in POINTS:
                mark = begin(a, ns)
                path = d.file([story[0]])
                run = "r%d" % d.n
                got = d.w("run", path, "--yes", "--run-id", run, "--format", "plain", env={"WHERRY_FAULT": point + ":1"})
                equal(got.code, KILLED, "exit code at %s: %s" % (point, got))
                d.w.ok("resume", run, "--yes", "--format", "plain")
                check(a, ns, mark, story, "%s at %s" % (story[0], point))
                d.w.ok("rollback", run, "--yes", "--format", "plain")
                equal([data(a, ns, "old"), data(a, ns, "new")], [{"x": "1"}, None], "config maps after the rollback")
    return None


@testbed.shared()
def test_undo_killed(a):
    """The same of the inverses: a rollback that is killed is gone on with."""
    if not has_faults():
        return "this build has no fault points"
    with scratch() as folder, a.namespace() as ns:
        d = Desk(folder, a, ns)
        for story in STORIES:
            for point in ("kube.before_send", "kube.answered"):
                begin(a, ns)
                d.run(story[0])
                run, mark = "r%d" % d.n, a.audit_mark()
                equal(d.w("rollback", run, "--yes", env={"WHERRY_FAULT": point + ":1"}).code, KILLED, "exit code at %s" % point)
                d.w.ok("rollback", run, "--yes", "--format", "plain")
                equal([data(a, ns, "old"), data(a, ns, "new")], [{"x": "1"}, None], "config maps after %s" % story[0])
                done = changes(a, mark)
                expect(1 <= len(done) <= (2 if done[0].startswith("patch ") else 1), "requests of the rollback: %s" % done)
    return None


@testbed.shared()
def test_stranger_between(a):
    """Somebody else was there between kill and resume: what is not ours is not taken for ours."""
    if not has_faults():
        return "this build has no fault points"
    with scratch() as folder, a.namespace() as ns:
        d = Desk(folder, a, ns)

        def killed(one, *strangers, code):
            begin(a, ns)
            d.w("run", d.file([one]), "--yes", "--run-id", "r%d" % d.n, env={"WHERRY_FAULT": "kube.answered:1"})
            for words in strangers:
                a.kubectl(*words, namespace=ns)
            mark = a.audit_mark()
            done = d.w.ok("resume", "r%d" % d.n, "--yes", "--format", "plain", code=code)
            equal(changes(a, mark), [], "changes")
            return done

        anew = ["create", "cm", "new", "--from-literal=n=1"]
        done = killed(STORIES[0][0], ["delete", "cm", "new"], anew, code=3)
        expect("someone else changed it" in done.out + done.err, "no word of the stranger: %s" % done)
        killed(STORIES[1][0], ["create", "cm", "old", "--from-literal=x=9"], code=0)
        equal(data(a, ns, "old"), {"x": "9"}, "what somebody made after our delete")
        killed(STORIES[2][0], ["patch", "cm", "old", "--type=merge", "-p", '{"data":{"y":"5"}}'], code=3)
    return None


@testbed.shared()
def test_lost_replies(a):
    """The connection is cut after so many bytes of the server, wherever that is."""
    with scratch() as folder, a.namespace() as ns, FaultProxy(int(a.url().rsplit(":", 1)[1])) as proxy:
        with open(a.wherry_config) as f:
            text = f.read().replace(a.url(), proxy.url.replace("http:", "https:"))
        kubeconfig = os.path.join(folder, "kubeconfig")
        with open(kubeconfig, "w") as f:
            f.write(text)
        os.chmod(kubeconfig, 0o600)
        d = Desk(folder, a, ns, kubeconfig=kubeconfig)

        def cut_after(story, n):
            """Was the run cut?"""
            mark = begin(a, ns)
            proxy.drop_after(n)
            done = d.w("run", d.file([story[0]]), "--yes", "--run-id", "r%d" % d.n, "--format", "plain")
            left, proxy.left = proxy.left, None
            if done.code:
                d.w.ok("resume", "r%d" % d.n, "--yes", "--format", "plain")
            check(a, ns, mark, story, "%s cut after %d bytes" % (story[0], n))
            return left

        for story in STORIES[:4]:
            whole = (1 << 30) - cut_after(story, 1 << 30)
            n = max(whole - 4500, 0)  # before that it asks what kinds there are
            cut_after(story, n // 2)
            while cut_after(story, n) is None:
                expect(n < whole + 6000, "every run is cut, however late")
                n += 750


main(test_killed, test_undo_killed, test_stranger_between, test_lost_replies)
