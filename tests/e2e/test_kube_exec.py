#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""kubernetes.exec and the copies against a server that lies, breaks off, drips or floods. A command whose end was not seen is in
doubt (3); one that cannot have begun has failed (1). All that is said is pinned in tests/golden/told/."""
import hashlib
import os
import re
import struct
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from execserver import CLOSE, ExecServer, frame, out, refusal, status
from scripted import reply
from told import with_desk
from wtest import Peak, equal, expect, is_sanitized, main

PLAN = """targets: {k: {kind: kubernetes, kubeconfig: %s}}
steps:
  - id: run
    uses: kubernetes.exec
    with: {in: k, pod: p, argv: [work, %s]%s}
    timeout: %s
"""


class Endless(list):
    """The same bytes for as long as somebody reads."""

    def __iter__(self):
        yield from super().__iter__()
        while True:
            yield self.more


def endless(first, more):
    parts = Endless(first)
    parts.more = more
    return parts


def tell(desk, server, row, code, fields="", timeout="20s", **more):
    plan = desk.plan(PLAN % (server.kubeconfig(desk.folder), row, fields, timeout), row + ".yaml")
    return desk.told("kube-exec-" + row, code, "run", plan, "--run-id", row, "--yes", "--format", "plain", timeout=60, **more)


def rows(desk, table, **server):
    """table: row -> (exit code, what the server answers[, fields of the step[, its time-out]])."""
    with ExecServer({row: entry[1] for row, entry in table.items()}, **server) as api:
        for row, entry in table.items():
            tell(desk, api, row, entry[0], *entry[2:])


def upgrade(**how):
    """All of the answer is an upgrade of another kind."""
    return lambda server, request: [server.upgrade(request, **how), out(b"hi\n"), status(), CLOSE, None]


@with_desk
def handshakes(desk):
    """An upgrade that is none, or to something else: never believed, and the command may have begun."""
    rows(desk, {
        "bad-accept": (3, upgrade(accept="c2hhbWUgb24geW91IGZvciBseWluZw==")),
        "other-protocol": (3, upgrade(protocol="v4.channel.k8s.io")),
        "no-protocol": (3, upgrade(protocol="")),
        "extension": (3, upgrade(more=["Sec-WebSocket-Extensions: permessage-deflate"])),
        "no-upgrade": (3, lambda *_: reply(101)),
        "not-http": (3, lambda *_: [b"\x16\x03\x01 what?\r\n\r\n", None]),
        "hangs-up": (3, lambda *_: [None]),
        "endless-head": (3, lambda *_: endless([b"HTTP/1.1 101 Yes\r\n"], b"X: y\r\n" * 1000)),
    })


@with_desk
def refusals(desk):
    """A status proves that nothing began, but for 5xx."""
    rows(desk, {
        "forbidden": (1, lambda *_: refusal(403, 'pods "p" is forbidden: User "x" cannot create resource "pods/exec"')),
        "forbidden-silent": (1, lambda *_: refusal(403)),
        "bad-request": (1, lambda *_: refusal(400, "a container name must be specified for pod p", "BadRequest")),
        "unauthorized": (7, lambda *_: refusal(401, "Unauthorized", "Unauthorized")),
        "server-error": (3, lambda *_: refusal(500, "etcdserver: leader changed", "InternalError")),
        "gateway": (3, lambda *_: reply(502, "<html>Bad Gateway</html>")),
        "redirected": (1, lambda *_: reply(307, b"", ["Location: https://example.org/"])),
        "no-upgrade-200": (1, lambda *_: reply(200, "hello")),
    })


@with_desk
def frames(desk):
    """Frames that break the protocol or are too large."""
    rows(desk, {
        "too-large": (3, [frame(b"\x01hi\n", length=1 << 40), None]),
        "too-long": (3, [frame(b"\x01", fin=False)] + [frame(b"x" * 65535, opcode=0, fin=False)] * 70 + [None]),
        "masked": (3, [frame(b"\x01hi\n", mask=True), None]),
        "reserved-bits": (3, [frame(b"\x01hi\n", rsv=4), None]),
        "unknown-opcode": (3, [frame(b"\x01hi\n", opcode=5), None]),
        "long-ping": (3, [frame(b"x" * 200, opcode=9), None]),
        "continues-nothing": (3, [frame(b"\x01hi\n", opcode=0), None]),
        "text": (3, [frame(b"hello", opcode=1), None]),
        "no-channel": (3, [frame(b""), None]),
        "closed": (3, [out(b"hi\n"), CLOSE, None]),
        "going-away": (3, [out(b"hi\n"), frame(struct.pack(">H", 1001) + b"bye", opcode=8), None]),
        "cut": (3, [out(b"hi\n")[:-1], None]),
    })


@with_desk
def statuses(desk):
    """What the exit status says, and what of it is nonsense."""
    start = "Internal error occurred: error executing command in container: failed to exec in container: failed to start exec \"7f\": " \
        "OCI runtime exec failed: exec failed: unable to start container process: exec: \"work\": permission denied: unknown"
    rows(desk, {
        "good": (0, [out(b"hi\n"), status(), CLOSE, None]),
        "good-lost": (0, [out(b"hi\n"), status(), None]),
        "in-pieces": (0, [frame(b"\x01h", fin=False), frame(b"", opcode=9), frame(b"i\n", opcode=0), status(), CLOSE, 1, None]),
        "other-channels": (0, [out(b"?", 9), out(b"?", 255), status(), CLOSE, None]),
        "code": (1, [out(b"cannot open the door\n", 2), status(4), CLOSE, None]),
        "expected-code": (0, [status(4), CLOSE, None], ", expect_codes: [4]"),
        "words": (0, [out(b"Expo"), out(b"rt finished\n"), status(), CLOSE, None], ", expect_output: Export finished"),
        "no-words": (1, [out(b"Export failed\n"), status(), CLOSE, None], ", expect_output: Export finished"),
        "not-started": (1, [status(message=start), CLOSE, None]),
        "no-container": (1, [status(message='container not found ("c")'), CLOSE, None]),
        "dialing": (1, [status(message="error dialing backend: dial tcp 10.0.0.1:10250: connect: connection refused"), CLOSE, None]),
        "internal": (3, [status(message="Internal error occurred: something else"), CLOSE, None]),
        "no-json": (3, [out(b"Success", 3), CLOSE, None]),
        "not-a-code": (3, [status(details={"causes": [{"reason": "ExitCode", "message": "four"}]}, status="Failure"), CLOSE, None]),
        "large-status": (3, [out(b"x" * 200000, 3), out(b"x" * 200000, 3), CLOSE, None]),
    })


@with_desk
def programs(desk):
    """A container without `env` cannot mark what runs in it; without the program, nothing runs."""
    rows(desk, {"no-env": (0, [out(b"hi\n"), status(), CLOSE, None])}, lacks=["env"])
    rows(desk, {"no-program": (1, [])}, lacks=["env", "work"])


@with_desk
def pods(desk):
    """What became of the pod is said where it may be why."""
    one = ("uid-1", "id-1", "")
    for row, pods, answer in (("replaced", [one, ("uid-2", "id-2", "")], [status(137), CLOSE, None]),
                              ("out-of-memory", [one, ("uid-1", "id-2", "OOMKilled")], [status(137), CLOSE, None]),
                              ("killed", [one], [status(137), CLOSE, None]),
                              ("pod-gone", [one, ("", "", "")], [out(b"hi\n"), None])):
        rows(desk, {row: (3, answer)}, pods=pods)
    rows(desk, {"no-pod": (1, [])}, pods=[("", "", "")])


@with_desk
def ends(desk):
    """A time-out ends the command in the pod where it can be found there, and says so where it cannot."""
    rows(desk, {"timed-out": (3, [out(b"hi\n"), 30], "", "1s"),
                "look-timed-out": (1, [out(b"hi\n"), 30], ", read_only: true", "1s")})
    rows(desk, {"left": (3, [out(b"hi\n"), 30], ", grace: 1s", "1s")}, left=b"17 work\n")


COPY = """targets: {k: {kind: kubernetes, kubeconfig: %s}}
steps:
  - id: copy
    uses: kubernetes.copy-%s
    with: {in: k, pod: p, path: /%s, %s: %s}
    timeout: 3s
