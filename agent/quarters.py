"""Amounts by quarter of an hour: what reports are made of. Pure.

A quarter of an hour is the interval of utility meters, and every time zone's days begin at one.
"""

from collections.abc import Iterable
from typing import Final

import msgspec

QUARTER_SECONDS: Final = 900.0


class Series(msgspec.Struct, frozen=True):
    """What an amount is of."""

    kind: str
    """meter (of the site), host (this server), work."""
    name: str
    unit: str
    """J, l, s, or a unit of work."""


class QuarterPosting(msgspec.Struct, frozen=True):
    """What is added to one quarter of one series."""

    quarter: int
    """Quarters of an hour since 1970 UTC."""
    series: Series
    amount: float
    seconds: float
    """Time for which the amount stands."""
    gap_seconds: float


class QuartersState(msgspec.Struct, array_like=True):
    """The quarters that are not in the ledger yet."""

    open: dict[int, dict[str, list[float]]] = {}
    """Quarter to series to amount, seconds, gap seconds."""


class Quarters:
    """Spreads amounts over the quarters that they touch, and gives out those that are over."""

    def __init__(self, state: QuartersState | None = None) -> None:
        self.state = state or QuartersState()

    def add(
        self,
        series: Series,
        begin: float,
        end: float,
        amount: float | None,
        *,
        counts_time: bool = True,
    ) -> None:
        """Share an amount among the quarters from `begin` to `end`, Unix time; None: a gap.

        An amount of a moment is that moment's. `counts_time` False: somebody else says for how
        much of the time the series is known.
        """
        key = f"{series.kind}\t{series.name}\t{series.unit}"
        seconds = end - begin
        if seconds <= 0:
            if amount:
                self._row(int(end // QUARTER_SECONDS), key)[0] += amount
            return
        for quarter in range(int(begin // QUARTER_SECONDS), int(end // QUARTER_SECONDS) + 1):
            start = max(begin, quarter * QUARTER_SECONDS)
            until = min(end, (quarter + 1) * QUARTER_SECONDS)
            if until <= start:
                continue
            row = self._row(quarter, key)
            if amount is None:
                row[2] += until - start
            else:
                row[0] += amount * ((until - start) / seconds)
                row[1] += until - start if counts_time else 0.0

    def _row(self, quarter: int, key: str) -> list[float]:
        return self.state.open.setdefault(quarter, {}).setdefault(key, [0.0, 0.0, 0.0])

    def close(self, wall: float) -> list[QuarterPosting]:
        """Take out every quarter that is over at `wall`, Unix time."""
        current = int(wall // QUARTER_SECONDS)
        rows = self.state.open
        if not rows or (len(rows) == 1 and current in rows):
            return []
        over = sorted(quarter for quarter in rows if quarter != current)
        return [posting for quarter in over for posting in _postings(quarter, rows.pop(quarter))]

    def peek(self) -> list[QuarterPosting]:
        """Return what is not given out yet."""
        rows = self.state.open
        return [
            posting for quarter in sorted(rows) for posting in _postings(quarter, rows[quarter])
        ]


def _postings(quarter: int, rows: dict[str, list[float]]) -> Iterable[QuarterPosting]:
    for key, amounts in rows.items():
        kind, name, unit = key.split("\t")
        yield QuarterPosting(quarter, Series(kind, name, unit), *amounts)
