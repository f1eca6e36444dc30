#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Ways to log in to a real API server, by kubeconfigs, tokens, certificates and plugins; and what is refused, in which words."""
import base64
import json
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import testbed  # noqa: E402
from wtest import Wherry, equal, expect, main, scratch  # noqa: E402

API = "client.authentication.k8s.io/v1"


class Door:
    """Kubeconfigs for one cluster in a folder, and a plan that asks the cluster who it is."""

    def __init__(self, folder, cluster):
        self.folder, self.n = folder, 0
        self.w = Wherry(os.path.join(folder, "state"), env={"HOME": folder, "KUBECONFIG": ""})
        with open(cluster.kubeconfig) as f:
            text = f.read()
        self.cluster = {"server": cluster.kubectl("config", "view", "-o", "jsonpath={.clusters[0].cluster.server}"),
                        "certificate-authority-data": text.split("certificate-authority-data:")[1].split()[0]}
        self.admin = {key: text.split(key + ":")[1].split()[0] for key in ("client-certificate-data", "client-key-data")}

    def write(self, name, text, mode=0o600):
        path = os.path.join(self.folder, name)
        with open(path, "w") as f:
            f.write(text)
        os.chmod(path, mode)
        return path

    def config(self, user, name="config", **cluster):
        """One with a single context; a member of the cluster that is None is left out."""
        entry = {key.replace("_", "-"): v for key, v in {**self.cluster, **cluster}.items() if v is not None}
        return self.write(name, json.dumps({
            "apiVersion": "v1", "kind": "Config", "current-context": "x", "users": [{"name": "u", "user": user}],
            "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}], "clusters": [{"name": "c", "cluster": entry}]}))

    def run(self, kubeconfig, code=0, **target):
        self.n += 1
        fields = {"kind": "kubernetes", **({"kubeconfig": kubeconfig} if kubeconfig else {}), **target}
        plan = self.write("plan.yaml", json.dumps({
            "wherry": "v1", "name": "look", "targets": {"k": fields},
            "steps": [{"id": "look", "uses": "kubernetes.get", "with": {"in": "k", "kind": "Namespace", "name": "default"}}]}))
        return self.w.ok("run", plan, "--yes", "--run-id", "r%d" % self.n, "--format", "plain", code=code)

    def refuses(self, code, want, kubeconfig, never=(), **target):
        done = self.run(kubeconfig, code=code, **target)
        for text in [want] if isinstance(want, str) else want:
            expect(text in done.err, "%r is not in %s" % (text, done.err))
        for text in never:
            expect(text not in done.err + done.out, "%r is in %s" % (text, done.err + done.out))
        return done

    def plugin(self, script):
        """A plugin that counts its runs, and the user entry that names it."""
        path = self.write("login", "#!/bin/sh\necho x >>%s/runs\n%s\n" % (self.folder, script), 0o700)
        return {"exec": {"apiVersion": API, "interactiveMode": "Never", "command": path}}

    def runs(self):
        with open(os.path.join(self.folder, "runs")) as f:
            return len(f.read().split())


def ticket(token):
    answer = {"kind": "ExecCredential", "apiVersion": API, "status": {"token": token}}
    return "echo '%s'" % json.dumps(answer)


@testbed.shared()
def test_ways(a):
    """Certificates, a token, a token file, a plugin, another user, another name for the server, and the list of files."""
    with scratch() as folder, a.namespace() as ns:
        d = Door(folder, a)
        a.kubectl("create", "clusterrolebinding", ns, "--clusterrole=view", "--serviceaccount=%s:default" % ns)
        try:
            token = a.kubectl("create", "token", "default", namespace=ns)
            d.run(d.config(d.admin))
            d.run(d.config({"token": token}))
            d.write("token", token + "\n")
            d.run(d.config({"token": "old", "tokenFile": "token"}))
            d.run(d.config({**d.admin, "as": "system:serviceaccount:%s:default" % ns}))
            d.run(d.config(d.admin, tls_server_name="kubernetes.default.svc"))
            user = d.plugin(ticket(token))
            d.run(d.config(user), allow_exec=[user["exec"]["command"]])
            # a token that has been revoked: asked for anew at once
            user = d.plugin("[ $(wc -l <%s/runs) -gt 2 ] && %s || %s" % (folder, ticket(token), ticket("revoked")))
            d.run(d.config(user), allow_exec=[user["exec"]["command"]])
            equal(d.runs(), 3, "runs of the plugin")
            os.mkdir(os.path.join(folder, ".kube"))
            d.config(d.admin, name=".kube/config")
            d.run(None)
        finally:
            a.kubectl("delete", "clusterrolebinding", ns)


@testbed.shared()
def test_refusals(a):
    """What cannot be used: which file, which entry, what there is in its place, and nothing of a secret."""
    with scratch() as folder:
        d = Door(folder, a)
        d.refuses(2, "is not there", os.path.join(folder, "none"))
        d.refuses(2, "there is no context 'y'; contexts: 'x'", d.config(d.admin), context="y")
        d.refuses(6, ["can be read or changed by every user", "chmod 600"], d.write("open", "{}", 0o644))
        d.refuses(2, "always checks who the server is", d.config(d.admin, insecure_skip_tls_verify="true"))
        user = d.plugin("echo 'no way in' >&2; exit 1")
        path = user["exec"]["command"]
        d.refuses(7, ["not allowed to run", "allow_exec: [%s]" % path], d.config(user))
        d.refuses(7, [path, "ended with code 1; it says: no way in"], d.config(user), allow_exec=[path])
        d.refuses(7, "is not JSON", d.config(d.plugin("echo very-hidden")), never=["very-hidden"], allow_exec=[path])
        d.refuses(7, "No such file", d.config({"exec": {**user["exec"], "command": "/nowhere/login"}}), allow_exec=["/nowhere/login"])
        d.refuses(7, "401: Unauthorized", d.config({"token": "very-hidden"}), never=["very-hidden"])
        d.refuses(1, ["403", "eve"], d.config({**d.admin, "as": "eve"}))
        d.refuses(7, ["alternative certificate subject name", "DNS:kubernetes"], d.config(d.admin, tls_server_name="other.example"))


@testbed.shared()
def test_certificates(a):
    """A wrong authority, a certificate that has expired and one that is not valid yet: which one, and its dates."""
    with scratch() as folder:
        d = Door(folder, a)
        certs = os.path.join(folder, "certs")
        os.mkdir(certs)
        script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib", "certs.sh")
        subprocess.run([script, certs], check=True)
        subprocess.run([script, certs, "old", "tester", "-5"], check=True)

        def text(name):
            with open(os.path.join(certs, name), "rb") as f:
                return base64.b64encode(f.read()).decode()

        d.refuses(7, ["the server's certificate is refused", "cluster 'c': certificate-authority-data", "CN = kube-apiserver", "valid from"],
                  d.config(d.admin, certificate_authority_data=text("ca.crt")))
        d.refuses(7, ["401"], d.config({"client-certificate": "certs/client.crt", "client-key": "certs/client.key"}))
        d.refuses(7, ["401"], d.config({"client-certificate-data": text("old.crt"), "client-key-data": text("old.key")}))
        os.chmod(os.path.join(certs, "client.key"), 0o604)
        d.refuses(6, ["certs/client.key' can be read or changed by every user", "chmod 600"],
                  d.config({"client-certificate": "certs/client.crt", "client-key": "certs/client.key"}))


main(test_ways, test_refusals, test_certificates)
