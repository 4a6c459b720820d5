"""One thread for every reading that comes back fast.

To hand a call to a thread and its result back costs about as much as reading ten sensors, so a
tick does it once for all of them. A reading that does not come back in time keeps the thread to
itself, and the lane goes on with a new one: a sensor that hangs holds up the others once, for as
long as a tick waits, and never again.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence

from agent.clock import Clock
from agent.runner import Outcome, Runner
from agent.samples import Sample
from agent.worker import Worker


class Lane:
    """The shared thread. Each tick: `start`, wait for its future, `finish`."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._worker = Worker("sensors")
        self._round: _Round | None = None

    def start(self, runners: Sequence[Runner]) -> asyncio.Future[None]:
        """Read these collectors one after another; returns what is done when all are back."""
        self._round = _Round(runners, self._clock)
        return self._worker.submit(self._round.work)

    def finish(
        self, future: asyncio.Future[None], deliver: Callable[[Sequence[Sample]], None]
    ) -> None:
        """Deliver what is back. If not all is, let go of the thread and of the one who hangs."""
        assert self._round is not None
        this, self._round = self._round, None
        back = len(this.runners)
        if not future.done():
            rest = this.take_rest()
            back -= len(rest) + 1
            if back >= 0:
                this.runners[back].keep(self._worker, this.last(future), this.began, deliver)
            else:  # the thread itself has not run yet, on a machine that is that busy
                back = 0
                self._worker.stop()
            self._worker = Worker("sensors")
            for runner in rest:
                runner.start(deliver)
        for runner, outcome in zip(this.runners[:back], this.outcomes[:back], strict=True):
            runner.finish(outcome, deliver)

    def stop(self) -> None:
        """Let the thread end once it is idle."""
        self._worker.stop()


class _Round:
    """The readings of one tick."""

    def __init__(self, runners: Sequence[Runner], clock: Clock) -> None:
        self.runners = list(runners)
        self.outcomes: list[Outcome] = []
        self.began = 0.0
        """When the reading that is under way began."""
        self._clock = clock
        self._waiting = deque(runners)

    def work(self) -> None:
        """Read one after another, in the thread."""
        while True:
            try:
                runner = self._waiting.popleft()
            except IndexError:
                return
            self.began = self._clock.monotonic()
            self.outcomes.append(runner.read(self.began))

    def take_rest(self) -> list[Runner]:
        """Take away, from the event loop, those whose reading has not begun."""
        rest = []
        while True:
            try:
                rest.append(self._waiting.popleft())
            except IndexError:
                return rest

    async def last(self, future: asyncio.Future[None]) -> Sequence[Sample]:
        """Return the samples of the last reading that began, once it is back."""
        outcomes = self.outcomes
        await future
        return outcomes[-1].unpack()
