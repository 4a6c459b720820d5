"""Listening sockets that outlive the process.

systemd keeps them in its file descriptor store (sd_notify(3), FDSTORE=1) or gave them itself from
a socket unit (systemd.socket(5)), and passes them to the next process (sd_listen_fds(3)). So
connections wait in the kernel's queue while the agent is killed, restarted or upgraded. Only what
the settings name is used: whatever else was passed is closed and taken out of the store.
"""

import asyncio
import errno
import fcntl
import os
import socket
from collections.abc import Iterable, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import structlog

from agent.notify import Notifier

STORE_NAME: Final = "wattlas-http"
"""What our sockets are called in systemd's store."""
BACKLOG: Final = 1024
"""Connections that wait until they are accepted; the kernel's bound is net.core.somaxconn."""
FIRST_DESCRIPTOR: Final = 3
"""SD_LISTEN_FDS_START."""

log = structlog.get_logger()


class ListenError(Exception):
    """The address cannot be listened on: one sentence with the remedy."""


@dataclass(frozen=True, slots=True)
class Passed:
    """A socket that systemd passed."""

    name: str
    socket: socket.socket

    @property
    def is_stored(self) -> bool:
        """Whether it is ours from before, not a socket unit's."""
        return self.name == STORE_NAME


def passed_by_systemd(environ: MutableMapping[str, str]) -> list[Passed]:
    """Take the listening sockets that were passed and the variables that say so.

    No child of ours must see either: the descriptors are closed on exec. What is no listening TCP
    socket is closed.
    """
    count, pid = environ.pop("LISTEN_FDS", ""), environ.pop("LISTEN_PID", "")
    names = environ.pop("LISTEN_FDNAMES", "").split(":")
    environ.pop("LISTEN_PIDFDID", None)
    if pid != str(os.getpid()) or not count.isascii() or not count.isdigit():
        return []
    found: list[Passed] = []
    for index in range(min(int(count), 1024)):
        fd = FIRST_DESCRIPTOR + index
        try:
            fcntl.fcntl(fd, fcntl.F_SETFD, fcntl.FD_CLOEXEC)
            one = socket.socket(fileno=fd)
        except OSError:
            _close_descriptor(fd)
            continue
        if _listens(one):
            one.setblocking(False)
            found.append(Passed(names[index] if index < len(names) else "unknown", one))
        else:
            one.close()
    return found


