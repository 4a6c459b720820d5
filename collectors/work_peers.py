"""Who is at the other end of the work socket, and whether he may report.

The kernel says it, nobody can lie: user and group (unix(7), SO_PEERCRED) and the further groups
(SO_PEERGROUPS, Linux 4.13) that the program had when it connected.
"""

import grp
import pwd
import socket
import struct
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

import structlog

from agent.collector import Transient, WorkSettings

SO_PEERGROUPS: Final = 59
"""asm-generic/socket.h; Python has no name for it."""
_MOST_BYTES: Final = 1024
"""What Python's getsockopt takes: 256 groups. Who is in more has his own group only."""
_CREDENTIALS: Final = struct.Struct("iII")
"""struct ucred: pid, uid, gid."""
MAX_TOLD: Final = 1000

log = structlog.get_logger()


class Peer(NamedTuple):
    """A program at the other end."""

    pid: int
    uid: int
    groups: frozenset[int]


class Peers:
    """Whom the settings let in; whoever the file's permissions let in where they name nobody."""

    def __init__(self, users: Iterable[int] = (), groups: Iterable[int] = ()) -> None:
        self._users = frozenset(users)
        self._groups = frozenset(groups)
        self._told: set[int] = set()
        self.refused = 0
        """Requests of those who are not let in."""

    def refusal(self, connection: socket.socket | None) -> str:
        """Return why the program at the other end may not report, "" if it may."""
        if not self._users and not self._groups:
            return ""
        peer = peer_of(connection) if connection is not None else None
        if peer is not None and (peer.uid in self._users or peer.groups & self._groups):
            return ""
        self.refused += 1
        uid = peer.uid if peer is not None else -1
        sentence = (
            f"user {uid} may not report: work.allow_users and work.allow_groups in the agent's"
            " settings do not name it"
        )
        if uid not in self._told and len(self._told) < MAX_TOLD:
            self._told.add(uid)
            log.warning("work_refused", uid=uid, pid=peer.pid if peer else -1, why=sentence)
        return sentence


def peer_of(connection: socket.socket) -> Peer | None:
    """Ask the kernel; None if it does not know."""
    try:
        raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    except OSError:
        return None
    pid, uid, gid = _CREDENTIALS.unpack(raw)
    try:
        more = connection.getsockopt(socket.SOL_SOCKET, SO_PEERGROUPS, _MOST_BYTES)
    except OSError:
        more = b""
    groups = struct.unpack(f"{len(more) // 4}I", more)
    return Peer(pid, uid, frozenset((gid, *groups)))


def allowed(settings: WorkSettings) -> Peers:
    """Look the names up, which can take a while (a directory service). Raises `Transient`.

    A name that nobody has lets nobody in, and must not open the socket to everybody either.
    """
    users = [
        _number("user", user, "allow_users", lambda name: pwd.getpwnam(name).pw_uid)
        for user in settings.allow_users
    ]
    groups = [
        _number("group", group, "allow_groups", lambda name: grp.getgrnam(name).gr_gid)
        for group in settings.allow_groups
    ]
    return Peers(users, groups)


def _number(kind: str, who: str | int, key: str, look_up: Callable[[str], int]) -> int:
    if isinstance(who, int):
        return who
    try:
        return look_up(who)
    except (KeyError, ValueError):
        raise Transient(
            f"work.{key}: there is no {kind} {who!r} on this host, so nobody can report",
            "settings",
            f"create the {kind}, or correct work.{key}",
        ) from None
