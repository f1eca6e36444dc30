# SPDX-License-Identifier: Apache-2.0
"""Where a testbed's processes live: one folder, and namespaces of its own (network, mounts, processes) where the machine
allows that; else the machine's own loopback, and no node. Everything is ended by process ids, or with the namespaces.
"""
import ctypes
import glob
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
CGROUPS = "/sys/fs/cgroup"
CLONE_NEWNET = 0x40000000
LIMIT = 120  # seconds that anything may take on a slow machine
FOLDER = os.path.join(os.environ.get("TMPDIR", "/tmp"), "wherry-testbed-%d" % os.getuid())
ENV = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": os.environ.get("HOME", "/"), "LC_ALL": "C"}


class Unavailable(Exception):
    """What this machine cannot give; its text is the reason that a skipped test prints."""


def run(argv, **more):
    """A command that has to work; its output."""
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, env=ENV, **more)
    if done.returncode != 0:
        raise RuntimeError("%s: exit code %d: %s" % (" ".join(argv), done.returncode, (done.stderr or done.stdout).strip()[-2000:]))
    return done.stdout


def until(condition, what):
    """What the condition returns as soon as it holds."""
    end = time.monotonic() + LIMIT
    while True:
        got = condition()
        if got:
            return got
        if time.monotonic() > end:
            raise RuntimeError("it takes too long until " + what)
        time.sleep(0.02)


def controllers():
    """Folders below which a node has its cgroups: one of version 2, or one a controller of version 1."""
    if os.path.exists(CGROUPS + "/cgroup.controllers"):
        return [CGROUPS]
    return [path for path in glob.glob(CGROUPS + "/*") if os.path.isdir(path) and not os.path.exists(path + "/cgroup.controllers")]


def lacking_controllers():
    """What a group below the first has not got of what kubelet insists on."""
    wanted = {"cpu", "cpuset", "memory", "pids"}
    if not all(os.access(path, os.W_OK) for path in controllers()):
        return wanted
    if controllers() != [CGROUPS]:
        return wanted - {os.path.basename(path) for path in controllers()}
    with open(CGROUPS + "/cgroup.subtree_control") as f:
        return wanted - set(f.read().split())


def why_no_node():
    """Why this machine cannot run a node with pods, or None."""
    if os.geteuid() != 0:
        return "a real node needs root"
    for program in ("containerd", "ctr", "runc", "busybox", "iptables", "conntrack", "ip", "nsenter", "unshare"):
        if shutil.which(program, path=ENV["PATH"]) is None:
            return "a real node needs the program %s (tests/lib/setup.sh)" % program
    if not os.path.exists("/usr/lib/cni/bridge"):
        return "a real node needs Debian's containernetworking-plugins (tests/lib/setup.sh)"
    lacking = lacking_controllers()
    if lacking:
        return "a real node needs control groups that it may write to, with the controllers " + ", ".join(sorted(lacking))
    # runc moves the root of its mounts, which is not ours in a chroot: what is executed in a pod would be outside of it
    roots = [subprocess.run(enter + ["stat", "-c", "%d:%i", "/"], env=ENV, capture_output=True, text=True).stdout
             for enter in ([], ["nsenter", "--mount=/proc/self/ns/mnt"])]
    if roots[0] != roots[1]:
        return "a real node needs a root folder of its own, not a chroot"
    attempt = ("mount -t tmpfs tmpfs /run && ip link add bridge0 type bridge && ip link add veth0 type veth peer name veth1 && "
               "ip link set veth0 master bridge0 && iptables -t nat -L -n")
    done = subprocess.run(["unshare", "--net", "--mount", "--pid", "--fork", "sh", "-c", attempt], env=ENV, capture_output=True, text=True)
    if done.returncode != 0:
        return "a real node needs namespaces, a bridge and iptables: " + (done.stderr.strip().splitlines() or ["no reason given"])[-1]
    return None


