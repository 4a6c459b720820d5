"""The emissions of a period by scope, basis and stage, and what they stand on. Pure."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from agent.carbon.activities import Direct, GridLosses, LossesOf, category3, scope1
from agent.carbon.contracts import CarbonFree, carbon_free, match_hours
from agent.carbon.hours import cut
from agent.carbon.market import Market, scope2_with_contracts
from agent.carbon.operational import Located, Total, located, total
from agent.carbon.restated import Restated, restated
from agent.carbon.settings import CarbonSettings
from agent.carbon.words import Basis, Factor, Scope, Stage
from agent.lifecycle.amortised import Posted, between
from agent.report.carbon_grid import Grid, grid_of, overlaid, paired
from agent.report.carbon_inputs import CarbonInputs
from agent.site.cells import Cell

NO_BASIS = "-"
"""Where it does not matter how Scope 2 is counted; as in the live counters."""
ROUNDING = 1e-9


class Line(msgspec.Struct, frozen=True):
    """One row of the account, g CO2e of the period."""

    scope: Scope
    basis: str
    """location or market for Scope 2, which are never added to each other; else "-"."""
    stage: Stage
    grams: float | None
    """None: unknown."""
    low: float | None = None
    high: float | None = None
    """Bounds; None: there are none."""


class Sum(msgspec.Struct, frozen=True):
    """All lines with Scope 2 by one basis."""

    basis: Basis
    grams: float
    low: float | None
    high: float | None
    """With the bounds of the stages that have some; operation enters with its figure. None: no
    stage has any."""
    by_stage: dict[Stage, float]
    """They add up to `grams`."""


class Carbon(NamedTuple):
    """All figures of a period."""

    lines: tuple[Line, ...]
    totals: tuple[Sum, ...]
    cells: Sequence[Cell]
    """J bought in the period."""
    located: Sequence[Located]
    """Those cells with their emissions by location."""
    location: Total
    other: Total
    """Of the other family, of all energy: in no line."""
    market: Market
    grid: Grid
    direct: tuple[Direct, ...]
    losses: GridLosses
    posted: Posted
    restated: Restated | None
    carbon_free: CarbonFree | None
    """None: there are no contracts."""

    @property
    def known_seconds(self) -> float:
        """Time for which the energy is known."""
        return math.fsum(cell.seconds for cell in self.cells)


def figures(inputs: CarbonInputs, carbon: CarbonSettings, grid_zone: str) -> Carbon:
    """Return the figures of the period. Raises ValueError, one sentence."""
    period, energy = inputs.period, inputs.energy
    grid = grid_of(inputs.intensities, carbon, grid_zone, inputs.window)
    cells = cut(energy.bought, period.start, period.end)
    by_location = total(cells, grid.location)
    load = [*cells, *cut(energy.own, period.start, period.end)]
    market = scope2_with_contracts(load, energy.supplies, grid.location, grid.market, period)
    direct = tuple(scope1(activity, records.cells, period) for activity, records in inputs.direct)
    losses = grid_losses(cells, by_location, grid, carbon)
    posted = between(inputs.inventory, period.start, period.end)
    located_cells = located(cells, grid.location)
    booked = cut(energy.booked, period.start, period.end)
    score = None
    if energy.supplies:
        matched = match_hours(load, energy.supplies, period)
        score = carbon_free(load, matched, {})
    lines = tuple(_lines(direct, by_location, market, losses, posted))
    return Carbon(
        lines=lines,
        totals=tuple(summed(lines, basis) for basis in (Basis.LOCATION, Basis.MARKET)),
        cells=cells,
        located=located_cells,
        location=by_location,
        other=total(cells, grid.other),
        market=market,
        grid=grid,
        direct=direct,
        losses=losses,
        posted=posted,
        restated=restated(booked, located_cells) if booked else None,
        carbon_free=score,
    )


def grid_losses(
    cells: Sequence[Cell], location: Total, grid: Grid, carbon: CarbonSettings
) -> GridLosses:
    """Return Scope 3, category 3 of energy that was bought.

    Upstream only where Scope 2 is counted with direct factors (life-cycle ones have it in them),
    and as far as one provider gives both families. Losses with the life-cycle factor where it is
    known for all of the energy, else with Scope 2's own.
    """
    percent, of = carbon.losses_percent, LossesOf(carbon.losses_of)
    if location.factor is Factor.LIFECYCLE:
        return category3(None, location.grams, percent, of)
    direct, lifecycle = (total(cells, line) for line in paired(grid.location, grid.other))
    upstream = category3(direct.grams, lifecycle.grams, None).upstream
    complete = lifecycle.known_kwh >= lifecycle.kwh * (1 - ROUNDING)
    whole = lifecycle.grams if complete else None
    return category3(location.grams, whole, percent, of)._replace(upstream=upstream)


def summed(lines: Sequence[Line], basis: Basis) -> Sum:
    """Add up all lines with Scope 2 by one basis; what is unknown is in no sum."""
    known = [
        line for line in lines if line.grams is not None and line.basis in {basis.value, NO_BASIS}
    ]
    stages: dict[Stage, list[float]] = {}
    for line in known:
        stages.setdefault(line.stage, []).append(line.grams or 0.0)
    by_stage = {stage: math.fsum(stages[stage]) for stage in Stage if stage in stages}
    bounded = any(line.low is not None for line in known)
    low, high = (
        math.fsum((line.grams if bound is None else bound) or 0.0 for line, bound in bounds)
        for bounds in (
            [(line, line.low) for line in known],
            [(line, line.high) for line in known],
        )
    )
    return Sum(
        basis,
        math.fsum(line.grams or 0.0 for line in known),
        low if bounded else None,
        high if bounded else None,
        by_stage,
    )


def unknown_of_other_family(found: Carbon) -> float | None:
    """Return what the energy of unknown intensity would be by the other family, g.

    None: nothing is unknown, or the other family does not know it either.
    """
    pieces = tuple(
        other._replace(start=begin, end=until)
        for begin, until, mine, other in overlaid(found.grid.location, found.grid.other)
        if mine.grams_per_kwh is None and other.grams_per_kwh is not None
    )
    line = msgspec.structs.replace(found.grid.other, pieces=pieces)
    return total(found.cells, line).grams if pieces else None


def _lines(
    direct: Sequence[Direct], location: Total, market: Market, losses: GridLosses, posted: Posted
) -> list[Line]:
    use = Stage.OPERATION
    lines: list[Line] = []
    if direct:
        known = [each.grams for each in direct if each.grams is not None]
        lines.append(Line(Scope.SCOPE_1, NO_BASIS, use, math.fsum(known) if known else None))
    lines.append(Line(Scope.SCOPE_2, Basis.LOCATION.value, use, location.grams))
    lines.append(Line(Scope.SCOPE_2, Basis.MARKET.value, use, market.grams))
    parts = [each for each in (losses.upstream, losses.transmission) if each is not None]
    if parts:
        lines.append(Line(Scope.SCOPE_3, NO_BASIS, use, math.fsum(parts)))
    lines += [
        Line(
            Scope.SCOPE_3,
            NO_BASIS,
            stage,
            posted.grams[stage].best,
            posted.grams[stage].low,
            posted.grams[stage].high,
        )
        for stage in Stage
        if stage in posted.grams
    ]
    return lines
