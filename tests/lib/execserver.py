# SPDX-License-Identifier: Apache-2.0
"""An API server of a few answers, whose exec says over WebSocket what a test wants it to, byte for byte (RFC 6455; channels
of v5.channel.k8s.io). The command's last word names the row; look-ups by `sh` and the pod itself are answered decently."""
import base64
import hashlib
import json
import os
import struct
import urllib.parse

from scripted import Scripted, reply

GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
KUBECONFIG = """apiVersion: v1
kind: Config
current-context: x
clusters: [{name: x, cluster: {server: "%s"}}]
users: [{name: x, user: {token: hush-hush}}]
contexts: [{name: x, context: {cluster: x, user: x, namespace: t}}]
"""
PODS = {"name": "pods", "singularName": "pod", "namespaced": True, "kind": "Pod", "verbs": ["get", "list"], "shortNames": ["po"]}
RESOURCES = [PODS, {"name": "pods/exec", "singularName": "", "namespaced": True, "kind": "PodExecOptions", "verbs": ["create", "get"]},
             {"name": "namespaces", "singularName": "namespace", "namespaced": False, "kind": "Namespace", "verbs": ["get"]}]


def frame(data, opcode=2, fin=True, mask=False, rsv=0, length=None):
    """One frame of a server, or what none would send."""
    length = len(data) if length is None else length
    head = bytes([fin << 7 | rsv << 4 | opcode])
    bit = 128 if mask else 0
    head += bytes([bit | length]) if length < 126 else bytes([bit | 126]) + struct.pack(">H", length) if length < 65536 else \
        bytes([bit | 127]) + struct.pack(">Q", length)
    return head + (b"\0\0\0\0" if mask else b"") + data


def out(text, channel=1):
    return frame(bytes([channel]) + text)


def status(code=0, message="", **more):
    """The exit status of a command; message: of a failure that has no exit code."""
    if message:
        body = {"status": "Failure", "message": message, "reason": "InternalError", "code": 500}
    elif code:
        body = {"status": "Failure", "message": "command terminated with exit code %d" % code, "reason": "NonZeroExitCode",
                "details": {"causes": [{"reason": "ExitCode", "message": str(code)}]}}
    else:
        body = {"metadata": {}, "status": "Success"}
    return out(json.dumps({**body, **more}).encode(), 3)


CLOSE = frame(struct.pack(">H", 1000), opcode=8)


def refusal(code, message=None, reason="Forbidden"):
    if message is None:
        return reply(code)
    body = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message, "reason": reason, "code": code}
    return reply(code, json.dumps(body), ["Content-Type: application/json"])


class ExecServer(Scripted):
    """rows: what a row's command answers: a list as Scripted takes it, put behind a good upgrade, or a function of the request and
    the headers of a good upgrade, which gives all of the answer. pods: what the pod p reads as, one after the other."""

    def __init__(self, rows, pods=(("uid-1", "id-1", ""),), left=b"", lacks=()):
        self.rows, self.pods, self.left, self.lacks = rows, list(pods), left, lacks
        super().__init__(self.api)

    def api(self, request):
        url = urllib.parse.urlsplit(request.path)
        if url.path in ("/api", "/apis"):
            return self.json({"kind": "APIVersions", "versions": ["v1"]} if url.path == "/api" else
                             {"kind": "APIGroupList", "apiVersion": "v1", "groups": []})
        if url.path == "/api/v1":
            return self.json({"kind": "APIResourceList", "groupVersion": "v1", "resources": RESOURCES})
        if url.path == "/api/v1/namespaces/kube-system":
            return self.json({"kind": "Namespace", "apiVersion": "v1", "metadata": {"name": "kube-system", "uid": "system-uid"}})
        if url.path == "/api/v1/namespaces/t/pods/p":
            return self.pod()
        if url.path == "/api/v1/namespaces/t/pods/p/exec":
            return self.exec(request, urllib.parse.parse_qs(url.query, keep_blank_values=True))
        return refusal(404, "not here: " + url.path, "NotFound")

    def json(self, value):
        return reply(200, json.dumps(value), ["Content-Type: application/json"])

    def pod(self):
        uid, container, ended = self.pods.pop(0) if len(self.pods) > 1 else self.pods[0]
        if not uid:
            return refusal(404, 'pods "p" not found', "NotFound")
        last = {"lastState": {"terminated": {"reason": ended}}} if ended else {}
        return self.json({
            "kind": "Pod", "apiVersion": "v1", "metadata": {"name": "p", "namespace": "t", "uid": uid},
            "spec": {"containers": [{"name": "c"}]},
            "status": {"phase": "Running", "containerStatuses": [{"name": "c", "containerID": container, "state": {"running": {}}, **last}]}})

    def upgrade(self, request, accept=None, protocol="v5.channel.k8s.io", more=()):
        key = request.headers["sec-websocket-key"] + GUID
        lines = ["HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade",
                 "Sec-WebSocket-Accept: " + (accept or base64.b64encode(hashlib.sha1(key.encode()).digest()).decode())]
        lines += ["Sec-WebSocket-Protocol: " + protocol] if protocol else []
        return ("\r\n".join(lines + list(more)) + "\r\n\r\n").encode()

    def exec(self, request, query):
        words = query["command"]
        script = words[2] if words[:2] == ["sh", "-c"] else ""
        if words[0] in self.lacks:
            return [self.upgrade(request), status(message='Internal error occurred: error executing command in container: failed to exec in '
                                                  'container: exec: "%s": executable file not found in $PATH: unknown' % words[0]), CLOSE, None]
        if "WHERRY_EFFECT=$1" in script:  # wherry looks for what it left
            return [self.upgrade(request), out(self.left + b"end\n"), status(), CLOSE, None]
        row = self.rows[words[4] if "sha256sum" in script else words[-1]]  # a file's path is the first argument
        return row(self, request) if callable(row) else [self.upgrade(request), out(b""), *row]

    def kubeconfig(self, folder):
        path = os.path.join(folder, "kubeconfig")
        with open(path, "w") as f:
            f.write(KUBECONFIG % self.url)
        os.chmod(path, 0o600)
        return path
