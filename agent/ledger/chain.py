"""Sealed hours: written once each is over, bound to the one before by its hash.

What a transaction touches is noted in `unsealed` by that same transaction, by us and not by a
trigger: what somebody else changes in the file is never noted, so it is never sealed anew. Where
we are about to change an hour that is sealed, it is compared with its seal before: a change from
outside cannot hide behind one of ours.
"""

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from agent.audit.body import (
    DAY_HOURS,
    HOUR_MINUTES,
    HOUR_SECONDS,
    Row,
    Rows,
    changed_sections,
    same,
    sections,
)
from agent.audit.canonical import Unreadable, encode, unpack
from agent.audit.compare import differences
from agent.audit.record import (
    ADOPTED,
    BEGIN,
    DAY,
    HOUR,
    MISMATCH,
    PRUNE,
    RESTATED,
    kind_of,
)
from agent.ledger.batch import Batch
from agent.ledger.hours import read_days, read_hours, read_names
from agent.ledger.links import append, head, head_hash, hour_now, newest, readable
from agent.ledger.totals import unexplained
from agent.ledger.touched import touched

SETTLE_SECONDS: Final = 300.0
"""An hour is sealed so long after its end; what comes later is a restatement."""
AT_ONCE: Final = 4
"""Hours and days sealed in one transaction, up to 20 ms each: no tick's write waits long."""
_FULL: Final = {
    span: tuple(kind_of(span, why) for why in ("", ADOPTED, RESTATED)) for span in (HOUR, DAY)
}
_DUE: Final = (
    "SELECT span, number, how, note FROM unsealed"
    " WHERE (span = 'hour' AND number < ?1) OR (span = 'day' AND number < ?1 / 24)"
    " ORDER BY CASE span WHEN 'day' THEN 24 * number + 24 ELSE number + 1 END, span DESC LIMIT ?2"
)


class Sealed(NamedTuple):
    """What one go at sealing did."""

    written: int
    head: tuple[int, bytes] | None
    """Number and hash of the newest record."""
    more: bool
    """Whether more could be sealed at once."""


def mark(db: sqlite3.Connection, batch: Batch) -> None:
    """Note which hours and days a batch is about to change. Within the caller's transaction."""
    for span, number in touched(db, batch):
        new = db.execute(
            "INSERT OR IGNORE INTO unsealed VALUES (?, ?, '', '')", (span, number)
        ).rowcount
        if new and (note := _note(db, span, number)):
            db.execute(
                "UPDATE unsealed SET note = ? WHERE span = ? AND number = ?", (note, span, number)
            )


