"""What waits to be written into the ledger beside the state, and how it is written."""

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from agent.carbon.intensity import Intensity
from agent.ledger.folding import fold
from agent.ledger.outbox import MAX_OUTGOING, Outgoing
from agent.meter import Posting
from agent.quarters import QuarterPosting
from agent.samples import MeterRecord, MeterRecords
from agent.site.records import resolve

MAX_UNSAVED: Final = 10_000
"""Postings kept while the disk fails, 2 MB of them; beyond, they are folded: energy is kept and
detail is not."""


class Batch(msgspec.Struct):
    """Postings by minute, amounts by quarter of an hour, and invoices' rows."""

    postings: list[Posting] = []
    quarters: list[QuarterPosting] = []
    records: dict[str, MeterRecords] = {}
    """The newest rows of each meter's file."""
    wall: float = 0.0
    """Unix time at which those rows were seen."""
    intensities: list[Intensity] = []
    documents: dict[str, bytes] = {}
    """Whole texts by name: the newest counts."""
    outgoing: list[Outgoing] = []
    """What remote write shall send; kept for it within a bound."""

    def add(self, newer: "Batch") -> None:
        """Take in what came later."""
        self.postings += newer.postings
        self.quarters += newer.quarters
        self.records |= newer.records
        self.wall = max(self.wall, newer.wall)
        self.intensities += newer.intensities
        self.documents |= newer.documents
        self.outgoing = (self.outgoing + newer.outgoing)[-MAX_OUTGOING:]
        if len(self.postings) > MAX_UNSAVED:
            self.postings = fold(self.postings, MAX_UNSAVED // 2)

    def __len__(self) -> int:
        """Return how many rows wait."""
        rows = len(self.postings) + len(self.quarters) + len(self.records)
        return rows + len(self.intensities) + len(self.documents) + len(self.outgoing)


def write_quarters(db: sqlite3.Connection, quarters: Sequence[QuarterPosting]) -> None:
    """Add amounts to their quarters. Within the caller's transaction."""
    named = {(q.series.kind, q.series.name, q.series.unit) for q in quarters}
    db.executemany(
        "INSERT OR IGNORE INTO series (kind, name, unit) VALUES (?, ?, ?)", sorted(named)
    )
    db.executemany(
        "INSERT INTO quarter SELECT id, ?4, ?5, ?6, ?7 FROM series"
        " WHERE kind = ?1 AND name = ?2 AND unit = ?3"
        " ON CONFLICT DO UPDATE SET amount = amount + ?5, seconds = seconds + ?6,"
        " gap_seconds = gap_seconds + ?7",
        [
            (
                q.series.kind,
                q.series.name,
                q.series.unit,
                q.quarter,
                q.amount,
                q.seconds,
                q.gap_seconds,
            )
            for q in quarters
        ],
    )


def write_carbon(
    db: sqlite3.Connection,
    intensities: Sequence[Intensity],
    documents: Mapping[str, bytes],
    wall: float,
) -> None:
    """Keep what was learnt of the grid, and documents. Within the caller's transaction."""
    db.executemany(
        "INSERT OR REPLACE INTO intensity VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (
                i.provider,
                i.zone,
                i.basis,
                i.factor,
                i.origin,
                i.start,
                i.end,
                i.fetched_at,
                i.grams_per_kwh,
                i.source,
            )
            for i in intensities
        ],
    )
    db.executemany(
        "INSERT OR REPLACE INTO document VALUES (?, ?, ?)",
        [(name, wall, body) for name, body in documents.items()],
    )


def write_records(db: sqlite3.Connection, file: MeterRecords, wall: float) -> None:
    """Bring one meter's rows up to date: what is new, what was replaced; nothing is deleted."""
    resolved = resolve(file.records)
    counting = {_key(record): record for record in resolved.records}
    rows = db.execute(
        'SELECT id, start, "end", amount, replaced_at FROM record WHERE meter = ?', (file.meter,)
    ).fetchall()
    known = {(start, end, amount) for _, start, end, amount, _ in rows}
    counted = {(start, end, amount) for _, start, end, amount, gone in rows if gone is None}
    db.executemany(
        "UPDATE record SET replaced_at = ? WHERE id = ?",
        [
            (wall, number)
            for number, start, end, amount, gone in rows
            if gone is None and (start, end, amount) not in counting
        ],
    )
    new: list[tuple[MeterRecord, float | None]] = [
        (replaced.record, wall)
        for replaced in resolved.replaced
        if _key(replaced.record) not in known
    ]
    new += [(record, None) for key, record in counting.items() if key not in counted]
    db.executemany(
        'INSERT INTO record (meter, start, "end", amount, row, seen_at, replaced_at)'
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        [(file.meter, r.start, r.end, r.amount, r.row, wall, gone) for r, gone in new],
    )


def _key(record: MeterRecord) -> tuple[float, float, float]:
    return record.start, record.end, record.amount
