"""The intensities that count between two moments, out of all that providers ever said. Pure.

Of several values for one moment counts, in this order: the provider that the settings name first;
its measured value before its estimated one before its forecast; the one that was fetched last; the
shorter one. Where nobody says anything, the last known value is held for a while, then the static
factor of the year stands, and without one the time is unknown, which is not zero.
"""

import heapq
import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from agent.carbon.intensity import Intensity
from agent.carbon.settings import CarbonSettings
from agent.carbon.words import Basis, Factor, Origin
from agent.quantities import Word

STATIC: Final = "static"
Static = Callable[[int], Intensity | None]
"""Yearly factor of a year; None: there is none."""


class Standing(Word):
    """On what an intensity stands: how it was obtained, or that it stands in for a missing one."""

    MEASURED = "measured"
    ESTIMATED = "estimated"
    FORECAST = "forecast"
    HELD = "held"
    """The last known value of a provider that fell silent."""
    AVERAGE = "average"
    """The yearly factor."""
    LOCATION = "location"
    """The location's value in a market-based account that has nothing better: the last resort."""
    UNKNOWN = "unknown"


_ORDER: Final = {Origin.MEASURED: 0, Origin.ESTIMATED: 1, Origin.FORECAST: 2, Origin.AVERAGE: 3}
CAN_BE_HELD: Final = (Origin.MEASURED, Origin.ESTIMATED)
"""A forecast was never known, and a yearly average needs no holding."""


class Piece(NamedTuple):
    """One intensity for some time."""

    start: float
    """Unix time, included."""
    end: float
    """Unix time, not included."""
    grams_per_kwh: float | None
    """None: unknown."""
    provider: str
    standing: Standing
    source: str


class Rule(msgspec.Struct, frozen=True):
    """Which values may count. Bases and families of factors are never mixed."""

    basis: Basis
    factor: Factor
    providers: tuple[str, ...]
    """In order of preference; others do not count."""
    hold_seconds: float = 6 * 3600.0
    time_zone: str = "UTC"
    """Whose calendar says which year it is, for yearly factors."""
    zone: str = ""
    """Grid zone; "": that of all values given."""


class Timeline(msgspec.Struct, frozen=True):
    """Contiguous pieces from a start to an end."""

    basis: Basis
    factor: Factor
    pieces: tuple[Piece, ...]


def rule_of(settings: CarbonSettings, basis: Basis, time_zone: str = "UTC") -> Rule:
    """Return the rule that the settings make for a basis."""
    return Rule(
        basis,
        settings.factor,
        tuple(settings.providers),
        settings.hold_hours * 3600.0,
        time_zone,
    )


def as_known(values: Iterable[Intensity], moment: float) -> list[Intensity]:
    """Return the values that had been fetched at a moment, Unix time."""
    return [value for value in values if value.fetched_at <= moment]


def timeline(
    values: Iterable[Intensity],
    start: float,
    end: float,
    rule: Rule,
    static: Static | None = None,
) -> Timeline:
    """Return what counts from `start` to `end`, Unix time, without a hole: unknown time is told.

    `values`: also those of the last `rule.hold_seconds` before `start`, which may have to be held.
    Providers that the settings name behind "static" are never needed if `static` is given. A value
    below 0 is none: it would be an offset.
    """
    names = [name for name in rule.providers if name != STATIC or static is None]
    if static is not None and STATIC in rule.providers:
        names = list(rule.providers[: rule.providers.index(STATIC)])
    ranks = {name: rank for rank, name in enumerate(names)}
    ranked = [
        _Ranked(
            (
                ranks[value.provider],
                _ORDER[value.origin],
                -value.fetched_at,
                value.end - value.start,
                -index,
            ),
            value,
        )
        for index, value in enumerate(values)
        if value.provider in ranks
        and value.basis is rule.basis
        and value.factor is rule.factor
        and rule.zone in {"", value.zone}
        and value.start < value.end
        and 0 <= value.grams_per_kwh < math.inf
    ]
    pieces: list[Piece] = []
    for begin, until, value, last in _sweep(ranked, start, end):
        if value is not None:
            _append(pieces, _piece(begin, until, value, Standing(value.origin.value)))
        else:
            _fill(pieces, begin, until, last, rule, static)
    return Timeline(rule.basis, rule.factor, tuple(pieces))