def seal_due(
    db: sqlite3.Connection,
    wall: float,
    about: Mapping[str, str],
    *,
    known: tuple[int, bytes] | None = None,
    settle_seconds: float = SETTLE_SECONDS,
) -> Sealed:
    """Seal hours and days that are over at `wall`, Unix time. Within the caller's transaction.

    `about`: what is said of this host where a chain begins. `known`: the newest record that the
    caller wrote; if it is not there any more, somebody cut the chain, and a record says so.
    """
    if not head(db):
        begin(db, wall, about)
    if known is not None and head_hash(db, known[0]) != known[1]:
        found = [f"record {known[0]} is not the one that was written: the chain was cut or changed"]
        append(db, MISMATCH, hour_now(wall), wall, {"span": "chain", "found": found})
    over = int((wall - settle_seconds) // HOUR_SECONDS)
    due = db.execute(_DUE, (over, AT_ONCE)).fetchall()
    count = 0
    for span, number, how, note in due:
        count += _seal(db, span, number, how, note, wall)
        db.execute("DELETE FROM unsealed WHERE span = ? AND number = ?", (span, number))
    return Sealed(count, head(db), len(due) == AT_ONCE)


def begin(db: sqlite3.Connection, wall: float, about: Mapping[str, str]) -> None:
    """Write the first record: whose chain this is, and what was there before it."""
    (adopted,) = db.execute("SELECT count(*) FROM unsealed WHERE how = ?", (ADOPTED,)).fetchone()
    (nonce,) = db.execute("SELECT lower(hex(randomblob(16)))").fetchone()
    body = {
        "format": 1,
        "nonce": nonce,
        "adopted": adopted,
        "unexplained": {
            str(stream): joules
            for stream, (joules, wide) in unexplained(db).items()
            if abs(joules) > wide
        },
        **about,
    }
    append(db, BEGIN, hour_now(wall), wall, body)


def note_pruning(db: sqlite3.Connection, wall: float, minutes: int, hours: int, rows: int) -> None:
    """Say that minutes and hours before these were deleted. Within the caller's transaction."""
    if not head(db):
        return  # nothing is sealed, so nobody will miss anything
    old_minutes, old_hours = pruned(db)
    limits = {
        "minutes_before": max(minutes, old_minutes),
        "hours_before": max(hours, old_hours),
    }
    append(db, PRUNE, hour_now(wall), wall, limits | {"rows": rows})


def pruned(db: sqlite3.Connection) -> tuple[int, int]:
    """Return before which minute and which hour since 1970 UTC rows were deleted."""
    body = newest(db, PRUNE)
    return (int(body["minutes_before"]), int(body["hours_before"])) if body else (0, 0)


# -- inside -----------------------------------------------------------------------------------


def _standing(db: sqlite3.Connection, span: str, number: int) -> tuple[int, bytes] | None:
    """Return number and body of the record that counts for an hour or a day."""
    hour = number * DAY_HOURS if span == DAY else number
    row: tuple[int, bytes] | None = db.execute(
        "SELECT number, body FROM chain WHERE hour = ? AND kind IN (?, ?, ?)"
        " ORDER BY number DESC LIMIT 1",
        (hour, *_FULL[span]),
    ).fetchone()
    return row


def _read(db: sqlite3.Connection, span: str, number: int) -> Rows:
    read = read_days if span == DAY else read_hours
    return read(db, number, number).get(number) or Rows()


def _note(db: sqlite3.Connection, span: str, number: int) -> str:
    """Return what must be known of an hour that is sealed and about to change; "": nothing.

    `found`: what differs from its seal before the change. `before`: what is in the table of an
    hour whose rows were pruned.
    """
    standing = _standing(db, span, number)
    if standing is None:
        return ""
    minutes, hours = pruned(db)
    rows = _read(db, span, number)
    note: dict[str, Any] = {}
    try:
        found = differences(
            span,
            number,
            unpack(standing[1]),
            rows,
            read_names(db),
            pruned_minutes=minutes,
            pruned_hours=hours,
        )
    except (Unreadable, TypeError, ValueError, AttributeError) as error:
        found = [f"record {standing[0]} cannot be read ({error})"]
    if found:
        note["found"] = found
    if span == HOUR and number < hours:
        note["before"] = rows.energy
    return encode(note).decode() if note else ""


def _seal(db: sqlite3.Connection, span: str, number: int, how: str, note: str, wall: float) -> int:
    """Write what is to be said of one hour or day; return how many records that took."""
    hour = number * DAY_HOURS if span == DAY else number
    noted = msgspec.json.decode(note, type=dict[str, Any]) if note else {}
    written = 0
    if "found" in noted:
        append(db, MISMATCH, hour, wall, {"span": span, "found": noted["found"]})
        written += 1
    rows = _read(db, span, number)
    body = sections(rows, read_names(db))
    standing = _standing(db, span, number)
    why = ADOPTED if how == ADOPTED else ""
    if standing is None:
        if not rows:
            return written
    else:
        sealed = readable(standing[1])
        if "before" in noted:
            _add_what_came(body, sealed, rows.energy, noted["before"])
        if span == HOUR and (number + 1) * HOUR_MINUTES <= pruned(db)[0]:
            # the rows are gone, or go with the next pruning
            is_as_before = same(sealed.get("energy"), body["energy"])
            body["minutes"] = sealed.get("minutes") if is_as_before else None
        changed = changed_sections(sealed, body)
        if rows.documents and not same(sealed.get("documents"), rows.documents):
            changed.append("documents")
        if not changed:
            return written
        why = RESTATED
        body |= {"restates": standing[0], "changed": changed}
    body |= {"span": span, "previous": _sealed_before(db, span, hour)}
    if rows.documents:
        body["documents"] = rows.documents
    append(db, kind_of(span, why), hour, wall, body)
    return written + 1


def _add_what_came(
    body: dict[str, Any], sealed: Mapping[str, Any], now: Sequence[Row], before: Sequence[Any]
) -> None:
    """Add to an hour whose rows were pruned what was posted to it since."""
    energy = {row[0]: list(row[1:]) for row in sealed.get("energy", ())}
    had = {row[0]: row[1:] for row in before}
    for stream, *amounts in now:
        since = had.get(stream, (0.0,) * len(amounts))
        row = energy.setdefault(stream, [0.0] * len(amounts))
        energy[stream] = [a + (n - b) for a, n, b in zip(row, amounts, since, strict=True)]
    body["left"] = list(now)
    body["energy"] = [[stream, *amounts] for stream, amounts in sorted(energy.items())]
    body["streams"] = {**sealed.get("streams", {}), **body["streams"]}


def _sealed_before(db: sqlite3.Connection, span: str, hour: int) -> int | None:
    row = db.execute(
        "SELECT hour FROM chain WHERE hour < ? AND kind IN (?, ?, ?) ORDER BY hour DESC LIMIT 1",
        (hour, *_FULL[span]),
    ).fetchone()
    return row[0] if row else None
