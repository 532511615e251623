"""A TCP relay on loopback that can be cut like a cable: every connection breaks at once, and new ones are refused."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Iterator

#: Closing with this set breaks a connection instead of ending it.
_AT_ONCE = struct.pack("ii", 1, 0)


class Relay:
    """Listens on a port of its own and passes everything on to another."""

    def __init__(self, target_port: int) -> None:
        self._target = target_port
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.connections = 0
        self._serve()

    def cut(self) -> None:
        """Break every connection, and refuse new ones."""
        # Closing alone does not wake a thread that accepts.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            for one in self._open:
                with contextlib.suppress(OSError):
                    one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
                    one.shutdown(socket.SHUT_RDWR)
                one.close()
            self._open.clear()

    def mend(self) -> None:
        """Take connections again, on the same port."""
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self._serve()

    def _serve(self) -> None:
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                caller, _ = listener.accept()
            except OSError:
                return
            self.connections += 1
            try:
                target = socket.create_connection(("127.0.0.1", self._target), timeout=5)
            except OSError:
                caller.close()
                continue
            target.settimeout(None)
            with self._lock:
                if listener.fileno() < 0:  # cut meanwhile
                    caller.close()
                    target.close()
                    continue
                self._open |= {caller, target}
            for one, other in ((caller, target), (target, caller)):
                threading.Thread(target=self._pass_on, args=(one, other), daemon=True).start()

    def _pass_on(self, one: socket.socket, other: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := one.recv(65_536):
                other.sendall(data)
        for end in (one, other):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
        with self._lock:
            self._open -= {one, other}


@contextlib.contextmanager
def relay_to(port: int) -> Iterator[Relay]:
    """Relay to a port of 127.0.0.1 while the block runs."""
    relay = Relay(port)
    try:
        yield relay
    finally:
        relay.cut()
