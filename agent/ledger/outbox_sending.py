"""What the sender of remote write asks the ledger: the oldest that waits, within bounds."""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from agent.ledger.outbox import ROW_BYTES, Base, base_of, count
from agent.ledger.outbox_values import NOTHING, Damaged, unpack, unpack_ids

Row = tuple[int, int]
"""Which moment: the row's id and its time. After a new ledger was begun the id alone could be
another's."""


class Moment(msgspec.Struct, frozen=True):
    """A row of the queue."""

    row: Row
    series: tuple[int, ...]
    """Ids, of those that have a sample."""
    words: tuple[int, ...]
    """Their samples, as `outbox_values` has them; `STALE` among them."""

    @property
    def at_ms(self) -> int:
        """Unix time in milliseconds."""
        return self.row[1]


class Window(msgspec.Struct, frozen=True):
    """The oldest moments of the queue, and how it is doing."""

    moments: list[Moment]
    labels: dict[int, bytes]
    """Name and labels of their series, by id."""
    samples: int
    """That wait, those of `moments` included."""
    size_bytes: int
    oldest_ms: int | None
    """None: nothing waits."""
    totals: dict[str, float]
    """The counters."""


def tend(
    db: sqlite3.Connection,
    *,
    done: Sequence[Row] = (),
    counts: Mapping[str, float] = {},
    max_bytes: float = float("inf"),
    not_before_ms: float = float("-inf"),
    max_samples: int = 0,
) -> Window:
    """Take out what is done with, keep the bounds, and return the oldest that waits.

    `counts` are added to the totals. Moments before `not_before_ms` and the oldest beyond
    `max_bytes` are dropped and counted. At most `max_samples` samples are returned, but always
    one moment whole, if there is one and `max_samples` is not 0. A row that is not what was
    written is dropped and counted, too. Within the caller's transaction.
    """
    count(db, counts)
    for row, at_ms in done:
        _finish(db, "id = ? AND at_ms = ?", (row, at_ms))
    count(db, {"failed too_old": _drop_older(db, not_before_ms)})
    count(db, {"failed queue_full": _drop_beyond(db, max_bytes)})
    moments: list[Moment] = []
    labels: dict[int, bytes] = {}
    if max_samples:
        moments = list(_oldest(db, max_samples))
        ids = {series for moment in moments for series in moment.series}
        if ids:
            labels = {
                key: value
                for key, value in db.execute("SELECT id, labels FROM outbox_series")
                if key in ids
            }
    _sweep(db)
    oldest = db.execute("SELECT at_ms FROM outbox WHERE sent = 0 ORDER BY id LIMIT 1").fetchone()
    totals = dict(db.execute("SELECT name, amount FROM outbox_total"))
    return Window(
        moments,
        labels,
        int(totals.pop("queue samples", 0)),
        int(totals.pop("queue bytes", 0)),
        oldest[0] if oldest else None,
        totals,
    )


def _oldest(db: sqlite3.Connection, max_samples: int) -> Iterator[Moment]:
    bases: dict[int, Base] = {}
    taken = 0
    waiting = db.execute(
        "SELECT id, at_ms, base, samples, body FROM outbox WHERE sent = 0 ORDER BY id"
    )
    for row, at_ms, base_id, samples, body in waiting:
        if taken and taken + samples > max_samples:
            return
        try:
            base = bases.get(base_id) or bases.setdefault(base_id, base_of(db, base_id))
            found = unpack(body, len(base.series), base.words)
        except Damaged:
            count(db, {"failed damaged": _finish(db, "id = ?", (row,))})
            continue
        here = [pair for pair in zip(base.series, found, strict=True) if pair[1] != NOTHING]
        yield Moment(
            (row, at_ms), tuple(series for series, _ in here), tuple(word for _, word in here)
        )
        taken += samples


def _drop_older(db: sqlite3.Connection, not_before_ms: float) -> int:
    """Drop the oldest until they are not older than a moment; return how many samples."""
    samples = 0
    while True:
        oldest = db.execute(
            "SELECT id, at_ms FROM outbox WHERE sent = 0 ORDER BY id LIMIT 1"
        ).fetchone()
        if oldest is None or oldest[1] >= not_before_ms:
            return samples
        samples += _finish(db, "id = ? AND at_ms = ?", oldest)


def _drop_beyond(db: sqlite3.Connection, max_bytes: float) -> int:
    """Drop the oldest until what waits is no more than `max_bytes`; return how many samples."""
    samples = 0
    while True:
        (size,) = db.execute(
            "SELECT total(amount) FROM outbox_total WHERE name = 'queue bytes'"
        ).fetchone()
        oldest = db.execute("SELECT id FROM outbox WHERE sent = 0 ORDER BY id LIMIT 1").fetchone()
        if size <= max_bytes or oldest is None:
            return samples
        samples += _finish(db, "id = ?", oldest)
        _sweep(db)


def _finish(db: sqlite3.Connection, which: str, values: Sequence[float]) -> int:
    """Take moments out of the queue; return how many samples they have."""
    where = f"{which} AND sent = 0"
    samples, size = db.execute(
        "SELECT total(samples), total(length(body) + ?) FROM outbox"  # noqa: S608 - our own words
        f" WHERE {where}",
        (ROW_BYTES, *values),
    ).fetchone()
    if samples:
        (newest,) = db.execute("SELECT max(id) FROM outbox").fetchone()
        db.execute(f"DELETE FROM outbox WHERE {where} AND id < ?", (*values, newest))  # noqa: S608
        db.execute(f"UPDATE outbox SET sent = 1 WHERE {where}", values)  # noqa: S608 - as above
        count(db, {"queue samples": -samples, "queue bytes": -size})
    return int(samples)


def _sweep(db: sqlite3.Connection) -> None:
    """Delete bases that no row has, and then series that no base has."""
    (first,) = db.execute("SELECT base FROM outbox ORDER BY id LIMIT 1").fetchone() or (0,)
    gone = db.execute(
        "SELECT total(length(series) + length(body) + ?), count(*) FROM outbox_base WHERE id < ?",
        (ROW_BYTES, first),
    ).fetchone()
    if not gone[1]:
        return
    db.execute("DELETE FROM outbox_base WHERE id < ?", (first,))
    count(db, {"queue bytes": -gone[0]})
    used: set[int] = set()
    try:
        for (body,) in db.execute("SELECT series FROM outbox_base"):
            used.update(unpack_ids(body))
    except Damaged:
        return
    unused = [key for (key,) in db.execute("SELECT id FROM outbox_series") if key not in used]
    db.executemany("DELETE FROM outbox_series WHERE id = ?", [(key,) for key in unused])
