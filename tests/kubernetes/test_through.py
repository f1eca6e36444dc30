#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Servers inside a cluster, asked through its API server: a service and a pod of a real node, each request counted by the
server itself and by the API server's audit log."""
import contextlib
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import testbed  # noqa: E402
from wtest import Wherry, equal, expect, main, scratch  # noqa: E402

# httpd of busybox runs what is in cgi-bin: each request leaves a line in /www/log, with its body and who it says it is from.
SERVER = r"""
mkdir -p /www/cgi-bin && cd /www
cat >cgi-bin/here <<'END'
#!/bin/sh
printf 'Content-Type: application/json\r\n\r\n{"version": 7}'
END
cat >cgi-bin/items <<'END'
#!/bin/sh
body=$(cat)
echo "$REQUEST_METHOD $QUERY_STRING $body auth=$HTTP_AUTHORIZATION key=$HTTP_IDEMPOTENCY_KEY" >>/www/log
[ "$QUERY_STRING" = refuse ] && { printf 'Status: 409 Conflict\r\n\r\n{"ret_code": -1}'; exit; }
printf 'Content-Type: application/json\r\n\r\n{"done": true}'
END
chmod +x cgi-bin/*
exec httpd -f -p 8080 -h /www
"""
POD = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web", "labels": {"app": "web"}}, "spec": {
    "terminationGracePeriodSeconds": 0, "containers": [
        {"name": "c", "image": testbed.IMAGE, "command": ["sh", "-c", SERVER], "imagePullPolicy": "Never",
         "readinessProbe": {"tcpSocket": {"port": 8080}, "periodSeconds": 1}}]}}
SERVICE = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "api"}, "spec": {
    "selector": {"app": "web"}, "ports": [{"name": "http", "port": 80, "targetPort": 8080}]}}


class Desk:
    def __init__(self, cluster, namespace, folder):
        self.cluster, self.namespace, self.folder = cluster, namespace, folder
        self.w = Wherry(os.path.join(folder, "state"), env={"KUBECONFIG": cluster.wherry_config})

    def plan(self, steps, url, more=""):
        path = os.path.join(self.folder, "plan.yaml")
        with open(path, "w") as f:
            f.write("wherry: v1\nname: t\ntargets:\n  k: {kind: kubernetes}\n  api: {kind: http, through: k, url: \"%s\"%s}\nsteps:\n%s"
                    % (url, more, steps))
        return path

    def log(self):
        out = self.cluster.kubectl("exec", "web", "--", "sh", "-c", "cat /www/log 2>/dev/null || true", namespace=self.namespace)
        return out.splitlines()

    def proxied(self):
        events = self.cluster.audit(user="wherry", namespace=self.namespace)
        return [(e["verb"], e["objectRef"]["resource"]) for e in events
                if e["objectRef"].get("subresource") == "proxy" and e["stage"] == "ResponseComplete"]


@contextlib.contextmanager
def desk(a):
    """One, and its namespace, where the server runs."""
    with a.namespace() as ns, scratch() as folder:
        a.apply(POD, namespace=ns)
        a.apply(SERVICE, namespace=ns)
        a.wait_until("condition=Ready", "pod/web", namespace=ns)
        yield Desk(a, ns, folder), ns


GET = "  - {id: look, uses: http.request, with: {on: api, url: /cgi-bin/here}}\n"
POST = """  - id: post
    uses: http.request
    with: {on: api, method: POST, url: "/cgi-bin/items?%s", body: {name: one}}
"""
USE = "  - {id: use, uses: set, with: {values: {v: '${{ steps.look.outputs.json.version }}'}}}\n"


@testbed.shared(node=True)
def test_asked(a):
    """A service by its name and a pod by its own are asked where they are; a dry-run looks and posts nothing."""
    with desk(a) as (d, ns):
        service, pod = "http://api.%s.svc:http" % ns, "http://web.%s.pod:8080" % ns

        path = d.plan(GET + USE + POST % "a", service)
        done = d.w.ok("plan", path)
        expect("POST" in done.out, "the dry-run says nothing of the request: %s" % done)
        equal(d.log(), [], "what the server saw of the dry-run")

        d.w.ok("run", path, "--yes", "--run-id", "r1")
        seen = d.log()
        equal(len(seen), 1, "requests that change something")
        expect(seen[0].startswith('POST a {"name":"one"} auth= key="'), "what the server saw: %s" % seen)
        out = d.w.ok("journal", "dump", "r1").out
        expect("kube_system_uid" in out, "the journal does not say which cluster it was: %s" % out)

        d.w.ok("run", d.plan(GET + USE + POST % "b", pod), "--yes", "--run-id", "r2")
        equal(len(d.log()), 2, "requests that change something")
        equal(sorted(set(d.proxied())), [("create", "pods"), ("create", "services"), ("get", "pods"), ("get", "services")],
              "what the API server passed on")


@testbed.shared(node=True)
def test_refused(a):
    """A refusal is the server's own, a server that is not there is the API server's word; neither gets our credentials."""
    with desk(a) as (d, ns):
        done = d.w.ok("run", d.plan(POST % "refuse", "http://api.%s:80" % ns), "--yes", code=1)
        expect("409" in done.err and "ret_code" in done.err, "the server's refusal is not told: %s" % done)
        equal(len(d.log()), 1, "requests that change something")
        done = d.w.ok("run", d.plan(GET, "http://nobody.%s:80" % ns), "--yes", code=1)
        expect("404" in done.err and "nobody" in done.err, "that there is no such service is not told: %s" % done)
        done = d.w("run", d.plan(GET, "http://api.%s:80" % ns, ", token_file: /dev/null"), "--yes")
        expect(done.code == 2 and "neither certificates nor credentials" in done.err, "credentials of its own: %s" % done)
        for url, word in (("http://api:80", "no place inside a cluster"), ("http://10.0.0.1:80", "no place inside a cluster")):
            done = d.w("run", d.plan(GET, url), "--yes")
            expect(done.code == 2 and word in done.err, "url %s: %s" % (url, done))
        done = d.w("run", d.plan(GET.replace("here}", "here, headers: {authorization: x}}"), "http://api.%s:80" % ns), "--yes")
        expect(done.code == 2 and "'Authorization' does not pass" in done.err, "a credential of the plan's own: %s" % done)
        steps = GET.replace("/cgi-bin/here", "/../../../../../../api/v1/namespaces")
        done = d.w("run", d.plan(steps, "http://api.%s:80" % ns), "--yes")
        expect(done.code == 2 and "cannot stand" in done.err, "a way out of the proxy: %s" % done)
        expect(not [line for line in d.log() if "auth= " not in line], "the server saw credentials: %s" % d.log())


main(test_asked, test_refused)
