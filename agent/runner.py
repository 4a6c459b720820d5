"""One collector in its harness: schedule, deadline, status, and logs of transitions only."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, NamedTuple

import structlog

from agent.clock import Clock
from agent.collector import (
    Absent,
    BlockingCollector,
    Collector,
    CollectorSettings,
    Receiver,
    Transient,
)
from agent.samples import Sample
from agent.snapshot import CollectorStatus
from agent.worker import Busy, NoThread, Worker

QUICK_SECONDS: Final = 0.05
"""A collector that was faster than this the last time is waited for by the tick."""
NO_FAILURE: Final = frozenset({"unsupported", "asleep"})
"""Reasons of problems that are none: the hardware does not have it, or saves power."""
MUST_BE_THERE_RETRY_SECONDS: Final = 60.0
"""`enabled = true` and nothing there: look again this often."""

RECEIVER_SECONDS: Final = 5.0
"""So often a collector that is given samples by others is polled; else they are only taken."""

log = structlog.get_logger()


class Outcome(NamedTuple):
    """What came of one reading."""

    samples: Sequence[Sample]
    error: BaseException | None
    seconds: float

    def unpack(self) -> Sequence[Sample]:
        """Return the samples or raise the error."""
        if self.error is not None:
            raise self.error
        return self.samples


class Runner:
    """Polls one collector and keeps its status.

    A collector whose reading blocks is read in a thread: that of the `Lane` while it is quick, else
    one of its own.
    """

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
        self._status: CollectorStatus | None = None
        self._not_before = float("-inf")
        self.task: asyncio.Task[None] | None = None
        self.gave: set[type[Sample]] = set()
        """What kinds of samples it has given so far."""
        self.gone = False
        """Nothing here to read: not polled any more."""
        self.away = False
        """Nothing here to read now: looked for again later."""
        self._closed = False
        self._receiver = collector if isinstance(collector, Receiver) else None
        self._look_again_at = float("-inf")
        self._blocking: BlockingCollector | None = None
        if isinstance(collector, BlockingCollector):
            own = type(collector).collect is not BlockingCollector.collect
            self._blocking = None if own else collector
        self._worker: Worker | None = None
        """Its own thread, while it is not in the lane."""

    @property
    def quick(self) -> bool:
        """Whether the tick should wait for it: it came back fast the last time.

        One that is given samples by others is not waited for the first time: it may wait itself.
        """
        if self._duration is None:
            return self._receiver is None
        return self._duration < QUICK_SECONDS

    @property
    def is_receiver(self) -> bool:
        """Whether others give it samples."""
        return self._receiver is not None

    @property
    def is_due(self) -> bool:
        """Whether it can be polled: there is something to read and no poll is under way."""
        return (
            not self.gone
            and (self.task is None or self.task.done())
            and self._clock.monotonic() >= self._not_before
        )

    def joins_lane(self) -> bool:
        """Tell whether the shared thread is to read it, and give up its own if so."""
        if self._blocking is None or not self.quick:
            return False
        if self._worker is not None:
            if self._worker.busy:
                return False
            self._worker.stop()
            self._worker = None
        return True

    def read(self, began: float) -> Outcome:
        """Read in the thread of the lane."""
        assert self._blocking is not None
        samples: Sequence[Sample] = ()
        failure: BaseException | None = None
        try:
            samples = self._blocking.read()
        except BaseException as error:  # noqa: BLE001 - handed on to the event loop
            failure = error
        return Outcome(samples, failure, self._clock.monotonic() - began)

    def finish(self, outcome: Outcome, deliver: Callable[[Sequence[Sample]], None]) -> None:
        """Take what came of a reading in the lane."""
        self._duration = outcome.seconds
        if outcome.error is not None:
            self._take_error(outcome.error)
        elif outcome.seconds > self.settings.timeout_seconds:
            self._take_error(TimeoutError())
        else:
            self._succeeded(outcome.samples)
            deliver(outcome.samples)

    def keep(
        self,
        worker: Worker,
        reading: Awaitable[Sequence[Sample]],
        began: float,
        deliver: Callable[[Sequence[Sample]], None],
    ) -> None:
        """Wait on for a reading that the lane has let go of, with its thread."""
        self._worker = worker
        self.task = asyncio.get_running_loop().create_task(self._poll(deliver, reading, began))

    def start(self, deliver: Callable[[Sequence[Sample]], None]) -> None:
        """Start a poll; only where `is_due`."""
        reading: Awaitable[Sequence[Sample]]
        if self._blocking is None:
            reading = self.collector.collect()
        else:
            if self._worker is None:
                self._worker = Worker(self.name)
            reading = self._worker.run(self._blocking.read)
        began = self._clock.monotonic()
        self.task = asyncio.get_running_loop().create_task(self._poll(deliver, reading, began))

    def close(self) -> None:
        """Close the collector, once it is not being read any more."""
        if self.task is not None and not self.task.done() and not self.gone:
            self.task.add_done_callback(lambda _: self._close())
        else:
            self._close()

    def receive(self, deliver: Callable[[Sequence[Sample]], None]) -> bool:
        """Take what was given to the collector, without a task of its own; False: poll it.

        It is polled all the same once in a while, to see to what it listens on.
        """
        now = self._clock.monotonic()
        if self._up is not True or now >= self._look_again_at:
            self._look_again_at = now + RECEIVER_SECONDS
            return False
        samples = self.rest()
        if samples:
            self.gave.update(map(type, samples))
            deliver(samples)
        return True

    def rest(self) -> Sequence[Sample]:
        """Return what was given to the collector by others and not read yet: nothing, mostly."""
        return self._receiver.take() if self._receiver is not None else ()

    def _close(self) -> None:
        if not self._closed:
            self._closed = True
            if self._worker is not None:
                self._worker.stop()
            self.collector.close()

    async def _poll(
        self,
        deliver: Callable[[Sequence[Sample]], None],
        reading: Awaitable[Sequence[Sample]],
        began: float,
    ) -> None:
        left = self.settings.timeout_seconds - (self._clock.monotonic() - began)
        try:
            async with asyncio.timeout(max(0.0, left)):
                samples = await reading
        except Exception as error:  # noqa: BLE001 - each is told apart there
            self._duration = self._clock.monotonic() - began
            self._take_error(error)
        else:
            self._duration = self._clock.monotonic() - began
            self._succeeded(samples)
            deliver(samples)

    def _take_error(self, error: BaseException) -> None:
        match error:
            case Absent():
                self._absent(error)
            case Transient():
                self._failed(error.reason, error.why, error.remedy)
            case TimeoutError():
                limit = self.settings.timeout_seconds
                self._failed(
                    "timeout",
                    f"no answer within {limit:g} s; the sensor hangs, or the limit"
                    f" collectors.{self.name}.timeout_seconds is too short",
                )
            case NoThread():
                self._failed(
                    "memory",
                    "no thread could be started to read it: there is no memory left, or too many"
                    " tasks",
                    "raise MemoryMax= or TasksMax= of the service, or ulimit -u",
                )
            case Busy():
                self._failed("timeout", "the reading before has not come back; the sensor hangs")
            case _:
                if self._why != f"bug: {error!r}":
                    log.error("collector_bug", collector=self.name, exc_info=error)
                self._failed("bug", f"bug: {error!r}", quiet=True)

    def status(self) -> CollectorStatus:
        """Return how it is doing; the same object as before where nothing has changed."""
        if self.gone and self._status is not None:
            return self._status
        self._status = CollectorStatus(
            name=self.name,
            up=self._up,
            duration_seconds=self._duration if self._up is not None else None,
            failures=dict(self.failures),
            why=self._why,
            remedy=self._remedy,
        )
        return self._status

    def _absent(self, absent: Absent) -> None:
        if self.settings.enabled is True:
            self._failed("absent", absent.why, absent.remedy)
            self._not_before = self._clock.monotonic() + MUST_BE_THERE_RETRY_SECONDS
            return
        if self._up is not None:
            log.info("collector_gone", collector=self.name, why=absent.why)
        self._up, self._why, self._remedy = None, absent.why, absent.remedy
        if absent.again_seconds is not None:
            self._not_before = self._clock.monotonic() + absent.again_seconds
            self.away = True
            return
        self.gone, self._status = True, None
        self.close()

    def _failed(self, reason: str, why: str, remedy: str = "", *, quiet: bool = False) -> None:
        self.failures[reason] = self.failures.get(reason, 0) + 1
        if self._up is not False and not quiet:
            self._warn("collector_failing", why, remedy)
        self._up, self._why, self._remedy = False, why, remedy

    def _warn(self, event: str, why: str, remedy: str, **about: str) -> None:
        extra = {"remedy": remedy} if remedy else {}
        log.warning(event, collector=self.name, **about, why=why, **extra)

    def _succeeded(self, samples: Sequence[Sample]) -> None:
        self.gave.update(map(type, samples))
        if self._up is False:
            log.info("collector_recovered", collector=self.name)
        self._up, self._why, self._remedy, self.away = True, "", "", False
        problems = self.collector.problems()
        if not problems and not self._known:
            return
        now_known: dict[str, str] = {}
        for problem in problems:
            if problem.reason not in NO_FAILURE:
                self.failures[problem.reason] = self.failures.get(problem.reason, 0) + 1
            now_known[problem.what] = problem.reason
            if problem.what not in self._known:
                self._warn("source_failing", problem.why, problem.remedy, source=problem.what)
        for what in self._known.keys() - now_known.keys():
            log.info("source_recovered", collector=self.name, source=what)
        self._known = now_known
