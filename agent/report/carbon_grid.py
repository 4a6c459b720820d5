"""The grid's intensity over a period: which values count, by location and by market. Pure."""

import itertools
import math
from calendar import timegm
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from agent.carbon.intensity import Intensity
from agent.carbon.settings import CarbonSettings, StaticSettings
from agent.carbon.static import Refusal, static_intensity, static_market_intensity
from agent.carbon.timeline import (
    Piece,
    Standing,
    Static,
    Timeline,
    rule_of,
    timeline,
    with_last_resort,
)
from agent.carbon.words import Basis, Factor
from agent.kpi.period import Period
from agent.quarters import QUARTER_SECONDS

OTHER: Final = {Factor.DIRECT: Factor.LIFECYCLE, Factor.LIFECYCLE: Factor.DIRECT}
_YearlyFactor = Callable[[str, float, Factor, StaticSettings], Intensity | Refusal]


class Grid(NamedTuple):
    """What counts, from the window's start to its end."""

    location: Timeline
    market: Timeline
    """The supplier's factor or the residual mix, where known."""
    market_or_location: Timeline
    """With the location's value as the last resort."""
    other: Timeline
    """By location, of the other family: never added to the first."""
    problems: tuple[str, ...]


class HourOfDay(msgspec.Struct, frozen=True):
    """What the intensity was at one hour of the clock, over all days, g/kWh."""

    hour: int
    """0 to 23, in the period's zone."""
    mean: float
    low: float
    """Tenth percentile."""
    high: float
    """Ninetieth percentile."""


def grid_of(values: Sequence[Intensity], carbon: CarbonSettings, zone: str, window: Period) -> Grid:
    """Return the timelines. `zone`: host.grid_zone."""
    problems: list[str] = []
    zones = {value.zone for value in values}
    only = ""
    if len(zones) > 1 and zone in zones:
        only = zone
        others = ", ".join(sorted(zones - {zone}))
        problems.append(f"intensities of {others} are in the ledger, too; only {zone} counts")

    def line(basis: Basis, factor: Factor, yearly: _YearlyFactor) -> Timeline:
        rule = rule_of(carbon, basis, window.zone)
        rule = msgspec.structs.replace(rule, zone=only, factor=factor)
        static = _static(yearly, zone, factor, carbon.static)
        return timeline(values, window.start, window.end, rule, static)

    location = line(Basis.LOCATION, carbon.factor, static_intensity)
    market = line(Basis.MARKET, carbon.factor, static_market_intensity)
    other_static = carbon.static
    if carbon.static.grams_per_kwh is not None:  # the operator's is of the one family
        other_static = msgspec.structs.replace(carbon.static, grams_per_kwh=None)
    carbon = msgspec.structs.replace(carbon, static=other_static)
    other = line(Basis.LOCATION, OTHER[carbon.factor], static_intensity)
    if any(piece.grams_per_kwh is None for piece in location.pieces):
        refused = static_intensity(zone, window.start, location.factor, carbon.static)
        if isinstance(refused, Refusal):
            problems.append(refused.why)
    return Grid(location, market, with_last_resort(market, location), other, tuple(problems))


def paired(line: Timeline, other: Timeline) -> tuple[Timeline, Timeline]:
    """Return two families' timelines as far as one provider gives both, else unknown.

    The difference of a provider's hour and another's yearly average would be no upstream emission.
    """
    first: list[Piece] = []
    second: list[Piece] = []
    for begin, until, a, b in overlaid(line, other):
        known = a.grams_per_kwh is not None and b.grams_per_kwh is not None
        same = known and (a.provider, a.standing) == (b.provider, b.standing)
        for found, piece in ((first, a), (second, b)):
            cut = piece._replace(start=begin, end=until)
            found.append(cut if same else Piece(begin, until, None, "", Standing.UNKNOWN, ""))
    return (
        Timeline(line.basis, line.factor, tuple(first)),
        Timeline(other.basis, other.factor, tuple(second)),
    )


def overlaid(line: Timeline, other: Timeline) -> Iterator[tuple[float, float, Piece, Piece]]:
    """Yield each stretch, from and until, with the piece that either timeline has of it."""
    i = j = 0
    while i < len(line.pieces) and j < len(other.pieces):
        a, b = line.pieces[i], other.pieces[j]
        begin, until = max(a.start, b.start), min(a.end, b.end)
        if begin < until:
            yield begin, until, a, b
        i, j = i + (a.end <= b.end), j + (b.end <= a.end)


def by_hour_of_day(line: Timeline, period: Period) -> list[HourOfDay]:
    """Return mean and spread by hour of the clock, each quarter of an hour counting the same.

    A clock change has its hour twice or not at all; hours of which nothing is known are left out.
    """
    zone = ZoneInfo(period.zone)
    found: dict[int, list[float]] = {}
    for start, value in quarters(line, period):
        found.setdefault(datetime.fromtimestamp(start, zone).hour, []).append(value)
    return [
        HourOfDay(
            hour,
            math.fsum(values) / len(values),
            _percentile(sorted(values), 0.1),
            _percentile(sorted(values), 0.9),
        )
        for hour, values in sorted(found.items())
    ]


def quarters(line: Timeline, period: Period) -> Iterator[tuple[float, float]]:
    """Yield the start of each quarter of an hour and the intensity at it, where it is known."""
    pieces = iter(line.pieces)
    piece = next(pieces, None)
    count = math.ceil((period.end - period.start) / QUARTER_SECONDS)
    for start in itertools.islice(itertools.count(period.start, QUARTER_SECONDS), count):
        while piece is not None and piece.end <= start:
            piece = next(pieces, None)
        if piece is None:
            return
        if piece.start <= start and piece.grams_per_kwh is not None:
            yield start, piece.grams_per_kwh


def _percentile(ordered: Sequence[float], share: float) -> float:
    """Return a percentile by the nearest rank."""
    return ordered[min(max(math.ceil(share * len(ordered)) - 1, 0), len(ordered) - 1)]


def _static(yearly: _YearlyFactor, zone: str, factor: Factor, settings: StaticSettings) -> Static:
    def of(year: int) -> Intensity | None:
        middle = float(timegm((year, 7, 1, 0, 0, 0)))
        found = yearly(zone, middle, factor, settings)
        return None if isinstance(found, Refusal) else found

    return of
