"""How a report's budgets stand, and how they were used day by day. Pure."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from agent.carbon.activities import scope1
from agent.carbon.budget import Records, Used, used
from agent.carbon.hours import cut
from agent.carbon.market import scope2_with_contracts
from agent.carbon.operational import located
from agent.carbon.settings import Budget, CarbonSettings
from agent.kpi.checked import JOULES_PER_KWH
from agent.kpi.period import Period
from agent.report.carbon_figures import Carbon
from agent.report.carbon_inputs import MOMENT, CarbonInputs
from agent.report.carbon_series import days, shared
from agent.site.cells import Cell


class Burn(NamedTuple):
    """One limit, with what was used up to the end of each day."""

    budget: Budget
    used: Used
    points: tuple[tuple[float, float], ...]
    """Unix time and what was used since the period's start, in the limit's unit; none of an
    intensity, which does not add up."""


def burns(inputs: CarbonInputs, found: Carbon, carbon: CarbonSettings) -> list[Burn]:
    """Return all limits of all budgets at `inputs.now`.

    Energy is what was bought; carbon is Scope 1 and, by the budget's basis, Scope 2: neither
    losses of the grid nor the machines' other stages.
    """
    if not carbon.budget:
        return []
    spans = days(inputs.window)
    now = inputs.now - MOMENT
    burnt: list[Burn] = []
    grams = {
        "location": _location(inputs, found),
        "market": _market(inputs, found, spans)
        if any(budget.basis == "market" for budget in carbon.budget)
        else [],
    }
    direct = _direct(inputs, spans)
    for budget in carbon.budget:
        emitted = sorted([*grams[budget.basis], *direct])
        records = Records(
            joules=inputs.energy.bought,
            grams=emitted,
            work=inputs.energy.work.get(budget.unit, ()),
        )
        burnt += [
            Burn(budget, each, _points(each, records, inputs.now))
            for each in used(budget, records, now, inputs.period.zone)
        ]
    return burnt


def _location(inputs: CarbonInputs, found: Carbon) -> list[Cell]:
    """Return g by location; energy of unknown intensity is time of which nothing is known."""
    return [
        Cell(*each.cell[:2], each.grams, each.cell.seconds * _share(each.known_joules, each.cell))
        for each in located(inputs.energy.bought, found.grid.location)
        if each.grams is not None
    ]


def _market(inputs: CarbonInputs, found: Carbon, spans: Sequence[Period]) -> list[Cell]:
    """Return g by market, day by day: contracts' yearly amounts are allotted by time."""
    energy, grid = inputs.energy, found.grid
    load = sorted([*energy.bought, *energy.own])
    cells: list[Cell] = []
    first = 0
    longest = max((cell.end - cell.start for cell in load), default=0.0)
    for span in spans:
        while first < len(load) and load[first].start < span.start - longest:
            first += 1
        last = first
        while last < len(load) and load[last].start < span.end:
            last += 1
        market = scope2_with_contracts(
            load[first:last], energy.supplies, grid.location, grid.market, span
        )
        if market.grams is not None:
            known = market.known_kwh / market.bought_kwh if market.bought_kwh > 0 else 1.0
            bought = cut(load[first:last], span.start, span.end)
            seconds = math.fsum(cell.seconds for cell in bought)
            cells.append(Cell(span.start, span.end, market.grams, seconds * min(known, 1.0)))
    return cells


def _direct(inputs: CarbonInputs, spans: Sequence[Period]) -> list[Cell]:
    """Return Scope 1 day by day; the time of which it is known is the energy's."""
    cells: list[Cell] = []
    for span in spans:
        parts = [scope1(activity, records.cells, span).grams for activity, records in inputs.direct]
        known = [part for part in parts if part is not None]
        if known:
            cells.append(Cell(span.start, span.end, math.fsum(known), 0.0))
    return cells


def _points(each: Used, records: Records, now: float) -> tuple[tuple[float, float], ...]:
    if each.of == "intensity":
        return ()
    cells, factor = (
        (records.joules, 1 / JOULES_PER_KWH) if each.of == "energy" else (records.grams, 1e-3)
    )
    until = min(each.period.end, now)
    spans = days(Period(each.period.start, until, each.period.zone)) if until > 0 else []
    so_far = 0.0
    points = [(each.period.start, 0.0)]
    inside = cut(cells, each.period.start, until)
    for span, amount in zip(spans, shared(inside, spans), strict=True):
        so_far += (amount or 0.0) * factor
        points.append((span.end, so_far))
    return tuple(points)


def _share(known_joules: float, cell: Cell) -> float:
    return min(max(known_joules / cell.amount, 0.0), 1.0) if cell.amount else 1.0
