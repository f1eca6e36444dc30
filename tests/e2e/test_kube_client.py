#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The Kubernetes client and servers that refuse, put off, forget, cut off and talk nonsense."""
import contextlib
import json
import os
import subprocess
import sys
import urllib.parse

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from kubedrive import Drive, discovery, document, kubeconfig, list_of, object_of, refusal
from scripted import Scripted, reply
from wtest import LIMIT, Peak, Wherry, equal, expect, is_sanitized, main, scratch

MAPS = "/api/v1/namespaces/default/configmaps"


@contextlib.contextmanager
def cluster(answer, token=None):
    """A connection to a server that knows kinds, and answers all else so."""
    with scratch() as folder, Scripted(lambda r: discovery(r) or answer(r)) as server:
        with Drive(kubeconfig(folder, server.url, token)) as drive:
            yield drive, server


def in_turn(*answers):
    """The answers one after the other, the last one for ever."""
    left = list(answers)

    def answer(_):
        return left.pop(0) if len(left) > 1 else left[0]
    return answer


def query(request):
    return dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(request.path).query))


def asked(server, path=MAPS):
    return [r for r in server.seen if r.path.split("?")[0].startswith(path)]


def says(refused, kind, retryable, *words):
    equal((refused.kind, refused.retryable), (kind, retryable), "what kind of refusal '%s' is" % refused.msg)
    for word in words:
        expect(word in refused.msg, "'%s' does not say '%s'" % (refused.msg, word))


def refusals():
    """A Status is told with its object, field and reason; what is not there is null; what is no kind any more is told."""
    answers = {
        "absent": refusal(404, "NotFound", 'configmaps "absent" not found'),
        "forbidden": refusal(403, "Forbidden", 'configmaps "x" is forbidden: User "u" cannot get resource "configmaps" in API group "" '
                             'in the namespace "default"'),
        "invalid": refusal(422, "Invalid", 'ConfigMap "invalid" is invalid', details={"causes": [
            {"field": "data.key", "message": "must be short", "reason": "FieldValueInvalid"}]}),
        "hook": refusal(400, "BadRequest", 'admission webhook "no.example.org" denied the request: not on Fridays'),
        "away": reply(302, "", ["Location: http://elsewhere.example.org/"]),
        "text": reply(500, "a\x1b[31mb\n"),
        "gone": reply(404, "404 page not found\n"),
        "junk": reply(200, '{"a":1,"a":2}'),
        "deep": reply(200, "[" * 100000),
    }
    with cluster(lambda r: answers[r.path.rsplit("/", 1)[1]]) as (drive, server):
        equal(drive.ask("read", "cm//absent"), None, "what is not there")
        says(drive.refused("read", "cm.v1//forbidden"), "failed", False, "403", "(Forbidden)", 'cannot get resource "configmaps"',
             'namespace "default"')
        says(drive.refused("read", "ConfigMap//invalid"), "failed", False, "configmaps/invalid", "(Invalid)", "data.key: must be short")
        says(drive.refused("read", "ConfigMap//hook"), "failed", False, 'webhook "no.example.org"', "not on Fridays")
        says(drive.refused("read", "ConfigMap//away"), "failed", False, "http://elsewhere.example.org/", "not followed")
        says(drive.refused("read", "ConfigMap//text"), "failed", True, "500", r"a\x1b[31mb")
        before = len(asked(server, "/apis"))
        says(drive.refused("read", "ConfigMap//gone"), "failed", False, "no kind 'ConfigMap' any more")
        equal(drive.ask("name", "ConfigMap//x"), "ConfigMap/default/x", "its name")
        equal(len(asked(server, "/apis")), before + 1, "how often the kinds are asked for anew")
        says(drive.refused("read", "ConfigMap//junk"), "failed", False, "ConfigMap/default/junk", "cannot be read")
        says(drive.refused("read", "ConfigMap//deep"), "failed", False, "cannot be read")


