"""Which meter does not know which part of a period: whose fault a low coverage is. Pure."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from agent.kpi.period import Period
from agent.site.cells import COMPLETE, Cell, covered
from agent.site.settings import CsvMeter, SiteSettings, VirtualMeter
from agent.site.words import TEMPERATURE_ROLES


class MeterCover(NamedTuple):
    """What one real meter knows of a period."""

    meter: str
    role: str
    source: str
    """csv, or polled."""
    coverage: float
    """Share of the period."""
    missing: list[tuple[float, float]]
    """Stretches that it does not know completely, Unix time."""
    note: str = ""


def covers(
    site: SiteSettings, cells: Mapping[str, Sequence[Cell]], period: Period
) -> list[MeterCover]:
    """Return what each real meter of a site knows of a period; thermometers count nothing."""
    found = []
    for meter in site.meter:
        if isinstance(meter, VirtualMeter) or meter.role in TEMPERATURE_ROLES:
            continue
        own = cells.get(meter.name, ())
        seconds = covered(own, period.start, period.end)[1]
        across = [
            c for c in own if c.start < period.end and c.end > period.start and not _in(c, period)
        ]
        found.append(
            MeterCover(
                meter.name,
                meter.role.value,
                "csv" if isinstance(meter, CsvMeter) else "polled",
                min(1.0, seconds / period.seconds),
                unknown(own, period),
                "a row that lies only partly in the period is left out: nobody knows what of it"
                " fell inside"
                if across and isinstance(meter, CsvMeter)
                else "",
            )
        )
    return found


def unknown(cells: Sequence[Cell], period: Period) -> list[tuple[float, float]]:
    """Return the stretches of a period that cells in order do not know completely."""
    stretches: list[tuple[float, float]] = []
    at = period.start
    for cell in cells:
        if not _in(cell, period) or cell.seconds < COMPLETE * (cell.end - cell.start):
            continue
        if cell.start > at:
            stretches.append((at, cell.start))
        at = max(at, cell.end)
    if at < period.end:
        stretches.append((at, period.end))
    return stretches


def _in(cell: Cell, period: Period) -> bool:
    return cell.start >= period.start and cell.end <= period.end
