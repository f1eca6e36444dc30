#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What users of etcd's own tools have met, on real servers: compaction and alarms in the middle of a copy, members that are
lost, tokens that expire, certificates as users, and keys and values of every kind. (Keys deleted while the copier was down:
e2e.etcd_move while_down; keys with leases: e2e.etcd_steps leases.)"""
import os
import random
import signal
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from test_etcd_move import CERTIFICATES, shell
from wtest import LIMIT, WHERRY, Cluster, Etcd, Peak, Wherry, Writer, b64, equal, expect, find_etcd, is_sanitized, main, scratch, wait_for


def words(source, destination, **more):
    pairs = {"source": source, "destination": destination, "prefix": "/src/", "destination_prefix": "/dst/", **more}
    return [x for k, v in pairs.items() for x in ("-p", "%s=%s" % (k, v))]


def fill(kv, keys, size=100, seed=1):
    rng = random.Random(seed)
    kv.put_many((("/src/%05d" % i, rng.randbytes(size)) for i in range(keys)), size=max(1, min(100, 1000000 // size)))


def compaction():
    """The source is compacted all the time, up to now, while it is copied and written to: everything arrives."""
    with scratch() as folder, Etcd(folder, "a") as a, Etcd(folder, "b") as b:
        fill(a, 6000)
        writer, end = Writer(a, "/src/", random.Random(3)), threading.Event()
        compacted = []

        def compact():
            while not end.wait(0.002):
                at = a.revision()
                if not compacted or at > compacted[-1]:
                    a.compact(at)
                    compacted.append(at)

        compacter = threading.Thread(target=compact)
        compacter.start()
        w = Wherry(os.path.join(folder, "state"))
        frozen = os.path.join(folder, "frozen")
        p = w.start("run", "etcd-to-etcd", "--run-id", "one", "--yes", "-q", *words(
            a.url, b.url, rate_keys=4000, freeze="command", freeze_command=": >%s.wanted; until [ -e %s ]; do sleep 0.01; done" % (frozen, frozen)))
        try:
            wait_for(lambda: os.path.exists(frozen + ".wanted"), "the freeze", p)
        finally:
            writer.stop()
            end.set()
            compacter.join()
        open(frozen, "w").close()
        equal(p.wait(timeout=LIMIT), 0, "exit code")
        expect(len(compacted) > 10, "compacted %d times" % len(compacted))
        equal(b.values("/dst/"), a.values("/src/"), "the copy")


def no_space():
    """The destination runs full in the middle: told what to do; nothing is lost, and a resume goes on once there is room."""
    for version in ("3.4", "3.5"):
        if not find_etcd(version):
            continue
        with scratch() as folder, Etcd(folder, "a") as a, Etcd(folder, "b", binary=find_etcd(version), options=[
                "--quota-backend-bytes", str(6 << 20)]) as b:
            fill(a, 3000, size=4000)
            w = Wherry(os.path.join(folder, "state"))
            out = w.ok("run", "etcd-to-etcd", "--run-id", "one", "--yes", *words(a.url, b.url, rate_bytes="10MiB"), code=1)
            expect("database space exceeded" in out.err and "alarm disarm" in out.err, "the alarm: %s" % out)
            some = len(b.values("/dst/"))
            expect(0 < some < 3000, "%d keys arrived before the alarm" % some)
            out = w.ok("resume", "one", "--yes", code=1)  # still full, and still told
            expect("alarm disarm" in out.err, "the alarm, again: %s" % out)
            b.stop()
            b.options[1] = str(64 << 20)
            expect(b.start(), "the destination does not come back")
            for alarm in b.call("maintenance/alarm", {"action": "GET"}).get("alarms", ()):
                b.call("maintenance/alarm", {"action": "DEACTIVATE", **alarm})
            w.ok("resume", "one", "--yes")
            equal(b.values("/dst/"), a.values("/src/"), "the copy")
            equal([k for k in b.range() if not k.startswith(b"/dst/")], [], "keys beside the copy")
            equal({kv["version"] for kv in b.range("/dst/").values()}, {1}, "how often keys were written")


def no_room():
    """Where the server tells its quota, the preflight refuses; an alarm that is there already is refused, too."""
    if not find_etcd("3.6"):
        return "etcd 3.6 is not here, see tests/lib/etcd_versions.sh"
    with scratch() as folder, Etcd(folder, "a") as a, Etcd(folder, "b", binary=find_etcd("3.6"), options=[
            "--quota-backend-bytes", str(6 << 20)]) as b:
        fill(a, 3000, size=4000)
        w = Wherry(os.path.join(folder, "state"))
        out = w.ok("run", "etcd-to-etcd", "--run-id", "one", "--yes", *words(a.url, b.url), code=1)
        expect("no room" in out.err and "quota-backend-bytes" in out.err, "the refusal: %s" % out)
        equal(b.range(), {}, "keys on the destination")
        b.call("maintenance/alarm", {"action": "ACTIVATE", "alarm": "NOSPACE"})
        out = w.ok("run", "etcd-to-etcd", "--run-id", "two", "--yes", *words(a.url, b.url), code=1)
        expect("the destination has the alarm NOSPACE" in out.err, "the refusal: %s" % out)


KEYS = 8000


def member_loss():
    """A cluster of three loses its leader, moves it, and has a member that hangs, while it is copied within: every key arrives
    once, from and to whichever member answers."""
    with scratch() as folder, Cluster(folder) as c:
        fill(c.members[0], KEYS)
        before = c.members[0].revision()
        w = Wherry(os.path.join(folder, "state"))
        p = w.start("run", "etcd-to-etcd", "--run-id", "one", "--yes", "-q", *words(c.urls(), c.urls(), rate_keys=1500))

        def arrived(share):
            wait_for(lambda: len(c.members[1].values("/dst/")) > KEYS * share // 10, "%d tenths" % share, p)

        arrived(1)
        leader = c.leader()
        other = next(m for m in c.members if m is not leader)
        shell(folder, "etcdctl --endpoints %s move-leader %x" % (leader.url, int(other.status()["header"]["member_id"])))
        arrived(2)
        c.members[0].stop()
        time.sleep(1)
        expect(c.members[0].start(), "the member does not come back")
        arrived(4)
        leader = c.leader()
        if leader is c.members[1]:  # it is the one that we count on
            shell(folder, "etcdctl --endpoints %s move-leader %x" % (leader.url, int(c.members[2].status()["header"]["member_id"])))
            leader = c.members[2]
        leader.stop()
        time.sleep(2)
        expect(leader.start(), "the leader does not come back")
        arrived(6)
        hanging = c.members[0]
        hanging.pause()
        time.sleep(3)
        hanging.go_on()
        equal(p.wait(timeout=LIMIT), 0, "exit code")
        got = c.wait(c.members[1]) and c.members[1].range("/dst/")
        equal({k[5:]: kv["value"] for k, kv in got.items()}, c.members[1].values("/src/"), "the copy")
        equal({kv["version"] for kv in got.values()}, {1}, "how often keys were written")
        equal(len(c.members[1].events(before, c.members[1].revision(), "/dst/")), KEYS, "writes that a watch saw")


def no_quorum():
    """Two of three are lost for a while: the run waits, and says for what."""
    with scratch() as folder, Cluster(folder) as c, Etcd(folder, "a") as a:
        fill(a, 4000)
        w = Wherry(os.path.join(folder, "state"))
        errors = os.path.join(folder, "err")
        p = w.start("run", "etcd-to-etcd", "--run-id", "one", "--yes", "--format", "plain", *words(a.url, c.urls(), rate_keys=1500),
                    stderr=open(errors, "w"))
        wait_for(lambda: len(c.members[0].values("/dst/")) > 1000, "a quarter", p)
        for m in c.members[1:]:
            m.stop()
        wait_for(lambda: "waiting: " in open(errors).read(), "it said that it waits", p)
        for m in c.members[1:]:
            m.spawn()
        equal(p.wait(timeout=LIMIT), 0, "exit code: " + open(errors).read()[-2000:])
        c.wait(c.members[0])
        equal(c.members[0].values("/dst/"), a.values("/src/"), "the copy")


def users(server):
    ctl = "etcdctl --endpoints %s " % server.url
    return "; ".join(ctl + command for command in (
        "user add root:rootpw", "user grant-role root root", "user add mover:s3cret", "role add moving",
        "role grant-permission moving readwrite --prefix=true /", "user grant-role mover moving", "auth enable"))


def tokens():
    """Tokens expire between two transactions, as simple ones (idle) and as JWT (by age); rights change meanwhile."""
    for jwt in (False, True):
        with scratch() as folder:
            shell(folder, "openssl genrsa -out jwt.key 2048; openssl rsa -in jwt.key -pubout -out jwt.pub")
            option = ["--auth-token", "jwt,pub-key=%s/jwt.pub,priv-key=%s/jwt.key,sign-method=RS256,ttl=1s" % (folder, folder)] \
                if jwt else ["--auth-token-ttl", "1"]
            options = option + ["--bcrypt-cost", "4"]
            with Etcd(folder, "a", options=options) as a, Etcd(folder, "b", options=options) as b:
                fill(a, 400)
                for server in (a, b):
                    shell(folder, users(server))
                w = Wherry(os.path.join(folder, "state"), env={"WHERRY_PARAM_SOURCE_PASSWORD": "s3cret", "WHERRY_PARAM_DESTINATION_PASSWORD": "s3cret"})
                p = w.start("run", "etcd-to-etcd", "--run-id", "one", "--yes", "-q", *words(
                    a.url, b.url, rate_keys=60, source_user="mover", destination_user="mover"))
                time.sleep(2)
                for server in (a, b):  # each change makes older JWTs worthless
                    shell(folder, "etcdctl --endpoints %s --user root:rootpw role grant-permission moving readwrite /more" % server.url)
                equal(p.wait(timeout=LIMIT), 0, "exit code (JWT: %s)" % jwt)
                equal(b.login("root", "rootpw").values("/dst/"), a.login("root", "rootpw").values("/src/"), "the copy")


def common_name():
    """A tenant whom only the certificate's common name identifies, on servers with authentication, as Kamaji runs them."""
    for version in ("3.4", "3.5", "3.6"):
        if not find_etcd(version):
            continue
        with scratch() as folder:
            shell(folder, CERTIFICATES.replace("server mover", "server mover root"))
            options = ["--cert-file", folder + "/server.crt", "--key-file", folder + "/server.key", "--trusted-ca-file", folder + "/ca.crt",
                       "--client-cert-auth"]
            with Etcd(folder, "a", options=options, scheme="https", binary=find_etcd(version)) as a, \
                    Etcd(folder, "b", options=options, scheme="https", binary=find_etcd(version)) as b:
                ctl = "etcdctl --cacert ca.crt --cert {0}.crt --key {0}.key --endpoints {1} "
                for server in (a, b):
                    root = ctl.format("root", server.url)
                    prefixes = ("/src/",) if server is a else ("/dst/", "/wherry/")
                    shell(folder, "; ".join(root + command for command in [
                        "user add root --no-password", "user grant-role root root", "user add mover --no-password", "role add tenant",
                        *("role grant-permission tenant readwrite --prefix=true " + x for x in prefixes), "user grant-role mover tenant",
                        "auth enable"]))
                shell(folder, "for i in $(seq 40); do %s put /src/$i value-$i; done" % ctl.format("mover", a.url))
                more = {side + "_" + what: "%s/%s" % (folder, name) for side in ("source", "destination")
                        for what, name in (("ca", "ca.crt"), ("cert", "mover.crt"), ("key", "mover.key"))}
                w = Wherry(os.path.join(folder, "state"))
                w.ok("run", "etcd-to-etcd", "--run-id", "one", "--yes", *words(a.url, b.url, **more))
                got = shell(folder, ctl.format("root", b.url) + "get --prefix /dst/ --keys-only").split()
                equal(len(got), 40, "keys that arrived (etcd %s)" % version)
                out = w.ok("run", "etcd-to-etcd", "--run-id", "two", "--yes", *words(a.url, b.url, prefix="/other/", destination_prefix="/dst/other/", **more), code=1)
                expect("permission denied" in out.err, "somebody else's prefix: %s" % out)


