"""Scope 2 with contracts: what is bought, by location and by market, side by side. Pure.

GHG Protocol Scope 2 Guidance (2015), ch. 6, table 6.3: certificates and contracts first, then the
supplier's factor, then the residual mix, and the location's average only where there is none of
these, which is told. Offsets have no place in it: nothing here can go below zero.
"""

import math
from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from agent.carbon.contracts import MatchedHour, Supply, match_hours
from agent.carbon.hours import cut, is_hourly, split
from agent.carbon.operational import Total, grams, total
from agent.carbon.timeline import Standing, Timeline, with_last_resort
from agent.kpi.checked import JOULES_PER_KWH, not_below_zero
from agent.kpi.period import Period
from agent.quantities import Word
from agent.site.cells import Cell


class Tier(Word):
    """Rung of the market-based hierarchy, best first."""

    CONTRACT = "contract"
    """Certificates and PPAs."""
    SUPPLIER_OR_RESIDUAL = "supplier_or_residual"
    """What `carbon.static.market_grams_per_kwh` says."""
    LOCATION = "location"
    """The location's average: the last resort."""
    UNKNOWN = "unknown"


class Line(msgspec.Struct, frozen=True):
    """One row of the market-based account."""

    tier: Tier
    name: str
    """The contract, or the source of the factor."""
    kwh: float
    grams: float | None
    """None: unknown."""


class Market(msgspec.Struct, frozen=True):
    """Scope 2 of a site's purchased energy, both ways."""

    location: Total
    """Of all that was bought, contracts or not."""
    grams: float | None
    """Market-based; None: nothing is known."""
    bought_kwh: float
    onsite_kwh: float
    """Made on the site and used there: not in Scope 2."""
    known_kwh: float
    """Bought energy that the market-based figure speaks of."""
    lines: tuple[Line, ...]
    """Their grams and kWh add up."""
    surplus_kwh: float
    """Contracted by the hour beyond the load of the hour: claimed nowhere."""
    unused_kwh: float
    """Of amounts without hours: beyond what was bought."""


_TIERS: Final = tuple(Tier)
_TIER_OF: Final = {Standing.UNKNOWN: Tier.UNKNOWN, Standing.LOCATION: Tier.LOCATION}


def scope2_with_contracts(
    load: Sequence[Cell],
    supplies: Sequence[Supply],
    location: Timeline,
    market: Timeline,
    period: Period,
) -> Market:
    """Return both figures for `period`.

    `load`: cells of all that the site uses, the own plant's energy included. `market`: the
    supplier's factor or the residual mix, where known; of the same family of factors as `location`.
    Yearly amounts count for the share of their year that the period is, and never more than what is
    left of the load after the hourly claims. Raises ValueError.
    """
    for contract, _ in supplies:
        not_below_zero(f"grams_per_kwh of contract {contract.name}", contract.grams_per_kwh)
    load = cut(load, period.start, period.end)
    hours = match_hours(load, supplies, period)
    bought = less(load, hours, onsite_only=True)
    rest = less(load, hours, onsite_only=False)
    claimed = _hourly_lines(hours)
    left = total(rest, with_last_resort(market, location))
    bulk = _bulk_amounts(supplies, period)
    lines, unused = _with_bulk(left, bulk)
    lines = [*claimed, *lines]
    known = [line for line in lines if line.grams is not None]
    return Market(
        location=total(bought, location),
        grams=math.fsum(line.grams or 0.0 for line in known) if known else None,
        bought_kwh=math.fsum(cell.amount for cell in bought) / JOULES_PER_KWH,
        onsite_kwh=math.fsum(each.onsite_joules for each in hours) / JOULES_PER_KWH,
        known_kwh=math.fsum(line.kwh for line in known),
        lines=tuple(sorted(lines, key=lambda line: (_TIERS.index(line.tier), line.name))),
        surplus_kwh=math.fsum(each.surplus_joules for each in hours) / JOULES_PER_KWH,
        unused_kwh=unused,
    )


