# SPDX-License-Identifier: Apache-2.0
"""A cluster's certificates, and the kubeconfigs that hold them. Keys live two days, in the testbed's folder."""
import base64
import os

from world import run

CONFIG = "[req]\ndistinguished_name = name\n[name]\n"
KUBECONFIG = """apiVersion: v1
kind: Config
current-context: {name}
clusters:
- name: {name}
  cluster:
    server: {server}
    certificate-authority-data: {ca}
users:
- name: {user}
  user:
    client-certificate-data: {crt}
    client-key-data: {key}
contexts:
- name: {name}
  context:
    cluster: {name}
    user: {user}
"""


class Authority:
    """ca.crt and ca.key of a folder, and what they sign: NAME.crt with NAME.key."""

    def __init__(self, folder, name):
        self.folder, self.name = folder, name

    def path(self, name):
        return os.path.join(self.folder, name)

    def request(self, name, subject, extensions, more):
        argv = ["openssl", "req", "-x509", "-config", self.path("req.cnf"), "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
                "-nodes", "-days", "2", "-subj", subject, "-keyout", self.path(name + ".key"), "-out", self.path(name + ".crt")] + more
        for extension in extensions:
            argv += ["-addext", extension]
        run(argv)
        os.chmod(self.path(name + ".key"), 0o600)

    def create(self):
        os.makedirs(self.folder)
        with open(self.path("req.cnf"), "w") as f:
            f.write(CONFIG)
        self.request("ca", "/CN=testbed " + self.name, ["basicConstraints=critical,CA:TRUE",
                     "keyUsage=critical,digitalSignature,keyCertSign,cRLSign"], [])
        # what signs the tokens of service accounts is a key pair without a certificate
        run(["openssl", "ecparam", "-genkey", "-noout", "-name", "prime256v1", "-out", self.path("sa.key")])
        run(["openssl", "ec", "-in", self.path("sa.key"), "-pubout", "-out", self.path("sa.pub")])
        return self

    def leaf(self, name, user, groups=(), hosts=()):
        """For a client (user, groups), and for a server as well where hosts are given, as IP:… or DNS:…."""
        subject = "".join("/O=" + group for group in groups) + "/CN=" + user
        extensions = ["basicConstraints=critical,CA:FALSE", "keyUsage=critical,digitalSignature",
                      "extendedKeyUsage=clientAuth" + (",serverAuth" if hosts else "")]
        if hosts:
            extensions.append("subjectAltName=" + ",".join(hosts))
        self.request(name, subject, extensions, ["-CA", self.path("ca.crt"), "-CAkey", self.path("ca.key")])

    def base64(self, name):
        with open(self.path(name), "rb") as f:
            return base64.b64encode(f.read()).decode()

    def kubeconfig(self, to, server, leaf):
        with open(to, "w") as f:
            os.fchmod(f.fileno(), 0o600)
            f.write(KUBECONFIG.format(name=self.name, server=server, user=leaf, ca=self.base64("ca.crt"), crt=self.base64(leaf + ".crt"),
                                      key=self.base64(leaf + ".key")))
        return to
