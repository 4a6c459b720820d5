"""Which hours and days a batch is about to change."""

import sqlite3
from typing import Final

from agent.audit.body import HOUR_MINUTES, HOUR_QUARTERS, hour_of
from agent.audit.record import DAY, HOUR
from agent.ledger.batch import Batch
from agent.site.records import resolve

DAY_MINUTES: Final = 1440


def touched(db: sqlite3.Connection, batch: Batch) -> list[tuple[str, int]]:
    """Return the span and number of each, counted from 1970 UTC; before the batch is written."""
    hours: set[int | None] = {p.minute // HOUR_MINUTES for p in batch.postings}
    days = {p.minute // DAY_MINUTES for p in batch.postings}
    hours |= {q.quarter // HOUR_QUARTERS for q in batch.quarters}
    hours |= {hour_of(i.fetched_at) for i in batch.intensities}
    if batch.records or batch.documents:
        hours.add(hour_of(batch.wall))
    for meter, file in batch.records.items():
        # those whose place another row takes
        counting = {(r.start, r.end, r.amount) for r in resolve(file.records).records}
        rows = db.execute(
            'SELECT start, "end", amount, seen_at FROM record'
            " WHERE meter = ? AND replaced_at IS NULL",
            (meter,),
        )
        hours |= {hour_of(seen_at) for *row, seen_at in rows if tuple(row) not in counting}
    known = sorted(hour for hour in hours if hour is not None)
    return [(HOUR, n) for n in known] + [(DAY, n) for n in sorted(days)]