class World:
    """The place of one testbed. Its state is in its folder, so that `up`, the tests and `down` are different processes."""

    def __init__(self, folder):
        self.folder = os.path.abspath(folder)
        self.joined = False

    def path(self, *names):
        return os.path.join(self.folder, *names)

    def load(self):
        with open(self.path("world.json")) as f:
            self.__dict__.update(json.load(f))
        return self

    def create(self, programs, isolated, nodes, hold):
        """isolated: in namespaces, the only place where clusters can have nodes; hold: they end when our standard input does."""
        os.makedirs(self.folder, 0o700)
        self.programs, self.isolated, self.nodes, self.id = programs, isolated, nodes, secrets.token_hex(4)
        self.clusters = {}
        self.save()
        if isolated:
            log = open(self.path("init.log"), "ab")
            subprocess.Popen(["setsid", "unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", os.path.join(HERE, "init.sh"),
                              self.folder] + (["hold"] if hold else []), stdin=None if hold else subprocess.DEVNULL, stdout=log, stderr=log, env=ENV)
            until(self.init, "the testbed has its namespaces: " + self.path("init.log"))
        return self

    def save(self):
        state = {name: getattr(self, name) for name in ("programs", "isolated", "nodes", "id", "clusters")}
        with open(self.path("world.json.new"), "w") as f:
            json.dump(state, f)
        os.rename(self.path("world.json.new"), self.path("world.json"))

    def init(self):
        """The process id of the namespaces' first process as long as it lives, or None."""
        try:
            with open(self.path("init.pid")) as f:
                pid = int(f.read())
            with open("/proc/%d/cmdline" % pid, "rb") as f:
                return pid if self.folder.encode() in f.read().split(b"\0") else None
        except OSError:
            return None

    def prefix(self):
        """Put before a command, that runs in the testbed's network."""
        if not self.isolated or self.joined:
            return []
        return ["nsenter", "--target", str(self.init()), "--net"]

    def join(self):
        """This process and all that it starts from now on are in the testbed's network. Before any thread is started."""
        if self.isolated and not self.joined:
            fd = os.open("/proc/%d/ns/net" % self.init(), os.O_RDONLY | os.O_CLOEXEC)
            libc = ctypes.CDLL(None, use_errno=True)
            if libc.setns(fd, CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), "cannot join the network of the testbed")
            os.close(fd)
            self.joined = True
        return self

    def inside(self, net=None):
        """Put before a command, that runs as one of the testbed's own processes; net is a node's network."""
        if not self.isolated:
            return []
        return ["nsenter", "--target", str(self.init()), "--net", "--mount", "--pid"] + (["nsenter", "--net=/run/netns/" + net] if net else [])

    def program(self, name):
        return os.path.join(self.programs, name)

    def servant(self):
        """Put before a program that needs no root: a user of this testbed alone, who gets at files as root does. What the kernel
        grants to each user (inotify instances) is not shared with the other testbeds then."""
        if os.geteuid() != 0:
            return []
        uid = str(2**30 + int(self.id, 16) % 2**30)
        return ["setpriv", "--reuid", uid, "--regid", uid, "--clear-groups", "--inh-caps", "+dac_override", "--ambient-caps", "+dac_override"]

    def start(self, place, name, argv, net=None):
        """A program that goes on; place/NAME.pid and place/NAME.log are its own."""
        base = self.path(place, name)
        if os.path.exists(base + ".pid"):
            os.unlink(base + ".pid")
        script = 'echo $$ >"$0.pid.new"; mv "$0.pid.new" "$0.pid"; exec "$@" >>"$0.log" 2>&1 </dev/null'
        subprocess.run(self.inside(net) + ["setsid", "--fork", "sh", "-c", script, base] + argv, env=ENV, check=True, cwd=self.path(place))
        until(lambda: os.path.exists(base + ".pid"), name + " is started")

    def send(self, place, name, number):
        """False when it does not run any more. Its command line names our folder: another one has taken the process id else."""
        try:
            with open(self.path(place, name + ".pid")) as f:
                pid = f.read().strip()
        except OSError:
            return False
        script = ('for i in 1 2 3; do grep -qaF "$0" /proc/$1/cmdline && { kill -$2 $1; exit; }; [ -e /proc/$1 ] || exit 1; '
                  'grep -q . /proc/$1/cmdline && exit 1; sleep 0.1; done; exit 1')  # it is empty for a moment in an exec
        return subprocess.run(self.inside() + ["sh", "-c", script, self.folder, pid, str(int(number))], capture_output=True, env=ENV).returncode == 0

    def runs(self, place, name):
        return self.send(place, name, 0)

    def kill(self, place, name, number=signal.SIGKILL):
        """Returns when it is gone."""
        if self.send(place, name, number):
            until(lambda: self.gone(place, name), name + " is gone")

    def gone(self, place, name):
        """It holds no memory, port or file any more: its threads are gone, though nobody may have asked for its end yet."""
        with open(self.path(place, name + ".pid")) as f:
            pid = f.read().strip()
        script = "[ -e /proc/$0 ] || exit 0; grep -q 'State:.Z' /proc/$0/status || exit 1; set -- /proc/$0/task/*; [ $# = 1 ]"
        return subprocess.run(self.inside() + ["sh", "-c", script, pid], env=ENV, stderr=subprocess.DEVNULL).returncode == 0

    def log(self, place, name):
        with open(self.path(place, name + ".log"), errors="replace") as f:
            return f.read()[-3000:]

    def down(self):
        """Ends what is there, however far it came, and removes the folder."""
        if not os.path.exists(self.folder):
            return
        if not os.path.exists(self.path("world.json")):
            os.rmdir(self.folder)  # only just begun, so it is empty; else it is none of ours
            return
        self.load()
        init = self.init()
        if init:
            os.kill(init, signal.SIGKILL)
            until(lambda: not os.path.exists("/proc/%d" % init), "the namespaces are gone")
        if not self.isolated:
            for pidfile in glob.glob(self.path("*", "*.pid")):
                self.kill(os.path.relpath(os.path.dirname(pidfile), self.folder), os.path.basename(pidfile)[:-len(".pid")])
        for name in self.clusters:
            # whatever the controllers are: runc makes groups in version 2's tree as well where both are mounted
            for top in glob.glob(os.path.join(CGROUPS, self.cgroup(name))) + glob.glob(os.path.join(CGROUPS, "*", self.cgroup(name))):
                until(lambda: remove_cgroup(top), "no process is left in " + top)
        until(lambda: remove_folder(self.folder), "nothing writes to %s any more" % self.folder)

    def cgroup(self, cluster):
        return "wherry-%s-%s" % (self.id, cluster)


def remove_cgroup(top):
    """True when it is gone."""
    for path, _, _ in os.walk(top, topdown=False):
        try:
            os.rmdir(path)
        except OSError:
            return False
    return True


def remove_folder(folder):
    shutil.rmtree(folder, ignore_errors=True)
    return not os.path.exists(folder)


def built():
    """The folder of the programs."""
    done = subprocess.run([os.path.join(HERE, "build"), "have"], capture_output=True, text=True)
    if done.returncode != 0:
        raise Unavailable(done.stderr.strip())
    return done.stdout.strip()


def fail(text):
    print("tests/testbed/%s: %s" % (os.path.basename(sys.argv[0]), text), file=sys.stderr)
    sys.exit(1)
