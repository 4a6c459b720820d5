"""Reads a ledger for reports, also beside the agent that writes it."""

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, Self, TypeVar

from agent.carbon.intensity import Intensity
from agent.carbon.words import Basis, Factor, Origin
from agent.ledger.errors import BROKEN, LedgerError, explain
from agent.ledger.opening import VERSION
from agent.ledger.store import FILE_NAME
from agent.quarters import QUARTER_SECONDS, Series
from agent.samples import MeterRecord
from agent.site.cells import Cell

SeriesRow = Series
T = TypeVar("T")
HOUR_QUARTERS = 4
DAY_QUARTERS = 96


class StoredRecord(NamedTuple):
    """One row of an invoice, and what became of it."""

    record: MeterRecord
    seen_at: float
    """Unix time at which the agent first saw it."""
    replaced_at: float | None
    """Unix time from which another took its place; None: it counts."""


class LedgerReader:
    """A ledger that is only read."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self._db = connection

    @classmethod
    def open(cls, state_dir: Path) -> Self:
        """Open `state_dir`/ledger.db read-only. Raises `LedgerError`."""
        path = state_dir.absolute() / FILE_NAME
        if not path.exists():
            raise LedgerError(
                f"{path}: there is no ledger; name its directory with --state-dir, or let the"
                " agent run first"
            )
        failure: Exception | None = None
        for mode in ("mode=ro", "immutable=1"):  # the second for a read-only disk without a WAL
            try:
                connection = sqlite3.connect(f"{path.as_uri()}?{mode}", uri=True)
                (version,) = connection.execute("PRAGMA user_version").fetchone()
            except BROKEN as error:
                failure = error
                continue
            if version != VERSION:
                connection.close()
                raise LedgerError(_wrong_version(path, version))
            return cls(path, connection)
        raise explain(path, failure or OSError()) from failure

    def series(self) -> list[Series]:
        """Return everything of which the ledger has amounts."""
        return [Series(*row) for row in self._rows("SELECT kind, name, unit FROM series", ())]

    def cells(
        self, kind: str, name: str, start: float, end: float, quarters: int = 1
    ) -> list[Cell]:
        """Return the amounts of one series whose quarters lie in the period, in order.

        `quarters`: how many are added up to one cell, from a multiple of that many since 1970 UTC.
        """
        first = -int(-start // QUARTER_SECONDS)
        last = int(end // QUARTER_SECONDS)
        rows = self._rows(
            "SELECT quarter / ?5, sum(amount), sum(seconds) FROM quarter"
            " JOIN series ON series.id = quarter.series"
            " WHERE kind = ?1 AND name = ?2 AND quarter >= ?3 AND quarter < ?4"
            " GROUP BY 1 ORDER BY 1",
            (kind, name, first, last, quarters),
        )
        length = quarters * QUARTER_SECONDS
        return [
            Cell(at * length, (at + 1) * length, amount, min(seconds, length))
            for at, amount, seconds in rows
        ]

    def span(self, kind: str, name: str) -> tuple[float, float] | None:
        """Return from when until when a series has amounts, Unix time; None: it has none."""
        rows = self._rows(
            "SELECT min(quarter), max(quarter) FROM quarter JOIN series ON series.id = series"
            " WHERE kind = ? AND name = ?",
            (kind, name),
        )
        ((first, last),) = rows
        return None if first is None else (first * QUARTER_SECONDS, (last + 1) * QUARTER_SECONDS)

    def records(self, meter: str) -> list[StoredRecord]:
        """Return all rows of a meter's invoices that the agent ever saw, in the order of time."""
        rows = self._rows(
            'SELECT start, "end", amount, row, seen_at, replaced_at FROM record'
            " WHERE meter = ? ORDER BY start, seen_at, id",
            (meter,),
        )
        return [
            StoredRecord(MeterRecord(start, end, amount, row), seen_at, replaced_at)
            for start, end, amount, row, seen_at, replaced_at in rows
        ]

    def intensities(self, start: float, end: float) -> list[Intensity]:
        """Return every version of what providers said of a period, the earliest fetched first."""
        rows = self._rows(
            'SELECT zone, provider, start, "end", grams_per_kwh, basis, factor, origin, source,'
            ' fetched_at FROM intensity WHERE start < ?2 AND "end" > ?1 ORDER BY fetched_at, start',
            (start, end),
        )
        return [
            Intensity(
                zone,
                provider,
                begin,
                until,
                grams,
                Basis(basis),
                Factor(factor),
                Origin(origin),
                source,
                fetched_at,
            )
            for (
                zone,
                provider,
                begin,
                until,
                grams,
                basis,
                factor,
                origin,
                source,
                fetched_at,
            ) in rows
        ]

    def document(self, name: str) -> bytes | None:
        """Return the newest text of that name; None: there is none."""
        rows = self._rows("SELECT body FROM document WHERE name = ?", (name,))
        return rows[0][0] if rows else None

    def ask(self, question: Callable[[sqlite3.Connection], T]) -> T:
        """Return what `question` returns, which sees one moment of the ledger.

        It may make temporary tables. Raises `LedgerError`.
        """
        try:
            self._db.execute("BEGIN")
            try:
                return question(self._db)
            finally:
                self._db.commit()
        except BROKEN as error:
            raise explain(self.path, error) from error

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()

    def _rows(self, statement: str, values: tuple[object, ...]) -> list[tuple]:  # type: ignore[type-arg]
        try:
            return self._db.execute(statement, values).fetchall()
        except BROKEN as error:
            raise explain(self.path, error) from error


def _wrong_version(path: Path, version: int) -> str:
    if version < VERSION:
        return (
            f"{path}: was written by an older Wattlas (version {version} of the schema, this one"
            f" reads {VERSION}); start this version's agent on it once"
        )
    return (
        f"{path}: was written by a newer Wattlas (version {version} of the schema, this one"
        f" knows {VERSION}); report with that one"
    )
