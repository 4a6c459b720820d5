"""What was booked live against what is known now. Pure.

Live figures are counted with what was known at that moment and never changed: a counter does not
go back. Reports count the same energy again with what providers filled in since, and say how far
the two are apart.
"""

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import msgspec

from agent.carbon.hours import HOUR_SECONDS, split
from agent.carbon.operational import Located
from agent.quarters import QUARTER_SECONDS
from agent.site.cells import Cell


class RestatedHour(NamedTuple):
    """One hour of UTC."""

    hour: int
    """Hours since 1970."""
    booked_grams: float | None
    """None: nothing could be booked then."""
    grams: float | None
    """What counts: what is known now, and what was booked where nothing is."""

    @property
    def difference_grams(self) -> float:
        """What the restatement adds; below 0 where too much was booked."""
        return (self.grams or 0.0) - (self.booked_grams or 0.0)


class Restated(msgspec.Struct, frozen=True):
    """A period's emissions, restated."""

    booked_grams: float | None
    """As counted then; None: nothing was."""
    grams: float | None
    """What counts now."""
    difference_grams: float
    added_grams: float
    """Of the difference: hours of which nothing could be booked."""
    hours: tuple[RestatedHour, ...]
    """In order; all hours that either side speaks of."""

    @property
    def changed(self) -> tuple[RestatedHour, ...]:
        """The hours that differ by more than rounding."""
        return tuple(
            each
            for each in self.hours
            if abs(each.difference_grams) > 1e-9 * max(abs(each.grams or 0.0), 1e-6)
        )


def restated(booked: Iterable[Cell], known: Iterable[Located]) -> Restated:
    """Compare by quarters of an hour, and tell by hours.

    `booked`: grams (as `amount`), as they were counted then. `known`: the same energy, counted with
    what is known now; a cell whose intensity is known only in part is left as it was booked.
    Longer cells are shared by time.
    """
    then: dict[int, list[float]] = {}
    now: dict[int, list[float]] = {}
    for cell in booked:
        for quarter, part in split(cell, QUARTER_SECONDS):
            then.setdefault(quarter, []).append(part.amount)
    for each in known:
        if each.grams is None or each.known_joules < each.cell.amount * (1 - 1e-9):
            continue
        for quarter, part in split(each.cell._replace(amount=each.grams), QUARTER_SECONDS):
            now.setdefault(quarter, []).append(part.amount)
    per_hour = round(HOUR_SECONDS / QUARTER_SECONDS)
    by_hour: dict[int, list[int]] = {}
    for quarter in sorted(then.keys() | now.keys()):
        by_hour.setdefault(quarter // per_hour, []).append(quarter)
    hours = tuple(
        RestatedHour(
            hour,
            _sum([then[quarter] for quarter in quarters if quarter in then]),
            _sum([now.get(quarter) or then[quarter] for quarter in quarters]),
        )
        for hour, quarters in by_hour.items()
    )
    return Restated(
        _sum(list(then.values())),
        _sum([[each.grams] for each in hours if each.grams is not None]),
        math.fsum(each.difference_grams for each in hours),
        math.fsum(each.difference_grams for each in hours if each.booked_grams is None),
        hours,
    )


def _sum(amounts: Sequence[Sequence[float]]) -> float | None:
    if not amounts:
        return None
    return math.fsum(amount for each in amounts for amount in each)
