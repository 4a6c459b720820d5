"""What systemd does for a service, as far as sockets go: a file descriptor store and restarts.

sd_notify(3) (FDSTORE=1, FDSTOREREMOVE=1, BARRIER=1) on one side, sd_listen_fds(3) on the other.
The real systemd does it in scripts/test-service.
"""

import fcntl
import os
import socket
import subprocess
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from e2e.agents import Agent

LAUNCH = 'export LISTEN_PID=$$; exec "$@"'


class Systemd:
    """Listens on NOTIFY_SOCKET and starts agents with the descriptors that it keeps."""

    def __init__(self, directory: Path) -> None:
        self.told: list[dict[str, str]] = []
        self.store: list[tuple[str, int]] = []
        """Name and descriptor."""
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._path = str(directory / "notify")
        self._socket.bind(self._path)
        self._thread = threading.Thread(target=self._listen, daemon=True)

    @property
    def environ(self) -> dict[str, str]:
        """What a service finds in its environment besides the sockets."""
        return {"NOTIFY_SOCKET": self._path}

    def says(self, key: str) -> bool:
        """Tell whether it was ever told a key."""
        return any(key in fields for fields in self.told)

    def add(self, name: str, listening: socket.socket) -> None:
        """Pass a socket as a socket unit of that name does."""
        self.store.append((name, _high(listening.fileno())))

    def start(self, config: Path) -> "ServiceAgent":
        """Start the service."""
        return ServiceAgent(config, self)

    def _listen(self) -> None:
        while True:
            message, descriptors, _, _ = socket.recv_fds(self._socket, 4096, 64)
            if message == b"end":
                return
            fields = dict(line.split("=", 1) for line in message.decode().splitlines())
            if "FDSTORE" in fields:
                self.store += [(fields["FDNAME"], _high(fd)) for fd in descriptors]
            if "FDSTOREREMOVE" in fields:
                for name, fd in [one for one in self.store if one[0] == fields["FDNAME"]]:
                    self.store.remove((name, fd))
                    os.close(fd)
            for fd in descriptors:
                os.close(fd)
            self.told.append(fields)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
            s.sendto(b"end", self._path)
        self._thread.join()
        self._socket.close()
        for _, fd in self.store:
            os.close(fd)


class ServiceAgent(Agent):
    """An agent that is given what the store holds."""

    def __init__(self, config: Path, systemd: Systemd) -> None:
        self._systemd = systemd
        super().__init__(config, **systemd.environ)

    def _popen(self, command: Sequence[str], environ: dict[str, str], log) -> subprocess.Popen:
        kept = list(self._systemd.store)
        moves = "".join(f"exec {3 + i}<&{fd} {fd}<&-; " for i, (_, fd) in enumerate(kept))
        more = {"LISTEN_FDS": str(len(kept)), "LISTEN_FDNAMES": ":".join(n for n, _ in kept)}
        return subprocess.Popen(
            ["bash", "-c", moves + LAUNCH, "bash", *command],
            stdout=log, stderr=log, env=environ | (more if kept else {}),
            pass_fds=[fd for _, fd in kept],
        )  # fmt: skip


def _high(fd: int) -> int:
    """Return a copy of a descriptor, out of the way of those from 3 on."""
    return fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 200)
