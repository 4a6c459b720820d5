"""sd_notify(3): tell systemd how we are, if systemd is there."""

import asyncio
import os
import socket
from collections.abc import Sequence
from typing import Final

WATCHDOG_SHARE: Final = 0.4
"""Tell the watchdog this much of its period after the last time."""
BARRIER_SECONDS: Final = 5.0
"""So long is waited until systemd has read everything."""


class Notifier:
    """A datagram socket to NOTIFY_SOCKET; silent where there is none."""

    def __init__(self, environ: dict[str, str]) -> None:
        self._address = environ.get("NOTIFY_SOCKET", "")
        watchdog = environ.get("WATCHDOG_USEC", "")
        ours = environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        self._period = int(watchdog) / 1e6 * WATCHDOG_SHARE if watchdog.isdigit() and ours else None
        self._told = float("-inf")

    @property
    def is_there(self) -> bool:
        """Whether somebody listens to what we tell."""
        return bool(self._address)

    def tell(self, **fields: str) -> None:
        """Send e.g. READY="1", STATUS="…"."""
        self._send(fields)

    def store(self, name: str, sockets: Sequence[socket.socket]) -> None:
        """Have systemd keep sockets for our next life (FDSTORE=1); without its store, nothing.

        The store is what the unit's FileDescriptorStoreMax= gives room to.
        """
        self._send({"FDSTORE": "1", "FDNAME": name}, [s.fileno() for s in sockets])

    def forget(self, name: str) -> None:
        """Have systemd close what it keeps under a name (FDSTOREREMOVE=1)."""
        self._send({"FDSTOREREMOVE": "1", "FDNAME": name})

    async def barrier(self) -> None:
        """Wait until systemd has read what was told so far (BARRIER=1): it closes our pipe then."""
        if not self._address:
            return
        ours, theirs = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        loop = asyncio.get_running_loop()
        closed = asyncio.Event()
        try:
            try:
                sent = self._send({"BARRIER": "1"}, [theirs])
            finally:
                os.close(theirs)
            if sent:
                loop.add_reader(ours, closed.set)
                async with asyncio.timeout(BARRIER_SECONDS):
                    await closed.wait()
        except TimeoutError:
            return  # it is busy; go on without knowing
        finally:
            loop.remove_reader(ours)
            os.close(ours)

    def alive(self, now: float) -> None:
        """Feed the watchdog if it is time; `now` is monotonic seconds."""
        if self._period is not None and now - self._told >= self._period:
            self._told = now
            self.tell(WATCHDOG="1")

    def _send(self, fields: dict[str, str], descriptors: Sequence[int] = ()) -> bool:
        if not self._address:
            return False
        address = self._address
        if address.startswith("@"):
            address = "\0" + address[1:]
        message = "\n".join(f"{key}={value}" for key, value in fields.items()).encode()
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as s:
                s.connect(address)
                if descriptors:
                    socket.send_fds(s, [message], list(descriptors))
                else:
                    s.sendall(message)
        except OSError:
            # systemd restarts us if it matters; measuring goes on
            return False
        return True