def credentials():
    """After a 401 the login is read anew, once; what the server says back of it is hidden."""
    no = refusal(401, "Unauthorized", "Unauthorized")
    with cluster(in_turn(no, document(object_of("x", 3, "ConfigMap"))), token="hunter2-hunter2") as (drive, server):
        equal(drive.ask("read", "ConfigMap//x")["metadata"]["name"], "x", "the object")
        equal(len(asked(server)), 2, "requests")
        equal(server.seen[-1].headers["authorization"], "Bearer hunter2-hunter2", "the token")
    with cluster(lambda _: no) as (drive, server):
        says(drive.refused("read", "ConfigMap//x"), "unreachable", False, "401", "Unauthorized")
        equal(len(asked(server)), 2, "requests")

    def echo(request):
        return refusal(403, "Forbidden", "you said " + request.headers["authorization"])
    with cluster(echo, token="hunter2-hunter2") as (drive, server):
        said = drive.refused("read", "ConfigMap//x").msg
        expect("you said Bearer (secret)" in said and "hunter2" not in said, said)


def patience():
    """429, and 503 with Retry-After, are waited for, and said; not for longer than the step has, nor without being asked."""
    busy = refusal(429, "TooManyRequests", "too many requests", ["Retry-After: 1"])
    down = refusal(503, "ServiceUnavailable", "starting", ["Retry-After: 1"])
    good = document(object_of("x", 3, "ConfigMap"))
    with cluster(in_turn(busy, down, good)) as (drive, server):
        equal(drive.ask("read", "ConfigMap//x")["metadata"]["resourceVersion"], "3", "the object")
        equal(len(asked(server)), 3, "requests")
        expect(any("waiting 1.0s" in n and "too many requests" in n for n in drive.notes), "no note: %s" % drive.notes)
    with cluster(in_turn(reply(502, "<html>bad gateway"), reply(503, ""), good)) as (drive, server):
        drive.ask("read", "ConfigMap//x")
        equal(len(asked(server)), 3, "requests past a gateway")
    with cluster(lambda _: refusal(429, "TooManyRequests", "come back", ["Retry-After: 100"])) as (drive, server):
        drive.ask("limit", "20")
        says(drive.refused("read", "ConfigMap//x"), "failed", True, "429", "come back")
        equal(len(asked(server)), 1, "requests")
    with cluster(lambda _: refusal(503, "ServiceUnavailable", "nobody is home")) as (drive, server):
        says(drive.refused("read", "ConfigMap//x"), "failed", True, "503", "nobody is home")
        equal(len(asked(server)), 1, "requests")


def kinds():
    """A server without aggregated discovery is asked for each group; one that cannot be read hides no other."""
    plain = {
        "/api": {"kind": "APIVersions", "versions": ["v1"]},
        "/api/v1": {"kind": "APIResourceList", "groupVersion": "v1", "resources": [
            {"name": "configmaps", "singularName": "configmap", "namespaced": True, "kind": "ConfigMap", "shortNames": ["cm"]}]},
        "/apis": {"kind": "APIGroupList", "groups": [
            {"name": "apps", "versions": [{"groupVersion": "apps/v1beta1"}, {"groupVersion": "apps/v1"}],
             "preferredVersion": {"groupVersion": "apps/v1"}},
            {"name": "bad", "versions": [{"groupVersion": "../../secrets"}]},
            {"name": "metrics.k8s.io", "versions": [{"groupVersion": "metrics.k8s.io/v1beta1"}]}]},
        "/apis/apps/v1": {"kind": "APIResourceList", "groupVersion": "apps/v1", "resources": [
            {"name": "deployments", "singularName": "", "namespaced": True, "kind": "Deployment"},
            {"name": "deployments/scale", "namespaced": True, "kind": "Scale"}]},
        "/apis/apps/v1beta1": {"kind": "APIResourceList", "groupVersion": "apps/v1beta1", "resources": [
            {"name": "deployments", "singularName": "", "namespaced": True, "kind": "Deployment"}]},
    }

    def answer(request):
        return document(plain[request.path]) if request.path in plain else refusal(503, "ServiceUnavailable", "no endpoints")
    with scratch() as folder, Scripted(answer) as server, Drive(kubeconfig(folder, server.url)) as drive:
        equal(drive.ask("name", "cm//x"), "ConfigMap/default/x", "a short name")
        equal(drive.ask("name", "deployment.apps/web/x"), "Deployment.apps/web/x", "the preferred version")
        equal(drive.ask("name", "deployment.v1beta1.apps/web/x"), "Deployment.v1beta1.apps/web/x", "another version")
        says(drive.refused("name", "configmapz//x"), "failed", False, "no kind 'configmapz', but 'configmaps'",
             "could not tell the kinds of /apis/metrics.k8s.io/v1beta1")
        equal([r.path for r in server.seen if "secrets" in r.path or ".." in r.path], [], "requests for what is no group")
        equal(drive.ask("name", "Widget.example.org//x"), "Widget.example.org//x", "a kind that may come")
        says(drive.refused("read", "Widget.example.org//x"), "failed", False, "no kind 'Widget.example.org'")


