"""What an agent keeps for reports beside its accounts, and what of a site it shows meanwhile."""

import contextlib
from pathlib import Path

import structlog

from agent.accounts import Accounts
from agent.clock import Clock
from agent.ledger import LedgerError
from agent.ledger.batch import Batch
from agent.ledger.reading import LedgerReader
from agent.meter import Posting
from agent.quantities import Component
from agent.report_book import ReportBook, ReportState
from agent.settings import Settings
from agent.site_live import SiteLive
from agent.snapshot import SiteView

log = structlog.get_logger()


def listen(accounts: Accounts) -> float:
    """Have the accounts tell what they post; return what makes their state's times Unix time."""
    accounts.host_posted = []
    return accounts.meter.state.wall - accounts.meter.state.boottime


def begin(book: ReportBook, accounts: Accounts, boot_id: str, offset: float) -> None:
    """Begin a boot: take what the end of the one before brought, whose times `offset` is for."""
    book.host_energy(accounts.host_posted or (), offset)
    accounts.host_posted = []
    book.begin(boot_id, accounts.host_gap_seconds)


def feed(book: ReportBook, accounts: Accounts, now: float, wall: float) -> None:
    """Take out of the accounts what came since the last time."""
    if accounts.site_readings:
        book.take(accounts.site_readings, now, wall)
        accounts.site_readings.clear()
    posted = accounts.host_posted
    if posted:
        book.host_energy(posted, wall - now)
        posted.clear()
    book.host_time(accounts.host_gap_seconds, now, wall)
    book.utilization(accounts.utilization.get((Component.CPU, "all")), now, wall)
    if book.wants_work(wall):
        totals = {(view.workload, view.unit): view.amount for view in accounts.work(now)}
        book.work(totals, wall)
    book.settle(now, wall)


class Reporting:
    """The book of quarters of an hour, and the site's KPIs made of it."""

    def __init__(self, settings: Settings, clock: Clock, state: ReportState | None = None) -> None:
        self._settings = settings
        self._clock = clock
        self.book = ReportBook(settings.site, state)
        self._live = SiteLive(settings.site)
        self._offset = 0.0

    def listen(self, accounts: Accounts) -> None:
        """Have the accounts tell what they post; before the meter is told which boot this is."""
        self._offset = listen(accounts)

    def begin(self, boot_id: str, accounts: Accounts, *, remembers: bool) -> None:
        """Say which boot this is, the meter knowing it; `remembers`: read the last year, too."""
        begin(self.book, accounts, boot_id, self._offset)
        if not remembers or not self._settings.site.meter:
            return
        try:
            reader = LedgerReader.open(Path(self._settings.agent.state_dir))
            with contextlib.closing(reader):
                self._live.load(reader, self._clock.wall())
        except LedgerError as error:
            log.warning("site_history_unknown", why=str(error))

    def use(self, settings: Settings) -> None:
        """Take new settings."""
        self._settings = settings
        self.book.site.use(settings.site)
        self._live.use(settings.site)

    def tick(self, accounts: Accounts) -> None:
        """Take out of the accounts what came since the last tick."""
        now, wall = self._clock.boottime(), self._clock.wall()
        feed(self.book, accounts, now, wall)
        self._live.refresh(wall)

    def batch(self, postings: list[Posting]) -> Batch:
        """Return what is to be written now: these postings, and the quarters that are over."""
        wall = self._clock.wall()
        batch = Batch(postings, self.book.close(wall), self.book.take_records(), wall)
        self._live.add(batch.quarters, batch.records, wall)
        return batch

    def site_view(self) -> SiteView | None:
        """Return the site as exporters show it; None where this agent reads no meters."""
        site = self._settings.site
        if not site.meter:
            return None
        meters = self.book.site.views(self._clock.boottime(), self._clock.wall())
        return SiteView(site.name or self._settings.host.site, meters, self._live.kpis)

    def stop(self) -> None:
        """End the thread that works the KPIs out."""
        self._live.stop()
