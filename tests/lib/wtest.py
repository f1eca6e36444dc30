# SPDX-License-Identifier: Apache-2.0
"""What whole-program tests share: the program, real etcd servers and a plain client for them. Standard library only.

The client speaks etcd's JSON gateway on purpose: the tests count effects by another road than wherry's own.
"""
import base64
import contextlib
import difflib
import http.client
import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

SOURCE = os.environ.get("WHERRY_SOURCE") or os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
WHERRY = os.environ.get("WHERRY") or os.path.join(SOURCE, "build", "wherry")
SKIPPED = 77
LIMIT = 120  # seconds that anything may take on a slow machine, where how long it takes is not the claim


def is_sanitized():
    """Sanitizers take memory and time of their own."""
    with open(WHERRY, "rb") as program:
        return re.search(b"__[at]san_init", program.read()) is not None


def preload(folder, source):
    """A library of tests/lib, built to be preloaded."""
    library = os.path.join(folder, source + ".so")
    subprocess.run(["cc", "-shared", "-fPIC", "-O2", "-o", library, os.path.join(SOURCE, "tests", "lib", source)], check=True)
    return library


class Violation(Exception):
    """A broken promise: what was expected, and what the other side saw."""


def expect(condition, text):
    if not condition:
        raise Violation(text)


def equal(got, wanted, what):
    if got != wanted:
        raise Violation("%s: expected %r, got %r" % (what, wanted, got))


class Peak:
    """The peak memory of a process, watched while it lives: what wait4 tells includes ours, from before its exec."""

    def __init__(self, process):
        self.most = 0
        self.watcher = threading.Thread(target=self.watch, args=(process.pid,))
        self.watcher.start()

    def watch(self, pid):
        try:
            while True:
                with open("/proc/%d/status" % pid) as f:
                    text = f.read()
                found = re.search(r"VmHWM:\s+(\d+)", text)
                if found is None:
                    return
                if "Name:\twherry" in text:
                    self.most = int(found.group(1))
                time.sleep(0.01)
        except OSError:
            pass

    def kib(self):
        self.watcher.join()
        return self.most


def wait_for(condition, what, process=None):
    """Until the condition holds. A process that is given has to live until then."""
    end = time.monotonic() + LIMIT
    while not condition():
        expect(time.monotonic() < end, "it takes too long until " + what)
        expect(process is None or process.poll() is None, "it ended before %s, with %s" % (what, process and process.returncode))
        time.sleep(0.01)


def golden(name, text):
    """The text is what tests/golden/NAME holds; UPDATE_GOLDEN=1 writes it anew, for a person to look through."""
    path = os.path.join(SOURCE, "tests", "golden", name)
    if os.environ.get("UPDATE_GOLDEN"):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as f:
            f.write(text)
        return
    expect(os.path.exists(path), "tests/golden/%s is missing: UPDATE_GOLDEN=1 writes it; it would be\n%s" % (name, text))
    with open(path) as f:
        wanted = f.read()
    if text != wanted:
        raise Violation("not as in tests/golden/%s (UPDATE_GOLDEN=1 writes it anew):\n%s" % (name, "\n".join(
            difflib.unified_diff(wanted.splitlines(), text.splitlines(), "golden", "now", lineterm=""))))


def without_rights():
    """A prefix that takes root's right to read and write everything from a command."""
    return ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"] if os.geteuid() == 0 else []


@contextlib.contextmanager
def scratch(parent=None):
    """A folder on a real file system, gone at the end."""
    path = tempfile.mkdtemp(prefix="wherry-", dir=parent or os.environ.get("WHERRY_SCRATCH"))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


class Done:
    """How a command ended. code is negative for a signal."""

    def __init__(self, argv, code, out, err):
        self.argv, self.code, self.out, self.err = argv, code, out, err

    def next(self):
        """The command that the stop told the operator to type, as argv without the program; or None."""
        found = self.choices()
        return found[0] if found else None

    def choices(self):
        """All commands of the last hint: the next one, and those that may be typed instead."""
        lines = re.findall(r"^\s*(next|or):.*?\b(?:wherry\s+(.*))?$", self.err + "\n" + self.out, re.M)
        first = max((i for i, line in enumerate(lines) if line[0] == "next" and line[1]), default=len(lines))
        ends = [i for i, line in enumerate(lines) if i > first and line[0] == "next"]
        return [shlex.split(command) for _, command in lines[first:ends[0] if ends else None] if command]

    def json(self):
        return [json.loads(line) for line in self.out.splitlines() if line.startswith("{")]

    def __str__(self):
        return "%s -> %s\n%s%s" % (" ".join(map(shlex.quote, self.argv)), self.code, self.out[-2000:], self.err[-4000:])