def many(first, n, revision, **more):
    return [object_of("m%04d" % i, revision, **more) for i in range(first, first + n)]


def keys(pages):
    return [i["key"] for p in pages for i in p["items"]]


def lists():
    """Pages follow each other; a list whose moment is forgotten goes on later, and says so; a large page is asked for in parts."""
    def answer(request):
        q = query(request)
        if q.get("continue") == "second==":
            return refusal(410, "Expired", "too old", metadata={"continue": "later"})
        if q.get("continue") == "later":
            return document(list_of(many(2, 1, 9), 12))
        return document(list_of(many(0, 2, 5), 10, "second=="))
    with cluster(answer) as (drive, server):
        pages = drive.pages("cm//?labelSelector=a%20in%20%28b%29")
        equal(keys(pages), ["ConfigMap/default/m000%d" % i for i in range(3)], "all of it")
        equal([p["revision"] for p in pages], [10, 12], "the moments")
        expect(any("took so long" in n for n in drive.notes), "no note: %s" % drive.notes)
        equal({query(r)["labelSelector"] for r in asked(server)}, {"a in (b)"}, "the selector, on each page")
        equal([query(r)["limit"] for r in asked(server)], ["500"] * 3, "the limits")
        equal(pages[0]["items"][0]["object"]["kind"], "ConfigMap", "what an item says to be")
    large = "x" * (1 << 20)

    def heavy(request):
        q = query(request)
        first, limit = int(q.get("continue", "0")), int(q["limit"])
        last = min(first + limit, 20)
        return document(list_of(many(first, last - first, 5, data={"a": large}), 10, str(last) if last < 20 else ""))
    with cluster(heavy) as (drive, server):
        pages = drive.pages("ConfigMap//")
        equal(keys(pages), ["ConfigMap/default/m%04d" % i for i in range(20)], "all of it")
        equal([query(r)["limit"] for r in asked(server)], ["500", "7", "7", "7"], "the limits")
    with cluster(lambda _: refusal(410, "Expired", "too old")) as (drive, server):
        says(drive.refused("list", "ConfigMap//"), "failed", True, "410", "too old")


