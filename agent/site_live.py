"""A site's KPIs while the agent runs: over the last hour, day, month and year."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

import structlog

from agent.kpi.result import Kpi
from agent.ledger.reading import DAY_QUARTERS, LedgerReader
from agent.quarters import QUARTER_SECONDS, QuarterPosting
from agent.samples import MeterRecords
from agent.site.cells import Cell
from agent.site.records import cells_of, resolve
from agent.site.settings import SiteSettings
from agent.worker import Busy, Worker

if TYPE_CHECKING:
    import asyncio

HOUR: Final = 3600.0
DAY: Final = 86400.0
WINDOWS: Final = {"1h": HOUR, "24h": DAY, "30d": 30 * DAY, "365d": 365 * DAY}
"""Label `window` of the KPIs, and its seconds."""
LONGEST_SECONDS: Final = 367 * DAY
FINE_SECONDS: Final = 2 * DAY
"""So far back quarters of an hour are kept; before, days: a year of 20 meters fits into 1 MB."""

log = structlog.get_logger()


class SiteLive:
    """Keeps a year of every meter, and works the KPIs out anew when a quarter of an hour is over.

    That takes up to a second for a large site, so it is done in a thread.
    """

    def __init__(self, site: SiteSettings) -> None:
        self.site = site
        self.kpis: Mapping[str, Sequence[Kpi]] = {}
        """By window; those of the newest whole quarter of an hour."""
        self._cells: dict[str, dict[tuple[float, float], Cell]] = {}
        self._records: dict[str, MeterRecords] = {}
        self._worker = Worker("kpi")
        self._future: asyncio.Future[dict[str, list[Kpi]]] | None = None
        self._is_due = False

    def use(self, site: SiteSettings) -> None:
        """Take new settings."""
        self._is_due = self._is_due or site != self.site
        self.site = site

    def load(self, reader: LedgerReader, wall: float) -> None:
        """Read the last year of every meter. Blocking. Raises `LedgerError`."""
        edge = _fine_from(wall)
        for series in reader.series():
            if series.kind == "meter":
                old = reader.cells("meter", series.name, wall - LONGEST_SECONDS, edge, DAY_QUARTERS)
                new = reader.cells("meter", series.name, edge, wall + DAY)
                cells = self._cells.setdefault(series.name, {})
                cells.update({(cell.start, cell.end): cell for cell in (*old, *new)})
        self._is_due = bool(self._cells)

    def add(
        self, postings: Sequence[QuarterPosting], records: Mapping[str, MeterRecords], wall: float
    ) -> None:
        """Take quarters that are over and the newest rows of files."""
        for p in postings:
            if p.series.kind != "meter":
                continue
            start = p.quarter * QUARTER_SECONDS
            cell = Cell(start, start + QUARTER_SECONDS, p.amount, p.seconds)
            _put(self._cells.setdefault(p.series.name, {}), cell)
            self._is_due = True
        if postings:
            for cells in self._cells.values():
                _coarsen(cells, wall)
        self._is_due = self._is_due or bool(records)
        self._records.update(records)

    def refresh(self, wall: float) -> None:
        """Take what came of the last working out, and begin another if it is due."""
        if self._future is not None and self._future.done():
            failure = self._future.exception()
            if failure is None:
                self.kpis = self._future.result()
            else:
                log.error("kpi_bug", exc_info=failure)
            self._future = None
        if not self._is_due or self._future is not None:
            return
        site = self.site
        cells: dict[str, Sequence[Cell]] = {
            name: sorted(found.values()) for name, found in self._cells.items()
        }
        rows = {name: file.records for name, file in self._records.items()}
        end = wall // QUARTER_SECONDS * QUARTER_SECONDS

        def work_out() -> dict[str, list[Kpi]]:
            # only where there is a site
            from agent.kpi.compose import site_kpis  # noqa: PLC0415
            from agent.kpi.period import Period  # noqa: PLC0415

            every = cells | {name: cells_of(resolve(r).records) for name, r in rows.items()}
            periods = {
                window: Period(end - seconds, end, site.time_zone)
                for window, seconds in WINDOWS.items()
            }
            if not periods["365d"].is_year:  # there is a 29 February in it
                periods["365d"] = Period(end - 366 * DAY, end, site.time_zone)
            return {window: site_kpis(site, every, period) for window, period in periods.items()}

        try:
            self._future = self._worker.submit(work_out)
        except Busy:
            return
        self._is_due = False

    def stop(self) -> None:
        """End the thread."""
        self._worker.stop()


def _fine_from(wall: float) -> float:
    """Return the midnight (UTC) from which on quarters of an hour are kept."""
    return (wall - FINE_SECONDS) // DAY * DAY


def _put(cells: dict[tuple[float, float], Cell], cell: Cell) -> None:
    key = cell.start, cell.end
    before = cells.get(key)
    if before is not None:
        seconds = min(before.seconds + cell.seconds, cell.end - cell.start)
        cell = Cell(*key, before.amount + cell.amount, seconds)
    cells[key] = cell


def _coarsen(cells: dict[tuple[float, float], Cell], wall: float) -> None:
    """Add up quarters to days once they are old, and drop what is older than a year."""
    edge, oldest = _fine_from(wall), wall - LONGEST_SECONDS
    for key in [k for k in cells if k[0] < edge and (k[1] - k[0] < DAY or k[0] < oldest)]:
        cell = cells.pop(key)
        if cell.start >= oldest:
            day = cell.start // DAY * DAY
            _put(cells, Cell(day, day + DAY, cell.amount, cell.seconds))
