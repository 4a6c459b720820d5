"""Contracts by the hour: what of a load is matched, and the 24/7 carbon-free score. Pure.

Within an hour claims come in this order: the plant on the site, PPAs, certificates; contracts of a
kind as the settings list them. What an hour has too much is surplus: no other hour gets it. Yearly
amounts are in no hour; see `market.py`.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import msgspec

from agent.carbon.hours import Hour, by_hour, cut, is_hourly
from agent.carbon.settings import Contract
from agent.kpi.checked import JOULES_PER_KWH
from agent.kpi.period import Period
from agent.site.cells import Cell

_ORDER: Final = {"onsite": 0, "ppa": 1, "certificate": 2}


class Supply(NamedTuple):
    """A contract with what its meter says."""

    contract: Contract
    cells: Sequence[Cell] = ()
    """Of its own meter; empty where it is a yearly amount."""


class Claim(NamedTuple):
    """What one contract covers of one hour's load."""

    hour: int
    """Hours since 1970 UTC."""
    contract: Contract
    joules: float


class MatchedHour(NamedTuple):
    """An hour of load with its claims, which together never exceed it."""

    hour: int
    load: Hour
    claims: tuple[Claim, ...]
    surplus_joules: float
    """Of all contracts together, beyond the load."""
    unknown: tuple[str, ...]
    """Contracts whose meters do not know all of this hour: what they miss is not claimed."""

    @property
    def onsite_joules(self) -> float:
        """What the site made and used itself: never purchased."""
        return sum(each.joules for each in self.claims if each.contract.kind == "onsite")

    @property
    def carbon_free_joules(self) -> float:
        """Claims on energy that emits nothing."""
        return sum(each.joules for each in self.claims if each.contract.grams_per_kwh == 0)


class CarbonFree(msgspec.Struct, frozen=True):
    """The hourly 24/7 carbon-free score of a period."""

    score: float | None
    """Share of the load, 0 to 1; None: no hour of load is known."""
    contracted: float | None
    """What of it the contracts make up: the score of hours whose grid share is unknown."""
    load_kwh: float
    """Load that could be matched by the hour."""
    unmatchable_kwh: float
    """Load of cells longer than an hour, in no score."""
    hours: int
    hours_without_grid: int
    """Hours whose grid share is unknown: their rest counts as not carbon-free."""
    hours_without_contract: int
    """Hours that some contract's meter does not know completely."""
    surplus_kwh: float
    """Contracted beyond the load of its hour: carried to no other."""


def match_hours(
    load: Sequence[Cell], supplies: Sequence[Supply], period: Period | None = None
) -> list[MatchedHour]:
    """Match contracts with the load, hour by hour; of a period, both are cut to it.

    `load`: all that the site uses, what its own plant makes included. No claim exceeds what is left
    of its hour's load.
    """
    if period is not None:
        load = cut(load, period.start, period.end)
        supplies = [
            Supply(contract, [*cut(filter(is_hourly, cells), period.start, period.end)])
            for contract, cells in supplies
        ]
    ordered = sorted(
        (supply for supply in supplies if supply.cells),
        key=lambda supply: _ORDER[supply.contract.kind],
    )
    made = [(supply.contract, by_hour(supply.cells)) for supply in ordered]
    return [_match(hour, known, made) for hour, known in sorted(by_hour(load).items())]


def _match(
    hour: int, load: Hour, made: Sequence[tuple[Contract, Mapping[int, Hour]]]
) -> MatchedHour:
    left = max(load.joules, 0.0)
    claims: list[Claim] = []
    surplus: list[float] = []
    unknown: list[str] = []
    for contract, supplied in made:
        have = supplied.get(hour)
        if have is None or not have.is_complete:
            unknown.append(contract.name)
        if have is None or have.joules <= 0:
            continue
        claimed = min(have.joules, left)
        left -= claimed
        surplus.append(have.joules - claimed)
        if claimed > 0:
            claims.append(Claim(hour, contract, claimed))
    return MatchedHour(hour, load, tuple(claims), math.fsum(surplus), tuple(unknown))


def carbon_free(
    load: Sequence[Cell], matched: Sequence[MatchedHour], grid: Mapping[int, float]
) -> CarbonFree:
    """Return the score: sum of CFE_h over sum of load_h.

    Google, "24/7 Carbon-Free Energy: Methodologies and Metrics" (2021): CFE_h = min(contracted_h,
    load_h) + (load_h - min(..)) x carbon-free share of the grid in that hour. A surplus does not
    carry over, so no hour is above 100 %. Contracts that emit something count as none.
    `grid`: that share, 0 to 1, by hours since 1970 UTC; where it is missing the rest of the load
    counts as not carbon-free, and the hours are counted.
    """
    loads = [max(each.load.joules, 0.0) for each in matched]
    contracted = [each.carbon_free_joules for each in matched]
    from_grid = [
        # rounding leaves next to nothing below 0 where the claims are the whole load
        max(own_load - math.fsum(claim.joules for claim in each.claims), 0.0)
        * _ratio(grid[each.hour])
        for each, own_load in zip(matched, loads, strict=True)
        if each.hour in grid
    ]
    sum_load = math.fsum(loads)
    covered = math.fsum(contracted)
    return CarbonFree(
        score=(covered + math.fsum(from_grid)) / sum_load if sum_load else None,
        contracted=covered / sum_load if sum_load else None,
        load_kwh=sum_load / JOULES_PER_KWH,
        unmatchable_kwh=math.fsum(c.amount for c in load if not is_hourly(c)) / JOULES_PER_KWH,
        hours=len(matched),
        hours_without_grid=sum(each.hour not in grid for each in matched),
        hours_without_contract=sum(bool(each.unknown) for each in matched),
        surplus_kwh=math.fsum(each.surplus_joules for each in matched) / JOULES_PER_KWH,
    )


def _ratio(share: float) -> float:
    if not 0.0 <= share <= 1.0:
        raise ValueError(f"a carbon-free share of the grid is 0 to 1, not {share:g}")
    return share