def bad_lists():
    """A list that is cut off can be asked for again; one that is nonsense is refused; nothing of it is believed."""
    whole = json.dumps(list_of(many(0, 3, 5), 10)).encode()
    answers = {
        "cut": [b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(whole) + whole[:200], None],
        "short": reply(200, whole[:200]),
        "twice": reply(200, whole[:-1] + b',"items":[]}'),
        "other": document({"kind": "ConfigMapList", "metadata": {}}),
        "names": document(list_of([{"metadata": {"name": "a\nb"}}], 1)),
        "large": [b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n" + b'{"items":[{"metadata":{"name":"' + b"x" * 17000000, None],
        "gone": reply(404, "404 page not found\n"),
    }
    with cluster(lambda r: answers[query(r)["labelSelector"]]) as (drive, _):
        says(drive.refused("list", "ConfigMap//?labelSelector=cut"), "unreachable", True, MAPS)
        says(drive.refused("list", "ConfigMap//?labelSelector=short"), "failed", False, "the list of ConfigMap", "cut off")
        says(drive.refused("list", "ConfigMap//?labelSelector=twice"), "failed", False, "the list of ConfigMap", "twice")
        says(drive.refused("list", "ConfigMap//?labelSelector=other"), "failed", False, "no items")
        says(drive.refused("list", "ConfigMap//?labelSelector=names"), "failed", False, "malformed")
        says(drive.refused("list", "ConfigMap//?labelSelector=large"), "failed", False, "an object larger than 16777216 bytes")
        says(drive.refused("list", "ConfigMap//?labelSelector=gone"), "failed", False, "no kind 'ConfigMap' any more")


def event(kind, body):
    return (json.dumps({"type": kind, "object": body}) + "\n").encode()


def stream(*events):
    """What a watch says before it is cut off; numbers are pauses."""
    parts = [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"]
    return parts + [b"%x\r\n" % len(e) + e + b"\r\n" if isinstance(e, bytes) else e for e in events] + [None]


def bookmark(revision):
    return event("BOOKMARK", {"kind": "ConfigMap", "metadata": {"resourceVersion": str(revision)}})


def watches():
    """A watch that is cut goes on from the last version, also a bookmark's; what is forgotten is listed, and told as a difference."""
    lists_left = [document(list_of(many(0, 3, 5), 10)), document(list_of([object_of("m0001", 5), object_of("m0002", 30), object_of("m0009", 31)], 40))]
    watched = [
        stream(event("MODIFIED", object_of("m0000", 11, "ConfigMap")), event("DELETED", object_of("m0000", 12, "ConfigMap")), 0.2),
        refusal(503, "ServiceUnavailable", "going down"),
        stream(event("ADDED", object_of("m0003", 13, "ConfigMap")), bookmark(20), 0.2),
        refusal(401, "Unauthorized", "Unauthorized"),
        stream(event("ERROR", {"kind": "Status", "code": 410, "message": "too old resource version", "reason": "Expired"}), 0.2),
        stream(event("ADDED", object_of("m0004", 41, "ConfigMap")), 60),
    ]

    def answer(request):
        return watched.pop(0) if "watch" in query(request) else lists_left.pop(0)
    with cluster(answer) as (drive, server):
        drive.ask("watch", "ConfigMap//")
        equal(drive.changes(), ([(False, "ConfigMap/default/m000%d" % i) for i in range(3)], 10), "what is there")
        seen = []
        while len(seen) < 7:
            more, revision = drive.changes()
            expect(more, "nothing came: %s" % seen)
            seen += more
        key = "ConfigMap/default/m000"
        equal(seen[:3], [(False, key + "0"), (True, key + "0"), (False, key + "3")], "what changed")
        equal(sorted(seen[3:6]), [(False, key + "2"), (False, key + "9"), (True, key + "3")], "what the list told")
        equal(seen[6], (False, key + "4"), "what came after it")
        versions = [query(r)["resourceVersion"] for r in asked(server) if "watch" in query(r)]
        equal(versions, ["10", "12", "12", "20", "20", "40"], "where each stream began")


def bad_watches():
    """Nonsense ends a watch; a refusal too; what is malformed is never handed over."""
    answers = {
        "text": stream(b"hello", 0.1),
        "type": stream(event("RENAMED", object_of("x", 1)), 0.1),
        "names": stream(event("ADDED", {"metadata": {}}), 0.1),
        "bracket": stream(b'{"type":"ADDED","object":{]}}', 0.1),
        "large": stream(b'{"type":"' + b"x" * 17000000, 0.1),
        "no": refusal(403, "Forbidden", 'configmaps is forbidden: User "u" cannot watch resource "configmaps"'),
    }
    with cluster(lambda r: answers[query(r)["labelSelector"]]) as (drive, _):
        for row, word in (("text", "malformed"), ("type", "malformed"), ("names", "without a name"), ("bracket", "malformed"),
                          ("large", "larger than"), ("no", "cannot watch resource")):
            drive.ask("watch", "ConfigMap//?labelSelector=" + row, 7)
            says(drive.refused("next", 30), "failed", False, word)
            drive.ask("unwatch")


def secrets():
    """What a Secret holds is hidden in what is read."""
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": "default"}, "data": {"key": "aHVudGVyMg=="}}
    with cluster(lambda _: document(secret)) as (drive, _):
        equal(drive.ask("read", "Secret//s")["data"], {"key": "(secret)"}, "its data")


PLAN = """wherry: v1
name: many
targets:
  k: {kind: kubernetes, kubeconfig: %s}
steps:
  - {id: l, uses: kubernetes.list, with: {in: k, kind: ConfigMap, where: "${{ value.data.key == 'none' }}"}}
outputs: {count: "${{ steps.l.outputs.count }}"}
"""


def exit_codes():
    """What a run makes of a server's refusals: 7 for what may be there later, 1 for what will not."""
    system = document({"metadata": {"name": "kube-system", "uid": "u"}})
    rows = (
        (7, refusal(401, "Unauthorized", "Unauthorized"), "401"),
        (1, refusal(403, "Forbidden", 'configmaps is forbidden: User "u" cannot list resource "configmaps"'), "cannot list resource"),
        (1, refusal(500, "InternalError", "etcdserver: no space"), "no space"),
        (1, reply(302, "", ["Location: http://elsewhere.example.org/"]), "not followed"),
        (1, refusal(429, "TooManyRequests", "come back", ["Retry-After: 1000"]), "come back"),
    )
    for code, said, word in rows:
        with scratch() as folder, Scripted(lambda r: discovery(r) or (system if r.path.endswith("/kube-system") else said)) as server:
            path = os.path.join(folder, "plan.yaml")
            with open(path, "w") as f:
                f.write(PLAN % kubeconfig(folder, server.url))
            done = Wherry(os.path.join(folder, "state")).ok("run", path, "--yes", "--format", "plain", code=code)
            expect(word in done.out + done.err, "no word of '%s': %s" % (word, done))


def memory():
    """A list of 100,000 objects never stands in memory as a whole."""
    page = json.dumps(list_of(many(0, 500, 5, data={"key": "x" * 1024}), 10, "CONTINUE"))
    last = document(list_of([], 10))
    system = document({"metadata": {"name": "kube-system", "uid": "u"}})

    def answer(request):
        if request.path.endswith("/kube-system"):
            return system
        n = int(query(request).get("continue", "0")) + 1
        return reply(200, page.replace("CONTINUE", str(n))) if n <= 200 else last
    with scratch() as folder, Scripted(lambda r: discovery(r) or answer(r)) as server:
        path = os.path.join(folder, "plan.yaml")
        with open(path, "w") as f:
            f.write(PLAN % kubeconfig(folder, server.url))
        wherry = Wherry(os.path.join(folder, "state"))
        process = wherry.start("run", path, "--yes", "--format", "plain", stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        peak = Peak(process)
        out = process.communicate(timeout=LIMIT)[0]
        equal((process.returncode, len(asked(server))), (0, 201), "exit code and requests: %s" % out[-1000:])
        used = peak.kib()
        expect(is_sanitized() or used < 64 << 10, "%d KiB" % used)


if __name__ == "__main__":
    main(refusals, credentials, patience, kinds, lists, bad_lists, watches, bad_watches, secrets, exit_codes, memory)
