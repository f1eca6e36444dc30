# SPDX-License-Identifier: Apache-2.0
"""One cluster's control plane: etcd, API server, controller manager and scheduler."""
import http.client
import json
import os
import signal
import socket
import ssl

import node
from pki import Authority
from world import until

BRIDGE = "198.51.100.1"  # of the testbed's network; the node of cluster i has the address i + 2
PLACES = [  # of the first and of the second cluster: pods, services, and the API server's own service
    {"node": "198.51.100.2", "pods": "198.51.100.64/26", "services": "203.0.113.0/25", "service": "203.0.113.1"},
    {"node": "198.51.100.3", "pods": "198.51.100.128/26", "services": "203.0.113.128/25", "service": "203.0.113.129"},
]
PORTS = ("etcd", "peer", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok")


def free_port(width):
    """The first of some neighbouring ports below the range that the kernel hands out by itself."""
    while True:
        port = 10000 + int.from_bytes(os.urandom(2), "big") % 11000 * 2
        sockets = [socket.socket() for _ in range(width)]
        try:
            for i, s in enumerate(sockets):
                s.bind(("127.0.0.1", port + i))
            return port
        except OSError:
            continue
        finally:
            for s in sockets:
                s.close()


class Cluster:
    def __init__(self, world, name):
        self.world, self.name = world, name
        self.port = world.clusters[name]["port"]
        self.place = PLACES[world.clusters[name]["place"]]
        self.pki = Authority(self.path("pki"), name)
        self.kubeconfig = self.path("admin.kubeconfig")

    @classmethod
    def create(cls, world, name):
        """Its folder, certificates and kubeconfigs; the caller is in the testbed's network, as ports are chosen here."""
        world.clusters[name] = {"port": free_port(len(PORTS)), "place": len(world.clusters)}
        world.save()
        self = cls(world, name)
        os.mkdir(self.path())
        self.pki.create()
        here = ["IP:127.0.0.1", "DNS:localhost", "IP:" + BRIDGE]
        service = ["DNS:kubernetes", "DNS:kubernetes.default", "DNS:kubernetes.default.svc", "DNS:kubernetes.default.svc.cluster.local"]
        self.pki.leaf("etcd", "etcd", hosts=here)
        self.pki.leaf("etcd-client", "root")
        self.pki.leaf("apiserver", "kube-apiserver", hosts=here + service + ["IP:" + self.place["service"]])
        self.pki.leaf("kubelet-client", "kube-apiserver-kubelet-client", ["system:masters"])
        for leaf, user, groups in (("admin", "admin", ["system:masters"]), ("wherry", "wherry", []),
                                   ("kube-controller-manager", "system:kube-controller-manager", []),
                                   ("kube-scheduler", "system:kube-scheduler", []), ("kwok", "kwok", ["system:masters"]),
                                   ("names", "names", ["system:masters"])):
            self.pki.leaf(leaf, user, groups)
            self.pki.kubeconfig(self.path(leaf + ".kubeconfig"), self.url(), leaf)
        return self

    def path(self, *names):
        return self.world.path(self.name, *names)

    def at(self, program, host="127.0.0.1"):
        return "%s:%d" % (host, self.port + PORTS.index(program))

    def url(self):
        return "https://" + self.at("kube-apiserver")

    def serving(self):
        return ["--tls-cert-file=" + self.pki.path("apiserver.crt"), "--tls-private-key-file=" + self.pki.path("apiserver.key")]

    def argv(self, program):
        pki, data = self.pki.path, self.path("etcd")
        bridge = [BRIDGE] if self.world.isolated else []
        both = ",".join("https://" + self.at("etcd", host) for host in ["127.0.0.1"] + bridge)
        kubeconfig = self.path(program + ".kubeconfig")
        options = {
            "etcd": [
                "--name=" + self.name, "--data-dir=" + data, "--listen-client-urls=" + both, "--advertise-client-urls=" + both,
                "--listen-peer-urls=https://" + self.at("peer"), "--initial-advertise-peer-urls=https://" + self.at("peer"),
                "--initial-cluster=%s=https://%s" % (self.name, self.at("peer")), "--unsafe-no-fsync", "--log-level=warn",
                "--client-cert-auth", "--trusted-ca-file=" + pki("ca.crt"), "--cert-file=" + pki("etcd.crt"), "--key-file=" + pki("etcd.key"),
                "--peer-client-cert-auth", "--peer-trusted-ca-file=" + pki("ca.crt"), "--peer-cert-file=" + pki("etcd.crt"),
                "--peer-key-file=" + pki("etcd.key"),
            ],
            "kube-apiserver": [
                "--etcd-servers=https://" + self.at("etcd"), "--etcd-cafile=" + pki("ca.crt"), "--etcd-certfile=" + pki("etcd-client.crt"),
                "--etcd-keyfile=" + pki("etcd-client.key"), "--secure-port=" + self.at("kube-apiserver").split(":")[1],
                "--client-ca-file=" + pki("ca.crt"), "--authorization-mode=Node,RBAC", "--allow-privileged=true",
                "--service-account-issuer=https://kubernetes.default.svc", "--service-account-key-file=" + pki("sa.pub"),
                "--service-account-signing-key-file=" + pki("sa.key"), "--service-cluster-ip-range=" + self.place["services"],
                "--kubelet-client-certificate=" + pki("kubelet-client.crt"), "--kubelet-client-key=" + pki("kubelet-client.key"),
                "--kubelet-certificate-authority=" + pki("ca.crt"), "--kubelet-preferred-address-types=InternalIP",
                "--audit-policy-file=" + os.path.join(os.path.dirname(__file__), "audit.yaml"), "--audit-log-path=" + self.path("audit.log"),
                "--audit-log-maxsize=100000", "--profiling=false",
            ] + self.serving() + (
                # a loopback address cannot be published as the endpoint of the service kubernetes
                ["--bind-address=0.0.0.0", "--advertise-address=" + BRIDGE] if bridge else
                ["--bind-address=127.0.0.1", "--advertise-address=127.0.0.1", "--endpoint-reconciler-type=none"]),
            "kube-controller-manager": [
                "--service-account-private-key-file=" + pki("sa.key"), "--root-ca-file=" + pki("ca.crt"),
                "--use-service-account-credentials=true", "--controllers=*,bootstrapsigner,tokencleaner",
            ],
            "kube-scheduler": [],
        }[program]
        if program in ("kube-controller-manager", "kube-scheduler"):
            options += ["--kubeconfig=" + kubeconfig, "--authentication-kubeconfig=" + kubeconfig, "--authorization-kubeconfig=" + kubeconfig,
                        "--bind-address=127.0.0.1", "--secure-port=" + self.at(program).split(":")[1], "--leader-elect=false",
                        # their usual pace, 20 to 50 requests a second, is for servers that are shared
                        "--kube-api-qps=1000", "--kube-api-burst=1000"]
            options += self.serving()
        return self.world.servant() + [self.world.program(program)] + options

    def start(self, program):
        self.world.start(self.name, program, self.argv(program))

    def kill(self, program, number=signal.SIGKILL):
        """The caller may start it again."""
        self.world.kill(self.name, program, number)

    def restart(self, program):
        self.kill(program)
        self.start(program)
        self.wait(program)

    def wait(self, program):
        """Until it answers that it is ready."""
        path = "/readyz" if program == "kube-apiserver" else "/healthz"

        def ready():
            if not self.world.runs(self.name, program):
                raise RuntimeError("%s of cluster %s ended:\n%s" % (program, self.name, self.world.log(self.name, program)))
            try:
                return self.ask(self.at(program), "GET", path)[0] == 200
            except (OSError, http.client.HTTPException):
                return False
        until(ready, "%s of cluster %s is ready: %s" % (program, self.name, self.path(program + ".log")))

    def ask(self, at, method, path, body=None, user="admin"):
        """One request; status and the bytes of the answer."""
        context = ssl.create_default_context(cafile=self.pki.path("ca.crt"))
        context.load_cert_chain(self.pki.path(user + ".crt"), self.pki.path(user + ".key"))
        host, port = at.split(":")
        connection = http.client.HTTPSConnection(host, int(port), context=context, timeout=30)
        try:
            connection.request(method, path, body and json.dumps(body), {"Content-Type": "application/json"})
            reply = connection.getresponse()
            return reply.status, reply.read()
        finally:
            connection.close()

    def api(self, method, path, body=None):
        """A request to the API server that has to work; the object that it answers."""
        status, data = self.ask(self.at("kube-apiserver"), method, path, body)
        if status >= 300:
            raise RuntimeError("%s %s: %d %s" % (method, path, status, data[:500]))
        return json.loads(data)

    def let_wherry_in(self):
        """A user of its own, so that the audit log tells its requests from the tests'; it may do everything."""
        self.api("POST", "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", {
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": "wherry"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
            "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "wherry"}]})


def up(world, names):
    """All clusters together, as each waits for most of its time."""
    clusters = [Cluster.create(world, name) for name in names]
    for program in ("etcd", "kube-apiserver"):
        for cluster in clusters:
            cluster.start(program)
    for cluster in clusters:
        cluster.wait("kube-apiserver")
        cluster.let_wherry_in()
    for program in ("kube-controller-manager", "kube-scheduler"):
        for cluster in clusters:
            cluster.start(program)
    if world.nodes:
        node.up(clusters, BRIDGE)
    for cluster in clusters:
        cluster.wait("kube-controller-manager")
        cluster.wait("kube-scheduler")
    with open(world.path("ready"), "w"):
        return clusters
