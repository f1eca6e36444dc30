#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The Kubernetes client on a real API server: kinds, reads, pages, watches, and a server that dies and forgets."""
import json
import os
import secrets
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import testbed  # noqa: E402
from faultproxy import FaultProxy  # noqa: E402
from kubedrive import Drive  # noqa: E402
from kubeplan import Desk, changes  # noqa: E402
from wtest import LIMIT, equal, expect, main, scratch, wait_for  # noqa: E402


def config_map(name, **data):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "labels": {"even": str(len(name) % 2 == 0)}}, "data": data}


def keys(pages):
    return [i["key"] for p in pages for i in p["items"]]


def crd(plural, kind, group):
    return {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": plural + "." + group}, "spec": {
        "group": group, "scope": "Namespaced", "names": {"plural": plural, "singular": kind.lower(), "kind": kind, "shortNames": [kind[:3].lower()]},
        "versions": [{"name": "v1", "served": True, "storage": True, "schema": {
            "openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}}]}}


@testbed.shared()
def names(a):
    """Kinds are found by what kubectl calls them, and one that comes later once it is there."""
    with Drive(a.wherry_config, "web") as drive:
        for said, meant in (("deploy//x", "Deployment.apps/web/x"), ("Deployments.v1.apps/a/x#scale", "Deployment.apps/a/x#scale"),
                            ("ns//x", "Namespace//x"), ("Namespace/a/x", "Namespace//x"), ("ev/*/", "Event/*/"),
                            ("event.events.k8s.io//x", "Event.events.k8s.io/web/x"), ("po//?labelSelector=a", "Pod/web/?labelSelector=a"),
                            ("hpa.v1.autoscaling//x", "HorizontalPodAutoscaler.v1.autoscaling/web/x"),
                            ("cj//x", "CronJob.batch/web/x"), ("crd//x.y", "CustomResourceDefinition.apiextensions.k8s.io//x.y")):
            equal(drive.ask("name", said), meant, "what '%s' is called" % said)
        group = "t%s.example.org" % secrets.token_hex(3)
        plural, kind = "w%ss" % secrets.token_hex(3), "W" + secrets.token_hex(3)
        expect("no kind '%s'" % kind in drive.refused("name", kind + "//x").msg, "a kind is known that is not there")
        equal(drive.ask("name", "%s.%s//x" % (kind, group)), "%s.%s//x" % (kind, group), "a kind that may come")
        a.apply(crd(plural, kind, group))
        try:
            a.wait_until("condition=Established", "crd", plural + "." + group)
            wait_for(lambda: drive.ask("name", "%s.%s//x" % (kind, group)) == "%s.%s/web/x" % (kind, group), "the new kind is known")
            with a.namespace() as ns:
                a.apply({"apiVersion": group + "/v1", "kind": kind, "metadata": {"name": "one"}, "spec": {"deep": [1, {"a": "b"}]}}, namespace=ns)
                path = "%s.%s/%s/one" % (kind, group, ns)
                equal(drive.ask("read", path)["spec"], {"deep": [1, {"a": "b"}]}, "the object")
                equal(keys(drive.pages("%s.%s/%s/" % (plural, group, ns))), [path], "the list")
                a.kubectl("delete", "crd", plural + "." + group)
                expect("no kind" in drive.refused("read", path).msg, "a kind is known that is gone")
        finally:
            a.kubectl("delete", "crd", plural + "." + group, "--ignore-not-found")


@testbed.shared()
def reads(a):
    """Objects as the server has them, nothing for what is not there, secrets hidden; who we are and what we may."""
    with a.namespace() as ns, Drive(a.wherry_config, ns) as drive:
        a.apply(config_map("one", key="value"), {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": {"k": "v"}},
                namespace=ns)
        here = drive.ask("read", "ConfigMap//one")
        equal(here, a.get("configmap", "one", "--show-managed-fields", namespace=ns), "what kubectl sees")
        equal(drive.ask("read", "Secret//s")["data"], {"k": "(secret)"}, "the secret")
        expect("(secret)" in str(drive.ask("read", "Secret//s")["metadata"]["annotations"]), "what was applied is not hidden")
        equal(drive.ask("read", "ConfigMap//two"), None, "what is not there")
        equal(drive.ask("read", "ConfigMap/no-such-namespace/two"), None, "what is nowhere")
        uid = a.get("namespace", "kube-system")["metadata"]["uid"]
        equal(drive.ask("identity"), {"kube_system_uid": uid}, "the cluster")
        equal(drive.ask("read", "version")["major"], "1", "its version")
        found = {(k["kind"], k["group"]): k for k in drive.ask("read", "kinds") if k["preferred"]}
        equal((found["Deployment", "apps"]["namespaced"], "scale" in found["Deployment", "apps"]["subresources"]), (True, True), "a kind")
        equal(drive.ask("read", "can-i/delete/cm//one")["allowed"], True, "what we may")
        nobody = a.user("nobody-" + secrets.token_hex(3))
        with Drive(nobody, ns) as poor:
            equal(poor.ask("read", "can-i/delete/cm//one")["allowed"], False, "what nobody may")
            refused = poor.refused("read", "ConfigMap//one")
            equal((refused.kind, refused.retryable), ("failed", False), refused.msg)
            expect('cannot get resource "configmaps"' in refused.msg and ns in refused.msg, refused.msg)
            equal(list(poor.ask("identity")), ["server"], "the cluster, by what nobody may see")


@testbed.shared()
def lists(a):
    """Pages of any size make the whole list; selectors select; keys and counts come without the objects."""
    with a.namespace() as ns, Drive(a.wherry_config, ns) as drive:
        a.apply(*[config_map("m%s" % ("x" * (i % 3) + str(i)), text="é\"\\ }{" * i) for i in range(40)], namespace=ns)
        wanted = {"ConfigMap/%s/%s" % (ns, o["metadata"]["name"]): o for o in a.get("configmaps", "--show-managed-fields", namespace=ns)["items"]}
        for limit in (0, 1, 7, 500):
            pages = drive.pages("ConfigMap//", limit)
            expect(limit == 0 or all(len(p["items"]) <= limit for p in pages), "a page is longer than %d" % limit)
            expect({i["key"]: i["object"] for p in pages for i in p["items"]} == wanted, "the list in pages of %d is another one" % limit)
            equal(len(keys(pages)), len(wanted), "how many there are")
            equal(len({p["revision"] for p in pages}), 1, "moments")
        chosen = {k for k, o in wanted.items() if o["metadata"].get("labels", {}).get("even") == "True"}
        equal(set(keys(drive.pages("cm//?labelSelector=even%20in%20%28True%29", 5))), chosen, "the chosen ones")
        one = next(iter(chosen))
        equal(keys(drive.pages("cm//?fieldSelector=metadata.name%3D" + one.rsplit("/", 1)[1])), [one], "the one")
        pages = drive.pages("cm//", 9, "keys")
        equal((sorted(keys(pages)), {i["object"] is None for p in pages for i in p["items"]}), (sorted(wanted), {True}), "keys alone")
        equal(drive.pages("cm//", 0, "count")[0]["count"], len(wanted), "the count")
        equal(drive.pages("cm//?labelSelector=even%3DTrue", 0, "count")[0]["count"], len(chosen), "the count of the chosen ones")
        expect(one in keys(drive.pages("cm/*/", 0, "keys")), "it is not in all namespaces")
        equal(keys(drive.pages("Pod//")), [], "nothing")


@testbed.shared()
def watches(a):
    """What is there, then what changes, of a kind, a selection or one object."""
    with a.namespace() as ns, Drive(a.wherry_config, ns) as drive:
        a.apply(config_map("one"), config_map("other"), namespace=ns)
        key = "ConfigMap/%s/" % ns
        drive.ask("watch", "ConfigMap//one")
        equal(drive.changes()[0], [(False, key + "one")], "what is there")
        a.apply(config_map("other", a="b"), namespace=ns)
        a.apply(config_map("one", a="b"), namespace=ns)
        equal(drive.changes()[0], [(False, key + "one")], "what changed")
        a.kubectl("delete", "configmap", "one", namespace=ns)
        equal(drive.changes()[0], [(True, key + "one")], "what is gone")
        drive.ask("unwatch")
        drive.ask("watch", "ConfigMap//?labelSelector=even%3DTrue")
        equal(drive.changes()[0], [], "what is there of the selection")
        a.kubectl("label", "configmap", "other", "--overwrite", "even=True", namespace=ns)
        equal(drive.changes()[0], [(False, key + "other")], "what came into it")
        a.kubectl("label", "configmap", "other", "--overwrite", "even=False", namespace=ns)
        equal(drive.changes()[0], [(True, key + "other")], "what left it")


def collect(drive, wanted):
    """What comes, until all that is wanted has come."""
    seen = []
    while not set(wanted) <= set(seen):
        more, _ = drive.changes()
        expect(more, "nothing more comes after %s" % seen)
        seen += more
    return seen


def behind(a, folder, proxy):
    """The kubeconfig of the user wherry, whose way leads through the proxy."""
    path = os.path.join(folder, "kubeconfig")
    with open(a.wherry_config) as f, open(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "w") as to:
        to.write(f.read().replace(a.url(), "https://127.0.0.1:%d" % proxy.port))
    return path


def compact(a):
    """etcd forgets the past."""
    pki = a.pki.path
    argv = [a.world.program("etcdctl"), "--endpoints=https://" + a.at("etcd"), "--cacert=" + pki("ca.crt"),
            "--cert=" + pki("etcd-client.crt"), "--key=" + pki("etcd-client.key")]
    revision = a.api("GET", "/api/v1/namespaces")["metadata"]["resourceVersion"]
    subprocess.run([*argv, "compact", revision], check=True, capture_output=True, timeout=LIMIT)


@testbed.shared()
def away(a):
    """A server that is away for a while, between requests and within them: the run goes on by itself, and makes all changes."""
    with scratch() as folder, a.namespace() as ns, FaultProxy(int(a.at("kube-apiserver").split(":")[1])) as proxy:
        desk = Desk(folder, a, ns, behind(a, folder, proxy))
        steps = ["{id: a%d, uses: kubernetes.apply, with: {in: k, object: %s}%s}" % (
            i, json.dumps(config_map("m%d" % i)), ", needs: [s%d]" % (i - 1) if i else "") for i in range(6)]
        steps += ["{id: s%d, uses: sleep, with: {for: 300ms}, needs: [a%d]}" % (i, i) for i in range(5)]
        mark = a.audit_mark()
        process = desk.w.start("run", desk.file(steps), "--yes", "--run-id", "away", "--format", "plain", stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, text=True)
        for i in range(3):
            made = {"m%d" % j for j in range(2 * i + 1)}
            wait_for(lambda: made <= {e["objectRef"]["name"] for e in a.audit(mark, user="wherry", verbs=["patch"], namespace=ns)},
                     "the objects are made", process)
            if i == 1:
                proxy.break_off()
            else:
                proxy.cut()
                time.sleep(1)
                proxy.heal()
        out = process.communicate(timeout=LIMIT)[0]
        equal(process.returncode, 0, "exit code: %s" % out)
        equal(sorted(set(changes(a, mark))), ["patch configmaps %s/m%d" % (ns, i) for i in range(6)], "what was changed, some of it perhaps twice")


@testbed.own()
def forgotten(a):
    """A list goes on although the server has forgotten how it began; a watch survives cuts, a new server and a lost past."""
    ns = "default"
    a.apply(*[config_map("m%d" % i) for i in range(6)], namespace=ns)
    with scratch() as folder, FaultProxy(int(a.at("kube-apiserver").split(":")[1])) as proxy:
        path = behind(a, folder, proxy)
        with Drive(path, ns) as drive:
            key = "ConfigMap/%s/m" % ns
            drive.say("limit", 600)
            drive.line()
            drive.ask("watch", "ConfigMap//")
            collect(drive, [(False, key + str(i)) for i in range(6)])
            proxy.break_off()
            a.apply(config_map("m6"), namespace=ns)
            equal(collect(drive, [(False, key + "6")]), [(False, key + "6")], "what came after the cut")
            a.restart("kube-apiserver")
            a.apply(config_map("m7"), namespace=ns)
            equal(collect(drive, [(False, key + "7")]), [(False, key + "7")], "what came after the restart")
            proxy.cut()
            a.apply(config_map("m0", a="b"), config_map("m8"), namespace=ns)
            a.kubectl("delete", "configmap", "m1", "m7", namespace=ns)
            a.restart("kube-apiserver")
            compact(a)
            proxy.heal()
            wanted = [(False, key + "0"), (True, key + "1"), (True, key + "7"), (False, key + "8")]
            equal(sorted(set(collect(drive, wanted))), sorted(wanted), "the difference")
            a.apply(config_map("m9"), namespace=ns)
            equal(collect(drive, [(False, key + "9")]), [(False, key + "9")], "what came after the difference")
            drive.ask("unwatch")
        with Drive(a.wherry_config, ns) as drive:
            before = {o["metadata"]["name"] for o in a.get("configmaps", namespace=ns)["items"]}
            pages = [drive.ask("list", "ConfigMap//", 3)]
            a.apply(config_map("z1"), namespace=ns)
            a.restart("kube-apiserver")  # it can serve the past from its memory, too
            compact(a)
            while pages[-1]["more"]:
                pages.append(drive.ask("more"))
            equal(len(set(keys(pages))), len(keys(pages)), "objects, none of them twice")
            expect(before <= {k.rsplit("/", 1)[1] for k in keys(pages)}, "not all that was there all the time")
            expect(pages[0]["revision"] < pages[1]["revision"], "the moment of the list is the same")
            expect(any("took so long" in n for n in drive.notes), "no note: %s" % drive.notes)


@testbed.shared()
def overlay(a):
    """In a dry-run two spellings are one object, and a list that an earlier step would change is not known."""
    with scratch() as folder, a.namespace() as ns:
        desk = Desk(folder, a, ns)
        new = json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "new"}, "data": {"a": "b"}})
        there = json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "new", "namespace": ns}, "data": {"a": "b"}})
        events = desk.plan(
            "{id: a, uses: kubernetes.apply, with: {in: k, object: %s}}" % new,
            "{id: b, uses: kubernetes.get, with: {in: k, kind: cm.v1, name: new}, needs: [a]}",
            "{id: c, uses: assert, with: {that: \"${{ steps.b.outputs.object.data.a == 'b' }}\", message: x}}",
            "{id: d, uses: kubernetes.apply, with: {in: k, object: %s}, needs: [a]}" % there,
            "{id: e, uses: kubernetes.list, with: {in: k, kind: configmaps, selector: 'a=b'}, needs: [a]}",
            "{id: f, uses: kubernetes.list, with: {in: k, kind: cm, all_namespaces: true}, needs: [a]}",
            "{id: g, uses: kubernetes.list, with: {in: k, kind: Secret}, needs: [a]}",
            "{id: h, uses: kubernetes.list, with: {in: k, kind: ConfigMap, namespace: default}, needs: [a]}")
        actions = {e["step"]: (e["ref"], bool(e.get("unchanged"))) for e in events if e.get("event") == "action"}
        path = "k ConfigMap/%s/new" % ns
        equal(actions, {"a": (path, False), "d": (path, True)}, "the actions")
        unknown = {e["step"] for e in events if "is not known: an earlier step changes it" in json.dumps(e)}
        equal(unknown, {"e", "f"}, "what is not known")


if __name__ == "__main__":
    main(names, reads, lists, watches, overlay, away, forgotten)
