"""All collectors of one agent: made from the settings, polled at each tick, kept over a reload."""

import asyncio
from collections.abc import Callable, Mapping, Sequence

from agent.clock import Clock
from agent.collector import Context, Found, Problem
from agent.lane import Lane
from agent.runner import Runner
from agent.samples import Sample
from agent.settings import Settings
from agent.snapshot import CollectorStatus
from agent.worker import NoThread

Deliver = Callable[[Sequence[Sample]], None]


class Crew:
    """The runners, and the thread that the quick ones share."""

    def __init__(
        self, found: Found, clock: Clock, deliver: Deliver, *, grace_seconds: float | None
    ) -> None:
        """`deliver` takes samples as they come; `grace_seconds` as in `App`."""
        self._found = found
        self._clock = clock
        self._deliver = deliver
        self._grace = grace_seconds
        self._lane = Lane(clock)
        self._runners: list[Runner] = []
        self._ticks = 0

    # -- who works ----------------------------------------------------------------------------

    def engage(
        self,
        settings: Settings,
        context: Context,
        failures: Mapping[str, Mapping[str, int]],
        old: Settings | None = None,
    ) -> None:
        """Have a runner for each collector that is on; keep those of which nothing has changed.

        A collector that is kept loses no reading, no report and no driver session. `failures` are
        those of earlier lives by collector and reason; `old` what the settings were.
        """
        kept = self._unchanged(settings, old) if old is not None else {}
        for runner in self._runners:
            if runner.name not in kept:
                self._close(runner)
        self._ticks = 0
        self._runners = [
            kept.get(name)
            or Runner(
                name,
                cls(settings.collectors[name], context),
                settings.collectors[name],
                settings.interval_of(name),
                self._clock,
                dict(failures.get(name, {})),
            )
            for name, cls in self._found.classes.items()
            if settings.collectors[name].enabled is not False
        ]

    def stop(self) -> None:
        """Close all of them and take what they still have."""
        for runner in self._runners:
            if runner.task is not None:
                runner.task.cancel()
            self._close(runner)
        self._lane.stop()

    # -- one tick -----------------------------------------------------------------------------

    def interval_seconds(self, agents: float) -> float:
        """Return the seconds between ticks: the shortest interval of the agent's and theirs."""
        return min([agents, *(runner.interval for runner in self._runners if not runner.gone)])

    async def poll(self, interval: float) -> None:
        """Poll those that are due, ticks being `interval` apart, and wait for the quick ones."""
        here = [runner for runner in self._runners if not runner.gone]
        due = [
            runner
            for runner in here
            if self._ticks % max(1, round(runner.interval / interval)) == 0 and runner.is_due
        ]
        self._ticks += 1
        shared: list[Runner] = []
        if self._grace is not None:
            shared = [runner for runner in due if runner.joins_lane()]
        for runner in due:
            if runner not in shared and not (runner.is_receiver and runner.receive(self._deliver)):
                runner.start(self._deliver)
        waiting: list[asyncio.Future[None]] = [
            runner.task
            for runner in here
            if runner.task is not None
            and not runner.task.done()
            and (runner.quick or self._grace is None)
        ]
        lane = self._share(shared) if shared else None
        if lane is not None:
            waiting.append(lane)
        if waiting:
            await asyncio.wait(waiting, timeout=self._grace)
        if lane is not None:
            self._lane.finish(lane, self._deliver)

    def _share(self, runners: Sequence[Runner]) -> asyncio.Future[None] | None:
        """Read these in the shared thread; None: there is none, so each says that it has none."""
        try:
            return self._lane.start(runners)
        except NoThread:
            for runner in runners:
                runner.start(self._deliver)
            return None

    # -- what others see ----------------------------------------------------------------------

    def names(self) -> set[str]:
        """Return the collectors that are on."""
        return {runner.name for runner in self._runners}

    def resting(self) -> set[str]:
        """Return those that have nothing to read here now."""
        return {runner.name for runner in self._runners if runner.gone or runner.away}

    def statuses(self) -> list[CollectorStatus]:
        """Return how each is doing."""
        return [runner.status() for runner in self._runners]

    def failures(self) -> dict[str, Mapping[str, int]]:
        """Return each one's failures by reason."""
        return {runner.name: runner.failures for runner in self._runners}

    def problems(self) -> dict[str, Sequence[Problem]]:
        """Return, for each, what of it could not be read the last time."""
        return {runner.name: runner.collector.problems() for runner in self._runners}

    def gave(self) -> dict[str, set[type[Sample]]]:
        """Return, for each, what kinds of samples it has given."""
        return {runner.name: runner.gave for runner in self._runners}

    # -- inside -------------------------------------------------------------------------------

    def _unchanged(self, settings: Settings, old: Settings) -> dict[str, Runner]:
        """Return the runners for which the settings say the same as before."""
        if _shared(old) != _shared(settings):
            return {}
        return {
            runner.name: runner
            for runner in self._runners
            if not runner.gone
            and settings.collectors[runner.name] == runner.settings
            and settings.interval_of(runner.name) == runner.interval
        }

    def _close(self, runner: Runner) -> None:
        runner.close()
        rest = runner.rest()
        if rest:
            self._deliver(rest)


def _shared(settings: Settings) -> tuple[object, ...]:
    """Return what every collector may be told beside its own settings."""
    return (
        settings.paths,
        settings.work,
        settings.agent.work_socket,
        settings.site,
        settings.carbon,
        settings.host.grid_zone,
    )
