"""The time that a reconciliation must look at. Pure."""

from collections.abc import Mapping, Sequence

from agent.kpi.period import Period
from agent.quarters import QUARTER_SECONDS
from agent.site.cells import Cell
from agent.site.settings import CsvMeter, SiteSettings


def widened(period: Period, site: SiteSettings, cells: Mapping[str, Sequence[Cell]]) -> Period:
    """Return a period made long enough for the invoices that belong to it.

    An invoice belongs to the month in which its middle lies, and its meters must be known over its
    own time, which may begin before the period and end after it.
    """
    start, end = period.start, period.end
    for meter in site.meter:
        if not isinstance(meter, CsvMeter) or not meter.invoices:
            continue
        for cell in cells.get(meter.name, ()):
            if period.start <= (cell.start + cell.end) / 2 < period.end:
                start, end = min(start, cell.start), max(end, cell.end)
    first, last = start // QUARTER_SECONDS, -(-end // QUARTER_SECONDS)
    return period._replace(start=first * QUARTER_SECONDS, end=last * QUARTER_SECONDS)
