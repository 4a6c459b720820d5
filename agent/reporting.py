"""What an agent keeps for reports beside its accounts, and what of it it shows meanwhile."""

import contextlib
from collections.abc import Callable
from pathlib import Path

import msgspec
import structlog

from agent.accounts import Accounts
from agent.carbon_live import CarbonLive
from agent.clock import Clock
from agent.collector import Paths
from agent.ledger import LedgerError
from agent.ledger.batch import Batch
from agent.ledger.reading import LedgerReader
from agent.ledger.saved import AgentState
from agent.lifecycle.hardware import Detected
from agent.meter import Posting
from agent.quantities import Component
from agent.quarters import QUARTER_SECONDS
from agent.report_book import ReportBook
from agent.settings import Settings
from agent.site_live import SiteLive
from agent.snapshot import CarbonView, SiteView

log = structlog.get_logger()


class Reporting:
    """The book of quarters of an hour, and what is made of it: a site's KPIs, emissions."""

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        state: AgentState | None = None,
        *,
        detect: Callable[[Paths], Detected] | None = None,
    ) -> None:
        """`detect`: how to look what this host is made of; None: nobody looks."""
        self._settings = settings
        self._clock = clock
        self.book = ReportBook(settings.site, state.reports if state else None)
        self.carbon = CarbonLive(settings, detect, state.carbon if state else None)
        self._live = SiteLive(settings.site)
        self._offset = 0.0

    def listen(self, accounts: Accounts) -> None:
        """Have the accounts tell what they post; before the meter is told which boot this is."""
        accounts.host_posted = []
        self._offset = accounts.meter.state.wall - accounts.meter.state.boottime

    def begin(self, boot_id: str, accounts: Accounts) -> None:
        """Begin a boot, which the meter knows by now.

        What the end of the boot before has brought has times of that boot.
        """
        self.book.host_energy(accounts.host_posted or (), self._offset)
        accounts.host_posted = []
        self.book.begin(boot_id, accounts.host_gap_seconds)

    def remember(self) -> None:
        """Read the last year out of the ledger. Blocking."""
        try:
            reader = LedgerReader.open(Path(self._settings.agent.state_dir))
            with contextlib.closing(reader):
                wall = self._clock.wall()
                self.carbon.load(reader, wall)
                if self._settings.site.meter:
                    self._live.load(reader, wall)
        except (LedgerError, ValueError, TypeError, msgspec.MsgspecError) as error:  # spoilt rows
            log.warning("history_unknown", why=str(error))

    def use(self, settings: Settings) -> None:
        """Take new settings."""
        self._settings = settings
        self.book.site.use(settings.site)
        self._live.use(settings.site)
        self.carbon.use(settings)

    def tick(self, accounts: Accounts) -> None:
        """Take out of the accounts what came since the last tick."""
        book = self.book
        now, wall = self._clock.boottime(), self._clock.wall()
        if accounts.site_readings:
            book.take(accounts.site_readings, now, wall)
            accounts.site_readings.clear()
        posted = accounts.host_posted or []
        self.carbon.tick(accounts, posted, book.quarters, now, wall)
        if posted:
            book.host_energy(posted, wall - now)
            posted.clear()
        book.host_time(accounts.host_gap_seconds, now, wall)
        book.utilization(accounts.utilization.get((Component.CPU, "all")), now, wall)
        if book.wants_work(wall):
            totals = {(view.workload, view.unit): view.amount for view in accounts.work(now)}
            book.work(totals, wall)
        book.settle(now, wall)

    def refresh(self) -> None:
        """Have the site's KPIs worked out, in a thread, when a quarter of an hour is over."""
        self._live.refresh(self._clock.wall())

    def batch(self, postings: list[Posting], *, last: bool = False) -> Batch:
        """Return what is to be written now: these postings, and the quarters that are over.

        `last`: also the quarter that is under way.
        """
        wall = self._clock.wall()
        quarters = self.book.close(wall + (QUARTER_SECONDS if last else 0.0))
        intensities, documents = self.carbon.take()
        batch = Batch(postings, quarters, self.book.take_records(), wall, intensities, documents)
        self._live.add(batch.quarters, batch.records, wall)
        self.carbon.add(batch.quarters, wall, self._settings.site.time_zone)
        return batch

    def site_view(self) -> SiteView | None:
        """Return the site as exporters show it; None where this agent reads no meters."""
        site = self._settings.site
        if not site.meter:
            return None
        meters = self.book.site.views(self._clock.boottime(), self._clock.wall())
        return SiteView(site.name or self._settings.host.site, meters, self._live.kpis)

    def carbon_view(self) -> CarbonView:
        """Return what the host emits, as exporters show it."""
        return self.carbon.view(self._clock.wall())

    def stop(self) -> None:
        """End the thread that works the KPIs out."""
        self._live.stop()
