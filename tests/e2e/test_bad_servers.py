#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Servers that are away, are somebody else, or talk nonsense: TLS of every wrong kind, refused and unknown addresses, answers
that are cut, slow, endless or no answers at all. All that is said is pinned in tests/golden/told/."""
import contextlib
import os
import re
import socket
import subprocess
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from scripted import Scripted, reply
from told import with_desk
from wtest import SOURCE, Etcd, Peak, equal, expect, find_etcd, free_port, is_sanitized, main

LOOK = "targets: {db: {kind: etcd, endpoints: [%s]%s}}\nsteps:\n  - {id: look, uses: etcd.status, with: {in: db}, timeout: %s}\n"


def steady(text):
    """Without what depends on who is faster: how often it was tried, and which of the two found the other gone."""
    text = re.sub(r"^TIME \w+: waiting for \w+: .*\n", "", text, flags=re.M)
    return re.sub(r"((send failure|recv failure|openSSL SSL_\w+): .*?|empty reply from server |HTTP/2 stream 1 was not closed cleanly.*?)"
                  r"(?=[(\n])", "CUT OFF ", text)


def look(desk, row, code, urls, fields="", timeout="30s"):
    """A step that only looks, at a server that it cannot trust or reach."""
    plan = desk.plan(LOOK % (", ".join("'%s'" % u for u in urls.split(",")), fields, timeout), row + ".yaml")
    return desk.told("server-" + row, code, "run", plan, "--run-id", row, "--yes", "--format", "plain", timeout=60, clean=steady)


@with_desk
def addresses(desk):
    """Nobody listens, nobody knows the name, nobody is there: 7, with what was tried, and safe to do again."""
    port = free_port(1)
    look(desk, "refused", 7, "http://127.0.0.1:%d" % port, timeout="30s")
    look(desk, "refused-all", 7, "http://127.0.0.1:%d,http://127.0.0.1:%d" % (port, port + 1), timeout="30s")
    look(desk, "no-such-name", 7, "http://nobody.invalid:2379", timeout="30s")
    with socket.create_server(("127.0.0.1", 0), backlog=0) as silent:
        url = "http://127.0.0.1:%d" % silent.getsockname()[1]
        look(desk, "silent", 7, url, timeout="2s")
        look(desk, "silent-tls", 7, url.replace("http:", "https:"), timeout="2s")


@contextlib.contextmanager
def serving(serve):
    """A server that does this with each connection."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        def listen():
            while True:
                try:
                    peer, _ = listening.accept()
                    with peer:
                        serve(peer)
                except OSError:
                    if listening.fileno() < 0:
                        return
        threading.Thread(target=listen, daemon=True).start()
        yield "http://127.0.0.1:%d" % listening.getsockname()[1]


@contextlib.contextmanager
def answering(answer):
    """A server that says these bytes to whoever connects, and closes."""
    def tell(peer):
        peer.settimeout(5)
        if answer is not None:
            peer.recv(65536)
            peer.sendall(answer)
            peer.shutdown(socket.SHUT_WR)
            peer.recv(65536)

    with serving(tell) as url:
        yield url


