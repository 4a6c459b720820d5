"""The machine's other stages for programs: by asset and stage, with bounds. Pure."""

from collections.abc import Iterator
from typing import Any

import msgspec

from agent.lifecycle.amortised import GRAMS_PER_KILOGRAM, between, longer, sum_of, totals
from agent.lifecycle.inventory import YEAR_SECONDS, Inventory, Part
from agent.lifecycle.span import Footprint, Span
from agent.report.carbon_inputs import CarbonInputs
from agent.report.period import iso


def embodied_document(inputs: CarbonInputs) -> dict[str, Any]:
    """Return what falls into the period, to its end, per hour then, and over the planned life.

    All in g CO2e. Recycling credits and what a longer life saves stand apart, in no other figure.
    """
    inventory, moment = inputs.inventory, inputs.now
    stands = totals(inventory, moment)
    kept = longer(inventory, moment)
    return {
        "from": inputs.inventory_is,
        "at": iso(moment, inputs.period.zone),
        **_amounts(inventory, inputs),
        "credit_grams": stands.credit,
        "longer_life": None
        if kept is None
        else {
            "saved_grams_per_year": kept.per_year * GRAMS_PER_KILOGRAM,
            "saved_grams_to_date": kept.to_date * GRAMS_PER_KILOGRAM,
            "replacement_grams": kept.replacement * GRAMS_PER_KILOGRAM,
            "beyond_planned_life": list(kept.beyond),
        },
        "assets": [_asset(part, inputs) for part in inventory.parts],
        "without_first_day": list(stands.undated),
        "without_figure": {
            stage.value: list(assets) for stage, assets in inventory.unknown().items() if assets
        },
        "missing": list(inventory.missing),
    }


def embodied_missing(inputs: CarbonInputs) -> Iterator[str]:
    """Yield what the figures lack, one sentence each."""
    inventory = inputs.inventory
    yield from inventory.missing
    undated = totals(inventory, inputs.now).undated
    if undated:
        yield (
            f"embodied emissions of {', '.join(undated)} are in no period: since when it runs is"
            " not known; set lifecycle.in_service"
        )
    for stage, assets in inventory.unknown().items():
        if assets:
            yield f"{stage.value}: no figure for {', '.join(assets)}"


def _asset(part: Part, inputs: CarbonInputs) -> dict[str, Any]:
    zone = inputs.period.zone
    return {
        "asset": part.asset,
        "component": part.component,
        "model": part.model,
        "count": part.count,
        "source": part.source,
        "notes": list(part.notes),
        "in_service": None if part.in_service is None else iso(part.in_service, zone),
        "lifetime_years": part.lifetime_seconds / YEAR_SECONDS,
        "ended": None if part.ended is None else iso(part.ended, zone),
        "share": part.share,
        "credit_grams": part.credit_kilograms * GRAMS_PER_KILOGRAM,
        **_amounts(Inventory(parts=(part,)), inputs),
    }


def _amounts(inventory: Inventory, inputs: CarbonInputs) -> dict[str, Any]:
    period = inputs.period
    stands = totals(inventory, inputs.now)
    return {
        "period": _stages(between(inventory, period.start, period.end).grams),
        "to_date": _stages(stands.to_date),
        "per_hour": _stages(stands.per_hour),
        "life": _stages(stands.life),
    }


def _stages(footprint: Footprint) -> dict[str, Any] | None:
    """Return grams by stage and altogether; None: nothing is known."""
    if not footprint:
        return None
    found = {stage.value: _span(span) for stage, span in footprint.items()}
    return found | {"all": _span(sum_of(footprint))}


def _span(span: Span) -> dict[str, float]:
    found: dict[str, float] = msgspec.to_builtins(span)
    return found