class Sockets:
    """The sockets that the agent listens on: opened, kept by systemd, and closed."""

    def __init__(self, notifier: Notifier, passed: Iterable[Passed] = ()) -> None:
        self._notifier = notifier
        self._passed = list(passed)
        self._stored = any(p.is_stored for p in self._passed)
        self._open: list[socket.socket] = []

    async def open(self, host: str, port: int) -> list[socket.socket]:
        """Return sockets that listen on an address and nowhere else; `keep` them, or `drop` them.

        A name can stand for several addresses; port 0 is any port. Raises `ListenError`.
        """
        try:
            wanted = await _resolve(host, port)
        except (OSError, UnicodeError) as error:  # the latter: no name can look so (RFC 1035)
            raise _explained(host, port, error) from error
        await self._sort_out(wanted)
        found: list[socket.socket] = []
        try:
            for family, address in wanted:
                found.append(self._have(family, address) or _bind(family, address))
        except OSError as error:
            self.drop(found)
            raise _explained(host, port, error) from error
        return found

    def keep(self, listening: Sequence[socket.socket]) -> None:
        """Have these and no others from here on, and have systemd keep them for our next life."""
        old = [s for s in self._open if s not in listening]
        units = {p.socket for p in self._passed if not p.is_stored}
        known = {p.socket for p in self._passed if p.is_stored} | set(self._open)
        self._open = list(listening)
        self._passed = [p for p in self._passed if p.socket in listening]
        if old and self._stored:
            self._notifier.forget(STORE_NAME)
            known = set()
        for one in old:
            one.close()
        ours = [s for s in listening if s not in units]
        new = [s for s in ours if s not in known]
        if new:
            self._notifier.store(STORE_NAME, new)
        self._stored = bool(ours)

    def drop(self, listening: Iterable[socket.socket]) -> None:
        """Close those that `open` gave and that are not kept."""
        passed = {p.socket for p in self._passed}
        for one in listening:
            if one not in self._open and one not in passed:
                one.close()

    def close(self) -> None:
        """Let go of all. What systemd has goes on queueing; it is never shut down."""
        for one in {*self._open, *(p.socket for p in self._passed)}:
            one.close()
        self._open, self._passed = [], []

    async def _sort_out(self, wanted: Sequence[tuple[socket.AddressFamily, Any]]) -> None:
        """Close what was passed and is not wanted."""
        stale = [
            p
            for p in self._passed
            if p.socket not in self._open
            and not any(_is_at(p.socket, family, address) for family, address in wanted)
        ]
        if not stale:
            return
        self._passed = [p for p in self._passed if p not in stale]
        for one in stale:
            shown = _shown(one.socket)
            one.socket.close()
            if one.is_stored:
                log.info("socket_closed", address=shown, why="agent.listen does not name it")
            else:
                log.warning(
                    "socket_not_used",
                    address=shown,
                    unit=one.name,
                    why="agent.listen does not name it; systemd listens there all the same",
                    remedy=f"write the address of {one.name} into agent.listen, or stop that unit",
                )
        if any(p.is_stored for p in stale):
            # the store forgets by name: all of ours, and those that stay are stored anew
            self._notifier.forget(STORE_NAME)
            kept = [p.socket for p in self._passed if p.is_stored]
            if kept:
                self._notifier.store(STORE_NAME, kept)
            self._stored = bool(kept)
            await self._notifier.barrier()  # else the old one might be in the new one's way

    def _have(self, family: socket.AddressFamily, address: Any) -> socket.socket | None:
        """Return a socket that is at an address already."""
        here = [*self._open, *(p.socket for p in self._passed)]
        return next((s for s in here if _is_at(s, family, address)), None)


async def _resolve(host: str, port: int) -> list[tuple[socket.AddressFamily, Any]]:
    found = await asyncio.get_running_loop().getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    return list(dict.fromkeys((family, address) for family, _, _, _, address in found))


def _bind(family: socket.AddressFamily, address: Any) -> socket.socket:
    one = socket.socket(family, socket.SOCK_STREAM)
    try:
        one.setblocking(False)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            # [::] is IPv6 only: IPv4 has an address of its own
            one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        one.bind(address)
        one.listen(BACKLOG)
    except BaseException:
        one.close()
        raise
    return one


def _listens(one: socket.socket) -> bool:
    return (
        one.family in {socket.AF_INET, socket.AF_INET6}
        and one.type == socket.SOCK_STREAM
        and one.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) == 1
    )


def _is_at(one: socket.socket, family: socket.AddressFamily, address: Any) -> bool:
    """Tell whether a socket is bound to an address; port 0 is any."""
    if one.family != family:
        return False
    name = one.getsockname()
    here, there = (a[0].partition("%")[0] for a in (name, address))
    return here == there and address[1] in {0, name[1]} and name[3:] == address[3:]


def _shown(one: socket.socket) -> str:
    return shown_address(*one.getsockname()[:2])


def shown_address(host: str, port: int) -> str:
    """Return host:port as agent.listen has it."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _explained(host: str, port: int, error: OSError | UnicodeError) -> ListenError:
    number = getattr(error, "errno", None)
    if number == errno.EADDRINUSE:
        why = "another program listens there; stop it or set agent.listen to a free port"
    elif number == errno.EACCES:
        why = "not permitted; ports below 1024 need privilege, set agent.listen to another"
    else:
        reason = getattr(error, "strerror", None) or error
        why = f"cannot listen ({reason}); set agent.listen to an address of this host"
    return ListenError(f"{shown_address(host, port)}: {why}")


def _close_descriptor(fd: int) -> None:
    try:
        os.close(fd)
    except OSError:
        return  # it was not open