def in_world(make):
    """A decorator: the test gets make(folder), of a folder that goes with it."""
    def decorate(test):
        def run():
            with scratch() as folder:
                return test(make(folder))
        run.__name__, run.__doc__ = test.__name__, test.__doc__
        return run
    return decorate


class Wherry:
    """One program with one state folder."""

    def __init__(self, state, program=None, prefix=(), env=None):
        self.state, self.program, self.prefix = state, program or WHERRY, list(prefix)
        self.env = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": os.environ.get("HOME", "/"),
                    "LC_ALL": "C", "WHERRY_STATE": state}
        for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS", "TMPDIR"):
            if name in os.environ:
                self.env[name] = os.environ[name]
        self.env.update(env or {})

    def argv(self, args):
        return self.prefix + [self.program] + [str(a) for a in args]

    def start(self, *args, env=None, **more):
        return subprocess.Popen(self.argv(args), env={**self.env, **(env or {})}, stdin=subprocess.DEVNULL, **more)

    def __call__(self, *args, env=None, timeout=LIMIT, stdin=None):
        p = subprocess.Popen(self.argv(args), env={**self.env, **(env or {})}, text=True, errors="replace",
                             stdin=subprocess.PIPE if stdin is not None else subprocess.DEVNULL,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=bool(self.prefix))
        try:
            out, err = p.communicate(stdin, timeout=timeout)
        except subprocess.TimeoutExpired:
            if self.prefix:
                os.killpg(p.pid, signal.SIGKILL)  # what surrounds the program may leave it behind
            p.kill()
            out, err = p.communicate()
            raise Violation("hangs for %s s: %s" % (timeout, Done(self.argv(args), None, out, err)))
        return Done(self.argv(args), p.returncode, out, err)

    def ok(self, *args, code=0, **more):
        done = self(*args, **more)
        if done.code != code:
            raise Violation("expected exit code %s: %s" % (code, done))
        return done

    def folder(self, run):
        return os.path.join(self.state, run)


def find_etcd(version="3.4"):
    """The server of that version, or None. Debian's own stands for its version."""
    if version == "3.4":
        return shutil.which("etcd")
    tool = os.path.join(SOURCE, "tests", "lib", "etcd_versions.sh")
    done = subprocess.run([tool, "have", version], capture_output=True, text=True)
    return done.stdout.strip() if done.returncode == 0 else None


def free_port(width=2):
    """The first of some neighbouring ports below the range that the kernel hands out by itself."""
    while True:
        port = 10000 + int.from_bytes(os.urandom(2), "big") % 11000 * 2
        with contextlib.ExitStack() as stack:
            try:
                for i in range(width):
                    stack.enter_context(socket.socket()).bind(("127.0.0.1", port + i))
                return port
            except OSError:
                continue


def b64(data):
    return base64.b64encode(data if isinstance(data, bytes) else data.encode()).decode()


def end_of(prefix):
    """The end of the range of a prefix."""
    key = prefix if isinstance(prefix, bytes) else prefix.encode()
    while key and key[-1] == 0xff:
        key = key[:-1]
    return key[:-1] + bytes([key[-1] + 1]) if key else b"\0"


