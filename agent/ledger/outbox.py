"""The queue of remote write: samples that wait to be sent, in the ledger's own transactions."""

import sqlite3
from collections.abc import Sequence
from typing import Final

import msgspec

MAX_OUTGOING: Final = 240
"""Readings kept in memory while the disk fails: an hour of them at 15 s; the oldest go first."""


class Outgoing(msgspec.Struct, frozen=True):
    """All samples of one moment."""

    at_ms: int
    """Unix time in milliseconds."""
    series: tuple[bytes, ...]
    """Name and labels of each."""
    values: tuple[float, ...]


def put(db: sqlite3.Connection, outgoing: Sequence[Outgoing]) -> None:
    """Add readings to the queue. Within the caller's transaction."""
    raise NotImplementedError
