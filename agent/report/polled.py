"""A report from a ledger: the site's polled meters, or this host as a fleet of one."""

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from agent.kpi.fleet import Fleet
from agent.kpi.period import Period
from agent.ledger.errors import LedgerError
from agent.ledger.reading import LedgerReader
from agent.quarters import QUARTER_SECONDS
from agent.report.failure import ReportError
from agent.report.files import read_copies, read_files
from agent.report.gathered import Gathered
from agent.report.period import step_of
from agent.site.cells import Cell
from agent.site.settings import CsvMeter, SiteSettings, is_counted


def gather_ledger(state_dir: Path, site: SiteSettings, period: Period) -> Gathered:
    """Return what the files and the ledger of `state_dir` have of a site and a period.

    A site without any meter is this host alone. Raises `ReportError`.
    """
    files = read_files(site, period)
    cells, history, problems = dict(files.cells), list(files.history), list(files.problems)
    polled = [meter.name for meter in site.meter if is_counted(meter)]
    fleet = None
    if polled or files.unread or not site.meter:
        try:
            with closing(LedgerReader.open(state_dir)) as ledger:
                known = {row.name for row in ledger.series() if row.kind == "meter"}
                for name in polled:
                    cells[name] = _cells(ledger, "meter", name, period) if name in known else []
                    if name not in known:
                        problems.append(
                            f"{name}: the ledger {ledger.path} has nothing of it; wattlas check"
                            " says whether it answers"
                        )
                copies, old = read_copies(ledger, files.unread, period)
                history += old
                if not site.meter:
                    fleet = _host(ledger, period)
        except LedgerError as error:
            if polled or not site.meter:
                raise ReportError(_without_ledger(error, site)) from None
            copies = {}
        cells |= copies
        problems += [
            f"{why} (the ledger's copy is used)" if name in copies else why
            for name, why in files.unread.items()
        ]
    return Gathered(site, cells, fleet, history, problems)


def _cells(ledger: LedgerReader, kind: str, name: str, period: Period) -> list[Cell]:
    quarters = int(step_of(period) / QUARTER_SECONDS)
    return ledger.cells(kind, name, period.start, period.end, quarters)


def _host(ledger: LedgerReader, period: Period) -> Fleet | None:
    """Return this host as a fleet of one; None: the ledger has no amounts of it."""
    series = ledger.series()
    if not any(row.kind in {"host", "work"} for row in series):
        return None
    energy, wall, compute, busy = (
        _cells(ledger, "host", name, period) for name in ("energy", "wall", "compute", "cpu_busy")
    )
    work: dict[str, list[Sequence[Cell]]] = {}
    for row in series:
        if row.kind == "work":
            work.setdefault(row.unit, []).append(_cells(ledger, "work", row.name, period))
    return Fleet(
        it=energy,
        wall=wall,
        compute=compute,
        busy=busy,
        present=[cell._replace(amount=cell.seconds) for cell in busy],
        work={unit: _summed(several, energy) for unit, several in work.items()},
    )


def _summed(several: list[Sequence[Cell]], energy: Sequence[Cell]) -> list[Cell]:
    """Add up workloads of one unit over the time for which the host's energy is known.

    An agent that counts energy knows of the work that it was told: none is 0.
    """
    amounts: dict[float, float] = {}
    for cells in several:
        for cell in cells:
            amounts[cell.start] = amounts.get(cell.start, 0.0) + cell.amount
    return [cell._replace(amount=amounts.get(cell.start, 0.0)) for cell in energy]


def _without_ledger(error: LedgerError, site: SiteSettings) -> str:
    if site.meter and not any(isinstance(meter, CsvMeter) for meter in site.meter):
        return f"{error}; or read the meters from a PromQL engine with --prometheus"
    if not site.meter:
        return (
            f"{error}; the settings describe no meters either: a site's are in [[site.meter]], a"
            " fleet's agents are behind --prometheus URL"
        )
    return str(error)
