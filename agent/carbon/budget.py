"""Budgets of energy and carbon: how much is used, how fast, and when it runs out. Pure.

能耗双控 and 碳排放双控 limit totals and intensities of a calendar year or month. Days are those of
the site's calendar: a year has 365 or 366 of them, and a day 23, 24 or 25 hours.
"""

import math
from collections.abc import Sequence
from datetime import datetime
from typing import Final, Literal, NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from agent.carbon.settings import Budget
from agent.kpi.checked import JOULES_PER_KWH
from agent.kpi.period import Period, month_of
from agent.site.cells import Cell

DAY_SECONDS: Final = 86400.0
RECENT_DAYS: Final = (7, 30)


class Pace(msgspec.Struct, frozen=True):
    """How fast a budget is used, and where that leads."""

    days: int | None
    """Over so many days up to now; None: since the period's start."""
    per_day: float | None
    """kWh or kg in 24 hours, or of an intensity what it was over that time; None: unknown."""
    expected: float | None
    """At the period's end, if it goes on like this."""
    runs_out: float | None
    """Unix time at which the limit is reached; None: not in this period."""


class Used(msgspec.Struct, frozen=True):
    """One limit of one budget, now."""

    name: str
    of: Literal["energy", "carbon", "intensity"]
    unit: str
    """kWh, kg, or g per unit of work."""
    limit: float
    period: Period
    used: float | None
    """Since the period's start; a lower bound where coverage is below 1. None: nothing is known."""
    share: float | None
    """used / limit."""
    coverage: float
    """Share of the time since the period's start for which it is known."""
    exceeded: float | None
    """Unix time at which the limit was reached, as far as is known; None: it was not."""
    paces: tuple[Pace, ...]
    """The last 7 days, 30 days, and since the start."""


class Records(NamedTuple):
    """What was used, by time: quarters of an hour or longer, in order."""

    joules: Sequence[Cell] = ()
    grams: Sequence[Cell] = ()
    """Of the budget's basis."""
    work: Sequence[Cell] = ()
    """Units of work."""


def year_of(moment: float, zone: str) -> Period:
    """Return the calendar year in which a moment lies."""
    tz = ZoneInfo(zone)
    year = datetime.fromtimestamp(moment, tz).year
    return Period(
        datetime(year, 1, 1, tzinfo=tz).timestamp(),
        datetime(year + 1, 1, 1, tzinfo=tz).timestamp(),
        zone,
    )


def used(budget: Budget, records: Records, now: float, zone: str) -> list[Used]:
    """Return how each limit of a budget stands at `now`, Unix time, by the calendar of `zone`."""
    period = (month_of if budget.period == "month" else year_of)(now, zone)
    found: list[Used] = []
    if budget.kwh is not None:
        cells = _scaled(records.joules, 1 / JOULES_PER_KWH)
        found.append(_total(budget.name, "energy", "kWh", budget.kwh, cells, period, now))
    if budget.kilograms is not None:
        cells = _scaled(records.grams, 1 / 1000.0)
        found.append(_total(budget.name, "carbon", "kg", budget.kilograms, cells, period, now))
    if budget.grams_per_unit is not None:
        found.append(_intensity(budget, budget.grams_per_unit, records, period, now))
    return found


class _Sum(NamedTuple):
    amount: float
    seconds: float
    """Time for which it stands."""


def _total(
    name: str,
    of: Literal["energy", "carbon"],
    unit: str,
    limit: float,
    cells: Sequence[Cell],
    period: Period,
    now: float,
) -> Used:
    so_far = _between(cells, period.start, now)
    elapsed = max(now - period.start, 0.0)
    unknown = max(elapsed - so_far.seconds, 0.0)
    exceeded = _reached(cells, limit, period.start, now)
    paces: list[Pace] = []
    for days, recent in _windows(cells, period, now):
        if recent.seconds <= 0:
            paces.append(Pace(days, None, None, None))
            continue
        rate = recent.amount / recent.seconds
        spent = so_far.amount + rate * unknown
        expected = spent + rate * (period.end - now)
        runs_out = exceeded
        if runs_out is None and rate > 0 and expected > limit:
            runs_out = now + max(limit - spent, 0.0) / rate
        paces.append(Pace(days, rate * DAY_SECONDS, expected, runs_out))
    known = so_far.seconds > 0
    return Used(
        name,
        of,
        unit,
        limit,
        period,
        so_far.amount if known else None,
        so_far.amount / limit if known and limit > 0 else None,
        min(so_far.seconds / elapsed, 1.0) if elapsed > 0 else 0.0,
        exceeded,
        tuple(paces),
    )


def _intensity(budget: Budget, limit: float, records: Records, period: Period, now: float) -> Used:
    """An intensity: grams over work, each summed over the period. It can recover."""
    so_far = _between(records.grams, period.start, now)
    work = _between(records.work, period.start, now)
    elapsed = max(now - period.start, 0.0)
    value = so_far.amount / work.amount if work.amount > 0 and so_far.seconds > 0 else None
    left = period.end - now
    paces: list[Pace] = []
    windows = zip(
        _windows(records.grams, period, now), _windows(records.work, period, now), strict=True
    )
    for (days, recent), (_, done) in windows:
        if recent.seconds <= 0 or done.seconds <= 0 or done.amount <= 0:
            paces.append(Pace(days, None, None, None))
            continue
        rate, work_rate = recent.amount / recent.seconds, done.amount / done.seconds
        expected = (so_far.amount + rate * left) / (work.amount + work_rate * left)
        crossing = None
        if value is not None and value < limit < expected:
            margin = limit * work.amount - so_far.amount
            crossing = now + margin / (rate - limit * work_rate)
        elif value is not None and value >= limit:
            crossing = now
        paces.append(Pace(days, rate / work_rate, expected, crossing))
    return Used(
        budget.name,
        "intensity",
        f"g/{budget.unit or 'unit'}",
        limit,
        period,
        value,
        value / limit if value is not None and limit > 0 else None,
        min(so_far.seconds / elapsed, 1.0) if elapsed > 0 else 0.0,
        now if value is not None and value >= limit else None,
        tuple(paces),
    )


def _windows(cells: Sequence[Cell], period: Period, now: float) -> list[tuple[int | None, _Sum]]:
    recent = [(days, _between(cells, now - days * DAY_SECONDS, now)) for days in RECENT_DAYS]
    return [*recent, (None, _between(cells, period.start, now))]


def _between(cells: Sequence[Cell], start: float, end: float) -> _Sum:
    """Add up what lies between two moments; cells over an edge are shared by time."""
    amounts: list[float] = []
    seconds: list[float] = []
    for cell in cells:
        overlap = min(cell.end, end) - max(cell.start, start)
        if overlap > 0:
            ratio = overlap / (cell.end - cell.start)
            amounts.append(cell.amount * ratio)
            seconds.append(cell.seconds * ratio)
    return _Sum(math.fsum(amounts), math.fsum(seconds))


def _reached(cells: Sequence[Cell], limit: float, start: float, now: float) -> float | None:
    """Return when the sum since `start` reached the limit, within a cell by proportion."""
    so_far = 0.0
    for cell in cells:
        begin, end = max(cell.start, start), min(cell.end, now)
        if end <= begin:
            continue
        amount = cell.amount * (end - begin) / (cell.end - cell.start)
        if amount > 0 and so_far + amount >= limit:
            return begin + (end - begin) * max(limit - so_far, 0.0) / amount
        so_far += amount
    return None


def _scaled(cells: Sequence[Cell], factor: float) -> list[Cell]:
    return [cell._replace(amount=cell.amount * factor) for cell in cells]
