"""A period's emissions by stage, day by day or month by month. Pure."""

import math
from bisect import bisect_right
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, Literal
from zoneinfo import ZoneInfo

import msgspec

from agent.carbon.activities import scope1
from agent.carbon.hours import cut
from agent.carbon.words import Stage
from agent.kpi.period import Period, months
from agent.lifecycle.amortised import between
from agent.report.carbon_figures import Carbon
from agent.report.carbon_inputs import CarbonInputs
from agent.site.cells import Cell

MOST_DAYS: Final = 62
"""Longer periods are told by months."""


class Bucket(msgspec.Struct, frozen=True):
    """One day or month, g CO2e by stage; operation with Scope 2 by location."""

    period: Period
    stages: dict[Stage, float]
    """What is known; all buckets add up to the total by location."""


def days(period: Period) -> list[Period]:
    """Return the calendar days of a period, the outer ones as far as they lie in it."""
    zone = ZoneInfo(period.zone)
    found: list[Period] = []
    at = period.start
    while at < period.end:
        day = datetime.fromtimestamp(at, zone).date() + timedelta(days=1)
        until = datetime(day.year, day.month, day.day, tzinfo=zone).timestamp()
        found.append(Period(at, min(until, period.end), period.zone))
        at = until
    return found


def step_of(period: Period) -> Literal["day", "month"]:
    """Return into what a period is cut."""
    return "day" if period.seconds <= (MOST_DAYS + 0.5) * 86400 else "month"


def by_time(inputs: CarbonInputs, found: Carbon) -> list[Bucket]:
    """Return the stages by day or month.

    What is bought by its own time; fuel by the times of its records; what the grid loses as what it
    delivered (by location); the other stages as they are posted.
    """
    period = inputs.period
    spans = days(period) if step_of(period) == "day" else months(period)
    grams = [
        each.cell._replace(amount=each.grams) for each in found.located if each.grams is not None
    ]
    bought = shared(grams, spans)
    lost = [each for each in (found.losses.upstream, found.losses.transmission) if each is not None]
    ratio = math.fsum(lost) / found.location.grams if lost and found.location.grams else 0.0
    buckets: list[Bucket] = []
    for span, amount in zip(spans, bought, strict=True):
        direct = [
            scope1(activity, records.cells, span).grams for activity, records in inputs.direct
        ]
        known = [each for each in direct if each is not None]
        stages: dict[Stage, float] = {}
        if amount is not None or known:
            stages[Stage.OPERATION] = math.fsum([*known, (amount or 0.0) * (1.0 + ratio)])
        posted = between(inputs.inventory, span.start, span.end).grams
        stages |= {stage: posted[stage].best for stage in Stage if stage in posted}
        buckets.append(Bucket(span, stages))
    return buckets


def shared(cells: Sequence[Cell], spans: Sequence[Period]) -> list[float | None]:
    """Add up cells by span; one that lies in several is shared by time. None: nothing is known.

    `spans` are in order and without holes.
    """
    starts = [span.start for span in spans]
    found: list[list[float]] = [[] for _ in spans]
    for cell in cells:
        index = max(bisect_right(starts, cell.start) - 1, 0)
        while index < len(spans) and spans[index].start < cell.end:
            for part in cut([cell], spans[index].start, spans[index].end):
                found[index].append(part.amount)
            index += 1
    return [math.fsum(amounts) if amounts else None for amounts in found]
