#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a testbed leaves on the machine: nothing, however its life went."""
import contextlib
import glob
import os
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import testbed  # noqa: E402
from wtest import LIMIT, equal, expect, main, scratch, wait_for  # noqa: E402

ENTER = os.path.join(os.path.dirname(testbed.UP), "enter")
SYSCTLS = ("vm/overcommit_memory", "vm/panic_on_oom", "kernel/panic", "kernel/panic_on_oops", "kernel/keys/root_maxkeys",
           "kernel/keys/root_maxbytes", "net/ipv4/ip_forward", "net/netfilter/nf_conntrack_max")
PLACES = ("/var/lib/cni", "/var/lib/kubelet", "/var/lib/containerd", "/run/containerd", "/run/netns", "/var/log/pods",
          "/var/log/containers", "/opt/containerd", "/etc/cni/net.d", "/usr/libexec/kubernetes", "~/.kube/cache", "~/.kwok")


def read(path):
    with contextlib.suppress(OSError), open(path) as f:
        return f.read()
    return None


def machine():
    """Of the whole machine, what containers, kubelet and kube-proxy change."""
    rules = subprocess.run(["sh", "-c", "iptables-save; ip route; ip rule"], capture_output=True, text=True, env=testbed.world.ENV).stdout
    places = {place: sorted(glob.glob(os.path.expanduser(place) + "/*")) for place in PLACES if os.path.exists(os.path.expanduser(place))}
    return {"sysctls": {name: read("/proc/sys/" + name) for name in SYSCTLS}, "links": sorted(os.listdir("/sys/class/net")),
            "rules": [line for line in rules.splitlines() if not line.startswith(("#", ":"))], "places": places,
            "mounts": [line.split()[1] for line in read("/proc/mounts").splitlines()]}


def rests(folder, identity):
    """What names one testbed: processes, control groups, its folder."""
    found = [path for path in glob.glob("/sys/fs/cgroup/*") + glob.glob("/sys/fs/cgroup/*/*") if identity and identity in path]
    for path in glob.glob("/proc/[0-9]*/cmdline"):
        with contextlib.suppress(OSError), open(path, "rb") as f:
            if folder.encode() in f.read() and path != "/proc/%d/cmdline" % os.getpid():
                found.append(path)
    return found + ([folder] if os.path.exists(folder) else [])


def up(folder, *options, **more):
    return subprocess.Popen([testbed.UP, "--folder", folder, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **more)


def down(folder):
    done = subprocess.run([testbed.DOWN, "--folder", folder], capture_output=True, text=True, timeout=LIMIT)
    equal((done.returncode, done.stdout, done.stderr), (0, "", ""), "down")


def started(process):
    out, err = process.communicate(timeout=5 * LIMIT)
    expect(process.returncode == 0, "up: exit code %s: %s" % (process.returncode, err))
    return dict(line.split(" ", 1) for line in out.splitlines())


def with_folder(node):
    """A decorator: the test gets a folder for a testbed; what is left of it, or else on the machine, fails the test."""
    def decorate(test):
        def run():
            try:
                testbed.world.built()
            except testbed.world.Unavailable as e:
                return str(e)
            why = testbed.world.why_no_node() if node else None
            if why:
                return why
            before = machine()
            with scratch() as parent:
                folder = os.path.join(parent, "testbed")
                try:
                    identity = test(folder)
                finally:
                    down(folder)
                equal(rests(folder, identity), [], "what is left of the testbed")
            for what, value in machine().items():
                equal(value, before[what], "the machine's " + what)
            return None
        run.__name__ = test.__name__
        return run
    return decorate


@with_folder(node=True)
def test_with_pods(folder):
    """Two clusters with a running pod each, with a volume in memory, and a fake node."""
    for name, kubeconfig in started(up(folder, "--fake-nodes", "1", "a", "b")).items():
        kubectl = [ENTER, "--folder", folder, "kubectl", "--kubeconfig", kubeconfig]
        script = ("%(k)s wait --for=create serviceaccount/default --timeout=60s && "
                  "%(k)s run %(name)s --image=%(image)s --command -- sleep 1000 && %(k)s wait --for=condition=Ready --timeout=60s pod/%(name)s")
        done = subprocess.run(["sh", "-c", script % {"k": " ".join(kubectl), "name": name, "image": testbed.IMAGE}], capture_output=True,
                              text=True, timeout=LIMIT)
        expect(done.returncode == 0, "the pod of cluster %s: %s" % (name, done.stderr))
    return testbed.world.World(folder).load().id


@with_folder(node=True)
def test_killed(folder):
    """up is killed when the namespaces are there, when the API server starts, when the node starts: down removes all the same."""
    for sign in ("init.pid", "a/kube-apiserver.pid", "a/node/kubelet.pid"):
        process = up(folder, "a")
        wait_for(lambda: os.path.exists(os.path.join(folder, sign)), sign + " is there", process)
        process.kill()
        process.communicate()
        identity = testbed.world.World(folder).load().id
        down(folder)
        equal(rests(folder, identity), [], "what is left after a kill at " + sign)


@with_folder(node=True)
def test_interrupted(folder):
    """up is told to end: it removes what it began."""
    process = up(folder, "a")
    wait_for(lambda: os.path.exists(os.path.join(folder, "a/kube-apiserver.pid")), "the API server starts", process)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=LIMIT)
    expect(process.returncode != 0, "up says that it worked")
    equal(rests(folder, None), [], "what is left")


@with_folder(node=True)
def test_hold(folder):
    """With --hold all processes end when the one that holds the other end of its input is gone."""
    theirs, ours = os.pipe()
    started(up(folder, "--hold", "--control-plane", "a", stdin=theirs))
    os.close(theirs)
    place = testbed.world.World(folder).load()
    expect(place.init(), "the testbed does not live")
    time.sleep(0.2)
    expect(place.init(), "the testbed ended while it was held")
    os.close(ours)
    wait_for(lambda: rests(folder, None) == [folder], "its processes are gone")
    return place.id


@with_folder(node=False)
def test_loopback(folder):
    """Without namespaces: the control plane on the machine's loopback."""
    kubeconfig = started(up(folder, "--loopback", "a"))["a"]
    done = subprocess.run([ENTER, "--folder", folder, "kubectl", "--kubeconfig", kubeconfig, "get", "namespaces", "-o", "name"],
                          capture_output=True, text=True, timeout=LIMIT)
    expect("namespace/default" in done.stdout, "kubectl: " + done.stderr)
    return testbed.world.World(folder).load().id


main(test_with_pods, test_killed, test_interrupted, test_hold, test_loopback)
