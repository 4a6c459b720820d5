"""The composition root: collectors, meter, ledger and snapshot of one agent, and its tick."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import msgspec
import structlog

from agent import host as this_host
from agent.accounts import Accounts
from agent.carbon.settings import CarbonSettings
from agent.clock import Clock
from agent.collector import Context, Found, Problem
from agent.crew import Crew
from agent.ledger import LedgerWriter
from agent.ledger.outbox import Outgoing
from agent.ledger.saved import AgentState
from agent.own_cost import OwnCost
from agent.peaks import Peaks
from agent.quantities import Component, Ratio, Seconds
from agent.reporting import Reporting
from agent.resume import boot_id, resume
from agent.samples import Sample
from agent.settings import Settings
from agent.snapshot import LedgerView, RemoteView, Snapshot, picture
from agent.wall.state import HostState
from collectors.inventory import detect

GRACE_SECONDS: Final = 0.25
"""How long a tick waits for quick collectors before it settles without them."""
UTILIZATION_SECONDS: Final = 60.0
"""A utilisation older than this is unknown."""

log = structlog.get_logger()


class App:
    """One agent without its network side. Drive it with `start`, then `tick` on a grid."""

    def __init__(
        self,
        settings: Settings,
        found: Found,
        clock: Clock,
        *,
        ledger: LedgerWriter | None,
        record: Callable[[Sample], None] | None = None,
        grace_seconds: float | None = GRACE_SECONDS,
    ) -> None:
        """`grace_seconds` None: a tick waits for every collector, up to its own deadline."""
        self._settings = settings
        self._found = found
        self._clock = clock
        self._ledger = ledger
        self._record = record
        self._crew = Crew(found, clock, self._deliver, grace_seconds=grace_seconds)
        self._build = this_host.build_info()
        self._host = this_host.host_info(settings.host, settings.paths)
        self._peaks = Peaks(settings.flops)
        self._snapshot: Snapshot | None = None
        self._totals: dict[str, float] = {}
        self._own_cost = OwnCost(self._totals)
        self._told_refused: set[str] = set()
        self._ledger_failures = 0
        """Those of earlier lives."""
        self._accounts = Accounts({}, peaks_of=self._peaks)
        self._reporting = Reporting(settings, clock, detect=detect)
        self._late = 0.0
        self._retired: set[str] = set()
        self._encode = msgspec.msgpack.Encoder().encode
        self.outgoing: Callable[[Snapshot], list[Outgoing]] = _nothing_to_send
        """Gives what of a snapshot remote write shall send."""
        self.sending: Callable[[], RemoteView | None] = _nobody_sends
        """Tells how remote write is doing."""
        self.published: Callable[[], None] = _nothing
        """Called when there is a new snapshot."""
        self.ticked_at: float | None = None
        """Monotonic time of the last complete tick."""

    # -- life ---------------------------------------------------------------------------------

    def start(self) -> None:
        """Open the ledger and go on from it. Raises `LedgerError` where only a person can help."""
        intervals, found = self._intervals(), None
        if self._ledger is not None:
            boot = this_host.boot_id(self._settings.paths)
            found = resume(self._ledger, intervals, self._peaks, self._totals, boot)
            self._ledger_failures = int(self._totals.get("ledger_failures", 0))
        self._accounts, state = found or (Accounts(intervals, peaks_of=self._peaks), None)
        self._reporting = Reporting(self._settings, self._clock, state, detect=detect)
        self._accounts.tally.max_workloads = self._settings.work.max_workloads
        now, wall = self._clock.boottime(), self._clock.wall()
        meter = self._accounts.meter
        boot = boot_id(self._settings.paths, meter.state, now)
        same_boot = boot == meter.state.boot_id
        self._accounts.devices.recall(self._totals, now, same_boot=same_boot)
        self._reporting.listen(self._accounts)
        meter.begin(boot, now, wall)
        self._reporting.begin(boot, self._accounts)
        if self._ledger is not None:
            self._reporting.remember()
        self._engage()

    def reload(self, settings: Settings) -> None:
        """Take new settings without losing a joule: the meter and the ledger stay."""
        old = self._settings
        if (settings.agent.state_dir, settings.ledger) != (old.agent.state_dir, old.ledger):
            log.warning("restart_needed", why="agent.state_dir and [ledger] need a restart")
        self._settings = settings
        self._host = this_host.host_info(settings.host, settings.paths)
        self._reporting.use(settings)
        self._accounts.tally.max_workloads = settings.work.max_workloads
        self._accounts.use_peaks(Peaks(settings.flops))
        self._accounts.meter.set_intervals(self._intervals())
        self._engage(old)

    async def stop(self) -> None:
        """Write and close everything."""
        self._crew.stop()
        self._reporting.stop()
        if self._ledger is not None:
            self._submit(self.snapshot(), self._tell_reports(), last=True)
            await self._ledger.close()

    # -- one tick -----------------------------------------------------------------------------

    @property
    def interval_seconds(self) -> float:
        """Seconds between ticks: the shortest interval that is set."""
        return self._crew.interval_seconds(self._settings.agent.interval_seconds)

    async def tick(self, late: float = 0.0, skipped: int = 0) -> None:
        """Poll what is due, settle the meter, hand the state to the ledger."""
        await self._crew.poll(self.interval_seconds)
        gone = self._crew.resting()
        if gone - self._retired:
            self._accounts.meter.retire(sorted(gone))
        self._retired = gone
        self._accounts.settle(self._clock.boottime(), self._clock.wall())
        host = self._tell_reports()
        self._reporting.refresh()
        self._say_what_is_refused()
        self._late = late
        if skipped:
            self._totals["ticks_skipped"] = self._totals.get("ticks_skipped", 0) + skipped
        self._own_cost.account(self.latest_utilization(Component.CPU, "all"), self._cpu_watts)
        self._submit(self._take_snapshot(), host)
        self.ticked_at = self._clock.monotonic()

    def _deliver(self, samples: Sequence[Sample]) -> None:
        """Take one collector's samples, as soon as they are there."""
        if self._record is not None:
            for sample in samples:
                self._record(sample)
        self._accounts.take(samples, self._clock.boottime(), self._clock.wall())

    def _tell_reports(self) -> HostState | None:
        """Have the reports take what came since the last tick; return the host's state.

        The state comes first: to say it, the accounts may have more to tell the reports.
        """
        host = None if self._ledger is None else self._accounts.host_state
        self._reporting.tick(self._accounts)
        return host

    def _submit(self, shown: Snapshot, host: HostState | None, *, last: bool = False) -> None:
        """Hand the state to the ledger; show it once `kill -9` cannot undo it.

        Else a restart could begin below what was last scraped, and Prometheus would take that for
        a counter that began anew and add its whole total once more. At the end (`last`) the
        minute that is under way goes along.
        """
        if self._ledger is None:
            self._publish(shown)
            return
        accounts, meter = self._accounts, self._accounts.meter
        wall = self._clock.wall()
        postings = meter.close_minutes(Seconds(wall + (60.0 if last else 0.0)))
        batch = self._reporting.batch(postings)
        batch.outgoing += self.outgoing(shown)
        for name, failures in self._crew.failures().items():
            for reason, count in failures.items():
                self._totals[f"failures {name} {reason}"] = count
        self._totals["ledger_failures"] = self._ledger_failures + self._ledger.status().failures
        accounts.devices.remember(self._totals)
        reporting = self._reporting
        state = self._encode(
            AgentState(
                meter.state,
                self._totals,
                accounts.tally.state,
                reporting.book.state,
                host,
                reporting.carbon.state,
            )
        )
        self._ledger.submit(meter.identities, state, batch, lambda: self._publish(shown))

    def _publish(self, shown: Snapshot) -> None:
        self._snapshot = shown
        self.published()

    # -- what others see ----------------------------------------------------------------------

    def snapshot(self) -> Snapshot:
        """Return the picture after the last tick whose state the ledger has."""
        if self._snapshot is None:
            self._snapshot = self._take_snapshot()
        return self._snapshot

    def problems(self) -> dict[str, Sequence[Problem]]:
        """Return, for each collector, what of it could not be read the last time."""
        return self._crew.problems()

    def gave(self) -> dict[str, set[type[Sample]]]:
        """Return, for each collector, what kinds of samples it has given."""
        return self._crew.gave()

    def latest_utilization(self, component: Component, device: str) -> Ratio | None:
        """Return a device's utilisation if it is known now."""
        sample = self._accounts.utilization.get((component, device))
        if sample is None or self._clock.boottime() - sample.at > UTILIZATION_SECONDS:
            return None
        return sample.ratio

    def _take_snapshot(self) -> Snapshot:
        now = self._clock.boottime()
        ledger = self._ledger.status() if self._ledger else None
        return picture(
            self._accounts,
            now,
            wall=self._clock.wall(),
            build=self._build,
            host=self._host,
            utilization=[
                u for u in self._accounts.utilization.values() if now - u.at <= UTILIZATION_SECONDS
            ],
            collectors=self._crew.statuses(),
            agent=self._own_cost.view(),
            ledger=LedgerView(
                ledger.up,
                self._ledger_failures + ledger.failures,
                ledger.size_bytes,
                ledger.unsaved,
                ledger.records,
            )
            if ledger
            else None,
            late_seconds=self._late,
            skipped_ticks=int(self._totals.get("ticks_skipped", 0)),
            site=self._reporting.site_view(),
            carbon=self._reporting.carbon_view(),
            remote=self.sending(),
        )

    # -- inside -------------------------------------------------------------------------------

    def _carbon_settings(self) -> CarbonSettings:
        """Return whom to ask for the grid's intensity: a short run asks nobody over the network."""
        carbon = self._settings.carbon
        if self._ledger is not None:
            return carbon
        return msgspec.structs.replace(carbon, providers=("static",))

    def _intervals(self) -> dict[str, float]:
        return {name: self._settings.interval_of(name) for name in self._found.classes}

    def _engage(self, old: Settings | None = None) -> None:
        """Have the collectors that the settings ask for; let the streams of others rest."""
        settings = self._settings
        socket = settings.agent.work_socket
        context = Context(
            paths=settings.paths,
            clock=self._clock,
            latest_utilization=self.latest_utilization,
            work=settings.work,
            site=settings.site,
            carbon=self._carbon_settings(),
            grid_zone=settings.host.grid_zone,
            state_dir=Path(settings.agent.state_dir) if self._ledger is not None else None,
            # a short run leaves the socket to the agent
            work_socket=Path(socket) if socket and self._ledger is not None else None,
        )
        self._crew.engage(settings, context, self._failures_so_far(), old)
        self._retired = set()
        known = {identity.source for identity in self._accounts.meter.identities}
        self._accounts.meter.retire(sorted(known - self._crew.names()))

    def _failures_so_far(self) -> dict[str, dict[str, int]]:
        found: dict[str, dict[str, int]] = {}
        for key, count in self._totals.items():
            kind, _, rest = key.partition(" ")
            if kind == "failures":
                name, reason = rest.split(" ", 1)
                found.setdefault(name, {})[reason] = int(count)
        return found

    def _say_what_is_refused(self) -> None:
        refused = self._accounts.tally.refused
        for what in refused.keys() - self._told_refused:
            self._told_refused.add(what)
            log.warning("work_not_counted", what=what, why=refused[what])

    def _cpu_watts(self) -> float:
        return sum(
            view.watts or 0.0
            for view in self._accounts.meter.views()
            if view.counts_now and view.identity.component == Component.CPU
        )


def _nothing_to_send(_: Snapshot) -> list[Outgoing]:
    """Nobody sends."""
    return []


def _nobody_sends() -> RemoteView | None:
    """Nobody sends."""
    return None


def _nothing() -> None:
    """Nobody waits."""
