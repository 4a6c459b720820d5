"""UDP peers that misbehave: one that is silent, and one between a manager and a real agent."""

import socket
import threading
from collections.abc import Callable
from typing import Self

WAIT_SECONDS = 20.0

Mangle = Callable[[int, bytes], list[bytes]]
"""What to send for the agent's n-th answer, counted from 0."""


class Silent:
    """A port that takes all and answers nothing."""

    def __enter__(self) -> Self:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.host = "{}:{}".format(*self._socket.getsockname())
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()


class Between:
    """Hands requests on to an agent and its answers back, as `mangle` has them."""

    def __init__(self, port: int, mangle: Mangle, *, from_elsewhere: bool = False) -> None:
        self._port = port
        self._from_elsewhere = from_elsewhere
        self._mangle = mangle
        self.requests = 0

    def __enter__(self) -> Self:
        self._near = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._near.bind(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
            last.sendto(b"", self._near.getsockname())
        self._thread.join(WAIT_SECONDS)
        self._near.close()

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self._near.getsockname()[1]}"

    def _run(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as far:
            far.settimeout(WAIT_SECONDS)
            far.connect(("127.0.0.1", self._port))
            while True:
                request, asker = self._near.recvfrom(65_536)
                if not request:
                    return
                far.send(request)
                answer = far.recv(65_536)
                for datagram in self._mangle(self.requests, answer):
                    if self._from_elsewhere:
                        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as elsewhere:
                            elsewhere.sendto(datagram, asker)
                    else:
                        self._near.sendto(datagram, asker)
                self.requests += 1
