"""The table `chain` itself: records are added and read, never changed."""

import sqlite3
from collections.abc import Iterable, Mapping
from typing import Any, Final

from agent.audit.body import HOUR_SECONDS
from agent.audit.canonical import Unreadable, pack, unpack
from agent.audit.record import FIRST, Record, digest

_COLUMNS: Final = "number, kind, hour, sealed_at, body, hash, signature"


def append(
    db: sqlite3.Connection, kind: str, hour: int, wall: float, body: Mapping[str, Any]
) -> Record:
    """Write one record. Within the caller's transaction."""
    number, previous = head(db) or (0, FIRST)
    record = Record(number + 1, kind, hour, float(wall), pack(body), b"", None)
    record = record._replace(hash=digest(previous, record))
    db.execute(f"INSERT INTO chain ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)", record)  # noqa: S608
    return record


def records(db: sqlite3.Connection) -> Iterable[Record]:
    """Return every record in order."""
    rows = db.execute(f"SELECT {_COLUMNS} FROM chain ORDER BY number")  # noqa: S608
    return map(Record._make, rows)


def head(db: sqlite3.Connection) -> tuple[int, bytes] | None:
    """Return number and hash of the newest record."""
    row: tuple[int, bytes] | None = db.execute(
        "SELECT number, hash FROM chain ORDER BY number DESC LIMIT 1"
    ).fetchone()
    return row


def head_hash(db: sqlite3.Connection, number: int) -> bytes | None:
    """Return the hash of a record; None: there is no such record."""
    row = db.execute("SELECT hash FROM chain WHERE number = ?", (number,)).fetchone()
    return row[0] if row else None


def hour_now(wall: float) -> int:
    """Return the hour since 1970 UTC of a Unix time."""
    return int(wall // HOUR_SECONDS)


def newest(db: sqlite3.Connection, kind: str) -> dict[str, Any] | None:
    """Return the body of the newest record of a kind; None: there is none that can be read."""
    row = db.execute(
        "SELECT body FROM chain WHERE kind = ? ORDER BY number DESC LIMIT 1", (kind,)
    ).fetchone()
    try:
        return unpack(row[0]) if row else None
    except Unreadable:
        return None


def readable(packed: bytes) -> dict[str, Any]:
    """Return a body; {} where it cannot be read."""
    try:
        return unpack(packed)
    except Unreadable:
        return {}
