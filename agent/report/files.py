"""Invoices and certificates, from their CSV files or from the ledger's copy of them."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from agent.collector import Transient
from agent.kpi.period import Period
from agent.ledger.reading import LedgerReader
from agent.report.gathered import Correction
from agent.site.cells import Cell
from agent.site.records import cells_of, resolve
from agent.site.settings import CsvMeter, SiteSettings
from collectors.meter_files import read_table

NAMED_ROWS = 5
"""Rows of a file that are named one by one; the others are counted."""


class FilesFound(NamedTuple):
    """What the files say."""

    cells: dict[str, list[Cell]]
    history: list[Correction]
    problems: list[str]
    unread: dict[str, str]
    """Meters whose file cannot be read, and why: one sentence."""


def read_files(site: SiteSettings, period: Period) -> FilesFound:
    """Read all files of a site's CSV meters; the history is that of rows in the period."""
    found = FilesFound({}, [], [], {})
    for meter in site.meter:
        if not isinstance(meter, CsvMeter):
            continue
        try:
            table = read_table(meter, site)
        except Transient as failure:
            remedy = f"; {failure.remedy}" if failure.remedy else ""
            found.unread[meter.name] = f"{meter.name}: {failure.why}{remedy}"
            continue
        resolved = resolve(table.records)
        found.cells[meter.name] = cells_of(resolved.records)
        found.history.extend(
            Correction(meter.name, replaced.record, replaced.by)
            for replaced in resolved.replaced
            if _touches(replaced.record.start, replaced.record.end, period)
        )
        wrong = [(e.row, f"is left out: {e.why}; {e.remedy}") for e in table.errors]
        wrong += [
            (r.record.row, f"is left out: it overlaps line {r.other.row} in part; mend the dates")
            for r in resolved.refused
        ]
        wrong += [(e.row, f"{e.why}; {e.remedy}") for e in table.remarks]
        found.problems.extend(_said(meter, sorted(wrong)))
    return found


def read_copies(
    ledger: LedgerReader, meters: Iterable[str], period: Period
) -> tuple[dict[str, list[Cell]], list[Correction]]:
    """Return the ledger's copy of what files said, and what became of rows in the period.

    Raises `LedgerError`.
    """
    cells: dict[str, list[Cell]] = {}
    history: list[Correction] = []
    for meter in meters:
        stored = ledger.records(meter)
        counting = [row.record for row in stored if row.replaced_at is None]
        if stored:
            cells[meter] = cells_of(counting)
        for row in stored:
            if row.replaced_at is None or not _touches(row.record.start, row.record.end, period):
                continue
            new = next(
                (r for r in counting if r.start <= row.record.start and r.end >= row.record.end),
                None,
            )
            history.append(Correction(meter, row.record, new, row.replaced_at))
    return cells, history


def _touches(start: float, end: float, period: Period) -> bool:
    return start < period.end and end > period.start


def _said(meter: CsvMeter, wrong: list[tuple[int, str]]) -> Iterator[str]:
    for row, what in wrong[:NAMED_ROWS]:
        yield f"{meter.name}: {meter.file} line {row} {what}"
    if len(wrong) > NAMED_ROWS:
        yield f"{meter.name}: {meter.file}: {len(wrong) - NAMED_ROWS} more such lines"