class KV:
    """A client of one server over JSON; one connection a thread."""

    def __init__(self, url):
        self.url, self.local = url, threading.local()
        self.token = None

    def call(self, path, body):
        """One call; again where a change of users or roles has overtaken it, which etcd asks of its clients."""
        while True:
            reply, data = self.post(path, body)
            if reply.status == 200:
                return json.loads(data)
            if b"revision of auth store is old" not in data:
                raise RuntimeError("%s %s: %s %r" % (self.url, path, reply.status, data[:300]))

    def post(self, path, body):
        for attempt in (0, 1):
            connection = getattr(self.local, "connection", None)
            if connection is None:
                connection = self.local.connection = http.client.HTTPConnection(self.url.split("//")[1], timeout=30)
            try:
                connection.request("POST", "/v3/" + path, json.dumps(body), {"Content-Type": "application/json", **(
                    {"Authorization": self.token} if self.token else {})})
                reply = connection.getresponse()
                return reply, reply.read()
            except (http.client.HTTPException, OSError):
                connection.close()
                self.local.connection = None
                if attempt:
                    raise

    def login(self, user, password):
        """This client, or another one to the same server, as a user."""
        other = KV(self.url)
        other.token = other.call("auth/authenticate", {"name": user, "password": password})["token"]
        return other

    def put(self, key, value, lease=0):
        return int(self.call("kv/put", {"key": b64(key), "value": b64(value), "lease": str(lease)})["header"]["revision"])

    def delete(self, key, prefix=False):
        body = {"key": b64(key)}
        if prefix:
            body["range_end"] = b64(end_of(key))
        return int(self.call("kv/deleterange", body).get("deleted", 0))

    def put_many(self, pairs, size=100):
        """In transactions: one revision each."""
        pairs = list(pairs)
        for i in range(0, len(pairs), size):
            self.call("kv/txn", {"success": [{"request_put": {"key": b64(k), "value": b64(v)}} for k, v in pairs[i:i + size]]})

    def range(self, prefix="", revision=0):
        """{key: kv}; kv has value (bytes), create_revision, mod_revision, version, lease."""
        key = prefix.encode() if isinstance(prefix, str) else prefix
        got, end = {}, b64(end_of(key))
        key = key or b"\0"
        while True:
            reply = self.call("kv/range", {"key": b64(key), "range_end": end, "limit": "2000", "revision": str(revision)})
            for kv in reply.get("kvs", ()):
                name = base64.b64decode(kv["key"])
                got[name] = {"value": base64.b64decode(kv.get("value", "")), **{n: int(kv.get(n, 0)) for n in (
                    "create_revision", "mod_revision", "version", "lease")}}
            if not reply.get("more"):
                return got
            revision, key = revision or reply["header"]["revision"], name + b"\0"

    def values(self, prefix="", strip=True, revision=0):
        """{key (without the prefix): value}"""
        cut = len(prefix.encode() if isinstance(prefix, str) else prefix) if strip else 0
        return {k[cut:]: kv["value"] for k, kv in self.range(prefix, revision).items()}

    def revision(self):
        return int(self.call("kv/range", {"key": b64("\0"), "limit": "1", "count_only": True})["header"]["revision"])

    def compact(self, revision):
        self.call("kv/compaction", {"revision": str(revision), "physical": True})

    def grant(self, ttl):
        return int(self.call("lease/grant", {"TTL": str(ttl)})["ID"])

    def leases(self):
        return [int(x["ID"]) for x in self.call("lease/leases", {}).get("leases", ())]

    def status(self):
        return self.call("maintenance/status", {})

    def events(self, start, until, prefix=""):
        """Every event in (start, until], from a watch of its own: [(revision, "PUT"|"DELETE", key, value)]."""
        got = []
        if until <= start:
            return got
        # A key written after `until` ends the watch for sure; it is outside what is counted.
        last = self.put("\x01watch-end", "")
        connection = http.client.HTTPConnection(self.url.split("//")[1], timeout=30)
        connection.request("POST", "/v3/watch", json.dumps({"create_request": {
            "key": b64("\0"), "range_end": b64("\0"), "start_revision": str(start + 1)}}))
        reply = connection.getresponse()
        while True:
            line = reply.readline()
            expect(line, "the watch on %s ended by itself" % self.url)
            for event in json.loads(line)["result"].get("events", ()):
                kv = event["kv"]
                revision, key = int(kv["mod_revision"]), base64.b64decode(kv["key"])
                if revision >= last:
                    connection.close()
                    self.delete("\x01watch-end")
                    return got
                if revision <= until and key.startswith(prefix.encode()):
                    got.append((revision, event.get("type", "PUT"), key, base64.b64decode(kv.get("value", ""))))


class Etcd(KV):
    """A real server on loopback, ended with this process. sync=False is for tests that kill clients, not servers."""

    def __init__(self, folder, name="etcd", binary=None, sync=False, options=(), scheme="http"):
        self.folder, self.name = os.path.join(folder, name), name
        self.binary, self.options, self.scheme = binary or find_etcd(), list(options), scheme
        if not sync:
            self.options.append("--unsafe-no-fsync")
        self.process = self.cluster = None
        for _ in range(5):
            self.port = free_port()
            super().__init__("%s://127.0.0.1:%d" % (scheme, self.port))
            if self.start():
                return
            shutil.rmtree(self.folder, ignore_errors=True)
        raise RuntimeError("etcd does not start: " + open(self.folder + ".log").read()[-1000:])

    def spawn(self):
        peer = "http://127.0.0.1:%d" % (self.port + 1)
        with open(self.folder + ".log", "ab") as log:
            self.process = subprocess.Popen(  # it ends with us, however we end
                ["setpriv", "--pdeathsig", "KILL", self.binary, "--name", self.name, "--data-dir", self.folder, "--log-level", "error",
                 "--listen-client-urls", self.url, "--advertise-client-urls", self.url, "--listen-peer-urls", peer,
                 "--initial-advertise-peer-urls", peer, "--initial-cluster",
                 self.cluster or "%s=%s" % (self.name, peer)] + self.options,
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def start(self):
        self.spawn()
        end = time.monotonic() + LIMIT
        while time.monotonic() < end and self.process.poll() is None:
            try:
                if self.scheme == "https":
                    socket.create_connection(("127.0.0.1", self.port), 1).close()
                else:
                    self.revision()
                return True
            except (OSError, RuntimeError, http.client.HTTPException):
                time.sleep(0.05)
        self.stop()
        return False

    def stop(self, how=signal.SIGKILL):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.send_signal(how)
        if self.process:
            self.process.wait()

    def pause(self):
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self):
        self.process.send_signal(signal.SIGCONT)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