def every_byte():
    """Keys with every byte, values of none, one and almost 1.5 MiB: there and back, through longer and shorter prefixes."""
    rng = random.Random(9)
    with scratch() as folder, Etcd(folder, "a") as a, Etcd(folder, "b") as b:
        a.put("/src/", "")
        for i in range(256):
            a.put(b"/src/" + bytes([i]), bytes([i]) * (i % 7))
            a.put(b"/src/" + bytes([i, 255, 0, i]), bytes(range(256)))
        a.put("/src/large", rng.randbytes((3 << 19) - 700))
        a.put("/src0", "outside")
        a.put("/srb\xff", "outside")
        wanted = a.values("/src/")
        w = Wherry(os.path.join(folder, "state"))
        w.ok("run", "etcd-to-etcd", "--run-id", "longer", "--yes", *words(a.url, b.url, destination_prefix="/a/much/longer/prefix/than/before/"))
        equal(b.values("/a/much/longer/prefix/than/before/"), wanted, "the copy under a longer prefix")
        w.ok("run", "etcd-to-etcd", "--run-id", "back", "--yes", *words(
            b.url, a.url, prefix="/a/much/longer/prefix/than/before/", destination_prefix="/b"))
        equal(a.values("/b"), wanted, "the copy under a shorter prefix")