"""


@with_desk
def copies(desk):
    """A copy that did not come whole, or of a container that lacks a program, is none: nothing gets the name."""
    digest = hashlib.sha256(b"hello").hexdigest().encode()

    def sent(code, said):
        """There is no such file; and this is how the copy ends."""
        return lambda server, request: [server.upgrade(request), *([out(said, 2), status(code)] if "umask" in request.path else [status(96)]), CLOSE, 0.5, None]
    table = {
        "whole": (0, "from", [out(b"5\n" + digest + b"  -\n", 2), out(b"hello"), status(), CLOSE, None]),
        "other-hash": (1, "from", [out(b"5\n" + digest + b"  -\n", 2), out(b"hellO"), status(), CLOSE, None]),
        "too-short": (1, "from", [out(b"5\n" + digest + b"  -\n", 2), out(b"hell"), status(), CLOSE, None]),
        "no-hash": (1, "from", [out(b"hello"), status(), CLOSE, None]),
        "lacks": (1, "from", [out(b"sha256sum\n", 2), status(97), CLOSE, None]),
        "read-error": (1, "from", [out(b"cat: read error: I/O error\n", 2), out(b"he"), status(1), CLOSE, None]),
        "cut-off": (7, "from", [out(b"5\n" + digest + b"  -\n", 2), out(b"hel"), None]),
        "damaged": (1, "to", sent(91, b"")),
        "no-space": (1, "to", sent(1, b"cat: write error: No space left on device\n")),
    }
    with ExecServer({"/" + row: answer for row, (_, _, answer) in table.items()}) as api:
        for row, (code, way, _) in table.items():
            here = desk.file("source", "hello") if way == "to" else desk.path(row)
            plan = desk.plan(COPY % (api.kubeconfig(desk.folder), way, row, "from" if way == "to" else "to", here), row + ".yaml")
            desk.told("kube-copy-" + row, code, "run", plan, "--run-id", row, "--yes", "--format", "plain", timeout=60,
                      clean=lambda text: re.sub(r"TIME copy: waiting for k: .*\n", "", text))
            equal(os.path.exists(desk.path(row)), row == "whole", "is there a file of " + row)


@with_desk
def floods(desk):
    """However much comes, little of it is held; and nothing of it stops the clock."""
    table = {"flood": endless([], out(b"x" * 32000)), "pings": endless([], frame(b"", opcode=9) * 1000),
             "pings-then-end": [frame(b"", opcode=9) * 1000, status(), CLOSE, 1, None],
             "drip": [part for b in out(b"hi\n") + status() + CLOSE for part in (bytes([b]), 0.01)] + [None]}
    with ExecServer(table) as api:
        for row, code in (("flood", 3), ("pings", 3), ("pings-then-end", 0), ("drip", 0)):
            plan = desk.plan(PLAN % (api.kubeconfig(desk.folder), row, "", "3s"), row + ".yaml")
            process = desk.w.start("run", plan, "--run-id", row, "--yes", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            peak = Peak(process)
            equal(process.wait(60), code, "exit code of " + row)
            expect(is_sanitized() or peak.kib() < 48 << 10, "%s: %d KiB" % (row, peak.kib()))


main(handshakes, refusals, frames, statuses, programs, pods, ends, copies, floods)
