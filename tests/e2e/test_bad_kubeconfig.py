#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Kubeconfigs that cannot be used, logins that give nothing, and API servers that cannot be trusted or reached: which file, which entry,
which certificate and until when, and what to type; never the secret itself. All that is said is pinned in tests/golden/told/."""
import base64
import json
import os
import socket
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from kubedrive import discovery, document, refusal
from scripted import Scripted, tls_server
from told import with_desk
from wtest import SOURCE, expect, free_port, main

PLAN = """targets: {k: {kind: kubernetes, kubeconfig: %s%s}}
steps:
  - {id: look, uses: kubernetes.get, with: {in: k, kind: Namespace, name: default}, timeout: %s}
"""
API = "client.authentication.k8s.io/v1"
HIDDEN = "very-hidden"


def answer(request):
    return discovery(request) or document({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "default", "uid": "u"}})


def config(user, server="https://127.0.0.1:1", **cluster):
    """The text of a kubeconfig with one context."""
    return json.dumps({
        "apiVersion": "v1", "kind": "Config", "current-context": "x", "users": [{"name": "u", "user": user}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": server, **{k.replace("_", "-"): v for k, v in cluster.items()}}}]})


def look(desk, row, code, text, fields="", timeout="20s", mode=0o600):
    """What a run with that kubeconfig says; None: there is none."""
    path = desk.path("kubeconfig")
    if text is not None:
        os.chmod(desk.file("kubeconfig", text), mode)
    plan = desk.plan(PLAN % (path, fields, timeout), row + ".yaml")
    done = desk.told("kubeconfig-" + row, code, "run", plan, "--run-id", row, "--yes", "--format", "plain", timeout=60)
    expect(HIDDEN not in done.out + done.err, "a secret is told")
    return done


@with_desk
def files(desk):
    """No file, no YAML, no such context or user, open to everybody, TLS switched off."""
    look(desk, "missing", 2, None)
    look(desk, "no-yaml", 2, "clusters: [\n")
    look(desk, "duplicate", 2, "current-context: a\ncurrent-context: b\n")
    look(desk, "no-context", 2, config({}), ", context: y")
    look(desk, "no-user", 2, config({}).replace('"user": "u"', '"user": "v"'))
    look(desk, "open", 6, config({}), mode=0o644)
    look(desk, "insecure", 2, config({}, insecure_skip_tls_verify=True))
    look(desk, "no-key", 2, config({"client-certificate": "none.crt"}))
    os.chmod(desk.file("key", "x"), 0o644)
    desk.file("crt", "x")
    look(desk, "open-key", 6, config({"client-certificate": "crt", "client-key": "key"}))
    look(desk, "no-token-file", 7, config({"tokenFile": "none"}))


def plugin(desk, script, **more):
    """A user entry with a credential plugin, which is this script."""
    path = desk.file("login", "#!/bin/sh\n%s\n" % script)
    os.chmod(path, 0o700)
    return config({"exec": {"apiVersion": API, "interactiveMode": "Never", "command": path, **more}})


def ticket(**status):
    return "echo '%s'" % json.dumps({"kind": "ExecCredential", "apiVersion": API, "status": status})


@with_desk
def plugins(desk):
    """Not allowed, not there, with an error, with junk, with a token that has ended, with no answer."""
    allowed = ", allow_exec: [%s]" % desk.path("login")
    look(desk, "plugin-not-allowed", 7, plugin(desk, "true"))
    look(desk, "plugin-missing", 7, plugin(desk, "true", command="/nowhere/login", installHint="install it"), ", allow_exec: [/nowhere/login]")
    env = [{"name": "PASS", "value": HIDDEN}]
    look(desk, "plugin-fails", 7, plugin(desk, "for i in 1 2 3 4 5 6; do echo $i $PASS; done >&2; exit 3", env=env), allowed)
    look(desk, "plugin-junk", 7, plugin(desk, "echo " + HIDDEN), allowed)
    look(desk, "plugin-ended", 7, plugin(desk, ticket(token=HIDDEN, expirationTimestamp="2020-01-01T00:00:00Z")), allowed)
    look(desk, "plugin-hangs", 7, plugin(desk, "exec sleep 1000"), allowed, "2s")


@with_desk
def addresses(desk):
    """Nobody there, a proxy that is not there, and somebody who says nothing."""
    port = free_port(1)
    look(desk, "refused", 7, config({}, "https://127.0.0.1:%d" % port))
    look(desk, "proxy-refused", 7, config({}, "https://198.51.100.1:6443", proxy_url="http://127.0.0.1:%d" % port))
    with socket.create_server(("127.0.0.1", 0), backlog=0) as silent:
        look(desk, "silent", 7, config({}, "https://127.0.0.1:%d" % silent.getsockname()[1]), timeout="2s")


def data(desk, name):
    with open(desk.path(name), "rb") as f:
        return base64.b64encode(f.read()).decode()


@with_desk
def certificates(desk):
    """A server's certificate of another authority or name, too old, or too young for this machine's clock; and our own that has ended, which
    API servers answer with 401."""
    certs = [os.path.join(SOURCE, "tests", "lib", "certs.sh"), desk.folder]
    subprocess.run(certs, check=True)
    for name, begin, end in (("expired", "20200101000000Z", "20210101000000Z"), ("not-yet", "20900101000000Z", "20910101000000Z")):
        subprocess.run(certs + [name, name, begin, end], check=True)
    for row, cert, ca in (("tls-unknown-ca", "server", "other-ca.crt"), ("tls-expired", "expired", "ca.crt"), ("tls-not-yet", "not-yet", "ca.crt"),
                          ("tls-misnamed", "misnamed", "ca.crt")):
        with Scripted(answer, tls_server(desk.folder, cert)) as server:
            look(desk, row, 7, config({}, server.url, certificate_authority_data=data(desk, ca)))
    with Scripted(lambda _: refusal(401, "Unauthorized", "Unauthorized"), tls_server(desk.folder)) as server:
        for row, user in (("client-ended", {"client-certificate-data": data(desk, "expired.crt"), "client-key-data": data(desk, "expired.key")}),
                          ("token-refused", {"token": HIDDEN}), ("password-refused", {"username": "u", "password": HIDDEN}), ("nobody", {})):
            look(desk, row, 7, config(user, server.url, certificate_authority="ca.crt"))
        look(desk, "plugin-refused", 7, plugin(desk, ticket(token=HIDDEN)).replace("https://127.0.0.1:1", server.url).replace(
            '"server":', '"certificate-authority": "ca.crt", "server":'), ", allow_exec: [%s]" % desk.path("login"))


if __name__ == "__main__":
    main(files, plugins, addresses, certificates)
