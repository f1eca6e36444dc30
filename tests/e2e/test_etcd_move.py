#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""etcd-to-etcd on real servers: what arrives, what is refused, what is left; versions, security and failures."""
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from truth import Truth
from witness import OnEtcd
from wtest import LIMIT, Etcd, Wherry, Writer, equal, expect, find_etcd, free_port, main, scratch, wait_for

KEYS = 3000


class Move:
    """Two servers, keys in the first, and a state folder."""

    def __init__(self, folder, versions=("3.4", "3.4"), keys=KEYS):
        self.folder = folder
        self.source = Etcd(folder, "source", binary=find_etcd(versions[0]))
        self.destination = Etcd(folder, "destination", binary=find_etcd(versions[1]))
        self.w = Wherry(os.path.join(folder, "state"))
        rng = random.Random(1)
        self.source.put_many(("/src/%05d" % i, rng.randbytes(rng.randrange(400))) for i in range(keys))
        self.source.put("/outside", "stays")
        self.destination.put("/other", "stays")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.source.stop()
        self.destination.stop()

    def params(self, **more):
        words = {"source": self.source.url, "destination": self.destination.url, "prefix": "/src/", "destination_prefix": "/dst/", **more}
        return [x for k, v in words.items() for x in ("-p", "%s=%s" % (k, v))]

    def run(self, code=0, **more):
        return self.w.ok("run", "etcd-to-etcd", "--run-id", "one", "--yes", "--approve", "handover", *self.params(**more), code=code)

    def plan(self, code=0, **more):
        return self.w.ok("plan", "etcd-to-etcd", "--format", "json", *self.params(**more), code=code)

    def killed_half_way(self, share=3, **more):
        """A run slowed down and killed when a part of the keys is there."""
        p = self.w.start("run", "etcd-to-etcd", "--run-id", "one", "--yes", "-q", *self.params(rate_keys=3000, **more))
        wait_for(lambda: self.count() >= KEYS // share, "its part of the keys is there", p)
        p.kill()
        equal(p.wait(), -signal.SIGKILL, "the killed run's end")

    def count(self):
        return len(self.destination.values("/dst/"))

    def equal(self, exclude=()):
        wanted = {k: v for k, v in self.source.values("/src/").items() if k.decode() not in exclude}
        got = self.destination.values("/dst/")
        expect(wanted == got, "the copy differs in %d keys, such as %s" % (
            sum(1 for k in wanted.keys() | got.keys() if wanted.get(k) != got.get(k)),
            sorted(k for k in wanted.keys() | got.keys() if wanted.get(k) != got.get(k))[:3]))
        self.nothing_left()

    def nothing_left(self):
        equal([k for k in self.destination.range() if not k.startswith(b"/dst/")], [b"/other"], "keys beside the copy")
        equal([k for k in self.source.range() if not k.startswith(b"/src/")], [b"/outside"], "keys beside the source's prefix")


def versions():
    """Between every two of the versions that are here."""
    missing = [v for v in ("3.4", "3.5", "3.6") if not find_etcd(v)]
    for pair in (("3.4", "3.4"), ("3.4", "3.5"), ("3.5", "3.6"), ("3.6", "3.4")):
        if set(pair) & set(missing):
            continue
        with scratch() as folder, Move(folder, pair) as move:
            writer = Writer(move.source, "/src/", random.Random(2))
            frozen = os.path.join(folder, "frozen")
            stopper = threading.Thread(target=lambda: (wait_for(lambda: os.path.exists(os.path.join(folder, "freeze")), "the freeze"), writer.stop(), open(frozen, "w").close()))
            stopper.start()
            move.run(freeze="command", freeze_command=": >%s/freeze; until [ -e %s ]; do sleep 0.01; done" % (folder, frozen))
            stopper.join()
            move.equal()
    return "etcd %s is not here, see tests/lib/etcd_versions.sh" % ", ".join(missing) if len(missing) == 3 else None


def truth():
    """The dry-run told the truth: watches and revisions of both servers saw what it announced, key by key and in as many transactions."""
    with scratch() as folder, Move(folder) as move:
        servers = {x.name: OnEtcd(x.name, x) for x in (move.source, move.destination)}
        others = [path for x in servers for path in (os.path.join(folder, x), os.path.join(folder, x + ".log"))]
        Truth(move.w, folder, servers, others).prove("etcd-to-etcd", *move.params(), run="one")
        move.equal()


def empty():
    """A prefix that no key begins with is refused before anything is written, unless that is said to be fine."""
    with scratch() as folder, Move(folder, keys=10) as move:
        revision = move.destination.revision()
        handed = os.path.join(folder, "handed-over")
        for words in ({"prefix": "/scr/"}, {"exclude": "['/src/']"}):
            expect("no key of the source begins with" in move.plan(code=2, **words).out, "the dry-run does not refuse %s" % words)
        out = move.run(code=2, prefix="/scr/", handover_command=": >" + handed)
        expect("no key of the source begins with '/scr/'" in out.err, "the refusal: %s" % out)
        equal([x[-1] for x in out.choices()], ["prefix=PREFIX", "allow_empty=true"], "the ways on")
        expect(not os.path.exists(handed), "nothing was handed over to")
        equal(move.destination.revision(), revision, "the destination's revision after the refusal")
        move.w.ok(*out.choices()[1], "--yes", "--run-id", "two", "--approve", "handover")


def shapes():
    """Keys that do not go on as they began: deep folders, crowded ones, long gaps. None is left out, none comes twice."""
    with scratch() as folder, Move(folder, keys=0) as move:
        rng, keys = random.Random(3), set()
        for depth in range(1, 9):
            names = ["".join(rng.choices("\x01 -.09Azz\u00e9", k=rng.randrange(1, 12))) for _ in range(3)]
            for _ in range(500):
                keys.add("/src/" + "/".join(rng.choices(names, k=depth)) + "/%x" % rng.randrange(10 ** depth))
        keys.update("/src/%s%d" % (x, i) for x in ("m", "m/m/m", "\u00ff") for i in range(2000))
        move.source.put_many((k, rng.randbytes(rng.randrange(50))) for k in keys)
        move.run()
        move.equal()


def heavy():
    """Large values behind many small ones: the page that was asked for is too heavy, and a smaller one is asked for."""
    with scratch() as folder, Move(folder) as move:
        value = random.Random(1).randbytes(1000000)
        for i in range(70):
            move.source.put("/src/heavy-%02d" % i, value)
        move.run()  # with its verify
        equal(len(move.destination.range("/dst/heavy-6")), 10, "the last heavy keys")


def progress():
    """After a kill the progress goes on where it was, towards all keys that there are."""
    with scratch() as folder, Move(folder) as move:
        move.killed_half_way()
        out = move.w.ok("resume", "one", "--yes", "--format", "json").json()
        said = [(e["done"], e["total"]) for e in out if e["event"] == "progress" and e["step"] == "copy"]
        expect(said and said[0][0] > KEYS // 4, "where it goes on: %s" % said[:1])
        expect(all(done <= total for done, total in said), "more than all: %s" % said)
        equal(max(total for done, total in said if done < KEYS), KEYS, "of how many keys")


def forgotten():
    """A password that was forgotten: told with its target and user, and with the run to begin; a resume does not take it silently."""
    with scratch() as folder, Move(folder, keys=1) as move:
        out = move.run(code=2, source_user="root")
        expect("target 'source': etcd: user 'root' has no password" in out.err, "the failure: %s" % out)
        expect(out.next()[0] == "run" and "source_user=root" in out.next(), "the next command: %s" % out)
        late = move.w("resume", "one", "--yes", env={"WHERRY_PARAM_SOURCE_PASSWORD": "canary"})
        expect("WHERRY_PARAM_SOURCE_PASSWORD is not used: the run began without 'source_password'" in late.err, str(late))
        expect("canary" not in late.err, "the secret is shown")


def while_down():
    """Keys written, changed and deleted while wherry was dead still arrive; after a compaction of the source too."""
    for compact in (False, True):
        with scratch() as folder, Move(folder) as move:
            move.killed_half_way()
            for i in range(0, KEYS, 7):
                move.source.delete("/src/%05d" % i)
            move.source.put_many(("/src/%05d" % i, "changed") for i in range(1, KEYS, 11))
            move.source.put_many(("/src/new-%d" % i, "new") for i in range(100))
            if compact:
                move.source.compact(move.source.revision())
            move.w.ok("resume", "one", "--yes")
            move.equal()


def existing():
    """Keys that are there: refused; merged when equal, failed when not; replaced, and foreign ones removed."""
    with scratch() as folder, Move(folder, keys=200) as move:
        move.destination.put("/dst/00001", "something else")
        revision = move.destination.revision()
        out = move.run(code=2)
        expect("/dst/" in out.err or "not empty" in out.err, "the refusal does not say why: %s" % out)
        equal(move.destination.revision(), revision, "the destination's revision after the refusal")
        move.w.ok(*out.choices()[1], "--yes", "--run-id", "two")  # to overwrite it
        move.equal()
    with scratch() as folder, Move(folder, keys=200) as move:
        same = move.source.values("/src/")
        move.destination.put("/dst/00001", same[b"00001"])
        move.destination.put("/dst/foreign", "stays")
        move.run(on_existing="merge")
        got = move.destination.values("/dst/")
        equal(got.pop(b"foreign"), b"stays", "a foreign key after a merge")
        equal(got, same, "the copy")
        move.nothing_left()
    with scratch() as folder, Move(folder, keys=200) as move:
        move.destination.put("/dst/00001", "something else")
        out = move.run(code=1, on_existing="merge")
        expect("00001" in out.err, "the unequal key is not named: %s" % out)
        equal(move.destination.values("/dst/")[b"00001"], b"something else", "the unequal key")
    with scratch() as folder, Move(folder, keys=200) as move:
        move.destination.put("/dst/00001", "something else")
        move.destination.put("/dst/foreign", "goes")
        move.run(on_existing="replace")
        move.equal()


def sync_fails():
    """The disk refuses a sync while the copy streams: the run stops with 6 and writes nothing more; a resume ends it, and each
    key was written once."""
    if not shutil.which("strace"):
        return "strace is not here"
    with scratch() as folder, Move(folder) as move:
        log = os.path.join(folder, "syncs")
        args = ["run", "etcd-to-etcd", "--run-id", "one", "--yes", *move.params(rate_keys=KEYS // 3)]
        counted = Wherry(os.path.join(folder, "counted"), prefix=["strace", "-f", "-qq", "-o", log, "-e", "trace=fdatasync"])
        p = counted.start(*args, stderr=subprocess.DEVNULL, start_new_session=True)
        wait_for(lambda: move.count() >= KEYS // 3, "a third is there", p)
        os.killpg(p.pid, signal.SIGKILL)
        p.wait()
        with open(log) as f:
            syncs = sum("fdatasync(" in line for line in f)
        move.destination.delete("/dst/", True)
        move.destination.delete("/wherry/", True)
        before = move.destination.revision()
        failing = Wherry(move.w.state, prefix=["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=fdatasync", "-e",
                                               "inject=fdatasync:error=EIO:when=%d+" % (syncs + 1)])
        done = failing(*args, env={"ASAN_OPTIONS": "detect_leaks=0"})  # it cannot look for leaks under a tracer
        equal(done.code, 6, str(done))
        equal(done.next(), ["resume", "one"], "the next command")
        there = move.count()
        expect(0 < there < KEYS, "no stream was under way: %d keys were there; %s" % (there, done))
        time.sleep(0.3)
        equal(move.count(), there, "keys that were written after the stop")
        expect("copy: in-doubt" in move.w.ok("status", "one").out, "status does not say where it stood")
        move.w.ok("resume", "one", "--yes")
        equal(len(move.destination.events(before, move.destination.revision(), "/dst/")), KEYS, "writes that the destination saw")
        move.equal()


def excluded():
    """Keys below an excluded prefix stay where they are, and the rest is equal."""
    with scratch() as folder, Move(folder, keys=200) as move:
        move.source.put("/src/events/1", "not this")
        move.run(exclude="/src/events/")
        move.equal(exclude=("events/1",))


def failed_verify():
    """A difference that appears after the freeze: verify names it, the freeze is lifted, the hand-over does not run. A resume
    freezes again, and brings what was written in between."""
    with scratch() as folder, Move(folder, keys=200) as move:
        log = os.path.join(folder, "log")
        ctl = "ETCDCTL_API=3 etcdctl --endpoints "
        put = "[ -e %s ] || { %s%s put /src/late x; %s%s put /dst/intruder x; }" % (log, ctl, move.source.url, ctl, move.destination.url)
        out = move.run(code=1, freeze="command", freeze_command=put + "; echo freeze >>" + log, thaw_command="echo thaw >>" + log,
                       handover_command="echo handover >>" + log)
        expect("intruder" in out.err and "make these keys of the destination" in out.err, "the difference, or what mends it, is not named: %s" % out)
        equal(out.next(), ["resume", "one"], "the next command")
        equal(open(log).read().split(), ["freeze", "thaw"], "commands that ran")
        move.destination.delete("/dst/intruder")
        move.source.put("/src/between", "x")
        move.source.delete("/src/00007")
        move.w.ok("resume", "one", "--yes")
        equal(open(log).read().split(), ["freeze", "thaw", "freeze", "handover"], "commands that ran")
        move.equal()


def not_frozen():
    """A freeze_command that freezes nothing: what is written after the drain is noticed, nothing is handed over, and the resume
    freezes and brings it over again. A key that is deleted while the hand-over waits for a word is noticed too."""
    with scratch() as folder, Move(folder, keys=200) as move:
        writer, handed = Writer(move.source, "/src/", random.Random(3)), os.path.join(folder, "handed-over")
        words = {"freeze": "command", "freeze_command": "true", "thaw_command": "true", "handover_command": ": >" + handed}
        foretold = [e for e in move.plan(**words).json() if e["event"] == "action" and e["step"] == "handover"]
        equal(len(foretold), 1, "the dry-run's words on the hand-over")
        out = move.run(code=1, **words)
        expect("the freeze does not hold: key '/src/" in out.err and "resume one" in out.err, "what is said: %s" % out)
        expect(not os.path.exists(handed), "it was handed over")
        writer.stop()
        move.w.ok("resume", "one", "--yes", "--approve", "handover")
        expect(os.path.exists(handed), "it was not handed over")
        move.equal()
    with scratch() as folder, Move(folder, keys=200) as move:
        handed = os.path.join(folder, "handed-over")
        words = {"freeze": "command", "freeze_command": "true", "thaw_command": "true", "handover_command": ": >" + handed}
        move.w.ok("run", "etcd-to-etcd", "--run-id", "one", "--yes", *move.params(**words), code=3)
        move.source.delete("/src/00007")
        out = move.w.ok("resume", "one", "--yes", "--approve", "handover", code=3)
        expect("'/src/' had 200 keys at revision" in out.err and "and has 199" in out.err, "what is said: %s" % out)
        equal([" ".join(c) for c in out.choices()], ["resume one", "abort one"], "what can be done")
        expect(not os.path.exists(handed), "it was handed over")
        move.w.ok("abort", "one", "--yes")
        move.nothing_left()


def aborted():
    """An aborted run leaves the keys that it copied, and nothing of its own; the freeze is lifted."""
    with scratch() as folder, Move(folder) as move:
        move.killed_half_way()
        expect(move.destination.range(), "nothing was copied")
        move.w.ok("abort", "one", "--yes")
        move.nothing_left()


def failed_handover():
    """A hand-over that failed may have handed over: the freeze stays, and is named."""
    with scratch() as folder, Move(folder, keys=200) as move:
        log = os.path.join(folder, "log")
        out = move.run(code=1, freeze="command", freeze_command="echo freeze >>" + log, thaw_command="echo thaw >>" + log,
                       handover_command="echo handover >>%s; exit 9" % log)
        equal(open(log).read().split(), ["freeze", "handover"], "commands that ran")
        expect("frozen" in out.err or "freeze" in out.err, "it is not said that the source is still frozen: %s" % out)
        expect("one: failed: step 'handover'" in out.err, "the last lines do not say what failed: %s" % out)
        equal([x[0] for x in out.choices()], ["resume", "resolve"], "what may be typed")
        refused = move.w.ok("rollback", "one", "--yes", code=3)
        equal(refused.next(), ["resolve", "one", "handover", "--not-done", "--reason", "TEXT"], "what the refused rollback says")
        said = move.w.ok(*refused.next())
        expect(["rollback", "one"] in said.choices(), "how to go back: %s" % said)
        expect("resolved as not-done" in move.w.ok("status", "one").out, "the word is not in the status")
        move.w.ok("rollback", "one", "--yes")
        equal(open(log).read().split(), ["freeze", "handover", "thaw"], "commands that ran")
        move.destination.put("/other", "stays")
        equal(move.count(), 0, "keys that the rollback left")
    with scratch() as folder, Move(folder, keys=20) as move:
        out = move.run(code=1, freeze="command", freeze_command="true", thaw_command="false")
        expect("the source is still frozen" in out.err and "step 'thaw'" in out.err, "after a thaw that failed: %s" % out)
    with scratch() as folder, Move(folder, keys=20) as move:
        log = os.path.join(folder, "log")
        move.run(code=1, handover_command="echo handover >>%s; exit 9" % log)
        move.w.ok("resolve", "one", "handover", "--done", "--reason", "it said so")
        move.w.ok("resume", "one", "--yes", "--approve", "handover")
        equal(open(log).read().split(), ["handover"], "commands that ran, where it was done after all")
        move.equal()


def servers_fail():
    """An endpoint that is dead, a destination that stops answering or dies half-way: waited for, and gone on with."""
    with scratch() as folder, Move(folder) as move:
        dead = "http://127.0.0.1:%d," % free_port(1)
        p = move.w.start("run", "etcd-to-etcd", "--run-id", "one", "--yes", "-q", *move.params(
            source=dead + move.source.url, destination=dead + move.destination.url, rate_keys=500))
        wait_for(lambda: move.count() >= KEYS // 4, "a quarter is there", p)
        move.destination.pause()
        time.sleep(1)
        move.destination.go_on()
        wait_for(lambda: move.count() >= KEYS // 2, "half is there", p)
        move.destination.stop()
        wait_for(lambda: "; waiting for destination: " in move.w.ok("status", "one").out, "status says what it waits for", p)
        expect(move.destination.start(), "the destination does not come back")
        equal(p.wait(timeout=LIMIT), 0, "the run's exit code")
        move.equal()


def shell(folder, script):
    done = subprocess.run(["sh", "-ec", script], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          env={**os.environ, "ETCDCTL_API": "3"})
    expect(done.returncode == 0, "%s\n%s" % (script, done.stdout))
    return done.stdout


CERTIFICATES = """
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=ca -keyout ca.key -out ca.crt
for name in server mover; do
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=$name -keyout $name.key -out $name.csr
    printf 'subjectAltName=IP:127.0.0.1\\nextendedKeyUsage=serverAuth,clientAuth\\n' >ext
    openssl x509 -req -in $name.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -extfile ext -out $name.crt
done
"""


def secured():
    """Mutual TLS on both sides, user and password on the destination; a wrong password is refused with 7."""
    with scratch() as folder:
        shell(folder, CERTIFICATES)
        options = ["--cert-file", folder + "/server.crt", "--key-file", folder + "/server.key", "--trusted-ca-file", folder + "/ca.crt",
                   "--client-cert-auth"]
        with Etcd(folder, "source", options=options, scheme="https") as source, \
                Etcd(folder, "destination", options=options, scheme="https") as destination:
            ctl = "etcdctl --cacert ca.crt --cert mover.crt --key mover.key --endpoints "
            shell(folder, "for i in $(seq 50); do %s %s put /src/$i value-$i; done" % (ctl, source.url))
            to = ctl + destination.url
            shell(folder, "%s user add root:rootpw; %s user grant-role root root; %s user add mover:s3cret; %s role add moving;"
                  "%s role grant-permission moving readwrite --prefix=true /; %s user grant-role mover moving; %s auth enable" % ((to,) * 7))
            words = {"source": source.url, "destination": destination.url, "prefix": "/src/", "destination_prefix": "/dst/",
                     "destination_user": "mover"}
            for side in ("source", "destination"):
                words.update({side + "_ca": folder + "/ca.crt", side + "_cert": folder + "/mover.crt", side + "_key": folder + "/mover.key"})
            params = [x for k, v in words.items() for x in ("-p", "%s=%s" % (k, v))]
            w = Wherry(os.path.join(folder, "state"))
            wrong = w("run", "etcd-to-etcd", "--run-id", "one", "--yes", *params, env={"WHERRY_PARAM_DESTINATION_PASSWORD": "wr0ng"})
            equal(wrong.code, 7, str(wrong))
            expect("wr0ng" not in wrong.err + wrong.out, "the password is shown")
            w.ok("resume", "one", "--yes", env={"WHERRY_PARAM_DESTINATION_PASSWORD": "s3cret"})
            got = shell(folder, to + " --user root:rootpw get --prefix /dst/ --keys-only").split()
            equal(len(got), 50, "keys that arrived")
            state = subprocess.run(["grep", "-rl", "s3cret", w.state], stdout=subprocess.PIPE, text=True).stdout
            equal(state, "", "files with the password")


if __name__ == "__main__":
    main(truth, empty, forgotten, shapes, heavy, progress, while_down, existing, excluded, failed_verify, not_frozen, aborted, failed_handover, sync_fails, servers_fail, secured, versions)
