#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""http.request against servers that answer byte for byte as they are told: what is sent, what is believed, and above all
that nothing is sent twice which must not be."""
import json
import os
import re
import shutil
import subprocess
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from scripted import Scripted, reply, tls_server
from wtest import LIMIT, SOURCE, Wherry, equal, expect, in_world, main, wait_for

JSON = ["Content-Type: application/json"]


class World:
    def __init__(self, folder):
        self.folder, self.w, self.n = folder, Wherry(os.path.join(folder, "state")), 0

    def path(self, *names):
        return os.path.join(self.folder, *names)

    def write(self, name, data):
        with open(self.path(name), "wb") as f:
            f.write(data if isinstance(data, bytes) else data.encode())
        return self.path(name)

    def plan(self, steps, head=""):
        """steps: {id: inputs of http.request}, or text. Each needs the one before it."""
        if isinstance(steps, dict):
            before, lines = None, []
            for name, inputs in steps.items():
                inputs = dict(inputs)
                step = {"id": name, "uses": "http.request", **inputs.pop("step", {}), "with": inputs}
                lines.append("  - " + json.dumps({**step, **({"needs": [before]} if before else {})}))
                before = name
            steps = "\n".join(lines) + "\n"
        return self.write("plan.yaml", "wherry: v1\nname: t\nsummary: A test.\n" + head + "steps:\n" + steps)

    def run(self, steps, head="", verb="run", more=(), **options):
        """The way a run of these steps ended; its id is in self.id."""
        self.n += 1
        self.id = "run%d" % self.n
        args = ["--yes", "--run-id", self.id] if verb == "run" else []
        return self.w(verb, self.plan(steps, head), *args, *more, **options)

    def outputs(self, step="a"):
        """The outputs of a step of the last run."""
        dump = self.w.ok("journal", "dump", self.id).out
        found = re.search(r'^\S+ \S+ end .*step="%s".* val=(\{.*)$' % step, dump, re.M)
        return json.JSONDecoder().raw_decode(found.group(1))[0]


with_world = in_world(World)


@with_world
def exchange(world):
    """Method, path, headers and body arrive as written; status, headers, body and JSON come out; cookies do not."""
    with Scripted(lambda r: reply(201, '{"id": 7, "list": [1, null]}', JSON + ["X-A: 1", "x-a: 2", "Set-Cookie: s=1"])) as s:
        done = world.run({"a": {"method": "POST", "url": s.url + "/a/../b?q=%20", "headers": {"X-B": "c: d", "X-N": 3, "X-E": ""},
                                "body": {"b": [True, None, "ä\n"]}}})
        equal(done.code, 0, str(done))
        r = s.seen[0]
        equal((r.method, r.path, json.loads(r.body)), ("POST", "/a/../b?q=%20", {"b": [True, None, "ä\n"]}), "the request")
        equal([r.headers.get(k) for k in ("x-b", "x-n", "x-e", "content-type", "expect", "user-agent")],
              ["c: d", "3", "", "application/json", None, "wherry"], "headers")
        expect(len(r.headers["idempotency-key"]) > 8, "no Idempotency-Key: %s" % r.headers)
        out = world.outputs()
        equal((out["status"], out["json"], out["truncated"], out["headers"]["x-a"]), (201, {"id": 7, "list": [1, None]}, False, "1, 2"), "outputs")
        expect("set-cookie" not in out["headers"], str(out))
        world.run({"a": {"method": "PUT", "url": s.url, "body": "plain ä"}, "b": {"method": "POST", "url": s.url}, "c": {"method": "DELETE", "url": s.url}})
        put, post, delete = s.seen[1:]
        equal((put.body, put.headers.get("content-type"), put.headers.get("idempotency-key")), ("plain ä".encode(), None, None), "a text")
        equal((post.headers.get("content-length"), delete.headers.get("content-length")), ("0", None), "no body")


@with_world
def statuses(world):
    """Each status ends as what it proves: done, a definite failure, or unknown; a failure says what the server said."""
    answers = {"/%d" % s: s for s in (204, 302, 303, 307, 404, 409, 429, 500, 501, 503)}
    with Scripted(lambda r: reply(answers[r.path], "why \x1b[31m not", ["Location: http://127.0.0.1:1/x"])) as s:
        for method, status, code, word in (
                ("GET", 404, 1, "answered 404: why \\x1b"), ("GET", 302, 1, "a redirect to 'http://127.0.0.1:1/x', which is not followed"),
                ("GET", 503, 1, "answered 503"), ("POST", 204, 0, ""), ("POST", 404, 1, "answered 404"), ("POST", 409, 1, "answered 409"),
                ("POST", 307, 1, "not followed"), ("POST", 303, 3, "not followed"), ("POST", 500, 3, "answered 500"),
                ("POST", 501, 1, "answered 501"), ("PATCH", 503, 3, "answered 503"), ("PUT", 500, 1, "answered 500")):
            done = world.run({"a": {"method": method, "url": "%s/%d" % (s.url, status)}})
            equal(done.code, code, "%s %d: %s" % (method, status, done))
            expect(word in done.err, "%s %d: no '%s' in %s" % (method, status, word, done))
        done = world.run({"a": {"url": s.url + "/404", "expect": [404]}, "b": {"method": "POST", "url": s.url + "/303", "expect": [303]}})
        equal(done.code, 0, str(done))
        done = world.run({"a": {"method": "POST", "url": s.url + "/204", "expect": [201]}})
        equal(done.code, 3, "a success that the plan did not expect: %s" % done)
        count = len(s.seen)
        policy = {"step": {"retry": {"attempts": 3, "backoff": "1ms"}}}
        equal(world.run({"a": {"url": s.url + "/503", **policy}}).code, 1, "a read of 503")
        equal(world.run({"a": {"method": "POST", "url": s.url + "/429", **policy}}).code, 1, "429")
        equal(world.run({"a": {"method": "POST", "url": s.url + "/409", **policy}}).code, 1, "409")
        equal(world.run({"a": {"method": "POST", "url": s.url + "/500", **policy}}).code, 3, "500")
        equal(len(s.seen) - count, 3 + 3 + 3 + 1, "requests: what did nothing may be tried again")


def lose_the_second(r):
    """Answers the first request of a connection, and closes it after taking the second; a POST is never answered."""
    return [None] if r.method == "POST" else reply(200, "x")


@with_world
def once(world):
    """A reply that is lost on a connection that was used before posts once: libcurl's own re-send never happens."""
    with Scripted(lose_the_second) as s:
        done = world.run({"a": {"url": s.url + "/a"}, "b": {"url": s.url + "/b"}, "c": {"method": "POST", "url": s.url + "/c", "body": "x"}},
                         more=["-j", "1"])
        equal(len(s.asked("POST")), 1, "POSTs: %s" % s.seen)
        equal((done.code, done.next()[:3]), (3, ["resolve", world.id, "c"]), str(done))
        expect(s.asked("GET")[0].connection == s.asked("GET")[1].connection, "reads share no connection: %s" % s.seen)
        expect(s.asked("POST")[0].connection != s.asked("GET")[1].connection, "a POST on a used connection")
        equal(world.w("resume", world.id, "--yes").code, 3, "resume in doubt")
        equal(len(s.asked("POST")), 1, "POSTs after resume")
        world.w.ok("resolve", world.id, "c", "--not-done", "--reason", "asked the server")
        equal(world.w("resume", world.id, "--yes").code, 3, "resume")
        keys = [r.headers["idempotency-key"] for r in s.asked("POST")]
        expect(len(keys) == 2, "POSTs after the operator's word: %s" % s.seen)


