# SPDX-License-Identifier: Apache-2.0
"""Between wherry and a real API server, one request at a time: a test may cut it off before or after the server has had it, answer in
the server's place, or do something to the cluster first. What goes on goes on as the user wherry; exec cannot."""
import http.client
import json
import os
import ssl

from scripted import Scripted

OURS = ("host", "connection", "content-length", "accept-encoding")
CUT = [None]  # an answer that is none


class Stream(list):
    """What the server says, piece by piece, for as long as it does and somebody listens; a list for Scripted's sake."""

    def __init__(self, reply, connection):
        super().__init__()
        self.reply, self.connection = reply, connection

    def __iter__(self):
        try:
            yield head(self.reply, "Transfer-Encoding: chunked")
            while True:
                piece = self.reply.read1(65536)
                yield b"%x\r\n%s\r\n" % (len(piece), piece)
                if not piece:
                    return
        except (OSError, http.client.HTTPException):  # the server went away in the middle
            yield None
        finally:
            self.connection.close()


def head(reply, *lines):
    lines = ["HTTP/1.1 %d %s" % (reply.status, reply.reason), "Content-Type: %s" % reply.getheader("Content-Type"), *lines]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"


class Between(Scripted):
    """meddle(request, go_on) gives the answer, as Scripted takes it; go_on(request) is the server's own. It may be replaced at
    any time; None: nobody meddles."""

    def __init__(self, cluster, meddle=None):
        self.cluster, self.meddle = cluster, meddle
        self.context = ssl.create_default_context(cafile=cluster.pki.path("ca.crt"))
        self.context.load_cert_chain(cluster.pki.path("wherry.crt"), cluster.pki.path("wherry.key"))
        super().__init__(lambda request: self.meddle(request, self.go_on) if self.meddle else self.go_on(request))

    def go_on(self, request):
        """The server's answer; cut off where the server goes away."""
        host, port = self.cluster.at("kube-apiserver").split(":")
        connection = http.client.HTTPSConnection(host, int(port), context=self.context, timeout=600)
        try:
            connection.request(request.method, request.path, request.body or None,
                               {k: v for k, v in request.headers.items() if k not in OURS})
            reply = connection.getresponse()
            if "watch=" in request.path and reply.status == 200:
                return Stream(reply, connection)
            body = reply.read()
            connection.close()
            return head(reply, "Content-Length: %d" % len(body)) + body
        except (OSError, http.client.HTTPException):
            connection.close()
            return CUT

    def kubeconfig(self, folder):
        """Without certificates and credentials: those are ours."""
        path = os.path.join(folder, "between.kubeconfig")
        with open(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "w") as f:
            json.dump({"apiVersion": "v1", "kind": "Config", "current-context": "x", "clusters": [{"name": "c", "cluster": {"server": self.url}}],
                       "users": [{"name": "u", "user": {}}], "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}]}, f)
        return path


def changes(request):
    """Does it ask for a change?"""
    return request.method != "GET" and "dryRun=" not in request.path and "/selfsubject" not in request.path


class Nth:
    """A meddler that does something to one request: the n-th (from 1) of those that are wanted. hit: it has come."""

    def __init__(self, n, act, wanted=lambda request: True):
        self.left, self.act, self.wanted, self.hit = n, act, wanted, None

    def __call__(self, request, go_on):
        if self.wanted(request):
            self.left -= 1
            if self.left == 0:
                self.hit = request
                return self.act(request, go_on)
        return go_on(request)


def cut_before(request, go_on):
    """The server never hears of it."""
    return CUT


def cut_after(request, go_on):
    """The server has done it, and nobody hears of that."""
    go_on(request)
    return CUT
