"""Emissions per kWh of the IT and per unit of useful work. Pure."""

import math
from collections.abc import Iterator

import msgspec

from agent.carbon.hours import cut
from agent.carbon.operational import total
from agent.carbon.sci import (
    grams_per_it_kwh,
    grams_per_teraflop,
    grams_per_thousand,
    sci_of,
)
from agent.carbon.words import Basis
from agent.kpi.checked import JOULES_PER_KWH
from agent.report.carbon_figures import Carbon
from agent.report.carbon_inputs import CarbonInputs

FLOP = "flop"


class PerUnit(msgspec.Struct, frozen=True):
    """Emissions over an amount."""

    name: str
    unit: str
    """E.g. "g/kWh"."""
    value: float | None
    """None: it cannot be worked out."""
    amount: float
    """Of what it is per: kWh, tokens …"""
    amount_unit: str
    what: str
    """Which emissions, and why there is no value."""


def per_unit(inputs: CarbonInputs, found: Carbon) -> list[PerUnit]:
    """Return all that there is an amount for."""
    return [*_it(inputs, found), *_work(inputs, found)]


def _it(inputs: CarbonInputs, found: Carbon) -> Iterator[PerUnit]:
    period = inputs.period
    inside = [
        pair
        for pair in inputs.energy.with_it
        if pair[0].start >= period.start and pair[0].end <= period.end
    ]
    kwh = math.fsum(it for _, it in inside) / JOULES_PER_KWH
    by_location = total([cell for cell, _ in inside], found.grid.location)
    name = "carbon per kWh of the IT"
    what = f"Scope 2 by location; {inputs.energy.it_is}"
    if (
        not inside
        or by_location.grams is None
        or by_location.known_kwh < by_location.kwh * (1 - 1e-9)
    ):
        why = inputs.energy.it_is if not inside else "some of the intensity is unknown"
        yield PerUnit(name, "g/kWh", None, kwh, "kWh", why)
        return
    try:
        yield PerUnit(name, "g/kWh", grams_per_it_kwh(by_location.grams, kwh), kwh, "kWh", what)
        if inputs.scope == "host":
            for each in found.totals:
                value = grams_per_it_kwh(each.grams, kwh)
                said = f"all stages that are known, Scope 2 by {each.basis.value}"
                yield PerUnit(f"{name}, whole life", "g/kWh", value, kwh, "kWh", said)
    except ValueError as error:
        yield PerUnit(name, "g/kWh", None, kwh, "kWh", str(error))


def _work(inputs: CarbonInputs, found: Carbon) -> Iterator[PerUnit]:
    """SCI (ISO/IEC 21031:2024) of each unit of work: all of the host's emissions over all of it."""
    period = inputs.period
    operation = found.location
    embodied = math.fsum(span.best for span in found.posted.grams.values())
    others = math.fsum(
        line.grams or 0.0
        for line in found.lines
        if line.basis not in {Basis.MARKET.value, Basis.LOCATION.value} and line.low is None
    )
    for unit, cells in sorted(inputs.energy.work.items()):
        amount = math.fsum(cell.amount for cell in cut(cells, period.start, period.end))
        is_flop = unit.lower() == FLOP
        shown = "TFLOP" if is_flop else f"thousand {unit}"
        what = "SCI (ISO/IEC 21031): operation by location and the machine's other stages"
        try:
            one = sci_of(operation, embodied, amount)
            scaled = grams_per_teraflop if is_flop else grams_per_thousand
            value: float | None = scaled(one * amount, amount)
        except ValueError as error:
            value, what = None, str(error)
        if value is not None and others:
            what += "; without Scope 1 and the grid's losses"
        yield PerUnit(f"carbon per {shown}", f"g/{shown}", value, amount, unit, what)
