"""sd_notify(3): tell systemd how we are, if systemd is there."""

import os
import socket

WATCHDOG_SHARE = 0.4
"""Tell the watchdog this much of its period after the last time."""


class Notifier:
    """A datagram socket to NOTIFY_SOCKET; silent where there is none."""

    def __init__(self, environ: dict[str, str]) -> None:
        self._address = environ.get("NOTIFY_SOCKET", "")
        watchdog = environ.get("WATCHDOG_USEC", "")
        ours = environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        self._period = int(watchdog) / 1e6 * WATCHDOG_SHARE if watchdog.isdigit() and ours else None
        self._told = float("-inf")

    def tell(self, **fields: str) -> None:
        """Send e.g. READY="1", STATUS="…"."""
        if not self._address:
            return
        address = self._address
        if address.startswith("@"):
            address = "\0" + address[1:]
        message = "\n".join(f"{key}={value}" for key, value in fields.items())
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as s:
                s.connect(address)
                s.sendall(message.encode())
        except OSError:
            # systemd restarts us if it matters; measuring goes on
            return

    def alive(self, now: float) -> None:
        """Feed the watchdog if it is time; `now` is monotonic seconds."""
        if self._period is not None and now - self._told >= self._period:
            self._told = now
            self.tell(WATCHDOG="1")