def too_large():
    """A value that fits into etcd's limit, but not with the guards beside it: named, with the way out."""
    with scratch() as folder, Etcd(folder, "a") as a, Etcd(folder, "b") as b:
        a.put("/src/large", b"x" * ((3 << 19) - 40))
        w = Wherry(os.path.join(folder, "state"))
        out = w.ok("run", "etcd-to-etcd", "--run-id", "one", "--yes", *words(a.url, b.url), code=1)
        expect("/dst/large" in out.err and "max-request-bytes" in out.err, "the key is not named: %s" % out)
        b.stop()
        b.options += ["--max-request-bytes", str(2 << 20)]
        expect(b.start(), "the destination does not come back")
        w.ok("resume", "one", "--yes")
        equal(b.values("/dst/"), a.values("/src/"), "the copy")


def million():
    """A million keys: as many there as here, each once, in less than 64 MB."""
    n = 50000 if is_sanitized() else 1000000
    with scratch() as folder, Etcd(folder, "a") as a, Etcd(folder, "b") as b:
        tool = os.path.join(os.path.dirname(WHERRY), "tests", "bench_etcd")
        subprocess.run([tool, "write", a.url, "/src/", str(n), "8", "16"], check=True, stdout=subprocess.DEVNULL)
        w = Wherry(os.path.join(folder, "state"))
        p = w.start("run", "etcd-to-etcd", "--run-id", "one", "--yes", "-q", *words(a.url, b.url), stdout=subprocess.DEVNULL)
        peak = Peak(p)
        equal(p.wait(), 0, "exit code")
        arrived = b.call("kv/range", {"key": b64("/dst/"), "range_end": b64("/dst0"), "count_only": True})
        equal(int(arrived["count"]), n, "keys that arrived")
        equal([kv for kv in b.call("kv/range", {"key": b64("/dst/"), "range_end": b64("/dst0"), "limit": "5000"})["kvs"]
               if kv["version"] != "1"], [], "keys that were written more than once")
        expect(peak.kib() > 0, "its memory was not watched")
        expect(is_sanitized() or peak.kib() < 64 << 10, "it took %d MB" % (peak.kib() >> 10))


if __name__ == "__main__":
    main(compaction, no_space, no_room, member_loss, no_quorum, tokens, common_name, every_byte, too_large, million)
