"""Bills against meters and meters against agents, month by month. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

import msgspec

from agent.kpi.checked import JOULES_PER_KWH
from agent.kpi.compare import it_compared, percent
from agent.kpi.fleet import AGENTS, Fleet
from agent.kpi.inputs import Inputs
from agent.kpi.period import Period
from agent.kpi.quantity import gather
from agent.kpi.result import ENOUGH
from agent.site.cells import COMPLETE, Cell, common
from agent.site.settings import CsvMeter, SiteSettings
from agent.site.virtual import VirtualError
from agent.site.words import WATER_ROLES

Status = Literal["ok", "outside", "incomplete", "missing"]
"""ok: within tolerance; outside: beyond it; incomplete: one side does not know all of the time, so
the difference (of the time that both know) proves nothing; missing: nothing to compare with."""


class Row(msgspec.Struct, frozen=True):
    """One comparison in one month."""

    month: str
    """E.g. "2025-03"."""
    what: str
    """The invoices' meter, or "E_IT" for the meters against the agents."""
    against: tuple[str, ...]
    """The meters whose sum is set against the bill; "agents"."""
    start: float
    """Unix time of the first invoice's beginning, or of the month's."""
    end: float
    """Unix time of the last one's end, not included."""
    billed: float | None
    """All that the invoices say, or the IT meters over the time that agents know, in `unit`; None:
    there is no invoice."""
    compared: float | None
    """What of it falls into the time that the other side knows completely."""
    measured: float | None
    """What the other side says of the same time."""
    difference: float | None
    """`measured` minus `compared`."""
    difference_percent: float | None
    """Of `compared`."""
    coverage: float
    """Share of the billed time that the other side knows."""
    status: Status
    unit: str = "kWh"
    note: str = ""


def reconcile(
    site: SiteSettings,
    cells: Mapping[str, Sequence[Cell]],
    months: Sequence[Period],
    fleet: Fleet | None = None,
) -> list[Row]:
    """Return for each month the bills against their meters, then IT meters against agents.

    An invoice belongs to the month in which its middle lies, and is compared over its own time and
    not the month's. A month that lies within a longer invoice has no row of its own; one without
    any is "missing".
    """
    rows: list[Row] = []
    for month in months:
        for meter in site.meter:
            if isinstance(meter, CsvMeter) and meter.invoices:
                rows += _bill(site, meter, cells, month)
        if fleet is not None:
            rows += _it(site, cells, month, fleet)
    return rows


def _bill(
    site: SiteSettings, meter: CsvMeter, cells: Mapping[str, Sequence[Cell]], month: Period
) -> Iterator[Row]:
    every = cells.get(meter.name, ())
    invoices = [c for c in every if month.start <= (c.start + c.end) / 2 < month.end]
    unit, per_unit = ("l", 1.0) if meter.role in WATER_ROLES else ("kWh", JOULES_PER_KWH)
    if not invoices:
        if not any(c.start < month.end and c.end > month.start for c in every):
            why = "there is no invoice for this month"
            yield _missing(month, meter.name, meter.invoices, unit, why)
        return
    start, end = min(c.start for c in invoices), max(c.end for c in invoices)
    billed = sum(c.amount for c in invoices) / per_unit
    span = Period(start, end, month.zone)
    inputs = Inputs(site, {**cells, meter.name: invoices})
    named = {m.name: m for m in site.meter}
    try:
        unknown = [name for name in meter.invoices if name not in named]
        if unknown:
            raise VirtualError(f"there is no meter named {unknown[0]!r}")
        bill = inputs.sum("invoice", [(meter, 1.0)], unit=unit)
        other = inputs.sum("meters", [(named[name], 1.0) for name in meter.invoices], unit=unit)
    except ValueError as error:
        yield _missing(month, meter.name, meter.invoices, unit, str(error), billed)
        return
    found = gather([bill, other], span)
    billed_seconds = sum(c.end - c.start for c in invoices)
    known = sum(common([other.terms], c.start, c.end).seconds for c in invoices)
    coverage = min(1.0, known / billed_seconds)
    blank = Row(
        month.label,
        meter.name,
        meter.invoices,
        start,
        end,
        billed,
        None,
        None,
        None,
        None,
        coverage,
        "missing" if not coverage else "incomplete",
        unit,
        "" if coverage >= COMPLETE else gather([other], span).note,
    )
    if not found.coverage:
        yield blank
        return
    yield _row(
        blank,
        *(amount / per_unit for amount in found.amounts),
        tolerance=site.tolerance_percent,
        enough=COMPLETE,
    )


def _it(
    site: SiteSettings, cells: Mapping[str, Sequence[Cell]], month: Period, fleet: Fleet
) -> Iterator[Row]:
    try:
        found = it_compared(site, cells, month, fleet)
    except ValueError as error:
        yield _missing(month, "E_IT", (AGENTS,), "kWh", str(error))
        return
    if found is None:
        return
    if found.meters_kwh is None or found.agents_kwh is None:
        why = "there is no time that both meters and agents know"
        yield _missing(month, f"E_IT{found.category}", (AGENTS,), "kWh", why)
        return
    blank = Row(
        month.label,
        f"E_IT{found.category}",
        (AGENTS,),
        month.start,
        month.end,
        found.meters_kwh,
        None,
        None,
        None,
        None,
        found.coverage,
        "missing",
    )
    yield _row(
        blank,
        found.meters_kwh,
        found.agents_kwh,
        tolerance=site.tolerance_percent,
        enough=ENOUGH,
    )


def _row(blank: Row, compared: float, measured: float, *, tolerance: float, enough: float) -> Row:
    """Fill in the comparison and judge it."""
    difference = measured - compared
    relative = percent(difference, compared)
    status: Status = "ok"
    if blank.coverage < enough:
        status = "incomplete"
    elif (abs(relative) > tolerance) if relative is not None else bool(difference):
        status = "outside"
    return msgspec.structs.replace(
        blank,
        compared=compared,
        measured=measured,
        difference=difference,
        difference_percent=relative,
        status=status,
    )


def _missing(
    month: Period,
    what: str,
    against: tuple[str, ...],
    unit: str,
    why: str,
    billed: float | None = None,
) -> Row:
    return Row(
        month.label,
        what,
        against,
        month.start,
        month.end,
        billed,
        None,
        None,
        None,
        None,
        0.0,
        "missing",
        unit,
        why,
    )
