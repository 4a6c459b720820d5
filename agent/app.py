"""The composition root: collectors, meter, ledger and snapshot of one agent, and its tick."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import msgspec
import structlog

from agent import host as this_host
from agent.accounts import Accounts
from agent.clock import Clock
from agent.collector import Context, Found, Problem
from agent.lane import Lane
from agent.ledger import LedgerWriter
from agent.ledger.saved import AgentState
from agent.own_cost import OwnCost
from agent.peaks import Peaks
from agent.quantities import Component, Ratio, Seconds
from agent.resume import boot_id, resume
from agent.runner import Runner
from agent.samples import Sample, Utilization
from agent.settings import Settings
from agent.snapshot import (
    LedgerView,
    Snapshot,
    picture,
)

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
        self._grace = grace_seconds
        self._build = this_host.build_info()
        self._host = this_host.host_info(settings.host, settings.paths)
        self._peaks = Peaks(settings.flops)
        self._utilization: dict[tuple[Component, str], Utilization] = {}
        self._snapshot: Snapshot | None = None
        self._runners: list[Runner] = []
        self._lane = Lane(clock)
        self._totals: dict[str, float] = {}
        self._own_cost = OwnCost(self._totals)
        self._told_refused: set[str] = set()
        self._ledger_failures = 0
        """Those of earlier lives."""
        self._accounts = Accounts({}, peaks_of=self._peaks)
        self._late = 0.0
        self._ticks = 0
        self._retired: set[str] = set()
        self._encode = msgspec.msgpack.Encoder().encode
        self.published: Callable[[], None] = _nothing
        """Called when there is a new snapshot."""
        self.ticked_at: float | None = None
        """Monotonic time of the last complete tick."""

    # -- life ---------------------------------------------------------------------------------

    def start(self) -> None:
        """Open the ledger and go on from it. Raises `LedgerError` where only a person can help."""
        intervals, found = self._intervals(), None
        if self._ledger is not None:
            found = resume(self._ledger, intervals, self._peaks, self._totals)
            self._ledger_failures = int(self._totals.get("ledger_failures", 0))
        self._accounts = found or Accounts(intervals, peaks_of=self._peaks)
        self._accounts.tally.max_workloads = self._settings.work.max_workloads
        now, wall = self._clock.boottime(), self._clock.wall()
        meter = self._accounts.meter
        meter.begin(boot_id(self._settings.paths, meter.state, now), now, wall)
        self._make_runners()

    def reload(self, settings: Settings) -> None:
        """Take new settings without losing a joule: the meter and the ledger stay."""
        old = self._settings
        if (settings.agent.listen, settings.agent.state_dir, settings.ledger) != (
            old.agent.listen,
            old.agent.state_dir,
            old.ledger,
        ):
            log.warning(
                "restart_needed", why="agent.listen, agent.state_dir and [ledger] need a restart"
            )
        for runner in self._runners:
            runner.close()
        self._settings = settings
        self._host = this_host.host_info(settings.host, settings.paths)
        self._accounts.tally.max_workloads = settings.work.max_workloads
        self._accounts.meter.set_intervals(self._intervals())
        self._make_runners()
        self._ticks = 0

    async def stop(self) -> None:
        """Write and close everything."""
        for runner in self._runners:
            if runner.task is not None:
                runner.task.cancel()
            runner.close()
        self._lane.stop()
        if self._ledger is not None:
            self._submit(self.snapshot(), last=True)
            await self._ledger.close()

    # -- one tick -----------------------------------------------------------------------------

    @property
    def interval_seconds(self) -> float:
        """Seconds between ticks: the shortest interval that is set."""
        return min(
            [self._settings.agent.interval_seconds, *(runner.interval for runner in self._runners)]
        )

    async def tick(self, late: float = 0.0, skipped: int = 0) -> None:
        """Poll what is due, settle the meter, hand the state to the ledger."""
        base = self.interval_seconds
        due = [
            runner
            for runner in self._runners
            if self._ticks % max(1, round(runner.interval / base)) == 0 and runner.is_due
        ]
        self._ticks += 1
        await self._poll(due)
        gone = {runner.name for runner in self._runners if runner.gone or runner.away}
        if gone - self._retired:
            self._accounts.meter.retire(sorted(gone))
        self._retired = gone
        self._accounts.settle(self._clock.boottime(), self._clock.wall())
        self._say_what_is_refused()
        self._late = late
        if skipped:
            self._totals["ticks_skipped"] = self._totals.get("ticks_skipped", 0) + skipped
        self._own_cost.account(self.latest_utilization(Component.CPU, "all"), self._cpu_watts)
        self._submit(self._take_snapshot())
        self.ticked_at = self._clock.monotonic()

    async def _poll(self, due: Sequence[Runner]) -> None:
        """Poll these collectors, and wait for those that are quick."""
        shared: list[Runner] = []
        if self._grace is not None:
            shared = [runner for runner in due if runner.joins_lane()]
        for runner in due:
            if runner not in shared:
                runner.start(self._deliver)
        waiting: list[asyncio.Future[None]] = [
            runner.task
            for runner in self._runners
            if runner.task is not None
            and not runner.task.done()
            and (runner.quick or self._grace is None)
        ]
        lane = self._lane.start(shared) if shared else None
        if lane is not None:
            waiting.append(lane)
        if waiting:
            await asyncio.wait(waiting, timeout=self._grace)
        if lane is not None:
            self._lane.finish(lane, self._deliver)

    def _deliver(self, samples: Sequence[Sample]) -> None:
        """Take one collector's samples, as soon as they are there."""
        for sample in samples:
            if isinstance(sample, Utilization):
                self._utilization[sample.component, sample.device] = sample
            if self._record is not None:
                self._record(sample)
        self._accounts.take(samples, self._clock.boottime(), self._clock.wall())

    def _submit(self, shown: Snapshot, *, last: bool = False) -> None:
        """Hand the state to the ledger; show it once `kill -9` cannot undo it.

        Else a restart could begin below what was last scraped, and Prometheus would take that for
        a counter that began anew and add its whole total once more. At the end (`last`) the
        minute that is under way goes along.
        """
        if self._ledger is None:
            self._publish(shown)
            return
        meter = self._accounts.meter
        postings = meter.close_minutes(Seconds(self._clock.wall() + (60.0 if last else 0.0)))
        for runner in self._runners:
            for reason, count in runner.failures.items():
                self._totals[f"failures {runner.name} {reason}"] = count
        self._totals["ledger_failures"] = self._ledger_failures + self._ledger.status().failures
        state = self._encode(AgentState(meter.state, self._totals, self._accounts.tally.state))
        self._ledger.submit(meter.identities, state, postings, lambda: self._publish(shown))

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
        return {runner.name: runner.collector.problems() for runner in self._runners}

    def gave(self) -> dict[str, set[type[Sample]]]:
        """Return, for each collector, what kinds of samples it has given."""
        return {runner.name: runner.gave for runner in self._runners}

    def latest_utilization(self, component: Component, device: str) -> Ratio | None:
        """Return a device's utilisation if it is known now."""
        sample = self._utilization.get((component, device))
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
                u for u in self._utilization.values() if now - u.at <= UTILIZATION_SECONDS
            ],
            collectors=[runner.status() for runner in self._runners],
            agent=self._own_cost.view(),
            ledger=LedgerView(
                ledger.up,
                self._ledger_failures + ledger.failures,
                ledger.size_bytes,
                ledger.unsaved,
            )
            if ledger
            else None,
            late_seconds=self._late,
            skipped_ticks=int(self._totals.get("ticks_skipped", 0)),
        )

    # -- inside -------------------------------------------------------------------------------

    def _intervals(self) -> dict[str, float]:
        return {name: self._settings.interval_of(name) for name in self._found.classes}

    def _make_runners(self) -> None:
        context = Context(
            paths=self._settings.paths,
            clock=self._clock,
            latest_utilization=self.latest_utilization,
            work=self._settings.work,
            work_socket=self._work_socket(),
        )
        self._runners, self._retired = [], set()
        off = [name for name in self._known_sources() if name not in self._found.classes]
        for name, cls in self._found.classes.items():
            settings = self._settings.collectors[name]
            if settings.enabled is False:
                off.append(name)
                continue
            self._runners.append(
                Runner(
                    name,
                    cls(settings, context),
                    settings,
                    self._settings.interval_of(name),
                    self._clock,
                    self._failures_so_far(name),
                )
            )
        self._accounts.meter.retire(off)

    def _work_socket(self) -> Path | None:
        """Return where to listen for work; a short run leaves that to the agent."""
        path = self._settings.agent.work_socket
        return Path(path) if path and self._ledger is not None else None

    def _known_sources(self) -> set[str]:
        return {identity.source for identity in self._accounts.meter.identities}

    def _failures_so_far(self, name: str) -> dict[str, int]:
        prefix = f"failures {name} "
        return {
            key.removeprefix(prefix): int(count)
            for key, count in self._totals.items()
            if key.startswith(prefix)
        }

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


def _nothing() -> None:
    """Nobody waits."""
