"""One collector in its harness: schedule, deadline, status, and logs of transitions only."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

import structlog

from agent.clock import Clock
from agent.collector import Absent, Collector, CollectorSettings, Transient
from agent.samples import Sample
from agent.snapshot import CollectorStatus
from agent.worker import Busy

MUST_BE_THERE_RETRY_SECONDS: Final = 60.0
"""`enabled = true` and nothing there: look again this often."""

log = structlog.get_logger()


class Runner:
    """Polls one collector and keeps its status."""

    def __init__(
        self,
        name: str,
        collector: Collector,
        settings: CollectorSettings,
        interval: float,
        clock: Clock,
        failures: dict[str, int] | None = None,
    ) -> None:
        self.name = name
        self.collector = collector
        self.settings = settings
        self.interval = interval
        self._clock = clock
        self.failures = dict(failures or {})
        self._up: bool | None = None
        self._duration: float | None = None
        self._why = ""
        self._remedy = ""
        self._known: dict[str, str] = {}
        self._not_before = float("-inf")
        self.task: asyncio.Task[None] | None = None
        self.gone = False
        """Nothing here to read: not polled any more."""

    @property
    def quick(self) -> bool:
        """Whether the tick should wait for it: it came back fast the last time."""
        return self._duration is None or self._duration < 0.05

    def start(self, deliver: Callable[[Sequence[Sample]], None]) -> None:
        """Start a poll unless there is nothing to read or the last one is still under way."""
        if self.gone or (self.task is not None and not self.task.done()):
            return
        if self._clock.monotonic() < self._not_before:
            return
        self.task = asyncio.get_running_loop().create_task(self._poll(deliver))

    async def _poll(self, deliver: Callable[[Sequence[Sample]], None]) -> None:
        started = self._clock.monotonic()
        try:
            async with asyncio.timeout(self.settings.timeout_seconds):
                samples = await self.collector.collect()
        except Absent as absent:
            self._absent(absent)
        except Transient as failure:
            self._failed(failure.reason, failure.why, failure.remedy)
        except TimeoutError:
            limit = self.settings.timeout_seconds
            self._failed(
                "timeout",
                f"no answer within {limit:g} s; the sensor hangs, or the limit"
                f" collectors.{self.name}.timeout_seconds is too short",
            )
        except Busy:
            self._failed("timeout", "the reading before has not come back; the sensor hangs")
        except Exception as error:
            if self._why != f"bug: {error!r}":
                log.exception("collector_bug", collector=self.name)
            self._failed("bug", f"bug: {error!r}", quiet=True)
        else:
            self._duration = self._clock.monotonic() - started
            self._succeeded()
            deliver(samples)
            return
        self._duration = self._clock.monotonic() - started

    def status(self) -> CollectorStatus:
        """Return how it is doing."""
        return CollectorStatus(
            name=self.name,
            up=self._up,
            duration_seconds=self._duration if self._up is not None else None,
            failures=dict(self.failures),
            why=self._why,
            remedy=self._remedy,
        )

    def _absent(self, absent: Absent) -> None:
        if self.settings.enabled is True:
            self._failed("absent", absent.why, absent.remedy)
            self._not_before = self._clock.monotonic() + MUST_BE_THERE_RETRY_SECONDS
            return
        if self._up is not None:
            log.info("collector_gone", collector=self.name, why=absent.why)
        self._up, self._why, self._remedy, self.gone = None, absent.why, absent.remedy, True

    def _failed(self, reason: str, why: str, remedy: str = "", *, quiet: bool = False) -> None:
        self.failures[reason] = self.failures.get(reason, 0) + 1
        if self._up is not False and not quiet:
            extra = {"remedy": remedy} if remedy else {}
            log.warning("collector_failing", collector=self.name, why=why, **extra)
        self._up, self._why, self._remedy = False, why, remedy

    def _succeeded(self) -> None:
        if self._up is False:
            log.info("collector_recovered", collector=self.name)
        self._up, self._why, self._remedy = True, "", ""
        problems = self.collector.problems()
        if not problems and not self._known:
            return
        now_known: dict[str, str] = {}
        for problem in problems:
            self.failures[problem.reason] = self.failures.get(problem.reason, 0) + 1
            now_known[problem.what] = problem.reason
            if problem.what not in self._known:
                extra = {"remedy": problem.remedy} if problem.remedy else {}
                log.warning(
                    "source_failing",
                    collector=self.name,
                    source=problem.what,
                    why=problem.why,
                    **extra,
                )
        for what in self._known.keys() - now_known.keys():
            log.info("source_recovered", collector=self.name, source=what)
        self._known = now_known
