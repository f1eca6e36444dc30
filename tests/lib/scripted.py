# SPDX-License-Identifier: Apache-2.0
"""An HTTP server that answers byte for byte as a test says, and remembers all that it was asked. Standard library only."""
import contextlib
import socket
import ssl
import threading


class Request:
    def __init__(self, head, body, connection):
        lines = head.decode("latin-1").split("\r\n")
        self.line, self.body, self.connection = lines[0], body, connection
        self.method, self.path = lines[0].split(" ")[:2]
        self.headers = {k.lower(): v.strip() for k, v in (line.split(":", 1) for line in lines[1:])}

    def __repr__(self):
        return "%s (connection %d)" % (self.line, self.connection)


def reply(status=200, body=b"", headers=(), version="1.1"):
    body = body if isinstance(body, bytes) else body.encode()
    lines = ["HTTP/%s %d Word" % (version, status), "Content-Length: %d" % len(body)] + list(headers)
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


class Scripted:
    """answer(request) gives the bytes of the reply, or a list of them with pauses (seconds) between; when it ends with
    None, the connection is closed. Each request is in self.seen before it is answered."""

    def __init__(self, answer, tls=None, port=0):
        self.answer, self.tls, self.seen, self.connections = answer, tls, [], 0
        self.lock, self.ended = threading.Lock(), threading.Event()
        self.socket = socket.create_server(("127.0.0.1", port))
        self.port = self.socket.getsockname()[1]
        self.url = "%s://127.0.0.1:%d" % ("https" if tls else "http", self.port)
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self):
        while not self.ended.is_set():
            try:
                peer, _ = self.socket.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self.serve, args=(peer, self.connections), daemon=True).start()

    def serve(self, peer, number):
        try:
            if self.tls:
                peer = self.tls.wrap_socket(peer, server_side=True)
            with peer:
                while self.one(peer, number):
                    pass
        except (OSError, ssl.SSLError):
            pass

    def one(self, peer, number):
        data = b""
        while b"\r\n\r\n" not in data:
            more = peer.recv(65536)
            if not more or more[:1] == b"\x16":  # a TLS client
                return False
            data += more
        head, body = data.split(b"\r\n\r\n", 1)
        request = Request(head, body, number)
        while len(request.body) < int(request.headers.get("content-length", 0)):
            request.body += peer.recv(65536)
        with self.lock:
            self.seen.append(request)
        parts = self.answer(request)
        for part in parts if isinstance(parts, list) else [parts]:
            if part is None:
                return False
            if isinstance(part, (int, float)):
                self.ended.wait(part)
            else:
                peer.sendall(part)
        return True

    def stop(self):
        """Nobody is at the port any more."""
        self.ended.set()
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()

    def asked(self, method):
        return [r for r in self.seen if r.method == method]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


def tls_server(folder, name="server", client_ca=None):
    """A context with a certificate of certs.sh; client_ca: clients must show one of it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain("%s/%s.crt" % (folder, name), "%s/%s.key" % (folder, name))
    if client_ca:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations("%s/%s.crt" % (folder, client_ca))
    return context
