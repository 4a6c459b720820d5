"""How many clients there is room for, and who goes when there is none."""

import contextlib
import resource
from collections import Counter
from collections.abc import Iterable
from typing import Final, NamedTuple

from exporters.web_connection import Connection, Phase

MAX_CONNECTIONS: Final = 2000
"""At once, if the process may have so many descriptors."""
RESERVED_DESCRIPTORS: Final = 256
"""For sensors, the ledger and the rest: clients never get these."""


class Choice(NamedTuple):
    """Who goes so that somebody new can come."""

    connection: Connection | None
    silent: str
    """An address, one of whose silent connections goes; "" for none."""


def who_goes(
    client: str, connections: Iterable[Connection], silent: Iterable[str]
) -> Choice | None:
    """Choose among the connections of the address that has the most; None: nobody.

    `client`: the address of the new one; `silent`: those of connections that have said nothing.
    Within an address the connection goes first that has waited longest without a request. One that
    holds the most places itself, and has none that it does not use, gets no more.
    """
    here, waiting = list(connections), Counter(silent)
    counts = Counter(c.client for c in here) + waiting
    if not counts:
        return None
    greedy, most = counts.most_common(1)[0]
    if counts[client] == most:
        greedy = client
    theirs = [c for c in here if c.client == greedy]
    idle = min((c for c in theirs if c.phase is Phase.IDLE), key=_since, default=None)
    if idle is not None:
        return Choice(idle, "")
    if greedy == client:
        return None
    if waiting[greedy]:
        return Choice(None, greedy)
    return Choice(min(theirs, key=_since), "")


def room_for_clients() -> int:
    """Return how many connections the descriptors allow, after asking for as many as we may."""
    wanted = MAX_CONNECTIONS + RESERVED_DESCRIPTORS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
            soft = allowed
    if soft == resource.RLIM_INFINITY:
        return MAX_CONNECTIONS
    return max(1, min(MAX_CONNECTIONS, max(soft - RESERVED_DESCRIPTORS, soft // 3)))


def _since(connection: Connection) -> float:
    return connection.since