def less(load: Sequence[Cell], hours: Sequence[MatchedHour], *, onsite_only: bool) -> list[Cell]:
    """Return the load without what its hours' claims cover, shared among the cells of an hour.

    `onsite_only`: what is left is what was bought.
    """
    kept = {
        each.hour: 1.0
        - (each.onsite_joules if onsite_only else sum(claim.joules for claim in each.claims))
        / each.load.joules
        for each in hours
        if each.load.joules > 0
    }
    found: list[Cell] = []
    for cell in load:
        if not is_hourly(cell):
            found.append(cell)
            continue
        parts = split(cell)
        ratios = {kept.get(hour, 1.0) for hour, _ in parts}
        if ratios == {1.0}:
            found.append(cell)
        else:
            found += [
                part._replace(amount=part.amount * max(kept.get(hour, 1.0), 0.0))
                for hour, part in parts
            ]
    return found


def _hourly_lines(hours: Sequence[MatchedHour]) -> list[Line]:
    by_name: dict[tuple[str, float], list[float]] = {}
    for each in hours:
        for claim in each.claims:
            if claim.contract.kind != "onsite":
                key = (claim.contract.name, claim.contract.grams_per_kwh)
                by_name.setdefault(key, []).append(claim.joules)
    return [
        Line(
            Tier.CONTRACT, name, math.fsum(joules) / JOULES_PER_KWH, grams(math.fsum(joules), rate)
        )
        for (name, rate), joules in by_name.items()
    ]


class _Bulk(NamedTuple):
    """An amount of energy of which nobody knows the hours."""

    name: str
    kwh: float
    grams_per_kwh: float


def _bulk_amounts(supplies: Sequence[Supply], period: Period) -> list[_Bulk]:
    found: list[_Bulk] = []
    for contract, cells in supplies:
        if contract.kind == "onsite":
            continue
        amounts = [
            cell.amount
            / JOULES_PER_KWH
            * _overlap(cell.start, cell.end, period)
            / (cell.end - cell.start)
            for cell in cells
            if cell.end > cell.start and not is_hourly(cell)
        ]
        if not contract.meter and contract.kwh_per_year is not None:
            amounts.append(contract.kwh_per_year * _years_share(contract.year, period))
        if math.fsum(amounts) > 0:
            found.append(_Bulk(contract.name, math.fsum(amounts), contract.grams_per_kwh))
    return found


def _years_share(vintage: int | None, period: Period) -> float:
    """Return how much of a yearly amount is the period's; without a vintage it is every year's."""
    zone = ZoneInfo(period.zone)
    first = datetime.fromtimestamp(period.start, zone).year
    last = datetime.fromtimestamp(period.end, zone).year
    found = 0.0
    for year in range(first, last + 1):
        if vintage in {None, year}:
            start = datetime(year, 1, 1, tzinfo=zone).timestamp()
            end = datetime(year + 1, 1, 1, tzinfo=zone).timestamp()
            found += _overlap(start, end, period) / (end - start)
    return found


def _overlap(start: float, end: float, period: Period) -> float:
    return max(0.0, min(end, period.end) - max(start, period.start))


def _with_bulk(left: Total, bulk: Sequence[_Bulk]) -> tuple[list[Line], float]:
    """Take amounts without hours off what is left, off every hour alike; return what is unused."""
    room = max(left.kwh, 0.0)
    lines: list[Line] = []
    unused: list[float] = []
    for amount in bulk:
        used = min(amount.kwh, room)
        room -= used
        unused.append(amount.kwh - used)
        if used > 0:
            lines.append(Line(Tier.CONTRACT, amount.name, used, used * amount.grams_per_kwh))
    ratio = room / left.kwh if left.kwh > 0 else 0.0
    lines += [
        Line(
            _TIER_OF.get(row.standing, Tier.SUPPLIER_OR_RESIDUAL),
            ", ".join(row.sources),
            row.kwh * ratio,
            None if row.grams is None else row.grams * ratio,
        )
        for row in left.rows
        if row.kwh * ratio > 0
    ]
    return lines, math.fsum(unused)