class Member(Etcd):
    """One of a cluster, not started yet."""

    def __init__(self, folder, name, port):
        KV.__init__(self, "http://127.0.0.1:%d" % port)
        self.folder, self.name, self.port, self.scheme = os.path.join(folder, name), name, port, "http"
        self.binary, self.process, self.cluster = find_etcd(), None, None
        # short terms, so that a lost leader is noticed soon; without fsync, as what is killed here is one of three
        self.options = ["--unsafe-no-fsync", "--heartbeat-interval", "50", "--election-timeout", "500"]


class Cluster:
    """Three members on loopback."""

    def __init__(self, folder):
        self.members = [Member(folder, "m%d" % i, free_port()) for i in range(3)]
        cluster = ",".join("%s=http://127.0.0.1:%d" % (m.name, m.port + 1) for m in self.members)
        for m in self.members:
            m.cluster = cluster
            m.spawn()
        for m in self.members:
            self.wait(m)

    def wait(self, member):
        end = time.monotonic() + LIMIT
        while True:
            try:
                return member.revision()
            except (OSError, RuntimeError, http.client.HTTPException):
                expect(time.monotonic() < end, "a member does not answer: " + open(member.folder + ".log").read()[-1000:])
                time.sleep(0.05)

    def urls(self):
        return ",".join(m.url for m in self.members)

    def leader(self):
        """The member that leads, as the first one that answers says."""
        end = time.monotonic() + LIMIT
        while time.monotonic() < end:
            for m in self.members:
                try:
                    status = m.status()
                    if int(status.get("leader", 0)) == int(status["header"]["member_id"]):
                        return m
                except (OSError, RuntimeError, http.client.HTTPException):
                    continue
            time.sleep(0.05)
        raise Violation("the cluster has no leader")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for m in self.members:
            m.stop()


class Writer:
    """A live writer: puts, changes and deletes keys below a prefix until it is told to stop."""

    def __init__(self, kv, prefix, rng, pause=0.002, pool=400):
        self.kv, self.prefix, self.rng, self.pause, self.pool = kv, prefix, rng, pause, pool
        self.writes = 0
        self.ended = threading.Event()
        self.error = None
        self.thread = threading.Thread(target=self.work, daemon=True)
        self.thread.start()

    def work(self):
        try:
            while not self.ended.is_set():
                key = "%slive/%04d" % (self.prefix, self.rng.randrange(self.pool))
                if self.rng.random() < 0.3:
                    self.kv.delete(key)
                else:
                    self.kv.put(key, os.urandom(self.rng.randrange(1, 200)))
                self.writes += 1
                self.ended.wait(self.pause)
        except Exception as e:  # handed to whoever stops the writer
            self.error = e

    def stop(self):
        self.ended.set()
        self.thread.join()
        if self.error:
            raise self.error


def main(*tests):
    """Run the tests of a script (functions; their doc string is the claim); exit 1 when one fails, 77 when all skip."""
    chosen = [t for t in tests if len(sys.argv) < 2 or t.__name__ in sys.argv[1:]]
    failed = skipped = 0
    for test in chosen:
        begin = time.monotonic()
        try:
            why = test()
            word = "skip" if why else "ok"
            skipped += bool(why)
        except Exception as e:
            failed += 1
            why, word = ("%s: %s" % (type(e).__name__, e)), "FAIL"
            if not isinstance(e, Violation):
                import traceback
                traceback.print_exc()
        print("%-4s %s (%.1f s)%s" % (word, test.__name__, time.monotonic() - begin, ": " + why if why else ""), flush=True)
    print("%d passed, %d failed, %d skipped" % (len(chosen) - failed - skipped, failed, skipped))
    sys.exit(1 if failed or not chosen else SKIPPED if skipped == len(chosen) else 0)