@with_world
def lost(world):
    """However an answer is lost, a POST is in doubt, and what is idempotent is done again by retry alone."""
    head = b"HTTP/1.1 200 OK\r\n"
    for name, answer in (
            ("no reply", [None]), ("half a status line", [b"HTTP/1.1 20", None]), ("no end of the headers", [head, None]),
            ("half a body", [head + b"Content-Length: 100\r\n\r\nabc", None]),
            ("bad chunking", [head + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n0\r\n\r\n", None]),
            ("a cut chunk", [head + b"Transfer-Encoding: chunked\r\n\r\n10\r\nabc", None]),
            ("no HTTP", [b"220 mail.example ESMTP\r\n", None]), ("endless headers", [head + b"X: " + b"a" * 60000 + b"\r\nY: " + b"b" * 60000, None]),
            ("only interim answers", [b"HTTP/1.1 100 Continue\r\n\r\n", None])):
        with Scripted(lambda r: answer) as s:
            done = world.run({"a": {"method": "POST", "url": s.url}})
            equal((done.code, len(s.seen)), (3, 1), "%s: %s" % (name, done))
            done = world.run({"a": {"method": "POST", "url": s.url, "idempotent": True, "step": {"retry": {"attempts": 2, "backoff": "1ms"}}}})
            equal(len(s.seen), 3, "%s, idempotent: %s" % (name, done))
    answers = [[None], [head + b"Content-Length: 9\r\n\r\nabc", None], reply(200, "good")]
    with Scripted(lambda r: answers[len(s.seen) - 1]) as s:
        done = world.run({"a": {"url": s.url, "step": {"retry": {"attempts": 2, "backoff": "1ms"}}}})
        equal((done.code, len(s.seen), world.outputs()["body"]), (0, 3, "good"), "a read: %s" % done)


@with_world
def probes(world):
    """A lost POST is settled by its probe: success is done, 404 is not done, anything else stays in doubt."""
    for status, code, posts in ((200, 0, 1), (404, 1, 1), (500, 3, 1)):
        with Scripted(lambda r: [None] if r.method == "POST" else reply(status)) as s:
            done = world.run({"a": {"method": "POST", "url": s.url, "probe": s.url + "/probe", "headers": {"X-A": "b"}}})
            equal((done.code, len(s.asked("POST")), s.asked("GET")[0].headers["x-a"]), (code, posts, "b"), "probe %d: %s" % (status, done))


@with_world
def bounds(world):
    """A long answer is cut at max_body and says so; a slow or silent one is given up; neither hangs nor fills memory."""
    with Scripted(lambda r: reply(200, b"\xff\0" * 5000000)) as s:
        done = world.run({"a": {"url": s.url, "max_body": 1001}})
        out = world.outputs()
        equal((done.code, out["truncated"], out["json"]), (0, True, None), str(done))
        expect("$bytes" in out["body"] and "longer than max_body" in done.err, "%s %s" % (done, out))
    with Scripted(lambda r: reply(200, b'{"a": "' + b"\xff" + b'"}', JSON)) as s:
        done = world.run({"a": {"url": s.url}})
        expect(done.code == 0 and world.outputs()["json"] is None and "is JSON, and is not" in done.err, str(done))
    drip = [b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n"] + [b"x", 0.3] * 60
    for name, answer in (("a dripping body", drip), ("silence", [30])):
        with Scripted(lambda r: answer) as s:
            done = world.run({"a": {"method": "POST", "url": s.url, "stall": "1s"}})
            equal((done.code, len(s.seen)), (3, 1), "%s: %s" % (name, done))
            done = world.run({"a": {"method": "POST", "url": s.url, "step": {"timeout": "1s"}}})
            equal((done.code, len(s.seen)), (3, 2), "%s until the time-out: %s" % (name, done))


@with_world
def injection(world):
    """No input adds a header, a request or another host; what is refused is not echoed where it may be a secret."""
    head = "params:\n  p: {type: string, secret: true, env: P}\n"
    step = '  - {id: a, uses: http.request, with: {url: "%s", headers: {X-A: "${{ params.p }}"}}}\n'
    with Scripted(lambda r: reply(200)) as s:
        for name, inputs in (
                ("a value", {"url": s.url, "headers": {"X-A": "b\r\nX-C: d"}}), ("a lone LF", {"url": s.url, "headers": {"X-A": "b\nX-C: d"}}),
                ("a name", {"url": s.url, "headers": {"X-A: b\r\nX-C": "d"}}), ("a length", {"url": s.url, "headers": {"content-Length": "1"}}),
                ("chunks", {"url": s.url, "headers": {"Transfer-Encoding": "chunked"}}), ("a url", {"url": s.url + "/ HTTP/1.1\r\nX-C: d"}),
                ("a fragment", {"url": s.url + "/#x"}), ("another scheme", {"url": "file:///etc/passwd"}), ("gopher", {"url": "gopher://127.0.0.1:1/x"}),
                ("no host", {"url": "http:///x"}), ("a relative url", {"url": "/x"}), ("twice", {"url": s.url, "headers": {"x-a": "1", "X-A": "2"}}),
                ("a method", {"url": s.url, "method": "GET / HTTP/1.1\r\nX-C: d"}), ("a body for GET", {"url": s.url, "body": "x"})):
            done = world.run({"a": inputs})
            equal((done.code, len(s.seen)), (2, 0), "%s: %s" % (name, done))
        done = world.run({"a": {"url": s.url.replace("//", "//user:hunter2@")}})
        equal(done.code, 2, str(done))
        done = world.run(step % s.url, head, env={"P": "hunter2\r\nX-C: d"})
        expect(done.code != 0 and "control character" in done.err and "hunter2" not in done.err, str(done))
        equal(len(s.seen), 0, "requests")
        equal(world.run({"a": {"url": "/x"}}, 'targets:\n  api: {kind: http, url: "%s"}\n' % s.url).code, 2, "a path without target")
        other = 'targets:\n  api: {kind: http, url: "%s/api/"}\n' % s.url
        equal(world.run({"a": {"on": "api", "url": "http://127.0.0.1:1/"}}, other).code, 2, "a url on a target")
        equal((world.run({"a": {"on": "api", "url": "/x"}}, other).code, s.seen[0].path), (0, "/api/x"), "a path on a target")


@with_world
def secrets(world):
    """A secret in headers, body or target reaches the server, and neither journal nor screen, even when it is said back."""
    head = "params:\n  p: {type: string, secret: true, env: P}\n"
    echo = lambda r: reply(200, b"you said " + r.body + r.headers["x-key"].encode("latin-1"), ["X-Back: " + r.headers.get("authorization", "")])
    with Scripted(echo) as s:
        target = 'targets:\n  api: {kind: http, url: "%s", token: "${{ params.p }}"}\n' % s.url
        step = ('  - {id: a, uses: http.request, with: {on: api, method: POST, url: /x, headers: {X-Key: "k ${{ params.p }}"},'
                ' body: {password: "${{ params.p }}", other: [1]}}}\n')
        done = world.run(step, head + target, more=["-v"], env={"P": 'hunter2"é'})
        equal(done.code, 0, str(done))
        equal(json.loads(s.seen[0].body), {"password": 'hunter2"é', "other": [1]}, "the body")
        equal(s.seen[0].headers["authorization"].encode("latin-1"), 'Bearer hunter2"é'.encode(), "the token")
        expect("without TLS" in done.err, str(done))
        plan = world.run(step, head + target, verb="plan", env={"P": "hunter2"})
        expect("holds secrets" in plan.out + plan.err and "opaque" in plan.out + plan.err, str(plan))
        for root, _, files in os.walk(world.w.state):
            for name in files:
                data = open(os.path.join(root, name), "rb").read()
                expect(b"hunter2" not in data, "the secret is in %s: %r" % (name, data[data.find(b"hunter2") - 200:][:260]))
        for text in (done.out, done.err, plan.out, plan.err):
            expect("hunter2" not in text, "the secret is shown: " + text)


@with_world
def refusals(world):
    """After a 401 credentials are read again, once, even for a POST; refused again, the run pauses with 7 and goes on later."""
    token = world.write("token", "old\n")

    def answer(r):
        if r.headers.get("authorization") == "Bearer new":
            return reply(200, "in")
        if renew:
            world.write("token", "new\n")
        return reply(401, "who are you")
    with Scripted(answer) as s:
        head = 'targets:\n  api: {kind: http, url: "%s", token_file: %s}\n' % (s.url, token)
        renew = True
        done = world.run({"a": {"on": "api", "method": "POST", "url": "/x"}}, head)
        equal((done.code, len(s.seen)), (0, 2), str(done))
        renew = world.write("token", "old\n") is None
        done = world.run({"a": {"on": "api", "method": "POST", "url": "/x"}}, head)
        equal((done.code, len(s.seen), done.next()), (7, 4, ["resume", world.id]), str(done))
        world.write("token", "new\n")
        equal((world.w("resume", world.id, "--yes").code, len(s.seen)), (0, 5), "resume")


@with_world
def away(world):
    """A server that is away pauses the run with 7; one that comes back is waited for."""
    with Scripted(lambda r: reply(200)) as s:
        port = s.port
    done = world.run({"a": {"method": "POST", "url": "http://127.0.0.1:%d/" % port}})
    equal((done.code, done.next()), (7, ["resume", world.id]), str(done))
    done = world.run({"a": {"url": "http://127.0.0.1:%d/" % port}})
    equal(done.code, 7, str(done))
    expect("waiting for http" in done.err, str(done))
    later = []

    def answer(r):
        s.stop()
        threading.Timer(1, lambda: later.append(Scripted(lambda r: reply(200), port=s.port))).start()
        return [reply(200, headers=["Connection: close"]), None]
    with Scripted(answer) as s:
        done = world.run({"a": {"url": s.url}, "b": {"method": "POST", "url": s.url}})
        equal((done.code, len(later[0].seen)), (0, 1), str(done))
        expect("waiting for http" in done.err, str(done))
        later[0].stop()


@with_world
def stops(world):
    """A first signal leaves a sent POST its answer, a second one leaves it in doubt; a read just ends; a kill is in doubt."""
    for method, signals, code, left in (("GET", [2, 2], 130, "resume"), ("POST", [2], 130, "resume"), ("POST", [15, 15], 143, "resolve"),
                                        ("POST", [9], -9, "resolve")):
        answered = threading.Event()
        with Scripted(lambda r: [reply(200), None] if answered.wait(LIMIT) else [None]) as s:
            world.n += 1
            run = "run%d" % world.n
            told = world.path("told")
            p = world.w.start("run", world.plan({"a": {"method": method, "url": s.url}, "b": {"url": s.url}}), "--yes", "--run-id", run,
                              stdout=subprocess.DEVNULL, stderr=open(told, "w"))
            wait_for(lambda: s.seen, "it asked", p)
            p.send_signal(signals[0])
            wait_for(lambda: p.poll() is not None or "a second signal stops at once" in open(told).read(), "it heard the signal")
            for number in signals[1:]:
                p.send_signal(number)
            if method == "POST" and signals == [2]:
                expect(p.poll() is None, "it did not wait for the answer")
                answered.set()
            equal((p.wait(LIMIT), len(s.seen)), (code, 1), "%s, signals %s" % (method, signals))
            answered.set()
            done = world.w("resume", run, "--yes")
            equal((done.code, len(s.asked("POST"))), (3 if left == "resolve" else 0, method == "POST"), "%s, signals %s: %s" % (method, signals, done))
            if left == "resolve":
                equal(done.next()[0], "resolve", "the next command")


@with_world
def tls(world):
    """A server's certificate is believed only when it is signed, ours and of its name; a client's is shown."""
    subprocess.run([os.path.join(SOURCE, "tests/lib/certs.sh"), world.folder], check=True)
    ca = "ca: %s" % world.path("ca.crt")
    client = "cert: %s, key: %s" % (world.path("client.crt"), world.path("client.key"))
    for name, server, fields, code, word in (
            ("right", {}, ca, 0, ""), ("another ca", {}, "ca: %s" % world.path("other-ca.crt"), 7, "certificate is refused"),
            ("the system's", {}, "", 7, "certificate is refused"), ("another name", {"name": "misnamed"}, ca, 7, "certificate is refused"),
            ("a client's", {"client_ca": "ca"}, "%s, %s" % (ca, client), 0, ""), ("no client's", {"client_ca": "ca"}, ca, 7, "without certificate"),
            ("another client's", {"client_ca": "other-ca"}, "%s, %s" % (ca, client), 7, "refuses client certificate")):
        with Scripted(lambda r: reply(200), tls_server(world.folder, **server)) as s:
            target = 'targets:\n  api: {kind: http, url: "%s"%s}\n' % (s.url, ", " + fields if fields else "")
            done = world.run({"a": {"on": "api", "method": "POST", "url": "/"}}, target)
            equal((done.code, len(s.seen)), (code, 1 if code == 0 else 0), "%s: %s" % (name, done))
            expect(word in done.err, "%s: no '%s' in %s" % (name, word, done))
    if shutil.which("strace"):  # a server that hangs up before we have looked at what it says
        w = Wherry(world.path("slow"), prefix=["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=getpeername", "-e",
                                               "inject=getpeername:error=ENOTCONN"],
                   env={"ASAN_OPTIONS": "detect_leaks=0"})  # which cannot work beside strace
        with Scripted(lambda r: reply(200), tls_server(world.folder, client_ca="ca")) as s:
            done = w("run", world.plan({"a": {"on": "api", "method": "POST", "url": "/"}},
                                       'targets:\n  api: {kind: http, url: "%s", %s}\n' % (s.url, ca)), "--yes")
            equal((done.code, len(s.seen)), (7, 0), str(done))
            expect("without certificate" in done.err, "it is not told why: %s" % done)
    with Scripted(lambda r: reply(200)) as s:  # no TLS where TLS is asked for
        done = world.run({"a": {"method": "POST", "url": s.url.replace("http:", "https:")}})
        equal((done.code, len(s.seen)), (7, 0), str(done))


@with_world
def dry_run(world):
    """The dry-run asks what only looks, sends nothing else, and knows nothing of a server after a predicted change."""
    with Scripted(lambda r: reply(200, '{"n": 1}', JSON)) as s, Scripted(lambda r: reply(200)) as other:
        done = world.run({"a": {"url": s.url + "/n"}, "b": {"method": "POST", "url": s.url + "/p", "body": {"x": 1}}, "c": {"url": s.url + "/n"},
                          "d": {"method": "PUT", "url": s.url + "/q", "body": "${{ steps.c.outputs.json }}"}, "e": {"url": other.url}}, verb="plan")
        equal((done.code, [r.path for r in s.seen], len(other.seen)), (0, ["/n"], 1), str(done))
        text = done.out + done.err
        for word in ("/p, 7 bytes of JSON", "opaque", "predicted", "with a body that is not known yet"):
            expect(word in text, "no '%s' in %s" % (word, done))


@with_world
def looks(world):
    """A command that only looks is run in the dry-run, after a command that acts, too."""
    done = world.run("  - {id: a, uses: exec, with: {argv: [sh, -c, ': >%s']}}\n" % world.path("acted") +
                     "  - {id: b, uses: exec, needs: [a], with: {read_only: true, argv: [sh, -c, ': >%s']}}\n" % world.path("looked"), verb="plan")
    equal((done.code, os.path.exists(world.path("acted")), os.path.exists(world.path("looked"))), (0, False, True), str(done))


@with_world
def waits(world):
    """A GET can be waited on and be a guard; a POST cannot."""
    with Scripted(lambda r: reply(200, '{"ready": %s}' % ("true" if len(s.seen) > 2 else "false"), JSON)) as s:
        step = ('  - {id: a, uses: wait, with: {step: {uses: http.request, with: {url: "%s", method: %s}}, '
                'until: "${{ value.json.ready }}", every: 50ms}}\n')
        done = world.run(step % (s.url, "GET"))
        equal((done.code, len(s.seen)), (0, 3), str(done))
        equal(world.run(step % (s.url, "POST")).code, 2, "waiting on a POST")
    for inputs, found in (({"method": "POST"}, True), ({"method": "POST", "idempotent": True}, False), ({"method": "PUT"}, False), ({}, False)):
        done = world.w("validate", "--strict", world.plan({"a": {"url": "http://127.0.0.1:1/", **inputs}}))
        equal("exec-not-safe" in done.out + done.err, found, "the lint of %s: %s" % (inputs, done))


main(exchange, statuses, once, lost, probes, bounds, injection, secrets, refusals, away, stops, tls, dry_run, looks, waits)
