#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Bad weather around a copy from one etcd to another: the network is cut or stands still, certificates end, processes and servers
are stopped for longer than every time-out, and somebody does the same from another machine. A run waits and says so, or pauses
in words with the command that goes on; and no key is ever written twice."""
import os
import random
import shutil
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from faultproxy import FaultProxy
from wtest import LIMIT, SOURCE, Etcd, Wherry, equal, expect, free_port, main, scratch, wait_for

KEYS = 3000
PLAN = """wherry: v1
name: weather
params:
  a: {type: string, required: true}
  b: {type: string, required: true}
  timeout: {type: string, default: 10m}
targets:
  a: {kind: etcd, endpoints: ["${{ params.a }}"]%(tls)s}
  b: {kind: etcd, endpoints: ["${{ params.b }}"]%(tls)s}
steps:
  - {id: copy, uses: etcd.copy, timeout: %(timeout)s, with: {from: a, to: b, prefix: /src/, destination_prefix: /dst/, rate_keys: %(rate)s}}
  - {id: sync, uses: etcd.sync, timeout: %(timeout)s, with: {from: a, to: b, prefix: /src/, destination_prefix: /dst/, from_revision: "${{ steps.copy.outputs.revision }}"}}
  - {id: verify, uses: etcd.verify, timeout: %(timeout)s, with: {from: a, to: b, prefix: /src/, destination_prefix: /dst/, at: "${{ steps.sync.outputs.revision }}"}}
