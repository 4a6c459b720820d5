"""A TCP server that answers whatever a test says, for what no Modbus server would send."""

import contextlib
import socket
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

WAIT_SECONDS = 20.0
Answer = Callable[[bytes, int], list[bytes | None]]
"""Of a request and its number (from 0): what is sent, piece by piece; None: hang up."""


class Raw:
    """Use as `with Raw(answer) as raw:`."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.host = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self.requests: list[bytes] = []
        self.connections = 0
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        for each in list(self._open):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(WAIT_SECONDS)
        self._listener.close()

    def _start(self, target: Callable[..., None], *arguments: socket.socket) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(connection)
            self._start(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            try:
                while request := connection.recv(4096):
                    self.requests.append(request)
                    for piece in self._answer(request, len(self.requests) - 1):
                        if piece is None:
                            return
                        connection.sendall(piece)
            except OSError:
                return
