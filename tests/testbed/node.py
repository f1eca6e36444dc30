# SPDX-License-Identifier: Apache-2.0
"""A cluster's real node: Debian's containerd and runc, the built kubelet and kube-proxy, in a network of the node's own that
hangs on the testbed's bridge, a DNS server; and the images that pods run.
"""
import hashlib
import io
import json
import os
import platform
import subprocess
import tarfile

from world import HERE, controllers, run, until

IMAGE = "wherry.test/busybox:1"
PAUSE = "wherry.test/pause:1"
NETWORK = """
ip netns add {name}
ip link add node-{name} type veth peer name eth0 netns {name}
ip link set node-{name} master wherry0 up
ip route add {pods} via {address} onlink dev wherry0
ip route add {services} via {address} onlink dev wherry0
nsenter --net=/run/netns/{name} sh -euc '
	ip link set lo up
	ip address add {address}/26 dev eth0
	ip link set eth0 up
	ip route add default via {bridge}
	echo 1 >/proc/sys/net/ipv4/ip_forward
'
"""
CNI = """{{"cniVersion": "1.0.0", "name": "pods", "plugins": [
	{{"type": "bridge", "bridge": "pods0", "isDefaultGateway": true, "ipMasq": false, "hairpinMode": true,
		"ipam": {{"type": "host-local", "ranges": [[{{"subnet": "{pods}"}}]], "dataDir": "{folder}/addresses"}}}},
	{{"type": "portmap", "capabilities": {{"portMappings": true}}}}
]}}
"""
# restrict_oom_score_adj: without CAP_SYS_RESOURCE runc could not lower it. The native snapshotter copies the few files of
# our image, and works on every file system.
CONTAINERD = """version = 2
root = "{folder}/containerd"
state = "/run/{name}"
disabled_plugins = ["io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs",
	"io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs"]
[grpc]
  address = "/run/{name}.sock"
[plugins."io.containerd.internal.v1.opt"]
  path = "{folder}/opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{pause}"
  stream_server_address = "127.0.0.1"
  stream_server_port = "0"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "native"
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{folder}/cni"
"""
KUBELET = """apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: {address}
readOnlyPort: 0
authentication: {{anonymous: {{enabled: false}}, webhook: {{enabled: true}}, x509: {{clientCAFile: {ca}}}}}
authorization: {{mode: Webhook}}
tlsCertFile: {crt}
tlsPrivateKeyFile: {key}
containerRuntimeEndpoint: unix:///run/{name}.sock
cgroupDriver: cgroupfs
cgroupRoot: /{cgroup}
cgroupsPerQOS: true
enforceNodeAllocatable: []
failSwapOn: false
failCgroupV1: false
makeIPTablesUtilChains: false
evictionHard: {{memory.available: 1Mi, nodefs.available: 0%, nodefs.inodesFree: 0%, imagefs.available: 0%, imagefs.inodesFree: 0%}}
imageGCHighThresholdPercent: 100
imageGCLowThresholdPercent: 99
maxPods: 55
resolvConf: ""
clusterDNS: [{address}]
clusterDomain: cluster.local
podLogsDir: {folder}/logs
volumePluginDir: {folder}/plugins
"""
# Nothing of the machine's connection tracking is changed: all of it may be shared with others.
PROXY = """apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: iptables
hostnameOverride: {node}
clientConnection: {{kubeconfig: {kubeconfig}}}
conntrack: {{maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}}
detectLocalMode: BridgeInterface
detectLocal: {{bridgeInterface: pods0}}
iptables: {{minSyncPeriod: 0s}}
"""


def image(to):
    """A docker archive with both images: Debian's static busybox, with a link for each of its programs."""
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as tar:
        def add(name, kind=tarfile.DIRTYPE, mode=0o755, data=b"", link=""):
            info = tarfile.TarInfo(name)
            info.type, info.mode, info.size, info.linkname = kind, mode, len(data), link
            tar.addfile(info, io.BytesIO(data))
        for folder in ("bin", "etc", "proc", "sys", "dev", "data"):
            add(folder)
        add("tmp", mode=0o1777)
        add("etc/passwd", tarfile.REGTYPE, 0o644, b"root:x:0:0:root:/:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n")
        with open("/bin/busybox", "rb") as f:
            add("bin/busybox", tarfile.REGTYPE, data=f.read())
        for program in run(["/bin/busybox", "--list"]).split():
            if program != "busybox":
                add("bin/" + program, tarfile.SYMTYPE, link="busybox")
    digest = hashlib.sha256(layer.getvalue()).hexdigest()
    files, manifest = {digest + ".tar": layer.getvalue()}, []
    for name, command in ((IMAGE, ["sh"]), (PAUSE, ["sleep", "2147483647"])):
        config = json.dumps({
            "architecture": {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine()), "os": "linux",
            "config": {"Cmd": command, "Env": ["PATH=/bin"]}, "rootfs": {"type": "layers", "diff_ids": ["sha256:" + digest]}}).encode()
        files[hashlib.sha256(config).hexdigest() + ".json"] = config
        manifest.append({"Config": hashlib.sha256(config).hexdigest() + ".json", "RepoTags": [name], "Layers": [digest + ".tar"]})
    files["manifest.json"] = json.dumps(manifest).encode()
    with tarfile.open(to, "w") as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))