@with_desk
def other_servers(desk):
    """What listens is no etcd: told as what it is, and never believed."""
    for row, answer in (("hangs-up", None), ("http-1", b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"),
                        ("ssh", b"SSH-2.0-OpenSSH_9.2\r\n"), ("junk", bytes(range(256)) * 4), ("zeroes", bytes(4096))):
        with answering(answer) as url:
            look(desk, "is-" + row, 7, url, timeout="30s")
            look(desk, "is-" + row + "-tls", 7, url.replace("http:", "https:"), timeout="30s")


def openssl(folder, script):
    subprocess.run(["sh", "-euc", script], cwd=folder, check=True, capture_output=True)


CERTIFICATES = """
certs=%s/tests/lib/certs.sh
$certs .
$certs . expired expired 20200101000000Z 20210101000000Z
$certs . not-yet not-yet 20900101000000Z 20910101000000Z
"""


@with_desk
def certificates(desk):
    """A certificate that is old, early, of another name or signed by nobody we know; one of ours that is missing, old or of no
    use there; TLS where there is none and the other way round: 7, with which certificate, whose, and since when."""
    if not find_etcd():
        return "no etcd"
    openssl(desk.folder, CERTIFICATES % SOURCE)
    ca = ", ca: ca.crt"
    old = os.getcwd()
    os.chdir(desk.folder)  # plans name the files as they lie there
    try:
        for row, cert, fields in (("tls-unknown-ca", "server", ", ca: other-ca.crt"), ("tls-system-ca", "server", ""), ("tls-expired", "expired", ca),
                                  ("tls-not-yet", "not-yet", ca), ("tls-misnamed", "misnamed", ca)):
            with Etcd(desk.folder, row, options=["--cert-file", cert + ".crt", "--key-file", cert + ".key"], scheme="https") as server:
                look(desk, row, 7, server.url, fields)
        with Etcd(desk.folder, "mutual", options=["--cert-file", "server.crt", "--key-file", "server.key", "--trusted-ca-file", "ca.crt",
                                                  "--client-cert-auth"], scheme="https") as server:
            look(desk, "tls-no-client", 7, server.url, ca)
            for row, name in (("tls-client-of-another", "other-client"), ("tls-client-expired", "expired"), ("tls-client-not-yet", "not-yet")):
                look(desk, row, 7, server.url, "%s, cert: %s.crt, key: %s.key" % (ca, name, name))
            look(desk, "tls-client-without-key", 2, server.url, ca + ", cert: client.crt")
            look(desk, "tls-client-other-key", 7, server.url, ca + ", cert: client.crt, key: server.key")
            look(desk, "tls-ca-missing", 6, server.url, ", ca: none.crt")
            desk.file("junk.crt", "no certificate\n")
            look(desk, "tls-ca-junk", 7, server.url, ", ca: junk.crt")
            os.chmod("client.key", 0o644)
            look(desk, "tls-key-open", 6, server.url, ca + ", cert: client.crt, key: client.key")
            os.chmod("client.key", 0o600)
            look(desk, "plain-to-tls", 7, server.url.replace("https:", "http:"))
            desk.w.ok("run", desk.plan(LOOK % ("'%s'" % server.url, ca + ", cert: client.crt, key: client.key", "5s")), "--yes")
        with Etcd(desk.folder, "plain") as server:
            look(desk, "tls-to-plain", 7, server.url.replace("http:", "https:"), ca)
    finally:
        os.chdir(old)
    for name in os.listdir(desk.path("state")):
        expect("--insecure" not in desk.w("report", name).out, "a way round TLS is offered")
    return None


@with_desk
def answers(desk):
    """An answer that proves nothing leaves a POST in doubt (3), and a read failed (1); a redirect is not followed, nothing waits for ever."""
    head = b"HTTP/1.1 200 OK\r\n"
    for row, method, code, answer in (
            ("500", "POST", 3, reply(500, "oh \x1b[31mno")), ("502", "POST", 3, reply(502, "gone")), ("504", "POST", 3, reply(504, "slow")), ("500-read", "GET", 1, reply(500, "no")),
            ("503-read", "GET", 1, reply(503, "later", ["Retry-After: 1"])), ("lost", "POST", 3, [None]), ("lost-read", "GET", 7, [None]),
            ("cut", "POST", 3, [head + b"Content-Length: 100\r\n\r\nabc", None]), ("cut-read", "GET", 1, [head + b"Content-Length: 100\r\n\r\nabc", None]),
            ("redirect", "POST", 1, reply(307, "", ["Location: http://127.0.0.1:1/elsewhere"])), ("no-http", "POST", 3, [b"220 mail ESMTP\r\n", None]),
            ("slow", "POST", 3, [head + b"Content-Length: 100\r\n\r\n"] + [b"x", 0.3] * 100), ("silent", "POST", 3, [60]),
            ("404", "POST", 1, reply(404, "no such thing"))):
        with Scripted(lambda r: answer) as s:
            plan = desk.plan("steps:\n  - {id: ask, uses: http.request, with: {url: '%s/x', method: %s}, timeout: 2s}\n" % (s.url, method), row + ".yaml")
            desk.told("http-" + row, code, "run", plan, "--run-id", row, "--yes", timeout=60, clean=steady)
            expect(len(s.seen) == 1 or method == "GET", "a POST was sent %d times" % len(s.seen))


@with_desk
def proxies(desk):
    """A proxy that the environment names is never asked: what is not reached without it is told by its own address, and what is
    is asked at that address."""
    with Scripted(lambda r: reply(200, "from the proxy")) as proxy, Scripted(lambda r: reply(200, "itself")) as server:
        for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            desk.w.env[name] = proxy.url
        port = free_port(1)
        look(desk, "refused-beside-a-proxy", 7, "http://127.0.0.1:%d" % port)
        look(desk, "refused-beside-a-proxy-tls", 7, "https://127.0.0.1:%d" % port)
        plan = desk.plan("steps:\n  - {id: ask, uses: http.request, with: {url: '%s/x'}}\noutputs: {body: \"${{ steps.ask.outputs.body }}\"}\n" % server.url)
        expect("body: itself" in desk.w.ok("run", plan, "--yes").out, "who has answered")
        equal(proxy.connections, 0, "connections to the proxy")


TOO_MUCH = 10 << 30


@with_desk
def endless(desk):
    """Ten gigabytes in answer to a question: the beginning is kept, the rest is not even taken, and memory stays what it was."""
    sent, piece = [0], b"x" * (1 << 20)

    def pour(peer):
        peer.recv(65536)
        peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % TOO_MUCH)
        while sent[0] < TOO_MUCH:
            sent[0] += peer.send(piece)

    with serving(pour) as url:
        for method in ("GET", "POST"):
            plan = desk.plan("steps:\n  - {id: ask, uses: http.request, with: {url: '%s/x', method: %s}, timeout: 30s}\n"
                             "outputs: {truncated: \"${{ steps.ask.outputs.truncated }}\"}\n" % (url, method))
            p = desk.w.start("run", plan, "--run-id", method, "--yes", stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            peak = Peak(p)
            out, err = p.communicate(timeout=60)
            equal((p.returncode, out), (0, "truncated: true\n"), "exit code and outputs: " + err)
            expect(sent[0] < 1 << 28, "%d bytes were taken" % sent[0])
            expect(is_sanitized() or peak.kib() < 64 * 1024, "%d KiB of memory" % peak.kib())
            sent[0] = 0


if __name__ == "__main__":
    main(addresses, other_servers, certificates, answers, proxies, endless)
