# SPDX-License-Identifier: Apache-2.0
"""A TCP proxy on 127.0.0.1 that has bad weather on command. Standard library only."""
import contextlib
import select
import socket
import threading
import time


class FaultProxy:
    """In front of 127.0.0.1:PORT. Weather: "fine" bytes pass; "stalled" connections stand, and new ones are made, but no byte
    passes; "cut" there is nobody. delay: seconds that each piece takes. drop_after(n): both sides are cut off after n more
    bytes from the server, once."""

    def __init__(self, port):
        self.to, self.weather, self.delay, self.left = port, "fine", 0, None
        self.pairs, self.lock, self.ended, self.accepted = set(), threading.Lock(), threading.Event(), 0
        self.listener = None
        self.port = 0
        self.listen()
        self.url = "http://127.0.0.1:%d" % self.port

    def listen(self):
        self.listener = socket.create_server(("127.0.0.1", self.port), backlog=64)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, args=(self.listener,), daemon=True).start()

    def accept(self, listener):
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(("127.0.0.1", self.to), 5)
            except OSError:
                client.close()
                continue
            for s in (client, server):
                s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self.lock:
                self.accepted += 1
                self.pairs.add((client, server))
            threading.Thread(target=self.carry, args=(client, server), daemon=True).start()

    def carry(self, client, server):
        try:
            while not self.ended.is_set():
                if self.weather == "stalled":
                    time.sleep(0.01)
                    continue
                for source in select.select([client, server], [], [], 0.05)[0]:
                    if self.weather == "stalled":
                        break
                    data = source.recv(65536)
                    if not data:
                        return
                    if self.delay:
                        time.sleep(self.delay)
                    if source is server and self.left is not None:
                        data, self.left = data[:self.left], self.left - len(data)
                    (server if source is client else client).sendall(data)
                    if self.left is not None and self.left <= 0:
                        self.left = None
                        return
        except (OSError, ValueError):
            pass
        finally:
            self.hang_up([(client, server)])

    def hang_up(self, pairs):
        for pair in pairs:
            with self.lock:
                self.pairs.discard(pair)
            for s in pair:
                with contextlib.suppress(OSError):
                    s.shutdown(socket.SHUT_RDWR)
                s.close()

    def stall(self):
        self.weather = "stalled"

    def cut(self):
        """Nobody is there any more."""
        self.weather = "cut"
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.break_off()

    def break_off(self):
        """The connections that there are end; new ones may be made."""
        self.hang_up(list(self.pairs))

    def heal(self):
        if self.weather == "cut":
            self.listen()
        self.weather = "fine"

    def drop_after(self, n):
        self.left = n

    def stop(self):
        self.ended.set()
        if self.weather != "cut":
            self.cut()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
