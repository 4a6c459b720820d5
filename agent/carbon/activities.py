"""What else operating a site emits: fuel and refrigerants, and the grid behind the socket. Pure."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from agent.carbon.settings import Activity
from agent.kpi.checked import not_below_zero
from agent.kpi.period import Period
from agent.quantities import Word
from agent.site.cells import Cell


class LossesOf(Word):
    """Of what a loss rate is a share."""

    DELIVERED = "delivered"
    """Of the energy that arrives: GHG Protocol, Technical Guidance for Calculating Scope 3
    Emissions (2013), formula 3.3, multiplies what was consumed by the rate."""
    GENERATION = "generation"
    """Of the energy that is sent out, as statistics count it, e.g. World Bank EG.ELC.LOSS.ZS
    ("% of output") and EPA eGRID's grid gross loss."""


class Direct(msgspec.Struct, frozen=True):
    """Scope 1 of one fuel or refrigerant in a period."""

    name: str
    amount: float | None
    """In the unit of the file; None: there are no records of the period."""
    grams: float | None
    records: int
    shared: int
    """Records that reach over the edge of the period and were shared by time."""
    seconds: float
    """Time of the period that the records speak of; a dated refill speaks of none."""
    source: str


class GridLosses(NamedTuple):
    """Scope 3, category 3 of purchased electricity, g CO2e."""

    upstream: float | None
    """Activity B: fuel before it is burnt, and plants. None: one of the two families is unknown,
    or they contradict each other (the life cycle less than a part of it)."""
    transmission: float | None
    """Activity C: losses between plant and socket. None: the rate or every intensity is unknown."""
    transmission_is_direct_only: bool
    """Only the direct intensity was known, so it has not what is upstream of the losses."""


def scope1(activity: Activity, cells: Sequence[Cell], period: Period) -> Direct:
    """Return what a fuel or refrigerant emitted in a period.

    GHG Protocol Corporate Standard, ch. 4: amount x emission factor; refrigerants by what was
    refilled x GWP. A record that reaches over the edge is shared by time, so that months add up to
    their year; one with start = end belongs to its moment. No record is not none: None.
    """
    amounts: list[float] = []
    shared = 0
    seconds: list[float] = []
    for cell in cells:
        if cell.end <= cell.start:
            if period.start <= cell.start < period.end:
                amounts.append(cell.amount)
            continue
        overlap = min(cell.end, period.end) - max(cell.start, period.start)
        if overlap <= 0:
            continue
        ratio = overlap / (cell.end - cell.start)
        shared += ratio < 1.0
        amounts.append(cell.amount * ratio)
        seconds.append(cell.seconds * ratio)
    amount = not_below_zero(activity.name, math.fsum(amounts)) if amounts else None
    return Direct(
        activity.name,
        amount,
        None if amount is None else amount * activity.kilograms_per_unit * 1000.0,
        len(amounts),
        shared,
        math.fsum(seconds),
        activity.source,
    )


def loss_ratio(percent: float, of: LossesOf = LossesOf.DELIVERED) -> float:
    """Return kWh lost per kWh delivered. Raises ValueError for what cannot be.

    Of generation it is r / (1 - r): 10 % of what is sent out is 11.1 % of what arrives.
    """
    ratio = not_below_zero("carbon.losses_percent", percent) / 100.0
    if of is LossesOf.DELIVERED:
        return ratio
    if ratio >= 1.0:
        raise ValueError(f"losses of {percent:g} % of generation leave nothing to deliver")
    return ratio / (1.0 - ratio)


def category3(
    direct_grams: float | None,
    lifecycle_grams: float | None,
    losses_percent: float | None,
    of: LossesOf = LossesOf.DELIVERED,
) -> GridLosses:
    """Return Scope 3, category 3 of the same electricity counted with both families of factors.

    Technical Guidance for Calculating Scope 3 Emissions (2013), category 3. Formula 3.2: upstream
    = life cycle - combustion (if the life-cycle factor already has losses in it, leave
    `losses_percent` unset). Formula 3.3: losses = consumed x life-cycle factor x loss rate; its
    worked example 3.1 takes the combustion factor, which is what is done here, and told, where the
    life-cycle one is unknown. `direct_grams`, `lifecycle_grams`: energy x intensity of each.
    """
    upstream = None
    if direct_grams is not None and lifecycle_grams is not None and lifecycle_grams >= direct_grams:
        upstream = lifecycle_grams - direct_grams
    generated = direct_grams if lifecycle_grams is None else lifecycle_grams
    if losses_percent is None or generated is None:
        return GridLosses(upstream, None, False)
    return GridLosses(upstream, generated * loss_ratio(losses_percent, of), lifecycle_grams is None)