class Node:
    def __init__(self, cluster, bridge):
        self.cluster, self.world = cluster, cluster.world
        self.place = cluster.name + "/node"
        self.folder = cluster.path("node")
        self.values = {"name": cluster.name, "node": self.name(), "bridge": bridge, "folder": self.folder, "address": cluster.place["node"],
                       "pods": cluster.place["pods"], "services": cluster.place["services"], "pause": PAUSE,
                       "cgroup": self.world.cgroup(cluster.name), "ca": cluster.pki.path("ca.crt"), "crt": cluster.pki.path("node.crt"),
                       "key": cluster.pki.path("node.key"), "kubeconfig": self.path("kube-proxy.kubeconfig")}

    def name(self):
        return self.cluster.name + "-node"

    def path(self, *names):
        return os.path.join(self.folder, *names)

    def write(self, name, template):
        with open(self.path(name), "w") as f:
            f.write(template.format(**self.values))
        return self.path(name)

    def create(self):
        os.makedirs(self.path("cni"))
        run(self.world.inside() + ["sh", "-euc", NETWORK.format(**self.values)])
        self.make_cgroup()
        server, pki = "https://" + self.cluster.at("kube-apiserver", self.values["bridge"]), self.cluster.pki
        pki.leaf("node", "system:node:" + self.name(), ["system:nodes"], ["IP:" + self.values["address"]])
        pki.leaf("kube-proxy", "system:kube-proxy")
        pki.kubeconfig(self.path("kubelet.kubeconfig"), server, "node")
        pki.kubeconfig(self.path("kube-proxy.kubeconfig"), server, "kube-proxy")
        self.write("cni/pods.conflist", CNI)
        self.write("containerd.toml", CONTAINERD)
        self.write("kubelet.yaml", KUBELET)
        self.write("kube-proxy.yaml", PROXY)

    def make_cgroup(self):
        """The node's pods have a group of their own, so that two kubelets do not remove each other's."""
        for controller in controllers():
            top = os.path.join(controller, self.values["cgroup"])
            os.mkdir(top)
            for name in ("cpuset.cpus", "cpuset.mems"):
                if os.path.basename(controller) == "cpuset":
                    with open(os.path.join(controller, name)) as above, open(os.path.join(top, name), "w") as f:
                        f.write(above.read())

    def start_runtime(self):
        self.world.start(self.place, "containerd", ["containerd", "--config", self.path("containerd.toml")], self.cluster.name)

    def load_images(self, archive):
        self.ctr = self.world.inside() + ["ctr", "--address", "/run/%s.sock" % self.cluster.name, "--namespace", "k8s.io"]
        until(lambda: subprocess.run(self.ctr + ["version"], capture_output=True).returncode == 0,
              "containerd answers: " + self.path("containerd.log"))
        run(self.ctr + ["images", "import", "--snapshotter", "native", archive])

    def start(self):
        self.world.start(self.place, "kubelet", [
            self.world.program("kubelet"), "--config=" + self.path("kubelet.yaml"), "--kubeconfig=" + self.path("kubelet.kubeconfig"),
            "--root-dir=" + self.path("kubelet"), "--cert-dir=" + self.path("kubelet-pki"), "--hostname-override=" + self.name(),
            "--node-ip=" + self.values["address"], "--node-labels=wherry.test/node=real"], self.cluster.name)
        self.world.start(self.place, "kube-proxy", [self.world.program("kube-proxy"), "--config=" + self.path("kube-proxy.yaml")],
                         self.cluster.name)
        self.world.start(self.place, "names", [os.path.join(HERE, "names.py"), self.world.folder, self.cluster.name], self.cluster.name)

    def ready(self):
        status, data = self.cluster.ask(self.cluster.at("kube-apiserver"), "GET", "/api/v1/nodes/" + self.name())
        if not self.world.runs(self.place, "kubelet"):
            raise RuntimeError("kubelet of cluster %s ended:\n%s" % (self.cluster.name, self.world.log(self.place, "kubelet")))
        conditions = json.loads(data).get("status", {}).get("conditions", ()) if status == 200 else ()
        return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def up(clusters, bridge):
    nodes = [Node(cluster, bridge) for cluster in clusters]
    archive = clusters[0].world.path("images.tar")
    image(archive)
    for node in nodes:
        node.create()
        node.start_runtime()
    for node in nodes:
        node.load_images(archive)
        node.start()
    for node in nodes:
        until(node.ready, "node %s is ready: %s" % (node.name(), node.path("kubelet.log")))