"""


class TlsEtcd(Etcd):
    """Speaks TLS at a second port, and wants to see a certificate there."""

    def spawn(self):
        self.tls_port, folder = free_port(1), os.path.dirname(self.folder)
        self.options = ["--listen-client-urls", "%s,https://127.0.0.1:%d" % (self.url, self.tls_port), "--cert-file", folder + "/server.crt",
                        "--key-file", folder + "/server.key", "--trusted-ca-file", folder + "/ca.crt", "--client-cert-auth"]
        super().spawn()


class World:
    """Two servers, each behind a proxy, and a copy between them that takes a few seconds."""

    def __init__(self, folder, tls=False):
        self.folder, self.keys, self.scheme = folder, KEYS, "https" if tls else "http"
        self.a, self.b = ((TlsEtcd if tls else Etcd)(folder, name) for name in "ab")
        self.to_a, self.to_b = (FaultProxy(x.tls_port if tls else x.port) for x in (self.a, self.b))
        self.w, self.err = Wherry(os.path.join(folder, "state")), os.path.join(folder, "err")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for x in (self.to_a, self.to_b, self.a, self.b):
            x.stop()

    def fill(self):
        rng = random.Random(1)
        self.a.put_many(("/src/%05d" % i, rng.randbytes(100)) for i in range(self.keys))
        self.before = self.b.revision()

    def plan(self, timeout="10m", rate=1500, tls="", existing="refuse"):
        path = os.path.join(self.folder, "plan-%s.yaml" % existing)
        with open(path, "w") as f:
            f.write((PLAN % {"timeout": timeout, "rate": rate, "tls": tls}).replace("from: a", "on_existing: %s, from: a" % existing))
        return path

    def words(self):
        return ["-p", "a=%s://127.0.0.1:%d" % (self.scheme, self.to_a.port), "-p", "b=%s://127.0.0.1:%d" % (self.scheme, self.to_b.port)]

    def start(self, *command, w=None, **how):
        """The run, or its resume; its messages are in self.told()."""
        words = command or ["run", self.plan(**how), "--run-id", "one", "--yes", *self.words()]
        return (w or self.w).start(*words, "--format", "plain", stdout=subprocess.DEVNULL, stderr=open(self.err, "w"))

    def told(self):
        with open(self.err) as f:
            return f.read()

    def arrived(self, share, p):
        """Until so many tenths of the keys are there."""
        wait_for(lambda: len(self.b.values("/dst/")) >= self.keys * share // 10, "%d tenths arrived" % share, p)

    def waits(self, p):
        said = len(self.told())
        wait_for(lambda: "waiting" in self.told()[said:], "it says that it waits", p)

    def ends(self, p, code):
        equal(p.wait(LIMIT), code, "exit code: " + self.told()[-3000:])

    def once(self):
        """Everything has arrived, and each key was written once."""
        got = self.b.range("/dst/")
        equal({k[5:]: kv["value"] for k, kv in got.items()}, self.a.values("/src/"), "the copy")
        equal({kv["version"] for kv in got.values()}, {1}, "how often keys were written")
        equal(len(self.b.events(self.before, self.b.revision(), "/dst/")), self.keys, "writes that a watch saw")


def with_world(test):
    def run():
        with scratch() as folder, World(folder) as world:
            world.fill()
            return test(world)
    run.__name__, run.__doc__ = test.__name__, test.__doc__
    return run


@with_world
def away(world):
    """Each side is cut off, and stands still, for a while: the run says that it waits, and goes on by itself."""
    p = world.start(rate=700)
    for share, proxy, weather in ((1, world.to_b, "cut"), (3, world.to_b, "stall"), (5, world.to_a, "cut"), (7, world.to_a, "stall")):
        world.arrived(share, p)
        getattr(proxy, weather)()
        world.waits(p)
        proxy.heal()
    world.ends(p, 0)
    world.once()


@with_world
def rough(world):
    """Slow pieces, and connections that break off at any byte, often: nothing is lost and nothing comes twice."""
    rng = random.Random(5)
    p = world.start(rate=1000)
    end = time.monotonic() + 8
    while p.poll() is None and time.monotonic() < end:
        world.to_a.delay = world.to_b.delay = 0.002
        rng.choice((world.to_a, world.to_b)).drop_after(rng.randrange(1, 3000))
        time.sleep(0.05)
    world.to_a.delay = world.to_b.delay = 0
    world.ends(p, 0)
    world.once()


@with_world
def for_long(world):
    """Cut off for longer than the step may take: it pauses with 7, names what is away, and the command that goes on goes on."""
    for weather in ("cut", "stall"):
        done = world.w("status", "one")
        p = world.start("resume", "one") if done.code == 0 else world.start(timeout="12s", rate=1000)
        world.arrived(1 if done.code else 5, p)
        getattr(world.to_b, weather)()
        world.ends(p, 7)
        expect("127.0.0.1:%d" % world.to_b.port in world.told() and "next: wherry resume one" in world.told(), world.told())
        world.to_b.heal()
    world.w.ok("resume", "one")
    world.once()


@with_world
def stopped(world):
    """The process is stopped (a laptop that sleeps) for longer than its step may take, and then goes on: it ends in words, or is
    done; what it was doing is not done twice."""
    p = world.start(timeout="4s", rate=1000)
    world.arrived(3, p)
    p.send_signal(signal.SIGSTOP)
    time.sleep(5)
    p.send_signal(signal.SIGCONT)
    p.wait(LIMIT)
    expect(p.returncode == 0 or (p.returncode in (1, 7) and "next: wherry resume one" in world.told()), "%s: %s" % (p.returncode, world.told()))
    if p.returncode != 0:
        world.w.ok("resume", "one")
    world.once()


@with_world
def server_stopped(world):
    """A server that is stopped for longer than the step may take: paused with 7. What it had taken in then arrives, too, but once."""
    for server, share in ((world.b, 2), (world.a, 5)):
        p = world.start("resume", "one") if share > 2 else world.start(timeout="8s", rate=600)
        world.arrived(share, p)
        server.pause()
        world.ends(p, 7)
        server.go_on()
        expect("next: wherry resume one" in world.told(), world.told())
    world.w.ok("resume", "one")
    world.once()


def certs(folder, *words):
    subprocess.run([os.path.join(SOURCE, "tests/lib/certs.sh"), folder, *words], check=True)


def certificate():
    """The client's certificate ends in mid-run: the next connection is refused, and the run says so. A new one at the same place
    is read by itself; where none comes, it pauses with 7, and a resume goes on with the new one."""
    for replaced in (True, False):
        with scratch() as folder:
            certs(folder)
            certs(folder, "mover", "mover", "7")
            end = time.time() + 7
            with World(folder, tls=True) as world:
                world.fill()
                p = world.start(rate=250, tls=", ca: {0}/ca.crt, cert: {0}/mover.crt, key: {0}/mover.key".format(folder))
                world.arrived(1, p)
                time.sleep(max(0, end + 1 - time.time()))
                for proxy in (world.to_a, world.to_b):
                    proxy.break_off()
                world.waits(p)
                certs(folder, "new", "mover", "3600")
                if not replaced:
                    world.ends(p, 7)
                    expect("refuses client certificate '%s/mover.crt' (CN = mover" % folder in world.told() and "it has expired" in world.told(), world.told())
                    equal(world.w("resume", "one").code, 7, "exit code with the old one")
                for kind in (".key", ".crt"):
                    os.replace(os.path.join(folder, "new" + kind), os.path.join(folder, "mover" + kind))
                if not replaced:
                    p = world.start("resume", "one")
                world.ends(p, 0)
                world.once()


def elsewhere():
    """Words before a command that give it another host name, or None where that is not permitted."""
    words = ["unshare", "--uts", "sh", "-c", 'hostname faraway && exec "$@"', "sh"]
    return words if subprocess.run(words + ["true"], stderr=subprocess.DEVNULL).returncode == 0 else None


@with_world
def machines(world):
    """Another machine that does the same, under another name or the same, is refused by the claim: told who, since when and from
    where. One that goes on with this run takes it over, and the first one is told; either way nothing is written twice."""
    away = elsewhere()
    if away is None:
        return "no other host name here: unshare --uts is not permitted"
    p = world.start(rate=300, w=Wherry(os.path.join(world.folder, "there"), prefix=away))
    world.arrived(1, p)
    for name in ("two", "one"):
        done = world.w.ok("run", world.plan(existing="merge"), "--run-id", name, "--yes", *world.words(), code=4)
        expect("claimed by run 'one' (process 1 of " in done.err and "@faraway, since 20" in done.err, str(done))
        expect("next: what can be done with that run: wherry status one" in done.err, str(done))
    expect(p.poll() is None, world.told())
    shutil.rmtree(world.w.state)
    shutil.copytree(os.path.join(world.folder, "there"), world.w.state)
    done = world.w("resume", "one", "--yes", timeout=LIMIT)
    equal(done.code, 0, str(done))
    world.ends(p, 5)
    expect("fenced by run 'one' (process 2 of " in world.told(), world.told())
    world.once()


if __name__ == "__main__":
    main(away, rough, for_long, stopped, server_stopped, certificate, machines)
