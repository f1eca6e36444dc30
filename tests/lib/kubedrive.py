# SPDX-License-Identifier: Apache-2.0
"""The Kubernetes target kind by itself, as tests/drive/kube.c drives it, and what a scripted API server needs to be one."""
import json
import os
import subprocess
import threading
import time

import wtest
from scripted import reply

PROGRAM = os.path.join(os.path.dirname(wtest.WHERRY), "tests", "drive_kube")


class Refused(Exception):
    """kind, retryable and msg as the program told them."""

    def __init__(self, error):
        super().__init__("%s%s: %s" % (error["kind"], " (retryable)" if error["retryable"] else "", error["msg"]))
        self.kind, self.retryable, self.msg = error["kind"], error["retryable"], error["msg"]


class Drive:
    """One connection. Answers are what the program says, without its notes, which are in self.notes."""

    def __init__(self, kubeconfig, namespace="default", prefix=()):
        self.process = subprocess.Popen([*prefix, PROGRAM, kubeconfig, namespace], text=True, bufsize=1, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE)
        self.notes, self.lines, self.ready, self.ended = [], [], threading.Condition(), False
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self):
        for line in self.process.stdout:
            with self.ready:
                self.lines.append(json.loads(line))
                self.ready.notify()
        with self.ready:
            self.ended = True
            self.ready.notify()

    def line(self):
        end = time.monotonic() + wtest.LIMIT
        while True:
            with self.ready:
                while not self.lines and not self.ended:
                    if not self.ready.wait(end - time.monotonic()):
                        raise wtest.Violation("drive_kube does not answer")
                if not self.lines:
                    raise wtest.Violation("drive_kube has ended with %s" % self.process.wait())
                (kind, value), = self.lines.pop(0).items()
            if kind == "note":
                self.notes.append(value)
            elif kind == "error":
                raise Refused(value)
            else:
                return value

    def say(self, *words):
        self.process.stdin.write(" ".join(map(str, words)) + "\n")

    def ask(self, *words):
        self.say(*words)
        return self.line()

    def refused(self, *words):
        try:
            answer = self.ask(*words)
        except Refused as e:
            return e
        raise wtest.Violation("%s: expected a refusal, got %r" % (" ".join(map(str, words)), answer))

    def pages(self, path, limit=0, how=""):
        """All pages of a list."""
        pages = [self.ask("list", path, limit, how)]
        while pages[-1]["more"]:
            pages.append(self.ask("more"))
        return pages

    def changes(self, seconds=wtest.LIMIT):
        """[(deleted, key)], the revision."""
        told = self.ask("next", seconds)
        return [(c["deleted"], c["item"]["key"]) for c in told["changes"]], told["revision"]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait(wtest.LIMIT)
        self.process.stdout.close()


def kubeconfig(folder, url, token=None):
    """A file for a server without certificates."""
    path = os.path.join(folder, "kubeconfig")
    config = {"apiVersion": "v1", "kind": "Config", "current-context": "x",
              "clusters": [{"name": "c", "cluster": {"server": url}}],
              "users": [{"name": "u", "user": {"token": token} if token else {}}],
              "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}]}
    with open(path, "w") as f:
        json.dump(config, f)
    os.chmod(path, 0o600)
    return path


def document(body, status=200, headers=()):
    return reply(status, json.dumps(body), ["Content-Type: application/json", *headers])


def refusal(status, reason, message, headers=(), **more):
    return document({"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message, "reason": reason, "code": status,
                     **more}, status, headers)


def resource(plural, kind, namespaced=True, short=()):
    return {"resource": plural, "responseKind": {"kind": kind}, "scope": "Namespaced" if namespaced else "Cluster", "verbs": ["get"],
            "shortNames": list(short)}


CORE = [{"metadata": {}, "versions": [{"version": "v1", "resources": [
    resource("configmaps", "ConfigMap", short=["cm"]), resource("secrets", "Secret"), resource("namespaces", "Namespace", False)]}]}]
OTHERS = [{"metadata": {"name": "example.org"}, "versions": [{"version": "v1", "resources": [resource("widgets", "Widget")]}]}]


def discovery(request):
    """The reply to a request for the kinds, or None."""
    if request.path in ("/api", "/apis"):
        return document({"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2",
                         "items": CORE if request.path == "/api" else OTHERS})
    return None


def object_of(name, revision, kind=None, **more):
    said = {"apiVersion": "v1", "kind": kind} if kind else {}
    return {**said, "metadata": {"name": name, "namespace": "default", "resourceVersion": str(revision)}, **more}


def list_of(items, revision, go_on="", kind="ConfigMapList"):
    return {"kind": kind, "apiVersion": "v1", "metadata": {"resourceVersion": str(revision), "continue": go_on}, "items": items}
