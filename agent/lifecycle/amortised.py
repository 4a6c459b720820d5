"""A part's footprint over its life: straight-line, from the first day to the last. Pure.

Moments are seconds since 1970 UTC, so neither time zones nor leap days matter. What is posted up to
a moment is one function of it; a period is a difference of two, so periods add up to the whole
however they are cut. A part that is taken out before its planned end is written off at that moment:
what was emitted to make it has to stand somewhere. After its end nothing more is posted.
"""

import msgspec

from agent.lifecycle.inventory import HOUR_SECONDS, YEAR_SECONDS, Inventory, Part
from agent.lifecycle.span import Footprint, Span, merged, total

GRAMS_PER_KILOGRAM = 1000.0


class Posted(msgspec.Struct, frozen=True):
    """What falls into some time."""

    grams: Footprint
    """g CO2e by stage, of all parts whose first day is known."""
    undated: tuple[str, ...] = ()
    """Assets with a footprint and no first day: what they would add is not known."""


class Totals(msgspec.Struct, frozen=True):
    """Where an inventory stands at a moment; grams of CO2e by stage."""

    to_date: Footprint
    per_hour: Footprint
    """0 before the first day, after the end and once a part was taken out."""
    life: Footprint
    """Of all parts, dated or not, those taken out included."""
    credit: float
    """g that recycling avoids over the life; in none of the others."""
    undated: tuple[str, ...] = ()


class Longer(msgspec.Struct, frozen=True):
    """What keeping parts beyond their planned life saves, best figures in kg CO2e.

    Measured against replacing each by one like it at its planned end, for as long again.
    """

    replacement: float
    """What one replacement of all parts that are in use would cost."""
    per_year: float
    """What each year saves that they run beyond their planned life."""
    to_date: float
    """What it has saved so far; 0 while none is beyond it."""
    beyond: tuple[str, ...]
    """Assets that are past their planned end and still in use."""


def share_posted(part: Part, moment: float) -> float | None:
    """Return how much of its footprint a part has had posted by then, 0 to 1; None: not known."""
    if part.in_service is None:
        # Taken out is posted in full, whenever it began.
        return 1.0 if part.ended is not None and moment >= part.ended else None
    if moment < part.in_service:
        return 0.0
    if part.ended is not None and moment >= part.ended:
        return 1.0
    return min((moment - part.in_service) / part.lifetime_seconds, 1.0)


def posted(inventory: Inventory, moment: float) -> Posted:
    """Return what was posted by that moment; differences of this are what a period has."""
    dated, undated = [], []
    for part in inventory.parts:
        share = share_posted(part, moment)
        if share is None:
            undated.append(part)
        else:
            dated.append(_grams(part, share))
    return Posted(merged(dated), tuple(part.asset for part in undated if part.kilograms))


def between(inventory: Inventory, since: float, until: float) -> Posted:
    """Return what falls after `since` and up to `until`, g CO2e by stage.

    A part that was taken out at `until` is written off in this period, one at `since` is not.
    """
    dated, undated = [], []
    for part in inventory.parts:
        first, last = share_posted(part, since), share_posted(part, until)
        if first is None or last is None:
            undated.append(part.asset)
        else:
            dated.append(_grams(part, last - first))
    known = {part.asset for part in inventory.parts if part.kilograms}
    return Posted(merged(dated), tuple(asset for asset in undated if asset in known))


def totals(inventory: Inventory, moment: float) -> Totals:
    """Return to date, per hour and over the planned life."""
    so_far = posted(inventory, moment)
    running = [
        _grams(part, HOUR_SECONDS / part.lifetime_seconds if _running(part, moment) else 0.0)
        for part in inventory.parts
        if part.in_service is not None
    ]
    return Totals(
        to_date=so_far.grams,
        per_hour=merged(running),
        life=merged(_grams(part, 1.0) for part in inventory.parts),
        credit=inventory.credit_kilograms * GRAMS_PER_KILOGRAM,
        undated=so_far.undated,
    )


def longer(inventory: Inventory, moment: float) -> Longer | None:
    """Return what a longer life saves; None where no part in use has a first day."""
    used = [part for part in inventory.parts if _in_use(part, moment)]
    if not used:
        return None
    saved, beyond = 0.0, []
    for part in used:
        past = moment - _planned_end(part)
        if past > 0:
            saved += part.whole.best * past / part.lifetime_seconds
            beyond.append(part.asset)
    return Longer(
        replacement=sum(part.whole.best for part in used),
        per_year=sum(part.whole.best * YEAR_SECONDS / part.lifetime_seconds for part in used),
        to_date=saved,
        beyond=tuple(beyond),
    )


def sum_of(footprint: Footprint) -> Span:
    """Return all stages of it together."""
    return total(footprint.values())


def embodied(part: Part) -> Footprint:
    """Return a part's whole footprint in g CO2e by stage: what the gauge shows."""
    return _grams(part, 1.0)


def _grams(part: Part, share: float) -> Footprint:
    factor = share * GRAMS_PER_KILOGRAM
    return {stage: span.times(factor) for stage, span in part.kilograms.items()}


def _planned_end(part: Part) -> float:
    return (part.in_service or 0.0) + part.lifetime_seconds


def _in_use(part: Part, moment: float) -> bool:
    if part.in_service is None or moment < part.in_service:
        return False
    return part.ended is None or moment < part.ended


def _running(part: Part, moment: float) -> bool:
    return _in_use(part, moment) and moment < _planned_end(part)
