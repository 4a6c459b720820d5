"""A Unix socket as a port on the loopback."""

import socket
import threading
from contextlib import suppress


class Relay(threading.Thread):
    """Loopback TCP in front of a Unix socket: a fuzzer knows no other way there."""

    def __init__(self, path: str) -> None:
        super().__init__(name="relay", daemon=True)
        self._path = path
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def run(self) -> None:
        """Relay until `stop`."""
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, socket.socket(socket.AF_UNIX) as agent, suppress(OSError):
            agent.connect(self._path)
            back = threading.Thread(target=_copy, args=(agent, client), daemon=True)
            back.start()
            _copy(client, agent)
            back.join(60)

    def stop(self) -> None:
        """Accept no more."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.join(10)


def _copy(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)