def at(line: Timeline, moment: float) -> Piece | None:
    """Return the piece of a moment, Unix time; None: outside."""
    return next((piece for piece in line.pieces if piece.start <= moment < piece.end), None)


def with_last_resort(market: Timeline, location: Timeline) -> Timeline:
    """Return the market's pieces, and where it knows nothing the location's, marked as such.

    GHG Protocol Scope 2 Guidance (2015), table 6.3: the last rung of the market-based hierarchy.
    Raises ValueError where the families of factors differ.
    """
    if market.factor is not location.factor:
        raise ValueError("direct and life-cycle factors are never mixed")
    if (market.basis, location.basis) != (Basis.MARKET, Basis.LOCATION):
        raise ValueError("one timeline must be market-based and the other location-based")
    pieces: list[Piece] = []
    for piece in market.pieces:
        if piece.grams_per_kwh is not None:
            pieces.append(piece)
            continue
        for each in location.pieces:
            begin, until = max(each.start, piece.start), min(each.end, piece.end)
            if begin < until:
                unknown = each.grams_per_kwh is None
                standing = Standing.UNKNOWN if unknown else Standing.LOCATION
                pieces.append(each._replace(start=begin, end=until, standing=standing))
    return Timeline(market.basis, market.factor, tuple(pieces))


class _Ranked(NamedTuple):
    key: tuple[int, int, float, float, int]
    """The smallest counts."""
    value: Intensity


_Stretch = tuple[float, float, Intensity | None, list[Intensity]]


def _sweep(ranked: Sequence[_Ranked], start: float, end: float) -> Iterable[_Stretch]:
    """Yield each stretch with the value that counts, or None and what can be held, best first."""
    by_start = sorted(ranked, key=lambda each: each.value.start)
    by_end = sorted(
        (each for each in ranked if each.value.origin in CAN_BE_HELD),
        key=lambda each: (each.value.end, [-part for part in each.key]),
    )
    edges = sorted(
        {start, end}
        | {
            edge
            for each in ranked
            for edge in (each.value.start, each.value.end)
            if start < edge < end
        }
    )
    live: list[_Ranked] = []
    last: dict[int, Intensity] = {}
    i = j = 0
    for begin, until in itertools.pairwise(edges):
        while i < len(by_start) and by_start[i].value.start <= begin:
            heapq.heappush(live, by_start[i])
            i += 1
        while live and live[0].value.end <= begin:
            heapq.heappop(live)
        if live:
            yield begin, until, live[0].value, []
            continue
        while j < len(by_end) and by_end[j].value.end <= begin:
            last[by_end[j].key[0]] = by_end[j].value
            j += 1
        yield begin, until, None, [last[rank] for rank in sorted(last)]


def _fill(
    pieces: list[Piece],
    begin: float,
    until: float,
    last: Sequence[Intensity],
    rule: Rule,
    static: Static | None,
) -> None:
    """Fill a hole: the best provider's last value as long as it stands, the next one's, static."""
    for value in last:
        stands_until = min(until, value.end + rule.hold_seconds)
        if stands_until > begin:
            _append(pieces, _piece(begin, stands_until, value, Standing.HELD))
            begin = stands_until
    while begin < until:
        year, year_end = _year(begin, rule.time_zone)
        stop = min(until, year_end)
        yearly = static(year) if static is not None else None
        if yearly is None or (yearly.basis, yearly.factor) != (rule.basis, rule.factor):
            _append(pieces, Piece(begin, stop, None, "", Standing.UNKNOWN, ""))
        else:
            _append(pieces, _piece(begin, stop, yearly, Standing.AVERAGE))
        begin = stop


def _year(moment: float, time_zone: str) -> tuple[int, float]:
    """Return the year of a moment and the moment at which it ends."""
    zone = ZoneInfo(time_zone)
    year = datetime.fromtimestamp(moment, zone).year
    return year, datetime(year + 1, 1, 1, tzinfo=zone).timestamp()


def _piece(begin: float, until: float, value: Intensity, standing: Standing) -> Piece:
    return Piece(begin, until, value.grams_per_kwh, value.provider, standing, value.source)


def _append(pieces: list[Piece], piece: Piece) -> None:
    """Append, or make the last one longer if it says the same."""
    if pieces and pieces[-1][2:] == piece[2:]:
        pieces[-1] = pieces[-1]._replace(end=piece.end)
    else:
        pieces.append(piece)
